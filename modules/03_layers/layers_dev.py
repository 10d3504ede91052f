# %% [markdown]
r"""
# 03 Layers

A network with two layers was four arrays and one line in module 01. One with fifty layers is not four hundred arrays and a hundred lines: it is made
of *modules*, objects that own their parameters and contain other modules.

What has to be answered once, for all of them:

- Which parameters are there, and what are they called? (An optimizer changes them, a file keeps them.)
- Which numbers do they start from? (Badly chosen ones silence the signal before it has crossed ten layers. You will measure it.)
- Are we training or not? (Dropout behaves differently.)

You write the walk that finds all parameters, the layers `Linear`, `Sequential` and `Dropout`, and the initialisers that bear the names of Xavier
Glorot and Kaiming He. The class `Module` and its saving and loading are given.
"""

# %%
from tinytorch.notebook import check_home, expect_error

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
from tinytorch.core.activations import ReLU, relu, tanh
from tinytorch.core.tensor import manual_seed

# %% [markdown]
r"""
## Parameters and modules

A **`Parameter`** is a Tensor that training changes: `isinstance` tells it from all other Tensors, and it requires a gradient. Made from a Tensor, it
shares the Tensor's memory; from anything else, it copies.

A **`Module`** has parameters and other modules as ordinary attributes. Python keeps an object's attributes in a dictionary, `vars(module)`, in the
order of assignment, so nothing has to be registered anywhere: `_own(Parameter)` looks the parameters up in it. The rest follows from that look:

- `model(x)` calls `forward`, the one method that every module writes for itself.
- `train()` and `eval()` set the flag `training` here and in all modules below.
- `state_dict()` copies every parameter into a dictionary under its *path*, `"0.weight"`; `load_state_dict` copies back, **into the memory that is
  there**, so that an optimizer which holds the parameters goes on working. It loads all or nothing.
- `register_buffer(name, tensor)` makes a Tensor part of that state which is not trained, such as a running mean (module 21).

`__setattr__` catches two mistakes that would otherwise train nothing without a word: an `__init__` that forgets `super().__init__()`, and
`layer.weight = layer.weight * 2`, which would leave a computed Tensor where the parameter was. A third one it lets pass, as PyTorch does: **modules in a
Python list are not found**, for the list is an attribute, and the modules are not. A row of modules belongs into a `Sequential`, further down.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-module", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Parameter(Tensor):
    """A Tensor that training changes. data: a Tensor, whose memory it shares, or whatever Tensor takes, copied."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)
        if isinstance(data, Tensor):
            self.data = data.data

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


Loaded = namedtuple("Loaded", ["missing_keys", "unexpected_keys"])


class Module:
    """A part of a network: a `forward`, and parameters and further modules as attributes.

    A subclass calls `super().__init__()` before it assigns any of them. Those in a list are not found; use Sequential.
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
            raise AttributeError(f"{kind}.{name} comes too early: {kind}.__init__ has to call super().__init__() first")
        if isinstance(vars(self).get(name), Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{kind}.{name} is a Parameter, and a {type(value).__name__} in its place would not be trained: "
                f"assign a Parameter, or change {name}.data"
            )
        if name in self._buffers and isinstance(value, (Parameter, Module)):
            self._forget_buffer(name)
        elif name in self._buffers and not (value is None or isinstance(value, Tensor)):
            raise TypeError(f"{kind}.{name} is a buffer: assign a Tensor or None, not a {type(value).__name__}")
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)
        self._forget_buffer(name)

    def _forget_buffer(self, name):
        if name in self._buffers:
            self._buffers = {other: persistent for other, persistent in self._buffers.items() if other != name}

    def __getattr__(self, name):
        """Called where there is no such attribute."""
        kind = type(self).__name__
        hint = "" if "training" in vars(self) else f"; {kind}.__init__ has to call super().__init__() first"
        raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    def _own(self, kind):
        """(name, attribute) of the attributes of that kind, in the order of assignment."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, kind)]

    def register_buffer(self, name, tensor, persistent=True):
        """Make `tensor` (or None) the attribute `name` that is part of the module's state, but is not trained.

        persistent: whether `state_dict` has it. Raises TypeError or KeyError for what cannot be one.
        """
        kind = type(self).__name__
        if "training" not in vars(self):
            raise AttributeError(f"{kind}.{name} comes too early: {kind}.__init__ has to call super().__init__() first")
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
        """Freeze (False) or thaw all parameters."""
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
        """Copy arrays or Tensors by their paths into parameters and buffers, which keep their memory and dtype.

        strict: the names must be the same on both sides. Raises RuntimeError with everything that does not fit, and
        then has loaded nothing. Returns the names without a partner: missing_keys, unexpected_keys.
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

PyTorch names these parameters by their paths and in this order: `scale`, `first.weight`, `first.bias`, `second.inner.weight`. That is, a module's
**own parameters come first**, in the order of assignment; then the children, each with all that is below it. `table` is not among them: it is a
Tensor, but no Parameter.

A parameter may have two names. Language models often use one matrix both to read words and to write them; it is *tied*. An optimizer that met it
twice would step twice, so it is reported **once**, under the name that comes first. Tied means *the same object*, not equal numbers (`==` on Tensors
compares entries); `id(parameter)` tells objects apart.

**Write `walk_parameters(module, prefix="", seen=None)`**, which yields pairs (path, parameter). A prefix `"net"` gives `"net.scale"`, an empty one no
dot. The function calls itself for the children; `seen` is the set that all these calls share, of the `id`s met so far, and `None` starts a new one.
"""

# %% nbgrader={"grade": false, "grade_id": "walk_parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

    got = [(name, parameter.tolist()) for name, parameter in walk_parameters(net)]
    expected = [("scale", [4.0]), ("first.weight", [1.0, 2.0]), ("first.bias", [3.0]), ("second.inner.weight", [6.0])]
    assert got == expected, f"the tree above: expected {expected}, got {got}"
    got = [name for name, _ in walk_parameters(net, "net")]
    expected = ["net.scale", "net.first.weight", "net.first.bias", "net.second.inner.weight"]
    assert got == expected, f"with the prefix 'net': expected {expected}, got {got}"
    got = list(walk_parameters(Module()))
    assert got == [], f"a module without parameters: expected none, got {got}"
    print("🔬 walk_parameters")

test_unit_walk_parameters()

# %% nbgrader={"grade": true, "grade_id": "test-walk_parameters-tied", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_walk_parameters_tied():
    net, shared = Module(), Parameter([1.0, 1.0])
    net.encoder, net.decoder = Module(), Module()
    net.encoder.weight = net.decoder.weight = shared
    net.decoder.bias = Parameter([1.0, 1.0])

    expected = ["encoder.weight", "decoder.bias"]
    for attempt in ("first", "second"):
        got = [name for name, _ in walk_parameters(net)]
        assert got == expected, f"{attempt} walk, decoder.weight is encoder.weight, decoder.bias only looks like it: expected {expected}, got {got}"
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == 4, f"two entries tied and two of a bias: expected 4, got {count}"
    print("🔬 walk_parameters: tied")

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
assert names == ["z", "a", "left.deep.a", "right.own"], f"tied modules and names: got {names}"
names = [name for name, _ in walk_parameters(tree.right, "x.y")]
assert names == ["x.y.own", "x.y.deep.a"], f"a walk that starts lower down: got {names}"
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
print("parameters:", [name for name, _ in word_model.named_parameters()], "| state:", list(word_model.state_dict()))
try:
    word_model.load_state_dict({"read.weight": np.zeros((2, 5)), "write.bias": np.zeros(5)})
except RuntimeError as error:
    print(error)

# %% [markdown]
r"""
## Linear

Every output of a linear layer is a weighted sum of all inputs, plus a bias. With 3 inputs and 2 outputs:

    W = [[1,   0, -1],      b = [0, 10]        x = [1, 2, 3]   →   [1·1 + 0·2 - 1·3,  ½·1 + ½·2 + ½·3 + 10]  =  [-2, 13]
         [½,   ½,  ½]]

PyTorch keeps one **row of weights for each output**: W has shape (out_features, in_features), and a whole batch of inputs, one in each row, becomes
x·Wᵀ + b. Only the last axis of x has to fit; whatever stands before it, as in (batch, words, features), is carried along.

PyTorch draws weights and bias evenly from −1/√in_features to 1/√in_features (0 for a layer without inputs). Why the root, you will see two sections
below. What fills Tensors with random numbers is given: `uniform_(tensor, a, b)` writes into the tensor, as the underscore says, and returns it.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-filling", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill `tensor` in place with random numbers spread evenly from `a` to `b`, and return it."""
    dtype = np.float64 if tensor.dtype == np.float64 else np.float32
    tensor.data[...] = a + (b - a) * rand(*tensor.shape, dtype=dtype, generator=generator).numpy()
    return tensor


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill `tensor` in place with normal random numbers, and return it."""
    dtype = np.float64 if tensor.dtype == np.float64 else np.float32
    tensor.data[...] = mean + std * randn(*tensor.shape, dtype=dtype, generator=generator).numpy()
    return tensor


def constant_(tensor, val):
    tensor.data[...] = val
    return tensor


def zeros_(tensor):
    return constant_(tensor, 0)


def ones_(tensor):
    return constant_(tensor, 1)

# %% [markdown]
r"""
**Write `Linear`**, in two places:

1. In `__init__`: the attributes `weight` and `bias`, two Parameters of the given `dtype`, in this order; `bias` is `None` if the layer is to have
   none.
2. In `forward`: the output, from operations on Tensors, so that it can be recorded. If the last axis of `x` does not fit, or there is none, raise a
   `ValueError` that holds the layer (as it prints itself), the shape of `x` and the shape of the weight.
"""

# %% nbgrader={"grade": false, "grade_id": "Linear", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Linear(Module):
    """x Wᵀ + b: input (…, in_features), output (…, out_features), weight (out_features, in_features).

    Weight and bias start evenly spread over ±1/√in_features. Raises ValueError for an input that does not fit.
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
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias
        ### END SOLUTION

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% nbgrader={"grade": true, "grade_id": "test-Linear", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear():
    layer = Linear(3, 2)
    shapes = layer.weight.shape, layer.bias.shape
    layer.weight = Parameter([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    layer.bias = Parameter([0.0, 10.0])

    x = Tensor([1.0, 2.0, 3.0])
    got = layer(x)
    assert got.tolist() == [-2.0, 13.0], f"the example above: expected [-2, 13], got {got.tolist()}"
    assert shapes == ((2, 3), (2,)), f"Linear(3, 2) has a weight (2, 3), one row for each output, and a bias (2,); got {shapes}"
    got = layer(Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]]))
    assert got.tolist() == [[-2.0, 13.0], [-4.0, 12.0]], f"a batch of two: expected [[-2, 13], [-4, 12]], got {got.tolist()}"
    assert got.dtype == np.float32 and got.requires_grad, "the output is float32, and recorded because the weight wants a gradient"
    got = layer(Tensor(np.ones((4, 5, 3))))
    assert got.shape == (4, 5, 2), f"(4, 5, 3) becomes (4, 5, 2), got {got.shape}"

    square = Linear(2, 2, bias=False)
    assert square.bias is None, f"bias=False: expected bias None, got {square.bias}"
    square.weight = Parameter([[1.0, 2.0], [3.0, 4.0]])
    got = square(Tensor([1.0, 0.0]))
    assert got.tolist() == [1.0, 3.0], f"[[1, 2], [3, 4]] without a bias, on [1, 0]: expected its first column [1, 3], got {got.tolist()}"
    print("🔬 Linear")

test_unit_linear()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-start", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_start():
    manual_seed(0)
    layer = Linear(400, 300)
    names = list(layer.state_dict())
    assert names == ["weight", "bias"], f"two Parameters, the weight first: got {names}"
    for name, numbers in layer.state_dict().items():
        largest, tolerance = np.abs(numbers).max(), 0.15 / math.sqrt(numbers.size)
        assert 0.045 < largest < 0.0500001, f"{name}: 1/√400 = 0.05 is the largest that may occur, and nearly does; got {largest:.4f}"
        assert abs(numbers.mean()) < tolerance, f"{name}: positive and negative alike, so a mean near 0; got {numbers.mean():.4f}"
        spread = math.sqrt(np.square(numbers).mean())
        assert abs(spread - 0.02887) < tolerance, f"{name}: evenly spread over ±0.05 is 0.05/√3 = 0.0289 from 0 in the mean square, got {spread:.4f}"
        assert numbers.dtype == np.float32, f"{name}: expected float32, got {numbers.dtype}"
    manual_seed(0)
    assert np.array_equal(Linear(400, 300).state_dict()["weight"], layer.state_dict()["weight"]), "the same seed gives the same weights"
    double = Linear(2, 3, dtype=np.float64)
    assert double.weight.dtype == double.bias.dtype == np.float64, f"dtype=np.float64: got {double.weight.dtype}, {double.bias.dtype}"
    blind = Linear(0, 3)
    assert blind.weight.shape == (3, 0) and blind.bias.tolist() == [0.0] * 3, f"without inputs: a weight of shape (3, 0), a bias of zeros; got {blind.bias!r}"
    print("🔬 Linear: where it starts")

test_unit_linear_start()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_errors():
    layer = Linear(3, 2)
    expect_error(ValueError, ["Linear(in_features=3, out_features=2, bias=True)", "(4, 5)", "(2, 3)"], layer, Tensor(np.ones((4, 5))))
    expect_error(ValueError, ["in_features=3", "(3, 2)", "(2, 3)"], layer, Tensor(np.ones((3, 2))))
    expect_error(ValueError, ["in_features=3", "()"], layer, Tensor(1.0))
    print("🔬 Linear: errors")

test_unit_linear_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Linear-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: float64, many leading axes, empty batches, a layer without inputs, one without a bias.
### BEGIN HIDDEN TESTS
wide = Linear(4, 3, dtype=np.float64)
inputs = np.arange(48.0).reshape(2, 1, 6, 4) - 20
expected = np.einsum("abci,oi->abco", inputs, wide.state_dict()["weight"]) + wide.state_dict()["bias"]
got = wide(Tensor(inputs, dtype=np.float64))
assert got.dtype == np.float64 and np.allclose(got.numpy(), expected, rtol=1e-12)
assert wide(Tensor(np.zeros((0, 4)))).shape == (0, 3)
assert Linear(0, 3)(Tensor(np.zeros((2, 0)))).tolist() == [[0.0] * 3] * 2
assert [name for name, _ in Linear(2, 2, bias=False).named_parameters()] == ["weight"]
### END HIDDEN TESTS

# %% [markdown]
r"""
Predict before you run: which of the three inputs below are accepted, and with which output shape?
"""

# %%
manual_seed(1)
layer = Linear(3, 2)
print(layer, *layer.named_parameters(), sep="\n")
for shape in [(3,), (8, 7, 3), (3, 8)]:
    try:
        print(shape, "→", layer(Tensor(np.ones(shape))).shape)
    except ValueError as error:
        print(shape, "→", error)

# %% [markdown]
r"""
Your layer records three operations, a transposition, a product and a sum, and its product takes a batch such as (8, 7, 3) in eight pieces. `linear` is the same
formula as *one* operation, which makes the axes before the last one into rows, here 56, for one product. `Linear` goes on using what you wrote; `linear` is for
what later modules build from bare weights, where batches of texts are long (PyTorch has both, too: `nn.Linear` and `nn.functional.linear`).
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
        raise ValueError(f"linear: a bias of shape {bias.shape} does not fit a weight of shape {weight.shape}")
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

Because a module finds its parts among its attributes, and PyTorch names the parts of a chain "0", "1", …, the layers of a `Sequential` are attributes
with those names. `setattr(self, "0", layer)` makes one; `self.0 = layer` would not be Python. An activation has no parameters and need not be a
Module: a layer may be **anything that can be called**, and it takes up a number like every other. Length, indexing, slices and iteration are given,
and look the layers up under their numbers: iterating over `self` gives them in order.

**Write `Sequential`**, in two places:

1. In `__init__`: give every layer its name. Two mistakes are frequent, `Sequential([a, b])` and `Sequential(a, ReLU)`; the second passes a class,
   which can be called, but not as a layer. Raise a `TypeError` that holds the position as in `layer 1` and the type that was found (`list`), or the
   class's name (`ReLU`).
2. In `forward`: the chain. Without layers, the output is the input.
"""

# %% nbgrader={"grade": false, "grade_id": "Sequential", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Sequential(Module):
    """Modules or functions, each applied to what the one before gave; also a row of modules to index and iterate.

    The layers are attributes named "0", "1", …; a slice keeps these names. Raises TypeError for what is no layer.
    """

    def __init__(self, *layers):
        super().__init__()
        ### BEGIN SOLUTION
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
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
    got = chain(Tensor([1.0, 2.0]))
    assert got.tolist() == [6.0, 9.0], f"add one, then times three, on [1, 2]: expected [6, 9], got {got.tolist()}"
    got = Sequential()(Tensor([1.0, 2.0]))
    assert got.tolist() == [1.0, 2.0], f"without layers the output is the input: expected [1, 2], got {got!r}"

    first, last = Module(), Module()
    first.weight, last.weight, last.bias = Parameter([1.0]), Parameter([2.0]), Parameter([3.0])
    net = Sequential(Sequential(first), abs, last)
    assert len(net) == 3, f"three layers, the function abs among them: got a length of {len(net)}"
    names = list(net.state_dict())
    expected = ["0.0.weight", "2.weight", "2.bias"]
    assert names == expected, f"a chain in a chain, a function, a module: expected the names {expected}, got {names}"
    net.eval()
    assert not first.training and not last.training, "eval() reaches the modules in a chain"
    print("🔬 Sequential")

test_unit_sequential()

# %% nbgrader={"grade": true, "grade_id": "test-Sequential-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_sequential_errors():
    expect_error(TypeError, ["layer 0", "list"], Sequential, [abs, abs])
    expect_error(TypeError, ["layer 1", "ReLU"], Sequential, abs, ReLU)
    expect_error(TypeError, ["layer 2", "NoneType"], Sequential, abs, abs, None)
    print("🔬 Sequential: errors")

test_unit_sequential_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Sequential-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more than ten layers, the same layer twice, slices.
### BEGIN HIDDEN TESTS
steps = Sequential(*[lambda x, i=i: 2 * x + i for i in range(12)])
number = 1.0
for i in range(12):
    number = 2 * number + i
assert steps(Tensor([1.0])).tolist() == [number], f"twelve layers: expected {number}"
assert steps[3:5](Tensor([1.0])).tolist() == [14.0] and steps[-1](Tensor([1.0])).tolist() == [13.0]
unit = Module()
unit.weight = Parameter([1.0])
assert list(Sequential(unit, unit).state_dict()) == ["0.weight", "1.weight"] and len(list(Sequential(unit, unit).parameters())) == 1
expect_error(TypeError, ["layer 1", "dict"], Sequential, unit, {"fc": unit})
### END HIDDEN TESTS

# %%
net = Sequential(Linear(784, 128), ReLU(), Sequential(Linear(128, 10), abs))
print(net)
print("names of the state:", list(net.state_dict()))
print("the last part alone:", net[2][0], "| a slice has", len(net[:2]), "layers")

# %% [markdown]
r"""
## Numbers to start from

An output of a linear layer is a sum of `fan_in` products, one for each input. If inputs and weights are independent and around 0, variances multiply
and add:

    variance of the output  =  fan_in · variance of a weight · variance of an input

With 256 inputs of variance 1 and weights of variance 1, the outputs have variance 256; behind the next layer 65,536; behind twenty layers 256²⁰. A
typical output, the root of the variance, is 16 times larger with every layer, and 16³² is where float32 ends. Weights of variance 1/fan_in keep the
signal as it is. Backwards through the layer, where module 05 will go, the same sum runs over the outputs: there it would have to be 1/**fan_out**.

Counted in general: a weight has shape (out, in) and perhaps further axes, over which a convolution's kernel extends (module 09). Every output then
looks at all kernel positions of all inputs.

    weight (128, 784)         fan_in = 784                fan_out = 128
    weight (16, 3, 5, 5)      fan_in = 3 · 25 = 75        fan_out = 16 · 25 = 400

**Write `fan_in_and_fan_out(tensor)`**, which returns the two as a tuple. With fewer than two axes there is no telling inputs from outputs: raise a
`ValueError` that holds the shape.
"""

# %% nbgrader={"grade": false, "grade_id": "fan_in_and_fan_out", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def fan_in_and_fan_out(tensor):
    """How many inputs an output of a layer sums, and how many outputs an input goes into.

    tensor: a weight of shape (out, in, *kernel). Raises ValueError where it has fewer than two axes.
    """
    ### BEGIN SOLUTION
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return inputs * positions, outputs * positions
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-fan_in_and_fan_out", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_fan_in_and_fan_out():
    for shape, expected in [((128, 784), (784, 128)), ((16, 3, 5, 5), (75, 400)), ((4, 7, 3), (21, 12)), ((1, 1), (1, 1))]:
        got = fan_in_and_fan_out(zeros(*shape))
        assert got == expected, f"a weight of shape {shape}: expected (fan_in, fan_out) = {expected}, got {got}"
    expect_error(ValueError, "(5,)", fan_in_and_fan_out, zeros(5))
    expect_error(ValueError, "()", fan_in_and_fan_out, Tensor(1.0))
    print("🔬 fan_in_and_fan_out")

test_unit_fan_in_and_fan_out()

# %% nbgrader={"grade": true, "grade_id": "test-fan_in_and_fan_out-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: kernels that are not square, five axes, empty axes.
### BEGIN HIDDEN TESTS
cases = {(8, 6, 1, 7): (42, 56), (2, 3, 4, 5, 6): (360, 240), (3, 0): (0, 3), (0, 2, 3, 3): (18, 0)}
for shape, fans in cases.items():
    assert tuple(fan_in_and_fan_out(zeros(*shape))) == fans, f"a weight of shape {shape}: expected {fans}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Xavier

The variance cannot be 1/fan_in and 1/fan_out at the same time. Glorot and Bengio (2010) take the middle, 2 / (fan_in + fan_out). How far must numbers
be spread for that? Numbers drawn *evenly* from −b to b have the variance b²/3, so

    b = gain · √( 6 / (fan_in + fan_out) )            weight (128, 784):  √(6 / 912) = 0.0811

The gain makes up for what the activation takes away, as the next section explains; for a linear layer it is 1.

**Write `xavier_uniform_(tensor, gain=1.0, generator=None)`**: fill the tensor in place, evenly from −b to b, and return it. The `generator` is handed
on to what draws the numbers.
"""

# %% nbgrader={"grade": false, "grade_id": "xavier_uniform_", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill a weight in place, evenly spread, with variance gain² · 2 / (fan_in + fan_out) (Glorot & Bengio 2010)."""
    ### BEGIN SOLUTION
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-xavier_uniform_", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_xavier_uniform():
    for settings, bound in [({}, 0.0811107), ({"gain": 3.0}, 0.2433321)]:
        manual_seed(0)
        tensor = zeros(128, 784)
        same_memory = tensor.detach()
        returned = xavier_uniform_(tensor, **settings)
        numbers = same_memory.numpy()
        assert np.array_equal(returned.numpy(), numbers), "the tensor is filled in place, and returned"
        largest, spread = np.abs(numbers).max(), math.sqrt(np.square(numbers).mean())
        assert 0.999 * bound < largest < 1.00001 * bound, f"(128, 784) with {settings}: numbers up to {bound}, and nearly there; got {largest:.5f}"
        assert abs(spread * math.sqrt(3) / bound - 1) < 0.01, f"with {settings}: evenly spread numbers are bound/√3 from 0 in the mean square, got {spread:.5f}"
        assert abs(numbers.mean()) < 0.01 * bound, f"with {settings}: positive and negative alike, got a mean of {numbers.mean():.5f}"
    one, two = (xavier_uniform_(zeros(2, 3), generator=np.random.default_rng(1)).tolist() for _ in range(2))
    assert one == two, f"two generators started alike give the same numbers, got {one} and {two}"
    print("🔬 xavier_uniform_")

test_unit_xavier_uniform()

# %% nbgrader={"grade": true, "grade_id": "test-xavier_uniform_-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a convolution's weight, float64, seeds.
### BEGIN HIDDEN TESTS
manual_seed(5)
kernel = xavier_uniform_(zeros(32, 16, 5, 5, dtype=np.float64), 0.5)
assert kernel.dtype == np.float64 and 0.0352 < np.abs(kernel.numpy()).max() < 0.0353554, "0.5 · √(6 / 1200) = 0.03536"
manual_seed(5)
assert np.array_equal(xavier_uniform_(zeros(32, 16, 5, 5, dtype=np.float64), 0.5).numpy(), kernel.numpy()), "the same seed"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Kaiming

ReLU replaces half of the numbers by 0, and with them half of the mean square. Twenty layers of it leave 2⁻²⁰, a millionth. He et al. (2015) give the
weights twice the variance instead: a *gain* of √2, on top of 1/fan_in. `calculate_gain` knows the gains that PyTorch uses; for a leaky ReLU with
slope a it is √(2 / (1 + a²)), and a = 0 is the ReLU.

    std = gain / √fan            weight (128, 784), ReLU:   √2 / √784 = 0.0505        backwards, with fan_out:  √2 / √128 = 0.125
"""

# %% nbgrader={"grade": false, "grade_id": "provided-gain", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
GAINS |= {f"conv{kind}{axes}d": 1.0 for kind in ("", "_transpose") for axes in (1, 2, 3)}


def calculate_gain(nonlinearity, param=None):
    """The factor by which weights before this activation should be larger. param: the slope of "leaky_relu" (0.01)."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}; there are: leaky_relu, {', '.join(GAINS)}")
    return GAINS[nonlinearity]

# %% [markdown]
r"""
**Write `kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu")`**: the standard deviation. `mode` names the fan to divide by; for any
mode but `"fan_in"` and `"fan_out"`, raise a `ValueError` that holds the mode. The slope `a` is the gain's `param`.
"""

# %% nbgrader={"grade": false, "grade_id": "kaiming_std", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """The standard deviation gain / √fan for a weight (He et al. 2015).

    a: the slope of a leaky ReLU. mode: "fan_in" keeps the signal's size on the way forward, "fan_out" the gradient's on
    the way back. Raises ValueError for another mode.
    """
    ### BEGIN SOLUTION
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-kaiming_std", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_kaiming_std():
    weight = zeros(128, 784)
    cases = [
        ({}, 0.0505076),
        ({"nonlinearity": "relu"}, 0.0505076),
        ({"nonlinearity": "relu", "mode": "fan_out"}, 0.125),
        ({"a": 1.0}, 0.0357143),
        ({"nonlinearity": "linear", "a": 1.0}, 0.0357143),
        ({"nonlinearity": "tanh"}, 0.0595238),
    ]
    for settings, expected in cases:
        got = kaiming_std(weight, **settings)
        assert abs(got - expected) < 1e-6, f"a weight of shape (128, 784) with {settings}: expected {expected}, got {got:.7f}"
    expect_error(ValueError, "fan_between", kaiming_std, weight, mode="fan_between")
    print("🔬 kaiming_std")

test_unit_kaiming_std()

# %% nbgrader={"grade": true, "grade_id": "test-kaiming_std-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: convolutions and other slopes.
### BEGIN HIDDEN TESTS
assert abs(kaiming_std(zeros(64, 3, 7, 7), mode="fan_out", nonlinearity="relu") - 0.0252538) < 1e-6
assert abs(kaiming_std(zeros(64, 3, 7, 7), a=math.sqrt(5)) - 1 / math.sqrt(3 * 147)) < 1e-9
assert abs(kaiming_std(zeros(10, 20), 0.5, "fan_out", "leaky_relu") - 0.4) < 1e-9
expect_error(ValueError, "fan", kaiming_std, zeros(2, 2), mode="fan")
### END HIDDEN TESTS

# %% [markdown]
r"""
PyTorch's other initialisers are now a few lines. The even ones reach √3 standard deviations to both sides. A weight without entries, for which a fan
can be 0, stays as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-initialisers", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill a weight in place with normal numbers of variance gain² · 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fan_in_and_fan_out(tensor))), generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill a weight in place with normal numbers of the standard deviation `kaiming_std`."""
    return normal_(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), generator) if tensor.numel() else tensor


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill a weight in place with evenly spread numbers of the standard deviation `kaiming_std`."""
    if not tensor.numel():
        return tensor
    bound = math.sqrt(3) * kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)

# %% [markdown]
r"""
What did `Linear` do, then? Its ±1/√fan_in has the variance 1 / (3 · fan_in), a third of what keeps a signal alive. In PyTorch's source it stands as
`kaiming_uniform_` with a = √5: √3 · √(2/6) / √fan_in. Which of these rows stays near 1?
"""

# %%
manual_seed(2)
x = randn(1000, 256)
for name, fill_ in [("as Linear starts", lambda w: w), ("Xavier", xavier_uniform_), ("Kaiming", kaiming_normal_)]:
    one = Linear(256, 256, bias=False)
    fill_(one.weight)
    print(f"{name:16}  mean square behind the layer {(one(x) ** 2).mean().item():.3f}, behind its ReLU {(relu(one(x)) ** 2).mean().item():.3f}")

# %% [markdown]
r"""
## Dropout

A network that leans on a few of its activations learns its training data by heart. Dropout (Srivastava et al. 2014) switches each activation off with
probability p, anew at every step of training, so that none can be relied on. What is left is divided by 1 − p, which keeps the expected value and
lets evaluation use the network as it is:

    x = [6, 6, 6, 6],  p = 1/4        training:    e.g.  [8, 0, 8, 8]    6 / (3/4) = 8,  and in the mean 3/4 · 8 = 6
                                      evaluation:        [6, 6, 6, 6]

Operations have to be pure: called again with the same arrays they must give the same result, or their gradients could not be checked. So the
randomness stays outside. The layer draws a *mask*, an array of factors 0 and 1/(1 − p), one for every entry of x, and multiplies by it; the only
operation recorded is a product.

**Write `Dropout`**, in two places:

1. In `__init__`: keep `p`, or raise a `ValueError` that holds it if it is no probability.
2. In `forward`: as above, for `self.training`; otherwise, the input. Random numbers come from `rand`, which is below p with probability p. With p = 1
   all entries are 0 and there is nothing to divide by. The dtype stays.
"""

# %% nbgrader={"grade": false, "grade_id": "Dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    values = np.unique(got).tolist()
    assert np.allclose(values, [0, 8]), f"6 with p = 1/4 becomes 0 or 8, got {values[:4]}"
    assert abs(got.mean() - 6) < 0.1, f"the mean stays 6, got {got.mean():.2f}"
    shares = (got == 0).mean(axis=1), (got == 0).mean(axis=0)
    assert all(abs(share - 0.25).max() < 0.24 for share in shares), "each entry is decided for itself: about a quarter of every row and every column is 0"
    assert got.dtype == np.float32, f"float32 stays float32, got {got.dtype}"
    assert (x.numpy() == 6).all(), "the input is left alone"

    again = dropout(x).numpy()
    assert 0.3 < ((got == 0) != (again == 0)).mean() < 0.45, "each call draws anew: 2 · 1/4 · 3/4 of the entries differ from the call before"
    manual_seed(0)
    assert np.array_equal(dropout(x).numpy(), got), "the same seed gives the same mask"
    assert dropout(Tensor([1.0], requires_grad=True)).requires_grad, "the product is recorded"
    for dtype in (np.float16, np.float64):
        got = dropout(Tensor([6.0, 6.0], dtype=dtype))
        assert got.dtype == dtype, f"the dtype stays: expected {np.dtype(dtype)}, got {got.dtype}"
    print("🔬 Dropout")

test_unit_dropout()

# %% nbgrader={"grade": true, "grade_id": "test-Dropout-edges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_dropout_edges():
    x = Tensor([[1.0, -2.0], [3.0, 0.5]])
    for p in (0, 0.3, 1):
        got = Dropout(p).eval()(x)
        assert got.tolist() == x.tolist(), f"evaluation with p = {p}: expected the input, got {got.tolist()}"
    got = Dropout(0)(x)
    assert got.tolist() == x.tolist(), f"p = 0 in training: expected the input, got {got.tolist()}"
    got = Dropout(1)(x)
    assert (got.numpy() == 0).all(), f"p = 1 in training: expected zeros, got {got.tolist()}"
    for p in (-0.1, 1.5, float("nan")):
        expect_error(ValueError, str(p), Dropout, p)
    print("🔬 Dropout: edges")

test_unit_dropout_edges()

# %% nbgrader={"grade": true, "grade_id": "test-Dropout-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other probabilities, float64, empty inputs, training switched off and on again.
### BEGIN HIDDEN TESTS
manual_seed(7)
data = np.linspace(1, 2, 120000).reshape(2, 300, 200)
for p in (0.1, 0.5, 0.9):
    layer = Dropout(p)
    result = layer(Tensor(data, dtype=np.float64)).numpy()
    kept = result != 0
    assert result.dtype == np.float64 and abs(kept.mean() - (1 - p)) < 0.01, f"p = {p}: {kept.mean():.3f} of the entries are kept"
    assert np.allclose(result[kept], data[kept] / (1 - p)), f"p = {p}: what is kept is divided by 1 - p"
    assert (layer.eval()(Tensor([3.0] * 99)).numpy() == 3).all() and (layer.train()(Tensor([3.0] * 999)).numpy() == 0).any()
assert Dropout()(Tensor(np.zeros((0, 4)))).shape == (0, 4)
### END HIDDEN TESTS

# %%
manual_seed(3)
dropout, row = Dropout(0.25), Tensor([6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0])
print(dropout, "in training:  ", dropout(row).tolist(), dropout(row).tolist())
print(dropout, "in evaluation:", dropout.eval()(row).tolist())

# %% [markdown]
r"""
## Put together: a network with a memory

The network below is built, counted, given weights from a file, and asked for an answer. PyTorch 2.13, given the same weights, answers with the
numbers that stand in the test. The file is a real one in form: `np.savez` writes a state, and what `np.load` gives back can be loaded as it is.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    net = Sequential(Linear(3, 4), ReLU(), Dropout(0.5), Linear(4, 2))
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == 26, f"3·4 + 4 and 4·2 + 2 parameters: expected 26, got {count}"
    state = {
        "0.weight": np.cos(np.arange(12)).reshape(4, 3),
        "0.bias": np.array([0.1, -0.2, 0.3, 0.0]),
        "3.weight": np.sin(np.arange(8)).reshape(2, 4),
        "3.bias": np.array([1.0, -1.0]),
    }
    result = net.load_state_dict(state)
    assert result.missing_keys == [] and result.unexpected_keys == [], f"all names fit: got {result}"
    x = Tensor(np.linspace(-1, 1, 6).reshape(2, 3))
    got, expected = net.eval()(x), [[2.146530, -1.150444], [1.726415, -1.380659]]
    assert got.dtype == np.float32, f"the parameters keep their float32, although the state is float64: got {got.dtype}"
    assert np.allclose(got.numpy(), expected, atol=1e-6), f"expected {expected}, got {got.tolist()}"

    manual_seed(0)
    answers = np.array([net.train()(x).numpy() for _ in range(50)])
    assert (answers.std(axis=0) > 0.05).all(), "in training, Dropout makes every answer another one"
    wrong = {"0.weight": np.ones((3, 4)), "0.bias": np.zeros(4), "3.weight": np.zeros((2, 4)), "extra": 1.0}
    expect_error(RuntimeError, ["3.bias", "extra", "(4, 3)", "(3, 4)"], net.load_state_dict, wrong)
    assert np.allclose(net.eval()(x).numpy(), expected, atol=1e-6), "a state that does not fit changes nothing"
    print("🔬 module 03: built, loaded, asked")

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

256 inputs of mean square 1 enter twenty layers of 256, each followed by an activation. Four ways to start: weights of standard deviation 0.01, of
0.2, Xavier's and Kaiming's. Beside each input goes another one that differs by a thousandth.

**Predict** for ReLU, from the formula in "Numbers to start from": the root of the mean square behind layer 20 for each of the four. And tanh never gives
more than 1: does that make the weights that are too large harmless?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt


def analyze_starts():
    """Root mean square of a signal behind each of 20 layers of 256, for two activations and four initialisations."""

    def size(x):
        return float(np.sqrt(np.square(x.numpy(), dtype=np.float64).mean()))

    starts = {
        "std 0.01": (lambda weight: normal_(weight, std=0.01), "v:"),
        "std 0.2": (lambda weight: normal_(weight, std=0.2), "^--"),
        "Xavier": (xavier_normal_, "s-."),
        "Kaiming": (lambda weight: kaiming_normal_(weight, nonlinearity="relu"), "o-"),
    }
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.5), layout="constrained")
    for axes, activation in zip(panels, (relu, tanh), strict=True):
        ends = []
        for name, (fill_, line) in starts.items():
            manual_seed(0)
            x = randn(512, 256)
            near, sizes = x + 0.001 * randn(512, 256), [size(x)]
            for _ in range(20):
                layer = Linear(256, 256, bias=False)
                fill_(layer.weight)
                x, near = activation(layer(x)).detach(), activation(layer(near)).detach()
                sizes.append(size(x))
            axes.plot(range(21), sizes, line, color="0.2", markevery=4, markersize=5, label=name)
            ends.append(f"{name}: size {sizes[-1]:.1e}, apart by {size(near - x) / sizes[-1]:.2g}")
        axes.set(yscale="log", xlabel="layers passed", xticks=range(0, 21, 5), title=activation.__name__)
        print(f"📊 behind 20 layers with {activation.__name__}: " + "; ".join(ends))
    panels[0].set(ylabel="root mean square of the activations")
    panels[0].legend()
    panels[1].set(ylim=(0.05, 1.5), title="tanh (cut off below 0.05)")
    plt.show()


analyze_starts()

# %% [markdown]
r"""
Each layer multiplies, so on the logarithmic axis a constant factor is a straight line. Under ReLU it is √(256 · 0.01² / 2) = 0.11 for the smallest
weights and 2.3 for the largest. Xavier loses a factor √2 at each layer, and Kaiming stays.

With tanh the largest weights seem to do best, until you look at the pairs. Two inputs that differ by a thousandth have become two signals that differ
by more than half their size: the weights stretch a small difference at every layer, and tanh holds back only what is large. Where similar inputs do
not give similar outputs, nothing that is learned from one holds for the other. Under Xavier's weights a thousandth stays a thousandth.

## Measure: parameters and bytes

A network for handwritten digits, 784 → 128 → 10, in float32. **Predict:** how many parameters, how many bytes? Which of its four arrays has more than
nine tenths of them? With a batch of 128 images, which takes more memory, the parameters or the activations, the images included?
"""

# %% tags=["measure"]
def analyze_parameters():
    """Entries and bytes of the parameters of a network for digits, and of what flows through it."""
    net, x = Sequential(Linear(784, 128), ReLU(), Linear(128, 10)), zeros(128, 784)
    total = sum(parameter.nbytes for parameter in net.parameters())
    for name, parameter in net.named_parameters():
        print(f"{name:9} {str(parameter.shape):11} {parameter.numel():8,} entries {parameter.nbytes:9,} bytes  {parameter.nbytes / total:6.1%}")
    flowing = [x]
    for layer in net:
        flowing.append(layer(flowing[-1]))
    count = sum(parameter.numel() for parameter in net.parameters())
    print(f"📊 parameters: {count:,} entries, {total:,} bytes; with their gradients and Adam's two averages {4 * total:,} bytes")
    print(f"📊 a batch of 128: {sum(tensor.nbytes for tensor in flowing):,} bytes of images and activations, {flowing[0].nbytes:,} of them images")


analyze_parameters()

# %% [markdown]
r"""
Nearly all of it is one matrix, because inputs and outputs of a linear layer are all joined to one another. That is what convolutions will change in
module 09. The activations grow with the batch, the parameters do not: 128 images are nearly as large as the
network that looks at them, and with what it makes of them, larger.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-list", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
A class mate writes `self.blocks = [Linear(64, 64), Linear(64, 64)]` in a module's `__init__` and `for block in self.blocks: x = block(x)` in its
`forward`. The outputs look reasonable and there is no error. But training does not change these layers, and a model that has loaded the saved state
gives other outputs than the one that was saved. Explain both observations from how a module finds its parameters. How would you notice the mistake with one line
of code, and how would you mend it?

### BEGIN SOLUTION
For graders: neither the optimizer nor the state gets these parameters, because `vars(self)` holds a list, which is neither a Parameter nor a Module,
1 point; a check such as printing the module or counting its parameters, 1 point; a repair that works, such as `Sequential(*blocks)` or an attribute
for each block, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The network answers, but nobody has told it how wrong the answer is. Module 04 does: losses that turn scores and targets into one number, and stay
finite where the textbook formulas overflow. Next: `tito module complete 03_layers`.
"""
