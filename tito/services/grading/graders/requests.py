"""Requests to look at a score again: each a row with its reason in the record, open until somebody answers it.

A request about a written answer puts the answer back among those that wait for a person; points that come in close it.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from tito.errors import UsageError
from tito.services.grading.book import gradebook
from tito.services.grading.book.course import require_course
from tito.services.grading.roster.class_list import find_student
from tito.services.words import number

RECORD = "requests.json"


@dataclass(frozen=True)
class Request:
    """question: a graded cell, "" for the module as a whole; points: those it had when it was asked; at, closed_at: in
    UTC, ISO 8601; answer: "" while it is open.
    """

    number: int
    module: str
    student: str
    question: str
    reason: str
    at: str
    points: float
    answer: str = ""
    closed_at: str = ""

    @property
    def is_open(self):
        return not self.closed_at


def read_requests(course, module=None):
    """All requests, or those about `module`, in the order in which they came."""
    rows = (Request(**row) for row in course.read_record(RECORD).get("requests", []))
    return [row for row in rows if module is None or row.module == module.name]


def add(project, module, student, reason, question=""):
    """Record a request; returns the Request. The same one once more is the one that is open.

    Raises UsageError for a student without a score, and a question that is none of the module's graded cells.
    """
    course = require_course(project)
    if not reason.strip():
        raise UsageError("a request says why", f'tito grade request add {module.name} {student} "the reason"')
    submissions = {one.student: one for one in gradebook.submissions(course, module)}
    student = find_student(course, student, also=submissions)
    submission = submissions.get(student)
    if submission is None:
        raise UsageError(
            f"{student} has no score in {module.name}", f"tito grade autograde {module.name} --student {student}"
        )
    grade = submission.grades.get(question)
    if question and grade is None:
        known = ", ".join(submission.grades)
        raise UsageError(f"{module.name} has no graded cell {question!r}; it has {known}", "name one of them")
    with course.locked(f"tito grade request add {module.name} {student}"):
        rows = read_requests(course)
        for row in rows:
            same = (row.module, row.student, row.question, row.reason) == (module.name, student, question, reason)
            if same and row.is_open:
                return row
        points = grade.points if grade else submission.points
        row = Request(len(rows) + 1, module.name, student, question, reason, _now(), points)
        if grade and grade.written:
            with course.open_gradebook() as book:
                place = (question, module.notebook.stem, module.name, student)
                book.find_grade(*place).needs_manual_grade = True
                book.db.commit()
        _keep(course, [*rows, row])
    return row


def close(project, wanted, answer):
    """Answer the request with the number `wanted`; returns it. Raises UsageError where it is not open."""
    course = require_course(project)
    with course.locked(f"tito grade request close {wanted}"):
        rows = read_requests(course)
        row = next((one for one in rows if one.number == wanted), None)
        if row is None or not row.is_open:
            said = f"was closed at {row.closed_at}: {row.answer}" if row else "does not exist"
            raise UsageError(f"request {wanted} {said}", "tito grade request list")
        if not answer.strip():
            raise UsageError("an answer says something", f'tito grade request close {wanted} "the answer"')
        closed = replace(row, answer=answer, closed_at=_now())
        _keep(course, [closed if one is row else one for one in rows])
    return closed


def open_reasons(course, module):
    """{(student, question): the reasons} of the requests about `module` that are open."""
    found = {}
    for row in read_requests(course, module):
        if row.is_open:
            found.setdefault((row.student, row.question), []).append(row.reason)
    return {key: "\n".join(reasons) for key, reasons in found.items()}


def close_scored(course, module, scored):
    """Close the requests about what was scored by a person just now; returns their numbers.

    scored: (student, question) of each. The course is locked by the caller.
    """
    rows, scored = read_requests(course), set(scored)
    closing = [
        one for one in rows if one.is_open and one.module == module.name and (one.student, one.question) in scored
    ]
    if closing:
        points = {
            (one.student, name): grade.points
            for one in gradebook.submissions(course, module)
            for name, grade in one.grades.items()
        }
        done = {
            one.number: replace(one, answer=_scored(one, points[one.student, one.question]), closed_at=_now())
            for one in closing
        }
        _keep(course, [done.get(one.number, one) for one in rows])
    return tuple(one.number for one in closing)


def _scored(row, points):
    return f"scored again: {number(row.points)} points before, {number(points)} now"


def _keep(course, rows):
    course.write_record(RECORD, {"requests": [asdict(row) for row in rows]})


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds")
