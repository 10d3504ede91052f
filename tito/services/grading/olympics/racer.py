"""A program of the stadium in its sandbox: asked over a pipe, by the clock of this process."""

import contextlib
import os
import select
import sys
import time
from pathlib import Path

from tito.errors import ProjectError
from tito.services.grading.bridge.wire import Closed, Pipe, Unreadable
from tito.services.grading.olympics import stadium, tracks
from tito.services.grading.sandbox import proc
from tito.services.grading.sandbox.find import Limits

STADIUM = Path(stadium.__file__).resolve().parent
YARDSTICKS = Path(__file__).resolve().parent / "yardsticks"
SHOWN_AT = "/grading"  # the folders that a sandbox shows
LIMITS = Limits(seconds=300, memory=1024 * 2**20, processes=32)
BUILD_SECONDS = 30
MESSAGE = 3_000
REASONS = {"memory": "used up its memory", "processes": "started too many processes", "disk": "filled the disk"}
REASONS |= {"output": "wrote too much", "time": f"took longer than {LIMITS.seconds:g} s in all"}


class Foul(Exception):
    """What disqualifies a submission. The text says what it did."""


class Racer:
    """A running program. A context manager, which ends it and all that it started."""

    def __init__(self, sandbox, program, readable, limits=LIMITS):
        if os.name != "posix":
            raise ProjectError("submissions are measured on Linux and macOS only", "use WSL on Windows", code="sandbox")
        shown = {STADIUM: f"{SHOWN_AT}/stadium", **readable}
        command = [sys.executable, "-P", "-s", *program]
        self.process = sandbox.start(command, readable=shown, limits=limits)
        # an engine's containers are not below the process that asked for them
        self.is_watched = sys.platform == "linux" and sandbox.kind in ("bubblewrap", "none")
        self.pipe = Pipe(self.process.stdout.fileno(), self.process.stdin.fileno(), longest=MESSAGE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()

    def get_ready(self):
        """Wait until it can be asked. Raises Foul where it cannot."""
        ready, _, _ = select.select([self.pipe.reading], [], [], BUILD_SECONDS)
        if not ready:
            raise Foul(f"was not built within {BUILD_SECONDS} s")
        answer = self._receive()
        if answer[:1] == b"X":
            raise Foul(f"could not be built: {_text(answer)}")
        if answer != b"R":
            raise Foul("wrote to the pipe of whoever measures")

    def ask(self, frames, sizes):
        """(seconds, answers without their letters) of asking for each frame after the answer to the one before it.

        The clock starts before the first byte of the first frame is written, and stops when all of the last answer is
        here. sizes: bytes of each answer. Raises Foul for an answer that is none.
        """
        pipe, answers = self.pipe, []
        pipe.longest = max(MESSAGE, *sizes)
        try:
            start = time.perf_counter()
            for frame in frames:
                pipe.send(frame)
                answers.append(pipe.receive())
            seconds = time.perf_counter() - start
        except (Closed, Unreadable) as error:
            raise self._fault(error) from None
        for answer in answers:
            if answer[:1] != b"L":
                raise Foul(f"failed in a call: {_text(answer)}" if answer[:1] == b"X" else "answered what is no answer")
        if pipe.buffer or select.select([pipe.reading], [], [], 0)[0]:
            raise Foul("answered more often than it was asked")
        return seconds, [answer[1:] for answer in answers]

    def processor_seconds(self):
        """What it has used of the processor with all that it started; None where the machine does not say."""
        pids = proc.tree(self.process.pid) if self.is_watched else {}
        return proc.processor_seconds(pids) if pids else None

    def _receive(self):
        try:
            return self.pipe.receive()
        except (Closed, Unreadable) as error:
            raise self._fault(error) from None

    def _fault(self, error):
        if isinstance(error, Unreadable):
            return Foul(f"answered with {error}")
        with contextlib.suppress(TimeoutError):
            self.process.wait(1)
        self.process.kill()
        reason = self.process.reason()
        said = (self.process.errors().strip().splitlines() or [""])[-1][:200]
        return Foul("ended: " + (REASONS.get(reason) or "; ".join(filter(None, [reason, said])) or "by itself"))


def contestant(sandbox, handed, folder):
    """A Racer with what was handed in, whose files lie in `folder`."""
    program = [f"{SHOWN_AT}/stadium/contestant.py", f"{SHOWN_AT}/package", f"{SHOWN_AT}/entry", handed.module]
    return Racer(sandbox, program, {handed.package: f"{SHOWN_AT}/package", folder: f"{SHOWN_AT}/entry"})


def yardstick(sandbox, quality, folder=YARDSTICKS):
    """A Racer with the reference of divisions whose floor is of this `quality`. Raises ProjectError."""
    name = "lenet5.npz" if quality == "accuracy" else "gpt.npz"
    path = folder / name
    if not path.is_file():
        message = f"the reference cannot be loaded: {path} does not exist"
        raise ProjectError(message, "restore the file", code="reference")
    racer = Racer(sandbox, [f"{SHOWN_AT}/stadium/yardstick.py", f"{SHOWN_AT}/{name}"], {path: f"{SHOWN_AT}/{name}"})
    try:
        racer.get_ready()
    except Foul as foul:
        racer.process.kill()
        raise ProjectError(f"the reference {path} {foul}", "restore the file", code="reference") from None
    return racer


def sizes_of(frames, track):
    return [tracks.answers_size(frame, track) for frame in frames]


def _text(answer):
    return "".join(part if part.isprintable() else " " for part in answer[1:].decode("utf-8", "replace"))
