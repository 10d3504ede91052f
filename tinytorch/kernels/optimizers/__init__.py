"""The engineer's AdamW: module 06's step in pieces that stay in the cache, over both threads, without new arrays."""

from tinytorch.kernels.optimizers.adamw import adamw_update, use_adamw_kernel

__all__ = ["adamw_update", "use_adamw_kernel"]
