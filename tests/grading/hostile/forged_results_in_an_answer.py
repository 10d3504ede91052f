"""The same while a test waits for its answer, with a length of 4 GB announced."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 5
# ///

# %% replace relu
import os
@Op
def relu(x):
    for descriptor in range(1, 256):
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, b"\xff\xff\xff\xff" * 16 + b'{"ok": true, "points": 4}')
        except OSError:
            pass
    return np.zeros_like(x)
