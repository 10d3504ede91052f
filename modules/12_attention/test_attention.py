"""Attention as it is used: against scalar loops, invariants under drawn shapes, and what must not be kept or moved."""

import math
import weakref

import numpy as np
import pytest

from tinytorch.core.attention import (
    MultiheadAttention,
    attend,
    attention,
    attention_and_weights,
    attention_in_blocks,
    attention_weights,
    causal_mask,
    causality_gap,
    focus,
    merge_heads,
    position_gap,
    scaled_dot_product_attention,
    split_heads,
    variance_of_scores,
)
from tinytorch.core.autograd import gradcheck, no_grad
from tinytorch.core.tensor import Op, Tensor, manual_seed

SIZES = [(1, 1, 1, 1), (3, 3, 2, 2), (2, 5, 4, 3), (4, 2, 1, 6), (0, 3, 2, 2)]  # n, m, d, v
FRONTS = [(), (2,), (2, 3), (0,)]


def drawn(*shapes, seed=0, grad=False):
    draw = np.random.default_rng(seed)
    return [Tensor(draw.normal(size=shape), grad, np.float64) for shape in shapes]


def three(n, m, d, v, front=(), **settings):
    return drawn((*front, n, d), (*front, m, d), (*front, m, v), **settings)


def by_loops(query, key, value, mask=None):
    """Attention of matrices, a number at a time; mask: what is added to a score."""
    out = np.zeros((len(query), value.shape[1]))
    for i in range(len(query)):
        scores = [sum(query[i] * row) / math.sqrt(query.shape[1]) for row in key]
        scores = [s + (0 if mask is None else mask[i, j]) for j, s in enumerate(scores)]
        shares = [math.exp(s - max(scores)) if s > -math.inf else 0.0 for s in scores]
        for share, row in zip(shares, value, strict=True):
            out[i] += row * share / sum(shares) if share else 0
    return out


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("sizes", SIZES)
def test_every_batch_is_attention_by_loops(sizes, front):
    query, key, value = three(*sizes, front)
    out = scaled_dot_product_attention(query, key, value)
    assert out.shape == (*front, sizes[0], sizes[3])
    for place in np.ndindex(*front):
        expected = by_loops(*(x.numpy()[place] for x in (query, key, value)))
        np.testing.assert_allclose(out.numpy()[place], expected, atol=1e-12)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("sizes", SIZES)
def test_the_operation_and_its_gradients_are_the_composed_ones(sizes, front):
    allowed = np.random.default_rng(5).normal(size=sizes[:2]) > 0
    for mask in (None, allowed, np.where(allowed, 0.5, -np.inf)):
        found = []
        for function in (scaled_dot_product_attention, lambda *given: attention_and_weights(*given)[0]):
            inputs = three(*sizes, front, grad=True)
            out = function(*inputs, mask)
            out.backward(np.cos(np.arange(out.numel())).reshape(out.shape))
            found.append([out.numpy(), *(x.grad for x in inputs)])
        assert out.node is not None
        for composed, own in zip(*found, strict=True):
            np.testing.assert_allclose(own, composed, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    mask = np.array([[True, False, True], [False, False, False]])
    gradcheck(lambda q, k, v: scaled_dot_product_attention(q, k, v, mask), three(2, 3, 2, 2, grad=True))
    gradcheck(lambda q, k, v: attention(q, k, v, Tensor(mask), scale=0.4), three(2, 3, 2, 2, (2,), grad=True))


def test_the_operation_keeps_its_inputs_and_no_weights():
    out, weights = attention_and_weights(*three(7, 9, 2, 3, grad=True))
    assert weights is None
    assert out.node.op is attention
    assert [array.shape for array in out.node.arrays] == [(7, 2), (9, 2), (9, 3)]


@pytest.mark.parametrize("settings", [{"dropout": 0.5}, {"need_weights": True}])
def test_weights_and_dropout_are_computed_from_kept_weights(settings):
    inputs = three(4, 5, 2, 3, grad=True)
    out, weights = attention_and_weights(*inputs, **settings)
    assert out.node.op is not attention
    assert (weights is not None) == ("need_weights" in settings)
    out.sum().backward()
    assert all(np.isfinite(x.grad).all() for x in inputs)


def test_a_mask_that_learns_gets_a_gradient():
    (mask,) = drawn((3, 4), grad=True)
    out, _ = attention_and_weights(*three(3, 4, 2, 2), mask)
    (out * out).sum().backward()
    assert np.abs(mask.grad).max() > 0
    np.testing.assert_allclose(mask.grad.sum(axis=1), 0, atol=1e-12)  # a row's shares sum to 1


def test_weights_of_a_row_sum_to_one_or_to_zero():
    allowed = np.random.default_rng(1).normal(size=(2, 6, 5)) > 0.5
    weights = attention_weights(*drawn((2, 6, 3), (2, 5, 3)), allowed).numpy()
    np.testing.assert_allclose(weights.sum(axis=-1), allowed.any(axis=-1), atol=1e-12)
    assert (weights[~allowed] == 0).all()
    assert not allowed.any(axis=-1).all(), "a row that may attend to nothing is among them"


def test_a_common_order_of_keys_and_values_does_not_matter():
    query, key, value = three(3, 6, 4, 2)
    order = np.random.default_rng(2).permutation(6)
    moved = scaled_dot_product_attention(query, key[order], value[order])
    np.testing.assert_allclose(moved.numpy(), scaled_dot_product_attention(query, key, value).numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(dtype):
    inputs = [x.astype(dtype) for x in three(2, 3, 4, 5)]
    for mask in (None, np.ones((2, 3), bool), np.zeros((2, 3), dtype)):
        assert scaled_dot_product_attention(*inputs, mask).dtype == dtype
        assert attention_and_weights(*inputs, mask)[0].dtype == dtype
    query, key, value = (x.numpy() for x in inputs)
    assert attention_in_blocks(query, [(key, value)]).dtype == dtype


def test_what_masks_are_refused():
    query, key, value = three(2, 3, 2, 2)
    for function in (scaled_dot_product_attention, attention_and_weights):
        with pytest.raises(ValueError, match=r"causal_mask"):
            function(query, key, value, None, True)
        with pytest.raises(ValueError, match="attn_mask"):
            function(query, query, query, np.ones((2, 2), bool), True)
        with pytest.raises(TypeError, match="int64"):
            function(query, key, value, np.ones((2, 3), np.int64))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (2, 6), (5, 2), (0, 2), (2, 0)])
def test_the_last_query_stands_at_the_last_key(n, m):
    mask = causal_mask(n, m)
    assert mask.shape == (n, m)
    assert mask.dtype == bool
    for i in range(n):
        for j in range(m):
            assert mask[i, j] == (m - j >= n - i)


def test_one_query_by_loops_is_a_row_of_the_whole():
    query, key, value = (x.numpy() for x in three(3, 6, 5, 4))
    np.testing.assert_allclose([attend(row, key, value) for row in query], by_loops(query, key, value), atol=1e-12)


@pytest.mark.parametrize("d", [1, 16, 256])
def test_the_variance_of_a_score_is_its_width(d):
    variance = variance_of_scores(d, pairs=20_000, generator=np.random.default_rng(d))
    assert variance == pytest.approx(d, rel=0.06)


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
@pytest.mark.parametrize("front", FRONTS)
def test_heads_come_together_as_they_were(front, heads):
    (x,) = drawn((*front, 5, 6))
    split = split_heads(x, heads)
    assert split.shape == (*front, heads, 5, 6 // heads)
    for head in range(heads):
        part = slice(head * 6 // heads, (head + 1) * 6 // heads)
        np.testing.assert_array_equal(split.numpy()[..., head, :, :], x.numpy()[..., part])
    np.testing.assert_array_equal(merge_heads(split).numpy(), x.numpy())


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"(?s)(?=.*7)(?=.*2)"):
        split_heads(*drawn((3, 7)), 2)
    with pytest.raises(ValueError, match=r"(?s)(?=.*7)(?=.*2)"):
        MultiheadAttention(7, 2)
    with pytest.raises(ValueError, match="0 heads"):
        MultiheadAttention(4, 0)


def layer(width=6, heads=3, **settings):
    manual_seed(0)
    return MultiheadAttention(width, heads, batch_first=True, dtype=np.float64, **settings)


def test_the_layer_computes_the_same_with_and_without_its_weights():
    model, gradients = layer(), []
    for need_weights in (True, False):
        model.zero_grad()
        (x,) = drawn((2, 4, 6), grad=True)
        out, weights = model(x, x, x, need_weights=need_weights, is_causal=True)
        assert (weights is None) != need_weights
        (out * out).sum().backward()
        gradients.append([out.numpy(), x.grad, *(parameter.grad for parameter in model.parameters())])
    for kept, again in zip(*gradients, strict=True):
        np.testing.assert_allclose(again, kept, atol=1e-12)


def test_each_text_of_a_batch_is_for_itself():
    model = layer()
    x, y = drawn((3, 4, 6), (3, 5, 6))
    whole, weights = model(x, y, y)
    for i in range(3):
        out, own = model(x[i], y[i], y[i])
        np.testing.assert_allclose(out.numpy(), whole.numpy()[i], atol=1e-12)
        np.testing.assert_allclose(own.numpy(), weights.numpy()[i], atol=1e-12)
    turned = MultiheadAttention(6, 3, dtype=np.float64)
    turned.load_state_dict(model.state_dict())
    out = turned(x.transpose(0, 1), y.transpose(0, 1), y.transpose(0, 1))[0]
    np.testing.assert_allclose(out.numpy(), whole.transpose(0, 1).numpy(), atol=1e-12)


def test_what_stands_in_the_padding_does_not_matter():
    x, y = drawn((2, 4, 6), (2, 5, 6))
    padding = np.arange(5) >= np.array([[3], [4]])
    other = Tensor(np.where(padding[:, :, None], 100.0, y.numpy()), dtype=np.float64)
    for mask in (padding, np.where(padding, -np.inf, 0.0)):
        for need_weights in (True, False):
            outs = [layer()(x, text, text, key_padding_mask=mask, need_weights=need_weights)[0] for text in (y, other)]
            np.testing.assert_allclose(outs[0].numpy(), outs[1].numpy(), atol=1e-12)


def test_padding_and_future_may_be_left_out_together():
    (x,) = drawn((2, 4, 6))
    padding = np.arange(4) >= np.array([[4], [2]])
    weights = layer()(x, x, x, key_padding_mask=padding, is_causal=True)[1].numpy()
    allowed = causal_mask(4, 4) & ~padding[:, None]
    assert ((weights > 0) == allowed).all()


def test_a_place_without_anything_to_attend_to_gives_zeros_and_finite_gradients():
    for need_weights in (True, False):
        model = layer()
        (x,) = drawn((1, 3, 6), grad=True)
        out, _ = model(x, x, x, attn_mask=np.ones((3, 3), bool), need_weights=need_weights)
        np.testing.assert_array_equal(out.numpy()[0], [model.out_proj.bias.numpy()] * 3)
        (out * out).sum().backward()
        assert not x.grad.any()
        assert all(np.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_what_the_layer_refuses():
    x, y = drawn((2, 4, 6), (2, 5, 6))
    with pytest.raises(ValueError, match="is_causal"):
        layer()(x, x, x, attn_mask=~causal_mask(4, 4), is_causal=True)
    with pytest.raises(ValueError, match="causal_mask"):
        layer()(x, y, y, is_causal=True)
    with pytest.raises(TypeError, match="key_padding_mask.*int64"):
        layer()(x, y, y, key_padding_mask=np.zeros((2, 5), np.int64))
    with pytest.raises(ValueError, match=r"\(6,\)"):
        layer()(x[0, 0], y, y)
    with pytest.raises(ValueError, match=r"\(2, 4, 5\)"):
        layer()(x[..., :5], y, y)


def test_dropout_is_for_training_only():
    model = layer(dropout=0.5)
    (x,) = drawn((2, 8, 6))
    weights = model(x, x, x, average_attn_weights=False)[1].numpy()
    assert 0.3 < (weights == 0).mean() < 0.7
    model.eval()
    np.testing.assert_array_equal(model(x, x, x)[0].numpy(), model(x, x, x)[0].numpy())
    assert (model(x, x, x)[1].numpy() > 0).all()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("front", FRONTS)
def test_blocks_of_any_lengths_give_the_whole(sizes, front):
    query, key, value = (x.numpy() for x in three(*sizes, front))
    whole = scaled_dot_product_attention(*(Tensor(x, dtype=x.dtype) for x in (query, key, value))).numpy()
    m = sizes[1]
    for cuts in ([0, m], [0, 1, m], list(range(m + 1))):
        blocks = [(key[..., a:b, :], value[..., a:b, :]) for a, b in zip(cuts, cuts[1:], strict=False) if a < b]
        np.testing.assert_allclose(attention_in_blocks(query, iter(blocks)), whole, atol=1e-12)


def test_no_block_is_kept():
    seen = []

    class Block(np.ndarray):
        """An array that can be pointed at weakly."""

    def blocks():
        for i in range(6):
            assert sum(one() is not None for one in seen) <= 2, "of all earlier blocks at most the last pair is alive"
            pair = tuple(np.full((4, 2), float(i)).view(Block) for _ in range(2))
            seen.extend(weakref.ref(array) for array in pair)
            yield pair
            del pair

    out = attention_in_blocks(np.zeros((3, 2)), blocks())
    np.testing.assert_allclose(out, 2.5)
    assert len(seen) == 12


def cumulative(ids):
    return Tensor(np.cumsum(np.asarray(ids), axis=1), dtype=np.float64)


def test_the_probes_tell_models_apart():
    ids, width = np.array([[2, 0, 1, 2, 1], [1, 1, 0, 2, 0]]), 6
    table, places = (x.numpy() for x in drawn((3, width), (5, width)))

    def model(positions, mask, factor=1.0):
        heads = layer()

        def run(ids):
            x = Tensor(table[np.asarray(ids)] + positions * places, dtype=np.float64)
            for _ in range(2):  # two layers: with a mask, the order could be seen by its effect on places between
                x = heads(x, x, x, attn_mask=mask, need_weights=False)[0]
            return x * factor

        return run

    future = ~causal_mask(5, 5)
    leak, reach = causality_gap(model(1.0, future), ids)
    assert leak == 0
    assert reach > 1e-3
    assert position_gap(model(1.0, future), ids) > 1e-3
    assert position_gap(model(0.0, future), ids) < 1e-12
    assert causality_gap(model(1.0, None), ids)[0] > 1e-3
    assert causality_gap(model(1.0, future, 0.0), ids) == (0, 0)
    assert position_gap(model(1.0, future, 0.0), ids) == 0
    assert causality_gap(model(1.0, np.zeros((5, 5)) - np.inf), ids) == (0, 0)


def test_probes_record_nothing_and_leave_recording_as_it_was():
    recorded = []

    def model(ids):
        recorded.append(Op.recording)
        return cumulative(ids)

    causality_gap(model, np.array([[1, 2]]))
    position_gap(model, np.array([[1, 2]]))
    assert recorded == [False] * len(recorded)
    assert Op.recording
    with no_grad():
        position_gap(model, np.array([[1, 2]]))
        assert not Op.recording


def test_the_changed_token_is_the_smallest_or_the_largest():
    given = []
    ids = np.array([[3, 5, 9]])
    causality_gap(lambda ids: given.append(np.asarray(ids).tolist()[0]) or cumulative(ids), ids)
    assert given[0] == [3, 5, 9]
    assert sorted(given[1:]) == sorted([[9, 5, 9], [3, 3, 9], [3, 5, 3]])


@pytest.mark.parametrize("places", [2, 3, 17])
def test_focus_goes_from_uniform_to_one_place(places):
    assert focus(np.full((4, places), 1 / places)) == pytest.approx(0, abs=1e-12)
    assert focus(np.eye(places)) == 1
    between = focus(0.5 * np.eye(places) + 0.5 / places)
    assert 0 < between < 1


def test_focus_of_nothing_is_no_focus():
    assert focus(np.zeros((2, 3))) == 0
    assert focus(np.eye(3), np.eye(3, dtype=bool)) == 0
