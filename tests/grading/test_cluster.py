"""A class on the workers of a real Dask scheduler: the results of one machine, whatever dies on the way."""

import importlib.util
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import cluster_scorers
import pytest
from cluster import Scheduler
from said import typed
from small_course import ANSWERS, WRONG, SmallCourse, released

import tito.project
from tito.errors import ProjectError
from tito.services.grading.book import gradebook
from tito.services.grading.cluster import connection, worker
from tito.services.grading.cluster.check import check
from tito.services.grading.cluster.connection import connect, why_not
from tito.services.grading.cluster.executor import Cluster
from tito.services.grading.sandbox import find as finding
from tito.services.grading.scoring import kits
from tito.services.grading.scoring.executors import Inline
from tito.services.grading.scoring.scorer import Task

CLASS = ("ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hal")
ATTACK = "environment"


@pytest.fixture(scope="module", autouse=True)
def dask():
    if importlib.util.find_spec("distributed") is None:
        missing = "Dask is not installed (pip install -e '.[cluster]')"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    if finding.find(allow_none=True).kind == "none":
        pytest.skip("no sandbox on this machine")
    made = released((tmp_path_factory.mktemp("class") / "course").resolve())
    for student in CLASS:
        made.solved(student, **({"double": WRONG} if student == "bob" else {}))
    return made


@pytest.fixture
def scheduler(small, tmp_path):
    with Scheduler(tmp_path / "cluster", small.root) as running:
        yield running


@pytest.fixture
def kit(small):
    with kits.make(small.project, small.catalog, small.module, sandbox=finding.find()) as made:
        yield made


@contextmanager
def cluster(scheduler, small, score=None):
    with connect(scheduler.address) as found:
        executor = Cluster(found)
        if score:
            executor.score = score
        executor.sandbox(small.project)
        yield executor


def tasks(small, students=CLASS):
    for student in students:
        path = small.course.submission(student, small.module) / small.module.notebook.name
        yield Task(student, path.read_bytes())


def without_times(scored):
    cells = tuple(replace(cell, seconds=0.0) for cell in scored.result.cells)
    return replace(scored.result, seconds=0.0, cells=cells), scored.notebook


def test_the_results_are_those_of_one_machine(small, scheduler, kit):
    handed = [*tasks(small, ("ada", "bob")), Task("cy", b"{")]
    expected = {one.result.student: without_times(one) for one in Inline().run(kit, handed)}
    for name in ("one", "two"):
        scheduler.start_worker(name)
    with cluster(scheduler, small) as executor:
        found = {one.result.student: without_times(one) for one in executor.run(kit, iter(handed))}
    assert found == expected
    assert {result.status for result, _ in found.values()} == {"graded", "unreadable"}
    pickle.dumps(found)


@pytest.mark.parametrize("seed", range(2))
def test_workers_that_are_killed_at_random_moments_lose_and_double_nothing(small, scheduler, kit, seed):
    chance = random.Random(seed)
    scheduler.start_worker("stays")
    scheduler.start_worker("dies-0")
    students = [f"s{number:02}" for number in range(24)]
    with cluster(scheduler, small, cluster_scorers.slow) as executor:
        found, deaths = [], 0
        end = time.monotonic() + chance.uniform(0.2, 1.5)
        for scored in executor.run(kit, (Task(student, b"") for student in students)):
            found.append(scored.result.student)
            if time.monotonic() > end and deaths < 2:
                scheduler.kill(f"dies-{deaths}")
                deaths += 1
                scheduler.start_worker(f"dies-{deaths}")
                end = time.monotonic() + chance.uniform(0.2, 1.5)
    assert deaths, "nothing was killed"
    assert sorted(found) == students


def test_a_submission_that_ends_its_workers_gets_a_status_and_takes_nobody_with_it(small, scheduler, kit):
    scheduler.start_worker("one", nanny=True)  # which starts a new process for one that ended
    with cluster(scheduler, small, cluster_scorers.deadly) as executor:
        handed = [Task(student, b"") for student in ("ada", "eve", "finn")]
        found = {one.result.student: one.result for one in executor.run(kit, iter(handed))}
    assert {name: result.status for name, result in found.items()} == dict.fromkeys(
        ("ada", "eve", "finn"), "unreadable"
    )
    assert found["ada"].detail == found["finn"].detail == "ran"
    assert "4 workers ended while they scored it, 2 of them with nothing else to do" in found["eve"].detail


def test_a_scheduler_that_goes_away_is_an_error_and_what_was_scored_is_there(small, scheduler, kit):
    scheduler.start_worker("one")
    found = []
    with (
        pytest.raises(ProjectError, match="does not answer any more") as caught,
        cluster(scheduler, small, cluster_scorers.slow) as executor,
    ):
        for scored in executor.run(kit, (Task(f"s{number}", b"") for number in range(60))):
            found.append(scored)
            if len(found) == 2:
                scheduler.stop()
    assert caught.value.code == "scheduler" and "what was scored until now is kept" in caught.value.hint
    assert 2 <= len(found) < 60


def test_when_all_workers_are_gone_the_run_ends_with_an_error(small, scheduler, kit, monkeypatch):
    from tito.services.grading.cluster import executor as executing

    monkeypatch.setattr(executing, "NOBODY_SECONDS", 2)
    scheduler.start_worker("one")
    with (
        pytest.raises(ProjectError, match="no worker of .* is left"),
        cluster(scheduler, small, cluster_scorers.slow) as executor,
    ):
        for _ in executor.run(kit, (Task(f"s{number}", b"") for number in range(60))):
            if "one" in scheduler.workers:
                scheduler.kill("one")


# The command.


def command(small, *arguments):
    return {
        "args": [sys.executable, "-m", "tito", "grade", *arguments, "--json"],
        "cwd": small.root,
        "env": {**os.environ, "PYTHONPATH": str(small.root), "PYTHONUTF8": "1"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "encoding": "utf-8",
    }


def test_a_class_is_interrupted_and_goes_on_and_a_worker_of_another_course_is_refused(small, scheduler, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small.root, other, ignore=shutil.ignore_patterns("assignments", ".tito"))
    source = next(other.glob("modules/01_alpha/*_dev.py"))
    source.write_text(source.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    scheduler.start_worker("same")
    scheduler.start_worker("other", root=other)
    slow = {"double": "#| export\nimport time\ntime.sleep(1)\n" + ANSWERS["double"].removeprefix("#| export\n")}
    for student in ("gus", "hal"):
        small.solved(student, **slow)
    call = command(small, "autograde", "alpha", "--scheduler", scheduler.address)
    running = subprocess.Popen(**call)
    records = small.course.state
    end = time.monotonic() + 60
    while not list(records.rglob("ada*.json")) and running.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert json.loads(out)["error"]["code"] == "interrupted", out
    done = subprocess.run(**call)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)["data"]
    rows = {row["student"]: row for row in data["students"]}
    assert {row["status"] for row in rows.values()} == {"graded"} and set(rows) == set(CLASS)
    assert {row["isolation"] for row in rows.values()} == {"bubblewrap"}
    assert 0 < sum(row["graded_now"] for row in rows.values()) < len(CLASS)
    assert list(data["refused_workers"]) == ["other"] and data["refused_workers"]["other"].startswith("course ")
    points = {one.student: one.points for one in gradebook.submissions(small.course, small.module)}
    assert points == {**dict.fromkeys(CLASS, 19), "bob": 10}


def test_a_class_is_scored_with_the_version_that_was_released_to_it(small, scheduler, tmp_path):
    """A kit of a pinned version goes to the workers whole, the package in it as it was then."""
    root = tmp_path / "pinned"
    shutil.copytree(small.root, root, ignore=shutil.ignore_patterns("assignments", ".tito"))
    pinned = SmallCourse(root)
    assert subprocess.run(**command(pinned, "release", "alpha")).returncode == 0
    for student in ("ada", "bob"):
        path = pinned.course.submission(student, pinned.module) / pinned.module.notebook.name
        path.parent.mkdir(parents=True)
        shutil.copy(small.course.submission(student, small.module) / small.module.notebook.name, path)
    scheduler.start_worker("one", root=root)
    done = subprocess.run(**command(pinned, "autograde", "alpha", "--scheduler", scheduler.address))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)["data"]
    assert data["version"] and [row["points"] for row in data["students"]] == [19, 3]
    assert subprocess.run(**command(pinned, "feedback", "alpha")).returncode == 0

    pinned.edit("\ntest_unit_double()", "\npass")  # a test that passes whatever is answered
    here = command(pinned, "regrade", "alpha", "--jobs", "2", "--scheduler", scheduler.address)
    refused = json.loads(subprocess.run(**here).stdout)["error"]
    assert refused["code"] == "usage" and refused["message"].startswith("--jobs is of this machine")
    done = subprocess.run(**command(pinned, "regrade", "alpha", "--scheduler", scheduler.address))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)["data"]
    found = [(one["student"], one["question"], one["old"], one["new"]) for one in data["differences"]]
    assert found == [("bob", "double", 0, 4)], "as the new tests have it, on the worker"
    assert (data["scored_now"], data["isolation"], data["refused_workers"]) == (2, "bubblewrap", {})


def test_every_worker_is_checked_and_one_without_a_sandbox_is_named(tmp_path):
    root = worker.here().root
    with Scheduler(tmp_path / "cluster", root) as scheduler:
        scheduler.start_worker("bare", environment={"PATH": "/nowhere"})
        scheduler.start_worker("good")
        call = ("worker-check", "--scheduler", scheduler.address)
        done = typed(root, "grade", *call, "--attack", ATTACK, "--json")
        shown = typed(root, "grade", *call, "--attack", ATTACK)
        wrong = typed(root, "grade", *call, "--attack", "unknown", "--json")
    assert done.exit_code == shown.exit_code == 1 and done.error["code"] == "workers"
    assert "1 of 2 workers score nothing: bare" in done.error["message"]
    lines = {words[1]: words for words in map(str.split, shown.stdout.splitlines()) if len(words) > 3}
    assert lines["good"][0] == "ready" and lines["good"][3:7] == ["bubblewrap", "1", "of", "1"]
    assert lines["bare"][0] == "refused" and "sandbox:" in lines["bare"]
    assert wrong.exit_code == 2 and "no attack is called unknown" in wrong.error["message"]


# What is refused.


def test_what_differs_is_named_with_both_values(small):
    mine = worker.identity(small.project)
    said = {
        "identity": {**mine, "numpy": "1.0", "course": "f" * 12},
        "sandbox": "bubblewrap",
        "detail": "",
        "error": "",
    }
    assert why_not(said, mine) == f"numpy 1.0, here {mine['numpy']}; course {'f' * 12}, here {mine['course']}"
    assert why_not({**said, "identity": mine}, mine) == ""
    assert why_not({**said, "identity": mine, "sandbox": "none", "detail": "no bwrap"}, mine) == "no sandbox: no bwrap"


@pytest.mark.parametrize(
    "place", ["modules/01_alpha/alpha_dev.py", "tinytorch/__init__.py", "modules/01_alpha/module.toml"]
)
def test_every_byte_of_the_course_counts(small, tmp_path, place):
    other = tmp_path / "other"
    shutil.copytree(small.root, other, ignore=shutil.ignore_patterns("assignments", ".tito"))
    mine = worker.identity(small.project)
    assert worker.identity(tito.project.read_project(other)) == mine
    path = other / place
    path.write_bytes(path.read_bytes() + b"\n")
    assert worker.identity(tito.project.read_project(other))["course"] != mine["course"]


def test_an_open_scheduler_is_refused_before_and_after_it_was_asked(small, tmp_path):
    with pytest.raises(ProjectError, match="is an open scheduler") as caught, connect("tcp://192.0.2.7:8786"):
        pass
    assert caught.value.code == "open-scheduler" and "--open-scheduler" in caught.value.hint
    with Scheduler(tmp_path / "open", small.root, host="0.0.0.0") as running:
        if "127.0.0.1" in addresses_of(running):
            pytest.skip("this machine has no address but its own")
        with pytest.raises(ProjectError, match="is an open scheduler"), connect(running.address):
            pass
        with connect(running.address, open_scheduler=True) as found:
            assert found.threads() == {}


def addresses_of(running):
    with connect(running.address, open_scheduler=True) as found:
        return found.client.scheduler_info()["address"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], 3, "no scheduler answers at tcp://127.0.0.1:1"),
        (["--scheduler", "127.0.0.1:8786"], 2, "is no address of a scheduler"),
        (["--scheduler", "inproc://x/1"], 2, "is no address of a scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1", "--jobs", "3"], 2, "--jobs is of this machine"),
        (["--scheduler", "tcp://127.0.0.1:1", "--no-sandbox"], 2, "--no-sandbox is of this machine"),
        (["--open-scheduler"], 2, "--open-scheduler says something of a scheduler"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(small, monkeypatch, arguments, code, message):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(connection, "SECONDS", 2)
    before = sorted(small.course.root.rglob("*"))
    done = typed(small.root, "grade", "autograde", "alpha", *arguments, "--json")
    assert done.exit_code == code and message in done.error["message"], done.stdout
    assert sorted(small.course.root.rglob("*")) == before


def test_a_scheduler_of_another_version_is_refused(small, scheduler, monkeypatch):
    import distributed

    monkeypatch.setattr(distributed, "__version__", "1.2.3")
    with pytest.raises(ProjectError, match="the scheduler has Dask .*, this machine 1.2.3"), connect(scheduler.address):
        pass


def test_without_dask_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ProjectError, match="needs Dask") as caught, connect("tcp://127.0.0.1:1"):
        pass
    assert caught.value.hint == "pip install -e '.[cluster]'"


def test_without_workers_it_says_how_to_start_one(small, scheduler):
    with connect(scheduler.address) as found:
        with pytest.raises(ProjectError, match="no worker of .* can score") as caught:
            Cluster(found).sandbox(small.project)
        with pytest.raises(ProjectError, match="has no workers") as checked:
            check(found, worker.here())
    assert "worker-check" in caught.value.hint and "dask worker" in checked.value.hint
