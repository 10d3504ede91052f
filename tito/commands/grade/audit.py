"""`tito grade audit`: do the tests of a module notice wrong answers?"""

import os
from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError, WorkError


def register(app):
    app.command("audit")(audit)


def audit(
    modules: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="Every module.")] = False,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many mutants run at once (default: one a core).")
    ] = None,
    a_cell: Annotated[
        int | None, typer.Option("--per-cell", metavar="N", min=0, help="At most this many mutants of a cell; 0: all.")
    ] = None,
):
    """Mutate the reference's answers, grade every mutant, and list those that lose no points."""
    from tito.services.grading.proof import audit as service

    project, catalog = open_project()
    if bool(modules) == everything:
        raise UsageError("name modules, or give --all", "tito grade audit 9")
    chosen = list(catalog) if everything else find_modules(catalog, modules)
    done = []
    for module in chosen:
        with console.progress(f"auditing {module.name}") as advance:
            found = service.audit(
                project,
                catalog,
                module,
                jobs=jobs or os.cpu_count() or 1,
                a_cell=service.A_CELL if a_cell is None else a_cell,
                on_mutant=advance,
            )
        done.append(found)
        console.show({"audits": [_data(one) for one in done]}, lambda found=found: _print(found, service.REQUIRED))
    if weak := [one.module for one in done if not one.passed]:
        raise WorkError(
            f"the tests of {', '.join(weak)} let wrong answers pass, or refuse at `complete` what a notebook accepts",
            "strengthen the notebook's tests, or explain the survivors in tests/grading/audit",
            code="weak-tests",
        )


def _data(found):
    return {
        "module": found.module,
        "passed": found.passed,
        "rate": found.rate,
        "visible_rate": found.visible_rate,
        "cells": found.cells,
        "survivors": [
            {
                "grade_id": one.mutant.grade_id,
                "where": one.where,
                "before": one.mutant.before,
                "after": one.mutant.after,
                "nth": one.mutant.nth,
                "kind": one.explanation.kind if one.explanation else "unexplained",
                "why": one.explanation.why if one.explanation else None,
                "noticed": one.noticed,
            }
            for one in found.survivors
        ],
        "tested": found.tested,
        "refused": [
            {
                "grade_id": one.mutant.grade_id,
                "where": one.where,
                "before": one.mutant.before,
                "after": one.mutant.after,
                "nth": one.mutant.nth,
                "test": one.refusal.test,
                "message": one.refusal.message,
                "withheld": one.withheld,
                "known": one.known,
            }
            for one in found.refused
        ],
        "stale": found.stale,
        "unearned": found.unearned,
        "seconds": round(found.seconds, 1),
    }


def _print(found, required):
    console.table(
        ["cell", ">mutants", ">run", ">killed", ">by visible", ">equivalent", ""],
        [
            (
                cell.grade_id,
                str(cell.made),
                str(cell.run),
                str(cell.killed),
                str(cell.visible),
                str(cell.equivalent),
                "" if cell.killed == cell.countable else f"{cell.countable - cell.killed} survive",
            )
            for cell in found.cells
        ],
    )
    for survivor in found.survivors:
        if survivor.explanation is None:
            _print_survivor(survivor)
    accepted = sum(one.explanation is not None and not one.is_equivalent for one in found.survivors)
    for refused in found.surprises:
        _print_refused(refused)
    for text in found.stale:
        console.line(f"stale: {text}")
    for grade_id in found.unearned:
        console.line(f"an untouched stub passes {grade_id}")
    console.line(
        f"{found.module}: {found.rate:.1%} of {found.countable} mutants are killed ({required:.0%} have to be), "
        f"{found.visible_rate:.1%} by the visible tests alone; {accepted} survivors accepted, "
        f"{len(found.unexplained)} not explained; {found.seconds:.0f} s"
    )
    everywhere = sum(not one.withheld for one in found.refused)
    console.line(
        f"{found.module}: {found.tested} mutants keep every visible point; complete would refuse {everywhere} of them "
        f"that keep the withheld points too, and {len(found.refused) - everywhere} that lose some"
    )


def _shown(where, mutant):
    nth = f" (number {mutant.nth})" if mutant.nth > 1 else ""
    return f"{where}: {mutant.before} -> {mutant.after}{nth}"


def _print_refused(refused):
    points = "every visible point" if refused.withheld else "every point of the notebook, visible and withheld"
    console.line(f"refused by complete: {_shown(refused.where, refused.mutant)}")
    console.line(f"    it has {points}; {refused.refusal}")


def _print_survivor(survivor):
    noticed = ", ".join(survivor.noticed)
    console.line(f"survives: {_shown(survivor.where, survivor.mutant)}")
    if noticed:
        console.line(f"    other questions' tests notice it: {noticed}")
