"""`tito grade feedback`: a page for each student, and all of them in one archive."""

from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

Students = Annotated[
    list[str] | None, typer.Option("--student", metavar="STUDENT", help="Write for this student only; may be repeated.")
]


def register(root):
    root.command()(feedback)


def feedback(module: Name, student: Students = None):
    """Write what students may read: points, messages, comments; of withheld tests the points only."""
    from tito.services.grading.reports.feedback import feedback as write

    project, catalog = open_project()
    done = write(project, catalog.find(module), tuple(student or ()))
    data = {
        "module": done.module,
        "pages": {name: project.relative(path) for name, path in done.pages.items()},
        "archive": project.relative(done.archive),
        "skipped": done.skipped,
    }
    console.show(data, lambda: _print(data))


def _print(data):
    for student, reason in data["skipped"].items():
        console.warn(f"no page for {student}: {reason}")
    folder = f"assignments/feedback/STUDENT/{data['module']}"
    console.line(f"{len(data['pages'])} pages in {folder}; all pages of the module: {data['archive']}")
