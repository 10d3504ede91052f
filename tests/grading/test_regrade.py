"""`tito grade regrade`: old and new beside each other, nothing written unasked, nobody loses published points."""

import atexit
import shutil
import signal
import tempfile
import threading
from functools import cache
from pathlib import Path

import pytest
from said import typed
from small_course import WRONG, SmallCourse, StandIn, released

import tito.project
from tito.errors import Interrupted, ProjectError
from tito.services.grading.book import gradebook, history, records, versions
from tito.services.grading.regrading.regrade import RegradeOptions, regrade
from tito.services.grading.release import release
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.scoring import executors, recorder
from tito.services.grading.scoring.autograde import autograde

DOUBLE = 'assert double(4) == 8, f"double(4): expected 8, got {double(4)}"'
BOX = 'assert Box(3.7).size == 3, "sizes are whole"'


@cache
def _published():
    """A course in which ada and bob were graded and told, for every test to copy."""
    folder = tempfile.TemporaryDirectory(prefix="regraded-")
    atexit.register(folder.cleanup)
    small = released(Path(folder.name).resolve() / "course")
    small.solved("ada")
    small.solved("bob", double=WRONG)
    release(small.project, small.catalog, [small.module], force=True)
    autograde(small.project, small.catalog, small.module, executor=StandIn())
    feedback(small.project, small.module)
    return small.root


@pytest.fixture
def small(tmp_path):
    root = (tmp_path / "course").resolve()
    shutil.copytree(_published(), root)
    return SmallCourse(root)


@pytest.fixture
def grade(small, monkeypatch):
    """grade(*arguments): `tito grade …` typed in the course folder, with the stand-in in place of the scorer."""
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)

    def run(*arguments):
        return typed(small.root, "grade", *arguments)

    return run


def points(small):
    return {one.student: one.points for one in gradebook.submissions(small.course, small.module)}


def pinned(small):
    return versions.Versions(small.course, small.module).pinned.name


def better(small):
    """A course whose test of double is lenient: bob gets 4 points more. Returns the name of the version."""
    return _edited(small, DOUBLE, f"{DOUBLE}  # lenient")


def worse(small):
    """A course whose test of Box is strict: everybody loses 7 points."""
    return _edited(small, BOX, f"{BOX}  # strict")


def _edited(small, old, new):
    small.edit(old, new)
    kept = versions.Versions(small.course, small.module)
    return kept.named(versions.course_now(small.project, small.catalog, small.module)).name


def test_the_table_says_student_question_old_new_and_why_and_nothing_is_written(small, grade):
    name = better(small)
    before = small.everything()
    said = grade("regrade", "alpha")
    assert said.exit_code == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == f"01_alpha: 1.2.3 to {name}; changed: test-double"
    assert lines[1].split() == ["student", "question", "old", "new", "counts", "why"]
    assert lines[2].split()[:5] == ["bob", "double", "0", "4", "4"]
    assert "changed: test-double; test-double failed, now passed" in lines[2]
    assert lines[3:] == [
        "1 of 2 submissions differ; 2 were scored now",
        f"nothing was changed; to write it: tito grade regrade 01_alpha --to {name} --apply",
    ]
    (one,) = grade("regrade", "alpha", "--json").data["differences"]
    assert one == {
        "student": "bob", "question": "double", "old": 0, "new": 4, "max_points": 9, "counts": 4,
        "published_points_stay": False,
        "why": {"tests": ["test-double"], "reference": [], "outcomes": ["test-double failed, now passed"],
                "before": "1.2.3", "after": name},
    }  # fmt: skip
    assert small.everything() == before


def test_applying_writes_what_was_shown_without_scoring_again(small, grade, monkeypatch):
    name = better(small)
    assert grade("regrade", "alpha").exit_code == 0
    scorer = StandIn()
    monkeypatch.setattr(executors, "Threads", lambda: scorer)
    said = grade("regrade", "alpha", "--to", name, "--apply")
    assert said.exit_code == 0, said.stderr
    assert scorer.asked == []
    assert points(small) == {"ada": 19, "bob": 14}
    assert pinned(small) == name
    assert (
        f"written: 01_alpha is graded with {name}; the gradebook of before: assignments/.tito/backups/" in said.stdout
    )
    assert grade("autograde", "alpha", "--json").data["course_now"] is None
    assert scorer.asked == [], "and the records are those of the new version"
    event = grade("history", "alpha", "--json").data["events"][-1]
    assert (event["what"], event["version"], event["detail"]) == ("regraded", name, "from 1.2.3")
    assert (event["students"], event["changed"]) == (2, 1)
    assert history.published(small.course, small.module)["bob"].total == 10, "not told yet"
    grade("feedback", "alpha")
    assert history.published(small.course, small.module)["bob"].total == 14
    with small.course.open_gradebook() as book:
        cells = {cell.name: cell.source for cell in book.find_notebook("alpha_dev", "01_alpha").source_cells}
    assert "# lenient" in cells["test-double"]


def test_going_over_to_another_version_needs_its_name(small, grade):
    name = better(small)
    before = small.everything()
    said = grade("regrade", "alpha", "--apply")
    assert said.exit_code == 2
    assert f"tito grade regrade 01_alpha --to {name} --apply; or --to 1.2.3" in said.stderr
    assert small.everything() == before
    assert grade("regrade", "alpha", "--to", "1.2.3", "--apply").exit_code == 0
    assert (pinned(small), points(small)) == ("1.2.3", {"ada": 19, "bob": 10})


def test_nobody_loses_published_points_unless_it_is_asked_for(small, grade):
    name = worse(small)
    said = grade("regrade", "alpha", "--to", name, "--apply")
    assert "2 keep points that were published; to take them: --also-lower" in said.stdout
    assert points(small) == {"ada": 19, "bob": 10}
    page = (small.course.feedback / "ada" / "01_alpha" / "alpha_dev.html").read_text(encoding="utf-8")
    assert "were published" not in page
    grade("feedback", "alpha")
    page = (small.course.feedback / "ada" / "01_alpha" / "alpha_dev.html").read_text(encoding="utf-8")
    assert f"these points were published and stay; with version {name}: stricter now" in page
    before = {student: records.read_record(small.course, small.module, student) for student in ("ada", "bob")}
    assert grade("regrade", "alpha", "--apply").exit_code == 0
    after = {student: records.read_record(small.course, small.module, student) for student in ("ada", "bob")}
    assert [one.result for one in before.values()] == [one.result for one in after.values()], "nothing is said twice"
    assert grade("regrade", "alpha", "--apply", "--also-lower").exit_code == 0
    assert points(small) == {"ada": 12, "bob": 3}
    assert grade("history", "alpha", "--json").data["events"][-1]["detail"].endswith("points were lowered too")


def test_what_was_never_published_may_become_fewer(small, grade):
    small.solved("cy")
    grade("autograde", "alpha")
    grade("regrade", "alpha", "--to", worse(small), "--apply")
    assert points(small) == {"ada": 19, "bob": 10, "cy": 12}


def test_a_persons_points_stay_and_wait_for_nobody(small, grade):
    with small.course.open_gradebook() as book:
        for name, given in (("written-linear", 2), ("test-double", 1)):
            found = book.find_grade(name, "alpha_dev", "01_alpha", "bob")
            found.manual_score, found.needs_manual_grade = given, False
            book.db.commit()
    grade("feedback", "alpha")
    name = better(small)
    data = grade("regrade", "alpha", "--to", name, "--apply", "--json").data
    assert (data["differences"], data["a_persons_points_stay"]) == ([], {"bob": ["test-double"]})
    assert points(small)["bob"] == 13, "7 and 3 for Box, 2 for the words, 1 for the test"
    assert gradebook.waiting(small.course, small.module) == {"ada": ("written-linear",)}


def test_a_changed_reference_and_a_changed_package_are_why(small, grade):
    small.edit("twofold_of_the_number = number + number", "twofold_of_the_number = 2 * number  # another way")
    small.edit("return twofold_of_the_number", "return twofold_of_the_number + 0")
    path = small.root / "tinytorch" / "__init__.py"
    path.write_bytes(path.read_bytes() + b"\n# another\n")
    _edited(small, BOX, f"{BOX}  # strict")
    ada, bob = grade("regrade", "alpha", "--json").data["differences"]
    assert ada["why"]["reference"] == ["the course's double", "the package's __init__.py"]
    assert ada["why"]["tests"] == ["test-Box"]


def test_the_same_version_again_says_what_came_out_otherwise(small, grade, monkeypatch):
    class Slow(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            for cell in scored.result.cells:
                if cell.grade_id == "test-Box" and task.student == "ada":
                    object.__setattr__(cell, "points", 0)
                    object.__setattr__(cell, "status", "timeout")
            return scored

    monkeypatch.setattr(executors, "Threads", Slow)
    said = grade("regrade", "alpha", "--to", "1.2.3")
    assert said.stdout.startswith("01_alpha: 1.2.3 again\n")
    assert "test-Box passed, now timeout" in said.stdout
    monkeypatch.setattr(executors, "Threads", StandIn)
    assert "test-Box passed" in grade("regrade", "alpha", "--to", "1.2.3").stdout, (
        "what was scored is kept until it is written"
    )
    assert "0 of 2 submissions differ" in grade("regrade", "alpha", "--to", "1.2.3", "--force").stdout


def test_mistakes_change_nothing(small, grade, tmp_path):
    better(small)
    before = small.everything()
    for arguments, code, words in [
        (("alpha", "--to", "9.9.9"), 2, "'9.9.9' is no version of 01_alpha"),
        (("alpha", "--to", "9.9.9", "--apply"), 2, "there are: 1.2.3, 1.2.3+"),
        (("beta",), 3, "tito grade release 02_beta"),
        (("nothing",), 2, "nothing"),
    ]:
        said = grade("regrade", *arguments)
        assert (said.exit_code, words in said.stderr) == (code, True), said.stderr
        assert grade("regrade", *arguments, "--json").error["message"]
    assert small.everything() == before


def test_a_regrade_without_published_scores_says_what_to_do_instead(tmp_path, monkeypatch):
    small = released((tmp_path / "course").resolve())
    small.solved("ada")
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)
    for arguments in (("release", "alpha", "--force"), ("autograde", "alpha")):
        assert typed(small.root, "grade", *arguments).exit_code == 0
    before = small.everything()
    said = typed(small.root, "grade", "regrade", "alpha", "--json")
    assert (said.exit_code, said.error["code"]) == (3, "not-published")
    assert "tito grade release 01_alpha --force" in said.error["hint"]
    assert small.everything() == before


def test_a_damaged_version_is_said_and_can_be_left(small, grade):
    folder = small.course.state / "versions" / "objects"
    kept = versions.Versions(small.course, small.module).pinned
    next(folder.glob(f"*/{kept.files[versions.SOURCE]}")).write_bytes(b"damaged")
    name = better(small)
    before = small.everything()
    said = grade("regrade", "alpha")
    assert said.exit_code == 3 and "version 1.2.3 of 01_alpha is damaged" in said.stderr
    assert small.everything() == before
    assert grade("regrade", "alpha", "--to", name, "--apply").exit_code == 0
    assert (pinned(small), points(small)) == (name, {"ada": 19, "bob": 14})


def test_cells_that_are_added_are_refused_before_anything_runs(small, grade):
    small.edit('grade_id": "test-Box-hidden"', 'grade_id": "test-Box-withheld"')
    before = small.everything()
    said = grade("regrade", "alpha")
    assert said.exit_code == 3
    assert "adds test-Box-withheld and removes test-Box-hidden" in said.stderr
    assert small.everything() == before


def test_a_test_that_is_worth_less_cannot_keep_what_was_published(small, grade):
    place = small.module.percent.read_text(encoding="utf-8")
    head = next(line for line in place.splitlines() if '"grade_id": "test-Box"' in line)
    small.edit(head, head.replace('"points": 7', '"points": 5'))
    name = _edited(small, DOUBLE, f"{DOUBLE}  # lenient")
    before = small.everything()
    assert grade("regrade", "alpha").exit_code == 0
    said = grade("regrade", "alpha", "--to", name, "--apply")
    assert said.exit_code == 1 and "gives fewer for test-Box" in said.stderr and "--also-lower" in said.stderr
    assert small.everything() == before
    assert grade("regrade", "alpha", "--to", name, "--apply", "--also-lower").exit_code == 0
    assert points(small) == {"ada": 17, "bob": 12}


def test_an_ungraded_submission_stops_it(small, grade, monkeypatch):
    class Stumbling(StandIn):
        def score(self, kit, task, cancel=None):
            if task.student == "bob":
                raise ProjectError("the scorer stumbled")
            return super().score(kit, task, cancel)

    name, before = better(small), small.everything()
    monkeypatch.setattr(executors, "Threads", Stumbling)
    said = grade("regrade", "alpha", "--to", name, "--apply")
    assert said.exit_code == 1 and "bob (the scorer stumbled)" in said.stderr
    assert small.everything() == before


def test_ctrl_c_while_it_scores_leaves_the_old_state_and_is_gone_on_with(small, grade):
    name, before = better(small), small.everything()

    def interrupt(student):
        signal.raise_signal(signal.SIGINT)

    first = StandIn(before=lambda student: interrupt(student) if len(first.asked) > 1 else None)
    options = RegradeOptions(to=name, apply=True, jobs=1)
    with pytest.raises(Interrupted, match="1 of 2 submissions are scored again, and no score was changed"):
        regrade(small.project, small.catalog, small.module, options, executor=_InTurn(first))
    assert small.everything() == before
    rest = StandIn()
    regrade(small.project, small.catalog, small.module, options, executor=rest)
    assert len(rest.asked) == 1
    assert points(small) == {"ada": 19, "bob": 14}


class _InTurn(executors.Inline):
    """Runs what another executor scores one after the other, in this thread, which gets the signals."""

    def __init__(self, other):
        self.sandbox, self.kit, self.place, self.score = other.sandbox, other.kit, other.place, other.score


@pytest.mark.parametrize("written", [0, 1])
def test_what_ends_it_while_it_writes_is_said_by_all_and_gone_on_with(small, grade, monkeypatch, written):
    name = better(small)
    true, calls = recorder.Recorder.record, []

    def record(self, student, *arguments, **more):
        calls.append(student)
        if len(calls) > written:
            raise RuntimeError("the machine was turned off")
        true(self, student, *arguments, **more)

    monkeypatch.setattr(recorder.Recorder, "record", record)
    assert grade("regrade", "alpha", "--to", name, "--apply").exit_code == 70
    monkeypatch.setattr(recorder.Recorder, "record", true)
    goes_on = f"tito grade regrade 01_alpha --to {name} --apply"
    others = ("autograde alpha", "feedback alpha", "export alpha", "report alpha", "release alpha --force")
    for arguments in (*others, "regrade alpha", "regrade alpha --to 1.2.3 --apply"):
        said = grade(*arguments.split())
        assert (said.exit_code, goes_on in said.stderr) == (3, True), (arguments, said.stdout, said.stderr)
    small.edit("# lenient", "# strict")  # whatever the course is by now
    data = grade("regrade", "alpha", "--apply", "--json").data
    assert data["applied"] and data["after"] == name and len(data["differences"]) == 1
    assert (points(small), pinned(small)) == ({"ada": 19, "bob": 14}, name)
    assert grade("history", "alpha", "--json").data["events"][-1]["changed"] == 1


def test_ctrl_c_while_it_writes_ends_after_the_student_and_says_how_to_go_on(small, grade, monkeypatch):
    name, true = better(small), recorder.Recorder.record

    def record(self, *arguments, **more):
        true(self, *arguments, **more)
        assert threading.current_thread() is threading.main_thread()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(recorder.Recorder, "record", record)
    said = grade("regrade", "alpha", "--to", name, "--apply")
    assert said.exit_code == 130
    assert "1 of 2 scores are written" in said.stderr
    monkeypatch.setattr(recorder.Recorder, "record", true)
    assert grade("regrade", "alpha", "--apply").exit_code == 0
    assert points(small) == {"ada": 19, "bob": 14}
