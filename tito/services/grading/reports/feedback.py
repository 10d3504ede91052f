"""One HTML page a student: points, messages, answers and a person's comments; nothing of a withheld test but points.

The pages lie where nbgrader would put its own, in feedback/<student>/<module>/, and once more in one archive a
module, under the names under which the submissions came in, for an LMS to take back.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from tito.errors import ProjectError
from tito.services import notebooks
from tito.services.files import atomic_write
from tito.services.grading.book import gradebook, history, records, versions
from tito.services.grading.book.course import require_course
from tito.services.grading.book.results import counted
from tito.services.grading.intake.attempts import SECRET
from tito.services.grading.intake.received import Received
from tito.services.grading.reports.lateness import Lateness
from tito.services.grading.reports.term import TermSoFar
from tito.services.grading.roster.class_list import find_student
from tito.services.pages import render
from tito.services.words import duration, number

EXPLAINED = {
    "tampered": "Locked cells of your notebook were not as they were handed out. They were graded as handed out; the "
    "list below says which.",
    "crashed": "Your notebook ended the program that ran it. The questions that this did not touch kept their points.",
    "timeout": "Something in your notebook ran longer than the time limit. The other questions kept their points.",
    "unreadable": "Your file could not be read as a notebook, so that nothing in it could be graded.",
}
STATUS_WORDS = {"todo": "not written", "blocked": "blocked by another cell"}
SECOND_TRY = (
    "Some of your answers were wrong only because an earlier answer was. They were tried again with a correct version "
    "of the earlier answer: without this second try you have {first} points, with it {second}. {which} counts."
)


@dataclass(frozen=True)
class Written:
    """What was written. skipped: {student: why there is no page}."""

    module: str
    pages: dict
    archive: object
    skipped: dict


def feedback(project, module, students=()):
    """Write the pages of `students` (all that were graded where empty) and the archive of the module."""
    course = require_course(project)
    gradebook.require_assignment(course, module)
    versions.Versions(course, module).require_settled()
    names, received = gradebook.students(course), Received(course, module)
    students = {find_student(course, text, also=names) for text in students}
    pages, skipped, scores, lateness = {}, {}, {}, Lateness(course)
    so_far = TermSoFar(course, module) if lateness.rules.stated else None
    for submission in gradebook.submissions(course, module):
        student = submission.student
        if students and student not in students:
            continue
        record = records.read_record(course, module, student)
        if record is None or not record.recorded:
            skipped[student] = "not graded by tito" if record is None else f"ungraded: {record.result.detail}"
            continue
        graded = course.autograded / student / module.name / module.notebook.name
        if not graded.is_file():
            skipped[student] = f"{project.relative(graded)} is missing"
            continue
        node = notebooks.load(project, graded).node
        penalty, days = lateness.penalty(module, submission), lateness.of(student, module)
        about = _Page(module, names[student], submission, record, node, received.late(student), penalty, days, so_far)
        target = course.feedback / student / module.name / f"{module.notebook.stem}.html"
        atomic_write(target, about.html())
        _for_exchange(course.submission(student, module), target.parent)
        pages[student] = target
        scores[student] = record.submitted, about.total, submission.scores
    history.publish(course, module, "feedback", scores)
    if not pages and not skipped:
        raise ProjectError(f"nothing of {module.name} is graded", f"tito grade autograde {module.name}")
    return Written(module.name, pages, _archive(course, module, names, received), skipped)


def _for_exchange(submission, folder):
    """Put beside a page what `nbgrader release_feedback` needs, where the submission came through the exchange."""
    secret, stamp = submission / SECRET, submission / "timestamp.txt"
    if secret.is_file() and stamp.is_file():
        for path in (secret, stamp):
            atomic_write(folder / path.name, path.read_bytes())


def _archive(course, module, names, received):
    """Put the pages of all students into one archive, with the same bytes for the same pages."""
    data, taken = io.BytesIO(), set()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in sorted(names):
            path = course.feedback / student / module.name / f"{module.notebook.stem}.html"
            if path.is_file():
                name = _name_in_archive(received.name(student) or student, student, taken)
                archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    target = course.feedback / f"{module.name}.zip"
    atomic_write(target, data.getvalue())
    return target


def _name_in_archive(incoming, student, taken):
    """The name under which a submission came in, as a page; no path that leads out of a folder."""
    came_in = PurePosixPath(incoming.replace("\\", "/"))
    parts = [part for part in came_in.parts if part not in ("/", "..", ".") and ":" not in part] or [student]
    stem = parts[-1].removesuffix(".ipynb")
    name, number = "/".join([*parts[:-1], f"{stem}.html"]), 1
    while name in taken:
        number += 1
        name = "/".join([*parts[:-1], f"{stem}-{number}.html"])
    taken.add(name)
    return name


class _Page:
    """The page of one student."""

    def __init__(self, module, student, submission, record, node, late, penalty, late_days, so_far):
        self.module, self.student, self.submission, self.node, self.late = module, student, submission, node, late
        self.penalty, self.late_days, self.so_far = penalty, late_days, so_far
        self.result = record.result
        self.second_try = record.recorded == "second"
        self.by_question = {}
        for score in self.result.cells:
            self.by_question.setdefault(score.question, []).append(score)
        self.printed = self._printed()

    def _printed(self):
        """{index: what a cell printed} of the cells above the first withheld test.

        Its arguments pass through the student's code, which can keep them and print them later.
        """
        withheld = {score.grade_id for score in self.result.cells if score.hidden}
        cells = enumerate(self.node.cells)
        first = next((index for index, cell in cells if notebooks.grade_id(cell) in withheld), len(self.node.cells))
        return {index: text for index, text in self.result.outputs.items() if index < first}

    @property
    def total(self):
        """The points that count, the penalty for lateness taken off."""
        return max(0.0, self.submission.points - self.penalty)

    def html(self):
        result, written = self.result, [cell for cell in self.node.cells if notebooks.is_written(cell)]
        return render(
            "feedback.html",
            title=f"{self.module.title}: feedback for {self.student.name}",
            summary=self._summary(),
            status=result.status,
            explained=EXPLAINED.get(result.status),
            unreadable=result.detail if result.status == "unreadable" else "",
            changes=result.warnings,
            second_try=self._second_try(),
            overview=self._overview(),
            term=self._term() if self.so_far else None,
            questions=[
                self._question(notebooks.grade_id(cell), index, cell)
                for index, cell in enumerate(self.node.cells)
                if notebooks.is_solution(cell) and notebooks.grade_id(cell) in self.by_question
            ],
            whole=self._tests(None) if None in self.by_question else None,
            written=[self._answer(cell) for cell in written],
            others=self._other_cells(),
        )

    def _summary(self):
        grades = self.submission
        pairs = [
            ("Module", self.module.name),
            ("Points", f"{number(grades.points)} of {number(grades.max_points)}"),
        ]
        if self.penalty:
            remain = f"{number(self.penalty)} points; {number(self.total)} remain"
            pairs.append(("Penalty for lateness", remain))
        if self.late:
            pairs.append(("Late by", duration(self.late)))
        if self.late_days.slip:
            pairs.append(("Slip days spent on it", f"{self.late_days.slip}, of {self.late_days.days} days late"))
        if grades.waiting:
            count = len(grades.waiting)
            pairs.append(("Still open", f"{count} answer{'s' if count > 1 else ''} that a person has to look at"))
        return pairs

    def _term(self):
        """The sum of all that was published until now, and how it comes about."""
        found, rules = self.so_far.of(self.student.id, self.total), self.so_far.term.rules
        pairs = [("The sum so far", "" if found.percent is None else f"{number(found.percent)} %")]
        if rules.slip_days:
            pairs.append(("Slip days", f"{found.slip_days} of {rules.slip_days} spent"))
        return {"terms": pairs, "rows": self.so_far.rows(found)}

    def _second_try(self):
        if self.result.second_points <= self.result.points:
            return ""
        which = "The better one" if self.second_try else "The first one"
        first, second = number(self.result.points), number(self.result.second_points)
        return SECOND_TRY.format(first=first, second=second, which=which)

    def _points(self, score):
        """What counts for a test: a person's points, where there are some."""
        grade = self.submission.grades.get(score.grade_id)
        return grade.points if grade else counted(score, self.second_try)

    def _overview(self):
        rows = []
        for question, scores in self.by_question.items():
            cells = [question or "the module as a whole"]
            for group in ([one for one in scores if not one.hidden], [one for one in scores if one.hidden], scores):
                points, worth = sum(map(self._points, group)), sum(one.max_points for one in group)
                cells.append(f"{number(points)} of {number(worth)}" if group else "")
            rows.append(cells)
        for grade in self.submission.grades.values():
            if grade.written:
                is_open = grade.waiting and grade.by_person is None
                said = "open, up to" if is_open else f"{number(grade.points)} of"
                rows.append([grade.name, "", "", f"{said} {number(grade.max_points)}"])
        return rows

    def _question(self, name, index, cell):
        more = {"answer": cell.source, "printed": self.printed.get(index), "comment": self._comment(name)}
        return {**self._tests(name), **more}

    def _tests(self, question):
        rows = []
        for score in self.by_question[question]:
            points = self._points(score)
            said = "" if score.hidden else "\n".join(filter(None, (score.message, score.where)))
            status = "" if score.hidden else STATUS_WORDS.get(score.status, score.status)
            if score.second is not None and counted(score, self.second_try) > score.points:
                said = "\n".join(filter(None, [said, f"first try {number(score.points)}, second try counts"]))
            if score.reference:
                said = f"beside the course's {', '.join(score.reference)}"
            kind = "passed" if points == score.max_points else "lost"
            name = "withheld test" if score.hidden else score.grade_id
            earned = f"{number(points)} of {number(score.max_points)}"
            rows.append([name, {"text": status, "kind": kind}, earned, said])
        return {"about": question or "the module as a whole", "rows": rows}

    def _answer(self, cell):
        name, asked = notebooks.grade_id(cell), notebooks.question_of(cell, self.node)
        grade, said = self.submission.grades.get(name), ""
        if grade is not None and grade.waiting and grade.by_person is None:
            said = f"Not graded yet; worth {number(grade.max_points)} points."
        elif grade is not None:
            said = f"{number(grade.points)} of {number(grade.max_points)} points."
        return {
            "name": name,
            "asked": asked.source if asked else "",
            "answer": cell.source,
            "points": said,
            "comment": self._comment(name),
        }

    def _comment(self, name):
        return self.submission.comments.get(name)

    def _other_cells(self):
        """Code of the student's own, outside of the questions."""
        return [
            {"number": index + 1, "source": cell.source, "printed": self.printed[index]}
            for index, cell in notebooks.code_cells(self.node)
            if not notebooks.grading(cell) and not notebooks.is_measure(cell) and self.printed.get(index)
        ]
