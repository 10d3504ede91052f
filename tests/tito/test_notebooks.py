"""Whatever a file holds, `load` gives a valid notebook or an error that says what is wrong with it."""

import json

import nbformat
import pytest

from tito.errors import WorkError
from tito.services import notebooks

MARKDOWN = '# %% [markdown]\nr"""\n# Title\n"""\n\n'


def percent(project, text):
    path = project.modules / "01_alpha" / "alpha_dev.py"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return notebooks.load(project, path)


def ipynb(project, content):
    """Load an .ipynb file; content: bytes, text, or a value to be written as JSON."""
    path = project.modules / "01_alpha" / "alpha_dev.ipynb"
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return notebooks.load(project, path)


def version_4(*cells, **more):
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": list(cells), **more}


def code(source="x = 1", **more):
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more}


# Percent sources.


def test_every_cell_of_the_tiny_module_has_its_kind(project, alpha):
    node = notebooks.load(project, alpha.percent).node
    by_id = {cell.id: cell for cell in node.cells}
    kinds = {
        name: [cell.id for cell in node.cells if getattr(notebooks, name)(cell) and notebooks.grade_id(cell)]
        for name in ("is_solution", "is_test", "is_written", "is_locked", "is_exported")
    }
    tests = ["test-double", "test-double-errors", "test-double-hidden", "test-Box", "test-Box-hidden"]
    assert kinds["is_solution"] == ["double", "Box"]
    assert kinds["is_test"] == tests
    assert kinds["is_written"] == ["written-linear"]
    assert kinds["is_locked"] == ["provided-imports", *tests[:3], *tests[3:], "provided-unit-box", "question-linear"]
    assert kinds["is_exported"] == ["provided-imports", "double", "Box", "provided-unit-box"]
    assert [cell.source[:19] for cell in node.cells if notebooks.is_measure(cell)] == ["def analyze_double("]
    assert [notebooks.points(by_id[name]) for name in ("test-double", "written-linear", "double")] == [4, 2, 0]
    assert notebooks.questions(node) == {name: "Box" if "Box" in name else "double" for name in tests}
    nbformat.validate(node)
    assert (node.nbformat, node.nbformat_minor) == (4, 5)


def test_a_test_above_every_solution_has_no_question(project):
    early = code(metadata={"nbgrader": {"grade": True, "solution": False, "grade_id": "test-early"}})
    nameless = code(metadata={"nbgrader": {"grade": True, "solution": False}})
    assert notebooks.questions(ipynb(project, version_4(early, nameless)).node) == {"test-early": None}


@pytest.mark.parametrize(
    ("source", "withheld"),
    [("# Withheld: more shapes.", True), ("\n", True), ("# a comment\nassert f(1)", False), ("assert f(1)", False)],
)
def test_a_test_of_nothing_but_comments_is_withheld(project, source, withheld):
    metadata = {"nbgrader": {"grade": True, "solution": False, "locked": True, "grade_id": "test-f-hidden"}}
    cells = ipynb(project, version_4(code(source, metadata=metadata), code(source))).node.cells
    assert [notebooks.is_withheld(cell) for cell in cells] == [withheld, False]


def test_starts_are_the_lines_of_the_file(project):
    text = (
        '# %% [markdown]\nr"""\n# Title\ntext\n"""\n\n'
        '# %% [markdown]\nr"""On the line of the quotes."""\n'
        "# %%\n\nx = 1\n\n\n\n"
        '# %% tags=["measure"]\ns = """\n# %% no marker\n\n# %% [markdown] neither\n"""\n'
        "# %% [markdown]\n# Commented.\n\n"
        '# %%\n"""\nA text that is code.\n"""\n'
        "# %%\nlast = True\n"
    )
    source = percent(project, text)
    lines = text.split("\n")
    firsts = ["# Title", 'r"""On the line of the quotes."""', "", 's = """', "# Commented.", '"""', "last = True"]
    assert [lines[start - 1] for start in source.starts] == firsts
    assert source.starts == [3, 8, 10, 16, 22, 25, 29]
    assert notebooks.where(source, 3) == "modules/01_alpha/alpha_dev.py:16 (cell 4)"
    assert notebooks.where(source, 3, 2) == "modules/01_alpha/alpha_dev.py:17 (cell 4)"


def test_where_in_an_ipynb_file(project):
    source = ipynb(project, version_4(code(), code()))
    assert source.starts is None
    assert notebooks.where(source, 1) == "modules/01_alpha/alpha_dev.ipynb, cell 2"
    assert notebooks.where(source, 1, 7) == "modules/01_alpha/alpha_dev.ipynb, cell 2, line 7"


def test_comments_that_look_like_shell_commands_stay_comments(project):
    """By default jupytext uncomments them."""
    lines = "# copy the array\n# !ls\n# %matplotlib inline\nx = 1"
    assert percent(project, f"{MARKDOWN}# %%\n{lines}\n").node.cells[1].source == lines


def test_latex_and_other_text_survives(project):
    text = percent(project, '# %% [markdown]\nr"""\n$\\sum_i x_i$ — 🔬\n"""\n').node.cells[0].source
    assert text == r"$\sum_i x_i$ — 🔬"


def test_byte_order_mark_and_windows_line_ends_make_no_difference(project):
    text = f"{MARKDOWN}# %%\nx = 1\ny = 2\n"
    plain = percent(project, text)
    windows = percent(project, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert (windows.node, windows.starts) == (plain.node, plain.starts)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ["alpha_dev.py is empty"]),
        (" \n\n", ["is empty"]),
        ("import numpy\n", ["alpha_dev.py:1", "does not start with a cell marker"]),
        ("# ---\n# jupyter: x\n# ---\n# %%\n", ["alpha_dev.py:1", "cell marker"]),
        (b"# %%\nx = '\xff'\n", ["not UTF-8"]),
        (f'{MARKDOWN}# %% nbgrader={{"grade": true, "a": False}}\nx = 1\n', ["alpha_dev.py:6", "cannot be parsed"]),
        (f"{MARKDOWN}# %% tags=[measure]\nx = 1\n", ["alpha_dev.py:6", "tags=[measure]"]),
        (f'{MARKDOWN}# %% nbgrader={{"grade": true\nx = 1\n', ["alpha_dev.py:6", "cannot be parsed"]),
        (f'{MARKDOWN}# %% nbgarder={{"grade": true}}\nx = 1\n', ["alpha_dev.py:6", "nbgarder"]),
        (f'{MARKDOWN}# %% nbgrader={{"a": true, "b": False}} tags=["measure"]\nx = 1\n', ["cannot be parsed"]),
    ],
)
def test_percent_sources_that_cannot_be_read(project, text, fragments):
    with pytest.raises(WorkError) as caught:
        percent(project, text)
    assert caught.value.code == "unreadable"
    assert all(fragment in caught.value.message for fragment in fragments), caught.value.message
    assert caught.value.hint


# Notebooks of students.


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("", ["alpha_dev.ipynb is empty"]),
        ('{"cells": [\n  {"cell_type": "code",,}]}', ["is not valid JSON", "line 2"]),
        ("[" * 100_000, ["is not valid JSON"]),
        ("[1, 2]", ["not a notebook"]),
        ({"a": 1}, ["not a notebook"]),
        ({"nbformat": "4"}, ["not a notebook"]),
        ({"nbformat": 4, "metadata": {}}, ["no list of cells"]),
        ({"nbformat": 4, "cells": "none"}, ["no list of cells"]),
        ({"nbformat": 5, "cells": []}, ["format 5"]),
        ({"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "heading"}]}]}, ["not a valid notebook"]),
        (version_4(code(), {"cell_type": "essay", "source": ""}), ["cell 2", "neither code nor markdown nor raw"]),
        (version_4("x = 1"), ["cell 1", "neither code"]),
        ("{}".encode("utf-16"), ["not a notebook"]),
        (b'{"a": "\xff"}', ["not UTF-8", "byte 7"]),
        ("{}".encode("utf-16")[:-1], ["not UTF-16"]),
    ],
)
def test_notebooks_that_cannot_be_read(project, content, fragments):
    with pytest.raises(WorkError) as caught:
        ipynb(project, content)
    assert caught.value.code == "unreadable"
    assert all(fragment in caught.value.message for fragment in fragments), caught.value.message
    assert "tito module reset 01_alpha" in caught.value.hint or "save it as" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_notebook_in_an_encoding_of_windows_editors_is_read(project, encoding):
    text = json.dumps(version_4(code("word = 'äöü'")), ensure_ascii=False)
    assert ipynb(project, text.encode(encoding)).node.cells[0].source == "word = 'äöü'"


def test_a_missing_file_says_how_to_get_it(project, alpha):
    with pytest.raises(WorkError) as caught:
        notebooks.load(project, alpha.notebook)
    assert "alpha_dev.ipynb does not exist" in caught.value.message
    assert caught.value.hint == "tito module start 01_alpha"


@pytest.mark.parametrize(
    ("cell", "source"),
    [
        ({"cell_type": "code"}, ""),
        ({"cell_type": "code", "source": None}, ""),
        ({"cell_type": "code", "source": ["x = 1\n", "y = 2"]}, "x = 1\ny = 2"),
        ({"cell_type": "code", "source": ["x = 1\n", 2, None]}, "x = 1\n"),
        (code("x = 1\r\ny = 2"), "x = 1\ny = 2"),
        (code("%timeit x\n!ls"), "%timeit x\n!ls"),
        (code(metadata=[]), "x = 1"),
        (code(metadata={"nbgrader": "yes", "tags": "measure"}), "x = 1"),
        (code(metadata={"nbgrader": {"grade": True, "points": "many", "grade_id": 7}}), "x = 1"),
        (code(metadata={"collapsed": "perhaps"}), "x = 1"),
        (code(outputs="none"), "x = 1"),
        (code(outputs=[{"output_type": "novel"}]), "x = 1"),
        (code(execution_count="seven"), "x = 1"),
        (code(id="not an id!", somebodys_key=1), "x = 1"),
        (code("x = '\ud800'"), "x = '?'"),
        ({"cell_type": "markdown", "source": "text", "attachments": {"a.png": {"image/png": "AAAA"}}}, "text"),
    ],
)
def test_odd_cells_are_put_in_order(project, tmp_path, cell, source):
    node = ipynb(project, version_4(cell)).node
    nbformat.validate(node)
    assert node.cells[0].source == source
    assert notebooks.points(node.cells[0]) == 0
    assert not notebooks.is_measure(node.cells[0])
    notebooks.write(node, tmp_path / "again.ipynb")
    assert notebooks.load(project, tmp_path / "again.ipynb").node == node


def test_outputs_and_the_kernel_of_a_student_are_kept(project):
    outputs = [{"output_type": "stream", "name": "stdout", "text": ["1\n", "2\n"]}]
    metadata = {"kernelspec": {"name": "mine", "display_name": "Mine"}}
    node = ipynb(project, version_4(code(outputs=outputs, execution_count=3), metadata=metadata)).node
    assert node.cells[0].outputs == outputs
    assert node.cells[0].execution_count == 3
    assert node.metadata == metadata


def test_a_malformed_cell_keeps_what_decides_about_points(project):
    grading = {"grade": True, "solution": False, "grade_id": "test-f", "points": 3}
    bad = code(outputs=[{"output_type": "novel"}], metadata={"nbgrader": grading, "tags": "measure"})
    good = code(outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}])
    node = ipynb(project, version_4(bad, good, metadata={"kernelspec": "python"})).node
    assert node.cells[0].metadata == {"nbgrader": grading}
    assert node.cells[1].outputs == good["outputs"]
    nbformat.validate(node)


def test_notebook_format_3_is_converted(project):
    cells = [
        {"cell_type": "heading", "level": 1, "source": "Title", "metadata": {}},
        {"cell_type": "code", "language": "python", "input": "x = 1", "outputs": [], "metadata": {}},
    ]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "x"}, "worksheets": [{"cells": cells}]}
    node = ipynb(project, old).node
    assert [(cell.cell_type, cell.source) for cell in node.cells] == [("markdown", "# Title"), ("code", "x = 1")]
    nbformat.validate(node)


def test_a_byte_order_mark_is_no_obstacle(project):
    assert ipynb(project, b"\xef\xbb\xbf" + json.dumps(version_4(code())).encode()).node.cells[0].source == "x = 1"


# Ids and bytes.


def test_ids_depend_on_the_content_only(project, alpha):
    first, second = (notebooks.load(project, alpha.percent).node for _ in range(2))
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]
    text = alpha.percent.read_text(encoding="utf-8")
    moved = percent(project, MARKDOWN + text.replace("# Alpha", "# Another", 1)).node
    assert [cell.id for cell in moved.cells[2:]] == [cell.id for cell in first.cells[1:]]
    assert moved.cells[1].id != first.cells[0].id


def test_ids_are_unique_where_cells_are_copies(project):
    metadata = {"nbgrader": {"grade_id": "ex 1"}}
    node = ipynb(project, version_4(code(), code(), code(metadata=metadata), code(metadata=metadata))).node
    assert len({cell.id for cell in node.cells}) == 4
    assert [cell.id for cell in node.cells[2:]] == ["ex-1", "ex-1-2"]
    nbformat.validate(node)


def test_writing_gives_the_same_bytes_with_unix_line_ends(project, alpha, tmp_path):
    node = notebooks.load(project, alpha.percent).node
    notebooks.write(node, tmp_path / "one.ipynb")
    notebooks.write(notebooks.load(project, tmp_path / "one.ipynb").node, tmp_path / "two.ipynb")
    data = (tmp_path / "one.ipynb").read_bytes()
    assert data == (tmp_path / "two.ipynb").read_bytes()
    assert b"\r" not in data
    assert data.endswith(b"}\n")
    assert nbformat.read(tmp_path / "one.ipynb", as_version=4) == node


def test_a_notebook_that_was_changed_is_read_as_it_is_in_its_file(project, alpha):
    """A percent source is parsed once; what one reader does to its notebook is nothing to the next."""
    path = alpha.source(project)
    first = notebooks.load(project, path)
    first.node.cells[1].source = "changed"
    first.node.cells[1].metadata["tags"] = ["changed"]
    first.starts.clear()
    again = notebooks.load(project, path)
    assert again.node.cells[1].source != "changed" and "changed" not in str(again.node.cells[1].metadata)
    assert len(again.starts) == len(again.node.cells)
    path.write_text(path.read_text(encoding="utf-8") + "\n# %%\nmore = 1\n", encoding="utf-8")
    assert notebooks.load(project, path).node.cells[-1].source == "more = 1"
