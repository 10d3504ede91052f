"""The way through the modules, as a student goes it: status, start, test, complete, reset, and the recheck."""

import json
import os

import pytest
from tiny_course import ANSWERS, position

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import modules

pytestmark = pytest.mark.kernel

CORE = "tinytorch/core/alpha.py"
PROGRESS = ".tito/progress.json"
WHOLE_NUMBERS_ONLY = """\
#| export
def double(number):
    if isinstance(number, str):
        raise TypeError("a number, please")
    return 2 * int(number)
"""


def states(student):
    outcome = student.tito("module", "status", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return {module["name"]: module["state"] for module in outcome.document["data"]["modules"]}


def detail(student, name):
    modules = student.tito("module", "status", "--json").document["data"]["modules"]
    return next(module["detail"] for module in modules if module["name"] == name)


def next_module(student):
    return student.tito("module", "status", "--json").document["data"]["next"]


def kept(student):
    """What a failed command must leave as it was."""
    return student.contents("tinytorch", "modules"), student.contents(".tito")


# status


def test_a_new_workspace(workspace):
    assert states(workspace) == {"01_alpha": "ready", "02_beta": "locked", "03_gamma": "locked"}
    document = workspace.tito("module", "status", "--json").document["data"]
    assert (document["done"], document["total"], document["next"]) == (0, 3, "01_alpha")
    assert document["modules"][2]["missing"] == ["01_alpha", "02_beta"]


def test_started_is_a_notebook_that_differs_from_its_stub(workspace):
    notebook = workspace.read("01_alpha")
    for cell in notebook["cells"]:  # running cells and saving them changes neither text nor standing
        if cell["cell_type"] == "code":
            cell["execution_count"] = 1
    workspace.write("01_alpha", notebook)
    assert states(workspace)["01_alpha"] == "ready"
    workspace.edit("01_alpha", "double", "half = 1")
    assert states(workspace)["01_alpha"] == "started"


def test_the_status_follows_the_files(completed):
    """Each step changes one thing; the status is derived from what is there."""
    assert states(completed) == {"01_alpha": "complete", "02_beta": "ready", "03_gamma": "locked"}
    assert next_module(completed) == "02_beta"

    notebook = completed.read("01_alpha")
    notebook["cells"][0]["source"] = "# my notes"
    notebook["cells"][4]["outputs"] = []
    completed.write("01_alpha", notebook)
    assert states(completed)["01_alpha"] == "complete", "notes are not exported"

    answer = "".join(completed.read("01_alpha")["cells"][4]["source"])
    completed.edit("01_alpha", "double", answer + "\n# faster")
    assert states(completed) == {"01_alpha": "stale", "02_beta": "ready", "03_gamma": "locked"}
    assert next_module(completed) == "01_alpha"
    completed.edit("01_alpha", "double", answer)
    assert states(completed)["01_alpha"] == "complete"

    saved = (completed.root / CORE).read_text(encoding="utf-8")
    (completed.root / CORE).write_text(saved + "\n# by hand\n", encoding="utf-8")
    assert states(completed) == {"01_alpha": "edited", "02_beta": "locked", "03_gamma": "locked"}
    assert detail(completed, "01_alpha") == f"{CORE} is not the file that was completed"

    (completed.root / CORE).unlink()
    assert states(completed) == {"01_alpha": "edited", "02_beta": "locked", "03_gamma": "locked"}
    assert detail(completed, "01_alpha") == f"{CORE} was deleted"
    (completed.root / CORE).write_text(saved, encoding="utf-8")

    completed.path("01_alpha").unlink()
    assert states(completed)["01_alpha"] == "stale"
    completed.path("01_alpha").write_text("{", encoding="utf-8")
    assert states(completed)["01_alpha"] == "stale"
    assert "not valid JSON" in detail(completed, "01_alpha")

    (completed.root / PROGRESS).unlink()
    assert states(completed) == {"01_alpha": "started", "02_beta": "locked", "03_gamma": "locked"}


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"schema": 99, "modules": {}}', '{"schema": 1, "modules": {"01_alpha": {}}}']
)
def test_an_unreadable_record_is_kept_aside(completed, damage):
    (completed.root / PROGRESS).write_text(damage, encoding="utf-8")
    outcome = completed.tito("module", "status")
    assert outcome.exit_code == 0
    assert f"warning: {PROGRESS} could not be read and was moved to .tito/backups/" in outcome.stderr
    aside = list((completed.root / ".tito" / "backups").glob("*_progress.json"))
    assert [file.read_text(encoding="utf-8") for file in aside] == [damage]
    assert completed.tito("module", "status").stderr == ""


# start


def test_start_creates_an_absent_notebook_and_never_overwrites(workspace):
    stub = workspace.path("01_alpha").read_bytes()
    workspace.path("01_alpha").unlink()
    outcome = workspace.tito("module", "start", "alpha", "--no-open", "--json")
    assert outcome.document["data"] == {
        "module": "01_alpha", "path": "modules/01_alpha/alpha_dev.ipynb", "created": True, "opened": False,
        "url": None,
    }  # fmt: skip
    assert workspace.path("01_alpha").read_bytes() == stub
    workspace.path("01_alpha").write_text("mine", encoding="utf-8")
    outcome = workspace.tito("module", "start", "1", "--no-open")
    assert outcome.exit_code == 0
    assert "as you left it" in outcome.stdout
    assert workspace.path("01_alpha").read_text(encoding="utf-8") == "mine"


def test_start_in_the_course_takes_the_percent_source(tito):
    outcome = tito("module", "start", "1", "--no-open", "--json")
    assert outcome.document["data"]["path"] == "modules/01_alpha/alpha_dev.py"


@pytest.mark.parametrize("command", [("start", "--no-open"), ("test",), ("complete",)])
def test_a_module_whose_prerequisites_are_missing_is_refused(workspace, command):
    before = workspace.contents("modules", "tinytorch", ".tito")
    outcome = workspace.tito("module", command[0], "03", *command[1:], "--json")
    assert outcome.exit_code == 1
    error = outcome.document["error"]
    assert error["code"] == "prerequisites"
    assert "03_gamma needs 01_alpha, 02_beta, which are not" in error["message"]
    assert error["hint"].startswith("tito module complete 01_alpha")
    assert workspace.contents("modules", "tinytorch", ".tito") == before


# test


def test_the_untouched_stub_earns_no_point(workspace):
    outcome = workspace.tito("module", "test", "01", "--json")
    assert outcome.exit_code == 1
    document = outcome.document
    assert document["error"]["code"] == "failed"
    data = document["data"]
    assert (data["points"], data["max_points"], data["withheld"], data["written"]) == (0, 14, 5, 2)
    assert [(cell["grade_id"], cell["max_points"], cell["status"]) for cell in data["cells"]] == [
        ("test-double", 4, "todo"), ("test-double-errors", 3, "todo"), ("test-Box", 7, "todo"),
    ]  # fmt: skip
    keys = {"grade_id", "points", "max_points", "status", "message", "seconds", "where", "trace"}
    assert set(data["cells"][0]) == keys


def test_one_wrong_answer_fails_exactly_its_cell(workspace):
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "Box", "#| export\nclass Box:\n    def __init__(self, size): self.size = size\n")
    outcome = workspace.tito("module", "test", "01")
    assert outcome.exit_code == 1
    assert "passed     4/4  test-double " in outcome.stdout
    assert "passed     3/3  test-double-errors " in outcome.stdout
    assert "failed     0/7  test-Box " in outcome.stdout
    assert "sizes are whole\n    in `Box` (cell 9)\n" in outcome.stdout
    assert "7 of 14 points; 5 more in tests that are withheld; 2 in answers that a person grades" in outcome.stdout
    assert "1 of 3 graded cells of 01_alpha did not pass: test-Box" in outcome.stderr
    assert not (workspace.root / CORE).exists()


@pytest.mark.parametrize("command", ["test", "complete"])
def test_a_future_that_the_export_cannot_hold_is_refused_before_points_are_given(workspace, command):
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "double", "#| export\nfrom __future__ import annotations\n" + "x = 1")
    outcome = workspace.tito("module", command, "01", "--json")
    assert outcome.exit_code == 1
    error = outcome.document["error"]
    assert error["code"] == "not-exportable"
    assert error["message"].startswith("modules/01_alpha/alpha_dev.ipynb, cell 5, line 2: from __future__ import annot")
    assert "put it into a cell of its own, with #| export, or leave it out" in error["message"]


def test_the_course_tests_its_own_source(tito):
    data = tito("module", "test", "01", "--json").document["data"]
    assert (data["points"], data["max_points"], data["withheld"]) == (19, 19, 0)
    assert data["source"] == "modules/01_alpha/alpha_dev.py"


def test_a_mistake_in_the_course_is_found_in_its_line(tito, mini_course):
    path = mini_course / "modules" / "01_alpha" / "alpha_dev.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("assert double(4) == 8,", "assert double(4) == 9,"), encoding="utf-8")
    cell = tito("module", "test", "01", "--json").document["data"]["cells"][0]
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "def double" in text) - 1
    assert cell["where"] == f"in `double` (modules/01_alpha/alpha_dev.py:{line})"


def test_limits_are_options(workspace):
    workspace.edit("01_alpha", "double", "#| export\ndef double(number):\n    while True: pass\n")
    outcome = workspace.tito("module", "test", "01", "--json", "--cell-seconds", "0.5")
    assert outcome.exit_code == 1
    assert outcome.document["data"]["cells"][0]["status"] == "timeout"
    assert outcome.document["data"]["cells"][0]["message"] == "did not finish within 0.5 s"
    total = workspace.tito("module", "test", "01", "--json", "--total-seconds", "0.5").document["data"]
    assert [cell["status"] for cell in total["cells"]] == ["timeout", "blocked", "blocked"]


def test_what_a_student_prints_reaches_neither_stdout_nor_the_verdict(workspace):
    shout = 'import os\nprint(\'{"ok": true}\')\nos.write(1, b\'{"ok": true}\')\nos.system("echo noise")\n'
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "Box", f"{shout}raise ValueError('\\x1b[31mred\\x07')")
    outcome = workspace.tito("module", "test", "01", "--json")
    assert outcome.document["data"]["cells"][2]["status"] == "crashed"
    text = workspace.tito("module", "test", "01").stdout
    assert "ValueError: red\n" in text
    assert not set(text) & {"\x1b", "\x07"}


def test_a_notebook_that_is_not_json_ends_with_1(workspace):
    workspace.path("01_alpha").write_text('{"cells": ', encoding="utf-8")
    outcome = workspace.tito("module", "test", "01", "--json")
    assert outcome.exit_code == 1
    assert outcome.document["error"]["code"] == "unreadable"
    assert outcome.document["error"]["hint"].startswith("tito module reset 01_alpha")


# complete


def test_complete_puts_the_students_code_into_the_package(alpha_completed):
    student, document = alpha_completed
    data = document["data"]
    assert document["ok"]
    assert (data["points"], data["max_points"]) == (14, 14)
    assert data["tests"] == {"passed": 2, "failed": 0, "skipped": 0}
    assert (data["replaced"], data["next"], data["broken"]) == ([CORE], "02_beta", [])
    assert "a number, please" in (student.root / CORE).read_text(encoding="utf-8")
    record = json.loads((student.root / PROGRESS).read_text(encoding="utf-8"))
    assert record["schema"] == 1
    assert set(record["modules"]) == {"01_alpha"}
    assert (record["modules"]["01_alpha"]["points"], record["modules"]["01_alpha"]["broken"]) == (14, "")


def complete_fails(student, name, code, *options):
    """Complete `name`, which fails with `code` and leaves package, notebooks and records as they were."""
    before = student.contents("tinytorch", "modules", ".tito")
    outcome = student.tito("module", "complete", name, "--json", *options)
    assert outcome.exit_code == 1
    assert outcome.document["error"]["code"] == code
    assert student.contents("tinytorch", "modules", ".tito") == before
    return outcome.document


def test_a_failed_test_leaves_everything_as_it_was(completed):
    completed.edit("01_alpha", "double", "#| export\ndef double(number):\n    return 3 * number\n")
    document = complete_fails(completed, "01_alpha", "failed")
    assert document["data"]["points"] == 0
    assert [cell["status"] for cell in document["data"]["cells"]] == ["failed", "failed", "blocked"]


def test_what_cannot_be_exported_leaves_everything_as_it_was(completed):
    completed.solve("02_beta")
    notebook = completed.read("02_beta")
    notebook["cells"].append(
        {"cell_type": "code", "metadata": {}, "source": "#| export\nfrom tinytorch.core.gamma import *", "outputs": [],
         "execution_count": None, "id": "mine"}
    )  # fmt: skip
    completed.write("02_beta", notebook)
    complete_fails(completed, "02_beta", "not-exportable")


def test_an_export_that_does_not_import_leaves_everything_as_it_was(completed):
    answer = "#| export\nimport sys\nassert '__main__' == __name__\ndef quadruple(number):\n    return 4 * number\n"
    completed.edit("02_beta", "quadruple", answer)
    complete_fails(completed, "02_beta", "import-failed")


def test_failing_tests_of_the_export_leave_everything_as_it_was(completed):
    completed.edit("02_beta", "quadruple", "#| export\ndef quadruple(number):\n    return {2: 8}[number]\n")
    document = complete_fails(completed, "02_beta", "tests-failed")
    assert document["error"]["message"].splitlines() == [
        "1 of 1 tests in modules/02_beta/test_beta.py fail with what 02_beta exports.",
        "test_quadruple: KeyError: 5, from `assert quadruple(5) == 20` in the test",
        "in `quadruple` of tinytorch/core/beta.py: `return {2: 8}[number]`",
        "You may read modules/02_beta/test_beta.py: test_quadruple says what it tests.",
    ]
    command = "tito test 02 --notebook -k test_quadruple"
    assert document["error"]["hint"].endswith(command)
    assert document["data"]["points"] == 7, "the notebook itself passed"

    arguments = command.split()[1:]
    assert completed.tito(*arguments).exit_code == 1
    completed.edit("02_beta", "quadruple", "#| export\ndef quadruple(number):\n    return 4 * number\n")
    outcome = completed.tito(*arguments, "--json")
    assert outcome.exit_code == 0 and outcome.document["data"]["passed"] == 1
    assert completed.tito("test", "--all", "--notebook").exit_code == 2


def test_tests_that_do_not_exist_are_a_failure(completed):
    completed.solve("02_beta")
    tests = completed.root / "modules" / "02_beta" / "test_beta.py"
    tests.write_text("import os\nos._exit(0)\n", encoding="utf-8")
    assert "without a report" in complete_fails(completed, "02_beta", "tests-failed")["error"]["message"]
    tests.write_text("x = 1\n", encoding="utf-8")
    assert "no test ran" in complete_fails(completed, "02_beta", "tests-failed")["error"]["message"]


def test_a_notebook_that_is_saved_meanwhile_is_not_exported_untested(completed):
    path = completed.path("02_beta")
    save = f"import pathlib\np = pathlib.Path({str(path)!r})\np.write_text(p.read_text() + ' ')"
    completed.edit("02_beta", "quadruple", f"#| export\ndef quadruple(number):\n    return 4 * number\n\n{save}\n")
    outcome = completed.tito("module", "complete", "02", "--json")
    assert outcome.exit_code == 1
    assert outcome.document["error"]["code"] == "changed"
    assert not (completed.root / "tinytorch" / "core" / "beta.py").exists()


def test_the_package_is_made_of_what_was_tested(workspace):
    """A provided cell that the student broke or deleted is exported as it was tested: as it was handed out."""
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "provided-imports", None)
    workspace.edit("01_alpha", "provided-unit-box", "#| export\nUNIT = 'broken'\n")
    outcome = workspace.tito("module", "complete", "01", "--json")
    assert outcome.exit_code == 0, outcome.stdout
    assert len(outcome.document["data"]["warnings"]) == 2
    core = (workspace.root / CORE).read_text(encoding="utf-8")
    assert "import math" in core and "UNIT = 1" in core and "broken" not in core
    assert states(workspace)["01_alpha"] == "complete"
    assert workspace.tito("export", "01", "--check").exit_code == 0


def test_a_hand_edited_export_is_kept_when_it_is_replaced(completed):
    (completed.root / CORE).write_text("mine = 1\n", encoding="utf-8")
    outcome = completed.tito("module", "complete", "01")
    assert outcome.exit_code == 0, outcome.stderr
    (copy,) = (completed.root / ".tito" / "backups").glob("*_alpha.py")
    assert copy.read_text(encoding="utf-8") == "mine = 1\n"
    assert f"the file it replaced is kept: .tito/backups/{copy.name}" in outcome.stdout
    assert states(completed)["01_alpha"] == "complete"


def test_a_dependant_that_breaks_is_reported_and_mended_by_completing_again(completed):
    completed.solve("02_beta")
    assert completed.tito("module", "complete", "02").exit_code == 0
    tests = completed.root / "modules" / "02_beta" / "test_beta.py"
    tests.write_text(
        "from tinytorch.core.alpha import double\n\n\ndef test_word():\n    assert double(2) == 4\n"
        "\n\ndef test_twice():\n    assert double(0.3) == 0.6, 'beta needs fractions'\n",
        encoding="utf-8",
    )
    before = (completed.root / "tinytorch" / "core" / "beta.py").read_bytes()
    completed.edit("01_alpha", "double", WHOLE_NUMBERS_ONLY)
    outcome = completed.tito("module", "complete", "01", "--json")
    assert outcome.exit_code == 0, outcome.stdout
    data = outcome.document["data"]
    assert data["rechecked"] == ["02_beta"]
    assert [one["module"] for one in data["broken"]] == ["02_beta"]
    assert data["broken"][0]["message"] == "test_twice: beta needs fractions"
    assert states(completed) == {"01_alpha": "complete", "02_beta": "broken", "03_gamma": "locked"}
    assert (completed.root / "tinytorch" / "core" / "beta.py").read_bytes() == before

    completed.solve("01_alpha")
    aside = tests.rename(tests.with_suffix(".aside"))
    data = completed.tito("module", "complete", "01", "--json").document["data"]
    assert data["broken"] == [{"module": "02_beta", "message": "modules/02_beta/test_beta.py is missing"}]
    aside.rename(tests)
    outcome = completed.tito("module", "complete", "01", "--json")
    assert outcome.document["data"]["broken"] == []
    assert states(completed)["02_beta"] == "complete"


def test_the_course_counts_fresh_exports_as_complete(tito, mini_course):
    """A fresh clone has no record; what is committed and fresh is what others build on."""
    assert tito("export", "--all").exit_code == 0
    document = tito("module", "complete", "02", "--json").document
    assert document["ok"]
    assert document["data"]["replaced"] == []
    assert document["data"]["rechecked"] == ["03_gamma"]

    path = mini_course / "modules" / "01_alpha" / "alpha_dev.py"
    path.write_text(path.read_text(encoding="utf-8").replace("UNIT = 1", "UNIT = 3"), encoding="utf-8")
    outcome = tito("module", "complete", "02", "--json")
    assert outcome.exit_code == 1
    assert "01_alpha (stale: tinytorch/core/alpha.py is not what" in outcome.document["error"]["message"]
    listed = tito("module", "status", "--json").document["data"]["modules"]
    assert [module["state"] for module in listed] == ["stale", "complete", "complete"]


# reset


def test_reset_keeps_a_dated_copy(workspace):
    stub = workspace.path("01_alpha").read_bytes()
    workspace.path("01_alpha").write_text("my work", encoding="utf-8")
    outcome = workspace.tito("module", "reset", "alpha", "--json")
    assert outcome.exit_code == 0
    kept_at = workspace.root / outcome.document["data"]["backup"]
    assert kept_at.parent == workspace.root / ".tito" / "backups"
    assert kept_at.read_text(encoding="utf-8") == "my work"
    assert workspace.path("01_alpha").read_bytes() == stub
    assert workspace.tito("module", "reset", "01").exit_code == 0
    assert len(list(kept_at.parent.iterdir())) == 2


@pytest.mark.parametrize("damage", ["# nothing is left", None], ids=["emptied", "deleted"])
def test_reset_of_one_answer_brings_its_stub_back_and_leaves_the_others(workspace, damage):
    stub = workspace.read("01_alpha")
    workspace.solve("01_alpha")
    solved = workspace.read("01_alpha")
    workspace.edit("01_alpha", "double", damage)
    before = workspace.path("01_alpha").read_bytes()
    outcome = workspace.tito("module", "reset", "01", "double", "--json")
    assert outcome.exit_code == 0, outcome.stdout
    assert (workspace.root / outcome.document["data"]["backup"]).read_bytes() == before
    sources = ["".join(cell["source"]) for cell in workspace.read("01_alpha")["cells"]]
    expected = ["".join(cell["source"]) for cell in solved["cells"]]
    at = position(stub, "double")
    expected[at] = "".join(stub["cells"][at]["source"])
    assert sources == expected
    (cell,) = [one for one in workspace.tito("module", "test", "01", "--json").document["data"]["cells"]
               if one["grade_id"] == "test-double"]  # fmt: skip
    assert (cell["status"], cell["message"]) == ("todo", "not written yet")


def test_reset_of_what_is_no_answer_names_the_answers_and_changes_nothing(workspace):
    before = workspace.contents()
    outcome = workspace.tito("module", "reset", "01", "test-double", "--json")
    assert (outcome.exit_code, outcome.document["error"]["code"]) == (2, "no-answer")
    assert "double, Box" in outcome.document["error"]["hint"]
    assert workspace.contents() == before


def test_reset_without_its_stub_leaves_the_notebook(workspace):
    (workspace.root / ".tito" / "stubs" / "01_alpha.ipynb").write_text("{}", encoding="utf-8")
    before = workspace.contents()
    outcome = workspace.tito("module", "reset", "01", "--json")
    assert outcome.exit_code == 3
    assert outcome.document["error"]["code"] == "stubs"
    assert workspace.contents() == before


def test_reset_leaves_the_package_and_the_course_alone(completed, tito):
    core = (completed.root / CORE).read_bytes()
    assert completed.tito("module", "reset", "01").exit_code == 0
    assert (completed.root / CORE).read_bytes() == core
    assert states(completed)["01_alpha"] == "stale"
    outcome = tito("module", "reset", "01", "--json")
    assert outcome.exit_code == 2
    assert outcome.document["error"]["hint"] == "git restore modules/01_alpha/alpha_dev.py"


# export and test


def test_export_writes_without_testing_and_check_tells_the_difference(tito, mini_course):
    assert tito("export", "--all", "--check").exit_code == 1
    outcome = tito("export", "01", "beta", "--json")
    assert outcome.document["data"] == {
        "modules": ["01_alpha", "02_beta"], "replaced": [CORE, "tinytorch/core/beta.py"],
    }  # fmt: skip
    assert tito("export", "01", "02", "--check").exit_code == 0
    assert tito("export", "--all", "--json").document["data"]["replaced"] == ["tinytorch/core/gamma.py"]
    assert tito("export", "--all", "--check", "--json").document["data"]["differences"] == []

    (mini_course / CORE).write_text("# by hand\n", encoding="utf-8")
    (mini_course / "tinytorch" / "core" / "stranger.py").write_text("", encoding="utf-8")
    outcome = tito("export", "--all", "--check", "--json")
    assert outcome.exit_code == 1
    document = outcome.document
    assert [(one["module"], one["kind"]) for one in document["data"]["differences"]] == [
        ("01_alpha", "stale"), (None, "orphan"),
    ]  # fmt: skip
    assert document["error"]["hint"] == "tito export 01_alpha"


def test_the_tests_of_modules(tito, mini_course):
    assert tito("test", "01").exit_code == 1, "not built yet"
    assert tito("export", "--all").exit_code == 0
    data = tito("test", "1", "--module", "beta", "--json").document["data"]
    assert (data["modules"], data["passed"], data["failed"]) == (["01_alpha", "02_beta"], 3, 0)
    assert tito("test", "--all", "--json").document["data"]["passed"] == 4

    (mini_course / "modules" / "01_alpha" / "test_alpha.py").write_text(
        "import tinytorch\n\n\ndef test_home():\n    assert False, tinytorch.__file__\n", encoding="utf-8"
    )
    outcome = tito("test", "01", "--json", cwd=mini_course / "modules")
    assert outcome.exit_code == 1
    (failure,) = outcome.document["data"]["failures"]
    assert failure["test"] == "modules/01_alpha/test_alpha.py::test_home"
    assert str(mini_course / "tinytorch" / "__init__.py") in failure["message"]
    assert "test_home" in tito("test", "01").stdout
    assert not os.path.lexists(mini_course / ".pytest_cache")


def test_all_in_a_workspace_means_what_is_built(workspace, completed):
    outcome = workspace.tito("test", "--all", "--json")
    assert (outcome.exit_code, outcome.document["error"]["code"]) == (1, "no-tests")
    assert completed.tito("test", "--all", "--json").document["data"]["passed"] == 2


def test_a_helper_that_the_export_would_leave_behind_is_named_with_its_cell(workspace):
    workspace.solve("01_alpha")
    workspace.edit("01_alpha", "double", ANSWERS["01_alpha"]["double"].replace("2 * number", "twice(number)"))
    notebook = workspace.read("01_alpha")
    helper = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "id": "helper"}
    helper["source"] = "def twice(number):\n    return number * 2\n"
    notebook["cells"].insert(position(notebook, "double"), helper)
    workspace.write("01_alpha", notebook)
    said = "twice is defined here, in a cell that is not exported, and double uses it, which is: "
    said += "make `#| export` the first line of this cell"
    assert said in workspace.tito("module", "test", "01").stderr
    outcome = workspace.tito("module", "complete", "01", "--json")
    assert outcome.exit_code == 1 and said in outcome.document["error"]["message"]
    helper["source"] = "#| export\n" + helper["source"]
    workspace.write("01_alpha", notebook)
    assert workspace.tito("module", "complete", "01").exit_code == 0


def test_empty_written_answers_are_said_wherever_points_are(workspace):
    workspace.solve("01_alpha")
    empty = workspace.tito("module", "test", "01", "--json").document["data"]["empty"]
    assert len(empty) == 1
    line = f"{empty[0]} is still empty"
    outcome = workspace.tito("module", "complete", "01")
    assert line in outcome.stdout and f"01_alpha is complete; still empty: {empty[0]}" in outcome.stdout
    assert f"01_alpha: {line}" in workspace.tito("module", "status").stdout
    workspace.edit("01_alpha", empty[0], "Because.")
    document = workspace.tito("module", "status", "--json").document
    assert [one["empty"] for one in document["data"]["modules"]] == [[], [], []]
    assert "empty" not in workspace.tito("module", "test", "01").stdout


def test_a_locked_module_that_nobody_has_begun_has_no_empty_answers(workspace):
    project = read_project(workspace.root)
    module = read_catalog(project)["01_alpha"]
    locked = modules.ModuleState(module.name, module.title, "locked")
    assert modules._empty(project, module, locked) == ()
    workspace.solve("01_alpha")
    assert modules._empty(project, module, locked) == ("written-linear",)
