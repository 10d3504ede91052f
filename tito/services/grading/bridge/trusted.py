"""The program in which the graded test cells run: outside of the sandbox, on proxies of what is inside.

It forks, see forks.py: a child gets five descriptors, two to read from and write to the sandbox, two for the scorer,
one for errors. The scorer sends commands as JSON and gets one answer to each. Nothing of a submission is ever executed
here, and nothing that a submission sends reaches another child.

Arguments: the descriptor of the socket on which the program is told to fork, and as JSON the lines that import what
the tests import.
"""

import ast
import contextlib
import importlib
import json
import os
import socket
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # as a script: the folder above is the package's home
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    program = importlib.import_module("bridge.trusted")
    sys.path.pop(0)
    program.main()
    os._exit(0)

from . import crossing, forks
from .cells import MESSAGE, OUTPUT, Printed, frames_of, text_of
from .proxies import Broken, Ended, Outer
from .wire import Closed, Pipe

FILE = "<test cell {}>"
MEMORY = 3 * 2**30
OUTCOME = (str, str, str, tuple, str)  # of a cell in the sandbox
NAME = 200  # characters of the name of an error


class Tests:
    """Runs test cells one after the other. names: what they share; lent: what belongs to the notebook.

    A text that the sandbox sends is cut here to what is kept of it, however long it is and whatever is in it.
    """

    def __init__(self, outer, printed):
        self.outer, self.printed = outer, printed
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        self.imports = {}
        self.files = {}  # name of a file -> number of the test cell
        self.lent = ()

    def start(self, imports, classes):
        """Import what the notebook imports from NumPy and the standard library; classes: names of the course's."""
        self.outer.classes = frozenset(classes)
        exec("\n".join(imports), self.imports)
        self.imports.pop("__builtins__", None)
        said = getattr(sys.modules.get("tinytorch.notebook"), "in_place", None)
        noted = {name: self.outer.in_place for name, value in self.imports.items() if value is said is not None}
        self.imports |= noted
        self.names.update(self.imports)
        return {"status": "ok"}

    def cell(self, number, source):
        """Run a cell of the notebook in the sandbox."""
        found = self.outer.ask("run", number, source)
        fits = type(found) is tuple and len(found) == len(OUTCOME)
        if not fits or not all(type(one) is kind for one, kind in zip(found, OUTCOME, strict=True)):
            self.outer._break("the outcome of a cell")
        status, error, message, frames, output = found
        return {
            "status": "ok" if status == "ok" else "error",
            "error": _kept(error, NAME),
            "message": _kept(message, MESSAGE),
            "frames": crossing.frames(frames),
            "output": _kept(output, OUTPUT),
        }

    def define(self, source):
        """Define again what an earlier test cell defined, after the sandbox had to be started again."""
        tree = ast.parse(source)
        kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
        tree.body = [node for node in tree.body if isinstance(node, kinds)]
        exec(compile(tree, FILE.format("again"), "exec"), self.names)
        return {"status": "ok"}

    def test(self, number, source, fetch):
        """Run a test cell on proxies."""
        name = FILE.format(number)
        answer = {"status": "ok", "error": "", "message": "", "frames": ()}
        self.files[name] = number
        try:
            code = compile(source, name, "exec")
            self._lend(fetch)
            exec(code, self.names)
        except BaseException as error:
            answer.update(self._describe(error))
        output, damage = self.printed.take(), self.outer.damage
        with contextlib.suppress(Broken, AssertionError):
            inside = self.outer.ask("end")
            output += _kept(inside, OUTPUT) if type(inside) is str else ""
        self._take_back()
        found = self.outer.broken or (damage if answer["status"] == "ok" else "")
        if found:
            answer.update(status="error", error="AssertionError", message=found)
        return {**answer, "output": output}

    def _lend(self, fetch):
        found = self.outer.ask("names", tuple(fetch))
        fits = type(found) is tuple and all(type(pair) is tuple and len(pair) == 2 for pair in found)
        if not fits or not all(type(name) is str and name in fetch for name, _ in found):
            self.outer._break("the names of the notebook")
        self.lent = tuple(fetch)
        for name in fetch:
            self.names.pop(name, None)
        self.names.update(found)

    def _take_back(self):
        for name in self.lent:
            self.names.pop(name, None)
        self.names.update({name: value for name, value in self.imports.items() if name in self.lent})
        self.lent = ()
        self.outer.forget()

    def _describe(self, error):
        frames = frames_of(error, self.files, self.outer.frames_of)
        kind = type.__getattribute__(type(error), "__name__")
        return {"status": "error", "error": kind[:NAME], "message": _kept(text_of(error), MESSAGE), "frames": frames}


def _kept(text, most):
    """What is kept of a text of the sandbox's: so many characters, each of which a file can hold."""
    return text[:most].encode("utf-8", "replace").decode("utf-8")


def _limit_memory():
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def main():
    control = socket.socket(fileno=int(sys.argv[1]))
    _limit_memory()
    with contextlib.suppress(Exception):  # in a child it is raised again, and said
        exec("\n".join(json.loads(sys.argv[2])), {})
    forks.serve(control, 5, run)


def run(inside_out, inside_in, control_in, control_out, errors):
    """Answer one scorer, about one sandbox."""
    os.dup2(errors, 2)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # its children would all draw the same
    outer, printed = Outer(Pipe(inside_out, inside_in)), Printed()
    printed.install()
    tests, control = Tests(outer, printed), Pipe(control_in, control_out)
    work = {"start": tests.start, "cell": tests.cell, "define": tests.define, "test": tests.test}
    while True:
        try:
            command = json.loads(control.receive())
        except Closed:
            return
        begin = time.monotonic()
        try:
            answer = work[command.pop("do")](**command)
        except Ended:
            answer = {"status": "died"}
        except Broken as error:
            answer = {"status": "broken", "message": str(error)}
        if outer.broken:
            ended = outer.broken == "the process has ended"
            answer["status"] = "died" if ended else "broken"
            answer["message"] = outer.broken
        answer["seconds"] = time.monotonic() - begin
        control.send(json.dumps(answer).encode())
