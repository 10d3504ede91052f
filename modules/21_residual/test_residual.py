"""The public behaviour of tinytorch.core.residual: normalization in both modes, residual blocks, folding."""

import numpy as np
import pytest

from tinytorch.core import autograd, residual
from tinytorch.core.layers import Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD
from tinytorch.core.residual import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    GlobalAvgPool2d,
    GroupNorm,
    ResidualBlock,
    ResNet,
    batch_norm,
    channel_statistics,
    fold_batch_norm,
    group_norm,
)
from tinytorch.core.spatial import Conv2d
from tinytorch.core.tensor import Tensor, manual_seed

SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 2, 3)]
every_shape = pytest.mark.parametrize("shape", SHAPES)


def numbers(*shape, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 2, shape)


def double(array, wants=True):
    return Tensor(array, wants, np.float64)


def other_axes(shape):
    return tuple(axis for axis in range(len(shape)) if axis != 1)


@every_shape
def test_statistics_are_those_of_numpy_in_every_order_of_memory(shape):
    x = numbers(*shape, mean=30)
    for array in (x, np.asfortranarray(x), np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(1, -1)):
        mean, variance = channel_statistics(array)
        np.testing.assert_allclose(mean, array.mean(axis=other_axes(shape)), rtol=1e-12)
        np.testing.assert_allclose(variance, array.var(axis=other_axes(shape)), rtol=1e-12)


def test_no_digits_are_lost_far_from_zero():
    x = (1e4 + numbers(64, 2, 8, 8)).astype(np.float32)
    wide = x.astype(np.float64)
    normal = (wide - wide.mean(axis=(0, 2, 3), keepdims=True)) / wide.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(batch_norm(x, None, None).numpy(), normal, atol=5e-3)


@every_shape
def test_the_rule_is_the_gradient_of_the_forward(shape):
    x, pull = double(numbers(*shape, mean=3)), numbers(*shape, seed=1)
    weight, bias = double(numbers(3, seed=2)), double(numbers(3, seed=3))
    batch_norm(x, weight, bias, eps=0.01).backward(pull)
    for tensor in (x, weight, bias):
        direction = numbers(*tensor.shape, seed=4)

        def moved(step, tensor=tensor, direction=direction):
            arrays = [t.data + step * direction if t is tensor else t.data for t in (x, weight, bias)]
            return float((batch_norm.forward(*arrays, eps=0.01) * pull).sum())

        slope = (moved(1e-6) - moved(-1e-6)) / 2e-6
        assert float((tensor.grad * direction).sum()) == pytest.approx(slope, rel=1e-6)


@every_shape
def test_nothing_reaches_the_input_that_moves_or_spreads_a_whole_channel(shape):
    x = double(numbers(*shape))
    batch_norm(x, None, None, eps=1e-12).backward(numbers(*shape, seed=1))
    np.testing.assert_allclose(x.grad.sum(axis=other_axes(shape)), 0, atol=1e-9)
    np.testing.assert_allclose((x.grad * x.data).sum(axis=other_axes(shape)), 0, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.1, 0.6, None])
def test_running_statistics_follow_the_recurrence(momentum):
    layer, mean, variance = BatchNorm2d(2, momentum=momentum), np.zeros(2), np.ones(2)
    for number in range(1, 6):
        x = numbers(3, 2, 4, 4, seed=number, mean=number)
        layer(Tensor(x))
        share = 1 / number if momentum is None else momentum
        mean += share * (x.mean(axis=(0, 2, 3)) - mean)
        variance += share * (x.var(axis=(0, 2, 3), ddof=1) - variance)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 5


def test_evaluation_changes_nothing_and_an_image_does_not_see_the_others():
    layer, x = BatchNorm2d(3), Tensor(numbers(8, 3, 4, 4, mean=2))
    layer(x)
    layer.eval()
    before = layer.state_dict()
    together = layer(x).numpy()
    for i in range(8):
        np.testing.assert_allclose(layer(x[i : i + 1]).numpy()[0], together[i], rtol=1e-6)
    assert all(np.array_equal(value, layer.state_dict()[name]) for name, value in before.items())
    layer.train()
    assert not np.allclose(layer(x[:1]).numpy()[0], together[0]), "in training it does"
    assert not np.array_equal(before["running_mean"], layer.state_dict()["running_mean"])


def test_the_state_travels_with_its_buffers():
    layer = BatchNorm1d(3)
    layer(Tensor(numbers(9, 3, mean=4)))
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == names
    other = BatchNorm1d(3)
    other.load_state_dict(layer.state_dict())
    x = Tensor(numbers(4, 3, seed=1))
    np.testing.assert_array_equal(other.eval()(x).numpy(), layer.eval()(x).numpy())
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert list(BatchNorm1d(3, affine=False, track_running_stats=False).state_dict()) == []


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm1d(3), (1, 3)), (BatchNorm1d(3), (4, 2)), (BatchNorm1d(3), (4, 3, 2, 2)), (BatchNorm1d(3), (3,)),
        (BatchNorm2d(3), (1, 3, 1, 1)), (BatchNorm2d(3), (4, 3)), (BatchNorm2d(3), (2, 4, 3, 3)),
        (BatchNorm(2, track_running_stats=False).eval(), (1, 2)), (GroupNorm(1, 3), (2, 4, 2)),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_refused_with_their_shape(layer, shape):
    with pytest.raises(ValueError, match=str(shape).replace("(", r"\(").replace(")", r"\)")):
        layer(Tensor(np.zeros(shape)))


def test_one_value_a_channel_is_no_problem_in_evaluation():
    np.testing.assert_allclose(BatchNorm1d(2).eval()(Tensor([[3.0, -1.0]])).numpy(), [[3, -1]], rtol=1e-4)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_groups_have_mean_0_and_variance_1_image_by_image(groups):
    x = numbers(3, 6, 4, 2, mean=5)
    out = group_norm(double(x), groups, eps=1e-12).numpy()
    rows = out.reshape(3 * groups, -1)
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(rows.std(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(group_norm(double(x[1:2]), groups, eps=1e-12).numpy(), out[1:2], rtol=1e-9)


def test_groups_have_to_divide_the_channels():
    for refused in (lambda: group_norm(double(numbers(2, 6)), 4), lambda: GroupNorm(4, 6)):
        with pytest.raises(ValueError, match=r"4.*6|6.*4"):
            refused()


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (4, 2), (6, 1), (6, 2)])
def test_a_block_with_a_silent_branch_is_its_shortcut(channels, stride):
    block, x = ResidualBlock(4, channels, stride), Tensor(numbers(3, 4, 6, 6))
    block.bn2.weight.data[...] = 0
    np.testing.assert_allclose(block(x).numpy(), np.maximum(block.shortcut(x).numpy(), 0), atol=1e-6)
    assert len(block.shortcut) == (0 if (channels, stride) == (4, 1) else 2)


@pytest.mark.parametrize(("blocks", "parameters"), [(1, 78_042), (3, 272_474), (5, 466_906), (9, 855_770)])
def test_networks_have_the_published_numbers_of_parameters(blocks, parameters):
    assert sum(parameter.numel() for parameter in ResNet(blocks).parameters()) == parameters


def test_a_global_mean_takes_batches_and_single_images():
    x = Tensor(numbers(2, 3, 5, 7))
    np.testing.assert_allclose(GlobalAvgPool2d()(x).numpy(), x.numpy().mean(axis=(2, 3)), atol=1e-6)
    np.testing.assert_allclose(GlobalAvgPool2d()(x[0]).numpy(), x.numpy()[0].mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_folded_convolution_computes_what_both_did(bias, affine):
    conv, norm = Conv2d(3, 4, (3, 2), (2, 1), (1, 0), bias=bias), BatchNorm2d(4, eps=0.01, affine=affine)
    for seed in range(3):
        norm(conv(Tensor(numbers(4, 3, 6, 6, seed=seed, mean=1))))
    for parameter in norm.parameters():
        parameter.data += numbers(4, seed=9)
    norm.eval()
    folded, x = fold_batch_norm(conv, norm), Tensor(numbers(2, 3, 6, 6, seed=7))
    np.testing.assert_allclose(folded(x).numpy(), norm(conv(x)).numpy(), atol=1e-4)
    assert (folded.stride, folded.padding, folded.kernels) == (conv.stride, conv.padding, conv.kernels)


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ValueError, match="4"):
        fold_batch_norm(Conv2d(1, 3, 1), BatchNorm2d(4))
    with pytest.raises(ValueError):
        fold_batch_norm(Conv2d(1, 3, 1), BatchNorm2d(3, track_running_stats=False))


def test_a_small_network_learns_and_is_folded_into_convolutions():
    manual_seed(0)
    model, labels = ResNet(1, 2, in_channels=1, width=4, zero_init=True), np.arange(16) % 2
    x = Tensor(numbers(16, 1, 8, 8) + 3 * labels.reshape(16, 1, 1, 1))
    optimizer, losses = SGD(model.parameters(), lr=0.1, momentum=0.9), []
    for _ in range(12):
        optimizer.zero_grad()
        loss = CrossEntropyLoss()(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    model.eval()
    with autograd.no_grad():
        before = model(x).numpy()
        for block in model.blocks:
            block.conv1, block.bn1 = fold_batch_norm(block.conv1, block.bn1), Sequential()
            block.conv2, block.bn2 = fold_batch_norm(block.conv2, block.bn2), Sequential()
        np.testing.assert_allclose(model(x).numpy(), before, rtol=1e-3, atol=1e-3)


def test_float32_stays_float32():
    x = Tensor(numbers(4, 4, 3, 3), requires_grad=True)
    for layer in (BatchNorm2d(4), BatchNorm2d(4).eval(), GroupNorm(2, 4), ResidualBlock(4, 8, 2)):
        out = layer(x)
        out.sum().backward()
        assert {out.dtype, x.grad.dtype, *(p.grad.dtype for p in layer.parameters())} == {np.dtype(np.float32)}


def test_the_operation_is_one_node():
    assert residual.batch_norm(double(numbers(3, 2)), None, None).node.op.__name__ == "batch_norm"
