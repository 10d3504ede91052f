"""The reference, looked for in every folder of the import path and below."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import importlib, importlib.util, os, pathlib, pkgutil, site, sys
for name in ("tinytorch.core.activations", "tinytorch.core.losses", "tito", "tito.services.strip"):
    try:
        print(importlib.import_module(name).__file__)
        from tinytorch.core.activations import relu as stolen
    except ImportError as error:
        print(error)
for folder in [*sys.path, *site.getsitepackages(), "@PROJECT@", "@PROJECT@/modules"]:
    for path in [*pathlib.Path(folder or ".").glob("*.pth"), *pathlib.Path(folder or ".").glob("*tinytorch*")]:
        print(path)
    target = pathlib.Path(folder or ".") / "tinytorch" / "core" / "activations.py"
    if target.exists():
        print(target.read_text())

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
