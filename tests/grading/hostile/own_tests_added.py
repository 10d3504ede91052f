"""Graded cells that the notebook never had, with points."""

# /// attack
# module = "02"
# status = ["tampered"]
# ///

# %% duplicate test-relu

# %% set test-relu {"grade_id": "bonus", "points": 500}
