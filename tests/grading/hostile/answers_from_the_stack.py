"""An answer that looks for the expected values where it is called from."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
import sys
def relu(x):
    frame = sys._getframe()
    while frame is not None:
        for name in ("expected", "want", "wanted", "correct"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
    return Tensor(np.zeros(x.shape))
