"""An endless loop in a cell of its own: everything else still counts."""

# /// attack
# module = "02"
# status = ["graded"]
# cell_seconds = 2
# ///

# %% first
while True:
    pass
