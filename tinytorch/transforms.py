"""Changes of images, under torchvision's names: `from tinytorch.transforms import RandomCrop`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {"dataloader": ("Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip", "ToFloat")},
)
