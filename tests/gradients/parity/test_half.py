"""float16: what adds many numbers up does it in float32, so that a result that fits is right.

The oracle is PyTorch in float64, rounded: its own float16 counts a mean of 70,000 losses as 0.
"""

import numpy as np
import pytest
import torch

from tinytorch import Tensor, nn
from tinytorch.core import losses

HALF = np.float16


def both(x):
    return Tensor(x.astype(HALF)), torch.tensor(x.astype(HALF).astype(np.float64))


def agree(ours, theirs):
    """To one unit in the last place of float16."""
    assert ours.dtype == HALF
    np.testing.assert_allclose(ours.numpy().astype(float), theirs.half().double().numpy(), rtol=1e-3, atol=1e-7)


# more entries than a running sum in float16 can count, and sums beyond its 65,504
FLAT, LONG = np.full(300, 500.0), np.ones((5000, 2))
WHOLE = {
    "mean beyond the range": (FLAT, lambda t, f: t.mean()),
    "mean over an axis": (LONG, lambda t, f: t.mean(0)),
    "sum over an axis": (LONG, lambda t, f: t.sum(0)),
    "sum over all": (LONG, lambda t, f: t.sum()),
    "sum beyond the range": (FLAT, lambda t, f: t.sum()),
    "variance": (LONG * np.array([1.0, 3.0]), lambda t, f: t.var(0)),
    "softmax": (np.zeros((1, 70000)), lambda t, f: f.softmax(t, dim=1)),
    "log_softmax": (np.zeros((1, 70000)), lambda t, f: f.log_softmax(t, dim=1)),
    "average pooling": (np.full((1, 1, 64, 64), 500.0), lambda t, f: f.avg_pool2d(t, 64)),
    "average pooling of ones": (np.ones((1, 2, 64, 64)), lambda t, f: f.avg_pool2d(t, 64)),
}


@pytest.mark.parametrize("case", WHOLE)
def test_sums_of_float16(case):
    x, call = WHOLE[case]
    ours, theirs = both(x)
    agree(call(ours, nn.functional), call(theirs, torch.nn.functional))


@pytest.mark.parametrize("kernels", ["loops", "product", "fast"])
def test_average_pooling_whoever_computes_it(kernels):
    got = nn.functional.avg_pool2d(Tensor(np.full((1, 1, 16, 16), 500, HALF)), 16, kernels=kernels)
    assert got.item() == 500


def test_the_shares_of_float16_sum_to_one():
    shares = nn.functional.softmax(Tensor(np.zeros((1, 70000), HALF))).numpy()
    assert shares.astype(float).sum() == pytest.approx(1, rel=0.01)


def test_losses_of_float16():
    ours, theirs = both(FLAT)
    targets = both(np.full(300, 480.0))
    agree(losses.mse_loss(ours, targets[0]), torch.nn.functional.mse_loss(theirs, targets[1]))
    ours, theirs = both(np.zeros((70000, 2)))
    classes = np.arange(70000) % 2
    for settings in ({}, {"label_smoothing": 0.1}, {"ignore_index": 1}):
        agree(
            nn.functional.cross_entropy(ours, Tensor(classes), **settings),
            torch.nn.functional.cross_entropy(theirs, torch.tensor(classes), **settings),
        )
    ours, theirs = both(np.full((70000,), 0.5))
    targets = both(np.ones(70000))
    for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        agree(
            getattr(losses, name)(ours, targets[0]),
            getattr(torch.nn.functional, name)(theirs, targets[1]),
        )


ADDED = {
    "a broadcast bias": ((5000, 2), (2,), lambda x, w, f: x + w),
    "a product of matrices": ((5000, 3), (3, 2), lambda x, w, f: x @ w),
    "a linear layer's weight": ((5000, 3), (2, 3), lambda x, w, f: f.linear(x, w)),
    "a factor": ((5000, 2), (1, 2), lambda x, w, f: x * w),
}


@pytest.mark.parametrize("case", ADDED)
def test_rules_add_up_more_entries_than_float16_can_count(case):
    shape, of_weight, call = ADDED[case]
    x, weight = np.ones(shape, HALF), np.ones(of_weight, HALF)
    mine, other = Tensor(weight, requires_grad=True), torch.tensor(weight.astype(float), requires_grad=True)
    out = call(Tensor(x), mine, nn.functional)
    expected = call(torch.tensor(x.astype(float)), other, torch.nn.functional)
    out.backward(np.ones(out.shape, HALF))
    expected.backward(torch.ones(expected.shape, dtype=torch.float64))
    assert mine.grad.dtype == HALF
    np.testing.assert_allclose(mine.grad.astype(float), other.grad.numpy(), rtol=1e-3)


def test_gradients_of_float16_reach_the_leaf_in_float16():
    x = Tensor(np.ones((5000, 2), HALF), requires_grad=True)
    nn.functional.softmax(x, dim=0).mean().backward()
    assert x.grad.dtype == HALF
    x = Tensor(np.ones((300,), HALF), requires_grad=True)
    x.sum().backward()
    assert (x.grad == 1).all()
