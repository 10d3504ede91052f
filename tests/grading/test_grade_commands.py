"""`tito grade autograde, feedback, export, report, formgrade` as typed: exit codes, tables, documents, hints."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from said import typed
from small_course import FAULT, SECOND, WRONG, StandIn, released

import tito.project
from tito.services.grading.scoring import executors
from tito.services.pristine import Deviation


@pytest.fixture
def small(tmp_path):
    return released((tmp_path / "course").resolve())


@pytest.fixture
def grade(small, monkeypatch):
    """grade(*arguments): `tito grade …` typed in the course folder, with the stand-in in place of the scorer."""
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)

    def run(*arguments):
        return typed(small.root, "grade", *arguments)

    return run


def test_the_table_has_student_score_second_score_status_time_and_lateness(small, grade):
    small.solved("ada")
    small.solved("dan", double=SECOND)
    small.on_roster("ada", "dan", "zoe")
    small.came_in({"dan": "x.ipynb"}, late=7200)
    said = grade("autograde", "alpha")
    assert said.exit_code == 0, said.stderr
    head, ada, dan, zoe, *rest = said.stdout.splitlines()
    assert head.split() == ["student", "score", "second", "try", "status", "seconds", "late", "by", "hand"]
    assert ada.split() == ["ada", "19/19", "graded", "0.5", "1"]
    assert dan.split() == ["dan", "10/19", "19/19", "graded", "0.5", "2", "h", "1"]
    assert zoe.split() == ["zoe", "missing"]
    assert rest[0].startswith("2 of 3 have a score; 2 were run now")
    assert rest[1:] == [
        "withheld tests ran beside the course's answers to the other questions",
        "2 to grade by hand: tito grade formgrade",
    ]
    again = grade("autograde", "alpha", "--json").document["data"]["students"]
    assert [row["waiting_for_a_person"] for row in again] == [["written-linear"], ["written-linear"], []]


def test_the_table_says_what_a_person_should_look_at(small, grade, monkeypatch):
    small.solved("ada")
    small.submit("eve", written="")
    changes = {
        "bob": ("pasted", "double"), "cem": ("merged", "Box"), "dan": ("edited", "provided-imports"),
        "flo": ("id", "double"), "gus": ("missing", "Box"),
    }  # fmt: skip
    for student in changes:
        small.solved(student)
    made = {student: (Deviation(kind, name, 3),) for student, (kind, name) in changes.items()}
    monkeypatch.setattr(executors, "Threads", lambda: StandIn(changes=made))
    said = grade("autograde", "alpha")
    head, *rows = said.stdout.splitlines()
    assert "by hand" in head and "answers in other cells" in head
    shown = {row.split()[0]: row for row in rows}
    start = head.index("answers in other cells")
    assert [shown[name][start:].split()[:1] for name in ("bob", "cem", "ada")] == [["double"], ["Box"], []]
    assert "cell 4 (provided-imports) was edited" in shown["dan"]
    assert rows[-5:] == [
        "6 to grade by hand: tito grade formgrade",
        "2 with answers in other cells: bob, cem",
        "1 with answers missing: gus",
        "1 with edited or deleted cells that stay as they are: dan",
        "1 with lost grading metadata: flo",
    ]


def test_a_low_score_is_not_titos_failure_and_a_fault_of_its_own_is(small, grade):
    small.submit("eve", written="")
    assert grade("autograde", "1").exit_code == 0
    small.solved("bob", double=FAULT)
    said = grade("autograde", "1", "--json")
    assert said.exit_code == 1
    document = said.document
    assert document["error"]["code"] == "ungraded" and "bob" in document["error"]["message"]
    bob, eve = document["data"]["students"]
    assert (bob["status"], bob["points"], eve["status"], eve["points"]) == ("ungraded", None, "graded", 0)
    assert (document["data"]["isolation"], document["data"]["counts"]) == ("bubblewrap", "second")


def test_feedback_export_and_report_after_autograde(small, grade, tmp_path):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    assert grade("autograde", "alpha", "--jobs", "2").exit_code == 0
    said = grade("feedback", "alpha")
    assert said.exit_code == 0 and "2 pages" in said.stdout and "assignments/feedback/01_alpha.zip" in said.stdout
    assert grade("feedback", "alpha", "--student", "bob", "--json").document["data"]["pages"] == {
        "bob": "assignments/feedback/bob/01_alpha/alpha_dev.html"
    }
    said = grade("export", "alpha")
    assert said.exit_code == 0 and said.stdout.splitlines()[2].startswith("bob,,,,01_alpha,graded,10,21,")
    assert "2 scores lack an answer" in said.stderr
    target = tmp_path / "questions.csv"
    assert grade("export", "--all", "--format", "questions", "--output", target).exit_code == 0
    assert target.read_text(encoding="utf-8-sig").count("\n") == 1 + 2 * 6
    said = grade("report", "alpha", "--json")
    assert said.document["data"]["statuses"] == {"graded": 2}
    assert (small.root / said.document["data"]["path"]).is_file()


def test_mistakes_on_the_command_line_and_what_is_not_there_yet(small, grade):
    for arguments, code, hint in [
        (("autograde", "beta"), 3, "tito grade release 02_beta"),
        (("autograde", "alpha", "--student", "nobody"), 2, "tito grade roster list"),
        (("autograde", "alpha", "--jobs", "0"), 2, "tito grade autograde --help"),
        (("feedback", "alpha"), 3, "tito grade autograde 01_alpha"),
        (("export",), 2, "tito grade export --help"),
        (("export", "alpha", "--all"), 2, "tito grade export --help"),
        (("export", "alpha", "--format", "xls"), 2, "tito grade export --help"),
        (
            ("export", "alpha", "--format", "canvas"),
            2,
            "in Canvas: Grades, Export; then: tito grade roster import FILE",
        ),
        (("report", "beta"), 3, "tito grade release 02_beta"),
    ]:
        said = grade(*arguments, "--json")
        assert (said.exit_code, said.document["error"]["hint"]) == (code, hint), arguments


def test_an_export_of_an_ungraded_class_is_refused(small, grade):
    small.solved("bob", double=FAULT)
    grade("autograde", "alpha")
    said = grade("export", "alpha", "--json")
    assert said.exit_code == 1
    assert said.document["data"]["ungraded"][0]["student"] == "bob"


def test_the_formgrader_says_where_it_is_and_ends_with_ctrl_c(small, grade):
    small.solved("ada")
    grade("autograde", "alpha")
    process = subprocess.Popen(
        [sys.executable, "-m", "tito", "grade", "formgrade", "--no-open"],
        cwd=small.root, env={**os.environ, "PYTHONPATH": str(small.root)}, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(url, timeout=30) as reply:
                    assert reply.status == 200
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "the server does not answer"
                time.sleep(0.2)
        # as a terminal does it: to every process of the group
        os.killpg(process.pid, signal.SIGINT)
        process.stderr.read()
        assert process.wait(timeout=30) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


def test_the_bar_of_a_class_moves_with_every_cell():
    from tito.commands.grade.autograde import Bar

    seen = []
    bar = Bar(lambda *shown: seen.append(shown), "grading 01")
    bar.done(0, 4)
    bar.cell("ada", 5, 10)
    bar.cell("bob", 0, 10)
    bar.cell("ada", 1, 1)
    bar.done(1, 4)
    bar.cell("bob", 8, 10)
    assert seen == [
        (0, 4, "grading 01"),
        (0.5, 4, "grading 01  ada: cell 6 of 10"),
        (0.5, 4, "grading 01  ada: cell 6 of 10"),
        (0, 4, "grading 01  bob: cell 1 of 10"),
        (1, 4, "grading 01  bob: cell 1 of 10"),
        (1.8, 4, "grading 01  bob: cell 9 of 10"),
    ]
