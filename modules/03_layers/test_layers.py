"""The public behaviour of tinytorch.core.layers: worked numbers, invariants, errors."""

import copy
import gc
import io
import math
import pickle
import weakref

import numpy as np
import pytest

from tinytorch.core.activations import ReLU, relu, tanh
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
    measured_std,
    normal_,
    ones_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
    zeros_,
)
from tinytorch.core.tensor import Tensor, manual_seed, ones, randn, zeros
from tinytorch.notebook import expect, expect_error


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
    expect(isinstance(parameter, Tensor), True, "whether a Parameter is a Tensor")
    expect(parameter.requires_grad, True, "requires_grad of a Parameter")
    expect(parameter.dtype, np.float32, "the dtype of a Parameter made from numbers")
    expect(hasattr(parameter, "__dict__"), False, "whether a Parameter has a dictionary of attributes")
    expect(repr(parameter).split("\n")[0], "Parameter containing:", "the first line of its printout")
    expect(Parameter(np.ones(2), requires_grad=False).requires_grad, False, "a frozen Parameter's requires_grad")
    expect(isinstance(parameter * 1, Parameter), False, "whether the result of a product is a Parameter")


def test_a_parameter_shares_a_tensors_memory_and_copies_an_array():
    tensor, array = Tensor([1.0, 2.0]), np.ones(2, np.float32)
    shared, copied = Parameter(tensor), Parameter(array)
    tensor.data[0], array[0] = 7, 7
    expect(shared, [7, 2], "a Parameter from a Tensor, after the Tensor has changed")
    expect(copied, [1, 1], "a Parameter from an array, after the array has changed")
    expect(Parameter(Tensor([1.0], dtype=np.float64)).dtype, np.float64, "the dtype of a Parameter from float64")


def test_a_parameter_made_from_a_result_starts_a_history_of_its_own():
    result = Tensor([2.0], requires_grad=True) * 3
    expect(Parameter(result).is_leaf, True, "is_leaf of a Parameter made from a result")
    expect(result.is_leaf, False, "is_leaf of the result")


def test_integers_are_no_parameters():
    expect_error(RuntimeError, "int64", Parameter, [1, 2])


# Modules


def test_names_and_order(block):
    expected = ["scale", "inner.0.weight", "inner.0.bias", "inner.2.weight"]
    expect(names(block.named_parameters()), expected, "the names of a block with a shared layer")
    prefixed = [f"net.{name}" for name in expected]
    expect(names(block.named_parameters(prefix="net")), prefixed, "the same with the prefix 'net'")
    expect(list(block.state_dict()), [*expected, "outer.weight"], "the names of its state, both of the shared layer")
    expect(len(list(block.parameters())), 4, "the number of its parameters, tied ones once")
    expect(sum(p.numel() for p in block.parameters()), 3 + 9 + 3 + 9, "the number of their entries")


def test_the_modules_of_a_module(block):
    expect(names(block.named_children()), ["inner", "outer"], "the children of the block")
    expect(names(block.named_modules()), ["", "inner", "inner.0", "inner.2"], "all modules of the block, each once")
    last = names(block.named_modules(prefix="net", remove_duplicate=False))[-1]
    expect(last, "net.outer", "the last module, if every name counts")
    expect(next(iter(block.modules())) is block, True, "whether the first of modules() is the block itself")
    expect(list(block.children())[1] is block.inner[2], True, "whether the shared layer is one object")
    expect(names(Sequential(block.outer, block.outer).named_children()), ["0"], "a chain with one layer twice")


def test_train_and_eval_reach_everything_and_return_the_module(block):
    expect(block.eval() is block, True, "whether eval() returns the module")
    expect([m.training for m in block.modules()], [False] * 4, "training of all modules after eval()")
    expect(block.train() is block, True, "whether train() returns the module")
    expect([m.training for m in block.modules()], [True] * 4, "training of all modules after train()")
    block.inner.train(False)
    expected = [True, False, False, False]
    expect([m.training for m in block.modules()], expected, "training after block.inner.train(False)")


def test_apply_visits_children_first(block):
    visited = []
    block.apply(lambda module: visited.append(type(module).__name__))
    expect(visited, ["Linear", "Linear", "Sequential", "Linear", "Block"], "the order in which apply visits")


def test_zero_grad_and_freezing(block):
    for parameter in block.parameters():
        parameter.grad = np.ones(parameter.shape)
    block.zero_grad()
    expect([p.grad is None for p in block.parameters()], [True] * 4, "whether zero_grad() left no gradient")
    block.requires_grad_(False)
    expect([p.requires_grad for p in block.parameters()], [False] * 4, "requires_grad after requires_grad_(False)")
    expect(block(ones(2, 3)).requires_grad, False, "whether the output of a frozen block is recorded")
    out = block(Tensor(np.ones((2, 3)), requires_grad=True))
    expect(out.requires_grad, True, "whether it is recorded if the input wants a gradient")
    out = block.requires_grad_()(ones(2, 3))
    expect(out.requires_grad, True, "whether it is recorded when the block is frozen no longer")


def test_a_call_hands_everything_to_forward(block):
    x = ones(2, 3)
    expect(block(x, factor=2.0), 2 * block(x).numpy(), "block(x, factor=2), beside twice block(x)", rtol=1e-6)
    expect_error(NotImplementedError, "Module", Module(), x)


def test_repr_is_nested():
    class Net(Module):
        def __init__(self):
            super().__init__()
            self.body = Sequential(Linear(2, 3), ReLU(), Sequential(Dropout(0.1)))
            self.head = Linear(3, 1, bias=False)

        def extra_repr(self):
            return "for example"

    lines = [
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
    expect(repr(Net()).split("\n"), lines, "the printout of a net with layers in layers")
    expect(repr(Module()), "Module()", "the printout of an empty module")


@pytest.mark.parametrize("kind", ["layer", "parameter"])
def test_a_forgotten_init_is_named_when_a_part_is_assigned(kind):
    class Forgetful(Module):
        def __init__(self):
            self.part = Linear(1, 1) if kind == "layer" else Parameter([1.0])

    expect_error(AttributeError, ["Forgetful", "super().__init__()"], Forgetful)


def test_a_forgotten_init_is_named_when_training_is_asked_for():
    class Forgetful(Module):
        def __init__(self):
            self.p = 0.5

        def forward(self, x):
            return x * self.p if self.training else x

    expect_error(AttributeError, ["'training'", "Forgetful.__init__", "super().__init__()"], Forgetful(), ones(1))


def test_a_missing_attribute_is_named_as_usual(block):
    expect_error(AttributeError, ["'Block'", "'innner'"], getattr, block, "innner")
    expect(hasattr(block, "bias"), False, "whether the block has a bias")


def test_a_parameter_cannot_be_replaced_by_a_tensor():
    layer = Linear(2, 2)
    expect_error(TypeError, ["weight", "Parameter", "Tensor"], setattr, layer, "weight", layer.weight * 2)
    layer.weight, layer.bias = Parameter(np.eye(2)), None
    expect(names(layer.named_parameters()), ["weight"], "the parameters after layer.bias = None")
    del layer.weight
    expect(len(list(layer.parameters())), 0, "the number of parameters after del layer.weight")


def test_a_list_of_modules_is_not_found():
    module = Module()
    module.blocks = [Linear(2, 2)]
    expect(len(list(module.parameters())), 0, "the number of parameters found in a list of layers")


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda block: pickle.loads(pickle.dumps(block))], ids=["deepcopy", "pickle"]
)
def test_copies_are_independent_and_keep_ties(block, copied):
    twin, x = copied(block), ones(2, 3)
    expect(repr(twin), repr(block), "the printout of the copy")
    expect(twin.outer is twin.inner[2], True, "whether the shared layer is shared in the copy")
    before = block(x)
    expect(twin(x), before, "the output of the copy")
    twin.scale.data[...] = 0
    expect(block(x), before, "the output of the original after a change in the copy")


def test_a_module_dies_without_the_garbage_collector():
    gc.disable()
    try:
        net = Sequential(Linear(2, 2), Dropout(), Sequential(Linear(2, 2)))
        net(ones(1, 2))
        memory = weakref.ref(net[0].weight)
        del net
        expect(memory() is None, True, "whether a weight is gone as soon as its model is deleted")
    finally:
        gc.enable()


# Saving and loading


def test_a_state_is_a_copy_both_ways(block):
    state = block.state_dict()
    expect([type(array).__name__ for array in state.values()], ["ndarray"] * 5, "the types in a state")
    state["scale"][0] = 100
    expect(block.scale, [1, 1, 1], "a parameter, after its array in the state has changed")
    block.load_state_dict(state)
    expect(block.scale, [100, 1, 1], "the parameter, after this state was loaded")
    state["scale"][0] = 5
    expect(block.scale, [100, 1, 1], "the parameter, after another change of the state")


def test_loading_writes_into_the_memory_that_is_there():
    layer = Linear(3, 2)
    parameters, memory = list(layer.parameters()), layer.weight.data
    layer.load_state_dict({"weight": np.arange(6.0).reshape(2, 3), "bias": Tensor([1.0, 2.0])})
    same = [new is old for new, old in zip(layer.parameters(), parameters, strict=True)]
    expect(same, [True, True], "whether the parameters are the same objects after loading")
    expect(layer.weight.data is memory, True, "whether the weight has the array that it had before")
    expect(memory, [[0, 1, 2], [3, 4, 5]], "what is in this array", dtype=np.float32)
    expect(layer.weight.requires_grad, True, "requires_grad of the weight after loading")


def test_states_survive_a_file(block):
    file = io.BytesIO()
    np.savez(file, **block.state_dict())
    file.seek(0)
    manual_seed(99)
    other = Block(Linear(3, 3, bias=False))
    with np.load(file) as saved:
        missing, unexpected = other.load_state_dict(saved)
    expect(len(missing) + len(unexpected), 0, "names without a partner in a saved and loaded state")
    x = ones(4, 3)
    expect(other(x), block(x), "the output of a second block with the state of the first")


def test_parameters_can_swap_their_numbers_through_their_own_memory():
    layer = Sequential(Linear(2, 2, bias=False), Linear(2, 2, bias=False))
    one, two = layer[0].weight.data, layer[1].weight.data
    first, second = one.copy(), two.copy()
    layer.load_state_dict({"0.weight": two, "1.weight": one})
    expect(one, second, "the first weight, after both were loaded into each other")
    expect(two, first, "the second weight, after both were loaded into each other")


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
    facts = ["Sequential", "missing: 2.bias", "unexpected: 3.bias, x", "0.bias", (2,), (1,)]
    expect_error(RuntimeError, facts, net.load_state_dict, BAD_STATE)
    for name, array in net.state_dict().items():
        expect(array, before[name], f"{name} after a state that does not fit")


def test_a_loose_load_takes_what_fits_but_no_other_shapes():
    net = Sequential(Linear(3, 2), ReLU(), Linear(2, 1))
    expect_error(RuntimeError, ["0.bias", (2,), (1,)], net.load_state_dict, BAD_STATE, strict=False)
    state = {name: array for name, array in BAD_STATE.items() if name != "0.bias"}
    missing, unexpected = net.load_state_dict(state, strict=False)
    expect(missing, ["0.bias", "2.bias"], "the names that the state lacks")
    expect(unexpected, ["3.bias", "x"], "the names that the model lacks")
    expect(net[0].weight, np.ones((2, 3)), "the weight that fits")


def test_what_is_no_number_loads_nothing():
    layer = Linear(2, 1)
    before = layer.weight.tolist()
    state = {"weight": np.ones((1, 2)), "bias": np.array(["one"])}
    expect_error(ValueError, "float", layer.load_state_dict, state)
    expect(layer.weight, before, "the weight after a state with a text in it")


# Linear


def test_linear_by_hand():
    layer = Linear(2, 3)
    layer.load_state_dict({"weight": [[1, 2], [0, -1], [3, 0]], "bias": [10, 20, 30]})
    expect(layer(Tensor([1.0, 1.0])), [13, 19, 33], "weights [[1, 2], [0, -1], [3, 0]], bias [10, 20, 30], on [1, 1]")
    expect(layer(Tensor([[0, 2]])), [[14, 18, 30]], "the same on the batch [[0, 2]]")


@pytest.mark.parametrize("seed", range(20))
def test_linear_is_a_product_with_the_transposed_weight(seed):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(0, 5, generator.integers(1, 5)).tolist())
    layer = Linear(shape[-1], int(generator.integers(1, 6)), bias=bool(seed % 2), dtype=np.float64)
    x = generator.normal(size=shape[::-1]).T
    w = layer.weight.numpy()
    expected = np.tensordot(x, w, axes=(-1, 1)) + (layer.bias.numpy() if seed % 2 else 0)
    case = f"{layer} on an input of shape {shape}"
    expect(layer(Tensor(x, dtype=np.float64)), expected, case, rtol=1e-12, atol=1e-12, dtype=np.float64)


def test_linear_stays_in_float32():
    layer = Linear(4, 2)
    expect([str(p.dtype) for p in layer.parameters()], ["float32"] * 2, "the dtypes of weight and bias")
    expect(layer(Tensor(np.arange(4))).dtype, np.float32, "the dtype of the output for integers")


@pytest.mark.parametrize("fan_in", [1, 16, 625])
def test_linear_starts_within_its_bound(fan_in):
    manual_seed(fan_in)
    bound, layer = fan_in**-0.5, Linear(fan_in, 1600)
    for name, parameter in layer.named_parameters():
        numbers, case = parameter.numpy(), f"Linear({fan_in}, 1600), {name}"
        largest = np.abs(numbers).max()
        said = f"{case}: the largest of {numbers.size} numbers is just below {bound:.4f}, got {largest:.4f}"
        assert 0.98 * bound < largest <= bound * (1 + 1e-6), said
        expect(numbers.var(), bound**2 / 3, f"{case}: the variance of uniform numbers", rtol=0.15)
    different = len(np.unique(layer.bias.numpy()))
    assert different > 1500, f"Linear({fan_in}, 1600): 1600 numbers drawn for the bias, only {different} differ"


@pytest.mark.parametrize("shape", [(2,), (3, 4, 2), (0, 2), ()], ids=str)
def test_linear_names_itself_and_both_shapes(shape):
    facts = ["Linear(in_features=3, out_features=5, bias=True)", shape, (5, 3)]
    expect_error(ValueError, facts, Linear(3, 5), zeros(shape))


# Sequential


def test_sequential_is_a_sequence():
    first, last = Linear(2, 3), Linear(3, 1)
    net = Sequential(first, ReLU(), abs, last)
    expect(len(net), 4, "the length of a chain of two layers, a ReLU and abs")
    places = [net[0] is first, net[-1] is last, net[2] is abs, list(net)[3] is last]
    expect(places, [True] * 4, "whether indexing and iterating find the layers at their places")
    expect(list(net[1:].state_dict()), ["3.weight", "3.bias"], "the names in a slice")
    expect(net[1:][-1] is last, True, "whether the last of a slice is the last layer")
    expect(net[:0](ones(3)), [1, 1, 1], "an empty slice gives back its input")
    with pytest.raises(IndexError):
        net[4]
    net[-1] = Linear(3, 5)
    expect(net(ones(2)).shape, (5,), "the shape of the output with another last layer")
    expect(names(net.named_parameters())[-2:], ["3.weight", "3.bias"], "the names in the other last layer")


def test_sequential_composes():
    net = Sequential(lambda x: x + 1, Sequential(lambda x: x * x), abs, np.negative)
    got = Sequential(*list(net)[:3])(Tensor([-3.0, 1.0]))
    expect(got, [4, 4], "add one, square, abs, on [-3, 1]")
    expect(Sequential()(5), 5, "a chain without layers, on the number 5")
    lines = ["Sequential(", "  (0): <lambda>", "  (1): Sequential(", "    (0): <lambda>", "  )", "  (2): abs", ")"]
    expect(repr(net[:3]).split("\n"), lines, "the printout of a chain with functions")


@pytest.mark.parametrize(
    ("layers", "facts"),
    [
        (([abs, abs],), [0, "list"]),
        ((abs, ReLU), [1, "ReLU"]),
        ((abs, abs, 3), [2, "int"]),
        ((Linear, abs), [0, "Linear"]),
    ],
    ids=["a list", "a class", "a number", "a class of modules"],
)
def test_sequential_says_which_layer_is_none(layers, facts):
    expect_error(TypeError, facts, Sequential, *layers)


# Numbers to start from


def test_measured_std_keeps_the_mean_square_through_layers():
    for name, activation in [("relu", relu), ("tanh", tanh), ("ReLU()", ReLU()), ("no activation", lambda x: x)]:
        manual_seed(4)
        z = 3 * randn(400, 300)
        for depth in range(1, 6):
            x = activation(z)
            weight = normal_(zeros(300, 300), std=float(measured_std(z, activation, 300)))
            z = x @ weight.T
            got = float(np.square(z.numpy()).mean())
            expect(got, 9, f"{name}, {depth} layers of 300: the mean square, which was 9", rtol=0.35)


def test_measured_std_by_hand():
    sample = Tensor(np.arange(-6.0, 6.0).reshape(2, 3, 2), dtype=np.float64)
    # squares: 91 + 55 in z, 55 behind relu
    expect(measured_std(sample, relu, 8), math.sqrt(146 / 55 / 8), "-6 to 5, relu, 8 inputs", rtol=1e-6)
    expect(measured_std(Tensor(2.0), relu, 4), 0.5, "z of shape (), 4 inputs", rtol=1e-6)


def test_measured_std_refuses_what_lets_nothing_through():
    expect_error(ValueError, (3,), measured_std, Tensor([-1.0, -2.0, 0.0]), relu, 10)
    expect_error(ValueError, (0,), measured_std, zeros(0), relu, 10)
    expect_error(ValueError, (2, 2), measured_std, zeros(2, 2), lambda x: x, 10)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((10, 20), (20, 10)), ((8, 3, 5, 5), (75, 200)), ((8, 3, 4), (12, 32)), ((0, 7), (7, 0))],
    ids=str,
)
def test_fans(shape, fans):
    expect(fan_in_and_fan_out(zeros(shape)), fans, f"fan_in and fan_out of a weight of shape {shape}")


@pytest.mark.parametrize("fill_", [xavier_uniform_, xavier_normal_, kaiming_normal_, kaiming_uniform_])
def test_fans_need_two_axes(fill_):
    for function in (fan_in_and_fan_out, fill_):
        expect_error(ValueError, (6,), function, zeros(6))


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("fill_", "settings", "std", "kind"), SPREADS, ids=[f"{fill_.__name__} {said}" for fill_, said, *_ in SPREADS]
)
def test_initialisers_spread_as_they_should(fill_, settings, std, kind, dtype):
    manual_seed(11)
    tensor, case = zeros(40, 6, 5, 5, dtype=dtype), f"{fill_.__name__} with {settings}"
    memory = tensor.data
    expect(fill_(tensor, **settings) is tensor, True, f"{case}: whether the tensor itself is returned")
    expect(tensor.data is memory, True, f"{case}: whether the tensor has the array that it had before")
    expect(memory.dtype, dtype, f"{case}: the dtype")
    expect(memory.mean(), 0, f"{case}: the mean", atol=0.08 * std)
    expect(memory.std(), std, f"{case}: the standard deviation", rtol=0.06)
    largest = np.abs(memory).max() / std
    fits = 1.72 < largest < 1.7321 if kind == "uniform" else largest > 3
    reach = "just below √3" if kind == "uniform" else "more than 3"
    assert fits, f"{case}: the largest number is {reach} standard deviations from 0, got {largest:.4f}"
    again = zeros(40, 6, 5, 5, dtype=dtype)
    manual_seed(11)
    expect(fill_(again, **settings), memory, f"{case}: the same seed gives the same numbers")
    own = [fill_(zeros(2, 2), **settings, generator=np.random.default_rng(3)).numpy() for _ in range(2)]
    expect(own[0], own[1], f"{case}: two generators that start alike")


def test_kaiming_keeps_a_signal_through_relu_and_xavier_through_nothing():
    for fill_, activation in [(kaiming_normal_, ReLU()), (xavier_uniform_, lambda x: x)]:
        manual_seed(4)
        x = normal_(zeros(400, 300))
        for _ in range(8):
            layer = Linear(300, 300, bias=False)
            fill_(layer.weight)
            x = activation(layer(x)).detach()
        got = (x * x).mean().item()
        # wrong by a factor 2 a layer, it would be 256 or 1/256
        said = f"{fill_.__name__}: mean square behind 8 layers is between 0.2 and 5, as at the start; got {got:.4f}"
        assert 0.2 < got < 5, said


def test_empty_weights_and_constants():
    for fill_ in (kaiming_uniform_, kaiming_normal_, uniform_, ones_):
        expect(fill_(zeros(3, 0)).shape, (3, 0), f"{fill_.__name__} of a weight without entries")
    expect(zeros_(ones(2)), [0, 0], "zeros_")
    expect(ones_(zeros(2)), [1, 1], "ones_")
    expect(constant_(zeros(2), 0.5), [0.5, 0.5], "constant_ with 0.5")
    layer = Linear(2, 2)
    zeros_(layer.bias)
    expect(layer.bias, [0, 0], "zeros_ of a layer's bias")
    expect(layer.bias.requires_grad, True, "requires_grad of this bias")


def test_gains():
    gains = [calculate_gain(name) for name in ("linear", "conv2d", "sigmoid", "tanh", "relu")]
    expect(gains, [1, 1, 1, 5 / 3, math.sqrt(2)], "gains of linear, conv2d, sigmoid, tanh and relu", rtol=1e-12)
    expect(calculate_gain("leaky_relu", 0), math.sqrt(2), "the gain of a leaky ReLU with slope 0", rtol=1e-12)
    expect(calculate_gain("leaky_relu"), 1.41414284, "the gain of a leaky ReLU", rtol=1e-7)
    expect_error(ValueError, "'swish'", calculate_gain, "swish")
    expect_error(ValueError, "fan_mean", kaiming_uniform_, zeros(2, 2), mode="fan_mean")


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_decides_for_each_entry(p):
    manual_seed(21)
    x = np.linspace(1, 3, 60000, dtype=np.float32).reshape(20, 30, 100)
    out = Dropout(p)(Tensor(x)).numpy()
    kept = out != 0
    expect(out[kept], x[kept] / (1 - p), f"p = {p}: what is kept", rtol=1e-6)
    expect(kept.mean(), 1 - p, f"p = {p}: the share of what is kept", atol=0.012)
    expect(out.mean(), x.mean(), f"p = {p}: the mean of all entries", rtol=0.05)
    for axis in range(3):
        spread = kept.mean(axis=axis).std()
        alone = math.sqrt(p * (1 - p) / x.shape[axis])
        said = f"p = {p}: shares along axis {axis} spread by {spread:.4f}; by themselves, entries give {alone:.4f}"
        assert 0.5 * alone < spread < 3 * alone, said


def test_dropout_edges():
    x = Tensor([1.0, -2.0, 1e30])
    for p in (0, 0.0, False):
        expect(Dropout(p)(x), x, f"p = {p} in training")
    for p in (1, 1.0):
        expect(Dropout(p)(x), [0, 0, 0], f"p = {p} in training")
    expect(Dropout(0.5).eval()(x), x, "p = 0.5 in evaluation")
    expect(Dropout()(zeros(0, 3)).shape, (0, 3), "the shape for an input without entries")
    expect(Dropout()(Tensor(2.0)).item() in (0, 4), True, "2, of shape (), with p = 1/2 becomes 0 or 4")


@pytest.mark.parametrize("p", [-0.01, 1.01, math.nan, math.inf])
def test_dropout_refuses_what_is_no_probability(p):
    expect_error(ValueError, str(p), Dropout, p)


def test_dropout_follows_the_seed_and_records_pure_operations():
    x = Tensor(np.ones(64), requires_grad=True)
    layer = Dropout(0.5)
    manual_seed(1)
    first, second = layer(x), layer(x)
    manual_seed(1)
    expect(layer(x), first, "the same seed gives the same mask")
    expect(np.array_equal(first.numpy(), second.numpy()), False, "whether two calls in a row use one mask")
    expect(first.requires_grad, True, "whether the output is recorded")
    replayed = first.node.op.forward(*first.node.arrays)
    expect(replayed, first, "the recorded operation, called again with the same arrays")
