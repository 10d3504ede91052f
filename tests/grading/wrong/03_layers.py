# %% walk_parameters: a tied parameter is reported under each of its names
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter):
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: each child gets a new set, so that only one module's own ties are found
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name)

# %% walk_parameters: one set for all walks, a mutable default: the second walk finds nothing
def walk_parameters(module, prefix="", seen=set()):
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: equal numbers are taken for the same parameter
def walk_parameters(module, prefix="", seen=None):
    seen = [] if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and not any(value.tolist() == other.tolist() for other in seen):
            seen.append(value)
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: in the order of assignment, children between the module's own parameters
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
        elif isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: children first, the module's own parameters last
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value

# %% walk_parameters: every Tensor counts as a parameter
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Tensor) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: names begin with a dot where there is no prefix
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = prefix + "."
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, start + name, seen)

# %% walk_parameters: a child's path is only its own name
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    for name, value in vars(module).items():
        if isinstance(value, Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield start + name, value
    for name, value in vars(module).items():
        if isinstance(value, Module):
            yield from walk_parameters(value, name, seen)

# %% walk_parameters: only the module and its children, not what is below them
def walk_parameters(module, prefix="", seen=None):
    seen = set() if seen is None else seen
    start = f"{prefix}." if prefix else ""
    parts = [(start, module)] + [(f"{start}{name}.", child) for name, child in module.named_children()]
    for path, part in parts:
        for name, value in vars(part).items():
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield path + name, value

# %% Linear: the weight lies the other way round, (in_features, out_features)
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(in_features, out_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: the bias starts at 0
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(zeros(out_features, dtype=dtype)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: the bound is 1 / in_features, without the root
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / in_features if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: the bound comes from the outputs instead of the inputs
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(out_features) if out_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: normal instead of evenly spread numbers
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(normal_(zeros(out_features, in_features, dtype=dtype), 0.0, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: only positive numbers
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), 0.0, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), 0.0, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: random numbers from NumPy's own generator, which manual_seed does not reach
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(Tensor(np.random.uniform(-bound, bound, (out_features, in_features)), dtype=dtype))
        self.bias = Parameter(Tensor(np.random.uniform(-bound, bound, out_features), dtype=dtype)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: a bias although there should be none
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound))

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: plain Tensors that require a gradient instead of Parameters
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = uniform_(zeros(out_features, in_features, dtype=dtype, requires_grad=True), -bound, bound)
        self.bias = uniform_(zeros(out_features, dtype=dtype, requires_grad=True), -bound, bound) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: the dtype is ignored
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: the bias is left out of the output
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: only matrices are accepted
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim != 2 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: leading axes are flattened and not restored
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x.reshape(-1, self.in_features) @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: no error of its own, so that nothing names the layer
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: computed with arrays, so that nothing is recorded
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = Tensor(x.numpy() @ self.weight.numpy().T)
        return out if self.bias is None else Tensor(out.numpy() + self.bias.numpy())

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: a layer without inputs divides by zero
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
        self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Sequential: the layers in reverse order
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in reversed(list(self)):
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: each layer gets the first input, and the last one's output is returned
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        out = x
        for layer in self:
            out = layer(x)
        return out

    def _rows(self):
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

# %% Sequential: only the first layer is applied
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self:
            return layer(x)
        return x

    def _rows(self):
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

# %% Sequential: the last layer is left out
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self[:-1]:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: numbers start from 1
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i + 1), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: functions take no number, so that the modules behind them move up
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type) or not callable(layer):
                raise TypeError(f"Sequential: layer {i} is {getattr(layer, '__name__', type(layer).__name__)}, no layer")
        self.steps = layers
        for i, layer in enumerate([layer for layer in layers if isinstance(layer, Module)]):
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self.steps:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: the layers in a list, where no module finds them
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type) or not callable(layer):
                raise TypeError(f"Sequential: layer {i} is {getattr(layer, '__name__', type(layer).__name__)}, no layer")
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: only modules are accepted
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: a class passes for a layer, because it can be called
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: nothing is checked
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def _rows(self):
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

# %% Sequential: the applied order is that of the sorted names, in which 10 comes before 2
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
            setattr(self, str(i), layer)

    def forward(self, x):
        for _, layer in sorted(self._rows()):
            x = layer(x)
        return x

    def _rows(self):
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

# %% fan_in_and_fan_out: the two the other way round
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return outputs * positions, inputs * positions

# %% fan_in_and_fan_out: the kernel is not counted
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return inputs, outputs

# %% fan_in_and_fan_out: the kernel counts for the inputs only
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = math.prod(kernel)
    return inputs * positions, outputs

# %% fan_in_and_fan_out: only the first of the kernel's axes is counted
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = kernel[0] if kernel else 1
    return inputs * positions, outputs * positions

# %% fan_in_and_fan_out: the sizes of the kernel are added
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    positions = sum(kernel) if kernel else 1
    return inputs * positions, outputs * positions

# %% fan_in_and_fan_out: the last two axes, as for x @ W
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"fan_in and fan_out need a weight with at least two axes, not shape {tensor.shape}")
    return tensor.shape[-1], tensor.shape[-2]

# %% fan_in_and_fan_out: one axis passes for a weight with one output
def fan_in_and_fan_out(tensor):
    outputs, inputs, *kernel = tensor.shape if tensor.ndim > 1 else (1, *tensor.shape)
    positions = math.prod(kernel)
    return inputs * positions, outputs * positions

# %% fan_in_and_fan_out: everything but the first axis is fan_in, and fan_out lacks the kernel
def fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(f"a shape of {tensor.shape}")
    return tensor.numel() // tensor.shape[0], tensor.shape[0]

# %% xavier_uniform_: the standard deviation as the bound, without √3
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(2 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: fan_in alone
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (2 * fan_in))
    return uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: no root
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * 6 / (fan_in + fan_out)
    return uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: the gain under the root
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = math.sqrt(gain * 6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: the gain is ignored
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: normal numbers of the right standard deviation
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return normal_(tensor, 0.0, bound / math.sqrt(3), generator)

# %% xavier_uniform_: only positive numbers
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, 0.0, bound, generator)

# %% xavier_uniform_: a new Tensor is returned, and the old one stays as it was
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(zeros(*tensor.shape, dtype=tensor.dtype), -bound, bound, generator)

# %% xavier_uniform_: the Tensor gets another array instead of other numbers
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    tensor.data = uniform_(zeros(*tensor.shape), -bound, bound, generator).data
    return tensor

# %% xavier_uniform_: nothing is returned
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: the generator is not handed on
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)

# %% kaiming_std: the variance instead of the standard deviation
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / fan

# %% kaiming_std: the mode is ignored
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)

# %% kaiming_std: the modes the other way round
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_out if mode == "fan_in" else fan_in
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)

# %% kaiming_std: the gain of a ReLU whatever the nonlinearity
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return math.sqrt(2) / math.sqrt(fan)

# %% kaiming_std: the slope is not handed on
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity) / math.sqrt(fan)

# %% kaiming_std: the gain under the root
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return math.sqrt(calculate_gain(nonlinearity, a) / fan)

# %% kaiming_std: the uniform bound instead of the standard deviation
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) * math.sqrt(3 / fan)

# %% kaiming_std: any other mode is taken for fan_out
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)

# %% Dropout: what is kept is not scaled
class Dropout(Module):
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
        mask = (rand(*x.shape).numpy() >= self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: divided by p instead of 1 - p
class Dropout(Module):
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
        mask = (rand(*x.shape).numpy() >= self.p) / self.p
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: p is the probability of being kept
class Dropout(Module):
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
        mask = (rand(*x.shape).numpy() < self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: one decision for a whole row
class Dropout(Module):
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
        mask = (rand(*x.shape[:-1], 1).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: one decision for a whole column
class Dropout(Module):
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
        mask = (rand(x.shape[-1]).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: active in evaluation too
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        if self.p == 0:
            return x
        if self.p == 1:
            return x * 0.0
        mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: never active
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        return x

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: training and evaluation exchanged
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        if self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0.0
        mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: the old form, which scales in evaluation instead
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        if not self.training:
            return x * (1 - self.p)
        return x * Tensor(rand(*x.shape).numpy() >= self.p, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: p = 1 divides by zero
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        with np.errstate(all="ignore"):
            mask = (rand(*x.shape).numpy() >= self.p) / np.float64(1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: p is not checked
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
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

# %% Dropout: NaN passes for a probability
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p < 0 or p > 1:
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

# %% Dropout: p = 1 is refused
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p < 1:
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

# %% Dropout: the mask is drawn once and kept
class Dropout(Module):
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
        if getattr(self, "mask", None) is None or self.mask.shape != x.shape:
            self.mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(self.mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: computed with arrays, so that nothing is recorded
class Dropout(Module):
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
        return Tensor(x.numpy() * mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: the input is changed in place
class Dropout(Module):
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
        x.data *= mask.astype(x.dtype)
        return x * 1.0

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: random numbers from NumPy's own generator, which manual_seed does not reach
class Dropout(Module):
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
        mask = (np.random.random(x.shape) >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: float64 comes out of float32
class Dropout(Module):
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
        return x * Tensor(mask, dtype=np.float64)

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: normal random numbers where even ones are wanted
class Dropout(Module):
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
        mask = (randn(*x.shape).numpy() >= self.p) / (1 - self.p)
        return x * Tensor(mask, dtype=x.dtype)

    def extra_repr(self):
        return f"p={self.p}"
