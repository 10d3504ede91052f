"""Reading submissions in a process with limits: the side of tito. See reading_server.py for the other one."""

import contextlib
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

from tito.errors import WorkError
from tito.services.grading.bridge.wire import Closed, Pipe
from tito.services.grading.scoring import reading
from tito.services.grading.scoring.forkers import Forker
from tito.services.grading.scoring.session import Cancelled

PROGRAM = "tito.services.grading.scoring.reading_server"
HOME = Path(__file__).resolve().parents[4]
FILE_BYTES = 100 * 2**20
CLOCK_SECONDS = 180  # by the clock, where the processor is busy; its time is limited over there
TICK = 0.2


class Fault(Exception):
    """Reading or judging came to no end. The text says why, for people."""


class Readers(Forker):
    """The server of one kit, which reads submissions. seconds: of processor time, for reading and for each question."""

    def __init__(self, folder, seconds=reading.SECONDS):
        self.folder, self.seconds = folder, seconds
        paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
        super().__init__("reads submissions", self._command, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)})

    def _command(self, descriptor):
        arguments = [str(descriptor), str(self.folder), str(self.seconds)]
        return [sys.executable, "-P", "-s", "-m", PROGRAM, *arguments]

    def open(self, data, label, cancel=None):
        """An Opened for the notebook `data`. Raises WorkError where that cannot be read."""
        if len(data) > FILE_BYTES:
            size = f"{len(data) / 2**20:.1f} MB; tito reads up to {FILE_BYTES // 2**20} MB"
            raise WorkError(f"{label} has {size}", "look at the file", code="unreadable")
        ours, theirs = socket.socketpair()
        with theirs:
            child = self.fork(theirs.fileno())
        opened = Opened(ours, cancel, lambda: self.end(child))
        try:
            found = opened.exchange(data)
            if "ended" in found:
                raise Fault(found["ended"])
        except Fault as fault:
            opened.close()
            raise WorkError(f"{label} cannot be read: {fault}", "look at the file", code="unreadable") from None
        except BaseException:
            opened.close()
            raise
        if "unreadable" in found:
            opened.close()
            raise WorkError(found["unreadable"], "", code="unreadable")
        opened.read = reading.read_from_json(found)
        return opened


class Opened:
    """A submission in its process. read: what was found in it, a reading.Read. A context manager, which ends it."""

    read = None

    def __init__(self, ours, cancel, end):
        self.socket, self.cancel, self.end = ours, cancel, end
        self.pipe = Pipe(ours.fileno(), ours.fileno(), reading.FRAME_BYTES)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        self.end()

    def waits(self, position, late, passed):
        """Whether the cell at `position` needs an answer for which those at `late` waited; False if nobody knows."""
        if not late:
            return False
        with contextlib.suppress(Fault):
            return self._ask(do="waits", position=position, late=sorted(late), passed=sorted(passed))
        return False

    def verdicts(self, outcomes):
        """{position: Verdict} of the tests. Raises Fault where that cannot be told."""
        return reading.verdicts_from_json(self._ask(do="verdicts", outcomes=reading.outcomes_as_json(outcomes)))

    def _ask(self, **question):
        found = self.exchange(json.dumps(question).encode())
        if "ended" in found:
            raise Fault(found["ended"])
        return found["answer"]

    def exchange(self, frame):
        deadline = time.monotonic() + CLOCK_SECONDS
        try:
            self.pipe.send(frame)
            while not select.select([self.socket], [], [], TICK)[0]:
                if self.cancel is not None and self.cancel.is_set():
                    raise Cancelled
                if time.monotonic() > deadline:
                    raise Fault(f"it took longer than {CLOCK_SECONDS} s")
            return json.loads(self.pipe.receive())
        except Closed:
            raise Fault(reading.LIMITS) from None
