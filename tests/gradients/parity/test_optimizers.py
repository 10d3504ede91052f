"""Optimizers, schedules and clipping against PyTorch: a hundred steps in float64 to nine digits, and the same calls."""

import inspect
import math

import close
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import tinytorch  # noqa: E402
from tinytorch import nn, optim  # noqa: E402
from tinytorch.core.layers import Parameter  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402
from tinytorch.optim import lr_scheduler  # noqa: E402

pytestmark = pytest.mark.parity
STEPS = 100
INF = math.inf

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.1, "weight_decay": 0.02}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.02, "betas": (0.0, 0.9)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)
SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 30, "gamma": 0.5}),
    ("CosineAnnealingLR", {"T_max": STEPS}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 40}),
    ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + 0.1 * step)}),
    ("LambdaLR", {"lr_lambda": [lambda step: 0.95**step, lambda step: 1.0]}),
]


def networks(dtype=np.float64):
    """The same network twice, (ours, PyTorch's)."""
    ours = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    theirs = theirs.double() if dtype == np.float64 else theirs
    for i, (parameter, other) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
        parameter.data = np.random.default_rng(i).normal(0, 0.5, parameter.shape).astype(dtype)
        other.data = torch.from_numpy(parameter.data.copy())
    return ours, theirs


def grouped(model, **second):
    """The matrices in one group, and the vectors in another with settings of its own."""
    parameters = list(model.parameters())
    first = [p for p in parameters if p.ndim == 2]
    return [{"params": first}, {"params": [p for p in parameters if p.ndim == 1], **second}]


def data(dtype=np.float64):
    draw = np.random.default_rng(9)
    return draw.normal(size=(16, 5)).astype(dtype), draw.integers(0, 3, 16)


def walk(pair, optimizers, schedules=None, steps=STEPS, max_norm=None, norm_type=2.0, skip=None):
    """Train both networks side by side. skip: a function of the step, the number of a parameter left without grad."""
    ours, theirs = pair
    dtype = next(ours.parameters()).dtype
    x, y = data(dtype)
    for step in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        nn.CrossEntropyLoss()(ours(tinytorch.Tensor(x, dtype=dtype)), y).backward()
        torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        if skip is not None:
            for model in pair:
                list(model.parameters())[skip(step)].grad = None
        if max_norm is not None:
            mine = nn.utils.clip_grad_norm_(ours.parameters(), max_norm, norm_type)
            other = torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm, norm_type)
            np.testing.assert_allclose(mine.item(), other.item(), rtol=1e-9)
        for part in (*optimizers, *(schedules or ())):
            part.step()
        if schedules:
            np.testing.assert_allclose(schedules[0].get_last_lr(), schedules[1].get_last_lr(), rtol=1e-9, atol=1e-12)


def agree(pair, rtol=None):
    for parameter, other in zip(pair[0].parameters(), pair[1].parameters(), strict=True):
        close.agree(parameter.numpy(), other, rtol=rtol)


def make(name, pair, options, second=None):
    if second is None:
        sides = zip((optim, torch.optim), pair, strict=True)
        return [getattr(side, name)(model.parameters(), **options) for side, model in sides]
    return [
        getattr(optim, name)(grouped(pair[0], **second), **options),
        getattr(torch.optim, name)(grouped(pair[1], **second), **options),
    ]


@every_case
def test_a_hundred_steps(name, options):
    pair = networks()
    before = [parameter.numpy().copy() for parameter in pair[0].parameters()]
    walk(pair, make(name, pair, options))
    agree(pair)
    for parameter, old in zip(pair[0].parameters(), before, strict=True):
        assert not np.allclose(parameter.numpy(), old, rtol=1e-3)


@every_case
def test_a_hundred_steps_in_float32(name, options):
    pair = networks(np.float32)
    walk(pair, make(name, pair, options))
    agree(pair, rtol=1e-4)


@every_case
def test_groups_clipping_and_missing_gradients(name, options):
    pair = networks()
    optimizers = make(name, pair, options, second={"lr": 0.01, "weight_decay": 0.3})
    walk(pair, optimizers, max_norm=0.2, skip=lambda step: step % 4 if step % 3 else 0)
    agree(pair)


@pytest.mark.parametrize("norm_type", [1.0, 2, 3.0, INF])
def test_clipping_on_the_way(norm_type):
    pair = networks()
    walk(pair, make("SGD", pair, {"lr": 0.1, "momentum": 0.9}), max_norm=0.15, norm_type=norm_type)
    agree(pair)


@pytest.mark.parametrize(("schedule", "how"), SCHEDULES)
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_schedules(name, schedule, how):
    pair = networks()
    options = {"lr": 0.05, "weight_decay": 0.01, **({"momentum": 0.9} if name == "SGD" else {})}
    optimizers = make(name, pair, options, second={"lr": 0.02})
    schedules = [
        getattr(lr_scheduler, schedule)(optimizers[0], **how),
        getattr(torch.optim.lr_scheduler, schedule)(optimizers[1], **how),
    ]
    walk(pair, optimizers, schedules)
    agree(pair)


@pytest.mark.parametrize(("warmup", "total"), [(0, 100), (10, 100), (20, 60)])
def test_warm_up_and_decay_is_a_lambda_in_pytorch(warmup, total):
    def factor(step):
        up = min(1.0, (step + 1) / (warmup + 1))
        return up if step < warmup else max(0.0, 1 - (step - warmup) / (total - warmup))

    pair = networks()
    optimizers = make("Adam", pair, {"lr": 0.03})
    theirs = torch.optim.lr_scheduler.LambdaLR(optimizers[1], factor)
    walk(pair, optimizers, [lr_scheduler.WarmupDecayLR(optimizers[0], warmup, total), theirs])
    agree(pair)


@every_case
def test_a_state_dict_of_pytorch_goes_on_here(name, options):
    pair = networks()
    optimizers = make(name, pair, options, second={"lr": 0.01})
    walk(pair, optimizers, steps=30)
    mine, other = optimizers[0].state_dict(), optimizers[1].state_dict()
    assert mine["state"].keys() == other["state"].keys()
    for place, kept in other["state"].items():
        assert mine["state"][place].keys() == kept.keys()
        for key, value in kept.items():
            np.testing.assert_allclose(mine["state"][place][key], value.numpy(), rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(mine["param_groups"], other["param_groups"], strict=True):
        assert ours.items() <= theirs.items()

    fresh = make(name, pair, {}, second={"lr": 0.5})
    fresh[0].load_state_dict(other)
    walk(pair, [fresh[0], optimizers[1]], steps=70)
    agree(pair)


SIZES = st.lists(st.sampled_from([(), (1,), (5,), (3, 4), (0,), (2, 1, 3)]), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, st.integers(0, 10**6), st.sampled_from(CASES), st.booleans())
def test_drawn_shapes_and_gradients(shapes, seed, case, single):
    """Gradients as large as 1e6 and as small as 1e-12, in both dtypes, through all shapes."""
    name, options = case
    dtype = np.float32 if single else np.float64
    draw = np.random.default_rng(seed)
    ours = [Parameter(Tensor(draw.normal(size=shape), dtype=dtype)) for shape in shapes]
    theirs = [torch.tensor(parameter.numpy().copy(), requires_grad=True) for parameter in ours]
    optimizers = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(6):
        for parameter, other in zip(ours, theirs, strict=True):
            size = 10.0 ** draw.integers(-12, 7, parameter.shape)
            parameter.grad = np.asarray(draw.normal(size=parameter.shape) * size, dtype)
            other.grad = torch.tensor(parameter.grad)
        for optimizer in optimizers:
            optimizer.step()
    rtol = 1e-5 if single else 1e-9
    for parameter, other in zip(ours, theirs, strict=True):
        wanted = other.detach().numpy()
        np.testing.assert_allclose(parameter.numpy(), wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(initial=0))


@pytest.mark.parametrize("norm_type", [1, 2.0, 2.5, INF])
@pytest.mark.parametrize("max_norm", [0.0, 1.0, 1e9])
@pytest.mark.parametrize("bad", [None, 0.0, INF, -INF, math.nan])
def test_clipping_at_the_edges(norm_type, max_norm, bad):
    draw = np.random.default_rng(2)
    ours = [Parameter(Tensor(draw.normal(size=shape), dtype=np.float64)) for shape in [(2, 3), (), (4,)]]
    theirs = [torch.zeros(parameter.shape, dtype=torch.float64, requires_grad=True) for parameter in ours]
    for parameter, other in zip(ours, theirs, strict=True):
        parameter.grad = draw.normal(size=parameter.shape) if bad != 0.0 else np.zeros(parameter.shape)
        parameter.grad = np.asarray(parameter.grad)
        if bad is not None and parameter.ndim == 2:
            parameter.grad[1, 1] = bad
        other.grad = torch.tensor(parameter.grad)
    mine = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
    other = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert mine.shape == tuple(other.shape)
    np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-12)
    for parameter, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(parameter.grad, other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_arguments_and_defaults(name):
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    assert list(ours) == list(theirs)[: len(ours)]
    assert {key: value.default for key, value in ours.items()} == {key: theirs[key].default for key in ours}


@pytest.mark.parametrize("name", ["StepLR", "LambdaLR", "LinearLR", "CosineAnnealingLR"])
def test_arguments_and_defaults_of_schedules(name):
    ours = inspect.signature(getattr(lr_scheduler, name)).parameters
    theirs = inspect.signature(getattr(torch.optim.lr_scheduler, name)).parameters
    assert list(ours) == list(theirs)
    assert {key: value.default for key, value in ours.items()} == {key: theirs[key].default for key in ours}


def test_the_calls_that_people_type():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    optimizer.zero_grad(set_to_none=True)
    model(tinytorch.ones(1, 2)).sum().backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    scheduler.step()
    assert norm.item() > 0
    assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0] < 1e-3
    assert isinstance(optimizer, optim.Optimizer)
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    with pytest.raises(ValueError, match="-1"):
        optim.SGD(model.parameters(), lr=-1)
