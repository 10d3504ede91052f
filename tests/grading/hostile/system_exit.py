"""SystemExit in an answer is an error like any other."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    raise SystemExit(0)
