"""Plans, splits, searches and submissions, of module 20: `from tinytorch.capstone import search, build`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "capstone": (
            "KINDS", "MAKERS", "Step", "Trial", "Writer", "build", "check", "choose_epoch", "chosen", "manifest_of",
            "order_steps", "pack", "search", "split",
        ),
    },
)  # fmt: skip
