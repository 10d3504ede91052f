"""Scores into the file that an LMS gave: Moodle's grading worksheet, Canvas's gradebook. Nothing else in it changes.

A cell changes only where its number does, so that a file that is up to date comes back byte for byte.
"""

import html
import re
from dataclasses import dataclass

from tito.errors import UsageError
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.received import read_submissions
from tito.services.grading.reports.canvas import CANVAS_ID, POINTS, assignment_column
from tito.services.grading.reports.standing import publish, require_graded, standings
from tito.services.grading.roster.class_list import (
    CANVAS_IDENTITY,
    CANVAS_TEST_STUDENTS,
    find_student,
    is_canvas,
    read_roster,
)
from tito.services.grading.roster.people import name_keys, safe_id
from tito.services.grading.roster.sheets import read_sheet
from tito.services.grading.roster.worksheets import amount, is_locked, participant, worksheet_columns
from tito.services.words import number

FORMS = ("canvas", "moodle")
NOT_A_SCORE = ("ex", "n/a")  # Canvas: excused, not assigned
# where a spreadsheet may take the rest of a comment for a formula: see score_tables.FORMULA
FORMULA = re.compile(r"""((?:^|[;|])(?:[\s"']*[=+@\-\N{MINUS SIGN}＝＋＠－﹢﹣﹦﹫])+)""")
SIGN = re.compile(r"[=+@\-\N{MINUS SIGN}＝＋＠－﹢﹣﹦﹫]")


@dataclass(frozen=True)
class FilledCell:
    """A cell that changed, in a line of the file."""

    line: int
    student: str
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class Filled:
    """A file with scores in it. changed: its FilledCells; waiting, missing: as in score_tables.Export."""

    data: bytes
    text: str
    rows: int
    changed: tuple
    waiting: int
    missing: int
    warnings: tuple


@dataclass(frozen=True)
class FillOptions:
    """column: the title of the column, where it is not to be guessed; scale: whether to convert the points to those of
    Moodle; replace_comments: also where somebody else's comment stands; missing_as_zero: 0 for who sent nothing;
    without: students whose rows stay as they are.
    """

    column: str | None = None
    scale: bool = False
    replace_comments: bool = False
    missing_as_zero: bool = False
    without: tuple = ()


def fill(project, module, path, *, form, output=None, options=None):
    """Put the scores of `module` into the file at `path`, which an LMS gave, and write it to `output`, where given.

    Raises UsageError where the file is not one of that LMS, WorkError where a submission is not graded.
    """
    course, options = require_course(project), options or FillOptions()
    found = standings(course, module)
    everyone = {one.student.id for one in found}
    without = {find_student(course, text, also=everyone) for text in options.without}
    found = {one.student.id: one for one in found if one.student.id not in without}
    require_graded(module, found.values())
    done = put_into(course, module, found, without, path, form=form, output=output, options=options)
    if output:
        publish(course, module, f"export {form} --into", found.values())
    return done


def put_into(course, module, found, without, path, *, form, output, options):
    """Put the points of `found`, {student: Standing}, into the file at `path`; as fill."""
    sheet = read_sheet(path)
    filling = {"canvas": _Canvas, "moodle": _Moodle}[form](course, module, sheet, options, found, without)
    filling.fill()
    data = sheet.data
    if output:
        atomic_write(output, data)
    return Filled(
        data=data,
        text=sheet.changed_text,
        rows=len(filling.people),
        changed=tuple(filling.changed),
        waiting=sum(1 for one in found.values() if one.submission and one.submission.waiting),
        missing=sum(1 for one in found.values() if one.status == "missing"),
        warnings=tuple(filling.warnings),
    )


class _Filling:
    """What both have in common. found: {student: Standing}; without: who is left out; people: {student: its row}."""

    def __init__(self, course, module, sheet, options, found, without):
        self.course, self.module, self.sheet, self.options = course, module, sheet, options
        self.found, self.without = found, without
        self.roster = read_roster(course)
        self.people, self.changed, self.warnings = {}, [], []

    def place(self, row, students, said):
        """Note whose a row is. students: ids that it may be; said: what the row says of itself."""
        if len(students) > 1:
            raise UsageError(
                f"{self.sheet.label}, line {row.line}: {said} may be {' or '.join(sorted(students))}",
                "fix the class list: tito grade roster import",
            )
        for student in students:
            if student in self.people:
                lines = f"lines {self.people[student].line} and {row.line}"
                raise UsageError(f"{self.sheet.label}, {lines}: both are {student}", "leave one of them in the file")
            self.people[student] = row

    def put_number(self, row, student, column, points):
        """Write points where they are another number than what stands there, in the way of the file."""
        before = amount(row[column])
        if before is not None and round(before, 2) == round(points, 2):
            return
        self._put(row, student, column, self.as_number(points))

    def as_number(self, points):
        plain = f"{points:.{self.decimals}f}"
        if abs(float(plain) - points) > 1e-9:
            plain = f"{points:.4f}".rstrip("0").rstrip(".")
        return plain.replace(".", ",") if self.comma else plain

    def learn_numbers(self, texts):
        """How the file writes numbers: with a comma or a point, and with how many decimals."""
        fractions = [match for text in texts if (match := re.fullmatch(r"\d+([.,])(\d+)", text))]
        self.comma = fractions[0][1] == "," if fractions else self.sheet.separator == ";"
        self.decimals = max((len(match[2]) for match in fractions), default=0)

    def _put(self, row, student, column, text):
        self.changed.append(FilledCell(row.line, student, self.sheet.titles[column], row.exact(column), text))
        self.sheet.put(row, column, text)

    def scores(self):
        """(student, row, points) of all whose cell is to be written."""
        for student, row in self.people.items():
            standing = self.found.get(student)
            points = standing.points if standing else None
            if points is None and self.options.missing_as_zero:
                points = 0.0
            if points is not None and student not in self.without:
                yield student, row, points

    @property
    def max_points(self):
        return next((one.submission.max_points for one in self.found.values() if one.submission), None)

    def warn_of_others(self, strangers):
        left = sorted(name for name, one in self.found.items() if one.submission and name not in self.people)
        if left:
            self.warnings.append(f"have a score and no row in {self.sheet.label}: {', '.join(left)}")
        if strangers:
            self.warnings.append(f"stay as they are, for they are nobody of the class: {', '.join(strangers)}")


class _Canvas(_Filling):
    """Canvas's gradebook: above the students lie rows without an ID, one of them with the points."""

    def fill(self):
        titles = self.sheet.titles
        if not is_canvas(titles):
            raise UsageError(
                f"{self.sheet.label} is not Canvas's gradebook: it lacks a column Student, ID or Section",
                "in Canvas: Grades, Export",
            )
        identity = titles.index("ID")
        above = (row for row in self.sheet.rows if not row[identity])
        points = next((row for row in above if row[0].casefold() == POINTS.casefold()), None)
        column = self._column(points)
        self.learn_numbers([row[one] for row in self.sheet.rows for one in (column, *self._assignments)])
        strangers = []
        for row in self.sheet.rows:
            if row[identity] and row[0].casefold() not in CANVAS_TEST_STUDENTS:
                students = self._whose(row, identity)
                self.place(row, students, f"ID {row[identity]}")
                strangers += [] if students else [row[0]]
        self._fill(column)
        most, given = self.max_points, amount(points[column]) if points else None
        if most is not None and given is not None and most != given:
            self.warnings.append(
                f"Canvas gives {number(given)} points for {titles[column]!r}, {self.module.name} has {number(most)}"
            )
        self.warn_of_others(strangers)

    def _column(self, points):
        """The column of the module. Those that Canvas computes say in the row of the points that they are read only."""
        titles, wanted = self.sheet.titles, self.options.column
        self._assignments = [
            column
            for column, title in enumerate(titles)
            if title not in CANVAS_IDENTITY
            and (points is None or not points[column] or amount(points[column]) is not None)
        ]
        if wanted:
            named = [one for one in self._assignments if wanted in (titles[one], CANVAS_ID.sub("", titles[one]))]
            found = named[0] if len(named) == 1 else None
        else:
            found = assignment_column(self.module, {titles[one]: one for one in self._assignments})
        if found is None:
            what = repr(wanted) if wanted else f"the column of {self.module.name}"
            known = ", ".join(titles[one] for one in self._assignments) or "none"
            raise UsageError(
                f"{self.sheet.label}: {what} is not among the assignments: {known}",
                "name it: --column TITLE; or make the assignment in Canvas, and export again",
            )
        return found

    def _whose(self, row, identity):
        by_id = {one.id for one in self.roster.students.values() if one.lms_id == row[identity]}
        if by_id:
            return by_id
        titles = self.sheet.titles
        login = row[titles.index("SIS Login ID")] if "SIS Login ID" in titles else ""
        known = {one.id for one in self.roster.by_identity(login) if not one.lms_id}
        return known or {safe_id(login or row[identity])} & {*self.found, *self.without}

    def _fill(self, column):
        kept = []
        for student, row, points in self.scores():
            if row[column].casefold() in NOT_A_SCORE:
                kept.append(f"{student} ({row[column]})")
            else:
                self.put_number(row, student, column, points)
        if kept:
            self.warnings.append(f"have a score, and Canvas says something else, which stays: {', '.join(kept)}")


class _Moodle(_Filling):
    """Moodle's worksheet. Its participants' numbers are of this assignment: what was collected for it says whose."""

    def fill(self):
        where = worksheet_columns(self.sheet.titles, self.sheet.rows)
        if where is None:
            raise UsageError(
                f"{self.sheet.label} is not Moodle's grading worksheet: no column of participants, or no maximum grade",
                "in Moodle: View all submissions, Download grading worksheet; the grade has to be in points",
            )
        if self.options.column:
            raise UsageError("a worksheet has one grade only: --column is for Canvas", "leave --column out")
        self.learn_numbers([row[column] for row in self.sheet.rows for column in (where.grade, where.maximum)])
        factor = self._factor(amount(self.sheet.rows[0][where.maximum]))
        entries = read_submissions(self.course).get(self.module.name, {})
        numbers = {one["lms_id"]: name for name, one in entries.items() if one.get("way") == "moodle"}
        strangers = []
        for row in self.sheet.rows:
            students = self._whose(row, where, numbers)
            self.place(row, students, row[where.participant])
            strangers += [] if students else [row[where.participant]]
        self._fill(where, factor)
        self.warn_of_others(strangers)

    def _factor(self, maximum):
        most = self.max_points
        if most is None or most == maximum:
            return 1.0
        if not self.options.scale:
            raise UsageError(
                f"{self.sheet.label}: the maximum grade in Moodle is {number(maximum)}, {self.module.name} has "
                f"{number(most)} points",
                f"set it to {number(most)} in Moodle and download the worksheet again, or convert the points: --scale",
            )
        return maximum / most

    def _whose(self, row, where, numbers):
        """By the number, as it came in with the submission, and by what names somebody; both have to agree."""
        by_number = numbers.get(participant(row[where.participant]))
        named = self._named([text for column in range(1, where.grade) if (text := row[column])])
        if by_number and named and by_number not in named:
            raise UsageError(
                f"{self.sheet.label}, line {row.line}: {row[where.participant]} handed in as {by_number}, and the row "
                f"names {' or '.join(sorted(named))}",
                f"is it the worksheet of {self.module.name}?",
            )
        return {by_number} if by_number else named

    def _named(self, texts):
        """By what is one person's (an address, a number, an id) before a name, which two may have."""
        known = {one.id for text in texts for one in self.roster.by_identity(text)}
        known |= {text for text in texts if text in self.found}
        if known or self.roster:
            return known or {one.id for text in texts for one in self.roster.by_text(text)}
        names = {key for text in texts for key in name_keys(text)}
        return {name for name, one in self.found.items() if names & name_keys(one.student.name)}

    def _fill(self, where, factor):
        locked, others = [], []
        for student, row, points in self.scores():
            if where.can_change is not None and is_locked(row[where.can_change]):
                locked.append(student)
                continue
            self.put_number(row, student, where.grade, points * factor)
            comment = _comment(self.found.get(student), self.sheet)
            if comment and where.comment is None:
                others.append(student)
            elif comment:
                self._put_comment(row, student, where.comment, comment)
        if locked:
            self.warnings.append(f"Moodle lets nobody change the grade of {', '.join(locked)}")
        if others:
            self.warnings.append(
                f"the worksheet has no column for comments, and {len(others)} have some: in Moodle's settings of the "
                "assignment, Feedback types, Feedback comments"
            )

    def _put_comment(self, row, student, column, comment):
        before = row.exact(column)
        if comment in before:
            return
        if before.strip() and not self.options.replace_comments:
            self.warnings.append(
                f"line {row.line}: another comment on {student} stands there, and stays; --replace-comments puts this "
                "course's in its place"
            )
        else:
            self._put(row, student, column, comment)


def _comment(standing, sheet):
    """What a person wrote about the answers of one student, as the HTML that Moodle reads; "" for nothing."""
    comments = standing.submission.comments if standing and standing.submission else {}
    parts = (f"<p>{_as_html(name)}: {_as_html(text)}</p>" for name, text in sorted(comments.items()))
    text = "".join(parts)
    if not sheet.has_characters_of(text):
        text = "".join(char if sheet.has_characters_of(char) else f"&#{ord(char)};" for char in text)
    return FORMULA.sub(lambda match: SIGN.sub(lambda sign: f"&#{ord(sign[0])};", match[0]), text)


def _as_html(text):
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
