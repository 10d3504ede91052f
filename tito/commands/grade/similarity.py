"""`tito grade similarity`: which submissions are alike."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console

Against = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Also with the notebooks of another term.")]
Top = Annotated[int, typer.Option(metavar="N", min=1, help="How many pairs.")]
ON_A_TERMINAL = 20


def register(app):
    app.command()(similarity)


def similarity(module: Name, against: Against = None, top: Top = 100):
    """Compare what was submitted, and write the pairs that are alike, side by side, on a page. A place to look."""
    from tito.services.grading.similarity import compare

    project, catalog = open_project()
    found = catalog.find(module)
    title = f"reading {found.name}"
    with console.progress(title) as advance:
        tell = (lambda done, total: advance(done, total, title)) if advance else None
        done = compare.similarity(project, catalog, found, against=against, top=top, on_done=tell)
    path = project.relative(done.path)
    data = {
        "module": done.module,
        "submissions": done.submissions,
        "pairs": [
            {
                "one": pair.one.who,
                "other": pair.other.who,
                "shared": pair.shared,
                "part": round(pair.part, 4),
                "equal_to_the_reference": pair.equal,
            }
            for pair in done.pairs
        ],
        "equal_to_the_reference": done.shares,
        "unread": done.unread,
        "page": path,
    }
    console.show(data, lambda: _print(done, path))


def _print(done, path):
    for who, reason in sorted(done.unread.items()):
        console.warn(f"{who} could not be read: {reason}")
    rows = [
        (pair.one.who, pair.other.who, f"{100 * pair.part:.0f} %", f"{pair.shared}", ", ".join(pair.equal))
        for pair in done.pairs[:ON_A_TERMINAL]
    ]
    if rows:
        console.table(["one", "other", ">alike", ">fingerprints", "both equal to the course's answer"], rows)
    else:
        console.line(f"no two of {done.submissions} are alike beyond what the course handed out")
    console.line(f"a place to look, and no verdict; the texts side by side: {path}")
