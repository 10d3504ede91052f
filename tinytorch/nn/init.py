"""Initialisers under PyTorch's names: `from tinytorch.nn import init; init.kaiming_normal_(layer.weight)`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "layers": (
            "calculate_gain",
            "constant_",
            "kaiming_normal_",
            "kaiming_uniform_",
            "normal_",
            "ones_",
            "uniform_",
            "xavier_normal_",
            "xavier_uniform_",
            "zeros_",
        ),
    },
)
