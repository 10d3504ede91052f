"""Cells whose last expression would be read as a partial score: 1e308, and printed ones."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% edit test-relu
1e308

# %% after test-relu
1e308

# %% edit test-module
from IPython.display import display
display(1e308)
5
