"""`tito grade autograde`: every submission of a module, in parallel, isolated."""

import threading
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.commands.grade.worker_check import OpenScheduler
from tito.console import console
from tito.errors import TitoError, UsageError, WorkError

Students = Annotated[
    list[str] | None, typer.Option("--student", metavar="STUDENT", help="Grade this student only; may be repeated.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="How many submissions run at once (default: one a core)."),
]
NoSandbox = Annotated[
    bool, typer.Option("--no-sandbox", help="Grade a class although nothing isolates it from your files.")
]
Force = Annotated[bool, typer.Option("--force", help="Also score submissions that did not change since the last run.")]
NoSecond = Annotated[
    bool,
    typer.Option(
        "--no-second-try",
        help="Count the first try, also where the second, with the reference in place of earlier wrong answers, "
        "earned more. Both are kept.",
    ),
]
CellSeconds = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long one cell may run.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Score on the workers of this Dask scheduler: tls://host:port (docs/cluster.md)."
    ),
]
# columns that are shown where there is something in them
IF_ANY = (">by hand", "answers in other cells")
NAMED = 20  # students that a line names
CHANGED = 6  # changes of the course that a line names


def register(root):
    root.command()(autograde)


def autograde(
    module: Name,
    student: Students = None,
    jobs: Jobs = None,
    no_sandbox: NoSandbox = False,
    force: Force = False,
    no_second_try: NoSecond = False,
    cell_seconds: CellSeconds = 30,
    scheduler: Scheduler = None,
    open_scheduler: OpenScheduler = False,
):
    """Score what was submitted, and put the scores into nbgrader's gradebook. Only what changed runs again."""
    from tito.services.grading.scoring.autograde import Options
    from tito.services.grading.scoring.autograde import autograde as run

    project, catalog = open_project()
    found = catalog.find(module)
    options = Options(
        students=tuple(student or ()),
        jobs=jobs,
        no_sandbox=no_sandbox,
        force=force,
        second_try=not no_second_try,
        cell_seconds=cell_seconds,
    )
    title = f"grading {found.name}"
    with where_it_runs(scheduler, jobs, no_sandbox, open_scheduler) as executor, console.progress(title) as advance:
        bar = Bar(advance, title) if advance else None
        calls = {"on_done": bar and bar.done, "on_cell": bar and bar.cell}
        outcome = run(project, catalog, found, options, executor=executor, **calls)
    olympics, problem = None, None
    if found.artifact and outcome.rows:
        try:
            olympics = _measured(project, catalog, found, options)
        except TitoError as error:  # the scores are there all the same
            problem = error
    refused = refused_workers(executor)
    data = {**_data(outcome), "refused_workers": refused}
    if olympics is not None:
        data["olympics"] = _olympics_data(olympics)
    console.show(data, lambda: (_print(outcome, refused), olympics and _print_olympics(olympics)))
    if outcome.ungraded:
        names = ", ".join(row.student for row in outcome.ungraded[:20])
        raise WorkError(
            f"{len(outcome.ungraded)} ungraded by a fault that is not the students': {names}",
            f"tito doctor; then again: tito grade autograde {found.name}",
            code="ungraded",
        )
    if problem is not None:
        raise problem


def _measured(project, catalog, module, options):
    """The olympics of a module with which a file is handed in. They are never points."""
    from tito.services.grading.olympics.class_run import measure_class

    title = f"measuring {module.artifact}"
    with console.progress(title) as advance:
        tell = (lambda done, total: advance(done, total, title)) if advance else None
        return measure_class(project, catalog, module, students=options.students, force=options.force, on_done=tell)


@contextmanager
def where_it_runs(scheduler, jobs, no_sandbox, open_scheduler):
    """The executor that runs submissions: None for this machine, else the workers of `scheduler`."""
    if scheduler is None:
        if open_scheduler:
            raise UsageError("--open-scheduler says something of a scheduler", "name it: --scheduler ADDRESS")
        yield None
        return
    if jobs or no_sandbox:
        option = "--jobs" if jobs else "--no-sandbox"
        raise UsageError(
            f"{option} is of this machine, and --scheduler scores on others",
            "leave it out: all threads of all workers are used, and a worker without a sandbox never is",
        )
    from tito.services.grading.cluster.connection import connect
    from tito.services.grading.cluster.executor import Cluster

    with connect(scheduler, open_scheduler=open_scheduler) as connection:
        yield Cluster(connection)


def refused_workers(executor):
    """{worker: why it scored nothing}"""
    return executor.refused if executor else {}


def warn_of_refused(refused):
    for name, reason in refused.items():
        console.warn(f"worker {name} scored nothing: {reason}")


class Bar:
    """The bar of a class, which moves with every cell that runs, and names the submission that has run for longest."""

    def __init__(self, advance, title):
        self.advance, self.title, self.lock = advance, title, threading.Lock()
        self.recorded, self.total, self.running = 0, None, {}

    def done(self, done, total):
        with self.lock:
            self.recorded, self.total = done, total
            self._show()

    def cell(self, student, done, total):
        with self.lock:
            self.running[student] = (done, total)
            if done == total:
                del self.running[student]
            self._show()

    def _show(self):
        place = next((f"  {name}: cell {done + 1} of {cells}" for name, (done, cells) in self.running.items()), "")
        parts = sum(done / cells for done, cells in self.running.values())
        self.advance(self.recorded + parts, self.total, self.title + place)


def _data(outcome):
    return {
        "module": outcome.module,
        "isolation": outcome.isolation or None,
        "counts": outcome.counts,
        "seconds": round(outcome.seconds, 3),
        "version": outcome.version or None,
        "course_now": outcome.course_now or None,
        "course_changed": list(outcome.changed),
        "published_scores_stay": list(outcome.stayed),
        "students": [
            {
                "student": row.student,
                "status": row.status,
                "detail": row.detail,
                "points": row.points,
                "second_points": row.second_points,
                "max_points": row.max_points,
                "seconds": round(row.seconds, 3),
                "late": row.late,
                "graded_now": row.fresh,
                "isolation": row.isolation or None,
                "waiting_for_a_person": list(row.waiting),
                "changes": [asdict(change) for change in row.changes],
                "warnings": list(row.warnings),
            }
            for row in outcome.rows
        ],
    }


def _olympics_data(olympics):
    from tito.services.grading.olympics.results import as_data

    return [
        {"student": row.student, "measured_now": row.fresh, "result": row.result and as_data(row.result)}
        for row in olympics.rows
    ]


def _print_olympics(olympics):
    rows = [
        (row.student, row.result.measured.division, row.result.measured.status, row.result.measured.detail)
        for row in olympics.rows
        if row.result is not None
    ]
    if rows:
        console.line()
        console.table(["student", "division", "olympics", ""], rows)
        console.line("a place is no grade; next: tito benchmark board")
    if olympics.missing:
        more = f" and {len(olympics.missing) - NAMED} more" if len(olympics.missing) > NAMED else ""
        names = ", ".join(olympics.missing[:NAMED])
        console.line(f"{len(olympics.missing)} without {olympics.artifact}, not measured: {names}{more}")


def _print(outcome, refused):
    warn_of_refused(refused)
    if outcome.isolation == "none":
        console.warn("not isolated: the submissions ran with your rights")
    if not outcome.rows:
        console.line(f"nothing was submitted for {outcome.module}")
        console.line("next: tito grade collect PATH")
        return
    columns = {title: list(map(cell, outcome.rows)) for title, cell in _columns().items()}
    shown = [title for title, cells in columns.items() if any(cells) or title not in IF_ANY]
    console.table(shown, zip(*(columns[title] for title in shown), strict=True))
    fresh = sum(1 for row in outcome.rows if row.fresh)
    scored = sum(1 for row in outcome.rows if row.points is not None)
    console.line(f"{scored} of {len(outcome.rows)} have a score; {fresh} were run now, in {outcome.seconds:.1f} s")
    console.line("withheld tests ran beside the course's answers to the other questions")
    for line in _of_the_version(outcome):
        console.line(line)
    for line in _to_look_at(outcome.rows):
        console.line(line)


def _of_the_version(outcome):
    """What there is to say where the course, or what scores, is not what it was."""
    if outcome.course_now:
        what = ", ".join(outcome.changed[:CHANGED]) or "only its text"
        more = f" and {len(outcome.changed) - CHANGED} more" if len(outcome.changed) > CHANGED else ""
        yield (
            f"graded with {outcome.version}, which was released; the course is {outcome.course_now} now ({what}{more} "
            f"changed): tito grade regrade {outcome.module}"
        )
    if outcome.stayed:
        names = ", ".join(outcome.stayed[:NAMED]) + (" and more" if len(outcome.stayed) > NAMED else "")
        yield (
            f"{len(outcome.stayed)} keep the score that was published, and were not scored again ({names}): "
            f"tito grade regrade {outcome.module}"
        )


def _columns():
    """{title: function that makes a cell of a row}"""
    from tito.services.pristine import ELSEWHERE
    from tito.services.words import duration

    return {
        "student": lambda row: row.student,
        ">score": lambda row: _score(row.points, row.max_points),
        ">second try": lambda row: _score(row.second_points, row.max_points) if row.second_points != row.points else "",
        "status": lambda row: row.status,
        ">seconds": lambda row: f"{row.seconds:.1f}" if row.seconds else "",
        ">late": lambda row: duration(row.late) if row.late else "",
        ">by hand": lambda row: str(len(row.waiting) or ""),
        "answers in other cells": lambda row: ", ".join(
            sorted({change.grade_id for change in row.changes if change.kind in ELSEWHERE})
        ),
        "": lambda row: "; ".join(filter(None, [row.detail, *(one for one in row.warnings if one not in row.detail)])),
    }


def _to_look_at(rows):
    """What a person should see to, a line a kind."""
    from tito.services.pristine import ELSEWHERE, LOST_METADATA

    waiting = sum(1 for row in rows if row.waiting)
    if waiting:
        yield f"{waiting} to grade by hand: tito grade formgrade"
    kinds_of = {
        "answers in other cells": ELSEWHERE,
        "answers missing": ("missing",),
        "edited or deleted cells that stay as they are": ("edited", "deleted"),
        "lost grading metadata": LOST_METADATA,
    }
    for words, kinds in kinds_of.items():
        students = [row.student for row in rows if any(change.kind in kinds for change in row.changes)]
        if students:
            more = f" and {len(students) - NAMED} more" if len(students) > NAMED else ""
            yield f"{len(students)} with {words}: {', '.join(students[:NAMED])}{more}"


def _score(points, most):
    return "" if points is None else f"{points:g}/{most:g}"
