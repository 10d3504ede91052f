"""Which way a convolution and its gradients are computed: decided by shapes, and by nothing else."""

import numpy as np

from tinytorch.kernels.spatial.products import (
    forward_by_columns,
    forward_by_planes,
    input_gradient_by_planes,
    weight_gradient_by_columns,
    weight_gradient_by_planes,
)
from tinytorch.kernels.spatial.windows import Geometry, window_geometry
from tinytorch.kernels.spatial.winograd import forward_by_winograd, weight_gradient_by_winograd, winograd_pays

FEW_CHANNELS = 4  # measured: with more, columns are faster than planes


def convolve_blocks(x, weight, bias, geometry):
    """The convolution of x (N, C, H, W) at the places that `geometry` names; memory channels last."""
    n, (o, c), (oh, ow) = len(x), weight.shape[:2], geometry.out_size
    out = np.empty((n, oh, ow, o), x.dtype)
    if winograd_pays(x, c, o, geometry):
        forward_by_winograd(x, weight, bias, geometry, out)
    elif c <= FEW_CHANNELS:
        forward_by_planes(x, weight, bias, geometry, out)
    else:
        forward_by_columns(x, weight, bias, geometry, out)
    return out.transpose(0, 3, 1, 2)


def input_gradient(grad, weight, geometry, x):
    """The gradient of x: `grad` correlated with the flipped kernel, from outputs to inputs.

    Where that is a larger computation than its forward (few channels, or a stride, which leaves holes in grad), the
    planes are sent back instead.
    """
    if weight.shape[1] <= 2 * FEW_CHANNELS or geometry.stride != (1, 1):
        return input_gradient_by_planes(grad.transpose(0, 2, 3, 1), weight, geometry, x)
    padding = tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding, strict=True))
    flipped = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return convolve_blocks(grad, flipped, 0, Geometry(geometry.kernel, (1, 1), padding, x.shape[2:]))


def weight_gradient(grad, x, weight, geometry):
    """The gradient of the weight, in its shape."""
    if grad.size == 0 or x.shape[1] == 0:
        return np.zeros(weight.shape, grad.dtype)
    if winograd_pays(x, x.shape[1], grad.shape[1], geometry):
        rule = weight_gradient_by_winograd
    else:
        rule = weight_gradient_by_planes if x.shape[1] <= FEW_CHANNELS else weight_gradient_by_columns
    return rule(grad.transpose(0, 2, 3, 1), x, geometry, weight.shape)


def bias_gradient(grad):
    """The sum of grad (N, O, OH, OW) over images and pixels."""
    pixels = grad.transpose(0, 2, 3, 1)
    if not pixels.flags.c_contiguous:
        return grad.sum(axis=(0, 2, 3))
    pixels = pixels.reshape(-1, grad.shape[1])
    return np.ones(len(pixels), grad.dtype) @ pixels  # faster than sum, which adds row by row


def convolve(x, weight, bias=None, *, stride, padding):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None: (N, O, OH, OW)."""
    geometry = window_geometry(x, weight.shape[2:], stride, padding)
    return convolve_blocks(x, weight, x.dtype.type(0) if bias is None else bias, geometry)


def convolve_gradient(grad, out, x, weight, bias=None, *, stride, padding, needs):
    """The gradients of x, weight and bias, each only if the bool in `needs` asks for it."""
    geometry = window_geometry(x, weight.shape[2:], stride, padding)
    return (
        input_gradient(grad, weight, geometry, x) if needs[0] else None,
        weight_gradient(grad, x, weight, geometry) if needs[1] else None,
        bias_gradient(grad) if needs[2] else None,
    )
