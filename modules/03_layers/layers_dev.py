# %% [markdown]
r"""
# 03 Layers

A network with two layers was four arrays and one line in module 01. One with fifty layers is not four hundred arrays and a hundred
lines: it is made of *modules*, objects that own their parameters and contain other modules.

Three questions are answered once, for all of them:

- Which parameters are there, and what are they called? (Training changes them, a file keeps them.)
- Which numbers do they start from? (Badly chosen ones silence the signal before it has crossed ten layers. You will measure it.)
- Are we training or not? (Dropout behaves differently.)

You write the walk that finds all parameters, the layers `Linear`, `Sequential` and `Dropout`, a function that finds out from a sample
of numbers how large the weights behind an activation have to be, and the initialiser that bears the name of Xavier Glorot. The class
`Module`, its saving and loading, and the other initialisers are provided.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.layers

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from collections import namedtuple

import numpy as np

from tinytorch.core.tensor import Op, Tensor, rand, randn, result_dtype, zeros

# %%
from tinytorch.core.activations import ReLU, relu, sigmoid, tanh
from tinytorch.core.tensor import manual_seed

# %% [markdown]
r"""
## Parameters and modules

A **`Parameter`** is a Tensor that training changes: `isinstance` tells it from all other Tensors, and its `requires_grad` is True. By
that flag an operation knows that its inputs have to be remembered for module 05, beside its result: the result is *recorded*, and its
own `requires_grad` is True as well. Made from a Tensor, a Parameter shares the Tensor's memory; from anything else, it copies.

A **`Module`** has parameters and other modules as ordinary attributes. Python keeps an object's attributes in a dictionary,
`vars(module)`, in the order of assignment, so nothing has to be registered anywhere: `_own(Parameter)` looks the parameters up in it.
The rest follows from that look:

- `model(x)` calls `forward`, the one method that every module writes for itself.
- `train()` and `eval()` set the flag `training` here and in all modules below.
- `state_dict()` copies every parameter into a dictionary under its *path*, `"0.weight"`; `load_state_dict` copies back, **into the
  memory that is there**, so that whoever holds the parameters goes on working. It loads all or nothing.
- `register_buffer(name, tensor)` makes a Tensor part of that state which is not trained, such as a running mean (module 21).

`__setattr__` catches two mistakes that would otherwise train nothing without a word: an `__init__` that forgets
`super().__init__()`, and `layer.weight = layer.weight * 2`, which would leave a computed Tensor where the parameter was. A third one
it lets pass, as PyTorch does: **modules in a Python list are not found**, for the list is an attribute, and the modules are not. A
`Sequential`, further down, takes the place of such a list. (The cell is folded; a click on the bar beside it opens it.)
"""

# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "provided-module", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Parameter(Tensor):
    """A Tensor that training changes.

    data: a Tensor, whose memory it shares, or whatever Tensor takes, copied.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)
        if isinstance(data, Tensor):
            self.data = data.data

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


Loaded = namedtuple("Loaded", ["missing_keys", "unexpected_keys"])
_EARLY = "{}.__init__ has to call super().__init__() first"


class Module:
    """A part of a network: a `forward`, and parameters and further modules as attributes.

    A subclass calls `super().__init__()` before it assigns any of them. Those in a list are not found.
    """

    _buffers = {}  # name: persistent; replaced, never changed

    def __init__(self):
        self.training = True

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *inputs, **settings):
        return self.forward(*inputs, **settings)

    def __setattr__(self, name, value):
        kind = type(self).__name__
        if isinstance(value, (Parameter, Module)) and "training" not in vars(self):
            raise AttributeError(f"{kind}.{name} comes too early: {_EARLY.format(kind)}")
        is_parameter = isinstance(vars(self).get(name), Parameter)
        if is_parameter and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{kind}.{name} is a Parameter, and a {type(value).__name__} in its place "
                f"would not be trained: assign a Parameter, or change {name}.data"
            )
        if name in self._buffers and isinstance(value, (Parameter, Module)):
            self._forget_buffer(name)
        elif name in self._buffers and not (value is None or isinstance(value, Tensor)):
            raise TypeError(f"{kind}.{name} is a buffer: a Tensor or None, not a {type(value).__name__}")
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)
        self._forget_buffer(name)

    def _forget_buffer(self, name):
        if name in self._buffers:
            self._buffers = {other: kept for other, kept in self._buffers.items() if other != name}

    def __getattr__(self, name):
        """Called where there is no such attribute."""
        kind = type(self).__name__
        hint = "" if "training" in vars(self) else f"; {_EARLY.format(kind)}"
        raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    def _own(self, kind):
        """(name, attribute) of the attributes of that kind, in the order of assignment."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, kind)]

    def register_buffer(self, name, tensor, persistent=True):
        """Make `tensor` (or None) an attribute that is part of the module's state, but is not trained.

        persistent: whether `state_dict` has it. Raises TypeError or KeyError for what cannot be one.
        """
        kind = type(self).__name__
        if "training" not in vars(self):
            raise AttributeError(f"{kind}.{name} comes too early: {_EARLY.format(kind)}")
        if not isinstance(name, str):
            raise TypeError(f"{kind}: the name of a buffer is a string, not {name!r}")
        if not name or "." in name:
            raise KeyError(f"{kind}: {name!r} names no buffer; a name is not empty and has no dot")
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"{kind}.{name} exists already, and is no buffer")
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise TypeError(f"{kind}.{name}: a buffer is a Tensor or None, not a {type(tensor).__name__}")
        self._buffers = {**self._buffers, name: bool(persistent)}
        setattr(self, name, tensor)

    # what is in it
    def named_parameters(self, prefix=""):
        """(path, parameter) of every parameter here and below, each once, however many names it has."""
        return walk_parameters(self, prefix)

    def parameters(self):
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer) of every buffer of this module and, with recurse, of all below it."""
        seen = set()
        for path, module in self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name in module._buffers:
                buffer = getattr(module, name)
                if buffer is not None and not (remove_duplicate and id(buffer) in seen):
                    seen.add(id(buffer))
                    yield f"{path}.{name}" if path else name, buffer

    def buffers(self, recurse=True):
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_children(self):
        """(name, module) of the modules that are attributes of this one, each once."""
        found = {}
        for name, child in self._own(Module):
            found.setdefault(id(child), (name, child))
        return iter(found.values())

    def children(self):
        return (child for _, child in self.named_children())

    def named_modules(self, prefix="", remove_duplicate=True):
        """(path, module) of this module and of all below it, each before its children."""
        waiting, seen = [(prefix, self)], set()
        while waiting:
            path, module = waiting.pop()
            if not (remove_duplicate and id(module) in seen):
                seen.add(id(module))
                yield path, module
                start = f"{path}." if path else ""
                waiting += [(start + name, child) for name, child in reversed(module._own(Module))]

    def modules(self):
        return (module for _, module in self.named_modules())

    # what is done to all of it
    def train(self, mode=True):
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        return self.train(False)

    def apply(self, function):
        """Call `function` with every module, children first."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def zero_grad(self):
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad=True):
        """Freeze (False) or unfreeze all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    # saving and loading
    def _state(self):
        """{path: parameter or persistent buffer}, under all names that it has."""
        return {
            f"{path}.{name}" if path else name: tensor
            for path, module in self.named_modules(remove_duplicate=False)
            for name, tensor in module._own_state()
        }

    def _own_state(self):
        buffers = [(name, getattr(self, name)) for name, persistent in self._buffers.items() if persistent]
        return self._own(Parameter) + [(name, buffer) for name, buffer in buffers if buffer is not None]

    def state_dict(self):
        """{path: copy of the array} of every parameter and persistent buffer."""
        return {name: tensor.data.copy() for name, tensor in self._state().items()}

    def load_state_dict(self, state_dict, strict=True):
        """Copy arrays or Tensors by their paths into parameters and buffers, whose memory and dtype stay.

        strict: the names must be the same on both sides. Raises RuntimeError with everything that does not
        fit, and then has loaded nothing. Returns the names without a partner: missing_keys, unexpected_keys.
        """
        own = self._state()
        arrays = {name: np.array(state_dict[name], own[name].dtype) for name in own if name in state_dict}
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = [f"missing: {', '.join(missing)}"] if strict and missing else []
        problems += [f"unexpected: {', '.join(unexpected)}"] if strict and unexpected else []
        for name, array in arrays.items():
            if array.shape != own[name].shape:
                problems.append(f"{name}: shape {own[name].shape} in the model, {array.shape} in the state")
        if problems:
            raise RuntimeError(f"nothing was loaded into {type(self).__name__}:\n  " + "\n  ".join(problems))
        for name, array in arrays.items():
            own[name].data[...] = array
        return Loaded(missing, unexpected)

    # how it is printed
    def extra_repr(self):
        """The settings that stand between the parentheses."""
        return ""

    def _rows(self):
        return self._own(Module)

    def __repr__(self):
        extra, rows = self.extra_repr(), [f"({name}): {_shown(part)}" for name, part in self._rows()]
        if not rows:
            return f"{type(self).__name__}({extra})"
        lines = "\n".join([extra, *rows] if extra else rows).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"


def _shown(part):
    """A module's own words, or the name of a function."""
    return getattr(part, "__name__", None) or repr(part)

# %% [markdown]
r"""
## Finding all parameters

    net
    ├── first     a Module with   weight = Parameter([1, 2]),  bias = Parameter([3])
    ├── scale     Parameter([4])
    ├── table     Tensor([5])
    └── second    a Module with   inner, a Module with   weight = Parameter([6])

PyTorch names these parameters by their paths and in this order: `scale`, `first.weight`, `first.bias`, `second.inner.weight`. That
is, a module's **own parameters come first**, in the order of assignment; then the children, each with all that is below it. `table`
is not among them: it is a Tensor, but no Parameter.

A parameter may have two names. Language models often use one matrix both to read words and to write them; it is *tied*. Training must
not change it twice in one step, so it is reported **once**, under the name that comes first; the same holds for a module under two
names. Tied means *the same object*, not equal numbers (`==` on Tensors compares entries); `id(parameter)` tells objects apart.

**Write `walk_parameters(module, prefix="", seen=None)`**, which yields pairs (path, parameter), none for a module without parameters.
A prefix `"net"` gives `"net.scale"`, an empty one no dot. The function calls itself for the children; `seen` is the set that all these
calls share, of the `id`s met so far. `None` starts a new set, so that a second walk finds the same as the first.
"""

# %% nbgrader={"grade": false, "grade_id": "walk_parameters", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In which order do the lines come: can one pass over the attributes give it, or does it take two?", "First pass: yield every Parameter whose id is not in the set, and put the id there. Second pass: for every Module, yield from the function itself.", "The call for a child gets three things: the child, the path of the child as its prefix, and the very set that this call uses. A set that is a default value of the signature would live on into the next walk."], "minutes": 25, "objective": "parameters"}
#| export
def walk_parameters(module, prefix="", seen=None):
    """Yield (path, parameter) for the module's own parameters, then for those of each child, all once.

    prefix: the path of `module` itself. seen: the ids of the parameters that were met already.
    """
    ### BEGIN SOLUTION
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-walk_parameters", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_walk_parameters():
    net, first, inner = Module(), Module(), Module()
    first.weight, first.bias, inner.weight = Parameter([1.0, 2.0]), Parameter([3.0]), Parameter([6.0])
    net.first, net.scale, net.table, net.second = first, Parameter([4.0]), Tensor([5.0]), Module()
    net.second.inner = inner

    pairs = list(walk_parameters(net))
    expected = ["scale", "first.weight", "first.bias", "second.inner.weight"]
    expect([name for name, _ in pairs], expected, "the names of the tree above")
    expect([parameter.tolist() for _, parameter in pairs], [[4], [1, 2], [3], [6]], "its parameters")
    names = [name for name, _ in walk_parameters(net, "net")]
    expected = ["net.scale", "net.first.weight", "net.first.bias", "net.second.inner.weight"]
    expect(names, expected, "the names with the prefix 'net'")
    expect(len(list(walk_parameters(Module()))), 0, "how many a module without parameters has")
    print("🔬 walk_parameters: passed")

test_unit_walk_parameters()

# %% nbgrader={"grade": true, "grade_id": "test-walk_parameters-tied", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_walk_parameters_tied():
    net, shared = Module(), Parameter([1.0, 1.0])
    net.encoder, net.decoder = Module(), Module()
    net.encoder.weight = net.decoder.weight = shared
    net.decoder.bias = Parameter([1.0, 1.0])

    for attempt in ("first", "second"):
        names = [name for name, _ in walk_parameters(net)]
        case = f"{attempt} walk; decoder.weight is encoder.weight, decoder.bias only looks like it"
        expect(names, ["encoder.weight", "decoder.bias"], case)
    net.reader = net.encoder
    names = [name for name, _ in walk_parameters(net)]
    expect(names, ["encoder.weight", "decoder.bias"], "the same, with the encoder under a second name")
    print("🔬 walk_parameters, tied: passed")

test_unit_walk_parameters_tied()

# %% nbgrader={"grade": true, "grade_id": "test-walk_parameters-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a deeper tree, one module under two names, one parameter under two names of the same module.
### BEGIN HIDDEN TESTS
tree, leaf = Module(), Module()
tree.left, tree.right, leaf.a = Module(), Module(), Parameter([1.0])
leaf.b = leaf.a
tree.left.deep = tree.right.deep = leaf
tree.right.own, tree.z, tree.a = Parameter([2.0]), Parameter([3.0]), Parameter([4.0])
names = [name for name, _ in walk_parameters(tree)]
expect(names, ["z", "a", "left.deep.a", "right.own"], "a module under two names, a parameter under two names")
names = [name for name, _ in walk_parameters(tree.right, "x.y")]
expect(names, ["x.y.own", "x.y.deep.a"], "a walk that starts lower down")
### END HIDDEN TESTS

# %% [markdown]
r"""
Saving needs nothing more. A state has *all* names, the tied ones too, so that a model in which they are not tied can load it.
"""

# %%
word_model = Module()
word_model.read, word_model.write = Module(), Module()
word_model.read.weight = Parameter(np.ones((5, 2)))
word_model.write.weight = word_model.read.weight
print(word_model)
print("parameters:", [name for name, _ in word_model.named_parameters()])
print("state:     ", list(word_model.state_dict()))
try:
    word_model.load_state_dict({"read.weight": np.zeros((2, 5)), "write.bias": np.zeros(5)})
except RuntimeError as error:
    print(error)

# %% [markdown]
r"""
## Linear

Every output of a linear layer is a weighted sum of all inputs, plus a bias:

    W = [[1,   0, -1],      b = [0, 10]        x = [1, 2, 3]   →   [1·1 + 0·2 - 1·3,  ½·1 + ½·2 + ½·3 + 10]  =  [-2, 13]
         [½,   ½,  ½]]

PyTorch keeps one **row of weights for each output**: W has shape (out_features, in_features), and a batch of inputs, one in each
row, becomes x·Wᵀ + b. Only the last axis of x has to fit; what stands before it, as in (batch, words, features), is carried along.

PyTorch draws weights and bias *uniformly* from −1/√in_features to 1/√in_features: every number in between is as likely as any other.
What fills Tensors is provided: `uniform_(tensor, a, b)` writes into the tensor, as the underscore says, and returns it.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-filling", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill `tensor` in place with random numbers, uniform from `a` to `b`, and return it."""
    dtype = np.float64 if tensor.dtype == np.float64 else np.float32
    tensor.data[...] = a + (b - a) * rand(*tensor.shape, dtype=dtype, generator=generator).numpy()
    return tensor


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill `tensor` in place with normal random numbers, and return it."""
    dtype = np.float64 if tensor.dtype == np.float64 else np.float32
    tensor.data[...] = mean + std * randn(*tensor.shape, dtype=dtype, generator=generator).numpy()
    return tensor


def constant_(tensor, val):
    """Fill `tensor` in place with one number, and return it."""
    tensor.data[...] = val
    return tensor


def zeros_(tensor):
    return constant_(tensor, 0)


def ones_(tensor):
    return constant_(tensor, 1)

# %% [markdown]
r"""
**Write `Linear`**, in two places:

1. In `__init__`: the attributes `weight` and `bias`, two Parameters of the given `dtype`. First the weight is drawn, then the bias, both
   as above; without inputs, where 1/√0 would fail, both are zeros. If the layer is to have no bias, `bias` is `None`.
2. In `forward`: the output, from operations on Tensors, so that it is recorded whichever of the three wants a gradient: the weight, the
   bias or the input. (`x.data` and `x.numpy()` are arrays, and what is computed from arrays is not recorded.) An empty batch, of shape
   (0, in_features), gives (0, out_features). If the last axis of `x` does not fit, or there is none, raise a `ValueError` that holds the
   layer as it prints itself, the shape of `x` and the shape of the weight.
"""

# %% nbgrader={"grade": false, "grade_id": "Linear", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A Parameter made from a Tensor shares its memory. What has to be filled, and in which order, before it becomes a Parameter?", "The weight has one row for each output. Which operation turns it, so that a product with the rows of a batch fits?", "Check the last axis first, and think of a Tensor without axes, whose shape has no last entry. Then product and bias, from Tensors alone."], "minutes": 30, "objective": "layers"}
#| export
class Linear(Module):
    """x Wᵀ + b: input (…, in_features), output (…, out_features), weight (out_features, in_features).

    Weight and bias start uniform over ±1/√in_features. Raises ValueError for an input that does not fit.
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        ### BEGIN SOLUTION
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias
        ### END SOLUTION

    def extra_repr(self):
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"

# %% nbgrader={"grade": true, "grade_id": "test-Linear", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear():
    layer = Linear(3, 2)
    expect([layer.weight.shape, layer.bias.shape], [(2, 3), (2,)], "Linear(3, 2), shapes of weight and bias")
    layer.weight = Parameter([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    layer.bias = Parameter([0.0, 10.0])
    expect(layer(Tensor([1.0, 2.0, 3.0])), [-2, 13], "the example above", dtype=np.float32)
    expect(layer(Tensor([[1, 2, 3], [0, 0, 4]])), [[-2, 13], [-4, 12]], "a batch of two", dtype=np.float32)
    expect(layer(Tensor(np.ones((4, 5, 3)))).shape, (4, 5, 2), "the shape for an input of shape (4, 5, 3)")
    expect(layer(Tensor(np.zeros((0, 3)))).shape, (0, 2), "the shape for an empty batch, (0, 3)")

    square = Linear(2, 2, bias=False)
    expect(square.bias, None, "the bias of a layer with bias=False")
    square.weight = Parameter([[1.0, 2.0], [3.0, 4.0]])
    expect(square(Tensor([1.0, 0.0])), [1, 3], "[[1, 2], [3, 4]] without a bias, on [1, 0]: its first column")
    print("🔬 Linear: passed")

test_unit_linear()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-recorded", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_recorded():
    for wanting in ("weight", "bias", "input"):
        layer = Linear(2, 3)
        layer.weight.requires_grad_(wanting == "weight")
        layer.bias.requires_grad_(wanting == "bias")
        out = layer(Tensor([[1.0, 2.0]], requires_grad=wanting == "input"))
        expect(out.requires_grad, True, f"only the {wanting} wants a gradient; is the output recorded?")
    print("🔬 Linear, recorded: passed")

test_unit_linear_recorded()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-start", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_start():
    manual_seed(0)
    layer = Linear(400, 300)
    expect([name for name, _ in layer.named_parameters()], ["weight", "bias"], "the names of both Parameters")
    for name, parameter in layer.named_parameters():
        numbers, tolerance = parameter.numpy(), 0.15 / math.sqrt(parameter.numel())
        largest, case = np.abs(numbers).max(), f"{name}, {numbers.size} numbers uniform from -0.05 to 0.05"
        assert 0.045 < largest < 0.0500001, f"{case}: the largest is just below 0.05, got {largest:.4f}"
        expect(numbers.mean(), 0, f"{case}: their mean", atol=tolerance)
        size = math.sqrt(np.square(numbers).mean())
        expect(size, 0.05 / math.sqrt(3), f"{case}: the root of their mean square", atol=tolerance)
        expect(numbers.dtype, np.float32, f"{name}: its dtype")
    manual_seed(0)
    expect(Linear(400, 300).weight, layer.weight, "the weight of a second layer from the same seed")
    double = Linear(2, 3, dtype=np.float64)
    expect([str(double.weight.dtype), str(double.bias.dtype)], ["float64"] * 2, "dtype=np.float64")
    expect([Linear(0, 3).weight.shape, Linear(0, 3).bias.tolist()], [(3, 0), [0, 0, 0]], "Linear(0, 3)")
    print("🔬 Linear, where it starts: passed")

test_unit_linear_start()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_errors():
    layer, name = Linear(3, 2), "Linear(in_features=3, out_features=2, bias=True)"
    expect_error(ValueError, [name, (4, 5), (2, 3)], layer, Tensor(np.ones((4, 5))))
    expect_error(ValueError, [name, (3, 2), (2, 3)], layer, Tensor(np.ones((3, 2))))
    expect_error(ValueError, [name, (), (2, 3)], layer, Tensor(1.0))
    print("🔬 Linear, errors: passed")

test_unit_linear_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: float64, many leading axes, empty batches, a layer without inputs, one without a bias.
### BEGIN HIDDEN TESTS
wide = Linear(4, 3, dtype=np.float64)
inputs = np.arange(48.0).reshape(2, 1, 6, 4) - 20
expected = np.einsum("abci,oi->abco", inputs, wide.weight.numpy()) + wide.bias.numpy()
case = "Linear(4, 3) in float64, on an input of shape (2, 1, 6, 4)"
expect(wide(Tensor(inputs, dtype=np.float64)), expected, case, rtol=1e-12, atol=1e-12, dtype=np.float64)
expect(wide(Tensor(np.zeros((2, 0, 4)))).shape, (2, 0, 3), "the shape for an input of shape (2, 0, 4)")
expect(Linear(0, 3)(Tensor(np.zeros((2, 0)))), np.zeros((2, 3)), "a layer without inputs, on two examples")
names = [name for name, _ in Linear(2, 2, bias=False).named_parameters()]
expect(names, ["weight"], "the parameters of a layer without a bias")
plain = Linear(2, 2, bias=False)(Tensor([1.0, 2.0]))
expect(plain.requires_grad, True, "a layer without a bias: requires_grad of the output")
### END HIDDEN TESTS

# %% [markdown]
r"""
Predict before you run: which of the three inputs below are accepted, and with which output shape?
"""

# %%
layer = Linear(3, 2)
print(layer, *layer.named_parameters(), sep="\n")
for shape in [(3,), (8, 7, 3), (3, 8)]:
    try:
        print(shape, "→", layer(Tensor(np.ones(shape))).shape)
    except ValueError as error:
        print(shape, "→", error)

# %% [markdown]
r"""
Your layer records three operations, a transposition, a product and a sum, and its product takes a batch such as (8, 7, 3) in eight
pieces. `linear` is the same formula as *one* operation, for one product of 56 rows. `Linear` goes on using what you wrote; `linear` is
for what later modules build from bare weights (PyTorch has both, too: `nn.Linear` and `nn.functional.linear`).
"""

# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "provided-linear", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@Op
@np.errstate(all="ignore")
def linear(x, weight, bias=None):
    """x Wᵀ + b as one operation: x (…, in), weight (out, in), bias (out,) or None; the result is (…, out).

    Raises ValueError naming the shapes where they do not fit.
    """
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: an input of shape {x.shape} does not fit a weight of shape {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: a bias of {bias.shape} does not fit a weight of shape {weight.shape}")
    *leading, features = x.shape
    out = np.matmul(x.reshape(math.prod(leading), features), weight.T, dtype=result_dtype(x, weight))
    if bias is not None:
        out = np.add(out, bias, out=out, dtype=out.dtype, casting="same_kind")
    return out.reshape(*leading, len(weight))

# %%
x = Tensor(np.ones((8, 7, 3)))
print("the same:", np.allclose(linear(x, layer.weight, layer.bias).numpy(), layer(x).numpy()))

# %% [markdown]
r"""
## Sequential

Most networks are a chain: the output of each layer is the input of the next.

    Sequential(add one, times three)  on [1, 2]     →    [2, 3]    →    [6, 9]

A module finds its parts among its attributes, and PyTorch names the parts of a chain "0", "1", …, so the layers of a `Sequential` are
attributes with those names. `setattr(self, "0", layer)` makes one; `self.0 = layer` would not be Python. An activation has no
parameters and need not be a Module: a layer may be **anything that can be called**, and it takes up a number like every other. Length,
indexing, slices and iteration are provided, and look the layers up under their numbers: iterating over `self` gives them in order.

**Write `Sequential`**, in two places:

1. In `__init__`: give every layer its name. For a class, as in `Sequential(a, ReLU)`, which can be called, but not as a layer, and for
   everything that cannot be called, as in `Sequential([a, b])`, raise a `TypeError`. Its message holds the layer's number, counted
   from 0 as in its name, and the name of the class that was passed (`ReLU`) or of the type that was found (`list`).
2. In `forward`: the chain. Without layers, the output is the input.
"""

# %% nbgrader={"grade": false, "grade_id": "Sequential", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What tells a class from an instance: is there a type of which every class is an instance?", "Python counts along with a loop if you ask it to; the name of an attribute is the number as a text.", "In the chain one variable is enough: it holds the input first, and after every layer what that layer gave."], "minutes": 20, "objective": "layers"}
#| export
class Sequential(Module):
    """Modules or functions, each applied to what the one before gave; can be indexed and iterated.

    The layers are attributes "0", "1", …; a slice keeps these names. Raises TypeError for what is no layer.
    """

    def __init__(self, *layers):
        super().__init__()
        ### BEGIN SOLUTION
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called")
            setattr(self, str(i), layer)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        for layer in self:
            x = layer(x)
        return x
        ### END SOLUTION

    def _rows(self):
        """(name, layer), functions included."""
        return [(name, layer) for name, layer in vars(self).items() if name.isdecimal()]

    def __len__(self):
        return len(self._rows())

    def __iter__(self):
        return iter([layer for _, layer in self._rows()])

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._rows()[index][1]
        part = Sequential()
        vars(part).update(self._rows()[index])
        return part

    def __setitem__(self, index, layer):
        setattr(self, self._rows()[index][0], layer)

# %% nbgrader={"grade": true, "grade_id": "test-Sequential", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sequential():
    chain = Sequential(lambda x: x + 1, lambda x: 3 * x)
    expect(chain(Tensor([1.0, 2.0])), [6, 9], "add one, then times three, on [1, 2]")
    expect(Sequential()(Tensor([1.0, 2.0])), [1, 2], "without layers, the output for [1, 2]")

    first, last = Module(), Module()
    first.weight, last.weight, last.bias = Parameter([1.0]), Parameter([2.0]), Parameter([3.0])
    net = Sequential(Sequential(first), abs, last)
    expect(len(net), 3, "the length of a chain of three, the function abs among them")
    names = ["0.0.weight", "2.weight", "2.bias"]
    expect(list(net.state_dict()), names, "the names in a chain with a chain in it")
    net.eval()
    expect([first.training, last.training], [False, False], "training of two layers after eval()")
    print("🔬 Sequential: passed")

test_unit_sequential()

# %% nbgrader={"grade": true, "grade_id": "test-Sequential-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_sequential_errors():
    expect_error(TypeError, [0, "list"], Sequential, [abs, abs])
    expect_error(TypeError, [1, "ReLU"], Sequential, abs, ReLU)
    expect_error(TypeError, [2, "NoneType"], Sequential, abs, abs, None)
    print("🔬 Sequential, errors: passed")

test_unit_sequential_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Sequential-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more than ten layers, the same layer twice, slices.
### BEGIN HIDDEN TESTS
steps = Sequential(*[lambda x, i=i: 2 * x + i for i in range(12)])
expect(steps(Tensor([1.0])), [8179], "1 through twelve layers, 2 x + 0 to 2 x + 11")
expect(steps[3:5](Tensor([1.0])), [14], "the fourth and the fifth of them, as a slice")
expect(steps[-1](Tensor([1.0])), [13], "the last of them alone")
unit = Module()
unit.weight = Parameter([1.0])
twice = Sequential(unit, unit)
expect(list(twice.state_dict()), ["0.weight", "1.weight"], "the state of a chain with the same layer twice")
expect(len(list(twice.parameters())), 1, "the number of its parameters")
expect_error(TypeError, [1, "dict"], Sequential, unit, {"fc": unit})
### END HIDDEN TESTS

# %%
net = Sequential(Linear(784, 128), ReLU(), Sequential(Linear(128, 10), abs))
print(net)
print("names of the state:", list(net.state_dict()))
print("the last part alone:", net[2][0], "| a slice has", len(net[:2]), "layers")

# %% [markdown]
r"""
## Numbers to start from

An output of a linear layer is a sum of `fan_in` products, one for each input. Say that the weights are drawn independently around 0.
Then the products of different inputs cancel on average, and only squares add up:

    mean square of the outputs  =  fan_in · variance of a weight · mean square of the inputs

With 256 inputs of mean square 1 and weights of variance 1, the outputs have mean square 256; behind the next layer 65,536; behind
twenty layers 256²⁰. A typical output, the root of the mean square, is 16 times larger with every layer, and 16³² is where float32 ends.
Weights of variance 1/fan_in, that is of *standard deviation* 1/√fan_in, keep the signal as it is.

Between two layers stands an activation, which takes something away: ReLU replaces half of the numbers by 0, and with them half of the
mean square. Twenty layers of it leave 2⁻²⁰, a millionth. The weights behind it have to bring that back. How large must they be? You
need no table for it, only a sample of the numbers `z` that arrive at the activation:

    z = [−2, 0, 1, 3]    →    relu    →    10 inputs like these, weights of standard deviation 0.374    →    mean square as in z

**Write `measured_std(z, activation, fan_in)`**: the standard deviation, as a number, that weights behind the activation need if a
layer of `fan_in` inputs is to give outputs of the mean square that `z` has. `z` is a Tensor of any shape, `activation` a function or a
module. If nothing comes out of the activation but zeros, or if `z` has no entries, no weights can do it: raise a `ValueError` that
holds the shape of `z`.
"""

# %% nbgrader={"grade": false, "grade_id": "measured_std", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In the formula above, which of the four quantities do you know from z, which from what the activation gives, and which is left?", "The inputs of the layer are what the activation gave. Their mean square is not their variance: nothing is subtracted before squaring.", "A quotient of two mean squares over the same number of entries is a quotient of two sums; sums of nothing are 0, and their quotient need not be taken."], "minutes": 25, "objective": "start"}
#| export
def measured_std(z, activation, fan_in):
    """The standard deviation of weights that give outputs of `z`'s mean square from inputs activation(z).

    fan_in: how many inputs each output sums. Raises ValueError where the activation gives nothing but zeros.
    """
    ### BEGIN SOLUTION
    before, behind = (z * z).sum().item(), (activation(z) ** 2).sum().item()
    if behind == 0:
        raise ValueError(f"nothing is left of z, of shape {z.shape}, behind its activation")
    return math.sqrt(before / (behind * fan_in))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-measured_std", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_measured_std():
    z = Tensor([-2.0, 0.0, 1.0, 3.0])
    expect(measured_std(z, relu, 10), 0.3741657, "the example above: relu, 10 inputs", rtol=1e-5)
    expect(measured_std(z, relu, 40), 0.1870829, "the same with 40 inputs, four times as many", rtol=1e-5)
    got = measured_std(Tensor(2.0), lambda x: x, 25)
    expect(got, 0.2, "one number of shape (), no activation, 25 inputs: 1/√25", rtol=1e-5)
    table = Tensor([[3.0, 4.0], [-5.0, 0.0]])
    expect(measured_std(table, ReLU(), 1), math.sqrt(2), "half of the squares lost, 1 input: √2", rtol=1e-5)
    expect(measured_std(table, lambda x: x * 0 + 5, 2), 0.5, "an activation that always gives 5", rtol=1e-5)
    expect(table, [[3, 4], [-5, 0]], "z stays as it is")
    expect_error(ValueError, (2,), measured_std, Tensor([-1.0, -2.0]), relu, 10)
    expect_error(ValueError, (0, 3), measured_std, zeros(0, 3), relu, 10)
    print("🔬 measured_std: passed")

test_unit_measured_std()

# %% nbgrader={"grade": true, "grade_id": "test-measured_std-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other samples and activations; a layer with these weights has outputs of the mean square of z.
### BEGIN HIDDEN TESTS
cube = np.linspace(-2, 3, 24).reshape(2, 3, 4)
half_line = np.where(cube > 0, cube, cube / 2)
wanted = math.sqrt(np.square(cube).mean() / np.square(half_line).mean() / 7)
got = measured_std(Tensor(cube, dtype=np.float64), lambda x: relu(x) - relu(-x) / 2, 7)
expect(got, wanted, "24 numbers from -2 to 3, the negative ones halved, 7 inputs", rtol=1e-9)
normals = np.random.default_rng(35)
sample = 3 * normals.standard_normal((2000, 50))
weights = normals.standard_normal((50, 80)) * float(measured_std(Tensor(sample), tanh, 50))
outputs = np.tanh(sample) @ weights
ratio = np.square(outputs).mean() / np.square(sample).mean()
expect(ratio, 1, "tanh, 50 inputs: mean square of 160,000 outputs beside that of z", atol=0.1)
expect_error(ValueError, (1, 1), measured_std, Tensor([[3.0]]), lambda x: x * 0.0, 5)
### END HIDDEN TESTS

# %% [markdown]
r"""
What are your standard deviations for normal numbers and one input? Beside them stand the *gains* of PyTorch's table, factors for
weights of standard deviation 1/√fan_in. Two of the four agree. **Predict** which, then run.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-gain", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
GAINS |= {f"conv{kind}{axes}d": 1.0 for kind in ("", "_transpose") for axes in (1, 2, 3)}


def calculate_gain(nonlinearity, param=None):
    """The factor by which weights around this activation should be larger, as in PyTorch.

    param: the slope of "leaky_relu" for negative numbers (0.01). Raises ValueError for a name that has no
    gain.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}; there are: leaky_relu, {', '.join(GAINS)}")
    return GAINS[nonlinearity]

# %%
manual_seed(4)
z = randn(1000, 1000)
for name, activation in [("linear", lambda x: x), ("relu", relu), ("tanh", tanh), ("sigmoid", sigmoid)]:
    measured = float(measured_std(z, activation, 1))
    print(f"{name:8} measured {measured:.3f}   in PyTorch {calculate_gain(name):.3f}")

# %% [markdown]
r"""
For tanh PyTorch rounds up to 5/3. A sigmoid's gain it leaves at 1: the outputs are all near ½, so that most of their mean square is the
same for every input and tells nothing about it. For ReLU the √2 is exact (He et al. 2015, whose first author is Kaiming He).

## Xavier

In training, a second signal runs the other way, from the outputs of a layer to its inputs (module 05). It is a sum over the outputs,
of which there are `fan_out`: for its sake the variance would have to be 1/fan_out. The two are counted in general for a weight of shape
(out, in) and perhaps further axes, over which a convolution's kernel extends (module 09). Every output then looks at all kernel
positions of all inputs:

    weight (128, 784)         fan_in = 784                fan_out = 128
    weight (16, 3, 5, 5)      fan_in = 3 · 25 = 75        fan_out = 16 · 25 = 400
"""

# %% nbgrader={"grade": false, "grade_id": "provided-fans", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def fan_in_and_fan_out(tensor):
    """How many inputs an output of a layer sums, and how many outputs an input goes into.

    tensor: a weight of shape (out, in, *kernel). Raises ValueError where it has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return inputs * positions, outputs * positions

# %% [markdown]
r"""
The variance cannot be 1/fan_in and 1/fan_out at the same time. Glorot and Bengio (2010) take 1 over the mean of the two, and draw
uniform numbers from −b to b. Such numbers have the variance b²/3: what is b? The gain multiplies all weights, so b as well.

    weight (128, 784)      gain 1:  b = 0.0811        gain 3:  b = 0.2433

**Write `xavier_uniform_(tensor, gain=1.0, generator=None)`**: fill the tensor in place, as `uniform_` does, and return it. Pass
`generator` on to `uniform_`, so that the same generator gives the same numbers. The dtype of the tensor stays.
"""

# %% nbgrader={"grade": false, "grade_id": "xavier_uniform_", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write the variance in two ways: once from the two fans, once from b. What follows for b?", "Try your formula on the weight of shape (128, 784): the mean of the fans is 456. The gain stands outside of the root."], "minutes": 15, "objective": "start"}
#| export
def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill a weight in place with uniform numbers whose variance is gain² over the mean of its two fans.

    Returns the tensor. generator: a NumPy generator instead of the global one (Glorot & Bengio 2010).
    """
    ### BEGIN SOLUTION
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-xavier_uniform_", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_xavier_uniform():
    for gain, bound in [(1.0, 0.0811107), (3.0, 0.2433321)]:
        manual_seed(0)
        tensor = zeros(128, 784)
        memory, case = tensor.detach().numpy(), f"shape (128, 784), gain {gain:g}"
        xavier_uniform_(tensor, gain)
        largest = np.abs(memory).max()
        said = f"{case}: the largest of 100,352 numbers has to be just below b = {bound}, got {largest:.5f}"
        assert 0.999 * bound < largest < 1.00001 * bound, said
        size = math.sqrt(np.square(memory).mean())
        expect(size, bound / math.sqrt(3), f"{case}: uniform numbers have the size b/√3", rtol=0.01)
        expect(memory.mean(), 0, f"{case}: their mean", atol=0.01 * bound)
    small = zeros(2, 3)
    memory = small.detach()
    expect(xavier_uniform_(small), memory, "what is returned, beside the memory that the tensor had")
    one, two = (xavier_uniform_(zeros(2, 3), generator=np.random.default_rng(1)).numpy() for _ in range(2))
    expect(one, two, "two generators that start alike")
    double = xavier_uniform_(zeros(2, 3, dtype=np.float64))
    expect(double.dtype, np.float64, "the dtype of a tensor in float64")
    print("🔬 xavier_uniform_: passed")

test_unit_xavier_uniform()

# %% nbgrader={"grade": true, "grade_id": "test-xavier_uniform_-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a convolution's weight, float64, seeds.
### BEGIN HIDDEN TESTS
kernel, again = (zeros(32, 16, 5, 5, dtype=np.float64) for _ in range(2))
for tensor in (kernel, again):
    manual_seed(5)
    xavier_uniform_(tensor, 0.5)
largest = np.abs(kernel.numpy()).max()
assert 0.0352 < largest < 0.0353554, f"(32, 16, 5, 5), gain 0.5: up to b = 0.03536, got {largest:.5f}"
expect(again, kernel, "the same seed gives the same numbers", dtype=np.float64)
### END HIDDEN TESTS

# %% [markdown]
r"""
PyTorch's other initialisers are a few lines each. Those named after Kaiming take the gain of an activation over the root of *one* fan,
which `mode` chooses: `"fan_in"` keeps the size of the signal on its way forwards, `"fan_out"` on its way back. Their default is the
*leaky ReLU*, which multiplies negative numbers by a small slope `a` instead of making them 0; a = 0 is the ReLU itself. Uniform numbers
reach √3 standard deviations to both sides. A weight without entries, for which a fan can be 0, stays as it is. (The cell is folded.)
"""

# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "provided-initialisers", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill a weight in place with normal numbers whose variance is gain² over the mean of its two fans."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fan_in_and_fan_out(tensor))), generator)


def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """The standard deviation gain / √fan for a weight (He et al. 2015).

    a: the slope of a leaky ReLU. mode: "fan_in" or "fan_out". Raises ValueError for another mode.
    """
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill a weight in place with normal numbers of the standard deviation `kaiming_std`."""
    if not tensor.numel():
        return tensor
    return normal_(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), generator)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill a weight in place with uniform numbers of the standard deviation `kaiming_std`."""
    if not tensor.numel():
        return tensor
    bound = math.sqrt(3) * kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)

# %% [markdown]
r"""
What did `Linear` do, then? Its ±1/√fan_in has the variance 1 / (3 · fan_in), a third of what keeps a signal alive. In PyTorch's source
it stands as `kaiming_uniform_` with a = √5: √3 · √(2/6) / √fan_in. Below, inputs of mean square 1 pass one layer and its ReLU.
**Predict** the four numbers of the second column, then run.
"""

# %%
manual_seed(2)
x = randn(1000, 256)
starts = {
    "as Linear starts": lambda weight: weight,
    "Xavier": xavier_uniform_,
    "Kaiming": kaiming_normal_,
    "yours": lambda weight: normal_(weight, std=measured_std(x, relu, 256)),
}
for name, fill_ in starts.items():
    one = Linear(256, 256, bias=False)
    fill_(one.weight)
    out = one(x)
    sizes = [(signal**2).mean().item() for signal in (out, relu(out))]
    print(f"{name:16}  mean square behind the layer {sizes[0]:.3f}, behind its ReLU {sizes[1]:.3f}")

# %% [markdown]
r"""
## Dropout

A network that leans on a few of its activations learns its training data by heart. Dropout (Srivastava et al. 2014) switches each
activation off with probability p, anew at every step of training, so that none can be relied on. What is left is divided by 1 − p,
which keeps the expected value and lets evaluation use the network as it is:

    x = [6, 6, 6, 6],  p = 1/4        training:    e.g.  [8, 0, 8, 8]    6 / (3/4) = 8,  and on average 3/4 · 8 = 6
                                      evaluation:        [6, 6, 6, 6]

Operations have to be pure: called again with the same arrays they must give the same result, or what follows from a record of them
would be wrong. So the randomness stays outside. The layer draws a *mask*, an array of factors 0 and 1/(1 − p), one for every entry of
x, and multiplies by it; the only operation recorded is a product.

**Write `Dropout`**, in two places:

1. In `__init__`: keep `p`, from 0 to 1, both included. Raise a `ValueError` that holds `p` if it is anything else; nan is no
   probability either, and every comparison with it is False.
2. In `forward`: as above, for `self.training`; otherwise, the input. Random numbers come from `rand`, one for every entry of x; each is
   below p with probability p. With p = 0 nothing changes, and with p = 1 all entries are 0 and there is nothing to divide by. Any
   shape is welcome, also `()` and shapes without entries. The dtype of `x` stays, float16 and float64 too: a mask of another dtype
   would change it. `x` itself is left as it was.
"""

# %% nbgrader={"grade": false, "grade_id": "Dropout", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which entries of a random array are kept: those below p, or the others? How many are that on average?", "A comparison gives an array of True and False; divided by a number, it gives the factors. In which dtype are they, and which dtype has x?", "One condition that is True exactly for probabilities refuses nan as well, if you raise wherever it is not True."], "minutes": 30, "objective": "dropout"}
#| export
class Dropout(Module):
    """In training, set each entry to 0 with probability `p` and divide the others by 1 - p; else do nothing.

    Raises ValueError where `p` is not between 0 and 1 (Srivastava et al. 2014).
    """

    def __init__(self, p=0.5):
        super().__init__()
        ### BEGIN SOLUTION
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0.0
        mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)
        ### END SOLUTION

    def extra_repr(self):
        return f"p={self.p}"

# %% nbgrader={"grade": true, "grade_id": "test-Dropout", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_dropout():
    manual_seed(0)
    x, dropout = Tensor(np.full((200, 500), 6.0)), Dropout(0.25)
    got = dropout(x).numpy()
    expect(np.unique(got), [0, 8], "6 with p = 1/4: the values that occur", atol=1e-5)
    for axis, lines in [(1, "row"), (0, "column")]:
        shares = (got == 0).mean(axis=axis)
        low, high = shares.min(), shares.max()
        said = f"about a quarter of every {lines} is 0, each entry by itself; got {low:.2f} to {high:.2f}"
        assert low > 0.01 and high < 0.49, said
    expect(got.mean(), 6, "the mean of all 100,000 entries", atol=0.1)
    expect(x, np.full((200, 500), 6.0), "the input is left alone")

    again = dropout(x).numpy()
    changed = ((got == 0) != (again == 0)).mean()
    expect(changed, 0.375, "the share of entries that the next call decides otherwise", atol=0.07)
    manual_seed(0)
    expect(dropout(x), got, "the same seed gives the same mask")
    expect(dropout(Tensor([1.0], requires_grad=True)).requires_grad, True, "the product is recorded")
    print("🔬 Dropout: passed")

test_unit_dropout()

# %% nbgrader={"grade": true, "grade_id": "test-Dropout-edges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_dropout_edges():
    x = Tensor([[1.0, -2.0], [3.0, 0.5]])
    for p in (0, 0.3, 1):
        expect(Dropout(p).eval()(x), x, f"evaluation with p = {p}")
    expect(Dropout(0)(x), x, "p = 0 in training")
    expect(Dropout(1)(x), np.zeros((2, 2)), "p = 1 in training", dtype=np.float32)
    for dtype in (np.float16, np.float32, np.float64):
        got = Dropout(0.5)(Tensor([6.0, 6.0], dtype=dtype))
        expect(got.dtype, dtype, f"the dtype for an input in {np.dtype(dtype)}")
    expect(Dropout(0.5)(Tensor(2.0)).item() in (0, 4), True, "2, of shape (), with p = 1/2 becomes 0 or 4")
    expect(Dropout(0.5)(Tensor(np.zeros((0, 4)))), np.zeros((0, 4)), "no entries")
    expect_error(ValueError, -0.1, Dropout, -0.1)
    expect_error(ValueError, 1.5, Dropout, 1.5)
    expect_error(ValueError, "nan", Dropout, float("nan"))
    print("🔬 Dropout, edges: passed")

test_unit_dropout_edges()

# %% nbgrader={"grade": true, "grade_id": "test-Dropout-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other probabilities, float64, three axes, training switched off and on again.
### BEGIN HIDDEN TESTS
manual_seed(7)
data = np.linspace(1, 2, 120000).reshape(2, 300, 200)
for p in (0.1, 0.5, 0.9):
    layer = Dropout(p)
    result = layer(Tensor(data, dtype=np.float64)).numpy()
    kept = result != 0
    expect(result.dtype, np.float64, f"p = {p}: the dtype for an input in float64")
    expect(kept.mean(), 1 - p, f"p = {p}: the share of entries that are kept", atol=0.01)
    expect(result[kept], data[kept] / (1 - p), f"p = {p}: what is kept is divided by 1 - p", rtol=1e-5)
    expect(layer.eval()(Tensor([3.0] * 99)), [3.0] * 99, f"p = {p} in evaluation")
    zeroed = (layer.train()(Tensor([3.0] * 999)).numpy() == 0).any()
    expect(zeroed, True, f"p = {p}, back in training: some of 999 entries are 0")
### END HIDDEN TESTS

# %%
manual_seed(3)
dropout, row = Dropout(0.25), Tensor([6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0])
print(dropout, "in training:  ", dropout(row).tolist(), dropout(row).tolist())
print(dropout, "in evaluation:", dropout.eval()(row).tolist())

# %% [markdown]
r"""
## Put together: built, loaded, asked

The network below is built, counted, given weights from a file, and asked for an answer. PyTorch 2.13, given the same weights, answers
with the numbers that stand in the test. The file is a real one in form: `np.savez` writes a state, and what `np.load` gives back can
be loaded as it is.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    net = Sequential(Linear(3, 4), ReLU(), Dropout(0.5), Linear(4, 2))
    count = sum(parameter.numel() for parameter in net.parameters())
    expect(count, 26, "parameters: 3·4 + 4 and 4·2 + 2")
    state = {
        "0.weight": np.cos(np.arange(12)).reshape(4, 3),
        "0.bias": np.array([0.1, -0.2, 0.3, 0.0]),
        "3.weight": np.sin(np.arange(8)).reshape(2, 4),
        "3.bias": np.array([1.0, -1.0]),
    }
    missing, unexpected = net.load_state_dict(state)
    expect(len(missing) + len(unexpected), 0, "names without a partner")
    x, answer = Tensor(np.linspace(-1, 1, 6).reshape(2, 3)), [[2.146530, -1.150444], [1.726415, -1.380659]]
    expect(net.eval()(x), answer, "the answer of PyTorch, in float32", atol=1e-6, dtype=np.float32)

    manual_seed(0)
    spread = np.array([net.train()(x).numpy() for _ in range(50)]).std(axis=0)
    expect((spread > 0.05).all(), True, "in training, Dropout makes the answers differ from call to call")
    wrong = {"0.weight": np.ones((3, 4)), "0.bias": np.zeros(4), "3.weight": np.zeros((2, 4)), "extra": 1.0}
    expect_error(RuntimeError, ["3.bias", "extra", (4, 3), (3, 4)], net.load_state_dict, wrong)
    expect(net.eval()(x), answer, "the answer after a state that did not fit", atol=1e-6)
    print("🧪 module 03, built, loaded, asked: passed")

test_module()

# %%
import io

file = io.BytesIO()
net, twin = (Sequential(Linear(3, 4), ReLU(), Linear(4, 2)) for _ in range(2))
np.savez(file, **net.state_dict())
file.seek(0)
x = randn(5, 3)
print("equal outputs before:", net(x).tolist() == twin(x).tolist())
print(twin.load_state_dict(np.load(file)))
print("equal outputs after: ", net(x).tolist() == twin(x).tolist())

# %% [markdown]
r"""
## Measure: a signal on its way through twenty layers

256 inputs of mean square 1 enter twenty layers of 256, each followed by an activation. Five ways to start: weights of standard
deviation 0.01, of 0.2, Xavier's, Kaiming's, and yours, measured at every layer on the numbers that arrive there. Beside each input goes
another one that differs from it by a thousandth.

**Predict** for ReLU, from the formula in "Numbers to start from": by which factor does the signal change at each layer, for each of the
first four? And tanh never gives more than 1: does that make the weights that are too large harmless?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt


def analyze_starts():
    """Root mean square of a signal behind each of 20 layers of 256, for five ways to start."""

    def size(x):
        return float(np.sqrt(np.square(x.numpy(), dtype=np.float64).mean()))

    starts = {  # (fill, line): fill(weight, z, activation), where z are the outputs of the layer before
        "std 0.01": (lambda weight, *_: normal_(weight, std=0.01), "v:"),
        "std 0.2": (lambda weight, *_: normal_(weight, std=0.2), "^--"),
        "Xavier": (lambda weight, *_: xavier_normal_(weight), "s-."),
        "Kaiming": (lambda weight, *_: kaiming_normal_(weight, nonlinearity="relu"), "o-"),
        "measured": (lambda weight, z, function: normal_(weight, std=measured_std(z, function, 256)), "x--"),
    }
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
    for axes, activation in zip(panels, (relu, tanh), strict=True):
        print(f"📊 {activation.__name__}, behind 20 layers:")
        for name, (fill_, line) in starts.items():
            manual_seed(0)
            x = z = randn(512, 256)
            near, sizes = x + 0.001 * randn(512, 256), [size(x)]
            for depth in range(20):
                layer = Linear(256, 256, bias=False)
                fill_(layer.weight, z, activation if depth else lambda x: x)
                z = layer(x).detach()
                x, near = activation(z), activation(layer(near)).detach()
                sizes.append(size(x))
            axes.plot(range(21), sizes, line, markevery=4, markersize=5, label=name)
            factor, apart = (sizes[-1] / sizes[1]) ** (1 / 19), size(near - x) / sizes[-1]
            print(f"   {name:8} size {sizes[-1]:.1e}, factor {factor:.2f} a layer; pairs apart {apart:.2g}")
        axes.set(yscale="log", xlabel="layers passed", xticks=range(0, 21, 5), title=activation.__name__)
    panels[0].set(ylabel="root mean square of the activations")
    panels[1].set(ylim=(0.05, 1.5), title="tanh (cut off below 0.05)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    plt.show()


analyze_starts()

# %% [markdown]
r"""
Each layer multiplies, so on the logarithmic axis a constant factor is a straight line. Under ReLU the formula gives √(256 · 0.01² / 2) =
0.11 for the smallest weights and 2.3 for the largest; Xavier loses a factor √2 at each layer, Kaiming keeps 1, and so do the measured
weights. Compare with the factors that your cell printed.

With tanh the largest weights seem to do best, until you look at the pairs, which differed by 0.001 at the start. A small difference
is stretched by large weights at every layer, while tanh holds back only what is large. Where similar inputs do not give similar outputs,
nothing that is learned from one holds for the other. The last number of each line is the size of the difference as a share of the
signal's: near 1 the two signals have nothing to do with each other any more.

## Measure: parameters and bytes

A network for handwritten digits, 784 → 128 → 10, in float32. **Predict:** how many parameters, how many bytes? Which of its four arrays
has more than nine tenths of them? With a batch of 128 images, which takes more memory, the parameters or the activations, the images
included?
"""

# %% tags=["measure"]
def analyze_parameters():
    """Entries and bytes of the parameters of a network for digits, and of what flows through it."""
    net, x = Sequential(Linear(784, 128), ReLU(), Linear(128, 10)), zeros(128, 784)
    total = sum(parameter.nbytes for parameter in net.parameters())
    for name, parameter in net.named_parameters():
        count, size = parameter.numel(), parameter.nbytes
        print(f"{name:9} {parameter.shape!s:11} {count:8,} entries {size:9,} bytes  {size / total:6.1%}")
    flowing = [x]
    for layer in net:
        flowing.append(layer(flowing[-1]))
    activations = sum(tensor.nbytes for tensor in flowing)
    print(f"📊 parameters: {sum(p.numel() for p in net.parameters()):,} entries, {total:,} bytes")
    print(f"   a batch of 128: {activations:,} bytes of images and activations, {x.nbytes:,} of them images,")
    print(f"   {activations / total:.2f} times the parameters")


analyze_parameters()

# %% [markdown]
r"""
Nearly all of it is one matrix, because every input of a linear layer is joined to every output. That is what convolutions will change
in module 09. The activations grow with the batch, the parameters do not: 128 images are nearly as large as the network that looks at
them, and with what it makes of them, larger.

## Measure: three layers, two of them in a list

A classmate writes a network whose inner layers stand in a Python list. It is built twice; the state of the first is loaded into the
second, and both are asked for the same answers. No error occurs. **Predict:** how many parameters does `parameters()` find in it?
"""

# %% tags=["measure"]
class Classmate(Module):
    def __init__(self):
        super().__init__()
        self.blocks = [Linear(64, 64), Linear(64, 64)]
        self.head = Linear(64, 10)

    def forward(self, x):
        for block in self.blocks:
            x = relu(block(x))
        return self.head(x)


def analyze_list():
    """Parameters found in a module with a list, and what loading its state into a second one does."""
    saved, loaded = Classmate(), Classmate()
    x = randn(100, 64)
    answers = saved(x).numpy()
    loaded.load_state_dict(saved.state_dict())
    difference = np.abs(loaded(x).numpy() - answers).mean() / np.abs(answers).mean()
    found = sum(parameter.numel() for parameter in saved.parameters())
    print(f"📊 parameters that parameters() finds: {found:,}")
    print(f"   after loading, answers differ by {difference:.0%} of their own size on average")


analyze_list()

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-list", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Written question: layers in a list

Use what the last cell printed on your machine, and name each number that you use.

(a) How many parameters are found, and how many do the three layers have together? Explain the difference from the way in which a module
finds its parameters.

(b) By how much do the answers differ after loading? Why is there a difference at all, and why did `load_state_dict` not complain?

(c) Change one line of `__init__` so that everything is found (`forward` stays as it is). Which number has to be printed then in place of
your answer to (a), and what does the second line say?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-list", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders:
(a) 650 are found, the head's 64·10 + 10, out of 2 · (64·64 + 64) + 650 = 8,970: `vars(self)` holds a list, which is neither a Parameter
nor a Module, so the walk does not look into it. 1 point.
(b) The printed share, of the order of the answers themselves: the state lacks the two blocks, so the second network keeps its own random
ones and only the head is the same. The names expected are found by the same walk, so on both sides the same names are missing, and
nothing is left over. 1 point.
(c) `self.blocks = Sequential(Linear(64, 64), Linear(64, 64))`, over which `forward` can iterate; then 8,970 are found, and the answers
differ by 0 %. 1 point; an attribute for each block is right as well if `forward` is changed with it.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The network answers, but nobody has told it how wrong the answer is. Module 04 does: losses that turn scores and targets into one
number, and stay finite where the textbook formulas overflow. With modules 01 to 03 complete, the milestone of 1957 is unlocked:
`tito milestone run 01`. Next: `tito module complete 03_layers`.
"""
