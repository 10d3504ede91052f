"""The hostile corpus: submissions that try something, each with what it must come to.

An entry is a Python file in `tests/grading/hostile/` of the course repository. Its docstring says what is tried; a
comment block `# /// attack` holds TOML:

    module = "02"                  whose reference answers the submission is made of
    status = ["graded"]            of the submission, one of these
    loses = ["relu", "module"]     questions, or single tests, that earn nothing; "module" is the test of the module
    waits = ["Conv2d"]             questions, or single tests, that need what is lost: nothing at the first try, all
                                   points at the second
    earns = "rest"                 the others earn full points ("rest", the default), or nothing does ("nothing")
    file = "empty"                 instead of a notebook: a kind of file from FILES
    cell_seconds = 2               limits, where the usual ones would make it slow
    memory, seconds, processes     of the sandbox

and then cells, as steps on the notebook with the reference's answers:

    # %% replace relu | before X | after X | first | last      the code that follows is a cell
    # %% edit X                                                the test cell X says what follows
    # %% delete X | duplicate X | swap X Y | set X {"points": 100}

X is a grade_id. `@PROJECT@`, `@HOME@`, `@GRADEBOOK@`, `@SOURCE@`, `@PORT@` and `@TOKEN@` in the code are replaced by
what a trap on this machine has there: see `Trap`; `@SIGNS@` by 20,000 signs.
"""

import ast
import copy
import json
import re
import socket
import tempfile
import tomllib
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tito.errors import ProjectError
from tito.services import notebooks, strip, syntax
from tito.services.files import remove_tree

FOLDER = ("tests", "grading", "hostile")
BLOCK = re.compile(r"^# /// attack\n(?P<toml>(?:#.*\n)+?)# ///\n", re.MULTILINE)
STEP = re.compile(r"^# %% (?P<what>.+)$", re.MULTILINE)
PLACED = ("replace", "edit", "before", "after", "first", "last")
SHORTEST_SECRET = 16  # characters of a line of a hidden test that nobody writes by chance
LIMITS = ("cell_seconds", "seconds", "memory", "processes")


@dataclass(frozen=True)
class Attack:
    """One entry of the corpus."""

    name: str
    about: str
    module: str
    status: tuple
    loses: frozenset
    waits: frozenset
    earns: str
    file: str
    steps: tuple
    limits: dict = field(default_factory=dict)


def read_corpus(project):
    """All entries, by name. Raises ProjectError where there are none, or one cannot be read."""
    folder = project.root.joinpath(*FOLDER)
    found = [_read(path) for path in sorted(folder.glob("*.py"))]
    if not found:
        raise ProjectError(f"{project.relative(folder)} holds no attacks", "restore the folder from the repository")
    return found


def _read(path):
    text = path.read_text(encoding="utf-8")
    block = BLOCK.search(text)
    if block is None:
        raise ProjectError(f"{path} has no block # /// attack", "fix the file")
    data = tomllib.loads(re.sub(r"^# ?", "", block["toml"], flags=re.MULTILINE))
    return Attack(
        name=path.stem,
        about=ast.get_docstring(ast.parse(text[: block.start()])) or "",
        module=data["module"],
        status=tuple(data["status"]),
        loses=frozenset(data.get("loses", ())),
        waits=frozenset(data.get("waits", ())),
        earns=data.get("earns", "rest"),
        file=data.get("file", ""),
        steps=tuple(_steps(text[block.end() :])),
        limits={name: data[name] for name in LIMITS if name in data},
    )


def _steps(text):
    """(words, code) of each step."""
    marks = list(STEP.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=False):
        yield tuple(mark["what"].split(" ", 2)), text[mark.end() : end].strip("\n")


# Making the file.


def submission(attack, source, values):
    """The bytes that are handed in. source: the module's notebook with solutions; values: what a Trap offers."""
    node = _answered(source)
    for words, code in attack.steps:
        for name, value in values.items():
            code = code.replace(f"@{name}@", value)
        code = code.replace("@SIGNS@", "-" * 20_000)
        _apply(node, words, code)
    text = json.dumps(node, ensure_ascii=True)
    return FILES[attack.file](text) if attack.file else text.encode("ascii")


def _answered(source):
    """What a student with the reference's answers hands in: hidden tests are not in it."""
    node = strip.strip(source.node, source)
    for cell, original in zip(node.cells, source.node.cells, strict=True):
        if notebooks.is_solution(original):
            cell.source = original.source
    return node


def _apply(node, words, code):
    from nbformat import v4

    what, rest = words[0], words[1:]
    place = _index(node, rest[0]) if rest else 0
    if what in ("replace", "edit"):
        keep = "#| export\n" if node.cells[place].source.startswith("#| export") else ""
        node.cells[place].source = keep + code
    elif what in PLACED:
        position = {"before": place, "after": place + 1, "first": 0, "last": len(node.cells)}[what]
        node.cells.insert(position, v4.new_code_cell(code))
    elif what == "delete":
        del node.cells[place]
    elif what == "duplicate":
        node.cells.insert(place + 1, copy.deepcopy(node.cells[place]))
    elif what == "swap":
        other = _index(node, rest[1])
        node.cells[place], node.cells[other] = node.cells[other], node.cells[place]
    elif what == "set":
        node.cells[place].metadata["nbgrader"].update(json.loads(rest[1]))
    else:
        raise ProjectError(f"an attack has a step {' '.join(words)!r}", "see tito/services/grading/attacks.py")


def _index(node, name):
    for index, cell in enumerate(node.cells):
        if notebooks.grade_id(cell) == name:
            return index
    raise ProjectError(f"an attack names the cell {name}, which the notebook does not have", "fix the attack")


FILES = {
    "empty": lambda text: b"",
    "truncated": lambda text: text.encode()[: len(text) // 2],
    "text": lambda text: b"def relu(x):\n    return max(x, 0)\n",
    "bytes": lambda text: bytes(range(256)) * 400,
    "list": lambda text: b"[1, 2, 3]",
    "no cells": lambda text: b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "strange cells": lambda text: b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1, null, {"a": 2}]}',
    "deep": lambda text: b'{"nbformat": 4, "cells": ' + b"[" * 200_000,
    "large": lambda text: text[:-1].encode() + b', "padding": "' + b"x" * (50 * 2**20) + b'"}',
    "many cells": lambda text: _with_cells(text, 20_000),
    "large text": lambda text: _with_text(text, 25 * 2**20),
    "large output": lambda text: _with_output(text, 50 * 2**20),
}


def _with_output(text, size):
    node = json.loads(text)
    cell = next(cell for cell in node["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * size}]
    return json.dumps(node).encode()


def _with_cells(text, count):
    node = json.loads(text)
    node["cells"][:0] = [
        {"cell_type": "code", "id": f"n{n}", "metadata": {}, "source": f"n = {n}"} for n in range(count)
    ]
    return json.dumps(node).encode()


def _with_text(text, size):
    node = json.loads(text)
    node["cells"].append({"cell_type": "markdown", "id": "long", "metadata": {}, "source": "x" * size})
    return json.dumps(node).encode()


# What must not happen on this machine.


class Trap:
    """Things that a submission would like to reach, for one run of the corpus: a context manager.

    A gradebook, a source notebook with a secret in it, and a listener on this machine's network.
    """

    def __enter__(self):
        self.secret = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="tito-trap-"))
        self.gradebook, self.source = self.folder / "gradebook.db", self.folder / "source.ipynb"
        for path in (self.gradebook, self.source):
            path.write_text(self.secret, encoding="utf-8")
            path.chmod(0o666)
        self.folder.chmod(0o777)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        return self

    def __exit__(self, *_):
        self.listener.close()
        remove_tree(self.folder)

    def values(self, project, token):
        return {
            "PROJECT": str(project.root),
            "HOME": str(Path.home()),
            "GRADEBOOK": str(self.gradebook),
            "SOURCE": str(self.source),
            "PORT": str(self.listener.getsockname()[1]),
            "TOKEN": token,
        }

    def sprung(self, said, token):
        """What one submission reached, in words. said: everything that the student would be shown."""
        found = []
        if self.secret in said:
            found.append("it read a file of the instructor")
        files = sorted(path.name for path in self.folder.iterdir())
        texts = {path.read_text(encoding="utf-8", errors="replace") for path in (self.gradebook, self.source)}
        if files != ["gradebook.db", "source.ipynb"] or texts != {self.secret}:
            found.append("it wrote into a folder of the instructor")
        with suppress(BlockingIOError):
            self.listener.accept()[0].close()
            found.append("it reached this machine's network")
        if token and left_behind(token):
            found.append("it left a process behind")
        return found


def left_behind(token):
    """Processes of this machine that were started with `token`; [] where that cannot be seen."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if token.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


# What it came to.


def judge(attack, result, source):
    """What is not as it should be, in words; [] where the attack was held."""
    wrong = []
    if result.status not in attack.status:
        wrong.append(f"status {result.status} ({result.detail}), not {' or '.join(attack.status)}")
    expected = {notebooks.grade_id(cell): notebooks.points(cell) for cell in source.node.cells if _earns(cell)}
    if result.status != "unreadable" or result.cells:
        names = [cell.grade_id for cell in result.cells]
        if sorted(names) != sorted(expected):
            wrong.append(f"the graded cells are {', '.join(names)}")
    questions = notebooks.questions(source.node)
    for cell in result.cells:
        question = "module" if cell.grade_id == "test-module" else questions.get(cell.grade_id)
        lost = result.status == "unreadable" or attack.earns == "nothing" or {question, cell.grade_id} & attack.loses
        due = 0 if lost else expected.get(cell.grade_id)
        waits = bool({question, cell.grade_id} & attack.waits)
        second = cell.points if cell.second is None else cell.second
        for points, owed in ((cell.points, 0 if waits else due), (second, due)):
            if points != owed:
                wrong.append(f"{cell.grade_id}: {points} points, not {owed} ({cell.status}: {cell.message[:200]})")
                break
    said = everything_said(result)
    wrong += [f"a line of a hidden test is shown: {line}" for line in secret_lines(source) if line in said][:3]
    return wrong


def _earns(cell):
    return notebooks.is_test(cell) and cell.cell_type == "code"


def everything_said(result):
    """All text of a result that a student may come to see."""
    parts = [result.detail, *result.warnings, *(cell.message for cell in result.cells)]
    return "\n".join([*map(str, parts), *map(str, result.outputs.values())])


def secret_lines(source):
    """The lines of hidden tests that stand nowhere else in the notebook."""
    hidden, visible = [], set()
    for cell in source.node.cells:
        lines = cell.source.splitlines()
        inside = set()
        for region in syntax.regions(cell.source, "HIDDEN TESTS"):
            inside |= set(range(region[0], region[1] + 1))
        for number, line in enumerate(lines, 1):
            (hidden.append if number in inside else visible.add)(line.strip())
    return [line for line in hidden if len(line) >= SHORTEST_SECRET and line not in visible and "###" not in line]
