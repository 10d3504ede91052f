"""`tito module adopt`, `verify` and `solution`: what the course has for a student who is stuck, or learns alone."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console
from tito.errors import UsageError, WorkError

File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="What an instructor gave you.")]
Clone = Annotated[Path | None, typer.Option("--course", metavar="FOLDER", help="A clone of the course.")]
Needs = Annotated[bool, typer.Option("--with-needs", help="Also what it needs and you have not: to begin late.")]
GiveUp = Annotated[
    bool, typer.Option("--give-up", help="Also before the module is complete. That it was asked for is recorded.")
]


def register(app):
    app.command()(adopt)
    app.command()(verify)
    app.command()(solution)


def adopt(module: Name, file: File = None, course: Clone = None, with_needs: Needs = False):
    """Put the course's own version of a module into the package, to go on with the next one; yours is kept.

    The module is marked as adopted, until you complete it yourself. Its points stay those of your notebook.
    """
    from tito.services import adopted

    project, catalog = open_project()
    found = catalog.find(module)
    if (file is None) == (course is None):
        raise UsageError(
            "name the file that you were given, or a clone of the course",
            f"tito module adopt {found.name} FILE, or: tito module adopt {found.name} --course FOLDER",
        )
    if with_needs and file:
        message = f"the file holds {found.name} alone, and not what it needs"
        raise UsageError(message, f"tito module adopt {found.name} --course FOLDER --with-needs")
    with console.progress(f"adopting {found.name}") as advance:
        if with_needs:
            *needed, done = adopted.adopt_with_needs(project, catalog, found, course, on_step=advance)
        else:
            adoptable = adopted.read(file) if file else adopted.of_course(project, course, found.name)
            needed, done = [], adopted.adopt(project, catalog, found, adoptable, on_step=advance)
    data = {
        "module": done.module,
        "version": done.version,
        "path": project.relative(done.path),
        "kept": project.relative(done.kept) if done.kept else None,
        "rechecked": done.rechecked,
        "broken": done.broken,
        "next": done.next,
        "needed": [one.module for one in needed],
    }
    console.show(data, lambda: _print_adopted(data))


def _print_adopted(data):
    if data["needed"]:
        console.line(f"adopted as well, for {data['module']} needs them: {', '.join(data['needed'])}")
    console.line(f"{data['path']} is the course's own now; {data['module']} is marked as adopted")
    if data["kept"]:
        console.line(f"the file it replaced is kept: {data['kept']}")
    for one in data["broken"]:
        console.warn(f"{one.module} no longer passes its tests: {one.message}")
    console.line(f"to put your own in its place later: tito module complete {data['module']}")
    if data["next"]:
        console.line(f"next: tito module start {data['next']}")


def verify(
    module: Name,
    course: Annotated[Path, typer.Option("--course", metavar="FOLDER", help="A clone of the course.")],
):
    """Score the notebook as a class is scored, with the withheld tests of a clone of the course."""
    from tito.services import verify as service

    project, catalog = open_project()
    if project.is_course:
        raise UsageError("a workspace is verified, and this is the course repository", "cd into a workspace")
    found = catalog.find(module)
    with console.progress(f"verifying {found.name}") as advance:
        result = service.verify(project, found, course, on_cell=advance)
    console.show(_result_data(result), lambda: _print_result(result))
    lost = [cell.grade_id for cell in result.cells if cell.points < cell.max_points]
    if lost:
        names = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        raise WorkError(
            f"{len(lost)} of {len(result.cells)} tests of {found.name} did not pass: {names}",
            f"fix the notebook, save it, then: tito module verify {found.name} --course {course}",
            code="failed",
        )


def _result_data(result):
    return {
        "module": result.module,
        "status": result.status,
        "detail": result.detail,
        "isolation": result.isolation,
        "points": result.points,
        "max_points": result.max_points,
        "warnings": result.warnings,
        "cells": [
            {
                "grade_id": cell.grade_id,
                "question": cell.question,
                "points": cell.points,
                "max_points": cell.max_points,
                "status": cell.status,
                "message": cell.message,
                "withheld": cell.hidden,
                "seconds": cell.seconds,
            }
            for cell in result.cells
        ],
        "seconds": result.seconds,
    }


def _print_result(result):
    if result.isolation == "none":
        console.warn("nothing isolates the notebook here: it ran with your rights")
    for warning in result.warnings:
        console.warn(warning)
    rows = [
        (
            cell.status,
            f"{cell.points:g}/{cell.max_points:g}",
            cell.grade_id,
            "withheld" if cell.hidden else "",
            "\n".join(filter(None, [cell.message, cell.where])),
        )
        for cell in result.cells
    ]
    console.table(["status", ">points", "test", "", ""], rows)
    console.line(f"{result.points:g} of {result.max_points:g} points, those of withheld tests among them")


def solution(
    module: Name,
    course: Annotated[Path, typer.Option("--course", metavar="FOLDER", help="A clone of the course.")],
    give_up: GiveUp = False,
):
    """Write the worked solution of a module that you have completed, as a notebook and as a page to read."""
    from tito.services import solutions

    project, catalog = open_project()
    if project.is_course:
        raise UsageError("this is the course repository: the solutions are its sources", "cd into a workspace")
    show_solution(project, solutions.solution(project, catalog, catalog.find(module), course, give_up=give_up))


def show_solution(project, done):
    """Show where a solutions.Solution was written."""
    page, notebook = project.relative(done.page), project.relative(done.notebook)
    data = {"module": done.module, "page": page, "notebook": notebook, "missing": done.missing, "gave_up": done.gave_up}
    console.show(data, lambda: _print_solution(data))


def _print_solution(data):
    if data["missing"]:
        console.warn(data["missing"])
    console.line(f"to read: {data['page']}")
    console.line(f"to run: {data['notebook']}")
    if data["gave_up"]:
        console.line(f"recorded: {data['module']} was not complete")
