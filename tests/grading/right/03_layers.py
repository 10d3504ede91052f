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

# %% fan_in_and_fan_out
def fan_in_and_fan_out(tensor):
    sizes = list(tensor.shape)
    if len(sizes) <= 1:
        raise ValueError(f"a weight has two axes or more, this one has the shape {tensor.shape}")
    area = 1
    for side in sizes[2:]:
        area *= side
    return (area * sizes[1], area * sizes[0])

# %% xavier_uniform_
def xavier_uniform_(tensor, gain=1.0, generator=None):
    variance = 2 * gain**2 / sum(fan_in_and_fan_out(tensor))
    edge = (3 * variance) ** 0.5
    uniform_(tensor, a=-edge, b=edge, generator=generator)
    return tensor

# %% kaiming_std
def kaiming_std(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    both = fan_in_and_fan_out(tensor)
    if mode == "fan_in":
        chosen = both[0]
    elif mode == "fan_out":
        chosen = both[1]
    else:
        raise ValueError(f"unknown mode {mode}")
    return calculate_gain(nonlinearity, a) * chosen**-0.5

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
