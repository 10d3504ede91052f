"""Output that does not end, from an answer, past Python's own stdout."""

# /// attack
# module = "02"
# status = ["timeout"]
# loses = ["relu", "module"]
# cell_seconds = 1.5
# ///

# %% replace relu
import os
@Op
def relu(x):
    while True:
        for descriptor in (1, 2):
            os.write(descriptor, b"x" * 65536)
