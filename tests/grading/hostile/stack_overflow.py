"""Recursion until the stack of C is used up."""

# /// attack
# module = "02"
# status = ["crashed"]
# loses = ["relu", "module"]
# cell_seconds = 5
# ///

# %% replace relu
import sys
@Op
def relu(x):
    sys.setrecursionlimit(10**9)
    def deeper(n):
        return sorted([n], key=lambda m: deeper(m + 1))
    return deeper(0)
