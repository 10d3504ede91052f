"""How `tinytorch` and its facades find the names that the student's modules export.

Nothing of `tinytorch.core` is imported before a name of it is asked for, so every closed set of modules imports, and
a notebook under test never meets an export that it did not ask for.
"""

import importlib
import importlib.util


def facade(package, exports, aliases=None, around=None):
    """The `__getattr__`, `__dir__` and `__all__` of a module that offers names of `tinytorch.core`.

    exports: {core file: names it defines}; aliases: {other spelling: name}. around: {core file: (module, names)} of
    what is not that file's own but built around it, by a module of the facade that is imported as late.
    """
    aliases, around = aliases or {}, around or {}
    home = {name: (core, f"tinytorch.core.{core}") for core, names in exports.items() for name in names}
    home |= {name: (core, module) for core, (module, names) in around.items() for name in names}

    def __getattr__(name):
        name = aliases.get(name, name)
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        core, module = home[name]
        load(core, f"{package}.{name}")
        return getattr(importlib.import_module(module), name)

    def __dir__():
        return sorted([*home, *aliases])

    return __getattr__, __dir__, [*home, *aliases]


def is_built(core):
    return importlib.util.find_spec(f"tinytorch.core.{core}") is not None


def load(core, wanted):
    """Import `tinytorch.core.<core>`. Raises ImportError naming `wanted` and the next command where it is not built.

    Only absence is translated: a module that is there and fails to import fails with its own error.
    """
    full = f"tinytorch.core.{core}"
    if not is_built(core):
        raise ImportError(f"{wanted} is in {full}, which is not built yet. Next: tito module start {core}", name=full)
    return importlib.import_module(full)


class Core:
    """`tinytorch.core.<name>` for functions that call into it: imported when something of it is first used."""

    def __init__(self, name, package):
        self._name, self._package = name, package

    def __getattr__(self, name):
        return getattr(load(self._name, f"{self._package}.{name}"), name)
