"""Runs nbgrader's own formgrader, for what a person grades: a Jupyter server for this run only."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services.grading.book.course import require_course
from tito.services.grading.book.database import GRADEBOOK

EXTENSION = "tito.services.grading.formgrade_server"
PAGE = "/formgrader/gradebook"  # manual grading: of what the other page offers, most is tito's
FIRST_PORT = 8888
PORTS = 50


@dataclass(frozen=True)
class Formgrader:
    """A formgrader to run. url: its page, with the token that lets one in."""

    url: str
    command: list
    folder: object
    environment: dict


def server(project, *, port=None, open_browser=True):
    """The formgrader of this course. Raises ProjectError where there is nothing to grade or no port is free."""
    course = require_course(project)
    if not course.database.exists():
        raise ProjectError(
            "nothing is graded yet: there is no gradebook", "tito grade autograde M", code="no-gradebook"
        )
    with course.open_gradebook():  # or says what is wrong with it, before nbgrader writes into it
        pass
    port = _free_port(port)
    token = secrets.token_urlsafe(24)
    command = [
        sys.executable,
        "-m",
        EXTENSION,
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={course.root}",
        f"--ServerApp.open_browser={open_browser}",
        f"--ServerApp.default_url={PAGE}",
        # whoever types Ctrl-C wants it to end
        "--ServerApp.answer_yes=True",
        f"--ServerApp.allow_root={hasattr(os, 'geteuid') and os.geteuid() == 0}",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(project.root),
        "PYTHONUTF8": "1",
        # by the environment, because others on the machine can read a command line
        "JUPYTER_TOKEN": token,
        GRADEBOOK: course.database.url,
        # the user's own extensions are no part of this
        "JUPYTER_NO_CONFIG": "1",
    }
    return Formgrader(f"http://127.0.0.1:{port}{PAGE}?token={token}", command, course.root, environment)


def run(found):
    """Run the server until the user ends it. Its output goes to stderr."""
    child = subprocess.Popen(found.command, cwd=found.folder, env=found.environment, stdout=sys.stderr.fileno())
    while child.returncode is None:
        with contextlib.suppress(KeyboardInterrupt):
            child.wait()
    if child.returncode != 0:
        reason = f"the formgrader ended with exit code {child.returncode}"
        raise ProjectError(reason, "tito doctor", code="formgrade")


def _free_port(wanted):
    for port in [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + PORTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ProjectError(f"port {wanted or FIRST_PORT} is taken", "name another one: --port N", code="port")
