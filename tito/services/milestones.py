"""Runs a milestone's program on the package of the project, and knows which results were reached.

The program runs in a process of its own, reports as one JSON document a line, and keeps its checkpoints, its report
and the record of its runs below `.tito/milestones/<name>/` itself: run by hand it leaves the same files.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial

from tito.errors import Interrupted, ProjectError, UsageError, WorkError
from tito.services import data, documents, modules, views

SCHEMA = 1
SECONDS_TO_SAVE = 30  # what a program has after Ctrl-C
ERRORS = {"prerequisites": WorkError, "not-finite": WorkError, "program": WorkError}  # others: ProjectError
LINES_KEPT = 40


@dataclass(frozen=True)
class Entry:
    """A run that was finished. value: what it measured of the first thing that the milestone asserts, None if it did
    not. report: its folder. undecided: nothing was missed, but an interval lies on both sides of its bound.
    """

    data: str
    seed: int
    epochs: int
    reached: bool
    metric: str
    value: float | None
    finished: str
    report: str
    undecided: bool = False


@dataclass(frozen=True)
class MilestoneState:
    """Where a milestone stands.

    state: done, where its result was reached on one of its datasets; ready; or locked, where `missing` names the
    modules to complete first. absent: its datasets that are not here. best: the best run on each dataset.
    """

    milestone: str
    title: str
    state: str
    missing: tuple
    absent: tuple
    best: tuple
    last: Entry | None
    next: str


@dataclass(frozen=True)
class MilestoneRun:
    """A finished run. asserts: what the milestone expects, each with metric, words, value, interval, outcome (reached,
    not reached or not decided), reached and, as a sentence of all that, verdict.
    """

    milestone: str
    reached: bool
    undecided: bool
    asserts: tuple
    entry: Entry
    wanted: str | None
    report: str


def standings(project, catalog, milestones):
    """(MilestoneStates, warnings)."""
    usable = _usable(project, catalog)
    here = {one.dataset.name for one in data.standings() if one.state == "ready"}
    found, warnings = [], []
    for milestone in milestones:
        best, last, warning = read_runs(project, milestone)
        missing = tuple(name for name in milestone.needs if name not in usable)
        fetched = () if milestone.has_parts else [result.images or result.data for result in milestone.results[:-1]]
        absent = tuple(name for name in dict.fromkeys(fetched) if name not in {*here, milestone.datasets[-1]})
        reached = any(entry.reached for entry in best)
        state = "done" if reached else "locked" if missing else "ready"
        command = f"tito module start {missing[0][:2]}" if missing else f"tito milestone run {milestone.number:02}"
        found.append(MilestoneState(milestone.name, milestone.title, state, missing, absent, best, last, command))
        warnings += [warning] if warning else []
    return tuple(found), tuple(warnings)


def _usable(project, catalog):
    """Names of the modules that a milestone can build on."""
    if project.is_course:  # the committed package, whatever is being written in the sources
        return {module.name for module in catalog if (project.core / module.core_file).is_file()}
    return {standing.module for standing in modules.status(project, catalog).standings if standing.usable}


def records_folder(project, milestone):
    return project.state / "milestones" / milestone.name


def read_runs(project, milestone):
    """(best runs, last run or None, warning) of a milestone. A file that cannot be read is kept aside."""
    folder = records_folder(project, milestone)
    path = folder / "runs.json"
    found, kept = documents.read(path, SCHEMA, partial(_runs, project, folder), project.state / "backups")
    if kept:
        words = f"{project.relative(path)} could not be read and was moved to {project.relative(kept)}"
        return (), None, f"{words}; run the milestone again, its reports are still there"
    best, last = found or ((), None)
    return best, last, ""


def _runs(project, folder, document):
    """(best runs, last run or None)"""
    best = tuple(_entry(project, folder, entry) for entry in document["best"].values())
    return best, _entry(project, folder, document["last"]) if document["last"] else None


def _entry(project, folder, document):
    entry = Entry(**document)
    kinds = {"data": str, "seed": int, "epochs": int, "reached": bool, "metric": str, "finished": str, "report": str}
    kinds["undecided"] = bool
    if not all(isinstance(getattr(entry, name), kind) for name, kind in kinds.items()):
        raise TypeError(f"{entry}")
    if not isinstance(entry.value, (int, float, type(None))):
        raise TypeError(f"value is {entry.value!r}")
    return Entry(**{**document, "report": project.relative(folder / entry.report / "index.html")})


def run(
    project, catalog, milestone, *, dataset=None, epochs=None, seed=0, fresh=False, report=None, tell=lambda event: None
):
    """Run `milestone` and return the MilestoneRun, reached or not. report: the folder for its report, or None.

    tell(event): a dictionary, as the program reports it; what it prints beside that comes as
    {"event": "output", "text": …}.

    Raises WorkError or ProjectError for what keeps it from finishing, Interrupted after Ctrl-C, once it has saved.
    """
    if dataset is not None and dataset not in milestone.datasets:
        raise UsageError(
            f"{milestone.name} does not know the dataset {dataset!r}; it knows: {', '.join(milestone.datasets)}",
            f"tito milestone run {milestone.number:02} --data {milestone.datasets[0]}",
        )
    usable = _usable(project, catalog)
    missing = [name for name in milestone.needs if name not in usable]
    if missing:
        raise WorkError(
            f"{milestone.name} needs {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not complete",
            f"tito module start {missing[0][:2]}",
            code="prerequisites",
        )
    options = [f"--seed={seed}"]
    options += [f"--data={dataset}"] if dataset else []
    options += [f"--epochs={epochs}"] if epochs else []
    options += [f"--report={report.absolute()}"] if report else []
    options += ["--fresh"] if fresh else []
    again = " ".join(["tito milestone run", f"{milestone.number:02}", *options[: -1 if fresh else None]])
    program = Program(project, milestone, options)
    last, printed = program.follow(tell)
    if last and last["event"] == "done":
        return MilestoneRun(
            milestone.name,
            last["reached"],
            last["undecided"],
            tuple(last["asserts"]),
            _entry(project, records_folder(project, milestone), last["entry"]),
            dataset,
            project.relative(last["report"]),
        )
    if program.interrupted or (last and last["code"] == "interrupted"):
        raise Interrupted(f"run it again to go on: {again}")
    if last:
        kind = ERRORS.get(last["code"], ProjectError)
        raise kind(last["message"], last["hint"], code=last["code"]) from RuntimeError(last["traceback"])
    raise _died(project, milestone, program.exit_code, printed, again)


def missed(asserts):
    """Of the asserts of a run those that were not reached, whatever else the machine did: a ratio of times, which has
    an interval, is shown and fails neither CI nor the site, which do not have their machine for themselves.
    """
    return [one for one in asserts if one["outcome"] == "not reached" and not one["interval"]]


def _died(project, milestone, exit_code, printed, again):
    """The error for a program that ended without a word."""
    program = project.relative(milestone.program)
    if exit_code == -getattr(signal, "SIGKILL", 9):
        hint = f"close other programs, and run it again to go on: {again}"
        return ProjectError(f"{program} was killed, as happens where memory runs out", hint, code="memory")
    reason = f": {printed[-1]}" if printed else ""
    return WorkError(f"{program} ended with exit code {exit_code}{reason}", f"python {program}", code="program")


class Program:
    """A milestone's program, running. Ctrl-C is passed on to it: it saves what it has, and ends."""

    def __init__(self, project, milestone, options):
        self.command = [sys.executable, str(milestone.program), "--events", *options]
        self.settings = {"cwd": project.root, "env": views.child_environment(project.root, is_view=False)}
        self.child, self.interrupted = None, None  # interrupted: when Ctrl-C came
        self.lines = queue.SimpleQueue()

    @property
    def exit_code(self):
        return self.child.returncode

    def follow(self, tell):
        """Start it and pass on every event. Returns the event done or error, or None, and the last lines it printed."""
        before = signal.signal(signal.SIGINT, lambda *_: self._interrupt())
        try:
            self._start()
            return self._listen(tell)
        finally:
            if self.child is not None and self.child.poll() is None:  # tito failed; the program keeps what it saved
                self.child.kill()
                self.child.wait()
            signal.signal(signal.SIGINT, before)

    def _start(self):
        self.child = subprocess.Popen(
            self.command,
            **self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        if self.interrupted is not None:
            self._interrupt()
        for stream in (self.child.stdout, self.child.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self.lines.put((stream, line.rstrip("\n")))
        self.lines.put((stream, None))

    def _listen(self, tell):
        last, printed, open_streams = None, [], 2
        while open_streams:
            try:
                stream, line = self.lines.get(timeout=0.2)
            except queue.Empty:
                if self.interrupted is not None and time.monotonic() - self.interrupted > SECONDS_TO_SAVE:
                    self.child.kill()
                continue
            if line is None:
                open_streams -= 1
                continue
            event = _event(line) if stream is self.child.stdout else None
            if event is None:
                printed = [*printed, line][-LINES_KEPT:]
                event = {"event": "output", "text": line}
            if event["event"] in ("done", "error"):
                last = event
            if stream is self.child.stdout or self.interrupted is None:  # nobody wants to read how Ctrl-C ended it
                tell(event)
        self.child.wait()
        return last, printed

    def _interrupt(self):
        """Not every way of sending Ctrl-C reaches the program as well."""
        self.interrupted = self.interrupted or time.monotonic()
        if os.name == "posix" and self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)


def _event(line):
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
