"""The class list, due dates and extensions, as an instructor types them."""

import pytest
from week import Week

from tito.services.grading.roster import class_list
from tito.services.grading.roster.people import folded as people_folded

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,01_alpha (501),02_beta (502),Current Score
,,,,,Manual Posting,,
    Points Possible,,,,,16.00,10.00,(read only)
"Müller, Änne",4711,u-1,amueller,"Lab A, Lab B",,,
"O'Neil, Sean Paul",4712,u-2,soneil@school.edu,Lab A,9.5,,
"Student, Test",4799,,0123abcd,Lab A,,,
"""
LISTED = "id;first;last;email\nam1;Änne;Müller;am@school.edu\nso2;Sean;O'Neil;so@school.edu\n"


@pytest.fixture
def week(tmp_path, monkeypatch):
    return Week(tmp_path / "course", monkeypatch)


def in_gradebook(week):
    with week.course.open_gradebook() as book:
        return {one.id: (one.first_name, one.last_name, one.email, one.lms_user_id) for one in book.students}


def test_canvas_gradebook_comes_in_with_what_canvas_wants_back(week):
    done = week.tito("roster", "import", week.file("canvas.csv", CANVAS, "utf-8-sig"))
    assert done.exit_code == 0, done.stderr
    assert "2 students: 2 added, 0 changed, 0 no longer there" in done.stdout
    assert in_gradebook(week) == {
        "amueller": ("Änne", "Müller", None, "4711"),
        "soneil@school.edu": ("Sean Paul", "O'Neil", "soneil@school.edu", "4712"),
    }
    record = week.course.read_record("roster.json")
    assert record["students"]["amueller"]["canvas"] == {
        "Student": "Müller, Änne",
        "ID": "4711",
        "SIS User ID": "u-1",
        "SIS Login ID": "amueller",
        "Section": "Lab A, Lab B",
    }
    assert list(record["canvas_columns"]) == CANVAS_TITLES
    assert record["canvas_columns"]["01_alpha (501)"] == "16.00"


CANVAS_TITLES = [
    "Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_alpha (501)", "02_beta (502)", "Current Score",
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators(week, encoding, separator):
    path = week.file("class.csv", LISTED.replace(";", separator), encoding)
    assert week.json("roster", "import", path).data["added"] == ["am1", "so2"]
    assert in_gradebook(week)["am1"] == ("Änne", "Müller", "am@school.edu", None)


@pytest.mark.parametrize(
    ("titles", "row", "wanted"),
    [
        ("Username,Full name", "am1,Änne Müller", ("am1", "", "", "Änne Müller", "")),
        ("E-Mail Address,Surname,Given name", "a@b.c,Müller,Änne", ("a@b.c", "Änne", "Müller", "", "")),
        ("Identifier,Full name,ID number", "Participant 77,Änne Müller,am1", ("am1", "", "", "Änne Müller", "77")),
        ('Matriculation number,"Last name",First name', '="007",Müller,Änne', ("007", "Änne", "Müller", "", "")),
    ],
)
def test_usual_titles(week, titles, row, wanted):
    assert week.json("roster", "import", week.file("class.csv", f"{titles}\n{row}\n")).exit_code == 0
    (student,) = week.json("roster", "list").data["students"]
    assert tuple(student[key] for key in ("id", "first_name", "last_name", "name", "lms_id")) == wanted


def test_a_second_import_updates_and_deletes_no_work(week):
    week.tito("roster", "import", week.file("class.csv", LISTED + "xx3;Xaver;Xu;x@school.edu\n"))
    folder = week.course.submitted / "so2" / "01_alpha"
    folder.mkdir(parents=True)
    second = week.json("roster", "import", week.file("new.csv", "id,last,email\nam1,Meier,am@school.edu\nnew,N,n@n\n"))
    assert second.data["added"] == ["new"]
    assert second.data["left"] == ["so2", "xx3"]
    ((changed),) = second.data["changed"]
    assert changed["student"] == "am1" and "last_name: Müller -> Meier" in changed["changes"]
    assert any("so2 is no longer on the list" in warning for warning in second.data["warnings"])
    assert folder.is_dir() and set(in_gradebook(week)) == {"am1", "so2", "new"}
    back = week.json("roster", "import", week.file("class.csv", LISTED))
    assert back.data["added"] == ["so2"] and back.data["left"] == ["new"]
    again = week.json("roster", "import", week.root.parent / "class.csv").data
    assert (again["added"], again["changed"], again["left"]) == ([], [], [])


def test_a_student_keeps_the_first_id_when_another_list_names_another(week):
    week.tito("roster", "import", week.file("class.csv", LISTED.replace("so@school.edu", "soneil@school.edu")))
    assert week.json("roster", "import", week.file("canvas.csv", CANVAS)).data["added"] == ["amueller"]
    assert "so2" in week.course.read_record("roster.json")["students"]


def test_several_sections_in_one_command(week):
    first, second = week.file("a.csv", LISTED), week.file("b.csv", "id;first;last;email\nzz;Z;Z;z@z\n")
    assert week.json("roster", "import", first, second).data["students"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "none of its columns is an id, a login or an email address; they are: a, b"),
        ("id\nann\nANN\n", "line 3 and .*line 2 have the same id"),
        ("id,last\nann,A\nann,B\n", "have the same id"),
        (b"PK\x03\x04rest", "not CSV"),
        ("id\n", "no student in it"),
    ],
)
def test_what_is_no_class_list(week, text, message):
    said = week.tito("roster", "import", week.file("class.csv", text))
    assert said.exit_code == 2
    import re

    assert re.search(message, said.stderr), said.stderr
    assert not week.course.root.exists()


def test_ids_are_folder_names_everywhere(week):
    rows = 'id,last\n"../../etc",A\ncon,B\n"a b/c:d",C\nZoe\u0308,D\n ,E\n'
    said = week.json("roster", "import", week.file("class.csv", rows)).data
    assert said["added"] == ["Zo\u00eb", "a-b-c-d", "con_", "etc"]
    assert [warning for warning in said["warnings"] if "line 6: no id" in warning]


def test_the_list_says_what_to_do_while_it_is_empty(week):
    assert "next: tito grade roster import FILE" in week.tito("roster", "list").stdout


# Due dates.


def due(week):
    with week.course.open_gradebook() as book:
        return str(book.find_assignment("01_alpha").duedate)


def test_due_dates_stand_in_utc_in_the_gradebook(week):
    said = week.tito("due", "1", "2026-12-01T23:59", "--tz", "Europe/Berlin")
    assert said.exit_code == 0, said.stderr
    assert "01_alpha is due 2026-12-01 23:59 Europe/Berlin (2026-12-01 22:59 UTC)" in said.stdout
    assert due(week) == "2026-12-01 22:59:00"
    # the zone is kept, and it has summer time
    week.tito("due", "1", "2027-07-01")
    assert due(week) == "2027-07-01 21:59:00"
    week.tito("due", "1", "2027-07-01T12:00-05:00")
    assert due(week) == "2027-07-01 17:00:00"
    assert "has no due date" in week.tito("due", "1", "none").stdout
    assert due(week) == "None"


@pytest.mark.parametrize(
    ("time", "message", "hint"),
    [
        ("2026-10-25T02:30", "happens twice in Europe/Berlin", "2026-10-25T02:30+02:00 or 2026-10-25T02:30+01:00"),
        ("2026-03-29T02:30", "does not exist in Europe/Berlin", "2026-03-29T03:30"),
        ("tomorrow", "'tomorrow' is no date and time", "2026-12-01T23:59"),
        ("2026-13-01", "is no date", "2026-12-01T23:59"),
        ("2026-W49", "is no date", "2026-12-01T23:59"),
        ("9999-12-31", "more than ten years away", "check the year"),
        ("0001-01-01T00:00+14:00", "more than ten years away", "check the year"),
        ("2062-12-01", "more than ten years away", "check the year"),
    ],
)
def test_times_that_are_none(week, time, message, hint):
    said = week.json("due", "1", time, "--tz", "Europe/Berlin")
    assert said.exit_code == 2
    assert message in said.error["message"] and hint in said.error["hint"]


@pytest.mark.parametrize("day", ["2026-12-01", "20261201", "2026-W49-2", "2026W492", " 2026-12-01 "])
def test_a_date_without_a_time_is_its_last_minute(week, day):
    assert week.json("due", "1", day, "--tz", "Europe/Berlin").exit_code == 0
    assert due(week) == "2026-12-01 22:59:00"


def test_a_zone_that_does_not_exist(week):
    said = week.json("due", "1", "2026-12-01", "--tz", "Mars/Olympus")
    assert said.exit_code == 2 and "no time zone 'Mars/Olympus'" in said.error["message"]
    assert not (week.course.state / "dates.json").exists()


@pytest.mark.parametrize(
    ("until", "wanted"),
    [
        ("+2d", "2026-10-26T22:59:00+00:00"),  # the same time of day, after the clocks were put back
        ("+48h", "2026-10-26T21:59:00+00:00"),
        ("+1w1d", "2026-11-01T22:59:00+00:00"),
        ("2026-10-30T12:00", "2026-10-30T11:00:00+00:00"),
    ],
)
def test_extensions(week, until, wanted):
    week.tito("roster", "import", week.file("class.csv", LISTED))
    week.tito("due", "1", "2026-10-24T23:59", "--tz", "Europe/Berlin")
    assert week.json("extend", "Änne Müller", "1", until).data["due"] == wanted
    assert week.json("extend", "am1", "1", "none").data["due"] == "2026-10-24T21:59:00+00:00"


@pytest.mark.parametrize(
    ("student", "until", "message"),
    [
        ("nobody", "+2d", "no student 'nobody'"),
        ("am1", "+2 days", "no span of time"),
        ("am1", "2026-10-01", "is before the due date"),
        ("am1", "9026-10-01", "more than ten years away"),
        ("am1", "+600w", "more than ten years"),
        ("am1", "+99999999999999d", "more than ten years"),
    ],
)
def test_extensions_that_cannot_be(week, student, until, message):
    week.tito("roster", "import", week.file("class.csv", LISTED))
    week.tito("due", "1", "2026-10-24T23:59", "--tz", "Europe/Berlin")
    said = week.json("extend", student, "1", until)
    assert said.exit_code == 2 and message in said.error["message"]


def test_an_extension_needs_a_due_date(week):
    week.tito("roster", "import", week.file("class.csv", LISTED))
    said = week.json("extend", "am1", "1", "+1d")
    assert said.exit_code == 2 and said.error["hint"].startswith("tito grade due 01_alpha")


def test_a_name_is_looked_up_without_reading_the_whole_list_again(monkeypatch):
    people = {f"s{n}": class_list.ListedStudent(f"s{n}", f"First{n}", f"Last{n}", login=f"in{n}") for n in range(50)}
    roster, calls = class_list.Roster(people), []
    roster.by_text("the first look-up makes an index")
    monkeypatch.setattr(class_list, "folded", lambda text: calls.append(text) or people_folded(text))
    for text in ("Last7, First7", "first7 last7", "IN7", "s7"):
        assert [one.id for one in roster.by_text(text)] == ["s7"]
    assert calls == ["Last7, First7", "first7 last7", "IN7"]
