"""What the test passed in, changed until it agrees."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    x[...] = 0
    return x
