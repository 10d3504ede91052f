"""A student who works in JupyterLab, in Chromium."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import chromium
import waiting

SECONDS = 180  # of a busy machine
until = partial(waiting.until, seconds=SECONDS)
NOTEBOOK = "modules/01_tensor/tensor_dev.ipynb"
QUIET = ("--disable-sync", "--disable-background-networking", "--disable-component-update")
# As a person types it: JupyterLab indents the lines after the first.
ANSWER = [
    "#| export",
    "def broadcast_shape(a, b):",
    "rank = max(len(a), len(b))",
    "pairs = list(zip((1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)))",
    'if any(x != y and 1 not in (x, y) for x, y in pairs): raise ValueError(f"{a} does not fit {b}")',
    "return tuple(x if y == 1 else y for x, y in pairs)",
]

AT = """
const source = cell => [...cell.querySelectorAll('.cm-line')].map(line => line.textContent).join('\\n')
const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].filter(
    cell => source(cell).includes(arguments[0]))
"""


@contextmanager
def chromium_for_jupyterlab(profile):
    """Chromium with its `profile` in a folder."""
    started = chromium.start(profile, *QUIET, "--window-size=1400,1000")
    try:
        yield started
    finally:
        started.quit()


class Student:
    """A workspace, the JupyterLab that `tito module start 01` starts there, and the page with the notebook.

    python: of the workspace's environment, the one of these tests unless given.
    """

    def __init__(self, root, browser, home, python=sys.executable):
        self.root, self.browser, self.python = root, browser, str(python)
        hidden = ("JUPYTER", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "XDG_", "PYTHONPATH", "VIRTUAL_ENV")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self.environment = {**inherited, "HOME": str(home)}
        if self.python == sys.executable:  # whose tito is another one
            self.environment["PYTHONPATH"] = str(root)
        self.lab = subprocess.Popen(
            [self.python, "-m", "tito", "module", "start", "01", "--open"], cwd=root, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def open(self):
        said = ""
        while "Ctrl-C" not in said:
            line = self.lab.stdout.readline()
            assert line, f"JupyterLab did not start: {said}"
            said += line
        self.browser.get(re.search(r"http://\S+", said)[0])
        until(lambda: self.sources("def broadcast_shape"), "the notebook")
        until(lambda: "Idle" in self.text(".jp-StatusBar-Widget, #jp-main-statusbar"), "a kernel")

    def close(self):
        self.browser.get("about:blank")
        self.lab.terminate()
        self.lab.wait(SECONDS)

    def text(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText).join(' ')"
        return self.browser.execute_script(script, selector)

    # JupyterLab renders a notebook anew while it loads, and takes cells out of the page that nobody sees: a cell is
    # told by a text in it, and looked up in the script that does something with it.

    def at(self, text, script, *arguments):
        """What `script` gives for each code cell of the page that holds `text`; in it, `cell` and `arguments`."""
        return self.browser.execute_script(f"{AT} return cells.map(cell => {{ {script} }})", text, *arguments)

    def sources(self, text):
        return self.at(text, "return source(cell)")

    def style(self, text, name, pseudo=None):
        (found,) = self.at(
            text,
            "const editor = cell.querySelector('.jp-InputArea-editor')\n"
            "return getComputedStyle(editor, arguments[1])[arguments[2]]",
            pseudo,
            name,
        )
        return found

    def enter(self, text):
        """Click into the cell that holds `text`."""
        from selenium.common.exceptions import StaleElementReferenceException

        def clicked():
            try:
                (editor,) = self.at(
                    text, "cell.scrollIntoView({block: 'center'}); return cell.querySelector('.cm-content')"
                )
                editor.click()
            except StaleElementReferenceException:
                return False
            return True

        until(clicked, f"a click into {text}")

    def answer_first(self):
        """Type ANSWER into the first answer, run the cells down to its test, save. Returns what the test printed."""
        self.enter("def broadcast_shape")
        self.press("a", with_key="CONTROL")
        self.press("DELETE")
        for line in ANSWER:
            self.press(line, "ENTER")
        (typed,) = self.sources("def broadcast_shape")
        assert "    return tuple(" in typed, "JupyterLab indents"
        self.enter("check_home()")
        for _ in range(6):  # from the first code cell to the test, over the text between
            self.press("ENTER", with_key="SHIFT")
        printed = "return [...cell.querySelectorAll('.jp-OutputArea-output')].map(one => one.innerText)[0]"
        (output,) = until(
            lambda: list(filter(None, self.at("def test_unit_broadcast_shape():", printed))), "what the test prints"
        )
        self.press("s", with_key="CONTROL")
        until(lambda: "does not fit" in json.dumps(self.saved), "the saved file")
        return output

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
        command = [self.python, "-m", "tito", *arguments, "--json"]
        child = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, encoding="utf-8")
        return json.loads(child.stdout)

    @property
    def saved(self):
        return json.loads((self.root / NOTEBOOK).read_text(encoding="utf-8"))
