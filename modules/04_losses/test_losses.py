"""The public behaviour of tinytorch.core.losses. A warning of NumPy is an error in all of these tests."""

import math
import warnings

import numpy as np
import pytest

from tinytorch.core.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    MSELoss,
    accuracy,
    bce_terms,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    mse_loss,
    reduce,
    softplus,
)
from tinytorch.core.tensor import Tensor
from tinytorch.notebook import expect, expect_error

PAIRED = [mse_loss, binary_cross_entropy, binary_cross_entropy_with_logits]
SHAPES = [(), (1,), (7,), (0,), (3, 1), (1, 4), (2, 0), (2, 3, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_pair = pytest.mark.parametrize("loss", PAIRED, ids=lambda loss: loss.__name__)


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def draw(generator, shape, low=0.01, high=0.99):
    """A float64 array that does not lie row after row in memory."""
    return generator.uniform(low, high, tuple(shape[::-1])).T


def double(array):
    return Tensor(array, dtype=np.float64)


def slow_log_softmax(row):
    """One row at a time with Python's own floats."""
    top = max(row)
    total = math.fsum(math.exp(entry - top) for entry in row)
    return [entry - top - math.log(total) for entry in row]


def slow_mse(x, y):
    return (x - y) ** 2


def slow_bce(p, y):
    return -(y * math.log(p) + (1 - y) * math.log1p(-p))


def slow_bce_with_logits(x, y):
    return slow_bce(1 / (1 + math.exp(-x)), y)


ORACLES = dict(zip(PAIRED, [slow_mse, slow_bce, slow_bce_with_logits], strict=True))


@every_pair
@every_shape
def test_losses_of_pairs_entry_by_entry(loss, shape):
    generator = np.random.default_rng(len(shape))
    x, y = draw(generator, shape), draw(generator, shape)
    each = np.array([ORACLES[loss](*pair) for pair in zip(x.ravel(), y.ravel(), strict=True)]).reshape(shape)
    case = f"{loss.__name__} of shape {shape}"
    expect(loss(double(x), double(y), reduction="none"), each, f"{case}, 'none'", rtol=1e-12)
    expect(loss(double(x), double(y), reduction="sum"), each.sum(), f"{case}, 'sum'", rtol=1e-12)
    mean = each.mean() if each.size else math.nan
    expect(loss(double(x), double(y)), mean, f"{case}, 'mean'", rtol=1e-12)


@every_pair
def test_losses_of_pairs_want_equal_shapes(loss):
    for left, right in [((3, 1), (3,)), ((3,), ()), ((2, 3), (3, 2)), ((0,), (1,))]:
        expect_error(ValueError, [left, right], loss, Tensor(np.full(left, 0.5)), Tensor(np.full(right, 0.5)))


@every_pair
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float64], ids=lambda kind: np.dtype(kind).name)
def test_targets_do_not_change_the_dtype(loss, kind):
    labels = np.array([1, 0, 1], kind)
    x, case = Tensor([0.2, 0.4, 0.9]), f"{loss.__name__}, targets in {np.dtype(kind)}: the dtype"
    expect(loss(x, labels).dtype, np.float32, f"{case} for float32 with an array")
    if kind is not np.float64:  # a float64 Tensor is a choice, and widens
        expect(loss(x, Tensor(labels)).dtype, np.float32, f"{case} for float32 with a Tensor")
    expect(loss(double([0.2, 0.4, 0.9]), labels).dtype, np.float64, f"{case} for float64 with an array")


@pytest.mark.parametrize("shape", [(5,), (1, 6), (4, 1), (3, 4, 2), (0, 3), (3, 0)], ids=str)
def test_log_softmax_along_every_axis(shape):
    x = draw(np.random.default_rng(3), shape, -40, 40)
    for axis in range(-len(shape), len(shape)):
        expected = np.array(x)
        for place in np.ndindex(*np.delete(shape, axis)):
            line = list(place)
            line.insert(axis % len(shape), slice(None))
            if shape[axis]:
                expected[tuple(line)] = slow_log_softmax(x[tuple(line)].tolist())
        got = log_softmax(double(x), axis=axis)
        expect(got, expected, f"log_softmax of shape {shape} along axis {axis}", rtol=1e-12, atol=1e-14)


def test_log_softmax_does_not_feel_a_shift():
    x = np.random.default_rng(4).integers(-50, 50, (6, 5)).astype(np.float32)
    for shift in (-1000, 1, 1000):
        expected = log_softmax(Tensor(x), axis=1).numpy()
        expect(log_softmax(Tensor(x + shift), axis=1), expected, f"log_softmax of x {shift:+}, beside that of x")


def test_log_softmax_of_far_apart_logits():
    got = log_softmax(Tensor([[0, 500, -500], [2000, 0, 0]], dtype=np.float32), axis=1)
    expected = [[-500, 0, -1000], [0, -2000, -2000]]
    expect(got, expected, "rows [0, 500, -500] and [2000, 0, 0]", dtype=np.float32)
    expect(log_softmax(Tensor([1, 2]), axis=0).dtype, np.float32, "the dtype for integers")


def test_log_softmax_at_infinity():
    inf, nan = math.inf, math.nan
    half = -math.log(2)
    for row, expected in [
        ([-inf, 2, 2], [-inf, half, half]),
        ([-inf, -inf, 7], [-inf, -inf, 0]),
        ([-inf, -inf, -inf], [nan] * 3),
        ([inf, 0, 0], [nan] * 3),
        ([nan, 0, 0], [nan] * 3),
    ]:
        expect(log_softmax(double([row]), axis=-1), [expected], f"log_softmax of {row}", rtol=1e-7)


def test_log_softmax_takes_its_axis_in_every_spelling():
    x = Tensor(np.arange(6.0).reshape(2, 3) ** 2)
    for axis in (0, 1):
        wanted = log_softmax(x, axis=axis).numpy()
        expect(log_softmax(x, axis), wanted, f"log_softmax(x, {axis})")
        expect(log_softmax(x, dim=axis), wanted, f"log_softmax(x, dim={axis})")
    expect(log_softmax(x), log_softmax(x, dim=1).numpy(), "log_softmax(x) beside dim=1")
    expect_error(IndexError, 4, log_softmax, Tensor([1.0, 2.0]), axis=4)


@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (1, 9), (6, 2), (40, 3)])
def test_cross_entropy_row_by_row(rows, classes):
    generator = np.random.default_rng(rows)
    logits, labels = draw(generator, (rows, classes), -30, 30), generator.integers(0, classes, rows)
    each = [-slow_log_softmax(row)[label] for row, label in zip(logits.tolist(), labels, strict=True)]
    for targets in (labels, labels.astype(np.uint8), Tensor(labels), Tensor(labels, dtype=np.int32)):
        for reduction, wanted in [("none", each), ("mean", np.mean(each)), ("sum", np.sum(each))]:
            case = f"logits ({rows}, {classes}), targets in {targets.dtype}, {reduction!r}"
            expect(cross_entropy(double(logits), targets, reduction), wanted, case, rtol=1e-12, atol=1e-14)
    got = cross_entropy(double(logits), labels)
    expect(got, np.mean(each), "the reduction that is not named is the mean", rtol=1e-12, atol=1e-14)
    got = cross_entropy(double(logits[0]), int(labels[0]), reduction="none")
    expect(got, each[0], "one row with a Python integer", rtol=1e-12, atol=1e-14)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number():
    for classes in (1, 2, 10, 1000):
        loss = cross_entropy(Tensor(np.full((3, classes), 123.0)), Tensor([0, classes - 1, classes // 2]))
        expect(loss, math.log(classes), f"{classes} equal logits", rtol=1e-6)


def test_cross_entropy_over_no_rows():
    nothing = Tensor(np.zeros((0, 4))), Tensor(np.zeros(0, np.int64))
    expect(cross_entropy(*nothing), math.nan, "the mean over no rows")
    expect(cross_entropy(*nothing, "sum"), 0, "the sum over no rows")
    expect(cross_entropy(*nothing, "none"), np.zeros(0), "no rows, 'none'")


def test_cross_entropy_beside_forbidden_classes():
    logits = Tensor([[-math.inf, 0.0]])
    expect(cross_entropy(logits, Tensor([0])), math.inf, "logits [-inf, 0], target 0")
    expect(cross_entropy(logits, Tensor([1])), 0, "logits [-inf, 0], target 1")


@pytest.mark.parametrize(
    ("logits", "targets", "kind", "facts"),
    [
        ((2, 3), [0.0, 1.0], TypeError, "float"),
        ((2, 3), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], TypeError, "float"),
        ((2, 3), [True, False], TypeError, "bool"),
        ((2, 3), [0, 1, 2], ValueError, [(2, 3), (3,)]),
        ((2, 3), 1, ValueError, [(2, 3), ()]),
        ((3,), [1], ValueError, [(3,), (1,)]),
        ((), 0, ValueError, ()),
        ((2, 5), [0, 7], IndexError, [7, 1, 5]),
        ((4, 3), [2, -2, -1, 9], IndexError, [-2, 1, 3]),
    ],
    ids=[
        "float targets",
        "one-hot targets",
        "bool targets",
        "three targets for two rows",
        "one target for two rows",
        "a batch of targets for one row",
        "logits of shape ()",
        "a class too high",
        "a negative class",
    ],
)
def test_cross_entropy_refuses(logits, targets, kind, facts):
    expect_error(kind, facts, cross_entropy, Tensor(np.zeros(logits)), Tensor(targets))


@every_shape
def test_softplus_is_smooth_and_its_slope_is_the_sigmoid(shape):
    x, step = draw(np.random.default_rng(5), shape, -30, 30), 1e-5
    slope = (softplus(double(x + step)) - softplus(double(x - step))).numpy() / (2 * step)
    expect(slope, 1 / (1 + np.exp(-x)), f"the slope of softplus for shape {shape}", atol=1e-9)


def test_softplus_at_both_ends():
    x = np.float32([1000, 100, 30, 0, -30, -80, -1000])
    expected = [max(v, 0) + math.log1p(math.exp(-abs(v))) for v in x.tolist()]
    expect(softplus(Tensor(x)), expected, f"softplus of {x.tolist()}", rtol=1e-6)
    expect(softplus(3).dtype, np.float32, "the dtype for a Python integer")
    expect(softplus(Tensor([3])).dtype, np.float32, "the dtype for integers")


def test_with_logits_is_finite_and_precise_where_the_probability_is_not():
    cases = [(1000, 0, 1000), (-1000, 1, 1000), (1000, 1, 0), (-1000, 0, 0), (60, 1, math.exp(-60))]
    for x, y, expected in [*cases, (-60, 0, math.exp(-60))]:
        got = binary_cross_entropy_with_logits(Tensor([float(x)]), Tensor([y]))
        expect(got, expected, f"logit {x}, target {y}", rtol=1e-6)


def test_no_probability_costs_more_than_100():
    for p, y, expected in [(0, 1, 100), (1, 0, 100), (1e-45, 1, 100), (5e-324, 1, 100), (0, 0, 0), (1, 1, 0)]:
        got = binary_cross_entropy(double([p]), double([y]), "none")
        expect(got, [expected], f"p = {p}, target {y}", rtol=1e-7)


def test_a_small_probability_costs_itself():
    p = np.float32([1e-4, 1e-8, 1e-12, 1e-30])
    expected = [-math.log1p(-v) for v in p.tolist()]
    got = binary_cross_entropy(Tensor(p), np.zeros(4), "none")
    expect(got, expected, f"p = {p.tolist()}, targets 0", rtol=1e-6, dtype=np.float32)


def test_the_documented_slope_of_bce_terms():
    generator = np.random.default_rng(31)
    p, y, step = generator.uniform(0.05, 0.95, 50), generator.uniform(0, 1, 50), 1e-6
    slope = (bce_terms(double(p + step), double(y)) - bce_terms(double(p - step), double(y))).numpy() / (2 * step)
    expect(slope, (p - y) / (p * (1 - p)), "the slope of bce_terms over p", rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("value", [-1e-6, 1.25, 7, math.inf, math.nan])
def test_what_is_no_probability_is_refused_on_both_sides(value):
    expect_error(ValueError, (0, 1), binary_cross_entropy, double([0.5, value]), double([0, 1]))
    expect_error(ValueError, (0, 1), binary_cross_entropy, double([0.5, 0.5]), double([1, value]))


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (MSELoss, mse_loss),
        (BCELoss, binary_cross_entropy),
        (BCEWithLogitsLoss, binary_cross_entropy_with_logits),
        (CrossEntropyLoss, cross_entropy),
    ],
    ids=lambda one: one.__name__,
)
def test_classes_are_modules_that_remember_a_reduction(module, function):
    input = Tensor([[0.1, 0.7], [0.6, 0.2]])
    target = Tensor([1, 0]) if module is CrossEntropyLoss else Tensor([[0.0, 1.0], [1.0, 0.0]])
    for reduction in ("mean", "sum", "none"):
        loss = module(reduction=reduction)
        case = f"{module.__name__}({reduction!r}) beside {function.__name__}"
        expect(loss(input, target), function(input, target, reduction).numpy(), case)
        expect(repr(loss), f"{module.__name__}()", "as it is printed")
        expect(len(list(loss.parameters())), 0, f"{module.__name__}: the number of parameters")
    expect(module()(input, target), function(input=input, target=target).item(), "arguments by name")
    expect_error(ValueError, ["mean", "sum", "none"], module, reduction="avg")


def test_reduce_names_the_three_words():
    for wrong in ("average", "", None, 0.5, Tensor([1.0])):
        expect_error(ValueError, ["'mean'", "'sum'", "'none'"], reduce, Tensor([1.0]), wrong)


def test_losses_record_what_they_did():
    x = Tensor([[0.3, 0.6]], requires_grad=True)
    y = Tensor([[0.0, 1.0]])
    losses = {"cross_entropy": cross_entropy(x, [1])}
    losses |= {function.__name__: function(x, y) for function in PAIRED}
    for name, loss in losses.items():
        recorded = (loss.requires_grad, loss.is_leaf)
        expect(recorded, (True, False), f"{name} of logits that want a gradient: requires_grad and is_leaf")


def test_accuracy_counts():
    generator = np.random.default_rng(32)
    for shape in [(1, 1), (17, 3), (5, 10), (4, 6, 3), (2,)]:
        logits = generator.permutation(math.prod(shape)).reshape(shape).astype(np.float32)
        targets = generator.integers(0, shape[-1], shape[:-1])
        right = [np.max(logits[place]) == logits[place][targets[place]] for place in np.ndindex(*shape[:-1])]
        got = accuracy(Tensor(logits), Tensor(targets))
        expect(type(got), float, "the class of an accuracy")
        expect(got, sum(right) / len(right), f"the accuracy of logits {shape}")
    expect(accuracy(np.zeros((0, 3)), np.zeros(0, int)), math.nan, "the accuracy over no rows")
    expect(accuracy(Tensor(np.ones((2, 5))), Tensor([0, 0])), 1.0, "equal logits, target 0")
    for shape in [(3, 1), (2,), (3, 2)]:
        expect_error(ValueError, [(3, 2), shape], accuracy, np.zeros((3, 2)), np.zeros(shape, int))
