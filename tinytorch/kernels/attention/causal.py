"""Attention whose weights exist for one block of queries at a time, and under a causal mask for the past only.

Whole arrays of weights, (N, heads, n, m), are written to memory and read back for each of a dozen steps. Here some of
their rows are made, used and overwritten while they are in the cache; threads share the sequences and their heads, and
each has such blocks of its own. Under a causal mask a block of queries meets the keys up to its own end only, which
leaves out nearly half of all products.
"""

import numpy as np

from tinytorch.threads import map_blocks

QUERIES = 64  # rows of a block; the products of fewer rows are slower
WEIGHTS = 2**15  # about so many in a block, of some heads: more would be fewer calls, and memory in each thread
SMALL = 2**18  # weights, which stay in the cache as a whole: blocks would only cost calls


def is_causal(mask, n, m):
    """Whether a boolean mask of n queries and m keys says no more than: nobody sees the future, all the whole past."""
    one = mask.dtype == bool and mask.shape[-2:] == (n, m) and mask.size == n * m and n == m
    return one and np.array_equal(mask.reshape(n, m), np.tri(n, dtype=bool))


def plan(query, key, masks):
    """(items, blocks, causal, mask).

    items: what threads share, (sequence, some heads) each. blocks: of the queries of each item, (first, end, keys).
    mask: (N, heads, n, m) or None.
    """
    (*leading, n, _), m = query.shape, key.shape[-2]
    count, step = leading[1], max(WEIGHTS // (QUERIES * m), 1)
    items = [(i, slice(head, head + step)) for i in range(leading[0]) for head in range(0, count, step)]
    mask = masks[0] if masks and masks[0] is not None else None
    causal = mask is not None and is_causal(mask, n, m)
    cuts = [(i, min(i + QUERIES, n)) for i in range(0, n, QUERIES)]
    blocks = [(first, end, end if causal else m) for first, end in cuts]
    if mask is not None:
        mask = np.broadcast_to(mask, (*leading, n, m))
    return items, blocks, causal, mask


def weights_of(query, key, mask, block, causal, scale):
    """The weights (heads, rows, keys) of a block of queries of one item; mask: that item's, or None."""
    first, end, keys = block
    scores = (query[:, first:end] * scale) @ np.swapaxes(key[:, :keys], -1, -2)
    if causal:  # only the square on the diagonal holds places of the future
        scores[:, :, first:] += np.where(np.tri(end - first, dtype=bool), 0, -np.inf).astype(scores.dtype)
    elif mask is not None:
        part = mask[:, first:end]
        scores += (np.where(part, 0, -np.inf) if part.dtype == bool else part).astype(scores.dtype)
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    scores -= np.where(peak == -np.inf, 0, peak)
    np.exp(scores, out=scores)
    total = scores @ np.ones((keys, 1), scores.dtype)
    scores *= 1 / np.where(total == 0, 1, total)
    return scores


def fits(query, key, value):
    """Whether there are many weights, and all is (N, heads, length, width), of one dtype that products take."""
    many = query.size // max(query.shape[-1], 1) * key.shape[-2] > SMALL
    same = query.shape[:2] == key.shape[:2] == value.shape[:2] and query.dtype == key.dtype == value.dtype
    return many and query.ndim == key.ndim == value.ndim == 4 and same and query.itemsize > 2


def attention(query, key, value, *masks, scale):
    """softmax(scale · query keyᵀ + mask) value, each (N, heads, length, width); in a boolean mask True attends."""
    if not fits(query, key, value):
        return NotImplemented
    items, blocks, causal, mask = plan(query, key, masks)
    n, heads, length, _ = query.shape
    out = np.empty((n, length, heads, value.shape[-1]), value.dtype).transpose(0, 2, 1, 3)  # as merge_heads wants it

    def work(i):
        with np.errstate(all="ignore"):
            for block in blocks:
                weights = weights_of(query[i], key[i], None if mask is None else mask[i], block, causal, scale)
                out[i][:, block[0] : block[1]] = weights @ value[i][:, : block[2]]

    map_blocks(work, items)
    return out


def attention_gradient(grad, out, query, key, value, *masks, scale):
    """The gradients for query, key and value, from weights that are made again; a mask gets none."""
    if not fits(query, key, value):
        return NotImplemented
    items, blocks, causal, mask = plan(query, key, masks)
    arrays = (query, key, value)
    shapes = [(array.shape[0], array.shape[2], array.shape[1], array.shape[3]) for array in arrays]
    for_query, for_key, for_value = (np.zeros(shape, query.dtype).transpose(0, 2, 1, 3) for shape in shapes)

    def work(i):
        for block in blocks:
            first, end, keys = block
            weights = weights_of(query[i], key[i], None if mask is None else mask[i], block, causal, scale)
            arrived = grad[i][:, first:end]
            for_scores = arrived @ np.swapaxes(value[i][:, :keys], -1, -2)
            for_scores -= np.einsum("hrv,hrv->hr", arrived, out[i][:, first:end])[..., None]
            for_scores *= weights
            for_query[i][:, first:end] = for_scores @ key[i][:, :keys]
            for_key[i][:, :keys] += np.swapaxes(for_scores, -1, -2) @ query[i][:, first:end]
            for_value[i][:, :keys] += np.swapaxes(weights, -1, -2) @ arrived
        for_query[i] *= scale
        for_key[i] *= scale

    with np.errstate(all="ignore"):
        map_blocks(work, items)
    return for_query, for_key, for_value, *[None] * len(masks)
