"""Several graders: lists that are even and stay, codes for names, answers out and in, requests to look again."""

import csv
import io
import json
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import typed
from small_course import SmallCourse, StandIn, released

import tito.project
from tito.errors import UsageError
from tito.services import notebooks
from tito.services.grading.book import gradebook
from tito.services.grading.graders import assigning, cells, codes, requests, written
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.roster.sheets import Sheet
from tito.services.grading.scoring.autograde import autograde

CLASS = {
    name: f"Tutorial {number % 3}" for number, name in enumerate(["ada", "bob", "cyd", "dan", "eve", "flo", "gus"])
}
FORMULA = '=HYPERLINK("http://x")\n\n\'- a; @b\n\t+1'


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course with seven graded submissions, one of them without an answer in words, for every test to copy."""
    found = released(tmp_path_factory.mktemp("graded").resolve() / "course")
    for name in CLASS:
        text = {"ada": FORMULA, "bob": 'Übung, "Quotes" 🎉'}.get(name, f"Because {name}.")
        found.solved(name, written="" if name == "gus" else text)
    students = {name: {"section": section, "first_name": name.title()} for name, section in CLASS.items()}
    found.course.write_record("roster.json", {"students": students})
    autograde(found.project, found.catalog, found.module, executor=StandIn())
    return found.root


@pytest.fixture
def small(graded, tmp_path, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    return SmallCourse(shutil.copytree(graded, tmp_path.resolve() / "course"))


def say(small, *arguments):
    return typed(small.root, "grade", *arguments)


def grade(small):
    autograde(small.project, small.catalog, small.module, executor=StandIn())


def assign(small, *graders, **options):
    done = assigning.assign(small.project, small.module, graders, **options)
    return {one.grader: [row.who for row in one.rows] for one in done.lists}


def rows_of(data):
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    return list(csv.DictReader(io.StringIO(text, newline="")))


def grades(small, name="written-linear"):
    """{student: (points of a person, whether it waits, comment)}"""
    return {
        one.student: (one.grades[name].by_person, one.grades[name].waiting, one.comments.get(name))
        for one in gradebook.submissions(small.course, small.module)
    }


def answers(small, **options):
    return rows_of(written.write_out(small.project, small.module, **options).data)


def file_of(small, rows, name="answers.csv"):
    path = small.root.parent / name
    path.write_bytes(
        cells.csv_bytes([[*rows[0]], *([cells.as_written(value) for value in row.values()] for row in rows)])
    )
    return path


# Lists.


def test_lists_are_even_and_the_same_for_the_same_seed(small):
    first = assign(small, "ta1", "ta2", "ta3", seed=7)
    assert sorted(map(len, first.values())) == [2, 2, 3]
    assert sorted(name for own in first.values() for name in own) == sorted(CLASS)
    assert assign(small, "ta1", "ta2", "ta3", seed=7, again=True) == first
    others = [assign(small, "ta1", "ta2", "ta3", seed=seed, again=True) for seed in range(5)]
    assert any(one != first for one in others)


def test_who_comes_later_is_added_and_nobody_moves(small):
    first = assign(small, "ta1", "ta2")
    small.solved("new")
    done = assigning.assign(small.project, small.module)
    assert done.ungraded == ("new",), "there is no page of it in the formgrader yet"
    grade(small)
    second = assign(small)
    assert {name: [one for one in own if one != "new"] for name, own in second.items()} == first
    assert sorted(map(len, second.values())) == [4, 4]


def test_a_graders_submissions_go_to_the_others_when_he_leaves(small):
    first = assign(small, "ta1", "ta2")
    second = assign(small, "ta1", "ta3")
    assert second["ta1"] == first["ta1"] and second["ta3"] == first["ta2"]
    assert not (small.course.root / "graders" / "01_alpha" / "ta2.csv").exists()


@given(st.sets(st.integers(0, 200)), st.sets(st.integers(0, 200)), st.integers(1, 6), st.booleans())
def test_lists_of_any_class_stay_even_and_stable(early, late, graders, by_section):
    graders, names = [f"ta{one}" for one in range(graders)], lambda ids: [f"s{one:03}" for one in ids]
    groups = {name: f"{int(name[1:]) % 7}" for name in names(early | late)} if by_section else {}
    first = assigning.deal(names(early), graders, {}, draw="0", groups=groups)
    kept = {name: grader for grader, own in first.items() for name in own}
    second = assigning.deal(names(early | late), graders, kept, draw="0", groups=groups)
    assert first == assigning.deal(names(sorted(early, reverse=True)), graders, {}, draw="0", groups=groups)
    assert sorted(sum(second.values(), [])) == names(sorted(early | late))
    assert all(set(own) <= set(second[grader]) for grader, own in first.items())
    if by_section:
        holders = [{grader for grader, own in second.items() for one in own if groups[one] == str(k)} for k in range(7)]
        assert all(len(one) <= 1 for one in holders)
    else:
        for dealt in (first, second):
            assert max(map(len, dealt.values())) - min(map(len, dealt.values())) <= 1


def test_a_section_stays_with_one_grader(small):
    dealt = assign(small, "ta1", "ta2", by="section")
    holders = {
        section: {one for one, own in dealt.items() if any(CLASS[name] == section for name in own)}
        for section in CLASS.values()
    }
    assert all(len(one) == 1 for one in holders.values()) and sorted(map(len, dealt.values())) == [3, 4]
    again = assign(small, "ta1", "ta2", "ta3", again=True)
    assert sorted(map(len, again.values())) == [2, 2, 3], "dealt anew, sections do not count unless they are asked for"


def test_each_grader_gets_a_file_with_the_formgraders_addresses(small):
    said = say(small, "assign", "alpha", "--to", "ta1,ta2", "--url", "https://hub/user/ta/")
    assert said.exit_code == 0, said.stderr
    rows = rows_of((small.course.root / "graders" / "01_alpha" / "ta1.csv").read_bytes())
    pages = gradebook.submission_pages(small.course, small.module)
    for row in rows:
        assert row["address"] == f"https://hub/user/ta/formgrader/submissions/{pages[row['student']]}/"
        assert row["name"] == row["student"].title() and row["section"] == CLASS[row["student"]]
        assert row["waiting"] == ("0" if row["student"] == "gus" else "1")
    data = say(small, "assign", "alpha", "--json").data
    assert sum(len(one["submissions"]) for one in data["graders"]) == 7 and data["not_autograded"] == []


def test_lists_with_codes_name_nobody(small):
    assert say(small, "assign", "alpha", "--to", "ta1,ta2", "--anonymous").exit_code == 0
    assert say(small, "assign", "alpha", "--json").data["anonymous"], "they stay without names until --names"
    for path in (small.course.root / "graders" / "01_alpha").iterdir():
        text = path.read_text(encoding="utf-8-sig").casefold()
        assert not [name for name in CLASS if name in re.sub(r"http\S+", "", text)]
        assert [row["code"] for row in rows_of(text)] == sorted(row["code"] for row in rows_of(text))


@pytest.mark.parametrize(
    "arguments",
    [
        ["alpha"],
        ["alpha", "--to", "ta1,TA1"],
        ["alpha", "--to", "../ta1"],
        ["alpha", "--to", "ta1", "--by", "name"],
        ["nothing", "--to", "ta1"],
    ],
)
def test_what_cannot_be_dealt(small, arguments):
    assert say(small, "assign", *arguments).exit_code == 2
    assert not (small.course.root / "graders").exists()


# Codes.


def test_codes_are_stable_differ_by_module_and_come_from_the_secret(small):
    names = [*CLASS, "Änne"]
    first = codes.codes(small.course, small.module, names)
    assert codes.codes(small.course, small.module, reversed(names)) == first
    assert all(re.fullmatch(r"([B-Z]{4}-){2}[B-Z]{4}", one) for one in first.values())
    assert set(first.values()).isdisjoint(codes.codes(small.course, small.catalog.find("beta"), names).values())
    path = small.course.state / codes.RECORD
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()
    assert set(first.values()).isdisjoint(codes.codes(small.course, small.module, names).values())


# Written answers.


@given(st.text(), st.text(st.sampled_from("=+-@'\"; |\t\n\ra＝")))
def test_any_text_comes_back_from_a_cell_that_nothing_runs(text, risky):
    for one in (text, risky):
        cell = cells.harmless(one)
        assert cells.as_written(cell) == one
        starts = re.split(r"[;|\t\r\n]", cell)
        assert not [start for start in starts if re.match(r"[ \"]*[=+@＝-]", start)], cell


@given(st.lists(st.text() | st.text(st.sampled_from("=+-@'\"; |\t\n\ra,")), max_size=5))
def test_any_texts_come_back_from_a_file(texts):
    data = cells.csv_bytes([["who", "text"], *(["x", text] for text in texts)])
    found = [cells.as_written(row.exact(1)) for row in Sheet(data, "x.csv").rows]
    assert found == [text.encode("utf-8", "replace").decode() for text in texts]


def test_answers_go_out_as_they_were_written_and_no_cell_is_a_formula(small):
    path = small.root.parent / "answers.csv"
    said = say(small, "written", "export", "alpha", "-o", path)
    assert said.exit_code == 0 and "6 answers" in said.stdout, said.stderr
    rows = {row["student"]: row for row in rows_of(path.read_bytes())}
    assert sorted(rows) == ["ada", "bob", "cyd", "dan", "eve", "flo"], "who wrote nothing is graded already"
    assert cells.as_written(rows["ada"]["text"]) == FORMULA and rows["ada"]["text"].startswith("'=")
    assert rows["bob"]["text"] == 'Übung, "Quotes" 🎉'
    assert rows["ada"]["asked"] == "Why is doubling linear, and why is tripling as well?"
    assert rows["ada"]["rubric"].startswith("Twice a sum") and "SOLUTION" not in rows["ada"]["rubric"]
    assert (rows["ada"]["max_points"], rows["ada"]["points"], rows["ada"]["comment"]) == ("2", "", "")
    listed = say(small, "written", "export", "alpha", "--json").data["answers"]
    assert {row["student"]: row["text"] for row in listed}["ada"] == FORMULA


@pytest.mark.parametrize("anonymous", [False, True])
def test_points_and_comments_come_back_into_gradebook_and_feedback(small, anonymous):
    rows = answers(small, anonymous=anonymous)
    assert anonymous == ("code" in rows[0]) and not (anonymous and [row for row in rows if "ada" in row.values()])
    mine = next(row for row in rows if cells.as_written(row["text"]) == FORMULA)
    mine["points"], mine["comment"] = "1,5", '=good & "well"\nsaid'
    path = file_of(small, rows)
    said = say(small, "written", "import", "alpha", path)
    assert said.exit_code == 0 and "6 answers, 1 changed; 5 without points" in said.stdout, said.stderr
    assert grades(small)["ada"] == (1.5, False, '=good & "well"\nsaid')
    assert grades(small)["bob"] == (None, True, None)
    page = feedback(small.project, small.module, ("ada",)).pages["ada"].read_text(encoding="utf-8")
    assert "=good &amp; &#34;well&#34;" in page and "1.5 of 2 points" in page
    before = say(small, "export", "alpha").stdout
    assert say(small, "written", "import", "alpha", path, "--json").data["changes"] == []
    assert say(small, "export", "alpha").stdout == before, "a second time changes nothing"
    assert len(answers(small)) == 5 and len(answers(small, everything=True)) == 6


def test_a_spreadsheets_own_csv_is_read(small):
    rows = answers(small)
    for row in rows:
        row["points"] = "0,5"
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], delimiter=";", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    path = small.root.parent / "excel.csv"
    path.write_bytes(text.getvalue().replace("\n", "\r\n").replace("\r\r", "\r").encode("utf-16"))
    assert say(small, "written", "import", "alpha", path).exit_code == 0
    assert {points for points, *_ in grades(small).values()} == {0.5, None}


CHANGES = {
    "an unknown code": (lambda row: row | {"code": "BBBB-BBBB-BBBB"}, "nobody with the code 'BBBB-BBBB-BBBB'"),
    "no code": (lambda row: row | {"code": ""}, "nobody with the code ''"),
    "an unknown question": (lambda row: row | {"question": "written-x"}, "no written answer 'written-x'"),
    "a changed text": (lambda row: row | {"text": row["text"] + "!"}, "the text is not the one that is graded"),
    "too many points": (lambda row: row | {"points": "2.5"}, "points are 2.5, and the answer is worth 2"),
    "fewer than none": (lambda row: row | {"points": "-1"}, "points are -1, and"),
    "no number": (lambda row: row | {"points": "two"}, "points are 'two', which is no number"),
    "nan": (lambda row: row | {"points": "nan"}, "which is no number"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_does_not_fit_is_named_and_nothing_changes(small, change):
    rows = [row | {"points": "1", "comment": "x"} for row in answers(small, anonymous=True)]
    broken, message = CHANGES[change]
    before = grades(small)
    rows[3] = broken(rows[3])
    line = 2 + sum(row["text"].count("\n") + 1 for row in rows[:3])
    said = say(small, "written", "import", "alpha", file_of(small, rows), "--json")
    assert said.exit_code == 2 and said.error["code"] == "rows"
    assert f"line {line} (" in said.error["message"] and message in said.error["message"]
    assert len(said.document["data"]["problems"]) == 1 and grades(small) == before


def test_a_doubled_row_names_both_lines(small):
    rows = [row | {"points": "1", "text": "x"} for row in answers(small)]
    rows = [{key: value for key, value in row.items() if key != "text"} for row in rows]
    with pytest.raises(UsageError, match=r"line 8 \(bob, written-linear\): stands in line 3 as well"):
        written.take_in(small.project, small.module, file_of(small, [*rows, rows[1]]))
    assert {points for points, *_ in grades(small).values()} == {None}


def test_points_for_an_answer_that_was_handed_in_again_are_refused(small):
    path = file_of(small, [row | {"points": "1"} for row in answers(small)])
    small.solved("bob", written="Something better.")
    with pytest.raises(UsageError, match=r"\(bob, written-linear\): handed in again since"):
        written.take_in(small.project, small.module, path)
    assert "bob" in written.write_out(small.project, small.module).stale
    grade(small)
    with pytest.raises(UsageError, match=r"\(bob, written-linear\): the text is not the one that is graded"):
        written.take_in(small.project, small.module, path)
    assert {points for points, *_ in grades(small).values()} == {None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("code,comment\nx,y\n", "lacks the column points"),
        ("who,points\nx,1\n", "lacks the column code or student"),
        ("PK\x03\x04", "not CSV"),
    ],
)
def test_what_is_no_file_of_answers(small, text, message):
    path = small.root.parent / "x.csv"
    path.write_text(text)
    said = say(small, "written", "import", "alpha", path)
    assert said.exit_code == 2 and message in said.stderr


def test_a_file_needs_no_more_than_who_and_points(small):
    path = small.root.parent / "x.csv"
    path.write_text("student;points\nbob;2\n")
    assert say(small, "written", "import", "alpha", path).exit_code == 0
    assert grades(small)["bob"] == (2, False, None)


def test_a_graders_own_answers_only(small):
    lists = assign(small, "ta1", "ta2")
    assert {row["student"] for row in answers(small, grader="ta1")} == set(lists["ta1"]) - {"gus"}
    said = say(small, "written", "export", "alpha", "--grader", "ta9")
    assert said.exit_code == 2 and "ta1, ta2" in said.stderr


# Requests.


def test_a_request_is_a_row_with_its_reason_and_its_answer_closes_it(small):
    file = file_of(small, [row | {"points": "1"} for row in answers(small)])
    written.take_in(small.project, small.module, file)
    said = say(small, "request", "add", "alpha", "bob", "The second reason was there", "--question", "written-linear")
    assert said.exit_code == 0 and "open" in said.stdout, said.stderr
    (row,) = json.loads((small.course.state / requests.RECORD).read_text())["data"]["requests"]
    assert (row["student"], row["question"], row["points"]) == ("bob", "written-linear", 1)
    assert row["reason"] == "The second reason was there"
    assert grades(small)["bob"] == (1, True, None), "it waits for a person again, and its points stay"
    assert say(small, "request", "add", "alpha", "bob", row["reason"], "--question", "written-linear").exit_code == 0
    assert len(say(small, "request", "list", "--json").data["requests"]) == 1
    (again,) = answers(small)
    assert (again["student"], again["points"], again["request"]) == ("bob", "1", row["reason"])
    data = say(small, "written", "import", "alpha", file_of(small, [again | {"points": "2"}]), "--json").data
    assert data["closed_requests"] == [1] and grades(small)["bob"] == (2, False, None)
    assert say(small, "request", "list", "alpha", "--json").data["requests"] == []
    (closed,) = say(small, "request", "list", "--all", "--json").data["requests"]
    assert closed["answer"] == "scored again: 1 points before, 2 now"


def test_a_request_about_the_module_is_answered_by_hand(small):
    assert say(small, "request", "add", "alpha", "Eve", "I was ill").exit_code == 0
    assert say(small, "request", "close", "1", "see the dean").exit_code == 0
    assert "see the dean" in say(small, "request", "list", "--all").stdout
    assert say(small, "request", "close", "1", "again").exit_code == 2
    assert say(small, "request", "list").stdout == "no requests\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "alpha", "nobody", "why"],
        ["add", "alpha", "bob", " "],
        ["add", "alpha", "bob", "why", "--question", "no-such-cell"],
        ["close", "3", "x"],
    ],
)
def test_requests_that_make_no_sense_change_nothing(small, arguments):
    assert say(small, "request", *arguments).exit_code == 2
    assert not (small.course.state / requests.RECORD).exists()


def test_no_rubric_reaches_a_student(small):
    written.write_out(small.project, small.module, small.root.parent / "x.csv")
    page = feedback(small.project, small.module, ("ada",)).pages["ada"].read_text(encoding="utf-8")
    source = notebooks.load(small.project, small.module.percent).node
    rubric = next(cell.source for cell in source.cells if notebooks.is_written(cell))
    assert "Twice a sum" in rubric and "Twice a sum" not in page
