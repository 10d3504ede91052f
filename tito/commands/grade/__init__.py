"""`tito grade`: releases, submissions, scores and feedback, for instructors."""

import typer

from tito.commands.grade import (
    audit,
    autograde,
    collect,
    export,
    feedback,
    formgrade,
    graders,
    gradescope,
    handing_out,
    history,
    regrade,
    release,
    report,
    roster,
    selftest,
    similarity,
    worker_check,
)

app = typer.Typer(help="For instructors: from release and collect over autograde to feedback, export and report.")
WORK = (
    *(release, handing_out, collect, roster, autograde, formgrade, graders),
    *(feedback, export, report, regrade, history, similarity, gradescope),
)
PARTS = (*WORK, audit, selftest, worker_check)


def register(root):
    for part in PARTS:
        part.register(app)
    root.add_typer(app, name="grade")
