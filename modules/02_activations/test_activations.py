"""The exported module `tinytorch.core.activations`: worked numbers, invariants, edges, errors."""

import math

import numpy as np
import pytest

from tinytorch.core import activations
from tinytorch.core.activations import GELU, ReLU, Sigmoid, Softmax, Tanh, erf, gelu, relu, sigmoid, softmax, tanh
from tinytorch.core.tensor import Op, Tensor
from tinytorch.notebook import expect_error

ELEMENTWISE = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "gelu": gelu,
    "gelu tanh": lambda x: gelu(x, approximate="tanh"),
}
SCALAR = {  # the same functions of one number
    "relu": lambda v: max(v, 0.0),
    "sigmoid": lambda v: math.exp(min(v, 0.0)) / (math.exp(-abs(v)) + 1.0),
    "tanh": math.tanh,
    "gelu": lambda v: v * math.erfc(-v / math.sqrt(2.0)) / 2.0,
    "gelu tanh": lambda v: v / (math.exp(-1.5957691216057308 * v * (0.044715 * v * v + 1.0)) + 1.0),
}


@pytest.fixture(autouse=True)
def floating_point_errors():
    """An overflow or an invalid operation that a function does not expect is an error here, not a warning."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield


def shaped_arrays(count=40, ndim=4):
    """Float64 arrays of random shapes, empty and size-1 axes among them, half of them not contiguous."""
    generator = np.random.default_rng(20)
    for i in range(count):
        shape = tuple(generator.choice([0, 1, 1, 2, 3, 5], size=generator.integers(0, ndim + 1)))
        array = np.asarray(generator.uniform(-5, 5, shape))
        yield array.T[::-1] if i % 2 and array.ndim else array


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_entry_is_the_function_of_one_number(name):
    for array in shaped_arrays():
        result = ELEMENTWISE[name](Tensor(array, dtype=np.float64)).numpy()
        assert result.shape == array.shape and result.dtype == np.float64
        reference = np.reshape([SCALAR[name](v) for v in array.ravel().tolist()], array.shape)
        np.testing.assert_allclose(result, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_dtypes(name):
    for dtype in (np.float16, np.float32, np.float64):
        assert ELEMENTWISE[name](Tensor(np.ones((2, 2)), dtype=dtype)).dtype == dtype
    integers = ELEMENTWISE[name](Tensor([0, 1]))
    assert integers.dtype == (np.int64 if name == "relu" else np.float32)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_single_precision_follows_double_precision(name):
    array = np.linspace(-12, 12, 481, dtype=np.float32)
    single = ELEMENTWISE[name](Tensor(array)).numpy()
    double = ELEMENTWISE[name](Tensor(array, dtype=np.float64)).numpy()
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax"])
def test_inputs_stay_as_they_were(name):
    array = np.linspace(-3, 3, 12).reshape(3, 4)
    tensor = Tensor(array, dtype=np.float64)
    {**ELEMENTWISE, "softmax": softmax}[name](tensor)
    assert np.array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_zero(dtype):
    far = Tensor([-1e30, -1000, 1000, 1e30], dtype=dtype)
    ends = far.numpy().tolist()
    assert relu(far).tolist() == [0, 0, ends[2], ends[3]]
    assert sigmoid(far).tolist() == [0, 0, 1, 1]
    assert tanh(far).tolist() == [-1, -1, 1, 1]
    for approximate in ("none", "tanh"):
        assert gelu(far, approximate=approximate).tolist() == [0, 0, ends[2], ends[3]]
    assert softmax(far).tolist() == [0, 0, 0, 1]


def test_infinities_and_nan():
    ends = Tensor([-math.inf, math.inf, math.nan])
    np.testing.assert_array_equal(relu(ends).numpy(), [0, math.inf, math.nan])
    np.testing.assert_array_equal(sigmoid(ends).numpy(), [0, 1, math.nan])
    np.testing.assert_array_equal(tanh(ends).numpy(), [-1, 1, math.nan])
    for approximate in ("none", "tanh"):
        np.testing.assert_array_equal(gelu(ends, approximate=approximate).numpy()[1:], [math.inf, math.nan])


def test_sigmoid_keeps_the_digits_of_small_shares():
    exponents = np.arange(-740.0, -30.0, 10.0)
    shares = sigmoid(Tensor(exponents, dtype=np.float64)).numpy()
    np.testing.assert_allclose(np.log(shares), exponents, rtol=1e-4)
    assert 3e-44 < sigmoid(Tensor(-100.0)).item() < 4.5e-44


def test_sigmoid_and_tanh_are_the_same_curve():
    x = Tensor(np.linspace(-6, 6, 49), dtype=np.float64)
    np.testing.assert_allclose((2 * sigmoid(2 * x) - 1).numpy(), tanh(x).numpy(), rtol=1e-12, atol=1e-15)


def test_erf_against_the_standard_library():
    ranges = np.linspace(-7, 7, 7001), np.geomspace(1e-300, 1, 301), [0.46875, 4.0, 6.0, 1e30, math.inf]
    array = np.concatenate(ranges)
    reference = np.array([math.erf(v) for v in array.tolist()])
    np.testing.assert_allclose(erf(array), reference, rtol=1e-15, atol=0)
    single = erf(array.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference, rtol=1e-6, atol=1e-38)
    assert math.isnan(erf(np.array([math.nan]))[0]) and erf(np.zeros((0, 2))).shape == (0, 2)


def test_softmax_shares():
    for array in shaped_arrays():
        for axis in range(-array.ndim, array.ndim):
            shares = softmax(Tensor(array, dtype=np.float64), axis=axis).numpy()
            assert shares.shape == array.shape and shares.dtype == np.float64 and (shares >= 0).all()
            if array.size:
                np.testing.assert_allclose(shares.sum(axis), 1, rtol=1e-12)
                # the quotient of two shares is e to the power of the difference of their scores
                first, last = (part.take(0, axis) - part.take(-1, axis) for part in (array, np.log(shares)))
                np.testing.assert_allclose(first, last, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_edges(dtype):
    table = [[1000, 1000, -1000], [-math.inf, 0, 0], [-math.inf] * 3, [-1e4, -1e4, -1e4 - 2000]]
    shares = softmax(Tensor(table, dtype=dtype), axis=1).numpy()
    np.testing.assert_array_equal(shares, [[0.5, 0.5, 0], [0, 0.5, 0.5], [math.nan] * 3, [0.5, 0.5, 0]])
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 3)]:
        for axis in range(len(shape)):
            assert softmax(Tensor(np.zeros(shape), dtype=dtype), axis=axis).shape == shape


def test_softmax_over_many_scores():
    scores = np.random.default_rng(21).normal(0, 3, 100_000).astype(np.float32)
    shares = softmax(Tensor(scores)).numpy()
    assert shares.dtype == np.float32 and abs(float(shares.astype(np.float64).sum()) - 1) < 1e-5


def test_pytorch_spellings():
    scores = Tensor([[0.0, 1.0], [2.0, 5.0]])
    below = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-4))
    by_name = softmax(scores, dim=0), softmax(scores, axis=0), Softmax(dim=0)(scores)
    for shares in (*by_name, softmax(scores, 0), softmax(scores, -2), Softmax(0)(scores)):
        np.testing.assert_allclose(shares.numpy(), [[1 - below[0], 1 - below[1]], below], rtol=1e-5)
    np.testing.assert_array_equal(softmax(scores).numpy(), Softmax()(scores).numpy())
    np.testing.assert_allclose(softmax(scores).numpy().sum(axis=1), 1, rtol=1e-6)


def test_errors():
    table = Tensor(np.zeros((2, 3)))
    for axis in (2, -3):
        expect_error(IndexError, [f"axis {axis}", "2 axes"], softmax, table, axis=axis)
        expect_error(IndexError, f"axis {axis}", Softmax(dim=axis), table)
    expect_error(ValueError, ["'none'", "'tanh'", "'erf'"], gelu, table, approximate="erf")
    for function in (relu, sigmoid, tanh, gelu, softmax):
        expect_error(TypeError, "list", function, [1.0, 2.0])


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (ReLU(), relu, "ReLU()"),
        (Sigmoid(), sigmoid, "Sigmoid()"),
        (Tanh(), tanh, "Tanh()"),
        (GELU(), gelu, "GELU(approximate='none')"),
        (GELU("tanh"), ELEMENTWISE["gelu tanh"], "GELU(approximate='tanh')"),
        (GELU(approximate="tanh"), ELEMENTWISE["gelu tanh"], "GELU(approximate='tanh')"),
        (Softmax(dim=1), lambda x: softmax(x, dim=1), "Softmax(dim=1)"),
        (Softmax(), softmax, "Softmax(dim=-1)"),
    ],
    ids=lambda part: None if callable(part) and not hasattr(part, "forward") else repr(part),
)
def test_layers(layer, function, text):
    x = Tensor(np.linspace(-2, 2, 12).reshape(3, 4))
    assert repr(layer) == text
    assert np.array_equal(layer(x).numpy(), function(x).numpy())
    assert np.array_equal(layer.forward(x).numpy(), function(x).numpy())


def test_results_are_recorded():
    x = Tensor(np.linspace(-2, 2, 6).reshape(2, 3), requires_grad=True)
    operations = {value for value in vars(activations).values() if isinstance(value, Op)}
    results = [function(x) for function in (*ELEMENTWISE.values(), softmax)]
    assert all(result.requires_grad for result in results)
    assert {result.node.op for result in results} == operations
