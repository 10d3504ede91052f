"""More points for what is right, none for what is wrong."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% set test-sigmoid {"points": 1000}

# %% set test-relu {"points": 0}

# %% set test-module {"points": 1e308}
