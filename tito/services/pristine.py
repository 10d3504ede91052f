"""The pristine notebooks of a workspace: what `tito init` put there, before anybody edited anything.

They are the authority on which cells are locked, what those cells say, and which cell answers which question.
`.tito/stubs/` holds them with a manifest of their hashes.
"""

import copy
import json
from dataclasses import dataclass, replace

from tito.errors import ProjectError, WorkError
from tito.services import notebooks, recognition, syntax
from tito.services.files import atomic_write, digest

SCHEMA = 1
KEYS = ("grade", "grade_id", "locked", "points", "solution")  # of the metadata, what decides about points
NAMED = 8  # cells that a sentence names
EARLIER = "earlier.json"  # beside the files of a version: what locked cells said in other ones, see bring_up


# what can have become of a cell that was handed out, in words for a person: of one cell, and of several
WORDS = {
    "edited": (
        "cell {number} ({grade_id}) was edited; it ran as it was handed out",
        "{count} cells that stay as they are were edited; they ran as they were handed out: {cells}",
    ),
    "deleted": (
        "the locked cell {grade_id} was deleted; it ran as it was handed out",
        "{count} locked cells were deleted; they ran as they were handed out: {cells}",
    ),
    "copied": (
        "cell {number} ({grade_id}) is a copy of an earlier locked cell; it was left out",
        "{count} cells are copies of earlier locked cells; they were left out: {cells}",
    ),
    "added": (
        "cell {number} ({grade_id}) is not a cell of this notebook; it earns no points",
        "{count} cells are not cells of this notebook; they earn no points: {cells}",
    ),
    "moved": (
        "the test {grade_id} was moved; it ran where it was handed out",
        "{count} tests were moved; they ran where they were handed out: {cells}",
    ),
    "id": (
        "cell {number} had lost its grading metadata and was recognised by its id: {grade_id}",
        "{count} cells had lost their grading metadata and were recognised by their ids",
    ),
    "text": (
        "cell {number} had lost its grading metadata and was recognised by its text: {grade_id}",
        "{count} cells had lost their grading metadata and were recognised by their text",
    ),
    "names": (
        "cell {number} was recognised by what it defines: the answer {grade_id}",
        "{count} cells were recognised by what they define: {cells}",
    ),
    "place": (
        "cell {number} had lost its grading metadata and was recognised by its place: {grade_id}",
        "{count} cells had lost their grading metadata and were recognised by their places: {cells}",
    ),
    "type": (
        "cell {number} ({grade_id}) was turned into a cell of another type; it counts as the answer that it was",
        "{count} answers were turned into cells of another type; they count as the answers that they were: {cells}",
    ),
    "pasted": (
        "the answer {grade_id} stood in cell {number}, with other code; it ran where it was handed out",
        "{count} answers stood in other cells; they ran where they were handed out: {cells}",
    ),
    "merged": (
        "the cell {grade_id} stood inside cell {number}; it ran where it was handed out",
        "{count} cells stood inside others; they ran where they were handed out: {cells}",
    ),
    "split": (
        "the answer {grade_id} was split, and cell {number} is a part of it: all of it ran, as one answer",
        "{count} cells are parts of answers that were split; all of each ran, as one answer: {cells}",
    ),
    "again": (
        "the answer {grade_id} is there twice, which is ambiguous: what cell {number} defines counts, the later one; "
        "merge them or delete one",
        "{count} cells define an answer again, which is ambiguous: the later one counts; merge them or delete one: "
        "{cells}",
    ),
    "missing": (
        "the answer {grade_id} is missing from the notebook",
        "{count} answers are missing from the notebook: {cells}",
    ),
}
# an answer that stood in other cells than its own; cells that an editor robbed of their metadata
ELSEWHERE = ("pasted", "merged", "split", "again", "names")
LOST_METADATA = ("id", "text", "place")
# what makes a test another one than was handed out
TAMPERING = ("edited", "deleted", "copied", "moved", "added")


@dataclass(frozen=True)
class Placed:
    """A cell to run, and its index in the student's file; None where it was put back because it was deleted.

    line: how many lines of the student's cell stand above it, where it is a part of that.
    """

    cell: dict
    index: int | None
    line: int = 0


@dataclass(frozen=True)
class Deviation:
    """What was not as it was handed out. kind: of WORDS; index: of the cell in the student's file, None where it is
    not there.
    """

    kind: str
    grade_id: str
    index: int | None = None


def in_words(changes):
    """Changes for a person: one sentence a kind."""
    by_kind = {}
    for change in changes:
        by_kind.setdefault(change.kind, []).append(change)
    return tuple(_sentence(kind, found) for kind, found in by_kind.items())


def _sentence(kind, changes):
    one, several = WORDS[kind]
    if len(changes) == 1:
        return one.format(number=_number(changes[0]), grade_id=changes[0].grade_id)
    named = [change.grade_id + (f" (cell {_number(change)})" if _number(change) else "") for change in changes]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return several.format(count=len(changes), cells=", ".join(named[:NAMED]) + more)


def _number(change):
    return None if change.index is None else change.index + 1


def stub_path(project, module):
    return project.stubs / f"{module.name}.ipynb"


def write_manifest(project, modules):
    """Record the hashes of the stubs of `modules`, as they are on disk."""
    hashes = {module.name: digest(stub_path(project, module).read_bytes()) for module in modules}
    atomic_write(manifest_path(project), manifest_text(project, hashes))


def manifest_path(project):
    return project.stubs / "manifest.json"


def manifest_text(project, hashes):
    """The manifest of a workspace. hashes: {name of a module: SHA-256 of its stub}."""
    manifest = {
        "schema": SCHEMA,
        "course_version": project.version,
        "notebooks": {name: {"sha256": value} for name, value in hashes.items()},
    }
    return json.dumps(manifest, indent=2) + "\n"


def recorded_hashes(project):
    """{name of a module: SHA-256 of its stub}, as recorded; {} where no manifest can be read."""
    try:
        entries = json.loads(manifest_path(project).read_text(encoding="utf-8"))["notebooks"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: entry["sha256"] for name, entry in entries if isinstance(entry, dict) and "sha256" in entry}


def stub_bytes(project, module):
    """The pristine notebook of `module`. Raises ProjectError (code "stubs") where it is missing or was changed."""
    path = stub_path(project, module)
    try:
        data = path.read_bytes()
    except OSError:
        raise _not_in_order(f"{project.relative(path)} is missing") from None
    if digest(data) != _recorded_hash(project, module):
        raise _not_in_order(f"{project.relative(path)} is not the file that came with the workspace")
    return data


def _recorded_hash(project, module):
    path, hashes = manifest_path(project), recorded_hashes(project)
    if not path.is_file():
        raise _not_in_order(f"{project.relative(path)} is missing")
    if module.name not in hashes:
        raise _not_in_order(f"{project.relative(path)} has no hash for {module.name}")
    return hashes[module.name]


def _not_in_order(message):
    hint = "copy .tito/stubs from a new workspace (tito init DEST, in the course repository)"
    return ProjectError(message, hint, code="stubs")


def read_pristine(project, module):
    """The pristine notebook of `module` and a warning: (node, "") or (None, why there is none).

    In the course repository there is neither: the percent source is the authority.
    """
    if project.is_course:
        return None, ""
    try:
        stub_bytes(project, module)
        return notebooks.load(project, stub_path(project, module)).node, ""
    except (ProjectError, WorkError) as error:
        return None, f"deleted or edited tests cannot be restored: {error.message}"


def load_source(project, module):
    """The source of `module` as it counts and is exported: every locked cell as it was handed out, every answer one
    cell.
    """
    source = notebooks.load(project, module.source(project))
    pristine, _ = read_pristine(project, module)
    return source if pristine is None else exported(source, restore(source, pristine)[0], pristine)


def exported(source, placed, pristine):
    """`source` with its `placed` cells as they are exported.

    Of an answer in several cells the first keeps the name, and a definition that a later one replaces is left out, as
    a kernel would have it. What belongs to an exported answer is exported.
    """
    originals = {notebooks.grade_id(cell): cell for cell in pristine.cells}
    later, cells, places = {}, [], []
    for one in reversed(placed):
        cell, above, name = one.cell, one.line, notebooks.grade_id(one.cell)
        if notebooks.is_solution(cell) and cell.cell_type == "code":
            names = recognition.definitions(cell.source)
            if names & later.get(name, set()):
                cell = copy.deepcopy(cell)
                cell.source = recognition.without(cell.source, later[name])
            later.setdefault(name, set()).update(names)
            if notebooks.is_exported(originals[name]) and cell.source.strip():
                cell, above = _as_exported(cell, above)
        cells.append(cell)
        places.append((one.index, above))
    cells.reverse()
    seen = set()
    for number, cell in enumerate(cells):
        if notebooks.is_solution(cell) and notebooks.grade_id(cell) in seen:
            cells[number] = _with_grading_of(cell, None)
        seen.add(notebooks.grade_id(cell))
    node = copy.copy(source.node)
    node.cells = cells
    return replace(source, node=node, places=tuple(reversed(places)))


def _as_exported(cell, above):
    """The cell with `#| export` as its first line, and nowhere else; and how many lines stand above it then."""
    first, *text = cell.source.split("\n")
    text = ["" if notebooks.EXPORT.fullmatch(line) else line for line in text]
    cell, is_marked = copy.deepcopy(cell), notebooks.is_exported(cell)
    cell.source = "\n".join([*([] if is_marked else ["#| export"]), first, *text])
    return cell, above if is_marked else above - 1


def bring_up(source, pristine, earlier):
    """Make those of `pristine` of the locked cells of `source` that say what another version had handed out.

    earlier: {grade_id: texts of other versions}. Nobody edited such a cell: the course did.
    """
    originals = {notebooks.grade_id(cell): cell for cell in pristine.cells if notebooks.is_locked(cell)}
    for index, cell in enumerate(source.node.cells):
        name = notebooks.grade_id(cell)
        original, lines = originals.get(name), recognition.lines(cell.source)
        if original is None or cell.cell_type != original.cell_type:
            continue
        if any(recognition.lines(text) == lines for text in earlier.get(name, ())):
            source.node.cells[index] = copy.deepcopy(original)
            source.node.cells[index].id = cell.id


def other_texts(pristine, others):
    """What locked cells of `pristine` said, or were worth, in the notebooks `others`: see bring_up."""
    found = {}
    for cell in (cell for cell in pristine.cells if notebooks.is_locked(cell) and notebooks.grade_id(cell)):
        name = notebooks.grade_id(cell)
        same = (one for other in others for one in other.cells if notebooks.grade_id(one) == name)
        texts = [one.source for one in same if not _same(one, cell, "metadata")]
        if texts:
            found[name] = list(dict.fromkeys(texts))
    return found


def restore(source, pristine):
    """([Placed], [Deviation]): the cells of `source` as they are to run, and what was not as it was handed out.

    Locked cells always come from `pristine`; a copy of a locked cell after the first, and a graded cell that the
    notebook never had, do not count. An answer counts wherever it stands, as code: parts of cells that hold others
    besides run where those were handed out. Without `pristine` (None) only copies are dropped.
    """
    return _Restored(source, pristine).result() if pristine else _without_copies(source)


def _without_copies(source):
    placed, changes, seen = [], [], set()
    for index, cell in enumerate(source.node.cells):
        name = notebooks.grade_id(cell)
        if name and notebooks.is_locked(cell) and name in seen:
            changes.append(Deviation("copied", name, index))
            continue
        seen.add(name)
        placed.append(Placed(cell, index))
    return placed, changes


class _Restored:
    """A source, put in order. found: {index: (grade_id, how)}; loose: {answer: its parts of other cells}."""

    def __init__(self, source, pristine):
        self.cells = source.node.cells
        self.pristine = pristine
        self.originals = {name: cell for cell in pristine.cells if (name := notebooks.grade_id(cell))}
        self.answers = recognition.Answers(pristine)
        self.found = recognition.recognise(source, pristine)
        self.texts = {index: cell.source for index, cell in enumerate(self.cells)}
        self.above = {}  # index -> lines of the cell above its text
        self.loose, self.dropped, self.changes = {}, set(), []
        self.inside = {}  # locked cell -> the cell that it was merged into

    def result(self):
        self._separate_locked()
        self._find_answers()
        self._join_halves()
        placed, seen = [], set()
        for index, cell in enumerate(self.cells):
            if index in self.dropped:
                continue
            name, how = self.found.get(index, (None, None))
            placed += self._placed(index, cell, name, how, seen)
            seen.add(name)
        self._put_back(placed, seen)
        return placed, self.changes

    def _say(self, kind, name, index=None):
        self.changes.append(Deviation(kind, name, index))

    def _placed(self, index, cell, name, how, seen):
        """The cell as it is to run, in a list; an empty one where it is left out."""
        original = self.originals.get(name)
        if original is None:
            if notebooks.is_test(cell):
                self._say("added", notebooks.grade_id(cell), index)
            return [Placed(self._text(index, _with_grading_of(cell, None)), index)]
        if notebooks.is_locked(original):
            if name in seen:
                self._say("copied", name, index)
                return []
            if how != "metadata":
                self._say(how, name, index)
            if not _same(cell, original, how):
                self._say("edited", name, index)
            return [Placed(original, index)]
        if how != "metadata":
            self._say(how, name, index)
        if name in seen:
            self._say_of_parts(name, index)
        if cell.cell_type != original.cell_type:
            self._say("type", name, index)
            cell = _of_type(cell, original)
        return [Placed(self._text(index, _with_grading_of(cell, original)), index, self.above.get(index, 0))]

    def _text(self, index, cell):
        if cell.source != self.texts[index]:
            cell = copy.deepcopy(cell)
            cell.source = self.texts[index]
        return cell

    def _say_of_parts(self, name, index):
        earlier = {one for place in self._holders(name) if place < index for one in self._defined(place)}
        self._say("again" if earlier & self._defined(index) else "split", name, index)

    def _defined(self, index):
        return recognition.definitions(self.texts[index])

    def _holders(self, name):
        return [place for place, (one, _) in self.found.items() if one == name and place not in self.dropped]

    def _is_locked(self, name):
        return name in self.originals and notebooks.is_locked(self.originals[name])

    def _separate_locked(self):
        """Take the text of locked cells out of the cells that they were merged into."""
        held = {name for name, _ in self.found.values()}
        gone = [name for name, cell in self.originals.items() if notebooks.is_locked(cell) and name not in held]
        for index, cell in enumerate(self.cells):
            own = self.found.get(index, (None, None))[0]
            is_edited = self._is_locked(own) and not _same(cell, self.originals[own], "id")
            if self._is_locked(own) and not is_edited:
                continue
            for name in [*([own] if is_edited else []), *gone]:
                rest = recognition.cut(self.texts[index], self.originals[name].source)
                if rest is None:
                    continue
                self.texts[index] = rest
                if name != own:
                    gone.remove(name)
                    self.inside[name] = index
                    self._say("merged", name, index)

    def _find_answers(self):
        """Find the answers that have no cell, or only an unwritten one, in other cells."""
        unwritten = {index for index, (name, _) in self.found.items() if self._is_unwritten(index, name)}
        written = {name for index, (name, _) in self.found.items() if index not in unwritten}
        wanted = self.answers.defines.keys() - written
        stood = dict(self.found)
        again = {}
        for index, cell in enumerate(self.cells):
            own = self.found.get(index, (None, None))[0]
            host = own if own in self.answers.defines and index not in unwritten else None
            locked = self._is_locked(own)
            if index in unwritten or (own and not host and not locked) or notebooks.is_measure(cell):
                continue
            if locked and self.texts[index] == cell.source and _same(cell, self.originals[own], "id"):
                continue
            names = self.answers.within(self.texts[index], wanted)
            if not names:
                if own is None and cell.cell_type == "code":
                    again.update(dict.fromkeys(self.answers.within(self.texts[index], written), index))
                continue
            if own is None and len(names) == 1 and self._is_in_place(index, names[0], stood):
                self.found[index] = (names[0], "names")
                continue
            for part in self.answers.parts(self.texts[index], wanted, host):
                if part.grade_id == host:
                    self.texts[index], self.above[index] = part.source, part.line
                else:
                    self._take(part, index)
            if own is None:
                self.dropped.add(index)
        elsewhere = self.loose.keys() | {name for name, how in self.found.values() if how == "names"}
        counts = {name: len(self._holders(name)) for name, _ in self.found.values()}
        for index in unwritten:
            name = self.found[index][0]
            if name in elsewhere or counts[name] > len([one for one in unwritten if self.found[one][0] == name]):
                self.dropped.add(index)
        for name, index in again.items():
            if min(self._holders(name), default=index) < index:
                self._say("again", name, index)
        self.found = dict(sorted(self.found.items()))

    def _is_unwritten(self, index, name):
        return name in self.answers.defines and recognition.is_unwritten(self.cells[index], self.originals[name])

    def _is_in_place(self, index, name, stood):
        """Whether a cell stands between the cells that stand around the answer `name` in the notebook."""
        number = self.answers.order.index(name)
        before, after = {*self.answers.order[: number + 1]}, {*self.answers.order[number + 1 :]}
        places = {True: [], False: []}
        for place, (one, _) in stood.items():
            if one in before or one in after:
                places[one in before].append(place)
        return max(places[True], default=-1) < index < min(places[False], default=len(self.cells))

    def _take(self, part, index):
        kind = "again" if part.grade_id in self.loose else "pasted"
        self._say(kind, part.grade_id, index)
        cell = _with_grading_of(_of_type(self.cells[index], self.originals[part.grade_id]), None)
        cell.source = part.source
        cell = _with_grading_of(cell, self.originals[part.grade_id])
        self.loose.setdefault(part.grade_id, []).append(Placed(cell, index, part.line))

    def _join_halves(self):
        """Join two cells of one answer, one below the other, that are code only together."""
        for index in range(len(self.cells) - 1):
            name = self.found.get(index, (None, None))[0]
            if name not in self.answers.defines or self.found.get(index + 1, (None, None))[0] != name:
                continue
            halves = [self.texts[index], self.texts[index + 1]]
            joined = "\n".join(halves)
            if None in map(syntax.parsed, halves) and syntax.parsed(joined) is not None:
                self.texts[index] = joined
                self.dropped.add(index + 1)
                self._say("split", name, index + 1)

    def _put_back(self, placed, seen):
        """Insert what is missing from `placed`, each cell after the one that it used to follow."""
        position = 0
        for cell in self.pristine.cells:
            name = notebooks.grade_id(cell)
            found = next((number for number, other in enumerate(placed) if _is_at(other.cell, cell, name)), None)
            if name in self.loose:
                position = position if found is None else found + 1
                placed[position:position] = self.loose[name]
                position += len(self.loose[name])
            elif found is not None:
                position = found + 1
                while name and position < len(placed) and notebooks.grade_id(placed[position].cell) == name:
                    position += 1
            elif name not in seen and notebooks.is_locked(cell):
                placed.insert(position, Placed(cell, self.inside.get(name)))
                position += 1
                if name not in self.inside:
                    self._say("deleted", name)
            elif notebooks.is_solution(cell) or notebooks.is_written(cell):
                self._say("missing", name)


def _is_at(cell, original, name):
    return notebooks.grade_id(cell) == name if name else cell.id == original.id


def _same(cell, original, how):
    """Whether two cells say the same; what tools add to the metadata is theirs.

    how: the cell was recognised. Without its metadata it cannot differ in them.
    """
    theirs, ours = notebooks.grading(cell), notebooks.grading(original)
    return (
        cell.cell_type == original.cell_type
        and (how != "metadata" or all(theirs.get(key) == ours.get(key) for key in KEYS))
        and recognition.says_the_same(cell, original)
    )


def _of_type(cell, original):
    """`cell` with the type of `original`."""
    from nbformat import v4

    if cell.cell_type == original.cell_type:
        return copy.deepcopy(cell)
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}
    return make[original.cell_type](cell.source, id=cell.id, metadata=copy.deepcopy(cell.metadata))


def _with_grading_of(cell, original):
    """`cell` with the nbgrader metadata of `original`, or with none where the notebook never had such a cell."""
    cell = copy.deepcopy(cell)
    cell.metadata.pop("nbgrader", None)
    if original is not None:
        cell.metadata["nbgrader"] = copy.deepcopy(notebooks.grading(original))
    return cell
