"""PyTorch's own samples of its operators, for those that the framework offers: same numbers, same gradients."""

import importlib.util

import numpy as np
import pytest
from torch_samples import internal

op_db = internal("common_methods_invocations").op_db
import torch  # noqa: E402 - internal() says what happens where it is missing

import tinytorch  # noqa: E402
from tinytorch import Tensor  # noqa: E402
from tinytorch.nn import functional  # noqa: E402

with_gradients = pytest.mark.skipif(
    importlib.util.find_spec("tinytorch.core.autograd") is None, reason="gradients arrive with module 05"
)


def method(name):
    return lambda x, *more, **settings: getattr(x, name)(*more, **settings)


# PyTorch's operator: ours, which is called with the same arguments
OPERATORS = {
    **{name: method(name) for name in ("sum", "mean", "argmax", "var", "permute", "reshape", "transpose", "flatten")},
    **{name: method(name) for name in ("squeeze", "unsqueeze", "abs", "exp", "log", "sqrt", "clamp", "std")},
    "amax": lambda x, dim=(), keepdim=False: x.max(dim=None if dim == () else dim, keepdim=keepdim),
    "amin": lambda x, dim=(), keepdim=False: x.min(dim=None if dim == () else dim, keepdim=keepdim),
    "where": lambda x, mask, other: tinytorch.where(mask, x, other),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div.no_rounding_mode": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": lambda a: -a,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "matmul": lambda a, b: a @ b,
    "maximum": tinytorch.maximum,
    "minimum": tinytorch.minimum,
    "cat": lambda tensors, dim=0: tinytorch.cat(list(tensors), dim=dim),
    "stack": lambda tensors, dim=0: tinytorch.stack(list(tensors), dim=dim),
    "sigmoid": functional.sigmoid,
    "tanh": functional.tanh,
    "softmax": functional.softmax,
    "log_softmax": functional.log_softmax,
    **{
        f"nn.functional.{name}": getattr(functional, name)
        for name in (
            "relu", "gelu", "softplus", "linear", "mse_loss", "cross_entropy", "binary_cross_entropy",
            "binary_cross_entropy_with_logits", "conv2d", "avg_pool2d", "max_pool2d", "scaled_dot_product_attention",
            "group_norm",
        )
    },
}  # fmt: skip


# Arguments of PyTorch's that ours do not take, with the reason. This list may only shrink.
NOT_TAKEN = {
    "add": {"alpha": "an operator has no room for it"},
    "sub": {"alpha": "an operator has no room for it"},
    "var": {"unbiased": "older than `correction`, which says the same", "correction": "None stands for its default"},
    "std": {"unbiased": "older than `correction`, which says the same", "correction": "None stands for its default"},
    "clamp": {"min": "bounds are numbers; maximum and minimum take Tensors", "max": "as min"},
    "nn.functional.avg_pool2d": {"ceil_mode": "a window that sticks out is nothing the course looks at"},
    "nn.functional.max_pool2d": {
        "ceil_mode": "as for avg_pool2d",
        "dilation": "windows with gaps are nothing the course looks at",
        "return_indices": "the places serve unpooling, which the course does not have",
    },
    "nn.functional.scaled_dot_product_attention": {
        "is_causal": "the samples have fewer queries than keys, where a mask has to say how both are aligned",
    },
}
POSITIONS = {"clamp": ("min", "max"), "nn.functional.avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode")}


def not_taken(name, sample):
    """The names of arguments in a sample that ours do not take, where they say something."""
    given = dict(zip(POSITIONS.get(name, ()), sample.args, strict=False)) | sample.kwargs
    says_nothing = {
        "ceil_mode": lambda value: not value,
        "return_indices": lambda value: not value,
        "dilation": lambda value: value in (1, (1, 1)),
        "correction": lambda value: value is not None,
        "is_causal": lambda value: not value,
        "min": lambda value: value is None,
        "max": lambda value: value is None,
    }
    names = [key for key in NOT_TAKEN.get(name, ()) if key in given]
    return frozenset(key for key in names if not says_nothing.get(key, lambda value: False)(given[key]))


def samples():
    """All that ours take, and one of each kind that they do not."""
    refused = set()
    for info in op_db:
        if info.full_name in OPERATORS:
            torch.manual_seed(0)
            made = info.sample_inputs("cpu", torch.float64, requires_grad=info.supports_autograd)
            for number, sample in enumerate(made):
                if sample.kwargs.get("dropout_p"):
                    continue  # no two implementations drop the same weights
                why = not_taken(info.full_name, sample)
                if (info.full_name, why) not in refused:
                    yield pytest.param(info, sample, why, id=f"{info.full_name}-{number}")
                if why:
                    refused.add((info.full_name, why))


SAMPLES = list(samples())


def ours(value):
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        return Tensor(array, value.requires_grad, array.dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(map(ours, value))
    return value


def leaves(value):
    """The Tensors of either package in arguments, in order."""
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, dict):
        return leaves(list(value.values()))
    return [value] if isinstance(value, (Tensor, torch.Tensor)) and value.requires_grad else []


def agree(got, expected):
    expected = expected.detach().numpy()
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * finite.max(initial=0))


@with_gradients
@pytest.mark.parametrize(("info", "sample", "refused"), SAMPLES)
def test_a_sample_of_pytorchs(info, sample, refused):
    if not refused:
        run(info, sample)
        return
    with pytest.raises((TypeError, ValueError)):  # delete it from NOT_TAKEN once it agrees
        run(info, sample)


def test_every_operator_has_samples_and_what_is_not_taken_is_sampled():
    sampled = {info.full_name for info, _, _ in (sample.values for sample in SAMPLES)}
    assert sampled == set(OPERATORS)
    refused = {(info.full_name, name) for info, _, why in (sample.values for sample in SAMPLES) for name in why}
    assert refused == {(operator, name) for operator, names in NOT_TAKEN.items() for name in names}


def run(info, sample):
    theirs = (sample.input, *sample.args), sample.kwargs
    mine = ours(theirs[0]), {name: ours(value) for name, value in theirs[1].items()}
    expected = info.op(*theirs[0], **theirs[1])
    out = OPERATORS[info.full_name](*mine[0], **mine[1])
    agree(out.numpy(), expected)
    if expected.requires_grad:
        grad = np.random.default_rng(0).normal(size=out.shape)
        out.backward(grad)
        gradients = torch.autograd.grad(expected, leaves(theirs), torch.tensor(grad), allow_unused=True)
        for tensor, gradient in zip(leaves(mine), gradients, strict=True):
            if gradient is not None and gradient.numel():
                agree(tensor.grad, gradient)
