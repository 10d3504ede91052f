"""Reading submissions in a process with limits: the side of tito. See reading_server.py for the other one."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tito.errors import ProjectError, WorkError
from tito.services.grading.bridge.wire import Closed, Pipe
from tito.services.grading.scoring import reading
from tito.services.grading.scoring.session import Cancelled

PROGRAM = "tito.services.grading.scoring.reading_server"
HOME = Path(__file__).resolve().parents[4]
FILE_BYTES = 100 * 2**20
START_SECONDS = 60
CLOCK_SECONDS = 180  # by the clock, where the processor is busy; its time is limited over there
TICK = 0.2


class Fault(Exception):
    """Reading or judging came to no end. The text says why, for people."""


class Readers:
    """The server of one kit, started when it is needed first. May be asked by several threads.

    seconds: of processor time, for reading and for each question.
    """

    def __init__(self, folder, seconds=reading.SECONDS):
        self.folder, self.seconds, self.lock = folder, seconds, threading.Lock()
        self.control = self.process = None

    def open(self, data, label, cancel=None):
        """An Opened for the notebook `data`. Raises WorkError where that cannot be read."""
        if len(data) > FILE_BYTES:
            size = f"{len(data) / 2**20:.1f} MB; tito reads up to {FILE_BYTES // 2**20} MB"
            raise WorkError(f"{label} has {size}", "look at the file", code="unreadable")
        ours, theirs = socket.socketpair()
        with theirs:
            self._hand_over(theirs)
        opened = Opened(ours, cancel)
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

    def close(self):
        """End the server. What it started ends when nobody asks any more."""
        with self.lock:
            if self.process is not None:
                self.control.close()
                self.process.kill()
                self.process.wait()
                self.control = self.process = None

    def _hand_over(self, theirs):
        with self.lock:
            for _ in range(2):
                if self.process is None:
                    self._start()
                try:
                    socket.send_fds(self.control, [b"."], [theirs.fileno()])
                    return
                except OSError:  # it has ended: another one
                    self.process.kill()
                    self.process.wait()
                    self.process = None
        raise ProjectError("the process that reads submissions ends at once", "tito doctor", code="sandbox")

    def _start(self):
        self.control, theirs = socket.socketpair()
        paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
        with theirs, tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", PROGRAM, str(theirs.fileno()), str(self.folder), str(self.seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
            )
            theirs.close()
            self.control.settimeout(START_SECONDS)
            try:
                ready = self.control.recv(1)
            except TimeoutError:
                ready = b""
            self.control.settimeout(None)
            if not ready:
                self.process.kill()
                self.process.wait()
                self.process = None
                said.seek(0)
                lines = said.read(100_000).decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
                raise ProjectError(f"the process that reads submissions does not start: {lines[-1]}", "tito doctor")


class Opened:
    """A submission in its process. read: what was found in it, a reading.Read. A context manager, which ends it."""

    read = None

    def __init__(self, ours, cancel):
        self.socket, self.cancel = ours, cancel
        self.pipe = Pipe(ours.fileno(), ours.fileno(), reading.FRAME_BYTES)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

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
