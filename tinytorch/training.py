"""Training, checkpoints and metrics: `from tinytorch.training import Trainer`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "training": (
            "Callback", "Checkpoint", "EarlyStopping", "ProgressBar", "RunningMean", "Trainer", "confusion_matrix",
            "evaluate", "load_checkpoint", "save_checkpoint", "training_step",
        ),
    },
)  # fmt: skip
