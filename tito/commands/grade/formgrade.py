"""`tito grade formgrade`: nbgrader's own page for what a person grades."""

from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console

NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")]
Port = Annotated[
    int | None,
    typer.Option("--port", metavar="N", min=1, max=65535, help="The port (default: 8888, or the next free one)."),
]


def register(root):
    root.command()(formgrade)


def formgrade(no_open: NoOpen = False, port: Port = None):
    """Open nbgrader's formgrader, for answers in words and comments. Ctrl-C ends it."""
    from tito.services.grading import formgrade as service

    project, _ = open_project()
    server = service.server(project, port=port, open_browser=not no_open)
    console.show({"url": server.url}, lambda: console.line(f"the formgrader: {server.url}   (Ctrl-C ends it)"))
    console.stays()
    service.run(server)
