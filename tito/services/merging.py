"""A student's notebook and a new version of the course's, merged cell by cell.

Three ways: what the course handed out before, what it hands out now, and what the student made of it. Nothing that the
student wrote is lost: where both changed the same cell, both stand in the result.
"""

import copy
import difflib
import re
from dataclasses import dataclass

from tito.services import notebooks, recognition
from tito.services.module_text import YOURS_LINE

# what can become of a cell
REPLACED, ADDED, REMOVED = "replaced", "added", "removed"
ANSWER_KEPT = "answer kept, the new stub stands below it"
TEXT_BELOW = "replaced, what you had made of it stands below it"
OWN_NOW = "gone from the course, yours stays as a cell of your own"


@dataclass(frozen=True)
class CellChange:
    """What becomes of a cell. name: its grade_id, or the beginning of its text."""

    what: str
    name: str


def merge(source, base, new, version):
    """(the merged notebook, [CellChange]).

    source: the student's, as a notebooks.Source; base, new: the notebooks as handed out before and now. version: of
    the course, for what is written into the notebook.
    """
    return _Merge(source, base, new, version).result()


class _Merge:
    def __init__(self, source, base, new, version):
        self.mine, self.new, self.version = source.node, new, version
        self.old = {cell.id: cell for cell in base.cells}
        self.known = {cell.id for cell in new.cells}
        self.keys = _keys(source, base)
        self.own, self.after = {}, {None: []}  # {id: the student's cell}; {id: what follows it and is no cell of new}
        self.changes = []

    def result(self):
        anchor = None
        for index, cell in enumerate(self.mine.cells):
            key = self.keys.get(index)
            if key in self.known and key not in self.own:
                self.own[key], anchor = cell, key
            elif not self._is_dropped(key, cell):
                self.after.setdefault(anchor, []).append(self._apart(key, cell))
        node = copy.deepcopy(self.mine)
        node.cells = list(self.after[None])
        for cell in self.new.cells:
            node.cells += self._merged(cell) + self.after.get(cell.id, [])
        _make_ids_unique(node)
        return node, self.changes

    def _say(self, what, cell):
        self.changes.append(CellChange(what, notebooks.grade_id(cell) or _beginning(cell)))

    def _is_dropped(self, key, cell):
        """Whether the course has dropped a cell, and the student had left it alone."""
        if key in self.known or key not in self.old or not _same(cell, self.old[key]):
            return False
        self._say(REMOVED, cell)
        return True

    def _apart(self, key, cell):
        """A cell that is not in the new notebook: the student's own, or an answer to what is no longer asked."""
        if key is None or key in self.known:
            return cell
        self._say(OWN_NOW, self.old[key])
        cell = copy.deepcopy(cell)
        for name in ("nbgrader", "tinytorch"):
            cell.metadata.pop(name, None)
        return cell

    def _merged(self, new):
        """The cells of the result for a cell of the new notebook."""
        old, mine = self.old.get(new.id), self.own.get(new.id)
        if old is None:
            self._say(ADDED, new)
            return [new]
        if _same(old, new):
            return [_with_metadata_of(new, mine)] if mine is not None else []  # what the student deleted stays deleted
        if mine is None or _same(mine, old):
            self._say(REPLACED, new)
            return [new]
        if notebooks.is_solution(new) or notebooks.is_written(new):
            self._say(ANSWER_KEPT, new)
            return [_with_metadata_of(new, mine), self._new_stub(old, new)]
        self._say(TEXT_BELOW, new)
        return [new, _note(f"What you had made of the cell above, before version {self.version} changed it:", mine)]

    def _new_stub(self, old, new):
        lines = difflib.unified_diff(old.source.split("\n"), new.source.split("\n"), "before", "now", lineterm="")
        words = (
            f"Version {self.version} of the course changed the cell above; your answer is as you wrote it. It is now:"
        )
        return _note(words, new, "\n".join(lines))


def _note(words, cell, difference=""):
    from nbformat import v4

    shown = _fenced(cell.source, "python" if cell.cell_type == "code" else "")
    parts = [f"**{words}**", shown, *([_fenced(difference, "diff")] if difference else [])]
    return v4.new_markdown_cell("\n\n".join(parts))


def _fenced(text, language):
    """`text` as a block of code in Markdown, whatever it holds."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _keys(source, base):
    """{index of a student's cell: id of the cell that it was handed out as}."""
    ids = {notebooks.grade_id(cell): cell.id for cell in base.cells if notebooks.grade_id(cell)}
    keys = {index: ids[name] for index, (name, _) in recognition.recognise(source, base).items() if name in ids}
    free = {cell.id: cell for cell in base.cells if cell.id not in set(keys.values()) and not notebooks.grade_id(cell)}
    rest = [index for index in range(len(source.node.cells)) if index not in keys]
    for index in rest:
        if (name := source.ids[index]) in free:
            keys[index] = name
            del free[name]
    for index in rest:  # an editor may give new ids
        alike = [name for name, cell in free.items() if index not in keys and _same(cell, source.node.cells[index])]
        if alike:
            keys[index] = alike[0]
            del free[alike[0]]
    return keys


def _same(one, other):
    return one.cell_type == other.cell_type and _text(one) == _text(other)


def _text(cell):
    """What is compared: not the comment that says what an answer is worth, and no white space at ends of lines."""
    lines = [line.rstrip() for line in cell.source.strip().split("\n")]
    return [line for line in lines if not YOURS_LINE.fullmatch(line)]


def _with_metadata_of(new, mine):
    cell = copy.deepcopy(mine)
    cell.id = new.id  # by which the next update finds it
    for name in ("nbgrader", "tinytorch"):
        cell.metadata.pop(name, None)
        if name in new.metadata:
            cell.metadata[name] = copy.deepcopy(new.metadata[name])
    return cell


def _beginning(cell):
    line = cell.source.strip().partition("\n")[0]
    return line if len(line) <= 60 else line[:59] + "…"


def _make_ids_unique(node):
    taken = set()
    for position, cell in enumerate(node.cells):
        if cell.get("id") in taken:
            node.cells[position] = cell = copy.deepcopy(cell)
            number = 2
            while (name := f"{cell.id[:60]}-{number}") in taken:
                number += 1
            cell.id = name
        taken.add(cell.get("id"))
