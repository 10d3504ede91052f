"""What the notebooks of the course use and no exported file needs."""

import os
import time
import tomllib
from pathlib import Path

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


def expect_error(kind, fragments, function, *args, **kwargs):
    """Assert that `function(*args, **kwargs)` raises exactly `kind` with every fragment in its message.

    fragments: one string or several. The exact type counts: NotImplementedError is a RuntimeError, and an unwritten
    cell must not pass for one that refuses bad input. A NotImplementedError that was not asked for goes on upwards.
    """
    fragments = (fragments,) if isinstance(fragments, str) else tuple(fragments)
    call = f"{getattr(function, '__name__', function)}({', '.join(map(_short, args))})"
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        if type(error) is NotImplementedError and kind is not NotImplementedError:
            raise
        got = f"{type(error).__name__}: {error}"
        assert type(error) is kind, f"{call}: expected {kind.__name__}, got {got}"
        for fragment in fragments:
            assert fragment in str(error), f"{call}: the message should contain {fragment!r}; it is {str(error)!r}"
        return
    raise AssertionError(f"{call}: expected {kind.__name__}, but it returned {_short(result)}")


def best_seconds(function, repeats=7):
    """The shortest of several runs of `function()`: what the machine can do when nothing disturbs it."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _short(value, limit=60):
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _enclosing_root(start):
    for folder in (start.resolve(), *start.resolve().parents):
        path = folder / "pyproject.toml"
        if path.is_file() and "tito" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}):
            return folder
    return None
