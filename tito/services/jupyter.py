"""Opens a notebook: in JupyterLab, whose root is the project and of which one runs, or in another editor."""

import contextlib
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tito.errors import ProjectError, UsageError, machine_problem
from tito.services import views

USUAL_PORT = 8888
START_SECONDS = 120
ANSWER_SECONDS = 3
STOP_SECONDS = 15
CONFIGURATION = Path(__file__).resolve().parents[1] / "jupyter"
WITH_FOLDER = {"code", "code-insiders", "codium", "cursor"}  # these take a folder to open the file in
LOG_PREFIX = re.compile(r"^\[\w [^]]*\] *")
SYSTEM_ERROR = re.compile(r"\[Errno (?P<number>\d+)\][^:]*(?:: '(?P<path>[^']+)')?$")
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@dataclass(frozen=True)
class Server:
    """A JupyterLab that runs. token: what lets one in; "" where it asks for a password or for nothing."""

    url: str
    token: str
    port: int

    def address(self, project, path):
        """The address that opens the file `path` of the project."""
        query = f"?token={self.token}" if self.token else ""
        return f"{self.url}lab/tree/{quote(project.relative(path))}{query}"


def running(project):
    """The JupyterLab that serves `project` from its root, whoever started it, or None."""
    from jupyter_server.serverapp import list_running_servers

    with contextlib.suppress(OSError):
        for found in sorted(list_running_servers(), key=lambda info: info.get("port", 0)):
            if _is_same(found.get("root_dir"), project.root) and _answers(found):
                return Server(found["url"], found["token"], found["port"])
    return None


def _is_same(folder, root):
    try:
        return Path(folder or "").samefile(root)
    except OSError:
        return False


def _answers(found):
    """Whether the server is there and has a JupyterLab: another program may have its port, or its number, by now."""
    request = urllib.request.Request(f"{found['url']}lab", headers={"Authorization": f"token {found['token']}"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError:
        return False
    except (OSError, ValueError):
        # nobody vouches for a certificate of one's own
        return bool(found.get("secure"))


class Lab:
    """A JupyterLab that this process started, and ends."""

    def __init__(self, process, server, log):
        self.process, self.server, self.log = process, server, log

    def wait(self, on_interrupt):
        """Until JupyterLab ends, by its own menu or by a second Ctrl-C. on_interrupt(): called at the first one.

        Raises ProjectError where it ended otherwise. What ends this process (a closed terminal) ends it as well.
        """
        interrupts = 0
        try:
            with _ending_by_signal():
                while self.process.poll() is None:
                    try:
                        self.process.wait()
                    except KeyboardInterrupt:
                        interrupts += 1
                        if interrupts > 1:
                            return
                        on_interrupt()
        except _Ended:
            return
        finally:
            _stop(self.process)
        if self.process.returncode != 0:
            raise _failure(self.process, self.log)


class _Ended(Exception):
    """This process was told to end."""


@contextlib.contextmanager
def _ending_by_signal():
    def end(*_):
        raise _Ended

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def launch(project, *, port=None):
    """Start a JupyterLab for `project` and return it, as a Lab, once it answers.

    Its output goes to .tito/jupyter.log. Raises ProjectError where it is not installed, a given port is taken, or it
    ends before it answers.
    """
    if find_spec("jupyterlab") is None:
        raise ProjectError("JupyterLab is not installed here", "pip install -e .", code="no-jupyterlab")
    if port and is_taken(port):
        raise ProjectError(
            f"port {port} is taken by another program", "leave out --port to get a free one", code="port"
        )
    views.check_child(project.root)
    log = project.state / "jupyter.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(project, port),
            cwd=project.root,
            env=_environment(project),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for tito: JupyterLab would ask its question in the log
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    try:
        return Lab(process, _wait_for(project, process, log), log)
    except BaseException:
        _stop(process)
        raise


def _command(project, port):
    command = [
        sys.executable,
        "-m",
        "tito.services.lab",
        "--no-browser",
        f"--ServerApp.root_dir={project.root}",
        # what was open the last time, here: JupyterLab's own place for it knows paths below other roots
        f"--LabApp.workspaces_dir={project.state / 'jupyter'}",
        f"--LabApp.custom_css={not project.is_course}",
    ]
    if port:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if is_root():
        command.append("--allow-root")
    return command


def _environment(project):
    environment = views.child_environment(project.root, is_view=False)
    if not project.is_course:  # an instructor's keeps nbgrader's panels
        earlier = environment.get("JUPYTER_CONFIG_PATH")
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join([str(CONFIGURATION), *([earlier] if earlier else [])])
    return environment


def _wait_for(project, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failure(process, log)
        if server := running(project):
            return server
        time.sleep(0.2)
    raise ProjectError(
        f"JupyterLab did not answer within {START_SECONDS} seconds; its log is {log}", "tito doctor", code="jupyterlab"
    )


def _failure(process, log):
    """JupyterLab ended by itself: with the last line of its log, where that says why."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    reason = LOG_PREFIX.sub("", lines[-1]) if lines else f"exit code {process.returncode}, and not a word in {log}"
    hint = f"read {log}; another editor: tito module view M --editor code"
    if found := SYSTEM_ERROR.search(reason):
        problem = machine_problem(OSError(int(found["number"]), "", found["path"]))
        reason, hint = problem or (reason, hint)
    return ProjectError(f"JupyterLab does not run: {reason}", hint, code="jupyterlab")


def _stop(process):
    """End the server and its kernels."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0


def is_taken(port):
    with socket.socket() as probe:
        if os.name != "nt":  # a port that was in use a moment ago is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


# A browser.


def no_browser():
    """Why no browser can be opened here, "" where one can."""
    import webbrowser

    if sys.platform not in ("win32", "darwin") and not _in_wsl() and not any(map(os.environ.get, DISPLAYS)):
        return "no display here"
    try:
        webbrowser.get()
    except webbrowser.Error:
        return "no browser found here"
    return ""


def tunnel(server):
    """The command that brings the server of this machine to the one from which its user came by SSH, or ""."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) != 4:
        return ""
    import getpass

    return f"ssh -N -L {server.port}:localhost:{server.port} {getpass.getuser()}@{connection[2]}"


def browse(project, address):
    """Open `address` in the user's browser, by way of a page that only the user can read.

    Others on the machine can read the command line of a browser, and the address lets one in.
    """
    if not _in_wsl():  # there the browser is a program of Windows, which cannot read the page
        page = project.state / "jupyter-open.html"
        page.unlink(missing_ok=True)
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(
                f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={address}">'
                f'<title>JupyterLab</title><p><a href="{address}">the notebook</a></p>\n'
            )
        address = page.as_uri()
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen([sys.executable, "-m", "webbrowser", address], **quiet, start_new_session=os.name != "nt")


def _in_wsl():
    return "microsoft" in platform.release().lower()


# Other editors.


def edit(project, path, editor):
    """Open `path` with the command `editor`, and wait for it where it waits for its user."""
    words = shlex.split(editor, posix=os.name != "nt")
    program = shutil.which(words[0]) if words else None
    if program is None:
        hint = "in VS Code, choose in the command palette: Shell Command: Install 'code' command in PATH"
        if not words or words[0] != "code":
            hint = "name a command that opens a file, for example: --editor code"
        raise UsageError(f"there is no command {editor!r} here", hint, code="no-editor")
    folder = [str(project.root)] if Path(program).stem in WITH_FOLDER else []
    environment = views.child_environment(project.root, is_view=False)
    child = subprocess.run([program, *words[1:], *folder, str(path)], cwd=project.root, env=environment)
    if child.returncode != 0:
        raise ProjectError(
            f"{editor} ended with exit code {child.returncode}", f"open {path} in the editor itself", code="editor"
        )
