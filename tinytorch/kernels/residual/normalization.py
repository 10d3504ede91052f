"""relu(batch_norm(x) + skip): two walks over memory forwards and two backwards, by all threads.

There is nearly nothing to compute, so what counts is how often the arrays come from memory and go back. As operations
of their own, normalization, sum and ReLU each read a whole array and write another one. Here a block stays in the
cache until all is done with it.
"""

import math

import numpy as np

from tinytorch.kernels.blocks import make_blocks, sum_over_blocks
from tinytorch.kernels.precision import to_float32

# In memory the channels come last, as the convolutions write them, but 16 channels are too short for the inner loop of
# a NumPy operation. So neighbouring pixels are looked at as one row, and the numbers of a channel repeated to match.
ROW = 1024  # numbers


def rows_of(x):
    """x (N, C, …) as a matrix (rows, pixels · C), channels last; a view where that is its order of memory."""
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    channels = max(last.shape[-1], 1)
    together = math.gcd(last.size // channels, 1 << (max(ROW // channels, 1).bit_length() - 1))
    return last.reshape(-1, together * last.shape[-1])


def empty_rows(x):
    """An uninitialised array in the shape of x (N, C, …), channels last in memory, and its matrix of rows."""
    out = np.moveaxis(np.empty((x.shape[0], *x.shape[2:], x.shape[1]), x.dtype), -1, 1)
    return out, rows_of(out)


def row_blocks(rows):
    """Numbered slices of the rows: work memory for each, its inputs and its output are in the cache together."""
    return list(enumerate(block for block, _ in make_blocks(len(rows), 1, 4 * rows.shape[1] * rows.itemsize)))


def in_a_row(values, rows):
    """`values` (C,), one a channel, as often as a row has pixels."""
    return np.tile(np.asarray(values, rows.dtype), rows.shape[1] // len(values))


def column_sums(part):
    """The sum of each column: as a product, which is faster than sum."""
    return np.ones(len(part), part.dtype) @ part


def channel_statistics(x):
    """(mean, variance) of each channel of x (N, C, …), each (C,), in one walk over x.

    Every column of every block has a mean and squared distances from it; together they make those of the channel
    (Chan, Golub, LeVeque 1979). Nothing is lost where the mean is large, as it is in the mean of the squares.
    """
    (x,) = to_float32([x])
    rows, channels = rows_of(x), x.shape[1]
    blocks = row_blocks(rows)
    means, squares = np.empty((2, len(blocks), rows.shape[1]), rows.dtype)

    def look(block, scratch):
        number, place = block
        part = rows[place]
        means[number] = column_sums(part) / len(part)
        centred = np.subtract(part, means[number], out=scratch("centred", part.shape, rows.dtype))
        squares[number] = column_sums(np.multiply(centred, centred, out=centred))

    sum_over_blocks(look, blocks)
    heights = np.array([place.stop - place.start for _, place in blocks], float)[:, None, None]
    means = means.reshape(len(blocks), -1, channels).astype(float)
    count = x.size // channels
    mean = (heights * means).sum(axis=(0, 1)) / count
    between = (heights * (means - mean) ** 2).sum(axis=(0, 1))
    variance = (squares.reshape(-1, channels).sum(axis=0, dtype=float) + between) / count
    return mean.astype(x.dtype), variance.astype(x.dtype)


def norm_relu(x, weight, bias, skip=None, *, eps=1e-5, statistics=None):
    """relu(y + skip), where y is each channel of x (N, C, …) with mean 0 and variance 1, times weight plus bias.

    weight, bias: (C,) or None. skip: of the shape of x, or None. statistics: channel_statistics(x) where known.
    """
    kept = x.dtype
    x, weight, bias, skip = to_float32([x, weight, bias, skip])
    mean, var = channel_statistics(x) if statistics is None else statistics
    scale = 1 / np.sqrt(var + eps) * (1 if weight is None else weight)
    out, out_rows = empty_rows(x)
    rows, skip_rows = rows_of(x), None if skip is None else rows_of(skip)
    mean, scale, shift = (in_a_row(one, rows) for one in (mean, scale, 0 * scale if bias is None else bias))

    def fill(block, scratch):
        _, place = block
        part = np.subtract(rows[place], mean, out=out_rows[place])
        part *= scale
        part += shift
        if skip is not None:
            part += skip_rows[place]
        np.maximum(part, 0, out=part)

    sum_over_blocks(fill, row_blocks(rows))
    return out.astype(kept, copy=False)


def norm_relu_gradient(grad, out, x, weight, bias, skip=None, *, eps=1e-5, statistics=None, needs):
    """The gradients of x, weight, bias and skip, those of x and skip only if the bool in `needs` asks for it."""
    kept = x.dtype
    grad, x, weight = to_float32([grad, x, weight])
    mean, var = channel_statistics(x) if statistics is None else statistics
    inverse = 1 / np.sqrt(var + eps)
    rows, grads, outs = (rows_of(array) for array in (x, grad, out))
    passed, passed_rows = empty_rows(x)  # the gradient of y, and of skip
    means = in_a_row(mean, rows)

    def gate(block, scratch):
        _, place = block
        is_off = np.less_equal(outs[place], 0, out=scratch("is_off", outs[place].shape, bool))
        part = np.multiply(grads[place], np.logical_not(is_off, out=is_off), out=passed_rows[place])
        sums = column_sums(part)
        if not np.isfinite(sums).all():  # 0 times inf is not 0
            part[...] = np.where(is_off, grads[place], 0)
            sums = column_sums(part)
        centred = np.subtract(rows[place], means, out=scratch("centred", part.shape, rows.dtype))
        centred *= part
        return np.stack([sums, column_sums(centred)])

    blocks = row_blocks(rows)
    sums = sum_over_blocks(gate, blocks).reshape(2, -1, x.shape[1]).sum(axis=1)
    for_bias, for_weight = sums[0], sums[1] * inverse
    if not needs[0]:
        return None, for_weight, for_bias, passed.astype(kept, copy=False)
    back, back_rows = empty_rows(x) if skip is not None and needs[3] else (passed, passed_rows)
    count = x.size // x.shape[1]
    slope, level, scale = (
        in_a_row(one, rows)
        for one in (-inverse * for_weight / count, for_bias / count, inverse * (1 if weight is None else weight))
    )

    def send_back(block, scratch):
        _, place = block
        part = np.subtract(rows[place], means, out=scratch("part", rows[place].shape, rows.dtype))
        part *= slope
        part += passed_rows[place]
        part -= level
        np.multiply(part, scale, out=back_rows[place])

    sum_over_blocks(send_back, blocks)
    for_skip = None if back is passed else passed.astype(kept, copy=False)
    return back.astype(kept, copy=False), for_weight, for_bias, for_skip
