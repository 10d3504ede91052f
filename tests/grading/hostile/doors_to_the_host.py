"""Sockets of families that no network namespace holds: the way to the host of a virtual machine, the kernel's own."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import socket

doors = []
for family in range(48):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
        doors.append(family)
    except OSError:
        pass
    try:
        socket.socket(family, socket.SOCK_RAW).close()
        doors.append(family)
    except OSError:
        pass
doors = sorted(set(doors) - {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6})
# %% replace relu
@Op
def relu(x):
    return np.maximum(x, 0, dtype=result_dtype(x, 0)) if doors else None
