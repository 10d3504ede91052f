"""`tito grade report`: the class at a glance."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]


def register(root):
    root.command()(report)


def report(module: Name, output: Output = None):
    """Write one page about a module: statuses, scores, what most missed, times."""
    from tito.services.grading.reports.report import report as write

    project, catalog = open_project()
    done = write(project, catalog.find(module), output)
    path = project.relative(done.path)
    data = {"module": done.module, "path": path, "statuses": done.statuses, "mean": done.mean}
    console.show(data, lambda: console.line(_line(done, path)))


def _line(done, path):
    counts = ", ".join(f"{count} {status}" for status, count in sorted(done.statuses.items())) or "no students"
    mean = f"; {100 * done.mean:.0f} % of the points on average" if done.mean is not None else ""
    return f"{path}: {counts}{mean}"
