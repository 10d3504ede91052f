"""The public behaviour of tinytorch.core.spatial: three kinds of kernels with the same results, and the layers."""

import copy
import itertools
import math
import warnings

import numpy as np
import pytest

from tinytorch import nn
from tinytorch.core import autograd, spatial
from tinytorch.core.spatial import (
    AvgPool2d,
    Conv2d,
    Flatten,
    MaxPool2d,
    avg_pool2d,
    conv2d,
    conv2d_naive,
    conv_cost,
    conv_output_size,
    correlate,
    flatten,
    im2col,
    max_pool2d,
)
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.kernels import use_kernels

KINDS = ("loops", "product", "fast")
each_kind = pytest.mark.parametrize("kernels", KINDS)
LAYOUTS = ("contiguous", "channels last", "every other", "reversed")

# (N, C, H, W), output channels, window, stride, padding
GEOMETRIES = [
    ((2, 3, 5, 7), 4, (2, 3), (2, 1), (1, 2)),
    ((1, 1, 1, 1), 1, (1, 1), (1, 1), (0, 0)),
    ((2, 2, 4, 3), 3, (4, 3), (1, 1), (0, 0)),  # a window as large as the image
    ((2, 3, 7, 7), 2, (2, 2), (3, 4), (0, 0)),  # pixels that no window sees
    ((2, 5, 6, 5), 3, (1, 1), (1, 1), (0, 0)),
    ((1, 2, 5, 5), 2, (1, 1), (2, 3), (1, 2)),  # windows on nothing but padding
    ((3, 2, 8, 9), 2, (4, 2), (1, 2), (2, 1)),  # even, and the size does not divide
    ((0, 2, 5, 5), 3, (3, 3), (1, 1), (1, 1)),
    ((2, 9, 4, 4), 5, (2, 2), (1, 1), (3, 2)),  # more padding than the window is large
    ((1, 6, 3, 3), 2, (5, 3), (1, 1), (1, 1)),  # a window larger than the image, but not than the padded one
    ((1, 9, 6, 6), 9, (3, 3), (1, 1), (1, 1)),
    ((2, 9, 7, 6), 3, (3, 2), (2, 1), (1, 1)),
    ((6, 16, 8, 11), 16, (3, 3), (1, 1), (1, 1)),  # enough channels for the short way of 3 x 3
    ((4, 16, 12, 12), 17, (3, 3), (1, 1), (0, 2)),
]
POOLINGS = [
    ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0)),
    ((2, 2, 7, 5), (3, 2), (1, 2), (1, 1)),
    ((1, 2, 7, 7), (2, 2), (3, 3), (0, 0)),
    ((2, 1, 5, 4), (5, 4), (1, 1), (0, 0)),
    ((2, 2, 5, 5), (1, 1), (2, 1), (0, 0)),
    ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0)),
    ((3, 2, 6, 5), (4, 3), (2, 3), (2, 1)),
    ((1, 3, 5, 9), (2, 3), (2, 3), (1, 1)),
]


def laid_out(array, layout):
    """The same numbers in another order in memory."""
    if layout == "channels last":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "every other":
        return np.repeat(array, 2, axis=3)[..., ::2]
    if layout == "reversed":
        return array[:, ::-1, ::-1].copy()[:, ::-1, ::-1]
    return array


def near(got, expected, dtype=None, what=""):
    """The same shape, and numbers that agree to what the dtype can hold, measured by the largest of them."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, what
    assert dtype is None or got.dtype == dtype, what
    tolerance = (1e-10 if got.dtype == np.float64 else 1e-4) * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance, err_msg=str(what))


def by_einsum(x, weight, bias, stride, padding):
    """Convolution by Einstein's sum over windows: short, and written like none of the three."""
    (ph, pw), (sh, sw) = padding, stride
    bordered = np.pad(np.asarray(x, np.float64), [(0, 0), (0, 0), (ph, ph), (pw, pw)])
    seen = np.lib.stride_tricks.sliding_window_view(bordered, weight.shape[2:], (2, 3))
    answer = np.einsum("ncijuv,ocuv->noij", seen[:, :, ::sh, ::sw], weight.astype(np.float64))
    return answer if bias is None else answer + bias[:, None, None]


def leaves(*arrays):
    return [Tensor(array, requires_grad=True, dtype=array.dtype) for array in arrays]


def along_a_line(function, arrays, directions, weights, step=1e-4):
    """Slope of the weighted sum of outputs when all arrays move along their directions, by central differences."""
    ends = []
    for sign in (1, -1):
        moved = [Tensor(a + sign * step * d, dtype=np.float64) for a, d in zip(arrays, directions, strict=True)]
        ends.append((function(*moved).numpy() * weights).sum())
    return (ends[0] - ends[1]) / (2 * step)


# sizes


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [(5, 3, 1, 0, 3), (32, 3, 1, 1, 32), (32, 2, 2, 0, 16), (227, 11, 4, 0, 55), (224, 7, 2, 3, 112), (2, 4, 9, 1, 1)],
)
def test_the_number_of_windows(size, kernel, stride, padding, expected):
    assert conv_output_size(size, kernel, stride, padding) == expected


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        conv_output_size(4, 9, 1, 2)
    assert "9" in str(caught.value)
    assert "8" in str(caught.value)


def test_correlation_does_not_flip():
    ramp = np.outer(np.arange(3.0), np.ones(4))
    assert correlate(ramp, np.array([[-1.0], [1.0]])).tolist() == [[1.0] * 4] * 2
    assert correlate(ramp, np.array([[-1.0, 1.0]])).tolist() == [[0.0] * 3] * 3


def test_columns_are_windows_channel_by_channel():
    x = np.arange(16.0).reshape(1, 2, 2, 4)
    assert im2col(x, (2, 2), (1, 2)).tolist() == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]


@pytest.mark.parametrize(("work", "bytes_moved"), [(884_736, 146_816)])
def test_cost_of_the_first_layer_of_the_cifar_network(work, bytes_moved):
    assert conv_cost(3, 32, 3, 32, padding=1) == (work, bytes_moved)


# convolution: values


@each_kind
def test_a_convolution_worked_out_by_hand(kernels):
    x = Tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    weight, bias = Tensor([[[[1.0, 0.0], [0.0, -1.0]]], [[[0.0, 2.0], [0.0, 0.0]]]]), Tensor([0.5, -1.0])
    out = conv2d(x, weight, bias, kernels=kernels)
    assert out.tolist() == [[[[-3.5, -3.5], [-3.5, -3.5]], [[3.0, 5.0], [9.0, 11.0]]]]
    assert out.dtype == np.float32


@each_kind
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_values_and_gradients_of_convolution(geometry, dtype, kernels):
    shape, o, window, stride, padding = geometry
    random = np.random.default_rng(7)
    if kernels == "loops" and math.prod(shape) * o > 20_000:
        shape = (1, *shape[1:])
    x, w, b = (random.standard_normal(s).astype(dtype) for s in (shape, (o, shape[1], *window), (o,)))
    for layout, bias in itertools.product(LAYOUTS[: 1 if kernels == "loops" else None], (b, None)):
        inputs = leaves(x, w) if bias is None else leaves(x, w, b)
        inputs[0].data = laid_out(x, layout)
        out = conv2d(*inputs, stride=stride, padding=padding, kernels=kernels)
        near(out.numpy(), by_einsum(x, w, bias, stride, padding), dtype, layout)

        # The convolution is linear in each input. So each gradient, times its input, gives back what that input made.
        upstream = random.standard_normal(out.shape).astype(dtype)
        out.backward(laid_out(upstream, layout))
        whole = (by_einsum(x, w, None, stride, padding) * upstream).sum()
        gradients = [tensor.grad for tensor in inputs]
        assert [g.dtype for g in gradients] == [dtype] * len(inputs)
        assert [g.shape for g in gradients] == [tensor.shape for tensor in inputs]
        scale = (1e-10 if dtype == np.float64 else 1e-4) * max(1.0, np.abs(x).sum() * np.abs(w).max())
        assert abs((gradients[0].astype(np.float64) * x).sum() - whole) < scale
        assert abs((gradients[1].astype(np.float64) * w).sum() - whole) < scale
        if bias is not None:
            near(gradients[2], upstream.astype(np.float64).sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients_do_not_depend_on_the_kernels(geometry):
    shape, o, window, stride, padding = geometry
    shape = (min(shape[0], 2), *shape[1:])
    random = np.random.default_rng(8)
    x, w = random.standard_normal(shape), random.standard_normal((o, shape[1], *window))
    found = {}
    for kernels in KINDS:
        inputs = leaves(x, w)
        out = conv2d(*inputs, stride=stride, padding=padding, kernels=kernels)
        out.backward(np.cos(np.arange(out.numel())).reshape(out.shape))
        found[kernels] = [tensor.grad for tensor in inputs]
    for kernels in KINDS[1:]:
        for got, expected in zip(found[kernels], found["loops"], strict=True):
            near(got, expected, what=kernels)


@each_kind
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_gradients_of_convolution_are_slopes(stride, kernels):
    random = np.random.default_rng(9)
    arrays = [random.standard_normal(s) for s in ((2, 2, 5, 6), (3, 2, 3, 2), (3,))]
    directions = [random.standard_normal(a.shape) for a in arrays]
    function = lambda *tensors: conv2d(*tensors, stride=stride, padding=(1, 0), kernels=kernels)  # noqa: E731
    inputs = leaves(*arrays)
    out = function(*inputs)
    weights = random.standard_normal(out.shape)
    out.backward(weights)
    for i, tensor in enumerate(inputs):
        only = [d * (i == j) for j, d in enumerate(directions)]
        slope = along_a_line(function, arrays, only, weights)
        assert abs((tensor.grad * directions[i]).sum() - slope) < 1e-7 * max(1, abs(slope)), f"input {i}"


def test_drawn_convolutions_agree():
    random = np.random.default_rng(10)
    for number in range(40):
        n, c, o = random.integers(0, 3), random.integers(1, 8), random.integers(1, 5)
        window, stride, padding = (
            tuple(random.integers(low, high, 2).tolist()) for low, high in ((1, 5), (1, 6), (0, 4))
        )
        size = [max(1, k - 2 * p) + int(random.integers(0, 4)) for k, p in zip(window, padding, strict=True)]
        x, w = random.standard_normal((n, c, *size)), random.standard_normal((o, c, *window))
        expected = by_einsum(x, w, None, stride, padding)
        for kernels in KINDS:
            got = conv2d(Tensor.wrap(x), Tensor.wrap(w), stride=stride, padding=padding, kernels=kernels)
            near(got.numpy(), expected, np.float64, (number, kernels, x.shape, w.shape, stride, padding))


@pytest.mark.parametrize("settings", [((1, 12, 90, 91), 8, 5, (1, 2)), ((9, 3, 64, 64), 8, 3, (1, 1))])
def test_images_that_need_several_blocks(settings):
    shape, o, k, padding = settings
    random = np.random.default_rng(11)
    x, w = (random.standard_normal(s).astype(np.float32) for s in (shape, (o, shape[1], k, k)))
    found = []
    for kernels in KINDS[1:]:
        inputs = leaves(x, w)
        out = conv2d(*inputs, padding=padding, kernels=kernels)
        out.backward(np.sin(np.arange(out.numel(), dtype=np.float32)).reshape(out.shape))
        found.append([out.numpy(), *(tensor.grad for tensor in inputs)])
    for got, expected in zip(*found, strict=True):
        near(got, expected, np.float32)


@each_kind
def test_the_arguments_are_left_alone(kernels):
    arrays = [np.sin(np.arange(math.prod(s)) + 1.0).reshape(s) for s in ((2, 3, 6, 6), (4, 3, 3, 3), (4,))]
    before = [a.copy() for a in arrays]
    inputs = [Tensor.wrap(a) for a in arrays]
    for tensor in inputs:
        tensor.requires_grad = True
    out = conv2d(*inputs, padding=1, kernels=kernels)
    upstream = np.ones(out.shape)
    max_pool2d(out, 2, kernels=kernels).backward(upstream[:, :, ::2, ::2])
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert upstream.all()


@each_kind
def test_integers_become_float32(kernels):
    x, weight = Tensor(np.arange(18).reshape(1, 2, 3, 3)), Tensor(np.ones((1, 2, 2, 2), np.int64))
    out = conv2d(x, weight, kernels=kernels)
    assert out.dtype == np.float32
    assert out.numpy().ravel().tolist() == [52, 60, 76, 84]
    assert avg_pool2d(x, 3, kernels=kernels).tolist() == [[[[4.0]], [[13.0]]]]
    pooled = max_pool2d(Tensor(np.arange(-9, 0).reshape(1, 1, 3, 3)), 2, padding=1, kernels=kernels)
    assert pooled.dtype == np.int64
    assert pooled.tolist() == [[[[-9, -7], [-3, -1]]]]


def test_only_wanted_gradients_are_there():
    x, weight = Tensor(np.ones((1, 2, 4, 4))), Tensor(np.ones((3, 2, 2, 2)), requires_grad=True)
    for kernels in KINDS:
        conv2d(x, weight, kernels=kernels).sum().backward()
        assert x.grad is None
        assert weight.grad is not None


# pooling


def windows_of(x, window, stride, padding, fill):
    """[(place of the output, rows, columns)] and the padded images: pooling's bookkeeping, said with slices."""
    (kh, kw), (sh, sw), (ph, pw) = window, stride, padding
    bordered = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)], constant_values=fill)
    high, wide = (bordered.shape[2] - kh) // sh + 1, (bordered.shape[3] - kw) // sw + 1
    places = [(i, j) for i in range(high) for j in range(wide)]
    return (
        bordered,
        (high, wide),
        [(p, slice(p[0] * sh, p[0] * sh + kh), slice(p[1] * sw, p[1] * sw + kw)) for p in places],
    )


@each_kind
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("geometry", POOLINGS, ids=str)
def test_values_and_gradients_of_pooling(geometry, dtype, kernels):
    shape, window, stride, padding = geometry
    random = np.random.default_rng(12)
    x = random.permutation(math.prod(shape)).reshape(shape).astype(dtype) / 7 - 100  # all different
    for layout in LAYOUTS:
        for function, fill, reduce in ((max_pool2d, -np.inf, np.max), (avg_pool2d, 0, np.mean)):
            (tensor,) = leaves(x)
            tensor.data = laid_out(x, layout)
            out = function(tensor, window, stride, padding, kernels=kernels)
            bordered, size, places = windows_of(x.astype(np.float64), window, stride, padding, fill)
            expected = np.zeros((*shape[:2], *size))
            back, upstream = np.zeros(bordered.shape), random.standard_normal(expected.shape).astype(dtype)
            for (i, j), rows, columns in places:
                seen, share = bordered[:, :, rows, columns], upstream[:, :, i, j, None, None]
                expected[:, :, i, j] = reduce(seen, axis=(2, 3))
                won = seen == expected[:, :, i, j, None, None] if reduce is np.max else 1 / math.prod(window)
                back[:, :, rows, columns] += share * won
            near(out.numpy(), expected, dtype, (function, layout))
            out.backward(laid_out(upstream, layout))
            (ph, pw), (h, w) = padding, shape[2:]
            near(tensor.grad, back[:, :, ph : ph + h, pw : pw + w], dtype, (function, layout))


@each_kind
def test_the_first_of_equal_entries_gets_the_gradient(kernels):
    (x,) = leaves(np.zeros((1, 1, 4, 4)))
    max_pool2d(x, 2, kernels=kernels).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    (x,) = leaves(np.zeros((1, 1, 3, 3)))
    max_pool2d(x, 2, stride=1, kernels=kernels).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("stride", [1, 2])
def test_nan_wins_and_gets_the_gradient(stride):
    image = np.arange(16.0).reshape(1, 1, 4, 4)
    image[0, 0, 2, 1] = np.nan
    (x,) = leaves(image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = max_pool2d(x, 2, stride=stride)
        out.backward(np.ones(out.shape))
    expected = 1 if stride == 2 else 4
    assert np.isnan(out.numpy()).sum() == expected
    assert x.grad[0, 0, 2, 1] == expected
    assert x.grad.sum() == out.numel()


@each_kind
def test_infinities_in_max_pooling(kernels):
    x = Tensor([[[[-math.inf, -math.inf], [-math.inf, -math.inf]], [[math.inf, 0.0], [1.0, -math.inf]]]])
    assert max_pool2d(x, 2, kernels=kernels).numpy().ravel().tolist() == [-math.inf, math.inf]


@each_kind
def test_where_nothing_else_is_there_an_infinity_gets_the_gradient_and_padding_none(kernels):
    (x,) = leaves(np.full((1, 1, 4, 4), -math.inf))
    max_pool2d(x, 2, 2, 1, kernels=kernels).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]]


def test_of_several_nan_the_last_gets_the_gradient():
    (x,) = leaves(np.array([[[[math.nan, 1.0], [math.nan, math.inf]]]]))
    max_pool2d(x, 2).sum().backward()
    assert x.grad[0, 0].tolist() == [[0, 0], [1, 0]]


@each_kind
def test_a_mean_of_float16_numbers_whose_sum_is_none(kernels):
    x = Tensor(np.full((1, 1, 16, 16), 500, np.float16))
    out = avg_pool2d(x, 16, kernels=kernels)
    assert out.dtype == np.float16
    assert out.tolist() == [[[[500.0]]]]


# layers


def test_repr_as_in_pytorch():
    assert repr(Conv2d(3, 8, 3)) == "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))"
    strange = Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2), bias=False)
    assert repr(strange) == "Conv2d(3, 8, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), bias=False)"
    assert repr(AvgPool2d(2)) == "AvgPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(MaxPool2d((3, 2), stride=1, padding=1)) == "MaxPool2d(kernel_size=(3, 2), stride=1, padding=1)"
    assert repr(Flatten()) == "Flatten(start_dim=1, end_dim=-1)"


def test_other_names_of_the_layers():
    assert (nn.Conv2D, nn.MaxPool2D, nn.AvgPool2D) == (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def test_the_layers_of_nn_are_these_and_its_functions_call_these():
    for own in (Conv2d, MaxPool2d, AvgPool2d, Flatten):
        assert issubclass(getattr(nn, own.__name__), own)
    x, weight = Tensor(np.arange(180.0).reshape(2, 3, 6, 5) % 7), Tensor(np.arange(72.0).reshape(4, 3, 3, 2) % 5)
    for got, expected in [
        (nn.functional.conv2d(x, weight, stride=2), conv2d(x, weight, stride=2)),
        (nn.functional.max_pool2d(x, 2), max_pool2d(x, 2)),
        (nn.functional.avg_pool2d(x, 2), avg_pool2d(x, 2)),
    ]:
        assert got.tolist() == expected.tolist()


def test_how_a_convolution_starts():
    manual_seed(3)
    layer = Conv2d(24, 48, (3, 5))
    weight = layer.weight.numpy()
    assert weight.shape == (48, 24, 3, 5)
    assert abs(weight.std() / math.sqrt(2 / 360) - 1) < 0.03
    assert abs((np.abs(weight) < weight.std()).mean() - 0.683) < 0.02, (
        "about 68 % of normal numbers lie within one deviation"
    )
    assert layer.bias.tolist() == [0.0] * 48
    assert {name: array.shape for name, array in layer.state_dict().items()} == {
        "weight": (48, 24, 3, 5),
        "bias": (48,),
    }
    bare = Conv2d(24, 48, (3, 5), bias=False)
    assert bare.bias is None
    assert list(bare.state_dict()) == ["weight"]
    manual_seed(3)
    assert np.array_equal(Conv2d(24, 48, (3, 5)).weight.numpy(), weight)


@each_kind
def test_a_layer_on_a_batch_and_on_one_image(kernels):
    manual_seed(4)
    layer = use_kernels(Conv2d(2, 3, 3, stride=(1, 2), padding=1), kernels)
    layer.bias.data += [1, 2, 3]
    images = np.random.default_rng(13).standard_normal((4, 2, 6, 7)).astype(np.float32)
    batch = layer(Tensor(images))
    near(batch.numpy(), conv2d_naive(images, layer.weight.numpy(), layer.bias.numpy(), (1, 2), (1, 1)), np.float32)
    single = layer(Tensor(images[2]))
    assert single.shape == (3, 6, 4)
    near(single.numpy(), batch.numpy()[2])
    for pool in (MaxPool2d(2), AvgPool2d((2, 3), 1, 1)):
        use_kernels(pool, kernels)
        near(pool(Tensor(images[1])).numpy(), pool(Tensor(images)).numpy()[1])
    single.sum().backward()
    assert layer.weight.grad.shape == layer.weight.shape


def test_batches_of_none():
    for kernels in KINDS:
        model = use_kernels(nn.Sequential(Conv2d(3, 4, 3), MaxPool2d(2), AvgPool2d(2), Flatten()), kernels)
        out = model(Tensor(np.zeros((0, 3, 10, 10))))
        assert out.shape == (0, 16)
        out.sum().backward()
        assert not model[0].weight.grad.any()


def test_state_goes_from_one_layer_to_another_and_copies_are_separate():
    first, second = Conv2d(2, 3, 3), Conv2d(2, 3, 3)
    x = Tensor(np.sin(np.arange(50.0)).reshape(1, 2, 5, 5))
    second.load_state_dict(first.state_dict())
    assert np.array_equal(first(x).numpy(), second(x).numpy())
    use_kernels(first, "loops")
    twin = copy.deepcopy(first)
    assert twin.kernels == "loops"
    assert repr(twin) == repr(first)
    twin.weight.data *= 2
    assert not np.array_equal(first(x).numpy(), twin(x).numpy())
    assert np.array_equal(first.weight.numpy(), second.weight.numpy())
    with pytest.raises(RuntimeError, match="weight"):
        Conv2d(2, 3, 5).load_state_dict(first.state_dict())


def test_flatten():
    x = Tensor(np.arange(24.0).reshape(2, 3, 2, 2))
    assert Flatten()(x).tolist() == x.numpy().reshape(2, 12).tolist()
    assert flatten(x).shape == (24,)
    assert flatten(x, 1, 2).shape == (2, 6, 2)
    assert Flatten(0, 1)(x).shape == (6, 2, 2)


def test_use_kernels_reaches_every_layer():
    model = nn.Sequential(Conv2d(1, 2, 3), nn.Sequential(MaxPool2d(2), nn.ReLU()), AvgPool2d(2))
    assert use_kernels(model, "product") is model
    assert [model[0].kernels, model[1][0].kernels, model[2].kernels] == ["product"] * 3
    with pytest.raises(ValueError, match="'loops', 'product', 'fast'"):
        use_kernels(model, "fastest")
    assert model[0].kernels == "product"


# errors


@pytest.mark.parametrize("shape", [(2, 4, 9, 9), (4, 9, 9), (9, 9), (9,), (), (1, 2, 3, 9, 9)], ids=str)
def test_a_convolution_names_itself_and_both_shapes(shape):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Conv2d(3, 5, (2, 4))(Tensor(np.zeros(shape)))
    assert all(part in str(caught.value) for part in ("Conv2d(3, 5, kernel_size=(2, 4)", str(shape), "(5, 3, 2, 4)"))


@pytest.mark.parametrize("layer", [Conv2d(1, 1, 5), MaxPool2d(5), AvgPool2d(5)], ids=repr)
@pytest.mark.parametrize("shape", [(2, 1, 4, 8), (2, 1, 8, 4)])
def test_a_window_larger_than_the_padded_image(layer, shape):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        layer(Tensor(np.zeros(shape)))
    assert all(part in str(caught.value) for part in (repr(layer), str(shape), "(5, 5)"))


@pytest.mark.parametrize("shape", [(4, 4), (4,), (1, 1, 1, 4, 4)])
def test_pooling_wants_images(shape):
    for layer in (MaxPool2d(2), AvgPool2d(2)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            layer(Tensor(np.zeros(shape)))
        assert repr(layer) in str(caught.value)
        assert str(shape) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kernel_size": 0}, "kernel_size"), ({"kernel_size": (3, -1)}, "kernel_size"),
        ({"kernel_size": 2.5}, "kernel_size"),
        ({"kernel_size": (1, 2, 3)}, "kernel_size"), ({"kernel_size": "3"}, "kernel_size"), ({"stride": 0}, "stride"),
        ({"stride": (1, 0)}, "stride"), ({"stride": 1.0}, "stride"), ({"padding": -1}, "padding"),
        ({"padding": (0, 0.5)}, "padding"), ({"padding": "same"}, "padding"), ({"padding": ()}, "padding"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(settings, word):
    settings = {"kernel_size": 3, **settings}
    for make in (lambda: Conv2d(1, 1, **settings), lambda: MaxPool2d(**settings), lambda: AvgPool2d(**settings)):
        with pytest.raises(ValueError, match=word) as caught:
            make()
        assert "2d(" in str(caught.value)
    with pytest.raises(ValueError, match=f"max_pool2d.*{word}"):
        max_pool2d(Tensor(np.zeros((1, 1, 5, 5))), **settings)
    if word != "kernel_size":
        del settings["kernel_size"]
        with pytest.raises(ValueError, match=f"conv2d.*{word}"):
            conv2d(Tensor(np.zeros((1, 1, 5, 5))), Tensor(np.zeros((1, 1, 3, 3))), **settings)


@pytest.mark.parametrize(("window", "padding"), [(2, 2), (3, 2), ((4, 3), (2, 2)), (1, 1)])
def test_pooling_refuses_padding_of_more_than_half_the_window(window, padding):
    for make in (MaxPool2d, AvgPool2d):
        with pytest.raises(ValueError, match="more than half"):
            make(window, padding=padding)
    with pytest.raises(ValueError, match=r"avg_pool2d.*more than half"):
        avg_pool2d(Tensor(np.zeros((1, 1, 9, 9))), window, padding=padding)


@pytest.mark.parametrize("layer", [Conv2d(1, 1, 2), MaxPool2d(2), AvgPool2d(2)], ids=repr)
def test_a_mistyped_kind_of_kernels(layer):
    layer.kernels = "prodcut"
    with pytest.raises(ValueError, match="'loops', 'product', 'fast', not 'prodcut'"):
        layer(Tensor(np.zeros((1, 1, 4, 4))))


def test_the_function_names_the_shapes():
    x, weight = Tensor(np.zeros((1, 3, 5, 5))), Tensor(np.zeros((2, 4, 3, 3)))
    with pytest.raises(ValueError, match=r"conv2d.*\(1, 3, 5, 5\).*\(2, 4, 3, 3\)"):
        conv2d(x, weight)
    for shape in ((3,), (1,), (2, 1), ()):
        with pytest.raises(ValueError, match="bias"):
            conv2d(x, Tensor(np.zeros((2, 3, 3, 3))), Tensor(np.zeros(shape)))
    assert conv2d(Tensor(np.zeros((3, 5, 5))), Tensor(np.zeros((2, 3, 3, 3)))).shape == (2, 3, 3)


@pytest.mark.parametrize("channels", [(1.5, 2), (2, "3"), (2, -1), (None, 1), (0, 2), (2, 0)])
def test_channels_that_make_no_sense(channels):
    with pytest.raises(ValueError, match=r"Conv2d\(.*channels"):
        Conv2d(*channels, 3)


# a network


def test_a_network_learns_to_tell_stripes_apart_with_all_kernels():
    rows = np.tile(np.arange(8)[:, None] % 2, (1, 8)).astype(np.float32)
    random, found = np.random.default_rng(14), []
    images = np.stack([rows if i % 2 else rows.T for i in range(16)])[:, None] + random.normal(0, 0.3, (16, 1, 8, 8))
    labels = np.arange(16) % 2
    for kernels in KINDS:
        manual_seed(5)
        model = nn.Sequential(Conv2d(1, 3, 3), nn.ReLU(), MaxPool2d(2), Flatten(), nn.Linear(27, 2))
        use_kernels(model, kernels)
        losses = []
        for _ in range(20):
            loss = nn.CrossEntropyLoss()(model(Tensor(images)), labels)
            model.zero_grad()
            loss.backward()
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad
            losses.append(loss.item())
        found.append(losses)
        assert (model(Tensor(images)).numpy().argmax(axis=1) == labels).all()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-3)


def test_nothing_is_recorded_without_need():
    with autograd.no_grad():
        out = Conv2d(1, 1, 3)(Tensor(np.zeros((1, 1, 4, 4))))
    assert not out.requires_grad
    assert out.node is None


def test_the_module_says_what_it_offers():
    names = {"conv_output_size", "conv2d_naive", "im2col", "conv2d", "max_pool2d", "avg_pool2d", "flatten"}
    assert names | {"Conv2d", "MaxPool2d", "AvgPool2d", "Flatten"} <= set(spatial.__all__)
