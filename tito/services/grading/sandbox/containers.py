"""Sandboxes made with Docker or Podman, for macOS and Windows and for a Linux that forbids bubblewrap.

Only the command lines are tested, with a stand-in for the engine: no test starts a container.
"""

import csv
import io
import os
import shutil
import subprocess
import sys
import uuid
from importlib import metadata
from pathlib import Path

from tito.errors import ProjectError
from tito.services.files import digest
from tito.services.grading.sandbox.plain import base_environment, limited
from tito.services.grading.sandbox.process import Prepared

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "grading.Dockerfile"
PACKAGES = ("numpy", "ipython", "matplotlib", "matplotlib-inline", "scikit-learn")
ANSWER_SECONDS = 20
BUILD_SECONDS = 1800
SHARED_MEMORY = 64 * 2**20
NOBODY = "65534:65534"
UNTESTED = "only its command line is tested, no container was ever started by a test"


def make(engine, build):
    """A maker of containers; None where `engine` ("docker" or "podman") is not installed."""
    command = shutil.which(engine)
    if command is None:
        return None
    if _run([command, "info"], ANSWER_SECONDS).returncode != 0:
        raise ProjectError(f"it is installed, but does not answer (start it; {engine} info says why)")
    maker = Engine(engine, command)
    if build:
        maker.build()
    return maker


def _run(command, seconds, text=None):
    try:
        return subprocess.run(
            command,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(f"{Path(command[0]).name} does not answer: {error}") from error


def dockerfile():
    """The text of the image: this Python's version, and the installed versions of what notebooks import."""
    wanted = []
    for name in PACKAGES:
        try:
            wanted.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return TEMPLATE.read_text(encoding="utf-8").format(python=python, packages=" ".join(wanted))


class Engine:
    lacks = UNTESTED

    def __init__(self, engine, command):
        self.engine, self.command = engine, command
        self.text = dockerfile()
        self.image = f"tito-grading:{digest(self.text.encode('utf-8'))[:16]}"

    @property
    def ready(self):
        """Whether the image is there."""
        return _run([self.command, "image", "inspect", self.image], ANSWER_SECONDS).returncode == 0

    def build(self):
        """Make the image where it is not there."""
        if self.ready:
            return
        done = _run([self.command, "build", "--tag", self.image, "-"], BUILD_SECONDS, text=self.text)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ProjectError(f"the image for grading cannot be built: {last[:300]}")

    def prepare(self, program, readable, limits, environment):
        name = f"tito-{uuid.uuid4().hex}"
        return Prepared(
            command=[self.command, *self.arguments(name, program, readable, limits, environment)],
            environment=dict(os.environ),  # the engine's own program needs it; nothing of it reaches the container
            end=lambda: _run([self.command, "rm", "--force", name], ANSWER_SECONDS),
            watched=False,
            killed_is_memory=True,
        )

    def arguments(self, name, program, readable, limits, environment):
        """The command line, without the name of the engine's program."""
        memory = str(limits.memory)
        arguments = ["run", "--rm", "--interactive", "--name", name, "--pull", "never", "--network", "none"]
        arguments += ["--read-only", "--user", self._user(), "--cap-drop", "ALL", "--ipc", "private"]
        arguments += ["--security-opt", "no-new-privileges", "--hostname", "sandbox", "--log-driver", "none"]
        arguments += ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes + 8)]
        arguments += ["--shm-size", str(SHARED_MEMORY), "--workdir", "/work", "--entrypoint", "timeout"]
        for folder, size in (("/work", limits.disk), ("/tmp", limits.disk), ("/home/student", SHARED_MEMORY)):
            arguments += ["--tmpfs", f"{folder}:rw,nosuid,nodev,mode=1777,size={size}"]
        if self.engine == "podman":  # where SELinux would keep the container from what is bound
            arguments += ["--security-opt", "label=disable"]
        for source, target in readable.items():
            arguments += ["--mount", _mount(source, target)]
        for variable, value in {**base_environment(), **environment}.items():
            arguments += ["--env", f"{variable}={value}"]
        if program[0] == sys.executable:  # the container has a Python of its own
            program = ["python3", *program[1:]]
        # the first process of the container: with it everything ends, also where tito was killed
        seconds = f"{limits.seconds + 5:g}"
        return [*arguments, self.image, "--signal=KILL", seconds, *limited(program, limits, count_processes=False)]

    @staticmethod
    def _user():
        """On Linux the user of tito, who can read what is shown; elsewhere the engine's machine sees to that."""
        if sys.platform != "linux" or os.getuid() == 0:
            return NOBODY
        return f"{os.getuid()}:{os.getgid()}"


def _mount(source, target):
    """One --mount value. The engines read it as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["type=bind", f"source={source}", f"target={target}", "readonly"])
    return text.getvalue()
