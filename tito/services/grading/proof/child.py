"""The child process of forks.py: executes the cells of a notebook, and forks for other versions of an answer.

A program of its own, with the standard library alone. The job comes as JSON on stdin, the findings go to stdout as
lines of JSON, in the order in which they are found.
"""

import contextlib
import gc
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

FORK_SECONDS = 60  # after which a fork that waits for something is ended
MEMORY = 4 << 30


class OutOfTime(BaseException):
    """Raised in a cell that ran too long. No `except Exception` of an answer stops it."""


def execute(code, names, seconds=None):
    """Run a cell for at most `seconds` of processor time; None, or the error in words. SystemExit is one, too."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            # again after each second: the first exception may have been raised where Python ignores it
            signal.setitimer(signal.ITIMER_PROF, seconds or 0, 1 if seconds else 0)
            exec(compile(code, "<cell>", "exec"), names)
        except OutOfTime:
            return f"did not finish within {seconds:.3g} s"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return None


class Forks:
    """Work in forks, at most `count` at a time and for `seconds` each, so that nothing it does stays behind."""

    def __init__(self, count, seconds=FORK_SECONDS):
        self.count = count
        self.seconds = seconds
        self.running = {}

    def start(self, work, done):
        """Call done(what `work(note)` noted, whether the fork came to its end) when it has ended."""
        while len(self.running) >= self.count:
            self.wait()
        channel = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        child = os.fork()
        if child == 0:
            self._work(work, channel)
        self.running[child] = (channel, done)

    def _work(self, work, channel):
        """In the fork. It ends here, whatever `work` does."""
        try:
            signal.signal(signal.SIGPROF, _out_of_time)
            signal.alarm(self.seconds)
            _limit_memory()

            def note(**found):
                channel.write(json.dumps(found) + "\n")
                channel.flush()

            work(note)
            os._exit(0)
        finally:
            os._exit(1)

    def wait(self):
        """Until one fork has ended."""
        child, status = os.wait()
        channel, done = self.running.pop(child)
        with channel:
            channel.seek(0)
            done([json.loads(line) for line in channel if line.endswith("\n")], status == 0)

    def finish(self):
        while self.running:
            self.wait()


def _out_of_time(number, frame):
    raise OutOfTime


def _limit_memory():
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run_through(cells, answers, note):
    """Execute all cells, past errors, with `answers` in place of the reference's."""
    names = fresh_names()
    for number, cell in enumerate(cells):
        answer = answers.get(cell["grade_id"]) if cell["role"] == "answer" else None
        start = time.process_time()
        error = execute(cell["source"] if answer is None else answer, names)
        note(cell=number, error=error, seconds=time.process_time() - start)


def run_version(cells, version, names, seconds, note):
    """Execute one version of an answer, and the cells below it as far as its `reach` says, past errors.

    reach: "own", up to the next answer; "end", all of them; "decided", until a visible test has caught it.
    """
    start, reach = version["cell"], version["reach"]
    _own_folders(names)
    error = execute(version["code"], names, seconds[start])
    note(cell=start, error=error)
    for number in range(start + 1, len(cells)):
        if reach == "decided" and error and is_decided(cells[number - 1], cells[start]):
            return
        if cells[number]["role"] == "answer" and reach == "own":
            return
        error = execute(cells[number]["source"], names, seconds[number])
        note(cell=number, error=error)


def _own_folders(names):
    """Give this fork copies of the temporary folders that the notebook has made: others write into theirs."""
    for name, value in list(names.items()):
        if isinstance(value, Path) and value.is_relative_to(tempfile.gettempdir()) and value.is_dir():
            names[name] = Path(shutil.copytree(value, tempfile.mkdtemp(), dirs_exist_ok=True))


def is_decided(failed, answer):
    """Whether an error in the cell `failed` settles that `answer` is wrong for those who see the visible tests."""
    is_visible_test = failed["role"] == "test" and not failed["hidden"]
    return failed is answer or is_visible_test and failed["question"] in (answer["grade_id"], None)


def fresh_names():
    return {"__name__": "__main__", "__builtins__": __builtins__}


def main():
    job = json.load(sys.stdin)
    cells, forks = job["cells"], Forks(job["jobs"])
    findings = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a cell's own children print is none of the findings
    say = lambda **line: print(json.dumps(line), file=findings, flush=True)
    seconds = [job["seconds"]] * len(cells)

    def done(name):
        def report(notes, ended):
            say(run=name, notes=notes, ended=ended)
            for one in notes if name == "reference" else []:
                seconds[one["cell"]] += 10 * one["seconds"]

        return report

    for name, answers in {"reference": {}, **job["runs"]}.items():
        forks.start(lambda note, answers=answers: run_through(cells, answers, note), done(name))
    forks.finish()

    names, versions = fresh_names(), {}
    for number, version in enumerate(job["versions"]):
        versions.setdefault(version["cell"], []).append((number, version))
    for start, cell in enumerate(cells):
        gc.freeze()  # what is there already is not looked at again in every fork
        for number, version in versions.get(start, []):
            forks.start(
                lambda note, version=version: run_version(cells, version, names, seconds, note),
                lambda notes, ended, number=number: say(version=number, notes=notes, ended=ended),
            )
        forks.finish()  # before this process changes files that they copy
        execute(cell["source"], names)


if __name__ == "__main__":
    main()
