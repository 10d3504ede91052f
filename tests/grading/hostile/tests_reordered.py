"""Tests moved to where the names still mean something else."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% swap test-relu test-module

# %% swap test-sigmoid test-softmax_along
