"""Profiling: What a step costs: operations and bytes counted from shapes, seconds measured, and both held against what
this machine can do.

Exported from module 14_profiling by tito export. Edit the notebook of that module, not this file.
"""

import json
import math
import threading
import time
from typing import NamedTuple

import numpy as np

from .autograd import topological_order
from .tensor import Op

__all__ = [
    "calls_of", "PRODUCTS", "product_flops", "COSTS", "product_gradient_flops", "flops_of", "bytes_of", "held_bytes",
    "Timing", "measure", "growth", "Machine", "this_machine", "speedup", "Row", "Profile",
]


def calls_of(function):
    """The operations that `function()` runs forward, in order: tuples (name, arrays, out, settings)."""
    seen = []

    def observe(op, run, arguments, settings):
        results = run(*arguments, **settings)
        if run is op.forward:
            seen.append((op.__name__, arguments, np.asarray(results), settings))
        return results

    before, Op.observer = Op.observer, observe
    try:
        function()
    finally:
        Op.observer = before
    return seen


PRODUCTS = ("matmul", "linear", "convolve", "attention")


def product_flops(name, arrays, out, settings):
    """FLOPs of the products in one call of the operation `name`, one of PRODUCTS, from shapes: an int.

    arrays: its inputs; out: its result; settings: not needed. Multiplications and additions count one each;
    biases, masks and softmax are left out. Raises ValueError naming any other operation.
    """
    if name not in PRODUCTS:
        raise ValueError(f"product_flops: {name} is none of {', '.join(PRODUCTS)}")
    first, second = arrays[:2]
    if name == "attention":
        return 2 * second.shape[-2] * (first.size + out.size)
    if name == "convolve":
        return 2 * out.size * math.prod(second.shape[1:])
    return 2 * out.size * first.shape[-1]


# operation: (entries of what, operations for each of them, and in its gradient rule); new operations add theirs
COSTS = {name: ("out", 0, 0) for name in ("reshape", "permute", "concat", "cast")}
COSTS |= {name: ("out", 1, 0) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
COSTS |= {name: ("out", 0, 0) for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")}
COSTS |= {name: ("out", 0, 1) for name in ("index", "embedding")}
COSTS |= {
    "add": ("out", 1, 0), "sub": ("out", 1, 1), "mul": ("out", 1, 2), "div": ("out", 1, 4),
    "neg": ("out", 1, 1), "exp": ("out", 1, 1), "log": ("out", 1, 1), "sqrt": ("out", 1, 2),
    "absolute": ("out", 1, 3), "power": ("out", 1, 4), "where": ("out", 0, 2), "clip": ("out", 2, 3),
    "maximum": ("out", 1, 6), "minimum": ("out", 1, 6), "relu": ("out", 1, 2), "tanh": ("out", 1, 3),
    "sigmoid": ("out", 4, 3), "softplus": ("out", 6, 5), "gelu": ("out", 9, 18), "bce_terms": ("out", 7, 6),
    "softmax_along": ("out", 5, 4), "log_softmax": ("out", 5, 4), "layer_norm": ("in", 7, 16),
    "batch_norm": ("in", 7, 10), "reduce_sum": ("in", 1, 0), "reduce_mean": ("in", 1, 0),
    "reduce_max": ("in", 1, 4), "reduce_min": ("in", 1, 4), "argmax": ("in", 1, 0),
    "pool_max": ("window", 1, 1), "pool_avg": ("window", 1, 1),
}  # fmt: skip


def product_gradient_flops(name, arrays, out, settings):
    """FLOPs of the products in the gradient rule of an operation of PRODUCTS.

    arrays, out: as forward. settings["needs"], where it is there, says which inputs want a gradient.
    """
    if name == "attention":  # the scores again, two more of their size, and two of the result's
        return 2 * arrays[1].shape[-2] * (3 * arrays[0].size + 2 * out.size)
    return sum(map(bool, settings.get("needs", (True, True))[:2])) * product_flops(name, arrays, out, settings)


def flops_of(name, arrays, out, settings, backward=False):
    """FLOPs of one call of the operation `name`, or of its gradient rule: an int, by PRODUCTS and COSTS.

    arrays: the inputs; out: the result, both also for the rule. Raises ValueError naming an operation that
    is in neither.
    """
    if name in PRODUCTS:
        return (product_gradient_flops if backward else product_flops)(name, arrays, out, settings)
    if name not in COSTS:
        raise ValueError(f"flops_of: nobody has counted {name}; add it to COSTS")
    unit, forward, back = COSTS[name]
    entries = arrays[0].size if unit == "in" else out.size
    if unit == "window":
        entries *= math.prod(settings["kernel_size"])
    return entries * (back if backward else forward)


def bytes_of(inputs, outputs):
    """The bytes that an operation has to move at least: each input array read once, each new output written.

    What is no array costs nothing. An output in the memory of an input is a view of it and was not computed;
    where there are no others, nothing moves: 0.
    """
    read = list({id(x): x for x in inputs if isinstance(x, np.ndarray)}.values())
    outputs = [x for x in outputs if isinstance(x, np.ndarray)]
    written = [out for out in outputs if not any(np.may_share_memory(out, x) for x in read)]
    if outputs and not written:
        return 0
    return sum(x.nbytes for x in read + written)


def held_bytes(tensor):
    """The bytes of memory that the graph of `tensor` keeps alive: an int.

    Counted are the data of all its Tensors, and the arrays that its nodes hold as inputs or settings. A view
    counts as the whole array that it looks into; each array counts once.
    """
    owners = {}
    for node_or_leaf in topological_order(tensor):
        held, node = [node_or_leaf.data], node_or_leaf.node
        if node is not None:
            held += [*node.arrays, *node.settings.values()]
        for array in held:
            if isinstance(array, np.ndarray):
                while isinstance(array.base, np.ndarray):
                    array = array.base
                owners[id(array)] = array
    return sum(array.nbytes for array in owners.values())


class Timing(NamedTuple):
    """The runs of a function, in seconds: their median, their lower and upper quartile, and all, in order."""

    median: float
    lower: float
    upper: float
    runs: tuple

    def __str__(self):
        unit, factor = next(((u, f) for u, f in (("s", 1), ("ms", 1e3)) if self.median * f >= 1), ("µs", 1e6))
        return f"{self.median * factor:.3g} {unit} ({self.lower * factor:.3g} to {self.upper * factor:.3g})"


def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    """The Timing of `function()`: `warmup` calls that do not count, then `repeats` that do.

    clock: gives seconds; read right before and right after each call that counts. Raises ValueError for
    fewer than one repeat, a negative warm-up, a clock that stands still or runs backward.
    """
    if repeats < 1 or warmup < 0:
        raise ValueError(f"measure: at least one repeat and no warm-up below 0, not {repeats} and {warmup}")
    for _ in range(warmup):
        function()
    runs = []
    for _ in range(repeats):
        start = clock()
        function()
        runs.append(float(clock() - start))
    if max(runs) == 0 or min(runs) < 0:
        raise ValueError(f"measure: the clock stands still or runs backward: {runs}")
    lower, median, upper = np.quantile(runs, [0.25, 0.5, 0.75]).tolist()
    return Timing(median, lower, upper, tuple(runs))


def growth(sizes, seconds):
    """The exponent p of seconds ≈ c · size^p: the slope of least squares on logarithms, a float.

    Raises ValueError for different lengths, fewer than two different sizes, and what is not above 0.
    """
    if len(sizes) != len(seconds):
        raise ValueError(f"growth: {len(sizes)} sizes and {len(seconds)} times")
    for value in (*sizes, *seconds):
        if not value > 0:
            raise ValueError(f"growth: {value} is not above 0 and has no logarithm")
    if len(set(map(float, sizes))) < 2:
        raise ValueError("growth: a slope needs at least two different sizes")
    u, v = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
    u -= u.mean()
    return float(u @ v / (u @ u))


class Machine(NamedTuple):
    """What a machine can do at best: FLOPs a second, and bytes a second between memory and processor."""

    flops: float
    bandwidth: float

    @property
    def ridge(self):
        """The intensity, FLOPs a byte, from which on the processor is the bound and no longer the memory."""
        return self.flops / self.bandwidth

    def roof(self, intensity):
        """The FLOPs a second that an operation of this intensity can reach at best."""
        return min(self.flops, self.bandwidth * intensity)


def this_machine(size=1024, megabytes=64, clock=time.perf_counter):
    """The Machine of here and now: the best of seven float32 products size × size, and of seven copies.

    Both run on as many threads as NumPy takes. A copy counts its bytes twice, read and written.
    """
    a, b = np.random.default_rng(0).normal(size=(2, size, size)).astype(np.float32)
    out, block = np.empty_like(a), np.ones(megabytes * 250_000, np.float32)
    copy = np.empty_like(block)
    product = measure(lambda: np.matmul(a, b, out=out), clock)
    copied = measure(lambda: np.copyto(copy, block), clock)
    return Machine(product_flops("matmul", (a, b), out, {}) / min(product.runs), 2 * block.nbytes / min(copied.runs))


def speedup(slow, fast, pairs=7, clock=time.perf_counter):
    """How many times as long `slow()` takes as `fast()`: the Timing of the ratios of `pairs` of runs, in turns.

    What disturbs the machine for a while disturbs both of a pair. One run of each goes first and does not count.
    """
    slow(), fast()
    runs = [tuple(measure(one, clock, warmup=0, repeats=1).median for one in (slow, fast)) for _ in range(pairs)]
    ratios = [first / second for first, second in runs]
    return Timing(float(np.median(ratios)), *np.quantile(ratios, (0.25, 0.75)).tolist(), tuple(ratios))


class Row(NamedTuple):
    """One call of an operation ("forward") or of its rule ("backward"), or the sum of several.

    start, seconds: from the beginning of the block. shapes: of what it was given, None where it had none.
    """

    name: str
    way: str
    calls: int
    start: float
    seconds: float
    flops: int
    bytes: int
    shapes: tuple = ()
    thread: int = 0


class Profile:
    """What each operation in a block costs, forward and backward: `with Profile() as profile:`.

    rows: a Row for each call, in order. seconds: the time of the block, that of counting left out. Raises RuntimeError
    where somebody else observes already, for a clock that stands still, and for a block in which no operation
    ran; ValueError naming an operation that flops_of does not know.
    """

    def __init__(self, clock=time.perf_counter):
        self.clock, self.rows, self.seconds, self.counting = clock, [], 0.0, 0.0

    def __enter__(self):
        if Op.observer is not None:
            raise RuntimeError("Profile: somebody observes the operations already")
        self.rows, self.counting, self.start = [], 0.0, self.clock()
        Op.observer = self.observe
        return self

    def __exit__(self, kind, error, traceback):
        Op.observer, self.seconds = None, self.clock() - self.start - self.counting
        if kind is None and not self.rows:
            raise RuntimeError("Profile: no operation ran in this block")
        if kind is None and not self.seconds > 0:
            raise RuntimeError(f"Profile: the clock stands still, {self.seconds} s for {len(self.rows)} operations")

    def observe(self, op, function, arguments, settings):
        begin = self.clock()
        results = function(*arguments, **settings)
        end = self.clock()
        backward = function is op.rule
        inputs, read = (arguments[2:], (arguments[0], *arguments[2:])) if backward else (arguments, arguments)
        several = results if isinstance(results, (tuple, list)) else (results,)
        outputs = [np.asarray(x) for x in several if x is not None]
        flops = flops_of(op.__name__, inputs, arguments[1] if backward else outputs[0], settings, backward)
        moved = bytes_of(read, outputs)
        if op.__name__ in ("embedding", "index") and moved and not backward:
            moved = 2 * bytes_of((), outputs)
        shapes = tuple(None if x is None else np.shape(x) for x in inputs)
        way, thread = "backward" if backward else "forward", threading.get_ident()
        row = Row(op.__name__, way, 1, begin - self.start - self.counting, end - begin, flops, moved, shapes, thread)
        self.rows.append(row)
        self.counting += self.clock() - end
        return results

    def total(self, name=None, way=None):
        """The Row that sums those of an operation and of a way, or of all."""
        rows = [row for row in self.rows if name in (None, row.name) and way in (None, row.way)]
        sums = [sum(column) for column in zip(*[(r.calls, r.seconds, r.flops, r.bytes) for r in rows], strict=True)]
        calls, seconds, flops, moved = sums or (0, 0.0, 0, 0)
        return Row(name or "all", way or "both", calls, rows[0].start if rows else 0.0, seconds, flops, moved)

    def by_operation(self):
        """A Row for each operation and way, those that took longest first."""
        kinds = dict.fromkeys((row.name, row.way) for row in self.rows)
        return sorted((self.total(*kind) for kind in kinds), key=lambda row: -row.seconds)

    def table(self, limit=10):
        """The operations that took longest, as text; its last line says how much of the block they all are."""
        lines = [f"{'operation':18}{'way':10}{'calls':>6}{'ms':>9}{'share':>7}{'MFLOP':>10}{'GFLOP/s':>9}{'MB':>9}{'FLOP/B':>8}"]
        for row in [*self.by_operation()[:limit], self.total()]:
            rate = row.flops / row.seconds / 1e9 if row.seconds else math.nan
            intensity = row.flops / row.bytes if row.bytes else math.nan
            lines.append(
                f"{row.name:18}{row.way:10}{row.calls:6}{row.seconds * 1e3:9.2f}{row.seconds / self.seconds:7.0%}"
                f"{row.flops / 1e6:10.2f}{rate:9.2f}{row.bytes / 1e6:9.2f}{intensity:8.2f}"
            )
        share = self.total().seconds / self.seconds
        only = f"only {share:.0%}, the rest is outside of operations (engine, optimizer, Python)"
        said = f"{share:.0%}" if share >= 0.9 else only
        return "\n".join([*lines, f"operations take {said} of {self.seconds * 1e3:.1f} ms"])

    def trace_events(self):
        """The rows as complete events of the trace-event format, in microseconds."""
        return [
            {
                "name": row.name, "cat": row.way, "ph": "X", "ts": row.start * 1e6, "dur": row.seconds * 1e6,
                "pid": 1, "tid": row.thread, "args": {"flops": row.flops, "bytes": row.bytes, "shapes": str(row.shapes)},
            }
            for row in self.rows
        ]  # fmt: skip

    def save_trace(self, path):
        """Write the trace as JSON, for https://ui.perfetto.dev."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": self.trace_events(), "displayTimeUnit": "ms"}, file)
