"""What tito keeps about each graded submission, beside nbgrader's database: one JSON file a student and a module.

A record is written as soon as a submission is scored, so that an interrupted run loses nothing. Its key says what
was scored with what; a record with another key is out of date, and the submission is scored again.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tito.services.files import atomic_write, digest
from tito.services.grading.results import CellScore, SubmissionResult

SCHEMA = 1
SERVICES = Path(__file__).resolve().parents[1]
# what scores, and so may change a score: these, and all of grading but what comes before and after the scorer
SCORING = (
    "conventions.py",
    "kernel.py",
    "notebooks.py",
    "pristine.py",
    "strip.py",
    "syntax.py",
    "verdicts.py",
    "views.py",
)
BEFORE = ("archives", "attempts", "collect", "course", "dates", "intake", "people", "recognise", "release", "roster",
          "tables")  # fmt: skip
AFTER = ("autograde", "canvas", "exports", "feedback", "formgrade", "formgrade_server", "gradebook", "lock",
         "one_book", "pages", "recorder", "records", "report", "standing")  # fmt: skip
BESIDE = ("attacks", "audit", "audit_child", "audit_forks", "mutants", "selftest")


@dataclass(frozen=True)
class Record:
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
    try:
        document = json.loads(record_path(course, module, student).read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return None
        texts = [document[name] for name in ("key", "submitted", "graded_at")]
        return Record(*texts, _result(document["result"]), document["recorded"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(course, module, student, record):
    document = {"schema": SCHEMA, **asdict(record)}
    text = json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    atomic_write(record_path(course, module, student), text + b"\n")


def recorded_as(record, which):
    return replace(record, recorded=which)


def _result(document):
    known = {field.name for field in fields(SubmissionResult)}
    values = {name: value for name, value in document.items() if name in known}
    values["cells"] = tuple(CellScore(**cell) for cell in values["cells"])
    values["warnings"] = tuple(values["warnings"])
    values["outputs"] = {int(index): text for index, text in values["outputs"].items()}
    return SubmissionResult(**values)


# What a score depends on.


def scoring_files():
    """The files of tito that decide about a score."""
    grading = sorted((SERVICES / "grading").glob("*.py"))
    others = {*BEFORE, *AFTER, *BESIDE}
    return [*(SERVICES / name for name in SCORING), *(path for path in grading if path.stem not in others)]


def class_key(project, catalog, module, source):
    """The part of a key that is the same for a whole class: the source, what it imports, and what scores it."""
    hashed = hashlib.sha256(f"{SCHEMA} {sys.version_info[:2]}".encode())
    unseen = {other.core_file for other in catalog} - {other.core_file for other in catalog.below(module)}
    package = [path for path in sorted(project.package.rglob("*.py")) if path.name not in unseen]
    for path in [source, *scoring_files(), *package]:
        hashed.update(digest(path.read_bytes() if path.is_file() else b"").encode())
    return hashed.hexdigest()


def file_digest(path):
    """The digest of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key(submitted, of_class):
    """The key of a submission with the digest `submitted`."""
    return digest(f"{submitted} {of_class}".encode())
