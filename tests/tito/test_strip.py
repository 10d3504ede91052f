"""What students get: no solution, no hidden test, a stub that names its cell, tests that cannot be edited."""

import copy
import re
import subprocess
import sys

import pytest

from tito.errors import WorkError
from tito.services import notebooks, strip


@pytest.fixture
def source(project, alpha):
    return notebooks.load(project, alpha.percent)


@pytest.fixture
def stripped(source):
    return {cell.id: cell for cell in strip.strip(source.node, source).cells}


def test_the_stub_names_its_cell_and_keeps_what_stands_around_it(stripped):
    assert stripped["double"].source == (
        "#| export\n"
        "# Yours to write: about 5 minutes, 9 points, 2 of them withheld\n"
        "def double(number):\n"
        '    """Twice `number`. Raises TypeError for text."""\n'
        "    # YOUR CODE HERE\n"
        '    raise NotImplementedError("double: write this cell")'
    )


def test_both_regions_of_a_class_get_a_stub(stripped):
    stub = '        # YOUR CODE HERE\n        raise NotImplementedError("Box: write this cell")'
    assert stripped["Box"].source.count(stub) == 2
    assert "def __init__(self, size):" in stripped["Box"].source
    assert "A box of double the size." in stripped["Box"].source


def test_every_answer_says_that_it_is_one_and_what_it_is_worth(stripped):
    said = {name: line for name, cell in stripped.items() for line in cell.source.split("\n") if "# Yours" in line}
    assert said == {
        "double": "# Yours to write: about 5 minutes, 9 points, 2 of them withheld",
        "Box": "# Yours to write: 10 points, 3 of them withheld",
    }
    assert all(notebooks.is_exported(stripped[name]) for name in said), "#| export stays the first line"


def test_an_answer_without_a_withheld_test_or_without_a_test_says_no_more_than_is_so(source):
    node = copy.deepcopy(source.node)
    node.cells = [cell for cell in node.cells if "Box" not in (notebooks.grade_id(cell) or "") or cell.id == "Box"]
    node.cells = [cell for cell in node.cells if cell.id not in ("test-double-hidden", "test-double-errors")]
    next(cell for cell in node.cells if cell.id == "test-double").metadata["nbgrader"]["points"] = 1
    lines = {cell.id: cell.source.split("\n")[1] for cell in strip.strip(node).cells if notebooks.is_solution(cell)}
    assert lines == {"double": "# Yours to write: about 5 minutes, 1 point", "Box": "# Yours to write"}


def test_hidden_tests_leave_their_comment(stripped):
    assert stripped["test-double-hidden"].source.strip() == "# Withheld: double of other numbers."
    assert notebooks.is_withheld(stripped["test-double-hidden"])
    assert not notebooks.is_withheld(stripped["test-double"])


def test_a_written_question_stays_and_its_rubric_goes(stripped):
    assert stripped["question-linear"].source == "Why is doubling linear, and why is tripling as well?"
    assert stripped["written-linear"].source == "YOUR ANSWER HERE"


def test_hints_go_and_what_else_the_metadata_says_stays(source, stripped):
    assert [cell.id for cell in source.node.cells if notebooks.hints(cell)] == ["double"]
    assert stripped["double"].metadata["tinytorch"] == {"minutes": 5, "objective": "doubling"}
    assert notebooks.is_folded(stripped["provided-unit-box"])


def test_provided_and_free_cells_stay_as_they_are(source, stripped):
    kept = [cell for cell in source.node.cells if "BEGIN" not in cell.source]
    assert len(kept) == 11
    for cell in kept:
        assert stripped[cell.id].source == cell.source


def test_tests_and_provided_cells_cannot_be_edited_and_answers_cannot_be_deleted(stripped):
    rights = {
        name: (cell.metadata.get("editable", True), cell.metadata.get("deletable", True))
        for name, cell in stripped.items()
        if "nbgrader" in cell.metadata
    }
    answers = {"double", "Box", "written-linear"}
    assert {name for name, right in rights.items() if right == (True, False)} == answers
    assert {name for name, right in rights.items() if right == (False, False)} == rights.keys() - answers


def test_outputs_go_and_the_kernel_is_set(project, source, tmp_path):
    node = copy.deepcopy(source.node)
    node.cells[1].outputs = [{"output_type": "stream", "name": "stdout", "text": "an answer"}]
    node.cells[1].execution_count = 4
    result = strip.strip(node)
    assert result.cells[1].outputs == []
    assert result.cells[1].execution_count is None
    assert result.metadata.kernelspec["name"] == "python3"
    assert result.metadata.language_info["name"] == "python"
    notebooks.write(result, tmp_path / "valid.ipynb")
    assert notebooks.load(project, tmp_path / "valid.ipynb").node == result


def test_the_notebook_with_solutions_is_not_changed(source):
    before = copy.deepcopy(source.node)
    strip.strip(source.node)
    assert source.node == before


def test_stripping_is_stable(source, stripped):
    again = strip.strip(source.node)
    assert {cell.id: cell for cell in again.cells} == stripped
    assert [cell.id for cell in again.cells] == [cell.id for cell in source.node.cells]


def test_the_result_is_what_nbgrader_itself_makes_but_for_the_stub_and_the_first_comment(source, stripped):
    """Oracle: the preprocessors of nbgrader's generate_assignment, one after the other over the whole notebook."""
    from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

    node, resources = copy.deepcopy(source.node), {}
    for preprocessor in (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests):
        node, resources = preprocessor().preprocess(node, resources)
    assert any("raise NotImplementedError()" in cell.source for cell in node.cells)
    for cell in node.cells:
        named = f'raise NotImplementedError("{notebooks.grade_id(cell)}: write this cell")'
        cell.source = cell.source.replace("raise NotImplementedError()", named)
        cell.metadata.get("tinytorch", {}).pop("hints", None)
        stripped[cell.id].source = re.sub(r"(?m)^# Yours to write: .*\n", "", stripped[cell.id].source, count=1)
        assert cell == stripped[cell.id]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("    ### END SOLUTION\n", "", 4, "without an END SOLUTION"),
        ("    ### BEGIN SOLUTION\n", "", 8, "END SOLUTION without a BEGIN SOLUTION"),
        ("    if isinstance(number, str):\n", "    ### BEGIN SOLUTION\n", 5, "inside the region that begins on line 4"),
    ],
)
def test_unbalanced_markers_are_refused_with_their_line(project, alpha, old, new, line, reason):
    text = alpha.percent.read_text(encoding="utf-8")
    alpha.percent.write_text(text.replace(old, new, 1), encoding="utf-8")
    source = notebooks.load(project, alpha.percent)
    index = next(index for index, cell in enumerate(source.node.cells) if notebooks.grade_id(cell) == "double")
    with pytest.raises(WorkError) as caught:
        strip.strip(source.node, source)
    assert caught.value.message.startswith(notebooks.where(source, index, line))
    assert reason in caught.value.message
    with pytest.raises(WorkError, match=f"cell {index + 1}, line {line}"):
        strip.strip(source.node)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("seen = [", "### BEGIN SOLUTION\n### END SOLUTION\nseen = [", "non-solution cell"),
        ("seen = [", "### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS\nseen = [", "non-grade cell"),
        ('"points": 4, ', "", "nbgrader refuses its metadata"),
        ('"points": 4, "schema_version": 3', '"points": 4, "schema_version": 2', "nbgrader refuses its metadata"),
    ],
)
def test_what_nbgrader_refuses_names_the_cell(project, alpha, old, new, reason):
    text = alpha.percent.read_text(encoding="utf-8")
    assert old in text
    alpha.percent.write_text(text.replace(old, new, 1), encoding="utf-8")
    source = notebooks.load(project, alpha.percent)
    with pytest.raises(WorkError) as caught:
        strip.strip(source.node, source)
    assert reason in caught.value.message
    assert "alpha_dev.py:" in caught.value.message


def test_a_stub_raises_its_message(stripped):
    call = "try:\n    double(1)\nexcept NotImplementedError as error:\n    print(error)"
    program = f"{stripped['double'].source}\n{call}\n"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert child.stdout == "double: write this cell\n"
