"""Layer normalization: on whole arrays about 18 passes over memory, here 2, since a block of rows stays in the cache.

On a block, steps that NumPy takes row by row (a number for each row, or a row for all) cost twice as much as products
and sums of two blocks, and three times as much as a product with a vector. So rows are not centred where that can be
left out, sums are products with vectors, and what is added to each row is a matrix product with two columns.
"""

import math

import numpy as np

from tinytorch.kernels.rows import over_rows


def moments(rows, eps):
    """(rows, their means, 1 / √(variance + eps) of each).

    E[x²] - mean² loses digits where the mean is large beside the deviation; a block in which a row has such a mean
    comes back as deviations, with means of 0.
    """
    width = rows.shape[1]
    mean = rows @ np.full(width, 1 / width, rows.dtype)
    square = mean * mean
    variance = np.vecdot(rows, rows) / width - square
    if not (square <= 4 * variance).all():
        rows, mean = rows - mean[:, None], np.zeros_like(mean)
        variance = np.vecdot(rows, rows) / width
    return rows, mean, (1 / np.sqrt(variance + eps)).astype(rows.dtype, copy=False)


def outer_sum(first, second, pair, out=None):
    """first ⊗ pair[0] + second ⊗ pair[1], of vectors or numbers; BLAS is slow with one column, so there are two."""
    columns = np.empty((len(first), 2), pair.dtype)
    columns[:, 0], columns[:, 1] = first, second
    return np.matmul(columns, pair, out=out)


def layer_norm(x, weight, bias=None, *, eps=1e-5):
    """x (…, *weight.shape) to mean 0 and variance 1 over the axes of weight, times weight, plus bias."""
    if x.shape[x.ndim - weight.ndim :] != weight.shape or x.dtype.kind != "f" or x.itemsize == 2 or x.size == 0:
        return NotImplemented
    rows = x.reshape(math.prod(x.shape[: x.ndim - weight.ndim]), weight.size)
    out, scales = np.empty(rows.shape, x.dtype), np.zeros((2, weight.size), x.dtype)
    scales[0] = weight.reshape(-1)
    pair = scales.copy()  # a bias of its own, since 0 times a bias of inf would be NaN
    if bias is not None:
        pair[1] = bias.reshape(-1)

    def work(block):
        h, mean, scale = moments(rows[block], eps)
        part = outer_sum(scale, 0, scales, out=out[block])
        part *= h
        part += outer_sum(-mean * scale, 1, pair)

    over_rows(work, *rows.shape)
    return out.reshape(x.shape)


def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    """For x, weight and bias: (g - mean(g) - h · mean(g · h)) / σ with g = grad · weight and h = (x - mean) / σ."""
    width = weight.size
    if x.size == 0:
        return NotImplemented
    if width == 1:  # a row of one entry is its own mean: what reaches it is exactly 0
        return np.zeros_like(x), np.zeros_like(weight), *(np.full_like(one, grad.sum()) for one in bias)
    rows, grads = (array.reshape(-1, width) for array in (x, grad))
    for_x, pair = np.empty(rows.shape, x.dtype), np.zeros((2, width), x.dtype)
    pair[0] = weight.reshape(-1)

    def work(block):
        h, mean, scale = moments(rows[block], eps)  # (h - mean) · scale is the docstring's h
        arrived, part = grads[block], for_x[block]
        np.multiply(arrived, h, out=part)
        total, along = arrived @ pair[0], part @ pair[0]  # of each row, Σ g and Σ g · h
        to_weight = scale @ part - (scale * mean) @ arrived
        to_bias = np.ones(len(arrived), x.dtype) @ arrived
        slope = (along - mean * total) * (scale * scale * scale) / width
        outer_sum(scale, 0, pair, out=part)
        part *= arrived  # g / σ
        h = h * slope[:, None]
        h += (total * scale / width - mean * slope)[:, None]
        part -= h
        return to_weight, to_bias

    parts = over_rows(work, *rows.shape)
    for_weight, for_bias = (sum(one).reshape(weight.shape) for one in zip(*parts, strict=True))
    return for_x.reshape(x.shape), for_weight, *[for_bias] * len(bias)
