"""What grading finds out about a submission: the contract between the scorer and everything that reads scores."""

from dataclasses import dataclass, field

from tito.services.pristine import in_words

# of a submission. tampered: graded, but its tests were not as handed out. ungraded: the system's own fault, run again.
STATUSES = ("graded", "tampered", "crashed", "timeout", "unreadable", "missing", "ungraded")


@dataclass(frozen=True)
class CellScore:
    """What one graded test cell earned.

    question: grade_id of the answer that it is about, None for the test of the module as a whole.
    status: passed, failed, todo, blocked, crashed, timeout or ungraded.
    hidden: whether its text stays with the instructor. second: points of the second try, in which earlier wrong
    answers were replaced by the reference's; None where there was none. reference: the questions of which the
    reference's answer stood in for a wrong one while this withheld test passed. deterred: it ran beside the
    student's code.
    """

    grade_id: str
    question: str | None
    points: float
    max_points: float
    status: str
    message: str = ""
    where: str = ""
    hidden: bool = False
    seconds: float = 0.0
    second: float | None = None
    reference: tuple = ()
    deterred: bool = False


@dataclass(frozen=True)
class SubmissionResult:
    """One submission, scored. outputs: {index of a cell in the graded notebook: what it printed, shortened}.

    isolation: "bubblewrap", "docker", "podman", "second user" or "none". detail: why the status is what it is, one
    line. changes: what was not as it was handed out, each a pristine.Deviation.
    """

    student: str
    module: str
    status: str
    detail: str = ""
    cells: tuple = ()
    outputs: dict = field(default_factory=dict)
    changes: tuple = ()
    isolation: str = ""
    seconds: float = 0.0

    @property
    def warnings(self):
        """`changes` in words, a sentence a kind."""
        return in_words(self.changes)

    @property
    def points(self):
        return sum(cell.points for cell in self.cells)

    @property
    def max_points(self):
        return sum(cell.max_points for cell in self.cells)

    @property
    def second_points(self):
        """The points with the second try, where it was better."""
        return sum(counted(cell, second_try=True) for cell in self.cells)


def counted(score, second_try):
    """The points of a cell that count. second_try: whether those of the second try do, where they are more."""
    return score.points if score.second is None or not second_try else max(score.points, score.second)
