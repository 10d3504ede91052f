"""Attention against PyTorch: masks in both conventions, gradients, every setting of the layer, and what differs."""

import numpy as np
import pytest
import torch
from close import agree

from tinytorch import Tensor, attention_in_blocks, causal_mask, manual_seed, nn
from tinytorch.core import attention

F = torch.nn.functional
MASKS = {
    "none": None,
    "boolean": np.arange(20).reshape(4, 5) % 3 != 1,
    "boolean, row 2 lost": (np.arange(20).reshape(4, 5) % 3 != 1) & (np.arange(4) != 2)[:, None],
    "floating": np.sin(np.arange(20.0)).reshape(4, 5),
    "floating, row 1 lost": np.where((np.arange(4) == 1)[:, None], -np.inf, np.zeros((4, 5))),
    "for each head": np.arange(120).reshape(2, 3, 4, 5) % 7 != 1,
}


def drawn(*shapes, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape) for shape in shapes]


def both(arrays, requires_grad=True):
    ours = [Tensor(x, requires_grad, np.float64) for x in arrays]
    return ours, [torch.tensor(x, requires_grad=requires_grad) for x in arrays]


def optional(mask):
    return (None, None) if mask is None else (Tensor(mask, dtype=mask.dtype), torch.tensor(mask))


def gradients_agree(out, expected, ours, theirs):
    grad = np.random.default_rng(1).normal(size=out.shape)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad)


def composed(*inputs, **settings):
    return attention.scaled_dot_product_attention(*inputs, **settings)


def operation(*inputs, **settings):
    out = nn.functional.scaled_dot_product_attention(*inputs, **settings)
    assert out.node.op is attention.attention, "without dropout and weights it is one operation"
    return out


@pytest.mark.parametrize("function", [composed, operation])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_and_gradients_under_every_mask(function, mask, scale):
    ours, theirs = both(drawn((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7)))
    mask, their_mask = optional(MASKS[mask])
    out = function(*ours, attn_mask=mask, scale=scale)
    expected = F.scaled_dot_product_attention(*theirs, attn_mask=their_mask, scale=scale)
    agree(out.numpy(), expected)
    gradients_agree(out, expected, ours, theirs)


@pytest.mark.parametrize("function", [composed, operation])
def test_no_future(function):
    ours, theirs = both(drawn((2, 5, 4), (2, 5, 4), (2, 5, 4)))
    out = function(*ours, is_causal=True)
    expected = F.scaled_dot_product_attention(*theirs, is_causal=True)
    agree(out.numpy(), expected)
    gradients_agree(out, expected, ours, theirs)


def test_a_mask_aligned_at_the_end_is_not_pytorchs_is_causal():
    _, theirs = both(drawn((2, 4), (5, 4), (5, 4)))
    mask = torch.tensor(causal_mask(2, 5))
    late = F.scaled_dot_product_attention(*theirs, attn_mask=mask)
    assert not torch.allclose(late, F.scaled_dot_product_attention(*theirs, is_causal=True))
    ours, _ = both([x.detach().numpy() for x in theirs])
    agree(nn.functional.scaled_dot_product_attention(*ours, attn_mask=causal_mask(2, 5)).numpy(), late)
    with pytest.raises(ValueError, match="causal_mask"):
        nn.functional.scaled_dot_product_attention(*ours, is_causal=True)


def test_a_mask_that_learns_gets_its_gradient():
    ours, theirs = both([*drawn((2, 4, 6), (2, 5, 6), (2, 5, 7)), MASKS["floating"]])
    out = nn.functional.scaled_dot_product_attention(*ours)
    expected = F.scaled_dot_product_attention(*theirs)
    agree(out.numpy(), expected)
    gradients_agree(out, expected, ours, theirs)


@pytest.mark.parametrize("heads", [(6, 2), (4, 4), (3, 1)])
def test_grouped_heads(heads):
    queries, keys = heads
    ours, theirs = both(drawn((2, queries, 3, 4), (2, keys, 5, 4), (2, keys, 5, 4)))
    out = nn.functional.scaled_dot_product_attention(*ours, enable_gqa=True)
    expected = F.scaled_dot_product_attention(*theirs, enable_gqa=True)
    agree(out.numpy(), expected)
    gradients_agree(out, expected, ours, theirs)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_blocks(size):
    query, key, value = drawn((2, 4, 8), (2, 64, 8), (2, 64, 5))
    blocks = ((key[:, i : i + size], value[:, i : i + size]) for i in range(0, 64, size))
    expected = F.scaled_dot_product_attention(*map(torch.tensor, (query, key, value)))
    agree(attention_in_blocks(query, blocks), expected)


def test_float16_is_added_up_in_float32():
    ones = [np.ones(shape, np.float16) for shape in ((1, 4), (5000, 4), (5000, 1))]
    out = nn.functional.scaled_dot_product_attention(*map(Tensor, ones))
    assert out.dtype == np.float16
    assert out.item() == pytest.approx(1, rel=1e-3)


# The layer

N, QUERIES, KEYS, WIDTH, HEADS = 2, 4, 5, 6, 3
LAYERS = {
    "plain": {},
    "no bias": {"bias": False},
    "another key": {"add_bias_kv": True},
    "a zero key": {"add_zero_attn": True},
    "both, no bias": {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
    "other widths": {"kdim": 4, "vdim": 3},
    "another width of values": {"vdim": 3, "add_zero_attn": True, "bias": False},
}
PADDING = np.arange(KEYS) >= np.array([[3], [4]])  # True leaves out
LEFT_OUT = {
    "nothing": {},
    "padding": {"key_padding_mask": PADDING},
    "padding, added": {"key_padding_mask": np.where(PADDING, -np.inf, 0.5)},
    "places": {"attn_mask": np.arange(20).reshape(QUERIES, KEYS) % 4 == 3},
    "places for each head": {"attn_mask": np.arange(120).reshape(N * HEADS, QUERIES, KEYS) % 7 == 3},
    "places, added": {"attn_mask": np.sin(np.arange(20.0)).reshape(QUERIES, KEYS)},
    "both": {"key_padding_mask": PADDING, "attn_mask": np.arange(20).reshape(QUERIES, KEYS) % 4 == 3},
    "both, one of them added": {
        "key_padding_mask": PADDING,
        "attn_mask": np.cos(np.arange(120.0)).reshape(N * HEADS, QUERIES, KEYS),
    },
}


def layers(**settings):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(WIDTH, HEADS, **settings).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    mine = nn.MultiheadAttention(WIDTH, HEADS, **settings)
    for (name, parameter), (other_name, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert (name, parameter.shape) == (other_name, tuple(other.shape))
        parameter.data = other.detach().numpy().copy()
    assert list(mine.state_dict()) == list(theirs.state_dict())
    return mine, theirs


def texts(kdim=WIDTH, vdim=WIDTH, batch_first=True):
    arrays = drawn((N, QUERIES, WIDTH), (N, KEYS, kdim), (N, KEYS, vdim), seed=2)
    return arrays if batch_first else [x.swapaxes(0, 1) for x in arrays]


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("left_out", LEFT_OUT)
@pytest.mark.parametrize("settings", LAYERS)
def test_the_layer_with_pytorchs_weights(settings, left_out, need_weights):
    settings = LAYERS[settings]
    mine, theirs = layers(**settings, batch_first=True)
    ours, inputs = both(texts(settings.get("kdim", WIDTH), settings.get("vdim", WIDTH)))
    masks = {name: optional(mask) for name, mask in LEFT_OUT[left_out].items()}
    named = {"need_weights": need_weights, "average_attn_weights": False}
    out, weights = mine(*ours, **{name: mask for name, (mask, _) in masks.items()}, **named)
    expected, their_weights = theirs(*inputs, **{name: mask for name, (_, mask) in masks.items()}, **named)
    agree(out.numpy(), expected)
    if need_weights:
        agree(weights.numpy(), their_weights)
    else:
        assert weights is their_weights is None
    gradients_agree(out, expected, [*ours, *mine.parameters()], [*inputs, *theirs.parameters()])


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_where_the_batch_stands(batched, batch_first, average):
    mine, theirs = layers(batch_first=batch_first)
    arrays = texts(batch_first=batch_first)
    if not batched:
        arrays = [x[0] if batch_first else x[:, 0] for x in arrays]
    ours, inputs = both(arrays)
    for got, expected in zip(
        mine(*ours, average_attn_weights=average), theirs(*inputs, average_attn_weights=average), strict=True
    ):
        agree(got.numpy(), expected)


@pytest.mark.parametrize("settings", ["plain", "both, no bias"])
def test_no_future_in_the_layer(settings):
    mine, theirs = layers(**LAYERS[settings])
    (x,), (their_x,) = both([texts(batch_first=False)[0]])
    future = torch.ones(QUERIES, QUERIES).triu(1).bool()
    expected = theirs(their_x, their_x, their_x, attn_mask=future)
    for got, other in zip(mine(x, x, x, is_causal=True), expected, strict=True):
        agree(got.numpy(), other)
    with pytest.raises(ValueError, match="is_causal"):
        mine(x, x, x, attn_mask=Tensor(future.numpy()), is_causal=True)


def test_the_two_conventions_are_one_inversion_apart():
    (x,), (their_x,) = both(drawn((4, 6)))
    mask = causal_mask(4, 4)
    for package, given, tensor in ((nn, x, Tensor), (torch.nn, their_x, torch.tensor)):
        layer = package.MultiheadAttention(6, 1)
        weights = (layer.double() if package is torch.nn else layer)(given, given, given, attn_mask=tensor(~mask))[1]
        assert (np.asarray(weights.detach())[~mask] == 0).all()
        ahead = package.functional.scaled_dot_product_attention(given, given, tensor(np.eye(4)), attn_mask=tensor(mask))
        assert (np.asarray(ahead.detach())[~mask] == 0).all()


def test_a_place_that_may_attend_to_nothing_is_nan_in_pytorchs_layer_and_zero_here():
    mine, theirs = layers(batch_first=True)
    ours, inputs = both(texts(), requires_grad=False)
    padding = np.ones((N, KEYS), bool)
    assert theirs(*inputs, key_padding_mask=torch.tensor(padding))[0].isnan().all()
    out, weights = mine(*ours, key_padding_mask=Tensor(padding))
    assert (weights.numpy() == 0).all()
    np.testing.assert_array_equal(out.numpy(), np.broadcast_to(mine.out_proj.bias.numpy(), out.shape))


def test_the_layer_starts_as_pytorchs_does():
    manual_seed(1)  # the largest of 256 draws is now and then far from that of 256 others
    torch.manual_seed(0)
    for settings in ({}, {"add_bias_kv": True}, {"kdim": 128, "vdim": 32}):
        mine, theirs = (package.MultiheadAttention(256, 4, **settings) for package in (nn, torch.nn))
        for (name, parameter), (_, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
            other = other.detach().numpy()
            assert parameter.shape == other.shape
            assert parameter.numpy().std() == pytest.approx(other.std(), rel=0.2), name
            assert np.abs(parameter.numpy()).max() == pytest.approx(np.abs(other).max(), rel=0.35), name


def test_dropout_keeps_the_mean_and_is_what_weights_show():
    layer = nn.MultiheadAttention(4, 1, dropout=0.25)
    x = Tensor(np.ones((40, 50, 4)))
    weights = layer(x, x, x)[1].numpy() * 40
    assert set(np.unique(weights.round(4))) == {0, np.float32(1.3333)}
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert (layer.eval()(x, x, x)[1].numpy() * 40).round(5).min() == 1
