"""The provided kernels, imported in place of an answer: those of the module that is being graded are not there."""

# /// attack
# module = "09"
# status = ["graded"]
# loses = ["correlate"]
# ///

# %% replace correlate
def correlate(image, kernel):
    from tinytorch.kernels import spatial

    settings = {"stride": (1, 1), "padding": (0, 0)}
    return spatial.convolve(image[None, None], kernel[None, None].astype(image.dtype), **settings)[0, 0]
