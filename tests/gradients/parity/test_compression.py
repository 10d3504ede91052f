"""Compression against PyTorch: its pruning, networks without channels, divergence; and module 16's stretch."""

import numpy as np
import pytest
import torch
from close import agree
from torch.nn.utils import prune

from tinytorch.core.compression import (
    CompressedRows,
    MaskedOptimizer,
    distillation_loss,
    factorize,
    low_rank_adapter,
    magnitude_mask,
    remove_channels,
)
from tinytorch.core.layers import Linear, Parameter
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import Tensor
from tinytorch.nn import Conv2d, Flatten, MaxPool2d, ReLU, Sequential

F = torch.nn.functional


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.93])
def test_masks_over_all_arrays_are_those_of_global_unstructured_pruning(sparsity):
    theirs = torch.nn.Sequential(torch.nn.Linear(9, 7), torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(5, 4))
    arrays = [layer.weight.detach().numpy().copy() for layer in theirs]
    prune.global_unstructured([(layer, "weight") for layer in theirs], prune.L1Unstructured, amount=sparsity)
    for mask, layer in zip(magnitude_mask(arrays, sparsity), theirs, strict=True):
        np.testing.assert_array_equal(mask, layer.weight_mask.numpy().astype(bool))


def test_steps_with_masks_are_those_of_a_pruned_parameter():
    """PyTorch's pruned weight is weight_orig · mask, whose gradient is masked as well."""
    draw = np.random.default_rng(0)
    start, mask = draw.normal(size=(4, 6)), draw.random((4, 6)) < 0.4
    layer = torch.nn.Linear(6, 4, bias=False, dtype=torch.float64)
    layer.weight.data[...] = torch.tensor(start)
    prune.custom_from_mask(layer, "weight", torch.tensor(mask))
    theirs = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    weight = Parameter(Tensor(start, dtype=np.float64))
    held = MaskedOptimizer(SGD([weight], lr=0.1, momentum=0.9), [weight])
    held.set_masks([mask])
    for _ in range(5):
        x = draw.normal(size=(3, 6))
        theirs.zero_grad()
        (layer(torch.tensor(x)) ** 2).sum().backward()
        theirs.step()
        weight.grad = None
        ((Tensor(x, dtype=np.float64) @ weight.T) ** 2).sum().backward()
        held.step()
        agree(weight.numpy(), layer.weight_orig * torch.tensor(mask))


def test_a_network_without_channels_is_pytorch_s_network_with_them_pruned():
    ours = Sequential(
        Conv2d(2, 5, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(5, 4, 2), ReLU(), Flatten(), Linear(36, 6), ReLU(),
        Linear(6, 3),
    )  # fmt: skip
    T = torch.nn
    theirs = T.Sequential(
        T.Conv2d(2, 5, 3, padding=1), T.ReLU(), T.MaxPool2d(2), T.Conv2d(5, 4, 2), T.ReLU(), T.Flatten(),
        T.Linear(36, 6), T.ReLU(), T.Linear(6, 3),
    )  # fmt: skip
    keep = {0: [0, 2, 3], 3: [1, 3], 6: [0, 4, 5]}
    for place in (0, 3, 6, 8):
        for name in ("weight", "bias"):
            getattr(theirs[place], name).data[...] = torch.tensor(getattr(ours[place], name).numpy())
    for place, kept in keep.items():
        for name in ("weight", "bias"):
            mask = torch.zeros_like(getattr(theirs[place], name))
            mask[kept] = 1
            prune.custom_from_mask(theirs[place], name, mask)
    x = np.random.default_rng(1).normal(size=(4, 2, 8, 8)).astype(np.float32)
    agree(remove_channels(ours, keep)(Tensor(x)).numpy(), theirs(torch.tensor(x)))


@pytest.mark.parametrize("rank", [1, 3])
def test_factors_are_those_of_pytorch_s_decomposition(rank):
    linear = Linear(11, 8, dtype=np.float64)
    u, s, v = torch.linalg.svd(torch.tensor(linear.weight.numpy()), full_matrices=False)
    down, up = factorize(linear, rank)
    agree(up.weight.numpy() @ down.weight.numpy(), (u[:, :rank] * s[:rank]) @ v[:rank])


def test_an_adapter_s_gradients_are_pytorch_s():
    linear = Linear(7, 5, dtype=np.float64)
    adapted = low_rank_adapter(linear, 2)
    draw = np.random.default_rng(2)
    adapted[1][1].weight.data[...] = draw.normal(size=(5, 2))
    x = draw.normal(size=(4, 7))
    (adapted(Tensor(x, dtype=np.float64)) ** 2).sum().backward()
    weight, bias = torch.tensor(linear.weight.numpy()), torch.tensor(linear.bias.numpy())
    a, b = (torch.tensor(one.weight.numpy(), requires_grad=True) for one in adapted[1])
    (F.linear(torch.tensor(x), weight + b @ a, bias) ** 2).sum().backward()
    agree(adapted[1][0].weight.grad, a.grad)
    agree(adapted[1][1].weight.grad, b.grad)
    assert linear.weight.grad is None and linear.bias.grad is None


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 0.0), (1.0, 1.0), (4.0, 0.9), (0.5, 0.3)])
def test_the_distillation_loss_is_pytorch_s_divergence_and_cross_entropy(temperature, alpha):
    draw = np.random.default_rng(3)
    logits, taught, targets = draw.normal(size=(6, 5)), draw.normal(size=(6, 5)) * 4, np.array([0, 4, 2, 2, 1, 3])
    mine = Tensor(logits, True, np.float64)
    found = distillation_loss(mine, Tensor(taught, dtype=np.float64), targets, temperature, alpha)
    found.backward()
    theirs = torch.tensor(logits, requires_grad=True)
    soft = F.kl_div(
        F.log_softmax(theirs / temperature, -1), F.log_softmax(torch.tensor(taught) / temperature, -1),
        reduction="batchmean", log_target=True,
    )  # fmt: skip
    expected = alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(theirs, torch.tensor(targets))
    expected.backward()
    agree(found.numpy(), expected)
    agree(mine.grad, theirs.grad)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
def test_compressed_rows_are_pytorch_s_and_so_is_their_product(density):
    draw = np.random.default_rng(4)
    dense = np.where(draw.random((13, 9)) < density, draw.normal(size=(13, 9)), 0)
    x, rows, theirs = draw.normal(size=(9, 4)), CompressedRows(dense), torch.tensor(dense).to_sparse_csr()
    agree(rows.values, theirs.values())
    np.testing.assert_array_equal(rows.columns, theirs.col_indices().numpy())
    np.testing.assert_array_equal(rows.starts, theirs.crow_indices().numpy())
    agree(rows.matmul(x), theirs @ torch.tensor(x))
