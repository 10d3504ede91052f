# %% mse_loss
def mse_loss(input, target, reduction="mean"):
    check_shapes(input, target)
    return reduce((target - input) ** 2, reduction)

# %% log_softmax
@AxisOp
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
    *batch, classes = input.shape
    if len(batch) > 1 or tuple(batch) != labels.shape:
        raise ValueError(f"cannot match logits {tuple(input.shape)} with labels {labels.shape}")
    for spot, label in enumerate(labels.reshape(-1).tolist()):
        if label < 0 or label >= classes:
            raise IndexError(f"label {label} (position {spot}): there are only {classes} classes")
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
