"""What nbgrader's database says, for feedback, exports and reports."""

from dataclasses import dataclass
from datetime import datetime

from tito.errors import ProjectError


@dataclass(frozen=True)
class Grade:
    """What a graded cell earned, with a person's part in it. auto: None where only a person can say; by_person: a
    person's points, None where there are none; waiting: a person has to look at it.
    """

    name: str
    auto: float | None
    by_person: float | None
    extra: float
    max_points: float
    written: bool
    waiting: bool

    @property
    def empty(self):
        """Whether it is an answer in words that was left as it was handed out, which is no point and no work."""
        return self.written and self.auto is not None and self.by_person is None

    @property
    def points(self):
        score = self.auto if self.by_person is None else self.by_person
        return (score or 0) + self.extra


@dataclass(frozen=True)
class Submission:
    """A submission as nbgrader has it. grades and comments by the name of their cell; penalty: for being late."""

    student: str
    points: float
    max_points: float
    penalty: float
    submitted_at: datetime | None
    grades: dict
    comments: dict

    @property
    def waiting(self):
        return [grade.name for grade in self.grades.values() if grade.waiting]

    @property
    def scores(self):
        """{name of a graded cell: its points}"""
        return {name: grade.points for name, grade in self.grades.items()}


@dataclass(frozen=True)
class Student:
    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""

    @property
    def name(self):
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.id


def students(course):
    """{id: Student} of everybody in the gradebook."""
    with course.open_gradebook() as book:
        return {
            one.id: Student(one.id, one.first_name or "", one.last_name or "", one.email or "") for one in book.students
        }


def submissions(course, module):
    """Yield a Submission for each that the gradebook has of `module`."""
    with course.open_gradebook() as book:
        for one in book.assignment_submissions(module.name):
            notebook = next((found for found in one.notebooks if found.name == module.notebook.stem), None)
            if notebook is None:
                continue
            grades = [
                Grade(
                    name=grade.name,
                    auto=grade.auto_score,
                    by_person=grade.manual_score,
                    extra=grade.extra_credit or 0,
                    max_points=grade.max_score,
                    written=grade.cell.cell_type == "markdown",
                    waiting=bool(grade.needs_manual_grade),
                )
                for grade in notebook.grades
            ]
            yield Submission(
                student=one.student_id,
                points=one.score,
                max_points=one.max_score,
                penalty=one.late_submission_penalty or 0,
                submitted_at=one.timestamp,
                grades={grade.name: grade for grade in grades},
                comments={comment.name: comment.comment for comment in notebook.comments if comment.comment},
            )


def waiting(course, module):
    """{student: names of the cells that a person has to look at} of `module`, without those that have none."""
    from nbgrader.api import Assignment, Grade, SubmittedAssignment, SubmittedNotebook

    found = {}
    with course.open_gradebook() as book:
        query = (
            book.db.query(SubmittedAssignment.student_id, Grade)
            .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
            .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .filter(Assignment.name == module.name, Grade.needs_manual_grade)
        )
        for student, grade in query:
            found.setdefault(student, []).append(grade.name)
    return {student: tuple(sorted(names)) for student, names in found.items()}


def require_assignment(course, module):
    from nbgrader.api import MissingEntry

    with course.open_gradebook() as book:
        try:
            book.find_notebook(module.notebook.stem, module.name)
        except MissingEntry:
            raise ProjectError(
                f"{module.name} is not in the gradebook: it was not released from this course folder",
                f"tito grade release {module.name}",
                code="not-released",
            ) from None


def worth(course, module):
    """All points of `module`, those of answers in words included."""
    with course.open_gradebook() as book:
        return book.find_assignment(module.name).max_score


def recorded_students(course, module):
    """The students for whom the gradebook has a submission of `module`."""
    with course.open_gradebook() as book:
        return {submission.student_id for submission in book.assignment_submissions(module.name)}


def submission_pages(course, module):
    """{student: number of the page in the formgrader} of every submission of `module`."""
    with course.open_gradebook() as book:
        return {
            one.student_id: notebook.id
            for one in book.assignment_submissions(module.name)
            for notebook in one.notebooks
            if notebook.name == module.notebook.stem
        }
