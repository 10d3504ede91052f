"""The class list: read from a CSV file or from Canvas's gradebook, kept in nbgrader's gradebook and beside it.

With it tito knows who is missing, whose file in an LMS's archive is whose, and what Canvas's columns are called.
"""

import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property

from tito.errors import UsageError
from tito.services.grading.book.course import require_course
from tito.services.grading.roster.people import folded, name_keys, safe_id
from tito.services.grading.roster.tables import read_table
from tito.services.grading.roster.worksheets import worksheet_columns

RECORD = "roster.json"
CANVAS_IDENTITY = (
    "Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Root Account",
    "Section",
)  # fmt: skip
CANVAS_TEST_STUDENTS = ("student, test", "test student", "teststudent")
# what columns are usually called, in the order in which they are taken
TITLES = {
    "id": (
        "id",
        "studentid",
        "studentnumber",
        "idnumber",
        "idnummer",
        "matriculationnumber",
        "matrikelnummer",
        "sisuserid",
    ),  # fmt: skip
    "login": ("login", "loginid", "sisloginid", "username", "user", "userid", "account", "netid", "uid"),
    "email": ("email", "emailaddress", "mail", "emailadresse"),
    "first_name": ("first", "firstname", "firstnames", "givenname", "givennames", "forename", "vorname", "prenom"),
    "last_name": ("last", "lastname", "lastnames", "surname", "familyname", "nachname", "nom"),
    "name": ("name", "fullname", "student", "studentname", "displayname"),
    "lms_id": ("lmsid", "lmsuserid", "canvasid", "canvasuserid", "moodleid", "identifier", "participantid"),
    "section": ("section", "group", "class", "tutorial"),
}
PARTICIPANT = re.compile(r"[^\d]*(\d+)")  # Moodle writes "Participant 123"


@dataclass(frozen=True)
class ListedStudent:
    """One of the class. id: in nbgrader and in folder names; canvas: what Canvas needs to recognise the row."""

    id: str
    first_name: str = ""
    last_name: str = ""
    name: str = ""
    email: str = ""
    login: str = ""
    lms_id: str = ""
    sis_id: str = ""
    section: str = ""
    canvas: dict = field(default_factory=dict)

    @property
    def full_name(self):
        return self.name or " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True)
class Roster:
    """students and left (who was on an earlier list): {id: ListedStudent}. canvas_columns: all titles of Canvas's
    export, in order, with the points that its second line gave; empty where the list did not come from Canvas.
    """

    students: dict = field(default_factory=dict)
    left: dict = field(default_factory=dict)
    canvas_columns: dict = field(default_factory=dict)

    def __bool__(self):
        return bool(self.students)

    @property
    def sorted(self):
        """The students by their names."""
        order = lambda one: (one.last_name.casefold(), one.full_name.casefold(), one.id)
        return tuple(sorted(self.students.values(), key=order))

    def by_lms_id(self, lms_id):
        return [one for one in self.students.values() if lms_id and lms_id in (one.lms_id, one.sis_id)]

    def by_text(self, text):
        """The students whom `text`, an id, login, email address or name, may mean; exact ids go first."""
        if text in self.students:
            return [self.students[text]]
        wanted = folded(text)
        return list(self._by_id.get(wanted) or self._by_name.get(wanted, ())) if wanted else []

    def by_identity(self, text):
        """The students whom `text` names by what is one person's: id, login, email address or number."""
        return list(self._by_id.get(folded(text), ())) if folded(text) else []

    @cached_property
    def _by_id(self):
        """{id, login, email address or number, folded: students}"""
        return self._index(lambda one: map(folded, (one.id, one.login, one.email, one.sis_id)))

    @cached_property
    def _by_name(self):
        return self._index(keys)

    def _index(self, texts):
        found = {}
        for one in self.students.values():
            for text in {text for text in texts(one) if text}:
                found.setdefault(text, []).append(one)
        return found


@dataclass(frozen=True)
class Imported:
    """What an import did. changed: (id, what was changed); left: ids no longer on the list; warnings: of lines that
    were left out and the like.
    """

    total: int
    added: tuple
    changed: tuple
    left: tuple
    warnings: tuple
    from_canvas: bool


def keys(student):
    """All that a file name may make of a student's name."""
    return name_keys(student.first_name, student.last_name) | name_keys(student.name)


def read_roster(course):
    """The class list, empty where none was imported."""
    data = course.read_record(RECORD)
    people = {group: _students(data.get(group, {})) for group in ("students", "left")}
    return Roster(people["students"], people["left"], data.get("canvas_columns", {}))


def _students(data):
    known = {one.name for one in fields(ListedStudent)}
    return {
        name: ListedStudent(**{**{k: v for k, v in one.items() if k in known}, "id": name})
        for name, one in data.items()
    }


def find_student(course, text, *, also=()):
    """The id of the student whom a person means by `text`. also: ids that exist besides the class list.

    Raises UsageError where there is none or more than one.
    """
    roster = read_roster(course)
    if text in roster.students or text in also:
        return text
    found = roster.by_text(text)
    if len(found) == 1:
        return found[0].id
    if found:
        names = ", ".join(f"{one.id} ({one.full_name})" for one in found)
        raise UsageError(f"{text!r} may be one of {names}", "name the id")
    raise UsageError(f"there is no student {text!r} on the class list", "tito grade roster list")


def import_roster(project, paths):
    """Read the class list from the files `paths` together, and keep it. Returns Imported; raises UsageError."""
    course = require_course(project)
    people, columns, warnings = {}, {}, []
    for path in paths:
        found, titles, notes = _read(path)
        columns.update(titles)
        warnings += notes
        for place, student in found:
            _add(people, place, student)
    if not people:
        raise UsageError(f"{', '.join(map(str, paths))}: no student in it", "name a class list as CSV")
    course.prepare()
    with course.locked("tito grade roster import"):
        return _keep(course, [student for _, student in people.values()], columns, warnings)


def _add(people, place, student):
    """Add a student to {id: (place, student)}; the same one in two lists or sections is one."""
    for other_place, other in people.values():
        if other.id == student.id and replace(other, section="", canvas={}) == replace(student, section="", canvas={}):
            return
        same = "id" if other.id.casefold() == student.id.casefold() else ""
        if student.lms_id and other.lms_id == student.lms_id:
            same = "LMS id"
        if same:
            raise UsageError(
                f"{place} and {other_place} have the same {same}: {student.full_name or student.id} and "
                f"{other.full_name or other.id}",
                "fix the list",
            )
    people[student.id] = (place, student)


def _keep(course, listed, columns, warnings):
    old = read_roster(course)
    listed = [_with_old_id(student, old) for student in listed]
    new = {student.id: student for student in listed}
    known = {**old.left, **old.students}
    left = {name: one for name, one in known.items() if name not in new}
    added = tuple(sorted(name for name in new if name not in old.students))
    changes = ((name, _changes(old.students[name], new[name])) for name in sorted(new) if name in old.students)
    gone = tuple(sorted(name for name in left if name in old.students))
    warnings = [*warnings, *_kept_names(course, gone)]
    _write_gradebook(course, new.values(), left)
    document = {
        "students": {name: asdict(one) for name, one in new.items()},
        "left": {name: asdict(one) for name, one in left.items()},
        "canvas_columns": columns or old.canvas_columns,
    }
    course.write_record(RECORD, document)
    warnings += [
        f"{course.label(folder)} is of nobody on the class list"
        for folder in sorted(course.submitted.glob("*"))
        if folder.is_dir() and folder.name not in new and folder.name not in left
    ]
    return Imported(len(new), added, tuple(pair for pair in changes if pair[1]), gone, tuple(warnings), bool(columns))


def _with_old_id(student, old):
    """A student whom an earlier list knew under another id keeps that one: folders and grades are named by it."""
    if student.id in old.students or student.id in old.left:
        return student
    known = [*old.students.values(), *old.left.values()]
    for key in ("lms_id", "login", "email"):
        value = getattr(student, key).casefold()
        same = [one for one in known if value and getattr(one, key).casefold() == value]
        if len(same) == 1:
            return replace(student, id=same[0].id)
    return student


def _changes(before, after):
    names = ("first_name", "last_name", "name", "email", "login", "lms_id", "section")
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    words = (f"{name}: {getattr(before, name) or 'none'} -> {getattr(after, name) or 'none'}" for name in changed)
    return ", ".join(words)


def _kept_names(course, gone):
    return [
        f"{name} is no longer on the list; what was submitted and graded stays"
        for name in gone
        if (course.submitted / name).is_dir()
    ]


def _write_gradebook(course, students, left):
    """Put the students into nbgrader's gradebook. Who left stays in it, unless nothing was ever submitted."""
    with course.open_gradebook() as book:
        known = {student.id for student in book.students}
        for one in students:
            book.update_or_create_student(
                one.id,
                first_name=one.first_name or None,
                last_name=one.last_name or one.name or None,
                email=one.email or None,
                lms_user_id=one.lms_id or None,
            )
        for name in known & set(left):
            if not book.student_submissions(name) and not (course.submitted / name).is_dir():
                book.remove_student(name)


# Reading a list.


def _read(path):
    """([(place, ListedStudent)], Canvas's columns, warnings) of one file."""
    table = read_table(path)
    if is_canvas(table.columns):
        return _read_canvas(path, table)
    return _read_plain(path, table)


def is_canvas(columns):
    """Whether these are the titles of Canvas's gradebook, with the names in one column or in two."""
    named = "Student" in columns or {"LastName", "FirstName"} <= set(columns)
    return named and {"ID", "Section"} <= set(columns) and any(title.startswith("SIS ") for title in columns)


def _read_canvas(path, table):
    """Canvas's gradebook: above the students stand lines without an ID, one of them with the points."""
    found, points, warnings = [], dict.fromkeys(table.columns, ""), []
    for line, row in table.rows:
        name, lms_id = row.get("Student") or row.get("LastName", ""), row["ID"]
        if not lms_id:
            if name.casefold() == "points possible":
                points = {title: row.get(title, "") for title in table.columns}
            continue
        if name.casefold() in CANVAS_TEST_STUDENTS:
            continue
        last, _, first = (part.strip() for part in name.partition(","))
        first = first or row.get("FirstName", "")
        login, sis_id = row.get("SIS Login ID", ""), row.get("SIS User ID", "")
        student = ListedStudent(
            id=safe_id(login or sis_id or lms_id),
            first_name=first,
            last_name=last if first else "",
            name="" if first else name,
            email=login if "@" in login else "",
            login=login,
            lms_id=lms_id,
            sis_id=sis_id,
            section=row["Section"],
            canvas={title: row[title] for title in CANVAS_IDENTITY if title in row},
        )
        if student.id:
            found.append((f"{path}, line {line}", student))
        else:
            warnings.append(f"{path}, line {line}: no id; left out")
    return found, points, warnings


def _read_plain(path, table):
    titles = _in_worksheet(table) or _recognised(table.columns)
    identity = next((key for key in ("id", "login", "email", "lms_id") if key in titles), None)
    if identity is None:
        raise UsageError(
            f"{path}: none of its columns is an id, a login or an email address; they are: {', '.join(table.columns)}",
            "give the column one of these titles: id, login, email",
        )
    found, warnings = [], []
    for line, row in table.rows:
        values = {key: row.get(title, "") for key, title in titles.items()}
        own = values.pop("id", "")
        participant = PARTICIPANT.fullmatch(values.get("lms_id", ""))
        if participant:
            values["lms_id"] = participant[1]
        identity = safe_id(own or values.get("login", "") or values.get("email", "") or values.get("lms_id", ""))
        if identity:
            found.append((f"{path}, line {line}", ListedStudent(identity, sis_id=own, **values)))
        else:
            warnings.append(f"{path}, line {line}: no id; left out")
    return found, {}, warnings


def _in_worksheet(table):
    """The same for Moodle's grading worksheet, in whose other languages the number of the participant is called ID."""
    rows = [[row.get(title, "") for title in table.columns] for _, row in table.rows]
    where = worksheet_columns(table.columns, rows)
    if where is None:
        return None
    columns = list(table.columns[1 : where.grade])
    found = {"lms_id": table.columns[0], **_recognised(columns)}
    addresses = [title for title in columns if all("@" in row[title] for _, row in table.rows)]
    if addresses:
        found = {"email": addresses[0], "name": columns[0], **found}
    if len(found) == 1:
        raise UsageError(
            "the worksheet names nobody: Moodle hides who handed in what, and its numbers are of one assignment only",
            "reveal the identities in Moodle first, or import the list of participants of the course",
        )
    return found


def _recognised(columns):
    """{what it is: title of the column}"""
    plain = {folded(title): title for title in reversed(columns)}
    found = {}
    for key, names in TITLES.items():
        title = next((plain[name] for name in names if name in plain and plain[name] not in found.values()), None)
        if title is not None:
            found[key] = title
    return found
