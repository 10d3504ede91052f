"""Runs one module's notebook many times over, each time with other answers, in one process that forks.

A kernel for every wrong answer would take an hour. Here a child process executes the cells of the reference once,
in order; at each answer it forks, and the fork goes on with another version of that answer and its tests.
Cells run by plain exec, without IPython: what kernels add is tested with real kernels elsewhere.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tito.services import notebooks, strip, views

HERE = Path(__file__).parent
SECTION = re.compile(r"^# %% (?P<grade_id>[^\s:]+)(?:: (?P<flaw>.+))?$", re.MULTILINE)


@dataclass
class Answers:
    """What a file of answers holds: [(grade_id, flaw or None, code)]."""

    sections: list = field(default_factory=list)

    def by_cell(self):
        found = {}
        for grade_id, flaw, code in self.sections:
            found.setdefault(grade_id, []).append((flaw, code))
        return found


def read_answers(path):
    """The sections `# %% grade_id: what is wrong` of a file, each with the code up to the next."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    marks = list(SECTION.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    codes = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    return Answers([(m["grade_id"], m["flaw"], code) for m, code in zip(marks, codes, strict=True)])


def read_cells(project, module):
    """The code cells of a module that testing runs, as plain dictionaries: source, grade_id, role, stub."""
    source = notebooks.load(project, module.percent)
    stubs = strip.strip(source.node, source)
    cells = []
    for cell, stub in zip(source.node.cells, stubs.cells, strict=True):
        if cell.cell_type != "code" or notebooks.is_measure(cell):
            continue
        grade_id = notebooks.grade_id(cell)
        role = "answer" if notebooks.is_solution(cell) else "test" if notebooks.is_test(cell) else "given"
        cells.append(
            {
                "source": cell.source,
                "grade_id": grade_id,
                "role": role,
                "stub": stub.source if role == "answer" else None,
            }
        )
    return cells


def run_versions(project, catalog, module, wrong, student):
    """Run the notebook as it is, as a stub, with the student's answers, and with each wrong answer in its place.

    wrong: {grade_id: [(flaw, code)]}; student: {grade_id: code}. Returns {"reference" | "stub" | "student":
    {grade_id of a test: None or the error}, "errors": errors of cells that are no tests, in the reference,
    "wrong": [{"grade_id", "flaw", "tests": {grade_id of a test: None or the error}}]}.
    """
    job = {"cells": read_cells(project, module), "wrong": wrong, "student": student}
    with views.view(project, catalog.below(module)) as folder:
        environment = views.child_environment(folder, is_view=True)
        environment.update(OPENBLAS_NUM_THREADS="1", MPLBACKEND="agg")
        done = subprocess.run(
            [sys.executable, str(HERE / "forking_child.py")],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=module.folder,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, f"the child that runs {module.name} failed:\n{done.stderr[-3000:]}"
    return {**json.loads(done.stdout), "cells": job["cells"]}
