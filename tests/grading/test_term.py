"""The sum of a term: worked by hand, and what holds for all of them; in exports, on pages, in the class report."""

import atexit
import csv
import io
import shutil
import tempfile
from fractions import Fraction
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import typed
from small_course import WRONG, SmallCourse, StandIn, released
from test_feedback import text_of

import tito.project
from tito.services import notebooks, strip
from tito.services.grading.intake.received import write_submissions
from tito.services.grading.release import release
from tito.services.grading.reports.lateness import LateDays, after_penalty, spend, started_days
from tito.services.grading.reports.term import COUNTS, DROPPED, TermPart, rounded, sum_up
from tito.services.grading.scoring.autograde import autograde

DAY = 86_400


# The arithmetic.


def part(points, worth, weight=None, name="m"):
    return TermPart(name, None if points is None else Fraction(points), Fraction(worth), weight and Fraction(weight))


def test_without_weights_a_point_is_a_point():
    # 8 + 15 + 10 of 10 + 20 + 20 points
    assert sum_up([part(8, 10), part(15, 20), part(10, 20)]).percent == 66.0


def test_weights_are_of_modules_however_many_points_they_have():
    # (1 · 8/10 + 3 · 15/20) / 4 = 0.7625
    assert sum_up([part(8, 10, 1), part(15, 20, 3)]).percent == 76.25


def test_the_lowest_is_what_helps_most_to_leave_out():
    # by its part the first is lowest (10 %), but without the second, which weighs more, the sum is larger:
    # without the first (10 · 0.4 + 1) / 11 = 45.45 %, without the second (0.1 + 1) / 2 = 55 %
    summed = sum_up([part(1, 10, 1, "a"), part(4, 10, 10, "b"), part(10, 10, 1, "c")], 1)
    assert (summed.percent, summed.names(DROPPED)) == (55.0, ("b",))


def test_the_last_module_is_never_left_out_and_nothing_makes_no_sum():
    assert sum_up([part(3, 10)], 5).percent == 30.0
    assert sum_up([part(3, 10, name="a"), part(5, 10, name="b")], 5).names(DROPPED) == ("a",)
    assert sum_up([]).percent is None
    assert sum_up([part(None, 10)]).percent is None


def test_a_module_without_weight_or_score_is_not_counted_and_not_left_out():
    parts = [part(0, 10, Fraction(0), "a"), part(None, 10, 1, "b"), part(5, 10, 1, "c"), part(10, 10, 1, "d")]
    parts[0] = TermPart("a", Fraction(0), Fraction(10), Fraction(0))
    summed = sum_up(parts, 1)
    assert (summed.percent, summed.names(COUNTS), summed.names(DROPPED)) == (100.0, ("d",), ("c",))


def test_of_equal_modules_the_first_is_left_out():
    assert sum_up([part(5, 10, name="a"), part(5, 10, name="b"), part(5, 10, name="c")], 1).names(DROPPED) == ("a",)


def test_a_sum_is_rounded_once_half_up():
    assert (rounded(Fraction("12.345")), rounded(Fraction("12.3449999")), rounded(Fraction(200, 3))) == (
        12.35,
        12.34,
        66.67,
    )
    assert sum_up([part(1, 3), part(1, 3)]).percent == 33.33


def test_a_started_day_is_a_day():
    assert [started_days(one) for one in (None, 0, 1, DAY, DAY + 1, 3 * DAY)] == [0, 0, 1, 1, 2, 3]


def test_slip_days_go_to_the_earliest_due_date_first_as_far_as_they_last():
    assert spend([2, 0, 4, 1], 5) == [2, 0, 3, 0]
    assert spend([2, 1], 0) == [0, 0]


def test_a_penalty_is_of_what_was_earned_and_takes_no_more_than_that():
    # 10 % a day of 18 points; 3 days late, 1 of them a slip day
    assert after_penalty(18.0, LateDays(3, 1), 10) == Fraction("14.4")
    assert after_penalty(18.0, LateDays(20, 0), 10) == 0
    assert after_penalty(0.1, LateDays(1, 0), 50) == Fraction(1, 20), "0.1 is a tenth"


one_module = st.tuples(
    st.integers(0, 40).map(lambda quarters: Fraction(quarters, 4)),
    st.integers(10, 30),
    st.integers(0, 4),
    st.integers(0, 5),
)
terms = st.tuples(
    st.lists(one_module, min_size=1, max_size=6),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 8),
    st.sampled_from([0, 5, 10, 33, 100]),
)


def total(modules, weighted, drop, slip, percent):
    spent = spend([days for *_, days in modules], slip)
    parts = [
        TermPart(str(place), after_penalty(points, LateDays(days, used), percent), Fraction(worth), Fraction(weight))
        if weighted
        else TermPart(str(place), after_penalty(points, LateDays(days, used), percent), Fraction(worth))
        for place, ((points, worth, weight, days), used) in enumerate(zip(modules, spent, strict=True))
    ]
    return sum_up(parts, drop)


@settings(deadline=None, max_examples=200)
@given(terms, st.data())
def test_more_points_dropping_and_slip_days_never_lower_a_sum(term, data):
    modules, weighted, drop, slip, percent = term
    before = total(*term).percent
    if before is None:
        return
    place = data.draw(st.integers(0, len(modules) - 1))
    points, worth, weight, days = modules[place]
    more = data.draw(st.integers(0, 40).map(lambda quarters: Fraction(quarters, 4)))
    better = [*modules[:place], (points + more, worth, weight, days), *modules[place + 1 :]]
    assert total(better, weighted, drop, slip, percent).percent >= before
    assert total(modules, weighted, drop + 1, slip, percent).percent >= before
    assert total(modules, weighted, drop, slip + 1, percent).percent >= before
    in_time = [*modules[:place], (points, worth, weight, max(0, days - 1)), *modules[place + 1 :]]
    assert total(in_time, weighted, drop, 0, percent).percent >= total(modules, weighted, drop, 0, percent).percent


@settings(deadline=None, max_examples=200)
@given(terms)
def test_what_is_left_out_is_the_best_of_all_choices(term):
    found = total(*term)
    counted = [one for one in found.parts if one.state in (COUNTS, DROPPED)]
    if not counted:
        return
    keep = len(counted) - min(term[2], len(counted) - 1)
    best = max(
        sum(one.weighs * one.points / one.worth for one in some) / sum(one.weighs for one in some)
        for some in combinations(counted, keep)
    )
    assert found.percent == rounded(100 * best)


# The commands.

RULES = """
[tool.tito.grading]
weights = {01_alpha = 1, 02_beta = 3}
slip-days = 1
late-penalty = 10
"""


def hand_in(small, module, student, **answers):
    module = small.catalog.find(module)
    node = strip.strip(notebooks.load(small.project, module.percent).node)
    for cell in node.cells:
        if notebooks.grade_id(cell) in answers:
            cell.source = answers[notebooks.grade_id(cell)]
    notebooks.write(node, small.course.submission(student, module) / module.notebook.name)


QUADRUPLE = "#| export\ndef quadruple(number):\n    return double(double(number))"


@cache
def _class():
    """Two modules of three are graded: of 21 points, 19 by the tests, and of 10."""
    folder = tempfile.TemporaryDirectory(prefix="term-")
    atexit.register(folder.cleanup)
    small = released(Path(folder.name).resolve() / "course")
    modules = [small.catalog.find(name) for name in ("alpha", "beta")]
    release(small.project, small.catalog, modules, force=True)
    small.solved("ada")
    small.solved("bob", double=WRONG)
    hand_in(small, "beta", "ada", quadruple=QUADRUPLE)
    small.on_roster("ada", "bob", "zoe")
    for module in modules:
        autograde(small.project, small.catalog, module, executor=StandIn())
    return small.root


@pytest.fixture
def small(tmp_path, monkeypatch):
    root = (tmp_path / "course").resolve()
    shutil.copytree(_class(), root)
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    return SmallCourse(root)


def rules(small, text=RULES):
    path = small.root / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def due(small, late=None, alpha="2026-01-10T12:00", beta="2026-01-20T12:00"):
    """Set due dates that are over. late: {module: {student: seconds}}"""
    for module, date in (("alpha", alpha), ("beta", beta)):
        if date:
            assert typed(small.root, "grade", "due", module, date, "--tz", "Europe/Berlin").exit_code == 0
    entries = {
        small.catalog.find(module).name: {
            student: {"name": "x.ipynb", "late": seconds} for student, seconds in of.items()
        }
        for module, of in (late or {}).items()
    }
    write_submissions(small.course, entries)


def grade(small, *arguments):
    return typed(small.root, "grade", *arguments)


def table(small, *arguments):
    said = grade(small, "export", "--total", *arguments, "--json")
    assert said.exit_code == 0, said.stdout
    return {row["student"]: row for row in csv.DictReader(io.StringIO(said.data["text"]))}, said.data


def test_sums_of_a_class_worked_by_hand(small):
    rules(small)
    due(small, {"alpha": {"ada": 2 * DAY, "bob": 60}, "beta": {"ada": DAY + 1}})
    rows, data = table(small)
    # ada: 19 points, 2 days late, 1 slip day: 17.1 of 21; beta 10 of 10, 2 days late: 8; (17.1/21 + 3 · 0.8) / 4
    assert (rows["ada"]["01_alpha"], rows["ada"]["02_beta"], rows["ada"]["total_percent"]) == ("17.1", "8", "80.36")
    assert (rows["ada"]["late_days"], rows["ada"]["slip_days"], rows["ada"]["counted"]) == ("4", "1", "2")
    # bob: 10 points, 1 day late, which the slip day covers; beta is missing and over: (10/21 + 0) / 4
    assert (rows["bob"]["01_alpha"], rows["bob"]["02_beta"], rows["bob"]["total_percent"]) == ("10", "0", "11.9")
    assert rows["zoe"]["total_percent"] == "0"
    alpha, beta = data["totals"]["ada"]["parts"]
    assert alpha["late"] == {"days": 2, "slip_days": 1} and (beta["points"], beta["weight"]) == (8.0, 3.0)
    assert data["not_counted_yet"] == {}


def test_without_rules_all_points_count_alike_and_what_is_not_due_is_open(small):
    rows, data = table(small)
    # ada 29 of 31; bob 10 of 21, beta is not due
    assert (rows["ada"]["total_percent"], rows["bob"]["total_percent"], rows["zoe"]["total_percent"]) == (
        "93.55",
        "47.62",
        "",
    )
    assert data["not_counted_yet"] == {"bob": ["02_beta"], "zoe": ["01_alpha", "02_beta"]}
    said = grade(small, "export", "--total")
    assert (
        "no due date is over: bob (02_beta), zoe (01_alpha, 02_beta); to count them as 0: --missing-as-zero"
        in said.stderr
    )
    rows, _ = table(small, "--missing-as-zero")
    assert (rows["bob"]["total_percent"], rows["zoe"]["total_percent"]) == ("32.26", "0")


def test_an_extension_keeps_a_missing_module_open(small):
    due(small, beta="2026-01-20T12:00")
    assert grade(small, "extend", "bob", "beta", "+2w").exit_code == 0
    assert table(small)[0]["bob"]["02_beta"] == "0", "2 weeks are over as well"
    assert grade(small, "extend", "bob", "beta", "2027-06-01").exit_code == 0
    assert table(small)[0]["bob"]["02_beta"] == ""


def test_the_lowest_is_left_out_and_named(small):
    rules(small, "\n[tool.tito.grading]\ndrop-lowest = 1\n")
    rows, _ = table(small)
    assert (rows["ada"]["total_percent"], rows["ada"]["left_out"]) == ("100", "01_alpha")
    assert (rows["bob"]["total_percent"], rows["bob"]["left_out"]) == ("47.62", "")


def test_some_modules_can_be_summed_up_alone(small):
    assert table(small, "alpha")[0]["ada"]["total_percent"] == "90.48"


def test_a_late_penalty_counts_in_every_table_and_not_twice(small):
    rules(small)
    due(small, {"alpha": {"ada": 3 * DAY}})
    said = grade(small, "export", "alpha", "--json")
    ada = next(row for row in csv.DictReader(io.StringIO(said.data["text"])) if row["student"] == "ada")
    assert (ada["score"], ada["penalty"]) == ("15.2", "3.8")
    with small.course.open_gradebook() as book:
        book.find_submission("01_alpha", "ada").notebooks[0].late_submission_penalty = 5
        book.db.commit()
    said = grade(small, "export", "--total")
    assert said.exit_code == 3 and "ada would pay twice for being late with 01_alpha" in said.stderr


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Total (77)
    Points Possible,,,,,100
"Ada, A",101,s1,ada,X,
"Bob, B",102,s2,bob,X,40
"""


def test_the_sum_goes_to_canvas_and_into_its_file(small, tmp_path):
    file = tmp_path / "class.csv"
    file.write_text(CANVAS, encoding="utf-8")
    assert grade(small, "roster", "import", file).exit_code == 0
    said = grade(small, "export", "--total", "--format", "canvas", "--json")
    assert said.exit_code == 0, said.stdout
    rows = list(csv.reader(io.StringIO(said.data["text"])))
    assert rows[0][-1] == "Total (77)" and rows[1][-1] == "100"
    assert {row[3]: row[-1] for row in rows[2:]} == {"ada": "93.55", "bob": "47.62"}
    filled = tmp_path / "filled.csv"
    said = grade(small, "export", "--total", "--format", "canvas", "--into", file, "--column", "Total", "-o", filled)
    assert said.exit_code == 0, said.stderr
    assert filled.read_text(encoding="utf-8") == CANVAS.replace("X,\n", "X,93.55\n", 1).replace("X,40", "X,47.62")


MOODLE = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Last modified (grade)
Participant 11,Ada,ada,Submitted,,100.00,Yes,-
Participant 12,Bob,bob,Submitted,,100.00,Yes,-
"""


def test_the_sum_goes_into_a_worksheet_of_moodle(small, tmp_path):
    file, filled = tmp_path / "sheet.csv", tmp_path / "filled.csv"
    file.write_text(MOODLE, encoding="utf-8")
    said = grade(small, "export", "--total", "--format", "moodle", "--into", file, "-o", filled)
    assert said.exit_code == 0, said.stderr
    grades = {row["Email address"]: row["Grade"] for row in csv.DictReader(filled.open(encoding="utf-8"))}
    assert grades == {"ada": "93.55", "bob": "47.62"}


def test_the_page_shows_the_sum_of_what_was_published_and_how_it_comes_about(small):
    rules(small)
    due(small, {"alpha": {"ada": 2 * DAY}})
    assert grade(small, "feedback", "alpha").exit_code == 0
    page = small.course.feedback / "ada" / "01_alpha" / "alpha_dev.html"
    text = text_of(page.read_text(encoding="utf-8"))
    assert "The sum so far 81.43 %" in text and "Slip days 1 of 1 spent" in text
    assert "Penalty for lateness 1.9 points; 17.1 remain" in text and "Slip days spent on it 1, of 2 days late" in text
    assert "01_alpha 17.1 of 21 1 2 days late, 1 slip day spent" in text
    assert "02_beta" not in text, "what nobody was told is in no sum"
    assert grade(small, "feedback", "beta").exit_code == 0
    text = text_of((small.course.feedback / "ada" / "02_beta" / "beta_dev.html").read_text(encoding="utf-8"))
    assert "The sum so far 95.36 %" in text, "(17.1/21 + 3 · 1) / 4"
    assert "02_beta 10 of 10 3" in text


def test_without_rules_a_page_has_no_sum(small):
    assert grade(small, "feedback", "alpha").exit_code == 0
    assert "sum so far" not in (small.course.feedback / "ada" / "01_alpha" / "alpha_dev.html").read_text(
        encoding="utf-8"
    )


def test_the_class_report_shows_the_sums(small):
    rules(small, "\n[tool.tito.grading]\ndrop-lowest = 0\n")
    assert grade(small, "feedback", "alpha").exit_code == 0
    assert grade(small, "report", "alpha").exit_code == 0
    text = text_of((small.course.root / "reports" / "01_alpha.html").read_text(encoding="utf-8"))
    assert "the median is 69.05 %" in text and "ada 90.48 % 0" in text and "bob 47.62 % 0" in text


def test_a_sum_with_an_ungraded_submission_is_refused(small):
    small.solved("zoe")
    said = grade(small, "export", "--total", "--json")
    assert (said.exit_code, said.error["code"]) == (1, "ungraded")
    assert "zoe" not in table(small, "--without", "zoe")[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("weights = {01_alpha = 1}", "weights say nothing of 02_beta"),
        ("weights = {01_alpha = 1, alpha = 2}", "names 01_alpha twice"),
        ("weights = {omega = 1}", "there is no module 'omega'"),
        ("weights = {01_alpha = -1, 02_beta = 1}", "weights.01_alpha is -1"),
        ("weights = 3", "weights is 3"),
        ("drop-lowest = 1.5", "drop-lowest is 1.5"),
        ("slip-days = -1", "slip-days is -1"),
        ("slip-days = true", "slip-days is True"),
        ("late-penalty = 101", "late-penalty is 101"),
        ("late-penalty = nan", "late-penalty is nan"),
        ("late_penalty = 10", "has no setting late_penalty"),
    ],
)
def test_rules_that_make_no_sense_are_named(small, line, words):
    rules(small, f"\n[tool.tito.grading]\n{line}\n")
    said = grade(small, "export", "--total")
    assert (said.exit_code, words in said.stderr) == (3, True), said.stderr


def test_formats_without_sums_and_modules_named_twice_over_are_wrong_usage(small):
    assert "--format csv or --format canvas" in grade(small, "export", "--total", "--format", "questions").stderr
    assert grade(small, "export", "--total", "--format", "moodle").exit_code == 2
    assert grade(small, "export", "alpha", "--all", "--total").exit_code == 2
    assert grade(small, "export").exit_code == 2
