"""Collecting a module with which a second file is handed in: both come in together, or what is missing is said."""

import pytest
from week import Week, zipped

from tito.services.grading.intake.received import read_submissions

FIRST, SECOND = b"PK first", b"PK second"


@pytest.fixture
def week(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    made = Week(tmp_path / "course", monkeypatch)
    path = made.root / "modules" / "01_alpha" / "module.toml"
    path.write_text('artifact = "submission.npz"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    return made


def reasons(said):
    return {row["file"].rpartition("/")[2]: (row["status"], row["reason"]) for row in said.document["data"]["files"]}


def artifact(week, student):
    path = week.course.submitted / student / "01_alpha" / "submission.npz"
    return path.read_bytes() if path.is_file() else None


def test_both_files_of_a_student_come_in(week, tmp_path):
    archive = zipped(
        tmp_path / "canvas.zip",
        ("ada_1_11_alpha_dev.ipynb", week.notebook(mark="ada")),
        ("ada_1_12_submission.npz", FIRST),
        ("bob_2_21_alpha_dev-1.ipynb", week.notebook(mark="bob")),
        ("bob_2_22_submission-1.npz", SECOND),
        ("cem_3_31_alpha_dev.ipynb", week.notebook(mark="cem")),
    )
    said = week.json("collect", archive)
    assert said.exit_code == 0, said.stdout
    assert reasons(said) == {
        "ada_1_11_alpha_dev.ipynb": ("collected", "with submission.npz"),
        "bob_2_21_alpha_dev-1.ipynb": ("collected", "with submission.npz"),
        "cem_3_31_alpha_dev.ipynb": ("collected", "without submission.npz"),
    }
    assert (artifact(week, "ada"), artifact(week, "bob"), artifact(week, "cem")) == (FIRST, SECOND, None)
    warning = said.document["data"]["warnings"][-1]
    assert warning == "01_alpha: 1 without submission.npz, which is handed in with the notebook: cem"
    again = week.json("collect", archive)
    assert {status for status, _ in reasons(again).values()} == {"unchanged"}


def test_a_new_file_with_the_same_notebook_is_a_new_attempt_and_nothing_is_lost(week, tmp_path):
    for number, data in enumerate((FIRST, SECOND)):
        archive = zipped(
            tmp_path / f"{number}.zip",
            (f"ada_1_{number}1_alpha_dev.ipynb", week.notebook()),
            (f"ada_1_{number}2_submission.npz", data),
        )
        assert week.tito("collect", archive).exit_code == 0
    assert artifact(week, "ada") == SECOND
    attempts = read_submissions(week.course)["01_alpha"]["ada"]["attempts"]
    kept = [(week.course.root / one["artifact"]).read_bytes() for one in attempts]
    assert kept == [FIRST, SECOND]
    assert week.tito("collect", archive, "--attempt", "first", "--module", "alpha").exit_code == 0
    assert artifact(week, "ada") == FIRST


def test_a_later_notebook_without_its_file_takes_the_old_file_away(week, tmp_path):
    both = zipped(tmp_path / "1.zip", ("ada_1_1_alpha_dev.ipynb", week.notebook()), ("ada_1_2_submission.npz", FIRST))
    alone = zipped(tmp_path / "2.zip", ("ada_1_3_alpha_dev.ipynb", week.notebook(mark="newer")))
    assert week.tito("collect", both).exit_code == 0
    said = week.json("collect", alone)
    assert list(reasons(said).values()) == [("replaced-older-attempt", "attempt 2 of 2; without submission.npz")]
    assert artifact(week, "ada") is None


def test_a_file_without_its_notebook_is_named(week, tmp_path):
    archive = zipped(tmp_path / "c.zip", ("ada_1_2_submission.npz", FIRST))
    said = week.json("collect", archive)
    assert said.exit_code == 1
    assert reasons(said) == {"ada_1_2_submission.npz": ("refused", "came without alpha_dev.ipynb")}


def test_a_file_that_lay_there_alone_is_kept(week, tmp_path):
    week.tito("collect", zipped(tmp_path / "0.zip", ("bob_1_1_alpha_dev.ipynb", week.notebook())))
    alone = week.course.submitted / "ada" / "01_alpha" / "submission.npz"
    alone.parent.mkdir(parents=True)
    alone.write_bytes(SECOND)
    archive = zipped(tmp_path / "c.zip", ("ada_2_1_alpha_dev.ipynb", week.notebook()))
    said = week.tito("collect", archive)
    assert said.exit_code == 0, said.stdout + said.stderr
    assert not alone.exists(), said.stdout
    assert SECOND in week.everything().values()


def test_in_folders_each_notebook_has_the_file_beside_it(week, tmp_path):
    archive = zipped(
        tmp_path / "c.zip",
        ("ada/01_alpha/alpha_dev.ipynb", week.notebook(mark="1")),
        ("ada/01_alpha/submission.npz", FIRST),
        ("bob/01_alpha/alpha_dev.ipynb", week.notebook(mark="2")),
        ("bob/01_alpha/submission.npz", SECOND),
    )
    assert week.tito("collect", archive).exit_code == 0
    assert (artifact(week, "ada"), artifact(week, "bob")) == (FIRST, SECOND)


def test_two_files_for_one_notebook_are_nobodys(week, tmp_path):
    archive = zipped(
        tmp_path / "c.zip",
        ("ada_1_1_alpha_dev.ipynb", week.notebook()),
        ("ada_1_2_submission.npz", FIRST),
        ("ada_1_3_submission-1.npz", SECOND),
    )
    found = reasons(week.json("collect", archive))
    assert found["ada_1_2_submission.npz"] == ("ambiguous", "to which notebook it belongs is not clear")
    assert found["ada_1_1_alpha_dev.ipynb"] == ("collected", "without submission.npz")


def test_other_modules_are_collected_as_before(week, tmp_path):
    archive = zipped(
        tmp_path / "c.zip",
        ("ada_1_1_beta_dev.ipynb", week.notebook("beta")),
        ("ada_1_2_weights.npz", FIRST),
    )
    said = week.json("collect", archive)
    assert reasons(said) == {"ada_1_1_beta_dev.ipynb": ("collected", "")}
    assert said.document["data"]["ignored"] == 1 and said.document["data"]["warnings"] == []
