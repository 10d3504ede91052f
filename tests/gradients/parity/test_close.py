"""What counts as the same in a comparison with PyTorch, and what does not."""

import numpy as np
import pytest
from close import MANY, agree

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.parity
THEIRS = torch.tensor([1.0, -100.0, 0.0], dtype=torch.float64)


def test_the_absolute_part_of_the_bound_is_that_of_the_largest_entry():
    agree(np.array([1.0 + 5e-8, -100.0, 5e-8]), THEIRS)
    with pytest.raises(AssertionError, match="1e-09"):
        agree(np.array([1.0, -100.0, 2e-7]), THEIRS)


def test_float32_is_compared_more_loosely_where_many_terms_were_summed():
    ours = np.array([1.0, -100.003, 0.0], np.float32)
    agree(ours, THEIRS.float(), terms=MANY)
    with pytest.raises(AssertionError, match="1e-05"):
        agree(ours, THEIRS.float())


@pytest.mark.parametrize(
    "ours", [np.array([1.0, -100.0, 0.0], np.float32), np.array([[1.0, -100.0, 0.0]]), np.array([1.0, -100.0, np.nan])]
)
def test_another_dtype_another_shape_and_nan_are_not_the_same(ours):
    with pytest.raises(AssertionError):
        agree(ours, THEIRS)


def test_integers_are_equal_or_not():
    agree(np.array([2**53]), torch.tensor([2**53]))
    with pytest.raises(AssertionError):
        agree(np.array([2**53 + 1]), torch.tensor([2**53]))
