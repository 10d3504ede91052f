"""A thread that ends the process while a later question is being tested."""

# /// attack
# module = "02"
# status = ["graded", "crashed"]
# loses = ["relu", "module"]
# ///

# %% replace relu
import os, threading
@Op
def relu(x):
    threading.Timer(0.02, os._exit, [3]).start()
    return np.zeros_like(x)
