"""The program in the sandbox: runs the student's cells and does what the trusted process asks of their objects.

Nothing here decides anything. It may lie as much as the student's code wants it to: what leaves it is checked by the
process that asked.

Arguments: the folder that holds `tinytorch`, and a folder with a prepared configuration of matplotlib ("" for none).
"""

import collections
import contextlib
import importlib
import inspect
import operator
import os
import shutil
import sys
import threading
import types
import warnings
from pathlib import Path

if __name__ == "__main__":  # as a script: the folder above is the package's home
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    program = importlib.import_module("bridge.inside")
    sys.path.pop(0)
    program.main()
    os._exit(0)

from .cells import Notebook, Printed, text_of
from .mirror import Mirror, Shared
from .protocol import Message, Value
from .wire import EXTENDED, Closed, Pipe, Unsendable, known_names

METHODS = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)


def _call(function, args, settings):
    return function(*args, **dict(settings))


def _power(left, right, modulus=None):
    return pow(left, right) if modulus is None else pow(left, right, modulus)


def _array(thing, dtype=None):
    import numpy as np

    found = np.asarray(thing, dtype)
    return found if type(found) is np.ndarray else np.array(found, subok=False)


def _base(kind):
    """The built-in type that `kind` extends without a comparison of its own, or None."""
    base = next((base for base in EXTENDED if base in type.__getattribute__(kind, "__mro__")), None)
    kept = (base.__eq__, collections.OrderedDict.__eq__, collections.Counter.__eq__) if base is not None else ()
    return base if kind is not base and kind.__eq__ in kept else None


def _plain(thing):
    """The plain value of what extends a built-in type."""
    base = _base(type(thing))
    if base in (int, float):
        return base.__pos__(thing)
    return dict.copy(thing) if base is dict else base.__getitem__(thing, slice(None))


def _leave(thing, error):
    if error is None:
        return type(thing).__exit__(thing, None, None, None)
    return type(thing).__exit__(thing, type(error), error, error.__traceback__)


WORK = {
    "call": _call,
    "method": lambda thing, name, args, settings: getattr(thing, name)(*args, **dict(settings)),
    "get": getattr,
    "set": setattr,
    "del": delattr,
    "item": operator.getitem,
    "put": operator.setitem,
    "drop": operator.delitem,
    "iter": iter,
    "next": next,
    "len": len,
    "reversed": reversed,
    "contains": operator.contains,
    "float": float,
    "int": int,
    "complex": complex,
    "index": operator.index,
    "str": str,
    "repr": repr,
    "format": format,
    "array": _array,
    "plain": _plain,
    "enter": lambda thing: type(thing).__enter__(thing),
    "exit": _leave,
    "dir": dir,
    "round": round,
    "divmod": divmod,
    "pow": _power,
    "abs": abs,
    "neg": operator.neg,
    "pos": operator.pos,
    "invert": operator.invert,
}
BINARY = (
    "eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "matmul", "and_", "or_",
    "xor", "lshift", "rshift",
)  # fmt: skip
IN_PLACE = (
    "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "imatmul", "iand", "ior", "ixor", "ilshift", "irshift",
    "ipow",
)  # fmt: skip
WORK.update({name: getattr(operator, name) for name in BINARY + IN_PLACE})


class Inner(Mirror):
    """The sandbox's side of the conversation."""

    def __init__(self, pipe, notebook, printed):
        import numpy as np

        super().__init__(np, -1, whole=True)
        self.pipe, self.notebook, self.printed = pipe, notebook, printed
        self.turn = threading.RLock()
        self.busy = False
        self.handles, self.handle_numbers = {}, {}
        self.errors = {}  # number of an exception of the test -> what stands for it here
        self.named = {}  # id of a function that the test named -> its name
        self.calls = {}  # id of what stands for a test's object -> its number
        self.kept = b""  # changes that no message has taken along yet
        self.readers |= {
            Value.HANDLE: self._get_handle,
            Value.HANDED: self._get_callback,
            Value.EXCEPTION: self._get_error,
        }
        self.readers |= {Value.METHOD: self._get_method, Value.NAMED: self._get_named}

    def forget(self):
        super().forget()
        for book in (self.handles, self.handle_numbers, self.errors, self.named, self.calls):
            book.clear()
        self.kept = b""

    # what leaves

    def put_other(self, writer, value):
        if id(value) in self.calls:
            writer.tag(Value.HANDED, self.calls[id(value)][0])
        elif id(value) in self.named:
            writer.out += Value.NAMED
            writer.text(self.named[id(value)][0])
        elif id(value) in self.handle_numbers:
            writer.tag(Value.HANDLE, self.handle_numbers[id(value)])
        else:
            number = self._handle(value)
            if isinstance(value, type):
                writer.tag(Value.CLASS, number)
                self._put_class(writer, value)
            else:
                writer.tag(Value.INSTANCE, number)
                writer.put(type(value))

    def _handle(self, value):
        number = self.number()
        self.handles[number] = value
        self.handle_numbers[id(value)] = number
        self.fresh.append((self.handles, self.handle_numbers, Shared(number, value)))
        return number

    def _put_class(self, writer, kind):
        """Name, bases, and which of its names are functions: those can be called without asking for them first."""
        writer.text(type.__getattribute__(kind, "__name__")[:200])
        bases = [base for base in type.__getattribute__(kind, "__bases__") if base not in (object, *EXTENDED)]
        writer.put((*bases, *[base for base in (_base(kind),) if base]))
        inner = type.__getattribute__(kind, "__dict__")
        names = [name for name in inner if type(name) is str and not name.startswith("__")][:500]
        writer.put(tuple(name for name in names if isinstance(inner[name], METHODS)))
        writer.put(tuple(name for name in names if not isinstance(inner[name], METHODS)))

    def _get_handle(self, reader):
        return self.handles[reader.number()]

    def _get_method(self, reader):
        return getattr(self.handles[reader.number()], reader.text())

    def _get_named(self, reader):
        name = reader.text()
        home, _, last = name.rpartition(".")
        found = getattr(__import__(home, fromlist=[last]), last)
        self.named[id(found)] = (name, found)
        return found

    def _get_error(self, reader):
        """An exception that the test raised, or let through, and that is on its way through the student's code."""
        number, kind, message = reader.number(), reader.get(), reader.text()
        known = self.errors.get(number)
        if known is None:
            known = kind(message) if isinstance(kind, type) and issubclass(kind, BaseException) else Exception(message)
            self.errors[number] = known
        return known

    def _get_callback(self, reader):
        number = reader.number()
        name, abilities, parameters, known = reader.text(), reader.text().split(), reader.get(), reader.get()
        if known is True:
            return next(thing for mine, thing in self.calls.values() if mine == number)
        stand_in = self._stand_in(number, name, abilities, parameters)
        self.calls[id(stand_in)] = (number, stand_in)
        return stand_in

    def _stand_in(self, number, name, abilities, parameters):
        """What the student's code gets for a function, an iterator or another object of the test."""
        if abilities == ["call", "function"]:

            def function(*args, **settings):
                return self.ask("call", number, args, tuple(settings.items()))

            function.__name__ = function.__qualname__ = name
            function.__signature__ = _signature(parameters)
            return function
        body = {
            "call": ("__call__", lambda it, *args, **settings: self.ask("call", number, args, tuple(settings.items()))),
            "iter": ("__iter__", lambda it: self.ask("iter", number)),
            "next": ("__next__", lambda it: self.ask("next", number)),
            "len": ("__len__", lambda it: self.ask("len", number)),
            "item": ("__getitem__", lambda it, key: self.ask("item", number, key)),
        }
        kind = type(name, (), dict(body[ability] for ability in abilities if ability in body))
        return kind()

    # the conversation

    def compose(self, kind, *values):
        """The frame of a message. Where its values cannot be sent, what has changed goes along with the next one."""
        del self.fresh[:]
        writer = self.writer()
        writer.out += kind + self.kept
        self.put_changes(writer)
        start, mark = len(writer.out), len(self.fresh)
        try:
            for value in values:
                writer.put(value)
            if len(writer.out) > self.pipe.limit:
                raise Unsendable(f"a message of {len(writer.out):,} bytes is too large")
        except Exception:
            self.take_back(mark)
            self.kept = bytes(writer.out[1 : start - 1])
            raise
        self.kept = b""
        return writer.out

    def _raised(self, error):
        """The frame that says what was raised."""
        writer = self.writer()
        self._put_error(writer, error)
        return self.compose(Message.RAISED) + writer.out

    def _put_error(self, writer, error):
        """Its classes, name, message, arguments, number where it is the test's own (0), frames."""
        names = known_names(self.np)
        kinds = [names.get(kind) or f"{kind.__module__}.{kind.__qualname__}"[:200] for kind in type(error).__mro__]
        writer.put(tuple(kinds[:50]))
        writer.text(type(error).__name__[:200])
        writer.text(text_of(error))
        arguments = [one for one in getattr(error, "args", ())[:8] if type(one) in (str, int, float, bytes, type(None))]
        plain = len(arguments) == len(error.args) and all(len(str(one)) < 4000 for one in arguments)
        writer.put(tuple(arguments) if plain else None)
        writer.put(next((number for number, mine in self.errors.items() if mine is error), 0))
        writer.put(self.notebook.frames(error))

    def serve(self):
        """Answer until the other side ends."""
        while True:
            try:
                frame = self.pipe.receive()
            except Closed:
                return
            self.busy = True
            reply = self.answer(frame)
            with self.turn:
                self.busy = False
                try:
                    self.pipe.send(reply)
                except Closed:  # also in a child that an answer has left behind
                    return

    def answer(self, frame):
        work, values, settings = self._request(frame)
        try:
            with settings:
                return self.compose(Message.RESULT, work(*values))
        except BaseException as error:
            return self._raised(error)

    def _request(self, frame):
        reader = self.reader(frame)
        kind = reader.letter()
        self.get_changes(reader)
        for letter, number in reader.get():
            self.release(letter, number)
        name, settings, values = reader.get(), reader.get(), reader.get()
        assert kind == Message.ASK
        own = {"run": self.run, "names": self.look_up, "end": self.end}
        return own.get(name) or WORK[name], values, self._settings(settings)

    @contextlib.contextmanager
    def _settings(self, settings):
        """What the test has set for NumPy and for warnings holds in the student's code too."""
        if settings is None:
            yield
            return
        errors, filters = settings
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.np.errstate(**dict(errors)))
            if filters:
                stack.enter_context(warnings.catch_warnings())
                for action, message, category, line in reversed(filters):
                    warnings.filterwarnings(action, message, category, "", line)
            yield

    def ask(self, what, number, *values):
        """Call back an object of the test, and answer its questions until it has answered."""
        with self.turn:
            if not self.busy:
                raise RuntimeError("this belongs to a test that is over")
            self.pipe.send(self.compose(Message.CALL_BACK, what, number, values))
            while True:
                try:
                    frame = self.pipe.receive()
                except Closed:
                    os._exit(0)
                if frame[:1] == Message.ASK:
                    self.pipe.send(self.answer(frame))
                    continue
                reader = self.reader(frame)
                kind = reader.letter()
                self.get_changes(reader)
                for letter, gone in reader.get():
                    self.release(letter, gone)
                value = reader.get()
                if kind == Message.RAISED_BACK:
                    raise value
                return value

    # what is asked for by name

    def run(self, number, source):
        """Run a cell: ("ok" | "error", name, message, frames, what it printed)."""
        try:
            self.notebook.run(number, source)
            outcome = ("ok", "", "", ())
        except BaseException as error:
            outcome = ("error", *self.notebook.describe(error))
        return (*outcome, self.printed.take())

    def look_up(self, names):
        """(name, value) of the names that the notebook has."""
        return tuple((name, self.notebook.names[name]) for name in names if name in self.notebook.names)

    def end(self):
        """A test is over: nothing is shared any more. What it made the code print."""
        self.forget()
        return self.printed.take()


def _signature(parameters):
    """A signature of parameters (name, kind, whether it has a default)."""
    make, kinds = inspect.Parameter, list(inspect._ParameterKind)
    return inspect.Signature(
        [make(name, kinds[kind], default=None if has else make.empty) for name, kind, has in parameters or ()]
    )


def _prepare(view, matplotlib):
    """The environment of the notebook, and the two ends of the conversation, out of the way of its own 0 and 1."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.environ.update(
        MPLBACKEND="agg", OPENBLAS_NUM_THREADS="1", TINYTORCH_VIEW=view, PYTHONPATH=view, PYTHONDONTWRITEBYTECODE="1"
    )
    sys.dont_write_bytecode = True
    sys.path.insert(0, view)
    if matplotlib:
        home = Path(os.environ.get("TMPDIR", "/tmp"), f"matplotlib-{os.getpid()}")
        shutil.copytree(matplotlib, home, copy_function=shutil.copyfile)
        os.environ["MPLCONFIGDIR"] = str(home)
    return Pipe(reading, writing)


def main():
    pipe = _prepare(*sys.argv[1:3])
    sys.argv[1:] = []
    printed, notebook = Printed(), Notebook()
    inner = Inner(pipe, notebook, printed)
    printed.install()
    if hasattr(os, "register_at_fork"):  # a child must not answer in its parent's place
        os.register_at_fork(after_in_child=pipe.close)
    inner.serve()
