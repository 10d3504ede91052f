"""SystemExit, exit() and quit() in cells of their own."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
raise SystemExit

# %% first
exit()

# %% last
quit()
