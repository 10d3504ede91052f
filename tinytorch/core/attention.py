"""Attention: Weighted means with learned weights: one head, many heads, and long sequences whose weights are never
stored.

Exported from module 12_attention by tito export. Edit the notebook of that module, not this file.
"""

import math

import numpy as np

from ..kernels.precision import to_float32
from .activations import softmax
from .autograd import no_grad
from .layers import Dropout, Linear, Module, Parameter, linear, xavier_uniform_, zeros_
from .tensor import Op, Tensor, where, zeros

__all__ = [
    "attend", "causal_mask", "one_mask", "attention_weights", "scaled_dot_product_attention", "variance_of_scores",
    "split_heads", "merge_heads", "plain_weights", "attention", "attention_and_weights", "joined_mask", "Projection",
    "to_batch", "MultiheadAttention", "causality_gap", "position_gap", "focus", "attention_gradient",
    "attention_in_blocks", "repeat_heads",
]


def attend(query, keys, values):
    """The mean of `values`, weighted by the softmax of how well each key fits the query.

    query: d numbers; keys: m rows of d; values: m rows of v. Returns an array of v numbers. A fit is the
    inner product of query and key, divided by √d.
    """
    scores = []
    for key in keys:
        scores.append(sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query)))
    peak = max(scores)
    weights = [math.exp(score - peak) for score in scores]
    out = np.zeros(len(values[0]))
    for weight, value in zip(weights, values, strict=True):
        out += weight / sum(weights) * np.asarray(value)
    return out


def causal_mask(queries, keys):
    """Who may attend to whom where nobody sees the future: a boolean array (queries, keys), True attends.

    The last query stands at the last key; the rows of queries before the first key are all False.
    """
    return np.tri(queries, keys, keys - queries, dtype=bool)


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


def attention_weights(query, key, attn_mask=None, scale=None):
    """The weights (…, n, m) with which each of n queries (…, n, d) attends to m keys (…, m, d), as a Tensor.

    attn_mask: broadcasts to (…, n, m). Boolean: True attends; floating: added to the scores. A row that may
    attend to nothing has weights 0. scale: the factor of the scores, 1/√d unless given.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query * scale @ key.transpose(-2, -1)
    if attn_mask is None:
        return softmax(scores)
    scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
    lost = (scores == -math.inf).all(axis=-1, keepdims=True)
    return where(lost, 0.0, softmax(where(lost, 0.0, scores)))


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """In a boolean attn_mask **True attends** (in MultiheadAttention it leaves out), as in PyTorch.

    The means of `value` (…, m, v) under the attention_weights of `query` (…, n, d) for `key` (…, m, d): a
    Tensor (…, n, v). is_causal: with causal_mask, for n = m only. Raises what one_mask raises.
    """
    mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
    return attention_weights(query, key, mask, scale) @ value


def variance_of_scores(d, pairs=10_000, generator=None):
    """The variance of the inner products of `pairs` pairs of vectors of d standard normal numbers."""
    generator = np.random.default_rng() if generator is None else generator
    query, key = generator.normal(size=(2, pairs, d))
    return float((query * key).sum(axis=1).var())


def split_heads(x, num_heads):
    """A Tensor (…, T, E) as (…, num_heads, T, E / num_heads): head i has the i-th part of every row.

    Raises ValueError where E is no multiple of num_heads.
    """
    *leading, length, width = x.shape
    if width % num_heads:
        raise ValueError(f"split_heads: a width of {width} is no multiple of {num_heads} heads")
    return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)


def merge_heads(x):
    """What split_heads has split: (…, num_heads, T, d) as (…, T, num_heads · d)."""
    *leading, heads, length, width = x.shape
    return x.transpose(-3, -2).reshape(*leading, length, heads * width)


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
        mapped = []
        for i, x in enumerate((query, key, value)):
            third = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
            bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
            mapped.append(linear(x, self.in_proj_weight[third], bias))
        return mapped

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
        if mask is not None and mask.dtype == bool:
            mask = ~mask
        query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, key, value))
        heads, weights = attention_and_weights(
            query, key, value, mask, dropout=dropout, need_weights=need_weights
        )
        out = self.out_proj(merge_heads(heads))
        out = out.reshape(shape) if len(shape) == 2 or self.batch_first else out.transpose(0, 1)
        if weights is None:
            return out, None
        weights = weights.mean(axis=1) if average_attn_weights else weights
        return out, weights.squeeze(0) if len(shape) == 2 else weights

    def extra_repr(self):
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


@no_grad()
def causality_gap(model, ids):
    """(leak, reach): how far a changed token moves outputs before it, and how far outputs behind it.

    model: from an integer Tensor (B, T) to a Tensor (B, T, …). ids: integers (B, T), of at least two kinds.
    Each place t in turn gets the smallest of all ids, or the largest where the smallest stands. Both are the
    largest absolute differences over all t, floats.
    """
    ids = np.asarray(ids)
    low, high = ids.min(), ids.max()
    before, leak, reach = model(Tensor(ids)).numpy(), 0.0, 0.0
    for t in range(ids.shape[1]):
        changed = ids.copy()
        changed[:, t] = np.where(ids[:, t] == low, high, low)
        moved = np.abs(model(Tensor(changed)).numpy() - before)
        leak = max(leak, float(moved[:, :t].max(initial=0)))
        reach = max(reach, float(moved[:, t + 1 :].max(initial=0)))
    return leak, reach


@no_grad()
def position_gap(model, ids):
    """How far outputs differ between places that hold the same token: 0 for a model that knows no order.

    model, ids: as in causality_gap. Every row of ids is filled with its own first token; the result is the
    largest absolute difference of an output from the one at place 0 of its row, a float.
    """
    ids = np.asarray(ids)
    out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
    return float(np.abs(out - out[:, :1]).max())


def focus(weights, mask=None):
    """From 0, where every row of `weights` (…, n, m) is uniform, to 1, where it is at one place: a float.

    The mean of 1 - entropy / ln(places) over the rows, where places counts what mask, boolean and True where
    a row may attend, allows; without one, all m. Rows of zeros and of fewer than two places do not count;
    where no row counts, 0.
    """
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    places = allowed.sum(axis=-1)
    entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)
    counts = (places > 1) & (weights > 0).any(axis=-1)
    return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0


@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    """The gradients of `attention` for query, key and value, from `grad` (…, n, v); a mask gets none."""
    weights = plain_weights(query, key, *mask, scale=scale)
    for_scores = grad @ np.swapaxes(value, -1, -2)
    for_scores -= (grad * out).sum(axis=-1, keepdims=True)
    for_scores *= weights
    for_query = for_scores @ key * scale
    for_key = np.swapaxes(for_scores, -1, -2) @ query * scale
    for_value = np.swapaxes(weights, -1, -2) @ grad
    return for_query, for_key, for_value, *[None] * len(mask)


def attention_in_blocks(query, blocks):
    """The attention of `query` (…, n, d) to keys and values that come in blocks: an array (…, n, v).

    blocks: an iterator of (key (…, m, d), value (…, m, v)), arrays of at least one key; each is read once and
    not kept (Milakov and Gimelshein, 2018). The scores are divided by √d.
    """
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


def repeat_heads(x, num_heads):
    """A Tensor (…, groups, m, d) as (…, num_heads, m, d): each group's head several times in a row.

    Raises ValueError where num_heads is no multiple of the groups.
    """
    *leading, groups, length, width = x.shape
    if num_heads % groups:
        raise ValueError(f"repeat_heads: {num_heads} heads are no multiple of {groups} groups")
    copies = Tensor(np.ones((num_heads // groups, 1, 1)), dtype=x.dtype)
    return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
