"""A class is graded with what was released to it: kept by hash in the course folder, whatever the course becomes."""

import pytest
from said import typed
from small_course import SECOND, WRONG, StandIn, released

import tito.project
from tito.errors import ProjectError
from tito.project import read_project
from tito.services.grading.book import gradebook, versions
from tito.services.grading.scoring import executors

TEST = 'assert double(4) == 8, f"double(4): expected 8, got {double(4)}"'
LENIENT = f"{TEST}  # lenient"


@pytest.fixture
def small(tmp_path):
    return released((tmp_path / "course").resolve())


@pytest.fixture
def grade(small, monkeypatch):
    """grade(*arguments): `tito grade …` typed in the course folder, with the stand-in in place of the scorer."""
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)
    small.solved("ada")
    small.solved("bob", double=WRONG)

    def run(*arguments):
        return typed(small.root, "grade", *arguments)

    assert run("release", "alpha", "--force").exit_code == 0
    return run


def points(small):
    return {one.student: one.points for one in gradebook.submissions(small.course, small.module)}


def pinned(small):
    return versions.Versions(small.course, small.module).pinned


def test_autograde_uses_the_tests_that_were_released_and_says_what_changed_since(small, grade):
    small.edit(TEST, LENIENT)
    said = grade("autograde", "alpha")
    assert points(small) == {"ada": 19, "bob": 10}, "the lenient test would give bob 4 more"
    assert "graded with 1.2.3, which was released; the course is 1.2.3+" in said.stdout
    assert "(test-double changed): tito grade regrade 01_alpha" in said.stdout
    data = grade("autograde", "alpha", "--json").data
    assert (data["version"], data["course_changed"]) == ("1.2.3", ["test-double"])


def test_the_package_is_the_released_one_as_well(small, grade, tmp_path):
    (small.root / "tinytorch" / "core" / "alpha.py").write_text("", encoding="utf-8")
    path = small.root / "tinytorch" / "__init__.py"
    before = path.read_bytes()
    path.write_bytes(before + b"\n# another package\n")
    data = grade("autograde", "alpha", "--json").data
    assert data["course_changed"] == ["the package's __init__.py"], (
        "its own export is no part of what it is graded with"
    )
    made = versions.put(versions.Versions(small.course, small.module).contents(pinned(small)), tmp_path / "kit")
    assert (made["view"] / "tinytorch" / "__init__.py").read_bytes() == before


def test_a_course_that_did_not_change_is_not_mentioned(grade):
    assert "which was released" not in grade("autograde", "alpha").stdout


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_version_scores_nobody_and_changes_nothing(small, grade, damage):
    folder = small.course.state / "versions" / "objects"
    kept = next(folder.glob(f"*/{pinned(small).files[versions.SOURCE]}"))
    kept.write_bytes(b"{}") if damage == "changed" else kept.unlink()
    before = small.everything()
    said = grade("autograde", "alpha")
    assert said.exit_code == 3
    assert "version 1.2.3 of 01_alpha is damaged: source.ipynb (assignments/.tito/versions/objects/" in said.stderr
    assert "tito grade release 01_alpha" in said.stderr
    assert small.everything() == before
    assert grade("release", "alpha").exit_code == 0, "the course still is that version"
    assert grade("autograde", "alpha").exit_code == 0


def test_versions_of_one_name_are_told_apart_and_found_by_name_and_fingerprint(small, grade):
    kept = versions.Versions(small.course, small.module)
    small.edit(TEST, LENIENT)
    current = kept.named(versions.course_now(small.project, small.catalog, small.module))
    assert current.name == f"1.2.3+{current.fingerprint[:8]}"
    assert kept.find("1.2.3", current) == kept.pinned
    assert kept.find(current.name, current) == kept.find(current.fingerprint[:6], current) == current
    small.edit('version = "1.2.3"', 'version = "1.3.0"', "pyproject.toml")
    small.project = read_project(small.root)
    kept = versions.Versions(type(small.course)(small.project), small.module)
    assert kept.named(versions.course_now(small.project, small.catalog, small.module)).name == "1.3.0"


def test_a_release_goes_on_grading_until_another_one_is_forced(small, grade):
    grade("autograde", "alpha")
    small.edit("a number that was withheld", "a withheld number")  # students get the same notebook
    said = grade("release", "alpha")
    assert said.exit_code == 0
    assert "01_alpha is graded with 1.2.3 and not with 1.2.3+" in said.stderr
    assert "scores of 1.2.3 are recorded" in said.stderr and "tito grade release 01_alpha --force" in said.stderr
    assert pinned(small).name == "1.2.3"
    assert grade("release", "alpha", "--force").exit_code == 0
    assert pinned(small).name.startswith("1.2.3+")
    assert grade("autograde", "alpha", "--json").data["course_now"] is None


def test_once_something_is_published_a_release_never_changes_what_grades(small, grade, monkeypatch):
    grade("autograde", "alpha")
    grade("feedback", "alpha")
    small.edit("def test_unit_double():\n    assert", "def test_unit_double():\n    # lenient\n    assert")
    said = grade("release", "alpha", "--force", "--json")
    (done,) = said.data["releases"]
    assert (done["status"], done["graded_with"]) == ("replaced", "1.2.3")
    assert done["version"].startswith("1.2.3+")
    assert "scores of 1.2.3 are published" in done["warnings"][0] and "regrade 01_alpha --to" in done["warnings"][0]
    with small.course.open_gradebook() as book:
        cells = {cell.name: cell.source for cell in book.find_notebook("alpha_dev", "01_alpha").source_cells}
    assert "lenient" not in cells["test-double"], "the gradebook is that of the version that grades"
    small.solved("cy", double=WRONG)
    path = small.root / "tinytorch" / "__init__.py"
    before = path.read_bytes()
    path.write_bytes(before + b"\n# another package\n")

    class Watching(StandIn):
        def kit(self, *arguments, view=None, **more):
            shown.append((view / "tinytorch" / "__init__.py").read_bytes())
            return super().kit(*arguments, view=view, **more)

    shown = []
    monkeypatch.setattr(executors, "Threads", Watching)
    assert grade("autograde", "alpha", "--force", "--json").data["version"] == "1.2.3"
    assert points(small) == {"ada": 19, "bob": 10, "cy": 10}
    assert shown == [before]


def test_a_published_score_stays_until_the_file_changes(small, grade, monkeypatch):
    grade("autograde", "alpha")
    grade("feedback", "alpha", "--student", "bob")
    scorer = StandIn()
    monkeypatch.setattr(executors, "Threads", lambda: scorer)
    said = grade("autograde", "alpha", "--force")
    assert scorer.asked == ["ada"]
    assert "1 keep the score that was published, and were not scored again (bob)" in said.stdout
    small.solved("bob")
    assert grade("autograde", "alpha").exit_code == 0
    assert points(small) == {"ada": 19, "bob": 19}


def test_which_try_counts_stays_too_where_it_was_published(small, grade):
    small.solved("dan", double=SECOND)
    grade("autograde", "alpha")
    grade("feedback", "alpha", "--student", "dan")
    said = grade("autograde", "alpha", "--no-second-try")
    assert points(small)["dan"] == 19 and "1 keep the score that was published" in said.stdout


def test_what_a_person_graded_is_not_asked_for_again_when_the_same_file_is_scored_again(small, grade):
    grade("autograde", "alpha")
    with small.course.open_gradebook() as book:
        for student in ("ada", "bob"):
            found = book.find_grade("written-linear", "alpha_dev", "01_alpha", student)
            found.manual_score, found.needs_manual_grade = 2, False
        book.db.commit()
    small.solved("bob", double=WRONG, written="Another answer.")
    data = grade("autograde", "alpha", "--force", "--json").data
    assert {row["student"]: row["waiting_for_a_person"] for row in data["students"]} == {
        "ada": [], "bob": ["written-linear"],
    }  # fmt: skip
    assert points(small) == {"ada": 21, "bob": 12}


def test_the_history_says_what_was_published_when_and_with_which_version(small, grade, tmp_path):
    assert "nothing of 02_beta was released or published" in grade("history", "beta").stdout
    grade("autograde", "alpha")
    grade("feedback", "alpha", "--student", "bob")
    grade("export", "alpha")  # on the screen nobody was told anything
    grade("export", "alpha", "-o", tmp_path / "scores.csv")
    grade("feedback", "alpha")
    data = grade("history", "alpha", "--json").data
    told = [(one["what"], one["version"], one["detail"], one["students"], one["changed"]) for one in data["events"]]
    assert told == [
        ("released", "1.2.3", "", None, None),
        ("published", "1.2.3", "feedback", 1, 1),
        ("published", "1.2.3", "export csv", 2, 1),
        ("published", "1.2.3", "feedback", 2, 0),
    ]
    assert data["graded_with"] == "1.2.3" and list(data["versions"]) == ["1.2.3"]
    (bob,) = grade("history", "alpha", "--student", "bob", "--json").data["published"]
    assert (bob["total"], bob["points"]["test-Box"], bob["version"]) == (10, 7, "1.2.3")
    assert grade("history", "alpha", "--student", "nobody").exit_code == 2
    assert "published  1.2.3" in grade("history", "alpha").stdout


def test_without_a_kept_version_a_class_is_graded_as_before(tmp_path, monkeypatch):
    small = released((tmp_path / "old").resolve())
    small.solved("ada")
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(executors, "Threads", StandIn)
    data = typed(small.root, "grade", "autograde", "alpha", "--json").data
    assert (data["version"], data["students"][0]["points"]) == (None, 19)


def test_the_version_that_grades_is_what_a_kit_is_made_of(small, grade, tmp_path):
    from tito.services.grading.scoring import kits

    small.edit(TEST, LENIENT)
    made = versions.put(versions.Versions(small.course, small.module).contents(pinned(small)), tmp_path / "kept")
    with kits.make(small.project, small.catalog, small.module, sandbox=StandIn().sandbox(None), **made) as kit:
        assert "lenient" not in kit.tests["test-double"].source
        assert not (kit.view / "tinytorch" / "core" / "alpha.py").exists()
    with pytest.raises(ProjectError, match="is damaged"):
        kept = versions.Versions(small.course, small.module)
        next((kept.folder / "objects").glob(f"*/{kept.pinned.files[versions.SOURCE]}")).unlink()
        kept.contents(kept.pinned)
