"""The pristine notebooks of a workspace: what `tito init` put there, before anybody edited anything.

They are the authority on which cells are locked, what those cells say, and which cell answers which question.
`.tito/stubs/` holds them with a manifest of their hashes.
"""

import copy
import json
from dataclasses import dataclass, replace

from tito.errors import ProjectError, WorkError
from tito.services import notebooks
from tito.services.files import atomic_write, digest

SCHEMA = 1


# what can have become of a cell that was handed out, in words for a person
WORDS = {
    "edited": "cell {number} ({grade_id}) was edited; it ran as it was handed out",
    "deleted": "the locked cell {grade_id} was deleted; it ran as it was handed out",
    "copied": "cell {number} ({grade_id}) is a copy of an earlier locked cell; it was left out",
    "added": "cell {number} ({grade_id}) is not a cell of this notebook; it earns no points",
    "moved": "the test {grade_id} was moved; it ran where it was handed out",
}


@dataclass(frozen=True)
class Placed:
    """A cell to run, and its index in the student's file; None where it was put back because it was deleted."""

    cell: dict
    index: int | None


@dataclass(frozen=True)
class Change:
    """What was not as it was handed out. kind: of WORDS; index: of the cell in the student's file, None where it is
    not there.
    """

    kind: str
    grade_id: str
    index: int | None = None


def in_words(change):
    """A Change as a sentence for a person."""
    number = None if change.index is None else change.index + 1
    return WORDS[change.kind].format(number=number, grade_id=change.grade_id)


def stub_path(project, module):
    return project.stubs / f"{module.name}.ipynb"


def write_manifest(project, modules):
    """Record the hashes of the stubs of `modules`, as they are on disk."""
    manifest = {
        "schema": SCHEMA,
        "course_version": project.version,
        "notebooks": {
            module.name: {"sha256": digest(stub_path(project, module).read_bytes())} for module in modules
        },
    }
    atomic_write(project.stubs / "manifest.json", json.dumps(manifest, indent=2) + "\n")


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
    path = project.stubs / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return manifest["notebooks"][module.name]["sha256"]
    except OSError:
        raise _not_in_order(f"{project.relative(path)} is missing") from None
    except (ValueError, KeyError, TypeError):
        raise _not_in_order(f"{project.relative(path)} has no hash for {module.name}") from None


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
    """The source of `module` as it counts: the student's file with every locked cell as it was handed out."""
    source = notebooks.load(project, module.source(project))
    pristine, _ = read_pristine(project, module)
    if pristine is None:
        return source
    placed, _ = restore(source, pristine)
    node = copy.copy(source.node)
    node.cells = [one.cell for one in placed]
    return replace(source, node=node)


def restore(source, pristine):
    """([Placed], [Change]): the cells of `source` as they are to run, and what was not as it was handed out.

    Locked cells that were edited or deleted come from `pristine`; a copy of a locked cell after the first, and a
    graded cell that the notebook never had, do not count. Without `pristine` (None) only copies are dropped.
    """
    originals = {notebooks.grade_id(cell): cell for cell in pristine.cells} if pristine else {}
    placed, changes, seen = [], [], set()
    for index, cell in enumerate(source.node.cells):
        name = notebooks.grade_id(cell)
        original = originals.get(name) if name else None
        locked = notebooks.is_locked(original if original is not None else cell)
        if name and locked and name in seen:
            changes.append(Change("copied", name, index))
            continue
        seen.add(name)
        if original is not None and locked:
            if not _same(cell, original):
                changes.append(Change("edited", name, index))
            cell = original
        elif pristine and notebooks.grading(cell):
            if original is None and notebooks.is_test(cell):
                changes.append(Change("added", name, index))
            cell = _with_grading_of(cell, original)
        placed.append(Placed(cell, index))
    if pristine:
        changes += _put_back(placed, pristine, seen)
    return placed, changes


def _same(cell, original):
    """Whether two cells say the same; spaces at the ends of lines are a matter of the editor."""
    return (
        cell.cell_type == original.cell_type
        and notebooks.grading(cell) == notebooks.grading(original)
        and _lines(cell.source) == _lines(original.source)
    )


def _lines(source):
    return [line.rstrip() for line in source.strip().splitlines()]


def _with_grading_of(cell, original):
    """`cell` with the nbgrader metadata of `original`, or with none where the notebook never had such a cell."""
    cell = copy.deepcopy(cell)
    cell.metadata.pop("nbgrader", None)
    if original is not None:
        cell.metadata["nbgrader"] = notebooks.grading(original)
    return cell


def _put_back(placed, pristine, seen):
    """Insert the locked cells that are missing from `placed`, each after the cell that it used to follow."""
    changes = []
    position = 0
    for cell in pristine.cells:
        found = next((number for number, other in enumerate(placed) if other.cell.id == cell.id), None)
        if found is not None:
            position = found + 1
        elif notebooks.is_locked(cell) and notebooks.grade_id(cell) not in seen:
            placed.insert(position, Placed(cell, None))
            position += 1
            changes.append(Change("deleted", notebooks.grade_id(cell)))
    return changes
