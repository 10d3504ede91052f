# %% [markdown]
r"""
# 04 Losses

A network answers with a row of numbers for each input. To train it you need *one* number that says how wrong all these answers
are together, and that falls smoothly as they get better: the **loss**.

The formulas take one line each in a textbook. Typed in as they stand there, they give `inf` and `nan` as soon as a network is sure
of itself: in float32, `exp(89)` is already infinite. So most of this module is about writing a formula so that it survives.

You have Tensors, activations and layers. In this module you write seven functions: squared error for numbers, cross-entropy for
classes, two forms of it for yes-or-no questions, and the accuracy that a person wants to read. Around them stand the classes
that PyTorch has, `MSELoss`, `CrossEntropyLoss`, `BCEWithLogitsLoss` and `BCELoss`. They give PyTorch's numbers; at large logits
yours will have more correct digits.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.losses

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.layers import Module
from tinytorch.core.tensor import Op, normalize_axes, result_dtype
from tinytorch.kernels.precision import in_float32

# %%
from tinytorch.core.activations import ReLU, softmax
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.tensor import Tensor

# %% [markdown]
r"""
## From many errors to one number

Every loss here works in two steps: a loss for each entry (or each row), then a *reduction* to one number. The mean is the default, because
it does not grow with the batch: with the sum, a batch twice as large would take steps twice as long. `"none"` keeps the
single losses, for instance to look for the worst rows.

Two helpers are given. `reduce` does the second step. `check_shapes` stands guard before the first; you will soon see against what.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-reduce", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def check_reduction(reduction):
    """Raise ValueError unless `reduction` is one of the three words."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def reduce(values, reduction):
    """The mean or the sum of a Tensor's entries, of shape (), or for "none" the Tensor itself.

    The mean over no entries is nan. Raises ValueError for another word.
    """
    check_reduction(reduction)
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def check_shapes(input, target):
    """Raise ValueError naming both shapes unless they are equal."""
    if np.shape(input) != np.shape(target):
        raise ValueError(
            f"input has shape {np.shape(input)} and target {np.shape(target)}: a loss compares entry with "
            "entry, so they must be equal; reshape one of them"
        )

# %% [markdown]
r"""
## Squared error

For numbers (a price, a temperature): the difference, squared.

    input       [2, 0, 1]
    target      [1, 0, 3]
    squares     [1, 0, 4]      sum 5,  mean 5/3

Squaring makes the sign irrelevant and lets one large error count for more than many small ones.

A network with one output gives a batch of shape (3, 1); the targets often come as (3,). Subtraction would broadcast them to (3, 3),
every answer against every target. PyTorch warns and goes on; here it is an error.

**Write `mse_loss(input, target, reduction="mean")`.**

- First call `check_shapes(input, target)`. Every shape is welcome, as long as both are equal: `()`, and shapes without entries, whose
  mean is nan.
- Then use the operators of Tensors and `reduce`, so that every step is recorded for module 05. `input` is a Tensor, `target` a Tensor
  or an array; the operators see to the dtype.
"""

# %% nbgrader={"grade": false, "grade_id": "mse_loss", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which two steps does every loss of this module consist of, and which of them is given already?", "Guard the shapes, take the difference of the two with the minus of Tensors, multiply it by itself, and hand the squares and the word on to the given reduction."], "minutes": 10, "objective": "reduce"}
#| export
def mse_loss(input, target, reduction="mean"):
    """The squared difference of each entry of `input` and `target`, reduced ("mean", "sum" or "none").

    Raises ValueError naming both shapes where they differ.
    """
    ### BEGIN SOLUTION
    check_shapes(input, target)
    difference = input - target
    return reduce(difference * difference, reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-mse_loss", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_mse_loss():
    prediction, target = Tensor([2.0, 0.0, 1.0]), Tensor([1.0, 0.0, 3.0])
    got = mse_loss(prediction, target)
    assert isinstance(got, Tensor), f"a loss is a Tensor, got {type(got).__name__} (is a return missing?)"
    expect(got, 5 / 3, "[2, 0, 1] against [1, 0, 3]", rtol=1e-6)
    expect(mse_loss(prediction, target, reduction="sum"), 5, "reduction 'sum'")
    expect(mse_loss(prediction, target, reduction="none"), [1, 0, 4], "reduction 'none'")

    table = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    got = mse_loss(table, Tensor(np.zeros((3, 2))))
    expect(got, 91 / 6, "the mean over all 6 entries of a (3, 2) table", rtol=1e-6)
    expect(mse_loss(Tensor(3.0), Tensor(1.0)), 4, "one number against one, of shape ()")
    with no_warnings("the mean over no entries"):
        expect(mse_loss(Tensor(np.zeros((0, 2))), np.zeros((0, 2))), math.nan, "the mean over no entries")
    for kind in (bool, np.int64, np.float64):
        got = mse_loss(prediction, np.array([1, 0, 1], kind), "none")
        expect(got, [1, 0, 0], f"float32 against an array in {np.dtype(kind)}", dtype=np.float32)
    got = mse_loss(Tensor([1.0], requires_grad=True), target[:1])
    expect(got.requires_grad, True, "computed with Tensors, a loss is recorded: requires_grad")
    print("🔬 mse_loss: passed")

test_unit_mse_loss()

# %% nbgrader={"grade": true, "grade_id": "test-mse_loss-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_mse_loss_errors():
    column, row = Tensor([[1.0], [2.0], [3.0]]), Tensor([1.0, 2.0, 3.0])
    expect_error(ValueError, [(3, 1), (3,)], mse_loss, column, row)
    expect_error(ValueError, [(3,), (1,)], mse_loss, row, Tensor([1.0]))
    expect_error(ValueError, ["mean", "sum", "none", "average"], mse_loss, row, row, "average")
    print("🔬 mse_loss, errors: passed")

test_unit_mse_loss_errors()

# %% nbgrader={"grade": true, "grade_id": "test-mse_loss-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes and dtypes.
### BEGIN HIDDEN TESTS
guess, truth = np.cos(np.arange(24.0)).reshape(2, 3, 4), np.sin(np.arange(24.0)).reshape(4, 3, 2).T
squares = (guess - truth) ** 2
for word, expected in [("mean", np.mean(squares)), ("sum", np.sum(squares)), ("none", squares)]:
    got = mse_loss(Tensor(guess, dtype=np.float64), Tensor(truth, dtype=np.float64), word)
    expect(got, expected, f"shape (2, 3, 4) in float64, {word!r}", rtol=1e-12, dtype=np.float64)
expect(mse_loss(Tensor(np.zeros((0, 2))), Tensor(np.zeros((0, 2))), "sum"), 0, "the sum over no entries")
expect_error(ValueError, [(2, 3, 4), (3, 4)], mse_loss, Tensor(guess), Tensor(guess[0]))
### END HIDDEN TESTS

# %% [markdown]
r"""
Here is what the check protects you from. Three perfect answers, and a loss that is not 0:
"""

# %%
answers, wanted = Tensor([[1.0], [2.0], [3.0]]), Tensor([1.0, 2.0, 3.0])
table = answers - wanted
print("differences of shape", table.shape, "and a loss of", (table * table).mean().item())

# %% [markdown]
r"""
No message, no crash. A network trained on this loss learns to answer every input with the mean of all targets: that makes the nine
squares as small as they can be.

## Logarithms of probabilities

A classifier ends with one number for each class, its *logits* $x$. Softmax makes probabilities of them, and the loss will need their logarithms:

$$\log p_i = \log \frac{e^{x_i}}{\sum_j e^{x_j}} = x_i - \log \sum_j e^{x_j}$$

For x = [1, 2, 3] the sum is 30.19, its logarithm 3.4076, and log p = [−2.4076, −1.4076, −0.4076].

Typed in as it stands, it fails twice. `exp(1000)` is infinite. And taking the logarithm *after* a softmax, even after the stable
softmax of module 02, comes too late: for x = [0, −1000] softmax gives [1, 0], and log 0 is −∞ where −1000 is right. Both faults go
away if the largest logit $m$ is subtracted first, and the fraction is never written down (*log-sum-exp*):

$$\log p_i = (x_i - m) - \log \sum_j e^{x_j - m}$$

Now no exponential exceeds 1, and the largest one is exactly 1, so the logarithm is never taken of 0.

The operation has a setting `axis`, and PyTorch's users write `log_softmax(x, dim=1)` or `log_softmax(x, 1)`. A small kind of `Op` translates:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-axis_op", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class AxisOp(Op):
    """An operation along one axis: by position, as `axis`, or as PyTorch's `dim`; if not given, the last."""

    def __call__(self, x, axis=-1, *, dim=None):
        return super().__call__(x, axis=axis if dim is None else dim)

# %% [markdown]
r"""
**Write `log_softmax(x, *, axis)`** for an array `x`; maximum and sum run along `axis`.

- `normalize_axes(axis, x.ndim)` raises the `IndexError` for an axis that does not exist, and returns what NumPy's reductions take.
- The result has the dtype `result_dtype(x, floating=True)`; `x` stays as it was. (The line `@in_float32` hands you float16 as float32 and
  rounds the result: a running sum in float16 stops at 2,048.)
- An axis of size 0 has no maximum unless you give it one, `initial=-np.inf`. The result is as empty as `x`.
- −∞ is a legal logit (*this class is forbidden*), and its log p is −∞. Where all logits of a row are −∞, or one is +∞, the row is nan, as
  in PyTorch.
- NumPy must not warn. In the edge cases above it would (log 0, −∞ − (−∞)), so put the arithmetic into a `with` block of
  `np.errstate`, which silences what it is told: `divide` and `invalid`, each set to `"ignore"`. No overflow can happen.
"""

# %% nbgrader={"grade": false, "grade_id": "log_softmax", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Take the row [1000, 999] by hand, with the formula that subtracts the largest logit. Which exponentials are left, and of what is the logarithm taken?", "Which argument of the reductions keeps the reduced axis with size 1, so that one maximum and one sum per row broadcast against the row?", "Four steps: a floating array; the logits minus their maximum along the axis; the sum of the exponentials of these along the axis; the differences minus the logarithm of that sum."], "minutes": 30, "objective": "logarithms"}
#| export
@AxisOp
@in_float32
def log_softmax(x, *, axis):
    """The logarithm of softmax along `axis` (or PyTorch's `dim`), by log-sum-exp: finite for finite x."""
    ### BEGIN SOLUTION
    axes = normalize_axes(axis, x.ndim)
    x = x.astype(result_dtype(x, floating=True), copy=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = x - x.max(axis=axes, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-log_softmax", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_log_softmax():
    expected = [-2.407606, -1.407606, -0.407606]
    expect(log_softmax(Tensor([1.0, 2.0, 3.0]), axis=0), expected, "[1, 2, 3]", atol=1e-6, dtype=np.float32)
    expect(log_softmax(Tensor([1, 2, 3]), axis=0), expected, "the same integers", atol=1e-6, dtype=np.float32)
    x = Tensor([[1.0, 2.0, 3.0], [3.0, 5.0, 7.0]], dtype=np.float64)
    rows = [expected, [-4.142932, -2.142932, -0.142932]]
    expect(log_softmax(x, axis=1), rows, "rows [1, 2, 3] and [3, 5, 7]", atol=1e-6, dtype=np.float64)
    expect(x[1], [3, 5, 7], "the second row of the input afterwards")
    for axis in (0, 1, -1):
        sums = np.exp(log_softmax(x, dim=axis).numpy()).sum(axis=axis)
        expect(sums, np.ones(sums.shape), f"axis {axis}: the sums of the probabilities along it", atol=1e-6)
    expect_error(IndexError, 5, log_softmax, x, axis=5)
    print("🔬 log_softmax: passed")

test_unit_log_softmax()

# %% nbgrader={"grade": true, "grade_id": "test-log_softmax-extremes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_log_softmax_extremes():
    inf, nan = math.inf, math.nan
    cases = [
        ([1000.0, 0.0, -1000.0], [0, -1000, -2000]),
        ([-1000.0, -1000.0], [-0.693147, -0.693147]),
        ([-inf, 0.0, 1.0], [-inf, -1.313262, -0.313262]),
        ([-inf, -inf], [nan, nan]),
        ([inf, 0.0], [nan, nan]),
        ([[1000.0, 999.0], [-1000.0, -1001.0]], [[-0.313262, -1.313262], [-0.313262, -1.313262]]),
    ]
    for logits, expected in cases:
        with no_warnings(f"log_softmax({logits})"):
            got = log_softmax(Tensor(logits), axis=-1)
        expect(got, expected, f"log_softmax({logits})", atol=1e-6)
    for axis in (0, 1):
        with no_warnings(f"shape (2, 0), axis {axis}"):
            got = log_softmax(Tensor(np.zeros((2, 0))), axis=axis)
        expect(got, np.zeros((2, 0)), f"shape (2, 0), axis {axis}")
    print("🔬 log_softmax, extremes: passed")

test_unit_log_softmax_extremes()

# %% nbgrader={"grade": true, "grade_id": "test-log_softmax-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: three axes in float64, rows that are far apart, no rows, another axis that does not exist.
### BEGIN HIDDEN TESTS
block = 30 * np.sin(np.arange(24.0)).reshape(2, 3, 4)
for axis in (0, 1, 2, -3):
    reference = block - np.log(np.exp(block).sum(axis=axis, keepdims=True))
    got = log_softmax(Tensor(block, dtype=np.float64), axis=axis)
    expect(got, reference, f"shape (2, 3, 4), axis {axis}", rtol=1e-12, atol=1e-13, dtype=np.float64)
far = log_softmax(Tensor([[0.0, -3000.0], [-3000.0, -6000.0]]), axis=0)
expect(far, [[0, 0], [-3000, -3000]], "columns at 0 and at -3000")
with no_warnings("no rows"):
    expect(log_softmax(Tensor(np.zeros((0, 2))), axis=1), np.zeros((0, 2)), "no rows")
expect_error(IndexError, -3, log_softmax, Tensor(np.zeros((2, 2))), axis=-3)
### END HIDDEN TESTS

# %% [markdown]
r"""
See what the detour over the probabilities costs. The gap between two logits grows; both columns should show its negative:
"""

# %%
for gap in (10.0, 80.0, 100.0, 1000.0):
    x = Tensor([0.0, -gap])
    with np.errstate(divide="ignore"):
        late = (x.exp() / x.exp().sum()).log()
    early = log_softmax(x, axis=0)
    print(f"gap {gap:6}:   log of softmax {late[1].item():14.6f}     log_softmax {early[1].item():14.6f}")

# %% [markdown]
r"""
## Cross-entropy

The right class of an input is one integer, its *target*. The loss of one row is the negative logarithm of the probability that the
network gave to that class: 0 if it was certain and right, 0.69 at one half, and 4.6 for one percent.

    logits           log p                          target   loss
    [1, 2, 3]        [−2.41, −1.41, −0.41]             2      0.4076
    [3, 1, 2]        [−0.41, −2.41, −1.41]             1      2.4076        mean 1.4076

You could multiply by a *one-hot* table (1 at the target, 0 elsewhere) and sum; but that table is as large as the logits, and where a
class is forbidden, 0 · (−∞) makes nan of the row. Indexing reads just the entries that count: with an array of row numbers and an
array of targets, `t[rows, targets]` gives one entry for each pair. It works on Tensors and is recorded.

**Write `cross_entropy(input, target, reduction="mean")`** from `log_softmax`, indexing and `reduce`. `input` has shape (N, C) and `target`
shape (N,), also with N = 0, or `input` is a single row (C,) with a target of shape (). The target is a Tensor, an array or a Python
integer; `np.asarray(target)` makes an array of each. Refuse, in order,

1. a target whose dtype is not an integer (kind `"i"` or `"u"`): `TypeError` that names the dtype,
2. shapes that do not fit, among them logits of shape (): `ValueError` that names both shapes,
3. numbers that are no class: `IndexError` that names the first such number, its position (from 0) and how many classes there are.
   Indexing alone would not notice −1: it would pick the last class.

The wording is free; the tests look for the numbers and names.
"""

# %% nbgrader={"grade": false, "grade_id": "cross_entropy", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What is the shape of the logits without their last axis, for a batch and for a single row, and with what has it to be compared?", "Check before you compute: the kind of the dtype, then the number of axes and the two shapes, then whether every target lies from 0 to below the number of classes. A mask and the places where it holds give the first culprit.", "Take the stable logarithms along the last axis, pick one of each row by the row numbers and the targets (a single row needs its target alone), change the sign, and reduce."], "minutes": 40, "objective": "classes"}
#| export
def cross_entropy(input, target, reduction="mean"):
    """The negative logarithm of the right class's probability, reduced ("mean", "sum" or "none").

    input: logits of shape (N, C) or (C,). target: integers from 0 to C - 1, of shape (N,) or ().
    Raises TypeError for targets that are not integers, ValueError naming both shapes where they do not fit,
    IndexError for a number that is no class. Several axes of positions: reshape to (N, C) first.
    """
    ### BEGIN SOLUTION
    target = np.asarray(target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"targets are integers, not {target.dtype}; from one-hot rows: argmax(axis=1)")
    if len(input.shape) not in (1, 2) or target.shape != input.shape[:-1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {input.shape} with {target.shape}")
    classes = input.shape[-1]
    no_class = np.flatnonzero((target < 0) | (target >= classes))
    if no_class.size:
        place = no_class[0]
        raise IndexError(f"target {target.flat[place]} at position {place} is none of the {classes} classes")
    log_probability = log_softmax(input, axis=-1)[(*np.indices(target.shape), target)]
    return reduce(-log_probability, reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-cross_entropy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_cross_entropy():
    logits, target = Tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]), Tensor([2, 1])
    expect(cross_entropy(logits, target), 1.407606, "the two rows above", rtol=1e-6)
    each = [0.407606, 2.407606]
    expect(cross_entropy(logits, target, reduction="none"), each, "reduction 'none'", rtol=1e-6)
    expect(cross_entropy(logits, target, reduction="sum"), 2.815212, "reduction 'sum'", rtol=1e-6)
    for kind in (np.uint8, np.int32, np.int64):
        got = cross_entropy(logits, np.array([2, 1], kind), "none")
        expect(got, each, f"targets in {np.dtype(kind)}", rtol=1e-6, dtype=np.float32)
    expect(cross_entropy(logits[1], Tensor(1)), each[1], "one row (3,) with a target ()", rtol=1e-6)
    expect(cross_entropy(logits[1], 1), each[1], "one row with a Python integer", rtol=1e-6)

    got = cross_entropy(Tensor([[1000.0, -1000.0], [1000.0, -1000.0]]), Tensor([0, 1]), "none")
    expect(got, [0, 2000], "logits [1000, -1000] with targets 0 and 1")
    with no_warnings("a forbidden class beside the target"):
        got = cross_entropy(Tensor([[0.0, -math.inf, 0.0]]), Tensor([2]))
    expect(got, math.log(2), "logits [0, -inf, 0] with target 2: a forbidden class", rtol=1e-6)
    with no_warnings("no rows"):
        expect(cross_entropy(Tensor(np.zeros((0, 3))), np.zeros(0, int)), math.nan, "the mean over no rows")
    got = cross_entropy(Tensor([[1.0, 2.0]], requires_grad=True), Tensor([1]))
    expect(got.requires_grad, True, "computed with Tensors, a loss is recorded: requires_grad")
    print("🔬 cross_entropy: passed")

test_unit_cross_entropy()

# %% nbgrader={"grade": true, "grade_id": "test-cross_entropy-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_cross_entropy_errors():
    logits = Tensor(np.zeros((5, 4)))
    expect_error(TypeError, "float32", cross_entropy, logits, Tensor([0.0, 1.0, 2.0, 0.0, 1.0]))
    expect_error(TypeError, "bool", cross_entropy, logits, Tensor([True, False, True, True, False]))
    expect_error(TypeError, "float64", cross_entropy, logits, np.zeros((5, 4)))  # one-hot rows
    expect_error(ValueError, [(5, 4), (2,)], cross_entropy, logits, Tensor([0, 1]))
    expect_error(ValueError, [(5, 4), (5, 1)], cross_entropy, logits, Tensor([[0], [1], [2], [3], [0]]))
    block = Tensor(np.zeros((2, 5, 4)))
    expect_error(ValueError, [(2, 5, 4), (2, 5)], cross_entropy, block, np.zeros((2, 5), int))
    expect_error(ValueError, (), cross_entropy, Tensor(1.0), Tensor(0))  # logits of shape ()
    # the number 9, position 2, 4 classes
    expect_error(IndexError, [9, 2, 4], cross_entropy, logits, Tensor([0, 1, 9, 7, 0]))
    expect_error(IndexError, [-1, 3, 4], cross_entropy, logits, Tensor([0, 2, 2, -1, 0]))
    expect_error(IndexError, [4, 3], cross_entropy, logits, Tensor([0, 2, 2, 4, 0]))
    print("🔬 cross_entropy, errors: passed")

test_unit_cross_entropy_errors()

# %% nbgrader={"grade": true, "grade_id": "test-cross_entropy-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: more rows in float64, sums over no rows, other numbers that are no class.
### BEGIN HIDDEN TESTS
scores, right = 8 * np.cos(np.arange(35.0)).reshape(7, 5), np.arange(7) * 3 % 5
shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
surprise = [-math.log(shares[row, column]) for row, column in enumerate(right)]
for word, expected in [("mean", np.mean(surprise)), ("sum", np.sum(surprise)), ("none", surprise)]:
    got = cross_entropy(Tensor(scores, dtype=np.float64), right, reduction=word)
    expect(got, expected, f"seven rows in float64, {word!r}", rtol=1e-12, atol=1e-13, dtype=np.float64)
expect(cross_entropy(Tensor([[0.0, -np.inf]]), Tensor([1])), math.inf, "a forbidden class that is the target")
expect(cross_entropy(Tensor(np.zeros((0, 3))), np.zeros(0, int), "sum"), 0, "the sum over no rows")
expect_error(IndexError, [7, 0, 3], cross_entropy, Tensor(np.zeros((1, 3))), Tensor([7]))
expect_error(IndexError, -3, cross_entropy, Tensor(np.zeros(3)), Tensor(-3))
expect_error(ValueError, [(3,), (1,)], cross_entropy, Tensor(np.zeros(3)), Tensor([1]))
### END HIDDEN TESTS

# %% [markdown]
r"""
The loss has a scale that you can read. It is measured in *nats*, and its exponential is a number of classes: a network with this loss is
as unsure as one that hesitates between so many equally likely ones. Ten equal logits must give 10:
"""

# %%
undecided = cross_entropy(Tensor(np.zeros((5, 10))), Tensor([0, 3, 3, 9, 1]))
print("loss", undecided.item(), "| log 10 =", math.log(10), "| exp(loss) =", undecided.exp().item())

# %% [markdown]
r"""
## One logit for yes or no

For a question with two answers one logit x is enough: the probability of *yes* is σ(x) = 1 / (1 + e⁻ˣ), and of *no* it is
1 − σ(x) = σ(−x). The negative logarithms are

$$-\log \sigma(x) = \log(1 + e^{-x}) \qquad\qquad -\log \sigma(-x) = \log(1 + e^{x})$$

so one function serves for both: $\mathrm{softplus}(x) = \log(1 + e^x)$, a ReLU with a rounded corner; softplus(0) = log 2 = 0.6931.

The formula breaks at both ends. $e^x$ overflows beyond 88. For x = −20, 1 + e⁻²⁰ rounds to 1 in float32, whose logarithm is 0,
while softplus(−20) is 2.0612·10⁻⁹: small, but a loss of exactly 0 would say that nothing is left to learn.

You know the cure for the first end. Read log(1 + eˣ) as log(e⁰ + eˣ), the log-sum-exp of two logits, 0 and x, and take the larger one
out. Under the logarithm 1 + t is left, with t between 0 and 1; work out t for x > 0 and for x < 0: |x| serves both. The cure
for the second end is `np.log1p(t)`, the logarithm of 1 + t without forming the sum.

**Write `softplus(x)`**, with the dtype `result_dtype(x, floating=True)`, for arrays of every shape. It is right to the last
digits for every x, softplus(∞) is ∞ and softplus(−∞) is 0, and NumPy has nothing to warn about: a branch that overflows and is
thrown away by `np.where` counts as well.
"""

# %% nbgrader={"grade": false, "grade_id": "softplus", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of 0 and x is the larger one, in one expression for both signs of x? That is what comes out of the logarithm.", "Take x = 5 and x = -5 by hand. After the larger one is taken out, one of the two exponentials is 1. What is the other, in both cases?", "The answer is a sum: the larger of x and zero, plus log1p of the exponential of minus the absolute value."], "minutes": 15, "objective": "logarithms"}
#| export
@Op
def softplus(x):
    """log(1 + exp(x)), entry by entry: finite for every finite x, precise for negative x.

    Its slope is sigmoid(x), smooth also at 0; as one operation it gets that rule in module 05.
    """
    ### BEGIN SOLUTION
    x = np.asarray(x, result_dtype(x, floating=True))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-softplus", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_softplus():
    cases = [
        (0.0, 0.69314718),
        (1.0, 1.3132617),
        (-1.0, 0.31326169),
        (89.0, 89.0),
        (1000.0, 1000.0),
        (-20.0, 2.0611537e-9),
        (-1000.0, 0.0),
        (math.inf, math.inf),
        (-math.inf, 0.0),
    ]
    for x, expected in cases:
        with no_warnings(f"softplus({x:g})"):
            got = softplus(Tensor([x]))
        expect(got, [expected], f"softplus({x:g})", rtol=1e-6, dtype=np.float32)
    got = softplus(Tensor([[0, 1], [-1, 2]]))
    expected = [[0.69314718, 1.3132617], [0.31326169, 2.126928]]
    expect(got, expected, "integers of shape (2, 2)", rtol=1e-6, dtype=np.float32)
    double = softplus(Tensor(20.0, dtype=np.float64))
    expect(double, 20.0000000020611537, "softplus(20) in float64, of shape ()", rtol=1e-14, dtype=np.float64)
    expect(softplus(Tensor(np.zeros((0, 2)))), np.zeros((0, 2)), "no entries")
    print("🔬 softplus: passed")

test_unit_softplus()

# %% nbgrader={"grade": true, "grade_id": "test-softplus-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: numbers from -700 to 700 in float64, and softplus(x) - softplus(-x) = x.
### BEGIN HIDDEN TESTS
line = np.concatenate([np.linspace(-700, 700, 29), np.linspace(-40, 40, 41)])
double = softplus(Tensor(line, dtype=np.float64)).numpy()
expect(double, np.logaddexp(0, line), "numbers from -700 to 700", rtol=1e-13, dtype=np.float64)
mirrored = softplus(Tensor(-line, dtype=np.float64)).numpy()
expect(double - mirrored, line, "softplus(x) - softplus(-x)", rtol=1e-13)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Binary cross-entropy from logits

With a target y of 1 for yes and 0 for no (or anything between, for a label that is itself uncertain), the loss of one entry weighs the
two negative logarithms of the last beat:

$$\ell = -y \,\log \sigma(x) - (1 - y)\, \log \sigma(-x)$$

For x = 2, y = 1 that is 0.1269, for x = −1, y = 0 it is 0.3133; the mean of the two is 0.2201.

Much can be simplified on paper, down to softplus(x) − x·y. Try that form at x = 20, y = 1 in float32: it computes 20 − 20 = 0, where
2.0612·10⁻⁹ is right. Subtracting two nearly equal numbers leaves nothing but their rounding errors (*cancellation*). So the question is
which of the forms that are equal on paper has only terms that are small where the loss is small.

**Write `binary_cross_entropy_with_logits(input, target, reduction="mean")`** in terms of `softplus`, with operations on Tensors, after the
same `check_shapes` as before. It is right to six digits at every logit. `input` is a Tensor, `target` a Tensor or an array, also of
integers or booleans.
"""

# %% nbgrader={"grade": false, "grade_id": "binary_cross_entropy_with_logits", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write each of the two logarithms of the loss as a softplus. Of which argument?", "Keep both terms apart, each weighed by its share of the target: for a target of exactly 1 the other term is multiplied by 0, and nothing is subtracted from anything large."], "minutes": 15, "objective": "yes-no"}
#| export
def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    """Binary cross-entropy of the probabilities sigmoid(input), from the logits, reduced.

    target: 0, 1 or between, of the same shape. reduction: "mean", "sum" or "none".
    Raises ValueError naming both shapes where they differ.
    """
    ### BEGIN SOLUTION
    check_shapes(input, target)
    return reduce(target * softplus(-input) + (1 - target) * softplus(input), reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-binary_cross_entropy_with_logits", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_binary_cross_entropy_with_logits():
    loss, logits, answers = binary_cross_entropy_with_logits, Tensor([2.0, -1.0]), Tensor([1.0, 0.0])
    expect(loss(logits, answers), 0.2200948, "logits [2, -1], targets [1, 0]", rtol=1e-6)
    expect(loss(logits, answers, reduction="sum"), 0.4401896, "reduction 'sum'", rtol=1e-6)
    expect(loss(logits, answers, reduction="none"), [0.1269280, 0.3132617], "reduction 'none'", rtol=1e-6)
    cases = [
        (0.0, 0.3, 0.69314718),
        (3.0, 0.25, 2.2985873),
        (1000.0, 1.0, 0.0),
        (1000.0, 0.0, 1000.0),
        (-1000.0, 1.0, 1000.0),
        (20.0, 1.0, 2.0611537e-9),
        (-20.0, 0.0, 2.0611537e-9),
    ]
    for x, y, expected in cases:
        expect(loss(Tensor([x]), Tensor([y])), expected, f"x = {x:g}, y = {y:g}", rtol=1e-6)
    for kind in (np.int64, np.float64, bool):
        got = loss(logits, np.array([1, 0], kind))
        expect(got, 0.2200948, f"targets in {np.dtype(kind)}", rtol=1e-6, dtype=np.float32)
    recorded = loss(Tensor([1.0], requires_grad=True), Tensor([1.0])).requires_grad
    expect(recorded, True, "computed with Tensors, a loss is recorded: requires_grad")
    expect_error(ValueError, [(2, 1), (2,)], loss, Tensor([[1.0], [2.0]]), answers)
    print("🔬 binary_cross_entropy_with_logits: passed")

test_unit_binary_cross_entropy_with_logits()

# %% nbgrader={"grade": true, "grade_id": "test-binary_cross_entropy_with_logits-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a table in float64 against the textbook's formula, integer target Tensors, another pair of shapes.
### BEGIN HIDDEN TESTS
grid, soft = np.linspace(-12, 12, 12).reshape(3, 4), np.linspace(0, 1, 12)[::-1].reshape(3, 4)
chance = 1 / (1 + np.exp(-grid))
textbook = -soft * np.log(chance) - (1 - soft) * np.log(1 - chance)
for word, expected in [("mean", textbook.mean()), ("none", textbook)]:
    pair = Tensor(grid, dtype=np.float64), Tensor(soft, dtype=np.float64)
    got = binary_cross_entropy_with_logits(*pair, word)
    expect(got, expected, f"a table in float64, {word!r}", rtol=1e-9, dtype=np.float64)
whole = binary_cross_entropy_with_logits(Tensor(grid), Tensor(soft.round().astype(int)))
expect(whole.dtype, np.float32, "the dtype for integer targets")
expect_error(ValueError, [(3, 4), (4,)], binary_cross_entropy_with_logits, Tensor(grid), Tensor(soft[0]))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Binary cross-entropy from probabilities

Sometimes only the probability p is there, because somebody applied the sigmoid already. Then

$$\ell = -y \log p - (1 - y) \log(1 - p)$$

For p = 0.9, y = 1 it is 0.1054, for p = 0.2, y = 0 it is 0.2231, and their mean 0.1643.

A p of exactly 0 is what float32 makes of every logit below −104. If y is 1 there, the loss is infinite, and so is the mean of the whole
batch. If y is 0 it should be 0, but 0 · (−∞) is nan. PyTorch's answer is to let **each logarithm be at least −100**. Then p = 0 costs
100 with y = 1, and 0 with y = 0.

It is one operation, and not composed of Tensor operations, because module 05 gives it a rule of its own that stays finite at p = 0.

**Write `bce_terms(p, y)`**, the loss of each entry, for two arrays of one shape, also `()` or without entries.

- The result has the dtype `result_dtype(p, y, floating=True)`. Convert both arrays first: NumPy makes float64 of float32 times int64.
- For a small p, log(1 − p) has the same weakness as log(1 + t) above, and the same remedy.
- Entries outside [0, 1], of `p` or of `y`, are a mistake (logits, or labels −1 and 1), and nan is one too: raise a `ValueError` that
  names one such entry and the interval `[0, 1]`.
- NumPy must not warn: a block with `np.errstate` keeps the logarithm of 0 quiet, as before.
"""

# %% nbgrader={"grade": false, "grade_id": "bce_terms", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Every comparison with nan is false. Is it safer to look for entries below 0 or above 1, or for those that are not inside?", "Two logarithms, of p and of 1 minus p, the second one by log1p of minus p. Each gets its floor before it is multiplied by anything, so that 0 times minus infinity never happens.", "First the dtype and both arrays in it, then the check of each, then minus y times the one bounded logarithm minus (1 minus y) times the other."], "minutes": 30, "objective": "yes-no"}
#| export
@Op
def bce_terms(p, y):
    """-y log p - (1 - y) log(1 - p), entry by entry, each logarithm at least -100.

    Raises ValueError for an entry outside [0, 1]. Its slope over p is taken as PyTorch's,
    (p - y) / max(p (1 - p), 1e-12), which is finite where p is 0 or 1.
    """
    ### BEGIN SOLUTION
    dtype = result_dtype(p, y, floating=True)
    p, y = np.asarray(p, dtype), np.asarray(y, dtype)
    for name, values in (("input", p), ("target", y)):
        outside = values[~((values >= 0) & (values <= 1))]
        if outside.size:
            message = f"{name} holds {outside[0]}, but probabilities lie in [0, 1]"
            raise ValueError(f"{message}; logits go to binary_cross_entropy_with_logits")
    with np.errstate(divide="ignore"):
        return (y - 1) * np.maximum(np.log1p(-p), -100) - y * np.maximum(np.log(p), -100)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-bce_terms", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_bce_terms():
    got = bce_terms(Tensor([0.9, 0.2]), Tensor([1.0, 0.0]))
    expect(got, [0.1053605, 0.2231436], "p = [0.9, 0.2], y = [1, 0]", rtol=1e-5, dtype=np.float32)
    cases = [
        (0.9, 0.0, 2.3025851),
        (0.5, 0.3, 0.69314718),
        (0.0, 1.0, 100.0),
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 100.0),
        (1.0, 1.0, 0.0),
        (1e-9, 0.0, 1e-9),
        (1e-9, 1.0, 20.723266),
    ]
    for p, y, expected in cases:
        with no_warnings(f"p = {p:g}, y = {y:g}"):
            got = bce_terms(Tensor([p]), Tensor([y]))
        expect(got, [expected], f"p = {p:g}, y = {y:g}", rtol=1e-5)
    print("🔬 bce_terms: passed")

test_unit_bce_terms()

# %% nbgrader={"grade": true, "grade_id": "test-bce_terms-arrays", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_bce_terms_arrays():
    got = bce_terms(Tensor([[0.9], [0.2]]), Tensor([[1], [0]]))
    expect(got, [[0.1053605], [0.2231436]], "float32 p with int64 y", rtol=1e-5, dtype=np.float32)
    double = Tensor([0.9, 0.2], dtype=np.float64)
    expect(bce_terms(double, Tensor([1, 0])).dtype, np.float64, "the dtype of float64 p with int64 y")
    expect(bce_terms(Tensor([0.9, 0.2]), double).dtype, np.float64, "the dtype of float32 p with float64 y")
    expect(bce_terms(Tensor([1, 0]), Tensor([1, 0])), [0, 0], "integers for both", dtype=np.float32)
    expect(bce_terms(Tensor(0.5), Tensor(1.0)), 0.6931472, "one probability, of shape ()", rtol=1e-5)
    expect(bce_terms(Tensor(np.zeros((0, 2))), Tensor(np.zeros((0, 2)))), np.zeros((0, 2)), "no entries")
    print("🔬 bce_terms, arrays: passed")

test_unit_bce_terms_arrays()

# %% nbgrader={"grade": true, "grade_id": "test-bce_terms-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_bce_terms_errors():
    expect_error(ValueError, [(0, 1), 1.5], bce_terms, Tensor([0.5, 1.5]), Tensor([1.0, 0.0]))
    expect_error(ValueError, [(0, 1), -0.25], bce_terms, Tensor([[0.5], [-0.25]]), Tensor([[1.0], [0.0]]))
    expect_error(ValueError, [(0, 1), "nan"], bce_terms, Tensor([math.nan]), Tensor([1.0]))
    expect_error(ValueError, [(0, 1), -1], bce_terms, Tensor([0.5, 0.5]), Tensor([1, -1]))
    print("🔬 bce_terms, errors: passed")

test_unit_bce_terms_errors()

# %% nbgrader={"grade": true, "grade_id": "test-bce_terms-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a table in float64 against the textbook's formula and the form from logits, another entry outside.
### BEGIN HIDDEN TESTS
odds = np.linspace(-15, 15, 12).reshape(2, 6)
chances, labels = 1 / (1 + np.exp(-odds)), np.tile([0.0, 0.5, 1.0], (2, 2))
textbook = -labels * np.log(chances) - (1 - labels) * np.log(1 - chances)
terms = bce_terms(Tensor(chances, dtype=np.float64), Tensor(labels, dtype=np.float64))
expect(terms, textbook, "a table in float64", rtol=1e-9, dtype=np.float64)
expect(terms, np.logaddexp(0, odds) - odds * labels, "the loss from the logits", rtol=1e-9, atol=1e-9)
expect_error(ValueError, [(0, 1), 2], bce_terms, Tensor([0.5, 2.0]), np.array([1, 1]))
### END HIDDEN TESTS

# %% [markdown]
r"""
What is left is to put PyTorch's names around it: the function that reduces, and a class for each loss, which is a Module that remembers
its reduction. So a loss can be chosen in one place and called in another. (The cell is folded.)
"""

# %% nbgrader={"grade": false, "grade_id": "provided-losses", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def binary_cross_entropy(input, target, reduction="mean"):
    """Binary cross-entropy of the probabilities `input`, reduced. target: 0, 1 or between, of the same shape.

    No entry costs more than 100. Raises ValueError naming both shapes where they differ, or an entry
    outside [0, 1].
    """
    check_shapes(input, target)
    return reduce(bce_terms(input, target), reduction)


class Loss(Module):
    """A loss as a Module: `loss(input, target)`. reduction: "mean", "sum" or "none"."""

    def __init__(self, reduction="mean"):
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """Squared error between two Tensors of the same shape."""

    def forward(self, input, target):
        return mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits (N, C) and integer targets (N,). A softmax before it is a mistake."""

    def forward(self, input, target):
        return cross_entropy(input, target, self.reduction)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities. BCEWithLogitsLoss is better: it keeps its digits."""

    def forward(self, input, target):
        return binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits."""

    def forward(self, input, target):
        return binary_cross_entropy_with_logits(input, target, self.reduction)

# %% [markdown]
r"""
The detour over the probability, once more, with an answer that is wrong and sure of it. The true loss is the size of the logit:
"""

# %%
wrong_and_sure = Tensor([5.0, 50.0, 500.0])
no = Tensor([0.0, 0.0, 0.0])
probability = 1 / (1 + (-wrong_and_sure).exp())
print(BCELoss("none"), "      ", BCELoss("none")(probability, no))
print(BCEWithLogitsLoss("none"), BCEWithLogitsLoss("none")(wrong_and_sure, no))

# %% [markdown]
r"""
## Accuracy

The loss is what a network learns from; the share of right answers is what people ask for. The answer is the class with the largest
logit, and of equal logits the first, which is the one that `argmax` gives.

    logits     [[2, 1, 0],     → class 0      target 0   right
                [0, 1, 2],     → class 2      target 1   wrong
                [1, 3, 2]]     → class 1      target 1   right        accuracy 2/3

**Write `accuracy(logits, targets)`**: a Python `float`, exactly 2/3 here, because it is to be printed and compared, and nothing is learned
from it. Both may be Tensors or arrays. The classes lie along the last axis, and `targets` has the shape of `logits` without it, whatever
the number of axes: (N,) beside (N, C), also () beside (C,) or (2, 3) beside (2, 3, C). Otherwise raise a `ValueError` that names both
shapes. Over no rows the accuracy is `math.nan`.
"""

# %% nbgrader={"grade": false, "grade_id": "accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Along which axis does the place of the largest logit lie, however many axes there are?", "Make arrays of both, compare the shapes, treat no rows first, and then divide a count of right answers by the number of targets. The mean of a float32 Tensor would have too few digits."], "minutes": 12, "objective": "classes"}
#| export
def accuracy(logits, targets):
    """The share of right answers, a float: rows of `logits` (…, C) whose largest entry is at their target.

    targets: integers, of the shape of `logits` without its last axis. nan over no rows.
    Raises ValueError naming both shapes where they do not fit.
    """
    ### BEGIN SOLUTION
    logits, targets = np.asarray(logits), np.asarray(targets)
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {logits.shape} with {targets.shape}")
    if targets.size == 0:
        return math.nan
    return int(np.count_nonzero(logits.argmax(axis=-1) == targets)) / targets.size
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-accuracy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_accuracy():
    logits = Tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 3.0, 2.0]])
    got = accuracy(logits, Tensor([0, 1, 1]))
    expect(type(got), float, "the class of what comes back")
    expect(got, 2 / 3, "the three rows above")
    for targets, expected in [([0, 2, 1], 1.0), ([1, 0, 2], 0.0)]:
        expect(accuracy(logits, np.array(targets, np.uint8)), expected, f"targets {targets} in a uint8 array")
    two = Tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    expect(accuracy(two, Tensor([1, 1, 1])), 2 / 3, "3 rows of 2 classes")
    equal = Tensor([[5.0, 5.0], [1.0, 1.0]])
    expect(accuracy(equal, Tensor([0, 0])), 1.0, "equal logits, of which the first counts")
    expect(accuracy(Tensor([0.0, 5.0]), Tensor(1)), 1.0, "one row (2,) with a target ()")
    block = Tensor([[[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]])
    expect(accuracy(block, Tensor([[0, 1]])), 0.5, "logits (1, 2, 3) with targets (1, 2)")
    expect(accuracy(Tensor(np.zeros((0, 4))), np.zeros(0, int)), math.nan, "no rows")
    expect_error(ValueError, [(3, 3), (3, 1)], accuracy, logits, Tensor([[0], [1], [1]]))
    expect_error(ValueError, [(3, 3), (2,)], accuracy, logits, Tensor([0, 1]))
    print("🔬 accuracy: passed")

test_unit_accuracy()

# %% nbgrader={"grade": true, "grade_id": "test-accuracy-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: many rows as an array and as a Tensor, a table of positions, more rows with equal logits.
### BEGIN HIDDEN TESTS
crowd, said = np.sin(np.arange(700.0)).reshape(100, 7), np.arange(100) % 7
best = [max(range(7), key=row.__getitem__) for row in crowd.tolist()]
right = sum(guess == target for guess, target in zip(best, said.tolist(), strict=True)) / 100
expect(accuracy(crowd, said), right, "100 rows as an array")
expect(accuracy(Tensor(crowd), Tensor(said)), right, "100 rows as a Tensor")
expect(accuracy(crowd.reshape(4, 25, 7), said.reshape(4, 25)), right, "100 rows as a table of (4, 25)")
expect(accuracy(Tensor([[1.0, 1.0]] * 4), Tensor([0, 0, 1, 0])), 0.75, "of equal logits the first counts")
### END HIDDEN TESTS

# %% [markdown]
r"""
Why not train on the accuracy itself? Move one logit a little and look at both numbers:
"""

# %%
for logit in (0.90, 0.95, 1.00, 1.05, 1.10):
    row, target = Tensor([[logit, 1.0]]), Tensor([0])
    loss = cross_entropy(row, target).item()
    print(f"logit {logit:.2f}   accuracy {accuracy(row, target):.0f}   cross-entropy {loss:.4f}")

# %% [markdown]
r"""
The accuracy stands still, jumps, and stands still again: almost everywhere its slope is 0. The cross-entropy answers to every step.
"""

# %% [markdown]
r"""
## Put together: judging a classifier

One linear layer, five inputs, three classes. PyTorch 2.13 gives the numbers in the test, first for the logits as they are, then for logits a
thousand times as large. Judged as three yes-or-no questions for each input, it is the same network with another loss.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    layer = Linear(4, 3)
    layer.weight.data[...] = np.cos(np.arange(12)).reshape(3, 4)
    layer.bias.data[...] = [0.1, 0.0, -0.1]
    logits = layer(Tensor(np.sin(np.arange(20)).reshape(5, 4)))
    target = Tensor([0, 2, 1, 2, 0])
    questions = np.eye(3)[target.numpy()]

    expect(accuracy(logits, target), 0.2, "accuracy: one of five is right")
    each = CrossEntropyLoss("none")(logits, target)
    expect(each, [1.492594, 0.451033, 4.411912, 3.225826, 2.218143], "cross-entropy of each row", atol=1e-4)
    expect(each.requires_grad, True, "the parameters want a gradient, so the loss is recorded: requires_grad")
    expect(CrossEntropyLoss()(logits, target), 2.359910, "CrossEntropyLoss", rtol=1e-5, dtype=np.float32)
    expect(MSELoss()(logits, questions), 2.513299, "MSELoss", rtol=1e-5, dtype=np.float32)
    expect(BCEWithLogitsLoss()(logits, questions), 1.050145, "BCEWithLogitsLoss", rtol=1e-5, dtype=np.float32)
    probability = 1 / (1 + (-logits).exp())
    expect(BCELoss()(probability, questions), 1.050145, "BCELoss of the probabilities", rtol=1e-5)
    large = 1000 * logits
    expect(CrossEntropyLoss()(large, target), 2130.459, "CrossEntropyLoss, logits times 1000", rtol=1e-5)
    expect(BCEWithLogitsLoss()(large, questions), 742.5681, "BCEWithLogitsLoss, logits times 1000", rtol=1e-5)
    print("🧪 module 04, a classifier and its losses: passed")

test_module()

# %% [markdown]
r"""
## Measure: where the formulas break

Naive and stable ways to the same two losses, in float32, compared with float64. On the left the network is sure and *wrong*: a gap of g
between two logits, and the loss of the loser, which is about g. On the right it is sure and *right*: the loss is about e⁻ˣ.

**Predict:** from which gap on does each line on the left give `inf` or `nan`? From which x on is a line on the right exactly 0? Which
of these failures would you notice during training?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds

BEYOND = 1e3  # where inf and nan are drawn


def draw_errors(axes, at, truth, losses):
    """Draw the relative error of float32 losses over the logit, and say where they are 0, inf or nan."""
    for (label, loss), style in zip(losses.items(), (":", "--", "-")[-len(losses) :], strict=True):
        error = np.abs(loss.astype(np.float64) - truth) / truth
        drawn = np.where(np.isfinite(error), error, BEYOND).clip(1e-9)
        axes.semilogy(at, drawn, "-" if label in ("log_softmax", "softplus(−x)") else style, label=label)
        words = f"largest relative error {error[np.isfinite(error)].max():.0e}"
        for what, places in [("0", loss == 0), ("inf or nan", ~np.isfinite(loss))]:
            words += f", {what} from {at[places][0]:.1f} on" if places.any() else ""
        print(f"📊 {label}: {words}")
    axes.legend(loc="upper left", fontsize="small")

# %% tags=["measure"]
def analyze_overflow():
    """Naive and stable losses in float32, beside float64."""
    gaps = np.unique(np.append(np.geomspace(1, 1000, 70), np.arange(80, 120, 0.5)))
    sure = np.arange(0.5, 80, 0.5)
    pairs, x = np.stack([gaps, 0 * gaps], axis=1).astype(np.float32), sure.astype(np.float32)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
    with np.errstate(all="ignore"):
        powers, shifted = np.exp(pairs), np.exp(pairs - pairs.max(axis=1, keepdims=True))
        wrong = {
            "log(softmax), as it stands": -np.log(powers[:, 1] / powers.sum(axis=1)),
            "log(softmax), softmax stable": -np.log(shifted[:, 1] / shifted.sum(axis=1)),
            "log_softmax": -log_softmax(Tensor(pairs), axis=1).numpy()[:, 1],
        }
        naive = -np.log(1 / (1 + np.exp(-x)))
    draw_errors(axes[0], gaps, np.logaddexp(0, gaps), wrong)
    right = {"−log(sigmoid), as it stands": naive, "softplus(−x)": softplus(Tensor(-x)).numpy()}
    draw_errors(axes[1], sure, np.log1p(np.exp(-sure)), right)
    axes[0].set(xscale="log", xlabel="gap between the logits", title="Sure and wrong", ylim=(5e-10, 1e7))
    axes[0].set_ylabel("relative error of the loss")
    ticks = [1e-8, 1e-6, 1e-4, 1e-2, 1, BEYOND]
    axes[0].set_yticks(ticks, ["1e-8", "1e-6", "1e-4", "1e-2", "1", "inf, nan"], minor=False)
    axes[1].set(xlabel="logit x", title="Sure and right")
    plt.show()


analyze_overflow()

# %% [markdown]
r"""
The largest float32 is e⁸⁸·⁷, and e⁻¹⁰⁴ is less than half of the smallest one. From there on the exponential is infinite, or the
probability 0 and its logarithm −∞; the printed numbers are the next ones on a grid of halves. You would notice both, as a loss of
`inf` or `nan`.

On the right nothing alarms you. The naive line creeps away from x = 2 on: 1 + e⁻ˣ has 24 bits, and ever fewer of them are about e⁻ˣ.
Beyond x ≈ 17 none is: the sum is 1, the loss 0 and the error 100 %. These inputs have stopped teaching, and no message says so.

## Measure: the first loss

Before the first step a network knows nothing, so for ten classes it should be undecided between ten: a loss near log 10 = 2.303. If
the first loss that you see is far away, something is wrong, and no training has been wasted yet to find out.

**Predict:** the last layer's weights are multiplied by s. For small s all logits are near 0. What is the loss at s = 100, roughly? And
the accuracy?
"""

# %% tags=["measure"]
def analyze_first_loss():
    """Cross-entropy of an untrained network on random classes, over the scale of its last layer."""
    body, head = Sequential(Linear(64, 128), ReLU()), Linear(128, 10)
    generator = np.random.default_rng(0)
    x, target = Tensor(generator.standard_normal((2000, 64))), Tensor(generator.integers(0, 10, 2000))
    logits = head(body(x)).detach()
    scales = [0.01, 0.1, 1, 3, 10, 30, 100]
    losses = [cross_entropy(scale * logits, target).item() for scale in scales]
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.loglog(scales, losses, "o-", label="measured")
    axes.axhline(math.log(10), linestyle="--", color="0.5", label="log 10 = 2.303")
    axes.set(xlabel="logits multiplied by", ylabel="cross-entropy (nats)")
    axes.set_yticks([2, 5, 10, 20, 50], [2, 5, 10, 20, 50])
    axes.minorticks_off()
    axes.legend()
    plt.show()
    words = [f"{loss:.2f} at ×{scale:g}" for scale, loss in zip(scales, losses, strict=True)]
    print("📊 loss:", ", ".join(words))
    spread, right = logits.numpy().std(), accuracy(logits, target)
    print(f"   logits with a standard deviation of {spread:.2f} at ×1; accuracy {right:.3f} at every scale")


analyze_first_loss()

# %% [markdown]
r"""
With the layer's own initialisation the loss is log 10 and a little more: a network that slightly prefers one class, at random, pays a
little. One that is sure of a class, at random, is wrong nine times in ten and pays about as much as its logits are large. The accuracy
sees nothing of it: it is about one in ten throughout.

## Measure: one-hot or indexing

**Predict:** for 256 rows and 10,000 classes, how many bytes are allocated at most while one entry per row is picked by a float32
one-hot table, and how many by indexing? How many times as long does the table take, at 10 classes and at 10,000?
"""

# %% tags=["measure"]
import tracemalloc


def pick_by_table(values, target):
    table = np.zeros(values.shape, np.float32)
    table[np.arange(256), target] = 1
    return (values * table).sum(axis=1)


def pick_by_index(values, target):
    return values[np.arange(256), target]


def analyze_picking():
    """Time and memory of picking one entry in each of 256 rows, by a one-hot table and by indexing."""
    sizes, styles = [10, 100, 1000, 10_000], {pick_by_table: "s--", pick_by_index: "o-"}
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    seconds, peaks = {}, {}
    for pick, style in styles.items():
        seconds[pick] = []
        for classes in sizes:
            values = np.ones((256, classes), np.float32)
            target = np.random.default_rng(0).integers(0, classes, 256)
            seconds[pick].append(best_seconds(lambda: pick(values, target)))  # noqa: B023 - called at once
        tracemalloc.start()
        pick(values, target)
        peaks[pick] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        axes.loglog(sizes, np.array(seconds[pick]) * 1e6, style, label=pick.__name__)
    axes.set(xlabel="classes", ylabel="microseconds for 256 rows", title="Picking one entry of each row")
    axes.legend()
    plt.show()
    for place in (0, -1):
        times = seconds[pick_by_table][place] / seconds[pick_by_index][place]
        print(f"📊 {sizes[place]:,} classes: the table takes {times:,.0f} times as long as indexing")
    most = [f"{peaks[pick]:,} bytes" for pick in styles]
    print(f"   at {sizes[-1]:,} classes it allocates {most[0]}, indexing {most[1]}")


analyze_picking()

# %% [markdown]
r"""
The table takes 256 · 10,000 · 4 = 10,240,000 bytes, its product with the logarithms as many again, and all but 256 of the products are
0. Indexing touches 256 numbers, however many classes there are, and makes an array of 1 KiB and one of row numbers. Language models
choose between some 50,000 classes at every position.

## Measure: one softmax too many

A classmate's network ends with a Softmax layer, and its output goes into `CrossEntropyLoss`. Nothing crashes. Below, the right one of
ten classes is ahead of the others by a growing gap, as in a network that learns: its loss as it should be, and with the extra softmax.

**Predict:** both columns start at log 10. Where does each end?
"""

# %% tags=["measure"]
def analyze_softmax_twice():
    """The loss of ten classes over the lead of the right one, from logits, and from their softmax."""
    print("📊  lead   loss of the logits   loss with a softmax before it")
    for gap in (0, 1, 2, 5, 10, 20, 40):
        logits, target = Tensor([[float(gap)] + [0.0] * 9]), Tensor([0])
        once, twice = cross_entropy(logits, target), cross_entropy(softmax(logits), target)
        print(f"{gap:>7} {once.item():>20.6f} {twice.item():>31.6f}")


analyze_softmax_twice()

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-softmax-twice", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Written question: the softmax that was too many

Use the table above. (a) What is the smallest loss that the right column reaches on your machine? Derive it: which numbers does
`CrossEntropyLoss` get there, and what is its loss of them? (b) The loss tells a network how much better it could be. What do the two
columns say about the difference between a lead of 5 and one of 20? Name the four numbers. (c) What has to change in the network, and
what where it is *used* to show a person probabilities?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-softmax-twice", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 1.461: the loss gets [1, 0, …, 0] for logits, the largest lead that probabilities can have, and −log(e / (e + 9)) = 1.461, 1 point.
(b) The left column falls from 0.0589 to 0.000000 (2·10⁻⁸), the right one from 1.510 to 1.461: a floor that looks like a large loss, and hardly a difference
between a good answer and a nearly certain one, 1 point. (c) Remove the layer; the class is the argmax of the logits all the same; apply softmax
only where probabilities are shown, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Every function here ends in one number of shape (). Module 05 starts from that number and goes back through everything that made it, to
find for each parameter which way is down. Next: `tito module complete 04_losses`.
"""
