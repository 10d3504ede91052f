"""`tito grade roster`, `due` and `extend`: who is in the class, and until when."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

app = typer.Typer(help="The class list: import, list.")

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Class lists as CSV; Canvas's gradebook export is one.")
]
When = Annotated[
    str, typer.Argument(metavar="TIME", help="2026-12-01T23:59, or 2026-12-01 for its last minute; none removes it.")
]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="The time zone, for example Europe/Berlin; remembered.")
]
Until = Annotated[
    str,
    typer.Argument(
        metavar="TIME", help="How much longer (+2d, +1w, +36h) or until when (2026-12-03T12:00); none removes it."
    ),
]
Who = Annotated[str, typer.Argument(metavar="STUDENT", help="Id, login, email address or name.")]


def register(root):
    root.add_typer(app, name="roster")
    root.command("due")(due)
    root.command("extend")(extend)


@app.command("import")
def import_roster(files: Files):
    """Take over the class list; files of several sections go into one command."""
    from tito.services.grading.roster import class_list as service

    project, _ = open_project()
    done = service.import_roster(project, files)
    data = {
        "students": done.total,
        "added": list(done.added),
        "changed": [{"student": student, "changes": changes} for student, changes in done.changed],
        "left": list(done.left),
        "from_canvas": done.from_canvas,
        "warnings": list(done.warnings),
    }
    console.show(data, lambda: _print_import(done))


def _print_import(done):
    rows = [("added", student, "") for student in done.added]
    rows += [("changed", student, changes) for student, changes in done.changed]
    rows += [("left", student, "not on this list; nothing of theirs was deleted") for student in done.left]
    if rows:
        console.table(["", "student", ""], rows)
    for warning in done.warnings:
        console.warn(warning)
    what = f"{len(done.added)} added, {len(done.changed)} changed, {len(done.left)} no longer there"
    console.line(f"{done.total} students: {what}")


@app.command("list")
def list_roster():
    """Show the class list."""
    from tito.services.grading.book.course import require_course
    from tito.services.grading.roster.class_list import read_roster

    project, _ = open_project()
    found = read_roster(require_course(project))
    data = {"students": list(found.students.values()), "left": list(found.left.values())}
    console.show(data, lambda: _print_list(found))


def _print_list(found):
    if not found:
        console.line("no class list yet")
        console.line("next: tito grade roster import FILE")
        return
    rows = [(one.id, one.full_name, one.email, one.lms_id, one.section) for one in found.sorted]
    console.table(["student", "name", "email", "LMS id", "section"], rows)
    console.line(f"{len(rows)} students")


def due(module: Name, time: When, tz: Zone = None):
    """Set until when a module is due."""
    from tito.services.grading.intake import dates

    project, catalog = open_project()
    done = dates.set_due(project, catalog.find(module), time, tz)
    console.show(_data(done), lambda: _print_date(done, f"{done.module} is due"))


def extend(student: Who, module: Name, time: Until):
    """Give one student more time."""
    from tito.services.grading.book.course import require_course
    from tito.services.grading.intake import dates
    from tito.services.grading.intake.received import read_submissions
    from tito.services.grading.roster.class_list import find_student

    project, catalog = open_project()
    course, wanted = require_course(project), catalog.find(module)
    submitted = read_submissions(course).get(wanted.name, {})
    done = dates.extend(project, wanted, find_student(course, student, also=submitted), time)
    console.show(_data(done), lambda: _print_date(done, f"{done.module} is due for {done.student}"))


def _data(done):
    return {
        "module": done.module,
        "student": done.student or None,
        "due": done.deadline and done.deadline.at,
        "before": done.before and done.before.at,
        "late": done.late,
    }


def _print_date(done, words):
    console.line(f"{words} {done.deadline.words}" if done.deadline else f"{done.module} has no due date")
    if done.before and done.before != done.deadline:
        console.line(f"before: {done.before.words}")
    if done.late:
        console.table(["late", ">hours"], [(name, f"{seconds / 3600:.2f}") for name, seconds in done.late.items()])
