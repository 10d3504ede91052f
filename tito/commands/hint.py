"""`tito hint`: one more hint for an answer, in words."""

import textwrap
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

Cell = Annotated[
    str | None,
    typer.Argument(metavar="CELL", help="An answer, or a test of it; else what failed first in the last test."),
]
WIDTH = 100


def register(root):
    root.command()(hint)


def hint(module: Name, cell: Cell = None):
    """Show a hint for an answer, one more at each call. Points are not affected."""
    from tito.services import hints

    project, catalog = open_project()
    found = hints.ask(project, catalog.find(module), cell)
    data = {
        "module": found.module,
        "cell": found.cell,
        "hints": found.hints,
        "shown": len(found.hints),
        "total": found.total,
        "new": found.new,
    }
    console.show(data, lambda: _print(found))


def _print(found):
    console.line(f"{found.module}, {found.cell}: hint {len(found.hints)} of {found.total}")
    for number, text in enumerate(found.hints, 1):
        console.line(textwrap.fill(f"{number}. {text}", WIDTH, initial_indent="  ", subsequent_indent="     "))
    if not found.new:
        console.line("these are all; the text above the cell says the rest")
    elif len(found.hints) < found.total:
        console.line(f"one more: tito hint {found.module} {found.cell}")
