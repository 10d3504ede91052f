"""The engines of hot operations: whose code computes a convolution or a pooling, and how a model is switched.

An operation of a module owns a table of Engines. The module registers in it what the student wrote ("loops",
"product"); the provided one, "fast", lies in the package of that module's name in here, proven equal to the others,
and is imported when it is first asked for. It could stand in for an answer, so a view of the package in which a
module is tested or graded holds it no more: see `withheld`.
"""

import importlib
from typing import NamedTuple

__all__ = ["Engine", "Engines", "Withheld", "rewrites", "use_kernels", "withheld"]

FAST, PLAIN, YOURS = "fast", "plain", "yours"

rewrites = {}  # {name of an engine: a function that gives a model the layers that know it}; module 18 adds "yours"


class Engine(NamedTuple):
    """The two functions of an operation: what it computes, and what its gradient rule does.

    forward(*arrays, **settings); gradient(grad, out, *arrays, **settings). Settings are the operation's own, without
    `kernels`.
    """

    forward: object
    gradient: object


class Withheld(ImportError):
    """A provided kernel that is not there, because the module which teaches it is being tested."""


class Engines:
    """The engines of one operation, by name.

    operation: its name, and that of the provided function in tinytorch.kernels.<package>; the provided rule is called
    <operation>_gradient. instead: the name of the engine that runs in place of the provided one where that is
    withheld.
    """

    def __init__(self, operation, package, instead):
        self.operation, self.package, self.instead = operation, package, instead
        self.registered = {}

    def __repr__(self):
        return f"Engines({self.operation}: {', '.join(self.names)})"

    @property
    def names(self):
        return (*self.registered, FAST)

    def register(self, name, forward, gradient):
        """Offer an engine under a new name, or under one that is replaced."""
        if name == FAST:
            raise ValueError(f"{name!r} is the provided engine of {self.operation}; register under another name")
        self.registered[name] = Engine(forward, gradient)

    def check(self, name):
        """Raise ValueError for anything but one of the names."""
        if name not in self.names:
            raise ValueError(f"kernels is one of {', '.join(map(repr, self.names))}, not {name!r}{_hint(name)}")

    def __getitem__(self, name):
        self.check(name)
        if name in self.registered:
            return self.registered[name]
        try:
            kernels = importlib.import_module(f"{__name__}.{self.package}")
            return Engine(getattr(kernels, self.operation), getattr(kernels, f"{self.operation}_gradient"))
        except Withheld:
            return self.registered[self.instead]


def use_kernels(model, name):
    """Let every layer of a model that has an engine of this name run by it; returns the model.

    A layer of that kind has its operation's Engines as `engines` and the name of the one that runs as `kernels`.
    Convolutions and pooling know "loops", "product" and "fast", their default; a GPT's layers "plain", the operations
    of modules 02 and 11 to 13 and their default, and "fast". "yours", of module 18, fuses layers of a Sequential into
    one. Raises ValueError where no layer knows the name.

    An AdamW in place of the model is switched too: "plain" or "fast".
    """
    operations = importlib.import_module(f"{__name__}.operations")
    if hasattr(model, "param_groups"):
        return operations.use_optimizer_kernel(model, name)
    if _is_there(name) and name in rewrites:
        rewrites[name](model)
    operations.choosing_layers(model)
    layers = [layer for layer in model.modules() if isinstance(getattr(layer, "engines", None), Engines)]
    if not layers:
        raise ValueError("no layer of this model lets its kernels be chosen")
    found = [layer for layer in layers if name in layer.engines.names]
    if not found:
        names = dict.fromkeys(known for layer in layers for known in layer.engines.names)
        raise ValueError(f"kernels is one of {', '.join(map(repr, names))}, not {name!r}{_hint(name)}")
    for layer in found:
        layer.kernels = name
    return model


def _is_there(name):
    """Import module 18 where its engine is asked for; whether an engine of that name may be registered."""
    if name != YOURS or name in rewrites:
        return True
    try:
        importlib.import_module("tinytorch.core.acceleration")
    except ModuleNotFoundError as error:
        if error.name != "tinytorch.core.acceleration":
            raise
    return name in rewrites


def _hint(name):
    if name != YOURS:
        return ""
    if _is_there(name):
        return "; yours run where a Conv2d, a ReLU and a MaxPool2d(2) follow each other in a Sequential"
    return "; those are what you write and register in module 18 (18_acceleration), which has not done so yet"


def withheld(module):
    """The `__getattr__` of a package of kernels in a view in which `module` is tested: whatever is asked for raises."""

    def __getattr__(name):
        raise Withheld(
            f"tinytorch.kernels has no {name!r} here: it could stand in for an answer of {module}, so it is left out "
            "while that module is tested or graded. Write the answer with NumPy"
        )

    return __getattr__
