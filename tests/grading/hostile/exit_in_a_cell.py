"""os._exit in a cell: the rest of the notebook still counts."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os
os._exit(0)
