"""`tito update`: a new version of the course, merged into a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A clone or a folder of the course, or a zip of it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would become of each cell; change nothing.")]
WORDS = {
    "untouched": "replaced: you had not worked on it",
    "new": "new",
    "absent": "there is no notebook yet",
    "gone": "no longer in the course; yours stays",
    "unreadable": "could not be read; it stays as it is",
}


def register(app):
    app.command()(update)


def update(source: Source, dry_run: DryRun = False):
    """Merge a new version of the course into this workspace: your answers and your own cells stay.

    Text and tests that you left alone are replaced, and tito, milestones and READMEs come along. Close open notebooks
    first. A backup of the whole workspace is made and named.
    """
    from tito.services import update as service

    project, catalog = open_project()
    with console.progress("updating") as advance:
        done = service.update(project, catalog, source, dry_run=dry_run, **({"say": advance} if advance else {}))
    data = {
        "before": done.before,
        "version": done.version,
        "dry_run": dry_run,
        "modules": [
            {"module": one.module, "status": one.status, "cells": [vars(change) for change in one.changes]}
            for one in done.modules
        ],
        "files": done.files,
        "removed": done.removed,
        "outdated": done.outdated,
        "failed": done.failed,
        "backup": project.relative(done.backup) if done.backup else None,
        "warnings": done.warnings,
    }
    console.show(data, lambda: _print(done, data))


def _print(done, data):
    for warning in done.warnings:
        console.warn(warning)
    if done.changes_nothing:
        console.line(f"nothing to update: this is version {done.version}")
        return
    rows = []
    for one in done.modules:
        if one.status in WORDS:
            rows.append((one.module, "", WORDS[one.status]))
        rows += [(one.module, change.name, change.what) for change in one.changes]
    console.table(["module", "cell", ""], rows)
    verb = "would be" if data["dry_run"] else "were"
    console.line(f"from version {done.before} to {done.version}: {done.files} files {verb} put in place")
    for name in done.outdated:
        console.line(f"{name} is stale: its tests changed; tito module complete {name}")
    for name, message in done.failed.items():
        console.warn(f"{name} does not pass its new tests: {message}")
    if data["backup"]:
        console.line(f"the workspace as it was: {data['backup']}")
        if done.reinstall:
            console.line("next: pip install -e .")
