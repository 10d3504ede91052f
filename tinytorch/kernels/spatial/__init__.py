"""The engineer's convolution and pooling: what layers run by default.

Equal to the loops and to the product of module 09, and faster by blocks, threads, memory order and fewer
multiplications; the notebook shows each trick and its gain. Arrays in, arrays out, images as (N, C, H, W); settings
are pairs.
"""

from tinytorch.kernels.spatial.convolution import ConvolutionOfSome, convolve, convolve_gradient
from tinytorch.kernels.spatial.pooling import pool_avg, pool_avg_gradient, pool_max, pool_max_gradient

__all__ = [
    "ConvolutionOfSome", "convolve", "convolve_gradient", "pool_avg", "pool_avg_gradient", "pool_max",
    "pool_max_gradient",
]  # fmt: skip
