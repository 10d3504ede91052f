"""`tito grade gradescope`: an autograder for Gradescope."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console


class Withheld(enum.StrEnum):
    AFTER_DUE_DATE = "after_due_date"
    AFTER_PUBLISHED = "after_published"
    HIDDEN = "hidden"


Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="The zip (default: in assignments/gradescope).")
]
When = Annotated[Withheld, typer.Option("--withheld", help="When Gradescope shows the withheld tests.")]
Minutes = Annotated[float, typer.Option(metavar="N", min=2, max=40, help="The time limit that is set on Gradescope.")]
NoSecond = Annotated[bool, typer.Option("--no-second-try", help="Count the first try, as in autograde.")]
CellSeconds = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long one cell may run.")]


def register(app):
    app.command()(gradescope)


def gradescope(
    module: Name,
    out: Out = None,
    withheld: When = Withheld.AFTER_DUE_DATE,
    minutes: Minutes = 10,
    no_second_try: NoSecond = False,
    cell_seconds: CellSeconds = 30,
):
    """Write the zip that Gradescope makes an autograder of: it scores there as autograde does here."""
    from tito.services.grading.gradescope.pack import Settings, pack

    project, catalog = open_project()
    settings = Settings(withheld.value, minutes, cell_seconds, second_try=not no_second_try)
    done = pack(project, catalog, catalog.find(module), out, settings)
    data = {
        "module": done.module,
        "version": done.version,
        "file": project.relative(done.path),
        "bytes": done.size,
        "points": {"visible": done.points, "withheld": done.withheld, "by_hand": done.written},
        "packages": done.packages,
        "settings": vars(settings),
    }
    console.show(data, lambda: _print(data, withheld))


def _print(data, withheld):
    points = data["points"]
    if withheld is Withheld.HIDDEN and points["withheld"]:
        console.warn(
            "Gradescope shows the total although tests are hidden: it tells how many withheld points were earned; "
            "after_due_date and after_published hide the total as well"
        )
    version = f", version {data['version']}" if data["version"] else ""
    console.line(f"{data['file']}{version}: {data['bytes'] / 1e6:.1f} MB, {data['packages']} packages pinned")
    console.line(
        f"{points['visible'] + points['withheld']:g} autograder points, {points['withheld']:g} of them withheld"
    )
    if points["by_hand"]:
        console.line(f"{points['by_hand']:g} points for answers in words: a question with a rubric of its own there")
    console.line("next: upload it on Gradescope (Configure Autograder), then hand in a solution as a test student")
