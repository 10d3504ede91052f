"""A sandbox and the trusted process beside it, and the order in which cells run through both.

What a cell does to them costs that cell: where the sandbox ends or does not answer in time, both are ended, started
again, and the cells of the notebook so far run again, without the one that did it. Which one did it is not always the
one that ran: an answer may leave something behind that ends the sandbox later. So a cell whose sandbox ended is tried
once more in one that has called no answer yet.
"""

import contextlib
import json
import os
import select
import sys
import tempfile
import time
from typing import NamedTuple

from tito.errors import ProjectError
from tito.services.grading.bridge.wire import Closed, Pipe, Unreadable
from tito.services.outcomes import MESSAGE_LENGTH, Outcome

SHOWN_AT = "/grading"  # what a kit shows, in the sandbox
START_SECONDS = 60
TICK = 0.2
REASONS = {"memory": "it used up its memory", "processes": "it started too many processes"}
REASONS |= {"disk": "it filled the disk", "output": "it wrote too much", "killed": "it answered no more"}
RESTARTS = 200
SHOWN = 4000  # characters of what a cell printed
ANSWER = 2**20  # bytes of what the trusted process answers, whose texts are cut


class Step(NamedTuple):
    """A cell that runs. number: by which errors name it; test: grade_id of a test, None for a cell of the notebook.

    shows: it defines and imports nothing, but may call answers to show what they give. how: "run"; a test may also
    "define" only what later ones use, or be left alone ("leave").
    """

    number: int
    source: str
    test: str | None = None
    shows: bool = False
    how: str = "run"


class Cancelled(Exception):
    """The caller wants no score any more."""


class Session:
    """One sandbox and its trusted process."""

    def __init__(self, kit, limits, cancel):
        self.cancel = cancel
        if os.name != "posix":
            raise ProjectError("submissions are scored on Linux and macOS only", "use WSL on Windows", code="sandbox")
        prepared = f"{SHOWN_AT}/matplotlib" if kit.fonts else ""
        program = [sys.executable, "-P", "-s", f"{SHOWN_AT}/bridge/inside.py", f"{SHOWN_AT}/view", prepared]
        readable = {kit.shown: SHOWN_AT}
        self.inside = kit.sandbox.start(program, readable=readable, limits=limits)
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        self.testing = kit.testing
        descriptors = []
        try:
            theirs_in, self.writing = os.pipe()
            self.reading, theirs_out = os.pipe()
            descriptors = [theirs_in, theirs_out]
            ends = [self.inside.stdout.fileno(), self.inside.stdin.fileno(), theirs_in, theirs_out]
            self.outside = self.testing.fork(*ends, self.said.fileno())
        except BaseException:
            self.inside.kill()
            raise
        finally:
            for number in descriptors:
                os.close(number)
        self.pipe = Pipe(self.reading, self.writing, longest=ANSWER)
        try:
            answer = self.run(START_SECONDS, do="start", imports=kit.imports, classes=kit.classes)
        except BaseException:
            self.close()
            raise
        if answer["status"] != "ok":
            said = self.errors() or answer["status"]
            self.close()
            raise ProjectError(f"a test process does not start: {said.strip().splitlines()[-1]}", "tito doctor")

    def run(self, seconds, **command):
        """Send a command; the answer, {"status": "timeout"} where none comes, {"status": "gone"} where none will."""
        deadline = time.monotonic() + seconds
        try:
            self.pipe.send(json.dumps(command).encode())
            while not self.pipe.buffer:
                left = deadline - time.monotonic()
                if left <= 0:
                    return {"status": "timeout", "seconds": seconds}
                ready, _, _ = select.select([self.reading], [], [], min(left, TICK if self.cancel else left))
                if ready:
                    break
                if self.cancel and self.cancel.is_set():
                    raise Cancelled
            return json.loads(self.pipe.receive())
        except Closed:
            return {"status": "gone", "seconds": 0.0}
        except Unreadable as error:
            return {"status": "broken", "message": str(error)}

    def reason(self):
        """Why the sandbox ended, in words."""
        with contextlib.suppress(TimeoutError):
            self.inside.wait(1)
        self.inside.kill()
        reason = self.inside.reason()
        return REASONS.get(reason, reason or "it ended by itself")

    def errors(self):
        self.said.seek(0)
        return self.said.read(20_000).decode("utf-8", "replace")

    def close(self):
        self.testing.end(self.outside)
        self.inside.kill()
        for number in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(number)
        self.said.close()


class Rig:
    """Runs Steps in sessions, as many as it takes."""

    def __init__(self, kit, limits, cell_seconds, cancel):
        self.kit, self.limits, self.cell_seconds, self.cancel = kit, limits, cell_seconds, cancel
        self.lines = {}  # how many lines each cell of the notebook has, by its number
        self.deadline = None
        self.session = None
        self.has_tested = False  # whether a test has called the answers of this session
        self.restarts = 0
        self.apart = False  # whether the tests that run are of questions that have nothing to do with each other

    def close(self):
        if self.session is not None:
            self.session.close()
            self.session = None

    def run(self, steps, fresh=False, choose=None, on_step=None):
        """(an Outcome for each step, {number: what it printed}).

        fresh: in a new sandbox, with time of its own. choose(place, outcomes so far, cell_seconds): the seconds of a
        step, where they are not the same for each; 0 for one that is not to run. on_step(place): called before each.
        """
        if fresh or self.deadline is None:
            self.close()
            self.deadline = time.monotonic() + self.limits.seconds
        outcomes, printed, culprits = [], {}, set()
        self.lines = {}
        for place, step in enumerate(steps):
            if step.test is None:
                self.lines[step.number] = step.source.count("\n") + 1
            if on_step:
                on_step(place)
            if step.how != "run":
                outcomes.append(Outcome("skipped", message="it runs elsewhere", cell=max(0, place - 1)))
                if step.how == "define" and self.session is not None:
                    self.session.run(self.cell_seconds, do="define", source=step.source)
                continue
            seconds = choose(place, outcomes, self.cell_seconds) if choose else self.cell_seconds
            if not seconds:
                outcomes.append(Outcome("timeout", message="was not run: what it calls does not end"))
                culprits.add(place)
                continue
            if self.session is None and not self._start(steps[:place], culprits):
                outcomes.append(self.skipped(place))
                continue
            outcome, output = self._try(step, seconds, steps[:place], culprits)
            outcomes.append(outcome)
            printed[step.number] = output
            if self.session is None and step.test is None:
                culprits.add(place)
        return outcomes, printed

    def is_over(self):
        return self._left() <= 0

    def skipped(self, place):
        message = f"the time for the whole notebook, {self.limits.seconds:g} s, was over"
        return Outcome("skipped", message=message, cell=max(0, place - 1))

    def _left(self):
        return self.deadline - time.monotonic()

    def _start(self, before, culprits, bare=False):
        """Start a session and run the steps `before` again, without tests and culprits; False where time is over.

        bare: without the cells that only show something too, so that no answer has been called yet.
        """
        while self._left() > 0 and self.restarts < RESTARTS:
            self.restarts += 1
            self.session = Session(self.kit, self.limits, self.cancel)
            self.has_tested = False
            for place, step in enumerate(before):
                if step.test is not None:
                    if step.how != "leave":
                        self.session.run(self.cell_seconds, do="define", source=step.source)
                elif place not in culprits and not (bare and step.shows):
                    self._run(step, self.cell_seconds)
                    if self.session is None:
                        culprits.add(place)
                        break
            else:
                return True
        self.close()
        return False

    def _try(self, step, seconds, before, culprits):
        """(Outcome, output) of a step; of a later time where something left behind may have ended the sandbox.

        A thread or a timer of an earlier answer can do that. It is started again by the cells that call the answer to
        show something; what passes without them owes its end to them, and what does not has ended by itself.
        """
        tested = self.has_tested
        found = self._run(step, seconds)
        if found[0].status == "timeout" and tested and self.apart and seconds == self.cell_seconds:
            # processes that an earlier answer left behind may have taken its time
            return self._run(step, seconds) if self._start(before, culprits) else found
        for bare in (False, True):
            left_behind = self.session is None and tested and found[0].status != "timeout"
            if left_behind and self._start(before, culprits, bare):
                later = self._run(step, seconds)
                found = later if not bare or later[0].status == "ok" else found
        self.has_tested = self.session is not None and (self.has_tested or step.test is not None)
        return found

    def _run(self, step, seconds):
        """(Outcome, output) of one step; where it ended the session, that is None afterwards."""
        if self.cancel and self.cancel.is_set():
            raise Cancelled
        seconds = max(0.0, min(seconds, self._left()))
        command = {"number": step.number, "source": step.source}
        if step.test is None:
            answer = self.session.run(seconds, do="cell", **command)
        else:
            answer = self.session.run(seconds, do="test", **command, fetch=self.kit.plans[step.test])
        outcome = self._outcome(answer, seconds, step)
        if answer["status"] not in ("ok", "error"):
            self.close()
        return outcome, answer.get("output", "")[:SHOWN]

    def _outcome(self, answer, seconds, step):
        status, took = answer["status"], answer.get("seconds", 0.0)
        if status == "ok":
            return Outcome("ok", took)
        if status == "timeout":
            return Outcome("timeout", took, message=f"did not finish within {seconds:.3g} s")
        if status == "died":
            reason = self.session.reason()
            return Outcome("died", took, message=reason)
        if status in ("broken", "gone"):
            message = answer.get("message") or "the answer sent back more than can be read"
            return Outcome("error", took, error="AssertionError", message=message)
        frames = tuple((cell, line) for cell, line in answer["frames"] if self._has(cell, line, step))
        return Outcome("error", took, answer["error"], answer["message"][:MESSAGE_LENGTH], frames=frames)

    def _has(self, cell, line, step):
        """Whether the cell that ran has such a line, or an earlier cell of the notebook.

        The sandbox may say anything, and the line of another test would be shown to the student.
        """
        return 1 <= line <= (step.source.count("\n") + 1 if cell == step.number else self.lines.get(cell, 0))
