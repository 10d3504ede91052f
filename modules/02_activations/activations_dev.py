# %% [markdown]
r"""
# 02 Activations

You have Tensors and matrix products. A network is made of such products with something between them, and this module is about
that something: functions that are *not straight lines*.

There are five of them: ReLU, sigmoid, tanh, GELU and softmax. Each is a formula of one line, and some of those lines fail when they
are typed in as they stand in a textbook: `exp(1000)` is infinite, and infinity divided by infinity is not a number. So you write
three operations, two of them in a form that survives any input. Then you write the function that runs a long formula in blocks,
because GELU needs nine steps, and nine steps over a large array wait for memory nine times.

At the end you will know what the flat ends of these curves do to a signal on its way through ten layers, and what a pass over
memory costs on your machine.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.activations

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.tensor import Op, elementwise, normalize_axes, result_dtype
from tinytorch.kernels.precision import in_float32

# %%
from tinytorch.core.tensor import Tensor, manual_seed, randn

# %% [markdown]
r"""
## Two products are one

Put two matrix products in a row, the first with 6 weights, the second with 3. Does the second one add anything? Below, three
inputs pass through both; then they pass through a single matrix, the product of the two, with 2 weights.
"""

# %%
x = Tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 5.0]])
w1 = Tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]])
w2 = Tensor([[2.0], [1.0], [-1.0]])
print("two layers, one after the other:", ((x @ w1) @ w2).tolist())
print("one layer, with w1 @ w2 =", (w1 @ w2).tolist(), "  ", (x @ (w1 @ w2)).tolist())

# %% [markdown]
r"""
A hundred layers would collapse in the same way: a product of matrices is a matrix, and a matrix turns straight lines into straight
lines. What breaks the chain may be as simple as one corner.

Four things hold for all three operations that you write. The tests ask for them every time:

- Any shape is welcome, also `()` (one number) and shapes without entries such as (2, 0), and the result has the same shape.
- The input is left as it was.
- A floating dtype stays: float32 gives float32, float64 gives float64. Integers give float32, unless a beat says otherwise.
- NumPy has nothing to warn about. "Overflow encountered in exp" is a failure here even if the final numbers are right: somewhere an
  infinity was computed, and in the next formula it would not go away again.

## ReLU

The *rectified linear unit* lets positive numbers pass and holds the others at 0:

    relu([-2, 0, 3])  =  [0, 0, 3]

Three details decide whether yours is PyTorch's. Integers stay integers, since nothing here makes fractions. −∞ becomes 0 like any
other negative number. And a NaN stays NaN: a number that has gone wrong must not look healthy again one layer later. (NumPy's
comparisons with NaN are all False. Its functions `maximum` and `minimum` pass it on.)

**Write `relu(x)`.** `x` is a NumPy array, and so is the result. Beside an array, the Python number 0 has no say in the dtype, whereas
0.0 would turn integers into floats.
"""

# %% nbgrader={"grade": false, "grade_id": "relu", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which function of NumPy compares two things entry by entry and gives the larger one, also where one of them is a plain number?", "A product with the mask of positive entries makes NaN of minus infinity, and a choice by comparison makes 0 of NaN. One call avoids both: the entrywise maximum of the array and the integer zero."], "minutes": 10, "objective": "edges"}
#| export
@Op
def relu(x):
    """x where it is positive, else 0, entry by entry; NaN stays NaN, and integers stay integers."""
    ### BEGIN SOLUTION
    return np.maximum(x, 0, dtype=result_dtype(x, 0))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-relu", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu():
    x = Tensor([-2.0, 0.0, 3.0])
    expect(relu(x), [0, 0, 3], "relu([-2, 0, 3])", dtype=np.float32)
    expect(x, [-2, 0, 3], "the input after relu")
    expect(relu(Tensor([[-3, 4], [5, -6]])), [[0, 4], [5, 0]], "integers stay integers", dtype=np.int64)
    expect(relu(Tensor(-7.0)), 0, "one number, of shape ()", dtype=np.float32)
    expect(relu(Tensor(np.zeros((2, 0)))), np.zeros((2, 0)), "no entries")
    with no_warnings("relu([-inf, inf, nan])"):
        got = relu(Tensor([-math.inf, math.inf, math.nan]))
    expect(got, [0, math.inf, math.nan], "relu([-inf, inf, nan])")
    print("🔬 relu: passed")

test_unit_relu()

# %% nbgrader={"grade": true, "grade_id": "test-relu-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more numbers, other dtypes and layouts in memory.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(2).normal(0, 9, (4, 3, 5))
for dtype in (np.float64, np.float32, np.float16, np.int32):
    table = numbers.astype(dtype)[::-1].T
    expected = np.reshape([value if value > 0 else 0 for value in table.ravel().tolist()], table.shape)
    expect(relu(Tensor.wrap(table)), expected, f"normal numbers in {np.dtype(dtype)}", dtype=dtype)
expect(relu(Tensor(np.zeros((0, 3)))), np.zeros((0, 3)), "no rows")
### END HIDDEN TESTS

# %% [markdown]
r"""
Is one corner enough? The *exclusive or* is 1 where exactly one of two inputs is 1. No single layer computes it: no straight line
separates the ones from the zeros of the four inputs. Two layers with a relu between them do, with weights that you can
check in your head:
"""

# %%
inputs = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
into = Tensor([[1.0, 1.0], [1.0, 1.0]])
bias = Tensor([0.0, -1.0])
out_of = Tensor([1.0, -2.0])
print("with relu:   ", (relu(inputs @ into + bias) @ out_of).tolist())
print("without relu:", ((inputs @ into + bias) @ out_of).tolist())

# %% [markdown]
r"""
In every plot below the dashed line is the slope: by how much the output changes when the input changes a little. Training works by
small changes; where the slope is 0, none arrives on the other side.
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def analyze_slopes(*operations, half=1e-5):
    """Plot operations and their slopes, by differences of float64 values at x - half and x + half."""
    grid = np.linspace(-6, 6, 1201) + 5e-3
    figure, panels = plt.subplots(
        1, len(operations), figsize=(6, 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, operation in zip(panels[0], operations, strict=True):
        points = (Tensor(grid + shift, dtype=np.float64) for shift in (-half, 0, half))
        low, middle, high = (operation(x).numpy() for x in points)
        slope = (high - low) / (2 * half)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.plot(grid, middle, "-", label="value")
        axes.plot(grid, slope, "--", label="slope")
        axes.set(xlabel="x", title=operation.__name__, ylim=(-1.15, 2.5))
        steep = grid[slope > 0.01]
        print(
            f"📊 {operation.__name__}: values from {middle.min():.2f} to {middle.max():.2f}, "
            f"slope from {slope.min():.2f} to {slope.max():.2f}; "
            f"above 0.01 from x = {steep.min():.1f} to {steep.max():.1f}"
        )
    panels[0, 0].set_ylabel("value, and slope per unit of x")
    panels[0, -1].legend(loc="upper left")
    plt.show()


analyze_slopes(relu)

# %% [markdown]
r"""
## Sigmoid

The sigmoid turns any number into a share between 0 and 1, and its sign into "more or less than a half":

                   1             eˣ
    sigmoid(x) = ───────   =   ───────          sigmoid(0) = 1/2        sigmoid(ln 3) = 3/4
                 1 + e⁻ˣ       1 + eˣ

They are equal on paper. In a computer each works on one side: at x = −1000 the left one overflows in e¹⁰⁰⁰, at x = +1000 the
right one gives ∞/∞. And at x = −100 in float32 the left one fails without looking wrong: e¹⁰⁰ is infinite there too, and the result a
clean 0. The true value, e⁻¹⁰⁰ ≈ 3.8·10⁻⁴⁴, fits into float32, and module 04 takes logarithms of such numbers.

Choosing afterwards does not help: `np.where(x >= 0, left, right)` needs both arrays, so both are computed for every entry, and
NumPy warns. But whatever the sign of x, e to the power of −|x| lies between 0 and 1, and both forms can be written with it.

**Write `sigmoid(x)`**, without a warning and right to the last digits for every x from −∞ to ∞, also where the result is tiny. NaN
gives NaN. Begin by making `x` an array of the dtype `result_dtype(x, floating=True)`, which is float32 for integers.
"""

# %% nbgrader={"grade": false, "grade_id": "sigmoid", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write t for e to the power of minus |x|. What are the two forms of the sigmoid, one for each sign of x, in terms of t?", "Both forms have the same denominator, 1 + t. Only the numerator depends on the sign: for which x is it 1, and what is it for the others?", "The numerator may be chosen after the fact, since t and 1 are both harmless. Another way: fill the entries of an empty result twice, through the mask of negative entries and through its opposite."], "minutes": 25, "objective": "stable"}
#| export
@Op
def sigmoid(x):
    """1 / (1 + exp(-x)), entry by entry, without overflow and without loss of digits near 0."""
    ### BEGIN SOLUTION
    x = np.asarray(x, result_dtype(x, floating=True))
    small = np.abs(x, out=np.empty_like(x))
    np.negative(small, out=small)
    np.exp(small, out=small)
    top = np.maximum(small, x >= 0)  # 1 where x >= 0; np.where is slower, it branches at every entry
    small += 1
    top /= small
    return top
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_sigmoid():
    x = Tensor([0.0, math.log(3), -math.log(3)])
    expect(sigmoid(x), [0.5, 0.75, 0.25], "sigmoid([0, ln 3, -ln 3])", atol=1e-6, dtype=np.float32)
    expect(x[0], 0, "the first input after sigmoid")
    table = [[0.5, 0.8807971], [0.2689414, 0.5]]
    expect(sigmoid(Tensor([[0, 2], [-1, 0]])), table, "integers in two rows", atol=1e-6, dtype=np.float32)
    expect(sigmoid(Tensor(0.0)), 0.5, "one number, of shape ()", dtype=np.float32)
    expect(sigmoid(Tensor(np.zeros((2, 0)))), np.zeros((2, 0)), "no entries", dtype=np.float32)

    x = np.linspace(-8, 8, 33)
    got = sigmoid(Tensor(x, dtype=np.float64)).numpy()
    expect(got + got[::-1], np.ones(33), "sigmoid(x) + sigmoid(-x) in float64", atol=1e-15, dtype=np.float64)
    assert (np.diff(got) > 0).all(), "sigmoid rises everywhere between -8 and 8"
    print("🔬 sigmoid: passed")

test_unit_sigmoid()

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid-stable", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sigmoid_stable():
    ends = [-math.inf, -1000.0, 1000.0, math.inf, math.nan]
    case = "sigmoid([-inf, -1000, 1000, inf, nan])"
    with no_warnings(case):
        got = sigmoid(Tensor(ends))
    expect(got, [0, 0, 1, 1, math.nan], case)

    with no_warnings("sigmoid(-100) in float32"):
        got = sigmoid(Tensor([-100.0]))
    expect(got, [3.8e-44], "sigmoid(-100) in float32, where few bits are left", atol=0.4e-44)
    for x in (-20.0, -40.0, -100.0, -700.0):
        got, expected = sigmoid(Tensor(x, dtype=np.float64)), math.exp(x) / (1 + math.exp(x))
        expect(got, expected, f"sigmoid({x:g}) in float64", rtol=1e-12, dtype=np.float64)
    print("🔬 sigmoid, no overflow and no lost digits: passed")

test_unit_sigmoid_stable()

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: 2,000 numbers on both sides, in float64 and float32, in other layouts in memory.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(3).uniform(-300, 300, (20, 100))
shares = [1 / (1 + math.exp(-v)) if v > 0 else math.exp(v) / (1 + math.exp(v)) for v in numbers.ravel()]
expected = np.reshape(shares, (20, 100)).T[:, ::-1]
with no_warnings("2,000 numbers from -300 to 300"):
    got = sigmoid(Tensor.wrap(numbers.T[:, ::-1]))
expect(got, expected, "2,000 numbers from -300 to 300, in float64", rtol=1e-12, dtype=np.float64)
quarter = (numbers / 4).astype(np.float32)
wide = sigmoid(Tensor.wrap(quarter.astype(np.float64))).numpy()
got = sigmoid(Tensor.wrap(quarter))
expect(got, wide, "2,000 numbers from -75 to 75, in float32", rtol=1e-5, dtype=np.float32)
expect(sigmoid(Tensor(0)), 0.5, "the integer 0, of shape ()", dtype=np.float32)
### END HIDDEN TESTS

# %% [markdown]
r"""
The hyperbolic tangent is a stretched sigmoid: tanh(x) = 2·sigmoid(2x) − 1. It runs from −1 to 1, so that its outputs lie around 0.
NumPy's own is stable, and `elementwise` from module 01 makes an operation of it.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-tanh", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
tanh = elementwise("tanh", np.tanh, floating=True)

# %% tags=["measure"]
analyze_slopes(sigmoid, tanh)

# %% [markdown]
r"""
Two things in this picture have kept networks from learning for years. The ends are flat: whether x is 10 or 20 makes no difference
that anybody behind the function could see. The function is then *saturated*. And the sigmoid is nowhere steep: of a small change, at
most a quarter gets through.

## Measure: ten layers deep

A batch of 500 random inputs goes through ten layers with 256 units each and random weights. What interests us is how far the
examples still lie apart: the standard deviation over the batch, averaged over the units. Where it is 0, all inputs give the same
output, and nothing behind that layer can tell them apart.

The weights come in two sizes. With the first, a layer with relu keeps the size of a signal on average (module 03 derives it). The
second is four times larger.

**Predict:** the sigmoid lets a quarter through at most. By which factor does the spread shrink, layer by layer? Will larger weights
help?
"""

# %% tags=["measure"]
def analyze_depth(layers=10, units=256, examples=500):
    """Spread of a batch after each of ten random layers, for three functions and two sizes of the weights."""
    figure, panels = plt.subplots(1, 2, figsize=(6.5, 3.5), sharey=True, layout="constrained")
    sizes = {"weights that suit relu": math.sqrt(2), "weights four times larger": 4 * math.sqrt(2)}
    for axes, (title, gain) in zip(panels, sizes.items(), strict=True):
        print(f"📊 {title}:")
        for operation, style in ((relu, "^-"), (tanh, "s--"), (sigmoid, "o:")):
            manual_seed(0)
            signal, spreads = randn(examples, units), []
            for _ in range(layers):
                before = signal @ (randn(units, units) * (gain / math.sqrt(units)))
                signal = operation(before)
                spreads.append(float(signal.numpy().std(axis=0).mean()))
            axes.semilogy(range(1, layers + 1), spreads, style, label=operation.__name__)
            points = (Tensor(before, dtype=np.float64) + shift for shift in (-1e-5, 1e-5))
            low, high = (operation(point).numpy() for point in points)
            flat = ((high - low) / 2e-5 < 0.01).mean()
            factor = (spreads[-1] / spreads[0]) ** (1 / (layers - 1))
            print(
                f"   {operation.__name__}: spread {spreads[0]:.2g} after 1 layer, {spreads[-1]:.2g} after "
                f"{layers}, times {factor:.2f} a layer; slope below 0.01 at {flat:.0%} of the last units"
            )
        axes.set(xlabel="layers passed", title=title, xticks=range(2, layers + 1, 2))
    panels[0].set_ylabel("standard deviation over the batch")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    plt.show()


analyze_depth()

# %% [markdown]
r"""
The numbers are drawn from a seed, so yours are these. With weights that suit it, relu still tells the examples apart at the end,
though half of its units are off for any one of them. Under the sigmoid the examples run together by a factor of about three with
every layer: a slope of at most a quarter, times weights a little above 1.

Larger weights are no way out. Relu has no ceiling, and its signal grows almost fourfold with every layer. The ceilings of tanh and
sigmoid hold the numbers down, but at a price, which stands at the end of each line: a part of the units sits on a flat end, where a
small change of a weight changes nothing. Sizes that fit between these two failures are the subject of module 03.

## Softmax

The sigmoid answers one yes-or-no question. To choose among several classes, softmax turns a row of scores into shares that are
positive and sum to 1:

    softmax(x)ᵢ = eˣⁱ / Σⱼ eˣʲ          softmax([0, ln 3]) = [1/(1+3), 3/(1+3)] = [1/4, 3/4]

Adding the same number c to all scores multiplies every term by eᶜ, above and below, so the shares do not change. That freedom is the
cure for overflow: choose c so that the largest score becomes 0. Then no term is above 1, and the sum is at least 1. Terms that
underflow to 0 are shares that were too small to matter.

Three edges:

- A score of −∞ gets the share 0 (module 12 hides words in this way). A row of nothing but −∞ has no shares: it gives NaN, from
  −∞ − (−∞), and the line `@np.errstate` keeps NumPy's warning about that quiet. It is the only warning that may be silenced.
- Along an axis of size 0 there is nothing to share, and the result is as empty as the input. `np.max` refuses to search among
  nothing, unless its argument `initial` gives it a value to start from, one that no score is below.
- Integer scores give float32. (PyTorch refuses them.) Those in float16 reach you in float32, by the line `@in_float32`: a running sum in
  float16 stops at 2,048.

**Write `softmax_along(x, *, axis)`**, where the shares along `axis` sum to 1. `normalize_axes(axis, x.ndim)` raises the `IndexError`
for an axis that does not exist, and returns what NumPy's reductions take as `axis`.
"""

# %% nbgrader={"grade": false, "grade_id": "softmax_along", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Take the row [1000, 999] by hand. Which number can be subtracted from both scores, so that no exponential overflows and the shares stay?", "Each row needs a largest score and a sum of its own. Which argument of the reductions leaves the reduced axis in place with size 1, so that it broadcasts against the scores?", "Four steps: a floating array, its maximum along the axis (starting from minus infinity), the exponentials of the differences, and those divided by their own sum along the axis."], "minutes": 30, "objective": "stable"}
#| export
@Op
@np.errstate(invalid="ignore")
@in_float32
def softmax_along(x, *, axis):
    """exp(x) divided by its sum along `axis`: positive shares that sum to 1.

    Raises IndexError for an axis that does not exist.
    """
    ### BEGIN SOLUTION
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    peak = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    shares = np.subtract(x, peak, out=np.empty_like(x))
    np.exp(shares, out=shares)
    shares /= np.sum(shares, axis=axes, keepdims=True)
    return shares
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-softmax_along", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_softmax_along():
    got = softmax_along(Tensor([0.0, math.log(3)]), axis=0)
    expect(got, [0.25, 0.75], "softmax([0, ln 3])", atol=1e-6, dtype=np.float32)

    x = Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, math.log(2)]])
    shares = [[0.09003057, 0.24472847, 0.66524096], [0.25, 0.25, 0.5]]
    expect(softmax_along(x, axis=1), shares, "rows [1, 2, 3] and [0, 0, ln 2], axis 1", atol=1e-6)
    expect(softmax_along(x.T, axis=0), np.transpose(shares), "the same as columns, axis 0", atol=1e-6)
    expect(x[0], [1, 2, 3], "the first row of the input after softmax")
    halves = [[0.5, 0.5], [0.5, 0.5]]
    expect(softmax_along(Tensor([[5, 5], [7, 7]]), axis=-1), halves, "equal integer scores", dtype=np.float32)

    block = np.arange(24.0).reshape(2, 3, 4) % 7
    for axis, shape in enumerate([(3, 4), (2, 4), (2, 3)]):
        sums = softmax_along(Tensor(block, dtype=np.float64), axis=axis).numpy().sum(axis=axis)
        expect(sums, np.ones(shape), f"(2, 3, 4) in float64, axis {axis}: sums", atol=1e-12, dtype=np.float64)
    print("🔬 softmax_along: passed")

test_unit_softmax_along()

# %% nbgrader={"grade": true, "grade_id": "test-softmax_along-edges", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_softmax_along_edges():
    cases = [
        ([1000.0, 1000.0], [0.5, 0.5]),
        ([1000.0, 0.0, -1000.0], [1, 0, 0]),
        ([-1000.0, -1000.0 - math.log(3)], [0.75, 0.25]),
        ([2.0, -math.inf, 2.0], [0.5, 0, 0.5]),
        ([[0.0, 0.0], [-1000.0, -1000.0]], [[0.5, 0.5], [0.5, 0.5]]),
        ([-math.inf, -math.inf], [math.nan, math.nan]),
    ]
    for scores, expected in cases:
        with no_warnings(f"softmax({scores})"):
            got = softmax_along(Tensor(scores), axis=-1)
        expect(got, expected, f"softmax({scores})", atol=1e-4)
    for axis in (0, 1):
        with no_warnings(f"shape (2, 0), axis {axis}"):
            got = softmax_along(Tensor(np.zeros((2, 0))), axis=axis)
        expect(got, np.zeros((2, 0)), f"shape (2, 0), axis {axis}")
    expect_error(IndexError, 5, softmax_along, Tensor([[1.0, 2.0]]), axis=5)
    print("🔬 softmax_along, edges: passed")

test_unit_softmax_along_edges()

# %% nbgrader={"grade": true, "grade_id": "test-softmax_along-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other axes against sums by hand, shifted scores, rows that are far apart.
### BEGIN HIDDEN TESTS
scores = np.random.default_rng(4).normal(0, 5, (3, 4, 2, 5))
for axis in (0, 1, -2, -1):
    terms = np.exp(scores)
    expected = terms / terms.sum(axis=axis, keepdims=True)
    for shift in (0.0, 600.0, -900.0):
        got = softmax_along(Tensor.wrap(scores + shift), axis=axis)
        expect(got, expected, f"axis {axis}, all scores {shift:+}", rtol=1e-9, dtype=np.float64)
far = softmax_along(Tensor([[900.0, 900.0 - math.log(9)], [-900.0, -900.0 + math.log(4)]]), axis=1)
expect(far, [[0.9, 0.1], [0.2, 0.8]], "rows at +900 and at -900", atol=1e-4)
expect(softmax_along(Tensor(np.zeros((0, 3))), axis=1), np.zeros((0, 3)), "no rows, axis 1")
expect_error(IndexError, -3, softmax_along, Tensor([[1.0, 2.0]]), axis=-3)
### END HIDDEN TESTS

# %% [markdown]
r"""
PyTorch's users write `softmax(x, dim=1)`, or `softmax(x, 1)`. A thin function takes all of these; the operation below it knows one
spelling, so that module 05 has to know only one.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-softmax", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def softmax(x, axis=-1, *, dim=None):
    """Shares along `axis` (or PyTorch's `dim`), positive and with the sum 1."""
    return softmax_along(x, axis=axis if dim is None else dim)

# %%
for factor in (0.1, 1, 10):
    print(f"{factor:>4} · [2, 1, 0]  →  {np.round(softmax(factor * Tensor([2.0, 1.0, 0.0])).numpy(), 3)}")

# %% [markdown]
r"""
The differences between the scores decide, and their size says how sure the answer is: with small ones all classes share alike, with
large ones the winner takes all, a *soft maximum*.

## GELU

Relu asks whether x is positive. GELU, the *Gaussian error linear unit* (Hendrycks and Gimpel, 2016), asks how likely a normal random
number is to lie below x, and lets that part of x through:

    gelu(x) = x · Φ(x)        Φ(x) = ½ · (1 + erf(x / √2))        gelu(1) = 0.8413        gelu(−1) = −0.1587

For large |x| it is close to relu, and where relu has its corner it is round. The *error function* `erf` is not in NumPy, and Python's
`math.erf` takes one number at a time. So here is one for arrays, from W. J. Cody's approximations of 1969: quotients of polynomials,
fitted to three ranges of |x|, which differ from erf by no more than float64 can show. (The cell is folded; you need not read it.)
"""

# %% nbgrader={"grade": false, "grade_id": "provided-erf", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
# W. J. Cody, Rational Chebyshev approximations for the error function (1969): numerator and denominator,
# each with the highest power first
_ERF_NEAR = (
    (
        1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_ERF_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_ERF_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def _quotient(polynomials, x):
    """The value at `x` of a quotient of two polynomials, in x's dtype, by Horner's rule."""
    values = []
    for first, second, *rest in polynomials:
        value = x * first
        value += second
        for coefficient in rest:
            value *= x
            value += coefficient
        values.append(value)
    values[0] /= values[1]
    return values[0]


def erf(x):
    """The error function of a floating array, entry by entry and in its dtype, to 1e-15 in float64."""
    size = np.minimum(np.abs(x), 6)  # 1 - erf(6) is 2e-17
    square = size * size
    out = np.asarray(np.copysign(1 - np.exp(-square) * _quotient(_ERF_MIDDLE, size), x))
    np.copyto(out, x * _quotient(_ERF_NEAR, square), where=size < 0.46875)
    far = size > 4
    if far.any():
        inverse = 1 / square[far]
        series = 1 / math.sqrt(math.pi) - inverse * _quotient(_ERF_FAR, inverse)
        tail = np.exp(-square[far]) / size[far] * series
        out[far] = np.copysign(1 - tail, x[far])
    return out


def gelu_exact(x):
    """x times the share of a normal distribution that lies below x, for a floating array."""
    out = erf(x * math.sqrt(0.5))
    out += 1
    out *= x
    out *= 0.5
    return out

# %% [markdown]
r"""
There is a second form, which GPT-2 uses: since Φ is nearly a stretched tanh, the paper offers

    gelu(x)  ≈  ½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))          gelu(1) ≈ 0.8412

instead. In PyTorch's spelling, `approximate="tanh"` asks for it. It is not equal to the exact form, so a network trained with the one
should run with the one.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-gelu_tanh", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def gelu_tanh(x):
    """GELU in GPT-2's form for a floating array with axes, in nine passes that write into one new array."""
    out = np.square(x)
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5
    return out

# %%
grid = np.linspace(-7, 7, 2801)
worst = max(abs(value - math.erf(x)) for x, value in zip(grid, erf(grid), strict=True))
apart = np.abs(gelu_tanh(grid) - gelu_exact(grid)).max()
print(f"erf against math.erf: at most {worst:.1e} apart; the two forms of gelu: at most {apart:.1e}")

# %% [markdown]
r"""
## Nine passes, block by block

`gelu_tanh` above is nine operations, and NumPy makes a *pass* over the whole array for each: read every entry, compute, write every
entry. An array of 32 MiB does not fit into the processor's cache, the small fast memory beside it. So when the second pass begins, the
first entries have long been pushed out, and each of the nine passes fetches them from main memory again.

PyTorch does all nine steps on an entry before it looks at the next one: the operations are *fused*. We cannot do that from Python,
but we can get near it. Cut the array into blocks that fit into the cache, and make the nine passes over one block after the other:

    x         [0 1 2 3 | 4 5 6 7 | 8 9]        blocks of 4
    calls     function([0 1 2 3]), function([4 5 6 7]), function([8 9])
    result    what came back, in the same order, in the shape of x

**Write `in_blocks(function, x, size)`**, on NumPy arrays.

- `function` gets arrays with one axis, of `size` entries each, the last one perhaps of fewer. Every entry of `x` is handed over once,
  in the order in which `x.reshape(-1)` has them, in as few calls as possible.
- The result is a new array with the shape and the dtype of `x`, which is left as it was. For x of shape () there is one block of one
  entry; without entries the result is empty.
- Mind the layout: `reshape(-1)` of an array that lies in order in memory is a view of it, but of a transposed one it is a *copy*, and
  what you write into a copy arrives nowhere. `np.empty_like(x)` is transposed where `x` is.
"""

# %% nbgrader={"grade": false, "grade_id": "in_blocks", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Where do the blocks begin, and what does a slice do that reaches beyond the end of an array?", "Make a result that lies in order in memory, from the shape and the dtype of x. A flat view of it takes the answers, at the same slices from which a flat x hands out the blocks.", "One loop over the starts 0, size, 2 · size, and so on up to the number of entries; one line inside it, which calls the function with a slice and stores what comes back at the same slice."], "minutes": 25, "objective": "blocks"}
#| export
def in_blocks(function, x, size):
    """function(x), computed on `size` entries at a time, as a new array with the shape and the dtype of x.

    function: takes an array with one axis and returns one of the same length and dtype, in which each entry
    depends on the entry at the same place only.
    """
    ### BEGIN SOLUTION
    out = np.empty(x.shape, x.dtype)
    entries, results = x.reshape(-1), out.reshape(-1)
    for start in range(0, entries.size, size):
        results[start : start + size] = function(entries[start : start + size])
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-in_blocks", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_in_blocks():
    seen = []

    def square(block):
        seen.append(block.tolist())
        return block * block

    x = np.arange(10.0)
    got, squares = in_blocks(square, x, 4), [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
    expect(seen, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], "0 to 9 in blocks of 4: what square was called with")
    expect(got, squares, "the squares of 0 to 9 in blocks of 4", dtype=np.float64)
    expect(x, np.arange(10.0), "x afterwards")
    seen.clear()
    expect(in_blocks(square, x[:4], 4), [0, 1, 4, 9], "the squares of 0 to 3 in blocks of 4")
    expect(len(seen), 1, "0 to 3 in blocks of 4: the number of calls")
    print("🔬 in_blocks: passed")

test_unit_in_blocks()

# %% nbgrader={"grade": true, "grade_id": "test-in_blocks-shapes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_in_blocks_shapes():
    sizes = []

    def negative(block):
        expect(block.ndim, 1, "axes of a block")
        sizes.append(block.size)
        return -block

    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    cases = [
        ("a table of shape (2, 3)", table, [4, 2]),
        ("a transposed one, which does not lie in order in memory", (table + 10).T, [4, 2]),
        ("one number, of shape ()", np.array(7.0), [1]),
        ("no entries, shape (3, 0)", np.zeros((3, 0), np.float32), []),
    ]
    for case, x, blocks in cases:
        sizes.clear()
        expect(in_blocks(negative, x, 4), -x, case, dtype=x.dtype)
        expect([count for count in sizes if count > 0], blocks, f"{case}: the sizes of the blocks, at most 4")
    print("🔬 in_blocks, shapes: passed")

test_unit_in_blocks_shapes()

# %% nbgrader={"grade": true, "grade_id": "test-in_blocks-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes, layouts and sizes of blocks; the number of calls, and every entry in its place.
### BEGIN HIDDEN TESTS
counts = []


def counted(block):
    counts.append(block.size)
    return block + 0.5


numbers = np.random.default_rng(5).normal(0, 3, (4, 3, 6))
views = [lambda a: a, lambda a: a.T, lambda a: a[:, ::-1, ::2], lambda a: a[1:2].astype(np.float32)]
for view in views:
    for size in (1, 5, view(numbers).size - 1, view(numbers).size, 1000):
        array = view(numbers + size)  # new numbers: memory never written may hold the last ones
        counts.clear()
        case = f"shape {array.shape}, strides {array.strides}, blocks of {size}"
        expect(in_blocks(counted, array, size), array + 0.5, case, dtype=array.dtype)
        expect(sum(counts), array.size, f"{case}: entries handed over")
        expect(len(counts), -(-array.size // size), f"{case}: calls")
### END HIDDEN TESTS

# %% [markdown]
r"""
The operation `gelu` is now one line: choose the form, and run it in blocks of 32,768 entries, which take 128 KiB in float32. There is
a second gain. A formula that writes into its own result (`out=`) fails on an array of shape (), because NumPy answers with a number
there and not with an array; in blocks it always meets an axis.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-gelu", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
BLOCK = 2**15  # entries: with its result, a block and a temporary array stay in a second-level cache


@Op
@np.errstate(over="ignore", invalid="ignore")  # a cube may overflow: tanh of infinity is 1
def gelu(x, *, approximate="none"):
    """x times the share of a normal distribution that lies below x (Hendrycks and Gimpel, 2016).

    approximate: "none" for the exact form, "tanh" for the paper's second one, at most 5e-4 apart.
    Raises ValueError for another word.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    x = np.asarray(x, result_dtype(x, floating=True))
    return in_blocks(gelu_exact if approximate == "none" else gelu_tanh, x, BLOCK)

# %% tags=["measure"]
analyze_slopes(gelu)

# %% [markdown]
r"""
Unlike the others, this curve falls for a while: left of its lowest point, near x = −0.75, its slope is negative.

## As layers

A network is written down as a list of layers, and there an activation must be a thing that one can hold: made once, called often,
with its settings inside. The classes do nothing but that. They have nothing to learn, so a `forward` and a name for the printout are
enough. (The cell is folded; a click on the bar beside it opens it.)
"""

# %% nbgrader={"grade": false, "grade_id": "provided-classes", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class Activation:
    """A function of one Tensor as a layer: called like a function, with its settings as attributes."""

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class ReLU(Activation):
    """max(x, 0), entry by entry."""

    def forward(self, x): return relu(x)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)), entry by entry: between 0 and 1."""

    def forward(self, x): return sigmoid(x)


class Tanh(Activation):
    """The hyperbolic tangent, entry by entry: between -1 and 1."""

    def forward(self, x): return tanh(x)


class GELU(Activation):
    """x times the share of a normal distribution below x. approximate: "none" or "tanh"."""

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, x): return gelu(x, approximate=self.approximate)


class Softmax(Activation):
    """Shares along the axis `dim` that sum to 1."""

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x): return softmax_along(x, axis=self.dim)

# %% [markdown]
r"""
## Put together: one network, five activations

The same weights with five functions between them, softmax at the end. The shares in the test are those of PyTorch 2.13.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    x = Tensor(np.linspace(-2, 2, 6).reshape(2, 3))
    w1 = Tensor(np.cos(np.arange(12)).reshape(3, 4))
    w2 = Tensor(np.sin(np.arange(12)).reshape(4, 3))
    shares = Softmax(dim=1)
    cases = [
        (ReLU(), [[0.629876, 0.229017, 0.141107], [0.478198, 0.291543, 0.230259]]),
        (Sigmoid(), [[0.419866, 0.320161, 0.259972], [0.401496, 0.328550, 0.269954]]),
        (Tanh(), [[0.538031, 0.259987, 0.201982], [0.546029, 0.258979, 0.194992]]),
        (GELU(), [[0.584588, 0.248326, 0.167086], [0.483321, 0.284854, 0.231825]]),
        (GELU("tanh"), [[0.584541, 0.248344, 0.167115], [0.483285, 0.284870, 0.231846]]),
    ]
    for activation, expected in cases:
        case = f"{activation} between the layers"
        expect(shares(activation(x @ w1) @ w2), expected, case, atol=3e-6, dtype=np.float32)
    names = [repr(activation) for activation in (ReLU(), GELU(), Softmax(dim=1))]
    expect(names, ["ReLU()", "GELU(approximate='none')", "Softmax(dim=1)"], "printed as in PyTorch")
    print("🧪 module 02, one network, five activations: passed")

test_module()

# %% [markdown]
r"""
## Measure: memory or arithmetic?

To apply a function entry by entry, a processor does two things: it moves numbers from memory and back, and it computes. They go on at
the same time, so the slower of the two sets the pace. Which one it is can be seen by growing the array. As long as it fits into a
cache, moving is cheap. Beyond that, a function that waits for memory gets slower per entry, and one that waits for arithmetic does
not notice.

**Predict:** relu compares and chooses, eˣ takes about a dozen multiplications, and x·x·x takes two. Sort the five functions in the
next cell by time per entry, on an array of 64 KiB. Which of them will be slower at 64 MiB? Then run.
"""

# %% tags=["measure"]
def analyze_pace():
    """Nanoseconds per entry of simple functions, on arrays from 16 KiB to 64 MiB and into the same result."""
    functions = {
        "copy": lambda x, out: np.copyto(out, x),
        "relu": lambda x, out: np.maximum(x, 0, out=out),
        "exp": lambda x, out: np.exp(x, out=out),
        "x * x * x": lambda x, out: np.multiply(np.multiply(x, x, out=out), x, out=out),
        "x ** 3": lambda x, out: np.power(x, 3, out=out),
    }
    sizes, paces = [2**k for k in (12, 14, 16, 18, 20, 22, 24)], {}
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for (name, function), style in zip(functions.items(), ("x-", "^-", "s--", "v:", "o-."), strict=True):
        paces[name] = []
        for size in sizes[:-2] if name == "x ** 3" else sizes:
            x = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
            out, rounds = np.zeros_like(x), max(1, 2**18 // size)
            seconds = best_seconds(lambda: [function(x, out) for _ in range(rounds)], repeats=5)  # noqa: B023
            paces[name].append(seconds / rounds / size * 1e9)
        pace, count = paces[name], len(paces[name])
        axes.loglog(sizes[:count], pace, style, label=name)
        ratio, most = pace[-1] / pace[1], 4 * sizes[count - 1] / 2**20
        waits = "it waits for memory" if ratio > 1.5 else "it hardly waits for memory"
        print(f"📊 {name}: {pace[1]:.2f} ns per entry at 64 KiB, {pace[-1]:.2f} ns at {most:g} MiB,")
        print(f"   {ratio:.1f} times as much: {waits}")
    print("   fastest first at 64 KiB:", ", ".join(sorted(paces, key=lambda name: paces[name][1])))
    small, large = ([pace[at] for name, pace in paces.items() if name != "x ** 3"] for at in (1, -1))
    print(
        f"   the slowest of the first four takes {max(small) / min(small):.1f} times as long as the fastest "
        f"at 64 KiB, {max(large) / min(large):.1f} times at 64 MiB"
    )
    power, product = paces["x ** 3"][1], paces["x * x * x"][1]
    print(f"   x ** 3 takes {power / product:.0f} times as long as x * x * x at 64 KiB")
    axes.set(xlabel="size of the array", ylabel="nanoseconds per entry")
    axes.set_xticks(sizes, ["16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB", "16 MiB", "64 MiB"])
    axes.tick_params(axis="x", which="minor", bottom=False)
    figure.legend(loc="outside lower center", ncols=5, fontsize="small")
    plt.show()


analyze_pace()

# %% [markdown]
r"""
A line that rises to the right waits for memory, a level line for arithmetic; the end of each printed line says which is which on your
machine. Copying computes nothing, so it shows what moving the bytes alone costs. Compare the two ratios below the list: where the
second is much smaller than the first, the arithmetic decides inside the cache, and outside of it the bytes, which are the same for
all.

The exception is the power. NumPy's is made for every exponent and works by logarithms, and negative numbers leave its fast path, so it
takes many times as long as the two multiplications. The price of a formula cannot be read from the number of its signs.

## Measure: passes over memory

`gelu_tanh` makes nine passes over one new array. Typed in as one formula, GELU makes as many passes and asks for new arrays on the
way, which the operating system must clear and hand over before the first number is written. Both move more than 70 bytes per entry;
the function itself needs 8, one read and one write.

**Predict:** 8 million entries, 32 MiB. Which size of the blocks is best? How many times faster is it than the whole array at once?
"""

# %% tags=["measure"]
import tracemalloc
from functools import partial


def analyze_passes():
    """GELU on 32 MiB, by your in_blocks with different sizes: as one formula, and written into one array."""

    def one_formula(x):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    x = np.random.default_rng(0).standard_normal(2**23, dtype=np.float32)
    sizes = [2**k for k in (10, 12, 14, 16, 18, 20, 22, 23)]
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for name, function, style in (("one formula", one_formula, "s--"), ("gelu_tanh", gelu_tanh, "o-")):
        seconds = [best_seconds(partial(in_blocks, function, x, size), repeats=3) for size in sizes]
        pace = np.array(seconds) / x.size * 1e9
        tracemalloc.start()
        function(x)
        peak = tracemalloc.get_traced_memory()[1] / x.nbytes
        tracemalloc.stop()
        axes.semilogx(sizes, pace, style, label=name)
        best = int(pace.argmin())
        print(f"📊 {name}: {pace[-1]:.2f} ns per entry at once, with {peak:.1f} new arrays of x's size;")
        print(
            f"   {pace[best]:.2f} ns in blocks of {4 * sizes[best] / 2**10:g} KiB, the best size: "
            f"{pace[-1] / pace[best]:.1f} times faster"
        )
    out = np.zeros_like(x)
    for name, function in (("copy", np.copyto), ("relu", lambda out, x: np.maximum(x, 0, out=out))):
        pace = best_seconds(partial(function, out, x)) / x.size * 1e9
        print(f"   for comparison, {name} on the same 32 MiB: {pace:.2f} ns per entry")
    axes.set(xlabel="size of a block", ylabel="nanoseconds per entry", ylim=(0, None))
    axes.set_xticks(sizes[:-1], ["4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB", "16 MiB"])
    axes.tick_params(axis="x", which="minor", bottom=False)
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()


analyze_passes()

# %% [markdown]
r"""
Very small blocks drown in calls, nine for each block. Large ones wait for memory. In the valley between, a block and its results stay
in the cache from the first pass to the last. The gain that your cell prints depends on how fast your memory is beside your processor;
the order of things does not. The same thought returns in module 09, where blocks decide the speed of a convolution.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-fusion", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Written question: what does GELU wait for?

Use what the last measurement printed on your machine, and name each number that you use.

(a) The copy reads 4 bytes per entry and writes 4. How many GB per second is that, and how long would GELU take per entry if it moved
these bytes once and computed for free?

(b) A classmate says: "ReLU is one operation and GELU about twenty, so ReLU is twenty times faster." How many times is relu faster than
your best GELU? Why is that not simply the number of operations?

(c) In its best blocks, does GELU still wait for memory, or for arithmetic? Say which two of your numbers show it.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-fusion", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: the numbers differ by machine; they have to be those of the run and to fit together.
(a) 8 bytes divided by the copy's nanoseconds is the rate in GB/s (0.8 ns: 10 GB/s); the copy's own time is what GELU would take. 1 point.
(b) The ratio of the two printed paces. Relu moves the same 8 bytes per entry, so it cannot be faster than a copy however little it
computes, while operations on a block in the cache cost only their arithmetic. 1 point.
(c) For arithmetic where the best pace lies clearly above the copy's (the bytes of one read and one write would be there sooner), for
memory where the two are close. The comparison counts, not the answer. 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Module 03 gives the matrix products a home: layers that own their weights, and starting values under which a signal survives twenty of
them. Your activations stand between these layers as they are. Next: `tito module complete 02_activations`.
"""
