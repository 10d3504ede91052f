"""Runs the cells of a notebook in one namespace, as a kernel would, without a kernel.

A cell is compiled as it stands where that is possible. Magics, `!` and `?` go through IPython, which is imported when
a cell needs it: that takes as long as everything else together.
"""

import ast
import io
import linecache
import sys
import types

OUTPUT = 20_000  # bytes that a cell may print
FILE = "<cell {}>"
MESSAGE = 4000
FRAMES = 20  # of an exception, at most
CHAIN = 5  # exceptions that were raised during one another, at most


class Bounded(io.RawIOBase):
    """Keeps the first so many bytes that are written to it."""

    def __init__(self):
        super().__init__()
        self.kept = bytearray()
        self.more = False

    def writable(self):
        return True

    def write(self, data):
        room = OUTPUT - len(self.kept)
        self.more = self.more or len(data) > room
        self.kept += bytes(data[: max(0, room)])
        return len(data)


class Printed:
    """Everything that is printed, in the place of stdout and stderr."""

    def __init__(self):
        self.kept = Bounded()
        self.stream = io.TextIOWrapper(self.kept, encoding="utf-8", errors="replace", write_through=True)

    def install(self):
        sys.stdout = sys.stderr = self.stream

    def take(self):
        """What was printed since the last time."""
        kept, more = self.kept.kept, self.kept.more
        self.kept.kept, self.kept.more = bytearray(), False
        return kept.decode("utf-8", "replace") + ("\n… (cut off)" if more else "")


class Notebook:
    """The namespace that the cells share. numbers: {name of a file: number of the cell}."""

    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.names = self.module.__dict__
        self.names.update(display=_display, get_ipython=self.shell, exit=_exit, quit=_exit)
        self.numbers = {}
        self.loop = None
        self.ipython = None
        sys.modules["__main__"] = self.module

    def run(self, number, source):
        """Run a cell; what it raises goes up."""
        name = FILE.format(number)
        self.numbers[name] = number
        tree = self._parse(source, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._execute(compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if last is not None:
            value = self._execute(compile(ast.Expression(last.value), name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
            if value is not None and not source.rstrip().endswith(";"):
                self.names["_"] = value
                _display(value)

    def _parse(self, source, name):
        if "ipython" in source.lower():
            self.shell()
        try:
            return self._compiled(source, name)
        except SyntaxError:
            try:
                from IPython.core.inputtransformer2 import TransformerManager
            except ImportError:
                raise
            changed = TransformerManager().transform_cell(source)
            if "get_ipython()" not in changed:
                raise
            self.shell()
            return self._compiled(changed, name)

    def _compiled(self, source, name):
        lines = [line + "\n" for line in source.split("\n")]
        linecache.cache[name] = (len(source), None, lines, name)
        return compile(source, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    def _execute(self, code):
        if code.co_flags & 0x80:  # a coroutine: something in the cell awaits
            import asyncio

            self.loop = self.loop or asyncio.new_event_loop()
            return self.loop.run_until_complete(eval(code, self.names))
        return eval(code, self.names)

    def shell(self):
        """IPython's shell over the same namespace."""
        if self.ipython is None:
            import subprocess

            from IPython.core.interactiveshell import InteractiveShell
            from traitlets.config import Config

            def system(command):
                done = subprocess.run(command, shell=True, capture_output=True, check=False)
                sys.stdout.write((done.stdout + done.stderr).decode("utf-8", "replace"))

            kept = {name: self.names[name] for name in ("exit", "quit", "display") if name in self.names}
            config = Config()
            config.HistoryManager.enabled = False
            self.ipython = InteractiveShell.instance(config=config, user_module=self.module, user_ns=self.names)
            self.ipython.system = self.ipython.system_piped = system
            # there is no window to draw into, whatever a cell asks for
            self.ipython.enable_gui = lambda gui=None: None
            self.ipython.enable_matplotlib = lambda gui=None: (gui, "agg")
            self.names.update(kept)
            sys.modules["__main__"] = self.module
        return self.ipython

    def frames(self, error):
        """The frames of an exception that are in cells: see frames_of."""
        return frames_of(error, self.numbers)

    def describe(self, error):
        """(name, message, frames) of what a cell raised."""
        frames = self.frames(error)
        if isinstance(error, SyntaxError) and error.filename in self.numbers:
            frames = (*frames, (self.numbers[error.filename], error.lineno))
        return type(error).__name__, text_of(error), frames


def frames_of(error, numbers, inside=None):
    """((number of the cell, line), …) of the frames of `error` that are in cells, the innermost last.

    Those of the exception that it was raised from, or during, come first. numbers: {name of a file: number of its
    cell}. inside(error): frames that belong below those of an exception's own traceback.
    """
    found, seen = [], set()
    while error is not None and id(error) not in seen and len(seen) < CHAIN:
        seen.add(id(error))
        own, trace = [], error.__traceback__
        while trace is not None:
            number = numbers.get(trace.tb_frame.f_code.co_filename)
            if number is not None:
                own.append((number, trace.tb_lineno))
            trace = trace.tb_next
        found[:0] = own + list(inside(error) if inside else ())
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return tuple(found[-FRAMES:])


def text_of(error):
    try:
        return str(error)[:MESSAGE] if not isinstance(error, SyntaxError) else str(error.msg)[:MESSAGE]
    except Exception:
        return "(its message cannot be had)"


def _display(*things, **_):
    for thing in things:
        try:
            print(repr(thing)[:OUTPUT])
        except Exception as error:
            print(f"(cannot be shown: {type(error).__name__})")


def _exit(code=None):
    raise SystemExit("the cell called exit()")
