# %% [markdown]
r"""
# 02 Activations

You have Tensors and matrix products. A network is made of such products with something between them, and this module is about
that something: functions that are *not straight lines*.

There are five of them, ReLU, sigmoid, tanh, GELU and softmax. Each is a formula of one line, and three of those lines
fail when they are typed in as they stand in a textbook: `exp(1000)` is infinite, and infinity divided by infinity is not a number.
So you write four operations, two of them in a form that survives any input. At the end you will know what the
flat ends of these curves do to a signal on its way through ten layers, and what a pass over memory costs.
"""

# %%
from tinytorch.notebook import check_home, expect_error

check_home()

# %%
#| default_exp core.activations

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.tensor import Op, elementwise, normalize_axes, result_dtype

# %%
from tinytorch.core.tensor import Tensor, manual_seed, randn

# %% [markdown]
r"""
## Two products are one

Put two matrix products in a row, the first with 6 weights, the second with 3. Does the second one add anything? Below, three inputs pass through both; then
they pass through a single matrix, the product of the two, with 2 weights.
"""

# %%
x = Tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 5.0]])
w1 = Tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]])
w2 = Tensor([[2.0], [1.0], [-1.0]])
print("two layers, one after the other:", ((x @ w1) @ w2).tolist())
print("one layer, with w1 @ w2 =", (w1 @ w2).tolist(), "  ", (x @ (w1 @ w2)).tolist())

# %% [markdown]
r"""
A hundred layers would collapse in the same way: a product of matrices is a matrix, and a matrix turns straight lines into straight lines. What breaks
the chain may be as simple as one corner.

## ReLU

The *rectified linear unit* lets positive numbers pass and holds the others at 0:

    relu([-2, 0, 3])  =  [0, 0, 3]

Three details decide whether yours is PyTorch's. Integers stay integers, since nothing here makes fractions. −∞ becomes 0 like any other negative number. And a NaN stays
NaN: a number that has gone wrong must not look healthy again one layer later. (NumPy's comparisons with NaN are all False. Its functions `maximum` and `minimum` pass it on.)

**Write `relu(x)`**, without changing `x`. A setting that is a Python number has no say in the dtype: `result_dtype(x, 0)`.
"""

# %% nbgrader={"grade": false, "grade_id": "relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@Op
def relu(x):
    """x where it is positive, else 0, entry by entry; NaN stays NaN."""
    ### BEGIN SOLUTION
    return np.maximum(x, 0, dtype=result_dtype(x, 0))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-relu", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu():
    x = Tensor([-2.0, 0.0, 3.0])
    got = relu(x)
    assert got.tolist() == [0.0, 0.0, 3.0], f"relu([-2, 0, 3]): expected [0, 0, 3], got {got.tolist()}"
    assert x.tolist() == [-2.0, 0.0, 3.0], f"relu must leave its input alone; [-2, 0, 3] became {x.tolist()}"
    assert got.dtype == np.float32, f"float32 stays float32, got {got.dtype}"

    got = relu(Tensor([[-3, 4], [5, -6]]))
    assert got.tolist() == [[0, 4], [5, 0]], f"two axes: expected [[0, 4], [5, 0]], got {got.tolist()}"
    assert got.dtype == np.int64, f"integers stay integers: expected int64, got {got.dtype}"

    got = relu(Tensor([-math.inf, math.inf])).tolist()
    assert got == [0.0, math.inf], f"relu([-inf, inf]): expected [0, inf], got {got}"
    got = relu(Tensor([math.nan])).item()
    assert math.isnan(got), f"relu(nan) is nan, got {got}"
    print("🔬 relu")

test_unit_relu()

# %% nbgrader={"grade": true, "grade_id": "test-relu-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more numbers and dtypes, other layouts in memory, no entries, no axes.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(2).normal(0, 9, (4, 3, 5))
for dtype in (np.float64, np.float32, np.float16, np.int32):
    table = numbers.astype(dtype)[::-1].T
    expected = [value if value > 0 else 0 for value in table.ravel().tolist()]
    got = relu(Tensor.wrap(table))
    assert got.dtype == dtype and got.shape == table.shape and got.numpy().ravel().tolist() == expected, np.dtype(dtype)
assert relu(Tensor(np.zeros((0, 3)))).shape == (0, 3) and relu(Tensor(-7.0)).item() == 0
### END HIDDEN TESTS

# %% [markdown]
r"""
Is one corner enough? The *exclusive or* is 1 where exactly one of two inputs is 1. No single layer computes it: on the square of the four inputs,
no straight line parts the ones from the zeros. Two layers with a relu between them do, with weights that you can check in your head:
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
In every plot below the dashed line is the slope: by how much the output changes when the input changes a little. Training will work by small changes, so a slope of 0
means that no change arrives on the other side.
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def analyze_slopes(*operations, half=1e-5):
    """Plot operations and their slopes, by differences of float64 values at x - half and x + half."""
    grid = np.linspace(-6, 6, 1201) + 5e-3
    figure, panels = plt.subplots(1, len(operations), figsize=(6, 3.2), sharey=True, squeeze=False, layout="constrained")
    for axes, operation in zip(panels[0], operations, strict=True):
        low, middle, high = (operation(Tensor(grid + shift, dtype=np.float64)).numpy() for shift in (-half, 0, half))
        slope = (high - low) / (2 * half)
        axes.axhline(0, color="0.8", linewidth=0.8)
        axes.plot(grid, middle, "-", label="value")
        axes.plot(grid, slope, "--", label="slope")
        axes.set(xlabel="x", title=operation.__name__, ylim=(-1.15, 2.5))
        steep = grid[slope > 0.01]
        print(
            f"📊 {operation.__name__}: values from {middle.min():.2f} to {middle.max():.2f}, slope at most {slope.max():.2f}; "
            f"above 0.01 from x = {steep.min():.1f} to {steep.max():.1f}"
        )
    panels[0, 0].set_ylabel("value, and slope per unit of x")
    panels[0, -1].legend(loc="upper left")
    plt.show()


analyze_slopes(relu)

# %% [markdown]
r"""
## Sigmoid

The sigmoid turns any number into a share between 0 and 1, and turns its sign into "more or less than a half":

                   1             eˣ
    sigmoid(x) = ───────   =   ───────          sigmoid(0) = 1/2        sigmoid(ln 3) = 3/4
                 1 + e⁻ˣ       1 + eˣ

The two forms are equal on paper. In a computer each works on one side only. At x = −1000 the left one needs e¹⁰⁰⁰, which overflows. At
x = −100 in float32 it does worse, because it does not look wrong: e¹⁰⁰ is infinite there too, and the result is a clean 0. The true value is
e⁻¹⁰⁰ ≈ 3.8·10⁻⁴⁴, which float32 can hold, and there is a difference: the loss of a later module takes its logarithm. At x = +1000 the right form gives ∞/∞.

Whatever the sign of x, `e` to the power of −|x| cannot overflow: it lies between 0 and 1. Both forms can be written with it and nothing else.

**Write `sigmoid(x)`**, exact to the last digits for every x, from −∞ to ∞. Integers give float32, so begin by making `x` an array of the dtype `result_dtype(x, floating=True)`.
"""

# %% nbgrader={"grade": false, "grade_id": "sigmoid", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    got = sigmoid(x)
    assert np.allclose(got.numpy(), [0.5, 0.75, 0.25], atol=1e-6), f"sigmoid([0, ln 3, -ln 3]): expected [0.5, 0.75, 0.25], got {got.tolist()}"
    assert got.dtype == np.float32, f"float32 stays float32, got {got.dtype}"
    assert x.tolist()[0] == 0.0, "sigmoid must leave its input alone"

    got = sigmoid(Tensor([[0, 2], [-1, 0]]))
    expected = [[0.5, 0.8807971], [0.2689414, 0.5]]
    assert np.allclose(got.numpy(), expected, atol=1e-6), f"sigmoid([[0, 2], [-1, 0]]): expected {expected}, got {got.tolist()}"
    assert got.dtype == np.float32, f"integers give float32, got {got.dtype}"

    x = np.linspace(-8, 8, 33)
    got = sigmoid(Tensor(x, dtype=np.float64)).numpy()
    assert got.dtype == np.float64, f"float64 stays float64, got {got.dtype}"
    assert np.allclose(got + got[::-1], 1, rtol=0, atol=1e-15), "sigmoid(x) + sigmoid(-x) is 1 for every x"
    assert (np.diff(got) > 0).all(), "sigmoid rises everywhere"
    print("🔬 sigmoid")

test_unit_sigmoid()

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid-stable", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sigmoid_stable():
    with np.errstate(over="raise", invalid="raise"):  # an overflow on the way is an error here
        got = sigmoid(Tensor([-math.inf, -1000.0, 1000.0, math.inf])).tolist()
    assert got == [0.0, 0.0, 1.0, 1.0], f"sigmoid([-inf, -1000, 1000, inf]): expected [0, 0, 1, 1], got {got}"

    got = sigmoid(Tensor([-100.0])).item()
    assert 3e-44 < got < 4.5e-44, f"float32, sigmoid(-100): expected 3.8e-44, got {got:.2g}"
    for x in (-20.0, -40.0, -100.0, -700.0):
        got, expected = sigmoid(Tensor(x, dtype=np.float64)).item(), math.exp(x) / (1 + math.exp(x))
        assert abs(got / expected - 1) < 1e-12, f"float64, sigmoid({x:g}): expected {expected:.12g}, got {got:.12g}"
    assert math.isnan(sigmoid(Tensor([math.nan])).item()), "sigmoid(nan) is nan"
    print("🔬 sigmoid: no overflow, no lost digits")

test_unit_sigmoid_stable()

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: 2,000 numbers on both sides, other layouts in memory, no entries, no axes.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(3).uniform(-300, 300, (20, 100))
expected = np.array([1 / (1 + math.exp(-v)) if v > 0 else math.exp(v) / (1 + math.exp(v)) for v in numbers.ravel()]).reshape(20, 100)
got = sigmoid(Tensor.wrap(numbers.T[:, ::-1])).numpy()
assert got.shape == (100, 20) and np.allclose(got, expected.T[:, ::-1], rtol=1e-12, atol=0)
single = sigmoid(Tensor.wrap((numbers / 4).astype(np.float32)))
wide = sigmoid(Tensor.wrap((numbers / 4).astype(np.float32).astype(np.float64)))
assert single.dtype == np.float32 and np.allclose(single.numpy(), wide.numpy(), rtol=1e-5, atol=0)
assert sigmoid(Tensor(np.zeros((2, 0)))).shape == (2, 0) and sigmoid(Tensor(0)).item() == 0.5 and sigmoid(Tensor(0)).shape == ()
### END HIDDEN TESTS

# %% [markdown]
r"""
The hyperbolic tangent is a sigmoid that was stretched: tanh(x) = 2·sigmoid(2x) − 1. It runs from −1 to 1, so that its outputs lie around 0. NumPy's own is stable, and the family from module 01 takes it in.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-tanh", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
tanh = elementwise("tanh", np.tanh, floating=True)

# %% tags=["measure"]
analyze_slopes(sigmoid, tanh)

# %% [markdown]
r"""
Two things in this picture have kept networks from learning for years. The ends are flat: whether x is 10 or 20 makes no difference that anybody behind the function could see. The
function is then *saturated*. And the sigmoid is nowhere steep: of a small change, at best a quarter gets through.

## Measure: ten layers deep

A batch of 500 random inputs goes through ten layers with 256 units each and random weights. What interests us is how far the examples still lie apart: the standard deviation over the batch, averaged over
the units. Where it is 0, all inputs give the same output, and there is nothing left to learn from.

The weights come in two sizes. With the first, a layer with relu keeps the size of a signal on average (module 03 derives it). The second is four times larger.

**Predict:** the sigmoid lets a quarter through at best. How much of the spread is left after ten layers? Will larger weights help?
"""

# %% tags=["measure"]
def analyze_depth(layers=10, units=256, examples=500):
    """Spread of a batch after each of ten random layers, for three functions and two sizes of the weights."""
    figure, panels = plt.subplots(1, 2, figsize=(6.5, 3.5), sharey=True, layout="constrained")
    for axes, gain, title in zip(panels, (math.sqrt(2), 4 * math.sqrt(2)), ("weights that suit relu", "weights four times larger"), strict=True):
        for operation, style in ((relu, "^-"), (tanh, "s--"), (sigmoid, "o:")):
            manual_seed(0)
            signal, spreads = randn(examples, units), []
            for _ in range(layers):
                before = signal @ (randn(units, units) * (gain / math.sqrt(units)))
                signal = operation(before)
                spreads.append(float(signal.numpy().std(axis=0).mean()))
            axes.semilogy(range(1, layers + 1), spreads, style, label=operation.__name__)
            low, high = (operation(Tensor(before, dtype=np.float64) + shift).numpy() for shift in (-1e-5, 1e-5))
            flat = ((high - low) / 2e-5 < 0.01).mean()
            print(f"📊 {title}, {operation.__name__}: spread {spreads[0]:.2g} after 1 layer, {spreads[-1]:.2g} after {layers}; slope below 0.01 at {flat:.0%} of the last units")
        axes.set(xlabel="layers passed", title=title, xticks=range(2, layers + 1, 2))
    panels[0].set_ylabel("standard deviation over the batch")
    panels[0].legend()
    plt.show()


analyze_depth()

# %% [markdown]
r"""
With weights that suit it, relu still tells the examples apart at the end, though half of its units are off for any one of them. Under the sigmoid the examples run together by a factor of about three with every layer.

Larger weights are no way out. Relu has no ceiling, and its signal grows almost fourfold with every layer. The ceilings of tanh and sigmoid hold the numbers down, but at a price, which the end of each printed line names:
a part of the units sits on a flat end, where a small change of a weight changes nothing. Sizes that fit between these two failures are the subject of module 03.

## Softmax

The sigmoid answers one yes-or-no question. To choose among several classes, softmax turns a row of scores into shares that are positive and sum to 1:

    softmax(x)ᵢ = eˣⁱ / Σⱼ eˣʲ          softmax([0, ln 3]) = [1/(1+3), 3/(1+3)] = [1/4, 3/4]

Adding the same number c to all scores multiplies every term by eᶜ, above and below, so the shares do not change. That freedom is the cure for overflow: choose c so that the largest score becomes 0. Then no term
is above 1, and the sum is at least 1. Terms that underflow to 0 are shares that were too small to matter.

Three edges, the first two as in PyTorch, which takes no integers here:

- A score of −∞ gets the share 0. Attention will hide words in this way. A row of nothing but −∞ has no shares: it gives NaN, from −∞ − (−∞), and the line `@np.errstate` keeps NumPy's warning about that quiet.
- Along an axis of size 0 there is nothing to share, and the result is as empty as the input. `np.max` refuses to search among nothing, unless its argument `initial` gives it a value to start from, one that no score is below.
- Integer scores give float32.

**Write `softmax_along(x, *, axis)`**, where the shares along `axis` sum to 1. `normalize_axes(axis, x.ndim)` raises the `IndexError` for an axis that does not exist, and returns what NumPy's reductions take as `axis`.
"""

# %% nbgrader={"grade": false, "grade_id": "softmax_along", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    """exp(x) divided by its sum along `axis`: positive shares that sum to 1. Raises IndexError for a missing axis."""
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
    assert np.allclose(got.numpy(), [0.25, 0.75], atol=1e-6), f"softmax([0, ln 3]): expected [0.25, 0.75], got {got.tolist()}"
    assert got.dtype == np.float32, f"float32 stays float32, got {got.dtype}"

    x = Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, math.log(2)]])
    got, expected = softmax_along(x, axis=1), [[0.09003057, 0.24472847, 0.66524096], [0.25, 0.25, 0.5]]
    assert np.allclose(got.numpy(), expected, atol=1e-6), f"rows (axis 1): expected {expected}, got {got.tolist()}"
    got = softmax_along(x.T, axis=0)
    assert np.allclose(got.numpy().T, expected, atol=1e-6), f"the same as columns (axis 0): expected {expected}, got {got.numpy().T.tolist()}"
    assert np.allclose(x.numpy()[0], [1, 2, 3]), f"softmax must leave its input alone; [1, 2, 3] became {x.tolist()[0]}"

    got = softmax_along(Tensor([[5, 5], [7, 7]]), axis=-1)
    assert got.tolist() == [[0.5, 0.5], [0.5, 0.5]], f"equal scores have equal shares: expected 0.5 everywhere, got {got.tolist()}"
    assert got.dtype == np.float32, f"integers give float32, got {got.dtype}"

    block = np.arange(24.0).reshape(2, 3, 4) % 7
    for axis in range(3):
        got = softmax_along(Tensor(block, dtype=np.float64), axis=axis)
        assert got.shape == (2, 3, 4) and got.dtype == np.float64, f"axis {axis}: expected float64 of shape (2, 3, 4), got {got.dtype} of {got.shape}"
        assert np.allclose(got.numpy().sum(axis=axis), 1), f"axis {axis} of shape (2, 3, 4): the shares along it must sum to 1"
    print("🔬 softmax_along")

test_unit_softmax_along()

# %% nbgrader={"grade": true, "grade_id": "test-softmax_along-edges", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_softmax_along_edges():
    with np.errstate(over="raise", invalid="raise"):
        for x, expected in [
            ([1000.0, 1000.0], [0.5, 0.5]),
            ([1000.0, 0.0, -1000.0], [1.0, 0.0, 0.0]),
            ([-1000.0, -1000.0 - math.log(3)], [0.75, 0.25]),
            ([2.0, -math.inf, 2.0], [0.5, 0.0, 0.5]),
        ]:
            got = softmax_along(Tensor(x), axis=0).numpy()
            assert np.allclose(got, expected, atol=1e-4), f"softmax({x}): expected {expected}, got {got.tolist()}"

        x = Tensor([[0.0, 0.0], [-1000.0, -1000.0], [-math.inf, -math.inf]])
        got = softmax_along(x, axis=1).numpy()
        assert got[:2].tolist() == [[0.5, 0.5], [0.5, 0.5]], f"each row by itself: expected 0.5 in rows 0 and 1, got {got[:2].tolist()}"
        assert np.isnan(got[2]).all(), f"a row of -inf has no shares: expected nan, got {got[2].tolist()}"

        for axis in (0, 1):
            got = softmax_along(Tensor(np.zeros((2, 0))), axis=axis)
            assert got.shape == (2, 0), f"shape (2, 0), axis {axis}: expected shape (2, 0), got {got.shape}"
    expect_error(IndexError, "axis 2", softmax_along, Tensor([[1.0, 2.0]]), axis=2)
    print("🔬 softmax_along: edges")

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
        assert got.dtype == np.float64 and np.allclose(got.numpy(), expected, rtol=1e-9, atol=0), f"axis {axis}, all scores {shift:+}"
far = softmax_along(Tensor([[900.0, 900.0 - math.log(9)], [-900.0, -900.0 + math.log(4)]]), axis=1).numpy()
assert np.allclose(far, [[0.9, 0.1], [0.2, 0.8]], atol=1e-4), "rows at +900 and at -900"
assert softmax_along(Tensor(np.zeros((0, 3))), axis=1).shape == (0, 3)
expect_error(IndexError, "axis -3", softmax_along, Tensor([[1.0, 2.0]]), axis=-3)
### END HIDDEN TESTS

# %% [markdown]
r"""
PyTorch's users write `softmax(x, dim=1)`, or `softmax(x, 1)`. A thin function takes all of these; the operation below it knows one spelling, so that its gradient will need only one.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-softmax", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def softmax(x, axis=-1, *, dim=None):
    """Shares along `axis` (or PyTorch's `dim`), positive and with the sum 1."""
    return softmax_along(x, axis=axis if dim is None else dim)

# %%
scores = Tensor([2.0, 1.0, 0.0])
for factor in (0.1, 1, 10):
    print(f"{factor:>4} · [2, 1, 0]  →  {np.round(softmax(scores * factor).numpy(), 3)}")

# %% [markdown]
r"""
The differences between the scores decide, and their size says how sure the answer is: at small ones all classes share alike, at large ones the winner takes all, a *soft maximum*.

## GELU

Relu asks whether x is positive. GELU, the *Gaussian error linear unit* (Hendrycks and Gimpel, 2016), asks how likely a normal random number is to lie below x, and lets that part of x through:

    gelu(x) = x · Φ(x)        Φ(x) = ½ · (1 + erf(x / √2))        gelu(1) = 0.8413        gelu(−1) = −0.1587

It follows relu from afar and is round where relu has its corner. The *error function* `erf` is not in NumPy, and Python's `math.erf` takes one number at a time. So here is one for arrays, from W. J. Cody's approximations of 1969: quotients of polynomials, fitted
to three ranges of |x|, which differ from erf by no more than float64 can show. The first two are evaluated for all entries, because picking entries out of an array costs more than
computing some of them in vain.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-erf", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
# W. J. Cody, Rational Chebyshev approximations for the error function (1969): numerator and denominator, each with
# the highest power first
ERF_NEAR = (
    (
        1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
ERF_MIDDLE = (
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
ERF_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def quotient(polynomials, x):
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
    out = np.asarray(np.copysign(1 - np.exp(-square) * quotient(ERF_MIDDLE, size), x))
    np.copyto(out, x * quotient(ERF_NEAR, square), where=size < 0.46875)
    far = size > 4
    if far.any():
        inverse = 1 / square[far]
        tail = np.exp(-square[far]) / size[far] * (1 / math.sqrt(math.pi) - inverse * quotient(ERF_FAR, inverse))
        out[far] = np.copysign(1 - tail, x[far])
    return out


def gelu_exact(x):
    """x times the share of a normal distribution that lies below x, for a floating array."""
    out = erf(x * math.sqrt(0.5))
    out += 1
    out *= x
    out *= 0.5
    return out

# %%
grid = np.linspace(-7, 7, 2801)
worst = max(abs(value - math.erf(x)) for x, value in zip(grid, erf(grid), strict=True))
print(f"erf against math.erf at {len(grid)} places: at most {worst:.1e} apart")
print("gelu_exact(1) =", gelu_exact(np.array(1.0)))

# %% [markdown]
r"""
There is a second form, which GPT-2 uses: since Φ is nearly a stretched tanh, the paper offers

    gelu(x)  ≈  ½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))          gelu(1) ≈ 0.841192

instead. In PyTorch's spelling, `approximate="tanh"` asks for it. It is not equal to the exact form, so a network trained with the one should run with the one.

**Write the second form.** The lines above your part have made `x` floating, handled the exact form, and silenced the overflow that a cube may give without harm (tanh of infinity is 1). Keep the dtype: a NumPy number such as `np.sqrt(2 / np.pi)` is float64 and takes the
array with it; a Python number such as `math.sqrt(...)` does not. And before you write the cube as a power, look at what it costs in the first of the two measurements below.
"""

# %% nbgrader={"grade": false, "grade_id": "gelu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    """x times the share of a normal distribution that lies below x (Hendrycks and Gimpel, 2016).

    approximate: "none" for the exact form, "tanh" for the paper's second one, at most 5e-4 apart. Raises ValueError for
    another word.
    """
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    ### BEGIN SOLUTION
    out = np.square(x, out=np.empty_like(x))
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-gelu", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_gelu():
    x = Tensor([1.0, -1.0, 0.0, 3.0, -3.0, 0.5])
    got, expected = gelu(x, approximate="tanh"), [0.841192, -0.158808, 0.0, 2.996363, -0.003637, 0.345714]
    assert np.allclose(got.numpy(), expected, rtol=0, atol=2e-6), f"gelu({x.tolist()}): expected {expected}, got {np.round(got.numpy(), 6).tolist()}"
    assert got.dtype == np.float32, f"float32 stays float32, got {got.dtype}"
    assert x.tolist()[0] == 1.0 and x.tolist()[-1] == 0.5, "gelu must leave its input alone"
    got = gelu(Tensor([[1], [2]]), approximate="tanh")
    assert got.shape == (2, 1) and got.dtype == np.float32, f"integers of shape (2, 1): expected float32 of shape (2, 1), got {got.dtype} of {got.shape}"
    print("🔬 gelu")

test_unit_gelu()

# %% nbgrader={"grade": true, "grade_id": "test-gelu-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_gelu_edges():
    got = gelu(Tensor([-1000.0, 1000.0, math.inf]), approximate="tanh").tolist()
    assert got == [0.0, 1000.0, math.inf], f"gelu([-1000, 1000, inf]): expected [0, 1000, inf], got {got}"
    x = np.linspace(-4, 4, 81)
    got = gelu(Tensor(x, dtype=np.float64), approximate="tanh").numpy()
    assert got.dtype == np.float64, f"float64 stays float64, got {got.dtype}"
    assert np.allclose(got - got[::-1], x, rtol=0, atol=1e-14), "gelu(x) - gelu(-x) is x for every x"
    apart = np.abs(got - gelu(Tensor(x, dtype=np.float64)).numpy()).max()
    assert 4e-4 < apart < 5e-4, f"between -4 and 4 the two forms are at most 0.00047 apart, not {apart:.2g}"
    expect_error(ValueError, "'erf'", gelu, Tensor([1.0]), approximate="erf")
    print("🔬 gelu: edges")

test_unit_gelu_edges()

# %% nbgrader={"grade": true, "grade_id": "test-gelu-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: 300 numbers against the formula, one at a time, another layout in memory, no entries, no axes.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(5).normal(0, 3, (15, 20))
expected = np.array([0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in numbers.ravel()]).reshape(15, 20)
got = gelu(Tensor.wrap(numbers.T[::2]), approximate="tanh").numpy()
assert got.dtype == np.float64 and got.shape == (10, 15) and np.allclose(got, expected.T[::2], rtol=1e-9, atol=1e-15)
assert gelu(Tensor(np.zeros((3, 0))), approximate="tanh").shape == (3, 0)
assert gelu(Tensor(2), approximate="tanh").shape == () and abs(gelu(Tensor(2), approximate="tanh").item() - 1.9545977) < 1e-6
### END HIDDEN TESTS

# %% tags=["measure"]
analyze_slopes(gelu)

# %% [markdown]
r"""
Unlike the others, this curve falls for a while: left of its lowest point, near x = −0.75, its slope is negative.

## As layers

A network is written down as a list of layers, and there an activation must be a thing that one can hold: made once, called often, with its settings inside. The classes do nothing but that. They have nothing to learn, so a `forward` and a name for the printout are enough.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-classes", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Activation:
    """A function of one Tensor as a layer: called like a function, with its settings as attributes."""

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


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
        got = shares(activation(x @ w1) @ w2)
        assert got.dtype == np.float32, f"{activation}: float32 throughout, got {got.dtype}"
        assert np.allclose(got.numpy(), expected, rtol=0, atol=3e-6), f"{activation}: expected {expected}, got {got.tolist()}"

    got = [repr(activation) for activation in (ReLU(), GELU(), Softmax(dim=1))]
    assert got == ["ReLU()", "GELU(approximate='none')", "Softmax(dim=1)"], f"printed as in PyTorch, got {got}"
    scores = Tensor([[1.0, 5.0], [2.0, 0.0]])
    assert np.array_equal(softmax(scores, dim=0).numpy(), softmax(scores, 0).numpy()), "softmax takes dim= as well as an axis"
    print("🔬 module 02: one network, five activations")

test_module()

# %% [markdown]
r"""
## Measure: memory or arithmetic?

To apply a function entry by entry, a processor does two things: it moves numbers from memory and back, and it computes. They go on at the same time, so the slower of the two sets the pace. Which one it is can be seen by growing the array. As long as it fits
into a cache, moving is cheap. Beyond, a function that waits for memory gets slower per entry, and one that waits for arithmetic does not notice.

**Predict:** relu compares and chooses, eˣ takes about a dozen multiplications, and x·x·x takes two. Sort the five functions in the next cell by time per entry. Then run.
"""

# %% tags=["measure"]
def analyze_pace():
    """Nanoseconds per entry of simple functions on arrays from 16 KiB to 64 MiB, written into the same result each time."""
    functions = [
        ("copy", lambda x, out: np.copyto(out, x), "k.-"),
        ("relu", lambda x, out: np.maximum(x, 0, out=out), "^-"),
        ("exp", lambda x, out: np.exp(x, out=out), "s--"),
        ("x * x * x", lambda x, out: np.multiply(np.multiply(x, x, out=out), x, out=out), "v:"),
        ("x ** 3", lambda x, out: np.power(x, 3, out=out), "o-."),
    ]
    sizes = [2**k for k in (12, 14, 16, 18, 20, 22, 24)]
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, function, style in functions:
        pace = []
        for size in sizes[:-2] if name == "x ** 3" else sizes:
            x = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
            out, rounds = np.zeros_like(x), max(1, 2**18 // size)
            seconds = best_seconds(lambda: [function(x, out) for _ in range(rounds)], repeats=5)  # noqa: B023 - called at once
            pace.append(seconds / rounds / size * 1e9)
        axes.loglog(sizes[: len(pace)], pace, style, label=name)
        print(f"📊 {name}: {min(pace):.2f} ns per entry at best, {pace[-1]:.2f} at {4 * sizes[len(pace) - 1] / 2**20:g} MiB, {pace[-1] / min(pace):.1f} times as much")
    axes.set(xlabel="size of the array", ylabel="nanoseconds per entry", title="Entry by entry, in float32 on one core")
    axes.set(xticks=sizes, xticklabels=["16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB", "16 MiB", "64 MiB"])
    axes.legend(fontsize="small", ncols=2, loc="center right")
    axes.tick_params(axis="x", which="minor", bottom=False)
    plt.show()


analyze_pace()

# %% [markdown]
r"""
A line that rises to the right waits for memory: the copy, and the product of three. A level line waits for arithmetic. Where your lines lie depends on the processor. On one core of a server with AVX-512, eˣ took 0.3 ns per entry and no longer than relu, because NumPy compares with a
single number in a slower loop than with an array; at 64 MiB the product of three, which writes its result twice, was the slowest of the four.

The exception is the power: 43 ns, more than a hundred times as long as the two multiplications. It is made for every exponent and works by logarithms, and negative numbers leave its fast path (with `np.abs(x)` it took 0.9 ns). The price of a formula cannot be read from the number of its signs.

## Measure: passes over memory

GELU's second form has nine operations, and NumPy makes a pass over the whole array for each: read 4 bytes, compute, write 4 bytes. Nine passes move more than 72 bytes per entry; the function itself needs 8, one read and one write. Typed in as one formula, it also asks the
operating system for new arrays on the way, which must be cleared and mapped before the first number is written.

PyTorch does all nine steps while an entry is in a register: the operations are *fused*. We cannot, but we can get near: cut the array into blocks that fit into the cache, and make the nine passes over one block after the other.

**Predict:** 8 million entries, 32 MiB. Which block size is best? How much does it gain over the whole array at once?
"""

# %% tags=["measure"]
import tracemalloc


def analyze_passes():
    """GELU on 32 MiB in blocks of different sizes: your operation, and the formula as it is written."""

    def formula(x):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    def yours(x):
        return gelu.forward(x, approximate="tanh")

    def in_blocks(function, size):
        for start in range(0, x.size, size):
            out[start : start + size] = function(x[start : start + size])

    x = np.random.default_rng(0).standard_normal(2**23, dtype=np.float32)
    out, sizes = np.zeros_like(x), [2**k for k in (10, 12, 14, 16, 18, 20, 22, 23)]
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, function, style in (("the formula", formula, "s--"), ("your gelu", yours, "o-")):
        pace = [best_seconds(lambda: in_blocks(function, size), repeats=3) / x.size * 1e9 for size in sizes]  # noqa: B023 - called at once
        tracemalloc.start()
        function(x)
        peak = tracemalloc.get_traced_memory()[1] / x.nbytes
        tracemalloc.stop()
        axes.semilogx(sizes, pace, style, label=name)
        best = int(np.argmin(pace))
        print(
            f"📊 {name}: {pace[-1]:.2f} ns per entry at once, with {peak:.1f} arrays of the input's size in memory; "
            f"{pace[best]:.2f} ns in blocks of {4 * sizes[best] / 2**10:g} KiB, {pace[-1] / pace[best]:.1f} times faster"
        )
    axes.set(xlabel="size of a block", ylabel="nanoseconds per entry", title="GELU in blocks, 8 million entries", ylim=(0, None))
    axes.set(xticks=sizes[:-1], xticklabels=["4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB", "16 MiB"])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.legend()
    plt.show()


analyze_passes()

# %% [markdown]
r"""
Small blocks drown in calls, nine for each block. Large ones wait for memory. In the valley between, a block and its results stay in the cache from the first pass to the last. Passes that write into arrays which exist already (`out=`, `+=`) need less memory, and on large arrays less time too.
The same thoughts return in module 09, where blocks decide the speed of a convolution.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-fusion", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
"ReLU is one operation and GELU about twenty, so with ReLU our network will compute its activations twenty times faster." A machine moves 10 GB per second to or from memory, computes 10 billion elementary operations per second, and does both at the same time. An activation has
16 million float32 entries, and both functions are fused: one read, one write. How long does each of the two take, and what does it wait for? What is the answer on a machine that computes ten times as fast with the same memory?

### BEGIN SOLUTION
For graders: 128 MB take 12.8 ms; relu computes for 1.6 ms and so waits for memory, gelu computes for 32 ms and so waits for arithmetic, 1 point; on the faster machine gelu computes for 3.2 ms, and both take 12.8 ms, 1 point;
the claim counts operations where bytes set the pace: 2.5 times, and not at all on the faster machine, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Module 03 gives the matrix products a home: layers that own their weights, and starting values under which a signal survives twenty of them. Your activations stand between these layers as they are. Next: `tito module complete 02_activations`.
"""
