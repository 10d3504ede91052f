"""Codes instead of names, for graders who shall not know whose answer they read.

A code comes from a secret of the class: the same student has the same one in a module whenever it is made, another one
in every other module, and nobody gets from it to the name without the secret.
"""

import hashlib
import hmac
import secrets

from tito.errors import TitoError

RECORD = "codes.json"
# no vowels and no digits: no code is a word, and none is a number or a date to a spreadsheet
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH, GROUP = 12, 4


def codes(course, module, students):
    """{student: code} of `students` in `module`. Makes the secret of the class where there is none yet."""
    secret = _secret(course)
    found = {student: _code(secret, module.name, student) for student in students}
    if len({*found.values()}) < len(found):
        raise TitoError(f"two students have the same code in {module.name}", "report this: it is all but impossible")
    return found


def _secret(course):
    record = course.read_record(RECORD)
    if "secret" not in record:
        record["secret"] = secrets.token_hex(32)
        course.write_record(RECORD, record)
        (course.state / RECORD).chmod(0o600)
    return bytes.fromhex(record["secret"])


def _code(secret, module, student):
    number = int.from_bytes(hmac.digest(secret, f"{module}\0{student}".encode(), hashlib.sha256))
    letters = ""
    for _ in range(LENGTH):
        number, letter = divmod(number, len(LETTERS))
        letters += LETTERS[letter]
    return "-".join(letters[start : start + GROUP] for start in range(0, LENGTH, GROUP))
