"""Errors that come out of the sandbox, and functions and objects of a test that are handed into it."""

import inspect
import types

from .cells import FRAMES
from .wire import EXCEPTIONS, TEXT, known_types

NAME = 200
FUNCTIONS = (
    "abs", "all", "any", "bin", "callable", "chr", "divmod", "enumerate", "filter", "format", "getattr", "hasattr",
    "hash", "hex", "id", "isinstance", "iter", "len", "map", "max", "min", "next", "oct", "ord", "pow", "print", "repr",
    "reversed", "round", "sorted", "sum", "type", "vars", "zip",
)  # fmt: skip
FORMS = {"call": "__call__", "iter": "__iter__", "next": "__next__", "len": "__len__", "item": "__getitem__"}
HOMES = ("builtins", "__main__", "itertools", "collections", "functools")
PLAIN_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)
_names = {}


def make_error(kinds, name, message, arguments, np):
    """An exception of the nearest known kind among the names `kinds`, of a new class where that is not the first."""
    exact, kind = None, Exception
    for one in kinds:
        if (found := _exception(one, np)) is not None:
            exact, kind = one, found
            break
    if exact is None or exact != kinds[0]:
        kind = type(name[:NAME] if name.isidentifier() else "Exception", (kind,), {})
    return _say(kind, message[:TEXT], arguments if type(arguments) is tuple else None)


def _exception(name, np):
    kind = known_types(np).get(name)
    if kind is None and name in EXCEPTIONS:
        home, _, last = name.rpartition(".")
        kind = getattr(__import__(home, fromlist=[last]), last)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


def _say(kind, message, arguments):
    """An exception of `kind` that says `message`."""
    for given in (arguments, (message,)):
        try:
            error = kind(*given)
            if str(error) == message:
                return error
        except Exception:
            continue
    try:
        error = kind.__new__(kind)
    except TypeError:  # an ExceptionGroup, which needs what it groups
        error = type(kind.__name__, (Exception,), {})()
    error.args = (message,)
    return error


def passed(thing, values, np):
    """Which argument of the call `values` the changed `thing` is, and what it is, in words."""
    for name, value in _arguments(values):
        if any(_is_part(thing, one, np) for one in _with_items(value)):
            return f"argument {name}, {_called(value, np)}"
    return f"what an earlier call handed over, {_called(thing, np)}"


def parts(thing, values, np):
    """The arguments of the call `values` that are `thing`, or arrays in its memory."""
    return [one for _, value in _arguments(values) for one in _with_items(value) if _is_part(thing, one, np)]


def _arguments(values):
    """(number or name, argument) of a call or of a method's call; the operands of an operator."""
    if len(values) > 1 and type(values[-1]) is type(values[-2]) is tuple:
        return [*enumerate(values[-2], 1), *values[-1]]
    return list(enumerate(values[1:], 1))


def _with_items(value):
    return (value, *value) if type(value) in (list, tuple) else (value,)


def _is_part(thing, value, np):
    both = type(thing) is type(value) is np.ndarray
    return thing is value or (both and np.may_share_memory(thing, value))


def _called(value, np):
    return f"an array of shape {value.shape}" if type(value) is np.ndarray else f"a {type(value).__name__}"


def frames(found):
    """What of `found` can be frames: pairs of a cell and a line."""
    if type(found) is not tuple:
        return ()
    return tuple(one for one in found[-FRAMES:] if type(one) is tuple and len(one) == 2 and all(map(is_whole, one)))


def is_whole(number):
    return type(number) is int and 0 <= number < 2**31


def name_of(value, np):
    """The name under which both sides know a function of NumPy or the standard library, or None."""
    if not _names:
        import builtins
        import math
        import operator

        for home in (operator, math, np.linalg, np):
            _names.update({id(one): f"{home.__name__}.{name}" for name, one in vars(home).items() if callable(one)})
        _names.update({id(getattr(builtins, name)): f"builtins.{name}" for name in FUNCTIONS})
    return _names.get(id(value))


def abilities(value):
    """What the sandbox may do with an object of the test: nothing where it is no function and no container."""
    kind = type(value)
    if kind in PLAIN_FUNCTIONS or isinstance(value, type):
        return ["call", "function"]
    if kind.__module__ not in HOMES:
        return []
    return [ability for ability, name in FORMS.items() if any(name in vars(base) for base in kind.__mro__)]


def parameters(function):
    """(name, kind, whether it has a default) of each parameter; None where that cannot be told."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return tuple((one.name, int(one.kind), one.default is not one.empty) for one in found)
