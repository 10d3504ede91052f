"""Comparisons, scenarios and rankings of module 19: `from tinytorch.benchmarking import compare`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "benchmarking": (
            "Candidate", "Interval", "Placed", "Ratio", "Served", "compare", "false_alarms", "first_warm",
            "mean_interval", "offline", "pareto", "percentile", "rank", "server", "single_stream",
        ),
    },
)  # fmt: skip
