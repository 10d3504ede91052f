"""A result nested a hundred thousand lists deep, and one that contains itself."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 10
# ///

# %% replace relu
calls = []
def relu(x):
    calls.append(1)
    result = []
    if len(calls) % 2:
        result.append(result)
        return result
    for _ in range(100_000):
        result = [result]
    return result
