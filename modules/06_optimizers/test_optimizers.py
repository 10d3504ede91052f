"""Optimizers, schedules and clipping as they are used: against scalar loops, invariants, and what must not change."""

import copy
import json
import math
import tracemalloc
import warnings

import numpy as np
import pytest

from tinytorch.core import optimizers as module
from tinytorch.core.layers import Linear, Parameter, Sequential
from tinytorch.core.optimizers import (
    SGD,
    Adam,
    AdamW,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    Optimizer,
    StepLR,
    WarmupDecayLR,
    blocks,
    clip_grad_norm_,
)
from tinytorch.core.tensor import Tensor

SHAPES = [(), (1,), (7,), (3, 4), (2, 1, 3), (0,), (3, 0)]
KINDS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.7, "dampening": 0.2, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    (SGD, {"lr": 0.2, "weight_decay": 0.3}),
    (Adam, {"lr": 0.02}),
    (Adam, {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (AdamW, {"lr": 0.02, "weight_decay": 0.2}),
]
every_kind = pytest.mark.parametrize(("kind", "settings"), KINDS)


def double(values):
    return Parameter(Tensor(values, dtype=np.float64))


def slopes(seed, count, shape):
    return np.random.default_rng(seed).normal(0, 1, (count, *shape))


def follow(optimizer, parameters, steps):
    """Take a step with each row of `steps`, a list of one array of gradients for each parameter."""
    for row in zip(*steps, strict=True):
        for parameter, grad in zip(parameters, row, strict=True):
            parameter.grad = np.array(grad, parameter.dtype)
        optimizer.step()


def slow_sgd(value, grads, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    """One number, one step after the other."""
    velocity = None
    for grad in grads:
        pull = grad + weight_decay * value
        if momentum:
            velocity = pull if velocity is None else momentum * velocity + pull - dampening * pull
            pull = pull + momentum * velocity if nesterov else velocity
        value = value - lr * pull
    return value


def slow_adam(value, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled=False):
    m = v = 0.0
    for t, grad in enumerate(grads, 1):
        if decoupled:
            value = value - lr * weight_decay * value
        else:
            grad = grad + weight_decay * value
        m = m + (1 - betas[0]) * (grad - m)
        v = v + (1 - betas[1]) * (grad**2 - v)
        value = value - lr / (1 - betas[0] ** t) * m / (math.sqrt(v) / math.sqrt(1 - betas[1] ** t) + eps)
    return value


def slow(kind, value, grads, settings):
    if kind is SGD:
        return slow_sgd(value, grads, **settings)
    return slow_adam(value, grads, **settings, decoupled=kind is AdamW)


@every_kind
@pytest.mark.parametrize("shape", SHAPES)
def test_every_entry_follows_a_scalar_loop(kind, settings, shape):
    start, grads = slopes(1, 1, shape)[0], slopes(2, 12, shape)
    parameter = double(start)
    follow(kind([parameter], **settings), [parameter], [grads])
    expected = [slow(kind, start[place], grads[:, *place], settings) for place in np.ndindex(*shape)]
    np.testing.assert_allclose(parameter.numpy().ravel(), expected, rtol=1e-10, atol=1e-13)


@every_kind
def test_large_parameters_are_cut_into_blocks_without_a_seam(kind, settings, monkeypatch):
    start, grads = slopes(3, 1, (7, 13))[0], slopes(4, 5, (7, 13))
    whole, cut = double(start), double(start)
    follow(kind([whole], **settings), [whole], [grads])
    monkeypatch.setattr(module, "BLOCK", 8)
    follow(kind([cut], **settings), [cut], [grads])
    np.testing.assert_array_equal(whole.numpy(), cut.numpy())


def test_blocks_are_views_that_cover_everything_once():
    table, other = np.zeros((5, module.BLOCK // 2)), np.zeros((5, module.BLOCK // 2))
    pieces = list(blocks(table, other))
    assert [len(piece[0]) for piece in pieces] == [module.BLOCK] * 2 + [module.BLOCK // 2]
    for first, second in pieces:
        first += 1
        second += 2
    assert (table == 1).all()
    assert (other == 2).all()
    ((same,),) = list(blocks(table.T))
    assert same.base is table


@every_kind
def test_a_parameter_that_does_not_lie_row_by_row(kind, settings):
    grads = slopes(5, 6, (4, 3))
    owner = np.arange(24.0).reshape(3, 8)
    strided, plain = Parameter(Tensor.wrap(owner[:, ::2].T)), double(owner[:, ::2].T)
    for parameter in (strided, plain):
        follow(kind([parameter], **settings), [parameter], [grads])
    np.testing.assert_allclose(strided.numpy(), plain.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(owner[:, ::2].T, strided.numpy())
    np.testing.assert_array_equal(owner[:, 1::2], np.arange(24.0).reshape(3, 8)[:, 1::2])


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_dtypes_and_gradients_stay(kind, settings, dtype):
    parameter = Parameter(Tensor(np.ones((3, 2)), dtype=dtype))
    array, grad = parameter.data, np.full((3, 2), 0.5, dtype)
    optimizer = kind([parameter], **settings)
    for _ in range(3):
        parameter.grad = grad
        optimizer.step()
    assert parameter.data is array
    assert parameter.is_leaf
    assert array.dtype == dtype
    assert parameter.grad is grad
    assert (grad == 0.5).all()
    for name, value in optimizer.state[parameter].items():
        if name != "step":
            assert value.dtype == dtype
            assert value.shape == (3, 2)
            assert not np.shares_memory(value, grad)


@every_kind
def test_a_step_needs_little_memory(kind, settings):
    parameters = [Parameter(np.ones((1000, 1000))), Parameter(np.ones(300_000))]
    for parameter in parameters:
        parameter.grad = np.full(parameter.shape, 0.5, np.float32)
    optimizer = kind(parameters, **settings)
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < parameters[0].nbytes / 2, f"a step takes {peak:,} bytes more for a moment, like a copy"


def test_state_in_bytes():
    for kind, settings, copies in [(SGD, {}, 0), (SGD, {"momentum": 0.9}, 1), (Adam, {}, 2), (AdamW, {}, 2)]:
        parameters = list(Linear(20, 30).parameters())
        optimizer = kind(parameters, **settings)
        follow(optimizer, parameters, [[np.ones(p.shape)] for p in parameters])
        kept = [value for state in optimizer.state.values() for value in state.values() if np.ndim(value)]
        assert sum(value.nbytes for value in kept) == copies * sum(p.nbytes for p in parameters)


@every_kind
def test_without_a_gradient_nothing_moves(kind, settings):
    used, unused = double([1.0, 2.0]), double([3.0, 4.0])
    optimizer = kind([unused, used], **settings)
    for _ in range(3):
        used.grad = np.ones(2)
        optimizer.step()
    assert unused.tolist() == [3.0, 4.0]
    assert not optimizer.state.get(unused)
    before = used.numpy().copy()
    used.grad = None
    optimizer.step()
    np.testing.assert_array_equal(used.numpy(), before)


def test_a_gradient_of_zero_is_not_no_gradient():
    parameter = double([1.0])
    optimizer = SGD([parameter], lr=0.1, momentum=0.5)
    follow(optimizer, [parameter], [[[1.0], [0.0]]])
    assert math.isclose(parameter.item(), 1 - 0.1 - 0.05)


@every_kind
def test_a_frozen_parameter_stays_and_can_thaw(kind, settings):
    layer = Linear(2, 1)
    layer.weight.requires_grad_(False)
    before = layer.weight.numpy().copy()
    optimizer = kind(layer.parameters(), **settings)
    for thawed in (False, True):
        layer.weight.requires_grad_(thawed)
        optimizer.zero_grad()
        layer(Tensor([[1.0, 2.0]])).sum().backward()
        optimizer.step()
        assert (layer.weight.numpy() != before).any() == thawed


def test_groups_have_settings_of_their_own():
    a, b, c = double([1.0]), double([1.0]), double([1.0])
    optimizer = SGD([{"params": [a]}, {"params": iter([b]), "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": c, "weight_decay": 1.0})
    follow(optimizer, [a, b, c], [[[1.0]]] * 3)
    np.testing.assert_allclose([a.item(), b.item(), c.item()], [0.9, 0.5, 0.8])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.1]
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0, 0]
    assert optimizer.param_groups[1]["params"] == [b]


def test_zero_grad():
    parameter = double([1.0, 2.0])
    optimizer = SGD([parameter, double([1.0])])
    parameter.grad = array = np.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad is array
    assert array.tolist() == [0, 0]
    optimizer.zero_grad()
    assert parameter.grad is None


def test_a_closure_is_called_and_its_loss_returned():
    parameter = double([3.0])
    optimizer = SGD([parameter], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (parameter * parameter).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9
    assert parameter.item() == 1.5
    assert optimizer.step() is None


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_what_no_optimizer_takes(kind):
    leaf, plain = Tensor([1.0], requires_grad=True), Tensor([1.0])
    for error, fragment, params in [
        (ValueError, "no parameters", []),
        (ValueError, "no parameters", iter(())),
        (ValueError, "twice", [leaf, leaf]),
        (ValueError, "twice", [{"params": leaf}, {"params": [leaf]}]),
        (ValueError, "parameter 1 of group 0 was computed", [leaf, leaf * 2]),
        (ValueError, "parameter 0 of group 0 does not have requires_grad", [plain]),
        (TypeError, "single Tensor", leaf),
        (TypeError, "single dict", {"params": [leaf]}),
        (TypeError, "parameter 1 of group 0 is a str", [leaf, "weight"]),
        (TypeError, "ndarray", [np.ones(2)]),
        (TypeError, "tuple", Linear(1, 1).named_parameters()),
        (TypeError, '"params"', [{"lr": 0.1}]),
        (TypeError, '"params"', [{"params": leaf}, plain]),
        (TypeError, "order", [{"params": {leaf}}]),
    ]:
        with pytest.raises(error, match=fragment) as caught:
            kind(params)
        assert str(caught.value).startswith(f"{kind.__name__}: ")


@pytest.mark.parametrize(
    ("kind", "settings", "fragment"),
    [
        (SGD, {"lr": -0.25}, "lr is -0.25"),
        (Adam, {"lr": -1}, "lr is -1"),
        (AdamW, {"lr": math.nan}, "lr is nan"),
        (SGD, {"momentum": -0.5}, "momentum is -0.5"),
        (SGD, {"weight_decay": -3}, "weight_decay is -3"),
        (Adam, {"eps": -1e-8}, "eps is -1e-08"),
        (Adam, {"betas": (1.0, 0.9)}, "betas"),
        (AdamW, {"betas": (0.9, -0.1)}, "betas"),
        (SGD, {"nesterov": True}, "momentum"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening"),
    ],
)
def test_settings_out_of_range_are_named(kind, settings, fragment):
    with pytest.raises(ValueError, match=fragment):
        kind([double([1.0])], **settings)
    with pytest.raises(ValueError, match=fragment):
        kind([{"params": double([1.0]), **settings}])


def test_a_gradient_of_another_shape_is_refused():
    parameter = double([1.0, 2.0])
    parameter.grad = np.ones(1)
    with pytest.raises(ValueError, match=r"\(2,\).*\(1,\)"):
        SGD([parameter]).step()


@every_kind
def test_infinite_and_undefined_gradients_pass_without_a_warning(kind, settings):
    parameter = Parameter([1.0, 1.0, 1.0])
    optimizer = kind([parameter], **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        follow(optimizer, [parameter], [[[math.inf, math.nan, 1e30]] * 2])
    assert not np.isfinite(parameter.numpy()[1])


@every_kind
def test_a_state_dict_resumes_exactly(kind, settings):
    shapes = [(3, 2), (), (4,)]
    grads = [slopes(7 + i, 20, shape) for i, shape in enumerate(shapes)]
    straight = [double(np.ones(shape)) for shape in shapes]
    first = [double(np.ones(shape)) for shape in shapes]

    def make(parameters):
        optimizer = kind([{"params": parameters[:1], "lr": 0.03}, {"params": parameters[1:]}], **settings)
        return optimizer, CosineAnnealingLR(optimizer, 15, 0.001)

    def go(optimizer, schedule, parameters, rows):
        for i in rows:
            follow(optimizer, parameters, [grad[i : i + 1] for grad in grads])
            schedule.step()

    go(*make(straight), straight, range(20))
    optimizer, schedule = make(first)
    go(optimizer, schedule, first, range(8))
    saved, rates = optimizer.state_dict(), schedule.state_dict()
    second = [double(parameter.numpy()) for parameter in first]
    go(optimizer, schedule, first, range(8, 12))  # what was saved must not move with the optimizer
    for parts in (("optimizer", "schedule"), ("schedule", "optimizer")):
        fresh = [double(parameter.numpy()) for parameter in second]
        later, its_schedule = make(fresh)
        for part in parts:
            later.load_state_dict(saved) if part == "optimizer" else its_schedule.load_state_dict(rates)
        go(later, its_schedule, fresh, range(8, 20))
        for expected, got in zip(straight, fresh, strict=True):
            np.testing.assert_array_equal(got.numpy(), expected.numpy())


def test_a_state_dict_has_numbers_for_parameters():
    model = Sequential(Linear(2, 3), Linear(3, 1))
    parameters = list(model.parameters())
    optimizer = Adam([{"params": parameters[2:]}, {"params": parameters[:2], "lr": 0.5}])
    assert optimizer.state_dict()["state"] == {}
    follow(optimizer, parameters[:3], [[np.ones(p.shape)] for p in parameters[:3]])
    saved = optimizer.state_dict()
    assert [group["params"] for group in saved["param_groups"]] == [[0, 1], [2, 3]]
    assert {place: set(kept) for place, kept in saved["state"].items()} == {
        place: {"step", "exp_avg", "exp_avg_sq"} for place in (0, 2, 3)
    }
    assert saved["state"][2]["exp_avg"].shape == (3, 2)
    assert saved["param_groups"][1]["lr"] == 0.5
    json.dumps(saved["param_groups"])
    saved["state"][2]["exp_avg"][...] = 7
    assert not (optimizer.state[parameters[0]]["exp_avg"] == 7).any()


def test_a_loaded_state_is_a_copy_in_the_parameters_dtype():
    parameter = Parameter([1.0, 2.0])
    optimizer = SGD([parameter], lr=0.1, momentum=0.5)
    kept = np.array([1.0, 2.0])
    saved = {"state": {0: {"momentum_buffer": kept}}, "param_groups": [{"lr": 0.2, "params": [0]}]}
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["momentum"] == 0.5
    assert optimizer.param_groups[0]["params"] == [parameter]
    assert optimizer.state[parameter]["momentum_buffer"].dtype == np.float32
    follow(optimizer, [parameter], [[[0.0, 0.0]]])
    assert kept.tolist() == [1, 2]
    np.testing.assert_allclose(parameter.numpy(), [0.9, 1.8], rtol=1e-6)


def test_a_loaded_state_replaces_the_old_one():
    a, b = double([1.0]), double([1.0])
    optimizer = SGD([a, b], momentum=0.5)
    follow(optimizer, [a], [[[1.0]]])
    saved = optimizer.state_dict()
    follow(optimizer, [a, b], [[[1.0]], [[1.0]]])
    optimizer.load_state_dict(saved)
    assert set(optimizer.state_dict()["state"]) == {0}


def test_a_state_that_does_not_fit_changes_nothing():
    a, b = double([1.0]), double([1.0, 2.0])
    optimizer = Adam([a, b], lr=0.1)
    follow(optimizer, [a, b], [[[1.0]], [[1.0, 1.0]]])
    saved = optimizer.state_dict()
    before = optimizer.state_dict()
    wrong = copy.deepcopy(saved)
    wrong["state"][1]["exp_avg"] = np.ones(3)
    wrong["state"][0]["exp_avg"] = np.full(1, 99.0)
    negative = copy.deepcopy(saved)
    negative["param_groups"][0]["lr"] = -4.0
    for state, fragments in [
        (Adam([double([1.0])]).state_dict(), ["[2]", "[1]"]),
        (Adam([{"params": double([1.0])}, {"params": double([1.0])}]).state_dict(), ["[2]", "[1, 1]"]),
        (wrong, ["parameter 1", "exp_avg", "(3,)", "(2,)"]),
        (negative, ["-4"]),
    ]:
        with pytest.raises(ValueError, match="Adam") as caught:
            optimizer.load_state_dict(state)
        assert all(fragment in str(caught.value) for fragment in fragments)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for place in (0, 1):
        np.testing.assert_array_equal(after["state"][place]["exp_avg"], before["state"][place]["exp_avg"])


def test_an_optimizer_prints_its_groups():
    text = repr(SGD([{"params": double([1.0])}, {"params": double([1.0]), "lr": 0.5}], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.25\n")
    assert "Parameter Group 1\n    dampening: 0\n    lr: 0.5\n" in text


def test_a_subclass_says_what_a_step_does():
    class Signs(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, parameter, grad, group):
            parameter.data -= group["lr"] * np.sign(grad)

    parameter = double([1.0, 1.0])
    follow(Signs([parameter], 0.5), [parameter], [[[3.0, -0.1]]])
    assert parameter.tolist() == [0.5, 1.5]
    parameter.grad = np.ones(2)
    with pytest.raises(NotImplementedError, match="Optimizer"):
        Optimizer([parameter], {}).step()


def rates(make, count, lr=1.0):
    optimizer = SGD([{"params": double([1.0])}, {"params": double([1.0]), "lr": lr / 10}], lr=lr)
    schedule, seen = make(optimizer), []
    for _ in range(count):
        first, second = schedule.get_last_lr()
        assert math.isclose(first, 10 * second, rel_tol=1e-9, abs_tol=1e-15)
        assert [group["lr"] for group in optimizer.param_groups] == [first, second]
        assert type(first) is float
        seen.append(first)
        schedule.step()
    return seen


def test_schedules_by_hand():
    np.testing.assert_allclose(rates(lambda o: StepLR(o, 2), 7), [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])
    np.testing.assert_allclose(rates(lambda o: StepLR(o, 3, gamma=0.5), 5, 2.0), [2, 2, 2, 1, 1])
    np.testing.assert_allclose(rates(lambda o: LinearLR(o, 0.5, total_iters=2), 5), [0.5, 0.75, 1, 1, 1])
    np.testing.assert_allclose(rates(lambda o: LinearLR(o, 1.0, 0.0, 4), 6), [1, 0.75, 0.5, 0.25, 0, 0])
    np.testing.assert_allclose(rates(lambda o: LambdaLR(o, lambda step: 0.5**step), 4), [1, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(rates(lambda o: CosineAnnealingLR(o, 2), 5), [1, 0.5, 0, 0.5, 1], atol=1e-15)
    np.testing.assert_allclose(rates(lambda o: WarmupDecayLR(o, 1, 3), 5), [0.5, 1, 0.5, 0, 0])


def test_a_function_for_each_group():
    optimizer = SGD([{"params": double([1.0])}, {"params": double([1.0])}], lr=2.0)
    schedule = LambdaLR(optimizer, [lambda step: 1, lambda step: 1 / (1 + step)])
    schedule.step()
    assert schedule.get_last_lr() == [2.0, 1.0]
    assert "lr_lambdas" not in schedule.state_dict()
    with pytest.raises(ValueError, match="1 functions for 2 groups"):
        LambdaLR(optimizer, [lambda step: 1])


def test_a_schedule_can_start_late():
    optimizer = SGD([double([1.0])], lr=1.0)
    with pytest.raises(KeyError, match="initial_lr"):
        StepLR(optimizer, 2, last_epoch=4)
    StepLR(optimizer, 2)
    assert math.isclose(StepLR(optimizer, 2, last_epoch=4).get_last_lr()[0], 0.01)


def test_a_second_schedule_goes_by_the_same_first_rate():
    optimizer = SGD([double([1.0])], lr=1.0)
    first = StepLR(optimizer, 1)
    first.step()
    assert StepLR(optimizer, 1).base_lrs == [1.0]


def test_a_loaded_schedule_sets_the_rates_of_then():
    old = StepLR(SGD([double([1.0])], lr=1.0), 2)
    for _ in range(3):
        old.step()
    optimizer = SGD([double([1.0])], lr=0.5)
    new = StepLR(optimizer, 5)
    new.load_state_dict(old.state_dict())
    assert optimizer.param_groups[0]["lr"] == new.get_last_lr()[0] == 0.1
    new.step()
    assert math.isclose(optimizer.param_groups[0]["lr"], 0.01)
    assert old.get_last_lr() == [0.1]


def test_schedules_refuse():
    optimizer = SGD([double([1.0])])
    for make in [
        lambda: StepLR(optimizer, 0),
        lambda: CosineAnnealingLR(optimizer, 0),
        lambda: LinearLR(optimizer, total_iters=0),
        lambda: WarmupDecayLR(optimizer, 5, 5),
        lambda: WarmupDecayLR(optimizer, -1, 5),
    ]:
        with pytest.raises(ValueError, match="steps"):
            make()
    with pytest.raises(TypeError, match="list"):
        StepLR([1], 2)
    with pytest.raises(NotImplementedError, match="rate"):
        LRScheduler(optimizer)


def with_gradients(*grads):
    parameters = [double(np.zeros(np.shape(grad))) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = np.array(grad, np.float64)
    return parameters


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 2, 3.5, math.inf, float("inf")])
@pytest.mark.parametrize("max_norm", [1e-3, 0.5, 1e6])
def test_clipping_keeps_the_direction_and_limits_the_norm(norm_type, max_norm):
    before = [slopes(i, 1, shape)[0] for i, shape in enumerate(SHAPES)]
    parameters = with_gradients(*before)
    arrays = [parameter.grad for parameter in parameters]
    norm = clip_grad_norm_((parameter for parameter in parameters), max_norm, norm_type)
    flat = np.concatenate([array.ravel() for array in before])
    length = np.abs(flat).max() if norm_type == math.inf else (np.abs(flat) ** norm_type).sum() ** (1 / norm_type)
    assert norm.dtype == np.float64
    assert norm.shape == ()
    assert math.isclose(norm.item(), length, rel_tol=1e-12)
    scale = 1 if length < max_norm else max_norm / (length + 1e-6)
    for parameter, array, old in zip(parameters, arrays, before, strict=True):
        assert parameter.grad is array
        np.testing.assert_allclose(array, scale * old, rtol=1e-12)


def test_clipping_nothing():
    assert clip_grad_norm_([], 1.0).item() == 0
    assert clip_grad_norm_([double([1.0])], 1.0).item() == 0
    (empty,) = with_gradients(np.zeros(0))
    for order in (2.0, math.inf):
        assert clip_grad_norm_(empty, 1.0, order).item() == 0
    (parameter,) = with_gradients([3.0, 4.0])
    assert clip_grad_norm_(parameter, 0).item() == 5
    assert parameter.grad.tolist() == [0, 0]
    for settings in [(-1.0,), (math.nan,), (1.0, 0), (1.0, -math.inf)]:
        with pytest.raises(ValueError, match="norm"):
            clip_grad_norm_(parameter, *settings)


def test_clipping_what_is_not_finite():
    for bad, after in [(math.inf, [0, math.nan]), (math.nan, [math.nan, math.nan])]:
        parameters = with_gradients([2.0], [bad])
        with pytest.raises(RuntimeError, match=str(bad)):
            clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        assert parameters[0].grad.tolist() == [2.0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_equal(clip_grad_norm_(parameters, 1.0).item(), bad)
        np.testing.assert_equal([float(parameter.grad[0]) for parameter in parameters], after)


def test_a_line_is_fitted_by_every_optimizer():
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    for kind, settings in [
        (SGD, {"lr": 0.3}),
        (SGD, {"lr": 0.1, "momentum": 0.8}),
        (Adam, {"lr": 0.1}),
        (AdamW, {"lr": 0.1, "weight_decay": 0}),
    ]:
        layer = Linear(1, 1)
        optimizer = kind(layer.parameters(), **settings)
        schedule = CosineAnnealingLR(optimizer, 300)
        for _ in range(300):
            optimizer.zero_grad()
            ((layer(Tensor(x)) - Tensor(3 * x - 1)) ** 2).mean().backward()
            clip_grad_norm_(layer.parameters(), 10.0)
            optimizer.step()
            schedule.step()
        np.testing.assert_allclose([layer.weight.item(), layer.bias.item()], [3, -1], atol=1e-3)
