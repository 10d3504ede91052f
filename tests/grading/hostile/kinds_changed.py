"""A test that says it is an answer, an answer that says it is a test, a test without a lock."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% set test-relu {"grade": false, "solution": true, "locked": false}

# %% set relu {"grade": true, "solution": false, "locked": true, "points": 50}

# %% set test-module {"locked": false}
