"""`tito grade assign`, `written` and `request`: who grades by hand, and how it comes back."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console
from tito.errors import UsageError

written = typer.Typer(help="Written answers as CSV, for those who grade elsewhere: export, import.")
request = typer.Typer(help="Requests to look at a score again: add, list, close.")

To = Annotated[
    str | None, typer.Option("--to", metavar="NAMES", help="Who grades: ta1,ta2 (default: those of before).")
]
By = Annotated[str | None, typer.Option(metavar="section", help="Leave all of a section to one grader.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Of the draw (default: that of before, or 0).")]
Again = Annotated[bool, typer.Option("--again", help="Deal everything anew, whoever had it before.")]
Anonymous = Annotated[bool, typer.Option("--anonymous", help="Codes instead of names.")]
Hidden = Annotated[
    bool | None, typer.Option("--anonymous/--names", help="Codes instead of names (default: as before, or names).")
]
Url = Annotated[str | None, typer.Option(metavar="URL", help="Where the formgrader is (http://127.0.0.1:8888).")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write (default: the screen).")
]
Grader = Annotated[str | None, typer.Option(metavar="NAME", help="Only what is on the list of this grader.")]
Everything = Annotated[bool, typer.Option("--all", help="Also answers that have points.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file, with points and comments in it.")]
Student = Annotated[str, typer.Argument(metavar="STUDENT", help="Id, login, email address or name.")]
Reason = Annotated[str, typer.Argument(metavar="REASON", help="Why it should be looked at again.")]
Question = Annotated[str, typer.Option(metavar="CELL", help="The graded cell (default: the module as a whole).")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the request.")]
AnswerText = Annotated[str, typer.Argument(metavar="ANSWER", help="What came of it.")]
Module = Annotated[str | None, typer.Argument(metavar="[M]", help="Only requests about this module.")]


def register(app):
    app.command()(assign)
    app.add_typer(written, name="written")
    app.add_typer(request, name="request")


def assign(
    module: Name,
    to: To = None,
    by: By = None,
    seed: Seed = None,
    again: Again = False,
    anonymous: Hidden = None,
    url: Url = None,
):
    """Deal the graded submissions to several graders, evenly; each gets a list with the formgrader's addresses."""
    from tito.services.grading.graders import assigning

    project, catalog = open_project()
    if by is not None and by not in assigning.BY:
        raise UsageError(f"--by is {', '.join(assigning.BY)}", f"tito grade assign {module} --to ta1,ta2 --by section")
    done = assigning.assign(
        project,
        catalog.find(module),
        [one.strip() for one in (to or "").split(",") if one.strip()],
        by=by,
        seed=seed,
        again=again,
        anonymous=anonymous,
        url=url or assigning.FORMGRADER,
    )
    data = {
        "module": done.module,
        "seed": done.seed,
        "by": done.by or None,
        "anonymous": done.anonymous,
        "graders": [
            {"grader": one.grader, "file": project.relative(one.path), "submissions": list(one.rows)}
            for one in done.lists
        ],
        "not_autograded": list(done.ungraded),
    }
    console.show(data, lambda: _print_lists(project, done))


def _print_lists(project, done):
    rows = [
        (
            one.grader,
            str(len(one.rows)),
            str(sum(row.new for row in one.rows)),
            str(sum(row.waiting for row in one.rows)),
            project.relative(one.path),
        )
        for one in done.lists
    ]
    console.table(["grader", ">submissions", ">new", ">answers that wait", "list"], rows)
    if done.ungraded:
        console.warn(
            f"on no list, since it is not autograded: {', '.join(done.ungraded)}; tito grade autograde {done.module}, "
            "then assign again: who is on a list stays there"
        )
    console.line("the addresses open in a browser in which the formgrader is open: tito grade formgrade")


@written.command("export")
def export(
    module: Name, output: Output = None, grader: Grader = None, everything: Everything = False,
    anonymous: Anonymous = False,
):  # fmt: skip
    """Write the answers in words that wait for a person, with question, rubric and room for points and a comment."""
    from tito.services.grading.graders.written import write_out

    project, catalog = open_project()
    found = catalog.find(module)
    done = write_out(project, found, output, grader=grader, everything=everything, anonymous=anonymous)
    data = {
        "module": found.name,
        "output": str(output) if output else None,
        "answers": list(done.rows),
        "not_autograded": list(done.stale),
    }
    console.show(data, lambda: _print_export(done, output, found))


def _print_export(done, output, module):
    from tito.services.words import count

    if done.stale:
        console.warn(
            f"left out, since what was handed in is newer than the score: {', '.join(done.stale)}; "
            f"tito grade autograde {module.name}"
        )
    if not output:
        console.line(done.data.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n"))
        return
    console.line(f"{output}: {count(len(done.rows), 'answer')}")
    if done.rows:
        console.line(f"next: fill in points and comment, then tito grade written import {module.name} {output}")


@written.command("import")
def import_written(module: Name, file: File):
    """Take points and comments from such a file: all of its rows, or none."""
    from tito.services.grading.graders.written import take_in

    project, catalog = open_project()
    found = catalog.find(module)
    done = take_in(project, found, file)
    data = {
        "module": found.name,
        "answers": done.rows,
        "without_points": done.open,
        "changes": list(done.changes),
        "closed_requests": list(done.closed),
    }
    console.show(data, lambda: _print_import(done, found))


def _print_import(done, module):
    from tito.services.words import count, number

    rows = [
        (one.who, one.question, number(one.before), number(one.after), "comment" if one.commented else "")
        for one in done.changes
    ]
    if rows:
        console.table(["", "question", ">before", ">points", ""], rows)
    answers = count(done.rows, "answer")
    console.line(f"{answers}, {len(done.changes)} changed; {done.open} without points in the file")
    if done.closed:
        console.line(f"requests closed by this: {', '.join(map(str, done.closed))}")
    if done.changes:
        console.line(f"next: tito grade feedback {module.name}")


@request.command("add")
def add(module: Name, student: Student, reason: Reason, question: Question = ""):
    """Record that somebody asks for a score to be looked at again, and why."""
    from tito.services.grading.graders import requests

    project, catalog = open_project()
    done = requests.add(project, catalog.find(module), student, reason, question)
    console.show(done, lambda: _print_requests([done]))


@request.command("list")
def list_requests(
    module: Module = None, everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False
):
    """Show the requests that are open."""
    from tito.services.grading.book.course import require_course
    from tito.services.grading.graders.requests import read_requests

    project, catalog = open_project()
    found = read_requests(require_course(project), catalog.find(module) if module else None)
    shown = [one for one in found if everything or one.is_open]
    console.show({"requests": shown}, lambda: _print_requests(shown))


@request.command("close")
def close(number: Number, answer: AnswerText):
    """Answer a request."""
    from tito.services.grading.graders import requests

    project, _ = open_project()
    done = requests.close(project, number, answer)
    console.show(done, lambda: _print_requests([done]))


def _print_requests(rows):
    from tito.services.words import number

    if not rows:
        console.line("no requests")
        return
    cells = [
        (
            str(one.number),
            "open" if one.is_open else "closed",
            one.module,
            one.student,
            one.question,
            number(one.points),
            f"{one.reason}\n{one.answer}" if one.answer else one.reason,
        )
        for one in rows
    ]
    console.table([">", "", "module", "student", "cell", ">points", "why"], cells)
