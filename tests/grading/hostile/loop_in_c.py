"""A loop inside one call of C code, which no Python signal reaches."""

# /// attack
# module = "02"
# status = ["timeout"]
# loses = ["relu", "module"]
# cell_seconds = 1.5
# ///

# %% replace relu
@Op
def relu(x):
    return 10 ** 10 ** 9
