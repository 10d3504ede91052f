"""The course folder is nbgrader's: nbgrader by hand works in it, and the database is made whole or not at all."""

import os
import sqlite3
import subprocess
import sys

import pytest
import tiny_course

from tito.errors import ProjectError
from tito.project import read_project
from tito.services.grading.book.course import Course, require_course


@pytest.fixture
def course(tmp_path):
    return Course(read_project(tiny_course.write_course((tmp_path / "course").resolve())))


def nbgrader(folder, *arguments):
    """nbgrader typed by hand in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


def tables(path):
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_gradebook_is_made_where_the_environment_is_not_activated(course, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    with course.open_gradebook() as book:
        book.add_student("ana")
    assert "alembic_version" in tables(course.database.path)
    assert os.environ["PATH"] == os.defpath
    with course.open_gradebook() as book:
        assert [student.id for student in book.students] == ["ana"]


def test_where_alembic_cannot_run_nothing_is_left_and_the_message_says_so(course, monkeypatch):
    import nbgrader.api

    def broken():
        raise FileNotFoundError(2, "No such file or directory: 'alembic'")

    monkeypatch.setattr(nbgrader.api, "get_alembic_version", broken)
    with pytest.raises(ProjectError, match="alembic does not run") as caught, course.open_gradebook():
        pass
    assert caught.value.hint.startswith("pip install")
    assert list(course.root.rglob("*.db")) == []


def test_half_a_gradebook_that_nbgrader_left_is_made_whole_and_kept(course):
    course.prepare()
    with sqlite3.connect(course.database.path) as connection:
        connection.execute("CREATE TABLE student (id)")
        connection.execute("CREATE TABLE assignment (id)")
    with course.open_gradebook() as book:
        assert book.students == []
    assert "alembic_version" in tables(course.database.path)
    assert len(list((course.state / "backups").iterdir())) == 1


def test_half_a_gradebook_with_students_in_it_stays(course):
    with course.open_gradebook() as book:
        book.add_student("ana")
    with sqlite3.connect(course.database.path) as connection:
        connection.execute("DROP TABLE alembic_version")
    with course.open_gradebook() as book:
        assert [student.id for student in book.students] == ["ana"]


def test_a_file_that_is_no_database_is_named_and_left_alone(course):
    course.prepare()
    course.database.path.write_bytes(b"no database at all, " * 100)
    with pytest.raises(ProjectError, match=r"assignments/gradebook\.db cannot be used") as caught:
        course.open_gradebook().__enter__()
    assert caught.value.code == "gradebook"
    assert course.database.path.read_bytes().startswith(b"no database")


OLDER = "167914646830"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            "UPDATE alembic_version SET version_num = 'deadbeef0000'",
            "another nbgrader.*version deadbeef0000",
            "pip install",
        ),
        (
            f"UPDATE alembic_version SET version_num = '{OLDER}'",
            f"another nbgrader.*version {OLDER}",
            "nbgrader db upgrade",
        ),
        ("DROP TABLE grade", "lacks nbgrader's table grade$", "backups"),
        ("DROP TABLE alembic_version; DROP TABLE grade", "lacks nbgrader's table grade$", "backups"),
    ],
)
def test_the_gradebook_of_another_nbgrader_is_named_and_nothing_is_written_into_it(course, change, message, hint):
    with course.open_gradebook() as book:
        book.add_student("ana")
    with sqlite3.connect(course.database.path) as connection:
        connection.executescript(change)
    connection.close()
    before = course.database.path.read_bytes()
    with pytest.raises(ProjectError, match=message) as caught, course.open_gradebook():
        pass
    assert hint in caught.value.hint and caught.value.code == "gradebook"
    assert course.database.path.read_bytes() == before
    assert [path.name for path in course.root.glob("gradebook*")] == ["gradebook.db"]


def test_nbgrader_by_hand_works_in_the_folder(course):
    with course.open_gradebook() as book:
        book.add_assignment("01_alpha", course_id="tinytorch")
        book.add_student("ana")
    listed = nbgrader(course.root, "list")
    assert listed.returncode == 0, listed.stderr
    exported = nbgrader(course.root, "export")
    assert exported.returncode == 0, exported.stderr
    rows = (course.root / "grades.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("01_alpha,") and ",ana," in rows[1]


def test_settings_are_written_once_and_obeyed(course):
    course.prepare()
    with course.settings.open("a", encoding="utf-8") as file:
        file.write("c.LateSubmissionPlugin.penalty_method = 'zero'\nc.CourseDirectory.root = '/elsewhere'\n")
    before = course.settings.read_bytes()
    config = course.config()
    assert config.LateSubmissionPlugin.penalty_method == "zero"
    assert config.CourseDirectory.root == str(course.root)
    assert course.settings.read_bytes() == before


def test_settings_that_cannot_be_read_are_named(course):
    course.prepare()
    course.settings.write_text("c = get_config()\nc.x = )\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=r"assignments/nbgrader_config\.py cannot be read: SyntaxError.*line 2"):
        course.config()


def test_a_record_that_cannot_be_read_is_named(course):
    course.write_record("roster.json", {"students": ["Zoë"]})
    assert course.read_record("roster.json") == {"students": ["Zoë"]}
    assert course.read_record("absent.json") == {}
    (course.state / "roster.json").write_text('{"schema": 1, "da', encoding="utf-8")
    with pytest.raises(ProjectError, match=r"assignments/\.tito/roster\.json cannot be read"):
        course.read_record("roster.json")


def test_a_workspace_has_no_course_folder(course):
    assert require_course(course.project).root == course.root
    student = type(course.project)(course.project.root, "workspace", "1")
    with pytest.raises(ProjectError, match="student's workspace"):
        require_course(student)
