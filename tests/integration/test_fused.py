"""Fused normalization beside the student's operations: values, gradients, buffers, and what is not to be fused."""

import copy
import warnings

import numpy as np
import pytest
import torch

from tinytorch import Tensor, manual_seed, nn
from tinytorch.core import residual
from tinytorch.core.activations import relu
from tinytorch.kernels import residual as kernels
from tinytorch.residual import FusedBlock, FusedResNet, fuse, norm_relu

SHAPES = [(9, 3), (5, 3, 4), (6, 4, 5, 3), (16, 16, 8, 8), (2, 2000, 2, 1), (1, 1, 2, 2)]
ORDERS = {
    "channels last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(1.5, 2, shape).astype(dtype)


def leaves(shape, order, dtype, *, affine=True, skip=True):
    """x, weight, bias and skip as Tensors that want gradients."""
    arrays = [order(draw(*shape, dtype=dtype))]
    arrays += [draw(shape[1], seed=seed, dtype=dtype) if affine else None for seed in (1, 2)]
    arrays.append(order(draw(*shape, seed=3, dtype=dtype)) if skip else None)
    tensors = [None if array is None else Tensor(array[:0], True, dtype) for array in arrays]
    for tensor, array in zip(tensors, arrays, strict=True):
        if tensor is not None:
            tensor.data = array  # the order of memory stays
    return tensors


def layer_of(x, weight, bias, **settings):
    """A BatchNorm of the student's with these parameters."""
    norm = residual.BatchNorm(x.shape[1], affine=weight is not None, **settings)
    norm.weight, norm.bias = (None if one is None else nn.Parameter(one.data) for one in (weight, bias))
    for mine, given in ((norm.weight, weight), (norm.bias, bias)):
        if mine is not None:
            mine.data = given.data.copy()
    return norm


@pytest.mark.parametrize("settings", [{}, {"momentum": None, "eps": 0.3}, {"affine": False}, {"skip": False}])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradients_and_buffers_are_the_students(shape, order, settings):
    settings = dict(settings)
    kinds = {name: settings.pop(name) for name in ("affine", "skip") if name in settings}
    for dtype, close in ((np.float64, 1e-9), (np.float32, 3e-4)):
        found = []
        for fused in (True, False):
            x, weight, bias, skip = leaves(shape, ORDERS[order], dtype, **kinds)
            norm = layer_of(x, weight, bias, **settings)
            for _ in range(2):
                if fused:
                    out = norm_relu(norm, x, skip)
                else:
                    normed = norm(x)
                    out = relu(normed if skip is None else normed + skip)
                out.backward(ORDERS[order](draw(*shape, seed=4, dtype=dtype)))
            wanting = [one for one in (x, norm.weight, norm.bias, skip) if one is not None]
            found.append([out.numpy(), *(one.grad for one in wanting), *(one.numpy() for one in norm.buffers())])
        for mine, theirs in zip(*found, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=close, atol=close * max(np.abs(theirs).max(), 1))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_same_numbers_come_from_one_thread_and_from_two(threads, monkeypatch):
    arrays = [draw(64, 16, 16, 16, seed=seed, dtype=np.float32) for seed in range(3)]
    x, skip, grad = map(ORDERS["channels last"], arrays)
    weight, bias = draw(2, 16, dtype=np.float32)

    def everything():
        statistics = kernels.channel_statistics(x)
        out = kernels.norm_relu(x, weight, bias, skip, statistics=statistics)
        how = {"statistics": statistics, "needs": (True,) * 4}
        return *statistics, out, *kernels.norm_relu_gradient(grad, out, x, weight, bias, skip, **how)

    expected = everything()
    monkeypatch.setenv("TINYTORCH_THREADS", threads)
    for mine, usual in zip(everything(), expected, strict=True):
        np.testing.assert_array_equal(mine, usual)


def test_statistics_of_values_far_from_0_keep_their_digits():
    x = (10_000 + np.tile([-3.0, 1, 2, 0], 4096)).astype(np.float32).reshape(64, 1, 16, 16)
    mean, variance = kernels.channel_statistics(x)
    assert mean == 10_000 and variance == 3.5
    assert mean.dtype == variance.dtype == np.float32


def test_what_a_relu_holds_back_is_0_also_where_it_is_infinite_and_nan_passes():
    grad = np.array([[np.inf], [2.0], [np.nan], [3.0]])
    x, out = draw(4, 1), np.array([[0.0], [1.0], [0.0], [np.nan]])
    needs = (False, True, True, True)
    with np.errstate(invalid="ignore"):  # as `backward` does
        *_, skip = kernels.norm_relu_gradient(grad, out, x, None, None, draw(4, 1), needs=needs)
    np.testing.assert_array_equal(skip, [[0], [2], [0], [3]])


def test_arguments_stay_as_they_are():
    x, skip, grad = (ORDERS["channels last"](draw(4, 3, 5, 2, seed=seed)) for seed in range(3))
    weight, bias = draw(2, 3)
    before = [array.copy() for array in (x, weight, bias, skip, grad)]
    out = kernels.norm_relu(x, weight, bias, skip)
    kernels.norm_relu_gradient(grad, out, x, weight, bias, skip, needs=(True,) * 4)
    for array, kept in zip((x, weight, bias, skip, grad), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_half_precision_is_computed_in_float32():
    x = Tensor(draw(64, 2, 8, 8) * 100, requires_grad=True, dtype=np.float16)
    out = norm_relu(residual.BatchNorm(2), x)
    assert out.dtype == np.float16
    wide = norm_relu(residual.BatchNorm(2), Tensor(x.numpy().astype(np.float32)))
    np.testing.assert_allclose(out.numpy(), wide.numpy(), atol=5e-3)
    out.sum().backward()
    assert np.isfinite(x.grad).all()


def test_the_gradient_of_float16_arrays_is_pytorchs_where_sums_are_beyond_float16():
    """65,536 values a channel, whose gradients add up to about a million. `backward` itself hands over float32."""
    shape, half = (64, 4, 32, 32), np.float16
    x, skip, grad = draw(*shape, dtype=half), draw(*shape, seed=1, dtype=half), 10 * draw(*shape, seed=2, dtype=half)
    weight, bias = np.ones(4, half), np.zeros(4, half)
    out = kernels.norm_relu(x, weight, bias, skip)
    found = kernels.norm_relu_gradient(grad, out, x, weight, bias, skip, needs=(True,) * 4)
    inputs = [torch.tensor(one.astype(np.float64), requires_grad=True) for one in (x, weight, bias, skip)]
    normed = torch.nn.functional.batch_norm(inputs[0], None, None, *inputs[1:3], training=True)
    torch.relu(normed + inputs[3]).backward(torch.tensor(grad.astype(np.float64)))
    for mine, theirs in zip(found, inputs, strict=True):
        np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=2e-3, atol=2e-3 * abs(theirs.grad).max())
    assert found[0].dtype == found[3].dtype == half


def network(**how):
    manual_seed(0)
    return residual.ResNet(2, 5, width=4, **how)


@pytest.mark.parametrize("zero_init", [False, True])
def test_a_fused_network_trains_as_it_would_have(zero_init):
    plain, fused = network(zero_init=zero_init), fuse(network(zero_init=zero_init))
    assert type(fused) is FusedResNet and {type(block) for block in fused.blocks} == {FusedBlock}
    assert list(fused.state_dict()) == list(plain.state_dict())
    x, labels = draw(8, 3, 12, 12, dtype=np.float32), np.arange(8) % 5
    for model in (plain, fused):
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = None
            nn.CrossEntropyLoss()(model(Tensor(x)), labels).backward()
            for parameter in model.parameters():
                parameter.data -= 0.01 * parameter.grad
    for name, value in plain.state_dict().items():
        np.testing.assert_allclose(fused.state_dict()[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    before = {name: np.array(value) for name, value in fused.state_dict().items()}
    np.testing.assert_allclose(fused.eval()(Tensor(x)).numpy(), plain.eval()(Tensor(x)).numpy(), atol=1e-3)
    for name, value in fused.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=f"{name} in evaluation")


def test_fusing_leaves_numbers_and_the_generator_alone():
    model, expected = network(), network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuse(model)
    drawn = nn.Linear(2, 2).weight.numpy()
    network()
    np.testing.assert_array_equal(nn.Linear(2, 2).weight.numpy(), drawn)
    for name, value in expected.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value, err_msg=name)
    assert all(parameter.grad is None for parameter in model.parameters())


def without_skip(self, x):
    return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))


def without_branch(self, x):
    return relu(self.shortcut(x))


def without_inner_relu(self, x):
    return relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + self.shortcut(x))


def with_the_shortcut_detached(self, x):
    branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
    return relu(branch + self.shortcut(x.detach()))


@pytest.mark.parametrize("forward", [without_skip, without_branch, without_inner_relu, with_the_shortcut_detached])
def test_a_block_that_computes_something_else_keeps_its_own_forward(forward, monkeypatch):
    monkeypatch.setattr(residual.ResidualBlock, "forward", forward)
    with pytest.warns(UserWarning, match="computes something else: .*ResidualBlock blocks.0"):
        model = fuse(network(zero_init=True))
    assert {type(block) for block in model.blocks} == {residual.ResidualBlock}


def test_a_normalization_with_another_gradient_is_not_fused(monkeypatch):
    rule = residual.batch_norm.rule

    def constants(grad, out, x, weight, bias=None, **settings):
        root = np.sqrt(residual.channel_statistics(x)[1] + 1e-5)
        return grad * residual.along_channels(weight / root, x), *rule(grad, out, x, weight, bias, **settings)[1:]

    monkeypatch.setattr(residual.batch_norm, "rule", constants)
    monkeypatch.setattr(residual.batch_norm, "rule_takes_needs", False)
    with pytest.warns(UserWarning, match="not fused.*ResNet"):
        assert type(fuse(network())) is residual.ResNet


def test_a_block_of_another_kind_is_left_alone():
    class Own(residual.ResidualBlock):
        pass

    model = nn.Sequential(Own(2, 2), residual.ResidualBlock(2, 2))
    assert fuse(model) is model
    assert [type(block) for block in model] == [Own, FusedBlock]
    assert type(copy.deepcopy(model)[1]) is FusedBlock
