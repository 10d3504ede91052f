"""Objects that say they are arrays, floats and lists."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
class Lying:
    __class__ = np.ndarray
    dtype = np.dtype(np.float32)
    shape = (3,)
    def __eq__(self, other):
        return True
    def tolist(self):
        return Same([0.0])
    def numpy(self):
        return Array((3,))
    def item(self):
        return Number()
class Same(list):
    def __eq__(self, other):
        return True
class Number(float):
    def __eq__(self, other):
        return True
class Array(np.ndarray):
    def __array_function__(self, *args, **settings):
        return True
    def __array_ufunc__(self, *args, **settings):
        return True
def relu(x):
    return Lying()
