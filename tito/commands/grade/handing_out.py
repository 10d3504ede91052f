"""`tito grade release-adopt` and `tito grade solutions`: what is handed out after the notebooks."""

from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.commands.stuck import show_solution
from tito.console import console

Students = Annotated[
    list[str] | None, typer.Option("--student", metavar="STUDENT", help="For this student; may be repeated.")
]
Everybody = Annotated[bool, typer.Option("--all", help="One file for everybody.")]
BeforeDue = Annotated[bool, typer.Option("--before-due", help="Although somebody may still hand in.")]


def register(app):
    app.command("release-adopt")(release_adopt)
    app.command()(solutions)


def release_adopt(module: Name, student: Students = None, everybody: Everybody = False):
    """Write the course's own version of a module, for students who are stuck: tito module adopt M FILE."""
    from tito.services.grading.reports import handing_out

    project, catalog = open_project()
    done = handing_out.release_adopt(project, catalog, catalog.find(module), student or (), everybody=everybody)
    files = {who: project.relative(path) for who, path in done.files.items()}
    data = {"module": done.module, "course_version": done.version, "files": files}
    console.show(data, lambda: _print_files(data))


def _print_files(data):
    console.table(["for", "file"], list(data["files"].items()))
    console.line(f"in a workspace of version {data['course_version']}: tito module adopt {data['module']} FILE")


def solutions(module: Name, before_due: BeforeDue = False):
    """Write the worked solution of a module, without its withheld tests, once nobody can hand in any more."""
    from tito.services.grading.reports import handing_out

    project, catalog = open_project()
    done = handing_out.worked_solution(project, catalog.find(module), before_due=before_due)
    show_solution(project, done)
