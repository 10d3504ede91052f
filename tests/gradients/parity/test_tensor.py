"""Tensor against PyTorch: values, shapes and dtypes of everything public, as a PyTorch user would type it.

Gradients of the operations are compared in ../test_operations.py. Warnings are errors here: what PyTorch computes
quietly, we compute quietly.
"""

import copy
import itertools
import math
import operator
import pickle

import close
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SIDES, arrays, axes, broadcastable, shapes

torch = pytest.importorskip("torch")

import tinytorch  # noqa: E402
from tinytorch.core import tensor as core  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:(var|std).*degrees of freedom:UserWarning"),
]
MANY = settings(max_examples=60, deadline=None, derandomize=True)
FLOATS = st.sampled_from([np.float32, np.float64])
NUMBERS = st.sampled_from([0, 1, -3, 2.5, -0.5, True, np.float32(2.5), np.float64(-0.5), np.int64(3), np.bool_(True)])
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
EDGES = [0.0, -0.0, 1.0, -1.0, 1e-8, -1000.0, 1000.0, 1e30, -1e30, math.inf, -math.inf, math.nan]
NOT_EMPTY = st.sampled_from([1, 2, 3, 5])


def both(array, dtype=None):
    """The same numbers as a Tensor of ours, with the array's layout in memory, and as PyTorch's."""
    array = np.asarray(array, dtype)
    ours = Tensor.wrap(array)
    return ours, torch.tensor(np.array(array, order="C"))


def dtype_name(theirs):
    return str(theirs.dtype).removeprefix("torch.")


def agree(ours, theirs, terms=1):
    assert type(ours) is Tensor
    close.agree(ours.numpy(), theirs, terms=terms)


@st.composite
def pairs(draw, dtype, low=-3.0, high=3.0, gap=0.0):
    left, right = draw(broadcastable())
    return [draw(arrays(shape, low, high, dtype, gap)) for shape in (left, right)]


# arithmetic ---------------------------------------------------------------------------------------------------------

ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow}
COMPARISONS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@pytest.mark.parametrize("sign", ARITHMETIC)
@MANY
@given(data=st.data(), dtype=FLOATS)
def test_arithmetic_of_two_tensors(sign, data, dtype):
    low = 0.1 if sign == "**" else -3.0
    a, b = (both(x) for x in data.draw(pairs(dtype, low=low, gap=0.1)))
    agree(ARITHMETIC[sign](a[0], b[0]), ARITHMETIC[sign](a[1], b[1]))


@pytest.mark.parametrize("sign", {**ARITHMETIC, **COMPARISONS})
@MANY
@given(data=st.data(), number=NUMBERS, dtype=st.sampled_from(DTYPES[3:]))
def test_numbers_on_either_side(sign, data, number, dtype):
    """Python's numbers and NumPy's scalars are numbers alike, and none of them widens a Tensor."""
    function = {**ARITHMETIC, **COMPARISONS}[sign]
    ours, theirs = both(data.draw(arrays(data.draw(shapes()), 1, 5)).astype(dtype))
    plain = number.item() if isinstance(number, np.generic) else number
    if sign == "-" and isinstance(plain, bool):  # PyTorch refuses to subtract these
        plain = number = 1
    if sign == "**" and dtype.startswith("int"):
        if isinstance(plain, float) or plain < 0:
            plain = number = 2
        agree(function(ours, number), function(theirs, plain))
        agree(function(number, ours), torch.pow(plain, theirs).to(theirs.dtype))
        return
    if sign == "**":
        plain = number = abs(plain) or 2
    agree(function(ours, number), function(theirs, plain))
    agree(function(number, ours), function(plain, theirs))


@pytest.mark.parametrize("sign", {**ARITHMETIC, **COMPARISONS})
@MANY
@given(data=st.data(), dtype=FLOATS)
def test_arrays_on_either_side_take_over_the_dtype(sign, data, dtype):
    function = {**ARITHMETIC, **COMPARISONS}[sign]
    x, array = data.draw(pairs(np.float64, low=0.5))
    ours, theirs = both(x, dtype)
    other = torch.tensor(np.array(array, dtype, order="C"))
    agree(function(ours, array), function(theirs, other))
    agree(function(array, ours), function(other, theirs))
    assert type(function(array, ours)) is Tensor


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_at_the_edges(dtype):
    left, right = (np.array(side, dtype) for side in zip(*itertools.product(EDGES, EDGES), strict=True))
    a, b = both(left), both(right)
    for function in [*ARITHMETIC.values(), *COMPARISONS.values()]:
        agree(function(a[0], b[0]), function(a[1], b[1]))
    for name in ["maximum", "minimum"]:
        agree(getattr(tinytorch, name)(a[0], b[0]), getattr(torch, name)(a[1], b[1]))
    for number in (0, 1, 2, 3, -1, -2, 0.5, 1.5, math.inf, -math.inf, math.nan):
        for function in [*ARITHMETIC.values(), *COMPARISONS.values()]:
            agree(function(a[0], number), function(a[1], number))
            agree(function(number, a[0]), function(number, a[1]))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs"])
@MANY
@given(data=st.data(), dtype=FLOATS)
def test_functions_of_one_tensor(name, data, dtype):
    ours, theirs = both(data.draw(arrays(data.draw(shapes()), -3, 3, dtype)))
    agree(getattr(ours, name)(), getattr(theirs, name)())


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "__neg__", "__pos__", "__abs__"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_one_tensor_at_the_edges(name, dtype):
    ours, theirs = both(np.array(EDGES, dtype))
    agree(getattr(ours, name)(), getattr(theirs, name)())


@pytest.mark.parametrize("name", ["exp", "log", "sqrt"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_integers_are_float32(name, dtype):
    ours, theirs = both(np.array([0, 1, 1, 0], dtype))
    agree(getattr(ours, name)(), getattr(theirs, name)())


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "absolute", "matmul", "maximum", "minimum", "where"])
def test_functions_under_their_names_in_the_package(name):
    a, b = both([[1.0, 4.0], [9.0, 0.25]], np.float32), both([[2.0, 2.0], [0.5, 0.5]], np.float32)
    inputs = {"where": [(a[0] > b[0], a[1] > b[1]), a, b], "matmul": [a, b], "maximum": [a, b], "minimum": [a, b]}
    ours, theirs = zip(*inputs.get(name, [a]), strict=True)
    agree(getattr(tinytorch, name)(*ours), getattr(torch, name)(*theirs))


@MANY
@given(data=st.data(), dtype=FLOATS)
def test_maximum_minimum_where_and_masks(data, dtype):
    first, second, third = data.draw(broadcastable(3))
    mask, a, b = (both(data.draw(arrays(shape, dtype=dtype))) for shape in (first, second, third))
    agree(tinytorch.maximum(a[0], b[0]), torch.maximum(a[1], b[1]))
    agree(tinytorch.minimum(a[0], b[0]), torch.minimum(a[1], b[1]))
    agree(tinytorch.where(mask[0] > 0, a[0], b[0]), torch.where(mask[1] > 0, a[1], b[1]))
    agree(tinytorch.where(mask[0] > 0, a[0], 0.0), torch.where(mask[1] > 0, a[1], 0.0))
    agree(tinytorch.where(mask[0] > 0, 1, b[0]), torch.where(mask[1] > 0, 1, b[1]))
    agree((mask[0] > 0) & (a[0] < 1), (mask[1] > 0) & (a[1] < 1))
    agree((mask[0] > 0) | (a[0] < 1), (mask[1] > 0) | (a[1] < 1))
    agree((mask[0] > 0) ^ (a[0] < 1), (mask[1] > 0) ^ (a[1] < 1))
    agree(~(mask[0] > 0), ~(mask[1] > 0))


def test_where_and_masks_of_numbers():
    mask = both([True, False, True])
    for a, b in [(1, 0), (1.0, 0), (1, 0.0), (True, False), (np.float64(0.5), 2)]:
        agree(tinytorch.where(mask[0], a, b), torch.where(mask[1], float(a) if isinstance(a, np.generic) else a, b))
    agree(mask[0] & True, mask[1] & True)
    agree(True ^ mask[0], True ^ mask[1])
    bits = both([5, 6, -1])
    agree(bits[0] & 3, bits[1] & 3)
    agree(~bits[0], ~bits[1])
    agree(np.array([True, True, False]) | mask[0], torch.tensor([True, True, False]) | mask[1])


@MANY
@given(data=st.data(), dtype=st.sampled_from(["int64", "float32", "float64"]))
def test_clip(data, dtype):
    ours, theirs = both(data.draw(arrays(data.draw(shapes()))).astype(dtype))
    bound = st.sampled_from([None, -1, 0, 2, 0.5, -1.5])
    low, high = data.draw(bound), data.draw(bound)
    if low is None and high is None:
        agree(ours.clip(), theirs)
        return
    agree(ours.clip(low, high), theirs.clip(low, high))
    agree(ours.clamp(min=low, max=high), theirs.clamp(min=low, max=high))


def test_clip_at_the_edges_and_with_scalars_of_numpy():
    ours, theirs = both(np.array(EDGES, np.float32))
    agree(ours.clip(-1, 1), theirs.clip(-1, 1))
    agree(ours.clip(max=0.5), theirs.clip(max=0.5))
    agree(ours.clip(2, -2), theirs.clip(2, -2))
    for bound in (np.float32(0.5), np.float64(0.5), np.int64(1)):
        for numbers in ([1, 2, 0], [1.0, 2.0, 0.0]):
            ours, theirs = both(numbers, None if isinstance(numbers[0], int) else np.float32)
            agree(ours.clip(bound), theirs.clip(bound.item()))


# dtypes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), [*itertools.product(DTYPES, DTYPES)])
def test_the_dtype_of_two_tensors_is_that_of_pytorch(left, right):
    a, b = both([1, 1], left), both([[1], [1]], right)
    expected = str(torch.result_type(a[1], b[1])).removeprefix("torch.")
    for function in (operator.add, operator.mul, tinytorch.maximum):
        assert str(function(a[0], b[0]).dtype) == expected
    assert str(tinytorch.where(a[0] == 1, a[0], b[0]).dtype) == expected
    assert str(tinytorch.concatenate([a[0], b[0][0]]).dtype) == dtype_name(torch.cat([a[1], b[1][0]]))
    agree(a[0] / b[0], a[1] / b[1])
    agree(a[0] == b[0], a[1] == b[1])


@pytest.mark.parametrize("number", [True, 2, 2.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_a_tensor_and_a_number_is_that_of_pytorch(dtype, number):
    ours, theirs = both([1, 1], dtype)
    agree(ours + number, theirs + number)
    agree(number * ours, number * theirs)
    agree(ours / number, theirs / number)
    agree(number / ours, number / theirs)
    agree(ours < number, theirs < number)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_reductions_is_that_of_pytorch(dtype):
    ours, theirs = both([[1, 0], [1, 1]], dtype)
    agree(ours.sum(), theirs.sum())
    agree(ours.sum(0), theirs.sum(0))
    agree(ours.max(1), theirs.amax(1))
    agree(ours.min(), theirs.amin())
    if dtype.startswith("float"):
        agree(ours.mean(0), theirs.mean(0))
        agree(ours.var(0), theirs.var(0))
    else:  # an error in PyTorch
        agree(ours.mean(0), theirs.float().mean(0))
        agree(ours.var(0), theirs.float().var(0))


@pytest.mark.parametrize(("before", "after"), [*itertools.product(DTYPES, DTYPES)])
def test_casts(before, after):
    ours, theirs = both([0, 1, 3], before)
    agree(ours.astype(after), theirs.to(getattr(torch, after)))
    agree(ours.float(), theirs.float())
    agree(ours.long(), theirs.long())


def test_making_a_tensor_gives_the_dtype_of_pytorch():
    for data in [1, 2.5, True, [1, 2], [1, 2.5], [True, False], [[1.0], [2.0]], [], [[]], (1, 2), range(3), [True, 2]]:
        agree(Tensor(data), torch.tensor(data))
        agree(tinytorch.tensor(data, dtype=tinytorch.float64), torch.tensor(data, dtype=torch.float64))
    for dtype in DTYPES[:-1]:
        array = np.array([0, 1], dtype)
        agree(Tensor(array), torch.tensor(array))
        agree(Tensor(list(array)), torch.tensor(array))
    for swapped in (">f4", ">i8", ">u2"):
        assert Tensor(np.array([0, 1], swapped)).dtype == np.dtype(swapped).newbyteorder("=")
        assert (Tensor([1.0]) + np.array([2], swapped)).tolist() == [3]
    read_only = np.broadcast_to(np.float32(1), (2,))
    agree(Tensor(read_only) + read_only, torch.ones(2) + 1)
    assert Tensor(read_only).numpy().flags.writeable
    assert Tensor(np.longdouble(1.5)).dtype == np.float32
    assert Tensor([1e300]).item() == math.inf
    assert Tensor(np.array([1.5])).dtype == np.float32, "the one difference: float64 arrays become float32"
    assert Tensor(Tensor([1.5], dtype=np.float64)).dtype == np.float64


# products -----------------------------------------------------------------------------------------------------------


@MANY
@given(data=st.data(), dtype=FLOATS)
def test_matmul(data, dtype):
    inner, rows, columns = (data.draw(SIDES) for _ in range(3))
    left, right = data.draw(broadcastable(max_dims=2))
    kind = data.draw(st.sampled_from(["matrices", "row", "column", "dot"]))
    a = (inner,) if kind in ("row", "dot") else (*left, rows, inner)
    b = (inner,) if kind in ("column", "dot") else (*right, inner, columns)
    a, b = (both(data.draw(arrays(shape, dtype=dtype))) for shape in (a, b))
    agree(a[0] @ b[0], a[1] @ b[1], terms=100)
    agree(a[0].matmul(b[0]), a[1].matmul(b[1]), terms=100)
    agree(a[0].numpy() @ b[0], a[1] @ b[1], terms=100)
    agree(a[0] @ b[0].numpy(), a[1] @ b[1], terms=100)


def test_matmul_of_integers_and_beyond_the_largest_number():
    a = both([[1, 2], [3, 4]])
    agree(a[0] @ a[0], a[1] @ a[1])
    big = both([[3e38, 3e38], [math.inf, -math.inf]], np.float32)
    agree(big[0] @ big[0], big[1] @ big[1])


# reductions ---------------------------------------------------------------------------------------------------------


def torch_axes(axis, ndim):
    return tuple(range(ndim)) if axis is None else axis


@MANY
@given(data=st.data(), dtype=FLOATS, keep=st.booleans())
def test_sum_mean_var_and_std(data, dtype, keep):
    ours, theirs = both(data.draw(arrays(data.draw(shapes()), dtype=dtype)))
    axis = data.draw(axes(ours.ndim))
    every = torch_axes(axis, ours.ndim)
    correction = data.draw(st.sampled_from([0, 1, 2]))
    agree(ours.sum(axis, keep), theirs.sum(every, keep), 100)
    agree(ours.sum(dim=axis, keepdim=keep), theirs.sum(dim=every, keepdim=keep), 100)
    agree(ours.mean(axis=axis, keepdims=keep), theirs.mean(every, keep), 100)
    agree(ours.mean(dim=axis, keepdim=keep), theirs.mean(dim=every, keepdim=keep), 100)
    agree(ours.var(axis, keepdims=keep), theirs.var(every, keepdim=keep), 100)
    for name in ("var", "std"):
        got = getattr(ours, name)(dim=axis, correction=correction, keepdim=keep)
        agree(got, getattr(theirs, name)(dim=every, correction=correction, keepdim=keep), 100)
    agree(ours.sum(), theirs.sum(), 100)


def first_of_the_largest(theirs, axis):
    """The first of the largest entries along `axis`."""
    return (theirs == theirs.amax(axis, True)).to(torch.uint8).argmax(axis)


@MANY
@given(data=st.data(), dtype=st.sampled_from(["int64", "float32", "float64"]), keep=st.booleans())
def test_largest_and_smallest(data, dtype, keep):
    """Coarse numbers, so that there are ties. Which of equals argmax names is the first; PyTorch leaves that open."""
    array = data.draw(arrays(data.draw(shapes(sides=NOT_EMPTY)))).astype(np.int64).astype(dtype)
    ours, theirs = both(array)
    axis = data.draw(axes(ours.ndim))
    every = torch_axes(axis, ours.ndim)
    agree(ours.max(axis, keep), theirs.amax(every, keep))
    agree(ours.min(dim=axis, keepdim=keep), theirs.amin(dim=every, keepdim=keep))
    agree(ours.max(), theirs.max())
    agree(ours.min(), theirs.min())
    if isinstance(axis, int):
        agree(ours.max(axis), theirs.max(axis).values)
        places = ours.argmax(axis, keepdims=True)
        assert places.dtype == np.int64
        agree(Tensor.wrap(np.take_along_axis(array, places.numpy(), axis)), theirs.amax(axis, True))
        agree(ours.argmax(dim=axis), first_of_the_largest(theirs, axis))
    assert ours.numpy().ravel()[ours.argmax().item()] == theirs.max()


@MANY
@given(data=st.data(), keep=st.booleans())
def test_all_and_any(data, keep):
    ours, theirs = both(data.draw(arrays(data.draw(shapes()))) > data.draw(st.sampled_from([-2.5, 0, 2.5])))
    axis = data.draw(axes(ours.ndim, several=False))
    if axis is None:
        agree(ours.all(), theirs.all())
        agree(ours.any(), theirs.any())
    else:
        agree(ours.all(axis, keep), theirs.all(axis, keep))
        agree(ours.any(dim=axis, keepdim=keep), theirs.any(dim=axis, keepdim=keep))


def test_reductions_at_the_edges():
    rows = [[math.inf, 1.0], [-math.inf, math.inf], [math.nan, 1.0], [1e-10, 0.0]]
    ours, theirs = both(rows, np.float32)
    for name in ("sum", "mean", "var", "std"):
        agree(getattr(ours, name)(1), getattr(theirs, name)(1))
    ours, theirs = both([[3e38, 3e38], [-3e38, -3e38]], np.float32)
    agree(ours.sum(1), theirs.sum(1))
    agree(ours.mean(1), theirs.mean(1))
    ours, theirs = both(rows, np.float32)
    agree(ours.max(1), theirs.amax(1))
    agree(ours.min(1), theirs.amin(1))
    one, theirs_one = both([2.0], np.float32)
    agree(one.var(), theirs_one.var())
    agree(one.mean(), theirs_one.mean())


# shapes -------------------------------------------------------------------------------------------------------------


@MANY
@given(data=st.data())
def test_reshape_view_and_flatten(data):
    shape = data.draw(shapes())
    ours, theirs = both(data.draw(arrays(shape)))
    count = ours.numel()
    targets = [(count,), (1, count), (count, 1), (-1,), (-1, 1)]
    targets += [(2, -1), [-1, 2]] if count and count % 2 == 0 else []
    target = data.draw(st.sampled_from(targets))
    agree(ours.reshape(target), theirs.reshape(target))
    agree(ours.reshape(*target), theirs.reshape(*target))
    agree(ours.view(*target), theirs.view(*target))
    agree(ours.flatten(), theirs.flatten())
    if shape:
        start = data.draw(st.integers(0, len(shape) - 1))
        end = data.draw(st.integers(start, len(shape) - 1))
        agree(ours.flatten(start), theirs.flatten(start))
        agree(ours.flatten(start_dim=start, end_dim=end - len(shape)), theirs.flatten(start, end))


@MANY
@given(data=st.data())
def test_permute_transpose_squeeze_and_unsqueeze(data):
    shape = data.draw(shapes(min_dims=1))
    ours, theirs = both(data.draw(arrays(shape)))
    order = [a - len(shape) if data.draw(st.booleans()) else a for a in data.draw(st.permutations(range(len(shape))))]
    agree(ours.permute(*order), theirs.permute(*order))
    agree(ours.permute(tuple(order)), theirs.permute(tuple(order)))
    first, second = (data.draw(st.integers(-len(shape), len(shape) - 1)) for _ in range(2))
    agree(ours.transpose(first, second), theirs.transpose(first, second))
    agree(ours.transpose(dim0=first, dim1=second), theirs.transpose(dim0=first, dim1=second))
    agree(ours.squeeze(), theirs.squeeze())
    agree(ours.squeeze(first), theirs.squeeze(first))
    several = data.draw(axes(len(shape)))
    if isinstance(several, tuple):
        agree(ours.squeeze(dim=several), theirs.squeeze(dim=several))
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    agree(ours.unsqueeze(place), theirs.unsqueeze(place))
    agree(ours.unsqueeze(dim=place), theirs.unsqueeze(dim=place))
    if len(shape) == 2:
        agree(ours.T, theirs.T)


@MANY
@given(data=st.data())
def test_concatenate_and_stack(data):
    shape = data.draw(shapes(min_dims=1))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sizes = data.draw(st.lists(SIDES, min_size=1, max_size=4))
    parts = [
        both(data.draw(arrays(tuple(size if i == axis % len(shape) else side for i, side in enumerate(shape)))))
        for size in sizes
    ]
    ours, theirs = zip(*parts, strict=True)
    agree(tinytorch.concatenate(ours, axis), torch.concatenate(theirs, axis))
    agree(tinytorch.cat(list(ours), dim=axis), torch.cat(theirs, dim=axis))
    alike, theirs_alike = zip(*(both(data.draw(arrays(shape))) for _ in sizes), strict=True)
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    agree(tinytorch.stack(alike, place), torch.stack(theirs_alike, place))
    agree(tinytorch.stack(list(alike), dim=place), torch.stack(theirs_alike, dim=place))


@st.composite
def keys(draw, shape):
    """What stands in x[...]: integers, slices, None, one `...`, and either one mask or index arrays."""
    parts, axis, mask_at = [], 0, draw(st.sampled_from([None, None, 0, 1]))
    has_arrays = mask_at is None and draw(st.booleans())
    while axis < len(shape):
        kind = draw(st.sampled_from(["integer", "slice", "slice", "none", "array", "rest"]))
        if axis == mask_at:
            width = draw(st.integers(1, len(shape) - axis))
            parts.append(draw(arrays(shape[axis : axis + width])) > 0)
            axis, mask_at = axis + width, None
        elif kind == "none":
            parts.append(None)
        elif kind == "rest":
            if Ellipsis not in [part for part in parts if not isinstance(part, np.ndarray)] and draw(st.booleans()):
                left_out = draw(st.integers(0, len(shape) - axis))
                if mask_at is None:
                    parts.append(Ellipsis)
                    axis += left_out
            elif draw(st.booleans()):
                break
        elif kind == "integer":
            parts.append(draw(st.integers(-shape[axis], shape[axis] - 1)))
            axis += 1
        elif kind == "array" and has_arrays:
            picked = st.integers(-shape[axis], shape[axis] - 1)
            array = np.array(draw(st.lists(picked, min_size=2, max_size=2)))
            parts.append(array[:, None] if draw(st.booleans()) else array)
            axis += 1
        else:
            start, stop = draw(st.integers(-4, 4)), draw(st.integers(-4, 4))
            parts.append(slice(*draw(st.sampled_from([(None,), (start, None), (None, stop), (start, stop, 2)]))))
            axis += 1
    return tuple(parts)


@settings(MANY, max_examples=400)
@given(data=st.data())
def test_indexing(data):
    shape = data.draw(shapes(min_dims=1, max_dims=4, sides=NOT_EMPTY))
    ours, theirs = both(data.draw(arrays(shape)))
    key = data.draw(keys(shape))
    their_key = tuple(torch.tensor(part) if isinstance(part, np.ndarray) else part for part in key)
    expected = theirs[their_key]
    agree(ours[key], expected)
    agree(ours[tuple(Tensor(part) if isinstance(part, np.ndarray) else part for part in key)], expected)
    agree(ours[tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in key)], expected)
    if len(key) == 1:
        agree(ours[key[0]], theirs[their_key[0]])


def test_indexing_as_people_type_it():
    ours, theirs = both(np.arange(24.0).reshape(2, 3, 4))
    rows, place = (Tensor([0, 1]), torch.tensor([0, 1])), (Tensor(1), torch.tensor(1))
    for key in [0, -1, (0, 1), (0, 1, 2), ..., None, (..., 0), (slice(None), None), True, [0, 1], [], [True, False],
                ([0, 1], [1, 2]), (0, slice(None), [0, 1]), (slice(None), [[0], [1]], 1), ()]:  # fmt: skip
        agree(ours[key], theirs[key])
    agree(ours[ours > 5], theirs[theirs > 5])
    agree(ours[rows[0]], theirs[rows[1]])
    agree(ours[place[0]], theirs[place[1]])
    agree(ours[place[0], :, rows[0]], theirs[place[1], :, rows[1]])
    agree(ours[np.int64(1), place[0] :], theirs[np.int64(1), place[1] :])
    agree(ours[[rows[0][0], rows[0][1]]], theirs[[0, 1]])
    np.testing.assert_array_equal(ours[:, ::-1].numpy(), ours.numpy()[:, ::-1])  # an error in PyTorch


# creation -----------------------------------------------------------------------------------------------------------


def test_creation():
    for size in [(2, 3), (0, 2), (1,), ()]:
        agree(tinytorch.zeros(*size), torch.zeros(*size) if size else torch.zeros(()))
        agree(tinytorch.zeros(size), torch.zeros(size))
        agree(tinytorch.ones(list(size), dtype=tinytorch.int64), torch.ones(list(size), dtype=torch.int64))
        for value in (3, 2.5, True):
            agree(tinytorch.full(size, value), torch.full(size, value))
    agree(tinytorch.zeros(torch.ones(2, 3).shape), torch.zeros(2, 3))
    agree(tinytorch.eye(3), torch.eye(3))
    agree(tinytorch.eye(2, 3, dtype=tinytorch.float64), torch.eye(2, 3, dtype=torch.float64))
    for bounds in [(5,), (2, 5), (5, 0, -2), (0, 1, 0.25), (3.0,), (0, 1, 0.1), (-1, 1, 0.3), (0,), (1, 1)]:
        agree(tinytorch.arange(*bounds), torch.arange(*bounds))
    agree(tinytorch.arange(3, dtype=tinytorch.float32), torch.arange(3, dtype=torch.float32))
    assert tinytorch.zeros(2, requires_grad=True).requires_grad
    assert tinytorch.full((2,), 1.0, requires_grad=True).requires_grad


@pytest.mark.parametrize("name", ["randn", "rand"])
def test_random_numbers_have_the_moments_of_pytorch(name):
    """PyTorch's own numbers need PyTorch's generator; the distribution is what agrees."""
    tinytorch.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(tinytorch, name)(200, 500), getattr(torch, name)(200, 500)
    assert ours.shape == tuple(theirs.shape)
    assert ours.dtype == np.float32
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.015)
    assert ours.std().item() == pytest.approx(theirs.std().item(), abs=0.015)
    assert ours.min().item() == pytest.approx(theirs.min().item(), abs=0.6)
    tinytorch.manual_seed(0)
    agree(getattr(tinytorch, name)(200, 500), torch.tensor(ours.numpy()))
    tinytorch.manual_seed(1)
    assert (getattr(tinytorch, name)(200, 500).numpy() != ours.numpy()).any()


# what a Tensor is ---------------------------------------------------------------------------------------------------


@MANY
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_what_a_tensor_says_of_itself(data, dtype):
    shape = data.draw(shapes())
    array = np.array(data.draw(arrays(shape, 0, 9)), order="C").astype(dtype)
    ours, theirs = Tensor(array, dtype=dtype), torch.tensor(array)
    assert ours.shape == ours.size() == tuple(theirs.size())
    assert ours.ndim == ours.dim() == theirs.dim()
    assert ours.numel() == theirs.numel()
    assert ours.nbytes == theirs.nbytes
    assert str(ours.dtype) == dtype_name(theirs)
    assert ours.tolist() == theirs.tolist()
    assert ours.is_contiguous() == theirs.is_contiguous()
    np.testing.assert_array_equal(np.asarray(ours), theirs.numpy())
    for axis in range(-len(shape), len(shape)):
        assert ours.size(axis) == theirs.size(axis)
    if shape:
        assert len(ours) == len(theirs)
    if len(shape) > 1 and ours.numel():
        assert ours.is_contiguous() and ours.stride() == theirs.stride()
        turned, theirs_turned = ours.transpose(0, -1), theirs.transpose(0, -1)
        assert turned.stride() == theirs_turned.stride()
        assert turned.is_contiguous() == theirs_turned.is_contiguous()


def test_tensors_with_one_entry_are_numbers():
    for data in (2.5, 3, True, [2.5], [[-3]]):
        ours, theirs = Tensor(data), torch.tensor(data)
        assert ours.item() == theirs.item()
        assert type(ours.item()) is type(theirs.item())
        assert (float(ours), int(ours), bool(ours)) == (float(theirs), int(theirs), bool(theirs))
    ours, theirs = Tensor(2.0), torch.tensor(2.0)
    assert f"{ours:.3f} {ours} {Tensor(3)}" == f"{theirs:.3f} {theirs} {torch.tensor(3)}"
    assert math.sqrt(ours) == math.sqrt(theirs)
    assert [10, 20, 30][Tensor(1)] == [10, 20, 30][torch.tensor(1)]


def test_python_builtins():
    ours, theirs = both([[1.0, 2.0], [3.0, 4.0]])
    agree(sum([ours, ours]), sum([theirs, theirs]))
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine, other)
    agree(max(ours[0]), max(theirs[0]))
    assert (2.0 in ours, 9 in ours, ours[0, 0] in ours) == (2.0 in theirs, 9 in theirs, theirs[0, 0] in theirs)
    assert (ours == None, ours != None, ours == "a") == (theirs == None, theirs != None, theirs == "a")  # noqa: E711
    assert len({ours, ours, ours.detach()}) == len({theirs, theirs, theirs.detach()}) == 2
    assert [t.item() for t in sorted(ours.flatten(), reverse=True)] == [4, 3, 2, 1]
    agree(abs(-ours), abs(-theirs))
    ours += 1
    theirs += 1
    agree(ours, theirs)


def test_copies():
    ours = Tensor([1.0, 2.0], requires_grad=True)
    ours.grad = np.array([3.0, 4.0], np.float32)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert twin.tolist() == [1, 2]
        assert twin.requires_grad
        assert twin.is_leaf
        assert twin.grad.tolist() == [3, 4]
        assert not np.shares_memory(twin.data, ours.data)
        assert not np.shares_memory(twin.grad, ours.grad)
    assert np.shares_memory(copy.copy(ours).data, ours.data)
    for copied in ([ours, ours], {"a": ours, "b": ours}):
        twins = list(copied.values() if isinstance(copied, dict) else copied)
        twins = copy.deepcopy(twins)
        assert twins[0] is twins[1], "one Tensor stays one Tensor"
    for result in (ours * 2, torch.ones(2, requires_grad=True) * 2):
        with pytest.raises(RuntimeError):
            copy.deepcopy(result)


def test_detach_and_numpy_share_memory():
    for one in (Tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 2.0], requires_grad=True)):
        other = one.detach()
        other.numpy()[0] = 9
        assert one.tolist() == [9, 2]
        assert not other.requires_grad
        assert one.requires_grad and one.is_leaf


@pytest.mark.parametrize(
    "text",
    [
        "Tensor([1., 2.])", "Tensor([1, 2])", "Tensor([ True, False])", "Tensor(2.5)", "Tensor([])",
        "Tensor([1., 2.], dtype=float64)", "Tensor([1, 2], dtype=uint8)", "Tensor([1.], requires_grad=True)",
        "Tensor([], shape=(0, 3))", "Tensor([[1., 2.],\n        [3., 4.]])", "Tensor([nan, inf])",
    ],
)  # fmt: skip
def test_repr_can_be_read_back(text):
    """As PyTorch's, it says dtype and requires_grad where they are unusual, and the shape where there is no entry."""
    names = {"Tensor": Tensor, "float64": "float64", "uint8": "uint8", "nan": math.nan, "inf": math.inf}
    source = text.replace(", shape=(0, 3)", "")
    made = eval(source, names)
    made = made.reshape(0, 1) @ tinytorch.zeros(1, 3) if "shape" in text else made
    assert repr(made) == text


def test_a_long_repr_is_short():
    assert len(repr(tinytorch.zeros(1000, 1000))) < 1000


# errors -------------------------------------------------------------------------------------------------------------

BOTH_REFUSE = [
    ("t + s", ["(2, 3)", "(2,)"]),
    ("t < s", ["(2, 3)", "(2,)"]),
    ("s ** t", ["(2,)", "(2, 3)"]),
    ("t @ t", ["matmul", "(2, 3)"]),
    ("t @ 2", ["()"]),
    ("t @ lib.tensor(2.0)", ["()"]),
    ("t + None", ["add", "None"]),
    ("None - t", ["sub", "None"]),
    ("t + 'a'", ["add", "str"]),
    ("bool(t)", ["(2, 3)", "any", "all"]),
    ("bool(lib.tensor([]))", ["(0,)"]),
    ("float(t)", ["(2, 3)"]),
    ("t.item()", ["(2, 3)"]),
    ("f'{t:.2f}'", ["(2, 3)"]),
    ("t.reshape(4, -1)", ["(4, -1)", "6"]),
    ("t.reshape(2, 2)", ["(2, 2)", "6"]),
    ("t.reshape(2.0, 3)", ["float"]),
    ("e.reshape(0, -1)", ["(0, -1)"]),
    ("t.permute(0)", ["(0,)", "(2, 3)"]),
    ("t.permute(0, 0)", ["(0, 0)"]),
    ("t.permute(0, 2)", ["axis 2"]),
    ("t.transpose(0, 2)", ["axis 2"]),
    ("t.unsqueeze(4)", ["axis 4"]),
    ("t.flatten(2)", ["axis 2"]),
    ("t.flatten(1, 0)", ["start_dim", "(2, 3)"]),
    ("t.sum(2)", ["axis 2"]),
    ("t.sum((0, 0))", ["twice"]),
    ("t.mean(dim=-3)", ["axis -3"]),
    ("t.var(5)", ["axis 5"]),
    ("t.argmax(2)", ["axis 2"]),
    ("e.max(0)", ["(0, 3)"]),
    ("e.max()", ["(0, 3)"]),
    ("e.min(dim=0)", ["(0, 3)"]),
    ("e.argmax()", ["(0, 3)"]),
    ("t[2]", ["index 2"]),
    ("t[0, 0, 0]", ["too many"]),
    ("t[1.0]", ["integers"]),
    ("t['a']", ["integers"]),
    ("t[lib.tensor([1.0])]", ["integer"]),
    ("t[lib.tensor([True, False, True])]", ["boolean"]),
    ("lib.tensor(2.0)[0]", ["too many"]),
    ("len(lib.tensor(2.0))", ["()"]),
    ("list(lib.tensor(2.0))", ["()"]),
    ("lib.tensor([1, 2], requires_grad=True)", ["int64", "float"]),
    ("lib.tensor([True]).requires_grad_()", ["bool"]),
    ("lib.tensor([[1, 2], [3]])", ["rows"]),
    ("lib.tensor('abc')", ["str"]),
    ("lib.tensor(['1', '2'])", ["numbers"]),
    ("lib.tensor(None)", ["NoneType"]),
    ("lib.tensor([None, 1])", ["numbers"]),
    ("lib.tensor(object())", ["numbers"]),
    ("lib.tensor(10**20)", ["64 bits"]),
    ("lib.cat([])", ["at least one"]),
    ("lib.stack([])", ["at least one"]),
    ("lib.cat([t, s])", ["(2, 3)", "(2,)"]),
    ("lib.cat([t, t], dim=2)", ["axis 2"]),
    ("lib.cat([t, 1.0])", ["float"]),
    ("lib.cat([lib.tensor(1.0), lib.tensor(2.0)])", ["()", "stack"]),
    ("lib.stack([t, s])", ["(2, 3)", "(2,)"]),
    ("lib.stack([s, 1.0])", ["float"]),
    ("lib.stack([s, s], dim=3)", ["axis 3"]),
    ("lib.where(s > 0, t, s)", ["(2,)", "(2, 3)"]),
    ("lib.maximum(t, s)", ["(2, 3)", "(2,)"]),
    ("lib.zeros(2.5)", ["float"]),
    ("lib.zeros(-1)", ["negative"]),
    ("lib.tensor([1, 2]) ** -1", ["negative integer powers"]),
    ("lib.tensor([True]) - lib.tensor([True])", ["boolean subtract"]),
    ("-lib.tensor([True])", ["boolean negative"]),
    ("~t", ["invert"]),
    ("t & t", ["bitwise_and"]),
    ("t.nothing", ["nothing"]),
]


@pytest.mark.parametrize(("call", "fragments"), BOTH_REFUSE)
def test_both_refuse_and_we_say_why(call, fragments):
    for lib in (torch, tinytorch):
        t, s, e = lib.ones(2, 3), lib.ones(2), lib.zeros(0, 3)
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, AttributeError)) as raised:
            eval(call, {"lib": lib, "t": t, "s": s, "e": e})
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_where_we_differ_on_purpose():
    """The whole list; what it says stands in notebook 01 or in a docstring."""
    x = Tensor([[1.0, 5.0], [7.0, 2.0]])
    assert type(x.max(1)) is Tensor, "max(dim) gives values, not values and places"
    assert Tensor([1, 2]).mean().item() == 1.5, "integers have a mean"
    assert (Tensor([1, 2]) @ Tensor([1.0, 2.0])).dtype == np.float32, "products of mixed dtypes"
    assert (Tensor([1.0]) + Tensor(2.0, dtype=np.float64)).dtype == np.float64, "0-d Tensors count as arrays"
    assert Tensor([1.5]).sum(()).shape == (1,), "an empty tuple of axes reduces none"
    with pytest.raises(TypeError, match="where"):
        x[0, 0] = 3.0
    with pytest.raises(ValueError, match="negative integer powers"):
        Tensor([2]) ** Tensor([-1])  # 0 in PyTorch
    with pytest.raises(OverflowError):
        Tensor([1], dtype=np.uint8) + 300  # wraps around in PyTorch
    assert core.add(np.ones(2), np.ones(2)).dtype == np.float64, "an operation casts nothing where there is no Tensor"
