"""What Hypothesis draws for the tests of operations: shapes, axes, and arrays that lie awkwardly in memory."""

import math

import numpy as np
from hypothesis import strategies as st

SIDES = st.sampled_from([0, 1, 1, 2, 3, 5])


def shapes(min_dims=0, max_dims=4, sides=SIDES):
    """Shapes with empty axes and axes of size 1 among them."""
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def broadcastable(draw, count=2, max_dims=4):
    """`count` shapes that broadcast together: each drops leading axes of a common shape, or has 1 in their place."""
    common = draw(shapes(max_dims=max_dims))
    drawn = []
    for _ in range(count):
        kept = common[draw(st.integers(0, len(common))) :]
        drawn.append(tuple(1 if draw(st.booleans()) and draw(st.booleans()) else size for size in kept))
    return tuple(drawn)


@st.composite
def axes(draw, ndim, several=True):
    """None, one axis, or a tuple of different ones; negative as often as not."""
    kind = draw(st.sampled_from(["all", "one", "several"] if several else ["one"]))
    if kind == "all" or ndim == 0:
        return None
    signed = st.integers(0, ndim - 1).flatmap(lambda axis: st.sampled_from([axis, axis - ndim]))
    if kind == "one":
        return draw(signed)
    return tuple(draw(st.lists(signed, min_size=1, max_size=ndim, unique_by=lambda axis: axis % ndim)))


@st.composite
def arrays(draw, shape, low=-3.0, high=3.0, dtype=np.float64, gap=0.0):
    """An array of `shape` with entries in [low, high], at least `gap` from 0; often not contiguous."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layout = draw(st.sampled_from(["dense", "transposed", "strided", "reversed"]))

    def numbers(shape):
        drawn = np.asarray(generator.uniform(low, high, shape))
        if gap:
            drawn = np.where(np.abs(drawn) < gap, np.where(drawn < 0, drawn - gap, drawn + gap), drawn)
        return drawn.astype(dtype)

    if layout == "transposed":
        return numbers(shape[::-1]).T
    if layout == "strided":
        return np.asarray(numbers(tuple(2 * size for size in shape))[tuple(slice(None, None, 2) for _ in shape)])
    if layout == "reversed":
        return np.asarray(numbers(shape)[tuple(slice(None, None, -1) for _ in shape)])
    return numbers(shape)


@st.composite
def distinct_arrays(draw, shape):
    """Entries that differ by 0.1 or more, so that a maximum is smooth under small nudges."""
    count = math.prod(shape)
    order = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).permutation(count)
    return (order * 0.1 - 0.05 * count).reshape(shape)
