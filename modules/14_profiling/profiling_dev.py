# %% [markdown]
r"""
# 14 Profiling

How fast could your CNN and your GPT be on this machine, and what holds them back? That takes what is *counted* (arithmetic, bytes) and what is *measured* (seconds).

## Three questions first

**1.** (09) A 5×5 kernel over 3 channels: how many multiplications for one output value?
<details><summary>Answer</summary> 75. </details>

**2.** (05) What holds the arrays of a forward pass, and until when?
<details><summary>Answer</summary> The graph's nodes, until `backward`. </details>

**3.** (12) From 1,000 places to 2,000: what becomes of attention's arithmetic?
<details><summary>Answer</summary> It quadruples. </details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.profiling

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
import time
from typing import NamedTuple

import numpy as np

from tinytorch.core.autograd import topological_order
from tinytorch.core.tensor import Op
from tinytorch.profiles import Recorder

# %%
from tinytorch.core.activations import ReLU, relu, softmax
from tinytorch.core.autograd import no_grad
from tinytorch.core.embeddings import embedding
from tinytorch.core.layers import Linear, Sequential, linear
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, AdamW
from tinytorch.core.spatial import Conv2d, Flatten, MaxPool2d, conv2d
from tinytorch.core.tensor import Tensor, concatenate, manual_seed
from tinytorch.core.training import training_step
from tinytorch.core.transformers import GPT, initialize, next_token_loss

# %% [markdown]
r"""
## Part 1 of 2 · about 4 hours: counting

`calls_of` watches the operations of a function, by the observer's slot of `Op`:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-calls_of", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
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

# %%
for name, arrays, out, settings in calls_of(lambda: Linear(3, 2)(Tensor(np.ones((4, 3)))).sum(axis=1)):
    print(f"{name:10} {' '.join(str(np.shape(array)) for array in arrays):15} -> {out.shape} {settings}")

# %% [markdown]
r"""
### Products

Nearly all arithmetic of a network is in products, and follows from shapes. Each entry of `(n, k) @ (k, m)` is a sum of k products: 2k *FLOPs*, floating-point operations.

    (2, 3) @ (3, 4):    8 entries · 2 · 3 = 48 FLOPs

- `matmul`, a (…, n, k), b (…, k, m): sums of k. Batches broadcast, either may be 1-D.
- `linear`, x (…, k), weight (m, k), maybe a bias: sums of k.
- `convolve`, x (N, C, H, W), weight (O, C, kh, kw), maybe a bias: sums of C·kh·kw.
- `attention`, query (…, n, d), key (…, m, d), value (…, m, v), the same axes in front, maybe a mask: scores (…, n, m), sums of d, and a result of sums of m.

As in PyTorch's `FlopCounterMode`, biases (may be None), scale and softmax do not count; what a mask hides does.

**Write `product_flops(name, arrays, out, settings)`**: an `int`, from the shapes of inputs and result; no entry is looked at; a size of 0 makes 0. Any other name is a `ValueError` that
holds it.
"""

# %% nbgrader={"grade": false, "grade_id": "product_flops", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Every case is a number of entries times the length of a sum times 2. Which array tells the number of entries, batches included?", "The last axis of the first operand is the length of the sum, in all cases but the convolution.", "Attention is two products: how many scores are there, and how long are their sums? The axes in front can be had from the query's size."], "minutes": 30, "objective": "operations"}
#| export
def product_flops(name, arrays, out, settings):
    """FLOPs of the products in one call of the operation `name`, one of PRODUCTS, from shapes: an int.

    arrays: its inputs; out: its result; settings: not needed. Multiplications and additions count one each;
    biases, masks and softmax are left out. Raises ValueError naming any other operation.
    """
    ### BEGIN SOLUTION
    if name not in PRODUCTS:
        raise ValueError(f"product_flops: {name} is none of {', '.join(PRODUCTS)}")
    first, second = arrays[:2]
    if name == "attention":
        return 2 * second.shape[-2] * (first.size + out.size)
    if name == "convolve":
        return 2 * out.size * math.prod(second.shape[1:])
    return 2 * out.size * first.shape[-1]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-product_flops", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def flops_of_shapes(name, *shapes):
    """product_flops of arrays of nan, of these shapes; the last is the result's."""
    *arrays, out = [shape if shape is None else np.full(shape, np.nan, np.float32) for shape in shapes]
    return product_flops(name, tuple(arrays), out, {})

def test_unit_product_flops():
    expect(flops_of_shapes("matmul", (2, 3), (3, 4), (2, 4)), 48, "the worked example")
    expect(type(flops_of_shapes("matmul", (2, 3), (3, 4), (2, 4))), int, "its type")
    expect(flops_of_shapes("matmul", (5, 2, 3), (3, 4), (5, 2, 4)), 240, "a batch of five meets one matrix")
    expect(flops_of_shapes("matmul", (2, 3), (5, 3, 4), (5, 2, 4)), 240, "one matrix meets a batch of five")
    expect(flops_of_shapes("matmul", (3,), (3, 4), (4,)), 24, "a row times a matrix")
    expect(flops_of_shapes("matmul", (7, 3), (3,), (7,)), 42, "a matrix times a column")
    expect(flops_of_shapes("matmul", (3,), (3,), ()), 6, "two vectors")
    expect(flops_of_shapes("linear", (6, 3), (4, 3), (4,), (6, 4)), 144, "linear, the bias not counted")
    expect(flops_of_shapes("linear", (2, 6, 3), (4, 3), (2, 6, 4)), 288, "linear, two axes of rows, no bias")
    expect(flops_of_shapes("linear", (0, 3), (4, 3), None, (0, 4)), 0, "no rows")
    print("🔬 product_flops: passed")

test_unit_product_flops()

# %% nbgrader={"grade": true, "grade_id": "test-product_flops-images", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_product_flops_images():
    images = (2, 3, 8, 8), (5, 3, 3, 3), (5,), (2, 5, 6, 6)
    expect(flops_of_shapes("convolve", *images), 19440, "360 values, each a sum of 27")
    strided = (1, 3, 8, 8), (4, 3, 5, 3), None, (1, 4, 2, 3)
    expect(flops_of_shapes("convolve", *strided), 2160, "24 values, each a sum of 45")
    heads = (2, 3, 5), (2, 7, 5), (2, 7, 4), (2, 3, 4)
    expect(flops_of_shapes("attention", *heads), 756, "42 sums of 5 and 24 sums of 7")
    masked = (2, 2, 3, 5), (2, 2, 7, 5), (2, 2, 7, 4), (3, 7), (2, 2, 3, 4)
    expect(flops_of_shapes("attention", *masked), 1512, "two heads and a mask, which changes nothing")
    expect_error(ValueError, "relu", product_flops, "relu", (np.ones(3),), np.ones(3), {})
    calls = calls_of(lambda: Tensor(np.ones((3, 5))) @ Tensor(np.ones((5, 2))))
    expect(product_flops(*calls[0]), 60, "a call that ran")
    print("🔬 product_flops, images and attention: passed")

test_unit_product_flops_images()

# %% nbgrader={"grade": true, "grade_id": "test-product_flops-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: the same four operations in other shapes, and as they run.
### BEGIN HIDDEN TESTS
expect(flops_of_shapes("matmul", (4, 1, 2, 3), (5, 3, 6), (4, 5, 2, 6)), 1440, "batches that broadcast")
expect(flops_of_shapes("matmul", (2, 0), (0, 4), (2, 4)), 0, "sums of nothing")
expect(flops_of_shapes("convolve", (3, 2, 9, 7), (4, 2, 2, 5), (3, 4, 8, 3)), 11520, "288 sums of 20")
expect(flops_of_shapes("attention", (9, 2), (4, 2), (4, 3), (9, 3)), 360, "36 sums of 2 and 27 sums of 4")
for other in ("add", "embedding", "Linear", ""):
    expect_error(ValueError, other, product_flops, other, (np.ones((2, 2)),) * 2, np.ones((2, 2)), {})
x, weight = Tensor(np.ones((2, 3, 6, 6))), Tensor(np.ones((4, 3, 3, 3)))
(call,) = calls_of(lambda: conv2d(x, weight, None, 2, 1))
expect(product_flops(*call), 3888, "a convolution of stride 2 and padding 1, as it ran")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Everything else, and the way back

The rest computes a few operations for each entry, by a table. Additions, comparisons, divisions, roots, exponentials count one each (they take very different times:
a count is not a time). What only moves or reads is 0: `reshape`, `embedding`. `COSTS` says for each operation

    "softmax_along": ("out", 5, 4)        5 for each entry of the result: a maximum, a difference, an exponential, a sum, a division; 4 on the way back
    "reduce_sum": ("in", 1, 0)            1 for each entry of the first input
    "pool_max": ("window", 1, 1)          1 for each entry of every window: (2, 3, 6, 7) results of windows 3×2: 252 · 6 = 1,512

A product has two on the way back, each as large as itself, if both inputs want a gradient: `grad @ bᵀ` and `aᵀ @ grad`. `product_gradient_flops` counts them;
attention, whose rule computes the scores again, has five for its two.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-costs", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
**Write `flops_of(name, arrays, out, settings, backward=False)`**, for all operations: those of `PRODUCTS` by the two functions above, the others by `COSTS`, as an `int`. `arrays` and `out` are
inputs and result, also on the way back. A window's size is `settings["kernel_size"]`, a pair. An operation in neither is a `ValueError` that
names it: if it counted as 0, whatever is newest would look cheapest.
"""

# %% nbgrader={"grade": false, "grade_id": "flops_of", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Three questions in a row: is it a product, is it in the table, and if so, entries of what?", "Only pooling has a setting kernel_size: ask for it where the table says window, nowhere else."], "minutes": 25, "objective": "operations"}
#| export
def flops_of(name, arrays, out, settings, backward=False):
    """FLOPs of one call of the operation `name`, or of its gradient rule: an int, by PRODUCTS and COSTS.

    arrays: the inputs; out: the result, both also for the rule. Raises ValueError naming an operation that
    is in neither.
    """
    ### BEGIN SOLUTION
    if name in PRODUCTS:
        return (product_gradient_flops if backward else product_flops)(name, arrays, out, settings)
    if name not in COSTS:
        raise ValueError(f"flops_of: nobody has counted {name}; add it to COSTS")
    unit, forward, back = COSTS[name]
    entries = arrays[0].size if unit == "in" else out.size
    if unit == "window":
        entries *= math.prod(settings["kernel_size"])
    return entries * (back if backward else forward)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-flops_of", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_flops_of():
    row, rows, pool = np.ones(3), np.ones((4, 3)), {"kernel_size": (3, 2), "stride": (1, 1)}
    expect(flops_of("add", (rows, row), rows, {}), 12, "add: one for each entry of the result")
    expect(flops_of("sub", (1, rows), rows, {}), 12, "1 - x: the first input may be a number")
    expect(flops_of("softmax_along", (rows,), rows, {"axis": 1}), 60, "softmax: five")
    expect(flops_of("softmax_along", (rows,), rows, {"axis": 1}, backward=True), 48, "its rule: four")
    expect(flops_of("reduce_sum", (rows,), np.ones(4), {}), 12, "a sum: one for each entry of the input")
    expect(flops_of("reduce_max", (rows,), np.ones(4), {}, True), 48, "a maximum's rule: four, likewise")
    images = np.ones((2, 3, 8, 8)), np.ones((2, 3, 6, 7))
    expect(flops_of("pool_max", images[:1], images[1], pool), 1512, "1,512 entries in all windows")
    for name in ("reshape", "embedding", "cast"):
        expect(flops_of(name, (rows,), rows, {}), 0, f"{name} computes nothing")
    expect(flops_of("embedding", (np.ones((9, 3)),), rows, {}, True), 12, "its rule adds 4 rows of 3")
    expect(type(flops_of("relu", (rows,), rows, {})), int, "the type")
    a, b, out = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    expect(flops_of("matmul", (a, b), out, {}), 48, "a product")
    expect(flops_of("matmul", (a, b), out, {}, backward=True), 96, "and its two on the way back")
    needs = {"needs": (False, True, True)}
    expect(flops_of("linear", (a, b.T, b[0]), out, needs, True), 48, "only weight and bias want a gradient")
    for way in (False, True):
        expect_error(ValueError, "warp", flops_of, "warp", (rows,), rows, {}, way)
    print("🔬 flops_of: passed")

test_unit_flops_of()

# %% nbgrader={"grade": true, "grade_id": "test-flops_of-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other rows of the table, and a network as it runs.
### BEGIN HIDDEN TESTS
tall, flat = np.ones((5, 2, 7)), np.ones((5, 2))
expect(flops_of("reduce_max", (tall,), flat, {}, backward=True), 280, "a maximum's rule, by its input")
expect(flops_of("layer_norm", (tall, np.ones(7)), tall, {}), 490, "a normalization")
settings = {"kernel_size": (3, 2), "stride": (1, 1), "padding": (0, 0), "kernels": "fast"}
means = np.ones((1, 1, 3, 4))
expect(flops_of("pool_avg", (np.ones((1, 1, 5, 5)),), means, settings, True), 72, "windows of 3×2")
expect_error(ValueError, "Linear", flops_of, "Linear", (tall,), flat, {})
x, weight, bias = Tensor(np.ones((6, 5))), Tensor(np.ones((4, 5))), Tensor(np.ones(4))
calls = calls_of(lambda: softmax(relu(linear(x, weight, bias)) - 1))
expect([flops_of(*call) for call in calls], [240, 24, 24, 120], "linear, relu, sub, softmax, as they ran")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Bytes

An array of 1,000,000 float32 numbers takes 4 MB, and `add` of two of them moves at least 12 MB between memory and processor: two inputs to be read, one result to be written. FLOPs by bytes are the
*arithmetic intensity*:

    add        10⁶ FLOPs / 12 MB = 0.08 a byte
    matmul     1000×1000 by 1000×1000: 2·10⁹ / 12 MB = 167 a byte

Memory delivers few numbers in the time that a processor computes many, so `add` waits for memory, and the product for the processor. That is what part 2 will draw.

**Write `bytes_of(inputs, outputs)`**, both lists or tuples, an `int`: the bytes of the arrays among the inputs plus those among the outputs, in either list once even if an array is there twice (`x * x`); a view
beside its array (`x @ x.T`) is a second array. What is no array (a number, None) is as good as not there. An output that lies in the memory of an input was not computed: a view, as `x.T`, or the input itself (`np.may_share_memory(a, b)` tells). It does not
count; and if there are outputs and all are such, nothing has moved at all: 0.
"""

# %% nbgrader={"grade": false, "grade_id": "bytes_of", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["First keep what is an array; then drop what came twice: two names of one object have one id.", "Which outputs are new? If there were outputs and none is, the answer is 0."], "minutes": 20, "objective": "bytes"}
#| export
def bytes_of(inputs, outputs):
    """The bytes that an operation has to move at least: input arrays are read once, new outputs written once.

    What is no array is not there. An output in the memory of an input is a view of it and was not computed;
    where there are no others, nothing moves: 0.
    """
    ### BEGIN SOLUTION
    read = list({id(x): x for x in inputs if isinstance(x, np.ndarray)}.values())
    outputs = list({id(x): x for x in outputs if isinstance(x, np.ndarray)}.values())
    written = [out for out in outputs if not any(np.may_share_memory(out, x) for x in read)]
    if outputs and not written:
        return 0
    return sum(x.nbytes for x in read + written)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-bytes_of", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_bytes_of():
    x, y, out = np.ones((10, 5), np.float32), np.ones(5, np.float32), np.zeros((10, 5), np.float32)
    expect(bytes_of((x, y), (out,)), 420, "200 + 20 bytes read, 200 written")
    expect(type(bytes_of([x, y], [out])), int, "lists too; an int")
    expect(bytes_of((x, x), (out,)), 400, "x * x reads x once")
    expect(bytes_of((x, 2.0, None), (out,)), 400, "a number and a bias that is not there cost nothing")
    expect(bytes_of((x.astype(np.float64), np.arange(3)), (out,)), 400 + 24 + 200, "other dtypes")
    expect(bytes_of((x, x.T), (out,)), 600, "x @ x.T reads two arrays")
    expect(bytes_of((x,), (x.T,)), 0, "a view: nothing moves")
    expect(bytes_of((x[2:],), (x[2:].T,)), 0, "a view of a view: nothing moves")
    expect(bytes_of((x,), (x[2:4],)), 0, "a slice: nothing moves")
    expect(bytes_of((x, y), (out, x, y)), 420, "only one of three outputs is new")
    expect(bytes_of((y,), (y, y)), 0, "add's rule hands over grad twice")
    expect(bytes_of((x,), (out, None)), 400, "None among the outputs: an input that wanted no gradient")
    expect(bytes_of((x,), (None, x.T)), 0, "None and a view")
    expect(bytes_of((x,), (None,)), 200, "None alone: no output")
    expect(bytes_of((x,), (out, out)), 400, "a rule hands over one new gradient twice")
    expect(bytes_of((x[:0],), (y[:0].copy(),)), 0, "no entries")
    expect(bytes_of((), (out,)), 200, "zeros: only written")
    expect(bytes_of((x,), ()), 200, "no output: only read")
    print("🔬 bytes_of: passed")

test_unit_bytes_of()

# %% nbgrader={"grade": true, "grade_id": "test-bytes_of-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other arrays, and operations as they run.
### BEGIN HIDDEN TESTS
whole = np.zeros((6, 4))
three = whole + 1, whole[::2], whole > 0
expect(bytes_of((whole, whole, None, 1), three), 192 + 192 + 24, "one of three is a view")
equal = [np.ones(4), np.ones(4)]
expect(bytes_of(equal, (np.ones(4),)), 96, "equal entries are not the same array")
calls = calls_of(lambda: (Tensor(np.ones((3, 4))).T @ Tensor(np.ones((3, 2)))).reshape(8))
moved = [bytes_of(arrays, [out]) for _, arrays, out, _ in calls]
expect(moved, [0, 104, 0], "a transpose, a product, a reshape")
### END HIDDEN TESTS

# %% [markdown]
r"""
### What a graph keeps alive

Time is one budget, memory the other. Between forward and backward every node holds the arrays that its rule will need, and they hold the memory. An array that is a *view* owns
none, but keeps alive the **whole** array that it looks into:

    x = Tensor of 1,000 float32          4,000 bytes
    y = (x * x)[:1]                      4 bytes of its own, it seems; but it looks into 4,000 bytes of x * x
    held by the graph of y               x 4,000 (twice an input, once in memory) + x * x 4,000 = 8,000

`array.base` is the array that a view looks into, None for an owner. A base may have a base of its own, and may be no array (the bytes of a file): the last
array on that way is the owner.

**Write `held_bytes(tensor)`**, an `int`: the bytes of all owners that the graph of `tensor` keeps alive, each once. These are, for every Tensor of `topological_order(tensor)`, its `data`, and if it has a
`node`, the arrays among `node.arrays` and among `node.settings.values()` (the ids of an embedding are a setting). Gradients (`grad`) do not belong to the graph. Without a graph, and after `backward`, only
the Tensor's own memory is left.
"""

# %% nbgrader={"grade": false, "grade_id": "held_bytes", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write down the owner of each array under its id: a dictionary keeps each once.", "A Tensor's data counts even if it has no node: that is how inputs and parameters come in.", "node.arrays may hold numbers and None; settings hold numbers, tuples, words."], "minutes": 35, "objective": "bytes"}
#| export
def held_bytes(tensor):
    """The bytes of memory that the graph of `tensor` keeps alive: an int.

    Counted are the data of all its Tensors, and the arrays that its nodes hold as inputs or settings. A view
    counts as the whole array that it looks into; each array counts once.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-held_bytes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_held_bytes():
    x = Tensor(np.ones(1000), requires_grad=True)
    expect(held_bytes(x), 4000, "a leaf: its own memory")
    expect(type(held_bytes(x)), int, "the type")
    square = x * x
    expect(held_bytes(square), 8000, "x is twice an input and once in memory")
    expect(held_bytes(square[:1]), 8000, "one entry looks into all of them")
    expect(held_bytes(square.reshape(10, 100).T), 8000, "a view of a view: the array below both")
    expect(held_bytes(square.reshape(10, 100).T.reshape(1000)), 8000 + 4000, "in another order: a copy")
    expect(held_bytes(Tensor(np.ones(1000))[:3] * 2.0), 12, "no graph: its own memory")
    expect(held_bytes(Tensor(np.ones((4, 5)))[1:2]), 80, "no graph, a view: the whole array")
    loss = (square * 3.0).sum()
    expect(held_bytes(loss), 4000 + 4000 + 4000 + 4, "two products and a sum")
    loss.backward()
    expect(held_bytes(loss), 4, "after backward")
    expect(held_bytes(x), 4000, "a gradient does not belong to the graph")
    print("🔬 held_bytes: passed")

test_unit_held_bytes()

# %% nbgrader={"grade": true, "grade_id": "test-held_bytes-graphs", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_held_bytes_graphs():
    x, layer = Tensor(np.ones((8, 5))), Linear(5, 3)
    out = linear(x, layer.weight, layer.bias)
    expect(held_bytes(out), 160 + 60 + 12 + 96, "an input that wants no gradient is held for the weight's")
    with no_grad():
        expect(held_bytes(linear(x, layer.weight, layer.bias)), 96, "inside no_grad: only the result")
    both = relu(out) + out
    expect(held_bytes(both), 328 + 96 + 96, "out is used twice and held once")
    double = Tensor(np.ones(6), requires_grad=True, dtype=np.float64)
    mask = np.ones(6, bool)
    expect(held_bytes(double[mask]), 48 + 6 + 48, "float64, and a mask among the arrays")
    table, ids = Tensor(np.ones((9, 2)), requires_grad=True), np.array([3, 3])
    expect(held_bytes(embedding(table, ids=ids)), 72 + 16 + 16, "a table, the ids (a setting), two rows")
    ids = np.frombuffer(bytes(16), np.int64)
    expect(held_bytes(embedding(table, ids=ids)), 72 + 16 + 16, "the same with ids whose base is no array")
    long = Tensor(np.ones(10), requires_grad=True)
    for _ in range(200):
        long = long * 0.5
    expect(held_bytes(long), 201 * 40, "a chain of 200 operations")
    print("🔬 held_bytes, graphs: passed")

test_unit_held_bytes_graphs()

# %% nbgrader={"grade": true, "grade_id": "test-held_bytes-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: views of other kinds, settings, and a graph that branches.
### BEGIN HIDDEN TESTS
table, ids = Tensor(np.ones((6, 4)), requires_grad=True), np.array([[1, 2, 2]])
expect(held_bytes(embedding(table, ids=ids)), 96 + 24 + 48, "the ids are a setting")
a = Tensor(np.ones((3, 4)), requires_grad=True)
parts = [a[i] * float(i) for i in range(3)]
expect(held_bytes(parts[0]), 48 + 16, "one part: all of a, and the part")
expect(held_bytes(parts[0] + parts[1] * parts[2]), 48 + 5 * 16, "three parts, a product, a sum")
both = concatenate([a, a.T.reshape(3, 4)])
expect(held_bytes(both), 48 + 48 + 96, "a copy in another order, and both together")
wide = Tensor(np.ones((2, 1)), requires_grad=True) + np.zeros((2, 500), np.float32)
expect(held_bytes(wide.sum()), 8 + 4000 + 4000 + 4, "an array as operand")
expect(held_bytes(wide.detach()), 4000, "detached")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Find the fault

The mean loss of held-out batches. `total` is one number, so it should hold 4 bytes. Which line is it?
"""

# %%
manual_seed(0)
network, total = Sequential(Linear(20, 50), ReLU(), Linear(50, 5)), Tensor(0.0)
draw = np.random.default_rng(0)
for batch in range(1, 5):
    images, labels = draw.normal(size=(64, 20)), draw.integers(5, size=64)
    loss = cross_entropy(network(Tensor(images)), labels)
    total = total + loss
    print(f"batch {batch}: mean loss {total.item() / batch:.3f}, total holds {held_bytes(total):,} bytes")

# %% [markdown]
r"""
<details><summary>Answer</summary>

`total = total + loss` adds Tensors: `total` is a graph of all losses so far, with the activations of every batch. A number has no past: `total += loss.item()`. (`no_grad` around
the loop helps, too: evaluation needs no graph.)

</details>

Here one could stop: everything so far is counted, and will be the same on any machine.

## Part 2 of 2 · about 4 hours: measuring

### A timer that can be trusted

One run says little. The first one asks for memory and fills caches; any other may be interrupted. So some runs go first and do not count (*warm-up*), and of those that do
the *median* is reported, with the *quartiles* as the spread; one interruption can double a mean:

    runs    4, 1, 2, 3, 10 s        sorted 1, 2, 3, 4, 10
    median 3, quartiles 2 and 4     (the mean would be 4)

Between two runs, quantiles are interpolated, as by `np.quantile`: of 1, 2, 3, 4 the quartiles are 1.75 and 3.25. The clock is an argument, so that a test can bring its own.

**Write `measure(function, clock=time.perf_counter, warmup=1, repeats=7)`**, a `Timing`: call `function()` `warmup` times, then `repeats` times, each of these between two
readings of the clock; read it at no other time. `runs` are all differences, in order, as a tuple of floats. Fewer than one repeat or a negative warm-up are a `ValueError` with the number,
before anything runs. So is, with the word *clock*, a clock that cannot be: all runs took 0 s, or one took less.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Timing", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Timing(NamedTuple):
    """The runs of a function, in seconds: their median, their lower and upper quartile, and all, in order."""

    median: float
    lower: float
    upper: float
    runs: tuple

    def __str__(self):
        unit, factor = next(((u, f) for u, f in (("s", 1), ("ms", 1e3)) if self.median * f >= 1), ("µs", 1e6))
        return f"{self.median * factor:.3g} {unit} ({self.lower * factor:.3g} to {self.upper * factor:.3g})"

# %% nbgrader={"grade": false, "grade_id": "measure", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What has to happen between the two readings, and what must not?", "Check the numbers before the first call, and the clock when all differences are there.", "The median is a quantile, too: 1/2."], "minutes": 35, "objective": "timing"}
#| export
def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    """The Timing of `function()`: `warmup` calls that do not count, then `repeats` that do.

    clock: gives seconds; read right before and right after each call that counts. Raises ValueError for
    fewer than one repeat, a negative warm-up, a clock that stands still or runs backward.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-measure", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def timed_with(durations, **settings):
    """(the Timing, calls, readings) of a function whose calls take these seconds, on a clock of its own."""
    now, called, readings = [100], [], []

    def work():
        now[0] += durations[len(called)]
        called.append(now[0])

    def clock():
        readings.append(now[0])
        return now[0]

    return measure(work, clock, **settings), len(called), len(readings)

def test_unit_measure():
    timing, calls, readings = timed_with([50, 4, 1, 2, 3, 10], warmup=1, repeats=5)
    expect(timing.runs, (4.0, 1.0, 2.0, 3.0, 10.0), "all runs, in order, without the warm-up of 50 s")
    expect([timing.median, timing.lower, timing.upper], [3, 2, 4], "median and quartiles")
    expect([calls, readings], [6, 10], "calls of the function, readings of the clock")
    timing, calls, readings = timed_with([90, 80, 70, 4, 3, 2, 1], warmup=3, repeats=4)
    expect([timing.median, timing.lower, timing.upper], [2.5, 1.75, 3.25], "four runs, three to warm up")
    timing, calls, readings = timed_with([8], warmup=0, repeats=1)
    expect([*timing[:3], calls, readings], [8, 8, 8, 1, 2], "one run, no warm-up")
    expect([type(part) for part in (timing.median, timing.runs[0])], [float, float], "floats of Python")
    timing, calls, _ = timed_with([100, 1, 1, 1, 1, 1, 1, 1])
    expect([timing.median, calls], [1, 8], "not said otherwise: one to warm up, seven that count")
    print("🔬 measure: passed")

test_unit_measure()

# %% nbgrader={"grade": true, "grade_id": "test-measure-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_measure_errors():
    calls = []
    for settings, number in [({"repeats": 0}, 0), ({"repeats": -3}, -3), ({"warmup": -1}, -1)]:
        expect_error(ValueError, number, measure, lambda: calls.append(1), lambda: len(calls), **settings)
    expect(len(calls), 0, "nothing runs before the numbers are checked")

    ticks = iter([0.0, 2.0, 3.0, 2.5, 4.0, 6.0])

    def clock_that_stands():
        return 5.0

    def clock_that_runs_backward():
        return next(ticks)

    for clock in (clock_that_stands, clock_that_runs_backward):
        expect_error(ValueError, "clock", measure, lambda: None, clock, repeats=3)
    timing = timed_with([0, 0, 3], warmup=0, repeats=3)[0]
    expect(timing.runs, (0.0, 0.0, 3.0), "single runs may be too short for the clock")
    print("🔬 measure, errors: passed")

test_unit_measure_errors()

# %% nbgrader={"grade": true, "grade_id": "test-measure-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other durations and numbers of runs.
### BEGIN HIDDEN TESTS
timing, calls, readings = timed_with([7, 7, 0.5, 0.25, 16, 1, 2, 4], warmup=2, repeats=6)
expect(timing.runs, (0.5, 0.25, 16.0, 1.0, 2.0, 4.0), "six runs")
expect([timing.median, timing.lower, timing.upper], [1.5, 0.625, 3.5], "of six, halfway and in quarters")
expect([calls, readings], [8, 12], "calls and readings")
expect(timed_with([5, 9], warmup=0, repeats=2)[0].median, 7, "two runs")
expect_error(ValueError, "clock", measure, lambda: None, lambda: 0, 0, 1)
### END HIDDEN TESTS

# %% [markdown]
r"""
### How it grows

Twice the size, how many times the seconds? If seconds = c · size^p, then log seconds = log c + p · log size: a line, whose slope is the exponent. Through
measured points goes the line of *least squares*, with the slope

$$p = \frac{\sum (u - \bar u)(v - \bar v)}{\sum (u - \bar u)^2}, \qquad u = \log \text{size}, \quad v = \log \text{seconds}$$

    sizes 1, 2, 4, 8    seconds 3, 12, 48, 192    p = 2
    sizes 1, 2, 4, 8    seconds 1, 1, 1, 4        p = 0.6      (the two ends alone would say 2/3)

**Write `growth(sizes, seconds)`**, a float; two lists or arrays of one length, in any order. A `ValueError` for different lengths (holding both), for sizes that are all equal or fewer than two, and
for a size or a time that is not above 0, nan among them (holding it): it has no logarithm.
"""

# %% nbgrader={"grade": false, "grade_id": "growth", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Check before you take logarithms: lengths, signs, and whether there are two different sizes.", "NumPy fits polynomials; a line is one of degree 1. Or write the two sums."], "minutes": 20, "objective": "timing"}
#| export
def growth(sizes, seconds):
    """The exponent p of seconds ≈ c · size^p: the slope of least squares on logarithms, a float.

    Raises ValueError for different lengths, fewer than two different sizes, and what is not above 0.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-growth", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_growth():
    expect(growth([1, 2, 4, 8], [3, 12, 48, 192]), 2, "3 · size²", atol=1e-12)
    expect(growth([1, 2, 4, 8], [1, 1, 1, 4]), 0.6, "not a line: least squares, not the two ends", atol=1e-12)
    expect(growth([8, 1, 4, 2], [4, 1, 1, 1]), 0.6, "in another order", atol=1e-12)
    expect(growth(np.array([10, 1000]), np.array([5.0, 5.0])), 0, "arrays; no growth", atol=1e-12)
    expect(growth([2, 8], [6.0, 3.0]), -0.5, "less and less", atol=1e-12)
    expect(growth([1, 1, 100], [1, 100, 1000]), 1, "a size twice", atol=1e-12)
    expect(type(growth([1, 2], [1, 2])), float, "the type")
    expect_error(ValueError, [3, 2], growth, [1, 2, 3], [1.0, 2.0])
    expect_error(ValueError, 0, growth, [0, 2], [1.0, 2.0])
    expect_error(ValueError, -7, growth, [1, 2], [1.0, -7.0])
    expect_error(ValueError, "nan", growth, [1, 2], [1.0, np.nan])
    for sizes in ([], [3], [5, 5, 5]):
        expect_error(ValueError, [], growth, sizes, [1.0] * len(sizes))
    print("🔬 growth: passed")

test_unit_growth()

# %% nbgrader={"grade": true, "grade_id": "test-growth-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: exponents that are no integers, and noise.
### BEGIN HIDDEN TESTS
sizes = np.array([3.0, 7, 20, 55, 400])
expect(growth(sizes, 0.02 * sizes**1.37), 1.37, "0.02 · size^1.37", atol=1e-12)
noise = np.exp([0.1, -0.2, 0.05, 0.3, -0.1])
fitted = np.polyfit(np.log(sizes), np.log(sizes**3 * noise), 1)[0]
expect(growth(sizes, sizes**3 * noise), fitted, "noise", atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict** three exponents over the size n of a matrix n × n: its sum, a product of two of them, and n additions of two single numbers.
"""

# %% tags=["measure"]
def watched(function):
    """(function(), words): the share of the time in which this process computed, its threads added up."""
    own, wall = time.process_time(), time.perf_counter()
    result = function()
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    return result, f"processor {share:.0%}" + ("; somebody else is computing here" if share < 0.9 else "")


def analyze_growth(sizes=(128, 256, 512, 1024)):
    """The exponents of three operations in the size n."""
    pairs = {n: np.random.default_rng(n).normal(size=(2, n, n)).astype(np.float32) for n in sizes}
    kinds = {
        "sum of n × n": lambda n: pairs[n][0].sum(),
        "product of n × n": lambda n: pairs[n][0] @ pairs[n][1],
        "n additions of 1 + 1": lambda n: [Tensor.wrap(pairs[n][0, 0, 0]) + 1.0 for _ in range(n)],
    }
    for name, function in kinds.items():
        runs = [lambda n=n, function=function: function(n) for n in sizes]
        timings, said = watched(lambda runs=runs: [measure(run, repeats=5) for run in runs])
        p = growth(sizes, [timing.median for timing in timings])
        print(f"📊 {name}: exponent {p:.2f}; the last one {timings[-1]}; {said}")

analyze_growth()

# %% [markdown]
r"""
By their counts: 2, 3 and 1. Measured ones are often off, for three reasons. Small products do not fill the machine; large arrays fall out of its caches; and where others compute too, short runs fit
between their turns while long ones are interrupted, every time, so that even the quartiles lie close together. *processor* is the share of the time that was yours: below 90 %
no number here can be trusted. Wait until the machine is quiet, and run the cell again.

### What the machine can do

Two numbers bound every operation: the *peak*, FLOPs a second (FLOP/s) in the fastest of three matrix products, where everything is in cache and all lanes are busy; and the *bandwidth*, bytes a second in a copy of
arrays that no cache holds. An operation of intensity i can at best reach min(peak, bandwidth · i): the *roofline* (Williams, Waterman and Patterson, 2009). Where both are equal, at
peak / bandwidth, is the *ridge*: left of it an operation waits for memory, right of it for the processor. Neither is read off a data sheet here: `this_machine` measures both.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-machine", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% tags=["measure"]
machine, said = watched(this_machine)
rates = f"{machine.flops / 1e9:.0f} GFLOP/s, {machine.bandwidth / 1e9:.1f} GB/s"
print(f"📊 {rates}, ridge at {machine.ridge:.1f} FLOPs a byte; {said}")

# %% [markdown]
r"""
### The profile

`with Profile() as profile:` fills the observer's slot. Every operation of the block and every rule becomes a row: when and how long it ran, its FLOPs and bytes by your counts. On the way
back the incoming gradient and the inputs count as read, and the gradients as written; an embedding or an index reads only what it hands over. Counting takes time, too, which is left out.

The rows do not make the whole block: the optimizer works on arrays, and Python between the operations. `table` says how much of the block's time the operations are, and says so in words where more than a
tenth is missing. A block in which no operation ran is an error, and not a profile of zeros. The bookkeeping is provided, in `tinytorch/profiles.py`; the counts are yours.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Profile", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Profile(Recorder):
    """What each operation in a block costs, forward and backward: `with Profile() as profile:`.

    A Recorder (rows, seconds, total, by_operation, table, trace_events, save_trace) that counts by flops_of
    and bytes_of. Raises what it raises, and ValueError naming an operation that nobody has counted.
    """

    def __init__(self, clock=time.perf_counter):
        super().__init__(Op, flops_of, bytes_of, clock)

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def profile_nothing():
    with Profile():
        sum([1, 2])


def test_module():
    manual_seed(0)
    model = Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(18, 3))
    images, labels = np.ones((4, 1, 8, 8), np.float32), np.array([0, 1, 2, 0])
    with Profile() as profile:
        cross_entropy(model(Tensor(images)), labels).backward()
    counts = {"convolve": (5184, 5184), "matmul": (432, 864), "relu": (288, 576), "pool_max": (288, 288)}
    for name, flops in counts.items():  # the products by PyTorch 2.13's FlopCounterMode
        ways = [profile.total(name, way) for way in ("forward", "backward")]
        expect([int(way.flops) for way in ways], list(flops), f"{name}: FLOPs forward and backward")
    expect(int(profile.total("convolve", "forward").bytes), 2256, "images, weight, bias read, maps written")
    expect_error(RuntimeError, "operation", profile_nothing)
    loss = cross_entropy(model(Tensor(images)), labels)
    before = int(held_bytes(loss))
    loss.backward()
    expect([before > 2176, held_bytes(loss)], [True, 4], "held before and after backward")
    sizes = [10, 20, 40]
    medians = [timed_with([99, n * n, 0, 9 * n * n], repeats=3)[0].median for n in sizes]
    expect(growth(sizes, medians), 2, "three sizes, timed on a clock of the test's own", atol=1e-12)
    print("🧪 module 14, a step of a CNN counted as by PyTorch, its memory, and an exponent: passed")

test_module()

# %% [markdown]
r"""
## One training step

A CNN for 32 × 32 colour images, and module 13's GPT. **Predict** for both: which operation takes most of the time? How many times as long as forward takes backward, and how many times as many FLOPs has it?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def cnn_step(batch=32):
    """A training step of a CNN of two convolutions, as a function."""
    manual_seed(0)
    first, second = Conv2d(3, 32, 5, padding=2), Conv2d(32, 64, 5, padding=2)
    layers = first, ReLU(), MaxPool2d(2), second, ReLU(), MaxPool2d(2), Flatten(), Linear(4096, 10)
    model, images = Sequential(*layers), Tensor(np.random.default_rng(0).normal(size=(batch, 3, 32, 32)))
    optimizer = SGD(model.parameters(), lr=0.01)
    return lambda: training_step(model, cross_entropy, optimizer, images, np.arange(batch) % 10)


def small_gpt():
    return initialize(GPT(65, 64, 4, 4, 128), 4, np.random.default_rng(0))


def gpt_step(batch=12):
    """A training step of module 13's GPT, as a function."""
    model = small_gpt()
    optimizer = AdamW(model.parameters(), lr=1e-3)
    ids = np.random.default_rng(0).integers(65, size=(2, batch, 64))
    return lambda: training_step(model, next_token_loss, optimizer, *ids)


def profiled(step):
    step()
    with Profile() as profile:
        step()
    return profile


profiles = {"CNN": profiled(cnn_step()), "GPT": profiled(gpt_step())}
for name, profile in profiles.items():
    ways = [profile.total(way=way) for way in ("backward", "forward")]
    times, flops = ([getattr(way, what) for way in ways] for what in ("seconds", "flops"))
    print(f"📊 a training step of the {name}\n{profile.table(7)}")
    print(f"backward / forward: {times[0] / times[1]:.2f} in time, {flops[0] / flops[1]:.2f} in FLOPs\n")

# %% [markdown]
r"""
A product has two on the way back, hence the 2 that is often quoted. Less than that in FLOPs: the first layer's images want no gradient. More: attention computes its scores again. In time other things
count, too: pooling has next to no FLOPs, and what its rule takes is memory and bookkeeping.

`profile.save_trace("step.json")` writes the *trace-event format*, which https://ui.perfetto.dev shows on a time line: try it.

### On the roofline

**Predict**: which operations lie left of the ridge, and which come closest to the roof?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt


def analyze_roofline(largest=6):
    """The operations that take longest, FLOP/s over intensity, below this machine's roof."""
    _, panels = plt.subplots(1, 2, figsize=(9, 4.8), sharey=True, layout="constrained")
    reach, kinds = np.geomspace(0.02, 1000, 100), {}
    for axes, (name, profile) in zip(panels, profiles.items(), strict=True):
        axes.loglog(reach, [machine.roof(i) / 1e9 for i in reach], color="0.3", label="roof")
        rows = [row for row in profile.by_operation() if row.flops and row.bytes and row.seconds][:largest]
        for row in rows:
            intensity, rate = row.flops / row.bytes, row.flops / row.seconds
            label, fill = f"{row.name} {row.way}", "none" if row.way == "backward" else "full"
            look = kinds.setdefault(row.name, len(kinds))  # a colour and a mark for each operation
            style = {"marker": "osD^vPX*<>ph"[look], "color": f"C{look}", "fillstyle": fill, "ls": ""}
            axes.plot(intensity, rate / 1e9, markersize=8, label=label, **style)
            above = row.name in PRODUCTS and row.name != "convolve" and rate > machine.flops
            note = ", above the peak: others computed while that was measured" if above else ""
            reached = rate / machine.roof(intensity)
            print(f"📊 {name}, {label}: {intensity:.2f} FLOPs a byte, {reached:.0%} of its roof{note}")
        axes.set(title=f"A step of the {name}", xlabel="FLOPs a byte")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize="small")
    panels[0].set_ylabel("GFLOP/s")
    plt.show()

analyze_roofline()

# %% [markdown]
r"""
Left of the ridge a faster processor would help nobody: those operations have to move less, by being *fused* with their neighbours. Right of it, what is missing to the roof is a
better kernel's to find. Two caveats. A point can lie above the roof: small arrays stay in the cache, the provided convolution may multiply less than the definition says, and a peak that was measured
while others computed is too low (the cell says so where a product lies above it: run `this_machine` again). And a row counts
what the operation *has to* move; one that makes temporary arrays moves more and falls below.

## Memory over a step

**Predict**: does `held_bytes` count what really is in memory? And where in a step is most of it? `tracemalloc` notes every array that NumPy asks memory for. Parameters were there before,
and are left out of both.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import tracemalloc


def analyze_memory():
    """Traced memory after each operation of a step of the GPT, beside what held_bytes counts."""
    model, ids = small_gpt(), np.random.default_rng(0).integers(65, size=(2, 12, 64))
    traced, parameters = [], sum(parameter.nbytes for parameter in model.parameters())

    def watch(op, function, arguments, settings):
        results = function(*arguments, **settings)
        traced.append(tracemalloc.get_traced_memory()[0] / 1e6)
        return results

    tracemalloc.start()
    Op.observer = watch
    try:
        loss = next_token_loss(model(ids[0]), ids[1])
        turn, seen = len(traced), tracemalloc.get_traced_memory()[0] / 1e6
        held = (held_bytes(loss) - parameters) / 1e6
        loss.backward()
        peak, left = (part / 1e6 for part in tracemalloc.get_traced_memory()[::-1])
    finally:
        Op.observer = None
        tracemalloc.stop()
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(traced, color="0.2", label="traced")
    axes.axhline(held, linestyle="--", color="0.5", label="held_bytes before backward")
    axes.axvline(turn, linestyle=":", color="0.5", label="backward begins")
    axes.set(title="Memory over a step of the GPT", xlabel="operations so far", ylabel="megabytes")
    axes.set_ylim(0, None)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    plt.show()
    ratio = f"a ratio of {held / seen:.3f}; peak {peak:.1f} MB"
    print(f"📊 before backward: counted {held:.1f} MB, traced {seen:.1f} MB, {ratio}")
    print(f"📊 after backward: {left:.1f} MB, of which the gradients are {parameters / 1e6:.1f} MB")

analyze_memory()

# %% [markdown]
r"""
The count is nearly all that is traced; the rest is Python's own objects. The peak lies just behind the turn, where the first gradients stand beside all activations; then `backward` releases more than it
makes. What limits a batch is this hill, and not the parameters.

## How long would GPT-2 take here?

The smallest GPT-2 (2019) has 12 blocks of 768 numbers and 12 heads, 1,024 places, 50,257 symbols, 124 million parameters; well-known reproductions train it on 300 billion tokens. No model is needed to count it:
`np.broadcast_to` makes arrays of any shape out of one number. **Predict**: weeks, years, centuries?
"""

# %% tags=["measure"]
def gpt_flops(layers, width, heads, places, symbols):
    """FLOPs of the products of a GPT's forward pass over one window, counted from shapes alone."""

    def call(name, *shapes):
        *arrays, out = [np.broadcast_to(np.float32(0), shape) for shape in shapes]
        return product_flops(name, arrays, out, {})

    sizes = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
    maps = sum(call("linear", (places, n), (m, n), (places, m)) for n, m in sizes)
    block = maps + call("attention", *[(heads, places, width // heads)] * 4)
    return layers * block + call("matmul", (places, width), (width, symbols), (places, symbols))


def analyze_gpt2(tokens=300e9, year=365 * 86400):
    """The time that training GPT-2 would take, at the rate of the GPT's step and at this machine's peak."""
    step = profiles["GPT"]
    ran = sum(step.total(name, "forward").flops for name in ("linear", "attention", "matmul"))
    print(f"📊 own GPT, forward: {12 * gpt_flops(4, 128, 4, 64, 65):,} FLOPs from shapes, {ran:,} as it ran")
    training = 3 * gpt_flops(12, 768, 12, 1024, 50257) / 1024
    rule = f"6 for each parameter would be {6 * 0.124:.2f}"
    print(f"📊 GPT-2: {training / 1e9:.2f} GFLOP a token in training; {rule}")
    rate = step.total().flops / step.seconds
    print(f"📊 at your step's {rate / 1e9:.0f} GFLOP/s {tokens * training / rate / year:.0f} years")
    print(f"📊 at this machine's peak {tokens * training / machine.flops / year:.0f} years")

analyze_gpt2()

# %% [markdown]
r"""
Three times forward, for forward and back; the rule of thumb "6 FLOPs for each parameter and token" leaves attention out. No kernel closes a gap of that size: that is what many
machines at once are for.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-roofline", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which of the GPT's operations came closest to its roof in your run, and which stayed farthest below it? Give intensity and share of both, say on which side of your ridge they lie, and what you would
change about each. (b) What are the two ratios of backward to forward of your CNN? Name one reason why the ratio of FLOPs is not 2. (c) How many years did your run print for GPT-2, at your rate and at the peak? By which factor could better code at most shorten it here?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-roofline", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) the printed numbers: closest a product (`linear`, dozens of FLOPs a byte, right of the ridge: a better kernel, larger batches); farthest one of many passes (`gelu`, `layer_norm`, near the
ridge or left of it: it moves temporary arrays; fuse them), 1 point. (b) The printed ratios; the first layer's
images want no gradient, attention computes its scores again, or elementwise rules of another number of operations, 1 point. (c) Both printed numbers; their quotient, peak over rate, is the factor, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Module 15 makes the bytes smaller: eight bits for a number instead of 32. Module 16 makes the numbers fewer, and module 18 goes for the distance to the roof. They prove their gains in time with `measure` and `speedup`.
Next: `tito module complete 14_profiling`.
"""
