"""Sandboxes made with bubblewrap: Linux namespaces, without a daemon and without being root.

Where tito itself runs as root, the sandbox is started as the user 65534 ("nobody"): limits on processes do not hold
for root. What that user may not look at (an interpreter below /root, a view that only its owner may read) is first
bound or copied to a place where it may, in a mount namespace that nobody else sees.
"""

import os
import shutil
import stat
import sys
from functools import cache
from pathlib import Path

from tito.errors import ProjectError
from tito.services.grading.sandbox.interpreter import interpreter
from tito.services.grading.sandbox.plain import base_environment, limited
from tito.services.grading.sandbox.process import Prepared, file_with
from tito.services.grading.sandbox.syscalls import filter_program

NOBODY = "65534"
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")  # not /dev/zero: mapped, it is memory that no process owns
SMALL = 64 * 2**20
STAGES = Path("/run/tito-stage")
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
APPARMOR_FIX = (
    "let bubblewrap make user namespaces: write  abi <abi/4.0>, include <tunables/global> "
    "profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }  to /etc/apparmor.d/bwrap, "
    "then: sudo systemctl reload apparmor"
)
WRITABLE = ("/tmp", "/home/student", "/work")
# As root: make what NOBODY may not reach reachable below $1, then become NOBODY.
STAGE = """
stage=$1; shift
mount -t tmpfs -o mode=755 tito "$stage" || exit 1
while [ "$1" != -- ]; do
  if [ "$1" = copy ]; then
    cp -RL -- "$2" "$stage/$3" && chmod -R a+rX "$stage/$3" || exit 1
  else
    if [ -d "$2" ]; then mkdir "$stage/$3"; else : > "$stage/$3"; fi
    mount --rbind "$2" "$stage/$3" || exit 1
  fi
  shift 3
done
shift
exec "$@"
"""


def forbidden_by_apparmor():
    """Whether this system (Ubuntu 24.04 and later) keeps programs from making user namespaces."""
    try:
        return shutil.which("bwrap") is not None and APPARMOR.read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):
        return False


def make(root, count_processes):
    """A maker of sandboxes for the project at `root`; None where bubblewrap is not installed."""
    bwrap = shutil.which("bwrap") if sys.platform == "linux" else None
    return Bubblewrap(bwrap, root, count_processes) if bwrap else None


class Bubblewrap:
    def __init__(self, bwrap, root, count_processes):
        self.bwrap, self.count_processes = bwrap, count_processes
        self.root = Path(root).resolve() if root else None
        self.filter = filter_program()
        self.binds, self.links, self.masks = interpreter(self.root)
        missing = [] if self.filter else ["no filter of system calls for this processor"]
        missing += [] if count_processes else ["the kernel does not limit processes, tito does"]
        self.lacks = "; ".join(missing)
        self.is_root = os.geteuid() == 0
        if self.is_root:
            self.tools = {name: _tool(name) for name in ("setpriv", "unshare", "mount", "cp", "chmod")}

    def prepare(self, program, readable, limits, environment):
        staged = []
        binds = [self._reachable(source, target, staged, copied=False) for source, target in self.binds]
        shown = [self._reachable(source, target, staged, copied=True) for source, target in readable.items()]
        reading, writing = os.pipe()
        arguments = [*self._arguments(binds, shown, limits, environment), "--info-fd", str(writing)]
        descriptors = [writing]
        if self.filter:
            descriptors.append(file_with(self.filter))
            arguments += ["--seccomp", str(descriptors[-1])]
        # not on the command line: the first process in the sandbox has the same one, for everybody to read
        descriptors.append(file_with(b"".join(part.encode() + b"\0" for part in arguments)))
        command = [self.bwrap, "--args", str(descriptors[-1]), "--", *limited(program, limits, self.count_processes)]
        if self.is_root:
            command = self._as_nobody(command, staged)
        # bubblewrap's two processes, and the shell that sets the limits until it becomes the program
        return Prepared(
            command=command,
            descriptors=tuple(descriptors),
            information=reading,
            scaffolding=2,
        )

    def _arguments(self, binds, shown, limits, environment):
        disk = str(limits.disk)
        small = str(min(SMALL, limits.disk))
        arguments = ["--unshare-user", "--unshare-all", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY]
        arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        for name, value in {**base_environment(), **environment}.items():
            arguments += ["--setenv", name, value]
        for source, target in binds:
            arguments += ["--ro-bind", source, target]
        for target, link in self.links:
            arguments += ["--symlink", target, link]
        for folder in self.masks:
            arguments += ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
        arguments += ["--proc", "/proc", "--size", "65536", "--tmpfs", "/dev"]
        for device in DEVICES:
            arguments += ["--dev-bind", device, device]
        for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            arguments += ["--symlink", f"/proc/self/{target}", f"/dev/{link}"]
        arguments += ["--size", small, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
        arguments += ["--size", disk, "--perms", "1777", "--tmpfs", "/tmp", "--size", small, "--tmpfs", "/home/student"]
        arguments += ["--size", disk, "--tmpfs", "/work"]
        # after these: the interpreter, the view or the project may lie below one of them
        for source, target in [pair for pair in binds if _is_covered(pair[1])] + shown:
            arguments += ["--ro-bind", source, target]
        for folder in self.masks:
            if _is_covered(folder):
                arguments += ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
        return [*arguments, "--remount-ro", "/", "--chdir", "/work"]

    def _reachable(self, source, target, staged, *, copied):
        """(source, target), with the source where NOBODY can reach it; what has to be done for it goes to `staged`."""
        if not self.is_root:
            return source, target
        copied = copied and not _open_below(source)
        if _open_above(source) and not copied:
            return source, target
        name = str(len(staged))
        staged.append(("copy" if copied else "bind", source, name))
        return f"{_stage()}/{name}", target

    def _as_nobody(self, command, staged):
        setpriv = [self.tools["setpriv"], "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
        command = [*setpriv, *command]
        if not staged:
            return command
        unshare = [self.tools["unshare"], "--mount", "--propagation", "private"]
        shell = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c", STAGE, "stage", _stage()]
        return [*unshare, *shell, *[part for one in staged for part in one], "--", "/usr/bin/env", "-i", *command]


def _tool(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise ProjectError(f"{name} is not installed, which is needed where tito runs as root")
    return path


@cache
def _stage():
    """Where stages are mounted, each in a mount namespace of its own: for everybody else an empty folder of root's."""
    STAGES.mkdir(mode=0o755, exist_ok=True)
    found = STAGES.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0:
        raise ProjectError(f"{STAGES} is not root's folder")
    STAGES.chmod(0o755)
    return str(STAGES)


def _open_above(path):
    """Whether anybody may reach `path` and look at it."""
    path = Path(path).resolve()
    return _is_open(path) and all(_mode(parent) & stat.S_IXOTH for parent in path.parents)


def _open_below(path):
    """Whether anybody may read `path` and everything in it."""
    return _is_open(Path(path).resolve()) and all(_is_open(below) for below in Path(path).rglob("*"))


def _is_open(path):
    mode = _mode(path)
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return mode & wanted == wanted


def _mode(path):
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _is_covered(path):
    """Whether `path` lies in a folder that is a new one in the sandbox."""
    return any(Path(path).is_relative_to(folder) for folder in WRITABLE)
