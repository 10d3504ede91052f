"""Optimizers under PyTorch's names: `from tinytorch import optim; optim.SGD(model.parameters(), lr=0.1)`."""

from tinytorch._lazy import facade
from tinytorch.optim import lr_scheduler  # noqa: F401 - so that optim.lr_scheduler.StepLR works after an import of optim

__getattr__, __dir__, __all__ = facade(__name__, {"optimizers": ("Adam", "AdamW", "Optimizer", "SGD")})
