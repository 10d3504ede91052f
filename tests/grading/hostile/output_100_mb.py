"""100 MB of output, in a cell of its own: shortened, and nothing lost."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
for _ in range(1000):
    print("x" * 100_000)
