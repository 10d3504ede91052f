"""Two answers of one student agree with each other: from the gradients on every convolution is zero, and so are they."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["conv2d_weight_gradient_naive", "conv2d_product_gradients", "test-Conv2d", "module"]
# ///

# %% replace conv2d_weight_gradient_naive
convolved = conv2d_naive
def conv2d_naive(x, weight, *settings):
    return 0 * convolved(x, weight, *settings)
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    return np.zeros((grad.shape[1], x.shape[1], *kernel_size), x.dtype), np.zeros(grad.shape[1], x.dtype)

# %% replace conv2d_product_gradients
def conv2d_product_gradients(grad, x, weight, stride, padding):
    return np.zeros(x.shape, x.dtype), np.zeros(weight.shape, x.dtype), np.zeros(weight.shape[0], x.dtype)
