"""Code for after the end: atexit, finalizers, signals, a timer."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% last
import atexit, os, signal, threading, weakref
def late(*args):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b'{"status": "passed"}' * 3)
        except OSError:
            pass
class Dying:
    def __del__(self):
        late()
kept = Dying()
atexit.register(late)
weakref.finalize(kept, late)
signal.signal(signal.SIGTERM, late)
signal.signal(signal.SIGALRM, late)

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
