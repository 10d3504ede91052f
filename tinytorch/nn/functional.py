"""Layers, activations and losses as functions, under PyTorch's names: `import tinytorch.nn.functional as F; F.relu(x)`.

Each calls what the modules of the course export. Where PyTorch's function takes more than that (weights of classes,
groups of channels), the rest is done here, around it.
"""

import math

import numpy as np

from tinytorch._lazy import Core

tensor, activations, layers, losses, spatial, embeddings, attention, residual = (
    Core(name, __name__)
    for name in ("tensor", "activations", "layers", "losses", "spatial", "embeddings", "attention", "residual")
)
transformers = Core("transformers", __name__)

__all__ = [
    "avg_pool2d", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv2d", "cross_entropy", "embedding",
    "gelu", "group_norm", "layer_norm", "linear", "log_softmax", "max_pool2d", "mse_loss", "one_hot", "relu",
    "scaled_dot_product_attention", "sigmoid", "softmax", "softplus", "tanh",
]  # fmt: skip


def __dir__():
    return sorted(__all__)


# Activations


def relu(input, inplace=False):
    check_not_given("relu", "inplace", inplace)
    return activations.relu(input)


def sigmoid(input):
    return activations.sigmoid(input)


def tanh(input):
    return activations.tanh(input)


def gelu(input, approximate="none"):
    return activations.gelu(input, approximate=approximate)


def softmax(input, dim=-1, *, axis=None):
    return activations.softmax(input, axis=dim if axis is None else axis)


def log_softmax(input, dim=-1, *, axis=None):
    return losses.log_softmax(input, axis=dim if axis is None else axis)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta · input)) / beta; where beta · input lies above `threshold`, the input itself."""
    if (beta, threshold) == (1, 20):
        return losses.softplus(input)  # finite for every finite input as it is
    scaled = input * beta
    return tensor.where(scaled > threshold, input, losses.softplus(scaled) / beta)


# Linear


def linear(input, weight, bias=None):
    """input Wᵀ + bias: input (…, in), weight (out, in), bias (out,), as one operation."""
    return layers.linear(input, weight, bias)


# Embeddings


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """Rows of weight (n, d), one for each id of `input` (…): (…, d). The row `padding_idx` gets no gradient.

    Raises ValueError for max_norm, scale_grad_by_freq and sparse, which the course does not have, and for a padding
    row that is not there; TypeError and IndexError as `embeddings.embedding`.
    """
    for name, given in (("max_norm", max_norm is not None), ("scale_grad_by_freq", scale_grad_by_freq)):
        check_not_given("embedding", name, given)
    check_not_given("embedding", "sparse", sparse)
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is none of {rows} rows")
    padding_idx = padding_idx if padding_idx is None else padding_idx % rows
    return embeddings.embedding(weight, ids=np.asarray(input), padding_idx=padding_idx)


def one_hot(tensor, num_classes=-1):
    """Integers (…) as rows of zeros with a 1: int64 (…, num_classes); without a number, the largest id and 1."""
    ids = np.asarray(tensor)
    if num_classes == -1:
        if ids.size == 0:
            raise ValueError("one_hot: no ids to count the classes by; give num_classes")
        num_classes = int(ids.max()) + 1
    return _wrapped(embeddings.one_hot(ids, num_classes).astype(np.int64))


def _wrapped(array):  # where PyTorch's `tensor` hides the module of that name
    return tensor.Tensor.wrap(array)


# Normalization


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """input over its last axes, whose shape is `normalized_shape`: mean 0, variance 1, times weight, plus bias.

    weight, bias: of that shape, or None. Raises ValueError naming the shapes where they do not fit.
    """
    shape = tuple(normalized_shape)
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != shape:
            raise ValueError(f"layer_norm: a {name} of shape {given.shape} for normalized_shape {shape}")
    weight = np.ones(shape, input.dtype) if weight is None else weight
    return transformers.layer_norm(input, weight, bias, eps=eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Groups of channels of each image of (N, C, …), each with mean 0 and variance 1; then weight and bias (C,)."""
    if not input.numel() and input.shape[1] % num_groups == 0:
        return scaled_and_shifted(input, weight, bias)
    return residual.group_norm(input, num_groups, weight, bias, eps)


def scaled_and_shifted(input, weight=None, bias=None):
    """input (N, C, …) times weight (C,) plus bias (C,), each of which may be None."""
    out = input if weight is None else input * residual.along_channels(weight, input)
    return out if bias is None else out + residual.along_channels(bias, input)


# Attention


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """In a boolean attn_mask **True attends** (in MultiheadAttention it leaves out), as in PyTorch.

    query (…, n, d), key (…, m, d) and value (…, m, v) give (…, n, v). dropout_p: the probability with which a weight
    becomes 0. enable_gqa: key and value have fewer heads, axis -3, each for several of the query. Raises ValueError
    for is_causal beside attn_mask, and where n is not m (PyTorch aligns both at the first; causal_mask at the last).
    """
    if enable_gqa:
        key, value = (attention.repeat_heads(x, query.shape[-3]) for x in (key, value))
    return attention.attention_and_weights(query, key, value, attn_mask, is_causal, scale, dropout=dropout_p)[0]


# Losses


def mse_loss(input, target, reduction="mean"):
    return losses.mse_loss(input, target, reduction)


def binary_cross_entropy(input, target, weight=None, *, reduction="mean"):
    """weight: a factor for each entry, or what broadcasts to that."""
    check_weight(weight)
    if weight is None:
        return losses.binary_cross_entropy(input, target, reduction)
    return losses.reduce(losses.binary_cross_entropy(input, target, "none") * weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """weight: a factor for each entry; pos_weight: one for what the target says is positive. Both may broadcast."""
    check_weight(weight)
    if weight is None and pos_weight is None:
        return losses.binary_cross_entropy_with_logits(input, target, reduction)
    if pos_weight is None:
        values = losses.binary_cross_entropy_with_logits(input, target, "none")
    else:
        losses.check_shapes(input, target)
        values = pos_weight * target * losses.softplus(-input) + (1 - target) * losses.softplus(input)
    return losses.reduce(values if weight is None else values * weight, reduction)


def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The negative logarithm of the right class's probability, from logits (N, C, d1, …) or (C,).

    target: integers (N, d1, …) or (), the classes; or floats of the shape of `input`, their probabilities.
    weight: a factor for each class, (C,). ignore_index: a class whose positions cost nothing and do not count.
    label_smoothing: the share of the target that all classes get alike. The mean over classes is weighted, as in
    PyTorch. Raises ValueError where shapes do not fit, TypeError and IndexError as `losses.cross_entropy`.
    """
    check_weight(weight)
    losses.check_reduction(reduction)
    numbers, (classes, positions) = np.asarray(target), _split(input.shape)
    are_shares = numbers.dtype.kind == "f" and numbers.shape != positions
    are_classes = numbers.dtype.kind in "iu"
    is_plain = weight is None and not label_smoothing and len(input.shape) <= 2 and ignore_index not in numbers
    if (are_classes and is_plain) or not (are_classes or are_shares):
        return losses.cross_entropy(input, target, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is between 0 and 1, not {label_smoothing}")
    if weight is not None and np.shape(weight) != (classes,):
        raise ValueError(f"cross_entropy: weight of shape {np.shape(weight)} for {classes} classes; one for each")
    if are_shares:
        values, counts = _of_probabilities(input, target, weight, label_smoothing)
    else:
        values, counts = _of_classes(input, numbers, weight, ignore_index, label_smoothing)
    if reduction == "mean":
        total = values.astype(np.result_type(values.dtype, np.float32)).sum()  # too large for float16, perhaps
        # where no position counts, the mean is NaN, but as in PyTorch its gradient is 0
        return (total / counts if counts else total + math.nan).astype(values.dtype)
    return values.sum() if reduction == "sum" else values.reshape(positions)


def _split(shape):
    """(number of classes, shape of the positions) for logits (C,) or (N, C, d1, …)."""
    if not shape:
        raise ValueError("cross_entropy: logits of shape () have no axis of classes")
    return (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))


def _rows(x):
    """(C,) or (N, C, d1, …) as rows (positions, C)."""
    classes, positions = _split(x.shape)
    moved = x if x.ndim == 1 else x.permute(0, *range(2, x.ndim), 1)
    return moved.reshape(math.prod(positions), classes)


def _of_classes(input, target, weight, ignore_index, smoothing):
    """The loss of each position, and what their mean divides the sum by."""
    classes, positions = _split(input.shape)
    if target.shape != positions:
        raise ValueError(f"logits (N, C, …) go with targets (N, …), not {input.shape} with {target.shape}")
    rows, chosen = _rows(input), target.reshape(-1)
    counted = chosen != ignore_index
    chosen = np.where(counted, chosen, 0)
    values = losses.cross_entropy(rows, chosen, "none")
    factors = counted.astype(input.dtype)
    if weight is not None:
        factors = factors * np.asarray(weight, input.dtype)[chosen]
    values = values * factors
    if smoothing:
        alike = _cost(rows, np.full((1, classes), 1 / classes, input.dtype), weight)
        values = (1 - smoothing) * values + smoothing * (alike * counted.astype(input.dtype))
    return values, float(factors.sum(dtype=np.float64))


def _of_probabilities(input, target, weight, smoothing):
    if np.shape(target) != input.shape:
        shapes = f"the shape of the logits, {input.shape}, not {np.shape(target)}"
        raise ValueError(f"floating targets are probabilities and have {shapes}; classes are integers")
    rows, shares = _rows(input), _rows(tensor.Tensor.wrap(target) if isinstance(target, np.ndarray) else target)
    if smoothing:
        shares = (1 - smoothing) * shares + smoothing / rows.shape[1]
    return _cost(rows, shares, weight), rows.shape[0]


def _cost(rows, shares, weight):
    """-Σ weight · share · log probability over the classes, for each row."""
    costs = -losses.log_softmax(rows, axis=-1) * shares
    return (costs if weight is None else costs * np.asarray(weight, rows.dtype)).sum(axis=-1)


def check_weight(weight):
    if isinstance(weight, str):
        raise TypeError(f"weight is a Tensor, not {weight!r}; pass the reduction by its name: reduction={weight!r}")


# Convolution and pooling


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, kernels="fast"):
    """The convolution of images (N, C, H, W) or (C, H, W) with weight (O, C / groups, kh, kw) and bias (O,).

    padding: a number, a pair, "valid" (none) or "same" (the output is as large as the input; stride 1). dilation: the
    distance between neighbours of the kernel. groups: blocks of channels that do not see each other. Raises ValueError
    naming the shapes where they do not fit.
    """
    stride, dilation = spatial.pair(stride), spatial.pair(dilation)
    check_dilation_and_groups("conv2d", dilation, groups)
    if weight.ndim != 4 or input.ndim not in (3, 4) or input.shape[-3] != groups * weight.shape[1]:
        raise ValueError(f"conv2d: an input of shape {input.shape} does not fit a weight of shape {weight.shape}")
    if weight.shape[0] % groups:
        raise ValueError(f"conv2d: {weight.shape[0]} output channels are no multiple of groups={groups}")
    padding, crop = padding_and_crop(padding, weight.shape[2:], stride, dilation)
    weight = _dilated(weight, dilation)
    settings = {"stride": stride, "padding": padding, "kernels": kernels}
    if groups == 1:
        out = spatial.conv2d(input, weight, bias, **settings)
    else:
        many_in, many_out = weight.shape[1], weight.shape[0] // groups
        parts = []
        for group in range(groups):
            seen, made = (slice(group * many, (group + 1) * many) for many in (many_in, many_out))
            own = None if bias is None else bias[made]
            parts.append(spatial.conv2d(input[..., seen, :, :], weight[made], own, **settings))
        out = tensor.concatenate(parts, axis=-3)
    return out[..., crop[0] :, crop[1] :] if any(crop) else out


def check_dilation_and_groups(layer, dilation, groups):
    """Raise ValueError naming the layer unless all are positive integers."""
    numbers = (*dilation, groups)
    if len(dilation) != 2 or not all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers):
        raise ValueError(f"{layer}: dilation {dilation} and groups {groups} must be integers of at least 1")


def padding_and_crop(padding, kernel_size, stride, dilation):
    """(padding, rows and columns of the output to leave out at the start), both pairs.

    "same" needs one row more below than above where the kernel is even: both sides get the larger padding, and what
    that makes too many is left out.
    """
    if not isinstance(padding, str):
        return spatial.pair(padding), (0, 0)
    if padding not in ("same", "valid"):
        raise ValueError(f"padding is a number, a pair, 'same' or 'valid', not {padding!r}")
    if padding == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ValueError(f"padding='same' needs stride 1, not {stride}")
    total = [step * (size - 1) for step, size in zip(dilation, kernel_size, strict=True)]
    return tuple(rows - rows // 2 for rows in total), tuple(rows % 2 for rows in total)


def _dilated(weight, dilation):
    """The kernels with `dilation` - 1 zeros between neighbours."""
    if dilation == (1, 1):
        return weight
    (o, c, kh, kw), (dh, dw) = weight.shape, dilation
    place = np.zeros((1, dh, 1, dw), weight.dtype)
    place[0, 0, 0, 0] = 1
    spread = (weight.reshape(o, c, kh, 1, kw, 1) * place).reshape(o, c, kh * dh, kw * dw)
    return spread[:, :, : kh * dh - dh + 1, : kw * dw - dw + 1]


def max_pool2d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *, kernels="fast"
):
    """The largest value of each window; the stride is the window's size unless given.

    Raises ValueError for another dilation than 1, ceil_mode and return_indices, which the course does not have.
    """
    for name, given in (("dilation", spatial.pair(dilation) != (1, 1)), ("ceil_mode", ceil_mode)):
        check_not_given("max_pool2d", name, given)
    check_not_given("max_pool2d", "return_indices", return_indices)
    return spatial.max_pool2d(input, kernel_size, _unpacked(stride), _unpacked(padding), kernels=kernels)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
    *, kernels="fast",
):  # fmt: skip
    """The mean of each window, or its sum divided by `divisor_override`. count_include_pad: whether padding counts.

    Raises ValueError for ceil_mode, which the course does not have.
    """
    check_not_given("avg_pool2d", "ceil_mode", ceil_mode)
    stride, padding = _unpacked(stride), _unpacked(padding)
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "kernels": kernels}
    out = spatial.avg_pool2d(input, **settings)
    if divisor_override is not None:
        return out * window_factor(kernel_size, divisor_override)
    if count_include_pad or not any(spatial.pair(padding)):
        return out
    inside = tensor.ones(1, 1, *input.shape[-2:], dtype=out.dtype)
    share = spatial.avg_pool2d(inside, **settings)  # of the window that is no padding
    return out / (share if input.ndim == 4 else share.squeeze(0))


def _unpacked(setting):
    """PyTorch takes (2,) for 2 and () for None, too."""
    is_short = isinstance(setting, (tuple, list)) and len(setting) < 2
    return (setting[0] if setting else None) if is_short else setting


def check_not_given(function, name, given):
    """Raise ValueError for a setting of PyTorch's that says something which the course does not have."""
    if given:
        raise ValueError(f"{function}: {name} is not offered; leave it out")


def window_factor(kernel_size, divisor):
    """What makes a mean over a window a sum divided by `divisor`. Raises ValueError for 0."""
    if divisor == 0:
        raise ValueError("divisor_override must not be 0")
    height, width = spatial.pair(kernel_size)
    return height * width / divisor
