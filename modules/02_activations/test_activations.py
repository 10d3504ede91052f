"""The exported module `tinytorch.core.activations`: worked numbers, invariants, edges, errors."""

import math

import numpy as np
import pytest

from tinytorch.core import activations
from tinytorch.core.activations import (
    GELU,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    erf,
    gelu,
    in_blocks,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from tinytorch.core.tensor import Op, Tensor
from tinytorch.notebook import expect, expect_error, no_warnings

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


every_function = pytest.mark.parametrize("name", ELEMENTWISE)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@pytest.fixture(autouse=True)
def warnings_of_numpy_are_errors():
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


@every_function
def test_every_entry_is_the_function_of_one_number(name):
    for array in shaped_arrays():
        reference = np.reshape([SCALAR[name](v) for v in array.ravel().tolist()], array.shape)
        case = f"{name} of an array of shape {array.shape} and strides {array.strides}"
        got = ELEMENTWISE[name](Tensor(array, dtype=np.float64))
        expect(got, reference, case, rtol=1e-9, atol=1e-12, dtype=np.float64)


@every_function
def test_a_floating_dtype_stays_and_integers_give_float32_except_for_relu(name):
    for dtype in (np.float16, np.float32, np.float64):
        got = ELEMENTWISE[name](Tensor(np.ones((2, 2)), dtype=dtype))
        expect(got.dtype, dtype, f"{name}: the dtype for an input in {np.dtype(dtype)}")
    integers = ELEMENTWISE[name](Tensor([0, 1]))
    expect(integers.dtype, np.int64 if name == "relu" else np.float32, f"{name}: the dtype for integers")


@every_function
def test_single_precision_follows_double_precision(name):
    array = np.linspace(-12, 12, 481, dtype=np.float32)
    double = ELEMENTWISE[name](Tensor(array, dtype=np.float64)).numpy()
    got = ELEMENTWISE[name](Tensor(array))
    expect(got, double, f"{name} in float32, beside float64", rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax"])
def test_inputs_stay_as_they_were(name):
    array = np.linspace(-3, 3, 12).reshape(3, 4)
    tensor = Tensor(array, dtype=np.float64)
    {**ELEMENTWISE, "softmax": softmax}[name](tensor)
    expect(tensor, array, f"the input after {name}")


@both_dtypes
def test_far_from_zero(dtype):
    far = Tensor([-1e30, -1000, 1000, 1e30], dtype=dtype)
    ends = far.numpy().tolist()
    case = "of [-1e30, -1000, 1000, 1e30]"
    expect(relu(far), [0, 0, ends[2], ends[3]], f"relu {case}")
    expect(sigmoid(far), [0, 0, 1, 1], f"sigmoid {case}")
    expect(tanh(far), [-1, -1, 1, 1], f"tanh {case}")
    for approximate in ("none", "tanh"):
        expect(gelu(far, approximate=approximate), [0, 0, ends[2], ends[3]], f"gelu, {approximate!r}, {case}")
    expect(softmax(far), [0, 0, 0, 1], f"softmax {case}")


def test_infinities_and_nan():
    ends, case = Tensor([-math.inf, math.inf, math.nan]), "of [-inf, inf, nan]"
    expect(relu(ends), [0, math.inf, math.nan], f"relu {case}")
    expect(sigmoid(ends), [0, 1, math.nan], f"sigmoid {case}")
    expect(tanh(ends), [-1, 1, math.nan], f"tanh {case}")
    for approximate in ("none", "tanh"):
        got = gelu(ends[1:], approximate=approximate)
        expect(got, [math.inf, math.nan], f"gelu, {approximate!r}, of [inf, nan]")


def test_sigmoid_keeps_the_digits_of_small_shares():
    exponents = np.arange(-740.0, -30.0, 10.0)
    shares = sigmoid(Tensor(exponents, dtype=np.float64)).numpy()
    expect(np.log(shares), exponents, "log(sigmoid(x)) for x from -740 to -40", rtol=1e-4)
    expect(sigmoid(Tensor(-100.0)), 3.8e-44, "sigmoid(-100) in float32", atol=0.4e-44)


def test_sigmoid_and_tanh_are_the_same_curve():
    x = Tensor(np.linspace(-6, 6, 49), dtype=np.float64)
    expect(2 * sigmoid(2 * x) - 1, tanh(x).numpy(), "2 sigmoid(2x) - 1 beside tanh(x)", rtol=1e-12, atol=1e-15)


def test_blocks_are_handed_over_in_order_and_put_back_in_place():
    sizes = []

    def triple(block):
        sizes.append(block.size)
        return block * 3

    for array in shaped_arrays():
        for size in (1, 4, 1000):
            sizes.clear()
            case = f"blocks of {size} from shape {array.shape} and strides {array.strides}"
            expect(in_blocks(triple, array, size), array * 3, case, dtype=np.float64)
            blocks = [min(size, array.size - start) for start in range(0, array.size, size)]
            expect([count for count in sizes if count], blocks, f"{case}: the sizes of the blocks")


def test_gelu_is_the_same_over_several_blocks():
    array = np.linspace(-4, 4, 2 * activations.BLOCK + 3)
    for name, form in (("none", activations.gelu_exact), ("tanh", activations.gelu_tanh)):
        expect(gelu(Tensor(array, dtype=np.float64), approximate=name), form(array), f"{name!r} over three blocks")


def test_erf_against_the_standard_library():
    ranges = np.linspace(-7, 7, 7001), np.geomspace(1e-300, 1, 301), [0.46875, 4.0, 6.0, 1e30, math.inf]
    array = np.concatenate(ranges)
    reference = np.array([math.erf(v) for v in array.tolist()])
    np.testing.assert_allclose(erf(array), reference, rtol=1e-15, atol=0)
    single = erf(array.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference, rtol=1e-6, atol=1e-38)
    assert math.isnan(erf(np.array([math.nan]))[0]) and erf(np.zeros((0, 2))).shape == (0, 2)


def test_shares_sum_to_one_along_every_axis():
    for array in shaped_arrays():
        for axis in range(-array.ndim, array.ndim):
            case = f"softmax of shape {array.shape} along axis {axis}"
            with no_warnings(case):
                shares = softmax(Tensor(array, dtype=np.float64), axis=axis).numpy()
            expect((shares.shape, shares.dtype), (array.shape, np.dtype(np.float64)), f"{case}: shape and dtype")
            if array.size:
                expect(shares.sum(axis), np.ones_like(shares.sum(axis)), f"{case}: the sums", rtol=1e-12)
                # the quotient of two shares is e to the power of the difference of their scores
                first, last = (part.take(0, axis) - part.take(-1, axis) for part in (array, np.log(shares)))
                expect(last, first, f"{case}: the logarithm of first by last share", rtol=1e-9, atol=1e-12)


@both_dtypes
def test_softmax_edges(dtype):
    table = [[1000, 1000, -1000], [-math.inf, 0, 0], [-math.inf] * 3, [-1e4, -1e4, -1e4 - 2000]]
    shares = [[0.5, 0.5, 0], [0, 0.5, 0.5], [math.nan] * 3, [0.5, 0.5, 0]]
    expect(softmax(Tensor(table, dtype=dtype), axis=1), shares, "rows with 1000, with -inf, of -inf, at -1e4")
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 3)]:
        for axis in range(len(shape)):
            got = softmax(Tensor(np.zeros(shape), dtype=dtype), axis=axis)
            expect(got, np.zeros(shape), f"shape {shape}, axis {axis}", dtype=dtype)


def test_softmax_over_many_scores():
    scores = np.random.default_rng(21).normal(0, 3, 100_000).astype(np.float32)
    shares = softmax(Tensor(scores)).numpy()
    case = "the sum of 100,000 shares in float32"
    expect(shares.astype(np.float64).sum(), 1, case, atol=1e-5)
    expect(shares.dtype, np.float32, f"{case}: their dtype")


def test_pytorch_spellings():
    scores = Tensor([[0.0, 1.0], [2.0, 5.0]])
    below = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-4))
    columns = [[1 - below[0], 1 - below[1]], below]
    expect(softmax(scores, dim=0), columns, "softmax(x, dim=0)", rtol=1e-5)
    expect(softmax(scores, axis=0), columns, "softmax(x, axis=0)", rtol=1e-5)
    expect(softmax(scores, 0), columns, "softmax(x, 0)", rtol=1e-5)
    expect(softmax(scores, -2), columns, "softmax(x, -2)", rtol=1e-5)
    expect(Softmax(dim=0)(scores), columns, "Softmax(dim=0)", rtol=1e-5)
    expect(Softmax(0)(scores), columns, "Softmax(0)", rtol=1e-5)
    expect(softmax(scores).numpy().sum(axis=1), [1, 1], "softmax(x): the sums of the rows", rtol=1e-6)
    expect(Softmax()(scores), softmax(scores).numpy(), "Softmax() beside softmax(x)")


def test_errors_name_the_axis_the_word_and_the_class():
    table = Tensor(np.zeros((2, 3)))
    for axis in (4, -3):
        expect_error(IndexError, [axis, 2], softmax, table, axis=axis)
        expect_error(IndexError, axis, Softmax(dim=axis), table)
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
    expect(repr(layer), text, "as it is printed")
    expect(layer(x), function(x).numpy(), f"{text}, called")
    expect(layer.forward(x), function(x).numpy(), f"{text}.forward")


def test_results_are_recorded():
    x = Tensor(np.linspace(-2, 2, 6).reshape(2, 3), requires_grad=True)
    operations = {value.__name__ for value in vars(activations).values() if isinstance(value, Op)}
    results = {name: function(x) for name, function in {**ELEMENTWISE, "softmax": softmax}.items()}
    for name, result in results.items():
        expect(result.requires_grad, True, f"{name} of a tensor that requires a gradient: requires_grad")
    recorded = {result.node.op.__name__ for result in results.values()}
    expect(sorted(recorded), sorted(operations), "the operations that were recorded")
