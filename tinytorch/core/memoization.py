"""Memoization: A cache of keys and values, shared prompts computed once, and activations computed again to save memory.

Exported from module 17_memoization by tito export. Edit the notebook of that module, not this file.
"""

import contextlib
import inspect
from collections import OrderedDict

import numpy as np

from .activations import gelu
from .attention import attention_and_weights, causal_mask, merge_heads, split_heads
from .autograd import no_grad, topological_order
from .layers import Module, linear
from .tensor import Op, Tensor, random_generator
from .transformers import sample

__all__ = [
    "KVCache", "cached_attention", "cache_sizes", "cache_for", "check_cache", "forward_cached", "generate_cached",
    "PrefixCache", "again_from", "name_in", "recomputed", "checkpoint", "recomputed_gradient",
]


class KVCache:
    """Keys and values of the tokens read so far, for every layer, in memory that is allocated once.

    keys, values: arrays (n_layer, batch, n_head, max_len, head_dim), filled up to `lengths`, one number a
    layer.
    """

    def __init__(self, n_layer, batch, n_head, max_len, head_dim, dtype=np.float32):
        self.keys = np.zeros((n_layer, batch, n_head, max_len, head_dim), dtype)
        self.values = np.zeros_like(self.keys)
        self.lengths = [0] * n_layer

    length = property(lambda self: min(self.lengths))  # the tokens that all layers hold
    nbytes = property(lambda self: self.keys.nbytes + self.values.nbytes)

    def append(self, layer, key, value):
        """Put key and value (batch, n_head, n, head_dim) behind those of `layer`; views of all that it holds.

        Raises ValueError, and stores nothing, for other shapes and where n places are not free.
        """
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


@no_grad()
def cached_attention(attention, x, cache, layer):
    """What a causal MultiheadAttention gives for new tokens x (B, n, E), behind those that the cache holds.

    Their keys and values are put into `cache` under `layer`. Returns a Tensor (B, n, E) without a history.
    Raises what KVCache.append raises.
    """
    query, key, value = (split_heads(part, attention.num_heads) for part in attention.project(x, x, x))
    keys, values = cache.append(layer, key.numpy(), value.numpy())
    n, m = query.shape[-2], keys.shape[-2]
    mask = causal_mask(n, m) if n > 1 else None
    heads, _ = attention_and_weights(query, Tensor.wrap(keys), Tensor.wrap(values), mask)
    return attention.out_proj(merge_heads(heads))


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


@no_grad()
def forward_cached(model, ids, cache):
    """Logits (B, n, V) of a GPT for ids (B, n) that follow those in `cache`, which takes them in; no dropout.

    Raises ValueError for a cache of another model, and where the text would outgrow the block or the cache.
    """
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    x = model.positions(model.tokens(ids), start=cache.length)
    for layer, block in enumerate(model.blocks):
        x = x + cached_attention(block.attention, block.norm1(x), cache, layer)
        x = x + block.down(gelu(block.up(block.norm2(x)), approximate=block.approximate))
    return linear(model.norm(x), model.tokens.weight)


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

    def keep(self, ids, cache):
        """Store copies of what `cache`, of one text, holds of the row `ids`; the oldest go until it fits."""
        ids = tuple(map(int, ids))[: cache.length]
        if len(ids) > self.max_tokens:
            return
        self.entries[ids] = tuple(part[:, :, :, : len(ids)].copy() for part in (cache.keys, cache.values))
        self.entries.move_to_end(ids)
        while self.tokens > self.max_tokens:
            self.entries.popitem(last=False)


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


def checkpoint(function, *tensors, parameters=None):
    """function(*tensors), a Tensor; what it computes on the way is not kept, but computed again in
    `backward`.

    parameters: what else function uses and wants a gradient; for a Module its own, unless given. Gradients
    are those of the plain call. function runs twice, so it must do the same twice: what it does besides
    (counting, running statistics, drawing from a generator of its own) happens twice; parameters must not
    change between. Raises ValueError naming a Parameter that it uses and that was not given (Chen and others,
    2016).
    """
    if parameters is None:
        parameters = function.parameters() if isinstance(function, Module) else ()
    parameters = tuple({id(parameter): parameter for parameter in parameters}.values())
    state = random_generator().bit_generator.state
    return recomputed(*tensors, *parameters, function=function, parameters=parameters, state=state)


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    """Run function again, recorded and with the same random numbers, and go backward through it."""
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
