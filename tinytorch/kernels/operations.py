"""The operations of modules 02 and 11 to 13 by provided kernels instead of the student's: asked for, never by default.

A student's layers call these operations by name, so a layer is switched by what its operations do while it runs:

    use_kernels(model, "fast")       every layer of a GPT from now on; "plain" is what the student wrote
    with provided_operations():      everything in a block

A node of the graph remembers which of the two made it, so that its gradient is computed by the same one, wherever
`backward` is called.
"""

import contextlib
import contextvars
import functools
import importlib
import sys

from tinytorch.kernels import FAST, PLAIN, Engines, Withheld

__all__ = ["OPERATIONS", "choosing_layers", "provided_operations", "use_optimizer_kernel"]

OPERATIONS = {  # name: (the module of tinytorch.core that has it, the package of its kernels)
    "gelu": ("activations", "transformers"),
    "embedding": ("embeddings", "embeddings"),
    "attention": ("attention", "attention"),
    "layer_norm": ("transformers", "transformers"),
}
TABLES = {name: Engines(name, package, instead=PLAIN) for name, (_, package) in OPERATIONS.items()}
HOMES = {f"tinytorch.core.{module}": name for name, (module, _) in OPERATIONS.items()}

chosen = contextvars.ContextVar("tinytorch_kernels", default=PLAIN)  # by whose operations the present layer runs


@contextlib.contextmanager
def running(name):
    token = chosen.set(name)
    try:
        yield
    finally:
        chosen.reset(token)


def kernel_or_plain(kernel, plain):
    """kernel(*arrays, **settings), or what `plain` gives where the kernel says NotImplemented."""

    @functools.wraps(plain)
    def choose(*arrays, **settings):
        found = kernel(*arrays, **settings)
        return plain(*arrays, **settings) if found is NotImplemented else found

    return choose


@functools.cache
def let_choose(name):
    """Make an operation look, whenever it is called, at what is chosen; the operation itself stays as it is."""
    importlib.import_module("tinytorch.core.autograd")  # which has gelu's rule
    operation = getattr(importlib.import_module(f"tinytorch.core.{OPERATIONS[name][0]}"), name)
    TABLES[name].register(PLAIN, operation.forward, operation.rule)
    kernel, kind = TABLES[name][FAST], type(operation)
    provided = kind(operation.forward)  # an operation of its own, with a rule of its own
    provided.forward = kernel_or_plain(kernel.forward or operation.forward, operation.forward)
    provided.rule, provided.rule_takes_needs = kernel_or_plain(kernel.gradient, operation.rule), False

    class Choosing(kind):
        def __call__(self, *inputs, **settings):
            return (provided if chosen.get() == FAST else super()).__call__(*inputs, **settings)

    operation.__class__ = Choosing


@functools.cache
def choosing(kind, name):
    """A class of layers `kind`, with `kernels`, the name of the engine by which its forward runs.

    name: the operation whose module has the class, or a class that it is made of.
    """
    for one, (module, _) in OPERATIONS.items():
        if f"tinytorch.core.{module}" in sys.modules:
            let_choose(one)

    def forward(self, *inputs, **settings):
        with running(self.kernels):
            return kind.forward(self, *inputs, **settings)

    same = {one: getattr(kind, one) for one in ("__module__", "__qualname__", "__doc__")}
    own = {"engines": TABLES[name], "kernels": PLAIN, "forward": forward}
    own["__reduce__"] = lambda self: (_empty, (kind, name), vars(self))  # pickle finds no class of that name
    return type(kind.__name__, (kind,), same | own)


def _empty(kind, name):
    made = choosing(kind, name)
    return made.__new__(made)


def choosing_layers(model):
    """Let GELU and the layers of modules 11 to 13 in a model have their kernels chosen, "plain" to begin with."""
    for layer in model.modules():
        name = _operation_of(type(layer))
        if name and not hasattr(layer, "engines"):
            layer.__class__ = choosing(type(layer), name)


def _operation_of(kind):
    """The operation that layers of this class run by; None for those that none of them is for."""
    for base in kind.__mro__:
        name = HOMES.get(base.__module__)
        if name and (name != "gelu" or base.__name__ == "GELU"):  # other activations share gelu's module
            return name
    return None


@contextlib.contextmanager
def provided_operations():
    """Inside, gelu, embedding, attention and layer_norm run by the provided kernels: the same numbers, in less time.

    A kernel that does not take some arrays or settings (float16 attention, the exact GELU) leaves them to the
    operation, and so does one that is withheld in a view of the package. Yields the names of what is switched.
    """
    for name in OPERATIONS:
        let_choose(name)
    with running(FAST):
        yield tuple(OPERATIONS)


def use_optimizer_kernel(optimizer, name):
    """Let an AdamW of module 06 update by the provided kernel, "fast", or by the student's, "plain"; returns it.

    Raises ValueError for another name, and for another optimizer, which has no kernel.
    """
    adamw = importlib.import_module("tinytorch.core.optimizers").AdamW
    if not isinstance(optimizer, adamw):
        raise ValueError(f"{type(optimizer).__name__} has no provided kernel; AdamW has one")
    if name not in (PLAIN, FAST):
        raise ValueError(f"kernels is one of {PLAIN!r}, {FAST!r} for an optimizer, not {name!r}")
    vars(optimizer).pop("update", None)
    if name == FAST:
        with contextlib.suppress(Withheld):
            importlib.import_module("tinytorch.kernels.optimizers").use_adamw_kernel(optimizer)
    return optimizer
