"""`tito module`: a student's way through the modules."""

import textwrap
from typing import Annotated

import typer

from tito.commands import opening, stuck
from tito.commands.context import Name, open_project
from tito.console import console

CellSeconds = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="The limit for one cell.")]
MeasureSeconds = Annotated[
    float, typer.Option(metavar="SECONDS", min=0.1, help="The limit for one cell that measures.")
]
TotalSeconds = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="The limit for the notebook.")]

WIDE = 110  # columns of a terminal from which on summaries can be read beside the rest

app = typer.Typer(
    help="The way through the modules: list, status, start, view, test, complete, reset; adopt, verify, solution."
)


def register(root):
    root.add_typer(app, name="module")


@app.command("list")
def list_modules():
    """Show the path: modules, hours, difficulty and prerequisites."""
    _, catalog = open_project()
    data = [
        {
            "name": module.name,
            "title": module.title,
            "summary": module.summary,
            "hours": module.hours,
            "difficulty": module.difficulty,
            "prerequisites": list(module.prerequisites),
        }
        for module in catalog
    ]
    console.show({"modules": data}, lambda: _print_list(catalog))


def _print_list(catalog):
    """One line for a module; with what it is for where that has room."""
    from tito.services.words import numbers

    columns = ["module", ">hours", "difficulty", "needs"]
    rows = [(one.name, f"{one.hours:g}", f"{one.difficulty} of 5", numbers(one.prerequisites)) for one in catalog]
    if console.width is None or console.width >= WIDE:
        columns.append("what it is for")
        rows = [(*row, module.summary) for row, module in zip(rows, catalog, strict=True)]
    console.table(columns, rows)
    if len(columns) < 5:
        console.line("what each is for: modules/README.md")


@app.command()
def status():
    """Show what is done, what is stale and what is next."""
    from tito.services import modules

    project, catalog = open_project()
    found = modules.status(project, catalog)
    data = {
        "modules": [_standing_data(standing) for standing in found.standings],
        "done": found.done,
        "total": len(found.standings),
        "next": found.next,
        "warnings": found.warnings,
    }
    console.show(data, lambda: _print_status(found))


def _standing_data(standing):
    own, record = standing.completion, standing.record
    return {
        "name": standing.module,
        "title": standing.title,
        "state": standing.state,
        "detail": standing.detail,
        "missing": standing.missing,
        "empty": standing.empty,
        "completed_at": record.completed_at if record else None,
        "points": own.points if own else None,
        "max_points": own.max_points if own else None,
        "adopted": record.adopted or None if record else None,
        "gave_up": standing.helped.gave_up or None,
        "hints": standing.helped.hints,
    }


def _print_status(found):
    _print_warnings(found.warnings)
    console.table(
        ["state", "module", ">points", ""],
        [(one.state, one.module, _recorded_points(one.completion), one.detail) for one in found.standings],
    )
    console.line(f"{found.done} of {len(found.standings)} modules complete")
    for one in found.standings:
        for name in one.empty:
            console.line(f"{one.module}: {name} is still empty")
        if one.helped.gave_up:
            console.line(f"{one.module}: its solution was asked for on {one.helped.gave_up[:10]}")
        if one.helped.hints:
            each = ", ".join(f"{count} for {name}" for name, count in one.helped.hints.items())
            console.line(f"{one.module}: hints shown: {each}")
    _print_next(found.next)


def _recorded_points(record):
    return f"{record.points:g}/{record.max_points:g}" if record else ""


def _print_next(name):
    console.line(f"next: tito module start {name}" if name else "next: nothing, every module is complete")


opening.register(app)
stuck.register(app)


@app.command()
def test(
    module: Name,
    everything: Annotated[
        bool, typer.Option("--all", help="Also run the cells that only measure, show what they print, and make a page.")
    ] = False,
    cell_seconds: CellSeconds = 20,
    total_seconds: TotalSeconds = 600,
    measure_seconds: MeasureSeconds = 300,
):
    """Run the notebook as it is saved, in a fresh process, and show what each graded cell earned.

    -v adds the lines of the notebook, yours and the test's, that were running when a test failed.
    """
    from tito.services import hints, modules, runner

    project, catalog = open_project()
    found = catalog.find(module)
    modules.require_built(project, catalog, found)
    with console.progress(f"running {found.name}") as advance:
        report = runner.run(
            project,
            catalog,
            found,
            on_cell=advance,
            cell_seconds=cell_seconds,
            total_seconds=total_seconds,
            measure=everything,
            measure_seconds=measure_seconds,
        )
    hints.remember(project, found, report)
    console.show(_report_data(project, report), lambda: _print_report(project, report))
    modules.require_passed(report)


def _report_data(project, report):
    return {
        "module": report.module,
        "source": report.source,
        "saved": report.saved,
        "points": report.points,
        "max_points": report.max_points,
        "withheld": report.withheld,
        "written": report.written,
        "empty": report.empty,
        "cells": report.cells,
        "stopped": report.stopped,
        "measured": [{"cell": cell, "printed": text} for cell, text in report.measured],
        "page": project.relative(report.page) if report.page else None,
        "warnings": report.warnings,
        "seconds": report.seconds,
    }


def _print_report(project, report):
    _print_warnings(report.warnings)
    console.line(f"{report.source} as saved at {report.saved:%Y-%m-%d %H:%M:%S}")
    console.table(["status", ">points", "cell", ">seconds", ""], [_row(cell) for cell in report.cells])
    for text in report.stopped:
        console.line(f"stopped: {text}")
    for cell, text in report.measured:
        console.line(f"measured in {cell}:")
        console.line(textwrap.indent(text, "    "))
    for name in report.empty:
        console.line(f"{name} is still empty")
    console.line(_points(report))
    if report.page:
        console.line(f"the notebook as it ran, with its pictures: {project.relative(report.page)}")


def _row(cell):
    shown = (cell.message, cell.where, *(cell.trace if console.verbose else ()))
    message = "\n".join(text for text in shown if text)
    earned = f"{cell.points:g}/{cell.max_points:g}" if cell.max_points else "stretch"
    return cell.status, earned, cell.grade_id, f"{cell.seconds:.2f}", message


def _points(report):
    parts = [f"{report.points:g} of {report.max_points:g} points"]
    if report.withheld:
        parts.append(f"{report.withheld:g} more in tests that are withheld")
    if report.written:
        parts.append(f"{report.written:g} in answers that a person grades")
    return "; ".join(parts)


def _print_warnings(warnings):
    for warning in warnings:
        console.warn(warning)


@app.command()
def complete(
    module: Name,
    cell_seconds: CellSeconds = 20,
    total_seconds: TotalSeconds = 600,
):
    """Test the notebook, put what it exports into the package, and recheck the modules that depend on it."""
    from tito.services import modules

    project, catalog = open_project()
    found = catalog.find(module)
    with console.progress(f"running {found.name}") as advance:
        completion = modules.complete(
            project,
            catalog,
            found,
            on_cell=advance,
            on_report=lambda report: console.show(
                _report_data(project, report), lambda: _print_report(project, report)
            ),
            cell_seconds=cell_seconds,
            total_seconds=total_seconds,
        )
    commands = _what_is_next(project, catalog, found, completion.next)
    data = {**_completion_data(project, completion), "commands": commands}
    console.show(data, lambda: _print_completion(project, completion, commands))


def _what_is_next(project, catalog, module, following):
    """The commands that completing `module` leads to: what its file is for, a milestone, the next module."""
    from tito.services import milestones

    below = [one.name for one in catalog.prerequisites(module)]
    news = {module.name, *(below[-1:] if module.artifact else ())}  # the capstone adds nothing that a milestone needs
    unlocked = [one for one in _milestones(project) if news & set(one.needs)]
    ready = milestones.standings(project, catalog, unlocked)[0] if unlocked else ()
    commands = ["tito benchmark run"] if module.artifact else []
    commands += [one.next for one in ready if one.state == "ready"]
    return commands + ([f"tito module start {following}"] if following else [])


def _milestones(project):
    """Those of the course; none where there is no folder of them."""
    from tito.catalog import read_milestones

    return read_milestones(project) if (project.root / "milestones").is_dir() else ()


def _completion_data(project, completion):
    report, tests = completion.report, completion.tests
    return {
        **_report_data(project, report),
        "warnings": [*report.warnings, *completion.warnings],
        "tests": {"passed": tests.passed, "failed": tests.failed, "skipped": tests.skipped},
        "replaced": [project.relative(path) for path in completion.replaced],
        "kept": [project.relative(path) for path in completion.kept],
        "rechecked": completion.rechecked,
        "broken": completion.broken,
        "next": completion.next,
    }


def _print_completion(project, completion, commands):
    _print_warnings(completion.warnings)
    console.line(f"{completion.tests.passed} tests of the exported module passed")
    for path in completion.replaced:
        console.line(f"{project.relative(path)} is in place")
    for path in completion.kept:
        console.line(f"the file it replaced is kept: {project.relative(path)}")
    for one in completion.broken:
        console.warn(f"{one.module} no longer passes its tests: {one.message}")
    empty = completion.report.empty
    still = f"; still empty: {', '.join(empty)}" if empty else ""
    console.line(f"{completion.report.module} is complete{still}")
    for word, command in zip(["next", *["then"] * len(commands)], commands, strict=False):
        console.line(f"{word}: {command}")
    if not completion.next:
        console.line("every module is complete")


@app.command()
def reset(
    module: Name,
    cell: Annotated[str | None, typer.Argument(metavar="[CELL]", help="Only this answer; the others stay.")] = None,
):
    """Put the untouched notebook back, or the stub of one answer; yours is kept."""
    from tito.services import modules

    project, catalog = open_project()
    done = modules.reset(project, catalog, catalog.find(module), cell)
    path = project.relative(done.path)
    kept = project.relative(done.backup) if done.backup else None
    data = {"module": done.module, "path": path, "backup": kept, "answer": done.answer}
    console.show(data, lambda: _print_reset(path, kept, done.answer))


def _print_reset(path, kept, answer):
    console.line(f"{path}: {answer} is as it was handed out" if answer else f"{path} is as it was handed out")
    if kept:
        console.line(f"yours is kept: {kept}")
