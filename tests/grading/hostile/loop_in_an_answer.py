"""An endless loop in one question only: the others keep their points."""

# /// attack
# module = "02"
# status = ["timeout"]
# loses = ["relu", "module"]
# cell_seconds = 1.5
# ///

# %% replace relu
@Op
def relu(x):
    while True:
        pass
