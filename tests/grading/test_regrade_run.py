"""A regrade with the real scorer and sandbox: the tests of each version run, and the package of each is imported."""

import json
import os
import subprocess
import sys

import pytest
from small_course import WRONG, released

from tito.services import notebooks
from tito.services.grading.sandbox import find as sandbox

CALL = '    print("double")\n\ntest_unit_double()'


@pytest.fixture
def small(tmp_path):
    if sandbox.find(allow_none=True).kind == "none":
        pytest.skip("no sandbox on this machine")
    return released((tmp_path / "course").resolve())


def grade(small, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tito", "grade", *arguments, "--json"],
        cwd=small.root,
        env={**os.environ, "PYTHONPATH": str(small.root), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["data"]


def edit_a_test(node):
    next(cell for cell in node.cells if notebooks.grade_id(cell) == "test-double").source = "pass"


def points(data):
    return {row["student"]: row["second_points"] for row in data["students"]}


def test_each_version_is_scored_with_its_own_tests(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.solved("eve", change=edit_a_test)
    grade(small, "release", "alpha", "--force")
    small.edit(CALL, CALL.replace("test_unit_double()", "pass"))
    small.edit('"sizes are whole"', '"sizes are whole"\nraise AssertionError("stricter now")')
    told = grade(small, "autograde", "alpha")
    assert points(told) == {"ada": 19, "bob": 10, "eve": 19}, "by the tests that were released"
    assert set(told["course_changed"]) == {"test-double", "test-Box"}
    grade(small, "feedback", "alpha")
    data = grade(small, "regrade", "alpha", "--to", told["course_now"], "--apply")
    found = {(one["student"], one["question"]): (one["old"], one["new"], one["counts"]) for one in data["differences"]}
    assert found == {
        ("ada", "Box"): (10, 3, 10), ("eve", "Box"): (10, 3, 10), ("bob", "Box"): (10, 3, 10),
        ("bob", "double"): (0, 4, 4),
    }  # fmt: skip
    again = grade(small, "autograde", "alpha")
    changes = {row["student"]: [change["grade_id"] for change in row["changes"]] for row in again["students"]}
    assert changes == {"ada": [], "bob": [], "eve": ["test-double"]}, "what the course changed, no student edited"
    assert {row["student"]: row["status"] for row in again["students"]}["eve"] == "tampered"
    assert points(again) == {"ada": 19, "bob": 14, "eve": 19}
    assert not any(row["graded_now"] for row in again["students"])
