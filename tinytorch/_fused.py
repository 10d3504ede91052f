"""Residual networks in which each normalization runs in one operation with the sum and the ReLU behind it.

`fuse(ResNet(3))` computes what your blocks compute, with fewer walks over memory and by all threads; the arrays are in
tinytorch/kernels/residual.
"""

import copy
import warnings

import numpy as np

from tinytorch.core.activations import relu
from tinytorch.core.residual import ResidualBlock, ResNet
from tinytorch.core.tensor import Op, Tensor
from tinytorch.kernels import residual as kernels

__all__ = ["FusedBlock", "FusedResNet", "fuse", "norm_relu"]

normalize_relu = Op(kernels.norm_relu)
normalize_relu.gradient(kernels.norm_relu_gradient)


def norm_relu(norm, x, skip=None):
    """relu(norm(x) + skip) for a BatchNorm of yours: one operation where the batch is normalized by its own statistics.

    In evaluation, by running statistics, your operations compute it.
    """
    norm.check(x)
    count, is_tracked = x.numel() // norm.num_features, norm.running_mean is not None
    if count < 2 or (is_tracked and not norm.training):  # with one value a channel, norm says what is wrong
        out = norm(x)
        return relu(out if skip is None else out + skip)
    statistics = kernels.channel_statistics(x.data)
    if is_tracked:
        norm.update(*statistics, count)
    return normalize_relu(x, norm.weight, norm.bias, skip, eps=norm.eps, statistics=statistics)


class FusedBlock(ResidualBlock):
    """A ResidualBlock with the same parameters, in which norm and ReLU, and norm, sum and ReLU are one operation."""

    def forward(self, x):
        inner = norm_relu(self.bn1, self.conv1(x))
        return norm_relu(self.bn2, self.conv2(inner), self.shortcut(x))


class FusedResNet(ResNet):
    """A ResNet with the same parameters, whose first norm and ReLU are one operation."""

    def forward(self, x):
        return self.fc(self.pool(self.blocks(norm_relu(self.bn1, self.conv1(x)))))


FUSED = {ResidualBlock: FusedBlock, ResNet: FusedResNet}


def fuse(model):
    """Let every ResidualBlock and ResNet of a model run fused, parameters and names unchanged; returns the model.

    Each is tried first on random images. One whose own forward computes something else keeps it, and a warning names
    it: so what a model learns, or fails to learn, is up to your code.
    """
    left = []
    for name, layer in model.named_modules():
        kind = FUSED.get(type(layer))
        if kind is None:
            continue
        if _computes_the_same(layer, kind):
            layer.__class__ = kind
        else:
            left.append(f"{type(layer).__name__} {name}".strip())
    if left:
        warnings.warn(f"not fused, for their forward computes something else: {', '.join(left)}", stacklevel=2)
    return model


def _computes_the_same(layer, kind):
    """Whether copies of the layer, one of them of the class `kind`, agree on a few random images in float64."""
    own, fused = _trial(layer, type(layer)), _trial(layer, kind)
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(own, fused, strict=True))


def _trial(layer, kind):
    """The output of a copy of the layer as a `kind`, and then all gradients and buffers."""
    layer, draw = copy.deepcopy(layer), np.random.default_rng(0)
    layer.__class__ = kind
    layer.train()
    for parameter in layer.parameters():
        parameter.data = draw.normal(0.3, 1, parameter.shape)
        parameter.grad = None
    x = Tensor(draw.normal(0, 1, (2, layer.conv1.in_channels, 8, 8)), requires_grad=True, dtype=np.float64)
    out = layer(x)
    out.backward(draw.normal(0, 1, out.shape))
    grads = [np.zeros(()) if one.grad is None else np.asarray(one.grad) for one in (x, *layer.parameters())]
    return [out.numpy(), *grads, *(buffer.numpy() for buffer in layer.buffers())]
