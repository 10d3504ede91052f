# %% walk_parameters: each child gets a new set, so that only one module's own ties are found
- yield from walk_parameters(value, start + name, seen)
+ yield from walk_parameters(value, start + name)

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
- for name, value in vars(module).items():
-     if isinstance(value, Module):
+     elif isinstance(value, Module):

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
- if isinstance(value, Parameter) and id(value) not in seen:
+ if isinstance(value, Tensor) and id(value) not in seen:

# %% walk_parameters: names begin with a dot where there is no prefix
- start = f"{prefix}." if prefix else ""
+ start = prefix + "."

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
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
+ self.weight = Parameter(uniform_(zeros(in_features, out_features, dtype=dtype), -bound, bound))

- out = x @ self.weight.T
+ out = x @ self.weight

# %% Linear: the bias starts at 0
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.bias = Parameter(zeros(out_features, dtype=dtype)) if bias else None

# %% Linear: the bound comes from the outputs instead of the inputs
- bound = 1 / math.sqrt(in_features) if in_features else 0.0
+ bound = 1 / math.sqrt(out_features) if out_features else 0.0

# %% Linear: normal instead of evenly spread numbers
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
+ self.weight = Parameter(normal_(zeros(out_features, in_features, dtype=dtype), 0.0, bound))

# %% Linear: only positive numbers
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), 0.0, bound))
+ self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), 0.0, bound)) if bias else None

# %% Linear: random numbers from NumPy's own generator, which manual_seed does not reach
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.weight = Parameter(Tensor(np.random.uniform(-bound, bound, (out_features, in_features)), dtype=dtype))
+ self.bias = Parameter(Tensor(np.random.uniform(-bound, bound, out_features), dtype=dtype)) if bias else None

# %% Linear: a bias although there should be none
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound))

# %% Linear: plain Tensors that require a gradient instead of Parameters
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.weight = uniform_(zeros(out_features, in_features, dtype=dtype, requires_grad=True), -bound, bound)
+ self.bias = uniform_(zeros(out_features, dtype=dtype, requires_grad=True), -bound, bound) if bias else None

# %% Linear: the dtype is ignored
- self.weight = Parameter(uniform_(zeros(out_features, in_features, dtype=dtype), -bound, bound))
- self.bias = Parameter(uniform_(zeros(out_features, dtype=dtype), -bound, bound)) if bias else None
+ self.weight = Parameter(uniform_(zeros(out_features, in_features), -bound, bound))
+ self.bias = Parameter(uniform_(zeros(out_features), -bound, bound)) if bias else None

# %% Linear: the bias is left out of the output
- return out if self.bias is None else out + self.bias
+ return out

# %% Linear: only matrices are accepted
- if x.ndim == 0 or x.shape[-1] != self.in_features:
+ if x.ndim != 2 or x.shape[-1] != self.in_features:

# %% Linear: leading axes are flattened and not restored
- out = x @ self.weight.T
+ out = x.reshape(-1, self.in_features) @ self.weight.T

# %% Linear: no error of its own, so that nothing names the layer
- if x.ndim == 0 or x.shape[-1] != self.in_features:
-     raise ValueError(f"{self}: an input of shape {x.shape} does not fit a weight of shape {self.weight.shape}")

# %% Linear: computed with arrays, so that nothing is recorded
- out = x @ self.weight.T
- return out if self.bias is None else out + self.bias
+ out = Tensor(x.numpy() @ self.weight.numpy().T)
+ return out if self.bias is None else Tensor(out.numpy() + self.bias.numpy())

# %% Linear: a layer without inputs divides by zero
- bound = 1 / math.sqrt(in_features) if in_features else 0.0
+ bound = 1 / math.sqrt(in_features)

# %% Sequential: the layers in reverse order
- for layer in self:
+ for layer in reversed(list(self)):

# %% Sequential: each layer gets the first input, and the last one's output is returned
  def forward(self, x):
+     out = x

-     x = layer(x)
- return x
+     out = layer(x)
+ return out

# %% Sequential: only the first layer is applied
- x = layer(x)
+ return layer(x)

# %% Sequential: the last layer is left out
- for layer in self:
+ for layer in self[:-1]:

# %% Sequential: numbers start from 1
- setattr(self, str(i), layer)
+ setattr(self, str(i + 1), layer)

# %% Sequential: functions take no number, so that the modules behind them move up
-     if isinstance(layer, type):
-         raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
-     if not callable(layer):
-         raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
+     if isinstance(layer, type) or not callable(layer):
+         raise TypeError(f"Sequential: layer {i} is {getattr(layer, '__name__', type(layer).__name__)}, no layer")
+ self.steps = layers
+ for i, layer in enumerate([layer for layer in layers if isinstance(layer, Module)]):

- for layer in self:
+ for layer in self.steps:

# %% Sequential: the layers in a list, where no module finds them
-     if isinstance(layer, type):
-         raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
-     if not callable(layer):
-         raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")
-     setattr(self, str(i), layer)
+     if isinstance(layer, type) or not callable(layer):
+         raise TypeError(f"Sequential: layer {i} is {getattr(layer, '__name__', type(layer).__name__)}, no layer")
+ self.layers = list(layers)

- for layer in self:
+ for layer in self.layers:

# %% Sequential: only modules are accepted
- if not callable(layer):
+ if not isinstance(layer, Module):

# %% Sequential: a class passes for a layer, because it can be called
- if isinstance(layer, type):
-     raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")

# %% Sequential: nothing is checked
- if isinstance(layer, type):
-     raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}; a layer is one of its instances")
- if not callable(layer):
-     raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, neither a module nor a function")

# %% Sequential: the applied order is that of the sorted names, in which 10 comes before 2
- for layer in self:
+ for _, layer in sorted(self._rows()):

# %% fan_in_and_fan_out: the kernel is not counted
- return inputs * positions, outputs * positions
+ return inputs, outputs

# %% fan_in_and_fan_out: only the first of the kernel's axes is counted
- positions = math.prod(kernel)
+ positions = kernel[0] if kernel else 1

# %% fan_in_and_fan_out: the sizes of the kernel are added
- positions = math.prod(kernel)
+ positions = sum(kernel) if kernel else 1

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
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = gain * math.sqrt(2 / (fan_in + fan_out))

# %% xavier_uniform_: fan_in alone
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = gain * math.sqrt(6 / (2 * fan_in))

# %% xavier_uniform_: no root
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = gain * 6 / (fan_in + fan_out)

# %% xavier_uniform_: the gain under the root
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = math.sqrt(gain * 6 / (fan_in + fan_out))

# %% xavier_uniform_: normal numbers of the right standard deviation
- return uniform_(tensor, -bound, bound, generator)
+ return normal_(tensor, 0.0, bound / math.sqrt(3), generator)

# %% xavier_uniform_: only positive numbers
- return uniform_(tensor, -bound, bound, generator)
+ return uniform_(tensor, 0.0, bound, generator)

# %% xavier_uniform_: a new Tensor is returned, and the old one stays as it was
- return uniform_(tensor, -bound, bound, generator)
+ return uniform_(zeros(*tensor.shape, dtype=tensor.dtype), -bound, bound, generator)

# %% xavier_uniform_: the Tensor gets another array instead of other numbers
- return uniform_(tensor, -bound, bound, generator)
+ tensor.data = uniform_(zeros(*tensor.shape), -bound, bound, generator).data
+ return tensor

# %% xavier_uniform_: nothing is returned
- return uniform_(tensor, -bound, bound, generator)
+ uniform_(tensor, -bound, bound, generator)

# %% xavier_uniform_: the generator is not handed on
- return uniform_(tensor, -bound, bound, generator)
+ return uniform_(tensor, -bound, bound)

# %% kaiming_std: the mode is ignored
- fan = fan_in if mode == "fan_in" else fan_out
+ fan = fan_in

# %% kaiming_std: the modes the other way round
- fan = fan_in if mode == "fan_in" else fan_out
+ fan = fan_out if mode == "fan_in" else fan_in

# %% kaiming_std: the gain of a ReLU whatever the nonlinearity
- return calculate_gain(nonlinearity, a) / math.sqrt(fan)
+ return math.sqrt(2) / math.sqrt(fan)

# %% kaiming_std: the slope is not handed on
- return calculate_gain(nonlinearity, a) / math.sqrt(fan)
+ return calculate_gain(nonlinearity) / math.sqrt(fan)

# %% kaiming_std: the gain under the root
- return calculate_gain(nonlinearity, a) / math.sqrt(fan)
+ return math.sqrt(calculate_gain(nonlinearity, a) / fan)

# %% kaiming_std: the uniform bound instead of the standard deviation
- return calculate_gain(nonlinearity, a) / math.sqrt(fan)
+ return calculate_gain(nonlinearity, a) * math.sqrt(3 / fan)

# %% kaiming_std: any other mode is taken for fan_out
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    fan_in, fan_out = fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)

# %% Dropout: one decision for a whole row
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (rand(*x.shape[:-1], 1).numpy() >= self.p) / (1 - self.p)

# %% Dropout: one decision for a whole column
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (rand(x.shape[-1]).numpy() >= self.p) / (1 - self.p)

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
- if self.p == 1:
-     return x * 0.0
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ with np.errstate(all="ignore"):
+     mask = (rand(*x.shape).numpy() >= self.p) / np.float64(1 - self.p)

# %% Dropout: p is not checked
- if not 0 <= p <= 1:
-     raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")

# %% Dropout: NaN passes for a probability
- if not 0 <= p <= 1:
+ if p < 0 or p > 1:

# %% Dropout: the mask is drawn once and kept
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
- return x * Tensor(mask, dtype=x.dtype)
+ if getattr(self, "mask", None) is None or self.mask.shape != x.shape:
+     self.mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ return x * Tensor(self.mask, dtype=x.dtype)

# %% Dropout: computed with arrays, so that nothing is recorded
- return x * Tensor(mask, dtype=x.dtype)
+ return Tensor(x.numpy() * mask, dtype=x.dtype)

# %% Dropout: the input is changed in place
- return x * Tensor(mask, dtype=x.dtype)
+ x.data *= mask.astype(x.dtype)
+ return x * 1.0

# %% Dropout: random numbers from NumPy's own generator, which manual_seed does not reach
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (np.random.random(x.shape) >= self.p) / (1 - self.p)

# %% Dropout: normal random numbers where even ones are wanted
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (randn(*x.shape).numpy() >= self.p) / (1 - self.p)
