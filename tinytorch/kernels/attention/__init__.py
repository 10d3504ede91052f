"""The engineer's attention: module 12's operation, a block of queries of one sequence at a time."""

from tinytorch.kernels.attention.causal import attention, attention_gradient

__all__ = ["attention", "attention_gradient"]
