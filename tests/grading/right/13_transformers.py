# %% layer_norm: one formula over named axes
@Op
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    if x.shape[x.ndim - weight.ndim :] != weight.shape:
        raise ValueError(f"{x.shape} does not end in {weight.shape}")
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    deviation = x - x.mean(axes, keepdims=True)
    normal = deviation / np.sqrt((deviation**2).mean(axes, keepdims=True) + eps)
    return normal * weight if bias is None else normal * weight + bias

# %% layer_norm: rows of a matrix
@Op
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    *leading, = x.shape[: max(x.ndim - weight.ndim, 0)]
    if (*leading, *weight.shape) != x.shape:
        raise ValueError(f"weight {weight.shape}, input {x.shape}: they do not fit")
    rows = x.reshape(math.prod(leading), weight.size)
    rows = rows - rows.mean(axis=1, keepdims=True)
    square = np.einsum("ij,ij->i", rows, rows) / weight.size
    rows = rows / np.sqrt(square + eps)[:, None].astype(x.dtype) * weight.reshape(-1)
    return rows.reshape(x.shape) + (0 if bias is None else bias)

# %% layer_norm: NumPy's variance
def last_axes(weight):
    return tuple(-i - 1 for i in range(weight.ndim))

@Op
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    if weight.ndim > x.ndim or tuple(x.shape[-i - 1] for i in range(weight.ndim)) != weight.shape[::-1]:
        raise ValueError(f"the last axes of {x.shape} are not {weight.shape}")
    settings = {"axis": last_axes(weight), "keepdims": True}
    out = (x - np.mean(x, **settings)) * (np.var(x, **settings) + eps) ** -0.5 * weight
    return out if bias is None else out + bias

# %% layer_norm_gradient: the formula as it stands
@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    sigma = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    h, g = (x - x.mean(axis=axes, keepdims=True)) / sigma, grad * weight
    for_x = (g - g.mean(axis=axes, keepdims=True) - h * (g * h).mean(axis=axes, keepdims=True)) / sigma
    leading = tuple(range(x.ndim - weight.ndim))
    both = for_x, (grad * h).sum(axis=leading)
    return both if not bias else (*both, None if bias[0] is None else grad.sum(axis=leading))

# %% layer_norm_gradient: by the chain rule, through the variance and the mean
@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    many, leading = weight.size, math.prod(x.shape[: x.ndim - weight.ndim])
    rows, arrived = x.reshape(leading, many), grad.reshape(leading, many)
    deviation = rows - rows.mean(axis=1, keepdims=True)
    variance = (deviation * deviation).mean(axis=1, keepdims=True) + eps
    g = arrived * weight.reshape(-1)
    for_variance = (g * deviation).sum(axis=1, keepdims=True) * -0.5 * variance**-1.5
    for_deviation = g / np.sqrt(variance) + for_variance * 2 * deviation / many
    for_x = for_deviation - for_deviation.mean(axis=1, keepdims=True)
    grads = [for_x.reshape(x.shape), (arrived * deviation / np.sqrt(variance)).sum(axis=0).reshape(weight.shape)]
    grads += [arrived.sum(axis=0).reshape(weight.shape) for _ in bias]
    return tuple(grads)

# %% layer_norm_gradient: projects twice
def left_over(g, direction, axes):
    share = (g * direction).sum(axis=axes, keepdims=True) / np.maximum(
        (direction * direction).sum(axis=axes, keepdims=True), np.finfo(g.dtype).tiny
    )
    return g - share * direction

@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    axes = tuple(range(-weight.ndim, 0))
    deviation = x - x.mean(axis=axes, keepdims=True)
    variance = (deviation**2).mean(axis=axes, keepdims=True)
    sigma = np.sqrt(variance + eps)
    g = grad * weight
    flat = left_over(g, np.ones_like(g), axes)
    along = g - left_over(g, deviation, axes)
    for_x = (flat - along * (variance / (variance + eps))) / sigma
    answers = [for_x, unbroadcast(grad * deviation / sigma, weight.shape), unbroadcast(grad, weight.shape)]
    return answers[: 2 + len(bias)]

# %% TransformerBlock: plain Linear layers, every step with a name
class TransformerBlock(Module):
    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, approximate="tanh"):
        super().__init__()
        self.approximate = approximate
        self.dropout = Dropout(dropout)
        self.attention = MultiheadAttention(n_embd, n_head, dropout, bias, batch_first=True)
        self.up, self.down = Linear(n_embd, 4 * n_embd, bias), Linear(4 * n_embd, n_embd, bias)
        self.norm1, self.norm2 = (LayerNorm(n_embd, bias=bias) for _ in range(2))

    def forward(self, x):
        normed = self.norm1(x)
        update = self.attention(normed, normed, normed, is_causal=True)[0]
        middle = x + self.dropout(update)
        wide = gelu(self.up(self.norm2(middle)), approximate=self.approximate)
        return middle + self.dropout(self.down(wide))

# %% TransformerBlock: a method for each branch
class TransformerBlock(Module):
    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, approximate="tanh"):
        super().__init__()
        self.approximate = approximate
        self.norm1 = LayerNorm((n_embd,), bias=bias)
        self.norm2 = LayerNorm((n_embd,), bias=bias)
        self.attention = MultiheadAttention(n_embd, n_head, dropout=dropout, bias=bias, batch_first=True)
        self.up = Projection(n_embd, 4 * n_embd, bias=bias)
        self.down = Projection(4 * n_embd, n_embd, bias=bias)
        self.dropout = Dropout(dropout)

    def look(self, h):
        return self.dropout(self.attention(h, h, h, need_weights=False, is_causal=True)[0])

    def think(self, h):
        return self.dropout(self.down(gelu(self.up(h), approximate=self.approximate)))

    def forward(self, x):
        x = x + self.look(self.norm1(x))
        return x + self.think(self.norm2(x))

# %% TransformerBlock: a mask instead of the word
class TransformerBlock(Module):
    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, approximate="tanh"):
        super().__init__()
        self.approximate = approximate
        for name in ("norm1", "norm2"):
            setattr(self, name, LayerNorm(n_embd, bias=bias))
        self.attention = MultiheadAttention(n_embd, n_head, dropout=dropout, bias=bias, batch_first=True)
        self.up = Projection(n_embd, n_embd * 4, bias)
        self.down = Projection(n_embd * 4, n_embd, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x):
        later = np.triu(np.ones((x.shape[1], x.shape[1]), bool), 1)
        h = self.norm1(x)
        h, _ = self.attention(h, h, h, attn_mask=later, need_weights=False)
        x = self.dropout(h) + x
        h = linear(self.norm2(x), self.up.weight, self.up.bias)
        h = linear(gelu(h, approximate=self.approximate), self.down.weight, self.down.bias)
        return self.dropout(h) + x

# %% initialize: by three kinds
def initialize(model, n_layer, generator=None):
    small = 0.02 / (2 * n_layer) ** 0.5
    for name, parameter in model.named_parameters():
        last = name.split(".")[-2:]
        if len(parameter.shape) == 1:
            parameter.data.fill(0.0 if last[-1].endswith("bias") else 1.0)
        elif last in (["out_proj", "weight"], ["down", "weight"]):
            normal_(parameter, std=small, generator=generator)
        else:
            normal_(parameter, std=0.02, generator=generator)
    return model

# %% initialize: a helper for the deviation
def deviation_of(name, n_layer):
    ends = any(name.endswith(end) for end in ("out_proj.weight", "down.weight"))
    return 0.02 * (2 * n_layer) ** (-0.5 if ends else 0.0)

def initialize(model, n_layer, generator=None):
    for name, parameter in list(model.named_parameters()):
        if parameter.ndim == 2:
            normal_(parameter, 0.0, deviation_of(name, n_layer), generator)
        elif name.endswith("bias"):
            parameter.data *= 0
        else:
            np.copyto(parameter.data, 1)
    return model

# %% initialize: fills all, then corrects the vectors
def initialize(model, n_layer, generator=None):
    ends = ("out_proj.weight", "down.weight")
    matrices = [(name, p) for name, p in model.named_parameters() if p.ndim > 1]
    vectors = [(name, p) for name, p in model.named_parameters() if p.ndim < 2]
    for name, p in matrices:
        normal_(p, 0, 0.02 if not name.endswith(ends) else 0.02 / math.sqrt(n_layer + n_layer), generator)
    for name, p in vectors:
        p.data[:] = float(not name.endswith("bias"))
    return model

# %% GPT: blocks one by one
class GPT(Module):
    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0, bias=True, approximate="tanh"
    ):
        super().__init__()
        self.vocab_size, self.block_size = vocab_size, block_size
        self.tokens = Embedding(vocab_size, n_embd)
        self.positions = PositionalEmbedding(block_size, n_embd)
        self.dropout = Dropout(dropout)
        blocks = []
        for _ in range(n_layer):
            blocks.append(TransformerBlock(n_embd, n_head, dropout=dropout, bias=bias, approximate=approximate))
        self.blocks = Sequential(*blocks)
        self.norm = LayerNorm(n_embd, bias=bias)
        initialize(self, n_layer)

    def forward(self, ids):
        length = np.shape(ids)[-1]
        if self.block_size < length:
            raise ValueError(f"at most {self.block_size} ids, not {length}")
        stream = self.dropout(self.positions(self.tokens(ids)))
        for block in self.blocks:
            stream = block(stream)
        return self.norm(stream) @ self.tokens.weight.T

# %% GPT: other order of attributes, the product by matmul
class GPT(Module):
    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0, bias=True, approximate="tanh"
    ):
        super().__init__()
        self.vocab_size, self.block_size = vocab_size, block_size
        self.norm = LayerNorm(n_embd, bias=bias)
        make = lambda: TransformerBlock(n_embd, n_head, dropout, bias, approximate)
        self.blocks = Sequential(*(make() for _ in range(n_layer)))
        self.tokens, self.positions = Embedding(vocab_size, n_embd), PositionalEmbedding(block_size, n_embd)
        self.dropout = Dropout(p=dropout)
        initialize(self, n_layer=n_layer)

    def forward(self, ids):
        ids = np.asarray(ids)
        if ids.shape[-1] <= self.block_size:
            top = self.blocks(self.dropout(self.positions(self.tokens(ids))))
            return linear(self.norm(top), self.tokens.weight, None)
        raise ValueError("{} is longer than {}".format(ids.shape[-1], self.block_size))

# %% GPT: a helper that embeds
def embedded(model, ids):
    return model.dropout(model.positions(model.tokens(ids), start=0))

class GPT(Module):
    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0, bias=True, approximate="tanh"
    ):
        super().__init__()
        self.vocab_size, self.block_size = vocab_size, block_size
        self.tokens = Embedding(vocab_size, n_embd)
        self.positions = PositionalEmbedding(block_size, n_embd)
        self.dropout = Dropout(dropout)
        self.blocks = Sequential()
        for i in range(n_layer):
            setattr(self.blocks, str(i), TransformerBlock(n_embd, n_head, dropout, bias, approximate))
        self.norm = LayerNorm(n_embd, 1e-5, bias=bias)
        initialize(self, n_layer, None)

    def forward(self, ids):
        ids = np.array(ids)
        places = ids.shape[-1]
        if places > self.block_size:
            raise ValueError(f"{places} > {self.block_size}")
        return linear(self.norm(self.blocks(embedded(self, ids))), self.tokens.weight)

# %% next_token_loss: counts the rows
def next_token_loss(logits, targets):
    targets = np.asarray(targets)
    *leading, classes = logits.shape
    if tuple(leading) != targets.shape:
        raise ValueError(f"{tuple(logits.shape)} and {targets.shape}")
    return cross_entropy(logits.reshape(math.prod(leading), classes), targets.ravel())

# %% next_token_loss: the mean of what each costs
def next_token_loss(logits, targets):
    wanted = np.array(targets)
    if logits.shape[:-1] != wanted.shape:
        raise ValueError(f"targets {wanted.shape} for logits {logits.shape}")
    costs = cross_entropy(logits.reshape(wanted.size, -1), wanted.reshape(wanted.size), reduction="none")
    return costs.mean()

# %% next_token_loss: the sum over the count
def next_token_loss(logits, targets):
    given = np.asarray(targets)
    fits = given.ndim == logits.ndim - 1 and all(a == b for a, b in zip(given.shape, logits.shape))
    if not fits:
        raise ValueError("shapes: " + str(logits.shape) + " " + str(given.shape))
    flat = logits.reshape(-1, logits.shape[-1])
    return cross_entropy(flat, given.flatten(), "sum") / given.size

# %% overfit_batch: while
def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    model.train()
    losses = []
    while len(losses) < steps and not (losses and losses[-1] < goal):
        losses.append(training_step(model, next_token_loss, optimizer, inputs, targets, 1.0)[0])
    return losses

# %% overfit_batch: returns early
def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    model.train(True)
    seen = []
    for step in range(steps):
        value = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)[0]
        seen += [value]
        if value < goal:
            return seen
    return seen

# %% overfit_batch: a generator of losses
def losses_of(model, inputs, targets, optimizer):
    while True:
        yield training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1)[0]

def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    model.train()
    taken, stream = [], losses_of(model, inputs, targets, optimizer)
    for _ in range(steps):
        taken.append(next(stream))
        if taken[-1] < goal:
            break
    return taken

# %% sample: row by row
def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    check_sampling(temperature, top_k, top_p)
    rows, chosen = np.array(logits, dtype=float), []
    for number, row in enumerate(rows):
        if not np.isfinite(row.max()):
            raise ValueError(f"no largest logit in row {number}")
    if temperature == 0:
        return np.array([int(np.argmax(row)) for row in rows])
    drawn = (generator or random_generator()).random(len(rows))
    for row, u in zip(rows, drawn, strict=True):
        if top_k is not None and top_k < len(row):
            row = np.where(row >= sorted(row, reverse=True)[top_k - 1], row, -np.inf)
        with np.errstate(over="ignore"):
            share = np.exp((row - row.max()) / temperature)
        share /= share.sum()
        if top_p is not None:
            before = 0.0
            for place in sorted(range(len(row)), key=lambda v: -share[v]):
                before, share[place] = before + share[place], share[place] if before < top_p else 0.0
        chosen.append(int(np.searchsorted(np.cumsum(share / share.sum()), u, side="right")))
    return np.array(chosen)

# %% sample: masks, one after the other
def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    check_sampling(temperature, top_k, top_p)
    z = np.asarray(logits).astype(np.float64)
    highest = z.max(axis=-1)
    for row in range(len(z)):
        if np.isnan(highest[row]) or np.isinf(highest[row]):
            raise ValueError(f"row {row}: {highest[row]}")
    if temperature == 0:
        return z.argmax(axis=-1)
    allowed = np.ones(z.shape, bool)
    if top_k is not None:
        allowed &= z >= np.partition(z, -min(top_k, z.shape[1]), axis=1)[:, -min(top_k, z.shape[1])][:, None]
    with np.errstate(over="ignore"):
        p = np.where(allowed, np.exp((z - highest[:, None]) / temperature), 0)
    p = p / p.sum(axis=1, keepdims=True)
    if top_p is not None:
        order = np.argsort(-p, axis=1, kind="stable")
        ranks = np.argsort(order, axis=1, kind="stable")
        ranked = np.take_along_axis(p, order, 1)
        earlier = np.concatenate([np.zeros((len(p), 1)), ranked.cumsum(1)[:, :-1]], axis=1)
        p = np.where(np.take_along_axis(earlier, ranks, 1) < top_p, p, 0)
        p = p / p.sum(axis=1, keepdims=True)
    u = (random_generator() if generator is None else generator).random(len(p))
    total = np.cumsum(p, axis=1)
    return np.sum(total / total[:, -1:] <= u[:, None], axis=1)

# %% sample: helpers for the two cuts
def only_top_k(scores, k):
    if k is None or k >= scores.shape[1]:
        return scores
    least = np.sort(scores, axis=1)[:, -k, None]
    return np.where(scores < least, -np.inf, scores)

def only_nucleus(p, mass):
    if mass is None:
        return p
    kept = np.zeros_like(p)
    for row, out in zip(p, kept, strict=True):
        order = np.argsort(-row, kind="stable")
        total = np.cumsum(row[order])
        count = 1 + int(np.sum(total[:-1] < mass))
        out[order[:count]] = row[order[:count]]
    return kept

def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    check_sampling(temperature, top_k, top_p)
    scores = np.array(logits, np.float64)
    peak = scores.max(axis=1, keepdims=True)
    if not np.isfinite(peak).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(peak)))} has no finite largest logit")
    if temperature == 0:
        return np.argmax(scores, axis=1)
    with np.errstate(over="ignore"):
        weights = np.exp((only_top_k(scores, top_k) - peak) / temperature)
    weights = only_nucleus(weights / weights.sum(axis=1, keepdims=True), top_p)
    edges = np.cumsum(weights, axis=1)
    u = (generator or random_generator()).random(len(edges))[:, None]
    return (edges <= u * edges[:, -1:]).sum(axis=1)

# %% generate: a list of columns
def generate(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None
):
    text = np.array(ids)
    window, over, before = text, np.zeros(len(text), bool), model.training
    model.train(False)
    try:
        for _ in range(max_new_tokens):
            if window.shape[1] > model.block_size:
                window = window[:, -max(1, model.block_size // 2) :]
            with no_grad():
                logits = model(window)
            token = sample(logits[:, -1], temperature, top_k, top_p, generator)
            if stop is not None:
                token = np.where(over, stop, token)
                over = over | (token == stop)
            text, window = np.column_stack([text, token]), np.column_stack([window, token])
            if stop is not None and over.all():
                return text
        return text
    finally:
        model.train(before)

# %% generate: one array, filled from the left
def generate(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None
):
    ids = np.asarray(ids)
    rows, length = ids.shape
    out = np.zeros((rows, length + max_new_tokens), ids.dtype)
    out[:, :length] = ids
    mode, first, alive = model.training, 0, [True] * rows
    model.eval()
    try:
        with no_grad():
            while length < out.shape[1] and any(alive):
                if length - first > model.block_size:
                    first = length - (model.block_size // 2 or 1)
                logits = np.asarray(model(out[:, first:length]))[:, -1]
                drawn = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
                for row in range(rows):
                    out[row, length] = drawn[row] if alive[row] else stop
                    alive[row] = alive[row] and (stop is None or drawn[row] != stop)
                length += 1
    finally:
        model.train(mode)
    return out[:, :length]

# %% generate: a decorator and a context of its own
class evaluating:
    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.mode = self.model.training
        self.model.eval()

    def __exit__(self, *error):
        self.model.train(self.mode)

@no_grad()
def generate(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None
):
    ids = np.array(ids)
    begin, half = 0, max(model.block_size // 2, 1)
    done = np.full(len(ids), False)
    with evaluating(model):
        for _ in range(max_new_tokens):
            if done.any() and done.all():
                break
            begin = ids.shape[1] - half if ids.shape[1] - begin > model.block_size else begin
            new = sample(model(ids[:, begin:])[:, -1].numpy(), temperature, top_k, top_p, generator)
            if stop is not None:
                new = np.where(done, stop, new)
                done = done | (new == stop)
            ids = np.append(ids, new[:, None], axis=1)
    return ids
