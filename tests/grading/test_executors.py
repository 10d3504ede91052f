"""The seam of scoring: what goes through it are values, so that a task gives the same result wherever it runs."""

import pickle
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from one_notebook import HandedIn, box, notebook

from tito.errors import ProjectError, TitoError
from tito.services.grading.sandbox import find as finding
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.scoring import executors, kits, readers, scorer
from tito.services.grading.scoring.executors import Inline, Processes, Threads
from tito.services.grading.scoring.scorer import Task

ROOT = Path(__file__).resolve().parents[2]
WRONG = {"double": "def double(x):\n    return 3 * x"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


@pytest.fixture(scope="module")
def tasks(kit):
    """A right submission, a wrong one, one that was tampered with, one that cannot be read."""
    ada = HandedIn(kit)
    made = {"ada": ada.task(), "bob": ada.task(WRONG), "cy": ada.task(change=lambda node: node.cells.pop())}
    made = {name: replace(task, student=name) for name, task in made.items()}
    return [*made.values(), Task("dan", b"{")]


def comparable(scored):
    """A Scored without what a clock says."""
    cells = tuple(replace(cell, seconds=0.0) for cell in scored.result.cells)
    return replace(scored.result, seconds=0.0, cells=cells), scored.notebook


@pytest.fixture(scope="module")
def expected(kit, tasks):
    return {scored.result.student: comparable(scored) for scored in Inline().run(kit, tasks)}


def test_a_task_and_what_became_of_it_are_values(kit, tasks, expected):
    statuses = {student: result.status for student, (result, _) in expected.items()}
    assert statuses == {"ada": "graded", "bob": "graded", "cy": "tampered", "dan": "unreadable"}
    for value in (*tasks, *expected.values()):
        assert pickle.loads(pickle.dumps(value)) == value
    assert str(kit.folder) not in repr(expected)


@pytest.mark.parametrize("executor", [Threads, Processes])
def test_an_executor_gives_the_same_results_as_one_after_the_other(kit, tasks, expected, executor):
    found = {scored.result.student: comparable(scored) for scored in executor().run(kit, tasks, jobs=2)}
    assert found == expected


# The kit.


def test_a_kit_is_a_folder(kit):
    assert pickle.dumps(kit) == pickle.dumps(kit) and len(pickle.dumps(kit)) < 500
    again = pickle.loads(pickle.dumps(kit))
    assert again == replace(kit, sandbox=again.sandbox) and again.sandbox.kind == kit.sandbox.kind
    assert {path.name for path in kit.folder.iterdir()} >= {"kit.json", "source.ipynb", "handed.ipynb", "shown"}


def test_of_a_kit_a_sandbox_sees_one_folder_only(kit):
    """The folder above holds the solutions."""
    assert {path.name for path in kit.shown.iterdir()} in ({"view", "bridge"}, {"view", "bridge", "matplotlib"})
    assert kit.view.parent == kit.shown == kit.folder / "shown" and kit.fonts in (None, kit.shown / "matplotlib")
    texts = [path.read_bytes() for path in kit.shown.rglob("*") if path.is_file()]
    assert texts and not any(b"expected_secret" in text for text in texts)


def test_what_every_sandbox_imports_is_compiled_once_and_names_no_folder_of_this_machine(kit):
    sources = set(kit.shown.rglob("*.py"))
    compiled = list(kit.shown.rglob("*.pyc"))
    assert {path.parent.parent / (path.name.split(".")[0] + ".py") for path in compiled} == sources
    for path in compiled:
        data = path.read_bytes()
        assert data[4:8] == b"\1\0\0\0", f"{path.name}: its source would be looked at again at each start"
        assert str(kit.folder).encode() not in data and str(ROOT).encode() not in data, path.name


def test_a_kit_of_a_run_that_ended_says_so(tmp_path):
    with notebook(tmp_path) as ended:
        data = pickle.dumps(ended)
    with pytest.raises(ProjectError, match="its run has ended"):
        pickle.loads(data)


def test_a_process_without_a_sandbox_refuses_a_kit_that_was_isolated(kit, monkeypatch):
    if box().kind == "none":
        pytest.skip("there is no sandbox on this machine")
    monkeypatch.setattr(finding, "_search", lambda makers: Sandbox("none", "nothing is installed"))
    monkeypatch.setattr(finding, "_found", {})
    with pytest.raises(ProjectError, match="not isolated"):
        kits.read.__wrapped__(kit.folder)


# A submission.


def test_a_submission_is_read_and_placed_once(kit, monkeypatch):
    calls, opened = [], readers.Readers.open
    monkeypatch.setattr(readers.Readers, "open", lambda *given: calls.append(given) or opened(*given))
    task = HandedIn(kit).task()
    scored = scorer.score(kit, task)
    assert len(calls) == 1 and scored.notebook == scorer.place(kit, task.notebook)


def test_a_fault_is_ungraded_whatever_it_is(kit):
    def failing(error):
        def score(kit, task, cancel):
            raise error

        return executors.attempt(score, kit, Task("ada", b""))

    found = [failing(error).result for error in (TitoError("no disk"), MemoryError("x"), KeyboardInterrupt())]
    assert {result.status for result in found} == {"ungraded"}
    assert found[0].detail == "no disk" and found[1].detail == "a fault in tito: MemoryError: x"


def test_a_fault_that_comes_with_one_file_every_time_is_that_files(kit):
    """It has a status and a note, so that the class can be exported; a fault that does not come again is none."""
    file, faults = HandedIn(kit).task().notebook, []

    def score(kit, task, cancel):
        if task.notebook == file and len(faults) < most:
            faults.append(task)
            raise RuntimeError("x" * 10_000)
        return scorer.unreadable(kit, task.student, "as always")

    most = 9
    found = executors.attempt(score, kit, Task("ada", file)).result
    assert found.status == "unreadable" and len(found.detail) < 500 and "every time with this file" in found.detail
    assert found.points == 0 and len(found.cells) == len(kit.tests)
    most = len(faults) + 1
    assert executors.attempt(score, kit, Task("ada", file)).result.status == "ungraded"


@pytest.mark.parametrize("executor", [Inline, Threads])
def test_after_a_cancellation_nothing_more_is_said(kit, executor):
    cancel = threading.Event()

    class Cancelling(executor):
        @staticmethod
        def score(kit, task, cancel):
            if task.student == "s2":
                cancel.set()
            return executors.ungraded(kit, task.student, "ran")

    tasks = [Task(f"s{number}", b"") for number in range(9)]
    found = [scored.result.student for scored in Cancelling().run(kit, iter(tasks), cancel=cancel)]
    assert found in (["s0"], ["s0", "s1"])


def test_tasks_are_taken_as_they_are_needed(kit):
    taken = []

    class Quick(Threads):
        @staticmethod
        def score(kit, task, cancel):
            return executors.ungraded(kit, task.student, "ran")

    def tasks():
        for number in range(20):
            taken.append(number)
            yield Task(f"s{number}", b"")

    for done, _ in enumerate(Quick().run(kit, tasks(), jobs=2), 1):
        assert len(taken) - done <= 2 * 2
    assert len(taken) == 20
