"""`tito grade release`: what students get."""

from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError


def register(app):
    app.command("release")(release)


def release(
    modules: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="Every module.")] = False,
    force: Annotated[
        bool, typer.Option(help="Replace a release that students may already have; keeps a backup.")
    ] = False,
    exchange: Annotated[
        bool, typer.Option("--exchange", help="Also put it into nbgrader's exchange, as on a JupyterHub.")
    ] = False,
):
    """Make the notebooks for students, without answers, and tell nbgrader's gradebook."""
    from tito.services.grading import outbound
    from tito.services.grading import release as service

    project, catalog = open_project()
    if bool(modules) == everything:
        raise UsageError("name modules, or give --all", "tito grade release 9")
    chosen = list(catalog) if everything else find_modules(catalog, modules)
    done = service.release(project, catalog, chosen, force=force)
    put = outbound.put_out(project, chosen, force=force) if exchange else ()
    data = {"releases": done, "exchange": put} if exchange else {"releases": done}
    console.show(data, lambda: _print(project, done, put))


def _print(project, done, put):
    points = {one.module: [f"{count:g}" for count in (one.points, one.withheld, one.written)] for one in done}
    rows = [(one.status, one.module, *points[one.module], project.relative(one.folder)) for one in done]
    console.table(["", "module", ">points", ">of these withheld", ">written", "folder"], rows)
    for one in done:
        for change in one.changes:
            console.line(f"{change.what}: {change.where}")
        if one.kept:
            console.line(f"the old release of {one.module} is {project.relative(one.kept)}")
        for warning in one.warnings:
            console.warn(warning)
    for one in put:
        console.line(f"{one.status} in the exchange: {one.folder or one.module}")
