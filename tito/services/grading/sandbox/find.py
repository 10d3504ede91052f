"""Sandboxes: where a submission, which is an untrusted program, runs.

`find` says which kind this machine has, found out by running it: bubblewrap, a Docker or Podman engine, or none.
`Sandbox.start` runs a program in a new one: no network, an empty environment, an unprivileged user, the interpreter
read-only and nothing else of the host, one writable folder in memory, and limits that hold for all that it starts.
What was started ends with the sandbox, and the sandbox ends with tito, also where tito is killed.

`in_container` is for a container that somebody else made for one submission, and that is thrown away: where that
forbids namespaces, the program runs as a second user, who may read what everybody may read there.

Only bubblewrap and the second user were tested against programs that try to get out. Of Docker and Podman only the
command line was.
"""

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from tito.errors import ProjectError, TitoError
from tito.services.grading.sandbox import bubblewrap, containers, plain, second_user
from tito.services.grading.sandbox.process import start_process

MIB = 2**20
PROBE_SECONDS = 30
# what the sandbox has to be able to do: find the course's packages, start a thread, write into its folder
PROBE = """
import importlib.util, json, os, threading
thread = threading.Thread(target=int)
thread.start()
thread.join()
open("probe", "w").close()
print(json.dumps({"numpy": importlib.util.find_spec("numpy") is not None, "user": os.getuid()}))
"""


@dataclass(frozen=True)
class Limits:
    """For all that one sandbox starts, together: seconds by the clock, bytes of memory, processes and threads.

    files: open files of a process. disk: bytes in the writable folder, and in one file. output: bytes that it may
    write to stderr before it is ended.
    """

    seconds: float = 300
    memory: int = 2048 * MIB
    processes: int = 64
    files: int = 256
    disk: int = 256 * MIB
    output: int = 10 * MIB


@dataclass(frozen=True)
class Sandbox:
    """A way to run untrusted programs. kind: "bubblewrap", "docker", "podman", "second user" or "none".

    detail: why it is not a better one, or what it lacks; "" where there is nothing to say.
    """

    kind: str
    detail: str = ""
    maker: object = field(default=None, repr=False)

    def start(self, program, *, readable=None, limits=None, environment=None):
        """Start `program` (a list, the first entry sys.executable) in a new sandbox and return its Process.

        readable: {path outside: path inside}, visible read-only. environment: variables besides PATH, HOME and the
        few others that are set. The working folder inside is writable, /work; HOME and /tmp are, too.
        Where nothing isolates, there are no paths "inside": arguments and variables that name one are rewritten, so a
        program should learn its paths from them.
        Raises ProjectError where the sandbox does not start.
        """
        limits = limits or Limits()
        readable = {str(Path(outside).resolve()): inside for outside, inside in (readable or {}).items()}
        for outside in readable:
            if not Path(outside).exists():
                raise ProjectError(f"the sandbox is to show {outside}, which is not there", code="sandbox")
        return start_process(self.maker.prepare(list(program), readable, limits, environment or {}), limits)


_found = {}


def find(project=None, allow_none=False, build=True):
    """The sandbox of this machine, found out by running a program in it, once for each project and tito process.

    build: make the image that Docker or Podman needs where it is not there yet (minutes, with the network).
    Raises ProjectError (code "not-isolated") where there is none, unless allow_none.
    """
    root = project.root if project else None
    key = (root, build)
    if key not in _found:
        _found[key] = _search(_makers(root, build))
    found = _found[key]
    if found.kind == "none" and not allow_none:
        raise ProjectError(f"not isolated: {found.detail}", installation(), code="not-isolated")
    return found


def in_container():
    """The sandbox of a container that holds one submission and nothing that everybody may read but should not.

    Raises ProjectError (code "not-isolated") where there is none.
    """
    makers = [(kind, make) for kind, make in _makers(None, build=False) if kind == "bubblewrap"]
    found = _search([*makers, (second_user.KIND, second_user.make)])
    if found.kind == "none":
        raise ProjectError(f"not isolated: {found.detail}", "run it as root", code="not-isolated")
    return found


def installation():
    """The command that gives this machine a sandbox."""
    if sys.platform == "darwin":
        return "brew install --cask docker   (and start Docker)"
    if sys.platform == "win32":
        return "winget install Docker.DockerDesktop   (and start Docker)"
    if bubblewrap.forbidden_by_apparmor():
        return bubblewrap.APPARMOR_FIX
    return "sudo apt-get install bubblewrap   (or your distribution's command for it), or install Docker"


def _search(makers):
    """The first of `makers`, pairs (kind, function that returns a maker or None), that runs a program."""
    reasons = []
    for kind, make in makers:
        try:
            maker = make()
            if maker is not None:
                found = _proven(Sandbox(kind, "; ".join(dict.fromkeys(reasons)), maker))
                lacks = getattr(maker, "lacks", "")
                return replace(found, detail="; ".join(filter(None, (found.detail, lacks))))
        except (TitoError, OSError) as error:
            reasons.append(f"{kind}: {getattr(error, 'message', error)}")
    detail = "; ".join(dict.fromkeys(reasons)) or "neither bubblewrap nor Docker nor Podman is installed"
    return Sandbox("none", detail, plain.Plain())


def _makers(root, build):
    """(kind, function that returns a maker, None where that is not installed), the best first."""
    for count_processes in (True, False):  # old kernels count all processes of the user against a sandbox's limit
        yield "bubblewrap", lambda count=count_processes: bubblewrap.make(root, count)
    for engine in ("docker", "podman"):
        yield engine, lambda engine=engine: containers.make(engine, build)


def _proven(sandbox):
    """`sandbox`, after a program ran in it. Raises ProjectError with what went wrong."""
    if not getattr(sandbox.maker, "ready", True):
        return sandbox
    limits = Limits(seconds=PROBE_SECONDS, memory=512 * MIB, disk=16 * MIB)
    with sandbox.start([sys.executable, "-P", "-s", "-c", PROBE], limits=limits) as process:
        said = process.stdout.read()
        process.wait()
    try:
        answer = json.loads(said)
    except ValueError:
        lines = process.errors().strip().splitlines() or [process.reason() or "it says nothing"]
        raise ProjectError(f"does not run here: {lines[-1][:300]}") from None
    if not answer["numpy"]:
        raise ProjectError("NumPy is not installed where the sandbox can see it: use a virtual environment")
    if answer["user"] == 0:
        raise ProjectError("it runs programs as root")
    return sandbox
