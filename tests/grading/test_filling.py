"""Scores in the files of Moodle and Canvas: they come in where they belong, and nothing else changes."""

import csv
import html
import io
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import typed
from small_course import WRONG, SmallCourse, StandIn, released

import tito.project
from tito.errors import UsageError, WorkError
from tito.services.grading.intake.received import write_submissions
from tito.services.grading.reports import filling
from tito.services.grading.reports.filling import FillOptions, fill
from tito.services.grading.roster.class_list import import_roster, read_roster
from tito.services.grading.roster.sheets import Sheet
from tito.services.grading.roster.worksheets import worksheet_columns
from tito.services.grading.scoring.autograde import autograde

CLASS = """\
id,login,first,last,email,canvas id
ada,ada,Ada,Lovelace,ada@school.edu,101
bob,bob,Änne,Müller,bob@school.edu,102
zoe,zoe,Zoé,Zuse,zoe@school.edu,103
"""
# as Moodle writes it (PHP's fputcsv quotes what holds a space), in two languages
ENGLISH = """\
Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 331","Ada Lovelace",ada@school.edu,"Submitted for grading",,21.00,Yes,"30 November 2026, 12:00 PM",-,
"Participant 332","Änne Müller",bob@school.edu,"Submitted for grading",3.00,21.00,Yes,"30 November 2026, 12:01 PM",\
"30 November 2026, 1:00 PM","<p>by hand</p>"
"Participant 333","Zoé Zuse",zoe@school.edu,"No submission",,21.00,No,-,-,
"Participant 334","Some Body",else@school.edu,"No submission",,21.00,Yes,-,-,
"""
GERMAN = """\
ID;"Vollständiger Name";E-Mail-Adresse;Status;Bewertung;Bestwertung;"Bewertung kann geändert werden";\
"Zuletzt geändert (Abgabe)";"Zuletzt geändert (Bewertung)";"Feedback als Kommentar"
"Teilnehmer/in 331";"Ada Lovelace";ada@school.edu;"Zur Bewertung abgegeben";;21,00;Ja;"30. November 2026, 12:00";-;
"Teilnehmer/in 332";"Änne Müller";bob@school.edu;"Zur Bewertung abgegeben";3,00;21,00;Ja;\
"30. November 2026, 12:01";"30. November 2026, 13:00";"<p>by hand</p>"
"Teilnehmer/in 333";"Zoé Zuse";zoe@school.edu;"Keine Abgabe";;21,00;Nein;-;-;
"Teilnehmer/in 334";"Some Body";else@school.edu;"Keine Abgabe";;21,00;Ja;-;-;
"""
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Remarks,01_alpha (501),02_beta (502),01_alpha Current Score,Final Score
,,,,,,Manual Posting,,,
    Points Possible,,,,,,21.00,10.00,(read only),(read only)
"Lovelace, Ada",101,s-1,ada,"Lab A, Lab B",,,7.00,,33.3
"Müller, Änne",102,s-2,bob,Lab A,"says ""hi"", often",10.00,,47.62,
"Zuse, Zoé",103,s-3,zoe,Lab A,,EX,N/A,,
"Body, Some",107,s-7,sb,Lab A,,4.5,,,
"Student, Test",199,,0123abcd,Lab A,,,,,
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course in which two of a class of three were graded, for every test to copy."""
    folder = tmp_path_factory.mktemp("graded").resolve()
    found = released(folder / "course")
    found.solved("ada")
    found.solved("bob", double=WRONG)
    (folder / "class.csv").write_text(CLASS, encoding="utf-8")
    import_roster(found.project, [folder / "class.csv"])
    autograde(found.project, found.catalog, found.module, executor=StandIn())
    return found.root


@pytest.fixture
def small(graded, tmp_path):
    return SmallCourse(shutil.copytree(graded, tmp_path.resolve() / "course"))


def comment(small, student, text):
    with small.course.open_gradebook() as book:
        book.find_comment("written-linear", "alpha_dev", "01_alpha", student).manual_comment = text
        book.db.commit()


def filled(small, text, form, encoding="utf-8", **options):
    path = small.root.parent / "given.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return fill(small.project, small.module, path, form=form, options=FillOptions(**options))


def cells(data, encoding="utf-8", separator=","):
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=separator))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("text", "separator", "ada", "bob"), [(ENGLISH, ",", "19.00", "10.00"), (GERMAN, ";", "19,00", "10,00")]
)
def test_moodles_worksheet_gets_grades_in_its_own_way(small, text, separator, ada, bob, encoding):
    text = text.replace("\n", "\r\n")
    done = filled(small, text, "moodle", encoding)
    lines, before = done.data.decode(encoding).split("\r\n"), text.split("\r\n")
    assert lines[1] == before[1].replace(f"{separator}{separator}21", f"{separator}{ada}{separator}21")
    assert lines[2] == re.sub(f"{separator}3.00{separator}", f"{separator}{bob}{separator}", before[2])
    assert [lines[0], *lines[3:]] == [before[0], *before[3:]]
    assert [(one.line, one.student, one.before, one.after) for one in done.changed] == [
        (2, "ada", "", ada),
        (3, "bob", bob.replace("10", "3"), bob),
    ]
    assert "nobody of the class: " in done.warnings[0] and "334" in done.warnings[0]
    assert filled(small, done.data, "moodle").data == done.data, "a second time changes nothing"


def test_comments_go_into_the_worksheet_as_what_moodle_reads_and_are_no_formulas(small):
    comment(small, "ada", "=1+1 & <b>\nsecond; =2\n-- @x")
    comment(small, "bob", "ours")
    done = filled(small, ENGLISH, "moodle")
    said = [row[-1] for row in cells(done.data)]
    assert re.search(r"""(^|[;|])[\s"']*[=+@-]""", said[1]) is None and "<b>" not in said[1]
    assert html.unescape(said[1]) == "<p>written-linear: =1+1 & <b><br>second; =2<br>-- @x</p>"
    assert said[2] == "<p>by hand</p>" and any("line 3: another comment on bob" in one for one in done.warnings)
    assert filled(small, done.data, "moodle").data == done.data
    replaced = filled(small, ENGLISH, "moodle", replace_comments=True)
    assert [row[-1] for row in cells(replaced.data)][2] == "<p>written-linear: ours</p>"


@given(st.text(st.sampled_from("=+-@;| \n\"'ab&<é€"), max_size=20))
def test_no_comment_begins_a_formula_and_each_is_read_as_it_was_written(text):
    class Standing:
        class submission:
            comments = {"written-x": text}

    for encoding in ("utf-8", "cp1252", "latin-1"):
        made = filling._comment(Standing, Sheet("a,é\n1,2".encode(encoding), "x"))
        assert re.search(r"""(^|[;|])[\s"']*[=+@-]""", made) is None
        assert html.unescape(made).replace("<br>", "\n") == f"<p>written-x: {text}</p>"


def test_a_worksheet_without_comments_says_where_they_are_switched_on(small):
    comment(small, "ada", "good")
    text = re.sub(r',("<p>by hand</p>"|"Feedback comments"|)$', "", ENGLISH, flags=re.MULTILINE)
    done = filled(small, text, "moodle")
    assert any("no column for comments" in one for one in done.warnings)
    assert [len(row) for row in cells(done.data)] == [9, 9, 9, 9, 9]


def test_a_grade_that_moodle_has_locked_stays(small):
    done = filled(small, ENGLISH, "moodle", missing_as_zero=True)
    assert cells(done.data)[3][4] == "" and any("change the grade of zoe" in one for one in done.warnings)
    done = filled(small, ENGLISH.replace(",No,", ",Yes,"), "moodle", missing_as_zero=True)
    assert cells(done.data)[3][4] == "0.00"


def test_another_maximum_is_refused_or_converted(small):
    text = ENGLISH.replace("21.00", "100.00")
    with pytest.raises(UsageError, match="maximum grade in Moodle is 100, 01_alpha has 21"):
        filled(small, text, "moodle")
    assert cells(filled(small, text, "moodle", scale=True).data)[1][4] == "90.4762"


def test_the_number_of_a_participant_is_that_of_the_submission(small):
    entries = {"ada": {"way": "moodle", "lms_id": "332"}, "bob": {"way": "moodle", "lms_id": "331"}}
    write_submissions(small.course, {"01_alpha": entries})
    hidden = re.sub(r'^([^,]*),("Full name"|"[^"]*"),[^,]*,', r"\1,", ENGLISH, flags=re.MULTILINE)
    done = filled(small, hidden, "moodle")  # identities are hidden
    assert [(one.line, one.student) for one in done.changed] == [(2, "bob"), (3, "ada")]
    with pytest.raises(UsageError, match="line 2: Participant 331 handed in as bob, and the row names ada"):
        filled(small, ENGLISH, "moodle")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CANVAS, "not Moodle's grading worksheet"),
        (ENGLISH.replace("21.00", "Good"), "not Moodle's grading worksheet"),
        (ENGLISH.replace("bob@school.edu", "ada@school.edu"), "lines 2 and 3: both are ada"),
        (ENGLISH.splitlines()[0], "not Moodle's grading worksheet"),
    ],
)
def test_what_is_no_worksheet_of_this_class(small, text, message):
    with pytest.raises(UsageError, match=message):
        filled(small, text, "moodle")


@pytest.mark.parametrize("text", [ENGLISH, GERMAN])
def test_a_worksheet_is_a_class_list_in_any_language(tmp_path, text):
    small = released((tmp_path / "course").resolve())
    path = tmp_path / "worksheet.csv"
    path.write_text(text, encoding="utf-8-sig")
    import_roster(small.project, [path])
    found = read_roster(small.course).students
    assert sorted(found) == ["ada@school.edu", "bob@school.edu", "else@school.edu", "zoe@school.edu"]
    bob = found["bob@school.edu"]
    assert (bob.full_name, bob.email, bob.lms_id) == ("Änne Müller", "bob@school.edu", "332")
    hidden = re.sub(r'^([^,]*),("Full name"|"[^"]*"),[^,]*,', r"\1,", ENGLISH, flags=re.MULTILINE)
    path.write_text(hidden, encoding="utf-8")
    with pytest.raises(UsageError, match="names nobody"):
        import_roster(small.project, [path])


def test_columns_of_groups_markers_states_and_texts_do_not_lead_astray():
    titles = "ID,Nombre,Email,Estado,Grupo,Evaluador,Calificación,Máxima,Flujo,Cambiar,Envío,Texto,Mod,Comentarios"
    told = "Ana,ana@x.y,Enviado,Grupo 3,M,,100.00,Sin calificar,Sí,-,5,-,"
    rows = [f"Participante {number},{told}".split(",") for number in (5, 6)]
    found = worksheet_columns(titles.split(","), rows)
    assert (found.grade, found.maximum, found.comment) == (6, 7, 13)


# Canvas.


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_canvass_file_changes_in_the_column_of_the_module_only(small, encoding, line_end):
    text = CANVAS.replace("\n", line_end)
    done = filled(small, text, "canvas", encoding)
    expected = text.replace('"Lab A, Lab B",,,7.00', '"Lab A, Lab B",,19.00,7.00')
    assert done.data == expected.encode(encoding)
    assert [(one.line, one.student, one.before, one.after) for one in done.changed] == [(4, "ada", "", "19.00")]
    assert filled(small, done.data, "canvas").data == done.data, "byte for byte where nothing changed"
    assert done.warnings == ("stay as they are, for they are nobody of the class: Body, Some",)


def test_canvass_file_with_commas_in_its_numbers_and_names_in_two_columns(small):
    text = (
        "LastName;FirstName;ID;SIS User ID;SIS Login ID;Section;Alpha (501)\n"
        "    Points Possible;;;;;;21,00\nLovelace;Ada;101;s-1;ada;A;\nMüller;Änne;102;s-2;bob;A;10,0\n"
    )
    assert filled(small, text, "canvas").data == text.replace("ada;A;\n", "ada;A;19,00\n").encode()


def test_what_canvas_says_beside_numbers_stays(small):
    done = filled(small, CANVAS.replace(",10.00,,47.62", ",EX,,47.62"), "canvas", missing_as_zero=True)
    assert cells(done.data)[4][6] == "EX" and cells(done.data)[5][6] == "EX"
    assert any("stays: bob (EX), zoe (EX)" in one for one in done.warnings)


def test_without_leaves_a_row_alone_and_a_missing_score_leaves_what_stands_there(small):
    assert filled(small, CANVAS, "canvas", without=("ada",)).data == CANVAS.encode()
    text = CANVAS.replace("Lab A,,EX,N/A", "Lab A,,5.00,")
    assert cells(filled(small, text, "canvas").data)[5][6] == "5.00"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (ENGLISH, {}, "not Canvas's gradebook"),
        (CANVAS.replace("01_alpha (501)", "Homework (501)"), {}, r"among the assignments: Remarks, Homework \(501\)"),
        (CANVAS, {"column": "Final Score"}, "'Final Score' is not among the assignments"),
        (CANVAS.replace(",102,", ",101,"), {}, "lines 4 and 5: both are ada"),
    ],
)
def test_what_is_not_canvass_file_for_this_module(small, text, options, message):
    with pytest.raises(UsageError, match=message):
        filled(small, text, "canvas", **options)


def test_a_column_can_be_named(small):
    text = CANVAS.replace("01_alpha (501)", "Homework (501)")
    assert filled(small, text, "canvas", column="Homework").data.count(b",19.00,") == 1


def test_nothing_is_written_while_a_submission_is_not_graded(small):
    small.solved("zoe")
    with pytest.raises(WorkError, match="zoe"):
        filled(small, CANVAS, "canvas")


def test_as_it_is_typed(small, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    given_, made = small.root.parent / "worksheet.csv", small.root.parent / "filled.csv"
    given_.write_text(ENGLISH, encoding="utf-8")

    def export(*arguments):
        return typed(small.root, "grade", "export", "01_alpha", *arguments)

    said = export("--format", "moodle", "--into", given_, "-o", made)
    assert said.exit_code == 0, said.stderr
    assert "3 students, 2 cells changed; 1 missing" in said.stdout and "19.00" in said.stdout
    assert cells(made.read_bytes())[1][4] == "19.00" and given_.read_text(encoding="utf-8") == ENGLISH
    data = export("--format", "moodle", "--into", made, "--json").data
    assert (data["changed"], data["text"].encode()) == ([], made.read_bytes())
    for arguments in (["--format", "moodle"], ["--into", given_], ["--into", "none.csv", "--format", "canvas"]):
        assert export(*arguments).exit_code == 2
    assert export("02_beta", "--into", given_, "--format", "moodle").exit_code == 2
