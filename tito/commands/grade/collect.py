"""`tito grade collect`: what students sent, into nbgrader's folder."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console, on_one_line
from tito.errors import UsageError, WorkError

Where = Annotated[
    Path | None,
    typer.Argument(metavar="[PATH]", help="A folder of submissions, an archive (.zip) from an LMS, or one notebook."),
]
Exchange = Annotated[
    bool, typer.Option("--exchange", help="What students submitted through nbgrader's exchange, as on a JupyterHub.")
]
Only = Annotated[
    str | None,
    typer.Option(
        "--module", metavar="M", help="Collect this module only; a notebook that does not say its module counts as it."
    ),
]
Student = Annotated[str | None, typer.Option(metavar="STUDENT", help="The student who sent everything in PATH.")]
Attempt = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help="Which of several attempts is graded: latest, first, or best-before-due (the last in time). "
        "Remembered for these modules.",
    ),
]


def register(app):
    app.command("collect")(collect)


def collect(
    path: Where = None,
    exchange: Exchange = False,
    module: Only = None,
    student: Student = None,
    attempt: Attempt = None,
):
    """Collect submissions. All attempts are kept, nothing is overwritten, and every file is reported."""
    from tito.services.grading.intake import collect as service
    from tito.services.grading.intake.attempts import POLICIES

    project, catalog = open_project()
    if (path is None) != exchange:
        raise UsageError("name what is to be collected, or give --exchange", "tito grade collect submissions.zip")
    if attempt is not None and attempt not in POLICIES:
        raise UsageError(f"--attempt is one of {', '.join(POLICIES)}", f"tito grade collect {path} --attempt latest")
    only = catalog.find(module) if module else None
    done = service.collect(project, catalog, path, module=only, student=student, attempt=attempt)
    data = {"files": done.rows, "ignored": done.ignored, "missing": done.missing, "warnings": list(done.warnings)}
    console.show(data, lambda: _print(done))
    wrong = done.count("refused", "ambiguous")
    if wrong:
        raise WorkError(
            f"{wrong} of {len(done.rows)} files were not collected; the table says why",
            "fix what it says, then collect again: what is collected stays as it is",
            code="not-collected",
        )


def _print(done):
    rows = [(row.status, row.student, row.module, row.file, _late(row.late), row.reason) for row in done.rows]
    if rows:
        console.table(["", "student", "module", "file", "late", ""], [map(on_one_line, row) for row in rows])
    for warning in done.warnings:
        console.warn(warning)
    states = sorted({row.status for row in done.rows})
    console.line(", ".join(f"{done.count(state)} {state}" for state in states) or "no notebooks found")
    if done.ignored:
        console.line(f"{done.ignored} other files beside them were left where they are")
    for module, students in done.missing.items():
        if students:
            console.line(f"{module}: nothing from {len(students)} of the class: {', '.join(students)}")


def _late(seconds):
    from tito.services.words import duration

    if seconds is None:
        return ""
    return duration(seconds) if seconds else "in time"
