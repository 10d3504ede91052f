"""Datasets and loaders under PyTorch's names: `from tinytorch.utils.data import DataLoader, TensorDataset`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"dataloader": ("DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split")},
)
