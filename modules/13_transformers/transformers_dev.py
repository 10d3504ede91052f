# %% [markdown]
r"""
# 13 Transformers

Attention moves information between positions; that is all it does. To predict text, each position also has to compute with
what it got, the two have to be stacked, and the stack has to train. How to arrange that was published in 2017 for translation; slightly
rearranged, it is behind every large language model.

You have attention (12), tables (11), a tokenizer (10), AdamW (06) and the training step (07). Missing are the normalization, the
block, the model around it, and the loop that makes it write. At the end a GPT of 809,856 parameters, all of it yours down to the
addition, learns from Shakespeare in a minute or two and writes lines of its own.

Answer before you unfold:

1. A tensor is used twice in a computation. What stands in its `grad` after `backward`?
<details><summary>Answer</summary>The sum of both uses' gradients (module 05). One table here is used twice.</details>

2. A model gives all of V classes the same logit. What is its cross-entropy?
<details><summary>Answer</summary>ln V: every class has the probability 1/V (module 04).</details>

3. In a boolean mask, what does `True` mean to `scaled_dot_product_attention`, and what to `MultiheadAttention`?
<details><summary>Answer</summary>Attends in the first, is left out in the second (module 12).</details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.transformers

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.activations import gelu
from tinytorch.core.attention import MultiheadAttention, Projection
from tinytorch.core.autograd import no_grad, unbroadcast
from tinytorch.core.embeddings import Embedding, PositionalEmbedding, token_windows
from tinytorch.core.layers import Dropout, Linear, Module, Parameter, Sequential, linear, normal_  # noqa
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import AdamW, LambdaLR, cosine_rate
from tinytorch.core.tensor import Op, ones, random_generator, zeros
from tinytorch.core.training import training_step

# %%
from tinytorch.core.attention import causality_gap, focus, position_gap
from tinytorch.core.autograd import gradcheck
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import Tensor, manual_seed

# %% [markdown]
r"""
## Part 1 of 3 · about 4 hours: normalization

A deep network multiplies and adds dozens of times, and numbers that are a little too large at the bottom are far too large at the top.
*Layer normalization* (Ba, Kiros and Hinton, 2016) brings each position back to mean 0 and variance 1 over its own features; two learned
vectors then choose scale and offset:

    x              [1, 1, 5, 5]         mean 3, variance 4 (the mean of the squared deviations)
    normalized     [−1, −1, 1, 1]       (x − 3) / √(4 + ε)
    weight         [1, 2, 1, 2]
    bias           [0, 0, 10, 10]
    out            [−1, −2, 11, 12]

ε keeps a row of equal numbers from dividing by 0; that row becomes the bias.

**Write the operation `layer_norm(x, weight, bias=None, *, eps)`** on arrays. It normalizes over the last axes of `x`, as many as
`weight` has: a weight of shape (2, 3) means the last two, as one set of six numbers. Where the shape of `weight` is not the end of that of
`x`, raise a ValueError that names both. Subtract the mean before you square: the mean of x² minus the square of the mean is the same
in algebra, and loses all its digits for float32 numbers near 10,000. The result has the dtype of `x`, which stays as it is. A batch may be
empty, `bias` may be None.
"""

# %% nbgrader={"grade": false, "grade_id": "layer_norm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which axes of x belong to the weight, counted from the end? A tuple of negative numbers works for any number of leading axes.", "Keep the axes of mean and variance, so that both broadcast against x.", "Compute the deviations once and use them twice: for the variance and for the result."], "minutes": 20, "objective": "normalization"}
#| export
@Op
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    """Bring `x` to mean 0 and variance 1 over its last axes, those of `weight`; times weight, plus bias.

    x: (…, *weight.shape), floating. bias: of weight's shape, or None. Raises ValueError naming both shapes
    where they do not fit (Ba, Kiros and Hinton, 2016).
    """
    ### BEGIN SOLUTION
    if x.shape[x.ndim - weight.ndim :] != weight.shape:
        raise ValueError(f"layer_norm: a weight of shape {weight.shape} is not the end of shape {x.shape}")
    axes = tuple(range(-weight.ndim, 0))
    out = x - x.mean(axis=axes, keepdims=True)
    out *= 1 / np.sqrt(np.square(out).mean(axis=axes, keepdims=True) + eps)
    out *= weight
    if bias is not None:
        out += bias
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_layer_norm():
    x, weight = np.array([1.0, 1.0, 5.0, 5.0]), np.array([1.0, 2.0, 1.0, 2.0])
    got = layer_norm.forward(x, weight, np.array([0.0, 0.0, 10.0, 10.0]), eps=0.0)
    expect(got, [-1, -2, 11, 12], "[1, 1, 5, 5] with weight [1, 2, 1, 2] and bias [0, 0, 10, 10]", atol=1e-12)
    got = layer_norm.forward(x, np.ones(4), eps=5.0)
    expect(3 * got, [-2, -2, 2, 2], "three times the result with eps 5: ±2 / √(4 + 5)", atol=1e-12)
    expect(x, [1, 1, 5, 5], "x stays as it is")

    rows = np.array([[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]]], np.float32)
    with no_warnings("a row of equal numbers"):
        each = layer_norm.forward(rows, np.ones(3, np.float32), np.full(3, 9, np.float32))
    expect(each[0], [[7.775263, 9, 10.224737]] * 2, "[0, 1, 2] and [3, 4, 5] on their own, bias 9", atol=1e-4)
    expect(each[1], np.full((2, 3), 9), "equal numbers become the bias", dtype=np.float32)
    both = layer_norm.forward(rows, np.ones((2, 3), np.float32))
    expect(both[0, 0], [-1.46385, -0.87831, -0.29277], "[0, 1, 2] together with [3, 4, 5]", atol=1e-4)
    expect(layer_norm.forward(rows[:0], np.ones(3, np.float32)).shape, (0, 2, 3), "an empty batch")
    print("🔬 layer_norm: passed")

test_unit_layer_norm()

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_layer_norm_edges():
    far = np.array([[10001, 10001, 10005, 10005]], np.float32)
    got = layer_norm.forward(far, np.ones(4, np.float32))
    expect(got, [[-1, -1, 1, 1]], "[1, 1, 5, 5], 10,000 higher", atol=1e-4, dtype=np.float32)
    for shape in [(3,), (4, 2), (1,)]:
        expect_error(ValueError, [shape, (2, 4)], layer_norm.forward, np.ones((2, 4)), np.ones(shape))
    expect_error(ValueError, [(2, 4), (4,)], layer_norm.forward, np.ones(4), np.ones((2, 4)))
    print("🔬 layer_norm, edges: passed")

test_unit_layer_norm_edges()

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn numbers, by two properties: what comes out has mean 0 and variance 1, wherever x lay.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(13).normal(5, 3, (4, 2, 6))
shapes = [((6,), (2,)), ((2, 6), (1, 2)), ((4, 2, 6), (0, 1, 2))]
for shape, axes in shapes:
    normal = layer_norm.forward(drawn, np.ones(shape), eps=0.0)
    zeros_ = np.zeros(drawn.shape[: 3 - len(shape)])
    expect(normal.mean(axis=axes), zeros_, f"mean, weight {shape}", atol=1e-12)
    expect((normal**2).mean(axis=axes), zeros_ + 1, f"variance, weight {shape}", atol=1e-12)
    moved = layer_norm.forward(drawn * 9 + 4, np.ones(shape), eps=0.0)
    expect(moved, normal, f"9x + 4, weight {shape}", atol=1e-11)
### END HIDDEN TESTS

# %% [markdown]
r"""
## The gradient of a normalization

Call h the normalized row, σ = √(variance + ε) and g = grad · weight, what arrives at h. Were mean and σ constants, the gradient
for x would be g / σ. But every entry of x moves both, and with them all of h. What is missing can be seen without calculus:

- add one number to all of x, and h stays: along [1, 1, …, 1] the gradient has to be 0;
- stretch x around its mean, and h stays (up to ε): along h, it has to be 0 as well.

So take out of g its share along both directions. They are at right angles, and both have the squared length n, so the shares are two means:

$$\text{grad}_x = \frac{g - \operatorname{mean}(g) - h \cdot \operatorname{mean}(g \cdot h)}{\sigma}$$

The chain rule gives the same, with every ε in its place. For x = [1, 1, 5, 5], weight 1, ε = 0:

    h  [−1, −1, 1, 1]    σ  2    g  [4, 0, 0, 0]    mean(g)  1    mean(g·h)  −1
    grad_x = ([4, 0, 0, 0] − 1 + [−1, −1, 1, 1]) / 2 = [1, −1, 0, 0]

`weight` and `bias` were broadcast over all rows, so their gradients are sums, of grad · h and of grad: `unbroadcast` (module 05).

**Write `layer_norm_gradient(grad, out, x, weight, *bias, eps)`**, which returns a tuple with one gradient for each input. `bias` is () where
the call had none, and then there are two; where it is (None,), what stands in the third place does not matter. Compute h and σ again from `x`:
`out` over `weight` fails where a weight is 0. No argument is changed, and float32 stays float32.
"""

# %% nbgrader={"grade": false, "grade_id": "layer_norm_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Recompute the deviations, sigma and h exactly as on the way forward, over the axes of the weight.", "Both means run over the axes of the weight and keep them; the second one is of a product, entry by entry.", "The gradient of the bias is the incoming gradient itself, summed to the shape of the weight; that of the weight needs h as a factor first."], "minutes": 45, "objective": "normalization"}
#| export
@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    """For x, weight and bias: what reaches x has no share along a shift of x nor along a stretch of it."""
    ### BEGIN SOLUTION
    axes = tuple(range(-weight.ndim, 0))
    h = x - x.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(np.square(h).mean(axis=axes, keepdims=True) + eps)
    h *= scale
    product = grad * h
    for_weight, for_bias = unbroadcast(product, weight.shape), unbroadcast(grad, weight.shape)
    product *= weight
    for_x = grad * weight
    for_x -= for_x.mean(axis=axes, keepdims=True)
    h *= product.mean(axis=axes, keepdims=True)
    for_x -= h
    for_x *= scale
    return for_x, for_weight, *[for_bias] * len(bias)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm_gradient", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_layer_norm_gradient():
    x, ones_ = np.array([[1.0, 1.0, 5.0, 5.0]]), np.ones(4)
    out, grad = np.array([[-1.0, -1.0, 1.0, 1.0]]), np.array([[4.0, 0.0, 0.0, 0.0]])
    for_x, for_weight, for_bias = layer_norm_gradient(grad, out, x, ones_, np.zeros(4), eps=0.0)
    expect(for_x, [[1, -1, 0, 0]], "for x = [1, 1, 5, 5], g = [4, 0, 0, 0], weight 1", atol=1e-12)
    expect(for_weight, [-4, 0, 0, 0], "for the weight: grad · h", atol=1e-12)
    expect(for_bias, [4, 0, 0, 0], "for the bias: grad")
    halved, *_ = layer_norm_gradient(grad, out, x, ones_, np.zeros(4), eps=12.0)
    expect(halved, [[0.6875, -0.3125, -0.1875, -0.1875]], "eps 12: σ = 4 and h = ±1/2", atol=1e-12)

    two = np.array([[1.0, 1.0, 5.0, 5.0], [0.0, 2.0, 0.0, 2.0]])
    weight = np.array([1.0, 0.0, 2.0, 1.0])
    for_x, for_weight, for_bias = layer_norm_gradient(np.ones((2, 4)), two, two, weight, np.zeros(4), eps=0.0)
    expect(np.asarray(for_x) * 4, [[1, -1, 1, -1], [-2, -2, 2, 2]], "four times that of two rows", atol=1e-12)
    expect(for_weight, [-2, 0, 0, 2], "for the weight: summed over the rows", atol=1e-12)
    expect(for_bias, [2, 2, 2, 2], "for the bias: summed over the rows")
    expect(len(layer_norm_gradient(grad, out, x, ones_, eps=0.0)), 2, "gradients of a call without a bias")
    print("🔬 layer_norm_gradient: passed")

test_unit_layer_norm_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm_gradient-engine", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_layer_norm_gradient_engine():
    draws = np.random.default_rng(1)
    for shape, trailing in [((3, 5), (5,)), ((2, 3, 4), (3, 4)), ((6,), (6,)), ((2, 1), (1,))]:
        inputs = [Tensor(draws.normal(size=s), True, np.float64) for s in (shape, trailing, trailing)]
        expect(gradcheck(layer_norm, inputs), True, f"x {shape}, weight {trailing}, nudged in float64")
    grad, x = np.ones((2, 3), np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)
    grads = layer_norm_gradient(grad, x, x, np.ones(3, np.float32), np.zeros(3, np.float32))
    expect([str(part.dtype) for part in grads], ["float32"] * 3, "the dtypes")
    expect(grads[0], np.zeros((2, 3)), "g = 1 everywhere lies along the shift: nothing is left", atol=1e-5)
    expect([grad.sum(), x.sum()], [6, 15], "the arguments stay as they are")
    print("🔬 layer_norm_gradient, with the engine: passed")

test_unit_layer_norm_gradient_engine()

# %% nbgrader={"grade": true, "grade_id": "test-layer_norm_gradient-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn rows; the gradient of x has no share along a shift, nor, without eps, along a stretch.
### BEGIN HIDDEN TESTS
draws = np.random.default_rng(13)
x, grad, weight = draws.normal(2, 3, (5, 2, 4)), draws.normal(size=(5, 2, 4)), draws.normal(size=(2, 4))
slopes, scales, offsets = map(np.asarray, layer_norm_gradient(grad, x, x, weight, weight, eps=0.0))
expect(slopes.sum(axis=(1, 2)), np.zeros(5), "along the shift", atol=1e-12)
stretch = x - x.mean(axis=(1, 2), keepdims=True)
expect((slopes * stretch).sum(axis=(1, 2)), np.zeros(5), "along the stretch", atol=1e-11)
expect((scales.shape, offsets.shape), ((2, 4), (2, 4)), "shapes for weight and bias")
expect(offsets, grad.sum(axis=0), "for the bias", atol=1e-12)
expect(len(layer_norm_gradient(grad, x, x, weight, None)), 3, "gradients where the bias is None")
### END HIDDEN TESTS

# %% [markdown]
r"""
What if the deviation were treated as a constant? Predict: by how much would the gradient of x differ, for the worked row?
"""

# %%
x, grad = np.array([1.0, 1.0, 5.0, 5.0]), np.array([4.0, 0.0, 0.0, 0.0])
print("right:                         ", layer_norm_gradient(grad, x, x, np.ones(4), eps=0.0)[0])
print("mean moves, deviation constant:", (grad - grad.mean()) / 2)
print("both constant:                 ", grad / 2)

# %% [markdown]
r"""
A network with such a gradient still trains, only worse, and nothing says so. The layer is provided, with PyTorch's arguments. The
feed-forward network uses module 12's `Projection`, a `Linear` that takes all rows of all sequences in one product.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-LayerNorm", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class LayerNorm(Module):
    """`layer_norm` over axes of `normalized_shape`, an integer or several, with learned weight and bias."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        super().__init__()
        several = isinstance(normalized_shape, (tuple, list))
        self.normalized_shape = tuple(normalized_shape) if several else (normalized_shape,)
        self.eps = eps
        self.weight = Parameter(ones(*self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(*self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x):
        weight = np.ones(self.normalized_shape, x.dtype) if self.weight is None else self.weight
        return layer_norm(x, weight, self.bias, eps=self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"

# %% nbgrader={"grade": false, "grade_id": "provided-waves", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
def waves(model, size=0.8):
    """Fill every parameter with a wave of its own, in the order of their names, those of norms around 1."""
    filled = {}
    for k, (name, array) in enumerate(sorted(model.state_dict().items())):
        middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        filled[name] = (middle + size * np.sin(np.arange(array.size) * 1.3 + k)).reshape(array.shape)
    model.load_state_dict(filled)
    return model

# %% [markdown]
r"""
## The block

The network keeps a *residual stream* (B, T, n_embd), a vector for each position, from the tables at the bottom to the logits at the top. A
block does not replace it. It reads it twice, and adds what it found twice:

    x ──┬── norm1 ── attention ── dropout ──(+)──┬── norm2 ── up ── GELU ── down ── dropout ──(+)── x
        └────────────────────────────────────┘   └───────────────────────────────────────────┘

Attention gathers from earlier positions; the *feed-forward network*, from n_embd to 4·n_embd numbers and back, works on each
position for itself. The additions give the gradient a way from the loss to every block that passes through no product (He and others, 2016). In
2017 the norm stood on that way, behind each addition; in GPT-2 it stands inside the branch (*pre-norm*; Xiong and others, 2020).

**Write `TransformerBlock`** with these attributes:

| attribute | what |
|---|---|
| `norm1`, `norm2` | `LayerNorm(n_embd, bias=bias)` |
| `attention` | `MultiheadAttention` of `n_embd` and `n_head`, with `dropout`, `bias` and `batch_first=True` |
| `up`, `down` | `Projection`, n_embd → 4·n_embd → n_embd, with `bias` |
| `dropout` | one `Dropout(dropout)`, used for both branches |

`forward(x)` is the diagram. Attention is causal and returns no weights; GELU has the form that the block was given: `gelu(x, approximate=…)`.
`MultiheadAttention` refuses an `n_embd` that n_head does not divide.
"""

# %% nbgrader={"grade": false, "grade_id": "TransformerBlock", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Every one of the two branches starts at the stream, and what it gives is added to the stream that it started from.", "Attention takes query, key and value; here all three are the normalized stream. It gives back a pair, whose second part are the weights.", "The second branch starts from the result of the first addition, not from the input of the block."], "minutes": 35, "objective": "block"}
#| export
class TransformerBlock(Module):
    """x (B, T, n_embd) plus causal attention, plus a feed-forward network, each behind a LayerNorm.

    approximate: the form of GELU. Raises ValueError where n_head does not divide n_embd.
    """

    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, approximate="tanh"):
        super().__init__()
        self.approximate = approximate
        ### BEGIN SOLUTION
        self.norm1 = LayerNorm(n_embd, bias=bias)
        self.attention = MultiheadAttention(n_embd, n_head, dropout=dropout, bias=bias, batch_first=True)
        self.norm2 = LayerNorm(n_embd, bias=bias)
        self.up = Projection(n_embd, 4 * n_embd, bias=bias)
        self.down = Projection(4 * n_embd, n_embd, bias=bias)
        self.dropout = Dropout(dropout)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        h = self.norm1(x)
        gathered, _ = self.attention(h, h, h, need_weights=False, is_causal=True)
        x = x + self.dropout(gathered)
        hidden = gelu(self.up(self.norm2(x)), approximate=self.approximate)
        return x + self.dropout(self.down(hidden))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-TransformerBlock", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_TransformerBlock():
    block = waves(TransformerBlock(4, 2))
    x = Tensor(np.cos(np.arange(24.0)).reshape(2, 3, 4))
    rows = [[1.23132, -8.02704, 1.13719, -3.6494], [0.10802, -8.48137, 2.13931, -1.41546]]
    expect(block(x)[0, :2], rows, "against PyTorch, all parameters filled with waves", atol=2e-5)
    last = [-1.38435, -8.22568, 4.13092, 1.21754]
    expect(block(x)[0, 2], last, "the last position", atol=2e-5)
    exact = waves(TransformerBlock(4, 2, approximate="none"))
    last = [-1.38422, -8.22602, 4.13104, 1.21779]
    expect(exact(x)[0, 2], last, "the last position with the exact GELU", atol=2e-5)
    sparse = waves(TransformerBlock(4, 2, bias=False))
    expect(sparse(x)[1, 1], [-6.63658, -2.17332, 6.9272, 1.99914], "without biases", atol=2e-5)

    later = x.numpy().copy()
    later[:, 2, 0] += 1
    expect(block(Tensor(later))[:, :2], block(x)[:, :2], "what a later position changes before it", atol=1e-6)
    print("🔬 TransformerBlock: passed")

test_unit_TransformerBlock()

# %% nbgrader={"grade": true, "grade_id": "test-TransformerBlock-parts", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_TransformerBlock_parts():
    names = [name for name, _ in TransformerBlock(8, 2).named_parameters()]
    found = {name.rpartition(".")[0] for name in names}
    expect(sorted(found), ["attention", "attention.out_proj", "down", "norm1", "norm2", "up"], "owners")
    for bias, many in [(True, 12 * 64 + 13 * 8), (False, 12 * 64 + 2 * 8)]:
        sizes = [p.numel() for p in TransformerBlock(8, 2, bias=bias).parameters()]
        expect(sum(sizes), many, f"parameters for n_embd 8, bias={bias}")

    x = Tensor(np.cos(np.arange(24.0)).reshape(2, 3, 4))
    closed = waves(TransformerBlock(4, 2))
    for end in (closed.attention.out_proj, closed.down):
        end.weight.data[...] = 0
        end.bias.data[...] = 0
    expect(closed(x), x.numpy(), "both branches give 0: the stream passes unchanged")
    dropped = waves(TransformerBlock(4, 2, dropout=1.0))
    expect(dropped(x), x.numpy(), "dropout 1 in training: both branches are dropped")
    whole = waves(TransformerBlock(4, 2))(x)
    expect(dropped.eval()(x), whole, "dropout 1 in evaluation: nothing is dropped", atol=1e-5)
    expect(dropped.attention.dropout, 1.0, "the dropout of the attention's weights")
    expect_error(ValueError, [6, 4], TransformerBlock, 6, 4)
    print("🔬 TransformerBlock, parts: passed")

test_unit_TransformerBlock_parts()

# %% nbgrader={"grade": true, "grade_id": "test-TransformerBlock-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: another size against PyTorch; gradients reach every parameter; float64 stays float64.
### BEGIN HIDDEN TESTS
wide = waves(TransformerBlock(6, 3), 0.3)
stream = Tensor(np.sin(np.arange(30.0)).reshape(1, 5, 6), requires_grad=True)
given = wide(stream)
last = [0.172332, 0.388893, -0.301093, 0.371928, 1.53822, 0.413461]
expect(given[0, 4], last, "the last of five positions, n_embd 6, three heads", atol=1e-5)
given.sum().backward()
missing = [name for name, parameter in wide.named_parameters() if parameter.grad is None]
expect(missing, [], "parameters without a gradient")
slopes = [1.270583, 2.120655, 0.72319, 0.534353, 0.469625, 0.881594]
expect(np.asarray(stream.grad)[0, 0], slopes, "the gradient of the stream at the first position", atol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
r"""
How far does a change travel? Nudge one number of the stream at position 3 of 8 and see where a block moves anything. Predict which
positions, before you run:
"""

# %%
manual_seed(0)
block, stream = TransformerBlock(8, 2), np.random.default_rng(0).normal(size=(1, 8, 8))
nudged = stream.copy()
nudged[0, 3, 0] += 0.5
moved = np.abs(block(Tensor(nudged)).numpy() - block(Tensor(stream)).numpy()).max(axis=2)[0]
for position, distance in enumerate(moved):
    print(f"position {position}: {distance:.4f}")

# %% [markdown]
r"""
Position 3 itself moves most, by attention, by the feed-forward network and by the stream; the later ones by attention alone; the earlier
ones not at all. Here you can stop: the block works, and its numbers are PyTorch's.

## Part 2 of 3 · about 3 hours: what a deep stream starts from

A stream through n blocks is a sum of 2n updates and what came in. If the updates are independent and each has variance s², their sum
has 2n·s²: the deeper the network, the larger the stream at the top. GPT-2 cancels that at the start. All tables and matrices are
drawn with the standard deviation 0.02, except the last matrix of each branch, from which an update enters the stream:

    0.02 / √(2 · n_layer)           n_layer 4:  0.02 / √8 = 0.00707

Then 2n updates together have the variance that one would have had with 0.02, for every depth.

**Write `initialize(model, n_layer, generator=None)`**, which works on any Module whose parameters have one axis or two, and returns it. It goes
through `named_parameters()` in their order. A parameter with two axes gets `normal_` (module 03) with mean 0, one call each, with the `generator`: the small deviation where
its name ends in `out_proj.weight` or `down.weight`, else 0.02. A parameter with one axis becomes 0 where its name ends in `bias`
(this includes `in_proj_bias`), and 1 elsewhere: the weights of norms. All are changed in their arrays.
"""

# %% nbgrader={"grade": false, "grade_id": "initialize", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Two questions decide about a parameter: how many axes has it, and how does its name end? A string can be asked for several endings at once.", "Fill the arrays in place: the model, and an optimizer that may exist already, keep the same parameters."], "minutes": 20, "objective": "start"}
#| export
def initialize(model, n_layer, generator=None):
    """GPT-2's start, in place: matrices normal with 0.02, those that end a branch with 0.02 / √(2 n_layer).

    Biases become 0, weights of norms 1. Returns the model (Radford and others, 2019).
    """
    ### BEGIN SOLUTION
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            ends_a_branch = name.endswith(("out_proj.weight", "down.weight"))
            normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layer) if ends_a_branch else 0.02, generator)
        else:
            parameter.data[...] = 0 if name.endswith("bias") else 1
    return model
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-initialize", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_initialize():
    block = TransformerBlock(64, 4)
    arrays = {name: parameter.data for name, parameter in block.named_parameters()}
    given = initialize(block, 8, np.random.default_rng(0))
    assert given is block, "the model comes back"
    for name, deviation in [("attention.in_proj_weight", 0.02), ("up.weight", 0.02)]:
        expect(np.asarray(arrays[name]).std(), deviation, f"the standard deviation of {name}", rtol=0.03)
    for name in ("attention.out_proj.weight", "down.weight"):
        expect(np.asarray(arrays[name]).std(), 0.005, f"{name} with 8 layers: 0.02 / √16", rtol=0.03)
    for name in ("attention.in_proj_bias", "attention.out_proj.bias", "up.bias", "norm1.bias"):
        expect(arrays[name], np.zeros(arrays[name].shape), f"{name}, all zeros")
    expect(arrays["norm2.weight"], np.ones(64), "the weight of a norm")

    draws, pair = np.random.default_rng(5), Sequential(Linear(2, 3), LayerNorm(3), Embedding(2, 2))
    initialize(pair, 1, np.random.default_rng(5))
    first = 0.02 * draws.standard_normal((3, 2), np.float32)
    expect(pair[0].weight, first, "the first matrix has the first draw, one call of normal_", atol=1e-8)
    second = 0.02 * draws.standard_normal((2, 2), np.float32)
    expect(pair[2].weight, second, "the table has the next", atol=1e-8)
    print("🔬 initialize: passed")

test_unit_initialize()

# %% nbgrader={"grade": true, "grade_id": "test-initialize-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: another depth, and the global generator.
### BEGIN HIDDEN TESTS
deep = Sequential(Linear(60, 70), TransformerBlock(48, 4, bias=False))
manual_seed(3)
initialize(deep, 50)
once = {name: array.copy() for name, array in deep.state_dict().items()}
expect(once["1.down.weight"].std(), 0.002, "down.weight with 50 layers", rtol=0.05)
expect(once["1.attention.out_proj.weight"].std(), 0.002, "out_proj.weight with 50 layers", rtol=0.05)
expect(once["0.weight"].std(), 0.02, "another matrix", rtol=0.05)
manual_seed(3)
expect(initialize(deep, 50)[0].weight, once["0.weight"], "the same global seed, the same numbers")
### END HIDDEN TESTS

# %% [markdown]
r"""
## GPT

Around the blocks stand two tables and a norm:

    ids (B, T) → tokens + positions → dropout → block 1 → … → block n → norm → logits (B, T, V)

The logits come from the table of tokens, a second time: the logit of token v is the inner product of the normed stream with row
v, so `logits = h Wᵀ` with W = `tokens.weight` (Press and Wolf, 2017). The row of a token is what puts it into the stream, and
what the stream has to look like for it to come next. The tables are *tied*: one parameter, used twice. Let W' be the copy at the output;
then the loss is L(W, W'), and with W' = W the chain rule adds both slopes:

$$\frac{dL}{dW} = \frac{\partial L}{\partial W} + \frac{\partial L}{\partial W'}$$

The first has entries in the rows of ids that occur, the second in all rows. Your engine adds them without being told.

**Write `GPT`**: `__init__` makes `tokens` (an `Embedding`), `positions` (a `PositionalEmbedding` of `block_size` rows), `dropout`, `blocks` (a `Sequential` of n_layer blocks, with all their settings)
and `norm` (with or without bias, as the blocks), and ends with `initialize(self, n_layer)`. `forward(ids)` takes
integers as an array, a list or a Tensor. More than `block_size` of them in a row are a ValueError that names both numbers; ids that the table lacks are refused by
`Embedding`.
"""

# %% nbgrader={"grade": false, "grade_id": "GPT", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Sequential takes the blocks as arguments: a star unpacks a list of them.", "Check the length of the last axis of the ids first, before anything is looked up.", "The operation linear takes a weight of shape (out, in), and the table of tokens is one: V rows of n_embd numbers, and no bias."], "minutes": 45, "objective": "model"}
#| export
class GPT(Module):
    """Logits (B, T, V) for the token after each of ids (B, T): a decoder-only transformer with tied tables.

    `forward` raises ValueError for more than block_size ids in a row (Radford and others, 2019).
    """

    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0, bias=True, approximate="tanh"
    ):
        super().__init__()
        self.vocab_size, self.block_size = vocab_size, block_size
        ### BEGIN SOLUTION
        self.tokens = Embedding(vocab_size, n_embd)
        self.positions = PositionalEmbedding(block_size, n_embd)
        self.dropout = Dropout(dropout)
        settings = n_embd, n_head, dropout, bias, approximate
        self.blocks = Sequential(*[TransformerBlock(*settings) for _ in range(n_layer)])
        self.norm = LayerNorm(n_embd, bias=bias)
        initialize(self, n_layer)
        ### END SOLUTION

    def forward(self, ids):
        ### BEGIN SOLUTION
        ids = np.asarray(ids)
        if ids.shape[-1] > self.block_size:
            raise ValueError(f"GPT: {ids.shape[-1]} ids in a row, and the block has {self.block_size} places")
        x = self.dropout(self.positions(self.tokens(ids)))
        return linear(self.norm(self.blocks(x)), self.tokens.weight)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-GPT", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_GPT():
    model, ids = waves(GPT(5, 4, 2, 2, 4)), np.array([[3, 1, 4, 1], [0, 2, 2, 3]])
    rows = [[-1.4365, -2.6833, -1.0779, 1.6733, 2.6458], [-2.2727, -2.8093, -0.3597, 2.4722, 2.6762]]
    expect(model(ids)[:, 3], rows, "after four ids, against PyTorch, filled with waves", atol=2e-4)
    expect(model(Tensor(ids))[:, 3], rows, "ids in a Tensor", atol=2e-4)
    short = [[-2.6693, -1.7034, 1.0732, 2.709, 1.4652], [-2.0207, -1.9178, 0.2237, 2.1274, 1.7698]]
    expect(model(ids[:, :2])[0], short, "two ids", atol=2e-4)
    exact = waves(GPT(5, 4, 1, 2, 4, bias=False, approximate="none"))
    last = [-2.64059, -1.401795, 1.327061, 2.645296, 1.151669]
    expect(exact([[4, 0, 1]])[0, 2], last, "one layer, exact GELU, no biases, ids in a list", atol=1e-5)

    expect(model(np.zeros((5, 2), int)).shape, (5, 2, 5), "the shape for five rows of two ids")
    expect_error(ValueError, [5, 4], model, np.zeros((1, 5), int))
    expect_error(IndexError, 5, model, np.array([[0, 5]]))
    expect_error(ValueError, [6, 4], GPT, 5, 4, 1, 4, 6)
    print("🔬 GPT: passed")

test_unit_GPT()

# %% nbgrader={"grade": true, "grade_id": "test-GPT-parts", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_GPT_parts():
    many = [sum(p.numel() for p in GPT(65, 64, 4, 4, 128, bias=b).parameters()) for b in (True, False)]
    expect(many, [809_856, 804_096], "parameters of the GPT that is trained below, with and without biases")
    model = GPT(50, 6, 2, 4, 16)
    own = sorted({name.partition(".")[0] for name, _ in model.named_parameters()})
    expect(own, ["blocks", "norm", "positions", "tokens"], "the parts with parameters: the tables are tied")
    expect(model.tokens.weight.numpy().std(), 0.02, "the deviation of the tokens' table", rtol=0.1)
    expect(model.blocks[1].down.weight.numpy().std(), 0.01, "that of down.weight, two layers", rtol=0.1)
    dropped = GPT(50, 6, 1, 2, 16, dropout=1.0)
    expect(dropped([[1, 2]]), np.zeros((1, 2, 50)), "dropout 1: nothing gets into the stream")

    tied = waves(GPT(5, 4, 2, 2, 4))
    tied(np.array([[3, 1, 1]])).sum().backward()
    grad = tied.tokens.weight.grad
    expect(grad[2], [-0.7201, -5.6227, 8.3356, -0.2507], "row 2, used at the output only", atol=1e-3)
    expect(grad[1], [-2.0224, -5.335, 9.5854, -0.4859], "row 1, used by two ids as well", atol=1e-3)
    print("🔬 GPT, parts: passed")

test_unit_GPT_parts()

# %% nbgrader={"grade": true, "grade_id": "test-GPT-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: another size against PyTorch; which logits a token moves.
### BEGIN HIDDEN TESTS
larger = waves(GPT(7, 6, 3, 3, 6), 0.4).eval()
row = np.array([[6, 0, 5, 2, 1, 3]])
base = larger(row).numpy()
last = [0.92067, 0.00452, -0.92018, -0.10382, 0.90898, 0.20191, -0.88719]
expect(base[0, 5], last, "three layers of three heads, six ids", atol=1e-3)
for place in range(6):
    other = row.copy()
    other[0, place] = 4
    moved = np.abs(larger(other).numpy() - base).max(axis=2)[0]
    expect((moved[:place] < 1e-5).all(), True, f"an id at place {place} and what stands before it")
    expect((moved[place:] > 1e-5).all(), True, f"an id at place {place}, itself and what comes after it")
### END HIDDEN TESTS

# %% [markdown]
r"""
## The first loss

Before anything is trained, one number is known. The weights are small, so the logits are near 0 and all V tokens almost equally likely:
the loss has to be about ln V. For 65 characters that is 4.17. A first loss of 8 says that the start is too wild, one far *below* ln V that something
leaks: a model that knows nothing cannot do better than guessing.

The most common leak is targets that are not shifted. Asked for the token that it has just read, a model with tied tables is good at once: the
stream holds that token's row, and the inner product of a row with itself is the largest. Its first loss is lower by about 1.

Module 04's `cross_entropy` takes rows of logits (N, V) with targets (N,). A language model has one prediction for every position of every
sequence:

    logits (B, T, V)  →  (B·T, V)          targets (B, T)  →  (B·T,)

**Write `next_token_loss(logits, targets)`**, the mean over all B·T predictions, a Tensor of shape (). Targets are integers, in an array or a Tensor, already
shifted: `token_windows` did that. Leading axes other than (B, T), also none, work the same way. Where `targets` has not the shape of `logits` without
its last axis, raise a ValueError that names both shapes.
"""

# %% nbgrader={"grade": false, "grade_id": "next_token_loss", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which shapes must agree before you flatten? After it, a mistake can hide: (2, 3) and (3, 2) both become 6 rows.", "A reshape with minus one for the first of two axes makes one row for every prediction."], "minutes": 15, "objective": "start"}
#| export
def next_token_loss(logits, targets):
    """The mean cross-entropy of logits (…, V) for integer targets (…,): a Tensor of shape (), in nats.

    Raises ValueError naming both shapes where they do not fit.
    """
    ### BEGIN SOLUTION
    targets = np.asarray(targets)
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits of shape {logits.shape} do not go with targets of shape {targets.shape}")
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-next_token_loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_next_token_loss():
    logits = np.zeros((2, 3, 4))
    logits[0, 0, 1] = math.log(5)
    targets = np.array([[1, 0, 3], [2, 2, 0]])
    expected = (math.log(8 / 5) + 5 * math.log(4)) / 6
    got = next_token_loss(Tensor(logits), targets)
    expect(got, expected, "six predictions: one with probability 5/8, five with 1/4", atol=1e-6)
    expect(next_token_loss(Tensor(logits), Tensor(targets)), expected, "targets in a Tensor", atol=1e-6)
    one = next_token_loss(Tensor(logits[0]), targets[0])
    expect(one, (math.log(8 / 5) + 2 * math.log(4)) / 3, "logits (T, V)", atol=1e-6)
    expect(next_token_loss(Tensor(logits[0, 0]), 1), math.log(8 / 5), "(V,) and a number", atol=1e-6)
    expect_error(ValueError, [(2, 3, 4), (3, 2)], next_token_loss, Tensor(logits), targets.reshape(3, 2))

    manual_seed(0)
    model, draws = GPT(65, 64, 2, 4, 128), np.random.default_rng(0)
    inputs, targets = token_windows(draws.integers(65, size=4000), 64, 8, draws)
    with no_grad():
        first, leaking = (next_token_loss(model(inputs), given).item() for given in (targets, inputs))
    expect(first, math.log(65), "the first loss of a fresh GPT over 65 tokens", atol=0.1)
    expect(first - leaking, 1, "how much lower it is where the targets are the inputs", atol=0.4)
    print(f"🔬 next_token_loss: passed; first loss {first:.3f}, targets not shifted {leaking:.3f}")

test_unit_next_token_loss()

# %% nbgrader={"grade": true, "grade_id": "test-next_token_loss-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other numbers, and the gradient of the logits.
### BEGIN HIDDEN TESTS
scores = Tensor(np.log([[[1.0, 3.0], [1.0, 1.0]]]), requires_grad=True)
value = next_token_loss(scores, np.array([[0, 1]]))
expect(value, math.log(8) / 2, "probabilities 1/4 and 1/2", atol=1e-6)
value.backward()
expect(scores.grad, [[[-0.375, 0.375], [0.25, -0.25]]], "the gradient of the logits", atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
## One batch by heart

Training for an hour to find a bug is the slow way. The fast one: let the model learn a single batch by heart. There is nothing to understand, and
a model with more parameters than the batch has tokens can always do it. Within a hundred steps the loss has to go
towards 0.

If it cannot, the model is broken, and the loss says how. Stuck at ln V: nothing arrives, the optimizer holds other parameters than the
model or the logits do not depend on the input. Stuck at the *entropy of the batch's tokens*: the input's order or its content gets lost on
the way. Jumping: the rate. A mask that lets a model see the future does **not** show here; it makes this test easier.

**Write `overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1)`**: put the model into training mode, take at most `steps` steps of
`training_step` (module 07, with clip_norm 1.0) on the same batch with `next_token_loss`, and stop after the first whose loss is below
`goal`. Return the losses, a list of floats, one for each step taken.
"""

# %% nbgrader={"grade": false, "grade_id": "overfit_batch", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["training_step does all of one step: gradients cleared, loss, backward, clipping, update. What does it return?", "Whether to stop is decided after the loss has been put into the list."], "minutes": 15, "objective": "overfit"}
#| export
def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    """Train on one batch until its loss is below `goal`, at most `steps` steps; the loss before each."""
    ### BEGIN SOLUTION
    model.train()
    losses = []
    for _ in range(steps):
        loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
        losses.append(loss)
        if loss < goal:
            break
    return losses
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-overfit_batch", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_overfit_batch():
    manual_seed(1)
    inputs, targets = token_windows(np.arange(500) ** 2 % 19, 8, 4, np.random.default_rng(1))
    model = GPT(20, 8, 1, 2, 32).eval()
    losses = overfit_batch(model, inputs, targets, AdamW(model.parameters(), lr=1e-2), 200)
    expect(losses[0], math.log(20), "the first loss", atol=0.1)
    with no_grad():
        left = next_token_loss(model(inputs), targets).item()
    assert left < 0.1, f"the batch is known by heart: expected a loss below 0.1, it is {left:.3f}"
    assert len(losses) < 100, f"32 tokens take fewer than 100 steps, not {len(losses)}"
    expect(float(losses[-1]) < 0.1 <= float(losses[-2]), True, "it stops after the first loss below 0.1")
    expect(model.training, True, "the mode afterwards")

    still = overfit_batch(model, inputs, 19 - targets, AdamW(model.parameters(), lr=0.0), 3)
    expect(len(still), 3, "a rate of 0 learns nothing: all 3 steps are taken")
    expect(still, [float(still[0])] * 3, "and the loss stays", atol=1e-6)
    before = model.state_dict()
    plain = SGD(model.parameters(), lr=0.5)
    expect(len(overfit_batch(model, inputs, 19 - targets, plain, 50, goal=99.0)), 1, "steps with goal 99")
    after = model.state_dict()
    moved = [np.asarray(after[name]) - np.asarray(before[name]) for name in before]
    way = math.sqrt(sum((step**2).sum() for step in moved))
    expect(way, 0.5, "the way of one step of SGD, rate 0.5, clipped to 1", rtol=1e-3)
    print(f"🔬 overfit_batch: passed; {len(losses)} steps")

test_unit_overfit_batch()

# %% nbgrader={"grade": true, "grade_id": "test-overfit_batch-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: with dropout; the losses are Python floats.
### BEGIN HIDDEN TESTS
noisy = GPT(20, 8, 1, 2, 16, dropout=0.5).eval()
drawn = np.random.default_rng(2).integers(20, size=(2, 2, 8))
losses = overfit_batch(noisy, drawn[0], drawn[1], AdamW(noisy.parameters(), lr=0.0), 4, goal=-1.0)
expect([type(loss) for loss in losses], [float] * 4, "the types of the losses")
expect(len(set(losses)), 4, "different losses at rate 0: dropout draws in training mode")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Part 3 of 3 · about 4 hours: drawing a token

Here, too, you can stop: the GPT learns.

A model gives logits; a text needs tokens. Always the most probable one, and the text soon repeats itself. Drawn from all, sooner
or later it is one of the thousands that are each nearly impossible. In between:

- *temperature* t: softmax of logits / t, sharper below 1, flatter above;
- *top-k*: only the k most probable stay, and what ties with the k-th (Fan and others, 2018);
- *top-p*: of those, only the *nucleus* stays: going from the most probable downwards (of equals the smaller id first), a token stays if those before it
  have together less than p (Holtzman and others, 2020).

What stays is scaled to the sum 1. Shares 0.5, 0.25, 0.15, 0.1 and top_p = 0.75: before them stand 0, 0.5, 0.75 and 0.9, so the first two
stay, with 2/3 and 1/3.

**How it is drawn:** one call `generator.random(rows)` gives each row a number u in [0, 1). Its token is the first, in order of id, whose
*cumulative* probability exceeds u: with 2/3, 1/3 and u = 0.7, token 1.

**Write `sample(logits, temperature, top_k, top_p, generator)`**: B ids for logits (B, V), an array or a Tensor, which stays as it is. Work in
float64. At temperature 0 take the largest logit, the first of equals, and draw nothing. A row whose largest logit is not finite (NaN, ∞, or −∞
everywhere) is a ValueError that names the row; −∞ alone is a token that cannot come. Subtract a row's largest logit before you divide by the temperature, which may
be tiny: no warnings. `check_sampling` is provided; a generator of None is `random_generator()`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-check_sampling", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def check_sampling(temperature, top_k, top_p):
    """Raise ValueError naming the first setting of `sample` that is out of its range."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is 0 (the most probable token) or larger, not {temperature}")
    if top_k is not None and not top_k >= 1:
        raise ValueError(f"top_k keeps at least 1 token, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is a probability above 0 and up to 1, not {top_p}")

# %% nbgrader={"grade": false, "grade_id": "sample", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Keep an array of weights that need not sum to 1 and put zeros where a token is not allowed; the scale comes last, by drawing from 0 to the sum of a row.", "For top-p sort a row downwards with a stable order. What stands before a token is the cumulative sum without the token itself. Then carry the decision back to the order of ids.", "A comparison of the cumulative sums with one number for each row is False, False, True, True. The place of the first True is what argmax finds."], "minutes": 60, "objective": "sampling"}
#| export
def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    """Draw an id for each row of `logits` (B, V): an integer array (B,), with one random() for each row.

    temperature: 0 for the most probable token. top_k: how many stay, and what ties with the last of them.
    top_p: the probability of the nucleus that stays (Holtzman and others, 2020). Raises ValueError for a
    setting out of range, and for a row without a largest finite logit.
    """
    check_sampling(temperature, top_k, top_p)
    ### BEGIN SOLUTION
    logits = np.array(logits, np.float64)
    peak = logits.max(axis=1, keepdims=True)
    lost = np.flatnonzero(~np.isfinite(peak))
    if lost.size:
        raise ValueError(f"sample: the largest logit of row {lost[0]} is {peak[lost[0], 0]}")
    if temperature == 0:
        return logits.argmax(axis=1)
    if top_k is not None and top_k < logits.shape[1]:
        logits[logits < np.sort(logits, axis=1)[:, [-top_k]]] = -np.inf
    with np.errstate(over="ignore"):
        weights = np.exp((logits - peak) / temperature)
    if top_p is not None:
        order = np.argsort(-weights, axis=1, kind="stable")
        ranked = np.take_along_axis(weights, order, axis=1)
        before = ranked.cumsum(axis=1) - ranked
        ranked[before >= top_p * weights.sum(axis=1, keepdims=True)] = 0
        np.put_along_axis(weights, order, ranked, axis=1)
    cumulative = weights.cumsum(axis=1)
    draws = (generator or random_generator()).random(len(weights)) * cumulative[:, -1]
    return (cumulative > draws[:, None]).argmax(axis=1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sample", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sample():
    shares = np.array([[0.25, 0.5, 0.1, 0.15]])
    u = np.random.default_rng(0).random(2000)
    many = np.log(np.repeat(shares, 2000, axis=0))
    for temperature in (1.0, 0.5, 2.0):
        bent = shares[0] ** (1 / temperature)
        expected = np.searchsorted(np.cumsum(bent / bent.sum()), u, side="right")
        got = sample(many, temperature, generator=np.random.default_rng(0))
        expect(got, expected, f"2,000 rows with one u each, temperature {temperature}")
    expect(sample(many[:3], 0), [1, 1, 1], "temperature 0")
    ties = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])
    expect(sample(ties, 0), [1, 0], "temperature 0: the first of equals")
    draws = np.random.default_rng(4)
    sample(many[:5], 0, generator=draws)
    expect(draws.random(), np.random.default_rng(4).random(), "temperature 0 draws nothing")
    expect(sample(Tensor(many[:2]), generator=draws).shape, (2,), "logits in a Tensor")
    manual_seed(7)
    first = sample(many[:50])
    manual_seed(7)
    expect(sample(many[:50]), first, "without a generator: what manual_seed set")
    expect(many[0], np.log(shares[0]), "the logits stay as they are")
    print("🔬 sample: passed")

test_unit_sample()

# %% nbgrader={"grade": true, "grade_id": "test-sample-filters", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sample_filters():
    def kept(shares, **settings):
        rows = np.log(np.repeat([shares], 400, axis=0))
        return np.unique(sample(rows, generator=np.random.default_rng(1), **settings)).tolist()

    shares = [0.15, 0.5, 0.1, 0.25]
    for k, expected in [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (9, [0, 1, 2, 3])]:
        expect(kept(shares, top_k=k), expected, f"top_k {k} of shares {shares}")
    expect(kept([0.3, 0.2, 0.2, 0.3], top_k=3), [0, 1, 2, 3], "top_k 3: what ties with the third stays")
    for p, expected in [(0.4, [1]), (0.5, [1]), (0.6, [1, 3]), (0.8, [0, 1, 3]), (1.0, [0, 1, 2, 3])]:
        expect(kept(shares, top_p=p), expected, f"top_p {p} of shares {shares}")
    expect(kept([0.25, 0.25, 0.25, 0.25], top_p=0.5), [0, 1], "top_p 0.5 of four equals: the smaller ids")
    expect(kept([0.2, 0.4, 0.2, 0.2], top_k=1, top_p=0.9), [1], "both: top_k first")
    expect(kept([0.4, 0.3, 0.2, 0.1], top_k=2, top_p=0.5), [0], "of 4/7 and 3/7, top_p 0.5 keeps one")
    expect(kept([0.4, 0.3, 0.2, 0.1], temperature=0.5, top_p=0.5), [0], "the nucleus after the temperature")
    rows = np.log(np.repeat([[0.5, 0.25, 0.15, 0.1]], 4, axis=0))
    u = np.random.default_rng(2).random(4)
    got = sample(rows, top_p=0.75, generator=np.random.default_rng(2))
    expect(got, (u >= 2 / 3).astype(int), "the worked case: 2/3 and 1/3")
    expect(sample(rows, top_k=1, top_p=0.5), [0] * 4, "top_k 1")
    expect(rows[0, 3], np.log(0.1), "the logits stay as they are")
    print("🔬 sample, filters: passed")

test_unit_sample_filters()

# %% nbgrader={"grade": true, "grade_id": "test-sample-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_sample_errors():
    for name, value in [("temperature", -0.5), ("top_k", 0), ("top_p", 0.0), ("top_p", 1.5)]:
        expect_error(ValueError, [name, value], sample, np.zeros((1, 3)), **{name: value})
    for wrong in ([1.0, math.nan, 2.0], [1.0, math.inf, 2.0], [-math.inf] * 3):
        for temperature in (0, 1.0):
            expect_error(ValueError, 1, sample, np.array([[0.0, 1.0, 2.0], wrong]), temperature)
    with no_warnings("logits of ±5e4, and a temperature of 1e-310"):
        expect(sample(np.array([[-5e4, 5e4], [5e4, -math.inf]])), [1, 0], "far apart")
        expect(sample(np.array([[1, 2, 0]]), 1e-310, 2), [1], "whole numbers, temperature 1e-310")
    print("🔬 sample, errors: passed")

test_unit_sample_errors()

# %% nbgrader={"grade": true, "grade_id": "test-sample-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn logits and settings, against a loop over one row's tokens.
### BEGIN HIDDEN TESTS
draws = np.random.default_rng(13)
for number in range(40):
    logits, t = draws.normal(0, 2, (5, 9)).round(1), float(draws.choice([0.3, 1.0, 1.7]))
    k, p = int(draws.integers(1, 12)), float(draws.uniform(0.05, 1))
    u, expected = np.random.default_rng(number).random(5), []
    for row, drawn in zip(logits, u, strict=True):
        share = np.where(row >= sorted(row)[-min(k, 9)], np.exp(row / t), 0)
        share, total = share / share.sum(), 0.0
        for place in sorted(range(9), key=lambda v: (-share[v], v)):
            total, share[place] = total + share[place], share[place] if total < p else 0
        expected.append(int(np.argmax(np.cumsum(share / share.sum()) > drawn)))
    got = sample(logits, t, top_k=k, top_p=p, generator=np.random.default_rng(number))
    expect(got, expected, f"temperature {t}, top_k {k}, top_p {p:.3f}")
### END HIDDEN TESTS

# %% [markdown]
r"""
One distribution, four settings. Which rows will have zeros?
"""

# %%
rows = np.repeat([[2.0, 1.5, 1.0, 0.0, -1.0, -3.0]], 10_000, axis=0)
for settings in ({}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 3}, {"top_p": 0.6}):
    print(f"{settings!s:22}", np.bincount(sample(rows, **settings), minlength=6) / 10_000)

# %% [markdown]
r"""
Temperature moves all shares and forbids none; the other two cut the tail and leave the ratios of what stays.

## Generating

To write, predict, draw, append, and again. Every token needs the whole model once (module 17 keeps what can be kept). Three things to decide:

- **The window.** The model sees at most block_size tokens. The window starts at the beginning of the text. Where it holds *more than*
  block_size tokens before a prediction, it begins anew with the last block_size // 2 of the text (at least 1), and grows from there. Moving it by one each time would
  change every position in every step, and nothing could be kept. Block 4, prompt of 3, window at each prediction:

      [a b c]  [a b c d]  [d e]  [d e f]  [d e f g]  [g h]  …

- **The batch.** All rows have the same length and are drawn in one call of `sample`.
- **The end.** A row that has drawn the token `stop` has ended: from then on it gets `stop` again and again, whatever `sample` drew
  for it. When all have ended, generation ends.

**Write `generate(model, ids, max_new_tokens, temperature, top_k, top_p, generator, stop)`** for ids (B, T), T at least 1: the integer array (B, T + new), prompt included; `ids` stays as it is. The
model is in evaluation mode meanwhile, nothing is recorded, and at the end the model gets back the mode it had (`model.training`), also where something raised an
error.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Counting", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Counting(Module):
    """A model of 100 tokens and block_size 4 that surely says: last id + 10 · length of the window."""

    block_size = 4

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, ids):
        ids = np.asarray(ids)
        self.seen.append((ids.shape, self.training, Op.recording))
        logits = np.zeros((*ids.shape, 100))
        last = (ids[:, -1] + 10 * ids.shape[1]) % 100
        logits[np.arange(len(ids)), -1, last] = 1000
        return Tensor(logits)

# %% nbgrader={"grade": false, "grade_id": "generate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Keep where the window starts in a variable that outlives a step, and look before each prediction whether the window has become too long.", "Only the logits at the last place predict what is new.", "Keep a boolean for each row that has ended. A with statement and a finally take care of the recording and of the mode."], "minutes": 45, "objective": "sampling"}
#| export
def generate(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None
):
    """ids (B, T) and up to max_new_tokens after them, drawn one after the other: an integer array.

    The window is cut to its last block_size // 2 tokens where it outgrows block_size. stop: the id that ends
    a row, and fills the rest of it. The other settings are those of `sample`.
    """
    ### BEGIN SOLUTION
    ids, start, mode = np.asarray(ids), 0, model.training
    ended = np.zeros(len(ids), bool)
    model.eval()
    try:
        with no_grad():
            for _ in range(max_new_tokens):
                if ids.shape[1] - start > model.block_size:
                    start = ids.shape[1] - max(model.block_size // 2, 1)
                new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
                if stop is not None:
                    new[ended] = stop
                    ended |= new == stop
                ids = np.concatenate([ids, new[:, None]], axis=1)
                if ended.all():
                    break
    finally:
        model.train(mode)
    return ids
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-generate", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate():
    model, prompt = Counting(), np.array([[1, 2, 3], [7, 7, 0]])
    got = generate(model, prompt, 7)
    rows = [[1, 2, 3, 33, 73, 93, 23, 63, 83, 13], [7, 7, 0, 30, 70, 90, 20, 60, 80, 10]]
    expect(got, rows, "7 tokens after 3")
    lengths = [shape[1] for shape, _, _ in model.seen]
    expect(lengths, [3, 4, 2, 3, 4, 2, 3], "the window: full at 4, then the last 2 and the new ones")
    expect({shape[0] for shape, _, _ in model.seen}, {2}, "rows in every call of the model")
    expect(prompt, [[1, 2, 3], [7, 7, 0]], "the prompt stays as it is")
    six = [[1, 2, 3, 4, 5, 6]]
    expect(generate(model, six, 1), [[1, 2, 3, 4, 5, 6, 26]], "a prompt of 6: the last 2, 6 + 20")
    expect(generate(model, prompt, 0), prompt, "no new tokens")

    small = waves(GPT(5, 4, 1, 2, 4))
    once = generate(small, [[1]], 20, temperature=5.0, generator=np.random.default_rng(3))
    again = generate(small, [[1]], 20, temperature=5.0, generator=np.random.default_rng(3))
    expect(again, once, "the same generator, the same text")
    pieces, draws = np.array([[1]]), np.random.default_rng(3)
    for _ in range(3):
        pieces = np.append(pieces, [sample(small(pieces)[:, -1], 5.0, generator=draws)], axis=1)
    expect(np.asarray(once)[:, :4], pieces, "the first three tokens, one by one")
    print("🔬 generate: passed")

test_unit_generate()

# %% nbgrader={"grade": true, "grade_id": "test-generate-manners", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate_manners():
    model = Counting()
    rows = [[0, 10, 30, 30, 30, 30, 30], [20, 30, 30, 30, 30, 30, 30], [80, 90, 10, 40, 80, 0, 30]]
    expect(generate(model, [[0], [20], [80]], 9, stop=30), rows, "stop 30: rows end after 2, 1 and 6 tokens")
    expect(len(model.seen), 6, "calls of the model: none after all rows have ended")
    expect({training for _, training, _ in model.seen}, {False}, "in training mode while it writes")
    expect({recorded for _, _, recorded in model.seen}, {False}, "operations recorded while it writes")
    expect(model.training, True, "the mode afterwards, which was training")
    expect(Op.recording, True, "operations are recorded again")
    generate(model.eval(), [[0]], 1)
    expect(model.training, False, "the mode afterwards, which was evaluation")

    small = waves(GPT(5, 4, 1, 2, 4))
    expect_error(IndexError, 5, generate, small, [[5]], 3)
    expect(small.training, True, "the mode after an error")
    expect(Op.recording, True, "operations are recorded after an error")
    best = small([[1, 2]])[:, -1].numpy().argmax(axis=1)
    for settings in ({"temperature": 0}, {"top_k": 1}, {"top_p": 1e-6}):
        given = np.asarray(generate(small, [[1, 2]], 1, **settings))
        expect(given[:, 2], best, f"{settings}: the most probable token")
    print("🔬 generate, manners: passed")

test_unit_generate_manners()

# %% nbgrader={"grade": true, "grade_id": "test-generate-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: an odd block, a block of 1, a stop in the prompt, a long text.
### BEGIN HIDDEN TESTS
for block, lengths in [(5, [2, 3, 4, 5, 2, 3, 4, 5, 2]), (1, [1] * 9)]:
    counting = Counting()
    counting.block_size = block
    generate(counting, [[1, 2]], 9)
    expect([shape[1] for shape, _, _ in counting.seen], lengths, f"windows of block {block}")
got = generate(Counting(), [[30], [0]], 2, stop=30)
expect(got, [[30, 40, 60], [0, 10, 30]], "a stop in the prompt ends nothing")
small = waves(GPT(5, 4, 1, 2, 4))
long = np.asarray(generate(small, np.zeros((3, 2), int), 50, generator=np.random.default_rng(0)))
expect((long.shape, long.min() >= 0, long.max() < 5), ((3, 52), True, True), "50 tokens for three rows")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Together

What else a GPT needs is provided. `train_language_model` is nanoGPT's recipe (Karpathy, 2022): AdamW, whose decay reaches tables and matrices only; 100
steps of warm-up, then a cosine to a tenth of the rate; gradients clipped to 1. `attention_maps` shows who attended to whom. `from_nanogpt` gives the parameters of
a nanoGPT checkpoint our names; loaded into `GPT(…, approximate="none")`, they give its logits.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-train_language_model", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def train_language_model(
    model, ids, steps, batch=12, lr=1e-3, warmup=100, weight_decay=0.1, generator=None, after=None
):
    """Train on windows of `ids`, drawn with `generator`; the losses. after(step, loss) follows each step.

    The rate rises to `lr` in `warmup` steps and falls on a cosine to a tenth; gradients are clipped to 1.
    """
    generator = generator or random_generator()
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW([group for group in groups if group["params"]], lr=lr, betas=(0.9, 0.99))
    falling = max(steps - warmup, 1)
    schedule = LambdaLR(
        optimizer,
        lambda i: (i + 1) / (warmup + 1) if i < warmup else cosine_rate(i - warmup, falling, 1.0, 0.1),
    )
    losses = []
    model.train()
    for step in range(steps):
        inputs, targets = token_windows(ids, model.block_size, batch, generator)
        loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
        schedule.step()
        losses.append(loss)
        if after is not None:
            after(step, loss)
    return losses


@no_grad()
def attention_maps(model, ids):
    """The weights with which a GPT's heads attend for ids (B, T), an array (n_layer, B, n_head, T, T)."""
    maps, x = [], model.positions(model.tokens(np.asarray(ids)))
    for block in model.blocks:
        h = block.norm1(x)
        settings = {"need_weights": True, "is_causal": True, "average_attn_weights": False}
        maps.append(block.attention(h, h, h, **settings)[1].numpy())
        x = block(x)
    return np.stack(maps)


NANOGPT_NAMES = {
    "transformer.wte.": "tokens.", "transformer.wpe.": "positions.", "transformer.ln_f.": "norm.",
    "transformer.h.": "blocks.", ".ln_1.": ".norm1.", ".ln_2.": ".norm2.", ".mlp.c_fc.": ".up.",
    ".mlp.c_proj.": ".down.", ".attn.c_attn.": ".attention.in_proj_", ".attn.c_proj.": ".attention.out_proj.",
}  # fmt: skip


def from_nanogpt(state):
    """The state_dict of a GPT from that of nanoGPT's model, {name: array or PyTorch tensor}.

    Raises ValueError for an lm_head that is not tied, for matrices (in, out) as in GPT-2's own files, and for
    names that nanoGPT does not have.
    """
    own = {}
    for name, value in state.items():
        name, array = name.removeprefix("_orig_mod."), np.asarray(value)
        if name.endswith("c_attn.weight") and array.shape[1] == 3 * array.shape[0]:
            raise ValueError(f"{name} {array.shape} is (in, out): GPT-2's own file; nanoGPT's are (out, in)")
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # a mask, which is no parameter
        own[name] = array
    head, table = own.pop("lm_head.weight", None), own.get("transformer.wte.weight")
    if head is not None and not np.array_equal(head, table):
        raise ValueError("lm_head.weight is not transformer.wte.weight, and this GPT ties the two")
    renamed = {}
    for name, array in own.items():
        new = name
        for theirs, ours in NANOGPT_NAMES.items():
            new = new.replace(theirs, ours)
        if new == name:
            raise ValueError(f"{name} is no parameter of nanoGPT's model")
        renamed[new] = array
    return renamed

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model, ids = waves(GPT(5, 4, 2, 2, 4), 0.3), np.array([[3, 1, 4, 1], [0, 2, 2, 3]])
    targets = np.array([[1, 4, 1, 0], [2, 2, 3, 4]])
    optimizer = AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    losses = overfit_batch(model, ids, targets, optimizer, 5)
    expect(losses, [1.70194, 1.62129, 1.56075, 1.51457, 1.47155], "five steps, by PyTorch", atol=1e-4)

    whole, parts = waves(GPT(5, 4, 2, 2, 4)), waves(GPT(5, 4, 2, 2, 4))
    next_token_loss(whole(ids), targets).backward()
    for i in range(2):
        (next_token_loss(parts(ids[i : i + 1]), targets[i : i + 1]) / 2).backward()
    for (name, one), (_, other) in zip(whole.named_parameters(), parts.named_parameters(), strict=True):
        expect(other.grad, one.grad, f"{name}: two halves of a batch, one after the other", atol=1e-5)

    print("🧪 module 13, training as in PyTorch: passed")

test_module()

# %% [markdown]
r"""
### Find the fault

A batch too large for the memory is cut into pieces, whose gradients `backward` adds up; each piece counts by its share. This cell
tries it with two halves, and the two norms ought to be equal. Which line is it?
"""

# %%
whole = pieces = initialize(GPT(20, 8, 1, 2, 32), 1, np.random.default_rng(0))
x, y = np.random.default_rng(1).integers(20, size=(2, 4, 8))
next_token_loss(whole(x), y).backward()
expected = np.linalg.norm(whole.tokens.weight.grad)
for half in (slice(0, 2), slice(2, 4)):
    pieces.zero_grad()
    loss = next_token_loss(pieces(x[half]), y[half]) * 0.5
    loss.backward()
found = np.linalg.norm(pieces.tokens.weight.grad)
print(f"norm of the gradient: {expected:.4f} from the whole batch, {found:.4f} from halves")

# %% [markdown]
r"""
<details><summary>Answer</summary>

`zero_grad` stands inside the loop, so only the second half is left. It belongs before the loop (the first norm has been stored by
then). `test_module` did it right: two halves gave the whole gradient.

</details>

### A GPT writes

Shakespeare's plays by characters: 65 of them, nine tenths to learn from, the last tenth held out. 4 layers of 128 numbers and 4 heads, 64 characters of context,
600 steps of 12 windows: one or two minutes the first time; `trained` keeps the result. **Predict:** module 11's counted bigram reaches 2.49 on the
held-out tenth. Where will 60 steps be, and where 600?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt

from tinytorch.core.tokenization import CharTokenizer
from tinytorch.core.training import evaluate
from tinytorch.datasets import load_shakespeare
from tinytorch.notebook import trained

text = load_shakespeare()
characters = CharTokenizer(text)
ids = np.array(characters.encode(text))
seen, unseen = np.split(ids, [len(ids) * 9 // 10])


def held_out_loss(model, every=4):
    """The mean loss over every fourth window of the held-out text."""
    starts = np.arange(0, len(unseen) - model.block_size, model.block_size * every)[:, None]
    pairs = unseen[starts + np.arange(model.block_size)], unseen[starts + 1 + np.arange(model.block_size)]
    return evaluate(model, next_token_loss, zip(*(np.array_split(a, 8) for a in pairs), strict=True))["loss"]


def small_gpt():
    return initialize(GPT(65, 64, 4, 4, 128), 4, np.random.default_rng(0))


def train_gpt(model, steps=600):
    text = load_shakespeare()
    ids = np.array(CharTokenizer(text).encode(text))[: len(text) * 9 // 10]
    train_language_model(model, ids, steps, generator=np.random.default_rng(0))


def train_gpt_early(model):
    train_gpt(model, 60)


counts = np.full((65, 65), 0.01)
np.add.at(counts, (seen[:-1], seen[1:]), 1)
bigram = -np.log(counts / counts.sum(axis=1, keepdims=True))[unseen[:-1], unseen[1:]].mean()
print(f"📊 the counted bigram: {bigram:.2f} on the held-out tenth")
gpt = trained("gpt", small_gpt, train_gpt)
early = trained("gpt_early", small_gpt, train_gpt_early)
for steps, model in [(0, small_gpt()), (60, early), (600, gpt)]:
    draws = np.random.default_rng(2)
    said = generate(model, [characters.encode("ROMEO:")], 160, temperature=0.8, generator=draws)[0]
    print(f"📊 after {steps} steps: {held_out_loss(model):.2f}\n{characters.decode(said)}\n")

# %% [markdown]
r"""
Sixty steps are enough for the frequencies of letters and spaces, not for the bigram. After 600 the model is well below it, and the text has lines,
names in capitals with a colon, and words, some of them English. The rest is more of the same: milestone 05 goes to 1.9 with 2,000 steps.

## Measure: what each part is for

A smaller GPT, five times from the same start: whole, and with one part taken out. Module 12's probes stand beside the losses: how far a token moves *earlier*
outputs (leak) and *later* ones (reach), and whether the place of a token matters. **Predict:** which variant has the lowest training loss, and
is it the best?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
class Unmasked(Module):
    """An attention that is never told that it is causal."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, query, key, value, is_causal=True, **settings):
        return self.attention(query, key, value, **settings)


class Detour(Module):
    """A block without the way around it."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x) - x


def without(part, model):
    """The model with one part taken out, in place."""
    if part == "positions":
        model.positions.requires_grad_(False).weight.data[...] = 0
    for block in model.blocks:
        if part == "mask":
            block.attention = Unmasked(block.attention)
        if part == "norm":
            block.norm1 = block.norm2 = lambda x: x
    if part == "residual":
        model.blocks = Sequential(*[Detour(block) for block in model.blocks])
    return model


def analyze_parts(steps=400):
    """Losses and probes of a small GPT, whole and with one part taken out."""
    ends = {}
    probe = seen[:32].reshape(2, 16)
    for part in ("nothing", "positions", "residual", "norm", "mask"):
        model = without(part, initialize(GPT(65, 32, 2, 4, 64), 2, np.random.default_rng(0)))
        losses = train_language_model(model, seen, steps, lr=3e-3, generator=np.random.default_rng(0))
        ends[part] = np.mean(losses[-20:]), held_out_loss(model.eval(), every=8)
        gaps = (*causality_gap(model, probe), position_gap(model, probe))
        words = "leak {:.4f}, reach {:.4f}, places {:.4f}".format(*gaps)
        print(f"📊 without {part:9}: training {ends[part][0]:.2f}, held out {ends[part][1]:.2f}, {words}")
    cheat = min(ends, key=lambda part: ends[part][0])
    print(f"📊 the lowest training loss is that of the GPT without {cheat}")


analyze_parts()

# %% [markdown]
r"""
Without the mask, each position sees the token it is to predict. Its loss falls below all others, *held out as well*, since there the answer stands in
the window, too; only the probe (and the text that it writes) tells: its leak is not 0. Without positions the last probe is 0: a later
token sees which tokens came before, not where. Losses of those that differ little here grow apart with depth: try 8 layers.

### Three broken GPTs

The trained GPT again, three times with a fault. *focus* says how far attention is from uniform. The first line is the whole one. Which
fault has which?
"""

# %% tags=["measure"]
def broken_gpts():
    faults = [small_gpt() for _ in range(4)]
    for model in faults:
        model.load_state_dict(gpt.state_dict())
        model.eval()
    for block in faults[1].blocks:
        block.attention.in_proj_weight.data[:128] = 0
        block.attention.in_proj_bias.data[:128] = 0
    return [faults[0], without("mask", faults[3]), faults[1], without("positions", faults[2])]


window, sees = unseen[:64].reshape(2, 32), np.tri(32, dtype=bool)
for name, model in zip(("whole", "A", "B", "C"), broken_gpts(), strict=True):
    leak, reach = causality_gap(model, window)
    focused = focus(attention_maps(model, window), None if leak else sees)
    print(f"📊 {name:5}: loss {held_out_loss(model):.2f}, leak {leak:.4f}, reach {reach:.2f}, "
          f"places {position_gap(model, window):.4f}, focus {focused:.4f}")

# %% [markdown]
r"""
<details><summary>Answer</summary>

A leaks: it has no mask (and its loss is bad, for it was trained with one). B has focus 0: its queries are 0, so all scores are equal. C
does not know places: its positions are 0. The loss alone only says that something is wrong.

</details>

Later models change the parts, not the plan. *RMSNorm* (Zhang and Sennrich, 2019) divides by the root of the mean square and subtracts no mean: one
pass over memory less, as good. *SwiGLU* (Shazeer, 2020) makes the feed-forward network of three matrices, down(silu(gate(x)) · up(x)), with silu(z) = z · sigmoid(z), and narrower, for the same
number of parameters.

## Measure: where a step's time goes

The engine has a slot for an observer, which sees each operation on both ways. **Predict** which kind takes most of a training
step, and what the ratio of backward to forward is.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import time


def analyze_step(steps=10):
    """Milliseconds of each kind of operation in a training step of the GPT, forward and backward."""
    model, spent = small_gpt(), {}
    optimizer = AdamW(model.parameters(), lr=1e-3)
    batch = token_windows(seen, 64, 12, np.random.default_rng(0))

    def watch(op, function, arguments, settings):
        start = time.perf_counter()
        out = function(*arguments, **settings)
        ways = spent.setdefault(op.__name__, [0.0, 0.0])
        ways[int(function is op.rule)] += (time.perf_counter() - start) / steps * 1e3
        return out

    training_step(model, next_token_loss, optimizer, *batch)
    start, Op.observer = time.perf_counter(), watch
    try:
        for _ in range(steps):
            training_step(model, next_token_loss, optimizer, *batch)
    finally:
        Op.observer = None
    whole = (time.perf_counter() - start) / steps * 1e3
    largest = sorted(spent, key=lambda name: -sum(spent[name]))[:6]
    rest = [sum(ways[i] for name, ways in spent.items() if name not in largest) for i in (0, 1)]
    bars = {name: spent[name] for name in largest} | {"other operations": rest}
    forward, backward = np.array(list(bars.values())).sum(axis=0)
    bars["optimizer, clipping, engine"] = [whole - forward - backward, 0.0]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    ways = np.array(list(bars.values()))[::-1]
    names, style = list(bars)[::-1], {"edgecolor": "0.3"}
    axes.barh(names, ways[:, 0], color="0.75", label="forward", **style)
    axes.barh(names, ways[:, 1], left=ways[:, 0], color="1", hatch="//", label="backward", **style)
    axes.set(xlabel="milliseconds in a step", title="A training step of 4 layers × 128, 12 × 64 tokens")
    figure.legend(fontsize="small", ncols=2, loc="outside lower center")
    plt.show()
    print(f"📊 {whole:.0f} ms a step; backward takes {backward / forward:.1f} times as long as forward; "
          f"{largest[0]}: {sum(spent[largest[0]]) / whole:.0%}")


analyze_step()

# %% [markdown]
r"""
The matrix products of `linear` lead; on the way back each is two products, one for the input and one for the weight. GELU computes
little and passes over the largest arrays.

## Measure: context and memory

Two curves: the loss at each place of a window, where place 1 has seen one character; and what a forward pass keeps for the way back, against the length.
**Predict:** is the last place much better than the tenth? And module 12's rule keeps no weights: does the memory grow with T or with T²?
"""

# %% tags=["measure"]
from tinytorch.core.autograd import topological_order
from tinytorch.core.losses import log_softmax


def kept_bytes(model, length, batch=12):
    """Bytes of the arrays that a forward pass keeps for backward, parameters aside."""
    loss = next_token_loss(model(np.zeros((batch, length), int)), np.zeros((batch, length), int))
    known, kept = {id(parameter.data) for parameter in model.parameters()}, {}
    for tensor in topological_order(loss):
        for array in [tensor.data, *(tensor.node.arrays if tensor.node else ())]:
            owner = array if getattr(array, "base", None) is None else array.base
            if isinstance(owner, np.ndarray) and id(owner) not in known:
                kept[id(owner)] = owner
    return sum(array.nbytes for array in kept.values())


def analyze_context():
    """Held-out loss over the place in the window, and kept bytes over the length of the window."""
    starts = np.arange(0, len(unseen) - 64, 256)[:, None] + np.arange(64)
    with no_grad():
        logs = log_softmax(gpt(unseen[starts])).numpy()
    losses = -np.take_along_axis(logs, unseen[starts + 1][..., None], axis=2).mean(axis=(0, 2))
    lengths = [8, 16, 32, 48, 64]
    kept = [kept_bytes(gpt, length) / 1e6 for length in lengths]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.plot(range(1, 65), losses, "o-", markersize=3)
    left.set(xlabel="characters seen", ylabel="held-out loss", title="Context")
    right.plot(lengths, kept, "s-")
    right.set(xlabel="length of the window", ylabel="megabytes", title="Kept for backward", ylim=(0, None))
    plt.show()
    for low, high in [(1, 1), (2, 4), (5, 16), (17, 64)]:
        print(f"📊 {low} to {high} characters seen: loss {losses[low - 1 : high].mean():.2f}")
    size = sum(parameter.nbytes for parameter in gpt.parameters()) / 1e6
    print(f"📊 parameters {size:.1f} MB; kept at 32: {kept[2]:.1f} MB, at 64: {kept[4]:.1f} MB, "
          f"{kept[4] / kept[2]:.2f} times as much")


analyze_context()

# %% [markdown]
r"""
Almost all that this model gains from context, it gains from a few characters: it has learned to spell, not to follow a plot. The memory
doubles with the length, and is many times that of the parameters: it is what limits the batch.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-gpt", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which two first losses did `test_unit_next_token_loss` print, and what makes the second lower? Estimate from n_embd = 128, the deviation 0.02 and
the fact that the normed stream is half token, half position, how large the logit of a token is that has just been read. (b) Which of the five
variants had the lowest training loss in your run? Why does its held-out loss not give it away, and which printed number does? (c) How many
megabytes did your forward pass keep at length 64? A batch of 12 is to become one of 480 on a machine with 1 GB to spare. What do you do, and what stays the same?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-gpt", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) about 4.18 and 3.17. The stream holds the token's row, of length 0.02·√128, normed to length √128, of which the token has about 1/√2: the logit
is 0.02 · 128 / √2 = 1.8 against 0 ± 0.23 for others, and the tables are tied, 1 point. (b) The one without a mask; the held-out windows contain their own answers as
well; the leak, above 0, does, 1 point. (c) The printed number, about 33 MB, times 40 is 1.3 GB: at least two pieces, for example four of 120 with the loss divided
by 4, `zero_grad` before all of them and one step after them; the gradient stays the same, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Milestone 05 trains this GPT for 2,000 steps, on copying, on characters and on your own BPE, and looks at it with the same probes. Module
14 asks what this machine could do at best, and module 17 stops computing again what was computed before. Next: `tito module complete 13_transformers`.
"""
