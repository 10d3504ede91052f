"""What editors and people do to cells costs no points in a workspace, gains none, and is said."""

import json

import pytest
from nbformat import v4
from situations import SITUATIONS, place
from tiny_course import ANSWERS, Workspace

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks, pristine, rules, runner

NAMES = ("double", "Box", "provided-imports")
situations = pytest.mark.parametrize(
    ("situation", "kinds"), SITUATIONS.items(), ids=[situation.__name__ for situation in SITUATIONS]
)


class Student:
    """A workspace in which module 01 is solved, and what is done to its notebook."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        workspace.solve("01_alpha")
        self.project = read_project(workspace.root)
        self.catalog = read_catalog(self.project)
        self.module = self.catalog.find("alpha")
        self.handed, _ = pristine.read_pristine(self.project, self.module)

    def change(self, situation):
        node = notebooks.load(self.project, self.module.notebook).node
        situation(node, *NAMES)
        notebooks.write(node, self.module.notebook)

    def restored(self):
        return pristine.restore(notebooks.load(self.project, self.module.notebook), self.handed)

    def exported(self):
        source = pristine.load_source(self.project, self.module)
        return source, rules.export_problems(source, self.module, self.catalog)


@pytest.fixture
def student(workspace):
    return Student(workspace)


def run(placed):
    """What running the cells one after the other leaves behind: Python itself is the oracle."""
    space = {}
    for one in placed:
        if one.cell.cell_type == "code" and not notebooks.is_measure(one.cell):
            exec(compile(one.cell.source, "cell", "exec"), space)
    return space


@situations
def test_a_right_notebook_passes_its_tests_whatever_was_done_to_its_cells(student, situation, kinds):
    student.change(situation)
    placed, changes = student.restored()
    assert {change.kind for change in changes} == kinds, pristine.in_words(changes)
    assert len(pristine.in_words(changes)) == len(kinds), "one sentence a kind"
    space = run(placed)
    assert space["double"](4) == 8 and space["Box"](3).grown().size == 6
    locked = [one.cell for one in placed if notebooks.is_locked(one.cell)]
    assert locked == [cell for cell in student.handed.cells if notebooks.is_locked(cell)], "as handed out, in order"


@situations
def test_what_is_exported_is_what_ran(student, situation, kinds):
    student.change(situation)
    source, problems = student.exported()
    assert problems == []
    space = {}
    for _, cell in notebooks.code_cells(source.node):
        if notebooks.is_exported(cell):
            exec(compile(cell.source, "cell", "exec"), space)
    assert space["double"](4) == 8 and space["Box"](3).grown().size == 6


@pytest.mark.kernel
@pytest.mark.parametrize(
    "situation", [one for one in SITUATIONS if one.__name__ in ("metadata_and_ids_lost", "broken_copy_above")]
)
def test_a_module_is_completed_with_it(student, situation):
    student.change(situation)
    done = student.workspace.tito("module", "complete", "01", "--json")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "return 2 * number" in (student.project.core / "alpha.py").read_text(encoding="utf-8")


def test_where_an_error_is_said_in_the_students_own_lines(student):
    def paste(node, *names):
        source = ANSWERS["01_alpha"]["Box"] + "\n\n" + "def double(number):\n    return undefined * number"
        for name in ("double", "Box"):
            del node.cells[place(node, name)]
        node.cells.append(v4.new_code_cell(source))

    student.change(paste)
    report = runner.run(student.project, student.catalog, student.module)
    last = len(notebooks.load(student.project, student.module.notebook).node.cells)
    where = next(cell.where for cell in report.cells if cell.grade_id == "test-double")
    line = ANSWERS["01_alpha"]["Box"].count("\n") + 4
    assert where == f"in `double`: `return undefined * number` (cell {last}, line {line})"


# Nothing is gained.


def test_a_test_without_metadata_that_was_weakened_runs_as_handed_out(student):
    def weaken(node, *names):
        node.cells[place(node, "test-double")].source = "pass"
        for cell in node.cells:
            cell.metadata = {}

    student.change(weaken)
    placed, changes = student.restored()
    assert ("edited", "test-double") in [(change.kind, change.grade_id) for change in changes]
    assert "pass" not in [one.cell.source for one in placed]


def test_a_forged_cell_does_not_replace_a_test(student):
    def forge(node, *names):
        cell = v4.new_code_cell("double = Box = lambda *values: None", id="test-double")
        node.cells.insert(0, cell)
        node.cells.append(v4.new_code_cell("def test_unit_double():\n    pass"))

    student.change(forge)
    placed, _ = student.restored()
    handed = next(cell for cell in student.handed.cells if notebooks.grade_id(cell) == "test-double")
    assert [one.cell for one in placed if notebooks.grade_id(one.cell) == "test-double"] == [handed]


def test_of_two_candidates_the_later_counts_and_both_are_named(student):
    def rewrite(node, *names):
        node.cells.insert(place(node, "double") + 1, v4.new_code_cell("def double(number):\n    return 3 * number"))

    student.change(rewrite)
    placed, changes = student.restored()
    (change,) = changes
    assert (change.kind, change.grade_id) == ("again", "double")
    with pytest.raises(AssertionError):
        run(placed)


def test_an_unwritten_cell_is_no_answer_where_another_cell_has_one(student):
    def write_below(node, *names):
        stub = next(cell for cell in student.handed.cells if notebooks.grade_id(cell) == "double")
        at = place(node, "double")
        node.cells.append(v4.new_code_cell(node.cells[at].source))
        node.cells[at].source = stub.source

    student.change(write_below)
    placed, changes = student.restored()
    assert run(placed)["double"](4) == 8 and [change.kind for change in changes] == ["pasted"]


def test_without_stubs_a_split_answer_is_explained(student):
    student.change(next(one for one in SITUATIONS if one.__name__ == "broken_copy_above"))
    (student.project.stubs / "manifest.json").unlink()
    _, problems = student.exported()
    said = " ".join(problem.message for problem in problems)
    assert "are one cell (double) that was split or copied: merge them (Shift+M) or delete one" in said


def test_changes_are_json(student):
    student.change(next(iter(SITUATIONS)))
    _, changes = student.restored()
    assert json.loads(json.dumps([vars(change) for change in changes]))
