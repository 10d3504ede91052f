"""The trusted side of the conversation: what a test sees of the objects in the sandbox.

A proxy hands on what a test does with it and returns what comes back. It never lets the other side say whether a
test holds: an object is neither true nor equal to a plain value, and numbers, texts and arrays that come back are
exactly that, so that Python itself compares them.
"""

import operator
import warnings

from . import crossing
from .mirror import Block, Draws, Mirror, Patch
from .protocol import Change, Message, Value
from .wire import EXTENDED, TEXT, Closed, Unreadable, Unsendable, known_types

NESTED = 60  # calls of a test's functions inside each other
NAME = 200
# attributes of every object that Python and NumPy look for by themselves
PASSED_ON = ("__name__", "__qualname__", "__self__", "__func__", "__wrapped__", "__dict__", "__len__", "__doc__")
BINARY = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "matmul", "and_", "or_", "xor", "lshift", "rshift", "divmod",
    "pow",
)  # fmt: skip
IN_PLACE = (
    "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "imatmul", "iand", "ior", "ixor", "ilshift", "irshift",
    "ipow",
)  # fmt: skip


class Broken(BaseException):
    """What came back cannot be read, or nothing comes back any more. No test can catch it by accident."""


class Ended(Broken):
    """The sandbox has ended."""


class Remote(type):
    """A class of the sandbox. Its instances' proxies are instances of it."""

    def __call__(cls, *args, **settings):
        return cls._link_of_class_.ask("call", cls, args, tuple(settings.items()))

    def __getattr__(cls, name):
        if name.startswith("__") and name not in PASSED_ON:
            raise AttributeError(name)
        return cls._link_of_class_.ask("get", cls, name)

    def __setattr__(cls, name, value):
        cls._link_of_class_.ask("set", cls, name, value)

    def __delattr__(cls, name):
        cls._link_of_class_.ask("del", cls, name)

    def __repr__(cls):
        return f"<class '{cls.__name__}'>"

    __hash__ = type.__hash__


class Proxy(metaclass=Remote):
    """An object of the sandbox."""

    __slots__ = ("__weakref__", "_number_of_proxy_")
    __array_ufunc__ = None
    __hash__ = object.__hash__
    _link_of_class_ = None
    _number_of_class_ = None
    _methods_ = frozenset()
    _base_ = None

    @property
    def __class__(self):
        """What isinstance takes it for besides: the built-in type that it extends, as in the notebook."""
        return type(self)._base_ or type(self)

    def __getattr__(self, name):
        kind = type(self)
        if name in kind._methods_:
            return Method(self, name)
        if name.startswith("__") and name not in PASSED_ON:
            raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
        return kind._link_of_class_.ask("get", self, name)

    def __setattr__(self, name, value):
        _ask(self, "set", self, name, value)

    def __delattr__(self, name):
        _ask(self, "del", self, name)

    def __call__(self, *args, **settings):
        return _ask(self, "call", self, args, tuple(settings.items()))

    def __bool__(self):
        raise TypeError(f"an object of class {_kind(self)} came back where True or False was expected")

    def __eq__(self, other):
        if other is self:
            return True
        return self._compare_("eq", other)

    def __ne__(self, other):
        if other is self:
            return False
        return self._compare_("ne", other)

    def _compare_(self, name, other):
        if not isinstance(other, (Proxy, Remote, Method)):
            if type(self)._base_ is not None:  # a named tuple: its items come back, not what it says of `other`
                plain = _ask(self, "plain", self)
                if type(plain) is type(self)._base_:
                    return getattr(operator, name)(plain, other)
            raise AssertionError(f"an object of class {_kind(self)} came back where {_short(other)} was expected")
        answer = _ask(self, name, self, other)
        if answer is not (name == "ne") and not isinstance(answer, Proxy):
            kind = _kind(self)
            raise AssertionError(f"an object of class {kind} came back: return a number or an array, not a {kind}")
        return answer

    def __array__(self, dtype=None, copy=None):
        link = type(self)._link_of_class_
        found = link.ask("array", self, dtype)
        if type(found) is not link.np.ndarray:
            raise TypeError(f"an object of class {_kind(self)} came back, which gives no array")
        return found.copy() if copy else found

    def __iter__(self):
        return iter(answer) if not isinstance(answer := _ask(self, "iter", self), Proxy) else answer

    def __next__(self):
        return _ask(self, "next", self)

    def __reversed__(self):
        return _ask(self, "reversed", self)

    def __getitem__(self, key):
        return _ask(self, "item", self, key)

    def __setitem__(self, key, value):
        _ask(self, "put", self, key, value)

    def __delitem__(self, key):
        _ask(self, "drop", self, key)

    def __contains__(self, thing):
        _may_compute(self, (thing,))
        return _exactly(self, bool, "contains", self, thing)

    def __len__(self):
        return _exactly(self, int, "len", self)

    def __int__(self):
        return _exactly(self, int, "int", self)

    def __index__(self):
        return _exactly(self, int, "index", self)

    def __float__(self):
        return _exactly(self, float, "float", self)

    def __complex__(self):
        return _exactly(self, complex, "complex", self)

    def __str__(self):
        return _exactly(self, str, "str", self)

    def __repr__(self):
        return _exactly(self, str, "repr", self)

    def __format__(self, form):
        return _exactly(self, str, "format", self, form)

    def __round__(self, digits=None):
        return _object(self, "round", self, digits)

    def __enter__(self):
        return _ask(self, "enter", self)

    def __exit__(self, kind, error, trace):
        answer = _ask(self, "exit", self, error)
        # what a test finds out goes on upwards, whatever the object says
        return answer is True and not isinstance(error, (AssertionError, Broken))

    def __reduce_ex__(self, protocol):
        raise TypeError(f"an object of class {_kind(self)} lives in another process and cannot be copied here")


def _ask(proxy, *values):
    return type(proxy)._link_of_class_.ask(*values)


def _exactly(proxy, kind, work, *values):
    answer = _ask(proxy, work, *values)
    if type(answer) is not kind:
        raise TypeError(f"{work} of an object of class {_kind(proxy)} gave no {kind.__name__}")
    return answer


def _kind(proxy):
    return type.__getattribute__(type(proxy), "__name__")


def _short(value, limit=60):
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _may_compute(proxy, values):
    """Raise AssertionError where a plain value would be told to an object of a class that is not the course's.

    Such a class could make up what it is asked for.
    """
    plain = [one for one in values if not isinstance(one, (Proxy, Remote, Method)) and one is not None]
    classes = type(proxy)._link_of_class_.classes
    known = any(type.__getattribute__(kind, "__name__") in classes for kind in type.mro(type(proxy)))
    if plain and not known:
        kind = _kind(proxy)
        raise AssertionError(f"an object of class {kind} came back: return a number or an array, not a {kind}")


def _object(proxy, work, *values):
    """What an operator makes of an object: another one. A plain answer would be a difference that is made up."""
    _may_compute(proxy, values)
    answer = _ask(proxy, work, *values)
    if not isinstance(answer, Proxy):
        raise AssertionError(f"an object of class {_kind(proxy)} came back where a plain value was expected")
    return answer


def _forwarded(name):
    def forward(self, *others):
        return _object(self, name, self, *others)

    return forward


def _turned_round(name):
    def forward(self, other):
        return _object(self, name, other, self)

    return forward


for _name in BINARY:
    type.__setattr__(Proxy, f"__{_name.strip('_')}__", _forwarded(_name))
    type.__setattr__(Proxy, f"__r{_name.strip('_')}__", _turned_round(_name))
for _name in IN_PLACE:
    type.__setattr__(Proxy, f"__{_name}__", _forwarded(_name))
for _name in ("neg", "pos", "abs", "invert"):
    type.__setattr__(Proxy, f"__{_name}__", _forwarded(_name))


def _ordered(name):
    def compare(self, other):
        _may_compute(self, (other,))
        answer = _ask(self, name, self, other)
        if not isinstance(answer, Proxy):
            raise AssertionError(f"an object of class {_kind(self)} came back where {_short(other)} was expected")
        return answer

    return compare


for _name in ("lt", "le", "gt", "ge"):
    type.__setattr__(Proxy, f"__{_name}__", _ordered(_name))


class Method:
    """A method of a proxy, which is asked for when it is called."""

    __slots__ = ("__name__", "owner")

    def __init__(self, owner, name):
        self.owner = owner
        self.__name__ = name

    def __call__(self, *args, **settings):
        return _ask(self.owner, "method", self.owner, self.__name__, args, tuple(settings.items()))

    def __getattr__(self, name):
        return getattr(_ask(self.owner, "get", self.owner, self.__name__), name)


class Outer(Mirror):
    """The trusted side.

    broken: why nothing that comes back counts any more, "" while it does. damage: what the answer changed although the
    test did not say that it may, in words; written: what it may change. classes: names of the course's classes, whose
    objects may compute with plain values.
    """

    def __init__(self, pipe):
        import numpy as np

        super().__init__(np, 1, whole=False)
        self.pipe = pipe
        self.broken = self.damage = ""
        self.classes = frozenset()
        self.written, self.passed = [], ()
        self.nested = 0
        self.remote = {}  # number -> proxy, or proxied class
        self.handed = {}  # number -> (an object of the test, what may be done with it)
        self.handed_numbers = {}
        self.raised = {}  # number -> exception of the test
        self.frames = {}  # id of an exception -> (the exception, its frames in the sandbox)
        self.named = {}  # name -> function that was handed over by its name
        self.kept = (b"", ())
        self.errors = np.geterr()
        self.filters = list(warnings.filters)
        self.stand_ins = {}  # known type -> class of the proxies of its instances
        self.readers |= {
            Value.HANDLE: self._get_handle,
            Value.INSTANCE: self._get_instance,
            Value.CLASS: self._get_class,
        }
        self.readers |= {Value.HANDED: self._get_handed, Value.NAMED: self._get_named}

    def forget(self):
        super().forget()
        for book in (self.remote, self.handed, self.handed_numbers, self.raised, self.frames, self.named):
            book.clear()
        self.written.clear()
        self.damage = ""
        self.kept = (b"", ())

    # what a test handed over

    def in_place(self, *things):
        """The test's own tinytorch.notebook.in_place: the sandbox may change `things` until the test is over."""
        self.written += things
        return things[0] if len(things) == 1 else things

    def read_change(self, entry, reader):
        """Read a change; of what the test handed over it is damage, unless the test has said that it may be written.

        What the test made counts until its end, so that a late change is one as well; what it got from the sandbox
        counts while the call runs that it was handed to. What is drawn from a random generator is no damage.
        """
        before, ours = entry.seen, entry.number * self.step > 0
        handed = [] if ours else crossing.parts(entry.thing, self.passed, self.np)
        contents = [one.tobytes() if type(one) is self.np.ndarray else None for one in handed]
        super().read_change(entry, reader)
        if isinstance(entry, Draws) or self.damage:
            return
        changed = [
            one
            for one, content in zip(handed, contents, strict=True)
            if content is None or one.tobytes() != content
            if not any(one is known for known in self.written)
        ]
        if changed or (ours and not self._may_change(entry, before)):
            thing = changed[0] if changed else entry.thing
            self.damage = f"it changed {crossing.passed(thing, self.passed, self.np)}: work on a copy"

    def _may_change(self, entry, before):
        """Whether nothing but what may be written differs from `before`."""
        if not isinstance(entry, (Block, Patch)):
            return any(entry.thing is one for one in self.written)
        arrays = [one for one in self.written if type(one) is self.np.ndarray]
        written = [(one, one.copy()) for one in arrays if self.np.may_share_memory(one, entry.thing)]
        if not written:
            return entry.seen == before
        entry.fill(before, self.np)
        for array, content in written:
            array[...] = content
        same = entry.look() == entry.seen
        entry.fill(entry.seen, self.np)
        return same

    # the conversation

    def ask(self, work, *values):
        """Let the sandbox do something and return what came of it; what it raised is raised here."""
        before, self.passed = self.passed, values
        try:
            return self._converse(Message.ASK, work, self._settings(), values)
        finally:
            self.passed = before

    def _converse(self, kind, *values):
        if self.broken:
            raise Broken(self.broken)
        self._send(kind, *values)
        while True:
            try:
                frame = self.pipe.receive()
                reader = self.reader(frame)
                letter = reader.letter()
                self.get_changes(reader)
                if letter == Message.CALL_BACK:
                    what, number, given = reader.get(), reader.get(), reader.get()
                elif letter == Message.RAISED:
                    error = self._get_error(reader)
                elif letter == Message.RESULT:
                    value = reader.get()
                else:
                    raise Unreadable("a message of no known kind")
                reader.end()
            except Closed:
                self.broken = "the process has ended"
                raise Ended(self.broken) from None
            except Unreadable as unreadable:
                self._break(str(unreadable))
            except Exception as other:  # whatever else can go wrong while something is built
                self._break(f"a {type(other).__name__}")
            if letter != Message.CALL_BACK and self.damage and not self.nested:
                raise AssertionError(self.damage)
            if letter == Message.RESULT:
                return value
            if letter == Message.RAISED:
                raise error
            self._call_back(what, number, given)

    def _break(self, reason):
        self.broken = f"the answer sent back something that cannot be read: {reason[:NAME]}"
        raise Broken(self.broken) from None

    def _send(self, kind, *values):
        del self.fresh[:]
        changes = self.writer()
        self.put_changes(changes)
        kept, gone = self.kept
        del self.fresh[:]
        gone = (*gone, *self.lonely_numbers())
        kept += changes.out[:-1]
        writer = self.writer()
        writer.out += kind + kept + Change.END
        try:
            writer.put(gone)
            for value in values:
                writer.put(value)
            self.pipe.send(writer.out)
        except Closed:
            self.broken = "the process has ended"
            raise Ended(self.broken) from None
        except Exception:
            self.take_back(0)
            self.kept = (kept, gone)
            raise
        self.kept = (b"", ())

    def _settings(self):
        errors = self.np.geterr()
        filters = warnings.filters
        new = len(filters) - len(self.filters)
        if errors == self.errors and new == 0:
            return None
        changed = []
        for action, message, category, _, line in filters[: max(new, 0)]:
            changed.append((action, message.pattern if message else "", category, line))
        return tuple(errors.items()), tuple(changed)

    def _call_back(self, what, number, given):
        """Do what the sandbox asks of an object that it was handed."""
        thing, abilities = self.handed.get(number, (None, ())) if type(number) is int else (None, ())
        if type(what) is not str or what not in abilities or type(given) is not tuple:
            self._break("a call of something that was not handed over")
        if self.nested >= NESTED:
            self._break("calls nested too deep")
        self.nested += 1
        try:
            answer = (Message.RETURNED, self._do(what, thing, given))
        except Broken:
            raise
        except BaseException as error:
            answer = (Message.RAISED_BACK, error)
        finally:
            self.nested -= 1
        try:
            self._send(*answer)
        except TypeError as error:
            self._send(Message.RAISED_BACK, error)

    def _do(self, what, thing, given):
        if what == "call":
            args, settings = given
            return thing(*args, **dict(settings))
        if what == "item":
            return thing[given[0]]
        return {"iter": iter, "next": next, "len": len}[what](thing)

    # what leaves

    def put_other(self, writer, value):
        kind = type(value)
        if isinstance(kind, Remote):
            self._put_remote(writer, Value.HANDLE, value._number_of_proxy_, value)
        elif kind is Remote:
            self._put_remote(writer, Value.HANDLE, value._number_of_class_, value)
        elif kind is Method:
            self._put_remote(writer, Value.METHOD, value.owner._number_of_proxy_, value.owner)
            writer.text(value.__name__)
        elif isinstance(value, BaseException):
            self._put_error(writer, value)
        elif (name := crossing.name_of(value, self.np)) is not None:
            self.named[name] = value
            writer.out += Value.NAMED
            writer.text(name)
        else:
            self._put_callback(writer, value)

    def _put_remote(self, writer, letter, number, value):
        if self.remote.get(number) is not value:
            raise Unsendable("an object of a test that is over")
        writer.tag(letter, number)

    def _put_error(self, writer, error):
        number = next((mine for mine, other in self.raised.items() if other is error), 0)
        if not number:
            number = self.number()
            self.raised[number] = error
        writer.tag(Value.EXCEPTION, number)
        names = set(known_types(self.np).values())
        writer.put(next(kind for kind in type(error).__mro__ if kind in names))
        writer.text("" if isinstance(error, AssertionError) else str(error)[:TEXT])  # a verdict is nobody's business

    def _put_callback(self, writer, value):
        abilities = crossing.abilities(value)
        if not abilities:
            raise Unsendable(f"a {type(value).__name__} cannot be handed to the notebook")
        number = self.handed_numbers.get(id(value))
        known = number is not None
        if not known:
            number = self.number()
            self.handed[number] = (value, abilities)
            self.handed_numbers[id(value)] = number
        plain = "function" in abilities
        writer.tag(Value.HANDED, number)
        writer.text(getattr(value, "__name__", "function") if plain else type(value).__name__)
        writer.text(" ".join(abilities))
        writer.put(crossing.parameters(value) if plain and not known else None)
        writer.put(known)

    # what comes

    def _new_number(self, reader):
        number = reader.number()
        if number >= 0 or number in self.remote:
            raise Unreadable("a new object under the number of another one")
        return number

    def _get_handle(self, reader):
        try:
            return self.remote[reader.number()]
        except KeyError:
            raise Unreadable("an object that was never sent") from None

    def _get_handed(self, reader):
        try:
            return self.handed[reader.number()][0]
        except KeyError:
            raise Unreadable("an object that was never handed over") from None

    def _get_named(self, reader):
        try:
            return self.named[reader.text()]
        except KeyError:
            raise Unreadable("a function that was never handed over") from None

    def _get_class(self, reader):
        number, name, bases = self._new_number(reader), reader.text(), reader.get()
        methods, others = reader.get(), reader.get()
        lists = (bases, methods, others)
        if any(type(one) is not tuple for one in lists) or not all(type(one) is str for one in methods + others):
            raise Unreadable("a class that is none")
        above = tuple(base for base in bases if type(base) is Remote)
        inherited = frozenset().union(*(base._methods_ for base in above))
        base = next((base for base in bases if isinstance(base, type) and base in EXTENDED), None)
        kind = self._class(name, above, (inherited - set(others)) | set(methods), number, base)
        self.remote[number] = kind
        return kind

    def _class(self, name, bases, methods, number, base=None):
        body = {"_base_": base} if base is not None else {}
        body |= {"__slots__": (), "__module__": "__main__", "_link_of_class_": self, "_number_of_class_": number}
        clean = name[:NAME] if name.isidentifier() else "object"
        return Remote(clean, bases or (Proxy,), body | {"_methods_": frozenset(methods)})

    def _get_instance(self, reader):
        number, kind = self._new_number(reader), reader.get()
        if isinstance(kind, type) and not isinstance(kind, Remote):
            if kind not in self.stand_ins:
                self.stand_ins[kind] = self._class(kind.__name__, (), (), None)
            kind = self.stand_ins[kind]
        if type(kind) is not Remote:
            raise Unreadable("an object without a class")
        proxy = object.__new__(kind)
        _set_number(proxy, number)
        self.remote[number] = proxy
        return proxy

    def _get_error(self, reader):
        kinds, name, message = reader.get(), reader.text(), reader.text()
        arguments, number, frames = reader.get(), reader.get(), crossing.frames(reader.get())
        if number and number in self.raised:
            return self._with_frames(self.raised[number], frames)
        if type(kinds) is not tuple or not all(type(one) is str for one in kinds):
            raise Unreadable("an error that is none")
        error = crossing.make_error(kinds, name, message, arguments, self.np)
        return self._with_frames(error, frames)

    def _with_frames(self, error, frames):
        self.frames[id(error)] = (error, frames)
        return error

    def frames_of(self, error):
        """The frames of `error` in the sandbox, as that says."""
        return self.frames.get(id(error), (None, ()))[1]


_set_number = Proxy._number_of_proxy_.__set__
