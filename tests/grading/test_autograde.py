"""Autograding a class: what is scored, what is recorded, what is run again; nbgrader itself reads the result."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from small_course import FAULT, WRONG, StandIn, released

from tito.errors import Interrupted, ProjectError, UsageError
from tito.project import Project
from tito.services import notebooks
from tito.services.grading.book import gradebook, records
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.scoring import keys
from tito.services.grading.scoring.autograde import Options, autograde
from tito.services.pristine import Deviation

ROOT = Path(__file__).resolve().parents[2]
WRONG_FIRST = "#| export\ndef double(number):\n    return 3 * number  # wrong, right at the second try\n"


@pytest.fixture
def small(gradebook_on, tmp_path):
    return released((tmp_path / "course").resolve())


def grade(small, scorer=None, **options):
    scorer = scorer or StandIn()
    outcome = autograde(small.project, small.catalog, small.module, Options(**options), executor=scorer)
    return {row.student: row for row in outcome.rows}


def recorded(small):
    return {one.student: one for one in gradebook.submissions(small.course, small.module)}


def test_each_student_gets_a_row_and_the_gradebook_the_points(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.submit("eve", written="")
    rows = grade(small)
    assert {name: (row.status, row.points, row.max_points) for name, row in rows.items()} == {
        "ada": ("graded", 19, 19),
        "bob": ("graded", 10, 19),
        "eve": ("graded", 0, 19),
    }
    points = {name: (one.points, one.max_points) for name, one in recorded(small).items()}
    assert points == {"ada": (19, 21), "bob": (10, 21), "eve": (0, 21)}


def test_nbgrader_exports_the_same_scores(small, tmp_path):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.solved("cy", double=WRONG.replace("wrong", "half"))
    small.solved("dan", double=WRONG_FIRST)
    rows = grade(small)
    target = tmp_path / "grades.csv"
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "export", "--to", str(target)], cwd=small.course.root, check=True,
        capture_output=True,
    )  # fmt: skip
    with target.open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {"ada": 19, "bob": 10, "cy": 14.5, "dan": 19}
    assert exported == {name: row.second_points for name, row in rows.items()}


def test_a_second_try_counts_unless_the_instructor_says_otherwise(small):
    small.solved("dan", double=WRONG_FIRST)
    scorer = StandIn()
    row = grade(small, scorer)["dan"]
    assert (row.points, row.second_points, recorded(small)["dan"].points) == (10, 19, 19)
    row = grade(small, scorer, second_try=False)["dan"]
    assert (row.points, row.second_points, recorded(small)["dan"].points) == (10, 19, 10)
    assert scorer.asked == ["dan"], "both scores are kept: nothing has to run again"


def test_what_the_formgrader_shows_are_our_verdicts(small):
    small.solved("bob", double=WRONG)
    grade(small)
    cells = {notebooks.grade_id(cell): cell for cell in small.graded("bob")["cells"]}
    (output,) = cells["test-double"]["outputs"]
    assert output["output_type"] == "error"
    assert "expected <8>, got 9" in "".join(output["traceback"])
    assert cells["test-Box"]["outputs"] == []
    assert "BEGIN HIDDEN TESTS" in "".join(cells["test-double-hidden"]["source"]), "restored for the instructor"
    printed = [cell["outputs"] for cell in small.graded("bob")["cells"] if "seen =" in "".join(cell["source"])]
    assert printed == [[{"name": "stdout", "output_type": "stream", "text": ["[0, 2, 4]\n"]}]]


def test_deleted_and_copied_cells_do_not_disturb_nbgrader(small):
    def damage(node):
        copied = next(cell for cell in node.cells if notebooks.grade_id(cell) == "test-Box")
        node.cells[:] = [cell for cell in node.cells if notebooks.grade_id(cell) != "test-double"] + [copied]
        copied.metadata.nbgrader["points"] = 70

    small.solved("ada", change=damage)
    assert grade(small)["ada"].status == "graded"
    assert recorded(small)["ada"].points == 19


@pytest.mark.parametrize("printed", ["nan", "1e308", "-5", "7"])
def test_what_a_student_prints_is_no_score(small, printed):
    class Printing(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            scored.result.outputs.update(dict.fromkeys(range(20), printed))
            return scored

    small.solved("bob", double=WRONG)
    grade(small, Printing())
    assert recorded(small)["bob"].points == 10


@pytest.mark.parametrize("points", [float("nan"), 1e308, -1])
def test_an_impossible_score_is_a_fault_and_no_score(small, points):
    class Lying(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            object.__setattr__(scored.result.cells[0], "points", points)
            return scored

    small.solved("ada")
    row = grade(small, Lying())["ada"]
    assert (row.status, row.points) == ("ungraded", None)
    assert "test-double" in row.detail


def test_only_what_changed_runs_again(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    scorer = StandIn()
    rows = grade(small, scorer)
    assert rows["ada"].fresh and rows["bob"].fresh
    rows = grade(small, scorer)
    assert not rows["ada"].fresh and rows["ada"].points == 19
    small.solved("bob")
    rows = grade(small, scorer)
    assert (rows["bob"].fresh, rows["bob"].points, rows["ada"].fresh) == (True, 19, False)
    assert sorted(scorer.asked) == ["ada", "bob", "bob"]
    source = small.course.source / small.module.name / small.module.notebook.name
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    grade(small, scorer)
    assert sorted(scorer.asked) == ["ada", "ada", "bob", "bob", "bob"], "the tests may have changed"
    grade(small, scorer, students=("ada",), force=True)
    assert scorer.asked.count("ada") == 3


def test_all_that_scores_is_part_of_the_key():
    program = (
        "import sys, tito.services.grading.scoring.executors\n"
        "print(*(module.__file__ for name, module in sys.modules.items() if name.startswith('tito.services.')))"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {Path(name) for name in child.stdout.split() if Path(name).name != "__init__.py"}
    grading = ROOT / "tito" / "services" / "grading"
    programs = {path for name in ("inside", "trusted", "proxies", "wire") for path in grading.rglob(f"{name}.py")}
    assert (len(programs), (imported | programs) - set(keys.scoring_files())) == (4, set())


def test_what_tells_a_score_is_no_part_of_the_key():
    telling = {"feedback", "exports", "report", "collect", "recorder", "audit", "selftest", "formgrade", "data"}
    assert telling & {path.stem for path in keys.scoring_files()} == set()


def test_a_record_is_read_as_it_was_written(small):
    cells = (CellScore("test-double", "double", 1, 2, "passed", second=2), CellScore("test-x", None, 0, 1, "todo"))
    changes = (Deviation("edited", "test-double", 3), Deviation("deleted", "test-x"))
    result = SubmissionResult("ada", small.module.name, "tampered", "why", cells, {3: "out"}, changes, "none", 1.5)
    record = records.ScoreRecord("key", "digest", "2026-01-01T00:00:00+00:00", result, "first")
    records.write_record(small.course, small.module, "ada", record)
    assert records.read_record(small.course, small.module, "ada") == record


def test_a_gradebook_that_lost_a_score_gets_it_back_without_running_it_again(small):
    small.solved("ada")
    scorer = StandIn()
    grade(small, scorer)
    with small.course.open_gradebook() as book:
        book.remove_submission(small.module.name, "ada")
    grade(small, scorer)
    assert (recorded(small)["ada"].points, scorer.asked) == (19, ["ada"])


def test_who_is_on_the_roster_and_sent_nothing_is_missing(small):
    small.solved("ada")
    with small.course.open_gradebook() as book:
        book.add_student("zoe", first_name="Zoé")
    small.on_roster("ada", "zoe")
    rows = grade(small)
    assert (rows["zoe"].status, rows["zoe"].points) == ("missing", None)
    assert "zoe" not in recorded(small)


def test_a_fault_of_the_system_is_ungraded_stays_out_of_the_gradebook_and_runs_again(small):
    small.solved("ada")
    small.solved("bob", double=FAULT)
    scorer = StandIn()
    rows = grade(small, scorer)
    assert (rows["bob"].status, rows["bob"].points) == ("ungraded", None)
    assert "the scorer stumbled" in rows["bob"].detail
    assert sorted(recorded(small)) == ["ada"]
    grade(small, scorer)
    assert sorted(scorer.asked) == ["ada", "bob", "bob"]


def test_an_unknown_student_is_a_mistake_of_the_command_line(small):
    small.solved("ada")
    with pytest.raises(UsageError, match="no student 'adda'"):
        grade(small, students=("adda",))


def test_without_isolation_only_one_submission_runs(small):
    small.solved("ada")
    autograde(small.project, small.catalog, small.module, executor=StandIn(isolation="none"))
    small.solved("bob")
    small.solved("cy")
    with pytest.raises(ProjectError, match="not isolated.*2 of them") as refused:
        autograde(small.project, small.catalog, small.module, executor=StandIn(isolation="none"))
    assert "--no-sandbox" in refused.value.hint
    options = Options(no_sandbox=True)
    done = autograde(small.project, small.catalog, small.module, options, executor=StandIn(isolation="none"))
    assert [row.status for row in done.rows] == ["graded"] * 3


def test_a_workspace_does_not_grade(small):
    workspace = Project(small.root, "workspace", "1")
    with pytest.raises(ProjectError, match="workspace"):
        autograde(workspace, small.catalog, small.module)


def test_a_module_that_was_not_released_is_refused(small):
    with pytest.raises(ProjectError, match="not released") as refused:
        autograde(small.project, small.catalog, small.catalog.find("beta"), executor=StandIn())
    assert refused.value.hint == "tito grade release 02_beta"


def test_submissions_run_at_once_and_no_more_than_there_are_jobs(small):
    for number in range(6):
        small.solved(f"s{number}")
    together, most, guard = set(), [], threading.Lock()

    class Watching(StandIn):
        def score(self, kit, task, cancel=None):
            with guard:
                together.add(task.student)
                most.append(len(together))
            try:
                return super().score(kit, task, cancel)
            finally:
                with guard:
                    together.discard(task.student)

    grade(small, Watching(seconds=0.2), jobs=3)
    assert max(most) == 3


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(small):
    for number in range(4):
        small.solved(f"s{number}")

    def press(student):
        if student == "s2":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="of 4") as interrupted:
        grade(small, StandIn(before=press, seconds=0.1), jobs=1)
    kept = sorted(recorded(small))
    # the next one is under way while a score is being written: what is written last depends on who is quicker
    assert kept in (["s0"], ["s0", "s1"])
    assert f"{len(kept)} of 4" in str(interrupted.value)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    scorer = StandIn()
    grade(small, scorer)
    assert scorer.asked == ["s1", "s2", "s3"][len(kept) - 1 :]


def test_a_gradebook_gets_all_scores_of_a_submission_or_none(small, monkeypatch):
    from nbgrader import utils

    small.solved("ada")
    grade(small)
    small.solved("ada", double=WRONG)
    whole, calls = utils.determine_grade, []

    def breaks(cell, log=None):
        calls.append(cell)
        if len(calls) == 5:
            raise OSError("the disk is full")
        return whole(cell, log)

    with monkeypatch.context() as patch:
        patch.setattr(utils, "determine_grade", breaks)
        row = grade(small)["ada"]
    assert (row.status, "the disk is full" in row.detail) == ("ungraded", True)
    assert recorded(small)["ada"].points == 19, "the scores from before"
    assert grade(small)["ada"].points == recorded(small)["ada"].points == 10


def test_an_interrupted_write_is_done_again_without_scoring(small, monkeypatch):
    small.solved("ada")
    scorer = StandIn()
    grade(small, scorer)
    record = records.read_record(small.course, small.module, "ada")
    records.write_record(small.course, small.module, "ada", replace(record, recorded=""))
    with small.course.open_gradebook() as book:
        book.find_grade("test-Box", "alpha_dev", "01_alpha", "ada").auto_score = 0
        book.db.commit()
    grade(small, scorer)
    assert (recorded(small)["ada"].points, scorer.asked) == (19, ["ada"])


def test_a_second_tito_is_refused_with_the_name_of_the_first_and_a_dead_one_is_no_obstacle(small):
    small.solved("ada")
    program = (
        "import sys, time; from pathlib import Path; from tito.services import lock\n"
        "with lock.hold(Path(sys.argv[1]), 'tito grade autograde 01_alpha'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    path = small.course.state / "lock"
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=small.root)
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(ProjectError, match=f"process {holder.pid}") as refused:
            grade(small)
        assert refused.value.code == "locked"
    finally:
        holder.kill()
        holder.wait()
    assert json.loads(path.read_text(encoding="utf-8"))["pid"] == holder.pid, "the dead one could not clean up"
    assert grade(small)["ada"].status == "graded"


def test_a_persons_scores_and_comments_survive_a_second_autograde(small):
    small.solved("ada")
    grade(small)
    with small.course.open_gradebook() as book:
        where = ("alpha_dev", "01_alpha", "ada")
        written = book.find_grade("written-linear", *where)
        written.manual_score, written.needs_manual_grade = 1.5, False
        book.find_grade("test-Box", *where).manual_score = 6
        book.find_comment("written-linear", *where).manual_comment = "Almost."
        book.db.commit()
    assert recorded(small)["ada"].points == 9 + 9 + 1.5
    small.solved("ada", double=WRONG)
    grade(small)
    found = recorded(small)["ada"]
    assert found.grades["written-linear"].by_person == 1.5
    assert found.grades["test-Box"].by_person == 6
    assert found.comments["written-linear"] == "Almost."
    assert found.points == 0 + 9 + 1.5


def test_nbgraders_penalty_for_lateness_is_applied(small):
    small.course.settings.write_text(
        small.course.settings.read_text(encoding="utf-8")
        + "c.AssignLatePenalties.plugin_class = 'nbgrader.plugins.LateSubmissionPlugin'\n"
        + "c.LateSubmissionPlugin.penalty_method = 'zero'\n",
        encoding="utf-8",
    )
    with small.course.open_gradebook() as book:
        book.update_or_create_assignment("01_alpha", duedate=datetime(2026, 12, 1))
    for student, day in (("ada", 1), ("bob", 2)):
        path = small.solved(student)
        path.with_name("timestamp.txt").write_text(f"2026-12-0{day} 00:00:00 UTC", encoding="utf-8")
    grade(small)
    found = recorded(small)
    assert (found["ada"].points, found["ada"].penalty) == (19, 0)
    assert (found["bob"].points, found["bob"].penalty) == (19, 19)
    assert found["bob"].submitted_at == datetime(2026, 12, 2)


def test_a_link_is_no_submission(small):
    small.solved("ada")
    source = small.course.source / "01_alpha" / "alpha_dev.ipynb"
    path = small.course.submission("bob", small.module) / "alpha_dev.ipynb"
    path.parent.mkdir(parents=True)
    try:
        path.symlink_to(source)
    except OSError:
        pytest.skip("no links on this file system")
    rows = grade(small)
    assert (rows["bob"].status, rows["ada"].status) == ("ungraded", "graded")
    assert "is a link" in rows["bob"].detail


def test_memory_is_bounded_by_jobs_and_not_by_the_class(small):
    """Results that wait for the writer hold back the next submissions."""
    for number in range(8):
        small.solved(f"s{number}")
    done = []
    scorer = StandIn()

    def watch(count, total):
        done.append(count)
        assert len(scorer.asked) - count <= 2 * 2
        assert total == 8

    autograde(small.project, small.catalog, small.module, Options(jobs=2), on_done=watch, executor=scorer)
    assert done == list(range(9))
