# %% attend: with a product of matrices
def attend(query, keys, values):
    query, keys, values = (np.asarray(x, dtype=float) for x in (query, keys, values))
    scores = keys @ query / len(query) ** 0.5
    shares = np.exp(scores - scores.max())
    return shares / shares.sum() @ values

# %% attend: nested loops, a list turned into an array
def attend(query, keys, values):
    d = len(query)
    scores = [0.0] * len(keys)
    for i in range(len(keys)):
        for j in range(d):
            scores[i] += float(query[j]) * float(keys[i][j]) / d**0.5
    highest = max(scores)
    total = sum(math.exp(score - highest) for score in scores)
    mean = []
    for j in range(len(values[0])):
        mean.append(sum(math.exp(scores[i] - highest) * values[i][j] for i in range(len(keys))) / total)
    return np.array(mean)

# %% attend: softmax of a Tensor
def attend(query, keys, values):
    scores = [np.dot(query, key) / np.sqrt(len(query)) for key in keys]
    shares = softmax(Tensor(scores, dtype=np.float64)).numpy()
    return np.sum([share * np.asarray(value) for share, value in zip(shares, values, strict=True)], axis=0)

# %% causal_mask: compares places
def causal_mask(queries, keys):
    return np.arange(keys)[None, :] <= np.arange(queries)[:, None] + (keys - queries)

# %% causal_mask: a triangle of ones
def causal_mask(queries, keys):
    return np.tril(np.ones((queries, keys)), k=keys - queries) == 1

# %% causal_mask: loops
def causal_mask(queries, keys):
    mask = np.zeros((queries, keys), dtype=bool)
    for i in range(queries):
        for j in range(keys):
            if j - i <= keys - queries:
                mask[i, j] = True
    return mask

# %% scaled_dot_product_attention: an added mask in both cases
def attention_weights(query, key, attn_mask=None, scale=None):
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = (query @ key.transpose(-1, -2)) * scale
    if attn_mask is not None:
        mask = np.asarray(attn_mask)
        if mask.dtype == np.bool_:
            scores = scores + np.where(mask, 0.0, -np.inf)
        else:
            scores = scores + attn_mask
        gone = np.isneginf(scores.numpy()).all(axis=-1, keepdims=True)
        alive = Tensor(~gone, dtype=query.dtype)
        return softmax(where(gone, 0.0, scores), axis=-1) * alive
    return softmax(scores, axis=-1)


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    n, m = query.shape[-2], key.shape[-2]
    return attention_weights(query, key, one_mask(attn_mask, is_causal, n, m), scale).matmul(value)

# %% scaled_dot_product_attention: softmax by its parts
def attention_weights(query, key, attn_mask=None, scale=None):
    scale = math.sqrt(1 / query.shape[-1]) if scale is None else scale
    scores = query @ (key * scale).transpose(-2, -1)
    if attn_mask is not None:
        if attn_mask.dtype.kind == "b":
            scores = where(attn_mask, scores, float("-inf"))
        else:
            scores = attn_mask + scores
    peak = scores.numpy().max(axis=-1, keepdims=True)
    peak[peak == -np.inf] = 0
    shares = (scores - peak).exp()
    total = shares.sum(axis=-1, keepdims=True)
    return shares / where(total == 0, 1.0, total)


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    attn_mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
    weights = attention_weights(query, key, attn_mask, scale=scale)
    return weights @ value

# %% scaled_dot_product_attention: lost rows found in the mask
def attention_weights(query, key, attn_mask=None, scale=None):
    factor = scale
    if factor is None:
        factor = 1.0 / np.sqrt(query.shape[-1]).item()
    scores = query @ key.transpose(-2, -1) * factor
    if attn_mask is None:
        return softmax(scores)
    given = np.asarray(attn_mask)
    seen = given if given.dtype == bool else given != -np.inf
    nothing = np.broadcast_to(~seen, scores.shape).all(axis=-1, keepdims=True)
    safe = where(np.logical_or(seen, nothing), scores, -math.inf)
    if given.dtype != bool:
        safe = safe + where(np.logical_or(~seen, nothing), 0.0, attn_mask)
    return where(nothing, 0.0, softmax(safe))


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    mask = one_mask(attn_mask, is_causal, queries=query.shape[-2], keys=key.shape[-2])
    return attention_weights(query, key, attn_mask=mask, scale=scale) @ value

# %% variance_of_scores: einsum
def variance_of_scores(d, pairs=10_000, generator=None):
    generator = np.random.default_rng() if generator is None else generator
    drawn = generator.normal(size=(2, pairs, d))
    scores = np.einsum("nd,nd->n", drawn[0], drawn[1])
    return float(np.mean((scores - np.mean(scores)) ** 2))

# %% variance_of_scores: a list of scores
def variance_of_scores(d, pairs=10_000, generator=None):
    generator = np.random.default_rng() if generator is None else generator
    queries, keys = generator.normal(size=(2, pairs, d))
    scores = [float(np.dot(query, key)) for query, key in zip(queries, keys, strict=True)]
    middle = sum(scores) / pairs
    return sum((score - middle) ** 2 for score in scores) / pairs

# %% variance_of_scores: mean of squares less square of the mean
def variance_of_scores(d, pairs=10_000, generator=None):
    generator = np.random.default_rng() if generator is None else generator
    scores = np.prod(generator.normal(size=(2, pairs, d)), axis=0).sum(axis=-1)
    return (np.mean(scores**2) - np.mean(scores) ** 2).item()

# %% split_heads: permute
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads != 0:
        raise ValueError(f"{x.shape[-1]} numbers do not fill {num_heads} heads")
    front = len(x.shape) - 2
    cut = x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads)
    return cut.permute(*range(front), front + 1, front, front + 2)


def merge_heads(x):
    front = len(x.shape) - 3
    moved = x.permute(*range(front), front + 1, front, front + 2)
    return moved.reshape(*moved.shape[:-2], moved.shape[-2] * moved.shape[-1])

# %% split_heads: slices that are stacked
def split_heads(x, num_heads):
    part, rest = divmod(x.shape[-1], num_heads)
    if rest:
        raise ValueError(f"width {x.shape[-1]}, heads {num_heads}: {rest} too many")
    from tinytorch.core.tensor import stack

    return stack([x[..., i * part : (i + 1) * part] for i in range(num_heads)], axis=-3)


def merge_heads(x):
    from tinytorch.core.tensor import concatenate

    return concatenate([x[..., i, :, :] for i in range(x.shape[-3])], axis=-1)

# %% split_heads: the width of a head first
def split_heads(x, num_heads):
    width = x.shape[-1]
    d = width // num_heads
    if d * num_heads != width:
        raise ValueError(f"cannot split {width} into {num_heads}")
    return x.reshape(*x.shape[:-1], num_heads, d).transpose(-2, -3)


def merge_heads(x):
    turned = x.transpose(-2, -3)
    return turned.flatten(-2, -1)

# %% MultiheadAttention: reshapes the weight into thirds
- mapped = []
- for i, x in enumerate((query, key, value)):
-     third = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
-     bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
-     mapped.append(linear(x, self.in_proj_weight[third], bias))
- return mapped
+ weights = self.in_proj_weight.reshape(3, self.embed_dim, self.embed_dim)
+ biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.reshape(3, self.embed_dim)
+ return tuple(linear(x, weights[i], biases[i]) for i, x in enumerate((query, key, value)))

- if mask is not None and mask.dtype == bool:
-     mask = ~mask
+ if mask is not None:
+     mask = mask == False if mask.dtype == np.bool_ else mask  # noqa: E712

# %% MultiheadAttention: products of matrices
- mapped.append(linear(x, self.in_proj_weight[third], bias))
+ y = x @ self.in_proj_weight[third].T
+ mapped.append(y if bias is None else y + bias)

- heads, weights = attention_and_weights(
-     query, key, value, mask, dropout=dropout, need_weights=need_weights
- )
- out = self.out_proj(merge_heads(heads))
+ heads, weights = attention_and_weights(
+     query, key, value, attn_mask=mask, need_weights=bool(need_weights), dropout=dropout
+ )
+ merged = merge_heads(heads)
+ out = self.out_proj(merged)

# %% MultiheadAttention: a helper for one input
- mapped = []
- for i, x in enumerate((query, key, value)):
-     third = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
-     bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
-     mapped.append(linear(x, self.in_proj_weight[third], bias))
- return mapped
+ def one(x, start):
+     stop = start + self.embed_dim
+     return linear(x, self.in_proj_weight[start:stop], self.in_proj_bias[start:stop] if self.in_proj_bias is not None else None)
+ return one(query, 0), one(key, self.embed_dim), one(value, 2 * self.embed_dim)

- query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, key, value))
- heads, weights = attention_and_weights(
-     query, key, value, mask, dropout=dropout, need_weights=need_weights
- )
+ parts = [split_heads(x, self.num_heads) for x in self.project(query, key, value)]
+ heads, weights = attention_and_weights(*parts, mask, dropout=dropout, need_weights=need_weights)

# %% causality_gap: all changes in one batch
@no_grad()
def causality_gap(model, ids):
    ids = np.asarray(ids)
    rows, length = ids.shape
    stacked = np.stack([ids] * length)
    other = np.where(ids == ids.min(), ids.max(), ids.min())
    for t in range(length):
        stacked[t, :, t] = other[:, t]
    before = np.asarray(model(Tensor(ids)))
    after = [np.asarray(model(Tensor(stacked[t]))) for t in range(length)]
    moved = np.abs(np.stack(after) - before)
    ahead = [moved[t, :, :t].max() for t in range(1, length)]
    behind = [moved[t, :, t + 1 :].max() for t in range(length - 1)]
    return float(max(ahead, default=0.0)), float(max(behind, default=0.0))

# %% causality_gap: lists of changes
@no_grad()
def causality_gap(model, ids):
    ids = np.array(ids)
    base = model(Tensor(ids)).numpy().copy()
    leaks, reaches = [0.0], [0.0]
    for t in range(ids.shape[1]):
        kept = ids[:, t].copy()
        ids_now = np.array(ids)
        ids_now[:, t] = [ids.max() if token == ids.min() else ids.min() for token in kept]
        change = np.absolute(base - model(Tensor(ids_now)).numpy())
        if t > 0:
            leaks.append(float(np.max(change[:, 0:t])))
        if t + 1 < ids.shape[1]:
            reaches.append(float(np.max(change[:, t + 1 :])))
    return max(leaks), max(reaches)

# %% causality_gap: a change for each place, then two triangles
@no_grad()
def causality_gap(model, ids):
    ids = np.asarray(ids)
    length, low, high = ids.shape[1], ids.min(), ids.max()
    before = model(Tensor(ids)).numpy()
    table = np.zeros((length, length))
    for t in range(length):
        changed = np.array(ids)
        is_low = changed[:, t] == low
        changed[is_low, t], changed[~is_low, t] = high, low
        difference = np.abs(model(Tensor(changed)).numpy() - before)
        table[t] = difference.max(axis=tuple(axis for axis in range(difference.ndim) if axis != 1))
    return float(np.tril(table, -1).max()), float(np.triu(table, 1).max())

# %% position_gap: full_like
@no_grad()
def position_gap(model, ids):
    ids = np.asarray(ids)
    same = np.empty_like(ids)
    same[:] = ids[:, 0][:, None]
    out = model(Tensor(same)).numpy()
    first = out[:, 0]
    return max(float(np.max(np.abs(out[:, t] - first))) for t in range(ids.shape[1]))

# %% position_gap: broadcast
@no_grad()
def position_gap(model, ids):
    ids = np.asarray(ids)
    filled = np.broadcast_to(ids[:, :1], ids.shape).copy()
    out = np.asarray(model(Tensor(filled)))
    return np.abs(out - out[:, [0]]).max().item()

# %% position_gap: tile
@no_grad()
def position_gap(model, ids):
    ids = np.asarray(ids)
    filled = Tensor(np.tile(ids[:, 0].reshape(-1, 1), (1, ids.shape[1])))
    out = model(filled)
    return float((out - out[:, :1]).abs().max().item())

# %% focus: row by row
def focus(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    found = []
    for place in np.ndindex(weights.shape[:-1]):
        row, count = weights[place], int(allowed[place].sum())
        if count < 2 or not row.any():
            continue
        positive = row[row > 0]
        found.append(1 + float((positive * np.log(positive)).sum()) / math.log(count))
    return sum(found) / len(found) if found else 0.0

# %% focus: flattened, in bits
def focus(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    rows, places = weights.reshape(-1, weights.shape[-1]), allowed.sum(axis=-1).reshape(-1)
    chosen = (places >= 2) & (rows.sum(axis=1) > 0)
    rows, places = rows[chosen], places[chosen]
    if len(rows) == 0:
        return 0.0
    bits = np.zeros_like(rows)
    np.log2(rows, out=bits, where=rows > 0)
    return float((1 + (rows * bits).sum(axis=1) / np.log2(places)).mean())

# %% focus: a smallest weight in the logarithm
def focus(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    k = np.count_nonzero(allowed, axis=-1)
    entropy = np.sum(-weights * np.log(np.maximum(weights, 1e-300)), axis=-1)
    use = np.logical_and(k >= 2, np.any(weights, axis=-1))
    if not np.any(use):
        return 0.0
    return 1.0 - float(np.average(entropy[use] / np.log(k[use])))

# %% attention_gradient: D from the weights
@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    weights = plain_weights(query, key, *mask, scale=scale)
    transposed = lambda x: np.swapaxes(x, -2, -1)
    for_weights = grad @ transposed(value)
    dots = np.sum(weights * for_weights, axis=-1, keepdims=True)
    for_scores = scale * weights * (for_weights - dots)
    for_query, for_key, for_value = for_scores @ key, transposed(for_scores) @ query, transposed(weights) @ grad
    return for_query, for_key, for_value, *[None] * len(mask)

# %% attention_gradient: einsum
@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    weights = plain_weights(query, key, *mask, scale=scale)
    for_value = np.einsum("...nm,...nv->...mv", weights, grad)
    for_weights = np.einsum("...nv,...mv->...nm", grad, value)
    rows = np.einsum("...nv,...nv->...n", grad, out)[..., None]
    for_scores = weights * (for_weights - rows)
    for_query = scale * np.einsum("...nm,...md->...nd", for_scores, key)
    for_key = scale * np.einsum("...nm,...nd->...md", for_scores, query)
    return for_query, for_key, for_value, *[None] * len(mask)

# %% attention_gradient: the rules of module 05, one after the other
@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    weights = plain_weights(query, key, *mask, scale=scale)
    for_weights, for_value = grad @ value.swapaxes(-1, -2), weights.swapaxes(-1, -2) @ grad
    for_scores = weights * for_weights
    for_scores = for_scores - weights * for_scores.sum(axis=-1, keepdims=True)
    scaled = for_scores * scale
    for_query = scaled @ key
    for_key = scaled.swapaxes(-1, -2) @ query
    return for_query, for_key, for_value, *[None] * len(mask)

# %% attention_in_blocks: the logarithm of the sums
def attention_in_blocks(query, blocks):
    factor = 1 / math.sqrt(query.shape[-1])
    mean = level = None
    for key, value in blocks:
        scores = (query @ key.swapaxes(-1, -2)) * factor
        top = scores.max(axis=-1, keepdims=True)
        shares = np.exp(scores - top)
        size = shares.sum(axis=-1, keepdims=True)
        block_mean, block_level = shares @ value / size, top + np.log(size)
        if mean is None:
            mean, level = block_mean, block_level
            continue
        together = np.logaddexp(level, block_level)
        mean = np.exp(level - together) * mean + np.exp(block_level - together) * block_mean
        level = together
    return mean

# %% attention_in_blocks: the first block apart
def attention_in_blocks(query, blocks):
    blocks = iter(blocks)
    key, value = next(blocks)
    root = math.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / root
    peak = np.max(scores, axis=-1, keepdims=True)
    weights = np.exp(scores - peak)
    total, out = np.sum(weights, axis=-1, keepdims=True), weights @ value
    for key, value in blocks:
        scores = query @ np.swapaxes(key, -1, -2) / root
        old, peak = peak, np.maximum(peak, np.max(scores, axis=-1, keepdims=True))
        weights = np.exp(scores - peak)
        out = out * np.exp(old - peak) + weights @ value
        total = total * np.exp(old - peak) + np.sum(weights, axis=-1, keepdims=True)
    return out / total

# %% attention_in_blocks: the mean so far, and the weight behind it
def attention_in_blocks(query, blocks):
    d = query.shape[-1]
    mean, weight, highest = 0.0, 0.0, np.array(-np.inf, query.dtype)
    for key, value in blocks:
        scores = np.einsum("...nd,...md->...nm", query, key) / math.sqrt(d)
        level = np.maximum(highest, scores.max(axis=-1)[..., None])
        weight = weight * np.exp(highest - level)
        shares = np.exp(scores - level)
        more = shares.sum(axis=-1)[..., None]
        mean = (mean * weight + shares @ value) / (weight + more)
        weight, highest = weight + more, level
    return mean

# %% repeat_heads: concatenates
def repeat_heads(x, num_heads):
    from tinytorch.core.tensor import concatenate

    groups = x.shape[-3]
    if num_heads % groups:
        raise ValueError(f"{groups} groups cannot serve {num_heads} heads")
    times = num_heads // groups
    return concatenate([x[..., g : g + 1, :, :] for g in range(groups) for _ in range(times)], axis=-3)

# %% repeat_heads: an index
def repeat_heads(x, num_heads):
    if num_heads % x.shape[-3] != 0:
        raise ValueError(f"{num_heads} is no multiple of {x.shape[-3]}")
    return x[..., np.repeat(np.arange(x.shape[-3]), num_heads // x.shape[-3]), :, :]

# %% repeat_heads: a product with ones and zeros
def repeat_heads(x, num_heads):
    *leading, groups, m, d = x.shape
    times, rest = divmod(num_heads, groups)
    if rest:
        raise ValueError(f"{num_heads} heads, {groups} groups")
    which = Tensor(np.repeat(np.eye(groups), times, axis=0), dtype=x.dtype)
    return (which @ x.reshape(*leading, groups, m * d)).reshape(*leading, num_heads, m, d)
