"""Layer normalization: on whole arrays about 18 passes over memory, here 2, since a block of rows stays in the cache.

Sums along a row are products with a vector, and sums of products come from vecdot and einsum: neither makes an array
to add up.
"""

import math

import numpy as np

from tinytorch.kernels.rows import over_rows


def deviations(rows, eps):
    """(rows less their means, 1 / √(variance + eps) of each row)."""
    width = rows.shape[1]
    h = rows - (rows @ np.full((width, 1), 1 / width, rows.dtype))
    variance = np.vecdot(h, h)[:, None] / width
    return h, (1 / np.sqrt(variance + eps)).astype(rows.dtype, copy=False)


def layer_norm(x, weight, bias=None, *, eps=1e-5):
    """x (…, *weight.shape) to mean 0 and variance 1 over the axes of weight, times weight, plus bias."""
    if x.shape[x.ndim - weight.ndim :] != weight.shape or x.dtype.kind != "f" or x.size == 0:
        return NotImplemented
    rows = x.reshape(math.prod(x.shape[: x.ndim - weight.ndim]), weight.size)
    out, flat_weight = np.empty(rows.shape, x.dtype), weight.reshape(-1)

    def work(block):
        h, scale = deviations(rows[block], eps)
        h *= scale
        np.multiply(h, flat_weight, out=out[block], casting="same_kind")
        if bias is not None:
            out[block] += bias.reshape(-1)

    over_rows(work, *rows.shape)
    return out.reshape(x.shape)


def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    """For x, weight and bias: (g - mean(g) - h · mean(g · h)) / σ with g = grad · weight; sums over the rows."""
    if x.size == 0:
        return NotImplemented
    width = weight.size
    rows, grads = (array.reshape(-1, width) for array in (x, grad))
    for_x, flat_weight = np.empty(rows.shape, x.dtype), weight.reshape(-1).astype(x.dtype, copy=False)

    def work(block):
        d, scale = deviations(rows[block], eps)  # h is d · scale
        arrived, g = grads[block], for_x[block]
        np.multiply(arrived, scale, out=g)  # g / σ from here on
        for_weight = np.einsum("ri,ri->i", g, d)
        mean = (g @ flat_weight[:, None]) / width
        g *= flat_weight
        d *= np.vecdot(g, d)[:, None] * (scale * scale / width)
        d += mean
        g -= d
        return for_weight, np.ones(len(arrived), x.dtype) @ arrived

    parts = over_rows(work, *rows.shape)
    for_weight, for_bias = (sum(one).reshape(weight.shape) for one in zip(*parts, strict=True))
    return for_x.reshape(x.shape), for_weight, *[for_bias] * len(bias)
