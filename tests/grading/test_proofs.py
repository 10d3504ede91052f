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
# answers that wait for a visible case: they have every point that a student sees, and complete refuses them; this may
# only shrink
REFUSED_YET = {}
# wrong answers that pass the visible tests of their own question and fail one elsewhere, as "flaw -> test"; likewise
BLAMED_YET = {}

PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
every_module = pytest.mark.parametrize("name", [module.name for module in CATALOG])


@cache
def proofs(name):
    """All that one process found out about a module."""
    return run_versions(PROJECT, CATALOG, CATALOG[name], wrong_answers(name), right_notebooks(name))


@every_module
def test_the_reference_earns_full_marks(name):
    reference = proofs(name).reference
    assert reference.tests, "no graded cell at all"
    assert {test: error for test, error in reference.tests.items() if error} == {}
    assert reference.errors == {}, "cells of the reference that fail"


@every_module
def test_the_untouched_stub_earns_nothing(name):
    found = proofs(name)
    assert found.stub.tests.keys() == found.reference.tests.keys()
    assert [test for test, error in found.stub.tests.items() if error is None] == []


@every_module
def test_each_stub_alone_earns_nothing_for_its_question(name):
    for stub in proofs(name).stubs:
        assert stub.tests, f"{stub.grade_id}: no test asks for it"
        passed = [test for test, error in stub.tests.items() if error is None]
        assert passed == [], f"{stub.grade_id}: tests that an empty answer passes"


@every_module
def test_correct_answers_written_differently_earn_full_marks(name):
    """In the k-th notebook every cell has its k-th right answer."""
    found = proofs(name)
    assert found.right
    for number, notebook in enumerate(found.right, 1):
        lost = {test: error for test, error in notebook.tests.items() if error}
        assert (lost, notebook.errors) == ({}, {}), f"notebook {number} of the right answers"


@every_module
def test_complete_takes_correct_answers_written_differently(name):
    refused = {number: str(one.refusal) for number, one in enumerate(proofs(name).right, 1) if one.refusal}
    assert refused == {}, "notebooks of right answers that test_name.py refuses"


@every_module
def test_complete_refuses_no_answer_that_has_every_point_its_author_can_see(name):
    """The surprise of full points and then a refusal: a case of test_name.py belongs into the notebook's own test."""
    refused = {f"{one.grade_id}: {one.flaw}": str(one.refusal) for one in proofs(name).wrong if one.refusal}
    known = REFUSED_YET.get(name, set())
    assert {flaw: said for flaw, said in refused.items() if flaw not in known} == {}
    assert known - refused.keys() == set(), f"{name}: these are refused no more: take them out of REFUSED_YET"


@every_module
def test_a_wrong_answer_costs_no_other_question_its_points_without_blocking_it(name):
    wrong, known = proofs(name).wrong, BLAMED_YET.get(name, set())
    seen = {f"{one.grade_id}: {one.flaw} -> {test}": said for one in wrong for test, said in one.blamed.items()}
    assert {test: said for test, said in seen.items() if test not in known} == {}, "as a student sees it"
    assert known - seen.keys() == set(), f"{name}: these are blocked by now: take them out of BLAMED_YET"
    in_grading = {f"{one.grade_id}: {one.flaw}": one.blamed_in_grading for one in wrong if one.blamed_in_grading}
    assert in_grading == {}, "with the withheld tests"


@every_module
def test_every_graded_cell_has_several_right_answers(name):
    found = right_answers(name)
    assert sorted(found) == sorted(proofs(name).answers)
    few = {grade_id: len(codes) for grade_id, codes in found.items() if len(codes) < RIGHT_VERSIONS_A_CELL}
    assert few == {}, f"fewer than {RIGHT_VERSIONS_A_CELL} right answers"


@every_module
def test_wrong_answers_lose_marks(name):
    found, versions = proofs(name), {}
    for version in found.wrong:
        versions.setdefault(version.grade_id, []).append(version)
    for grade_id in found.answers:
        own = versions.get(grade_id, [])
        assert len(own) >= WRONG_VERSIONS_A_CELL, f"{grade_id}: write more wrong versions"
        for version in own:
            assert version.broken is None, f"{grade_id}, {version.flaw}: does not even run: {version.broken}"
            failed = [test for test, error in version.tests.items() if error is not None]
            assert failed, f"{grade_id}, {version.flaw}: earns full marks"
