"""Which cell of a student's file is which cell of the notebook that was handed out.

Editors drop metadata; people split, copy, merge and paste cells. A cell is recognised by its nbgrader metadata, else by
its id, a locked one by its text, an answer by what it defines, and an answer in words by its place: never two cells
for one original, but for answers whose metadata two cells share.
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from tito.services import notebooks, syntax

DEFINITION = re.compile(r"^(async def|def|class) +(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """Lines of a cell that belong to one answer. line: how many lines of the cell stand above the first of them."""

    grade_id: str
    source: str
    line: int


def lines(source):
    """The lines that count; spaces at their ends are a matter of the editor."""
    return [line.rstrip() for line in source.strip().splitlines()]


def recognise(source, pristine):
    """{index: (grade_id, how)} of the cells of `source` that are cells of `pristine`.

    how: "metadata", "id", "text" or "place". What a cell defines is another question, asked by `answers_in`.
    """
    cells = source.node.cells
    originals = {name: cell for cell in pristine.cells if (name := notebooks.grade_id(cell))}
    found = {}
    for index, cell in enumerate(cells):
        if notebooks.grade_id(cell) in originals:
            found[index] = (notebooks.grade_id(cell), "metadata")
    taken = {name for name, _ in found.values()}

    def claim(index, name, how):
        if index not in found and name not in taken:
            taken.add(name)
            found[index] = (name, how)

    by_id = {cell.id: name for name, cell in originals.items()}
    ids = Counter(source.ids)
    for index, own in enumerate(source.ids):
        if own in by_id and ids[own] == 1:
            claim(index, by_id[own], "id")
    for name, original in originals.items():
        if name not in taken and notebooks.is_locked(original) and lines(original.source):
            for index, cell in enumerate(cells):
                if index not in found and cell.cell_type == original.cell_type and says_the_same(cell, original):
                    claim(index, name, "text")
                    break
    _claim_written(cells, pristine, found, claim)
    return dict(sorted(found.items()))


def says_the_same(cell, original):
    return lines(cell.source) == lines(original.source)


def _claim_written(cells, pristine, found, claim):
    """An answer in words is the Markdown cell below the cell that it was handed out below."""
    above = None
    for original in pristine.cells:
        name = notebooks.grade_id(original)
        if notebooks.is_written(original) and above:
            place = next((index + 1 for index, (one, _) in found.items() if one == above), len(cells))
            if place < len(cells) and cells[place].cell_type == "markdown":
                claim(place, name, "place")
        above = name


def is_unwritten(cell, original):
    """An answer as it was handed out, or blank: no answer where another cell has one."""
    return not lines(cell.source) or ("NotImplementedError" in cell.source and says_the_same(cell, original))


class Answers:
    """The answers of a notebook, known by the functions and classes that only one of its cells defines."""

    def __init__(self, pristine):
        defined = Counter(one for cell in pristine.cells if cell.cell_type == "code" for one in _defined(cell.source))
        self.order = [notebooks.grade_id(cell) for cell in pristine.cells]
        self.defines = {
            notebooks.grade_id(cell): {one for one in _defined(cell.source) if defined[one] == 1}
            for cell in pristine.cells
            if notebooks.is_solution(cell) and cell.cell_type == "code"
        }

    def within(self, source, wanted):
        """The answers among `wanted` that `source` defines, in the order of the notebook."""
        found = _defined(source)
        return [name for name in self.order if name in wanted and self.defines.get(name, set()) & found]

    def parts(self, source, wanted, host=None):
        """`source` as Parts, one for each answer of `wanted` that it defines, and one for `host`, if any.

        Every line keeps its number. What defines none of them goes with the host; without one, imports and helpers go
        with the answer that comes first in the notebook, and other statements with the definition above them.
        """
        names = self.within(source, wanted)
        tree = syntax.parsed(source)
        if tree is None or not names:
            owner = host or (names[0] if len(names) == 1 else None)
            return [_part(owner, source, None)] if owner else []
        owners, last = {}, 0
        above = host or names[0]
        for statement in tree.body:
            own = next((name for name in names if self.defines[name] & _defined_by(statement)), None)
            if own:
                above = host or own
            elif host:
                own = host
            else:
                own = names[0] if _is_definition(statement) else above
            for number in range(last + 1, statement.end_lineno + 1):
                owners.setdefault(number, own)
            last = max(last, statement.end_lineno)
        everybody = dict.fromkeys([*([host] if host else []), *names])
        return [_part(name, source, {number for number in owners if owners[number] == name}) for name in everybody]


def _part(name, source, kept):
    text = source.split("\n")
    if kept is not None:
        text = [line if number in kept else "" for number, line in enumerate(text, 1)]
    above = next((number for number, line in enumerate(text) if line.strip()), 0)
    return Piece(name, "\n".join(text[above:]).rstrip(), above)


def cut(source, block):
    """`source` with the lines of `block` blank where they stand in it one after the other, else None."""
    text, wanted = source.split("\n"), lines(block)
    bare = [line.rstrip() for line in text]
    for start in range(len(bare) - len(wanted) + 1 if wanted else 0):
        if bare[start : start + len(wanted)] == wanted:
            return "\n".join([*text[:start], *[""] * len(wanted), *text[start + len(wanted) :]])
    return None


def definitions(source):
    """The functions and classes that the top level of `source` defines, as (kind, name)."""
    return _defined(source)


def without(source, names):
    """`source` without the lines of the functions and classes `names`, (kind, name) each."""
    tree = syntax.parsed(source)
    text = source.split("\n")
    for statement in tree.body if tree else []:
        if _defined_by(statement) & names:
            first = min([statement.lineno, *(one.lineno for one in statement.decorator_list)])
            text[first - 1 : statement.end_lineno] = [""] * (statement.end_lineno - first + 1)
    return "\n".join(text).strip("\n")


@lru_cache(maxsize=2048)  # the cells that were handed out are asked for again with every submission
def _defined(source):
    tree = syntax.parsed(source)
    if tree is None:
        found = DEFINITION.findall(source)
        return frozenset(("class" if kind == "class" else "def", name) for kind, name in found)
    return frozenset(one for statement in tree.body for one in _defined_by(statement))


def _defined_by(statement):
    if isinstance(statement, ast.ClassDef):
        return {("class", statement.name)}
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {("def", statement.name)}
    return set()


def _is_definition(statement):
    return isinstance(statement, (ast.Import, ast.ImportFrom)) or bool(_defined_by(statement))
