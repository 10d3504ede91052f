"""Where the windows of a convolution lie, and the pixels under them, a block at a time."""

from typing import NamedTuple

from numpy.lib.stride_tricks import as_strided

from tinytorch.kernels.blocks import make_blocks


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
