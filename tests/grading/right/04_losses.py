# %% mse_loss
def mse_loss(input, target, reduction="mean"):
    check_shapes(input, target)
    return reduce((target - input) ** 2, reduction)

# %% log_softmax
@AxisOp
@in_float32
def log_softmax(x, *, axis):
    (place,) = normalize_axes(axis, x.ndim)
    rows = np.moveaxis(np.array(x, dtype=result_dtype(x, floating=True)), place, -1)
    with np.errstate(all="ignore"):
        top = rows.max(-1, initial=-np.inf)[..., None]
        total = np.add.reduce(np.exp(rows - top), axis=-1)[..., None]
        answer = rows - top
        answer -= np.log(total)
    return np.moveaxis(answer, -1, place)

# %% cross_entropy
def cross_entropy(input, target, reduction="mean"):
    labels = target.numpy() if hasattr(target, "numpy") else np.array(target)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"cross_entropy wants whole numbers as targets and got {labels.dtype}")
    batch, classes = input.shape[:-1], input.shape[-1:]
    if not classes or len(batch) > 1 or tuple(batch) != labels.shape:
        raise ValueError(f"cannot match logits {tuple(input.shape)} with labels {labels.shape}")
    for spot, label in enumerate(labels.reshape(-1).tolist()):
        if label < 0 or label >= classes[0]:
            raise IndexError(f"label {label} (position {spot}): there are only {classes[0]} classes")
    scores = log_softmax(input, axis=len(batch))
    chosen = scores[np.arange(batch[0]), labels] if batch else scores[int(labels)]
    return reduce(0 - chosen, reduction)

# %% softplus
@Op
def softplus(x):
    return np.logaddexp(np.zeros_like(x, result_dtype(x, floating=True)), x, dtype=result_dtype(x, floating=True))

# %% binary_cross_entropy_with_logits
def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    check_shapes(input, target)
    when_yes, when_no = softplus(0 - input), softplus(input)
    each = when_no * (1 - target) + when_yes * target
    return reduce(each, reduction)

# %% bce_terms
@Op
def bce_terms(p, y):
    kind = result_dtype(p, y, floating=True)
    chance, label = (np.array(part, dtype=kind) for part in (p, y))
    for part in (chance, label):
        bad = np.isnan(part) | (part < 0) | (part > 1)
        if bad.any():
            raise ValueError(f"expected numbers in [0, 1] but found {part[bad][0]}")
    with np.errstate(divide="ignore"):
        yes, no = (np.clip(logarithm, -100, None) for logarithm in (np.log(chance), np.log1p(-chance)))
    return -(label * yes + (1 - label) * no)

# %% accuracy
def accuracy(logits, targets):
    guesses = np.array(logits).argmax(-1)
    truth = np.array(targets)
    if guesses.shape != truth.shape:
        raise ValueError(f"{np.shape(logits)} logits for {np.shape(targets)} targets")
    hits = [guess == label for guess, label in zip(guesses.ravel().tolist(), truth.ravel().tolist(), strict=True)]
    return sum(hits) / len(hits) if hits else float("nan")

# %% mse_loss: by steps, the guard last but before any arithmetic
def mse_loss(input, target, reduction="mean"):
    if np.shape(input) != np.shape(target):
        raise ValueError(f"the loss needs two equal shapes and got {np.shape(input)} and {np.shape(target)}")
    errors = input - target
    squares = errors**2
    return reduce(squares, reduction)

# %% mse_loss: the reduction written out
def mse_loss(input, target, reduction="mean"):
    check_shapes(input, target)
    check_reduction(reduction)
    squares = (input - target) * (input - target)
    if reduction == "sum":
        return squares.sum()
    return squares.mean() if reduction == "mean" else squares

# %% log_softmax: row by row with a helper
def of_one_row(row):
    if row.size == 0:
        return row
    lowered = row - max(row)
    return lowered - np.log(np.sum(np.exp(lowered)))


@AxisOp
@in_float32
def log_softmax(x, *, axis):
    (place,) = normalize_axes(axis, x.ndim)
    x = np.asarray(x, dtype=result_dtype(x, floating=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.apply_along_axis(of_one_row, place, x) if x.size else x.copy()

# %% log_softmax: an error of one's own, and the shift in place
@AxisOp
@in_float32
def log_softmax(x, *, axis):
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(f"there are {x.ndim} axes and no axis {axis}")
    values = np.array(x, dtype=result_dtype(x, floating=True))
    if values.shape[axis] == 0:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        values -= np.amax(values, axis, keepdims=True)
        values -= np.log(np.exp(values).sum(axis, keepdims=True))
    return values

# %% cross_entropy: a helper for the checks, other words, and a table that hides what does not count
def checked(shape, labels):
    if labels.dtype.kind not in "ui":
        raise TypeError(f"class numbers have to be whole, these are {labels.dtype}")
    if len(shape) == 0 or len(shape) > 2 or labels.shape != tuple(shape[:-1]):
        raise ValueError(f"shapes: logits {tuple(shape)}, labels {labels.shape}")
    for row, label in enumerate(labels.ravel().tolist()):
        if not 0 <= label < shape[-1]:
            raise IndexError(f"row {row}: class {label} does not exist, C = {shape[-1]}")
    return labels


def cross_entropy(input, target, reduction="mean"):
    labels = checked(input.shape, np.asarray(target))
    rows = input.reshape(-1, input.shape[-1])
    picked = log_softmax(rows, axis=1)[np.arange(labels.size), labels.ravel()]
    return reduce(-picked.reshape(*labels.shape), reduction)

# %% cross_entropy: the mask in one line, the facts as a list
def cross_entropy(input, target, reduction="mean"):
    target = np.array(target)
    if not (np.issubdtype(target.dtype, np.signedinteger) or np.issubdtype(target.dtype, np.unsignedinteger)):
        raise TypeError(f"dtype {target.dtype.name}: expected integers")
    if input.ndim not in (1, 2) or input.shape[:-1] != target.shape:
        raise ValueError(f"{input.shape} does not fit {target.shape}")
    flat = target.reshape(-1)
    wrong = (flat < 0) + (flat >= input.shape[-1])
    if wrong.any():
        first = int(np.argmax(wrong))
        raise IndexError(f"value: {flat[first]}, position: {first}, classes: {input.shape[-1]}")
    logp = log_softmax(input, axis=-1)
    index = target if input.ndim == 1 else (np.arange(len(target)), target)
    return reduce(-1 * logp[index], reduction)

# %% softplus: the two signs through masks
@Op
def softplus(x):
    x = np.asarray(x, result_dtype(x, floating=True))
    out = np.empty(x.shape, x.dtype)
    positive = x > 0
    out[positive] = x[positive] + np.log1p(np.exp(-x[positive]))
    out[~positive] = np.log1p(np.exp(x[~positive]))
    return out

# %% softplus: the larger, plus log1p of e to the power of smaller minus larger
@Op
def softplus(x):
    x = np.asarray(x, dtype=result_dtype(x, floating=True))
    larger, smaller = np.maximum(x, 0), np.minimum(x, 0)
    return larger + np.log1p(np.exp(np.where(x > 0, -larger, smaller)))

# %% binary_cross_entropy_with_logits: a helper for each answer
def costs(logits):
    return softplus(-1 * logits), softplus(logits)


def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    check_shapes(input, target)
    yes, no = costs(input)
    return reduce(yes * target + no * (1.0 - target), reduction)

# %% binary_cross_entropy_with_logits: the two answers reduced on their own
def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    check_shapes(input, target)
    yes = reduce(softplus(input * -1) * target, reduction)
    return reduce((1 - target) * softplus(input), reduction) + yes

# %% binary_cross_entropy_with_logits: in one piece, where a target of 1 cancels exactly
def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    check_shapes(input, target)
    positive = (input + input.abs()) * 0.5
    return reduce(positive - input * target + softplus(-input.abs()), reduction)

# %% bce_terms: entry by entry
@Op
def bce_terms(p, y):
    dtype = result_dtype(p, y, floating=True)
    p, y = np.asarray(p, dtype), np.asarray(y, dtype)
    out = np.empty(p.shape, dtype)
    for place in np.ndindex(*p.shape):
        for value in (p[place], y[place]):
            if not 0 <= value <= 1:
                raise ValueError(f"{value} does not lie in [0, 1]")
        with np.errstate(divide="ignore"):
            yes, no = max(np.log(p[place]), -100), max(np.log1p(-p[place]), -100)
        out[place] = -y[place] * yes - (1 - y[place]) * no
    return out

# %% bce_terms: the bounds by where, the interval in other brackets
@Op
def bce_terms(p, y):
    kind = result_dtype(p, y, floating=True)
    p, y = p.astype(kind), y.astype(kind)
    both = np.concatenate([p.ravel(), y.ravel()])
    inside = np.logical_and(both >= 0, both <= 1)
    if not inside.all():
        raise ValueError(f"probabilities are numbers from (0, 1), ends included, and not {both[~inside].flat[0]}")
    with np.errstate(divide="ignore"):
        yes, no = np.log(p), np.log1p(-p)
    yes, no = np.where(yes < -100, kind.type(-100), yes), np.where(no < -100, kind.type(-100), no)
    return -(y * yes) - (1 - y) * no

# %% accuracy: the mean in float64
def accuracy(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"no targets of shape {targets.shape} for logits of shape {logits.shape}")
    hits = np.argmax(logits, axis=-1) == targets
    return float(hits.mean(dtype=np.float64)) if hits.size else math.nan

# %% accuracy: flat rows and a count
def accuracy(logits, targets):
    scores, wanted = np.array(logits), np.array(targets)
    if scores.ndim == 0 or scores.shape[:-1] != wanted.shape:
        raise ValueError(f"{scores.shape} and {wanted.shape} do not go together")
    if wanted.size == 0:
        return float("nan")
    right = 0
    for row, label in zip(scores.reshape(-1, scores.shape[-1]), wanted.ravel(), strict=True):
        right += int(row.argmax() == label)
    return right / wanted.size
