"""`tito init`: make a student's workspace."""

from pathlib import Path
from typing import Annotated

import typer

from tito.console import console


def register(app):
    app.command()(init)


Dest = Annotated[Path, typer.Argument(metavar="DEST", help="A folder that does not exist yet, or is empty.")]


def init(dest: Dest):
    """Make a student's workspace: the course without its answers."""
    from tito.services import workspace

    result = workspace.init(workspace.find_course(), dest)
    data = {
        "folder": str(result.folder),
        "course_version": result.version,
        "modules": list(result.modules),
        "next": list(result.next),
    }
    console.show(data, lambda: _print(result))


def _print(result):
    console.line(f"{result.folder}: {len(result.modules)} modules of course version {result.version}, without answers")
    console.line("next:")
    for command in result.next:
        console.line(f"  {command}")
