"""Activations computed again under PyTorch's name: `from tinytorch.utils.checkpoint import checkpoint`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(__name__, {"memoization": ("checkpoint",)})
