"""The gradient of a lookup: rows that belong to one id are added up."""

import numpy as np

ONE_HOT = 2**18  # entries of a matrix of zeros and ones, up to which the product with it is the fastest way
ROUNDS = 64  # the most rounds of additions; an id that comes oftener is summed as one run


def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    """The sum of the rows of `grad` over all places of each id; the row `padding_idx` is 0."""
    ids, (count, width) = np.asarray(ids, np.int64).ravel(), weight.shape
    rows = grad.reshape(ids.size, width)
    is_small = ids.size * count <= ONE_HOT
    if is_small:
        table = (np.arange(count)[:, None] == ids).astype(grad.dtype) @ rows
    if not is_small or not np.isfinite(min(rows, table, key=len)).all():  # 0 times inf is not 0; the shorter one tells
        table = np.zeros((count, width), grad.dtype)
        found, sums = sums_by_id(ids, rows, count)
        table[found] = sums
    if padding_idx is not None:
        table[padding_idx] = 0
    return table


def sums_by_id(ids, rows, count):
    """(the ids that occur, the sum of the rows of each).

    The first occurrences of all ids are copied, the second ones are added to them in one operation, then the third
    ones, and so on. The ids that occur most often stand in front, so that each round ends earlier than the one before
    and adds to one contiguous part.
    """
    short = ids.astype(np.uint16) if count <= 2**16 else ids  # 16 bits are sorted by their digits, which is faster
    order = np.argsort(short, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))  # each id's first place
    lengths = np.diff(starts, append=ids.size)
    most = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[most], lengths[most]
    sums = rows[order[starts]]
    for k in range(1, min(lengths[0], ROUNDS)):
        left = np.count_nonzero(lengths > k)
        sums[:left] += rows[order[starts[:left] + k]]
    for i in range(np.count_nonzero(lengths > ROUNDS)):
        sums[i] += rows[order[starts[i] + ROUNDS : starts[i] + lengths[i]]].sum(axis=0)
    return ids[order[starts]], sums
