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

# %% sigmoid: both forms for every entry, chosen afterwards
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))

# %% sigmoid: by logarithms, with an invalid value on the way at infinity
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    return np.exp(x - np.logaddexp(0, x, dtype=x.dtype))

# %% sigmoid: into its own temporary, which is no array where x has the shape ()
@Op
def sigmoid(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    small = -np.abs(x)
    np.exp(small, out=small)
    return np.where(x >= 0, 1, small) / (1 + small)

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

# %% softmax_along: by the logarithm of the sum, which is one of 0 along an empty axis
  axes = normalize_axes(axis, x.ndim)
- peak = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
- shares = np.subtract(x, peak, out=np.empty_like(x))
- np.exp(shares, out=shares)
- shares /= np.sum(shares, axis=axes, keepdims=True)
- return shares
+ lowered = x - np.max(x, axis=axes, keepdims=True, initial=-np.inf)
+ return np.exp(lowered - np.log(np.sum(np.exp(lowered), axis=axes, keepdims=True)))

# %% softmax_along: every warning silenced by a formula that overflows
- peak = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
+ peak = np.zeros(1, x.dtype)

# %% in_blocks: everything at once
- for start in range(0, entries.size, size):
-     results[start : start + size] = function(entries[start : start + size])
+ results[:] = function(entries)

# %% in_blocks: entry by entry
- for start in range(0, entries.size, size):
-     results[start : start + size] = function(entries[start : start + size])
+ for start in range(entries.size):
+     results[start : start + 1] = function(entries[start : start + 1])

# %% in_blocks: whole blocks only, so that the last entries are missing
- for start in range(0, entries.size, size):
+ for start in range(0, entries.size - size + 1, size):

# %% in_blocks: an empty call at the end
- for start in range(0, entries.size, size):
+ for start in range(0, entries.size + 1, size):

# %% in_blocks: a result laid out like x, whose flat form may be a copy
- out = np.empty(x.shape, x.dtype)
+ out = np.empty_like(x)

# %% in_blocks: written into the input
- out = np.empty(x.shape, x.dtype)
+ out = x

# %% in_blocks: row by row, whatever the size
- entries, results = x.reshape(-1), out.reshape(-1)
- for start in range(0, entries.size, size):
-     results[start : start + size] = function(entries[start : start + size])
+ if x.ndim < 2:
+     return function(x)
+ for row, place in zip(x, out, strict=True):
+     place[...] = function(row)

# %% in_blocks: the result stays flat
- return out
+ return results

# %% in_blocks: the entries in the order of memory, not of the index
- entries, results = x.reshape(-1), out.reshape(-1)
+ entries, results = x.ravel(order="K"), out.reshape(-1)

# %% in_blocks: as many blocks as the size says
- for start in range(0, entries.size, size):
-     results[start : start + size] = function(entries[start : start + size])
+ step = max(1, entries.size // size)
+ for start in range(0, entries.size, step):
+     results[start : start + step] = function(entries[start : start + step])

# %% in_blocks: blocks that overlap by one entry
- for start in range(0, entries.size, size):
+ for start in range(0, entries.size, max(1, size - 1)):

# %% in_blocks: one axis only
- entries, results = x.reshape(-1), out.reshape(-1)
+ entries, results = x, out
