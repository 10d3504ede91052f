# %% [markdown]
r"""
# 12 Attention

Module 11 gave every token a row of numbers. Here each row reads from the others: it becomes a mean of theirs, with weights that it computes itself.
You write this *attention* three times: for one query, for batches with masks and heads, and for sequences whose weights do not fit into memory.

## Three questions first

**1.** (02) What does softmax make of [0, ln 3]?
<details><summary>Answer</summary> [1/4, 3/4]: shares in the ratio 1 to 3. </details>

**2.** (05) y = A·x: what are the gradients of A and of x?
<details><summary>Answer</summary> grad·xᵀ and Aᵀ·grad. </details>

**3.** (11) What does a mean of rows tell of their order?
<details><summary>Answer</summary> Nothing. </details>
"""

# %%
from tinytorch.notebook import best_seconds, check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.attention

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math

import numpy as np

from tinytorch.core.activations import softmax
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Dropout, Linear, Module, Parameter, linear, xavier_uniform_, zeros_
from tinytorch.core.tensor import Op, Tensor, where, zeros
from tinytorch.kernels.precision import to_float32

# %% [markdown]
r"""
## Part 1 of 3 · about 4 hours: one head

The mean of all rows so far: by a loop, by a triangular matrix, and by *weights*, the softmax of scores:
"""

# %%
rows, past = np.array([[1.0, 0], [3, 2], [2, 7]]), np.tri(3, dtype=bool)
print("loop    ", [rows[: t + 1].mean(axis=0).tolist() for t in range(3)])
print("matrix  ", (past / past.sum(axis=1, keepdims=True) @ rows).tolist())
scores = np.array([[5.0, 0, 0], [2, 0, 0], [0, 0, 3]])
weights = softmax(Tensor(np.where(past, scores, -np.inf)))
print("weights ", (weights @ Tensor(rows)).tolist())

# %% [markdown]
r"""
All are a matrix times the rows. With weights a place may prefer another one, and what it prefers can be learned.

In a recurrent network every step waits for the one before. **Predict**: how much faster is the same arithmetic as one product?
"""

# %% tags=["measure"]
def analyze_recurrence(length=2048, width=64):
    """Steps that wait for each other against one product with as many multiplications."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(length, width)).astype(np.float32)
    weight = draw.normal(size=(width, width)).astype(np.float32) / width

    def one_by_one():
        state = np.zeros(width, np.float32)
        for step in x:
            state = np.tanh(step + state @ weight)

    slow, fast = best_seconds(one_by_one), best_seconds(lambda: np.tanh(x + x @ weight))
    print(f"📊 {length} steps: {slow * 1e3:.1f} ms; at once: {fast * 1e3:.1f} ms; a factor {slow / fast:.1f}")

analyze_recurrence()

# %% [markdown]
r"""
### One query

Each place has a *query* (what it looks for), a *key* (what it is found by) and a *value* (what it hands over). A score is the inner product of query
and key, over √d:

    query [1, 1, 1, 1]     keys [1, 1, 0, 0], [0, 0, 0, 0]     values [10, 0], [0, 10]
    scores   2/√4 = 1,  0
    weights  e/(e + 1) = 0.731,  1/(e + 1) = 0.269      →      [7.31, 2.69]

**Write `attend(query, keys, values)`** with loops: lists or arrays in, an array of floats out; arguments stay. Values may be wider than keys. Large scores
must not overflow.
"""

# %% nbgrader={"grade": false, "grade_id": "attend", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many scores does one query have, and what are the two vectors whose entries are multiplied for each?", "First a list of scores, then a list of weights, then a sum over the values: three loops, one after the other.", "What can be taken from every score without changing the shares, so that the exponential of the largest is 1?"], "minutes": 30, "objective": "weights"}
#| export
def attend(query, keys, values):
    """The mean of `values`, weighted by the softmax of how well each key fits the query.

    query: d numbers; keys: m rows of d; values: m rows of v. Returns an array of v numbers. A fit is the
    inner product of query and key, divided by √d.
    """
    ### BEGIN SOLUTION
    scores = []
    for key in keys:
        scores.append(sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query)))
    peak = max(scores)
    weights = [math.exp(score - peak) for score in scores]
    out = np.zeros(len(values[0]))
    for weight, value in zip(weights, values, strict=True):
        out += weight / sum(weights) * np.asarray(value)
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-attend", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_attend():
    query, keys, values = [1, 1, 1, 1], [[1, 1, 0, 0], [0, 0, 0, 0]], [[10, 0], [0, 10]]
    expect(attend(query, keys, values), [7.310585786, 2.689414214], "the worked example", atol=1e-9)
    keys, values = np.log([[1.0], [2.0], [5.0]]), np.array([[8.0, 1, 0], [16, 1, 0], [0, 1, 8]])
    expect(attend([1.0], keys, values), [5, 1, 5], "weights 1/8, 2/8, 5/8; wider values", atol=1e-9)
    expect(values, [[8, 1, 0], [16, 1, 0], [0, 1, 8]], "the values stay")
    expect(attend([3.0, 1.0], [[2, 2], [2, 2]], [[4.0], [8.0]]), [6], "equal keys: the mean", atol=1e-9)
    expect(attend([3.0], [[-7.0]], [[4.0, 5.0]]), [4, 5], "a single key: its value", atol=1e-9)
    with no_warnings("scores of 0 and 4000"):
        expect(attend([4000.0], [[0.0], [1.0]], [[1.0], [2.0]]), [2], "scores of 0 and 4000", atol=1e-9)
        expect(attend([-4000.0], [[2.0], [1.0]], [[1.0], [2.0]]), [2], "scores of -8000 and -4000", atol=1e-9)
    print("🔬 attend: passed")

test_unit_attend()

# %% nbgrader={"grade": true, "grade_id": "test-attend-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: nine numbers a key, and values that do not sum to anything round.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(1212)
query, keys, values = drawn.normal(size=9), drawn.normal(size=(6, 9)), drawn.normal(size=(6, 4))
shares = np.exp(keys @ query / 3)
expect(attend(query, keys, values), shares @ values / shares.sum(), "6 keys of 9 numbers", atol=1e-12)
wanted = (1 / shares) @ values / (1 / shares).sum()
expect(attend(-query, keys, values), wanted, "the query's negative", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Who may see whom

In training, all places of a text are predicted at once. So that none sees what it is to predict, a place may only attend to itself and to what came
before. As a *mask*, in which True attends:

    3 queries, 3 keys       2 queries, 4 keys       3 queries, 2 keys
    T F F                   T T T F                 F F
    T T F                   T T T T                 T F
    T T T                                           T T

The last query always stands at the last key. The middle one is a model that writes: four tokens are known, and the last two of them ask. With more
queries than keys the first ones see nothing.

**Write `causal_mask(queries, keys)`**, a boolean array of shape (queries, keys), also for 0 queries.
"""

# %% nbgrader={"grade": false, "grade_id": "causal_mask", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["At which key does query number i stand, if the last query stands at the last key?", "Compare two aranges, one standing and one lying, or look for the function of NumPy that makes triangles, and for its offset."], "minutes": 15, "objective": "masks"}
#| export
def causal_mask(queries, keys):
    """Who may attend to whom where nobody sees the future: a boolean array (queries, keys), True attends.

    The last query stands at the last key; the rows of queries before the first key are all False.
    """
    ### BEGIN SOLUTION
    return np.tri(queries, keys, keys - queries, dtype=bool)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-causal_mask", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_causal_mask():
    expect(causal_mask(3, 3), [[True, False, False], [True, True, False], [True, True, True]], "3 by 3")
    expect(causal_mask(2, 4), [[True, True, True, False], [True] * 4], "the last 2 of 4 ask")
    expect(causal_mask(3, 2), [[False, False], [True, False], [True, True]], "more queries than keys")
    expect(causal_mask(1, 5), [[True] * 5], "the last one sees all")
    expect(causal_mask(0, 3).shape, (0, 3), "no query")
    expect(causal_mask(2, 2).dtype, np.dtype(bool), "the dtype")
    print("🔬 causal_mask: passed")

test_unit_causal_mask()

# %% nbgrader={"grade": true, "grade_id": "test-causal_mask-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: how many may be seen, in other sizes.
### BEGIN HIDDEN TESTS
for n, m in [(4, 4), (2, 7), (5, 3)]:
    counts = [max(m - n + i + 1, 0) for i in range(n)]
    mask = np.asarray(causal_mask(n, m))
    expect(np.cumprod(mask, axis=1).sum(axis=1), counts, f"the keys seen by {n} queries, of {m}")
    expect(mask.sum(), sum(counts), f"({n}, {m}): none after a gap")
### END HIDDEN TESTS

# %% [markdown]
r"""
### All queries at once

For n queries (…, n, d) and m keys (…, m, d) all scores are one product Q·Kᵀ/√d, of shape (…, n, m); the axes in front are batches. Softmax along the
last axis, then the product with the values (…, m, v). These are Tensors and their operations, so gradients come by themselves.

A mask acts on the scores. Boolean: False makes a score −∞, whose weight is 0. Floating: it is added; −∞ leaves out, ln 3 triples:

    scores [1, 0]    mask [True, False]   →  weights [1, 0]
                     mask [0, ln 3]       →  e : 3 = [0.475, 0.525]

A row with nothing but −∞ may attend to nothing: softmax gives 0/0 = nan, and the gradient is nan too. Its weights are to be 0, and no nan may come up
on the way to a gradient. Replace lost rows' scores by 0 before softmax, their weights by 0 after it: `where(condition, a, b)` takes Tensors, arrays and
numbers.

`one_mask` makes one mask of `attn_mask` and `is_causal`, and refuses what contradicts itself:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-one_mask", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def one_mask(attn_mask, is_causal, queries, keys):
    """What `attn_mask` and `is_causal` say together: None, a boolean mask (True attends) or a floating one.

    Raises ValueError where both are given, and where is_causal meets unequal lengths; TypeError for a mask of
    integers, whose 1 could mean either.
    """
    if attn_mask is not None:
        if is_causal:
            raise ValueError("give attn_mask or is_causal=True, not both")
        if attn_mask.dtype.kind not in "bf":
            raise TypeError(f"attn_mask is boolean (True attends) or floating (added), not {attn_mask.dtype}")
        return attn_mask
    if is_causal and queries != keys:
        lengths = f"{queries} queries and {keys} keys"
        raise ValueError(f"is_causal=True: {lengths} have no common start; make a mask with causal_mask")
    return causal_mask(queries, keys) if is_causal else None

# %% [markdown]
r"""
**Write `attention_weights`** and, with it and `one_mask`, **`scaled_dot_product_attention`**. `scale`, where it is given, takes the place of 1/√d.
Masks are arrays or Tensors, and broadcast.
"""

# %% nbgrader={"grade": false, "grade_id": "scaled_dot_product_attention", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which two axes of the keys have to change places, and which axis do the shares belong to?", "A boolean and a floating mask are told apart by their dtype; `where` chooses between scores and minus infinity.", "A row is lost where all its scores are minus infinity. Keep that as an array with one column, and use it twice, before softmax and behind it."], "minutes": 45, "objective": "masks"}
#| export
def attention_weights(query, key, attn_mask=None, scale=None):
    """The weights (…, n, m) with which each of n queries (…, n, d) attends to m keys (…, m, d), as a Tensor.

    attn_mask: broadcasts to (…, n, m). Boolean: True attends; floating: added to the scores. A row that may
    attend to nothing has weights 0. scale: the factor of the scores, 1/√d unless given.
    """
    ### BEGIN SOLUTION
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query * scale @ key.transpose(-2, -1)
    if attn_mask is None:
        return softmax(scores)
    scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
    lost = (scores == -math.inf).all(axis=-1, keepdims=True)
    return where(lost, 0.0, softmax(where(lost, 0.0, scores)))
    ### END SOLUTION


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """In a boolean attn_mask **True attends** (in MultiheadAttention it leaves out), as in PyTorch.

    The means of `value` (…, m, v) under the attention_weights of `query` (…, n, d) for `key` (…, m, d): a
    Tensor (…, n, v). is_causal: with causal_mask, for n = m only. Raises what one_mask raises.
    """
    ### BEGIN SOLUTION
    mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
    return attention_weights(query, key, mask, scale) @ value
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-scaled_dot_product_attention-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_values():
    query, key = Tensor([[1.0, 1, 1, 1], [0, 0, 0, 0]], True), Tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    value = Tensor([[10.0, 0], [0, 10]], requires_grad=True)
    expect(attention_weights(query, key), [[0.7310586, 0.2689414], [0.5, 0.5]], "two queries", atol=1e-6)
    out = scaled_dot_product_attention(query, key, value)
    expect(out, [[7.310586, 2.689414], [5, 5]], "and the means of the values", atol=1e-5, dtype=np.float32)
    out[0, 0].backward()
    expect(value.grad, [[0.7310586, 0], [0.2689414, 0]], "a gradient for the values: the weights", atol=1e-6)
    expect(query.grad[0], [0.9830597, 0.9830597, 0, 0], "and one for the query", atol=1e-6)
    expect(attention_weights(query, key, scale=0.25)[0], [0.6224593, 0.3775407], "scale 1/4", atol=1e-6)
    expect(attention_weights(query, key, scale=0.0)[0], [0.5, 0.5], "scale 0", atol=1e-6)

    draw = np.random.default_rng(0)
    query, key, value = (draw.normal(size=(2, 3, rows, width)) for rows, width in [(2, 4), (5, 4), (5, 6)])
    out = scaled_dot_product_attention(*(Tensor(x, dtype=np.float64) for x in (query, key, value)))
    expect(out.shape, (2, 3, 2, 6), "batches of shape (2, 3), 2 queries, values of 6 numbers")
    alone = attend(query[1, 2, 1], key[1, 2], value[1, 2])
    expect(np.asarray(out)[1, 2, 1], alone, "what attend gives", atol=1e-9)
    print("🔬 scaled_dot_product_attention, values: passed")

test_unit_attention_values()

# %% nbgrader={"grade": true, "grade_id": "test-scaled_dot_product_attention-masks", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_masks():
    query, key, value = Tensor([[2.0], [2.0]]), Tensor([[0.5], [0.0]]), Tensor([[8.0], [4.0]])
    mask = np.array([[True, False], [False, True]])
    expect(scaled_dot_product_attention(query, key, value, mask), [[8], [4]], "True attends", atol=1e-6)
    expect(scaled_dot_product_attention(query, key, value, Tensor(mask)), [[8], [4]], "a Tensor", atol=1e-6)
    added = Tensor([0.0, math.log(3)])
    expect(attention_weights(query, key, added)[0], [0.4753669, 0.5246331], "ln 3 is added", atol=1e-6)
    added = np.array([[0.0, -math.inf], [-1e9, 0]], np.float32)
    expect(attention_weights(query, key, added), [[1, 0], [0, 1]], "-inf and -1e9 are added", atol=1e-6)
    causal = scaled_dot_product_attention(query, key, value, is_causal=True)
    expect(causal, [[8], [6.924234]], "is_causal: the first sees itself, the second both", atol=1e-5)
    one = Tensor([[1.0]])
    expect_error(ValueError, ["causal_mask", 1, 2], scaled_dot_product_attention, one, key, value, None, True)
    expect_error(ValueError, "attn_mask", scaled_dot_product_attention, query, key, value, mask, True)
    numbers = np.array([[1, 0], [1, 1]])
    expect_error(TypeError, "int64", scaled_dot_product_attention, query, key, value, numbers)
    print("🔬 scaled_dot_product_attention, masks: passed")

test_unit_attention_masks()

# %% nbgrader={"grade": true, "grade_id": "test-scaled_dot_product_attention-lost", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_lost():
    for mask in (np.array([[False], [True]]), np.array([[-np.inf], [0]], np.float32)):
        tensors = [Tensor(x, requires_grad=True) for x in ([[1.0], [2.0]], [[0.0], [0.0]], [[4.0], [6.0]])]
        out = scaled_dot_product_attention(*tensors, mask)
        expect(out, [[0], [5]], f"a row that may attend to nothing, {mask.dtype}", atol=1e-6)
        out.sum().backward()
        grads = [tensor.grad for tensor in tensors]
        expect(grads, [[[0], [0]], [[-1], [1]], [[0.5], [0.5]]], f"its gradients, {mask.dtype}", atol=1e-6)
    with no_warnings("a lost row"):
        expect(attention_weights(*tensors[:2], mask), [[0, 0], [0.5, 0.5]], "its weights", atol=1e-6)
    print("🔬 scaled_dot_product_attention, lost rows: passed")

test_unit_attention_lost()

# %% nbgrader={"grade": true, "grade_id": "test-scaled_dot_product_attention-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches with a mask for each, and a slope by finite differences.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(33)
query, key, value = (Tensor(drawn.normal(size=(3, 4, 2)), True, np.float64) for _ in range(3))
masks = drawn.normal(size=(3, 4, 4)) > 0
masks[0, 1], masks[2, 3] = False, True
got = scaled_dot_product_attention(query, key, value, masks)
shares = np.exp(query.numpy() @ np.swapaxes(key.numpy(), 1, 2) / math.sqrt(2)) * masks
wanted = shares / np.maximum(shares.sum(axis=2, keepdims=True), 1e-300)
expect(attention_weights(query, key, masks), wanted, "a mask for each of three batches", atol=1e-12)
expect(got, wanted @ value.numpy(), "the means under these weights", atol=1e-12)
causal = scaled_dot_product_attention(query, key, value, causal_mask(4, 4))
expect(scaled_dot_product_attention(query, key, value, is_causal=True), causal, "is_causal", atol=1e-12)
step, losses = np.sin(np.arange(24.0)).reshape(3, 4, 2), []
for way in (1e-6, -1e-6):
    moved = Tensor(key.numpy() + way * step, dtype=np.float64)
    losses.append(np.square(np.asarray(scaled_dot_product_attention(query, moved, value, masks))).sum())
(got * got).sum().backward()
slope = (losses[0] - losses[1]) / 2e-6
expect((np.asarray(key.grad) * step).sum(), slope, "the slope along a step of the keys", atol=1e-7)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Find the fault

Four places that must not see the future, all alike. The mask holds 1 where a place may attend and 0 where not. Run it: which line is wrong?
"""

# %%
alike = Tensor(np.ones((4, 2)))
ones_and_zeros = causal_mask(4, 4).astype(np.float32)
seen = attention_weights(alike, alike, ones_and_zeros)
print(seen.numpy().round(2))

# %% [markdown]
r"""
<details><summary>Answer</summary>

The second. A floating mask is *added*: who may be seen has a score higher by 1, and nobody is left out. The boolean mask was right as it was. Sums of
rows and shapes are right, which is why no test of shapes finds it.

</details>

### Why √d

Take query and key of d independent numbers with mean 0 and variance 1. Each of the d products has mean 0 and variance 1 too, and variances add up:
the score has variance d. At d = 1024 scores lie around ±32, and the largest of them takes all the weight.

**Write `variance_of_scores(d, pairs, generator)`**, which tries it: *one* call of `generator.normal(size=(2, pairs, d))` draws first all queries,
then all keys; the result is the variance of the `pairs` inner products (the mean of the squared distances from their mean), a float.
"""

# %% nbgrader={"grade": false, "grade_id": "variance_of_scores", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which axis do you sum over for an inner product, and which one is left for the variance?", "A single product of two arrays, summed along their last axis, gives all the scores; an array knows its variance."], "minutes": 10, "objective": "weights"}
#| export
def variance_of_scores(d, pairs=10_000, generator=None):
    """The variance of the inner products of `pairs` pairs of vectors of d standard normal numbers."""
    generator = np.random.default_rng() if generator is None else generator
    ### BEGIN SOLUTION
    query, key = generator.normal(size=(2, pairs, d))
    return float((query * key).sum(axis=1).var())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-variance_of_scores", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_variance_of_scores():
    (a, b), (c, d) = np.random.default_rng(0).normal(size=(2, 2, 1))[..., 0]
    expected = (a * c - b * d) ** 2 / 4
    got = variance_of_scores(1, pairs=2, generator=np.random.default_rng(0))
    expect(got, expected, "two pairs of one number each", rtol=1e-9)
    expect(type(got), float, "the type")
    for d in (4, 100):
        variance = float(variance_of_scores(d, generator=np.random.default_rng(1)))
        expect(variance / d, 1, f"d = {d}: the variance over d", atol=0.05)
    print("🔬 variance_of_scores: passed")

test_unit_variance_of_scores()

# %% nbgrader={"grade": true, "grade_id": "test-variance_of_scores-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other numbers of pairs.
### BEGIN HIDDEN TESTS
draws = np.random.default_rng(5).normal(size=(2, 7, 3))
sums = [sum(float(q) * float(k) for q, k in zip(draws[0, i], draws[1, i], strict=True)) for i in range(7)]
wanted = sum((s - sum(sums) / 7) ** 2 for s in sums) / 7
expect(variance_of_scores(3, 7, np.random.default_rng(5)), wanted, "7 pairs of 3 numbers", rtol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: of 50 keys, how much weight does the best one get on average at d = 4 and at d = 1024, with the division and without?
"""

# %%
draw = np.random.default_rng(0)
for d in (4, 64, 1024):
    query, key = (Tensor(draw.normal(size=(100, rows, d))) for rows in (1, 50))
    best = [attention_weights(query, key, scale=scale).max(axis=-1).mean().item() for scale in (None, 1.0)]
    text = f"largest weight divided {best[0]:.2f}, undivided {best[1]:.2f}"
    print(f"d = {d:4}: variance of scores {variance_of_scores(d, generator=draw):7.1f}, {text}")

# %% [markdown]
r"""
Divided, the weights do not depend on the width. Undivided, at 1024 nearly all weight is on one key: there the slope of softmax is nearly 0, and nothing is learned.

Here you can stop: attention works for batches, with masks and gradients.

## Part 2 of 3 · about 4 hours: many heads

One head makes one mean. But a word may want to look at the verb *and* at the word before. So the width E is cut into parts, the *heads*, each of
which attends by itself:

    a row of 4, 2 heads     [0, 1 | 2, 3]    head 0 has [0, 1], head 1 has [2, 3]

**Write `split_heads(x, num_heads)`**, from (…, T, E) to (…, num_heads, T, E/num_heads), and **`merge_heads(x)`**, its inverse, as operations of
Tensors. Head i has the i-th part of every row. A width that is no multiple of the heads is a `ValueError` that names both numbers.
"""

# %% nbgrader={"grade": false, "grade_id": "split_heads", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Cutting a row into parts adds an axis behind the places; where has the axis of the heads to be?", "A reshape alone never moves an entry in memory; after it two axes have to change places.", "The way back undoes both steps in the opposite order."], "minutes": 20, "objective": "heads"}
#| export
def split_heads(x, num_heads):
    """A Tensor (…, T, E) as (…, num_heads, T, E / num_heads): head i has the i-th part of every row.

    Raises ValueError where E is no multiple of num_heads.
    """
    ### BEGIN SOLUTION
    *leading, length, width = x.shape
    if width % num_heads:
        raise ValueError(f"split_heads: a width of {width} is no multiple of {num_heads} heads")
    return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)
    ### END SOLUTION


def merge_heads(x):
    """What split_heads has split: (…, num_heads, T, d) as (…, T, num_heads · d)."""
    ### BEGIN SOLUTION
    *leading, heads, length, width = x.shape
    return x.transpose(-3, -2).reshape(*leading, length, heads * width)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-split_heads", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_split_heads():
    x = Tensor([[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], requires_grad=True)
    heads = split_heads(x, 2)
    expect(heads, [[[0, 1], [4, 5], [8, 9]], [[2, 3], [6, 7], [10, 11]]], "3 rows of 4 in 2 heads")
    expect(merge_heads(heads), x, "and together again")
    expect(split_heads(x, 1), [x.numpy()], "one head")
    (heads[1] * 3).sum().backward()
    expect(x.grad, [[0, 0, 3, 3]] * 3, "the gradient of head 1 goes to the second half of each row")
    batch = Tensor(np.arange(24.0).reshape(2, 3, 4))
    expect(split_heads(batch, 4).shape, (2, 4, 3, 1), "2 batches of 3 rows of 4, in 4 heads")
    expect(np.asarray(split_heads(batch, 2))[1, 0, 2], [20, 21], "batch 1, head 0, row 2")
    expect(merge_heads(split_heads(batch, 4)), batch, "the batch together again")
    expect(split_heads(Tensor(np.zeros((0, 3, 4))), 2).shape, (0, 2, 3, 2), "no batch")
    expect_error(ValueError, [4, 3], split_heads, x, 3)
    print("🔬 split_heads and merge_heads: passed")

test_unit_split_heads()

# %% nbgrader={"grade": true, "grade_id": "test-split_heads-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more axes in front, and heads that were not split before.
### BEGIN HIDDEN TESTS
many = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
split = np.asarray(split_heads(Tensor(many, dtype=np.float64), 3))
expect(split[1, 2, 1], many[1, 2, :, 2:4], "batch (1, 2), head 1")
merged = np.asarray(merge_heads(Tensor(many, dtype=np.float64)))
expect(merged.shape, (2, 5, 18), "3 heads of 6 numbers")
expect(merged[1, 4, 6:12], many[1, 1, 4], "row 4, the second head's part")
### END HIDDEN TESTS

# %% [markdown]
r"""
### The layer

PyTorch's `MultiheadAttention` maps query, key and value by three matrices, which lie below each other in one parameter `in_proj_weight` (3E, E): rows
0 to E for the query, then E for the key, E for the value; `in_proj_bias` (3E,), or None, likewise. The heads attend side by side, are merged, and go
through `out_proj`. Query, key and value may be one and the same (*self-attention*) or two texts (*cross-attention*).

One trap. In its boolean masks **True leaves out**, the opposite of `scaled_dot_product_attention`:

    may the two places be seen?    yes, no
    scaled_dot_product_attention   [True, False]
    MultiheadAttention             [False, True]

The folded cell makes one mask of all that the layer is given, still in the layer's convention. `attention_and_weights` takes it in the other one. It
computes what `scaled_dot_product_attention` does, with dropout on the weights, and returns the weights too where they are asked for.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-attention", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def plain_weights(query, key, mask=None, *, scale):
    """attention_weights of arrays, in few passes over memory."""
    scores = (query * scale) @ np.swapaxes(key, -1, -2)
    if mask is not None:
        scores = scores + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask).astype(scores.dtype)
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    scores -= np.where(peak == -np.inf, 0, peak)  # -inf - -inf would be nan
    np.exp(scores, out=scores)
    total = scores @ np.ones((scores.shape[-1], 1), scores.dtype)  # their sum, faster as a product
    scores /= np.where(total == 0, 1, total)
    return scores


@Op
@np.errstate(all="ignore")
def attention(query, key, value, mask=None, *, scale):
    """scaled_dot_product_attention as one operation; its rule computes the weights again.

    query (…, n, d), key (…, m, d), value (…, m, v); mask: boolean, where True attends, or floating, and it
    gets no gradient.
    """
    arrays = to_float32([query, key, value])
    return (plain_weights(*arrays[:2], mask, scale=scale) @ arrays[2]).astype(value.dtype, copy=False)


def attention_and_weights(
    query, key, value, attn_mask=None, is_causal=False, scale=None, *, dropout=0.0, need_weights=False
):
    """(scaled_dot_product_attention, its weights or None), with dropout on the weights.

    Where neither weights nor dropout are asked for, the operation `attention` computes it and keeps none.
    """
    mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
    is_learned = isinstance(mask, Tensor) and mask.requires_grad
    if not (dropout or need_weights or is_learned) and attention.rule is not None:
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        return attention(query, key, value, *([] if mask is None else [mask]), scale=scale), None
    weights = Dropout(dropout)(attention_weights(query, key, mask, scale))
    return weights @ value, weights if need_weights else None


def joined_mask(attn_mask, key_padding_mask, is_causal, queries, keys, num_heads):
    """The masks of MultiheadAttention as one Tensor (N, heads, n, m), broadcast, or None; True leaves out.

    attn_mask: (n, m) or (N · heads, n, m); key_padding_mask: (N, m) or (m,). Floating if one of them is.
    Raises TypeError for a mask of integers, ValueError for attn_mask with is_causal.
    """
    if is_causal:
        attn_mask = ~one_mask(attn_mask, is_causal, queries, keys)
    masks = []
    for name, mask, length in (("attn_mask", attn_mask, queries), ("key_padding_mask", key_padding_mask, 1)):
        if mask is not None:
            mask = mask if isinstance(mask, Tensor) else Tensor.wrap(mask)
            if mask.dtype.kind not in "bf":
                raise TypeError(f"{name} is boolean (True leaves out) or floating (added), not {mask.dtype}")
            masks.append(mask.reshape(-1, num_heads if mask.ndim == 3 else 1, length, mask.shape[-1]))
    if len(masks) < 2:
        return masks[0] if masks else None
    if all(mask.dtype == bool for mask in masks):
        return masks[0] | masks[1]
    first, second = (where(mask, -math.inf, 0.0) if mask.dtype == bool else mask for mask in masks)
    return first + second


class Projection(Linear):
    """A Linear that takes all rows of all sequences in one product."""

    def forward(self, x):
        return linear(x, self.weight, self.bias)


def to_batch(x, batch_first):
    """(n, N, E), or (N, n, E) where batch_first, or (n, E) as (N, n, E)."""
    if x.ndim not in (2, 3):
        raise ValueError(f"MultiheadAttention takes (n, N, E), (N, n, E) or (n, E), not {x.shape}")
    return x.unsqueeze(0) if x.ndim == 2 else x if batch_first else x.transpose(0, 1)

# %% [markdown]
r"""
**Write two parts of `MultiheadAttention`.** `project` returns the three mapped inputs: `linear(x, weight, bias)` with the thirds. In `forward`,
behind the lines that are given, everything has a batch in front: query (N, n, E), key and value (N, m, E). (1) Turn a boolean `mask` round. (2) Project, and split
into heads. (3) `attention_and_weights`, which takes `dropout` and `need_weights` too, makes `heads` and `weights` (None unless `need_weights`). (4) Merge, and
`out_proj` makes `out`, (N, n, E).
"""

# %% nbgrader={"grade": false, "grade_id": "MultiheadAttention", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which rows of the large weight belong to the key, and how are they cut out so that their gradient finds the way back?", "In forward: mask, project, split, attend, merge, out_proj, in this order. A floating mask means the same to both functions, and no mask is left as it is.", "The dropout to pass on is the one computed above, which is 0 in evaluation; the scores are divided by the root of a head's width, which attention_weights does by itself."], "minutes": 60, "objective": "heads"}
#| export
class MultiheadAttention(Module):
    """In a boolean mask **True leaves out** (in scaled_dot_product_attention it attends), as in PyTorch.

    num_heads heads attend side by side, each in its own embed_dim / num_heads of the width, between three
    linear maps of the inputs and one of the result. dropout: the probability with which a weight becomes 0 in
    training. Parameters have PyTorch's names and start as there. Raises ValueError where embed_dim is no
    multiple of num_heads.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, *, batch_first=False, dtype=np.float32):
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim {embed_dim} is no multiple of {num_heads} heads")
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.dropout, self.batch_first = dropout, batch_first
        self.in_proj_weight = Parameter(xavier_uniform_(zeros(3 * embed_dim, embed_dim, dtype=dtype)))
        self.in_proj_bias = Parameter(zeros(3 * embed_dim, dtype=dtype)) if bias else None
        self.out_proj = Projection(embed_dim, embed_dim, bias, dtype=dtype)
        if bias:
            zeros_(self.out_proj.bias)

    def project(self, query, key, value):
        """Query, key and value, each times its third of in_proj_weight's rows, with its third of the bias."""
        ### BEGIN SOLUTION
        mapped = []
        for i, x in enumerate((query, key, value)):
            third = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
            bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
            mapped.append(linear(x, self.in_proj_weight[third], bias))
        return mapped
        ### END SOLUTION

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        """(out, weights or None) for query (n, N, E), key and value (m, N, E); batch_first: (N, n, E).

        Without a batch: (n, E). key_padding_mask: (N, m); attn_mask: (n, m) or (N · heads, n, m); boolean,
        where True leaves out, or floating, which is added. out has the shape of query; weights are (N, n, m),
        the mean over the heads, or (N, heads, n, m). Raises ValueError for attn_mask with is_causal.
        """
        shape, dropout = query.shape, self.dropout if self.training else 0.0
        query, key, value = (to_batch(x, self.batch_first) for x in (query, key, value))
        lengths = query.shape[1], key.shape[1]
        mask = joined_mask(attn_mask, key_padding_mask, is_causal, *lengths, self.num_heads)
        ### BEGIN SOLUTION
        if mask is not None and mask.dtype == bool:
            mask = ~mask
        query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, key, value))
        heads, weights = attention_and_weights(
            query, key, value, mask, dropout=dropout, need_weights=need_weights
        )
        out = self.out_proj(merge_heads(heads))
        ### END SOLUTION
        out = out.reshape(shape) if len(shape) == 2 or self.batch_first else out.transpose(0, 1)
        if weights is None:
            return out, None
        weights = weights.mean(axis=1) if average_attn_weights else weights
        return out, weights.squeeze(0) if len(shape) == 2 else weights

    def extra_repr(self):
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"

# %% nbgrader={"grade": false, "grade_id": "provided-sample_layer", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
def sample_layer():
    """A layer of width 4 with 2 heads, and two inputs, (2, 3, 4) and (2, 5, 4), in float64."""
    layer = MultiheadAttention(4, 2, batch_first=True, dtype=np.float64)
    for i, parameter in enumerate(layer.parameters()):
        parameter.data[...] = np.cos(np.arange(parameter.numel()) + i).reshape(parameter.shape)
    x, y = (np.sin(np.arange(2 * rows * 4.0)).reshape(2, rows, 4) for rows in (3, 5))
    return layer, Tensor(x, dtype=np.float64), Tensor(y, dtype=np.float64)

# %% nbgrader={"grade": true, "grade_id": "test-MultiheadAttention-project", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_project():
    layer = MultiheadAttention(2, 1, dtype=np.float64)
    layer.in_proj_weight.data[...] = np.arange(12.0).reshape(6, 2)
    layer.in_proj_bias.data[...] = [0, 0, 0, 100, 0, 0]
    inputs = [Tensor([[[x, 1.0]]], dtype=np.float64) for x in (1, 2, 3)]
    mapped = layer.project(*inputs)
    wanted = [[[[1, 5]]], [[[13, 119]]], [[[33, 41]]]]
    for name, got, expected in zip(("query", "key", "value"), mapped, wanted, strict=True):
        expect(got, expected, f"the {name}, times its third, with its third of the bias")
    mapped[1].sum().backward()
    expect(layer.in_proj_weight.grad[1:5], [[0, 0], [2, 1], [2, 1], [0, 0]], "the key's third learns")
    bare = MultiheadAttention(2, 1, bias=False, dtype=np.float64)
    bare.in_proj_weight.data[...] = np.arange(12.0).reshape(6, 2)
    expect(list(bare.project(*inputs))[1], [[[13, 19]]], "the key without a bias")
    print("🔬 MultiheadAttention, project: passed")

test_unit_project()

# %% nbgrader={"grade": true, "grade_id": "test-MultiheadAttention-values", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_multihead_values():
    layer, x, y = sample_layer()  # the numbers below are PyTorch 2.13's
    out, weights = layer(x, x, x)
    expect(out.shape, (2, 3, 4), "self-attention: the shape")
    expect(out[1, 2], [-1.382210979, -3.217491518, 4.027566314, -1.370339917], "self-attention", atol=1e-8)
    expect(weights[1, 2], [0.520857211, 0.478858997, 0.000283793], "the heads' mean weights", atol=1e-8)
    out, weights = layer(x, y, y)
    expect(out[0, 1], [1.818007114, -3.611230189, 1.342077763, 2.534103675], "cross-attention", atol=1e-8)
    expect(weights.shape, (2, 3, 5), "cross-attention: 3 places look at 5")
    apart = layer(x, y, y, average_attn_weights=False)[1]
    expect(apart[0, 1, 2, :3], [0.008744029, 0.667676812, 0.002613281], "head 1 by itself", atol=1e-8)
    plain, nothing = layer(x, y, y, need_weights=False)
    expect((plain, nothing), (out, None), "need_weights=False: the same, and None", atol=1e-12)
    expect(layer(x[0], y[0], y[0]), (out[0], weights[0]), "without a batch", atol=1e-12)
    layer.dropout = 1.0
    expect(layer(x, x, x)[0][0], [layer.out_proj.bias.numpy()] * 3, "training: all dropped", atol=1e-12)
    expect(layer.eval()(x, y, y)[0], out, "evaluation: none dropped", atol=1e-12)
    print("🔬 MultiheadAttention, values: passed")

test_unit_multihead_values()

# %% nbgrader={"grade": true, "grade_id": "test-MultiheadAttention-masks", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_multihead_masks():
    layer, x, y = sample_layer()
    future = np.triu(np.ones((3, 3), bool), 1)
    out, weights = layer(x, x, x, attn_mask=future)
    expect(weights.numpy()[:, future], [[0, 0, 0]] * 2, "True leaves out: nothing of the future")
    expect(out[1, 1], [-0.610812013, -2.586755585, 2.431614309, 0.085291844], "the second place", atol=1e-8)
    expect(layer(x, x, x, is_causal=True), (out, weights), "is_causal says the same", atol=1e-12)
    padding = np.zeros((2, 5), bool)
    padding[1, 3:] = True
    out = layer(x, y, y, key_padding_mask=padding)[0]
    expect(out[1], layer(x, y[:, :3], y[:, :3])[0][1], "padding might as well not be there", atol=1e-12)
    added = np.where(padding, -np.inf, 0.0)
    expect(layer(x, y, y, key_padding_mask=added)[0], out, "the same by adding -inf", atol=1e-12)
    padding[0] = True
    lost = layer(x, y, y, key_padding_mask=padding)
    expect(lost[1][0], np.zeros((3, 5)), "a text of padding only: weights 0")
    expect(lost[0][0], [layer.out_proj.bias.numpy()] * 3, "and nothing but the last bias", atol=1e-12)
    expect_error(ValueError, "is_causal", layer, x, x, x, attn_mask=future, is_causal=True)
    print("🔬 MultiheadAttention, masks: passed")

test_unit_multihead_masks()

# %% nbgrader={"grade": true, "grade_id": "test-MultiheadAttention-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: one head against scaled_dot_product_attention, both masks together, and gradients.
### BEGIN HIDDEN TESTS
layer, x, y = sample_layer()
both = layer(x, y, y, key_padding_mask=np.arange(5) > [[2], [3]], attn_mask=np.eye(3, 5, dtype=bool))[1]
allowed = ~(np.eye(3, 5, dtype=bool) | (np.arange(5) > np.array([[2], [3]]))[:, None])
expect(both.numpy() > 0, allowed, "who is seen with both masks")
single, draw = MultiheadAttention(3, 1, bias=False, dtype=np.float64), np.random.default_rng(4)
thirds = draw.normal(size=(3, 3, 3))
single.in_proj_weight.data[...] = thirds.reshape(9, 3)
single.out_proj.weight.data[...] = np.eye(3)
rows = [draw.normal(size=(4, 3)) for _ in range(3)]
maps = [Tensor(row @ third.T, dtype=np.float64) for row, third in zip(rows, thirds, strict=True)]
texts = [Tensor(row[:, None], True, np.float64) for row in rows]
out = single(*texts, need_weights=False)[0]
expect(np.asarray(out)[:, 0], scaled_dot_product_attention(*maps), "one head, batch_first=False", atol=1e-12)
out.sum().backward()
expect([text.grad is not None for text in texts], [True] * 3, "all three inputs get gradients")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Three probes

A model can be wrong and learn all the same: without its mask the loss even falls faster. So look from outside, at any function from ids to
outputs. First: does it see the future? Change one token. Outputs *before* it must stay (else there is a *leak*), and outputs *behind* it must move
(else it does not look back at all, like a model of zeros, for which everything stays).

    ids [5, 7, 5], running sums [5, 12, 17]       place 1 becomes 5:  [5, 10, 15], place 2 moved by 2

**Write `causality_gap(model, ids)`**: with the unchanged ids and then for each place t, in all rows of `ids` at once, let the model run on a Tensor
of ids whose column t is replaced: by the smallest of all ids, or, in a row that holds just that there, by the largest. `leak` is the largest absolute change at a place
before t, over all t, and `reach` the largest behind t; two floats, 0 where there is no such place. `ids` stays.
"""

# %% nbgrader={"grade": false, "grade_id": "causality_gap", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How often does the model have to run, and what has to be copied every time?", "Subtract the outputs for the unchanged ids; then cut the differences at place t, and leave out place t itself.", "A maximum over no entries needs a starting value."], "minutes": 25, "objective": "probes"}
#| export
@no_grad()
def causality_gap(model, ids):
    """(leak, reach): how far a changed token moves outputs before it, and how far outputs behind it.

    model: from an integer Tensor (B, T) to a Tensor (B, T, …). ids: integers (B, T), of at least two kinds.
    Each place t in turn gets the smallest of all ids, or the largest where the smallest stands. Both are the
    largest absolute differences over all t, floats.
    """
    ids = np.asarray(ids)
    ### BEGIN SOLUTION
    low, high = ids.min(), ids.max()
    before, leak, reach = model(Tensor(ids)).numpy(), 0.0, 0.0
    for t in range(ids.shape[1]):
        changed = ids.copy()
        changed[:, t] = np.where(ids[:, t] == low, high, low)
        moved = np.abs(model(Tensor(changed)).numpy() - before)
        leak = max(leak, float(moved[:, :t].max(initial=0)))
        reach = max(reach, float(moved[:, t + 1 :].max(initial=0)))
    return leak, reach
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-cumulative", "locked": true, "schema_version": 3, "solution": false, "task": false}
def running_sum(ids):
    """A model without parameters: place t has the sum of the ids up to t."""
    return Tensor(np.cumsum(ids.numpy(), axis=1), dtype=np.float64).unsqueeze(2)

# %% nbgrader={"grade": true, "grade_id": "test-causality_gap", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_causality_gap():
    ids = np.array([[5, 7, 5]])
    expect(causality_gap(running_sum, ids), (0.0, 2.0), "running sums: no leak, and they reach ahead")
    expect(ids, [[5, 7, 5]], "the ids stay")
    expect(causality_gap(running_sum, Tensor(ids)), (0.0, 2.0), "the same from a Tensor")
    expect(causality_gap(lambda ids: running_sum(ids) * 0.0, ids), (0.0, 0.0), "zeros: neither")
    expect(causality_gap(lambda ids: ids.astype(np.float64) * 3.0, ids), (0.0, 0.0), "only itself: neither")

    def next_one(ids):
        return Tensor(np.roll(ids.numpy(), -1, axis=1), dtype=np.float64)

    expect(causality_gap(next_one, np.array([[1, 2, 2, 4]])), (3.0, 3.0), "the next token: a leak of 4 - 1")
    rows = np.array([[5, 3], [5, 9]])
    expect(causality_gap(running_sum, rows), (0.0, 2.0), "two rows: 5 becomes 3, the smallest of all ids")
    print("🔬 causality_gap: passed")

test_unit_causality_gap()

# %% nbgrader={"grade": true, "grade_id": "test-causality_gap-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a leak from the last place only; a single place.
### BEGIN HIDDEN TESTS
def last_minus(ids):
    return Tensor(ids.numpy()[:, -1:] * -0.5 + np.zeros((1, 4)), dtype=np.float64).unsqueeze(2)


expect(causality_gap(last_minus, np.array([[2, 2, 2, 6]])), (2.0, 0.0), "the last place moves all")
expect(causality_gap(running_sum, np.array([[3], [4]])), (0.0, 0.0), "a single place")
### END HIDDEN TESTS

# %% [markdown]
r"""
Second: does it know the order? Exchanging two tokens does not tell. With a causal mask and two layers even a model without positions notices, because
the place between sees one of them and not the other. But fill a row with *one* token: whatever the weights are, the mean of equal rows is that row,
so without positions all outputs are equal.

**Write `position_gap(model, ids)`**: fill each row of `ids` with its own first token, and return the largest absolute difference of an output from
the output at place 0 of the same row, a float.
"""

# %% nbgrader={"grade": false, "grade_id": "position_gap", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which column of ids is left, and how does it get the old width?", "Slice the first place so that its axis stays, and the subtraction broadcasts."], "minutes": 15, "objective": "probes"}
#| export
@no_grad()
def position_gap(model, ids):
    """How far outputs differ between places that hold the same token: 0 for a model that knows no order.

    model, ids: as in causality_gap. Every row of ids is filled with its own first token; the result is the
    largest absolute difference of an output from the one at place 0 of its row, a float.
    """
    ids = np.asarray(ids)
    ### BEGIN SOLUTION
    out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
    return float(np.abs(out - out[:, :1]).max())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-position_gap", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_position_gap():
    ids = np.array([[5, 7, 9], [2, 0, 1]])
    expect(position_gap(running_sum, ids), 10.0, "running sums of 5, 5, 5 and of 2, 2, 2")
    expect(ids, [[5, 7, 9], [2, 0, 1]], "the ids stay")

    def running_mean(ids):
        return running_sum(ids) / Tensor(np.arange(1.0, 4)[:, None], dtype=np.float64)

    expect(position_gap(running_mean, Tensor(ids)), 0.0, "running means know no order", atol=1e-12)
    expect(position_gap(lambda ids: running_sum(ids) * 0.0, ids), 0.0, "zeros know none either")
    places = Tensor([[0.0], [-3.0], [1.0]])
    expect(position_gap(lambda ids: running_mean(ids) + places, ids), 3.0, "with positions added", atol=1e-12)
    expect(type(position_gap(running_sum, ids)), float, "the type")
    print("🔬 position_gap: passed")

test_unit_position_gap()

# %% nbgrader={"grade": true, "grade_id": "test-position_gap-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: each row is compared with itself, in several outputs a place.
### BEGIN HIDDEN TESTS
def two_outputs(ids):
    x = Tensor(ids.numpy(), dtype=np.float64).unsqueeze(2)
    return x * Tensor([100.0, 0], dtype=np.float64) + Tensor(np.arange(8.0).reshape(4, 2) ** 2)


expect(position_gap(two_outputs, np.array([[1, 2, 3, 4], [9, 9, 9, 9]])), 48.0, "the second output: 49 - 1")
### END HIDDEN TESTS

# %% [markdown]
r"""
Third: does it prefer anything? The *entropy* of a row of weights, −Σ w·ln w with 0·ln 0 = 0, is ln k where k places share equally, and 0 where one
has all.

    weights [1/2, 1/2, 0, 0]     entropy ln 2,  over ln 4:  1/2      →  focus 1/2

**Write `focus(weights, mask)`**, the mean of 1 − entropy/ln k over the rows, a float. k is the number of places in a row that the mask allows, or all
of them without one; a causal model that weighs its past equally has focus 0. Rows of zeros and rows with fewer than two allowed places do not count,
and where no row counts, the focus is 0. `allowed` is given: the mask in the weights' shape.
"""

# %% nbgrader={"grade": false, "grade_id": "focus", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Put a 1 where a weight is 0, inside the logarithm only: what is its product with the weight then?", "Compute entropy and number of places for every row, then pick the rows that count before dividing.", "The mean over no rows has to be avoided by hand."], "minutes": 20, "objective": "probes"}
#| export
def focus(weights, mask=None):
    """From 0, where every row of `weights` (…, n, m) is uniform, to 1, where it is at one place: a float.

    The mean of 1 - entropy / ln(places) over the rows, where places counts what mask, boolean and True where
    a row may attend, allows; without one, all m. Rows of zeros and of fewer than two places do not count;
    where no row counts, 0.
    """
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    ### BEGIN SOLUTION
    places = allowed.sum(axis=-1)
    entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)
    counts = (places > 1) & (weights > 0).any(axis=-1)
    return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-focus", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_focus():
    with no_warnings("weights of 0"):
        expect(focus(np.array([[0.5, 0.5, 0, 0]])), 0.5, "half of the places share equally", atol=1e-12)
        expect(focus([[0.0, 1, 0]]), 1.0, "all on one place", atol=1e-12)
        expect(focus([[1.0]]), 0.0, "one place only: nothing to prefer")
        expect(focus(np.zeros((2, 3))), 0.0, "rows of zeros")
    expect(focus(np.full((2, 4, 8), 1 / 8)), 0.0, "uniform", atol=1e-12)
    expect(focus(Tensor([[0.25, 0.75], [0.5, 0.5]])), 0.0943609, "rows of focus 0.1887 and 0", atol=1e-6)
    causal = np.tri(3, dtype=bool)
    even = causal / causal.sum(axis=1, keepdims=True)
    expect(focus(even, causal), 0.0, "uniform over the past", atol=1e-12)
    expect(focus(np.stack([even, np.eye(3)]), causal), 0.5, "two heads, one on itself", atol=1e-12)
    print("🔬 focus: passed")

test_unit_focus()

# %% nbgrader={"grade": true, "grade_id": "test-focus-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: masks that differ from row to row, and rows that do not count among others.
### BEGIN HIDDEN TESTS
weights = np.array([[0.0, 0, 0, 0], [0, 0.25, 0.75, 0], [0, 0, 0, 1]])
may = np.array([[True] * 4, [False, True, True, False], [False, False, False, True]])
entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
expect(focus(weights, may), 1 - entropy / np.log(2), "one row counts", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Put together: copying and reversing

Eight of twelve symbols, a mark, and then the same eight again, or backwards. One layer with one head and the tables of module 11 has to learn *where
to look*. **Predict**: at the mark, which place does it attend to when it copies, which when it reverses? And a model without positions?
"""

# %%
from tinytorch.core.embeddings import Embedding, PositionalEmbedding


class Reader(Module):
    """From ids (B, T) to logits (B, T, symbols) by a single layer of causal attention."""

    def __init__(self, symbols=13, length=16, width=32, knows_places=True):
        super().__init__()
        self.tokens, self.knows_places = Embedding(symbols, width), knows_places
        self.places = PositionalEmbedding(length, width)
        self.attention, self.head = MultiheadAttention(width, 1, batch_first=True), Linear(width, symbols)

    def look(self, ids, need_weights=True):
        x = self.tokens(ids)
        x = self.places(x) if self.knows_places else x
        return self.attention(x, x, x, is_causal=True, need_weights=need_weights)

    def forward(self, ids):
        return self.head(self.look(ids, need_weights=False)[0])

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt

from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import manual_seed


def eight_and_again(draw, backwards, batch):
    """Ids (batch, 16) of eight symbols, the mark 12 and seven more; and what has to follow, (batch, 8)."""
    symbols = draw.integers(0, 12, (batch, 8))
    again = symbols[:, ::-1] if backwards else symbols
    return np.concatenate([symbols, np.full((batch, 1), 12), again[:, :-1]], axis=1), again


def learned(backwards, steps=250, **settings):
    """A Reader, trained, and the share of 500 new rows that it gets right as a whole."""
    manual_seed(0)
    draw, model = np.random.default_rng(0), Reader(**settings)
    optimizer = Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        ids, again = eight_and_again(draw, backwards, batch=32)
        optimizer.zero_grad()
        loss = CrossEntropyLoss()(model(Tensor(ids))[:, 8:].reshape(-1, 13), again.reshape(-1))
        loss.backward()
        optimizer.step()
    ids, again = eight_and_again(draw, backwards, batch=500)
    with no_grad():
        right = model(Tensor(ids)).numpy()[:, 8:].argmax(axis=2) == again
    return model, right.all(axis=1).mean()


def analyze_reader():
    """What three readers get right, what the probes say of them, and where two of them look."""
    runs = [("copies", False, {}), ("reverses", True, {}), ("no positions", False, {"knows_places": False})]
    figure, panels = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained", sharey=True)
    ids = eight_and_again(np.random.default_rng(1), False, batch=4)[0]
    for i, (name, backwards, settings) in enumerate(runs):
        model, share = learned(backwards, **settings)
        weights = model.look(Tensor(ids))[1].numpy()
        leak, reach = causality_gap(model, ids)
        print(f"📊 {name}: {share:.1%} of new rows right; leak {leak:.1g}, reach {reach:.1f}", end=", ")
        print(f"position gap {position_gap(model, ids):.1g}, focus {focus(weights, causal_mask(16, 16)):.2f}")
        if i < 2:
            image = panels[i].imshow(weights[0], cmap="Greys", vmin=0, vmax=1)
            panels[i].axhline(7.5, color="C0", lw=1, ls="--")
            panels[i].set(title=f"{name} (below the line)", xlabel="place that is looked at")
            panels[i].set(xticks=range(0, 16, 4), yticks=range(0, 16, 4))
    panels[0].set(ylabel="place that looks")
    figure.colorbar(image, ax=panels, label="weight")
    plt.show()

analyze_reader()

# %% [markdown]
r"""
Below the dashed line, from the mark at place 8 on, each row has one dark entry: copying goes along a diagonal, reversing against it. Without
positions eight symbols are a bag. Here you can stop: the layer is PyTorch's.

## Part 3 of 3 · about 3 hours: long sequences

### What a gradient needs

Composed attention keeps several arrays of n·m numbers for `backward`. The operation `attention` of part 2 keeps query, key and value only,
and its rule, which is missing yet, computes the weights again. With weights W, scores S = scale·Q·Kᵀ and the result O = W·V:

    grad V = Wᵀ·grad        grad W = grad·Vᵀ
    grad S = W ∘ (grad W − D),   D = Σⱼ Wⱼ·(grad W)ⱼ,   one number a row      (softmax's rule)
    grad Q = scale · grad S·K        grad K = scale · (grad S)ᵀ·Q

D needs no pass over n·m numbers: Σⱼ Wⱼ·(grad·Vⱼ) = grad·(Σⱼ Wⱼ·Vⱼ) = grad·O, an inner product of two rows.

One query 1, scale 1, keys 0 and ln 3, values 10 and 2, grad 1: W = [1/4, 3/4], O = 4, grad W = [10, 2], grad S = [1/4·6, 3/4·(−2)] = [1.5, −1.5].

**Write `attention_gradient`** for arrays with the same axes in front: `for_query`, `for_key`, `for_value`. `out` is O; float32 stays. `*mask` is nothing or one mask: hand it on to
`plain_weights(query, key, *mask, scale=scale)`, which gives lost rows weights 0. No argument changes.
"""

# %% nbgrader={"grade": false, "grade_id": "attention_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the shapes (…, n, m), (…, n, d), (…, m, v) does each of the four gradients have, so which of two matrices has to be transposed?", "The number D of each row is the sum of grad times out along the last axis, kept as a column so that it broadcasts over the keys.", "Exchange the last two axes only; a plain transpose turns all axes round. The scale stands in the gradients of query and key, and not in that of the value."], "minutes": 60, "objective": "long"}
#| export
@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    """The gradients of `attention` for query, key and value, from `grad` (…, n, v); a mask gets none."""
    ### BEGIN SOLUTION
    weights = plain_weights(query, key, *mask, scale=scale)
    for_scores = grad @ np.swapaxes(value, -1, -2)
    for_scores -= (grad * out).sum(axis=-1, keepdims=True)
    for_scores *= weights
    for_query = for_scores @ key * scale
    for_key = np.swapaxes(for_scores, -1, -2) @ query * scale
    for_value = np.swapaxes(weights, -1, -2) @ grad
    ### END SOLUTION
    return for_query, for_key, for_value, *[None] * len(mask)

# %% nbgrader={"grade": true, "grade_id": "test-attention_gradient-worked", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_gradient():
    query, key, value = np.array([[1.0]]), np.array([[0.0], [math.log(3)]]), np.array([[10.0], [2.0]])
    grad, out = np.array([[1.0]]), np.array([[4.0]])
    for_query, for_key, for_value = attention_gradient(grad, out, query, key, value, scale=1.0)
    expect(for_value, [[0.25], [0.75]], "for the values: the weights", atol=1e-12)
    expect(for_key, [[1.5], [-1.5]], "for the keys: grad S times the query", atol=1e-12)
    expect(for_query, [[-1.5 * math.log(3)]], "for the query: grad S times the keys", atol=1e-12)
    expect((grad, out, query, value), ([[1]], [[4]], [[1]], [[10], [2]]), "no argument changes")

    key = np.array([[0.0], [2 * math.log(3)]])
    for_query, for_key, for_value = attention_gradient(grad * 2, out, query, key, value, scale=0.5)
    expect(for_value, [[0.5], [1.5]], "scale 1/2, grad 2: values", atol=1e-12)
    expect(for_key, [[1.5], [-1.5]], "scale 1/2, grad 2: keys", atol=1e-12)
    expect(for_query, [[-3 * math.log(3)]], "scale 1/2, grad 2: query", atol=1e-12)
    expect(key, [[0], [2 * math.log(3)]], "the keys do not change")
    print("🔬 attention_gradient: passed")

test_unit_attention_gradient()

# %% nbgrader={"grade": false, "grade_id": "provided-both_ways", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
def both_ways(mask, dtype=np.float64):
    """Gradients of query, key and value, composed and by the operation, from the same draws."""
    found = []
    for function in (scaled_dot_product_attention, lambda *inputs: attention_and_weights(*inputs)[0]):
        draw = np.random.default_rng(7)
        inputs = [Tensor(draw.normal(size=(2, 3, *size)), True, dtype) for size in ((4, 2), (5, 2), (5, 3))]
        out = function(*inputs, mask)
        out.backward(draw.normal(size=out.shape))
        found.append([x.grad for x in inputs])
    return found

# %% nbgrader={"grade": true, "grade_id": "test-attention_gradient-masks", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_gradient_masks():
    lost = np.random.default_rng(0).normal(size=(4, 5))
    lost[2] = -np.inf
    masks = {"no mask": None, "causal": causal_mask(4, 5), "floating, row 2 lost": lost, "all lost": lost > 9}
    for name, mask in masks.items():
        composed, mine = both_ways(mask)
        for what, got, expected in zip(("query", "key", "value"), mine, composed, strict=True):
            expect(got, expected, f"{what}, 4 queries and 5 keys, as composed: {name}", atol=1e-12)
    composed, mine = both_ways(None, np.float32)
    expect(mine[0], composed[0], "float32 stays float32", atol=1e-5, dtype=np.float32)
    print("🔬 attention_gradient, batches and masks: passed")

test_unit_attention_gradient_masks()

# %% nbgrader={"grade": true, "grade_id": "test-attention_gradient-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: slopes by finite differences, with a mask in which a row is lost.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(1211)
parts = [drawn.normal(size=size) for size in [(2, 3, 4), (2, 6, 4), (2, 6, 5)]]
allowed, grad = drawn.normal(size=(2, 3, 6)) > 0, drawn.normal(size=(2, 3, 5))
allowed[1, 0] = False
forward = lambda inputs: plain_weights(inputs[0], inputs[1], allowed, scale=0.3) @ inputs[2]
slopes = attention_gradient(grad, forward(parts), *parts, allowed, scale=0.3)
for i, name in enumerate(("query", "key", "value")):
    step = drawn.normal(size=parts[i].shape)
    moved = [[p + way * step if j == i else p for j, p in enumerate(parts)] for way in (1e-6, -1e-6)]
    slope = ((forward(moved[0]) - forward(moved[1])) * grad).sum() / 2e-6
    expect((np.asarray(slopes[i]) * step).sum(), slope, f"the slope along a step of the {name}", atol=1e-7)
expect(np.asarray(slopes[0])[1, 0], [0, 0, 0, 0], "the lost row's query")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Without the weights

Even to compute the weights of all keys at once takes n·m numbers. But a mean can be kept while the keys come in blocks. Keep three things for each
query: the largest score so far (`peak`), the sum of e^(score − peak), and the sum of the values with these factors. Where a block brings a higher
score, both sums shrink by e^(old peak − new peak):

    block 1: score 0, value 10       peak 0       total 1               sum 10
    block 2: score ln 3, value 2     peak ln 3    total 1/3 + 1 = 4/3   sum 10/3 + 2 = 16/3     →   16/3 : 4/3 = 4

the same 4 as before. In the beginning the old peak is −∞, and e^(old − new) = 0 (Milakov and Gimelshein, 2018; FlashAttention, Dao and others, 2022, does
this in a processor's fast memory).

**Write `attention_in_blocks(query, blocks)`** for arrays: `blocks` is an iterator of pairs (key (…, m, d), value (…, m, v)), of different lengths, at
least one key in each. It can be read once, and its arrays are overwritten by the next block: keep none. Divide by √d. float32 stays float32.
"""

# %% nbgrader={"grade": false, "grade_id": "attention_in_blocks", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which three running numbers has each query, and what are their shapes, so that the first two broadcast against the third?", "For each block: scores, the new peak, the factor by which the old sums shrink, the weights of this block. Then both sums, and last the peak.", "The new peak is the larger one of the old peak and the block's largest score, for each query by itself."], "minutes": 45, "objective": "long"}
#| export
def attention_in_blocks(query, blocks):
    """The attention of `query` (…, n, d) to keys and values that come in blocks: an array (…, n, v).

    blocks: an iterator of (key (…, m, d), value (…, m, v)), arrays of at least one key; each is read once and
    not kept (Milakov and Gimelshein, 2018). The scores are divided by √d.
    """
    ### BEGIN SOLUTION
    query = query / math.sqrt(query.shape[-1])
    peak, total, out = -np.inf, 0.0, 0.0
    for key, value in blocks:
        scores = query @ np.swapaxes(key, -1, -2)
        higher = np.maximum(peak, scores.max(axis=-1, keepdims=True))
        shrink, weights = np.exp(peak - higher), np.exp(scores - higher)
        total = total * shrink + weights.sum(axis=-1, keepdims=True)
        out = out * shrink + weights @ value
        peak = higher
    return out / total
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-attention_in_blocks-worked", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_in_blocks():
    blocks = [(np.array([[0.0]]), np.array([[10.0]])), (np.array([[math.log(3)]]), np.array([[2.0]]))]
    query = np.array([[1.0]])
    with no_warnings("the first block"):
        expect(attention_in_blocks(query, iter(blocks)), [[4]], "the worked example", atol=1e-12)
        expect(attention_in_blocks(query, iter(blocks[::-1])), [[4]], "the higher score first", atol=1e-12)
        expect(attention_in_blocks(query, iter(blocks[1:])), [[2]], "one block: its value", atol=1e-12)
    expect(blocks[0], ([[0]], [[10]]), "the blocks stay")
    large = [(np.array([[score]]), np.array([[value]])) for score, value in [(-900.0, 5.0), (900.0, 7.0)]]
    with no_warnings("scores of -900 and 900"):
        expect(attention_in_blocks(query, iter(large)), [[7]], "-900, then 900", atol=1e-12)
        expect(attention_in_blocks(query, iter(large[::-1])), [[7]], "900, then -900", atol=1e-12)
        expect(attention_in_blocks(query, iter(large[:1])), [[5]], "-900 alone", atol=1e-12)
        one = [tuple(np.concatenate(parts) for parts in zip(*large, strict=True))]
        got = attention_in_blocks(np.array([[1.0], [0.0]]), iter(one))
        expect(got, [[7], [6]], "both in one block; the second query's scores are 0", atol=1e-12)
    print("🔬 attention_in_blocks: passed")

test_unit_attention_in_blocks()

# %% nbgrader={"grade": false, "grade_id": "provided-one_block_at_a_time", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
def one_block_at_a_time(key, value, size):
    """Blocks of `size` keys, all in the same two arrays: each block overwrites the one before."""
    kept = None
    for start in range(0, key.shape[-2], size):
        block = [x[..., start : start + size, :] for x in (key, value)]
        if kept is None or block[0].shape != kept[0].shape:
            kept = [part.copy() for part in block]
        for array, part in zip(kept, block, strict=True):
            array[...] = part
        yield tuple(kept)
        for array in kept:
            array[...] = 1e6  # whoever kept it sees nonsense from here on

# %% nbgrader={"grade": true, "grade_id": "test-attention_in_blocks-blocks", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_in_blocks_overwritten():
    draw = np.random.default_rng(2)
    query, key, value = (draw.normal(size=(2, 3, *size)) for size in [(4, 4), (10, 4), (10, 6)])
    whole = scaled_dot_product_attention(*(Tensor(x, dtype=np.float64) for x in (query, key, value)))
    for size in (10, 5, 4, 1):
        got = attention_in_blocks(query, one_block_at_a_time(key, value, size))
        expect(got, whole, f"10 keys in blocks of {size}, batches of shape (2, 3)", atol=1e-12)
    query, key, value = (x.astype(np.float32) for x in (query, key, value))
    got = attention_in_blocks(query, one_block_at_a_time(key, value, 3))
    expect(got, whole, "in float32", atol=1e-5, dtype=np.float32)
    print("🔬 attention_in_blocks, overwritten blocks: passed")

test_unit_attention_in_blocks_overwritten()

# %% nbgrader={"grade": true, "grade_id": "test-attention_in_blocks-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: queries whose highest scores stand in different blocks, and many keys.
### BEGIN HIDDEN TESTS
query = np.array([[30.0, 0, 0, 0], [0, 30, 0, 0], [0, 0, 30, 0], [-9, 3, 3, 3]])
values = np.arange(8.0).reshape(4, 2)
shares = np.exp((query - query.max(axis=1, keepdims=True)) / 2)
got = attention_in_blocks(query, one_block_at_a_time(np.eye(4), values, 1))
expect(got, shares @ values / shares.sum(axis=1, keepdims=True), "a peak for each query", atol=1e-12)
drawn = np.random.default_rng(1209)
query, keys, values = drawn.normal(size=(3, 2)), drawn.normal(size=(900, 2)), drawn.normal(size=(900, 5))
shares = np.exp(query @ keys.T / math.sqrt(2))
got = attention_in_blocks(query, one_block_at_a_time(keys, values, 128))
expect(got, shares @ values / shares.sum(axis=1, keepdims=True), "900 keys in blocks of 128", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
## All of it

Three ways to the same numbers, PyTorch's gradients, and what the probes say of one layer with positions and without:
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    layer, x, y = sample_layer()
    for need_weights in (True, False):  # PyTorch 2.13's numbers
        layer.zero_grad()
        out = layer(x, y, y, need_weights=need_weights)[0]
        loss = (out * out).sum()
        loss.backward()
        expect(loss, 127.42398422527171, f"the sum of squares, need_weights={need_weights}", rtol=1e-9)
        grads = np.asarray(layer.in_proj_weight.grad)
        expect(grads[::5, 1], [-23.284356779, 2.738295669, -20.093171228], "three gradients", rtol=1e-8)

    query, key, value = x.numpy(), y.numpy(), y.numpy() ** 2
    whole = scaled_dot_product_attention(*(Tensor(part, dtype=np.float64) for part in (query, key, value)))
    expect(np.asarray(whole)[1, 0], attend(query[1, 0], key[1], value[1]), "one query by loops", atol=1e-12)
    expect(attention_in_blocks(query, one_block_at_a_time(key, value, 2)), whole, "and in blocks", atol=1e-12)

    ids, table = np.array([[1, 0, 2, 1, 0]]), np.cos(np.arange(12.0)).reshape(3, 4)
    for places in (0.0, 1.0):
        steps = np.sin(np.arange(20.0)).reshape(1, 5, 4) * places
        rows = lambda ids, steps=steps: Tensor(table[ids.numpy()] + steps, dtype=np.float64)
        model = lambda ids, rows=rows: layer(rows(ids), rows(ids), rows(ids), is_causal=True)[0]
        leak, reach = (float(gap) for gap in causality_gap(model, ids))
        expect([leak, reach > 0.1], [0.0, True], f"positions times {places}: leak, reach", atol=1e-12)
        expect(float(position_gap(model, ids)) > 0.1, places > 0, f"positions times {places}: known order")
    print("🧪 module 12, one layer beside PyTorch, three ways and three probes: passed")

test_module()

# %% [markdown]
r"""
## Measure: long sequences

**Predict**: from 1,024 places to 2,048, by what factor do time and bytes grow, for each of the three ways? What stays until `backward`?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import tracemalloc


def three_ways(n, width, block):
    """{name: a call} of attention over n places, in the three ways of this notebook."""
    arrays = np.random.default_rng(n).normal(size=(3, n, width)).astype(np.float32)
    inputs, cuts = [Tensor(array, True) for array in arrays], range(0, n, block)
    return {
        "composed": lambda: scaled_dot_product_attention(*inputs),
        "operation": lambda: attention_and_weights(*inputs)[0],
        "blocks": lambda: attention_in_blocks(arrays[0], (arrays[1:, i : i + block] for i in cuts)),
    }


def analyze_lengths(lengths=(128, 256, 512, 1024, 2048), width=64, block=128):
    """Time, largest memory and what is held at the end, of one head forward, over the number of places."""
    rows = {"composed": [], "operation": [], "blocks": []}
    for n in lengths:
        for name, way in three_ways(n, width, block).items():
            seconds = best_seconds(way)
            tracemalloc.start()
            out = way()
            held, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            rows[name].append((seconds * 1e3, peak / 1e6, held / 1e6))
            del out
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    for (name, measured), style in zip(rows.items(), ("o-", "s--", "^:"), strict=True):
        times, peaks, held = zip(*measured, strict=True)
        for axes, values in zip(panels, (times, peaks), strict=True):
            axes.loglog(lengths, values, style, label=name)
        print(f"📊 {name}: {times[-1]:.0f} ms, at most {peaks[-1]:.1f} MB, {held[-1]:.1f} MB held", end="; ")
        grown = times[-1] / times[-2], peaks[-1] / peaks[-2]
        print(f"times {grown[0]:.1f} in time and times {grown[1]:.1f} in bytes for twice the places")
    names = [("Time", "milliseconds"), ("Memory", "megabytes")]
    for axes, (title, unit) in zip(panels, names, strict=True):
        axes.set(xlabel="places", ylabel=unit, title=f"{title}, forward, one head")
        axes.set_xticks(lengths, lengths)
        axes.set_xticks([], minor=True)
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside lower center")
    plt.show()

analyze_lengths()

# %% [markdown]
r"""
All three multiply as much, and on a quiet machine time grows about as n², the number of scores. So do the bytes of the first two: of 2,048² numbers in float32, 16.8 MB each, the composed function
holds two until `backward` (with a mask, more), the operation none. In blocks bytes grow as n, like the inputs.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-width", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which variances of scores did your run print for d = 64 and 1024, which largest weights with and without the division? Explain with them why scores are divided by √d, and
why not by d. (b) What is softmax's gradient where one weight is nearly 1, and what does that mean for learning? (c) How many bytes are the weights of 100,000 places, 16 heads, in
float32? And those of a block of 128 keys?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-width", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) variances near 64 and 1,024, so that scores spread by 8 and 32; divided, the largest weight stays about the same (near 0.13), undivided it comes near 1; dividing by d
would make the spread 1/√d and the weights uniform, 1 point. (b) w·(grad − D) is nearly 0 in every entry, so that neither queries nor keys learn, 1 point. (c) 100,000² · 16 · 4 = 640 GB;
100,000 · 128 · 16 · 4 = 0.82 GB, or 51 MB for one head at a time, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## A stretch: fewer keys than queries

Who writes keeps the keys and values of all that was read. To keep less, heads of queries share heads of keys and values (*grouped-query attention*,
Ainslie and others, 2023):

    4 heads, 2 groups     group 0 serves heads 0 and 1, group 1 heads 2 and 3

**Write `repeat_heads(x, num_heads)`**, from (…, groups, m, d) to (…, num_heads, m, d), with its gradient. A number of heads that is no multiple of
the groups is a `ValueError` naming both.
"""

# %% nbgrader={"grade": false, "grade_id": "repeat_heads", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Every group is wanted several times in a row: where would an axis for the repetitions have to stand?", "Broadcasting against ones repeats along a new axis, and its gradient sums; a reshape joins two neighbouring axes."], "minutes": 20, "objective": "heads", "stretch": true}
#| export
def repeat_heads(x, num_heads):
    """A Tensor (…, groups, m, d) as (…, num_heads, m, d): each group's head several times in a row.

    Raises ValueError where num_heads is no multiple of the groups.
    """
    ### BEGIN SOLUTION
    *leading, groups, length, width = x.shape
    if num_heads % groups:
        raise ValueError(f"repeat_heads: {num_heads} heads are no multiple of {groups} groups")
    copies = Tensor(np.ones((num_heads // groups, 1, 1)), dtype=x.dtype)
    return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-repeat_heads", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_repeat_heads():
    x = Tensor(np.arange(12.0).reshape(2, 2, 3), requires_grad=True)
    first, second = x.tolist()
    four = repeat_heads(x, 4)
    expect(four, [first, first, second, second], "2 groups of 2 places for 4 heads", dtype=np.float32)
    (four * Tensor(np.arange(24.0).reshape(4, 2, 3))).sum().backward()
    wanted = [[[6, 8, 10], [12, 14, 16]], [[30, 32, 34], [36, 38, 40]]]
    expect(x.grad, wanted, "gradients of both uses add up")
    expect(repeat_heads(x, 2), x, "as many heads as groups")
    expect(repeat_heads(Tensor(np.zeros((5, 2, 4, 3))), 6).shape, (5, 6, 4, 3), "5 batches, 2 groups")
    expect_error(ValueError, [7, 2], repeat_heads, Tensor(np.zeros((2, 4, 3))), 7)
    print("🔬 repeat_heads: passed")

test_unit_repeat_heads()

# %% nbgrader={"grade": true, "grade_id": "test-repeat_heads-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: it serves scaled_dot_product_attention.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(0)
query, key = (Tensor(draw.normal(size=(2, heads, 3, 4)), dtype=np.float64) for heads in (6, 3))
got = scaled_dot_product_attention(query, repeat_heads(key, 6), repeat_heads(key, 6))
one = scaled_dot_product_attention(query[:, 5], key[:, 2], key[:, 2])
expect(np.asarray(got)[:, 5], one, "head 5 of 6 reads group 2 of 3", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
## What comes next

A head takes means, and a mean of rows is a linear thing. Module 13 adds what is missing: a small network at every place, a normalization, and a
stream that both only add to. That is a transformer, and yours writes Shakespeare. Next: `tito module complete 12_attention`.
"""
