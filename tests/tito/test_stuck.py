"""A student who is stuck, or learns alone with a clone of the course; and what instructors hand out for that."""

import json
import shutil

import pytest
from tiny_course import ANSWERS, run_tito

pytestmark = pytest.mark.kernel

CORE = "tinytorch/core/alpha.py"
RIGHT, WRONG = ANSWERS["01_alpha"]["double"], "#| export\ndef double(number):\n    return 3 * number\n"


@pytest.fixture
def file(mini_course, tito, tmp_path):
    """What an instructor sends to who is stuck in 01_alpha."""
    made = tito("grade", "release-adopt", "1", "--all", "--json")
    assert made.exit_code == 0, made.stderr
    path = made.document["data"]["files"]["all"]
    assert path == "assignments/adopt/01_alpha_adopt.py"
    return shutil.copy(mini_course / path, tmp_path / "sent.py")


def standing(student, name="01_alpha"):
    modules = student.tito("module", "status", "--json").document["data"]["modules"]
    return next(one for one in modules if one["name"] == name)


def everything(student):
    return student.contents("tinytorch", "modules"), student.contents(".tito")


def refused(student, code, *args):
    """The error of a command that must change nothing."""
    before = everything(student)
    outcome = student.tito(*args, "--json")
    assert outcome.exit_code in (1, 2), outcome.stdout
    assert everything(student) == before
    error = outcome.document["error"]
    assert error["code"] == code and error["hint"], error
    return error["message"]


# adopt


def test_who_is_stuck_goes_on_and_completes_later(workspace, file):
    workspace.edit("01_alpha", "double", WRONG)
    assert workspace.tito("module", "complete", "1").exit_code == 1
    adopted = workspace.tito("module", "adopt", "1", file)
    assert adopted.exit_code == 0, adopted.stderr
    assert "01_alpha is marked as adopted" in adopted.stdout
    assert "next: tito module start 02_beta" in adopted.stdout
    found = standing(workspace)
    assert (found["state"], found["adopted"], found["points"]) == ("adopted", "1.2.3", None)
    assert (
        (workspace.root / CORE).read_text(encoding="utf-8").startswith("# Adopted: this is the course's own 01_alpha")
    )
    assert "return 3 * number" in json.dumps(workspace.read("01_alpha")), "the notebook stays the student's"

    workspace.edit("02_beta", "quadruple", ANSWERS["02_beta"]["quadruple"])
    completed = workspace.tito("module", "complete", "2")
    assert completed.exit_code == 0, completed.stdout + completed.stderr
    assert "01_alpha is the course's own, adopted" in completed.stderr

    for name, answer in ANSWERS["01_alpha"].items():
        workspace.edit("01_alpha", name, answer)
    own = workspace.tito("module", "complete", "1", "--json")
    assert own.exit_code == 0, own.stderr
    assert own.document["data"]["kept"], "the adopted file is kept"
    assert "Adopted" not in (workspace.root / CORE).read_text(encoding="utf-8")
    assert standing(workspace)["state"] == "complete" and standing(workspace)["adopted"] is None


def test_what_stood_in_the_package_is_kept(completed, file):
    own = (completed.root / CORE).read_text(encoding="utf-8")
    (completed.root / CORE).write_text(own + "\nprint('by hand')\n", encoding="utf-8")
    done = completed.tito("module", "adopt", "1", file, "--json").document["data"]
    assert (completed.root / done["kept"]).read_text(encoding="utf-8") == own + "\nprint('by hand')\n"


def test_a_clone_serves_as_well(workspace, mini_course):
    assert workspace.tito("module", "adopt", "1", "--course", mini_course).exit_code == 0
    assert standing(workspace)["state"] == "adopted"


def test_an_adopted_file_that_is_edited_is_no_longer_adopted(workspace, file):
    assert workspace.tito("module", "adopt", "1", file).exit_code == 0
    path = workspace.root / CORE
    path.write_text(path.read_text(encoding="utf-8") + "\nmore = 1\n", encoding="utf-8")
    assert standing(workspace)["state"] == "edited"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text.replace("+ number", "* number"), "changed"),
        (lambda text: text.replace("version 1.2.3", "version 1.2.4"), "version 1.2.4"),
        (lambda text: text.replace("own 01_alpha", "own 02_beta"), "02_beta"),
        (lambda text: text.partition("\n")[2], "first lines"),
        (lambda text: "", "first lines"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(workspace, file, tmp_path, change, word):
    changed = tmp_path / "changed.py"
    changed.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    code = "other-version" if "1.2.4" in word else "adopt-file"
    assert word in refused(workspace, code, "module", "adopt", "1", changed)


def test_what_cannot_be_adopted(workspace, completed, file, tmp_path, tito):
    refused(workspace, "usage", "module", "adopt", "1")
    refused(workspace, "adopt-file", "module", "adopt", "1", tmp_path / "nowhere.py")
    refused(workspace, "no-course", "module", "adopt", "1", "--course", tmp_path)
    refused(completed, "complete", "module", "adopt", "1", file)
    assert tito("module", "adopt", "1", file).exit_code == 2, "not in the course repository"


def test_what_it_needs_comes_first(workspace, mini_course):
    assert "01_alpha" in refused(workspace, "prerequisites", "module", "adopt", "2", "--course", mini_course)


def test_who_begins_late_adopts_what_a_module_needs_with_it(workspace, mini_course, file):
    refusal = workspace.tito("module", "start", "3", "--json").document["error"]
    assert "tito module adopt 02_beta --course FOLDER --with-needs" in refusal["hint"]
    assert "01_alpha --course" not in refusal["hint"], "02_beta brings it along"
    refused(workspace, "usage", "module", "adopt", "1", file, "--with-needs")
    done = workspace.tito("module", "adopt", "2", "--course", mini_course, "--with-needs", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.document["data"]["needed"] == ["01_alpha"]
    assert [standing(workspace, name)["state"] for name in ("01_alpha", "02_beta")] == ["adopted", "adopted"]
    assert workspace.tito("module", "start", "3", "--no-open").exit_code == 0


def test_with_what_it_needs_only_what_is_missing_is_adopted(completed, mini_course):
    done = completed.tito("module", "adopt", "2", "--course", mini_course, "--with-needs", "--json").document["data"]
    assert (done["needed"], done["next"]) == ([], "03_gamma")
    assert standing(completed)["state"] == "complete"


def test_the_courses_own_has_to_work_with_what_the_student_has(completed, mini_course):
    path = mini_course / "modules" / "02_beta" / "beta_dev.py"
    path.write_text(
        path.read_text(encoding="utf-8").replace("double(double(number))", "double(number)"), encoding="utf-8"
    )
    message = refused(completed, "tests-failed", "module", "adopt", "2", "--course", mini_course)
    assert "test_quadruple" in message


# verify


def test_a_learner_alone_gets_the_points_of_a_class(workspace, mini_course):
    for name, answer in ANSWERS["01_alpha"].items():
        workspace.edit("01_alpha", name, answer)
    done = workspace.tito("module", "verify", "1", "--course", mini_course, "--json")
    assert done.exit_code == 0, done.stderr
    data = done.document["data"]
    assert (data["points"], data["max_points"]) == (19, 19)
    assert [cell["grade_id"] for cell in data["cells"] if cell["withheld"]] == ["test-double-hidden", "test-Box-hidden"]


def test_a_withheld_test_says_that_it_fails_and_nothing_of_itself(workspace, mini_course):
    answer = RIGHT.replace("return 2 * number", "return 8 if number == 4 else 6 if number == 3 else 7")
    workspace.edit("01_alpha", "double", answer)
    done = workspace.tito("module", "verify", "1", "--course", mini_course)
    assert done.exit_code == 1
    row = next(line for line in done.stdout.splitlines() if "test-double-hidden" in line)
    assert "failed" in row and "0/2" in row and "this withheld test does not pass" in row
    assert "withheld_number" not in done.stdout + done.stderr and "-1" not in row
    assert "tito module verify 01_alpha" in done.stderr


def test_another_version_of_the_course_verifies_nothing(workspace, mini_course):
    path = mini_course / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("1.2.3", "2.0.0"), encoding="utf-8")
    message = refused(workspace, "other-version", "module", "verify", "1", "--course", mini_course)
    assert "2.0.0" in message and "1.2.3" in message


# solution


def test_the_solution_waits_until_the_module_is_complete(workspace, completed, mini_course):
    refused(workspace, "not-complete", "module", "solution", "1", "--course", mini_course)
    done = completed.tito("module", "solution", "1", "--course", mini_course, "--json")
    assert done.exit_code == 0, done.stderr
    data = done.document["data"]
    assert data["gave_up"] is False and standing(completed)["gave_up"] is None
    for text in ((completed.root / data[kind]).read_text(encoding="utf-8") for kind in ("page", "notebook")):
        assert "twofold_of_the_number" in text, "the worked answer"
        assert "withheld_number" not in text and "BEGIN SOLUTION" not in text and "nbgrader" not in text


def test_giving_up_is_recorded(workspace, mini_course):
    done = workspace.tito("module", "solution", "1", "--course", mini_course, "--give-up")
    assert done.exit_code == 0, done.stderr
    assert standing(workspace)["gave_up"]
    assert "its solution was asked for" in workspace.tito("module", "status").stdout


def test_an_adopted_module_is_not_a_completed_one(workspace, mini_course, file):
    assert workspace.tito("module", "adopt", "1", file).exit_code == 0
    refused(workspace, "not-complete", "module", "solution", "1", "--course", mini_course)


# instructors


def test_files_for_students_that_are_named(mini_course, tito, tmp_path):
    roster = tmp_path / "class.csv"
    roster.write_text("id,first_name,last_name\nada,Ada,Lovelace\nalan,Alan,Turing\n", encoding="utf-8")
    assert tito("grade", "roster", "import", roster).exit_code == 0
    made = tito("grade", "release-adopt", "1", "--student", "ada", "--json")
    assert made.document["data"]["files"] == {"ada": "assignments/adopt/ada/01_alpha_adopt.py"}
    record = json.loads((mini_course / "assignments" / ".tito" / "adoptable.json").read_text(encoding="utf-8"))
    assert record["data"]["01_alpha"]["ada"]["course_version"] == "1.2.3"
    assert tito("grade", "release-adopt", "1", "--student", "grace").exit_code == 2
    assert tito("grade", "release-adopt", "1").exit_code == 2
    assert tito("grade", "release-adopt", "1", "--all", "--student", "ada").exit_code == 2


def test_solutions_wait_for_the_last_deadline(mini_course, tito, tmp_path):
    def outcome(*more):
        return tito("grade", "solutions", "1", *more, "--json")

    assert outcome().document["error"]["code"] == "not-due"
    roster = tmp_path / "class.csv"
    roster.write_text("id,first_name,last_name\nada,Ada,Lovelace\n", encoding="utf-8")
    assert tito("grade", "roster", "import", roster).exit_code == 0
    assert tito("grade", "due", "1", "2026-01-01T12:00", "--tz", "UTC").exit_code == 0
    assert tito("grade", "extend", "ada", "1", "+1000d").exit_code == 0
    error = outcome().document["error"]
    assert error["code"] == "not-due" and "extension" in error["message"] and "--before-due" in error["hint"]
    assert not (mini_course / "assignments" / "solutions").exists()
    assert tito("grade", "extend", "ada", "1", "none").exit_code == 0
    done = outcome()
    assert done.exit_code == 0, done.stderr
    assert "twofold_of_the_number" in (mini_course / done.document["data"]["page"]).read_text(encoding="utf-8")
    assert tito("grade", "due", "1", "2030-01-01T12:00", "--tz", "UTC").exit_code == 0
    assert outcome().exit_code == 3 and outcome("--before-due").exit_code == 0


def test_tools_and_milestones_know_an_adopted_file_by_the_same_words():
    from milestones.run import ADOPTED
    from tito.services.adopted import WORDS

    assert WORDS.startswith(ADOPTED)


# running it


def test_the_course_repository_says_where_to_go(tito, mini_course):
    for command in ("verify", "solution"):
        outcome = run_tito(mini_course, "module", command, "1", "--course", mini_course)
        assert outcome.exit_code == 2 and "workspace" in outcome.stderr
