"""float16 in operations that add many numbers up."""

import functools

import numpy as np


def in_float32(forward):
    """`forward(x, **settings)`, which for a float16 array x computes in float32 and rounds the result to float16.

    A running sum in float16 overflows beyond 65,504, and from 2,048 on, where its neighbours are 2 apart, adding 1
    changes nothing; its mean may be an ordinary number all the same.
    """

    @functools.wraps(forward)
    def widened(x, **settings):
        if x.dtype != np.float16:
            return forward(x, **settings)
        with np.errstate(over="ignore"):  # a sum may be too large for float16 in the end
            return forward(x.astype(np.float32), **settings).astype(np.float16)

    return widened


def to_float32(arrays):
    """What there is of float16 among arrays, numbers and None in float32, and the rest as it is; a tuple."""
    return tuple([x.astype(np.float32) if getattr(x, "dtype", None) == np.float16 else x for x in arrays])
