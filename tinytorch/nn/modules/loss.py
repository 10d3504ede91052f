"""Losses of module 04 with PyTorch's settings: weights, ignored classes, smoothing."""

import numpy as np

from tinytorch.core import losses
from tinytorch.core.tensor import Tensor
from tinytorch.nn import functional

MSELoss = losses.MSELoss


def _as_buffer(weight):
    functional.check_weight(weight)
    return weight if weight is None or isinstance(weight, Tensor) else Tensor(np.asarray(weight))


class BCELoss(losses.BCELoss):
    """Binary cross-entropy of probabilities. weight: a factor for each entry, which may broadcast."""

    def __init__(self, weight=None, *, reduction="mean"):
        weight = _as_buffer(weight)
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return functional.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(losses.BCEWithLogitsLoss):
    """Binary cross-entropy of logits. weight: a factor for each entry; pos_weight: one for each positive target."""

    def __init__(self, weight=None, *, reduction="mean", pos_weight=None):
        weight, pos_weight = _as_buffer(weight), _as_buffer(pos_weight)
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class CrossEntropyLoss(losses.CrossEntropyLoss):
    """Cross-entropy of logits (N, C, d1, …) and classes (N, d1, …) or their probabilities (N, C, d1, …).

    weight: a factor for each class. ignore_index: a class whose positions do not count. label_smoothing: the share of
    the target that all classes get alike. It takes logits: a softmax before it is a mistake.
    """

    def __init__(self, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        weight = _as_buffer(weight)
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input, target):
        return functional.cross_entropy(
            input, target, self.weight,
            ignore_index=self.ignore_index, reduction=self.reduction, label_smoothing=self.label_smoothing,
        )  # fmt: skip
