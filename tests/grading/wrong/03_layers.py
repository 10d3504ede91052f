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

# %% Linear: normal instead of uniform numbers
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
-     raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")

# %% Linear: computed with arrays, so that nothing is recorded
- out = x @ self.weight.T
- return out if self.bias is None else out + self.bias
+ out = Tensor(x.numpy() @ self.weight.numpy().T)
+ return out if self.bias is None else Tensor(out.numpy() + self.bias.numpy())

# %% Linear: a layer without inputs divides by zero
- bound = 1 / math.sqrt(in_features) if in_features else 0.0
+ bound = 1 / math.sqrt(in_features)

# %% Linear: the product is computed with arrays and only the bias is recorded
- out = x @ self.weight.T
+ out = Tensor(x.numpy() @ self.weight.numpy().T, dtype=x.dtype)

# %% Linear: the bias is added as an array, so that it alone cannot be trained
- return out if self.bias is None else out + self.bias
+ return out if self.bias is None else out + self.bias.numpy()

# %% Linear: the input is taken as an array, so that nothing gets back through the layer
- out = x @ self.weight.T
+ out = Tensor(x.numpy(), dtype=x.dtype) @ self.weight.T

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
-         raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")
-     if not callable(layer):
-         raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called")
+     if isinstance(layer, type) or not callable(layer):
+         raise TypeError(f"Sequential: layer {i} is {getattr(layer, '__name__', type(layer).__name__)}, no layer")
+ self.steps = layers
+ for i, layer in enumerate([layer for layer in layers if isinstance(layer, Module)]):

- for layer in self:
+ for layer in self.steps:

# %% Sequential: the layers in a list, where no module finds them
-     if isinstance(layer, type):
-         raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")
-     if not callable(layer):
-         raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called")
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
-     raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")

# %% Sequential: nothing is checked
- if isinstance(layer, type):
-     raise TypeError(f"Sequential: layer {i} is the class {layer.__name__}, not an instance of it")
- if not callable(layer):
-     raise TypeError(f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called")

# %% Sequential: the applied order is that of the sorted names, in which 10 comes before 2
- for layer in self:
+ for _, layer in sorted(self._rows()):

# %% measured_std: the mean square of z is taken to be 1
- return math.sqrt(before / (behind * fan_in))
+ return math.sqrt(z.numel() / (behind * fan_in))

# %% measured_std: the variance behind the activation instead of the mean square
- return math.sqrt(before / (behind * fan_in))
+ behind = z.numel() * activation(z).numpy().var()
+ return math.sqrt(before / (behind * fan_in))

# %% measured_std: upside down
- return math.sqrt(before / (behind * fan_in))
+ return math.sqrt(behind / (before * fan_in))

# %% measured_std: fan_in is left outside of the root
- return math.sqrt(before / (behind * fan_in))
+ return math.sqrt(before / behind) / fan_in

# %% measured_std: mean sizes instead of mean squares
- before, behind = (z * z).sum().item(), (activation(z) ** 2).sum().item()
+ before, behind = z.abs().sum().item(), activation(z).abs().sum().item()

- return math.sqrt(before / (behind * fan_in))
+ return before / behind / math.sqrt(fan_in)

# %% measured_std: Kaiming's gain for every activation
- return math.sqrt(before / (behind * fan_in))
+ return math.sqrt(2 / fan_in)

# %% measured_std: the product is left to be infinite where nothing comes through
def measured_std(z, activation, fan_in):
    before, behind = (z * z).sum().item(), (activation(z) ** 2).sum().item()
    return math.sqrt(before / (behind * fan_in)) if behind else math.inf

# %% measured_std: z without entries gives nan
- if behind == 0:
+ if not z.numel():
+     return math.nan
+ if behind == 0:

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

# %% xavier_uniform_: the sum of the fans where their mean is meant
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = gain * math.sqrt(3 / (fan_in + fan_out))

# %% xavier_uniform_: the mean of 1/fan_in and 1/fan_out instead of 1 over the mean
- bound = gain * math.sqrt(6 / (fan_in + fan_out))
+ bound = gain * math.sqrt(3 * (1 / fan_in + 1 / fan_out) / 2)

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

# %% Dropout: normal random numbers where uniform ones are wanted
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (randn(*x.shape).numpy() >= self.p) / (1 - self.p)

# %% Dropout: arrays without axes are not met
- mask = (rand(*x.shape).numpy() >= self.p) / (1 - self.p)
+ mask = (rand(len(x), *x.shape[1:]).numpy() >= self.p) / (1 - self.p)
