"""A test cell of a wrong answer emptied, another one made to pass."""

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
pass

# %% edit test-relu-hidden
assert True

# %% edit test-module
def test_module():
    return 5.0

test_module()
