"""`tito grade export`: scores for spreadsheets and for Canvas."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError


class Form(enum.StrEnum):
    CSV = "csv"
    QUESTIONS = "questions"
    CANVAS = "canvas"


Everything = Annotated[bool, typer.Option("--all", help="All modules that were released.")]
Format = Annotated[Form, typer.Option("--format", help="A row a student, a row a question, or Canvas's import.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write (default: the screen).")
]
Zero = Annotated[
    bool, typer.Option("--missing-as-zero", help="Write 0 where nothing was submitted (default: an empty field).")
]
Without = Annotated[list[str] | None, typer.Option(metavar="STUDENT", help="Leave this student out; may be repeated.")]


def register(root):
    root.command()(export)


def export(
    modules: Names = None,
    everything: Everything = False,
    form: Format = Form.CSV,
    output: Output = None,
    missing_as_zero: Zero = False,
    without: Without = None,
):
    """Write scores as CSV. Refuses while a submission is ungraded."""
    from tito.services.grading.reports.score_tables import export as write
    from tito.services.grading.reports.score_tables import released

    project, catalog = open_project()
    if bool(modules) == everything:
        raise UsageError("name the modules, or --all", "tito grade export --help")
    wanted = released(project, catalog) if everything else find_modules(catalog, modules)
    done = write(
        project, wanted, form=form.value, output=output, missing_as_zero=missing_as_zero, without=without or ()
    )
    data = {
        "modules": [module.name for module in wanted],
        "format": form.value,
        "output": str(output) if output else None,
        "text": None if output else done.text,
        "missing": done.missing,
        "without": list(done.without),
        "waiting_for_a_person": done.waiting,
        "warnings": list(done.warnings),
    }
    console.show(data, lambda: _print(done, output))


def _print(done, output):
    for warning in done.warnings:
        console.warn(warning)
    if done.without:
        console.warn(f"left out: {', '.join(done.without)}")
    if done.waiting:
        console.warn(f"{done.waiting} scores lack an answer that a person has to look at: tito grade formgrade")
    if output:
        console.line(f"{output}: {done.rows} rows; {done.missing} missing")
    else:
        console.line(done.text.replace("\r\n", "\n").rstrip("\n"))
