"""`tito grade autograde`: every submission of a module, in parallel, isolated."""

import threading
from dataclasses import asdict
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console
from tito.errors import WorkError

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
    with console.progress(title) as advance:
        bar = Bar(advance, title) if advance else None
        outcome = run(project, catalog, found, options, on_done=bar and bar.done, on_cell=bar and bar.cell)
    console.show(_data(outcome), lambda: _print(outcome))
    if outcome.ungraded:
        names = ", ".join(row.student for row in outcome.ungraded[:20])
        raise WorkError(
            f"{len(outcome.ungraded)} ungraded by a fault that is not the students': {names}",
            f"tito doctor; then again: tito grade autograde {found.name}",
            code="ungraded",
        )


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
                "changes": [asdict(change) for change in row.changes],
                "warnings": list(row.warnings),
            }
            for row in outcome.rows
        ],
    }


def _print(outcome):
    from tito.services.words import duration

    if outcome.isolation == "none":
        console.warn("not isolated: the submissions ran with your rights")
    rows = [
        (
            row.student,
            _score(row.points, row.max_points),
            _score(row.second_points, row.max_points) if row.second_points != row.points else "",
            row.status,
            f"{row.seconds:.1f}" if row.seconds else "",
            duration(row.late) if row.late else "",
            row.detail or "; ".join(row.warnings),
        )
        for row in outcome.rows
    ]
    if not rows:
        console.line(f"nothing was submitted for {outcome.module}")
        console.line("next: tito grade collect PATH")
        return
    console.table(["student", ">score", ">second try", "status", ">seconds", ">late", ""], rows)
    fresh = sum(1 for row in outcome.rows if row.fresh)
    scored = sum(1 for row in outcome.rows if row.points is not None)
    console.line(f"{scored} of {len(rows)} have a score; {fresh} were run now, in {outcome.seconds:.1f} s")


def _score(points, most):
    return "" if points is None else f"{points:g}/{most:g}"
