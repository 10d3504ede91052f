"""`tito module start` and `view`: a real JupyterLab with the workspace as its root, one for all modules."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal"),
    pytest.mark.xdist_group("jupyterlab"),
]

ADDRESS = re.compile(r"^    (?P<base>http://localhost:\d+/)lab/tree/(?P<path>\S+)\?token=(?P<token>\w+)$", re.MULTILINE)
SECONDS = 60


class Terminal:
    """tito as somebody in a terminal runs it, with a home of its own and no display."""

    def __init__(self, root, *args, home, **environment):
        import pty

        ours, theirs = pty.openpty()
        self.text, self._ours = "", ours
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tito", *args], cwd=root, env=person(root, home, **environment),
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(ours, False)

    def read(self):
        with contextlib.suppress(OSError):  # nothing now, or Linux's way of saying that the other end is closed
            while piece := os.read(self._ours, 4096):
                self.text += piece.decode("utf-8").replace("\r\n", "\n")
        return self.text

    def until(self, words):
        deadline = time.monotonic() + SECONDS
        while words not in self.read():
            assert time.monotonic() < deadline and self.process.poll() is None, self.text
            time.sleep(0.05)
        return self.text

    def press_ctrl_c(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """The exit code, once the process has ended."""
        code = self.process.wait(SECONDS)
        self.read()
        os.close(self._ours)
        return code


def person(root, home, **environment):
    hidden = ("JUPYTER", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION", "XDG_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**inherited, "PYTHONPATH": str(root), "HOME": str(home), "TERM": "xterm", "COLUMNS": "80", **environment}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def terminal(workspace, home):
    """terminal(*args, **environment): a Terminal in the workspace; what it started is gone after the test."""
    opened = []

    def open_one(*args, **environment):
        opened.append(Terminal(workspace.root, *args, home=home, **environment))
        return opened[-1]

    yield open_one
    for one in opened:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(SECONDS)


def get(url, token):
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode("utf-8")


def status(url, token):
    try:
        get(url, token)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def address(text):
    found = ADDRESS.findall(text)
    assert len(found) == 1, text
    return found[0]


def answers(base, token):
    try:
        return bool(get(f"{base}api/status", token))
    except OSError:
        return False


def test_one_jupyterlab_serves_the_workspace_and_opens_each_notebook(terminal, workspace, home):
    first = terminal("module", "start", "1")
    said = first.until("Ctrl-C twice")
    base, path, token = address(said)
    assert path == "modules/01_alpha/alpha_dev.ipynb"
    assert "no display here: open this address in a browser" in said
    assert "[I " not in said and "ServerApp" not in said, "the log is a file"
    assert "Serving notebooks from local directory" in (workspace.root / ".tito/jupyter.log").read_text("utf-8")
    assert json.loads(get(f"{base}api/contents/{path}?content=0", token))["path"] == path
    assert status(f"{base}api/contents/modules/README.md?content=0", token) == 200, "the root is the workspace"

    second = terminal("module", "view", "2")
    assert second.end() == 0, "it does not wait for a server that is another's"
    assert address(second.text) == (base, "modules/02_beta/beta_dev.ipynb", token)
    assert "running here already" in second.text

    first.press_ctrl_c()
    first.until("Save your notebooks")
    assert answers(base, token), "one Ctrl-C ends nothing"
    first.press_ctrl_c()
    assert first.end() == 0
    assert not answers(base, token)
    assert not any((home / ".jupyter").rglob("*.json")), "the user's configuration is not ours"


def test_a_students_jupyterlab_lacks_the_instructors_panels_and_shows_whose_a_cell_is(terminal):
    lab = terminal("module", "start", "1")
    base, _, token = address(lab.until("Ctrl-C twice"))
    page = get(f"{base}lab", token)
    settings = json.loads(re.search(r'id="jupyter-config-data" type="application/json">(.*?)</script>', page)[1])
    assert "@jupyter/nbgrader" in settings["disabledExtensions"]
    for panel in ("formgrader", "assignments", "courses"):
        assert status(f"{base}{panel}", token) == 404, panel
    assert "custom/custom.css" in page
    assert 'content: "locked"' in get(f"{base}custom/custom.css", token)


def test_a_closed_terminal_takes_jupyterlab_with_it(terminal):
    lab = terminal("module", "start", "1")
    base, _, token = address(lab.until("Ctrl-C twice"))
    lab.process.send_signal(signal.SIGHUP)
    assert lab.end() == 0
    assert not answers(base, token)


def test_with_a_display_the_browser_gets_a_page_that_only_its_user_can_read(terminal, workspace, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/seen.tmp && mv {tmp_path}/seen.tmp {tmp_path}/seen\n')
    browser.chmod(0o755)
    lab = terminal("module", "start", "1", BROWSER=f"{browser} %s")
    base, path, token = address(lab.until("Ctrl-C twice"))
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "seen").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page = workspace.root / ".tito" / "jupyter-open.html"
    assert (tmp_path / "seen").read_text().strip() == page.as_uri(), "no token on a command line"
    assert page.stat().st_mode & 0o077 == 0
    assert f'url={base}lab/tree/{path}?token={token}"' in page.read_text("utf-8")
    assert "no display" not in lab.text


def test_who_came_by_ssh_is_told_the_tunnel(terminal):
    lab = terminal("module", "start", "1", SSH_CONNECTION="10.0.0.9 50000 10.0.0.1 22")
    base, _, _ = address(lab.until("Ctrl-C twice"))
    port = base.rstrip("/").rsplit(":", 1)[1]
    assert re.search(rf"ssh -N -L {port}:localhost:{port} \S+@10\.0\.0\.1", lab.text)


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_that_is_taken_is_said(terminal, taken_port):
    refused = terminal("module", "start", "1", "--port", str(taken_port))
    assert refused.end() == 3
    assert f"port {taken_port} is taken by another program" in refused.text
    assert "next: leave out --port" in refused.text


def test_the_next_port_is_said(terminal):
    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # another program has it: just as well
            usual.bind(("127.0.0.1", 8888))
            usual.listen()
        lab = terminal("module", "start", "1")
        said = lab.until("Ctrl-C twice")
        port = address(said)[0].rstrip("/").rsplit(":", 1)[1]
        assert f"port 8888 is taken by another program, so this one is {port}" in said


@pytest.mark.parametrize(
    ("last_line", "message", "hint"),
    [
        ("[C 2026-11-27 02:39:56.521 ServerApp] no luck", "JupyterLab does not run: no luck", "/.tito/jupyter.log"),
        ("", "exit code 7", "/.tito/jupyter.log"),
        ("OSError: [Errno 30] Read-only file system: '/h/.local'", "/h/.local is on a file system that is", "copy the"),
        ("OSError: [Errno 28] No space left on device", "the disk is full", "free some space"),
    ],
)
def test_a_jupyterlab_that_fails_is_reported_with_the_reason_from_its_log(
    terminal, workspace, last_line, message, hint
):
    fake = f"print({last_line!r})\nraise SystemExit(7)\n"
    (workspace.root / "jupyterlab.py").write_text(fake, encoding="utf-8")
    failed = terminal("module", "start", "1", COLUMNS="200")
    assert failed.end() == 3
    assert message in failed.text
    assert hint in failed.text.split("next:")[1]


# Without JupyterLab.


def test_without_a_terminal_nothing_is_opened_and_that_is_said(workspace):
    outcome = workspace.tito("module", "start", "1")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        "modules/01_alpha/alpha_dev.ipynb is as it was handed out\n"
        "not opened: this is no terminal, and JupyterLab would run on; --open opens it\n"
    )
    document = workspace.tito("module", "view", "1", "--json").document
    assert document["data"] == {
        "module": "01_alpha", "path": "modules/01_alpha/alpha_dev.ipynb", "opened": False, "url": None,
    }  # fmt: skip


def test_as_you_left_it_is_said_of_what_was_saved_before(workspace):
    stub = workspace.path("01_alpha").read_bytes()
    assert "as it was handed out" in workspace.tito("module", "start", "1").stdout
    workspace.edit("01_alpha", "double", "half = 1")
    assert "is there, as you left it" in workspace.tito("module", "start", "1").stdout
    workspace.path("01_alpha").unlink()
    assert "was created" in workspace.tito("module", "start", "1").stdout
    assert workspace.path("01_alpha").read_bytes() == stub


def test_view_opens_what_is_there_and_creates_nothing(workspace):
    assert workspace.tito("module", "view", "3").exit_code == 0, "reading ahead needs no module complete"
    workspace.path("01_alpha").unlink()
    outcome = workspace.tito("module", "view", "1")
    assert outcome.exit_code == 1
    assert "modules/01_alpha/alpha_dev.ipynb does not exist" in outcome.stderr
    assert "next: tito module start 01_alpha" in outcome.stderr
    assert not workspace.path("01_alpha").exists()


@pytest.mark.parametrize("command", ["start", "view"])
def test_an_editor_gets_the_notebook_and_vs_code_the_folder_too(workspace, tmp_path, monkeypatch, command):
    (tmp_path / "bin").mkdir()
    for name in ("code", "other"):
        (tmp_path / "bin" / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.seen"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    notebook = str(workspace.path("01_alpha"))
    assert workspace.tito("module", command, "1", "--editor", "code --wait", "--open").exit_code == 0
    seen = (tmp_path / "bin" / "code.seen").read_text().splitlines()
    assert seen == ["--wait", str(workspace.root), notebook]
    assert workspace.tito("module", command, "1", "--editor", "other", "--open").exit_code == 0
    assert (tmp_path / "bin" / "other.seen").read_text().splitlines() == [notebook]


def test_an_editor_that_is_not_there_is_refused_with_the_way_to_get_it(workspace, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = workspace.tito("module", "view", "1", "--editor", "code", "--open")
    assert outcome.exit_code == 2
    assert "there is no command 'code' here" in outcome.stderr
    assert "Install 'code' command in PATH" in outcome.stderr
