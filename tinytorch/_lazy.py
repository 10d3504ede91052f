"""How `tinytorch` and its facades find the names that the student's modules export.

Nothing of `tinytorch.core` is imported before a name of it is asked for, so every closed set of modules imports, and
a notebook under test never meets an export that it did not ask for.
"""

import importlib
import importlib.util


def facade(package, exports, aliases=None):
    """The `__getattr__`, `__dir__` and `__all__` of a module that offers names of `tinytorch.core`.

    exports: {core file: names it defines}; aliases: {other spelling: name}.
    """
    aliases = aliases or {}
    home = {name: core for core, names in exports.items() for name in names}

    def __getattr__(name):
        core = home.get(aliases.get(name, name))
        if core is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(load(core, f"{package}.{name}"), aliases.get(name, name))

    def __dir__():
        return sorted([*home, *aliases])

    return __getattr__, __dir__, [*home, *aliases]


def load(core, wanted):
    """Import `tinytorch.core.<core>`. Raises ImportError naming `wanted` and the next command where it is not built.

    Only absence is translated: a module that is there and fails to import fails with its own error.
    """
    full = f"tinytorch.core.{core}"
    if importlib.util.find_spec(full) is None:
        raise ImportError(f"{wanted} is in {full}, which is not built yet. Next: tito module start {core}", name=full)
    return importlib.import_module(full)
