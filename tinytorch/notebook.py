"""What the notebooks of the course use and no exported file needs."""

import os
import time
import tomllib
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinytorch._words import article, call_text, difference_of, holds, kind_of, short

PACKAGE = Path(__file__).resolve().parent


def check_home():
    """Raise ImportError where a notebook would import another project's `tinytorch` than its own.

    Opened from the wrong environment, a notebook would silently test against somebody else's package. tito runs
    notebooks against a view of the package, which it names in TINYTORCH_VIEW; outside any project there is
    nothing to compare.
    """
    view = os.environ.get("TINYTORCH_VIEW")
    root = Path(view).resolve() if view else _enclosing_root(Path.cwd())
    if root is not None and root != PACKAGE.parent:
        raise ImportError(
            f"this notebook belongs to {root}, but it imports the tinytorch of {PACKAGE.parent}. "
            f"Close it, then: cd {root} && pip install -e . (in an environment of its own), and open it again "
            "with: tito module start"
        )


def expect(got, expected, what, *, atol=0.0, rtol=0.0, dtype=None):
    """Assert that `got` is `expected`; where it is not, say the case `what`, what was expected and what came, once.

    Numbers, arrays, Tensors and lists of numbers are compared by shape and by value: |got - expected| may be at most
    atol + rtol · |expected|, which is exact unless a tolerance is given; nan equals nan. dtype: what the array has to
    have besides. A tuple has to be a tuple, item by item; dictionaries and other lists likewise. Everything else
    (None, True, texts, dtypes, classes) has to be the same.
    """
    found = difference_of(got, expected, atol, rtol)
    if not found and dtype is not None:
        kind = getattr(got, "dtype", None)
        if kind is None or np.dtype(kind) != np.dtype(dtype):
            found = f"expected dtype {np.dtype(dtype)}, got {kind_of(got) if kind is None else kind}"
    assert not found, f"{what}: {found}"


def expect_error(kind, facts, function, *args, **kwargs):
    """Assert that `function(*args, **kwargs)` raises `kind`, or a subclass of it, with every fact in its message.

    facts: one or a list of what the message has to hold, in any order and wording: a number, a name (upper and lower
    case are one), or a tuple of numbers, such as a shape, in brackets of either kind. A NotImplementedError that was
    not asked for goes on upwards: it is a RuntimeError, and an unwritten cell must not pass for one that refuses bad
    input.
    """
    call = call_text(function, args, kwargs)
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        if isinstance(error, NotImplementedError) and kind is not NotImplementedError:
            raise
        if not isinstance(error, kind):
            got = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{call}: expected {article(kind.__name__)}, got {got}") from error
        message = str(error)
        missing = [repr(fact) for fact in (facts if isinstance(facts, list) else [facts]) if not holds(message, fact)]
        assert not missing, f"{call}: the message should hold {' and '.join(missing)}; it is {message!r}"
        return
    raise AssertionError(f"{call}: expected {article(kind.__name__)}, but it returned {short(result)}")


def in_place(*arrays):
    """Say that the answer to be called may write into `arrays`; give them back, several as a tuple.

    Grading fails an answer that changes any other array, list or dictionary that a test hands over: what is expected
    may be computed from it.
    """
    return arrays[0] if len(arrays) == 1 else arrays


@contextmanager
def no_warnings(what):
    """In here a warning of NumPy (an overflow, an invalid value, a division by zero) fails, and names the case `what`.

    The right numbers may come out of a calculation that overflowed on the way.
    """
    try:
        with warnings.catch_warnings(), np.errstate(divide="warn", over="warn", invalid="warn"):
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except RuntimeWarning as warning:
        raise AssertionError(f"{what}: expected no warning of NumPy, got {str(warning)!r}") from warning


def best_seconds(function, repeats=7):
    """The shortest of several runs of `function()`: what the machine can do when nothing disturbs it."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def trained(name, make, train):
    """A model of `make()`, trained by `train(model)` or loaded from where an earlier call kept it, in evaluation mode.

    It is kept in `.tito/models/` of the enclosing project, until `train`, the model's state or a file of tinytorch.core
    that it uses changes; a model that keep_trained left under the same name serves as well. Outside of a project, or
    where Python does not know the source of `train`, it is trained every time. `make` and `train` draw from seeds of
    their own; whether they ran decides where the global random numbers stand afterwards. For measured cells.
    """
    from tinytorch import _models

    return _models.trained(_enclosing_root(Path.cwd()), name, make, train)


def keep_trained(name, model):
    """Keep the state of `model` for trained(name, …) in the same project. Returns the path; None where it cannot."""
    from tinytorch import _models

    return _models.keep(_enclosing_root(Path.cwd()), name, model)


def _enclosing_root(start):
    """The nearest folder above with [tool.tito] in its pyproject.toml, or None. Raises ImportError for a broken one."""
    for folder in (start.resolve(), *start.resolve().parents):
        path = folder / "pyproject.toml"
        try:
            text = path.read_bytes()
            settings = tomllib.loads(text.decode("utf-8"))
        except OSError:  # not there, or not for us to read
            continue
        except ValueError as error:  # no TOML, or not in UTF-8: somebody else's, unless it names tito
            if b"[tool.tito]" not in text:
                continue
            raise ImportError(f"{path} cannot be read: {error}. Fix the file, and run this cell again") from error
        if "tito" in settings.get("tool", {}):
            return folder
    return None
