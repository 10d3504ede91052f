"""Elementwise work in blocks: each is read and written while it is in the cache, and threads share the blocks."""

from tinytorch.threads import map_blocks

__all__ = ["ENTRIES", "over_rows"]

ENTRIES = 2**16  # of a block: some arrays of that size fit into a core's second-level cache


def over_rows(function, count, width=1):
    """[function(slice of rows)] for all of `count` rows of `width` entries, in order; each slice has about ENTRIES."""
    step = max(ENTRIES // max(width, 1), 1)
    return map_blocks(function, [slice(i, min(i + step, count)) for i in range(0, count, step)])
