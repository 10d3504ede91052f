# %% [markdown]
r"""
# 21 Residual networks

You have convolutions (09), a training loop (07) and initialisers that keep a signal's size (03). So why not stack fifty layers? The
first cells below try, and fail. Two ideas of 2015 made depth work: *batch normalization* (Ioffe and Szegedy), which gives every
channel mean 0 and variance 1 wherever it runs, and *residual connections* (He, Zhang, Ren and Sun), which add what a block
computed to what it was given. You write both, with the gradient of the first by hand, and at the end ResNet-20 stands there.
This module is an elective: it needs 07 and 09, and no language.

### Three questions first

**1.** (03) A layer sums 72 inputs of variance 1 with independent weights of mean 0. Which variance do the weights need for outputs of
variance 1, and what does a ReLU in front change?

<details><summary>Answer</summary>

1/72. A ReLU halves the mean square, so that the weights need twice that, 2/72: He's initialisation.

</details>

**2.** (05) A tensor is used twice, as in `y = x + f(x)`. What is its gradient?

<details><summary>Answer</summary>

The sum of what comes back along both ways: that of y as it is, plus what f's rule makes of it.

</details>

**3.** (09) A 3 × 3 convolution from 16 to 32 channels, stride 2 and padding 1, gets images (8, 16, 32, 32). Which shape comes out, and
how many weights has it?

<details><summary>Answer</summary>

(8, 32, 16, 16), since ⌊(32 + 2 − 3) / 2⌋ + 1 = 16; 32 · 16 · 9 = 4,608 weights.

</details>
"""

# %%
from tinytorch.notebook import best_seconds, check_home, expect, expect_error, trained

check_home()

# %%
#| default_exp core.residual

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.activations import relu
from tinytorch.core.layers import Linear, Module, Parameter, Sequential, normal_
from tinytorch.core.spatial import Conv2d, conv2d
from tinytorch.core.tensor import Op, Tensor, concatenate, ones, zeros

# %%
from tinytorch.core.autograd import no_grad, numeric_gradient
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import manual_seed, randn

# %% [markdown]
r"""
## Part 1 of 3 · about 4 hours: depth fails, and what is missing

### Measure: fifty layers

scikit-learn's digits, 8 × 8 pixels, in stacks of 3 × 3 convolutions with 8 channels, He's start and ReLUs; a dense layer comes last.
All get the same 40 steps, from one seed; rate, batch and scale of the inputs were chosen because they show the difference in so few
(with others it takes longer, or even two layers do not learn). **Predict** for 2, 10, 20 and 50 layers: whose loss is lowest at the end? And how does the gradient's length
change from the last layer to the first?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images = ((digits.images[order, None] / 16 - 0.3) / 0.37).astype(np.float32)
labels = digits.target[order]


class Stack(Module):
    """`depth` layers: 3 × 3 convolutions, each with make_norm(8) behind it if given, and a dense one.

    skips: every second convolution's input is added to what the next one gives. quiet: those start with 0.
    """

    def __init__(self, depth, make_norm=None, skips=False, quiet=False):
        super().__init__()
        self.convs = Sequential(*[Conv2d(8 if i else 1, 8, 3, padding=1) for i in range(depth - 1)])
        self.norms = Sequential(*[make_norm(8) if make_norm else relu for _ in range(depth - 1)])
        self.last, self.normed, self.skips = Linear(8 * 16, 10), make_norm is not None, skips
        for norm in list(self.norms)[2::2] if quiet else ():
            norm.weight.data[...] = 0

    def forward(self, x):
        self.seen, kept = [], 0
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x)) if self.normed else conv(x)
            x = relu(x + kept) if self.skips and i and i % 2 == 0 else relu(x)
            kept = x if i % 2 == 0 else kept
            self.seen.append(x.numpy())
        means = x.reshape(len(x), 8, 4, 2, 4, 2).mean(axis=(3, 5))
        return self.last(means.reshape(len(x), 8 * 16))


def first_steps(model, steps=40, batch=32, rate=0.02):
    """Train; the loss of each step, and what the first step does to each convolution."""
    optimizer, draws, losses = SGD(model.parameters(), lr=rate, momentum=0.9), np.random.default_rng(0), []
    for step in range(steps):
        picked = draws.integers(0, 1437, batch)
        optimizer.zero_grad()
        loss = CrossEntropyLoss()(model(Tensor(images[picked])), labels[picked])
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            weights = [conv.weight for conv in model.convs]
            slopes = [weight.grad.copy() for weight in weights]
            lengths = [float(np.linalg.norm(slope)) for slope in slopes]
            ratios = [rate * a / np.linalg.norm(w.numpy()) for a, w in zip(lengths, weights, strict=True)]
            found = {"values": model.seen, "slopes": slopes, "lengths": lengths, "ratios": ratios}
        optimizer.step()
    return {"losses": losses, **found}


def show_stacks(runs, title):
    """What the first step of each run looked like, layer by layer (every second spread), and all losses."""
    figure, panels = plt.subplots(2, 3, figsize=(9, 5.4), layout="constrained")
    (loss, length, ratio), (spread, value, slope) = panels
    bins = np.linspace(-8, 2, 41)
    for (name, run), style in zip(runs.items(), ("o-", "s--", "^:", "d-."), strict=False):
        how = {"markevery": 8, "markersize": 4}
        loss.plot(run["losses"], style, label=name, **how)
        place = np.linspace(0, 1, len(run["lengths"])) if len(run["lengths"]) > 1 else [1]
        length.semilogy(place, run["lengths"], style, **how, nonpositive="mask")
        ratio.semilogy(place, run["ratios"], style, **how, nonpositive="mask")
        spread.semilogy(place[::2], [values.std() for values in run["values"][::2]], style, **how)
        for axes, array in ((value, run["values"][-1]), (slope, run["slopes"][0])):
            sizes = np.log10(np.abs(array[array != 0]))
            share = np.histogram(sizes, bins)[0] / max(array.size, 1)
            axes.plot((bins[1:] + bins[:-1]) / 2, share, style, **how)
    loss.set(title="loss", xlabel="step", ylim=(0, 4))
    names = "length of the gradient", "update / weight", "spread of values"
    for axes, name in zip((length, ratio, spread), names, strict=True):
        axes.set(title=name, xlabel="place (0: first layer)")
    value.set(title="values behind the last one", xlabel="log₁₀ of their size", ylabel="share")
    slope.set(title="gradient of the first one", xlabel="log₁₀ of its size", ylabel="share")
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(title)
    plt.show()
    for name, run in runs.items():
        a, b = run["lengths"][0], run["lengths"][-1]
        print(f"📊 {name}: loss {np.mean(run['losses'][-5:]):.2f} at the end; gradient of the first",
              f"convolution {a:.1e}, of the last {b:.1e}; update / weight (first) {run['ratios'][0]:.1e}")

# %% tags=["measure"]
def analyze_plain():
    """Plain stacks of 2 to 50 layers, from one seed."""
    runs = {}
    for depth in (2, 10, 20, 50):
        manual_seed(0)
        runs[f"{depth} layers"] = first_steps(Stack(depth))
    show_stacks(runs, "Plain stacks: convolution, ReLU, again and again")


analyze_plain()

# %% [markdown]
r"""
Chance is log 10 = 2.30, and the deepest stacks stay there, while two layers learn. It is not overfitting: it is the *training* loss that
does not move. He's start keeps the mean square right on average, but with 8 channels each layer misses a little, and fifty misses
multiply: a product of factors of mean 1 is mostly far below 1, and the spread of the values shrinks. What a weight's gradient gets is a product of
the values that reach it and of what comes back. The values shrink more on their way than what comes back does on its own, so the gradient is
*longest* near the first layer. The deeper the stack, the smaller is what an update changes of a weight.

### What a channel is like

So let us not hope for the right size, but make it. For images (N, C, H, W) a channel has N·H·W values, and one mean and one variance:

    channel 0 of two images with 1 × 2 pixels:  [1, 3], [5, 7]     mean 4     variance (9 + 1 + 1 + 9) / 4 = 5

The variance here divides by the number of values, 4, not by 3. All axes but the second are summed over, however many there are:
(N, C) for features, (N, C, L) for sequences. The given `channel_sum(x)` does this, `channel_sum(x, y)` sums the products of two arrays,
and `along_channels(values, x)` gives (C,) the shape in which it meets the second axis of x.

There is a shortcut, the mean of squares minus the square of the mean, which needs no second walk over x. For values around 10,000 with a
spread of 1 both are about 100,000,000 and agree in all digits that float32 has: nothing is left. Subtract the mean first.

**Write `channel_statistics(x)`** for an array (N, C, …) with at least one value a channel: the tuple (mean, variance), arrays (C,) of
the dtype of x. The array x stays as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-channels", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def channel_sum(*arrays):
    """The sum over all axes but the second of the product of arrays (N, C, …): shape (C,)."""
    axes = list(range(arrays[0].ndim))
    factors = [part for array in arrays for part in (array, axes)]
    return np.einsum(*factors, [0, 1]).sum(axis=0)  # two short sums round less than a long one


def along_channels(values, x):
    """`values` (C,), array or Tensor, in the shape that broadcasts along the second axis of x (N, C, …)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))

# %% nbgrader={"grade": false, "grade_id": "channel_statistics", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many values has one channel? The size of the whole array and the length of the second axis tell you, for any number of axes.", "The mean first; then the distances from it, as a new array; then the mean of their squares, which is a sum of products of an array with itself."], "minutes": 20, "objective": "normalize"}
#| export
def channel_statistics(x):
    """(mean, variance) of each channel of x (N, C, …), each (C,); the variance divides by their number."""
    ### BEGIN SOLUTION
    count = x.size // x.shape[1]
    mean = channel_sum(x) / count
    centred = x - along_channels(mean, x)
    return mean, channel_sum(centred, centred) / count
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-channel_statistics", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_channel_statistics():
    x = np.array([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[5.0, 7.0]], [[2.0, 2.0]]]])
    kept = x.copy()
    expect(channel_statistics(x), (np.array([4.0, 1]), np.array([5.0, 1])), "two images, 2 channels of 1 × 2")
    expect(x, kept, "x after the call")
    rows = np.array([[1.0, -2.0, 0.0], [3.0, -2.0, 6.0], [8.0, -2.0, 3.0]])
    expected = np.array([4.0, -2, 3]), np.array([26 / 3, 0, 6])
    for array in (rows, rows.T[None], rows[..., None, None, None]):
        for got, wanted, name in zip(channel_statistics(array), expected, ("mean", "variance"), strict=True):
            expect(got, wanted, f"shape {array.shape}: the {name}", atol=1e-12)
    far = (10_000 + np.array([-1.0, 1.0] * 8)).astype(np.float32).reshape(4, 1, 4)
    mean, variance = channel_statistics(far)
    expect(mean, [10_000], "9,999 and 10,001 in float32: the mean", dtype=np.float32)
    expect(variance, [1], "9,999 and 10,001 in float32: the variance", dtype=np.float32)
    print("🔬 channel_statistics: passed")

test_unit_channel_statistics()

# %% nbgrader={"grade": true, "grade_id": "test-channel_statistics-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: many values, in other shapes and in both orders of memory.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(213)
for size in [(7, 5), (4, 5, 9), (6, 5, 3, 8)]:
    values = draw.normal(50, 2, size)
    for array in (values, np.asfortranarray(values)):
        by_hand = [[values[:, c].mean(), values[:, c].var()] for c in range(5)]
        expect(np.stack(channel_statistics(array), axis=1), by_hand, f"{size}", rtol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Normalized, then scaled and shifted

    y  =  (x − mean) / √(variance + eps) · weight + bias         for each channel by itself

`eps` keeps a constant channel from a division by 0. Weight and bias (C,) are learned: where mean 0 and variance 1 are in the way, the
network can choose others, but now they are two numbers that it chooses, not an accident of fifty layers. With eps = 1/3 and weight 6 the
values −1, 0, 1 (mean 0, variance 2/3) have the root 1 and become −6, 0, 6, plus the bias.

An *operation* as in module 01: arrays in, an array out. `weight` and `bias` may be None, then nothing is scaled, or shifted.
`statistics` is what `channel_statistics(x)` gave, for a caller who has it already; without it you compute it.

**Write `batch_norm(x, weight, bias, *, eps, statistics)`** for x (N, C, …). The result has the dtype of x; the inputs stay.
"""

# %% nbgrader={"grade": false, "grade_id": "batch_norm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Everything per channel is small: join root and weight there, where it costs nothing, and walk over the large array as seldom as you can.", "Subtract the mean before you scale: with it, as one shift at the end, digits of large values would be lost.", "The first large array that you make is yours, and the further steps may change it in place."], "minutes": 20, "objective": "normalize"}
#| export
@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    """Each channel of x (N, C, …) with mean 0 and variance 1, times weight plus bias, (C,) or None.

    statistics: channel_statistics(x), where it is known (Ioffe and Szegedy 2015).
    """
    ### BEGIN SOLUTION
    mean, variance = channel_statistics(x) if statistics is None else statistics
    scale = 1 / np.sqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    out = x - along_channels(mean, x)
    out *= along_channels(scale, x)
    if bias is not None:
        out += along_channels(bias, x)
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-batch_norm", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm():
    x = np.array([[[-1.0, 10.0]], [[0.0, 10.0]], [[1.0, 10.0]]]).transpose(0, 2, 1)  # (3, 2, 1)
    kept, weight, bias = x.copy(), np.array([6.0, 5.0]), np.array([0.5, 7.0])
    call = lambda *inputs, **how: batch_norm(*inputs, eps=1 / 3, **how).numpy()[:, :, 0]
    wanted = np.array([[-5.5, 7], [0.5, 7], [6.5, 7]])
    expect(call(x, weight, bias), wanted, "[-1, 0, 1] and [10] * 3, weight [6, 5], bias [0.5, 7]", atol=1e-12)
    expect(call(x, weight, None), wanted - bias, "the same without bias", atol=1e-12)
    expect(call(x, None, bias), (wanted - bias) / weight + bias, "the same without weight", atol=1e-12)
    expect(x, kept, "x after the calls")
    given = np.array([0.0, 9.0]), np.array([2 / 3, 4 - 1 / 3])
    got = call(x, weight, bias, statistics=given)[:, 1]
    expect(got, [9.5] * 3, "statistics given: (10 - 9) / 2 · 5 + 7", atol=1e-12)
    for dtype in (np.float32, np.float64):
        arrays = [array.astype(dtype) for array in (x, weight, bias)]
        expect(call(*arrays).dtype, dtype, f"the dtype for {np.dtype(dtype)}")
    far = (10_000 + np.array([-3.0, 1, 2, 0] * 4)).astype(np.float32).reshape(4, 1, 4)
    got = batch_norm(far, None, None, eps=0.0)
    expect(got, (far - 10_000) / math.sqrt(3.5), "9,997 to 10,002 in float32, eps 0", atol=1e-6)
    print("🔬 batch_norm: passed")

test_unit_batch_norm()

# %% nbgrader={"grade": true, "grade_id": "test-batch_norm-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: what comes out has the wanted mean and variance, for any number of axes.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(214)
for size in [(9, 3), (5, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)]:
    weight, bias = np.array([1.0, 3.0, 0.5]), np.array([0.0, 1.0, 2.0])
    out = batch_norm(draw.normal(-20, 5, size), weight, bias, eps=1e-9).numpy()
    others = tuple(i for i in range(len(size)) if i != 1)
    expect(out.mean(axis=others), [0, 1, 2], f"{size}: the means", atol=1e-9)
    expect(out.std(axis=others), [1, 3, 0.5], f"{size}: the spreads", rtol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
Feed it values that are a thousand times too small and off by five. What will the five numbers be?
"""

# %%
x = Tensor(5 + np.random.default_rng(0).standard_normal((64, 1)) / 1000, dtype=np.float64)
print("normalized", np.round(batch_norm(x, None, None, eps=1e-12).numpy()[:5, 0], 2))
print("before    ", np.round((x.numpy()[:5, 0] - 5) * 1000, 2), "thousandths above 5")

# %% [markdown]
r"""
### Its gradient

Here is the trap of this module: the mean and the variance depend on x. A value that grows pulls the mean with it, and every other value
of its channel is normalized differently. With x̂ for (x − mean) / √(variance + eps), and grad for the gradient that arrives:

    bias      Σ grad                                  sums over the channel
    weight    Σ grad · x̂
    x         (g − mean of g − x̂ · mean of (g · x̂)) / √(variance + eps)          with g = grad · weight

Derive the last line: x reaches the output directly, through the mean, and through the variance. The two subtracted terms say that a
normalized channel cannot follow two directions: all values up (the mean takes it away), all values apart (the variance does).
By hand, with eps = 1/3, weight 1, x = [−1, 0, 1], so x̂ = x, and a gradient [1, 0, 0]:

    mean of g = 1/3,   mean of g·x̂ = −1/3      →      [1, 0, 0] − 1/3 + x̂ / 3  =  [1/3, −1/3, 0]

Whoever takes mean and variance for constants gets [1, 0, 0]. That network trains, badly, and no error says so.

**Write `batch_norm_gradient(grad, out, x, weight, bias, *, eps, statistics)`**: arrays in, three gradients out, for x, weight and
bias, of the dtype of `grad`. The last two are sums also where weight or bias is None (nobody looks at them then).
`statistics` is what the forward call got: None, or mean and variance of x.
"""

# %% nbgrader={"grade": false, "grade_id": "batch_norm_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write one value of the output as a function of all values of its channel, and ask in which three places a single value of x occurs.", "Two sums over each channel are all that is needed: of the gradient, and of the gradient times the normalized values. They are the answers for bias and weight as well.", "For x, combine on the small arrays what is constant in a channel, the root, the weight, the two means, before you walk over the large ones."], "minutes": 60, "objective": "gradient"}
#| export
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    """The gradients of x, weight and bias; mean and variance are functions of x."""
    ### BEGIN SOLUTION
    count = x.size // x.shape[1]
    mean, variance = channel_statistics(x) if statistics is None else statistics
    inverse = 1 / np.sqrt(variance + eps)
    for_x = x - along_channels(mean, x)
    for_bias, for_weight = channel_sum(grad), channel_sum(grad, for_x) * inverse
    for_x *= along_channels(-inverse * for_weight / count, x)
    for_x += grad
    for_x -= along_channels(for_bias / count, x)
    for_x *= along_channels(inverse if weight is None else inverse * weight, x)
    return for_x, for_weight, for_bias
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-batch_norm_gradient", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm_gradient():
    x, grad = np.array([[-1.0], [0.0], [1.0]]), np.array([[1.0], [0.0], [0.0]])
    rule = lambda *arrays, grad=grad, **how: batch_norm_gradient(grad, None, *arrays, eps=1 / 3, **how)
    thirds = np.array([[1 / 3], [-1 / 3], [0]])
    one = np.ones(1)
    for case, weight, times in (("weight 6", 6 * one, 6), ("weight 0", 0 * one, 0), ("no weight", None, 1)):
        for_x, for_weight, for_bias = rule(x, weight, np.zeros(1))
        expect(for_x, times * thirds, f"x [-1, 0, 1], grad [1, 0, 0], {case}: for x", atol=1e-12)
        expect(for_weight, [-1], f"{case}: for the weight", atol=1e-12)
        expect(for_bias, [1], f"{case}: for the bias", atol=1e-12)
    for case, useless in (("all values up", np.ones((3, 1))), ("all values apart, eps → 0", x)):
        got = batch_norm_gradient(useless, None, x + 8, np.ones(1), None, eps=1e-12)[0]
        expect(got, np.zeros((3, 1)), f"a gradient that asks for {case}", atol=1e-9)
    with_statistics = rule(x + 5, np.ones(1), None, statistics=(np.array([5.0]), np.array([2 / 3])))[0]
    expect(with_statistics, thirds, "x [4, 5, 6] with its statistics given", atol=1e-12)
    expect([x[0, 0], grad[0, 0]], [-1, 1], "x and grad after the calls")
    x, weight, bias, grad = (array.astype(np.float32) for array in (x, np.ones(1), np.zeros(1), grad))
    narrow = rule(x, weight, bias, grad=grad)
    expect([str(part.dtype) for part in narrow], ["float32"] * 3, "the dtypes for float32")
    print("🔬 batch_norm_gradient: passed")

test_unit_batch_norm_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-batch_norm_gradient-axes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm_gradient_axes():
    def compare(*arrays):
        def loss(place, array):
            changed = [array if i == place else other for i, other in enumerate(arrays)]
            return (batch_norm.forward(*changed, eps=0.1) * pull).sum()

        pull = np.random.default_rng(1).normal(0, 1, arrays[0].shape)
        got = batch_norm_gradient(pull, None, *arrays, eps=0.1)
        for place, name in enumerate(("x", "weight", "bias")):
            slope = numeric_gradient(lambda array, place=place: loss(place, array), arrays[place])
            expect(got[place], slope, f"{x.shape}: for {name}, beside finite differences", atol=1e-6)

    for shape in [(3, 2), (2, 2, 3), (2, 2, 2, 2)]:
        x = np.random.default_rng(0).normal(4, 2, shape)
        compare(x, np.array([2.0, -0.5]), np.array([1.0, 3.0]))
    print("🔬 batch_norm_gradient, any number of axes: passed")

test_unit_batch_norm_gradient_axes()

# %% nbgrader={"grade": true, "grade_id": "test-batch_norm_gradient-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: larger arrays, through backward, beside the same formula composed of operations.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(215)
for size in [(8, 4), (3, 4, 5), (2, 4, 3, 3)]:
    arrays = draw.normal(3, 2, size), draw.normal(1, 1, 4), draw.normal(0, 1, 4)
    fused, composed = ([Tensor(array, True, np.float64) for array in arrays] for _ in range(2))
    pull, others = draw.normal(0, 1, size), tuple(i for i in range(len(size)) if i != 1)
    batch_norm(*fused, eps=0.02).backward(pull)
    x, weight, bias = composed
    centred = x - x.mean(axis=others, keepdims=True)
    spread = ((centred * centred).mean(axis=others, keepdims=True) + 0.02).sqrt()
    shape = (4, *[1] * (len(size) - 2))
    (centred / spread * weight.reshape(*shape) + bias.reshape(*shape)).backward(pull)
    for one, other in zip(fused, composed, strict=True):
        expect(one.grad, other.grad, f"{size}", rtol=1e-8, atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
What does the trap cost? Ten layers as above, normalized, learn for 40 steps, by your gradient and with constants. **Predict** both losses.
"""

# %% tags=["measure"]
class Normalized(Module):
    """batch_norm as a layer. through: whether gradients flow back through mean and variance."""

    def __init__(self, channels, through):
        super().__init__()
        self.weight, self.bias, self.through = Parameter(ones(channels)), Parameter(zeros(channels)), through

    def forward(self, x):
        if self.through:
            return batch_norm(x, self.weight, self.bias)
        mean, variance = (Tensor(along_channels(one, x)) for one in channel_statistics(x.numpy()))
        scale = along_channels(self.weight, x) / (variance + 1e-5) ** 0.5
        return (x - mean) * scale + along_channels(self.bias, x)


for through in (True, False):
    manual_seed(0)
    losses = first_steps(Stack(10, lambda channels, way=through: Normalized(channels, way)))["losses"]
    print(f"📊 {'your gradient' if through else 'constants'}: loss {np.mean(losses[-5:]):.2f} at the end")

# %% [markdown]
r"""
## Part 2 of 3 · about 2 hours: layers that remember

### Running statistics

In training, what a network says of an image depends on its batch. Who uses it has one image and wants one answer. So the layer keeps
*running* statistics while it trains, for evaluation. They are *buffers* (module 03): part of `state_dict`, not trained.

    new buffer  =  (1 − share) · old buffer  +  share · what this batch showed

`share` is `momentum`; `momentum=None` means 1 / (number of batches so far): the plain mean of them all. `num_batches_tracked` counts them.
A batch's variance divides by n, but that of a sample is on average too small by the factor (n − 1) / n, since the mean was fitted to it:
`running_var` gets the *unbiased* variance · n / (n − 1). The batch itself is normalized with the other one.

    batch [0, 4]:  mean 2, variance 4, unbiased 8;    from 0 and 1, momentum 0.1:  running_mean 0.2,  running_var 0.9 + 0.8 = 1.7

**Write two methods of `BatchNorm`.** `update(mean, variance, count)` gets what `channel_statistics` gave, and n; it counts the batch and
moves both buffers: all three inside the arrays they have. `forward(x)`, on Tensors (the array is `x.data`):

- in training, or where there are no buffers (`track_running_stats=False`: all three are None), the batch's statistics: walk over x for
  them once. In training with buffers, update them. One value a channel has no variance: `ValueError` naming the shape;
- in evaluation the buffers, as constants: the gradient still reaches x, weight and bias. Nothing changes, however often it is called.

With `affine=False` weight and bias are None.
"""

# %% nbgrader={"grade": false, "grade_id": "BatchNorm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In the update, count first, then the share follows, also for the cumulative mean; both buffers move by the same rule, each towards its new value.", "Decide in forward by one question: are there buffers, and is this evaluation? Everything else is the batch's own statistics.", "In evaluation compose operations on Tensors, which the gradient passes: what belongs to the channels is small, so join root and weight there."], "minutes": 40, "objective": "running"}
#| export
class BatchNorm(Module):
    """Normalization of each channel of (N, C, …), by the batch or by running statistics.

    momentum: the share of a batch in the running statistics; None: their mean over all batches. Raises
    ValueError for an input that does not fit, and for one value a channel where the batch normalizes itself.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        is_kept = track_running_stats
        self.register_buffer("running_mean", zeros(num_features) if is_kept else None)
        self.register_buffer("running_var", ones(num_features) if is_kept else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0)) if is_kept else None)

    def check(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.num_features} channels")

    def update(self, mean, variance, count):
        """Move the running statistics towards those of a batch with `count` values a channel."""
        ### BEGIN SOLUTION
        self.num_batches_tracked.data[...] += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        unbiased = variance * (count / (count - 1))
        for buffer, new in ((self.running_mean, mean), (self.running_var, unbiased)):
            buffer.data += share * (new - buffer.data)
        ### END SOLUTION

    def forward(self, x):
        self.check(x)
        ### BEGIN SOLUTION
        if self.training or self.running_mean is None:
            count = x.data.size // self.num_features
            if count < 2:
                raise ValueError(f"{self}: one value a channel has no variance, input {x.shape}")
            statistics = channel_statistics(x.data)
            if self.training and self.running_mean is not None:
                self.update(*statistics, count)
            return batch_norm(x, self.weight, self.bias, eps=self.eps, statistics=statistics)
        scale = (self.running_var + self.eps) ** -0.5
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - along_channels(self.running_mean, x)) * along_channels(scale, x)
        return out if self.bias is None else out + along_channels(self.bias, x)
        ### END SOLUTION

    def extra_repr(self):
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        return f"{text}, track_running_stats={self.track_running_stats}"

# %% nbgrader={"grade": true, "grade_id": "test-BatchNorm", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm_layer():
    layer, x = BatchNorm(1), Tensor([[0.0], [4.0]])
    arrays = {name: buffer.data for name, buffer in layer.named_buffers()}
    expect(layer(x), [[-1], [1]], "training, batch [0, 4]", atol=1e-5)
    both = lambda: [layer.running_mean.item(), layer.running_var.item()]
    expect(both(), [0.2, 1.7], "the buffers after it", atol=1e-6)
    stay = {name: buffer.data is arrays[name] for name, buffer in layer.named_buffers()}
    expect(stay, dict.fromkeys(arrays, True), "which buffers are still in their arrays")
    layer(x + 6)
    expect(both(), [0.98, 2.33], "after a batch [6, 10]", atol=1e-6)
    expect(layer.num_batches_tracked.item(), 2, "num_batches_tracked")
    cumulative = BatchNorm(1, momentum=None)
    for first in (0.0, 3.0, 6.0):
        cumulative(x + first)
    expect(cumulative.running_mean, [5], "momentum None, batches of means 2, 5, 8: running_mean", atol=1e-6)
    expect(cumulative.running_var, [8], "their unbiased variances are 8: running_var", atol=1e-5)
    expect_error(ValueError, (1, 1), BatchNorm(1), Tensor([[3.0]]))
    images = Tensor(np.arange(12.0).reshape(1, 2, 2, 3))
    row = BatchNorm(2)(images).numpy()[0, 1, 0]
    expect(row, [-1.4638, -0.8783, -0.2928], "one image of 2 × 3", atol=1e-4)
    print("🔬 BatchNorm, in training: passed")

test_unit_batch_norm_layer()

# %% nbgrader={"grade": true, "grade_id": "test-BatchNorm-evaluation", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm_evaluation():
    layer, x = BatchNorm(2, eps=0.0), Tensor([[3.0, 1.0]], requires_grad=True)
    for buffer, values in ((layer.running_mean, [1.0, -1.0]), (layer.running_var, [4.0, 0.25])):
        buffer.data[...] = values
    layer.weight.data[...], layer.bias.data[...] = [2, 3], [0, 10]
    layer.eval()
    before = layer.state_dict()
    for turn in ("first", "second"):
        expect(layer(x), [[2, 22]], f"evaluation of [3, 1], the {turn} time", rtol=1e-6)
    for name, value in before.items():
        expect(layer.state_dict()[name], value, f"{name} after evaluation")
    layer(x).sum().backward()
    expect(x.grad, [[1, 6]], "the gradient of x in evaluation: weight / root", rtol=1e-6)
    expect(layer.weight.grad, [1, 4], "the gradient of the weight", rtol=1e-6)
    expect(layer.bias.grad, [1, 1], "the gradient of the bias")
    plain = BatchNorm(2, affine=False, track_running_stats=False).eval()
    got = plain(Tensor([[0.0, 3], [4, 1]]))
    expect(got, [[-1, 1], [1, -1]], "no buffers: the batch, also in evaluation", atol=1e-5)
    expect_error(ValueError, (1, 2), plain, x)
    wide = BatchNorm(2, eps=5.0, affine=False, track_running_stats=False)
    expect(wide(Tensor([[0.0, 3], [4, -1]])), np.array([[-2, 2], [2, -2]]) / 3, "eps 5, training", atol=1e-6)
    bare = BatchNorm(2, eps=3.0, affine=False).eval()
    expect(bare(Tensor([[8.0, 2.0]])), [[4, 1]], "eps 3, without weight and bias, in evaluation", atol=1e-6)
    print("🔬 BatchNorm, in evaluation: passed")

test_unit_batch_norm_evaluation()

# %% nbgrader={"grade": true, "grade_id": "test-BatchNorm-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: many batches of images; the gradient in training; a state that travels.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(216)
batches = draw.normal(3, 2, (5, 4, 3, 2, 2))
for momentum in (0.3, None):
    layer, mean, variance = BatchNorm(3, momentum=momentum), 0.0, 1.0
    for number, batch in enumerate(batches, 1):
        layer(Tensor(batch))
        share = momentum or 1 / number
        mean = (1 - share) * mean + share * batch.mean(axis=(0, 2, 3))
        variance = (1 - share) * variance + share * batch.var(axis=(0, 2, 3), ddof=1)
    expect(layer.running_mean, mean, f"momentum {momentum}", rtol=1e-5)
    expect(layer.running_var, variance, f"momentum {momentum}", rtol=1e-5)
other = BatchNorm(3).eval()
other.load_state_dict(dict(layer.state_dict()))
wanted = (batches[0] - mean.reshape(3, 1, 1)) / np.sqrt(variance + 1e-5).reshape(3, 1, 1)
expect(other(Tensor(batches[0])), wanted, "with the loaded buffers", atol=1e-5)
narrow = Tensor([[0.0, 1.0, 2.0]] * 2 + [[3.0, 3.0, 3.0]] * 2, requires_grad=True)
(BatchNorm(3)(narrow) * Tensor([[1.0], [2.0], [3.0], [4.0]])).sum().backward()
expect(np.asarray(narrow.grad)[:, 0], [-1 / 3, 1 / 3, -1 / 3, 1 / 3], "the first channel", atol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
r"""
PyTorch's layers also check the number of axes. These two are given.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-layers", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class BatchNorm1d(BatchNorm):
    """BatchNorm for features (N, C) or sequences (N, C, L)."""

    dims = (2, 3)

    def check(self, x):
        if x.ndim not in self.dims:
            raise ValueError(f"{self}: an input has {self.dims} axes, not the shape {x.shape}")
        super().check(x)


class BatchNorm2d(BatchNorm1d):
    """BatchNorm for images (N, C, H, W)."""

    dims = (4,)

# %% [markdown]
r"""
### Find the fault

A BatchNorm2d has seen fifty batches. Then somebody sends the same eight images through it, all together and one at a time, as they
would come in, and gets other numbers. **Which line is wrong?**
"""

# %%
manual_seed(0)
norm, eight = BatchNorm2d(2), randn(8, 2, 4, 4) * 3 + 5
for _ in range(50):
    norm(eight)
with no_grad():
    together = norm(eight).numpy()
    alone = np.concatenate([norm(eight[i : i + 1]).numpy() for i in range(8)])
print(f"together and one by one, the outputs differ by up to {np.abs(together - alone).max():.2f}")

# %% [markdown]
r"""
<details><summary>Answer</summary>

The one that is missing: `norm.eval()` before `with no_grad()`. In training mode an image that comes alone is normalized by its own
pixels, whatever they mean, and each call moves the buffers as well. `no_grad` does not change the mode.

</details>

### Groups within one image

Batches of two, or sequences of different lengths, make poor statistics. *Group normalization* (Wu and He, 2018) asks the image itself:
its channels are split into `num_groups` groups of neighbours, and each group of each image gets mean 0 and variance 1, over its channels and
pixels. Training and evaluation are the same, and there are no buffers. One group is LayerNorm over (C, H, W).

    one image, 4 channels of one pixel, [0, 2, 10, 30], 2 groups    →    [−1, 1, −1, 1]

You need no new rule for the gradient. An operation that normalizes channels also normalizes groups, if a group looks like a channel.

**Write `group_norm(x, num_groups, weight, bias, eps)`** on Tensors (N, C, …) with at least one image. Weight and bias (C,), a pair of
numbers for every channel, may be None. `ValueError` naming both numbers where `num_groups` does not divide C.
"""

# %% nbgrader={"grade": false, "grade_id": "group_norm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which shape has as its second axis everything that gets statistics of its own, all groups of all images, and the rest behind it?", "Weight and bias belong to channels, not to groups: they come after you are back in the old shape, each only where it is given."], "minutes": 25, "objective": "groups"}
#| export
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Each of `num_groups` groups of channels of each image of x (N, C, …) with mean 0 and variance 1.

    weight, bias: Tensors (C,), by which each channel is then scaled and shifted, or None (Wu and He 2018).
    """
    ### BEGIN SOLUTION
    n, channels = x.shape[:2]
    if channels % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide {channels} channels")
    as_channels = x.reshape(1, n * num_groups, -1)
    out = batch_norm(as_channels, None, None, eps=eps).reshape(*x.shape)
    if weight is not None:
        out = out * along_channels(weight, x)
    return out if bias is None else out + along_channels(bias, x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-group_norm", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_group_norm():
    x = Tensor(np.array([[0.0, 2, 10, 30], [1, 5, 0, -8]]), requires_grad=True, dtype=np.float64)
    weight, bias = Tensor([1.0, 2, 3, 4], dtype=np.float64), Tensor([0.0, 1, 0, -1], dtype=np.float64)
    signs = np.array([[-1.0, 1, -1, 1], [-1, 1, 1, -1]])
    expect(group_norm(x, 2, eps=0.0), signs, "two images, two groups of two", atol=1e-12)
    expect(group_norm(x, 2, weight, None, 0.0), signs * [1, 2, 3, 4], "with weight [1, 2, 3, 4]", atol=1e-12)
    expect(group_norm(x, 2, None, bias, 0.0), signs + [0, 1, 0, -1], "with bias [0, 1, 0, -1]", atol=1e-12)
    numbers = [-0.881917, -0.713933, -0.041996, 1.637846]  # PyTorch's
    expect(group_norm(x, 1, eps=1.0).numpy()[0], numbers, "one group, eps 1", atol=1e-5)
    expect(group_norm(x, 4, eps=1.0), np.zeros((2, 4)), "four groups of one value")
    (group_norm(x, 1, eps=1.0) * Tensor([1.0, 0, 0, 0], dtype=np.float64)).sum().backward()
    numbers = [0.046662, -0.034219, -0.021776, 0.009332]
    expect(x.grad[0], numbers, "the gradient of the first image", atol=1e-5)
    image = Tensor(np.arange(16.0).reshape(1, 4, 2, 2))
    got = group_norm(image, 2).numpy()
    expect(got[0, :2], got[0, 2:], "channels of 2 × 2 pixels: both groups alike", atol=1e-5)
    expect([got[0, 0, 0, 0], got[0, 0, 0, 1]], [-1.5275, -1.0911], "their first pixels", atol=1e-4)
    expect_error(ValueError, ["3", "4"], group_norm, x, 3)
    print("🔬 group_norm: passed")

test_unit_group_norm()

# %% nbgrader={"grade": true, "grade_id": "test-group_norm-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes; every group has mean 0 and variance 1; an image does not see the others.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(217)
for size, groups in [((2, 6, 4), 3), ((3, 4, 2, 5), 2), ((1, 8), 2)]:
    values = draw.normal(9, 4, size)
    out = group_norm(Tensor(values, dtype=np.float64), groups, eps=1e-12).numpy()
    rows = out.reshape(size[0] * groups, -1)
    expect(rows.mean(axis=1), np.zeros(len(rows)), f"{size}, {groups} groups: means", atol=1e-9)
    expect(rows.std(axis=1), np.ones(len(rows)), f"{size}, {groups} groups: spreads", rtol=1e-6)
    alone = group_norm(Tensor(values[:1], dtype=np.float64), groups, eps=1e-12)
    expect(alone, out[:1], f"{size}: alone", atol=1e-12)
### END HIDDEN TESTS

# %% nbgrader={"grade": false, "grade_id": "provided-group-layer", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class GroupNorm(Module):
    """group_norm as a layer, with weight and bias (num_channels,) if affine."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups do not divide {num_channels} channels")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(ones(num_channels)) if affine else None
        self.bias = Parameter(zeros(num_channels)) if affine else None

    def check(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.num_channels} channels")

    def forward(self, x):
        self.check(x)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"

# %% [markdown]
r"""
## Part 3 of 3 · about 4 hours: residual networks

### A block that can do nothing

A stack of layers that is deeper should never be worse: the new layers could leave their input alone. But *do nothing* is hard to find for
two convolutions and a ReLU. So make it the easiest thing there is (He, Zhang, Ren and Sun, 2015):

           ┌────────────── shortcut ─────────────┐
           │                                     ▼
    x ─────┴─ conv1 ─ bn1 ─ relu ─ conv2 ─ bn2 ─ + ─ relu ─► out

    out = relu(branch(x) + shortcut(x))

With a branch of zeros the block is relu(x), and on the way back the gradient passes the `+` as it is, whatever the branch does to its own
copy. Both convolutions are 3 × 3 with padding 1 and *no bias* (the mean is subtracted right behind it, and takes any bias along); `conv1`
has the block's stride, `conv2` stride 1. Where stride or number of channels change, x no longer fits what is added to it: the shortcut is
then a *projection*, `Sequential` of a 1 × 1 convolution with the stride, without bias, and a BatchNorm2d. Otherwise it is an empty
`Sequential()`, which gives back what it gets.

**Write `ResidualBlock(in_channels, out_channels, stride)`**: the five attributes `conv1`, `bn1`, `conv2`, `bn2`, `shortcut`, and `forward`.

The tests below fill whole blocks with `with_cosines`, so that PyTorch can be given the same numbers.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-cosines", "locked": true, "schema_version": 3, "solution": false, "task": false}
def with_cosines(model):
    """`model` with cosines as parameters, in the order of their names."""
    for place, (_, parameter) in enumerate(sorted(model.named_parameters(), key=lambda pair: pair[0])):
        parameter.data[...] = np.cos(np.arange(parameter.numel()) + place).reshape(parameter.shape)
    return model

# %% nbgrader={"grade": false, "grade_id": "ResidualBlock", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Five attributes in the order of the drawing; the first convolution alone changes channels and stride.", "The projection is needed in two cases, and in either of them it has both the new number of channels and the stride.", "In forward, the second ReLU comes after the sum, and what the shortcut gets is the block's own input."], "minutes": 30, "objective": "skips"}
#| export
class ResidualBlock(Module):
    """relu(branch(x) + shortcut(x)); the branch is conv1, bn1, relu, conv2, bn2 (He et al. 2015)."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(out_channels)
        self.shortcut = Sequential()
        if stride != 1 or in_channels != out_channels:
            project = Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = Sequential(project, BatchNorm2d(out_channels))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(branch + self.shortcut(x))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-ResidualBlock", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_residual_block():
    block, x = ResidualBlock(2, 2), Tensor(np.sin(np.arange(64.0)).reshape(2, 2, 4, 4), requires_grad=True)
    block.bn2.weight.data[...] = 0
    expect(block(x), np.maximum(x.numpy(), 0), "a branch of zeros: relu(x)")
    block.bn2.bias.data[...] = [5, -5]
    wanted = np.maximum(x.numpy() + np.array([5.0, -5.0]).reshape(2, 1, 1), 0)
    expect(block(x), wanted, "a branch of 5 and -5: relu(x ± 5)", atol=1e-6)
    for layer in (block.conv1, block.conv2):
        layer.weight.data[...] = np.cos(np.arange(36.0)).reshape(2, 2, 3, 3)
    block.bn2.weight.data[...], block.bn2.bias.data[...] = [1, 2], 0
    out = block(x)
    numbers = [[0, 0, 0, 0.545691], [0.345189, 0, 0, 0.078227]]  # PyTorch's, as the next ones
    expect(out.numpy()[1, :, 1], numbers, "cosines as weights: row 1 of the second image", atol=1e-4)
    out.sum().backward()
    numbers = [0.079805, 1.216715, 0.893562, 0.684280]
    expect(np.asarray(x.grad)[0, 0, 0], numbers, "the gradient of x, first row", atol=1e-4)
    print("🔬 ResidualBlock: passed")

test_unit_residual_block()

# %% nbgrader={"grade": true, "grade_id": "test-ResidualBlock-shortcut", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_residual_block_shortcut():
    count = lambda block: sum(parameter.numel() for parameter in block.parameters())
    counts = [count(ResidualBlock(*how)) for how in [(16, 16), (16, 32, 2), (3, 3, 2), (3, 5)]]
    wanted = [4_672, 14_528, 189, 405]
    expect(counts, wanted, "parameters of 16 → 16, 16 → 32 with stride 2, 3 → 3 with stride 2, 3 → 5")
    block, x = ResidualBlock(1, 2, 2), Tensor(np.arange(25.0).reshape(1, 1, 5, 5))
    block.bn2.weight.data[...] = 0
    block.shortcut[0].weight.data[...] = np.array([1.0, -1.0]).reshape(2, 1, 1, 1)
    pixels = (np.arange(25.0).reshape(5, 5)[::2, ::2] - 12) / np.sqrt(416 / 6)
    out = block(x).numpy()
    expect(out.shape, (1, 2, 3, 3), "1 → 2 channels, stride 2, an image of 5 × 5: the shape")
    expect(out[0], np.maximum([pixels, -pixels], 0), "the shortcut alone, weights 1 and -1", atol=1e-4)
    names = {name.split(".")[0] for name in ResidualBlock(1, 2).state_dict()}
    expect(names, {"conv1", "bn1", "conv2", "bn2", "shortcut"}, "the names in the state")
    print("🔬 ResidualBlock, shortcuts: passed")

test_unit_residual_block_shortcut()

# %% nbgrader={"grade": true, "grade_id": "test-ResidualBlock-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: a block with a projection, in training and in evaluation; strides of both convolutions.
### BEGIN HIDDEN TESTS
block, x = ResidualBlock(2, 3, 2), Tensor(np.sin(np.arange(144.0)).reshape(2, 2, 6, 6))
with_cosines(block)
training = block(x).numpy()
expect(training.shape, (2, 3, 3, 3), "2 → 3, stride 2")
expect(training.sum(), 11.79953, "training", atol=1e-3)
block.eval()
expect(block(x).numpy().sum(), 5.28178, "evaluation", atol=1e-3)
expect(block.bn1.num_batches_tracked.item(), 1, "batches seen")
expect([block.conv1.stride, block.conv2.stride], [(2, 2), (1, 1)], "the strides")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Measure: fifty layers again

Four stacks of 50 layers: plain; with BatchNorm; with BatchNorm and a skip over every two convolutions; the same with each branch's last
BatchNorm starting at weight 0, so that every block starts as relu(x). **Predict**: which of them learn in 40 steps, and whose gradient
is how long at the first layer? Normalization makes values the right size on the way forward. Does it do so on the way back? (Slow.)
"""

# %% tags=["measure"]
def analyze_skips():
    """Stacks of 50 layers, from one seed: plain, normalized, with skips, with quiet skips."""
    kinds = {
        "plain": {},
        "normalized": {"make_norm": BatchNorm2d},
        "with skips": {"make_norm": BatchNorm2d, "skips": True},
        "quiet skips": {"make_norm": BatchNorm2d, "skips": True, "quiet": True},
    }
    runs = {}
    for name, how in kinds.items():
        manual_seed(0)
        runs[name] = first_steps(Stack(50, **how))
    show_stacks(runs, "50 layers, four ways")


analyze_skips()

# %% [markdown]
r"""
Normalization alone keeps the values in shape, and yet its gradient *explodes* on the way back, as the second line says: a ReLU takes a part
of the variance away, the next BatchNorm divides by the smaller root, in every layer anew. A step that suits the last layer throws the
first ones about. With skips most of the gradient goes around the branches, and with quiet ones all of it: every convolution but the first
stands in a branch that is multiplied by 0 and gets none yet (one point is left of their curve). At the start such a stack is a shallow network, which becomes deep as far as it pays.

### One number a channel

What stands at the end of the last stage are 64 channels of 8 × 8 pixels. Flattened, a dense layer would need 4,096 weights a class, and
images of one size. The mean of each channel needs 64, and takes any size.

    a channel [[1, 2], [3, 6]]   →   3

**Write `GlobalAvgPool2d`'s `forward(x)`**: images (N, C, H, W) to features (N, C), a single image (C, H, W) to (C,).
"""

# %% nbgrader={"grade": false, "grade_id": "GlobalAvgPool2d", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A reduction of module 01 takes a pair of axes, and its gradient exists since module 05.", "Counted from the end of the shape, the two axes have the same numbers for a batch and for a single image."], "minutes": 5, "objective": "skips"}
#| export
class GlobalAvgPool2d(Module):
    """The mean of each channel: images (N, C, H, W) to (N, C), or (C, H, W) to (C,)."""

    def forward(self, x):
        ### BEGIN SOLUTION
        return x.mean(axis=(-2, -1))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-GlobalAvgPool2d", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_global_avg_pool2d():
    x = Tensor([[[[1.0, 2], [3, 6]], [[0, 0], [0, -4]]]], requires_grad=True)
    expect(GlobalAvgPool2d()(x), [[3, -1]], "channels [[1, 2], [3, 6]] and [[0, 0], [0, -4]]")
    expect(GlobalAvgPool2d()(x[0]), [3, -1], "the same as a single image (2, 2, 2)")
    GlobalAvgPool2d()(x).sum().backward()
    expect(x.grad, np.full((1, 2, 2, 2), 0.25), "the gradient: equal shares")
    expect(GlobalAvgPool2d()(Tensor(np.ones((5, 3, 2, 7)))).shape, (5, 3), "five images (3, 2, 7): the shape")
    print("🔬 GlobalAvgPool2d: passed")

test_unit_global_avg_pool2d()

# %% nbgrader={"grade": true, "grade_id": "test-GlobalAvgPool2d-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: pixels that are no square.
### BEGIN HIDDEN TESTS
values = np.random.default_rng(8).normal(0, 1, (2, 3, 4, 5))
by_hand = [[channel.mean() for channel in one] for one in values]
expect(GlobalAvgPool2d()(Tensor(values)), by_hand, "4 × 5", atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
### ResNet for small images

The paper's networks for CIFAR-10 (section 4.2), with `n` blocks a stage and `width` 16:

    conv1   3 × 3, padding 1, no bias, bn1, relu     16 channels   32 × 32
    blocks  n blocks                                 16            32 × 32
            n blocks, the first with stride 2        32            16 × 16
            n blocks, the first with stride 2        64             8 × 8
    pool, fc                                         64 → classes

6·n convolutions in the blocks, one before them, one dense layer: depth 6·n + 2. n = 3 is ResNet-20, n = 9 ResNet-56. Your shortcuts with
projections are the paper's *option B*: 272,474 parameters at n = 3. On CIFAR-10 it used option A, strided pixels and channels of zeros: 269,722.

`blocks` is one `Sequential` of all 3·n blocks. With `zero_init=True` the weight of each block's `bn2` starts at 0, so that every
block without a projection starts as relu(x) (Goyal and others, 2017).

**Write `ResNet(blocks_per_stage, num_classes, in_channels, width, zero_init)`**: the attributes `conv1`, `bn1`, `blocks`, `pool`, `fc`,
and `forward`, from images (N, in_channels, H, W) to logits (N, num_classes).
"""

# %% nbgrader={"grade": false, "grade_id": "ResNet", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Walk over the three stages with a loop, and keep in a variable how many channels came out of the block before.", "Only the first block of the second and of the third stage has stride 2; each stage has twice the channels of the one before.", "An instance of your pooling layer stands between blocks and dense layer; forward is the five attributes in order, with one ReLU."], "minutes": 30, "objective": "skips"}
#| export
class ResNet(Module):
    """The network of depth 6 · blocks_per_stage + 2 for small images, from (N, in_channels, H, W) to logits.

    zero_init: the last BatchNorm of each block starts with weight 0, the block as its shortcut
    (He et al. 2015, section 4.2, with projections).
    """

    def __init__(self, blocks_per_stage, num_classes=10, *, in_channels=3, width=16, zero_init=False):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width)
        blocks, channels = [], width
        for stage in range(3):
            for place in range(blocks_per_stage):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(ResidualBlock(channels, width * 2**stage, stride))
                channels = width * 2**stage
        self.blocks, self.pool = Sequential(*blocks), GlobalAvgPool2d()
        self.fc = Linear(channels, num_classes)
        for block in blocks if zero_init else ():
            block.bn2.weight.data[...] = 0
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        x = relu(self.bn1(self.conv1(x)))
        return self.fc(self.pool(self.blocks(x)))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-ResNet", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_resnet():
    count = lambda model: sum(parameter.numel() for parameter in model.parameters())
    network = ResNet(3)
    expect(count(network), 272_474, "ResNet-20: the parameters")
    strides = [block.conv1.stride[0] for block in network.blocks]
    expect(strides, [1, 1, 1, 2, 1, 1, 2, 1, 1], "the strides of its nine blocks")
    small = ResNet(1, 7, in_channels=1, width=4)
    expect(count(small), 5_091, "one block a stage, 7 classes, 1 → 4 channels: parameters")
    names = list(dict.fromkeys(name.split(".")[0] for name in network.state_dict()))
    expect(sorted(names), ["blocks", "bn1", "conv1", "fc"], "the names in the state")
    network.eval()
    image = Tensor(np.sin(np.arange(3072.0)).reshape(1, 3, 32, 32))
    expect(network(image).shape, (1, 10), "one CIFAR image: the shape of the logits")
    quiet = ResNet(1, 2, in_channels=1, width=2, zero_init=True)
    starts = [float(abs(block.bn2.weight.numpy()).sum()) for block in quiet.blocks]
    expect(starts, [0, 0, 0], "zero_init: the weights of bn2")
    expect(quiet.blocks[0].bn1.weight, [1, 1], "zero_init: the weight of bn1")
    quiet.fc.weight.data[...], quiet.fc.bias.data[...] = 0, [3, -3]
    got = quiet(Tensor(np.sin(np.arange(128.0)).reshape(2, 1, 8, 8)))
    expect(got, [[3, -3]] * 2, "fc with weight 0, bias [3, -3]")
    loud = ResNet(1, 2, in_channels=1, width=2)
    starts = [block.bn2.weight.numpy()[0] for block in loud.blocks]
    expect(starts, [1, 1, 1], "without zero_init: the weights of bn2")
    print("🔬 ResNet: passed")

test_unit_resnet()

# %% nbgrader={"grade": true, "grade_id": "test-ResNet-path", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_resnet_path():
    quiet, x = ResNet(1, 3, in_channels=1, width=2, zero_init=True), Tensor(np.sin(np.arange(192.0)))
    x = x.reshape(3, 1, 8, 8)
    path = relu(quiet.bn1(quiet.conv1(x)))
    for block in list(quiet.blocks)[1:]:
        path = relu(block.shortcut(path))
    case = "branches of zeros: what conv1, bn1, relu, two projections, pool and fc give"
    expect(quiet(x), quiet.fc(path.mean(axis=(2, 3))), case, atol=1e-5)
    quiet.blocks[2].bn2.bias.data[...] = 4
    louder = relu(block.shortcut(relu(quiet.blocks[1].shortcut(relu(quiet.bn1(quiet.conv1(x)))))) + 4)
    expect(quiet(x), quiet.fc(louder.mean(axis=(2, 3))), "the last branch gives 4", atol=1e-4)
    print("🔬 ResNet, its way through the blocks: passed")

test_unit_resnet_path()

# %% nbgrader={"grade": true, "grade_id": "test-ResNet-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other depths; a deeper network with quiet branches, in evaluation.
### BEGIN HIDDEN TESTS
sizes = [sum(parameter.numel() for parameter in ResNet(n).parameters()) for n in (1, 2, 5)]
expect(sizes, [78_042, 175_258, 466_906], "n = 1, 2 and 5")
quiet = ResNet(2, 3, in_channels=1, width=2, zero_init=True)
x = Tensor(np.sin(np.arange(256.0)).reshape(4, 1, 8, 8))
quiet(x)
quiet.eval()
start = relu(quiet.bn1(quiet.conv1(x)))
end = relu(quiet.blocks[4].shortcut(relu(quiet.blocks[2].shortcut(start))))
expect(quiet(x), quiet.fc(end.mean(axis=(2, 3))), "shortcuts alone", atol=1e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Put together

ResNet-8 with PyTorch 2.13's numbers: the loss of two images, a gradient far from it, and, after that step in training, what evaluation says.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model = ResNet(1, 3, in_channels=1, width=2)
    with_cosines(model)
    x = Tensor(np.sin(np.arange(128.0)).reshape(2, 1, 8, 8))
    loss = CrossEntropyLoss()(model(x), np.array([0, 2]))
    loss.backward()
    expect(loss.item(), 2.501231, "the loss in training", atol=1e-4)
    row = np.asarray(model.conv1.weight.grad)[0, 0, 0]
    expect(row, [0.093578, 0.021942, -0.073374], "the gradient of conv1, first row", atol=1e-4)
    expect(model.bn1.running_var, [1.119449, 1.121931], "running_var of bn1", atol=1e-4)
    model.eval()
    expect(model(x).numpy()[0], [-24.61877, 15.17024, 18.88391], "the first image in evaluation", atol=1e-3)
    print("🧪 module 21, ResNet-8 beside PyTorch: passed")

test_module()

# %% [markdown]
r"""
### Evaluation without normalization

In evaluation a BatchNorm is a multiplication and an addition with fixed numbers, and so is every output of a convolution in front of it. Two
in a row are one:

    (w·x + b − mean) · s + bias  =  (s·w)·x + (b − mean)·s + bias           s = weight / √(running_var + eps)
    w = 2, b = 1, mean 3, s = 0.5, bias 7      →      weight 1, bias (1 − 3) · 0.5 + 7 = 6

**Write `fold_batch_norm(conv, norm)`**: a new Conv2d with bias, and with the kernel size, stride, padding and `kernels` of `conv`, that gives
what `norm(conv(x))` gives in evaluation. The two layers that came in stay as they are, in their modes too. `conv` may have no bias (None), `norm` neither weight nor
bias. `ValueError` for a norm without running statistics, and, naming both numbers, for one with another number of channels than conv puts out.
"""

# %% nbgrader={"grade": false, "grade_id": "fold_batch_norm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The factor of each output channel belongs to all weights that lead to it: which axis of the weight is that, and what shape must the factor have?", "Start the new bias from the old one or from zero, subtract the mean, scale, and add the bias of the norm where there is one.", "Make a new layer with the settings of the old one and write into its arrays."], "minutes": 25, "objective": "fold"}
#| export
def fold_batch_norm(conv, norm):
    """One Conv2d that computes norm(conv(x)) as in evaluation, from a Conv2d and a BatchNorm behind it."""
    ### BEGIN SOLUTION
    if norm.running_mean is None:
        raise ValueError(f"{norm} keeps no running statistics: there are no constants to fold")
    if norm.num_features != conv.out_channels:
        raise ValueError(f"{norm.num_features} channels of the norm, {conv.out_channels} of the convolution")
    scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.numpy()
    bias = -norm.running_mean.numpy() if conv.bias is None else conv.bias.numpy() - norm.running_mean.numpy()
    folded = Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    folded.kernels = conv.kernels
    folded.weight.data[...] = conv.weight.numpy() * scale.reshape(-1, 1, 1, 1)
    folded.bias.data[...] = bias * scale + (0 if norm.bias is None else norm.bias.numpy())
    return folded
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-fold_batch_norm", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_fold_batch_norm():
    def layers(bias, affine, **how):
        conv, norm = Conv2d(2, 3, (3, 2), bias=bias, **how), BatchNorm2d(3, eps=0.1, affine=affine)
        norm.running_mean.data[...], norm.running_var.data[...] = [1, -2, 0.5], [4, 0.3, 9]
        for part in [*conv.parameters(), *norm.parameters()]:
            part.data[...] = np.cos(np.arange(part.numel()) + 1).reshape(part.shape)
        return conv, norm.eval()

    x = Tensor(np.sin(np.arange(140.0)).reshape(2, 2, 5, 7))
    for bias, affine in ((True, True), (False, True), (True, False), (False, False)):
        conv, norm = layers(bias, affine, stride=(2, 1), padding=(1, 0))
        wanted, before, folded = norm(conv(x)), conv.weight.numpy().copy(), fold_batch_norm(conv, norm)
        case = f"bias of the convolution: {bias}, weight and bias of the norm: {affine}"
        expect(folded(x), wanted, case, atol=1e-5)
        expect([type(folded), folded.kernel_size], [Conv2d, (3, 2)], f"{case}: what comes back")
        expect([conv.weight, norm.training], [before, False], f"{case}: old weight and mode stay")
    one, norm = Conv2d(1, 1, 1), BatchNorm2d(1, eps=0.0)
    one.weight.data[...], one.bias.data[...], one.kernels = 2, 1, "product"
    norm.running_mean.data[...], norm.running_var.data[...], norm.bias.data[...] = 3, 4, 7
    folded = fold_batch_norm(one, norm)
    found = [folded.weight.item(), folded.bias.item(), folded.kernels, norm.training]
    expect(found, [1, 6, "product", True], "worked, by a norm in training, which stays so")
    expect_error(ValueError, "", fold_batch_norm, one, BatchNorm2d(1, track_running_stats=False))
    expect_error(ValueError, ["1", "4"], fold_batch_norm, Conv2d(1, 4, 1), BatchNorm2d(1))
    print("🔬 fold_batch_norm: passed")

test_unit_fold_batch_norm()

# %% nbgrader={"grade": true, "grade_id": "test-fold_batch_norm-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: a whole block of a trained network, folded convolution by convolution.
### BEGIN HIDDEN TESTS
block = ResidualBlock(2, 4, 2)
for number in range(3):
    block(Tensor(np.sin(np.arange(144.0) * (number + 1)).reshape(2, 2, 6, 6)))
block.eval()
x = Tensor(np.cos(np.arange(144.0)).reshape(2, 2, 6, 6))
first, second = fold_batch_norm(block.conv1, block.bn1), fold_batch_norm(block.conv2, block.bn2)
aside = fold_batch_norm(*block.shortcut)
together = np.asarray(second(relu(first(x)))) + np.asarray(aside(x))
expect(np.maximum(together, 0), block(x), "three pairs folded", atol=1e-5)
expect([first.stride, first.padding], [(2, 2), (1, 1)], "the settings")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Measure: folded

**Predict** for 32 images of 16 channels, 32 × 32: how many times as long do convolution and norm take as the folded layer? And how far do the
results lie apart?
"""

# %% tags=["measure"]
def analyze_folding():
    """The time of a convolution with its BatchNorm in evaluation, and of one convolution that does both."""
    manual_seed(0)
    x = Tensor(np.random.default_rng(0).standard_normal((32, 16, 32, 32), np.float32))
    conv, norm = Conv2d(16, 16, 3, padding=1, bias=False), BatchNorm2d(16)
    norm(conv(x))
    norm.eval()
    folded = fold_batch_norm(conv, norm)
    both, one = best_seconds(lambda: norm(conv(x)), 15), best_seconds(lambda: folded(x), 15)
    apart = np.abs(norm(conv(x)).numpy() - folded(x).numpy()).max()
    print(f"📊 two layers {both * 1e3:.1f} ms, folded {one * 1e3:.1f} ms: {both / one:.1f} times as long; "
          f"largest difference {apart:.1e}")


with no_grad():
    analyze_folding()

# %% [markdown]
r"""
The norm computes next to nothing, and what it takes is the walk over memory: read the image, write it, three times over. Folding leaves it out.

### Measure: blocks knocked out

A ResNet-20 of width 8 learns the digits. Then one block after the other is knocked out in evaluation: its branch gives 0, the shortcut stays
(Veit and others, 2016, did this to deeper ones). **Predict**: how many of 360 unseen digits are read without the first block? Without any one
of the others? And without all nine?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def train_reader(model, steps=150, batch=64):
    """Training on 1,437 digits with a rate that falls to 0."""
    optimizer, draws = SGD(model.parameters(), lr=0.1, momentum=0.9), np.random.default_rng(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        picked = draws.integers(0, 1437, batch)
        optimizer.zero_grad()
        CrossEntropyLoss()(model(Tensor(images[picked])), labels[picked]).backward()
        optimizer.step()


def digit_network():
    manual_seed(0)
    return ResNet(3, in_channels=1, width=8)


def read_without(model, gone):
    """How many of 360 unseen digits are right when the branches of the blocks in `gone` give 0."""
    state = model.state_dict()
    for i in gone:
        model.blocks[i].bn2.weight.data[...] = model.blocks[i].bn2.bias.data[...] = 0
    with no_grad():
        right = model(Tensor(images[1437:])).argmax(axis=1).numpy() == labels[1437:]
    model.load_state_dict(state)
    return int(right.sum())


def analyze_knockouts():
    """Digits read with every block, without each one, and without all nine."""
    model = trained("21_digits_resnet20", digit_network, train_reader)
    whole, *each, none = [read_without(model, gone) for gone in ([], *([i] for i in range(9)), range(9))]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    hatch = ["", *("xx" if i in (3, 6) else "" for i in range(9)), "//"]
    names = ["none", *map(str, range(1, 10)), "all nine"]
    axes.bar_label(axes.bar(names, [whole, *each, none], color="0.8", edgecolor="0.3", hatch=hatch))
    axes.set(xlabel="the block that is knocked out (crossed: with projection)", ylabel="digits read, of 360")
    axes.set(title="A ResNet-20 loses blocks", ylim=(0, 400))
    plt.show()
    print(f"📊 whole: {whole} of 360; without block 1: {each[0]}; without one of the others: "
          f"{min(each[1:])} to {max(each[1:])}; without all nine: {none}")


analyze_knockouts()

# %% [markdown]
r"""
These are the bars of one network. With a second seed block 1 counted most, with a third block 4. What they share: most blocks can be spared one at
a time, and all nine cannot.

### A stretch: fewer multiplications

A 3 × 3 convolution mixes neighbours and channels at once, at 9·C·O weights. A *depthwise-separable* one takes turns (Chollet, 2016; Howard and
others, 2017): each channel gets a 3 × 3 kernel of its own, 9·C weights, then a 1 × 1 convolution mixes the channels, C·O. In PyTorch the first is
`Conv2d(C, C, 3, groups=C)`; the given `DepthwiseConv2d(channels, stride)` computes the same, with weight (C, 1, 3, 3), padding 1, no bias.

**Write `SeparableBlock(in_channels, out_channels, stride)`**: `depthwise` with the stride, `bn1`, relu, `pointwise` without bias, `bn2`, relu.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-depthwise", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class DepthwiseConv2d(Module):
    """A 3 × 3 convolution with padding 1 in which channel c sees channel c alone: groups=channels."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.channels, self.stride = channels, stride
        self.weight = Parameter(normal_(zeros(channels, 1, 3, 3), std=math.sqrt(2 / 9)))

    def forward(self, x):
        each = [(x[:, c : c + 1], self.weight[c : c + 1]) for c in range(self.channels)]
        return concatenate([conv2d(*pair, stride=self.stride, padding=1) for pair in each], axis=1)

# %% nbgrader={"grade": false, "grade_id": "SeparableBlock", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Four attributes in the order of the text; the number of channels changes in the second convolution, the image size in the first.", "It has no shortcut: forward is a chain of six steps, two of them ReLUs."], "minutes": 20, "objective": "fold", "stretch": true}
#| export
class SeparableBlock(Module):
    """depthwise 3 × 3, bn1, relu, pointwise 1 × 1, bn2, relu (Howard et al. 2017)."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.depthwise = DepthwiseConv2d(in_channels, stride)
        self.bn1 = BatchNorm2d(in_channels)
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = BatchNorm2d(out_channels)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        x = relu(self.bn1(self.depthwise(x)))
        return relu(self.bn2(self.pointwise(x)))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-SeparableBlock", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_separable_block():
    block = SeparableBlock(2, 3, 2)
    sizes = {name: parameter.numel() for name, parameter in block.named_parameters()}
    wanted = {"depthwise.weight": 18, "bn1.weight": 2, "bn1.bias": 2, "pointwise.weight": 6}
    wanted |= {"bn2.weight": 3, "bn2.bias": 3}
    expect(sizes, wanted, "2 → 3: the parameters")
    x = Tensor(np.sin(np.arange(144.0)).reshape(2, 2, 6, 6))
    with_cosines(block)
    block.bn1.bias.data[...], block.bn2.bias.data[...] = 0.5, 1
    numbers = [[0.446622, 2.507342, 0.038984], [1.337214, 1.754882, 0], [0.948217, 1.439409, 0.549492]]
    out = block(x).numpy()
    expect(out.shape, (2, 3, 3, 3), "two images 6 × 6, stride 2: the shape")
    expect(out[1, :, 1], numbers, "cosines, biases 0.5 and 1: row 1 of the second image", atol=1e-4)
    print("🔬 SeparableBlock: passed")

test_unit_separable_block()

# %% nbgrader={"grade": true, "grade_id": "test-SeparableBlock-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: another size, in evaluation.
### BEGIN HIDDEN TESTS
block, x = SeparableBlock(3, 2), Tensor(np.cos(np.arange(75.0)).reshape(1, 3, 5, 5))
block(x)
block.eval()
steps = relu(block.bn2(block.pointwise(relu(block.bn1(block.depthwise(x))))))
expect(block(x), steps, "3 → 2 in evaluation", atol=1e-6)
expect(block.bn1.num_batches_tracked.item(), 1, "batches")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict** for 32 → 32 channels on 16 × 16 pixels: how many times fewer multiply-adds than a 3 × 3 convolution, and how does the time change?
"""

# %% tags=["measure"]
def analyze_separable(channels=32, size=16):
    """Multiply-adds and time of a 3 × 3 convolution and of a separable one, forward, for eight images."""
    x = Tensor(np.random.default_rng(0).standard_normal((8, channels, size, size), np.float32))
    full, apart = Conv2d(channels, channels, 3, padding=1, bias=False), SeparableBlock(channels, channels)
    work = size**2 * channels * np.array([9 * channels, 9 + channels])
    times = best_seconds(lambda: full(x)), best_seconds(lambda: apart.pointwise(apart.depthwise(x)))
    print(f"📊 multiply-adds an image: {work[0]:,} and {work[1]:,}, {work[0] / work[1]:.1f} times fewer; "
          f"{times[0] * 1e3:.1f} ms and {times[1] * 1e3:.1f} ms, {times[1] / times[0]:.1f} times as long")


try:
    with no_grad():
        analyze_separable()
except NotImplementedError:
    print("the stretch is not written yet")

# %% [markdown]
r"""
Fewer multiplications are not less time. Each channel alone is a small convolution with little to multiply for the memory it walks over, and here
there is one call a channel. What phones gain from such blocks takes kernels made for them.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-knockouts", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

**All blocks gone.** (a) With every branch at 0, which layers are left of the ResNet-20 above, in order, and why do the ReLUs of the seven blocks
without projection change nothing? (b) How many digits did your run read whole, without block 1, and without all nine? What do these numbers say
about what one block contributes to what the others read, and about what all nine do together? (c) `zero_init` starts training
from the network of (a). Which layers get a gradient in the very first step, and which of a block's parameters do not?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-knockouts", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) conv1, bn1, relu, two projections (1 × 1, stride 2, BatchNorm), each with a relu, pool, fc: 1 point, with: what enters a
block has passed a relu, is not negative, and relu(x) = x. (b) the three printed numbers: 1 point; a block adds a correction to a stream that
the others can read without it, and together the corrections are what was learned (without them chance, about 36): 1 point. (c) bn2's
weight and bias (and all layers of (a)) get one; conv1, bn1 and conv2 of each block do not, since what comes back to them is multiplied by
bn2's weight, 0: 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

`tito module complete 21_residual` exports all this; `nn.BatchNorm2d` and `nn.GroupNorm` are then yours. What made these networks famous is their
depth on photographs: `tito milestone run 07` trains your ResNet-20 on CIFAR-10, and then 44 layers, with skips and without. Normalization
and sums around every block are also what Transformers are made of (module 13).
"""
