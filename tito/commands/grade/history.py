"""`tito grade history`: what was released, published and regraded when, and with which version of the course."""

from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

Student = Annotated[str | None, typer.Option(metavar="STUDENT", help="What this student was told, and when.")]


def register(root):
    root.command()(history)


def history(module: Name, student: Student = None):
    """Show what was released, published and regraded of a module when, with the course's version."""
    from tito.services.grading.reports import told

    project, catalog = open_project()
    found = catalog.find(module)
    if student:
        who, scores = told.of_student(project, found, student)
        data = {"module": found.name, "student": who, "published": scores}
        console.show(data, lambda: _print_scores(data))
        return
    done = told.history(project, found)
    data = {"module": found.name, "graded_with": done.graded_with, "versions": done.versions, "events": done.events}
    console.show(data, lambda: _print(done, found.name))


def _print(done, name):
    if not done.events:
        console.line(f"nothing of {name} was released or published")
        console.line(f"next: tito grade release {name}")
        return
    console.table(
        ["when", "what", "version", ">students", ">of these new or changed", ""],
        [(one.at, one.what, one.version, *map(_count, (one.students, one.changed)), one.detail) for one in done.events],
    )
    console.line(f"{name} is graded with {done.graded_with or 'no version that is kept'}")


def _count(number):
    return "" if number is None else str(number)


def _print_scores(data):
    if not data["published"]:
        console.line(f"nothing of {data['module']} was published to {data['student']}")
        return
    rows = [(one["at"], f"{one['total']:g}", one["version"]) for one in data["published"]]
    console.table(["when", ">points", "version"], rows)
