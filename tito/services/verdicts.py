"""Turns what became of the cells of a notebook into a verdict for each graded cell, in words for the student.

A question is a solution cell and the tests below it. A test is *todo* while its own answer is not written, *blocked*
while something else that it needs is missing or wrong, *crashed* where its answer did not even run, and *failed* where
the answer ran and is wrong.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from tito.services import notebooks, syntax
from tito.services.conventions import ASSEMBLY_TEST
from tito.services.dependence import Dependence
from tito.services.places import Places

STUB = re.compile(r"(?P<grade_id>.+): write this cell")
UNDEFINED = re.compile(r"name '(\w+)' is not defined")
SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")
SAID = {"failed": "fails", "crashed": "stops", "timeout": "does not finish", "blocked": "cannot run"}
IMPATIENCE = 20  # times shorter is the limit of what needs an answer that did not end
BINDING = re.compile(r"^(?:(?:async )?def |class )?(\w+)(?= *=[^=]|\(|:)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """status: passed, failed, todo, crashed, timeout or blocked; message: why; where: the place, "" for none.

    trace: the lines of the notebook that were running when the error was raised, the innermost last.
    """

    status: str
    message: str = ""
    where: str = ""
    trace: tuple = ()


class Judge:
    """Judges the graded cells of one run.

    placed: the cells that were to run; outcomes: what became of each; source: the student's file;
    pristine: the notebook as it was handed out, or None. modules: {name: source} of the course's modules that the
    notebook may import. process: what the cells ran in. reset: the command that, with the name of an answer, brings
    its stub back; "" where there is none.
    """

    def __init__(self, placed, outcomes, source, pristine, modules=None, process="the kernel", reset=""):
        self.placed = placed
        self.modules = modules
        self.outcomes = outcomes
        self.process, self.reset = process, reset
        self.places = Places(placed, source)
        self.known = {}  # position -> its verdict as if all that it needs was right
        authority = pristine or source.node
        self.questions = notebooks.questions(authority)
        self.originals = {notebooks.grade_id(cell): cell for cell in authority.cells if notebooks.is_solution(cell)}

    def verdict(self, position):
        """The verdict on the graded cell at `position` in `placed`."""
        verdict = self._own_verdict(position)
        if verdict.status in ("failed", "crashed", "timeout"):
            return self._blocked(position) or verdict
        return verdict

    def _own_verdict(self, position):
        if position not in self.known:
            self.known[position] = self._judge(position)
        return self.known[position]

    def _judge(self, position):
        """The verdict on a graded cell as if all that it needs was right."""
        question = self.question(notebooks.grade_id(self.placed[position].cell))
        for own in self._positions(question):
            if self.outcomes[own].status not in ("ok", "skipped"):
                return self._unanswered(own, question)
        outcome = self.outcomes[position]
        if outcome.status == "ok":
            return Verdict("passed")
        if outcome.status == "timeout":
            return Verdict("timeout", outcome.message, self._at(position))
        if outcome.status == "died":
            return Verdict("crashed", f"{self.process} died ({outcome.message})", self._at(position))
        if outcome.status == "skipped":
            return Verdict("blocked", f"not run: {self._end(outcome)}")
        return self._missing(outcome, position, question) or self._error("failed", outcome, position)

    def seconds(self, position, outcomes, seconds):
        """The seconds that the cell at `position` gets, after the `outcomes` of those above it.

        Where an answer that it needs did not come to its end once, waiting as long again would tell nothing new.
        """
        return patience(seconds) if self.waits(position, *late_and_passed(outcomes)) else seconds

    def waits(self, position, late, passed=()):
        """Whether the cell at `position` needs an answer that the cells at `late` waited for in vain.

        A cell without a question waited for one of the answers that it needs, none of which a test at `passed` is
        about.
        """
        if not late:
            return False
        questions, right = set(), {self.question(self._name(one)) for one in passed}
        for one in late:
            name = self._name(one)
            own = {name, self.question(name)} & self.originals.keys()
            questions |= own or (self._needed(one) - right)
        return bool(self._needed(position) & questions)

    def _needed(self, position):
        """The answers that a cell needs, its own among them."""
        own = self._positions(self.question(self._name(position)))
        cells = self._dependence.needed(position, own) | {*own}
        return {self._name(one) for one in cells} & self.originals.keys()

    def _name(self, position):
        return notebooks.grade_id(self.placed[position].cell)

    def question(self, test):
        """The grade_id of the answer that `test` is about; None for the test of the module as a whole."""
        return question_of(self.questions, test)

    def stopped(self, graded):
        """What went wrong in cells without points, one line each, but for what only waits for an answer.

        graded: the positions of the cells with points.
        """
        found = []
        for position, outcome in enumerate(self.outcomes):
            is_judged = position in graded or notebooks.grade_id(self.placed[position].cell) in self.originals
            if outcome.status in ("ok", "skipped") or is_judged or self._missing(outcome, position, None):
                continue
            verdict = self._blocked(position) or self._error("crashed", outcome, position)
            cell = self.places.cell(position)
            found.append(f"{cell}: {verdict.message}" + (f", {verdict.where}" if verdict.where != cell else ""))
        return found

    @cached_property
    def _dependence(self):
        return Dependence([one.cell.source for one in self.placed], self.modules)

    def _blocked(self, position):
        """The verdict where an earlier answer that the test depends on is wrong, else None."""
        question = self.question(notebooks.grade_id(self.placed[position].cell))
        own = self._positions(question)
        if any(self.outcomes[one].error in SYNTAX_ERRORS for one in own):
            return None
        needed = self._dependence.needed(position, own)
        for earlier in sorted(needed - set(own)):
            answer = notebooks.grade_id(self.placed[earlier].cell)
            if answer in self.originals and answer != question and (reason := self._wrong(answer)):
                return Verdict("blocked", f"blocked by {answer}: {reason}", f"in {self.places.answer(earlier)}")
        return None

    def _wrong(self, answer):
        """What is wrong with an answer, "" where all of its tests pass."""
        for position, one in enumerate(self.placed):
            test = notebooks.grade_id(one.cell)
            if not notebooks.is_test(one.cell) or self.question(test) != answer:
                continue
            status = self._own_verdict(position).status
            if status == "todo":
                return "it is not written yet"
            if status != "passed":
                which = "a withheld test of it" if self._is_hidden(position) else f"its test {test}"
                return f"{which} {SAID[status]}; fix that first"
        return ""

    def _is_hidden(self, position):
        return bool(syntax.regions(self.placed[position].cell.source, "HIDDEN TESTS"))

    def _unanswered(self, own, question):
        """The verdict where the question's own solution cell, at `own`, did not run to its end."""
        outcome, name = self.outcomes[own], self.places.name(own)
        if outcome.status == "timeout":
            return Verdict("timeout", f"the answer {name} {outcome.message}", self._at(own))
        if outcome.status == "died":
            return Verdict("crashed", f"{self.process} died in the answer {name} ({outcome.message})", self._at(own))
        found = self._missing(outcome, own, question)
        return found or self._error("crashed", outcome, own, f"the answer {name} stopped: ")

    def _error(self, status, outcome, position, before=""):
        """The verdict on an error: its words, the student's own line, and the lines that were running."""
        trace = tuple(self._frame_in_words(*frame) for frame in outcome.frames)
        return Verdict(status, before + self._words(outcome, position), self._raised_at(outcome, position), trace)

    def _frame_in_words(self, position, line):
        function = syntax.function_at(self.placed[position].cell.source, line)
        name = self.places.name(position) + (f", in {function}" if function else "")
        return f"{name}, line {line}: {self.places.statement(position, line)}"

    def _missing(self, outcome, position, question):
        """The verdict where the error of `outcome` only says that something is not there yet, else None."""
        if outcome.error == "NotImplementedError" and (stub := STUB.fullmatch(outcome.message)):
            return self._unwritten(stub["grade_id"], question)
        if outcome.error == "NameError" and (undefined := UNDEFINED.search(outcome.message)):
            return self._undefined(undefined[1], position, question)
        return None

    def _unwritten(self, grade_id, question):
        own = self._positions(grade_id)
        where = f"in {self.places.answer(own[0])}" if own else ""
        if grade_id == question:
            return Verdict("todo", "not written yet", where)
        if grade_id not in self.originals:
            return None
        return Verdict("blocked", f"needs {grade_id}, which is not written yet", where)

    def _undefined(self, name, position, question):
        """Who should have defined `name` before `position`: a cell that stopped, or an answer that is gone."""
        for earlier in range(position):
            outcome, cell = self.outcomes[earlier], self.placed[earlier].cell
            if outcome.status != "ok" and name in _bound_names(cell.source):
                reason = f"{outcome.error}: {outcome.message}" if outcome.status == "error" else outcome.message
                cell = self.places.name(earlier)
                message = f"needs {name}{'' if cell == name else f' of {cell}'}, which stopped: {reason}"
                return Verdict("blocked", message, self._raised_at(outcome, earlier))
        for grade_id, original in self.originals.items():
            if name in _bound_names(original.source) and (lost := self._lost(grade_id, name)):
                stub = f"; its stub comes back with: {self.reset} {grade_id}" if self.reset else ""
                return Verdict("todo" if grade_id == question else "blocked", f"needs {name}, but {lost}{stub}")
        return None

    def _lost(self, grade_id, name):
        """What became of the definition of `name` in the answer `grade_id`, "" where it is there."""
        own = self._positions(grade_id)
        if not own:
            return f"the cell {grade_id} is missing from the notebook"
        if any(name in _bound_names(self.placed[one].cell.source) for one in own):
            return ""
        return f"{self.places.named(own[0])} does not define it any more"

    def _words(self, outcome, position):
        """An assertion's own words; of other errors what they are called, and the line of the test, with the case.

        The lines of a hidden test are nobody's to read: what is said here gets into records.
        """
        if outcome.status != "error":
            return outcome.message
        last = outcome.frames[-1] if outcome.frames else None
        said = f"{outcome.error}: {outcome.message}" if outcome.message else outcome.error
        if outcome.error == "AssertionError":
            said = outcome.message or "an assertion without a message"
            if not outcome.message and last and not self._is_hidden(last[0]):
                said = f"this does not hold: {self.places.statement(*last)}"
        test = self.places.test_frame(outcome.frames)
        is_a_tests_own = outcome.error == "AssertionError" and not self.places.is_own(last)
        if test is None or is_a_tests_own or self._is_hidden(test[0]):
            return said
        return f"{said}, from `{self.places.statement(*test)}` in the test"

    def _end(self, outcome):
        """Why the run had ended before a skipped cell."""
        last = self.outcomes[outcome.cell]
        detail = f" ({last.message})" if last.status in ("died", "timeout") else ""
        return f"{outcome.message} in {self.places.name(outcome.cell)}{detail}"

    def _positions(self, grade_id):
        if grade_id is None:
            return []
        return [number for number, one in enumerate(self.placed) if notebooks.grade_id(one.cell) == grade_id]

    def _raised_at(self, outcome, position):
        """The student's own line that was running, and where another answer called it; else the answer that is
        wrong, or the line itself.
        """
        return self.places.own_way(outcome.frames) or self._at(position, outcome.frames[-1] if outcome.frames else None)

    def _at(self, position, frame=None):
        """The answer that a test is about; of a cell that is about none, the `frame` or the cell itself."""
        grade_id = notebooks.grade_id(self.placed[position].cell)
        own = self._positions(grade_id if grade_id in self.originals else self.question(grade_id))
        if own:
            return f"in {self.places.answer(own[0])}"
        return self.places.frame(*frame) if frame and not self._is_hidden(frame[0]) else self.places.cell(position)


def question_of(questions, test):
    """The grade_id of the answer that `test` is about; None for the test of the module as a whole.

    questions: of the notebook, see notebooks.questions.
    """
    return None if (test or "").startswith(ASSEMBLY_TEST) else questions.get(test)


def late_and_passed(outcomes):
    """The positions of the cells that did not finish in time, and of those that did what they should."""
    return tuple([place for place, one in enumerate(outcomes) if one.status == status] for status in ("timeout", "ok"))


def patience(seconds):
    """What is left of a limit for a cell whose answer has cost it in full already."""
    return max(1, seconds / IMPATIENCE)


def _bound_names(source):
    """The names that a cell binds at its top level; a guess where it does not parse."""
    try:
        return syntax.bound_and_needed(source)[0]
    except SyntaxError:
        return set(BINDING.findall(source))
