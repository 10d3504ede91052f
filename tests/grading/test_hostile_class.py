"""A class in which some submissions attack, through `tito grade autograde` with everything real: everybody gets the
score that is due, nbgrader exports the same, and nobody else notices.
"""

import csv
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from small_course import ANSWERS, released

from tito.services import notebooks
from tito.services.grading.book import gradebook
from tito.services.grading.proof import attacks
from tito.services.grading.sandbox import find as sandbox

RIGHT = ANSWERS["double"]
RUN = """
import sys
from pathlib import Path
import tito.project
from tito import app
tito.project.require_own_tito = lambda project: None  # the course is another folder than this tito's
sys.exit(app.main(sys.argv[1:]))
"""
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    sandbox.find(allow_none=True, build=False).kind == "none", reason="there is no sandbox on this machine"
)


def double(body, before=""):
    return f"#| export\n{before}\ndef double(number):\n{body}\n"


def tito(root, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", RUN, "grade", *arguments, "--json"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def without_tests(node):
    node.cells = [cell for cell in node.cells if not notebooks.is_test(cell)]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(the course, what tito said, {student: row}, the submissions as they were, the token of what might be left)."""
    small = released(tmp_path_factory.mktemp("class").resolve() / "course")
    token = uuid.uuid4().hex
    others = [str(small.course.submission(student, small.module)) for student in ("amy", "zoe")]
    writes = f"""
import os, sqlite3, subprocess, sys
for path in {[str(small.course.database.path), "../gradebook.db", "../../gradebook.db"]!r}:
    try:
        sqlite3.connect(path).execute("update grade set auto_score = 100, needs_manual_grade = 0")
        open(path, "w").write("full points")
    except (OSError, sqlite3.Error):
        pass
for folder in {others!r}:
    try:
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
    except OSError:
        pass
"""
    stays = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(120)", "{token}"])
"""
    small.solved("amy")
    small.solved("bob", double=double("    return 3 * number  # wrong"))
    small.solved("gus", double=writes + RIGHT)
    small.solved("kim", double=double("    os.kill(os.getppid(), 9)\n    os.kill(os.getpid(), 9)", "import os"))
    small.solved("lou", double=double("    while True:\n        pass"))
    small.solved("max", double=double("    os._exit(0)", "import os"))
    small.solved("mia", double=double("    return len(bytearray(8 << 30))"))
    small.solved("ray", double=double("    return -1"))
    small.solved("sam", double=stays + RIGHT)
    small.submit("tam", **{**ANSWERS, "double": double("    return 0")}, change=without_tests)
    small.submit("uli")
    small.submit("vic").write_bytes(b'{"cells": [')
    small.solved("zoe")
    submitted = {path: path.read_bytes() for path in small.course.submitted.rglob("*.ipynb")}
    code, document = tito(small.root, "autograde", small.module.name, "--cell-seconds", "1.5", "--jobs", "2")
    assert document["ok"], document["error"]
    rows = {row["student"]: row for row in document["data"]["students"]}
    return small, code, rows, submitted, token


# status, points, points with the second try, of 19
DUE = {
    "amy": ("graded", 19, 19),
    # 3 points: the withheld test of Box meets the course's double, whatever became of the student's
    "bob": ("graded", 3, 10),
    "gus": ("graded", 19, 19),
    "kim": ("crashed", 3, 10),
    "lou": ("timeout", 3, 10),
    "max": ("crashed", 3, 10),
    "mia": ("graded", 3, 10),
    "ray": ("graded", 3, 10),
    "sam": ("graded", 19, 19),
    "tam": ("tampered", 3, 10),
    "uli": ("graded", 0, 0),
    "vic": ("unreadable", 0, 0),
    "zoe": ("graded", 19, 19),
}


def test_everybody_gets_what_is_due(graded):
    _, code, rows, _, _ = graded
    assert code == 0
    found = {name: (row["status"], row["points"], row["second_points"]) for name, row in rows.items()}
    assert found == DUE
    assert {row["isolation"] for name, row in rows.items() if name != "vic"} != {"none"}


def test_nbgrader_exports_the_same(graded, tmp_path):
    small, _, _, _, _ = graded
    target = tmp_path / "grades.csv"
    command = [sys.executable, "-m", "nbgrader", "export", "--to", str(target)]
    subprocess.run(command, cwd=small.course.root, check=True, capture_output=True)
    with target.open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {name: due[2] for name, due in DUE.items()}
    recorded = {one.student: one.points for one in gradebook.submissions(small.course, small.module)}
    assert recorded == exported


def test_nobody_reached_what_is_not_theirs(graded):
    small, _, _, submitted, token = graded
    assert {path: path.read_bytes() for path in small.course.submitted.rglob("*.ipynb")} == submitted
    assert attacks.left_behind(token) == []


def test_nothing_runs_again_that_did_not_change(graded):
    small, _, _, _, _ = graded
    code, document = tito(small.root, "autograde", small.module.name, "--cell-seconds", "1.5")
    assert code == 0
    again = {row["student"]: row["graded_now"] for row in document["data"]["students"]}
    assert not any(again.values())
