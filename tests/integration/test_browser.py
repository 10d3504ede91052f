"""JupyterLab in a browser, used as a student uses it: what is typed there is what tito tests.

Needs Chromium with its driver and Selenium (.ci/run installs them); in CI their absence is a failure.
"""

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import chromium
import pytest
import waiting

from tito.project import read_project
from tito.services import workspace

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180  # of a busy machine
until = partial(waiting.until, seconds=SECONDS)
NOTEBOOK = "modules/01_tensor/tensor_dev.ipynb"
# As a person types it: JupyterLab indents the lines after the first.
ANSWER = [
    "#| export",
    "def broadcast_shape(a, b):",
    "rank = max(len(a), len(b))",
    "pairs = list(zip((1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)))",
    'if any(x != y and 1 not in (x, y) for x, y in pairs): raise ValueError(f"{a} does not fit {b}")',
    "return tuple(x if y == 1 else y for x, y in pairs)",
]

pytestmark = [pytest.mark.browser, pytest.mark.kernel, pytest.mark.xdist_group("jupyterlab")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    quiet = ("--disable-sync", "--disable-background-networking", "--disable-component-update")
    started = chromium.start(tmp_path_factory.mktemp("chromium"), *quiet, "--window-size=1400,1000")
    yield started
    started.quit()


class Student:
    """A fresh workspace, the JupyterLab that `tito module start 01` starts there, and the page with the notebook."""

    def __init__(self, root, browser, home):
        self.root, self.browser = root, browser
        hidden = ("JUPYTER", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "XDG_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self.environment = {**inherited, "PYTHONPATH": str(root), "HOME": str(home)}
        self.lab = subprocess.Popen(
            [sys.executable, "-m", "tito", "module", "start", "01", "--open"], cwd=root, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def open(self):
        said = ""
        while "Ctrl-C" not in said:
            line = self.lab.stdout.readline()
            assert line, f"JupyterLab did not start: {said}"
            said += line
        self.browser.get(re.search(r"http://\S+", said)[0])
        until(lambda: self.cells("def broadcast_shape"), "the notebook")
        until(lambda: "Idle" in self.text(".jp-StatusBar-Widget, #jp-main-statusbar"), "a kernel")

    def close(self):
        self.browser.get("about:blank")
        self.lab.terminate()
        self.lab.wait(SECONDS)

    def text(self, selector):
        found = self.browser.find_elements("css selector", selector)
        return " ".join(element.text for element in found)

    def cells(self, text):
        """The code cells of the page that hold `text`."""
        found = self.browser.find_elements("css selector", ".jp-Notebook .jp-CodeCell")
        return [cell for cell in found if text in self.source(cell)]

    def source(self, cell):
        script = "return [...arguments[0].querySelectorAll('.cm-line')].map(line => line.textContent).join('\\n')"
        return self.browser.execute_script(script, cell)

    def style(self, cell, name, pseudo=None):
        editor = cell.find_element("css selector", ".jp-InputArea-editor")
        script = "return getComputedStyle(arguments[0], arguments[1])[arguments[2]]"
        return self.browser.execute_script(script, editor, pseudo, name)

    def enter(self, cell):
        """Click into the text of a cell."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        cell.find_element("css selector", ".cm-content").click()

    def press(self, *keys, with_key=None):
        from selenium.webdriver import ActionChains, Keys

        chain = ActionChains(self.browser)
        if with_key:
            chain.key_down(getattr(Keys, with_key))
        chain.send_keys(*(getattr(Keys, key, key) for key in keys))
        if with_key:
            chain.key_up(getattr(Keys, with_key))
        chain.perform()

    def tito(self, *arguments):
        """The document that tito prints."""
        command = [sys.executable, "-m", "tito", *arguments, "--json"]
        child = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, encoding="utf-8")
        return json.loads(child.stdout)

    @property
    def saved(self):
        return json.loads((self.root / NOTEBOOK).read_text(encoding="utf-8"))


@pytest.fixture
def student(browser, tmp_path):
    workspace.init(read_project(ROOT), tmp_path / "workspace")
    (tmp_path / "home").mkdir()
    found = Student((tmp_path / "workspace").resolve(), browser, tmp_path / "home")
    try:
        found.open()
        yield found
    finally:
        found.close()


def statuses(document):
    return {cell["grade_id"]: cell["status"] for cell in document["data"]["cells"]}


def test_a_first_answer_that_is_typed_run_and_saved_in_jupyterlab_is_what_tito_tests(student):
    (answer,) = student.cells("def broadcast_shape")
    student.enter(answer)
    student.press("a", with_key="CONTROL")
    student.press("DELETE")
    for line in ANSWER:
        student.press(line, "ENTER")
    assert "    return tuple(" in student.source(answer), "JupyterLab indents"

    first = student.cells("check_home()")[0]
    student.enter(first)
    (test,) = student.cells("def test_unit_broadcast_shape():")
    for _ in range(6):  # from the first code cell to the test, over the text between
        student.press("ENTER", with_key="SHIFT")
    output = until(lambda: test.find_elements("css selector", ".jp-OutputArea-output"), "what the test prints")
    assert "broadcast_shape" in output[0].text
    assert "Error" not in output[0].text

    student.press("s", with_key="CONTROL")
    until(lambda: "does not fit" in json.dumps(student.saved), "the saved file")
    document = student.tito("module", "test", "01")
    passed = {name for name, status in statuses(document).items() if status == "passed"}
    assert passed == {"test-broadcast_shape", "test-broadcast_shape-errors"}
    assert document["data"]["warnings"] == []

    assert "Nbgrader" not in student.text("#jp-menu-panel")
    log = [entry["message"] for entry in student.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [message for message in log if "404" in message], "nothing that the page asks for is missing"


def test_a_locked_cell_refuses_typing_and_what_another_editor_does_to_it_is_undone(student):
    (answer,), (test,) = student.cells("def broadcast_shape"), student.cells("def test_unit_broadcast_shape():")
    assert student.style(answer, "borderLeftWidth") == "6px"
    assert student.style(test, "borderLeftWidth") != "6px"
    assert student.style(test, "content", "::after") == '"locked"'
    before = student.source(test)
    student.enter(test)
    student.press("pass", "ENTER")
    student.press("ESCAPE", "d", "d")
    assert [student.source(cell) for cell in student.cells("def test_unit_broadcast_shape():")] == [before]

    notebook = student.saved
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "test-broadcast_shape":
            cell["source"] = "pass"
    (student.root / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
    document = student.tito("module", "test", "01")
    assert statuses(document)["test-broadcast_shape"] == "todo", "the original ran"
    (warning,) = document["data"]["warnings"]
    assert "test-broadcast_shape" in warning
    assert "as it was handed out" in warning
