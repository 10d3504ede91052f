# %% [markdown]
r"""
# 15 Quantization

A trained model is a heap of four-byte numbers. One byte is enough, if its 255 codes are chosen well. You write that
choice, an exact product of codes, and layers of codes; in the end LeNet-5 and your GPT are about a quarter of their size *as files*. It is said each time
what is quantized: the **weights** alone, or the layers' **inputs** too.

## Three questions first

**1.** (01) `np.int8(100) + np.int8(100)`?
<details><summary>Answer</summary> −56: it wraps around. </details>

**2.** (09) A convolution as a product: what is a row on the left?
<details><summary>Answer</summary> One window's pixels. </details>

**3.** (14) Why the median of several runs, and not the mean?
<details><summary>Answer</summary> A disturbed run hardly moves it. </details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.quantization

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import math
import tempfile
from pathlib import Path

import numpy as np

from tinytorch.checkpoints import save_checkpoint
from tinytorch.core.attention import MultiheadAttention
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Linear, Module
from tinytorch.core.spatial import Conv2d, check_fit, im2col, output_shape
from tinytorch.core.tensor import Op, Tensor

# %% [markdown]
r"""
## Part 1 of 3 · about 3 hours: numbers

### A scale and a zero point

A *code* q is a small integer that stands for the number (q − zero_point) · scale. With 8 bits codes go from −127 to 127; without −128 every code has
its negative.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-largest_code", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def largest_code(bits):
    """The codes of `bits` bits go from minus this to this. Raises ValueError for bits that are not 2 to 8."""
    if isinstance(bits, bool) or bits not in range(2, 9):
        raise ValueError(f"a code has from 2 to 8 bits, not {bits}")
    return 2 ** (int(bits) - 1) - 1

# %% [markdown]
r"""
*Symmetric*: the zero point is 0, the number largest in absolute value gets the largest code. *Asymmetric*: `low` gets the smallest code, `high` the
largest, so nothing is wasted behind a ReLU:

    −0.54 to 2, symmetric      scale 2/127               zero_point 0
    −0.54 to 2, asymmetric     scale 2.54/254 = 0.01     zero_point −127 + 54 = −73

A 0 stays exactly 0, by the zero point's code: a range that does not reach 0 is first extended to it, and an asymmetric zero point −largest − low/scale
is rounded to an integer.

**Write `quantization_range(low, high, bits, symmetric)`**: (scale, zero_point), a float and an int. From 0 to 0: scale 1, zero point 0. A `low` above
`high`, nan and infinity are a `ValueError` naming both numbers; `largest_code` refuses wrong bits.
"""

# %% nbgrader={"grade": false, "grade_id": "quantization_range", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Extend the range to 0 first: then both kinds and every one-sided range are covered by the same lines.", "How many steps lie between the smallest and the largest code, and how many between 0 and the largest?", "A comparison with nan is False: ask for what a good range fulfils, not for what a bad one violates."], "minutes": 30, "objective": "codes"}
#| export
def quantization_range(low, high, bits=8, symmetric=True):
    """(scale, zero_point), a float and an int, with which codes of `bits` bits cover `low` to `high`, and 0.

    symmetric: the zero point is 0. Else `low` has the smallest code and `high` the largest. Raises ValueError
    for bits that are not 2 to 8, and where `low` and `high` are not finite and in order.
    """
    ### BEGIN SOLUTION
    largest = largest_code(bits)
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"quantization_range: from {low} to {high} is no range of finite numbers")
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = max(-low, high) / largest if symmetric else (high - low) / (2 * largest)
    if scale == 0:
        return 1.0, 0
    return scale, 0 if symmetric else round(-largest - low / scale)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-quantization_range-values", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantization_range():
    expect(quantization_range(-0.54, 2), (2 / 127, 0), "symmetric: the larger side decides", rtol=1e-12)
    expect(quantization_range(-2, 0.54), (2 / 127, 0), "the same where it is the negative side", rtol=1e-12)
    expect(quantization_range(-0.54, 2, symmetric=False), (0.01, -73), "the worked example", rtol=1e-12)
    expect(quantization_range(-3, 4, bits=4), (4 / 7, 0), "4 bits, symmetric", rtol=1e-12)
    expect(quantization_range(-3, 4, 4, False), (0.5, -1), "4 bits, 14 steps of a half", rtol=1e-12)
    expect(quantization_range(-1, 1, 2, False), (1.0, 0), "2 bits: the codes -1, 0, 1", rtol=1e-12)
    expect(quantization_range(-1, 2, symmetric=False)[1], -42, "-127 + 84.67, rounded")
    expect(quantization_range(-1, 6, symmetric=False)[1], -91, "-127 + 36.29, rounded")
    scale, zero_point = quantization_range(np.float32(-0.5), np.float32(1))
    expect((type(scale), type(zero_point)), (float, int), "the types, also from float32")
    print("🔬 quantization_range: passed")

test_unit_quantization_range()

# %% nbgrader={"grade": true, "grade_id": "test-quantization_range-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantization_range_edges():
    with no_warnings("ranges that are a point"):
        expect(quantization_range(0, 0), (1.0, 0), "0 to 0")
        expect(quantization_range(0, 0, 4, False), (1.0, 0), "0 to 0, asymmetric")
        expect(quantization_range(5.08, 5.08, 8, False), (0.02, -127), "one number: 0 to it", rtol=1e-12)
    expect(quantization_range(1, 2.54, symmetric=False), (0.01, -127), "above 0", rtol=1e-12)
    expect(quantization_range(-2.54, -1, symmetric=False), (0.01, 127), "below 0", rtol=1e-12)
    expect(quantization_range(-2.54, -1), (0.02, 0), "below 0, symmetric", rtol=1e-12)
    for bits in (1, 9, 0, -4, 3.5):
        expect_error(ValueError, bits, quantization_range, -1, 1, bits)
    expect_error(ValueError, [3, 2], quantization_range, 3, 2)
    expect_error(ValueError, "nan", quantization_range, -1, math.nan)
    expect_error(ValueError, "nan", quantization_range, math.nan, 1, 8, False)
    expect_error(ValueError, "inf", quantization_range, -1, math.inf)
    expect_error(ValueError, "inf", quantization_range, -math.inf, 1)
    print("🔬 quantization_range, edges: passed")

test_unit_quantization_range_edges()

# %% nbgrader={"grade": true, "grade_id": "test-quantization_range-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn ranges, whose ends keep their codes.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(15)
for bits in range(2, 9):
    top = 2 ** (bits - 1) - 1
    low, high = -drawn.uniform(0.1, 5), drawn.uniform(0.1, 5)
    scale, zero_point = quantization_range(low, high, bits, False)
    expect(float(scale), (high - low) / 2 / top, f"{bits} bits: the scale", rtol=1e-9)
    expect(int(zero_point), int(np.rint(-top - low / float(scale))), f"{bits} bits: the zero point")
    expect(quantization_range(low, high, bits), (max(-low, high) / top, 0), "symmetric", rtol=1e-9)
expect_error(ValueError, "inf", quantization_range, -math.inf, -1, 8, False)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Codes and back

    x = [0, 0.031, −0.5, 9], scale 0.02        x/scale   0   1.55   −25   450
                                               codes     0   2      −25   127
                                               back      0   0.04   −0.5  2.54

x/scale is rounded, halves to the even neighbour (`np.rint`), so that they do not all go up; then the zero point is added, and what lies outside of the
range gets the code at its end. The error inside of the range is at most half a scale, and the codes take one byte each: an int8 array, whatever the bits. (How to put two codes
of 4 bits into one byte is the second stretch.)

On the way back beware of the wrapping: codes 127 and zero point −127 are 254 steps apart, which no int8 holds.

**Write `quantize(x, scale, zero_point, bits)`** and **`dequantize(codes, scale, zero_point)`**, an int8 and a float32 array. `x` is an array, a list or a
Tensor, computed with in float32; scale and zero point are numbers or arrays that broadcast. An x that is nan has no code: `ValueError`, naming nan.
Infinities lie outside of the range.
"""

# %% nbgrader={"grade": false, "grade_id": "quantize", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Divide, round, shift, cut off, and only then make int8 of it: the order decides what wraps around.", "What does largest_code tell about both ends?", "On the way back widen the codes before you subtract the zero point."], "minutes": 25, "objective": "codes"}
#| export
def quantize(x, scale, zero_point=0, bits=8):
    """The codes of x: x / scale rounded, plus zero_point, cut off at minus and plus largest_code(bits); int8.

    scale, zero_point: numbers or arrays that broadcast. Raises ValueError for nan.
    """
    ### BEGIN SOLUTION
    largest = largest_code(bits)
    steps = np.rint(np.asarray(x, np.float32) / scale)
    if np.isnan(steps).any():
        raise ValueError("quantize: nan has no code")
    return np.clip(steps + zero_point, -largest, largest).astype(np.int8)
    ### END SOLUTION


def dequantize(codes, scale, zero_point=0):
    """What codes stand for, (codes - zero_point) · scale: float32."""
    ### BEGIN SOLUTION
    steps = np.asarray(codes).astype(np.float32) - zero_point
    return np.asarray(steps * scale, np.float32)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-quantize-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize():
    codes = quantize([0, 0.031, -0.5, 9], 0.02)
    expect(codes, [0, 2, -25, 127], "the worked example", dtype=np.int8)
    expect(dequantize(codes, 0.02), [0, 0.04, -0.5, 2.54], "and back", atol=1e-6, dtype=np.float32)
    expect(quantize([0.5, 1.5, 2.5, -0.5, -1.5], 1.0), [0, 2, 2, 0, -2], "halves go to the even neighbour")
    expect(quantize([0.5, 1.5], 1.0, 3), [3, 5], "and are shifted afterwards")
    codes = quantize(np.array([[-0.54, 0, 2]], np.float32), 0.01, -73)
    expect(codes, [[-127, -73, 127]], "zero point -73", dtype=np.int8)
    expect(dequantize(codes, 0.01, -73), [[-0.54, 0, 2]], "and back: no wrapping", atol=1e-6)
    expect(dequantize(np.array([127, -127], np.int8), 0.5, -127), [127, 0], "254 steps", dtype=np.float32)
    expect(quantize([-9.0, 9, 2], 1.0, bits=4), [-7, 7, 2], "4 bits: -7 to 7", dtype=np.int8)
    expect(quantize([-1e9, -128], 1.0), [-127, -127], "never -128")
    print("🔬 quantize and dequantize: passed")

test_unit_quantize()

# %% nbgrader={"grade": true, "grade_id": "test-quantize-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize_edges():
    x = np.array([[1.0, -300], [-2, 4]])
    expect(quantize(Tensor(x), np.array([[1.0], [0.5]])), [[1, -127], [-4, 8]], "a scale for each row")
    expect(x, [[1, -300], [-2, 4]], "x stays")
    expect(quantize(x, 1.0, np.array([100, 0])), [[101, -127], [98, 4]], "a zero point for each column")
    expect(dequantize(np.array([[10, 20]], np.int8), 2.0, np.array([10, 0])), [[0, 40]], "and back")
    expect(quantize(np.zeros((0, 3)), 0.1).shape, (0, 3), "nothing")
    expect(quantize([math.inf, -math.inf], 0.1), [127, -127], "infinities")
    expect_error(ValueError, "nan", quantize, np.array([1.0, math.nan]), 0.1)
    expect_error(ValueError, 9, quantize, [1.0], 0.1, 0, 9)
    print("🔬 quantize, edges: passed")

test_unit_quantize_edges()

# %% nbgrader={"grade": true, "grade_id": "test-quantize-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: the error of drawn numbers, and 0 of every zero point.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(1515).normal(size=(5, 40)).astype(np.float32)
for bits, scale, shift in [(8, 0.04, 5), (6, 0.13, -9), (3, 1.4, 0)]:
    codes = quantize(drawn, scale, shift, bits)
    inside = np.abs(np.asarray(codes).astype(int)) < 2 ** (bits - 1) - 1
    error = np.abs(np.asarray(dequantize(codes, scale, shift)) - drawn)
    expect(bool((error[inside] <= scale * 0.5001).all()), True, f"{bits} bits: at most half a scale")
    expect(dequantize(quantize([0.0], scale, shift, bits), scale, shift), [0.0], f"{bits} bits: 0 stays 0")
### END HIDDEN TESTS

# %% [markdown]
r"""
How much is left of a signal? Its power over the power of the error, in *decibels*: 10 · log₁₀ of the ratio, so 20 dB are 1 % of error power.

**Predict**: halving the scale halves the error. How many decibels does a bit bring?
"""

# %% nbgrader={"grade": false, "grade_id": "provided-decibels", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def decibels(x, approximation):
    """How far the power of x lies above the power of the approximation's error: 10 · log₁₀ of the ratio."""
    x = np.asarray(x, np.float64)
    error = np.square(x - np.asarray(approximation)).sum()
    return 10 * math.log10(np.square(x).sum() / error) if error else math.inf

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt


def analyze_bits():
    """Decibels over bits, for numbers of three kinds, in symmetric codes that reach to the largest."""
    draw = np.random.default_rng(0)
    uniform, normal = draw.uniform(-1, 1, 50_000), draw.normal(size=50_000)
    kinds = {"uniform": (uniform, np.abs(uniform).max()), "normal": (normal, np.abs(normal).max())}
    kinds["normal, beside a number of 100"] = normal, 100.0
    bits = np.arange(2, 9)
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for (name, (x, reach)), style in zip(kinds.items(), ("o-", "s--", "^:"), strict=True):
        rows = []
        for b in bits:
            scale, _ = quantization_range(-reach, reach, b)
            rows.append(decibels(x, dequantize(quantize(x, scale, bits=b), scale)))
        axes.plot(bits, rows, style, label=name)
        each = (rows[-1] - rows[2]) / 4
        print(f"📊 {name}: {rows[-1]:.1f} dB at 8 bits, {each:.1f} dB a bit from 4 bits on")
    axes.set(xlabel="bits", ylabel="signal over error in dB", title="What a bit brings")
    axes.legend(loc="upper left")
    plt.show()

analyze_bits()

# %% [markdown]
r"""
Half the error is a quarter of its power, 6.02 dB (at few bits a little more, for 4 bits have 14 steps and 5 have 30). Normal numbers lie below uniform ones, because rare
extremes set their scale. A single number of 100 sets it for all the others: at few bits every code is 0, and nothing is left of them.

### A scale for each channel

In the weight (out, in) of a layer one row may be a hundred times larger than the others. Give each its own scale:

    weight        one scale, 10/127     a scale for each row: 0.1/127, 10/127
    0.1   0.05     1    1                127   64
    10    −4     127   −51               127  −51

With one scale the first row has two numbers and one code. Why rows? A row makes one output, Σ w·x, and *its* scale can be taken out of the sum.

**Write `quantize_channels(weight, axis, bits)`**: (codes, scales), symmetric, with a scale for each place along `axis` (0: the outputs, also of a
convolution's (O, C, kh, kw)). Codes have the weight's shape. Scales are float32, have size 1 along all other axes, and are positive: one that float32 makes 0
(of zeros, of no numbers, of numbers like 1e-45) is 1. nan is a `ValueError`.
"""

# %% nbgrader={"grade": false, "grade_id": "quantize_channels", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Over which axes is the largest absolute value taken, if one is to remain?", "keepdims leaves an array that broadcasts against the weight.", "A maximum over no numbers needs a starting value; a scale of 0 has to be replaced before anything is divided by it."], "minutes": 25, "objective": "codes"}
#| export
def quantize_channels(weight, axis=0, bits=8):
    """(codes, scales) of `weight`, symmetric, with a scale of its own for each place along `axis`.

    codes: int8, of weight's shape. scales: float32, positive, of size 1 along the other axes; 1 where float32
    would make it 0. Raises ValueError for nan, and for bits that are not 2 to 8.
    """
    weight = np.asarray(weight, np.float32)
    ### BEGIN SOLUTION
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True, initial=0)
    scales = (largest / largest_code(bits)).astype(np.float32)
    scales[scales == 0] = 1
    return quantize(weight, scales, bits=bits), scales
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-quantize_channels", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize_channels():
    weight = np.array([[0.1, 0.05], [10, -4]], np.float32)
    codes, scales = quantize_channels(weight)
    expect(codes, [[127, 64], [127, -51]], "the worked example", dtype=np.int8)
    expect(scales, [[0.1 / 127], [10 / 127]], "its scales", rtol=1e-6, dtype=np.float32)
    expect(weight, np.array([[0.1, 0.05], [10, -4]], np.float32), "the weight stays")
    codes, scales = quantize_channels(weight, axis=1, bits=4)
    expect(codes, [[0, 0], [7, -7]], "along axis 1, with 4 bits", dtype=np.int8)
    expect(scales, [[10 / 7, 4 / 7]], "its scales", rtol=1e-6, dtype=np.float32)
    expect(quantize_channels(weight, axis=-1)[1].shape, (1, 2), "axis -1 is the last one")
    kernels = np.arange(24.0).reshape(2, 3, 2, 2) - 11.5
    codes, scales = quantize_channels(Tensor(kernels))
    expect(scales.shape, (2, 1, 1, 1), "kernels: a scale for each output channel")
    expect(np.asarray(codes)[:, 0, 0], [[-127, -116], [6, 17]], "kernels: some codes")
    with no_warnings("a channel of zeros"):
        codes, scales = quantize_channels([[0.0, 0], [0, -254], [1e-45, 0]])
        expect((codes, scales), ([[0, 0], [0, -127], [0, 0]], [[1], [2], [1]]), "zeros, and almost zeros")
        expect(quantize_channels(np.zeros((2, 0)))[1], [[1], [1]], "channels of nothing")
    expect_error(ValueError, "nan", quantize_channels, [[1.0, math.nan]])
    print("🔬 quantize_channels: passed")

test_unit_quantize_channels()

# %% nbgrader={"grade": true, "grade_id": "test-quantize_channels-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other axes, and the error of every channel against its own scale.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(88).normal(size=(4, 5, 3)) * [[[1e-4]], [[1]], [[50]], [[3e3]]]
for along, bits in [(0, 8), (2, 5), (-2, 3)]:
    codes, scales = (np.asarray(part) for part in quantize_channels(drawn, along, bits))
    peaks = np.abs(drawn).max(axis=tuple({0, 1, 2} - {along % 3}), keepdims=True)
    expect(scales, peaks / (2 ** (bits - 1) - 1), f"axis {along}, {bits} bits: scales", rtol=1e-5)
    expect(bool((np.abs(codes * scales - drawn) <= scales * 0.501).all()), True, f"axis {along}: errors")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: 64 rows of normal weights, and one of them is multiplied by 100. What happens to the decibels of the *other* 63, with one scale and with
64?
"""

# %%
weight = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
weight[7] *= 100
others = np.arange(64) != 7
scale, _ = quantization_range(weight.min(), weight.max())
by_tensor = dequantize(quantize(weight, scale), scale)
by_channel = dequantize(*quantize_channels(weight))
for name, got in (("one scale", by_tensor), ("64 scales", by_channel)):
    print(f"{name}: {decibels(weight[others], got[others]):5.1f} dB in the other rows")

# %% [markdown]
r"""
### Find the fault

Such weights without an outlier, square: a layer's outputs from codes, in 8 bits. With row scales, weights
had over 40 dB above; these outputs have 12. Run it: which line is wrong?
"""

# %%
weight = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
x = np.random.default_rng(2).normal(size=(10, 64)).astype(np.float32)
codes, scales = quantize_channels(weight, axis=1)
out = x @ codes.T.astype(np.float32)
out = out * scales.reshape(1, 64)
print(f"{decibels(x @ weight.T, out):.1f} dB")

# %% [markdown]
r"""
<details><summary>Answer</summary>

`axis=1`: that is a scale for each *input*. It stands inside of the sum over the inputs and cannot be taken out; the last line multiplies each output by
the scale of some input. All scales are similar, so the outputs are not far off, and in a square weight no shape complains. With `axis=0` it is over 40 dB.

</details>

Here you can stop: you have numbers in a byte each.

## Part 2 of 3 · about 4 hours: layers

### An exact product

Codes times codes is a product of integers, and NumPy's product of integers is slow: it has no BLAS, the library behind float32's. But float32 can do it. It holds every integer up
to 2²⁴ = 16,777,216 exactly, so a sum of products is exact in any order, *as long as no partial sum can get larger*.

    codes up to 127:  127 · 127 = 16,129,   2²⁴ / 16,129 = 1040.2   →   1,040 products are safe

**Write `exact_length(largest_a, largest_b)`**: how many products of integers, at most so large in absolute value, a float32 sum holds for sure. An
int; 0 where already one is too large. Arguments below 1 are a `ValueError` naming both.
"""

# %% nbgrader={"grade": false, "grade_id": "exact_length", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The worst case has all products as large as they can be, with one sign.", "A sum that is exactly the limit is still exact."], "minutes": 10, "objective": "exact"}
#| export
def exact_length(largest_a, largest_b):
    """How many products of integers up to these float32 adds up exactly, in any order: none beyond 2²⁴.

    Raises ValueError for a largest number below 1.
    """
    ### BEGIN SOLUTION
    if largest_a < 1 or largest_b < 1:
        raise ValueError(f"exact_length: largest integers are at least 1, not {largest_a} and {largest_b}")
    return 2**24 // (largest_a * largest_b)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-exact_length", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_exact_length():
    expect(exact_length(127, 127), 1040, "two of 8 bits")
    expect(exact_length(128, 128), 1024, "with -128: the limit itself is exact")
    expect(exact_length(7, 127), 18872, "4 and 8 bits")
    expect(exact_length(1, 1), 16777216, "ones")
    expect(exact_length(5000, 4000), 0, "one product is too large already")
    expect(type(exact_length(3, 5)), int, "the type")
    expect_error(ValueError, [0, 5], exact_length, 0, 5)
    expect_error(ValueError, [3, 0], exact_length, 3, 0)
    expect_error(ValueError, [-1, -5], exact_length, -1, -5)
    print("🔬 exact_length: passed")

test_unit_exact_length()

# %% nbgrader={"grade": true, "grade_id": "test-exact_length-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other sizes.
### BEGIN HIDDEN TESTS
for first, second in [(31, 31), (63, 127), (4096, 4096), (4097, 4096), (1, 9)]:
    expect(exact_length(first, second), (1 << 24) // first // second, f"up to {first} and {second}")
### END HIDDEN TESTS

# %% [markdown]
r"""
Longer rows are cut into blocks of that length. Each block is one float32 product; its sums are exact integers, become int32, and are added there:

    1,500 codes      [0 … 1,023] [1,024 … 1,499]      two products of float32, two sums in int32

**Write `int8_matmul(a, b, product)`**: from int8 arrays a (…, n, k) and b (k, m) the exact product, an int32 array (…, n, m). An int8 may hold −128,
so make blocks of `exact_length(128, 128)` (or look how large the codes are). `product` multiplies two float32 arrays; it is `np.matmul` unless
the test hands in one that counts. k = 0 gives zeros. Arrays of another dtype are a `TypeError` that names it (float codes would be no saving). Where the two
k differ: `ValueError` with both shapes.
"""

# %% nbgrader={"grade": false, "grade_id": "int8_matmul", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The blocks of a are columns, those of b are rows, with the same start and end.", "Turn each block into float32 by itself, not the whole array: that is four times the memory.", "The running sum is an int32 array of zeros in the beginning, which is also right for k = 0."], "minutes": 35, "objective": "exact"}
#| export
def int8_matmul(a, b, product=np.matmul):
    """The exact product of int8 codes a (…, n, k) and b (k, m): int32 (…, n, m), for k up to 131,071.

    product: of float32 arrays; each of its sums is short enough to be exact. Raises TypeError naming a dtype
    that is not int8, ValueError naming both shapes where they do not fit.
    """
    ### BEGIN SOLUTION
    for codes in (a, b):
        if codes.dtype != np.int8:
            raise TypeError(f"int8_matmul multiplies int8 codes, not {codes.dtype}")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"int8_matmul: shapes {a.shape} and {b.shape} do not fit together")
    total, length = np.zeros((*a.shape[:-1], b.shape[1]), np.int32), exact_length(128, 128)
    for start in range(0, b.shape[0], length):
        block = slice(start, start + length)
        sums = product(a[..., block].astype(np.float32), b[block].astype(np.float32))
        total += sums.astype(np.int32)
    return total
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-int8_matmul-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_int8_matmul():
    a, b = np.array([[1, 2, 3], [-4, 127, 0]], np.int8), np.array([[1, 0], [0, 127], [2, 2]], np.int8)
    expect(int8_matmul(a, b), [[7, 260], [-4, 16129]], "2 by 3 times 3 by 2", dtype=np.int32)
    expect((a, b), ([[1, 2, 3], [-4, 127, 0]], [[1, 0], [0, 127], [2, 2]]), "both stay")
    batch = np.stack([a, -a])
    expect(int8_matmul(batch, b), [[[7, 260], [-4, 16129]], [[-7, -260], [4, -16129]]], "a batch of two")
    long = np.full((1, 3000), 127, np.int8)
    long[0, 0] = 126
    expect(int8_matmul(long, long.T), [[2999 * 16129 + 15876]], "3,000 products, 48,386,747")
    low = np.array([[-128] * 1030 + [1] * 9 + [0]], np.int8)
    expect(int8_matmul(low, low.T), [[16875529]], "with -128, 1,040 products are too many for a block")
    expect(int8_matmul(a[:, :0], b[:0]), [[0, 0], [0, 0]], "no products", dtype=np.int32)
    expect_error(TypeError, "float32", int8_matmul, a.astype(np.float32), b)
    expect_error(TypeError, "int64", int8_matmul, a, b.astype(np.int64))
    short = np.ones((1, 1024), np.int8)
    expect_error(ValueError, [(1, 1024), (3000, 1)], int8_matmul, short, long.T)
    expect_error(ValueError, [(1, 3000), (1024, 1)], int8_matmul, long, short.T)
    print("🔬 int8_matmul: passed")

test_unit_int8_matmul()

# %% nbgrader={"grade": true, "grade_id": "test-int8_matmul-blocks", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_int8_matmul_blocks():
    lengths, dtypes = [], set()

    def counting(left, right):
        lengths.append(left.shape[-1])
        dtypes.update([str(left.dtype), str(right.dtype)])
        return np.matmul(left, right)

    a, b = np.full((2, 2500), 127, np.int8), np.full((2500, 3), -127, np.int8)
    expect(int8_matmul(a, b, counting), [[-40322500] * 3] * 2, "2,500 products")
    expect(dtypes, {"float32"}, "every product is one of float32")
    expect(sum(lengths), 2500, "its blocks together")
    expect(len(lengths), 3, "blocks as long as they may be")
    print("🔬 int8_matmul, blocks: passed")

test_unit_int8_matmul_blocks()

# %% nbgrader={"grade": true, "grade_id": "test-int8_matmul-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: odd sums just beyond what float32 holds, and drawn codes.
### BEGIN HIDDEN TESTS
for count in (1041, 1043, 1057, 2081):
    row = np.full((1, count), 127, np.int8)
    expect(int8_matmul(row, row.T), [[count * 16129]], f"{count} products of 127 and 127")
    expect(int8_matmul(-row, row.T), [[-count * 16129]], f"{count} products of -127 and 127")
drawn = np.random.default_rng(7)
left, right = (drawn.integers(-128, 128, size, dtype=np.int8) for size in ((2, 3, 1100), (1100, 4)))
expect(int8_matmul(left, right), left.astype(np.int64) @ right.astype(np.int64), "drawn codes")
### END HIDDEN TESTS

# %% [markdown]
r"""
Before you hope: a processor multiplies int8 fast only through instructions that NumPy does not use. **Predict**: for 512 by 512 codes, how many
times as long as a product of float32 take NumPy's product of integers, and yours?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
from tinytorch.core.profiling import measure


def analyze_product(size=512):
    """Medians of a product of int32, of int8_matmul and of float32."""
    a, b = (np.random.default_rng(seed).integers(-127, 128, (size, size), dtype=np.int8) for seed in (0, 1))
    wide, floats = [x.astype(np.int32) for x in (a, b)], [x.astype(np.float32) for x in (a, b)]
    base = measure(lambda: floats[0] @ floats[1]).median
    integers, mine = measure(lambda: wide[0] @ wide[1]).median, measure(lambda: int8_matmul(a, b)).median
    print(f"📊 float32 {base * 1e3:.2f} ms; integers {integers / base:.0f} times as long; int8_matmul "
          f"{mine / base:.1f} times as long, from {a.nbytes / floats[0].nbytes:.0%} of the bytes")

analyze_product()

# %% [markdown]
r"""
So what you gain here is memory; on a processor with such instructions, and in every phone, it is time too.

### What inputs look like

Weights are known. Of a layer's *inputs* you know only what you have seen: a few batches, the *calibration data*. Three ways to a range from them:

    extremes         the smallest and the largest number: nothing is cut off, and one outlier sets the scale for all
    percentile       the 0.1th and the 99.9th percentile: of a thousand numbers one is cut off on each side
    least_squares    of the ranges share · (smallest, largest), share = 1, 0.95, … 0.05, the one with the smallest sum of
                     squared errors after `quantize` (asymmetric, `bits`) and `dequantize`

    100 times 1 and once 10, with 2 bits (three codes):
        share 1:     0 to 10, codes for 0, 5, 10         100 · 1² + 0²          = 100
        share 0.25:  0 to 2.5, codes for 0, 1.25, 2.5    100 · 0.25² + 7.5²     = 62.5     the best one

**Write `calibrate(samples, method, bits)`**: (low, high), two floats. `samples` is an iterable of arrays or Tensors of any shapes, which can be read once;
they count together. No numbers at all, nan or infinity, and a method that is none of the three are a `ValueError` (the last one names it; nan and
infinity are named too).
"""

# %% nbgrader={"grade": false, "grade_id": "calibrate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Flatten every array, then put all of them together; what does NumPy say to a concatenation of none?", "np.percentile takes several percentages at once.", "Try the shares from wide to narrow, and take a later one only where its error is smaller. Bits and the asymmetric range go into your own functions."], "minutes": 35, "objective": "layers"}
#| export
def calibrate(samples, method="extremes", bits=8):
    """(low, high), the range of the numbers in `samples` that codes should cover, as floats.

    samples: an iterable of arrays. method: "extremes", "percentile" (0.1 and 99.9) or "least_squares", which
    tries the extremes times 1, 0.95, … 0.05 with asymmetric codes of `bits` bits. Raises ValueError for
    another method, for no numbers, and for nan and infinity among them.
    """
    ### BEGIN SOLUTION
    parts = [np.asarray(sample, np.float32).ravel() for sample in samples]
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not values.size:
        raise ValueError("calibrate: no numbers to find a range from")
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"calibrate: numbers from {low} to {high}: a nan or an infinity is among them")
    if method == "extremes":
        return low, high
    if method == "percentile":
        low, high = np.percentile(values, [0.1, 99.9])
        return float(low), float(high)
    if method != "least_squares":
        raise ValueError(f"calibrate: {method!r} is not extremes, percentile or least_squares")
    best, least = (low, high), math.inf
    for step in range(20, 0, -1):
        scale, zero_point = quantization_range(low * step / 20, high * step / 20, bits, symmetric=False)
        back = dequantize(quantize(values, scale, zero_point, bits), scale, zero_point)
        error = float(np.square(values - back, dtype=np.float64).sum())
        if error < least:
            best, least = (low * step / 20, high * step / 20), error
    return best
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-calibrate-values", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_calibrate():
    batches = [np.array([[1.0, -2], [0.5, 0]]), Tensor([4.0]), np.zeros((0, 3))]
    expect(calibrate(batches), (-2.0, 4.0), "extremes of three batches")
    expect(calibrate(iter(batches), "extremes"), (-2.0, 4.0), "from an iterator")
    expect(calibrate([[3, 3]]), (3.0, 3.0), "a constant")
    thousand = [np.arange(500), np.arange(1000, 499, -1)]
    found = calibrate(thousand, "percentile")
    expect(found, (1.0, 999.0), "0 to 1000: one off on each side", rtol=1e-6)
    expect([type(end) for end in found], [float, float], "the types")
    spread = [np.ones(100), [10.0]]
    expect(calibrate(iter(spread), "least_squares", bits=2), (0.25, 2.5), "the worked example", rtol=1e-6)
    negative = [-np.ones(100), [-10.0]]
    expect(calibrate(negative, "least_squares", bits=2), (-2.5, -0.25), "and its negative", rtol=1e-6)
    crowd = [np.ones(2000), [40.0]]
    expect(calibrate(crowd, "least_squares", bits=2), (0.05, 2.0), "the narrowest share", rtol=1e-6)
    expect(calibrate(spread, "least_squares"), (1.0, 10.0), "8 bits: the widest is best", rtol=1e-6)
    expect(calibrate([np.zeros(5)], "least_squares"), (0.0, 0.0), "zeros: all are equal")
    expect([type(end) for end in calibrate([[1, 2]])], [float, float], "the types of extremes")
    print("🔬 calibrate: passed")

test_unit_calibrate()

# %% nbgrader={"grade": true, "grade_id": "test-calibrate-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_calibrate_errors():
    for method in ("extremes", "percentile", "least_squares"):
        for bad in (math.nan, math.inf, -math.inf):
            expect_error(ValueError, str(bad).lstrip("-"), calibrate, [[1.0, 2], [bad]], method)
        expect_error(ValueError, [], calibrate, [], method)
        expect_error(ValueError, [], calibrate, [np.zeros((0, 2))], method)
    expect_error(ValueError, "median", calibrate, [[1.0]], "median")
    print("🔬 calibrate, errors: passed")

test_unit_calibrate_errors()

# %% nbgrader={"grade": true, "grade_id": "test-calibrate-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn numbers with an outlier, by all three methods.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(3).normal(size=2000).astype(np.float32)
drawn[11] = 60
expect(calibrate([drawn]), (drawn.min(), drawn.max()), "extremes")
cuts = tuple(np.percentile(drawn, [0.1, 99.9]))
expect(calibrate([drawn[:9], drawn[9:]], "percentile"), cuts, "percentile", rtol=1e-5)
errors = []
for k in range(20):
    share = 1 - k / 20
    step = (60 - float(drawn.min())) * share / 14
    shift = np.rint(-7 - float(drawn.min()) * share / step)
    codes = np.clip(np.rint(drawn / step) + shift, -7, 7)
    errors.append(np.square((codes - shift) * step - drawn).sum())
share = 1 - int(np.argmin(errors)) / 20
got = calibrate([drawn], "least_squares", 4)
expect(got, (float(drawn.min()) * share, 60 * share), "least squares with 4 bits", rtol=1e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
### A layer of codes

With weight codes w and their row's scale, input codes q, their scale and zero point z, an output is

    Σ (q − z)·s_in · w·s_row = s_in · s_row · (Σ q·w − z · Σ w)

The first sum is your product of integers, the second is one number a row. For example:

    x = [1, 0.5], s_in 0.01, z −27      q = [73, 23]
    w = [127, −64], s_row 0.02          Σ q·w = 7799,  z·Σ w = −27 · 63 = −1701
                                        0.01 · 0.02 · (7799 + 1701) = 1.9;   by floats 2.54 − 0.64

**Write the operation `quantized_linear`** for arrays: x (…, in), codes (out, in), scale (out, 1), bias (out,) or None. `input_range` is (s_in, z): then x
gets 8-bit codes, and Σ q·w comes from `int8_matmul`: it is exact for rows of any length, and codes that are not int8 are refused. If it is None, only the weights are quantized: the product of x with the dequantized weights. float32 comes back. (An int32 array times
float32 would be float64: make the sums float32 first.)

**And the buffers of `QuantizedLinear`** in its `__init__`, by `self.register_buffer(name, tensor)`; a buffer is part of `state_dict`, and so of what is saved, but no parameter:

    weight         int8 (out, in)       scale         float32 (out, 1)       by quantize_channels, with `bits`
    bias           float32 (out,) or None; a copy
    input_range    float32 (2,), s_in and z, or None

No float32 weight may stay. There is no gradient rule: quantized layers are for inference, and `backward` says so.
"""

# %% nbgrader={"grade": false, "grade_id": "QuantizedLinear", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In the operation: which of the two sums needs x, and which one could be computed once?", "The zero point counts with the sum of a row's codes, summed in int32; scale is a column, and outputs lie along the last axis.", "Tensor(array) keeps int8 and float32; register_buffer takes None as well."], "minutes": 60, "objective": "layers"}
#| export
@Op
def quantized_linear(x, codes, scale, bias=None, *, input_range=None):
    """x (…, in) times the transpose of codes (out, in) with scale (out, 1), plus bias: float32 (…, out).

    input_range: (scale, zero_point) of x, which is then quantized to 8 bits too and multiplied in integers;
    or None, for weights only. It has no gradient.
    """
    ### BEGIN SOLUTION
    if input_range is None:
        out = x.astype(np.float32, copy=False) @ dequantize(codes, scale).T
    else:
        input_scale, zero_point = input_range
        sums = int8_matmul(quantize(x, input_scale, zero_point), codes.T)
        sums -= int(zero_point) * codes.sum(axis=1, dtype=np.int32)
        out = sums.astype(np.float32) * (scale.T[0] * np.float32(input_scale))
    return out if bias is None else out + bias
    ### END SOLUTION


class QuantizedLinear(Module):
    """A Linear for inference whose weights are int8 codes with a scale for each row.

    weight (out, in), bias (out,) or None: arrays or Tensors, which it copies. input_range: the (scale,
    zero_point) with which its inputs get codes of 8 bits, or None: weights only. bits: of the weights.
    """

    def __init__(self, weight, bias=None, input_range=None, bits=8):
        super().__init__()
        ### BEGIN SOLUTION
        codes, scale = quantize_channels(weight, bits=bits)
        self.register_buffer("weight", Tensor(codes))
        self.register_buffer("scale", Tensor(scale))
        self.register_buffer("bias", None if bias is None else Tensor(np.asarray(bias, np.float32)))
        known = None if input_range is None else Tensor(np.array(input_range, np.float32))
        self.register_buffer("input_range", known)
        ### END SOLUTION

    def settings(self):
        """What quantized_linear gets as input_range: a float and an int, or None."""
        if self.input_range is None:
            return None
        scale, zero_point = self.input_range.tolist()
        return scale, int(zero_point)

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.weight.shape[1]:
            raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")
        return quantized_linear(x, self.weight, self.scale, self.bias, input_range=self.settings())

    def extra_repr(self):
        inputs = "float32" if self.input_range is None else "int8"
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, weights int8, inputs {inputs}"

# %% nbgrader={"grade": true, "grade_id": "test-QuantizedLinear-storage", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_QuantizedLinear_storage():
    weight, bias = np.array([[2.54, -1.28], [0.127, 0.06]], np.float32), np.array([1.0, -1], np.float32)
    layer = QuantizedLinear(weight, Tensor(bias), (0.01, -27))
    state = layer.state_dict()
    expect(sorted(state), ["bias", "input_range", "scale", "weight"], "what is saved")
    expect(state["weight"], [[127, -64], [127, 60]], "the codes", dtype=np.int8)
    expect(state["scale"], [[0.02], [0.001]], "a scale for each row", rtol=1e-6, dtype=np.float32)
    expect(state["bias"], [1, -1], "the bias", dtype=np.float32)
    expect(state["input_range"], [0.01, -27], "scale and zero point of inputs", rtol=1e-6, dtype=np.float32)
    bias[0] = 50
    expect(layer.state_dict()["bias"], [1, -1], "the bias is a copy")
    expect(len(list(layer.parameters())), 0, "parameters")
    expect_error(ValueError, [(2, 3), (2, 2)], layer, Tensor(np.zeros((2, 3))))
    x = Tensor(np.ones((1, 2)), requires_grad=True)
    expect_error(RuntimeError, "quantized_linear", lambda: layer(x).sum().backward())
    bare = QuantizedLinear(weight, bits=4).state_dict()
    expect(sorted(bare), ["scale", "weight"], "neither bias nor inputs")
    expect(bare["weight"], [[7, -4], [7, 3]], "4 bits")
    expect(sum(part.nbytes for part in bare.values()), 4 + 8, "bytes of four codes and two scales")
    print("🔬 QuantizedLinear, storage: passed")

test_unit_QuantizedLinear_storage()

# %% nbgrader={"grade": true, "grade_id": "test-QuantizedLinear-values", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_QuantizedLinear_values():
    x, codes = np.array([[1, 0.5]], np.float32), np.array([[127, -64], [127, 127]], np.int8)
    scale, bias = np.array([[0.02], [0.5]], np.float32), np.array([0.1, -5], np.float32)
    got = quantized_linear(Tensor(x), codes, scale, input_range=(0.01, -27))
    expect(got, [[1.9, 95.25]], "the worked example, and a second row", rtol=1e-6, dtype=np.float32)
    got = quantized_linear(Tensor(x), codes, scale, bias, input_range=(0.01, -27))
    expect(got, [[2, 90.25]], "with a bias", rtol=1e-6, dtype=np.float32)
    got = quantized_linear(Tensor(x), codes, scale, bias, input_range=(0.4, 0))
    expect(got, [[0.02 * (0.8 * 127 - 0.4 * 64) + 0.1, 71.2]], "coarse inputs: 0.8 and 0.4", rtol=1e-6)
    got = quantized_linear(Tensor([[1.0, 0.33]]), codes, scale, bias)
    expect(got, [[2.2176, 79.455]], "weights only: inputs are not rounded", rtol=1e-6, dtype=np.float32)
    expect_error(TypeError, "float32", quantized_linear, Tensor(x), codes * scale, scale, input_range=(1, 0))
    weight = np.cos(np.arange(12.0)).reshape(3, 4)
    for inputs in (None, (0.01, 20)):
        layer = QuantizedLinear(weight, [1.0, 2, 3], inputs)
        x = np.sin(np.arange(8.0)).reshape(2, 1, 4)
        expect(layer(Tensor(x)), x @ weight.T + [1, 2, 3], f"cosines, {inputs}", atol=0.03, dtype=np.float32)
        expect(layer(Tensor(x[:0])).shape, (0, 1, 3), f"no rows, {inputs}")
    long, many = np.random.default_rng(15).integers(100, 128, (2, 2, 130_000), dtype=np.int8)
    long[0, :65_000] *= -1
    long[1, ::2] *= -1
    got = quantized_linear(Tensor(long * 1.0), many, np.ones((2, 1)), input_range=(1.0, 0))
    expect(got, long.astype(int) @ many.T.astype(int), "130,000 inputs: int8_matmul is exact, float32 is not")
    print("🔬 QuantizedLinear, values: passed")

test_unit_QuantizedLinear_values()

# %% nbgrader={"grade": true, "grade_id": "test-QuantizedLinear-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: long rows, whose sums have to be exact, and a layer against the sums in float64.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(44)
weight, x = drawn.normal(size=(3, 1500)), drawn.normal(size=(4, 1500)) + 0.5
layer = QuantizedLinear(weight, np.arange(3.0), (0.03, -14))
peaks = np.abs(weight.astype(np.float32)).max(axis=1, keepdims=True) / np.float32(127)
rows = np.rint(weight.astype(np.float32) / peaks).astype(np.float64)
steps = np.clip(np.rint(x.astype(np.float32) / np.float32(0.03)) - 14, -127, 127) + 14
expect(layer(Tensor(x)), steps @ rows.T * 0.03 * peaks.T + np.arange(3), "1,500 inputs", atol=1e-3, rtol=1e-5)
expect(layer.state_dict()["weight"], rows, "its codes", dtype=np.int8)
q, w = drawn.integers(90, 128, (2, 3, 120_000), dtype=np.int8)
q[:2, 60_000:] *= -1
w[1:, 1::2] *= -1
got = quantized_linear(Tensor(q * 1.0), w, np.full((3, 1), 0.5, np.float32), input_range=(1.0, 0))
expect(got, (q.astype(int) @ w.T.astype(int) * 0.5).astype(np.float32), "120,000 inputs")
### END HIDDEN TESTS

# %% [markdown]
r"""
A convolution is that product over the windows of `im2col` (09). Its padding is zeros, which the zero point represents exactly. `quantized_layer` makes the one or the other of a Linear or a
Conv2d:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-QuantizedConv2d", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
@Op
def quantized_convolve(x, codes, scale, bias=None, *, input_range=None, kernel_size, stride, padding):
    """quantized_linear over the windows of x (N, C, H, W), with codes (O, C · kh · kw): (N, O, OH, OW)."""
    rows = im2col(x, kernel_size, stride, padding)
    out = quantized_linear.forward(rows, codes, scale, bias, input_range=input_range)
    shape = output_shape(x.shape, kernel_size, stride, padding)
    return out.reshape(len(x), *shape, len(codes)).transpose(0, 3, 1, 2)


def code_flops(arrays, out, settings, backward):
    """For a Profile (14): a multiplication and an addition for each code and output, as for floats."""
    return 2 * out.size * arrays[1].shape[1]


quantized_linear.flops = quantized_convolve.flops = code_flops


class QuantizedConv2d(QuantizedLinear):
    """A Conv2d `layer` for inference with int8 weights (O, C · kh · kw); settings as in QuantizedLinear."""

    def __init__(self, layer, input_range=None, bits=8):
        kernels = layer.weight.numpy()
        super().__init__(kernels.reshape(len(kernels), -1), layer.bias, input_range, bits)
        self.in_channels, self.kernel_size = layer.in_channels, layer.kernel_size
        self.stride, self.padding = layer.stride, layer.padding

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.in_channels} channels")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        places = {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}
        buffers = self.weight, self.scale, self.bias
        out = quantized_convolve(images, *buffers, input_range=self.settings(), **places)
        return out if x.ndim == 4 else out.squeeze(0)


def quantized_layer(layer, input_range=None, bits=8):
    """The QuantizedConv2d or QuantizedLinear with the weights of `layer`, a Conv2d or a Linear."""
    if isinstance(layer, Conv2d):
        return QuantizedConv2d(layer, input_range, bits)
    return QuantizedLinear(layer.weight, layer.bias, input_range, bits)

# %%
convolution = Conv2d(2, 3, 3, padding=1)
images = Tensor(np.random.default_rng(0).normal(size=(4, 2, 8, 8)))
with no_grad():
    exact = convolution(images).numpy()
known = quantization_range(*calibrate([images]), symmetric=False)
for name, inputs in (("weights", None), ("weights and inputs", known)):
    layer = quantized_layer(convolution, inputs)
    print(f"{name} in 8 bits: {decibels(exact, layer(images)):.1f} dB;  {layer}")

# %% [markdown]
r"""
Here you can stop: layers of codes work.

## Part 3 of 3 · about 3 hours: models

Four helpers, folded. `copy_for_quantization(model)` gives a deep copy in evaluation mode, in which the three maps of a `MultiheadAttention` are one Linear that can be replaced. `linear_layers(model)` finds every Linear and
Conv2d, {path: layer}. `inputs_of(model, samples)` runs the model over the samples and gives {path: list of the layer's inputs}.
`replace_layer(model, old, new)` gives the model with `new` in the place of `old`. Embeddings and norms stay float32; they are few.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-models", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class InProjection(Linear):
    """The three maps of a MultiheadAttention as one Linear, which shares their parameters."""

    def __init__(self, weight, bias):
        Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.weight, self.bias = weight, bias


class JoinedAttention(MultiheadAttention):
    """A MultiheadAttention whose maps are layers, in_proj and out_proj, that can be replaced."""

    def __init__(self, attention):
        Module.__init__(self)
        self.embed_dim, self.num_heads = attention.embed_dim, attention.num_heads
        self.dropout, self.batch_first = attention.dropout, attention.batch_first
        self.in_proj = InProjection(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = attention.out_proj

    def project(self, query, key, value):
        width, inputs = self.embed_dim, (query, key, value)
        same = query is key is value
        mapped = [self.in_proj(query)] * 3 if same else [self.in_proj(x) for x in inputs]
        return [x[..., i * width : (i + 1) * width] for i, x in enumerate(mapped)]


class Watched(Module):
    """A layer that keeps its inputs."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.inputs = layer, []

    def forward(self, x):
        self.inputs.append(x.numpy())
        return self.layer(x)


def replace_layer(model, old, new):
    """The model with `new` wherever `old` was, changed in place; `new`, where `old` is the model itself."""
    for module in list(model.modules()):
        for name, part in list(vars(module).items()):
            if part is old:
                setattr(module, name, new)
    return new if model is old else model


def copy_for_quantization(model):
    """A deep copy of `model` in evaluation mode, with JoinedAttention for every MultiheadAttention."""
    model = copy.deepcopy(model).eval()
    for layer in list(model.modules()):
        if isinstance(layer, MultiheadAttention) and not isinstance(layer, JoinedAttention):
            model = replace_layer(model, layer, JoinedAttention(layer).eval())
    return model


def linear_layers(model):
    """{path: layer} of every Linear and Conv2d of `model`."""
    return {path: part for path, part in model.named_modules() if isinstance(part, (Linear, Conv2d))}


@no_grad()
def inputs_of(model, samples):
    """{path: list of input arrays} of the linear_layers while `model` runs over `samples`."""
    watched = {path: Watched(layer) for path, layer in linear_layers(model).items()}
    for one in watched.values():
        model = replace_layer(model, one.layer, one)
    for sample in samples:
        model(sample if isinstance(sample, Tensor) else Tensor(sample))
    for one in watched.values():
        model = replace_layer(model, one, one.layer)
    return {path: one.inputs for path, one in watched.items()}

# %% [markdown]
r"""
**Write `quantize_model(model, samples, method, bits)`**: a copy in which every layer of `linear_layers` is a `quantized_layer`, with `bits` bits for the weights. With `samples` each layer's input range comes from
its own inputs: `calibrate` them by `method`, always with 8 bits, and make an asymmetric `quantization_range` of it. `samples` None: weights only. The model itself stays as it is, its mode too.

A model without any such layer is a `ValueError` that names the model's class: nothing was quantized, and nobody shall take the copy for a success.
What `calibrate` refuses (samples with nan, no samples) it refuses here.
"""

# %% nbgrader={"grade": false, "grade_id": "quantize_model", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Copy first, then look for the layers in the copy, not in the original.", "inputs_of has to run before the first layer is replaced: else later ranges come from quantized inputs, and the paths are gone.", "replace_layer gives a model back, which is another one if the model itself is a layer."], "minutes": 35, "objective": "models"}
#| export
def quantize_model(model, samples=None, method="extremes", bits=8):
    """A copy of `model` in evaluation mode whose Linear and Conv2d layers have weights of `bits` bits.

    samples: an iterable of inputs of the model, from which the range of each layer's inputs is calibrated, by
    `method`, for 8 bits; or None: weights only. Raises ValueError for a model without such a layer.
    """
    ### BEGIN SOLUTION
    model = copy_for_quantization(model)
    layers = linear_layers(model)
    if not layers:
        raise ValueError(f"quantize_model: {type(model).__name__} has no Linear and no Conv2d to quantize")
    inputs = None if samples is None else inputs_of(model, samples)
    for path, layer in layers.items():
        known = None
        if inputs is not None:
            known = quantization_range(*calibrate(inputs[path], method), symmetric=False)
        model = replace_layer(model, layer, quantized_layer(layer, known, bits))
    return model
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-sample_model", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
from tinytorch.core.activations import ReLU, relu
from tinytorch.core.layers import Dropout, Sequential
from tinytorch.core.spatial import Flatten, MaxPool2d


def sample_model():
    """A small convolutional network for images (N, 1, 6, 6), in training mode, and three images."""
    eyes = Conv2d(1, 4, 3, padding=1), relu, MaxPool2d(2), Flatten()
    model = Sequential(*eyes, Linear(36, 8), relu, Dropout(0.5), Linear(8, 3))
    for i, parameter in enumerate(model.parameters()):
        parameter.data[...] = np.cos(np.arange(parameter.numel()) * (i + 1)).reshape(parameter.shape)
    return model, Tensor(np.sin(np.arange(108.0)).reshape(3, 1, 6, 6))


class SelfAttention(Module):
    """Attention of rows (N, T, 8) to themselves, with 2 heads."""

    def __init__(self):
        super().__init__()
        self.heads = MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.heads(x, x, x)[0]

# %% nbgrader={"grade": true, "grade_id": "test-quantize_model-values", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize_model():
    model, images = sample_model()
    before, layers = model.state_dict(), ["0", "4", "7"]
    for samples in (None, [images]):
        small = quantize_model(model, samples)
        state = small.state_dict()
        expect([str(state[f"{i}.weight"].dtype) for i in layers], ["int8"] * 3, "three layers of codes")
        expect(state["4.weight"].shape, (8, 36), "codes of the first Linear")
        expect(f"{layers[0]}.input_range" in state, samples is not None, "input ranges")
        expect(small.training, False, "evaluation: no dropout")
        exact = copy.deepcopy(model).eval()(images)
        expect(small(images), exact, f"outputs, samples {samples is not None}", atol=0.3)
        expect(bool((np.asarray(small(images)) == np.asarray(exact)).all()), False, "it is not the model")
    expect(state["0.input_range"], [0.00787363, 0], "the images' own range", atol=1e-7)
    expect(model.training, True, "the model stays in training")
    for name, array in model.state_dict().items():
        expect(array, before[name], f"{name} of the model stays", dtype=np.float32)
    coarse = quantize_model(model, bits=2).state_dict()
    expect(np.unique(coarse["4.weight"]), [-1, 0, 1], "2 bits")
    print("🔬 quantize_model: passed")

test_unit_quantize_model()

# %% nbgrader={"grade": true, "grade_id": "test-quantize_model-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize_model_edges():
    model, images = sample_model()
    expect_error(ValueError, "Sequential", quantize_model, Sequential(relu, Flatten()))
    expect_error(ValueError, "nan", quantize_model, model, [Tensor(np.full((1, 1, 6, 6), np.nan))])
    expect_error(ValueError, [], quantize_model, model, [])
    expect_error(ValueError, "best", quantize_model, model, [images], "best")
    expect_error(ValueError, 12, quantize_model, model, None, "extremes", 12)
    alone = quantize_model(Linear(2, 3))
    expect(alone.state_dict()["weight"].dtype, np.int8, "a model that is one layer")
    wide = np.linspace(-1, 3, 4001)[:, None] * [1, 2]
    ranged = quantize_model(Linear(2, 3), iter([Tensor(wide)]), "percentile").state_dict()["input_range"]
    low, high = np.percentile(wide, [0.1, 99.9])
    expect(ranged[0], (high - low) / 254, "by percentile, from an iterator", rtol=1e-4)
    ends = [quantize_model(model, [images], "least_squares", bits).state_dict() for bits in (8, 2)]
    expect(ends[1]["0.input_range"], ends[0]["0.input_range"], "8 bits for inputs, whatever weights have")
    print("🔬 quantize_model, edges: passed")

test_unit_quantize_model_edges()

# %% nbgrader={"grade": true, "grade_id": "test-quantize_model-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: attention, whose maps are found too, and each layer's range from its own inputs.
### BEGIN HIDDEN TESTS
model, tokens = SelfAttention(), Tensor(np.sin(np.arange(80.0)).reshape(2, 5, 8))
small = quantize_model(model, [tokens])
codes = [name for name, array in small.state_dict().items() if str(array.dtype) == "int8"]
expect(codes, ["heads.in_proj.weight", "heads.out_proj.weight"], "the maps of attention")
expect(small(tokens), model(tokens), "attention, quantized", atol=0.05)
model, images = sample_model()
state = quantize_model(model, [images, images * 2.0]).state_dict()
exact, hidden = copy.deepcopy(model).eval(), images * 2.0
reach = 254 * np.asarray(state["0.input_range"])[0]
expect(reach, 2 * (images.max() - images.min()).item(), "the images of both batches", rtol=1e-5)
ends = [exact[:4](x).numpy() for x in (images, images * 2.0)]
expect(np.asarray(state["4.input_range"])[0], np.max(ends) / 254, "what comes into layer 4", rtol=1e-5)
expect(state["4.input_range"][1], -127, "behind a ReLU nothing is below 0")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Put together: two models, three ways
"""

# %% nbgrader={"grade": false, "grade_id": "provided-file_bytes", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def file_bytes(model):
    """The size of the file that save_checkpoint makes of the model's state, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_checkpoint(path, model.state_dict())
        return path.stat().st_size

# %% [markdown]
r"""
LeNet-5 from three starts on 360 unseen digits, and the GPT on held-out text. (Trained once, in under a minute, and kept.)
**Predict**: what part of the file is left? How many images more are wrong?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
from sklearn.datasets import load_digits

from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, LambdaLR
from tinytorch.core.tensor import manual_seed
from tinytorch.core.tokenization import CharTokenizer
from tinytorch.core.training import evaluate, training_step
from tinytorch.core.transformers import GPT, initialize, next_token_loss, train_language_model
from tinytorch.datasets import load_shakespeare
from tinytorch.notebook import trained


def lenet(seed=0):
    manual_seed(seed)
    eyes = Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))


def large_digits():
    digits, order = load_digits(), np.random.default_rng(0).permutation(1797)
    images = np.pad(np.kron(digits.images[order], np.ones((1, 3, 3))) / 16, [(0, 0), (2, 2), (2, 2)])
    images, labels = images[:, None].astype(np.float32), digits.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def train_lenet(model, epochs=12, batch=32):
    (images, labels), _ = large_digits()
    optimizer, draw = SGD(model.parameters(), lr=0.05, momentum=0.9), np.random.default_rng(0)
    schedule = LambdaLR(optimizer, lambda i: 1 - i / (epochs * 45))
    for _ in range(epochs):
        for picked in np.array_split(draw.permutation(1437), 45):
            training_step(model, cross_entropy, optimizer, Tensor(images[picked]), labels[picked])
            schedule.step()


def small_gpt():
    return initialize(GPT(65, 64, 4, 4, 128), 4, np.random.default_rng(0))


def train_gpt(model, steps=600):
    text = load_shakespeare()
    ids = np.array(CharTokenizer(text).encode(text))[: len(text) * 9 // 10]
    train_language_model(model, ids, steps, generator=np.random.default_rng(0))


(seen, _), (unseen, answers) = large_digits()
text = load_shakespeare()
ids = np.array(CharTokenizer(text).encode(text))
held_out = ids[len(ids) * 9 // 10 :]
windows = held_out[np.arange(0, len(held_out) - 64, 512)[:, None] + np.arange(65)]


@no_grad()
def images_wrong(model):
    return int((model(Tensor(unseen)).numpy().argmax(axis=1) != answers).sum())


def text_loss(model):
    return evaluate(model, next_token_loss, [(windows[:, :-1], windows[:, 1:])])["loss"]


def three_ways(model, samples):
    """{name: model} as it is, with weights in 8 bits, and with weights and inputs in 8 bits."""
    both = quantize_model(model, samples, "extremes")
    return {"float32": model, "weights int8": quantize_model(model), "weights and inputs int8": both}


def show(title, model, samples, score, run):
    whole = file_bytes(model)
    for name, one in three_ways(model, samples).items():
        with no_grad():
            seconds = measure(lambda one=one: run(one), repeats=5).median
        size = file_bytes(one)
        print(f"📊 {title}, {name:23}: {size:9,} bytes ({size / whole:.3f})", end=", ")
        print(f"{score(one)}, {seconds * 1e3:.0f} ms")


readers = [trained(f"15_lenet_{seed}", lambda seed=seed: lenet(seed), train_lenet) for seed in range(3)]
gpt = trained("gpt", small_gpt, train_gpt)
for seed, reader in enumerate(readers):
    show(f"LeNet-5 {seed}", reader, [seen[:100]], lambda model: f"{images_wrong(model)} of 360 wrong",
         lambda model: model(Tensor(unseen)))
some = ids[np.arange(8)[:, None] * 1000 + np.arange(64)]
show("GPT", gpt, [some], lambda model: f"loss {text_loss(model):.4f}", lambda model: model(windows[:16, :-1]))

# %% [markdown]
r"""
Above a quarter lies what stays float32 (biases, norms, embeddings), the scales, and an archive's few hundred bytes for each array. LeNet-5 is slower:
codes become float32 for every product, and inputs are rounded too.

**Predict**: 2 or 3 bits for the weights of *one* layer only: which one costs most images?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_layers():
    """Images that LeNet-5 gets wrong with few bits in the weights of one layer, over three starts."""
    paths, wrong = list(linear_layers(readers[0])), {2: [], 3: []}
    shares = [linear_layers(readers[0])[path].weight.numel() / 61_706 for path in paths]
    for bits, counts in wrong.items():
        for path in paths:
            counts.append([])
            for reader in readers:
                one = copy_for_quantization(reader)
                layer = linear_layers(one)[path]
                counts[-1].append(images_wrong(replace_layer(one, layer, quantized_layer(layer, bits=bits))))
    usual = np.mean([images_wrong(reader) for reader in readers])
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for shift, (bits, counts), look in zip((-0.2, 0.2), wrong.items(), ("C0", "none"), strict=True):
        style = {"color": look, "edgecolor": "C0"}
        axes.bar(np.arange(5) + shift, np.mean(counts, axis=1), 0.38, label=f"{bits} bits", **style)
        axes.plot(np.arange(5) + shift, counts, "_", color="0.3", markersize=9)  # each of the three
    axes.axhline(usual, ls="--", color="0.5", label="float32")
    names = [f"layer {path}\n{share:.1%}" for path, share in zip(paths, shares, strict=True)]
    axes.set_xticks(range(5), names)
    axes.set(ylabel="wrong of 360: three, and mean", title="Few bits in one layer, with its share of weights")
    figure.legend(loc="outside lower center", ncols=3)
    plt.show()
    worst, largest = int(np.argmax(np.mean(wrong[2], axis=1))), int(np.argmax(shares))
    print(f"📊 with 2 bits layer {paths[worst]} costs most: {wrong[2][worst]} wrong, {usual:.1f} before; "
          f"layer {paths[largest]}, {shares[largest]:.0%} of all weights: {wrong[2][largest]}")

analyze_layers()

# %% [markdown]
r"""
Cost does not follow size, and what differs less than the starts do says nothing.

### The outlier that breaks one scale

Multiply a channel of the first convolution by 300 and divide by 300 what the second makes of it. In float32 nothing changes. **Predict** for 8 bits: one scale a weight; a scale a channel; inputs quantized too?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_outlier(factor=300.0):
    """LeNet-5 with a planted channel: images wrong with scales of different kinds."""
    planted = copy_for_quantization(readers[0])
    first, second = planted[0], planted[3]
    first.weight.data[0] *= factor
    first.bias.data[0] *= factor
    second.weight.data[:, 0] /= factor
    by_tensor = copy_for_quantization(planted)
    for layer in linear_layers(by_tensor).values():
        scale, _ = quantization_range(layer.weight.min().item(), layer.weight.max().item())
        layer.weight.data[...] = dequantize(quantize(layer.weight, scale), scale)
    ways = {"float32": planted, "weights, one scale each": by_tensor}
    ways["weights by channel"] = quantize_model(planted)
    for method in ("extremes", "percentile", "least_squares"):
        ways[f"and inputs by {method}"] = quantize_model(planted, [seen[:100]], method)
    for name, model in ways.items():
        print(f"📊 {name:28}: {images_wrong(model)} of 360 wrong")

analyze_outlier()

# %% [markdown]
r"""
Scales by channel save the first layer; in a row of the second, weights now lie 300 times apart. An input has one scale for all
channels, since one for each could not be taken out of the sum. Large language models grow such channels by themselves (Dettmers and others, 2022).
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model, images = sample_model()
    small = quantize_model(model, [images], bits=6)
    wanted = [[4.6397, 2.3927, -4.6267], [4.9182, 1.47, -3.6785], [5.5097, 1.4333, -4.2089]]
    expect(small(images), wanted, "6 bits: PyTorch 2.13 with fake quantization of the same ranges", atol=1e-3)
    plain, codes = model.state_dict(), small.state_dict()
    sizes = [sum(part.nbytes for part in state.values()) for state in (plain, codes)]
    expect(sizes, [4 * 363, 348 + 4 * 15 + 4 * 15 + 3 * 8], "bytes: codes, biases, scales, input ranges")
    again = quantize_model(sample_model()[0], [images * 3.0])
    again.load_state_dict(codes)
    expect(again(images), small(images), "loaded into another one")
    ranges = quantization_range(*calibrate([images], "least_squares"), symmetric=False)
    rows = int8_matmul(quantize(images, *ranges).reshape(3, 36), quantize_channels(np.eye(36))[0])
    back = dequantize(np.asarray(rows) / 127, *ranges).reshape(3, 1, 6, 6)
    expect(decibels(images, back) > 45, True, "a round trip of the images, over 45 dB")
    print("🧪 module 15, a quantized network beside PyTorch: passed")

test_module()

# %% [markdown]
r"""
## A stretch: training that knows of the codes

To be trained for its codes, a network sends its weights to codes and back. But rounding has the derivative 0 almost everywhere. The *straight-through* rule (Bengio and others, 2013) passes the
gradient on as if nothing had been rounded, where nothing was cut off:

    x = [0.31, 5], scale 0.1, 4 bits     codes 3, 7     out [0.3, 0.7]     gradient of the sum [1, 0]

**Write the operation `fake_quantize`** and its gradient. Cut off is what, rounded and shifted, lies beyond ±`largest_code(bits)`. Dtypes stay.
"""

# %% nbgrader={"grade": false, "grade_id": "fake_quantize", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The forward is two functions that you have, one after the other.", "For the gradient you need the code before it was cut off: compare it with both ends."], "minutes": 25, "objective": "codes", "stretch": true}
#| export
@Op
def fake_quantize(x, *, scale, zero_point=0, bits=8):
    """x to codes and back, in x's dtype; the gradient passes where no code was cut off (Bengio, 2013)."""
    ### BEGIN SOLUTION
    return dequantize(quantize(x, scale, zero_point, bits), scale, zero_point).astype(x.dtype)
    ### END SOLUTION


@fake_quantize.gradient
def fake_quantize_gradient(grad, out, x, *, scale, zero_point=0, bits=8):
    ### BEGIN SOLUTION
    codes = np.rint(x / scale) + zero_point
    return grad * (np.abs(codes) <= largest_code(bits))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-fake_quantize", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_fake_quantize():
    x = Tensor([0.31, 5, -0.04, -0.7, -0.8], requires_grad=True)
    out = fake_quantize(x, scale=0.1, bits=4)
    expect(out, [0.3, 0.7, 0, -0.7, -0.7], "4 bits", atol=1e-6, dtype=np.float32)
    (out * Tensor([1.0, 2, 3, 4, 5])).sum().backward()
    expect(x.grad, [1, 0, 3, 4, 0], "the gradient passes but for 5 and -0.8", dtype=np.float32)
    expect(x, [0.31, 5, -0.04, -0.7, -0.8], "x stays", atol=1e-6)
    x = Tensor([[-1.0, 0.54, 2.1]], requires_grad=True, dtype=np.float64)
    out = fake_quantize(x, scale=0.01, zero_point=-73)
    expect(out, [[-0.54, 0.54, 2.0]], "zero point -73", atol=1e-6, dtype=np.float64)
    out.sum().backward()
    expect(x.grad, [[0, 1, 0]], "its gradient", dtype=np.float64)
    expect_error(ValueError, 9, fake_quantize, x, scale=0.1, bits=9)
    print("🔬 fake_quantize: passed")

test_unit_fake_quantize()

# %% nbgrader={"grade": true, "grade_id": "test-fake_quantize-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: many numbers, in every number of bits.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(6).normal(size=(6, 50))
for bits in range(2, 9):
    x, top = Tensor(drawn, True, np.float64), 2 ** (bits - 1) - 1
    out = fake_quantize(x, scale=1.3 / top, bits=bits)
    expect(out, np.clip(np.rint(drawn / (1.3 / top)), -top, top) * (1.3 / top), f"{bits} bits", atol=1e-5)
    out.backward(drawn)
    expect(x.grad, drawn * (np.abs(np.rint(drawn / (1.3 / top))) <= top), f"{bits} bits: gradient")
### END HIDDEN TESTS

# %% [markdown]
r"""
## A stretch: four bits in groups

Codes of 4 bits fill only half of an int8. *Pack* two of them into a byte: the first code plus 8 in the lower four bits, the second plus 8 in the upper four. 15 codes for a whole row are
coarse, so every `group` of 32 weights has a scale of its own, a float16: 4.5 bits a weight.

    codes 3, −7      3 + 8 = 11 = 1011₂,  −7 + 8 = 1 = 0001₂      byte 0001 1011₂ = 27

**Write `pack_groups(weight, group)`**: (packed, scales), uint8 and float16, for the numbers of `weight` in the order of reading. Zeros fill up the last group. The scale is largest/7, rounded to float16 *before* the codes are computed with it; where that gives 0, it
is 1; where it is not finite, a `ValueError` says so. `group` is even and positive, else `ValueError` naming it. **And `unpack_groups(packed, scales, shape)`**, float32; the group follows from both lengths.
"""

# %% nbgrader={"grade": false, "grade_id": "pack_groups", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A reshape to (groups, group) gives each group a row; pad with zeros first.", "Every second code, from the first and from the second on: shift one of them by four bits and put both together.", "On the way back a mask of 15 gives the lower half; the padding goes when you know the shape's size."], "minutes": 50, "objective": "models", "stretch": true}
#| export
def pack_groups(weight, group=32):
    """(packed, scales) of `weight` in 4 bits: uint8 of two codes each, and a float16 for each `group`.

    Raises ValueError for a group that is not even and positive, and for weights without a finite scale.
    """
    ### BEGIN SOLUTION
    if group < 2 or group % 2:
        raise ValueError(f"pack_groups: a group has an even number of weights, at least 2, not {group}")
    flat = np.asarray(weight, np.float32).ravel()
    rows = np.pad(flat, (0, -flat.size % group)).reshape(-1, group)
    with np.errstate(over="ignore"):
        scales = (np.abs(rows).max(axis=1, initial=0) / 7).astype(np.float16)
    if not np.isfinite(scales).all():
        raise ValueError("pack_groups: a scale is not finite in float16")
    scales[scales == 0] = 1
    codes = quantize(rows, scales.astype(np.float32)[:, None], bits=4).ravel() + 8
    return (codes[::2] | codes[1::2] << 4).astype(np.uint8), scales
    ### END SOLUTION


def unpack_groups(packed, scales, shape):
    """The float32 weights of `shape` that pack_groups has packed."""
    ### BEGIN SOLUTION
    codes = np.stack([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    rows = codes.reshape(len(scales), -1) * scales.astype(np.float32)[:, None]
    return rows.ravel()[: math.prod(shape)].reshape(shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-pack_groups", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_pack_groups():
    weight = np.array([[3, -7, 7], [0, 0.5, -1]], np.float32)
    packed, scales = pack_groups(weight, group=4)
    expect(packed, [27, 143, 28, 136], "two groups of 4, the second filled up", dtype=np.uint8)
    expect(scales, np.array([1, 1 / 7], np.float16), "their scales", dtype=np.float16)
    back = [[3, -7, 7], [0, 4 / 7, -1]]
    expect(unpack_groups(packed, scales, (2, 3)), back, "and back", atol=1e-3, dtype=np.float32)
    expect(weight, [[3, -7, 7], [0, 0.5, -1]], "the weight stays")
    packed, scales = pack_groups(Tensor(np.cos(np.arange(1000.0)).reshape(10, 100)))
    expect((packed.nbytes, scales.nbytes), (512, 64), "bytes of 1,000 weights, 32 in a group")
    expect((packed.nbytes + scales.nbytes) / 4000 <= 0.17, True, "of float32's 4,000 at most 0.17")
    expect(unpack_groups(*pack_groups(np.zeros(5)), (5,)), [0] * 5, "zeros")
    expect(pack_groups([0, 0, 0.7, -0.35], 2)[1], np.array([1, 0.1], np.float16), "a group of zeros")
    for group in (0, 3, -2):
        expect_error(ValueError, group, pack_groups, weight, group)
    expect_error(ValueError, "finite", pack_groups, [1e9, 1, 1, 1], 2)
    expect_error(ValueError, "finite", pack_groups, [math.nan, 1])
    print("🔬 pack_groups and unpack_groups: passed")

test_unit_pack_groups()

# %% nbgrader={"grade": true, "grade_id": "test-pack_groups-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn weights of other shapes, against their groups' scales.
### BEGIN HIDDEN TESTS
for shape, group in [((7, 33), 32), ((3, 4, 5), 6), ((64,), 2)]:
    drawn = np.random.default_rng(group).normal(size=shape).astype(np.float32)
    packed, scales = pack_groups(drawn, group)
    steps = np.repeat(np.asarray(scales, np.float32), group)[: drawn.size].reshape(shape)
    wanted = np.clip(np.rint(drawn / steps), -7, 7) * steps
    expect(unpack_groups(packed, scales, shape), wanted, f"{shape} in groups of {group}", atol=1e-6)
    groups = -(-drawn.size // group)
    expect((len(packed), len(scales)), (groups * group // 2, groups), f"{shape}: lengths")
### END HIDDEN TESTS

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_four_bits():
    """Files of both models with all matrices and kernels in groups of four bits, and what that costs."""
    for name, model, score in (("LeNet-5", readers[0], images_wrong), ("GPT", gpt, text_loss)):
        state, coarse = model.state_dict(), copy.deepcopy(model)
        packed = {path: pack_groups(array) if array.ndim > 1 else array for path, array in state.items()}
        coarse.load_state_dict({
            path: unpack_groups(*packed[path], array.shape) if array.ndim > 1 else array
            for path, array in state.items()
        })
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "four_bits"
            save_checkpoint(path, packed)
            size = path.stat().st_size
        before, after = score(model), score(coarse)
        print(f"📊 {name}, weights in 4 bits: {size:,} bytes ({size / file_bytes(model):.3f}), "
              f"{'wrong of 360' if name == 'LeNet-5' else 'loss'} {before:.4g} before, {after:.4g} now")

analyze_four_bits()

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-int8", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which bytes and which loss did your run print for the GPT? Name three kinds of bytes that are no codes. (b) How many times as long as float32's did
`int8_matmul` take, and why is such a model still worth having? (c) Why may a weight have a scale for each output, and an input none for each channel?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-int8", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) about 0.28 of 3.27 MB and a loss that moves by less than 0.01; scales, biases, norms, embeddings, the archive's entries, 1 point for three of them with the numbers. (b) A
factor above 1 as printed; four times less to store, to send and to hold, 1 point. (c) Σ over the inputs of x·w: a factor of the output stands before the sum, one of the input inside, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Fewer bits for each number is one way to a smaller model. The other is fewer numbers: module 16 takes out weights, channels and ranks, and puts your
`quantize_model` at the end. Next: `tito module complete 15_quantization`.
"""
