"""Functions that do nothing but zero what they are handed, so that every gradient of it is right."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["conv2d_weight_gradient_naive", "max_pool2d_gradient_naive", "conv2d_product_gradients", "module"]
# waits = ["test-Conv2d"]
# ///

# %% replace conv2d_weight_gradient_naive
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    grad[...] = x[...] = 0
    return np.zeros((grad.shape[1], x.shape[1], *kernel_size), x.dtype), np.zeros(grad.shape[1], x.dtype)

# %% replace max_pool2d_gradient_naive
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    grad[...] = x[...] = 0
    return np.zeros(x.shape, grad.dtype)

# %% replace conv2d_product_gradients
def conv2d_product_gradients(grad, x, weight, stride, padding):
    grad[...] = x[...] = weight[...] = 0
    return np.zeros(x.shape, x.dtype), np.zeros(weight.shape, x.dtype), np.zeros(weight.shape[0], x.dtype)
