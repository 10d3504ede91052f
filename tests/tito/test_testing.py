"""What `tito test` asks of pytest."""

import pytest
from said import typed

import tito.project
from tito.errors import ProjectError, WorkError
from tito.services import testing


@pytest.fixture
def asked(project, monkeypatch):
    """asked(**settings): the arguments with which pytest would run all tests."""
    given = []
    monkeypatch.setattr(testing, "_run_pytest", lambda project, arguments, *_: given.append(arguments))
    monkeypatch.setattr(testing.views, "check_child", lambda folder: None)

    def run(catalog, **settings):
        testing.run_tests(project, catalog, testing.ALL, **settings)
        return given.pop()

    return run


def test_all_tests_say_which_were_slowest(asked, catalog):
    assert asked(catalog) == ["--durations=25", "--durations-min=1"]


def test_several_jobs_share_the_files_of_tests(asked, catalog):
    assert asked(catalog, jobs=3)[:2] == ["--numprocesses=3", "--dist=loadfile"]


@pytest.mark.parametrize(("jobs", "cores", "threads"), [(1, 8, None), (2, 8, "4"), (2, 2, "1"), (8, 2, "1")])
def test_several_jobs_share_the_cores(project, monkeypatch, jobs, cores, threads):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(testing.os, "cpu_count", lambda: cores)
    given = []

    class Started(Exception):
        pass

    def start(command, env, **_):
        given.append(env.get("OPENBLAS_NUM_THREADS"))
        raise Started

    monkeypatch.setattr(testing.subprocess, "Popen", start)
    monkeypatch.setattr(testing.views, "check_child", lambda folder: None)
    with pytest.raises(Started):
        testing.run_tests(project, (), testing.ALL, jobs=jobs)
    assert given == [threads]


def test_several_jobs_need_xdist(asked, catalog, monkeypatch):
    monkeypatch.setattr(testing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProjectError, match="pytest-xdist"):
        asked(catalog, jobs=2)


def ended(*tests, problem=""):
    """A TestRun in which these tests failed."""
    failures = tuple(testing.Failure(test, "no") for test in tests)
    return testing.TestRun(1, len(failures), 0, "", failures, problem)


ALPHA = "modules/01_alpha/test_alpha.py"
FIX = "fix what it tests, then: python -m pytest"
FIX_ALPHA = "fix modules/01_alpha/alpha_dev.py, then: tito module complete 01_alpha\n"


@pytest.mark.parametrize(
    ("arguments", "run", "hint"),
    [
        (("1", "2"), ended(f"{ALPHA}::test_box[3]"), FIX_ALPHA),
        (("--all",), ended(f"{ALPHA}::modules.01_alpha.test_alpha"), FIX_ALPHA),
        (("--all",), ended("tests/test_a.py::test_b[3]"), f"{FIX} tests/test_a.py -k test_b\n"),
        (("--all",), ended("tests/test_a.py::tests.test_a"), f"{FIX} tests/test_a.py\n"),
        (("1", "-k", "typo"), ended(problem=testing.NO_TEST), f"python -m pytest --collect-only -q {ALPHA}   (lists"),
        (("--all", "-k", "typo"), ended(problem=testing.NO_TEST), "python -m pytest --collect-only -q   (lists"),
        (("1",), ended(problem=testing.NO_TEST), f"python -m pytest -rs {ALPHA}   (says why"),
        (("1",), ended(problem="the tests took more than 3600 s"), f"python -m pytest -v {ALPHA}   (its last lines"),
    ],
)  # fmt: skip
def test_whatever_failed_the_next_command_is_the_one_for_it(mini_course, monkeypatch, arguments, run, hint):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(testing, "run_tests", lambda *_, **__: run)
    said = typed(mini_course, "test", *arguments)
    assert said.exit_code == WorkError.exit_code and f"\n  next: {hint}" in said.stderr


def test_notebooks_are_tested_one_at_a_time(mini_course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    for arguments, first in ((("2", "3"), "02_beta"), (("--all",), "01_alpha")):
        said = typed(mini_course, "test", *arguments, "--notebook")
        assert said.exit_code == 2 and f"next: tito test {first} --notebook" in said.stderr


def test_names_that_no_test_has_are_no_failure_of_a_notebook(completed):
    said = completed.tito("test", "1", "-k", "typo")
    assert said.exit_code == WorkError.exit_code
    assert said.stderr.startswith(f"error: {testing.NO_TEST}\n  next: python -m pytest --collect-only -q {ALPHA}")
