"""Written answers out as CSV and back in, for those who grade elsewhere: points and comments, nothing else.

A file is taken whole or not at all: a row that does not fit is named with its line, and nothing is changed. Taking the
same file again changes nothing. A cell without points, or without a comment, leaves what is in the gradebook.
"""

import re
from dataclasses import dataclass

from tito.errors import UsageError
from tito.services import notebooks
from tito.services.files import atomic_write
from tito.services.grading.book import gradebook, records
from tito.services.grading.book.course import require_course
from tito.services.grading.graders import requests
from tito.services.grading.graders.assigning import list_of
from tito.services.grading.graders.cells import as_written, csv_bytes
from tito.services.grading.graders.codes import codes
from tito.services.grading.intake.received import submitted_notebook
from tito.services.grading.roster.sheets import read_sheet
from tito.services.grading.roster.worksheets import amount
from tito.services.words import number

COLUMNS = ("question", "asked", "text", "rubric", "max_points", "points", "comment", "request")
MARKER = re.compile(r"^### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
NAMED = 10  # rows that a message names


@dataclass(frozen=True)
class Answer:
    """A written answer as it was graded. grade: the gradebook's; comment: a person's, "" for none."""

    student: str
    grade: gradebook.Grade
    text: str
    asked: str
    comment: str

    @property
    def key(self):
        return self.student, self.grade.name


@dataclass(frozen=True)
class Exported:
    """rows: of the table, each {title: value}; data: the same as CSV; stale: whose file changed since it was graded."""

    rows: tuple
    data: bytes
    stale: tuple


@dataclass(frozen=True)
class AnswerChange:
    """What an import changed of one answer. who: as the file says it; points before and after, None for none."""

    who: str
    question: str
    before: float | None
    after: float | None
    commented: bool


@dataclass(frozen=True)
class Taken:
    """rows: how many answers the file has; open: how many of them have no points in it; closed: numbers of requests."""

    rows: int
    open: int
    changes: tuple
    closed: tuple


def write_out(project, module, output=None, *, grader=None, everything=False, anonymous=False):
    """The written answers of `module` that wait for a person; into the file `output`, where one is given.

    grader: those on this one's list only; everything: also those that have points; anonymous: codes for names.
    """
    course = require_course(project)
    gradebook.require_assignment(course, module)
    own = list_of(course, module, grader) if grader else None
    answers, stale = _answers(course, module)
    hidden = {}
    if anonymous:
        with course.locked(f"tito grade written export {module.name}"):
            hidden = codes(course, module, {student for student, _ in answers})
    asked_again = requests.open_reasons(course, module)
    rubrics = _rubrics(course, module)
    title, rows = "code" if anonymous else "student", []
    for one in answers.values():
        if (own is None or one.student in own) and (everything or one.grade.waiting) and not one.grade.empty:
            rows.append(
                {
                    title: hidden.get(one.student, one.student),
                    "question": one.grade.name,
                    "asked": one.asked,
                    "text": _plain(one.text),
                    "rubric": rubrics.get(one.grade.name, ""),
                    "max_points": one.grade.max_points,
                    "points": one.grade.by_person,
                    "comment": one.comment,
                    "request": asked_again.get(one.key, ""),
                }
            )
    rows.sort(key=lambda row: (row["question"], row[title]))  # one question after the other, as people grade best
    data = csv_bytes([[title, *COLUMNS], *([*row.values()] for row in rows)])
    if output:
        atomic_write(output, data)
    return Exported(tuple(rows), data, stale)


def take_in(project, module, path):
    """Put points and comments of the file at `path` into the gradebook; returns Taken.

    Raises UsageError, with all rows that do not fit as its data, and then changes nothing.
    """
    course = require_course(project)
    gradebook.require_assignment(course, module)
    sheet = read_sheet(path)
    with course.locked(f"tito grade written import {path}"):
        rows = _Reading(course, module, sheet, *_answers(course, module)).rows
        changes = _write(course, module, rows)
        scored = [row.answer.key for row in rows if row.points is not None]
        closed = requests.close_scored(course, module, scored)
    return Taken(len(rows), sum(row.points is None for row in rows), changes, closed)


def _answers(course, module):
    """({(student, question): Answer}, students whose file changed since it was graded)"""
    found, stale = {}, []
    for submission in gradebook.submissions(course, module):
        student = submission.student
        record, path = records.read_record(course, module, student), submitted_notebook(course, module, student)
        graded = course.autograded / student / module.name / module.notebook.name
        if record is None or not record.recorded or path is None or not graded.is_file():
            continue
        if record.submitted != records.file_digest(path):
            stale.append(student)
            continue
        node = notebooks.load(course.project, graded).node
        for cell in node.cells:
            grade = submission.grades.get(notebooks.grade_id(cell)) if notebooks.is_written(cell) else None
            if grade is not None:
                question = notebooks.question_of(cell, node)
                comment = submission.comments.get(grade.name, "")
                asked = question.source if question else ""
                found[student, grade.name] = Answer(student, grade, cell.source, asked, comment)
    return found, tuple(sorted(stale))


def _rubrics(course, module):
    """{question: what the course's own answer says of the points}"""
    source = notebooks.load(course.project, course.source / module.name / module.notebook.name)
    return {
        notebooks.grade_id(cell): MARKER.sub("", cell.source).strip()
        for cell in source.node.cells
        if notebooks.is_written(cell)
    }


# Reading a file that came back.


@dataclass(frozen=True)
class _Row:
    line: int
    who: str
    answer: Answer
    points: float | None
    comment: str


class _Reading:
    """The rows of a file, each with the answer that it is about. Raises UsageError where any does not fit."""

    def __init__(self, course, module, sheet, answers, stale):
        self.module, self.sheet, self.answers, self.stale = module, sheet, answers, stale
        self.columns = {title.casefold(): column for column, title in reversed([*enumerate(sheet.titles)])}
        self.who = next((title for title in ("code", "student") if title in self.columns), None)
        missing = [title for title in ("points",) if title not in self.columns]
        missing += [] if self.who else ["code or student"]
        questions = {question for _, question in answers}
        self.only = questions.pop() if len(questions) == 1 else None
        missing += [] if "question" in self.columns or self.only else ["question"]
        if missing:
            raise UsageError(
                f"{sheet.label} lacks the column {', '.join(missing)}; it has {', '.join(sheet.titles)}",
                f"tito grade written export {module.name} -o FILE writes one that has all",
            )
        students = {student for student, _ in answers} | {*stale}
        hidden = codes(course, module, students) if self.who == "code" else {}
        self.students = {code: student for student, code in hidden.items()} or {one: one for one in students}
        self.problems, self.rows, seen = [], [], {}
        for row in sheet.rows:
            self._read(row, seen)
        if self.problems:
            shown = "\n".join(self.problems[:NAMED])
            more = f"\nand {len(self.problems) - NAMED} more" if len(self.problems) > NAMED else ""
            raise UsageError(
                f"{sheet.label} was not taken, and nothing was changed\n{shown}{more}",
                "fix these rows, then import the file again",
                code="rows",
                data={"problems": self.problems},
            )

    def _text(self, row, title):
        """A text as it was written, with plain line ends; "" where the file has no such column."""
        return _plain(as_written(row.exact(self.columns[title]))) if title in self.columns else ""

    def _read(self, row, seen):
        who = self._text(row, self.who).strip()
        question = self._text(row, "question").strip() or self.only
        where = f"line {row.line} ({who or 'nobody'}, {question})"
        answer = self.answers.get((self.students.get(who), question))
        text, points = self._text(row, "text"), self._text(row, "points").strip()
        score, comment = amount(points), self._text(row, "comment")
        if who not in self.students:
            problem = f"nobody with the {self.who} {who!r} has a graded submission of {self.module.name}"
        elif self.students[who] in self.stale:
            problem = f"handed in again since it was graded; tito grade autograde {self.module.name}, then export again"
        elif answer is None:
            problem = f"there is no written answer {question!r}"
        elif answer.key in seen:
            problem = f"stands in line {seen[answer.key]} as well"
        elif "text" in self.columns and text != _plain(answer.text.encode("utf-8", "replace").decode()):
            problem = (
                "the text is not the one that is graded: it was changed in the file, or handed in again since; export "
                "it again, or leave the column text out"
            )
        elif points and score is None:
            problem = f"points are {points!r}, which is no number"
        elif score is not None and not 0 <= score <= answer.grade.max_points:
            problem = f"points are {number(score)}, and the answer is worth {number(answer.grade.max_points)}"
        else:
            seen[answer.key] = row.line
            self.rows.append(_Row(row.line, who, answer, score, comment))
            return
        self.problems.append(f"{where}: {problem}")


def _plain(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _write(course, module, rows):
    """Put all of it into the gradebook at once; returns the AnswerChange of each answer that is another now."""
    changes = []
    with course.open_gradebook() as book:
        for row in rows:
            place = (row.answer.grade.name, module.notebook.stem, module.name, row.answer.student)
            scored = row.points is not None and (row.points != row.answer.grade.by_person or row.answer.grade.waiting)
            commented = bool(row.comment) and row.comment != _plain(row.answer.comment)
            if scored:
                grade = book.find_grade(*place)
                grade.manual_score, grade.needs_manual_grade = row.points, False
            if commented:
                book.find_comment(*place).manual_comment = row.comment
            if scored or commented:
                after = row.points if row.points is not None else row.answer.grade.by_person
                changes.append(AnswerChange(row.who, place[0], row.answer.grade.by_person, after, commented))
        book.db.commit()
    return tuple(changes)
