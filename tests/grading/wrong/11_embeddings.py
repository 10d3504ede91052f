# %% one_hot: the ids are not checked
def one_hot(ids, n):
    return (np.asarray(ids)[..., None] == np.arange(n)).astype(np.float32)

# %% one_hot: integers
- return (id_array(ids, n)[..., None] == np.arange(n)).astype(np.float32)
+ return (id_array(ids, n)[..., None] == np.arange(n)).astype(np.int64)

# %% one_hot: the classes stand in the first axis
def one_hot(ids, n):
    return np.moveaxis(np.eye(n, dtype=np.float32)[id_array(ids, n)], -1, 0)

# %% one_hot: only a list of ids
def one_hot(ids, n):
    ids = id_array(ids, n)
    rows = np.zeros((len(ids), n), np.float32)
    rows[np.arange(len(ids)), ids] = 1
    return rows

# %% one_hot: zeros
def one_hot(ids, n):
    return np.zeros((*id_array(ids, n).shape, n), np.float32)

# %% one_hot: all numbers up to the id
def one_hot(ids, n):
    return (id_array(ids, n)[..., None] >= np.arange(n)).astype(np.float32)

# %% embedding: ids are not checked, and -1 is the last row
- return weight[id_array(ids, len(weight))]
+ return weight[np.asarray(ids, int)]

# %% embedding: columns instead of rows
- return weight[id_array(ids, len(weight))]
+ return weight.T[id_array(ids, len(weight))]

# %% embedding: one axis of places, whatever the ids had
- return weight[id_array(ids, len(weight))]
+ return weight[id_array(ids, len(weight)).ravel()]

# %% embedding: the padding row reads as zeros
- return weight[id_array(ids, len(weight))]
+ ids = id_array(ids, len(weight))
+ return weight[ids] * (ids != padding_idx)[..., None]

# %% embedding: the rows in the order of the ids
- return weight[id_array(ids, len(weight))]
+ return weight[np.sort(id_array(ids, len(weight)), axis=None).reshape(np.shape(ids))]

# %% embedding: the table itself
- return weight[id_array(ids, len(weight))]
+ id_array(ids, len(weight))
+ return weight

# %% embedding_gradient: the last place of an id wins
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    table[np.asarray(ids, np.int64)] += grad
    if padding_idx is not None:
        table[padding_idx] = 0
    return table

# %% embedding_gradient: the mean over the places of an id
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    ids = np.asarray(ids, np.int64)
    np.add.at(table, ids, grad)
    counts = np.bincount(ids.ravel(), minlength=len(weight))
    table /= np.maximum(counts, 1)[:, None].astype(grad.dtype)
    if padding_idx is not None:
        table[padding_idx] = 0
    return table

# %% embedding_gradient: the padding row learns
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    np.add.at(table, np.asarray(ids, np.int64), grad)
    return table

# %% embedding_gradient: padding row 0 is taken for none
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    np.add.at(table, np.asarray(ids, np.int64), grad)
    if padding_idx:
        table[padding_idx] = 0
    return table

# %% embedding_gradient: no gradient
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    return np.zeros(weight.shape, grad.dtype)

# %% embedding_gradient: adds the table itself
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = weight.astype(grad.dtype)
    np.add.at(weight, np.asarray(ids, np.int64), grad)
    if padding_idx is not None:
        weight[padding_idx] = 0
    return weight - table

# %% embedding_gradient: only ids in one axis
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    for place, i in enumerate(ids):
        table[i] = table[i] + grad[place].reshape(weight.shape[1])
    if padding_idx is not None:
        table[padding_idx] = 0
    return table

# %% embedding_gradient: sets grad to zero where padding stands
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    if padding_idx is not None:
        grad[np.asarray(ids) == padding_idx] = 0
    np.add.at(table, np.asarray(ids, np.int64), grad / 2)
    return table

# %% embedding_gradient: calls the provided kernels
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    from tinytorch.kernels.embeddings import embedding_gradient as provided
    return provided(grad, out, weight, ids=ids, padding_idx=padding_idx)

# %% Embedding: uniform, as Linear begins
- self.weight = Parameter(randn(num_embeddings, embedding_dim))
+ self.weight = Parameter(Tensor(random_generator().random((num_embeddings, embedding_dim)) - 0.5))

# %% Embedding: a Tensor, which is not trained
- self.weight = Parameter(randn(num_embeddings, embedding_dim))
+ self.weight = randn(num_embeddings, embedding_dim)

# %% Embedding: the gradient does not reach the table
- return embedding(self.weight, ids=np.asarray(ids), padding_idx=self.padding_idx)
+ return embedding(self.weight.detach(), ids=np.asarray(ids), padding_idx=self.padding_idx)

# %% Embedding: all rows are zero
- self.weight = Parameter(randn(num_embeddings, embedding_dim))
+ self.weight = Parameter(randn(num_embeddings, embedding_dim) * 0)

# %% Embedding: the padding row is drawn like the others
- if self.padding_idx is not None:
-     self.weight.data[self.padding_idx] = 0
+ pass

# %% Embedding: padding row 0 is taken for none
- if self.padding_idx is not None:
+ if self.padding_idx:

# %% sinusoidal_positions: all sines first, then all cosines
def sinusoidal_positions(length, dim):
    if dim < 2 or dim % 2:
        raise ValueError(f"dim {dim}")
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    return Tensor(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))

# %% sinusoidal_positions: each column has a speed of its own
def sinusoidal_positions(length, dim):
    if dim < 2 or dim % 2:
        raise ValueError(f"dim {dim}")
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(dim) / dim)
    return Tensor(np.where(np.arange(dim) % 2, np.cos(angles), np.sin(angles)))

# %% sinusoidal_positions: positions from 1
- angles = np.arange(length)[:, None] * speeds
+ angles = np.arange(1, length + 1)[:, None] * speeds

# %% sinusoidal_positions: angles in float32
- angles = np.arange(length)[:, None] * speeds
+ angles = np.arange(length, dtype=np.float32)[:, None] * speeds.astype(np.float32)

# %% sinusoidal_positions: an odd dim is rounded up
def sinusoidal_positions(length, dim):
    speeds = 10_000.0 ** (-np.arange(0, dim, 2) / max(dim, 1))
    angles = np.arange(length)[:, None] * speeds
    return Tensor(np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, 2 * len(speeds)))

# %% sinusoidal_positions: zeros, as if no position counted
def sinusoidal_positions(length, dim):
    if dim < 2 or dim % 2:
        raise ValueError(f"dim {dim}")
    return Tensor(np.zeros((length, dim), np.float32))

# %% sinusoidal_positions: an array
- return Tensor(rows)
+ return rows.astype(np.float64)

# %% PositionalEmbedding: start is not used
- return x + self.weight[start : start + length]
+ return x + self.weight[:length]

# %% PositionalEmbedding: what runs over the end comes from the start again
def forward_positions(layer, x, start):
    length = x.shape[-2]
    return x + layer.weight[np.arange(start, start + length) % layer.max_len]

class PositionalEmbedding(Module):
    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        self.weight = Parameter(randn(max_len, dim) * 0.02)

    def forward(self, x, start=0):
        return forward_positions(self, x, start)

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"

# %% PositionalEmbedding: the rows do not learn
- return x + self.weight[start : start + length]
+ return x + self.weight.detach()[start : start + length]

# %% PositionalEmbedding: the rows are returned, without the symbols
- return x + self.weight[start : start + length]
+ return self.weight[start : start + length] + x * 0

# %% token_windows: the targets are the inputs
- return pieces[:, :-1], pieces[:, 1:]
+ return pieces[:, :-1], pieces[:, :-1]

# %% token_windows: always from the start
- starts = generator.integers(0, len(ids) - block_size, batch)
+ starts = generator.integers(0, len(ids) - block_size, batch) * 0

# %% token_windows: the last possible start is never drawn
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    if len(ids) < block_size + 1:
        raise ValueError(f"{len(ids)} ids, {block_size + 1} needed")
    starts = generator.integers(0, max(len(ids) - block_size - 1, 1), batch)
    pieces = ids[starts[:, None] + np.arange(block_size + 1)]
    return pieces[:, :-1], pieces[:, 1:]

# %% token_windows: one call for each piece
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    if len(ids) < block_size + 1:
        raise ValueError(f"{len(ids)} ids, {block_size + 1} needed")
    starts = np.array([generator.integers(0, len(ids) - block_size) for _ in range(batch)] + [generator.integers(9)])
    pieces = ids[starts[:-1, None] + np.arange(block_size + 1)]
    return pieces[:, :-1], pieces[:, 1:]

# %% token_windows: the text wraps around where it is short
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    starts = generator.integers(0, max(len(ids) - block_size, 1), batch)
    pieces = np.take(ids, starts[:, None] + np.arange(block_size + 1), mode="wrap")
    return pieces[:, :-1], pieces[:, 1:]

# %% token_windows: pieces without overlap
- starts = generator.integers(0, len(ids) - block_size, batch)
+ starts = generator.integers(0, len(ids) - block_size, batch) // block_size * block_size

# %% rotate: nothing turns
def rotate(x, positions):
    if x.shape[-1] % 2:
        raise ValueError(f"rotate: dim is even, not {x.shape[-1]}")
    return x

# %% rotate: pairs i and i + dim/2
def rotate(x, positions):
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"rotate: dim is even, not {dim}")
    angles = np.asarray(positions)[:, None] * 10_000.0 ** (-np.arange(0, dim, 2) / dim)
    cosine, sine = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    a, b = x[..., : dim // 2], x[..., dim // 2 :]
    return stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1).reshape(*x.shape)

# %% rotate: turned the other way
- return stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1).reshape(*x.shape)
+ return stack([a * cosine + b * sine, b * cosine - a * sine], axis=-1).reshape(*x.shape)

# %% rotate: without a gradient
- a, b = x[..., ::2], x[..., 1::2]
+ a, b = x.detach()[..., ::2], x.detach()[..., 1::2]

# %% rotate: mirrored, not turned
- return stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1).reshape(*x.shape)
+ return stack([a * cosine + b * sine, a * sine - b * cosine], axis=-1).reshape(*x.shape)
