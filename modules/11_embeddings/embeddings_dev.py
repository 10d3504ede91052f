# %% [markdown]
r"""
# 11 Embeddings

Module 10 turns a text into ids. An id is a name, not a quantity: 40 is not twice 20, and nothing lies between them. A network
computes with quantities. So each symbol gets a row of numbers in a table, and the rows are learned like all other parameters:
symbols that are used alike end up with rows that are alike. That is an *embedding*.

In this module you write the lookup and its gradient, which has one trap: a symbol that occurs twice must learn from both places.
Then comes order. A table gives the same row wherever a symbol stands, so the place has to be added, by waves that are computed
or by rows that are learned. Last, you cut a text into examples, and two models learn from it: a table that knows which character
follows which, and the network over several characters with which neural language models began (Bengio et al., 2003).

## Three questions first

About earlier modules. Answer each one before you open its answer.

**1.** (05) In `y = x + b` an entry of `b` is used three times. What is its gradient?

<details><summary>Answer</summary>

The sum of the three gradients that arrive where it was used. What is used several times sums.

</details>

**2.** (04) Logits of shape (N, 65) are all 0. What is the cross-entropy, whatever the targets are?

<details><summary>Answer</summary>

ln 65 = 4.17 nats: each of the 65 classes has the probability 1/65.

</details>

**3.** (06) A parameter has the gradient 0 in this step. Does Adam leave it where it is?

<details><summary>Answer</summary>

Only if its gradients were 0 in all steps before. The running mean of earlier gradients still moves it.

</details>
"""

# %%
from tinytorch.notebook import best_seconds, check_home, expect, expect_error

check_home()

# %%
#| default_exp core.embeddings

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import numpy as np

from tinytorch.core.layers import Module, Parameter
from tinytorch.core.tensor import Op, Tensor, randn, random_generator, stack

# %% nbgrader={"grade": false, "grade_id": "provided-id_array", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def id_array(ids, count):
    """`ids` (a Tensor, an array, a number or lists of them) as an array of integers from 0 to count - 1.

    Raises TypeError for what is not an integer, IndexError naming an id that is out of range and its place.
    """
    array = np.asarray(ids)
    if array.size == 0:
        array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids are integers, not {array.dtype}")
    outside = np.argwhere((array < 0) | (array >= count))
    if len(outside):
        place = tuple(outside[0].tolist())
        raise IndexError(f"id {array[place]} at place {place} is none of the ids from 0 to {count - 1}")
    return array

# %%
import math

import matplotlib.pyplot as plt

import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch.core.activations import tanh
from tinytorch.core.autograd import gradcheck, no_grad
from tinytorch.core.layers import Linear
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.tensor import manual_seed
from tinytorch.core.tokenization import CharTokenizer
from tinytorch.datasets import load_shakespeare

# %% [markdown]
r"""
## Part 1 of 2 · about 3½ hours: a row for a symbol

The plainest way to make numbers of a name: as many numbers as there are names, all 0 but one.

    ids [2, 0], three symbols    →    [[0, 0, 1],
                                       [1, 0, 0]]

These rows are called *one-hot*. A product with a table picks rows of it, since every other row is multiplied by 0:

    [[0, 0, 1],     [[1, 2],       [[5, 6],
     [1, 0, 0]]  @   [3, 4],   =    [1, 2]]
                     [5, 6]]

**Write `one_hot(ids, n)`**: a float32 array with one more axis than `ids`, of size n, at the end. `ids` may have any shape, also `()`,
and may be empty. The given `id_array(ids, n)` makes an array of integers of whatever came in and refuses ids that are not in
0 … n − 1: call it first. (NumPy would take −1 for the last row, and a wrong id would stay unnoticed.)
"""

# %% nbgrader={"grade": false, "grade_id": "one_hot", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Two ways: compare every id with every number below n, or pick rows of the identity matrix.", "For a comparison the ids need one more axis at the end, so that they broadcast against the n numbers."], "minutes": 10, "objective": "lookup"}
#| export
def one_hot(ids, n):
    """Rows of n zeros with a 1 where the id says: float32, of shape (*ids.shape, n). Raises as id_array
    does."""
    ### BEGIN SOLUTION
    return (id_array(ids, n)[..., None] == np.arange(n)).astype(np.float32)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-one_hot", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_one_hot():
    expect(one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]], "ids [2, 0] of three", dtype=np.float32)
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expect(np.asarray(one_hot(np.array([2, 0]), 3)) @ table, [[5, 6], [1, 2]], "times a table of three rows")
    pairs = [[[0, 1, 0, 0], [0, 0, 0, 1]], [[1, 0, 0, 0], [0, 1, 0, 0]]]
    expect(one_hot(np.array([[1, 3], [0, 1]]), 4), pairs, "ids of shape (2, 2)")
    expect(one_hot(1, 3), [0, 1, 0], "one id, of shape ()")
    expect(one_hot([], 3), np.zeros((0, 3)), "no ids")
    expect_error(IndexError, [3, "(1,)"], one_hot, [0, 3], 3)
    expect_error(IndexError, [-1, "(0,)"], one_hot, [-1, 0], 3)
    expect_error(TypeError, "float64", one_hot, np.array([1.0]), 3)
    print("🔬 one_hot: passed")

test_unit_one_hot()

# %% nbgrader={"grade": true, "grade_id": "test-one_hot-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes, and a table of one row.
### BEGIN HIDDEN TESTS
grid = np.array([[[4], [2], [2]], [[0], [1], [3]]])
expect(one_hot(grid, 5), np.eye(5)[grid], "ids of shape (2, 3, 1)", dtype=np.float32)
expect(one_hot([0, 0, 0], 1), np.ones((3, 1)), "three ids of one symbol")
expect(one_hot(np.zeros((2, 0), np.int64), 4).shape, (2, 0, 4), "ids of shape (2, 0)")
### END HIDDEN TESTS

# %% [markdown]
r"""
## The product was a lookup

With 4,096 symbols and rows of 384 numbers, picking a row by the product takes 4,096 · 384 multiplications, of which all but 384 are by 0.
Reading row 2 of the table gives the same numbers.

    weight  [[1, 2],            ids  [2, 0, 2]    →    [[5, 6],
             [3, 4],                                    [1, 2],
             [5, 6]]                                    [5, 6]]

**Write the operation `embedding(weight, *, ids)`**: `weight` of shape (n, d), `ids` of any shape, the result (*ids.shape, d), in the dtype of
`weight`. Let `id_array` check the ids here, too. `padding_idx` is for the gradient; here it does nothing. `ids` is a setting, not an input:
nothing can be differentiated by a name. A setting is no Tensor, so whoever has ids in a Tensor passes `ids.numpy()`.
"""

# %% nbgrader={"grade": false, "grade_id": "embedding", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What does NumPy give for a table that is indexed with an array of integers?", "The shape comes out right by itself, whatever the shape of the ids."], "minutes": 5, "objective": "lookup"}
#| export
@Op
def embedding(weight, *, ids, padding_idx=None):
    """Rows of `weight` (n, d), one for each id: (*ids.shape, d). The row `padding_idx` gets no gradient.

    Raises TypeError and IndexError as id_array does.
    """
    ### BEGIN SOLUTION
    return weight[id_array(ids, len(weight))]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-embedding", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding():
    weight = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expect(embedding(weight, ids=[2, 0, 2]), [[5, 6], [1, 2], [5, 6]], "ids [2, 0, 2]", dtype=np.float32)
    expect(embedding(weight, ids=np.array([[1], [0]])), [[[3, 4]], [[1, 2]]], "ids of shape (2, 1)")
    expect(embedding(weight, ids=1), [3, 4], "one id")
    expect(embedding(weight, ids=[]), np.zeros((0, 2)), "no ids")
    expect(
        embedding(weight, ids=[0, 2], padding_idx=0), [[1, 2], [5, 6]], "a padding row is read like any other"
    )
    expect_error(IndexError, [3, "(2,)"], lambda: embedding(weight, ids=[0, 1, 3]))
    expect_error(IndexError, -1, lambda: embedding(weight, ids=[-1]))
    expect_error(TypeError, "bool", lambda: embedding(weight, ids=np.array([True, False, True])))
    print("🔬 embedding: passed")


test_unit_embedding()

# %% nbgrader={"grade": true, "grade_id": "test-embedding-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: it is the product with one-hot rows, in float64, too.
### BEGIN HIDDEN TESTS
numbers = np.random.default_rng(3).normal(size=(7, 4))
some = np.array([[6, 0, 3], [3, 3, 5]])
rows = embedding(Tensor(numbers, dtype=np.float64), ids=some)
expect(rows, np.eye(7)[some] @ numbers, "seven rows of float64", atol=1e-12, dtype=np.float64)
### END HIDDEN TESTS

# %% [markdown]
r"""
Is the lookup the same as the product, and what does the product need besides? Guess the bytes, then run:
"""

# %%
table, some_ids = randn(512, 128), np.arange(768) % 512
picked = Tensor(one_hot(some_ids, 512)) @ table
print("largest difference:", float(np.abs(picked.numpy() - embedding(table, ids=some_ids).numpy()).max()))
print(f"one-hot rows: {one_hot(some_ids, 512).nbytes:,} bytes, ids: {some_ids.nbytes:,} bytes")

# %% [markdown]
r"""
## What a row learns

`embedding` needs a gradient rule. Think of the product: the gradient of the table is onehotᵀ @ grad. Row i of it is the **sum** of the
gradients of all places where id i stands:

    ids   [2, 0, 2]        grad  [[1, 2],              gradient of the table   [[3, 4],
                                  [3, 4],      →                                [0, 0],
                                  [5, 6]]                                       [6, 8]]

Row 2 was read twice and gets 1 + 5 and 2 + 6; row 1 was not read. The trap is `table[ids] += grad`: NumPy reads, adds and writes once for
each *place*, and of two writes into row 2 only the last remains, [5, 6]. It raises nothing, and the loss still falls.
`np.add.at(table, ids, grad)` adds at every place. It goes through the numbers one by one; two other ways that use whole rows are compared at the
end of this module: sort the ids and sum each run of equal ones, or add the first occurrences of all ids together, then the second, and so on.

A table may have one row that stands for *nothing here*, with which short sequences are filled up. It must not learn: the row `padding_idx`, if
there is one, gets a gradient of 0.

**Write `embedding_gradient(grad, out, weight, *, ids, padding_idx)`**: the gradient of `weight`, in its shape and in the dtype of `grad`. `ids` is what
`embedding` was called with: an array, a list or a number, whose ids were checked there. None of the arguments is changed.
"""

# %% nbgrader={"grade": false, "grade_id": "embedding_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Start from zeros in the shape of the table. What remains is to add every row of grad where its id says.", "ids may have any shape, and grad has one more axis: as one axis of places and one of numbers both are easier to handle.", "Set the padding row to zero at the end, in your own array, and only if it is not None (0 is a row, too)."], "minutes": 30, "objective": "scatter"}
#| export
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    """The sum of the rows of `grad` over all places of each id, as one table; the row `padding_idx` is 0."""
    ### BEGIN SOLUTION
    ids = np.asarray(ids, np.int64).ravel()
    table = np.zeros(weight.shape, grad.dtype)
    order = np.argsort(ids)
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))  # where a run of equal ids begins
    rows = grad.reshape(ids.size, weight.shape[1])[order]
    table[ids[order][starts]] = np.add.reduceat(rows, starts)
    if padding_idx is not None:
        table[padding_idx] = 0
    return table
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-embedding_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_gradient():
    weight, grad = np.zeros((3, 2)), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ids = np.array([2, 0, 2])
    got = embedding_gradient(grad, grad, weight, ids=ids, padding_idx=None)
    expect(got, [[3, 4], [0, 0], [6, 8]], "ids [2, 0, 2]: row 2 was read twice")
    got = embedding_gradient(grad[:, None], grad[:, None], weight, ids=ids[:, None], padding_idx=None)
    expect(got, [[3, 4], [0, 0], [6, 8]], "the same ids in shape (3, 1)")
    got = embedding_gradient(grad, grad, weight, ids=[1, 1, 1], padding_idx=None)
    expect(got, [[0, 0], [9, 12], [0, 0]], "one id three times, in a list")
    expect(grad, [[1, 2], [3, 4], [5, 6]], "grad stays as it is")
    expect(ids, [2, 0, 2], "ids stay as they are")
    expect(weight, np.zeros((3, 2)), "weight stays as it is")
    one = np.ones(2, np.float32)
    got = embedding_gradient(one, one, weight.astype(np.float32), ids=1, padding_idx=None)
    expect(got, [[0, 0], [1, 1], [0, 0]], "one id, of shape ()", dtype=np.float32)
    nothing = np.zeros((0, 2))
    got = embedding_gradient(nothing, nothing, weight, ids=np.zeros(0, np.int64), padding_idx=None)
    expect(got, np.zeros((3, 2)), "no ids")
    print("🔬 embedding_gradient: passed")

test_unit_embedding_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-embedding_gradient-padding", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_gradient_padding():
    grad = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    got = embedding_gradient(grad, grad, np.zeros((3, 2)), ids=np.array([2, 0, 2]), padding_idx=2)
    expect(got, [[3, 4], [0, 0], [0, 0]], "ids [2, 0, 2], padding row 2")
    got = embedding_gradient(grad, grad, np.zeros((3, 2)), ids=np.array([2, 0, 2]), padding_idx=0)
    expect(got, [[0, 0], [0, 0], [6, 8]], "ids [2, 0, 2], padding row 0")

    table = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    (embedding(table, ids=[1, 1, 0], padding_idx=0) * Tensor([[1.0], [10.0], [100.0]])).sum().backward()
    expect(table.grad, [[0, 0], [11, 11], [0, 0]], "through backward: factors 1, 10 and 100, padding row 0")
    print("🔬 embedding_gradient, padding: passed")

test_unit_embedding_gradient_padding()

# %% nbgrader={"grade": true, "grade_id": "test-embedding_gradient-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: many ids in three axes beside a sum place by place, and finite differences.
### BEGIN HIDDEN TESTS
draws = np.random.default_rng(5)
many = draws.integers(0, 6, (3, 4, 5))
arriving = draws.normal(size=(3, 4, 5, 3))
for pad in (None, 4):
    by_place = np.zeros((6, 3))
    for place in np.ndindex(many.shape):
        if many[place] != pad:
            by_place[many[place]] += arriving[place]
    found = embedding_gradient(arriving, arriving, np.zeros((6, 3)), ids=many, padding_idx=pad)
    expect(found, by_place, f"60 ids of six, padding row {pad}", atol=1e-12)
variable = Tensor(draws.normal(size=(4, 2)), dtype=np.float64, requires_grad=True)
gradcheck(lambda w: embedding(w, ids=[[3, 0], [3, 3]]).exp(), (variable,))
### END HIDDEN TESTS

# %% [markdown]
r"""
What would the trap have cost? In 768 characters of Shakespeare, how many rows of `grad` would be lost?
"""

# %%
shakespeare = load_shakespeare()
characters = CharTokenizer(shakespeare)
text_ids = np.array(characters.encode(shakespeare))
lost = 768 - len(np.unique(text_ids[:768]))
print(f"of 768 rows of the gradient only the last one of each id remains: {lost} are lost, {lost / 768:.0%}")

# %% [markdown]
r"""
## A layer that owns the table

Now the table becomes a parameter. As in PyTorch, its entries begin normal with mean 0 and variance 1, and the padding row, if there is one, is all 0. It stays
so, since it gets no gradient.

**Write the two parts of `Embedding`.** `__init__` makes `self.weight`, a `Parameter` of shape (num_embeddings, embedding_dim), from one call
`randn(num_embeddings, embedding_dim)`, and zeroes the padding row in it (`self.weight.data` is its array). `self.padding_idx` is set already: None, or from 0 to num_embeddings − 1 (−1
counted from the end, as in PyTorch). `forward` takes ids of any shape, as a Tensor, an array, or lists, and returns their rows as a Tensor whose gradient
reaches `self.weight`, but not its padding row.
"""

# %% nbgrader={"grade": false, "grade_id": "Embedding", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A Parameter shares the memory of the Tensor that it is made of, and what is changed in its data is not recorded.", "The padding row may be row 0, so ask whether there is one by comparing with None.", "The operation above does the rest. Its ids are a setting and so no Tensor, but np.asarray takes Tensors, too."], "minutes": 20, "objective": "lookup"}
#| export
class Embedding(Module):
    """A table with a learned row for each of `num_embeddings` ids; ids (…) give rows (…, embedding_dim).

    padding_idx: a row that begins as zeros and does not learn. Raises ValueError for a padding row that is
    not there, TypeError and IndexError for ids as id_array does.
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is none of {num_embeddings} rows")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        ### BEGIN SOLUTION
        self.weight = Parameter(randn(num_embeddings, embedding_dim))
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0
        ### END SOLUTION

    def forward(self, ids):
        ### BEGIN SOLUTION
        return embedding(self.weight, ids=np.asarray(ids), padding_idx=self.padding_idx)
        ### END SOLUTION

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

# %% nbgrader={"grade": true, "grade_id": "test-Embedding", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_layer():
    manual_seed(4)
    layer = Embedding(5, 3)
    manual_seed(4)
    expect(layer.weight, randn(5, 3), "the table, from one call randn(5, 3)", dtype=np.float32)
    expect([name for name, _ in layer.named_parameters()], ["weight"], "its parameters")
    weight = layer.weight.numpy()
    expect(layer(Tensor([[4, 0], [1, 4]])), weight[[[4, 0], [1, 4]]], "ids of shape (2, 2) in a Tensor")
    expect(layer([2]), weight[[2]], "a list")
    layer(np.array([1, 3, 1])).sum().backward()
    expect(
        layer.weight.grad, [[0] * 3, [2] * 3, [0] * 3, [1] * 3, [0] * 3], "the gradient of a sum: id 1 twice"
    )
    expect_error(IndexError, 5, layer, [0, 5])
    print("🔬 Embedding: passed")


test_unit_embedding_layer()

# %% nbgrader={"grade": true, "grade_id": "test-Embedding-padding", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_layer_padding():
    manual_seed(4)
    layer = Embedding(4, 2, padding_idx=0)
    manual_seed(4)
    rows = randn(4, 2).numpy()
    expect(layer.weight.numpy()[0], [0, 0], "padding_idx=0: row 0 is zero")
    expect(layer.weight.numpy()[1:], rows[1:], "the other rows are as drawn")
    optimizer = SGD(layer.parameters(), lr=1.0)
    layer([0, 3, 0]).sum().backward()
    optimizer.step()
    expect(
        layer([0, 3]),
        [[0, 0], rows[3] - 1],
        "after a step with lr 1: the padding row has not moved",
        atol=1e-6,
    )
    expect(Embedding(3, 2, padding_idx=-1).weight.numpy()[2], [0, 0], "padding_idx=-1: the last row")
    print("🔬 Embedding, padding: passed")


test_unit_embedding_layer_padding()

# %% nbgrader={"grade": true, "grade_id": "test-Embedding-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: mean and variance of a large table, a saved table that is loaded, a padding row in the middle.
### BEGIN HIDDEN TESTS
manual_seed(1)
large = Embedding(300, 100).weight.numpy()
expect([float(large.mean()), float(large.std())], [0, 1], "mean and deviation of 30,000 entries", atol=0.03)
middle, twin = Embedding(6, 2, padding_idx=3), Embedding(6, 2, padding_idx=3)
twin.load_state_dict(middle.state_dict())
expect(twin([3, 5, 0]), middle([3, 5, 0]), "a layer with the weights of another one")
(middle(Tensor([[3, 1], [1, 3]])) * 2).sum().backward()
expect(middle.weight.grad, [[0, 0], [4, 4], [0, 0], [0, 0], [0, 0], [0, 0]], "padding row 3 and id 1 twice")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Find the fault

A table with a row of 65 logits for each of the 65 characters shall learn which character comes next. By pairs of characters alone no loss below 2.45 is possible on this text. Run the cell. Which line is wrong?
"""

# %%
manual_seed(0)
faulty = Embedding(65, 65)
faulty_optimizer = Adam(faulty.parameters(), lr=0.1)
for step in range(200):
    at = np.arange(256) + 256 * step
    inputs, targets = text_ids[at], text_ids[at]
    loss = cross_entropy(faulty(inputs), targets)
    faulty_optimizer.zero_grad()
    loss.backward()
    faulty_optimizer.step()
print(f"loss {loss.item():.3f}")

# %% [markdown]
r"""
<details><summary>Answer</summary>

`targets` is the text at the same places, and the table learns to repeat its input. The next character stands at `at + 1`. A loss that is better than possible is a symptom, too.

</details>

Here is a place to stop. `Embedding` looks rows up and learns them, also where an id repeats.

## Part 2 of 2 · about 2½ hours: order, and text to learn from

*Dog bites man* and *man bites dog* read the same three rows, and a model that averages rows, as attention will in module 12, cannot tell the two apart. So a second row, for the place, is added to
that of the symbol.

The first kind of such rows is computed (Vaswani et al., 2017), as hands of clocks, each slower than the one before. At position p, hand i points at the angle p / 10000^(2i/dim), and the row holds sine and cosine
of hand 0, then of hand 1, and so on. For dim 4 the angles are p and p / 100:

    position 0    [0,       1,        0,         1      ]
    position 1    [0.84147, 0.54030,  0.0099998, 0.99995]

**Write `sinusoidal_positions(length, dim)`**: a float32 Tensor (length, dim) with the rows of positions 0 … length − 1. A `dim` that is odd or below 2 is a `ValueError` that names it; length 0 gives no rows. Compute the angles in
float64 and round at the end: at position 5,000 an angle in float32 is wrong by up to 0.0002.
"""

# %% nbgrader={"grade": false, "grade_id": "sinusoidal_positions", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["First the dim / 2 speeds of the hands, then all angles at once: positions as a column against speeds as a row.", "NumPy's numbers are float64 unless you say otherwise, and a Tensor that is made of them is float32.", "Sines go into every second column from 0 on, cosines into every second column from 1 on: a slice with a step of 2."], "minutes": 20, "objective": "positions"}
#| export
def sinusoidal_positions(length, dim):
    """A row (dim,) for each position below `length`: sin, cos of position / 10000^(2i/dim), side by side.

    Returns a float32 Tensor (length, dim). Raises ValueError for an odd dim and for one below 2.
    """
    ### BEGIN SOLUTION
    if dim < 2 or dim % 2:
        raise ValueError(f"sinusoidal_positions: dim is even and at least 2, not {dim}")
    speeds = 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    angles = np.arange(length)[:, None] * speeds
    rows = np.empty((length, dim))
    rows[:, ::2], rows[:, 1::2] = np.sin(angles), np.cos(angles)
    return Tensor(rows)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sinusoidal_positions", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_sinusoidal_positions():
    rows = [
        [0, 1, 0, 1],
        [0.8414710, 0.5403023, 0.0099998, 0.9999500],
        [0.9092974, -0.4161468, 0.0199987, 0.9998000],
    ]
    expect(sinusoidal_positions(3, 4), rows, "three positions, dim 4", atol=1e-6, dtype=np.float32)
    expect(sinusoidal_positions(1, 6), [[0, 1, 0, 1, 0, 1]], "position 0, dim 6")
    expect(sinusoidal_positions(0, 2), np.zeros((0, 2)), "no positions")
    six = [0.1411200, -0.9899925, 0.1387981, 0.9903207, 0.0064633, 0.9999791]  # sin and cos of 3/10000^(i/3)
    expect(sinusoidal_positions(4, 6).numpy()[3], six, "position 3, dim 6", atol=1e-6)
    far = [
        -0.9879664,
        0.1546684,
        -0.3879577,
        0.9216772,
        -0.9751496,
        -0.2215472,
    ]  # of 5000, 232.07944, 10.772173
    expect(sinusoidal_positions(5001, 6).numpy()[5000], far, "position 5,000, dim 6", atol=1e-6)
    expect_error(ValueError, 3, sinusoidal_positions, 5, 3)
    expect_error(ValueError, 0, sinusoidal_positions, 5, 0)
    print("🔬 sinusoidal_positions: passed")


test_unit_sinusoidal_positions()

# %% nbgrader={"grade": true, "grade_id": "test-sinusoidal_positions-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: every entry of a larger table, one by one.
### BEGIN HIDDEN TESTS
waves = sinusoidal_positions(40, 10).numpy()
for p, column in np.ndindex(waves.shape):
    angle = p / 10000 ** ((column - column % 2) / 10)
    exact = math.cos(angle) if column % 2 else math.sin(angle)
    expect(float(waves[p, column]), exact, f"position {p}, column {column}, dim 10", atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
Look at the table as an image, and at the inner products of row 32 with all rows. **Predict:** where is the inner product largest, and is it the same at 8 positions before and after?
"""

# %% tags=["measure"]
def analyze_positions():
    """The table of waves, and how alike the rows of 64 positions are to the row of position 32."""
    waves = sinusoidal_positions(64, 64).numpy()
    alike = waves @ waves[32]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    image = left.imshow(waves.T, aspect="auto", cmap="gray", vmin=-1, vmax=1)
    left.set(xlabel="position", ylabel="column", title="Sine and cosine, fast to slow")
    figure.colorbar(image, ax=left)
    right.plot(alike, "o-", markersize=3)
    right.axvline(32, color="0.6", linestyle="--")
    right.set(xlabel="position", ylabel="inner product with the row of 32", title="Near positions are alike")
    plt.show()
    print(f"📊 with itself {alike[32]:.2f}, with 8 before {alike[24]:.2f}, with 8 after {alike[40]:.2f}")


analyze_positions()

# %% [markdown]
r"""
The inner product of two rows is the sum of cos((p − q)·speed) over the hands: it depends on the distance only. And each hand at p + k is the hand at p, turned by an angle that
depends on k alone, so that a matrix can learn to look k places back.

## Positions that are learned

GPT-2 does without the clocks: a second table has a row for each position, and they are learned like those of the symbols. The price is a largest position.

Later, in module 17, a model will write a text token by token and hand in only the new one. That token does not stand at position 0, so the layer takes the position of the
first symbol, `start`:

    x (…, 2, dim), start 5    →    x[…, 0, :] + weight[5],  x[…, 1, :] + weight[6]

**Write the two parts of `PositionalEmbedding`.** `__init__` makes `self.weight`, a `Parameter` of shape (max_len, dim): one call `randn(max_len, dim)`, times 0.02 (small beside the
symbols: at the start, place should not drown meaning). `forward(x, start=0)` adds to a Tensor `x` (…, T, dim) the rows of positions start … start + T − 1, so that the gradient
reaches both. Where start is negative, or start + T is larger than max_len, it is a `ValueError` that holds start, T and max_len; exactly max_len fits. T may be 0.
"""

# %% nbgrader={"grade": false, "grade_id": "PositionalEmbedding", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["T is the second axis of x from the end. A slice that runs over the end of a table gives fewer rows and raises nothing: check first.", "A slice of a Parameter is recorded, and adding broadcasts it over the axes in front."], "minutes": 15, "objective": "positions"}
#| export
class PositionalEmbedding(Module):
    """Adds a learned row to each position: x (…, T, dim) with positions start … start + T - 1.

    Raises ValueError naming start, T and max_len for positions that are not there.
    """

    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        ### BEGIN SOLUTION
        self.weight = Parameter(randn(max_len, dim) * 0.02)
        ### END SOLUTION

    def forward(self, x, start=0):
        ### BEGIN SOLUTION
        length = x.shape[-2]
        if start < 0 or start + length > self.max_len:
            raise ValueError(f"{length} positions from {start} on do not fit into max_len {self.max_len}")
        return x + self.weight[start : start + length]
        ### END SOLUTION

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"

# %% nbgrader={"grade": true, "grade_id": "test-PositionalEmbedding", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_positional_embedding():
    manual_seed(2)
    layer = PositionalEmbedding(7, 3)
    manual_seed(2)
    expect(
        layer.weight,
        randn(7, 3).numpy() * 0.02,
        "the table: randn(7, 3), times 0.02",
        atol=1e-8,
        dtype=np.float32,
    )
    rows, x = layer.weight.numpy(), Tensor(np.ones((2, 2, 3)), requires_grad=True)
    expect(layer(x), 1 + np.stack([rows[:2]] * 2), "ones of shape (2, 2, 3): rows 0 and 1", atol=1e-7)
    expect(layer(x, start=5), 1 + np.stack([rows[5:]] * 2), "start 5: rows 5 and 6, the last one", atol=1e-7)
    expect(layer(x[0], 3), 1 + rows[3:5], "x of shape (2, 3), start 3", atol=1e-7)
    layer(x, start=4).sum().backward()
    got = np.asarray(layer.weight.grad)[:, 0]
    expect(got, [0, 0, 0, 0, 2, 2, 0], "the gradient of a sum: two sequences, rows 4 and 5")
    expect(x.grad, np.ones((2, 2, 3)), "the gradient of x")
    expect(layer(Tensor(np.ones((2, 0, 3))), start=7).shape, (2, 0, 3), "no position, start 7")
    expect_error(ValueError, [6, 2, 7], layer, x, start=6)
    expect_error(ValueError, [-1, 2, 7], layer, x, start=-1)
    print("🔬 PositionalEmbedding: passed")


test_unit_positional_embedding()

# %% nbgrader={"grade": true, "grade_id": "test-PositionalEmbedding-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: a sequence in two pieces is the sequence in one; a longer one is refused.
### BEGIN HIDDEN TESTS
places, sequence = PositionalEmbedding(9, 2), randn(4, 9, 2)
pieces = [places(sequence[:, :4]), places(sequence[:, 4:], start=4)]
expect(
    np.concatenate([piece.numpy() for piece in pieces], axis=1), places(sequence), "4 and 5 positions are 9"
)
expect_error(ValueError, [10, 9], places, randn(10, 2))
expect([name for name, _ in places.named_parameters()], ["weight"], "the table is learned")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Text as examples

A language model learns from every place of a text: it sees a piece and shall know what comes next, after each symbol of it. Of the ids 0 1 2 3 4 5 6, with pieces of 3 (the *block
size*), from places 2 and 0:

    x  [[2, 3, 4],        y  [[3, 4, 5],
        [0, 1, 2]]            [1, 2, 3]]

`y` is `x` shifted by one: the target of every place is the next id. The last piece that has all its targets begins at length − block_size − 1, here at 3.

**Write `token_windows(ids, block_size, batch, generator)`**, which returns x and y, two integer arrays of shape (batch, block_size). One call
`generator.integers(0, high, batch)` draws all starts, each possible one equally likely (`high` itself is never drawn); nothing else is drawn. `ids` has one axis and may be an array,
a list or a Tensor. A text that is too short for one piece with its targets is a `ValueError` with its length and the length that it would need.
"""

# %% nbgrader={"grade": false, "grade_id": "token_windows", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many starts are there for 7 ids and pieces of 3? That number is what the call takes as high.", "Starts as a column plus the numbers 0 … block_size as a row give all places at once.", "One piece more than x needs holds both: x is all but its last id, y all but its first."], "minutes": 20, "objective": "windows"}
#| export
def token_windows(ids, block_size, batch, generator=None):
    """`batch` pieces of a text, drawn at random: (x, y), both (batch, block_size), y one place further than
    x.

    ids: integers in one axis. generator: a numpy.random.Generator; without one, what manual_seed set. Raises
    ValueError naming both lengths for a text shorter than block_size + 1.
    """
    generator = random_generator() if generator is None else generator
    ### BEGIN SOLUTION
    ids = np.asarray(ids)
    if len(ids) < block_size + 1:
        raise ValueError(f"token_windows: {len(ids)} ids are too few, a piece takes {block_size + 1}")
    starts = generator.integers(0, len(ids) - block_size, batch)
    pieces = ids[starts[:, None] + np.arange(block_size + 1)]
    return pieces[:, :-1], pieces[:, 1:]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-token_windows", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_token_windows():
    ids = np.array([5, 3, 8, 1, 9, 2, 7])
    x, y = token_windows(ids, 3, 4, np.random.default_rng(0))
    starts = np.random.default_rng(0).integers(0, 4, 4)  # 3, 2, 2, 1
    expect(x, [ids[s : s + 3] for s in starts], "four pieces of 3 of seven ids, from 3, 2, 2 and 1")
    expect(y, [ids[s + 1 : s + 4] for s in starts], "their targets, one place further")
    x, y = map(np.asarray, token_windows(list(range(7)), 3, 200, np.random.default_rng(1)))
    expect(y, x + 1, "of 0 … 6, in a list: every target is one larger")
    expect(
        sorted(set(x[:, 0].tolist())),
        [0, 1, 2, 3],
        "all starts of 200 pieces: the first and the last one, too",
    )
    x, y = token_windows(Tensor([4, 6]), 1, 2, np.random.default_rng(2))
    expect((x, y), (np.array([[4], [4]]), np.array([[6], [6]])), "two ids in a Tensor, pieces of 1")
    generator, twin = np.random.default_rng(3), np.random.default_rng(3)
    token_windows(ids, 2, 5, generator)
    twin.integers(0, 5, 5)
    expect(generator.integers(10**9), twin.integers(10**9), "one call has drawn, and nothing else")
    expect_error(ValueError, [3, 4], token_windows, [1, 2, 3], 3, 1, np.random.default_rng(0))
    print("🔬 token_windows: passed")


test_unit_token_windows()

# %% nbgrader={"grade": true, "grade_id": "test-token_windows-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: every start equally likely; an empty text; the shape for larger numbers.
### BEGIN HIDDEN TESTS
x, y = map(np.asarray, token_windows(np.arange(1000, 1012), 2, 10_000, np.random.default_rng(7)))
shares = np.bincount(x[:, 0] - 1000, minlength=10) / 10_000
expect(shares, np.full(10, 0.1), "shares of the ten starts in 10,000 pieces", atol=0.015)
expect(x.shape, (10_000, 2), "the shape of x")
expect(y[:, 0], x[:, 1], "the first target is the second input")
expect_error(ValueError, [0, 9], token_windows, [], 8, 1, np.random.default_rng(0))
### END HIDDEN TESTS

# %% [markdown]
r"""
The whole module in two small tasks. In *abracadabra*, over and over, a table learns which letter follows which; the best that any table can do is counted beside it. And in a text that is only
`aaaa`, what has to be said depends on the place alone: the symbols say nothing, and without positions the loss stays at ln 4.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-train", "locked": true, "schema_version": 3, "solution": false, "task": false}
def best_table_loss(ids, n):
    counts = np.bincount(ids[:-1] * n + ids[1:], minlength=n * n).reshape(n, n)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return -(counts * np.log(np.where(counts, shares, 1))).sum() / counts.sum()

def train(model_loss, parameters, steps):
    optimizer = Adam(parameters, lr=0.3)
    for step in range(steps):
        optimizer.zero_grad()
        loss = model_loss(step)
        loss.backward()
        optimizer.step()
    return loss.item()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    ids = np.array([0, 1, 4, 0, 2, 0, 3, 0, 1, 4, 0] * 30)  # a 0, b 1, c 2, d 3, r 4
    manual_seed(0)
    table = Embedding(5, 5)

    def pairs_loss(step):
        x, y = token_windows(ids, 8, 64, np.random.default_rng(step))
        return cross_entropy(table(x).reshape(512, 5), y.reshape(-1))

    train(pairs_loss, table.parameters(), 80)
    loss, best = cross_entropy(table(ids[:-1]), ids[1:]).item(), best_table_loss(ids, 5)
    assert best - 1e-6 < loss < best + 0.02, f"loss {loss:.3f}; the counted pairs allow {best:.3f}"

    symbols, places = Embedding(1, 4), PositionalEmbedding(4, 4)
    places_loss = lambda step: cross_entropy(places(symbols([0, 0, 0, 0])), np.array([2, 0, 3, 1]))
    loss = train(places_loss, [*symbols.parameters(), *places.parameters()], 40)
    assert loss < 0.05, f"four equal symbols, four targets: loss {loss:.3f}, expected below 0.05"
    print("🧪 module 11, letters that follow each other and places that differ: passed")

test_module()

# %% [markdown]
r"""
## Stretch: turn instead of add

Newer models (Su et al., 2021) add nothing. They turn queries and keys of attention, of which module 12 tells: the numbers 2i and 2i + 1 of a row are a point in a plane, and at position p it is turned by the
angle p / 10000^(2i/dim), the hand of clock i. With c its cosine and s its sine:

    (a, b)  →  (a·c − b·s,  a·s + b·c)

Two rows that are turned by p and q have an inner product that depends on p − q only: the distance enters attention by itself. Row [1, 0, 1, 0] at position 1 becomes [0.5403, 0.8415, 0.99995, 0.0099998].

**Write `rotate(x, positions)`**: `x` is a Tensor (…, T, dim), `positions` are T integers. The result is a Tensor of the same shape and dtype, whose gradient reaches `x`. An odd dim is a `ValueError`
that names it. As above, compute angles in float64.
"""

# %% nbgrader={"grade": false, "grade_id": "rotate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Slices with a step of 2 give all a and all b as Tensors, and arithmetic on Tensors is recorded.", "Stacked along a new last axis, the two halves lie side by side; a reshape makes dim of it again."], "minutes": 30, "objective": "positions", "stretch": true}
#| export
def rotate(x, positions):
    """Turn the pairs (2i, 2i + 1) of x (…, T, dim) by position / 10000^(2i/dim). positions: T integers.

    Raises ValueError for an odd dim.
    """
    ### BEGIN SOLUTION
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"rotate: dim is even, not {dim}")
    angles = np.asarray(positions)[:, None] * 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    cosine, sine = np.cos(angles), np.sin(angles)  # an operation gives them the dtype of the Tensor
    a, b = x[..., ::2], x[..., 1::2]
    return stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1).reshape(*x.shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rotate", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_rotate():
    row = Tensor([[1.0, 0.0, 1.0, 0.0]])
    turned = [[0.5403023, 0.8414710, 0.9999500, 0.0099998]]
    expect(rotate(row, [1]), turned, "[1, 0, 1, 0] at position 1", atol=1e-6, dtype=np.float32)
    expect(rotate(row, [0]), row, "at position 0 nothing turns")
    turned = [[[-0.8414710, 0.5403023]], [[-1.6829420, 1.0806046]]]
    expect(rotate(Tensor([[[0.0, 1.0]], [[0.0, 2.0]]]), np.array([1])), turned, "shape (2, 1, 2)", atol=1e-6)
    x = Tensor(np.random.default_rng(0).normal(size=(5, 6)), dtype=np.float64)
    near, far = rotate(x, [0, 1, 2, 3, 4]).numpy(), rotate(x, [70, 71, 72, 73, 74]).numpy()
    expect(far @ far.T, near @ near.T, "inner products of five rows, 70 positions later", atol=1e-10)
    assert np.abs(near @ near.T - x.numpy() @ x.numpy().T).max() > 0.1, "the distance changes inner products"
    expect((near**2).sum(axis=1), (x.numpy() ** 2).sum(axis=1), "turning keeps lengths", atol=1e-12)
    variable = Tensor([[3.0, 4.0]], requires_grad=True)
    rotate(variable, [1]).sum().backward()
    expect(variable.grad, [[1.3817733, -0.3011687]], "gradient of the sum: c + s and c − s", atol=1e-6)
    expect_error(ValueError, 7, rotate, Tensor(np.ones((1, 7))), [0])
    print("🔬 rotate: passed")

test_unit_rotate()

# %% nbgrader={"grade": true, "grade_id": "test-rotate-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: as complex numbers, in three axes, at positions that skip.
### BEGIN HIDDEN TESTS
block = np.random.default_rng(2).normal(size=(2, 3, 8))
places = np.array([4, 0, 5000])
hands = np.exp(1j * places[:, None] / 10000 ** (np.arange(4) / 4))
spun = (block[..., 0::2] + 1j * block[..., 1::2]) * hands
exact = np.stack([spun.real, spun.imag], axis=-1).reshape(2, 3, 8)
expect(rotate(Tensor(block, dtype=np.float64), places), exact, "as products of complex numbers", atol=1e-9)
gradcheck(lambda v: rotate(v, places), (Tensor(block, dtype=np.float64, requires_grad=True),))
### END HIDDEN TESTS

# %% [markdown]
r"""
## A table learns from Shakespeare

How well can one character predict the next? Count all pairs in the first nine tenths of the text, and divide each row by its sum: no table has a lower loss on these pairs. Now let a table of logits, which
begins with random numbers, learn it by gradients. **Predict** how close it comes after 1,000 steps of 768 pairs, and what the counted table's loss is on the last tenth of the text, in which a few pairs
occur that were never counted.
"""

# %% tags=["measure"]
train_ids, held_out = np.split(text_ids, [len(text_ids) * 9 // 10])


def pair_counts(ids):
    return np.bincount(ids[:-1] * 65 + ids[1:], minlength=65 * 65).reshape(65, 65)


def table_loss(probabilities, counts):
    """The mean cross-entropy in nats over the pairs of `counts`; inf where one of them has probability 0."""
    seen = counts > 0
    with np.errstate(divide="ignore"):
        return -(counts[seen] * np.log(probabilities[seen])).sum() / counts.sum()

# %% tags=["measure"]
def analyze_bigram(steps=1000):
    """The loss of a learned table over the steps, beside what counting gives."""
    counts, held_counts = pair_counts(train_ids), pair_counts(held_out)
    optimum = table_loss(counts / counts.sum(axis=1, keepdims=True), counts)
    manual_seed(0)
    table, draws, losses = Embedding(65, 65), np.random.default_rng(0), []
    optimizer = Adam(table.parameters(), lr=0.1)

    def probabilities():
        powers = np.exp(table.weight.numpy().astype(np.float64))
        return powers / powers.sum(axis=1, keepdims=True)

    for step in range(steps):
        losses.append(table_loss(probabilities(), counts))
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        x, y = token_windows(train_ids, 1, 768, draws)
        optimizer.zero_grad()
        cross_entropy(table(x[:, 0]), y[:, 0]).backward()
        optimizer.step()
    learned = table_loss(probabilities(), counts)
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.semilogy(np.array(losses) - optimum)
    title = "A learned table approaches the counted one"
    axes.set(xlabel="step", ylabel="loss above the optimum (nats)", title=title)
    plt.show()
    print(f"📊 training text: counted {optimum:.4f}, learned {learned:.4f}, {learned - optimum:.4f} apart")
    for added in (0, 0.01):
        smooth = (counts + added) / (counts + added).sum(axis=1, keepdims=True)
        print(f"📊 last tenth: counts with {added} added to each pair {table_loss(smooth, held_counts):.3f}")
    print(f"📊 last tenth: learned {table_loss(probabilities(), held_counts):.3f}")


analyze_bigram()

# %% [markdown]
r"""
Gradients find what counting finds. Counting alone gives a pair that it never saw the probability 0, and one such pair makes the loss infinite; a softmax never says 0.

## Three characters and shared rows

Counting does not go far: of three characters there are 274,625, of which most never occur. Bengio's network gives each character a row of 16 numbers, the same row wherever it stands, joins the rows of the
last three characters, and makes logits of these 48 numbers by one hidden layer: what it learns of *the* it half knows of *tho*. **Predict** its loss on the last tenth of the text (the table had about
2.49), and which characters will have rows that are alike.
"""

# %% tags=["measure"]
class ThreeCharacters(Module):
    """Logits (N, 65) for the character that follows three others, ids (N, 3)."""

    def __init__(self):
        super().__init__()
        self.table, self.hidden, self.out = Embedding(65, 16), Linear(48, 128), Linear(128, 65)

    def forward(self, ids):
        return self.out(tanh(self.hidden(self.table(ids).reshape(len(ids), 48))))


def analyze_bengio(steps=4000):
    """Train the network of 2003; its loss on unseen text, and which rows became alike."""
    manual_seed(0)
    model, draws = ThreeCharacters(), np.random.default_rng(0)
    optimizer = Adam(model.parameters(), lr=0.005)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.005 * (1 - step / steps)
        x, y = token_windows(train_ids, 3, 256, draws)
        optimizer.zero_grad()
        cross_entropy(model(x), y[:, -1]).backward()
        optimizer.step()
    pieces = np.lib.stride_tricks.sliding_window_view(held_out, 4)
    with no_grad():
        loss = cross_entropy(model(pieces[:, :3]), pieces[:, 3]).item()
    print(f"📊 last tenth: {loss:.3f} nats with three characters")
    rows = model.table.weight.numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for letter in "aT.":
        nearest = np.argsort(-rows @ rows[characters.encode(letter)[0]])[1:5]
        print(f"📊 rows most like that of {letter!r}: {list(characters.decode(nearest))}")


analyze_bengio()

# %% [markdown]
r"""
Nobody told it that T is a large t, or which signs end a sentence. Three characters are not much of a memory, and the hidden layer needs weights for each place of its own; attention, in the next module, looks back
as far as you like with the same weights.

## Measure: lookup, product, gradient

**Predict**, for 768 ids and rows of 128 numbers: how many times as long does the product with one-hot rows take as the lookup, for tables of 64, 512 and 4,096 rows? Does the lookup depend on the number of rows?
"""

# %% tags=["measure"]
def analyze_lookup():
    """Time and bytes of lookup and one-hot product over the number of rows."""
    sizes, times = [64, 512, 4096], {"lookup": [], "product": []}
    for size in sizes:
        table, ids = randn(size, 128), np.random.default_rng(0).integers(0, size, 768)
        times["lookup"].append(best_seconds(lambda t=table, i=ids: embedding(t, ids=i)) * 1e3)
        product = lambda t=table, i=ids, n=size: Tensor(one_hot(i, n)) @ t  # noqa: E731 - timed
        times["product"].append(best_seconds(product) * 1e3)
        ratio, size_of_ones = times["product"][-1] / times["lookup"][-1], one_hot(ids, size).nbytes
        print(f"📊 {size:5,} rows: the product takes {ratio:5.1f} times as long, and {size_of_ones:,} bytes")
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for (name, values), style in zip(times.items(), ("o-", "s--"), strict=True):
        axes.loglog(sizes, values, style, label=name)
    axes.set(xlabel="rows of the table", ylabel="milliseconds", title="768 ids, rows of 128 numbers")
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()


analyze_lookup()

# %% [markdown]
r"""
The lookup reads 768 rows, of however many. The product multiplies all of them.

The gradient is another matter: it has the shape of the table. **Predict**, for 768 ids into a table of 4,096 rows of 384 numbers: what share of the gradient's bytes are rows that were read? And which takes
longest: lookup, gradient, or the step of Adam?
"""

# %% tags=["measure"]
def analyze_gradient():
    """What a dense gradient costs when few rows were read."""
    layer, ids = Embedding(4096, 384), np.random.default_rng(0).integers(0, 4096, 768)
    optimizer, arriving = Adam(layer.parameters()), np.ones((768, 384), np.float32)
    layer(ids).backward(arriving)
    dense, touched = layer.weight.grad.nbytes, len(np.unique(ids)) * 384 * 4
    print(f"📊 gradient {dense:,} bytes; rows that were read {touched:,} bytes, {touched / dense:.0%}")
    rule = lambda: embedding_gradient(arriving, None, layer.weight.data, ids=ids)  # noqa: E731 - timed
    parts = [("lookup", lambda: layer(ids)), ("gradient", rule), ("step of Adam", optimizer.step)]
    for name, part in parts:
        print(f"📊 {name}: {best_seconds(part, 5) * 1e3:.2f} ms")


analyze_gradient()

# %% [markdown]
r"""
Most of the gradient is zeros, and Adam still walks over every row with three arrays (momentum moves rows of gradient 0, too). Frameworks offer *sparse* gradients, the rows that were read with their ids, and
optimizers that touch only those; the results differ from Adam's, which is why nobody uses them unasked.

Last, three ways to add. Words of a text are not uniform: a few ids make up most of it. **Predict** which way is fastest for ids drawn uniformly, and which for ids as frequent as words (the k-th most
frequent one k times rarer than the first).
"""

# %% tags=["measure"]
def occurrence_gradient(grad, ids, rows):
    """Adds the first occurrences of all ids together, then the second ones, and so on: no id twice in one
    addition."""
    table, order = np.zeros((rows, grad.shape[1]), grad.dtype), np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))
    counts = np.diff(starts, append=len(ids))
    for k in range(counts.max()):
        places = order[starts[counts > k] + k]
        table[ids[places]] += grad[places]
    return table


def analyze_adding(count=8192, rows=4096, dim=384):
    """Three ways to add the rows of a gradient, for ids of two distributions."""
    draws = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, rows + 1)
    grad, weight = np.ones((count, dim), np.float32), np.zeros((rows, dim), np.float32)
    kinds = [("uniform", None), ("like words", frequencies / frequencies.sum())]
    for kind, chances in kinds:
        ids = draws.choice(rows, count, p=chances)
        ways = [
            ("np.add.at", lambda i=ids: np.add.at(np.zeros_like(weight), i, grad)),
            ("k-th occurrences together", lambda i=ids: occurrence_gradient(grad, i, rows)),
            ("yours", lambda i=ids: embedding_gradient(grad, None, weight, ids=i)),
        ]
        most = np.bincount(ids).max()
        for name, way in ways:
            print(f"📊 {kind}, an id at most {most} times: {name} {best_seconds(way, 3) * 1e3:.1f} ms")


analyze_adding()

# %% [markdown]
r"""
The second way takes one addition for each occurrence of the *most frequent* id: few where ids are uniform, many where one of them is *the*. Sums over sorted runs do not mind how often an id occurs, and pay for a
sorted copy of the gradient. Which was yours?
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-table", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

A model with a vocabulary of 50,257 and rows of 768 numbers is trained in float32 on batches of 12 sequences of 1,024 ids. (a) How many bytes would the one-hot rows of one batch take, and how many does the table
take? (b) The batch holds at most 12,288 different ids. Which share of the table's gradient can be other than 0? What share did your own run print for 768 ids and 4,096 rows, and why is it below 768 / 4,096?
(c) A colleague's rule writes `table[ids] += grad`. His loss falls, only more slowly than yours. Which characters learn too little by it, and what did your run print as the share of lost rows?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-table", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 12 · 1,024 · 50,257 · 4 = 2.47 GB of one-hot rows, 50,257 · 768 · 4 = 154 MB of table, 1 point. (b) At most 12,288 / 50,257 = 24 %; the printed share, about 17 %, is below 768 / 4,096 = 18.8 % because ids repeat,
1 point. (c) The frequent ones, of whose many places only one counts in each step (space, e, t …); rare characters that occur once in a batch learn as they should; the printed share of lost rows, about 94 %, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

A row now says what a symbol is and where it stands. In module 12 the rows of a text look at each other: each one becomes a mean of the others, with weights that are learned. Next: `tito module complete 11_embeddings`.
"""
