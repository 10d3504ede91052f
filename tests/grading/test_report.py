"""The class at a glance: counts that add up, a picture with its text, no student's code."""

import pytest
from small_course import FAULT, WRONG, StandIn, released
from test_feedback import Outline, text_of

from tito.services.grading.reports.report import report
from tito.services.grading.scoring.autograde import autograde


@pytest.fixture
def small(gradebook_on, tmp_path):
    return released((tmp_path / "course").resolve())


def page_of(small):
    autograde(small.project, small.catalog, small.module, executor=StandIn())
    done = report(small.project, small.module)
    return done, done.path.read_text(encoding="utf-8")


def test_statuses_scores_questions_and_messages(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.solved("cy", double=WRONG)
    small.submit("eve", written="")
    small.solved("flo", double=FAULT)
    small.on_roster("ada", "zoe")
    done, page = page_of(small)
    text = text_of(page)
    assert done.statuses == {"graded": 4, "missing": 1, "ungraded": 1}
    assert done.mean == pytest.approx((19 + 10 + 10 + 0) / 4 / 21)
    assert "Mean 9.75 of 21" in text and "Median 10 of 21" in text
    assert "double 25 % 1 3" in text, "9 of 36 points; one student has all, three have none"
    assert text.index("double 25 %") < text.index("Box 75 %"), "the most missed question comes first"
    assert "test-double expected <8>, got 9 2" in text
    assert "test-double 3 75 % failed 2, todo 1" in text
    assert "zoe missing" in text and "flo ungraded the scorer stumbled" in text


def test_an_answer_in_words_that_nobody_wrote_is_empty_and_not_graded(small):
    for student in ("ada", "bob", "cy"):
        small.solved(student)
    small.submit("eve", written="")
    _, page = page_of(small)
    assert "Answer Graded Open Empty Points earned written-linear 0 3 1" in text_of(page)
    with small.course.open_gradebook() as book:
        grade = book.find_grade("written-linear", small.module.notebook.stem, small.module.name, "ada")
        grade.manual_score, grade.needs_manual_grade = 1, False
        book.db.commit()
    page = report(small.project, small.module).path.read_text(encoding="utf-8")
    assert "written-linear 1 2 1 50 %" in text_of(page)


def test_the_picture_says_what_it_shows(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    _, page = page_of(small)
    assert page.count('role="img"') == 1
    assert "they have: 40–50 %: 1; 90–100 %: 1." in text_of(page)
    assert "Students by the part of all points that they have" in page
    Outline(page)


def test_no_code_of_a_student_is_in_it(small):
    small.solved("bob", double=WRONG)
    _, page = page_of(small)
    assert "3 * number" not in page
    assert "Because addition is." not in page


def test_a_class_without_any_submission(small):
    small.on_roster("ada")
    _, page = page_of(small)
    assert "ada missing" in text_of(page)


def test_a_message_counts_where_it_cost_points(small):
    small.solved("dan", double=WRONG.replace("wrong", "wrong, right at the second try"))
    _, page = page_of(small)
    assert "expected &lt;8&gt;" not in page
    assert "Better in the second try 1, by 9 points on average" in text_of(page)
