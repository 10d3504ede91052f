# %% [markdown]
r"""
# 17 Memoization

To write its fiftieth token, module 13's GPT computes the other forty-nine again. Here you write a cache of keys and values, generation with it, and a store
for shared prompts. *Checkpoints* turn the trade around: they compute again, to save memory.

Answer before you unfold:

1. (12) What is `causal_mask(2, 5)`?
<details><summary>Answer</summary>[T T T T F] and [T T T T T].</details>

2. (13) The window holds 8 tokens, the whole block. With which tokens does the next window begin?
<details><summary>Answer</summary>With the last max(8 // 2, 1), the drawn one included.</details>

3. (05) What does a recorded operation keep, and until when?
<details><summary>Answer</summary>Its inputs' arrays, until the way back is done.</details>
"""

# %%
from tinytorch.notebook import best_seconds, check_home, expect, expect_error

check_home()

# %%
#| default_exp core.memoization

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextlib
import inspect
from collections import OrderedDict

import numpy as np

from tinytorch.core.activations import gelu
from tinytorch.core.attention import attention_and_weights, causal_mask, merge_heads, split_heads
from tinytorch.core.autograd import no_grad, topological_order
from tinytorch.core.layers import Module, linear
from tinytorch.core.tensor import Op, Tensor, random_generator
from tinytorch.core.transformers import sample

# %%
from tinytorch.core.attention import MultiheadAttention
from tinytorch.core.layers import Dropout, Linear, Parameter, Sequential
from tinytorch.core.tensor import manual_seed
from tinytorch.core.transformers import GPT, generate, initialize

# %% [markdown]
r"""
## Part 1 of 2 · about 5 hours: nothing twice

**Predict**: which logits for `3 1 4 1 5` differ once `9 2 6` stand behind?
"""

# %% nbgrader={"grade": false, "grade_id": "provided-small_gpt", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
class Counted(Module):
    """A table of tokens that keeps the shape of every request."""

    def __init__(self, table):
        super().__init__()
        self.table, self.weight, self.asked = table, table.weight, []

    def forward(self, ids):
        self.asked.append(np.shape(ids))
        return self.table(ids)


def small_gpt(block_size=8, n_layer=2, n_head=2, dropout=0.0, seed=0):
    """A GPT of 20 tokens, 16 numbers wide, whose every parameter matters; model.tokens.asked counts its
    work."""
    model, draws = GPT(20, block_size, n_layer, n_head, 16, dropout), np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = draws.normal(0, 0.3, parameter.shape)
    model.tokens = Counted(model.tokens)
    return model

# %%
five, eight = (small_gpt()([[3, 1, 4, 1, 5, 9, 2, 6][:n]]).numpy() for n in (5, 8))
print("largest difference at each of the first five places:", np.abs(five - eight[:, :5]).max(axis=(0, 2)))

# %% [markdown]
r"""
Rounding: no place sees a later one. Later tokens need its *keys and values*, in every layer.

### A cache of keys and values

Concatenation would copy everything for every token. So allocate memory once, and hand out *views* of what is filled:

    max_len 4     after 2 tokens       after 1 more
    [. . . .]     [k₀ k₁ . .] → k₀ k₁   [k₀ k₁ k₂ .] → k₀ k₁ k₂

**Write `KVCache`**. `__init__` makes two arrays of zeros, `keys` and `values`, of shape (n_layer, batch, n_head, max_len, head_dim) and `dtype`, and
the list `lengths`: tokens that each layer holds. `append(layer, key, value)` puts n ≥ 0 tokens, two arrays (batch, n_head, n, head_dim), behind
that layer's and returns views of all its keys and values.

Errors, which store nothing: n is `key`'s, and a `key` or `value` of another shape is a `ValueError` with that shape; too many tokens are one with max_len, the tokens held and n.
"""

# %% nbgrader={"grade": false, "grade_id": "KVCache", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Where do the new tokens begin and end on the axis of places? Both numbers follow from the length of this layer and from n.", "Check everything first: what key and value have to look like is known but for n, and n is read from key.", "A slice of an array is a view: the same slice of the axis of places, from its start, serves for keys and for values."], "minutes": 45, "objective": "cache"}
#| export
class KVCache:
    """Keys and values of the tokens read so far, for every layer, in memory that is allocated once.

    keys, values: arrays (n_layer, batch, n_head, max_len, head_dim), filled up to `lengths`, one number a
    layer.
    """

    def __init__(self, n_layer, batch, n_head, max_len, head_dim, dtype=np.float32):
        ### BEGIN SOLUTION
        self.keys = np.zeros((n_layer, batch, n_head, max_len, head_dim), dtype)
        self.values = np.zeros_like(self.keys)
        self.lengths = [0] * n_layer
        ### END SOLUTION

    length = property(lambda self: min(self.lengths))  # the tokens that all layers hold
    nbytes = property(lambda self: self.keys.nbytes + self.values.nbytes)

    def append(self, layer, key, value):
        """Put key and value (batch, n_head, n, head_dim) behind those of `layer`; views of all that it holds.

        Raises ValueError, and stores nothing, for other shapes and where n places are not free.
        """
        ### BEGIN SOLUTION
        _, batch, n_head, max_len, head_dim = self.keys.shape
        held, n = self.lengths[layer], key.shape[-2]
        for array in (key, value):
            if array.shape != (batch, n_head, n, head_dim):
                wanted = f"({batch}, {n_head}, n, {head_dim})"
                raise ValueError(f"KVCache: takes keys and values of shape {wanted}, not {array.shape}")
        if held + n > max_len:
            raise ValueError(f"KVCache: full; of {max_len} places {held} are taken, and {n} more do not fit")
        self.keys[layer, :, :, held : held + n] = key
        self.values[layer, :, :, held : held + n] = value
        self.lengths[layer] = held + n
        return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-KVCache", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_KVCache():
    cache = KVCache(2, 1, 1, 4, 3)
    expect((cache.keys.shape, cache.values.shape), ((2, 1, 1, 4, 3),) * 2, "2 layers of 4 places")
    expect([cache.nbytes, cache.length], [2 * 2 * 4 * 3 * 4, 0], "bytes of both, and the length at the start")
    two, one = np.arange(6.0).reshape(1, 1, 2, 3), np.full((1, 1, 1, 3), 9.0)
    keys, values = cache.append(1, two, -two)
    expect(keys, two, "layer 1 after two tokens: its keys", dtype=np.float32)
    expect(values, -two, "and its values", dtype=np.float32)
    expect((list(cache.lengths), cache.length), ([0, 2], 0), "layer 0 holds none, so that all layers hold 0")
    keys, values = cache.append(1, one, one * 2)
    expect(np.asarray(keys)[0, 0], [[0, 1, 2], [3, 4, 5], [9, 9, 9]], "after one more")
    expect(np.asarray(values)[0, 0], [[0, -1, -2], [-3, -4, -5], [18, 18, 18]], "and the values")
    expect(np.shares_memory(keys, cache.keys), True, "the keys are a view of cache.keys")
    expect(np.shares_memory(values, cache.values), True, "the values are a view of cache.values")
    for name in ("keys", "values"):
        free = np.asarray(getattr(cache, name))[:, 0, 0, 3]
        expect(free, np.zeros((2, 3)), f"the last place of both layers is free in {name}")
    none = np.zeros((1, 1, 0, 3))
    expect(cache.append(0, none, none)[0].shape, (1, 1, 0, 3), "no token")
    expect(KVCache(1, 2, 3, 4, 5, np.float64).values.dtype, np.float64, "the dtype")
    print("🔬 KVCache: passed")

test_unit_KVCache()

# %% nbgrader={"grade": true, "grade_id": "test-KVCache-errors", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_KVCache_errors():
    cache, three = KVCache(1, 2, 2, 4, 3), np.ones((2, 2, 3, 3))
    cache.append(0, three, three)
    expect_error(ValueError, [4, 3, 2], cache.append, 0, three[:, :, :2], three[:, :, :2])
    for shape in [(1, 2, 1, 3), (2, 1, 1, 3), (2, 2, 1, 1), (2, 1, 3), (2, 2, 1, 4)]:
        wrong, right = np.full(shape, 7.0), np.full((2, 2, 1, 3), 7.0)
        expect_error(ValueError, [shape], cache.append, 0, wrong, right)
        expect_error(ValueError, [shape], cache.append, 0, right, wrong)
    expect_error(ValueError, [(2, 2, 2, 3)], cache.append, 0, three[:, :, :1], three[:, :, :2])
    expect(cache.lengths, [3], "the length after twelve errors")
    expect(np.asarray(cache.keys).max(), 1, "nothing of them was stored in keys")
    expect(np.asarray(cache.values).max(), 1, "nor in values")
    last = three[:, :, :1] * 5
    expect(cache.append(0, last, last)[1].shape, (2, 2, 4, 3), "the last place is filled")
    expect_error(ValueError, [4, 1], cache.append, 0, last, last)
    print("🔬 KVCache, errors: passed")

test_unit_KVCache_errors()

# %% nbgrader={"grade": true, "grade_id": "test-KVCache-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn pieces in several layers, in memory that never moves.
### BEGIN HIDDEN TESTS
draws = np.random.default_rng(17)
store = KVCache(3, 2, 4, 9, 5)
memory = store.keys
pieces = {
    layer: [draws.normal(size=(2, 2, 4, n, 5)).astype(np.float32) for n in (4, 1, 0, 2)] for layer in (2, 0)
}
for layer, parts in pieces.items():
    for i, (key, value) in enumerate(parts):
        keys, values = store.append(layer, key, value)
        wanted = np.concatenate(parts[: i + 1], axis=3)
        expect(keys, wanted[0], f"keys of layer {layer} after {i + 1} pieces")
        expect(values, wanted[1], f"values of layer {layer} after {i + 1} pieces")
expect(list(store.lengths), [7, 0, 7], "the lengths of three layers")
expect(np.shares_memory(store.keys, memory), True, "the memory is that of the beginning")
expect(np.shares_memory(store.keys, store.values), False, "keys and values have memory of their own")
### END HIDDEN TESTS

# %% [markdown]
r"""
How large is it? Two arrays, a number for each layer, sequence, place and entry of the width (heads · head_dim is the width). **Predict** for the 4 layers × 128 of module 13, 256 places and a batch
of 8, in float32: how many megabytes? And with one head of keys and values for all four heads of queries (module 12's stretch, *grouped heads*)?
"""

# %% tags=["measure"]
import tracemalloc


def analyze_cache_bytes(layers=4, batch=8, heads=4, places=256, head_dim=32):
    """Bytes of a cache, predicted and allocated, with all heads and with one for all."""
    for groups in (heads, 1):
        predicted = 2 * layers * batch * groups * places * head_dim * 4
        tracemalloc.start()
        kept = KVCache(layers, batch, groups, places, head_dim)
        allocated, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        per_token = kept.nbytes / batch / places
        print(f"📊 {groups} of {heads} heads kept: predicted {predicted / 1e6:.2f} MB, "
              f"allocated {allocated / 1e6:.2f} MB; {per_token:,.0f} bytes a token")
    weights = sum(p.nbytes for p in GPT(65, places, layers, heads, heads * head_dim).parameters())
    print(f"📊 the model's own weights: {weights / 1e6:.2f} MB")

analyze_cache_bytes()

# %% [markdown]
r"""
The weights are there once; the cache is there for every sequence, and grows with its length. That is why large models share heads of keys and values: it
is the cache, not the weights, that limits how many texts they write at a time.

### Attention with a cache

Only the new tokens come in. They ask with their own queries, but they ask *all* keys: those in the cache and their own. Three cases, one function:

    cache empty, n = 3      the prompt: causal_mask(3, 3)
    cache holds 3, n = 1    one more token: one query sees all four keys
    cache holds 3, n = 2    two more: causal_mask(2, 5), aligned at the end

**Write `cached_attention(attention, x, cache, layer)`** for a `MultiheadAttention` of module 12 with batch_first=True: x (B, n, E) are the
rows of the n new tokens, and what comes back is the Tensor (B, n, E) that the attention gives for them with is_causal=True over the whole text. `attention.project(x, x, x)` gives queries, keys and
values, each (B, n, E); `split_heads` cuts them; the cache takes arrays (`.numpy()`), and attention takes Tensors again (`Tensor.wrap` copies
nothing). `attention_and_weights`, of whose pair you need the first, takes the mask in which True attends; without a mask it is faster, and one query needs none.
`merge_heads` and `attention.out_proj` end it. Dropout plays no part, and `@no_grad()` sees to it that nothing is recorded.
"""

# %% nbgrader={"grade": false, "grade_id": "cached_attention", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The steps are those of the layer itself; one step comes in between, which makes two lists of keys and values longer.", "How many queries are there, and how many keys after the cache has taken the new ones? The mask is made of these two numbers.", "attention_and_weights returns a pair: the means, split in heads, and the weights, which nobody asked for."], "minutes": 40, "objective": "decode"}
#| export
@no_grad()
def cached_attention(attention, x, cache, layer):
    """What a causal MultiheadAttention gives for new tokens x (B, n, E), behind those that the cache holds.

    Their keys and values are put into `cache` under `layer`. Returns a Tensor (B, n, E) without a history.
    Raises what KVCache.append raises.
    """
    ### BEGIN SOLUTION
    query, key, value = (split_heads(part, attention.num_heads) for part in attention.project(x, x, x))
    keys, values = cache.append(layer, key.numpy(), value.numpy())
    n, m = query.shape[-2], keys.shape[-2]
    mask = causal_mask(n, m) if n > 1 else None
    heads, _ = attention_and_weights(query, Tensor.wrap(keys), Tensor.wrap(values), mask)
    return attention.out_proj(merge_heads(heads))
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-sample_attention", "locked": true, "schema_version": 3, "solution": false, "task": false}
def sample_attention(bias=True, dtype=np.float64):
    """A layer of width 6 with 3 heads whose every parameter matters, and rows for 2 texts of 5 tokens."""
    draws = np.random.default_rng(3)
    layer = MultiheadAttention(6, 3, bias=bias, batch_first=True, dtype=dtype)
    for parameter in layer.parameters():
        parameter.data[...] = draws.normal(size=parameter.shape)
    return layer, Tensor(draws.normal(size=(2, 5, 6)), dtype=dtype)

# %% nbgrader={"grade": true, "grade_id": "test-cached_attention", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_cached_attention():
    layer, x = sample_attention()
    whole = layer(x, x, x, need_weights=False, is_causal=True)[0].numpy()
    for cuts in ([0, 5], [0, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0, 3, 5], [0, 1, 4, 5]):
        cache = KVCache(1, 2, 3, 5, 2, np.float64)
        for start, end in zip(cuts, cuts[1:], strict=False):
            out = cached_attention(layer, x[:, start:end], cache, 0)
            expect(out, whole[:, start:end], f"tokens {start} to {end} of 5, cut at {cuts}", atol=1e-10)
    expect(
        x.numpy().std() > 0.5 and whole.std() > 0.5, True, "neither the rows nor the answers are all alike"
    )
    print("🔬 cached_attention: passed")


test_unit_cached_attention()

# %% nbgrader={"grade": true, "grade_id": "test-cached_attention-cache", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_cached_attention_cache():
    layer, x = sample_attention()
    cache = KVCache(2, 2, 3, 6, 2, np.float64)
    out = cached_attention(layer, x[:, :4], cache, 1)
    expect(list(cache.lengths), [0, 4], "four tokens, each kept once, in layer 1")
    key, value = (split_heads(part, 3) for part in layer.project(x, x, x)[1:])
    expect(np.asarray(cache.keys)[1][:, :, :4], key.numpy()[:, :, :4], "their keys", atol=1e-12)
    expect(np.asarray(cache.values)[1][:, :, :4], value.numpy()[:, :, :4], "their values", atol=1e-12)
    expect(out.requires_grad, False, "a history of the result")
    x.requires_grad_()
    expect(cached_attention(layer, x[:, 4:], cache, 1).requires_grad, False, "one where x wants a gradient")
    alone = np.asarray(cached_attention(layer, x[:, 4:], KVCache(1, 2, 3, 1, 2, np.float64), 0))
    whole = layer(x, x, x, need_weights=False, is_causal=True)[0].numpy()
    expect(
        float(np.abs(alone - whole[:, 4:]).max()) > 0.1, True, "the last token without its past is another"
    )
    expect_error(ValueError, [6, 5, 2], cached_attention, layer, x[:, :2], cache, 1)
    print("🔬 cached_attention, what it keeps: passed")


test_unit_cached_attention_cache()

# %% nbgrader={"grade": true, "grade_id": "test-cached_attention-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: without biases, in float32, beside a loop over single queries.
### BEGIN HIDDEN TESTS
plain, rows = sample_attention(bias=False, dtype=np.float32)
kept, given = KVCache(3, 2, 3, 7, 2), []
for start, end in [(0, 2), (2, 4), (4, 5)]:
    given.append(np.asarray(cached_attention(plain, rows[:, start:end], kept, 2)))
given, third = np.concatenate(given, axis=1), np.split(plain.in_proj_weight.numpy(), 3)
queries, keys, values = (rows.numpy() @ matrix.T for matrix in third)
for text, place in [(0, 0), (1, 2), (0, 3), (1, 4)]:
    found = []
    for head in (slice(0, 2), slice(2, 4), slice(4, 6)):
        scores = keys[text, : place + 1, head] @ queries[text, place, head] / np.sqrt(2)
        shares = np.exp(scores - scores.max())
        found.append(shares @ values[text, : place + 1, head] / shares.sum())
    wanted = plain.out_proj.weight.numpy() @ np.concatenate(found)
    expect(given[text, place], wanted, f"text {text}, place {place}", atol=1e-4)
expect(given.dtype, np.float32, "the dtype")
### END HIDDEN TESTS

# %% [markdown]
r"""
### A GPT that remembers

The rest of a block works on each token for itself, so a pass over the new tokens is module 13's pass with two changes: attention goes through the cache, and
the positions start at `cache.length`, read before the first layer adds to it. Forget the second, and every new token stands at place 0; no shape shows it.

**Write `forward_cached(model, ids, cache)`**: the logits (B, n, V) of new ids (B, n), from the GPT's `tokens`, `positions(x, start=…)`, `blocks`,
`norm` and the tied table, without dropout (what `model.eval()` gives). A block's parts are `norm1`, `attention`, `norm2`, `up`, `gelu(…, approximate=block.approximate)` and
`down`, with an addition behind attention and one behind `down`. The folded cell gives a new cache and refuses one of another model.

**And `generate_cached`**, which returns what `generate` returns for the same generator: one call of `sample` on the logits of the last place, `stop`
and the window as there (it begins anew with the last max(block_size // 2, 1) tokens). Each token goes through the model once in each window: first all that the cache does not hold yet, then one at a
time. A window that begins anew has other positions, so it begins with an empty cache. Block 4, prompt of 3; what is passed to the model:

    [a b c]  [d]  [d e]  [f]  [g]  [g h]  …        after [d] it is full; the next has the last two, d and the drawn e

After the last token that is wanted, nothing more is computed. `cache`, if given, holds the first tokens of `ids`, and it serves until the window moves.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-cache_for", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def cache_sizes(model, batch):
    """(n_layer, batch, n_head, max_len, head_dim) of a cache for texts of up to block_size tokens of a
    GPT."""
    attention = model.blocks[0].attention
    head_dim = attention.embed_dim // attention.num_heads
    return len(model.blocks), batch, attention.num_heads, model.block_size, head_dim


def cache_for(model, batch):
    """An empty KVCache for `batch` texts of the GPT `model`."""
    return KVCache(*cache_sizes(model, batch), dtype=model.tokens.weight.dtype)


def check_cache(model, batch, cache):
    """Raise ValueError naming both where the cache is one of other layers, heads, widths or texts."""
    wanted, found = cache_sizes(model, batch), cache.keys.shape
    if (*found[:3], found[4]) != (*wanted[:3], wanted[4]):
        names = "(n_layer, batch, n_head, max_len, head_dim)"
        raise ValueError(f"a cache of {names} {found} is not one for this model and batch: {wanted}")

# %% nbgrader={"grade": false, "grade_id": "generate_cached", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Where do the positions of the new tokens start? Ask the cache before the layers do, and give each layer its own number.", "What is passed to the model is always the same part of the text: from the start of the window, plus what the cache holds, to the end.", "Begin with generate of module 13 and change what the model is called with. Where the window moves, one more thing has to begin anew."], "minutes": 75, "objective": "decode"}
#| export
@no_grad()
def forward_cached(model, ids, cache):
    """Logits (B, n, V) of a GPT for ids (B, n) that follow those in `cache`, which takes them in; no dropout.

    Raises ValueError for a cache of another model, and where the text would outgrow the block or the cache.
    """
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    ### BEGIN SOLUTION
    x = model.positions(model.tokens(ids), start=cache.length)
    for layer, block in enumerate(model.blocks):
        x = x + cached_attention(block.attention, block.norm1(x), cache, layer)
        x = x + block.down(gelu(block.up(block.norm2(x)), approximate=block.approximate))
    return linear(model.norm(x), model.tokens.weight)
    ### END SOLUTION


def generate_cached(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None, cache=None
):
    """What `generate` gives, while each token goes through the model once in each window.

    cache: a KVCache that holds the first tokens of ids (B, T), fewer than T; ValueError for one that holds
    more. It takes in what is read, until the window moves. The other settings are those of `generate`.
    """
    ids = np.asarray(ids)
    cache = cache_for(model, len(ids)) if cache is None else cache
    if cache.length >= ids.shape[1]:
        raise ValueError(f"a cache of {cache.length} tokens leaves nothing to read of {ids.shape[1]}")
    ### BEGIN SOLUTION
    start, ended = 0, np.zeros(len(ids), bool)
    for _ in range(max_new_tokens):
        if ids.shape[1] - start > model.block_size:
            start = ids.shape[1] - max(model.block_size // 2, 1)
            cache = cache_for(model, len(ids))
        logits = forward_cached(model, ids[:, start + cache.length :], cache)[:, -1]
        new = sample(logits, temperature, top_k, top_p, generator)
        if stop is not None:
            new[ended] = stop
            ended |= new == stop
        ids = np.concatenate([ids, new[:, None]], axis=1)
        if ended.all():
            break
    return ids
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-generate_cached-logits", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_forward_cached():
    model, ids = small_gpt(dropout=0.5), np.array([[3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]])
    whole = model.eval()(ids).numpy()
    for mode in (True, False):
        for cuts in ([0, 8], [0, 3, 4, 5, 6, 7, 8], [0, 1, 5, 8]):
            cache = cache_for(model.train(mode), 2)
            for start, end in zip(cuts, cuts[1:], strict=False):
                got, what = forward_cached(model, ids[:, start:end], cache), f"training={mode}, cut at {cuts}"
                expect(got, whole[:, start:end], f"from place {start}, {what}", atol=1e-4, dtype=np.float32)
            expect(list(cache.lengths), [8, 8], "what both layers hold")
    expect(got.requires_grad, False, "a history of the logits")
    expect_error(ValueError, 8, forward_cached, model, ids[:, :1], cache)
    others = [(small_gpt(n_layer=n), 2) for n in (1, 3)] + [(small_gpt(n_head=4), 2), (model, 1)]
    for cache in (cache_for(*other) for other in others):
        expect_error(ValueError, [cache.keys.shape, (2, 2, 2, 8, 8)], forward_cached, model, ids, cache)
    print("🔬 forward_cached: passed")

test_unit_forward_cached()

# %% nbgrader={"grade": true, "grade_id": "test-generate_cached", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate_cached():
    model, prompt = small_gpt(), np.array([[3, 1, 4], [15, 9, 2]])
    stop = int(generate(model, prompt, 4, temperature=0)[0, -1])
    flat = {"temperature": 2.0, "top_k": 9, "top_p": 0.8}
    for settings in ({}, {"temperature": 0}, flat, {"stop": stop}):
        got, wanted = (write(model, prompt, 22, generator=np.random.default_rng(1), **settings)
                       for write in (generate_cached, generate))
        expect(got, wanted, f"22 tokens after 3, block 8, {settings}")
    expect(prompt, [[3, 1, 4], [15, 9, 2]], "the prompt stays as it is")
    for other, n in [(model, 11), (small_gpt(1), 2)]:
        wanted = generate(other, [range(n)], 5, temperature=0)
        got = generate_cached(other, [range(n)], 5, temperature=0)
        expect(got, wanted, f"a prompt of {n}, longer than the block")
    expect(generate_cached(model, prompt, 0), prompt, "no new tokens")
    expect((model.training, Op.recording), (True, True), "the model's mode afterwards, and recording")
    print("🔬 generate_cached: passed")

test_unit_generate_cached()

# %% nbgrader={"grade": true, "grade_id": "test-generate_cached-work", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate_cached_work():
    model, prompt = small_gpt(4), np.array([[3, 1, 4], [15, 9, 2]])
    generate_cached(model, prompt, 7)
    expect(model.tokens.asked, [(2, n) for n in (3, 1, 2, 1, 1, 2, 1)], "what the model was given, block 4")
    model = small_gpt(6)
    cache = cache_for(model, 2)
    forward_cached(model, prompt[:, :2], cache)
    got = generate_cached(model, prompt, 6, temperature=0, cache=cache)
    expect(got, generate(small_gpt(6), prompt, 6, temperature=0), "with a cache that holds 2 of 3 tokens")
    expect(model.tokens.asked, [(2, n) for n in (2, 1, 1, 1, 1, 3, 1)], "each token once a window, block 6")
    expect(cache.length, 6, "the given cache holds the first window")
    expect_error(ValueError, [6, 3], generate_cached, model, prompt, 1, cache=cache)
    model.tokens.asked.clear()
    stop = int(np.asarray(got)[0, 3])
    generate_cached(model, prompt[:1], 9, temperature=0, stop=stop)
    expect(model.tokens.asked, [(1, 3)], f"{stop} ends the only row, and the work")
    print("🔬 generate_cached, counted work: passed")

test_unit_generate_cached_work()

# %% nbgrader={"grade": true, "grade_id": "test-generate_cached-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other blocks, among them 1 and odd ones, and longer texts.
### BEGIN HIDDEN TESTS
for block, sizes in [(1, [1] * 9), (5, [2, 1, 1, 1, 2, 1, 1, 1, 2]), (7, [2, 1, 1, 1, 1, 1, 3, 1, 1])]:
    deep = small_gpt(block, n_layer=3, seed=block)
    texts = [
        write(deep, [[7, 2]] * 3, 9, 1.5, generator=np.random.default_rng(block))
        for write in (generate, generate_cached)
    ]
    expect(texts[1], texts[0], f"9 tokens for three rows, block {block}")
    expect(deep.tokens.asked[9:], [(3, n) for n in sizes], f"work with block {block}")
wide = small_gpt(16, n_head=4, seed=5)
tokens = np.random.default_rng(5).integers(20, size=(1, 16))
kept = cache_for(wide, 1)
rows = [np.asarray(forward_cached(wide, tokens[:, i : i + 1], kept))[0, 0] for i in range(16)]
expect(np.array(rows), wide(tokens).numpy()[0], "16 places one by one", atol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Find the fault

A question goes into a cache once, and two answers are judged behind it. Run it: which line is wrong?
"""

# %%
judge = small_gpt(16)
cache = cache_for(judge, 1)
forward_cached(judge, [[3, 1, 4]], cache)
for answer in (7, 8):
    logits = forward_cached(judge, [[answer]], cache).numpy()
    error = np.abs(logits[0, 0] - judge([[3, 1, 4, answer]]).numpy()[0, 3]).max()
    print(f"answer {answer}: {cache.length} tokens in the cache, off by {error:.4f}")

# %% [markdown]
r"""
<details><summary>Answer</summary>

The call in the loop: reading changes the cache, so 8 is read behind 3 1 4 7. Every answer needs its own copy of the question's keys and values.

</details>

### Measure: tokens a second

A GPT of 4 layers × 128 and block 256 writes 128 tokens after a prompt of 128. **Predict**: how many times faster with the cache, for
one text and for eight? How does the time for a token grow with the length?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import time

import matplotlib.pyplot as plt

gpt = initialize(GPT(65, 256, 4, 4, 128), 4, np.random.default_rng(0)).eval()


def analyze_speed(new=128, prompt=128):
    """Tokens a second, generated from the whole window each time and from a cache."""
    for batch in (1, 8):
        ids = np.random.default_rng(batch).integers(65, size=(batch, prompt))
        seconds, texts = [], []
        for write in (generate, generate_cached):
            begin = time.perf_counter()
            texts.append(write(gpt, ids, new, generator=np.random.default_rng(0)))
            seconds.append(time.perf_counter() - begin)
        rates = [batch * new / one for one in seconds]
        same = "the same text" if np.array_equal(*texts) else "ANOTHER TEXT"
        print(f"📊 batch {batch}: {rates[0]:,.0f} tokens a second from the whole window, {rates[1]:,.0f} with "
              f"the cache, {rates[1] / rates[0]:.1f} times as many; {same}")


def analyze_length(lengths=(16, 64, 112, 160, 208, 255)):
    """Milliseconds for one more token of one text, over the tokens before it."""
    ids, rows = np.random.default_rng(0).integers(65, size=(1, 256)), []
    for n in lengths:
        cache = cache_for(gpt, 1)
        forward_cached(gpt, ids[:, :n], cache)

        def one_more(cache=cache, n=n):
            forward_cached(gpt, ids[:, n : n + 1], cache)
            cache.lengths = [n] * 4

        with no_grad():
            rows.append([1e3 * best_seconds(way, 3) for way in (lambda n=n: gpt(ids[:, : n + 1]), one_more)])
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for values, style, name in zip(np.transpose(rows), ("o-", "s--"), ("whole window", "cache"), strict=True):
        axes.plot(lengths, values, style, label=name)
    axes.set(xlabel="tokens before", ylabel="milliseconds", title="One more token", ylim=(0, None))
    figure.legend(ncols=2, loc="outside lower center")
    plt.show()
    (first, _), (last, kept) = rows[0], rows[-1]
    print(f"📊 from {lengths[0]} to {lengths[-1]} tokens: whole window {last / first:.1f} times as long, "
          f"cache {kept / rows[0][1]:.1f} times")

analyze_speed()
analyze_length()

# %% [markdown]
r"""
With the cache a token is a pass of one row: mostly calls of NumPy, which eight texts share. The *prefill*, the prompt's pass, gains
nothing.

Here you can stop.

## Part 2 of 2 · about 3 hours: shared prompts, and twice on purpose

### A prompt for all

Many requests begin alike:

    kept     "You are a poet. "      16 characters, a token each
    asked    "You are a poem."       13 shared, 2 computed

The memory is bounded, in tokens; the *least recently used* go first.

**Write two methods of `PrefixCache`**. `entries` maps tuples of ids to pairs (keys, values), the oldest use first.

- `find(ids)` returns `cache`, filled with the first tokens of `ids` (T ≥ 1), as many as any entry shares, at most T − 1: the last
  one's logits are wanted. The entry that served, of equals the oldest, counts as used now; where nothing is shared, none does.
- `keep(ids, cache)` stores copies of what `cache` holds of `ids` (provided: cut to that) as the entry used last, new or
  not. The oldest go until at most max_tokens are kept; a longer text is not kept and pushes nobody out.
"""

# %% nbgrader={"grade": false, "grade_id": "PrefixCache", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many first ids do two rows share? Compare them in pairs and stop at the first that differ; the longest one of all entries wins.", "An OrderedDict can move a key to its end, and give back the first or the last item.", "What is kept must not share memory with the cache that it came from, nor a cache that is handed out with what is kept: others will write into both."], "minutes": 60, "objective": "prefix"}
#| export
class PrefixCache:
    """Keys and values of texts that may be the beginning of others, at most `max_tokens` tokens of them.

    The least recently used texts go first. It serves one model, with the parameters that it has: after a
    training step, `entries.clear()`.
    """

    def __init__(self, model, max_tokens):
        self.model, self.max_tokens = model, max_tokens
        self.entries = OrderedDict()  # ids as a tuple: (keys, values), each (n_layer, 1, n_head, n, head_dim)

    tokens = property(lambda self: sum(map(len, self.entries)))
    nbytes = property(lambda self: sum(key.nbytes + value.nbytes for key, value in self.entries.values()))

    def find(self, ids):
        """A new KVCache with the longest known beginning of the row `ids`, but not with its last token."""
        ids, cache = tuple(map(int, ids)), cache_for(self.model, 1)
        ### BEGIN SOLUTION
        best, longest = None, 0
        for entry in self.entries:
            shared = 0
            while shared < min(len(entry), len(ids) - 1) and entry[shared] == ids[shared]:
                shared += 1
            if shared > longest:
                best, longest = entry, shared
        if best is not None:
            self.entries.move_to_end(best)
            for layer, (key, value) in enumerate(zip(*self.entries[best], strict=True)):
                cache.append(layer, key[:, :, :longest], value[:, :, :longest])
        return cache
        ### END SOLUTION

    def keep(self, ids, cache):
        """Store copies of what `cache`, of one text, holds of the row `ids`; the oldest go until it fits."""
        ids = tuple(map(int, ids))[: cache.length]
        ### BEGIN SOLUTION
        if len(ids) > self.max_tokens:
            return
        self.entries[ids] = tuple(part[:, :, :, : len(ids)].copy() for part in (cache.keys, cache.values))
        self.entries.move_to_end(ids)
        while self.tokens > self.max_tokens:
            self.entries.popitem(last=False)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-PrefixCache", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_PrefixCache():
    model = small_gpt(16)
    store, poet = PrefixCache(model, 40), [3, 1, 4, 1, 5, 9]
    expect(store.find(poet).length, 0, "an empty store shares nothing")
    cache = cache_for(model, 1)
    forward_cached(model, [poet], cache)
    store.keep(poet, cache)
    cache.keys[...] = cache.values[...] = 100.0  # whose it is may write into it
    expect([store.tokens, store.nbytes], [6, 2 * 2 * 6 * 16 * 4], "tokens and bytes of one text")
    cases = [([3, 1, 4, 1, 5, 9, 2], 6), ([3, 1, 4, 8], 3), (poet, 5), ([1, 1, 4, 1], 0), ([3], 0)]
    for ids, shared in cases:
        found = store.find(ids)
        expect(list(found.lengths), [shared] * 2, f"what {ids} shares with {poet}, but not its last token")
        model.tokens.asked.clear()
        got = generate_cached(model, [ids], 1, temperature=0, cache=found)
        expect(model.tokens.asked, [(1, len(ids) - shared)], f"tokens of {ids} that are computed")
        expect(got, generate(model, [ids], 1, temperature=0), f"and the next token of {ids}")
    whole = model([[3, 1, 4, 8]]).numpy()[:, 3:]
    expect(forward_cached(model, [[8]], store.find([3, 1, 4, 8])), whole, "logits behind 3 1 4", atol=1e-4)
    print("🔬 PrefixCache: passed")

test_unit_PrefixCache()

# %% nbgrader={"grade": true, "grade_id": "test-PrefixCache-bound", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_PrefixCache_bound():
    model = small_gpt(16)
    store, cache = PrefixCache(model, 10), cache_for(model, 1)
    forward_cached(model, [[9] * 12], cache)
    for ids in ([1] * 4, [2] * 3, [3] * 3):
        store.keep(ids, cache)
    expect(store.tokens, 10, "4 + 3 + 3 tokens fit into 10")
    expect(store.find([1, 5]).length, 1, "the first text is used again")
    store.keep([4] * 2, cache)
    expect(list(store.entries), [(3, 3, 3), (1, 1, 1, 1), (4, 4)], "2 more: 2 2 2 has waited longest")
    store.keep([3] * 3, cache)
    expect(store.tokens, 9, "a text that is there already is kept once")
    store.find([7, 7])
    store.keep([6] * 3, cache)
    expect(list(store.entries), [(4, 4), (3, 3, 3), (6, 6, 6)], "1 1 1 1 goes; 3 3 3 was kept again")
    store.keep([7] * 11, cache)
    expect(store.tokens, 8, "11 tokens are more than the bound: nothing changes")
    store.keep([8] * 10, cache)
    expect(list(store.entries), [(8,) * 10], "10 are not")
    store.keep([9] * 16, cache_for(model, 1))
    expect(store.tokens, 10, "an empty cache holds nothing of a text")
    print("🔬 PrefixCache, bound: passed")

test_unit_PrefixCache_bound()

# %% nbgrader={"grade": true, "grade_id": "test-PrefixCache-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: memory that nobody else writes into, a conversation, and other bounds.
### BEGIN HIDDEN TESTS
chat = small_gpt(16, seed=2)
memory, text = PrefixCache(chat, 30), [5, 2]
for turn, computed in enumerate([2, 2, 2]):
    chat.tokens.asked.clear()
    own = memory.find(text)
    said = np.asarray(generate_cached(chat, [text], 3, temperature=0, cache=own))[0].tolist()
    expect(sum(n for _, n in chat.tokens.asked), computed + 2, f"tokens computed in turn {turn}")
    memory.keep(said, own)
    own.keys[...] = own.values[...] = np.nan
    text = [*said, turn]
expect(memory.tokens, 4 + 8 + 12, "three turns without their last tokens")
expect(
    generate_cached(chat, [text], 1, 0, cache=memory.find(text)), generate(chat, [text], 1, 0), "all of it"
)
borrowed = memory.find(text)
borrowed.keys[...] = np.nan
expect(memory.find(text).length, 12, "12 tokens again")
expect(np.isfinite(np.asarray(memory.find(text).keys)).all(), True, "what was borrowed is written over")
tight = PrefixCache(chat, 0)
tight.keep(said, memory.find(text))
expect([tight.tokens, tight.find(said).length], [0, 0], "a bound of 0 keeps nothing")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: eight questions of 16 tokens follow the same 200 tokens. How many times sooner is the first token of an answer there, once the first question has paid?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_prefixes(shared=200, own=16, questions=8):
    """Milliseconds to the first token, without a store and with one."""
    draws = np.random.default_rng(0)
    prompt, store, times = draws.integers(65, size=shared).tolist(), PrefixCache(gpt, 1000), []
    for _ in range(questions):
        ids = prompt + draws.integers(65, size=own).tolist()
        begin = time.perf_counter()
        generate_cached(gpt, [ids], 1)
        middle = time.perf_counter()
        cache = store.find(ids)
        generate_cached(gpt, [ids], 1, cache=cache)
        times.append([middle - begin, time.perf_counter() - middle])
        store.keep(prompt, cache)
    without, with_store = np.array(times).T * 1e3
    slow, fast = (np.median(part[1:]) for part in (without, with_store))
    print(f"📊 behind the first question: {slow:.1f} ms without the store, {fast:.1f} ms with it: "
          f"{slow / fast:.1f} times sooner")
    computed, all_tokens = shared + questions * own, questions * (shared + own)
    print(f"📊 kept: {store.tokens} tokens, {store.nbytes / 1e6:.2f} MB; computed: {computed} of {all_tokens}")


analyze_prefixes()

# %% [markdown]
r"""
The time falls less: each call has its price, and what was found is copied.

### Computed again on purpose

Training keeps every operation's inputs until `backward`, many times the parameters' bytes. A *checkpoint* (Chen and others, 2016)
keeps what goes into a part of the network, and runs it a second time in `backward`:

    x ──[ block 1 ]── y ──[ block 2 ]── z       kept: x and y; backward runs block 2 again from y, then block 1 from x

The part becomes one operation with a rule. Traps:

- **Parameters are inputs.** An operation is recorded only if an input wants a gradient, and ids want none: parameters inside would never learn.
- **Gradients are handed back.** The second run adds to `.grad` of the parameters, and the engine adds what the rule returns: twice. The rule sets each `.grad` aside and puts it
  back, also after errors.
- **Dropout draws again.** The second run has to begin with the generator's state of the first.

**Write `checkpoint(function, *tensors, parameters=None)`**: it returns `recomputed(*tensors, *parameters, function=…, parameters=…, state=…)`, with parameters (a Module's own unless given; any iterable) as a
tuple, each once (by `id`: `==` of Tensors compares entries), and with `random_generator().bit_generator.state`, read before.

**And its rule**, which returns a gradient for each of `arrays`, the parameters' last. New leaves (`Tensor.wrap`) stand for the other arrays and want a gradient where `needs` (one bool for each of `arrays`) says so;
what is called inside `with again_from(state):` is recorded, from that state; after it comes `backward(grad)`, where the result wants a gradient. What function does not use gets zeros.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-recomputed", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
@contextlib.contextmanager
def again_from(state):
    """Inside, operations are recorded and random numbers come from `state` on; both are as before
    afterwards."""
    generator, recording = random_generator().bit_generator, Op.recording
    before, generator.state, Op.recording = generator.state, state, True
    try:
        yield
    finally:
        generator.state, Op.recording = before, recording


def name_in(function, tensor):
    """What `function` calls a Parameter, as far as that can be found out, and its shape."""
    known = {"self": getattr(function, "__self__", None)}
    with contextlib.suppress(TypeError):  # no function of Python's
        seen = inspect.getclosurevars(function)
        known |= seen.globals | seen.nonlocals
    for name, value in known.items():
        paths = value.named_parameters() if isinstance(value, Module) else ()
        for path, own in [("", value), *paths]:
            if own is tensor:
                return f"{name}.{path}".strip(".") + f" of shape {tensor.shape}"
    return f"one of shape {tensor.shape}"


@Op
def recomputed(*arrays, function, parameters, state):
    """function of the arrays in front of those of `parameters`; its rule runs it again, from `state`.

    Raises ValueError naming what function uses, wants a gradient, and is not among `parameters`.
    """
    out = function(*map(Tensor.wrap, arrays[: len(arrays) - len(parameters)]))
    if not isinstance(out, Tensor):
        raise TypeError(f"checkpoint: function returned a {type(out).__name__}, not a Tensor")
    given = {id(parameter) for parameter in parameters}
    leaves = [leaf for leaf in topological_order(out) if leaf.requires_grad and leaf.node is None]
    missing = [name_in(function, leaf) for leaf in leaves if id(leaf) not in given]
    if missing:
        names = ", ".join(missing)
        raise ValueError(f"checkpoint: function uses Parameters that were not given, {names}: parameters=[…]")
    return out.data

# %% nbgrader={"grade": false, "grade_id": "checkpoint", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The parameters of a module come as an iterator that can be read once, and two passes over them are needed.", "In the rule the parameters themselves are the leaves of the second run, so their gradients arrive in the slots that were just emptied.", "Whatever happens in the second run, an error included, the gradients that were set aside go back at the end."], "minutes": 75, "objective": "recompute"}
#| export
def checkpoint(function, *tensors, parameters=None):
    """function(*tensors), a Tensor; what it computes on the way is not kept, but computed again in
    `backward`.

    parameters: what else function uses and wants a gradient; for a Module its own, unless given. Gradients
    are those of the plain call. function runs twice, so it must do the same twice: what it does besides
    (counting, running statistics, drawing from a generator of its own) happens twice; parameters must not
    change between. Raises ValueError naming a Parameter that it uses and that was not given (Chen and others,
    2016).
    """
    ### BEGIN SOLUTION
    if parameters is None:
        parameters = function.parameters() if isinstance(function, Module) else ()
    parameters = tuple({id(parameter): parameter for parameter in parameters}.values())
    state = random_generator().bit_generator.state
    return recomputed(*tensors, *parameters, function=function, parameters=parameters, state=state)
    ### END SOLUTION


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    """Run function again, recorded and with the same random numbers, and go backward through it."""
    ### BEGIN SOLUTION
    leaves = [Tensor.wrap(array) for array in arrays[: len(arrays) - len(parameters)]]
    for leaf, wanted in zip(leaves, needs, strict=False):
        leaf.requires_grad = wanted
    aside = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        with again_from(state):
            again = function(*leaves)
        again.backward(grad)
        return [np.zeros_like(x.data) if x.grad is None else x.grad for x in (*leaves, *parameters)]
    finally:
        for parameter, kept in zip(parameters, aside, strict=True):
            parameter.grad = kept
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-checkpoint", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_checkpoint():
    calls, nodes = [], lambda out: [t.node for t in topological_order(out) if t.node is not None]

    def chain(a, b):
        calls.append(1)
        return (a * b).exp().sqrt() * a

    inputs, found = [Tensor(x, True, np.float64) for x in ([[0.5, -1.0], [2.0, 0.25]], [1.0, 3.0])], []
    for run in (chain, lambda a, b: checkpoint(chain, a, b)):
        before, out = len(calls), run(*inputs)
        kept, once = [a.shape for node in nodes(out) for a in node.arrays], len(calls) - before
        out.backward(np.ones((2, 2)))
        found.append([out.numpy(), *[x.grad for x in inputs]])
        for x in inputs:
            x.grad = None
    expect(found[1], found[0], "the value and both gradients, bit for bit")
    expect([once, len(calls) - before], [1, 2], "calls of the function before backward and after it")
    expect(kept, [(2, 2), (2,)], "the arrays that the graph holds: the two inputs")
    a, b = (Tensor([1.0, 2.0], True) for _ in range(2))
    checkpoint(lambda a, b: a * 3, a, b).sum().backward()
    expect((a.grad, b.grad), ([3, 3], [0, 0]), "an input that is not used gets zeros")
    frozen = checkpoint(lambda a, b: a * b, a.detach(), Tensor([5.0, 7.0]))
    expect((frozen.requires_grad, frozen.tolist()), (False, [5, 14]), "no input wants a gradient")
    print("🔬 checkpoint: passed")

test_unit_checkpoint()

# %% nbgrader={"grade": true, "grade_id": "test-checkpoint-parameters", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_checkpoint_parameters():
    manual_seed(0)
    layer, x = Sequential(Linear(4, 3), Dropout(0.5), Linear(3, 2)), Tensor([[1.0, -1, 2, 0], [3, 1, 0, -2]])
    ways = {"plain": layer, "a Module": lambda x: checkpoint(layer, x),
            "given": lambda x: checkpoint(lambda x: layer(x), x, parameters=layer.parameters()),
            "given twice": lambda x: checkpoint(layer.forward, x, parameters=2 * [*layer.parameters()])}
    found = {}
    for name, way in ways.items():
        for parameter in layer.parameters():
            parameter.grad = np.ones(parameter.shape, np.float32)
        manual_seed(5)
        out = way(x)
        before = random_generator().random()
        (out * out).sum().backward()
        numbers = [before, random_generator().random()]
        found[name] = [out.numpy(), *[p.grad for p in layer.parameters()], numbers]
        expect(found[name], found["plain"], f"{name}: value, gradients, the next random numbers", rtol=1e-6)
    print("🔬 checkpoint, parameters: passed")

test_unit_checkpoint_parameters()

# %% nbgrader={"grade": true, "grade_id": "test-checkpoint-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_checkpoint_errors():
    layer, x, runs = Linear(4, 3), Tensor([[1.0, -1, 2, 0], [3, 1, 0, -2]]), []
    for given in ([], [layer.bias]):
        expect_error(ValueError, [(3, 4)], checkpoint, layer, x, parameters=given)

    def once(x):
        runs.append(random_generator().random())
        if len(runs) > 1:
            raise OSError("the second run")
        return layer(x).sum()

    lost, layer.bias.grad = checkpoint(once, x, parameters=layer.parameters()), np.ones(3, np.float32)
    expect_error(OSError, "second run", lost.backward)
    expect(runs, [runs[0]] * 2, "the random numbers of both runs")
    expect(layer.bias.grad, [1, 1, 1], "the gradient that was there before an error")
    print("🔬 checkpoint, errors: passed")

test_unit_checkpoint_errors()

# %% nbgrader={"grade": true, "grade_id": "test-checkpoint-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: one inside another, a parameter used twice, a frozen one.
### BEGIN HIDDEN TESTS
weight = Parameter(np.array([[0.5, -0.25], [1.0, 2.0]], np.float32))
square = lambda x: (x @ weight * 0.1).exp() @ weight
start, grads = Tensor([[1.0, -2.0], [0.5, 3.0]]), []
for run in (square, lambda x: checkpoint(square, x, parameters=[weight])):
    weight.grad = None
    run(run(start)).sum().backward()
    grads.append(np.asarray(weight.grad))
expect(grads[1], grads[0], "used twice in each of two", atol=1e-6 * float(np.abs(grads[0]).max()))
weight.grad = None
inner = lambda x: checkpoint(square, x, parameters=[weight]) * 2
checkpoint(inner, start, parameters=[weight]).sum().backward()
nested = np.asarray(weight.grad)
weight.grad = None
(square(start) * 2).sum().backward()
expect(nested, np.asarray(weight.grad), "one inside another", atol=1e-5)
frozen = Parameter(np.ones(2, np.float32), requires_grad=False)
checkpoint(lambda x: square(x) * frozen, start, parameters=[frozen, weight]).sum().backward()
expect(frozen.grad, None, "a frozen parameter's gradient")
### END HIDDEN TESTS

# %% [markdown]
r"""
## All of it

A store of prompts, a cache of keys and values and checkpoints, on one GPT:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Checkpointed", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Checkpointed(Module):
    """A part of a network that is computed again in backward."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return checkpoint(self.part, x)

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model = small_gpt(12, n_layer=3, n_head=4, seed=7)
    store, prompt, texts = PrefixCache(model, 24), [2, 4, 6, 8, 10], []
    for end in (1, 3, 5):
        ids = [*prompt, end]
        cache = store.find(ids)
        model.tokens.asked.clear()
        texts.append(generate_cached(model, [ids], 9, generator=np.random.default_rng(end), cache=cache))
        expect(model.tokens.asked[0], (1, 6 if end == 1 else 1), f"the prompt is computed once; end {end}")
        store.keep(prompt, cache)
        whole = generate(model, [ids], 9, generator=np.random.default_rng(end))
        expect(texts[-1], whole, f"nine tokens over the end of the block, end {end}")
    expect(store.tokens, 5, "the prompt is kept once")

    ids, gradients = np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), []
    for _ in range(2):
        model.zero_grad()
        logits = model(ids)
        (logits * logits).mean().backward()
        gradients.append([p.grad for p in model.parameters()])
        model.blocks = Sequential(*map(Checkpointed, model.blocks))
    expect(gradients[1], gradients[0], "gradients of a GPT whose blocks are checkpoints, bit for bit")
    print("🧪 module 17, a store, a cache and checkpoints on one GPT: passed")

test_module()

# %% [markdown]
r"""
## Measure: memory against seconds

Training steps of the GPT of 4 layers × 128, 12 windows of 64 tokens, whose blocks are plain or checkpoints. **Predict**: how many megabytes are kept after the forward pass, when only the
input of each block, 12 · 64 · 128 numbers, is? And if backward costs twice the forward pass, how much longer does a step take?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
from tinytorch.core.transformers import next_token_loss


def analyze_checkpoints(batch=12, length=64, steps=5):
    """Megabytes kept and at most, and seconds of a step, with blocks that are plain or checkpoints."""
    ids, rows = np.random.default_rng(0).integers(65, size=(2, batch, length)), {}
    for name in ("plain", "checkpoints"):
        model = initialize(GPT(65, length, 4, 4, 128), 4, np.random.default_rng(0))
        if name == "checkpoints":
            model.blocks = Sequential(*map(Checkpointed, model.blocks))
        tracemalloc.start()
        loss = next_token_loss(model(ids[0]), ids[1])
        kept, _ = tracemalloc.get_traced_memory()
        loss.backward()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        step = lambda model=model: next_token_loss(model(ids[0]), ids[1]).backward()
        rows[name] = kept / 1e6, peak / 1e6, best_seconds(step, steps) * 1e3
        print("📊 {}: {:.1f} MB kept, at most {:.1f} MB, {:.0f} ms a step".format(name, *rows[name]))
    inputs = 4 * batch * length * 128 * 4 / 1e6
    ratios = np.divide(rows["checkpoints"], rows["plain"])
    print(f"📊 inputs of the four blocks: {inputs:.1f} MB; checkpoints keep {ratios[0]:.2f} of the memory, "
          f"have at most {ratios[1]:.2f} of it, and take {ratios[2]:.2f} times as long")


analyze_checkpoints()

# %% [markdown]
r"""
What is kept beyond the blocks' inputs are the logits and the loss, which no checkpoint covers. The largest memory falls less than what is kept: at the end of `backward` the
gradients are there, and one block's activations at a time. Forward 1, backward 2 would make 4 passes of 3; your ratio says how near that is. With n equal layers, √n checkpoints of √n layers keep about 2√n instead of n.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-trades", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) How many bytes a token did your cache take, and how many tokens of it weigh as much as the model's own weights? What would a model of 32 layers × 4,096 in float16 take for one text of 32,000 tokens, and with a
quarter of the heads kept? (b) Which two ratios of tokens a second did your run print? Why is the one for eight texts larger? (c) Which share of the memory did your checkpoints keep, and how much longer did a step take? When is
that a good trade, and when is a smaller batch a better one?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-trades", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 2 · 4 · 128 · 4 = 4,096 bytes a token; the weights (about 3.3 MB with block 256) weigh as much as some 800 tokens, three full windows. 2 · 32 · 4,096 · 2 = 524,288 bytes a token, 16.8 GB for 32,000; a quarter of the heads:
4.2 GB, 1 point. (b) The printed ratios (about 10 and 35 on a quiet machine). With the cache one text is bound by calls, whose number does not depend on the batch, so that eight texts cost little more; the whole window is bound by arithmetic, which grows eightfold, 1 point.
(c) The printed share and ratio (about 0.1 and 1.3). Good where the model or one long text would not fit otherwise, or where a larger batch is worth more than the time; where a smaller batch with accumulated gradients gives the same
result, it costs less than the second forward pass, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

You have traded memory for time and time for memory. Module 18 makes the same result faster without keeping anything: by doing things in another order. Next:
`tito module complete 17_memoization`.
"""
