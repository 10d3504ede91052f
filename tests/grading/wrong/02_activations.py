# %% relu: the absolute value
@Op
def relu(x):
    return np.abs(x)

# %% relu: a product with a mask, which makes NaN of minus infinity
@Op
def relu(x):
    return (x * (x > 0)).astype(x.dtype)

# %% relu: a comparison, which makes 0 of NaN
@Op
def relu(x):
    return np.where(x > 0, x, np.zeros_like(x))

# %% relu: integers become floating
@Op
def relu(x):
    return np.maximum(x, 0.0, dtype=result_dtype(x, 0.0))

# %% relu: written into the input
@Op
def relu(x):
    x[x < 0] = 0
    return x

# %% relu: a ceiling at 6
@Op
def relu(x):
    return np.clip(x, 0, 6)

# %% relu: the leaky one
@Op
def relu(x):
    x = np.asarray(x, result_dtype(x, 0))
    return np.maximum(x, (0.01 * x).astype(x.dtype))

# %% relu: the step, not the ramp
@Op
def relu(x):
    return (x > 0).astype(x.dtype)

# %% sigmoid: the textbook's formula, infinite on the way and 0 where it should not be
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))

# %% sigmoid: the other form, NaN for large numbers
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / (1 + np.exp(x))

# %% sigmoid: by way of tanh, which loses the digits of small shares
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    return 0.5 * np.tanh(0.5 * x) + 0.5

# %% sigmoid: one minus the other side, which loses the digits of small shares
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    right = 1 / (1 + np.exp(-np.abs(x)))
    return np.where(x < 0, 1 - right, right)

# %% sigmoid: the input clipped to 50 on either side
@Op
def sigmoid(x):
    x = np.clip(np.asarray(x, result_dtype(x, floating=True)), -50, 50)
    return 1 / (1 + np.exp(-x))

# %% sigmoid: mirrored
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, small, 1) / (1 + small)

# %% sigmoid: the case of negative numbers forgotten
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    return 1 / (1 + np.exp(-np.abs(x)))

# %% sigmoid: always float64
@Op
def sigmoid(x):
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)

# %% sigmoid: always float32
@Op
def sigmoid(x):
    x = np.asarray(x, np.float32)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)

# %% sigmoid: zeros of the right shape and dtype
@Op
def sigmoid(x):
    return np.zeros(np.shape(x), result_dtype(x, floating=True))

# %% softmax_along: nothing subtracted, so that large scores overflow
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    with np.errstate(over="ignore"):
        terms = np.exp(x)
        return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: the largest score of all rows subtracted from each
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(initial=-np.inf))
    return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: always along the last axis
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return terms / terms.sum(axis=-1, keepdims=True)

# %% softmax_along: divided by the sum over all entries
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    return terms / terms.sum()

# %% softmax_along: divided by the mean
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    return terms / terms.mean(axis=axes, keepdims=True)

# %% softmax_along: divided by the largest term
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    return terms / terms.max(axis=axes, keepdims=True, initial=0)

# %% softmax_along: the smallest score subtracted in place of the largest
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    with np.errstate(over="ignore"):
        terms = np.exp(x - x.min(axis=axes, keepdims=True, initial=np.inf))
        return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: no value to start from, so that an empty axis raises
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True))
    return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: the search starts from 0, so that very negative scores underflow together
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True, initial=0))
    return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: a small number added below, so that rows of minus infinity seem to be well
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    peak = np.nan_to_num(x.max(axis=axes, keepdims=True, initial=-np.inf), neginf=0)
    terms = np.exp(x - peak)
    return terms / (terms.sum(axis=axes, keepdims=True) + 1e-8)

# %% softmax_along: always float64
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, np.float64)
    axes = normalize_axes(axis, x.ndim)
    terms = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    return terms / terms.sum(axis=axes, keepdims=True)

# %% softmax_along: the logarithms of the shares
@Op
@np.errstate(invalid="ignore")
def softmax_along(x, *, axis):
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    with np.errstate(divide="ignore"):
        lowered = x - x.max(axis=axes, keepdims=True, initial=-np.inf)
        return lowered - np.log(np.exp(lowered).sum(axis=axes, keepdims=True))

# %% gelu: the square in place of the cube
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x)))

# %% gelu: no half in front
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

# %% gelu: the root of 2 divided by pi
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + np.tanh(math.sqrt(2) / math.pi * (x + 0.044715 * x * x * x)))

# %% gelu: the cubic term forgotten
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * x))

# %% gelu: the exact form under the other name
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return gelu_exact(x)

# %% gelu: the paper's third form, with a sigmoid
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return x / (1 + np.exp(-1.702 * x))

# %% gelu: a NumPy number in the formula, which widens float32
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))

# %% gelu: the share without the number that it belongs to
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

# %% gelu: written into the input
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    x *= 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return x

# %% gelu: computed in float32 whatever comes
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    single = x.astype(np.float32)
    return (0.5 * single * (1 + np.tanh(math.sqrt(2 / math.pi) * (single + 0.044715 * single**3)))).astype(x.dtype)
