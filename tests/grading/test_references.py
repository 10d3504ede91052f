"""The course's own answers to every module, scored as a submission is: in a sandbox, with the limits of a class."""

import copy
import json
from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks
from tito.services.grading.sandbox.find import find
from tito.services.grading.scoring import kits
from tito.services.grading.scoring.scorer import Task, score

PROJECT = read_project(Path(__file__).resolve().parents[2])
CATALOG = read_catalog(PROJECT)


def answered(kit):
    """The notebook as it was handed out, with the reference's answers."""
    node = copy.deepcopy(kit.handed)
    for cell in node.cells:
        cell.source = kit.answers.get(notebooks.grade_id(cell), cell.source)
    return node


@pytest.mark.parametrize("module", list(CATALOG), ids=lambda module: module.name)
def test_the_reference_earns_all_points_in_a_sandbox(module):
    """In there a test meets proxies of what an answer made, which no test in one process sees."""
    with kits.make(PROJECT, CATALOG, module, sandbox=find(PROJECT, allow_none=True)) as kit:
        result = score(kit, Task("reference", json.dumps(answered(kit)).encode(), second_try=False)).result
    lost = {cell.grade_id: (cell.status, cell.message) for cell in result.cells if cell.points < cell.max_points}
    assert (result.status, lost) == ("graded", {}), result.detail
    assert result.points == result.max_points > 0
