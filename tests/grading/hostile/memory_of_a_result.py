"""A result that is far larger than what a test can have asked for."""

# /// attack
# module = "02"
# status = ["graded", "crashed"]
# loses = ["relu", "module"]
# cell_seconds = 10
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros((40_000, 4_000), np.float32)
