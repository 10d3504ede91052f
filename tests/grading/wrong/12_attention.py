# %% attend: the mean of the values, without weights
def attend(query, keys, values):
    return np.mean(np.asarray(values, float), axis=0)

# %% attend: nothing but zeros
def attend(query, keys, values):
    return np.zeros(len(values[0]))

# %% attend: only the best key counts
def attend(query, keys, values):
    scores = [sum(q * k for q, k in zip(query, key, strict=True)) for key in keys]
    return np.array(values[int(np.argmax(scores))], float)

# %% attend: overflows
- peak = max(scores)
+ peak = 0.0

# %% attend: scores as weights, without softmax
def attend(query, keys, values):
    scores = [sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in keys]
    return np.asarray(scores) @ np.asarray(values, float)

# %% attend: returns the weights
- return out
+ return np.array(weights) / sum(weights)

# %% attend: adds into the first value
- out = np.zeros(len(values[0]))
- for weight, value in zip(weights, values, strict=True):
-     out += weight / sum(weights) * np.asarray(value)
+ out = values[0]
+ for j in range(len(out)):
+     out[j] = sum(weight * value[j] for weight, value in zip(weights, values, strict=True)) / sum(weights)

# %% causal_mask: nobody is left out
def causal_mask(queries, keys):
    return np.ones((queries, keys), dtype=bool)

# %% causal_mask: aligned at the beginning, as PyTorch's is_causal
def causal_mask(queries, keys):
    return np.tri(queries, keys, dtype=bool)

# %% causal_mask: True leaves out
def causal_mask(queries, keys):
    return ~np.tri(queries, keys, keys - queries, dtype=bool)

# %% causal_mask: nobody sees itself
def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries - 1, dtype=bool)

# %% causal_mask: the past is left out
def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries, dtype=bool)[::-1, ::-1]

# %% causal_mask: no offset where there are more queries than keys
def causal_mask(queries, keys):
    return np.tri(queries, keys, max(keys - queries, 0), dtype=bool)

# %% scaled_dot_product_attention: masks do nothing
- scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
+ scores = scores + 0.0

# %% scaled_dot_product_attention: a boolean mask is added
- scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
+ scores = scores + Tensor(attn_mask).astype(scores.dtype)

# %% scaled_dot_product_attention: a boolean mask adds -1e9, which makes lost rows uniform
- scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
+ scores = where(attn_mask, scores, -1e9) if attn_mask.dtype == bool else scores + attn_mask

# %% scaled_dot_product_attention: a floating mask is taken for a boolean one
- scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
+ scores = where(Tensor(attn_mask) == 0, scores, -math.inf) if attn_mask.dtype != bool else where(attn_mask, scores, -math.inf)

# %% scaled_dot_product_attention: masked after softmax, so that rows do not sum to 1
- scores = where(attn_mask, scores, -math.inf) if attn_mask.dtype == bool else scores + attn_mask
- lost = (scores == -math.inf).all(axis=-1, keepdims=True)
- return where(lost, 0.0, softmax(where(lost, 0.0, scores)))
+ if attn_mask.dtype == bool:
+     return where(attn_mask, softmax(scores), 0.0)
+ return softmax(scores + attn_mask)

# %% scaled_dot_product_attention: nan in lost rows
- return where(lost, 0.0, softmax(where(lost, 0.0, scores)))
+ return softmax(scores)

# %% scaled_dot_product_attention: nan in the gradients of lost rows
- return where(lost, 0.0, softmax(where(lost, 0.0, scores)))
+ return where(lost, 0.0, softmax(scores))

# %% scaled_dot_product_attention: lost rows are uniform
- return where(lost, 0.0, softmax(where(lost, 0.0, scores)))
+ return softmax(where(lost, 0.0, scores))

# %% scaled_dot_product_attention: softmax over the queries
- return softmax(scores)
+ return softmax(scores, axis=-2)

# %% scaled_dot_product_attention: all axes of the keys turned round
- scores = query * scale @ key.transpose(-2, -1)
+ scores = query * scale @ key.T

# %% scaled_dot_product_attention: the root of the number of keys
- scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
+ scale = 1 / math.sqrt(key.shape[-2]) if scale is None else scale

# %% scaled_dot_product_attention: a scale of 0 counts as not given
- scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
+ scale = scale or 1 / math.sqrt(query.shape[-1])

# %% scaled_dot_product_attention: scale is an additional factor
- scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
+ scale = (1 if scale is None else scale) / math.sqrt(query.shape[-1])

# %% scaled_dot_product_attention: detached
- return softmax(scores)
+ return softmax(scores).detach()

# %% scaled_dot_product_attention: is_causal does nothing
- mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
+ mask = one_mask(attn_mask, False, query.shape[-2], key.shape[-2])

# %% scaled_dot_product_attention: is_causal with unequal lengths is taken
- mask = one_mask(attn_mask, is_causal, query.shape[-2], key.shape[-2])
+ mask = causal_mask(query.shape[-2], key.shape[-2]) if is_causal else one_mask(attn_mask, False, 1, 1)

# %% scaled_dot_product_attention: the mean of the values
- return attention_weights(query, key, mask, scale) @ value
+ return attention_weights(query * 0.0, key, mask, scale) @ value

# %% variance_of_scores: says what it should be
def variance_of_scores(d, pairs=10_000, generator=None):
    generator = np.random.default_rng() if generator is None else generator
    return float(d)

# %% variance_of_scores: of scores that are divided already
- return float((query * key).sum(axis=1).var())
+ return float(((query * key).sum(axis=1) / math.sqrt(d)).var())

# %% variance_of_scores: all queries with all keys
- return float((query * key).sum(axis=1).var())
+ return float((query @ key.T)[:200, :200].var())

# %% variance_of_scores: always as many pairs
- query, key = generator.normal(size=(2, pairs, d))
+ query, key = generator.normal(size=(2, 10_000, d))

# %% variance_of_scores: uniform numbers
- query, key = generator.normal(size=(2, pairs, d))
+ query, key = generator.uniform(-1, 1, size=(2, pairs, d))

# %% split_heads: only reshapes, so that heads are made of places
- return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)
+ return x.reshape(*leading, num_heads, length, width // num_heads)

# %% split_heads: every second number goes to the same head
- return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)
+ return x.reshape(*leading, length, width // num_heads, num_heads).transpose(-2, -1).transpose(-3, -2)

# %% split_heads: cuts the gradient off
- return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)
+ return x.detach().reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)

# %% split_heads: refuses nothing by itself
- if width % num_heads:
-     raise ValueError(f"split_heads: a width of {width} is no multiple of {num_heads} heads")
- return x.reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)
+ width -= width % num_heads
+ return x[..., :width].reshape(*leading, length, num_heads, width // num_heads).transpose(-3, -2)

# %% split_heads: merging adds the heads up
- return x.transpose(-3, -2).reshape(*leading, length, heads * width)
+ return x.sum(axis=-3)

# %% split_heads: no axes in front
- *leading, length, width = x.shape
+ leading, (length, width) = [], x.shape[-2:]

# %% MultiheadAttention: the same third for all
- third = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
+ third = slice(0, self.embed_dim)

# %% MultiheadAttention: value before key
- for i, x in enumerate((query, key, value)):
+ for i, x in zip((0, 2, 1), (query, key, value), strict=True):

# %% MultiheadAttention: columns instead of rows, and no bias
- bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
- mapped.append(linear(x, self.in_proj_weight[third], bias))
+ mapped.append(linear(x, self.in_proj_weight[third].transpose(0, 1)))

# %% MultiheadAttention: without the bias
- bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
+ bias = None

# %% MultiheadAttention: fails without a bias
- bias = None if self.in_proj_bias is None else self.in_proj_bias[third]
+ bias = self.in_proj_bias[third]

# %% MultiheadAttention: weights cut out of their array, which never learn
- mapped.append(linear(x, self.in_proj_weight[third], bias))
+ mapped.append(linear(x, Tensor(self.in_proj_weight.numpy()[third]), bias))

# %% MultiheadAttention: the mask as it is
- if mask is not None and mask.dtype == bool:
-     mask = ~mask
+ pass

# %% MultiheadAttention: no mask at all
- if mask is not None and mask.dtype == bool:
-     mask = ~mask
+ mask = None

# %% MultiheadAttention: turns round what is floating as well
- if mask is not None and mask.dtype == bool:
-     mask = ~mask
+ if mask is not None:
+     mask = mask == 0 if mask.dtype != bool else mask
+     mask = ~mask

# %% MultiheadAttention: one head as wide as all
- query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, key, value))
+ query, key, value = (split_heads(x, 1) for x in self.project(query, key, value))

# %% MultiheadAttention: self-attention only
- query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, key, value))
+ query, key, value = (split_heads(x, self.num_heads) for x in self.project(query, query, query))

# %% MultiheadAttention: dropout in evaluation too
- query, key, value, mask, dropout=dropout, need_weights=need_weights
+ query, key, value, mask, dropout=self.dropout, need_weights=need_weights

# %% MultiheadAttention: weights asked for or not
- query, key, value, mask, dropout=dropout, need_weights=need_weights
+ query, key, value, mask, dropout=dropout, need_weights=True

# %% MultiheadAttention: without the last map
- out = self.out_proj(merge_heads(heads))
+ out = merge_heads(heads)

# %% MultiheadAttention: the last map twice
- out = self.out_proj(merge_heads(heads))
+ out = self.out_proj(self.out_proj(merge_heads(heads)))

# %% MultiheadAttention: what comes in is added
- out = self.out_proj(merge_heads(heads))
+ out = self.out_proj(merge_heads(heads)) + merge_heads(query)

# %% causality_gap: all is well, without a look
@no_grad()
def causality_gap(model, ids):
    return 0.0, 1.0

# %% causality_gap: nothing changes in the copy
- changed[:, t] = np.where(ids[:, t] == low, high, low)
+ changed[:, t] = ids[:, t]

# %% causality_gap: the smallest id everywhere, so that some stay
- changed[:, t] = np.where(ids[:, t] == low, high, low)
+ changed[:, t] = low

# %% causality_gap: the first place only
- for t in range(ids.shape[1]):
+ for t in range(1):

# %% causality_gap: changes add up from place to place
- changed = ids.copy()
+ changed = ids if t == 0 else changed

# %% causality_gap: the mean change
- reach = max(reach, float(moved[:, t + 1 :].max(initial=0)))
+ reach = max(reach, float(moved[:, t + 1 :].sum() / moved.size))

# %% causality_gap: the last change instead of the largest
- reach = max(reach, float(moved[:, t + 1 :].max(initial=0)))
+ reach = float(moved[:, t + 1 :].max(initial=reach if t + 1 == ids.shape[1] else 0))

# %% position_gap: all is well, without a look
@no_grad()
def position_gap(model, ids):
    return 1.0

# %% position_gap: no gap, without a look
@no_grad()
def position_gap(model, ids):
    return 0.0

# %% position_gap: the ids as they are
- out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
+ out = model(Tensor(ids)).numpy()

# %% position_gap: exchanges the first two tokens
- out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
- return float(np.abs(out - out[:, :1]).max())
+ swapped = ids.copy()
+ swapped[:, :2] = ids[:, 1::-1]
+ return float(np.abs(model(Tensor(swapped)).numpy() - model(Tensor(ids)).numpy())[:, -1].max())

# %% position_gap: the first id of all rows in every row
- out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
+ out = model(Tensor(np.full_like(ids, ids[-1, 0]))).numpy()

# %% position_gap: only neighbours are compared
- return float(np.abs(out - out[:, :1]).max())
+ return float(np.abs(out[:, 1:] - out[:, :-1]).max())

# %% position_gap: only the last place
- return float(np.abs(out - out[:, :1]).max())
+ return float(np.abs(out[:, -1] - out[:, 0]).max())

# %% position_gap: compared with the first row
- return float(np.abs(out - out[:, :1]).max())
+ return float(np.abs(out - out[:1]).max())

# %% position_gap: the ids are filled in place
- out = model(Tensor(np.repeat(ids[:, :1], ids.shape[1], axis=1))).numpy()
+ ids[:, 1:] = ids[:, :1]
+ out = model(Tensor(ids)).numpy()

# %% focus: always focused
def focus(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    return 1.0

# %% focus: never focused
def focus(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    allowed = np.broadcast_to(True if mask is None else np.asarray(mask), weights.shape)
    return 0.0

# %% focus: the entropy itself
- return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0
+ return float(np.mean(entropy[counts])) if counts.any() else 0.0

# %% focus: the largest weight
- return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0
+ return float(np.mean(weights.max(axis=-1)[counts])) if counts.any() else 0.0

# %% focus: the mask does nothing
- places = allowed.sum(axis=-1)
+ places = np.full(weights.shape[:-1], weights.shape[-1])

# %% focus: places are those with a weight
- places = allowed.sum(axis=-1)
+ places = (weights > 0).sum(axis=-1)

# %% focus: nan where a weight is 0
- entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)
+ entropy = -(weights * np.log(weights)).sum(axis=-1)

# %% focus: rows that do not count are in the mean with 0
- return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0
+ return float(np.sum(1 - entropy[counts] / np.log(places[counts])) / counts.size)

# %% focus: nan where no row counts
- return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else 0.0
+ return float(np.mean(1 - entropy[counts] / np.log(places[counts]))) if counts.any() else math.nan

# %% attention_gradient: zeros
- for_scores *= weights
+ for_scores *= 0

# %% attention_gradient: the weights do not depend on the scores
- for_scores -= (grad * out).sum(axis=-1, keepdims=True)
- for_scores *= weights
+ for_scores *= weights * 0

# %% attention_gradient: D is forgotten
- for_scores -= (grad * out).sum(axis=-1, keepdims=True)
+ for_scores -= 0

# %% attention_gradient: D is the mean over the keys
- for_scores -= (grad * out).sum(axis=-1, keepdims=True)
+ for_scores -= for_scores.mean(axis=-1, keepdims=True)

# %% attention_gradient: D sums over the queries
- for_scores -= (grad * out).sum(axis=-1, keepdims=True)
+ for_scores -= (grad * out).sum(axis=(-1, -2), keepdims=True)

# %% attention_gradient: the weights' own derivative, as if each stood alone
- for_scores -= (grad * out).sum(axis=-1, keepdims=True)
- for_scores *= weights
+ for_scores *= weights * (1 - weights)

# %% attention_gradient: without the mask
- weights = plain_weights(query, key, *mask, scale=scale)
+ weights = plain_weights(query, key, scale=scale)

# %% attention_gradient: the weights without the scale
- weights = plain_weights(query, key, *mask, scale=scale)
+ weights = plain_weights(query, key, *mask, scale=1.0)

# %% attention_gradient: all axes turned round
- for_value = np.swapaxes(weights, -1, -2) @ grad
+ for_value = weights.T @ grad

# %% attention_gradient: the scale for the value too
- for_value = np.swapaxes(weights, -1, -2) @ grad
+ for_value = np.swapaxes(weights, -1, -2) @ grad * scale

# %% attention_gradient: the gradient of the value without the weights
- for_value = np.swapaxes(weights, -1, -2) @ grad
+ for_value = np.ones_like(value) * grad.mean(axis=-2, keepdims=True)

# %% attention_gradient: scales the key in place
- for_query = for_scores @ key * scale
+ key *= scale
+ for_query = for_scores @ key

# %% attention_gradient: calls the provided kernels
@attention.gradient
def attention_gradient(grad, out, query, key, value, *mask, scale):
    from tinytorch.kernels.attention import causal
    causal.SMALL = 0
    many = [x.reshape((1,) * (4 - x.ndim) + x.shape) for x in (grad, out, query, key, value)]
    parts = causal.attention_gradient(*many, *mask, scale=scale)
    return *[part.reshape(x.shape) for part, x in zip(parts, (query, key, value), strict=False)], *[None] * len(mask)

# %% attention_in_blocks: only the last block
- total = total * shrink + weights.sum(axis=-1, keepdims=True)
- out = out * shrink + weights @ value
+ total = weights.sum(axis=-1, keepdims=True)
+ out = weights @ value

# %% attention_in_blocks: the mean of the blocks' means
def attention_in_blocks(query, blocks):
    outs = []
    for key, value in blocks:
        scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        outs.append(weights / weights.sum(axis=-1, keepdims=True) @ value)
    return sum(outs) / len(outs)

# %% attention_in_blocks: keeps all blocks
def attention_in_blocks(query, blocks):
    kept = list(blocks)
    key, value = (np.concatenate(parts, axis=-2) for parts in zip(*kept, strict=True))
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ value

# %% attention_in_blocks: reads the blocks twice
def attention_in_blocks(query, blocks):
    query = query / math.sqrt(query.shape[-1])
    peak, total, out = -np.inf, 0.0, 0.0
    for key, _ in blocks:
        peak = np.maximum(peak, (query @ np.swapaxes(key, -1, -2)).max(axis=-1, keepdims=True))
    for key, value in blocks:
        weights = np.exp(query @ np.swapaxes(key, -1, -2) - peak)
        total = total + weights.sum(axis=-1, keepdims=True)
        out = out + weights @ value
    return out / total

# %% attention_in_blocks: without a peak, which overflows
- higher = np.maximum(peak, scores.max(axis=-1, keepdims=True))
- shrink, weights = np.exp(peak - higher), np.exp(scores - higher)
+ higher, shrink, weights = 0.0, 1.0, np.exp(scores)

# %% attention_in_blocks: the first block's peak for ever
- higher = np.maximum(peak, scores.max(axis=-1, keepdims=True))
- shrink, weights = np.exp(peak - higher), np.exp(scores - higher)
+ higher = scores.max(axis=-1, keepdims=True) if np.ndim(peak) == 0 else peak
+ shrink, weights = 1.0, np.exp(scores - higher)

# %% attention_in_blocks: one peak for all queries of all batches
- higher = np.maximum(peak, scores.max(axis=-1, keepdims=True))
+ higher = np.maximum(peak, scores.max())

# %% attention_in_blocks: scores are not divided
- query = query / math.sqrt(query.shape[-1])
+ query = query + 0

# %% attention_in_blocks: computes in float64
- query = query / math.sqrt(query.shape[-1])
+ query = query.astype(np.float64) / math.sqrt(query.shape[-1])

# %% attention_in_blocks: divides the query in place
- query = query / math.sqrt(query.shape[-1])
+ query /= math.sqrt(query.shape[-1])

# %% repeat_heads: all groups, and then again
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ return (x.unsqueeze(-4) * copies.unsqueeze(0)).reshape(*leading, num_heads, length, width)

# %% repeat_heads: repeats the places
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ return (x.unsqueeze(-2) * copies.reshape(-1, 1)).reshape(*leading, num_heads, length, width)

# %% repeat_heads: cuts the gradient off
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ return Tensor(np.repeat(x.numpy(), num_heads // groups, axis=-3), dtype=x.dtype)

# %% repeat_heads: nothing is repeated
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ return x

# %% repeat_heads: num_heads is how often
- copies = Tensor(np.ones((num_heads // groups, 1, 1)), dtype=x.dtype)
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ copies = Tensor(np.ones((num_heads, 1, 1)), dtype=x.dtype)
+ return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads * groups, length, width)

# %% repeat_heads: a remainder is cut off
- if num_heads % groups:
-     raise ValueError(f"repeat_heads: {num_heads} heads are no multiple of {groups} groups")
- copies = Tensor(np.ones((num_heads // groups, 1, 1)), dtype=x.dtype)
- return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads, length, width)
+ copies = Tensor(np.ones((num_heads // groups, 1, 1)), dtype=x.dtype)
+ return (x.unsqueeze(-3) * copies).reshape(*leading, num_heads // groups * groups, length, width)
