"""The public behaviour of tinytorch.core.losses."""

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

PAIRED = [mse_loss, binary_cross_entropy, binary_cross_entropy_with_logits]
SHAPES = [(), (1,), (7,), (0,), (3, 1), (1, 4), (2, 0), (2, 3, 4)]


@pytest.fixture(autouse=True)
def no_warnings():
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


@pytest.mark.parametrize("loss", PAIRED)
@pytest.mark.parametrize("shape", SHAPES)
def test_losses_of_pairs_entry_by_entry(loss, shape):
    generator = np.random.default_rng(len(shape))
    x, y = draw(generator, shape), draw(generator, shape)
    each = np.array([ORACLES[loss](*pair) for pair in zip(x.ravel(), y.ravel(), strict=True)]).reshape(shape)
    none = loss(double(x), double(y), reduction="none")
    assert none.shape == shape
    np.testing.assert_allclose(none.numpy(), each, rtol=1e-12)
    total, mean = loss(double(x), double(y), reduction="sum"), loss(double(x), double(y))
    assert total.shape == mean.shape == ()
    np.testing.assert_allclose(total.item(), each.sum(), rtol=1e-12)
    np.testing.assert_allclose(mean.item(), each.mean() if each.size else math.nan, rtol=1e-12)


@pytest.mark.parametrize("loss", PAIRED)
def test_losses_of_pairs_want_equal_shapes(loss):
    for left, right in [((3, 1), (3,)), ((3,), ()), ((2, 3), (3, 2)), ((0,), (1,))]:
        with pytest.raises(ValueError, match="shape") as caught:
            loss(Tensor(np.full(left, 0.5)), Tensor(np.full(right, 0.5)))
        assert str(left) in str(caught.value)
        assert str(right) in str(caught.value)


@pytest.mark.parametrize("loss", PAIRED)
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float64])
def test_targets_do_not_change_the_dtype(loss, kind):
    labels = np.array([1, 0, 1], kind)
    x = Tensor([0.2, 0.4, 0.9])
    assert loss(x, labels).dtype == np.float32
    if kind is not np.float64:  # a float64 Tensor is a choice, and widens
        assert loss(x, Tensor(labels)).dtype == np.float32
    assert loss(double([0.2, 0.4, 0.9]), labels).dtype == np.float64


@pytest.mark.parametrize("shape", [(5,), (1, 6), (4, 1), (3, 4, 2), (0, 3), (3, 0)])
def test_log_softmax_along_every_axis(shape):
    x = draw(np.random.default_rng(3), shape, -40, 40)
    for axis in range(-len(shape), len(shape)):
        expected = np.array(x)
        for place in np.ndindex(*np.delete(shape, axis)):
            line = list(place)
            line.insert(axis % len(shape), slice(None))
            if shape[axis]:
                expected[tuple(line)] = slow_log_softmax(x[tuple(line)].tolist())
        np.testing.assert_allclose(log_softmax(double(x), axis=axis).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_log_softmax_does_not_feel_a_shift():
    x = np.random.default_rng(4).integers(-50, 50, (6, 5)).astype(np.float32)
    for shift in (-1000, 1, 1000):
        assert np.array_equal(log_softmax(Tensor(x + shift), axis=1).numpy(), log_softmax(Tensor(x), axis=1).numpy())


def test_log_softmax_of_far_apart_logits():
    got = log_softmax(Tensor([[0, 500, -500], [2000, 0, 0]], dtype=np.float32), axis=1)
    assert got.tolist() == [[-500, 0, -1000], [0, -2000, -2000]]
    assert got.dtype == log_softmax(Tensor([1, 2]), axis=0).dtype == np.float32


def test_log_softmax_at_infinity():
    inf, nan = math.inf, math.nan
    rows = [[-inf, 2, 2], [-inf, -inf, 7], [-inf, -inf, -inf], [inf, 0, 0], [nan, 0, 0]]
    half = -math.log(2)
    wanted = [[-inf, half, half], [-inf, -inf, 0], [nan] * 3, [nan] * 3, [nan] * 3]
    np.testing.assert_allclose(log_softmax(double(rows), axis=-1).numpy(), wanted)


def test_log_softmax_takes_its_axis_in_every_spelling():
    x = Tensor(np.arange(6.0).reshape(2, 3) ** 2)
    for axis in (0, 1):
        wanted = log_softmax(x, axis=axis).tolist()
        assert log_softmax(x, axis).tolist() == log_softmax(x, dim=axis).tolist() == wanted
    assert log_softmax(x).tolist() == log_softmax(x, dim=1).tolist()
    with pytest.raises(IndexError, match="axis 1"):
        log_softmax(Tensor([1.0, 2.0]), axis=1)


@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (1, 9), (6, 2), (40, 3)])
def test_cross_entropy_row_by_row(rows, classes):
    generator = np.random.default_rng(rows)
    logits, labels = draw(generator, (rows, classes), -30, 30), generator.integers(0, classes, rows)
    each = [-slow_log_softmax(row)[label] for row, label in zip(logits.tolist(), labels, strict=True)]
    for targets in (labels, labels.astype(np.uint8), Tensor(labels), Tensor(labels, dtype=np.int32)):
        for reduction, wanted in [("none", each), ("mean", np.mean(each)), ("sum", np.sum(each))]:
            loss = cross_entropy(double(logits), targets, reduction)
            assert loss.shape == np.shape(wanted)
            np.testing.assert_allclose(loss.numpy(), wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(cross_entropy(double(logits), labels).item(), np.mean(each), rtol=1e-12, atol=1e-14)
    alone = cross_entropy(double(logits[0]), int(labels[0]), reduction="none")
    assert alone.shape == ()
    assert math.isclose(alone.item(), each[0], rel_tol=1e-12, abs_tol=1e-14)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number():
    for classes in (1, 2, 10, 1000):
        loss = cross_entropy(Tensor(np.full((3, classes), 123.0)), Tensor([0, classes - 1, classes // 2]))
        assert math.isclose(loss.item(), math.log(classes), rel_tol=1e-6)


def test_cross_entropy_over_no_rows():
    nothing = Tensor(np.zeros((0, 4))), Tensor(np.zeros(0, np.int64))
    assert math.isnan(cross_entropy(*nothing).item())
    assert cross_entropy(*nothing, "sum").item() == 0
    assert cross_entropy(*nothing, "none").shape == (0,)


def test_cross_entropy_of_a_forbidden_target_is_infinite():
    assert cross_entropy(Tensor([[-math.inf, 0.0]]), Tensor([0])).item() == math.inf


@pytest.mark.parametrize(
    ("logits", "targets", "kind", "fragments"),
    [
        ((2, 3), [0.0, 1.0], TypeError, ["float"]),
        ((2, 3), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], TypeError, ["float"]),
        ((2, 3), [True, False], TypeError, ["bool"]),
        ((2, 3), [0, 1, 2], ValueError, ["(2, 3)", "(3,)"]),
        ((2, 3), 1, ValueError, ["(2, 3)", "()"]),
        ((3,), [1], ValueError, ["(3,)", "(1,)"]),
        ((), 0, ValueError, []),
        ((2, 3), [0, 3], IndexError, ["3", "position 1", "3 classes"]),
        ((4, 3), [2, -2, -1, 9], IndexError, ["-2", "position 1"]),
    ],
)
def test_cross_entropy_refuses(logits, targets, kind, fragments):
    with pytest.raises(kind) as caught:
        cross_entropy(Tensor(np.zeros(logits)), Tensor(targets))
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("shape", SHAPES)
def test_softplus_is_smooth_and_its_slope_is_the_sigmoid(shape):
    x, step = draw(np.random.default_rng(5), shape, -30, 30), 1e-5
    slope = (softplus(double(x + step)) - softplus(double(x - step))).numpy() / (2 * step)
    assert slope.shape == shape
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-x)), atol=1e-9)


def test_softplus_at_both_ends():
    x = np.float32([1000, 100, 30, 0, -30, -80, -1000])
    expected = [max(v, 0) + math.log1p(math.exp(-abs(v))) for v in x.tolist()]
    np.testing.assert_allclose(softplus(Tensor(x)).numpy(), expected, rtol=1e-6)
    assert softplus(3).dtype == softplus(Tensor([3])).dtype == np.float32


def test_with_logits_is_finite_and_precise_where_the_probability_is_not():
    logits, answers = Tensor([1000.0, -1000.0, 1000.0, -1000.0, 60.0, -60.0]), Tensor([0, 1, 1, 0, 1, 0])
    each = binary_cross_entropy_with_logits(logits, answers, "none").numpy()
    np.testing.assert_allclose(each, [1000, 1000, 0, 0, math.exp(-60), math.exp(-60)], rtol=1e-6)


def test_no_probability_costs_more_than_100():
    p = np.array([0.0, 1.0, 1e-45, 5e-324, 0.0, 1.0])
    each = binary_cross_entropy(double(p), double([1, 0, 1, 1, 0, 1]), "none")
    np.testing.assert_allclose(each.numpy(), [100, 100, 100, 100, 0, 0])


def test_a_small_probability_costs_itself():
    p = np.float32([1e-4, 1e-8, 1e-12, 1e-30])
    got = binary_cross_entropy(Tensor(p), np.zeros(4), "none")
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), [-math.log1p(-v) for v in p.tolist()], rtol=1e-6)


def test_the_documented_slope_of_bce_terms():
    generator = np.random.default_rng(31)
    p, y, step = generator.uniform(0.05, 0.95, 50), generator.uniform(0, 1, 50), 1e-6
    slope = (bce_terms(double(p + step), double(y)) - bce_terms(double(p - step), double(y))).numpy() / (2 * step)
    np.testing.assert_allclose(slope, (p - y) / (p * (1 - p)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("value", [-1e-6, 1.25, 7, math.inf, math.nan])
def test_what_is_no_probability_is_refused_on_both_sides(value):
    for input, target in [([0.5, value], [0, 1]), ([0.5, 0.5], [1, value])]:
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            binary_cross_entropy(double(input), double(target))


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (MSELoss, mse_loss),
        (BCELoss, binary_cross_entropy),
        (BCEWithLogitsLoss, binary_cross_entropy_with_logits),
        (CrossEntropyLoss, cross_entropy),
    ],
)
def test_classes_are_modules_that_remember_a_reduction(module, function):
    input = Tensor([[0.1, 0.7], [0.6, 0.2]])
    target = Tensor([1, 0]) if module is CrossEntropyLoss else Tensor([[0.0, 1.0], [1.0, 0.0]])
    for reduction in ("mean", "sum", "none"):
        loss = module(reduction=reduction)
        assert loss(input, target).tolist() == function(input, target, reduction).tolist()
        assert repr(loss) == f"{module.__name__}()"
        assert list(loss.parameters()) == []
    assert module()(input, target).item() == function(input=input, target=target).item()
    with pytest.raises(ValueError, match="'mean', 'sum' or 'none'"):
        module(reduction="avg")


def test_reduce_names_the_three_words():
    for wrong in ("average", "", None, 0.5, Tensor([1.0])):
        with pytest.raises(ValueError, match="'mean', 'sum' or 'none'"):
            reduce(Tensor([1.0]), wrong)


def test_losses_record_what_they_did():
    x = Tensor([[0.3, 0.6]], requires_grad=True)
    y = Tensor([[0.0, 1.0]])
    for loss in [cross_entropy(x, [1]), *(function(x, y) for function in PAIRED)]:
        assert loss.requires_grad
        assert not loss.is_leaf


def test_accuracy_counts():
    generator = np.random.default_rng(32)
    for shape in [(1, 1), (17, 3), (5, 10), (4, 6, 3), (2,)]:
        logits = generator.permutation(math.prod(shape)).reshape(shape).astype(np.float32)
        targets = generator.integers(0, shape[-1], shape[:-1])
        right = [np.max(logits[place]) == logits[place][targets[place]] for place in np.ndindex(*shape[:-1])]
        got = accuracy(Tensor(logits), Tensor(targets))
        assert type(got) is float
        assert got == sum(right) / len(right)
    assert math.isnan(accuracy(np.zeros((0, 3)), np.zeros(0, int)))
    assert accuracy(Tensor(np.ones((2, 5))), Tensor([0, 0])) == 1.0
    for targets in [np.zeros((3, 1), int), np.zeros(2, int), np.zeros((3, 2), int)]:
        with pytest.raises(ValueError, match=r"\(3, 2\)"):
            accuracy(np.zeros((3, 2)), targets)
