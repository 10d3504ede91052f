"""Counts, timings and profiles of module 14: `from tinytorch.profiling import Profile, measure`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "profiling": (
            "Machine", "Profile", "Timing", "bytes_of", "flops_of", "growth", "held_bytes", "measure", "product_flops",
            "speedup", "this_machine",
        ),
    },
)  # fmt: skip
