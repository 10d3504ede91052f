"""Runs a module's wrong answers one after the other in one sandbox, each with its question's tests, through proxies.

A sandbox for every wrong answer would take minutes. Here the reference's cells run once, in order; at each answer its
wrong versions take its place in turn, their tests run outside, and the reference's answer is put back.
"""

import time
from dataclasses import dataclass, field

from tito.services import notebooks
from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring.session import Rig, Step

CELL_SECONDS = 20
CHANGED = 100_000  # the numbers of cells that take another's place


@dataclass
class Found:
    """wrong: [(question, flaw, {test: Outcome}, Outcome of the answer)]; after: what the reference earned then."""

    wrong: list = field(default_factory=list)
    after: dict = field(default_factory=dict)


def run_wrong_versions(kit, wrong):
    """What became of the versions {grade_id: [(flaw, code)]} of the answers of `kit`."""
    runner = _Runner(kit)
    try:
        return runner.run(wrong)
    finally:
        runner.rig.close()


class _Runner:
    def __init__(self, kit):
        self.kit = kit
        cells = [cell for _, cell in notebooks.code_cells(kit.source.node) if not notebooks.is_measure(cell)]
        self.steps = [
            Step(number, cell.source, notebooks.grade_id(cell) if notebooks.is_test(cell) else None)
            for number, cell in enumerate(cells)
        ]
        self.names = [notebooks.grade_id(cell) for cell in cells]
        self.answers = [number for number, cell in enumerate(cells) if notebooks.is_solution(cell)]
        self.rig = Rig(kit, Limits(seconds=600), CELL_SECONDS, None)
        self.rig.deadline = time.monotonic() + 600

    def run(self, wrong):
        found = Found()
        ends = [*self.answers[1:], len(self.steps)]
        self._all(self.steps[: self.answers[0]])
        for start, end in zip(self.answers, ends, strict=True):
            question, own = self.names[start], self.steps[start:end]
            named = [(name or "") + "-" for name in self.names[start:end]]
            tests = [step for step, name in zip(own, named, strict=True) if name.startswith(f"test-{question}-")]
            given = [step for step in own if step.test is None]
            for flaw, code in wrong.get(question, []):
                broken = self._one(Step(start + CHANGED, code), start)
                self._all(given[1:], start)
                outcomes = {step.test: self._one(step, start) for step in tests}
                found.wrong.append((question, flaw, outcomes, broken))
                self._all(given, start)
            self._all(given, start)
            found.after |= {step.test: self._one(step, start) for step in tests}
        return found

    def _all(self, steps, start=0):
        for step in steps:
            if step.test is None:
                self._one(step, start)

    def _one(self, step, start):
        if self.rig.session is None:
            assert self.rig._start([one for one in self.steps[:start] if one.test is None or one.number < start], set())
        outcome, _ = self.rig._run(step, self.rig.cell_seconds)
        return outcome
