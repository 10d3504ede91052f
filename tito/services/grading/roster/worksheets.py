"""Moodle's offline grading worksheet: which of its columns is what, in whatever language its titles are.

The order of the columns is Moodle's (mod/assign/gradingtable.php): identifier, name and what identifies somebody,
status, perhaps group and marker, grade, maximum grade, perhaps the state of the workflow, whether the grade can be
changed, times, and the comment last. So the maximum, one number in all rows, tells where the grade is.
"""

import re
from dataclasses import dataclass

PARTICIPANT = re.compile(r"(\D+?)(\d+)")  # "Participant 123", in the language of whoever downloaded it
DATE_AND_TIME = re.compile(r"\d:\d\d")
LOCKED = ("no", "nein", "non", "não", "nee", "nej", "nei", "ei", "nie", "ne", "нет", "ні", "いいえ", "否", "لا")


@dataclass(frozen=True)
class WorksheetColumns:
    """Where things are. can_change, comment: None where the worksheet has no such column."""

    participant: int
    grade: int
    maximum: int
    can_change: int | None
    comment: int | None


def worksheet_columns(titles, rows):
    """The WorksheetColumns of a table, None where it is no worksheet. rows: texts by the number of their column."""
    if not rows or not _are_participants([row[0] for row in rows]):
        return None
    maximum = _maximum(titles, rows)
    if maximum is None:
        return None
    behind = range(maximum + 1, len(titles))
    can_change = _titled(titles, "gradecanbechanged") or next((one for one in behind if _few_words(rows, one)), None)
    comment = _titled(titles, "feedbackcomments")
    if comment is None and len(behind) > 1 and not _are_times([row[len(titles) - 1] for row in rows]):
        comment = len(titles) - 1
    return WorksheetColumns(0, maximum - 1, maximum, can_change, comment)


def participant(text):
    """The number in Moodle's "Participant 123"; "" for what is none."""
    found = PARTICIPANT.fullmatch(text)
    return found[2] if found else ""


def is_locked(text):
    """Whether Moodle says of a grade that it cannot be changed."""
    return text.casefold() in LOCKED


def amount(text):
    """The number that a text says, with a point or a comma; None for what is no number."""
    try:
        return float(re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)", text.strip())[0].replace(",", "."))
    except TypeError:
        return None


def _are_participants(texts):
    found = [PARTICIPANT.fullmatch(text) for text in texts]
    return all(found) and len({match[1] for match in found}) == 1


def _titled(titles, wanted):
    plain = ["".join(char for char in title.casefold() if char.isalnum()) for title in titles]
    return plain.index(wanted) if wanted in plain else None


def _maximum(titles, rows):
    named = _titled(titles, "maximumgrade")
    if named:
        return named if amount(rows[0][named]) else None
    found = [column for column in range(2, len(titles)) if _is_maximum(rows, column)]
    return found[0] if len(found) == 1 else None


def _is_maximum(rows, column):
    """Whether a column holds the same number everywhere, and the one before it numbers up to that, or nothing."""
    most = {amount(row[column]) for row in rows}
    if len(most) > 1 or not (most := most.pop()):
        return False
    grades = [amount(row[column - 1]) if row[column - 1] else 0 for row in rows]
    return all(grade is not None and 0 <= grade <= most for grade in grades)


def _few_words(rows, column):
    """Whether a column says yes or no: one or two words in all rows, no times."""
    said = {row[column] for row in rows}
    return len(said) <= 2 and all(text and not re.search(r"\d", text) and len(text) <= 10 for text in said - {"-"})


def _are_times(texts):
    """Whether texts are Moodle's times, of which those that are not known are a dash and none is empty."""
    return all(text == "-" or DATE_AND_TIME.search(text) for text in texts)
