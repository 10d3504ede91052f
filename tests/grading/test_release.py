"""Releases: what students get is the stub of `tito init`, never an answer, and never changed without a word."""

import re
import warnings

import pytest
import tiny_course
from week import Week

import tito.project
from tito.project import Project
from tito.services import notebooks

ASKED = "Why is doubling linear, and why is tripling as well?"


@pytest.fixture
def week(tmp_path, monkeypatch):
    return Week(tmp_path / "course", monkeypatch)


def edit(week, old, new, module="alpha"):
    """Change the percent source of a module."""
    path = week.catalog.find(module).percent
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def released(week, module="alpha"):
    module = week.catalog.find(module)
    return week.course.release / module.name / module.notebook.name


def test_a_release_is_the_notebook_of_a_workspace(week, tmp_path):
    assert week.tito("release", "--all").exit_code == 0
    made = tiny_course.run_tito(week.root, "init", tmp_path / "workspace")
    assert made.exit_code == 0, made.stderr
    for module in week.catalog:
        ours = notebooks.load(week.project, released(week, module.name)).node
        path = tmp_path / "workspace" / "modules" / module.name / module.notebook.name
        theirs = notebooks.load(week.project, path).node
        assert ours.metadata == theirs.metadata
        assert [cell.id for cell in ours.cells] == [cell.id for cell in theirs.cells]
        for mine, other in zip(ours.cells, theirs.cells, strict=True):
            for name in ("checksum", "cell_type"):
                assert mine.metadata.get("nbgrader", {}).pop(name, None) or "nbgrader" not in mine.metadata
            assert mine == other, notebooks.grade_id(other)


def test_nothing_but_the_notebook_is_handed_out(week):
    said = week.json("release", "1").data["releases"][0]
    assert said["files"] == ["alpha_dev.ipynb"]
    assert [path.name for path in (week.course.release / "01_alpha").rglob("*")] == ["alpha_dev.ipynb"]
    text = released(week).read_text(encoding="utf-8")
    for secret in ("twofold", "BEGIN SOLUTION", "BEGIN HIDDEN", "withheld_number", "math.floor", "added to itself"):
        assert secret not in text
    assert 'NotImplementedError(\\"double: write this cell\\")' in text


def test_the_gradebook_learns_the_points(week):
    said = week.tito("release", "1")
    assert re.search(r"released +01_alpha +19 +5 +2 +assignments/release/01_alpha", said.stdout), said.stdout
    with week.course.open_gradebook() as book:
        notebook = book.find_notebook("alpha_dev", "01_alpha")
        assert {cell.name: cell.max_score for cell in notebook.grade_cells} == {
            "test-double": 4,
            "test-double-errors": 3,
            "test-double-hidden": 2,
            "test-Box": 7,
            "test-Box-hidden": 3,
            "written-linear": 2,
        }
        kept = {cell.name: cell.source for cell in notebook.source_cells}
        assert "withheld_number" in kept["test-double-hidden"]
    source = week.course.source / "01_alpha" / "alpha_dev.ipynb"
    assert "twofold_of_the_number" in source.read_text(encoding="utf-8")


@pytest.mark.parametrize("counted", [False, True])
def test_a_stretch_earns_points_only_where_the_course_says_so(week, counted):
    path = week.alpha.percent
    path.write_text(path.read_text(encoding="utf-8") + tiny_course.STRETCH, encoding="utf-8")
    if counted:
        settings = week.root / "pyproject.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + "stretch = true\n", encoding="utf-8")
    said = week.json("release", "1").data["releases"][0]
    assert (said["points"], said["withheld"]) == ((29, 8) if counted else (19, 5))
    with week.course.open_gradebook() as book:
        worth = {cell.name: cell.max_score for cell in book.find_notebook("alpha_dev", "01_alpha").grade_cells}
    assert (worth["test-half"], worth["test-half-hidden"]) == ((7, 3) if counted else (0, 0))
    handed_out = released(week).read_text(encoding="utf-8")
    assert ("a stretch that earns no points" in handed_out) is not counted


def test_a_question_in_a_locked_cell_of_its_own_is_released_and_worth_nothing(week):
    said = week.tito("release", "1")
    assert said.exit_code == 0, said.stderr
    question, answer = notebooks.load(week.project, released(week)).node.cells[-2:]
    assert notebooks.is_question(question) and notebooks.is_written(answer)
    assert (question.source, answer.source) == (ASKED, "YOUR ANSWER HERE")
    assert (question.metadata.editable, answer.metadata.get("editable", True)) == (False, True)
    with week.course.open_gradebook() as book:
        notebook = book.find_notebook("alpha_dev", "01_alpha")
        assert {cell.name: cell.source for cell in notebook.source_cells}["question-linear"] == ASKED
        assert "question-linear" not in {cell.name for cell in notebook.grade_cells}


def test_a_second_release_changes_no_byte(week):
    week.tito("release", "1")
    before = {name: data for name, data in week.everything().items() if name != "gradebook.db"}
    again = week.json("release", "1").data["releases"][0]
    assert again["status"] == "unchanged"
    assert {name: data for name, data in week.everything().items() if name != "gradebook.db"} == before


def test_two_courses_release_the_same_bytes(week, tmp_path, monkeypatch):
    other = Week(tmp_path / "elsewhere", monkeypatch)
    for one in (week, other):
        assert one.tito("release", "1").exit_code == 0
    assert released(week).read_bytes() == released(other).read_bytes()


def test_what_students_have_changes_only_with_force_and_a_backup(week):
    week.tito("release", "1")
    before = week.everything()
    edit(week, "assert Box(3).grown().size == 6\n", "assert Box(3).grown().size == 6, 'six'\n")
    edit(week, "Write `double(x)`", "Please write `double(x)`")
    refused = week.json("release", "1")
    assert refused.exit_code == 3 and refused.error["code"] == "released"
    assert "assignments/release/01_alpha/alpha_dev.ipynb, cell 10 (test-Box): changed" in refused.error["message"]
    assert "Please write" in refused.error["message"]
    assert refused.error["hint"].startswith("tito grade release 01_alpha --force")
    assert week.everything() == before
    forced = week.json("release", "1", "--force").data["releases"][0]
    assert forced["status"] == "replaced"
    old = before["release/01_alpha/alpha_dev.ipynb"]
    assert released(week).read_bytes() != old
    assert [data for name, data in week.everything().items() if "backups" in name] == [old]
    with week.course.open_gradebook() as book:
        cells = {cell.name: cell.source for cell in book.find_notebook("alpha_dev", "01_alpha").source_cells}
    assert "'six'" in cells["test-Box"]


def add_submission(week):
    with week.course.open_gradebook() as book:
        book.update_or_create_student("ana")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy's about nbgrader
            book.add_submission("01_alpha", "ana")


def test_cells_stay_once_submissions_are_recorded(week):
    week.tito("release", "1")
    add_submission(week)
    edit(week, '"grade_id": "test-double-errors"', '"grade_id": "test-double-text"')
    before = week.everything()
    said = week.json("release", "1", "--force")
    assert said.error["code"] == "has-submissions"
    assert "adds test-double-text and removes test-double-errors" in said.error["message"]
    assert "1 submission of it" in said.error["message"]
    assert week.everything() == before


def test_a_corrected_test_reaches_the_gradebook_although_submissions_are_recorded(week):
    week.tito("release", "1")
    add_submission(week)
    edit(week, '"sizes are whole"', '"sizes are whole numbers"')
    assert week.tito("release", "1", "--force").exit_code == 0
    with week.course.open_gradebook() as book:
        notebook = book.find_notebook("alpha_dev", "01_alpha")
        assert len(notebook.submissions) == 1
        assert "whole numbers" in {cell.name: cell.source for cell in notebook.source_cells}["test-Box"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"points": 4', '"points": 0', r"modules/01_alpha/alpha_dev\.py:\d+ \(cell 6\): a graded cell needs points"),
        ("    ### END SOLUTION\n\n    def grown", "\n    def grown", r"alpha_dev\.py:\d+ \(cell 9\): .*SOLUTION"),
        ('"written-linear"', '"linear"', r"\(cell 16\): the grade_id of a written cell starts with 'written-'"),
        ("#| default_exp core.alpha", "#| default_exp core.beta", r"default_exp is 'core\.beta'"),
        ('"points": 7, "schema_version": 3', '"points": 7', r"\(cell 10\): .*schema_version 3"),
        ('"grade_id": "Box", "locked": false', '"grade_id": "Box", "locked": False', "cannot be parsed"),
    ],
)
def test_a_source_that_is_not_in_order_is_not_released(week, old, new, place):
    edit(week, old, new)
    said = week.json("release", "1")
    assert said.exit_code in (1, 3)
    assert re.search(place, said.error["message"]), said.error["message"]
    assert not week.course.release.exists()


def test_an_answer_in_a_provided_text_is_not_handed_out(week):
    edit(week, "Write `double(x)`: twice", "Write `double(x)` with twofold_of_the_number = number + number: twice")
    said = week.json("release", "1")
    assert said.error["code"] == "leak"
    assert "release/01_alpha/alpha_dev.ipynb, cell 4:1: twofold_of_the_number=number+number" in said.error["message"]
    assert "modules/01_alpha/alpha_dev.py:" in said.error["message"]
    assert not week.course.release.exists()


@pytest.mark.parametrize("name", ["answers.py", "old.ipynb", "notes.docx", "data/answers.py", "data/more.ipynb"])
def test_a_stray_file_is_refused_by_name(week, name):
    tiny_course.put(week.course.source / "01_alpha" / name, "nothing\n")
    said = week.json("release", "1")
    assert said.error["code"] == "stray-file"
    assert f"assignments/source/01_alpha/{name} would be handed out" in said.error["message"]
    assert not week.course.release.exists()


def test_an_answer_in_a_file_that_may_be_there_is_refused(week):
    tiny_course.put(
        week.course.source / "01_alpha" / "README.md", "hint:\n\n    twofold_of_the_number = number + number\n"
    )
    said = week.json("release", "1")
    assert said.error["code"] == "leak" and "release/01_alpha/README.md:3" in said.error["message"]


def test_a_readme_and_data_are_handed_out(week):
    for name in ("README.md", "data/sizes.csv", ".ipynb_checkpoints/alpha_dev-checkpoint.ipynb"):
        tiny_course.put(week.course.source / "01_alpha" / name, "1,2\n")
    said = week.json("release", "1").data["releases"][0]
    assert said["files"] == ["README.md", "alpha_dev.ipynb", "data/sizes.csv"]
    tiny_course.put(week.course.release / "01_alpha" / "solution.py", "x = 1\n")
    refused = week.json("release", "1")
    assert "assignments/release/01_alpha/solution.py: removed" in refused.error["message"]


def test_one_module_that_is_refused_stops_them_all(week):
    edit(week, '"points": 7', '"points": 0', module="beta")
    said = week.json("release", "--all")
    assert said.exit_code == 3 and "02_beta was not released" in said.error["message"]
    assert not week.course.release.exists() and not week.course.database.path.exists()


def test_a_notebook_in_source_that_was_edited_by_hand_is_kept(week):
    week.tito("release", "1")
    path = week.course.source / "01_alpha" / "alpha_dev.ipynb"
    edited = path.read_bytes().replace(b"# Alpha", b"# My Alpha")
    path.write_bytes(edited)
    said = week.json("release", "1").data["releases"][0]
    assert "was edited by hand" in said["warnings"][0] and said["status"] == "unchanged"
    assert edited in [data for name, data in week.everything().items() if "backups" in name]
    assert b"# My Alpha" not in path.read_bytes()


def test_nbgrader_reads_the_release(week):
    """nbgrader's own validation of the released notebook, and its own list of assignments."""
    from nbgrader.apps import NbGraderAPI

    week.tito("release", "--all")
    found = NbGraderAPI(config=week.course.config()).get_assignment("01_alpha")
    assert (found["max_score"], found["release_path"]) == (21, "release/01_alpha")


@pytest.mark.parametrize(
    "command",
    [
        ("release", "1"),
        ("collect", "."),
        ("roster", "import", "README.md"),
        ("roster", "list"),
        ("due", "1", "2026-12-01"),
        ("extend", "ana", "1", "+1d"),
    ],
)
def test_in_a_workspace_nothing_is_graded(week, monkeypatch, command):
    student = Project(week.root, "workspace", "1")
    monkeypatch.setattr(tito.project, "read_project", lambda root: student)
    said = week.json(*command)
    assert said.exit_code == 3 and said.error["code"] == "not-a-course"
    assert not week.course.root.exists()


@pytest.mark.parametrize("command", [("release", "1"), ("collect", "../sent"), ("due", "1", "2026-12-01")])
def test_two_at_once_are_refused(week, command):
    week.file("sent/ana.ipynb", week.notebook())
    week.course.prepare()
    with week.course.locked("tito grade autograde 01_alpha"):
        before = week.everything()
        said = week.json(*command)
        assert said.exit_code == 3 and said.error["code"] == "locked"
        assert "tito grade autograde 01_alpha" in said.error["message"]
        assert week.everything() == before


def test_wrong_usage(week):
    assert week.tito("release").exit_code == 2
    assert week.tito("release", "1", "--all").exit_code == 2
    assert week.tito("release", "nine").exit_code == 2
