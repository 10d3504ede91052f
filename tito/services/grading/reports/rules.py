"""The rules of a term, in `[tool.tito.grading]` of the course's pyproject.toml:

weights = {01_tensor = 1, 09_spatial = 3}    what a module counts in the sum; without it, its points
drop-lowest = 1                              modules that are left out of the sum
slip-days = 5                                days late in a term that cost nothing
late-penalty = 10                            percent of the points, for each day late that no slip day covers

All of them may be left out.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from tito.errors import UsageError
from tito.services.grading.book.settings import grading_settings, wrong_setting

NAMES = ("weights", "drop-lowest", "slip-days", "late-penalty")


@dataclass(frozen=True)
class Rules:
    """weights: {name of a module: its weight}, None where points decide; late_penalty: percent a day. stated: whether
    the course says anything of its term.
    """

    weights: dict | None = None
    drop_lowest: int = 0
    slip_days: int = 0
    late_penalty: Fraction = Fraction(0)
    stated: bool = False


def read_rules(project, catalog=None):
    """The Rules of `project`. catalog: without it weights are not read. Raises ProjectError for what makes no sense."""
    table = grading_settings(project)
    whole = {name: _whole(project, name, table.get(name, 0)) for name in ("drop-lowest", "slip-days")}
    penalty = _number(project, "late-penalty", table.get("late-penalty", 0))
    if penalty > 100:
        raise wrong_setting(project, f"[tool.tito.grading] late-penalty is {penalty:g}", "it is percent, at most 100")
    return Rules(
        weights=_weights(project, catalog, table["weights"]) if catalog and "weights" in table else None,
        drop_lowest=whole["drop-lowest"],
        slip_days=whole["slip-days"],
        late_penalty=exact(penalty),
        stated=any(name in table for name in NAMES),
    )


def require_weights(project, rules, modules):
    """Raise ProjectError where there are weights and one of `modules` has none."""
    missing = [one.name for one in modules if rules.weights is not None and one.name not in rules.weights]
    if missing:
        raise wrong_setting(
            project,
            f"[tool.tito.grading] weights say nothing of {', '.join(missing)}, which is to be summed up",
            f"add {missing[0]} = 1; with 0 it is left out of the sum",
        )


def exact(value):
    """The number that a person reads in `value`: 0.1 is a tenth."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def _weights(project, catalog, table):
    if not isinstance(table, dict) or not table:
        raise wrong_setting(project, f"[tool.tito.grading] weights is {table!r}", "write {01_tensor = 1, …}")
    found = {}
    for name, value in table.items():
        try:
            module = catalog.find(name).name
        except UsageError as error:
            raise wrong_setting(project, f"[tool.tito.grading] weights: {error.message}", error.hint) from error
        if module in found:
            raise wrong_setting(project, f"[tool.tito.grading] weights names {module} twice", "name it once")
        found[module] = exact(_number(project, f"weights.{name}", value))
    return found


def _number(project, name, value):
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if not fits:
        raise wrong_setting(project, f"[tool.tito.grading] {name} is {value!r}", "write a number, 0 or more")
    return value


def _whole(project, name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong_setting(project, f"[tool.tito.grading] {name} is {value!r}", "write a whole number, 0 or more")
    return value
