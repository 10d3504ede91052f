"""How strong are a module's tests? Grades mutants of its reference, and lists those that lose no points.

A survivor is either explained in `tests/grading/audit/`, or a reason to strengthen a test. That folder holds answers
and is not part of a workspace.
"""

import time
import tomllib
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services import notebooks
from tito.services.grading.proof import forks
from tito.services.grading.proof.mutants import A_CELL, Mutant, mutants, sample, unchanged

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
    """One module. stale: explanations whose mutant is gone or is killed by now, in words."""

    module: str
    cells: tuple
    survivors: tuple
    stale: tuple
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
    def passed(self):
        return self.rate >= REQUIRED and not self.unexplained and not self.stale


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
    explained = read_explanations(project, module)
    source = notebooks.load(project, module.percent)
    cells = forks.read_cells(source)
    made = {
        number: mutants(cell["source"], cell["grade_id"])
        for number, cell in enumerate(cells)
        if cell["role"] == "answer"
    }
    run = [(number, mutant) for number, found in made.items() for mutant in sample(found, a_cell, always=explained)]
    # each answer as it is, in the way in which mutants are run: it has to keep its points
    controls = [forks.Version(number, unchanged(cells[number]["source"]), to_end=True) for number in made]
    versions = [forks.Version(number, mutant.code, to_end=True) for number, mutant in run]
    whole, findings = forks.run(
        project,
        catalog,
        module,
        cells,
        versions=[*controls, *versions],
        jobs=jobs,
        cell_seconds=cell_seconds,
        on_version=on_mutant,
    )
    _require_full_marks(source, cells, [*whole.values(), *findings[: len(controls)]])
    findings = findings[len(controls) :]
    verdicts = [judge(cells, number, finding) for (number, _), finding in zip(run, findings, strict=True)]
    survivors = [
        Survivor(
            notebooks.where(source, cells[number]["index"], mutant.line),
            mutant,
            noticed(cells, number, finding),
            explained.get(mutant.key),
        )
        for (number, mutant), finding, verdict in zip(run, findings, verdicts, strict=True)
        if verdict == "survived"
    ]
    return Audit(
        module=module.name,
        cells=tuple(_cell(cells[number], number, found, run, verdicts, survivors) for number, found in made.items()),
        survivors=tuple(survivors),
        stale=tuple(_stale(explained, run, survivors)),
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
    path = explanations_path(project, module)
    label = project.relative(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ProjectError(f"{label} cannot be read: {error}", "mend the file") from error
    found = {}
    for number, entry in enumerate(data.get("survivor", []), 1):
        place = f"{label}, survivor {number}"
        if wrong := (entry.keys() - {"nth"}) ^ {"grade_id", "before", "after", "kind", "why"}:
            raise ProjectError(f"{place}: {', '.join(sorted(wrong))} is missing or has no place here", "mend the file")
        one = Explanation(**{"nth": 1, **entry})
        if one.kind not in KINDS or not one.why.strip():
            raise ProjectError(f"{place}: kind is one of {', '.join(KINDS)}, and why says why", "mend the file")
        if one.key in found:
            raise ProjectError(f"{place}: this mutant is explained already", "mend the file")
        found[one.key] = one
    return found


def _require_full_marks(source, cells, findings):
    for finding in findings:
        for number, error in finding.errors.items():
            if error is not None:
                place = notebooks.where(source, cells[number]["index"])
                message = f"{place}: the reference itself stops here: {error}"
                raise ProjectError(message, "mend it, then audit", code="reference")
        if not finding.ended:
            raise ProjectError(f"{source.label}: the reference itself does not come to its end", "mend it, then audit")


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
