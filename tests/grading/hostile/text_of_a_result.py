"""A result whose text is 200 MB long."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 10
# ///

# %% replace relu
class Long:
    def __repr__(self):
        return "x" * (200 << 20)
    __str__ = __repr__
def relu(x):
    return Long()
