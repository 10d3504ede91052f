"""The course's own answers to every module, scored as a submission is: in a sandbox, with the limits of a class."""

import copy
import json
import re
from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks, strip
from tito.services.grading.sandbox.find import Sandbox, find
from tito.services.grading.scoring import kits, placing
from tito.services.grading.scoring.scorer import Task, score

PROJECT = read_project(Path(__file__).resolve().parents[2])
CATALOG = read_catalog(PROJECT)
STRETCHED = [one for one in CATALOG if any(map(notebooks.is_stretch, notebooks.load(PROJECT, one.percent).node.cells))]


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
    lost = {cell.grade_id: (cell.status, cell.message) for cell in result.cells if cell.status != "passed"}
    assert (result.status, lost) == ("graded", {}), result.detail
    assert result.points == result.max_points > 0


@pytest.mark.parametrize("module", STRETCHED, ids=lambda module: module.name)
def test_with_a_stretch_too_the_score_knows_every_cell_that_is_handed_out_and_counts_as_the_readme_says(module):
    handed = strip.strip(notebooks.load_handed_out(PROJECT, module).node)
    with kits.make(PROJECT, CATALOG, module, sandbox=Sandbox("none")) as kit:
        source = notebooks.parse(notebooks.as_bytes(handed), kit.notebook)
        ordered = placing.order(source, kit.handed, kit.tests)
        graded = [cell for cell in kit.source.node.cells if notebooks.is_test(cell) or notebooks.is_written(cell)]
    assert (tuple(ordered.changes), ordered.tampered) == ((), False)
    said = re.search(r"\| (\d+) \|$", (module.folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    if said:  # not every README has the table
        assert sum(map(notebooks.points, graded)) == int(said[1])
