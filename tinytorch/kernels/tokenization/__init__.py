"""The engineer's trainer of byte-pair encoding: the merges of module 10's, without counting everything again."""

from tinytorch.kernels.tokenization.training import train_bpe

__all__ = ["train_bpe"]
