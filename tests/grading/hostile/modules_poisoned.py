"""Loaded modules of the package replaced by agreeing ones."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import sys, types
class Agreeing(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **settings: True
for name in ("numpy.testing", "tinytorch.notebook", "json", "pickle", "struct", "marshal", "traceback", "io"):
    sys.modules[name] = Agreeing(name)

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
