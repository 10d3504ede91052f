"""What a student feels of a notebook, and what a module costs to read, is bounded; what is over a bound only shrinks.

A line counts where it holds something. *Provided* code is all that is neither an answer nor a test, measured and
plotting cells included. A *beat* is what stands between two answers, seen as a student sees it: hidden tests are one
comment, and folded cells are not looked at.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from count_calls import run
from nbformat import v4

from tito.services import notebooks, strip, views
from tito.services.conventions import kind_of

ROOT = Path(__file__).resolve().parents[2]
GRADED_CELLS = 14
LINES_BETWEEN = 60
WORDS = 300  # of a beat; about 250 are meant
VISIBLE_TEST = 25
CALLS = 500  # of a test into the notebook; in grading each is a message to another process
NEW_MODULE = 1200  # lines of the whole source, of which a quarter may be provided
SLACK = 10  # lines by which a listed number may be too high


@dataclass(frozen=True)
class Listed:
    """What is known of a module that was there before these bounds. All of it only shrinks.

    provided, tests: lines; wordy: answers whose beat has more words; crowded: answers with more lines of code between
    them and the answer above; long_tests: visible tests with more lines; chatty: tests with more calls.
    """

    provided: int
    tests: int
    wordy: tuple = ()
    crowded: tuple = ()
    long_tests: tuple = ()
    chatty: tuple = ()


LISTED = {
    "01_tensor": Listed(
        provided=609,
        tests=281,
        wordy=("broadcast_shape", "add"),
    ),
    "02_activations": Listed(
        provided=274,
        tests=183,
        wordy=("relu", "softmax_along", "in_blocks"),
    ),
    "03_layers": Listed(
        provided=393,
        tests=272,
        wordy=("walk_parameters", "Dropout"),
    ),
    "04_losses": Listed(
        provided=186,
        tests=302,
        wordy=("mse_loss", "log_softmax"),
    ),
    "05_autograd": Listed(
        provided=378,
        tests=570,
    ),
    "06_optimizers": Listed(
        provided=562,
        tests=259,
        wordy=("sgd_update", "adam_update"),
    ),
    "07_training": Listed(
        provided=589,
        tests=350,
        wordy=("RunningMean", "training_step", "collect_state"),
        crowded=("evaluate", "collect_state"),
        long_tests=("test-evaluate-traces", "test-collect_state", "test-restore_state", "test-module"),
    ),
    "08_dataloader": Listed(
        provided=491,
        tests=409,
        wordy=("TensorDataset", "normalize", "idx_header"),
        crowded=("idx_header",),
    ),
    "09_spatial": Listed(
        provided=476,
        tests=540,
        wordy=("im2col",),
        crowded=("im2col",),
    ),
    "11_embeddings": Listed(
        provided=200,
        tests=275,
        wordy=("one_hot",),
    ),
    "12_attention": Listed(
        provided=246,
        tests=418,
    ),
    "13_transformers": Listed(
        provided=310,
        tests=413,
        wordy=("layer_norm",),
    ),
    "15_quantization": Listed(
        provided=316,
        tests=402,
    ),
    "16_compression": Listed(
        provided=325,
        tests=383,
    ),
    "18_acceleration": Listed(
        provided=354,
        tests=361,
    ),
    "21_residual": Listed(
        provided=249,
        tests=394,
        wordy=("channel_statistics",),
    ),
}


def lines(source):
    return [line for line in source.split("\n") if line.strip()]


def measured(node):
    """(provided, tests): the lines of a notebook with solutions."""
    counts = {"provided": 0, "test": 0}
    for _, cell in notebooks.code_cells(node):
        kind = kind_of(cell) or "provided"
        if kind in counts:
            counts[kind] += len(lines(cell.source))
    return tuple(counts.values())


def beats(node):
    """(name of the answer, words, unfolded lines of code) of every beat of a notebook as students get it."""
    words = code = 0
    for cell in node.cells:
        if notebooks.is_solution(cell):
            yield notebooks.grade_id(cell), words, code
            words = code = 0
        elif cell.cell_type == "markdown":
            words += len(cell.source.split())
        elif not notebooks.is_folded(cell):
            code += len(lines(cell.source))


def over_the_bounds(stripped):
    """What the fields of Listed name: {"wordy": …, "crowded": …, "long_tests": …} of a notebook as students get it."""
    found = list(beats(stripped))
    tests = [cell for cell in stripped.cells if notebooks.is_test(cell)]
    return {
        "wordy": tuple(name for name, words, _ in found if words > WORDS),
        "crowded": tuple(name for name, _, code in found[1:] if code > LINES_BETWEEN),
        "long_tests": tuple(notebooks.grade_id(cell) for cell in tests if len(lines(cell.source)) > VISIBLE_TEST),
    }


@pytest.fixture(scope="module")
def sources(project, catalog):
    return {module.name: notebooks.load(project, module.percent) for module in catalog}


def test_a_module_has_at_most_fourteen_answers(sources):
    counts = {name: sum(map(notebooks.is_solution, source.node.cells)) for name, source in sources.items()}
    assert {name: count for name, count in counts.items() if count > GRADED_CELLS} == {}


def test_lines_of_provided_code_and_of_tests_only_fall(sources):
    said = []
    for name in sources.keys() & LISTED.keys():
        listed = LISTED[name]
        limits = {"provided": listed.provided, "tests": listed.tests}
        for (what, limit), count in zip(limits.items(), measured(sources[name].node), strict=True):
            if count > limit:
                said.append(f"{name}: {what}={count} lines, {limit} are listed: shorten them")
            if count < limit - SLACK:
                said.append(f"{name}: {what}={count} lines, {limit} are listed: write the smaller number into LISTED")
    assert said == []


def test_what_is_over_a_bound_only_shrinks(sources):
    said = []
    for name, source in sources.items():
        listed = LISTED.get(name, Listed(0, 0))
        for what, found in over_the_bounds(strip.strip(source.node)).items():
            known = getattr(listed, what)
            said += [f"{name}: {one} is over the bound: {what}" for one in found if one not in known]
            said += [f"{name}: {one} is within it now, delete it: {what}" for one in known if one not in found]
    assert said == []


def test_a_new_module_is_short_and_at_most_a_quarter_of_it_is_provided(sources):
    for name in sources.keys() - LISTED.keys():
        total = len(sources[name].path.read_text(encoding="utf-8").splitlines())
        provided, _ = measured(sources[name].node)
        assert total <= NEW_MODULE, f"{name}: {total} lines"
        assert provided <= total / 4, f"{name}: {provided} of {total} lines are provided code"


def test_a_module_that_is_listed_is_there(sources):
    assert LISTED.keys() <= sources.keys()


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "modules").glob("[0-9]*/"))])
def test_a_test_calls_into_the_notebook_at_most_five_hundred_times(project, catalog, sources, tmp_path, name):
    """An answer is counted wherever the test reaches it: by name, by an operator, as an iterator, through expect."""
    path = tmp_path / catalog[name].notebook.name
    notebooks.write(sources[name].node, path)
    with views.view(project, catalog.prerequisites(catalog[name])) as folder:
        environment = {**views.child_environment(folder, is_view=True), "MPLBACKEND": "Agg"}
        environment["PYTHONPATH"] += os.pathsep + str(project.root)
        program = project.root / "tests" / "support" / "count_calls.py"
        child = subprocess.run(
            [sys.executable, program, path], env=environment, capture_output=True, encoding="utf-8", cwd=tmp_path
        )
    assert child.returncode == 0, child.stderr
    counts = json.loads(child.stdout.splitlines()[-1])
    assert len(counts) == sum(map(notebooks.is_test, sources[name].node.cells))
    chatty = {test for test, count in counts.items() if count > CALLS}
    known = set(LISTED[name].chatty) if name in LISTED else set()
    assert chatty <= known, f"more than {CALLS} calls: {sorted(chatty - known)}"
    assert known <= chatty, f"no longer chatty, delete it from LISTED: {sorted(known - chatty)}"


def cell(kind, body, grade_id="", folded=False):
    maker = v4.new_markdown_cell if kind == "markdown" else v4.new_code_cell
    grade = {"grade": kind == "test", "solution": kind == "solution", "locked": kind != "solution"}
    metadata = {"nbgrader": {**grade, "grade_id": grade_id}} if grade_id else {}
    return maker(body, metadata=metadata | ({"jupyter": {"source_hidden": True}} if folded else {}))


def test_what_is_over_a_bound_is_found():
    node = v4.new_notebook(
        cells=[
            cell("markdown", "word " * 300),
            cell("free", "x = 1\n\n" * 61),
            cell("solution", "pass", "first"),
            cell("test", "# seen\n" * 26, "test-first"),
            cell("markdown", "word " * 200),
            cell("provided", "x = 1\n" * 34, "provided-one"),
            cell("provided", "x = 1\n" * 50, "provided-two", folded=True),
            cell("solution", "pass", "second"),
            cell("test", "# seen\n" * 25, "test-second"),
            cell("markdown", "word " * 301),
            cell("free", "x = 1\n" * 36),
            cell("solution", "pass", "third"),
            cell("free", "x = 1\n" * 99),
        ]
    )
    assert over_the_bounds(node) == {"wordy": ("third",), "crowded": ("third",), "long_tests": ("test-first",)}
    assert measured(node) == (61 + 34 + 50 + 36 + 99, 51)


def test_calls_are_counted_by_name_by_operator_as_an_iterator_and_through_expect():
    answer = "class Box:\n    def __add__(self, other):\n        return helper()\n\ndef helper():\n    return 1\n\n"
    answer += "def numbers():\n    yield from range(3)\n"
    test = "from tinytorch.notebook import expect, expect_error\n"
    test += "def own(x):\n    return x\n\nexpect(own(Box() + 1), 1, 'one')\nassert len(list(numbers())) == 3\n"
    test += "expect_error(TypeError, 'positional', lambda: helper(1))\n[helper() for _ in range(5)]\n"
    node = v4.new_notebook(cells=[cell("solution", answer, "Box"), cell("test", test, "test-Box")])
    assert run(node) == {"test-Box": 1 + 4 + 5}, "an operator, a generator's three values and its end, five calls"
