"""What the proofs run: a module's notebook with the answers of `answers.py`, all of it in one process that forks.

What kernels add to this is tested with real kernels elsewhere. Answers that keep every point that a student sees are
also exported and given to `test_name.py`, as `tito module complete` does.
"""

import copy
from dataclasses import dataclass, field

from tito.services import notebooks
from tito.services.grading.proof import audit, complete, forks
from tito.services.outcomes import Outcome
from tito.services.pristine import Placed
from tito.services.verdicts import Judge

STUB = "its own stub"
LOST = ("failed", "crashed", "timeout")


@dataclass
class Whole:
    """A notebook with one answer to every question.

    tests: {grade_id: None or the error}; errors: the same of cells that are no tests and fail; refusal: of `complete`.
    """

    tests: dict
    errors: dict
    refusal: complete.Refusal | None = None


@dataclass
class Version:
    """The reference's notebook with one other answer in it.

    broken: the answer's own error; tests: of its question, {grade_id: None or the error}; refusal: that of `complete`,
    None where it takes the answer, and where that loses points which its author sees. blamed: {test of another
    question: what it said} of tests that fail without being blocked, as a student sees it; blamed_in_grading: the same
    with the withheld tests.
    """

    grade_id: str
    flaw: str
    broken: str | None
    tests: dict
    refusal: complete.Refusal | None = None
    blamed: dict = field(default_factory=dict)
    blamed_in_grading: dict = field(default_factory=dict)


@dataclass
class Proofs:
    """answers: the graded cells; stubs and wrong: lists of Version; right: a list of Whole."""

    answers: list
    reference: Whole
    stub: Whole
    right: list
    stubs: list
    wrong: list


def run_versions(project, catalog, module, wrong, right):
    """Run the notebook as it is, as a stub, with other right answers, and with each wrong answer in its place.

    wrong: {grade_id: [(flaw, code)]}; right: [{grade_id: code}], a notebook each.
    """
    source = notebooks.load(project, module.percent)
    cells = forks.read_cells(source)
    places = {cell["grade_id"]: number for number, cell in enumerate(cells) if cell["role"] == "answer"}
    stubs = {grade_id: cells[number]["stub"] for grade_id, number in places.items()}
    tried = [(grade_id, flaw, code) for grade_id in places for flaw, code in wrong.get(grade_id, [])]
    whole, single = forks.run(
        project,
        catalog,
        module,
        cells,
        runs={"stub": stubs, **{f"right {number}": codes for number, codes in enumerate(right)}},
        versions=[forks.Version(places[grade_id], stub) for grade_id, stub in stubs.items()]
        + [forks.Version(places[grade_id], code, reach="end") for grade_id, _, code in tried],
    )
    alone, single = single[: len(stubs)], single[len(stubs) :]
    found = Proofs(
        list(places),
        _whole(cells, whole["reference"]),
        _whole(cells, whole["stub"]),
        [_whole(cells, whole[f"right {number}"]) for number in range(len(right))],
        [_version(cells, places[name], STUB, finding) for name, finding in zip(stubs, alone, strict=True)],
        [_version(cells, places[name], flaw, one) for (name, flaw, _), one in zip(tried, single, strict=True)],
    )

    exports = list(zip(found.right, right, strict=True))
    modules = {one.short: (project.core / one.core_file).read_text("utf-8") for one in catalog.prerequisites(module)}
    for version, (grade_id, _, code), finding in zip(found.wrong, tried, single, strict=True):
        if audit.keeps_visible_points(cells, places[grade_id], finding):
            exports.append((version, {grade_id: code}))
        judged = _Judged(source, cells, modules, places[grade_id], code, finding)
        version.blamed = judged.blamed(withheld=False)
        version.blamed_in_grading = judged.blamed(withheld=True)
    texts = [
        complete.exported(module, cells, {places[grade_id]: code for grade_id, code in codes.items()})
        for _, codes in exports
    ]
    for (one, _), refusal in zip(exports, complete.refusals(project, catalog, module, texts), strict=True):
        one.refusal = refusal
    return found


def _whole(cells, finding):
    tests, errors = {}, {}
    for number, error in finding.errors.items():
        if cells[number]["role"] == "test":
            tests[cells[number]["grade_id"]] = error
        elif error is not None:
            errors[str(cells[number]["grade_id"])] = error
    return Whole(tests, errors)


def _version(cells, number, flaw, finding):
    question = cells[number]["grade_id"]
    own = [n for n in finding.errors if cells[n]["role"] == "test" and cells[n]["question"] == question]
    return Version(
        question,
        flaw,
        broken=finding.errors.get(number) if finding.ended else "the process died, or ran into its time limit",
        tests={cells[n]["grade_id"]: finding.errors[n] for n in own},
    )


class _Judged:
    """What is said to the author of a notebook with one wrong answer, `code` in cell `number` of `cells`."""

    def __init__(self, source, cells, modules, number, code, finding):
        self.source, self.cells, self.modules, self.number = source, cells, modules, number
        self.errors = {**dict.fromkeys(range(number)), **finding.errors}
        self.answer = copy.deepcopy(source.node.cells[cells[number]["index"]])
        self.answer.source = code

    def blamed(self, withheld):
        """{test of another question: what it said} of those that lose points without being blocked."""
        run = [n for n, cell in enumerate(self.cells) if withheld or not cell["hidden"]]
        asked = [
            position
            for position, n in enumerate(run)
            if self.cells[n]["role"] == "test"
            and self.cells[n]["question"] != self.cells[self.number]["grade_id"]
            and self.errors.get(n) is not None
        ]
        if not asked:
            return {}
        judge = Judge([self._placed(n) for n in run], self._outcomes(run), self.source, None, self.modules)
        verdicts = {self.cells[run[position]]["grade_id"]: judge.verdict(position) for position in asked}
        return {test: verdict.message for test, verdict in verdicts.items() if verdict.status in LOST}

    def _placed(self, n):
        index = self.cells[n]["index"]
        return Placed(self.answer if n == self.number else self.source.node.cells[index], index)

    def _outcomes(self, run):
        last = next((position for position, n in enumerate(run) if n not in self.errors), None)
        return [self._outcome(n, position, last) for position, n in enumerate(run)]

    def _outcome(self, n, position, last):
        if n not in self.errors:
            status = "died" if position == last else "skipped"
            return Outcome(status, message="it ended", cell=last)
        error = self.errors[n]
        if error is None:
            return Outcome("ok")
        if error.startswith("did not finish"):
            return Outcome("timeout", message=error)
        kind, _, message = error.partition(": ")
        return Outcome("error", error=kind, message=message)
