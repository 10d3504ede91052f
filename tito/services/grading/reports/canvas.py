"""The table that Canvas imports into its gradebook: its own columns of the students, as they came with the class
list, and one column a module.
"""

import re

from tito.errors import UsageError
from tito.services.grading.roster.class_list import CANVAS_IDENTITY, read_roster
from tito.services.grading.roster.people import folded

CANVAS_ID = re.compile(r" \(\d+\)$")  # Canvas writes the number of the assignment behind its name
POINTS = "Points Possible"
WITHOUT_RUN = ("unreadable",)


def canvas_rows(course, found, missing_as_zero=False, without=()):
    """(rows of the table with the titles first, warnings). found: {module: its standings}; without: ids left out.

    Raises UsageError where the class list did not come from Canvas.
    """
    roster = read_roster(course)
    listed = [one for one in roster.sorted if one.canvas and one.id not in without]
    if not listed:
        raise UsageError(
            "the class list did not come from Canvas, whose ids an import needs",
            "in Canvas: Grades, Export; then: tito grade roster import FILE",
        )
    identity = [title for title in CANVAS_IDENTITY if any(title in one.canvas for one in listed)]
    titles = {module: _title(module, roster.canvas_columns) for module in found}
    most, warnings = {}, []
    for module, standings in found.items():
        most[module] = next((one.submission.max_points for one in standings if one.submission), None)
        warnings += _warnings(module, titles[module], roster.canvas_columns, most[module])
        broken = sorted(one.student.id for one in standings if one.status in WITHOUT_RUN)
        if broken:
            warnings.append(f"could not be run, and count as 0 points for {module.name}: {', '.join(broken)}")
    rows = [[*identity, *titles.values()]]
    points = [_given(roster.canvas_columns, titles[module]) or most[module] for module in found]
    rows.append([f"    {POINTS}", *[""] * (len(identity) - 1), *points])
    scores = {module: {one.student.id: one for one in standings} for module, standings in found.items()}
    for one in listed:
        values = [_score(scores[module].get(one.id), missing_as_zero) for module in found]
        rows.append([*(one.canvas.get(title, "") for title in identity), *values])
    known = {one.id for one in listed}
    others = sorted({name for of_module in scores.values() for name in of_module} - known)
    if others:
        warnings.append(f"not in Canvas's list, and left out: {', '.join(others)}")
    return rows, warnings


def _score(standing, missing_as_zero):
    if standing is None or standing.points is None:
        return 0 if missing_as_zero else None
    return standing.points


def _title(module, columns):
    """Canvas's title of a module's assignment: the one that came in, or the module's name for a new one."""
    return assignment_column(module, {title: title for title in columns}) or module.name


def assignment_column(module, columns):
    """Of columns ({title: anything}) the one that is a module's assignment, by what it may be called; None for none."""
    plain = {folded(CANVAS_ID.sub("", title)): one for title, one in columns.items() if title not in CANVAS_IDENTITY}
    for name in (module.name, f"{module.number:02d} {module.title}", module.title, module.short):
        if folded(name) in plain:
            return plain[folded(name)]
    return None


def _given(columns, title):
    """The points that Canvas gives for a column, None where it says no number."""
    try:
        return float(columns.get(title, ""))
    except ValueError:
        return None


def _warnings(module, title, columns, most):
    given = _given(columns, title)
    if title not in columns:
        yield f"Canvas had no assignment {module.name}; it will ask whether {title!r} is a new one"
    elif given is not None and most is not None and given != most:
        yield f"Canvas gives {given:g} points for {title!r}, {module.name} has {most:g}; the points stay as here"
