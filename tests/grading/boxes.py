"""What a student might have in the notebook: honest objects, and objects that lie about themselves.

Loaded into the sandbox's side by test_proxies.py.
"""

import enum
import threading
from collections import Counter, OrderedDict, defaultdict, namedtuple  # noqa: F401 - for the tests
from typing import NamedTuple

import numpy as np


class Base:
    pass


class Box(Base):
    count = 0
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, value, *, note=""):
        self.value, self.note = value, note

    def doubled(self):
        return Box(2 * self.value)

    def fail(self, kind, *args):
        raise kind(*args)

    @property
    def half(self):
        return self.value / 2

    @staticmethod
    def make(value):
        return Box(value)

    def __add__(self, other):
        return Box(self.value + (other.value if isinstance(other, Box) else other))

    __radd__ = __add__

    def __eq__(self, other):
        return Box(self.value == (other.value if isinstance(other, Box) else other))

    def __len__(self):
        return self.value

    def __getitem__(self, key):
        if key >= self.value:
            raise IndexError(key)
        return key

    def __iter__(self):
        return (Box(number) for number in range(self.value))

    def __repr__(self):
        return f"Box({self.value})"

    def __float__(self):
        return float(self.value)

    def __call__(self, function, *args, **settings):
        return function(*args, **settings)


class Odd(ValueError):
    pass


class Swallow:
    def __enter__(self):
        return 3

    def __exit__(self, *_):
        return True


class Half(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class Text(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Many(list):
    def __eq__(self, other):
        return True


Pair = namedtuple("Pair", ["first", "second"])


class Named(NamedTuple):
    first: int
    second: int


class Numbers(list):
    pass


class Color(enum.IntEnum):
    RED = 6


class Word(str):
    pass


class Seconds(float):
    pass


class Lying(np.ndarray):
    def __eq__(self, other):
        return np.ones(3, bool)

    def __array_function__(self, *_):
        return True


class Liar:
    def always(self, *_):
        return True

    __class__ = list
    __eq__ = __ne__ = __lt__ = __gt__ = __bool__ = __contains__ = always

    def __hash__(self):
        return 1

    def __len__(self):
        return True

    def __float__(self):
        return Half(0.5)

    def __repr__(self):
        return Text("x")

    __str__ = __repr__

    def __array__(self, *_, **__):
        return np.zeros(3).view(Lying)

    def __call__(self, *_):
        return self

    def __getattr__(self, name):
        if name.startswith("__array"):
            raise AttributeError(name)
        return self


class Near:
    """As far from everything as a right answer is, and equal to it in NumPy's words."""

    __eq__ = __lt__ = __le__ = lambda self, other: np.True_
    __ne__ = lambda self, other: np.False_
    __hash__ = object.__hash__
    __sub__ = __rsub__ = __abs__ = __truediv__ = __pow__ = __round__ = lambda self, *_: 0.0
    __isub__ = __matmul__ = lambda self, other: np.zeros(3)


def kept(values):
    kept.values = values
    return values


def called(function, *args):
    return function(*args)


def walked(iterable):
    return list(iterable)


def overflow():
    return float((np.array([1e308]) * 10)[0])


def change(array, numbers):
    array += 1
    numbers.append(len(numbers))


def stub():
    raise NotImplementedError("stub: write this cell")


def grouped():
    raise ExceptionGroup("two of them", [ValueError("one"), KeyError("two")])


def unsendable(function, numbers):
    numbers.append(2)
    return function(np.array([object()]))


def late(function):
    late.function = function


def caught(function):
    try:
        function()
    except KeyError:
        raise
    return "nothing"


def threaded(function):
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(function(n))) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


store = np.zeros((2, 3))


def blot(array, *others):
    """Zeroes what it was handed, and says nothing."""
    array[...] = 0
    return np.zeros(2)


def blot_later(array):
    blot_later.array = array
    return np.zeros(2)


def blot_now():
    blot_later.array[...] = 0


def shorten(values, *, names=()):
    del values[1:]
    return len(values)


def drawn(generator, call=None):
    return generator.normal() if call is None else call()


class Told:
    """Notes what it is told, and says that it is right."""

    def __init__(self):
        self.heard = []

    def note(self, other):
        self.heard.append(other)
        return self

    __add__ = __iadd__ = __mul__ = __rmul__ = __matmul__ = __lt__ = note

    def __contains__(self, thing):
        self.heard.append(thing)
        return True
