"""Feedback pages: what a student may see is there, what is withheld is not, and a screen reader finds its way."""

import html
import re
import zipfile
from html.parser import HTMLParser

import pytest
from small_course import FAULT, SECOND, WRONG, StandIn, released

from tito.errors import ProjectError, UsageError
from tito.services import leaks, notebooks
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.scoring.autograde import Options, autograde

BOX = "#| export\nclass Box:  # <script>alert(1)</script>\n    pass\n"


@pytest.fixture
def small(gradebook_on, tmp_path):
    return released((tmp_path / "course").resolve())


def grade(small, **options):
    options = Options(**options)
    autograde(small.project, small.catalog, small.module, options, executor=StandIn())


def page_of(small, student):
    written = feedback(small.project, small.module)
    return written.pages[student].read_text(encoding="utf-8")


def text_of(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


class Outline(HTMLParser):
    """The headings, tables and elements of a page; fails where an element is not closed."""

    EMPTY = {"meta", "br"}

    def __init__(self, page):
        super().__init__()
        self.open, self.headings, self.names, self.cells, self.captions = [], [], set(), [], 0
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if tag == "th":
            self.cells.append(dict(attributes).get("scope"))
        self.captions += tag == "caption"
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_shows_points_messages_answers_and_what_is_withheld_by_its_points_only(small):
    small.solved("bob", double=WRONG)
    grade(small)
    text = text_of(page_of(small, "bob"))
    assert "return 3 * number # wrong" in text
    assert "expected <8>, got 9" in text
    assert "10 of 21" in text
    assert "withheld test 0 of 2" in text
    assert "withheld test 3 of 3" in text
    assert "Because addition is." in text


def test_a_message_of_a_withheld_test_is_withheld(small):
    class Telling(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            for cell in scored.result.cells:
                object.__setattr__(cell, "message", f"told by {cell.grade_id}")
                object.__setattr__(cell, "where", f"line of {cell.grade_id}")
            return scored

    small.solved("bob", double=WRONG)
    autograde(small.project, small.catalog, small.module, executor=Telling())
    text = text_of(page_of(small, "bob"))
    assert "told by test-double-errors" in text
    assert "hidden" not in text


def test_no_line_of_a_solution_or_a_withheld_test_is_in_any_page(small):
    small.solved("ada")
    small.solved("bob", double=WRONG)
    small.submit("eve", written="")
    grade(small)
    written = feedback(small.project, small.module)
    secrets = leaks.secrets(small.project, small.catalog)
    for path in written.pages.values():
        path.write_text(text_of(path.read_text(encoding="utf-8")), encoding="utf-8")
    own = {leak.statement for leak in leaks.scan(small.course.submitted, secrets)}  # students may find the same line
    assert [leak for leak in leaks.scan(small.course.feedback, secrets) if leak.statement not in own] == []
    assert not any("withheld_number" in statement for statement in own)
    autograded = leaks.scan(small.course.autograded, secrets)
    assert any("withheld_number" in leak.statement for leak in autograded), "the scan would find one"


def test_what_a_student_wrote_is_text_and_not_a_part_of_the_page(small):
    small.solved("bob", Box=BOX, written="<img src=x onerror=alert(2)>\x1b[31m")
    grade(small)
    page = page_of(small, "bob")
    assert {"script", "img"} & Outline(page).names == set()
    assert "<script>alert(1)</script>" in html.unescape(page)
    assert "\x1b" not in page


def test_a_screen_reader_finds_its_way(small):
    small.solved("bob", double=WRONG)
    grade(small)
    page = page_of(small, "bob")
    outline = Outline(page)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert '<html lang="en">' in page and 'href="#content"' in page and 'id="content"' in page
    assert outline.captions == page.count("<table>") > 0
    assert set(outline.cells) == {"row", "col"}
    assert "color-scheme: light dark" in page and "@media print" in page


def test_a_persons_points_and_comments_are_shown(small):
    small.solved("ada")
    grade(small)
    assert "Not graded yet" in page_of(small, "ada")
    with small.course.open_gradebook() as book:
        where = ("alpha_dev", "01_alpha", "ada")
        grade_of = book.find_grade("written-linear", *where)
        grade_of.manual_score, grade_of.needs_manual_grade = 1.5, False
        book.find_comment("written-linear", *where).manual_comment = "Say <why>."
        book.find_grade("test-Box", *where).manual_score = 6
        book.db.commit()
    text = text_of(page_of(small, "ada"))
    assert "1.5 of 2 points" in text and "Comment: Say <why>." in text and "19.5 of 21" in text
    assert "test-Box passed 6 of 7" in text, "a person's points for a test, too"
    assert "Not graded yet" not in text


def test_the_question_stands_above_the_answer_as_it_was_asked(small):
    small.solved("ada", written="Sums commute.", change=ask_otherwise)
    grade(small)
    text = text_of(page_of(small, "ada"))
    asked = "The question Why is doubling linear, and why is tripling as well? Your answer Sums commute."
    assert f"written-linear {asked}" in text
    assert "something else" not in text


def ask_otherwise(node):
    """A student edits the question and moves it away."""
    (question,) = (cell for cell in node.cells if notebooks.is_question(cell))
    question.source = "Why something else?"
    node.cells.remove(question)
    node.cells.insert(0, question)


def test_the_second_try_is_explained_with_both_scores(small):
    for student in ("dan", "eve"):
        small.solved(student, double=SECOND)
    grade(small, students=("dan",))
    grade(small, students=("eve",), second_try=False)
    text = text_of(page_of(small, "dan"))
    assert "you have 10 points, with it 19. The better one counts" in text and "19 of 21" in text
    text = text_of(page_of(small, "eve"))
    assert "The first one counts" in text and "10 of 21" in text


def test_one_archive_a_module_under_the_names_that_came_in(small):
    for student in ("ada", "bob", "cy", "dan"):
        small.solved(student)
    names = {
        "ada": "lovelaceada_12_345_alpha_dev-1.ipynb",
        "bob": "Bób Möller_7_assignsubmission_file_/alpha_dev.ipynb",
        "cy": "../../etc/alpha_dev.ipynb",
    }
    small.came_in(names)
    grade(small)
    written = feedback(small.project, small.module)
    with zipfile.ZipFile(written.archive) as archive:
        assert sorted(archive.namelist()) == sorted([
            "lovelaceada_12_345_alpha_dev-1.html",
            "Bób Möller_7_assignsubmission_file_/alpha_dev.html",
            "etc/alpha_dev.html",
            "dan.html",
        ])  # fmt: skip
        assert b"feedback for ada" in archive.read("lovelaceada_12_345_alpha_dev-1.html")
    first = written.archive.read_bytes()
    assert feedback(small.project, small.module).archive.read_bytes() == first


def test_one_students_page_alone(small):
    small.solved("ada")
    small.solved("bob")
    grade(small)
    assert list(feedback(small.project, small.module, ["bob"]).pages) == ["bob"]
    with pytest.raises(UsageError, match="zoe"):
        feedback(small.project, small.module, ["zoe"])


def test_who_is_not_graded_gets_no_page(small):
    with pytest.raises(ProjectError, match="nothing of 01_alpha is graded"):
        feedback(small.project, small.module)
    small.solved("ada")
    small.solved("bob", double=FAULT)
    grade(small)
    assert list(feedback(small.project, small.module).pages) == ["ada"]


def test_where_it_failed_is_said(small):
    class Placing(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            for cell in scored.result.cells:
                object.__setattr__(cell, "where", f"{kit.notebook}, cell 6, line 2")
            return scored

    small.solved("bob", double=WRONG)
    autograde(small.project, small.catalog, small.module, executor=Placing())
    page = page_of(small, "bob")
    assert "<br>alpha_dev.ipynb, cell 6, line 2" in page and "assignments/" not in page


def test_lateness_is_said(small):
    small.solved("ada")
    small.came_in({"ada": "x.ipynb"}, late=90_000)
    grade(small)
    assert "Late by 1 d 1 h" in text_of(page_of(small, "ada"))


def test_what_is_printed_below_a_withheld_test_is_not_shown(small):
    """An answer can keep the arguments of a withheld test; a later cell could print them."""

    class Printing(StandIn):
        def score(self, kit, task, cancel=None):
            scored = super().score(kit, task, cancel)
            code = [index for index, cell in enumerate(scored.notebook.cells) if cell.cell_type == "code"]
            scored.result.outputs.update({index: f"printed in {index}" for index in code})
            return scored

    small.solved("ada")
    autograde(small.project, small.catalog, small.module, executor=Printing())
    cells = list(enumerate(small.graded("ada")["cells"]))
    names = {index: cell["metadata"].get("nbgrader", {}).get("grade_id", "") for index, cell in cells}
    first = next(index for index, name in names.items() if name.endswith("-hidden"))
    answer = next(index for index, name in names.items() if name == "double")
    page = page_of(small, "ada")
    shown = {int(found) for found in re.findall(r"printed in (\d+)", page)}
    assert answer in shown and max(shown) < first
