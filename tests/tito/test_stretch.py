"""A stretch earns points only where the course says so, and stands in nobody's way."""

from dataclasses import replace

import pytest
from tiny_course import STRETCH, Workspace

from tito.services import notebooks, strip

WRONG = "#| export\ndef half(number):\n    return number\n"


@pytest.fixture
def stretched(mini_course):
    path = mini_course / "modules/01_alpha/alpha_dev.py"
    path.write_text(path.read_text(encoding="utf-8") + STRETCH, encoding="utf-8")
    return mini_course


@pytest.fixture
def student(stretched, tito, tmp_path):
    made = tito("init", tmp_path / "theirs")
    assert made.exit_code == 0, made.stderr
    return Workspace((tmp_path / "theirs").resolve())


def count_stretch(course):
    path = course / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + "stretch = true\n", encoding="utf-8")


def test_the_answer_says_that_it_is_a_stretch_and_what_it_is_worth(stretched, project, alpha):
    def said(source):
        return next(one.source for one in strip.strip(source.node).cells if notebooks.grade_id(one) == "half")

    counted = "# Yours to write: a stretch, 10 points, 3 of them withheld"
    assert counted in said(notebooks.load(project, alpha.percent))
    assert counted in said(notebooks.load_handed_out(replace(project, stretch=True), alpha))
    assert "# Yours to write: a stretch that earns no points\n" in said(notebooks.load_handed_out(project, alpha))


@pytest.mark.kernel
@pytest.mark.parametrize("answer", [None, WRONG], ids=["unwritten", "wrong"])
def test_a_module_is_complete_without_it(student, answer):
    student.solve("01_alpha")
    if answer:
        student.edit("01_alpha", "half", answer)
    done = student.tito("module", "complete", "01", "--json")
    assert done.exit_code == 0, done.stdout
    data = done.document["data"]
    assert (data["points"], data["max_points"], data["withheld"]) == (14, 14, 5)
    row = next(one for one in data["cells"] if one["grade_id"] == "test-half")
    assert (row["status"], row["max_points"]) == ("failed" if answer else "todo", 0)
    shown = student.tito("module", "test", "01")
    assert shown.exit_code == 0
    assert "stretch  test-half" in shown.stdout


@pytest.mark.kernel
def test_a_score_by_the_course_counts_it_no_more_and_calls_no_cell_edited(student, stretched):
    student.solve("01_alpha")
    done = student.tito("module", "verify", "01", "--course", stretched, "--json")
    assert done.exit_code == 0, done.stdout
    assert (done.document["data"]["points"], done.document["data"]["max_points"]) == (19, 19)
    assert "edited" not in done.stdout + done.stderr


@pytest.mark.kernel
def test_a_course_may_count_it(stretched, tito, tmp_path):
    count_stretch(stretched)
    assert tito("init", tmp_path / "theirs").exit_code == 0
    student = Workspace((tmp_path / "theirs").resolve())
    student.solve("01_alpha")
    refused = student.tito("module", "complete", "01", "--json").document
    assert refused["error"]["code"] == "failed"
    assert "test-half" in refused["error"]["message"]


def test_a_setting_that_is_no_truth_value_is_refused(stretched, tito):
    path = stretched / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + 'stretch = "yes"\n', encoding="utf-8")
    refused = tito("module", "list")
    assert refused.exit_code == 3
    assert "[tool.tito] stretch is 'yes'" in refused.stderr
