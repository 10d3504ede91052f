"""A notebook of two questions, to be handed in with whatever a test wants in it, and scored."""

import copy
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nbformat import v4

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks
from tito.services.grading.sandbox import find as sandbox
from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring import kits, scorer
from tito.services.grading.scoring.scorer import Task

ROOT = Path(__file__).resolve().parents[2]
META = '"schema_version": 3, "task": false'
TEST = '"grade": true, "locked": true, "solution": false'
SOURCE = f'''# %% [markdown]
r"""
# Two questions
"""

# %%
from tinytorch.notebook import check_home, expect_error

check_home()

# %% nbgrader={{"grade": false, "grade_id": "provided-imports", "locked": true, "solution": false, {META}}}
#| export
import numpy as np

# %% nbgrader={{"grade": false, "grade_id": "double", "locked": false, "solution": true, {META}}}
#| export
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% nbgrader={{{TEST}, "grade_id": "test-double", "points": 3, {META}}}
assert double(3) == 6, f"expected 6, got {{double(3)}}"
got = double(np.arange(3.0))
assert got.tolist() == [0.0, 2.0, 4.0], f"expected [0, 2, 4], got {{got.tolist()}}"

# %% nbgrader={{{TEST}, "grade_id": "test-double-hidden", "points": 1, {META}}}
# Withheld: a larger number.
### BEGIN HIDDEN TESTS
expected_secret = 15838
assert double(7919) == expected_secret
### END HIDDEN TESTS

# %% nbgrader={{"grade": false, "grade_id": "total", "locked": false, "solution": true, {META}}}
#| export
def total(values):
    """The sum of the doubles of `values`."""
    ### BEGIN SOLUTION
    return sum(double(value) for value in values)
    ### END SOLUTION

# %% nbgrader={{{TEST}, "grade_id": "test-total", "points": 2, {META}}}
assert total([1, 2]) == 6
assert total(value for value in (1.5, 2)) == 7

# %% nbgrader={{{TEST}, "grade_id": "test-total-hidden", "points": 1, {META}}}
# Withheld: nothing to add.
### BEGIN HIDDEN TESTS
assert total([]) == 0
### END HIDDEN TESTS

# %%
last = "seen"

# %% nbgrader={{{TEST}, "grade_id": "test-module", "points": 1, {META}}}
assert total([double(1)]) == 4
'''
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "total": "def total(values):\n    return sum(double(value) for value in values)",
}


@cache
def project():
    return read_project(ROOT)


@cache
def catalog():
    return read_catalog(project())


@cache
def box():
    return sandbox.find(project(), allow_none=True)


@contextmanager
def notebook(folder, source=SOURCE):
    """Yield a Kit of `source`."""
    path = folder / "course.py"
    path.write_text(source, encoding="utf-8")
    with kits.make(project(), catalog(), next(iter(catalog())), sandbox=box(), source=path) as kit:
        yield kit


class HandedIn:
    """What a student hands in: the stub with `answers` ({grade_id: code}) and free cells {grade_id before it: code}."""

    def __init__(self, kit):
        self.kit = kit

    def task(self, answers=None, *, behind=None, change=None, seconds=20, cell_seconds=10, limits=None, **settings):
        answers = {**RIGHT, **(answers or {})}
        node = copy.deepcopy(self.kit.handed)
        for cell in node.cells:
            if notebooks.grade_id(cell) in answers:
                cell.source = answers[notebooks.grade_id(cell)]
        for name, code in (behind or {}).items():
            place = [notebooks.grade_id(cell) for cell in node.cells].index(name)
            node.cells.insert(place + 1, v4.new_code_cell(code))
        if change:
            change(node)
        return Task("ada", as_bytes(node), limits or Limits(seconds=seconds), cell_seconds, **settings)

    def score(self, answers=None, *, cancel=None, **settings):
        return scorer.score(self.kit, self.task(answers, **settings), cancel).result


def as_bytes(node):
    return v4.writes(node).encode("utf-8", "replace")


def earned(result):
    return {cell.grade_id: cell.points for cell in result.cells}


def by_name(result):
    return {cell.grade_id: cell for cell in result.cells}
