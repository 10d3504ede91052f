"""Test cells under other names, one of them another cell's."""

# /// attack
# module = "02"
# status = ["tampered"]
# loses = ["relu", "module"]
# ///

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)

# %% set test-relu {"grade_id": "test-relu-2"}

# %% set test-module {"grade_id": "relu"}

# %% set test-sigmoid {"grade_id": "\u0000\ud800/../../x"}
