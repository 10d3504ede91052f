"""One tito at a time in a course folder: a lock that says who holds it, and that no dead process can keep.

The operating system holds the lock and gives it back when the process ends, however it ends; the text in the file
is for people.
"""

import json
import os
import socket
import sys
from contextlib import contextmanager
from datetime import datetime

from tito.errors import ProjectError

# Windows locks bytes against reading too: a byte behind the text, so that the text stays readable
LOCKED_BYTE = 1 << 30


@contextmanager
def hold(path, doing):
    """Hold the lock file `path` while a block runs. doing: the command, for whoever finds it locked.

    Raises ProjectError (code "locked") where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not _acquire(file):
            raise ProjectError(
                f"{_holder(file)} is at work in {path.parent.parent}; two at once would disturb each other",
                "wait until it has ended",
                code="locked",
            )
        try:
            _write(file, {"pid": os.getpid(), "host": socket.gethostname(), "doing": doing, "since": _now()})
            yield
        finally:
            _write(file, None)
            _release(file)


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

    def _acquire(file):
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(file):
        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(file):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(file):
        fcntl.flock(file, fcntl.LOCK_UN)
