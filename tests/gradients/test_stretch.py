"""The answers that are a stretch: no module's own tests may be about them, since students may leave them out."""

import numpy as np
import pytest

import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch import Tensor
from tinytorch.core.attention import repeat_heads
from tinytorch.core.embeddings import rotate


def test_turned_rows_meet_by_their_distance():
    x = Tensor(np.random.default_rng(9).normal(size=(2, 4, 6)), dtype=np.float64)
    near, far = rotate(x, [0, 3, 5, 6]).numpy(), rotate(x, [100, 103, 105, 106]).numpy()
    np.testing.assert_allclose(near @ near.swapaxes(1, 2), far @ far.swapaxes(1, 2), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(near, axis=-1), np.linalg.norm(x.numpy(), axis=-1))
    with pytest.raises(ValueError, match="5"):
        rotate(Tensor(np.zeros((2, 5))), [0, 1])


def test_a_group_serves_its_heads():
    x = Tensor(np.random.default_rng(0).normal(size=(2, 2, 3, 4)), True, np.float64)
    repeated = repeat_heads(x, 6)
    np.testing.assert_array_equal(repeated.numpy(), np.repeat(x.numpy(), 3, axis=1))
    repeated.backward(np.arange(repeated.numel(), dtype=float).reshape(repeated.shape))
    expected = np.arange(repeated.numel(), dtype=float).reshape(2, 2, 3, 3, 4).sum(axis=2)
    np.testing.assert_allclose(x.grad, expected)
    with pytest.raises(ValueError, match=r"(?s)(?=.*5)(?=.*2)"):
        repeat_heads(x, 5)
