# %% KVCache: both in one array
class KVCache:
    def __init__(self, n_layer, batch, n_head, max_len, head_dim, dtype=np.float32):
        self.both = np.zeros((2, n_layer, batch, n_head, max_len, head_dim), dtype=dtype)
        self.keys, self.values = self.both
        self.lengths = [0 for _ in range(n_layer)]

    length = property(lambda self: min(self.lengths))
    nbytes = property(lambda self: self.keys.nbytes + self.values.nbytes)

    def append(self, layer, key, value):
        want = list(self.keys.shape[1:])
        want[2] = key.shape[-2]
        wrong = [x.shape for x in (key, value) if list(x.shape) != want]
        if wrong:
            raise ValueError(f"this cache does not take {wrong[0]}")
        start = self.lengths[layer]
        end = start + want[2]
        if end > want[2] + self.keys.shape[3] - want[2]:
            raise ValueError(f"{want[2]} new tokens after {start} are more than max_len = {self.keys.shape[3]}")
        filled = self.both[:, layer, :, :, :end]
        filled[0, :, :, start:] = key
        filled[1, :, :, start:] = value
        self.lengths[layer] = end
        return filled[0], filled[1]

# %% KVCache: places counted in an array that is a list again
class KVCache:
    def __init__(self, n_layer, batch, n_head, max_len, head_dim, dtype=np.float32):
        sizes = n_layer, batch, n_head, max_len, head_dim
        self.keys, self.values = np.zeros(sizes, dtype), np.zeros(sizes, dtype)
        self.lengths = np.zeros(n_layer, int).tolist()

    length = property(lambda self: min(self.lengths))
    nbytes = property(lambda self: self.keys.nbytes + self.values.nbytes)

    def append(self, layer, key, value):
        for memory, new in ((self.keys, key), (self.values, value)):
            batch, heads, places, width = memory.shape[1:]
            if new.ndim != 4 or new.shape[:2] + new.shape[3:] != (batch, heads, width):
                raise ValueError(f"an array of {new.shape} for texts {batch}, heads {heads}, width {width}")
        if key.shape != value.shape:
            raise ValueError(f"{key.shape} and {value.shape} differ")
        old, new = self.lengths[layer], self.lengths[layer] + key.shape[2]
        if new > places:
            raise ValueError(f"no room: max_len {places}, {old} there, {key.shape[2]} to come")
        views = []
        for memory, piece in ((self.keys, key), (self.values, value)):
            np.copyto(memory[layer][:, :, old:new], piece, casting="same_kind")
            views.append(memory[layer][:, :, :new])
        self.lengths[layer] += key.shape[2]
        return tuple(views)

# %% KVCache: token by token
class KVCache:
    def __init__(self, n_layer, batch, n_head, max_len, head_dim, dtype=np.float32):
        self.keys = np.full((n_layer, batch, n_head, max_len, head_dim), 0, dtype)
        self.values = self.keys.copy()
        self.lengths = list(range(n_layer))
        self.lengths[:] = [0] * n_layer

    length = property(lambda self: min(self.lengths))
    nbytes = property(lambda self: self.keys.nbytes + self.values.nbytes)

    def append(self, layer, key, value):
        layer_keys, layer_values = self.keys[layer], self.values[layer]
        for given in (key, value):
            if given.shape != layer_keys[:, :, : key.shape[-2]].shape and key.shape[-2] <= layer_keys.shape[2]:
                raise ValueError(f"wrong shape {given.shape}")
        held = self.lengths[layer]
        if held + key.shape[2] > layer_keys.shape[2]:
            raise ValueError(f"full: {layer_keys.shape[2]}, {held}, {key.shape[2]}")
        for i in range(key.shape[2]):
            layer_keys[:, :, held + i] = key[:, :, i]
            layer_values[:, :, held + i] = value[:, :, i]
        self.lengths[layer] = held + key.shape[2]
        return layer_keys[:, :, : self.lengths[layer]], layer_values[:, :, : self.lengths[layer]]

# %% cached_attention: always with a mask
@no_grad()
def cached_attention(attention, x, cache, layer):
    query, key, value = attention.project(x, x, x)
    heads = attention.num_heads
    keys, values = cache.append(layer, split_heads(key, heads).numpy(), split_heads(value, heads).numpy())
    mask = causal_mask(x.shape[1], keys.shape[2])
    out = attention_and_weights(split_heads(query, heads), Tensor.wrap(keys), Tensor.wrap(values), attn_mask=mask)
    return attention.out_proj(merge_heads(out[0]))

# %% cached_attention: by products and softmax of arrays
@no_grad()
def cached_attention(attention, x, cache, layer):
    parts = [split_heads(part, attention.num_heads).numpy() for part in attention.project(x, x, x)]
    keys, values = cache.append(layer, parts[1], parts[2])
    scores = parts[0] @ keys.swapaxes(-1, -2) / np.sqrt(parts[0].shape[-1]).astype(keys.dtype)
    scores = np.where(causal_mask(*scores.shape[-2:]), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return attention.out_proj(merge_heads(Tensor.wrap((shares @ values).astype(x.dtype))))

# %% cached_attention: with the function of module 12 and copies as Tensors
@no_grad()
def cached_attention(attention, x, cache, layer):
    from tinytorch.core.attention import scaled_dot_product_attention

    query, key, value = [split_heads(p, attention.num_heads) for p in attention.project(x, x, x)]
    keys, values = [Tensor(a, dtype=x.dtype) for a in cache.append(layer, key.data, value.data)]
    n = query.shape[2]
    out = scaled_dot_product_attention(query, keys, values, causal_mask(n, keys.shape[2]))
    return attention.out_proj(merge_heads(out))

# %% generate_cached: one variable for what is not read yet
@no_grad()
def forward_cached(model, ids, cache):
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    before = cache.length
    stream = model.positions(model.tokens(ids), before)
    number = 0
    for block in model.blocks:
        stream = stream + cached_attention(block.attention, block.norm1(stream), cache, number)
        hidden = gelu(block.up(block.norm2(stream)), approximate=block.approximate)
        stream = stream + block.down(hidden)
        number += 1
    return model.norm(stream) @ model.tokens.weight.T


def generate_cached(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None, cache=None
):
    ids = np.asarray(ids)
    cache = cache_for(model, len(ids)) if cache is None else cache
    if cache.length >= ids.shape[1]:
        raise ValueError(f"a cache of {cache.length} tokens leaves nothing to read of {ids.shape[1]}")
    window, unread = ids, ids[:, cache.length :]
    done = np.zeros(len(ids), dtype=bool)
    for _ in range(max_new_tokens):
        if window.shape[1] > model.block_size:
            window = unread = ids[:, -max(1, model.block_size // 2) :]
            cache = cache_for(model, len(ids))
        token = sample(forward_cached(model, unread, cache)[:, -1], temperature, top_k, top_p, generator)
        token = np.where(done, stop, token) if stop is not None else token
        done = done | (token == stop) if stop is not None else done
        unread = token[:, None]
        ids, window = np.hstack([ids, unread]), np.hstack([window, unread])
        if done.all():
            return ids
    return ids

# %% generate_cached: a text of full length, filled from the left
@no_grad()
def forward_cached(model, ids, cache):
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    x = model.tokens(ids)
    x = model.positions(x, start=cache.lengths[0])
    for layer in range(len(model.blocks)):
        block = model.blocks[layer]
        x += cached_attention(block.attention, block.norm1(x), cache, layer)
        x += block.down(gelu(block.up(block.norm2(x)), approximate=block.approximate))
    return linear(model.norm(x), model.tokens.weight, None)


def generate_cached(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None, cache=None
):
    ids = np.asarray(ids)
    cache = cache_for(model, len(ids)) if cache is None else cache
    if cache.length >= ids.shape[1]:
        raise ValueError(f"a cache of {cache.length} tokens leaves nothing to read of {ids.shape[1]}")
    length, start = ids.shape[1], 0
    text = np.zeros((len(ids), length + max_new_tokens), int)
    text[:, :length] = ids
    alive = np.ones(len(ids), bool)
    while length < text.shape[1]:
        if length - start > model.block_size:
            start = length - (model.block_size // 2 or 1)
            cache = cache_for(model, len(ids))
        logits = forward_cached(model, text[:, start + cache.length : length], cache).numpy()
        drawn = sample(logits[:, -1], temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
        text[:, length] = drawn if stop is None else np.where(alive, drawn, stop)
        length += 1
        if stop is not None:
            alive &= text[:, length - 1] != stop
            if not alive.any():
                break
    return text[:, :length]

# %% generate_cached: dropout in evaluation mode, restored behind it
@no_grad()
def forward_cached(model, ids, cache):
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    mode = model.training
    model.eval()
    try:
        x = model.dropout(model.positions(model.tokens(ids), start=min(cache.lengths)))
        for layer, block in enumerate(list(model.blocks)):
            x = x + block.dropout(cached_attention(block.attention, block.norm1(x), cache, layer))
            hidden = gelu(block.up(block.norm2(x)), approximate=block.approximate)
            x = block.dropout(block.down(hidden)) + x
        return linear(model.norm(x), model.tokens.weight)
    finally:
        model.train(mode)


def generate_cached(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None, cache=None
):
    ids = np.asarray(ids)
    cache = cache_for(model, len(ids)) if cache is None else cache
    if cache.length >= ids.shape[1]:
        raise ValueError(f"a cache of {cache.length} tokens leaves nothing to read of {ids.shape[1]}")
    if max_new_tokens == 0:
        return ids
    half, ended = max(model.block_size // 2, 1), [False] * len(ids)
    rest = ids[:, cache.length :]
    held = ids.shape[1]
    for step in range(max_new_tokens):
        if held > model.block_size:
            rest, cache, held = ids[:, -half:], cache_for(model, len(ids)), half
        new = sample(forward_cached(model, rest, cache)[:, -1], temperature, top_k, top_p, generator)
        for row in range(len(new)):
            if ended[row]:
                new[row] = stop
            ended[row] = ended[row] or (stop is not None and new[row] == stop)
        rest = new.reshape(-1, 1)
        ids = np.concatenate((ids, rest), axis=1)
        held += 1
        if all(ended):
            break
    return ids

# %% PrefixCache: compares arrays
class PrefixCache:
    def __init__(self, model, max_tokens):
        self.model, self.max_tokens = model, max_tokens
        self.entries = OrderedDict()

    tokens = property(lambda self: sum(map(len, self.entries)))
    nbytes = property(lambda self: sum(key.nbytes + value.nbytes for key, value in self.entries.values()))

    def find(self, ids):
        ids, cache = tuple(map(int, ids)), cache_for(self.model, 1)

        def shared(entry):
            n = min(len(entry), len(ids) - 1)
            same = np.array(entry[:n]) == np.array(ids[:n])
            return int(np.cumprod(same).sum())

        best = max(self.entries, key=shared, default=None)
        if best is None or shared(best) == 0:
            return cache
        n = shared(best)
        keys, values = self.entries.pop(best)
        self.entries[best] = keys, values
        cache.keys[:, :, :, :n], cache.values[:, :, :, :n] = keys[:, :, :, :n], values[:, :, :, :n]
        cache.lengths = [n] * len(cache.lengths)
        return cache

    def keep(self, ids, cache):
        ids = tuple(map(int, ids))[: cache.length]
        if len(ids) <= self.max_tokens:
            self.entries.pop(ids, None)
            while self.entries and self.tokens + len(ids) > self.max_tokens:
                del self.entries[next(iter(self.entries))]
            n = len(ids)
            self.entries[ids] = cache.keys[:, :, :, :n].copy(), cache.values[:, :, :, :n].copy()

# %% PrefixCache: tries the longest beginning first
class PrefixCache:
    def __init__(self, model, max_tokens):
        self.model, self.max_tokens = model, max_tokens
        self.entries = OrderedDict()

    tokens = property(lambda self: sum(map(len, self.entries)))
    nbytes = property(lambda self: sum(key.nbytes + value.nbytes for key, value in self.entries.values()))

    def find(self, ids):
        ids, cache = tuple(map(int, ids)), cache_for(self.model, 1)
        for n in range(len(ids) - 1, 0, -1):
            for entry in reversed(self.entries):
                if entry[:n] == ids[:n]:
                    for layer in range(len(cache.lengths)):
                        cache.append(layer, *(part[layer, :, :, :n] for part in self.entries[entry]))
                    self.entries.move_to_end(entry, last=True)
                    return cache
        return cache

    def keep(self, ids, cache):
        ids = tuple(map(int, ids))[: cache.length]
        n = len(ids)
        if n > self.max_tokens:
            return None
        if ids in self.entries:
            self.entries.move_to_end(ids)
            return None
        self.entries[ids] = tuple(np.array(x[..., :n, :]) for x in (cache.keys, cache.values))
        excess = self.tokens - self.max_tokens
        while excess > 0:
            gone, _ = self.entries.popitem(last=False)
            excess -= len(gone)

# %% PrefixCache: one array for keys and values of each layer
class PrefixCache:
    def __init__(self, model, max_tokens):
        self.model, self.max_tokens = model, max_tokens
        self.entries = OrderedDict()

    tokens = property(lambda self: sum(map(len, self.entries)))
    nbytes = property(lambda self: sum(key.nbytes + value.nbytes for key, value in self.entries.values()))

    def find(self, ids):
        ids, cache = tuple(map(int, ids)), cache_for(self.model, 1)
        lengths = {}
        for entry in self.entries:
            lengths[entry] = 0
            for a, b in zip(entry, ids[:-1], strict=False):
                if a != b:
                    break
                lengths[entry] += 1
        if lengths and max(lengths.values()) > 0:
            n = max(lengths.values())
            entry = [entry for entry in lengths if lengths[entry] == n][-1]
            keys, values = self.entries[entry]
            for layer in range(len(keys)):
                cache.append(layer, keys[layer, ..., :n, :], values[layer, ..., :n, :])
            self.entries.move_to_end(entry)
        return cache

    def keep(self, ids, cache):
        ids = tuple(map(int, ids))[: cache.length]
        if len(ids) <= self.max_tokens:
            both = np.stack([cache.keys, cache.values])[:, :, :, :, : len(ids)].copy()
            self.entries[ids] = both[0], both[1]
            self.entries.move_to_end(ids)
        while sum(len(entry) for entry in self.entries) > self.max_tokens:
            self.entries.popitem(False)

# %% checkpoint: two lists, and the gradients in a dictionary
def checkpoint(function, *tensors, parameters=None):
    if parameters is None and isinstance(function, Module):
        parameters = function.parameters()
    once = []
    for parameter in parameters or ():
        if not any(parameter is other for other in once):
            once.append(parameter)
    settings = {"function": function, "parameters": tuple(once), "state": random_generator().bit_generator.state}
    return recomputed(*tensors, *once, **settings)


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    count = len(arrays) - len(parameters)
    inputs = []
    for array, wanted in zip(arrays[:count], needs[:count], strict=True):
        leaf = Tensor.wrap(array)
        inputs.append(leaf.requires_grad_() if wanted else leaf)
    before = {id(parameter): parameter.grad for parameter in parameters}
    try:
        for parameter in parameters:
            parameter.grad = None
        with again_from(state):
            result = function(*inputs)
            result.backward(grad)
        found = [leaf.grad for leaf in inputs + list(parameters)]
    finally:
        for parameter in parameters:
            parameter.grad = before[id(parameter)]
    return tuple(np.zeros(array.shape, array.dtype) if g is None else g for g, array in zip(found, arrays, strict=True))

# %% checkpoint: a helper that borrows the gradients
def checkpoint(function, *tensors, parameters=None):
    if parameters is None:
        parameters = list(function.parameters()) if isinstance(function, Module) else []
    unique = {id(p): p for p in parameters}
    parameters = tuple(unique[key] for key in unique)
    generator = random_generator()
    return recomputed(
        *tensors, *parameters, function=function, parameters=parameters, state=generator.bit_generator.state
    )


@contextlib.contextmanager
def without_gradients(parameters):
    kept = [(parameter, parameter.grad) for parameter in parameters]
    for parameter, _ in kept:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, grad in kept:
            parameter.grad = grad


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    tensors = [Tensor.wrap(array) for array in arrays[: len(arrays) - len(parameters)]]
    for i, tensor in enumerate(tensors):
        tensor.requires_grad = needs[i]
    with without_gradients(parameters):
        with again_from(state):
            again = function(*tensors)
        again.backward(grad)
        leaves = tensors + list(parameters)
        return [leaf.grad if leaf.grad is not None else leaf.data * 0 for leaf in leaves]

# %% checkpoint: differences of what was there before and after
def checkpoint(function, *tensors, parameters=None):
    given = parameters
    if given is None:
        given = getattr(function, "parameters", lambda: ())() if isinstance(function, Module) else ()
    chosen = tuple(dict.fromkeys(given))
    start = random_generator().bit_generator.state
    return recomputed(*tensors, *chosen, state=start, parameters=chosen, function=function)


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    own = len(parameters)
    leaves = [Tensor.wrap(a) for a in (arrays[:-own] if own else arrays)]
    for leaf, need in zip(leaves, needs, strict=False):
        leaf.requires_grad = bool(need)
    aside, gradients = [], []
    for parameter in parameters:
        aside.append(parameter.grad)
        parameter.grad = None
    try:
        with again_from(state):
            function(*leaves).backward(grad)
    finally:
        for parameter, kept in zip(parameters, aside, strict=True):
            gradients.append(parameter.grad)
            parameter.grad = kept
    gradients = [leaf.grad for leaf in leaves] + gradients
    return [np.zeros_like(a) if g is None else g for g, a in zip(gradients, arrays, strict=True)]
