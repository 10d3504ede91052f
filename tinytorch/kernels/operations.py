"""The operations of modules 02 and 11 to 13 by provided kernels instead of the student's: asked for, never by default.

A student's layers call these operations by name, so it is the operations that are switched, for the whole process:

    with provided_operations():
        training_step(model, ...)
"""

import contextlib
import functools
import importlib

__all__ = ["OPERATIONS", "provided_operations"]

OPERATIONS = {  # name: (the module of tinytorch.core that has it, the package of its kernels)
    "gelu": ("activations", "transformers"),
    "embedding": ("embeddings", "embeddings"),
    "attention": ("attention", "attention"),
    "layer_norm": ("transformers", "transformers"),
}


def kernel_or_plain(kernel, plain):
    """kernel(*arrays, **settings), or what `plain` gives where the kernel says NotImplemented."""

    @functools.wraps(plain)
    def choose(*arrays, **settings):
        found = kernel(*arrays, **settings)
        return plain(*arrays, **settings) if found is NotImplemented else found

    return choose


@contextlib.contextmanager
def provided_operations():
    """Inside, gelu, embedding, attention and layer_norm run by the provided kernels: the same numbers, in less time.

    A kernel that does not take some arrays or settings (float16 attention, the exact GELU) leaves them to the
    operation. Yields the names of what is switched. Each operation gets its own functions back at the end. Raises
    Withheld in a view in which one of the kernels is left out.
    """
    switched = {}
    try:
        importlib.import_module("tinytorch.core.autograd")  # which has gelu's rule
        for name, (module, package) in OPERATIONS.items():
            operation = getattr(importlib.import_module(f"tinytorch.core.{module}"), name)
            kernels = importlib.import_module(f"tinytorch.kernels.{package}")
            switched[operation] = operation.forward, operation.rule
            rule = getattr(kernels, f"{name}_gradient")
            if name != "embedding":  # a lookup is one indexing already
                operation.forward = kernel_or_plain(getattr(kernels, name), operation.forward)
            operation.rule = kernel_or_plain(rule, operation.rule)
        yield tuple(OPERATIONS)
    finally:
        for operation, (forward, rule) in switched.items():
            operation.forward, operation.rule = forward, rule
