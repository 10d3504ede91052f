# %% [markdown]
r"""
# 18 Acceleration

ReLU and pooling take a third of a CNN's step (14), though they compute next to nothing. Here you get the same results in another order: in blocks that stay in the cache,
in fewer passes, on both cores.

## Three questions first

**1.** (09) (n, m) times (m, p): how many multiply-adds?
<details><summary>Answer</summary> n·m·p, in any order. </details>

**2.** (12) Why does attention in blocks shrink its sum when a larger score comes?
<details><summary>Answer</summary> Its terms are e^(score − largest). </details>

**3.** (14) What bounds an addition of two large arrays?
<details><summary>Answer</summary> Memory: an addition moves 12 bytes. </details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, in_place

check_home()

# %%
#| default_exp core.acceleration

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import math

import numpy as np

from tinytorch.core.activations import ReLU, relu
from tinytorch.core.layers import Module, Sequential
from tinytorch.core.spatial import Conv2d, MaxPool2d, check_fit, conv2d, convolve_engines, max_pool2d, pair
from tinytorch.core.tensor import Op, Tensor, result_dtype
from tinytorch.kernels import Engines, rewrites
from tinytorch.kernels.spatial import ConvolutionOfSome
from tinytorch.kernels.spatial import convolve_gradient as fast_gradient
from tinytorch.threads import map_blocks

# %% [markdown]
r"""
## Part 1 of 3 · about 4 hours: blocks

### A product in blocks

A processor waits for what is not in its *cache*. The triple loop loads two numbers for each multiplication. In blocks of `s` × `s` a loaded number
takes part in `s` of them:

    n = m = p = 4                       numbers loaded
    block 1: 64 products of one by one       64 · (1 + 1)  = 128
    block 2:  8 products of 2×2 by 2×2        8 · (4 + 4)  =  64
    block 4:  1 product                       1 · (16 + 16) =  32

`a` is loaded once for each column of blocks of the result, `b` once for each row.

**Write `block_loads(n, m, p, block)`**, the numbers loaded for (n, m) times (m, p), an int, and **`matmul_in_blocks(a, b, block)`**: for each block of the result and each place on
the inner axis, load one block of `a` and one of `b`, as `a[rows, columns]`, two slices, and add their product. The result has their common `dtype`, and zeros
for an empty inner axis. A block below 1 and unequal inner sizes are a `ValueError` naming it, or both shapes.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul_in_blocks", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many columns of blocks does the result have, where its p columns are no multiple of the block?", "Three loops over the starts of blocks: rows, columns, inner axis. What is added where?", "A slice may reach over the end of an axis: it is then shorter by itself."], "minutes": 40, "objective": "blocks"}
#| export
def block_loads(n, m, p, block):
    """How many numbers matmul_in_blocks loads for a product of (n, m) with (m, p)."""
    ### BEGIN SOLUTION
    return n * m * math.ceil(p / block) + m * p * math.ceil(n / block)
    ### END SOLUTION


def matmul_in_blocks(a, b, block):
    """The product of a (n, m) and b (m, p), which are read as `a[rows, columns]`, block × block at a time.

    Raises ValueError for a block below 1 and for inner sizes that differ.
    """
    ### BEGIN SOLUTION
    (n, m), (inner, p) = a.shape, b.shape
    if block < 1:
        raise ValueError(f"matmul_in_blocks: a block of {block} holds nothing; at least 1")
    if m != inner:
        raise ValueError(f"matmul_in_blocks: shapes {(n, m)} and {(inner, p)} differ in their inner size")
    out = np.zeros((n, p), np.result_type(a.dtype, b.dtype))
    for i in range(0, n, block):
        for j in range(0, p, block):
            for k in range(0, m, block):
                left, right = a[i : i + block, k : k + block], b[k : k + block, j : j + block]
                out[i : i + block, j : j + block] += left @ right
    return out
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-Recorded", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Recorded:
    """A matrix that is read in blocks, `a[rows, columns]` with two slices, and counts what it gave away."""

    def __init__(self, data):
        self.data = np.array(data)
        self.shape, self.dtype = self.data.shape, self.data.dtype
        self.loads = self.largest = 0

    def __getitem__(self, key):
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(one, slice) for one in key)):
            raise TypeError("this matrix is read in blocks: a[rows, columns], with two slices")
        block = self.data[key].copy()
        self.loads, self.largest = self.loads + block.size, max(self.largest, block.size)
        return block


class Counted:
    """A function that remembers the shapes of the arrays that it was called with, sorted."""

    def __init__(self, function):
        self.function, self.calls = function, []

    def __call__(self, *arrays):
        self.calls = sorted([*self.calls, [list(np.shape(array)) for array in arrays]])
        return self.function(*arrays)

# %% nbgrader={"grade": true, "grade_id": "test-matmul_in_blocks", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_in_blocks():
    expect(block_loads(2, 3, 5, 2), 2 * 3 * 3 + 3 * 5 * 1, "(2, 3) times (3, 5) in blocks of 2")
    left, right = np.arange(16.0).reshape(4, 4), np.arange(16.0)[::-1].reshape(4, 4)
    for block, loads in [(1, 128), (2, 64), (4, 32), (9, 32)]:
        expect(block_loads(4, 4, 4, block), loads, f"numbers loaded, 4 × 4, block {block}")
        a, b = Recorded(left), Recorded(right)
        expect(matmul_in_blocks(a, b, block), left @ right, f"4 × 4 in blocks of {block}", rtol=1e-12)
        expect(a.loads + b.loads, loads, f"what was loaded, block {block}")
        expect(a.largest, min(block, 4) ** 2, f"the largest block of a, block {block}")
    print("🔬 matmul_in_blocks: passed")

test_unit_matmul_in_blocks()

# %% nbgrader={"grade": true, "grade_id": "test-matmul_in_blocks-edges", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_in_blocks_edges():
    left, right = np.arange(6.0).reshape(2, 3), np.arange(15.0).reshape(3, 5)
    a, b = Recorded(left), Recorded(right)
    expect(matmul_in_blocks(a, b, 2), left @ right, "(2, 3) times (3, 5) in blocks of 2", rtol=1e-12)
    expect([a.loads, b.loads, a.largest, b.largest], [18, 15, 4, 4], "loaded of a and of b; largest blocks")
    small, ones = Recorded(np.ones((2, 2), np.float32)), Recorded(np.ones((2, 2)))
    expect(matmul_in_blocks(small, small, 1), [[2, 2], [2, 2]], "float32 stays", dtype=np.float32)
    for a, b in ((small, ones), (ones, small)):
        expect(matmul_in_blocks(a, b, 1), [[2, 2], [2, 2]], "float32 and float64", dtype=np.float64)
    a, b = Recorded(np.ones((2, 0))), Recorded(np.ones((0, 3)))
    expect(matmul_in_blocks(a, b, 2), np.zeros((2, 3)), "an empty inner axis")
    expect_error(ValueError, 0, matmul_in_blocks, small, small, 0)
    expect_error(ValueError, [(2, 3), (2, 2)], matmul_in_blocks, Recorded(left), small, 2)
    print("🔬 matmul_in_blocks, edges: passed")

test_unit_matmul_in_blocks_edges()

# %% nbgrader={"grade": true, "grade_id": "test-matmul_in_blocks-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes and blocks, counted on both sides.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(18)
for n, m, p, block in [(7, 5, 3, 3), (1, 8, 6, 4), (5, 5, 5, 2), (4, 0, 2, 3)]:
    left, right = drawn.normal(size=(n, m)), drawn.normal(size=(m, p))
    a, b = Recorded(left), Recorded(right)
    expect(matmul_in_blocks(a, b, block), left @ right, f"({n}, {m}, {p}) in blocks of {block}", atol=1e-12)
    rounds = [-(-size // block) for size in (p, n)]
    wanted = [n * m * rounds[0], m * p * rounds[1]]
    expect([a.loads, b.loads], wanted, f"loads, ({n}, {m}, {p}), block {block}")
    expect(block_loads(n, m, p, block), a.loads + b.loads, f"the prediction, ({n}, {m}, {p}), block {block}")
### END HIDDEN TESTS

# %% [markdown]
r"""
Fewer loads help if a block stays in the cache while it is used. This simulated one holds 256 numbers in lines of 8; the line that was not used for longest goes.
**Predict**: for 32 × 32 matrices, which block gives the fewest *misses*?
"""

# %% tags=["measure"]
from collections import OrderedDict


def misses(addresses, size=256, line=8):
    """How many of the addresses are not in a cache of `size` numbers; the line least recently used goes."""
    lines, missed = OrderedDict(), 0
    for address in addresses:
        missed += address // line not in lines
        lines[address // line] = None
        lines.move_to_end(address // line)
        if len(lines) > size // line:
            lines.popitem(last=False)
    return missed


def touched(n, block):
    """The addresses that an n × n product in blocks touches: a from 0, b from n², the result from 2n²."""
    starts = range(0, n, block)
    for i0, j0, k0 in ((i, j, k) for i in starts for j in starts for k in starts):
        for i, k in ((i, k) for i in range(i0, i0 + block) for k in range(k0, k0 + block)):
            for j in range(j0, j0 + block):
                yield from (i * n + k, n * n + k * n + j, 2 * n * n + i * n + j)


for block in (1, 2, 4, 8, 16, 32):
    found = misses(touched(32, block))
    print(f"📊 block {block:2}: {block_loads(32, 32, 32, block):6,} numbers loaded, {found:6,} misses")

# %% [markdown]
r"""
The misses fall as the loads do, until three blocks no longer fit: 3 · 8² = 192 numbers do, 3 · 16² = 768 do not. So a block is chosen for a cache.

In Python the loop costs more than the misses, unless one NumPy call does a block's work.
**Predict** the gain of a transposed copy in blocks of 64 × 64:
"""

# %% tags=["measure"]
from tinytorch.core.profiling import measure, speedup
from tinytorch.threads import thread_count


def analyze_transposed_copy(n=4096, block=64):
    """A transposed copy of n × n float32 at once, against the same in blocks."""
    source, target = np.ones((n, n), np.float32), np.empty((n, n), np.float32)

    def in_blocks():
        for i in range(0, n, block):
            for j in range(0, n, block):
                target[j : j + block, i : i + block] = source[i : i + block, j : j + block].T

    ratio = speedup(lambda: np.copyto(target, source.T), in_blocks, pairs=3)
    print(f"📊 {source.nbytes / 1e6:.0f} MB: at once {ratio.median:.2f} times as long as in blocks of {block}")

analyze_transposed_copy()

# %% [markdown]
r"""
### A chain in blocks

GELU's approximation (02) is y = x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), some eight passes. Over 19 MB each goes through memory; in blocks all but the first find their numbers in
the cache. A pass that is told where to write, `np.multiply(a, b, out=c)` or `c *= b`, makes no new array. (`np.power` takes as long as many products: x³ is x² · x.)

    x = 1:   1 + 0.044715 = 1.044715,   · √(2/π) = 0.833562,   tanh 0.682384,   1.682384 / 2 = 0.841192

**Write `gelu_block(x, out)`**: fill `out`, which has the shape of `x`, and return None. Every pass writes into `out`: no other array is made (counted).
**Write `chain_in_blocks(chain, x, size)`**: a new array with shape and dtype of the contiguous `x`, which `chain(block, out_block)` fills, `size` entries at a time along the
flattened array, the last block shorter. `map_blocks(function, starts)` shares the blocks among the cores. A size below 1 is a `ValueError` naming it.
"""

# %% nbgrader={"grade": false, "grade_id": "gelu_block", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["x³ is x² · x: which factor can be taken out of x + 0.044715 x³?", "The first pass reads x and writes out; from then on every pass changes out, and some of them read x again.", "flatten x and the result with reshape, which copies nothing here; a function of the start of a block is what map_blocks wants."], "minutes": 40, "objective": "blocks"}
#| export
def gelu_block(x, out):
    """Fill `out` with the tanh form of GELU of `x`, arrays of one shape, without any other array."""
    ### BEGIN SOLUTION
    np.multiply(x, x, out=out)
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5
    ### END SOLUTION


def chain_in_blocks(chain, x, size):
    """A new array like x that chain(block, out_block) fills, `size` entries at a time, on all cores.

    Raises ValueError for a size below 1.
    """
    ### BEGIN SOLUTION
    if size < 1:
        raise ValueError(f"chain_in_blocks: a block of {size} entries; at least 1")
    out = np.empty(x.shape, x.dtype)
    entries, results = x.reshape(-1), out.reshape(-1)

    def work(start):
        chain(entries[start : start + size], results[start : start + size])

    map_blocks(work, range(0, x.size, size))
    return out
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-Watched", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Watched(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose arithmetic is watched: count[0] arrays came about for lack of an `out`."""

    def __init__(self, data, count=None):
        self.data, self.count = data, [0] if count is None else count

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **settings):
        plain = [[x.data if isinstance(x, Watched) else x for x in arrays] for arrays in (inputs, out)]
        if not out:
            self.count[0] += 1
            return Watched(getattr(ufunc, method)(*plain[0], **settings), self.count)
        getattr(ufunc, method)(*plain[0], out=tuple(plain[1]), **settings)
        return out[0]

    def __array__(self, *_, **__):
        self.count[0] += 1
        return self.data.copy()

    def __getitem__(self, key):
        return Watched(self.data[key], self.count)

    def __setitem__(self, key, value):
        self.data[key] = value.data if isinstance(value, Watched) else value


doubled = lambda x, out: np.multiply(x, 2, out=out)


def watched_pair(numbers, dtype=np.float64):
    """`numbers`, and an array to fill, both Watched with one count."""
    x = Watched(np.array(numbers, dtype))
    return x, Watched(np.full(x.shape, np.nan, dtype), x.count)

# %% nbgrader={"grade": true, "grade_id": "test-gelu_block", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_gelu_block():
    x, out = watched_pair([1.0, -1.0, 0.0, 3.0, -40.0])
    gelu_block(*in_place(x, out))
    expected = [0.8411919906, -0.1588080094, 0, 2.9963626079, 0]  # PyTorch 2.13
    expect(np.asarray(out.data), expected, "gelu of 1, -1, 0, 3, -40", atol=1e-7)
    expect(x.count, [0], "arrays made on the way")
    expect(np.asarray(x.data), [1, -1, 0, 3, -40], "x stays")
    x, out = watched_pair([[2.0]], np.float32)
    gelu_block(*in_place(x, out))
    expect(np.asarray(out.data), [[1.9545977]], "gelu of 2, float32", atol=1e-6, dtype=np.float32)
    print("🔬 gelu_block: passed")

test_unit_gelu_block()

# %% nbgrader={"grade": true, "grade_id": "test-gelu_block-chain", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_chain_in_blocks():
    numbers, chain = np.arange(12.0).reshape(3, 4), Counted(doubled)
    got = chain_in_blocks(chain, numbers, 5)
    expect(got, 2 * numbers, "twice the numbers from 0 to 11, in blocks of 5")
    expect(chain.calls, [[[2], [2]], [[5], [5]], [[5], [5]]], "the blocks that the chain saw")
    chain = Counted(doubled)
    expect(chain_in_blocks(chain, np.ones(3, np.float32), 7), [2, 2, 2], "one block", dtype=np.float32)
    expect(chain.calls, [[[3], [3]]], "it is as long as the array")
    expect(chain_in_blocks(Counted(doubled), np.ones(3), 1), [2, 2, 2], "blocks of one entry")
    expect(chain_in_blocks(chain, np.ones((0, 2)), 7).shape, (0, 2), "nothing")
    expect(chain_in_blocks(chain, np.array(4.0), 7), 8, "an array of shape ()")
    expect_error(ValueError, 0, chain_in_blocks, chain, numbers, 0)
    print("🔬 chain_in_blocks: passed")

test_unit_chain_in_blocks()

# %% nbgrader={"grade": true, "grade_id": "test-gelu_block-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: the formula in float64, and other sizes of blocks.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(181).normal(size=(4, 9)) * 3
wanted = drawn / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (drawn + 0.044715 * drawn**3)))
x, out = watched_pair(drawn)
gelu_block(*in_place(x, out))
expect(np.asarray(out.data), wanted, "36 numbers", atol=1e-12)
chain = Counted(doubled)
expect(chain_in_blocks(chain, drawn, 35), 2 * drawn, "blocks of 35 and 1")
expect([call[0] for call in chain.calls], [[1], [35]], "their lengths")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: for (3072, 1536) numbers, how much do blocks gain on one core, and how much do the cores add?
"""

# %% tags=["measure"]
def analyze_chain(shape=(3072, 1536)):
    """GELU as an expression, in blocks on one core, in blocks on all."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    out = np.empty_like(x)

    def whole():
        return x / 2 * (1 + np.tanh(0.7978846 * (x + 0.044715 * x * x * x)))

    def one_core():
        for i in range(0, len(x), 21):
            gelu_block(x[i : i + 21], out[i : i + 21])

    blocks = speedup(whole, one_core, pairs=5)
    cores = speedup(one_core, lambda: chain_in_blocks(gelu_block, x, 21 * shape[1]), pairs=5)
    print(f"📊 blocks on one core are {blocks.median:.2f} times as fast as the expression, "
          f"and {thread_count()} threads {cores.median:.2f} times as fast as one core")

analyze_chain()

# %% [markdown]
r"""
### Find the fault

Work memory that is used again saves allocations. This is to double the numbers 0 to 5 in blocks of two. Run it: which line is wrong?
"""

# %%
scratch, parts = np.empty(2), []
for start in range(0, 6, 2):
    part = np.multiply(np.arange(start, start + 2), 2, out=scratch)
    parts.append(part)
print(np.concatenate(parts))

# %% [markdown]
r"""
<details><summary>Answer</summary>

`parts.append(part)`: `part` is `scratch` itself, three times the same array, in which the last block is left. What work memory holds has to be used up or copied before the next
block, and each thread needs its own.

</details>

Here you can stop.

## Part 2 of 3 · about 5 hours: fewer passes

### Three layers in one visit

Convolution, ReLU and pooling walk five times through the convolution's result, 16.8 MB for 128 images of 32 channels. Fused, a few images are convolved, and while their pixels lie in
the cache they become what the next layer needs. One byte each is kept for `backward`: *which* of the four pixels was the largest, 0 to 3 row by row, or 4 where ReLU cut the result to 0.

    pixels  1  5     bias −2     largest 7, place 2     →  out 5, place 2
            7  7     bias −9     largest 7              →  out 0, place 4

Bias and ReLU keep the order of numbers, so they may come after the maximum. Of equal pixels the first counts: find the larger one of each *row* first (the right one only if it is larger),
then the larger of the two rows.

**Write `relu_pool_block(pixels, bias)`** for pixels (n, H, W, C), channels last, H and W even, and bias (C,): `out` (n, H/2, W/2, C) and `places`,
the same in uint8. Arithmetic on bytes is several times faster than `np.where`: `(a > b).view(np.uint8)` is 0 or 1 and copies nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "relu_pool_block", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A reshape to (n, H, W/2, 2, C) gives left and right pixels as two views, without a loop.", "With is_lower 0 or 1, the place within the row is that of the upper row times (1 - is_lower) plus that of the lower row times is_lower. And the row itself adds two.", "The maximum comes before the bias; place 4 is decided by what is left after ReLU."], "minutes": 45, "objective": "fusion"}
#| export
def relu_pool_block(pixels, bias):
    """max_pool2d(relu(pixels + bias), 2) of pixels (n, H, W, C), H and W even, and bias (C,), in few passes.

    Returns out (n, H/2, W/2, C) and places, uint8: which pixel of the four it was, row by row, the first of
    equals; 4 where out is 0.
    """
    ### BEGIN SOLUTION
    n, h, w, c = pixels.shape
    pairs = pixels.reshape(n, h, w // 2, 2, c)
    left, right = pairs[:, :, :, 0], pairs[:, :, :, 1]
    is_right, larger = (right > left).view(np.uint8), np.maximum(left, right)
    upper, lower = larger[:, ::2], larger[:, 1::2]
    is_lower, out = (lower > upper).view(np.uint8), np.maximum(upper, lower)
    out += bias
    np.maximum(out, 0, out=out)
    places = is_right[:, ::2] * (1 - is_lower) + is_right[:, 1::2] * is_lower + 2 * is_lower
    np.maximum(places, 4 * (out == 0).view(np.uint8), out=places)
    return out, places
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-relu_pool_block", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu_pool_block():
    pixels = np.array([1.0, 5, 7, 7]).reshape(1, 2, 2, 1)
    for bias, out, place in [(-2, 5, 2), (-9, 0, 4), (-7, 0, 4), (1, 8, 2)]:
        got = relu_pool_block(pixels, np.array([bias], float))
        expect(got, ([[[[out]]]], [[[[place]]]]), f"the worked example, bias {bias}")
    expect(pixels.reshape(-1), [1, 5, 7, 7], "the pixels stay")
    for place in range(4):
        one = np.zeros((1, 2, 2, 1), np.float32)
        one[0, place // 2, place % 2] = 3
        out, places = relu_pool_block(one, np.zeros(1, np.float32))
        expect(out, [[[[3]]]], f"only pixel {place}", dtype=np.float32)
        expect(places, [[[[place]]]], f"the place of pixel {place}", dtype=np.uint8)
    expect(relu_pool_block(np.ones((1, 2, 2, 1)), np.zeros(1))[1], [[[[0]]]], "four equals: the first")
    print("🔬 relu_pool_block: passed")

test_unit_relu_pool_block()

# %% nbgrader={"grade": true, "grade_id": "test-relu_pool_block-several", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu_pool_block_several():
    pixels = np.array([[3.0, 1, 0, 9], [2, 8, 9, 9]]).reshape(1, 2, 4, 1) * np.array([1.0, -1])
    out, places = relu_pool_block(pixels, np.array([0.5, 2.5]))
    expect(out, [[[[8.5, 1.5], [9.5, 2.5]]]], "two windows, two channels; the second is the negative")
    expect(places, [[[[3, 1], [1, 0]]]], "their places")
    two = np.concatenate([pixels, pixels[:, :, ::-1]])
    expect(relu_pool_block(two, np.array([0.5, 2.5]))[0][1], [[[9.5, 2.5], [8.5, 1.5]]], "a second image")
    print("🔬 relu_pool_block, windows and channels: passed")

test_unit_relu_pool_block_several()

# %% nbgrader={"grade": true, "grade_id": "test-relu_pool_block-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: small integers with many ties, against loops.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(182)
pixels, bias = drawn.integers(-3, 4, (2, 6, 4, 3)).astype(float), np.array([-1.0, 0.0, 2.0])
out, places = (np.asarray(one) for one in relu_pool_block(pixels, bias))
for i, r, s, c in np.ndindex(2, 3, 2, 3):
    window = pixels[i, 2 * r : 2 * r + 2, 2 * s : 2 * s + 2, c].reshape(-1)
    window = [max(value + bias[c], 0.0) for value in window]
    first = window.index(max(window)) if max(window) > 0 else 4
    assert (out[i, r, s, c], places[i, r, s, c]) == (max(window), first), f"window {window}"
### END HIDDEN TESTS

# %% [markdown]
r"""
The convolution itself is handed in, as a function: `convolution(images)` gives the pixels (n, H, W, C) of some images, in work memory that its next call in the same
thread overwrites. **Write `relu_pool(convolution, images, bias, size)`**: `out` and `places` of all images, convolved `size` at a time by `map_blocks`, each block turned into
its outputs right away, so that each image is handed in exactly once (the last block may be smaller). Images (N, …) come with N ≥ 1. A size below 1 is a `ValueError` naming it.
"""

# %% nbgrader={"grade": false, "grade_id": "relu_pool", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What does a function for map_blocks get, and what does it return, so that the results come back in order?", "map_blocks gives a list of pairs in the order of the blocks: how do you turn it into two lists, and these into two arrays?"], "minutes": 20, "objective": "fusion"}
#| export
def relu_pool(convolution, images, bias, size):
    """(out, places) of all images: relu_pool_block of convolution(images), `size` at a time, on all cores.

    Raises ValueError for a size below 1.
    """
    ### BEGIN SOLUTION
    if size < 1:
        raise ValueError(f"relu_pool: blocks of {size} images; at least 1")

    def work(start):
        return relu_pool_block(convolution(images[start : start + size]), bias)

    outs, places = zip(*map_blocks(work, range(0, len(images), size)), strict=True)
    return np.concatenate(outs), np.concatenate(places)
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-Reused", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
import threading


class Reused:
    """A "convolution" that only copies, into memory of the thread that its next call there overwrites."""

    def __init__(self):
        self.own, self.sizes = threading.local(), []

    def __call__(self, images):
        self.sizes = sorted([*self.sizes, len(images)])
        if len(getattr(self.own, "memory", ())) != len(images):
            self.own.memory = images.copy()
        self.own.memory[...] = images
        return self.own.memory

# %% nbgrader={"grade": true, "grade_id": "test-relu_pool", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu_pool():
    images = np.arange(20.0).reshape(5, 2, 2, 1)
    for size, sizes in [(2, [1, 2, 2]), (1, [1] * 5), (8, [5])]:
        convolution = Reused()
        out, places = relu_pool(convolution, images, np.array([-7.0]), size)
        expect(np.asarray(out).reshape(-1), [0, 0, 4, 8, 12], f"five images in blocks of {size}")
        expect(np.asarray(places).reshape(-1), [4, 4, 3, 3, 3], f"places, blocks of {size}", dtype=np.uint8)
        expect(convolution.sizes, sizes, f"images a call, blocks of {size}")
    expect_error(ValueError, 0, relu_pool, Reused(), images, np.array([-7.0]), 0)
    print("🔬 relu_pool: passed")

test_unit_relu_pool()

# %% nbgrader={"grade": true, "grade_id": "test-relu_pool-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more windows and channels.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(183).normal(size=(7, 4, 6, 3))
convolution = Reused()
out, places = relu_pool(convolution, drawn, np.array([0.1, -0.2, 0.3]), 3)
windows = np.maximum(drawn + [0.1, -0.2, 0.3], 0).reshape(7, 2, 2, 3, 2, 3).max(axis=(2, 4))
expect(out, windows, "7 images in blocks of 3", atol=1e-12)
expect(np.asarray(places).shape, (7, 2, 3, 3), "shape of the places")
### END HIDDEN TESTS

# %% [markdown]
r"""
On the way back each gradient goes to its pixel, and nothing to the others; where the place is 4, nowhere:

    grad 10, place 2   →    0  0          grad 10, place 4   →    0  0
                           10  0                                  0  0

**Write `spread(grad, places)`**: from (n, h, w, C) to (n, 2h, 2w, C), in the dtype of `grad`. Four views of the result, one for each place, are filled by one
product each; no image needs a loop.
"""

# %% nbgrader={"grade": false, "grade_id": "spread", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["With which shape of the result are the four places of all windows four simple views?", "A boolean array times grad is grad or 0; np.multiply can write it straight into a view."], "minutes": 25, "objective": "fusion"}
#| export
def spread(grad, places):
    """The gradient of the pixels (n, 2h, 2w, C) of relu_pool_block, from grad (n, h, w, C) and its places."""
    ### BEGIN SOLUTION
    n, h, w, c = grad.shape
    out = np.empty((n, h, 2, w, 2, c), grad.dtype)

    def work(some):
        for place in range(4):
            target = out[some, :, place // 2, :, place % 2]
            np.multiply(grad[some], places[some] == place, out=target)

    map_blocks(work, [slice(start, start + 4) for start in range(0, n, 4)])
    return out.reshape(n, 2 * h, 2 * w, c)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-spread", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_spread():
    for place in range(5):
        got = np.asarray(spread(np.full((1, 1, 1, 1), 10.0), np.full((1, 1, 1, 1), place, np.uint8)))
        expect(got.shape, (1, 2, 2, 1), f"the shape, place {place}")
        expect(got.reshape(-1), [10.0 * (place == k) for k in range(4)], f"grad 10, place {place}")
    grad, places = np.array([[1, 2], [3, 4]], np.float32), np.array([[0, 3], [4, 1]], np.uint8)
    got = spread(grad.reshape(1, 1, 2, 2), places.reshape(1, 1, 2, 2))  # two windows, two channels
    wanted = np.array([[[1, 0], [0, 0], [0, 0], [0, 4]], [[0, 0], [0, 2], [0, 0], [0, 0]]], np.float32)
    expect(got, wanted[None], "two windows of two channels", dtype=np.float32)
    expect(spread(np.ones((0, 1, 1, 1)), np.ones((0, 1, 1, 1), np.uint8)).shape, (0, 2, 2, 1), "no image")
    print("🔬 spread: passed")

test_unit_spread()

# %% nbgrader={"grade": true, "grade_id": "test-spread-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: several images, place by place.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(184)
grad, places = drawn.normal(size=(5, 2, 3, 4)), drawn.integers(0, 5, (5, 2, 3, 4)).astype(np.uint8)
got = np.asarray(spread(grad, places))
for place in range(4):
    part = got[:, place // 2 :: 2, place % 2 :: 2]
    expect(part, np.where(places == place, grad, 0), f"place {place} of 5 images")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Your kernels as an engine

The operation `conv_relu_pool` puts yours around the convolution that is provided since module 09. It *saves* the places: `@Op(saves=True)` is for a function that returns its output
and one array for its rule. To compute the convolution a second time there would cost more than all that fusing gains.

`fuse` replaces each `Conv2d`, `ReLU`, `MaxPool2d(2)` in a `Sequential` by one layer with the same Parameters and two that do nothing, as PyTorch's `fuse_modules` does, so that
`state_dict` keeps its names. `use_kernels(model, "yours")` calls it; any other name runs the three operations again, apart.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-engine", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
BLOCK_IMAGES = 8  # whose convolution and outputs stay in a second-level cache


def conv_relu_pool_forward(x, weight, bias, *, stride, padding):
    """(out, places) of x (N, C, H, W): out (N, O, OH/2, OW/2), channels last in memory."""
    convolution = ConvolutionOfSome(weight, stride=stride, padding=padding)
    out, places = relu_pool(convolution, x, bias, BLOCK_IMAGES)
    return out.transpose(0, 3, 1, 2), places


@Op(saves=True)
def conv_relu_pool(x, weight, bias, *, stride, padding):
    """max_pool2d(relu(conv2d(x, weight, bias)), 2), for a convolution of even height and width."""
    dtype = result_dtype(x, weight, floating=True)
    x, weight, bias = (array.astype(dtype, copy=False) for array in (x, weight, bias))
    return conv_relu_pool_forward(x, weight, bias, stride=stride, padding=padding)


@conv_relu_pool.gradient
def conv_relu_pool_gradient(grad, out, x, weight, bias, *, stride, padding, needs, saved):
    """The gradients of x, weight and bias that `needs` asks for; saved: the places."""
    x, weight = x.astype(grad.dtype, copy=False), weight.astype(grad.dtype, copy=False)
    grad = grad.transpose(0, 2, 3, 1)
    pixels, how = spread(grad, saved).transpose(0, 3, 1, 2), {"stride": stride, "padding": padding}
    for_x, for_weight, _ = fast_gradient(pixels, None, x, weight, **how, needs=(*needs[:2], False))
    return for_x, for_weight, (grad * (saved < 4)).sum(axis=(0, 1, 2)) if needs[2] else None


def conv_relu_pool_flops(arrays, out, settings, backward):
    """For a Profile (14): of the convolution's products only, of which each gradient costs as many."""
    wanted = settings["needs"][:2] if backward else (True,)
    return sum(map(bool, wanted)) * 2 * 4 * out.size * math.prod(arrays[1].shape[1:])


conv_relu_pool.flops = conv_relu_pool_flops

fused_engines = Engines("convolve", "spatial", instead="product")
for name in ("loops", "product"):
    fused_engines.register(name, *convolve_engines[name])
fused_engines.register("yours", conv_relu_pool_forward, conv_relu_pool_gradient)


class ConvReLUPool(Conv2d):
    """A Conv2d with ReLU and MaxPool2d(2) behind it; fused by the engine "yours", apart by any other.

    Raises ValueError naming the layer where the convolution's height or width is odd.
    """

    engines = fused_engines

    def forward(self, x):
        if self.kernels != "yours" or x.ndim == 3 or len(x) == 0:
            kernels = "fast" if self.kernels == "yours" else self.kernels
            out = conv2d(x, self.weight, self.bias, self.stride, self.padding, kernels=kernels)
            return max_pool2d(relu(out), 2, kernels=kernels)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        check_fit(self, x.shape, self.kernel_size, self.stride, self.padding)
        sizes = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
        size = tuple((pixels + 2 * pad - k) // step + 1 for pixels, k, step, pad in sizes)
        if size[0] % 2 or size[1] % 2:
            raise ValueError(f"{self}: fused pooling needs even sizes, and the convolution gives {size}")
        bias = np.zeros(self.out_channels, np.float32) if self.bias is None else self.bias
        return conv_relu_pool(x, self.weight, bias, stride=self.stride, padding=self.padding)


class Nothing(Module):
    """What is left in the place of a layer that was fused into the one before."""

    def forward(self, x):
        return x


def fuse(model):
    """Put a ConvReLUPool for each Conv2d, ReLU, MaxPool2d(2) in a row of a Sequential; returns the model."""
    for sequence in [one for one in model.modules() if isinstance(one, Sequential)]:
        layers = list(sequence)
        for i, three in enumerate(zip(layers, layers[1:], layers[2:], strict=False)):
            conv, pool = three[0], three[2]
            if isinstance(conv, ConvReLUPool) or not all(map(isinstance, three, (Conv2d, ReLU, MaxPool2d))):
                continue
            settings = pool.kernel_size, pool.stride, pool.padding
            if [pair(one) for one in settings] == [(2, 2), (2, 2), (0, 0)]:
                fused = ConvReLUPool.__new__(ConvReLUPool)
                vars(fused).update(vars(conv))
                for offset, layer in enumerate((fused, Nothing(), Nothing())):
                    setattr(sequence, str(i + offset), layer)
    return model


rewrites["yours"] = fuse

# %% [markdown]
r"""
### A vocabulary in chunks

A language model with 50,000 symbols makes, for 4,096 places, 819 MB of logits, and as much of their gradient. Cross-entropy needs two numbers of each row: the logit of its target,
and log Σ e^logit. The sum can be kept while *chunks* of columns come, as in attention: with the largest logit so far, and the sum of e^(logit − largest).

    chunk 1: logits 0, ln 2        largest ln 2    sum 1/2 + 1 = 3/2
    chunk 2: logit ln 5            largest ln 5    sum 3/2 · 2/5 + 1 = 8/5    →   ln 5 + ln 8/5 = ln 8
    target: column 1, logit ln 2   →   loss = ln 8 − ln 2 = ln 4

**Write `chunked_cross_entropy(chunks, targets)`** for an iterator of arrays (n, width), n ≥ 1, widths ≥ 1 that may differ; each is read once and overwritten by the next, so keep none.
Targets are n integers, columns of the whole matrix. Return the mean loss, a float, and the `log_sums` (n,). Large logits must not overflow. A target that
no chunk holds is a `ValueError` naming it.
"""

# %% nbgrader={"grade": false, "grade_id": "chunked_cross_entropy", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Four things are kept: for each row the largest logit, the sum and the target's logit, and at which column the next chunk begins.", "Which rows have their target in this chunk, and at which of its columns? Index with both.", "A target that was never met still has the value that it started with."], "minutes": 40, "objective": "chunks"}
#| export
def chunked_cross_entropy(chunks, targets):
    """The mean cross-entropy of logits in chunks of columns (n, width), and log Σ e^logit of each row.

    targets: n integers, columns of all chunks together. Raises ValueError for one that no chunk holds.
    """
    ### BEGIN SOLUTION
    rows, start = np.arange(len(targets)), 0
    peak, total, own = -np.inf, 0.0, None
    for chunk in chunks:
        higher = np.maximum(peak, chunk.max(axis=1))
        total = total * np.exp(peak - higher) + np.exp(chunk - higher[:, None]).sum(axis=1)
        own = np.full(len(targets), np.nan, chunk.dtype) if own is None else own
        here = (targets >= start) & (targets < start + chunk.shape[1])
        own[here] = chunk[rows[here], targets[here] - start]
        peak, start = higher, start + chunk.shape[1]
    for target in targets:
        if not 0 <= target < start:
            raise ValueError(f"chunked_cross_entropy: target {target}, and the chunks have {start} columns")
    log_sums = peak + np.log(total)
    return float((log_sums - own).mean()), log_sums
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-overwritten", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Overwritten:
    """An iterator over chunks of columns, all given in the same memory; `read` counts what was taken."""

    def __init__(self, logits, widths):
        self.logits, self.widths, self.read = np.array(logits), list(widths), 0
        self.memory = np.empty((len(self.logits), max(widths)), self.logits.dtype)

    def __iter__(self):
        return self

    def __next__(self):
        self.memory[...] = 1e6  # whoever kept the last chunk sees nonsense
        if self.read == len(self.widths):
            raise StopIteration
        start, width = sum(self.widths[: self.read]), self.widths[self.read]
        self.read += 1
        chunk = self.memory[:, :width]
        chunk[...] = self.logits[:, start : start + width]
        return chunk

# %% nbgrader={"grade": true, "grade_id": "test-chunked_cross_entropy", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_chunked_cross_entropy():
    logits, ln = np.log([[1.0, 2, 5]]), math.log
    for widths in ([2, 1], [1, 2], [3], [1, 1, 1]):
        chunks = Overwritten(logits, widths)
        got = chunked_cross_entropy(chunks, np.array([1]))
        expect(got, (ln(4), [ln(8)]), f"the worked example, widths {widths}", atol=1e-12)
        expect(chunks.read, len(widths), "chunks that were read")
    two = np.log([[1.0, 2, 5], [4, 4, 8]])
    got = chunked_cross_entropy(Overwritten(two, [2, 1]), np.array([2, 0]))
    expect(got, ((ln(8 / 5) + ln(4)) / 2, [ln(8), ln(16)]), "two rows: the mean", atol=1e-12)
    expect(type(got[0]), float, "the type of the loss")
    large = chunked_cross_entropy(Overwritten([[900.0, -900, 900]], [1, 2]), np.array([0]))
    expect(large, (ln(2), [900 + ln(2)]), "logits of 900 and -900", atol=1e-9)
    for logits_of, target, loss in [([-900.0, -900], 0, ln(2)), ([-900.0, 900], 1, 0), ([-900.0, 0], 0, 900)]:
        got = chunked_cross_entropy(Overwritten([logits_of], [2]), np.array([target]))[0]
        expect(got, loss, f"logits {logits_of} in one chunk, target {target}", atol=1e-9)
    small = chunked_cross_entropy(Overwritten(np.zeros((1, 4), np.float32), [2, 2]), np.array([3]))
    expect(small[1], [ln(4)], "float32 stays", atol=1e-6, dtype=np.float32)
    expect_error(ValueError, 3, chunked_cross_entropy, Overwritten(logits, [2, 1]), np.array([3]))
    expect_error(ValueError, -1, chunked_cross_entropy, Overwritten(logits, [2, 1]), np.array([-1]))
    print("🔬 chunked_cross_entropy: passed")

test_unit_chunked_cross_entropy()

# %% nbgrader={"grade": true, "grade_id": "test-chunked_cross_entropy-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more rows and columns, against softmax of the whole matrix.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(185)
logits, targets = drawn.normal(size=(6, 20)) * 5, drawn.integers(0, 20, 6)
shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
loss, log_sums = chunked_cross_entropy(Overwritten(logits, [7, 1, 12]), targets)
expect(loss, -np.log(shares[np.arange(6), targets]).mean(), "6 rows of 20 columns", atol=1e-12)
expect(log_sums, np.log(np.exp(logits).sum(axis=1)), "their log sums", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
The gradient of the mean loss is (softmax − 1 at the target) / n, and softmax of a chunk is e^(logit − log sum): with `log_sums` each chunk can be done by itself. In the example it is
[1/8, 2/8 − 1] and then [5/8].

**Write `chunked_gradients(chunks, targets, log_sums)`**, which yields the gradient of each chunk, a new array of its dtype, before it asks for the next chunk.
The chunks come again, from a second iterator.
"""

# %% nbgrader={"grade": false, "grade_id": "chunked_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A function with yield is an iterator: what does one turn of its loop do?", "The targets of this chunk are found as before; from their entries 1 is subtracted, before all is divided by n."], "minutes": 25, "objective": "chunks"}
#| export
def chunked_gradients(chunks, targets, log_sums):
    """Yield for each chunk (n, width) of logits the gradient of their mean cross-entropy."""
    ### BEGIN SOLUTION
    rows, start = np.arange(len(targets)), 0
    for chunk in chunks:
        grad = np.exp(chunk - log_sums[:, None])
        here = (targets >= start) & (targets < start + chunk.shape[1])
        grad[rows[here], targets[here] - start] -= 1
        start += chunk.shape[1]
        grad /= len(targets)
        yield grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-chunked_gradients", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_chunked_gradients():
    logits, sums = np.log([[1.0, 2, 5]]), np.log([8.0])
    got = list(chunked_gradients(Overwritten(logits, [2, 1]), np.array([1]), sums))
    expect(got, [[[1 / 8, -6 / 8]], [[5 / 8]]], "the worked example", atol=1e-12)
    got = list(chunked_gradients(Overwritten(logits, [3]), np.array([1]), sums))
    expect(got, [[[1 / 8, -6 / 8, 5 / 8]]], "one chunk", atol=1e-12)
    two, sums = np.log([[1.0, 2, 5], [4, 4, 8]]), np.log([8.0, 16.0])
    got = list(chunked_gradients(Overwritten(two, [1, 1, 1]), np.array([2, 1]), sums))
    wanted = [[[1 / 16], [2 / 16]], [[2 / 16], [-6 / 16]], [[-3 / 16], [4 / 16]]]
    expect(got, wanted, "two rows, three chunks", atol=1e-12)
    chunks = Overwritten(two, [1, 1, 1])
    next(chunked_gradients(chunks, np.array([2, 0]), sums))
    expect(chunks.read, 1, "chunks that were read for the first gradient")
    chunks = Overwritten(np.zeros((1, 2), np.float32), [2])
    small = chunked_gradients(chunks, np.array([0]), np.log(np.float32([2])))
    expect(next(small), [[-0.5, 0.5]], "float32 stays", atol=1e-6, dtype=np.float32)
    print("🔬 chunked_gradients: passed")

test_unit_chunked_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-chunked_gradients-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more rows and columns.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(186)
logits, targets = drawn.normal(size=(5, 11)), drawn.integers(0, 11, 5)
sums = np.log(np.exp(logits).sum(axis=1))
wanted = (np.exp(logits - sums[:, None]) - np.eye(11)[targets]) / 5
got = [np.asarray(grad) for grad in chunked_gradients(Overwritten(logits, [4, 4, 3]), targets, sums)]
expect(np.concatenate(got, axis=1), wanted, "5 rows of 11 columns", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
As an operation, `linear_cross_entropy(hidden, weight, targets=…, chunk=…)` makes each chunk of logits when it is needed and a second time for its gradient. It saves the log sums: n
numbers in place of n × symbols.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-linear_cross_entropy", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def logit_chunks(hidden, weight, chunk):
    """hidden (n, d) @ weightᵀ for some rows of weight (symbols, d) at a time."""
    return (hidden @ weight[start : start + chunk].T for start in range(0, len(weight), chunk))


@Op(saves=True)
def linear_cross_entropy(hidden, weight, *, targets, chunk=4096):
    """The mean cross-entropy of hidden (n, d) @ weight (symbols, d)ᵀ for n targets, in chunks of symbols."""
    loss, log_sums = chunked_cross_entropy(logit_chunks(hidden, weight, chunk), targets)
    return np.asarray(loss, hidden.dtype), log_sums


@linear_cross_entropy.gradient
def linear_cross_entropy_gradient(grad, out, hidden, weight, *, targets, chunk=4096, saved):
    for_hidden, for_weight, start = np.zeros_like(hidden), np.empty_like(weight), 0
    for part in chunked_gradients(logit_chunks(hidden, weight, chunk), targets, saved):
        some = slice(start, start + part.shape[1])
        for_hidden += part @ weight[some]
        for_weight[some] = part.T @ hidden
        start = some.stop
    return for_hidden * grad, for_weight * grad


def linear_cross_entropy_flops(arrays, out, settings, backward):
    """For a Profile (14): one product, and on the way back that one again and two gradients."""
    return (3 if backward else 1) * 2 * arrays[0].size * len(arrays[1])


linear_cross_entropy.flops = linear_cross_entropy_flops

# %% [markdown]
r"""
**Predict**: for 512 places and 20,000 symbols, how many megabytes do logits and gradient take as a whole, and how many in chunks of 1,000? What does the second product cost in time?
"""

# %% tags=["measure"]
import tracemalloc

from tinytorch.core.losses import cross_entropy


def analyze_vocabulary(places=512, width=64, symbols=20_000, chunk=1000):
    """Peak memory and time of cross-entropy and its gradient, of the whole matrix and in chunks."""
    draw = np.random.default_rng(0)
    hidden, weight = (Tensor(draw.normal(size=(rows, width)) / 8, True) for rows in (places, symbols))
    targets = draw.integers(0, symbols, places)
    ways = {
        "whole": lambda: cross_entropy(hidden @ weight.T, targets).backward(),
        "chunks": lambda: linear_cross_entropy(hidden, weight, targets=targets, chunk=chunk).backward(),
    }
    for name, way in ways.items():
        seconds = measure(way, repeats=3).median
        tracemalloc.start()
        way()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"📊 {name}: at most {peak / 1e6:.1f} MB, {seconds * 1e3:.0f} ms")

analyze_vocabulary()

# %% [markdown]
r"""
Of whole matrices there are several at a time, 41 MB each; in chunks one of 2 MB or a few, and the weights' gradient. Here you can stop: a CNN's step makes fewer passes.

### A stretch: fewer multiplications

Winograd's F(2, 3) makes two outputs from a tile of four pixels with 4 multiplications in place of 6 (09):

    a = (d₀ − d₂) · g₀     b = (d₁ + d₂) · (g₀ + g₁ + g₂)/2     c = (d₂ − d₁) · (g₀ − g₁ + g₂)/2     e = (d₁ − d₃) · g₂
    outputs a + b + c and b − c − e

    d = 1 2 3 4, g = 2 0 1     a, b, c, e = −4, 7.5, 1.5, −2     outputs 5 and 8

In a row each tile begins two pixels after the one before.

**Write `winograd_1d(d, g, product=np.multiply)`**: for floating rows d (…, W), W ≥ 3, and g (3,), the sums d[i]·g₀ + d[i+1]·g₁ + d[i+2]·g₂, (…, W − 2), in their common dtype. Pixels meet weights in
`product(a, b)` only, entry by entry with broadcasting, 4 multiplications a tile: tests hand in one that counts. For an odd W the last tile's fourth pixel counts as 0, and its second output is left out.
"""

# %% nbgrader={"grade": false, "grade_id": "winograd_1d", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many tiles are there, and which slice with a step of 2 holds the first pixel of all of them? The second one?", "With an odd W, put a zero behind each row first, and cut the result in the end.", "First and second outputs stand side by side: which function of NumPy puts two arrays along a new last axis, and what does a reshape make of it?"], "minutes": 40, "objective": "products", "stretch": true}
#| export
def winograd_1d(d, g, product=np.multiply):
    """The sums of three neighbours of rows d (…, W), weighted by g (3,): (…, W - 2), by F(2, 3).

    product(a, b): multiplies pixels by weights, entry by entry, 4 for every two sums (Winograd, 1980).
    """
    ### BEGIN SOLUTION
    count, odd = d.shape[-1] - 2, d.shape[-1] % 2
    padded = np.concatenate([d, np.zeros_like(d[..., :odd])], axis=-1)
    d0, d1, d2, d3 = (padded[..., i : i + count : 2] for i in range(4))
    a, e = product(d0 - d2, g[0]), product(d1 - d3, g[2])
    b = product(d1 + d2, (g[0] + g[1] + g[2]) / 2)
    c = product(d2 - d1, (g[0] - g[1] + g[2]) / 2)
    pairs = np.stack([a + b + c, b - c - e], axis=-1)
    return pairs.reshape(*d.shape[:-1], count + odd)[..., :count]
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-Products", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Products:
    """np.multiply or np.matmul, by name, times `factor`; `count` is the number of multiplications so far."""

    def __init__(self, name, factor=1):
        self.name, self.factor, self.count = name, factor, 0

    def __call__(self, a, b):
        out = getattr(np, self.name)(a, b)
        self.count += int(np.size(out)) * (np.shape(a)[-1] if self.name == "matmul" else 1)
        return out * self.factor

# %% nbgrader={"grade": true, "grade_id": "test-winograd_1d", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_winograd_1d():
    row, g = np.array([1.0, 2, 3, 4, 5, 6, 7]), np.array([2.0, 0, 1])
    sums = np.array([5, 8, 11, 14, 17])
    for width, count in [(4, 4), (3, 4), (6, 8), (7, 12)]:
        once, twice, wanted = Products("multiply"), Products("multiply", 2), sums[: width - 2]
        expect(winograd_1d(row[:width], g, once), wanted, f"{width} pixels, weights 2 0 1", atol=1e-12)
        expect(once.count, count, f"multiplications, {width} pixels")
        expect(winograd_1d(row[:width], g, twice), 2 * wanted, "with a product that doubles", atol=1e-12)
    rows = np.array([[1, 2, 3, 4], [0, 1, 0, 0]], np.float32)
    got = winograd_1d(rows, np.array([1, 10, 100], np.float32))
    expect(got, [[321, 432], [10, 1]], "two rows, weights 1 10 100, float32", atol=1e-4, dtype=np.float32)
    expect(row, [1, 2, 3, 4, 5, 6, 7], "d stays")
    print("🔬 winograd_1d: passed")

test_unit_winograd_1d()

# %% nbgrader={"grade": true, "grade_id": "test-winograd_1d-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn rows, even and odd.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(188)
g = drawn.normal(size=3)
for shape, tiles in [((3, 2, 8), 18), ((4, 9), 16)]:
    d, tally = drawn.normal(size=shape), Products("multiply")
    wanted = d[..., :-2] * g[0] + d[..., 1:-1] * g[1] + d[..., 2:] * g[2]
    expect(winograd_1d(d, g, tally), wanted, f"rows of shape {shape}", atol=1e-12)
    expect(tally.count, 4 * tiles, f"multiplications, {shape}")
### END HIDDEN TESTS

# %% [markdown]
r"""
Sums are products with fixed matrices: with B (4, 4) for pixels, G (4, 3) for weights and A (2, 4) for outputs, F(2, 3) is A @ ((G @ g) · (B @ d)), entry by entry in the middle. The first row of B is [1, 0, −1, 0] for d₀ − d₂, the
second of G [½, ½, ½].

Two axes take each matrix twice, once along the columns and once along the rows, B @ d @ Bᵀ. So F(2×2, 3×3) makes the 2 × 2 outputs of a tile of 4 × 4 pixels with 16 multiplications; one by one it would take 4 · 9 = 36, 2.25 times as
many (Lavin and Gray, 2015).

    d[i, j] = (i + 1)(j + 1), g = 2 0 1 along both axes     outputs [[5·5, 5·8], [8·5, 8·8]] = [[25, 40], [40, 64]]

**Write `winograd_matrices(dtype)`**, which returns (B, G, A), **and `winograd_tile(d, g, product=np.multiply)`** for d (4, 4) and g (3, 3), floating: out[i, j] = Σ d[i+r, j+s] · g[r, s], (2, 2), in their common dtype.
"""

# %% nbgrader={"grade": false, "grade_id": "winograd_tile", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Each of a, b, c, e is a row of B and a row of G; each output a row of A.", "Along the rows a matrix is applied from the right, transposed. Which shapes do both transforms have, before they meet?"], "minutes": 40, "objective": "products", "stretch": true}
#| export
def winograd_matrices(dtype):
    """(B, G, A) of F(2, 3): the sums of a tile d and weights g (3,) are A @ ((G @ g) * (B @ d))."""
    ### BEGIN SOLUTION
    pixels = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    weights = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    return tuple(np.array(matrix, dtype) for matrix in (pixels, weights, [[1, 1, 1, 0], [0, 1, -1, -1]]))
    ### END SOLUTION


def winograd_tile(d, g, product=np.multiply):
    """The 2 × 2 sums of windows of a tile d (4, 4) weighted by g (3, 3), by F(2×2, 3×3).

    product(a, b): multiplies pixels by weights, entry by entry, 16 in all (Lavin and Gray, 2015).
    """
    ### BEGIN SOLUTION
    to_pixels, to_weights, to_sums = winograd_matrices(np.result_type(d, g))
    both = product(to_pixels @ d @ to_pixels.T, to_weights @ g @ to_weights.T)
    return to_sums @ both @ to_sums.T
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-winograd_tile", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_winograd_tile():
    to_pixels, to_weights, to_sums = (np.asarray(one) for one in winograd_matrices(np.float32))
    shapes = [to_pixels.shape, to_weights.shape, to_sums.shape]
    expect(shapes, [(4, 4), (4, 3), (2, 4)], "the shapes of B, G and A")
    expect([one.dtype.name for one in (to_pixels, to_weights, to_sums)], ["float32"] * 3, "their dtype")
    line, g = np.array([1.0, 2, 3, 4]), np.array([2.0, 0, 1])
    expect(to_sums @ ((to_weights @ g) * (to_pixels @ line)), [5, 8], "A @ ((G @ g) · (B @ d))", atol=1e-12)
    tile, once = np.outer(line, line), Products("multiply")
    expect(winograd_tile(tile, np.outer(g, g), once), [[25, 40], [40, 64]], "the worked example", atol=1e-12)
    expect(once.count, 16, "its multiplications")
    got = winograd_tile(tile, np.outer(g, g), Products("multiply", 2))
    expect(got, [[50, 80], [80, 128]], "with a product that doubles", atol=1e-12)
    one_weight = np.zeros((3, 3), np.float32)
    one_weight[0, 2] = 3
    got = winograd_tile(np.arange(16, dtype=np.float32).reshape(4, 4), one_weight)
    expect(got, [[6, 9], [18, 21]], "one weight, at the top right", atol=1e-4, dtype=np.float32)
    print("🔬 winograd_tile: passed")

test_unit_winograd_tile()

# %% nbgrader={"grade": true, "grade_id": "test-winograd_tile-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn tiles, window by window.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(189)
for case in range(3):
    d, g, tally = drawn.normal(size=(4, 4)), drawn.normal(size=(3, 3)), Products("multiply")
    wanted = [[(d[i : i + 3, j : j + 3] * g).sum() for j in (0, 1)] for i in (0, 1)]
    expect(winograd_tile(d, g, tally), wanted, f"drawn tile {case}", atol=1e-12)
    expect(tally.count, 16, f"multiplications, tile {case}")
### END HIDDEN TESTS

# %% [markdown]
r"""
A convolution adds up over channels before it goes back: at each of the 16 places of the transformed tiles, Σ over c is a matrix product, (tiles, C) times (C, O), and A comes once for each of the O results. So `product` is
`np.matmul` here.

**Write `winograd_convolution(x, weight, product=np.matmul)`** for floating images x (N, C, H, W), H and W ≥ 3, and weight (O, C, 3, 3): their convolution with stride 1, without padding or bias, (N, O, H − 2, W − 2), in
their common dtype. Pixels meet weights in `product` only, in one call or several: 16 multiplications for each tile, channel and kernel. Tiles begin every two pixels; where the last ones reach over the image, pixels count as 0 and
outputs are left out. Weights that are not (O, C, 3, 3) and images below 3 × 3 are a `ValueError` with both shapes.

A stack of small products, `B @ tiles`, is slow: `B @ tiles.reshape(4, -1)`, with the tile's rows in front, does all columns of all tiles in one.
"""

# %% nbgrader={"grade": false, "grade_id": "winograd_convolution", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["sliding_window_view of NumPy with windows of 4 × 4, every second one, holds all tiles without copying. What has to be added below and to the right first?", "Which order of the axes has the tile's two in front and the channels last, so that the two ends are what the products need?", "On the way back two axes of 2 are left, those of an output tile: where do they belong, beside the rows and the columns of tiles?"], "minutes": 120, "objective": "products", "stretch": true}
#| export
def winograd_convolution(x, weight, product=np.matmul):
    """conv2d of x (N, C, H, W) with weight (O, C, 3, 3), no padding, stride 1, by F(2×2, 3×3).

    product(a, b): multiplies matrices of pixels by matrices of weights, 16 numbers a tile, channel and
    kernel. Raises ValueError with both shapes where they do not fit (Lavin and Gray, 2015).
    """
    ### BEGIN SOLUTION
    (n, c, h, w), o = x.shape, len(weight)
    if weight.shape[1:] != (c, 3, 3) or min(h, w) < 3:
        raise ValueError(f"winograd_convolution: images {x.shape} and weights {weight.shape} do not fit")
    to_pixels, to_weights, to_sums = winograd_matrices(np.result_type(x, weight))

    def along_both(matrix, tiles):
        (new, old), rest = matrix.shape, tiles.shape[2:]
        first = (matrix @ tiles.reshape(old, -1)).reshape(new, old, -1)
        return (matrix @ first).reshape(new, new, *rest)

    high, wide = (h - 1) // 2, (w - 1) // 2  # tiles down and across
    x = np.pad(x, ((0, 0), (0, 0), (0, 2 * high + 2 - h), (0, 2 * wide + 2 - w)))
    tiles = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    pixels = along_both(to_pixels, tiles.transpose(4, 5, 0, 2, 3, 1)).reshape(4, 4, n * high * wide, c)
    sums = product(pixels, along_both(to_weights, weight.transpose(2, 3, 1, 0)))
    out = along_both(to_sums, sums).reshape(2, 2, n, high, wide, o).transpose(2, 5, 3, 0, 4, 1)
    return out.reshape(n, o, 2 * high, 2 * wide)[:, :, : h - 2, : w - 2]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-winograd_convolution", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_winograd_convolution():
    row, across = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 0, 1])
    one = np.outer(row, row).reshape(1, 1, 5, 5)
    sums = np.array([5, 8, 11])
    for high, wide, count in [(4, 4, 16), (5, 5, 64), (4, 5, 32), (3, 4, 16)]:
        once, twice = Products("matmul"), Products("matmul", 2)
        image, wanted = one[:, :, :high, :wide], np.outer(sums[: high - 2], sums[: wide - 2])
        kernel = np.outer(across, across).reshape(1, 1, 3, 3)
        got = winograd_convolution(image, kernel, once)
        expect(got, wanted[None, None], f"an image {high} × {wide}", atol=1e-12)
        expect(once.count, count, f"multiplications, {high} × {wide}")
        got = winograd_convolution(image, kernel, twice)
        expect(got, 2 * wanted[None, None], "with a product that doubles", atol=1e-12)
    expect(one.reshape(25), np.outer(row, row).reshape(25), "the image stays")
    print("🔬 winograd_convolution: passed")

test_unit_winograd_convolution()

# %% nbgrader={"grade": true, "grade_id": "test-winograd_convolution-channels", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_winograd_convolution_channels():
    x = np.stack([np.eye(4), np.ones((4, 4)), np.arange(16).reshape(4, 4)])[None].astype(np.float32)
    weight = np.zeros((2, 3, 3, 3), np.float32)
    weight[0, 0], weight[0, 1, 1, 1], weight[1, 2, 0, 2] = 1, 10, 3
    wanted = [[[13, 12], [12, 13]], [[6, 9], [18, 21]]]
    got = winograd_convolution(np.concatenate([x, 2 * x]), weight)
    expect(got[0], wanted, "three channels, two kernels", atol=1e-4, dtype=np.float32)
    expect(got[1], 2 * np.array(wanted), "a second image of twice the numbers", atol=1e-4)
    tally = Products("matmul")
    winograd_convolution(np.ones((2, 3, 6, 4)), weight, tally)
    expect(tally.count, 2 * 2 * 16 * 3 * 2, "2 images of 2 tiles, 3 channels, 2 kernels: multiplications")
    kernels = [(2, 3, 3, 3)] * 3 + [(2, 3, 5, 3)]
    for sizes in zip([(1, 2, 4, 4), (1, 3, 2, 4), (1, 3, 4, 2), (1, 3, 4, 4)], kernels, strict=True):
        expect_error(ValueError, list(sizes), winograd_convolution, *map(np.ones, sizes))
    print("🔬 winograd_convolution, channels: passed")

test_unit_winograd_convolution_channels()

# %% nbgrader={"grade": true, "grade_id": "test-winograd_convolution-hidden", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn images of other sizes, against the product of module 09.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(190)
for n, c, o, h, w in [(2, 3, 4, 7, 6), (3, 1, 2, 3, 3), (1, 5, 1, 6, 9)]:
    x, weight, tally = drawn.normal(size=(n, c, h, w)), drawn.normal(size=(o, c, 3, 3)), Products("matmul")
    wanted = convolve_engines["product"].forward(x, weight, None, stride=(1, 1), padding=(0, 0))
    expect(winograd_convolution(x, weight, tally), wanted, f"{n} images {h} × {w}", atol=1e-12)
    tiles = n * -((2 - h) // 2) * -((2 - w) // 2)
    expect(tally.count, 16 * tiles * c * o, f"multiplications, {n} images {h} × {w}")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict** for 64 → 64 channels, 32 × 32 pixels, one core: multiplications, error and time.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import time

from tinytorch.kernels.spatial.products import forward_by_columns
from tinytorch.kernels.spatial.windows import window_geometry


def analyze_winograd(images=8, channels=64, size=32):
    """Errors, multiplications and time of F(2×2, 3×3) against module 09's product, and one in blocks."""
    draw, tally, inside = np.random.default_rng(0), Products("matmul"), []
    x = draw.normal(size=(images, channels, size, size))
    weight = draw.normal(size=(channels, channels, 3, 3)) / np.sqrt(9 * channels)

    def product(x, weight):
        return convolve_engines["product"].forward(x, weight, None, stride=(1, 1), padding=(0, 0))

    exact = product(*(array.astype(np.longdouble) for array in (x[:1], weight)))
    for dtype in (np.float32, np.float64):
        arrays = x[:1].astype(dtype), weight.astype(dtype)
        errors = [np.abs(way(*arrays) - exact).max() for way in (winograd_convolution, product)]
        mine, plain = (error / np.abs(exact).max() for error in errors)
        print(f"📊 {dtype.__name__}: error {mine:.1e} of the largest output, the product's {plain:.1e}")

    x, weight = x.astype(np.float32), weight.astype(np.float32)
    out = np.empty((images, size - 2, size - 2, channels), np.float32)
    geometry = window_geometry(x, (3, 3), (1, 1), (0, 0))
    winograd_convolution(x, weight, tally)
    print(f"📊 multiplications: {out.size * 9 * channels / tally.count:.2f} times fewer")

    def timed(a, b):
        begin = time.perf_counter()
        result = a @ b
        inside.append(time.perf_counter() - begin)
        return result

    ways = {
        "yours": lambda: winograd_convolution(x, weight, timed),
        "09": lambda: product(x, weight),
        "blocks": lambda: forward_by_columns(x, weight, np.float32(0), geometry, out),
    }
    # inside map_blocks everything runs on one core
    alone = {name: lambda way=way: map_blocks(lambda _: way(), [0]) for name, way in ways.items()}
    seconds = measure(alone["yours"], repeats=5).median
    print(f"📊 {np.median(inside) / seconds:.0%} of its time are products, the rest transforms")
    for name, of in (("09", "module 09's product"), ("blocks", "a product in blocks of columns (provided)")):
        ratio = speedup(alone["yours"], alone[name], pairs=5).median
        said = "slower" if ratio > 1 else f"{1 / ratio:.2f} times faster, and not 2.25 times"
        print(f"📊 {ratio:.2f} times as long as {of}: {said}")


try:
    analyze_winograd()
except NotImplementedError:
    print("the stretch is not written yet")

# %% [markdown]
r"""
So little is left of 2.25 because transforms are passes over memory: tiles overlap, each pixel becomes four numbers, written and read again by both sums, and each output is made of four. The product of 09 copies each pixel
nine times, which costs it more; in blocks its copies stay in the cache. Additions and halves keep the error at the product's; larger tiles (09) lose more digits, and gain time if they are done in blocks too.
"""

# %% [markdown]
r"""
## Part 3 of 3 · about 3 hours: both cores

### Half the batch each

The gradient of a mean over a batch is the mean of the gradients of its parts, weighted by their lengths. So each core can take a part, with its own copy of the model, since
gradients are added into a model:

    losses of 3 examples: 1, 4, 7; parts [1, 4] and [7]     means 2.5 and 7     (2 · 2.5 + 1 · 7) / 3 = 4

`replicate(model, count)` gives the model and copies of it. **Write `parallel_gradients(replicas, loss, inputs, targets)`**:

1. every replica takes over the numbers of `replicas[0]` (`parameter.data`, the array itself); all forget their old gradients (`grad = None`), `replicas[0]` too;
2. the batch is cut as `np.array_split` cuts it, one part for each replica; a part without examples is left out;
3. `map_blocks` runs, for each part, `loss(replica(Tensor(inputs[part])), targets[part])` and its `backward()`;
4. the weighted sum of the gradients becomes `grad` of the parameters of `replicas[0]`; that of the losses is returned, a float.

`inputs` and `targets` are arrays of at least one example; `Tensor(x, dtype=x.dtype)` keeps float64. A parameter without a gradient anywhere keeps None.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-replicate", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def replicate(model, count):
    """[model, a copy of it, …], `count` in all."""
    return [model, *[copy.deepcopy(model) for _ in range(count - 1)]]

# %% nbgrader={"grade": false, "grade_id": "parallel_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["np.array_split of arange(n) gives the places of each part, and their number is its weight.", "What a thread returns has to say how long its part was; the gradients stand in its replica until all are done.", "zip over the parameters of all replicas brings together what belongs together. Replicas without examples have gradients None."], "minutes": 45, "objective": "threads"}
#| export
def parallel_gradients(replicas, loss, inputs, targets):
    """The gradients of the mean loss over a batch, computed by one replica a part: into those of replicas[0].

    replicas: of `replicate`; loss(outputs, targets): a mean, as a Tensor; inputs, targets: arrays. Returns
    the loss.
    """
    ### BEGIN SOLUTION
    places = [part for part in np.array_split(np.arange(len(inputs)), len(replicas)) if len(part)]
    parameters = [list(replica.parameters()) for replica in replicas]
    for group in zip(*parameters, strict=True):
        for parameter in group:
            parameter.data, parameter.grad = group[0].data, None

    def work(k):
        some = slice(places[k][0], places[k][-1] + 1)
        part = inputs[some]
        value = loss(replicas[k](Tensor(part, dtype=part.dtype)), targets[some])
        value.backward()
        return value.item() * len(part) / len(inputs)

    total = sum(map_blocks(work, range(len(places))))
    for group in zip(*parameters, strict=True):
        parts = zip(group, places, strict=False)
        grads = [p.grad * p.dtype.type(len(part) / len(inputs)) for p, part in parts if p.grad is not None]
        group[0].grad = sum(grads[1:], grads[0]) if grads else None
    return total
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-Line", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
from tinytorch.core.layers import Linear, Parameter


class Line(Module):
    """x @ weight for rows of inputs; it remembers how many rows came."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.rows = Parameter(Tensor(weight, dtype=np.float64)), []
        self.idle = Parameter(Tensor(np.zeros(2)))  # takes no part

    def forward(self, x):
        self.rows.append(len(x))
        return x @ self.weight


def squared(outputs, targets):
    difference = outputs - Tensor(targets, dtype=np.float64)
    return (difference * difference).mean()

# %% nbgrader={"grade": true, "grade_id": "test-parallel_gradients", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_parallel_gradients():
    x, y = np.array([[1.0], [2], [3]]), np.array([[0.0], [0], [1]])
    for count, rows in [(1, [[3]]), (2, [[2], [1]]), (3, [[1], [1], [1]]), (5, [[1], [1], [1], [], []])]:
        replicas = replicate(Line([[2.0]]), count)
        got = parallel_gradients(replicas, squared, x, y)  # distances 2, 4, 5
        expect(got, 15, f"(4 + 16 + 25) / 3, {count} replicas", atol=1e-12)
        expect(replicas[0].weight.grad, [[50 / 3]], f"2 · (2 + 8 + 15) / 3, {count} replicas", atol=1e-12)
        expect([replica.rows for replica in replicas], rows, f"rows of each of {count} replicas")
        expect(replicas[0].idle.grad, None, "a parameter that takes no part")
    expect(type(got), float, "the type of the loss")
    print("🔬 parallel_gradients: passed")

test_unit_parallel_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-parallel_gradients-again", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_parallel_gradients_again():
    x, y = np.array([[1.0], [1], [1], [1]]), np.zeros((4, 1))
    replicas = replicate(Line([[2.0]]), 2)
    for weight in (2.0, 3.0, -1.0):
        replicas[0].weight.data = np.array([[weight]])
        expect(parallel_gradients(replicas, squared, x, y), weight**2, f"weight {weight}", atol=1e-12)
        expect(replicas[0].weight.grad, [[2 * weight]], "its gradient, without earlier ones", atol=1e-12)
    expect(replicas[0].weight, [[-1]], "the weight stays")
    expect(replicas[1].weight, [[-1]], "the copy took it over")
    expect(x, np.ones((4, 1)), "the inputs stay")
    print("🔬 parallel_gradients, again: passed")

test_unit_parallel_gradients_again()

# %% nbgrader={"grade": true, "grade_id": "test-parallel_gradients-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: several columns, parts of different lengths.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(187)
x, y, weight = drawn.normal(size=(7, 3)), drawn.normal(size=(7, 2)), drawn.normal(size=(3, 2))
replicas = replicate(Line(weight), 3)
loss = parallel_gradients(replicas, squared, x, y)
expect(loss, np.square(x @ weight - y).mean(), "7 rows in parts of 3, 2 and 2", atol=1e-12)
expect(replicas[0].weight.grad, 2 * x.T @ (x @ weight - y) / 14, "their gradient", atol=1e-12)
expect([replica.rows for replica in replicas], [[3], [2], [2]], "the parts")
### END HIDDEN TESTS

# %% [markdown]
r"""
Layers that look at the whole batch (batch normalization) see only their part here, and dropout draws other masks: then the result is another one.

## All of it

A small CNN, as three layers and fused, as a whole and in two parts:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-parts", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.spatial import Flatten
from tinytorch.core.tensor import manual_seed
from tinytorch.kernels import use_kernels

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    draw = np.random.default_rng(0)
    sizes, how = ((5, 2, 8, 8), (3, 2, 3, 3), (3,), (5, 3, 4, 4)), {"stride": (1, 1), "padding": (1, 1)}
    *arrays, grad = [draw.normal(size=size).astype(np.float32) for size in sizes]
    apart = [Tensor(array, requires_grad=True) for array in arrays]
    expected = max_pool2d(relu(conv2d(*apart, padding=1)), 2)
    expected.backward(grad)
    out, places = conv_relu_pool_forward(*arrays, **how)
    expect(out, expected, "fused as apart", atol=1e-5)
    grads = conv_relu_pool_gradient(grad, out, *arrays, **how, needs=(True, True, True), saved=places)
    for got, tensor, name in zip(grads, apart, ("images", "kernels", "biases"), strict=True):
        expect(got, tensor.grad, f"the gradient of the {name}, fused as apart", atol=1e-4)

    manual_seed(0)
    model = Sequential(Conv2d(2, 3, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(48, 4))
    labels, loss = np.array([0, 3, 1, 1, 2]), CrossEntropyLoss()
    expected = loss(use_kernels(model, "product")(Tensor(arrays[0])), labels)
    expected.backward()
    grads = [np.array(parameter.grad) for parameter in model.parameters()]
    replicas = replicate(use_kernels(model, "yours"), 2)
    got = parallel_gradients(replicas, loss, arrays[0], labels)
    expect(got, expected.item(), "the loss in two parts", atol=1e-5)
    for i, parameter in enumerate(model.parameters()):
        expect(parameter.grad, grads[i], f"gradient {i} in two parts", atol=1e-5)
    print("🧪 module 18, three layers in one and a batch in two: passed")

test_module()

# %% [markdown]
r"""
## Measure: a step of the CNN

The network for photographs of module 09's milestone, batch 128. **Predict**: what share of a step does fusing save? By what factor are two replicas faster than one, and, if the
rest stays serial, how fast would 16 cores be? With a share s that does not run in parallel, n cores are 1 / (s + (1 − s)/n) times as fast (Amdahl, 1967).
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt


def photo_network():
    """Two convolutions and two dense layers: 545,098 parameters."""
    manual_seed(0)
    first = Conv2d(3, 32, 3, padding=1), ReLU(), MaxPool2d(2)
    second = Conv2d(32, 64, 3, padding=1), ReLU(), MaxPool2d(2)
    return Sequential(*first, *second, Flatten(), Linear(4096, 128), ReLU(), Linear(128, 10))


def analyze_step():
    """Fused against apart; then one replica against two, and what Amdahl's law makes of it."""
    draw = np.random.default_rng(0)
    images, labels = draw.normal(size=(128, 3, 32, 32)).astype(np.float32), draw.integers(0, 10, 128)
    replicas = {name: replicate(use_kernels(photo_network(), name), 2) for name in ("fast", "yours")}

    def step(name, count=1):
        return lambda: parallel_gradients(replicas[name][:count], CrossEntropyLoss(), images, labels)

    fused = speedup(step("fast"), step("yours"), pairs=5)
    cores = speedup(step("yours"), step("yours", 2), pairs=5).median
    print(f"📊 three layers apart take {fused.median:.2f} times as long as yours, fused")
    print(f"📊 one replica takes {cores:.2f} times as long as two, on {thread_count()} threads")
    serial = min(max(2 / cores - 1, 0.0), 1.0)  # two cores: 1 / gain = s + (1 - s) / 2
    counts = np.arange(1, 17)
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot(counts, counts, ":", color="0.5", label="nothing serial")
    gains = 1 / (serial + (1 - serial) / counts)
    axes.plot(counts, gains, "o-", label=f"serial share {serial:.0%}, from your run")
    axes.set(xlabel="cores", ylabel="times as fast", title="Amdahl's law", ylim=(0, 17))
    axes.legend(loc="upper left")
    plt.show()

analyze_step()

# %% [markdown]
r"""
A replica runs on one thread, since `map_blocks` inside `map_blocks` starts no more. The curve bends: with a serial share s, no number of cores gives more than 1/s.

### Fewer bytes a number

Halving the bytes halves what memory has to move. **float16** keeps 5 bits for the exponent and ends at 65,504; **bfloat16** is float32 without its last 16 bits: it ends where float32 ends,
with two to three correct digits. Small gradients vanish in float16, so they are multiplied by a large factor before and divided afterwards in float32: *loss scaling*.
"""

# %%
with np.errstate(over="ignore"):
    print("300² in float16: ", np.float16(300) * np.float16(300))
square = np.array([300.0], np.float32) ** 2
print("300² in bfloat16:", (square.view(np.uint32) & 0xFFFF0000).view(np.float32)[0])
scaled = np.float32(np.float16(1e-8 * 2**14)) / 2**14
print("a gradient of 1e-8 in float16:", np.float16(1e-8), "and scaled by 2¹⁴:", scaled)

# %% [markdown]
r"""
90,000 is too large for float16, and 1e-8 too small, until it is scaled. NumPy has no bfloat16 and no fast float16, so the course stays with float32.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-passes", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which block had the fewest misses in the simulated cache, and how does that follow from its size? (b) What did your run print for fused against apart, and where does the time go that was
saved, though not a single multiplication fell away? (c) What did it print for two replicas against one, what serial share is that, and what would be the gain of 16 cores?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-passes", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 8: three blocks of 64 numbers fit into 256, three of 256 do not, 1 point. (b) The printed ratio; passes over the convolution's result (16.8 MB for the first one) that are not
written to memory and read back, and bias and ReLU on a quarter of the numbers, 1 point. (c) The printed factor g, s = 2/g − 1, and 1 / (s + (1 − s)/16), 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

`use_kernels(model, "yours")` runs any network of yours on these kernels. Is it really faster, by how much, and how sure is that? Module 19 measures. Next: `tito module complete 18_acceleration`.
"""
