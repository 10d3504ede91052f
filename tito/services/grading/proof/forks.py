"""Runs a notebook many times over with other answers in it, in one process that forks: seconds instead of an hour.

A kernel for every version would take too long. Here a child process executes the cells of the reference once, in
order; at each answer it forks, and the fork goes on with another version of that answer. Cells run by plain exec,
without IPython, and without a sandbox: this is for answers that were written or made here, not for submissions.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError
from tito.services import notebooks, strip, views
from tito.services.conventions import ASSEMBLY_TEST

CELL_SECONDS = 2.0  # of processor time that a cell gets besides ten times what the reference needs
CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Version:
    """Another `code` for the answer in cell number `cell` of the cells, and which cells below it run as well.

    reach: "own", up to the next answer; "end", all of them; "decided", all of them, but none after a visible test of
    its own or of the module has failed.
    """

    cell: int
    code: str
    reach: str = "own"


@dataclass(frozen=True)
class Finding:
    """What became of a run. errors: {number of a cell that was reached: None or the error in words}.

    ended: False where the process died, or had to be stopped, before it came to its end.
    """

    errors: dict
    ended: bool = True


def read_cells(source):
    """The code cells of a notebook that testing runs, as plain dictionaries.

    role: "answer", "test" or "given"; question: what a test is about, None for the test of the module as a whole;
    hidden: whether a test's text stays with the instructor; stub: what students get in place of an answer; exported:
    whether the package gets it; index: the cell's place in the notebook.
    """
    stubs = strip.strip(source.node, source)
    questions, cells = notebooks.questions(source.node), []
    for index, (cell, stub) in enumerate(zip(source.node.cells, stubs.cells, strict=True)):
        if cell.cell_type != "code" or notebooks.is_measure(cell):
            continue
        grade_id = notebooks.grade_id(cell)
        role = "answer" if notebooks.is_solution(cell) else "test" if notebooks.is_test(cell) else "given"
        is_assembly = (grade_id or "").startswith(ASSEMBLY_TEST)
        cells.append(
            {
                "source": cell.source,
                "grade_id": grade_id,
                "role": role,
                "question": None if is_assembly else questions.get(grade_id),
                "hidden": notebooks.is_withheld(stub),
                "stub": stub.source if role == "answer" else None,
                "exported": notebooks.is_exported(cell),
                "index": index,
            }
        )
    return cells


def run(project, catalog, module, cells, *, runs=None, versions=(), jobs=1, cell_seconds=CELL_SECONDS, on_version=None):
    """({name: Finding} for "reference" and every one of `runs`, [Finding for every one of `versions`]).

    runs: {name: {grade_id: code}}, whole notebooks with other answers. cell_seconds: of processor time that a cell of
    a version gets besides ten times what it needs in the reference; one that takes longer has failed.
    on_version(done, total): called after each version. Raises ProjectError where this system cannot fork, or where
    the child that does all this fails.
    """
    if not hasattr(os, "fork"):
        raise ProjectError(f"{sys.platform} cannot fork processes", "use Linux, macOS or WSL for this")
    job = {
        "cells": cells,
        "runs": runs or {},
        "versions": [{"cell": one.cell, "code": one.code, "reach": one.reach} for one in versions],
        "jobs": jobs,
        "seconds": cell_seconds,
    }
    whole, single = {}, {}
    count = 1 + len(job["runs"]) + len(versions)
    for found in findings(project, catalog, module, CHILD, job, count, without_kernels_of=module):
        finding = Finding({note["cell"]: note["error"] for note in found["notes"]}, found["ended"])
        if "run" in found:
            whole[found["run"]] = finding
            continue
        single[found["version"]] = finding
        if on_version:
            on_version(len(single), len(versions))
    return whole, [single[number] for number in range(len(versions))]


def findings(project, catalog, module, program, job, count, **settings):
    """What the child process `program` finds out about `job`, `count` findings in all, each as it is found.

    The child runs in a view of what the module needs, with `settings`, and in a folder of its own; neither is left
    behind. Raises ProjectError where the child fails.
    """
    with (
        views.view(project, catalog.prerequisites(module), **settings) as folder,
        tempfile.TemporaryDirectory(prefix="tito-audit-") as scratch,
        tempfile.TemporaryFile() as errors,
        _child(program, folder, scratch, errors) as child,
    ):
        child.stdin.write(json.dumps(job))
        child.stdin.close()
        for line in child.stdout:
            yield json.loads(line)
            count -= 1
        if child.wait() != 0 or count > 0:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
            reason = said[-1] if said else f"exit code {child.returncode}"
            raise ProjectError(f"the process that runs {module.name} failed: {reason}", "run it again")


@contextmanager
def _child(program, folder, scratch, errors):
    environment = views.child_environment(folder, is_view=True)
    # threads do not survive a fork
    environment.update(OPENBLAS_NUM_THREADS="1", TINYTORCH_THREADS="1", MPLBACKEND="agg", TMPDIR=scratch)
    child = subprocess.Popen(
        [sys.executable, "-P", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        cwd=scratch,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
