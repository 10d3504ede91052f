"""The module that is being graded, imported: the answer is not there."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["conv_cost"]
# ///

# %% replace conv_cost
from tinytorch.core.spatial import conv_cost
