"""Changes of images under torchvision's names: `from tinytorch import transforms; transforms.RandomCrop(32, padding=4)`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"dataloader": ("Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip", "ToFloat")},
)
