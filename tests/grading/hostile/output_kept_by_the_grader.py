"""The program in the sandbox says of every cell that it printed megabytes, in the widest of characters."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import gc

inner = next(thing for thing in gc.get_objects() if type(thing).__name__ == "Inner")
printed = "x" * 6_000_000 + chr(0x1F600)
inner.printed.take = lambda: printed
