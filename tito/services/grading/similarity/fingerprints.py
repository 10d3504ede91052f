"""Fingerprints of programs by winnowing: Schleimer, Wilkerson and Aiken, Winnowing: local algorithms for document
fingerprinting, SIGMOD 2003.

Whatever run of K + WINDOW - 1 tokens two programs share, at least one fingerprint of it is in both, wherever it stands;
so functions may be put in another order. Names are all the same token, so they may be changed; comments, docstrings and
white space are none. What follows a dot keeps its name (`.sum`), since that is a library's to choose, but after `self`.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

K = 10  # tokens of a fingerprint
WINDOW = 6  # of so many fingerprints in a row one is kept
MOST = 200_000  # tokens of one program that are read
NAME, STRING = "n", "'"  # what any name and any string is


@dataclass(frozen=True)
class Token:
    """text: what is compared; line: where it stands in its text, from 0."""

    text: str
    line: int


@cache
def _lexer():
    from pygments.lexers import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)


def tokens(source):
    """The Tokens of `source`. Whatever the text is, valid Python or not, it has some."""
    from pygments.token import Comment, String, Whitespace

    found, line, before = [], 0, ("", "")  # before: the two words above, in their own spelling
    for kind, text in _lexer().get_tokens(source):
        word = text.strip()
        if word and not any(kind in one for one in (Comment, String.Doc, Whitespace)) and len(found) < MOST:
            is_attribute = before[1] == "." and before[0] != "self"
            normal = _normal(kind, word, is_attribute)
            if not (normal == STRING and found and found[-1].text == STRING):  # it comes in pieces
                found.append(Token(normal, line))
            before = (before[1], word)
        line += text.count("\n")
    return found


def _normal(kind, word, is_attribute):
    from pygments.token import Name, String

    if kind in String:
        return STRING
    return NAME if kind in Name and not is_attribute else word


def grams(found):
    """The hashes of all runs of K tokens, in order: the same in every process."""
    texts = [token.text for token in found]
    return [_hash("\0".join(texts[start : start + K])) for start in range(len(texts) - K + 1)]


def _hash(text):
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def winnow(hashes):
    """The positions of those of `hashes` that are kept: of each WINDOW in a row the smallest, of equals the last."""
    kept = []
    for start in range(max(1, len(hashes) - WINDOW + 1)):
        window = hashes[start : start + WINDOW]
        if not window:
            break
        least = min(window)
        place = start + max(index for index, value in enumerate(window) if value == least)
        if not kept or kept[-1] != place:
            kept.append(place)
    return kept
