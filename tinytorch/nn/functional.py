"""Activations and losses as functions, under PyTorch's names: `import tinytorch.nn.functional as F; F.relu(x)`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "activations": ("gelu", "relu", "sigmoid", "softmax", "tanh"),
        "layers": ("linear",),
        "losses": (
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "cross_entropy",
            "log_softmax",
            "mse_loss",
            "softplus",
        ),
        "spatial": ("avg_pool2d", "conv2d", "max_pool2d"),
    },
)
