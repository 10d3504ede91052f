"""One sample for each operation of the framework: what it is called with, and what PyTorch calls the same thing.

`test_operations.py` finds every `Op` of the built modules and fails for one that has no sample here. A sample draws
inputs with Hypothesis: empty axes, axes of size 1, broadcasting both ways, memory that is not contiguous.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import SIDES, arrays, axes, broadcastable, distinct_arrays, shapes

NOT_EMPTY = st.sampled_from([1, 2, 3, 5])


@dataclass(frozen=True)
class Sample:
    """`draw` gives (inputs, settings); `torch(torch, *inputs, **settings)` is the same operation there.

    gradient False: the result is boolean or integer, and nothing is to be differentiated.
    """

    draw: st.SearchStrategy
    torch: Callable[..., Any]
    gradient: bool = True


def unary(name, low=-3.0, high=3.0, gap=0.0):
    draw = shapes().flatmap(lambda shape: arrays(shape, low, high, gap=gap)).map(lambda x: ((x,), {}))
    return Sample(draw, name if callable(name) else lambda torch, x: getattr(torch, name)(x))


@st.composite
def pairs(draw, low=-3.0, high=3.0, gap=0.0, second=None):
    left, right = draw(broadcastable())
    low2, high2 = second or (low, high)
    return (draw(arrays(left, low, high, gap=gap)), draw(arrays(right, low2, high2, gap=gap))), {}


def binary(name, gradient=True, **range_of_entries):
    return Sample(pairs(**range_of_entries), lambda torch, a, b: getattr(torch, name)(a, b), gradient)


@st.composite
def reductions(draw, sides=SIDES, distinct=False, several=True):
    shape = draw(shapes(min_dims=0 if several else 1, sides=sides))
    settings = {"axis": draw(axes(len(shape), several)), "keepdims": draw(st.booleans())}
    return (draw(distinct_arrays(shape) if distinct else arrays(shape)),), settings


def reduce_like(function, gradient=True, **how):
    def oracle(torch, x, *, axis, keepdims):
        return function(torch, x, tuple(range(x.ndim)) if axis is None else axis, keepdims)

    return Sample(reductions(**how), oracle, gradient)


@st.composite
def along_an_axis(draw):
    shape = draw(shapes(min_dims=1, max_dims=3))
    return (draw(arrays(shape, -20, 20)),), {"axis": draw(axes(len(shape), several=False))}


@st.composite
def products(draw):
    inner, rows, columns = draw(SIDES), draw(SIDES), draw(SIDES)
    left, right = draw(broadcastable(max_dims=2))
    kind = draw(st.sampled_from(["matrices", "row", "column", "dot"]))
    a = (inner,) if kind in ("row", "dot") else (*left, rows, inner)
    b = (inner,) if kind in ("column", "dot") else (*right, inner, columns)
    return (draw(arrays(a)), draw(arrays(b))), {}


@st.composite
def linears(draw):
    leading, inputs, outputs = draw(shapes(max_dims=3)), draw(SIDES), draw(SIDES)
    arrays_ = [draw(arrays(shape)) for shape in ((*leading, inputs), (outputs, inputs), (outputs,))]
    return tuple(arrays_), {}


@st.composite
def reshapes(draw):
    shape = draw(shapes())
    count = int(np.prod(shape, dtype=int))
    targets = [(count,), (1, count), (count, 1, 1), (-1,) if count else (0,)]
    targets += [(2, count // 2), (-1, 2)] if count and count % 2 == 0 else []
    return (draw(arrays(shape)),), {"shape": draw(st.sampled_from(targets))}


@st.composite
def permutations(draw):
    shape = draw(shapes(min_dims=1))
    order = draw(st.permutations(range(len(shape))))
    return (draw(arrays(shape)),), {"axes": tuple(a - len(shape) if draw(st.booleans()) else a for a in order)}


@st.composite
def indexings(draw):
    """x of shape (4, 3, 2) under keys of every kind; "array" marks the places of the index arrays, as in `take`."""
    x = draw(arrays((4, 3, 2)))
    rows, columns, mask = np.array([0, -1, 2, 0]), np.array([[2], [0]]), np.arange(12).reshape(4, 3) % 3 == 0
    keys = [
        ((), (1,)), ((), (-2, slice(None), 1)), ((), (slice(1, None, 2),)), ((), (..., 0)), ((), (None, 3, ..., None)),
        ((rows,), ("array",)), ((rows,), ("array", 1)),
        ((rows, columns), ("array", "array")), ((mask,), ("array",)), ((columns,), (slice(None), "array")),
        ((np.array([], dtype=np.int64),), ("array",)), ((), (slice(2, 2),)),
    ]  # fmt: skip
    index_arrays, key = draw(st.sampled_from(keys))
    return (x, *index_arrays), {"key": key}


def torch_index(torch, x, *index_arrays, key):
    index_arrays = iter(index_arrays)
    return x[tuple(next(index_arrays) if isinstance(part, str) else part for part in key)]


@st.composite
def joins(draw):
    shape = draw(shapes(min_dims=1))
    axis = draw(axes(len(shape), several=False))
    sizes = draw(st.lists(SIDES, min_size=1, max_size=4))
    parts = [tuple(size if i == axis % len(shape) else side for i, side in enumerate(shape)) for size in sizes]
    return tuple(draw(arrays(part)) for part in parts), {"axis": axis}


@st.composite
def choices(draw):
    mask, left, right = draw(broadcastable(3))
    return (np.asarray(draw(arrays(mask)) > 0), draw(arrays(left)), draw(arrays(right))), {}


@st.composite
def masks(draw, count=2):
    return tuple(np.asarray(draw(arrays(shape)) > 0) for shape in draw(broadcastable(count))), {}


@st.composite
def clippings(draw):
    low, high = draw(st.sampled_from([(-1.0, 1.0), (None, 0.5), (0.5, None), (0.0, 2), (2.0, -2.0)]))
    return (draw(arrays(draw(shapes()))),), {"low": low, "high": high}


@st.composite
def casts(draw):
    return (draw(arrays(draw(shapes()))),), {"dtype": np.dtype(np.float64)}


@st.composite
def gelus(draw):
    return (draw(arrays(draw(shapes()), -8, 8)),), {"approximate": draw(st.sampled_from(["none", "tanh"]))}


@st.composite
def probabilities(draw):
    shape = draw(shapes())
    return (draw(arrays(shape, 0.01, 0.99)), draw(arrays(shape, 0, 1))), {}


KERNELS = st.sampled_from(["loops", "product", "fast"])


@st.composite
def windows(draw, is_pooling=False):
    """(height and width of an image, kernel, stride, padding): small, for the loops have to walk over them."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2 if is_pooling else 2)) for k in kernel)
    size = tuple(draw(st.integers(max(1, k - 2 * p), k + 3)) for k, p in zip(kernel, padding, strict=True))
    return size, kernel, stride, padding


@st.composite
def convolutions(draw):
    size, kernel, stride, padding = draw(windows())
    n, c, o = (draw(st.integers(low, 3)) for low in (0, 1, 1))
    settings = {"stride": stride, "padding": padding, "kernels": draw(KERNELS)}
    return (draw(arrays((n, c, *size))), draw(arrays((o, c, *kernel))), draw(arrays((o,)))), settings


def torch_convolve(torch, x, weight, bias, *, stride, padding, kernels):
    return torch.nn.functional.conv2d(x, weight, bias, stride, padding)


@st.composite
def poolings(draw, of_distinct_entries=False):
    size, kernel, stride, padding = draw(windows(is_pooling=True))
    shape = (draw(st.integers(0, 3)), draw(st.integers(1, 3)), *size)
    x = draw(distinct_arrays(shape) if of_distinct_entries else arrays(shape))
    return (x,), {"kernel_size": kernel, "stride": stride, "padding": padding, "kernels": draw(KERNELS)}


def pool_like(name, **how):
    def oracle(torch, x, *, kernel_size, stride, padding, kernels):
        return getattr(torch.nn.functional, name)(x, kernel_size, stride, padding)

    return Sample(poolings(**how), oracle)


@st.composite
def lookups(draw):
    rows, dim = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 0]))
    shape = draw(shapes(sides=SIDES))
    count = int(np.prod(shape))
    ids = np.array(draw(st.lists(st.integers(0, rows - 1), min_size=count, max_size=count)), np.int64).reshape(shape)
    return (draw(arrays((rows, dim))),), {"ids": ids}  # a padding row's gradient is no derivative: test_embeddings.py


def torch_embedding(torch, weight, *, ids):
    return torch.nn.functional.embedding(torch.from_numpy(ids), weight)


@st.composite
def attentions(draw):
    (front, again), (n, m, d) = draw(broadcastable(max_dims=2)), (draw(NOT_EMPTY) for _ in range(3))
    shapes_ = (*front, n, d), (*again, m, d), (*again, m, draw(SIDES))
    inputs = [draw(arrays(shape)) for shape in shapes_]
    if draw(st.booleans()):  # a floating mask would want a gradient here, and gets none
        inputs.append(np.asarray(draw(arrays((n, m)))) > -1)
    return tuple(inputs), {"scale": draw(st.sampled_from([0.5, 1.0]))}


def torch_attention(torch, query, key, value, mask=None, *, scale):
    """By its parts; where a row may attend to nothing, zeros."""
    scores = query @ key.transpose(-2, -1) * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    lost = (scores == -torch.inf).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(lost, 0), -1).masked_fill(lost, 0) @ value


@st.composite
def normalizations(draw):
    """At least two values a channel, drawn apart: where all are alike, the gradient is as large as 1 / √eps."""
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 3)), *draw(st.lists(st.integers(1, 3), max_size=3)))
    weight, bias = (draw(arrays((shape[1],))) for _ in range(2))
    return (draw(distinct_arrays(shape)), weight, bias), {"eps": draw(st.sampled_from([1e-5, 0.1]))}


def torch_batch_norm(torch, x, weight, bias, *, eps):
    return torch.nn.functional.batch_norm(x, None, None, weight, bias, True, 0.1, eps)


@st.composite
def layer_normalizations(draw):
    """x with a weight of one to three last axes, and a bias or none."""
    leading, trailing = draw(shapes(max_dims=2)), draw(shapes(min_dims=1, max_dims=3, sides=st.sampled_from([2, 3, 5])))
    affine = [draw(arrays(trailing)) for _ in range(draw(st.sampled_from([1, 2])))]
    return (draw(arrays((*leading, *trailing))), *affine), draw(st.sampled_from([{}, {"eps": 1e-5}, {"eps": 0.5}]))


def torch_layer_norm(torch, x, weight, bias=None, *, eps=1e-5):
    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias, eps)


def twice_used(a, b):
    """What the sample of `recomputed` runs again; `+` and `*` are those of either framework."""
    return a * b + a * a


@st.composite
def reruns(draw):
    from tinytorch.core.tensor import random_generator

    left, right = draw(broadcastable())
    state = random_generator().bit_generator.state
    return (draw(arrays(left)), draw(arrays(right))), {"function": twice_used, "parameters": (), "state": state}


@st.composite
def fused_poolings(draw):
    """Images whose convolution is of even size; drawn from a seed, so that no two sums are equal and none is 0."""
    n, c, o = (draw(st.integers(1, 3)) for _ in range(3))
    kernel, padding = (draw(st.tuples(*[st.integers(low, low + 1)] * 2)) for low in (2, 0))
    size = tuple(2 * draw(st.integers(1, 3)) + k - 1 - 2 * p for k, p in zip(kernel, padding, strict=True))
    size = tuple(max(pixels, 2 + pixels % 2) for pixels in size)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight, bias = generator.normal(size=(o, c, *kernel)), generator.normal(size=o)
    return (generator.normal(size=(n, c, *size)), weight, bias), {"stride": (1, 1), "padding": padding}


def torch_conv_relu_pool(torch, x, weight, bias, *, stride, padding):
    out = torch.nn.functional.conv2d(x, weight, bias, stride, padding)
    return torch.nn.functional.max_pool2d(torch.relu(out), 2)


@st.composite
def vocabularies(draw):
    n, d, symbols = draw(NOT_EMPTY), draw(NOT_EMPTY), draw(NOT_EMPTY)
    targets = np.array([draw(st.integers(0, symbols - 1)) for _ in range(n)])
    return (draw(arrays((n, d))), draw(arrays((symbols, d)))), {"targets": targets, "chunk": draw(st.integers(1, 6))}


def torch_linear_cross_entropy(torch, hidden, weight, *, targets, chunk):
    return torch.nn.functional.cross_entropy(hidden @ weight.T, torch.tensor(targets))


SAMPLES = {
    # 01 tensor
    "add": binary("add"),
    "sub": binary("sub"),
    "mul": binary("mul"),
    "div": binary("div", gap=0.3),
    "power": binary("pow", low=0.3, high=3.0, second=(-2.5, 2.5)),
    "neg": unary("neg"),
    "absolute": unary("abs", gap=0.1),
    "exp": unary("exp"),
    "log": unary("log", low=0.1),
    "sqrt": unary("sqrt", low=0.1),
    "maximum": binary("maximum"),
    "minimum": binary("minimum"),
    "where": Sample(choices(), lambda torch, mask, a, b: torch.where(mask, a, b)),
    "clip": Sample(clippings(), lambda torch, x, *, low, high: torch.clamp(x, low, high)),
    "cast": Sample(casts(), lambda torch, x, *, dtype: x.to(getattr(torch, dtype.name))),
    **{name: binary(name, gradient=False) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "bitwise_not": Sample(masks(1), lambda torch, mask: ~mask, gradient=False),
    "bitwise_and": Sample(masks(), lambda torch, a, b: a & b, gradient=False),
    "bitwise_or": Sample(masks(), lambda torch, a, b: a | b, gradient=False),
    "bitwise_xor": Sample(masks(), lambda torch, a, b: a ^ b, gradient=False),
    "matmul": binary("matmul"),
    "reduce_sum": reduce_like(lambda torch, x, axis, keep: torch.sum(x, axis, keep) if axis != () else x),
    "reduce_mean": reduce_like(lambda torch, x, axis, keep: torch.mean(x, axis, keep) if axis != () else x),
    "reduce_max": reduce_like(lambda torch, x, axis, keep: torch.amax(x, axis, keep), sides=NOT_EMPTY, distinct=True),
    "reduce_min": reduce_like(lambda torch, x, axis, keep: torch.amin(x, axis, keep), sides=NOT_EMPTY, distinct=True),
    "argmax": reduce_like(
        lambda torch, x, axis, keep: torch.argmax(x, axis, keep), False, sides=NOT_EMPTY, distinct=True, several=False
    ),
    "reshape": Sample(reshapes(), lambda torch, x, *, shape: x.reshape(shape)),
    "permute": Sample(permutations(), lambda torch, x, *, axes: x.permute(axes)),
    "index": Sample(indexings(), torch_index),
    "concat": Sample(joins(), lambda torch, *parts, axis: torch.cat(parts, axis)),
    # 02 activations
    "relu": unary("relu", gap=0.1),
    "sigmoid": unary("sigmoid", low=-30, high=30),
    "tanh": unary("tanh"),
    "softmax_along": Sample(along_an_axis(), lambda torch, x, *, axis: torch.softmax(x, axis)),
    "gelu": Sample(gelus(), lambda torch, x, *, approximate: torch.nn.functional.gelu(x, approximate=approximate)),
    # 03 layers
    "linear": Sample(linears(), lambda torch, x, weight, bias: torch.nn.functional.linear(x, weight, bias)),
    # 04 losses
    "log_softmax": Sample(along_an_axis(), lambda torch, x, *, axis: torch.log_softmax(x, axis)),
    "softplus": unary(lambda torch, x: torch.logaddexp(x, torch.zeros_like(x)), low=-30, high=30),
    "bce_terms": Sample(
        probabilities(), lambda torch, p, y: torch.nn.functional.binary_cross_entropy(p, y, reduction="none")
    ),
    # 09 spatial
    "convolve": Sample(convolutions(), torch_convolve),
    "pool_max": pool_like("max_pool2d", of_distinct_entries=True),
    "pool_avg": pool_like("avg_pool2d"),
    # 11 embeddings
    "embedding": Sample(lookups(), torch_embedding),
    # 12 attention
    "attention": Sample(attentions(), torch_attention),
    # 13 transformers
    "layer_norm": Sample(layer_normalizations(), torch_layer_norm),
    # 17 memoization
    "recomputed": Sample(reruns(), lambda torch, a, b, **settings: twice_used(a, b)),
    # 18 acceleration
    "conv_relu_pool": Sample(fused_poolings(), torch_conv_relu_pool),
    "linear_cross_entropy": Sample(vocabularies(), torch_linear_cross_entropy),
    # 21 residual
    "batch_norm": Sample(normalizations(), torch_batch_norm),
}  # fmt: skip
SAMPLES["matmul"] = Sample(products(), lambda torch, a, b: torch.matmul(a, b))

# Operations that are no part of the framework's arithmetic, each with the reason.
EXEMPT = {
    "_released": "the marker that backward leaves behind; its rule raises",
    "quantized_linear": "float32 without a gradient by intent; parity/test_quantization.py has its values",
    "quantized_convolve": "float32 without a gradient by intent; parity/test_quantization.py has its values",
    "fake_quantize": "straight-through is no derivative; parity/test_quantization.py has PyTorch's",
}
