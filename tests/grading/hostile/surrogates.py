"""Halves of surrogate pairs and NUL in what an answer raises, prints and returns."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
calls = []
class Half(Exception):
    pass
def relu(x):
    calls.append(1)
    print("\ud800 \udfff \x00")
    if len(calls) % 2:
        raise Half("\ud800\x00\udfff")
    return "\ud800\x00\udfff"
