"""`tito grade worker-check`: may the workers of a Dask scheduler score this class?"""

from dataclasses import asdict
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console
from tito.errors import WorkError

Scheduler = Annotated[
    str, typer.Option(metavar="ADDRESS", help="A Dask scheduler: tls://host:port, or tcp:// on this machine.")
]
OpenScheduler = Annotated[
    bool,
    typer.Option("--open-scheduler", help="Use a scheduler that anybody on its network could run programs on."),
]
Attacks = Annotated[
    list[str] | None, typer.Option("--attack", metavar="NAME", help="Run this attack only; may be repeated.")
]


def register(root):
    root.command("worker-check")(worker_check)


def worker_check(scheduler: Scheduler, attack: Attacks = None, open_scheduler: OpenScheduler = False):
    """Say of every worker whether it has this course and these versions, and whether its sandbox holds."""
    from tito.services.grading.book.course import require_course
    from tito.services.grading.cluster.check import check
    from tito.services.grading.cluster.connection import connect

    project, _ = open_project()
    require_course(project)
    with (
        connect(scheduler, open_scheduler=open_scheduler) as connection,
        console.progress("workers") as advance,
    ):
        found = check(connection, project, names=attack or (), on_done=advance)
    console.show([asdict(one) for one in found], lambda: _print(found))
    if refused := [one.name for one in found if one.reason]:
        raise WorkError(
            f"{len(refused)} of {len(found)} workers score nothing: {', '.join(refused)}",
            "update their clones of the course and their environments (pip install -e .), or leave them out",
            code="workers",
        )


def _print(found):
    rows = [
        (
            "refused" if one.reason else "ready",
            one.name,
            str(one.threads),
            one.sandbox,
            f"{one.held} of {one.attacks}" if one.attacks else "",
            one.reason,
        )
        for one in found
    ]
    console.table(["", "worker", ">threads", "sandbox", ">attacks held", ""], rows)
