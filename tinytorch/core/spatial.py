"""Spatial: Convolution and pooling: as loops, as one matrix product, and as fast as a processor allows.

Exported from module 09_spatial by tito export. Edit the notebook of that module, not this file.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from ..threads import map_blocks
from .layers import Module, Parameter, normal_
from .tensor import Op, flattened, result_dtype, zeros

__all__ = [
    "conv_output_size", "correlate", "pair", "pad", "output_shape", "conv2d_naive", "max_pool2d_naive",
    "conv2d_weight_gradient_naive", "conv2d_input_gradient_naive", "max_pool2d_gradient_naive", "avg_pool2d_naive",
    "avg_pool2d_gradient_naive", "KERNELS", "check_kernels", "convolve", "convolve_gradient", "pool_max",
    "pool_max_gradient", "pool_avg", "pool_avg_gradient", "im2col", "conv2d_product", "conv2d_product_gradients",
    "max_pool2d_views", "max_pool2d_views_gradient", "BLOCK_BYTES", "PIECES", "make_blocks", "sum_over_blocks",
    "Scratch", "window_part", "Geometry", "window_geometry", "columns_of", "planes_of", "forward_by_columns",
    "forward_by_planes", "weight_gradient_by_columns", "weight_gradient_by_planes", "input_gradient_by_planes",
    "TO_INPUT", "TO_KERNEL", "TO_OUT", "winograd_pays", "tile_blocks", "tiles_of", "on_both_axes",
    "forward_by_winograd", "weight_gradient_by_winograd", "FEW_CHANNELS", "convolve_blocks", "input_gradient",
    "weight_gradient", "bias_gradient", "conv2d_fast", "conv2d_fast_gradients", "empty_like", "is_channels_last",
    "padded_images", "window_entries", "pooled", "image_blocks", "send_back", "max_pool2d_fast",
    "max_pool2d_fast_gradient", "avg_pool2d_fast", "avg_pool2d_fast_gradient", "check_settings", "check_channels",
    "check_pooling", "check_fit", "Conv2d", "conv2d", "pool2d", "max_pool2d", "avg_pool2d", "flatten", "Pool2d",
    "MaxPool2d", "AvgPool2d", "Flatten", "use_kernels", "conv_cost",
]


def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
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
    """`(value, value)` for a single setting, or the settings of a tuple or list; `check_settings` looks at them."""
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
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
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
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
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
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
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


KERNELS = ("loops", "product", "fast")


def check_kernels(kernels):
    """Raise ValueError for anything but one of KERNELS."""
    if kernels not in KERNELS:
        raise ValueError(f"kernels is one of {', '.join(map(repr, KERNELS))}, not {kernels!r}")


@Op
def convolve(x, weight, bias=None, *, stride, padding, kernels):
    """x (N, C, H, W) under the windows of weight (O, C, kh, kw), plus bias (O,) or None; stride, padding are pairs."""
    check_kernels(kernels)
    dtype = result_dtype(x, weight, floating=True)
    x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    if kernels == "fast":
        return conv2d_fast(x, weight, bias, stride, padding)
    forward = conv2d_naive if kernels == "loops" else conv2d_product
    return forward(x, weight, bias, stride, padding)


@convolve.gradient
def convolve_gradient(grad, out, x, weight, bias, *, stride, padding, kernels, needs):
    """The gradients that `needs` asks for, by the same kernels as the forward."""
    x, weight = x.astype(grad.dtype, copy=False), weight.astype(grad.dtype, copy=False)
    if kernels == "fast":
        return conv2d_fast_gradients(grad, x, weight, stride, padding, needs)
    if kernels == "product":
        for_x, for_weight, for_bias = conv2d_product_gradients(grad, x, weight, stride, padding)
    else:
        for_x = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding)
        for_weight, for_bias = conv2d_weight_gradient_naive(grad, x, weight.shape[2:], stride, padding)
    return for_x, for_weight, None if bias is None else for_bias


@Op
def pool_max(x, *, kernel_size, stride, padding, kernels):
    """The largest value of each window of x (N, C, H, W); all settings are pairs."""
    check_kernels(kernels)
    if kernels == "fast":
        return max_pool2d_fast(x, kernel_size, stride, padding)
    forward = max_pool2d_naive if kernels == "loops" else max_pool2d_views
    return forward(x, kernel_size, stride, padding)


@pool_max.gradient
def pool_max_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    if kernels == "fast":
        return max_pool2d_fast_gradient(grad, out, x, kernel_size, stride, padding)
    rule = max_pool2d_gradient_naive if kernels == "loops" else max_pool2d_views_gradient
    return rule(grad, x, kernel_size, stride, padding)


@Op
def pool_avg(x, *, kernel_size, stride, padding, kernels):
    """The mean of each window of x (N, C, H, W), padded zeros included; all settings are pairs."""
    check_kernels(kernels)
    x = x.astype(result_dtype(x, floating=True), copy=False)
    forward = avg_pool2d_naive if kernels == "loops" else avg_pool2d_fast
    return forward(x, kernel_size, stride, padding)


@pool_avg.gradient
def pool_avg_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    if kernels == "loops":
        return avg_pool2d_gradient_naive(grad, x.shape, kernel_size, stride, padding)
    return avg_pool2d_fast_gradient(grad, x, kernel_size, stride, padding)


def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)


def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)


def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)


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


BLOCK_BYTES = 1 << 21  # of work memory, of which a core's second-level cache holds what is in use at a time
PIECES = 8  # fixed, so that sums are made in the same order however many threads there are


def make_blocks(n, rows, row_bytes):
    """Cut n images of `rows` rows into blocks (images, rows), two slices each, of about BLOCK_BYTES.

    A block is several whole images or some rows of one image, so its place in a channels-last result is contiguous.
    row_bytes: the work memory that one row needs.
    """
    fit = max(BLOCK_BYTES // max(row_bytes, 1), 1)
    if fit < rows:
        return [(slice(i, i + 1), slice(r, min(r + fit, rows))) for i in range(n) for r in range(0, rows, fit)]
    step = max(min(fit // rows, n // PIECES), 1)
    return [(slice(i, min(i + step, n)), slice(0, rows)) for i in range(0, n, step)]


def sum_over_blocks(function, blocks):
    """The sum of function(block, scratch) over all blocks, or None where the function only fills arrays.

    Threads share the blocks in PIECES pieces; a piece uses one Scratch.
    """

    def work(piece):
        scratch, total = Scratch(), None
        for block in piece:
            part = function(block, scratch)
            total = part if total is None else np.add(total, part, out=total)
        return total

    size = max(math.ceil(len(blocks) / PIECES), 1)
    totals = map_blocks(work, [blocks[i : i + size] for i in range(0, len(blocks), size)])
    return None if not totals or totals[0] is None else sum(totals[1:], totals[0])


class Scratch:
    """Work memory that is used again for each block: the system needs longer to hand out fresh memory than to copy."""

    def __init__(self):
        self.buffers = {}

    def __call__(self, name, shape, dtype):
        """An uninitialised array, in the memory that had this name before."""
        size = math.prod(shape)
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = np.empty(size, dtype)
        return self.buffers[name][:size].reshape(shape)


def window_part(x, images, corner, size, scratch, planar=False, fill=0):
    """The part of some images that starts at `corner` and has `size`, with `fill` for what lies outside the image.

    x: (N, C, H, W), in any memory order. corner, size: (row, column), (height, width).
    Returns a contiguous (n, height, width, C), or (n, C, height, width) if planar.
    """
    (top, left), (height, width), (h, w) = corner, size, x.shape[2:]
    n, c = images.stop - images.start, x.shape[1]
    part = scratch("part", (n, c, height, width) if planar else (n, height, width, c), x.dtype)
    if min(top, left) < 0 or top + height > h or left + width > w:
        part.fill(fill)
    rows = slice(min(max(top, 0), h), max(min(top + height, h), 0))
    columns = slice(min(max(left, 0), w), max(min(left + width, w), 0))
    inside = part if planar else part.transpose(0, 3, 1, 2)
    source = x[images, :, rows, columns]
    if source.size:
        inside[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = source
    return part


class Geometry(NamedTuple):
    """Where the windows of a convolution lie, as pairs of height and width. Negative padding leaves out a margin."""

    kernel: tuple
    stride: tuple
    padding: tuple
    out_size: tuple

    def blocks(self, x, numbers):
        """Blocks of the output for the images x, where an output pixel needs `numbers` numbers of work memory."""
        return make_blocks(len(x), self.out_size[0], self.out_size[1] * numbers * x.itemsize)

    def part(self, x, block, scratch, planar=False):
        """What the output rows of a block look at."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        images, rows = block
        size = (rows.stop - rows.start - 1) * sh + kh, (self.out_size[1] - 1) * sw + kw
        return window_part(x, images, (rows.start * sh - ph, -pw), size, scratch, planar)


def window_geometry(x, kernel, stride, padding):
    """The Geometry of all windows that fit into x (N, C, H, W) with its padding."""
    sizes = zip(x.shape[2:], kernel, stride, padding, strict=True)
    out_size = tuple((size + 2 * pad - k) // step + 1 for size, k, step, pad in sizes)
    return Geometry(tuple(kernel), tuple(stride), tuple(padding), out_size)


def columns_of(x, block, geometry, scratch):
    """A matrix with a row per output pixel: the kh * kw * C numbers under its window.

    With channels last, the numbers of one kernel row are neighbours in memory: the copy moves runs of kw * C numbers.
    """
    part, (kh, kw), (sh, sw) = geometry.part(x, block, scratch), geometry.kernel, geometry.stride
    n, c, height, width = len(part), part.shape[3], block[1].stop - block[1].start, geometry.out_size[1]
    image, row, pixel, number = part.strides
    steps = (image, sh * row, sw * pixel, row, number)
    windows = as_strided(part, (n, height, width, kh, kw * c), steps, writeable=False)
    columns = scratch("columns", windows.shape, x.dtype)
    columns[...] = windows
    return columns.reshape(n * height * width, kh * kw * c)


def planes_of(x, block, geometry, scratch):
    """The same numbers transposed: for each image a matrix with a row per weight and a column per output pixel.

    With few channels a kernel row is short, but a row of pixels is long: the copy moves runs of `width` numbers.
    """
    part, (kh, kw), (sh, sw) = geometry.part(x, block, scratch, planar=True), geometry.kernel, geometry.stride
    n, c, height, width = len(part), part.shape[1], block[1].stop - block[1].start, geometry.out_size[1]
    image, channel, row, pixel = part.strides
    steps = (image, channel, row, pixel, sh * row, sw * pixel)
    windows = as_strided(part, (n, c, kh, kw, height, width), steps, writeable=False)
    planes = scratch("planes", windows.shape, x.dtype)
    planes[...] = windows
    return planes.reshape(n, c * kh * kw, height * width)


def forward_by_columns(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O) with one matrix product per block."""
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    def fill(block, scratch):
        pixels = out[block].reshape(-1, len(weight))
        np.matmul(columns_of(x, block, geometry, scratch), matrix, out=pixels)
        pixels += bias

    sum_over_blocks(fill, geometry.blocks(x, len(matrix)))


def forward_by_planes(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O) with one matrix product per image."""
    matrix = weight.reshape(len(weight), -1).T

    def fill(block, scratch):
        planes = planes_of(x, block, geometry, scratch)
        pixels = out[block].reshape(len(planes), -1, len(weight))
        np.matmul(planes.transpose(0, 2, 1), matrix, out=pixels)
        pixels += bias

    sum_over_blocks(fill, geometry.blocks(x, len(matrix)))


def weight_gradient_by_columns(grad, x, geometry, shape):
    """The gradient of the weight, which has `shape`: columns times grad (N, OH, OW, O)."""
    o, c, kh, kw = shape

    def share(block, scratch):
        pixels = np.ascontiguousarray(grad[block]).reshape(-1, o)
        return pixels.T @ columns_of(x, block, geometry, scratch)

    return sum_over_blocks(share, geometry.blocks(x, kh * kw * c)).reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def weight_gradient_by_planes(grad, x, geometry, shape):
    """The gradient of the weight, which has `shape`: planes times grad (N, OH, OW, O)."""
    o, c, kh, kw = shape

    def share(block, scratch):
        planes = planes_of(x, block, geometry, scratch)
        return (planes @ grad[block].reshape(len(planes), -1, o)).sum(axis=0)

    return sum_over_blocks(share, geometry.blocks(x, c * kh * kw)).T.reshape(shape)


def input_gradient_by_planes(grad, weight, geometry, x):
    """The gradient of x, from grad (N, OH, OW, O): `planes_of` backwards.

    One product gives what every weight sends back, a plane per weight; each plane is added where it was copied from.
    """
    (n, c, h, w), o, (kh, kw), (sh, sw), (ph, pw), (oh, ow) = x.shape, len(weight), *geometry
    high, wide = (oh - 1) * sh + 1, (ow - 1) * sw + 1  # from the first window's place to the last one's
    size = max(h + ph, high + kh - 1), max(w + pw, wide + kw - 1)
    matrix = weight.reshape(o, -1).T
    result = np.empty_like(x, dtype=grad.dtype)  # in the memory order of x

    def fill(block, scratch):
        pixels = grad[block[0]].reshape(-1, oh * ow, o).transpose(0, 2, 1)
        planes = scratch("planes", (len(pixels), len(matrix), oh * ow), grad.dtype)
        planes = np.matmul(matrix, pixels, out=planes).reshape(-1, c, kh, kw, oh, ow)
        part = scratch("part", (len(pixels), c, *size), grad.dtype)
        part.fill(0)
        for i in range(kh):
            for j in range(kw):
                part[:, :, i : i + high : sh, j : j + wide : sw] += planes[:, :, i, j]
        result[block[0]] = part[:, :, ph : ph + h, pw : pw + w]

    sum_over_blocks(fill, make_blocks(n, 1, len(matrix) * oh * ow * grad.itemsize))
    return result


#
# A 4x4 tile of output sees a 6x6 tile of input: 16 * 9 = 144 multiplications per pair of channels. Transform the input
# tile, multiply by the transformed kernel entry by entry, transform back, and there are 36 (Winograd 1980; Lavin & Gray
# 2015, F(4x4, 3x3)). It is the idea behind fast multiplication of polynomials: evaluate both at the points 0, 1, -1, 2,
# -2 and infinity, multiply the values, interpolate. Along one axis, correlation of d with g is
# TO_OUT @ ((TO_KERNEL @ g) * (TO_INPUT @ d)); along both it is kron(matrix, matrix) @ the tile's entries written as one
# column. So every transform is a matrix product too, and the products "entry by entry", summed over channels, are 36
# small matrix products.

TO_INPUT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1]]  # fmt: skip
TO_KERNEL = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
             [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
TO_OUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def winograd_pays(c, o, n, geometry):
    """Whether `c` input and `o` output channels are enough to pay for the transforms, and the tiles fit the image."""
    height, width = geometry.out_size
    tiles = math.ceil(height / 4) * math.ceil(width / 4)
    is_possible = geometry.kernel == (3, 3) and geometry.stride == (1, 1)
    return is_possible and min(c, o) >= 16 and 16 * tiles <= 1.5 * height * width and n * tiles >= 32


def tile_blocks(x, geometry, channels):
    """Blocks of whole tiles; their rows count rows of tiles."""
    tiles_high, tiles_wide = (math.ceil(size / 4) for size in geometry.out_size)
    return make_blocks(len(x), tiles_high, tiles_wide * 36 * channels * x.itemsize)


def tiles_of(x, block, size, padding, geometry, scratch):
    """The tiles of a block as (size, size, tiles, C): size x size pixels of x (N, C, H, W), a tile every 4 pixels."""
    (images, rows), wide = block, math.ceil(geometry.out_size[1] / 4)
    high = rows.stop - rows.start
    corner = (4 * rows.start - padding[0], -padding[1])
    part = window_part(x, images, corner, (4 * high + size - 4, 4 * wide + size - 4), scratch)
    image, row, pixel, number = part.strides
    shape, steps = (size, size, len(part), high, wide, x.shape[1]), (row, pixel, image, 4 * row, 4 * pixel, number)
    tiles = scratch("tiles", shape, x.dtype)
    tiles[...] = as_strided(part, shape, steps, writeable=False)
    return tiles.reshape(size, size, -1, x.shape[1])


def on_both_axes(matrix, tiles, scratch, name):
    """matrix @ tile @ matrix.T for the first two axes of tiles (a, a, m, C), as (b, b, m, C) for a matrix (b, a)."""
    (b, a), dtype = matrix.shape, tiles.dtype
    half = np.matmul(matrix, tiles.reshape(a, -1), out=scratch("half", (b, tiles.size // a), dtype))
    whole = scratch(name, (b, b, tiles.size // a**2), dtype)
    return np.matmul(matrix, half.reshape(b, a, -1), out=whole).reshape(b, b, *tiles.shape[2:])


def forward_by_winograd(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O)."""
    (o, c), wide = weight.shape[:2], math.ceil(geometry.out_size[1] / 4)
    to_input, to_kernel, to_out = (np.array(matrix, x.dtype) for matrix in (TO_INPUT, TO_KERNEL, TO_OUT))
    kernels = on_both_axes(to_kernel, weight.transpose(2, 3, 1, 0), Scratch(), "kernels").reshape(36, c, o)

    def fill(block, scratch):
        (images, rows), high = block, block[1].stop - block[1].start
        tiles = on_both_axes(to_input, tiles_of(x, block, 6, geometry.padding, geometry, scratch), scratch, "input")
        products = scratch("products", (36, tiles.shape[2], o), x.dtype)
        np.matmul(tiles.reshape(36, -1, c), kernels, out=products)
        products[7] += bias  # at the points (1, 1), which TO_OUT adds to every pixel of the tile
        results = on_both_axes(to_out, products.reshape(6, 6, -1, o), scratch, "out")
        results = results.reshape(4, 4, -1, high, wide, o).transpose(2, 3, 0, 4, 1, 5)
        target = out[images, 4 * rows.start : 4 * rows.stop]
        if target.shape[1:3] == (4 * high, 4 * wide):
            target.reshape(results.shape)[...] = results
        else:  # tiles at the edge reach over it
            target[...] = results.reshape(-1, 4 * high, 4 * wide, o)[:, : target.shape[1], : target.shape[2]]

    sum_over_blocks(fill, tile_blocks(x, geometry, c + o))


def weight_gradient_by_winograd(grad, x, geometry, shape):
    """The gradient of the weight, which has `shape`: the forward's three steps, transposed. grad: (N, OH, OW, O)."""
    o, c = shape[:2]
    to_input, to_kernel, to_out = (np.array(matrix, x.dtype) for matrix in (TO_INPUT, TO_KERNEL, TO_OUT))
    grad = grad.transpose(0, 3, 1, 2)

    def share(block, scratch):
        tiles = on_both_axes(to_input, tiles_of(x, block, 6, geometry.padding, geometry, scratch), scratch, "input")
        grads = on_both_axes(to_out.T, tiles_of(grad, block, 4, (0, 0), geometry, scratch), scratch, "grad")
        return tiles.reshape(36, -1, c).transpose(0, 2, 1) @ grads.reshape(36, -1, o)

    total = sum_over_blocks(share, tile_blocks(x, geometry, c + o)).reshape(6, 6, c, o)
    return on_both_axes(to_kernel.T, total, Scratch(), "kernels").transpose(3, 2, 0, 1)


FEW_CHANNELS = 4  # measured: with more, columns are faster than planes


def convolve_blocks(x, weight, bias, geometry):
    """The convolution of x (N, C, H, W) at the places that `geometry` names; memory channels last."""
    n, (o, c), (oh, ow) = len(x), weight.shape[:2], geometry.out_size
    out = np.empty((n, oh, ow, o), x.dtype)
    if winograd_pays(c, o, n, geometry):
        forward_by_winograd(x, weight, bias, geometry, out)
    elif c <= FEW_CHANNELS:
        forward_by_planes(x, weight, bias, geometry, out)
    else:
        forward_by_columns(x, weight, bias, geometry, out)
    return out.transpose(0, 3, 1, 2)


def input_gradient(grad, weight, geometry, x):
    """The gradient of x: `grad` correlated with the flipped kernel, from outputs to inputs.

    Where that is a larger computation than its forward (few channels, or a stride, which leaves holes in grad), the
    planes are sent back instead.
    """
    if weight.shape[1] <= 2 * FEW_CHANNELS or geometry.stride != (1, 1):
        return input_gradient_by_planes(grad.transpose(0, 2, 3, 1), weight, geometry, x)
    padding = tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding, strict=True))
    flipped = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return convolve_blocks(grad, flipped, 0, Geometry(geometry.kernel, (1, 1), padding, x.shape[2:]))


def weight_gradient(grad, x, weight, geometry):
    """The gradient of the weight, in its shape."""
    if grad.size == 0 or x.shape[1] == 0:
        return np.zeros(weight.shape, grad.dtype)
    if winograd_pays(x.shape[1], grad.shape[1], len(x), geometry):
        rule = weight_gradient_by_winograd
    else:
        rule = weight_gradient_by_planes if x.shape[1] <= FEW_CHANNELS else weight_gradient_by_columns
    return rule(grad.transpose(0, 2, 3, 1), x, geometry, weight.shape)


def bias_gradient(grad):
    """The sum of grad (N, O, OH, OW) over images and pixels."""
    pixels = grad.transpose(0, 2, 3, 1)
    if not pixels.flags.c_contiguous:
        return grad.sum(axis=(0, 2, 3))
    pixels = pixels.reshape(-1, grad.shape[1])
    return np.ones(len(pixels), grad.dtype) @ pixels  # faster than sum, which adds row by row


def conv2d_fast(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None: (N, O, OH, OW)."""
    geometry = window_geometry(x, weight.shape[2:], stride, padding)
    return convolve_blocks(x, weight, x.dtype.type(0) if bias is None else bias, geometry)


def conv2d_fast_gradients(grad, x, weight, stride, padding, needs):
    """The gradients of x, weight and bias, each only if the bool in `needs` asks for it."""
    geometry = window_geometry(x, weight.shape[2:], stride, padding)
    return (
        input_gradient(grad, weight, geometry, x) if needs[0] else None,
        weight_gradient(grad, x, weight, geometry) if needs[1] else None,
        bias_gradient(grad) if needs[2] else None,
    )


#
# All windows at once: entry (i, j) of every window is one strided view of the image, so a 2x2 maximum is three calls of
# np.maximum. The gradient compares the same views with the result.


def empty_like(x, size, dtype):
    """An uninitialised (N, C, *size) array: channels last in memory if x (N, C, H, W) is, else channels first."""
    n, c, (h, w) = *x.shape[:2], size
    return np.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2) if is_channels_last(x) else np.empty((n, c, h, w), dtype)


def is_channels_last(x):
    return x.transpose(0, 2, 3, 1).flags.c_contiguous and not x.flags.c_contiguous


def padded_images(x, images, geometry, scratch, fill=0):
    """Some images with their padding; without padding, the images themselves."""
    (ph, pw), (h, w) = geometry.padding, x.shape[2:]
    if (ph, pw) == (0, 0):
        return x[images]
    planar = not is_channels_last(x)
    part = window_part(x, images, (-ph, -pw), (h + 2 * ph, w + 2 * pw), scratch, planar, fill)
    return part if planar else part.transpose(0, 3, 1, 2)


def window_entries(part, geometry):
    """For each place in the window, row by row: the view (n, C, OH, OW) of that entry of all windows."""
    (kh, kw), (sh, sw), (oh, ow) = geometry.kernel, geometry.stride, geometry.out_size
    high, wide = (oh - 1) * sh + 1, (ow - 1) * sw + 1
    return [part[:, :, i : i + high : sh, j : j + wide : sw] for i in range(kh) for j in range(kw)]


def pooled(x, geometry, fill, combine, finish=None):
    """The entries of every window, combined two by two (np.maximum or np.add): (N, C, OH, OW)."""
    out = empty_like(x, geometry.out_size, x.dtype)

    def work(block, scratch):
        first, *others = window_entries(padded_images(x, block[0], geometry, scratch, fill), geometry)
        target = out[block[0]]
        target[...] = first
        for entry in others:
            combine(target, entry, out=target)
        if finish is not None:
            finish(target)

    sum_over_blocks(work, image_blocks(x))
    return out


def image_blocks(x):
    """Blocks of whole images."""
    return make_blocks(len(x), 1, 2 * math.prod(x.shape[1:]) * x.itemsize)


def send_back(grad, x, geometry, factors):
    """The gradient of x (N, C, H, W). factors(images, scratch): for each entry of the windows, its part of `grad`."""
    (kh, kw), (sh, sw), (ph, pw), (oh, ow) = geometry
    h, w = x.shape[2:]
    result = empty_like(x, (h + 2 * ph, w + 2 * pw), grad.dtype)
    is_covered_once = (kh, kw) == (sh, sw) and result.shape[2:] == (oh * kh, ow * kw)

    def work(block, scratch):
        part, grads = result[block[0]], grad[block[0]]
        if not is_covered_once:
            part.fill(0)
        for target, factor in zip(window_entries(part, geometry), factors(block[0], scratch), strict=True):
            if is_covered_once:
                np.multiply(grads, factor, out=target)
            else:
                target += grads * factor

    sum_over_blocks(work, image_blocks(x))
    return result[:, :, ph : ph + h, pw : pw + w]


def max_pool2d_fast(x, kernel_size, stride, padding=(0, 0)):
    """The largest entry of each window; padding never wins."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return pooled(x, window_geometry(x, kernel_size, stride, padding), lowest, np.maximum)


def max_pool2d_fast_gradient(grad, out, x, kernel_size, stride, padding=(0, 0)):
    """Each window's gradient goes to its largest entry, the first of them as in PyTorch."""
    geometry = window_geometry(x, kernel_size, stride, padding)

    def factors(images, scratch):
        result = out[images]
        open_ = np.ones_like(result, bool)  # the windows whose largest entry was not met yet
        has_nan = np.isnan(result).any()
        for entry in window_entries(padded_images(x, images, geometry, scratch, -np.inf), geometry):
            chosen = entry == result
            if has_nan:
                chosen |= np.isnan(entry)  # which is larger than any number, but equals nothing
            chosen &= open_
            open_ ^= chosen
            yield chosen

    return send_back(grad, x, geometry, factors)


def avg_pool2d_fast(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window, in which padding counts as zeros."""
    count = math.prod(kernel_size)
    geometry = window_geometry(x, kernel_size, stride, padding)
    return pooled(x, geometry, 0, np.add, lambda sums: np.divide(sums, count, out=sums))


def avg_pool2d_fast_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """Every entry of a window gets the same share of its gradient."""
    count = math.prod(kernel_size)
    geometry = window_geometry(x, kernel_size, stride, padding)
    return send_back(grad, x, geometry, lambda images, scratch: [grad.dtype.type(1 / count)] * count)


def check_settings(layer, kernel_size, stride, padding):
    """Raise ValueError naming the layer unless sizes and strides are positive and padding is not negative."""
    for name, values, least in (("kernel_size", kernel_size, 1), ("stride", stride, 1), ("padding", padding, 0)):
        is_integer = all(isinstance(value, (int, np.integer)) for value in values)
        if not is_integer or len(values) != 2 or min(values) < least:
            raise ValueError(f"{layer}: {name} {values} must be two integers of at least {least}")


def check_channels(layer, *numbers):
    """Raise ValueError naming the layer for numbers of channels that are not integers, or negative."""
    if not all(isinstance(number, (int, np.integer)) and number >= 0 for number in numbers):
        raise ValueError(f"{layer}: the numbers of channels {numbers} must be integers of at least 0")


def check_pooling(layer, kernel_size, stride, padding):
    """What check_settings does, and that padding is at most half of the window, or one could see nothing else."""
    check_settings(layer, kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(f"{layer}: padding {padding} is more than half of the window {kernel_size}")


def check_fit(layer, x_shape, kernel_size, stride, padding):
    """Raise ValueError naming the layer and both shapes where no window fits into images of shape (N, C, H, W)."""
    try:
        output_shape(x_shape, kernel_size, stride, padding)
    except ValueError as error:
        raise ValueError(f"{layer}: input of shape {tuple(x_shape)}, kernel {kernel_size}: {error}") from None


class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
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
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")


def conv2d(x, weight, bias=None, stride=1, padding=0, *, kernels="fast"):
    """The convolution of images (N, C, H, W) or (C, H, W) with weight (O, C, kh, kw) and bias (O,).

    stride, padding: integers or pairs. Raises ValueError naming the shapes where they do not fit.
    """
    stride, padding = pair(stride), pair(padding)
    if x.ndim not in (3, 4) or weight.ndim != 4 or x.shape[-3] != weight.shape[1]:
        raise ValueError(f"conv2d: an input of shape {x.shape} does not fit a weight of shape {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: a bias of shape {bias.shape} does not fit a weight of shape {weight.shape}")
    check_settings("conv2d", weight.shape[2:], stride, padding)
    images = x if x.ndim == 4 else x.reshape(1, *x.shape)
    check_fit("conv2d", images.shape, weight.shape[2:], stride, padding)
    out = convolve(images, weight, bias, stride=stride, padding=padding, kernels=kernels)
    return out if x.ndim == 4 else out.squeeze(0)


def pool2d(name, operation, x, kernel_size, stride, padding, kernels):
    """Call a pooling operation after checking what it gets; a single image (C, H, W) is a batch of one."""
    kernel_size, padding = pair(kernel_size), pair(padding)
    stride = kernel_size if stride is None else pair(stride)
    check_pooling(name, kernel_size, stride, padding)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images have the shape (N, C, H, W) or (C, H, W), not {x.shape}")
    images = x if x.ndim == 4 else x.reshape(1, *x.shape)
    check_fit(name, images.shape, kernel_size, stride, padding)
    out = operation(images, kernel_size=kernel_size, stride=stride, padding=padding, kernels=kernels)
    return out if x.ndim == 4 else out.squeeze(0)


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

    operation = pool_max


class AvgPool2d(Pool2d):
    """The mean of each window of images (N, C, H, W) or (C, H, W), padded zeros included."""

    operation = pool_avg


class Flatten(Module):
    """All axes from start_dim (1: all but the batch) to end_dim as one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


def use_kernels(model, kernels):
    """Let every convolution and pooling of a model run by "loops", "product" or "fast"; returns the model."""
    check_kernels(kernels)
    for module in model.modules():
        if hasattr(module, "kernels"):
            module.kernels = kernels
    return model


def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers
