"""What most commands begin with."""

from typing import Annotated

import typer

from tito.errors import TitoError


def complete_module(incomplete: str):
    """What the shell offers for a module: its full name, or the short one that was begun."""
    try:
        _, catalog = open_project()
    except TitoError:
        return []
    names = [module.name for module in catalog] + [module.short for module in catalog if incomplete]
    return [name for name in names if name.startswith(incomplete)]


A_MODULE = typer.Argument(metavar="M", help="9, 09, spatial or 09_spatial", autocompletion=complete_module)
Name = Annotated[str, A_MODULE]
Names = Annotated[list[str] | None, A_MODULE]


def open_project():
    """(project, catalog) of the working folder. Raises ProjectError where it is not in order."""
    from tito.catalog import read_catalog
    from tito.project import find_project

    project = find_project()
    return project, read_catalog(project)


def find_modules(catalog, names):
    """The modules that `names` mean, in the order of the course, each once."""
    wanted = {catalog.find(name).name for name in names}
    return [module for module in catalog if module.name in wanted]
