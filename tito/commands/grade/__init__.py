"""`tito grade`: releases, submissions, scores and feedback, for instructors."""

import typer

from tito.commands.grade import (
    audit,
    autograde,
    collect,
    export,
    feedback,
    formgrade,
    handing_out,
    release,
    report,
    roster,
    selftest,
)

app = typer.Typer(help="For instructors: release, collect, autograde, feedback, export, report, audit, selftest.")
PARTS = (release, handing_out, collect, roster, autograde, formgrade, feedback, export, report, audit, selftest)


def register(root):
    for part in PARTS:
        part.register(app)
    root.add_typer(app, name="grade")
