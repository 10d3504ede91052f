# %% one_hot
def one_hot(ids, n):
    return np.eye(n, dtype=np.float32)[id_array(ids, n)]

# %% embedding
@Op
def embedding(weight, *, ids, padding_idx=None):
    return np.take(weight, id_array(ids, weight.shape[0]), axis=0)

# %% embedding_gradient
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    table = np.zeros(weight.shape, grad.dtype)
    np.add.at(table, np.asarray(ids, np.int64), grad)
    if padding_idx is not None:
        table[padding_idx] = 0
    return table

# %% Embedding
class Embedding(Module):
    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"no row {padding_idx} in {num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        rows = randn(num_embeddings, embedding_dim).numpy()
        keep = np.arange(num_embeddings) != (-1 if self.padding_idx is None else self.padding_idx)
        self.weight = Parameter(rows * keep[:, None].astype(np.float32))

    def forward(self, ids):
        places = ids.numpy() if isinstance(ids, Tensor) else ids
        return embedding(self.weight, ids=places, padding_idx=self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

# %% sinusoidal_positions
def sinusoidal_positions(length, dim):
    if dim <= 0 or dim % 2 == 1:
        raise ValueError(f"not an even number of columns: {dim}")
    turned = np.exp(1j * np.outer(np.arange(length), 1 / 10000 ** (2 * np.arange(dim // 2) / dim)))
    return Tensor(np.stack([turned.imag, turned.real], axis=-1).reshape(length, dim))

# %% PositionalEmbedding
class PositionalEmbedding(Module):
    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        self.weight = Parameter(0.02 * randn(max_len, dim))

    def forward(self, x, start=0):
        places = range(start, start + x.shape[-2])
        if start < 0 or places.stop > self.max_len:
            raise ValueError(f"positions from {start}, {len(places)} of them, max_len {self.max_len}")
        return embedding(self.weight, ids=np.arange(places.start, places.stop)) + x

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"

# %% token_windows
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    if ids.shape[0] <= block_size:
        raise ValueError(f"a text of {ids.shape[0]} has no piece of {block_size + 1}")
    x, y = [], []
    for start in generator.integers(0, ids.shape[0] - block_size, batch):
        x.append(ids[start : start + block_size])
        y.append(ids[start + 1 : start + block_size + 1])
    return np.array(x), np.array(y)

# %% rotate
def rotate(x, positions):
    *_, dim = x.shape
    if dim % 2:
        raise ValueError(f"{dim} numbers are no pairs")
    speeds = 1 / 10000 ** (np.arange(0, dim, 2) / dim)
    angles = np.repeat(np.outer(positions, speeds), 2, axis=-1)
    other = stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(*x.shape)
    return x * np.cos(angles).astype(x.dtype) + other * np.sin(angles).astype(x.dtype)

# %% one_hot: puts ones into zeros
def one_hot(ids, n):
    ids = id_array(ids, n)
    rows = np.zeros((ids.size, n), np.float32)
    rows[np.arange(ids.size), ids.ravel()] = 1
    return rows.reshape(*ids.shape, n)

# %% embedding: a row for each place
@Op
def embedding(weight, *, ids, padding_idx=None):
    ids = id_array(ids, len(weight))
    rows = np.empty((*ids.shape, weight.shape[1]), weight.dtype)
    for place in np.ndindex(ids.shape):
        rows[place] = weight[ids[place]]
    return rows

# %% embedding_gradient: the product with one-hot rows
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    rows = one_hot(ids, len(weight)).reshape(-1, len(weight)).astype(grad.dtype)
    table = rows.T @ grad.reshape(len(rows), weight.shape[1])
    if padding_idx is not None:
        table[padding_idx, :] = 0
    return table

# %% Embedding: zeroes by a helper
def cleared(table, row):
    if row is not None:
        table.data[row, :] = 0.0
    return table

class Embedding(Module):
    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"no row {padding_idx} in {num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = cleared(Parameter(randn(num_embeddings, embedding_dim)), self.padding_idx)

    def forward(self, ids):
        found = id_array(ids, self.num_embeddings)
        return embedding(self.weight, ids=found, padding_idx=self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

# %% sinusoidal_positions: loops
def sinusoidal_positions(length, dim):
    if dim < 2 or dim % 2 != 0:
        raise ValueError(f"sinusoidal_positions needs an even dim of at least 2, and this is {dim}")
    rows = np.zeros((length, dim))
    for p in range(length):
        for i in range(dim // 2):
            angle = p / 10000 ** (2 * i / dim)
            rows[p, 2 * i], rows[p, 2 * i + 1] = np.sin(angle), np.cos(angle)
    return Tensor(rows, dtype=np.float32)

# %% PositionalEmbedding: an index of places
class PositionalEmbedding(Module):
    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        self.weight = Parameter(Tensor(randn(max_len, dim).numpy() * 0.02))

    def forward(self, x, start=0):
        end = start + x.shape[-2]
        if not 0 <= start <= end <= self.max_len:
            raise ValueError(f"start {start} and {x.shape[-2]} more than max_len {self.max_len}")
        return self.weight[np.arange(start, end)] + x

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"

# %% token_windows: a view of all windows
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.asarray(ids)
    if ids.size <= block_size:
        raise ValueError(f"{ids.size} ids, at least {block_size + 1} needed")
    windows = np.lib.stride_tricks.sliding_window_view(ids, block_size + 1)
    chosen = windows[generator.integers(0, len(windows), batch)]
    return chosen[:, :block_size].copy(), chosen[:, 1:].copy()

# %% rotate: one concatenated table of both halves
def rotate(x, positions):
    dim = x.shape[-1]
    if dim % 2 != 0:
        raise ValueError(f"rotate: an even dim is needed, this is {dim}")
    parts = []
    for i in range(0, dim, 2):
        angle = np.asarray(positions) / 10000 ** (i / dim)
        c, s = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
        parts += [x[..., i] * c - x[..., i + 1] * s, x[..., i] * s + x[..., i + 1] * c]
    return stack(parts, axis=-1)

# %% one_hot: compares along a grid
def one_hot(ids, n):
    ids = id_array(ids, n)
    grid = np.broadcast_to(np.arange(n), (*ids.shape, n))
    return np.equal(grid, np.expand_dims(ids, -1)).astype("float32")

# %% embedding: flat, then its shape again
@Op
def embedding(weight, *, ids, padding_idx=None):
    ids = id_array(ids, len(weight))
    return weight[ids.ravel(), :].reshape(ids.shape + weight.shape[1:])

# %% embedding_gradient: a loop over places
@embedding.gradient
def embedding_gradient(grad, out, weight, *, ids, padding_idx=None):
    ids, table = np.asarray(ids, np.int64), np.zeros(weight.shape, grad.dtype)
    for place in np.ndindex(ids.shape):
        if ids[place] != padding_idx:
            table[ids[place]] += grad[place]
    return table

# %% Embedding: draws into an array of its own
class Embedding(Module):
    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"no row {padding_idx} in {num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        table = np.array(randn(num_embeddings, embedding_dim).numpy())
        if self.padding_idx is not None:
            table[self.padding_idx] *= 0
        self.weight = Parameter(table)

    def forward(self, ids):
        places = np.array(ids) if not isinstance(ids, Tensor) else ids.numpy().copy()
        return embedding(self.weight, ids=places, padding_idx=self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

# %% sinusoidal_positions: cosine is a sine that is a quarter ahead
def sinusoidal_positions(length, dim):
    if dim < 2 or dim % 2:
        raise ValueError(f"dim={dim}")
    columns = np.arange(dim)
    angles = np.arange(length)[:, None] / 10000 ** ((columns - columns % 2) / dim)
    return Tensor(np.sin(angles + columns % 2 * np.pi / 2))

# %% PositionalEmbedding: names what is wrong in two sentences
class PositionalEmbedding(Module):
    def __init__(self, max_len, dim):
        super().__init__()
        self.max_len = max_len
        self.weight = Parameter(randn(max_len, dim) / 50)

    def forward(self, x, start=0):
        length = x.shape[x.ndim - 2]
        problem = f"start {start}, length {length}, max_len {self.max_len}"
        if start < 0:
            raise ValueError(f"negative: {problem}")
        if self.max_len - start < length:
            raise ValueError(f"too long: {problem}")
        return x + self.weight[start:][:length]

    def extra_repr(self):
        return f"max_len={self.max_len}, dim={self.weight.shape[1]}"

# %% token_windows: two lookups
def token_windows(ids, block_size, batch, generator=None):
    generator = random_generator() if generator is None else generator
    ids = np.array(ids)
    count = len(ids) - block_size
    if count < 1:
        raise ValueError(f"of {len(ids)} ids, {block_size + 1} are needed")
    places = generator.integers(0, count, batch)[:, np.newaxis] + np.arange(block_size)[np.newaxis]
    return np.take(ids, places), np.take(ids, places + 1)

# %% rotate: by matrices
def rotate(x, positions):
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"rotate: {dim} is odd")
    positions, matrix = np.asarray(positions), np.zeros((len(positions), dim, dim))
    for i in range(0, dim, 2):
        angle = positions / 10000 ** (i / dim)
        matrix[:, i, i] = matrix[:, i + 1, i + 1] = np.cos(angle)
        matrix[:, i, i + 1], matrix[:, i + 1, i] = np.sin(angle), -np.sin(angle)
    turned = x.reshape(*x.shape[:-1], 1, dim) @ matrix.astype(x.dtype)
    return turned.reshape(*x.shape)
