"""The capstone's olympics: a submission is built in a sandbox, measured beside a reference, and ranked.

Points never come from here: they come from the tests of the notebook alone.
"""
