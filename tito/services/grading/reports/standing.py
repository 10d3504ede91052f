"""Where each student stands in a module: what the gradebook, tito's records and the class list say together."""

from dataclasses import dataclass

from tito.errors import WorkError
from tito.services.grading.book import gradebook, history, records, versions
from tito.services.grading.intake.received import Received, submitted_notebook
from tito.services.grading.reports.lateness import Lateness


@dataclass(frozen=True)
class Standing:
    """One student in one module. status: as in results.STATUSES, or "waiting" for a submission that was not
    autograded as it is now.

    submission: as the gradebook has it, None where it has none; record: tito's, None likewise; late: seconds or None;
    penalty: the points that lateness takes.
    """

    student: gradebook.Student
    status: str
    submission: gradebook.Submission | None
    record: records.ScoreRecord | None
    late: float | None
    penalty: float = 0.0

    @property
    def points(self):
        """What counts, the penalty for lateness taken off; None where there is no score."""
        if self.submission is None:
            return None
        return max(0.0, self.submission.points - self.penalty)


def standings(course, module):
    """A Standing for everybody in the gradebook, on the class list, or with a submission; by id."""
    gradebook.require_assignment(course, module)
    versions.Versions(course, module).require_settled()
    received = Received(course, module)
    students = gradebook.students(course)
    recorded = {one.student: one for one in gradebook.submissions(course, module)}
    lateness, found = Lateness(course), []
    for name in sorted({*received.students(), *recorded}):
        record = records.read_record(course, module, name)
        path = submitted_notebook(course, module, name)
        status = _status(record, path)
        late = received.late(name) if path else None
        submission = recorded.get(name) if status not in ("missing", "waiting", "ungraded") else None
        penalty = lateness.penalty(module, submission) if submission else 0.0
        student = students.get(name, gradebook.Student(name))
        found.append(Standing(student, status, submission, record, late, penalty))
    return found


def _status(record, path):
    if path is None:
        return "missing"
    if record is None or record.submitted != records.file_digest(path):
        return "waiting"
    return record.result.status if record.recorded else "ungraded"


def publish(course, module, way, found):
    """Note in the history that the scores of `found` were published by `way`."""
    scored = (one for one in found if one.submission is not None)
    scores = {one.student.id: (one.record.submitted, one.points, one.submission.scores) for one in scored}
    history.publish(course, module, way, scores)


def require_graded(module, found):
    """Raise WorkError, with the list, where a submission is there and its score is not."""
    open_ones = [one for one in found if one.status in ("waiting", "ungraded")]
    if open_ones:
        names, first = [f"{one.student.id} ({_why(one)})" for one in open_ones], open_ones[0].student.id
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise WorkError(
            f"{len(names)} submission{'s' if len(names) > 1 else ''} of {module.name} without a score: {shown}",
            f"tito grade autograde {module.name}; or leave out who cannot be graded: --without {first}",
            code="ungraded",
            data={"ungraded": [{"student": one.student.id, "reason": _why(one)} for one in open_ones]},
        )


def _why(one):
    if one.status == "waiting":
        return "not autograded as it is now"
    return one.record.result.detail or "ungraded"
