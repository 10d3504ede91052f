"""Every open file is closed under the feet of whatever uses it."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# cell_seconds = 5
# ///

# %% replace relu
import os
@Op
def relu(x):
    os.closerange(0, 4096)
    return x
