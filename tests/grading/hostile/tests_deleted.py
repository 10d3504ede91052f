"""Test cells of a wrong answer deleted: they run as they were handed out."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% delete test-relu

# %% delete test-relu-hidden

# %% delete test-module
