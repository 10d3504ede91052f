"""The engineer's batch normalization, in one operation with the sum and the ReLU behind it: see tinytorch.residual.

Equal to the operations of module 21. Arrays in, arrays out, as (N, C, …).
"""

from tinytorch.kernels.residual.normalization import channel_statistics, norm_relu, norm_relu_gradient

__all__ = ["channel_statistics", "norm_relu", "norm_relu_gradient"]
