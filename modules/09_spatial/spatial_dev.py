# %% [markdown]
r"""
# 09 Spatial

A dense layer sees an image as a row of numbers. Shift a digit by one pixel, and it sees something it has never met. A
*convolution* (LeCun and others, 1989) looks at a small window and slides it over the whole image with the same weights:
what it learned in one corner it knows in all.

You write it twice and read it a third time:

1. as nested loops, forward and backward: nothing is hidden, and you will wait;
2. as one matrix product, with the same results; a cell prints how many times faster it is;
3. what an engineer does to that product is provided; you read excerpts, and measure them.

At the end LeNet-5 reads handwritten digits. Each of the four parts ends where you can stop.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.spatial

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from functools import wraps

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinytorch.core.layers import Module, Parameter, normal_
from tinytorch.core.tensor import Op, flattened, result_dtype, zeros
from tinytorch.kernels import Engines
from tinytorch.kernels.precision import in_float32

# %%
import time

from tinytorch.core.activations import ReLU, relu
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.tensor import Tensor, manual_seed, randn
from tinytorch.kernels import use_kernels

# %% [markdown]
r"""
## Part 1 of 4 · about 3 hours: loops forward

### How many windows fit?

A window of `kernel_size` = 3 on a row of 5 pixels has 3 places: it starts at pixel 0, 1 or 2. With a *stride* of 2 it skips
every other one: 2 places. With *padding* 1 a zero is put on both ends: 7 pixels, and with stride 1 there are 5 places.

    size 5, kernel 3, stride 1, padding 0    → 3
    size 5, kernel 3, stride 2, padding 0    → 2
    size 5, kernel 3, stride 1, padding 1    → 5
    size 6, kernel 3, stride 2, padding 0    → 2        the last pixel is left over

The last place that fits starts at size + 2·padding − kernel, so there are ⌊(size + 2·padding − kernel) / stride⌋ + 1.

**Write `conv_output_size(size, kernel_size, stride, padding)`.** Where no window fits, raise a `ValueError` whose message
holds the kernel size and the padded size.
"""

# %% nbgrader={"grade": false, "grade_id": "conv_output_size", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many pixels are there with the padding on both ends, and how many of them are left when the window lies at the very beginning?", "Those pixels that are left over decide both: fewer than none means that the window does not fit, and each whole stride among them is one more place.", "Use whole-number division, and remember that the place at the beginning counts as well."], "minutes": 10, "objective": "windows"}
#| export
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    ### BEGIN SOLUTION
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels")
    return room // stride + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv_output_size", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv_output_size():
    table = [
        ((5, 3, 1, 0), 3), ((5, 3, 2, 0), 2), ((5, 3, 1, 1), 5), ((6, 3, 2, 0), 2), ((28, 5, 1, 2), 28),
        ((28, 2, 2, 0), 14), ((3, 3, 1, 0), 1), ((3, 3, 7, 0), 1), ((1, 3, 2, 1), 1), ((7, 1, 3, 0), 3),
    ]
    for (size, kernel, stride, padding), places in table:
        case = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}"
        expect(conv_output_size(size, kernel, stride, padding), places, case)
    expect_error(ValueError, ["6", "5"], conv_output_size, 5, 6, 1, 0)
    expect_error(ValueError, ["8", "7"], conv_output_size, 5, 8, 2, 1)
    print("🔬 conv_output_size: passed")

test_unit_conv_output_size()

# %% nbgrader={"grade": true, "grade_id": "test-conv_output_size-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more sizes, counted one by one.
### BEGIN HIDDEN TESTS
for size, kernel, stride, padding in np.ndindex(10, 4, 6, 4):
    places = len([start for start in range(0, 99, max(stride, 1)) if start + kernel <= size + 2 * padding])
    if size and kernel and stride and places and size % 4 != 2:
        expect(conv_output_size(size, kernel, stride, padding), places, f"{size, kernel, stride, padding}")
expect_error(ValueError, ["3", "2"], conv_output_size, 2, 3)
### END HIDDEN TESTS

# %% [markdown]
r"""
### One window, one channel

At each place the window's weights are multiplied by the pixels below them, and the products are added up:

    image  1 2 3 0        kernel  1 0        at (0, 0):  1·1 + 2·0 + 0·0 + 1·2  =  3
           0 1 2 3                0 2        at (0, 1):  2·1 + 3·0 + 1·0 + 2·2  =  6
           3 0 1 2

Mathematicians flip the kernel first and call this, unflipped, a *correlation*. In deep learning nobody flips, because the
weights are learned anyway, and everybody says convolution.

**Write `correlate(image, kernel)`** with loops, for two arrays with two axes, stride 1 and no padding. The result has the
dtype of the image.
"""

# %% nbgrader={"grade": false, "grade_id": "correlate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["You know how many places there are along each axis: the function above says so. Make an array of zeros of that shape first.", "For a place (i, j), which rows and which columns of the image lie under the kernel? Cut that piece out with two slices.", "Multiply the piece by the kernel entry by entry, and let NumPy add up what comes out."], "minutes": 15, "objective": "windows"}
#| export
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    ### BEGIN SOLUTION
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-correlate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_correlate():
    image = np.array([[1.0, 2.0, 3.0, 0.0], [0.0, 1.0, 2.0, 3.0], [3.0, 0.0, 1.0, 2.0]])
    kernel = np.array([[1.0, 0.0], [0.0, 2.0]])
    expect(correlate(image, kernel), [[3, 6, 9], [0, 3, 6]], "the image and the kernel above")
    case = "kernel [[1, 10, 100], [1000, 0, 0]] (a flipped kernel would give 3012 first)"
    got = correlate(image, np.array([[1.0, 10.0, 100.0], [1000.0, 0.0, 0.0]]))
    expect(got, [[321, 1032], [3210, 321]], case)
    for dtype in (np.float32, np.float64):
        expect(correlate(image.astype(dtype), kernel).dtype, dtype, "the dtype of the result is the image's")
    print("🔬 correlate: passed")

test_unit_correlate()

# %% nbgrader={"grade": true, "grade_id": "test-correlate-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: kernels as large as the image, of one pixel, taller than wide.
### BEGIN HIDDEN TESTS
picture = np.random.default_rng(0).standard_normal((5, 4))
expect(correlate(picture, picture), [[(picture**2).sum()]], "the image under itself", rtol=1e-12)
expect(correlate(picture, np.array([[3.0]])), 3 * picture, "one pixel", rtol=1e-12)
expect(correlate(picture, np.array([[1.0], [0.0], [-1.0]])), picture[:-2] - picture[2:], "1 × 3", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Every loop written out

A colour image has several *channels*, and a layer has several kernels, each of which looks at all channels and makes one
channel of output. A batch has several images. So the weight has the shape (out, in, kh, kw), and the output at one place of
one channel is

    out[n, o, i, j]  =  bias[o]  +  Σ over c, u, v of   x[n, c, i·sh + u, j·sw + v] · weight[o, c, u, v]

where x is padded with zeros first. Four loops walk over the output, three add up: seven in all. For one CIFAR image and 32
kernels of 3 × 3 that is 884,736 multiplications.

The given `pad` puts zeros around an image, `pair` turns an integer into a pair (stride and padding may differ for height and
width), and `output_shape` gives (OH, OW).

**Write `conv2d_naive(x, weight, bias, stride, padding)`** on arrays, with every loop written out (the innermost sum may use
`.sum()`; then there are four loops). `stride` and `padding` are pairs, and `bias` may be None.

Two things hold here and in all that follows. The result has the dtype of x: float32 stays float32. And a batch may hold
*no image at all* (N = 0), as the last batch of a filtered dataset may; the result is then empty, of shape (0, O, OH, OW).
"""

# %% nbgrader={"grade": false, "grade_id": "provided-pair", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def pair(value):
    """`(value, value)` for a single setting, or the settings of a tuple or list; unchecked."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def pad(x, padding, fill=0):
    """`x` (N, C, H, W) with `padding` (height, width) more pixels of value `fill` on all four sides."""
    (ph, pw), (n, c, h, w) = padding, x.shape
    if ph == pw == 0:
        return x
    if np.isinf(fill) and x.dtype.kind != "f":
        fill = np.iinfo(x.dtype).min
    padded = np.full((n, c, h + 2 * ph, w + 2 * pw), fill, x.dtype)
    padded[:, :, ph : ph + h, pw : pw + w] = x
    return padded


def output_shape(x_shape, kernel_size, stride, padding):
    """(OH, OW) for images of shape (N, C, H, W) and windows `kernel_size`, all pairs."""
    return tuple(map(conv_output_size, x_shape[2:], kernel_size, stride, padding))

# %% nbgrader={"grade": false, "grade_id": "conv2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which four numbers name one entry of the output? One loop for each of them, around everything else.", "For one entry, begin with the bias of its channel (or with zero), and add what the formula says; the window begins at the place times the stride, in the padded image.", "Make the array of the result first, from the number of images, the number of kernels and the output shape; with no image in the batch the loops then simply do not run."], "minutes": 40, "objective": "windows"}
#| export
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None: (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_naive", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def sample_images(*shape):  # sin(0), sin(1), …: no symmetry, and the same on every machine
    return np.sin(np.arange(float(math.prod(shape)))).reshape(shape)


def sample_weights(*shape):  # cos(0), cos(1), …
    return np.cos(np.arange(float(math.prod(shape)))).reshape(shape)


def test_unit_conv2d_naive():
    image, kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 0.0], [0.0, 2.0]]]])
    expect(conv2d_naive(image, kernel), [[[[11, 14], [20, 23]]]], "1 … 9 under [[1, 0], [0, 2]]; flipped: 7")
    expect(conv2d_naive(image, kernel, np.array([0.5])), [[[[11.5, 14.5], [20.5, 23.5]]]], "with bias 0.5")
    got = conv2d_naive(image, kernel, None, (1, 1), (0, 1))
    expect(got, [[[[8, 11, 14, 3], [14, 20, 23, 6]]]], "the same, padding (0, 1)")
    got = conv2d_naive(np.arange(1.0, 9.0).reshape(1, 1, 4, 2), kernel, None, (2, 1))
    expect(got, [[[[9], [21]]]], "4 × 2 pixels 1 … 8, stride (2, 1)")
    colours, both = np.concatenate([image, 10 * image], axis=1), np.array([[kernel[0, 0], [[0, 1], [0, 0]]]])
    expect(conv2d_naive(colours, both), [[[[31, 44], [70, 83]]]], "and 10 … 90 under [[0, 1], [0, 0]]")
    # all sizes differ: 3 images, 2 channels in, 4 out, 7 × 8 pixels, a kernel of 3 × 2; PyTorch's numbers
    x, weight, bias = sample_images(3, 2, 7, 8), sample_weights(4, 2, 3, 2), np.array([0.1, -0.2, 0.3, -0.4])
    case, got = "stride (2, 3), padding (2, 1)", np.asarray(conv2d_naive(x, weight, bias, (2, 3), (2, 1)))
    expect(got.shape, (3, 4, 5, 3), f"{case}: the shape")
    some = [0.61662553, 3.33329751, 5.74654866, 5.25888578]
    expect(got[2, :, 3, 1], some, f"{case}: out[2, :, 3, 1]", atol=1e-8)
    expect(got.sum(), -13.71785644, f"{case}: the sum of all outputs", atol=1e-7)
    expect(conv2d_naive(x[:0], weight).shape, (0, 4, 5, 7), "no image: the shape")
    expect(conv2d_naive(x.astype(np.float32), weight).dtype, np.float32, "the dtype for x in float32")
    print("🔬 conv2d_naive: passed")

test_unit_conv2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_naive-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other strides and paddings, a single bright pixel, and an independent formula.
### BEGIN HIDDEN TESTS
def windows_under(x, kernel, stride, padding, fill=0.0):  # (N, C, OH, OW, kh, kw)
    wide = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=fill)
    return sliding_window_view(wide, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


spark, mask = np.zeros((1, 2, 5, 5)), np.arange(1.0, 37.0).reshape(2, 2, 3, 3)
spark[0, 1, 2, 2] = 1
expect(conv2d_naive(spark, mask)[0], mask[:, 1, ::-1, ::-1], "a bright pixel shows the kernel turned by 180°")
expect(np.asarray(conv2d_naive(spark, mask, None, (2, 2), (1, 1)))[0, :, 1, 1], mask[:, 1, 1, 1], "stride 2")
got = conv2d_naive(np.ones((1, 2, 3, 4)), np.ones((1, 2, 1, 1)), np.array([5.0]))
expect(got, np.full((1, 1, 3, 4), 7), "1 × 1")
small = conv2d_naive(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), None, (3, 3), (1, 2))
expect(small, [[[[0, 1]]]], "stride 3, padding (1, 2)")
for stride, padding in [((1, 2), (0, 1)), ((3, 1), (2, 0))]:
    ground, lens, offset = sample_images(2, 3, 6, 5), sample_weights(2, 3, 3, 2), np.array([1.0, -1.0])
    under = windows_under(ground, (3, 2), stride, padding)
    wanted = np.einsum("ncijuv,ocuv->noij", under, lens) + offset[:, None, None]
    expect(conv2d_naive(ground, lens, offset, stride, padding), wanted, f"{stride}, {padding}", atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Max pooling

After a convolution it matters little whether an edge is here or one pixel further on. *Max pooling* keeps the largest value
of each window and forgets the rest; usually windows of 2 × 2 with stride 2, which leaves a quarter of the pixels.

    1 3 2 0
    4 2 1 1     →    4 2
    0 0 5 6          7 8
    7 0 8 2

Padding must not take part: with zeros around it, an image of negative values would get a border of zeros. So it is padded
with −∞, which loses against every number.

**Write `max_pool2d_naive(x, kernel_size, stride, padding)`**, all pairs, with loops.
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The loops over images, channels and places are those of the convolution, but there is no kernel, and every channel stays by itself.", "The function that pads takes the value to pad with; find the window's slice in the padded image, with the place times the stride as its corner.", "Give the result the dtype of the images when you make it, for infinity would otherwise decide that."], "minutes": 20, "objective": "pooling"}
#| export
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_naive", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_pool2d_naive():
    image = np.array([[1.0, 3, 2, 0], [4, 2, 1, 1], [0, 0, 5, 6], [7, 0, 8, 2]])[None, None]
    expect(max_pool2d_naive(image, (2, 2), (2, 2)), [[[[4, 2], [7, 8]]]], "the image above")
    got = max_pool2d_naive(image - 10, (3, 3), (2, 2), (1, 1))
    expect(got, [[[[-6, -7], [-3, -2]]]], "the image above minus 10, windows of 3 × 3, stride 2, padding 1")
    strip = np.array([[[[1.0, 5, 2, 7, 3, 0]]]])
    expect(max_pool2d_naive(strip, (1, 3), (1, 1)), [[[[5, 7, 7, 7]]]], "a row, windows of 1 × 3")
    expect(max_pool2d_naive(strip, (1, 2), (1, 3)), [[[[5, 7]]]], "a row, windows of 1 × 2, stride (1, 3)")
    got = max_pool2d_naive(np.concatenate([image, -image], axis=1), (2, 2), (2, 2))
    expect(got, [[[[4, 2], [7, 8]], [[-1, 0], [0, -2]]]], "a second channel, other signs")
    got = np.asarray(max_pool2d_naive(sample_images(3, 2, 7, 8), (3, 2), (2, 3), (1, 1)))
    expect(got[2, 1, :, 1], [0.92001423, 0.92001423, 0.99991226, 0.99991226], "7 × 8 pixels", atol=1e-8)
    expect(got.sum(), 56.22307694, "7 × 8 pixels, stride (2, 3), padding (1, 1): the sum", atol=1e-7)
    expect(max_pool2d_naive(image[:0], (2, 2), (2, 2)).shape, (0, 1, 2, 2), "no image: the shape")
    expect(max_pool2d_naive(image.astype(np.float32), (2, 2), (2, 2)).dtype, np.float32, "float32: the dtype")
    print("🔬 max_pool2d_naive: passed")

test_unit_max_pool2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: windows that overlap, leave gaps, or do not divide the image.
### BEGIN HIDDEN TESTS
shades = sample_images(2, 2, 7, 5) - 2
for settings in [
    ((3, 2), (1, 2), (0, 0)), ((2, 2), (3, 3), (1, 0)), ((7, 5), (1, 1), (0, 0)), ((1, 1), (2, 1), (0, 0)),
]:
    wanted = windows_under(shades, *settings, -np.inf).max(axis=(4, 5))
    expect(max_pool2d_naive(shades, *settings), wanted, f"windows, stride, padding {settings}")
expect(max_pool2d_naive(shades.astype(np.float32), (2, 2), (2, 2), (1, 1)).dtype, np.float32, "float32")
### END HIDDEN TESTS

# %% [markdown]
r"""
### See it: the edges of a digit

Two kernels that nobody trained (Sobel's operators, 1968). The first subtracts the pixels on the left from those on the
right, the second does so from top to bottom. Red is positive, blue negative.

**Predict**: where is the *0* red under the first kernel, where blue? And which numbers does a grey wall give?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from tinytorch.notebook import best_seconds


def show_images(images, titles, limit=None, columns=6, scale=1.4):
    """Images side by side, each in its own grey; with a limit, from blue (-limit) by white to red."""
    rows, wide = math.ceil(len(images) / columns), min(columns, len(images))
    size = (scale * wide, scale * 1.2 * rows)
    figure, axes = plt.subplots(rows, wide, figsize=size, squeeze=False, layout="constrained")
    colours = {"cmap": "gray"} if limit is None else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        drawn = axis.imshow(image, **colours)
        axis.set_title(title, fontsize=9)
    if limit is not None:
        figure.colorbar(drawn, ax=axes, shrink=0.8)
    plt.show()


zero = load_digits().images[0]
across = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
edges = [correlate(zero, across), correlate(zero, across.T)]
show_images([zero], ["a digit"], scale=1.9)
show_images(edges, ["left to right", "top to bottom"], limit=60, scale=2.2)
wall = correlate(np.full((8, 8), 9.0), across)
print(f"📊 under the first kernel the digit reaches from {edges[0].min():.0f} to {edges[0].max():.0f}, "
      f"a wall in one grey from {wall.min():.0f} to {wall.max():.0f}")

# %% [markdown]
r"""
A stroke is red where the image gets brighter from left to right, blue where it gets darker. One grey gives 0,
since its weights sum to 0.

**A place to stop.** Convolution and pooling work forward; `tito module test 09` says what is next.
"""

# %% [markdown]
r"""
## Part 2 of 4 · about 4 hours: loops backward

### The gradients of weight and bias

`grad` has the output's shape: how much the loss changes with each output. Read the forward's formula backwards: weight[o, c, u, v] was multiplied by a pixel of the padded x and went into out[n, o, i, j], for every n, i and j. So its
gradient is the sum of all these products:

    for weight[o, c, u, v]:   Σ over n, i, j of   grad[n, o, i, j] · padded x[n, c, i·sh + u, j·sw + v]
    for bias[o]:              Σ over n, i, j of   grad[n, o, i, j]

    x  1 2 3      grad  1   10        for weight[0, 0]:  1·1 + 10·2 + 100·4 + 1000·5  =  5421
       4 5 6           100 1000       for weight[0, 1]:  1·2 + 10·3 + 100·5 + 1000·6  =  6532
       7 8 9                          for the bias:      1111

**Write `conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding)`** with loops: the pair (gradient of the weight,
gradient of the bias). A loop over n, o, i, j is enough if each step adds a whole window of the padded x to `for_weight[o]`.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_weight_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Start with two arrays of zeros, one of the weight's shape, one with an entry for each kernel; which axes of grad and of x tell you the numbers of channels?", "Go through the entries of grad. Which window of the padded image did this output look at? It has all input channels, as one kernel has.", "Every output adds its share: the window times that entry of grad to the kernel's gradient, the entry itself to the bias."], "minutes": 40, "objective": "backward"}
#| export
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients of weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW) and x (N, C, H, W)."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_weight_gradient_naive", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_weight_gradient_naive():
    image, grad = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    for_weight, for_bias = conv2d_weight_gradient_naive(grad, image, (2, 2), (1, 1), (0, 0))
    expect(for_weight, [[[[5421, 6532], [8754, 9865]]]], "1 … 9 and grad [[1, 10], [100, 1000]]: weight")
    expect(for_bias, [1111], "the same: the bias's gradient")
    for_weight, _ = conv2d_weight_gradient_naive(np.ones((1, 1, 4, 4)), image, (2, 2), (1, 1), (1, 1))
    expect(for_weight, [[[[45, 45], [45, 45]]]], "1 … 9, padding 1, grad all 1: every weight saw every pixel")

    # 3 images, 2 channels in, 4 out, 7 × 8 pixels, kernels of 3 × 2; the numbers are PyTorch's
    x, grad, settings = sample_images(3, 2, 7, 8), sample_weights(3, 4, 5, 3), ((3, 2), (2, 3), (2, 1))
    case, found = "stride (2, 3), padding (2, 1)", conv2d_weight_gradient_naive(grad, x, *settings)
    for_weight, for_bias = np.asarray(found[0]), found[1]
    expect(for_weight.shape, (4, 2, 3, 2), f"{case}: the shape of the weight's gradient")
    some = [[-0.90662357, -0.18167094], [1.05564021, 0.00958435], [1.07168094, 0.23619107]]
    expect(for_weight[3, 1], some, f"{case}: the gradient of weight[3, 1]", atol=1e-8)
    expect(for_weight.sum(), 2.06941325, f"{case}: the sum of the weight's gradient", atol=1e-7)
    expect(for_bias, [0.91660755, -1.68121383, 1.6377881, -0.80720182], f"{case}: the bias's", atol=1e-8)
    found = conv2d_weight_gradient_naive(grad.astype(np.float32), x.astype(np.float32), *settings)
    expect([one.dtype for one in found], [np.dtype(np.float32)] * 2, "the dtypes of both for float32")
    found = conv2d_weight_gradient_naive(grad[:0], x[:0], *settings)[0]
    expect(found, np.zeros((4, 2, 3, 2)), "no image: the weight's gradient", dtype=np.float64)
    print("🔬 conv2d_weight_gradient_naive: passed")

test_unit_conv2d_weight_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_weight_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: one output at a time gives back its window; other strides and paddings.
### BEGIN HIDDEN TESTS
photo, settings = sample_images(2, 2, 6, 5), ((3, 2), (2, 3), (1, 2))
under = windows_under(photo, *settings)
for n, o, i, j in [(0, 0, 0, 0), (1, 2, 2, 1), (1, 0, 1, 2)]:
    one = np.zeros((2, 3, 3, 3))
    one[n, o, i, j] = 3
    found, bias_found = conv2d_weight_gradient_naive(one, photo, *settings)
    wanted = np.multiply.outer(np.arange(3) == o, 3 * under[n, :, i, j])
    expect(found, wanted, "one output sends back its window, and nothing to other kernels")
    expect(bias_found, [3 * (k == o) for k in range(3)], "the bias of one output")
back = sample_weights(2, 3, 3, 3)
wanted = np.einsum("ncijuv,noij->ocuv", under, back)
found, _ = conv2d_weight_gradient_naive(back, photo, *settings)
expect(found, wanted, "stride (2, 3), padding (1, 2)", atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
### The gradient of the input

The same formula, read for x: each pixel went into every output whose window covered it, times the weight that lay over it.
Rather than ask which windows cover a pixel, go through the outputs and hand back to each window its share:

    for every n, o, i, j:    the window of x at (i·sh, j·sw)  gets   grad[n, o, i, j] · weight[o]      added to it

    weight  1 2      four outputs, grad all 1, on 3 × 3 pixels:      1  3  2
            3 4      the middle pixel lies in all four windows       4 10  6
                                                                     3  7  4

Windows overlap, so it is `+=`. Work on a padded array of zeros, and cut the padding off at the end: from ph to ph + H. (A
slice `[ph:-ph]` is empty where ph is 0.)

**Write `conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding)`.**
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_input_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which shape does an array have that can take the shares of all windows, those that reach into the padding too?", "Each output adds its own entry of grad times its kernel to the window it looked at, at the place times the stride.", "At the end keep only the rows and columns that belong to the image: they begin behind the padding, and there are as many as the shape of x says."], "minutes": 40, "objective": "backward"}
#| export
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, of `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    ### BEGIN SOLUTION
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
    return padded[:, :, ph : ph + height, pw : pw + width]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_input_gradient_naive", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_input_gradient_naive():
    kernel, ones = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 2, 2))
    got = conv2d_input_gradient_naive(ones, kernel, (1, 1, 3, 3), (1, 1), (0, 0))
    expect(got, [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]], "four overlapping windows of [[1, 2], [3, 4]]")
    got = conv2d_input_gradient_naive(np.array([[[[1.0, 10.0]]]]), kernel, (1, 1, 2, 5), (1, 3), (0, 0))
    expect(got, [[[[1, 2, 0, 10, 20], [3, 4, 0, 30, 40]]]], "grad [[1, 10]], stride (1, 3)")
    got = conv2d_input_gradient_naive(np.ones((1, 1, 2, 5)), kernel, (1, 1, 3, 4), (1, 1), (0, 1))
    expect(got, [[[[3, 3, 3, 3], [10, 10, 10, 10], [7, 7, 7, 7]]]], "grad all 1, padding (0, 1)")

    # 3 images, 2 channels in, 4 out, 7 × 8 pixels, kernels of 3 × 2; the numbers are PyTorch's
    weight, grad = sample_weights(4, 2, 3, 2), sample_weights(3, 4, 5, 3)
    got = np.asarray(conv2d_input_gradient_naive(grad, weight, (3, 2, 7, 8), (2, 3), (2, 1)))
    case = "stride (2, 3), padding (2, 1)"
    expect(got.shape, (3, 2, 7, 8), f"{case}: the shape is that of x")
    row = [0.2370425, 0, 0.19862737, 0.17788252, 0, 0.35281843, -0.04482183, 0]
    expect(got[2, 1, 5], row, f"{case}: x[2, 1, 5, :]; 1, 4, 7 are unseen", atol=1e-8, dtype=np.float64)
    expect(got.sum(), 3.03974484, f"{case}: the sum of all", atol=1e-7)
    got = conv2d_input_gradient_naive(sample_weights(2, 1, 3, 2), kernel, (2, 1, 4, 3), (1, 1), (0, 0))
    expect(got.shape, (2, 1, 4, 3), "4 × 3 pixels, no padding: the shape is that of x")
    got = conv2d_input_gradient_naive(*[ones.astype(np.float32)] * 2, (1, 1, 3, 3), (1, 1), (0, 0))
    expect(got.dtype, np.float32, "the dtype for float32 grad and weight")
    got = conv2d_input_gradient_naive(ones[:0], kernel, (0, 1, 3, 3), (1, 1), (0, 0))
    expect(got.shape, (0, 1, 3, 3), "no image")
    print("🔬 conv2d_input_gradient_naive: passed")

test_unit_conv2d_input_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_input_gradient_naive-sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_input_gradient_naive_sizes():
    # padding (3, 4): every pixel lies under every weight once, whatever the sizes of the image
    kernel = np.arange(6.0).reshape(1, 1, 2, 3)
    for (h, w), out in (((5, 2), (10, 8)), ((2, 5), (7, 11))):
        got = conv2d_input_gradient_naive(np.ones((1, 1, *out)), kernel, (1, 1, h, w), (1, 1), (3, 4))
        expect(
            got,
            np.full((1, 1, h, w), 15),
            f"{h} × {w} pixels, padding (3, 4), grad all 1: the sum of the weights",
        )
    print("🔬 conv2d_input_gradient_naive, sizes: passed")


test_unit_conv2d_input_gradient_naive_sizes()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_input_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: pixels that no window covers, and the identity below for more strides and paddings.
### BEGIN HIDDEN TESTS
lone = conv2d_input_gradient_naive(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), (1, 1, 4, 4), (2, 2), (0, 0))
expect(lone, [[[[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]]], "1 × 1, stride 2")
for size, stride, padding in [((6, 5), (1, 1), (0, 0)), ((4, 7), (4, 1), (2, 1)), ((4, 7), (1, 1), (3, 4))]:
    portrait, lenses = sample_images(2, 2, *size), sample_weights(3, 2, 3, 2)
    seen = np.einsum("ncijuv,ocuv->noij", windows_under(portrait, (3, 2), stride, padding), lenses)
    upstream = np.cos(np.arange(seen.size) * 3.0).reshape(seen.shape)
    sent = np.asarray(conv2d_input_gradient_naive(upstream, lenses, portrait.shape, stride, padding))
    expect(sent.shape, portrait.shape, f"{size}, {stride}, {padding}")
    expect((sent * portrait).sum(), (seen * upstream).sum(), f"{size}, {stride}, {padding}", atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
r"""
### See it: the transpose test

How do you test such a gradient without nudging every pixel (module 05's finite differences)? A convolution without bias is
linear in x, and its gradient is the *transpose* of it. So for any x and any grad

    Σ conv(x) · grad   =   Σ x · gradient(grad)

One number on either side, whatever the shapes. **Predict**: do they agree to the last digit?
"""

# %% tags=["measure"]
for settings in [((1, 1), (0, 0)), ((2, 3), (1, 0)), ((1, 1), (3, 4))]:
    x, weight = np.sin(np.arange(180.0)).reshape(2, 3, 6, 5), np.cos(np.arange(72.0)).reshape(4, 3, 3, 2)
    out = conv2d_naive(x, weight, None, *settings)
    grad = np.cos(np.arange(out.size)).reshape(out.shape)
    left, sent = (out * grad).sum(), conv2d_input_gradient_naive(grad, weight, x.shape, *settings)
    right = (x * sent).sum()
    print(f"📊 stride, padding {settings}: {left:.12f}, {right:.12f}, differing by {abs(left - right):.1e}")

# %% [markdown]
r"""
### The gradient of max pooling

Only the winner of a window was passed on, so only it gets the window's gradient. Where several are equal, PyTorch lets the
first win (row by row), and so do we; `argmax` does just that. A pixel can win in several overlapping windows, and collects
from each.

    window  5 5      grad 10     →    10 0
            1 5                        0 0

`np.unravel_index(k, (kh, kw))` turns the number k of an entry, counted row by row, into its row and column.

**Write `max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding)`.** The padding is cut off as before. (Images that
hold −∞ or nan need not worry you: the operation below puts other numbers in their place, in the same order.)
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Pad as in the forward, or a border of zeros wins against negative pixels; the gradient is collected in zeros of the padded shape.", "For every entry of grad, find the window again and ask which of its entries is the first largest one; that gives a row and a column inside of the window.", "Add the entry of grad at the window's corner plus that row and column: a pixel may win more than once. Cut the padding off at the end."], "minutes": 40, "objective": "pooling"}
#| export
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_gradient_naive", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_pool2d_gradient_naive():
    got = max_pool2d_gradient_naive(np.array([[[[10.0]]]]), np.array([[[[5.0, 5], [1, 5]]]]), (2, 2), (2, 2))
    expect(got, [[[[10, 0], [0, 0]]]], "[[5, 5], [1, 5]]: the first of three equal ones wins")
    got = max_pool2d_gradient_naive(np.array([[[[1.0, 10]]]]), np.array([[[[0.0, 9, 2]]]]), (1, 2), (1, 1))
    expect(got, [[[[0, 11, 0]]]], "[[0, 9, 2]], windows of 1 × 2 at stride 1: the middle one wins twice")
    x, grad = np.array([[[[-3.0, -1, -2], [-6, -5, -4], [-7, -9, -8]]]]), np.array([[[[1.0, 2], [3, 4]]]])
    got = max_pool2d_gradient_naive(grad, x, (2, 2), (2, 2), (1, 1))
    expect(got, [[[[1, 2, 0], [3, 0, 4], [0, 0, 0]]]], "3 × 3 negative numbers, padding 1")
    row, grad = np.array([[[[1.0, 2, 3]]]]), np.array([[[[1.0, 2, 3, 4]]]])
    got = max_pool2d_gradient_naive(grad, row, (1, 2), (1, 1), (0, 1))
    expect(got, [[[[1, 2, 7]]]], "a row, padding (0, 1)")
    got = max_pool2d_gradient_naive(grad.reshape(1, 1, 4, 1), row.reshape(1, 1, 3, 1), (2, 1), (1, 1), (1, 0))
    expect(got, [[[[1], [2], [7]]]], "a column, padding (1, 0)")
    x, grad, settings = sample_images(3, 2, 7, 8), sample_weights(3, 2, 4, 3), ((3, 2), (2, 3), (1, 1))
    rows = [[0, 0, 0.1155494, 0, 0, 0, 0, 0], [0.99339038, 0, 0, 0, 0, 0, -0.30902273, 0]]  # PyTorch's
    got = np.asarray(max_pool2d_gradient_naive(grad, x, *settings))
    expect(got[2, 1, 5:], rows, "7 × 8 pixels, stride (2, 3): rows 5, 6", atol=1e-8, dtype=np.float64)
    got = max_pool2d_gradient_naive(grad.astype(np.float32), x.astype(np.float32), *settings)
    expect(got.dtype, np.float32, "the dtype for float32 grad and x")
    expect(max_pool2d_gradient_naive(grad[:0], x[:0], *settings).shape, (0, 2, 7, 8), "no image")
    print("🔬 max_pool2d_gradient_naive: passed")

test_unit_max_pool2d_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: windows that overlap, several channels.
### BEGIN HIDDEN TESTS
values = sample_images(2, 3, 6, 5)
largest = windows_under(values, (3, 2), (1, 2), (1, 1), -np.inf).max(axis=(4, 5))
shares = np.cos(np.arange(float(largest.size))).reshape(largest.shape)
got = np.asarray(max_pool2d_gradient_naive(shares, values, (3, 2), (1, 2), (1, 1)))
expect(got.shape, values.shape, "the shape")
expect(got.sum(axis=(2, 3)), shares.sum(axis=(2, 3)), "every channel keeps its sum", atol=1e-10)
expect((got * values).sum(), (shares * largest).sum(), "shares lie where their largest are", atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Average pooling

The mean of each window instead of its largest value. Padded zeros count as pixels, in the sum as well as in the number by
which it is divided (PyTorch's `count_include_pad=True`). Backward, every pixel of a window gets the same share:

    window  1 3      mean 2.5        grad 8     →    2 2
            4 2                                      2 2

So the gradient is only spread out, and its sum is the same before and after (without padding).

**Write `avg_pool2d_naive(x, kernel_size, stride, padding)` and
`avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding)`.**
"""

# %% nbgrader={"grade": false, "grade_id": "avg_pool2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The forward is max pooling with another word at the heart of it, and with zeros in the padding.", "Backward nobody wins: the whole window gets one number, the entry of grad divided by how many pixels a window has, padding included.", "Windows may overlap, so shares are added; the padding is cut off as in the gradients before."], "minutes": 25, "objective": "pooling"}
#| export
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out
    ### END SOLUTION


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-avg_pool2d_naive", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_avg_pool2d_naive():
    image = np.array([[[[1.0, 3.0], [4.0, 2.0]]]])
    expect(avg_pool2d_naive(image, (2, 2), (2, 2)), [[[[2.5]]]], "the window above")
    got = avg_pool2d_naive(image, (2, 2), (2, 2), (1, 1))
    expect(got, [[[[0.25, 0.75], [1, 0.5]]]], "the same with padding 1: zeros count")
    got = avg_pool2d_gradient_naive(np.array([[[[8.0]]]]), (1, 1, 2, 2), (2, 2), (2, 2))
    expect(got, [[[[2, 2], [2, 2]]]], "grad 8: equal shares")
    got = avg_pool2d_gradient_naive(np.array([[[[4.0, 8], [12, 16]]]]), (1, 1, 2, 2), (2, 2), (2, 2), (1, 1))
    expect(got, [[[[1, 2], [3, 4]]]], "padding 1, each window holds one pixel")
    row, grad = np.ones((1, 1, 1, 3)), np.array([[[[2.0, 4, 6, 8]]]])
    got = avg_pool2d_gradient_naive(grad, row.shape, (1, 2), (1, 1), (0, 1))
    expect(got, [[[[3, 5, 7]]]], "a row, padding (0, 1): windows overlap")
    x, grad, settings = sample_images(3, 2, 7, 8), sample_weights(3, 2, 4, 3), ((3, 2), (2, 3), (1, 1))
    means, back = avg_pool2d_naive(x, *settings), avg_pool2d_gradient_naive(grad, x.shape, *settings)
    some = [0.22066044, -0.01009605, 0.06930951, 0.08555684]
    expect(np.asarray(means)[2, 1, :, 1], some, "7 × 8 pixels, stride (2, 3)", atol=1e-8, dtype=np.float64)
    row = [-0.16660791, 0, -0.08629497, -0.08629497, 0, 0.07335717, 0.07335717, 0]
    expect(np.asarray(back)[2, 1, 4], row, "7 × 8 pixels: the gradient, row 4", atol=1e-8, dtype=np.float64)
    expect(back.shape, x.shape, "the gradient has the shape of x")
    got = avg_pool2d_naive(x[:0].astype(np.float32), *settings)
    expect(got, np.zeros((0, 2, 4, 3)), "no image, float32", dtype=np.float32)
    got = avg_pool2d_gradient_naive(grad[:0].astype(np.float32), x[:0].shape, *settings)
    expect(got, np.zeros((0, 2, 7, 8)), "no image, float32: the gradient", dtype=np.float32)
    print("🔬 avg_pool2d_naive: passed")

test_unit_avg_pool2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-avg_pool2d_naive-sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_avg_pool2d_naive_sizes():
    # windows of 4 × 2, stride (2, 1), padding (2, 1): nothing is square; the numbers are PyTorch's
    x, settings = np.arange(18.0).reshape(1, 1, 6, 3), ((4, 2), (2, 1), (2, 1))
    means = [[3, 8, 12, 7], [18, 40, 48, 26], [42, 88, 96, 50], [27, 56, 60, 31]]
    expect(avg_pool2d_naive(x, *settings), np.array([[means]]) / 8, "6 × 3 pixels, windows of 4 × 2")
    got = avg_pool2d_gradient_naive(np.arange(16.0).reshape(1, 1, 4, 4), x.shape, *settings)
    rows = [[10, 14, 18], [10, 14, 18], [26, 30, 34], [26, 30, 34], [42, 46, 50], [42, 46, 50]]
    expect(got, np.array([[rows]]) / 8, "6 × 3 pixels, windows of 4 × 2: the gradient", atol=1e-12)
    print("🔬 avg_pool2d_naive, sizes: passed")

test_unit_avg_pool2d_naive_sizes()

# %% nbgrader={"grade": true, "grade_id": "test-avg_pool2d_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: the two are each other's transpose, with padding and gaps too.
### BEGIN HIDDEN TESTS
scene = sample_images(2, 2, 7, 6)
for kernel, stride, padding in [
    ((3, 2), (1, 2), (1, 1)), ((2, 2), (3, 3), (0, 0)), ((2, 3), (2, 1), (1, 0)), ((7, 6), (1, 2), (3, 3)),
]:
    means = np.asarray(avg_pool2d_naive(scene, kernel, stride, padding))
    share = np.cos(np.arange(float(means.size))).reshape(means.shape)
    spread = np.asarray(avg_pool2d_gradient_naive(share, scene.shape, kernel, stride, padding))
    assert means.any() and spread.any(), (kernel, stride, padding)  # zeros would be each other's transpose
    expect(spread.shape, scene.shape, f"{kernel}, {stride}, {padding}")
    expect((means * share).sum(), (scene * spread).sum(), f"{kernel}, {stride}, {padding}", atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Operations with several engines

The parts become operations here, each with a forward and a gradient rule. A setting, `kernels`, says whose code computes
both: `"loops"`, what you have just written; `"product"`, what you will write next; `"fast"`, the provided code of
`tinytorch/kernels/`. (The word is used twice: a *kernel* of 3 × 3 is a weight, *kernels* are the programs that compute with
it.) All of them give the same numbers, so nothing that is built on top can tell them apart, except by its watch.

An `Engines` is a table: a name, and the two functions behind it. Your functions are found in it when they are called. While
`tito` tests or grades this module, the provided code is not there, since it could stand in for your answers; `"fast"` then
runs your product.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-operations", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def by_loops(grad, out, x, weight, bias, *, stride, padding, needs):
    """The gradients of a convolution that `needs` asks for, by the loops."""
    for_x = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding) if needs[0] else None
    for_weight, for_bias = conv2d_weight_gradient_naive(grad, x, weight.shape[2:], stride, padding)
    return for_x, for_weight, None if bias is None else for_bias


def by_product(grad, out, x, weight, bias, *, stride, padding, needs):
    """The gradients of a convolution, by matrix products."""
    for_x, for_weight, for_bias = conv2d_product_gradients(grad, x, weight, stride, padding)
    return for_x, for_weight, None if bias is None else for_bias


# a lambda finds your function when it is called: it may be written later, and changed
convolve_engines = Engines("convolve", "spatial", instead="product")
convolve_engines.register("loops", lambda *arrays, **settings: conv2d_naive(*arrays, **settings), by_loops)
convolve_engines.register("product", lambda *arrays, **how: conv2d_product(*arrays, **how), by_product)

pool_max_engines = Engines("pool_max", "spatial", instead="product")
pool_max_engines.register(
    "loops",
    lambda x, **settings: max_pool2d_naive(x, **settings),
    lambda grad, out, x, **settings: max_pool2d_gradient_naive(grad, x, **settings),
)
pool_max_engines.register(
    "product",
    lambda x, **settings: max_pool2d_views(x, **settings),
    lambda grad, out, x, **settings: max_pool2d_views_gradient(grad, x, **settings),
)

pool_avg_engines = Engines("pool_avg", "spatial", instead="loops")
pool_avg_engines.register(
    "loops",
    lambda x, **settings: avg_pool2d_naive(x, **settings),
    lambda grad, out, x, **settings: avg_pool2d_gradient_naive(grad, x.shape, **settings),
)
pool_avg_engines.register(  # there is nothing to multiply
    "product",
    lambda *arrays, **settings: pool_avg_engines["fast"].forward(*arrays, **settings),
    lambda *arrays, **settings: pool_avg_engines["fast"].gradient(*arrays, **settings),
)


@Op
def convolve(x, weight, bias=None, *, stride, padding, kernels):
    """x (N, C, H, W) under windows of weight (O, C, kh, kw), plus bias (O,) or None; settings are pairs."""
    dtype = result_dtype(x, weight, floating=True)
    x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return convolve_engines[kernels].forward(x, weight, bias, stride=stride, padding=padding)


@convolve.gradient
def convolve_gradient(grad, out, x, weight, bias, *, stride, padding, kernels, needs):
    """The gradients that `needs` asks for, by the engine of the forward."""
    x, weight = x.astype(grad.dtype, copy=False), weight.astype(grad.dtype, copy=False)
    rule = convolve_engines[kernels].gradient
    return rule(grad, out, x, weight, bias, stride=stride, padding=padding, needs=needs)


@Op
def pool_max(x, *, kernel_size, stride, padding, kernels):
    """The largest value of each window of x (N, C, H, W); all settings are pairs."""
    return pool_max_engines[kernels].forward(x, kernel_size=kernel_size, stride=stride, padding=padding)


@pool_max.gradient
def pool_max_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    """As in PyTorch: to the first of equal entries, to no padding, and to the last of several nan."""
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    engine = pool_max_engines[kernels]
    if np.isfinite(out).all():
        return engine.gradient(grad, out, x, **settings)
    order = ranked(x)
    return engine.gradient(grad, engine.forward(order, **settings), order, **settings).astype(grad.dtype)


def ranked(x):
    """Finite numbers in the order of x: -inf stays above padding, and the last nan is the largest."""
    ranks = np.unique(x, return_inverse=True)[1].reshape(x.shape).astype(np.float64)
    is_nan = np.isnan(x)
    ranks[is_nan] = x.size + np.arange(is_nan.sum())
    return ranks


@Op
@in_float32
def pool_avg(x, *, kernel_size, stride, padding, kernels):
    """The mean of each window of x (N, C, H, W), padded zeros included; all settings are pairs."""
    dtype = result_dtype(x, floating=True)
    x = x.astype(np.result_type(dtype, np.float32), copy=False)  # float16 may be too small for the sum
    means = pool_avg_engines[kernels].forward(x, kernel_size=kernel_size, stride=stride, padding=padding)
    return means.astype(dtype, copy=False)


@pool_avg.gradient
def pool_avg_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    rule = pool_avg_engines[kernels].gradient
    return rule(grad, out, x, kernel_size=kernel_size, stride=stride, padding=padding)

# %% [markdown]
r"""
### Checkpoint: a tiny network learns eight digits by heart

One convolution with four kernels, pooling, one dense layer; forward and backward by your loops. A network that cannot learn
eight pictures by heart has a mistake in it somewhere: this is the first thing to try with any new layer. **Predict**: how
many of the eight are right after 40 steps, and how many seconds will the loops need for it?
"""

# %% tags=["measure"]
def learn_eight_digits(kernels, steps=40, rate=0.3):
    """Train on eight digits: (losses, how many are right at the end, seconds)."""
    digits, shuffle = load_digits(), np.random.default_rng(0)
    x, y = Tensor(digits.images[:8, None] / 16), digits.target[:8]
    weight = Tensor(shuffle.standard_normal((4, 1, 3, 3)) * 0.4, requires_grad=True)
    dense = Tensor(shuffle.standard_normal((36, 10)) * 0.2, requires_grad=True)
    loss_of, losses, start = CrossEntropyLoss(), [], time.perf_counter()
    for _ in range(steps):
        seen = relu(convolve(x, weight, None, stride=(1, 1), padding=(0, 0), kernels=kernels))
        small = pool_max(seen, kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), kernels=kernels)
        scores = small.flatten(1) @ dense
        loss = loss_of(scores, y)
        loss.backward()
        losses.append(loss.item())
        for parameter in (weight, dense):
            parameter.data -= rate * parameter.grad
            parameter.grad = None
    return losses, int((scores.numpy().argmax(axis=1) == y).sum()), time.perf_counter() - start


losses, right, loop_seconds = learn_eight_digits("loops")
print(f"📊 {right} of 8 right, loss {losses[0]:.3f} → {losses[-1]:.3f} in {len(losses)} steps, "
      f"{loop_seconds:.1f} s by loops")
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
axes.plot(losses)
axes.set(xlabel="step", ylabel="loss", title="Eight digits", ylim=(0, None))
plt.show()

# %% [markdown]
r"""
**A place to stop.** A small convolutional network works, forward and backward, and learns; it is only slow.
"""

# %% [markdown]
r"""
## Part 3 of 4 · about 4 hours: one product

### The windows as rows

The loops spend their time on Python's bookkeeping, not on arithmetic. The way out is an old one: bring the problem into a
form that somebody has made fast already, a matrix product. Lay the pixels under each window side by side as one row:

    image  1 2 3        windows of 2 × 2:     1 2 4 5         the window at (0, 0)
           4 5 6                              2 3 5 6         (0, 1)
           7 8 9                              4 5 7 8         (1, 0)
                                              5 6 8 9         (1, 1)

With several channels a row holds all pixels of the first channel's window, then those of the second; with several images,
all rows of the first image come first. (Everybody calls this *im2col*, image to columns, and the table its *columns*: where
the name was invented, each window is a column. Here each is a row.)

NumPy's `sliding_window_view(x, (kh, kw), axis=(2, 3))` gives all windows at stride 1 as a view of shape
(N, C, H − kh + 1, W − kw + 1, kh, kw) without copying anything; slices with steps leave the wanted ones.

**Write `im2col(x, kernel_size, stride, padding)`**, of shape (N · OH · OW, C · kh · kw), without a loop. For an empty batch
write the sizes out in `reshape`, here and in what follows: a −1 cannot be worked out from no numbers at all.
"""

# %% nbgrader={"grade": false, "grade_id": "im2col", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Pad first, then take the view of all windows and keep every window whose place is a multiple of the stride, along the two axes of places.", "Which of the six axes decide the row of the table, in which order, and which the place within the row? Bring the six into that order before you reshape.", "The channel's axis has to travel behind the two axes of places; the size of each side of the table is a product of sizes that you know."], "minutes": 50, "objective": "product"}
#| export
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    ### BEGIN SOLUTION
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-im2col", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_im2col():
    image = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    rows = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    expect(im2col(image, (2, 2)), rows, "windows of 2 × 2")
    colours = np.concatenate([image, 10 * image], axis=1)
    rows = [[1, 2, 10, 20], [2, 3, 20, 30], [7, 8, 70, 80], [8, 9, 80, 90]]
    expect(im2col(colours, (1, 2), (2, 1)), rows, "two channels, windows of 1 × 2, stride (2, 1)")
    rows = [[1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9], [10, 20, 30, 40, 50, 60], [40, 50, 60, 70, 80, 90]]
    expect(im2col(np.concatenate([image, 10 * image]), (2, 3)), rows, "two images, windows of 2 × 3")
    rows = [[0, 0, 0, 0, 1, 2, 0, 4, 5], [0, 0, 0, 2, 3, 0, 5, 6, 0]]
    got = im2col(image, (3, 3), (2, 2), (1, 1))
    expect(got.shape, (4, 9), "windows of 3 × 3, padding 1, stride 2: the shape")
    expect(got[:2], rows, "windows of 3 × 3, padding 1, stride 2: the first two rows")
    expect(im2col(colours[:0], (2, 2)).shape, (0, 8), "no image: the shape")
    print("🔬 im2col: passed")

test_unit_im2col()

# %% nbgrader={"grade": true, "grade_id": "test-im2col-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches, and every row against the window it stands for.
### BEGIN HIDDEN TESTS
batch = sample_images(3, 2, 5, 6)
for kernel, stride, padding in [((2, 3), (2, 1), (0, 2)), ((5, 1), (1, 3), (1, 0))]:
    rows, under = im2col(batch, kernel, stride, padding), windows_under(batch, kernel, stride, padding)
    _, _, oh, ow, kh, kw = under.shape
    expect(rows.shape, (3 * oh * ow, 2 * kh * kw), f"{kernel}, {stride}, {padding}")
    for number, (n, i, j) in enumerate(np.ndindex(3, oh, ow)):
        expect(rows[number], under[n, :, i, j].ravel(), f"{kernel}, {stride}, {padding}, {n, i, j}")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Convolution as one product

A kernel, flattened, is C · kh · kw weights in the same order as a row of the table. So with `matrix`, the weight as
(O, C · kh · kw), the whole convolution is

    rows @ matrixᵀ  +  bias        (N · OH · OW, C · kh · kw) @ (C · kh · kw, O)   →   (N · OH · OW, O)

What comes out has the channel last; it has to become (N, O, OH, OW), by moving axes, not by `reshape` alone.

**Write `conv2d_product(x, weight, bias, stride, padding)`**, with the same arguments and results as `conv2d_naive`, and
without it: while the test runs, `without_loops` makes your loops refuse.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-without_loops", "locked": true, "schema_version": 3, "solution": false, "task": false}
LOOPS = (
    "correlate", "conv2d_naive", "conv2d_weight_gradient_naive", "conv2d_input_gradient_naive",
    "max_pool2d_naive", "max_pool2d_gradient_naive",
)


def without_loops(function, *arguments):
    """function(*arguments), while the loops of parts 1 and 2 refuse to run, whatever they are called."""

    def refuse(*arguments, **settings):
        raise AssertionError("this calls the loops of parts 1 and 2; here a product or a view has to work")

    loops = [loop for loop in map(globals().get, LOOPS) if getattr(loop, "__closure__", ()) is None]
    codes = [loop.__code__ for loop in loops]
    try:
        for loop in loops:
            loop.__code__ = refuse.__code__
        return function(*arguments)
    finally:
        for loop, code in zip(loops, codes, strict=True):
            loop.__code__ = code

# %% nbgrader={"grade": false, "grade_id": "conv2d_product", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The table of windows is made; flatten each kernel to a row of the same length, and think about which side of the product has to be transposed.", "Add the bias while the channels are still the last axis: there it broadcasts by itself, and it may be missing.", "The rows of the product are images, then rows of places, then columns of places. Give it those axes back, and only then move the channel forward."], "minutes": 25, "objective": "product"}
#| export
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    o, c, kh, kw = weight.shape
    out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
    if bias is not None:
        out += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return out.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_product():
    image, kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    got = without_loops(conv2d_product, image, kernel)
    expect(got, [[[[37, 47], [67, 77]]]], "1 … 9 under [[1, 2], [3, 4]]")
    images, kernels = np.concatenate([image, 10 * image]), np.concatenate([kernel, -kernel])
    got = conv2d_product(images, kernels, np.array([0.5, 0.0]))
    four = np.array([[37.0, 47.0], [67.0, 77.0]])
    expect(got, [[four + 0.5, -four], [10 * four + 0.5, -10 * four]], "two images, kernels and biases")

    # the numbers are PyTorch's
    x, weight, bias = sample_images(2, 3, 5, 7), sample_weights(4, 3, 2, 3), np.array([0.1, -0.2, 0.3, -0.4])
    case, got = "stride (2, 1), padding (1, 2)", np.asarray(conv2d_product(x, weight, bias, (2, 1), (1, 2)))
    expect(got.shape, (2, 4, 3, 9), f"{case}: the shape")
    numbers = [0.43507554, 0.43956535, 0.80955583, -0.36662889]
    expect(got[1, :, 1, 4], numbers, f"{case}: out[1, :, 1, 4], all four channels", atol=1e-8)
    expect(got.sum(), -10.03934997, f"{case}: the sum of all outputs", atol=1e-7)
    x, weight, bias = sample_images(3, 2, 6, 5), sample_weights(3, 2, 3, 2), np.array([1.0, 2.0, 3.0])
    case, got = "stride (1, 3), padding (2, 1)", np.asarray(conv2d_product(x, weight, bias, (1, 3), (2, 1)))
    expect(got.sum(), 288.12257192, f"{case}: the sum of all outputs", atol=1e-7)
    expect(conv2d_product(x[:0], weight).shape, (0, 3, 4, 4), "no image: the shape")
    singles = (array.astype(np.float32) for array in (x, weight, bias))
    expect(conv2d_product(*singles).dtype, np.float32, "the dtype of float32 images, weight and bias")
    print("🔬 conv2d_product: passed")

test_unit_conv2d_product()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: no bias, other sizes, inputs that are left alone.
### BEGIN HIDDEN TESTS
def drawn_case(drawn, most_padding):  # x, weight, stride, padding
    n, c, o, kh, kw = drawn.integers(1, 4, 5)
    stride, padding = drawn.integers(1, 4, 2).tolist(), drawn.integers(0, most_padding + 1, 2).tolist()
    x = drawn.standard_normal((n, c, kh + drawn.integers(0, 5), kw + drawn.integers(0, 5)))
    return x, drawn.standard_normal((o, c, kh, kw)), stride, padding


drawn = np.random.default_rng(1)
for _ in range(12):
    strip, filters, *settings = drawn_case(drawn, 2)
    kept = strip.copy(), filters.copy()
    wanted = np.einsum("ncijuv,ocuv->noij", windows_under(strip, filters.shape[2:], *settings), filters)
    case = f"x {strip.shape}, weight {filters.shape}, stride and padding {settings}"
    expect(conv2d_product(strip, filters, None, *settings), wanted, case, atol=1e-9)
    expect((strip, filters), kept, "the arguments afterwards")
### END HIDDEN TESTS

# %% [markdown]
r"""
### The gradients of the product

In `out = rows @ matrixᵀ` you know both gradients from module 05. Bring `grad` into the shape of `out`: `grad_rows`, of shape
(N · OH · OW, O). Then

    for the matrix:   grad_rowsᵀ @ rows          (O, C · kh · kw), which reshaped is the weight's
    for the bias:     the sum of grad_rows over its rows
    for the rows:     grad_rows @ matrix         (N · OH · OW, C · kh · kw)

The last one has a number for each pixel of each window. They go back to where `im2col` took them from, and where windows
overlap they add up. For the image 1 … 9, the kernel 1 2 3 4 (that is [[1, 2], [3, 4]]) and grad [[1, 0], [0, 10]]:

    rows      1 2 4 5     grad_rows   1     for the rows    1  2  3  4     back in the image    1   2   0
              2 3 5 6                 0                     0  0  0  0                          3  14  20
              4 5 7 8                 0                     0  0  0  0                          0  30  40
              5 6 8 9                10                    10 20 30 40
    for the matrix:  1·(1 2 4 5) + 10·(5 6 8 9)  =  51 62 84 95

Loops over the kernel's kh · kw positions are enough for the way back: for one position (u, v), all windows together lie in a
single slice with steps, `padded[:, :, u : u + sh·OH : sh, v : v + sw·OW : sw]`, in which no pixel occurs twice.

**Write `conv2d_product_gradients(grad, x, weight, stride, padding)`**: the gradients of x, weight and bias.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_product_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The forward moved the channel from the last axis to the second one. Undo just that with grad, and only then flatten it to as many rows as the table has.", "Three products and sums give everything but the way back; write the shape beside each of them before you run it.", "For the way back, give the table of gradients its six axes again, in the order in which it was flattened; then one position in the kernel is one plane for every image and channel, to be added to a slice of the padded zeros."], "minutes": 75, "objective": "product"}
#| export
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    grad_rows = grad.transpose(0, 2, 3, 1).reshape(n * oh * ow, o)
    for_weight = (grad_rows.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    for_rows = grad_rows @ weight.reshape(o, c * kh * kw)
    planes = for_rows.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += planes[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, grad_rows.sum(axis=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product_gradients", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_product_gradients():
    image, kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    grad, case = np.array([[[[1.0, 0.0], [0.0, 10.0]]]]), "the example above"
    found = without_loops(conv2d_product_gradients, grad, image, kernel, (1, 1), (0, 0))
    expect(found[1], [[[[51, 62], [84, 95]]]], f"{case}: the gradient of the weight")
    expect(found[2], [11], f"{case}: the gradient of the bias")
    expect(found[0], [[[[1, 2, 0], [3, 14, 20], [0, 30, 40]]]], f"{case}: the gradient of x")

    # 3 images, 2 channels in, 4 out, 7 × 8 pixels, kernels of 3 × 2; the numbers are PyTorch's
    x, weight, grad = sample_images(3, 2, 7, 8), sample_weights(4, 2, 3, 2), sample_weights(3, 4, 5, 3)
    case, found = "stride (2, 3), padding (2, 1)", conv2d_product_gradients(grad, x, weight, (2, 3), (2, 1))
    expect([one.shape for one in found], [x.shape, weight.shape, (4,)], f"{case}: the shapes")
    plane = [[-0.90662357, -0.18167094], [1.05564021, 0.00958435], [1.07168094, 0.23619107]]
    expect(np.asarray(found[1])[3, 1], plane, f"{case}: the gradient of weight[3, 1]", atol=1e-8)
    expect(np.asarray(found[1]).sum(), 2.06941325, f"{case}: the sum of the weight's gradient", atol=1e-7)
    expect(found[2], [0.91660755, -1.68121383, 1.6377881, -0.80720182], f"{case}: bias", atol=1e-8)
    row = [0.2370425, 0, 0.19862737, 0.17788252, 0, 0.35281843, -0.04482183, 0]
    expect(np.asarray(found[0])[2, 1, 5], row, f"{case}: of x[2, 1, 5, :]", atol=1e-8, dtype=np.float64)
    expect(np.asarray(found[0]).sum(), 3.03974484, f"{case}: the sum of the gradient of x", atol=1e-7)
    found = conv2d_product_gradients(grad[:0], x[:0], weight, (2, 3), (2, 1))
    expect([one.shape for one in found], [(0, 2, 7, 8), weight.shape, (4,)], "no image: the shapes")
    singles = (array.astype(np.float32) for array in (grad, x, weight))
    dtypes = [one.dtype for one in conv2d_product_gradients(*singles, (2, 3), (2, 1))]
    expect(dtypes, [np.dtype(np.float32)] * 3, "the dtypes for float32 images, weight and grad")
    print("🔬 conv2d_product_gradients: passed")

test_unit_conv2d_product_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product_gradients-sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_product_gradients_sizes():
    # padding (3, 4): every pixel lies under every weight once, whatever the sizes of the image
    kernel = np.arange(6.0).reshape(1, 1, 2, 3)
    for (h, w), out in (((5, 2), (10, 8)), ((2, 5), (7, 11))):
        found = conv2d_product_gradients(np.ones((1, 1, *out)), np.ones((1, 1, h, w)), kernel, (1, 1), (3, 4))
        case = f"{h} × {w} pixels all 1, padding (3, 4), grad all 1"
        expect(found[0], np.full((1, 1, h, w), 15), f"{case}: the gradient of x, the sum of the weights")
        expect(
            found[1],
            np.full((1, 1, 2, 3), h * w),
            f"{case}: the gradient of the weight, the number of pixels",
        )
    print("🔬 conv2d_product_gradients, sizes: passed")


test_unit_conv2d_product_gradients_sizes()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other sizes, strides and paddings, and the identity of the transpose test.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(2)
for _ in range(12):
    film, lens, *settings = drawn_case(drawn, 4)
    under = windows_under(film, lens.shape[2:], *settings)
    seen = np.einsum("ncijuv,ocuv->noij", under, lens)
    light = drawn.standard_normal(seen.shape)
    found = conv2d_product_gradients(light, film, lens, *settings)
    case = f"x {film.shape}, weight {lens.shape}, stride and padding {settings}"
    expect(found[0].shape, film.shape, case)
    expect((np.asarray(found[0]) * film).sum(), (seen * light).sum(), f"{case}: x", atol=1e-8)
    expect(found[1], np.einsum("ncijuv,noij->ocuv", under, light), f"{case}: weight", atol=1e-8)
    expect(found[2], light.sum(axis=(0, 2, 3)), f"{case}: bias", atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Pooling by views

The same view of windows serves pooling, which needs no product: the largest of the last two axes. Backward, let each window
name its winner. With the last two axes flattened, `argmax` gives a number k for each window, and its pixel lies at

    row  i · sh + k // kw          column  j · sw + k % kw

in the padded image. `np.add.at(back, (n, c, row, column), grad)` hands everything out at once, also to pixels that win
twice, where `back[n, c, row, column] += grad` would add only the last one: for `back = [0, 0]`, places `[0, 0]` and grad
`[1, 10]` the one gives `[11, 0]`, the other `[10, 0]`. `np.indices(k.shape)` gives n, c, i and j.

**Write `max_pool2d_views` and `max_pool2d_views_gradient`**, with the arguments and results of your loops.
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_views", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The view of the padded image, with steps, has a window in its last two axes; the forward is one call over these two.", "For the gradient, flatten these two axes to one before you ask for the winner; write its size out, for an empty batch.", "From the winner's number and the place of its window follow a row and a column in the padded image; hand out grad there with the function that also counts a pixel twice, and cut the padding off."], "minutes": 45, "objective": "pooling"}
#| export
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    ### BEGIN SOLUTION
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))
    ### END SOLUTION


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    ### BEGIN SOLUTION
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_views", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_pool2d_views():
    x, grad = np.array([[[[-3.0, -1, -2], [-6, -5, -4], [-7, -9, -8]]]]), np.array([[[[1.0, 2], [3, 4]]]])
    settings = (2, 2), (2, 2), (1, 1)
    expect(without_loops(max_pool2d_views, x, *settings), [[[[-3, -1], [-6, -4]]]], "3 × 3, padding 1")
    got = without_loops(max_pool2d_views_gradient, grad, x, *settings)
    expect(got, [[[[1, 2, 0], [3, 0, 4], [0, 0, 0]]]], "3 × 3, padding 1: the gradient")
    grad, x = np.array([[[[1.0, 10, 100]]]]), np.array([[[[0.0, 9, 2, 9]]]])
    got = max_pool2d_views_gradient(grad, x, (1, 2), (1, 1))
    expect(got, [[[[0, 11, 0, 100]]]], "[[0, 9, 2, 9]], windows of 1 × 2: 9 wins twice, and collects both")
    got = max_pool2d_views_gradient(np.array([[[[10.0]]]]), np.array([[[[5.0, 5], [1, 5]]]]), (2, 2), (2, 2))
    expect(got, [[[[10, 0], [0, 0]]]], "[[5, 5], [1, 5]]: the first of three equal ones wins")

    x, settings = sample_images(2, 3, 6, 5), ((3, 2), (1, 2), (1, 1))  # the numbers are PyTorch's
    case, got = "windows (3, 2), stride (1, 2), padding (1, 1)", np.asarray(max_pool2d_views(x, *settings))
    expect(got.shape, (2, 3, 6, 3), f"{case}: the shape")
    expect(got[1, 2, :3, 1], [0.93332052, 0.93332052, 0.48329156], f"{case}: out[1, 2, :3, 1]", atol=1e-8)
    expect(got.sum(), 77.68045046, f"{case}: the sum", atol=1e-7)
    back = np.asarray(max_pool2d_views_gradient(sample_weights(2, 3, 6, 3), x, *settings))
    rows = [[-0.44807362, 0, -0.02490809, 0, 0], [0, 0, 0, 0, -0.71555913], [0.3174287, 0, 0, 0, 0.89200487]]
    expect(back[1, 2, :3], rows, f"{case}: the gradient", atol=1e-7, dtype=np.float64)
    x, grad = x[:0].astype(np.float32), np.ones((0, 3, 6, 3), np.float32)
    empty = max_pool2d_views(x, *settings), max_pool2d_views_gradient(grad, x, *settings)
    expect([one.shape for one in empty], [(0, 3, 6, 3), (0, 3, 6, 5)], "no image: the shapes")
    expect([one.dtype for one in empty], [np.dtype(np.float32)] * 2, "the dtypes for float32")
    print("🔬 max_pool2d_views: passed")

test_unit_max_pool2d_views()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_views-sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_pool2d_views_sizes():
    # windows of 4 × 2, stride (2, 1), padding (2, 1): nothing is square; the numbers are PyTorch's
    x, settings = np.arange(18.0).reshape(1, 1, 6, 3), ((4, 2), (2, 1), (2, 1))
    largest = [[3, 4, 5, 5], [9, 10, 11, 11], [15, 16, 17, 17], [15, 16, 17, 17]]
    expect(max_pool2d_views(x, *settings), [[largest]], "6 × 3 pixels, windows of 4 × 2")
    got = max_pool2d_views_gradient(np.arange(16.0).reshape(1, 1, 4, 4), x, *settings)
    rows = [[0, 0, 0], [0, 1, 5], [0, 0, 0], [4, 5, 13], [0, 0, 0], [20, 22, 50]]
    expect(got, [[rows]], "6 × 3 pixels, windows of 4 × 2: the gradient")
    print("🔬 max_pool2d_views, sizes: passed")

test_unit_max_pool2d_views_sizes()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_views-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: equal entries in windows that overlap, other strides and paddings.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(3)
for kernel, stride, padding in [
    ((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((2, 3), (3, 1), (0, 1)), ((2, 1), (1, 2), (1, 0)),
]:
    level = drawn.integers(-3, 0, (2, 3, 5, 4)).astype(np.float64)  # few different values, so many are equal
    under, case = windows_under(level, kernel, stride, padding, -np.inf), f"{kernel}, {stride}, {padding}"
    expect(max_pool2d_views(level, kernel, stride, padding), under.max(axis=(4, 5)), case)
    shares, wanted = drawn.standard_normal(under.shape[:4]), np.zeros((2, 3, 9, 9))
    for n, c, i, j in np.ndindex(shares.shape):
        u, v = divmod(int(under[n, c, i, j].argmax()), kernel[1])
        wanted[n, c, i * stride[0] + u, j * stride[1] + v] += shares[n, c, i, j]
    inside = wanted[:, :, padding[0] : padding[0] + 5, padding[1] : padding[1] + 4]
    got = max_pool2d_views_gradient(shares, level, kernel, stride, padding)
    expect(got, inside, f"{case}: the gradient", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
### See it: what the product brought

The same eight digits with the same seeds. **Predict**: how many times faster?
"""

# %% tags=["measure"]
losses_again, right, product_seconds = learn_eight_digits("product")
print(f"📊 loops {loop_seconds:.2f} s, product {product_seconds:.3f} s: "
      f"{loop_seconds / product_seconds:.0f} times faster; "
      f"{right} of 8 right; the last losses {losses[-1]:.6f} and {losses_again[-1]:.6f}")

# %% [markdown]
r"""
**A place to stop.** Convolution and pooling work in two ways that agree, and the second one is fast enough to train with.
"""

# %% [markdown]
r"""
## Part 4 of 4 · about 3 hours: layers

### The layer

`Conv2d` owns a weight and a bias and calls `convolve`. Two things are worth a thought.

- *How large the weights start.* Each output sums `in_channels · kh · kw` products, its *fan-in*. Under a ReLU the signal
  keeps its size if the weights are normal with standard deviation √(2 / fan-in) (He and others, 2015). For 3 → 32 channels
  and 3 × 3: √(2/27) = 0.272. The bias starts at 0.
- *What comes in.* A batch (N, C, H, W), or a single image (C, H, W), which becomes a batch of one and loses that axis again
  at the end. A batch of one image stays a batch.

**Write the two parts of `Conv2d`.** In `__init__`: the weight (out, in, kh, kw) and the bias as `Parameter`s; without bias,
`self.bias` is None. One call of module 03's `normal_(tensor, std=…)` draws the weight: so `manual_seed` decides what it is,
and two layers start with different weights. In `forward`: refuse an input that has neither 3 nor 4 axes, or whose number of
channels is not `self.in_channels`, with a `ValueError` whose message holds the layer (`{self}`) and both shapes, that of the
input and that of the weight. The provided `check_fit`, which you call with the layer, the shape of the batch and the three
settings, refuses images that are too small. Then comes `convolve`; its setting `kernels` is `self.kernels`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-checks", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def check_settings(layer, kernel_size, stride, padding):
    """Raise ValueError naming the layer unless sizes and strides are positive and padding is not negative."""
    settings = ("kernel_size", kernel_size, 1), ("stride", stride, 1), ("padding", padding, 0)
    for name, values, least in settings:
        is_integer = all(isinstance(value, (int, np.integer)) for value in values)
        if not is_integer or len(values) != 2 or min(values) < least:
            raise ValueError(f"{layer}: {name} {values} must be two integers of at least {least}")


def check_channels(layer, *numbers):
    """Raise ValueError naming the layer for numbers of channels that are not integers of at least 1."""
    if not all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers):
        raise ValueError(f"{layer}: the numbers of channels {numbers} must be integers of at least 1")


def check_pooling(layer, kernel_size, stride, padding):
    """What check_settings does, and that padding is at most half of the window, or one could see nothing."""
    check_settings(layer, kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(f"{layer}: padding {padding} is more than half of the window {kernel_size}")


def check_fit(layer, x_shape, kernel_size, stride, padding):
    """Raise ValueError naming the layer and both shapes where no window fits into images (N, C, H, W)."""
    try:
        output_shape(x_shape, kernel_size, stride, padding)
    except ValueError as error:
        raise ValueError(f"{layer}: input of shape {tuple(x_shape)}, kernel {kernel_size}: {error}") from None

# %% nbgrader={"grade": false, "grade_id": "Conv2d", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In the first part: a tensor of zeros in the weight's shape, filled by one call with the standard deviation that the fan-in gives; both it and the bias become Parameters.", "In the second part, count axes and channels first, from the end of the shape, so that one check serves batches and single images.", "Remember whether a single image came in before you give it the batch's axis, and take away only that axis at the end: others may have size 1 too."], "minutes": 40, "objective": "layer"}
#| export
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops".
    Raises ValueError naming the layer and both shapes for an input that does not fit.
    """

    engines = convolve_engines

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        ### BEGIN SOLUTION
        kh, kw = self.kernel_size
        std = math.sqrt(2 / (in_channels * kh * kw))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)
        ### END SOLUTION

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_layer():
    layer, x = Conv2d(3, 4, (2, 3), stride=(2, 1), padding=(1, 2)), Tensor(sample_images(2, 3, 5, 7))
    layer.kernels = "loops"
    expect([layer.weight.shape, layer.bias.shape], [(4, 3, 2, 3), (4,)], "the shapes of weight and bias")
    expect(layer.bias.numpy(), [0, 0, 0, 0], "the bias starts at 0", dtype=np.float32)
    expect([layer.weight.requires_grad, layer.bias.requires_grad], [True, True], "both are Parameters")
    layer.weight.data[...] = sample_weights(4, 3, 2, 3)
    layer.bias.data[...] = [10, 20, 30, 40]
    numbers = [10.33507554, 20.63956535, 30.50955583, 40.03337111]  # PyTorch's
    case, got = "weights cos(0), cos(1), …, bias [10, 20, 30, 40]", layer(x)
    expect(got.numpy()[1, :, 1, 4], numbers, f"{case}: out[1, :, 1, 4]", atol=1e-4, dtype=np.float32)
    got.sum().backward()
    expect(layer.bias.grad, [54, 54, 54, 54], "the gradient of the bias: 2 images of 3 × 9 outputs")
    expect(layer.weight.grad is None, False, "whether the weight is left without a gradient")
    expect(layer(x[:1]).shape, (1, 4, 3, 9), "a batch of one image stays a batch: the shape")
    single = layer(x[1])
    expect(single.shape, (4, 3, 9), "a single image (3, 5, 7): the shape")
    expect(single.numpy()[:, 1, 4], numbers, "the second image alone: out[:, 1, 4]", atol=1e-4)
    narrow = Conv2d(3, 1, (5, 6), bias=False)
    narrow.kernels = "loops"
    expect(narrow(x[0]).shape, (1, 1, 2), "3 → 1, 5 × 6, on a single image (3, 5, 7): the shape")
    names = [[name for name, _ in one.named_parameters()] for one in (narrow, Conv2d(2, 3, 1))]
    expect(names, [["weight"], ["weight", "bias"]], "the parameters without and with bias")
    print("🔬 Conv2d: passed")

test_unit_conv2d_layer()

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d-start", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_start():
    manual_seed(0)
    first, second = (Conv2d(16, 64, (2, 5)).weight.numpy() for _ in range(2))
    expect(first.std(), 0.1118, "16 channels, 2 × 5: the standard deviation, √(2/160)", rtol=0.05)
    expect(first.mean(), 0, "the mean of the weights", atol=0.01)
    assert not np.array_equal(first, second), "two layers start with different weights, these with the same"
    manual_seed(0)
    expect(Conv2d(16, 64, (2, 5)).weight.numpy(), first, "the same seed gives the same weights")
    print("🔬 Conv2d, how it starts: passed")

test_unit_conv2d_start()

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_layer_errors():
    layer = Conv2d(3, 4, 3)
    for shape in [(2, 5, 8, 8), (8, 8), (1, 2, 3, 8, 8), (5, 8, 8)]:
        expect_error(ValueError, ["Conv2d(3, 4", shape, (4, 3, 3, 3)], layer, Tensor(np.zeros(shape)))
    expect_error(ValueError, ["Conv2d(3, 4", (1, 3, 2, 8)], layer, Tensor(np.zeros((1, 3, 2, 8))))
    expect_error(ValueError, ["Conv2d", "stride"], Conv2d, 3, 4, 3, stride=0)
    expect_error(ValueError, ["Conv2d", "padding"], Conv2d, 3, 4, 3, padding=-1)
    layer.kernels = "slow"  # convolve has to be told, or it cannot object
    expect_error(ValueError, ["'slow'"], layer, Tensor(np.zeros((1, 3, 8, 8))))
    print("🔬 Conv2d, what it refuses: passed")

test_unit_conv2d_layer_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: gradients reach the parameters, whichever kernels run; bias and stride are used.
### BEGIN HIDDEN TESTS
block = Conv2d(2, 3, 3, stride=2, padding=1)
block.weight.data[...] = sample_weights(3, 2, 3, 3)
block.bias.data[...] = [1, 2, 3]
for kernels in ("loops", "product", "fast"):
    block.kernels = kernels
    block.zero_grad()
    answer = block(Tensor(sample_images(2, 2, 6, 5)))
    (answer * answer).sum().backward()
    expect(answer.shape, (2, 3, 3, 3), kernels)
    expect(answer.numpy().sum(), 107.1017, kernels, atol=1e-2)
    expect(np.asarray(block.weight.grad)[0, 0, 0], [-4.2472, -1.0991, -1.4182], kernels, atol=1e-3)
    expect(block.bias.grad, [35.6883, 71.2258, 107.2893], kernels, atol=1e-2)
expect(Conv2d(1, 1000, 1).weight.numpy().std(), 1.4142, "one channel, 1 × 1: √2", rtol=0.1)
### END HIDDEN TESTS

# %% [markdown]
r"""
The other layers hold nothing to learn and are given, with the functions that PyTorch's users call. `use_kernels(model, name)`
of `tinytorch.kernels` switches a whole model.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-layers", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def of_single_images_too(function):
    """`function`, which takes a batch, also for one image (C, H, W)."""

    @wraps(function)
    def called(x, *arguments, **settings):
        if x.ndim != 3:
            return function(x, *arguments, **settings)
        return function(x.unsqueeze(0), *arguments, **settings).squeeze(0)

    return called


@of_single_images_too
def conv2d(x, weight, bias=None, stride=1, padding=0, *, kernels="fast"):
    """The convolution of images (N, C, H, W) or (C, H, W) with weight (O, C, kh, kw) and bias (O,).

    stride, padding: integers or pairs. Raises ValueError naming the shapes where they do not fit.
    """
    if (x.ndim, weight.ndim) != (4, 4) or x.shape[1] != weight.shape[1]:
        raise ValueError(f"conv2d: an input of shape {x.shape} does not fit a weight of shape {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: a bias {bias.shape} does not fit a weight of shape {weight.shape}")
    settings = {"stride": pair(stride), "padding": pair(padding)}
    for check in (check_settings, lambda *what, **how: check_fit(what[0], x.shape, what[1], **how)):
        check("conv2d", weight.shape[2:], **settings)
    return convolve(x, weight, bias, kernels=kernels, **settings)


def pool2d(name, operation, x, kernel_size, stride, padding, kernels):
    """Call a pooling operation after checking what it gets; a single image (C, H, W) is a batch of one."""
    kernel_size, padding = pair(kernel_size), pair(padding)
    stride = kernel_size if stride is None else pair(stride)
    check_pooling(name, kernel_size, stride, padding)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images have the shape (N, C, H, W) or (C, H, W), not {x.shape}")
    check_fit(name, (1, *x.shape)[-4:], kernel_size, stride, padding)
    pool = of_single_images_too(operation)
    return pool(x, kernel_size=kernel_size, stride=stride, padding=padding, kernels=kernels)


def max_pool2d(x, kernel_size, stride=None, padding=0, *, kernels="fast"):
    """The largest value of each window; the stride is the window's size unless given."""
    return pool2d("max_pool2d", pool_max, x, kernel_size, stride, padding, kernels)


def avg_pool2d(x, kernel_size, stride=None, padding=0, *, kernels="fast"):
    """The mean of each window, padded zeros included; the stride is the window's size unless given."""
    return pool2d("avg_pool2d", pool_avg, x, kernel_size, stride, padding, kernels)


def flatten(x, start_dim=0, end_dim=-1):
    """The axes from start_dim to end_dim as one."""
    return x.reshape(flattened(x.shape, start_dim, end_dim))


class Pool2d(Module):
    """What the two kinds of pooling share."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.padding, self.kernels = kernel_size, padding, "fast"
        self.stride = kernel_size if stride is None else stride
        check_pooling(self, pair(kernel_size), pair(self.stride), pair(padding))

    def forward(self, x):
        return pool2d(self, self.operation, x, self.kernel_size, self.stride, self.padding, self.kernels)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Pool2d):
    """The largest value of each window of images (N, C, H, W) or (C, H, W)."""

    operation, engines = pool_max, pool_max_engines


class AvgPool2d(Pool2d):
    """The mean of each window of images (N, C, H, W) or (C, H, W), padded zeros included."""

    operation, engines = pool_avg, pool_avg_engines


class Flatten(Module):
    """All axes from start_dim (1: all but the batch) to end_dim as one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

# %% [markdown]
r"""
### What a convolution costs

Every output pixel is a sum of C · kh · kw products, and there are O · OH · OW of them. For 3 → 32 channels, 3 × 3, on 32 × 32
pixels with padding 1:

    32 · 32 · 32 outputs  ·  27 products each  =  884,736 multiply-adds

The least number of bytes that have to move, in float32: the image and the weight are read, the result is written.
4 · (3·32·32 + 32·27 + 32·32·32) = 146,816.

**Write `conv_cost(in_channels, out_channels, kernel_size, size, stride, padding)`**: the tuple (multiply-adds, bytes) for one
image of `size` × `size` pixels and a square kernel, without bias.
"""

# %% nbgrader={"grade": false, "grade_id": "conv_cost", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["You wrote a function that gives the number of places along one axis; an image has two axes, and all numbers here follow from it.", "The weights are counted once for the bytes, but used once for every place in the multiply-adds."], "minutes": 15, "objective": "cost"}
#| export
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    ### BEGIN SOLUTION
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv_cost", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv_cost():
    expect(conv_cost(3, 32, 3, 32, padding=1), (884_736, 146_816), "3 → 32, 3 × 3 on 32 × 32, padding 1")
    expect(conv_cost(6, 16, 5, 14), (240_000, 20_704), "6 → 16, 5 × 5 on 14 × 14, no padding")
    expect(conv_cost(2, 4, 3, 9, stride=2)[0], 16 * 72, "2 → 4, 3 × 3 on 9 × 9, stride 2: 16 places, 72 each")
    print("🔬 conv_cost: passed")

test_unit_conv_cost()

# %% nbgrader={"grade": true, "grade_id": "test-conv_cost-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other layers.
### BEGIN HIDDEN TESTS
expect(conv_cost(64, 64, 3, 56, padding=1), (115_605_504, 1_753_088), "64 → 64 on 56 × 56")
expect(conv_cost(1, 1, 1, 1), (1, 12), "one pixel")
expect(conv_cost(3, 8, 4, 10, stride=3, padding=1)[0], 3 * 3 * 8 * 48, "stride 3")
expect_error(ValueError, ["7", "5"], conv_cost, 1, 1, 7, 5)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Put together

A convolution, ReLU, pooling and a dense layer, in PyTorch's spelling. PyTorch 2.13 gives the loss and the gradients that
stand in the test, and all kinds of kernels have to find them.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model = Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(8, 3))
    for i, parameter in enumerate(model.parameters()):
        parameter.data[...] = np.cos(np.arange(parameter.numel()) + i).reshape(parameter.shape)
    x = Tensor(sample_images(2, 1, 4, 4))
    plane = [[1.492919, 1.32036, 0.339359], [-1.420032, -0.133732, 1.042464], [0.501359, -0.606146, -1.27585]]
    for kernels in ("loops", "product", "fast"):
        use_kernels(model, kernels).zero_grad()
        loss = CrossEntropyLoss()(model(x), np.array([0, 2]))
        loss.backward()
        expect(loss.item(), 5.141019, f"{kernels}: the loss", atol=1e-4)
        expect(np.asarray(model[0].weight.grad)[0, 0], plane, f"{kernels}: the kernel's gradient", atol=1e-4)
        expect(model[0].bias.grad, [1.6346936, -0.410667], f"{kernels}: the gradient of the bias", atol=1e-4)

    eyes = Conv2d(3, 32, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3, padding=1), ReLU()
    cnn = Sequential(*eyes, MaxPool2d(2), Flatten(), Linear(4096, 128), ReLU(), Linear(128, 10))
    expect(sum(parameter.numel() for parameter in cnn.parameters()), 545_098, "a larger network: parameters")
    expect(cnn(Tensor(np.zeros((2, 3, 32, 32)))).shape, (2, 10), "a larger network: two CIFAR images")
    print("🔬 module 09, a convolutional network: passed")

test_module()

# %% [markdown]
r"""
### LeNet-5 reads

The network of LeCun, Bottou, Bengio and Haffner (1998), with ReLU and max pooling in place of their tanh and averages. It
wants 28 × 28 pixels, so scikit-learn's digits of 8 × 8 are enlarged threefold and get a margin. **Predict**: module 05's
dense network of 9,610 parameters read about 97 of 100 unseen digits. LeNet-5 has 61,706 parameters. How many will it read,
and how long will its 12 epochs take?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def lenet():
    """LeNet-5 for images (N, 1, 28, 28) and ten classes: 61,706 parameters."""
    eyes = Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))


def large_digits(seed=0):
    """scikit-learn's digits, shuffled, as (N, 1, 28, 28) from 0 to 1: 1,437 with labels, 360 with labels."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = np.pad(np.kron(digits.images[order], np.ones((1, 3, 3))) / 16, [(0, 0), (2, 2), (2, 2)])
    images, labels = images[:, None].astype(np.float32), digits.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def train(model, data, test, epochs=12, batch=32, rate=0.05, momentum=0.9, seed=0):
    """Gradient descent with momentum and a rate that falls to 0: the test accuracy after each epoch."""
    (images, labels), loss_of, shuffle = data, CrossEntropyLoss(), np.random.default_rng(seed)
    parameters = list(model.parameters())
    speeds, history = [np.zeros_like(parameter.data) for parameter in parameters], []
    for epoch in range(epochs):
        order, step = shuffle.permutation(len(labels)), rate * (1 - epoch / epochs)
        for start in range(0, len(order), batch):
            picked = order[start : start + batch]
            loss_of(model(Tensor(images[picked])), labels[picked]).backward()
            for parameter, speed in zip(parameters, speeds, strict=True):
                speed *= momentum
                speed += parameter.grad
                parameter.data -= step * speed
                parameter.grad = None
        with no_grad():
            history.append(float((model(Tensor(test[0])).argmax(axis=1).numpy() == test[1]).mean()))
    return history


manual_seed(0)
reader, (seen, unseen) = lenet(), large_digits()
started = time.perf_counter()
history = train(reader, seen, unseen)
took = time.perf_counter() - started

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(range(1, len(history) + 1), np.array(history) * 100, "o-")
axes.axhline(97, ls="--", color="0.4")
axes.text(1, 97.05, "module 05: 97 %", va="bottom", color="0.3", fontsize=9)
axes.set(xlabel="epoch", ylabel="accuracy on unseen digits in %", title="LeNet-5 on enlarged digits of 8 × 8")
plt.show()
many = sum(parameter.numel() for parameter in reader.parameters())
print(f"📊 LeNet-5, {many:,} parameters, {took:.1f} s: {history[-1]:.1%} of 360 unseen digits, "
      f"{'more' if history[-1] > 0.97 else 'no more'} than the dense network's 97 %")

# %% [markdown]
r"""
What has it learned? The six kernels of the first layer, what they make of one digit, and the digits that it still gets wrong.
"""

# %% tags=["measure"]
with no_grad():
    maps = reader[1](reader[0](Tensor(unseen[0][:1]))).numpy()[0]
    guesses = reader(Tensor(unseen[0])).argmax(axis=1).numpy()
weights = reader[0].weight.numpy()[:, 0]
show_images(weights, [f"kernel {i}" for i in range(6)], limit=np.abs(weights).max(), scale=1.2)
show_images(maps, [f"map {i} of a {unseen[1][0]}" for i in range(6)], scale=1.2)
wrong = np.flatnonzero(guesses != unseen[1])
if len(wrong):
    titles = [f"{unseen[1][i]}, read as {guesses[i]}" for i in wrong[:6]]
    show_images([unseen[0][i, 0] for i in wrong[:6]], titles, scale=1.3)
print(f"📊 {len(wrong)} mistakes (is, read as):", ", ".join(f"({unseen[1][i]}, {guesses[i]})" for i in wrong))

# %% [markdown]
r"""
Kernels of 5 × 5 look like noise even when they work: most of what they were at the start is still in them. Their maps say
more. In each one other strokes of the same digit stay bright: those that lie across the kernel's red and blue.

### What an engineer does to your product

PyTorch is several times faster than your product, and `tinytorch/kernels/` comes close to it. The code is there to be read;
here is each of its tricks, in a few lines around your own functions.

- *Blocks.* The columns of a large batch are hundreds of megabytes: written to memory, read back, used once. A few images at
  a time, they stay in the processor's cache, and the memory is used again.
- *Threads.* NumPy lets go of the interpreter while it computes, so two threads can work on two blocks.
- *Channels last.* Where the channels of a pixel are neighbours in memory, a row of columns is copied in long runs.
- *Fewer multiplications* (Winograd, 1980). Two outputs of three weights g on four pixels d take 6 multiplications:
  d₀g₀ + d₁g₁ + d₂g₂ and d₁g₀ + d₂g₁ + d₃g₂. These four are enough:

      a = (d₀ − d₂) · g₀                       b = (d₁ + d₂) · (g₀ + g₁ + g₂)/2
      e = (d₁ − d₃) · g₂                       c = (d₂ − d₁) · (g₀ − g₁ + g₂)/2

  and the outputs are a + b + c and b − c − e. The sums of weights are made once for all pixels. For d = 1 2 3 4 and
  g = 2 0 1: a, b, c, e = −4, 7.5, 1.5, −2, and the outputs are 5 and 8. In two dimensions the saving is squared, and with
  larger tiles, 4 × 4 outputs at a time, 36 multiplications do the work of 144. The price: sums of pixels are rounded, so
  errors are about ten times larger, and a block with one pixel far above the others, or nan, is computed by columns instead.

**Predict** which of the four brings most on your machine.
"""

# %% tags=["measure"]
from tinytorch.kernels.spatial.products import forward_by_columns
from tinytorch.kernels.spatial.windows import window_geometry
from tinytorch.kernels.spatial.winograd import forward_by_winograd
from tinytorch.threads import map_blocks, one_blas_thread


def blocks_of(x, images=2):
    return [x[i : i + images] for i in range(0, len(x), images)]


def in_blocks(x, weight):
    return np.concatenate([conv2d_product(block, weight) for block in blocks_of(x)])


def in_threads(x, weight):
    return np.concatenate(map_blocks(lambda block: conv2d_product(block, weight), blocks_of(x)))


def columns_with_channels_last(x):
    """x: (N, H, W, C). The same table as im2col's, but for the order of the numbers within a row."""
    windows = sliding_window_view(x, (3, 3), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, 9 * x.shape[3])


def two_outputs(d, g):
    """Two outputs of three weights by four multiplications."""
    a, b = (d[0] - d[2]) * g[0], (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
    e, c = (d[1] - d[3]) * g[2], (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
    return a + b + c, b - c - e


print("📊 two outputs by four multiplications:", two_outputs([1, 2, 3, 4], [2, 0, 1]))

# %% tags=["measure"]
def analyze_tricks():
    """How many times faster each trick is than the same work without it."""
    shuffle = np.random.default_rng(0)
    x, weight = (shuffle.standard_normal(shape, np.float32) for shape in ((64, 32, 18, 18), (64, 32, 3, 3)))
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    geometry, out = window_geometry(x, (3, 3), (1, 1), (0, 0)), np.empty((64, 16, 16, 64), np.float32)
    work = x.transpose(0, 1, 2, 3), weight, np.float32(0), geometry, out
    pairs = {
        "threads": (lambda: in_blocks(x, weight), lambda: in_threads(x, weight)),
        "channels last (columns only)": (lambda: im2col(x, (3, 3)), lambda: columns_with_channels_last(last)),
        "fewer multiplications": (lambda: forward_by_columns(*work), lambda: forward_by_winograd(*work)),
        "blocks": (lambda: conv2d_product(x, weight), lambda: in_blocks(x, weight)),
    }
    with one_blas_thread():  # or NumPy's own threads would be counted to whoever uses them
        seconds = {name: [best_seconds(function) for function in both] for name, both in pairs.items()}
    gains = {name: without / with_it for name, (without, with_it) in seconds.items()}
    for name, gain in sorted(gains.items(), key=lambda item: -item[1]):
        print(f"📊 {name}: {gain:.2f} times faster" if gain > 1.05 else f"📊 {name}: no gain here ({gain:.2f})")
    together = best_seconds(lambda: convolve_engines["product"].forward(x, weight))
    settings = {"stride": (1, 1), "padding": (0, 0)}
    together /= best_seconds(lambda: convolve_engines["fast"].forward(x, weight, **settings))
    print(f"📊 all of them together, against your product: {together:.1f} times faster")


analyze_tricks()

# %% [markdown]
r"""
The order above is that of your machine: on one with a large cache blocks bring less, on one core threads bring nothing.

## Measure: three versions

**Predict** for an image of 32 × 32 with 3 → 8 channels: how many times faster is the product than the loops? And for 64 such
images with 3 → 32 channels, the fast version than the product? Then, for larger images, kernels and numbers of channels:
does the time follow the multiply-adds?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def conv_seconds(kernels, size, kernel=3, channels=8, images=1):
    """The best time of one forward of 3 → channels, kernel × kernel, on images of size × size."""
    x, weight = randn(images, 3, size, size), randn(channels, 3, kernel, kernel)
    repeats = 1 if kernels == "loops" else 7
    return best_seconds(lambda: conv2d(x, weight, padding=kernel // 2, kernels=kernels), repeats)


def analyze_versions():
    """Nanoseconds per multiply-add of the three versions, over image size, kernel size and channels."""
    sweeps = [
        ("image size", [8, 16, 32], lambda v: ({"size": v}, (3, 8, 3, v, 1, 1))),
        ("kernel size", [1, 3, 5, 7], lambda v: ({"size": 16, "kernel": v}, (3, 8, v, 16, 1, v // 2))),
        ("output channels", [2, 8, 32], lambda v: ({"size": 16, "channels": v}, (3, v, 3, 16, 1, 1))),
    ]
    figure, panels = plt.subplots(1, 3, figsize=(8, 3.6), sharey=True, layout="constrained")
    prices = {}
    for axes, (name, values, cases) in zip(panels, sweeps, strict=True):
        for kernels, style in zip(("loops", "product", "fast"), ("o-", "s--", "^:"), strict=True):
            times = [(conv_seconds(kernels, **how), conv_cost(*cost)[0]) for how, cost in map(cases, values)]
            prices[name, kernels] = [seconds / work * 1e9 for seconds, work in times]
            axes.loglog(values, prices[name, kernels], style, label=kernels)
        axes.set(xlabel=name, xticks=values, xticklabels=values)
        axes.minorticks_off()
    panels[0].set(ylabel="nanoseconds per multiply-add")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle("One image, three versions")
    plt.show()
    one = {kernels: conv_seconds(kernels, 32) * 1e3 for kernels in ("loops", "product", "fast")}
    many = {name: conv_seconds(name, 32, channels=32, images=64) * 1e3 for name in ("product", "fast")}
    print(f"📊 32 × 32, 3 → 8: loops {one['loops']:.0f} ms, product {one['product']:.2f} ms, "
          f"{one['loops'] / one['product']:,.0f} times faster")
    print(f"📊 64 images, 3 → 32: product {many['product']:.1f} ms, fast {many['fast']:.1f} ms, "
          f"{many['product'] / many['fast']:.1f} times faster")
    first, *_, last = prices["kernel size", "loops"]
    kind = "four loops and .sum()" if first > 15 * last else "seven loops"
    print(f"📊 the loops, per multiply-add: {first:,.0f} ns at 1 × 1, {last:,.0f} ns at 7 × 7, as for {kind}")
    x, weight = np.random.default_rng(0).standard_normal((4, 32, 16, 16)), sample_weights(32, 32, 3, 3)
    for dtype in (np.float32, np.float64):
        arrays = [Tensor(array, dtype=dtype) for array in (x, weight)]
        fast, product = (conv2d(*arrays, padding=1, kernels=name).numpy() for name in ("fast", "product"))
        print(f"📊 {np.dtype(dtype)}: fast and product differ by at most {np.abs(fast - product).max():.1e}, "
              f"the largest result is {np.abs(product).max():.0f}")


with no_grad():
    analyze_versions()

# %% [markdown]
r"""
With seven loops every multiply-add costs Python's bookkeeping, so its price hardly depends on the shape. With four loops and
`.sum()` the price is per window, and the more pixels a window has, the less is one of them. The product's price falls with
the size too: a call costs microseconds before anything is computed, and on a single small image there is little else. That
is also why training on eight digits gained less than one convolution does here: its images are tiny, and ReLU, loss and
dense layer, which take part in each of its steps, did not get faster at all.

## Measure: memory

**Predict** for a batch of 32 CIFAR images in the network of 545,098 parameters: what takes more, the parameters, their
gradients, or the activations that wait for `backward`? And how large are the columns of a product, all of them at once?
"""

# %% tags=["measure"]
def analyze_memory():
    """Megabytes of parameters, gradients, activations and columns for 32 CIFAR images."""
    names = ["conv 3→32", "relu", "pool", "conv 32→64", "relu", "pool"]
    first, second = Conv2d(3, 32, 3, padding=1), Conv2d(32, 64, 3, padding=1)
    layers, x, held = [first, ReLU(), MaxPool2d(2), second, ReLU(), MaxPool2d(2)], randn(32, 3, 32, 32), []
    for layer in layers:
        x = layer(x)
        held.append(x.nbytes)
    parameters, columns = 4 * 545_098, 4 * 32 * (32 * 32 * 27 + 16 * 16 * 288)
    sizes = {"parameters": parameters, "their gradients": parameters, "activations": sum(held)}
    sizes["columns"] = columns
    figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
    megabytes = [size / 1e6 for size in sizes.values()]
    drawn = axes.barh(list(sizes), megabytes, color="0.7", edgecolor="0.2", hatch=["", "//", "..", "xx"])
    axes.bar_label(drawn, fmt="%.1f MB", padding=3)
    axes.set(xlabel="megabytes", title="32 CIFAR images, 545,098 parameters")
    axes.margins(x=0.2)
    axes.invert_yaxis()
    plt.show()
    parts = (f"{name} {size / 1e6:.1f} MB" for name, size in zip(names, held, strict=True))
    print("📊 activations:", ", ".join(parts))


analyze_memory()

# %% [markdown]
r"""
Convolutions turn the relation of module 05 around: few parameters, and activations that dwarf them. The columns, nine times
a layer's input for a kernel of 3 × 3, would nearly double that again, which is why the fast version never makes all of them.

## Measure: weights and fields of view

**Predict**: (a) how many parameters has a layer from a 32 × 32 × 3 image to a 32 × 32 × 32 one, as a convolution of 3 × 3 and
as a dense layer? (b) An output of a first 3 × 3 convolution depends on 3 × 3 pixels of the image, its *receptive field*. And
one of the fifth? Each layer adds kernel − 1 pixels, times the strides of all layers below it.
"""

# %% tags=["measure"]
def receptive_field(layers):
    """How many input pixels, along one axis, an output depends on. layers: (kernel size, stride) of each."""
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


def analyze_structure():
    """Parameters of a convolution and of a dense layer, and receptive fields over depth."""
    dense = (3 * 32**2 + 1) * 32 * 32**2
    print(f"📊 3 → 32 channels on 32 × 32: convolution {32 * 27 + 32:,} parameters, dense layer {dense:,}")
    each, across = 64 * 9, 64 * 64
    print(f"📊 64 → 64, 3 × 3: {64 * each:,} weights; with a 3 × 3 for each channel alone, then 1 × 1 across, "
          f"(depthwise separable): {each + across:,}, {64 * each / (each + across):.1f} times fewer")
    small = [(3, 1)] * 8
    stacks = {"5 × 5": [(5, 1)] * 8, "3 × 3, each with 2 × 2 pooling": [(3, 1), (2, 2)] * 4, "3 × 3": small}
    depth = list(range(1, 9))
    figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
    for (label, layers), style in zip(stacks.items(), ("s--", "^:", "o-"), strict=True):
        axes.plot(depth, [receptive_field(layers[:d]) for d in depth], style, label=label)
    axes.axhline(32, color="0.5", lw=0.8, ls=":", label="a whole CIFAR image")
    axes.set(xlabel="layers", ylabel="pixels along one axis", title="What one output can see of the image")
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()
    print(f"📊 five 3 × 3 convolutions see {receptive_field([(3, 1)] * 5)} pixels across, "
          f"three with 2 × 2 pooling after each {receptive_field([(3, 1), (2, 2)] * 3)}")


analyze_structure()

# %% [markdown]
r"""
A convolution needs few weights because it uses the same ones everywhere; what it pays is a small field of view, which depth
widens slowly and pooling quickly.

## Measure: the order of loops

**Predict**: adding up an image row by row, or column by column, are the same additions. Which is faster, how many times?
"""

# %% tags=["measure"]
image, total = np.ones((2048, 2048), np.float32), np.zeros(2048, np.float32)
by_rows = best_seconds(lambda: [np.add(total, image[i], out=total) for i in range(2048)])
by_columns = best_seconds(lambda: [np.add(total, image[:, i], out=total) for i in range(2048)])
print(f"📊 2,048 rows {by_rows * 1e3:.1f} ms, 2,048 columns {by_columns * 1e3:.1f} ms: "
      f"the order costs a factor of {by_columns / by_rows:.1f}")

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-rounding", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Questions

**Rounding, and 1 × 1.** (a) By how much do your product and the fast version differ in float32, by how much in float64, in
the cell *three versions*? Why do they differ at all, and which difference would make you suspicious? (b) A 1 × 1 convolution
has no neighbours to look at. What does it compute, and which layer of module 03 is it for every pixel?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-rounding", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) the two printed numbers; floating-point addition is not associative, so rounding depends on the order (and
Winograd's sums are rounded besides): 1 point; a bound that grows with the number of terms, or about 1e-5 to 1e-4 of the
largest result in float32, and that float64 must be some 1e9 times closer: 1 point. (b) A mix of the channels at each pixel:
1 point; `Linear` applied to every pixel's channels, with the same weights: 1 point.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-workers", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Order and workers.** (a) By which factor do your two loops over the same image differ, in the cell *the order of loops*? Say
what the processor does differently, and which of the seven loops of a convolution you would put innermost if images lay in
memory as (N, H, W, C). (b) Eight workers are to share one training step of convolution, pooling, convolution, pooling and a
dense layer. What would you split, what has to be exchanged or added up at the end, and what remains in every worker's memory
until `backward` has passed?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-workers", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) the printed factor; memory comes in cache lines of neighbours, and along a column each line is fetched for
one number, or evicted before its neighbours are used: 1 point; the channels c (or o for the output), which are neighbours
there: 1 point. (b) The batch, an eighth of the images each; the gradients of weights and biases are sums over images, so
they are added up across workers before the update, the activations never travel: 1 point; each keeps the parameters and its
own images' activations (which shrink with the split, the parameters do not): 1 point. Splitting output channels or rows of
images with a margin is as good, if what has to be exchanged is named.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

`tito module complete 09_spatial` exports all this. You then have the layers that LeNet had in 1998. Training it on the real
digits, and a larger network on photographs, is milestone 04: it is unlocked by this module **and** by 06 (optimizers), 07
(the training loop) and 08 (loading data), which you may take in any order with this one. `tito milestone list` says which of
them are missing; `tito milestone run 04` then runs on digits that are brought along, and on MNIST after
`tito data fetch mnist`.
"""
