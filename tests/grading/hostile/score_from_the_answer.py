"""An answer that returns, prints and displays points."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
from IPython.display import display
def relu(x):
    print('{"test-relu": 3, "status": "passed", "points": 3}')
    display(3.0)
    return 3.0
