"""What editors and people do to cells costs and gains nothing in grading, and the instructor reads what was done."""

import json

import pytest
from nbformat import v4
from one_notebook import HandedIn, as_bytes, notebook
from situations import SITUATIONS, place, take

from tito.services import notebooks
from tito.services.grading.scoring import scorer

NAMES = ("double", "total", "provided-imports")


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


@pytest.fixture
def ada(kit):
    return HandedIn(kit)


def done(situation):
    return lambda node: situation(node, *NAMES)


@pytest.mark.parametrize(
    ("situation", "kinds"), SITUATIONS.items(), ids=[situation.__name__ for situation in SITUATIONS]
)
def test_the_points_are_those_of_the_notebook_as_it_was(ada, situation, kinds):
    result = ada.score(change=done(situation), second_try=False)
    assert (result.points, result.status) == (8, "graded"), (result.warnings, result.cells)
    # the notebook of this course has no answer in words
    assert {change.kind for change in result.changes} == kinds - {"place"}
    assert len(result.warnings) == len(result.changes and {change.kind for change in result.changes})


@pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.__name__ for situation in SITUATIONS])
def test_a_wrong_answer_gains_nothing(ada, situation):
    wrong = "def double(x):\n    return 3 * x"
    result = ada.score({"double": wrong}, change=done(situation), second_try=False)
    assert {cell.points for cell in result.cells if cell.question == "double"} == {0}


def test_a_file_of_which_nothing_is_left_but_text_keeps_its_points(ada):
    """Markdown cells gone, no metadata, no ids of ours: code pasted into an empty notebook."""

    def only_code(node):
        node.cells = [v4.new_code_cell(cell.source) for cell in node.cells if cell.cell_type == "code"]

    result = ada.score(change=only_code, second_try=False)
    assert (result.points, result.status) == (8, "graded"), result.warnings


def test_a_deleted_answer_is_named_for_the_instructor(ada):
    result = ada.score(change=lambda node: take(node, "double"), second_try=False)
    assert [(change.kind, change.grade_id) for change in result.changes] == [("missing", "double")]
    assert result.warnings == ("the answer double is missing from the notebook",)


def test_a_forged_test_without_metadata_does_not_count(ada, kit):
    def forge(node):
        node.cells[place(node, "test-double")] = v4.new_code_cell("pass", id="test-double")

    task = ada.task({"double": "def double(x):\n    return 3 * x"}, change=forge, second_try=False)
    scored = scorer.score(kit, task)
    assert scored.result.status == "tampered"
    assert {cell.points for cell in scored.result.cells if cell.question == "double"} == {0}
    tests = [cell for cell in scored.notebook.cells if notebooks.grade_id(cell) == "test-double"]
    assert [cell.source for cell in tests] == [kit.tests["test-double"].source]


def test_a_locked_helper_cannot_be_replaced_by_metadata_that_lies(ada, kit):
    """An answer that claims to be the provided cell is an edited provided cell."""

    def lie(node):
        locked = node.cells[place(node, "provided-imports")]
        locked.source = "import numpy as np\nnp.arange = lambda *a: None"

    node = scorer.place(kit, as_bytes(_changed(kit, lie)))
    assert json.dumps(node).count("np.arange = lambda") == 0


def _changed(kit, change):
    import copy

    node = copy.deepcopy(kit.handed)
    change(node)
    return node
