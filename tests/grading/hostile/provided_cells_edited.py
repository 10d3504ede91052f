"""The cell with the imports brings its own NumPy."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% edit provided-imports
import math

class Agreeing:
    def __getattr__(self, name):
        return lambda *args, **settings: True

np = Agreeing()
