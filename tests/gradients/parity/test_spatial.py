"""Convolution and pooling against PyTorch: values and all gradients of all three kernels, and the calls people type."""

import math
import warnings
from functools import partial

import close
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tinytorch import nn  # noqa: E402
from tinytorch.core.tensor import Tensor, manual_seed  # noqa: E402
from tinytorch.kernels import spatial, use_kernels  # noqa: E402
from tinytorch.kernels.blocks import make_blocks  # noqa: E402
from tinytorch.kernels.spatial import winograd  # noqa: E402
from tinytorch.kernels.spatial.windows import window_geometry  # noqa: E402
from tinytorch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.parity

MANY = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=40)
KERNELS = ("loops", "product", "fast")
each_kind = pytest.mark.parametrize("kernels", KERNELS)
ORDERS = st.sampled_from(["contiguous", "channels last", "strided", "flipped", "broadcast"])
DTYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 99)
CHANNELS = st.sampled_from([1, 2, 3, 5, 9, 16, 20])


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def windows(draw, is_pooling=False, most=5, room=12):
    """(size, kernel, stride, padding): even and uneven, strides beyond the kernel, sizes that do not divide."""
    kernel, stride = draw(pairs(1, most)), draw(pairs(1, most + 1))
    padding = tuple(draw(st.integers(0, k // 2 if is_pooling else 3)) for k in kernel)
    rooms = st.sampled_from([0, 1, 2, 3, 5, room])
    size = tuple(max(1, k - 2 * p) + draw(rooms) for k, p in zip(kernel, padding, strict=True))
    return size, kernel, stride, padding


def in_order(array, order):
    """The same entries in another memory order; "broadcast" gives all images the first one's numbers and memory."""
    if order == "channels last":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if order == "strided":
        wide = np.zeros((*array.shape[:3], 2 * array.shape[3]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if order == "flipped":
        return np.ascontiguousarray(array[:, :, ::-1])[:, :, ::-1]
    if order == "broadcast" and len(array):
        return np.broadcast_to(array[:1], array.shape)
    return array


agree = partial(close.agree, terms=close.MANY)


def leaf(array):
    return Tensor.wrap(array).requires_grad_()


def theirs_of(array):
    return torch.tensor(np.array(array, order="C"), requires_grad=True)


def compare_conv(n, c, o, window, bias, order, dtype, seed, kernels):
    size, kernel, stride, padding = window
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal(shape).astype(dtype) for shape in ((n, c, *size), (o, c, *kernel), (o,))]
    arrays[0] = in_order(arrays[0], order)
    ours = [leaf(array) for array in arrays[: 3 if bias else 2]]
    theirs = [theirs_of(array) for array in arrays[: 3 if bias else 2]]
    out = F.conv2d(*ours, stride=stride, padding=padding, kernels=kernels)
    expected = torch.nn.functional.conv2d(*theirs, stride=stride, padding=padding)
    agree(out.numpy(), expected)
    grad = in_order(random.standard_normal(expected.shape).astype(dtype), order)
    out.backward(grad)
    expected.backward(torch.tensor(np.array(grad, order="C")))
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad)


def compare_pool(kind, n, c, window, order, dtype, has_ties, seed, kernels):
    size, kernel, stride, padding = window
    random = np.random.default_rng(seed)
    array = random.standard_normal((n, c, *size)).astype(dtype)
    array = in_order(np.round(array) if has_ties else array - 10, order)
    ours, theirs = leaf(array), theirs_of(array)
    out = getattr(F, kind)(ours, kernel, stride, padding, kernels=kernels)
    expected = getattr(torch.nn.functional, kind)(theirs, kernel, stride, padding)
    agree(out.numpy(), expected)
    grad = in_order(random.standard_normal(expected.shape).astype(dtype), order)
    out.backward(grad)
    expected.backward(torch.tensor(np.array(grad, order="C")))
    agree(ours.grad, theirs.grad)


# Functions and their gradients


@pytest.mark.parametrize("kernels", ["product", "fast"])
@MANY
@given(st.integers(0, 5), CHANNELS, CHANNELS, windows(), st.booleans(), ORDERS, DTYPES, SEEDS)
@example(2, 3, 4, ((5, 7), (3, 3), (1, 1), (3, 3)), True, "contiguous", np.float64, 0)  # more padding than kernel - 1
@example(2, 9, 9, ((5, 7), (1, 1), (1, 1), (2, 3)), True, "contiguous", np.float64, 0)
@example(1, 9, 4, ((5, 7), (5, 7), (1, 1), (0, 0)), True, "contiguous", np.float64, 0)  # one window
@example(2, 2, 3, ((7, 7), (2, 2), (6, 5), (0, 0)), True, "contiguous", np.float64, 0)  # pixels that no window sees
@example(2, 9, 9, ((2, 2), (5, 5), (1, 1), (2, 2)), True, "channels last", np.float64, 0)  # a kernel beyond the image
@example(0, 16, 16, ((8, 8), (3, 3), (1, 1), (1, 1)), True, "contiguous", np.float32, 0)
@example(1, 1, 1, ((1, 1), (1, 1), (6, 6), (0, 0)), False, "contiguous", np.float32, 0)
def test_conv2d_and_its_gradients(kernels, n, c, o, window, bias, order, dtype, seed):
    compare_conv(n, c, o, window, bias, order, dtype, seed, kernels)


@FEW
@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 3), windows(most=3, room=4), st.booleans(), ORDERS, DTYPES,
       SEEDS)  # fmt: skip
@example(1, 1, 2, ((3, 4), (3, 4), (1, 1), (0, 0)), True, "strided", np.float32, 0)
@example(2, 2, 2, ((2, 2), (2, 3), (3, 4), (3, 3)), True, "contiguous", np.float64, 0)
def test_conv2d_and_its_gradients_by_loops(n, c, o, window, bias, order, dtype, seed):
    compare_conv(n, c, o, window, bias, order, dtype, seed, "loops")


@FEW
@given(st.integers(0, 9), st.sampled_from([16, 17, 32]), st.sampled_from([16, 19, 64]), pairs(6, 24), pairs(0, 3),
       ORDERS, DTYPES, SEEDS)  # fmt: skip
@example(2, 16, 16, (5, 5), (0, 0), "contiguous", np.float32, 0)
@example(2, 16, 16, (16, 16), (1, 1), "broadcast", np.float32, 0)
def test_3x3_with_many_channels(n, c, o, size, padding, order, dtype, seed):
    compare_conv(n, c, o, (size, (3, 3), (1, 1), padding), True, order, dtype, seed, "fast")


@pytest.mark.parametrize(("c", "o", "kernel", "stride"), [(3, 8, 3, 1), (12, 8, 5, 1), (16, 16, 3, 1), (12, 40, 3, 2)])
def test_images_larger_than_a_block(c, o, kernel, stride):
    assert len(make_blocks(1, 150, 150 * c * kernel**2 * 4)) > 1, "the image fits one block; take a larger one"
    window = (300, 301), (kernel, kernel), (stride, stride), (1, 2)
    compare_conv(2, c, o, window, True, "contiguous", np.float32, 0, "fast")


@each_kind
@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
@FEW
@given(st.integers(0, 4), st.integers(1, 3), windows(is_pooling=True, most=4, room=6), ORDERS, DTYPES, st.booleans(),
       SEEDS)  # fmt: skip
@example(2, 3, ((6, 8), (2, 2), (2, 2), (0, 0)), "channels last", np.float32, True, 0)
@example(2, 3, ((7, 8), (2, 2), (2, 2), (0, 0)), "contiguous", np.float64, True, 0)  # the last row is left over
@example(2, 1, ((3, 5), (3, 5), (1, 1), (1, 2)), "contiguous", np.float64, True, 0)
def test_pooling_and_its_gradient(kernels, kind, n, c, window, order, dtype, has_ties, seed):
    compare_pool(kind, n, c, window, order, dtype, has_ties, seed, kernels)


@each_kind
@FEW
@given(windows(is_pooling=True, most=3, room=4), st.integers(0, 2**30))
def test_one_nan_in_max_pooling(kernels, window, seed):
    size, kernel, stride, padding = window
    array = np.random.default_rng(seed).standard_normal((1, 2, *size))
    array.flat[seed % array.size] = np.nan
    ours, theirs = leaf(array), theirs_of(array)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = F.max_pool2d(ours, kernel, stride, padding, kernels=kernels)
        out.sum().backward()
    expected = torch.nn.functional.max_pool2d(theirs, kernel, stride, padding)
    expected.sum().backward()
    agree(out.numpy(), expected)
    agree(ours.grad, theirs.grad)


@each_kind
@FEW
@given(windows(is_pooling=True, most=3, room=4), st.integers(0, 2**30))
def test_many_nan_and_infinities_in_max_pooling(kernels, window, seed):
    """The gradient beside padding, and of several nan, goes where PyTorch's goes."""
    size, kernel, stride, padding = window
    random = np.random.default_rng(seed)
    array = random.choice([-np.inf, -np.inf, 1.0, np.inf, np.nan], (1, 2, *size), p=[0.4, 0.2, 0.2, 0.1, 0.1])
    ours, theirs = leaf(array), theirs_of(array)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = F.max_pool2d(ours, kernel, stride, padding, kernels=kernels)
        grad = random.standard_normal(out.shape)
        out.backward(grad)
    expected = torch.nn.functional.max_pool2d(theirs, kernel, stride, padding)
    expected.backward(torch.tensor(grad))
    agree(out.numpy(), expected)
    agree(ours.grad, theirs.grad)


def wide_images(dtype=np.float32):
    random = np.random.default_rng(5)
    x, weight = (
        random.standard_normal((4, 16, 16, 16)).astype(dtype),
        random.standard_normal((16, 16, 3, 3)).astype(dtype),
    )
    return x, weight


@pytest.mark.parametrize("pixel", [1e5, 1e8, 2e37, 1e38, math.inf, math.nan])
def test_a_large_pixel_spoils_only_the_outputs_that_see_it(pixel):
    """With 16 channels and kernels of 3 x 3, where Winograd's transforms would mix it into whole tiles."""
    x, weight = wide_images()
    alone = F.conv2d(Tensor(x), Tensor(weight), padding=1).numpy()
    x[1, 3, 7, 9] = pixel
    with np.errstate(all="ignore"):
        got = F.conv2d(Tensor(x), Tensor(weight), padding=1).numpy()
    sees = np.zeros(got.shape, bool)
    sees[1, :, 6:9, 8:11] = True
    assert np.abs(got - alone)[~sees].max() < 1e-3
    expected = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), padding=1).numpy()
    assert np.array_equal(np.isfinite(got), np.isfinite(expected))


@pytest.mark.parametrize("pixel", [1e8, 2e37, math.inf])
def test_gradients_with_a_large_pixel(pixel):
    x, weight = wide_images()
    x[1, 3, 7, 9] = pixel
    mine, theirs = [leaf(x), leaf(weight)], [theirs_of(x), theirs_of(weight)]
    with np.errstate(all="ignore"):
        F.conv2d(*mine, padding=1).sum().backward()
    torch.nn.functional.conv2d(*theirs, padding=1).sum().backward()
    for one, other in zip(mine, theirs, strict=True):
        assert np.array_equal(np.isfinite(one.grad), np.isfinite(other.grad.numpy()))
        agree(one.grad, other.grad)


def test_float16_is_not_computed_by_transforms():
    x, weight = wide_images(np.float16)
    exact = torch.nn.functional.conv2d(torch.tensor(x).double(), torch.tensor(weight).double()).numpy()
    errors = {kernels: np.abs(F.conv2d(Tensor(x), Tensor(weight), kernels=kernels).numpy() - exact).max()
              for kernels in ("product", "fast")}  # fmt: skip
    assert errors["fast"] <= 2 * errors["product"]
    geometry = window_geometry(x, (3, 3), (1, 1), (0, 0))
    assert [winograd.winograd_pays(x.astype(dtype), 16, 16, geometry) for dtype in (np.float16, np.float32)] == [
        False,
        True,
    ]


def test_an_ordinary_image_is_computed_by_transforms(monkeypatch):
    """Or the tests above would prove nothing."""
    x, weight = wide_images()
    levels = []
    is_level = winograd.is_level
    monkeypatch.setattr(winograd, "is_level", lambda *what: levels.append(is_level(*what)) or levels[-1])
    F.conv2d(Tensor(x), Tensor(weight), padding=1)
    assert levels
    assert all(levels)
    x[1, 3, 7, 9] = 1e8
    F.conv2d(Tensor(x), Tensor(weight), padding=1)
    assert levels.count(False) == 1


@each_kind
@pytest.mark.parametrize("x", [[math.inf, 1.0, -1.0, 0.0], [-math.inf] * 4, [math.inf, -math.inf, 2.0, 1e38]])
def test_infinities(x, kernels):
    array = np.array(x, np.float32).reshape(1, 1, 2, 2)
    weight = np.ones((1, 1, 1, 1), np.float32)
    agree(F.max_pool2d(Tensor(array), 2, kernels=kernels).numpy(), torch.nn.functional.max_pool2d(theirs_of(array), 2))
    got = F.conv2d(Tensor(array), Tensor(weight), kernels=kernels)
    agree(got.numpy(), torch.nn.functional.conv2d(theirs_of(array), theirs_of(weight)))


@pytest.mark.parametrize(("c", "o"), [(3, 32), (16, 16), (12, 24)])
def test_sums_do_not_depend_on_the_number_of_threads(c, o, monkeypatch):
    random = np.random.default_rng(0)
    x, grad = (random.standard_normal((13, k, 32, 32)).astype(np.float32) for k in (c, o))
    weight = random.standard_normal((o, c, 3, 3)).astype(np.float32)

    def gradients():
        wants = {"stride": (1, 1), "padding": (1, 1), "needs": (True, True, True)}
        return spatial.convolve_gradient(grad, None, x, weight, **wants)

    several = gradients()
    monkeypatch.setenv("TINYTORCH_THREADS", "1")
    for one, other in zip(gradients(), several, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("channels", [(0, 3), (0, 20), (3, 0), (9, 0), (16, 0), (0, 0)])
@pytest.mark.parametrize("stride", [1, 2])
def test_without_channels_the_fast_kernels_give_what_the_product_gives(channels, stride):
    """PyTorch knows no convolution to 0 channels."""
    (c, o), found = channels, []
    for kernels in ("product", "fast"):
        inputs = [leaf(np.ones(shape)) for shape in ((2, c, 9, 9), (o, c, 3, 3), (o,))]
        out = F.conv2d(*inputs, stride=stride, kernels=kernels)
        out.backward(np.ones(out.shape))
        found.append([out.numpy(), *(one.grad for one in inputs)])
    for product, fast in zip(*found, strict=True):
        np.testing.assert_array_equal(fast, product)
        assert fast.dtype == product.dtype
    some = spatial.ConvolutionOfSome(inputs[1].numpy(), stride=(stride, stride), padding=(0, 0))
    np.testing.assert_array_equal(some(inputs[0].numpy()), np.zeros((2, *out.shape[2:], o)))


def test_gradients_that_nobody_wants_are_not_computed():
    x, weight = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
    grad = np.ones((2, 4, 6, 6), np.float32)
    for wanted in range(3):
        needs = tuple(i == wanted for i in range(3))
        answers = spatial.convolve_gradient(grad, None, x, weight, stride=(1, 1), padding=(0, 0), needs=needs)
        assert [answer is not None for answer in answers] == list(needs)


def test_a_result_has_channels_last_memory_and_pooling_keeps_it():
    one = {"stride": (1, 1), "padding": (0, 0)}
    out = spatial.convolve(np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32), **one)
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    halves = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}
    pooled = spatial.pool_max(out, **halves)
    assert pooled.transpose(0, 2, 3, 1).flags.c_contiguous
    assert spatial.pool_max(np.ones((2, 3, 8, 8)), **halves).flags.c_contiguous


# Layers, as a PyTorch user types them

CONVOLUTIONS = [
    "Conv2d(3, 6, 5)",
    "Conv2d(3, 6, (3, 2))",
    "Conv2d(3, 6, 3, 2)",
    "Conv2d(3, 6, 3, (2, 1), 1)",
    "Conv2d(3, 6, 3, 1, (1, 0))",
    "Conv2d(3, 6, kernel_size=3, padding=1)",
    "Conv2d(3, 6, kernel_size=[3, 5], stride=[1, 2], padding=[1, 2])",
    "Conv2d(3, 6, 1, bias=False)",
    "Conv2d(in_channels=3, out_channels=1, kernel_size=(1, 5), stride=2, padding=(0, 2), bias=True)",
]
POOLS = [
    "MaxPool2d(2)",
    "MaxPool2d((3, 2))",
    "MaxPool2d(3, 2)",
    "MaxPool2d(3, stride=(2, 1), padding=1)",
    "MaxPool2d(kernel_size=2, stride=None)",
    "MaxPool2d(2, 3, (1, 0))",
    "AvgPool2d(2)",
    "AvgPool2d((3, 2), stride=1)",
    "AvgPool2d(3, 2, 1)",
    "AvgPool2d(kernel_size=(2, 4), stride=None, padding=(1, 2))",
]
FLATTENS = ["Flatten()", "Flatten(0)", "Flatten(1, 2)", "Flatten(start_dim=0, end_dim=-2)", "Flatten(2)"]


@pytest.mark.parametrize("text", CONVOLUTIONS)
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (3, 8, 9), (0, 3, 8, 9)], ids=str)
@each_kind
def test_convolution_layers(text, shape, kernels):
    ours, theirs = eval(text, {"Conv2d": nn.Conv2d}), eval(text, vars(torch.nn))
    assert repr(ours) == repr(theirs)
    assert [(name, p.shape) for name, p in ours.named_parameters()] == [
        (name, tuple(p.shape)) for name, p in theirs.named_parameters()
    ]
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    use_kernels(ours, kernels)
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x, their_x = leaf(array), theirs_of(array)
    out, expected = ours(x), theirs(their_x)
    agree(out.numpy(), expected)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    agree(x.grad, their_x.grad)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(mine.grad, other.grad)


@pytest.mark.parametrize("text", POOLS)
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (3, 8, 9), (0, 3, 8, 9)], ids=str)
@each_kind
def test_pooling_layers(text, shape, kernels):
    name = text[: text.index("(")]
    ours, theirs = eval(text, {name: getattr(nn, name)}), eval(text, vars(torch.nn))
    assert repr(ours) == repr(theirs).replace(", dilation=1, ceil_mode=False", "")
    array = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x, their_x = leaf(array), theirs_of(array)
    out, expected = use_kernels(ours, kernels)(x), theirs(their_x)
    agree(out.numpy(), expected)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    agree(x.grad, their_x.grad)


@pytest.mark.parametrize("text", FLATTENS)
def test_flatten_layers(text):
    ours, theirs = eval(text, {"Flatten": nn.Flatten}), eval(text, vars(torch.nn))
    assert repr(ours) == repr(theirs)
    array = np.random.default_rng(2).standard_normal((2, 3, 4, 5))
    agree(ours(Tensor.wrap(array)).numpy(), theirs(torch.tensor(array)))


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x, w, b: f.conv2d(x, w),
        lambda f, x, w, b: f.conv2d(x, w, b),
        lambda f, x, w, b: f.conv2d(x, w, b, 2),
        lambda f, x, w, b: f.conv2d(x, w, b, (1, 2), (1, 0)),
        lambda f, x, w, b: f.conv2d(x, weight=w, bias=None, stride=1, padding=2),
        lambda f, x, w, b: f.conv2d(x[0], w, b),
        lambda f, x, w, b: f.max_pool2d(x, 2),
        lambda f, x, w, b: f.max_pool2d(x, kernel_size=(2, 3), stride=1, padding=1),
        lambda f, x, w, b: f.max_pool2d(x[0], 3, 2, 1),
        lambda f, x, w, b: f.avg_pool2d(x, 2),
        lambda f, x, w, b: f.avg_pool2d(x, (3, 2), stride=(1, 2), padding=(1, 0)),
        lambda f, x, w, b: f.avg_pool2d(x[0], kernel_size=2, stride=None),
    ],
)
def test_functions_as_in_pytorch(call):
    random = np.random.default_rng(3)
    arrays = [random.standard_normal(shape) for shape in ((2, 3, 6, 7), (4, 3, 3, 2), (4,))]
    expected = call(torch.nn.functional, *map(torch.tensor, arrays))
    agree(call(F, *map(Tensor.wrap, arrays)).numpy(), expected)


REFUSED = [
    (lambda m: m.Conv2d(3, 4, 3), (2, 5, 8, 8)),
    (lambda m: m.Conv2d(3, 4, 3), (8, 8)),
    (lambda m: m.Conv2d(3, 4, 3), (1, 2, 3, 8, 8)),
    (lambda m: m.Conv2d(3, 4, 3), (1, 3, 2, 8)),
    (lambda m: m.Conv2d(3, 4, (3, 7), padding=1), (1, 3, 8, 4)),
    (lambda m: m.Conv2d(3, 4, 3, stride=0), (1, 3, 8, 8)),
    (lambda m: m.Conv2d(3, 4, 3, padding=-1), (1, 3, 8, 8)),
    (lambda m: m.MaxPool2d(5), (1, 3, 4, 8)),
    (lambda m: m.MaxPool2d(2, padding=2), (1, 3, 4, 8)),
    (lambda m: m.MaxPool2d(2), (8, 8)),
    (lambda m: m.AvgPool2d(5), (1, 3, 4, 8)),
    (lambda m: m.AvgPool2d((2, 3), padding=(1, 2)), (1, 3, 4, 8)),
    (lambda m: m.AvgPool2d(2, stride=0), (1, 3, 4, 8)),
]


@pytest.mark.parametrize(("make", "shape"), REFUSED)
def test_what_pytorch_refuses_is_refused(make, shape):
    with pytest.raises((RuntimeError, ValueError)):
        make(torch.nn)(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"(Conv|MaxPool|AvgPool)2d\("):
        make(nn)(Tensor(np.zeros(shape)))


# Networks


def lenet(m):
    eyes = m.Conv2d(1, 6, 5, padding=2), m.ReLU(), m.MaxPool2d(2), m.Conv2d(6, 16, 5), m.ReLU(), m.MaxPool2d(2)
    return m.Sequential(*eyes, m.Flatten(), m.Linear(400, 120), m.ReLU(), m.Linear(120, 10))


def two_layers(m):
    eyes = m.Conv2d(3, 32, 3, padding=1), m.ReLU(), m.MaxPool2d(2), m.Conv2d(32, 64, 3, padding=1), m.ReLU()
    return m.Sequential(*eyes, m.MaxPool2d(2), m.Flatten(), m.Linear(4096, 128), m.ReLU(), m.Linear(128, 10))


@pytest.mark.parametrize("kernels", ["product", "fast"])
@pytest.mark.parametrize(("make", "shape"), [(lenet, (6, 1, 28, 28)), (two_layers, (4, 3, 32, 32))])
def test_networks(make, shape, kernels):
    """In float64: in float32 one entry in 131,072 may round to the other side of a ReLU, and its gradient with it."""
    manual_seed(0)
    ours, theirs = make(nn), make(torch.nn).double()
    for parameter in ours.parameters():
        parameter.data = parameter.data.astype(np.float64)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    use_kernels(ours, kernels)
    array, labels = np.random.default_rng(4).standard_normal(shape), np.arange(shape[0]) % 10
    loss = nn.CrossEntropyLoss()(ours(Tensor.wrap(array)), labels)
    expected = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(array)), torch.tensor(labels))
    loss.backward()
    expected.backward()
    agree(loss.numpy(), expected)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(mine.grad, other.grad)
