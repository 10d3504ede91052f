"""`tito grade selftest`: does this machine's sandbox hold what a submission might try?"""

import os
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console
from tito.errors import WorkError

Names = Annotated[list[str] | None, typer.Argument(metavar="[ATTACK]...", help="Attacks to run (default: all).")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="How many run at once (default: one a core).")
]


def register(root):
    root.command()(selftest)


def selftest(attacks: Names = None, jobs: Jobs = None):
    """Grade the hostile submissions of the course on this machine, and say which of them were held."""
    from tito.services.grading.book.course import require_course
    from tito.services.grading.rehearsal.selftest import selftest as run

    project, catalog = open_project()
    require_course(project)
    with console.progress("attacks") as advance:
        found = run(project, catalog, names=attacks or (), jobs=jobs or os.cpu_count() or 1, on_done=advance)
    console.show(_data(found), lambda: _print(found))
    if loose := [one.name for one in found.attacks if not one.held]:
        raise WorkError(
            f"{len(loose)} of {len(found.attacks)} attacks were not held: {', '.join(loose[:10])}",
            "the lines above say what each came to; grade no class here if one reached this machine's files or network",
            code="not-held",
        )


def _data(found):
    return {
        "isolation": found.isolation,
        "detail": found.detail,
        "seconds": found.seconds,
        "attacks": [
            {
                "name": one.name,
                "about": one.about,
                "held": one.held,
                "slow": one.slow,
                "status": one.status,
                "problems": list(one.problems),
                "seconds": one.seconds,
            }
            for one in found.attacks
        ],
    }


def _print(found):
    rows = [(_word(one), one.name, one.status, f"{one.seconds:.1f}") for one in found.attacks]
    console.table(["", "attack", "submission", ">seconds"], rows)
    for one in found.attacks:
        for problem in one.problems:
            before = "held alone and with more time; before: " if one.slow else ""
            console.line(f"{one.name}: {before}{problem}")
    held = sum(one.held for one in found.attacks)
    detail = f" ({found.detail})" if found.detail else ""
    console.line(f"{held} of {len(found.attacks)} held with {found.isolation}{detail}, in {found.seconds:.0f} s")


def _word(one):
    return "slow" if one.slow else "held" if one.held else "not held"
