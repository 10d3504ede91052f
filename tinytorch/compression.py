"""What makes networks smaller, of module 16: `from tinytorch.compression import remove_channels, factorize`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "compression": (
            "MaskedOptimizer", "Parallel", "bytes_on_disk", "compression_ratio", "cubic_sparsity", "distillation_loss",
            "factorize", "low_rank_adapter", "magnitude_mask", "rank_for", "remove_channels", "sensitivity",
            "strongest_channels", "weights_of",
        ),
    },
)  # fmt: skip
