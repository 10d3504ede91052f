"""The scorer: the same score as in a kernel, and nothing that a submission can do about it but be right."""

import copy
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from answers import right_answers, wrong_answers
from nbformat import v4
from one_notebook import RIGHT, SOURCE, HandedIn, as_bytes, box, by_name, catalog, earned, notebook, project

from tito.services import dependence, kernel, notebooks, pristine
from tito.services.grading.sandbox.find import MIB, Limits
from tito.services.grading.scoring import kits, placing, plans, reading, scorer
from tito.services.grading.scoring.scorer import Task

RARELY = "def double(x):\n    return 2 * x if np.size(x) > 1 or x < 100 else 0"
ALL = {"test-double": 3, "test-double-hidden": 1, "test-total": 2, "test-total-hidden": 1, "test-module": 1}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


@pytest.fixture
def ada(kit, tmp_path):
    return HandedIn(kit)


# What is right earns its points.


def test_right_answers_earn_all_points_and_say_what_was_scored(ada):
    result = ada.score()
    assert earned(result) == ALL
    assert (result.student, result.status, result.detail, result.warnings) == ("ada", "graded", "", ())
    assert result.isolation == box().kind and result.seconds > 0
    cells = by_name(result)
    assert [cell.question for cell in result.cells] == ["double", "double", "total", "total", None]
    assert [cell.hidden for cell in result.cells] == [False, True, False, True, False]
    assert cells["test-double"].max_points == 3 and all(cell.second is None for cell in result.cells)


def test_an_untouched_notebook_earns_nothing_and_is_todo(kit, ada):
    stubs = {name: cell.source for cell in kit.handed.cells if (name := notebooks.grade_id(cell)) in kit.answers}
    result = ada.score(stubs)
    assert result.points == result.second_points == 0
    assert [cell.status for cell in result.cells] == ["todo"] * 4 + ["blocked"]


def test_a_wrong_answer_loses_its_points_in_the_tests_own_words(ada):
    result = ada.score({"double": "def double(x):\n    return 3 * x"})
    cell = by_name(result)["test-double"]
    assert (cell.status, cell.points, cell.message) == ("failed", 0, "expected 6, got 9")
    assert cell.where == "in `double` (cell 4)"


def test_an_error_is_named_with_its_place_in_the_students_cell(ada):
    result = ada.score({"double": "def double(x):\n    y = x\n    return [][y]"})
    cell = by_name(result)["test-double"]
    message = "IndexError: list index out of range, from `assert double(3) == 6` in the test"
    assert (cell.status, cell.message) == ("failed", message)
    assert cell.where == "in `double`: `return [][y]` (cell 4, line 3)"


def test_what_uses_a_wrong_answer_is_blocked_by_it_and_both_scores_are_kept(ada):
    cells = by_name(ada.score({"double": "def double(x):\n    return 3 * x"}))
    total = cells["test-total"]
    assert (total.status, total.points, total.second) == ("blocked", 0, 2)
    assert total.message == "blocked by double: its test test-double fails; fix that first"
    assert cells["test-double-hidden"].status == "failed", "it is the answer's own"
    cells = by_name(ada.score({"double": RARELY}))
    assert cells["test-total"].status == "passed" and cells["test-double"].status == "passed"
    cells = by_name(ada.score({"double": RARELY, "total": "def total(values):\n    return double(7919)"}))
    assert cells["test-total"].message == "blocked by double: a withheld test of it fails; fix that first"


def test_an_answer_that_does_not_end_is_waited_for_once(ada):
    result = ada.score({"double": "def double(x):\n    while True:\n        pass"}, cell_seconds=10, seconds=60)
    cells = by_name(result)
    assert (cells["test-double"].status, cells["test-total"].status) == ("timeout", "blocked")
    assert cells["test-double"].message == "did not finish within 10 s"
    assert max(cells[name].seconds for name in cells if name != "test-double") < 5
    assert result.status == "timeout"


def test_a_loop_costs_its_limit_once_whatever_calls_it(ada):
    """Five cells that show what the answer gives, four tests that need it, and a second try."""
    shows = dict.fromkeys(("double", "test-double", "total", "test-total"), "double(2)\n")
    answers = {"double": "def double(x):\n    while True:\n        pass", "total": "def total(values):\n    return 1"}
    limit, begin, told = 12, time.monotonic(), []
    task = ada.task(answers, behind=shows, cell_seconds=limit, seconds=120)
    result = scorer.score(ada.kit, task, on_cell=lambda done, total: told.append((done, total))).result
    assert result.status == "timeout" and result.points == 0
    assert time.monotonic() - begin < 2.2 * limit
    waits = [cell.seconds for cell in result.cells]
    assert sum(waits) < 1.5 * limit
    assert told == [(place, told[0][1]) for place in range(told[0][1])]


# Cells mean what they mean in a notebook.


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        pytest.param("%matplotlib inline\nfactor = 2", "return factor * x", id="a magic"),
        pytest.param("%%time\nfactor = 2", "return factor * x", id="a cell magic"),
        pytest.param("names = !echo 2\nfactor = int(names[0])", "return factor * x", id="a shell command"),
        pytest.param("double?\nfactor = 2", "return factor * x", id="a question mark"),
        pytest.param("import asyncio\nfactor = await asyncio.sleep(0, 2)", "return factor * x", id="await"),
        pytest.param("display(1)\nfactor = 2;", "return factor * x", id="display"),
        pytest.param("factor = 2 if get_ipython() is not None else 0", "return factor * x", id="get_ipython"),
        pytest.param("factor = 2\nraise ValueError('later')", "return factor * x", id="a cell that raises"),
        pytest.param("factor = 2\nexit()", "return factor * x", id="exit"),
        pytest.param(
            "", "import inspect\n    return 2 * x if 'getsource' in inspect.getsource(double) else 0", id="getsource"
        ),
        pytest.param("factor = 2", "return globals()['factor'] * x if __name__ == '__main__' else 0", id="__main__"),
        pytest.param(
            "from pathlib import Path\nPath('f').write_text('2')", "return int(open('f').read()) * x", id="files"
        ),
        pytest.param("import numpy as np\nnp = math = expect_error = None", "return 2 * x", id="its own names"),
    ],
)
def test_cells_mean_what_they_mean_in_a_notebook(ada, cell, answer):
    result = ada.score({"double": f"def double(x):\n    {answer}"}, behind={"double": cell})
    assert earned(result) == ALL, [one.message for one in result.cells]


def test_what_cells_print_is_kept_in_bounds(ada):
    result = ada.score(
        {"double": "print('from the answer')\ndef double(x):\n    return 2 * x"},
        behind={"test-double": "print('x' * 10**7)", "test-total": "6 * 7", "test-total-hidden": "print('\\x1b[31m')"},
    )
    assert result.outputs[3] == "from the answer\n"
    assert [len(text) for text in result.outputs.values() if "xxx" in text] == [4000]
    assert "42\n" in result.outputs.values()
    assert earned(result) == ALL


def test_what_an_answer_prints_in_a_hidden_test_is_not_shown(ada):
    result = ada.score({"double": "def double(x):\n    print('asked for', x)\n    return 2 * x"})
    assert "asked for 3" in result.outputs[4]
    assert "7919" not in repr(result.outputs)


# Tests that are not as they were handed out.

LOCKED = {"grade": False, "locked": True, "schema_version": 3, "solution": False, "task": False}


def handed_in(node):
    return notebooks.Source(Path("x.ipynb"), "x.ipynb", node, None)


def _places(node):
    return {notebooks.grade_id(cell): place for place, cell in enumerate(node.cells)}


def _delete(node):
    del node.cells[_places(node)["test-double"]]


def _edit(node):
    node.cells[_places(node)["test-double"]].source = "pass"


def _duplicate(node):
    node.cells.append(node.cells[_places(node)["test-double"]])


def _move_up(node):
    node.cells.insert(1, node.cells.pop(_places(node)["test-double"]))


def _move_down(node):
    node.cells.append(node.cells.pop(_places(node)["test-double"]))


def _more_points(node):
    node.cells[_places(node)["test-double"]].metadata["nbgrader"]["points"] = 100


def _other_kind(node):
    place = _places(node)["test-double"]
    node.cells[place] = v4.new_markdown_cell("pass", metadata=node.cells[place].metadata)


def _add(node):
    metadata = {"grade": True, "grade_id": "test-more", "locked": True, "points": 50, "schema_version": 3}
    node.cells.append(v4.new_code_cell("pass", metadata={"nbgrader": {**metadata, "solution": False, "task": False}}))


CHANGES = [
    (_delete, "deleted", "test-double"),
    (_edit, "edited", "test-double"),
    (_duplicate, "copied", "test-double"),
    (_move_up, "moved", "test-double"),
    (_move_down, "moved", "test-double"),
    (_more_points, "edited", "test-double"),
    (_other_kind, "edited", "test-double"),
    (_add, "added", "test-more"),
]
changes = pytest.mark.parametrize(
    ("change", "kind", "name"), CHANGES, ids=[change.__name__.strip("_") for change, _, _ in CHANGES]
)


@changes
@pytest.mark.parametrize("factor", [2, 3])
def test_tests_run_as_the_course_has_them_and_where(kit, ada, change, kind, name, factor):
    task = ada.task({"double": f"def double(x):\n    return {factor} * x"}, change=change, second_try=False)
    scored = scorer.score(kit, task)
    result, placed = scored.result, scored.notebook
    (made,), (warning,) = result.changes, result.warnings
    assert (result.status, made.kind, made.grade_id) == ("tampered", kind, name)
    assert warning in result.detail and name in warning
    right = factor == 2
    assert result.points == (8 if right else 1), earned(result)
    assert result.max_points == 8 and set(earned(result)) == set(ALL)
    names = [notebooks.grade_id(cell) for cell in placed.cells if notebooks.is_test(cell)]
    assert names == list(ALL) and placed == scorer.place(kit, task.notebook)
    assert "15838" in next(cell for cell in placed.cells if "expected_secret" in cell.source).source


@changes
def test_whether_a_submission_was_tampered_with_is_not_read_out_of_words(kit, monkeypatch, change, kind, name):
    monkeypatch.setattr(pristine, "WORDS", dict.fromkeys(pristine.WORDS, "…"))
    node = copy.deepcopy(kit.handed)
    change(node)
    ordered = placing.order(handed_in(node), kit.handed, kit.tests)
    assert ordered.tampered and [(made.kind, made.grade_id) for made in ordered.changes] == [(kind, name)]
    place = _places(node).get(name)
    assert ordered.changes[0].index == (len(node.cells) - 1 if kind == "copied" else place)


def test_a_provided_cell_that_was_edited_is_restored_and_no_tampering(kit):
    node = copy.deepcopy(kit.handed)
    provided = v4.new_code_cell("base = 1", metadata={"nbgrader": {**LOCKED, "grade_id": "provided-base"}})
    node.cells.insert(1, provided)
    handed = copy.deepcopy(node)
    provided.source = "base = 2"
    ordered = placing.order(handed_in(node), handed, kit.tests)
    assert not ordered.tampered and ordered.changes == (pristine.Deviation("edited", "provided-base", 1),)
    assert ordered.placed[1].cell.source == "base = 1"


def test_white_space_and_what_tools_add_are_no_tampering(ada):
    def change(node):
        for cell in node.cells:
            cell.source = "\n".join(line + "  " for line in cell.source.split("\n")) + "\n"
            if "nbgrader" in cell.metadata:
                cell.metadata["nbgrader"]["checksum"] = "0123"

    result = ada.score(change=change)
    assert (result.status, result.warnings, result.points) == ("graded", (), 8)


def test_cells_of_ones_own_between_an_answer_and_its_test_count(ada):
    answers = {"double": "def double(x):\n    return 3 * x"}
    result = ada.score(answers, behind={"double": "def double(x):\n    return x + x"})
    assert (result.status, result.points) == ("graded", 8)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"cells": 3, "nbformat": 4}', b"\xff\xfe", b'{"nbformat": 9, "cells": []}']
)
def test_a_file_that_is_no_notebook_is_unreadable_and_no_accident(kit, content):
    scored = scorer.score(kit, Task("ada", content))
    result = scored.result
    assert result.status == "unreadable" and result.detail and result.points == 0 and set(earned(result)) == set(ALL)
    assert scored.notebook == scorer.place(kit, content) and len(scored.notebook.cells) == len(kit.handed.cells)


# What a submission does to its process costs one question.


ENDINGS = {
    "a loop without an end": ("while True:\n        pass", "timeout"),
    "os._exit": ("import os\n    os._exit(0)", "crashed"),
    "a signal": ("import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)", "crashed"),
    "too much memory": ("list = []\n    while True:\n        list.append(bytearray(10**8))", None),
    "closed files": ("import os\n    os.closerange(0, 100)", "crashed"),
}


@pytest.mark.parametrize(("body", "status"), ENDINGS.values(), ids=ENDINGS.keys())
def test_an_answer_that_ends_the_process_costs_its_own_question(ada, body, status):
    answers = {
        "double": f"def double(x):\n    {body}",
        "total": "def total(values):\n    return 2 * sum(values)",
    }
    limits = Limits(seconds=30, memory=600 * MIB)
    result = ada.score(answers, limits=limits, cell_seconds=1.5, second_try=False, behind={"test-total": "last = 1"})
    cells = by_name(result)
    assert cells["test-double"].points == cells["test-double-hidden"].points == 0
    assert cells["test-total"].points == 2 and cells["test-total-hidden"].points == 1, cells["test-total"].message
    if status:
        assert cells["test-double"].status == status == result.status, result


def test_a_cell_that_ends_the_process_runs_once(ada):
    body = "import os, time\nopen('/dev/null')\nos._exit(3)"
    result = ada.score({"double": body, "total": "def total(values):\n    return 2 * sum(values)"}, second_try=False)
    cells = by_name(result)
    assert cells["test-double"].status == "crashed" and "exit code 3" in cells["test-double"].message
    assert (cells["test-total"].points, result.status) == (2, "crashed")


def test_a_submission_has_an_end(ada):
    begin = time.monotonic()
    result = ada.score(behind={"provided-imports": "while True: pass"}, seconds=4, cell_seconds=60)
    assert time.monotonic() - begin < 15
    assert result.points == 0 and {cell.status for cell in result.cells} == {"blocked"}
    assert "the time for the whole notebook, 4 s, was over" in result.cells[0].message


def test_it_can_be_cancelled(ada):
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    begin = time.monotonic()
    result = ada.score(behind={"double": "while True: pass"}, cell_seconds=30, seconds=60, cancel=cancel)
    assert time.monotonic() - begin < 10
    assert (result.status, result.detail) == ("ungraded", "interrupted")


def test_limits_of_the_processes_do_not_meet_between_submissions(kit):
    results = {}

    def run(name):
        results[name] = HandedIn(kit).score(seconds=60)

    threads = [threading.Thread(target=run, args=(f"student{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.points for result in results.values()] == [8] * 4


# The second try.


def test_what_failed_behind_a_wrong_answer_is_tried_again_with_the_references(ada):
    result = ada.score({"double": "print('secret')\ndef double(x):\n    return 3 * x"})
    cells = by_name(result)
    assert (cells["test-total"].points, cells["test-total"].second) == (0, 2)
    assert cells["test-double"].second is None and cells["test-module"].second is None
    assert (result.points, result.second_points) == (1, 3)


def test_a_withheld_test_meets_the_references_answers_to_all_other_questions_and_says_so(ada):
    cells = by_name(ada.score({"double": "def double(x):\n    return 3 * x"}))
    hidden = cells["test-total-hidden"]
    assert (hidden.points, hidden.second, hidden.reference) == (1, None, ("double",))
    assert cells["test-double-hidden"].reference == () == cells["test-total"].reference
    stub = next(cell.source for cell in ada.kit.handed.cells if notebooks.grade_id(cell) == "double")
    hidden = by_name(ada.score({"double": stub}))["test-total-hidden"]
    assert (hidden.points, hidden.reference) == (1, ("double",))
    assert [cell.reference for cell in ada.score().cells] == [()] * 5


AGREE = SOURCE.replace("assert total([]) == 0", "assert total([5, 6]) == double(5) + double(6)")
ZERO = {"double": RIGHT["double"] + "\n", "total": "def total(values):\n    return 0"}


@pytest.mark.parametrize(
    ("answers", "behind"),
    [
        ({"double": "def double(x):\n    return 0 * x if 'total' in globals() else 2 * x"}, {}),
        ({"total": ZERO["total"] + "\ndef double(x):\n    return 0"}, {}),
        ({"total": ZERO["total"] + "\nglobals()['double'] = lambda x: 0"}, {}),
        ({}, {"test-double-hidden": "double, more = (lambda x: 0), 1"}),
    ],
)
def test_two_answers_of_one_student_cannot_agree_with_each_other(tmp_path, answers, behind):
    with notebook(tmp_path, AGREE) as kit:
        result = HandedIn(kit).score({**ZERO, **answers}, behind=behind)
        assert earned(result)["test-total-hidden"] == 0
        assert earned(HandedIn(kit).score())["test-total-hidden"] == 1


def test_a_withheld_test_of_the_whole_module_meets_the_students_answers(tmp_path):
    hidden = SOURCE.rpartition("# %% nbgrader=")[2].replace("test-module", "test-module-hidden")
    hidden = hidden.replace("assert total", "# Withheld.\n### BEGIN HIDDEN TESTS\nassert total")
    hidden += "### END HIDDEN TESTS\n"
    with notebook(tmp_path, SOURCE + "\n# %% nbgrader=" + hidden) as kit:
        assert earned(HandedIn(kit).score())["test-module-hidden"] == 1
        wrong = by_name(HandedIn(kit).score({"double": "def double(x):\n    return 3 * x"}))
        assert (wrong["test-module-hidden"].points, wrong["test-module-hidden"].message) == (0, scorer.WITHHELD)


def test_the_second_try_has_what_tests_share_though_its_own_cell_is_not_tried_again(tmp_path):
    """A function that one test defines serves the tests of other questions, and the test that defines it failed."""
    shared = SOURCE.replace("assert double(3) == 6", "def three():\n    return 3\n\nassert double(three()) == 6", 1)
    shared = shared.replace("assert total([1, 2]) == 6", "assert total([1, three() - 1]) == 6", 1)
    with notebook(tmp_path, shared) as kit:
        result = HandedIn(kit).score({"double": "def double(x):\n    return 3 * x"})
    assert by_name(result)["test-total"].second == 2


def test_no_line_of_a_withheld_test_is_said(ada):
    result = ada.score({"total": "def total(values):\n    return 1 / len(values)"})
    cell = by_name(result)["test-total-hidden"]
    assert (cell.status, cell.message, cell.where) == ("failed", scorer.WITHHELD, "")


def test_an_answer_that_is_wrong_itself_stays_wrong(ada):
    result = ada.score({"double": "def double(x):\n    return 3 * x", "total": "def total(values):\n    return 6.5"})
    assert by_name(result)["test-total"].second == 0 and result.second_points == 0


def test_nothing_is_tried_again_where_nothing_earlier_is_wrong(ada):
    result = ada.score({"total": "def total(values):\n    return 1"})
    assert [cell.second for cell in result.cells] == [None] * 5
    assert [cell.second for cell in ada.score({"double": "x"}, second_try=False).cells] == [None] * 5


# What a test fetches.


def test_a_test_fetches_what_the_notebook_made_and_imports_the_rest():
    def cell(source, **metadata):
        made = v4.new_code_cell(source)
        made.metadata["nbgrader"] = {"schema_version": 3, "task": False, "solution": False, "locked": True} | metadata
        return made

    cells = [
        v4.new_code_cell("import math\nimport os\nfrom pathlib import Path\nimport numpy as np\nkept = 1"),
        cell("def helper(): return answer(np, kept)\nmine = 2", grade=True, grade_id="test-a", points=1),
        cell("mine, len(os.sep), Path, math.pi\nhelper()", grade=True, grade_id="test-b", points=1),
        v4.new_code_cell("math = None\nmine = 3"),
        cell("mine, math", grade=True, grade_id="test-c", points=1),
    ]
    found, imports = plans.read(cells)
    assert found == {
        "test-a": ("answer", "kept"),
        "test-b": ("Path", "answer", "kept", "os"),
        "test-c": ("math", "mine"),
    }
    assert imports == ("import math", "import numpy as np")


# The modules, and the kernel.


@pytest.fixture(scope="module", params=[module.name for module in catalog()])
def module_kit(request):
    with kits.make(project(), catalog(), catalog()[request.param], sandbox=box()) as made:
        yield made


def submission(kit, answers):
    node = copy.deepcopy(kit.handed)
    for cell in node.cells:
        if notebooks.grade_id(cell) in answers:
            cell.source = answers[notebooks.grade_id(cell)]
    return Task("ada", as_bytes(node))


def student(name):
    return {cell: versions[0][1] for cell, versions in right_answers(name).items()}


def test_the_reference_earns_full_marks(module_kit):
    result = scorer.score(module_kit, submission(module_kit, module_kit.answers)).result
    assert {cell.grade_id: cell.message for cell in result.cells if cell.status != "passed"} == {}
    assert result.points == result.max_points > 0 and result.status == "graded"


def test_the_untouched_notebook_earns_nothing(module_kit):
    result = scorer.score(module_kit, submission(module_kit, {})).result
    assert result.points == 0 and {cell.status for cell in result.cells} <= {"todo", "blocked"}
    assert result.second_points == 0


def test_other_right_answers_earn_full_marks(module_kit):
    result = scorer.score(module_kit, submission(module_kit, student(module_kit.module))).result
    assert {cell.grade_id: cell.message for cell in result.cells if cell.status != "passed"} == {}


def test_wrong_answers_lose_marks(module_kit):
    from swapping import run_wrong_versions

    wrong = wrong_answers(module_kit.module)
    found = run_wrong_versions(module_kit, wrong)
    assert len(found.wrong) == sum(map(len, wrong.values()))
    broken = [(question, flaw) for question, flaw, _, outcome in found.wrong if outcome.status != "ok"]
    passed = [(q, flaw) for q, flaw, tests, _ in found.wrong if all(one.status == "ok" for one in tests.values())]
    assert (broken, passed) == ([], [])
    assert {test: outcome.message for test, outcome in found.after.items() if outcome.status != "ok"} == {}


def _every_third(answers, wrong, start):
    """The answers, but one of three replaced by nothing, and another by one that divides by zero or is wrong."""
    raising = {
        key: code + "\n    1 / 0" if "return" not in code else code.replace("return", "return 1 / 0 or", 1)
        for key, code in answers.items()
    }
    found = {}
    for number, (key, code) in enumerate(answers.items(), start):
        if number % 4 != 1:
            found[key] = raising[key] if number % 4 == 3 else wrong[key][0][1] if number % 4 == 2 else code
    return found


@pytest.mark.parametrize(("name", "start"), [("01_tensor", 0), ("05_autograd", 2), ("07_training", 1)])
def test_a_kernel_says_the_same_cell_by_cell(name, start):
    """Right, wrong, raising and missing answers: each status with its message and place; of withheld tests, which meet
    other answers in grading, that those which pass here pass there.
    """
    from tito.services.verdicts import Judge

    with kits.make(project(), catalog(), catalog()[name], sandbox=box()) as kit:
        answers = _every_third(kit.answers, wrong_answers(name), start)
        task = replace(submission(kit, answers), second_try=False)
        result = scorer.score(kit, task).result
        read = reading.Reading(kit, task.notebook)
        source, running = read.source, read.judge.placed
        sources = [one.cell.source for one in running]
        limits = kernel.TimeLimits(60, 300)
        outcomes = kernel.run_cells(sources, folder=kit.view, cwd=catalog()[name].folder, limits=limits)
        judge = Judge(running, outcomes, source, kit.source.node, dependence.read_modules(kit.view))
    verdicts = {
        notebooks.grade_id(one.cell): judge.verdict(number)
        for number, one in enumerate(running)
        if notebooks.is_test(one.cell)
    }
    expected = {cell: (verdict.status, verdict.message, verdict.where) for cell, verdict in verdicts.items()}
    found = {cell.grade_id: (cell.status, cell.message, cell.where) for cell in result.cells if not cell.hidden}
    assert found == {cell: expected[cell] for cell in found}
    for cell in result.cells:
        assert not cell.hidden or expected[cell.grade_id][0] != "passed" or cell.status == "passed", cell.grade_id
    assert len({cell.status for cell in result.cells}) >= 3


def test_no_line_of_a_withheld_test_is_in_what_is_said(ada):
    cells = by_name(ada.score({"double": "def double(x):\n    return [][1] if np.size(x) == 1 and x > 100 else 2 * x"}))
    cell = cells["test-double-hidden"]
    assert (cell.status, cell.message) == ("failed", scorer.WITHHELD)
    assert "7919" not in cell.message + cell.where + cells["test-total"].message


def test_what_a_test_says_about_writing_holds_in_grading(tmp_path):
    """The helper that a notebook imports is the one that the trusted process knows, under any name."""
    source = SOURCE.replace(
        "import check_home, expect_error",
        "import check_home, expect_error\nfrom tinytorch.notebook import in_place as may_be_written",
        1,
    )
    source = source.replace("got = double(np.arange(3.0))", "got = double(may_be_written(np.arange(3.0)))", 1)
    writes = "def double(x):\n    x *= 2\n    return x"
    with notebook(tmp_path, source) as kit:
        assert earned(HandedIn(kit).score({"double": writes}))["test-double"] == 3


def test_an_answer_that_writes_into_its_argument_is_told_so(ada):
    cell = by_name(ada.score({"double": "def double(x):\n    x *= 2\n    return x"}))["test-double"]
    assert (cell.status, cell.points) == ("failed", 0)
    assert cell.message.startswith("it changed argument 1, an array of shape (3,): work on a copy")


def test_the_courses_classes_are_those_that_it_defines_or_imports():
    def cell(source, **metadata):
        made = v4.new_code_cell(source)
        made.metadata["nbgrader"] = metadata
        return made

    cells = [
        cell("from pathlib import Path\nimport os\nfrom tinytorch.core.tensor import Tensor as T"),
        cell("class Vocabulary: pass"),
        cell("class Mine: pass", grade=True, locked=True, solution=False, grade_id="test-a", points=1),
    ]
    assert plans.classes(cells) == ("Path", "Tensor", "Vocabulary")
