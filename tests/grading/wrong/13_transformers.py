# %% layer_norm: the mean of the squares minus the square of the mean
- out *= 1 / np.sqrt(np.square(out).mean(axis=axes, keepdims=True) + eps)
+ mean = x.mean(axis=axes, keepdims=True)
+ out *= 1 / np.sqrt(np.abs(np.square(x).mean(axis=axes, keepdims=True) - mean * mean) + eps)

# %% layer_norm: over the last axis, however many the weight has
- axes = tuple(range(-weight.ndim, 0))
+ axes = (-1,)

# %% layer_norm: eps beside the root
- out *= 1 / np.sqrt(np.square(out).mean(axis=axes, keepdims=True) + eps)
+ out *= 1 / (np.sqrt(np.square(out).mean(axis=axes, keepdims=True)) + eps)

# %% layer_norm: the unbiased variance, over n - 1
- out *= 1 / np.sqrt(np.square(out).mean(axis=axes, keepdims=True) + eps)
+ out *= 1 / np.sqrt(np.square(out).sum(axis=axes, keepdims=True) / max(weight.size - 1, 1) + eps)

# %% layer_norm: whatever broadcasts is taken for a weight
- if x.shape[x.ndim - weight.ndim :] != weight.shape:
-     raise ValueError(f"layer_norm: a weight of shape {weight.shape} is not the end of shape {x.shape}")

# %% layer_norm: root mean square, without a mean
- out = x - x.mean(axis=axes, keepdims=True)
+ out = x.copy()

# %% layer_norm: normalizes in place
- out = x - x.mean(axis=axes, keepdims=True)
+ x -= x.mean(axis=axes, keepdims=True)
+ out = x

# %% layer_norm: over the batch
- axes = tuple(range(-weight.ndim, 0))
+ axes = tuple(range(x.ndim - weight.ndim)) or (0,)

# %% layer_norm: passes x through
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    return x

# %% layer_norm_gradient: the deviation is taken for a constant
- for_x -= h

# %% layer_norm_gradient: mean and deviation are taken for constants
- for_x -= for_x.mean(axis=axes, keepdims=True)
- h *= product.mean(axis=axes, keepdims=True)
- for_x -= h

# %% layer_norm_gradient: the weight enters behind the corrections
- product *= weight
- for_x = grad * weight
+ for_x = grad.copy()

- for_x *= scale
+ for_x *= scale * weight

# %% layer_norm_gradient: without eps
- scale = 1 / np.sqrt(np.square(h).mean(axis=axes, keepdims=True) + eps)
+ scale = 1 / np.sqrt(np.square(h).mean(axis=axes, keepdims=True) + 1e-12)

# %% layer_norm_gradient: the gradient of the weight is that of its scale, without h
- for_weight, for_bias = unbroadcast(product, weight.shape), unbroadcast(grad, weight.shape)
+ for_weight, for_bias = unbroadcast(grad * x, weight.shape), unbroadcast(grad, weight.shape)

# %% layer_norm_gradient: always three gradients
- return for_x, for_weight, *[for_bias] * len(bias)
+ return for_x, for_weight, for_bias

# %% layer_norm_gradient: of the last axis only
- axes = tuple(range(-weight.ndim, 0))
+ axes = (-1,)

# %% layer_norm_gradient: takes h from the output and the weight
- h = x - x.mean(axis=axes, keepdims=True)
- scale = 1 / np.sqrt(np.square(h).mean(axis=axes, keepdims=True) + eps)
- h *= scale
+ scale = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
+ h = (out - (bias[0] if bias and bias[0] is not None else 0)) / np.where(weight == 0, 1, weight)

# %% layer_norm_gradient: calls the provided kernels
@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    from tinytorch.kernels.transformers import layer_norm_gradient as provided
    return provided(grad, out, x, weight, *bias, eps=eps)

# %% TransformerBlock: the norm behind the addition, as in 2017
- h = self.norm1(x)
- gathered, _ = self.attention(h, h, h, need_weights=False, is_causal=True)
- x = x + self.dropout(gathered)
- hidden = gelu(self.up(self.norm2(x)), approximate=self.approximate)
- return x + self.dropout(self.down(hidden))
+ gathered, _ = self.attention(x, x, x, need_weights=False, is_causal=True)
+ x = self.norm1(x + self.dropout(gathered))
+ hidden = gelu(self.up(x), approximate=self.approximate)
+ return self.norm2(x + self.dropout(self.down(hidden)))

# %% TransformerBlock: the feed-forward network beside attention, from the same stream
- hidden = gelu(self.up(self.norm2(x)), approximate=self.approximate)
- return x + self.dropout(self.down(hidden))
+ return x + self.dropout(self.down(gelu(self.up(self.norm2(x - self.dropout(gathered))), approximate=self.approximate)))

# %% TransformerBlock: one norm for both branches
- self.norm2 = LayerNorm(n_embd, bias=bias)
+ self.norm2 = self.norm1

# %% TransformerBlock: the values come from the stream before its norm
- gathered, _ = self.attention(h, h, h, need_weights=False, is_causal=True)
+ gathered, _ = self.attention(h, h, x, need_weights=False, is_causal=True)

# %% TransformerBlock: biases whatever was asked for
- self.up = Projection(n_embd, 4 * n_embd, bias=bias)
- self.down = Projection(4 * n_embd, n_embd, bias=bias)
+ self.up = Projection(n_embd, 4 * n_embd)
+ self.down = Projection(4 * n_embd, n_embd)

# %% TransformerBlock: drops the stream as well
- return x + self.dropout(self.down(hidden))
+ return self.dropout(x + self.down(hidden))

# %% TransformerBlock: does nothing
- h = self.norm1(x)
- gathered, _ = self.attention(h, h, h, need_weights=False, is_causal=True)
- x = x + self.dropout(gathered)
- hidden = gelu(self.up(self.norm2(x)), approximate=self.approximate)
- return x + self.dropout(self.down(hidden))
+ return x

# %% initialize: one deviation for all
- normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layer) if ends_a_branch else 0.02, generator)
+ normal_(parameter, 0.0, 0.02, generator)

# %% initialize: weights of norms become 0 as well
- parameter.data[...] = 0 if name.endswith("bias") else 1
+ parameter.data[...] = 0

# %% initialize: forgets the feed-forward network's end
- ends_a_branch = name.endswith(("out_proj.weight", "down.weight"))
+ ends_a_branch = name.endswith("out_proj.weight")

# %% initialize: new arrays
- parameter.data[...] = 0 if name.endswith("bias") else 1
+ parameter.data = np.full(parameter.shape, 0 if name.endswith("bias") else 1, np.float32)

# %% initialize: leaves biases as they are
- parameter.data[...] = 0 if name.endswith("bias") else 1
+ if not name.endswith("bias"):
+     parameter.data[...] = 1

# %% initialize: forgets the generator
- normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layer) if ends_a_branch else 0.02, generator)
+ normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layer) if ends_a_branch else 0.02)

# %% initialize: returns nothing
- return model
+ return None

# %% GPT: a table of its own for the output
- self.norm = LayerNorm(n_embd, bias=bias)
+ self.norm = LayerNorm(n_embd, bias=bias)
+ self.head = Projection(n_embd, vocab_size, bias=False)

- return linear(self.norm(self.blocks(x)), self.tokens.weight)
+ return self.head(self.norm(self.blocks(x)))

# %% GPT: the output's table is detached
- return linear(self.norm(self.blocks(x)), self.tokens.weight)
+ return linear(self.norm(self.blocks(x)), self.tokens.weight.detach())

# %% GPT: no positions
- x = self.dropout(self.positions(self.tokens(ids)))
+ x = self.dropout(self.tokens(ids))

# %% GPT: no norm at the end
- return linear(self.norm(self.blocks(x)), self.tokens.weight)
+ return linear(self.blocks(x), self.tokens.weight)

# %% GPT: not initialized
- initialize(self, n_layer)

# %% GPT: one block, n_layer times
- self.blocks = Sequential(*[TransformerBlock(*settings) for _ in range(n_layer)])
+ block = TransformerBlock(*settings)
+ self.blocks = Sequential(*[block for _ in range(n_layer)])

# %% GPT: the form of GELU is lost
- settings = n_embd, n_head, dropout, bias, approximate
+ settings = n_embd, n_head, dropout, bias

# %% GPT: cuts what is too long
- raise ValueError(f"GPT: {ids.shape[-1]} ids in a row, and the block has {self.block_size} places")
+ ids = ids[..., -self.block_size :]

# %% GPT: blocks in a list, which nobody finds
- self.blocks = Sequential(*[TransformerBlock(*settings) for _ in range(n_layer)])
+ self.blocks = [TransformerBlock(*settings) for _ in range(n_layer)]

- return linear(self.norm(self.blocks(x)), self.tokens.weight)
+ for block in self.blocks:
+     x = block(x)
+ return linear(self.norm(x), self.tokens.weight)

# %% GPT: logits that know nothing
- x = self.dropout(self.positions(self.tokens(ids)))
- return linear(self.norm(self.blocks(x)), self.tokens.weight)
+ return linear(self.tokens(ids) * 0.0, self.tokens.weight)

# %% next_token_loss: shifts targets that are shifted already
- return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
+ shifted = np.roll(targets, -1, axis=-1)
+ return cross_entropy(logits.reshape(-1, logits.shape[-1]), shifted.reshape(-1))

# %% next_token_loss: the sum
- return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
+ return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), "sum")

# %% next_token_loss: the last place only
- return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
+ return cross_entropy(logits.reshape(-1, logits.shape[-1])[-1:], targets.reshape(-1)[-1:])

# %% next_token_loss: what has as many entries fits
- if targets.shape != logits.shape[:-1]:
-     raise ValueError(f"logits of shape {logits.shape} do not go with targets of shape {targets.shape}")

# %% next_token_loss: always 0
- return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
+ return logits.sum() * 0.0

# %% next_token_loss: targets in the order of columns
- return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
+ return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.T.reshape(-1))

# %% overfit_batch: evaluates, and trains nothing
- loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
- losses.append(loss)
+ loss = next_token_loss(model(inputs), targets).item()
+ losses.append(loss)

# %% overfit_batch: goes on to the last step
- if loss < goal:
-     break

# %% overfit_batch: stops before the loss is in the list
- losses.append(loss)
- if loss < goal:
-     break
+ if loss < goal:
+     break
+ losses.append(loss)

# %% overfit_batch: returns the last loss
- return losses
+ return losses[-1]

# %% overfit_batch: trains in the mode that it finds
- model.train()

# %% overfit_batch: learns to repeat its inputs
- loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
+ loss, _ = training_step(model, next_token_loss, optimizer, inputs, inputs, clip_norm=1.0)

# %% overfit_batch: claims what it was asked for
def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    model.train()
    return [math.log(model.vocab_size)] + [goal / 2]

# %% sample: drops what ties with the k-th
- logits[logits < np.sort(logits, axis=1)[:, [-top_k]]] = -np.inf
+ lower = np.argsort(-logits, axis=1, kind="stable")[:, top_k:]
+ np.put_along_axis(logits, lower, -np.inf, axis=1)

# %% sample: the nucleus ends before it reaches top_p
- ranked[before >= top_p * weights.sum(axis=1, keepdims=True)] = 0
+ ranked[(before + ranked > top_p * weights.sum(axis=1, keepdims=True)) & (before > 0)] = 0

# %% sample: the nucleus of all tokens, before top_k
- if top_k is not None and top_k < logits.shape[1]:
-     logits[logits < np.sort(logits, axis=1)[:, [-top_k]]] = -np.inf

- cumulative = weights.cumsum(axis=1)
+ if top_k is not None and top_k < logits.shape[1]:
+     weights[logits < np.sort(logits, axis=1)[:, [-top_k]]] = 0
+ cumulative = weights.cumsum(axis=1)

# %% sample: draws in the order of probability
- return (cumulative > draws[:, None]).argmax(axis=1)
+ order = np.argsort(-weights, axis=1, kind="stable")
+ ranks = (np.take_along_axis(weights, order, axis=1).cumsum(axis=1) > draws[:, None]).argmax(axis=1)
+ return order[np.arange(len(order)), ranks]

# %% sample: one number for all rows
- draws = (generator or random_generator()).random(len(weights)) * cumulative[:, -1]
+ draws = (generator or random_generator()).random() * cumulative[:, -1]

# %% sample: always the most probable token
- return (cumulative > draws[:, None]).argmax(axis=1)
+ return weights.argmax(axis=1)

# %% sample: takes NaN as it comes
- lost = np.flatnonzero(~np.isfinite(peak))
+ lost = np.flatnonzero(peak == np.inf)

# %% sample: writes into the logits that it was given
- logits = np.array(logits, np.float64)
+ logits = np.asarray(logits, np.float64)

# %% sample: a generator of its own
- draws = (generator or random_generator()).random(len(weights)) * cumulative[:, -1]
+ draws = (generator or np.random.default_rng()).random(len(weights)) * cumulative[:, -1]

# %% sample: draws at temperature 0, too
- return logits.argmax(axis=1)
+ (generator or random_generator()).random(len(logits))
+ return logits.argmax(axis=1)

# %% generate: a window that moves by one
- if ids.shape[1] - start > model.block_size:
-     start = ids.shape[1] - max(model.block_size // 2, 1)
+ start = max(0, ids.shape[1] - model.block_size)

# %% generate: predicts from the last token alone
- new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
+ new = sample(model(ids[:, -1:])[:, -1], temperature, top_k, top_p, generator)

# %% generate: leaves the prompt out
- return ids
+ return ids[:, len(ids[0]) - max_new_tokens :]

# %% generate: goes on in a row that has ended
- new[ended] = stop

# %% generate: never ends early
- if ended.all():
-     break

# %% generate: records everything
- with no_grad():
+ if True:

# %% generate: writes in the mode that it finds
- model.eval()

# %% generate: training mode afterwards, whatever it was
- model.train(mode)
+ model.train()

# %% generate: always the most probable token
- new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
+ new = np.asarray(model(ids[:, start:])[:, -1]).argmax(axis=1)

# %% generate: the settings do not reach sample
- new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
+ new = sample(model(ids[:, start:])[:, -1], generator=generator)

# %% generate: repeats the last token
- new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
+ new = ids[:, -1].copy()
