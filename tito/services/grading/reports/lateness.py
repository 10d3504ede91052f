"""What lateness costs: started days after the due date, slip days that cover some of them, and percent for the others.

Slip days are spent on the earliest due date first, as far as they last, whatever a module earned: so what was said of a
module stays true when later ones come in, and everybody can work it out. A penalty is of what was earned.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from tito.errors import ProjectError
from tito.services.grading.book.settings import grading_settings
from tito.services.grading.intake.dates import Dates
from tito.services.grading.intake.received import read_submissions
from tito.services.grading.reports.rules import exact, read_rules

DAY = 86_400  # seconds


@dataclass(frozen=True)
class LateDays:
    """days: started days after the deadline, extension included; slip: how many of them a slip day covers."""

    days: int = 0
    slip: int = 0


def started_days(seconds):
    """Days late of what came `seconds` after the deadline: a started day is one."""
    return math.ceil(seconds / DAY) if seconds and seconds > 0 else 0


def spend(days, slip_days):
    """[slip days] for each of `days`, late days of one student in the order of the due dates."""
    spent = []
    for late in days:
        spent.append(min(late, slip_days))
        slip_days -= spent[-1]
    return spent


def after_penalty(points, late, percent):
    """What is left of `points`, exact: each day that no slip day covers costs `percent` of them, up to all."""
    lost = min(Fraction(1), exact(percent) * (late.days - late.slip) / 100)
    return exact(points) * (1 - lost)


class Lateness:
    """The late days of all students of a course, as they are recorded, by its rules."""

    def __init__(self, course):
        self.course, self.rules = course, read_rules(course.project)
        self._days = self._all_days() if grading_settings(course.project) else {}

    def _all_days(self):
        """{student: {module: LateDays}}"""
        due, entries = Dates(self.course).due, read_submissions(self.course)
        order = sorted((name for name in entries if name in due), key=lambda name: (due[name]["utc"], name))
        late = {}
        for name in order:
            for student, entry in entries[name].items():
                late.setdefault(student, {})[name] = started_days(entry.get("late"))
        found = {}
        for student, of_modules in late.items():
            spent = spend(of_modules.values(), self.rules.slip_days)
            pairs = zip(of_modules.items(), spent, strict=True)
            found[student] = {name: LateDays(days, slip) for (name, days), slip in pairs}
        return found

    def of(self, student, module):
        return self._days.get(student, {}).get(module.name, LateDays())

    def penalty(self, module, submission):
        """The points that a gradebook.Submission loses: by nbgrader, or by the rules of the term.

        Raises ProjectError where both would take some.
        """
        own = self.rules.late_penalty
        if own and submission.penalty:
            raise ProjectError(
                f"{submission.student} would pay twice for being late with {module.name}: nbgrader takes "
                f"{submission.penalty:g} points, and [tool.tito.grading] late-penalty is {float(own):g}",
                f"take one out: {self.course.label(self.course.settings)}, or late-penalty in pyproject.toml; then: "
                f"tito grade autograde {module.name} --force",
                code="penalties",
            )
        if not own:
            return submission.penalty
        kept = after_penalty(submission.points, self.of(submission.student, module), own)
        return float(exact(submission.points) - kept)
