"""Compression as it is used: exact counts, small networks beside masked ones, and no success without effect."""

import numpy as np
import pytest

from tinytorch.core.activations import GELU, ReLU
from tinytorch.core.autograd import gradcheck, no_grad
from tinytorch.core.compression import (
    MaskedOptimizer,
    Parallel,
    bytes_on_disk,
    compression_ratio,
    cubic_sparsity,
    distillation_loss,
    factorize,
    low_rank_adapter,
    magnitude_mask,
    rank_for,
    remove_channels,
    sensitivity,
    strongest_channels,
    weights_of,
)
from tinytorch.core.layers import Dropout, Linear, Module, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.spatial import AvgPool2d, Conv2d, Flatten, MaxPool2d
from tinytorch.core.tensor import Tensor, manual_seed, randn
from tinytorch.core.training import training_step


def cnn(seed=0, bias=True, pool=MaxPool2d):
    """Images (N, 2, 8, 12), four classes."""
    manual_seed(seed)
    model = Sequential(
        Conv2d(2, 6, 3, padding=1, bias=bias), ReLU(), pool(2), Conv2d(6, 8, 3, bias=bias), ReLU(), pool(2),
        Flatten(), Linear(16, 10, bias=bias), ReLU(), Linear(10, 4, bias=bias),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data[...] = np.cos(np.arange(parameter.numel()))
    return model


def masked(model, keep):
    for place, kept in keep.items():
        gone = np.setdiff1d(np.arange(len(model[place].weight.data)), kept)
        model[place].weight.data[gone] = 0
        if model[place].bias is not None:
            model[place].bias.data[gone] = 0
    return model


@pytest.mark.parametrize("sparsity", [0, 0.001, 0.25, 0.5, 0.77, 0.999, 1])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_exactly_so_many_weights_are_masked_however_many_are_equal(sparsity, levels):
    draw = np.random.default_rng(levels)
    arrays = [draw.integers(-levels, levels + 1, size=size) / levels for size in [(5, 7), (), (0, 4), (11,), (2, 3, 4)]]
    masks = magnitude_mask(arrays, sparsity)
    assert [mask.shape for mask in masks] == [array.shape for array in arrays]
    gone = [np.abs(array[~mask]) for array, mask in zip(arrays, masks, strict=True)]
    left = [np.abs(array[mask]) for array, mask in zip(arrays, masks, strict=True)]
    assert sum(one.size for one in gone) == round(sparsity * sum(array.size for array in arrays))
    assert max(one.max(initial=0) for one in gone) <= min(one.min(initial=9) for one in left)


@pytest.mark.parametrize("sparsity", [-1e-9, 1.0000001, float("nan"), float("inf")])
def test_a_sparsity_outside_of_0_to_1_is_refused(sparsity):
    with pytest.raises(ValueError):
        magnitude_mask([np.ones(3)], sparsity)


def test_sensitivity_leaves_the_model_as_it_was_and_prunes_one_weight_at_a_time():
    model, x = cnn(), randn(5, 2, 8, 12)
    before = model.state_dict()
    counts = sensitivity(
        model, [0, 0.5, 1], lambda net: [int((one.numpy() == 0).sum()) for one in weights_of(net).values()]
    )
    sizes = [weight.numel() for weight in weights_of(model).values()]
    for place, scores in enumerate(counts.values()):
        for zeros, sparsity in zip(scores, [0, 0.5, 1], strict=True):
            assert zeros == [round(sparsity * size) if i == place else 0 for i, size in enumerate(sizes)]
    with pytest.raises(ZeroDivisionError):
        sensitivity(model, [0.5], lambda net: 1 / 0)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert np.isfinite(model(x).numpy()).all()


def test_a_model_without_weights_has_no_sensitivity():
    with pytest.raises(ValueError, match="no weights"):
        sensitivity(Sequential(ReLU(), Flatten()), [0.5], lambda net: 0.0)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_masked_weights_stay_at_zero_while_the_others_learn(optimizer):
    model, x, y = cnn(), randn(32, 2, 8, 12), np.arange(32) % 4
    weights = list(weights_of(model).values())
    inner = SGD(model.parameters(), lr=0.05, momentum=0.9) if optimizer is SGD else Adam(model.parameters(), lr=0.01)
    held = MaskedOptimizer(inner, weights)
    losses = [training_step(model, CrossEntropyLoss(), held, x, y)[0] for _ in range(5)]
    total = sum(weight.numel() for weight in weights)
    for step in range(30):
        held.set_masks(magnitude_mask([weight.data for weight in weights], cubic_sparsity(step, 20, 0.8)))
        losses.append(training_step(model, CrossEntropyLoss(), held, x, y)[0])
        for weight, mask in zip(weights, held.masks, strict=True):
            assert not weight.numpy()[~mask].any() and not weight.grad[~mask].any()
    assert sum(int((weight.numpy() == 0).sum()) for weight in weights) == round(0.8 * total)
    assert losses[-1] < 0.8 * losses[0]


def test_masks_that_do_not_fit_change_nothing():
    weight = Parameter(np.ones((2, 3)))
    held = MaskedOptimizer(SGD([weight], lr=0.1), [weight])
    for masks in ([], [np.zeros(3, bool)], [np.zeros((2, 3), bool)] * 2, [np.zeros((2, 1), bool)]):
        with pytest.raises(ValueError):
            held.set_masks(masks)
        assert weight.numpy().all() and held.masks[0].all()


def test_the_cubic_schedule_begins_and_ends_where_it_says():
    path = [cubic_sparsity(step, 10, 0.9, 0.1) for step in range(15)]
    assert path[0] == pytest.approx(0.1) and path[10:] == pytest.approx([0.9] * 5)
    assert path == sorted(path) and path[1] - path[0] > path[9] - path[8]


KEEPS = [{0: [0, 5]}, {3: [7]}, {7: [1, 2, 3]}, {0: [1, 2, 3], 7: [0]}, {0: [4], 3: [0, 2, 4, 6], 7: range(9)}]


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pool", [MaxPool2d, AvgPool2d])
def test_without_channels_a_network_computes_what_it_did_with_them_masked(keep, bias, pool):
    model, x = cnn(1, bias, pool), randn(3, 2, 8, 12)
    before = model.state_dict()
    small = remove_channels(model, keep)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    with no_grad():
        np.testing.assert_allclose(small(x).numpy(), masked(model, keep)(x).numpy(), atol=2e-6)
    assert compression_ratio(before, small.state_dict()) > 1
    for place, kept in keep.items():
        assert len(small[place].weight.data) == len(kept)


def test_the_small_network_trains_apart_from_the_large_one():
    model, x, y = cnn(), randn(16, 2, 8, 12), np.arange(16) % 4
    small, before = remove_channels(model, {0: [0, 1, 2, 3]}), model.state_dict()
    small.eval()
    assert model[2].training and not small[2].training
    optimizer = SGD(small.parameters(), lr=0.1)
    losses = [training_step(small, CrossEntropyLoss(), optimizer, x, y)[0] for _ in range(20)]
    assert losses[-1] < losses[0]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


REFUSED = [{}, {0: range(6)}, {9: [0]}, {1: [0]}, {0: []}, {0: [1, 1]}, {0: [2, 1]}, {0: [-1, 2]}, {0: [6]}, {12: [0]}]


@pytest.mark.parametrize("keep", REFUSED)
def test_a_choice_that_removes_nothing_or_cannot_be_made_is_refused(keep):
    with pytest.raises(ValueError, match="remove_channels"):
        remove_channels(cnn(), keep)


@pytest.mark.parametrize("layer", [GELU(), Dropout(0.1), Sequential(ReLU()), np.tanh])
def test_a_layer_that_is_not_known_is_named(layer):
    with pytest.raises(TypeError, match="layer 1 is a"):
        remove_channels(Sequential(Linear(2, 3), layer, Linear(3, 2)), {0: [1]})


def test_a_flatten_that_mixes_images_is_refused_and_so_is_a_linear_without_one():
    for between in (Flatten(0), Flatten(2)):
        with pytest.raises(ValueError, match="Flatten"):
            remove_channels(Sequential(Conv2d(1, 2, 1), between, Linear(8, 2)), {0: [1]})
    with pytest.raises(ValueError, match="Flatten"):
        remove_channels(Sequential(Conv2d(1, 2, 1), ReLU(), Linear(8, 2)), {0: [1]})


def test_the_strongest_channels_have_the_largest_absolute_sums():
    model = Sequential(Linear(2, 4), ReLU(), Linear(4, 2))
    model[0].weight.data[...] = [[1, 1], [-3, 0], [0, 0.5], [-2, 2]]
    assert strongest_channels(model, {0: 2}) == {0: [1, 3]}


@pytest.mark.parametrize(("outputs", "inputs"), [(7, 12), (12, 7), (9, 9)])
def test_factors_are_the_best_of_their_rank(outputs, inputs):
    linear = Linear(inputs, outputs, dtype=float)
    linear.weight.data[...] = np.random.default_rng(0).normal(size=(outputs, inputs))
    sigma = np.linalg.svd(linear.weight.data)[1]
    x = randn(5, inputs, dtype=np.float64)
    for rank in (1, 2, 4):
        both = factorize(linear, rank)
        down, up = (one.weight.numpy() for one in both)
        product = up @ down
        assert ((linear.weight.numpy() - product) ** 2).sum() == pytest.approx((sigma[rank:] ** 2).sum())
        np.testing.assert_allclose(both(x).numpy(), x.numpy() @ product.T + linear.bias.numpy(), atol=1e-12)
        assert sum(weight.numel() for weight in both.parameters()) < linear.weight.numel() + outputs


@pytest.mark.parametrize("function", [factorize, low_rank_adapter])
@pytest.mark.parametrize("rank", [-1, 0, 5, 8])
def test_a_rank_that_does_not_exist_or_saves_nothing_is_refused(function, rank):
    linear = Linear(10, 7)
    with pytest.raises(ValueError, match=f"{function.__name__}.*{rank}"):
        function(linear, rank)
    assert linear.weight.requires_grad


def test_ranks_follow_from_energies():
    weight = np.diag([4.0, 2.0, 1.0, 0.0])
    energies = [0, 16 / 21 - 1e-9, 16 / 21 + 1e-9, 20 / 21 - 1e-9, 20 / 21 + 1e-9, 1]
    assert [rank_for(weight, energy) for energy in energies] == [1, 1, 2, 2, 3, 3]
    assert rank_for(np.zeros((3, 4)), 0.5) == 1
    with pytest.raises(ValueError):
        rank_for(weight, 1.5)


def test_an_adapter_changes_nothing_at_first_and_then_learns_without_the_frozen_layer():
    manual_seed(0)
    linear, x, target = Linear(12, 9), randn(6, 12), randn(6, 9)
    before, state = linear(x).numpy(), linear.state_dict()
    adapted = low_rank_adapter(linear, 2)
    assert isinstance(adapted, Parallel) and adapted[0] is linear
    np.testing.assert_array_equal(adapted(x).numpy(), before)
    optimizer = SGD([one for one in adapted.parameters() if one.requires_grad], lr=0.3)
    mean_square = lambda out, wanted: ((out - wanted) ** 2).mean()
    losses = [training_step(adapted, mean_square, optimizer, x, target)[0] for _ in range(100)]
    assert losses[-1] < 0.7 * losses[0]
    for name, array in linear.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_the_loss_of_a_pupil_has_the_gradient_of_its_values_and_the_teacher_none():
    draw = np.random.default_rng(0)
    teacher, targets = Tensor(draw.normal(size=(4, 5)) * 3, True, np.float64), np.array([0, 4, 2, 2])
    for temperature, alpha in [(1.0, 0.0), (0.5, 0.5), (3.0, 0.9), (20.0, 1.0)]:
        student = Tensor(draw.normal(size=(4, 5)), True, np.float64)
        assert gradcheck(lambda s, t=temperature, a=alpha: distillation_loss(s, teacher, targets, t, a), [student])
    assert teacher.grad is None
    assert distillation_loss(teacher, teacher, targets, 2.0, 1.0).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("temperature", "alpha"), [(0, 0.5), (-1, 0.5), (1, -0.1), (1, 1.1)])
def test_a_loss_with_settings_that_make_no_sense_is_refused(temperature, alpha):
    row = Tensor([[1.0, 2.0]])
    with pytest.raises(ValueError):
        distillation_loss(row, row, np.array([0]), temperature, alpha)


def test_bytes_are_those_of_a_file_and_a_compression_without_effect_is_an_error(tmp_path):
    state = cnn().state_dict()
    np.savez(tmp_path / "own.npz", **{f"state.{name}": array for name, array in state.items()})
    assert bytes_on_disk(state) == (tmp_path / "own.npz").stat().st_size
    masks = magnitude_mask(list(state.values()), 0.9)
    pruned = {name: state[name] * mask for name, mask in zip(state, masks, strict=True)}
    for after in (state, pruned):
        with pytest.raises(ValueError, match="nothing was saved"):
            compression_ratio(state, after)
    assert compression_ratio(state, {name: array.astype(np.float16) for name, array in state.items()}) > 1.3


def test_a_module_of_its_own_has_weights_too():
    class Net(Module):
        def __init__(self):
            super().__init__()
            self.inner = Linear(2, 3)

    assert list(weights_of(Net())) == ["inner.weight"]
