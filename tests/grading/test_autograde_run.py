"""`tito grade autograde` with the real scorer and sandbox: interrupted on a terminal, run again, read by nbgrader."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_course import ANSWERS, WRONG, released

from tito.services.grading.sandbox import find as sandbox

SLOW = "import time\ntime.sleep(0.75)\n"
MARK = "a-mark-of-this-test"


@pytest.fixture
def small(tmp_path):
    if sandbox.find(allow_none=True).kind == "none":
        pytest.skip("no sandbox on this machine")
    return released((tmp_path / "course").resolve())


def command(small, *arguments):
    return {
        "args": [sys.executable, "-m", "tito", "grade", "autograde", "alpha", "--json", *arguments],
        "cwd": small.root,
        "env": {**os.environ, "PYTHONPATH": str(small.root), "PYTHONUTF8": "1"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "encoding": "utf-8",
    }


def rows_of(said):
    return {row["student"]: row for row in json.loads(said)["data"]["students"]}


def test_right_wrong_and_empty_answers_and_what_nbgrader_says_of_them(small, tmp_path):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.submit("eve", written="")
    small.submit("cy").write_text("{", encoding="utf-8")
    done = subprocess.run(**command(small))
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    scores = {name: (row["status"], row["points"], row["second_points"]) for name, row in rows.items()}
    # bob's Box doubles its size with his own double; with the course's it is right
    assert scores == {
        "ada": ("graded", 19, 19),
        "bob": ("graded", 3, 10),
        "cy": ("unreadable", 0, 0),
        "eve": ("graded", 0, 0),
    }
    target = tmp_path / "grades.csv"
    export = [sys.executable, "-m", "nbgrader", "export", "--to", str(target)]
    subprocess.run(export, cwd=small.course.root, check=True, capture_output=True)
    with target.open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {name: row["second_points"] for name, row in rows.items()}
    for step in (["feedback", "alpha"], ["report", "alpha"], ["export", "alpha"]):
        arguments = command(small)
        arguments["args"] = [sys.executable, "-m", "tito", "grade", *step, "--json"]
        assert subprocess.run(**arguments).returncode == 0, step
    page = (small.course.feedback / "cy" / "01_alpha" / "alpha_dev.html").read_text(encoding="utf-8")
    assert "could not be read as a notebook" in page


def processes():
    """The command lines of all processes; Linux only."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_ctrl_c_on_a_terminal_ends_all_that_runs_keeps_what_is_done_and_costs_nobody_a_point(small):
    for number in range(8):
        small.solved(f"s{number}", double=ANSWERS["double"] + SLOW)
    arguments = command(small, "--jobs", "2")
    arguments["env"]["TITO_TEST"] = MARK
    process = subprocess.Popen(**arguments, start_new_session=True)
    try:
        results = small.course.state / "results" / "01_alpha"
        end = time.monotonic() + 90
        while len(list(results.glob("*.json"))) < 2:
            assert time.monotonic() < end and process.poll() is None, "nothing is graded"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process of the group
        said, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    document = json.loads(said)
    assert "of 8 submissions are graded and kept" in document["error"]["message"]
    assert not any(MARK.encode() in environment for environment in processes())
    kept = len(list(results.glob("*.json")))
    assert 2 <= kept < 8
    done = subprocess.run(**command(small, "--jobs", "2"))
    rows = rows_of(done.stdout)
    assert done.returncode == 0
    assert {(row["status"], row["points"]) for row in rows.values()} == {("graded", 19)}
    assert sum(row["graded_now"] for row in rows.values()) == 8 - kept
