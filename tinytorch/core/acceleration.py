"""Acceleration: The same results in another order: blocks that stay in cache, fewer passes over memory, both cores, and
a CNN that runs on your own kernels.

Exported from module 18_acceleration by tito export. Edit the notebook of that module, not this file.
"""

import copy
import math

import numpy as np

from ..kernels import Engines, rewrites
from ..kernels.spatial import ConvolutionOfSome
from ..kernels.spatial import convolve_gradient as fast_gradient
from ..threads import map_blocks
from .activations import ReLU, relu
from .layers import Module, Sequential
from .spatial import Conv2d, MaxPool2d, check_fit, conv2d, convolve_engines, max_pool2d, pair
from .tensor import Op, Tensor, result_dtype

__all__ = [
    "block_loads", "matmul_in_blocks", "gelu_block", "chain_in_blocks", "relu_pool_block", "relu_pool", "spread",
    "BLOCK_IMAGES", "conv_relu_pool_forward", "conv_relu_pool", "conv_relu_pool_gradient", "conv_relu_pool_flops",
    "fused_engines", "ConvReLUPool", "Nothing", "fuse", "chunked_cross_entropy", "chunked_gradients", "logit_chunks",
    "linear_cross_entropy", "linear_cross_entropy_gradient", "linear_cross_entropy_flops", "winograd_1d",
    "winograd_matrices", "winograd_tile", "winograd_convolution", "replicate", "parallel_gradients",
]


def block_loads(n, m, p, block):
    """How many numbers matmul_in_blocks loads for a product of (n, m) with (m, p)."""
    return n * m * math.ceil(p / block) + m * p * math.ceil(n / block)


def matmul_in_blocks(a, b, block):
    """The product of a (n, m) and b (m, p), which are read as `a[rows, columns]`, block × block at a time.

    Raises ValueError for a block below 1 and for inner sizes that differ.
    """
    (n, m), (inner, p) = a.shape, b.shape
    if block < 1:
        raise ValueError(f"matmul_in_blocks: a block of {block} holds nothing; at least 1")
    if m != inner:
        raise ValueError(f"matmul_in_blocks: shapes {(n, m)} and {(inner, p)} differ in their inner size")
    out = np.zeros((n, p), np.result_type(a.dtype, b.dtype))
    for i in range(0, n, block):
        for j in range(0, p, block):
            for k in range(0, m, block):
                left, right = a[i : i + block, k : k + block], b[k : k + block, j : j + block]
                out[i : i + block, j : j + block] += left @ right
    return out


def gelu_block(x, out):
    """Fill `out` with the tanh form of GELU of `x`, arrays of one shape, without any other array."""
    np.multiply(x, x, out=out)
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5


def chain_in_blocks(chain, x, size):
    """A new array like x that chain(block, out_block) fills, `size` entries at a time, on all cores.

    Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"chain_in_blocks: a block of {size} entries; at least 1")
    out = np.empty(x.shape, x.dtype)
    entries, results = x.reshape(-1), out.reshape(-1)

    def work(start):
        chain(entries[start : start + size], results[start : start + size])

    map_blocks(work, range(0, x.size, size))
    return out


def relu_pool_block(pixels, bias):
    """max_pool2d(relu(pixels + bias), 2) of pixels (n, H, W, C), H and W even, and bias (C,), in few passes.

    Returns out (n, H/2, W/2, C) and places, uint8: which pixel of the four it was, row by row, the first of
    equals; 4 where out is 0.
    """
    n, h, w, c = pixels.shape
    pairs = pixels.reshape(n, h, w // 2, 2, c)
    left, right = pairs[:, :, :, 0], pairs[:, :, :, 1]
    is_right, larger = (right > left).view(np.uint8), np.maximum(left, right)
    upper, lower = larger[:, ::2], larger[:, 1::2]
    is_lower, out = (lower > upper).view(np.uint8), np.maximum(upper, lower)
    out += bias
    np.maximum(out, 0, out=out)
    places = is_right[:, ::2] * (1 - is_lower) + is_right[:, 1::2] * is_lower + 2 * is_lower
    np.maximum(places, 4 * (out == 0).view(np.uint8), out=places)
    return out, places


def relu_pool(convolution, images, bias, size):
    """(out, places) of all images: relu_pool_block of convolution(images), `size` at a time, on all cores.

    Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"relu_pool: blocks of {size} images; at least 1")

    def work(start):
        return relu_pool_block(convolution(images[start : start + size]), bias)

    outs, places = zip(*map_blocks(work, range(0, len(images), size)), strict=True)
    return np.concatenate(outs), np.concatenate(places)


def spread(grad, places):
    """The gradient of the pixels (n, 2h, 2w, C) of relu_pool_block, from grad (n, h, w, C) and its places."""
    n, h, w, c = grad.shape
    out = np.empty((n, h, 2, w, 2, c), grad.dtype)

    def work(some):
        for place in range(4):
            target = out[some, :, place // 2, :, place % 2]
            np.multiply(grad[some], places[some] == place, out=target)

    map_blocks(work, [slice(start, start + 4) for start in range(0, n, 4)])
    return out.reshape(n, 2 * h, 2 * w, c)


BLOCK_IMAGES = 8  # whose convolution and outputs stay in a second-level cache


def conv_relu_pool_forward(x, weight, bias, *, stride, padding):
    """(out, places) of x (N, C, H, W): out (N, O, OH/2, OW/2), channels last in memory."""
    convolution = ConvolutionOfSome(weight, stride=stride, padding=padding)
    out, places = relu_pool(convolution, x, bias, BLOCK_IMAGES)
    return out.transpose(0, 3, 1, 2), places


@Op(saves=True)
def conv_relu_pool(x, weight, bias, *, stride, padding):
    """max_pool2d(relu(conv2d(x, weight, bias)), 2), for a convolution of even height and width."""
    dtype = result_dtype(x, weight, floating=True)
    x, weight, bias = (array.astype(dtype, copy=False) for array in (x, weight, bias))
    return conv_relu_pool_forward(x, weight, bias, stride=stride, padding=padding)


@conv_relu_pool.gradient
def conv_relu_pool_gradient(grad, out, x, weight, bias, *, stride, padding, needs, saved):
    """The gradients of x, weight and bias that `needs` asks for; saved: the places."""
    x, weight = x.astype(grad.dtype, copy=False), weight.astype(grad.dtype, copy=False)
    grad = grad.transpose(0, 2, 3, 1)
    pixels, how = spread(grad, saved).transpose(0, 3, 1, 2), {"stride": stride, "padding": padding}
    for_x, for_weight, _ = fast_gradient(pixels, None, x, weight, **how, needs=(*needs[:2], False))
    return for_x, for_weight, (grad * (saved < 4)).sum(axis=(0, 1, 2)) if needs[2] else None


def conv_relu_pool_flops(arrays, out, settings, backward):
    """For a Profile (14): of the convolution's products only, of which each gradient costs as many."""
    wanted = settings["needs"][:2] if backward else (True,)
    return sum(map(bool, wanted)) * 2 * 4 * out.size * math.prod(arrays[1].shape[1:])


conv_relu_pool.flops = conv_relu_pool_flops

fused_engines = Engines("convolve", "spatial", instead="product")
for name in ("loops", "product"):
    fused_engines.register(name, *convolve_engines[name])
fused_engines.register("yours", conv_relu_pool_forward, conv_relu_pool_gradient)


class ConvReLUPool(Conv2d):
    """A Conv2d with ReLU and MaxPool2d(2) behind it; fused by the engine "yours", apart by any other.

    Raises ValueError naming the layer where the convolution's height or width is odd.
    """

    engines = fused_engines

    def forward(self, x):
        if self.kernels != "yours" or x.ndim == 3 or len(x) == 0:
            kernels = "fast" if self.kernels == "yours" else self.kernels
            out = conv2d(x, self.weight, self.bias, self.stride, self.padding, kernels=kernels)
            return max_pool2d(relu(out), 2, kernels=kernels)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        check_fit(self, x.shape, self.kernel_size, self.stride, self.padding)
        sizes = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
        size = tuple((pixels + 2 * pad - k) // step + 1 for pixels, k, step, pad in sizes)
        if size[0] % 2 or size[1] % 2:
            raise ValueError(f"{self}: fused pooling needs even sizes, and the convolution gives {size}")
        bias = np.zeros(self.out_channels, np.float32) if self.bias is None else self.bias
        return conv_relu_pool(x, self.weight, bias, stride=self.stride, padding=self.padding)


class Nothing(Module):
    """What is left in the place of a layer that was fused into the one before."""

    def forward(self, x):
        return x


def fuse(model):
    """Put a ConvReLUPool for each Conv2d, ReLU, MaxPool2d(2) in a row of a Sequential; returns the model."""
    for sequence in [one for one in model.modules() if isinstance(one, Sequential)]:
        layers = list(sequence)
        for i, three in enumerate(zip(layers, layers[1:], layers[2:], strict=False)):
            conv, pool = three[0], three[2]
            if isinstance(conv, ConvReLUPool) or not all(map(isinstance, three, (Conv2d, ReLU, MaxPool2d))):
                continue
            settings = pool.kernel_size, pool.stride, pool.padding
            if [pair(one) for one in settings] == [(2, 2), (2, 2), (0, 0)]:
                fused = ConvReLUPool.__new__(ConvReLUPool)
                vars(fused).update(vars(conv))
                for offset, layer in enumerate((fused, Nothing(), Nothing())):
                    setattr(sequence, str(i + offset), layer)
    return model


rewrites["yours"] = fuse


def chunked_cross_entropy(chunks, targets):
    """The mean cross-entropy of logits in chunks of columns (n, width), and log Σ e^logit of each row.

    targets: n integers, columns of all chunks together. Raises ValueError for one that no chunk holds.
    """
    rows, start = np.arange(len(targets)), 0
    peak, total, own = -np.inf, 0.0, None
    for chunk in chunks:
        higher = np.maximum(peak, chunk.max(axis=1))
        total = total * np.exp(peak - higher) + np.exp(chunk - higher[:, None]).sum(axis=1)
        own = np.full(len(targets), np.nan, chunk.dtype) if own is None else own
        here = (targets >= start) & (targets < start + chunk.shape[1])
        own[here] = chunk[rows[here], targets[here] - start]
        peak, start = higher, start + chunk.shape[1]
    for target in targets:
        if not 0 <= target < start:
            raise ValueError(f"chunked_cross_entropy: target {target}, and the chunks have {start} columns")
    log_sums = peak + np.log(total)
    return float((log_sums - own).mean()), log_sums


def chunked_gradients(chunks, targets, log_sums):
    """Yield for each chunk (n, width) of logits the gradient of their mean cross-entropy."""
    rows, start = np.arange(len(targets)), 0
    for chunk in chunks:
        grad = np.exp(chunk - log_sums[:, None])
        here = (targets >= start) & (targets < start + chunk.shape[1])
        grad[rows[here], targets[here] - start] -= 1
        start += chunk.shape[1]
        grad /= len(targets)
        yield grad


def logit_chunks(hidden, weight, chunk):
    """hidden (n, d) @ weightᵀ for some rows of weight (symbols, d) at a time."""
    return (hidden @ weight[start : start + chunk].T for start in range(0, len(weight), chunk))


@Op(saves=True)
def linear_cross_entropy(hidden, weight, *, targets, chunk=4096):
    """The mean cross-entropy of hidden (n, d) @ weight (symbols, d)ᵀ for n targets, in chunks of symbols."""
    loss, log_sums = chunked_cross_entropy(logit_chunks(hidden, weight, chunk), targets)
    return np.asarray(loss, hidden.dtype), log_sums


@linear_cross_entropy.gradient
def linear_cross_entropy_gradient(grad, out, hidden, weight, *, targets, chunk=4096, saved):
    for_hidden, for_weight, start = np.zeros_like(hidden), np.empty_like(weight), 0
    for part in chunked_gradients(logit_chunks(hidden, weight, chunk), targets, saved):
        some = slice(start, start + part.shape[1])
        for_hidden += part @ weight[some]
        for_weight[some] = part.T @ hidden
        start = some.stop
    return for_hidden * grad, for_weight * grad


def linear_cross_entropy_flops(arrays, out, settings, backward):
    """For a Profile (14): one product, and on the way back that one again and two gradients."""
    return (3 if backward else 1) * 2 * arrays[0].size * len(arrays[1])


linear_cross_entropy.flops = linear_cross_entropy_flops


def winograd_1d(d, g, product=np.multiply):
    """The sums of three neighbours of rows d (…, W), weighted by g (3,): (…, W - 2), by F(2, 3).

    product(a, b): multiplies pixels by weights, entry by entry, 4 for every two sums (Winograd, 1980).
    """
    count, odd = d.shape[-1] - 2, d.shape[-1] % 2
    padded = np.concatenate([d, np.zeros_like(d[..., :odd])], axis=-1)
    d0, d1, d2, d3 = (padded[..., i : i + count : 2] for i in range(4))
    a, e = product(d0 - d2, g[0]), product(d1 - d3, g[2])
    b = product(d1 + d2, (g[0] + g[1] + g[2]) / 2)
    c = product(d2 - d1, (g[0] - g[1] + g[2]) / 2)
    pairs = np.stack([a + b + c, b - c - e], axis=-1)
    return pairs.reshape(*d.shape[:-1], count + odd)[..., :count]


def winograd_matrices(dtype):
    """(B, G, A) of F(2, 3): the sums of a tile d and weights g (3,) are A @ ((G @ g) * (B @ d))."""
    pixels = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    weights = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    return tuple(np.array(matrix, dtype) for matrix in (pixels, weights, [[1, 1, 1, 0], [0, 1, -1, -1]]))


def winograd_tile(d, g, product=np.multiply):
    """The 2 × 2 sums of windows of a tile d (4, 4) weighted by g (3, 3), by F(2×2, 3×3).

    product(a, b): multiplies pixels by weights, entry by entry, 16 in all (Lavin and Gray, 2015).
    """
    to_pixels, to_weights, to_sums = winograd_matrices(np.result_type(d, g))
    both = product(to_pixels @ d @ to_pixels.T, to_weights @ g @ to_weights.T)
    return to_sums @ both @ to_sums.T


def winograd_convolution(x, weight, product=np.matmul):
    """conv2d of x (N, C, H, W) with weight (O, C, 3, 3), no padding, stride 1, by F(2×2, 3×3).

    product(a, b): multiplies matrices of pixels by matrices of weights, 16 numbers a tile, channel and
    kernel. Raises ValueError with both shapes where they do not fit (Lavin and Gray, 2015).
    """
    (n, c, h, w), o = x.shape, len(weight)
    if weight.shape[1:] != (c, 3, 3) or min(h, w) < 3:
        raise ValueError(f"winograd_convolution: images {x.shape} and weights {weight.shape} do not fit")
    to_pixels, to_weights, to_sums = winograd_matrices(np.result_type(x, weight))

    def along_both(matrix, tiles):
        (new, old), rest = matrix.shape, tiles.shape[2:]
        first = (matrix @ tiles.reshape(old, -1)).reshape(new, old, -1)
        return (matrix @ first).reshape(new, new, *rest)

    high, wide = (h - 1) // 2, (w - 1) // 2  # tiles down and across
    x = np.pad(x, ((0, 0), (0, 0), (0, 2 * high + 2 - h), (0, 2 * wide + 2 - w)))
    tiles = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    pixels = along_both(to_pixels, tiles.transpose(4, 5, 0, 2, 3, 1)).reshape(4, 4, n * high * wide, c)
    sums = product(pixels, along_both(to_weights, weight.transpose(2, 3, 1, 0)))
    out = along_both(to_sums, sums).reshape(2, 2, n, high, wide, o).transpose(2, 5, 3, 0, 4, 1)
    return out.reshape(n, o, 2 * high, 2 * wide)[:, :, : h - 2, : w - 2]


def replicate(model, count):
    """[model, a copy of it, …], `count` in all."""
    return [model, *[copy.deepcopy(model) for _ in range(count - 1)]]


def parallel_gradients(replicas, loss, inputs, targets):
    """The gradients of the mean loss over a batch, computed by one replica a part: into those of replicas[0].

    replicas: of `replicate`; loss(outputs, targets): a mean, as a Tensor; inputs, targets: arrays. Returns
    the loss.
    """
    places = [part for part in np.array_split(np.arange(len(inputs)), len(replicas)) if len(part)]
    parameters = [list(replica.parameters()) for replica in replicas]
    for group in zip(*parameters, strict=True):
        for parameter in group:
            parameter.data, parameter.grad = group[0].data, None

    def work(k):
        some = slice(places[k][0], places[k][-1] + 1)
        part = inputs[some]
        value = loss(replicas[k](Tensor(part, dtype=part.dtype)), targets[some])
        value.backward()
        return value.item() * len(part) / len(inputs)

    total = sum(map_blocks(work, range(len(places))))
    for group in zip(*parameters, strict=True):
        parts = zip(group, places, strict=False)
        grads = [p.grad * p.dtype.type(len(part) / len(inputs)) for p, part in parts if p.grad is not None]
        group[0].grad = sum(grads[1:], grads[0]) if grads else None
    return total
