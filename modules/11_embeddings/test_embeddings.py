"""Embeddings as they are used: any shape of ids, gradients that add up, positions in pieces, windows of a text."""

import math

import numpy as np
import pytest

import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch.core.autograd import gradcheck, no_grad
from tinytorch.core.embeddings import (
    Embedding,
    PositionalEmbedding,
    embedding,
    id_array,
    one_hot,
    sinusoidal_positions,
    token_windows,
)
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, AdamW
from tinytorch.core.tensor import Tensor, manual_seed

SHAPES = [(), (1,), (7,), (3, 4), (2, 1, 5), (0,), (2, 0)]
every_shape = pytest.mark.parametrize("shape", SHAPES)


def drawn(shape, count, seed=0):
    return np.random.default_rng(seed).integers(0, count, shape)


@every_shape
def test_a_lookup_is_the_product_with_one_hot_rows(shape):
    ids, weight = drawn(shape, 9), np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    rows = embedding(Tensor(weight), ids=ids).numpy()
    assert rows.shape == (*shape, 4) and rows.dtype == np.float32
    np.testing.assert_allclose(one_hot(ids, 9) @ weight, rows, rtol=1e-6)


@every_shape
@pytest.mark.parametrize("padding_idx", [None, 0, 3])
def test_every_place_of_an_id_adds_to_its_row(shape, padding_idx):
    ids = drawn(shape, 4)
    weight = Tensor(np.ones((4, 3)), dtype=np.float64, requires_grad=True)
    arriving = np.random.default_rng(2).normal(size=(*shape, 3))
    embedding(weight, ids=ids, padding_idx=padding_idx).backward(arriving)
    expected = np.zeros((4, 3))
    for place in np.ndindex(*shape):
        expected[ids[place]] += arriving[place]
    if padding_idx is not None:
        expected[padding_idx] = 0
    np.testing.assert_allclose(weight.grad, expected, atol=1e-12)


def test_gradients_agree_with_differences_where_ids_repeat():
    weight = Tensor(np.random.default_rng(3).normal(size=(5, 2)), dtype=np.float64, requires_grad=True)
    assert gradcheck(lambda w: embedding(w, ids=[[4, 4, 0], [1, 4, 0]]) ** 3, (weight,))


def test_a_row_that_was_not_read_stays_under_sgd():
    manual_seed(0)
    layer = Embedding(6, 2)
    before = layer.weight.numpy().copy()
    layer([[1, 4], [4, 4]]).sum().backward()
    SGD(layer.parameters(), lr=0.5).step()
    moved = np.any(layer.weight.numpy() != before, axis=1)
    assert moved.tolist() == [False, True, False, False, True, False]


def test_a_padding_row_stays_zero_through_training():
    manual_seed(0)
    layer = Embedding(5, 3, padding_idx=2)
    optimizer = AdamW(layer.parameters(), lr=0.1)
    for seed in range(10):
        optimizer.zero_grad()
        (layer(drawn((4, 6), 5, seed)) ** 2).sum().backward()
        optimizer.step()
    assert not layer.weight.numpy()[2].any() and layer.weight.numpy()[[0, 1, 3, 4]].all()


@pytest.mark.parametrize("ids", [[0, 5], [-1], Tensor([[1], [9]]), np.array(5)])
def test_an_id_that_is_not_there_is_refused_by_name(ids):
    bad = next(str(i) for i in np.ravel(np.asarray(ids)) if not 0 <= i < 5)
    with pytest.raises(IndexError, match=bad):
        Embedding(5, 2)(ids)
    with pytest.raises(IndexError, match=bad):
        one_hot(ids, 5)


@pytest.mark.parametrize("ids", [[0.0, 1.0], np.array([True]), Tensor([1.5])])
def test_ids_that_are_no_integers_are_refused(ids):
    with pytest.raises(TypeError, match=str(np.asarray(ids).dtype)):
        Embedding(5, 2)(ids)


def test_ids_of_every_integer_dtype_are_read():
    layer = Embedding(5, 2)
    for dtype in (np.uint8, np.int16, np.int32, np.int64, np.uint64):
        rows = layer(np.array([4, 0], dtype))
        np.testing.assert_array_equal(rows.numpy(), layer.weight.numpy()[[4, 0]])
        rows.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad[:, 0], [5, 0, 0, 0, 5])
    assert id_array([], 5).dtype == np.int64


@pytest.mark.parametrize("padding_idx", [5, -6])
def test_a_padding_row_that_is_not_there_is_refused(padding_idx):
    with pytest.raises(ValueError, match=str(padding_idx)):
        Embedding(5, 2, padding_idx)


def test_layers_show_what_they_are():
    assert repr(Embedding(5, 2)) == "Embedding(5, 2)"
    assert repr(Embedding(5, 2, padding_idx=-1)) == "Embedding(5, 2, padding_idx=4)"
    assert repr(PositionalEmbedding(8, 2)) == "PositionalEmbedding(max_len=8, dim=2)"


@pytest.mark.parametrize("dim", [2, 6, 64])
def test_inner_products_of_waves_depend_on_the_distance_only(dim):
    waves = sinusoidal_positions(300, dim).numpy().astype(np.float64)
    products = waves @ waves.T
    for distance in (0, 1, 17, 200):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], atol=1e-4)
        speeds = 10000 ** (-np.arange(0, dim, 2) / dim)
        assert along[0] == pytest.approx(np.cos(distance * speeds).sum(), abs=1e-4)


@pytest.mark.parametrize("dim", [-2, 0, 1, 7])
def test_waves_need_an_even_number_of_columns(dim):
    with pytest.raises(ValueError, match=str(dim)):
        sinusoidal_positions(3, dim)


def test_a_sequence_in_pieces_has_the_positions_of_the_whole():
    manual_seed(1)
    layer, x = PositionalEmbedding(12, 4), Tensor(np.random.default_rng(4).normal(size=(3, 12, 4)))
    with no_grad():
        pieces = [layer(x[:, at : at + 1], start=at).numpy() for at in range(12)]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), layer(x).numpy())


def test_positions_learn_with_the_symbols_that_they_are_added_to():
    layer = PositionalEmbedding(5, 2)
    x = Tensor(np.zeros((4, 3, 2)), requires_grad=True)
    layer(x, start=1).backward(np.ones((4, 3, 2)))
    np.testing.assert_array_equal(layer.weight.grad[:, 0], [0, 4, 4, 4, 0])
    np.testing.assert_array_equal(x.grad, np.ones((4, 3, 2)))


def test_windows_hold_neighbours_of_the_text_and_their_successors():
    ids = np.random.default_rng(5).integers(0, 1000, 50)
    x, y = token_windows(ids, 8, 40, np.random.default_rng(6))
    pieces = {tuple(ids[at : at + 9]) for at in range(42)}
    assert {(*row, last) for row, last in zip(x.tolist(), y[:, -1].tolist(), strict=True)} <= pieces
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])


def test_windows_without_a_generator_follow_manual_seed():
    ids, draws = np.arange(30), []
    for _ in range(2):
        manual_seed(8)
        draws.append(token_windows(ids, 4, 5)[0])
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_text_that_is_too_short_is_refused_with_both_lengths(length):
    with pytest.raises(ValueError, match=f"(?s){length}.*5|5.*{length}"):
        token_windows(np.arange(length), 4, 2, np.random.default_rng(0))
    x, y = token_windows(np.arange(5), 4, 2, np.random.default_rng(0))
    assert x.tolist() == [[0, 1, 2, 3]] * 2 and y.tolist() == [[1, 2, 3, 4]] * 2


def test_a_table_learns_the_counted_optimum():
    ids = np.array([0, 1, 0, 2, 0, 1, 1, 2] * 20)
    counts = np.bincount(ids[:-1] * 3 + ids[1:], minlength=9).reshape(3, 3)
    shares = counts / counts.sum(axis=1, keepdims=True)
    best = -sum(c * math.log(p) for c, p in zip(counts.flat, shares.flat, strict=True) if c) / counts.sum()
    manual_seed(0)
    table = Embedding(3, 3)
    optimizer = SGD(table.parameters(), lr=3.0)
    for _ in range(400):
        loss = cross_entropy(table(ids[:-1]), ids[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert best - 1e-6 < loss.item() < best + 0.02
