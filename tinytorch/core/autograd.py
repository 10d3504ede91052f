"""Autograd: Gradient rules for every operation so far, and the walk that chains them.

Exported from module 05_autograd by tito export. Edit the notebook of that module, not this file.
"""

import contextlib
import math

import numpy as np

from ..kernels.precision import to_float32
from .activations import BLOCK, erf, gelu, in_blocks, relu, sigmoid, softmax_along, tanh
from .layers import linear
from .losses import bce_terms, log_softmax, softplus
from .tensor import (
    Node, Op, Tensor, absolute, add, cast, clip, concat, div, exp, fill_key, index, log, matmul, maximum,
    minimum, mul, neg, normalize_axes, permute, power, reduce_max, reduce_mean, reduce_min, reduce_sum,
    reshape, sqrt, sub, where,
)

__all__ = [
    "numeric_gradient", "add_gradient", "mul_gradient", "topological_order", "input_gradients", "backward",
    "unbroadcast", "sub_gradient", "div_gradient", "power_gradient", "exp_gradient", "log_gradient", "neg_gradient",
    "absolute_gradient", "sqrt_gradient", "maximum_gradient", "minimum_gradient", "where_gradient", "clip_gradient",
    "cast_gradient", "sum_gradient", "mean_gradient", "max_gradient", "matrix_gradients", "matmul_gradient",
    "flat_matmul_gradient", "linear_gradient", "reshape_gradient", "permute_gradient", "index_gradient",
    "concat_gradient", "relu_gradient", "tanh_gradient", "log_softmax_gradient", "sigmoid_gradient",
    "softplus_gradient", "softmax_gradient", "gelu_slope", "gelu_gradient", "bce_terms_gradient", "no_grad",
    "gradcheck",
]


def _start(tensor, grad):
    """What `tensor.backward(grad)` calls: checks the request, then runs `backward`."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "backward() on a Tensor without a history: nothing that it was computed from has "
            "requires_grad=True, or it was computed inside no_grad"
        )
    if grad is not None:
        grad = np.asarray(grad.data if isinstance(grad, Tensor) else grad, dtype=tensor.dtype)
        if grad.shape != tensor.shape:
            shapes = f"the Tensor has shape {tensor.shape}, grad has shape {grad.shape}"
            raise ValueError(f"backward(grad): {shapes}")
    with np.errstate(all="ignore"):  # the slope of a logarithm at 0 is inf: an answer, not an accident
        backward(tensor, grad)


Op.engine = _start


def numeric_gradient(function, x, eps=1e-6):
    """Central differences of `function` (array to number) at the array `x`: float64, in the shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
        x[place] = middle
    return grad


@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * b, grad * a


def topological_order(tensor):
    """The Tensors that `tensor` came from and that want a gradient, each once, inputs first; itself last."""
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            if current.node is not None:
                for x in current.node.inputs:
                    if x is not None:
                        stack.append((x, False))
    return order


@Op
def _released():
    """Stands in for an operation whose arrays `backward` has let go of."""


@_released.gradient
def _released_gradient(grad, out):
    raise RuntimeError("backward() ran through this graph before and released it; compute the output again")


_RELEASED = Node(_released, (), (), {})


def input_gradients(node, grad, out):
    """Ask the rule of `node`: a list with an array for each input that wants a gradient, None for the others.

    grad, out: arrays of one shape, the gradient of the node's output and that output. Each answer has the
    shape and dtype of its input. Raises RuntimeError naming the operation where it has no rule, or where
    the rule's answer cannot be right.
    """
    op, settings = node.op, node.settings
    if not isinstance(out, np.ndarray) or getattr(grad, "shape", None) != out.shape:
        got = [f"{type(x).__name__} of shape {np.shape(x)}" for x in (grad, out)]
        raise TypeError(f"input_gradients takes arrays of one shape; grad is a {got[0]}, out a {got[1]}")
    if op.rule is None:
        advice = f"give it one with @{op.__name__}.gradient, or detach() its input"
        raise RuntimeError(f"{op.__name__} has no gradient rule; {advice}")
    if op.rule_takes_needs:
        settings = {**settings, "needs": tuple([x is not None for x in node.inputs])}
    arrays = (grad, out, *node.arrays)
    if grad.itemsize == 2:  # float16, in which a rule could not sum
        arrays = to_float32(arrays)
    if Op.observer is None:
        answers = op.rule(*arrays, **settings)
    else:
        answers = Op.observer(op, op.rule, arrays, settings)
    answers = answers if isinstance(answers, (tuple, list)) else (answers,)
    if len(answers) != len(node.inputs):
        counts = f"{len(answers)} gradients for {len(node.inputs)} inputs"
        raise RuntimeError(f"the rule of {op.__name__} returned {counts}")
    return [x if x is None else _fitted(op, i, answers[i], node.arrays[i]) for i, x in enumerate(node.inputs)]


def _fitted(op, i, answer, array):
    """The gradient `answer` for input `i` of `op`, in the shape and dtype of that input's `array`."""
    if type(answer) is np.ndarray and answer.shape == array.shape and answer.dtype == array.dtype:
        return answer  # as nearly always
    if answer is None:
        raise RuntimeError(f"the rule of {op.__name__} returned no gradient for input {i}, which wants one")
    answer = np.asarray(answer)
    if answer.shape != array.shape and _broadcasts(array.shape, answer.shape):
        answer = unbroadcast(answer, array.shape)
    if answer.shape != array.shape:
        shapes = f"shape {answer.shape} for input {i} of shape {array.shape}"
        raise RuntimeError(f"the rule of {op.__name__} returned {shapes}")
    return answer.astype(array.dtype, copy=False)


def _broadcasts(small, large):
    """Whether an array of shape `small` broadcasts to the shape `large`."""
    pairs = zip(small[::-1], large[::-1], strict=False)
    return len(small) <= len(large) and all(size in (1, wide) for size, wide in pairs)


def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises
    RuntimeError without it for any other, for an operation without a rule, and on a graph that was released.
    """
    if grad is None:
        if tensor.data.size != 1:
            advice = "pass grad, or call .sum() or .mean() first"
            raise RuntimeError(f"backward() on a Tensor of shape {tensor.shape}: {advice}")
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): grad}
    order = topological_order(tensor)
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current)), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.array(grad)
            else:
                current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = _RELEASED


def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True)


def _exponent_gradient(grad, out, a, b):
    """The gradient of a ** b for b; at a = 0 the limit from the right, 0, where b is not negative."""
    a = np.asarray(a, out.dtype)
    return grad * np.where((a == 0) & (np.asarray(b) >= 0), 0, out * np.log(a))


@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = _exponent_gradient(grad, out, a, b) if needs[1] else None
    lowered = b - (b != 0)  # True counts as 1
    return grad * b * a**lowered if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a


def _gated(grad, passes):
    """`grad` where the boolean array `passes` holds, else 0."""
    product = grad * passes
    return product if np.isfinite(product.sum()) else np.where(passes, grad, 0)


@neg.gradient
def neg_gradient(grad, out, a):
    return -grad


@absolute.gradient
def absolute_gradient(grad, out, a):
    return _gated(np.copysign(1, a) * grad, a != 0)


@sqrt.gradient
def sqrt_gradient(grad, out, a):
    return grad / (2 * out)


@maximum.gradient
def maximum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return _gated(share, ~np.less(a, b)), _gated(share, ~np.less(b, a))


@minimum.gradient
def minimum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return _gated(share, ~np.greater(a, b)), _gated(share, ~np.greater(b, a))


@where.gradient
def where_gradient(grad, out, condition, a, b):
    condition = np.asarray(condition, bool)
    return None, _gated(grad, condition), _gated(grad, ~condition)


@clip.gradient
def clip_gradient(grad, out, x, *, low, high):
    return _gated(grad, (low is None or x >= low) & (high is None or x <= high))


@cast.gradient
def cast_gradient(grad, out, x, *, dtype):
    return grad


def _with_axes(reduced, x, axis, keepdims):
    """`reduced`, made of `x` over `axis`, with the reduced axes put back in size 1; broadcasts against x."""
    return reduced if keepdims else np.expand_dims(reduced, normalize_axes(axis, x.ndim))


@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(_with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(_with_axes(share, x, axis, keepdims), x.shape)


@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == _with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return _with_axes(grad, x, axis, keepdims) * is_largest / ties


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small


def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` (…, n, k) and for `b` (…, k, m), from `grad` (…, n, m)."""
    return grad @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ grad


@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b


@matmul.gradient
def flat_matmul_gradient(grad, out, a, b):
    """`matmul_gradient`, where batches of rows meet one matrix as if they were one batch."""
    if a.ndim < 3 or b.ndim != 2:
        return matmul_gradient(grad, out, a, b)
    rows = math.prod(a.shape[:-1])
    for_a, for_b = matmul_gradient(grad.reshape(rows, b.shape[1]), out, a.reshape(rows, b.shape[0]), b)
    return for_a.reshape(a.shape), for_b


@linear.gradient
def linear_gradient(grad, out, x, weight, *bias, needs):
    """For x, W and b of x Wᵀ + b, with all rows as one batch: grad W, gradᵀ x, the sum of grad's rows."""
    rows = math.prod(x.shape[:-1])
    grad = grad.reshape(rows, len(weight))
    for_x = (grad @ weight).reshape(x.shape) if needs[0] else None
    for_weight = grad.T @ x.reshape(rows, x.shape[-1]) if needs[1] else None
    if not bias:  # left out: only two inputs
        return for_x, for_weight
    return for_x, for_weight, grad.sum(axis=0) if needs[2] else None


@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))


@concat.gradient
def concat_gradient(grad, out, *arrays, axis):
    """Each input gets back the part of `grad` that came from it."""
    ends = np.cumsum([array.shape[axis] for array in arrays])
    return tuple(np.split(grad, ends[:-1], axis))


@relu.gradient
def relu_gradient(grad, out, x):
    return _gated(grad, ~(x <= 0))


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)


@sigmoid.gradient
def sigmoid_gradient(grad, out, x):
    return grad * out * (1 - out)


@softplus.gradient
def softplus_gradient(grad, out, x):
    return grad * sigmoid.forward(x)


@softmax_along.gradient
def softmax_gradient(grad, out, x, *, axis):
    return out * (grad - (grad * out).sum(axis=axis, keepdims=True))


def gelu_slope(x, approximate):
    if approximate == "none":
        return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    t = np.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))
    return 0.5 * (1 + t) + x * (1 - t * t) * (1 + 3 * 0.044715 * x * x) / math.sqrt(2 * math.pi)


@gelu.gradient
def gelu_gradient(grad, out, x, *, approximate="none"):
    return grad * in_blocks(lambda entries: gelu_slope(entries, approximate), x, BLOCK)


@bce_terms.gradient
def bce_terms_gradient(grad, out, p, y, *, needs):
    for_y = grad * (np.maximum(np.log1p(-p), -100) - np.maximum(np.log(p), -100)) if needs[1] else None
    return grad * np.subtract(p, y, dtype=out.dtype) / np.maximum(p * (1 - p), 1e-12), for_y


class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = self.before.pop()


def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input
    and the place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            continue

        def loss(array, i=i):
            nudged = [Tensor(array, dtype=np.float64) if j == i else x.detach() for j, x in enumerate(inputs)]
            return float((function(*nudged).data * weights).sum())

        expected = numeric_gradient(loss, x.data, eps)
        got = np.zeros_like(expected) if x.grad is None else x.grad
        excess = np.abs(got - expected) - (atol + rtol * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True
