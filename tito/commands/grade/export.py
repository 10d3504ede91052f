"""`tito grade export`: scores for spreadsheets and for Canvas."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError

NAMED = 20  # students that a line names


class Form(enum.StrEnum):
    CSV = "csv"
    QUESTIONS = "questions"
    CANVAS = "canvas"
    MOODLE = "moodle"


Everything = Annotated[bool, typer.Option("--all", help="All modules that were released.")]
Format = Annotated[
    Form,
    typer.Option("--format", help="A row a student, a row a question, Canvas's import, or Moodle's grading worksheet."),
]
Into = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Canvas's export or Moodle's worksheet, as downloaded: only the module's column in it changes.",
    ),
]
Column = Annotated[str | None, typer.Option(metavar="TITLE", help="With --into: the column in Canvas's file.")]
Scale = Annotated[bool, typer.Option("--scale", help="With --into: convert the points to Moodle's maximum grade.")]
ReplaceComments = Annotated[
    bool, typer.Option("--replace-comments", help="With --into: also where another comment stands in the worksheet.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write (default: the screen).")
]
Zero = Annotated[
    bool, typer.Option("--missing-as-zero", help="Write 0 where nothing was submitted (default: an empty field).")
]
Total = Annotated[
    bool, typer.Option("--total", help="The sums of the term, by [tool.tito.grading], of these modules (default: all).")
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
    into: Into = None,
    column: Column = None,
    scale: Scale = False,
    replace_comments: ReplaceComments = False,
    total: Total = False,
):
    """Write scores, or sums of the term, as CSV. Refuses while a submission is ungraded."""
    from tito.services.grading.reports.score_tables import export as write
    from tito.services.grading.reports.score_tables import released

    project, catalog = open_project()
    if bool(modules) == everything and (modules or not total):
        raise UsageError("name the modules, or --all", "tito grade export --help")
    wanted = find_modules(catalog, modules) if modules else released(project, catalog)
    options = (column, scale, replace_comments, missing_as_zero, tuple(without or ()))
    if total:
        _export_totals(project, catalog, wanted, into, form.value, output, options)
        return
    if into or form is Form.MOODLE or column or scale or replace_comments:
        _fill(project, wanted, into, form, output, options)
        return
    done = write(
        project, wanted, form=form.value, output=output, missing_as_zero=missing_as_zero, without=without or ()
    )
    data = {
        "modules": [module.name for module in wanted],
        "missing": done.missing,
        **_data(done, form.value, output, done.without),
    }
    console.show(data, lambda: _print(done, output))


def _data(done, form, output, without):
    """What every export says, whatever it wrote."""
    return {
        "format": form,
        "output": str(output) if output else None,
        "text": None if output else done.text,
        "without": list(without),
        "waiting_for_a_person": done.waiting,
        "warnings": list(done.warnings),
    }


def _export_totals(project, catalog, wanted, into, form, output, options):
    from tito.services.grading.reports import total_tables
    from tito.services.grading.reports.filling import FillOptions

    done = total_tables.export_totals(
        project, catalog, wanted, form=form, into=into, output=output, options=FillOptions(*options)
    )
    data = {
        "modules": [module.name for module in wanted],
        "totals": {student: total_tables.as_data(summed) for student, summed in done.sums.items()},
        "not_counted_yet": done.open,
        **_data(done, form, output, done.without),
    }
    console.show(data, lambda: _print_totals(done, output))


def _print_totals(done, output):
    _warn(done, done.without)
    if done.open:
        some = ", ".join(f"{student} ({', '.join(names)})" for student, names in list(done.open.items())[:NAMED])
        console.warn(
            f"not counted, because nothing was handed in and no due date is over: {some}; to count them as 0: "
            "--missing-as-zero"
        )
    _print_text(done, output, lambda: f"{len(done.sums)} sums")


def _print(done, output):
    _warn(done, done.without)
    _print_text(done, output, lambda: f"{done.rows} rows; {done.missing} missing")


def _warn(done, without=()):
    for warning in done.warnings:
        console.warn(warning)
    if without:
        console.warn(f"left out: {', '.join(without)}")
    if done.waiting:
        console.warn(f"{done.waiting} scores lack an answer that a person has to look at: tito grade formgrade")


def _print_text(done, output, summary):
    """What was written, where it went to the screen; else where it is, and summary()."""
    console.line(f"{output}: {summary()}" if output else done.text.replace("\r\n", "\n").rstrip("\n"))


def _fill(project, modules, into, form, output, options):
    """Scores into a file that an LMS gave."""
    from tito.services.grading.reports.filling import FORMS, FillOptions, fill

    if form not in FORMS or into is None:
        raise UsageError(
            "scores go into the file that Canvas or Moodle gave",
            "tito grade export 9 --format moodle --into worksheet.csv -o filled.csv",
        )
    if len(modules) != 1:
        raise UsageError("one module goes into a file at a time", f"tito grade export {modules[0].name} --into {into}")
    done = fill(project, modules[0], into, form=form.value, output=output, options=FillOptions(*options))
    data = {
        "module": modules[0].name,
        "rows": done.rows,
        "changed": list(done.changed),
        "missing": done.missing,
        **_data(done, form.value, output, options[-1]),
    }
    console.show(data, lambda: _print_filled(done, output))


def _print_filled(done, output):
    from tito.services.words import count

    _warn(done)
    rows = [(str(one.line), one.student, one.column, one.before, one.after) for one in done.changed]
    if output and rows:
        console.table([">line", "student", "column", ">before", "after"], rows)
    changed = count(len(done.changed), "cell")
    _print_text(done, output, lambda: f"{count(done.rows, 'student')}, {changed} changed; {done.missing} missing")
