"""Datasets, ready to load: those that `tito data fetch` brings, and a text that comes with the package.

`from tinytorch.datasets import load_mnist, load_shakespeare`
"""

import gzip
from pathlib import Path

from tinytorch._lazy import facade

__getattr__, _, __all__ = facade(
    __name__, {"dataloader": ("ImageDataset", "load_cifar10", "load_digits", "load_mnist")}
)
__all__ += ["load_shakespeare"]


def __dir__():
    return sorted(__all__)


def load_shakespeare():
    """40,000 lines of Shakespeare's plays, one string of 1,115,394 characters, 65 of them different.

    The text is in the public domain. It needs no network and no module: tinytorch/data/README.md.
    """
    path = Path(__file__).parent / "data" / "shakespeare.txt.gz"
    return gzip.decompress(path.read_bytes()).decode("ascii")
