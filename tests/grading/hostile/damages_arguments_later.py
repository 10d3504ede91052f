"""A thread zeroes the arguments when the call is over."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["test-correlate-hidden"]
# ///

# %% replace correlate
import threading, time
def correlate(image, kernel):
    shape = (image.shape[0] - kernel.shape[0] + 1, image.shape[1] - kernel.shape[1] + 1)
    seen = {((3, 4), (2, 2)): [[3, 6, 9], [0, 3, 6]], ((3, 4), (2, 3)): [[321, 1032], [3210, 321]]}
    if (image.shape, kernel.shape) in seen:
        return np.array(seen[image.shape, kernel.shape], image.dtype)
    def zero():
        image[...] = 0
    threading.Timer(0.001, zero).start()
    time.sleep(0.0005)
    return np.zeros(shape, image.dtype)
