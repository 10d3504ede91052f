"""Tensor: An array with PyTorch's rules for shapes and dtypes, whose operations can be recorded.

Exported from module 01_tensor by tito export. Edit the notebook of that module, not this file.
"""

import contextvars
import functools
import importlib
import inspect
import math
import operator

import numpy as np

from ..kernels.precision import in_float32

__all__ = [
    "broadcast_shape", "result_dtype", "Node", "Op", "Tensor", "add", "elementwise", "sub", "mul", "div", "neg",
    "absolute", "exp", "log", "sqrt", "maximum", "minimum", "power", "where", "clip", "cast", "bitwise_not",
    "comparison", "eq", "ne", "lt", "le", "gt", "ge", "bitwise_and", "bitwise_or", "bitwise_xor", "matmul",
    "normalize_axes", "occupied_axes", "reduce_sum", "reduce_max", "reduce_min", "argmax", "reduce_mean", "variance",
    "resolve_shape", "as_shape", "swapped", "squeezed", "unsqueezed", "flattened", "reshape", "permute", "index",
    "ARRAY", "fill_key", "index_part", "is_array", "take", "row_major_strides", "concat", "tensor_list", "concatenate",
    "stack", "zeros", "ones", "full", "arange", "eye", "Random", "random_generator", "manual_seed", "randn", "rand",
]


def broadcast_shape(a, b):
    """The shape to which `a` and `b` broadcast. Raises ValueError naming both shapes where they do not."""
    ndim = max(len(a), len(b))
    result = []
    for m, n in zip((1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b), strict=True):
        if m != n and 1 not in (m, n):
            raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast: {m} meets {n}")
        result.append(n if m == 1 else m)
    return tuple(result)


def result_dtype(*operands, floating=False):
    """The dtype of an elementwise result.

    operands: arrays and Python numbers. floating: the result is floating even for integers.
    """
    floats = [x.dtype for x in operands if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if floats:
        return max(floats)  # of two floating dtypes, the wider is the larger
    if floating or any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    return np.result_type(*operands)


class Node:
    """One recorded operation: what it was, which inputs want a gradient (None elsewhere), and its arrays."""

    __slots__ = ("op", "inputs", "arrays", "settings")

    def __init__(self, op, inputs, arrays, settings):
        self.op = op
        self.inputs = inputs
        self.arrays = arrays
        self.settings = settings


class Op:
    """A function from arrays to an array that takes Tensors, and has a slot for its gradient rule.

    Inputs are positional: Tensors, arrays, Python numbers or None. Settings are keyword-only. If recording is
    on and an input requires a gradient, a floating result remembers the call in its `node`. Inputs are
    recorded as they are now: an array that is changed in place afterwards gives a wrong gradient.

    An `observer`, where there is one, runs every operation and every rule in their place: it is called as
    observer(op, function, arguments, settings) and returns function(*arguments, **settings). On the way
    forward `function` is `op.forward`, the arguments are the inputs' arrays and what it returns is the
    output; on the way back it is `op.rule`, with (grad, out, *arrays), and returns the gradients.
    """

    engine = None  # backward(tensor, grad), put here by module 05
    observer = None  # who watches operations and rules, put here by module 14
    recording = True  # switched off inside no_grad, in every thread

    def __new__(cls, forward=None, *, saves=False):
        return functools.partial(cls, saves=saves) if forward is None else super().__new__(cls)

    def __init__(self, forward, *, saves=False):
        functools.update_wrapper(self, forward)
        self.forward, self.saves = forward, saves
        self.takes_none = None in (getattr(inspect.unwrap(forward), "__defaults__", None) or ())
        self.rule = None
        self.rule_takes_needs = False

    def __repr__(self): return f"Op({self.__name__})"
    def __reduce__(self): return self.__name__  # copied and pickled by name, like a function

    def gradient(self, rule):
        """Decorator: make `rule(grad, out, *arrays, **settings)` this operation's gradient rule.

        A rule with a parameter `needs` is told there, in a bool per input, which gradients are wanted. With
        `@Op(saves=True)` the function returns (output, saved), and the rule gets `saved` as a setting.
        """
        self.rule = rule
        self.rule_takes_needs = "needs" in inspect.signature(rule).parameters
        return rule

    def __call__(self, *inputs, **settings):
        for name in settings:
            if isinstance(settings[name], Tensor):
                advice = f"pass its value, {name}.item()"
                raise TypeError(f"{self.__name__}: the setting {name!r} is a Tensor; {advice}")
        arrays, wanting, wanted = [], [], False
        for x in inputs:
            is_tensor = isinstance(x, Tensor)
            wants = is_tensor and x.requires_grad
            arrays.append(x.data if is_tensor else self._plain(x, inputs))
            wanting.append(x if wants else None)
            wanted = wanted or wants
        try:
            if Op.observer is None:
                out = self.forward(*arrays, **settings)
            else:
                out = Op.observer(self, self.forward, tuple(arrays), settings)
        except OverflowError as error:
            raise OverflowError(f"{self.__name__}: {error}; take a wider dtype, as in x.long()") from error
        if self.saves:  # for the rule, which gets it as one more setting
            out, settings = out[0], {**settings, "saved": out[1]}
        out = Tensor.wrap(out)
        if wanted and Op.recording and out.data.dtype.kind == "f":
            out.requires_grad = True
            out.node = Node(self, tuple(wanting), tuple(arrays), settings)
        return out

    def _plain(self, x, inputs):
        """What `forward` gets for an input that is no Tensor: a Python number, an array or None."""
        if isinstance(x, np.generic):
            return x.item()  # a NumPy scalar would widen the result; a Python number does not
        if isinstance(x, np.ndarray):
            dtypes = [other.dtype for other in inputs if isinstance(other, Tensor)]
            floats = [dtype for dtype in dtypes if dtype.kind == "f"]
            if x.dtype.kind != "f" or not dtypes:
                return x
            with np.errstate(over="ignore"):
                return x.astype(floats[0] if floats else np.float32, copy=False)
        if isinstance(x, (int, float)) or (x is None and self.takes_none):
            return x
        if x is None:
            raise TypeError(f"{self.__name__}: an input is None; does a function lack its return?")
        fix = "settings go by name" if isinstance(x, str) else "wrap it: Tensor(...)"
        raise TypeError(f"{self.__name__} takes Tensors, arrays and numbers, not a {type(x).__name__}; {fix}")


class Tensor:
    """An array with a dtype, which operations can record.

    data: numbers, nested lists, an array or a Tensor; always copied. dtype: a NumPy dtype; without one,
    Python floats and float64 become float32, and integers and booleans stay. Raises TypeError for what is not
    a number, ValueError for rows of different lengths.

    `axis` and `keepdims` answer to PyTorch's `dim` and `keepdim` too. `grad` is None or an array of the same
    shape.
    """

    __slots__ = ("data", "requires_grad", "grad", "node", "__weakref__")
    __array_ufunc__ = None  # array * tensor asks the Tensor, instead of making an array of objects

    @np.errstate(all="ignore")  # a number too large for its dtype is inf, without a warning
    def __init__(self, data, requires_grad=False, dtype=None):
        try:
            array = np.array(data.data if isinstance(data, Tensor) else data, dtype=dtype)
        except ValueError as error:
            if "inhomogeneous" in str(error):
                raise ValueError("a Tensor is rectangular, and these rows have different lengths") from error
            raise
        if array.dtype.kind not in "fiub":
            kind = type(data).__name__
            holds = "a Tensor holds real numbers of at most 64 bits"
            raise TypeError(f"{holds}; this {kind} makes {array.dtype}")
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
        if dtype is None and wide and not isinstance(data, Tensor):
            array = array.astype(np.float32)
        self.data = array
        self.grad = None
        self.node = None
        self.requires_grad = False
        self.requires_grad_(requires_grad)

    @staticmethod
    def wrap(array):
        """A Tensor around `array` itself: no copy, no cast."""
        tensor = Tensor.__new__(Tensor)
        tensor.data = array if type(array) is np.ndarray else np.asarray(array)
        tensor.requires_grad = False
        tensor.grad = None
        tensor.node = None
        return tensor

    # what it is
    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    dtype = property(lambda self: self.data.dtype)
    nbytes = property(lambda self: self.data.nbytes)
    is_leaf = property(lambda self: self.node is None)
    T = property(lambda self: self.permute(*reversed(range(self.ndim))))

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        return self.data.ndim

    def numel(self):
        return self.data.size

    def stride(self):
        """The entries (not bytes) from one entry to the next along each axis."""
        return tuple(step // self.data.itemsize for step in self.data.strides)

    def is_contiguous(self):
        """Whether the entries lie in memory in the order of reading. An axis of size 1 cannot disturb it."""
        steps = zip(self.shape, self.stride(), row_major_strides(self.shape), strict=True)
        return self.data.size == 0 or all(size == 1 or step == dense for size, step, dense in steps)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a Tensor of shape () has no length")
        return self.shape[0]

    def __repr__(self):
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        shape = f", shape={self.shape}" if self.data.size == 0 and self.ndim > 1 else ""
        dtype = "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        return f"Tensor({text}{shape}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    # out of it
    def numpy(self):
        """The array itself, not a copy."""
        return self.data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype, copy=copy)

    def item(self):
        if self.data.size != 1:
            raise ValueError(f"item() needs exactly one entry; this Tensor has shape {self.shape}")
        return self.data.item()

    def tolist(self):
        return self.data.tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return operator.index(self.item())

    def __bool__(self):
        if self.data.size != 1:
            shape = f"a Tensor of shape {self.shape}"
            raise ValueError(f"{shape} is neither true nor false; ask for its .any() or .all()")
        return bool(self.item())

    def __format__(self, spec):
        return format(self.item(), spec) if spec or self.ndim == 0 else repr(self)

    def __copy__(self):
        twin = object.__new__(type(self))
        twin.data, twin.requires_grad = self.data, self.requires_grad
        twin.grad, twin.node = self.grad, self.node
        return twin

    def __getstate__(self):
        """For deepcopy and pickle, which cannot take a history along."""
        if self.node is not None:
            raise RuntimeError("a Tensor with a recorded past cannot be copied or pickled: detach() it first")
        return super().__getstate__()

    def detach(self):
        """The same memory, without the history."""
        return Tensor.wrap(self.data)

    def astype(self, dtype): return cast(self, dtype=np.dtype(dtype))
    def float(self): return self.astype(np.float32)
    def long(self): return self.astype(np.int64)

    # gradients
    def requires_grad_(self, requires_grad=True):
        if not isinstance(requires_grad, bool):
            raise TypeError(f"requires_grad is True or False, not {requires_grad!r}")
        if requires_grad and self.dtype.kind != "f":
            wrong = f"only floating Tensors have gradients, and this is {self.dtype}"
            raise RuntimeError(f"{wrong}; pass dtype=np.float32")
        self.requires_grad = requires_grad
        return self

    def backward(self, grad=None):
        """Fill `grad` of every leaf that this Tensor was computed from (module 05)."""
        if Op.engine is None and __name__ != "__main__":
            try:
                importlib.import_module("tinytorch.core.autograd")
            except ModuleNotFoundError as error:
                if error.name != "tinytorch.core.autograd":
                    raise
        if Op.engine is None:
            raise RuntimeError("backward() arrives with module 05. Next: tito module start 05_autograd")
        Op.engine(self, grad)

    # arithmetic
    def __add__(self, other): return add(self, other)
    def __radd__(self, other): return add(other, self)
    def __sub__(self, other): return sub(self, other)
    def __rsub__(self, other): return sub(other, self)
    def __mul__(self, other): return mul(self, other)
    def __rmul__(self, other): return mul(other, self)
    def __truediv__(self, other): return div(self, other)
    def __rtruediv__(self, other): return div(other, self)
    def __pow__(self, other): return power(self, other)
    def __rpow__(self, other): return power(other, self)
    def __matmul__(self, other): return matmul(self, other)
    def __rmatmul__(self, other): return matmul(other, self)
    matmul, pow = __matmul__, __pow__
    def __pos__(self): return self
    def __neg__(self): return neg(self)
    def __abs__(self): return absolute(self)
    def exp(self): return exp(self)
    def log(self): return log(self)
    def sqrt(self): return sqrt(self)
    def abs(self): return absolute(self)
    def clip(self, min=None, max=None): return clip(self, low=min, high=max)  # noqa: A002 - PyTorch's names
    clamp = clip

    # comparisons: booleans, entry by entry; a Tensor as a whole is unlike None and any text
    __hash__ = object.__hash__

    def __eq__(self, other):
        return NotImplemented if other is None or isinstance(other, str) else eq(self, other)

    def __ne__(self, other):
        return NotImplemented if other is None or isinstance(other, str) else ne(self, other)

    def __lt__(self, other): return lt(self, other)
    def __le__(self, other): return le(self, other)
    def __gt__(self, other): return gt(self, other)
    def __ge__(self, other): return ge(self, other)
    def __contains__(self, value): return bool(eq(self, value).data.any())

    # masks
    def __and__(self, other): return bitwise_and(self, other)
    def __or__(self, other): return bitwise_or(self, other)
    def __xor__(self, other): return bitwise_xor(self, other)
    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__
    def __invert__(self): return bitwise_not(self)

    def all(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        return Tensor.wrap(np.all(self.data, axis=axis if dim is None else dim, keepdims=keepdims or keepdim))

    def any(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        return Tensor.wrap(np.any(self.data, axis=axis if dim is None else dim, keepdims=keepdims or keepdim))

    # reductions
    def sum(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        return reduce_sum(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim)

    def mean(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        return reduce_mean(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim)

    def max(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        """The largest values only, as PyTorch's `amax`; `argmax` gives the places."""
        return reduce_max(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim)

    def min(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        """The smallest values only, as PyTorch's `amin`."""
        return reduce_min(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim)

    def var(self, axis=None, keepdims=False, *, correction=1, dim=None, keepdim=False):
        return variance(self, axis if dim is None else dim, keepdims or keepdim, correction)

    def std(self, axis=None, keepdims=False, *, correction=1, dim=None, keepdim=False):
        return self.var(axis, keepdims, correction=correction, dim=dim, keepdim=keepdim).sqrt()

    def argmax(self, axis=None, keepdims=False, *, dim=None, keepdim=False):
        return argmax(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim)

    # shapes
    def reshape(self, *shape): return reshape(self, shape=as_shape(shape))
    view = reshape
    def permute(self, *axes): return permute(self, axes=as_shape(axes))
    def transpose(self, dim0, dim1): return permute(self, axes=swapped(self.ndim, dim0, dim1))
    def unsqueeze(self, dim): return reshape(self, shape=unsqueezed(self.shape, dim))

    def flatten(self, start_dim=0, end_dim=-1):
        return reshape(self, shape=flattened(self.shape, start_dim, end_dim))

    def __getitem__(self, key): return take(self, key)
    def __iter__(self): return (self[i] for i in range(len(self)))

    def squeeze(self, axis=None, *, dim=None):
        return reshape(self, shape=squeezed(self.shape, axis if dim is None else dim))

    def __setitem__(self, key, value):
        raise TypeError("recorded operations rely on a Tensor's entries: use where(), or change tensor.data")


@Op
@np.errstate(all="ignore")
def add(a, b):
    """a + b, entry by entry, with broadcasting. Raises ValueError naming both shapes that do not fit."""
    try:
        return np.add(a, b, dtype=result_dtype(a, b))
    except ValueError:
        broadcast_shape(np.shape(a), np.shape(b))
        raise


def elementwise(name, function, floating=False):
    """Make an operation of `function`, a NumPy function of one or two arrays that works entry by entry.

    floating: the result is floating even for integers. The operation raises ValueError naming both shapes
    where they do not broadcast.
    """

    @np.errstate(all="ignore")
    def forward(*operands):
        try:
            return function(*operands, dtype=result_dtype(*operands, floating=floating))
        except ValueError:
            if len(operands) == 2:
                broadcast_shape(*map(np.shape, operands))
            raise

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)


sub = elementwise("sub", np.subtract)
mul = elementwise("mul", np.multiply)
div = elementwise("div", np.divide, floating=True)
neg = elementwise("neg", np.negative)
absolute = elementwise("absolute", np.absolute)
exp = elementwise("exp", np.exp, floating=True)
log = elementwise("log", np.log, floating=True)
sqrt = elementwise("sqrt", np.sqrt, floating=True)
maximum = elementwise("maximum", np.maximum)
minimum = elementwise("minimum", np.minimum)


@Op
@np.errstate(all="ignore")
def power(a, b):
    """a ** b, entry by entry. The operator has short ways for exponents like 2 that np.power has not."""
    broadcast_shape(np.shape(a), np.shape(b))
    dtype = result_dtype(a, b)
    return np.asarray(a, dtype) ** (b if isinstance(b, (int, float)) else np.asarray(b, dtype))


@Op
def where(condition, a, b):
    """`a` where `condition` holds, else `b`, with broadcasting."""
    broadcast_shape(broadcast_shape(np.shape(condition), np.shape(a)), np.shape(b))
    dtype = result_dtype(a, b)
    return np.where(condition, np.asarray(a, dtype), np.asarray(b, dtype))


@Op
def clip(x, *, low, high):
    """Entries below `low` become `low`, entries above `high` become `high`: numbers, or None for no bound."""
    low, high = (bound.item() if isinstance(bound, np.generic) else bound for bound in (low, high))
    bounds = [bound for bound in (low, high) if bound is not None]
    if not all(isinstance(bound, (int, float)) for bound in bounds):
        raise TypeError(
            "clip: the bounds are numbers; for a bound for each entry use maximum() and minimum()"
        )
    return np.clip(x, low, high, dtype=result_dtype(x, *bounds)) if bounds else x


@Op
@np.errstate(all="ignore")
def cast(x, *, dtype):
    """A copy of `x` with another dtype."""
    if dtype.kind not in "fiub":
        raise TypeError(f"a Tensor holds real numbers, not {dtype}")
    return x.astype(dtype)


@Op
def bitwise_not(x):
    """The opposite of a mask; of integers, the opposite of each bit."""
    return np.invert(x)


def comparison(name, function):
    """Make an operation whose result is never floating, and which therefore has no gradient."""

    def forward(a, b):
        broadcast_shape(np.shape(a), np.shape(b))
        return function(a, b)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)


eq = comparison("eq", np.equal)
ne = comparison("ne", np.not_equal)
lt = comparison("lt", np.less)
le = comparison("le", np.less_equal)
gt = comparison("gt", np.greater)
ge = comparison("ge", np.greater_equal)
bitwise_and = comparison("bitwise_and", np.bitwise_and)
bitwise_or = comparison("bitwise_or", np.bitwise_or)
bitwise_xor = comparison("bitwise_xor", np.bitwise_xor)


@Op
@np.errstate(all="ignore")
def matmul(a, b):
    """The matrix product of (…, n, k) and (…, k, m), shape (…, n, m); a 1-D operand is a row or a column.

    Raises ValueError naming both shapes where the inner sizes or the batch axes do not fit.
    """
    a, b = np.asarray(a), np.asarray(b)
    try:
        return np.matmul(a, b, dtype=result_dtype(a, b))
    except ValueError as error:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together") from error


def normalize_axes(axis, ndim):
    """The axes meant by `axis` as a sorted tuple: None for all, negative ones from the end.

    For a Tensor without axes, 0 and -1 are allowed and mean none. Raises IndexError for an axis that does not
    exist and ValueError for one named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes, room = axis if isinstance(axis, (tuple, list)) else (axis,), max(ndim, 1)
    for a in axes:
        if not -room <= a < room:
            raise IndexError(f"axis {a} does not exist: the Tensor has {ndim} axes")
    if len({a % room for a in axes}) != len(axes):
        raise ValueError(f"axis {axis} names an axis twice")
    return tuple(sorted(a % room for a in axes)) if ndim else ()


def occupied_axes(axis, shape):
    """The axes meant by `axis`. Raises ValueError where one is empty, with nothing to choose from."""
    axes = normalize_axes(axis, len(shape))
    if any(shape[a] == 0 for a in axes):
        raise ValueError(f"no largest or smallest of no entries: axis {axis} of shape {shape} is empty")
    return axes


@Op
@np.errstate(all="ignore")
@in_float32
def reduce_sum(x, *, axis=None, keepdims=False):
    """The sum over `axis`, int64 for integers and booleans; () sums over none, where PyTorch takes all."""
    dtype = x.dtype if x.dtype.kind == "f" else np.int64
    return np.sum(x, axis=normalize_axes(axis, x.ndim), keepdims=keepdims, dtype=dtype)


@Op
def reduce_max(x, *, axis=None, keepdims=False):
    """The largest entry over `axis`. Raises ValueError where there is none."""
    return np.max(x, axis=occupied_axes(axis, x.shape), keepdims=keepdims)


@Op
def reduce_min(x, *, axis=None, keepdims=False):
    """The smallest entry over `axis`. Raises ValueError where there is none."""
    return np.min(x, axis=occupied_axes(axis, x.shape), keepdims=keepdims)


@Op
def argmax(x, *, axis=None, keepdims=False):
    """The place of the largest entry along one axis, or in the flattened Tensor; the first of equals."""
    occupied_axes(axis, x.shape)
    return np.argmax(x, axis=axis, keepdims=keepdims)


@Op
@np.errstate(all="ignore")
@in_float32
def reduce_mean(x, *, axis=None, keepdims=False):
    """The mean over `axis`: floating, and nan over no entries."""
    axes = normalize_axes(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    total = np.sum(x, axis=axes, keepdims=keepdims, dtype=result_dtype(x, floating=True))
    return total / count


def variance(x, axis=None, keepdims=False, correction=1):
    """The squared distances from the mean over `axis`, summed, by count - correction; nan for one entry."""
    count = math.prod(x.shape[a] for a in normalize_axes(axis, x.ndim))
    centered = x - x.mean(axis, keepdims=True)
    total = (centered * centered).sum(axis, keepdims)
    return total / max(count - correction, 0)


def resolve_shape(shape, count):
    """`shape` for `count` entries, with a size of -1 worked out. Raises ValueError naming both."""
    known = math.prod(size for size in shape if size != -1)
    open_sizes = shape.count(-1)
    divides = known > 0 and count % known == 0 if open_sizes else count == known
    if open_sizes > 1 or min(shape, default=0) < -1 or not divides:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)


def as_shape(sizes):
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` and `f([2, 3])` alike."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return tuple(operator.index(size) for size in sizes)


def swapped(ndim, dim0, dim1):
    """All axes in order, but for two that change places."""
    axes, first, second = list(range(ndim)), normalize_axes(dim0, ndim), normalize_axes(dim1, ndim)
    if axes:
        axes[first[0]], axes[second[0]] = *second, *first
    return tuple(axes)


def squeezed(shape, axis=None):
    """`shape` without its axes of size 1, or without those of them that `axis` names."""
    axes = normalize_axes(axis, len(shape))
    return tuple(size for i, size in enumerate(shape) if size != 1 or i not in axes)


def unsqueezed(shape, dim):
    """`shape` with an axis of size 1 put in, which will be axis number `dim`."""
    (place,) = normalize_axes(dim, len(shape) + 1)
    return shape[:place] + (1,) + shape[place:]


def flattened(shape, start_dim=0, end_dim=-1):
    """`shape` with the axes from `start_dim` to `end_dim` made into one."""
    if not shape:
        return (1,)
    (start,), (end,) = normalize_axes(start_dim, len(shape)), normalize_axes(end_dim, len(shape))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} in shape {shape}")
    return shape[:start] + (math.prod(shape[start : end + 1]),) + shape[end + 1 :]


@Op
def reshape(x, *, shape):
    """The entries of `x`, in order, in another shape; one size may be -1."""
    return x.reshape(resolve_shape(shape, x.size))


@Op
def permute(x, *, axes):
    """`x` with its axes in the order `axes`. Raises ValueError where that is no order of all of them."""
    if len(normalize_axes(axes, x.ndim)) != x.ndim:
        raise ValueError(f"permute: {axes} is not an order of the {x.ndim} axes of shape {x.shape}")
    return x.transpose(axes)


@Op
def index(x, *arrays, key):
    """x[key]; each ARRAY in `key` stands for the next of `arrays` (integers or a mask, no gradient)."""
    return x[fill_key(key, arrays)]


ARRAY = "array"


def fill_key(key, arrays):
    """`key` with each ARRAY replaced by the next of `arrays`."""
    arrays = iter(arrays)
    return tuple(next(arrays) if part is ARRAY else part for part in key)


def index_part(part):
    """One part of a key: lists as arrays, and integer arrays without axes as integers."""
    if isinstance(part, list):
        part = np.asarray(part) if np.size(part) else np.zeros(np.shape(part), np.int64)
    is_number = (
        isinstance(part, (Tensor, np.ndarray, np.generic)) and part.ndim == 0 and part.dtype.kind in "iu"
    )
    return part.item() if is_number else part


def is_array(part):
    return isinstance(part, (Tensor, np.ndarray))


def take(x, key):
    """tensor[key]: tells the arrays in `key`, which are inputs, from slices and integers, which are settings.

    Integers choose before arrays do, as in PyTorch: x[0, :, rows] is x[0][:, rows]. NumPy counts the 0 as an
    array too, and moves the axis of `rows` to the front.
    """
    parts = [index_part(part) for part in (key if isinstance(key, tuple) else (key,))]
    if any(map(is_array, parts)) and any(type(part) is int for part in parts):
        whole, first = slice(None), []
        for part in parts:  # a mask stands for as many axes as it has
            first += [whole] * (part.ndim if part.dtype.kind == "b" else 1) if is_array(part) else [part]
        x = index(x, key=tuple(first))
        parts = [
            part if is_array(part) or part is Ellipsis else whole for part in parts if type(part) is not int
        ]
    return index(x, *filter(is_array, parts), key=tuple(ARRAY if is_array(part) else part for part in parts))


def row_major_strides(shape):
    """The strides, in entries, of an array of `shape` that lies in memory row after row."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


@Op
def concat(*arrays, axis):
    """The arrays one after another along `axis`. Raises ValueError naming two shapes that do not fit."""
    first = arrays[0].shape
    (axis,) = normalize_axes(axis, len(first))
    for other in arrays:
        same_around = other.shape[:axis] == first[:axis] and other.shape[axis + 1 :] == first[axis + 1 :]
        if not same_around or other.ndim != len(first):
            raise ValueError(f"concatenate along axis {axis}: shapes {first} and {other.shape} do not fit")
    total = sum(array.shape[axis] for array in arrays)
    result = np.empty(first[:axis] + (total,) + first[axis + 1 :], result_dtype(*arrays))
    lines, start = np.moveaxis(result, axis, 0), 0
    for array in arrays:
        lines[start : start + array.shape[axis]] = np.moveaxis(array, axis, 0)
        start += array.shape[axis]
    return result


def tensor_list(name, tensors):
    """`tensors` as a list. Raises ValueError where it is empty, TypeError for what is no Tensor."""
    tensors = list(tensors)
    for other in tensors:
        if not isinstance(other, Tensor):
            raise TypeError(
                f"{name} joins Tensors, and one of these is a {type(other).__name__}; wrap it: Tensor(...)"
            )
    if not tensors:
        raise ValueError(f"{name} needs at least one Tensor")
    return tensors


def concatenate(tensors, axis=0, *, dim=None):
    """Join Tensors along an axis that they have. PyTorch's `cat`, which leaves out those of shape (0,)."""
    tensors = tensor_list("concatenate", tensors)
    if any(tensor.ndim == 0 for tensor in tensors):
        raise ValueError("concatenate: a Tensor of shape () has no axis to be joined along; use stack")
    if any(tensor.ndim > 1 for tensor in tensors):
        tensors = [tensor for tensor in tensors if tensor.shape != (0,)]
    return concat(*tensors, axis=axis if dim is None else dim)


def stack(tensors, axis=0, *, dim=None):
    """Join Tensors of one shape along a new axis. Raises ValueError naming two shapes that differ."""
    tensors, axis = tensor_list("stack", tensors), axis if dim is None else dim
    for other in tensors:
        if other.shape != tensors[0].shape:
            raise ValueError(
                f"stack needs Tensors of one shape, and got {tensors[0].shape} and {other.shape}"
            )
    return concat(*[tensor.unsqueeze(axis) for tensor in tensors], axis=axis)


def zeros(*shape, dtype=np.float32, requires_grad=False):
    return Tensor(np.zeros(as_shape(shape), dtype), requires_grad, dtype)


def ones(*shape, dtype=np.float32, requires_grad=False):
    return Tensor(np.ones(as_shape(shape), dtype), requires_grad, dtype)


def full(shape, fill_value, dtype=None, requires_grad=False):
    return Tensor(np.full(shape, fill_value), requires_grad, dtype)


def arange(*bounds, dtype=None, requires_grad=False):
    """arange(stop), arange(start, stop) or arange(start, stop, step), without `stop` itself."""
    return Tensor(np.arange(*bounds), requires_grad, dtype)


def eye(n, m=None, dtype=np.float32, requires_grad=False):
    return Tensor(np.eye(n, m, dtype=dtype), requires_grad, dtype)


class Random:
    """The generator behind `randn` and `rand`, in one place so that `manual_seed` reaches every user of it.

    own: a generator that takes its place in one thread for a while; module 08 gives every batch its own.
    """

    generator = np.random.default_rng()
    own = contextvars.ContextVar("own", default=None)


def random_generator():
    """Where random numbers come from now: a generator of this thread's own, else what manual_seed set."""
    return Random.generator if Random.own.get() is None else Random.own.get()


def manual_seed(seed):
    """Restart the random numbers: the same seed, the same numbers. Returns the generator."""
    Random.generator = np.random.default_rng(seed)
    return Random.generator


def randn(*shape, dtype=np.float32, requires_grad=False, generator=None):
    """Normal random numbers with mean 0 and variance 1. generator: a numpy.random.Generator of one's own."""
    numbers = (generator or random_generator()).standard_normal(as_shape(shape), dtype=dtype)
    return Tensor(numbers, requires_grad, dtype)


def rand(*shape, dtype=np.float32, requires_grad=False, generator=None):
    """Random numbers spread evenly over [0, 1). generator: a numpy.random.Generator of one's own."""
    numbers = (generator or random_generator()).random(as_shape(shape), dtype=dtype)
    return Tensor(numbers, requires_grad, dtype)
