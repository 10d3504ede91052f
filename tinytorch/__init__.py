"""TinyTorch: a machine-learning framework with PyTorch's names, built by the person who uses it.

The names below come from `tinytorch.core`, which the notebooks of the course export; each is imported when it is
first asked for.
"""

import os

# NumPy's BLAS reads this when it is loaded: its idle threads sleep soon, instead of keeping a core busy that the
# kernels of tinytorch.threads could use
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from numpy import bool_, float32, float64, int32, int64  # noqa: E402

from tinytorch import nn  # noqa: E402
from tinytorch._lazy import facade  # noqa: E402

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
        "embeddings": ("PositionalEmbedding", "sinusoidal_positions", "token_windows"),
        "attention": ("attention_in_blocks", "causal_mask", "causality_gap", "focus", "position_gap"),
    },
    aliases={"tensor": "Tensor", "cat": "concatenate", "abs": "absolute", "pow": "power"},
)  # fmt: skip
__all__ += ["bool_", "float32", "float64", "int32", "int64", "nn"]
