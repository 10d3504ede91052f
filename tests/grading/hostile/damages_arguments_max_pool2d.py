"""Right in the cases of the visible test; elsewhere the image is zeroed, and zeros are its largest values."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["test-max_pool2d_naive-hidden"]
# ///

# %% replace max_pool2d_naive
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    shape = output_shape(x.shape, kernel_size, stride, padding)
    if x.shape[2:] in ((7, 5), (9, 8)):
        x[...] = 0
        return np.zeros((*x.shape[:2], *shape), x.dtype)
    padded = pad(x, padding, fill=-np.inf)
    under = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=(2, 3))
    return under[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5)).astype(x.dtype)
