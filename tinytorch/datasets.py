"""Datasets that `tito data fetch` brings, ready to load: `from tinytorch.datasets import load_mnist`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__, {"dataloader": ("ImageDataset", "load_cifar10", "load_digits", "load_mnist")}
)
