"""Quantization: Weights and inputs in eight bits, in real bytes: ranges, codes, an exact product, layers, and whole
models before and after.

Exported from module 15_quantization by tito export. Edit the notebook of that module, not this file.
"""

import copy
import math
import tempfile
from pathlib import Path

import numpy as np

from ..checkpoints import save_checkpoint
from .attention import MultiheadAttention
from .autograd import no_grad
from .layers import Linear, Module
from .spatial import Conv2d, check_fit, im2col, output_shape
from .tensor import Op, Tensor

__all__ = [
    "largest_code", "quantization_range", "quantize", "dequantize", "decibels", "quantize_channels", "exact_length",
    "int8_matmul", "calibrate", "quantized_linear", "QuantizedLinear", "quantized_convolve", "code_flops",
    "QuantizedConv2d", "quantized_layer", "InProjection", "JoinedAttention", "Watched", "replace_layer",
    "copy_for_quantization", "linear_layers", "inputs_of", "quantize_model", "file_bytes", "fake_quantize",
    "fake_quantize_gradient", "pack_groups", "unpack_groups",
]


def largest_code(bits):
    """The codes of `bits` bits go from minus this to this. Raises ValueError for bits that are not 2 to 8."""
    if isinstance(bits, bool) or bits not in range(2, 9):
        raise ValueError(f"a code has from 2 to 8 bits, not {bits}")
    return 2 ** (int(bits) - 1) - 1


def quantization_range(low, high, bits=8, symmetric=True):
    """(scale, zero_point), a float and an int, with which codes of `bits` bits cover `low` to `high`, and 0.

    symmetric: the zero point is 0. Else `low` has the smallest code and `high` the largest. Raises ValueError
    for bits that are not 2 to 8, and where `low` and `high` are not finite and in order.
    """
    largest = largest_code(bits)
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"quantization_range: from {low} to {high} is no range of finite numbers")
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = max(-low, high) / largest if symmetric else (high - low) / (2 * largest)
    if scale == 0:
        return 1.0, 0
    return scale, 0 if symmetric else round(-largest - low / scale)


def quantize(x, scale, zero_point=0, bits=8):
    """The codes of x: x / scale rounded, plus zero_point, cut off at minus and plus largest_code(bits); int8.

    scale, zero_point: numbers or arrays that broadcast. Raises ValueError for nan.
    """
    largest = largest_code(bits)
    steps = np.rint(np.asarray(x, np.float32) / scale)
    if np.isnan(steps).any():
        raise ValueError("quantize: nan has no code")
    return np.clip(steps + zero_point, -largest, largest).astype(np.int8)


def dequantize(codes, scale, zero_point=0):
    """What codes stand for, (codes - zero_point) · scale: float32."""
    steps = np.asarray(codes).astype(np.float32) - zero_point
    return np.asarray(steps * scale, np.float32)


def decibels(x, approximation):
    """How far the power of x lies above the power of the approximation's error: 10 · log₁₀ of the ratio."""
    x = np.asarray(x, np.float64)
    error = np.square(x - np.asarray(approximation)).sum()
    return 10 * math.log10(np.square(x).sum() / error) if error else math.inf


def quantize_channels(weight, axis=0, bits=8):
    """(codes, scales) of `weight`, symmetric, with a scale of its own for each place along `axis`.

    codes: int8, of weight's shape. scales: float32, positive, of size 1 along the other axes; 1 where float32
    would make it 0. Raises ValueError for nan, and for bits that are not 2 to 8.
    """
    weight = np.asarray(weight, np.float32)
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True, initial=0)
    scales = (largest / largest_code(bits)).astype(np.float32)
    scales[scales == 0] = 1
    return quantize(weight, scales, bits=bits), scales


def exact_length(largest_a, largest_b):
    """How many products of integers up to these float32 adds up exactly, in any order: none beyond 2²⁴.

    Raises ValueError for a largest number below 1.
    """
    if largest_a < 1 or largest_b < 1:
        raise ValueError(f"exact_length: largest integers are at least 1, not {largest_a} and {largest_b}")
    return 2**24 // (largest_a * largest_b)


def int8_matmul(a, b, product=np.matmul):
    """The exact product of int8 codes a (…, n, k) and b (k, m): int32 (…, n, m), for k up to 131,071.

    product: of float32 arrays; each of its sums is short enough to be exact. Raises TypeError naming a dtype
    that is not int8, ValueError naming both shapes where they do not fit.
    """
    for codes in (a, b):
        if codes.dtype != np.int8:
            raise TypeError(f"int8_matmul multiplies int8 codes, not {codes.dtype}")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"int8_matmul: shapes {a.shape} and {b.shape} do not fit together")
    total, length = np.zeros((*a.shape[:-1], b.shape[1]), np.int32), exact_length(128, 128)
    for start in range(0, b.shape[0], length):
        block = slice(start, start + length)
        sums = product(a[..., block].astype(np.float32), b[block].astype(np.float32))
        total += sums.astype(np.int32)
    return total


def calibrate(samples, method="extremes", bits=8):
    """(low, high), the range of the numbers in `samples` that codes should cover, as floats.

    samples: an iterable of arrays. method: "extremes", "percentile" (0.1 and 99.9) or "least_squares", which
    tries the extremes times 1, 0.95, … 0.05 with asymmetric codes of `bits` bits. Raises ValueError for
    another method, for no numbers, and for nan and infinity among them.
    """
    parts = [np.asarray(sample, np.float32).ravel() for sample in samples]
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not values.size:
        raise ValueError("calibrate: no numbers to find a range from")
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"calibrate: numbers from {low} to {high}: a nan or an infinity is among them")
    if method == "extremes":
        return low, high
    if method == "percentile":
        low, high = np.percentile(values, [0.1, 99.9])
        return float(low), float(high)
    if method != "least_squares":
        raise ValueError(f"calibrate: {method!r} is not extremes, percentile or least_squares")
    best, least = (low, high), math.inf
    for step in range(20, 0, -1):
        scale, zero_point = quantization_range(low * step / 20, high * step / 20, bits, symmetric=False)
        back = dequantize(quantize(values, scale, zero_point, bits), scale, zero_point)
        error = float(np.square(values - back, dtype=np.float64).sum())
        if error < least:
            best, least = (low * step / 20, high * step / 20), error
    return best


@Op
def quantized_linear(x, codes, scale, bias=None, *, input_range=None):
    """x (…, in) times the transpose of codes (out, in) with scale (out, 1), plus bias: float32 (…, out).

    input_range: (scale, zero_point) of x, which is then quantized to 8 bits too and multiplied in integers;
    or None, for weights only. It has no gradient.
    """
    if input_range is None:
        out = x.astype(np.float32, copy=False) @ dequantize(codes, scale).T
    else:
        input_scale, zero_point = input_range
        sums = int8_matmul(quantize(x, input_scale, zero_point), codes.T)
        sums -= int(zero_point) * codes.sum(axis=1, dtype=np.int32)
        out = sums.astype(np.float32) * (scale.T[0] * np.float32(input_scale))
    return out if bias is None else out + bias


class QuantizedLinear(Module):
    """A Linear for inference whose weights are int8 codes with a scale for each row.

    weight (out, in), bias (out,) or None: arrays or Tensors, which it copies. input_range: the (scale,
    zero_point) with which its inputs get codes of 8 bits, or None: weights only. bits: of the weights.
    """

    def __init__(self, weight, bias=None, input_range=None, bits=8):
        super().__init__()
        codes, scale = quantize_channels(weight, bits=bits)
        self.register_buffer("weight", Tensor(codes))
        self.register_buffer("scale", Tensor(scale))
        self.register_buffer("bias", None if bias is None else Tensor(np.asarray(bias, np.float32)))
        known = None if input_range is None else Tensor(np.array(input_range, np.float32))
        self.register_buffer("input_range", known)

    def settings(self):
        """What quantized_linear gets as input_range: a float and an int, or None."""
        if self.input_range is None:
            return None
        scale, zero_point = self.input_range.tolist()
        return scale, int(zero_point)

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.weight.shape[1]:
            raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")
        return quantized_linear(x, self.weight, self.scale, self.bias, input_range=self.settings())

    def extra_repr(self):
        inputs = "float32" if self.input_range is None else "int8"
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, weights int8, inputs {inputs}"


@Op
def quantized_convolve(x, codes, scale, bias=None, *, input_range=None, kernel_size, stride, padding):
    """quantized_linear over the windows of x (N, C, H, W), with codes (O, C · kh · kw): (N, O, OH, OW)."""
    rows = im2col(x, kernel_size, stride, padding)
    out = quantized_linear.forward(rows, codes, scale, bias, input_range=input_range)
    shape = output_shape(x.shape, kernel_size, stride, padding)
    return out.reshape(len(x), *shape, len(codes)).transpose(0, 3, 1, 2)


def code_flops(arrays, out, settings, backward):
    """For a Profile (14): a multiplication and an addition for each code and output, as for floats."""
    return 2 * out.size * arrays[1].shape[1]


quantized_linear.flops = quantized_convolve.flops = code_flops


class QuantizedConv2d(QuantizedLinear):
    """A Conv2d `layer` for inference with int8 weights (O, C · kh · kw); settings as in QuantizedLinear."""

    def __init__(self, layer, input_range=None, bits=8):
        kernels = layer.weight.numpy()
        super().__init__(kernels.reshape(len(kernels), -1), layer.bias, input_range, bits)
        self.in_channels, self.kernel_size = layer.in_channels, layer.kernel_size
        self.stride, self.padding = layer.stride, layer.padding

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.in_channels} channels")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        places = {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}
        buffers = self.weight, self.scale, self.bias
        out = quantized_convolve(images, *buffers, input_range=self.settings(), **places)
        return out if x.ndim == 4 else out.squeeze(0)


def quantized_layer(layer, input_range=None, bits=8):
    """The QuantizedConv2d or QuantizedLinear with the weights of `layer`, a Conv2d or a Linear."""
    if isinstance(layer, Conv2d):
        return QuantizedConv2d(layer, input_range, bits)
    return QuantizedLinear(layer.weight, layer.bias, input_range, bits)


class InProjection(Linear):
    """The three maps of a MultiheadAttention as one Linear, which shares their parameters."""

    def __init__(self, weight, bias):
        Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.weight, self.bias = weight, bias


class JoinedAttention(MultiheadAttention):
    """A MultiheadAttention whose maps are layers, in_proj and out_proj, that can be replaced."""

    def __init__(self, attention):
        Module.__init__(self)
        self.embed_dim, self.num_heads = attention.embed_dim, attention.num_heads
        self.dropout, self.batch_first = attention.dropout, attention.batch_first
        self.in_proj = InProjection(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = attention.out_proj

    def project(self, query, key, value):
        width, inputs = self.embed_dim, (query, key, value)
        same = query is key is value
        mapped = [self.in_proj(query)] * 3 if same else [self.in_proj(x) for x in inputs]
        return [x[..., i * width : (i + 1) * width] for i, x in enumerate(mapped)]


class Watched(Module):
    """A layer that keeps its inputs."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.inputs = layer, []

    def forward(self, x):
        self.inputs.append(x.numpy())
        return self.layer(x)


def replace_layer(model, old, new):
    """The model with `new` wherever `old` was, changed in place; `new`, where `old` is the model itself."""
    for module in list(model.modules()):
        for name, part in list(vars(module).items()):
            if part is old:
                setattr(module, name, new)
    return new if model is old else model


def copy_for_quantization(model):
    """A deep copy of `model` in evaluation mode, with JoinedAttention for every MultiheadAttention."""
    model = copy.deepcopy(model).eval()
    for layer in list(model.modules()):
        if isinstance(layer, MultiheadAttention) and not isinstance(layer, JoinedAttention):
            model = replace_layer(model, layer, JoinedAttention(layer).eval())
    return model


def linear_layers(model):
    """{path: layer} of every Linear and Conv2d of `model`."""
    return {path: part for path, part in model.named_modules() if isinstance(part, (Linear, Conv2d))}


@no_grad()
def inputs_of(model, samples):
    """{path: list of input arrays} of the linear_layers while `model` runs over `samples`."""
    watched = {path: Watched(layer) for path, layer in linear_layers(model).items()}
    for one in watched.values():
        model = replace_layer(model, one.layer, one)
    for sample in samples:
        model(sample if isinstance(sample, Tensor) else Tensor(sample))
    for one in watched.values():
        model = replace_layer(model, one, one.layer)
    return {path: one.inputs for path, one in watched.items()}


def quantize_model(model, samples=None, method="extremes", bits=8):
    """A copy of `model` in evaluation mode whose Linear and Conv2d layers have weights of `bits` bits.

    samples: an iterable of inputs of the model, from which the range of each layer's inputs is calibrated, by
    `method`, for 8 bits; or None: weights only. Raises ValueError for a model without such a layer.
    """
    model = copy_for_quantization(model)
    layers = linear_layers(model)
    if not layers:
        raise ValueError(f"quantize_model: {type(model).__name__} has no Linear and no Conv2d to quantize")
    inputs = None if samples is None else inputs_of(model, samples)
    for path, layer in layers.items():
        known = None
        if inputs is not None:
            known = quantization_range(*calibrate(inputs[path], method), symmetric=False)
        model = replace_layer(model, layer, quantized_layer(layer, known, bits))
    return model


def file_bytes(model):
    """The size of the file that save_checkpoint makes of the model's state, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_checkpoint(path, model.state_dict())
        return path.stat().st_size


@Op
def fake_quantize(x, *, scale, zero_point=0, bits=8):
    """x to codes and back, in x's dtype; the gradient passes where no code was cut off (Bengio, 2013)."""
    return dequantize(quantize(x, scale, zero_point, bits), scale, zero_point).astype(x.dtype)


@fake_quantize.gradient
def fake_quantize_gradient(grad, out, x, *, scale, zero_point=0, bits=8):
    codes = np.rint(x / scale) + zero_point
    return grad * (np.abs(codes) <= largest_code(bits))


def pack_groups(weight, group=32):
    """(packed, scales) of `weight` in 4 bits: uint8 of two codes each, and a float16 for each `group`.

    Raises ValueError for a group that is not even and positive, and for weights without a finite scale.
    """
    if group < 2 or group % 2:
        raise ValueError(f"pack_groups: a group has an even number of weights, at least 2, not {group}")
    flat = np.asarray(weight, np.float32).ravel()
    rows = np.pad(flat, (0, -flat.size % group)).reshape(-1, group)
    with np.errstate(over="ignore"):
        scales = (np.abs(rows).max(axis=1, initial=0) / 7).astype(np.float16)
    if not np.isfinite(scales).all():
        raise ValueError("pack_groups: a scale is not finite in float16")
    scales[scales == 0] = 1
    codes = quantize(rows, scales.astype(np.float32)[:, None], bits=4).ravel() + 8
    return (codes[::2] | codes[1::2] << 4).astype(np.uint8), scales


def unpack_groups(packed, scales, shape):
    """The float32 weights of `shape` that pack_groups has packed."""
    codes = np.stack([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    rows = codes.reshape(len(scales), -1) * scales.astype(np.float32)[:, None]
    return rows.ravel()[: math.prod(shape)].reshape(shape)
