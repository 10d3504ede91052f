"""PyTorch's own samples of its modules, for every module that `tinytorch.nn` offers: same numbers, same gradients."""

import importlib.util

import numpy as np
import pytest
from close import agree
from torch_samples import internal

module_db = internal("common_modules").module_db
import torch  # noqa: E402 - internal() says what happens where it is missing

from tinytorch import Tensor, nn  # noqa: E402
from tinytorch.core import activations  # noqa: E402

with_gradients = pytest.mark.skipif(
    importlib.util.find_spec("tinytorch.core.autograd") is None, reason="gradients arrive with module 05"
)
SAMPLED = [info for info in module_db if info.module_cls.__module__.startswith("torch.nn.modules")]
OFFERED = [info for info in SAMPLED if info.module_cls.__name__ in dir(nn)]

# What PyTorch's modules take and ours do not, with the reason. This list may only shrink.
DIFFERENT = {
    "MaxPool2d return_indices": "the places of the maxima serve unpooling, which the course does not have",
}


def samples():
    for info in OFFERED:
        name = info.module_cls.__name__
        torch.manual_seed(0)
        made = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=True)
        for number, sample in enumerate(made):
            key = f"{name} {sample.desc}" if sample.desc else name
            yield pytest.param(info, sample, key, id=f"{name}-{number}-{sample.desc}")


SAMPLES = list(samples())


def ours(value):
    if isinstance(value, torch.Tensor):
        return Tensor(value.detach().numpy(), value.requires_grad, value.detach().numpy().dtype)
    return value


def run(info, sample):
    """Both modules on the sample, forward and backward, with the same parameters."""
    made, called = sample.constructor_input, sample.forward_input
    theirs = info.module_cls(*made.args, **made.kwargs).double()
    mine = getattr(nn, info.module_cls.__name__)(*map(ours, made.args), **{k: ours(v) for k, v in made.kwargs.items()})
    for (name, parameter), (other_name, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other_name
        parameter.data = other.detach().numpy().copy()
    our_inputs, their_inputs = list(map(ours, called.args)), list(called.args)
    our_named = {name: ours(value) for name, value in called.kwargs.items()}
    out, expected = mine(*our_inputs, **our_named), theirs(*their_inputs, **called.kwargs)
    if isinstance(expected, tuple):  # attention and its weights
        agree(out[1].numpy(), expected[1])
        out, expected = out[0], expected[0]
    agree(out.numpy(), expected)
    if not expected.requires_grad:
        assert not out.requires_grad
        return
    grad = np.random.default_rng(0).normal(size=out.shape)
    out.backward(grad)
    wanted = [t for t in (*their_inputs, *called.kwargs.values(), *theirs.parameters()) if isinstance(t, torch.Tensor)]
    given = [t for t in (*our_inputs, *our_named.values(), *mine.parameters()) if isinstance(t, Tensor)]
    leaves = [(a, b) for a, b in zip(given, wanted, strict=True) if b.requires_grad]
    gradients = torch.autograd.grad(expected, [b for _, b in leaves], torch.tensor(grad), allow_unused=True)
    for (tensor, _), gradient in zip(leaves, gradients, strict=True):
        if gradient is not None:
            agree(tensor.grad, gradient)


@with_gradients
@pytest.mark.parametrize(("info", "sample", "key"), SAMPLES)
def test_a_sample_of_pytorchs(info, sample, key):
    if key not in DIFFERENT:
        run(info, sample)
        return
    with pytest.raises((TypeError, ValueError)):  # delete it from DIFFERENT once it agrees
        run(info, sample)


def test_at_least_95_of_100_samples_agree():
    different = [key for _, _, key in (sample.values for sample in SAMPLES) if key in DIFFERENT]
    assert len(SAMPLES) > 150
    assert len(OFFERED) >= 13
    assert len(different) <= 0.05 * len(SAMPLES)
    assert set(different) == set(DIFFERENT), "what is no sample is no difference"


# The names of arguments, and what a Module has.

BOTH = ((nn, Tensor), (torch.nn, torch.tensor))
MAKE = {
    "ReLU": lambda package: package.ReLU(),
    "Sigmoid": lambda package: package.Sigmoid(),
    "Tanh": lambda package: package.Tanh(),
    "GELU": lambda package: package.GELU(),
    "GELU tanh": lambda package: package.GELU(approximate="tanh"),
    "Softmax": lambda package: package.Softmax(dim=1),
    "Linear": lambda package: package.Linear(4, 2),
    "Dropout": lambda package: package.Dropout(0.0),
    "Sequential": lambda package: package.Sequential(package.ReLU(), package.Linear(4, 1)),
    "Conv2d": lambda package: package.Conv2d(3, 6, 3, padding="same", dilation=2, groups=3, bias=False),
    "MaxPool2d": lambda package: package.MaxPool2d(2),
    "AvgPool2d": lambda package: package.AvgPool2d(2),
    "Flatten": lambda package: package.Flatten(),
    "BatchNorm1d": lambda package: package.Sequential(package.Flatten(2), package.BatchNorm1d(3, momentum=None)),
    "BatchNorm2d": lambda package: package.BatchNorm2d(3),
    "BatchNorm2d without state": lambda package: package.BatchNorm2d(3, affine=False, track_running_stats=False),
    "GroupNorm": lambda package: package.GroupNorm(3, 3),
}


@pytest.mark.parametrize("kind", MAKE)
def test_what_a_module_takes_is_called_input(kind):
    x = np.ones((2, 3, 4, 4), np.float32)
    shapes = [tuple(MAKE[kind](package)(input=tensor(x)).shape) for package, tensor in BOTH]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("kind", MAKE)
def test_every_module_is_a_module(kind):
    def facts(package):
        module = MAKE[kind](package)
        model = package.Sequential(module)
        model.eval()
        return [
            isinstance(module, package.Module),
            [(name, tuple(parameter.shape)) for name, parameter in model.named_parameters()],
            [name for name, _ in model.named_modules()],
            list(module.state_dict()),
            [len(list(module.children())), len(list(module.buffers())), module.training],
            repr(module.train()).replace(", dilation=1, ceil_mode=False", "").replace(", inplace=False", ""),
        ]

    assert facts(nn) == facts(torch.nn)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: nn.ReLU(inplace=True), "inplace"),
        (lambda x: nn.functional.relu(x, inplace=True), "inplace"),
        (lambda x: nn.functional.max_pool2d(x, 2, dilation=2), "dilation"),
        (lambda x: nn.functional.max_pool2d(x, 2, return_indices=True), "return_indices"),
        (lambda x: nn.functional.avg_pool2d(x, 2, ceil_mode=True), "ceil_mode"),
    ],
)
def test_a_setting_that_is_not_offered_is_named(call, name):
    with pytest.raises(ValueError, match=f"{name} is not offered"):
        call(Tensor(np.ones((1, 1, 4, 4))))


def test_an_activation_is_still_the_one_of_module_02():
    for name in ("ReLU", "Sigmoid", "Tanh", "GELU", "Softmax"):
        assert isinstance(getattr(nn, name)(), getattr(activations, name))


FUNCTIONS = {
    "relu": {},
    "sigmoid": {},
    "tanh": {},
    "gelu": {"approximate": "tanh"},
    "softmax": {"dim": 1},
    "log_softmax": {"dim": 0},
    "softplus": {},
    "linear": {"weight": (2, 4), "bias": (2,)},
    "mse_loss": {"target": (2, 3, 4, 4)},
    "binary_cross_entropy_with_logits": {"target": (2, 3, 4, 4), "weight": (4,), "pos_weight": (4, 1)},
    "conv2d": {"weight": (6, 1, 2, 2), "bias": (6,), "padding": "same", "dilation": (1, 2), "groups": 3},
    "max_pool2d": {"kernel_size": 2, "stride": 1, "padding": 1},
    "avg_pool2d": {"kernel_size": 2, "divisor_override": 3},
    "group_norm": {"num_groups": 3, "weight": (3,), "bias": (3,), "eps": 0.1},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_pytorchs_names(name):
    draw = np.random.default_rng(0)
    arrays = {"input": draw.normal(size=(2, 3, 4, 4))}
    settings = {}
    for key, value in FUNCTIONS[name].items():
        is_tensor = isinstance(value, tuple) and key in ("weight", "bias", "target", "pos_weight")
        (arrays if is_tensor else settings)[key] = draw.uniform(0.1, 1, value) if is_tensor else value
    got, expected = (
        getattr(package.functional, name)(**{key: make(x) for key, x in arrays.items()}, **settings)
        for package, make in ((nn, lambda x: Tensor(x, dtype=np.float64)), (torch.nn, torch.tensor))
    )
    agree(got.numpy(), expected)


# Convolution: what PyTorch's samples leave out


@with_gradients
@pytest.mark.parametrize("kernels", ["loops", "product", "fast"])
@pytest.mark.parametrize(
    "settings",
    [
        {"padding": "same", "kernel_size": (2, 3)},
        {"padding": "same", "kernel_size": (4, 2), "dilation": (1, 3)},
        {"padding": "valid", "kernel_size": 3, "stride": 2},
        {"padding": (2, 1), "kernel_size": 3, "dilation": 2, "stride": (2, 1)},
        {"kernel_size": 3, "groups": 4},
        {"kernel_size": 2, "groups": 2, "dilation": (2, 1), "padding": 1, "bias": False},
    ],
)
def test_convolutions_around_the_students(settings, kernels):
    theirs = torch.nn.Conv2d(4, 8, **settings).double()
    mine = nn.Conv2d(4, 8, **settings)
    mine.kernels = kernels
    assert repr(mine) == repr(theirs)
    for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        parameter.data = other.detach().numpy().copy()
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 9))
    inputs = Tensor(x, True, np.float64), torch.tensor(x, requires_grad=True)
    out, expected = mine(inputs[0]), theirs(inputs[1])
    agree(out.numpy(), expected)
    out.sum().backward()
    expected.sum().backward()
    for tensor, other in zip((inputs[0], *mine.parameters()), (inputs[1], *theirs.parameters()), strict=True):
        agree(tensor.grad, other.grad)


def test_a_plain_convolution_is_the_students_alone():
    """Nothing of the facade's is recorded between input and output."""
    out = nn.Conv2d(3, 6, 3, padding=1)(Tensor(np.ones((2, 3, 4, 4))))
    assert out.node.op.__name__ == "convolve"


@pytest.mark.parametrize(
    "settings",
    [
        {"groups": 3},
        {"groups": 0},
        {"padding": "same", "stride": 2},
        {"padding": "full"},
        {"dilation": 0},
    ],
)
def test_convolutions_that_both_refuse(settings):
    for package, tensor in BOTH:
        with pytest.raises((ValueError, RuntimeError)):
            package.Conv2d(4, 8, 3, **settings)(tensor(np.ones((1, 4, 9, 9), np.float32)))


# Cross-entropy: what PyTorch's samples leave out


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_ignored_classes_under_weights(reduction, smoothing):
    draw = np.random.default_rng(0)
    logits, target = draw.normal(size=(4, 3, 5)), draw.integers(0, 3, (4, 5))
    target[1] = -100
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    got = nn.functional.cross_entropy(
        Tensor(logits, dtype=np.float64), Tensor(target), Tensor([0.5, 2.0, 1.0], dtype=np.float64), **settings
    )
    weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(target), weight, **settings)
    agree(got.numpy(), expected)


def test_a_mean_over_ignored_positions_only_is_nan():
    with np.errstate(invalid="ignore"):
        got = nn.functional.cross_entropy(Tensor(np.ones((2, 3))), Tensor([-100, -100]))
    assert np.isnan(got.item())


def test_weights_are_state_as_pytorchs():
    def state(package, tensor):
        weight = tensor(np.ones(3, np.float32))
        made = package.CrossEntropyLoss(weight), package.BCEWithLogitsLoss(pos_weight=weight), package.BCELoss()
        return [list(loss.state_dict()) for loss in made]

    assert state(*BOTH[0]) == state(*BOTH[1])


@pytest.mark.parametrize(
    ("error", "said", "arguments"),
    [
        (TypeError, "reduction='sum'", ([[1.0, 2.0]], [0], "sum")),
        (ValueError, r"\(2,\) for 3 classes", (np.ones((1, 3)), [0], Tensor([1.0, 2.0]))),
        (ValueError, r"\(1, 3, 2\) with \(3,\)", (np.ones((1, 3, 2)), [0, 1, 2])),
        (ValueError, r"probabilities.*\(1, 3\), not \(1, 2\)", (np.ones((1, 3)), [[0.0, 1.0]])),
        (TypeError, "integers, not float32", (np.ones((1, 3)), [0.0])),
        (IndexError, "3 at position 1", (np.ones((2, 3)), [0, 3])),
        (TypeError, "integers", (np.ones((2, 3)), [True, False])),
    ],
)
def test_what_cross_entropy_refuses(error, said, arguments):
    logits, target, *more = arguments
    with pytest.raises(error, match=said):
        nn.functional.cross_entropy(Tensor(logits), Tensor(target), *more)
