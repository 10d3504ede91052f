"""What tito keeps about each graded submission, beside nbgrader's database: one JSON file a student and a module.

A record is written as soon as a submission is scored, so that an interrupted run loses nothing. Its key says what
was scored with what; a record with another key is out of date, and the submission is scored again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace

from tito.services.files import atomic_write
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.pristine import Deviation

SCHEMA = 2


@dataclass(frozen=True)
class ScoreRecord:
    """A scored submission. submitted: the digest of the file; graded_at: ISO 8601; recorded: which score stands in the
    gradebook, "first", "second", or "" where none does yet.
    """

    key: str
    submitted: str
    graded_at: str
    result: SubmissionResult
    recorded: str = ""


def records_folder(course, module):
    return course.state / "results" / module.name


def record_path(course, module, student):
    return records_folder(course, module) / f"{student}.json"


def read_record(course, module, student):
    """The record of a submission; None where there is none that can be read."""
    return read_record_at(record_path(course, module, student))


def read_record_at(path):
    """The record in the file `path`; None where there is none that can be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return None
        texts = [document[name] for name in ("key", "submitted", "graded_at")]
        return ScoreRecord(*texts, _result(document["result"]), document["recorded"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(course, module, student, record):
    write_record_at(record_path(course, module, student), record)


def write_record_at(path, record):
    document = {"schema": SCHEMA, **asdict(record)}
    text = json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    atomic_write(path, text + b"\n")


def _result(document):
    known = {field.name for field in fields(SubmissionResult)}
    values = {name: value for name, value in document.items() if name in known}
    cells = (CellScore(**cell) for cell in values["cells"])
    values["cells"] = tuple(replace(cell, reference=tuple(cell.reference)) for cell in cells)
    values["changes"] = tuple(Deviation(**change) for change in values["changes"])
    values["outputs"] = {int(index): text for index, text in values["outputs"].items()}
    return SubmissionResult(**values)


def file_digest(path):
    """The digest of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
