"""What is wrong with a module's source, cell by cell: every problem, in the order of the file.

`export_problems` is what export refuses, in the course and in a student's notebook. `check` adds the conventions that
only a percent source of the course has to follow, and `unfinished` what the modules of this course hold besides.
"""

import ast
import builtins
import re
from dataclasses import dataclass
from functools import partial

from tito.errors import WorkError
from tito.services import conventions, syntax
from tito.services.notebooks import code_cells, exported_definitions, grade_id, is_exported, where

DIRECTIVE = re.compile(r"#\|\s*(?P<name>\w+)\s*(?P<value>.*?)\s*")
EXPORT_SOMEWHERE = re.compile(r"^#\|\s*export", re.MULTILINE)
OUTSIDE_THE_COURSE = ("tito", "tests", "milestones")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a source, and where as a person finds it."""

    where: str
    message: str


def export_problems(source, module, catalog):
    """What export refuses."""
    return _problems(source, module, (partial(_imports, catalog=catalog), *EXPORT_RULES))


def require_futures_in_place(source, module):
    """Raise WorkError for a `from __future__` that a notebook runs and its export could not: said before points are."""
    problems = _problems(source, module, (_futures_in_place,))
    if problems:
        raise WorkError(
            "\n".join(f"{problem.where}: {problem.message}" for problem in problems),
            f"change the cell, save it, then: tito module test {module.name}",
            code="not-exportable",
            data=problems,
        )


def check(source, module, catalog):
    """Every breach of the conventions of a percent source."""
    return _problems(source, module, (partial(_imports, catalog=catalog), *EXPORT_RULES, *conventions.RULES))


def unfinished(source, module):
    """What a module of this course lacks, although its source is in order."""
    return _problems(source, module, conventions.COURSE_RULES)


def _problems(source, module, rules):
    """Run the rules; each yields (cell index, line in the cell or None, message)."""
    found = {finding for rule in rules for finding in rule(source, module)}
    ordered = sorted(found, key=lambda finding: (finding[0], finding[1] or 0, finding[2]))
    return [Problem(where(source, index, line), message) for index, line, message in ordered]


def _directives(source, module):
    targets = []
    for index, cell in code_cells(source.node):
        for number, line in enumerate(cell.source.split("\n"), 1):
            directive = DIRECTIVE.fullmatch(line)
            if directive is None:
                continue
            name, value = directive["name"], directive["value"]
            if name == "default_exp":
                targets.append(value)
                if value != f"core.{module.short}":
                    yield index, number, f"default_exp is {value!r}; module {module.name} exports core.{module.short}"
                elif len(targets) > 1:
                    yield index, number, "default_exp stands here a second time"
            elif name.startswith("export") and (name != "export" or value):
                yield index, number, f"only a plain #| export is understood, not {line.strip()!r}"
            elif name == "export" and number != 1:
                yield index, number, "#| export has to be the first line of its cell"
    if not targets:
        yield 0, None, f"no cell holds the line: #| default_exp core.{module.short}"
    if not any(is_exported(cell) for _, cell in code_cells(source.node)):
        yield 0, None, "no cell starts with #| export, so that there is nothing to export"


def _exported_syntax(source, module):
    for index, cell in code_cells(source.node):
        if is_exported(cell) and (mistake := syntax.mistake(cell.source)):
            yield index, *mistake


def _futures_in_place(source, module):
    """A cell of imports goes to the top of the file; the code of any other cell cannot take such an import along."""
    for index, cell in code_cells(source.node):
        tree = syntax.parsed(cell.source) if is_exported(cell) else None
        if tree is None or syntax.only_imports(tree):
            continue
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                names = ", ".join(alias.name for alias in node.names)
                yield (
                    index,
                    node.lineno,
                    f"from __future__ import {names} stands with other code in a cell that is exported, but a file can "
                    "have it at its top only: put it into a cell of its own, with #| export, or leave it out",
                )


def names_left_behind(source, module):
    """Problems of exported code with names that only cells without `#| export` define."""
    return _problems(source, module, (_names_come_along,))


def _names_come_along(source, module):
    """What exported code reads is exported as well: a helper in a cell of the student's own is easily left behind."""
    exported, elsewhere, readers = set(), {}, {}
    for index, cell in code_cells(source.node):
        if syntax.parsed(cell.source) is None:
            continue
        bound, needed = syntax.bound_and_needed(cell.source)
        if is_exported(cell):
            exported |= bound
            readers.update(dict.fromkeys(needed, grade_id(cell) or f"cell {index + 1}"))
        elif not EXPORT_SOMEWHERE.search(cell.source):  # another rule speaks of that
            elsewhere.update(dict.fromkeys(bound, index))
    for name in readers.keys() & elsewhere.keys() - exported:
        if not hasattr(builtins, name):
            yield (
                elsewhere[name],
                None,
                f"{name} is defined here, in a cell that is not exported, and {readers[name]} uses it, which is: "
                "make `#| export` the first line of this cell",
            )


def _imports(source, module, catalog):
    needed = {other.short for other in catalog.prerequisites(module)}
    others = {other.short: other.name for other in catalog if other.short not in needed}
    for index, cell in code_cells(source.node):
        tree = syntax.parsed(cell.source)
        for imported in syntax.imports(tree) if tree else []:
            reason = _import_reason(imported, module, others)
            if reason:
                yield index, imported.line, reason


def _import_reason(imported, module, others):
    parts = imported.name.split(".")
    if imported.is_star:
        return f"star import from {imported.name}: name what is needed"
    if parts[0] in OUTSIDE_THE_COURSE:
        return f"imports {parts[0]}, which is no part of the course's package"
    if parts[:2] != ["tinytorch", "core"] or len(parts) < 3:
        return None
    if parts[2] == module.short:
        return f"imports its own export, tinytorch.core.{module.short}: use the names of the notebook"
    if parts[2] in others:
        return f"imports tinytorch.core.{parts[2]}, but {others[parts[2]]} is no prerequisite of {module.name}"
    return None


def _defined_once(source, module):
    first = {}
    for index, name, line, statement in exported_definitions(source.node):
        earlier, place = first.setdefault(name, (statement, where(source, index, line)))
        if earlier is not statement and name != "_":
            yield index, line, f"{name} is defined a second time; first in {place}"


def _markers_balance(source, module):
    for index, cell in enumerate(source.node.cells):
        for kind in syntax.REGION_KINDS:
            try:
                syntax.regions(cell.source, kind)
            except syntax.MarkerError as error:
                yield index, error.line, str(error)


def _grade_ids_unique(source, module):
    first = {}
    for index, cell in enumerate(source.node.cells):
        name = grade_id(cell)
        if name and first.setdefault(name, index) != index:
            if source.starts is None:
                cells = f"cells {first[name] + 1} and {index + 1} are one cell ({name}) that was split or copied"
                yield index, None, f"{cells}: merge them (Shift+M) or delete one"
            else:
                yield index, None, f"grade_id {name!r} is taken by {where(source, first[name])}"


EXPORT_RULES = (
    _directives,
    _exported_syntax,
    _futures_in_place,
    _names_come_along,
    _defined_once,
    _markers_balance,
    _grade_ids_unique,
)
