"""The sums of a term as tables for other programs: a row a student, or the one column that Canvas imports."""

from dataclasses import asdict, dataclass
from types import SimpleNamespace

from tito.errors import UsageError
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.reports.canvas import POINTS
from tito.services.grading.reports.filling import FillOptions, put_into
from tito.services.grading.reports.score_tables import as_csv
from tito.services.grading.reports.standing import publish, require_graded, standings
from tito.services.grading.reports.term import COUNTS, DROPPED, Term
from tito.services.grading.roster.class_list import CANVAS_IDENTITY, find_student, read_roster

TOTAL = "Total"
FORMATS = {False: ("csv", "canvas"), True: ("canvas", "moodle")}  # on its own, and into a file that an LMS gave


@dataclass(frozen=True)
class Totals:
    """sums: {student: its TermSum}; the rest as of a score_tables.Export. open: {student: modules that were not handed
    in, and do not count because they may still be}.
    """

    text: str
    sums: dict
    open: dict
    waiting: int
    without: tuple = ()
    warnings: tuple = ()


def export_totals(project, catalog, modules, *, form="csv", into=None, output=None, options=None):
    """The sums over `modules` in the format `form`; into the file `output`, where one is given.

    into: a file that Canvas or Moodle gave, whose column is filled. options: a FillOptions. Raises WorkError, with a
    list, where a submission is not graded, ProjectError where the rules make no sense, UsageError for a format that has
    no sums.
    """
    course, options = require_course(project), options or FillOptions()
    if form not in FORMATS[into is not None]:
        words = " or ".join(f"--format {one}" for one in FORMATS[into is not None])
        raise UsageError(f"there are no sums in the format {form} {'into' if into else 'without'} a file", words)
    found = {module: standings(course, module) for module in modules}
    people = {one.student.id: one.student for all_of_it in found.values() for one in all_of_it}
    without = {find_student(course, text, also=people) for text in options.without}
    found = {module: [one for one in all_of_it if one.student.id not in without] for module, all_of_it in found.items()}
    for module, all_of_it in found.items():
        require_graded(module, all_of_it)
    term = Term(course, catalog, modules, missing_as_zero=options.missing_as_zero)
    points = {student: {} for student in sorted(people) if student not in without}
    for module, all_of_it in found.items():
        for one in all_of_it:
            if one.points is not None:
                points[one.student.id][module] = one.points
    sums = {student: term.of(student, of_modules) for student, of_modules in points.items()}
    text, warnings = _written(course, people, modules, sums, without, form, into, output, options)
    if output:
        for module, all_of_it in found.items():
            publish(course, module, f"export {form} --total", all_of_it)
    waiting = (one for all_of_it in found.values() for one in all_of_it if one.submission and one.submission.waiting)
    opened = {
        student: [part.module for part in summed.parts if part.missing and part.points is None]
        for student, summed in sums.items()
    }
    return Totals(
        text=text,
        sums=sums,
        open={student: names for student, names in opened.items() if names},
        waiting=sum(1 for _ in waiting),
        without=tuple(sorted(without)),
        warnings=tuple(warnings),
    )


def _written(course, people, modules, sums, without, form, into, output, options):
    """(the table as text, warnings), after it was written where `output` says so."""
    if into:
        scores = {student: _as_standing(people[student], summed) for student, summed in sums.items()}
        about = SimpleNamespace(name=TOTAL, number=0, title=TOTAL, short=TOTAL)
        done = put_into(course, about, scores, without, into, form=form, output=output, options=options)
        return done.text, done.warnings
    rows, warnings = _rows(people, modules, sums), []
    if form == "canvas":
        rows, warnings = _canvas_rows(course, sums)
    text = as_csv(rows)
    if output:
        atomic_write(output, text.encode("utf-8-sig" if form != "canvas" else "utf-8", "replace"))
    return text, warnings


def _as_standing(student, summed):
    """A sum as the score of something that has 100 points."""
    submission = SimpleNamespace(max_points=100.0, comments={}, waiting=()) if summed.percent is not None else None
    status = "graded" if submission else "missing"
    return SimpleNamespace(student=student, points=summed.percent, submission=submission, status=status)


def as_data(summed):
    """A TermSum for a document."""
    parts = [
        {
            **asdict(part),
            "points": None if part.points is None else float(part.points),
            "worth": float(part.worth),
            "weight": float(part.weighs),
            "late": {"days": part.late.days, "slip_days": part.late.slip},
        }
        for part in summed.parts
    ]
    return {"percent": summed.percent, "slip_days": summed.slip_days, "parts": parts}


def _rows(people, modules, sums):
    names = [module.name for module in modules]
    yield ["student", "last_name", "first_name", "email", *names, "total_percent", "counted", "left_out", "late_days",
           "slip_days"]  # fmt: skip
    for student, summed in sums.items():
        person = people[student]
        points = [None if part.points is None else float(part.points) for part in summed.parts]
        yield [
            *(person.id, person.last_name, person.first_name, person.email, *points, summed.percent),
            len(summed.names(COUNTS)),
            " ".join(summed.names(DROPPED)),
            sum(part.late.days for part in summed.parts),
            summed.slip_days,
        ]


def _canvas_rows(course, sums):
    """Canvas's import with one column, of which 100 points are all; and warnings."""
    roster = read_roster(course)
    listed = [one for one in roster.sorted if one.canvas and one.id in sums]
    if not listed:
        raise UsageError(
            "the class list did not come from Canvas, whose ids an import needs",
            "in Canvas: Grades, Export; then: tito grade roster import FILE",
        )
    identity = [title for title in CANVAS_IDENTITY if any(title in one.canvas for one in listed)]
    known = [title for title in roster.canvas_columns if title == TOTAL or title.startswith(f"{TOTAL} (")]
    title = known[0] if known else TOTAL
    rows = [[*identity, title], [f"    {POINTS}", *[""] * (len(identity) - 1), 100]]
    rows += [[*(one.canvas.get(name, "") for name in identity), sums[one.id].percent] for one in listed]
    warnings = (
        [] if known else [f"Canvas had no assignment {TOTAL}; it will ask whether it is a new one, of 100 points"]
    )
    others = sorted(set(sums) - {one.id for one in listed})
    if others:
        warnings.append(f"not in Canvas's list, and left out: {', '.join(others)}")
    return rows, warnings
