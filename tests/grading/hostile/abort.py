"""abort() in an answer."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# ///

# %% replace relu
import os
@Op
def relu(x):
    os.abort()
