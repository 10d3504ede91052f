"""The provided kernels, which could stand in for answers of the module that teaches them: while it is tested they are
not there, and that is what costs the points of an answer which calls them."""

from pathlib import Path

import pytest
from answers import wrong_answers
from harness import run_versions

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import views

PROJECT = read_project(Path(__file__).resolve().parents[2])
CATALOG = read_catalog(PROJECT)
WITH_KERNELS = [module for module in CATALOG if (PROJECT.package / "kernels" / module.short).is_dir()]
FLAWS = ("calls the provided kernels", "asks the operation for its fast engine")


def calling_versions(name):
    found = {cell: [one for one in codes if one[0] in FLAWS] for cell, codes in wrong_answers(name).items()}
    return {cell: versions for cell, versions in found.items() if versions}


def flawed(module):
    found = run_versions(PROJECT, CATALOG, module, calling_versions(module.name), [])
    return [version for version in found.wrong if version.flaw in FLAWS]


@pytest.mark.parametrize("module", WITH_KERNELS, ids=lambda module: module.name)
def test_an_answer_that_calls_the_provided_kernels_loses_its_points_and_is_told_why(module):
    versions = flawed(module)
    assert versions, "no wrong version calls the kernels"
    for version in versions:
        errors = [error for error in version.tests.values() if error is not None]
        assert len(errors) == len(version.tests), version.grade_id
        if version.flaw == FLAWS[0]:
            assert all("left out while that module is tested" in error for error in errors), errors


@pytest.mark.parametrize("module", WITH_KERNELS, ids=lambda module: module.name)
def test_nothing_but_the_missing_kernels_costs_those_points(module, monkeypatch):
    monkeypatch.setattr(views, "_leave_out_kernels", lambda *arguments: None)
    for version in flawed(module):
        assert set(version.tests.values()) == {None}, (version.grade_id, version.flaw)
