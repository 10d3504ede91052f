"""`tito site`: the course as pages, built from what is there."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console

Folder = Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Of its own (default: .tito/site/html).")]

app = typer.Typer(help="The course as a site: build, serve. It works from a folder, without a network.")


def register(root):
    root.add_typer(app, name="site")


@app.command()
def build(
    to: Folder = None,
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="Run the modules and milestones of which nothing is kept (minutes).")
    ] = True,
):
    """Build the pages that changed; a warning, a broken link or an answer on a page is an error."""
    from tito.services.site.build import build as service

    project, catalog = open_project()
    with console.progress("building") as advance:
        on_part = advance and (lambda part: advance(0, None, part))
        built = service(project, catalog, to, run=run, on_part=on_part, say=console.line)
    console.show(built, lambda: _print(built))


def _print(built):
    console.table(("part", ">seconds"), [(part, f"{seconds:.1f}") for part, seconds in built.seconds.items()])
    console.line(f"{sum(built.seconds.values()):.1f} s in all")
    for words, names in (("from what was kept", built.kept), ("run for it", built.ran), ("lacking", built.lacking)):
        if names:
            console.line(f"{words}: {', '.join(names)}")
    console.line(f"{built.pages} pages, {built.changed} sources changed: {built.folder / 'index.html'}")


@app.command()
def serve(
    folder: Folder = None,
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0: any that is free.")] = 8000,
):
    """Serve the built pages to this machine, until Ctrl-C."""
    from tito.services.site.build import default_folder
    from tito.services.site.serve import address, server

    project, _ = open_project()
    with server((folder or default_folder(project)).resolve(), port) as listening:
        found = address(listening)
        console.show({"address": found}, lambda: console.line(f"{found}   (Ctrl-C ends it)"))
        console.stays()
        try:
            listening.serve_forever()
        except KeyboardInterrupt:
            return
