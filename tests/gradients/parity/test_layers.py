"""Layers against PyTorch: values, gradients, names, starting numbers, and the calls that people type."""

import copy
import importlib.util
import inspect
import math
from functools import partial

import close
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import arrays, shapes

torch = pytest.importorskip("torch")

from tinytorch import nn  # noqa: E402
from tinytorch.core import layers  # noqa: E402
from tinytorch.core.tensor import Tensor, manual_seed, zeros  # noqa: E402
from tinytorch.nn import init  # noqa: E402

pytestmark = pytest.mark.parity
MANY = settings(max_examples=60, deadline=None, derandomize=True)
WIDTHS = st.sampled_from([0, 1, 2, 3, 7])
DTYPES = st.sampled_from([np.float64, np.float32])

with_gradients = pytest.mark.skipif(
    importlib.util.find_spec("tinytorch.core.autograd") is None, reason="gradients arrive with module 05"
)


agree = partial(close.agree, terms=close.MANY)


def dense(x, requires_grad=False):
    """PyTorch's Tensor of an array, whose strides may be negative, which PyTorch refuses."""
    return torch.tensor(np.array(x, order="C"), requires_grad=requires_grad)


def state_of(module):
    return {name: array.numpy() for name, array in module.state_dict().items()}


@st.composite
def linears(draw):
    """One layer twice, with the same weights, and an input for it that need not be contiguous."""
    fan_in, fan_out, bias, dtype = draw(WIDTHS), draw(WIDTHS), draw(st.booleans()), draw(DTYPES)
    ours = nn.Linear(fan_in, fan_out, bias=bias, dtype=dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: None)  # it warns where there is no entry
        theirs = torch.nn.Linear(fan_in, fan_out, bias=bias, dtype=getattr(torch, np.dtype(dtype).name))
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    return ours, theirs, draw(arrays((*draw(shapes(max_dims=3)), fan_in), dtype=dtype))


# Linear


@MANY
@given(linears())
def test_linear(drawn):
    ours, theirs, x = drawn
    agree(ours(Tensor(x, dtype=x.dtype)).numpy(), theirs(dense(x)))
    agree(ours(Tensor.wrap(x)).numpy(), theirs(dense(x)))


@pytest.mark.parametrize(
    "x", [[1000.0, -1000.0], [math.inf, 1.0], [-math.inf, math.inf], [math.nan, 0.0], [1e38, 1e38]]
)
def test_linear_beyond_ordinary_numbers(x):
    theirs = torch.nn.Linear(2, 2)
    theirs.load_state_dict({"weight": torch.tensor([[4.0, 1.0], [-0.5, 0.25]]), "bias": torch.tensor([0.5, -1.0])})
    ours = nn.Linear(2, 2)
    ours.load_state_dict(state_of(theirs))
    with np.errstate(over="ignore", invalid="ignore"):
        agree(ours(Tensor(x)).numpy(), theirs(torch.tensor(x)))


@with_gradients
@MANY
@given(linears(), st.integers(0, 1000))
def test_gradients_of_linear(drawn, seed):
    ours, theirs, x = drawn
    mine, other = Tensor(x, True, x.dtype), dense(x, requires_grad=True)
    out, expected = ours(mine), theirs(other)
    grad = np.random.default_rng(seed).normal(size=out.shape).astype(x.dtype)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    agree(mine.grad, other.grad)
    for parameter, partner in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(parameter.grad, partner.grad)


@MANY
@given(linears())
def test_linear_as_an_operation(drawn):
    ours, theirs, x = drawn
    mine = [Tensor.wrap(x), ours.weight, *([ours.bias] if ours.bias is not None else [])]
    agree(nn.functional.linear(*mine).numpy(), theirs(dense(x)))


@with_gradients
@pytest.mark.parametrize("bias", ["left out", None, (3,)])
@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True)])
def test_gradients_of_linear_as_an_operation(bias, wanted):
    draw = np.random.default_rng(0)
    inputs = [draw.normal(size=(2, 5, 4)), draw.normal(size=(3, 4))]
    inputs += [] if bias == "left out" else [draw.normal(size=bias) if bias else None]
    wanted += (True,)
    mine, other = (
        [None if x is None else make(x, wants) for x, wants in zip(inputs, wanted, strict=False)]
        for make in (lambda x, wants: Tensor(x, wants, np.float64), dense)
    )
    grad = draw.normal(size=(2, 5, 3))
    nn.functional.linear(*mine).backward(grad)
    torch.nn.functional.linear(*other).backward(torch.tensor(grad))
    for got, expected in zip(mine, other, strict=True):
        if got is not None and got.requires_grad:
            agree(got.grad, expected.grad)


@pytest.mark.parametrize("shapes_", [((), (2, 3)), ((4,), (2, 3)), ((3,), (3,)), ((3,), (2, 3), (3,))])
def test_what_linear_as_an_operation_refuses(shapes_):
    with pytest.raises(ValueError, match=r"linear: .* does not fit a weight of shape"):
        nn.functional.linear(*(zeros(*shape) for shape in shapes_))


# Models made of others


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(Tensor([1.5, -0.5, 2.0], dtype=np.float64))
        self.body = nn.Sequential(
            nn.Linear(4, 6, dtype=np.float64),
            nn.Tanh(),
            nn.Sequential(nn.Linear(6, 5, bias=False, dtype=np.float64), nn.ReLU(), nn.Dropout(0.25)),
        )
        self.head = nn.Linear(5, 3, dtype=np.float64)
        self.shift = nn.Parameter(Tensor([0.1, 0.2, 0.3], dtype=np.float64))
        self.tied = self.head

    def forward(self, x):
        return self.head(self.body(x)) * self.scale + self.shift


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.5, -0.5, 2.0]))
        self.body = torch.nn.Sequential(
            torch.nn.Linear(4, 6),
            torch.nn.Tanh(),
            torch.nn.Sequential(torch.nn.Linear(6, 5, bias=False), torch.nn.ReLU(), torch.nn.Dropout(0.25)),
        )
        self.head = torch.nn.Linear(5, 3)
        self.shift = torch.nn.Parameter(torch.tensor([0.1, 0.2, 0.3]))
        self.tied = self.head
        self.double()

    forward = Mine.forward


def test_names_shapes_and_order():
    ours, theirs = Mine(), Theirs()
    shapes_of = [{name: tuple(array.shape) for name, array in m.state_dict().items()} for m in (ours, theirs)]
    assert list(shapes_of[0].items()) == list(shapes_of[1].items())
    for prefix in ("", "net"):
        mine, expected = ([name for name, _ in m.named_parameters(prefix=prefix)] for m in (ours, theirs))
        assert mine == expected
    counts = [sum(p.numel() for p in m.parameters()) for m in (ours, theirs)]
    assert counts[0] == counts[1]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in ours.named_children()] == [name for name, _ in theirs.named_children()]


def test_repr():
    assert repr(Mine()) == repr(Theirs()).replace(", inplace=False", "").replace("Theirs", "Mine")
    for make in (
        lambda package: package.Sequential(),
        lambda package: package.Module(),
        lambda package: package.Sequential(package.Linear(1, 2, False), package.ReLU())[1:],
    ):
        assert repr(make(nn)) == repr(make(torch.nn))


def loaded_pair():
    torch.manual_seed(0)
    ours, theirs = Mine(), Theirs()
    assert ours.load_state_dict(state_of(theirs)) == ([], [])
    return ours.eval(), theirs.eval()


def test_a_model_answers_as_pytorchs_with_the_same_state():
    ours, theirs = loaded_pair()
    x = np.random.default_rng(0).normal(size=(7, 2, 4))
    agree(ours(Tensor(x, dtype=np.float64)).numpy(), theirs(torch.tensor(x)))
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    agree(ours(Tensor(x, dtype=np.float64)).numpy(), theirs(torch.tensor(x)))


@with_gradients
def test_gradients_of_a_model():
    ours, theirs = loaded_pair()
    x = np.random.default_rng(1).normal(size=(5, 4))
    (ours(Tensor(x, dtype=np.float64)) ** 2).sum().backward()
    (theirs(torch.tensor(x)) ** 2).sum().backward()
    for (name, mine), (other_name, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other_name
        agree(mine.grad, other.grad)
    ours.zero_grad()
    assert all(p.grad is None for p in ours.parameters())


def test_what_does_not_fit_is_the_same_error():
    for model, ones in ((Mine(), np.ones), (Theirs(), torch.ones)):
        with pytest.raises(RuntimeError, match=r"(?s)body.0.bias.*extra.*head.weight"):
            state = {name: value for name, value in model.state_dict().items() if name != "body.0.bias"}
            model.load_state_dict({**state, "head.weight": ones((2, 2)), "extra": ones(1)})
        result = model.load_state_dict({**state, "extra": ones(1)}, strict=False)
        assert list(result.missing_keys) == ["body.0.bias"]
        assert list(result.unexpected_keys) == ["extra"]


def test_the_same_mistakes_raise_the_same_errors():
    for package, tensor in ((nn, Tensor), (torch.nn, torch.tensor)):

        class Forgetful(package.Module):
            def __init__(self, package=package):
                self.layer = package.Linear(1, 1)

        with pytest.raises(AttributeError, match=r"Module.__init__\(\)|super\(\).__init__\(\)"):
            Forgetful()
        layer = package.Linear(2, 2)
        with pytest.raises(TypeError, match="weight"):
            layer.weight = layer.weight * 2
        with pytest.raises(RuntimeError, match=r"(?i)float"):
            package.Parameter(tensor([1, 2]))
        for p in (-0.1, 1.1):
            with pytest.raises(ValueError, match=str(p)):
                package.Dropout(p)
        with pytest.raises(ValueError, match="fan_mean"):
            package.init.kaiming_uniform_(layer.weight, mode="fan_mean")
        with pytest.raises(ValueError, match="swish"):
            package.init.calculate_gain("swish")
        with pytest.raises(TypeError):
            package.Sequential([layer, layer])


def test_a_parameter_shares_its_tensors_memory_in_both():
    for package, make in ((nn, lambda: Tensor([1.0, 2.0])), (torch.nn, lambda: torch.tensor([1.0, 2.0]))):
        tensor = make()
        parameter = package.Parameter(tensor)
        tensor.numpy()[0] = 9
        assert parameter.tolist() == [9, 2]
        assert parameter.requires_grad
        assert parameter.is_leaf
        assert not package.Parameter(tensor, requires_grad=False).requires_grad


def test_containers_are_used_alike():
    for package, ones in ((nn, lambda *s: Tensor(np.ones(s))), (torch.nn, torch.ones)):
        net = package.Sequential(package.Linear(3, 4), package.ReLU(), package.Linear(4, 2))
        assert len(net) == 3
        assert [type(part).__name__ for part in net] == ["Linear", "ReLU", "Linear"]
        assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
        assert net[-1] is net[2]
        net[2] = package.Linear(4, 5, bias=False)
        assert tuple(net(ones(6, 3)).shape) == (6, 5)
        assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight"]
        assert net.train(False) is net
        assert net.training is net[0].training is False
        assert net.requires_grad_(False).apply(lambda module: None) is net
        assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    "name", [*dir(init), "Linear", "Dropout", "Parameter", "load_state_dict", "train", "requires_grad_"]
)
def test_signatures_begin_alike(name):
    """What both take by position has the same place, name and default, but for the first, which nobody names."""
    homes = [(init, torch.nn.init), (nn, torch.nn), (nn.Module, torch.nn.Module)]
    ours, theirs = next((getattr(a, name), getattr(b, name)) for a, b in homes if hasattr(a, name))
    mine = list(inspect.signature(ours).parameters.values())
    expected = list(inspect.signature(theirs).parameters.values())
    for parameter, partner in list(zip(mine, expected, strict=False))[1:]:
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert (parameter.name, parameter.default) == (partner.name, partner.default)


# Buffers


def counting(package, tensor):
    """A module with a parameter, buffers of every kind and a child with a buffer, as either package spells it."""

    class Counting(package.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", tensor([0.5, 1.5]))
            self.weight = package.Parameter(tensor([1.0, 2.0]))
            self.register_buffer("batches", tensor(7))
            self.register_buffer("cache", tensor([9.0]), persistent=False)
            self.register_buffer("missing", None)
            self.inner = package.Sequential(package.Linear(2, 2))
            self.inner.register_buffer("mask", tensor([True, False]))

    return Counting()


BOTH = ((nn, Tensor), (torch.nn, torch.tensor))


def of_both(function):
    ours, theirs = (function(package, tensor) for package, tensor in BOTH)
    assert ours == theirs


def test_buffers_are_found_under_the_same_names_in_the_same_order():
    def names(package, tensor):
        module = counting(package, tensor)
        module.again = module.inner
        module.register_buffer("tied", module.mean)
        return [
            list(module.state_dict()),
            [(name, buffer.tolist()) for name, buffer in module.named_buffers()],
            [name for name, _ in module.named_buffers("net", recurse=False)],
            [name for name, _ in module.named_buffers(remove_duplicate=False)],
            [len(list(module.buffers())), len(list(module.buffers(recurse=False)))],
            [name for name, _ in module.named_parameters()],
        ]

    of_both(names)


def test_a_module_with_buffers_prints_as_pytorchs():
    of_both(lambda package, tensor: repr(counting(package, tensor)))


def test_buffers_are_saved_and_loaded_into_their_memory():
    def loaded(package, tensor):
        module, other = counting(package, tensor), counting(package, tensor)
        mean = module.mean
        other.mean, other.batches, other.inner.mask = tensor([3.0, 4.0]), tensor(8), tensor([False, True])
        other.cache = tensor([1.0])
        result = module.load_state_dict(other.state_dict())
        values = [module.mean.tolist(), module.batches.item(), module.inner.mask.tolist(), module.cache.tolist()]
        return [list(result.missing_keys), list(result.unexpected_keys), values, module.mean is mean]

    of_both(loaded)


def test_a_buffer_that_does_not_fit_is_named_and_nothing_is_loaded():
    for package, tensor in BOTH:
        module = counting(package, tensor)
        state = {name: value for name, value in module.state_dict().items() if name != "batches"}
        with pytest.raises(RuntimeError, match=r"(?s)batches.*mean"):
            module.load_state_dict({**state, "mean": np.ones(3) if package is nn else torch.ones(3)})
        assert module.mean.tolist() == [0.5, 1.5]


def test_what_is_assigned_to_a_buffer():
    def kept(package, tensor):
        module = counting(package, tensor)
        seen = []
        module.mean = tensor([8.0, 9.0])
        seen.append([name for name, _ in module.named_buffers()])
        module.mean = None
        seen.append(list(module.state_dict()))
        module.mean = package.Parameter(tensor([1.0]))
        seen.append([name for name, _ in module.named_buffers()] + [name for name, _ in module.named_parameters()])
        del module.batches
        seen.append(list(module.state_dict()))
        module.register_buffer("cache", tensor([2.0]))
        seen.append(list(module.state_dict()))
        return seen

    def sorted_where_a_parameter_was_a_buffer(package, tensor):
        """A buffer that becomes a parameter keeps its place among our attributes, and is the last one in PyTorch."""
        return [sorted(names) for names in kept(package, tensor)]

    of_both(sorted_where_a_parameter_was_a_buffer)


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TypeError, (3, None)),
        (KeyError, ("", None)),
        (KeyError, ("a.b", None)),
        (KeyError, ("weight", None)),
        (KeyError, ("forward", None)),
        (TypeError, ("new", 1.0)),
        (TypeError, ("new", np.ones(2))),
    ],
)
def test_what_cannot_be_a_buffer_raises_the_same_error(error, arguments):
    for package, tensor in BOTH:
        with pytest.raises(error) as caught:
            counting(package, tensor).register_buffer(*arguments)
        assert caught.type is error


def test_buffers_are_held_to_be_tensors_as_pytorchs_are():
    for package, tensor in BOTH:
        with pytest.raises(TypeError, match="mean"):
            counting(package, tensor).mean = np.ones(2)

        class Early(package.Module):
            def __init__(self, tensor=tensor):
                self.register_buffer("mean", tensor([1.0]))

        with pytest.raises(AttributeError, match=r"Module.__init__\(\)|super\(\).__init__\(\)"):
            Early()


def test_copies_have_buffers_of_their_own():
    def copied(package, tensor):
        module = counting(package, tensor)
        twin = copy.deepcopy(module)
        twin.mean.numpy()[...] = 5
        twin.register_buffer("only", tensor([1.0]))
        return [module.mean.tolist(), list(module.state_dict()), list(twin.state_dict()), list(twin._buffers)]

    of_both(copied)


def test_buffers_are_not_trained():
    def frozen(package, tensor):
        module = counting(package, tensor).requires_grad_(True)
        module.zero_grad()
        return [buffer.requires_grad for buffer in module.buffers()]

    of_both(frozen)


# Starting numbers


def drawn_from(fill_, tensor, target, patch, **settings):
    """What `fill_` asks `target` to fill the tensor with: ("uniform_", from, to) or ("normal_", mean, std)."""
    asked = []

    def spy(name):
        def record(tensor, first, second, generator=None):
            asked.append((name, first, second))
            return tensor

        return record

    for name in ("uniform_", "normal_"):
        patch.setattr(target, name, spy(name))
    fill_(tensor, **settings)
    patch.undo()
    return asked


@MANY
@given(shapes(min_dims=2, max_dims=5, sides=st.sampled_from([1, 2, 3, 5, 16])), st.data())
def test_initialisers_draw_from_the_same_ranges(shape, data):
    name = data.draw(st.sampled_from(["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]))
    if name.startswith("xavier"):
        chosen = {"gain": data.draw(st.sampled_from([1.0, 0.5, 5 / 3]))}
    else:
        kinds = ["leaky_relu", "relu", "tanh", "linear", "selu", "sigmoid", "conv2d", "conv_transpose2d"]
        chosen = {
            "a": data.draw(st.sampled_from([0, 0.01, 1, math.sqrt(5)])),
            "mode": data.draw(st.sampled_from(["fan_in", "fan_out"])),
            "nonlinearity": data.draw(st.sampled_from(kinds)),
        }
    with pytest.MonkeyPatch.context() as patch:
        ours = drawn_from(getattr(init, name), zeros(shape), layers, patch, **chosen)
        theirs = drawn_from(getattr(torch.nn.init, name), torch.zeros(shape), torch.Tensor, patch, **chosen)
    assert len(ours) == len(theirs) == 1
    assert ours[0][0] == theirs[0][0]
    assert ours[0][1:] == pytest.approx(theirs[0][1:], rel=1e-12)
    fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(shape))
    assert layers.fan_in_and_fan_out(zeros(shape)) == fans


@pytest.mark.parametrize("param", [None, 0, 0.01, 1, -0.2, math.sqrt(5)])
@pytest.mark.parametrize("kind", [*layers.GAINS, "leaky_relu"])
def test_gains(kind, param):
    assert init.calculate_gain(kind, param) == pytest.approx(torch.nn.init.calculate_gain(kind, param), rel=1e-15)


@pytest.mark.parametrize("fans", [(1, 4), (9, 4), (784, 128)])
def test_linear_starts_from_the_same_range(fans):
    with pytest.MonkeyPatch.context() as patch:
        ours = drawn_from(lambda tensor: nn.Linear(*fans), None, layers, patch)
        theirs = drawn_from(lambda tensor: torch.nn.Linear(*fans), None, torch.Tensor, patch)
    assert len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs, strict=True):
        assert mine[0] == other[0] == "uniform_"
        assert mine[1:] == pytest.approx(other[1:], rel=1e-12)


@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"])
def test_numbers_spread_alike(name):
    manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(init, name)(zeros(64, 32, 3, 3)).numpy()
    theirs = getattr(torch.nn.init, name)(torch.zeros(64, 32, 3, 3)).numpy()
    assert ours.dtype == theirs.dtype
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    np.testing.assert_allclose(
        np.quantile(ours, np.linspace(0.05, 0.95, 19)),
        np.quantile(theirs, np.linspace(0.05, 0.95, 19)),
        atol=0.06 * theirs.std(),
    )


# Dropout


@MANY
@given(shapes(), st.sampled_from([0, 0.0, 0.3, 1, 1.0]), DTYPES, st.data())
def test_dropout_in_evaluation_and_at_its_edges(shape, p, dtype, data):
    x = data.draw(arrays(shape, dtype=dtype))
    ours, theirs = nn.Dropout(p), torch.nn.Dropout(p)
    if p not in (0, 1):
        ours.eval(), theirs.eval()
    agree(ours(Tensor.wrap(x)).numpy(), theirs(dense(x)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_as_many_and_scales_alike(p):
    manual_seed(0)
    torch.manual_seed(0)
    x = np.random.default_rng(0).uniform(1, 2, (300, 400)).astype(np.float32)
    ours, theirs = nn.Dropout(p)(Tensor(x)).numpy(), torch.nn.Dropout(p)(torch.tensor(x)).numpy()
    assert abs((ours == 0).mean() - (theirs == 0).mean()) < 0.01
    both = (ours != 0) & (theirs != 0)
    assert both.any()
    np.testing.assert_allclose(ours[both], theirs[both], rtol=1e-5)


@with_gradients
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_gradients_of_dropout(p):
    """The gradient is the mask, in PyTorch as here; the masks themselves are drawn by different generators."""
    x = np.random.default_rng(0).uniform(1, 2, (30, 40))
    mine, other = Tensor(x, True, np.float64), torch.tensor(x, requires_grad=True)
    ours, theirs = nn.Dropout(p)(mine), torch.nn.Dropout(p)(other)
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    for out, grad in ((ours.numpy(), mine.grad), (theirs.detach().numpy(), other.grad.numpy())):
        np.testing.assert_allclose(grad, 2 * out * (out / x), rtol=1e-12)
