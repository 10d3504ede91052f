"""Every graded cell, proven: the reference earns full marks, the stub none, other correct answers full marks, and
wrong answers lose marks.

The wrong answers lie in `wrong/`, the answers of a stand-in student in `../integration/student/`, a file a module.
"""

from functools import cache
from pathlib import Path

import pytest
from harness import read_answers, run_versions

from tito.catalog import read_catalog
from tito.project import read_project

ROOT = Path(__file__).resolve().parents[2]
WRONG_VERSIONS_A_CELL = 4

PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
every_module = pytest.mark.parametrize("name", [module.name for module in CATALOG])


@cache
def proofs(name):
    """All that one process found out about a module."""
    module = CATALOG[name]
    wrong = read_answers(Path(__file__).parent / "wrong" / f"{name}.py").by_cell()
    student = read_answers(ROOT / "tests" / "integration" / "student" / f"{name}.py").by_cell()
    return run_versions(PROJECT, CATALOG, module, wrong, {cell: codes[0][1] for cell, codes in student.items()})


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
def test_a_correct_answer_written_differently_earns_full_marks(name):
    found = proofs(name)
    student = read_answers(ROOT / "tests" / "integration" / "student" / f"{name}.py").by_cell()
    assert sorted(student) == sorted(found["answers"]), "the stand-in student answers every cell"
    assert {test: error for test, error in found["student"]["tests"].items() if error} == {}
    assert found["student"]["errors"] == {}


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
