"""GELU ≈ x · p with p = (1 + tanh(u)) / 2 and u = √(2/π) · (x + 0.044715 x³).

The derivative of p is 2 p (1 - p) · u'. So the slope, p + x · 2 p (1 - p) · u', needs p only, and p is out / x: the
gradient computes no tanh at all. At x = 0, where out / x is 0 / 0, p is 1/2.
"""

import math

import numpy as np

from tinytorch.kernels.rows import over_rows

SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


def gelu(x, *, approximate="none"):
    """GELU of a floating array in blocks; the exact form is left to module 02's operation."""
    if approximate != "tanh" or x.dtype.kind != "f":
        return NotImplemented
    out = np.empty(x.shape, dtype=x.dtype)
    arrays = x.reshape(-1), out.reshape(-1)

    def work(block):
        piece, u = (array[block] for array in arrays)
        np.square(piece, out=u)
        u *= CUBIC * SCALE
        u += SCALE
        u *= piece
        np.tanh(u, out=u)
        u += 1
        u *= piece
        u *= 0.5

    over_rows(work, x.size)
    return out


def gelu_gradient(grad, out, x, *, approximate="none"):
    """grad times the slope, which out and x say without a tanh."""
    if approximate != "tanh":
        return NotImplemented
    for_x = np.empty(x.shape, x.dtype)
    arrays = [array.reshape(-1) for array in (grad, out, x, for_x)]

    def work(block):
        arrived, above, piece, slope = (array[block] for array in arrays)
        p = above / piece
        if np.isnan(p.sum()):
            p[piece == 0] = 0.5
        np.square(piece, out=slope)
        slope *= 6 * CUBIC * SCALE
        slope += 2 * SCALE  # 2 u'
        slope *= piece
        slope *= p
        slope *= 1 - p
        slope += p
        slope *= arrived

    over_rows(work, x.size)
    return for_x
