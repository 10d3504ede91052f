"""A segmentation fault in an answer."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# ///

# %% replace relu
import ctypes
@Op
def relu(x):
    ctypes.string_at(0)
