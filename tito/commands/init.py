"""`tito init`: make a student's workspace."""

from pathlib import Path

import typer

from tito.console import console


def register(app):
    app.command()(init)


def init(dest: Path = typer.Argument(metavar="DEST", help="A folder that does not exist yet, or is empty.")):
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
    console.line(f"{result.folder} holds {len(result.modules)} modules of course version {result.version}, without answers.")
    console.line("next:")
    for command in result.next:
        console.line(f"  {command}")
