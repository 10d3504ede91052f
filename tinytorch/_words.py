"""Values in words, for the checks of notebooks: where two differ, what a call was, what a message holds."""

import math
import re
from types import FunctionType

import numpy as np

FEW = 12  # entries of an array that a message shows one by one
LONG = 140  # characters of a list that a message shows item by item
# a number that stands for itself: not the 2 of conv2d, not the 3 of 13; 1,000 and 1000 are one
NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")


def difference_of(got, expected, atol, rtol):
    """Where and how the two differ, in words; "" where they do not."""
    if isinstance(expected, dict):
        return _of_dictionaries(got, expected, atol, rtol)
    if isinstance(expected, tuple):
        if not isinstance(got, tuple):
            return f"expected the tuple {short(expected)}, got {kind_of(got)}"
        return _of_items(tuple(got), expected, atol, rtol)
    if isinstance(expected, list) and _numbers(expected) is None:
        if not isinstance(got, list | tuple):
            return f"expected {short(expected)}, got {kind_of(got)}"
        return _of_items(list(got), expected, atol, rtol)
    is_other = isinstance(expected, str | bytes | bool | type | np.dtype) or _numbers(expected) is None
    return _of_others(got, expected) if is_other else _of_numbers(got, expected, atol, rtol)


def _of_dictionaries(got, expected, atol, rtol):
    if not isinstance(got, dict):
        return f"expected a dictionary with {_listed(expected)}, got {kind_of(got)}"
    if set(got) != set(expected):
        return f"expected the keys {_listed(expected)}, got {_listed(got)}"
    found = ((key, difference_of(got[key], value, atol, rtol)) for key, value in expected.items())
    return next((f"at {key!r}, {text}" for key, text in found if text), "")


def _of_items(got, expected, atol, rtol):
    if len(got) != len(expected) or len(expected) == 0:
        return "" if len(got) == len(expected) else f"expected {short(expected)}, got {short(got)}"
    found = [(place, difference_of(*pair, atol, rtol)) for place, pair in enumerate(zip(got, expected, strict=True))]
    place, text = next(((place, text) for place, text in found if text), (None, ""))
    if not text:
        return ""
    plain = all(_is_plain(item) for item in (*got, *expected))
    return f"expected {short(expected)}, got {short(got)}" if plain else f"in item {place}, {text}"


def _of_others(got, expected):
    if isinstance(expected, type | np.dtype) and isinstance(got, type | np.dtype):
        scalar = isinstance(expected, np.dtype) or issubclass(expected, np.generic)
        same = np.dtype(got) == np.dtype(expected) if scalar else got is expected
        names = [np.dtype(one).name if scalar else getattr(one, "__name__", one) for one in (expected, got)]
        return "" if same else "expected {}, got {}".format(*names)
    if isinstance(expected, bool) and (found := _numbers(got)) is not None:
        same = found.dtype.kind == "b" and found.shape == () and bool(found) is expected
    else:
        same = type(got) is type(expected) and got == expected
    return "" if same else f"expected {short(expected)}, got {kind_of(got)}"


def _of_numbers(got, wanted, atol, rtol):
    values, expected = _numbers(got), _numbers(wanted)
    if values is None:
        return f"expected {_values(wanted)[0]}, got {kind_of(got)}"
    if values.shape != expected.shape:
        texts = _values(wanted, got)
        if _is_list(got) and _is_list(wanted) and max(map(len, texts)) <= LONG:  # a list has items, not a shape
            return "expected {}, got {}".format(*texts)
        shown = f": {_values(values)[0]}" if values.size <= FEW else ""
        return f"expected shape {expected.shape}, got shape {values.shape}{shown}"
    if "b" in (kinds := values.dtype.kind + expected.dtype.kind) and kinds != "bb":
        return f"expected {_values(wanted)[0]}, got {_values(got)[0]} of dtype {values.dtype}"
    with np.errstate(all="ignore"):
        same = (values == expected) | ((values != values) & (expected != expected))
        if kinds != "bb" and (atol or rtol):
            wide = np.result_type(values, expected, np.float64)
            distance = np.abs(values.astype(wide) - expected.astype(wide))
            same |= distance <= atol + rtol * np.abs(expected.astype(wide))
    if same.all():
        return ""
    if values.size <= FEW:
        texts = _values(wanted, got)
        return "expected {}, got {}".format(*texts) + _by_how_much(texts, values, expected, atol, rtol)
    place = tuple(int(number) for number in np.argwhere(~same)[0])
    wanted, came = _values(expected[place], values[place])
    count = int(np.count_nonzero(~same))
    where = ", ".join(map(str, place))
    text = f"expected {wanted} at [{where}], got {came} ({count} of {values.size} entries differ)"
    return text + _by_how_much((wanted, came), values[place], expected[place], atol, rtol)


def _by_how_much(texts, values, expected, atol, rtol):
    """What to add where both read the same in the digits that are shown; "" where they do not."""
    first, second = (re.sub(r"-(0(?:\.0*)?)(?![\d.])", r"\1", text) for text in texts)
    if first != second or values.dtype.kind not in "fc":
        return ""
    distance = np.abs(values.astype(np.float64) - expected)
    worst = np.unravel_index(np.nanargmax(distance), distance.shape)
    allowed = atol + rtol * np.abs(expected[worst])
    most = f"at most {allowed:.2g}" if allowed else "nothing"
    return f": they differ by {distance[worst]:.2g}, and {most} may be"


def _numbers(value):
    """The array of what is a number, an array, a Tensor or nested lists of numbers; None for everything else."""
    if not isinstance(value, list | tuple | bool | int | float | complex) and not hasattr(type(value), "__array__"):
        return None
    try:
        # a plain array, whatever class came: its comparisons are NumPy's
        array = np.array(value, subok=False)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "biufc" else None


def _is_list(value):
    return type(value) in (list, tuple)


def _values(*things):
    """Each array or list in figures that are short, but show where they differ; tuples stay tuples."""
    plain = [thing if _is_list(thing) else np.asarray(thing).tolist() for thing in things]
    for digits in (6, 9, 17):
        texts = [_figures(one, digits) for one in plain]
        if len(set(texts)) == len(texts):
            break
    return texts


def _figures(value, digits):
    if isinstance(value, tuple):
        return f"({', '.join(_figures(item, digits) for item in value)}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(_figures(item, digits) for item in value)}]"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def kind_of(value):
    """What came, where its class says more than its value."""
    if value is None:
        return "None (is a return missing?)"
    return short(value) if _is_plain(value) else f"{article(type(value).__name__)}, {short(value)}"


def _is_plain(value):
    return value is None or isinstance(value, bool | int | float | str | type | np.generic | np.dtype)


def _listed(keys):
    return ", ".join(sorted(map(repr, keys))) or "nothing"


def article(name):
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def call_text(function, args, kwargs):
    """The call as it would be written, with shapes in place of long arrays."""
    name = getattr(function, "__name__", None) or short(function)
    settings = [f"{key}={short(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join([*map(short, args), *settings])})"


def short(value, limit=70):
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [short(item, limit) for item in value]
        text = f"[{', '.join(items)}]" if isinstance(value, list) else f"({', '.join(items)}{',' * (len(items) == 1)})"
        return text if len(text) <= 2 * limit else f"{article(type(value).__name__)} of {len(value)}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape) and math.prod(shape) > FEW:
        return f"{article(type(value).__name__)} of shape {shape}"
    if isinstance(value, np.generic):
        return str(value)
    if isinstance(value, FunctionType):
        return value.__name__
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def holds(message, fact):
    """Whether `message` says `fact`: a text, a number of its own, or numbers in brackets."""
    if isinstance(fact, str):
        return fact.lower() in message.lower()
    if isinstance(fact, tuple):
        return any(_every_number(inside) == [float(number) for number in fact] for inside in BRACKETS.findall(message))
    return float(fact) in _every_number(message)


def _every_number(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]
