"""Scores a submission: its cells run in a sandbox, its tests outside of it, in a process that trusts nothing inside.

See inside.py and proxies.py for the two ends of the conversation, trusted.py for the process between it and here. Its
notebook and its code are read and judged in a third one: see reading.py.
"""

import re
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

# all that is said of a withheld test that loses its points: nothing of what it handed over may come out
WITHHELD = "this withheld test does not pass"
# a cell of the student's that may bind any name
BINDS_ANY = ("globals", "__main__", "exec(", "import *")


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
        self.hidden = [number for number in self.tests if self._is_hidden(number)]
        self.outcomes, self.note = [], ""
        self.own = {cell.source for _, cell in notebooks.code_cells(kit.handed) if not notebooks.is_solution(cell)}
        self.apart = {}  # what became of the cells beside the withheld tests: {number: Outcome}
        self.had_all = set()  # the positions of the cells that had their whole limit

    def _step(self, number, how="run"):
        one = self.running[number]
        return Step(number, one.source, one.test, one.shows, how)

    def first(self):
        """The scores of the tests, and {place: what the cell there printed}.

        Withheld tests run in a sandbox of their own, see _withheld.
        """
        steps = [self._step(number, "leave" if number in self.hidden else "run") for number in range(len(self.running))]

        def choose(position, outcomes, seconds):
            found = self._seconds(position, *late_and_passed(outcomes), seconds)
            if found == seconds:
                self.had_all.add(position)
            return found

        self.outcomes, printed = self.rig.run(steps, choose=choose, on_step=self.on_step)
        self._withheld([number for number in self.hidden if self._question(self.running[number].test)])
        self._withheld([number for number in self.hidden if not self._question(self.running[number].test)])
        verdicts = self._verdicts()
        verdicts |= {number: self._withheld_verdict(number, verdicts[number]) for number in self.hidden}
        cells = tuple(self._score(number, verdicts[number]) for number in self.tests)
        outputs = {self.running[number].place: text for number, text in printed.items() if text}
        return self._with_reference(cells), outputs

    def _withheld(self, tests):
        """Run withheld tests in a sandbox that no visible test has run in, and whose prints and errors nobody sees.

        Below the last cell of each question stands the reference's answer: so a test meets one answer of the student,
        its own question's, and no two of them can agree with each other. A test of the whole module meets them all.
        """
        if not tests:
            return
        if self.rig.is_over():  # the first run has used up the time of the whole notebook
            self.outcomes = [self.rig.skipped(one) if one in tests else old for one, old in enumerate(self.outcomes)]
            return
        question = self._question(self.running[tests[0]].test)
        last = self._last_tests(self.kit.answers) if question else {}
        steps, before = [], []  # before: (question, number of its last cell) of those that the reference has answered
        for number in range(tests[-1] + 1):
            step = self._step(number)
            if number in tests:
                steps += self._again(number, before)
            steps.append(step if step.test is None or number in tests else step._replace(how="define"))
            if number in last:
                steps.append(self._reference(last[number]))
                before.append((last[number], number))

        def choose(place, outcomes, seconds):
            number = steps[place].number
            if number >= len(self.running):
                return seconds
            if steps[place].test is None and self.outcomes[number].status == "timeout":
                return patience(seconds)
            return self._seconds_beside(steps, place, outcomes, last, seconds)

        self.rig.apart = True
        outcomes, _ = self.rig.run(steps, fresh=True, choose=choose)
        self.rig.apart = False
        for step, outcome in zip(steps, outcomes, strict=True):
            if step.number in tests:
                # its frames lie in cells of another run
                self.outcomes[step.number] = replace(outcome, frames=(), cell=max(0, step.number - 1))
            elif step.number < len(self.running):
                self.apart[step.number] = outcome

    def _reference(self, question):
        """The step in which the reference answers `question`."""
        return Step(len(self.running) + list(self.kit.answers).index(question), self.kit.answers[question])

    def _again(self, test, before):
        """The reference's answers, from the first on of which a later cell of the student's may bind the name again."""
        for first, (question, place) in enumerate(before):
            names = "|".join(map(re.escape, syntax.bound_and_needed(self.kit.answers[question])[0]))
            bound = rf"(?:def|class|as|for|import)\s+(?:{names})\b|^\s*(?:[\w*]+\s*,\s*)*(?:{names})\s*[,:=](?!=)"
            later = (one.source for one in self.running[place + 1 : test] if one.test is None)
            later = [source for source in later if source not in self.own]
            if any(re.search(bound, source, re.M) or any(word in source for word in BINDS_ANY) for source in later):
                return [self._reference(question) for question, _ in before[first:]]
        return []

    def _withheld_verdict(self, number, verdict):
        """The verdict on a withheld test. verdict: as if it had run with the others, on the student's answers only."""
        outcome, question = self.outcomes[number], self._question(self.running[number].test)
        own = [one for place, one in self.apart.items() if question and self.running[place].name == question]
        if outcome.status == "ok" and all(one.status == "ok" for one in own):
            return Verdict("passed")
        if verdict.status == "todo":
            return verdict
        if outcome.status == "skipped":
            return Verdict("blocked", f"not run: {outcome.message}")
        return Verdict({"died": "crashed", "timeout": "timeout"}.get(outcome.status, "failed"), WITHHELD)

    def _with_reference(self, cells):
        """`cells`, in each withheld test that passed the wrong answers that it would have needed."""
        lost = {cell.question for cell in cells if cell.question and cell.points < cell.max_points}
        if not lost:
            return cells

        def stood_in(cell):
            return tuple(one for one in self.kit.needed[cell.grade_id] if one in lost and one != cell.question)

        return tuple(
            replace(cell, reference=stood_in(cell)) if cell.hidden and cell.question and cell.points else cell
            for cell in cells
        )

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
        wrong, hidden = [], {cell.grade_id for cell in cells if cell.hidden and cell.question}
        # in the order of the notebook
        for cell in cells:
            if cell.question and cell.points < cell.max_points and cell.question not in wrong:
                wrong.append(cell.question)
        again = {cell.grade_id for cell in cells if cell.question in wrong[1:]} - hidden
        if not again:
            return cells
        steps, last, tests = [], self._last_tests(wrong), again | self._helpers(again)
        for number in range(len(self.running)):
            step = self._step(number)
            if step.test is None or step.test in tests:
                steps.append(step)
            if number in last:
                steps.append(self._reference(last[number]))

        def choose(place, outcomes, seconds):
            if steps[place].number >= len(self.running):
                return seconds
            return self._seconds_beside(steps, place, outcomes, last, seconds)

        outcomes, _ = self.rig.run(steps, fresh=True, choose=choose)
        ran = zip(steps, outcomes, strict=True)
        passed = {step.test for step, outcome in ran if step.test and outcome.status == "ok"}
        return tuple(
            replace(cell, second=cell.max_points if cell.grade_id in passed else 0) if cell.grade_id in again else cell
            for cell in cells
        )

    def _seconds_beside(self, steps, place, outcomes, last, seconds):
        """The seconds of a cell beside the reference's answers, which are waited for as ever."""
        number = steps[place].number
        late, passed = late_and_passed(self.outcomes)
        waited = {one for one in late if one in self.had_all}
        waited |= {steps[one].number for one in late_and_passed(outcomes)[0]}
        waited = [one for one in waited if not self._is_replaced(one, number, last)]
        return self._seconds(number, waited, passed, seconds)

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
