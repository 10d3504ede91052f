"""tito's end of a program that forks a child for each submission: see bridge/forks.py for the other one."""

import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from tito.errors import ProjectError
from tito.services import views
from tito.services.grading import bridge
from tito.services.grading.bridge.forks import NUMBER

START_SECONDS = 60
END_SECONDS = 10
TRUSTED = Path(bridge.__file__).resolve().with_name("trusted.py")


class Child(NamedTuple):
    """process: of the program that forked it; number: its own."""

    process: subprocess.Popen
    number: int


class Forker:
    """Such a program, started when it is needed first. May be asked by several threads.

    name: what it is, in messages. command(descriptor): how it is started; the socket has that descriptor there.
    """

    def __init__(self, name, command, environment):
        self.name, self.command, self.environment = name, command, environment
        self.lock = threading.Lock()
        self.control = self.process = None

    def fork(self, *descriptors):
        """The Child that works with the descriptors, of which it gets copies."""
        with self.lock:
            for _ in range(2):
                if self.process is None:
                    self._start()
                try:
                    socket.send_fds(self.control, [b"."], descriptors)
                    if answer := self.control.recv(NUMBER.size):
                        return Child(self.process, NUMBER.unpack(answer)[0])
                except OSError:
                    pass
                self._stop()  # it has ended: another one
        raise ProjectError(f"the process that {self.name} ends at once", "tito doctor", code="sandbox")

    def end(self, child):
        """End a child and wait for it. One whose program has ended ends by itself, nobody asks it any more."""
        with self.lock:
            if child.process is self.process:
                try:
                    self.control.sendall(NUMBER.pack(child.number))
                    self.control.recv(NUMBER.size)
                except OSError:
                    self._stop()

    def close(self):
        """End the program and all that it started."""
        with self.lock:
            if self.process is not None:
                self._stop()

    def _stop(self):
        self.control.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.control = self.process = None

    def _start(self):
        self.control, theirs = socket.socketpair()
        self.control.settimeout(START_SECONDS)
        with theirs, tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(
                self.command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[theirs.fileno()],
                env=self.environment,
                start_new_session=True,
            )
            theirs.close()
            try:
                ready = self.control.recv(NUMBER.size)
            except OSError:
                ready = b""
            if not ready:
                self.process.kill()
                self._stop()
                said.seek(0)
                lines = said.read(100_000).decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
                raise ProjectError(f"the process that {self.name} does not start: {lines[-1]}", "tito doctor")


def testing(view, imports):
    """The Forker whose children run graded tests, with what the lines `imports` import from `view`."""
    environment = {**views.child_environment(view, is_view=True), "OPENBLAS_NUM_THREADS": "1"}

    def command(descriptor):
        return [sys.executable, "-P", "-s", str(TRUSTED), str(descriptor), json.dumps(imports)]

    return Forker("runs tests", command, environment)
