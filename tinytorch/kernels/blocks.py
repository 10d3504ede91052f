"""Large arrays in blocks: a block is made, used and overwritten while it is in the cache, and two threads share them.

Whoever computes on whole arrays writes hundreds of megabytes to memory and reads them back once. Here some megabytes
exist at a time, and nothing is kept: to make a block again costs less than to remember it.
"""

import math

import numpy as np

from tinytorch.threads import map_blocks

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
        """An uninitialised array, in the memory that had this name and dtype before."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        if key not in self.buffers or self.buffers[key].size < size:
            self.buffers[key] = np.empty(size, dtype)
        return self.buffers[key][:size].reshape(shape)
