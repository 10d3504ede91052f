"""The public behaviour of tinytorch.core.layers: worked numbers, invariants, errors."""

import copy
import gc
import io
import math
import pickle
import weakref

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import (
    Dropout,
    Linear,
    Module,
    Parameter,
    Sequential,
    calculate_gain,
    constant_,
    fan_in_and_fan_out,
    kaiming_normal_,
    kaiming_uniform_,
    normal_,
    ones_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
    zeros_,
)
from tinytorch.core.tensor import Tensor, manual_seed, ones, zeros


class Block(Module):
    """A module as a person writes one: a parameter of its own, two layers, one of them shared."""

    def __init__(self, shared):
        super().__init__()
        self.inner = Sequential(Linear(3, 3), ReLU(), shared)
        self.scale = Parameter(np.ones(3))
        self.outer = shared

    def forward(self, x, factor=1.0):
        return self.outer(self.inner(x) * self.scale) * factor


@pytest.fixture
def block():
    manual_seed(0)
    return Block(Linear(3, 3, bias=False))


def names(pairs):
    return [name for name, _ in pairs]


# Parameters


def test_a_parameter_is_a_tensor_that_wants_a_gradient():
    parameter = Parameter([1.0, 2.0])
    assert isinstance(parameter, Tensor)
    assert parameter.requires_grad
    assert parameter.dtype == np.float32
    assert not hasattr(parameter, "__dict__")
    assert repr(parameter).startswith("Parameter containing:\nTensor([1., 2.]")
    assert not Parameter(np.ones(2), requires_grad=False).requires_grad
    assert not isinstance(parameter * 1, Parameter)


def test_a_parameter_shares_a_tensors_memory_and_copies_an_array():
    tensor, array = Tensor([1.0, 2.0]), np.ones(2, np.float32)
    shared, copied = Parameter(tensor), Parameter(array)
    tensor.data[0], array[0] = 7, 7
    assert shared.tolist() == [7, 2]
    assert copied.tolist() == [1, 1]
    assert Parameter(Tensor([1.0], dtype=np.float64)).dtype == np.float64


def test_a_parameter_made_from_a_result_starts_a_history_of_its_own():
    result = Tensor([2.0], requires_grad=True) * 3
    assert Parameter(result).is_leaf
    assert not result.is_leaf


def test_integers_are_no_parameters():
    with pytest.raises(RuntimeError, match="int64"):
        Parameter([1, 2])


# Modules


def test_names_and_order(block):
    expected = ["scale", "inner.0.weight", "inner.0.bias", "inner.2.weight"]
    assert names(block.named_parameters()) == expected
    assert names(block.named_parameters(prefix="net")) == [f"net.{name}" for name in expected]
    assert list(block.state_dict()) == [*expected, "outer.weight"]
    assert len(list(block.parameters())) == 4
    assert sum(p.numel() for p in block.parameters()) == 3 + 9 + 3 + 9


def test_the_modules_of_a_module(block):
    assert names(block.named_children()) == ["inner", "outer"]
    assert names(block.named_modules()) == ["", "inner", "inner.0", "inner.2"]
    assert names(block.named_modules(prefix="net", remove_duplicate=False))[-1] == "net.outer"
    assert next(iter(block.modules())) is block
    assert list(block.children())[1] is block.inner[2]
    twice = Sequential(block.outer, block.outer)
    assert names(twice.named_children()) == ["0"]


def test_train_and_eval_reach_everything_and_return_the_module(block):
    assert block.eval() is block
    assert [m.training for m in block.modules()] == [False] * 4
    assert block.train() is block
    assert all(m.training for m in block.modules())
    block.inner.train(False)
    assert [m.training for m in block.modules()] == [True, False, False, False]


def test_apply_visits_children_first(block):
    visited = []
    assert block.apply(lambda module: visited.append(type(module).__name__)) is block
    assert visited == ["Linear", "Linear", "Sequential", "Linear", "Block"]


def test_zero_grad_and_freezing(block):
    for parameter in block.parameters():
        parameter.grad = np.ones(parameter.shape)
    block.zero_grad()
    assert all(parameter.grad is None for parameter in block.parameters())
    assert block.requires_grad_(False) is block
    assert not any(parameter.requires_grad for parameter in block.parameters())
    assert not block(ones(2, 3)).requires_grad
    assert block.requires_grad_()(ones(2, 3)).requires_grad


def test_a_call_hands_everything_to_forward(block):
    x = ones(2, 3)
    np.testing.assert_allclose(block(x, factor=2.0).numpy(), 2 * block(x).numpy())
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        Module()(x)


def test_repr_is_nested():
    class Net(Module):
        def __init__(self):
            super().__init__()
            self.body = Sequential(Linear(2, 3), ReLU(), Sequential(Dropout(0.1)))
            self.head = Linear(3, 1, bias=False)

        def extra_repr(self):
            return "for example"

    assert repr(Net()).split("\n") == [
        "Net(",
        "  for example",
        "  (body): Sequential(",
        "    (0): Linear(in_features=2, out_features=3, bias=True)",
        "    (1): ReLU()",
        "    (2): Sequential(",
        "      (0): Dropout(p=0.1)",
        "    )",
        "  )",
        "  (head): Linear(in_features=3, out_features=1, bias=False)",
        ")",
    ]
    assert repr(Module()) == "Module()"


@pytest.mark.parametrize("value", [Linear(1, 1), Parameter([1.0])])
def test_a_forgotten_init_is_named_when_a_part_is_assigned(value):
    class Forgetful(Module):
        def __init__(self):
            self.part = value

    with pytest.raises(AttributeError, match=r"Forgetful.*super\(\).__init__\(\)"):
        Forgetful()


def test_a_forgotten_init_is_named_when_training_is_asked_for():
    class Forgetful(Module):
        def __init__(self):
            self.p = 0.5

        def forward(self, x):
            return x * self.p if self.training else x

    with pytest.raises(AttributeError, match=r"'training'.*Forgetful.__init__.*super\(\).__init__\(\)"):
        Forgetful()(ones(1))


def test_a_missing_attribute_is_named_as_usual(block):
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'innner'$"):
        block.innner  # noqa: B018
    assert not hasattr(block, "bias")


def test_a_parameter_cannot_be_replaced_by_a_tensor():
    layer = Linear(2, 2)
    with pytest.raises(TypeError, match="weight is a Parameter.*Tensor"):
        layer.weight = layer.weight * 2
    layer.weight, layer.bias = Parameter(np.eye(2)), None
    assert names(layer.named_parameters()) == ["weight"]
    del layer.weight
    assert names(layer.named_parameters()) == []


def test_a_list_of_modules_is_not_found():
    module = Module()
    module.blocks = [Linear(2, 2)]
    assert list(module.parameters()) == []


def test_copies_are_independent_and_keep_ties(block):
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert repr(twin) == repr(block)
        assert twin.outer is twin.inner[2]
        x = ones(2, 3)
        before = block(x).tolist()
        assert twin(x).tolist() == before
        twin.scale.data[...] = 0
        assert block(x).tolist() == before


def test_a_module_dies_without_the_garbage_collector():
    gc.disable()
    try:
        net = Sequential(Linear(2, 2), Dropout(), Sequential(Linear(2, 2)))
        net(ones(1, 2))
        memory = weakref.ref(net[0].weight)
        del net
        assert memory() is None
    finally:
        gc.enable()


# Saving and loading


def test_a_state_is_a_copy_both_ways(block):
    state = block.state_dict()
    assert all(type(array) is np.ndarray for array in state.values())
    before = block.scale.tolist()
    state["scale"][0] = 100
    assert block.scale.tolist() == before
    block.load_state_dict(state)
    assert block.scale.tolist()[0] == 100
    state["scale"][0] = 5
    assert block.scale.tolist()[0] == 100


def test_loading_writes_into_the_memory_that_is_there():
    layer = Linear(3, 2)
    parameters, memory = list(layer.parameters()), layer.weight.data
    layer.load_state_dict({"weight": np.arange(6.0).reshape(2, 3), "bias": Tensor([1.0, 2.0])})
    assert all(new is old for new, old in zip(layer.parameters(), parameters, strict=True))
    assert layer.weight.data is memory
    assert memory.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert memory.dtype == np.float32
    assert layer.weight.requires_grad


def test_states_survive_a_file(block):
    file = io.BytesIO()
    np.savez(file, **block.state_dict())
    file.seek(0)
    manual_seed(99)
    other = Block(Linear(3, 3, bias=False))
    with np.load(file) as saved:
        assert other.load_state_dict(saved) == ([], [])
    x = ones(4, 3)
    assert other(x).tolist() == block(x).tolist()


def test_parameters_can_swap_their_numbers_through_their_own_memory():
    layer = Sequential(Linear(2, 2, bias=False), Linear(2, 2, bias=False))
    one, two = layer[0].weight.data, layer[1].weight.data
    expected = one.tolist(), two.tolist()
    layer.load_state_dict({"0.weight": two, "1.weight": one})
    assert (two.tolist(), one.tolist()) == expected


BAD_STATE = {
    "0.weight": np.ones((2, 3)),
    "0.bias": np.ones(1),
    "2.weight": np.ones((1, 2)),
    "3.bias": np.ones(1),
    "x": 1,
}


def test_everything_that_does_not_fit_is_said_at_once_and_nothing_is_loaded():
    net = Sequential(Linear(3, 2), ReLU(), Linear(2, 1))
    before = net.state_dict()
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(BAD_STATE)
    message = str(caught.value)
    for fragment in ("Sequential", "missing: 2.bias", "unexpected: 3.bias, x", "0.bias", "(2,)", "(1,)"):
        assert fragment in message
    assert "0.weight" not in message
    for name, array in net.state_dict().items():
        assert array.tolist() == before[name].tolist()


def test_a_loose_load_takes_what_fits_but_no_other_shapes():
    net = Sequential(Linear(3, 2), ReLU(), Linear(2, 1))
    with pytest.raises(RuntimeError, match=r"0.bias: shape \(2,\) in the model, \(1,\) in the state"):
        net.load_state_dict(BAD_STATE, strict=False)
    state = {name: array for name, array in BAD_STATE.items() if name != "0.bias"}
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["0.bias", "2.bias"]
    assert result.unexpected_keys == ["3.bias", "x"]
    assert (net[0].weight.numpy() == 1).all()


def test_what_is_no_number_loads_nothing():
    layer = Linear(2, 1)
    before = layer.weight.tolist()
    with pytest.raises(ValueError, match="float"):
        layer.load_state_dict({"weight": np.ones((1, 2)), "bias": np.array(["one"])})
    assert layer.weight.tolist() == before


# Linear


def test_linear_by_hand():
    layer = Linear(2, 3)
    layer.load_state_dict({"weight": [[1, 2], [0, -1], [3, 0]], "bias": [10, 20, 30]})
    assert layer(Tensor([1.0, 1.0])).tolist() == [13, 19, 33]
    assert layer(Tensor([[0, 2]])).tolist() == [[14, 18, 30]]


@pytest.mark.parametrize("seed", range(20))
def test_linear_is_a_product_with_the_transposed_weight(seed):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(0, 5, generator.integers(1, 5)))
    layer = Linear(int(shape[-1]), int(generator.integers(1, 6)), bias=bool(seed % 2), dtype=np.float64)
    x = generator.normal(size=shape[::-1]).T
    w = layer.weight.numpy()
    expected = np.tensordot(x, w, axes=(-1, 1)) + (layer.bias.numpy() if seed % 2 else 0)
    got = layer(Tensor(x, dtype=np.float64))
    assert got.dtype == np.float64
    assert got.shape == (*shape[:-1], w.shape[0])
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_linear_stays_in_float32():
    layer = Linear(4, 2)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
    assert layer(Tensor(np.arange(4))).dtype == np.float32


@pytest.mark.parametrize("fan_in", [1, 16, 625])
def test_linear_starts_within_its_bound(fan_in):
    manual_seed(fan_in)
    bound, layer = fan_in**-0.5, Linear(fan_in, 1600)
    for parameter in layer.parameters():
        numbers = parameter.numpy()
        assert 0.98 * bound < np.abs(numbers).max() <= bound * (1 + 1e-6)
        assert abs(numbers.var() * 3 / bound**2 - 1) < 0.15
    assert len(np.unique(layer.bias.numpy())) > 1500


@pytest.mark.parametrize("shape", [(2,), (3, 4, 2), (0, 2), ()])
def test_linear_names_itself_and_both_shapes(shape):
    with pytest.raises(ValueError) as caught:
        Linear(3, 5)(zeros(shape))
    for fragment in ("Linear(in_features=3, out_features=5, bias=True)", str(shape), "(5, 3)"):
        assert fragment in str(caught.value)


# Sequential


def test_sequential_is_a_sequence():
    first, last = Linear(2, 3), Linear(3, 1)
    net = Sequential(first, ReLU(), abs, last)
    assert len(net) == 4
    assert net[0] is first
    assert net[-1] is last
    assert net[2] is abs
    assert list(net)[3] is last
    assert list(net[1:].state_dict()) == ["3.weight", "3.bias"]
    assert net[1:][-1] is last
    assert net[:0](ones(3)).tolist() == [1, 1, 1]
    with pytest.raises(IndexError):
        net[4]
    net[-1] = Linear(3, 5)
    assert net(ones(2)).shape == (5,)
    assert names(net.named_parameters())[-2:] == ["3.weight", "3.bias"]


def test_sequential_composes():
    net = Sequential(lambda x: x + 1, Sequential(lambda x: x * x), abs, np.negative)
    assert Sequential(*list(net)[:3])(Tensor([-3.0, 1.0])).tolist() == [4, 4]
    assert Sequential()(5) == 5
    assert repr(net[:3]) == "Sequential(\n  (0): <lambda>\n  (1): Sequential(\n    (0): <lambda>\n  )\n  (2): abs\n)"


@pytest.mark.parametrize(
    ("layers", "fragments"),
    [
        (([abs, abs],), ["layer 0", "list"]),
        ((abs, ReLU), ["layer 1", "ReLU"]),
        ((abs, abs, 3), ["layer 2", "int"]),
        ((Linear, abs), ["layer 0", "Linear"]),
    ],
)
def test_sequential_says_which_layer_is_none(layers, fragments):
    with pytest.raises(TypeError) as caught:
        Sequential(*layers)
    for fragment in fragments:
        assert fragment in str(caught.value)


# Initialisers


@pytest.mark.parametrize(
    ("shape", "fans"), [((10, 20), (20, 10)), ((8, 3, 5, 5), (75, 200)), ((8, 3, 4), (12, 32)), ((0, 7), (7, 0))]
)
def test_fans(shape, fans):
    assert tuple(fan_in_and_fan_out(zeros(shape))) == fans


@pytest.mark.parametrize("fill_", [xavier_uniform_, xavier_normal_, kaiming_normal_, kaiming_uniform_])
def test_fans_need_two_axes(fill_):
    for function in (fan_in_and_fan_out, fill_):
        with pytest.raises(ValueError, match=r"\(6,\)"):
            function(zeros(6))


SPREADS = [  # filled, standard deviation for a weight of shape (40, 6, 5, 5): fan_in 150, fan_out 1000
    (xavier_uniform_, {}, math.sqrt(2 / 1150), "uniform"),
    (xavier_normal_, {"gain": 2.0}, 2 * math.sqrt(2 / 1150), "normal"),
    (kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(2 / 150), "uniform"),
    (kaiming_normal_, {"mode": "fan_out"}, math.sqrt(2 / 1000), "normal"),
    (kaiming_normal_, {"a": 2.0}, math.sqrt(0.4 / 150), "normal"),
    (kaiming_uniform_, {"a": math.sqrt(5)}, 1 / math.sqrt(450), "uniform"),
    (uniform_, {"a": -3, "b": 3}, math.sqrt(3), "uniform"),
    (normal_, {"std": 0.02}, 0.02, "normal"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("fill_", "settings", "std", "kind"), SPREADS)
def test_initialisers_spread_as_they_should(fill_, settings, std, kind, dtype):
    manual_seed(11)
    tensor = zeros(40, 6, 5, 5, dtype=dtype)
    memory = tensor.data
    assert fill_(tensor, **settings) is tensor
    assert tensor.data is memory
    assert memory.dtype == dtype
    assert abs(memory.mean()) < 0.08 * std
    assert abs(memory.std() / std - 1) < 0.06
    largest = np.abs(memory).max() / std
    assert 1.72 < largest < 1.7321 if kind == "uniform" else largest > 3
    again = zeros(40, 6, 5, 5, dtype=dtype)
    manual_seed(11)
    assert np.array_equal(fill_(again, **settings).numpy(), memory)
    own = [fill_(zeros(2, 2), **settings, generator=np.random.default_rng(3)).tolist() for _ in range(2)]
    assert own[0] == own[1]


def test_kaiming_keeps_a_signal_through_relu_and_xavier_through_nothing():
    for fill_, activation in [(kaiming_normal_, ReLU()), (xavier_uniform_, lambda x: x)]:
        manual_seed(4)
        x = normal_(zeros(400, 300))
        for _ in range(8):
            layer = Linear(300, 300, bias=False)
            fill_(layer.weight)
            x = activation(layer(x)).detach()
        assert 0.2 < (x * x).mean().item() < 5, "wrong by a factor 2 a layer, it would be 256 or 1/256"


def test_empty_weights_and_constants():
    for fill_ in (kaiming_uniform_, kaiming_normal_, uniform_, ones_):
        assert fill_(zeros(3, 0)).shape == (3, 0)
    assert zeros_(ones(2)).tolist() == [0, 0]
    assert ones_(zeros(2)).tolist() == [1, 1]
    assert constant_(zeros(2), 0.5).tolist() == [0.5, 0.5]
    layer = Linear(2, 2)
    zeros_(layer.bias)
    assert layer.bias.tolist() == [0, 0]
    assert layer.bias.requires_grad


def test_gains():
    assert calculate_gain("linear") == calculate_gain("conv2d") == calculate_gain("sigmoid") == 1
    assert calculate_gain("tanh") == 5 / 3
    assert calculate_gain("relu") == pytest.approx(2**0.5)
    assert calculate_gain("leaky_relu", 0) == calculate_gain("relu")
    assert calculate_gain("leaky_relu") == pytest.approx(1.41414284)
    with pytest.raises(ValueError, match="'swish'"):
        calculate_gain("swish")
    with pytest.raises(ValueError, match="fan_mean"):
        kaiming_uniform_(zeros(2, 2), mode="fan_mean")


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_decides_for_each_entry(p):
    manual_seed(21)
    x = np.linspace(1, 3, 60000, dtype=np.float32).reshape(20, 30, 100)
    out = Dropout(p)(Tensor(x)).numpy()
    kept = out != 0
    np.testing.assert_allclose(out[kept], x[kept] / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) < 0.012
    assert abs(out.mean() / x.mean() - 1) < 0.05
    for axis in range(3):
        share = kept.mean(axis=axis)
        assert share.std() < 3 * math.sqrt(p * (1 - p) / x.shape[axis])
        assert share.std() > 0.5 * math.sqrt(p * (1 - p) / x.shape[axis])


def test_dropout_edges():
    x = Tensor([1.0, -2.0, 1e30])
    for p in (0, 0.0, False):
        assert Dropout(p)(x).tolist() == x.tolist()
    assert (Dropout(1)(x).numpy() == 0).all()
    assert (Dropout(1.0)(x).numpy() == 0).all()
    assert Dropout(0.5).eval()(x).tolist() == x.tolist()
    assert Dropout()(zeros(0, 3)).shape == (0, 3)
    assert Dropout()(Tensor(2.0)).item() in (0, 4)
    for p in (-0.01, 1.01, math.nan, math.inf):
        with pytest.raises(ValueError, match=str(p)):
            Dropout(p)


def test_dropout_follows_the_seed_and_records_pure_operations():
    x = Tensor(np.ones(64), requires_grad=True)
    layer = Dropout(0.5)
    manual_seed(1)
    first, second = layer(x), layer(x)
    manual_seed(1)
    assert layer(x).tolist() == first.tolist()
    assert first.tolist() != second.tolist()
    assert first.requires_grad
    replayed = first.node.op.forward(*first.node.arrays)
    assert replayed.tolist() == first.tolist()
