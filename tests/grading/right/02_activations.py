# %% relu
@Op
def relu(x):
    result = np.array(x, dtype=result_dtype(x, 0))
    result[result < 0] = 0
    return result

# %% sigmoid
@Op
def sigmoid(x):
    kind = result_dtype(x, floating=True)
    values = np.array(x, dtype=kind)
    result = np.empty(values.shape, kind)
    negative = values < 0
    grown = np.exp(values[negative])
    result[negative] = grown / (1 + grown)
    result[~negative] = 1 / (1 + np.exp(-values[~negative]))
    return result

# %% softmax_along
@Op
@np.errstate(invalid="ignore")
@in_float32
def softmax_along(x, *, axis):
    (place,) = normalize_axes(axis, np.ndim(x))
    scores = np.moveaxis(np.array(x, dtype=result_dtype(x, floating=True)), place, -1)
    if scores.size == 0:
        return np.moveaxis(scores, -1, place)
    largest = scores.max(axis=-1)[..., None]
    terms = np.exp(scores - largest)
    return np.moveaxis(terms / terms.sum(axis=-1)[..., None], -1, place)

# %% in_blocks
def in_blocks(function, x, size):
    flat = x.flatten()
    if flat.size == 0:
        return flat.reshape(x.shape)
    pieces = []
    while flat.size > 0:
        pieces.append(function(flat[:size]))
        flat = flat[size:]
    return np.concatenate(pieces).reshape(x.shape)

# %% relu: where, with the comparison turned round
@Op
def relu(x):
    return np.where(x <= 0, np.zeros((), x.dtype), x)

# %% relu: clipped from below
@Op
def relu(x):
    return np.clip(x, 0, None)

# %% sigmoid: where between 1 and t
@Op
def sigmoid(x):
    x = np.asarray(x, dtype=result_dtype(x, floating=True))
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, np.ones_like(t)) / (1 + t)

# %% sigmoid: a helper for one side, a reflection for NaN and the rest
def one_side(positive):
    return 1 / (1 + np.exp(-positive))


@Op
def sigmoid(x):
    x = np.array(x, dtype=result_dtype(x, floating=True))
    shares = one_side(np.maximum(x, 0))
    below = x < 0
    grown = np.exp(np.minimum(x, 0))
    return np.asarray(np.where(below, grown / (1 + grown), shares), x.dtype)

# %% softmax_along: a loop over the rows
def shares_of_one_row(row):
    if len(row) == 0:
        return row
    terms = np.exp(row - max(row))
    return terms / terms.sum()


@Op
@np.errstate(invalid="ignore")
@in_float32
def softmax_along(x, *, axis):
    x = np.asarray(x, dtype=result_dtype(x, floating=True))
    (place,) = normalize_axes(axis, x.ndim)
    out = np.empty(x.shape, x.dtype)
    for index in np.ndindex(*x.shape[:place], 1, *x.shape[place + 1 :]):
        line = (*index[:place], slice(None), *index[place + 1 :])
        out[line] = shares_of_one_row(x[line])
    return out

# %% softmax_along: an error of one's own, and the shift by where
@Op
@np.errstate(invalid="ignore")
@in_float32
def softmax_along(x, *, axis):
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(f"softmax: there is no axis {axis}, only {x.ndim} of them")
    scores = x.astype(result_dtype(x, floating=True))
    if scores.shape[axis]:
        scores -= np.amax(scores, axis, keepdims=True)
    terms = np.exp(scores)
    return terms / np.add.reduce(terms, axis, keepdims=True)

# %% in_blocks: the number of blocks first, and a full one of the rest
def in_blocks(function, x, size):
    answers = np.zeros(x.size, dtype=x.dtype)
    entries = np.ascontiguousarray(x).ravel()
    whole, rest = divmod(x.size, size)
    for k in range(whole):
        answers[k * size : k * size + size] = function(entries[k * size : k * size + size])
    if rest:
        answers[-rest:] = function(entries[-rest:])
    return answers.reshape(x.shape)

# %% in_blocks: split by NumPy
def in_blocks(function, x, size):
    cuts = range(size, x.size, size)
    blocks = np.split(x.ravel(), cuts)
    return np.hstack([np.asarray(function(block), x.dtype) for block in blocks]).reshape(x.shape)
