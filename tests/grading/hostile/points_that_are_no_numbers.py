"""Points of NaN, infinity, words and negative numbers."""

# /// attack
# module = "02"
# status = ["tampered"]
# ///

# %% set test-sigmoid {"points": NaN}

# %% set test-relu {"points": Infinity}

# %% set test-in_blocks {"points": "many"}

# %% set test-module {"points": -5}
