"""A correct answer with prints, helper cells and magics around it."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
%matplotlib inline
import time
print("hello")

# %% before relu
def bigger(a, b):
    return np.where(a > b, a, b)

# %% after relu
%%time
print(relu(Tensor([1.0, -1.0])))
relu(Tensor([2.0]))
