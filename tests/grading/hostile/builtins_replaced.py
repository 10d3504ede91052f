"""Builtins that always agree."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 10
# ///

# %% before relu
import builtins
builtins.isinstance = lambda *args: True
builtins.issubclass = lambda *args: True
builtins.all = builtins.any = lambda *args: True
builtins.abs = lambda value: 0
builtins.len = lambda value: 3
builtins.AssertionError = type("Quiet", (BaseException,), {})

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
