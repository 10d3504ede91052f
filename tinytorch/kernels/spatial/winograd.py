"""Convolution with kernels of 3 x 3 in a quarter of the multiplications (Winograd)."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinytorch.kernels.blocks import Scratch, make_blocks, sum_over_blocks
from tinytorch.kernels.spatial.products import fill_by_columns, weight_gradient_by_columns
from tinytorch.kernels.spatial.windows import window_part

# A 4x4 tile of output sees a 6x6 tile of input: 16 * 9 = 144 multiplications per pair of channels. Transform the input
# tile, multiply by the transformed kernel entry by entry, transform back, and there are 36 (Winograd 1980; Lavin & Gray
# 2015, F(4x4, 3x3)); module 09 counts them for the smallest case, F(2, 3). It is the idea behind fast multiplication of
# polynomials: evaluate both at the points 0, 1, -1, 2, -2 and infinity, multiply the values, interpolate. Along one
# axis, correlation of d with g is TO_OUT @ ((TO_KERNEL @ g) * (TO_INPUT @ d)); along both, each transform is applied to
# the rows and to the columns of a tile. So every transform is a matrix product too, and the products "entry by entry",
# summed over channels, are 36 small matrix products.
#
# The price: a transform mixes all pixels of a tile. Rounding errors are about ten times those of a plain product, and
# they are measured by the largest pixel of the tile, also in outputs that do not see it. So float16 is not computed
# this way, nor is a block in which one pixel is much larger than the others, or not finite.

TO_INPUT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1]]  # fmt: skip
TO_KERNEL = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
             [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
TO_OUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


MOST_ABOVE_MEAN = 500  # a pixel of at most so many times the mean adds an error of some 0.005 means to its tile
MOST_OF_RANGE = 2.0**-20  # of the largest number of the dtype: the transforms multiply by up to 100


def winograd_pays(x, c, o, geometry):
    """Whether `c` input and `o` output channels are enough to pay for the transforms, and the tiles fit the image."""
    height, width = geometry.out_size
    tiles = math.ceil(height / 4) * math.ceil(width / 4)
    is_possible = geometry.kernel == (3, 3) and geometry.stride == (1, 1) and x.dtype.itemsize >= 4
    return is_possible and min(c, o) >= 16 and 16 * tiles <= 1.5 * height * width and len(x) * tiles >= 32


def is_in_range(part):
    """Whether the numbers are finite and small enough for the transforms; their squares, in one pass over them."""
    numbers = part.reshape(-1)
    return bool(numbers @ numbers <= MOST_OF_RANGE * np.finfo(part.dtype).max)  # False for nan


def is_level(part):
    """Whether no number is so large that its rounding error would show in outputs that do not see it.

    The mean is that of every 16th pixel: looking at all of them would take a tenth of a forward.
    """
    peak = max(part.max(), -part.min())
    if not peak <= MOST_OF_RANGE * np.finfo(part.dtype).max:  # nan too
        return False
    return bool(peak <= MOST_ABOVE_MEAN * np.abs(part[:, ::4, ::4]).mean())


def tile_blocks(x, geometry, channels):
    """Blocks of whole tiles; their rows count rows of tiles."""
    tiles_high, tiles_wide = (math.ceil(size / 4) for size in geometry.out_size)
    return make_blocks(len(x), tiles_high, tiles_wide * 36 * channels * x.itemsize)


def pixel_block(block, geometry):
    """The same block, in rows of pixels of the output."""
    images, rows = block
    return images, slice(4 * rows.start, min(4 * rows.stop, geometry.out_size[0]))


def tile_part(x, block, size, padding, geometry, scratch):
    """The pixels of x (N, C, H, W) under the tiles of a block, which are size x size and start every 4 pixels."""
    (images, rows), wide = block, math.ceil(geometry.out_size[1] / 4)
    corner = (4 * rows.start - padding[0], -padding[1])
    return window_part(x, images, corner, (4 * (rows.stop - rows.start) + size - 4, 4 * wide + size - 4), scratch)


def tiles_of(part, size, scratch):
    """The tiles of a part (n, height, width, C) as (size, size, tiles, C)."""
    (n, height, width, c), (image, row, pixel, number) = part.shape, part.strides
    shape = size, size, n, (height - size + 4) // 4, (width - size + 4) // 4, c
    tiles = scratch("tiles", shape, part.dtype)
    tiles[...] = as_strided(part, shape, (row, pixel, image, 4 * row, 4 * pixel, number), writeable=False)
    return tiles.reshape(size, size, -1, c)


def on_both_axes(matrix, tiles, scratch, name):
    """matrix @ tile @ matrix.T for the first two axes of tiles (a, a, m, C), as (b, b, m, C) for a matrix (b, a)."""
    (b, a), dtype = matrix.shape, tiles.dtype
    half = np.matmul(matrix, tiles.reshape(a, -1), out=scratch("half", (b, tiles.size // a), dtype))
    whole = scratch(name, (b, b, tiles.size // a**2), dtype)
    return np.matmul(matrix, half.reshape(b, a, -1), out=whole).reshape(b, b, *tiles.shape[2:])


def transformed_kernels(weight):
    """weight (O, C, 3, 3) as the 36 matrices (C, O) that tiles are multiplied by."""
    to_kernel = np.array(TO_KERNEL, weight.dtype)
    kernels = on_both_axes(to_kernel, weight.transpose(2, 3, 1, 0), Scratch(), "kernels")
    return kernels.reshape(36, *weight.shape[1::-1])


def forward_by_winograd(x, weight, bias, geometry, out):
    """Fill out (N, OH, OW, O)."""
    fill = fill_by_winograd(x, weight, bias, geometry, out, transformed_kernels(weight))
    sum_over_blocks(fill, tile_blocks(x, geometry, sum(weight.shape[:2])))


def fill_by_winograd(x, weight, bias, geometry, out, kernels):
    """A function (block of tiles, scratch) that fills this block of out (N, OH, OW, O)."""
    (o, c), wide = weight.shape[:2], math.ceil(geometry.out_size[1] / 4)
    to_input, to_out = (np.array(matrix, x.dtype) for matrix in (TO_INPUT, TO_OUT))
    fill_plainly = fill_by_columns(x, weight, bias, geometry, out)

    def fill(block, scratch):
        (images, rows), high = block, block[1].stop - block[1].start
        part = tile_part(x, block, 6, geometry.padding, geometry, scratch)
        if not is_level(part):
            fill_plainly(pixel_block(block, geometry), scratch)
            return
        tiles = on_both_axes(to_input, tiles_of(part, 6, scratch), scratch, "input")
        products = scratch("products", (36, tiles.shape[2], o), x.dtype)
        np.matmul(tiles.reshape(36, -1, c), kernels, out=products)
        products[7] += bias  # entry (1, 1) of the 6x6: TO_OUT adds it to every pixel of the tile exactly once
        results = on_both_axes(to_out, products.reshape(6, 6, -1, o), scratch, "out")
        results = results.reshape(4, 4, -1, high, wide, o).transpose(2, 3, 0, 4, 1, 5)
        target = out[images, 4 * rows.start : 4 * rows.stop]
        if target.shape[1:3] == (4 * high, 4 * wide):
            target.reshape(results.shape)[...] = results
        else:  # tiles at the edge reach over it
            target[...] = results.reshape(-1, 4 * high, 4 * wide, o)[:, : target.shape[1], : target.shape[2]]

    return fill


def weight_gradient_by_winograd(grad, x, geometry, shape):
    """The gradient of the weight, which has `shape`: the forward's three steps, transposed. grad: (N, OH, OW, O)."""
    o, c = shape[:2]
    to_input, to_kernel, to_out = (np.array(matrix, x.dtype) for matrix in (TO_INPUT, TO_KERNEL, TO_OUT))
    planar, left = grad.transpose(0, 3, 1, 2), []

    def share(block, scratch):
        part = tile_part(x, block, 6, geometry.padding, geometry, scratch)
        if not is_in_range(part):  # a gradient sums over all pixels: each of its numbers sees the large one
            left.append(pixel_block(block, geometry))
            return np.zeros((36, c, o), x.dtype)
        tiles = on_both_axes(to_input, tiles_of(part, 6, scratch), scratch, "input")
        part = tile_part(planar, block, 4, (0, 0), geometry, scratch)
        grads = on_both_axes(to_out.T, tiles_of(part, 4, scratch), scratch, "grad")
        return tiles.reshape(36, -1, c).transpose(0, 2, 1) @ grads.reshape(36, -1, o)

    total = sum_over_blocks(share, tile_blocks(x, geometry, c + o)).reshape(6, 6, c, o)
    total = on_both_axes(to_kernel.T, total, Scratch(), "kernels").transpose(3, 2, 0, 1)
    if not left:
        return total
    blocks = sorted(left, key=lambda block: (block[0].start, block[1].start))  # threads left them in any order
    return total + weight_gradient_by_columns(grad, x, geometry, shape, blocks)
