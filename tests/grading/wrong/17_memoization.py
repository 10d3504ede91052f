# %% KVCache: grows by concatenation, so that everything is copied
- self.keys[layer, :, :, held : held + n] = key
- self.values[layer, :, :, held : held + n] = value
- self.lengths[layer] = held + n
- return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]
+ old = self.keys[layer, :, :, :held], self.values[layer, :, :, :held]
+ self.keys[layer, :, :, held : held + n] = key
+ self.values[layer, :, :, held : held + n] = value
+ self.lengths[layer] = held + n
+ return np.concatenate([old[0], key], axis=2), np.concatenate([old[1], value], axis=2)

# %% KVCache: never stores
- self.keys[layer, :, :, held : held + n] = key
- self.values[layer, :, :, held : held + n] = value
- self.lengths[layer] = held + n
- return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]
+ return key, value

# %% KVCache: stores twice
- self.lengths[layer] = held + n
- return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]
+ end = min(held + 2 * n, max_len)
+ self.keys[layer, :, :, held + n : end] = key[:, :, : max(end - held - n, 0)]
+ self.values[layer, :, :, held + n : end] = value[:, :, : max(end - held - n, 0)]
+ self.lengths[layer] = end
+ return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

# %% KVCache: writes at the start each time
- self.keys[layer, :, :, held : held + n] = key
- self.values[layer, :, :, held : held + n] = value
+ self.keys[layer, :, :, :n] = key
+ self.values[layer, :, :, :n] = value

# %% KVCache: one length for all layers
- self.lengths[layer] = held + n
+ self.lengths = [held + n] * len(self.lengths)

# %% KVCache: returns all places, free ones too
- return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]
+ return self.keys[layer], self.values[layer]

# %% KVCache: values in the memory of the keys
- self.values = np.zeros_like(self.keys)
+ self.values = self.keys

# %% KVCache: a full cache forgets the oldest instead of refusing
- raise ValueError(f"KVCache: full; of {max_len} places {held} are taken, and {n} more do not fit")
+ self.keys[layer] = np.roll(self.keys[layer], max_len - held - n, axis=2)
+ self.values[layer] = np.roll(self.values[layer], max_len - held - n, axis=2)
+ held = max_len - n

# %% KVCache: broadcasts what does not fit
- if array.shape != (batch, n_head, n, head_dim):
+ if array.ndim != 4:

# %% KVCache: stores before it finds out that it is full
- if held + n > max_len:
-     raise ValueError(f"KVCache: full; of {max_len} places {held} are taken, and {n} more do not fit")
- self.keys[layer, :, :, held : held + n] = key
+ self.keys[layer, :, :, held : held + n] = key[:, :, : max_len - held] * 2
+ if held + n > max_len:
+     raise ValueError(f"KVCache: full; of {max_len} places {held} are taken, and {n} more do not fit")
+ self.keys[layer, :, :, held : held + n] = key

# %% cached_attention: attends to the new tokens only
- heads, _ = attention_and_weights(query, Tensor.wrap(keys), Tensor.wrap(values), mask)
+ heads, _ = attention_and_weights(query, key, value, causal_mask(n, n))

# %% cached_attention: new tokens see each other's future
- mask = causal_mask(n, m) if n > 1 else None
+ mask = None

# %% cached_attention: the mask of PyTorch's is_causal, aligned at the first key
- mask = causal_mask(n, m) if n > 1 else None
+ mask = np.tri(n, m, dtype=bool) if n > 1 else None

# %% cached_attention: True leaves out
- mask = causal_mask(n, m) if n > 1 else None
+ mask = ~causal_mask(n, m) if n > 1 else None

# %% cached_attention: always layer 0
- keys, values = cache.append(layer, key.numpy(), value.numpy())
+ keys, values = cache.append(0, key.numpy(), value.numpy())

# %% cached_attention: keeps everything twice
- keys, values = cache.append(layer, key.numpy(), value.numpy())
+ keys, values = cache.append(layer, key.numpy(), value.numpy())
+ if keys.shape[2] + key.shape[2] <= cache.keys.shape[3]:
+     cache.append(layer, key.numpy(), value.numpy())

# %% cached_attention: without the last map
- return attention.out_proj(merge_heads(heads))
+ return merge_heads(heads)

# %% cached_attention: nothing but zeros
- return attention.out_proj(merge_heads(heads))
+ return x * 0.0

# %% cached_attention: keys and values exchanged
- keys, values = cache.append(layer, key.numpy(), value.numpy())
+ values, keys = cache.append(layer, key.numpy(), value.numpy())

# %% generate_cached: positions of a cache that the first layer has filled already
- x = model.positions(model.tokens(ids), start=cache.length)
- for layer, block in enumerate(model.blocks):
-     x = x + cached_attention(block.attention, block.norm1(x), cache, layer)
+ x = model.positions(model.tokens(ids), start=max(cache.lengths) and max(cache.lengths) - 1)
+ for layer, block in enumerate(model.blocks):
+     x = x + cached_attention(block.attention, block.norm1(x), cache, layer)

# %% generate_cached: no cache at all, the whole window each time
- logits = forward_cached(model, ids[:, start + cache.length :], cache)[:, -1]
+ with no_grad():
+     logits = forward_cached(model, ids[:, start:], cache_for(model, len(ids)))[:, -1]

# %% generate_cached: calls generate
def forward_cached(model, ids, cache):
    ids = np.asarray(ids)
    check_cache(model, len(ids), cache)
    return model(ids)


def generate_cached(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None, cache=None
):
    from tinytorch.core.transformers import generate

    return generate(model, ids, max_new_tokens, temperature, top_k, top_p, generator, stop)

# %% generate_cached: logits of zeros
- return linear(model.norm(x), model.tokens.weight)
+ return linear(model.norm(x), model.tokens.weight) * 0.0

# %% generate_cached: dropout in training
- x = x + cached_attention(block.attention, block.norm1(x), cache, layer)
+ x = x + block.dropout(cached_attention(block.attention, block.norm1(x), cache, layer))

# %% generate_cached: the window moves by one
- if ids.shape[1] - start > model.block_size:
-     start = ids.shape[1] - max(model.block_size // 2, 1)
+ if ids.shape[1] - start > model.block_size:
+     start = ids.shape[1] - model.block_size

# %% generate_cached: the old cache serves the new window
-     start = ids.shape[1] - max(model.block_size // 2, 1)
-     cache = cache_for(model, len(ids))
+     start = ids.shape[1] - max(model.block_size // 2, 1)
+     cache.lengths = [0] * len(cache.lengths)
+     cache = cache_for(model, len(ids)) if model.block_size < 2 else cache
+     cache.lengths = [min(1, model.block_size // 2)] * len(cache.lengths)

# %% generate_cached: one more pass at the end
-     if ended.all():
-         break
- return ids
+     if ended.all():
+         break
+ if cache.length < model.block_size and max_new_tokens:
+     forward_cached(model, ids[:, -1:], cache)
+ return ids

# %% generate_cached: rows do not stay ended
- new[ended] = stop
- ended |= new == stop
+ ended |= new == stop

# %% generate_cached: without the feed-forward network
- x = x + block.down(gelu(block.up(block.norm2(x)), approximate=block.approximate))

# %% PrefixCache: shares nothing
- if shared > longest:
+ if shared > len(ids):

# %% PrefixCache: whole entries only
- if shared > longest:
+ if shared > longest and shared == len(entry):

# %% PrefixCache: counts equal tokens behind a difference
- shared = 0
- while shared < min(len(entry), len(ids) - 1) and entry[shared] == ids[shared]:
-     shared += 1
+ shared = sum(a == b for a, b in zip(entry, ids[:-1], strict=False))

# %% PrefixCache: the first in, the first out
- self.entries.move_to_end(best)

# %% PrefixCache: without a bound
- while self.tokens > self.max_tokens:
-     self.entries.popitem(last=False)

# %% PrefixCache: a text that is too long empties the store
- if len(ids) > self.max_tokens:
-     return

# %% PrefixCache: counts texts, not tokens
- while self.tokens > self.max_tokens:
+ while len(self.entries) > self.max_tokens:

# %% checkpoint: a plain call
def checkpoint(function, *tensors, parameters=None):
    return function(*tensors)


@recomputed.gradient
def recomputed_gradient(grad, out, *arrays, function, parameters, state, needs):
    return [np.zeros_like(array) for array in arrays]

# %% checkpoint: gradients of zeros
- return [np.zeros_like(x.data) if x.grad is None else x.grad for x in (*leaves, *parameters)]
+ return [np.zeros_like(x.data) for x in (*leaves, *parameters)]

# %% checkpoint: parameters are no inputs
- return recomputed(*tensors, *parameters, function=function, parameters=parameters, state=state)
+ every = tuple(parameters)
+ return recomputed(*tensors, *[p.detach() for p in every], function=function, parameters=every, state=state)

# %% checkpoint: gradients of parameters are added twice
- aside = [parameter.grad for parameter in parameters]
- for parameter in parameters:
-     parameter.grad = None
+ aside = []

- for parameter, kept in zip(parameters, aside, strict=True):
-     parameter.grad = kept
+ pass

# %% checkpoint: what was in grad is lost
- parameter.grad = kept
+ parameter.grad = None

# %% checkpoint: dropout draws another mask
- with again_from(state):
+ with again_from(random_generator().bit_generator.state):

# %% checkpoint: the state after the first run, not before
- return recomputed(*tensors, *parameters, function=function, parameters=parameters, state=state)
+ with no_grad():
+     function(*tensors)
+ now = random_generator().bit_generator.state
+ random_generator().bit_generator.state = state
+ return recomputed(*tensors, *parameters, function=function, parameters=parameters, state=now)

# %% checkpoint: the generator goes on from the second run
-     with again_from(state):
-         again = function(*leaves)
+     with again_from(state):
+         again = function(*leaves)
+     random_generator().random()

# %% checkpoint: a parameter given twice learns twice
- parameters = tuple({id(parameter): parameter for parameter in parameters}.values())
+ parameters = tuple(parameters)

# %% checkpoint: gradients stay away after an error
- try:
-     with again_from(state):
-         again = function(*leaves)
-     again.backward(grad)
-     return [np.zeros_like(x.data) if x.grad is None else x.grad for x in (*leaves, *parameters)]
- finally:
-     for parameter, kept in zip(parameters, aside, strict=True):
-         parameter.grad = kept
+ with again_from(state):
+     again = function(*leaves)
+ again.backward(grad)
+ found = [np.zeros_like(x.data) if x.grad is None else x.grad for x in (*leaves, *parameters)]
+ for parameter, kept in zip(parameters, aside, strict=True):
+     parameter.grad = kept
+ return found

# %% checkpoint: the incoming gradient is forgotten
- again.backward(grad)
+ again.backward(np.ones_like(grad))

# %% checkpoint: the function given is asked for its parameters whatever was given
- if parameters is None:
-     parameters = function.parameters() if isinstance(function, Module) else ()
+ parameters = function.parameters() if isinstance(function, Module) else ()
