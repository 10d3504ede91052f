"""Every graded cell, proven: the reference earns full marks, the stub none, other correct answers full marks, and
wrong answers lose marks.

The wrong answers lie in `wrong/`, right ones in `right/`, a file a module.
"""

from functools import cache
from pathlib import Path

import pytest
from answers import right_answers, right_notebooks, wrong_answers
from harness import run_versions

from tito.catalog import read_catalog
from tito.project import read_project

ROOT = Path(__file__).resolve().parents[2]
WRONG_VERSIONS_A_CELL = 4
RIGHT_VERSIONS_A_CELL = 3
# modules whose second and third right answers are not written yet; this list may only shrink
NOT_YET = {
    "01_tensor",
    "03_layers",
    "04_losses",
    "05_autograd",
    "06_optimizers",
    "07_training",
    "08_dataloader",
    "09_spatial",
}

PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
every_module = pytest.mark.parametrize("name", [module.name for module in CATALOG])


@cache
def proofs(name):
    """All that one process found out about a module."""
    return run_versions(PROJECT, CATALOG, CATALOG[name], wrong_answers(name), right_notebooks(name))


@every_module
def test_the_reference_earns_full_marks(name):
    found = proofs(name)
    assert found["reference"]["tests"], "no graded cell at all"
    assert {test: error for test, error in found["reference"]["tests"].items() if error} == {}
    assert found["reference"]["errors"] == {}, "cells of the reference that fail"


@every_module
def test_the_untouched_stub_earns_nothing(name):
    found = proofs(name)
    passed = [test for test, error in found["stub"]["tests"].items() if error is None]
    assert found["stub"]["tests"].keys() == found["reference"]["tests"].keys()
    assert passed == []


@every_module
def test_each_stub_alone_earns_nothing_for_its_question(name):
    for version in proofs(name)["wrong"]:
        if version["flaw"] == "its own stub":
            assert version["tests"], f"{version['grade_id']}: no test asks for it"
            passed = [test for test, error in version["tests"].items() if error is None]
            assert passed == [], f"{version['grade_id']}: tests that an empty answer passes"


@every_module
def test_correct_answers_written_differently_earn_full_marks(name):
    """In the k-th notebook every cell has its k-th right answer."""
    found = proofs(name)
    assert found["right"]
    for number, notebook in enumerate(found["right"], 1):
        lost = {test: error for test, error in notebook["tests"].items() if error}
        assert (lost, notebook["errors"]) == ({}, {}), f"notebook {number} of the right answers"


@every_module
def test_every_graded_cell_has_several_right_answers(name):
    found = right_answers(name)
    assert sorted(found) == sorted(proofs(name)["answers"])
    few = {grade_id: len(codes) for grade_id, codes in found.items() if len(codes) < RIGHT_VERSIONS_A_CELL}
    if name in NOT_YET:
        assert few, f"{name} has them all: take it out of NOT_YET"
    else:
        assert few == {}, f"fewer than {RIGHT_VERSIONS_A_CELL} right answers"


@every_module
def test_wrong_answers_lose_marks(name):
    found, flaws = proofs(name), {}
    for version in found["wrong"]:
        if version["flaw"] != "its own stub":
            flaws.setdefault(version["grade_id"], []).append(version)
    for grade_id in found["answers"]:
        versions = flaws.get(grade_id, [])
        assert len(versions) >= WRONG_VERSIONS_A_CELL, f"{grade_id}: write more wrong versions"
        for version in versions:
            assert version["broken"] is None, f"{grade_id}, {version['flaw']}: does not even run: {version['broken']}"
            failed = [test for test, error in version["tests"].items() if error is not None]
            assert failed, f"{grade_id}, {version['flaw']}: earns full marks"
    assert set(flaws) <= set(found["answers"]), "wrong versions of cells that do not exist"
