"""The child process of complete.py: runs `test_name.py` on many exports of one module, each in a fork.

A program of its own, with pytest and NumPy loaded once for all forks. The job comes as JSON on stdin, the findings go
to stdout as lines of JSON, in the order in which they are found.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from child import Forks  # noqa: E402

sys.path.pop(0)


class Watch:
    """A plugin of pytest that keeps the first failure."""

    def __init__(self):
        self.failure = None
        self.passed = 0

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.keep(report)
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report):
        if report.failed:
            self.keep(report)

    def keep(self, report):
        if self.failure is None:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = crash.message if crash else str(report.longrepr)
            self.failure = {"test": report.nodeid.rpartition("::")[2], "message": said.strip()}


def test(job, text, note):
    """In a fork: run the tests on the export `text`, in a copy of the view that holds it."""
    import pytest

    whole = Path(os.environ["TINYTORCH_VIEW"])
    view = Path(tempfile.mkdtemp(prefix="export-", dir=whole))
    try:
        shutil.copytree(whole / "tinytorch", view / "tinytorch", copy_function=os.link)
        (view / "tinytorch" / "core" / job["core_file"]).write_text(text, encoding="utf-8")
        sys.path.insert(0, str(view))
        os.environ.update(PYTHONPATH=str(view), TINYTORCH_VIEW=str(view))
        os.environ.pop("TINYTORCH_THREADS", None)
        os.chdir(job["root"])
        watch = Watch()
        options = ["-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider", "-o", "pythonpath="]
        code = pytest.main([*options, f"--rootdir={job['root']}", job["tests"]], plugins=[watch])
        if watch.failure is None and (code != 0 or not watch.passed):
            watch.failure = {"test": "", "message": f"pytest ended with exit code {int(code)}"}
        note(failure=watch.failure)
    finally:
        shutil.rmtree(view, ignore_errors=True)


def main():
    import numpy  # noqa: F401
    import pytest  # noqa: F401

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    job = json.load(sys.stdin)
    forks = Forks(job["jobs"], job["seconds"])
    findings = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def done(number):
        def report(notes, ended):
            late = {"test": "", "message": "the process died, or ran into its time limit"}
            failure = notes[0]["failure"] if notes else late
            print(json.dumps({"export": number, "failure": failure}), file=findings, flush=True)

        return report

    for number, text in enumerate(job["exports"]):
        forks.start(lambda note, text=text: test(job, text, note), done(number))
    forks.finish()


if __name__ == "__main__":
    main()
