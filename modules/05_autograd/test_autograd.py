"""The public behaviour of tinytorch.core.autograd: every gradient, and the walk that finds them."""

import gc
import importlib
import math
import os
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch.core import autograd
from tinytorch.core.activations import GELU, ReLU, Sigmoid, Softmax, Tanh
from tinytorch.core.autograd import gradcheck, no_grad, numeric_gradient, topological_order, unbroadcast
from tinytorch.core.layers import Linear, Sequential, linear
from tinytorch.core.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, log_softmax, softplus
from tinytorch.core.tensor import Op, Tensor, add, concatenate, manual_seed, maximum, minimum, stack, where
from tinytorch.notebook import expect, expect_error


@pytest.fixture(autouse=True)
def recording_as_before():
    """What one test leaves switched off must not reach the next."""
    assert Op.recording
    yield
    Op.recording = True


@pytest.fixture
def no_collector():
    """Without the garbage collector, only reference counts free anything: a cycle would stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(values, dtype=np.float64):
    return Tensor(values, requires_grad=True, dtype=dtype)


def drawn(shape, seed, low=0.5, high=2.0, layout="dense"):
    """A float64 array; "transposed" and "strided" ones do not lie row after row in memory."""
    generator = np.random.default_rng(seed)
    if layout == "transposed":
        return generator.uniform(low, high, shape[::-1]).T
    if layout == "strided":
        return generator.uniform(low, high, tuple(2 * size for size in shape))[tuple(slice(1, None, 2) for _ in shape)]
    return generator.uniform(low, high, shape)


def slopes(function, arrays, i, weights, step=1e-6):
    """Central differences of Σ weights · function(arrays) for every entry of array number i."""
    result = np.zeros(arrays[i].size)
    for place in range(arrays[i].size):
        totals = []
        for sign in (step, -step):
            moved = arrays[i].flatten()
            moved[place] += sign
            tensors = [Tensor(x, dtype=np.float64) for x in arrays]
            tensors[i] = Tensor(moved.reshape(arrays[i].shape), dtype=np.float64)
            totals.append(np.sum(function(*tensors).numpy() * weights))
        result[place] = (totals[0] - totals[1]) / (2 * step)
    return result.reshape(arrays[i].shape)


def check(function, *arrays, what=""):
    """Compare the gradients of `function` for all arrays with central differences; returns the graph's operations."""
    leaves = [leaf(x) for x in arrays]
    out = function(*leaves)
    weights = np.random.default_rng(99).standard_normal(out.shape)
    names = {tensor.node.op.__name__ for tensor in topological_order(out) if tensor.node}
    out.backward(weights)
    for i, (x, array) in enumerate(zip(leaves, arrays, strict=True)):
        expected = slopes(function, [np.array(a) for a in arrays], i, weights)
        got = np.zeros(array.shape) if x.grad is None else x.grad
        expect(got, expected, f"{what}: the gradient for input {i}, of shape {array.shape}", rtol=1e-5, atol=1e-6)
    return names


ROWS, COLUMNS = np.array([0, -1, 0, 0]), np.array([1, 1, -2, 1])

# (what, a function of Tensors, the shapes of its inputs); all inputs lie between 0.5 and 2
CASES = [
    ("a + b", lambda a, b: a + b, [(2, 3), (2, 3)]),
    ("a - b", lambda a, b: a - b, [(2, 3), (2, 3)]),
    ("a * b", lambda a, b: a * b, [(2, 3), (2, 3)]),
    ("a / b", lambda a, b: a / b, [(2, 3), (2, 3)]),
    ("a ** b", lambda a, b: a**b, [(2, 3), (2, 3)]),
    ("numbers on either side", lambda a: (2 - a * 3.0) / 4 + 5 / (1 + a) - 2**a + a**3 - a**-1.5 + a**0, [(2, 3)]),
    ("-a", lambda a: -a, [(4,)]),
    ("abs", lambda a: (a - 1.2).abs(), [(4,)]),
    ("exp", lambda a: a.exp(), [(2, 2)]),
    ("log", lambda a: a.log(), [(2, 2)]),
    ("sqrt", lambda a: a.sqrt(), [(2, 2)]),
    ("maximum", lambda a, b: maximum(a, b), [(3, 4), (4,)]),
    ("minimum", lambda a, b: minimum(a, 1.1) + minimum(a, b), [(3, 4), (3, 1)]),
    ("clip", lambda a: a.clip(0.9, 1.4) + a.clip(min=1) + a.clip(max=1), [(3, 4)]),
    ("where", lambda a, b: where(a > 1, a * b, b), [(3, 4), (1, 4)]),
    ("astype", lambda a: a.astype(np.float64) * 2, [(3,)]),
    ("sum", lambda a: a.sum(), [(2, 3)]),
    ("sum over an axis", lambda a: a.sum(axis=1) * 2, [(2, 3)]),
    ("sum over several axes", lambda a: a.sum(axis=(-1, 0), keepdims=True), [(2, 3, 4)]),
    ("mean", lambda a: a.mean(), [(2, 3)]),
    ("mean over an axis", lambda a: a.mean(axis=-2), [(2, 3, 4)]),
    ("mean over several axes", lambda a: a - a.mean(axis=(0, 2), keepdims=True), [(2, 3, 4)]),
    ("variance", lambda a: a.var(axis=1) + a.var(), [(3, 4)]),
    ("max", lambda a: a.max() * a.max(axis=0, keepdims=True), [(3, 4)]),
    ("max over several axes", lambda a: a.max(axis=(0, -1)), [(2, 3, 4)]),
    ("min", lambda a: a.min(axis=1) + a.min(), [(3, 4)]),
    ("matrix @ matrix", lambda a, b: a @ b, [(2, 3), (3, 4)]),
    ("row @ matrix", lambda a, b: a @ b, [(3,), (3, 4)]),
    ("matrix @ column", lambda a, b: a @ b, [(2, 3), (3,)]),
    ("row @ column", lambda a, b: a @ b, [(3,), (3,)]),
    ("batch @ batch", lambda a, b: a @ b, [(2, 2, 3), (2, 3, 2)]),
    ("batches that broadcast", lambda a, b: a @ b, [(2, 1, 2, 3), (3, 3, 2)]),
    ("row @ batch", lambda a, b: a @ b, [(3,), (2, 3, 2)]),
    ("batch @ column", lambda a, b: a @ b, [(2, 2, 3), (3,)]),
    ("1 × 1 matrices", lambda a, b: a @ b, [(1, 1), (1,)]),
    ("linear", lambda x, w, b: linear(x, w, b) * linear(x, w) * linear(x, w, None), [(2, 4, 3), (2, 3), (2,)]),
    ("linear of a row", lambda x, w, b: linear(x, w, b), [(3,), (2, 3), (2,)]),
    ("reshape", lambda a: a.reshape(3, -1) * a.flatten().unsqueeze(0).squeeze(0)[:2], [(2, 3)]),
    ("permute", lambda a: a.permute(2, 0, 1) + a.permute(-1, 0, 1).exp(), [(2, 3, 4)]),
    ("transpose", lambda a: a.transpose(0, -1) @ a[0].T, [(2, 3, 2)]),
    ("T", lambda a: a.T @ a, [(2, 3)]),
    ("integers and slices", lambda a: a[1, ::-1] * a[-1] + a[..., 1:, 0][:2], [(3, 2, 2)]),
    ("repeated and negative places", lambda a: a[ROWS] * a[ROWS, COLUMNS].unsqueeze(1), [(3, 3)]),
    ("places along a later axis", lambda a: a[:, COLUMNS, None], [(2, 3)]),
    ("a mask", lambda a: a[a > 1] + a[0, np.arange(3) > 1], [(2, 3)]),
    ("Tensors as places", lambda a: a[Tensor(ROWS), Tensor(COLUMNS)], [(3, 3)]),
    ("concatenate", lambda a, b: concatenate([a, b, a], axis=-1).exp(), [(2, 1), (2, 3)]),
    ("stack", lambda a, b: stack([a, b], axis=1) ** 2, [(2, 3), (2, 3)]),
    ("relu", lambda a: ReLU()(a - 1.2), [(3, 4)]),
    ("tanh", lambda a: Tanh()(a), [(3, 4)]),
    ("sigmoid", lambda a: Sigmoid()(a - 1), [(3, 4)]),
    ("softmax", lambda a: Softmax(dim=0)(a), [(3, 4)]),
    ("GELU", lambda a: GELU()(a - 1) + GELU(approximate="tanh")(a - 1), [(3, 4)]),
    ("log_softmax", lambda a: log_softmax(a, axis=1) + log_softmax(a, axis=-2), [(3, 4)]),
    ("softplus", lambda a: softplus(a - 1), [(3, 4)]),
    ("MSELoss", lambda a, b: MSELoss()(a, b), [(3, 4), (3, 4)]),
    ("CrossEntropyLoss", lambda a: CrossEntropyLoss()(a, np.array([2, 0, 2])), [(3, 4)]),
    ("BCELoss", lambda a, b: BCELoss()(a / 3, b / 4), [(3, 4), (3, 4)]),
    ("BCEWithLogitsLoss", lambda a, b: BCEWithLogitsLoss()(a - 1, b / 2), [(3, 4), (3, 4)]),
    ("one Tensor in four places", lambda a: (a * a + a) / a.sum() - a, [(3,)]),
    ("two ways of different length", lambda a, b: a * b + (a * b).exp() * a, [(3,), (1,)]),
]
every_case = pytest.mark.parametrize(("what", "function", "shapes"), CASES, ids=[case[0] for case in CASES])


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("layout", ["dense", "transposed", "strided"])
@every_case
def test_gradients_equal_differences(what, function, shapes, layout):
    arrays = [drawn(shape, seed, layout=layout) for seed, shape in enumerate(shapes)]
    check(function, *arrays, what=what)


def test_every_rule_is_reached_by_a_case():
    reached = set()
    for what, function, shapes in CASES:
        reached |= check(function, *(drawn(shape, seed) for seed, shape in enumerate(shapes)), what=what)
    for name in ("tensor", "activations", "layers", "losses"):
        for value in vars(importlib.import_module(f"tinytorch.core.{name}")).values():
            if isinstance(value, Op) and value.rule is not None:
                assert value.__name__ in reached, f"{value} has a rule that no case of this file uses"


@every_case
def test_float32_stays_float32_and_gradients_are_arrays_of_their_own(what, function, shapes):
    leaves = [leaf(drawn(shape, seed), np.float32) for seed, shape in enumerate(shapes)]
    out = function(*leaves)
    if what != "astype":
        expect(out.dtype, np.float32, f"{what}: the dtype of the output")
    start = np.ones(out.shape, out.dtype)
    out.backward(start)
    for i, x in enumerate(leaves):
        expect(x.grad.dtype, np.float32, f"{what}: the dtype of the gradient for input {i}")
        expect(x.grad.shape, x.shape, f"{what}: the shape of the gradient for input {i}")
        assert x.grad.flags.writeable and x.grad.flags.owndata, f"{what}: gradient {i} is no array of its own"
        others = (start, out.numpy(), x.numpy(), *(other.grad for other in leaves if other is not x))
        shared = any(np.shares_memory(x.grad, other) for other in others)
        assert not shared, f"{what}: the gradient for input {i} lies in memory that something else uses"
    expect(start, np.ones(out.shape), f"{what}: the array that was given to backward, afterwards")


def test_broadcasting_both_ways_over_drawn_shapes():
    generator = np.random.default_rng(5)
    for trial in range(25):
        common = generator.choice([0, 1, 2, 3], size=generator.integers(0, 4))
        shapes = []
        for _ in range(2):
            kept = common[generator.integers(0, len(common) + 1) :]
            shapes.append(tuple(int(1 if generator.random() < 0.4 else size) for size in kept))
        arrays = [drawn(shape, trial) for shape in shapes]
        for name, function in [("-", lambda a, b: a - b), ("/", lambda a, b: a / b), ("max", maximum)]:
            check(function, arrays[0], arrays[1] + 0.25, what=f"{shapes[0]} {name} {shapes[1]}")


def test_unbroadcast_is_the_transpose_of_broadcasting():
    """⟨broadcast(x), g⟩ = ⟨x, unbroadcast(g)⟩ for every x and g."""
    for small, large in [((), (2, 3)), ((1,), (0,)), ((3, 1), (2, 3, 4)), ((1, 3, 1), (5, 3, 2)), ((2, 3), (2, 3))]:
        x, g = drawn(small, 1), drawn(large, 2)
        back = unbroadcast(g, small)
        expect(np.shape(back), small, f"unbroadcast from {large} to {small}: the shape")
        product = (np.broadcast_to(x, large) * g).sum()
        expect((x * back).sum(), product, f"unbroadcast from {large} to {small}, times x", rtol=1e-9, atol=1e-12)


ON_EMPTY = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "sum over an axis": lambda x: x.sum(axis=0),
    "mean over an axis": lambda x: x.mean(axis=-1),
    "product": lambda x: x * x + x * 2,
    "reshape": lambda x: x.reshape(x.shape[::-1]),
    "T": lambda x: x.T,
    "slice": lambda x: x[:1],
    "places": lambda x: x[np.array([], np.int64)],
    "concatenate": lambda x: concatenate([x, x]),
    "matrix product": lambda x: x @ np.ones((x.shape[-1], 2)),
}


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 1)])
@pytest.mark.parametrize("what", ON_EMPTY)
def test_empty_tensors(what, shape):
    x = leaf(np.zeros(shape))
    out = ON_EMPTY[what](x)
    out.backward(np.ones(out.shape))
    expect(x.grad.shape, shape, f"{what} of a Tensor of shape {shape}: the shape of the gradient")


def test_what_an_empty_batch_was_multiplied_with():
    row, matrix, batch = leaf(np.ones((1, 3))), leaf(np.ones((3, 2))), Tensor(np.ones((0, 3)))
    ((batch * row) @ matrix).sum().backward()
    expect(row.grad, [[0] * 3], "a row that an empty batch was multiplied with")
    expect(matrix.grad, [[0] * 2] * 3, "a matrix that an empty batch was multiplied with")


EDGES = [
    ("relu at 0", lambda x: ReLU()(x), [-1.0, 0.0, 1.0], [0, 0, 1]),
    ("relu where the gradient is infinite", lambda x: ReLU()(x).log(), [-1.0, 2.0], [0, 0.5]),
    ("abs at 0", lambda x: x.abs(), [-2.0, 0.0, 2.0], [-1, 0, 1]),
    ("x ** 0 and x ** 2 at 0", lambda x: x**0 + x**2, [0.0], [0]),
    ("x ** [0, 1, 2] at 0", lambda x: x ** Tensor([0.0, 1.0, 2.0]), [0.0, 0.0, 0.0], [0, 1, 0]),
    ("0 ** x", lambda x: 0**x, [0.0, 2.0], [0, 0]),
    ("sqrt at 0", lambda x: x.sqrt(), [0.0, 4.0], [math.inf, 0.25]),
    ("log at 0", lambda x: x.log(), [0.0], [math.inf]),
    ("log of a clipped 0", lambda x: x.clip(1e-6, None).log(), [0.0, 0.5], [0, 2]),
    ("clip at its bounds", lambda x: x.clip(-1, 1), [-2.0, -1.0, 1.0, 2.0], [0, 1, 1, 0]),
    ("where shields a branch", lambda x: where(x > 0, x, -x), [-3.0, 3.0], [-1, 1]),
    ("maximum of equals", lambda x: maximum(x, 1), [0.0, 1.0, 2.0], [0, 0.5, 1]),
    ("minimum of equals", lambda x: minimum(x, x), [3.0], [1]),
    ("maximum with nan", lambda x: maximum(x, Tensor([1.0, math.nan])), [math.nan, 1.0], [1, 1]),
    ("max of equals", lambda x: x.max(), [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
    ("min of infinities", lambda x: x.min(), [-math.inf, 2.0, -math.inf], [0.5, 0, 0.5]),
    ("sigmoid far out", lambda x: Sigmoid()(x), [-1000.0, 0.0, 1000.0], [0, 0.25, 0]),
    ("tanh far out", lambda x: Tanh()(x), [-1000.0, 0.0, 1000.0], [0, 1, 0]),
    ("GELU far out", lambda x: GELU()(x), [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
    ("GELU by tanh far out", lambda x: GELU(approximate="tanh")(x), [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
    ("softplus far out", lambda x: softplus(x), [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
    ("log_softmax far apart", lambda x: log_softmax(x, axis=0)[1], [1000.0, -1000.0], [-1, 1]),
    ("cross-entropy, sure and wrong", lambda x: CrossEntropyLoss()(x[None], np.array([1])), [500.0, -500.0], [1, -1]),
    ("BCE with logits", lambda x: BCEWithLogitsLoss()(x, Tensor([0.0, 1.0])), [1000.0, -1000.0], [0.5, -0.5]),
    ("BCE at the bounds, right", lambda x: BCELoss(reduction="sum")(x, Tensor([0.0, 1.0])), [0.0, 1.0], [0, 0]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("what", "function", "values", "expected"), EDGES, ids=[edge[0] for edge in EDGES])
def test_edges(what, function, values, expected, dtype):
    x = leaf(values, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = function(x)
        warnings.simplefilter("error")
        out.backward(np.ones(out.shape))
    expect(x.grad, expected, f"{what}, x = {values}", rtol=1e-6, atol=1e-7)


def test_where_nothing_is_floating_there_is_no_gradient():
    x, counts = leaf([1.0, 2.0]), Tensor([3, 4])
    (x * counts + np.array([1, 2]) + 5).sum().backward()
    expect(x.grad, [3, 4], "x · counts: the gradient for x")
    expect(counts.grad, None, "x · counts: the gradient for the integers")
    expect((x > 1).requires_grad, False, "whether a comparison requires a gradient")
    expect(x.argmax().requires_grad, False, "whether an argmax requires a gradient")


# ---------------------------------------------------------------- accumulation


def test_losses_add_up_until_the_gradient_is_cleared():
    x = leaf([1.0, -2.0])
    (x * 3).sum().backward()
    (x * x).sum().backward()
    expect(x.grad, [3 + 2, 3 - 4], "3·x and then x² at [1, -2]")
    x.grad = None
    (x * x).sum().backward()
    expect(x.grad, [2, -4], "x² at [1, -2], after grad = None")


def test_the_gradient_of_a_number_is_an_array_also_after_a_second_loss():
    x = leaf(2.0)
    for total in (1, 2):
        (x * 1.0).backward()
        assert isinstance(x.grad, np.ndarray), f"after loss {total}: expected an array of shape (), got {x.grad!r}"
        expect(x.grad, total, f"after loss {total}, 1·x")


def test_two_leaves_that_get_one_array_do_not_share_it():
    p, q = leaf([1.0]), leaf([1.0])
    total = p + q
    ((total + p) + (q + total)).backward()
    expect([p.grad, q.grad], [[3], [3]], "((p + q) + p) + (q + (p + q))")
    p.grad *= 10
    expect(q.grad, [3], "q.grad, after p.grad was multiplied by 10 in place")


def test_only_leaves_keep_a_gradient():
    x = leaf(2.0)
    middle = x * x
    (middle * 3).backward()
    expect((middle.grad, middle.is_leaf), (None, False), "middle = x·x: its grad, and whether it is a leaf")
    expect((x.grad, x.is_leaf), (12, True), "3·middle at x = 2: x.grad, and whether x is a leaf")


def test_a_leaf_is_its_own_gradient():
    x = leaf([[7.0]])
    x.backward()
    x.backward()
    expect(x.grad, [[2]], "backward of a leaf, twice")


def test_data_put_in_place_of_the_old_after_the_forward_pass_changes_nothing():
    x = leaf([2.0, 3.0])
    loss = (x * x).sum()
    x.data = np.zeros(2)
    loss.backward()
    expect(x.grad, [4, 6], "x² at [2, 3], after x.data was replaced")


def test_detach_cuts_the_way_back():
    x = leaf(3.0)
    (x.detach() * x).backward()
    expect(x.grad, 3, "detached x, times x, at 3")


def test_where_to_start_may_be_given_as_numbers_array_or_tensor():
    for start in ([1, 10], np.array([1, 10]), Tensor([1.0, 10.0]), np.array([1, 10], np.float32)):
        x = leaf([5.0, 6.0])
        (x * x).backward(start)
        expect(x.grad, [10, 120], f"x² at [5, 6], backward({type(start).__name__} of 1 and 10)")


# ---------------------------------------------------------------- errors


def test_several_entries_need_a_start():
    x = leaf(np.ones((2, 3)))
    expect_error(RuntimeError, [(2, 3), "grad"], (x * 2).backward)
    expect_error(ValueError, [(2, 3), (3,)], (x * 2).backward, np.ones(3))
    expect(x.grad, None, "x.grad after two refusals")


def test_nothing_to_differentiate():
    for tensor in (Tensor(1.0), Tensor(1.0) * 2, leaf(1.0).detach()):
        expect_error(RuntimeError, "requires_grad", tensor.backward)


def test_a_second_backward_says_what_happened():
    x = leaf(2.0)
    middle = x * x
    first, second = middle * 3, middle + 1
    first.backward()
    for what in (first, second):
        expect_error(RuntimeError, "released", what.backward)
    expect(x.grad, 12, "3·x² at 2, after one backward and two refusals")


def operation(name, forward, rule=None):
    op = Op(forward)
    op.__name__ = name
    if rule is not None:
        op.gradient(rule)
    return op


def test_an_operation_without_a_rule_is_named():
    x = leaf([1.0, 2.0])
    expect_error(RuntimeError, "mystery", (operation("mystery", lambda a: a + 1)(x) * 2).sum().backward)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda grad, out, a, b: (grad,), "1 gradients for 2 inputs"),
        (lambda grad, out, a, b: (grad, None), "no gradient for input 1"),
        (lambda grad, out, a, b: (grad, np.ones((4, 5))), "input 1 of shape"),
        (lambda grad, out, a, b: (grad.sum(), grad), "input 0 of shape"),
    ],
    ids=["too few gradients", "a gradient is missing", "a shape that cannot be summed", "a number for an array"],
)
def test_a_rule_whose_answer_cannot_be_right_is_named(rule, words):
    out = operation("odd", lambda a, b: a + b, rule)(leaf(np.ones((2, 3))), leaf(np.ones((2, 3)))).sum()
    expect_error(RuntimeError, ["odd", words], out.backward)


def test_input_gradients_asks_for_arrays_of_one_shape():
    x = leaf([2.0])
    y = x * 3
    expect_error(TypeError, ["Tensor", (1,)], autograd.input_gradients, y.node, np.ones(1), y)
    expect_error(TypeError, [(), (1,)], autograd.input_gradients, y.node, 1.0, y.data)


def test_rules_get_arrays():
    given = []
    twice = operation("twice", lambda a: 2 * a, lambda grad, out, a: given.extend([grad, out, a]) or 2 * grad)
    twice(leaf([1.0, 2.0])).backward(np.ones(2))
    expect([type(value) for value in given], [np.ndarray] * 3, "the types of grad, out and a")
    expect(given, [[1, 1], [2, 4], [1, 2]], "grad, out and a")


def test_rules_are_told_what_is_wanted():
    asked = []

    def rule(grad, out, a, b, *, needs):
        asked.append(needs)
        return grad if needs[0] else None, grad if needs[1] else None

    plus = operation("plus", lambda a, b: a + b, rule)
    x = leaf(1.0)
    for left, right in [(x, 2.0), (Tensor(2.0), x), (x, x)]:
        plus(left, right).backward()
    expect(asked, [(True, False), (False, True), (True, True)], "needs for x + 2, 2 + x and x + x")
    expect(x.grad, 4, "x + 2, 2 + x and x + x, one after the other")


# ---------------------------------------------------------------- the walk


def test_what_an_operation_saves_reaches_its_rule_and_nobody_else():
    seen = []

    @Op(saves=True)
    def scaled_root(x, *, factor):
        """factor · √x, and the root."""
        root = np.sqrt(x)
        return factor * root, root

    @scaled_root.gradient
    def rule(grad, out, x, *, factor, saved):
        seen.append(saved)
        return grad * factor / (2 * saved)

    x = Tensor([4.0, 16.0], requires_grad=True)
    out = scaled_root(x, factor=3)
    expect(out, [6, 12], "the result is the output alone", dtype=np.float32)
    expect(out.node.settings["saved"], [2, 4], "the node keeps what was saved")
    out.sum().backward()
    expect(x.grad, [0.75, 0.375], "the rule computes with it")
    expect(len(seen), 1, "the rule was called once")
    with no_grad():
        expect(scaled_root(x, factor=3).node, None, "nothing is kept where nothing is recorded")
    assert not add.saves and scaled_root.saves, "only who says so saves"


def test_each_rule_runs_once_however_many_ways_lead_to_it():
    calls = []

    def rule(grad, out, a, b):
        calls.append(1)
        return grad, grad

    plus = operation("plus", lambda a, b: a + b, rule)
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = plus(y, y)
    y.backward()
    expect(x.grad, 2.0**60, "60 doublings")
    expect(len(calls), 60, "60 doublings: how often the rule was asked")


def test_long_chains():
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y * 1.0001 + 0
    expect(len(topological_order(y)), 20_001, "the length of the order of 20,000 operations in a row")
    y.backward()
    expect(x.grad, 1.0001**10_000, "10,000 times · 1.0001 + 0", rtol=1e-9)


def test_a_long_chain_is_dropped_without_a_backward():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    del y
    expect(x.grad, None, "x.grad, after a graph was dropped without backward")


def test_every_tensor_comes_after_its_inputs():
    generator = np.random.default_rng(3)
    for _ in range(30):
        made = [leaf(1.0) for _ in range(2)]
        for _ in range(25):
            a, b = generator.choice(len(made), 2)
            made.append(made[a] + made[b] if generator.random() < 0.5 else made[a] * Tensor(2.0))
        seen, last = set(), made[-1]
        for tensor in topological_order(last):
            if tensor.node:
                before = all(id(x) in seen for x in tensor.node.inputs if x is not None)
                assert before, "on a random graph: a Tensor stands before one that it came from"
            assert id(tensor) not in seen, "on a random graph: a Tensor is listed twice"
            seen.add(id(tensor))
        assert tensor is last, "on a random graph: the Tensor itself is not the last of its order"


# ---------------------------------------------------------------- memory


def test_backward_lets_go_of_the_arrays_in_between(no_collector):
    x = leaf(np.ones((30, 30)))
    hidden = (x * 2.0).exp()
    array, tensor = weakref.ref(hidden.data), weakref.ref(hidden)
    loss = (hidden * hidden).sum()
    del hidden
    assert array() is not None, "until backward, the graph holds what its rules need"
    loss.backward()
    assert array() is None and tensor() is None, "the loss is still there, but what it came from must be gone"
    assert x.grad is not None, "x has no gradient"


def test_a_graph_without_backward_dies_with_its_last_tensor(no_collector):
    model, loss = Sequential(Linear(4, 8), ReLU(), Linear(8, 3)), CrossEntropyLoss()
    out = loss(model(Tensor(np.ones((5, 4)))), np.zeros(5, np.int64))
    leaves = {id(parameter) for parameter in model.parameters()}
    watched = [weakref.ref(tensor) for tensor in topological_order(out) if id(tensor) not in leaves]
    assert len(watched) > 4
    del out
    assert [ref() for ref in watched if ref() is not None] == [], "a reference cycle keeps part of the graph alive"


def test_training_steps_leave_nothing_behind(no_collector):
    model = Sequential(Linear(4, 8), Tanh(), Linear(8, 1))
    for _ in range(3):
        (model(Tensor(np.ones((5, 4)))) ** 2).mean().backward()
    assert gc.collect() == 0, "reference cycles, which only the garbage collector can free"


# ---------------------------------------------------------------- no_grad


def test_no_grad_nested_and_after_exceptions():
    x = leaf(1.0)
    with no_grad():
        expect((x * 2).node, None, "the node of a Tensor made inside no_grad")
        with no_grad():
            expect((x * 2).requires_grad, False, "recording in an inner block")
        with pytest.raises(ZeroDivisionError), no_grad():
            raise ZeroDivisionError
        expect((x * 2).requires_grad, False, "recording after an exception in an inner block")
    expect((x * 2).requires_grad, True, "recording after the outer block")
    with pytest.raises(KeyError), no_grad(), no_grad():
        raise KeyError
    expect((x * 2).requires_grad, True, "recording after an exception that left two blocks")


def test_no_grad_as_a_decorator():
    x = leaf(2.0)

    @no_grad()
    def power_of(n):
        """x to the power of n."""
        return x * power_of(n - 1) if n else Tensor(1.0)

    expect(power_of(3).item(), 8, "a decorated function that calls itself: 2³")
    expect(power_of(3).requires_grad, False, "recording inside the decorated function")
    expect(power_of.__doc__, "x to the power of n.", "the docstring of the decorated function")
    expect((x * 2).requires_grad, True, "recording after the decorated function")


def test_what_was_off_stays_off():
    Op.recording = False
    with no_grad():
        pass
    expect(Op.recording, False, "Op.recording after a block, where it was off before")


def test_what_is_computed_inside_no_grad_is_a_constant_outside():
    x = leaf(3.0)
    with no_grad():
        constant = x * x
    (constant * x).backward()
    expect(x.grad, 9, "(x·x inside no_grad) · x at 3")


# ---------------------------------------------------------------- judges


def test_numeric_gradient():
    point = np.array([[1, 2], [3, 4]])
    got = numeric_gradient(lambda x: np.sum(x**3) + x[0, 0] * x[1, 1], point)
    expected = 3 * point**2 + [[4, 0], [0, 1]]
    expect(got, expected, "a³ + b³ + c³ + d³ + a·d at four integers", rtol=1e-7, dtype=np.float64)
    expect(point, [[1, 2], [3, 4]], "the caller's array afterwards")


def test_numeric_gradient_nudges_one_entry_of_a_copy_by_eps():
    point, asked = np.array([1.0, 2.0]), []

    def function(x):
        assert point.tolist() == [1, 2], "the caller's array must not change, not even for a moment"
        asked.append(sorted(abs(x - point).tolist()))
        return x[0] * x[1]

    expect(numeric_gradient(function, point, eps=0.25), [2, 1], "x·y at (1, 2), eps 0.25", rtol=1e-9)
    expect(asked, [[0, 0.25]] * len(asked), "by how much the two entries were nudged in each call, sorted")


@every_case
def test_gradcheck_agrees_with_right_rules(what, function, shapes):
    inputs = tuple(leaf(drawn(shape, seed)) for seed, shape in enumerate(shapes))
    expect(gradcheck(function, inputs), True, f"gradcheck of {what}")


FLAWS = {
    "the sign": lambda grad, out, a, b: (-grad * b, grad * a),
    "a factor": lambda grad, out, a, b: (grad * b * 1.001, grad * a),
    "one entry": lambda grad, out, a, b: (grad * b + 0.01 * (np.arange(3) == 2), grad * a),
    "the order of the entries": lambda grad, out, a, b: ((grad * b)[::-1], grad * a),
    "zeros": lambda grad, out, a, b: (np.zeros_like(a), grad * a),
    "nan": lambda grad, out, a, b: (grad * b * math.nan, grad * a),
    "no chain rule": lambda grad, out, a, b: (b + 0 * grad, grad * a),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_gradcheck_catches_wrong_rules(flaw):
    times = operation("times", lambda a, b: a * b, FLAWS[flaw])
    a, b = leaf(drawn((2, 3), 0)), leaf(drawn((3,), 1))
    expect_error(AssertionError, ["times", 0], gradcheck, times, (a, b))
    swapped = operation("swapped", lambda b, a: a * b, lambda grad, out, b, a: FLAWS[flaw](grad, out, a, b)[::-1])
    expect_error(AssertionError, ["swapped", 1], gradcheck, swapped, (b, a))


def test_gradcheck_leaves_alone_what_wants_no_gradient():
    constant = Tensor(drawn((3,), 1), dtype=np.float64)
    x = leaf(drawn((3,), 0))
    x.grad = np.full(3, 7.0)
    expect(gradcheck(lambda a, b: a * b, [x, constant]), True, "gradcheck of x · constant")
    expect(constant.grad, None, "the gradient of the constant")
    expect(gradcheck(lambda a: a.sum() * 2, x), True, "gradcheck of one Tensor without a tuple")
    expect(gradcheck(lambda a, b: a * 2, (x, leaf(1.0))), True, "gradcheck where one input is not used")


# ---------------------------------------------------------------- all of it


def test_backward_finds_its_engine_by_itself():
    """In a fresh process that imports the Tensor only."""
    code = (
        "import sys\n"
        "from tinytorch.core.tensor import Op, Tensor\n"
        "assert Op.engine is None and 'tinytorch.core.autograd' not in sys.modules\n"
        "x = Tensor([3.0], requires_grad=True)\n"
        "(x * x).backward()\n"
        "assert x.grad.tolist() == [6], x.grad\n"
        "assert 'tinytorch.core.autograd' in sys.modules\n"
    )
    home = str(Path(tinytorch.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": home}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tinytorch.no_grad is autograd.no_grad


@pytest.mark.parametrize("activation", [ReLU, Tanh, Sigmoid, GELU])
def test_a_network_in_float64_against_differences(activation):
    manual_seed(4)
    model = Sequential(Linear(3, 4), activation(), Linear(4, 2))
    images, labels = Tensor(drawn((5, 3), 6), dtype=np.float64), np.array([0, 1, 1, 0, 1])
    parameters = list(model.parameters())
    values = [np.asarray(p.data, np.float64) for p in parameters]

    def loss(*tensors):
        for parameter, tensor in zip(parameters, tensors, strict=True):
            parameter.data = tensor.data
        return CrossEntropyLoss()(model(images), labels)

    loss(*map(Tensor.wrap, values)).backward()
    for i, parameter in enumerate(parameters):
        what = f"{activation.__name__} network: the gradient of parameter {i}"
        expect(parameter.grad, slopes(loss, values, i, 1.0), what, rtol=1e-5, atol=1e-7)


def test_a_tiny_network_learns():
    manual_seed(0)
    model, loss_of = Sequential(Linear(2, 16), Tanh(), Linear(16, 2)), CrossEntropyLoss()
    inputs, targets = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    losses = []
    for _ in range(200):
        loss = loss_of(model(inputs), targets)
        loss.backward()
        losses.append(loss.item())
        for parameter in model.parameters():
            parameter.data -= 0.5 * parameter.grad
            parameter.grad = None
    assert losses[-1] < 0.05 < 0.5 < losses[0], f"exclusive or: the loss went from {losses[0]:.3f} to {losses[-1]:.3f}"
    with no_grad():
        expect(model(inputs).argmax(axis=1), targets, "exclusive or: the classes after 200 steps")
