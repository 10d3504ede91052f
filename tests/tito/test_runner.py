"""What running a notebook says about every kind of answer, of damage and of trick."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.errors import ProjectError, WorkError
from tito.project import Project
from tito.services import kernel, pristine, runner

pytestmark = pytest.mark.kernel

STUB = '    # YOUR CODE HERE\n    raise NotImplementedError("{}: write this cell")\n'
TOML = 'title = "Kinds"\nsummary = "Every kind"\nprerequisites = []\nhours = 1\ndifficulty = 1\n'


def code(source, grade_id=None, tags=None, kind="code", **grading):
    metadata = {"tags": tags} if tags else {}
    if grade_id:
        kinds = {"grade": False, "locked": False, "solution": False, "schema_version": 3, "task": False}
        metadata["nbgrader"] = {**kinds, "grade_id": grade_id, **grading}
    cell = {"cell_type": kind, "metadata": metadata, "source": source, "id": "x"}
    return {**cell, "outputs": [], "execution_count": None} if kind == "code" else cell


def stub(name):
    """An unwritten function."""
    return solution(name, f"#| export\ndef {name}(x):\n" + STUB.format(name))


def solution(name, source):
    return code(source, name, solution=True)


def function(name, body):
    return solution(name, f"#| export\ndef {name}(x):\n    {body}\n")


def check(name, source, points=1):
    return code(source, f"test-{name}", grade=True, locked=True, points=points)


class Course:
    """A workspace of one module with the given notebook, handed out as `handed_out`."""

    def __init__(self, root, cells, handed_out=None):
        self.project = Project(root, "workspace", "1")
        self.write("tinytorch/__init__.py", "")
        self.write("tinytorch/core/__init__.py", "")
        self.write("modules/01_kinds/module.toml", TOML)
        self.catalog = read_catalog(self.project)
        self.module = self.catalog.find("kinds")
        self.save(cells)
        self.write(".tito/stubs/01_kinds.ipynb", notebook(cells if handed_out is None else handed_out))
        pristine.write_manifest(self.project, self.catalog)

    def write(self, path, text):
        file = self.project.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def save(self, cells):
        self.write("modules/01_kinds/kinds_dev.ipynb", notebook(cells))

    def run(self, **options):
        return runner.run(self.project, self.catalog, self.module, **options)


def notebook(cells):
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def by_name(report):
    return {cell.grade_id: cell for cell in report.cells}


# One run with every kind of answer and of damage: (what was handed out, what the student saved, per cell).
MEASURE = "from pathlib import Path\nPath('measured.txt').touch()"
HANDED_OUT = [
    code("#| export\nimport math", "provided-imports", locked=True),
    stub("right"),
    check("right", "assert right(2) == 4, 'two and two'", 3),
    code("# Withheld: more numbers.", "test-right-hidden", grade=True, locked=True, points=2),
    stub("wrong"),
    check("wrong", "\nassert wrong(2) == 4, f'wrong(2): expected 4, got {wrong(2)}'", 5),
    check("wrong-mute", "assert wrong(2) == 4"),
    check("wrong-elsewhere", "assert wrong(2) == 2"),
    stub("raising"),
    check("raising", "raising(0)"),
    stub("unwritten"),
    check("unwritten", "unwritten(1)"),
    stub("needing"),
    check("needing", "assert needing(1) == 1"),
    stub("unparsed"),
    check("unparsed", "unparsed(1)"),
    stub("after_unparsed"),
    check("after_unparsed", "after_unparsed(1)"),
    stub("stopping"),
    check("stopping", "assert stopping(1) == 1"),
    stub("own_words"),
    check("own_words", "own_words(1)"),
    stub("leaving"),
    check("leaving", "leaving(1)"),
    stub("shouting"),
    check("shouting", "assert shouting(1) == 1, 'no'"),
    stub("weakened"),
    check("weakened", "assert weakened(1) == 1, 'the original'", 4),
    stub("robbed"),
    check("robbed", "x = 1\nassert robbed(1) == 1, 'the restored'"),
    stub("copied"),
    check("copied", "assert copied(1) == 1", 2),
    stub("tagged"),
    check("tagged", "assert tagged(1) == 1, 'not skipped'"),
    stub("dropped"),
    check("dropped", "dropped(1)"),
    stub("renamed"),
    check("renamed", "renamed(1)"),
    stub("reformatted"),
    check("reformatted", "assert reformatted(1) == 1\n"),
    code(MEASURE, tags=["measure"]),
    check("module", "assert reformatted(1) == 1 and wrong(1) == 2"),
    code("Why?", "written-why", kind="markdown", grade=True, solution=True, points=6),
]


def student_version():
    """HANDED_OUT, worked on."""
    answers = {
        "right": "return math.floor(2 * x)",
        "wrong": "return x",
        "raising": "return 1 / x",
        "needing": "return unwritten(x)",
        "own_words": "raise NotImplementedError('floats are for another day')",
        "leaving": "import sys; sys.exit(0)",
        "shouting": "print('passed'); print({'status': 'ok'}); return 0",
        "weakened": "return 0",
        "robbed": "return 0",
        "copied": "return 1",
        "tagged": "return 0",
        "reformatted": "return 1",
        "after_unparsed": "return unparsed(x)",
    }
    others = {
        "unparsed": solution("unparsed", "#| export\ndef unparsed(x):\n    return (x\n"),
        "stopping": solution("stopping", "#| export\ndef stopping(x):\n    return x\nstopping(1, 2)\n"),
        "renamed": solution("renamed", "#| export\ndef something_else(x):\n    return x\n"),
        "test-weakened": check("weakened", "assert True", 4),
        "test-tagged": {**check("tagged", "assert True"), "metadata": {
            "tags": ["measure"], "nbgrader": check("tagged", "")["metadata"]["nbgrader"]}},
        "test-reformatted": check("reformatted", "assert reformatted(1) == 1   \n\n"),
    }  # fmt: skip
    cells = []
    for cell in HANDED_OUT:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in ("test-robbed", "dropped"):
            continue
        if name in answers:
            cell = function(name, answers[name])
        cells.append(others.get(name, cell))
        if name == "test-copied":
            cells += [cell, check("forged", "assert True", 100)]
    return cells


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    course = Course(tmp_path_factory.mktemp("kinds").resolve(), student_version(), HANDED_OUT)
    before = course.module.notebook.read_bytes()
    report = course.run()
    assert course.module.notebook.read_bytes() == before, "the student's file stays as it is"
    assert not (course.module.folder / "measured.txt").exists(), "measure cells are skipped"
    return report


def number_of(grade_id):
    """The number that a person sees at the cell in the student's file."""
    names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in student_version()]
    return names.index(grade_id) + 1


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("right", "passed", ""),
        ("wrong", "failed", "wrong(2): expected 4, got 2"),
        ("wrong-mute", "failed", "this does not hold: assert wrong(2) == 4"),
        ("wrong-elsewhere", "passed", ""),
        ("raising", "failed", "ZeroDivisionError: division by zero, from `raising(0)` in the test"),
        ("unwritten", "todo", "not written yet"),
        ("needing", "blocked", "needs unwritten, which is not written yet"),
        ("unparsed", "crashed", "the answer unparsed stopped: SyntaxError: "),
        ("after_unparsed", "blocked", "needs unparsed, which stopped: SyntaxError: "),
        ("stopping", "crashed", "the answer stopping stopped: TypeError: stopping() takes 1"),
        ("own_words", "failed", "NotImplementedError: floats are for another day"),
        ("leaving", "failed", "SystemExit: 0"),
        ("shouting", "failed", "no"),
        ("weakened", "failed", "the original"),
        ("robbed", "failed", "the restored"),
        ("copied", "passed", ""),
        ("tagged", "failed", "not skipped"),
        (
            "dropped",
            "todo",
            "needs dropped, but the cell dropped is missing from the notebook; its stub comes back with: "
            "tito module reset 01_kinds dropped",
        ),
        (
            "renamed",
            "todo",
            "needs renamed, but the cell renamed ({cell}) does not define it any more; its stub comes "
            "back with: tito module reset 01_kinds renamed",
        ),
        ("reformatted", "passed", ""),
        ("module", "blocked", "blocked by wrong: its test test-wrong fails; fix that first"),
    ],  # fmt: skip
)
def test_verdicts(kinds, name, status, message):
    cell = by_name(kinds)[f"test-{name}"]
    assert cell.status == status
    number = number_of(name) if "{cell}" in message else ""
    assert cell.message.startswith(message.replace("{cell}", f"cell {number}")), cell.message
    assert (cell.points == cell.max_points) == (status == "passed")
    assert cell.points == 0 or status == "passed"


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("wrong", "in `wrong` ({})"),
        ("raising", "in `raising`: `return 1 / x` ({}, line 3)"),
        ("unwritten", "in `unwritten` ({})"),
        ("unparsed", "in `return (x` ({}, line 3)"),
        ("stopping", "in `stopping(1, 2)` ({}, line 4)"),
        ("needing", "in `unwritten` ({})"),
        ("robbed", "in `robbed` ({})"),
    ],
)
def test_the_place_is_the_students_own_function_and_line(kinds, name, where):
    cell = number_of("unwritten" if name == "needing" else name)
    assert by_name(kinds)[f"test-{name}"].where == where.format(f"cell {cell}")


def test_an_error_that_a_test_did_not_expect_is_shown_where_the_student_raised_it(tmp_path):
    expect = "def expect(f, x):\n    try:\n        f(x)\n    except ValueError:\n        return\n"
    expect += "    except Exception as error:\n        raise AssertionError(f'{x}: no ValueError') from error"
    course = Course(
        tmp_path.resolve(),
        [
            code(expect, "provided-expect", locked=True),
            solution("share", "def share(x):\n    def part(y):\n        return 1 / y\n    return part(x)"),
            check("share", "def test_unit():\n    for x in [2, 0]:\n        share(x)\ntest_unit()"),
            check("share-errors", "expect(share, 0)"),
            function("nothing", "x.sort()"),
            check("nothing", "got = nothing([2])\nassert got[0] == 2"),
        ],
    )
    cells = by_name(course.run())
    line = "in `share.part`: `return 1 / y` (cell 2, line 3)"
    assert cells["test-share"].message == "ZeroDivisionError: division by zero, from `share(x)` in the test"
    assert cells["test-share"].where == line
    assert cells["test-share"].trace == (
        "test-share, line 4: test_unit()",
        "test-share, in test_unit, line 3: share(x)",
        "share, in share, line 4: return part(x)",
        "share, in share.part, line 3: return 1 / y",
    )
    assert (cells["test-share-errors"].message, cells["test-share-errors"].where) == ("0: no ValueError", line)
    words = "TypeError: 'NoneType' object is not subscriptable, from `assert got[0] == 2` in the test"
    assert (cells["test-nothing"].message, cells["test-nothing"].where) == (words, "in `nothing` (cell 5)")


def test_an_error_in_an_earlier_answer_is_shown_with_the_line_that_called_it(tmp_path):
    course = Course(
        tmp_path.resolve(),
        [
            solution("half", "def half(x):\n    return x / 2"),
            check("half", "assert half(4) == 2"),
            solution("quarter", "def quarter(x):\n    text = str(x)\n    return half(half(text))"),
            check("quarter", "assert quarter(4) == 1"),
            solution("emptied", "# nothing is left of it"),
            check("emptied", "assert emptied(4) == 1"),
        ],
        [
            *[stub("half"), check("half", "assert half(4) == 2"), stub("quarter")],
            *[check("quarter", "assert quarter(4) == 1"), stub("emptied"), check("emptied", "assert emptied(4) == 1")],
        ],
    )
    cells = by_name(course.run())
    assert cells["test-half"].status == "passed"
    quarter, called = cells["test-quarter"], "called in `quarter`: `return half(half(text))` (cell 3, line 3)"
    assert (quarter.status, quarter.where) == ("failed", f"in `half`: `return x / 2` (cell 1, line 2), {called}")
    assert cells["test-emptied"].status == "todo"
    assert "the cell emptied (cell 5) does not define it any more" in cells["test-emptied"].message


@pytest.mark.parametrize("with_what", ["open(os.devnull)", "suppress(KeyError), suppress(KeyError)"])
def test_the_line_of_an_error_in_a_with_inside_of_try_and_finally_is_the_one_that_raised_it(tmp_path, with_what):
    body = f"""
import os
from contextlib import suppress
def guarded(x):
    kept = x
    try:
        with {with_what}:
            kept = 1
            value = 1 / x
            kept = 2
    finally:
        kept = 3
        del kept
    return value
"""
    course = Course(tmp_path.resolve(), [solution("guarded", body.strip()), check("guarded", "guarded(0)")])
    assert by_name(course.run())["test-guarded"].where == "in `guarded`: `value = 1 / x` (cell 1, line 8)"


def test_rows_stand_in_the_order_of_the_notebook_and_count_once(kinds):
    tests = [cell["metadata"]["nbgrader"] for cell in HANDED_OUT if "nbgrader" in cell["metadata"]]
    expected = [one["grade_id"] for one in tests if one["grade"] and not one["solution"]]
    expected.remove("test-right-hidden")
    assert [cell.grade_id for cell in kinds.cells] == expected
    # right 3, wrong-elsewhere 1, copied 2, reformatted 1
    assert (kinds.points, kinds.max_points) == (7, 31)
    assert (kinds.withheld, kinds.written) == (2, 6)
    assert not kinds.passed


def test_every_kind_of_damage_gets_one_warning(kinds):
    edited = ", ".join(f"{name} (cell {number_of(name)})" for name in ("test-weakened", "test-tagged"))
    expected = [
        f"2 cells that stay as they are were edited; they ran as they were handed out: {edited}",
        f"cell {number_of('test-copied') + 1} (test-copied) is a copy of an earlier locked cell; it was left out",
        f"cell {number_of('test-forged')} (test-forged) is not a cell of this notebook; it earns no points",
        "the answer dropped is missing from the notebook",
        "the locked cell test-robbed was deleted; it ran as it was handed out",
    ]
    assert sorted(kinds.warnings) == sorted(expected)


def test_the_untouched_notebook_earns_nothing(tmp_path):
    report = Course(tmp_path.resolve(), HANDED_OUT).run()
    assert report.points == 0
    assert {cell.status for cell in report.cells if cell.grade_id != "test-module"} == {"todo"}
    assert by_name(report)["test-module"].status == "blocked", "it is no test of the answer above it"
    assert report.warnings == ()


def test_an_endless_loop_costs_its_question_and_the_run_goes_on(tmp_path):
    course = Course(
        tmp_path.resolve(),
        [
            function("first", "return x"),
            check("first", "assert first(1) == 1"),
            function("endless", "while True: print('still here')"),
            check("endless", "endless(1)"),
            solution("loop", "def loop(x): return x\nwhile True: pass"),
            check("loop", "loop(1)"),
            function("last", "return x"),
            check("last", "assert last(1) == 1"),
        ],
    )
    report = course.run(cell_seconds=1)
    cells = by_name(report)
    assert [cell.status for cell in report.cells] == ["passed", "timeout", "timeout", "passed"]
    assert cells["test-endless"].message == "did not finish within 1 s"
    assert cells["test-loop"].message == "the answer loop did not finish within 1 s"
    assert 1 <= cells["test-endless"].seconds < 4


def test_a_loop_that_ignores_the_interrupt_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "INTERRUPT_SECONDS", 1)
    stubborn = "import time\nwhile True:\n    try: time.sleep(9)\n    except KeyboardInterrupt: pass"
    course = Course(
        tmp_path.resolve(),
        [check("before", "pass"), function("a", "return x"), check("a", stubborn), check("later", "pass")],
    )
    report = course.run(cell_seconds=1)
    assert [cell.status for cell in report.cells] == ["passed", "timeout", "blocked"]
    message = "not run: the kernel had to be stopped in test-a (did not finish within 1 s)"
    assert by_name(report)["test-later"].message == message


def test_the_limit_for_the_whole_notebook(tmp_path):
    sleep = "import time; time.sleep(0.6)"
    course = Course(tmp_path.resolve(), [check(str(number), sleep) for number in range(4)])
    report = course.run(total_seconds=1)
    assert [cell.status for cell in report.cells] == ["passed", "timeout", "blocked", "blocked"]
    expected = "not run: the time for the whole notebook, 1 s, was over in test-1"
    assert report.cells[3].message.startswith(expected)


@pytest.mark.parametrize("blank", ["", "\n", "   \n\n"])
def test_a_blank_cell_is_no_fault_and_a_blank_answer_is_one_of_the_student(tmp_path, blank):
    """JupyterLab adds an empty cell behind the last one that is run."""
    cells = [function("a", "return x"), check("a", "assert a(1) == 1"), code(blank)]
    report = Course(tmp_path / "free", cells).run()
    assert [cell.status for cell in report.cells] == ["passed"]
    empty = [solution("a", blank), check("a", "assert a(1) == 1"), code(blank)]
    report = Course(tmp_path / "answer", empty, handed_out=[stub("a"), *cells[1:]]).run()
    assert [cell.points for cell in report.cells] == [0] and report.cells[0].status != "passed"


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        ("import os; os._exit(0)", "exit code 0"),
        ("exit()", "it called exit()"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "signal SIGSEGV",
            marks=pytest.mark.skipif(os.name == "nt", reason="signals"),
        ),
    ],
)
def test_a_dead_kernel_is_never_a_pass(tmp_path, death, reason):
    course = Course(
        tmp_path.resolve(),
        [
            function("first", "return x"),
            check("first", "assert first(1) == 1"),
            function("deadly", "return x"),
            check("deadly", death),
            check("later", "pass"),
        ],
    )
    report = course.run()
    assert [cell.status for cell in report.cells] == ["passed", "crashed", "blocked"]
    assert report.cells[1].message == f"the kernel died ({reason})"
    assert report.cells[2].message == f"not run: the kernel died in test-deadly ({reason})"


def test_an_answer_that_kills_the_kernel_is_a_crash_of_its_question(tmp_path):
    deadly = solution("deadly", "def deadly(x): return x\nimport os; os._exit(0)")
    course = Course(tmp_path.resolve(), [deadly, check("deadly", "pass"), stub("later"), check("later", "pass")])
    report = course.run()
    assert [cell.status for cell in report.cells] == ["crashed", "blocked"]
    assert report.cells[0].message == "the kernel died in the answer deadly (exit code 0)"


def test_measure_cells_run_on_request_and_then_have_to_run(tmp_path):
    cells = [check("a", "pass"), code(MEASURE, tags=["measure"]), code("1 / 0", tags=["measure"])]
    course = Course(tmp_path.resolve(), cells)
    assert course.run().passed
    report = course.run(measure=True)
    assert (course.module.folder / "measured.txt").exists(), "cells run in the folder of the module"
    assert not report.passed
    assert report.stopped == ("cell 3: ZeroDivisionError: division by zero, in `1 / 0` (cell 3, line 1)",)


def test_restored_cells_go_where_they_were_among_cells_that_the_student_wrote(tmp_path):
    handed_out = [
        code("# Title", kind="markdown"),
        code("value = 1", "provided-value", locked=True),
        function("f", "return x"),
        check("f", "assert f(value) == 1"),
        code("value = 2", "provided-two", locked=True),
        check("two", "assert f(value) == 2"),
    ]
    saved = [code("# My title", kind="markdown"), code("mine = 0"), handed_out[2], code("# note", kind="markdown")]
    report = Course(tmp_path.resolve(), saved, handed_out).run()
    assert [cell.status for cell in report.cells] == ["passed", "passed"]
    (warning,) = report.warnings
    assert warning.startswith("4 locked cells were deleted; ")


@pytest.mark.parametrize("damage", ["missing", "altered", "no manifest"])
def test_without_a_pristine_copy_the_notebook_counts_as_it_is(tmp_path, damage):
    course = Course(tmp_path.resolve(), [check("a", "assert False, 'mine'")], [check("a", "pass")])
    stub_file = course.project.stubs / "01_kinds.ipynb"
    if damage == "missing":
        stub_file.unlink()
    elif damage == "altered":
        stub_file.write_text(notebook([check("a", "pass  # easier")]), encoding="utf-8")
    else:
        (course.project.stubs / "manifest.json").unlink()
    report = course.run()
    assert report.cells[0].message == "mine"
    assert report.warnings[0].startswith("deleted or edited tests cannot be restored: .tito/stubs/")


def test_no_graded_cell_is_a_failure(tmp_path):
    course = Course(tmp_path.resolve(), [code("1 + 1")], [])
    with pytest.raises(WorkError, match="has no graded cell to run") as caught:
        course.run()
    assert (caught.value.code, caught.value.exit_code) == ("no-tests", 1)


@pytest.mark.parametrize("text", ['{"cells": [', "", '{"nbformat": 4}'], ids=["half", "empty", "no cells"])
def test_a_notebook_that_does_not_parse_is_a_failure(tmp_path, text):
    course = Course(tmp_path.resolve(), [check("a", "pass")])
    course.write("modules/01_kinds/kinds_dev.ipynb", text)
    with pytest.raises(WorkError) as caught:
        course.run()
    assert caught.value.code == "unreadable"
    assert "modules/01_kinds/kinds_dev.ipynb" in caught.value.message


def test_the_kernel_must_import_the_view(tmp_path):
    """A `tinytorch` that turns up from elsewhere is found out before a cell runs."""
    course = Course(tmp_path.resolve(), [check("a", "open('ran.txt', 'w').close()")])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    course.write("tinytorch/__init__.py", f"__path__ = [{str(elsewhere)!r}]\n")
    with pytest.raises(ProjectError, match="imports tinytorch from") as caught:
        course.run()
    assert caught.value.code == "wrong-environment"
    assert not (course.module.folder / "ran.txt").exists()


def test_a_package_that_does_not_import_is_named(tmp_path):
    course = Course(tmp_path.resolve(), [check("a", "pass")])
    course.write("tinytorch/__init__.py", "raise RuntimeError('half-written')\n")
    with pytest.raises(ProjectError, match="RuntimeError: half-written"):
        course.run()


def test_the_users_kernels_and_startup_files_are_left_out(tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("leftover = 1\n", encoding="utf-8")
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": [sys.executable, "-c", "0"], "display_name": "x", "language": "python"}), encoding="utf-8"
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    course = Course((tmp_path / "course").resolve(), [check("a", "assert 'leftover' not in globals()")])
    assert course.run().passed


def test_only_modules_below_can_be_imported(tmp_path):
    cells = [check("a", "import importlib.util\nassert importlib.util.find_spec('tinytorch.core.kinds') is None")]
    course = Course(tmp_path.resolve(), cells)
    course.write("tinytorch/core/kinds.py", "x = 1\n")
    assert course.run().passed


def test_the_report_says_when_the_file_was_saved(tmp_path):
    course = Course(tmp_path.resolve(), [check("a", "pass")])
    moment = time.time() - 3600
    os.utime(course.module.notebook, (moment, moment))
    seen = []
    report = course.run(on_cell=lambda done, total, title: seen.append((done, total)))
    assert abs(report.saved.timestamp() - moment) < 1
    assert seen == [(0, 1)]
    assert not list(Path(course.project.state / "views").iterdir()), "views are removed"


def test_what_is_compared_with_an_earlier_wrong_answer_is_blocked_by_it(tmp_path):
    course = Course(
        tmp_path.resolve(),
        [
            function("loops", "return 3 * x"),
            check("loops", "assert loops(1) == 2, 'loops of 1'"),
            function("unwritten", "raise NotImplementedError('unwritten: write this cell')"),
            check("unwritten", "unwritten(1)"),
            function("product", "return 2 * x"),
            check("product", "assert product(1) == loops(1), 'differs from the loops'"),
            check("product-values", "assert product(1) == 2"),
            function("apart", "return x"),
            check("apart", "assert apart(1) == 2, 'nothing to do with the loops'"),
            function("careless", "\n    try:\n        return unwritten(x)\n    except Exception:\n        return 0"),
            check("careless", "assert careless(1) == 1"),
            function("endless", "while loops(1): pass"),
            check("endless", "endless(1)"),
            solution("broken", "def broken(x):\n    return loops(x)\nassert broken(1) == 2"),
            check("broken", "broken(1)"),
            solution("unparsed", "def unparsed(x):\n    return loops(x"),
            check("unparsed", "assert unparsed(1) == loops(1)"),
            check("module", "assert product(1) == loops(1)"),
        ],
    )
    report = course.run(cell_seconds=1)
    by_loops = "blocked by loops: its test test-loops fails; fix that first"
    expected = {
        "test-loops": ("failed", "loops of 1"),
        "test-unwritten": ("todo", "not written yet"),
        "test-product": ("blocked", by_loops),
        "test-product-values": ("passed", ""),
        "test-apart": ("failed", "nothing to do with the loops"),
        "test-careless": ("blocked", "blocked by unwritten: it is not written yet"),
        "test-endless": ("blocked", by_loops),
        "test-broken": ("blocked", by_loops),
        "test-module": ("blocked", by_loops),
    }
    found = {cell.grade_id: (cell.status, cell.message) for cell in report.cells}
    assert found.pop("test-unparsed")[0] == "crashed", "its own mistake, whatever the loops do"
    assert found == expected


def test_what_measured_cells_print_is_shown_and_the_notebook_becomes_a_page(tmp_path):
    picture = "from IPython.display import Image, display\ndisplay(Image(data=b'\\x89PNG', format='png'))\n'last'"
    cells = [
        code("# A *title*", kind="markdown"),
        check("a", "print('not shown')"),
        code("for step in range(2):\n    print('step', step)\n" + picture, tags=["measure"]),
    ]
    course = Course(tmp_path.resolve(), cells)
    report = course.run(measure=True)
    assert report.measured == (("cell 3", "step 0\nstep 1\n(a picture)\n'last'"),)
    page = report.page.read_text(encoding="utf-8")
    assert report.page == course.project.root / ".tito" / "pages" / "01_kinds.html"
    assert all(text in page for text in ("<em>title</em>", "step 1", "data:image/png;base64"))
    assert course.run().page is None and course.run().measured == ()


def test_without_the_templates_of_nbconvert_the_points_stand_and_the_page_is_a_plain_one(tmp_path, monkeypatch):
    import nbconvert

    class WithoutTemplates(nbconvert.HTMLExporter):
        template_name = "lab-that-is-not-there"

    monkeypatch.setattr(nbconvert, "HTMLExporter", WithoutTemplates)
    picture = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n'<last>'"
    text = code("# A title with <b>", kind="markdown")
    measured = code("print('1 < 2')\n" + picture, tags=["measure"])
    course = Course(tmp_path.resolve(), [text, check("a", "pass", 3), measured])
    report = course.run(measure=True)
    assert (report.points, report.passed) == (3, True) and report.measured[0][1].startswith("1 < 2")
    assert "lab-that-is-not-there" in report.warnings[0] and "pip install" in report.warnings[0]
    page = report.page.read_text(encoding="utf-8")
    shown = ("A title with &lt;b&gt;", "1 &lt; 2", "data:image/png;base64,iVBOR", "&lt;last&gt;")
    assert all(text in page for text in shown)


def test_a_measured_cell_that_stops_says_why(tmp_path):
    halfway = code("print('half of it')\na(2)\nprint('all')", tags=["measure"])
    report = Course(tmp_path.resolve(), [stub("a"), check("a", "assert a(1) == 1"), halfway]).run(measure=True)
    ((place, said),) = report.measured
    assert place == "cell 3" and said.startswith("half of it\nstopped: ") and "a" in said.partition("stopped: ")[2]


def test_measured_cells_have_a_limit_of_their_own(tmp_path):
    sleep = "import time; time.sleep(1.2)"
    course = Course(tmp_path.resolve(), [check("a", "pass"), code(sleep, tags=["measure"])])
    assert course.run(measure=True, cell_seconds=0.5, total_seconds=1).passed
    report = course.run(measure=True, measure_seconds=0.5)
    assert report.stopped == ("cell 2: did not finish within 0.5 s",)


def test_a_loop_without_end_is_waited_for_once(tmp_path):
    course = Course(
        tmp_path.resolve(),
        [
            function("endless", "while x: pass"),
            check("endless", "endless(1)"),
            check("endless-again", "endless(1)"),
            check("endless-zero", "endless(0)"),
            function("calling", "return endless(x)"),
            check("calling", "calling(1)"),
            function("apart", "import time; time.sleep(1.5)"),
            check("apart", "apart(1)"),
        ],
    )
    cells = by_name(course.run(cell_seconds=10))
    statuses = {name.removeprefix("test-"): cell.status for name, cell in cells.items()}
    assert statuses == {
        "endless": "timeout", "endless-again": "timeout", "endless-zero": "passed", "calling": "blocked",
        "apart": "passed",
    }  # fmt: skip
    assert cells["test-endless"].message == "did not finish within 10 s"
    assert cells["test-endless-again"].message == "did not finish within 1 s"


def test_a_free_cell_that_stops_is_listed_and_costs_nothing(tmp_path):
    cells = [
        stub("later"),
        check("a", "pass"),
        code("later(1)"),
        code("print(1 / 0)"),
        function("wrong", "return [][0]"),
        check("wrong", "wrong(1)"),
        code("wrong(2)"),
    ]
    report = Course(tmp_path.resolve(), cells).run()
    assert report.stopped == (
        "cell 4: ZeroDivisionError: division by zero, in `print(1 / 0)` (cell 4, line 1)",
        "cell 7: blocked by wrong: its test test-wrong fails; fix that first, in `wrong` (cell 5)",
    )
    assert Course(tmp_path.resolve(), [check("a", "pass"), code("1 / 0")]).run().passed
