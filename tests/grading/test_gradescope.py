"""The autograder for Gradescope: its zip, its run in a container, and what it says whatever comes."""

import json
import re
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import container
import pytest
from small_course import WRONG, released
from tiny_course import run_tito
from week import Week

from tito.errors import ProjectError, UsageError, WorkError
from tito.services import notebooks
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.gradescope import inbox, pack, results, run
from tito.services.grading.intake.recognise import ModuleFinder
from tito.services.grading.sandbox import find
from tito.services.grading.scoring import executors, scorer
from tito.services.pristine import Deviation

VISIBILITIES = {"visible", "hidden", "after_due_date", "after_published"}
# of the documentation; what is not listed there Gradescope does not read
TOP = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility"}
TOP |= {"stdout_visibility", "extra_data", "tests", "leaderboard"}
OF_A_TEST = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags"}
OF_A_TEST |= {"visibility", "extra_data"}
EARLIER = "earlier-result-of-this-student"
METADATA = {
    "created_at": "2026-11-27T14:22:32.365935-07:00",
    "assignment": {"due_date": "2026-12-01T23:00:00.000000-07:00", "title": "Alpha", "total_points": "21.0"},
    "users": [{"email": "ada@example.org", "id": 1, "name": "Ada"}],
    "previous_submissions": [{"score": 3.0, "results": {"tests": [{"visibility": "hidden", "output": EARLIER}]}}],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return released((tmp_path_factory.mktemp("gradescope") / "course").resolve())


@pytest.fixture(scope="module")
def packed(small):
    """The zip of module 01 of the tiny course."""
    return pack.pack(small.project, small.catalog, small.module).path


def documented(found):
    """`found`, a results.json, once it is as Gradescope documents it."""
    assert {*found} <= TOP and found["stdout_visibility"] == "hidden"
    assert isinstance(found["score"], (int, float)) and found["output"] and found["output_format"] == "text"
    for test in found["tests"]:
        assert {*test} <= OF_A_TEST and test["visibility"] in VISIBILITIES and test["status"] in ("passed", "failed")
        assert 0 <= test["score"] <= test["max_score"] and test["output_format"] == "text"
    assert found["score"] == sum(test["score"] for test in found["tests"])
    return found


class Autograder:
    """/autograder, as Gradescope makes it of a zip and a submission."""

    def __init__(self, root, packed):
        self.root = root
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(root / "source")
        shutil.copy(root / "source" / "run_autograder", root)
        for path in (root / "run_autograder", root / "source" / "setup.sh"):
            path.chmod(0o755)
        for folder in ("submission", "results"):
            (root / folder).mkdir()
        (root / "submission_metadata.json").write_text(json.dumps(METADATA), encoding="utf-8")

    def hand_in(self, small, *, name="alpha_dev.ipynb", **answers):
        path = small.solved("ada", **answers)
        shutil.copy(path, self.root / "submission" / name)
        return self

    @property
    def results(self):
        return documented(json.loads((self.root / "results" / "results.json").read_text(encoding="utf-8")))

    def grade(self, **settings):
        """The results, with the sandbox of this machine."""
        if settings:
            path = self.root / "source" / "settings.json"
            path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **settings}), encoding="utf-8")
        run.main(self.root)
        return self.results

    def run(self, *, timeout=120, **options):
        """(results, what run_autograder printed): the real one, in a container."""
        done = container.run(self.root, "/autograder/run_autograder", timeout=timeout, **options)
        return self.results, done.stdout + done.stderr


@pytest.fixture
def autograder(tmp_path, packed):
    return Autograder(tmp_path / "autograder", packed)


needs_sandbox = pytest.mark.skipif(find.find(allow_none=True, build=False).kind == "none", reason="no sandbox here")


def points(found):
    return {test["extra_data"]["grade_id"]: test["score"] for test in found["tests"]}


# The zip.


def test_the_zip_holds_what_a_submission_is_scored_with_and_nothing_else(small, packed):
    (small.course.state / "roster.json").parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        names, texts = archive.namelist(), {name: archive.read(name) for name in archive.namelist()}
        modes = {name: archive.getinfo(name).external_attr >> 16 for name in names}
    assert {name for name in names if "/" not in name} == {
        *("setup.sh", "run_autograder", "requirements.txt", "settings.json", "failed.json", "modules.json")
    }
    assert {name.split("/")[0] for name in names if "/" in name} == {"kit", "tito"}
    assert {name for name in names if modes[name] & stat.S_IXUSR} == {"setup.sh", "run_autograder"}
    core = [name for name in names if "/tinytorch/core/" in name]
    assert core == ["kit/shown/view/tinytorch/core/__init__.py"], "module 01 needs no other"
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".pyc"))]
    assert [name for name, text in texts.items() if str(small.root).encode() in text] == []
    assert b"withheld_number" in texts["kit/source.ipynb"] and b"withheld_number" not in texts["kit/handed.ipynb"]
    assert {name for name, text in texts.items() if b"a number that was withheld" in text} == {"kit/source.ipynb"}


def test_the_same_course_gives_the_same_bytes(small, packed):
    before = packed.read_bytes()
    assert pack.pack(small.project, small.catalog, small.module).path.read_bytes() == before


def test_the_zip_of_a_later_module_holds_its_prerequisites(small, tmp_path):
    beta = small.catalog.find("beta")
    source = small.course.source / beta.name / beta.notebook.name
    notebooks.write(notebooks.load(small.project, beta.percent).node, source)
    core = small.project.core
    try:
        (core / "alpha.py").write_text("of alpha = 1\n", encoding="utf-8")
        (core / "beta.py").write_text("of beta = 1\n", encoding="utf-8")
        done = pack.pack(small.project, small.catalog, beta, tmp_path / "beta.zip")
    finally:
        for name in ("alpha.py", "beta.py"):
            (core / name).unlink()
        shutil.rmtree(source.parent)
    with zipfile.ZipFile(done.path) as archive:
        core = {name.split("/")[-1] for name in archive.namelist() if "/tinytorch/core/" in name}
    assert core == {"__init__.py", "alpha.py"}


def test_it_scores_with_the_version_that_was_released_to_the_class(tmp_path, monkeypatch):
    week = Week(tmp_path / "course", monkeypatch)
    assert week.tito("release", "alpha").exit_code == 0
    helper = week.project.package / "notebook.py"
    helper.write_text(helper.read_text(encoding="utf-8") + "\nLATER = 1\n", encoding="utf-8")
    said = week.json("gradescope", "alpha", "--out", str(tmp_path / "alpha.zip"))
    assert said.data["version"] == "1.2.3"
    with zipfile.ZipFile(tmp_path / "alpha.zip") as archive:
        assert b"LATER" not in archive.read("kit/shown/view/tinytorch/notebook.py")
        assert json.loads(archive.read("settings.json"))["version"] == "1.2.3"


def test_every_package_has_the_version_of_this_environment():
    from importlib import metadata

    found = dict(line.split("==") for line in pack.pinned())
    assert {"numpy", "ipython", "nbformat", "matplotlib", "traitlets"} <= {*found}
    assert "tinytorch" not in found and "torch" not in found, "what only tests need is not there"
    assert all(metadata.version(name).partition("+")[0] == version for name, version in found.items())
    with pytest.raises(ProjectError, match="not installed"):
        pack.pinned("no-such-distribution")


@pytest.mark.parametrize("name", pack.PROGRAMS)
def test_its_programs_are_shell_that_bash_reads(packed, name):
    import subprocess

    with zipfile.ZipFile(packed) as archive:
        text = archive.read(name).decode()
    assert "@" not in text.replace("$@", "") and text.startswith("#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""


# What Gradescope is told.


def result(**changes):
    cells = (
        CellScore("test-double", "double", 4, 4, "passed"),
        CellScore("test-double-errors", "double", 0, 3, "failed", "expected 6, got 9", "in `double`", second=3),
        CellScore("test-double-hidden", "double", 0, 2, "timeout", scorer.WITHHELD, hidden=True),
        CellScore("test-module", None, 0.5, 1, "failed", "a \x00 and \ud800"),
    )
    return replace(SubmissionResult("ada", "01_alpha", "graded", cells=cells), **changes)


def told(found, *, visibility="after_due_date", second_try=True):
    return documented(results.document(found, visibility=visibility, second_try=second_try, written=["w"]))


def test_each_test_has_its_question_points_message_and_visibility():
    found = told(result())
    assert [(test["number"], test["name"]) for test in found["tests"]] == [
        ("1.1", "double: test-double"),
        ("1.2", "double: test-double-errors"),
        ("1.3", "double: withheld test"),
        ("2.1", "the module as a whole: test-module"),
    ]
    assert [(test["score"], test["max_score"]) for test in found["tests"]] == [(4, 4), (3, 3), (0, 2), (0.5, 1)]
    assert [test["visibility"] for test in found["tests"]] == ["visible", "visible", "after_due_date", "visible"]
    assert found["tests"][1]["output"].startswith("expected 6, got 9\nin `double`\nfirst try 0")
    assert told(result(), second_try=False)["score"] == 4.5 and found["score"] == 7.5


@pytest.mark.parametrize("visibility", results.VISIBILITIES)
def test_withheld_tests_are_shown_when_the_instructor_says(visibility):
    found = told(result(), visibility=visibility)
    assert [test["visibility"] for test in found["tests"]] == ["visible", "visible", visibility, "visible"]
    assert results.SHOWN[visibility] in found["output"]


@pytest.mark.parametrize("status", ["graded", "tampered", "crashed", "timeout"])
def test_what_everybody_sees_says_nothing_of_a_withheld_test(status):
    """Two submissions that differ only there differ only there."""
    lost = result(status=status, detail="test-double-hidden: did not finish within 30 s")
    cells = tuple(
        replace(cell, points=cell.max_points, status="passed") if cell.hidden else cell for cell in lost.cells
    )
    found = [told(one) for one in (lost, result(cells=cells))]
    seen = [[test for test in one["tests"] if test["visibility"] == "visible"] for one in found]
    assert seen[0] == seen[1] and found[0]["output"] == found[1]["output"]


def test_what_a_student_wrote_is_text_that_a_database_keeps():
    text = json.dumps(told(result()))
    assert "\\u0000" not in text and "\\ud800" not in text
    json.loads(text.encode("utf-8"))


def test_changes_and_answers_in_words_are_said():
    found = told(result(changes=(Deviation("edited", "provided-imports", 2),)))
    assert "provided-imports" in found["output"] and "1 answer in words" in found["output"]
    found = told(result(status="unreadable", detail="cell 3 is no cell"))
    assert "cell 3 is no cell" in found["output"]


def test_no_number_that_is_none_gets_out():
    cells = (CellScore("test-double", "double", float("nan"), 4, "passed"),)
    with pytest.raises(ValueError, match="nan"):
        results.document(result(cells=cells), visibility="hidden", second_try=True)


def test_a_result_is_written_shorter_where_the_disk_is_nearly_full(tmp_path, monkeypatch):
    written, found = [], told(result())

    def full(path, text):
        written.append(text)
        if len(text) > 1900:
            raise OSError(28, "No space left on device")
        path.write_text(text, encoding="utf-8")

    found["tests"][1]["output"] = "x" * 2000
    monkeypatch.setattr(results, "atomic_write", full)
    results.write(tmp_path / "results.json", found)
    kept = documented(json.loads((tmp_path / "results.json").read_text(encoding="utf-8")))
    assert len(written) == 2 and kept["score"] == found["score"]


# Which file it is.


@pytest.fixture
def pick(small, tmp_path):
    """pick(name=bytes or a path to copy): the notebook found among such files."""
    finder = inbox.recalled(inbox.remembered(ModuleFinder(small.course, small.catalog)))

    def picked(**files):
        folder = tmp_path / "submission"
        folder.mkdir()
        for name, data in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return inbox.notebook(folder, finder, small.module.name, small.stub())

    return picked


def of(small, **answers):
    return small.solved("ada", **answers).read_bytes()


def test_a_notebook_is_recognised_whatever_it_is_called(small, pick):
    data = of(small)
    assert pick(**{"homework (1).ipynb": data, "notes.txt": b"x", ".ipynb_checkpoints__alpha_dev.ipynb": b"{}"}) == data


def test_the_same_notebook_twice_is_one_and_an_untouched_one_beside_it_none(small, pick):
    data, stub = of(small), notebooks_bytes(small.stub())
    assert pick(**{"a.ipynb": data, "b.ipynb": data, "modules__01_alpha__alpha_dev.ipynb": stub}) == data


def notebooks_bytes(node):
    return json.dumps(node).encode()


def test_a_whole_workspace_in_an_archive_holds_one_notebook_of_the_module(small, pick, tmp_path):
    beta = small.catalog.find("beta")
    other = notebooks_bytes(notebooks.load(small.project, beta.percent).node)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("modules/01_alpha/alpha_dev.ipynb", of(small))
        archive.writestr("modules/02_beta/beta_dev.ipynb", other)
    assert pick(**{"all.zip": (tmp_path / "all.zip").read_bytes()}) == of(small)


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({}, "no-notebook", "the submission is empty"),
        ({"answer.py": b"x = 1"}, "no-notebook", "answer.py is no notebook"),
        ({"beta_dev.ipynb": b"{}"}, "no-notebook", "beta_dev.ipynb is a notebook of 02_beta"),
        ({"one.zip": b"no zip"}, "no-notebook", "is not a zip archive that can be read"),
        ({"a.ipynb": "right", "b.ipynb": "wrong"}, "several-notebooks", "a.ipynb, b.ipynb"),
    ],
)
def test_what_is_no_notebook_or_several_is_said(small, pick, files, code, said):
    kinds = {"right": of(small), "wrong": of(small, double=WRONG)}
    with pytest.raises(WorkError, match=re.escape(said)) as raised:
        pick(**{name: kinds.get(data, data) if isinstance(data, str) else data for name, data in files.items()})
    assert raised.value.code == code


# The run, with this machine's sandbox.


@needs_sandbox
def test_a_submission_earns_there_what_it_earns_here(small, autograder):
    found = autograder.hand_in(small, double=WRONG).grade()
    # as tests/grading/test_autograde_run.py has it: 3 at the first try, 10 with the second
    assert found["score"] == 10 and sum(test["max_score"] for test in found["tests"]) == 19
    assert autograder.grade(second_try=False)["score"] == 3


@needs_sandbox
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "no notebook of 01_alpha was handed in"),
        (b'{"cells": [', "could not be read as a notebook"),
        (b"", "could not be read as a notebook"),
        (b"[1, 2, 3]", "could not be read as a notebook"),
    ],
)
def test_what_cannot_be_graded_has_a_message_and_no_points(autograder, file, said):
    if file is not None:
        (autograder.root / "submission" / "alpha_dev.ipynb").write_bytes(file)
    found = autograder.grade()
    assert found["score"] == 0 and said in found["output"]


@needs_sandbox
def test_a_link_to_the_solution_is_no_submission(autograder):
    (autograder.root / "submission" / "alpha_dev.ipynb").symlink_to(autograder.root / "source" / "kit" / "source.ipynb")
    found = autograder.grade()
    assert found["score"] == 0 and "is a symbolic link" in found["output"]


@needs_sandbox
@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), KeyboardInterrupt(), ProjectError("no pipe")])
def test_a_fault_of_titos_own_is_a_message_and_no_verdict(small, autograder, monkeypatch, error, capsys):
    def score(*_, **__):
        raise error

    monkeypatch.setattr(scorer, "score", score)
    found = autograder.hand_in(small).grade()
    assert found["score"] == 0 and "no verdict on your answers" in found["output"]
    assert "a second try" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "said"), [(SystemExit("ended from outside"), "ended from"), (OSError(5), "OSError")])
def test_an_end_from_outside_and_a_broken_autograder_are_messages(autograder, monkeypatch, error, said):
    def graded(*_):
        raise error

    monkeypatch.setattr(run, "_graded", graded)
    found = autograder.grade()
    assert found["score"] == 0 and said in found["output"] and found["extra_data"]["module"] == "01_alpha"
    (autograder.root / "source" / "settings.json").write_text("{", encoding="utf-8")
    run.main(autograder.root)
    assert "no verdict" in autograder.results["output"]


@needs_sandbox
@pytest.mark.parametrize("always", [True, False])
def test_a_fault_in_the_second_try_leaves_what_the_first_earned(small, autograder, monkeypatch, always):
    def second(submission, cells):
        return 1 / 0 if always or any(cell.points < cell.max_points for cell in cells) else cells

    monkeypatch.setattr(scorer._Submission, "second", second)
    found = autograder.hand_in(small, double=WRONG).grade()
    assert found["score"] == 3 and "no verdict" not in found["output"]


@needs_sandbox
def test_a_fault_in_one_cell_leaves_what_the_others_earned(small, autograder, monkeypatch):
    real = scorer.score

    def score(*arguments, **options):
        scored = real(*arguments, **options)
        cells = list(scored.result.cells)
        cells[0] = replace(cells[0], points=0, status="ungraded", message="lost")
        return replace(scored, result=replace(scored.result, cells=tuple(cells)))

    monkeypatch.setattr(scorer, "score", score)
    found = autograder.hand_in(small).grade()
    assert found["score"] == 15 and "no verdict on your answers" in found["output"]


@needs_sandbox
def test_a_run_that_takes_too_long_says_so(small, autograder, monkeypatch):
    monkeypatch.setattr(run, "LAST_SECONDS", 57)
    monkeypatch.setattr(run, "START_SECONDS", -60)
    found = autograder.hand_in(small, double="import time\ntime.sleep(60)").grade(minutes=1)
    assert found["score"] == 0 and "took longer than the 1 minutes" in found["output"]


def test_the_time_of_all_runs_together_is_gradescopes():
    seconds = []

    class Kit:
        pass

    def attempt(score, kit, task, cancel):
        seconds.append(task.limits.seconds)
        return scorer.Scored(result(), None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "attempt", attempt)
        run._scored(Kit(), b"", {"minutes": 10, "cell_seconds": 30, "second_try": True}, 0)
    assert run.RUNS * seconds[0] + run.START_SECONDS + run.LAST_SECONDS == 600


@needs_sandbox
def test_nothing_runs_where_a_submission_could_read_what_is_private(small, autograder, monkeypatch):
    monkeypatch.setattr(run, "PRIVATE", ("/usr/bin",))
    monkeypatch.setattr(executors, "attempt", lambda *_: pytest.fail("it was run"))
    found = autograder.hand_in(small).grade()
    assert found["score"] == 0 and "could read /usr/bin: nothing of it was run" in found["output"]


def test_where_nothing_isolates_nothing_runs(small, autograder, monkeypatch):
    def nothing():
        raise ProjectError("not isolated: nothing is installed")

    monkeypatch.setattr(find, "in_container", nothing)
    monkeypatch.setattr(executors, "attempt", lambda *_: pytest.fail("it was run"))
    found = autograder.hand_in(small).grade()
    assert found["score"] == 0 and "not isolated" in found["output"]


# The whole of it, in a container: root, no namespaces, the documented folders.


@container.possible
def test_run_autograder_scores_with_a_second_user_and_says_so_to_instructors(small, autograder):
    found, printed = autograder.hand_in(small, double=WRONG).run()
    assert found["score"] == 10 and found["execution_time"] > 0
    assert found["extra_data"]["isolation"] == "second user"
    assert "isolated with second user (" in printed and "no namespaces: an unprivileged user of its own" in printed
    assert "namespaces" not in found["output"], "students are told of their work only"
    assert sorted(path.name for path in (autograder.root / "results").iterdir()) == ["results.json"]


# Each is tried by an answer while a visible test calls it; what it reached stands in the test's message.
THEFT = """
#| export
def double(number):
    import glob, os
    reached = []
    paths = ["/autograder", "/autograder/source/kit/source.ipynb", "/autograder/source/kit/kit.json", "/proc/1/environ"]
    paths += ["/autograder/submission_metadata.json", "/autograder/results/results.json", "/autograder/results/stdout"]
    paths += ["/autograder/source/settings.json", "/autograder/source/tito/__init__.py", "/autograder/run_autograder"]
    paths += ["/autograder/submission/alpha_dev.ipynb"]
    mine = [f"/proc/{one}" for one in ("self", "thread-self", os.getpid(), os.getppid())][:3]
    for process in glob.glob("/proc/[0-9]*"):
        if process not in mine:
            paths += [f"{process}/{part}" for part in ("environ", "mem", "maps", "cwd/source", "root/autograder", "fd")]
    for path in paths:
        try:
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
            reached.append(path)
        except OSError:
            pass
    for folder in ("/autograder", "/autograder/results", "/autograder/source/tito", "/tmp", "/var/tmp", "/dev/shm",
                   "/opt/tinytorch", os.path.dirname(os.__file__), "/etc", "/usr/lib", "/run", "/"):
        try:
            open(f"{folder}/written", "w").close()
            reached.append(folder)
        except OSError:
            pass
    raise RuntimeError(f"reached: {reached}, as {os.getuid()}")
"""


@container.possible
def test_a_submission_reaches_neither_kit_nor_metadata_nor_results_nor_the_grader(small, autograder):
    found, printed = autograder.hand_in(small, double=THEFT).run()
    said = next(test["output"] for test in found["tests"] if test["extra_data"]["grade_id"] == "test-double")
    assert "reached: [], as " in said, said
    assert EARLIER not in json.dumps(found) + printed


TAKING = """
#| export
def double(number):
    import os, signal, subprocess, sys
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            code = "import time, os\\nwhile True:\\n    time.sleep(0.01)\\n    "
            code += "os.system('echo forged > /autograder/results/results.json')"
            os.execv(sys.executable, [sys.executable, "-c", code])
    for pid in [1, os.getppid(), *map(int, filter(str.isdigit, os.listdir("/proc")))]:
        if pid != os.getpid():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
    print(json := '{"score": 1000}', file=sys.__stdout__)
    return 2 * number
"""


@container.possible
def test_a_submission_that_kills_and_forges_earns_what_its_answers_are_worth(small, autograder):
    found, _ = autograder.hand_in(small, double=TAKING).run()
    assert found["score"] < 19 and points(found)["test-double-hidden"] in (0, 2)
    assert len(found["tests"]) == 5, "every test is there"


@container.possible
def test_a_full_disk_leaves_room_for_what_was_earned(small, autograder):
    """Of the disk on which the results lie nothing is left but what run_autograder put aside."""
    autograder.hand_in(small)
    script = "/autograder/run_autograder; cat /autograder/results/results.json"
    done = container.run(autograder.root, "/bin/sh", "-c", script, results_bytes=1_005_000)
    found = documented(json.loads(done.stdout[done.stdout.index("{\n") :]))
    assert found["score"] == 19, done.stdout + done.stderr


@container.possible
def test_a_grader_that_is_killed_leaves_a_message(small, autograder):
    """As where memory runs out: what was put in place before anything ran."""
    autograder.hand_in(small)
    (autograder.root / "source/tito/services/grading/gradescope/run.py").write_text(
        "import os\nos.kill(os.getpid(), 9)\n", encoding="utf-8"
    )
    found, _ = autograder.run()
    assert found["score"] == 0 and "no verdict on your answers" in found["output"]
    assert "limit of time or of memory" in found["output"]


@container.possible
@pytest.mark.journey
def test_setup_makes_the_environment_that_run_autograder_needs(small, autograder, tmp_path):
    """From the registry that pip knows here; then a run with nothing but what setup.sh made."""
    (tmp_path / "image").mkdir()
    done = container.build(autograder.root, tmp_path / "image")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = autograder.root / "source" / "kit" / "shown"
    assert [*(shown / "matplotlib").glob("fontlist-*.json")] and [*(shown / "view").rglob("*.pyc")]
    found, printed = autograder.hand_in(small).run(image=tmp_path / "image")
    assert found["score"] == 19, printed


# The command.


def test_the_command_says_what_it_wrote_and_what_is_withheld(small, tmp_path):
    said = run_tito(small.root, "grade", "gradescope", "alpha", "--out", tmp_path / "a.zip", "--json")
    assert said.exit_code == 0, said.stderr
    assert said.data["points"] == {"visible": 14, "withheld": 5, "by_hand": 2} and Path(said.data["file"]).is_file()
    assert said.data["settings"]["visibility"] == "after_due_date"
    said = run_tito(small.root, "grade", "gradescope", "01", "--withheld", "hidden", "--minutes", "20")
    assert said.exit_code == 0 and "19 autograder points, 5 of them withheld" in said.stdout
    assert "assignments/gradescope/01_alpha.zip" in said.stdout
    assert "Gradescope shows the total although tests are hidden" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("nothing",), 2, "usage"),
        (("beta",), 3, "not-released"),
        (("alpha", "--withheld", "never"), 2, "usage"),
        (("alpha", "--minutes", "90"), 2, "usage"),
        (("alpha", "--out", "pyproject.toml"), 2, "usage"),
        (("alpha", "--out", "pyproject.toml/a.zip"), 3, "file"),
        (("alpha", "--out", "modules"), 2, "usage"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_reason(small, arguments, exit_code, code):
    before = (small.root / "pyproject.toml").read_bytes()
    said = run_tito(small.root, "grade", "gradescope", *arguments, "--json")
    assert (said.exit_code, said.error["code"]) == (exit_code, code), said.stdout
    assert said.error["message"] and (small.root / "pyproject.toml").read_bytes() == before


def test_another_file_is_not_replaced(small, tmp_path):
    path = tmp_path / "thesis.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.tex", "years of work")
    with pytest.raises(UsageError, match="is no autograder"):
        pack.pack(small.project, small.catalog, small.module, path)
    assert zipfile.ZipFile(path).namelist() == ["thesis.tex"]
