"""Normalization of module 21 with PyTorch's settings: a weight without a bias, a batch without images."""

from tinytorch.core import residual
from tinytorch.nn import functional


class _WithSettings:
    """What PyTorch's layers have besides: `bias`, and an input without entries, whose result is as empty."""

    def _without_bias(self, bias):
        if not bias:
            self.bias = None

    def forward(self, input):
        if input.numel():
            return super().forward(input)
        self.check(input)
        batches = getattr(self, "num_batches_tracked", None)
        if self.training and batches is not None:
            batches.data[...] = batches.item() + 1
        return functional.scaled_and_shifted(input, self.weight, self.bias)

    def extra_repr(self):
        affine = f"affine={self.affine}"
        return super().extra_repr().replace(affine, f"{affine}, bias={self.bias is not None}")


class _BatchNorm(_WithSettings):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self._without_bias(bias)


class BatchNorm1d(_BatchNorm, residual.BatchNorm1d):
    __doc__ = residual.BatchNorm1d.__doc__


class BatchNorm2d(_BatchNorm, residual.BatchNorm2d):
    __doc__ = residual.BatchNorm2d.__doc__


class GroupNorm(_WithSettings, residual.GroupNorm):
    __doc__ = residual.GroupNorm.__doc__

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, bias=True):
        super().__init__(num_groups, num_channels, eps, affine)
        self._without_bias(bias)
