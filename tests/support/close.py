"""How near is the same: the tolerances of parity with PyTorch, for all files that compare."""

import numpy as np

RTOL = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2}
MANY = 100  # terms from which on a sum in float32 is compared to 1e-4


def agree(ours, theirs, *, terms=1, rtol=None, scale=0.0):
    """The same shape, dtype and numbers as PyTorch's Tensor `theirs`.

    float64 to 1e-9; float32 to 1e-5, or 1e-4 where each entry sums MANY `terms`; relative to the entry plus to the
    largest finite one, because PyTorch itself misses a bound that is relative to each entry alone. scale: the size of
    what cancels where all entries are small differences. What is no float is equal.
    """
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    if theirs.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs)
        return
    if rtol is None:
        rtol = 1e-4 if theirs.dtype == np.float32 and terms >= MANY else RTOL[theirs.dtype.name]
    largest = np.abs(theirs[np.isfinite(theirs)].astype(np.float64)).max(initial=scale)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * largest)
