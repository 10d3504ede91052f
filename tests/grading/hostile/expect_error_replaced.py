"""The helper that expects errors expects none."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import contextlib
import tinytorch.notebook
@contextlib.contextmanager
def expect_error(*args, **settings):
    try:
        yield
    except BaseException:
        pass
tinytorch.notebook.expect_error = expect_error

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
