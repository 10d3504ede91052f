"""Embeddings: A row of a table for each symbol, with its gradient; positions; and text cut into examples to learn from.

Exported from module 11_embeddings by tito export. Edit the notebook of that module, not this file.
"""

import numpy as np

from .layers import Module, Parameter
from .tensor import Op, Tensor, randn, random_generator, stack

__all__ = [
    "id_array", "one_hot", "embedding", "embedding_gradient", "Embedding", "sinusoidal_positions",
    "PositionalEmbedding", "token_windows", "rotate",
]


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


def one_hot(ids, n):
    """Rows of n zeros with a 1 where the id says: float32, of shape (*ids.shape, n). Raises as id_array
    does."""
    return (id_array(ids, n)[..., None] == np.arange(n)).astype(np.float32)


@Op
def embedding(weight, *, ids, padding_idx=None):
    """Rows of `weight` (n, d), one for each id: (*ids.shape, d). The row `padding_idx` gets no gradient.

    Raises TypeError and IndexError as id_array does.
    """
    return weight[id_array(ids, len(weight))]


@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    """The sum of the rows of `grad` over all places of each id, as one table; the row `padding_idx` is 0."""
    ids = np.asarray(ids, np.int64).ravel()
    table = np.zeros(weight.shape, grad.dtype)
    order = np.argsort(ids)
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))  # where a run of equal ids begins
    rows = grad.reshape(ids.size, weight.shape[1])[order]
    table[ids[order][starts]] = np.add.reduceat(rows, starts)
    if padding_idx is not None:
        table[padding_idx] = 0
    return table


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
        self.weight = Parameter(randn(num_embeddings, embedding_dim))
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, ids):
        return embedding(self.weight, ids=np.asarray(ids), padding_idx=self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def sinusoidal_positions(length, dim):
    """A row (dim,) for each position below `length`: sin, cos of position / 10000^(2i/dim), side by side.

    Returns a float32 Tensor (length, dim). Raises ValueError for an odd dim and for one below 2.
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"sinusoidal_positions: dim is even and at least 2, not {dim}")
    speeds = 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    angles = np.arange(length)[:, None] * speeds
    rows = np.empty((length, dim))
    rows[:, ::2], rows[:, 1::2] = np.sin(angles), np.cos(angles)
    return Tensor(rows)


class PositionalEmbedding(Module):
    """Adds a learned row to each position: x (…, T, dim) with positions start … start + T - 1.

    Raises ValueError naming start, T and max_len for positions that are not there.
    """

    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        self.weight = Parameter(randn(max_len, dim) * 0.02)

    def forward(self, x, start=0):
        length = x.shape[-2]
        if start < 0 or start + length > self.max_len:
            raise ValueError(f"{length} positions from {start} on do not fit into max_len {self.max_len}")
        return x + self.weight[start : start + length]

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"


def token_windows(ids, block_size, batch, generator=None):
    """`batch` pieces of a text, drawn at random: (x, y), both (batch, block_size), y one place further than
    x.

    ids: integers in one axis. generator: a numpy.random.Generator; without one, what manual_seed set. Raises
    ValueError naming both lengths for a text shorter than block_size + 1.
    """
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    if len(ids) < block_size + 1:
        raise ValueError(f"token_windows: {len(ids)} ids are too few, a piece takes {block_size + 1}")
    starts = generator.integers(0, len(ids) - block_size, batch)
    pieces = ids[starts[:, None] + np.arange(block_size + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def rotate(x, positions):
    """Turn the pairs (2i, 2i + 1) of x (…, T, dim) by position / 10000^(2i/dim). positions: T integers.

    Raises ValueError for an odd dim.
    """
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"rotate: dim is even, not {dim}")
    angles = np.asarray(positions)[:, None] * 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    cosine, sine = np.cos(angles), np.sin(angles)  # an operation gives them the dtype of the Tensor
    a, b = x[..., ::2], x[..., 1::2]
    return stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1).reshape(*x.shape)
