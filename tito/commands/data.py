"""`tito data`: real datasets, checked by hash and kept in a cache."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tito.console import console
from tito.errors import changing

MEGA = 1_000_000
LINE_SECONDS = 5

Name = Annotated[str, typer.Argument(metavar="NAME", help="mnist, cifar10 or digits")]
Origin = Annotated[
    Path | None, typer.Option("--from", metavar="PATH", help="Take the files from this folder or archive.")
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long a server may be silent.")]

app = typer.Typer(help="Real datasets: list, fetch. TINYTORCH_DATA is the folder, TINYTORCH_MIRROR a mirror's address.")


def register(root):
    root.add_typer(app, name="data")


@app.command("list")
def list_datasets():
    """Show the datasets, and which of them are here."""
    from tito.services import data as service

    found = service.standings()
    data = [
        {
            "name": one.dataset.name,
            "title": one.dataset.title,
            "state": one.state,
            "folder": str(one.folder),
            "bytes": one.bytes,
            "files": [file.name for file in one.dataset.files],
        }
        for one in found
    ]
    folder = service.data_folder()
    console.show({"folder": str(folder), "datasets": data}, lambda: _print_list(folder, found))


def _print_list(folder, found):
    rows = [
        (one.state, one.dataset.name, f"{one.bytes / MEGA:.1f}" if one.bytes else "", one.dataset.title)
        for one in found
    ]
    console.table(["state", "dataset", ">MB", ""], rows)
    console.line(f"they are kept in {folder}")
    absent = [one.dataset.name for one in found if one.state != "ready"]
    if absent:
        console.line(f"next: tito data fetch {absent[0]}")


@app.command()
def fetch(name: Name, origin: Origin = None, timeout: Timeout = 30):
    """Download a dataset, check it, and put it into the cache; what broke off is continued."""
    from tito.services import data as service

    kept = f"what was downloaded is kept, and goes on with: tito data fetch {name}"
    with changing(kept), console.progress(name, unit="bytes") as bar:
        result = service.fetch(
            name, origin=origin, timeout=timeout, say=console.line, advance=bar or _lines_of_progress()
        )
    data = {"name": result.dataset, "folder": str(result.folder), "files": result.files}
    console.show(data, lambda: _print_fetched(result))


def _lines_of_progress():
    """advance(done, total) for a pipe: a line now and then."""
    last = time.monotonic()

    def advance(done, total):
        nonlocal last
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            of = f" of {total / MEGA:.1f}" if total else ""
            console.line(f"  {done / MEGA:.1f}{of} MB")

    return advance


def _print_fetched(result):
    console.table(
        ["state", "file", ">MB", "checked by"],
        [(file.state, file.name, f"{file.bytes / MEGA:.3f}", file.checked) for file in result.files],
    )
    console.line(f"{result.dataset} is ready in {result.folder}")
