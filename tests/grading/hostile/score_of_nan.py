"""Cells whose last expression would be read as a partial score: not a number."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% edit test-relu
float("nan")

# %% edit test-module
float("-inf")
