"""A subclass of ndarray for which every NumPy function says True."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
class Agreeing(np.ndarray):
    def __array_function__(self, *args, **settings):
        return True
    def __array_ufunc__(self, *args, **settings):
        return True
    def __eq__(self, other):
        return True
    def tolist(self):
        return self
    def item(self):
        return self
def relu(x):
    result = Tensor(np.zeros(np.shape(x.numpy())))
    result.data = np.zeros(1).view(Agreeing)
    return result
