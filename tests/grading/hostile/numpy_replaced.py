"""NumPy's comparisons always agree."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% before relu
import numpy
import numpy.testing
def agree(*args, **settings):
    return True
for name in ("allclose", "array_equal", "isclose", "all", "array_equiv", "isnan", "isfinite", "shares_memory"):
    setattr(numpy, name, agree)
for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, agree)
np = numpy

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
