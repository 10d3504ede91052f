# %% walk_parameters
def walk_parameters(module, prefix="", seen=None):
    met = seen if seen is not None else set()
    found = []

    def visit(part, path):
        attributes = list(part.__dict__.items())
        for key, thing in attributes:
            if isinstance(thing, Parameter) and not id(thing) in met:
                met.add(id(thing))
                found.append((".".join(path + [key]), thing))
        for key, thing in attributes:
            if isinstance(thing, Module):
                visit(thing, path + [key])

    visit(module, [prefix] if prefix else [])
    return iter(found)

# %% Linear
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        limit = in_features**-0.5 if in_features > 0 else 0

        def start(*sizes):
            return Parameter(2 * limit * rand(*sizes, dtype=dtype) - limit)

        self.weight = start(out_features, in_features)
        self.bias = None
        if bias:
            self.bias = start(out_features)

    def forward(self, x):
        fits = len(x.shape) > 0 and self.in_features == x.shape[-1]
        if not fits:
            raise ValueError(repr(self) + f" with weights {self.weight.shape} got {x.shape}")
        product = x @ self.weight.transpose(0, 1)
        if self.bias is not None:
            product = self.bias + product
        return product

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Sequential
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        number = 0
        while number < len(layers):
            candidate = layers[number]
            if type(candidate) is type:
                raise TypeError(f"at layer {number}: pass {candidate.__name__}(), not the class itself")
            if not hasattr(candidate, "__call__"):
                raise TypeError(f"at layer {number}: cannot call a {candidate.__class__.__name__}")
            self.__setattr__(f"{number}", candidate)
            number += 1

    def forward(self, x):
        value = x
        for step in range(len(self)):
            value = self[step](value)
        return value

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

# %% xavier_uniform_
def xavier_uniform_(tensor, gain=1.0, generator=None):
    variance = 2 * gain**2 / sum(fan_in_and_fan_out(tensor))
    edge = (3 * variance) ** 0.5
    uniform_(tensor, a=-edge, b=edge, generator=generator)
    return tensor

# %% Dropout
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p >= 0 and p <= 1:
            self.p = p
        else:
            raise ValueError(f"{p} is no probability")

    def forward(self, x):
        if self.training and self.p > 0:
            survivors = rand(*x.shape, dtype=np.float32) >= self.p
            factor = 0.0 if self.p == 1 else 1.0 / (1.0 - self.p)
            return x * (survivors.numpy().astype(x.dtype) * x.dtype.type(factor))
        return x

    def extra_repr(self):
        return f"p={self.p}"

# %% measured_std
def measured_std(z, activation, fan_in):
    def mean_square(tensor):
        return float(np.square(tensor.numpy().astype(np.float64)).mean()) if tensor.numel() else 0.0

    left = mean_square(activation(z))
    if not left > 0:
        raise ValueError(f"{z.shape}: only zeros behind the activation")
    variance = mean_square(z) / left / fan_in
    return variance**0.5

# %% walk_parameters: one pass that sorts the attributes
def walk_parameters(module, prefix="", seen=None):
    if seen is None:
        seen = set()
    own, children = [], []
    for name, value in vars(module).items():
        path = prefix + "." + name if prefix else name
        if isinstance(value, Parameter):
            own.append((path, value))
        elif isinstance(value, Module):
            children.append((path, value))
    for path, parameter in own:
        if id(parameter) not in seen:
            seen |= {id(parameter)}
            yield path, parameter
    for path, child in children:
        yield from walk_parameters(child, prefix=path, seen=seen)

# %% walk_parameters: a stack instead of calls to itself
def walk_parameters(module, prefix="", seen=None):
    met = set() if seen is None else seen
    stack = [(prefix, module)]
    while stack:
        path, part = stack.pop()
        for name, value in part._own(Parameter):
            if id(value) in met:
                continue
            met.add(id(value))
            yield (f"{path}.{name}" if path else name), value
        for name, child in reversed(part._own(Module)):
            stack.append((f"{path}.{name}" if path else name, child))

# %% Linear: filled through its parameters
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(zeros(out_features, in_features, dtype=dtype))
        self.bias = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        if in_features:
            for parameter in self.parameters():
                uniform_(parameter, -1 / math.sqrt(in_features), 1 / math.sqrt(in_features))

    def forward(self, x):
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(f"shapes {x.shape} and {self.weight.shape} do not fit together in {self!r}")
        if self.bias is None:
            return x @ self.weight.T
        return x @ self.weight.T + self.bias

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Linear: one product for all leading axes
def bound_for(count):
    return 0.0 if count == 0 else count ** -0.5


class Linear(Module):
    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        b = bound_for(in_features)
        weight, offset = zeros(out_features, in_features, dtype=dtype), None
        uniform_(weight, -b, b)
        if bias:
            offset = Parameter(uniform_(zeros(out_features, dtype=dtype), -b, b))
        self.weight, self.bias = Parameter(weight), offset

    def forward(self, x):
        try:
            fits = x.shape[-1] == self.in_features
        except IndexError:
            fits = False
        if not fits:
            raise ValueError(f"x has the shape {x.shape}, the weight {self.weight.shape}, in {self}")
        rows = math.prod(x.shape[:-1])
        out = x.reshape(rows, self.in_features) @ self.weight.transpose(0, 1)
        if self.bias is not None:
            out = out + self.bias
        return out.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

# %% Sequential: checked first, then named
class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            fault = layer.__name__ if isinstance(layer, type) else type(layer).__name__
            if isinstance(layer, type) or not callable(layer):
                raise TypeError(f"number {i} (counted from 0) is no layer but {fault}")
        for i, layer in enumerate(layers):
            vars(self)[str(i)] = layer

    def forward(self, x):
        for _, layer in self._rows():
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

# %% Sequential: the chain as a fold
from functools import reduce


def checked(i, layer):
    if isinstance(layer, type):
        raise TypeError(f"{layer.__name__} at {i} has to be called to give a layer")
    if not callable(layer):
        raise TypeError(f"a {type(layer).__name__} at {i} cannot be called")
    return layer


class Sequential(Module):
    def __init__(self, *layers):
        super().__init__()
        for i in range(len(layers)):
            setattr(self, f"{i}", checked(i, layers[i]))

    def forward(self, x):
        return reduce(lambda value, layer: layer(value), list(self), x)

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

# %% measured_std: Tensors to the end, also what is returned
def measured_std(z, activation, fan_in):
    signal = activation(z)
    power = (signal * signal).sum()
    if power.item() == 0:
        raise ValueError(f"a sample of shape {z.shape} leaves nothing to scale")
    gain = ((z**2).sum() / power) ** 0.5
    return gain / math.sqrt(fan_in)

# %% measured_std: norms
def measured_std(z, activation, fan_in):
    before = np.linalg.norm(z.numpy().astype(np.float64))
    after = np.linalg.norm(activation(z).numpy().astype(np.float64))
    if after == 0.0:
        raise ValueError("no signal in " + str(z.shape))
    return before / (after * fan_in**0.5)

# %% xavier_uniform_: numbers between 0 and 1 first
def xavier_uniform_(tensor, gain=1.0, generator=None):
    fans = fan_in_and_fan_out(tensor)
    mean_of_both = (fans[0] + fans[1]) / 2
    b = gain * math.sqrt(3 / mean_of_both)
    uniform_(tensor, 0, 1, generator)
    tensor.data *= 2 * b
    tensor.data -= b
    return tensor

# %% xavier_uniform_: its own draw
def xavier_uniform_(tensor, gain=1.0, generator=None):
    variance = gain * gain / np.mean(fan_in_and_fan_out(tensor))
    numbers = rand(*tensor.shape, dtype=tensor.dtype, generator=generator).numpy()
    tensor.data[...] = (2 * numbers - 1) * float(np.sqrt(3 * variance))
    return tensor

# %% Dropout: the mask scaled in the dtype of x
class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not (p >= 0 and p <= 1):
            raise ValueError(f"p is {p}")
        self.p = p

    def forward(self, x):
        if self.p == 0 or not self.training:
            return x
        keep = Tensor(rand(*x.shape).numpy() >= self.p, dtype=x.dtype)
        if self.p < 1:
            keep = keep / (1 - self.p)
        return x * keep

    def extra_repr(self):
        return f"p={self.p}"

# %% Dropout: entries of a mask of zeros are filled where they are kept
def is_probability(number):
    return number in (0, 1) or 0 < number < 1


class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if is_probability(p):
            self.p = p
        else:
            raise ValueError(f"not a probability: {p}")

    def forward(self, x):
        if self.training:
            mask = np.zeros(x.shape, x.dtype)
            if self.p != 1:
                mask[rand(*x.shape).numpy() >= self.p] = 1 / (1 - self.p)
            return x * Tensor(mask, dtype=x.dtype)
        return x

    def extra_repr(self):
        return f"p={self.p}"
