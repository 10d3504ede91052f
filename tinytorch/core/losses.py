"""Losses: What training makes small: squared error and cross-entropies that stay finite at any logit.

Exported from module 04_losses by tito export. Edit the notebook of that module, not this file.
"""

import math

import numpy as np

from ..kernels.precision import in_float32
from .layers import Module
from .tensor import Op, normalize_axes, result_dtype

__all__ = [
    "check_reduction", "reduce", "check_shapes", "mse_loss", "AxisOp", "log_softmax", "cross_entropy", "softplus",
    "binary_cross_entropy_with_logits", "bce_terms", "binary_cross_entropy", "Loss", "MSELoss", "CrossEntropyLoss",
    "BCELoss", "BCEWithLogitsLoss", "accuracy",
]


def check_reduction(reduction):
    """Raise ValueError unless `reduction` is one of the three words."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def reduce(values, reduction):
    """The mean or the sum of a Tensor's entries, of shape (), or for "none" the Tensor itself.

    The mean over no entries is nan. Raises ValueError for another word.
    """
    check_reduction(reduction)
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def check_shapes(input, target):
    """Raise ValueError naming both shapes unless they are equal."""
    if np.shape(input) != np.shape(target):
        raise ValueError(
            f"input has shape {np.shape(input)} and target {np.shape(target)}: a loss compares entry with "
            "entry, so they must be equal; reshape one of them"
        )


def mse_loss(input, target, reduction="mean"):
    """The squared difference of each entry of `input` and `target`, reduced ("mean", "sum" or "none").

    Raises ValueError naming both shapes where they differ.
    """
    check_shapes(input, target)
    difference = input - target
    return reduce(difference * difference, reduction)


class AxisOp(Op):
    """An operation along one axis: by position, as `axis`, or as PyTorch's `dim`; if not given, the last."""

    def __call__(self, x, axis=-1, *, dim=None):
        return super().__call__(x, axis=axis if dim is None else dim)


@AxisOp
@in_float32
def log_softmax(x, *, axis):
    """The logarithm of softmax along `axis` (or PyTorch's `dim`), by log-sum-exp: finite for finite x."""
    axes = normalize_axes(axis, x.ndim)
    x = x.astype(result_dtype(x, floating=True), copy=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = x - x.max(axis=axes, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True))


def cross_entropy(input, target, reduction="mean"):
    """The negative logarithm of the right class's probability, reduced ("mean", "sum" or "none").

    input: logits of shape (N, C) or (C,). target: integers from 0 to C - 1, of shape (N,) or ().
    Raises TypeError for targets that are not integers, ValueError naming both shapes where they do not fit,
    IndexError for a number that is no class. Several axes of positions: reshape to (N, C) first.
    """
    target = np.asarray(target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"targets are integers, not {target.dtype}; from one-hot rows: argmax(axis=1)")
    if len(input.shape) not in (1, 2) or target.shape != input.shape[:-1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {input.shape} with {target.shape}")
    classes = input.shape[-1]
    no_class = np.flatnonzero((target < 0) | (target >= classes))
    if no_class.size:
        place = no_class[0]
        raise IndexError(f"target {target.flat[place]} at position {place} is none of the {classes} classes")
    log_probability = log_softmax(input, axis=-1)[(*np.indices(target.shape), target)]
    return reduce(-log_probability, reduction)


@Op
def softplus(x):
    """log(1 + exp(x)), entry by entry: finite for every finite x, precise for negative x.

    Its slope is sigmoid(x), smooth also at 0; as one operation it gets that rule in module 05.
    """
    x = np.asarray(x, result_dtype(x, floating=True))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    """Binary cross-entropy of the probabilities sigmoid(input), from the logits, reduced.

    target: 0, 1 or between, of the same shape. reduction: "mean", "sum" or "none".
    Raises ValueError naming both shapes where they differ.
    """
    check_shapes(input, target)
    return reduce(target * softplus(-input) + (1 - target) * softplus(input), reduction)


@Op
def bce_terms(p, y):
    """-y log p - (1 - y) log(1 - p), entry by entry, each logarithm at least -100.

    Raises ValueError for an entry outside [0, 1]. Its slope over p is taken as PyTorch's,
    (p - y) / max(p (1 - p), 1e-12), which is finite where p is 0 or 1.
    """
    dtype = result_dtype(p, y, floating=True)
    p, y = np.asarray(p, dtype), np.asarray(y, dtype)
    for name, values in (("input", p), ("target", y)):
        outside = values[~((values >= 0) & (values <= 1))]
        if outside.size:
            message = f"{name} holds {outside[0]}, but probabilities lie in [0, 1]"
            raise ValueError(f"{message}; logits go to binary_cross_entropy_with_logits")
    with np.errstate(divide="ignore"):
        return (y - 1) * np.maximum(np.log1p(-p), -100) - y * np.maximum(np.log(p), -100)


def binary_cross_entropy(input, target, reduction="mean"):
    """Binary cross-entropy of the probabilities `input`, reduced. target: 0, 1 or between, of the same shape.

    No entry costs more than 100. Raises ValueError naming both shapes where they differ, or an entry
    outside [0, 1].
    """
    check_shapes(input, target)
    return reduce(bce_terms(input, target), reduction)


class Loss(Module):
    """A loss as a Module: `loss(input, target)`. reduction: "mean", "sum" or "none"."""

    def __init__(self, reduction="mean"):
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """Squared error between two Tensors of the same shape."""

    def forward(self, input, target):
        return mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits (N, C) and integer targets (N,). A softmax before it is a mistake."""

    def forward(self, input, target):
        return cross_entropy(input, target, self.reduction)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities. BCEWithLogitsLoss is better: it keeps its digits."""

    def forward(self, input, target):
        return binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits."""

    def forward(self, input, target):
        return binary_cross_entropy_with_logits(input, target, self.reduction)


def accuracy(logits, targets):
    """The share of right answers, a float: rows of `logits` (…, C) whose largest entry is at their target.

    targets: integers, of the shape of `logits` without its last axis. nan over no rows.
    Raises ValueError naming both shapes where they do not fit.
    """
    logits, targets = np.asarray(logits), np.asarray(targets)
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {logits.shape} with {targets.shape}")
    if targets.size == 0:
        return math.nan
    return int(np.count_nonzero(logits.argmax(axis=-1) == targets)) / targets.size
