"""Helpers under PyTorch's names: `tinytorch.utils.data`, `tinytorch.utils.checkpoint`."""
