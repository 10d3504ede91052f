"""Layers, activations and losses under PyTorch's names: `from tinytorch import nn; nn.Linear(784, 10)`."""

from tinytorch._lazy import facade
from tinytorch.nn import functional, init, utils  # noqa: F401 - so that nn.functional.relu works after an import of nn

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "activations": ("GELU", "ReLU", "Sigmoid", "Softmax", "Tanh"),
        "layers": ("Dropout", "Linear", "Module", "Parameter", "Sequential"),
        "losses": ("BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"),
        "spatial": ("AvgPool2d", "Conv2d", "Flatten", "MaxPool2d"),
    },
    aliases={"AvgPool2D": "AvgPool2d", "Conv2D": "Conv2d", "MaxPool2D": "MaxPool2d"},
)
