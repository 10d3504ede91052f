"""Names and ids of students: how they are compared, and how an id is made that every file system and nbgrader take."""

import re
import unicodedata

LONGEST = 100  # nbgrader's column holds 128 characters, and a path has other parts
UNSAFE = re.compile(r"[^\w.@-]+")
# names that Windows keeps for devices, whatever their suffix
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_id(text):
    """An id from `text` that is a folder name everywhere: letters of any script, digits, and . _ @ - inside.

    "" where nothing of the text is left. The same text in another Unicode normalisation gives the same id.
    """
    kept = UNSAFE.sub("-", unicodedata.normalize("NFC", text).strip())[:LONGEST].strip("-.")
    return f"{kept}_" if RESERVED.fullmatch(kept) else kept


def folded(text):
    """`text` as names are compared: without case, accents, spaces and signs."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in plain if char.isalnum())


def name_keys(*names):
    """All that a file name may make of a person's `names` (whole names, or parts of one in order).

    An LMS drops spaces and signs, puts the last name first, and may drop the letters that are not ASCII as well.
    """
    parts = [part for part in names if part.strip()]
    orders = {" ".join(parts), " ".join(reversed(parts))}
    for name in names:
        last, comma, first = name.partition(",")
        if comma:
            orders |= {f"{first} {last}", f"{last} {first}"}
    ascii_only = {re.sub(r"[^\x00-\x7f]", "", order) for order in orders}
    return {key for key in map(folded, orders | ascii_only) if key}
