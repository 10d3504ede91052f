"""JupyterLab in a browser, used as a student uses it: what is typed there is what tito tests."""

import json
from pathlib import Path

import pytest
from jupyterlab_page import NOTEBOOK, Student, chromium_for_jupyterlab

from tito.project import read_project
from tito.services import workspace

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.browser, pytest.mark.kernel, pytest.mark.xdist_group("jupyterlab")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium_for_jupyterlab(tmp_path_factory.mktemp("chromium")) as started:
        yield started


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
    printed = student.answer_first()
    assert "broadcast_shape" in printed and "Error" not in printed
    document = student.tito("module", "test", "01")
    passed = {name for name, status in statuses(document).items() if status == "passed"}
    assert passed == {"test-broadcast_shape", "test-broadcast_shape-errors"}
    assert document["data"]["warnings"] == []

    assert "Nbgrader" not in student.text("#jp-menu-panel")
    log = [entry["message"] for entry in student.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [message for message in log if "404" in message], "nothing that the page asks for is missing"


def test_a_locked_cell_refuses_typing_and_what_another_editor_does_to_it_is_undone(student):
    answer, test = "def broadcast_shape", "def test_unit_broadcast_shape():"
    assert student.style(answer, "borderLeftWidth") == "6px"
    assert student.style(test, "borderLeftWidth") != "6px"
    assert student.style(test, "content", "::after") == '"locked"'
    (before,) = student.sources(test)
    student.enter(test)
    student.press("pass", "ENTER")
    student.press("ESCAPE", "d", "d")
    assert student.sources(test) == [before]

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
