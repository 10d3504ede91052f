"""Spatial: Convolution and pooling: as loops, as one matrix product, and as fast as a processor allows.

Exported from module 09_spatial by tito export. Edit the notebook of that module, not this file.
"""

import math
from functools import wraps

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..kernels import Engines
from ..kernels.precision import in_float32
from .layers import Module, Parameter, normal_
from .tensor import Op, flattened, result_dtype, zeros

__all__ = [
    "conv_output_size", "correlate", "pair", "pad", "output_shape", "conv2d_naive", "max_pool2d_naive",
    "conv2d_weight_gradient_naive", "conv2d_input_gradient_naive", "max_pool2d_gradient_naive", "avg_pool2d_naive",
    "avg_pool2d_gradient_naive", "by_loops", "by_product", "convolve_engines", "pool_max_engines", "pool_avg_engines",
    "convolve", "convolve_gradient", "pool_max", "pool_max_gradient", "ranked", "pool_avg", "pool_avg_gradient",
    "im2col", "conv2d_product", "conv2d_product_gradients", "max_pool2d_views", "max_pool2d_views_gradient",
    "check_settings", "check_channels", "check_pooling", "check_fit", "Conv2d", "of_single_images_too", "conv2d",
    "pool2d", "max_pool2d", "avg_pool2d", "flatten", "Pool2d", "MaxPool2d", "AvgPool2d", "Flatten", "conv_cost",
]


def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels")
    return room // stride + 1


def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out


def pair(value):
    """`(value, value)` for a single setting, or the settings of a tuple or list; unchecked."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def pad(x, padding, fill=0):
    """`x` (N, C, H, W) with `padding` (height, width) more pixels of value `fill` on all four sides."""
    (ph, pw), (n, c, h, w) = padding, x.shape
    if ph == pw == 0:
        return x
    if np.isinf(fill) and x.dtype.kind != "f":
        fill = np.iinfo(x.dtype).min
    padded = np.full((n, c, h + 2 * ph, w + 2 * pw), fill, x.dtype)
    padded[:, :, ph : ph + h, pw : pw + w] = x
    return padded


def output_shape(x_shape, kernel_size, stride, padding):
    """(OH, OW) for images of shape (N, C, H, W) and windows `kernel_size`, all pairs."""
    return tuple(map(conv_output_size, x_shape[2:], kernel_size, stride, padding))


def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out


def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out


def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients of weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias


def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, of `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
    return padded[:, :, ph : ph + height, pw : pw + width]


def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]


def by_loops(grad, out, x, weight, bias, *, stride, padding, needs):
    """The gradients of a convolution that `needs` asks for, by the loops."""
    for_x = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding) if needs[0] else None
    for_weight, for_bias = conv2d_weight_gradient_naive(grad, x, weight.shape[2:], stride, padding)
    return for_x, for_weight, None if bias is None else for_bias


def by_product(grad, out, x, weight, bias, *, stride, padding, needs):
    """The gradients of a convolution, by matrix products."""
    for_x, for_weight, for_bias = conv2d_product_gradients(grad, x, weight, stride, padding)
    return for_x, for_weight, None if bias is None else for_bias


# a lambda finds your function when it is called: it may be written later, and changed
convolve_engines = Engines("convolve", "spatial", instead="product")
convolve_engines.register("loops", lambda *arrays, **settings: conv2d_naive(*arrays, **settings), by_loops)
convolve_engines.register("product", lambda *arrays, **how: conv2d_product(*arrays, **how), by_product)

pool_max_engines = Engines("pool_max", "spatial", instead="product")
pool_max_engines.register(
    "loops",
    lambda x, **settings: max_pool2d_naive(x, **settings),
    lambda grad, out, x, **settings: max_pool2d_gradient_naive(grad, x, **settings),
)
pool_max_engines.register(
    "product",
    lambda x, **settings: max_pool2d_views(x, **settings),
    lambda grad, out, x, **settings: max_pool2d_views_gradient(grad, x, **settings),
)

pool_avg_engines = Engines("pool_avg", "spatial", instead="loops")
pool_avg_engines.register(
    "loops",
    lambda x, **settings: avg_pool2d_naive(x, **settings),
    lambda grad, out, x, **settings: avg_pool2d_gradient_naive(grad, x.shape, **settings),
)
pool_avg_engines.register(  # there is nothing to multiply
    "product",
    lambda *arrays, **settings: pool_avg_engines["fast"].forward(*arrays, **settings),
    lambda *arrays, **settings: pool_avg_engines["fast"].gradient(*arrays, **settings),
)


@Op
def convolve(x, weight, bias=None, *, stride, padding, kernels):
    """x (N, C, H, W) under windows of weight (O, C, kh, kw), plus bias (O,) or None; settings are pairs."""
    dtype = result_dtype(x, weight, floating=True)
    x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return convolve_engines[kernels].forward(x, weight, bias, stride=stride, padding=padding)


@convolve.gradient
def convolve_gradient(grad, out, x, weight, bias, *, stride, padding, kernels, needs):
    """The gradients that `needs` asks for, by the engine of the forward."""
    x, weight = x.astype(grad.dtype, copy=False), weight.astype(grad.dtype, copy=False)
    rule = convolve_engines[kernels].gradient
    return rule(grad, out, x, weight, bias, stride=stride, padding=padding, needs=needs)


@Op
def pool_max(x, *, kernel_size, stride, padding, kernels):
    """The largest value of each window of x (N, C, H, W); all settings are pairs."""
    return pool_max_engines[kernels].forward(x, kernel_size=kernel_size, stride=stride, padding=padding)


@pool_max.gradient
def pool_max_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    """As in PyTorch: to the first of equal entries, to no padding, and to the last of several nan."""
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    engine = pool_max_engines[kernels]
    if np.isfinite(out).all():
        return engine.gradient(grad, out, x, **settings)
    order = ranked(x)
    return engine.gradient(grad, engine.forward(order, **settings), order, **settings).astype(grad.dtype)


def ranked(x):
    """Finite numbers in the order of x: -inf stays above padding, and the last nan is the largest."""
    ranks = np.unique(x, return_inverse=True)[1].reshape(x.shape).astype(np.float64)
    is_nan = np.isnan(x)
    ranks[is_nan] = x.size + np.arange(is_nan.sum())
    return ranks


@Op
@in_float32
def pool_avg(x, *, kernel_size, stride, padding, kernels):
    """The mean of each window of x (N, C, H, W), padded zeros included; all settings are pairs."""
    dtype = result_dtype(x, floating=True)
    x = x.astype(np.result_type(dtype, np.float32), copy=False)  # float16 may be too small for the sum
    means = pool_avg_engines[kernels].forward(x, kernel_size=kernel_size, stride=stride, padding=padding)
    return means.astype(dtype, copy=False)


@pool_avg.gradient
def pool_avg_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    rule = pool_avg_engines[kernels].gradient
    return rule(grad, out, x, kernel_size=kernel_size, stride=stride, padding=padding)


def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)


def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, c, kh, kw = weight.shape
    out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
    if bias is not None:
        out += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return out.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)


def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    grad_rows = grad.transpose(0, 2, 3, 1).reshape(n * oh * ow, o)
    for_weight = (grad_rows.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    for_rows = grad_rows @ weight.reshape(o, c * kh * kw)
    planes = for_rows.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += planes[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, grad_rows.sum(axis=0)


def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


def check_settings(layer, kernel_size, stride, padding):
    """Raise ValueError naming the layer unless sizes and strides are positive and padding is not negative."""
    settings = ("kernel_size", kernel_size, 1), ("stride", stride, 1), ("padding", padding, 0)
    for name, values, least in settings:
        is_integer = all(isinstance(value, (int, np.integer)) for value in values)
        if not is_integer or len(values) != 2 or min(values) < least:
            raise ValueError(f"{layer}: {name} {values} must be two integers of at least {least}")


def check_channels(layer, *numbers):
    """Raise ValueError naming the layer for numbers of channels that are not integers of at least 1."""
    if not all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers):
        raise ValueError(f"{layer}: the numbers of channels {numbers} must be integers of at least 1")


def check_pooling(layer, kernel_size, stride, padding):
    """What check_settings does, and that padding is at most half of the window, or one could see nothing."""
    check_settings(layer, kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(f"{layer}: padding {padding} is more than half of the window {kernel_size}")


def check_fit(layer, x_shape, kernel_size, stride, padding):
    """Raise ValueError naming the layer and both shapes where no window fits into images (N, C, H, W)."""
    try:
        output_shape(x_shape, kernel_size, stride, padding)
    except ValueError as error:
        raise ValueError(f"{layer}: input of shape {tuple(x_shape)}, kernel {kernel_size}: {error}") from None


class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops".
    Raises ValueError naming the layer and both shapes for an input that does not fit.
    """

    engines = convolve_engines

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / (in_channels * kh * kw))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")


def of_single_images_too(function):
    """`function`, which takes a batch, also for one image (C, H, W)."""

    @wraps(function)
    def called(x, *arguments, **settings):
        if x.ndim != 3:
            return function(x, *arguments, **settings)
        return function(x.unsqueeze(0), *arguments, **settings).squeeze(0)

    return called


@of_single_images_too
def conv2d(x, weight, bias=None, stride=1, padding=0, *, kernels="fast"):
    """The convolution of images (N, C, H, W) or (C, H, W) with weight (O, C, kh, kw) and bias (O,).

    stride, padding: integers or pairs. Raises ValueError naming the shapes where they do not fit.
    """
    if (x.ndim, weight.ndim) != (4, 4) or x.shape[1] != weight.shape[1]:
        raise ValueError(f"conv2d: an input of shape {x.shape} does not fit a weight of shape {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: a bias {bias.shape} does not fit a weight of shape {weight.shape}")
    settings = {"stride": pair(stride), "padding": pair(padding)}
    for check in (check_settings, lambda *what, **how: check_fit(what[0], x.shape, what[1], **how)):
        check("conv2d", weight.shape[2:], **settings)
    return convolve(x, weight, bias, kernels=kernels, **settings)


def pool2d(name, operation, x, kernel_size, stride, padding, kernels):
    """Call a pooling operation after checking what it gets; a single image (C, H, W) is a batch of one."""
    kernel_size, padding = pair(kernel_size), pair(padding)
    stride = kernel_size if stride is None else pair(stride)
    check_pooling(name, kernel_size, stride, padding)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images have the shape (N, C, H, W) or (C, H, W), not {x.shape}")
    check_fit(name, (1, *x.shape)[-4:], kernel_size, stride, padding)
    pool = of_single_images_too(operation)
    return pool(x, kernel_size=kernel_size, stride=stride, padding=padding, kernels=kernels)


def max_pool2d(x, kernel_size, stride=None, padding=0, *, kernels="fast"):
    """The largest value of each window; the stride is the window's size unless given."""
    return pool2d("max_pool2d", pool_max, x, kernel_size, stride, padding, kernels)


def avg_pool2d(x, kernel_size, stride=None, padding=0, *, kernels="fast"):
    """The mean of each window, padded zeros included; the stride is the window's size unless given."""
    return pool2d("avg_pool2d", pool_avg, x, kernel_size, stride, padding, kernels)


def flatten(x, start_dim=0, end_dim=-1):
    """The axes from start_dim to end_dim as one."""
    return x.reshape(flattened(x.shape, start_dim, end_dim))


class Pool2d(Module):
    """What the two kinds of pooling share."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.padding, self.kernels = kernel_size, padding, "fast"
        self.stride = kernel_size if stride is None else stride
        check_pooling(self, pair(kernel_size), pair(self.stride), pair(padding))

    def forward(self, x):
        return pool2d(self, self.operation, x, self.kernel_size, self.stride, self.padding, self.kernels)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Pool2d):
    """The largest value of each window of images (N, C, H, W) or (C, H, W)."""

    operation, engines = pool_max, pool_max_engines


class AvgPool2d(Pool2d):
    """The mean of each window of images (N, C, H, W) or (C, H, W), padded zeros included."""

    operation, engines = pool_avg, pool_avg_engines


class Flatten(Module):
    """All axes from start_dim (1: all but the batch) to end_dim as one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers
