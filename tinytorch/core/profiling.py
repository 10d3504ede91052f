"""Profiling: What a step costs: operations and bytes counted from shapes, seconds measured, and both held against what
this machine can do.

Exported from module 14_profiling by tito export. Edit the notebook of that module, not this file.
"""

import math
import time
from typing import NamedTuple

import numpy as np

from ..profiles import Recorder
from .autograd import topological_order
from .tensor import Op

__all__ = [
    "PRODUCTS", "calls_of", "product_flops", "COSTS", "product_gradient_flops", "flops_of", "bytes_of", "held_bytes",
    "Timing", "measure", "growth", "Machine", "this_machine", "speedup", "Profile",
]

PRODUCTS = ("matmul", "linear", "convolve", "attention")  # the operations that are products


def calls_of(function):
    """The operations that `function()` runs forward, in order: tuples (name, arrays, out, settings)."""
    seen = []

    def observe(op, run, arguments, settings):
        results = run(*arguments, **settings)
        if run is op.forward:
            out = results[0] if op.saves else results
            seen.append((op.__name__, arguments, np.asarray(out), settings))
        return results

    before, Op.observer = Op.observer, observe
    try:
        function()
    finally:
        Op.observer = before
    return seen


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


# operation: (entries of what, operations for each, the same in its rule); new operations add their own here,
# or state their cost to a Profile: operation.flops = a function (arrays, out, settings, backward)
COSTS = dict.fromkeys(("reshape", "permute", "concat", "cast"), ("out", 0, 0))
COSTS |= dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), ("out", 1, 0))
COSTS |= dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"), ("out", 0, 0))
COSTS |= dict.fromkeys(("index", "embedding"), ("out", 0, 1))
COSTS["recomputed"] = ("out", 0, 0)  # module 17: it runs other operations, which count themselves
COSTS |= {
    "add": ("out", 1, 0), "sub": ("out", 1, 1), "mul": ("out", 1, 2), "div": ("out", 1, 4),
    "neg": ("out", 1, 1), "exp": ("out", 1, 1), "log": ("out", 1, 1), "sqrt": ("out", 1, 2),
    "absolute": ("out", 1, 3), "power": ("out", 1, 4), "where": ("out", 0, 2), "clip": ("out", 2, 3),
    "maximum": ("out", 1, 6), "minimum": ("out", 1, 6), "relu": ("out", 1, 2), "tanh": ("out", 1, 3),
    "sigmoid": ("out", 4, 3), "softplus": ("out", 6, 5), "gelu": ("out", 9, 18), "bce_terms": ("out", 7, 6),
    "softmax_along": ("out", 5, 4), "log_softmax": ("out", 5, 4), "layer_norm": ("in", 7, 16),
    "batch_norm": ("in", 7, 10), "reduce_sum": ("in", 1, 0), "reduce_mean": ("in", 1, 0),
    "reduce_max": ("in", 1, 4), "reduce_min": ("in", 1, 4), "argmax": ("in", 1, 0),
    "pool_max": ("window", 1, 1), "pool_avg": ("window", 1, 1), "fake_quantize": ("out", 6, 3),
}  # fmt: skip


def product_gradient_flops(name, arrays, out, settings):
    """FLOPs of the products in the gradient rule of an operation of PRODUCTS.

    arrays, out: as forward. settings["needs"], where it is there, says which inputs want a gradient.
    """
    if name == "attention":  # the scores again, two more of their size, and two of the result's
        return 2 * arrays[1].shape[-2] * (3 * arrays[0].size + 2 * out.size)
    wanted = settings.get("needs", (True, True))[:2]
    return sum(map(bool, wanted)) * product_flops(name, arrays, out, settings)


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
    """The bytes that an operation has to move at least: input arrays are read once, new outputs written once.

    What is no array is not there. An output in the memory of an input is a view of it and was not computed;
    where there are no others, nothing moves: 0.
    """
    read = list({id(x): x for x in inputs if isinstance(x, np.ndarray)}.values())
    outputs = list({id(x): x for x in outputs if isinstance(x, np.ndarray)}.values())
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


def this_machine(sizes=(256, 512, 1024), megabytes=64, clock=time.perf_counter):
    """The Machine of here and now: the best of seven float32 products n × n a size, and of seven copies.

    All run on as many threads as NumPy takes. A copy counts its bytes twice, read and written.
    """
    block, rates = np.ones(megabytes * 250_000, np.float32), []
    copy = np.empty_like(block)
    copied = measure(lambda: np.copyto(copy, block), clock)
    for n in sizes:
        a, b = np.random.default_rng(0).normal(size=(2, n, n)).astype(np.float32)
        out = np.empty_like(a)
        product = measure(lambda a=a, b=b, out=out: np.matmul(a, b, out=out), clock)
        rates.append(product_flops("matmul", (a, b), out, {}) / min(product.runs))
    return Machine(max(rates), 2 * block.nbytes / min(copied.runs))


def speedup(slow, fast, pairs=7, clock=time.perf_counter):
    """How many times as long `slow()` takes as `fast()`: a Timing of ratios, of `pairs` of runs in turns.

    What disturbs the machine for a while disturbs both of a pair. One run of each warms up.
    """
    slow(), fast()
    once = {"clock": clock, "warmup": 0, "repeats": 1}
    ratios = [measure(slow, **once).median / measure(fast, **once).median for _ in range(pairs)]
    return Timing(float(np.median(ratios)), *np.quantile(ratios, (0.25, 0.75)).tolist(), tuple(ratios))


class Profile(Recorder):
    """What each operation in a block costs, forward and backward: `with Profile() as profile:`.

    A Recorder (rows, seconds, total, by_operation, table, trace_events, save_trace) that counts by flops_of
    and bytes_of. Raises what it raises, and ValueError naming an operation that nobody has counted.
    """

    def __init__(self, clock=time.perf_counter):
        super().__init__(Op, flops_of, bytes_of, clock)
