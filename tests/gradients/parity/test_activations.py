"""Module 02 against PyTorch: values, gradients, edges, and the calls that a PyTorch user would type."""

import importlib.util
import math

import numpy as np
import pytest
from close import MANY as MANY_TERMS
from close import RTOL, agree
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import arrays, axes, shapes

torch = pytest.importorskip("torch")

import tinytorch  # noqa: E402
import tinytorch.nn.functional as F  # noqa: E402
from tinytorch import Tensor, nn  # noqa: E402

pytestmark = pytest.mark.parity
MANY = settings(max_examples=60, deadline=None, derandomize=True)
needs_autograd = pytest.mark.skipif(
    importlib.util.find_spec("tinytorch.core.autograd") is None, reason="gradients arrive with module 05"
)

ELEMENTWISE = {
    "relu": (F.relu, torch.relu),
    "sigmoid": (F.sigmoid, torch.sigmoid),
    "tanh": (F.tanh, torch.tanh),
    "gelu": (F.gelu, torch.nn.functional.gelu),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    ),
}
every_function = pytest.mark.parametrize("name", ELEMENTWISE)
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def theirs(array, requires_grad=False):
    return torch.tensor(array.copy(), requires_grad=requires_grad)


@st.composite
def array_and_axis(draw, low=-30.0, high=30.0):
    """An array with at least one axis, and one of its axes, negative as often as not."""
    shape = draw(shapes(min_dims=1))
    return draw(arrays(shape, low, high)), draw(axes(len(shape), several=False))


class TestValues:
    @every_function
    @both_dtypes
    @MANY
    @given(data=st.data())
    def test_elementwise(self, name, dtype, data):
        array = data.draw(arrays(data.draw(shapes()), -12.0, 12.0, dtype))
        ours, reference = ELEMENTWISE[name]
        scale = np.abs(array).max(initial=0) if name.startswith("gelu") else 0
        agree(ours(Tensor.wrap(array)).numpy(), reference(theirs(array)), scale=scale)

    @both_dtypes
    @MANY
    @given(drawn=array_and_axis())
    def test_softmax(self, dtype, drawn):
        array, axis = drawn
        array = array.astype(dtype)
        agree(F.softmax(Tensor.wrap(array), dim=axis).numpy(), torch.softmax(theirs(array), dim=axis))

    @both_dtypes
    def test_softmax_over_many_scores(self, dtype):
        scores = np.random.default_rng(0).normal(0, 4, (3, 20_000)).astype(dtype)
        agree(F.softmax(Tensor.wrap(scores), dim=1).numpy(), torch.softmax(theirs(scores), dim=1), terms=MANY_TERMS)

    @every_function
    @pytest.mark.parametrize("dtype", [np.int32, np.int64])
    def test_integers(self, name, dtype):
        ours, reference = ELEMENTWISE[name]
        array = np.arange(-4, 5, dtype=dtype)
        tensor = theirs(array)
        if name.startswith("gelu"):  # PyTorch's takes no integers
            tensor = tensor.to(torch.float32)
        agree(ours(Tensor(array)).numpy(), reference(tensor))


class TestEdges:
    """Where PyTorch gives a number, so do we, and without a warning of NumPy's; where it gives NaN, so do we."""

    @pytest.fixture(autouse=True)
    def floating_point_errors(self):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            yield

    @every_function
    @both_dtypes
    def test_far_from_zero(self, name, dtype):
        ours, reference = ELEMENTWISE[name]
        array = np.array([-1e30, -1e4, -1000, -89, -20, -0.0, 0, 1e-30, 20, 89, 1000, 1e4, 1e30], dtype)
        agree(ours(Tensor.wrap(array)).numpy(), reference(theirs(array)))

    @every_function
    @both_dtypes
    @pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan])
    def test_not_finite(self, name, dtype, value):
        ours, reference = ELEMENTWISE[name]
        expected = reference(theirs(np.full(5, value, dtype))).numpy()
        if not (name == "gelu" and value == math.inf):  # PyTorch's vector code gives nan there, its scalar code inf
            np.testing.assert_array_equal(ours(Tensor.wrap(np.full(5, value, dtype))).numpy(), expected, strict=True)

    @both_dtypes
    def test_small_sigmoids_to_the_last_digit(self, dtype):
        array = np.linspace(-85, -5, 161, dtype=dtype)
        ours, expected = F.sigmoid(Tensor.wrap(array)).numpy(), torch.sigmoid(theirs(array)).numpy()
        np.testing.assert_allclose(ours, expected, rtol=RTOL[expected.dtype.name], atol=0)

    @both_dtypes
    def test_softmax(self, dtype):
        inf = math.inf
        numbers = [[1000, 1000, -1000], [-1e30, 0, 1e30], [-inf, 0, 1], [-inf, -inf, 5]]
        array = np.array([*numbers, [-inf] * 3, [inf, 0, 0], [math.nan, 0, 0]], dtype)
        for axis in (0, 1):
            agree(F.softmax(Tensor.wrap(array), dim=axis).numpy(), torch.softmax(theirs(array), dim=axis))

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
    def test_softmax_of_nothing(self, shape):
        array = np.zeros(shape, np.float32)
        for axis in range(-len(shape), len(shape)):
            agree(F.softmax(Tensor.wrap(array), dim=axis).numpy(), torch.softmax(theirs(array), dim=axis))

    def test_missing_axis(self):
        for dim in (2, -3):
            with pytest.raises(IndexError):
                torch.softmax(torch.zeros(2, 3), dim=dim)
            with pytest.raises(IndexError, match=f"axis {dim}"):
                F.softmax(Tensor(np.zeros((2, 3))), dim=dim)


class TestCalls:
    """The same text, once with our names and once with PyTorch's."""

    CALLS = [
        "torch.relu(x)",
        "torch.sigmoid(x)",
        "torch.tanh(x)",
        "torch.softmax(x, dim=1)",
        "torch.softmax(x, -1)",
        "F.relu(x)",
        "F.sigmoid(x)",
        "F.tanh(x)",
        "F.gelu(x)",
        "F.gelu(x, approximate='tanh')",
        "F.softmax(x, dim=0)",
        "F.softmax(x, 1)",
        "nn.functional.softmax(x, dim=1)",
        "nn.ReLU()(x)",
        "nn.Sigmoid()(x)",
        "nn.Tanh()(x)",
        "nn.GELU()(x)",
        "nn.GELU('tanh')(x)",
        "nn.GELU(approximate='tanh')(x)",
        "nn.Softmax(dim=1)(x)",
        "nn.Softmax(0)(x)",
        "nn.ReLU().forward(x)",
    ]
    LAYERS = ["ReLU()", "Sigmoid()", "Tanh()", "GELU()", "GELU('tanh')", "Softmax(dim=1)", "Softmax(-1)"]
    ARRAY = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)

    @pytest.mark.parametrize("call", CALLS)
    def test_call(self, call):
        ours = eval(call, {"torch": tinytorch, "nn": nn, "F": F, "x": Tensor(self.ARRAY)})
        reference = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "x": theirs(self.ARRAY)}
        agree(ours.numpy(), eval(call, reference))

    @pytest.mark.parametrize("layer", LAYERS)
    def test_repr(self, layer):
        assert repr(eval(f"nn.{layer}", {"nn": nn})) == repr(eval(f"nn.{layer}", {"nn": torch.nn}))


@needs_autograd
class TestGradients:
    @every_function
    @both_dtypes
    @MANY
    @given(data=st.data())
    def test_elementwise(self, name, dtype, data):
        array = data.draw(arrays(data.draw(shapes()), -6.0, 6.0, dtype))
        self.compare(*ELEMENTWISE[name], array)

    @both_dtypes
    @MANY
    @given(drawn=array_and_axis(low=-8.0, high=8.0))
    def test_softmax(self, dtype, drawn):
        array, axis = drawn
        self.compare(lambda x: F.softmax(x, dim=axis), lambda x: torch.softmax(x, dim=axis), array.astype(dtype))

    @every_function
    @both_dtypes
    def test_far_from_zero(self, name, dtype):
        self.compare(*ELEMENTWISE[name], np.array([-1000, -100, -20, 0, 20, 100, 1000], dtype))

    @both_dtypes
    def test_softmax_far_from_zero(self, dtype):
        array = np.array([[1000, -1000, 1000], [-math.inf, 0, 1], [-100, 0, 100]], dtype)
        self.compare(lambda x: F.softmax(x, dim=1), lambda x: torch.softmax(x, dim=1), array)

    @every_function
    def test_used_twice(self, name):
        ours, reference = ELEMENTWISE[name]
        array = np.linspace(-3, 3, 7)
        self.compare(lambda x: ours(x) * ours(2 * x) + x, lambda x: reference(x) * reference(2 * x) + x, array)

    @staticmethod
    def compare(ours, reference, array):
        """The gradient of a sum with weights, by `backward` on both sides."""
        weights = np.random.default_rng(1).normal(size=array.shape).astype(array.dtype)
        x, expected = Tensor.wrap(array).requires_grad_(), theirs(array, requires_grad=True)
        ours(x).backward(weights)
        reference(expected).backward(theirs(weights))
        agree(x.grad, expected.grad, scale=np.abs(weights).max(initial=0))
