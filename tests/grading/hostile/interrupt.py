"""KeyboardInterrupt and GeneratorExit, raised by the answer."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
calls = []
@Op
def relu(x):
    calls.append(x)
    raise (KeyboardInterrupt if len(calls) % 2 else GeneratorExit)
