"""`tito check`: the course's own release check."""

import os
import tempfile
from dataclasses import asdict
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console
from tito.errors import Undecided, WorkError

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[GATE]...", help="Gates or validators to run (default: all of them).")
]
List = Annotated[bool, typer.Option("--list", help="What each validator looks at, and how long it took here last.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="How many processes at once (default: one a core)."),
]


def register(app):
    app.command()(check)


def check(gates: Names = None, list_: List = False, jobs: Jobs = None):
    """Look at the course as its release would: six gates of validators, and a list of what is wrong."""
    from tito.services.check import gates as service

    project, _ = open_project()
    if list_:
        _list(service.chosen(gates or ()), service.last_seconds(project))
        return
    with tempfile.TemporaryDirectory(prefix="tito-check-") as work:
        run = service.check(
            project, gates or (), work=work, jobs=jobs or os.cpu_count() or 1,
            on_start=lambda one: console.line(f"… {one.gate}: {one.name}"),
        )  # fmt: skip
        found = list(run)
    console.show([_data(one) for one in found], lambda: _print(found))
    failed = [one.validator.name for one in found if one.findings]
    if failed:
        count = sum(len(one.findings) for one in found)
        raise WorkError(
            f"{count} finding{'s' if count > 1 else ''} of {', '.join(failed)}",
            f"fix them, then: tito check {' '.join(failed)}",
            code="findings",
        )
    if missing := [one.validator.name for one in found if one.not_run]:
        raise WorkError(f"{', '.join(missing)} did not run", "install what the lines above name", code="not-run")
    undecided = [one.validator.name for one in found if one.undecided]
    if undecided and not os.environ.get("CI"):  # where it is shown, and no clock fails a change
        again = f"on a machine with nothing else to do: tito check {' '.join(undecided)}"
        raise Undecided(f"{', '.join(undecided)} did not decide", again)


def _list(validators, seconds):
    took = {one.name: f"{seconds[one.name]:.1f}" if one.name in seconds else "" for one in validators}
    data = [
        {"gate": one.gate, "validator": one.name, "about": one.about, "seconds": seconds.get(one.name)}
        for one in validators
    ]
    rows = [(one.gate, one.name, took[one.name], one.about) for one in validators]
    console.show(data, lambda: console.table(["gate", "validator", ">seconds, last time", "looks at"], rows))


def _data(one):
    return {
        "gate": one.validator.gate,
        "validator": one.validator.name,
        "status": one.status,
        "seconds": one.seconds,
        "not_run": one.not_run or None,
        "undecided": one.undecided or None,
        "findings": [asdict(finding) for finding in one.findings],
    }


def _print(found):
    rows = [
        (
            one.validator.gate,
            one.validator.name,
            one.status,
            str(len(one.findings) or ""),
            f"{one.seconds:.1f}",
            one.not_run or one.undecided,
        )
        for one in found
    ]
    console.table(["gate", "validator", "", ">findings", ">seconds", ""], rows)
    for one in found:
        for finding in one.findings:
            place = f"{finding.file}:{finding.line}" if finding.line else finding.file
            console.line(f"{place}: {finding.what}   ({finding.fix})")
