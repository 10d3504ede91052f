"""Scores a submission: its cells run in a sandbox, its tests outside of it, in a process that trusts nothing inside.

See inside.py and proxies.py for the two ends of the conversation, trusted.py for the process between it and here.
"""

import copy
import re
import time
from dataclasses import dataclass, field, replace

from tito.errors import WorkError
from tito.services import dependence, notebooks, syntax
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring.placing import order
from tito.services.grading.scoring.session import Cancelled, Rig, Step
from tito.services.pristine import in_words
from tito.services.verdicts import Judge

# a line that defines or imports: a cell without one only shows something
DEFINES = re.compile(r"^(?:(?:import|from|def|async|class)\b|@)", re.MULTILINE)


@dataclass(frozen=True)
class Task:
    """A submission to score: whose it is, and the bytes of the notebook.

    limits: of the sandbox, its `seconds` those of the whole submission; cell_seconds: of each cell. second_try: also
    score what failed with the reference in place of earlier wrong answers.
    """

    student: str
    notebook: bytes = field(repr=False)
    limits: Limits = Limits()
    cell_seconds: float = 30
    second_try: bool = True


@dataclass(frozen=True)
class Scored:
    """What became of a task. notebook: the submission as it was graded, every test as the course has it and where;
    None where nothing was graded.
    """

    result: SubmissionResult
    notebook: dict | None = field(repr=False)


def score(kit, task, cancel=None):
    """Score a Task with a Kit. Returns Scored.

    cancel: an Event that ends it, with the status "ungraded". Raises TitoError for what is the machine's fault, never
    for what a submission does.
    """
    begin = time.monotonic()
    result = SubmissionResult(task.student, kit.module, "graded", isolation=kit.sandbox.kind)
    try:
        source, ordered = _order(kit, task.notebook)
    except WorkError as error:
        result = replace(result, status="unreadable", detail=error.message, cells=_nothing(kit, error.message))
        return Scored(result, _as_handed_out(kit))
    rig = Rig(kit, task.limits, task.cell_seconds, cancel)
    try:
        scored = _Submission(kit, source, ordered.placed, rig)
        cells, outputs = scored.first()
        if task.second_try:
            cells = scored.second(cells)
    except Cancelled:
        seconds = time.monotonic() - begin
        return Scored(replace(result, status="ungraded", detail="interrupted", seconds=seconds), None)
    finally:
        rig.close()
    status, detail = _status(scored, ordered, cells)
    result = replace(
        result,
        status=status,
        detail=detail,
        cells=cells,
        outputs=outputs,
        changes=ordered.changes,
        seconds=round(time.monotonic() - begin, 3),
    )
    return Scored(result, _as_graded(kit, ordered))


def place(kit, data):
    """The submission `data` as it is graded; one that cannot be read is the notebook as handed out."""
    try:
        return _as_graded(kit, _order(kit, data)[1])
    except WorkError:
        return _as_handed_out(kit)


def _order(kit, data):
    source = notebooks.parse(data, kit.notebook)
    return source, order(source, kit.handed, kit.tests)


def _as_graded(kit, ordered):
    return _numbered(kit, [one.cell for one in ordered.placed])


def _as_handed_out(kit):
    return _numbered(kit, [kit.tests.get(notebooks.grade_id(cell), cell) for cell in kit.handed.cells])


def _numbered(kit, cells):
    node = copy.copy(kit.handed)
    node.cells = [copy.deepcopy(cell) for cell in cells]
    for number, cell in enumerate(node.cells):
        cell.id = f"cell-{number}"
    return node


def _status(scored, ordered, cells):
    if ordered.tampered:
        return "tampered", "; ".join(in_words(ordered.changes))
    for status in ("timeout", "crashed"):
        found = [cell for cell in cells if cell.status == status and scored.ended_by(cell.grade_id, status)]
        if found:
            return status, f"{found[0].grade_id}: {found[0].message}"
    return "graded", ""


def _nothing(kit, reason):
    questions = notebooks.questions(kit.source.node)
    return tuple(
        CellScore(name, questions.get(name), 0, notebooks.points(cell), "failed", reason, hidden=_is_hidden(cell))
        for name, cell in kit.tests.items()
    )


def _is_hidden(cell):
    return bool(syntax.regions(cell.source, syntax.HIDDEN_TESTS))


class _Submission:
    """One submission, as it runs. running: the cells that run, each with its place among all cells."""

    def __init__(self, kit, source, placed, rig):
        self.kit, self.source, self.rig = kit, source, rig
        runs = [(place, one) for place, one in enumerate(placed) if _runs(one.cell)]
        self.places = [place for place, _ in runs]
        self.running = [one for _, one in runs]
        self.tests = [number for number, one in enumerate(self.running) if self._test(one.cell) is not None]
        self.outcomes = []

    def _test(self, cell):
        name = notebooks.grade_id(cell)
        return name if name in self.kit.tests and notebooks.is_test(cell) else None

    def _step(self, number):
        cell = self.running[number].cell
        shows = not notebooks.grade_id(cell) and not DEFINES.search(cell.source)
        return Step(number, cell.source, self._test(cell), shows)

    def first(self):
        """The scores of the tests, and {place: what the cell there printed}."""
        steps = [self._step(number) for number in range(len(self.running))]
        modules = dependence.read_modules(self.kit.view)
        self.judge = Judge(self.running, [], self.source, self.kit.source.node, modules, "its process")
        self.outcomes, printed = self.rig.run(steps, choose=self.judge.seconds)
        self.judge.outcomes = self.outcomes
        cells = tuple(self._score(number) for number in self.tests)
        hidden = {number for number in self.tests if _is_hidden(self.running[number].cell)}
        shown = {number: text for number, text in printed.items() if text and number not in hidden}
        outputs = {self.places[number]: text for number, text in shown.items()}
        return cells, outputs

    def _score(self, number):
        cell, verdict = self.running[number].cell, self.judge.verdict(number)
        name, points = notebooks.grade_id(cell), notebooks.points(cell)
        return CellScore(
            grade_id=name,
            question=self.judge.question(name),
            points=points if verdict.status == "passed" else 0,
            max_points=points,
            status=verdict.status,
            message=verdict.message,
            where=verdict.where,
            hidden=_is_hidden(cell),
            seconds=round(self.outcomes[number].seconds, 3),
        )

    def ended_by(self, name, status):
        """Whether the process really ended at the test `name` or its answer."""
        ended = {"crashed": "died", "timeout": "timeout"}[status]
        question = self.judge.question(name)
        names = [notebooks.grade_id(one.cell) for one in self.running]
        own = [outcome for one, outcome in zip(names, self.outcomes, strict=True) if one in (name, question) and one]
        return any(outcome.status == ended for outcome in own)

    def second(self, cells):
        """`cells` with the points of a second run, in which each wrong answer is followed by the reference's.

        Only questions that lost points behind another one that did are tried again.
        """
        wrong = []  # in the order of the notebook
        for cell in cells:
            if cell.question and cell.points < cell.max_points and cell.question not in wrong:
                wrong.append(cell.question)
        again = {cell.grade_id for cell in cells if cell.question in wrong[1:]}
        if not again:
            return cells
        steps, last, tests = [], self._last_tests(wrong), again | self._helpers(again)
        for number in range(len(self.running)):
            step = self._step(number)
            if step.test is None or step.test in tests:
                steps.append(step)
            if number in last:
                steps.append(Step(number + len(self.running), self.kit.answers[last[number]]))
        outcomes, _ = self.rig.run(steps, fresh=True)
        ran = zip(steps, outcomes, strict=True)
        passed = {step.test for step, outcome in ran if step.test and outcome.status == "ok"}
        return tuple(
            replace(cell, second=cell.max_points if cell.grade_id in passed else 0) if cell.grade_id in again else cell
            for cell in cells
        )

    def _helpers(self, again):
        """The tests that define something which the tests `again` use, directly or through others."""
        found, needed = set(), set()
        for number in reversed(self.tests):
            name = self._test(self.running[number].cell)
            bound, read = syntax.bound_and_needed(self.kit.tests[name].source)
            if name in again or bound & needed:
                found.add(name)
                needed = needed - bound | read - bound
        return found

    def _last_tests(self, wrong):
        """{number of the last cell that belongs to a wrong answer: its name}."""
        last = {}
        for number, one in enumerate(self.running):
            name = notebooks.grade_id(one.cell)
            question = self.judge.question(name) if self._test(one.cell) else name
            if question in wrong:
                last[question] = number
        return {number: question for question, number in last.items()}


def _runs(cell):
    return cell.cell_type == "code" and not notebooks.is_measure(cell) and not notebooks.is_withheld(cell)
