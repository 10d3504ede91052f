"""`tito export`: put what the notebooks export into the package."""

from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError, WorkError, changing


def register(app):
    app.command()(export)


def export(
    modules: Names = None,
    all_: Annotated[bool, typer.Option("--all", help="Every module.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where the package differs.")] = False,
):
    """Export modules into tinytorch/core without testing them, or check that the package is up to date."""
    project, catalog = open_project()
    if bool(modules) == all_:
        raise UsageError("name the modules to export, or all of them", "tito export --all")
    chosen = list(catalog) if all_ else find_modules(catalog, modules)
    if check:
        _check(project, catalog, chosen)
    else:
        _export(project, catalog, chosen)


def _check(project, catalog, chosen):
    from tito.services import export as service

    differences = service.check(project, catalog, chosen)
    found = [
        {"module": one.module.name if one.module else None, "kind": one.kind, "message": one.message}
        for one in differences
    ]
    console.show(
        {"modules": [module.name for module in chosen], "differences": found},
        lambda: (
            [console.line(f"{one.kind}: {one.message}") for one in differences]
            or console.line(f"{len(chosen)} modules: the package is what they export")
        ),
    )
    if differences:
        names = sorted({one["module"] for one in found if one["module"]})
        hint = f"tito export {' '.join(names)}" if names else "remove the files that no module exports"
        raise WorkError(f"{len(differences)} files are not what the sources export", hint, code="not-fresh")


def _export(project, catalog, chosen):
    from tito.services import export as service

    with service.stage(project, catalog, chosen) as stage, changing("to see what differs: tito export --all --check"):
        replaced = [project.relative(path) for path in stage.commit()]
    console.show(
        {"modules": [module.name for module in chosen], "replaced": replaced},
        lambda: [console.line(path) for path in replaced] or console.line("the package was up to date"),
    )
