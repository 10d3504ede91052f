"""A submission is read and judged in a process with limits: what is too much for a parser costs one submission."""

import json
import time

import pytest
from nbformat import v4
from one_notebook import HandedIn, by_name, earned, notebook

from tito.errors import WorkError
from tito.services import syntax
from tito.services.grading.scoring import scorer
from tito.services.grading.scoring.readers import Fault, Opened, Readers
from tito.services.grading.scoring.scorer import Task

SIGNS = "foo = " + "-" * 20_000 + "1"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


def changed(kit, change):
    """The bytes of a right submission that `change` has had as JSON."""
    data = json.loads(HandedIn(kit).task().notebook)
    change(data)
    return json.dumps(data).encode()


def refusal(kit, data):
    begin = time.monotonic()
    result = scorer.score(kit, Task("ada", data)).result
    assert result.status == "unreadable" and result.points == 0 and result.max_points == 8
    assert time.monotonic() - begin < 60
    return result.detail


TOO_MUCH = {
    "cells": (lambda data: data["cells"].extend([v4.new_code_cell("1")] * 2000), "cells; tito reads up to 2,000"),
    "code in a cell": (
        lambda data: data["cells"].append(v4.new_code_cell("x = 1\n" * 200_000)),
        "1,200,000 characters of code in cell",
    ),
    "text": (
        lambda data: data["cells"].append(v4.new_markdown_cell("word " * 5_000_000)),
        " MB without its outputs; tito reads up to 20 MB",
    ),
    "bytes": (lambda data: data.update(padding="x" * 101 * 2**20), "MB; tito reads up to 100 MB"),
    "memory": (
        lambda data: data["metadata"].update(many=[{"a": 1}] * 9_000_000),
        "takes more memory to read than there is",
    ),
}


@pytest.mark.parametrize(("change", "reason"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_a_notebook_that_is_too_large_is_unreadable_and_the_number_is_said(kit, change, reason):
    assert reason in refusal(kit, changed(kit, change))


def test_outputs_do_not_count_because_they_are_made_again(kit):
    def change(data):
        code = next(cell for cell in data["cells"] if cell["cell_type"] == "code")
        code["outputs"] = [v4.new_output("stream", text="x" * 30 * 2**20)]

    with kit.readers.open(changed(kit, change), "x.ipynb") as opened:
        assert not any(cell.get("outputs") for cell in opened.read.notebook.cells)
        assert len(opened.read.running) == 10


def test_reading_that_takes_long_ends_by_itself(kit):
    data = changed(kit, lambda data: data["metadata"].update(many=[{"a": 1}] * 3_000_000))
    impatient = Readers(kit.folder, seconds=1)
    try:
        with pytest.raises(WorkError, match="s of processor time or 2 GB of memory"):
            impatient.open(data, "x.ipynb")
        impatient.open(HandedIn(kit).task().notebook, "x.ipynb").close()
    finally:
        impatient.close()


def test_a_cell_on_which_the_parser_runs_out_of_memory_costs_its_own_question(kit):
    """CPython raises MemoryError on a line of 20,000 signs; tito asks that cell whether it defines foo."""
    answers = {"double": "def double(x):\n    raise NameError(\"name 'foo' is not defined\")"}
    result = HandedIn(kit).score(answers, behind={"provided-imports": SIGNS}, second_try=False)
    assert result.status == "graded" and by_name(result)["test-double"].status in ("failed", "blocked")
    with pytest.raises(SyntaxError):
        syntax.bound_and_needed(SIGNS)


def test_where_judging_ends_the_points_are_the_same_and_a_note_says_so(kit, monkeypatch):
    def ends(*_):
        raise Fault("no memory")

    answers = {"total": "def total(values): return 1"}
    whole = HandedIn(kit).score(answers, second_try=False)
    monkeypatch.setattr(Opened, "verdicts", ends)
    plain = HandedIn(kit).score(answers, second_try=False)
    assert earned(plain) == earned(whole) and plain.status == "graded"
    assert plain.detail == "its errors could not be explained: no memory"
    hidden = by_name(plain)["test-total-hidden"]
    assert hidden.message == "this withheld test does not pass" and hidden.where == ""


def test_another_submission_does_not_notice_that_a_server_has_ended(kit):
    data = HandedIn(kit).task().notebook
    kit.readers.open(data, "x.ipynb").close()
    kit.readers.process.kill()
    kit.readers.process.wait()
    with kit.readers.open(data, "x.ipynb") as opened:
        assert opened.read.running


def test_the_server_ends_with_the_kit(tmp_path):
    with notebook(tmp_path) as made:
        made.readers.open(HandedIn(made).task().notebook, "x.ipynb").close()
        process = made.readers.process
        assert process.poll() is None
    assert process.poll() is not None and made.readers.process is None
