"""A lock file that one process at a time holds, that says who does, and that no dead process can keep.

The operating system holds the lock and gives it back when the process ends, however it ends; the text in the file
is for people. Some network file systems have no locks: there the work goes on without one, with a warning.
"""

import errno
import json
import os
import socket
import sys
import time
import warnings
from contextlib import contextmanager
from datetime import datetime

from tito.errors import ProjectError, Warned

BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
# Windows locks bytes against reading too: a byte behind the text, so that the text stays readable
LOCKED_BYTE = 1 << 30
WAIT_SECONDS = 0.1


@contextmanager
def hold(path, doing, *, waiting=None):
    """Hold the lock file `path` while a block runs. doing: the command, for whoever finds it locked.

    Where another process holds it: calls waiting() once and waits, or, without `waiting`, raises ProjectError (code
    "locked").
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        state = _acquire(file)
        if state == "busy" and waiting is None:
            raise ProjectError(
                f"{_holder(file)} is at work in {path.parent.parent}; two at once would disturb each other",
                "wait until it has ended",
                code="locked",
            )
        if state == "busy":
            waiting()
        while state == "busy":
            time.sleep(WAIT_SECONDS)
            state = _acquire(file)
        if state == "no locks":
            warnings.warn(Warned(f"{path.parent} cannot be locked: start no second tito on it meanwhile"), stacklevel=3)
        try:
            _write(file, {"pid": os.getpid(), "host": socket.gethostname(), "doing": doing, "since": _now()})
            yield
        finally:
            _write(file, None)
            if state == "held":
                _release(file)


def _acquire(file):
    """Returns "held", "busy" where another process holds it, or "no locks" where the file system has none."""
    try:
        _lock(file)
    except OSError as error:
        return "busy" if error.errno in BUSY else "no locks"
    return "held"


def _now():
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _write(file, holder):
    file.seek(0)
    file.truncate()
    file.write(json.dumps(holder).encode("utf-8") if holder else b"")
    file.flush()


def _holder(file):
    """Who holds the lock, in words."""
    file.seek(0)
    try:
        holder = json.loads(file.read().decode("utf-8"))
        return f"{holder['doing']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return "another tito"


if sys.platform == "win32":
    import msvcrt

    def _lock(file):
        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _release(file):
        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(file):
        fcntl.flock(file, fcntl.LOCK_UN)
