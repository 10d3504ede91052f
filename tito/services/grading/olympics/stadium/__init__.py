"""Both programs of a race, started as scripts in sandboxes of their own, where there is no tito.

So their files import each other, NumPy and the standard library, nothing else. They keep no time and score nothing.
"""
