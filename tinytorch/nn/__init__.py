"""Layers, activations and losses under PyTorch's names: `from tinytorch import nn; nn.Linear(784, 10)`."""

from tinytorch._lazy import facade
from tinytorch.nn import functional, init, utils  # noqa: F401 - so that nn.functional.relu works after an import of nn

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"layers": ("Module", "Parameter"), "embeddings": ("Embedding",)},
    aliases={"AvgPool2D": "AvgPool2d", "Conv2D": "Conv2d", "MaxPool2D": "MaxPool2d"},
    around={
        "activations": ("tinytorch.nn.modules.activation", ("GELU", "ReLU", "Sigmoid", "Softmax", "Tanh")),
        "layers": ("tinytorch.nn.modules.layer", ("Dropout", "Linear", "Sequential")),
        "losses": (
            "tinytorch.nn.modules.loss",
            ("BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"),
        ),
        "attention": ("tinytorch.nn.modules.attention", ("MultiheadAttention",)),
        "spatial": ("tinytorch.nn.modules.spatial", ("AvgPool2d", "Conv2d", "Flatten", "MaxPool2d")),
        "transformers": ("tinytorch.nn.modules.transformer", ("LayerNorm",)),
        "residual": ("tinytorch.nn.modules.normalization", ("BatchNorm1d", "BatchNorm2d", "GroupNorm")),
    },
)
