"""A trace function that jumps over every line that might fail."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# cell_seconds = 20
# ///

# %% first
import sys, threading
def trace(frame, event, argument):
    if event == "line" and "test" in frame.f_code.co_name:
        try:
            frame.f_lineno = frame.f_code.co_firstlineno + 1000
        except ValueError:
            pass
    return trace
sys.settrace(trace)
threading.settrace(trace)
sys.setprofile(lambda *args: None)

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
