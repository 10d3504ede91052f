"""A second user in a container that is made for one submission, where namespaces are forbidden.

Root starts each program as a user that nothing else runs as and nothing belongs to but one folder. What is left of a
sandbox: limits, the filter of system calls, which makes no socket, and an end that reaches every process of that user.
What is missing: it sees the files that everybody may read, and the numbers and command lines of all processes. So
whoever asks for it closes first what a submission must not read, and what it must not write.
"""

import atexit
import itertools
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tito.errors import ProjectError
from tito.services.grading.sandbox import proc
from tito.services.grading.sandbox.plain import base_environment, limited, outside
from tito.services.grading.sandbox.process import END_SECONDS, MOST_FILES, Prepared, file_with
from tito.services.grading.sandbox.syscalls import filter_program

KIND = "second user"
LACKS = (
    "no namespaces: an unprivileged user of its own, limits and a filter of system calls; it may read what everybody "
    "may read here"
)
CONFINE = Path(__file__).resolve().with_name("confine.py")
USERS = range(40_000, 60_000)  # where no distribution has users
FOLDERS = {"work": "/work", "home": "/home/student", "tmp": "/tmp"}
SPARE = 64 * 2**20  # bytes of the disk that are left to whoever grades
DEEPEST = 100  # folders in folders: what tidies up has to follow them


def make():
    """A maker of sandboxes for one container; None where there are no users of this kind."""
    if sys.platform != "linux":
        return None
    if os.geteuid() != 0:
        raise ProjectError("only root can become another user")
    if not filter_program(network=False):
        raise ProjectError("no filter of system calls for this processor")
    return SecondUser()


class SecondUser:
    lacks = LACKS

    def __init__(self):
        self.filter = filter_program(network=False)
        self.base = Path(tempfile.mkdtemp(prefix="tito-second-user-"))
        self.base.chmod(0o711)
        atexit.register(shutil.rmtree, self.base, ignore_errors=True)
        self.shown, self.lock = {}, threading.Lock()
        self.numbers = itertools.count(random.randrange(len(USERS)))

    def prepare(self, program, readable, limits, environment):
        try:
            return self._prepare(program, readable, limits, environment)
        except OSError as error:
            raise ProjectError(f"a second user cannot be set up: {error}", code="sandbox") from error

    def _prepare(self, program, readable, limits, environment):
        paths = {inside: self._copied(path) for path, inside in readable.items()}
        user, scratch = self._free_user(), Path(tempfile.mkdtemp(dir=self.base))
        scratch.chmod(0o711)
        for name, inside in FOLDERS.items():
            folder = scratch / name
            folder.mkdir(mode=0o700)
            os.chown(folder, user, user)
            paths[inside] = str(folder)
        variables = {**base_environment(), **environment}
        python, *arguments = program
        program = [python, *(outside(part, paths) for part in arguments)]
        descriptor = file_with(self.filter)
        command = [sys.executable, "-I", "-S", str(CONFINE), str(user), str(descriptor)]
        least = min(SPARE, shutil.disk_usage(scratch).free // 2)
        return Prepared(
            command=[*command, *limited(program, limits, count_processes=True)],
            cwd=paths["/work"],
            environment={name: outside(value, paths) for name, value in variables.items()},
            descriptors=(descriptor,),
            own_group=True,
            end=lambda: _end(user, scratch),
            killed_is_memory=True,
            user=user,
            storage=lambda: shutil.disk_usage(scratch).free < least or _is_full(scratch, limits.disk),
        )

    def _copied(self, path):
        """A copy of what is at `path`, made once, that everybody may read and nobody but root may write."""
        with self.lock:
            if path not in self.shown:
                target = self.base / f"shown-{len(self.shown)}"
                if Path(path).is_dir():
                    shutil.copytree(path, target)
                else:
                    shutil.copyfile(path, target)
                for one in (target, *target.rglob("*")):
                    one.chmod(0o755 if one.is_dir() else 0o644)
                self.shown[path] = str(target)
            return self.shown[path]

    def _free_user(self):
        """The number of a user that nothing runs as. None is used twice: what one left behind reaches no other."""
        with self.lock:
            for number in itertools.islice(self.numbers, len(USERS)):
                user = USERS[number % len(USERS)]
                if not proc.of_user(user):
                    return user
        raise ProjectError("no user is free")


def _end(user, scratch):
    """End all processes of `user` and remove its folder."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        # the kernel signals all of them at once: none can start another one in between
        command = ["/bin/sh", "-c", "kill -KILL -1"]
        subprocess.run(command, user=user, group=user, extra_groups=[], env={}, capture_output=True, check=False)
        if not proc.wait_until_gone(proc.of_user(user), 1):
            break
    subprocess.run(["rm", "-rf", "--one-file-system", str(scratch)], capture_output=True, check=False)


def _is_full(scratch, most):
    """Whether what lies below `scratch` takes more than `most` bytes, or is more than can be looked through."""
    size = files = 0
    waiting = [(scratch, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    size, files = size + found.st_blocks * 512, files + 1
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append((entry.path, depth + 1))
                    if size > most or files > MOST_FILES or depth > DEEPEST:
                        return True
        except FileNotFoundError:
            continue
        except OSError:  # a path too long to be followed
            return True
    return False
