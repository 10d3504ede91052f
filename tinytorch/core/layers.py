"""Layers: Modules that own parameters, Linear, Dropout and Sequential, and the random numbers that a deep network
starts from.

Exported from module 03_layers by tito export. Edit the notebook of that module, not this file.
"""

import math
from collections import namedtuple

import numpy as np

from .tensor import Op, Tensor, rand, randn, result_dtype, zeros

__all__ = [
    "Parameter", "Loaded", "Module", "walk_parameters", "uniform_", "normal_", "constant_", "zeros_", "ones_", "Linear",
    "linear", "Sequential", "measured_std", "GAINS", "calculate_gain", "fan_in_and_fan_out", "xavier_uniform_",
    "xavier_normal_", "kaiming_std", "kaiming_normal_", "kaiming_uniform_", "Dropout",
]


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


def walk_parameters(module, prefix="", seen=None):
    """Yield (path, parameter) for the module's own parameters, then for those of each child, all once.

    prefix: the path of `module` itself. seen: the ids of the parameters that were met already.
    """
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)


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


class Linear(Module):
    """x Wᵀ + b: input (…, in_features), output (…, out_features), weight (out_features, in_features).

    Weight and bias start uniform over ±1/√in_features. Raises ValueError for an input that does not fit.
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


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


class Sequential(Module):
    """Modules or functions, each applied to what the one before gave; can be indexed and iterated.

    The layers are attributes "0", "1", …; a slice keeps these names. Raises TypeError for what is no layer.
    """

    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

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


def measured_std(z, activation, fan_in):
    """The standard deviation of weights that give outputs of `z`'s mean square from inputs activation(z).

    fan_in: how many inputs each output sums. Raises ValueError where the activation gives nothing but zeros.
    """
    before, behind = (z * z).sum().item(), (activation(z) ** 2).sum().item()
    if behind == 0:
        raise ValueError(f"nothing is left of z, of shape {z.shape}, behind its activation")
    return math.sqrt(before / (behind * fan_in))


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


def fan_in_and_fan_out(tensor):
    """How many inputs an output of a layer sums, and how many outputs an input goes into.

    tensor: a weight of shape (out, in, *kernel). Raises ValueError where it has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return inputs * positions, outputs * positions


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill a weight in place with uniform numbers whose variance is gain² over the mean of its two fans.

    Returns the tensor. generator: a NumPy generator instead of the global one (Glorot & Bengio 2010).
    """
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


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


class Dropout(Module):
    """In training, set each entry to 0 with probability `p` and divide the others by 1 - p; else do nothing.

    Raises ValueError where `p` is not between 0 and 1 (Srivastava et al. 2014).
    """

    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0.0
        mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"
