"""Test cells copied, so that they might count twice."""

# /// attack
# module = "02"
# status = ["tampered"]
# ///

# %% duplicate test-relu

# %% duplicate test-sigmoid

# %% duplicate test-module
