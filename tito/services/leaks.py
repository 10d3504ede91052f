"""Is an answer in what is handed out? Every statement of a solution or a hidden test, and every hint, is looked for in
every text file; of the file of hints, where hints belong, the rest.

Statements are compared without white space, line breaks, comment signs, parentheses, trailing commas and the kind of
quotes, so that a formatter or a comment sign does not hide one. A statement of fewer than 25 characters, and one that
provided code holds too, is no secret.
"""

import ast
import io
import json
import re
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tito.errors import ProjectError, WorkError
from tito.services import syntax
from tito.services.notebooks import hints, is_solution, is_test, is_written, load, where

SHORTEST = 25
UNCOMPARED = r"\\\n|[\s#()]|,(?=\s*[)\]}])"
COMPARED = re.compile(rf"(?!{UNCOMPARED})[\s\S]")
UNCOMPARED = re.compile(UNCOMPARED)
JSON_FILES = (".ipynb", ".json")
HINTS = ".tito/hints.json"  # of a workspace


@dataclass(frozen=True)
class Secrets:
    """origins: {normalised statement: where the course has it}; hints: those of them that are hints."""

    origins: dict[str, str]
    hints: frozenset = frozenset()

    @cached_property
    def opening(self):
        """The length of the shortest secret: how much of each decides whether a text is searched for it."""
        return min(map(len, self.origins), default=1)

    @cached_property
    def by_opening(self):
        """{how it begins: [secrets]}."""
        found = {}
        for statement in self.origins:
            found.setdefault(statement[: self.opening], []).append(statement)
        return found

    def worth_looking_for(self, compared):
        """The secrets whose beginning is in the normalised text `compared`: few, where there are thousands."""
        length = self.opening
        pieces = {compared[start : start + length] for start in range(len(compared) - length + 1)}
        return [one for begin in self.by_opening.keys() & pieces for one in self.by_opening[begin]]


@dataclass(frozen=True)
class Leak:
    """A secret in a file. path: below the scanned folder, with the cell of a notebook; line: of the file or cell."""

    path: str
    line: int
    statement: str
    origin: str


def secrets(project, catalog):
    """What nothing handed to students may hold. Only the course repository knows it."""
    if not project.is_course:
        raise ProjectError("a workspace holds no solutions to look for", "run this in the course repository")
    origins, hinted, provided = {}, set(), []
    for module in catalog:
        source = load(project, module.source(project))
        for index, cell in enumerate(source.node.cells):
            found = _secret_regions(source, index)
            for line, text in _secret_texts(source, index, found):
                origins.setdefault(normalised(text), where(source, index, line))
                hinted.discard(normalised(text))
            for hint in hints(cell):
                if len(normalised(hint)) >= SHORTEST:
                    if normalised(hint) not in origins:  # what is also an answer is a secret everywhere
                        hinted.add(normalised(hint))
                    origins.setdefault(normalised(hint), where(source, index))
            if cell.cell_type == "code":
                provided.append(normalised("\n".join(syntax.lines_outside(cell.source, found))))
    given = "\n".join(provided)
    kept = {statement: origin for statement, origin in origins.items() if statement not in given}
    return Secrets(kept, frozenset(hinted))


def scan(folder, secrets):
    """Every secret in every text file below `folder`, hidden files included, and in every cell of its notebooks."""
    leaks = []
    for path in sorted(Path(folder).rglob("*")):
        data = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" in data:  # no text
            continue
        name = path.relative_to(folder).as_posix()
        allowed = secrets.hints if name == HINTS else ()
        for place, text in _texts(path, data.decode("utf-8", "replace")):
            found = sorted(finding for finding in _find(text, secrets) if finding[1] not in allowed)
            leaks += [Leak(name + place, *finding) for finding in found]
    return leaks


def normalised(text):
    """`text` as it is compared."""
    return UNCOMPARED.sub("", text).replace("'", '"')


def _find(text, secrets):
    """(line, statement, origin) of every secret in `text`."""
    compared = normalised(text)
    for statement in secrets.worth_looking_for(compared):
        position = compared.find(statement)
        if position >= 0:
            offset = [match.start() for match in COMPARED.finditer(text)][position]
            yield text.count("\n", 0, offset) + 1, statement, secrets.origins[statement]


# What is in a file.


def _texts(path, text):
    """(place in the file, text) for each text that the file holds: one, or one for every string of a JSON document."""
    if path.suffix not in JSON_FILES:
        return [("", text)]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return [("", text)]
    cells = document.pop("cells", []) if isinstance(document, dict) else []
    places = [(f", cell {number}", cell) for number, cell in enumerate(cells, 1)]
    return [(place, string) for place, value in [*places, ("", document)] for string in _strings(value)]


def _strings(value):
    """The strings of a decoded JSON value; a list of strings is one text, as notebooks store it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


# What is secret.


def _secret_regions(source, index):
    cell = source.node.cells[index]
    kind = syntax.HIDDEN_TESTS if is_test(cell) else syntax.SOLUTION if is_solution(cell) or is_written(cell) else None
    try:
        return syntax.regions(cell.source, kind) if kind else []
    except syntax.MarkerError as error:
        raise WorkError(f"{where(source, index, error.line)}: {error}", "fix the cell", code="markers") from error


def _secret_texts(source, index, found):
    """(line, text) of what is long enough to be a secret in the regions `found` of a cell."""
    cell = source.node.cells[index]
    if not found:
        return []
    if cell.cell_type != "code":
        texts = enumerate(cell.source.split("\n"), 1)
    elif mistake := syntax.mistake(cell.source):
        raise WorkError(f"{where(source, index, mistake[0])}: {mistake[1]}", "fix the cell")
    else:
        texts = [*_statements(cell.source), *_comments(cell.source)]
    return [
        (line, text)
        for line, text in texts
        if any(begin < line < end for begin, end in found) and len("".join(text.split())) >= SHORTEST
    ]


def _statements(code):
    """(line, text) of every statement, simple ones whole, compound ones up to their body. Where a comment stands
    inside, the text comes a second time without it.
    """
    lines = [line.encode("utf-8") for line in code.split("\n")]  # AST columns count bytes
    for node in ast.walk(syntax.parse(code)):
        if not isinstance(node, (ast.stmt, ast.excepthandler)):
            continue
        end = (node.end_lineno, node.end_col_offset)
        if getattr(node, "body", None):
            end = _start(node.body[0])
        line, column = _start(node)
        text = b"\n".join([*lines[line - 1 : end[0] - 1], lines[end[0] - 1][: end[1]]])[column:].decode("utf-8")
        yield line, text
        if "#" in text:
            yield line, re.sub(r"#.*", "", text)


def _start(node):
    decorators = getattr(node, "decorator_list", [])
    return (decorators[0].lineno, 0) if decorators else (node.lineno, node.col_offset)


def _comments(code):
    """(line, text) of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
