# %% [markdown]
r"""
# 09 Spatial

A dense layer sees an image as a row of numbers. Shift a digit by one pixel and it sees something it has never met. A *convolution* (LeCun and others,
1989) looks at a small window and slides it over the whole image with the same weights: what it has learned in one corner it knows in all of them, and a 3 × 3 window
needs 9 weights where a dense layer between two 32 × 32 images needs a million.

You will write it three times:

1. as seven nested loops, forward and backward. Nothing is hidden, and you will wait for it;
2. as one matrix product, with the same results, hundreds of times faster;
3. and then read, not write, what an engineer does to that product to come near PyTorch.

At the end LeNet-5 reads handwritten digits with your code.
"""

# %%
from tinytorch.notebook import check_home, expect_error

check_home()

# %%
#| default_exp core.spatial

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinytorch.core.layers import Module, Parameter, normal_
from tinytorch.core.tensor import Op, flattened, result_dtype, zeros
from tinytorch.kernels import Engines

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
## How many windows fit?

A window of `kernel_size` = 3 on a row of 5 pixels has 3 places: it starts at pixel 0, 1 or 2. With a *stride* of 2 it skips every other one: 2 places. With *padding* 1 a zero is put on
both ends, the row has 7 pixels, and with stride 1 there are 5 places: the output is as large as the input.

    size 5, kernel 3, stride 1, padding 0    → 3
    size 5, kernel 3, stride 2, padding 0    → 2
    size 5, kernel 3, stride 1, padding 1    → 5
    size 6, kernel 3, stride 2, padding 0    → 2        the last pixel is left over

The last place that fits starts at size + 2·padding − kernel, so there are ⌊(size + 2·padding − kernel) / stride⌋ + 1 of them.

**Write `conv_output_size(size, kernel_size, stride, padding)`.** Where no window fits, raise a `ValueError` whose message holds the kernel size and the padded size.
"""

# %% nbgrader={"grade": false, "grade_id": "conv_output_size", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    ### BEGIN SOLUTION
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return room // stride + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv_output_size", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv_output_size():
    table = [
        ((5, 3, 1, 0), 3), ((5, 3, 2, 0), 2), ((5, 3, 1, 1), 5), ((6, 3, 2, 0), 2), ((28, 5, 1, 2), 28), ((28, 2, 2, 0), 14),
        ((3, 3, 1, 0), 1), ((3, 3, 7, 0), 1), ((1, 3, 2, 1), 1), ((7, 1, 3, 0), 3),
    ]
    for (size, kernel, stride, padding), expected in table:
        got = conv_output_size(size, kernel, stride, padding)
        assert got == expected, f"size {size}, kernel {kernel}, stride {stride}, padding {padding}: expected {expected}, got {got}"
    expect_error(ValueError, ["6", "5"], conv_output_size, 5, 6, 1, 0)
    expect_error(ValueError, ["8", "7"], conv_output_size, 5, 8, 2, 1)
    print("🔬 conv_output_size")

test_unit_conv_output_size()

# %% nbgrader={"grade": true, "grade_id": "test-conv_output_size-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more sizes, counted one by one.
### BEGIN HIDDEN TESTS
for size in (1, 4, 9):
    for kernel in (1, 2, 3):
        for stride in (1, 2, 5):
            for padding in (0, 1, 3):
                places = len([start for start in range(0, 99, stride) if start + kernel <= size + 2 * padding])
                if places:
                    assert conv_output_size(size, kernel, stride, padding) == places, (size, kernel, stride, padding)
expect_error(ValueError, ["3", "2"], conv_output_size, 2, 3)
### END HIDDEN TESTS

# %% [markdown]
r"""
## One window, one channel

At each place the window's weights are multiplied with the pixels below them, and the products are added up:

    image  1 2 3 0        kernel  1 0        at (0, 0):  1·1 + 2·0 + 0·0 + 1·2  =  3
           0 1 2 3                0 2        at (0, 1):  2·1 + 3·0 + 1·0 + 2·2  =  6
           3 0 1 2

Mathematicians flip the kernel first and call this, unflipped, a *correlation*. In deep learning nobody flips, because the weights are learned anyway, and everybody says convolution.

**Write `correlate(image, kernel)`** with loops, for two arrays with two axes, stride 1 and no padding. The result has the dtype of the image.
"""

# %% nbgrader={"grade": false, "grade_id": "correlate", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    got = correlate(image, kernel)
    assert got.shape == (2, 3), f"(3, 4) under (2, 2): expected shape (2, 3), got {got.shape}"
    assert got.tolist() == [[3, 6, 9], [0, 3, 6]], f"expected [[3, 6, 9], [0, 3, 6]], got {got.tolist()}"

    got = correlate(image, np.array([[1.0, 10.0, 100.0], [1000.0, 0.0, 0.0]]))
    expected = [[321, 1032], [3210, 321]]
    assert got.tolist() == expected, f"kernel [[1, 10, 100], [1000, 0, 0]]: expected {expected} (a flipped kernel would give 3012 first), got {got.tolist()}"
    for dtype in (np.float32, np.float64):
        got = correlate(image.astype(dtype), kernel)
        assert got.dtype == dtype, f"an image of {np.dtype(dtype)}: expected a result of that dtype, got {got.dtype}"
    print("🔬 correlate")

test_unit_correlate()

# %% nbgrader={"grade": true, "grade_id": "test-correlate-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: kernels as large as the image, of one pixel, taller than wide.
### BEGIN HIDDEN TESTS
picture = np.random.default_rng(0).standard_normal((5, 4))
assert np.allclose(correlate(picture, picture), (picture**2).sum()) and correlate(picture, picture).shape == (1, 1)
assert np.allclose(correlate(picture, np.array([[3.0]])), 3 * picture)
assert np.allclose(correlate(picture, np.array([[1.0], [0.0], [-1.0]])), picture[:-2] - picture[2:])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Every loop written out

A colour image has several *channels*, and a layer has several kernels, each of which looks at all channels and makes one channel of output. A batch has several images. So the weight
has the shape (out, in, kh, kw), and the output at one place of one channel is

    out[n, o, i, j]  =  bias[o]  +  Σ over c, u, v of   x[n, c, i·sh + u, j·sw + v] · weight[o, c, u, v]

where x is padded with zeros first. Four loops walk over the output, three add up: seven in all. For one CIFAR image and 32 kernels of 3 × 3 that is 884,736 multiplications.

The given `pad` puts zeros around an image, and `pair` turns an integer into a pair (stride and padding may differ for height and width).

**Write `conv2d_naive(x, weight, bias, stride, padding)`** on arrays, with every loop written out (the innermost sum may use `.sum()`; then it is four loops). `stride` and `padding` are pairs, and `bias` may be None. The result has the dtype of x, here and in all that follows: float32 stays float32.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-pair", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def pair(value):
    """`(value, value)` for a single setting, or the settings of a tuple or list; `check_settings` looks at them."""
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

# %% nbgrader={"grade": false, "grade_id": "conv2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
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
def sample_images(*shape):
    """Images without symmetry, the same on every machine: sin(0), sin(1), …"""
    return np.sin(np.arange(math.prod(shape), dtype=np.float64)).reshape(shape)


def test_unit_conv2d_naive():
    # all sizes differ: 2 images, 3 channels in, 4 out, 5 × 7 pixels, a kernel of 2 × 3; the numbers are PyTorch's
    x, weight, bias = sample_images(2, 3, 5, 7), np.cos(np.arange(72.0)).reshape(4, 3, 2, 3), np.array([0.1, -0.2, 0.3, -0.4])
    got = conv2d_naive(x, weight, bias, (2, 1), (1, 2))
    assert got.shape == (2, 4, 3, 9), f"stride (2, 1), padding (1, 2): expected shape (2, 4, 3, 9), got {got.shape}"
    for place, expected in [((0, 0, 0, 0), -0.11484135), ((1, 3, 2, 8), -0.10423154), ((0, 1, 1, 4), -0.18750183), ((1, 2, 2, 3), 0.63165662)]:
        assert np.isclose(got[place], expected, atol=1e-8), f"stride (2, 1), padding (1, 2), out{list(place)}: expected {expected}, got {got[place]:.8f}"
    assert np.isclose(got.sum(), -10.03934997, atol=1e-7), f"the sum of all outputs: expected -10.03934997, got {got.sum():.8f}"
    got = conv2d_naive(x, weight)
    assert got.shape == (2, 4, 4, 5), f"no stride, no padding: expected shape (2, 4, 4, 5), got {got.shape}"
    assert np.isclose(got[0, 2, 3, 1], -0.56174522, atol=1e-8), f"without bias, out[0, 2, 3, 1]: expected -0.56174522, got {got[0, 2, 3, 1]:.8f}"
    for dtype in (np.float32, np.float64):
        got = conv2d_naive(x.astype(dtype), weight)
        assert got.dtype == dtype, f"images of {np.dtype(dtype)}: expected a result of that dtype, got {got.dtype}"
    print("🔬 conv2d_naive")

test_unit_conv2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_naive-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other strides and paddings, checked by what a convolution must do to a single bright pixel.
### BEGIN HIDDEN TESTS
spark, mask = np.zeros((1, 2, 5, 5)), np.arange(1.0, 37.0).reshape(2, 2, 3, 3)
spark[0, 1, 2, 2] = 1
assert np.array_equal(conv2d_naive(spark, mask)[0], mask[:, 1, ::-1, ::-1]), "a bright pixel shows the kernel turned by 180°"
assert np.array_equal(conv2d_naive(spark, mask, None, (2, 2), (1, 1))[0, :, 1, 1], mask[:, 1, 1, 1])
assert conv2d_naive(np.zeros((0, 2, 5, 5)), mask).shape == (0, 2, 3, 3)
assert np.allclose(conv2d_naive(np.ones((1, 2, 3, 4)), np.ones((1, 2, 1, 1)), np.array([5.0])), 7)
assert np.allclose(conv2d_naive(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), None, (3, 3), (1, 2))[0, 0], [[0, 1]])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Pooling

After a convolution it matters little whether an edge is here or one pixel further on. *Max pooling* keeps the largest value of each window and forgets the rest; usually windows of 2 × 2 with stride 2, which
leaves a quarter of the pixels.

    1 3 2 0
    4 2 1 1     →    4 2
    0 0 5 6          7 8
    7 0 8 2

Padding must not take part: with zeros around it, an image of negative values would get a border of zeros. So it is padded with −∞, which loses against every number.

**Write `max_pool2d_naive(x, kernel_size, stride, padding)`**, all pairs, with loops.
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    image = np.array([[1, 3, 2, 0], [4, 2, 1, 1], [0, 0, 5, 6], [7, 0, 8, 2]], dtype=np.float64)[None, None]
    got = max_pool2d_naive(image, (2, 2), (2, 2))
    assert got.shape == (1, 1, 2, 2) and got[0, 0].tolist() == [[4, 2], [7, 8]], f"expected [[4, 2], [7, 8]], got {got.tolist()}"
    got = max_pool2d_naive(image - 10, (3, 3), (2, 2), (1, 1))
    assert got[0, 0].tolist() == [[-6, -7], [-3, -2]], f"all negative, padding 1: expected [[-6, -7], [-3, -2]], got {got[0, 0].tolist()}"
    got = max_pool2d_naive(sample_images(2, 3, 5, 4), (2, 3), (1, 1))
    assert got.shape == (2, 3, 4, 2), f"windows of 2 × 3 on 5 × 4 pixels: expected shape (2, 3, 4, 2), got {got.shape}"
    assert np.allclose(got[1, 2, 3], sample_images(2, 3, 5, 4)[1, 2, 3:5, [[0, 1, 2], [1, 2, 3]]].max(axis=(1, 2))), "the last row of windows"
    got = max_pool2d_naive(image.astype(np.float32), (2, 2), (2, 2))
    assert got.dtype == np.float32, f"float32 images: expected a float32 result, got {got.dtype}"
    print("🔬 max_pool2d_naive")

test_unit_max_pool2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: windows that overlap, leave gaps, or do not divide the image.
### BEGIN HIDDEN TESTS
shades = sample_images(2, 2, 7, 5)
for kernel, stride in [((3, 2), (1, 2)), ((2, 2), (3, 3)), ((7, 5), (1, 1)), ((1, 1), (2, 1))]:
    got = max_pool2d_naive(shades, kernel, stride)
    for i in range(got.shape[2]):
        for j in range(got.shape[3]):
            rows, columns = slice(i * stride[0], i * stride[0] + kernel[0]), slice(j * stride[1], j * stride[1] + kernel[1])
            assert np.array_equal(got[:, :, i, j], shades[:, :, rows, columns].max(axis=(2, 3))), (kernel, stride)
assert max_pool2d_naive(shades.astype(np.float32), (2, 2), (2, 2)).dtype == np.float32
### END HIDDEN TESTS

# %% [markdown]
r"""
### Checkpoint: the edges of a digit

Two kernels that nobody trained. The first subtracts the pixel on the left from that on the right, the second does the same up and down (Sobel's operators, 1968). Bright is positive, dark negative. Where would you expect
the *0* to light up under each?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from tinytorch.notebook import best_seconds


def show_images(images, titles, columns=6, scale=1.4):
    """Grey images side by side; bright is large."""
    rows = math.ceil(len(images) / columns)
    figure, axes = plt.subplots(rows, min(columns, len(images)), figsize=(scale * min(columns, len(images)), scale * 1.2 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=9)
    plt.show()


zero = load_digits().images[0]
across = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
edges = [correlate(zero, across), correlate(zero, across.T)]
pooled = max_pool2d_naive(np.abs(edges[0])[None, None], (2, 2), (2, 2))[0, 0]
show_images([zero, *edges, pooled], ["a digit", "left to right", "top to bottom", "|left to right|, pooled"], scale=1.7)
print(f"📊 under the first kernel the digit reaches from {edges[0].min():.0f} to {edges[0].max():.0f}; a grey wall would give 0 everywhere")

# %% [markdown]
r"""
## Backward: weights and bias

`grad` has the output's shape: how much the loss changes with each output. Read the formula of the forward backwards: weight[o, c, u, v] was multiplied with x[n, c, i·sh + u, j·sw + v] and went into out[n, o, i, j],
for every n, i and j. So its gradient is the sum of all these products:

    for weight[o, c, u, v]:   Σ over n, i, j of   grad[n, o, i, j] · x[n, c, i·sh + u, j·sw + v]
    for bias[o]:              Σ over n, i, j of   grad[n, o, i, j]

**Write `conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding)`** with loops: the pair (gradient of the weight, gradient of the bias). A loop over n, o, i, j is enough if each step adds a whole window to `for_weight[o]`.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_weight_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
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
    x, weight, bias = sample_images(2, 3, 5, 6), np.cos(np.arange(48.0)).reshape(4, 3, 2, 2), np.zeros(4)
    stride, padding = (2, 1), (0, 1)
    grad = np.cos(np.arange(2 * 4 * 2 * 7.0)).reshape(2, 4, 2, 7)
    for_weight, for_bias = conv2d_weight_gradient_naive(grad, x, (2, 2), stride, padding)
    assert for_weight.shape == (4, 3, 2, 2) and for_bias.shape == (4,), f"the shapes of weight and bias: got {for_weight.shape}, {for_bias.shape}"
    got = for_weight[3, 2, 1, 0]
    assert np.isclose(got, -3.11701557, atol=1e-7), f"weight[3, 2, 1, 0]: expected -3.11701557, got {got:.8f}"
    for place in [(0, 0, 0, 0), (3, 2, 1, 0), (1, 0, 0, 1)]:
        nudge = np.zeros(weight.shape)
        nudge[place] = 1e-5
        rise = conv2d_naive(x, weight + nudge, bias, stride, padding) - conv2d_naive(x, weight - nudge, bias, stride, padding)
        slope = (rise * grad).sum() / 2e-5
        assert np.isclose(for_weight[place], slope, atol=1e-6), f"weight{list(place)}: nudging says {slope:.6f}, the gradient {for_weight[place]:.6f}"
    assert np.allclose(for_bias, grad.sum(axis=(0, 2, 3))), f"bias: expected the sums of grad, {grad.sum(axis=(0, 2, 3))}, got {for_bias}"
    for dtype in (np.float32, np.float64):
        dtypes = [gradient.dtype for gradient in conv2d_weight_gradient_naive(grad.astype(dtype), x.astype(dtype), (2, 2), stride, padding)]
        assert dtypes == [dtype, dtype], f"images and grad of {np.dtype(dtype)}: expected two gradients of that dtype, got {dtypes}"
    print("🔬 conv2d_weight_gradient_naive")

test_unit_conv2d_weight_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_weight_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a gradient of a convolution is linear in grad, and its product with the weight gives back the output.
### BEGIN HIDDEN TESTS
photo, filters = sample_images(2, 2, 6, 5), np.cos(np.arange(24.0)).reshape(2, 2, 3, 2)
seen = conv2d_naive(photo, filters, None, (2, 3), (1, 1))
back = np.sin(np.arange(float(seen.size)) * 3).reshape(seen.shape)
assert np.isclose((conv2d_weight_gradient_naive(back, photo, (3, 2), (2, 3), (1, 1))[0] * filters).sum(), (back * seen).sum())
assert conv2d_weight_gradient_naive(back[:0], photo[:0], (3, 2), (2, 3), (1, 1))[0].tolist() == np.zeros((2, 2, 3, 2)).tolist()
### END HIDDEN TESTS

# %% [markdown]
r"""
## Backward: the input

The same formula, read for x: each pixel went into every output whose window covered it, times the weight that lay over it. Rather than ask which windows cover a pixel, go through the outputs and hand back to each window its share:

    for every n, o, i, j:    the window of x at (i·sh, j·sw)  gets   grad[n, o, i, j] · weight[o]      added to it

Windows overlap, so it is `+=`. Work on a padded array of zeros, and cut the padding off at the end.

How do you test that without nudging every pixel? A convolution without bias is linear in x, and the gradient is its *transpose*. For any x and grad:

    Σ conv(x) · grad   =   Σ x · gradient(grad)

**Write `conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding)`.**
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_input_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    ### BEGIN SOLUTION
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
    return padded[:, :, ph : ph + height, pw : pw + width]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_input_gradient_naive", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_input_gradient_naive():
    ones = np.ones((1, 1, 2, 2))
    got = conv2d_input_gradient_naive(ones, np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), (1, 1, 3, 3), (1, 1), (0, 0))
    expected = [[1, 3, 2], [4, 10, 6], [3, 7, 4]]
    assert got[0, 0].tolist() == expected, f"four overlapping windows of [[1, 2], [3, 4]]: expected {expected}, got {got[0, 0].tolist()}"

    weight = np.cos(np.arange(72.0)).reshape(4, 3, 3, 2)
    for size, stride, padding in [((6, 5), (1, 1), (0, 0)), ((6, 5), (2, 3), (1, 0)), ((4, 7), (1, 2), (0, 1)), ((4, 7), (4, 1), (2, 1)), ((4, 7), (1, 1), (3, 4))]:
        x = sample_images(2, 3, *size)
        out = conv2d_naive(x, weight, None, stride, padding)
        grad = np.cos(np.arange(float(out.size))).reshape(out.shape)
        got = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding)
        assert got.shape == x.shape, f"stride {stride}, padding {padding}: expected the shape {x.shape} of x, got {got.shape}"
        left, right = (out * grad).sum(), (x * got).sum()
        assert np.isclose(left, right), f"x {x.shape}, stride {stride}, padding {padding}: Σ conv(x)·grad = {left:.6f}, but Σ x·gradient = {right:.6f}"
    for dtype in (np.float32, np.float64):
        got = conv2d_input_gradient_naive(ones.astype(dtype), ones.astype(dtype), (1, 1, 3, 3), (1, 1), (0, 0))
        assert got.dtype == dtype, f"weight and grad of {np.dtype(dtype)}: expected a gradient of that dtype, got {got.dtype}"
    print("🔬 conv2d_input_gradient_naive")

test_unit_conv2d_input_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_input_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: pixels that no window covers, and single pixels against nudges.
### BEGIN HIDDEN TESTS
lone = conv2d_input_gradient_naive(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), (1, 1, 4, 4), (2, 2), (0, 0))
assert lone[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
portrait, lenses = sample_images(1, 2, 4, 4), np.cos(np.arange(54.0)).reshape(3, 2, 3, 3)
upstream = sample_images(1, 3, 2, 2)
for place in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 1, 1, 1)]:
    nudge = np.zeros(portrait.shape)
    nudge[place] = 1e-5
    rise = conv2d_naive(portrait + nudge, lenses, None, (2, 2), (1, 1)) - conv2d_naive(portrait - nudge, lenses, None, (2, 2), (1, 1))
    assert np.isclose(conv2d_input_gradient_naive(upstream, lenses, portrait.shape, (2, 2), (1, 1))[place], (rise * upstream).sum() / 2e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Backward: max pooling

Only the winner of a window was passed on, so only it gets the window's gradient. Where several are equal, PyTorch lets the first win (row by row), and so do we; `argmax` does just that. A pixel can win in several
overlapping windows, and collects from each.

    window  5 5      grad 10     →    10 0
            1 5                        0 0

`np.unravel_index(k, (kh, kw))` turns the number k of an entry, counted row by row, into its row and column.

**Write `max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding)`.**
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_gradient_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    got = max_pool2d_gradient_naive(np.array([[[[10.0]]]]), np.array([[[[5.0, 5.0], [1.0, 5.0]]]]), (2, 2), (2, 2))
    assert got[0, 0].tolist() == [[10, 0], [0, 0]], f"the first of three equal ones: expected [[10, 0], [0, 0]], got {got[0, 0].tolist()}"
    for dtype in (np.float32, np.float64):
        got = max_pool2d_gradient_naive(np.ones((1, 1, 1, 1), dtype), np.ones((1, 1, 2, 2), dtype), (2, 2), (2, 2))
        assert got.dtype == dtype, f"images and grad of {np.dtype(dtype)}: expected a gradient of that dtype, got {got.dtype}"
    got = max_pool2d_gradient_naive(np.array([[[[1.0, 10.0]]]]), np.array([[[[0.0, 9.0, 2.0]]]]), (1, 2), (1, 1))
    assert got[0, 0].tolist() == [[0, 11, 0]], f"the middle one wins twice: expected [[0, 11, 0]], got {got[0, 0].tolist()}"
    x = np.array([[-3.0, -1.0, -2.0], [-6.0, -5.0, -4.0], [-7.0, -9.0, -8.0]])[None, None]
    got = max_pool2d_gradient_naive(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), x, (2, 2), (2, 2), (1, 1))
    expected = [[1, 2, 0], [3, 0, 4], [0, 0, 0]]
    assert got[0, 0].tolist() == expected, f"negative numbers, padding 1: expected {expected}, got {got[0, 0].tolist()}"
    row, grad = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    got = max_pool2d_gradient_naive(grad, row, (1, 2), (1, 1), (0, 1))
    assert got.tolist() == [[[[1, 2, 7]]]], f"a row, padding (0, 1): expected [[[[1, 2, 7]]]], got {got.tolist()}"
    got = max_pool2d_gradient_naive(grad.reshape(1, 1, 4, 1), row.reshape(1, 1, 3, 1), (2, 1), (1, 1), (1, 0))
    assert got.ravel().tolist() == [1, 2, 7], f"a column, padding (1, 0): expected [1, 2, 7], got {got.ravel().tolist()}"
    print("🔬 max_pool2d_gradient_naive")

test_unit_max_pool2d_gradient_naive()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_gradient_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: windows that overlap, several channels.
### BEGIN HIDDEN TESTS
values = sample_images(2, 3, 6, 5)
pooled_values = max_pool2d_naive(values, (3, 2), (1, 2), (1, 1))
weights = np.cos(np.arange(float(pooled_values.size))).reshape(pooled_values.shape)
got = max_pool2d_gradient_naive(weights, values, (3, 2), (1, 2), (1, 1))
assert got.shape == values.shape and np.allclose(got.sum(axis=(2, 3)), weights.sum(axis=(2, 3)))
assert np.isclose((got * values).sum(), (weights * pooled_values).sum())
### END HIDDEN TESTS

# %% [markdown]
r"""
## Average pooling

The mean of each window instead of its largest value. Padded zeros count as pixels, in the sum as well as in the number by which it is divided (PyTorch's `count_include_pad=True`). Backward, every pixel of a window gets the same share:

    window  1 3      mean 2.5        grad 8     →    2 2
            4 2                                      2 2

So the gradient is only spread out, and its sum is the same before and after (without padding).

**Write `avg_pool2d_naive(x, kernel_size, stride, padding)` and `avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding)`.**
"""

# %% nbgrader={"grade": false, "grade_id": "avg_pool2d_naive", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "test-avg_pool2d_naive", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_avg_pool2d_naive():
    image = np.array([[1.0, 3.0], [4.0, 2.0]])[None, None]
    got = avg_pool2d_naive(image, (2, 2), (2, 2))
    assert got[0, 0].tolist() == [[2.5]], f"expected [[2.5]], got {got[0, 0].tolist()}"
    got = avg_pool2d_naive(image, (2, 2), (2, 2), (1, 1))
    assert got[0, 0].tolist() == [[0.25, 0.75], [1.0, 0.5]], f"padding 1, zeros count: expected [[0.25, 0.75], [1.0, 0.5]], got {got[0, 0].tolist()}"
    got = avg_pool2d_gradient_naive(np.array([[[[8.0]]]]), (1, 1, 2, 2), (2, 2), (2, 2))
    assert got[0, 0].tolist() == [[2, 2], [2, 2]], f"equal shares of 8: expected [[2, 2], [2, 2]], got {got[0, 0].tolist()}"
    got = avg_pool2d_gradient_naive(np.array([[[[4.0, 8.0], [12.0, 16.0]]]]), (1, 1, 2, 2), (2, 2), (2, 2), (1, 1))
    assert got[0, 0].tolist() == [[1, 2], [3, 4]], f"padding 1, each window holds one pixel: expected [[1, 2], [3, 4]], got {got[0, 0].tolist()}"
    row, grad = np.ones((1, 1, 1, 3)), np.array([[[[2.0, 4.0, 6.0, 8.0]]]])
    got = avg_pool2d_gradient_naive(grad, row.shape, (1, 2), (1, 1), (0, 1))
    assert got.tolist() == [[[[3, 5, 7]]]], f"a row, padding (0, 1): expected [[[[3, 5, 7]]]], got {got.tolist()}"
    for dtype in (np.float32, np.float64):
        dtypes = avg_pool2d_naive(row.astype(dtype), (1, 2), (1, 1)).dtype, avg_pool2d_gradient_naive(grad.astype(dtype), row.shape, (1, 2), (1, 1), (0, 1)).dtype
        assert dtypes == (dtype, dtype), f"{np.dtype(dtype)} in, the same out: got {dtypes}"
    grad = sample_images(2, 3, 3, 2)
    got = avg_pool2d_gradient_naive(grad, (2, 3, 5, 4), (3, 2), (1, 2))
    assert got.shape == (2, 3, 5, 4) and np.allclose(got.sum(axis=(2, 3)), grad.sum(axis=(2, 3))), "overlapping windows: the sum of the gradient is conserved"
    print("🔬 avg_pool2d_naive")

test_unit_avg_pool2d_naive()

# %% nbgrader={"grade": true, "grade_id": "test-avg_pool2d_naive-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: the two are each other's transpose, with padding and gaps too.
### BEGIN HIDDEN TESTS
scene = sample_images(2, 2, 7, 6)
for kernel, stride, padding in [((3, 2), (1, 2), (1, 1)), ((2, 2), (3, 3), (0, 0)), ((2, 3), (2, 1), (1, 0)), ((7, 6), (1, 2), (3, 3))]:
    means = avg_pool2d_naive(scene.copy(), kernel, stride, padding)
    share = np.cos(np.arange(float(means.size))).reshape(means.shape)
    spread = avg_pool2d_gradient_naive(share.copy(), scene.shape, kernel, stride, padding)
    assert means.any() and spread.any(), (kernel, stride, padding)  # two zeros would be each other's transpose
    assert spread.shape == scene.shape and np.isclose((means * share).sum(), (scene * spread).sum()), (kernel, stride, padding)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Operations with three engines

The parts become operations here. Each has one forward and one gradient, and a setting, `kernels`, that says whose code computes it: `"loops"`, what you have just written; `"product"`, what you will write next; `"fast"`, what comes after that. All
three must give the same numbers, so nothing that is built on top can tell them apart, except by its watch. The functions are found by name when they are called; until you have written them, only the loops work. (Average pooling has
two: there is nothing to multiply, so `"product"` means the fast one.)
"""

# %% nbgrader={"grade": false, "grade_id": "provided-operations", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
convolve_engines.register("product", lambda *arrays, **settings: conv2d_product(*arrays, **settings), by_product)

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
pool_avg_engines.register(  # nothing to multiply
    "product",
    lambda *arrays, **settings: pool_avg_engines["fast"].forward(*arrays, **settings),
    lambda *arrays, **settings: pool_avg_engines["fast"].gradient(*arrays, **settings),
)


@Op
def convolve(x, weight, bias=None, *, stride, padding, kernels):
    """x (N, C, H, W) under the windows of weight (O, C, kh, kw), plus bias (O,) or None; stride, padding are pairs."""
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
    rule = pool_max_engines[kernels].gradient
    return rule(grad, out, x, kernel_size=kernel_size, stride=stride, padding=padding)


@Op
def pool_avg(x, *, kernel_size, stride, padding, kernels):
    """The mean of each window of x (N, C, H, W), padded zeros included; all settings are pairs."""
    x = x.astype(result_dtype(x, floating=True), copy=False)
    return pool_avg_engines[kernels].forward(x, kernel_size=kernel_size, stride=stride, padding=padding)


@pool_avg.gradient
def pool_avg_gradient(grad, out, x, *, kernel_size, stride, padding, kernels):
    rule = pool_avg_engines[kernels].gradient
    return rule(grad, out, x, kernel_size=kernel_size, stride=stride, padding=padding)

# %% [markdown]
r"""
### Checkpoint: a tiny network overfits eight digits

One convolution with four kernels, pooling, one dense layer; forward and backward by your loops. A network that cannot learn eight pictures by heart has a mistake in it somewhere: this is the first thing to try with any new layer. Watch
the loss, and the seconds.
"""

# %% tags=["measure"]
def overfit_eight_digits(kernels, steps=40, rate=0.3):
    """Train on eight digits; returns the losses and the seconds."""
    digits, shuffle = load_digits(), np.random.default_rng(0)
    x, y = Tensor(digits.images[:8, None] / 16), digits.target[:8]
    weight = Tensor(shuffle.standard_normal((4, 1, 3, 3)) * 0.4, requires_grad=True)
    dense = Tensor(shuffle.standard_normal((36, 10)) * 0.2, requires_grad=True)
    loss_of, losses, start = CrossEntropyLoss(), [], time.perf_counter()
    for _ in range(steps):
        seen = relu(convolve(x, weight, None, stride=(1, 1), padding=(0, 0), kernels=kernels))
        small = pool_max(seen, kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), kernels=kernels)
        loss = loss_of(small.flatten(1) @ dense, y)
        loss.backward()
        losses.append(loss.item())
        for parameter in (weight, dense):
            parameter.data -= rate * parameter.grad
            parameter.grad = None
    return losses, time.perf_counter() - start


losses, loop_seconds = overfit_eight_digits("loops")
print(f"📊 loss {losses[0]:.3f} → {losses[-1]:.3f} in {len(losses)} steps and {loop_seconds:.1f} s by loops; eight pictures of 8 × 8 pixels")

# %% [markdown]
r"""
## Columns

The loops spend their time on Python's bookkeeping, not on arithmetic. The way out is an old one: bring the problem into a form that somebody has made fast already, a matrix product. Lay the pixels under each window side by side as one row:

    image  1 2 3        windows of 2 × 2:     1 2 4 5         the window at (0, 0)
           4 5 6                              2 3 5 6         (0, 1)
           7 8 9                              4 5 7 8         (1, 0)
                                              5 6 8 9         (1, 1)

With several channels a row holds all pixels of the first channel's window, then those of the second; with several images, all rows of the first image come first. (The name is *im2col*, image to columns, since Matlab stores it the other
way round.) NumPy's `sliding_window_view(x, (kh, kw), axis=(2, 3))` gives all windows at stride 1 as a view of shape (N, C, H − kh + 1, W − kw + 1, kh, kw) without copying anything; slices with steps leave the wanted ones.

**Write `im2col(x, kernel_size, stride, padding)`**, of shape (N · OH · OW, C · kh · kw), without a loop.
"""

# %% nbgrader={"grade": false, "grade_id": "im2col", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    got = im2col(image, (2, 2))
    expected = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    assert got.tolist() == expected, f"windows of 2 × 2: expected {expected}, got {got.tolist()}"

    got = im2col(np.concatenate([image, 10 * image], axis=1), (1, 2), (2, 1))
    expected = [[1, 2, 10, 20], [2, 3, 20, 30], [7, 8, 70, 80], [8, 9, 80, 90]]
    assert got.tolist() == expected, f"two channels, windows of 1 × 2, stride (2, 1): expected {expected}, got {got.tolist()}"

    got = im2col(np.concatenate([image, 10 * image]), (2, 3))
    expected = [[1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9], [10, 20, 30, 40, 50, 60], [40, 50, 60, 70, 80, 90]]
    assert got.tolist() == expected, f"two images, windows of 2 × 3: expected {expected}, got {got.tolist()}"

    got = im2col(image, (3, 3), (2, 2), (1, 1))
    expected = [[0, 0, 0, 0, 1, 2, 0, 4, 5], [0, 0, 0, 2, 3, 0, 5, 6, 0]]
    assert got.shape == (4, 9) and got[:2].tolist() == expected, f"padding 1, stride 2: the first rows should be {expected}, got {got[:2].tolist()}"
    print("🔬 im2col")

test_unit_im2col()

# %% nbgrader={"grade": true, "grade_id": "test-im2col-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches, and every row against the window it stands for.
### BEGIN HIDDEN TESTS
batch = sample_images(3, 2, 5, 6)
for kernel, stride, padding, (oh, ow) in [((2, 3), (2, 1), (0, 2), (2, 8)), ((5, 1), (1, 3), (1, 0), (3, 2))]:
    rows = im2col(batch, kernel, stride, padding)
    wide = np.pad(batch, [(0, 0), (0, 0), *((p, p) for p in padding)])
    assert rows.shape == (3 * oh * ow, 2 * kernel[0] * kernel[1])
    for number, (n, i, j) in enumerate(np.ndindex(3, oh, ow)):
        window = wide[n, :, i * stride[0] : i * stride[0] + kernel[0], j * stride[1] : j * stride[1] + kernel[1]]
        assert np.array_equal(rows[number], window.ravel()), (kernel, stride, padding, n, i, j)
assert im2col(batch[:0], (2, 2)).shape == (0, 8)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Convolution as one product

A kernel, flattened, is a column of C · kh · kw weights in the same order. So all kernels side by side are a matrix, and the whole convolution is

    (N · OH · OW, C · kh · kw) @ (C · kh · kw, O)   →   (N · OH · OW, O)

What comes out has the channel last; it has to become (N, O, OH, OW).

**Write `conv2d_product(x, weight, bias, stride, padding)`**, with the same arguments and results as `conv2d_naive`.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_product", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_product():
    drawn = np.random.default_rng(1)
    for _ in range(12):
        n, c, o, kh, kw = drawn.integers(1, 4, 5)
        stride, padding = tuple(drawn.integers(1, 4, 2).tolist()), tuple(drawn.integers(0, 3, 2).tolist())
        h, w = kh + drawn.integers(0, 5), kw + drawn.integers(0, 5)
        x, weight, bias = drawn.standard_normal((n, c, h, w)), drawn.standard_normal((o, c, kh, kw)), drawn.standard_normal(o)
        expected = conv2d_naive(x, weight, bias, stride, padding)
        got = conv2d_product(x, weight, bias, stride, padding)
        what = f"x {x.shape}, weight {weight.shape}, stride {stride}, padding {padding}"
        assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
        assert np.allclose(got, expected), f"{what}: differs from the loops by up to {np.abs(got - expected).max():.3g}"
    got = conv2d_product(x.astype(np.float32), weight.astype(np.float32), bias.astype(np.float32), stride, padding)
    assert got.dtype == np.float32, f"float32 images: expected a float32 result, got {got.dtype}"
    weight, bias = np.cos(np.arange(72.0)).reshape(4, 3, 2, 3), np.array([0.1, -0.2, 0.3, -0.4])
    got = conv2d_product(sample_images(2, 3, 5, 7), weight, bias, (2, 1), (1, 2))
    assert np.isclose(got.sum(), -10.03934997, atol=1e-7), f"the sum of all outputs, as with the loops: expected -10.03934997, got {got.sum():.8f}"
    print("🔬 conv2d_product")

test_unit_conv2d_product()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: no bias, float32, empty batches, inputs that are left alone.
### BEGIN HIDDEN TESTS
strip, filters = sample_images(2, 3, 4, 9).astype(np.float32), np.cos(np.arange(60)).reshape(5, 3, 2, 2).astype(np.float32)
kept = strip.copy(), filters.copy()
got = conv2d_product(strip, filters, None, (1, 2), (1, 0))
assert got.dtype == np.float32 and np.allclose(got, conv2d_naive(strip.astype(float), filters.astype(float), None, (1, 2), (1, 0)), atol=1e-5)
assert np.array_equal(strip, kept[0]) and np.array_equal(filters, kept[1]) and conv2d_product(strip[:0], filters).shape == (0, 5, 3, 8)
### END HIDDEN TESTS

# %% [markdown]
r"""
## The gradients of the product

In `pixels = columns @ matrix` you know both gradients from module 05. Bring `grad` into the shape of `pixels`, (N · OH · OW, O), and

    for the weight:   pixelsᵀ @ columns               (O, C · kh · kw), reshaped
    for the bias:     the sum of the rows
    for the columns:  pixels @ weight as (O, C · kh · kw)

The last one has a number for each pixel of each window. They go back to where `im2col` took them from, and where windows overlap they add up. Loops over the kernel's kh · kw positions are enough: for one position (u, v), all windows together lie in
a single slice with steps, `padded[:, :, u : u + sh·OH : sh, v : v + sw·OW : sw]`, in which no pixel occurs twice.

**Write `conv2d_product_gradients(grad, x, weight, stride, padding)`**: the gradients of x, weight and bias.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d_product_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_product_gradients():
    drawn = np.random.default_rng(2)
    for _ in range(12):
        n, c, o, kh, kw = drawn.integers(1, 4, 5)
        stride, padding = tuple(drawn.integers(1, 4, 2).tolist()), tuple(drawn.integers(0, 5, 2).tolist())
        x, weight = drawn.standard_normal((n, c, kh + drawn.integers(0, 5), kw + drawn.integers(0, 5))), drawn.standard_normal((o, c, kh, kw))
        places = [(size + 2 * pad - window) // step + 1 for size, window, step, pad in zip(x.shape[2:], (kh, kw), stride, padding, strict=True)]
        grad = drawn.standard_normal((n, o, *places))
        for_weight, for_bias = conv2d_weight_gradient_naive(grad, x, (kh, kw), stride, padding)
        expected = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding), for_weight, for_bias
        what = f"x {x.shape}, weight {weight.shape}, stride {stride}, padding {padding}"
        for name, want, got in zip(["x", "weight", "bias"], expected, conv2d_product_gradients(grad, x, weight, stride, padding), strict=True):
            assert got.shape == want.shape, f"{what}, for {name}: expected shape {want.shape}, got {got.shape}"
            assert np.allclose(got, want), f"{what}, for {name}: differs from the loops by up to {np.abs(got - want).max():.3g}"
    singles = (array.astype(np.float32) for array in (grad, x, weight))
    dtypes = [gradient.dtype for gradient in conv2d_product_gradients(*singles, stride, padding)]
    assert dtypes == [np.float32] * 3, f"float32 images, weight and grad: expected three float32 gradients, got {dtypes}"
    grad, x, weight = np.cos(np.arange(216.0)).reshape(2, 4, 3, 9), sample_images(2, 3, 5, 7), np.cos(np.arange(72.0)).reshape(4, 3, 2, 3)
    for_x, for_weight, for_bias = conv2d_product_gradients(grad, x, weight, (2, 1), (1, 2))
    got, expected = (for_x[1, 2, 3, 4], for_weight[3, 2, 1, 0], for_bias[1]), (1.51440987, 0.08282660, -2.69584454)
    assert np.allclose(got, expected, atol=1e-7), f"stride (2, 1), padding (1, 2), an entry of each: expected {expected}, got {got}"
    print("🔬 conv2d_product_gradients")

test_unit_conv2d_product_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-conv2d_product_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: float32, an empty batch.
### BEGIN HIDDEN TESTS
film, lens = sample_images(2, 3, 6, 5).astype(np.float32), np.cos(np.arange(54)).reshape(2, 3, 3, 3).astype(np.float32)
light = np.cos(np.arange(2 * 2 * 3 * 3)).reshape(2, 2, 3, 3).astype(np.float32)
found = conv2d_product_gradients(light, film, lens, (2, 2), (1, 1))
assert all(gradient.dtype == np.float32 for gradient in found), "float32 stays float32"
through = (light * conv2d_product(film, lens, None, (2, 2), (1, 1))).sum()
assert np.isclose((found[1] * lens).sum(), through, atol=1e-3) and np.isclose((found[0] * film).sum(), through, atol=1e-3)
assert [gradient.shape for gradient in conv2d_product_gradients(light[:0], film[:0], lens, (2, 2), (1, 1))] == [(0, 3, 6, 5), lens.shape, (2,)]
### END HIDDEN TESTS

# %% [markdown]
r"""
## Pooling by views

The same view of windows serves pooling, which needs no product: the largest of the last two axes. Backward, let each window name its winner. With the last two axes flattened, `argmax` gives a number k for each window, and its pixel lies at

    row  i · sh + k // kw          column  j · sw + k % kw

in the padded image. `np.add.at(back, (n, c, row, column), grad)` hands everything out at once, also to pixels that win twice; `np.indices(k.shape)` gives n, c, i and j.

**Write `max_pool2d_views` and `max_pool2d_views_gradient`**, with the arguments and results of your loops.
"""

# %% nbgrader={"grade": false, "grade_id": "max_pool2d_views", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_views", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_pool2d_views():
    drawn = np.random.default_rng(3)
    for kernel, stride, padding in [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((2, 3), (3, 1), (0, 1)), ((2, 1), (1, 2), (1, 0)), ((5, 4), (1, 1), (0, 0))]:
        x = drawn.integers(-3, 0, (2, 3, 5, 4)).astype(np.float64)  # few different values, so many are equal; all negative
        expected = max_pool2d_naive(x, kernel, stride, padding)
        got = max_pool2d_views(x, kernel, stride, padding)
        what = f"windows {kernel}, stride {stride}, padding {padding}"
        assert got.shape == expected.shape and np.array_equal(got, expected), f"{what}: the loops give {expected[0, 0].tolist()} first, this gives {got[0, 0].tolist()}"
        grad = drawn.standard_normal(expected.shape)
        expected, got = max_pool2d_gradient_naive(grad, x, kernel, stride, padding), max_pool2d_views_gradient(grad, x, kernel, stride, padding)
        assert got.shape == expected.shape and np.allclose(got, expected), f"{what}: the gradient differs from that of the loops"
    for dtype in (np.float32, np.float64):
        x, grad = x.astype(dtype), grad.astype(dtype)
        dtypes = max_pool2d_views(x, kernel, stride, padding).dtype, max_pool2d_views_gradient(grad, x, kernel, stride, padding).dtype
        assert dtypes == (dtype, dtype), f"{np.dtype(dtype)} in, the same out: got {dtypes}"
    x, grad = np.array([[-3.0, -1.0, -2.0], [-6.0, -5.0, -4.0], [-7.0, -9.0, -8.0]])[None, None], np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    got = max_pool2d_views(x, (2, 2), (2, 2), (1, 1))[0, 0].tolist(), max_pool2d_views_gradient(grad, x, (2, 2), (2, 2), (1, 1))[0, 0].tolist()
    expected = [[-3, -1], [-6, -4]], [[1, 2, 0], [3, 0, 4], [0, 0, 0]]
    assert got == expected, f"3 × 3 negative numbers, padding 1, and their gradient: expected {expected}, got {got}"
    print("🔬 max_pool2d_views")

test_unit_max_pool2d_views()

# %% nbgrader={"grade": true, "grade_id": "test-max_pool2d_views-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: overlapping winners, float32, empty batches.
### BEGIN HIDDEN TESTS
peak = np.array([[[[0.0, 9.0, 2.0, 9.0]]]], dtype=np.float32)
assert max_pool2d_views_gradient(np.array([[[[1.0, 10.0, 100.0]]]], dtype=np.float32), peak, (1, 2), (1, 1)).tolist() == [[[[0, 11, 0, 100]]]]
assert max_pool2d_views_gradient(np.ones((1, 1, 1, 1), np.float32), peak, (1, 4), (1, 1)).dtype == np.float32
assert max_pool2d_views(peak[:0], (1, 2), (1, 1)).shape == (0, 1, 1, 3)
### END HIDDEN TESTS

# %% [markdown]
r"""
How much did the product bring? The same eight digits, with the same seeds.
"""

# %% tags=["measure"]
losses_again, product_seconds = overfit_eight_digits("product")
print(f"📊 loops {loop_seconds:.2f} s, product {product_seconds:.3f} s: {loop_seconds / product_seconds:.0f} times faster; the last losses {losses[-1]:.6f} and {losses_again[-1]:.6f}")

# %% [markdown]
r"""
## The engineer's version

You have it as loops, which are clear, and as one product, which is fast. PyTorch is several times faster still. Nothing in this part is for you to write; read it as you would read a colleague's code, and ask at each trick what it saves. From the largest gain
to the smallest:

1. **Products.** Nearly every multiplication happens inside `np.matmul`, which runs at the processor's full speed. You did that.
2. **Blocks.** Your columns of a large batch are hundreds of megabytes: written to memory, read back, used once. Here some megabytes exist at a time, made, multiplied and overwritten while they are in the cache. Nothing is kept for `backward`: to make columns again costs less than to remember them.
3. **Two threads**, each with blocks and work memory of its own (`tinytorch/threads.py`).
4. **Channels last in memory.** A result has the shape (N, C, H, W), but in memory the channels of one pixel lie side by side: it is a transposed view. Products read and write them in that order, so nothing is rearranged between layers, and NumPy's elementwise functions keep the order.
5. **Fewer multiplications**, for kernels of 3 × 3 (Winograd, below).

The code is in `tinytorch/kernels/`.
"""

# %% [markdown]
r"""
## The layer

`Conv2d` owns a weight and a bias and calls `convolve`. Two things are worth a thought.

- *How large the weights start.* Each output sums `in_channels · kh · kw` products, its *fan-in*. Under a ReLU the signal keeps its size if the weights are normal with standard deviation √(2 / fan-in) (He and others, 2015). For 3 → 32 channels and 3 × 3: √(2/27) = 0.272. The bias starts at 0.
- *What comes in.* A batch (N, C, H, W), or a single image (C, H, W), which becomes a batch of one and loses that axis again at the end.

**Write the two parts of `Conv2d`.** In `__init__`: weight (out, in, kh, kw) and bias, as `Parameter`s (`normal_(tensor, std=…)` of module 03 fills a Tensor; without bias, `self.bias` is None). In `forward`: refuse an input that has not 3 or 4 axes, or not `self.in_channels` channels, by a `ValueError` that holds
the layer (`{self}`) and both shapes, that of the input and that of the weight; the other checks are done by `check_fit`, which you call with the layer and the shape of the batch. `convolve` gets `self.kernels` as its setting `kernels`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-checks", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def check_settings(layer, kernel_size, stride, padding):
    """Raise ValueError naming the layer unless sizes and strides are positive and padding is not negative."""
    for name, values, least in (("kernel_size", kernel_size, 1), ("stride", stride, 1), ("padding", padding, 0)):
        is_integer = all(isinstance(value, (int, np.integer)) for value in values)
        if not is_integer or len(values) != 2 or min(values) < least:
            raise ValueError(f"{layer}: {name} {values} must be two integers of at least {least}")


def check_channels(layer, *numbers):
    """Raise ValueError naming the layer for numbers of channels that are not integers, or negative."""
    if not all(isinstance(number, (int, np.integer)) and number >= 0 for number in numbers):
        raise ValueError(f"{layer}: the numbers of channels {numbers} must be integers of at least 0")


def check_pooling(layer, kernel_size, stride, padding):
    """What check_settings does, and that padding is at most half of the window, or one could see nothing else."""
    check_settings(layer, kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(f"{layer}: padding {padding} is more than half of the window {kernel_size}")


def check_fit(layer, x_shape, kernel_size, stride, padding):
    """Raise ValueError naming the layer and both shapes where no window fits into images of shape (N, C, H, W)."""
    try:
        output_shape(x_shape, kernel_size, stride, padding)
    except ValueError as error:
        raise ValueError(f"{layer}: input of shape {tuple(x_shape)}, kernel {kernel_size}: {error}") from None

# %% nbgrader={"grade": false, "grade_id": "Conv2d", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
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
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
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
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_layer():
    layer = Conv2d(3, 4, (2, 3), stride=(2, 1), padding=(1, 2))
    assert layer.weight.shape == (4, 3, 2, 3) and layer.bias.shape == (4,), f"weight and bias: got {layer.weight.shape}, {layer.bias.shape}"
    assert layer.weight.dtype == np.float32 and layer.weight.requires_grad and layer.bias.requires_grad, "Parameters in float32"
    assert not layer.bias.numpy().any(), f"the bias starts at 0, got {layer.bias.tolist()}"
    x = Tensor(sample_images(2, 3, 5, 7))
    got, expected = layer(x).numpy(), conv2d_naive(x.numpy(), layer.weight.numpy(), None, (2, 1), (1, 2))
    assert np.allclose(got, expected, atol=1e-5), "the layer computes what the loops compute with its weight"
    got = layer(x[:1])
    assert got.shape == (1, 4, 3, 9), f"a batch of one image stays a batch: expected shape (1, 4, 3, 9), got {got.shape}"
    got = layer(x[1])
    assert got.shape == (4, 3, 9) and np.allclose(got.numpy(), expected[1], atol=1e-5), f"a single image (3, 5, 7): expected shape (4, 3, 9), got {got.shape}"
    layer.bias.data[...] = [10, 20, 30, 40]
    got = layer(x).numpy() - expected
    assert np.allclose(got[1, :, 2, 8], [10, 20, 30, 40], atol=1e-4), f"a bias of [10, 20, 30, 40] adds {got[1, :, 2, 8].tolist()}"
    layer.weight.data[...] = np.cos(np.arange(72.0)).reshape(4, 3, 2, 3)
    got = layer(x).numpy()[1, 2, 2, 3]
    assert np.isclose(got, 30.33165662, atol=1e-4), f"weights cos(0), cos(1), …, bias 30, out[1, 2, 2, 3]: expected 30.331657, got {got:.6f}"
    got = Conv2d(3, 1, (5, 6))(x[0])
    assert got.shape == (1, 1, 2), f"3 → 1, 5 × 6, on a single image (3, 5, 7): expected shape (1, 1, 2), got {got.shape}"
    for bias, expected in [(True, ["weight", "bias"]), (False, ["weight"])]:
        names = [name for name, _ in Conv2d(2, 3, 3, bias=bias).named_parameters()]
        assert names == expected, f"bias={bias}: expected the parameters {expected}, got {names}"

    manual_seed(0)
    wide = Conv2d(16, 64, (2, 5)).weight.numpy()
    assert abs(wide.std() / math.sqrt(2 / 160) - 1) < 0.05, f"16 channels, 2 × 5: expected a standard deviation near √(2/160) = 0.112, got {wide.std():.3f}"
    assert abs(wide.mean()) < 0.01, f"the weights are centred at 0, got a mean of {wide.mean():.3f}"
    print("🔬 Conv2d")

test_unit_conv2d_layer()

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_layer_errors():
    layer = Conv2d(3, 4, 3)
    for shape in [(2, 5, 8, 8), (8, 8), (1, 2, 3, 8, 8), (5, 8, 8)]:
        expect_error(ValueError, ["Conv2d(3, 4", str(shape), "(4, 3, 3, 3)"], layer, Tensor(np.zeros(shape)))
    expect_error(ValueError, ["Conv2d(3, 4", "(1, 3, 2, 8)"], layer, Tensor(np.zeros((1, 3, 2, 8))))
    expect_error(ValueError, ["Conv2d", "stride"], Conv2d, 3, 4, 3, 0)
    expect_error(ValueError, ["Conv2d", "padding"], Conv2d, 3, 4, 3, 1, -1)
    layer.kernels = "slow"  # convolve has to be told, or it cannot object
    expect_error(ValueError, ["'slow'"], layer, Tensor(np.zeros((1, 3, 8, 8))))
    print("🔬 Conv2d: errors")

test_unit_conv2d_layer_errors()

# %% nbgrader={"grade": true, "grade_id": "test-Conv2d-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: gradients reach the parameters, whichever kernels run; bias and stride are used.
### BEGIN HIDDEN TESTS
manual_seed(1)
block, results = Conv2d(2, 3, 3, stride=2, padding=1), {}
block.bias.data[...] = [1, 2, 3]
for kernels in ("loops", "product", "fast"):
    block.kernels = kernels
    block.zero_grad()
    answer = block(Tensor(sample_images(2, 2, 6, 5)))
    (answer * answer).sum().backward()
    results[kernels] = (answer.numpy(), block.weight.grad, block.bias.grad)
for kernels in ("product", "fast"):
    assert all(np.allclose(got, want, rtol=1e-4, atol=1e-3) for got, want in zip(results[kernels], results["loops"], strict=True)), kernels
assert results["loops"][0].shape == (2, 3, 3, 3)
assert 1.3 < Conv2d(1, 1000, 1).weight.numpy().std() < 1.5, "one channel, 1 × 1: the standard deviation is √2"
### END HIDDEN TESTS

# %% [markdown]
r"""
The other layers hold nothing to learn and are given, with the functions that PyTorch's users call, and `use_kernels`, which switches a whole model.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-layers", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def conv2d(x, weight, bias=None, stride=1, padding=0, *, kernels="fast"):
    """The convolution of images (N, C, H, W) or (C, H, W) with weight (O, C, kh, kw) and bias (O,).

    stride, padding: integers or pairs. Raises ValueError naming the shapes where they do not fit.
    """
    stride, padding = pair(stride), pair(padding)
    if x.ndim not in (3, 4) or weight.ndim != 4 or x.shape[-3] != weight.shape[1]:
        raise ValueError(f"conv2d: an input of shape {x.shape} does not fit a weight of shape {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: a bias of shape {bias.shape} does not fit a weight of shape {weight.shape}")
    check_settings("conv2d", weight.shape[2:], stride, padding)
    images = x if x.ndim == 4 else x.reshape(1, *x.shape)
    check_fit("conv2d", images.shape, weight.shape[2:], stride, padding)
    out = convolve(images, weight, bias, stride=stride, padding=padding, kernels=kernels)
    return out if x.ndim == 4 else out.squeeze(0)


def pool2d(name, operation, x, kernel_size, stride, padding, kernels):
    """Call a pooling operation after checking what it gets; a single image (C, H, W) is a batch of one."""
    kernel_size, padding = pair(kernel_size), pair(padding)
    stride = kernel_size if stride is None else pair(stride)
    check_pooling(name, kernel_size, stride, padding)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images have the shape (N, C, H, W) or (C, H, W), not {x.shape}")
    images = x if x.ndim == 4 else x.reshape(1, *x.shape)
    check_fit(name, images.shape, kernel_size, stride, padding)
    out = operation(images, kernel_size=kernel_size, stride=stride, padding=padding, kernels=kernels)
    return out if x.ndim == 4 else out.squeeze(0)


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
## What a convolution costs

Every output pixel is a sum of C · kh · kw products, and there are O · OH · OW of them. For 3 → 32 channels, 3 × 3, on 32 × 32 pixels with padding 1:

    32 · 32 · 32 outputs  ·  27 products each  =  884,736 multiply-adds

The bytes that must move at the least, in float32: the image is read, the weight is read, the result is written. 4 · (3·32·32 + 32·27 + 32·32·32) = 146,816.

**Write `conv_cost(in_channels, out_channels, kernel_size, size, stride, padding)`**: the pair (multiply-adds, bytes) for one image of `size` × `size` pixels and a square kernel, without bias.
"""

# %% nbgrader={"grade": false, "grade_id": "conv_cost", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    got = conv_cost(3, 32, 3, 32, padding=1)
    assert got[0] == 884_736, f"3 → 32, 3 × 3 on 32 × 32: expected 884,736 multiply-adds, got {got[0]:,}"
    assert got[1] == 146_816, f"3 → 32, 3 × 3 on 32 × 32: expected 146,816 bytes, got {got[1]:,}"
    got = conv_cost(6, 16, 5, 14)
    assert got == (240_000, 20_704), f"6 → 16, 5 × 5 on 14 × 14 without padding: expected (240,000, 20,704), got {got}"
    got = conv_cost(2, 4, 3, 9, stride=2)
    assert got[0] == 16 * 72, f"2 → 4, 3 × 3 on 9 × 9, stride 2: 16 places with 72 products, got {got[0]}"
    print("🔬 conv_cost")

test_unit_conv_cost()

# %% nbgrader={"grade": true, "grade_id": "test-conv_cost-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other layers.
### BEGIN HIDDEN TESTS
assert conv_cost(64, 64, 3, 56, padding=1) == (115_605_504, 1_753_088)
assert conv_cost(1, 1, 1, 1) == (1, 12) and conv_cost(3, 8, 4, 10, stride=3, padding=1)[0] == 3 * 3 * 8 * 48
expect_error(ValueError, ["7", "5"], conv_cost, 1, 1, 7, 5)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Put together

A convolution, ReLU, pooling and a dense layer, in PyTorch's spelling. PyTorch 2.13 gives the loss and the gradients that stand in the test, and all three kinds of kernels have to find them.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model = Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(8, 3))
    for i, parameter in enumerate(model.parameters()):
        parameter.data[...] = np.cos(np.arange(parameter.numel()) + i).reshape(parameter.shape)
    x = Tensor(sample_images(2, 1, 4, 4))
    expected = [1.492919, 1.32036, 0.339359, -1.420032, -0.133732, 1.042464, 0.501359, -0.606146, -1.275845]
    for kernels in ("loops", "product", "fast"):
        use_kernels(model, kernels).zero_grad()
        loss = CrossEntropyLoss()(model(x), np.array([0, 2]))
        loss.backward()
        assert np.isclose(loss.item(), 5.141019, rtol=1e-5), f"{kernels}: expected a loss of 5.141019, got {loss.item():.6f}"
        got = model[0].weight.grad[0, 0].ravel()
        assert np.allclose(got, expected, atol=1e-5), f"{kernels}, first kernel: expected the gradient {expected}, got {got.round(6).tolist()}"
        assert np.allclose(model[0].bias.grad, [1.6346936, -0.4106670], atol=1e-5), f"{kernels}, bias of the convolution: got {model[0].bias.grad.tolist()}"

    layers = Conv2d(3, 32, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3, padding=1), ReLU(), MaxPool2d(2)
    cnn = Sequential(*layers, Flatten(), Linear(4096, 128), ReLU(), Linear(128, 10))
    count = sum(parameter.numel() for parameter in cnn.parameters())
    assert count == 545_098, f"the two-layer CNN for CIFAR has 545,098 parameters, got {count:,}"
    assert cnn(Tensor(np.zeros((2, 3, 32, 32)))).shape == (2, 10), "two CIFAR images give two rows of ten logits"
    print("🔬 module 09: a convolutional network")

test_module()

# %% [markdown]
r"""
## LeNet-5 reads

The network of LeCun, Bottou, Bengio and Haffner (1998), with ReLU and max pooling instead of their tanh and averages. It wants 28 × 28 pixels, so scikit-learn's 8 × 8 digits are enlarged threefold and get a margin. **Predict**: module 05's dense network of 9,610 parameters read about 97 of 100 unseen
digits. LeNet-5 has 61,706 parameters. Will it read more? How long will an epoch take?
"""

# %% tags=["measure"]
def lenet():
    """LeNet-5 for images (N, 1, 28, 28) and ten classes: 61,706 parameters."""
    eyes = Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))


def large_digits(seed=0):
    """scikit-learn's digits, shuffled, as (N, 1, 28, 28) from 0 to 1: (1,437 images, labels), (360 images, labels)."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = np.pad(np.kron(digits.images[order], np.ones((1, 3, 3))) / 16, [(0, 0), (2, 2), (2, 2)])
    images, labels = images[:, None].astype(np.float32), digits.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def train(model, data, test, epochs=12, batch=32, rate=0.05, momentum=0.9, seed=0):
    """Gradient descent with momentum and a rate that falls to 0; returns the test accuracy after each epoch."""
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
axes.axhline(97, ls="--", color="0.4", label="97 %")
axes.set(xlabel="epoch", ylabel="accuracy on unseen digits in %", title="LeNet-5 on enlarged 8 × 8 digits")
axes.legend(loc="lower right")
plt.show()
print(f"📊 LeNet-5, {sum(p.numel() for p in reader.parameters()):,} parameters: {history[-1]:.1%} of 360 unseen digits after {len(history)} epochs and {took:.1f} s, fast kernels")

# %% [markdown]
r"""
What has it learned? The six kernels of the first layer, what they make of one digit, and the digits that it still gets wrong.
"""

# %% tags=["measure"]
with no_grad():
    maps = reader[1](reader[0](Tensor(unseen[0][:1]))).numpy()[0]
    guesses = reader(Tensor(unseen[0])).argmax(axis=1).numpy()
show_images(reader[0].weight.numpy()[:, 0], [f"kernel {i}" for i in range(6)], scale=1.2)
show_images(maps, [f"map {i} of a {unseen[1][0]}" for i in range(6)], scale=1.2)
wrong = np.flatnonzero(guesses != unseen[1])
if len(wrong):
    show_images([unseen[0][i, 0] for i in wrong[:6]], [f"{unseen[1][i]}, read as {guesses[i]}" for i in wrong[:6]], scale=1.2)
print(f"📊 {len(wrong)} mistakes (is, read as):", ", ".join(f"({unseen[1][i]}, {guesses[i]})" for i in wrong))

# %% [markdown]
r"""
## Measure: three versions

**Predict** for an image of 32 × 32 with 3 → 8 channels: how many times faster is the product than the loops? And the fast version than the product? Then for growing images, kernels and channels: does the time follow the multiply-adds?
"""

# %% tags=["measure"]
def conv_seconds(kernels, size, kernel=3, channels=8, images=1):
    """The best time of one forward of 3 → channels, kernel × kernel, on images of size × size."""
    x, weight = randn(images, 3, size, size), randn(channels, 3, kernel, kernel)
    repeats = 1 if kernels == "loops" else 7
    return best_seconds(lambda: conv2d(x, weight, padding=kernel // 2, kernels=kernels), repeats)


def analyze_versions():
    """Nanoseconds per multiply-add of the three versions, over image size, kernel size and channels."""
    sweeps = [
        ("image size", [8, 16, 32], lambda v: {"size": v}, lambda v: conv_cost(3, 8, 3, v, padding=1)[0]),
        ("kernel size", [1, 3, 5, 7], lambda v: {"size": 16, "kernel": v}, lambda v: conv_cost(3, 8, v, 16, padding=v // 2)[0]),
        ("output channels", [2, 8, 32], lambda v: {"size": 16, "channels": v}, lambda v: conv_cost(3, v, 3, 16, padding=1)[0]),
    ]
    figure, panels = plt.subplots(1, 3, figsize=(8, 3.4), sharey=True, layout="constrained")
    with no_grad():
        for axes, (name, values, settings, work) in zip(panels, sweeps, strict=True):
            for kernels, style in zip(("loops", "product", "fast"), ("o-", "s--", "^:"), strict=True):
                times = [conv_seconds(kernels, **settings(v)) / work(v) * 1e9 for v in values]
                axes.loglog(values, times, style, label=kernels)
            axes.set(xlabel=name, xticks=values, xticklabels=values)
            axes.minorticks_off()
    panels[0].set(ylabel="nanoseconds per multiply-add")
    panels[2].legend()
    figure.suptitle("One image, three versions")
    plt.show()
    with no_grad():
        one = {kernels: conv_seconds(kernels, 32) for kernels in ("loops", "product", "fast")}
    batch = {kernels: conv_seconds(kernels, 32, channels=32, images=64) for kernels in ("product", "fast")}
    print(f"📊 32 × 32, 3 → 8: loops {one['loops'] * 1e3:.0f} ms, product {one['product'] * 1e3:.2f} ms ({one['loops'] / one['product']:.0f} times faster)")
    print(f"📊 64 images, 3 → 32: product {batch['product'] * 1e3:.1f} ms, fast {batch['fast'] * 1e3:.1f} ms ({batch['product'] / batch['fast']:.1f} times faster)")


analyze_versions()

# %% [markdown]
r"""
The loops take the same time for each multiply-add, whatever the shape: that is Python's price, some hundred nanoseconds for what the processor does in a fraction of one. The product's price *falls* with the size, because a call costs microseconds before anything is computed, and on a single small image there is little else.

## Measure: memory

**Predict** for a batch of 32 CIFAR images in the 545,098-parameter network: what takes more, the parameters, the activations that wait for `backward`, or the gradients?
"""

# %% tags=["measure"]
def analyze_memory():
    """Megabytes of parameters, activations and gradients for 32 CIFAR images, and the columns that a product makes."""
    stages = [("conv 3→32", Conv2d(3, 32, 3, padding=1)), ("relu", ReLU()), ("pool", MaxPool2d(2)), ("conv 32→64", Conv2d(32, 64, 3, padding=1)), ("relu", ReLU()), ("pool", MaxPool2d(2))]
    model, x, held = Sequential(*(layer for _, layer in stages)), randn(32, 3, 32, 32), []
    for layer in model:
        x = layer(x)
        held.append(x.nbytes)
    dense = 4096 * 128 + 128 + 128 * 10 + 10
    parameters = 4 * (sum(p.numel() for p in model.parameters()) + dense)
    columns = 4 * 32 * (32 * 32 * 27 + 16 * 16 * 288)
    names, sizes = ["parameters", "their gradients", "activations", "columns of the product"], [parameters, parameters, sum(held), columns]
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    drawn = axes.barh(names, np.array(sizes) / 1e6, color="0.7", edgecolor="0.2", hatch=["", "//", "..", "xx"])
    axes.bar_label(drawn, fmt="%.1f MB", padding=3)
    axes.set(xlabel="megabytes", title="32 CIFAR images, 545,098 parameters")
    axes.margins(x=0.2)
    axes.invert_yaxis()
    plt.show()
    print("📊 activations:", ", ".join(f"{name} {size / 1e6:.1f} MB" for (name, _), size in zip(stages, held, strict=True)))


analyze_memory()

# %% [markdown]
r"""
Convolutions turn the relation of module 05 around: few parameters, and activations that dwarf them. The columns, nine times a layer's input for a 3 × 3 kernel, would nearly double that again, which is why the fast version never makes all of them at once.

## Measure: weights, fields of view, order of loops

**Predict**: (a) a layer from a 32 × 32 × 3 image to a 32 × 32 × 32 one: how many parameters as a convolution of 3 × 3, how many as a dense layer? (b) How many pixels of the image does an output of the fifth 3 × 3 convolution depend on? (c) Does it matter in which order the loops run?
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
    """Counts: convolution against dense, receptive fields, depthwise-separable against full; and the loop order, timed."""
    size = 32
    print(f"📊 3 → 32 channels on 32 × 32: convolution {32 * 27 + 32:,} parameters, dense layer {(3 * size**2 + 1) * 32 * size**2:,}")
    depth = list(range(1, 9))
    figure, axes = plt.subplots(figsize=(6, 3.3), layout="constrained")
    for label, layers, style in [
        ("3 × 3", [(3, 1)] * 8, "o-"), ("5 × 5", [(5, 1)] * 8, "s--"), ("3 × 3, then 2 × 2 pooling", [(3, 1), (2, 2)] * 4, "^:"),
    ]:
        axes.plot(depth, [receptive_field(layers[:d]) for d in depth], style, label=label)
    axes.axhline(32, color="0.5", lw=0.8, ls=":", label="a whole CIFAR image")
    axes.set(xlabel="layers", ylabel="pixels along one axis", title="What one output can see of the image")
    axes.legend()
    plt.show()
    print(f"📊 five 3 × 3 convolutions see {receptive_field([(3, 1)] * 5)} pixels across; three with 2 × 2 pooling after each see {receptive_field([(3, 1), (2, 2)] * 3)}")
    full, depthwise, pointwise = 64 * 64 * 9, 64 * 9, 64 * 64
    print(f"📊 64 → 64, 3 × 3: full {full:,} weights; one 3 × 3 for each channel, then 1 × 1 across: {depthwise + pointwise:,}, {full / (depthwise + pointwise):.1f} times fewer, and as many times fewer multiply-adds")

    image, total = np.ones((2048, 2048), np.float32), np.zeros(2048, np.float32)
    inner = best_seconds(lambda: [np.add(total, image[i], out=total) for i in range(2048)])
    outer = best_seconds(lambda: [np.add(total, image[:, i], out=total) for i in range(2048)])
    print(f"📊 adding 2,048 rows of an image {inner * 1e3:.1f} ms, its 2,048 columns {outer * 1e3:.1f} ms: the order of the loops costs {outer / inner:.1f} times, for the same additions")


analyze_structure()

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-winograd", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
(a) The loops, the product and the fast version do the same multiplications in a different order (but for Winograd's). Why, then, do their float32 results differ in the last digits, and how large a difference would make you suspicious? (b) A 1 × 1 convolution has no neighbours to look at. What does it compute, and which layer
of module 03 is it for every pixel?

### BEGIN SOLUTION
For graders: (a) floating-point addition is not associative, rounding depends on the order: 1 point; a bound that grows with the number of terms, or about 1e-5 to 1e-4 of the largest entry in float32, against float64: 1 point. (b) A mix of the channels at each pixel: 1 point; `Linear` applied to
every pixel's channels, with the same weights: 1 point.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-workers", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
(a) You measured two loops over the same image that differ only in which axis runs inside. Say what the processor does differently, and which of the seven loops of a convolution you would put innermost if images lay in memory as (N, H, W, C). (b) Eight workers
are to share one training step of convolution, pooling, convolution, pooling and a dense layer. What would you split, what has to be exchanged or added up at the end, and what remains in every worker's memory until `backward` has passed?

### BEGIN SOLUTION
For graders: (a) memory comes in cache lines of neighbours; along a column each line is fetched for one number, or evicted before its neighbours are used: 1 point; the channels c (or o for the output), which are neighbours there: 1 point. (b) The batch, an eighth of the images each;
the gradients of weights and biases are sums over images, so they are added up across workers before the update, the activations never travel: 1 point; each keeps the parameters and its own images' activations (which shrink with the split, the parameters do not): 1 point. Splitting output
channels or rows of images with a margin is as good, if what has to be exchanged is named.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

You have everything that LeNet had in 1998. Train it on the real digits, and a larger one on photographs: that is what the milestones are for. Next: `tito module complete 09_spatial`.
"""
