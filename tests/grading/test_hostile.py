"""The hostile corpus through the real scorer in this machine's sandbox: every attack comes to what it deserves."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tito.catalog import read_catalog
from tito.errors import ProjectError, UsageError
from tito.project import read_project
from tito.services import notebooks
from tito.services.grading.book.results import STATUSES, CellScore, SubmissionResult
from tito.services.grading.proof import attacks
from tito.services.grading.rehearsal import selftest, whole_way
from tito.services.grading.sandbox import find as sandbox
from tito.services.grading.scoring import kits, scorer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
CORPUS = {attack.name: attack for attack in attacks.read_corpus(PROJECT)}
FOUND = sandbox.find(PROJECT, allow_none=True, build=False)
VALUES = dict.fromkeys(("PROJECT", "HOME", "GRADEBOOK", "SOURCE", "PORT", "TOKEN"), "7")


def source(module="02"):
    module = CATALOG.find(module)
    return notebooks.load(PROJECT, module.percent)


@pytest.fixture(scope="module")
def outcomes():
    """outcomes(name): what became of the attack. All are on their way; what is not held is tried again, alone.

    As in the selftest: an attack that was slow beside others on a busy machine is none that got through.
    """
    if FOUND.kind == "none":
        pytest.skip("there is no sandbox on this machine")
    with made_kits() as made, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = {
            name: pool.submit(selftest.run_attack, PROJECT, attack, made[attack.module], scorer.score)
            for name, attack in CORPUS.items()
        }

        def outcome(name):
            found = running[name].result(300)
            if found.problems:
                wait(running.values())
                kit = made[CORPUS[name].module]
                found = selftest.run_attack(PROJECT, CORPUS[name], kit, scorer.score, patience=selftest.PATIENCE)
            return found

        yield outcome


@contextmanager
def made_kits():
    with ExitStack() as stack:
        made = {}
        for name in sorted({attack.module for attack in CORPUS.values()}):
            made[name] = stack.enter_context(kits.make(PROJECT, CATALOG, CATALOG.find(name), sandbox=FOUND))
        yield made


@pytest.mark.parametrize("name", CORPUS)
def test_an_attack_is_held(outcomes, name):
    assert list(outcomes(name).problems) == []


# The corpus itself, and whether the judge would notice.


def test_every_entry_can_be_read_and_made():
    sources = {module: source(module) for module in {attack.module for attack in CORPUS.values()}}
    for attack in CORPUS.values():
        assert attack.about.endswith("."), f"{attack.name}: say what it tries"
        assert set(attack.status) <= set(STATUSES) and attack.earns in ("rest", "nothing")
        questions = notebooks.questions(sources[attack.module].node)
        known = {*questions, *questions.values(), "module"}
        assert attack.loses | attack.waits <= known, attack.name
        made = attacks.submission(attack, sources[attack.module], VALUES)
        assert not re.search(rb"@[A-Z]+@", made), f"{attack.name}: a value that no trap has"


def test_the_corpus_holds_what_it_has_to():
    """One entry at least for each line of the list that grading was promised to hold against."""
    assert CORPUS.keys() >= {
        *("loop_in_a_cell", "loop_in_an_answer", "exit_of_the_process", "system_exit", "segmentation_fault"),
        *("memory_8_gb", "fork_bomb", "disk", "process_left_behind", "network", "environment", "home_folder"),
        *("source_folder", "gradebook_read", "gradebook_write", "import_of_the_answer", "import_of_the_kernels"),
        "tests_deleted",
        *("tests_edited", "tests_duplicated", "tests_reordered", "points_changed", "forged_results"),
        *("thread_rewrites_verdicts", "frames_walked", "asserts_stripped", "builtins_replaced", "numpy_replaced"),
        *("equals_everything", "hook_before_cells", "output_100_mb", "score_of_nan", "score_that_is_huge"),
        *("file_truncated", "file_empty", "file_large", "file_text", "unicode_everywhere", "surrogates"),
    }


def test_the_secret_lines_are_those_of_hidden_tests():
    lines = attacks.secret_lines(source())
    assert "numbers = np.random.default_rng(2).normal(0, 9, (4, 3, 5))" in lines
    assert not any("test_unit_relu" in line for line in lines)


def test_the_reference_is_handed_in_without_hidden_tests():
    node = json.loads(attacks.submission(CORPUS["honest_reference"], source(), VALUES))
    text = "\n".join(
        cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]) for cell in node["cells"]
    )
    assert "np.maximum(x, 0, dtype=result_dtype(x, 0))" in text
    assert not any(line in text for line in attacks.secret_lines(source()))


def result(attack, *, status="graded", outputs=None, **points):
    """A SubmissionResult with full points, unless `points` says otherwise."""
    node, cells = source(attack.module).node, []
    for cell in node.cells:
        if notebooks.is_test(cell):
            name = notebooks.grade_id(cell)
            full = notebooks.points(cell)
            cells.append(CellScore(name, None, points.get(name.replace("-", "_"), full), full, "passed"))
    return SubmissionResult("x", attack.module, status, cells=tuple(cells), outputs=outputs or {})


def test_the_judge_notices_what_is_not_as_it_should_be():
    right, wrong = CORPUS["honest_reference"], CORPUS["honest_wrong"]
    assert attacks.judge(right, result(right), source()) == []
    secret = attacks.secret_lines(source())[0]
    for attack, found, said in (
        (right, result(right, test_sigmoid=0), "test-sigmoid: 0 points, not 3"),
        (right, result(right, test_sigmoid=float("nan")), "test-sigmoid: nan points"),
        (right, result(right, status="crashed"), "status crashed"),
        (right, result(right, outputs={1: f"x {secret} y"}), "a line of a hidden test is shown"),
        (right, SubmissionResult("x", "02", "graded"), "the graded cells are"),
        (replace(right, waits=frozenset({"test-sigmoid"})), result(right), "test-sigmoid: 3 points, not 0"),
        (wrong, result(wrong, test_relu=3, test_relu_hidden=0, test_module=0), "test-relu: 3 points, not 0"),
    ):
        problems = attacks.judge(attack, found, source())
        assert len(problems) == 1 and said in problems[0], problems


def test_the_trap_notices_what_was_reached():
    import socket

    with attacks.Trap() as trap:
        values = trap.values(PROJECT, "token-of-this-test")
        assert trap.sprung("nothing to see", "token-of-this-test") == []
        assert trap.sprung(Path(values["SOURCE"]).read_text(encoding="utf-8"), "") == [
            "it read a file of the instructor"
        ]
        socket.create_connection(("127.0.0.1", int(values["PORT"]))).close()
        assert trap.sprung("", "") == ["it reached this machine's network"]
        assert trap.sprung("", "") == []
        Path(values["GRADEBOOK"]).write_text("full points", encoding="utf-8")
        assert trap.sprung("", "") == ["it wrote into a folder of the instructor"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="seen in /proc")
def test_the_trap_notices_what_was_left_behind():
    program = [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(30)", "token-of-that-test"]
    left = subprocess.Popen(program, stdout=subprocess.PIPE)
    left.stdout.read(1)
    try:
        with attacks.Trap() as trap:
            assert trap.sprung("", "token-of-that-test") == ["it left a process behind"]
    finally:
        left.kill()
        left.communicate()


# The selftest around it, with a stand-in for the scorer.


class Grader:
    """An executor that gives everything full points."""

    def __init__(self, error=None):
        self.error, self.limits = error, {}

    @contextmanager
    def kit(self, project, catalog, module, *, sandbox):
        yield SimpleNamespace(source=notebooks.load(project, module.percent), module=module.name)

    def score(self, kit, task, cancel=None):
        self.limits[task.student] = (task.limits, task.cell_seconds)
        if self.error:
            raise self.error
        return scorer.Scored(result(CORPUS[task.student]), None)


def test_the_selftest_says_what_was_held_and_what_was_not():
    done = []
    found = selftest.selftest(
        PROJECT,
        CATALOG,
        names=("honest_reference", "honest_wrong"),
        executor=Grader(),
        sandbox=SimpleNamespace(kind="bubblewrap", detail=""),
        on_done=lambda *counts: done.append(counts),
    )
    assert [(one.name, one.held) for one in found.attacks] == [("honest_reference", True), ("honest_wrong", False)]
    assert not found.passed and "test-relu: 3 points, not 0" in found.attacks[1].problems[0]
    assert done == [(1, 2), (2, 2)]


class Slow(Grader):
    """Gives nothing at first, full points to what is tried again; to one attack never."""

    def score(self, kit, task, cancel=None):
        first = task.student not in self.limits
        self.limits[task.student] = task.cell_seconds
        points = {"test_relu": 0} if first or task.student == "honest_prints" else {}
        return scorer.Scored(result(CORPUS[task.student], **points), None)


def test_what_is_not_held_is_tried_again_alone_with_more_time():
    grader, box = Slow(), SimpleNamespace(kind="bubblewrap", detail="")
    names = ("honest_reference", "honest_prints")
    found = selftest.selftest(PROJECT, CATALOG, names=names, executor=grader, sandbox=box)
    rows = {one.name: (one.held, one.slow) for one in found.attacks}
    assert rows == {"honest_reference": (True, True), "honest_prints": (False, False)} and not found.passed
    assert "test-relu: 0 points" in found.attacks[1].problems[0], "what was not as it should be is still said"
    assert grader.limits["honest_prints"] == selftest.PATIENCE * selftest.CELL_SECONDS


@pytest.mark.skipif(FOUND.kind == "none", reason="there is no sandbox on this machine")
def test_the_whole_way_notices_what_students_and_school_are_told(monkeypatch):
    """Through collect, autograde, feedback and export; a page that shows a test, an export without a student."""
    names = ("honest_wrong", "file_text")
    module, corpus = CATALOG.find("02"), [CORPUS[name] for name in names]
    found = whole_way.go(PROJECT, CATALOG, module, corpus, FOUND, selftest.task_of, jobs=2)
    assert {name: (came.status, came.problems) for name, came in found.items()} == {
        "honest_wrong": ("graded", ()),
        "file_text": ("unreadable", ()),
    }
    secret = attacks.secret_lines(source())[0]
    monkeypatch.setattr(whole_way, "feedback", _shows(secret))
    monkeypatch.setattr(whole_way, "export", lambda *_: SimpleNamespace(text="student,score\n"))
    found = whole_way.go(PROJECT, CATALOG, module, corpus[:1], FOUND, selftest.task_of, jobs=1)
    said = " ".join(found["honest_wrong"].problems)
    assert f"the feedback page shows a line of a hidden test: {secret}" in said and "the export does not hold" in said


def _shows(line):
    def feedback(home, module):
        path = home.root / "page.html"
        path.write_text(line, encoding="utf-8")
        return SimpleNamespace(pages={"honest_wrong": path})

    return feedback


@pytest.mark.parametrize("error", [RuntimeError("broken pipe"), ProjectError("the sandbox does not start")])
def test_a_grader_that_fails_has_not_held(error):
    options = {"executor": Grader(error), "sandbox": SimpleNamespace(kind="bubblewrap", detail="")}
    found = selftest.selftest(PROJECT, CATALOG, names=("honest_reference",), **options)
    assert str(error) in found.attacks[0].problems[0] and not found.passed


def test_the_selftest_needs_a_sandbox_and_names_that_exist(monkeypatch):
    with pytest.raises(UsageError, match="no attack is called honest"):
        selftest.selftest(PROJECT, CATALOG, names=("honest",), executor=Grader(), sandbox=FOUND)
    nothing = sandbox.Sandbox("none", "nothing is installed")
    monkeypatch.setattr(sandbox, "_found", {(PROJECT.root, True): nothing})
    with pytest.raises(ProjectError, match="nothing is installed") as raised:
        selftest.selftest(PROJECT, CATALOG, executor=Grader())
    assert raised.value.exit_code == 3


def tito(*arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "tito", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.skipif(FOUND.kind == "none", reason="there is no sandbox on this machine")
def test_the_command_names_each_attack():
    code, document = tito("grade", "selftest", "honest_wrong", "file_empty")
    assert code == 0 and document["data"]["isolation"] == FOUND.kind
    rows = {row["name"]: (row["held"], row["status"]) for row in document["data"]["attacks"]}
    assert rows == {"honest_wrong": (True, "graded"), "file_empty": (True, "unreadable")}


def test_the_command_ends_with_3_where_nothing_isolates(tmp_path):
    code, document = tito("grade", "selftest", PATH=str(tmp_path))
    assert code == 3 and document["error"]["code"] == "not-isolated"
    assert "neither bubblewrap nor Docker nor Podman is installed" in document["error"]["message"]


@pytest.mark.kernel
def test_doctor_says_which_sandbox_there_is(tmp_path):
    rows = {row["name"]: row for row in tito("doctor")[1]["data"]["checks"]}
    assert rows["sandbox"]["ok"] and FOUND.kind.replace("none", "not isolated") in rows["sandbox"]["detail"]
    rows = {row["name"]: row for row in tito("doctor", PATH=str(tmp_path))[1]["data"]["checks"]}
    assert rows["sandbox"]["ok"] and rows["sandbox"]["detail"].startswith("not isolated")
    assert "bubblewrap" in rows["sandbox"]["detail"] or "Docker" in rows["sandbox"]["detail"]
