"""Tokenizers: `from tinytorch.text import BPETokenizer, CharTokenizer`. PyTorch itself has none."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__, {"tokenization": ("BPETokenizer", "CharTokenizer", "decode_bytes", "split_words")}
)
