"""Scores a submission: its cells run in a sandbox, its tests outside of it, in a process that trusts nothing inside.

See inside.py and proxies.py for the two ends of the conversation, trusted.py for the process between it and here. Its
notebook and its code are read and judged in a third one: see reading.py.
"""

import time
from dataclasses import dataclass, field, replace

from tito.errors import WorkError
from tito.services import notebooks, syntax
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring import reading
from tito.services.grading.scoring.readers import Fault
from tito.services.grading.scoring.session import Cancelled, Rig, Step
from tito.services.pristine import in_words
from tito.services.verdicts import Verdict, late_and_passed, patience, question_of


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


def score(kit, task, cancel=None, on_cell=None):
    """Score a Task with a Kit. Returns Scored.

    cancel: an Event that ends it, with the status "ungraded". on_cell(done, total): called before each cell. Raises
    TitoError for what is the machine's fault, never for what a submission does.
    """
    begin = time.monotonic()
    result = SubmissionResult(task.student, kit.module, "graded", isolation=kit.sandbox.kind)
    rig = Rig(kit, task.limits, task.cell_seconds, cancel)
    try:
        with kit.readers.open(task.notebook, kit.notebook, cancel) as opened:
            scored = _Submission(kit, opened, rig, on_cell)
            cells, outputs = scored.first()
            if task.second_try:
                cells = scored.second(cells)
    except WorkError as error:
        return unreadable(kit, task.student, error.message)
    except Cancelled:
        seconds = time.monotonic() - begin
        return Scored(replace(result, status="ungraded", detail="interrupted", seconds=seconds), None)
    finally:
        rig.close()
    status, detail = _status(scored, opened.read, cells)
    result = replace(
        result,
        status=status,
        detail=detail,
        cells=cells,
        outputs=outputs,
        changes=opened.read.changes,
        seconds=round(time.monotonic() - begin, 3),
    )
    return Scored(result, opened.read.notebook)


def unreadable(kit, student, reason):
    """The Scored of a file in which nothing could be graded, which is recorded with no points and the reason."""
    cells = _nothing(kit, reason)
    result = SubmissionResult(student, kit.module, "unreadable", reason, cells, isolation=kit.sandbox.kind)
    return Scored(result, reading.as_handed_out(kit))


def place(kit, data):
    """The submission `data` as it is graded; one that cannot be read is the notebook as handed out."""
    try:
        with kit.readers.open(data, kit.notebook) as opened:
            return opened.read.notebook
    except WorkError:
        return reading.as_handed_out(kit)


def _status(scored, read, cells):
    if read.tampered:
        return "tampered", "; ".join(in_words(read.changes))
    for status in ("timeout", "crashed"):
        found = [cell for cell in cells if cell.status == status and scored.ended_by(cell.grade_id, status)]
        if found:
            return status, f"{found[0].grade_id}: {found[0].message}"
    return "graded", scored.note


def _nothing(kit, reason):
    questions = notebooks.questions(kit.source.node)
    return tuple(
        CellScore(name, questions.get(name), 0, notebooks.points(cell), "failed", reason, hidden=_is_hidden(cell))
        for name, cell in kit.tests.items()
    )


def _is_hidden(cell):
    return bool(syntax.regions(cell.source, syntax.HIDDEN_TESTS))


class _Submission:
    """One submission, as it runs. note: what a person should know about how it was judged."""

    def __init__(self, kit, opened, rig, on_cell=None):
        self.kit, self.opened, self.rig, self.on_cell = kit, opened, rig, on_cell
        self.running = opened.read.running
        self.tests = [number for number, one in enumerate(self.running) if one.test is not None]
        self.questions = notebooks.questions(kit.source.node)
        self.outcomes, self.note = [], ""
        self.had_all = set()  # the positions of the cells that had their whole limit

    def _step(self, number):
        one = self.running[number]
        return Step(number, one.source, one.test, one.shows)

    def first(self):
        """The scores of the tests, and {place: what the cell there printed}."""
        steps = [self._step(number) for number in range(len(self.running))]

        def choose(position, outcomes, seconds):
            found = self._seconds(position, *late_and_passed(outcomes), seconds)
            if found == seconds:
                self.had_all.add(position)
            return found

        self.outcomes, printed = self.rig.run(steps, choose=choose, on_step=self.on_step)
        verdicts = self._verdicts()
        cells = tuple(self._score(number, verdicts[number]) for number in self.tests)
        hidden = {number for number in self.tests if self._is_hidden(number)}
        shown = {number: text for number, text in printed.items() if text and number not in hidden}
        outputs = {self.running[number].place: text for number, text in shown.items()}
        return cells, outputs

    def _seconds(self, position, late, passed, seconds):
        """The seconds of the cell at `position`, where an answer has cost its limit to those at `late`.

        Its tests get a little, and what only shows something is not run. passed: the positions of what was right.
        """
        if not self.opened.waits(position, late, passed):
            return seconds
        return 0 if self.running[position].shows else patience(seconds)

    def _verdicts(self):
        try:
            return self.opened.verdicts(self.outcomes)
        except Fault as fault:
            self.note = f"its errors could not be explained: {fault}"
            return {number: self._plain_verdict(number) for number in self.tests}

    def _plain_verdict(self, number):
        """What became of a test, where nobody can say why: right only where its answer ran as well."""
        question, outcome = self._question(self.running[number].test), self.outcomes[number]
        own = [
            self.outcomes[place].status for place, one in enumerate(self.running) if question and one.name == question
        ]
        if outcome.status == "ok" and all(status in ("ok", "skipped") for status in own):
            return Verdict("passed")
        status = {"died": "crashed", "timeout": "timeout"}.get(outcome.status, "failed")
        if status == "failed" and self._is_hidden(number):
            return Verdict(status, "this withheld test does not pass")
        return Verdict(status, outcome.message or "it does not pass")

    def on_step(self, place):
        if self.on_cell:
            self.on_cell(place, len(self.running))

    def _question(self, test):
        return question_of(self.questions, test)

    def _is_hidden(self, number):
        return _is_hidden(self.kit.tests[self.running[number].test])

    def _score(self, number, verdict):
        name = self.running[number].test
        points = notebooks.points(self.kit.tests[name])
        return CellScore(
            grade_id=name,
            question=self._question(name),
            points=points if verdict.status == "passed" else 0,
            max_points=points,
            status=verdict.status,
            message=verdict.message,
            where=verdict.where,
            hidden=self._is_hidden(number),
            seconds=round(self.outcomes[number].seconds, 3),
        )

    def ended_by(self, name, status):
        """Whether the process really ended at the test `name` or its answer."""
        ended = {"crashed": "died", "timeout": "timeout"}[status]
        question = self._question(name)
        names = [one.name for one in self.running]
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

        def choose(place, outcomes, seconds):
            number = steps[place].number
            if number >= len(self.running):
                return seconds
            # what the reference has answered since is waited for as ever
            waited = {one for one in late_and_passed(self.outcomes)[0] if one in self.had_all}
            waited |= {steps[one].number for one in late_and_passed(outcomes)[0]}
            waited = [one for one in waited if not self._is_replaced(one, number, last)]
            return self._seconds(number, waited, late_and_passed(self.outcomes)[1], seconds)

        outcomes, _ = self.rig.run(steps, fresh=True, choose=choose)
        ran = zip(steps, outcomes, strict=True)
        passed = {step.test for step, outcome in ran if step.test and outcome.status == "ok"}
        return tuple(
            replace(cell, second=cell.max_points if cell.grade_id in passed else 0) if cell.grade_id in again else cell
            for cell in cells
        )

    def _is_replaced(self, number, before, last):
        """Whether the reference's answer stands in place of the one that cell `number` belongs to, above `before`."""
        if number >= len(self.running):
            return True
        one = self.running[number]
        question = self._question(one.test) if one.test else one.name
        return any(name == question and place < before for place, name in last.items())

    def _helpers(self, again):
        """The tests that define something which the tests `again` use, directly or through others."""
        found, needed = set(), set()
        for number in reversed(self.tests):
            name = self.running[number].test
            bound, read = syntax.bound_and_needed(self.kit.tests[name].source)
            if name in again or bound & needed:
                found.add(name)
                needed = needed - bound | read - bound
        return found

    def _last_tests(self, wrong):
        """{number of the last cell that belongs to a wrong answer: its name}."""
        last = {}
        for number, one in enumerate(self.running):
            question = self._question(one.test) if one.test else one.name
            if question in wrong:
                last[question] = number
        return {number: question for question, number in last.items()}
