"""A cell on which CPython's own parser runs out of memory, and an answer that makes tito ask what that cell defines."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["sigmoid", "module"]
# ///

# %% before sigmoid
foo = @SIGNS@1
# %% replace sigmoid
def sigmoid(x):
    raise NameError("name 'foo' is not defined")
