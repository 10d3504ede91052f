"""What a submission is, and what became of its cells in words: all that needs its notebook and its code understood.

Somebody else wrote both, and a parser can be made to use up any time and memory. So this runs in a process of its own
with limits: see reading_server.py.
"""

import copy
import json
import re
from dataclasses import dataclass, field, replace

from tito.errors import WorkError
from tito.services import dependence, notebooks
from tito.services.grading.scoring.placing import order
from tito.services.outcomes import Outcome
from tito.services.pristine import Deviation, bring_up
from tito.services.verdicts import Judge, Verdict

MIB = 2**20
MOST_BYTES = 20 * MIB  # of a notebook without its outputs
MOST_CODE = 1 * MIB  # characters of one cell
NAME, MESSAGE = 200, 8000  # characters that are kept of what is said
MEMORY = 2 * 2**30  # of the process
SECONDS = 20  # of its processor time, for reading and for each question
LIMITS = f"it takes more than {SECONDS} s of processor time or {MEMORY // 2**30} GB of memory"
FRAME_BYTES = 128 * MIB  # of what two processes say
# a line that defines or imports: a cell without one only shows something
DEFINES = re.compile(r"^(?:(?:import|from|def|async|class)\b|@)", re.MULTILINE)


@dataclass(frozen=True)
class Running:
    """A cell that runs. name: its grade_id; test: the same of a graded test, else None; place: among all cells.

    shows: it defines and imports nothing, but may call answers to show what they give.
    """

    name: str | None
    test: str | None
    place: int
    source: str = field(repr=False)
    shows: bool = False


@dataclass(frozen=True)
class Read:
    """A submission, read. running: the cells that run; changes: what was not as it was handed out; tampered: whether a
    test was not; notebook: as it is graded.
    """

    running: tuple
    changes: tuple
    tampered: bool
    notebook: dict = field(repr=False)


class Reading:
    """One submission of the notebook of `kit`. Raises WorkError where `data` cannot be read."""

    def __init__(self, kit, data):
        self.kit = kit
        self.source = notebooks.parse(data, kit.notebook, outputs=False)
        _require_sizes(self.source, len(data))
        bring_up(self.source, kit.handed, kit.earlier)
        self.ordered = order(self.source, kit.handed, kit.tests)
        placed = self.ordered.placed
        self.running = tuple(self._running(place, one.cell) for place, one in enumerate(placed) if runs(one.cell))
        cells, modules = [placed[one.place] for one in self.running], dependence.read_modules(kit.view)
        self.judge = Judge(cells, [], self.source, kit.source.node, modules, "its process")

    def read(self):
        changes = tuple(replace(one, grade_id=one.grade_id[:NAME]) for one in self.ordered.changes)
        node = numbered(self.kit, [one.cell for one in self.ordered.placed])
        return Read(self.running, changes, self.ordered.tampered, node)

    def _running(self, place, cell):
        name = notebooks.grade_id(cell)
        test = name if name in self.kit.tests and notebooks.is_test(cell) else None
        return Running(name, test, place, cell.source, not name and not DEFINES.search(cell.source))

    def waits(self, position, late, passed):
        """Whether the cell at `position` needs an answer that the cells at `late` waited for in vain."""
        return self.judge.waits(position, late, passed)

    def verdicts(self, outcomes):
        """{position: Verdict} of the tests, after the `outcomes` of all cells."""
        self.judge.outcomes = outcomes
        tests = [position for position, one in enumerate(self.running) if one.test is not None]
        return {position: _bounded(self.judge.verdict(position)) for position in tests}


def runs(cell):
    return cell.cell_type == "code" and not notebooks.is_measure(cell) and not notebooks.is_withheld(cell)


def as_handed_out(kit):
    return numbered(kit, [kit.tests.get(notebooks.grade_id(cell), cell) for cell in kit.handed.cells])


def numbered(kit, cells):
    node = copy.copy(kit.handed)
    node.cells = [copy.deepcopy(cell) for cell in cells]
    for number, cell in enumerate(node.cells):
        cell.id = f"cell-{number}"
    return node


def _require_sizes(source, size):
    hint = "look at the file: so much text is no answer"
    for number, cell in enumerate(source.node.cells, 1):
        if cell.cell_type == "code" and len(cell.source) > MOST_CODE:
            raise WorkError(
                f"{source.label} has {len(cell.source):,} characters of code in cell {number}; tito reads up to "
                f"{MOST_CODE:,}",
                hint,
                code="unreadable",
            )
    if size > MOST_BYTES:
        kept = len(json.dumps(source.node))
        if kept > MOST_BYTES:
            raise WorkError(
                f"{source.label} has {kept / MIB:.1f} MB without its outputs; tito reads up to {MOST_BYTES // MIB} MB",
                hint,
                code="unreadable",
            )


def _bounded(verdict):
    return replace(verdict, message=verdict.message[:MESSAGE], where=verdict.where[:MESSAGE], trace=())


# As JSON, for the way between two processes.


def read_as_json(read):
    return {
        "running": [[one.name, one.test, one.place, one.shows] for one in read.running],
        "changes": [[one.kind, one.grade_id, one.index] for one in read.changes],
        "tampered": read.tampered,
        "notebook": read.notebook,
    }


def read_from_json(data):
    import nbformat

    node = nbformat.from_dict(data["notebook"])
    running = (
        Running(name, test, place, node.cells[place].source, shows) for name, test, place, shows in data["running"]
    )
    return Read(tuple(running), tuple(Deviation(*one) for one in data["changes"]), data["tampered"], node)


def outcomes_as_json(outcomes):
    return [
        [one.status, one.seconds, one.error, one.message, one.cell, [list(frame) for frame in one.frames]]
        for one in outcomes
    ]


def outcomes_from_json(data):
    return [Outcome(*values, frames=tuple(map(tuple, frames))) for *values, frames in data]


def verdicts_as_json(verdicts):
    return [[position, one.status, one.message, one.where] for position, one in verdicts.items()]


def verdicts_from_json(data):
    return {position: Verdict(status, message, where) for position, status, message, where in data}
