"""What students' code can try from inside of the sandbox, through everything: no points, no test, no survivor."""

import time

import pytest
from one_notebook import HandedIn, by_name, earned, notebook

from tito.services.grading.bridge import wire
from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring import scorer


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


@pytest.fixture
def ada(kit, tmp_path):
    return HandedIn(kit)


LIAR = """
class Right(float):
    __eq__ = __lt__ = __gt__ = __contains__ = lambda self, other: True
    __hash__ = float.__hash__
    __bool__ = lambda self: True
    tolist = lambda self: self
    def __len__(self): return 3
    def __array__(self, *_, **__): return np.zeros(3)
    __iter__ = lambda self: iter([self])
    __getattr__ = lambda self, name: self
"""
TRICKS = {
    "a result that equals everything": LIAR + "def double(x): return Right(1)",
    "a result that claims to be another class": LIAR
    + "class Fake(Right):\n    __class__ = int\ndef double(x): return Fake(1)",
    "a class named like a builtin": "class int:\n    __eq__ = lambda s, o: True\n    tolist = lambda s: s\n"
    "def double(x): return int()",
    "an array equal to all": "class A(np.ndarray):\n"
    "    __eq__ = lambda s, o: True\n    tolist = lambda s: s\n"
    "def double(x): return np.zeros(3).view(A)",
    "NumPy replaced": "np.allclose = np.array_equal = lambda *a, **k: True\ndef double(x): return x",
    "builtins replaced": "import builtins\nbuiltins.isinstance = builtins.repr = builtins.bool = lambda *a: True\n"
    "def double(x): return x",
    "sys.modules replaced": "import sys\nclass M:\n    __getattr__ = lambda s, n: (lambda *a, **k: True)\n"
    "for n in list(sys.modules):\n    if 'numpy' in n or 'notebook' in n:\n        sys.modules[n] = M()\n"
    "def double(x): return x",
    "the helpers of the tests replaced": "import tinytorch.notebook\n"
    "tinytorch.notebook.expect_error = expect_error = lambda *a: None\ndef double(x): return x",
    "assertions stripped": "import ast\nold = compile\nimport builtins\n"
    "builtins.compile = lambda s, *a, **k: old('pass', *a[:2])\ndef double(x): return x",
    "a hook on every error": "import sys\nsys.excepthook = sys.unraisablehook = lambda *a: None\n"
    "sys.settrace(lambda *a: None)\ndef double(x): return x",
    "the conversation taken over": "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Inner':\n"
    "        type(o).run = type(o).answer = lambda s, *a: b'R.' + b'T'\ndef double(x): return x",
    "messages written from a thread": """
import os, threading, time
def shout():
    while True:
        for n in range(3, 20):
            try: os.write(n, b"\\x03\\0\\0\\0R.T" * 50)
            except OSError: pass
        time.sleep(0.001)
threading.Thread(target=shout, daemon=True).start()
def double(x): return x""",
    "an answer of a gigabyte": "def double(x): return bytes(10**9)",
    "an answer without an end": "def double(x):\n    l = []\n    for _ in range(10**5): l = [l]\n    return l",
    "an array of a billion": "def double(x): return np.broadcast_to(np.zeros(1), (10**10,))",
    "a method of the test's own function": "def double(x): return x.__class__",
}


@pytest.mark.parametrize("code", TRICKS.values(), ids=TRICKS.keys())
def test_a_trick_earns_nothing(ada, code):
    result = ada.score({"double": "import numpy as np\n" + code}, second_try=False, cell_seconds=5)
    cells = by_name(result)
    assert cells["test-double"].points == cells["test-double-hidden"].points == 0, earned(result)
    assert cells["test-double"].status in ("failed", "crashed", "timeout")
    assert len(cells["test-double"].message) <= 5000


SEARCH = """
import gc, os, sys, threading

def findings(x):
    found = []
    # backwards, or the search finds itself
    needles = ("terces_detcepxe", "83851", "6 detcepxe", "elbuod-tset", "NEDDIH NIGEB", "elbuod tressa", "9197")
    def look(thing, where):
        text = (thing.decode("latin1") if isinstance(thing, bytes) else str(thing))[::-1]
        for needle in needles:
            if needle in text:
                found.append((where, needle))
    frame = sys._getframe()
    while frame:
        look(frame.f_code.co_filename, "file")
        for value in list(frame.f_locals.values()):
            if isinstance(value, (str, bytes, bytearray, int, tuple)):
                look(value, frame.f_code.co_name)
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, (tuple, list)) and len(thing) < 100:
            for one in thing:
                if isinstance(one, (str, bytes, int)):
                    look(one, "gc")
    import linecache
    look(list(linecache.cache), "linecache")
    for folder in ("/grading", "/work", "/tmp", os.getcwd(), os.path.expanduser("~")):
        for home, _, files in os.walk(folder):
            if "site-packages" in home:
                continue
            for file in files:
                try:
                    look(open(os.path.join(home, file)).read(), home + "/" + file)
                except Exception:
                    pass
    try:
        look(open("/proc/self/environ").read(), "environ")
        look(open("/proc/1/environ").read(), "environ of 1")
        look(open("/proc/self/cmdline").read(), "command")
    except OSError:
        pass
    return found

def double(x):
    if isinstance(x, int) and x == 7919:
        return 2 * x if {needle for _, needle in findings(x)} == {FOUND} else 0
    return 2 * x
"""


def test_nothing_of_a_test_is_to_be_found_inside_while_it_runs(ada):
    """The argument of the call, and nothing else: the answer is right where that is what it finds."""
    for found, points in (("9197", 1), ("terces_detcepxe", 0)):
        result = ada.score({"double": SEARCH.replace("FOUND", repr(found))}, cell_seconds=30, seconds=60)
        assert earned(result)["test-double-hidden"] == points, found


TELLS = """
import os, pathlib, sys, threading
seen = []
def double(x):
    seen.append(x)
    print("asked for", x)
    sys.stderr.write(f"asked for {x}")
    for folder in ("/tmp", os.getcwd(), os.path.expanduser("~")):
        try:
            with open(os.path.join(folder, "seen"), "a") as file:
                file.write(f" {x}")
        except OSError:
            pass
    globals()["total"] = lambda values: (_ for _ in ()).throw(ValueError(f"asked for {seen}"))
    if isinstance(x, int) and x > 100:
        raise KeyError(f"asked for {x}")
    return 2 * x
"""
ASK = """
print(seen)
for folder in ("/tmp", os.getcwd(), os.path.expanduser("~")):
    if os.path.exists(os.path.join(folder, "seen")):
        print(open(os.path.join(folder, "seen")).read())
"""


def test_what_a_withheld_test_hands_over_comes_out_nowhere(ada):
    """Not in what is printed or raised there, nor later: in another cell, a file, another test, the second try."""
    places = ("test-double", "test-double-hidden", "test-total", "test-total-hidden")
    task = ada.task({"double": TELLS}, behind=dict.fromkeys(places, ASK))
    scored = scorer.score(ada.kit, task)
    cells = by_name(scored.result)
    assert (cells["test-double-hidden"].points, cells["test-double-hidden"].status) == (0, "failed")
    assert "asked for 3" in repr(scored.result.outputs), "what visible tests hand over is no secret"
    assert "7919" not in repr(scored.result)


def test_what_goes_on_after_its_cell_changes_no_verdict(ada, tmp_path):
    thread = """
import threading, time
def later():
    time.sleep(0.3)
    globals()["double"] = lambda x: 2 * x
threading.Thread(target=later).start()
def double(x):
    return 3 * x
"""
    begin = time.monotonic()
    result = ada.score(
        {"double": thread, "total": "import time\ntime.sleep(1)\ndef total(values): return 0"}, second_try=False
    )
    assert earned(result)["test-double"] == 0
    assert time.monotonic() - begin < 15


def test_a_process_that_was_started_ends_with_the_submission(ada):
    sleeper = "import subprocess\nsubprocess.Popen(['sleep', '987654'])\ndef double(x): return 2 * x"
    assert earned(ada.score({"double": sleeper}, limits=Limits(seconds=20)))["test-double"] == 3
    time.sleep(0.2)
    assert not _running("987654")


def _running(word):
    import pathlib

    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def test_the_module_and_its_solution_are_not_there(ada):
    look = """
import importlib
def there(name):
    try:
        importlib.import_module(name)
        return True
    except ImportError:
        return False
print([name for name in ("tito", "tinytorch.core.tensor", "tinytorch.core.spatial") if there(name)])
"""
    result = ada.score(behind={"test-double": look})
    assert "[]\n" in result.outputs.values()


FLOOD = """
import gc
inner = next(thing for thing in gc.get_objects() if type(thing).__name__ == "Inner")
{what}
def double(x): return 2 * x
"""
FLOODS = {
    "what it printed": 'big = "x" * 3_000_000 + chr(0x1F600)\ninner.printed.take = lambda: big',
    "what a cell raised": 'big = "x" * 3_000_000\ninner.notebook.describe = lambda error: (big, big, ())\n'
    "inner.notebook.run = lambda *_: 1 / 0",
}


@pytest.mark.parametrize("what", FLOODS.values(), ids=FLOODS.keys())
def test_a_text_of_megabytes_does_not_come_as_far_as_the_grader(ada, what, monkeypatch):
    sizes, receive = [], wire.Pipe.receive

    def measured(pipe):
        frame = receive(pipe)
        sizes.append(len(frame))
        return frame

    monkeypatch.setattr(wire.Pipe, "receive", measured)
    result = ada.score({"double": FLOOD.format(what=what)}, second_try=False)
    assert sizes and max(sizes) < 100_000
    assert all(len(text) <= 5000 for text in (*result.outputs.values(), *(cell.message for cell in result.cells)))


def test_what_no_file_can_hold_is_replaced_where_it_comes_in(ada):
    """Half a surrogate pair in what was printed or raised: nbgrader could not write it, so nobody had a score."""
    double = "def double(x):\n    print(chr(0xD800))\n    raise ValueError(chr(0xDFFF))"
    result = ada.score({"double": double}, behind={"double": "chr(0xD801)"}, second_try=False)
    assert result.outputs
    for text in (*result.outputs.values(), *(cell.message for cell in result.cells)):
        text.encode("utf-8")
    flood = "half = chr(0xD800)\ninner.printed.take = lambda: half\n"
    flood += "inner.notebook.describe = lambda e: (half, half, ())"
    lies = ada.score({"double": FLOOD.format(what=flood)}, behind={"total": "1 / 0"}, second_try=False)
    for text in (*lies.outputs.values(), *(cell.message for cell in lies.cells)):
        text.encode("utf-8")
