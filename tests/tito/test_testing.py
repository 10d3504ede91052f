"""What `tito test` asks of pytest."""

import pytest

from tito.errors import ProjectError
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
