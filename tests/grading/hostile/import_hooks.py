"""A finder in front of all others that hands out agreeing modules."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import importlib.abc, importlib.machinery, sys
class Agreeing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("tinytorch.notebook", "pytest", "unittest", "numpy.testing")):
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.__getattr__ = lambda name: lambda *args, **settings: True
        module.check_home = module.expect_error = lambda *args, **settings: True
sys.meta_path.insert(0, Agreeing())
for name in list(sys.modules):
    if name.startswith(("tinytorch.notebook", "numpy.testing")):
        del sys.modules[name]

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
