"""The exported module: ranges, codes, the exact product, layers and whole models, over drawn shapes and bits."""

import copy
import math

import numpy as np
import pytest

import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch.checkpoints import load_checkpoint, save_checkpoint
from tinytorch.core.attention import MultiheadAttention
from tinytorch.core.layers import Linear, Module, Sequential
from tinytorch.core.quantization import (
    QuantizedConv2d,
    QuantizedLinear,
    calibrate,
    copy_for_quantization,
    decibels,
    dequantize,
    exact_length,
    file_bytes,
    inputs_of,
    int8_matmul,
    largest_code,
    linear_layers,
    quantization_range,
    quantize,
    quantize_channels,
    quantize_model,
    quantized_linear,
    replace_layer,
)
from tinytorch.core.spatial import Conv2d, Flatten, MaxPool2d
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.core.transformers import GPT

BITS = range(2, 9)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reader():
    """LeNet-5, untrained: its bytes do not depend on that."""
    manual_seed(0)
    eyes = Conv2d(1, 6, 5, padding=2), MaxPool2d(2), Conv2d(6, 16, 5), MaxPool2d(2), Flatten()
    return Sequential(*eyes, Linear(400, 120), Linear(120, 84), Linear(84, 10))


def photo_network():
    manual_seed(0)
    eyes = Conv2d(3, 32, 3, padding=1), MaxPool2d(2), Conv2d(32, 64, 3, padding=1), MaxPool2d(2), Flatten()
    return Sequential(*eyes, Linear(4096, 128), Linear(128, 10))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_both_ends_and_zero_have_codes(bits, symmetric):
    top = largest_code(bits)
    for low, high in [(-1.5, 2.0), (-7, -1), (0.25, 3), (-1e-30, 1e-3), (-1e30, 1)]:
        scale, zero_point = quantization_range(low, high, bits, symmetric)
        assert -top <= zero_point <= top
        assert zero_point == 0 or not symmetric
        codes = quantize([low, 0.0, high], scale, zero_point, bits)
        back = dequantize(codes, scale, zero_point)
        assert back[1] == 0
        np.testing.assert_allclose(back[[0, 2]], [low, high], atol=0.51 * scale)
        assert np.abs(codes).max() == top


@pytest.mark.parametrize("bits", [-1, 0, 1, 9, 2.5, "8", True, None])
def test_bits_from_two_to_eight(bits):
    for call in (
        lambda: quantization_range(-1, 1, bits),
        lambda: quantize([1.0], 0.1, 0, bits),
        lambda: quantize_channels([[1.0]], bits=bits),
        lambda: quantize_model(Linear(2, 2), bits=bits),
    ):
        with pytest.raises(ValueError, match=str(bits)):
            call()


@pytest.mark.parametrize("bad", [(1, 0), (math.nan, 1), (0, math.nan), (-math.inf, 0), (0, math.inf)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_what_is_no_range(bad, symmetric):
    with pytest.raises(ValueError, match=str(bad[0])):
        quantization_range(*bad, symmetric=symmetric)


def test_codes_never_wrap():
    codes = quantize(np.linspace(-1e6, 1e6, 999), 0.7, 3)
    assert codes.dtype == np.int8
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert codes.min() == -127
    assert codes.max() == 127
    for zero_point in (-127, 0, 127):
        every = np.arange(-127, 128).astype(np.int8)
        np.testing.assert_array_equal(dequantize(every, 0.5, zero_point), (np.arange(-127, 128) - zero_point) * 0.5)


def test_nan_has_no_code():
    with pytest.raises(ValueError, match="nan"):
        quantize([math.nan], 1.0)
    with pytest.raises(ValueError, match="nan"):
        quantize_channels([[1.0, math.nan]])


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_every_channel_has_its_own_scale(bits, axis):
    weight = drawn(3, 4, 5) * np.logspace(-3, 3, 5).astype(np.float32)
    codes, scales = quantize_channels(weight, axis, bits)
    moved, few = np.moveaxis(codes, axis, 0), np.moveaxis(scales, axis, 0)
    assert codes.shape == weight.shape
    assert few.shape == (weight.shape[axis], 1, 1)
    assert (np.abs(moved).max(axis=(1, 2)) == largest_code(bits)).all()
    assert (np.abs(dequantize(codes, scales) - weight) <= scales * 0.501).all()


def test_scales_are_positive_where_nothing_is():
    for shape in [(3, 0), (2, 3)]:
        codes, scales = quantize_channels(np.zeros(shape))
        np.testing.assert_array_equal(scales, np.ones((shape[0], 1)))
        assert not codes.any()


@pytest.mark.parametrize("a", [1, 3, 127, 128, 4000])
@pytest.mark.parametrize("b", [1, 7, 127, 5000])
def test_the_exact_length_is_the_longest(a, b):
    n = exact_length(a, b)
    assert n * a * b <= 2**24 < (n + 1) * a * b


@pytest.mark.parametrize("k", [0, 1, 1023, 1024, 1025, 1041, 4001])
def test_products_of_codes_are_exact(k):
    for value in (127, -127, -128):
        row = np.full((2, k), value, np.int8)
        np.testing.assert_array_equal(int8_matmul(row, row.T), np.full((2, 2), k * value * value))
    draw = np.random.default_rng(k)
    a, b = (draw.integers(-128, 128, size, dtype=np.int8) for size in [(2, 3, k), (k, 5)])
    got = int8_matmul(a, b)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, a.astype(np.int64) @ b.astype(np.int64))


def test_products_are_those_of_float32_and_short_enough():
    seen = []

    def product(a, b):
        seen.append((a.dtype, b.dtype, a.shape[-1]))
        return a @ b

    int8_matmul(np.full((1, 5000), 127, np.int8), np.full((5000, 1), 127, np.int8), product)
    assert {dtype for *dtypes, _ in seen for dtype in dtypes} == {np.dtype(np.float32)}
    assert max(length for *_, length in seen) <= exact_length(127, 127)
    assert sum(length for *_, length in seen) == 5000
    assert len(seen) == 5


def test_what_the_product_refuses():
    codes = np.ones((2, 3), np.int8)
    for wrong in (codes.astype(np.float32), codes.astype(np.uint8), codes.astype(np.int32)):
        with pytest.raises(TypeError, match=str(wrong.dtype)):
            int8_matmul(wrong, codes.T)
        with pytest.raises(TypeError, match=str(wrong.dtype)):
            int8_matmul(codes, wrong.T)
    for k, other in [(1024, 1500), (1500, 1024), (0, 3)]:
        with pytest.raises(ValueError, match=rf"(?s)(?=.*\(1, {k}\))(?=.*\({other}, 1\))"):
            int8_matmul(np.ones((1, k), np.int8), np.ones((other, 1), np.int8))


def test_ranges_of_three_methods():
    values = drawn(4000)
    values[5] = 12
    assert calibrate(iter([values[:10], Tensor(values[10:])])) == (values.min(), 12)
    np.testing.assert_allclose(calibrate([values], "percentile"), np.percentile(values, [0.1, 99.9]), rtol=1e-5)
    errors = {}
    for method in ("extremes", "least_squares"):
        scale, zero_point = quantization_range(*calibrate([values], method, 4), 4, symmetric=False)
        errors[method] = np.square(dequantize(quantize(values, scale, zero_point, 4), scale, zero_point) - values).sum()
    assert errors["least_squares"] < errors["extremes"]


@pytest.mark.parametrize("method", ["extremes", "percentile", "least_squares"])
def test_calibration_refuses_what_is_no_number(method):
    for bad in ([], [np.zeros(0)], [[1.0], [math.nan]], [[math.inf]]):
        with pytest.raises(ValueError):
            calibrate(bad, method)
    with pytest.raises(ValueError, match="middle"):
        calibrate([[1.0]], "middle")


@pytest.mark.parametrize("front", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("inputs", [None, (0.03, -20)])
@pytest.mark.parametrize("width", [4, 1500])
def test_a_layer_is_the_sum_over_its_codes(front, inputs, width):
    weight, bias, x = drawn(5, width), drawn(5, seed=1), drawn(*front, width, seed=2)
    layer = QuantizedLinear(weight, bias, inputs)
    codes, scale = (layer.state_dict()[name].astype(np.float64) for name in ("weight", "scale"))
    if inputs is None:
        known = x.astype(np.float64)
    else:
        known = (np.clip(np.rint(x / np.float32(0.03)) - 20, -127, 127) + 20) * np.float64(np.float32(0.03))
    out = layer(Tensor(x))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.numpy(), known @ (codes * scale).T + bias, atol=2e-4, rtol=1e-5)


def test_a_layer_holds_codes_and_no_float_weight():
    state = QuantizedLinear(drawn(64, 100), drawn(64), (0.1, 3)).state_dict()
    assert {name: (array.dtype.name, array.shape) for name, array in state.items()} == {
        "weight": ("int8", (64, 100)),
        "scale": ("float32", (64, 1)),
        "bias": ("float32", (64,)),
        "input_range": ("float32", (2,)),
    }


def test_a_layer_has_no_gradient_and_says_so():
    for layer, shape in [(QuantizedLinear(drawn(2, 3)), (4, 3)), (QuantizedConv2d(Conv2d(1, 2, 3)), (1, 1, 5, 5))]:
        out = layer(Tensor(drawn(*shape), requires_grad=True))
        with pytest.raises(RuntimeError, match="quantized_"):
            out.sum().backward()
    with pytest.raises(ValueError, match=r"(?s)(?=.*\(2, 4\))(?=.*\(2, 3\))"):
        QuantizedLinear(drawn(2, 3))(Tensor(drawn(2, 4)))


@pytest.mark.parametrize("settings", [{}, {"padding": 1}, {"stride": 2, "padding": (2, 1)}])
@pytest.mark.parametrize("inputs", [None, (0.02, 30)])
def test_a_convolution_of_codes_is_that_of_what_they_stand_for(settings, inputs):
    manual_seed(0)
    layer = Conv2d(3, 4, 3, **settings)
    layer.bias.data[...] = drawn(4)
    x = np.clip(drawn(2, 3, 7, 6), -3, 1.9)
    small, plain = QuantizedConv2d(layer, inputs), copy.deepcopy(layer)
    state = small.state_dict()
    plain.weight.data[...] = dequantize(state["weight"], state["scale"]).reshape(4, 3, 3, 3)
    known = x if inputs is None else dequantize(quantize(x, *inputs), *inputs)
    expected = plain(Tensor(known)).numpy()
    np.testing.assert_allclose(small(Tensor(x)).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(small(Tensor(x[0])).numpy(), expected[0], atol=1e-4)
    assert small(Tensor(x[:0])).shape == (0, *expected.shape[1:])
    with pytest.raises(ValueError, match=r"\(2, 2, 7, 6\)"):
        small(Tensor(x[:, :2]))


def test_a_model_stays_as_it_was_and_its_copy_has_codes():
    model, images = reader(), drawn(2, 1, 28, 28)
    before = model.state_dict()
    for samples in (None, [images]):
        small = quantize_model(model, samples)
        layers = [part for part in small.modules() if isinstance(part, QuantizedLinear)]
        assert [part.weight.dtype for part in layers] == [np.int8] * 5
        assert [part.input_range is None for part in layers] == [samples is None] * 5
        assert not linear_layers(small)
        assert not small.training
        exact = model(Tensor(images)).numpy()
        assert 25 < decibels(exact, small(Tensor(images))) < 80
    assert model.training
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


def test_every_layers_range_is_that_of_its_own_float_inputs():
    model, images = reader(), [drawn(2, 1, 28, 28), 2 * drawn(1, 1, 28, 28, seed=1)]
    inputs = inputs_of(copy_for_quantization(model), images)
    for method in ("extremes", "percentile", "least_squares"):
        small = dict(quantize_model(model, iter(images), method).named_modules())
        for path, seen in inputs.items():
            expected = quantization_range(*calibrate(seen, method), symmetric=False)
            np.testing.assert_allclose(small[path].input_range.numpy(), expected, rtol=1e-6)


def test_a_quantization_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="Flatten"):
        quantize_model(Flatten())
    small = quantize_model(reader())
    with pytest.raises(ValueError, match="Sequential"):
        quantize_model(small)
    with pytest.raises(ValueError):
        quantize_model(reader(), [])
    with pytest.raises(ValueError, match="nan"):
        quantize_model(reader(), [np.full((1, 1, 28, 28), np.nan)])


def test_a_copy_of_floats_is_no_quantization():
    """Knocked out: without the replacement of layers, each of these would say so."""
    small = copy_for_quantization(reader())
    assert linear_layers(small)
    assert file_bytes(small) > 0.99 * file_bytes(reader())


class Pair(Module):
    """Attention of x to itself and to y, and a layer that is used under two names."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.heads = MultiheadAttention(8, 2, batch_first=batch_first)
        self.last = self.again = Linear(8, 8)

    def forward(self, x):
        x = self.heads(x, x, x)[0] + self.heads(x, x * 0.5, x * 2.0)[0]
        return self.again(self.last(x))


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_and_shared_layers(batch_first):
    manual_seed(0)
    model, x = Pair(batch_first).eval(), Tensor(drawn(2, 5, 8))
    joined = copy_for_quantization(model)
    np.testing.assert_allclose(joined(x).numpy(), model(x).numpy(), atol=1e-6)
    assert list(linear_layers(joined)) == ["heads.in_proj", "heads.out_proj", "last"]
    for samples in (None, [x]):
        small = quantize_model(model, samples)
        assert small.last is small.again
        assert decibels(model(x), small(x)) > 25
    assert type(model.heads) is MultiheadAttention


def test_a_layer_is_replaced_wherever_it_stands():
    one, other = Linear(2, 2), Linear(2, 2)
    model = Sequential(one, Sequential(one, Flatten()))
    assert replace_layer(model, one, other) is model
    assert model[0] is other
    assert model[1][0] is other
    assert replace_layer(one, one, other) is other


def test_what_is_saved_comes_back(tmp_path):
    model, images = reader(), drawn(3, 1, 28, 28)
    small = quantize_model(model, [images])
    save_checkpoint(tmp_path / "small", small.state_dict())
    assert (tmp_path / "small").stat().st_size == file_bytes(small)
    manual_seed(9)
    other = quantize_model(reader(), [images * 5])
    other.load_state_dict(load_checkpoint(tmp_path / "small"))
    np.testing.assert_array_equal(other(Tensor(images)).numpy(), small(Tensor(images)).numpy())


def test_the_saved_file_is_as_small_as_promised():
    ids = np.arange(16).reshape(2, 8) % 65
    cases = {
        "LeNet-5": (reader(), [drawn(2, 1, 28, 28)], 0.28),
        "GPT": (GPT(65, 64, 4, 4, 128), [ids], 0.29),
        "a CNN of 545,098 parameters": (photo_network(), [drawn(1, 3, 32, 32)], 0.26),
    }
    assert sum(parameter.numel() for parameter in cases["a CNN of 545,098 parameters"][0].parameters()) == 545_098
    assert sum(parameter.numel() for parameter in cases["GPT"][0].parameters()) == 809_856
    for name, (model, samples, bound) in cases.items():
        whole = file_bytes(model)
        for known in (None, samples):
            share = file_bytes(quantize_model(model, known)) / whole
            assert share <= bound, f"{name}: {share:.3f}"


def test_six_decibels_a_bit():
    x = np.random.default_rng(0).uniform(-1, 1, 20_000)
    found = []
    for bits in BITS:
        scale, _ = quantization_range(-1, 1, bits)
        found.append(decibels(x, dequantize(quantize(x, scale, bits=bits), scale)))
    for bits, got in zip(BITS, found, strict=True):  # uniform numbers: power 1/3 over scale² / 12
        assert got == pytest.approx(20 * math.log10(2 * largest_code(bits)), abs=0.3)
    assert decibels([1.0], [1.0]) == math.inf


def test_the_operation_takes_tensors_and_arrays():
    codes, scale = quantize_channels(drawn(2, 3))
    x = drawn(4, 3)
    for inputs in (None, (0.05, 0)):
        plain = quantized_linear(Tensor(x), codes, scale, input_range=inputs).numpy()
        tensors = quantized_linear(Tensor(x), Tensor(codes), Tensor(scale), Tensor(np.ones(2)), input_range=inputs)
        np.testing.assert_allclose(tensors.numpy(), plain + 1, rtol=1e-6)
