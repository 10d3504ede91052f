"""Datasets and loaders against PyTorch's: lengths, batches, dtypes, and the calls that a PyTorch user would type."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split

torch = pytest.importorskip("torch")
their = pytest.importorskip("torch.utils.data")
pytestmark = pytest.mark.parity


def same(ours, theirs):
    """Equal structure, values and dtypes. PyTorch makes lists of tuples."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = ours.values(), theirs.values()
    if isinstance(theirs, torch.Tensor):
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        assert np.array_equal(ours.numpy(), theirs.numpy())
        return
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        same(one, other)


def data(count):
    x = np.random.default_rng(0).normal(size=(count, 2, 3)).astype(np.float32)
    y = np.arange(count)
    return (
        TensorDataset(x, y, x.astype(np.float64)),
        their.TensorDataset(*map(torch.from_numpy, (x, y, x.astype(np.float64)))),
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 20), st.integers(1, 7), st.booleans(), st.integers(0, 2))
def test_batches_in_order(count, batch_size, drop_last, prefetch):
    ours, theirs = data(count)
    mine = DataLoader(ours, batch_size=batch_size, drop_last=drop_last, prefetch=prefetch)
    yours = their.DataLoader(theirs, batch_size=batch_size, drop_last=drop_last)
    assert len(mine) == len(yours)
    same(list(mine), list(yours))


@pytest.mark.parametrize(
    "samples",
    [
        [np.arange(3, dtype=np.uint8)] * 2,
        [(np.zeros(2), 1), (np.ones(2), 2)],
        [{"x": np.zeros((2, 1), np.float32), "y": (1, [2, True])}] * 3,
        [np.int32(4), np.int32(5)],
        [True, False],
        [np.zeros((0, 2), np.float16)] * 2,
    ],
)
def test_collate(samples):
    same(default_collate(samples), their.default_collate(samples))


def test_floats_of_python_are_float32_here_and_float64_there():
    assert default_collate([1.5]).dtype == np.float32
    assert their.default_collate([1.5]).dtype == torch.float64


def test_examples_subsets_and_indices():
    ours, theirs = data(9)
    for index in (0, -1, slice(2, 5)):
        same(ours[index], theirs[index])
    same(list(DataLoader(Subset(ours, [3, 3, 8]), 2)), list(their.DataLoader(their.Subset(theirs, [3, 3, 8]), 2)))
    for one in (ours, theirs):
        with pytest.raises(IndexError):
            one[9]


@pytest.mark.filterwarnings("ignore:Length of split")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_the_sizes_of_a_split(count, parts):
    shares = [part / sum(parts) for part in parts]
    ours = [len(part) for part in random_split(range(count), shares)]
    assert ours == [len(part) for part in their.random_split(range(count), shares)]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_both_refuse_an_impossible_batch(batch_size):
    for loader in (DataLoader, their.DataLoader):
        with pytest.raises(ValueError, match="batch_size"):
            loader([1, 2], batch_size=batch_size)


def test_lengths_that_differ_and_splits_that_do_not_sum():
    with pytest.raises(ValueError, match="3.*4"):
        TensorDataset(np.zeros(3), np.zeros(4))
    for split in (random_split, their.random_split):
        with pytest.raises(ValueError):
            split(range(5), [2, 2])


def test_the_calls_a_pytorch_user_would_type():
    class Squares(Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return index, index**2

    class TheirSquares(their.Dataset):
        __len__, __getitem__ = Squares.__len__, Squares.__getitem__

    for batch_size in (1, 2):
        same(
            list(DataLoader(Squares(), batch_size, shuffle=False)),
            list(their.DataLoader(TheirSquares(), batch_size, shuffle=False)),
        )
    shuffled = [x.tolist() for x, _ in DataLoader(Squares(), batch_size=2, shuffle=True, drop_last=True)]
    assert [len(batch) for batch in shuffled] == [2, 2]
    for loader, examples in ((DataLoader, Squares()), (their.DataLoader, TheirSquares())):
        assert list(loader(examples, batch_size=3, collate_fn=len)) == [3, 2]
