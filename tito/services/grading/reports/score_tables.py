"""Scores as tables for other programs: CSV per student, CSV per question, and what Canvas imports.

A score that does not exist is empty: a submission that is missing is no zero unless the instructor says so, and one
that could not be graded stops the export.
"""

import re
import unicodedata
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.book.results import counted
from tito.services.grading.reports.canvas import canvas_rows
from tito.services.grading.reports.standing import publish, require_graded, standings
from tito.services.grading.roster.class_list import find_student

FORMATS = ("csv", "questions", "canvas")
# what begins a formula, in full width as well, where a text begins and behind whatever some spreadsheet, with the
# settings of some country, takes for the end of a cell; a comma is held by the quotes
FORMULA = re.compile(r"""(^|[;|])([\s"']*)(?=[=+@\-\N{MINUS SIGN}＝＋＠－﹢﹣﹦﹫])""")
TO_QUOTE = re.compile(r"""[,;|"']|^\s|\s$""")
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some scripts spell names with them

STUDENT_COLUMNS = (
    "student", "last_name", "first_name", "email", "module", "status", "score", "max_score", "penalty", "autograded",
    "first_try", "second_try", "by_person", "waiting_for_a_person", "submitted_at", "late_seconds",
)  # fmt: skip
QUESTION_COLUMNS = (
    "student", "module", "question", "cell", "kind", "status", "score", "max_score", "first_try", "second_try",
    "by_person",
)  # fmt: skip


@dataclass(frozen=True)
class Export:
    """A table as text. waiting: how many scores lack a person's part; missing: how many students have none; without:
    the ids of those who were left out.
    """

    text: str
    rows: int
    waiting: int
    missing: int
    without: tuple = ()
    path: object = None
    warnings: tuple = ()


def export(project, modules, *, form="csv", output=None, missing_as_zero=False, without=()):
    """The scores of `modules` in the format `form`; into the file `output`, where one is given.

    without: students who are left out, without a row. Raises WorkError, with a list, where a submission is not graded.
    """
    course = require_course(project)
    found = {module: standings(course, module) for module in modules}
    everyone = {one.student.id for all_of_it in found.values() for one in all_of_it}
    without = {find_student(course, text, also=everyone) for text in without}
    found = {module: [one for one in all_of_it if one.student.id not in without] for module, all_of_it in found.items()}
    for module, all_of_it in found.items():
        require_graded(module, all_of_it)
    warnings = []
    if form == "canvas":
        table, warnings = canvas_rows(course, found, missing_as_zero, without)
    else:
        rows_of = {"csv": _student_rows, "questions": _question_rows}[form]
        columns = {"csv": STUDENT_COLUMNS, "questions": QUESTION_COLUMNS}[form]
        table = [columns, *(row for module in found for row in rows_of(module, found[module], missing_as_zero))]
    text = as_csv(table)
    if output:
        # spreadsheets take a file without this mark for one in the encoding of the machine
        atomic_write(output, text.encode("utf-8-sig" if form != "canvas" else "utf-8", "replace"))
        for module, all_of_it in found.items():
            publish(course, module, f"export {form}", all_of_it)
    everybody = [one for all_of_it in found.values() for one in all_of_it]
    return Export(
        text=text,
        rows=len(table) - 1,
        waiting=sum(1 for one in everybody if one.submission and one.submission.waiting),
        missing=sum(1 for one in everybody if one.status == "missing"),
        without=tuple(sorted(without)),
        path=output,
        warnings=tuple(warnings),
    )


def released(project, catalog):
    """The modules that were released. Raises ProjectError where none was."""
    course = require_course(project)
    found = [module for module in catalog if (course.source / module.name / module.notebook.name).is_file()]
    if not found:
        raise ProjectError("no module was released", "tito grade release M", code="not-released")
    return found


def as_csv(rows):
    return "".join(",".join(map(_cell, row)) + "\r\n" for row in rows)


def _cell(value):
    """A value as the file has it: numbers short; texts on one line, quoted where in doubt, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{round(value, 4):.4f}".rstrip("0").rstrip(".")
    text = "".join(map(_plain, str(value)))
    text = FORMULA.sub(r"\1'\2", text)
    return '"' + text.replace('"', '""') + '"' if TO_QUOTE.search(text) else text


def _plain(char):
    """A space for what ends a line or a cell, nothing for what is not to be seen or turns the direction of writing."""
    if char.isspace():
        return " "
    return char if unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char in JOINERS else ""


def _student_rows(module, found, missing_as_zero):
    for one in found:
        person, submission, result = one.student, one.submission, one.record.result if one.record else None
        row = [person.id, person.last_name, person.first_name, person.email, module.name, one.status]
        if submission is None:
            yield row + [0 if missing_as_zero else None] + [None] * (len(STUDENT_COLUMNS) - len(row) - 1)
            continue
        grades = submission.grades.values()
        yield [
            *row,
            one.points,
            submission.max_points,
            one.penalty,
            sum(grade.auto or 0 for grade in grades if not grade.written),
            result.points,
            result.second_points,
            sum(grade.points for grade in grades if grade.by_person is not None or grade.extra),
            len(submission.waiting),
            submission.submitted_at.isoformat(sep=" ", timespec="seconds") + " UTC" if submission.submitted_at else "",
            one.late,
        ]


def _question_rows(module, found, missing_as_zero):
    worth = _cells_of(found)
    for one in found:
        if one.submission is None:
            for name, (question, kind, most) in worth.items():
                score = 0 if missing_as_zero else None
                yield [one.student.id, module.name, question, name, kind, one.status, score, most, None, None, None]
            continue
        scores = {score.grade_id: score for score in one.record.result.cells}
        for name in worth:
            grade, score = one.submission.grades[name], scores.get(name)
            question, kind, _ = worth[name]
            open_one = grade.waiting and grade.by_person is None and grade.auto is None
            yield [
                one.student.id,
                module.name,
                question,
                name,
                kind,
                score.status if score else ("waiting" if open_one else "graded"),
                None if open_one else grade.points,
                grade.max_points,
                score.points if score else None,
                counted(score, second_try=True) if score else None,
                grade.by_person,
            ]


def _cells_of(found):
    """{name of a graded cell: (question, kind, points)} of a module: the tests in their order, then what is written."""
    graded = next((one for one in found if one.submission), None)
    if graded is None:
        return {}
    cells = {
        score.grade_id: (score.question or "", "withheld" if score.hidden else "visible", score.max_points)
        for score in graded.record.result.cells
    }
    written = {grade.name: (grade.name, "written", grade.max_points) for grade in graded.submission.grades.values()}
    return {**cells, **{name: about for name, about in written.items() if name not in cells}}
