"""The gradebook on a PostgreSQL server: made once, refused where it is another's, no person's work lost."""

import csv
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import postgres
import pytest
import small_course
from said import typed
from small_course import WRONG, StandIn, keep_gradebook, released
from week import Week

import tito.project
from tito.errors import ProjectError
from tito.services.grading.book import gradebook
from tito.services.grading.book.course import Course
from tito.services.grading.regrading.regrade import RegradeOptions, regrade
from tito.services.grading.release import release
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.scoring.autograde import Options, autograde

CLASS = ("ada", "bob", "cleo", "dan", "eve", "finn")


@pytest.fixture
def server():
    return postgres.server()


@pytest.fixture
def small(server, monkeypatch, tmp_path):
    monkeypatch.setattr(small_course, "SERVER", server)
    return released((tmp_path / "course").resolve())


@pytest.fixture
def week(server, monkeypatch, tmp_path):
    week = Week(tmp_path / "course", monkeypatch)
    keep_gradebook(week.root, server.new_database())
    return week


def url_of(course):
    """The address as tests of the server take it."""
    return course.database.url.partition("?")[0].replace("postgresql+psycopg", "postgresql")


def grade(small, scorer=None, **options):
    scorer = scorer or StandIn()
    outcome = autograde(small.project, small.catalog, small.module, Options(**options), executor=scorer)
    return {row.student: row for row in outcome.rows}


def points(small):
    return {one.student: one.points for one in gradebook.submissions(small.course, small.module)}


def test_two_that_start_at_once_make_one_set_of_tables(week, server):
    def open_it(_):
        with Course(week.project).open_gradebook() as book:
            return book.course_id

    with ThreadPoolExecutor(4) as several:
        assert set(several.map(open_it, range(4))) == {"tinytorch"}
    assert server.sql("SELECT count(*) FROM alembic_version", url_of(week.course)) == [(1,)]
    assert server.sql("SELECT id FROM course", url_of(week.course)) == [("tinytorch",)]
    assert not list(week.course.root.rglob("*.db"))


def test_tables_that_could_not_all_be_made_are_none(week, server, monkeypatch):
    from tito.services.grading.book import database

    monkeypatch.setattr(database, "_revisions", lambda: ("x" * 33,))  # longer than the column that it goes into
    with pytest.raises(ProjectError, match="the gradebook postgresql://.*cannot be used"), week.course.open_gradebook():
        pass
    found = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", url_of(week.course))
    assert found == []


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ("UPDATE alembic_version SET version_num = 'deadbeef0000'", "another nbgrader.*deadbeef0000", "pip install"),
        ("UPDATE alembic_version SET version_num = '167914646830'", "another nbgrader", "pg_dump.*nbgrader db upgrade"),
        ("DROP TABLE comment", "lacks nbgrader's table comment$", "pg_restore"),
    ],
)
def test_the_tables_of_another_nbgrader_are_named_and_left_alone(small, server, change, message, hint):
    server.sql(change, url_of(small.course))
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    before = server.sql(tables, url_of(small.course))
    with pytest.raises(ProjectError, match=message) as caught, small.course.open_gradebook():
        pass
    assert caught.value.code == "gradebook"
    assert all(part in caught.value.hint for part in hint.split(".*"))
    assert server.sql(tables, url_of(small.course)) == before


# A week on it, command by command.


def test_every_command_of_a_week_works_on_it(week, tmp_path):
    roster = week.file("class.csv", "id,name,email\nada,Ada L,ada@x.org\nbob,Bob K,bob@x.org\n")
    assert week.tito("roster", "import", roster).exit_code == 0
    assert week.tito("release", "alpha").exit_code == 0
    assert week.tito("due", "alpha", "2026-12-01 23:59", "--tz", "Europe/Berlin").exit_code == 0
    handed = tmp_path / "handed"
    for student in ("ada", "bob"):
        (handed / student).mkdir(parents=True)
        (handed / student / week.alpha.notebook.name).write_bytes(
            week.notebook(**({"double": WRONG} if student == "bob" else {}))
        )
    done = week.tito("collect", handed, "--module", "alpha")
    assert done.exit_code == 0, done.stderr
    autograde(week.project, week.catalog, week.alpha, Options(), executor=StandIn())
    done = week.tito("feedback", "alpha")
    assert done.exit_code == 0, done.stderr
    table = tmp_path / "grades.csv"
    done = week.tito("export", "alpha", "--output", table)
    assert done.exit_code == 0, done.stderr
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert {row[0] for row in rows[1:]} == {"ada", "bob"}
    assert week.tito("report", "alpha").exit_code == 0
    assert not list(week.course.root.rglob("*.db")), "something was written into a file"


def test_a_regrade_and_the_sum_of_a_term_work_on_it(small, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)  # as in a Week
    small.solved("ada")
    small.solved("bob", double=WRONG)
    release(small.project, small.catalog, [small.module], force=True)
    grade(small)
    feedback(small.project, small.module)
    source = small.module.percent
    source.write_text(source.read_text(encoding="utf-8").replace("double(4)", "double(5 - 1)", 1), encoding="utf-8")
    seen = regrade(small.project, small.catalog, small.module, RegradeOptions(), executor=StandIn())
    options = RegradeOptions(to=seen.after, apply=True)
    found = regrade(small.project, small.catalog, small.module, options, executor=StandIn())
    assert found.applied and found.kept is None and found.after == seen.after != found.before
    assert points(small) == {"ada": 19, "bob": 10}
    done = typed(small.root, "grade", "export", "--total", "--json")
    assert done.exit_code == 0, done.stdout
    assert "ada" in done.stdout and "bob" in done.stdout


def test_nbgrader_typed_by_hand_finds_the_same_gradebook(small, tmp_path):
    small.solved("ada")
    grade(small)
    small.course.settings.unlink()  # as a course writes it that was made with another version, or not at all
    small.course.prepare()
    table = tmp_path / "grades.csv"
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "export", "--to", table],
        cwd=small.course.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert [row["student_id"] for row in csv.DictReader(table.open(encoding="utf-8"))] == ["ada"]


# Several at a time.


def by_hand(url, student, module, points):
    """What formgrader does when a person types points and a comment for the answer in words."""
    from nbgrader.api import Gradebook

    with Gradebook(url, "tinytorch") as book:
        grades = book.find_submission_notebook(module.notebook.stem, module.name, student).grades
        written = next(one for one in grades if one.cell.cell_type == "markdown")
        written.manual_score = points
        written.needs_manual_grade = False
        comment = book.find_comment(written.name, module.notebook.stem, module.name, student)
        comment.manual_comment = f"{points} for {student}"
        book.db.commit()


def test_two_who_grade_by_hand_while_a_class_is_recorded_lose_nothing(small):
    for student in CLASS:
        small.solved(student)
    grade(small)
    assert set(points(small).values()) == {19}
    started, url = threading.Event(), small.course.database.url

    def one_grader(students):
        started.wait(30)
        for again in range(4):
            for student in students:
                by_hand(url, student, small.module, 1 + again % 2)

    scorer = StandIn(before=lambda _: started.set(), seconds=0.1)
    with ThreadPoolExecutor(2) as graders:
        working = [graders.submit(one_grader, CLASS[:3]), graders.submit(one_grader, CLASS[3:])]
        rows = grade(small, scorer, force=True)
        for one in working:
            one.result()
    assert {row.status for row in rows.values()} == {"graded"}
    found = {one.student: one for one in gradebook.submissions(small.course, small.module)}
    assert {name: one.points for name, one in found.items()} == dict.fromkeys(CLASS, 21)
    assert {name: set(one.comments.values()) for name, one in found.items()} == {
        student: {f"2 for {student}"} for student in CLASS
    }


def test_a_server_that_goes_away_leaves_ungraded_and_the_next_run_goes_on(small, server):
    for student in CLASS:
        small.solved(student)
    away = []

    def stop_at_the_third(student):
        if student == CLASS[2]:
            server.stop("immediate")
            away.append(student)

    try:
        rows = grade(small, StandIn(before=stop_at_the_third), jobs=1)
    finally:
        if away:
            server.start()
    assert away
    assert {row.status for row in rows.values()} == {"graded", "ungraded"}
    lost = {name for name, row in rows.items() if row.status == "ungraded"}
    assert set(points(small)) | lost == set(CLASS)
    scorer = StandIn()
    again = grade(small, scorer)
    assert {row.status for row in again.values()} == {"graded"}
    assert points(small) == dict.fromkeys(CLASS, 19)


# What is wrong is said.


def test_a_server_that_is_not_there_is_named_without_its_password(small, monkeypatch):
    keep_gradebook(small.root, "postgresql://ta:geheim@127.0.0.1:1/grades")
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)  # as in a Week
    done = typed(small.root, "grade", "export", "alpha", "--json")
    assert done.exit_code == 3
    assert done.error["code"] == "gradebook"
    assert "postgresql://ta@127.0.0.1:1/grades cannot be used" in done.error["message"]
    assert "pg_isready" in done.error["hint"]
    assert "geheim" not in done.stdout + done.stderr


def test_a_database_that_is_not_there_is_said_with_the_command_that_makes_it(small, server):
    keep_gradebook(small.root, server.url("nowhere"))
    with pytest.raises(ProjectError, match='"nowhere" does not exist') as caught, small.course.open_gradebook():
        pass
    assert caught.value.hint.startswith("make it: createdb nowhere")


def test_a_driver_that_is_missing_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ProjectError, match="needs the driver psycopg") as caught, small.course.open_gradebook():
        pass
    assert caught.value.hint == "pip install -e '.[postgres]'"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('database = "mysql://x/y"', "database is not the address of a PostgreSQL database"),
        ('database = "postgresql://host"', "database is not the address of a PostgreSQL database"),
        ("database = 3", "database is not the address of a PostgreSQL database"),
        ('databse = "postgresql://x/y"', r"has no setting databse"),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_nothing_is_made(week, line, message):
    path = week.root / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").partition("database =")[0] + line + "\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=message) as caught, week.course.open_gradebook():
        pass
    assert caught.value.code == "settings" and str(path) in caught.value.message
    assert not week.course.root.exists() or not list(week.course.root.rglob("*.db"))
