"""Scores a submission: its cells run in a sandbox, its tests outside of it, in a process that trusts nothing inside.

See inside.py and proxies.py for the two ends of the conversation, trusted.py for the process between it and here.
"""

import copy
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tito.errors import WorkError
from tito.services import dependence, notebooks, strip, syntax, views
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.sandbox import fonts
from tito.services.grading.scoring import plans
from tito.services.grading.scoring.placing import order
from tito.services.grading.scoring.session import Cancelled, Rig
from tito.services.pristine import in_words
from tito.services.verdicts import Judge

SHOWN = 4000  # characters of what a cell printed


@dataclass(frozen=True)
class Kit:
    """What all submissions of a module are scored with.

    source: the notebook with solutions and hidden tests; view: the folder with tinytorch and what the module needs of
    it. handed: the notebook as it was handed out; tests: {grade_id: test cell}; plans: {grade_id: names that the test
    fetches}; imports: what the tests import; answers: {grade_id: source of the reference's answer}.
    """

    project: object
    module: object
    source: notebooks.Source
    view: Path
    handed: dict = field(repr=False, default=None)
    tests: dict = field(repr=False, default_factory=dict)
    plans: dict = field(repr=False, default_factory=dict)
    imports: tuple = ()
    answers: dict = field(repr=False, default_factory=dict)
    fonts: Path | None = None


@contextmanager
def kit(project, catalog, module, source=None):
    """Yield the Kit of `module`. source: the notebook with solutions and hidden tests, the module's own where None."""
    found = notebooks.load(project, source or module.percent)
    cells = [cell for _, cell in notebooks.code_cells(found.node)]
    tests = {notebooks.grade_id(cell): cell for cell in cells if notebooks.is_test(cell) and notebooks.grade_id(cell)}
    if not tests:
        raise WorkError(f"{found.label} has no graded cell to run", "restore the file", code="no-tests")
    needed, imports = plans.read(cells)
    with views.view(project, catalog.prerequisites(module), without_kernels_of=module) as view:
        yield Kit(
            project=project,
            module=module,
            source=found,
            view=view,
            handed=strip.strip(found.node, found),
            tests=tests,
            plans=needed,
            imports=imports,
            answers={notebooks.grade_id(cell): cell.source for cell in cells if notebooks.is_solution(cell)},
            fonts=fonts.prepare(project),
        )


def restored(kit, path):
    """The submission in `path` as it is graded; a submission that cannot be read is the notebook as handed out."""
    try:
        placed = _order(kit, path)[1].placed
        node = copy.deepcopy(kit.handed)
        node.cells = [copy.deepcopy(one.cell) for one in placed]
    except WorkError:
        node = copy.deepcopy(kit.handed)
        node.cells = [copy.deepcopy(kit.tests.get(notebooks.grade_id(cell), cell)) for cell in node.cells]
    for number, cell in enumerate(node.cells):
        cell.id = f"cell-{number}"
    return node


def _order(kit, path):
    source = notebooks.load(kit.project, path)
    return source, order(source, kit.handed, kit.tests)


def score(
    kit, path, *, student="", sandbox, limits=None, cell_seconds=30, second_try=True, cancel=None
) -> SubmissionResult:
    """Score the submission in the notebook `path`.

    sandbox: where it runs (see sandbox.find); limits: of the sandbox, its `seconds` those of the submission;
    cell_seconds: of each cell. second_try: also score what failed with the reference in place of earlier wrong answers.
    cancel: an Event that ends it, with the status "ungraded". Raises TitoError for what is the machine's fault, never
    for what a submission does.
    """
    begin = time.monotonic()
    result = SubmissionResult(student=student, module=kit.module.name, status="graded", isolation=sandbox.kind)
    try:
        source, ordered = _order(kit, path)
    except WorkError as error:
        status = "unreadable" if Path(path).exists() else "missing"
        return replace(result, status=status, detail=error.message, cells=_nothing(kit, error.message))
    rig = Rig(kit, sandbox, limits, cell_seconds, cancel)
    try:
        scored = _Submission(kit, source, ordered.placed, rig)
        cells, outputs = scored.first()
        if second_try:
            cells = scored.second(cells)
    except Cancelled:
        return replace(result, status="ungraded", detail="interrupted", seconds=time.monotonic() - begin)
    finally:
        rig.close()
    status, detail = _status(scored, ordered, cells)
    return replace(
        result,
        status=status,
        detail=detail,
        cells=cells,
        outputs=outputs,
        changes=ordered.changes,
        seconds=round(time.monotonic() - begin, 3),
    )


def _status(scored, ordered, cells):
    if ordered.tampered:
        return "tampered", "; ".join(map(in_words, ordered.changes))
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
        return (number, cell.source, self._test(cell))

    def first(self):
        """The scores of the tests, and {place: what the cell there printed}."""
        steps = [self._step(number) for number in range(len(self.running))]
        self.outcomes, printed = self.rig.run(steps)
        modules = dependence.read_modules(self.kit.view)
        self.judge = Judge(self.running, self.outcomes, self.source, self.kit.source.node, modules, "its process")
        cells = tuple(self._score(number) for number in self.tests)
        hidden = {number for number in self.tests if _is_hidden(self.running[number].cell)}
        shown = {number: text for number, text in printed.items() if text and number not in hidden}
        outputs = {self.places[number]: text[:SHOWN] for number, text in shown.items()}
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
        steps, last = [], self._last_tests(wrong)
        for number in range(len(self.running)):
            step = self._step(number)
            if step[2] is None or step[2] in again:
                steps.append(step)
            if number in last:
                steps.append((number + len(self.running), self.kit.answers[last[number]], None))
        outcomes, _ = self.rig.run(steps, fresh=True)
        passed = {step[2] for step, outcome in zip(steps, outcomes, strict=True) if outcome.status == "ok" and step[2]}
        return tuple(
            replace(cell, second=cell.max_points if cell.grade_id in passed else 0) if cell.grade_id in again else cell
            for cell in cells
        )

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
