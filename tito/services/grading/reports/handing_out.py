"""What an instructor hands out after the notebooks: a module to adopt for who is stuck, and the worked solution."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tito.errors import ProjectError, UsageError
from tito.services import adopted, solutions
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.dates import Dates
from tito.services.grading.roster.class_list import find_student

RECORD = "adoptable.json"
ALL = "all"  # in the record: for everybody


@dataclass(frozen=True)
class HandedOut:
    """Files of a module to hand out, each for a student's id or for "all": {who: path}."""

    module: str
    version: str
    files: dict[str, Path]


def release_adopt(project, catalog, module, students=(), *, everybody=False):
    """Write the file with which students adopt `module`, for the `students` that are named or for all.

    For whom it was made is kept. Raises UsageError for somebody who is not in the class list.
    """
    course = require_course(project)
    if bool(students) == everybody:
        raise UsageError(
            "name students, or give --all", f"tito grade release-adopt {module.name} --student ID", code="whom"
        )
    course.prepare()
    with course.locked("tito grade release-adopt"):
        whom = [ALL] if everybody else list(dict.fromkeys(find_student(course, text) for text in students))
        made = adopted.make(project, catalog, module)
        files = {who: _adopt_path(course, module, who) for who in whom}
        for path in files.values():
            atomic_write(path, made.text)
        record = course.read_record(RECORD)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for who in whom:
            record.setdefault(module.name, {})[who] = {"at": now, "course_version": made.version}
        course.write_record(RECORD, record)
    return HandedOut(module.name, made.version, files)


def _adopt_path(course, module, who):
    folder = course.root / "adopt"
    return (folder if who == ALL else folder / who) / f"{module.name}_adopt.py"


def worked_solution(project, module, *, before_due=False):
    """Write the solution of `module` as a notebook and a page. Returns a solutions.Solution.

    Raises ProjectError before the last deadline, extensions included, and where there is none, unless before_due.
    """
    course = require_course(project)
    course.prepare()
    if not before_due:
        _require_over(course, module)
    return solutions.write(project, module, course.root / "solutions")


def _require_over(course, module):
    dates = Dates(course)
    due = dates.deadline(module)
    hint = f"tito grade solutions {module.name} --before-due"
    if due is None:
        raise ProjectError(f"{module.name} has no due date: nobody knows who still works on it", hint, code="not-due")
    whom = [None, *dates.extensions.get(module.name, {})]
    last = max((dates.deadline(module, student) for student in whom), key=lambda one: one.at)
    if last.at > datetime.now(UTC):
        who = "the last extension" if last.at > due.at else "the due date"
        raise ProjectError(f"{module.name} can be handed in until {last.words}, {who}", hint, code="not-due")
