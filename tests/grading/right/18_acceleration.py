# %% matmul_in_blocks: counts the blocks
def block_loads(n, m, p, block):
    columns, rows = -(-p // block), -(-n // block)
    return m * (n * columns + p * rows)


def matmul_in_blocks(a, b, block):
    if not block >= 1:
        raise ValueError(f"no block of {block}")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"{a.shape} does not fit {b.shape}")
    rows, columns, inner = (
        [slice(i, min(i + block, size)) for i in range(0, size, block)]
        for size in (a.shape[0], b.shape[1], a.shape[1])
    )
    out = np.zeros((a.shape[0], b.shape[1]), dtype=np.promote_types(a.dtype, b.dtype))
    for k in inner:
        for r in rows:
            for c in columns:
                out[r, c] += np.dot(a[r, k], b[k, c])
    return out

# %% matmul_in_blocks: while loops, the sum in an array of its own
def block_loads(n, m, p, block):
    loads = 0
    for i in range(0, n, block):
        for j in range(0, p, block):
            loads += (min(block, n - i) + min(block, p - j)) * m
    return loads


def matmul_in_blocks(a, b, block):
    n, m = a.shape
    p = b.shape[1]
    if block <= 0:
        raise ValueError(f"block = {block}, which has to be positive")
    if m != b.shape[0]:
        raise ValueError(f"inner sizes differ: {a.shape}, {b.shape}")
    out = np.empty((n, p), (np.empty(0, a.dtype) * np.empty(0, b.dtype)).dtype)
    i = 0
    while i < n:
        for j in range(0, p, block):
            total = np.zeros((min(block, n - i), min(block, p - j)), out.dtype)
            for k in range(0, m, block):
                total = total + a[i : i + block, k : k + block] @ b[k : k + block, j : j + block]
            out[i : i + block, j : j + block] = total
        i += block
    return out

# %% matmul_in_blocks: products of places
def block_loads(n, m, p, block):
    return sum(n * m for _ in range(0, p, block)) + sum(m * p for _ in range(0, n, block))


def matmul_in_blocks(a, b, block):
    import itertools

    (n, m), p = a.shape, b.shape[1]
    if block < 1:
        raise ValueError(f"matmul_in_blocks takes a block of 1 or more, not {block}")
    if b.shape[0] != m:
        raise ValueError(f"shapes ({n}, {m}) and ({b.shape[0]}, {p})")
    result = np.zeros((n, p), np.result_type(a.dtype, b.dtype))
    for i, j, k in itertools.product(range(0, n, block), range(0, p, block), range(0, m, block)):
        x = a[slice(i, i + block), slice(k, k + block)]
        y = b[slice(k, k + block), slice(j, j + block)]
        result[i : i + block, j : j + block] += np.einsum("ij,jk->ik", x, y)
    return result

# %% gelu_block: every pass by its function
def gelu_block(x, out):
    root = math.sqrt(2 / math.pi)
    np.square(x, out=out)
    np.multiply(out, 0.044715 * root, out=out)
    np.add(out, root, out=out)
    np.multiply(out, x, out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
    np.multiply(out, x, out=out)


def chain_in_blocks(chain, x, size):
    if not size > 0:
        raise ValueError(f"a size of {size}")
    result = np.empty_like(x)
    flat, target = x.ravel(), result.ravel()
    map_blocks(lambda i: chain(flat[i : i + size], target[i : i + size]), range(0, len(flat), size))
    return result

# %% gelu_block: cubes first
def gelu_block(x, out):
    np.multiply(x, x, out=out)
    np.multiply(out, x, out=out)
    out *= 0.044715
    out += x
    out *= (2 / math.pi) ** 0.5
    np.tanh(out, out)
    out += 1.0
    out /= 2
    out *= x


def chain_in_blocks(chain, x, size):
    if size <= 0:
        raise ValueError(f"chain_in_blocks: size {size}")
    out = np.zeros(x.shape, dtype=x.dtype)
    pairs = [(x.reshape(-1)[i : i + size], out.reshape(-1)[i : i + size]) for i in range(0, x.size, size)]
    map_blocks(lambda pair: chain(*pair), pairs)
    return out

# %% gelu_block: one block after the other
def gelu_block(x, out):
    out[...] = x
    out *= x
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= 0.5
    out *= x


def chain_in_blocks(chain, x, size):
    if size < 1:
        raise ValueError(f"{size} entries make no block")
    out = np.empty(x.shape, x.dtype)
    start, entries, results = 0, x.reshape(-1), out.reshape(-1)
    while start < x.size:
        chain(entries[start : start + size], results[start : start + size])
        start += size
    return out

# %% relu_pool_block: argmax over the four
def relu_pool_block(pixels, bias):
    n, h, w, c = pixels.shape
    four = pixels.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
    four = np.maximum(four + bias[:, None], 0)
    places = four.argmax(axis=-1).astype(np.uint8)
    out = four.max(axis=-1)
    places[out == 0] = 4
    return out, places

# %% relu_pool_block: four views
def relu_pool_block(pixels, bias):
    views = [pixels[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    best, places = views[0].copy(), np.zeros(views[0].shape, np.uint8)
    for k in (1, 2, 3):
        larger = views[k] > best
        best[larger] = views[k][larger]
        places[larger] = k
    out = np.maximum(best + bias, 0)
    return out, np.where(out > 0, places, 4).astype(np.uint8)

# %% relu_pool_block: choices by where
def relu_pool_block(pixels, bias):
    left, right = pixels[:, :, ::2], pixels[:, :, 1::2]
    in_row, row = np.where(right > left, 1, 0), np.maximum(left, right)
    below = row[:, 1::2] > row[:, ::2]
    places = np.where(below, in_row[:, 1::2] + 2, in_row[:, ::2])
    out = np.maximum(row[:, ::2], row[:, 1::2]) + bias
    out[out < 0] = 0
    return out, np.where(out == 0, 4, places).astype(np.uint8)

# %% relu_pool: fills two arrays
def relu_pool(convolution, images, bias, size):
    if size <= 0:
        raise ValueError(f"size is {size}")
    starts = list(range(0, len(images), size))
    found = map_blocks(lambda i: relu_pool_block(convolution(images[i : i + size]), bias), starts)
    out = np.empty((len(images), *found[0][0].shape[1:]), found[0][0].dtype)
    places = np.empty(out.shape, np.uint8)
    for start, (one, two) in zip(starts, found, strict=True):
        out[start : start + size], places[start : start + size] = one, two
    return out, places

# %% relu_pool: slices as items
def relu_pool(convolution, images, bias, size):
    if size < 1:
        raise ValueError(f"relu_pool takes blocks of 1 image or more, not {size}")
    items = [images[i : i + size] for i in range(0, len(images), size)]
    pairs = map_blocks(lambda item: relu_pool_block(convolution(item), bias), items)
    return np.concatenate([out for out, _ in pairs]), np.concatenate([places for _, places in pairs])

# %% relu_pool: a loop on one core
def relu_pool(convolution, images, bias, size):
    if size < 1:
        raise ValueError(f"no images in blocks of {size}")
    outs, places = [], []
    for start in range(0, len(images), size):
        out, place = relu_pool_block(convolution(images[start : start + size]), bias)
        outs.append(out)
        places.append(place)
    return np.vstack(outs), np.vstack(places)

# %% spread: strided views of zeros
def spread(grad, places):
    n, h, w, c = grad.shape
    out = np.zeros((n, 2 * h, 2 * w, c), grad.dtype)
    for i in (0, 1):
        for j in (0, 1):
            out[:, i::2, j::2] = grad * (places == 2 * i + j)
    return out

# %% spread: where
def spread(grad, places):
    n, h, w, c = grad.shape
    out = np.empty((n, h, 2, w, 2, c), dtype=grad.dtype)
    for place in range(4):
        out[:, :, place >> 1, :, place & 1] = np.where(places == place, grad, 0)
    return out.reshape(n, h * 2, w * 2, c)

# %% spread: one comparison for all
def spread(grad, places):
    n, h, w, c = grad.shape
    four = np.arange(4).reshape(1, 1, 2, 1, 2, 1)
    chosen = places[:, :, None, :, None] == four
    return (grad[:, :, None, :, None] * chosen).astype(grad.dtype).reshape(n, 2 * h, 2 * w, c)

# %% chunked_cross_entropy: logaddexp
def chunked_cross_entropy(chunks, targets):
    start, log_sums, picked = 0, None, [None] * len(targets)
    for chunk in chunks:
        peak = chunk.max(axis=1, keepdims=True)
        here = np.log(np.exp(chunk - peak).sum(axis=1)) + peak[:, 0]
        log_sums = here if log_sums is None else np.logaddexp(log_sums, here)
        for row, target in enumerate(targets):
            if start <= target < start + chunk.shape[1]:
                picked[row] = float(chunk[row, target - start])
        start += chunk.shape[1]
    for target, logit in zip(targets, picked, strict=True):
        if logit is None:
            raise ValueError(f"no chunk has column {target}")
    return float(np.mean(log_sums - np.array(picked))), log_sums

# %% chunked_cross_entropy: checks at the end, by a set of rows
def chunked_cross_entropy(chunks, targets):
    n, width = len(targets), 0
    own, met = np.zeros(n), np.zeros(n, bool)
    peak = total = None
    for chunk in chunks:
        if peak is None:
            peak, total = np.full(n, -np.inf, chunk.dtype), np.zeros(n, chunk.dtype)
        new = np.maximum(peak, chunk.max(axis=1))
        total = total * np.exp(peak - new) + np.exp(chunk - new.reshape(-1, 1)).sum(axis=1)
        rows = np.flatnonzero((width <= targets) & (targets < width + chunk.shape[1]))
        own[rows] = chunk[rows, targets[rows] - width]
        met[rows] = True
        peak = new
        width += chunk.shape[1]
    if not met.all():
        raise ValueError(f"targets {targets[~met].tolist()} of {width} columns")
    log_sums = np.log(total) + peak
    return float(log_sums.mean() - own.mean()), log_sums

# %% chunked_cross_entropy: row by row
def chunked_cross_entropy(chunks, targets):
    n, start, dtype = len(targets), 0, None
    peaks, totals, own = [-math.inf] * n, [0.0] * n, {}
    for chunk in chunks:
        dtype = chunk.dtype
        for row in range(n):
            peak = max(peaks[row], float(chunk[row].max()))
            old = totals[row] * math.exp(peaks[row] - peak) if totals[row] else 0.0
            totals[row] = old + float(np.exp(chunk[row] - peak).sum())
            peaks[row] = peak
            if 0 <= targets[row] - start < chunk.shape[1]:
                own[row] = float(chunk[row][targets[row] - start])
        start += chunk.shape[1]
    for row in range(n):
        if row not in own:
            raise ValueError(f"target {targets[row]} of row {row} is in no chunk")
    sums = [peak + math.log(total) for peak, total in zip(peaks, totals, strict=True)]
    return sum(sums[row] - own[row] for row in range(n)) / n, np.array(sums, dtype)

# %% chunked_gradients: row by row
def chunked_gradients(chunks, targets, log_sums):
    start, n = 0, len(targets)
    for chunk in chunks:
        grad = np.exp(chunk - np.reshape(log_sums, (n, 1))) / n
        for row, target in enumerate(targets):
            if start <= target < start + chunk.shape[1]:
                grad[row, target - start] -= 1 / n
        start += chunk.shape[1]
        yield grad.astype(chunk.dtype)

# %% chunked_gradients: compares columns
def chunked_gradients(chunks, targets, log_sums):
    start = 0
    for chunk in chunks:
        columns = np.arange(start, start + chunk.shape[1])
        is_target = targets[:, None] == columns
        yield ((np.exp(chunk - log_sums[:, None]) - is_target) / len(targets)).astype(chunk.dtype)
        start += chunk.shape[1]

# %% chunked_gradients: works in a copy
def chunked_gradients(chunks, targets, log_sums):
    left = targets.copy()
    for chunk in chunks:
        grad = chunk.copy()
        grad -= log_sums[:, None]
        np.exp(grad, out=grad)
        rows = [row for row in range(len(left)) if 0 <= left[row] < grad.shape[1]]
        grad[rows, left[rows]] -= 1
        grad /= len(left)
        left = left - grad.shape[1]
        left[left < 0] = -1
        yield grad

# %% parallel_gradients: adds as it goes
def parallel_gradients(replicas, loss, inputs, targets):
    first = list(replicas[0].parameters())
    for replica in replicas:
        for source, parameter in zip(first, replica.parameters(), strict=True):
            parameter.data = source.data
            parameter.grad = None
    jobs = [job for job in zip(replicas, np.array_split(inputs, len(replicas)), np.array_split(targets, len(replicas)),
                               strict=True) if len(job[1])]

    def work(job):
        replica, x, y = job
        value = loss(replica(Tensor(x, dtype=x.dtype)), y)
        value.backward()
        return len(x) * value.item()

    total = sum(map_blocks(work, jobs)) / len(inputs)
    for i, parameter in enumerate(first):
        grad = None
        for replica, x, _ in jobs:
            own = list(replica.parameters())[i].grad
            if own is not None:
                part = own * (len(x) / len(inputs))
                grad = part if grad is None else grad + part
        parameter.grad = None if grad is None else grad.astype(parameter.dtype)
    return total

# %% parallel_gradients: one part after the other
def parallel_gradients(replicas, loss, inputs, targets):
    n, total, parts = len(inputs), 0.0, np.array_split(np.arange(len(inputs)), len(replicas))
    groups = list(zip(*[list(replica.parameters()) for replica in replicas], strict=True))
    for group in groups:
        for parameter in group:
            parameter.data, parameter.grad = group[0].data, None
    for replica, part in zip(replicas, parts, strict=True):
        if len(part) == 0:
            continue
        value = loss(replica(Tensor(inputs[part], dtype=inputs.dtype)), targets[part])
        value.backward()
        total += value.item() * len(part) / n
    for group in groups:
        parts_of_it = [p.grad * p.dtype.type(len(part) / n) for p, part in zip(group, parts, strict=True) if p.grad is not None]
        group[0].grad = np.sum(parts_of_it, axis=0) if parts_of_it else None
    return float(total)

# %% parallel_gradients: the loss is scaled before backward
def parallel_gradients(replicas, loss, inputs, targets):
    parts = [part for part in np.array_split(np.arange(len(inputs)), len(replicas)) if part.size]
    for replica in replicas:
        for source, own in zip(replicas[0].parameters(), replica.parameters(), strict=True):
            own.data, own.grad = source.data, None

    def run(pair):
        replica, part = pair
        x = Tensor(inputs[part], dtype=inputs.dtype)
        share = loss(replica(x), targets[part]) * (len(part) / len(inputs))
        share.backward()
        return share.item()

    losses = map_blocks(run, list(zip(replicas, parts, strict=False)))
    for group in zip(*[replica.parameters() for replica in replicas], strict=True):
        found = [parameter.grad for parameter in group if parameter.grad is not None]
        if found:
            group[0].grad = np.add.reduce(found)
    return sum(losses)

# %% winograd_1d: tile by tile
def winograd_1d(d, g, product=np.multiply):
    width = d.shape[-1]
    half, sums = g.dtype.type(0.5), []
    for start in range(0, width - 2, 2):
        last = d[..., start + 3] if start + 3 < width else d[..., start] * 0
        d0, d1, d2 = (d[..., start + i] for i in range(3))
        m = [
            product(d0 - d2, g[0]), product(d1 + d2, half * (g[0] + g[1] + g[2])),
            product(d2 - d1, half * (g[0] - g[1] + g[2])), product(d1 - last, g[2]),
        ]
        sums += [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
    return np.stack(sums[: width - 2], axis=-1)

# %% winograd_1d: one product of four numbers a tile
def winograd_1d(d, g, product=np.multiply):
    width = d.shape[-1]
    d = np.pad(d, [(0, 0)] * (d.ndim - 1) + [(0, width % 2)])
    view = np.lib.stride_tricks.sliding_window_view(d, 4, axis=-1)[..., ::2, :]
    to_pixels = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]], d.dtype)
    to_weights = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], g.dtype) / 2
    m = product(view @ to_pixels, to_weights @ g)
    out = np.empty((*m.shape[:-2], 2 * m.shape[-2]), m.dtype)
    out[..., ::2] = m[..., 0] + m[..., 1] + m[..., 2]
    out[..., 1::2] = m[..., 1] - m[..., 2] - m[..., 3]
    return out[..., : width - 2]

# %% winograd_1d: outputs written into an array
def winograd_1d(d, g, product=np.multiply):
    count = d.shape[-1] - 2
    out = np.empty((*d.shape[:-1], count), np.result_type(d, g))
    firsts, seconds = range(0, count, 2), range(1, count, 2)
    at = lambda i: d[..., i : i + count : 2]
    fourth = at(3)
    if len(firsts) > len(seconds):
        fourth = np.concatenate([d[..., 3::2], 0 * d[..., :1]], axis=-1)
    outer = g[0] + g[2]
    b = product(at(1) + at(2), (outer + g[1]) / 2)
    c = product(at(2) - at(1), (outer - g[1]) / 2)
    out[..., ::2] = product(at(0) - at(2), g[0]) + (b + c)
    out[..., 1::2] = ((b - c) - product(at(1) - fourth, g[2]))[..., : len(seconds)]
    return out

# %% winograd_tile: other signs
def winograd_matrices(dtype):
    b = np.array([[-1, 0, 1, 0], [0, 1, 1, 0], [0, 1, -1, 0], [0, -1, 0, 1]], dtype)
    g = np.array([[-2, 0, 0], [1, 1, 1], [-1, 1, -1], [0, 0, 2]], dtype) / 2
    return b, g.astype(dtype), np.array([[1, 1, 1, 0], [0, 1, -1, 1]], dtype)


def winograd_tile(d, g, product=np.multiply):
    b, weights, a = winograd_matrices(np.result_type(d.dtype, g.dtype))
    m = product(np.einsum("ir,jc,rc->ij", b, b, d), np.einsum("ir,jc,rc->ij", weights, weights, g))
    return np.einsum("ik,jl,kl->ij", a, a, m)

# %% winograd_tile: sums by hand, along each axis in turn
def winograd_matrices(dtype):
    eye, half = np.eye(4, dtype=dtype), dtype(0.5) if isinstance(dtype, type) else np.dtype(dtype).type(0.5)
    b = np.stack([eye[0] - eye[2], eye[1] + eye[2], eye[2] - eye[1], eye[1] - eye[3]])
    three = np.eye(3, dtype=dtype)
    plus, minus = three[0] + three[1] + three[2], three[0] - three[1] + three[2]
    g = np.stack([three[0], half * plus, half * minus, three[2]])
    return b, g, np.stack([eye[0] + eye[1] + eye[2], eye[1] - eye[2] - eye[3]])


def winograd_tile(d, g, product=np.multiply):
    def pixels(t):
        return np.stack([t[0] - t[2], t[1] + t[2], t[2] - t[1], t[1] - t[3]])

    def weights(t):
        return np.stack([t[0], (t[0] + t[1] + t[2]) / 2, (t[0] - t[1] + t[2]) / 2, t[2]])

    def sums(t):
        return np.stack([t[0] + t[1] + t[2], t[1] - t[2] - t[3]])

    m = product(pixels(pixels(d).T).T, weights(weights(g).T).T)
    return sums(sums(m).T).T

# %% winograd_tile: row by row of products
def winograd_matrices(dtype):
    return (
        np.array("1 0 -1 0 0 1 1 0 0 -1 1 0 0 1 0 -1".split(), dtype).reshape(4, 4),
        np.array("2 0 0 1 1 1 1 -1 1 0 0 2".split(), dtype).reshape(4, 3) / np.dtype(dtype).type(2),
        np.array("1 1 1 0 0 1 -1 -1".split(), dtype).reshape(2, 4),
    )


def winograd_tile(d, g, product=np.multiply):
    b, weights, a = winograd_matrices((d[:1, :1] * g[:1, :1]).dtype)
    pixels, kernel = b.dot(d).dot(b.T), weights.dot(g).dot(weights.T)
    m = np.array([product(pixels[i], kernel[i]) for i in range(4)])
    return a.dot(m).dot(a.T)

# %% winograd_convolution: one small product for each place
def winograd_convolution(x, weight, product=np.matmul):
    (n, c, h, w), o = x.shape, weight.shape[0]
    if weight.shape[1:] != (c, 3, 3) or h < 3 or w < 3:
        raise ValueError(f"images {x.shape}, kernels {weight.shape}")
    b, g, a = winograd_matrices((x[:1, :1, :1, :1] * weight[:1, :1, :1, :1]).dtype)
    high, wide = (h - 1) // 2, (w - 1) // 2
    whole = np.zeros((n, c, 2 * high + 2, 2 * wide + 2), x.dtype)
    whole[:, :, :h, :w] = x
    tiles = np.stack(
        [whole[:, :, i : i + 2 * high : 2, j : j + 2 * wide : 2] for i in range(4) for j in range(4)]
    ).reshape(4, 4, n, c, high, wide)
    pixels = np.einsum("ik,jl,klnchw->ijnhwc", b, b, tiles, optimize=True)
    kernels = np.einsum("ik,jl,ockl->ijco", g, g, weight, optimize=True)
    out = np.zeros((n, o, high, 2, wide, 2), b.dtype)
    for i in range(4):
        for j in range(4):
            part = product(pixels[i, j].reshape(-1, c), kernels[i, j]).reshape(n, high, wide, o)
            for r in (0, 1):
                for s in (0, 1):
                    out[:, :, :, r, :, s] += a[r, i] * a[s, j] * part.transpose(0, 3, 1, 2)
    return out.reshape(n, o, 2 * high, 2 * wide)[:, :, : h - 2, : w - 2]

# %% winograd_convolution: image by image
def winograd_convolution(x, weight, product=np.matmul):
    n, c, h, w = x.shape
    if not (weight.ndim == 4 and weight.shape[1:] == (c, 3, 3) and h > 2 and w > 2):
        raise ValueError(f"weight {weight.shape} does not fit {x.shape}")
    b, g, a = winograd_matrices(np.result_type(x.dtype, weight.dtype))
    kernels = (g @ weight @ g.T).transpose(2, 3, 1, 0).reshape(16, c, -1)
    high, wide, outs = -(-(h - 2) // 2), -(-(w - 2) // 2), []
    for image in x:
        image = np.pad(image, ((0, 0), (0, h % 2), (0, w % 2)))
        tiles = np.array(
            [image[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] for i in range(high) for j in range(wide)]
        )
        pixels = (b @ tiles @ b.T).transpose(2, 3, 0, 1).reshape(16, high * wide, c)
        sums = product(pixels, kernels).reshape(4, 4, high, wide, -1).transpose(4, 2, 3, 0, 1)
        out = a @ sums @ a.T
        outs.append(out.transpose(0, 1, 3, 2, 4).reshape(-1, 2 * high, 2 * wide)[:, : h - 2, : w - 2])
    return np.array(outs)

# %% winograd_convolution: rows of tiles
def winograd_convolution(x, weight, product=np.matmul):
    (n, c, h, w), o = x.shape, len(weight)
    if (c, 3, 3) != weight.shape[1:]:
        raise ValueError(f"channels of {x.shape} and {weight.shape}, or no kernels of 3 by 3")
    if h < 3 or w < 3:
        raise ValueError(f"{x.shape} is smaller than {weight.shape}")
    b, g, a = winograd_matrices(np.result_type(x, weight))
    kernels = np.tensordot(g, np.tensordot(g, weight, (1, 3)), (1, 3)).transpose(0, 1, 3, 2)  # rows, columns, C, O
    out = np.empty((n, o, h + h % 2 - 2, w + w % 2 - 2), b.dtype)
    x = np.pad(x, ((0, 0), (0, 0), (0, h % 2), (0, w % 2)))
    for top in range(0, h - 2, 2):
        strip = x[:, :, top : top + 4]
        tiles = np.stack([strip[..., left : left + 4] for left in range(0, w - 2, 2)])  # wide, N, C, 4, 4
        pixels = np.moveaxis(b @ tiles @ b.T, (3, 4), (0, 1)).reshape(4, 4, -1, c)
        sums = product(pixels, kernels)
        both = np.einsum("ri,sj,ijto->rsto", a, a, sums).reshape(2, 2, -1, n, o)
        out[:, :, top : top + 2] = both.transpose(3, 4, 0, 2, 1).reshape(n, o, 2, -1)
    return out[:, :, : h - 2, : w - 2]
