"""The networks of module 21, and what runs them faster: `from tinytorch.residual import ResNet, fuse`.

fuse(model) lets normalization, sum and ReLU run as one operation in each block.
"""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"residual": ("GlobalAvgPool2d", "ResidualBlock", "ResNet", "SeparableBlock", "fold_batch_norm")},
    around={"residual": ("tinytorch._fused", ("FusedBlock", "FusedResNet", "fuse", "norm_relu"))},
)
