"""A container as Gradescope starts one: root with Docker's few capabilities, no namespaces to make, `/autograder`.

Made with bubblewrap by real root, so that the root in it may become other users, as in Docker.
"""

import errno
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tito.services.grading.sandbox import syscalls

ROOT = Path(__file__).resolve().parents[2]
HOME = "/opt/tinytorch"  # where setup.sh puts the environment
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# what Docker leaves to root
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_RAW", "SETGID", "SETPCAP", "SETUID")
FORBIDDEN = {"x86_64": (272, 165, 308, 435), "aarch64": (97, 40, 268, 435)}  # unshare, mount, setns, clone3

possible = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("bwrap") or platform.machine() not in FORBIDDEN,
    reason="only root can make a container in which root becomes somebody else",
)


def no_namespaces():
    """A filter as Docker's: what would make a namespace is refused, everything else allowed."""
    machine = platform.machine()
    program = [(syscalls.LOAD, 0, 0, syscalls.NUMBER)]
    for number in FORBIDDEN[machine]:
        refusal = errno.ENOSYS if number == syscalls.CLONE3 else errno.EPERM
        program += [(syscalls.IS_EQUAL, 0, 1, number), (syscalls.RETURN, 0, 0, 0x00050000 | refusal)]
    clone = syscalls.ALLOWED["clone"][syscalls.AUDIT[machine][0]]
    program += [(syscalls.IS_EQUAL, 0, 3, clone), (syscalls.LOAD, 0, 0, syscalls.FIRST)]
    program += [(syscalls.HAS_BITS, 0, 1, syscalls.NEW_NAMESPACES), (syscalls.RETURN, 0, 0, 0x00050000 | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *one) for one in [*program, syscalls.ALLOW])


def command(autograder, descriptor, *, image=sys.prefix, results_bytes=None):
    """The start of a command line that runs the rest in a container whose /autograder is the folder `autograder`.

    image: the environment that setup.sh made. results_bytes: the size of a disk of its own below /autograder/results,
    empty at first and gone afterwards.
    """
    made = [*_bwrap(), "--unshare-net", "--ro-bind", "/usr", "/usr"]
    for path in map(Path, ("/bin", "/sbin", "/lib", "/lib64")):
        made += _shown(path)
    base = Path(sys.base_prefix)
    ways = [] if base.is_relative_to("/usr") else [str(one) for one in [*base.parents][::-1][1:]]
    for folder in ("/etc", "/run", "/var", "/opt", *ways):
        made += ["--perms", "0755", "--dir", folder]
    made += ["--chmod", "1777", "/dev/shm"]
    for folder in ("/tmp", "/var/tmp"):
        made += ["--perms", "1777", "--tmpfs", folder]
    made += _shown(base) if ways else []
    made += ["--ro-bind", str(image), HOME, "--bind", str(autograder), "/autograder", "--chdir", "/autograder"]
    if results_bytes:
        made += ["--size", str(results_bytes), "--tmpfs", "/autograder/results"]
    return [*made, "--clearenv", "--setenv", "HOME", "/root", "--setenv", "PATH", PATH, "--seccomp", str(descriptor)]


def _bwrap():
    made = ["bwrap", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL"]
    for name in CAPABILITIES:
        made += ["--cap-add", f"CAP_{name}"]
    return [*made, "--proc", "/proc", "--dev", "/dev"]


def _shown(path):
    """`path` of this machine as it is, read-only."""
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []


def run(autograder, *program, timeout=300, **options):
    """Run `program` in such a container; a CompletedProcess with texts."""
    with tempfile.TemporaryFile() as file:
        file.write(no_namespaces())
        file.seek(0)
        line = [*command(autograder, file.fileno(), **options), "--", *program]
        return subprocess.run(
            line, pass_fds=[file.fileno()], capture_output=True, text=True, timeout=timeout, check=False
        )


def build(autograder, image, *, timeout=900):
    """Run setup.sh, with this machine's files, its network and its pip; the environment goes to the folder `image`."""
    made = _bwrap()
    others = [path for path in sorted(Path("/").iterdir()) if path.name not in ("proc", "dev", "tmp", "opt")]
    for path in [*others, *(Path("/opt").iterdir() if Path("/opt").is_dir() else ())]:
        made += _shown(path)
    made += ["--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/var/tmp"]
    made += ["--bind", str(image), HOME, "--bind", str(autograder), "/autograder"]
    environment = {**os.environ, "PATH": f"{sys.base_prefix}/bin:{PATH}"}
    command = [*made, "--", "/autograder/source/setup.sh"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
