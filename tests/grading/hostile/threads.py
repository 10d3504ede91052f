"""A few hundred threads."""

# /// attack
# module = "02"
# status = ["graded", "crashed"]
# loses = ["relu", "module"]
# cell_seconds = 5
# ///

# %% replace relu
import threading, time
@Op
def relu(x):
    for _ in range(400):
        threading.Thread(target=time.sleep, args=(30,)).start()
    return np.zeros_like(x)
