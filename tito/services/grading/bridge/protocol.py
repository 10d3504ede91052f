"""Every letter of the conversation, with its one meaning; docs/protocol.md says what follows each of them.

A letter is one byte. It means one thing wherever it stands: whoever reads a frame, or adds to the protocol, need not
know where they are in it.
"""


class Message:
    """The first byte of a frame."""

    ASK = b"Q"
    RESULT = b"R"
    RAISED = b"E"
    CALL_BACK = b"B"
    RETURNED = b"v"
    RAISED_BACK = b"x"


class Change:
    """What changed since the last frame, behind its first byte."""

    BLOCK = b"#"
    SHARED = b"+"
    END = b"."


class Value:
    """The first byte of a value."""

    # constants, which nothing follows
    NONE = b"N"
    TRUE = b"T"
    FALSE = b"F"
    ELLIPSIS = b"_"
    NOT_IMPLEMENTED = b"n"
    # plain values, which are copied
    INT = b"i"
    LONG = b"I"
    FLOAT = b"f"
    COMPLEX = b"c"
    STR = b"s"
    BYTES = b"b"
    TUPLE = b"t"
    SET = b"S"
    FROZENSET = b"Z"
    RANGE = b":"
    SLICE = b"l"
    SCALAR = b"y"
    DTYPE = b"d"
    TYPE = b"g"
    # things that both sides hold as one
    LIST = b"L"
    DICT = b"D"
    GENERATOR = b"G"
    VIEW = b"A"
    PATCH = b"P"
    EMPTY = b"0"
    SHARED = b"*"
    # objects of the notebook
    INSTANCE = b"K"
    CLASS = b"C"
    HANDLE = b"H"
    METHOD = b"m"
    # objects of the test
    HANDED = b"X"
    NAMED = b"@"
    EXCEPTION = b"!"


def letters(kind):
    """{name: letter} of Message, Change or Value."""
    return {name: letter for name, letter in vars(kind).items() if isinstance(letter, bytes)}
