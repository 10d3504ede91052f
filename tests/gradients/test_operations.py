"""Every operation of the framework: its values and gradients against PyTorch and against finite differences.

Operations are discovered, so that a new one cannot go untested.
"""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import EXEMPT, SAMPLES

import tinytorch.core
from tinytorch.core.tensor import Op, Tensor

MANY = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def operations():
    """Every Op of every built module by its name, found by looking at what the modules hold."""
    found = {}
    for path in sorted(Path(tinytorch.core.__path__[0]).glob("*.py")):
        module = importlib.import_module(f"tinytorch.core.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, Op):
                assert found.setdefault(value.__name__, value) is value, f"two operations are called {value.__name__}"
    return found


OPERATIONS = operations()
TESTED = sorted(set(OPERATIONS) & set(SAMPLES))
WITH_GRADIENT = [name for name in TESTED if SAMPLES[name].gradient]


def load_torch():
    """PyTorch, the oracle. Where it is missing the test is skipped, except in CI, where that is a failure."""
    if os.environ.get("CI"):
        return importlib.import_module("torch")
    return pytest.importorskip("torch")


def our_key(settings):
    """Samples mark index arrays by a string, so that they can be written down without tinytorch."""
    if "key" not in settings:
        return settings
    marker = importlib.import_module("tinytorch.core.tensor").ARRAY
    return {"key": tuple(marker if isinstance(part, str) else part for part in settings["key"])}


def is_differentiable(array):
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def call(op, inputs, settings, dtype=np.float64):
    """The result and the input Tensors; floating inputs require gradients."""
    tensors = [Tensor(x, is_differentiable(x), dtype if is_differentiable(x) else None) for x in inputs]
    return op(*tensors, **our_key(settings)), tensors


def test_every_operation_has_a_sample():
    missing = set(OPERATIONS) - set(SAMPLES) - set(EXEMPT)
    assert not missing, f"add a sample to tests/gradients/samples.py for {sorted(missing)}"
    stale = (set(SAMPLES) | set(EXEMPT)) - set(OPERATIONS)
    assert not stale, f"samples for operations that do not exist: {sorted(stale)}"
    assert len(OPERATIONS) > 25


@pytest.mark.parity
@pytest.mark.parametrize("name", TESTED)
@MANY
@given(data=st.data())
def test_values_and_gradients_equal_pytorch(name, data):
    torch = load_torch()
    sample = SAMPLES[name]
    inputs, settings = data.draw(sample.draw)
    theirs = [torch.tensor(np.array(x, order="C"), requires_grad=is_differentiable(x)) for x in inputs]
    expected = sample.torch(torch, *theirs, **settings)
    got, tensors = call(OPERATIONS[name], inputs, settings)

    assert got.shape == tuple(expected.shape)
    assert str(got.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(got.numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    if not sample.gradient:
        assert not got.requires_grad
        return
    weights = np.random.default_rng(0).standard_normal(got.shape)
    got.backward(weights)
    expected.backward(torch.tensor(weights))
    for i, (tensor, their) in enumerate(zip(tensors, theirs, strict=True)):
        if their.grad is None:
            assert tensor.grad is None or not tensor.grad.any(), f"input {i}: PyTorch gives no gradient"
        else:
            theirs_i = their.grad.numpy()
            atol = 1e-12 * max(1.0, float(np.abs(theirs_i).max(initial=0)))
            np.testing.assert_allclose(tensor.grad, theirs_i, rtol=1e-9, atol=atol, err_msg=f"input {i}")


@pytest.mark.parametrize("name", WITH_GRADIENT)
@MANY
@given(data=st.data())
def test_gradients_equal_finite_differences(name, data):
    """Along a random direction: the slope of Σ weights · op(inputs + step · direction) at step 0."""
    inputs, settings = data.draw(SAMPLES[name].draw)
    op, generator = OPERATIONS[name], np.random.default_rng(1)
    got, tensors = call(op, inputs, settings)
    weights = generator.standard_normal(got.shape)
    got.backward(weights)
    for i, x in enumerate(inputs):
        if not is_differentiable(x) or x.size == 0:
            continue
        direction = generator.standard_normal(x.shape)

        def loss(step, i=i, x=x, direction=direction):
            moved = [np.asarray(x + step * direction) if j == i else other for j, other in enumerate(inputs)]
            return float((call(op, moved, settings)[0].numpy() * weights).sum())

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        claimed = float((tensors[i].grad * direction).sum())
        assert claimed == pytest.approx(slope, rel=1e-5, abs=1e-5 * (1 + np.abs(weights).sum())), f"input {i}"


@pytest.mark.parametrize("name", WITH_GRADIENT)
@settings(MANY, max_examples=15)
@given(data=st.data())
def test_float32_stays_float32(name, data):
    inputs, settings = data.draw(SAMPLES[name].draw)
    if "dtype" in settings:
        return  # a cast is there to change the dtype
    got, tensors = call(OPERATIONS[name], inputs, settings, np.float32)
    assert got.dtype == np.float32
    got.backward(np.ones(got.shape, np.float32))
    for tensor in tensors:
        if tensor.requires_grad:
            assert tensor.grad.dtype == np.float32
            assert tensor.grad.shape == tensor.shape
            assert tensor.grad.flags.writeable
            assert tensor.grad.base is None


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "power", "maximum", "matmul", "concat", "where"])
def test_one_tensor_used_twice_gets_both_parts(name):
    """d/dx op(x, x) is the sum of the parts for the first and for the second input."""
    op, x = OPERATIONS[name], np.random.default_rng(2).uniform(0.5, 2, (3, 3))
    settings = {"axis": 0} if name == "concat" else {}
    extra = [np.eye(3) > 0] if name == "where" else []
    once, twice = Tensor(x, True, np.float64), [Tensor(x, True, np.float64) for _ in range(2)]
    out = op(*extra, once, once, **settings)
    weights = np.random.default_rng(3).standard_normal(out.shape)
    out.backward(weights)
    op(*extra, *twice, **settings).backward(weights)
    np.testing.assert_allclose(once.grad, twice[0].grad + twice[1].grad, rtol=1e-12)


def test_what_is_no_input_is_named_with_what_to_do():
    """A setting without its name comes as an input: to wrap it in a Tensor would be wrong advice."""
    gelu = OPERATIONS["gelu"]
    with pytest.raises(TypeError, match="gelu .* not a str; settings go by name"):
        gelu(Tensor([1.0]), "tanh")
    with pytest.raises(TypeError, match=r"gelu .* not a list; wrap it: Tensor\(\.\.\.\)"):
        gelu([1.0])
