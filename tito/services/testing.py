"""Runs `test_name.py` of modules, or the whole test suite, with pytest in a child process."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError, WorkError
from tito.services import views

ALL = "all"
NO_TEST = "no test ran"
MESSAGE_LENGTH = 2000
SLOWEST = ["--durations=25", "--durations-min=1"]
PROPERTY = "tito"  # under which our plugin of pytest leaves what it knows of a failure


@dataclass(frozen=True)
class Failure:
    """A test that failed. case: its parameters, "" without; where: the line of the package that was running, ""."""

    test: str
    message: str
    case: str = ""
    where: str = ""

    @property
    def name(self):
        """The name of the test function, without file and parameters."""
        return self.test.rpartition("::")[2].partition("[")[0]

    def in_words(self):
        case = f" with {self.case}" if self.case else ""
        return f"{self.name}{case}: {self.message}" + (f"\n{self.where}" if self.where else "")


@dataclass(frozen=True)
class TestRun:
    """What pytest reported. problem: why the run counts as failed although no test did, "" where there is no reason."""

    passed: int
    failed: int
    skipped: int
    output: str
    failures: tuple
    problem: str

    @property
    def ok(self):
        return not self.failed and not self.problem

    @property
    def first_failure(self):
        return self.failures[0].in_words() if self.failures else self.problem


def run_tests(project, catalog, modules, folder=None, *, named="", seconds=600, jobs=1, on_line=None):
    """Run the tests of `modules`, or all of the project's with ALL, against the package in `folder` or in place.

    In a workspace ALL means the modules that are built. named: only the tests with this in their names (pytest's -k).
    jobs: files of tests that run at the same time. on_line(text): called for each line that pytest prints. Raises
    WorkError for a module that is not in the package, ProjectError where the child would import another one, and
    where it cannot run several jobs.
    """
    options = [] if jobs == 1 else _several(jobs)
    options += ["-k", named] if named else []
    if modules == ALL:
        targets = [] if project.is_course else [module.tests for module in catalog if _is_built(project, module)]
        options += SLOWEST if project.is_course else []
        if not project.is_course and not targets:
            raise WorkError("no module is in the package yet", "tito module status", code="no-tests")
    else:
        targets = [module.tests for module in modules]
        _require_files(project, modules, folder)
    views.check_child(folder or project.root)
    return _run_pytest(project, [*options, *targets], folder, seconds, on_line, jobs)


def _several(jobs):
    if importlib.util.find_spec("xdist") is None:
        raise ProjectError("several jobs need pytest-xdist, which is not installed", 'pip install -e ".[dev]"')
    return [f"--numprocesses={jobs}", "--dist=loadfile"]


def _is_built(project, module):
    return (project.core / module.core_file).is_file()


def _require_files(project, modules, folder):
    for module in modules:
        if not module.tests.is_file():
            raise ProjectError(f"{project.relative(module.tests)} is missing", "restore the file", code="no-tests")
        if folder is None and not _is_built(project, module):
            raise WorkError(
                f"{module.name} is not in the package yet", f"tito module complete {module.name}", code="not-built"
            )


def _run_pytest(project, arguments, folder, seconds, on_line, jobs=1):
    with tempfile.TemporaryDirectory(prefix="tito-tests-") as scratch:
        report = Path(scratch) / "report.xml"
        # -P keeps the working folder, with its own tinytorch, from going in front of the stage
        command = [sys.executable, "-P", "-m", "pytest", "-q", "--color=no", "--import-mode=importlib"]
        command += ["-p", "no:cacheprovider", f"--rootdir={project.root}", f"--junitxml={report}"]
        command += ["-o", "junit_family=xunit1", "-p", "tito.services.pytest_cases"]
        if folder is not None:
            command += ["-o", "pythonpath="]  # nor may the configuration put another folder in front of it
        command += map(str, arguments)
        child = subprocess.Popen(
            command,
            cwd=project.root,
            env=_environment(project, folder, jobs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        output, in_time = _follow(child, seconds, on_line)
        problem = "" if in_time else f"the tests took more than {seconds:g} s"
        return _read_report(project, report, output, child.returncode, problem)


def _environment(project, folder, jobs):
    """Where several jobs share the cores, each gets its part of the threads for matrix products: more of them than
    cores wait for each other.
    """
    environment = views.child_environment(folder or project.root, is_view=folder is not None)
    if jobs > 1:
        environment.setdefault("OPENBLAS_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    return environment


def _follow(child, seconds, on_line):
    """Read what `child` prints until it ends; (text, whether it ended by itself in time)."""
    late = threading.Event()

    def end():
        late.set()
        child.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    lines = []
    try:
        for line in child.stdout:
            lines.append(line)
            if on_line:
                on_line(line.rstrip("\n"))
        child.wait()
    finally:
        timer.cancel()
        child.kill()
        child.stdout.close()
        child.wait()
    return "".join(lines), not late.is_set()


def _read_report(project, report, output, exit_code, problem):
    """The verdict comes from pytest's own report file and exit code, never from printed text."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    if report.is_file():
        for case in ElementTree.parse(report).iter("testcase"):
            kind, message = _case(case)
            counts[kind] += 1
            if kind == "failed":
                failures.append(_failure(project, case, message))
    elif not problem:
        problem = f"pytest ended without a report (exit code {exit_code})"
    if not problem and not failures and counts["passed"] == 0:
        problem = NO_TEST
    if not problem and not failures and exit_code != 0:
        problem = f"pytest ended with exit code {exit_code}"
    return TestRun(**counts, output=output, failures=tuple(failures), problem=problem)


def _failure(project, case, message):
    """The Failure of a testcase; in pytest's own words where our plugin left nothing."""
    said = case.find(f"properties/property[@name='{PROPERTY}']")
    if said is None:
        return Failure(_test_name(case), message[:MESSAGE_LENGTH])
    found = json.loads(said.get("value"))
    frames = [(Path(path), *rest) for path, *rest in found["frames"]]
    message, core = _words(found, frames), [frame for frame in frames if frame[0].parent.name == "core"]
    where = ""
    if core:
        path, _, function, text = core[-1]
        where = f"in `{function}` of tinytorch/core/{path.name}: `{text}`"
    return Failure(_test_name(case), message[:MESSAGE_LENGTH], found["case"], where)


def _words(found, frames):
    """An assertion's own words, without pytest's; else the error, and the line of the test, which holds the case."""
    tests = [frame for frame in frames if frame[0].name.startswith("test_")]
    line = tests[-1][3] if tests else ""
    words = found["message"].partition("\nassert ")[0] if found["error"] == "AssertionError" else ""
    if words and not words.startswith("assert "):
        return words
    if found["error"] == "AssertionError":
        return f"this does not hold: {line or words}"
    said = f"{found['error']}: {found['message']}" if found["message"] else found["error"]
    return said + (f", from `{line}` in the test" if line else "")


def _case(case):
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return "failed", found.get("message", "") or (found.text or "").strip()
    return ("skipped", "") if case.find("skipped") is not None else ("passed", "")


def _test_name(case):
    place = case.get("file") or case.get("classname", "").replace(".", "/")
    return f"{place}::{case.get('name')}" if place else case.get("name", "")
