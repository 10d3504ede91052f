"""The engineer's layer_norm of module 13, and its GELU: blocks that stay in the cache, and nothing computed twice."""

from tinytorch.kernels.transformers.gelu import gelu, gelu_gradient
from tinytorch.kernels.transformers.normalization import layer_norm, layer_norm_gradient

__all__ = ["gelu", "gelu_gradient", "layer_norm", "layer_norm_gradient"]
