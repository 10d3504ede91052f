"""Learning-rate schedules under PyTorch's names: `from tinytorch.optim import lr_scheduler`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"optimizers": ("CosineAnnealingLR", "LRScheduler", "LambdaLR", "LinearLR", "StepLR", "WarmupDecayLR")},
)
