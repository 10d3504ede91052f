"""Pooling: no products, only few passes over memory."""

import math

import numpy as np

from tinytorch.kernels.blocks import make_blocks, sum_over_blocks
from tinytorch.kernels.spatial.windows import window_geometry, window_part

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


def pool_max(x, *, kernel_size, stride, padding):
    """The largest entry of each window; padding never wins."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return pooled(x, window_geometry(x, kernel_size, stride, padding), lowest, np.maximum)


def pool_max_gradient(grad, out, x, *, kernel_size, stride, padding):
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


def pool_avg(x, *, kernel_size, stride, padding):
    """The mean of each window, in which padding counts as zeros."""
    count = math.prod(kernel_size)
    geometry = window_geometry(x, kernel_size, stride, padding)
    return pooled(x, geometry, 0, np.add, lambda sums: np.divide(sums, count, out=sums))


def pool_avg_gradient(grad, out, x, *, kernel_size, stride, padding):
    """Every entry of a window gets the same share of its gradient."""
    count = math.prod(kernel_size)
    geometry = window_geometry(x, kernel_size, stride, padding)
    return send_back(grad, x, geometry, lambda images, scratch: [grad.dtype.type(1 / count)] * count)
