"""Scores as CSV: what is missing stays empty, what is not graded stops the export, no name is a formula."""

import csv
import io
import os
import unicodedata

import pytest
from small_course import FAULT, SECOND, WRONG, StandIn, released

from tito.errors import UsageError, WorkError
from tito.services.grading.reports.score_tables import as_csv, export
from tito.services.grading.roster.class_list import import_roster
from tito.services.grading.scoring.autograde import Options, autograde


@pytest.fixture
def small(gradebook_on, tmp_path):
    found = released((tmp_path / "course").resolve())
    found.solved("ada")
    found.solved("bob", double=WRONG)
    found.solved("dan", double=SECOND)
    found.on_roster("ada", "bob", "dan", "zoe")
    return found


def grade(small, **options):
    autograde(small.project, small.catalog, small.module, Options(**options), executor=StandIn())


def rows_of(small, **options):
    text = export(small.project, [small.module], **options).text
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_for_each_student_and_a_missing_score_is_empty(small):
    grade(small)
    rows = {row["student"]: row for row in rows_of(small)}
    assert {name: (row["status"], row["score"]) for name, row in rows.items()} == {
        "ada": ("graded", "19"), "bob": ("graded", "10"), "dan": ("graded", "19"), "zoe": ("missing", ""),
    }  # fmt: skip
    assert (rows["dan"]["first_try"], rows["dan"]["second_try"], rows["dan"]["max_score"]) == ("10", "19", "21")
    assert rows["ada"]["waiting_for_a_person"] == "1"
    rows = {row["student"]: row for row in rows_of(small, missing_as_zero=True)}
    assert (rows["zoe"]["score"], rows["zoe"]["status"]) == ("0", "missing")


def test_a_row_for_each_question(small):
    grade(small)
    rows = rows_of(small, form="questions")
    bob = {row["cell"]: (row["question"], row["kind"], row["score"]) for row in rows if row["student"] == "bob"}
    assert bob == {
        "test-double": ("double", "visible", "0"),
        "test-double-errors": ("double", "visible", "0"),
        "test-double-hidden": ("double", "withheld", "0"),
        "test-Box": ("Box", "visible", "7"),
        "test-Box-hidden": ("Box", "withheld", "3"),
        "written-linear": ("written-linear", "written", ""),
    }
    assert [row["cell"] for row in rows if row["student"] == "zoe"] == list(bob)
    assert {row["score"] for row in rows if row["student"] == "zoe"} == {""}


def test_what_is_not_graded_stops_the_export_with_a_list(small):
    small.solved("bob", double=FAULT)
    grade(small)
    with pytest.raises(WorkError, match="1 submission of 01_alpha without a score: bob .*stumbled") as refused:
        export(small.project, [small.module])
    assert refused.value.hint == ("tito grade autograde 01_alpha; or leave out who cannot be graded: --without bob")
    assert [entry["student"] for entry in refused.value.data["ungraded"]] == ["bob"]


def test_a_score_of_an_older_file_stops_the_export(small):
    grade(small)
    small.solved("bob")
    with pytest.raises(WorkError, match=r"bob \(not autograded as it is now\)"):
        export(small.project, [small.module])


def test_a_persons_points_and_the_penalty_count(small):
    grade(small)
    with small.course.open_gradebook() as book:
        found = book.find_grade("written-linear", "alpha_dev", "01_alpha", "ada")
        found.manual_score, found.needs_manual_grade = 2, False
        book.find_submission("01_alpha", "ada").notebooks[0].late_submission_penalty = 5
        book.db.commit()
    (ada,) = [row for row in rows_of(small) if row["student"] == "ada"]
    assert (ada["score"], ada["penalty"], ada["by_person"], ada["waiting_for_a_person"]) == ("16", "5", "2", "0")


def test_no_name_is_a_formula_for_a_spreadsheet(small):
    grade(small)
    with small.course.open_gradebook() as book:
        book.update_or_create_student("ada", last_name='=HYPERLINK("http://x")', first_name="@SUM(1)")
    (ada,) = [row for row in rows_of(small) if row["student"] == "ada"]
    assert (ada["last_name"], ada["first_name"]) == ('\'=HYPERLINK("http://x")', "'@SUM(1)")
    assert as_csv([["O'Neil-Smith", -1.5, "a,b", "a - b", "d@e.f"]]) == '"O\'Neil-Smith",-1.5,"a,b",a - b,d@e.f\r\n'


@pytest.mark.parametrize(
    ("separator", "quotes"), [(",", '"'), (";", '"'), (";", None), ("|", '"'), ("|", None), ("\t", '"'), ("\t", None)]
)
def test_no_text_is_a_formula_or_a_second_cell_whatever_separates_cells(separator, quotes):
    texts = [
        f"{start}{sign}1+1"
        for sign in "=+-@＝＋－＠−﹦"
        for start in ("", " ", "\xa0", "\u200b", "x;", 'x"; "', "x,", "x|")
    ]
    texts += [
        "x\t=1",
        "x\n=1",
        "x\r\n=1",
        "x\v=1",
        "x\u2028=1",
        "\x00=1",
        "\ufeff=1",
        "\u202e=1",
        "'=1",
        '"=1"',
        "x;;=1;-2",
    ]
    for text in texts:
        lines = as_csv([["ada", text, "end"]])
        assert lines.count("\n") == 1 and lines.endswith("\r\n")
        quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        (cells,) = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, quoting=quoting)
        begins = [
            unicodedata.normalize("NFKC", cell.strip(" \"'\xa0"))[:1]
            for cell in cells
            if not cell.strip(' "').startswith("'")
        ]
        assert not set(begins) & set("=+-@−"), (text, lines, cells)
    (cells,) = csv.reader(io.StringIO(as_csv([["a;b", "c,d", 'e"f', " g"]])))
    assert cells == ["a;b", "c,d", 'e"f', " g"]


def test_characters_that_nobody_sees_are_in_no_file():
    assert as_csv([["a\x1b[31mb", "c\u202ed\u2066e", "f\ng\th\x85i", "\u0645\u200c\u0627"]]) == (
        "a[31mb,cde,f g h i,\u0645\u200c\u0627\r\n"
    )


def test_a_file_is_written_whole_and_read_by_spreadsheets(small, tmp_path):
    grade(small)
    done = export(small.project, [small.module], output=tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent,")
    assert (done.rows, done.missing, done.waiting) == (4, 1, 3)


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,01 Alpha (4711),Beta (4712),Final Score
    Points Possible,,,,,21,10,(read only)
"Lovelace, Ada",101,s1,ada,Tutorial 1,,,
"Möller, =Bob",102,s2,bob,Tutorial 1,,,
"Hopper, Dan",103,s3,dan,Tutorial 2,,,
"Zuse, Zoé",104,s4,zoe,Tutorial 2,,,
"Student, Test",999,,x,Tutorial 2,,,
"""


def canvas_list(small, tmp_path, text=CANVAS):
    path = tmp_path / "canvas.csv"
    path.write_text(text, encoding="utf-8")
    import_roster(small.project, [path])


def test_canvas_gets_its_columns_back_with_the_points(small, tmp_path):
    canvas_list(small, tmp_path)
    grade(small)
    done = export(small.project, [small.module], form="canvas")
    assert list(csv.reader(io.StringIO(done.text))) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01 Alpha (4711)"],
        ["    Points Possible", "", "", "", "", "21"],
        ["Hopper, Dan", "103", "s3", "dan", "Tutorial 2", "19"],
        ["Lovelace, Ada", "101", "s1", "ada", "Tutorial 1", "19"],
        ["Möller, =Bob", "102", "s2", "bob", "Tutorial 1", "10"],
        ["Zuse, Zoé", "104", "s4", "zoe", "Tutorial 2", ""],
    ]
    assert done.warnings == ()
    zero = export(small.project, [small.module], form="canvas", missing_as_zero=True)
    assert zero.text.splitlines()[-1].endswith(",0")


def test_what_does_not_fit_canvas_is_said(small, tmp_path):
    small.solved("eve")
    canvas_list(small, tmp_path, CANVAS.replace("01 Alpha (4711)", "Something else (4711)"))
    grade(small)
    done = export(small.project, [small.module], form="canvas")
    assert done.text.splitlines()[0].endswith(",Section,01_alpha")
    assert "no assignment 01_alpha" in done.warnings[0] and "left out: eve" in done.warnings[1]
    canvas_list(small, tmp_path, CANVAS.replace(",,,,,21,", ",,,,,100,"))
    (differs, _) = export(small.project, [small.module], form="canvas").warnings
    assert "100 points" in differs and "has 21" in differs


def test_without_canvass_list_there_is_no_canvas_export(small):
    grade(small)
    with pytest.raises(UsageError, match="did not come from Canvas"):
        export(small.project, [small.module], form="canvas")


def test_who_cannot_be_graded_is_left_out_on_request(small):
    small.solved("flo", double=FAULT)
    grade(small)
    with pytest.raises(WorkError, match="flo") as caught:
        export(small.project, [small.module])
    assert "--without flo" in caught.value.hint
    done = export(small.project, [small.module], without=("flo", "zoe"), missing_as_zero=True)
    assert (done.without, done.rows, done.missing) == (("flo", "zoe"), 3, 0)
    assert [row["student"] for row in csv.DictReader(io.StringIO(done.text))] == ["ada", "bob", "dan"]
    with pytest.raises(UsageError, match="there is no student 'eve'"):
        export(small.project, [small.module], without=("eve",))


def test_who_is_left_out_has_no_row_for_canvas(small, tmp_path):
    (tmp_path / "canvas.csv").write_text(CANVAS, encoding="utf-8")
    import_roster(small.project, [tmp_path / "canvas.csv"])
    grade(small)
    rows = list(csv.reader(io.StringIO(export(small.project, [small.module], form="canvas").text)))
    left = list(csv.reader(io.StringIO(export(small.project, [small.module], form="canvas", without=("bob",)).text)))
    assert left == [row for row in rows if "bob" not in row] != rows


def test_the_output_may_be_a_pipe_and_no_folder(small, tmp_path):
    grade(small)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    export(small.project, [small.module], output=pipe)
    assert b"ada" in os.read(reader, 10_000) and pipe.is_fifo()
    with pytest.raises(OSError):
        export(small.project, [small.module], output=tmp_path)
