# %% matmul_in_blocks: whole rows and columns at once, whatever the block
- for k in range(0, m, block):
-     left, right = a[i : i + block, k : k + block], b[k : k + block, j : j + block]
-     out[i : i + block, j : j + block] += left @ right
+ out[i : i + block, j : j + block] = a[i : i + block, 0:m] @ b[0:m, j : j + block]

# %% matmul_in_blocks: everything is loaded at once
- for i in range(0, n, block):
-     for j in range(0, p, block):
-         for k in range(0, m, block):
-             left, right = a[i : i + block, k : k + block], b[k : k + block, j : j + block]
-             out[i : i + block, j : j + block] += left @ right
+ out += a[0:n, 0:m] @ b[0:m, 0:p]

# %% matmul_in_blocks: what does not fill a block is left out
- for i in range(0, n, block):
+ for i in range(0, n - block + 1, block):

# %% matmul_in_blocks: always float64
- out = np.zeros((n, p), np.result_type(a.dtype, b.dtype))
+ out = np.zeros((n, p))

# %% matmul_in_blocks: any block
- if block < 1:
-     raise ValueError(f"matmul_in_blocks: a block of {block} holds nothing; at least 1")
+ block = max(block, 1)

# %% matmul_in_blocks: the prediction of the loops, without blocks
- return n * m * math.ceil(p / block) + m * p * math.ceil(n / block)
+ return 2 * n * m * p

# %% matmul_in_blocks: the prediction rounds down
- return n * m * math.ceil(p / block) + m * p * math.ceil(n / block)
+ return n * m * max(p // block, 1) + m * p * max(n // block, 1)

# %% gelu_block: an expression, whose arrays are all new
- np.multiply(x, x, out=out)
- out *= 0.044715
- out += 1
- out *= x
- out *= math.sqrt(2 / math.pi)
- np.tanh(out, out=out)
- out += 1
- out *= x
- out *= 0.5
+ out[...] = x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

# %% gelu_block: relu
- np.multiply(x, x, out=out)
- out *= 0.044715
- out += 1
- out *= x
- out *= math.sqrt(2 / math.pi)
- np.tanh(out, out=out)
- out += 1
- out *= x
- out *= 0.5
+ np.maximum(x, 0, out=out)

# %% gelu_block: leaves out as it was
- np.multiply(x, x, out=out)
- out *= 0.044715
- out += 1
- out *= x
- out *= math.sqrt(2 / math.pi)
- np.tanh(out, out=out)
- out += 1
- out *= x
- out *= 0.5
+ out = x * 0.5

# %% gelu_block: works in x
- np.multiply(x, x, out=out)
- out *= 0.044715
- out += 1
- out *= x
+ np.multiply(x, 1, out=out)
+ np.multiply(x, x, out=x)
+ x *= 0.044715
+ x += 1
+ out *= x
+ np.multiply(out, 1, out=x)

# %% gelu_block: the chain sees everything at once
- map_blocks(work, range(0, x.size, size))
+ chain(entries, results)

# %% gelu_block: the end of the array is left out
- map_blocks(work, range(0, x.size, size))
+ map_blocks(work, range(0, x.size - size + 1, size))

# %% gelu_block: no size is refused
- if size < 1:
-     raise ValueError(f"chain_in_blocks: a block of {size} entries; at least 1")
+ size = max(size, 1)

# %% relu_pool_block: nothing but zeros
def relu_pool_block(pixels, bias):
    n, h, w, c = pixels.shape
    return np.zeros((n, h // 2, w // 2, c), pixels.dtype), np.full((n, h // 2, w // 2, c), 4, np.uint8)

# %% relu_pool_block: the mean of the four
- is_lower, out = (lower > upper).view(np.uint8), np.maximum(upper, lower)
+ is_lower, out = (lower > upper).view(np.uint8), pixels.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))

# %% relu_pool_block: rows count one, columns two
- places = is_right[:, ::2] * (1 - is_lower) + is_right[:, 1::2] * is_lower + 2 * is_lower
+ places = 2 * is_right[:, ::2] * (1 - is_lower) + 2 * is_right[:, 1::2] * is_lower + is_lower

# %% relu_pool_block: the bias goes into the pixels
- n, h, w, c = pixels.shape
+ pixels += bias
+ bias = 0 * bias
+ n, h, w, c = pixels.shape

# %% relu_pool: everything is convolved at once
def relu_pool(convolution, images, bias, size):
    if size < 1:
        raise ValueError(f"relu_pool: blocks of {size} images")
    return relu_pool_block(convolution(images), bias)

# %% relu_pool: collects what the next call overwrites
def relu_pool(convolution, images, bias, size):
    if size < 1:
        raise ValueError(f"relu_pool: blocks of {size} images")
    blocks = [convolution(images[start : start + size]) for start in range(0, len(images), size)]
    return relu_pool_block(np.concatenate(blocks), bias)

# %% relu_pool: each image alone
def relu_pool(convolution, images, bias, size):
    if size < 1:
        raise ValueError(f"relu_pool: blocks of {size} images")
    parts = [relu_pool_block(convolution(images[i : i + 1]), bias) for i in range(len(images))]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

# %% relu_pool: the last images are left out
- return relu_pool_block(convolution(images[start : start + size]), bias)
+ return relu_pool_block(convolution(images[: len(images) // size * size or 1][start : start + size]), bias)

# %% relu_pool: no convolution at all
- return relu_pool_block(convolution(images[start : start + size]), bias)
+ return relu_pool_block(images[start : start + size], bias)

# %% relu_pool: any size
- if size < 1:
-     raise ValueError(f"relu_pool: blocks of {size} images; at least 1")
+ size = max(size, 1)

# %% spread: nothing but zeros
def spread(grad, places):
    n, h, w, c = grad.shape
    return np.zeros((n, 2 * h, 2 * w, c), grad.dtype)

# %% spread: to all four
def spread(grad, places):
    return np.repeat(np.repeat(grad, 2, axis=1), 2, axis=2)

# %% spread: where ReLU cut, to the last
- np.multiply(grad[some], places[some] == place, out=target)
+ np.multiply(grad[some], np.minimum(places[some], 3) == place, out=target)

# %% spread: rows for columns
- target = out[some, :, place // 2, :, place % 2]
+ target = out[some, :, place % 2, :, place // 2]

# %% chunked_cross_entropy: always 0
def chunked_cross_entropy(chunks, targets):
    chunks = [chunk.copy() for chunk in chunks]
    return 0.0, np.zeros(len(targets))

# %% chunked_cross_entropy: overflows
- higher = np.maximum(peak, chunk.max(axis=1))
+ higher = np.zeros(len(targets), chunk.dtype)

# %% chunked_cross_entropy: targets count from each chunk's beginning
- peak, start = higher, start + chunk.shape[1]
+ peak = higher

# %% chunked_cross_entropy: keeps the chunks
def chunked_cross_entropy(chunks, targets):
    logits = np.concatenate(list(chunks), axis=1)
    for target in targets:
        if not 0 <= target < logits.shape[1]:
            raise ValueError(f"target {target}")
    peak = logits.max(axis=1)
    log_sums = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return float((log_sums - logits[np.arange(len(targets)), targets]).mean()), log_sums

# %% chunked_gradients: nothing but zeros
def chunked_gradients(chunks, targets, log_sums):
    for chunk in chunks:
        yield np.zeros_like(chunk)

# %% chunked_gradients: all chunks are read first
def chunked_gradients(chunks, targets, log_sums):
    rows, start, grads = np.arange(len(targets)), 0, []
    for chunk in chunks:
        grad = np.exp(chunk - log_sums[:, None]) / len(targets)
        here = (targets >= start) & (targets < start + chunk.shape[1])
        grad[rows[here], targets[here] - start] -= 1 / len(targets)
        start += chunk.shape[1]
        grads.append(grad)
    return iter(grads)

# %% chunked_gradients: softmax of each chunk for itself
- grad = np.exp(chunk - log_sums[:, None])
+ grad = np.exp(chunk) / np.exp(chunk).sum(axis=1, keepdims=True)

# %% chunked_gradients: all targets in the first columns
- start += chunk.shape[1]
+ start += 0

# %% parallel_gradients: the first replica does it all
def parallel_gradients(replicas, loss, inputs, targets):
    for parameter in replicas[0].parameters():
        parameter.grad = None
    value = loss(replicas[0](Tensor(inputs, dtype=inputs.dtype)), targets)
    value.backward()
    return value.item()

# %% parallel_gradients: gradients of the first part only
- group[0].grad = sum(grads[1:], grads[0]) if grads else None
+ group[0].grad = grads[0] if grads else None

# %% parallel_gradients: parts of different lengths weigh the same
- return value.item() * len(part) / len(inputs)
+ return value.item() / len(places)

# %% parallel_gradients: copies keep their own numbers
- parameter.data, parameter.grad = group[0].data, None
+ parameter.grad = None

# %% parallel_gradients: earlier gradients stay
- parameter.data, parameter.grad = group[0].data, None
+ parameter.data = group[0].data

# %% parallel_gradients: every replica gets the whole batch
- some = slice(places[k][0], places[k][-1] + 1)
+ some = slice(0, len(inputs))

# %% winograd_1d: three multiplications for each sum
def winograd_1d(d, g, product=np.multiply):
    return product(d[..., :-2], g[0]) + product(d[..., 1:-1], g[1]) + product(d[..., 2:], g[2])

# %% winograd_1d: product is called for show
def winograd_1d(d, g, product=np.multiply):
    product(np.zeros((*d.shape[:-1], 4 * ((d.shape[-1] - 1) // 2))), g[0])
    return d[..., :-2] * g[0] + d[..., 1:-1] * g[1] + d[..., 2:] * g[2]

# %% winograd_1d: tiles of which each begins four pixels after the one before
- d0, d1, d2, d3 = (padded[..., i : i + count : 2] for i in range(4))
+ d0, d1, d2, d3 = (padded[..., i : i + count : 4] for i in range(4))

# %% winograd_1d: an even number of outputs only
- padded = np.concatenate([d, np.zeros_like(d[..., :odd])], axis=-1)
+ padded, count, odd = d, count - odd, 0

# %% winograd_1d: nothing but zeros
def winograd_1d(d, g, product=np.multiply):
    for _ in range(4):
        product(np.zeros((*d.shape[:-1], (d.shape[-1] - 1) // 2)), g[0])
    return np.zeros((*d.shape[:-1], d.shape[-1] - 2), d.dtype)

# %% winograd_tile: one multiplication after the other
def winograd_matrices(dtype):
    return np.zeros((4, 4), dtype), np.zeros((4, 3), dtype), np.zeros((2, 4), dtype)


def winograd_tile(d, g, product=np.multiply):
    return np.array([[product(d[i : i + 3, j : j + 3], g).sum() for j in (0, 1)] for i in (0, 1)])

# %% winograd_tile: the matrices of a convolution that turns its weights round
- weights = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
+ weights = [[0, 0, 1], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [1, 0, 0]]

# %% winograd_tile: only along the columns
- both = product(to_pixels @ d @ to_pixels.T, to_weights @ g @ to_weights.T)
+ both = product(to_pixels @ d, (to_weights @ g) @ np.ones((3, 4)))

# %% winograd_tile: halves are forgotten
- weights = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
+ weights = [[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]]

# %% winograd_tile: always float64
- to_pixels, to_weights, to_sums = winograd_matrices(np.result_type(d, g))
+ to_pixels, to_weights, to_sums = winograd_matrices(np.float64)

# %% winograd_convolution: the provided one, which asks no product of ours
def winograd_convolution(x, weight, product=np.matmul):
    if weight.shape[1:] != (x.shape[1], 3, 3) or min(x.shape[2:]) < 3:
        raise ValueError(f"{x.shape} and {weight.shape}")
    from tinytorch.kernels.spatial import convolve

    return convolve(x, weight, None, stride=(1, 1), padding=(0, 0))

# %% winograd_convolution: columns and one product
def winograd_convolution(x, weight, product=np.matmul):
    if weight.shape[1:] != (x.shape[1], 3, 3) or min(x.shape[2:]) < 3:
        raise ValueError(f"{x.shape} and {weight.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    columns = windows.reshape(*windows.shape[:3], -1)
    return product(columns, weight.reshape(len(weight), -1).T).transpose(0, 3, 1, 2)

# %% winograd_convolution: channels are not added up
- sums = product(pixels, along_both(to_weights, weight.transpose(2, 3, 1, 0)))
+ sums = product(pixels[..., :1], along_both(to_weights, weight.transpose(2, 3, 1, 0))[:, :, :1])

# %% winograd_convolution: what does not fill a tile is left out
- high, wide = (h - 1) // 2, (w - 1) // 2  # tiles down and across
+ high, wide = max((h - 2) // 2, 1), max((w - 2) // 2, 1)

# %% winograd_convolution: any shapes
- raise ValueError(f"winograd_convolution: images {x.shape} and weights {weight.shape} do not fit")
+ weight = np.resize(weight, (o, c, 3, 3))

# %% winograd_convolution: nothing but zeros
def winograd_convolution(x, weight, product=np.matmul):
    if weight.shape[1:] != (x.shape[1], 3, 3) or min(x.shape[2:]) < 3:
        raise ValueError(f"{x.shape} and {weight.shape}")
    (n, c, h, w), o = x.shape, len(weight)
    product(np.zeros((16, n * ((h - 1) // 2) * ((w - 1) // 2), c)), np.zeros((16, c, o)))
    return np.zeros((n, o, h - 2, w - 2), x.dtype)
