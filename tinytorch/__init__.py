"""TinyTorch: a machine-learning framework with PyTorch's names, built by the person who uses it.

The names below come from `tinytorch.core`, which the notebooks of the course export; each is imported when it is
first asked for.
"""

from numpy import bool_, float32, float64, int32, int64

from tinytorch import nn
from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "tensor": (
            "Tensor", "Op", "absolute", "arange", "concatenate", "exp", "eye", "full", "log", "manual_seed", "matmul",
            "maximum", "minimum", "ones", "power", "rand", "randn", "sqrt", "stack", "where", "zeros",
        ),
        "activations": ("relu", "sigmoid", "softmax", "tanh"),
        "losses": ("accuracy", "log_softmax"),
        "autograd": ("gradcheck", "no_grad"),
        "spatial": ("flatten",),
    },
    aliases={"tensor": "Tensor", "cat": "concatenate", "abs": "absolute", "pow": "power"},
)  # fmt: skip
__all__ += ["bool_", "float32", "float64", "int32", "int64", "nn"]
