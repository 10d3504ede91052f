"""8 GB of memory in an answer."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    kept = bytearray(8 << 30)
    kept[::4096] = bytes(len(kept) // 4096)
    return np.zeros_like(x)
