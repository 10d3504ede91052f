# %% [markdown]
r"""
# 01 Tensor

Every number that a network reads, learns or predicts lives in a tensor: an array with a shape and a dtype.
NumPy has arrays already. What it does not have is the discipline that training needs:

- float32 everywhere, unless you ask for something else (NumPy turns to float64 at every opportunity, at half the speed),
- errors that name both shapes when two shapes do not fit,
- operations that can *remember* what they were applied to, so that module 05 can go back through them.

In this module you write nine small functions. Around them stands a class `Tensor` that answers to PyTorch's names:
`x @ w + b`, `x.mean(axis=0)`, `x.reshape(2, -1)`. At the end a two-layer network computes with nothing but your code,
and gives the same numbers as PyTorch.

Cells that begin with `#| export` are the ones that become your package: `tito module complete 01_tensor` writes them to
`tinytorch/core/tensor.py`. If you put a helper function into a cell of its own, give that cell the same first line, or the
export will not know it. One rule holds everywhere: a right answer makes NumPy print no warning.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings

check_home()

# %%
#| default_exp core.tensor

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextvars
import functools
import importlib
import inspect
import math
import operator

import numpy as np

from tinytorch.kernels.precision import in_float32

# %% [markdown]
r"""
## Part 1 of 2 · about 3½ hours: which shape comes out?

NumPy adds a column of shape (3, 1) and a row of shape (4,) and gives a table of shape (3, 4). It lines the shapes up
**from the right**, and an axis of size 1 (or a missing one) stretches:

    a        3  1
    b           4
    result   3  4

In each column the two sizes must be equal, or one of them must be 1 or missing; otherwise there is no result.
A 1 against a 0 gives 0, not 1.

**Write `broadcast_shape(a, b)`**: the shape of the result. Where none exists, raise a `ValueError` whose message holds
both shapes as Python writes them. Shapes are only numbers: no array has to be made for this, so sizes that fit into no memory
have an answer as well.
"""

# %% nbgrader={"grade": false, "grade_id": "broadcast_shape", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What does a missing axis count as, once the shapes are lined up from the right?", "Give both shapes the same length first, with ones in front; then every column has two sizes.", "In a column where one of the two is 1, the answer is the other one, whatever it is: that also settles size 0."], "minutes": 15, "objective": "shapes"}
#| export
def broadcast_shape(a, b):
    """The shape to which `a` and `b` broadcast. Raises ValueError naming both shapes where they do not."""
    ### BEGIN SOLUTION
    ndim = max(len(a), len(b))
    result = []
    for m, n in zip((1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b), strict=True):
        if m != n and 1 not in (m, n):
            raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast: {m} meets {n}")
        result.append(n if m == 1 else m)
    return tuple(result)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-broadcast_shape", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_broadcast_shape():
    cases = [
        ((3, 1), (4,), (3, 4)),
        ((4,), (3, 1), (3, 4)),
        ((2, 3), (2, 3), (2, 3)),
        ((), (5, 2), (5, 2)),
        ((8, 1, 6, 1), (7, 1, 5), (8, 7, 6, 5)),
        ((2, 1), (0,), (2, 0)),
        ((10**10, 1), (10**10,), (10**10, 10**10)),
    ]
    for a, b, expected in cases:
        expect(broadcast_shape(a, b), expected, f"{a} with {b}")
    print("🔬 broadcast_shape: passed")

test_unit_broadcast_shape()

# %% nbgrader={"grade": true, "grade_id": "test-broadcast_shape-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_broadcast_shape_errors():
    expect_error(ValueError, ["(2, 3)", "(2,)"], broadcast_shape, (2, 3), (2,))
    expect_error(ValueError, ["(4,)", "(5, 3)"], broadcast_shape, (4,), (5, 3))
    expect_error(ValueError, ["(0,)", "(3,)"], broadcast_shape, (0,), (3,))
    print("🔬 broadcast_shape, errors: passed")

test_unit_broadcast_shape_errors()

# %% nbgrader={"grade": true, "grade_id": "test-broadcast_shape-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more shapes, empty axes among them, against NumPy's own answer.
### BEGIN HIDDEN TESTS
for shapes in [((0,), (1,)), ((1, 3), (0, 1)), ((1,), (0,)), ((5, 1, 4), (1, 6, 1)), ((1, 1), ())]:
    expect(broadcast_shape(*shapes), np.broadcast_shapes(*shapes), f"{shapes[0]} with {shapes[1]}")
expect_error(ValueError, ["(0, 2)", "(3, 1)"], broadcast_shape, (0, 2), (3, 1))
### END HIDDEN TESTS

# %% [markdown]
r"""
The stretched axis costs nothing: NumPy does not copy the row three times, it reads the same four numbers again.
You can see that in the *strides*, the bytes from one entry to the next along each axis. A stride of 0 stands still:
"""

# %%
row = np.arange(4, dtype=np.float32)
table = np.broadcast_to(row, (3, 4))
print("row:  ", row.nbytes, "bytes, strides", row.strides)
print("table:", table.shape, "strides", table.strides)
print("table shares memory with row:", np.shares_memory(row, table))

# %% [markdown]
r"""
## Which dtype comes out?

    np.arange(3) * np.float32(0.5)                 → float64
    np.arange(3, dtype=np.int32) / 2               → float64
    np.ones(3, np.float32) * np.float64(2)         → float64

NumPy plays it safe, and each of these would turn a network to float64: twice the memory, half the speed. PyTorch's rules
keep what you chose. For arrays and Python numbers together:

1. If any **array** is floating, the result has the widest of the floating arrays' dtypes. Integers and Python numbers
   have no say: int64 with float32 gives float32.
2. Otherwise, if a Python `float` takes part, or the operation always gives floating numbers (division, `exp`): float32.
3. Otherwise all are integers or booleans, and NumPy's rule is fine: `np.result_type(*operands)`.

(One simplification: for PyTorch an array without axes counts as a number, so that `np.array(2.5)` would not make float64 of a
float32 array. Here it counts as an array, and does.)

**Write `result_dtype(*operands, floating=False)`**, where `floating=True` says that the operation always gives floating numbers.
An array's dtype has a `kind`: `"f"` for floating.
"""

# %% nbgrader={"grade": false, "grade_id": "result_dtype", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the operands are arrays at all? Only they have a dtype.", "Collect the dtypes of the floating arrays first. If there is one, the widest of them is the whole answer.", "Without floating arrays two things can still make it float32: the setting, and a Python number that is a float."], "minutes": 20, "objective": "dtypes"}
#| export
def result_dtype(*operands, floating=False):
    """The dtype of an elementwise result.

    operands: arrays and Python numbers. floating: the result is floating even for integers.
    """
    ### BEGIN SOLUTION
    floats = [x.dtype for x in operands if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if floats:
        return max(floats)  # of two floating dtypes, the wider is the larger
    if floating or any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    return np.result_type(*operands)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-result_dtype", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_result_dtype():
    f32, f64 = np.ones(2, np.float32), np.ones(2, np.float64)
    i32, i64, flags = np.ones(2, np.int32), np.ones(2, np.int64), np.ones(2, bool)
    cases = [
        ("float32 with float32", (f32, f32), np.float32),
        ("float32 with float64", (f32, f64), np.float64),
        ("float64 with float32", (f64, f32), np.float64),
        ("int64 with float32", (i64, f32), np.float32),
        ("float32 with the number 2.5", (f32, 2.5), np.float32),
        ("the number 2.5 with float64", (2.5, f64), np.float64),
        ("int64 with the number 2.5", (i64, 2.5), np.float32),
        ("int32 with the number 2", (i32, 2), np.int32),
        ("int32 with int64", (i32, i64), np.int64),
        ("bool with bool", (flags, flags), np.bool_),
        ("float32 with a float64 array of shape ()", (f32, np.array(2.5)), np.float64),
    ]
    for what, operands, expected in cases:
        expect(result_dtype(*operands), expected, what)
    expect(result_dtype(i64, i64, floating=True), np.float32, "integers, floating=True")
    expect(result_dtype(f64, floating=True), np.float64, "float64, floating=True")
    print("🔬 result_dtype: passed")

test_unit_result_dtype()

# %% nbgrader={"grade": true, "grade_id": "test-result_dtype-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other dtypes, other orders.
### BEGIN HIDDEN TESTS
half, single, double = (np.zeros(1, kind) for kind in (np.float16, np.float32, np.float64))
expect(result_dtype(half, single, np.zeros(1, np.int64)), np.float32, "float16, float32 and int64")
expect(result_dtype(double, half), np.float64, "float64 with float16")
expect(result_dtype(half, double), np.float64, "float16 with float64")
expect(result_dtype(half, 1e6), np.float16, "float16 with the number 1e6, which does not widen an array")
expect(result_dtype(np.zeros(1, bool), 3), np.int64, "bool with the number 3")
expect(result_dtype(np.zeros(1, np.uint8), np.zeros(1, np.int8)), np.int16, "uint8 with int8")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Operations and the Tensor

Two classes are given, because you should read them rather than type them.

An **`Op`** wraps a function of plain NumPy arrays. Called with Tensors, it hands their arrays to the function, wraps
what comes back, and can *record* the call: which operation, which inputs. It has an empty slot, `rule`, in which module 05
will say how a small change of an input changes the output (a *gradient*); nothing that you write until then has to change.

What is not a Tensor takes over the dtype of the Tensors beside it, so that `x * np.ones(3)` stays float32. `None` goes
through where the function has it as a default. Everything that is not data, such as an axis, is a *setting* and passed by name.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-op", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
The **`Tensor`** holds an array in `data`. Its methods are one line each and call an operation *by name*, so they work
as soon as you have written that operation, and not before. Its constructor copies what it is given, turns Python floats
and float64 arrays into float32 unless `dtype` says otherwise, and keeps integers and booleans as they are.

Skim it now; come back when a test below uses a method that you have not met.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-tensor", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
## The first operation

    Tensor([1., 2.]) + Tensor([[10.], [20.]])   =   [[11., 12.],
                                                     [21., 22.]]

`np.add(a, b, dtype=…)` does the arithmetic and the broadcasting. Two things are yours: the dtype, by your rule, and the
error. NumPy's own says *operands could not be broadcast together*; yours comes from `broadcast_shape`. Checking the
shapes before every addition would cost more than a small addition itself. So let NumPy try, and when it raises a `ValueError`,
call `broadcast_shape(np.shape(a), np.shape(b))`, which says it better. Should that find nothing wrong, NumPy's error had
another reason: raise it again.

**Write `add(a, b)`**, of arrays and Python numbers. The line `@Op` above turns your function of arrays into an operation on
Tensors, and `@np.errstate` lets inf − inf be nan without a warning from NumPy, as it is in PyTorch.
"""

# %% nbgrader={"grade": false, "grade_id": "add", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which line may fail, and what do you know when it does?", "Try the addition with the dtype of your rule. Where NumPy raises, ask your function for the shape of the result: it knows the better words."], "minutes": 12, "objective": "errors"}
#| export
@Op
@np.errstate(all="ignore")
def add(a, b):
    """a + b, entry by entry, with broadcasting. Raises ValueError naming both shapes that do not fit."""
    ### BEGIN SOLUTION
    try:
        return np.add(a, b, dtype=result_dtype(a, b))
    except ValueError:
        broadcast_shape(np.shape(a), np.shape(b))
        raise
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-add", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_add():
    got = Tensor([1.0, 2.0]) + Tensor([[10.0], [20.0]])
    assert isinstance(got, Tensor), f"an operation returns a Tensor, got {type(got).__name__}"
    expect(got, [[11, 12], [21, 22]], "[1, 2] + [[10], [20]]")

    x = Tensor([1.0, 2.0])
    expect(x + 1, [2, 3], "x + 1", dtype=np.float32)
    expect(1 + x, [2, 3], "1 + x", dtype=np.float32)
    expect(np.float64(1) + x, [2, 3], "np.float64(1) + x", dtype=np.float32)
    expect(x + np.ones(2), [2, 3], "x + array of float64", dtype=np.float32)
    expect(Tensor([1, 2]) + Tensor([0.5, 0.5]), [1.5, 2.5], "int64 + float32", dtype=np.float32)
    expect(Tensor([1, 2]) + 3, [4, 5], "int64 + 3", dtype=np.int64)
    expect(Tensor(2.0) + Tensor(3.0), 5, "two Tensors without axes", dtype=np.float32)
    expect(Tensor(np.zeros((0, 3))) + Tensor([1.0, 2.0, 3.0]), np.zeros((0, 3)), "no rows plus a row")
    expect(x, [1, 2], "the inputs, which an operation leaves alone")
    print("🔬 add: passed")

test_unit_add()

# %% nbgrader={"grade": true, "grade_id": "test-add-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_add_errors():
    expect_error(ValueError, ["(2, 3)", "(2,)"], add, Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([1, 2]))
    expect_error(ValueError, ["(2,)", "(3,)"], add, Tensor([1, 2]), np.ones(3))
    print("🔬 add, errors: passed")

test_unit_add_errors()

# %% nbgrader={"grade": true, "grade_id": "test-add-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes and dtypes, and that a sum can be recorded.
### BEGIN HIDDEN TESTS
left, right = np.arange(6.0).reshape(2, 3, 1), np.arange(4.0) - 7
got = add(Tensor(left, dtype=np.float64), Tensor(right, dtype=np.float64))
expect(got, left + right, "(2, 3, 1) + (4,)", dtype=np.float64)
expect(Tensor([1, 2]) + 2.5, [3.5, 4.5], "int64 + 2.5", dtype=np.float32)
recorded = Tensor([1.0], requires_grad=True) + 1
assert recorded.requires_grad and recorded.node.op is add and not (Tensor([1.0]) + 1).requires_grad
### END HIDDEN TESTS

# %% [markdown]
r"""
## A family of operations

Subtraction, multiplication, `exp` and `sqrt` are the same few lines with another NumPy function in the middle.
Instead of typing them twelve times, write a function that *makes* operations:

    sub = elementwise("sub", np.subtract)
    div = elementwise("div", np.divide, floating=True)     # 1 / 2 is 0.5, also for integers

The inner function `forward` takes one or two operands and does for `function` what `add` did for `np.add`. It is a
*closure*: it remembers `function` and `floating` of the call that made it.

**Write the body of `forward`.** With two operands, a `ValueError` of NumPy means most often that the shapes do not fit: let
`broadcast_shape` say so. Where it finds nothing wrong (`np.power` refuses negative powers of integers), and with one operand,
raise NumPy's own error again. A function that has no version for integers, such as division, needs the floating `dtype`.
"""

# %% nbgrader={"grade": false, "grade_id": "elementwise", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What changes from add to this, apart from the NumPy function and the number of operands?", "The operands arrive in a tuple: hand them on one by one to NumPy and to your rule for dtypes.", "After broadcast_shape has found nothing wrong, or where there is one operand only, raise NumPy's own error again."], "minutes": 20, "objective": "operations"}
#| export
def elementwise(name, function, floating=False):
    """Make an operation of `function`, a NumPy function of one or two arrays that works entry by entry.

    floating: the result is floating even for integers. The operation raises ValueError naming both shapes
    where they do not broadcast.
    """

    @np.errstate(all="ignore")
    def forward(*operands):
        ### BEGIN SOLUTION
        try:
            return function(*operands, dtype=result_dtype(*operands, floating=floating))
        except ValueError:
            if len(operands) == 2:
                broadcast_shape(*map(np.shape, operands))
            raise
        ### END SOLUTION

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)

# %% nbgrader={"grade": true, "grade_id": "test-elementwise", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_elementwise():
    minus = elementwise("minus", np.subtract)
    over = elementwise("over", np.divide, floating=True)
    root = elementwise("root", np.sqrt, floating=True)

    expect(minus(Tensor([[5.0], [7.0]]), Tensor([1.0, 2.0])), [[4, 3], [6, 5]], "[[5], [7]] - [1, 2]")
    expect(over(Tensor([1, 2]), Tensor([2, 4])), [0.5, 0.5], "integers divided", dtype=np.float32)
    expect(root(Tensor([4, 9])), [2, 3], "the square root of integers", dtype=np.float32)
    expect(root(Tensor(9.0)), 3, "the square root of a Tensor without axes", dtype=np.float32)
    expect(minus(Tensor([5, 7]), 2), [3, 5], "integers minus the number 2", dtype=np.int64)
    assert repr(minus) == "Op(minus)", f"the operation carries its name, got {minus!r}"
    expect_error(ValueError, ["(1, 3)", "(2,)"], minus, Tensor([[1, 2, 3]]), Tensor([1, 2]))
    raised = elementwise("raised", np.power)  # the shapes fit, and NumPy's own error comes through
    expect_error(ValueError, "negative", raised, Tensor([2, 3]), Tensor([-1, -1]))
    print("🔬 elementwise: passed")

test_unit_elementwise()

# %% nbgrader={"grade": true, "grade_id": "test-elementwise-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: the same rules for other functions, and two operations made one after the other.
### BEGIN HIDDEN TESTS
larger, hyperbolic = elementwise("larger", np.maximum), elementwise("hyperbolic", np.tanh, floating=True)
expect(larger(Tensor([[1.0], [5.0]]), Tensor([2.0, 9.0])), [[2, 9], [5, 9]], "np.maximum of (2, 1) and (2,)")
expect(hyperbolic(Tensor([0.5, -2.0])), [0.46211716, -0.96402758], "np.tanh", rtol=1e-6)
expect(hyperbolic(Tensor([0.5], dtype=np.float64)).dtype, np.float64, "np.tanh of float64")
expect(larger(Tensor([1, 5], dtype=np.int32), 3), [3, 5], "np.maximum of int32 and 3", dtype=np.int32)
### END HIDDEN TESTS

# %% [markdown]
r"""
With it the family is a list. A few members do not fit the pattern (three inputs, booleans out) and are given.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-family", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %%
x = Tensor([-2.0, 0.0, 3.0])
print((2 * x - 1) / 4)
print(where(x > 0, x, 0.1 * x), x.clip(0, 1), x**2, sep="\n")

# %% [markdown]
r"""
## Matrix multiplication

Nearly all the arithmetic of a network is this one operation. Entry (i, j) of `a @ b` is row i of `a` times column j of `b`:

    [1 2 3]     [1 0]      [1·1+2·0+3·2   1·0+2·1+3·0]     [7 2]
    [4 5 6]  @  [0 1]   =  [4·1+5·0+6·2   4·0+5·1+6·0]  =  [16 5]
                [2 0]

    (2, 3)  @  (3, 2)   →  (2, 2)          the inner sizes must agree, and vanish

A 1-D operand counts as a row on the left and as a column on the right, and its axis vanishes from the result: (3,) @ (3,)
is a number. More than two axes are a *batch* of matrices: (8, 2, 3) @ (8, 3, 5) → (8, 2, 5), and the batch axes broadcast
like any others.

`np.matmul` does all of that, fast. What it does not do is explain itself: wrong inner sizes give *matmul: Input operand 1 has a
mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?)*.

**Write `matmul(a, b)`** for arrays and Python numbers (which have no `shape` of their own; `np.asarray` gives them one, and
`x @ 2.0` has to be refused as well). Raise a `ValueError` that names both whole shapes, as Python writes them, when an operand has no axis at all, when
the inner sizes differ (the last axis of `a`; the last but one of `b`, or its only one), or when the batch axes do not
broadcast. Sizes of 0 are fine: a sum of nothing is 0. The result has the `result_dtype` of the operands.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which errors of NumPy's matmul would a reader not understand, and which shapes do you have at that point?", "Operands may be Python numbers, which have no shape: make arrays of both first.", "All three faults (no axis, inner sizes, batch axes) are errors of NumPy's as well: one message of yours with both whole shapes serves them all."], "minutes": 30, "objective": "matmul"}
#| export
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    """The matrix product of (…, n, k) and (…, k, m), shape (…, n, m); a 1-D operand is a row or a column.

    Raises ValueError naming both shapes where the inner sizes or the batch axes do not fit.
    """
    ### BEGIN SOLUTION
    a, b = np.asarray(a), np.asarray(b)
    try:
        return np.matmul(a, b, dtype=result_dtype(a, b))
    except ValueError as error:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together") from error
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-matmul", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul():
    a, b = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), Tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    expect(a @ b, [[7, 2], [16, 5]], "the product above", dtype=np.float32)
    row, column = Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 0.0, -1.0])
    expect(row @ column, -2, "(3,) @ (3,) is the number 1·1 + 2·0 - 3·1")
    expect(a @ column, [-2, -2], "(2, 3) @ (3,)")
    expect(row @ b, [7, 2], "(3,) @ (3, 2)")

    batch = Tensor(np.arange(12).reshape(2, 2, 3))
    expected = [[[4, 1], [13, 4]], [[22, 7], [31, 10]]]
    expect(batch @ b, expected, "int64 (2, 2, 3) @ float32 (3, 2)", dtype=np.float32)
    pairs = Tensor(np.arange(8).reshape(2, 2, 2))
    expected = [[[2, 3], [6, 11]], [[46, 55], [66, 79]]]
    expect(pairs @ pairs, expected, "(2, 2, 2) @ (2, 2, 2), matrix by matrix")
    tall = Tensor(np.ones((8, 2, 3))) @ Tensor(np.ones((8, 3, 5)))
    expect(tall, np.full((8, 2, 5), 3), "(8, 2, 3) @ (8, 3, 5)")
    wide = Tensor(np.ones(2), dtype=np.float64)
    expect(Tensor([1.0, 2.0]) @ wide, 3, "float32 @ float64", dtype=np.float64)
    expect(wide @ Tensor([1.0, 2.0]), 3, "float64 @ float32", dtype=np.float64)
    empty = Tensor(np.zeros((2, 0))) @ Tensor(np.zeros((0, 3)))
    expect(empty, np.zeros((2, 3)), "(2, 0) @ (0, 3): sums of nothing")
    print("🔬 matmul: passed")


test_unit_matmul()

# %% nbgrader={"grade": true, "grade_id": "test-matmul-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_errors():
    def refuses(a, b):
        shapes = [str(np.shape(x)) for x in (a, b)]
        expect_error(
            ValueError, shapes, matmul, *(Tensor(x) if isinstance(x, np.ndarray) else x for x in (a, b))
        )

    refuses(np.zeros((2, 3)), np.zeros((4, 2)))
    refuses(np.zeros((2, 3)), np.zeros(2))
    refuses(np.zeros((4, 2, 3)), np.zeros((5, 3, 2)))
    for number in (np.array(2.0), 2.0):
        refuses(np.zeros((2, 3)), number)
        refuses(number, np.zeros((2, 3)))
    print("🔬 matmul, errors: passed")


test_unit_matmul_errors()

# %% nbgrader={"grade": true, "grade_id": "test-matmul-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches that broadcast, other dtypes, batches that do not fit.
### BEGIN HIDDEN TESTS
p, q = np.arange(24.0).reshape(4, 1, 2, 3), np.arange(30.0).reshape(5, 3, 2) - 11
got = matmul(Tensor(p, dtype=np.float64), Tensor(q, dtype=np.float64))
expect(got, np.einsum("abij,cjk->acik", p, q), "(4, 1, 2, 3) @ (5, 3, 2)", rtol=1e-12)
expect(Tensor(np.ones((2, 2), int)) @ Tensor(np.ones(2)), [2, 2], "int64 @ float32", dtype=np.float32)
expect(Tensor(np.ones(2), dtype=np.float64) @ Tensor(np.ones(2)), 2, "float64 @ float32", dtype=np.float64)
p, q = Tensor(np.zeros((3, 1, 2, 2))), Tensor(np.zeros((4, 7, 2, 2)))
expect_error(ValueError, ["(3, 1, 2, 2)", "(4, 7, 2, 2)"], matmul, p, q)
expect_error(ValueError, [(), (3,)], matmul, Tensor(2), Tensor([1, 2, 3]))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Part 2 of 2 · about 2½ hours: reductions, axes that vanish

A reduction makes many numbers into one along some axes:

    x = [[1, 2, 3],        x.sum(axis=0) = [5, 7, 9]       down each column
         [4, 5, 6]]        x.sum(axis=1) = [6, 15]         along each row
                           x.sum()       = 21

With `keepdims=True` a reduced axis stays, with size 1: `x.sum(axis=1, keepdims=True)` has shape (2, 1) and so broadcasts
against `x` again. `x / x.sum(axis=1, keepdims=True)` makes each row sum to 1; without `keepdims` it is an error here, and on a
square matrix it is silently wrong.

Sums, largest and smallest are given. They share `normalize_axes`, which turns `None`, `-1` or `(0, -1)` into a tuple of axis numbers.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-reductions", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
The mean is the sum divided by **how many entries went into each result**: not by `x.size`, unless all axes are reduced.
For `x` of shape (2, 3), `axis=0` gives three means of 2 entries each. That count is the product of the sizes of the reduced axes.

**Write `reduce_mean(x, *, axis, keepdims)`.** The result has the dtype `result_dtype(x, floating=True)`. (Count with Python's
numbers, as `math.prod` does: an array of float32 divided by a NumPy integer of 64 bits can come out as float64.) An axis that does
not exist is the `IndexError` of `normalize_axes`. Over no entries the mean is `nan`, as in PyTorch: floating 0 divided by 0, which
`np.errstate` keeps quiet. (`np.mean` would print a warning of its own.)
"""

# %% nbgrader={"grade": false, "grade_id": "reduce_mean", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many entries go into one result, and from which numbers does that follow?", "Normalize the axes, multiply their sizes, sum, divide. Let the sum have the result's dtype.", "A count that is a NumPy integer makes float64 of a float32 sum; math has a product that gives Python's own integers."], "minutes": 20, "objective": "reductions"}
#| export
@Op
@np.errstate(all="ignore")
@in_float32
def reduce_mean(x, *, axis=None, keepdims=False):
    """The mean over `axis`: floating, and nan over no entries."""
    ### BEGIN SOLUTION
    axes = normalize_axes(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    total = np.sum(x, axis=axes, keepdims=keepdims, dtype=result_dtype(x, floating=True))
    return total / count
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-reduce_mean", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_reduce_mean():
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    cases = [
        ({}, 3.5),
        ({"axis": 0}, [2.5, 3.5, 4.5]),
        ({"axis": 1}, [2.0, 5.0]),
        ({"axis": -1, "keepdims": True}, [[2.0], [5.0]]),
        ({"axis": (0, 1), "keepdims": True}, [[3.5]]),
    ]
    for settings, expected in cases:
        expect(x.mean(**settings), expected, f"x of (2, 3), mean with {settings}", dtype=np.float32)
    expect(Tensor([1, 2]).mean(), 1.5, "the mean of the integers 1 and 2", dtype=np.float32)
    expect(Tensor(4.0).mean(), 4, "the mean of a Tensor without axes", dtype=np.float32)
    with no_warnings("a mean of no entries"):
        expect(Tensor([]).mean(), math.nan, "the mean of no entries, without a warning")
        expect(Tensor(np.zeros((2, 0))).mean(axis=1), [math.nan] * 2, "two means of no entries")
        expect(Tensor(np.zeros((0, 3))).mean(axis=1), [], "no means", dtype=np.float32)
    expect_error(IndexError, 2, reduce_mean, x, axis=2)
    print("🔬 reduce_mean: passed")


test_unit_reduce_mean()

# %% nbgrader={"grade": true, "grade_id": "test-reduce_mean-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: three axes, float64.
### BEGIN HIDDEN TESTS
block = np.arange(24.0).reshape(2, 3, 4) ** 2
for axis in [0, -2, (0, 2), (2, 0), (0, 1, 2), ()]:
    got = reduce_mean(Tensor(block, dtype=np.float64), axis=axis)
    expected = block.mean(axis=axis)
    expect(got, expected, f"(2, 3, 4), the mean over axis {axis}", rtol=1e-12, dtype=np.float64)
### END HIDDEN TESTS

# %% [markdown]
r"""
The variance needs no operation of its own: it is composed of operations that exist, `keepdims` at work. PyTorch divides by
`count - 1` unless told otherwise (`correction=1`): the mean was fitted to the same numbers, which makes them look closer to it than they are.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-variance", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def variance(x, axis=None, keepdims=False, correction=1):
    """The squared distances from the mean over `axis`, summed, by count - correction; nan for one entry."""
    count = math.prod(x.shape[a] for a in normalize_axes(axis, x.ndim))
    centered = x - x.mean(axis, keepdims=True)
    total = (centered * centered).sum(axis, keepdims)
    return total / max(count - correction, 0)

# %%
heights = Tensor([[150.0, 160.0, 170.0], [155.0, 155.0, 155.0]])
print("mean", heights.mean(axis=1), "variance", heights.var(axis=1), "of the rows of shape", heights.shape)

# %% [markdown]
r"""
## Reshape: the same numbers, counted differently

(2, 6), (3, 4) and (12,) hold the same 12 numbers in the same order. One size may be left open as −1; it follows from the rest:

    12 entries as (3, -1)   →  (3, 4)
    12 entries as (5, -1)   →  an error: 12 is no multiple of 5

**Write `resolve_shape(shape, count)`**: the tuple with −1 replaced, for `count` entries. Raise a `ValueError` whose message holds the
shape and the count if they do not fit, if more than one size is −1, or if a size is below −1. An open size beside a 0 is an error
as well, since any number would fit there.
"""

# %% nbgrader={"grade": false, "grade_id": "resolve_shape", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What is the product of the known sizes, and what has to hold between it and the count?", "Without an open size the two are equal; with one, the count is a multiple of the product, and the product is not 0.", "Look for the two forbidden things first: more than one open size, and a size below -1."], "minutes": 20, "objective": "shapes"}
#| export
def resolve_shape(shape, count):
    """`shape` for `count` entries, with a size of -1 worked out. Raises ValueError naming both."""
    ### BEGIN SOLUTION
    known = math.prod(size for size in shape if size != -1)
    open_sizes = shape.count(-1)
    divides = known > 0 and count % known == 0 if open_sizes else count == known
    if open_sizes > 1 or min(shape, default=0) < -1 or not divides:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-resolve_shape", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_resolve_shape():
    cases = [
        ((3, 4), 12, (3, 4)),
        ((3, -1), 12, (3, 4)),
        ((-1,), 12, (12,)),
        ((2, -1, 2), 12, (2, 3, 2)),
        ((), 1, ()),
        ((0, 3), 0, (0, 3)),
        ((-1, 4), 0, (0, 4)),
        ((10**7, -1), 10**14, (10**7, 10**7)),  # more entries than any memory holds; the shape is two numbers
    ]
    for shape, count, expected in cases:
        expect(resolve_shape(shape, count), expected, f"{count:,} entries as {shape}")
    print("🔬 resolve_shape: passed")

test_unit_resolve_shape()

# %% nbgrader={"grade": true, "grade_id": "test-resolve_shape-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_resolve_shape_errors():
    for shape in [(5, -1), (3, 5), (-1, -1), (-2, -6), (3, -2, -2)]:
        expect_error(ValueError, [12, shape], resolve_shape, shape, 12)
    expect_error(ValueError, (0, -1), resolve_shape, (0, -1), 0)
    print("🔬 resolve_shape, errors: passed")

test_unit_resolve_shape_errors()

# %% nbgrader={"grade": true, "grade_id": "test-resolve_shape-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: more shapes, against NumPy's own reshape.
### BEGIN HIDDEN TESTS
for shape, count in [((-1, 1), 7), ((2, 3, -1, 5), 120), ((1, 1, 1), 1), ((7, -1), 7), ((2, 0, 5), 0)]:
    expect(resolve_shape(shape, count), np.empty(count).reshape(shape).shape, f"{count} entries as {shape}")
for shape, count in [((), 2), ((2, -3), 6), ((4,), 5), ((-1, 3), 8)]:
    expect_error(ValueError, [count, shape], resolve_shape, shape, count)
### END HIDDEN TESTS

# %% [markdown]
r"""
The other operations that only rearrange are given. All of them return a *view* of the same memory where NumPy can,
and so cost next to nothing, however large the Tensor. Indexing takes what NumPy takes: integers, slices, `...`, `None`, masks, arrays and
Tensors of integers. (Those with arrays copy: their entries lie anywhere.)
"""

# %% nbgrader={"grade": false, "grade_id": "provided-shapes", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
## The address of an entry

Memory has one axis. An array of shape (2, 3) lies in it row after row, so entry [i, j] is found at position 3·i + 1·j:

    shape (2, 3)      [0,0] [0,1] [0,2] [1,0] [1,1] [1,2]
    strides (3, 1)      0     1     2     3     4     5

The factors are the *strides*. The last axis has stride 1; every other has the stride of its right neighbour times that
neighbour's size. (NumPy counts strides in bytes, PyTorch and we in entries.)

**Write `row_major_strides(shape)`**: the strides of an array that lies in memory row after row.
"""

# %% nbgrader={"grade": false, "grade_id": "row_major_strides", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which stride is known at once, and in which direction do the others follow from it?", "Walk through the sizes from the right with a running product: it is the stride before it takes the size in."], "minutes": 8, "objective": "memory"}
#| export
def row_major_strides(shape):
    """The strides, in entries, of an array of `shape` that lies in memory row after row."""
    ### BEGIN SOLUTION
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-row_major_strides", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_row_major_strides():
    cases = [((2, 3), (3, 1)), ((7,), (1,)), ((), ()), ((2, 3, 4), (12, 4, 1)), ((5, 1, 2), (2, 2, 1))]
    for shape, expected in [*cases, ((10**6,) * 3, (10**12, 10**6, 1))]:
        expect(row_major_strides(shape), expected, f"shape {shape}")

    x = Tensor(np.arange(24).reshape(2, 3, 4))
    i, j, k = 1, 2, 3
    a, b, c = row_major_strides(x.shape)
    expect(np.asarray(x).ravel()[a * i + b * j + c * k], 23, "the entry at a·i + b·j + c·k is x[1, 2, 3]")
    print("🔬 row_major_strides: passed")

test_unit_row_major_strides()

# %% nbgrader={"grade": true, "grade_id": "test-row_major_strides-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more shapes, against the strides of real arrays.
### BEGIN HIDDEN TESTS
for shape in [(3, 1), (1, 1, 1), (6, 5, 4, 3, 2), (9, 8)]:
    expected = tuple(step // 2 for step in np.empty(shape, np.int16).strides)
    expect(row_major_strides(shape), expected, f"shape {shape}")
### END HIDDEN TESTS

# %% [markdown]
r"""
A transpose moves no number: it swaps two strides. Read in its own order, the transposed matrix then jumps through memory.
Keep that in mind for the first measurement below.
"""

# %%
m = Tensor(np.arange(6).reshape(2, 3))
print("m  ", m.shape, "strides", m.stride(), "contiguous:", m.is_contiguous())
print("m.T", m.T.shape, "strides", m.T.stride(), "contiguous:", m.T.is_contiguous())
print("m and m.T share their memory:", np.shares_memory(m.data, m.T.data))

# %% [markdown]
r"""
## Joining Tensors

    concatenate([[[1, 2]], [[3, 4], [5, 6]]], axis=0)  =  [[1, 2],        shapes (1, 2) and (2, 2)
                                                           [3, 4],        →  (3, 2)
                                                           [5, 6]]

Along `axis` the sizes add up (a size of 0 is one of them); along every other axis they must agree. To build the result, make an
empty array of the right shape and copy each input into its place. A slice with a running start does it: `np.moveaxis(result, axis,
0)` is a view of `result` whose first axis is the one to be filled.

**Write `concat(*arrays, axis)`.** The dtype is `result_dtype(*arrays)`. Where the shapes do not fit, raise a `ValueError` that
names the first array's shape and the one that does not fit it. (`normalize_axes(axis, ndim)` gives you a tuple with the non-negative
axis.)
"""

# %% nbgrader={"grade": false, "grade_id": "concat", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which sizes may differ between the inputs, and which may not?", "Check every input against the first one: the same number of axes, and the same sizes before and behind the axis.", "Make the empty result, then fill it slice after slice: in a view that has the axis in front, the slices are simply rows, for the inputs as well."], "minutes": 25, "objective": "memory"}
#| export
@Op
def concat(*arrays, axis):
    """The arrays one after another along `axis`. Raises ValueError naming two shapes that do not fit."""
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-concat", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_concat():
    a, b = Tensor([[1, 2]]), Tensor([[3, 4], [5, 6]])
    rows = [[1, 2], [3, 4], [5, 6]]
    expect(concat(a, b, axis=0), rows, "[[1, 2]] and [[3, 4], [5, 6]], axis 0", dtype=np.int64)
    expect(concat(b, a.T, b, axis=-1), [[3, 4, 1, 3, 4], [5, 6, 2, 5, 6]], "three pieces, axis -1")
    expect(concat(Tensor([1]), Tensor([0.5]), axis=0), [1, 0.5], "int64 with float32", dtype=np.float32)
    block = np.arange(12).reshape(2, 3, 2)
    got = concat(Tensor(block), Tensor(block[:, :, :1]), axis=2)
    expect(got, np.concatenate([block, block[:, :, :1]], 2), "(2, 3, 2) and (2, 3, 1), axis 2")
    got = concat(Tensor(block), Tensor(block[:, :0]), axis=1)
    expect(got, block, "(2, 3, 2) and (2, 0, 2), axis 1")
    expect(concat(b, axis=0), [[3, 4], [5, 6]], "a single piece")
    print("🔬 concat: passed")


test_unit_concat()

# %% nbgrader={"grade": true, "grade_id": "test-concat-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_concat_errors():
    def refuses(first, other, *values, axis):
        expect_error(ValueError, [first, other], concat, *map(Tensor, values), axis=axis)

    refuses((1, 2), (1, 3), [[1, 2]], [[1, 2, 3]], axis=0)
    refuses((2,), (1, 2), [1, 2], [[1, 2]], axis=0)
    refuses((1, 2), (3, 1), [[1, 2]], [[5, 6]], [[7], [8], [9]], axis=0)
    refuses((2, 1), (1, 1), [[1], [2]], [[3]], axis=1)
    refuses((2, 1), (2,), [[1], [2]], [3, 4], axis=1)
    print("🔬 concat, errors: passed")

test_unit_concat_errors()

# %% nbgrader={"grade": true, "grade_id": "test-concat-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: three axes, joined along each of them.
### BEGIN HIDDEN TESTS
for axis, sizes in [(0, (1, 0, 3)), (1, (2, 5)), (-1, (4, 1, 1)), (2, (3,))]:
    shapes = [tuple(size if i == axis % 3 else 2 for i in range(3)) for size in sizes]
    pieces = [np.arange(float(math.prod(shape))).reshape(shape) + 100 * i for i, shape in enumerate(shapes)]
    got = concat(*(Tensor(piece, dtype=np.float64) for piece in pieces), axis=axis)
    expect(got, np.concatenate(pieces, axis), f"axis {axis}, sizes {sizes} along it", dtype=np.float64)
expect_error(ValueError, [(2, 2), (2, 3)], concat, Tensor(np.ones((2, 2))), Tensor(np.ones((2, 3))), axis=0)
### END HIDDEN TESTS

# %% [markdown]
r"""
What is left is typing: the functions that take a list, as PyTorch's do, and those that make Tensors from nothing. Random numbers
come from one generator, which `manual_seed` sets back, so that a run can be repeated.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-creation", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
## Put together: a network without a framework

Two layers, `max(0, x W₁ + b₁) W₂ + b₂`, on a batch of two inputs. PyTorch 2.13 gives the outputs that stand in the test.
Everything in it is yours: the products, the broadcast biases, the dtypes.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    x = Tensor(np.linspace(-1, 1, 6).reshape(2, 3))
    w1 = Tensor(np.cos(np.arange(12)).reshape(3, 4))
    b1 = Tensor([0.1, -0.2, 0.3, 0.0])
    w2 = Tensor(np.sin(np.arange(8)).reshape(4, 2))
    b2 = Tensor([1.0, -1.0])

    hidden = maximum(x @ w1 + b1, 0)
    out = hidden @ w2 + b2
    expect(hidden.dtype, np.float32, "the dtype of the hidden layer")
    expected = [[0.617031, -0.942565], [0.927696, -0.829993]]
    expect(out, expected, "the outputs, as PyTorch gives them", atol=1e-6, dtype=np.float32)

    scores = out - out.max(axis=1, keepdims=True)
    shares = scores.exp() / scores.exp().sum(axis=1, keepdims=True)
    expect(shares.sum(axis=1), [1, 1], "each row of shares sums to 1", atol=1e-6)
    joined = concatenate([out[0], out[1]]).reshape(-1, 2)
    expect(joined, expected, "split into rows and joined again", atol=1e-6)
    print("🧪 module 01, a two-layer network: passed")

test_module()

# %% [markdown]
r"""
## Measure: the order in memory

A matrix of 4,096 × 4,096 float32 numbers takes 64 MiB. Adding up one row reads 16 KiB that lie side by side. Adding up one column
reads as many numbers, but each from another place, 16 KiB further on; and memory hands out 64 bytes at a time, wanted or not.

**Predict:** how many times longer does a column take than a row, in a small matrix of 64 × 64 and in this one? Then run.
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def analyze_memory_order():
    """Time per entry of summing one row and one column of square matrices, plotted over their size."""
    sizes, by_row, by_column = [64, 256, 1024, 4096], [], []
    for n in sizes:
        x = np.ones((n, n), np.float32)
        rows, columns = list(x[:: n // 64]), list(x.T[:: n // 64])
        by_row.append(best_seconds(lambda rows=rows: [row.sum() for row in rows]) / (64 * n))
        by_column.append(
            best_seconds(lambda columns=columns: [column.sum() for column in columns]) / (64 * n)
        )
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.loglog(sizes, np.array(by_row) * 1e9, "o-", label="one row: neighbours in memory")
    axes.loglog(sizes, np.array(by_column) * 1e9, "s--", label="one column: far apart")
    axes.set(
        xlabel="rows and columns of the matrix",
        ylabel="nanoseconds per entry",
        xticks=sizes,
        xticklabels=sizes,
    )
    axes.set_title("Reading across memory or against it")
    axes.yaxis.set_major_formatter("{x:g}")
    figure.legend(ncols=2, fontsize="small", loc="outside lower center")
    plt.show()
    for n, row, column in zip(sizes, by_row, by_column, strict=True):
        print(f"📊 at {n} × {n} an entry of a column costs {column / row:.1f} times one of a row")


analyze_memory_order()

# %% [markdown]
r"""
Small matrices fit into the cache, and most of what you see there is the price of a call, which both pay alike: on the left of the
picture both lines fall together. The large one does not fit. Each number of a column now drags a whole cache line of 16 numbers along,
of which one is used, and the processor, which fetches ahead along a row, cannot guess where the next one lies: together more than
the 16 that the bytes alone would explain.

## Measure: broadcasting and dtypes

**Predict:** a row of 4,096 numbers is added to each of 4,096 rows. How many bytes does the stretched row take, and how many a copy of
it for every row? How much longer does the same addition take in float64?
"""

# %% tags=["measure"]
def analyze_broadcasting():
    """Bytes and time of adding a row to a matrix: broadcast against copied, float32 against float64."""
    n, bars = 4096, []
    for dtype in (np.float32, np.float64):
        matrix, row, out = np.ones((n, n), dtype), np.ones(n, dtype), np.empty((n, n), dtype)
        tiled = np.tile(row, (n, 1))
        stretched = np.broadcast_to(row, (n, n))
        name = np.dtype(dtype).name
        print(f"📊 {name}: broadcast {stretched.base.nbytes:,} bytes, copied {tiled.nbytes:,} bytes")
        for kind, added in (("broadcast", row), ("copied", tiled)):
            seconds = best_seconds(lambda m=matrix, a=added, o=out: np.add(m, a, out=o))
            bars.append((f"{name}\n{kind}", seconds))
    labels, times = zip(*bars, strict=True)
    print(f"📊 float64 takes {times[2] / times[0]:.1f} times as long as float32", end="; ")
    print(f"copied takes {times[1] / times[0]:.1f} times as long as broadcast, in float32")
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    drawn = axes.bar(labels, np.array(times) * 1e3, color="0.6", edgecolor="0.2", hatch=["", "//", "", "//"])
    axes.bar_label(drawn, fmt="%.1f ms", padding=2)
    axes.set(ylabel="milliseconds", title="Adding one row to 4,096 rows")
    axes.margins(y=0.15)
    plt.show()


analyze_broadcasting()

# %% [markdown]
r"""
The copy takes 4,096 times the bytes of the row. Whether it also takes longer depends on your machine: the sum itself, which is written
in both cases, is most of the traffic. The dtype is another matter. An addition does one operation for every 8 or 12 bytes that it
moves, so it waits for memory, not for arithmetic: twice the bytes, about twice the time. That is why a framework guards its dtypes.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-float64", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

A classmate's network suddenly trains at half the speed. In the loss, somebody wrote `targets = np.array([0.1, 0.9])` and
`loss = ((out.numpy() - targets) ** 2).mean()`. (a) Which dtype does each intermediate result have, and where does it change? (b) Why
does it cost that much? Give the ratio that your own run printed for float64. (c) What are two ways to fix it?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-float64", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) the place of the change, `out.numpy() - targets`, where float32 meets float64; everything after it is float64, 1 point.
(b) An array of Python floats is float64, and the wider dtype wins; twice the bytes at a ratio of about 2 in the run, 1 point.
(c) Two working repairs (a float32 array, Tensors, a cast), 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Module 02 puts functions between the products that are not straight lines: ReLU, sigmoid, softmax. They are operations as you have
written them here, and they will have to survive inputs like ±1000. Next: `tito module complete 01_tensor`, which runs these tests once
more, exports your cells, and runs further tests on the exported file, with all the shapes and dtypes that stand in the texts above.
"""
