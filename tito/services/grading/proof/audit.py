"""How strong are a module's tests? Grades mutants of its reference, and lists those that lose no points; the reference
itself has to earn everything, and an untouched stub nothing.

A survivor is either explained in `tests/grading/audit/`, or a reason to strengthen a test. That folder holds answers
and is not part of a workspace.

A mutant that keeps all points that a student sees is also exported and given to `test_name.py`: one that fails there is
an answer that `tito module complete` refuses although the notebook accepts it.
"""

import time
import tomllib
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services import notebooks
from tito.services.grading.proof import complete, forks
from tito.services.grading.proof.mutants import A_CELL, Mutant, mutants, sample, without_comments

REQUIRED = 0.95  # of the mutants that are not equivalent to the reference
KINDS = ("equivalent", "accepted")


@dataclass(frozen=True)
class Explanation:
    """Why a mutant survives. kind: "equivalent", no test could tell it from the reference, or "accepted"."""

    grade_id: str
    before: str
    after: str
    nth: int
    kind: str
    why: str

    @property
    def key(self):
        return self.grade_id, self.before, self.after, self.nth


@dataclass(frozen=True)
class Survivor:
    """A mutant that lost no points. noticed: tests of other questions that it failed; explanation: None or why."""

    where: str
    mutant: Mutant
    noticed: tuple
    explanation: Explanation | None

    @property
    def is_equivalent(self):
        return self.explanation is not None and self.explanation.kind == "equivalent"


@dataclass(frozen=True)
class Refused:
    """A mutant that keeps every visible point of its notebook and is refused by `test_name.py`.

    withheld: the withheld tests that it fails, () where it keeps every point; known: whether it stands in the list of
    those that wait for a visible case.
    """

    where: str
    mutant: Mutant
    refusal: complete.Refusal
    withheld: tuple
    known: bool


@dataclass(frozen=True)
class CellAudit:
    """One answer. made: mutants there are; run: those that were graded; visible: killed by the visible tests alone."""

    grade_id: str
    made: int
    run: int
    killed: int
    visible: int
    equivalent: int

    @property
    def countable(self):
        return self.run - self.equivalent


@dataclass(frozen=True)
class Audit:
    """One module. tested: mutants that keep every visible point, which test_name.py was run on.

    stale: explanations whose mutant is gone or is killed by now, in words; unearned: tests that a stub passes.
    """

    module: str
    cells: tuple
    survivors: tuple
    tested: int
    refused: tuple
    stale: tuple
    unearned: tuple
    seconds: float

    @property
    def countable(self):
        return sum(cell.countable for cell in self.cells)

    @property
    def rate(self):
        return sum(cell.killed for cell in self.cells) / max(1, self.countable)

    @property
    def visible_rate(self):
        return sum(cell.visible for cell in self.cells) / max(1, self.countable)

    @property
    def unexplained(self):
        return tuple(survivor for survivor in self.survivors if survivor.explanation is None)

    @property
    def surprises(self):
        """What `complete` refuses, but for those that are known to wait for a visible case."""
        return tuple(one for one in self.refused if not one.known)

    @property
    def passed(self):
        found_wrong = self.unexplained or self.surprises or self.stale or self.unearned
        return self.rate >= REQUIRED and not found_wrong


def explanations_path(project, module):
    return project.root / "tests" / "grading" / "audit" / f"{module.name}.toml"


def audit(project, catalog, module, *, jobs=1, a_cell=A_CELL, cell_seconds=forks.CELL_SECONDS, on_mutant=None):
    """Grade at most `a_cell` mutants of every answer of `module` (0: all), `jobs` at a time.

    on_mutant(done, total): called after each. Raises ProjectError in a workspace, where the reference itself does not
    earn full marks, and where the explanations cannot be read.
    """
    start = time.monotonic()
    if not project.is_course:
        raise ProjectError(
            "this is a workspace; the answers, which an audit mutates, are in the course repository",
            "cd into the course repository",
            code="not-a-course",
        )
    explained, waiting = read_explanations(project, module), read_waiting(project, module)
    source = notebooks.load(project, module.percent)
    cells = forks.read_cells(source)
    made = {
        number: mutants(cell["source"], cell["grade_id"])
        for number, cell in enumerate(cells)
        if cell["role"] == "answer"
    }
    run = [
        (number, mutant)
        for number, found in made.items()
        for mutant in sample(found, a_cell, always={*explained, *waiting})
    ]
    # each answer as it is, in the way in which mutants are run: it has to keep its points
    controls = [forks.Version(number, without_comments(cells[number]["source"]), reach="decided") for number in made]
    stubs = [forks.Version(number, cells[number]["stub"]) for number in made]
    versions = [forks.Version(number, mutant.code, reach="decided") for number, mutant in run]
    whole, findings = forks.run(
        project,
        catalog,
        module,
        cells,
        runs={"stub": {cells[number]["grade_id"]: cells[number]["stub"] for number in made}},
        versions=[*controls, *stubs, *versions],
        jobs=jobs,
        cell_seconds=cell_seconds,
        on_version=on_mutant,
    )
    _require_full_marks(source, cells, [whole["reference"], *findings[: len(controls)]])
    untouched, findings = findings[len(controls) : 2 * len(made)], findings[2 * len(made) :]
    verdicts = [judge(cells, number, finding) for (number, _), finding in zip(run, findings, strict=True)]
    places = [notebooks.where(source, cells[number]["index"], mutant.line) for number, mutant in run]
    survivors = [
        Survivor(place, mutant, noticed(cells, number, finding), explained.get(mutant.key))
        for place, (number, mutant), finding, verdict in zip(places, run, findings, verdicts, strict=True)
        if verdict == "survived"
    ]
    accepted = [
        (place, number, mutant, finding)
        for place, (number, mutant), finding in zip(places, run, findings, strict=True)
        if keeps_visible_points(cells, number, finding)
    ]
    refusals = _refusals(project, catalog, module, cells, [one[1:3] for one in accepted], jobs)
    refused = [
        Refused(place, mutant, refusal, withheld(cells, finding), mutant.key in waiting)
        for (place, _, mutant, finding), refusal in zip(accepted, refusals, strict=True)
        if refusal
    ]
    return Audit(
        module=module.name,
        cells=tuple(_cell(cells[number], number, found, run, verdicts, survivors) for number, found in made.items()),
        survivors=tuple(survivors),
        tested=len(accepted),
        refused=tuple(refused),
        stale=(*_stale(explained, run, survivors), *_taken(waiting, refused)),
        unearned=_passed_by_stubs(cells, whole["stub"], dict(zip(made, untouched, strict=True))),
        seconds=time.monotonic() - start,
    )


def judge(cells, number, finding):
    """What became of a version of the answer in cell `number`: "visible" or "hidden", by the test that it failed.

    "survived" where its question's tests and the module's pass. A version that does not run, or does not come to its
    end, loses points for all that it did not reach.
    """
    question, verdict = cells[number]["grade_id"], "survived"
    if finding.errors.get(number) is not None or number not in finding.errors:
        return "visible"
    for place in range(number + 1, len(cells)):
        cell = cells[place]
        if cell["role"] != "test" or cell["question"] not in (question, None):
            continue
        if place not in finding.errors or finding.errors[place] is not None:
            if not cell["hidden"]:
                return "visible"
            verdict = "hidden"
    return verdict


def keeps_visible_points(cells, number, finding):
    """Whether a version of the answer in cell `number` runs and passes every test of the notebook that students see."""
    seen = [place for place in range(number, len(cells)) if place == number or _is_visible_test(cells[place])]
    return all(place in finding.errors and finding.errors[place] is None for place in seen)


def _is_visible_test(cell):
    return cell["role"] == "test" and not cell["hidden"]


def withheld(cells, finding):
    """The withheld tests that a version failed."""
    failed = [place for place, error in finding.errors.items() if error is not None]
    return tuple(cells[place]["grade_id"] for place in failed if cells[place]["hidden"])


def _refusals(project, catalog, module, cells, versions, jobs):
    """What test_name.py says to each of `versions`, mutants of the answers in numbered cells: a Refusal, or None."""
    if not module.tests.is_file():
        return [None] * len(versions)
    texts = [complete.exported(module, cells, {number: mutant.code}) for number, mutant in versions]
    own, *found = complete.refusals(project, catalog, module, [complete.exported(module, cells), *texts], jobs=jobs)
    if own:
        message = f"{project.relative(module.tests)} refuses the reference itself: {own}"
        raise ProjectError(message, "fix it, then audit", code="reference")
    return found


def noticed(cells, number, finding):
    """The tests of other questions that this version failed."""
    questions = (cells[number]["grade_id"], None)
    return tuple(
        cells[place]["grade_id"]
        for place, error in finding.errors.items()
        if error is not None and cells[place]["role"] == "test" and cells[place]["question"] not in questions
    )


def read_explanations(project, module):
    """{key of a mutant: Explanation}, {} where there is no file. Raises ProjectError where it is not in order."""
    found = {}
    for place, entry in _entries(project, module, "survivor", {"grade_id", "before", "after", "kind", "why"}):
        one = Explanation(**entry)
        if one.kind not in KINDS or not one.why.strip():
            raise ProjectError(f"{place}: kind is one of {', '.join(KINDS)}, and why says why", "fix the file")
        if one.key in found:
            raise ProjectError(f"{place}: this mutant is explained already", "fix the file")
        found[one.key] = one
    return found


def read_waiting(project, module):
    """The keys of mutants that `complete` refuses until a visible case says why. This list may only shrink."""
    entries = _entries(project, module, "refused", {"grade_id", "before", "after"})
    return {(entry["grade_id"], entry["before"], entry["after"], entry["nth"]) for _, entry in entries}


def _entries(project, module, table, keys):
    """(place, entry) of the entries `[[table]]` of the module's file; each has `keys`, and nth."""
    path = explanations_path(project, module)
    label = project.relative(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ProjectError(f"{label} cannot be read: {error}", "fix the file") from error
    for number, entry in enumerate(data.get(table, []), 1):
        place = f"{label}, {table} {number}"
        if wrong := (entry.keys() - {"nth"}) ^ keys:
            raise ProjectError(f"{place}: {', '.join(sorted(wrong))} is missing or has no place here", "fix the file")
        yield place, {"nth": 1, **entry}


def _require_full_marks(source, cells, findings):
    for finding in findings:
        for number, error in finding.errors.items():
            if error is not None:
                place = notebooks.where(source, cells[number]["index"])
                message = f"{place}: the reference itself stops here: {error}"
                raise ProjectError(message, "fix it, then audit", code="reference")
        if not finding.ended:
            raise ProjectError(f"{source.label}: the reference itself does not come to its end", "fix it, then audit")


def _passed_by_stubs(cells, whole, alone):
    """The tests that a notebook of stubs passes; of alone, {answer: its stub among the reference's answers}, those that
    are about this answer. Findings each.
    """
    passed = _passed(whole)
    for answer, finding in alone.items():
        passed |= {number for number in _passed(finding) if cells[number]["question"] == cells[answer]["grade_id"]}
    return tuple(cell["grade_id"] for number, cell in enumerate(cells) if cell["role"] == "test" and number in passed)


def _passed(finding):
    return {number for number, error in finding.errors.items() if error is None}


def _cell(cell, number, found, run, verdicts, survivors):
    own = [verdict for (place, _), verdict in zip(run, verdicts, strict=True) if place == number]
    return CellAudit(
        grade_id=cell["grade_id"],
        made=len(found),
        run=len(own),
        killed=sum(verdict != "survived" for verdict in own),
        visible=own.count("visible"),
        equivalent=sum(one.is_equivalent for one in survivors if one.mutant.grade_id == cell["grade_id"]),
    )


def _stale(explained, run, survivors):
    alive, exist = {survivor.mutant.key for survivor in survivors}, {mutant.key for _, mutant in run}
    for key, one in explained.items():
        if key not in alive:
            reason = "is killed by now" if key in exist else "is no longer made"
            yield f"{one.grade_id}: {one.before} -> {one.after}: this mutant {reason}; remove its explanation"


def _taken(waiting, refused):
    for grade_id, before, after, _ in sorted(waiting - {one.mutant.key for one in refused}):
        yield f"{grade_id}: {before} -> {after}: complete no longer refuses this mutant; take it out of the list"
