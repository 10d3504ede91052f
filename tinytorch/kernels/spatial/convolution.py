"""Which way a convolution and its gradients are computed: decided by shapes, and by nothing else."""

import math
import threading

import numpy as np

from tinytorch.kernels.blocks import Scratch
from tinytorch.kernels.spatial.products import (
    fill_by_columns,
    fill_by_planes,
    forward_by_columns,
    forward_by_planes,
    input_gradient_by_planes,
    weight_gradient_by_columns,
    weight_gradient_by_planes,
)
from tinytorch.kernels.spatial.windows import Geometry, window_geometry
from tinytorch.kernels.spatial.winograd import (
    fill_by_winograd,
    forward_by_winograd,
    transformed_kernels,
    weight_gradient_by_winograd,
    winograd_pays,
)

FEW_CHANNELS = 4  # measured: with more, columns are faster than planes


def convolve_blocks(x, weight, bias, geometry):
    """The convolution of x (N, C, H, W) at the places that `geometry` names; memory channels last."""
    n, (o, c), (oh, ow) = len(x), weight.shape[:2], geometry.out_size
    out = np.empty((n, oh, ow, o), x.dtype)
    if out.size == 0:
        return out.transpose(0, 3, 1, 2)
    if winograd_pays(x, c, o, geometry):
        forward_by_winograd(x, weight, bias, geometry, out)
    elif c <= FEW_CHANNELS:
        forward_by_planes(x, weight, bias, geometry, out)
    else:
        forward_by_columns(x, weight, bias, geometry, out)
    return out.transpose(0, 3, 1, 2)


class ConvolutionOfSome:
    """A convolution without bias that is asked for a few images at a time: some(images) is (n, OH, OW, O).

    What does not depend on the images (Winograd's transformed kernels) is computed once, and each thread keeps its
    work memory and its result, which the thread's next call overwrites.
    """

    def __init__(self, weight, *, stride, padding):
        self.weight, self.stride, self.padding = weight, stride, padding
        self.kernels, self.own = None, threading.local()

    def __call__(self, images):
        weight, scratch = self.weight, self.own.__dict__.setdefault("scratch", Scratch())
        (o, c), geometry = weight.shape[:2], window_geometry(images, weight.shape[2:], self.stride, self.padding)
        out = scratch("result", (len(images), *geometry.out_size, o), images.dtype)
        if out.size == 0:
            return out
        everything = slice(0, len(images)), slice(0, geometry.out_size[0])
        if winograd_pays(images, c, o, geometry):
            if self.kernels is None:  # two threads may both do it, with the same result
                self.kernels = transformed_kernels(weight)
            fill = fill_by_winograd(images, weight, 0, geometry, out, self.kernels)
            everything = slice(0, len(images)), slice(0, math.ceil(geometry.out_size[0] / 4))  # rows of tiles
        else:
            fill = (fill_by_planes if c <= FEW_CHANNELS else fill_by_columns)(images, weight, 0, geometry, out)
        fill(everything, scratch)
        return out


def input_gradient(grad, weight, geometry, x):
    """The gradient of x: `grad` correlated with the flipped kernel, from outputs to inputs.

    Where that is a larger computation than its forward (few channels, or a stride, which leaves holes in grad), the
    planes are sent back instead.
    """
    if grad.size == 0 or x.size == 0:
        return np.zeros_like(x, dtype=grad.dtype)
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
    if grad.size == 0 or not pixels.flags.c_contiguous:
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
