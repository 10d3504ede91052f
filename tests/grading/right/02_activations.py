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
def softmax_along(x, *, axis):
    (place,) = normalize_axes(axis, np.ndim(x))
    scores = np.moveaxis(np.array(x, dtype=result_dtype(x, floating=True)), place, -1)
    if scores.size == 0:
        return np.moveaxis(scores, -1, place)
    largest = scores.max(axis=-1)[..., None]
    terms = np.exp(scores - largest)
    return np.moveaxis(terms / terms.sum(axis=-1)[..., None], -1, place)

# %% gelu
@Op
@np.errstate(over="ignore", invalid="ignore")
def gelu(x, *, approximate="none"):
    """x times the share of a normal distribution that lies below x (Hendrycks and Gimpel, 2016).

    approximate: "none" for the exact form, "tanh" for the paper's second one, at most 5e-4 apart. Raises ValueError for
    another word.
    """
    x = np.asarray(x, result_dtype(x, floating=True))
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    slope = math.sqrt(2 / math.pi)
    bent = slope * (x + 0.044715 * x * x * x)
    share = (1 + np.tanh(bent)) / 2
    return x * share
