# %% [markdown]
r"""
# 08 DataLoader

So far every example was a Tensor that you typed in. Real data lies in files, in formats that somebody chose decades ago, and training wants it in another
form: mixed anew in every epoch, cut into batches, scaled, and slightly altered each time it is seen.

You write this way in pieces. A dataset gives one example by its number, a loader asks for whole batches of them, transforms prepare the images, and two readers turn
the bytes of MNIST and CIFAR-10 into arrays. A thread that prepares the next batch while the network still works on this one is provided. At the end
you will know how many images per second come out, and which of the steps sets the limit.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.dataloader

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextvars
import gzip
import math
import os
import queue
import sys
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinytorch.core.tensor import Random, Tensor, random_generator

# %%
import atexit
import shutil
import tempfile
import time

# %% [markdown]
r"""
## Part 1 of 2 · about 3½ hours: a dataset is a length and an answer

PyTorch asks two things of a dataset: how many examples it has, `len(dataset)`, and what example number i is, `dataset[i]`. Anything that answers both will do, a list as well. What a dataset does
inside (open a file, decode an image) is its own business.

One method is added to that. Asked for 64 examples one by one, Python makes 64 calls; an array can hand over 64 rows in a single one. So a dataset may know how to
give many at once, `get_batch(indices)`. Here is the base class; `default_collate`, which joins single examples into a batch, is something you will write further down.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-dataset", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Dataset:
    """What a DataLoader reads from. A subclass defines `__len__` and `__getitem__(index)`, one example."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} has to define __getitem__(self, index)")

    def get_batch(self, indices):
        """The examples of an array of indices, as a batch; overridden where all come at once."""
        return default_collate([self[i] for i in indices.tolist()])

# %% [markdown]
r"""
The simplest dataset holds everything in memory: some arrays of equal length, whose entries along the first axis belong together.
Three images and three labels:

    images  (3, 2, 2)        labels  [7, 0, 4]        dataset[1]  =  (the second image, 0)

**Write the two parts of `TensorDataset`.** `__init__` keeps the Tensors in the tuple `self.tensors`. An array (or a list) among them
becomes a Tensor first, `Tensor.wrap(np.asarray(x))`, which neither copies nor casts. Tensors of different lengths are a `ValueError`
whose message holds all the lengths, and so is no Tensor at all, whatever its message says. `__getitem__` gives a tuple, always, even
of one. What `index` may be is left to the Tensors: a number, a slice, or an array of many.
"""

# %% nbgrader={"grade": false, "grade_id": "TensorDataset", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the things that you were given are Tensors already, and how do you find out?", "Collect the lengths in a list first; when are they not all one? An empty list is a case of its own.", "Indexing works on each Tensor by itself: build the tuple from what each of them gives for the index, whatever the index is."], "minutes": 15, "objective": "dataset"}
#| export
class TensorDataset(Dataset):
    """Example i is the tuple of the i-th entries of all `tensors` (Tensors or arrays, which share their
    memory).

    Raises ValueError naming the lengths where they differ, and where there is no Tensor.
    """

    def __init__(self, *tensors):
        ### BEGIN SOLUTION
        self.tensors = tuple(x if isinstance(x, Tensor) else Tensor.wrap(np.asarray(x)) for x in tensors)
        lengths = [len(tensor) for tensor in self.tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
        ### END SOLUTION

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        return tuple(tensor[index] for tensor in self.tensors)
        ### END SOLUTION

    def get_batch(self, indices):
        # a subclass that treats examples one by one
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return super().get_batch(indices)
        return self[indices]

# %% nbgrader={"grade": true, "grade_id": "test-TensorDataset", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_tensor_dataset():
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    dataset = TensorDataset(images, Tensor([7, 0, 4]))
    expect(len(dataset), 3, "three images and three labels: the length")
    example = dataset[1]
    assert isinstance(example, tuple), f"dataset[1] is a tuple with a part of each Tensor, got {example!r}"
    expect(example, ([[4, 5], [6, 7]], 0), "dataset[1]")
    expect(example[0].dtype, np.uint8, "the dtype of the image, which is kept")
    expect(example[1].dtype, np.int64, "the dtype of the label, which is kept")
    assert all(isinstance(part, Tensor) for part in example), f"both parts are Tensors, got {example!r}"
    images[1, 0, 0] = 99
    expect(dataset[1][0], [[99, 5], [6, 7]], "the arrays are not copied: a change shows in the dataset")

    rows, labels = dataset[np.array([2, 0])]
    expect(rows, images[[2, 0]], "dataset[array of 2 and 0]: the images")
    expect(labels, [4, 7], "dataset[array of 2 and 0]: the labels")
    expect(TensorDataset([1.0, 2.0])[0], (1.0,), "a dataset of one list gives tuples of one")
    print("🔬 TensorDataset: passed")


test_unit_tensor_dataset()

# %% nbgrader={"grade": true, "grade_id": "test-TensorDataset-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_tensor_dataset_errors():
    expect_error(ValueError, [3, 4], TensorDataset, np.zeros((3, 2)), np.zeros(4))
    expect_error(ValueError, [5, 6], TensorDataset, np.zeros(5), np.zeros(5), Tensor(np.zeros((6, 5))))
    expect_error(ValueError, [], TensorDataset)
    expect_error(IndexError, [], TensorDataset(np.zeros(3)).__getitem__, 3)
    print("🔬 TensorDataset, errors: passed")

test_unit_tensor_dataset_errors()

# %% nbgrader={"grade": true, "grade_id": "test-TensorDataset-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more Tensors, float64, lists, negative indices, slices, no examples.
### BEGIN HIDDEN TESTS
points, names, weights = (
    np.linspace(0, 1, 10).reshape(5, 2),
    [3, 1, 4, 1, 5],
    Tensor([1.0, 2.0, 3.0, 4.0, 5.0]),
)
several = TensorDataset(points, names, weights)
assert len(several.tensors) == 3 and all(isinstance(part, Tensor) for part in several.tensors), (
    "three Tensors"
)
expect(several[-1], (points[4], 5, 5.0), "the last example")
expect(several[-1][0], points[4], "its first part", dtype=np.float64)
expect(several[1:3], (points[1:3], [1, 4], [2.0, 3.0]), "a slice of examples")
expect(len(TensorDataset(np.zeros((0, 3)))), 0, "no examples: the length")
expect_error(ValueError, [2, 5], TensorDataset, weights, weights, np.zeros(2))
### END HIDDEN TESTS

# %% [markdown]
r"""
Two more are provided: a dataset that is a part of another one, and a random split into several parts. They need nothing new.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-subset", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class Subset(Dataset):
    """The examples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = np.asarray(indices, np.int64)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[int(self.indices[index])]

    def get_batch(self, indices):
        return take_batch(self.dataset, self.indices[indices])


def take_batch(dataset, indices):
    """The examples of an array of indices as a batch: at once where the dataset can, else one by one."""
    if hasattr(dataset, "get_batch"):
        return dataset.get_batch(indices)
    return default_collate([dataset[i] for i in indices.tolist()])


def random_split(dataset, lengths, generator=None):
    """Disjoint random Subsets of `dataset`: lengths are numbers of examples, or shares that sum to 1.

    What the rounding of shares leaves over goes to the first ones. generator: a numpy.random.Generator or a
    seed. Raises ValueError where the lengths do not sum to the length of the dataset.
    """
    total, counts = len(dataset), list(lengths)
    if math.isclose(sum(counts), 1) and all(0 <= share <= 1 for share in counts):
        counts = [math.floor(total * share) for share in counts]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != total:
        raise ValueError(
            f"the lengths {list(lengths)} sum to {sum(counts)}, and the dataset has {total} examples"
        )
    order = (random_generator() if generator is None else np.random.default_rng(generator)).permutation(total)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]

# %% [markdown]
r"""
## Batches of indices

A loader does not touch an example until it has decided which ones go together. With 7 examples and batches of 3, in order:

    [0, 1, 2]   [3, 4, 5]   [6]

The last batch is short. Training often drops it: a mean over one example is noisy, and its step would be as long as the others'. To
shuffle means to draw a new order of *all* numbers, and then to cut. Every example is seen exactly once in an epoch, and it meets
other examples each time.

Random numbers come from the `generator` that is handed in (a `numpy.random.Generator`), and from nowhere else. The same seed then
gives the same batches, and that is what makes a training run repeatable. `generator.permutation(n)` gives the numbers from 0 to
n − 1 in random order; call it once.

**Write `batch_indices(length, batch_size, shuffle, drop_last, generator)`**: a list of int64 arrays. Without `shuffle` the generator
is not touched, and may be None. No examples give no batches.
"""

# %% nbgrader={"grade": false, "grade_id": "batch_indices", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What is cut into pieces: the examples, or an array of their numbers?", "First the order of all numbers, shuffled or not; then slices of it, batch_size apart.", "drop_last shortens the end at which the last slice may start: by the remainder of the division."], "minutes": 15, "objective": "batches"}
#| export
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    """Which examples go together: the numbers 0 to length - 1, each once, as a list of int64 arrays.

    All have `batch_size` entries but the last, which may be shorter, or is left out with `drop_last`.
    """
    ### BEGIN SOLUTION
    order = generator.permutation(length) if shuffle else np.arange(length)
    end = length - length % batch_size if drop_last else length
    return [order[start : start + batch_size] for start in range(0, end, batch_size)]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-batch_indices", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_indices():
    cases = [
        (7, 3, False, [[0, 1, 2], [3, 4, 5], [6]]),
        (7, 3, True, [[0, 1, 2], [3, 4, 5]]),
        (6, 3, False, [[0, 1, 2], [3, 4, 5]]),
        (6, 3, True, [[0, 1, 2], [3, 4, 5]]),
        (2, 5, False, [[0, 1]]),
        (2, 5, True, []),
        (0, 4, False, []),
    ]
    for length, size, drop_last, expected in cases:
        got = [np.asarray(part).tolist() for part in batch_indices(length, size, False, drop_last, None)]
        assert got == expected, f"{length} examples in batches of {size}, drop_last={drop_last}: got {got}"
    part = batch_indices(7, 3, False, False, None)[0]
    expect(part, [0, 1, 2], "the first batch of 7 in batches of 3, an array", dtype=np.int64)
    print("🔬 batch_indices, in order: passed")

test_unit_batch_indices()

# %% nbgrader={"grade": true, "grade_id": "test-batch_indices-shuffled", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_indices_shuffled():
    def epoch(seed, drop_last=False):
        return batch_indices(103, 10, True, drop_last, np.random.default_rng(seed))

    parts = epoch(1)
    expect([len(part) for part in parts], [10] * 10 + [3], "103 examples in tens: the sizes")
    seen = np.concatenate(parts).tolist()
    assert sorted(seen) == list(range(103)), (
        f"each example once in an epoch: {103 - len(set(seen))} are missing"
    )
    expect(np.concatenate(epoch(1)), seen, "the same seed again: the order of the examples")
    assert seen != np.concatenate(epoch(2)).tolist(), "another seed gives another order"

    first = [set(part.tolist()) for part in parts[:-1]]
    in_order = [set(range(start, start + 10)) for start in range(0, 100, 10)]
    assert not any(part in in_order for part in first), (
        "the examples are mixed, not only the batches or inside one"
    )
    sizes = [len(part) for part in epoch(1, drop_last=True)]
    expect(sizes, [10] * 10, "103 in tens with drop_last: the sizes")
    kept = [set(np.concatenate(epoch(seed, drop_last=True)).tolist()) for seed in range(5)]
    left_out = {tuple(sorted(set(range(103)) - one)) for one in kept}
    assert len(left_out) > 1, f"shuffle, then cut: others are left out each time, not always {left_out}"
    print("🔬 batch_indices, shuffled: passed")


test_unit_batch_indices_shuffled()

# %% nbgrader={"grade": true, "grade_id": "test-batch_indices-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: one generator over several epochs, every number at every place, no use of another generator.
### BEGIN HIDDEN TESTS
generator = np.random.default_rng(8)
epochs = [np.concatenate(batch_indices(6, 4, True, False, generator)).tolist() for _ in range(400)]
assert len({tuple(order) for order in epochs}) > 250, "one generator gives a new order in each epoch"
counts = np.zeros((6, 6))
for order in epochs:
    assert sorted(order) == list(range(6))
    counts[np.arange(6), order] += 1
assert (counts > 30).all() and (counts < 110).all(), "each number is as likely at each place"
untouched = np.random.default_rng(3)
batch_indices(50, 7, False, True, untouched)
fresh = np.random.default_rng(3).integers(10**9)
expect(untouched.integers(10**9), fresh, "the next draw, after an epoch in order")
expect(batch_indices(5, 1, False, True, None), [[0], [1], [2], [3], [4]], "5 examples in batches of 1")
### END HIDDEN TESTS

# %%
for epoch in range(2):
    print("epoch", epoch, *batch_indices(7, 3, True, False, np.random.default_rng(epoch)))

# %% [markdown]
r"""
## From examples to a batch

A dataset that answers one example at a time gives a list of them, and a network wants one Tensor per part. To *collate* is to turn the one into the other:

    [(image, 3), (image, 1)]        →        (Tensor of shape (2, C, H, W),  Tensor [3, 1])

An example is a number, an array, a Tensor, or a tuple, list or dictionary of such, nested as deep as somebody likes. The rule follows the structure:

| the examples are | the batch is |
|---|---|
| tuples or lists | a tuple: the first parts collated, the second parts collated, … |
| dictionaries | a dictionary with the same keys, each collated |
| plain numbers of Python | `Tensor(samples)`: float32, int64 or bool |
| arrays, Tensors, NumPy's numbers | one Tensor with a new first axis; the dtype stays, float64 and uint8 too |

**Write `default_collate(samples)`**, which calls itself for the parts. Arrays, Tensors and NumPy's numbers have an attribute `dtype`,
Python's numbers have not. Two ways in which examples do not fit together give a `ValueError`: arrays of different shapes (name two of
them), and tuples of different lengths (name two). What is none of the four kinds, such as None or a text, gives a `TypeError` (`Tensor` raises
one for a list that holds no numbers), also where only one of the samples is such a thing.
"""

# %% nbgrader={"grade": false, "grade_id": "default_collate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What does the first sample tell you about all others?", "Three kinds hold other samples (tuples, lists, dictionaries): regroup the parts that belong together, and call yourself for each group.", "What is left has a dtype or is a plain number. Before you stack, compare the shapes; before you make a Tensor of plain things, make sure that they are numbers."], "minutes": 30, "objective": "batches"}
#| export
def default_collate(samples):
    """A batch from a list of examples of one structure: numbers, arrays, Tensors, or tuples, lists, dicts of
    such.

    Arrays keep their dtype; Python's numbers become float32, int64 or bool. Tuples and lists become a tuple.
    Raises ValueError where shapes, or lengths of tuples, differ, TypeError for samples of another kind.
    """
    ### BEGIN SOLUTION
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = sorted({len(sample) for sample in samples})
        if len(lengths) > 1:
            raise ValueError(f"examples of one batch have different numbers of parts: {lengths}")
        return tuple(default_collate(parts) for parts in zip(*samples, strict=True))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    shapes = sorted({np.shape(sample) for sample in samples})
    if len(shapes) > 1:
        raise ValueError(
            f"examples of one batch have different shapes: {shapes}; crop them, or pass a collate_fn"
        )
    return Tensor.wrap(np.stack([np.asarray(sample) for sample in samples]))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-default_collate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_default_collate():
    image = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    got = default_collate([(image, 3), (image + 10, 1)])
    expect(got, ([image, image + 10], [3, 1]), "two examples of an image and a label")
    assert all(isinstance(part, Tensor) for part in got), f"both parts of the batch are Tensors, got {got!r}"
    expect(got[0][1], [[[10, 11], [12, 13]]], "the second image", dtype=np.float32)
    expect(got[1], [3, 1], "the labels", dtype=np.int64)

    for samples, dtype in [([1.5, 2.0], np.float32), ([1, 2], np.int64), ([True, False], np.bool_)]:
        expect(default_collate(samples), samples, f"Python's numbers {samples}", dtype=dtype)
    for dtype in (np.float64, np.uint8, np.int32):
        got = default_collate([np.zeros(3, dtype), np.ones(3, dtype)])
        expect(got, [[0, 0, 0], [1, 1, 1]], f"arrays of {np.dtype(dtype)} keep their dtype", dtype=dtype)
    got = default_collate([Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([5.0, 6.0])])
    expect(got, [[1, 2], [3, 4], [5, 6]], "three Tensors of shape (2,)")
    print("🔬 default_collate: passed")

test_unit_default_collate()

# %% nbgrader={"grade": true, "grade_id": "test-default_collate-nested", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_default_collate_nested():
    got = default_collate([{"x": np.zeros(2), "y": 1}, {"x": np.ones(2), "y": 0}])
    expect(got, {"x": [[0, 0], [1, 1]], "y": [1, 0]}, "dictionaries with the keys x and y")
    got = default_collate([((1, 2.5), [3]), ((4, 5.5), [6])])
    expect(got, (([1, 4], [2.5, 5.5]), ([3, 6],)), "tuples and lists in tuples")
    got = default_collate([(np.zeros((2, 3)), np.int32(5))])
    expect(got, (np.zeros((1, 2, 3)), [5]), "a batch of one has a first axis of 1")
    expect(got[1].dtype, np.int32, "the dtype of NumPy's numbers in a batch of one")

    shapes = [np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 3))]
    expect_error(ValueError, [(2, 2), (2, 3)], default_collate, shapes)
    expect_error(ValueError, [2, 3], default_collate, [(1, 2), (1, 2, 3)])
    expect_error(TypeError, [], default_collate, [(1, None), (2, None)])
    expect_error(TypeError, [], default_collate, [1.5, None])
    print("🔬 default_collate, nested and errors: passed")

test_unit_default_collate_nested()

# %% nbgrader={"grade": true, "grade_id": "test-default_collate-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other structures and dtypes, the inputs' memory.
### BEGIN HIDDEN TESTS
source = np.arange(6.0).reshape(2, 3)
joined = default_collate([(source[0], {"a": (7, Tensor([1, 2]))}), (source[1], {"a": (8, Tensor([3, 4]))})])
expect(joined, (source, {"a": ([7, 8], [[1, 2], [3, 4]])}), "a row and a dictionary of a tuple")
expect(joined[0], source, "rows of float64", dtype=np.float64)
joined[0].numpy()[...] = -1
expect(source[0, 1], 1, "the examples keep their memory")
expect(default_collate([np.zeros((0, 2), np.float16)] * 3), np.zeros((3, 0, 2)), "arrays without entries")
expect(default_collate([np.float16(1.5), np.float16(2)]), [1.5, 2], "NumPy's float16", dtype=np.float16)
expect_error(ValueError, [(3,), ()], default_collate, [np.zeros(3), np.float64(1)])
expect_error(ValueError, [1, 2], default_collate, [([1, 2],), ([1],)])
expect_error(TypeError, [], default_collate, ["a", "b"])
### END HIDDEN TESTS

# %% [markdown]
r"""
## The loader, and a thread that works ahead

The rest of the loader is provided, and worth reading, because it answers three questions.

*Where do random numbers come from?* At the start of an epoch the loader draws one number from its generator, the epoch's seed. The
order comes from (seed, 0), and batch k gets a generator of its own from (seed, k + 1), which `rand`, `randn` and the transforms use
while the batch is fetched: what is drawn for batch 7 depends neither on who computes it nor on when, and not on whether batch 6 was
ever looked at. A loop that stops early leaves the next epoch as it would have been.

*How does a thread work ahead?* With `prefetch=2` a background thread fetches batches while your loop computes. A batch needs a place,
there are two, and one is free again when your loop takes its batch out. The thread waits while both are taken, your loop while none is
filled. So memory stays bounded.

*How does it end?* Your loop may `break`, fail, or forget the iterator. Then Python closes the generator, its `finally` runs, and the
thread is woken up and told to stop. It never holds on to what your loop holds, or the two would keep each other alive. An error inside
the dataset travels through the queue with its traceback and is raised in your loop.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-loader", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
@contextmanager
def drawing_from(generator):
    """Inside `with`, in this thread, whatever the package draws comes from `generator`."""
    token = Random.own.set(generator)
    try:
        yield
    finally:
        Random.own.reset(token)


class DataLoader:
    """Batches of `dataset`, anew in every `for` loop. `len(loader)` is the number of batches.

    batch_size: examples in a batch. shuffle: another order in every epoch. drop_last: leave a shorter last
    batch out. collate_fn: makes a batch of a list of examples; without one, `dataset.get_batch` does, or
    `default_collate`. generator: a numpy.random.Generator or a seed; without one, the one that `manual_seed`
    sets. It decides the order and what dataset, transforms and collate_fn draw through the package (`rand`,
    `randn`, `random_generator`), whatever `prefetch` is. prefetch: how many batches a background thread may
    be ahead; 0 fetches each batch when it is asked for. Raises ValueError for a batch_size or prefetch that
    is no number of batches.
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        *,
        drop_last=False,
        collate_fn=None,
        generator=None,
        prefetch=0,
    ):
        for name, value, least in (("batch_size", batch_size, 1), ("prefetch", prefetch, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} is an integer of at least {least}, not {value!r}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = bool(shuffle)
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.generator = None if generator is None else np.random.default_rng(generator)
        self.prefetch = prefetch

    def __len__(self):
        examples = len(self.dataset)
        return examples // self.batch_size if self.drop_last else math.ceil(examples / self.batch_size)

    def __iter__(self):
        seed = int((random_generator() if self.generator is None else self.generator).integers(2**63))
        order = np.random.default_rng((seed, 0))
        batches = batch_indices(len(self.dataset), self.batch_size, self.shuffle, self.drop_last, order)
        jobs = [(indices, (seed, number)) for number, indices in enumerate(batches, 1)]
        return (
            fetch_ahead(self.fetch, jobs, self.prefetch)
            if self.prefetch
            else (self.fetch(*job) for job in jobs)
        )

    def fetch(self, indices, seed):
        """One batch. Whatever is drawn on the way comes from `seed`."""
        with drawing_from(np.random.default_rng(seed)):
            if self.collate_fn is None:
                return take_batch(self.dataset, indices)
            return self.collate_fn([self.dataset[i] for i in indices.tolist()])


def fetch_ahead(fetch, jobs, places):
    """Yield fetch(*job) for each of the list `jobs`, fetched by a thread that is at most `places` results
    ahead.

    What `fetch` raises is raised here, at the place in the order where the result would have come. The thread
    ends when this generator is closed; it finishes the one job that it is at.
    """
    results, free, stopped = queue.SimpleQueue(), threading.Semaphore(places), threading.Event()

    def work():
        try:
            for job in jobs:
                free.acquire()
                if stopped.is_set():
                    return
                results.put((fetch(*job), None))
        except BaseException as error:  # the loop is the one to be interrupted
            results.put((None, error))

    # the copied context carries np.errstate into the thread; a daemon does not keep the program from ending
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name="DataLoader", daemon=True
    )
    thread.start()
    try:
        for _ in jobs:
            result, error = next_result(results, thread)
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # it holds this frame, which would hold it
            free.release()
            yield result
            del result  # it would otherwise live on while the next one is awaited
    finally:
        stopped.set()
        free.release()


def next_result(results, thread):
    """What the thread put into the queue. Raises RuntimeError where it died, as threads do in a fork."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty:
            if not thread.is_alive() and results.empty():
                raise RuntimeError("the loader's thread is gone; start a new loop over the loader") from None

# %%
numbers = TensorDataset(np.arange(10), np.arange(10) ** 2)
loader = DataLoader(numbers, batch_size=4, shuffle=True, generator=0, prefetch=2)
for epoch in range(2):
    print("epoch", epoch, *(f"{x.tolist()}" for x, square in loader))

# %% [markdown]
r"""
The same loader, and yet another order in the second epoch; a second loader with the seed 0 would repeat both.

## Scale to what a network likes

An image arrives as bytes, 0 to 255. A first layer with usual starting values is made for numbers around 0 with a spread of about 1. So
images are divided by 255, and then each channel is shifted and scaled by the mean and the standard deviation of the training set:

    y[c] = (x[c] − mean[c]) / std[c]            x = 0.75, mean 0.5, std 0.25:   y = 1

These two numbers are measured once, on the training images, and used for the test images as well. What is measured on the test set
would be knowledge of it.

**Write `normalize(images, mean, std)`** for arrays of shape (…, C, H, W): an image or a batch, also one of no images. `mean` and `std`
are numbers, or have one entry per channel. The result is a new array, and floats keep their dtype. Refuse integers with a `TypeError`
that names the dtype (somebody forgot to divide by 255), a number of means or deviations that is neither 1 nor C with a `ValueError`
that says both numbers, and a standard deviation of 0 with a `ValueError` that says 0.
"""

# %% nbgrader={"grade": false, "grade_id": "normalize", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Along which axis, counted from the end, do the channels lie?", "Give mean and std a shape that broadcasts against (C, H, W): one entry per channel and two axes of size 1 behind.", "Check dtype, numbers of entries and zeros before you compute; convert mean and std to the dtype of the images, so that float32 stays."], "minutes": 20, "objective": "transforms"}
#| export
def normalize(images, mean, std):
    """(images - mean) / std for floats of shape (…, C, H, W), with numbers or one entry per channel.

    Raises TypeError for integers, ValueError for a number of entries that does not fit, and where `std` is 0.
    """
    ### BEGIN SOLUTION
    if images.dtype.kind != "f":
        raise TypeError(f"normalize needs floats, not {images.dtype}; divide bytes by 255 first (ToFloat)")
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for name, part in (("mean", mean), ("std", std)):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(
                f"{name} has {len(part)} entries, and the images have {images.shape[-3]} channels"
            )
    if not std.all():
        raise ValueError("std is 0: a channel without any spread cannot be scaled to 1")
    return (images - mean) / std
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-normalize", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_normalize():
    image = np.full((1, 2, 2), 0.75, np.float32)
    got = normalize(image, 0.5, 0.25)
    expect(got, np.ones((1, 2, 2)), "0.75 with mean 0.5 and std 0.25", dtype=np.float32)
    expect(normalize(image, 0, 0.25), np.full((1, 2, 2), 3), "0.75 with mean 0 and std 0.25")
    expect(image, np.full((1, 2, 2), 0.75), "the image that came in stays")

    # C = H = W = 3: only the right axis will do
    colour = np.stack([np.full((3, 3), value) for value in (0.2, 0.5, 0.9)])
    got = normalize(colour, [0.4, 0.5, 0.5], [0.2, 1.0, 0.1])
    expect(np.asarray(got)[:, 1, 2], [-1, 0, 4], "three channels: one pixel of each", atol=1e-12)
    equal = np.broadcast_to(np.asarray(got)[:, :1, :1], (3, 3, 3))
    expect(got, equal, "a channel of equal pixels stays one", dtype=np.float64)
    batch = normalize(np.stack([colour, colour + 1]), (0.4, 0.5, 0.5), (0.2, 1.0, 0.1))
    expect(batch[0], got, "the first image of a batch", atol=1e-12)
    expect(np.asarray(batch)[1, :, 0, 0], [4, 1, 14], "a pixel of the second image", atol=1e-12)
    none = normalize(np.zeros((0, 2, 3, 3), np.float32), [1, 2], 2)
    expect(none, np.zeros((0, 2, 3, 3)), "a batch of no images", dtype=np.float32)
    print("🔬 normalize: passed")


test_unit_normalize()

# %% nbgrader={"grade": true, "grade_id": "test-normalize-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_normalize_errors():
    expect_error(TypeError, "uint8", normalize, np.zeros((3, 2, 2), np.uint8), 0.5, 0.5)
    expect_error(ValueError, [2, 3], normalize, np.zeros((3, 4, 4)), [0.1, 0.2], 1.0)
    expect_error(ValueError, [4, 3], normalize, np.zeros((5, 3, 4, 4)), 0.0, [1.0, 1.0, 1.0, 1.0])
    expect_error(ValueError, [3, 1], normalize, np.zeros((1, 2, 2)), 0.0, [1.0, 2.0, 3.0])
    expect_error(ValueError, 0, normalize, np.zeros((3, 4, 4)), 0.5, [1.0, 0.0, 1.0])
    print("🔬 normalize, errors: passed")

test_unit_normalize_errors()

# %% nbgrader={"grade": true, "grade_id": "test-normalize-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: the statistics of a batch, float32 with lists, arrays of numbers.
### BEGIN HIDDEN TESTS
batch = np.random.default_rng(1).normal([[[3]], [[-1]]], [[[2]], [[5]]], (40, 2, 6, 7)).astype(np.float32)
scaled = normalize(batch, batch.mean((0, 2, 3)).tolist(), batch.std((0, 2, 3)).astype(np.float64))
expect(scaled.dtype, np.float32, "the dtype of a scaled batch")
expect(np.asarray(scaled).mean((0, 2, 3)), [0, 0], "the mean of each channel afterwards", atol=1e-5)
expect(np.asarray(scaled).std((0, 2, 3)), [1, 1], "the spread of each channel afterwards", atol=1e-5)
expect(normalize(np.ones((4, 2, 2)), [3], 2), np.full((4, 2, 2), -1), "one mean for four channels")
expect_error(ValueError, [3, 1], normalize, np.zeros((3, 1, 2, 2)), [1, 2, 3], 1)
expect_error(TypeError, "int64", normalize, np.zeros((1, 2, 2), np.int64), 0, 1)
### END HIDDEN TESTS

# %% [markdown]
r"""
## A picture that was never taken

A mirrored cat is a cat. Anything that changes the pixels and keeps the label gives a new training example for free; the technique is
called *augmentation*. It must be random, since a fixed change would only be another training set of the same size, and it must be
drawn for each image on its own.

**Write `horizontal_flip(images, p, generator)`** for a batch (N, C, H, W), also of no images: each image, with probability `p` and
independently of the others, mirrored left to right; the rest as they are. The result is a new array of the same dtype.
`generator.random(n)` gives n numbers in [0, 1): one call decides for all images.

    row of pixels  [1, 2, 3]      mirrored  [3, 2, 1]
"""

# %% nbgrader={"grade": false, "grade_id": "horizontal_flip", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How do you draw one decision for each image, at once?", "A boolean array picks the images; a reversed slice of the last axis mirrors them. Work on a copy."], "minutes": 12, "objective": "transforms"}
#| export
def horizontal_flip(images, p, generator):
    """A copy of the batch (N, C, H, W), each image mirrored left to right with probability `p`."""
    ### BEGIN SOLUTION
    images = images.copy()
    chosen = generator.random(len(images)) < p
    images[chosen] = images[chosen, :, :, ::-1]
    return images
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-horizontal_flip", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_horizontal_flip():
    row = np.array([1.0, 2.0, 3.0], np.float32).reshape(1, 1, 1, 3)
    got = horizontal_flip(row, 1, np.random.default_rng(0))
    expect(got, [[[[3, 2, 1]]]], "[1, 2, 3] with p = 1", dtype=np.float32)

    images = np.arange(400 * 2 * 3 * 4, dtype=np.uint8).reshape(400, 2, 3, 4)
    before = images.copy()
    mirrored = np.flip(before, 3)
    for p, expected in ((0, before), (1, mirrored)):
        got = horizontal_flip(images, p, np.random.default_rng(1))
        expect(got, expected, f"p = {p}: {'every' if p else 'no'} image mirrored, channel by channel")
    got = np.asarray(horizontal_flip(images, 0.5, np.random.default_rng(2)))
    expect(images, before, "the images that came in stay as they are")
    flipped, same = ((got == side).all((1, 2, 3)) for side in (mirrored, before))
    assert (flipped ^ same).all(), "each image is either mirrored as a whole or left as it is"
    assert 160 < flipped.sum() < 240, f"400 images with p = 0.5: about 200 are mirrored, not {flipped.sum()}"
    expect(horizontal_flip(images, 0.5, np.random.default_rng(2)), got, "the same seed again")
    none = horizontal_flip(np.zeros((0, 3, 2, 2)), 0.5, np.random.default_rng(0))
    expect(none, np.zeros((0, 3, 2, 2)), "a batch of no images")
    print("🔬 horizontal_flip: passed")

test_unit_horizontal_flip()

# %% nbgrader={"grade": true, "grade_id": "test-horizontal_flip-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: another share, other layouts in memory, later draws.
### BEGIN HIDDEN TESTS
photos = np.random.default_rng(5).normal(size=(4, 5, 1, 600)).T
generator = np.random.default_rng(6)
results = [np.asarray(horizontal_flip(photos, 0.2, generator)) for _ in range(2)]
turned = [(result == np.flip(photos, -1)).all((1, 2, 3)) for result in results]
assert all(75 < which.sum() < 170 for which in turned), "600 images with p = 0.2: about 120 are mirrored"
assert not np.array_equal(*turned), "the second batch draws anew"
for result, which in zip(results, turned, strict=True):
    expect(result[~which], photos[~which], "images that are not mirrored")
copied = horizontal_flip(photos, 0, generator)
copied[...] = 0
assert photos.any(), "the result is an array of its own"
### END HIDDEN TESTS

# %% [markdown]
r"""
A cat that stands two pixels further left is one as well. *Random crop with padding* moves the image about: add a border of P pixels on
all four sides, then cut a window of the wanted size from a random place.

    height H, border P, window h:   the top edge may stand at  0, 1, …, H + 2P − h       32, 4, 32:  nine places

The border is black (`"constant"`), or the picture mirrored at its edge (`"reflect"`); NumPy's `np.pad` knows both modes. Every image of
the batch gets its own place, down and across drawn independently, every place as likely as any other. A loop over the images would
do, but NumPy can cut all windows at once: `np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(2, 3))` is a view of *all*
windows, of shape (N, C, places down, places across, h, w), which costs nothing until you pick from it. With an array of image numbers,
and one number down and across for each, indexing picks one window per image. `generator.integers(n, size=N)` draws N numbers from 0
to n − 1.

**Write `random_crop(images, size, padding, padding_mode, generator)`** for a batch (N, C, H, W), also of no images, and `size` =
(h, w). The result is a new array of shape (N, C, h, w) and the same dtype. A window larger than the padded image gives a `ValueError`
that says both sizes, each as a tuple (height, width).
"""

# %% nbgrader={"grade": false, "grade_id": "random_crop", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many places are there for the top edge, and how many for the left one?", "Pad only the last two axes. The view of all windows has the places as its own two axes; an array of image numbers beside the two drawn arrays picks one window for each image.", "When arrays index some axes and a slice stands between them, NumPy moves the picked axis to the front: look at the shape that you get."], "minutes": 35, "objective": "transforms"}
#| export
def random_crop(images, size, padding, padding_mode, generator):
    """A window of `size` (h, w) from a random place of each image of (N, C, H, W), with a border of `padding`
    pixels.

    padding_mode: "constant" (zeros) or "reflect". Raises ValueError naming both sizes where the window does
    not fit.
    """
    ### BEGIN SOLUTION
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(
            f"a window of {tuple(size)} does not fit into images of {padded.shape[2:]}, border included"
        )
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    count = len(images)
    tops, lefts = generator.integers(down, size=count), generator.integers(across, size=count)
    return windows[np.arange(count), :, tops, lefts]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-random_crop", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_random_crop():
    # all pixels differ, so that the first pixel of a window says where it was cut
    images = np.random.default_rng(0).permutation(400 * 2 * 4 * 5).reshape(400, 2, 4, 5) + 1
    before = images.copy()
    for size, padding, mode in [((3, 2), 0, "constant"), ((4, 5), 1, "constant"), ((4, 5), 1, "reflect")]:
        got = np.asarray(random_crop(images, size, padding, mode, np.random.default_rng(1)))
        case = f"images of (4, 5), padding {padding} ({mode}), windows of {size}"
        expect(got.shape, (400, 2, *size), f"{case}: the shape")
        padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=mode)
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
        fits = (windows == got[:, :, None, None]).all((1, 4, 5))  # (images, places down, places across)
        missing = np.flatnonzero(~fits.any((1, 2)))
        assert not len(missing), (
            f"{case}: this is no window of its image\n{got[missing[0]]}" if len(missing) else ""
        )
        tops, lefts = fits.any(2).sum(0) > 0, fits.any(1).sum(0) > 0
        assert tops.all(), f"{case}: no window stands at top {np.flatnonzero(~tops)}"
        assert lefts.all(), f"{case}: no window stands at left {np.flatnonzero(~lefts)}"
        assert fits.any(0).all(), f"{case}: down and across are drawn independently; a place was never drawn"
    expect(images, before, "the images that came in stay as they are")
    print("🔬 random_crop: passed")


test_unit_random_crop()

# %% nbgrader={"grade": true, "grade_id": "test-random_crop-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_random_crop_edges():
    images = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    got = random_crop(images, (4, 4), 0, "constant", np.random.default_rng(0))
    expect(got, images, "no border and a window of the image's size: the image", dtype=np.float32)
    first, second = (random_crop(images, (2, 2), 2, "reflect", np.random.default_rng(7)) for _ in range(2))
    expect(second, np.asarray(first), "the same seed again")
    got = np.asarray(random_crop(images, (8, 8), 2, "constant", np.random.default_rng(0)))
    expect(got[:, :, 2:6, 2:6], images, "a window as large as the padded image: its middle")
    expect(got.sum(), images.sum(), "a window as large as the padded image has zeros around: the sum")
    none = random_crop(np.zeros((0, 3, 6, 6)), (4, 2), 1, "reflect", np.random.default_rng(0))
    expect(none, np.zeros((0, 3, 4, 2)), "a batch of no images")
    draws = np.random.default_rng(0)
    expect_error(ValueError, [(9, 8), (8, 8)], random_crop, images, (9, 8), 2, "constant", draws)
    expect_error(ValueError, [(4, 5), (4, 4)], random_crop, images, (4, 5), 0, "constant", draws)
    print("🔬 random_crop, edges: passed")

test_unit_random_crop_edges()

# %% nbgrader={"grade": true, "grade_id": "test-random_crop-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: is every place as likely as any other? Other layouts in memory.
### BEGIN HIDDEN TESTS
board = np.tile(np.arange(36.0).reshape(6, 6), (2700, 1, 1, 1))
corners = np.asarray(random_crop(board, (4, 4), 0, "constant", np.random.default_rng(9)))[:, 0, 0, 0]
values, counts = np.unique(corners, return_counts=True)
expect(values, [0, 1, 2, 6, 7, 8, 12, 13, 14], "the corners of 2,700 windows of (4, 4) in (6, 6)")
assert counts.min() > 220 and counts.max() < 385, f"each of the nine places about 300 times, not {counts}"
strided = np.random.default_rng(1).normal(size=(6, 5, 2, 3)).T
pieces = random_crop(strided[::-1], (6, 5)[::-1], 0, "constant", np.random.default_rng(3))
expect(pieces, strided[::-1], "images that do not lie row by row in memory")
### END HIDDEN TESTS

# %% [markdown]
r"""
Wrapped into classes, transforms hold their settings, take an image (C, H, W) as well as a batch (N, C, H, W), and are put in a row with
`Compose`. Names and defaults are those of torchvision, which has `ToFloat` as `ToDtype(torch.float32, scale=True)`.

The order matters for speed. Crop and flip while the images are still bytes: they move a quarter of the memory that floats would need.
And it matters for the border, which is black before `Normalize`, and the grey mean after it.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-transforms", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class Transform:
    """Takes (C, H, W) or (N, C, H, W), as an array or a Tensor, and gives a changed array."""

    def __call__(self, images):
        images = np.asarray(images)
        if images.ndim not in (3, 4):
            raise ValueError(
                f"{self} takes an image (C, H, W) or a batch (N, C, H, W), not the shape {images.shape}"
            )
        return self.apply(images) if images.ndim == 4 else self.apply(images[None])[0]

    def __repr__(self):
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )


class ToFloat(Transform):
    """Bytes as float32 from 0 to 1; floats stay as they are. Raises TypeError for other integers."""

    def apply(self, images):
        if images.dtype.kind != "f" and images.dtype != np.uint8:
            raise TypeError(f"ToFloat takes bytes (uint8) or floats, not {images.dtype}")
        return (
            images if images.dtype.kind == "f" else np.multiply(images, np.float32(1 / 255), dtype=np.float32)
        )


class Normalize(Transform):
    """(images - mean) / std, with numbers or one entry per channel."""

    def __init__(self, mean, std):
        self.mean = mean
        self.std = std

    def apply(self, images):
        return normalize(images, self.mean, self.std)


class RandomHorizontalFlip(Transform):
    """Mirror each image left to right with probability `p`."""

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, from 0 to 1, not {p!r}")
        self.p = p

    def apply(self, images):
        return horizontal_flip(images, self.p, random_generator())


class RandomCrop(Transform):
    """A window of `size` (h, w), or a number for both, from a random place of each image after adding a
    border.

    padding: pixels on each side. padding_mode: "constant" for black, "reflect" for the image mirrored at its
    edge.
    """

    def __init__(self, size, padding=0, padding_mode="constant"):
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.padding = padding
        self.padding_mode = padding_mode
        if len(self.size) != 2 or min(self.size) < 1 or padding < 0:
            raise ValueError(
                f"size is one or two positive integers, padding at least 0, not {size!r} and {padding!r}"
            )
        if padding_mode not in ("constant", "reflect"):
            raise ValueError(f'padding_mode is "constant" or "reflect", not {padding_mode!r}')

    def apply(self, images):
        if self.padding_mode == "reflect" and self.padding >= min(images.shape[2:]):
            raise ValueError(f"images of {images.shape[2:]} cannot be reflected by {self.padding} pixels")
        return random_crop(images, self.size, self.padding, self.padding_mode, random_generator())


class Compose:
    """Transforms one after another."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, images):
        for transform in self.transforms:
            images = transform(images)
        return images

    def __repr__(self):
        return f"Compose({self.transforms!r})"


class ImageDataset(Dataset):
    """Images (N, C, H, W) and their labels (N,), as arrays. Example i is (transformed image as a Tensor,
    label).

    A batch is transformed at once. Raises ValueError where images and labels differ in number.
    """

    def __init__(self, images, labels, transform=None):
        if len(images) != len(labels):
            raise ValueError(f"there are {len(images)} images and {len(labels)} labels")
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = np.array(self.images[index])
        return Tensor.wrap(self.transform(image) if self.transform else image), int(self.labels[index])

    def get_batch(self, indices):
        # a subclass that treats examples one by one
        if type(self).__getitem__ is not ImageDataset.__getitem__:
            return super().get_batch(indices)
        images = self.images[indices]
        return Tensor.wrap(self.transform(images) if self.transform else images), Tensor.wrap(
            self.labels[indices]
        )

# %% [markdown]
r"""
A face of twelve by twelve pixels, 24 times through the same transform. There are 7 · 7 places and 2 sides; how many of the 24 pictures
will be different?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def analyze_transforms():
    """One small picture, and what a network sees of it in 24 epochs."""
    face = np.zeros((1, 12, 12), np.uint8)
    face[0, 3, [3, 8]] = face[0, 8, 3:9] = face[0, 5:7, 5] = 255
    face[0, 7, 8] = face[0, 0, :] = face[0, :, 0] = 120
    transform = Compose([RandomCrop(12, padding=3), RandomHorizontalFlip()])
    figure, panels = plt.subplots(3, 9, figsize=(6.5, 2.6), layout="constrained")
    with drawing_from(np.random.default_rng(4)):
        seen = [transform(face)[0] for _ in range(24)]
    for axes in panels.flat:
        axes.axis("off")
    panels[1, 0].imshow(face[0], cmap="gray")
    panels[1, 0].set_title("original", fontsize="small")
    for axes, picture in zip(panels[:, 1:].flat, seen, strict=True):
        axes.imshow(picture, cmap="gray")
    figure.suptitle("Random crop with 3 pixels of border, then a random flip")
    plt.show()
    different = len({picture.tobytes() for picture in seen})
    print(f"📊 {different} different pictures out of 24, of 98 that there are")


analyze_transforms()

# %% [markdown]
r"""
## Part 2 of 2 · about 1½ hours: bytes on the disk

Now the files. For the tests, small ones are written into a temporary folder.
"""

# %%
folder = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, folder, ignore_errors=True)


def put(name, content):
    """Write the bytes `content` into the temporary folder, and return the path."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name

# %% [markdown]
r"""
Files break: a download stops in the middle, a disk is full, somebody unpacks the wrong thing. A reader that does not check turns such a
file into wrong numbers, and a network trains on them without complaint. So a reader says which file it is, at which byte it stopped,
what it expected there, and what it found. `damaged` makes such an error for you to raise; the tests ask for the file and the byte, and
leave what was expected and found to your words. `read_bytes` reads a whole file. It recognises gzip by its first two bytes and not by
the name, because browsers unpack files and keep the name.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-bytes", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def damaged(path, offset, expected, found):
    """The ValueError for a broken file. offset: the byte at which that shows, from 0."""
    return ValueError(f"{path}, byte {offset}: expected {expected}, found {found}")


def read_bytes(path):
    """The content of a file, unpacked if it is gzip. Raises ValueError for a folder, nothing, broken gzip."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, found a folder")
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        content = _decompress(path, file) if start == b"\x1f\x8b" else file.read()
    if not content:
        raise damaged(path, 0, "some content", "none: the file is empty")
    return content


def _decompress(path, file):
    parts = []
    with gzip.open(file) as stream:
        try:
            while part := stream.read(1 << 22):
                parts.append(part)
        except (OSError, EOFError, zlib.error) as error:
            size = path.stat().st_size
            raise damaged(
                path, min(file.tell(), size), "intact gzip", f"{error} ({size} bytes in the file)"
            ) from error
    return b"".join(parts)

# %% [markdown]
r"""
## MNIST's format: IDX

MNIST's files (1998) are in a format that could hardly be simpler, and is met nowhere else. All numbers are big-endian, the most
significant byte first:

    byte 0, 1      zero
    byte 2         code of the dtype: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte 3         how many axes
    byte 4 …       the size of each axis, four bytes each
    then           the entries, the last axis densest, and nothing after them

For an array of 2 × 3 bytes the header is, in hexadecimal,

    00 00 08 02   00 00 00 02   00 00 00 03          uint8, shape (2, 3), the entries start at byte 12

`IDX_DTYPES` translates the codes; `">i4"` is NumPy's name for big-endian int32. `int.from_bytes(part, "big")` makes a number of four
bytes.

**Write `idx_header(path, data)`**: from the content of a file, the dtype (`np.dtype`), the shape (a tuple) and the byte at which the
entries start. `path` is for messages only. Five things may be wrong; raise `damaged(path, offset, expected, found)` with the offset

1. `len(data)`, where the first four bytes are not all there,
2. 0, where the file does not start with two zero bytes,
3. 2, where there is no such code,
4. 3, where there are more than 64 axes, the most that NumPy knows,
5. `len(data)`, where the sizes are not all there.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-idx-dtypes", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# %% nbgrader={"grade": false, "grade_id": "idx_header", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the four faults can be noticed first, when only some bytes are there?", "Check in the order of the list. Indexing bytes gives numbers, slicing gives bytes.", "The start of the entries follows from the number of axes; each size takes four bytes behind the first four."], "minutes": 20, "objective": "files"}
#| export
def idx_header(path, data):
    """(dtype, shape, byte at which the entries start) of an IDX file with the content `data`.

    Raises ValueError that names the file `path`, the offset and what was expected there.
    """
    ### BEGIN SOLUTION
    if len(data) < 4:
        raise damaged(path, len(data), "a magic number of 4 bytes", "the end of the file")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "the two zero bytes of an IDX file", data[:2].hex(" "))
    code, axes = data[2], data[3]
    if code not in IDX_DTYPES:
        known = ", ".join(f"{number:02x}" for number in IDX_DTYPES)
        raise damaged(path, 2, f"the code of a dtype ({known})", f"{code:02x}")
    if axes > 64:
        raise damaged(path, 3, "at most 64 axes", axes)
    start = 4 + 4 * axes
    if len(data) < start:
        raise damaged(path, len(data), f"{axes} sizes of 4 bytes, up to byte {start}", "the end of the file")
    shape = tuple(int.from_bytes(data[place : place + 4], "big") for place in range(4, start, 4))
    return np.dtype(IDX_DTYPES[code]), shape, start
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-idx_header", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_idx_header():
    data = bytes.fromhex("00000802 00000002 00000003") + bytes(6)
    expect(idx_header("a file", data), (np.dtype("u1"), (2, 3), 12), "the header above: dtype, shape, start")
    data = bytes.fromhex("00000d01 00010203")
    expect(idx_header("a file", data), (np.dtype(">f4"), (66051,), 8), "one axis of 0x010203 float32")
    for code, kind in ((9, "i1"), (11, ">i2"), (12, ">i4"), (14, ">f8")):
        got = idx_header("a file", bytes([0, 0, code, 0]))
        expect(got, (np.dtype(kind), (), 4), f"code {code:02x} without axes")
    got = idx_header("a file", bytes.fromhex("00000803 0000ea60 0000001c 0000001c"))
    expect(got[1:], ((60000, 28, 28), 16), "MNIST's training images: shape and start")
    got = idx_header("a file", bytes.fromhex("00000840") + bytes.fromhex("00000001") * 64)
    expect(got[1:], ((1,) * 64, 260), "64 axes of size 1: shape and start")
    print("🔬 idx_header: passed")

test_unit_idx_header()

# %% nbgrader={"grade": true, "grade_id": "test-idx_header-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_idx_header_errors():
    def refuses(offset, content):
        expect_error(ValueError, ["some/file", f"byte {offset}:"], idx_header, "some/file", content)

    refuses(3, bytes(3))
    refuses(0, bytes.fromhex("504b0304 00000000"))
    refuses(0, bytes.fromhex("00010801 00000000"))
    refuses(2, bytes.fromhex("00000a01 00000000"))
    refuses(3, bytes.fromhex("00000841") + bytes.fromhex("00000001") * 65)
    refuses(11, bytes.fromhex("00000802 00000002 000000"))
    print("🔬 idx_header, errors: passed")

test_unit_idx_header_errors()

# %% nbgrader={"grade": true, "grade_id": "test-idx_header-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more axes, headers cut off at every byte, every code.
### BEGIN HIDDEN TESTS
header = bytes.fromhex("00000c04 00000001 00000100 00010000 ffffffff")
got = idx_header("x", header + b"more")
expect(got, (np.dtype(">i4"), (1, 256, 65536, 4294967295), 20), "four axes of int32")
for end in range(len(header)):
    expect_error(ValueError, ["that.file", f"byte {end}"], idx_header, "that.file", header[:end])
for code in set(range(256)) - {8, 9, 11, 12, 13, 14}:
    expect_error(ValueError, "byte 2:", idx_header, "x", bytes([0, 0, code, 0]))
### END HIDDEN TESTS

# %% [markdown]
r"""
With the header read, the rest is one call. `np.frombuffer(data, dtype, offset=start)` is an array around the bytes: nothing is copied,
nothing can be written, and the byte order is that of the file.

**Write `read_idx(path)`** with `read_bytes` and `idx_header`. It gives an array in the machine's own byte order
(`dtype.newbyteorder("=")`) that owns its memory and may be written to, so it is a copy. First check that the entries fill the file
exactly. Where some are missing, the offset to report is the end of the file; where bytes are left over, it is the first of them.
(`math.prod(shape)` counts the entries, without overflow: a broken header may ask for 10³⁰.)
"""

# %% nbgrader={"grade": false, "grade_id": "read_idx", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many bytes do the entries take, and at which byte do they have to end?", "Compare that end with the length of the file: there are two ways to differ, each with its own offset.", "The array around the bytes cannot be written to and has the file's byte order; a conversion to the native dtype copies."], "minutes": 15, "objective": "files"}
#| export
def read_idx(path):
    """The array in an IDX file, gzip or not: writable, in native byte order.

    Raises FileNotFoundError, or ValueError naming the file, the offset and what was expected there.
    """
    ### BEGIN SOLUTION
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) < end:
        raise damaged(path, len(data), f"entries of shape {shape} up to byte {end}", "the end of the file")
    if len(data) > end:
        raise damaged(
            path, end, f"the end of the file after entries of shape {shape}", f"{len(data) - end} bytes more"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-read_idx", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_read_idx():
    plain = bytes.fromhex("00000802 00000002 00000003") + bytes([1, 2, 3, 4, 5, 255])
    table = [[1, 2, 3], [4, 5, 255]]
    got = read_idx(put("small-idx2-ubyte", plain))
    expect(got, table, "a small file", dtype=np.uint8)
    got[0, 0] = 9  # an array of one's own can be written to
    expect(read_idx(put("small-idx2-ubyte.gz", gzip.compress(plain))), table, "the same file as gzip")
    expect(read_idx(put("unpacked-by-a-browser.gz", plain)), table, "a name in .gz, and no gzip")

    numbers = np.array([[1.5, -2.0], [1e30, 0.25]])
    for code, kind in ((0x0D, "f4"), (0x0E, "f8")):
        content = bytes([0, 0, code, 2, 0, 0, 0, 2, 0, 0, 0, 2]) + numbers.astype(f">{kind}").tobytes()
        got = read_idx(str(put("floats", content)))
        expect(got, numbers.astype(kind), f"numbers of {kind}, in the machine's byte order", dtype=kind)
    got = read_idx(put("none", bytes.fromhex("00000803 00000000 0000001c 0000001c")))
    expect(got, np.zeros((0, 28, 28)), "no images of 28 x 28")
    print("🔬 read_idx: passed")


test_unit_read_idx()

# %% nbgrader={"grade": true, "grade_id": "test-read_idx-errors", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_read_idx_errors():
    def refuses(facts, name, content):
        expect_error(ValueError, [name, *facts], read_idx, put(name, content))

    whole = bytes.fromhex("00000c01 00000003") + bytes(12)
    refuses(["byte 19:"], "short", whole[:-1])
    refuses(["byte 8:"], "short.gz", gzip.compress(whole[:8]))
    refuses(["byte 20:"], "long", whole + b"\n\n")
    refuses(["byte 12:"], "huge", bytes.fromhex("00000802 ffffffff ffffffff"))
    refuses(["byte 0:"], "page.gz", b"<html>404 Not Found</html>")
    refuses(["gzip"], "broken.gz", gzip.compress(whole)[:-9])
    refuses(["byte 0:"], "empty", b"")
    expect_error(ValueError, "folder", read_idx, folder)
    expect_error(FileNotFoundError, "absent", read_idx, folder / "absent")
    print("🔬 read_idx, errors: passed")

test_unit_read_idx_errors()

# %% nbgrader={"grade": true, "grade_id": "test-read_idx-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other dtypes and shapes, files cut off at every byte.
### BEGIN HIDDEN TESTS
for code, kind in ((9, "i1"), (11, "i2"), (12, "i4")):
    table = np.arange(-12, 12).astype(kind).reshape(2, 3, 4)
    content = bytes([0, 0, code, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + table.astype(f">{kind}").tobytes()
    result = read_idx(put("table", gzip.compress(content)))
    expect(result, table, f"numbers of {kind}", dtype=np.dtype(kind))
    result[...] = 0
    for end in (16, 17, len(content) - 1):
        expect_error(ValueError, ["cut", f"byte {end}"], read_idx, put("cut", content[:end]))
    expect_error(ValueError, ["more", f"byte {len(content)}"], read_idx, put("more", content + b"\0"))
scalar = read_idx(put("scalar", bytes.fromhex("00000c00 fffffffe")))
expect(scalar, -2, "a number without axes")
### END HIDDEN TESTS

# %% [markdown]
r"""
## CIFAR-10's format: records

CIFAR-10's binary files have no header at all. Each record has 3,073 bytes: the label, 0 to 9, then 1,024 bytes of red, 1,024 of green,
1,024 of blue, each plane 32 rows of 32 pixels. A file of 10,000 records has 30,730,000 bytes.

With nothing to recognise the format by, two checks are left. The size must be a multiple of 3,073. And all labels must be classes: if a
file is shifted by a single byte, pixels stand where labels should be.

**Write `read_cifar10_batch(path)`**: (images, labels), where images are uint8 of shape (N, 3, 32, 32), and labels int64 of shape (N,).
Both own their memory. Raise `damaged` with

1. for a file whose size does not fit, the offset at which the last complete record ends,
2. for a label above 9, the offset of that label's byte, the first if there are several, and the label.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-cifar10-record", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
CIFAR10_RECORD = 1 + 3 * 32 * 32

# %% nbgrader={"grade": false, "grade_id": "read_cifar10_batch", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What does the remainder of a division by the size of a record tell?", "Seen as a table with one record a row, the first column are the labels and the rest are the pixels.", "Find the first label above 9 before you hand anything out; its offset is a multiple of the size of a record."], "minutes": 15, "objective": "files"}
#| export
def read_cifar10_batch(path):
    """(images (N, 3, 32, 32) uint8, labels (N,) int64) of one of CIFAR-10's binary files.

    Raises FileNotFoundError, or ValueError naming the file, the offset and what was expected there.
    """
    ### BEGIN SOLUTION
    data = read_bytes(path)
    count, rest = divmod(len(data), CIFAR10_RECORD)
    if rest:
        offset = count * CIFAR10_RECORD
        raise damaged(
            path, offset, f"a record of {CIFAR10_RECORD} bytes or the end of the file", f"{rest} bytes"
        )
    records = np.frombuffer(data, np.uint8).reshape(count, CIFAR10_RECORD)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * CIFAR10_RECORD, "a label from 0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-read_cifar10_batch", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_read_cifar10_batch():
    planes = bytes([10]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024
    rows = b"".join(bytes([row]) * 32 for row in range(32)) * 3
    images, labels = read_cifar10_batch(put("two.bin", bytes([9]) + planes + bytes([4]) + rows))
    expect(images.shape, (2, 3, 32, 32), "two records: the shape of the images")
    expect(images.dtype, np.uint8, "the dtype of the images")
    expect(labels, [9, 4], "the labels", dtype=np.int64)
    expect(np.asarray(images)[0, :, 5, 7], [10, 20, 30], "red, green and blue of a pixel")
    expect(np.asarray(images)[1, 2, :, 0], list(range(32)), "row r is filled with r: down a column of blue")
    images[0, 0, 0, 0] = labels[0] = 1  # arrays of one's own can be written to
    images, labels = read_cifar10_batch(put("one.bin.gz", gzip.compress(bytes([3]) + planes)))
    expect((images.shape, labels), ((1, 3, 32, 32), [3]), "one record, as gzip: shape and labels")
    print("🔬 read_cifar10_batch: passed")

test_unit_read_cifar10_batch()

# %% nbgrader={"grade": true, "grade_id": "test-read_cifar10_batch-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_read_cifar10_batch_errors():
    def refuses(facts, name, content):
        expect_error(ValueError, [name, *facts], read_cifar10_batch, put(name, content))

    record = bytes([7]) + bytes(3072)
    refuses(["byte 6146:"], "cut.bin", (3 * record)[:-1])
    refuses(["byte 3073:"], "more.bin", record + b"\n")
    refuses(
        ["byte 6146:", 10], "label.bin", 2 * record + bytes([10]) + record[1:] + bytes([200]) + record[1:]
    )
    refuses(["byte 0:"], "empty.bin", b"")
    expect_error(ValueError, "folder", read_cifar10_batch, folder)
    expect_error(FileNotFoundError, "absent.bin", read_cifar10_batch, folder / "absent.bin")
    print("🔬 read_cifar10_batch, errors: passed")


test_unit_read_cifar10_batch_errors()

# %% nbgrader={"grade": true, "grade_id": "test-read_cifar10_batch-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: random records, a label far too large, files shorter than a record.
### BEGIN HIDDEN TESTS
generator = np.random.default_rng(10)
pixels, classes = generator.integers(0, 256, (12, 3, 32, 32), np.uint8), generator.integers(0, 10, 12)
records = [bytes([label]) + pixel.tobytes() for label, pixel in zip(classes.tolist(), pixels, strict=True)]
content = b"".join(records)
expect(read_cifar10_batch(put("random.bin", content)), (pixels, classes), "twelve random records")
expect_error(ValueError, ["tiny.bin", "byte 0:"], read_cifar10_batch, put("tiny.bin", content[:3072]))
expect_error(ValueError, ["byte 0:", 255], read_cifar10_batch, put("high.bin", b"\xff" + content[1:]))
late = b"".join(records[:11]) + b"\x80" + records[11][1:]
expect_error(ValueError, [f"byte {11 * 3073}:", 128], read_cifar10_batch, put("late.bin", late))
### END HIDDEN TESTS

# %% [markdown]
r"""
Three datasets are read with your functions. `tito data fetch mnist` (or `cifar10`, or `digits`) puts their files into a folder of your
account, and the functions below look there unless they are told another one.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-datasets", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def data_folder():
    """Where `tito data fetch` puts its files: TINYTORCH_DATA in the environment, or the user's cache."""
    if os.environ.get("TINYTORCH_DATA"):
        return Path(os.environ["TINYTORCH_DATA"]).expanduser()
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tinytorch" / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinytorch"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinytorch"


def find_file(folder, name, dataset):
    """`name` in `folder`, or else `name`.gz. Raises FileNotFoundError with the command that fetches it."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    near = [
        path.name
        for path in sorted(folder.glob("*"))
        if _letters(path.name) in (_letters(name), _letters(name + "gz"))
    ]
    found = f"; rename {near[0]}, which is there" if near else ""
    raise FileNotFoundError(
        f"{folder}: there is neither {name} nor {name}.gz{found}. Next: tito data fetch {dataset}"
    )


def _letters(name):
    """A name without what programs change in it: train-images.idx3-ubyte is train-images-idx3-ubyte."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def load_idx_pair(folder, part, dataset, classes=10):
    """(images, labels) from `<part>-images-idx3-ubyte` and `<part>-labels-idx1-ubyte`, which have to fit."""
    image_path = find_file(folder, f"{part}-images-idx3-ubyte", dataset)
    label_path = find_file(folder, f"{part}-labels-idx1-ubyte", dataset)
    images, labels = read_idx(image_path), read_idx(label_path)
    for path, array, ndim in ((image_path, images, 3), (label_path, labels, 1)):
        if array.ndim != ndim or array.dtype != np.uint8:
            raise damaged(
                path, 2, f"bytes with {ndim} axes (08 {ndim:02x})", f"{array.dtype} with {array.ndim}"
            )
    if len(images) != len(labels):
        raise damaged(
            label_path, 4, f"{len(images)} labels, one for each image in {image_path.name}", len(labels)
        )
    wrong = np.flatnonzero(labels >= classes)
    if len(wrong):
        raise damaged(label_path, 8 + wrong[0], f"a label from 0 to {classes - 1}", labels[wrong[0]])
    return images[:, None], labels.astype(np.int64)


def load_mnist(folder=None, transform=None):
    """(train, test): 60,000 and 10,000 handwritten digits (1, 28, 28) as ImageDatasets (LeCun et al. 1998).

    folder: where the four IDX files are, gzip or not. transform: for the images of both, `dataset.transform`
    is free to be changed. Raises FileNotFoundError with the next command, ValueError for a damaged file.
    """
    folder = data_folder() / "mnist" if folder is None else Path(folder)
    return tuple(ImageDataset(*load_idx_pair(folder, part, "mnist"), transform) for part in ("train", "t10k"))


def load_cifar10(folder=None, transform=None):
    """(train, test): 50,000 and 10,000 colour photographs (3, 32, 32) as ImageDatasets (Krizhevsky 2009).

    folder: where the six .bin files are, or the folder cifar-10-batches-bin that holds them. transform,
    errors: as in load_mnist.
    """
    folder = data_folder() / "cifar10" if folder is None else Path(folder)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    parts = [read_cifar10_batch(find_file(folder, name, "cifar10")) for name in names]
    sizes = [len(labels) for _, labels in parts]
    whole = max(sizes[:-1])  # a file that was cut at the end of a record is read without complaint
    for name, size in zip(names, sizes, strict=True):
        if size < whole and (name != names[-1] or whole == 10_000):
            raise damaged(folder / name, size * CIFAR10_RECORD, f"{whole} records", size)
    images, labels = (np.concatenate(kind) for kind in zip(*parts[:-1], strict=True))
    return ImageDataset(images, labels, transform), ImageDataset(*parts[-1], transform)


def load_digits(folder=None, transform=None):
    """(train, test): 1,437 and 360 handwritten digits (1, 8, 8), float32 from 0 to 1, as ImageDatasets.

    They are the ones that scikit-learn brings along (Alpaydin & Kaynak 1998), in two IDX files with values
    from 0 to 16; which of them are for testing is drawn once and for all. folder, transform, errors: as in
    load_mnist.
    """
    folder = data_folder() / "digits" if folder is None else Path(folder)
    images, labels = load_idx_pair(folder, "digits", "digits")
    images = np.divide(images, 16, dtype=np.float32)
    test, train = np.split(np.random.default_rng(0).permutation(len(labels)), [len(labels) // 5 + 1])
    return tuple(ImageDataset(images[part], labels[part], transform) for part in (train, test))

# %% [markdown]
r"""
## Put together: from a file to a batch

A file of 60 small images, read, split, shuffled, moved about, scaled and batched, with and without the thread. The mean and the
standard deviation in the test are PyTorch 2.13's for the same pixels.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    pixels, classes = (np.arange(60 * 8 * 8) * 37 % 251).astype(np.uint8), np.arange(60) % 10
    header = bytes.fromhex("00000803 0000003c 00000008 00000008")
    put("train-images-idx3-ubyte.gz", gzip.compress(header + pixels.tobytes()))
    put("train-labels-idx1-ubyte", bytes.fromhex("00000801 0000003c") + classes.astype(np.uint8).tobytes())
    images, labels = load_idx_pair(folder, "train", "mnist")
    dataset = ImageDataset(images, labels, Compose([ToFloat(), Normalize(0.1307, 0.3081)]))

    batch, targets = next(iter(DataLoader(dataset, batch_size=60)))
    values = np.asarray(batch)
    expect(values.shape, (60, 1, 8, 8), "a batch of 60: the shape of the images")
    expect(targets, classes, "its labels, in order", dtype=np.int64)
    expect((values.mean(), values.std()), (1.166578, 0.922346), "mean and standard deviation", rtol=1e-4)

    augment = Compose([RandomCrop(8, padding=2, padding_mode="reflect"), RandomHorizontalFlip(), ToFloat()])
    train, test = random_split(ImageDataset(images, labels, augment), [0.8, 0.2], generator=0)
    expect((len(train), len(test)), (48, 12), "four fifths and one fifth of 60")
    loaders = [DataLoader(train, 10, shuffle=True, drop_last=True, generator=3, prefetch=n) for n in (0, 2)]
    for epoch in range(2):
        alone, ahead = ([(np.asarray(x), y.tolist()) for x, y in loader] for loader in loaders)
        expect(len(alone), 4, "48 examples in tens, the rest dropped: the batches")
        expect(ahead, alone, f"epoch {epoch}: the batches with a thread that works ahead")
    first, second = ([y.tolist() for _, y in loaders[0]] for _ in range(2))
    assert first != second, "two epochs have two orders"
    print("🧪 module 08, from a file to a batch: passed")

test_module()

# %% [markdown]
r"""
## Measure: one by one, or all at once

The same 20,000 images of 28 × 28 bytes, scaled to floats. Read in two ways: `dataset[i]` for each example and then `default_collate`, or
`get_batch`, which indexes, converts and scales the whole batch in a few calls of NumPy. In order, and shuffled.

**Predict:** how many times more images a second come out at once than one by one, in batches of 1, of 64 and of 1,024? And what share
is left in random order, out of an array that is larger than the cache?
"""

# %% tags=["measure"]
class OneByOne(ImageDataset):
    """Like its parent, but it hides the fast way."""

    def __getitem__(self, index):
        return super().__getitem__(index)


def analyze_batches(count=20_000):
    """Images per second over the size of a batch: one by one or at once, in order or shuffled."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)
    labels, transform = np.arange(count) % 10, Compose([ToFloat(), Normalize(0.1307, 0.3081)])
    sizes, all_rates = [1, 4, 16, 64, 256, 1024], {}
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for kind, name, style in ((OneByOne, "one by one", "s"), (ImageDataset, "at once", "o")):
        for shuffle, line in ((False, "-"), (True, "--")):
            rates = []
            for size in sizes:
                part = count if size > 8 and kind is ImageDataset else count // 10
                dataset = kind(pixels[:: count // part], labels[:: count // part], transform)
                loader = DataLoader(dataset, batch_size=size, shuffle=shuffle, generator=0)
                seconds = best_seconds(lambda: [None for _ in loader], repeats=3)  # noqa: B023
                rates.append(part / seconds)
            order = "shuffled" if shuffle else "in order"
            axes.loglog(sizes, rates, style + line, label=f"{name}, {order}")
            some = f"{rates[0]:,.0f} in batches of 1, {rates[3]:,.0f} of 64, {rates[-1]:,.0f} of 1024"
            print(f"📊 {name}, {order}: images per second: {some}")
            all_rates[name, shuffle] = np.array(rates)
    gain = all_rates["at once", False] / all_rates["one by one", False]
    share = all_rates["at once", True][-1] / all_rates["at once", False][-1]
    many = f"{gain[0]:.1f}, {gain[3]:.0f} and {gain[-1]:.0f} times as many"
    print(f"📊 at once: {many} in batches of 1, 64 and 1024")
    print(f"📊 in random order {share:.0%} of that, in batches of 1024")
    axes.set(xlabel="images in a batch", ylabel="images per second", xticks=sizes, xticklabels=sizes)
    axes.set_title("20,000 images of 28 x 28 out of memory")
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.legend()
    plt.show()


analyze_batches()

# %% [markdown]
r"""
One call for each image costs the same whatever the batch size, and nearly all of it is Python. At once, everything is paid once for a
batch: in batches of 1 that is no gain or even a loss, and from some size on moving and scaling the bytes takes over. Random order costs
little: an image is 784 bytes in a row, a dozen cache lines, long enough for the processor to fetch ahead. Random *pixels* would be
another matter.

A network that learns from 10,000 images per second does not notice the difference between the two. One that only compares pixels, or a
small one, waits for its data most of the time.

## Measure: does working ahead help?

A training step needs its batch (loading takes L milliseconds) and then computes (C milliseconds). One after the other that is L + C;
with a thread that works ahead it can be max(L, C) at best, half the time if both are equal. But Python runs one thread at a time. What
overlaps is the time in which a thread does *not* run Python: while it waits for a disk or a network, and inside of NumPy's larger loops.

Three loaders: one that waits (20 ms per batch, like a slow disk), one that computes in NumPy (crop, flip and scale 512 colour images),
and one that computes in Python (a loop over numbers). Each feeds a step that computes exponentials in NumPy, on one core, for about as
long as the loading takes. (Not matrix products: NumPy spreads those over all cores by itself, and then no core is left to work ahead.)

**Predict** for each of the three: how many times as many images a second come with `prefetch=2`?
"""

# %% tags=["measure"]
class Slow(Dataset):
    """Batches that come out of `work(indices)`."""

    def __init__(self, count, work):
        self.count = count
        self.work = work

    def __len__(self):
        return self.count

    def get_batch(self, indices):
        return self.work(indices)

# %% tags=["measure"]
def draw_rates(axes, place, rates, ahead):
    """Four bars side by side at `place`, one for each number of batches ahead."""
    for i, (rate, prefetch, hatch) in enumerate(zip(rates, ahead, ("", "//", "..", "xx"), strict=True)):
        look = {"color": str(0.9 - 0.17 * i), "edgecolor": "black", "hatch": hatch}
        label = None if place else f"prefetch={prefetch}"
        axes.bar(place + 0.2 * i - 0.3, rate, 0.2, label=label, **look)

# %% tags=["measure"]
def analyze_prefetch(batches=8, size=512):
    """Images per second with and without a thread, for loaders that wait and that compute."""
    pixels = np.random.default_rng(0).integers(0, 256, (batches * size, 3, 32, 32), np.uint8)
    transform = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), ToFloat(), Normalize(0.5, 0.25)])
    images = ImageDataset(pixels, np.zeros(len(pixels), np.int64), transform)
    ahead = (0, 1, 2, 4)
    kinds = [
        ("waits", Slow(len(pixels), lambda indices: time.sleep(0.02))),
        ("computes in NumPy", images),
        ("computes in Python", Slow(len(pixels), lambda indices: sum(i * i % 7 for i in range(300_000)))),
    ]
    signal = np.random.default_rng(1).standard_normal(2**16, np.float32)
    result = np.empty_like(signal)
    one = best_seconds(lambda: [np.exp(signal, out=result) for _ in range(100)]) / 100
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for place, (name, dataset) in enumerate(kinds):
        plain = DataLoader(dataset, size)
        loading = best_seconds(lambda: [None for _ in plain], repeats=2) / batches  # noqa: B023
        rounds = max(1, round(loading / one))

        def epoch(prefetch):
            for _ in DataLoader(dataset, size, generator=0, prefetch=prefetch):  # noqa: B023 - called at once
                for _ in range(rounds):  # noqa: B023
                    np.exp(signal, out=result)

        seconds = dict.fromkeys(ahead, math.inf)
        for _ in range(5):  # in turns, so that a disturbance does not hit one of them alone
            for prefetch in ahead:
                took = best_seconds(lambda: epoch(prefetch), repeats=1)  # noqa: B023
                seconds[prefetch] = min(seconds[prefetch], took)
        rates = [batches * size / seconds[prefetch] for prefetch in ahead]
        draw_rates(axes, place, rates, ahead)
        print(f"📊 a loader that {name}: {1000 * loading:.1f} ms per batch; with prefetch=2", end=" ")
        print(f"{rates[2] / rates[0]:.2f} times as many images per second")
    axes.set(ylabel="images per second", title="Loading and computing, one after the other or at once")
    axes.set(xticks=range(3), xticklabels=[f"a loader that\n{name}" for name, _ in kinds])
    figure.legend(ncols=4, fontsize="small", loc="outside lower center")
    plt.show()

# %% tags=["measure"]
analyze_prefetch()

# %% [markdown]
r"""
The loader that waits leaves the processor alone, and its time disappears behind the step: the ratio comes near 2. The one in Python gains
nothing. Its thread and yours take turns, and each waits up to 5 ms (`sys.getswitchinterval()`) for the other to let go, so it may even
lose. The one in NumPy lies between, and depends on two things: whether a second core is free, and how long NumPy's loops are.

A place more than one helps when batches take different times: the thread uses the short ones to get ahead. It cannot raise the average,
and every place holds a batch in memory.

PyTorch's answer to the third loader is worker *processes* (`num_workers`): each has a Python of its own, and batches come back through
shared memory.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-pipeline", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

A network takes 40 ms for a batch of 128 images on an accelerator, which does not disturb the processor. Loading a batch takes 100 ms on
one core: 30 ms in which the disk is waited for, and 70 ms of Python that decodes images. (a) How long does a step take without a thread
that works ahead, and with one? (b) A colleague sets `prefetch=50` to make it faster still. What does that change, and what does it cost?
Which numbers of your own run say so? (c) Name two changes that would help, and say how far each can get.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-pipeline", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 140 ms without; with one thread max(100, 40) = 100 ms, 1 point. (b) A longer queue does not make loading faster: still
100 ms per step on average, it only evens out batches that vary, and 50 batches lie in memory; the run's rates with prefetch 2 and 4 are
about the same, 1 point. (c) Two changes with their limits, 1 point: decoding in several processes (not threads, as Python runs one at a
time; three processes reach 33 ms, so that the 40 ms of the network are the limit); decoding once and storing arrays (then the disk's
30 ms, more if the arrays are larger, hidden behind the 40); two threads overlap waiting with decoding (70 ms); decoding in a library
that lets go of the interpreter.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

You can now read all of MNIST. A dense network sees each image as 784 numbers without neighbours: shift a digit by one pixel and all of
its inputs change. Module 09 builds the layer that looks at neighbourhoods, the convolution, and trains it on images that come out of
this loader. With modules 01 to 08 done, the milestone of 1986 is unlocked (`tito milestone run 03`). Next:
`tito module complete 08_dataloader`.
"""
