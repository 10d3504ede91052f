"""What most commands begin with."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="M", help="9, 09, spatial or 09_spatial")]
Names = Annotated[list[str] | None, typer.Argument(metavar="M", help="9, 09, spatial or 09_spatial")]


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
