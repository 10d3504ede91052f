"""Convolution as matrix products, by columns or by planes (see windows.py), and its gradients."""

import numpy as np

from tinytorch.kernels.blocks import make_blocks, sum_over_blocks
from tinytorch.kernels.spatial.windows import columns_of, planes_of


def fill_by_columns(x, weight, bias, geometry, out):
    """A function (block, scratch) that fills this block of out (N, OH, OW, O) with one matrix product."""
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    def fill(block, scratch):
        pixels = out[block].reshape(-1, len(weight))
        np.matmul(columns_of(x, block, geometry, scratch), matrix, out=pixels)
        pixels += bias

    return fill


def forward_by_columns(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O) with one matrix product per block."""
    sum_over_blocks(fill_by_columns(x, weight, bias, geometry, out), geometry.blocks(x, weight[0].size))


def fill_by_planes(x, weight, bias, geometry, out):
    """A function (block, scratch) that fills this block of out (N, OH, OW, O) with one matrix product per image."""
    matrix = weight.reshape(len(weight), -1).T

    def fill(block, scratch):
        planes = planes_of(x, block, geometry, scratch)
        pixels = out[block].reshape(len(planes), -1, len(weight))
        np.matmul(planes.transpose(0, 2, 1), matrix, out=pixels)
        pixels += bias

    return fill


def forward_by_planes(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O) with one matrix product per image."""
    sum_over_blocks(fill_by_planes(x, weight, bias, geometry, out), geometry.blocks(x, weight[0].size))


def weight_gradient_by_columns(grad, x, geometry, shape, blocks=None):
    """The gradient of the weight, which has `shape`: columns times grad (N, OH, OW, O), over some blocks or all."""
    o, c, kh, kw = shape
    blocks = geometry.blocks(x, kh * kw * c) if blocks is None else blocks

    def share(block, scratch):
        pixels = np.ascontiguousarray(grad[block]).reshape(-1, o)
        return pixels.T @ columns_of(x, block, geometry, scratch)

    return sum_over_blocks(share, blocks).reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


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
