"""The conversation between the trusted process and the one in the sandbox: docs/protocol.md.

The folder is also a package of its own: both programs in it are started as scripts, beside a student's code, where
there is no tito. So its files import each other by a dot, NumPy and the standard library, nothing else.
"""
