"""Turns what became of the cells of a notebook into a verdict for each graded cell, in words for the student.

A question is a solution cell and the tests below it. A test is *todo* while its own answer is not written, *blocked*
while something else that it needs is missing or wrong, *crashed* where its answer did not even run, and *failed* where
the answer ran and is wrong.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property

from tito.services import notebooks, syntax
from tito.services.conventions import ASSEMBLY_TEST
from tito.services.dependence import Dependence

STUB = re.compile(r"(?P<grade_id>.+): write this cell")
UNDEFINED = re.compile(r"name '(\w+)' is not defined")
SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")
SAID = {"failed": "fails", "crashed": "stops", "timeout": "does not finish", "blocked": "cannot run"}
BINDING = re.compile(r"^(?:(?:async )?def |class )?(\w+)(?= *=[^=]|\(|:)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """status: passed, failed, todo, crashed, timeout or blocked; message: why; where: the place, "" for none."""

    status: str
    message: str = ""
    where: str = ""


class Judge:
    """Judges the graded cells of one run.

    placed: the cells that were to run; outcomes: what became of each; source: the student's file;
    pristine: the notebook as it was handed out, or None. modules: {name: source} of the course's modules that the
    notebook may import. process: what the cells ran in.
    """

    def __init__(self, placed, outcomes, source, pristine, modules=None, process="the kernel"):
        self.placed = placed
        self.modules = modules
        self.outcomes = outcomes
        self.source = source
        self.process = process
        authority = pristine or source.node
        self.questions = notebooks.questions(authority)
        self.originals = {notebooks.grade_id(cell): cell for cell in authority.cells if notebooks.is_solution(cell)}

    def verdict(self, position):
        """The verdict on the graded cell at `position` in `placed`."""
        verdict = self._own_verdict(position)
        if verdict.status in ("failed", "crashed", "timeout"):
            return self._blocked(position) or verdict
        return verdict

    @cache  # noqa: B019 - a Judge lives as long as one run is looked at
    def _own_verdict(self, position):
        """The verdict on a graded cell as if all that it needs was right."""
        question = self.question(notebooks.grade_id(self.placed[position].cell))
        for own in self._positions(question):
            if self.outcomes[own].status not in ("ok", "skipped"):
                return self._unanswered(own, question)
        outcome = self.outcomes[position]
        if outcome.status == "ok":
            return Verdict("passed")
        if outcome.status == "timeout":
            return Verdict("timeout", outcome.message, self._place(position))
        if outcome.status == "died":
            return Verdict("crashed", f"{self.process} died ({outcome.message})", self._place(position))
        if outcome.status == "skipped":
            return Verdict("blocked", f"not run: {self._end(outcome)}")
        where = self._raised_at(outcome, position)
        return self._missing(outcome, position, question, where) or Verdict("failed", self._words(outcome), where)

    def question(self, test):
        """The grade_id of the answer that `test` is about; None for the test of the module as a whole."""
        return None if (test or "").startswith(ASSEMBLY_TEST) else self.questions.get(test)

    def stopped(self, graded):
        """What went wrong in cells without points, one line each. graded: the positions of the cells with points."""
        return [
            f"{self._raised_at(outcome, position)}: {self._words(outcome)}"
            for position, outcome in enumerate(self.outcomes)
            if position not in graded and outcome.status not in ("ok", "skipped")
        ]

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
                return Verdict("blocked", f"blocked by {answer}: {reason}", self._place(earlier))
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
                hidden = syntax.regions(one.cell.source, "HIDDEN TESTS")
                return f"{'a withheld test of it' if hidden else f'its test {test}'} {SAID[status]}; fix that first"
        return ""

    def _unanswered(self, own, question):
        """The verdict where the question's own solution cell, at `own`, did not run to its end."""
        outcome = self.outcomes[own]
        if outcome.status == "timeout":
            return Verdict("timeout", f"the answer in {self._name(own)} {outcome.message}", self._place(own))
        if outcome.status == "died":
            return Verdict("crashed", f"{self.process} died in {self._name(own)} ({outcome.message})", self._place(own))
        where = self._raised_at(outcome, own)
        return self._missing(outcome, own, question, where) or Verdict(
            "crashed", f"the answer in {self._name(own)} stopped: {self._words(outcome)}", where
        )

    def _missing(self, outcome, position, question, where):
        """The verdict where the error of `outcome` only says that something is not there yet, else None."""
        if outcome.error == "NotImplementedError" and (stub := STUB.fullmatch(outcome.message)):
            return self._unwritten(stub["grade_id"], question, where)
        if outcome.error == "NameError" and (undefined := UNDEFINED.search(outcome.message)):
            return self._undefined(undefined[1], position, question)
        return None

    def _unwritten(self, grade_id, question, where):
        if grade_id == question:
            return Verdict("todo", "not written yet", where)
        if grade_id not in self.originals:
            return None
        own = self._positions(grade_id)
        place = f" ({self._name(own[0])})" if own else ""
        return Verdict("blocked", f"needs {grade_id}{place}, which is not written yet", where)

    def _undefined(self, name, position, question):
        """Who should have defined `name` before `position`: a cell that stopped, or a question whose cell is gone."""
        for earlier in range(position):
            outcome, cell = self.outcomes[earlier], self.placed[earlier].cell
            if outcome.status != "ok" and name in _bound_names(cell.source):
                reason = f"{outcome.error}: {outcome.message}" if outcome.status == "error" else outcome.message
                message = f"needs {name} of {self._name(earlier)}, which stopped: {reason}"
                return Verdict("blocked", message, self._raised_at(outcome, earlier))
        for grade_id, original in self.originals.items():
            if name in _bound_names(original.source) and not self._positions(grade_id):
                message = f"needs {name}, but the cell {grade_id} is missing from the notebook"
                return Verdict("todo" if grade_id == question else "blocked", message)
        return None

    def _words(self, outcome):
        """An assertion's own words; for other errors, what they are called as well."""
        if outcome.status != "error":
            return outcome.message
        if outcome.error == "AssertionError":
            return outcome.message or f"this does not hold: {self._line(outcome)}"
        return f"{outcome.error}: {outcome.message}" if outcome.message else outcome.error

    def _line(self, outcome):
        if outcome.cell is None:
            return "an assertion without a message"
        lines = self.placed[outcome.cell].cell.source.splitlines()
        return lines[outcome.line - 1].strip() if outcome.line <= len(lines) else "an assertion without a message"

    def _end(self, outcome):
        """Why the run had ended before a skipped cell."""
        last = self.outcomes[outcome.cell]
        detail = f" ({last.message})" if last.status in ("died", "timeout") else ""
        return f"{outcome.message} in {self._name(outcome.cell)}{detail}"

    def _positions(self, grade_id):
        if grade_id is None:
            return []
        return [number for number, one in enumerate(self.placed) if notebooks.grade_id(one.cell) == grade_id]

    def _raised_at(self, outcome, position):
        return self._place(position if outcome.cell is None else outcome.cell, outcome.line)

    def _place(self, position, line=None):
        one = self.placed[position]
        if one.index is None:
            return self._name(position) + (f", line {line}" if line else "")
        return notebooks.where(self.source, one.index, line)

    def _name(self, position):
        one = self.placed[position]
        return f"the restored cell {notebooks.grade_id(one.cell)}" if one.index is None else f"cell {one.index + 1}"


def _bound_names(source):
    """The names that a cell binds at its top level; a guess where it does not parse."""
    try:
        return syntax.bound_and_needed(source)[0]
    except (SyntaxError, ValueError, RecursionError):
        return set(BINDING.findall(source))
