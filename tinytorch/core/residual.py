"""Residual networks: Batch and group normalization with their gradients, residual blocks, and ResNet-20: depth that
trains.

Exported from module 21_residual by tito export. Edit the notebook of that module, not this file.
"""

import math

import numpy as np

from .activations import relu
from .layers import Linear, Module, Parameter, Sequential, normal_
from .spatial import Conv2d, conv2d
from .tensor import Op, Tensor, concatenate, ones, zeros

__all__ = [
    "channel_sum", "along_channels", "channel_statistics", "batch_norm", "batch_norm_gradient", "BatchNorm",
    "BatchNorm1d", "BatchNorm2d", "group_norm", "GroupNorm", "ResidualBlock", "GlobalAvgPool2d", "ResNet",
    "fold_batch_norm", "DepthwiseConv2d", "SeparableBlock",
]


def channel_sum(*arrays):
    """The sum over all axes but the second of the product of arrays (N, C, …): shape (C,)."""
    axes = list(range(arrays[0].ndim))
    factors = [part for array in arrays for part in (array, axes)]
    return np.einsum(*factors, [0, 1]).sum(axis=0)  # two short sums round less than a long one


def along_channels(values, x):
    """`values` (C,), array or Tensor, in the shape that broadcasts along the second axis of x (N, C, …)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def channel_statistics(x):
    """(mean, variance) of each channel of x (N, C, …), each (C,); the variance divides by their number."""
    count = x.size // x.shape[1]
    mean = channel_sum(x) / count
    centred = x - along_channels(mean, x)
    return mean, channel_sum(centred, centred) / count


@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    """Each channel of x (N, C, …) with mean 0 and variance 1, times weight plus bias, (C,) or None.

    statistics: channel_statistics(x), where it is known (Ioffe and Szegedy 2015).
    """
    mean, variance = channel_statistics(x) if statistics is None else statistics
    scale = 1 / np.sqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    out = x - along_channels(mean, x)
    out *= along_channels(scale, x)
    if bias is not None:
        out += along_channels(bias, x)
    return out


@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    """The gradients of x, weight and bias; mean and variance are functions of x."""
    count = x.size // x.shape[1]
    mean, variance = channel_statistics(x) if statistics is None else statistics
    inverse = 1 / np.sqrt(variance + eps)
    for_x = x - along_channels(mean, x)
    for_bias, for_weight = channel_sum(grad), channel_sum(grad, for_x) * inverse
    for_x *= along_channels(-inverse * for_weight / count, x)
    for_x += grad
    for_x -= along_channels(for_bias / count, x)
    for_x *= along_channels(inverse if weight is None else inverse * weight, x)
    return for_x, for_weight, for_bias


class BatchNorm(Module):
    """Normalization of each channel of (N, C, …), by the batch or by running statistics.

    momentum: the share of a batch in the running statistics; None: their mean over all batches. Raises
    ValueError for an input that does not fit, and for one value a channel where the batch normalizes itself.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        is_kept = track_running_stats
        self.register_buffer("running_mean", zeros(num_features) if is_kept else None)
        self.register_buffer("running_var", ones(num_features) if is_kept else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0)) if is_kept else None)

    def check(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.num_features} channels")

    def update(self, mean, variance, count):
        """Move the running statistics towards those of a batch with `count` values a channel."""
        self.num_batches_tracked.data[...] += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        unbiased = variance * (count / (count - 1))
        for buffer, new in ((self.running_mean, mean), (self.running_var, unbiased)):
            buffer.data += share * (new - buffer.data)

    def forward(self, x):
        self.check(x)
        if self.training or self.running_mean is None:
            count = x.data.size // self.num_features
            if count < 2:
                raise ValueError(f"{self}: one value a channel has no variance, input {x.shape}")
            statistics = channel_statistics(x.data)
            if self.training and self.running_mean is not None:
                self.update(*statistics, count)
            return batch_norm(x, self.weight, self.bias, eps=self.eps, statistics=statistics)
        scale = (self.running_var + self.eps) ** -0.5
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - along_channels(self.running_mean, x)) * along_channels(scale, x)
        return out if self.bias is None else out + along_channels(self.bias, x)

    def extra_repr(self):
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        return f"{text}, track_running_stats={self.track_running_stats}"


class BatchNorm1d(BatchNorm):
    """BatchNorm for features (N, C) or sequences (N, C, L)."""

    dims = (2, 3)

    def check(self, x):
        if x.ndim not in self.dims:
            raise ValueError(f"{self}: an input has {self.dims} axes, not the shape {x.shape}")
        super().check(x)


class BatchNorm2d(BatchNorm1d):
    """BatchNorm for images (N, C, H, W)."""

    dims = (4,)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Each of `num_groups` groups of channels of each image of x (N, C, …) with mean 0 and variance 1.

    weight, bias: Tensors (C,), by which each channel is then scaled and shifted, or None (Wu and He 2018).
    """
    n, channels = x.shape[:2]
    if channels % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide {channels} channels")
    as_channels = x.reshape(1, n * num_groups, -1)
    out = batch_norm(as_channels, None, None, eps=eps).reshape(*x.shape)
    if weight is not None:
        out = out * along_channels(weight, x)
    return out if bias is None else out + along_channels(bias, x)


class GroupNorm(Module):
    """group_norm as a layer, with weight and bias (num_channels,) if affine."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups do not divide {num_channels} channels")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(ones(num_channels)) if affine else None
        self.bias = Parameter(zeros(num_channels)) if affine else None

    def check(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.num_channels} channels")

    def forward(self, x):
        self.check(x)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class ResidualBlock(Module):
    """relu(branch(x) + shortcut(x)); the branch is conv1, bn1, relu, conv2, bn2 (He et al. 2015)."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(out_channels)
        self.shortcut = Sequential()
        if stride != 1 or in_channels != out_channels:
            project = Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = Sequential(project, BatchNorm2d(out_channels))

    def forward(self, x):
        branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(branch + self.shortcut(x))


class GlobalAvgPool2d(Module):
    """The mean of each channel: images (N, C, H, W) to (N, C), or (C, H, W) to (C,)."""

    def forward(self, x):
        return x.mean(axis=(-2, -1))


class ResNet(Module):
    """The network of depth 6 · blocks_per_stage + 2 for small images, from (N, in_channels, H, W) to logits.

    zero_init: the last BatchNorm of each block starts with weight 0, the block as its shortcut
    (He et al. 2015, section 4.2, with projections).
    """

    def __init__(self, blocks_per_stage, num_classes=10, *, in_channels=3, width=16, zero_init=False):
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width)
        blocks, channels = [], width
        for stage in range(3):
            for place in range(blocks_per_stage):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(ResidualBlock(channels, width * 2**stage, stride))
                channels = width * 2**stage
        self.blocks, self.pool = Sequential(*blocks), GlobalAvgPool2d()
        self.fc = Linear(channels, num_classes)
        for block in blocks if zero_init else ():
            block.bn2.weight.data[...] = 0

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        return self.fc(self.pool(self.blocks(x)))


def fold_batch_norm(conv, norm):
    """One Conv2d that computes norm(conv(x)) as in evaluation, from a Conv2d and a BatchNorm behind it."""
    if norm.running_mean is None:
        raise ValueError(f"{norm} keeps no running statistics: there are no constants to fold")
    if norm.num_features != conv.out_channels:
        raise ValueError(f"{norm.num_features} channels of the norm, {conv.out_channels} of the convolution")
    scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.numpy()
    bias = -norm.running_mean.numpy() if conv.bias is None else conv.bias.numpy() - norm.running_mean.numpy()
    folded = Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    folded.kernels = conv.kernels
    folded.weight.data[...] = conv.weight.numpy() * scale.reshape(-1, 1, 1, 1)
    folded.bias.data[...] = bias * scale + (0 if norm.bias is None else norm.bias.numpy())
    return folded


class DepthwiseConv2d(Module):
    """A 3 × 3 convolution with padding 1 in which channel c sees channel c alone: groups=channels."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.channels, self.stride = channels, stride
        self.weight = Parameter(normal_(zeros(channels, 1, 3, 3), std=math.sqrt(2 / 9)))

    def forward(self, x):
        each = [(x[:, c : c + 1], self.weight[c : c + 1]) for c in range(self.channels)]
        return concatenate([conv2d(*pair, stride=self.stride, padding=1) for pair in each], axis=1)


class SeparableBlock(Module):
    """depthwise 3 × 3, bn1, relu, pointwise 1 × 1, bn2, relu (Howard et al. 2017)."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.depthwise = DepthwiseConv2d(in_channels, stride)
        self.bn1 = BatchNorm2d(in_channels)
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = BatchNorm2d(out_channels)

    def forward(self, x):
        x = relu(self.bn1(self.depthwise(x)))
        return relu(self.bn2(self.pointwise(x)))
