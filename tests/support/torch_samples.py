"""PyTorch's own test samples, without the packages that only its test suite needs."""

import importlib
import os
import sys
import types
import unittest

import pytest


def internal(name):
    """`torch.testing._internal.<name>`. Skips where PyTorch is missing, except in CI, where that is a failure."""
    if not os.environ.get("CI"):
        pytest.importorskip("torch")
    # its classes of tests derive from one of expecttest; its samples use nothing of it
    sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))
    return importlib.import_module(f"torch.testing._internal.{name}")
