"""The sum of a term: what all modules of a student come to together.

A module counts with the part of its points that was earned, after the penalty for lateness, times its weight; without
weights that is its points, so that a point is a point everywhere. The modules that are left out, as many as the rules
say and never the last one, are those without which the sum is largest. The sum is in percent, computed exactly and
rounded once, half up, to two decimals.

A module that was handed in counts as soon as there is a score; one that was not counts as none of its points once the
student's deadline is over, and not at all before, or where there is no due date.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

from tito.catalog import read_catalog
from tito.services.grading.book import gradebook, history
from tito.services.grading.intake.dates import Dates
from tito.services.grading.intake.received import submitted_notebook
from tito.services.grading.reports.lateness import LateDays, Lateness
from tito.services.grading.reports.rules import exact, read_rules, require_weights
from tito.services.words import number

COUNTS, DROPPED, OPEN, WITHOUT_WEIGHT = "counts", "dropped", "open", "weighs nothing"


@dataclass(frozen=True)
class TermPart:
    """One module in a sum. points: after the penalty, None where there are none yet; worth: all its points; weight:
    None where that is its points. late: its LateDays; missing: nothing was handed in. state: whether it counts.
    """

    module: str
    points: Fraction | None
    worth: Fraction
    weight: Fraction | None = None
    late: LateDays = LateDays()
    missing: bool = False
    state: str = COUNTS

    @property
    def share(self):
        return self.points / self.worth

    @property
    def weighs(self):
        return self.worth if self.weight is None else self.weight


@dataclass(frozen=True)
class TermSum:
    """percent: None where nothing counts yet; parts: in the order of the course."""

    percent: float | None
    parts: tuple

    @property
    def slip_days(self):
        return sum(part.late.slip for part in self.parts)

    def names(self, state):
        return tuple(part.module for part in self.parts if part.state == state)


def sum_up(parts, drop_lowest=0):
    """The TermSum of `parts`."""
    parts = [replace(part, state=_state(part)) for part in parts]
    places = [place for place, part in enumerate(parts) if part.state == COUNTS]
    for place in _dropped(parts, places, min(drop_lowest, len(places) - 1)):
        parts[place] = replace(parts[place], state=DROPPED)
    mean = _mean([part for part in parts if part.state == COUNTS])
    return TermSum(None if mean is None else rounded(100 * mean), tuple(parts))


def _state(part):
    if part.points is None:
        return OPEN
    return COUNTS if part.worth and part.weighs else WITHOUT_WEIGHT


def _mean(parts):
    weight = sum(part.weighs for part in parts)
    return sum(part.weighs * part.share for part in parts) / weight if weight else None


def _dropped(parts, places, count):
    """The `count` of `places` without which the mean is largest, those that come first where several are alike.

    By Dinkelbach: against a mean that can be reached, who pulls it down most is left out, until it grows no more.
    """
    if count < 1:
        return []
    mean, dropped = _mean([parts[place] for place in places]), None
    while True:
        pull = sorted(places, key=lambda place: (parts[place].weighs * (parts[place].share - mean), place))
        reached = _mean([parts[place] for place in pull[count:]])
        if dropped is not None and reached <= mean:
            return dropped
        mean, dropped = reached, pull[:count]


def rounded(value, decimals=2):
    """A Fraction as a float of so many decimals, half up."""
    scale = 10**decimals
    return float(Fraction((value * scale + Fraction(1, 2)).__floor__(), scale))


class Term:
    """The sums of a course. modules: those that are summed up, in the order of the course."""

    def __init__(self, course, catalog, modules, *, missing_as_zero=False):
        self.course, self.modules, self.missing_as_zero = course, modules, missing_as_zero
        self.rules = read_rules(course.project, catalog)
        require_weights(course.project, self.rules, modules)
        self.late, self.dates = Lateness(course), Dates(course)
        self.worth = {module: exact(float(gradebook.worth(course, module))) for module in modules}
        self.now = datetime.now(UTC)

    def of(self, student, points):
        """The TermSum of a student. points: {module: points after the penalty}, without those that have no score."""
        parts = [self._part(student, module, points.get(module)) for module in self.modules]
        return sum_up(parts, self.rules.drop_lowest)

    def _part(self, student, module, points):
        missing = points is None and submitted_notebook(self.course, module, student) is None
        if missing and (self.missing_as_zero or self._is_over(student, module)):
            points = 0.0
        weights = self.rules.weights
        return TermPart(
            module=module.name,
            points=None if points is None else exact(float(points)),
            worth=self.worth[module],
            weight=None if weights is None else weights[module.name],
            late=self.late.of(student, module),
            missing=missing,
        )

    def _is_over(self, student, module):
        deadline = self.dates.deadline(module, student)
        return deadline is not None and deadline.at < self.now


class TermSoFar:
    """The sums of what was published, for pages that people read: they agree with what was told before.

    module: whose page is being written; it is among them.
    """

    def __init__(self, course, module):
        catalog = read_catalog(course.project)
        self.module = module
        self.told = {one: history.published(course, one) for one in catalog}
        self.term = Term(course, catalog, [one for one in catalog if self.told[one] or one.name == module.name])

    def of(self, student, points=None):
        """The TermSum of a student. points: those of the page that is being written, None where there are none."""
        found = {one: told[student].total for one, told in self.told.items() if student in told}
        if points is not None:
            found[next(one for one in self.term.modules if one.name == self.module.name)] = points
        return self.term.of(student, found)

    def rows(self, summed):
        """The parts of a TermSum for a table: module, points, weight, remarks."""
        return [
            [part.module, _earned(part), number(float(part.weighs)), "; ".join(_remarks(part))] for part in summed.parts
        ]


def _earned(part):
    return "" if part.points is None else f"{number(float(part.points))} of {number(float(part.worth))}"


def _remarks(part):
    if part.missing:
        yield "nothing handed in"
    if part.late.days:
        slip = f", {_days(part.late.slip, 'slip day')} spent" if part.late.slip else ""
        yield f"{_days(part.late.days, 'day')} late{slip}"
    if part.state == DROPPED:
        yield "left out, as one of the lowest"
    elif part.state == OPEN:
        yield "does not count yet"
    elif part.state == WITHOUT_WEIGHT:
        yield "not part of the sum"


def _days(count, word):
    return f"{count} {word}{'s' if count != 1 else ''}"
