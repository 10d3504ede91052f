"""The public behaviour of tinytorch.core.tensor."""

import copy
import itertools
import math
import pickle
import re
import warnings

import numpy as np
import pytest

from tinytorch.core.tensor import (
    Op,
    Tensor,
    add,
    arange,
    broadcast_shape,
    concat,
    concatenate,
    elementwise,
    eye,
    full,
    manual_seed,
    matmul,
    maximum,
    minimum,
    normalize_axes,
    ones,
    rand,
    randn,
    reduce_mean,
    resolve_shape,
    result_dtype,
    row_major_strides,
    stack,
    where,
    zeros,
)
from tinytorch.notebook import expect_error

SHAPES = [(), (1,), (5,), (0,), (3, 1), (1, 4), (2, 0), (2, 3, 4), (1, 1, 1), (0, 3, 0)]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def double(array):
    return Tensor(array, dtype=np.float64)


def drawn(generator, shape):
    """A float64 array that does not lie row after row in memory."""
    return generator.uniform(-3, 3, tuple(shape[::-1])).T


def random_shape(generator, max_dims=4):
    return tuple(generator.choice([0, 1, 1, 2, 3, 5], generator.integers(0, max_dims + 1)).tolist())


def broadcastable(generator):
    """Two shapes that broadcast together, and what they give."""
    common = random_shape(generator)
    pair = []
    for _ in range(2):
        start = generator.integers(0, len(common) + 1)
        pair.append(tuple(1 if generator.random() < 0.3 else size for size in common[start:]))
    return (*pair, np.broadcast_shapes(*pair))


def random_axes(generator, ndim):
    picked = generator.permutation(ndim)[: generator.integers(1, ndim + 1)]
    return tuple(int(axis) - (ndim if generator.random() < 0.5 else 0) for axis in picked)


# shapes and dtypes


def test_shapes_broadcast_in_either_order(generator):
    for _ in range(300):
        left, right, together = broadcastable(generator)
        assert broadcast_shape(left, right) == broadcast_shape(right, left) == together


def test_broadcasting_further_changes_nothing(generator):
    for _ in range(100):
        left, right, together = broadcastable(generator)
        assert broadcast_shape(together, left) == broadcast_shape(right, together) == together


@pytest.mark.parametrize(("left", "right"), [((2, 3), (2,)), ((0,), (2,)), ((4, 1, 2), (3, 5)), ((2, 3, 4), (2, 1, 3))])
def test_shapes_that_do_not_broadcast_are_both_named(left, right):
    for first, second in [(left, right), (right, left)]:
        with pytest.raises(ValueError) as error:
            broadcast_shape(first, second)
        assert str(left) in str(error.value)
        assert str(right) in str(error.value)


def test_shapes_need_no_memory():
    n = 10**9
    assert broadcast_shape((n, 1, n), (n, 1)) == (n, n, n)
    assert resolve_shape((n, -1), n**3) == (n, n**2)
    assert row_major_strides((n, n, n)) == (n**2, n, 1)


def test_the_widest_floating_array_decides(generator):
    kinds = [np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_]
    for _ in range(100):
        picked = [kinds[i] for i in generator.integers(0, len(kinds), 3)]
        floats = [kind for kind in picked if np.dtype(kind).kind == "f"]
        if floats:
            operands = [np.zeros(1, kind) for kind in picked]
            assert result_dtype(*operands, 2.5, 3) == max(floats, key=kinds.index)


def test_integers_become_float32_only_for_fractions():
    whole = np.zeros(2, np.int64)
    assert result_dtype(whole, 1) == np.int64
    assert result_dtype(whole, 1.0) == result_dtype(whole, floating=True) == np.float32
    assert result_dtype(np.zeros(2, bool), True) == np.bool_


# making Tensors


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32), ([1, 2], np.int64), ([1, 2.5], np.float32), (True, np.bool_), ([], np.float32),
        (np.ones(2), np.float32), (np.ones(2, np.float16), np.float16), (np.ones(2, np.uint8), np.uint8),
        ([np.float64(1)], np.float32), (np.ones(2, ">f4"), np.float32), (np.arange(3, dtype=">i4"), np.int32),
        (Tensor([1.5], dtype=np.float64), np.float64), (np.longdouble(2), np.float32), ([Tensor(1.0), 2], np.float32),
    ],
)  # fmt: skip
def test_the_dtype_of_a_new_tensor(data, dtype):
    tensor = Tensor(data)
    assert tensor.dtype == dtype
    assert tensor.dtype.isnative
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(data))


def test_data_is_copied_and_can_be_written_to():
    source = np.broadcast_to(np.float32(1), (2, 2))
    tensor = Tensor(source)
    tensor.data[0, 0] = 5
    assert source[0, 0] == 1
    twin = Tensor(tensor)
    twin.data[0, 0] = 7
    assert tensor.tolist() == [[5, 1], [1, 1]]


@pytest.mark.parametrize("data", ["abc", ["1"], None, [None, 1], 1 + 2j, object(), {1: 2}, 10**20, np.array(["a"])])
def test_what_is_not_a_number_is_refused(data):
    with pytest.raises(TypeError, match="real numbers"):
        Tensor(data)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="rows"):
        Tensor([[1, 2], [3]])


def test_only_floating_tensors_want_gradients():
    assert Tensor([1.0], requires_grad=True).requires_grad
    for data in ([1], [True]):
        with pytest.raises(RuntimeError, match="floating"):
            Tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match="requires_grad"):
        Tensor([1.0], np.float64)


def test_creation():
    assert zeros(2, 3).shape == zeros((2, 3)).shape == zeros([2, 3]).shape == (2, 3)
    assert zeros(()).item() == 0
    assert ones(2, dtype=np.int32).dtype == np.int32
    assert full((2,), 7).tolist() == [7, 7]
    assert full((2,), 7).dtype == np.int64
    assert full((1,), 0.5).dtype == arange(0, 1, 0.5).dtype == eye(2).dtype == np.float32
    assert arange(2, 8, 3).tolist() == [2, 5]
    assert eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(TypeError):
        zeros(2.5)


@pytest.mark.parametrize(("make", "mean", "deviation"), [(randn, 0, 1), (rand, 0.5, 12**-0.5)])
def test_random_numbers_repeat_after_a_seed(make, mean, deviation):
    manual_seed(3)
    first = make(100, 300)
    assert abs(first.mean().item() - mean) < 0.02
    assert abs(first.std().item() - deviation) < 0.02
    assert first.dtype == np.float32
    second = make(100, 300)
    manual_seed(3)
    assert (make(100, 300) == first).all()
    assert (second != first).any()
    own = [make(4, generator=np.random.default_rng(9)).tolist() for _ in range(2)]
    assert own[0] == own[1]


# arithmetic


def test_addition_against_numpy_over_random_shapes(generator):
    for _ in range(100):
        left, right, together = broadcastable(generator)
        x, y = drawn(generator, left), drawn(generator, right)
        got = double(x) + double(y)
        assert got.shape == together
        np.testing.assert_array_equal(got.numpy(), x + y)
        single = Tensor(x) + Tensor(y)
        assert single.dtype == np.float32


@pytest.mark.parametrize("sign", ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "__lt__", "__eq__"])
def test_operands_that_do_not_broadcast_name_both_shapes(sign):
    with pytest.raises(ValueError) as error:
        getattr(zeros(2, 3), sign)(zeros(4, 1, 2))
    assert "(2, 3)" in str(error.value)
    assert "(4, 1, 2)" in str(error.value)


def test_integers_beside_floats_become_float32():
    whole, parts = Tensor([2, 4]), Tensor([0.5, 0.5])
    for got in (whole + parts, parts - whole, whole * parts, whole**parts, whole @ parts, maximum(whole, parts)):
        assert got.dtype == np.float32
    for got in (whole + 0.5, whole / 2, whole.exp(), whole.mean(), whole.var()):
        assert got.dtype == np.float32
    for got in (whole + 1, 2 - whole, whole * whole, whole**2, whole @ whole, maximum(whole, 3), abs(whole), -whole):
        assert got.dtype == np.int64


def test_addition_commutes_and_has_a_zero(generator):
    x, y = Tensor(drawn(generator, (3, 4))), Tensor(drawn(generator, (4,)))
    assert (x + y == y + x).all()
    assert (x + 0 == x).all()
    assert (x - x == 0).all()
    assert (x + x == 2 * x).all()


@pytest.mark.parametrize("scalar", [2, 2.0, True, np.float32(2), np.float64(2), np.int64(2), np.array(2.0)])
def test_scalars_do_not_change_the_dtype(scalar):
    for dtype in (np.float32, np.float64):
        x = Tensor([1.0, 4.0], dtype=dtype)
        for got in (x + scalar, scalar - x, x * scalar, scalar / x, x**scalar, scalar**x, maximum(scalar, x)):
            assert type(got) is Tensor
            assert got.dtype == dtype


def test_worked_numbers():
    x = Tensor([1.0, 4.0])
    assert (10 - x).tolist() == [9, 6]
    assert (2 / x).tolist() == [2, 0.5]
    assert (2**x).tolist() == [2, 16]
    assert (x**0.5).tolist() == x.sqrt().tolist() == x.pow(0.5).tolist() == [1, 2]
    assert (-x).abs().tolist() == abs(-x).tolist() == [1, 4]
    assert (np.array([1, 1]) / x).tolist() == [1, 0.25]
    assert np.allclose(x.log().exp().numpy(), [1, 4])
    assert x.clip(2).tolist() == [2, 4]
    assert x.clamp(min=0, max=3).tolist() == [1, 3]
    assert minimum(x, 2).tolist() == [1, 2]
    assert where(x > 2, x, 0.5).tolist() == [0.5, 4]
    assert (Tensor([7, 8]) / 2).tolist() == [3.5, 4]
    assert sum([x, x]).tolist() == [2, 8]


def test_infinities_come_out_without_a_warning():
    zero, large = Tensor([0.0]), Tensor([3e38])
    assert (1 / zero).item() == (large * 10).item() == large.exp().item() == (large + large).item() == math.inf
    assert zero.log().item() == (-large - large).item() == -math.inf
    assert large.reshape(1, 1).__matmul__(large).item() == Tensor([3e38, 3e38]).mean().item() == math.inf
    for nothing in (zero / 0, (-1 - zero).sqrt(), (-1 - zero).log(), 0 * (1 / zero), (-1 - zero) ** 0.5):
        assert math.isnan(nothing.item())


def test_comparisons_and_masks():
    x = Tensor([1.0, 2.0, 3.0])
    inside = (x > 1) & (x <= 2)
    assert inside.dtype == np.bool_
    assert inside.tolist() == [False, True, False]
    assert (~inside | (x == 2)).all()
    assert not (inside ^ inside).any()
    assert (np.int64(1) < x).tolist() == (x != 1).tolist() == [False, True, True]
    assert 2 in x
    assert 5 not in x
    assert (x == None) is False  # noqa: E711
    with pytest.raises(ValueError, match="neither true nor false"):
        bool(x > 1)


@pytest.mark.parametrize("bad", [[1.0], "a", 1j, {}])
def test_what_is_neither_tensor_array_nor_number_is_refused(bad):
    with pytest.raises(TypeError, match=type(bad).__name__):
        Tensor([1.0]) + bad
    with pytest.raises(TypeError, match=type(bad).__name__):
        bad * Tensor([1.0])


def test_none_is_named():
    with pytest.raises(TypeError, match="mul: an input is None"):
        Tensor([1.0]) * None


def test_errors_that_are_not_about_shapes_come_through():
    raised = elementwise("raised", np.power)
    for exponent in (Tensor([-1, -2]), -1):
        with pytest.raises(ValueError, match="negative integer powers"):
            raised(Tensor([2, 3]), exponent)


def test_elementwise_makes_operations_of_their_own():
    hypotenuse = elementwise("hypotenuse", np.hypot, floating=True)
    cosine = elementwise("cosine", np.cos, floating=True)
    assert isinstance(hypotenuse, Op)
    assert (hypotenuse.__name__, cosine.__name__) == ("hypotenuse", "cosine")
    got = hypotenuse(Tensor([[3], [5]]), Tensor([4, 12]))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), [[5, 153**0.5], [41**0.5, 13]], rtol=1e-6)
    assert cosine(Tensor([0.0], dtype=np.float64)).dtype == np.float64
    assert hypotenuse.rule is cosine.rule is None


# products


def test_products_of_random_batches(generator):
    for _ in range(60):
        n, k, m = generator.choice([0, 1, 2, 4], 3)
        left, right, _ = broadcastable(generator)
        x, y = drawn(generator, (*left[:2], n, k)), drawn(generator, (*right[-2:], k, m))
        try:
            batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        except ValueError:
            expect_error(ValueError, [x.shape, y.shape], matmul, double(x), double(y))
            continue
        got = double(x) @ double(y)
        assert got.shape == (*batch, n, m)
        np.testing.assert_allclose(got.numpy(), np.einsum("...nk,...km->...nm", x, y), rtol=1e-12, atol=1e-12)


def test_products_with_vectors(generator):
    x, v, w = (double(drawn(generator, shape)) for shape in [(2, 3, 4), (4,), (3,)])
    np.testing.assert_allclose((x @ v).numpy(), (x * v).sum(axis=-1).numpy())
    np.testing.assert_allclose((w @ x).numpy(), (w.unsqueeze(1) * x).sum(axis=1).numpy())
    assert (v @ v).shape == ()
    assert (v @ v).item() == pytest.approx((v**2).sum().item())


def test_products_associate_and_transpose(generator):
    a, b, c = (double(drawn(generator, shape)) for shape in [(2, 3), (3, 4), (4, 5)])
    np.testing.assert_allclose(((a @ b) @ c).numpy(), (a @ (b @ c)).numpy())
    np.testing.assert_allclose((a @ b).T.numpy(), (b.T @ a.T).numpy())
    assert (a @ eye(3) == a).all()


@pytest.mark.parametrize(("left", "right"), [((2, 3), (2,)), ((3,), (4,)), ((), (3,)), ((1, 3), ()), ((2, 2), (3, 2))])
def test_products_that_do_not_fit_name_both_shapes(left, right):
    expect_error(ValueError, [left, right], matmul, zeros(left), zeros(right))


# reductions


def test_reductions_against_numpy_over_random_axes(generator):
    for _ in range(150):
        shape = random_shape(generator)
        if not shape:
            continue
        array, axes, keep = drawn(generator, shape), random_axes(generator, len(shape)), bool(generator.integers(2))
        x, plain = double(array), tuple(axis % len(shape) for axis in axes)
        np.testing.assert_allclose(x.sum(axes, keep).numpy(), array.sum(plain, keepdims=keep), atol=1e-12)
        if 0 not in [shape[axis] for axis in plain]:
            np.testing.assert_allclose(x.mean(axes, keep).numpy(), array.mean(plain, keepdims=keep), atol=1e-12)
            np.testing.assert_array_equal(x.max(axes, keep).numpy(), array.max(plain, keepdims=keep))
            np.testing.assert_array_equal(x.min(dim=axes, keepdim=keep).numpy(), array.min(plain, keepdims=keep))
            np.testing.assert_allclose(
                x.var(axes, keep, correction=0).numpy(), array.var(plain, keepdims=keep), atol=1e-12
            )


def test_a_mean_is_linear_and_lies_between_the_extremes(generator):
    x = double(drawn(generator, (4, 5)))
    for axis in (None, 0, -1, (0, 1)):
        np.testing.assert_allclose((3 * x + 2).mean(axis).numpy(), (3 * x.mean(axis) + 2).numpy())
        assert ((x.min(axis) <= x.mean(axis)) & (x.mean(axis) <= x.max(axis))).all()


def test_the_mean_of_no_entries_is_nan():
    assert math.isnan(zeros(0).mean().item())
    assert np.isnan(zeros(2, 0).mean(axis=-1, keepdims=True).numpy()).tolist() == [[True], [True]]
    assert zeros(0, 2).mean(axis=1).shape == (0,)


def test_the_variance_divides_by_one_less():
    x = Tensor([2.0, 4.0, 4.0, 6.0])
    assert x.var().item() == pytest.approx(8 / 3)
    assert x.var(correction=0).item() == 2
    assert x.std(correction=0).item() == pytest.approx(2**0.5)
    assert math.isnan(Tensor([1.0]).var().item())


def test_sums_of_integers_do_not_overflow_and_stay_integers():
    assert full((3,), 200).astype(np.uint8).sum().item() == 600
    assert Tensor([True, True]).sum().dtype == np.int64
    assert (Tensor([3, 1, 3]).argmax().item(), Tensor([3, 1, 3]).max().dtype) == (0, np.int64)


@pytest.mark.parametrize("dim", [0, -1])
def test_a_tensor_without_axes_takes_0_and_minus_1(dim):
    x = Tensor(2.5)
    for name in ("sum", "mean", "max", "min"):
        for keepdim in (False, True):
            got = getattr(x, name)(dim=dim, keepdim=keepdim)
            assert (got.shape, got.item()) == ((), 2.5), name
    assert x.argmax(dim=dim).item() == 0
    assert x.transpose(0, dim).shape == x.squeeze(dim).shape == ()
    for name in ("sum", "squeeze"):
        with pytest.raises(IndexError, match="axis 1 does not exist: the Tensor has 0 axes"):
            getattr(x, name)(1)


def test_a_sum_over_no_axes_changes_nothing():
    assert ones(2, 3).sum(axis=()).tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: x * -1, "mul"),
        (lambda x: x + 300, "add"),
        (lambda x: 256 - x, "sub"),
        (lambda x: maximum(x, -1), "maximum"),
    ],
)
def test_a_number_that_the_dtype_cannot_hold_wraps_or_is_an_error_that_says_what_to_do(call, name):
    pixels = Tensor([0, 255], dtype=np.uint8)
    try:  # an answer that casts by itself may wrap, as PyTorch does
        wrapped = call(pixels)
    except OverflowError as error:
        assert re.match(rf"{name}: .*uint8; take a wider dtype, as in x\.long\(\)", str(error)), str(error)
    else:
        assert wrapped.dtype == np.uint8 and wrapped.tolist() == (call(pixels.long()).numpy() % 256).tolist()
    assert (pixels.long() * -1).tolist() == [0, -255]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std", "argmax"])
def test_axes_that_do_not_exist(name):
    for axis in (2, -3):
        with pytest.raises(IndexError, match=f"axis {axis} does not exist"):
            getattr(ones(2, 3), name)(axis)
    with pytest.raises(IndexError):
        reduce_mean(ones(2), axis=1)
    with pytest.raises(ValueError, match="twice"):
        normalize_axes((0, -2), 2)


@pytest.mark.parametrize("name", ["max", "min", "argmax"])
def test_nothing_is_largest_among_no_entries(name):
    for axis in (None, 0):
        with pytest.raises(ValueError, match=r"\(0, 3\)"):
            getattr(zeros(0, 3), name)(axis)


# shapes


def test_reshape_keeps_the_entries_in_order(generator):
    for shape in SHAPES:
        x = double(drawn(generator, shape))
        flat = x.flatten()
        assert flat.shape == (math.prod(shape),)
        assert flat.tolist() == list(x.numpy().flat)
        assert (flat.reshape(shape) == x).all()
        assert (x.reshape(1, *shape).squeeze(0) == x).all()


def test_one_size_may_be_open(generator):
    for _ in range(200):
        sizes = [int(size) for size in generator.integers(1, 6, generator.integers(1, 5))]
        place, count = int(generator.integers(len(sizes))), math.prod(sizes)
        opened = tuple(-1 if i == place else size for i, size in enumerate(sizes))
        assert resolve_shape(opened, count) == resolve_shape(tuple(sizes), count) == tuple(sizes)
        if count // sizes[place] > 1:
            expect_error(ValueError, [opened, count + 1], resolve_shape, opened, count + 1)


@pytest.mark.parametrize(("shape", "count"), [((2, 2), 5), ((-1, -1), 4), ((-4, -1), 4), ((0, -1), 0), ((-1, 0), 3)])
def test_shapes_that_cannot_be_taken(shape, count):
    expect_error(ValueError, [shape, count], resolve_shape, shape, count)


def test_axes_change_places(generator):
    x = double(drawn(generator, (2, 3, 4)))
    for order in itertools.permutations(range(3)):
        assert (x.permute(order) == Tensor.wrap(x.numpy().transpose(order))).all()
        back = [order.index(axis) for axis in range(3)]
        assert (x.permute(*order).permute(*back) == x).all()
    assert x.transpose(0, -1).shape == x.T.shape == (4, 3, 2)
    assert x.unsqueeze(-1).shape == (2, 3, 4, 1)
    assert x.unsqueeze(1).squeeze(dim=1).shape == x.squeeze().shape == (2, 3, 4)
    assert x.flatten(1).shape == (2, 12)
    assert x.flatten(end_dim=1).shape == (6, 4)
    for wrong in [(0, 1), (0, 0, 1), (0, 1, 3)]:
        with pytest.raises((ValueError, IndexError)):
            x.permute(wrong)


def test_rearranging_copies_nothing():
    x = zeros(2, 3)
    for view in (x.T, x.reshape(3, 2), x.view(6), x[0], x[:, 1:], x.unsqueeze(0), x.detach()):
        assert np.shares_memory(view.data, x.data)


def test_strides_lead_to_every_entry():
    for shape in SHAPES:
        steps, flat = row_major_strides(shape), np.arange(math.prod(shape))
        assert len(steps) == len(shape)
        if 0 not in shape:
            assert steps == tuple(step // 8 for step in np.zeros(shape).strides)
        for place in np.ndindex(*shape):
            address = sum(step * i for step, i in zip(steps, place, strict=True))
            assert flat[address] == flat.reshape(shape)[place]
    x = zeros(2, 3, 4)
    assert x.stride() == row_major_strides(x.shape)
    assert x.is_contiguous()
    assert not x.T.is_contiguous()


# indexing and joining


@pytest.mark.parametrize(
    "key",
    [
        0, -1, (1, 2), slice(None, None, -1), (..., 0), None, (slice(None), None, 1), [0, 1, 0], ([0, 1], [2, 2]),
        np.array([[1], [0]]), (slice(1), [1, 2]), [], True, np.arange(24).reshape(2, 3, 4) % 5 == 0, ([True, False], 1),
    ],
)  # fmt: skip
def test_indexing_is_numpys(key):
    array = np.arange(24.0).reshape(2, 3, 4)
    expected = array[np.zeros(0, int)] if isinstance(key, list) and not key else array[key]
    got = double(array)[key]
    assert type(got) is Tensor
    assert got.tolist() == expected.tolist()


def test_integers_select_before_index_arrays():
    """As in PyTorch, and unlike NumPy, where the axis of the array would come first."""
    array = np.arange(24.0).reshape(2, 3, 4)
    x, rows = Tensor(array), Tensor([0, 3])
    assert x[1, :, rows].tolist() == array[1][:, [0, 3]].tolist()
    assert x[Tensor(1), :, [0, 3]].tolist() == array[1][:, [0, 3]].tolist()
    assert x[[1, 0], :, 2].tolist() == array[:, :, 2][[1, 0]].tolist()
    assert x[:, array[0] > 5].tolist() == array[:, array[0] > 5].tolist()


def test_entries_are_not_assigned():
    x = zeros(2)
    with pytest.raises(TypeError, match="where"):
        x[0] = 1.0


def test_joined_pieces_can_be_cut_out_again(generator):
    for _ in range(60):
        shape = [int(size) for size in generator.choice([0, 1, 2, 3], generator.integers(1, 4))]
        axis, pieces = int(generator.integers(-len(shape), len(shape))), []
        for size in generator.choice([0, 1, 4], generator.integers(1, 5)):
            shape[axis] = int(size)
            pieces.append(double(drawn(generator, tuple(shape))))
        joined, start = concatenate(pieces, axis), 0
        for piece in pieces:
            end = start + piece.shape[axis]
            cut = [slice(None)] * len(shape)
            cut[axis] = slice(start, end)
            assert (joined[tuple(cut)] == piece).all()
            start = end
        assert joined.shape[axis] == start


def test_joining_follows_the_dtype_rules():
    assert concat(Tensor([1]), Tensor([True]), axis=0).dtype == np.int64
    assert concatenate([Tensor([1]), Tensor([0.5])]).tolist() == [1, 0.5]
    assert concatenate([Tensor([0.5]), double([0.1])], dim=0).dtype == np.float64


def test_concatenate_leaves_out_what_has_the_shape_0_beside_more_axes():
    """What PyTorch's `cat` does with an empty start, to which batches are added."""
    joined = concatenate([Tensor([]), ones(2, 3), Tensor([]), zeros(1, 3)])
    assert joined.tolist() == [[1.0] * 3] * 2 + [[0.0] * 3]
    assert concatenate([Tensor([]), Tensor([1.0])]).tolist() == [1.0]
    with pytest.raises(ValueError, match="use stack"):
        concatenate([Tensor(1.0), Tensor(2.0)])


def test_stacking_makes_an_axis(generator):
    rows = [Tensor(drawn(generator, (2, 3))) for _ in range(4)]
    for axis in range(-3, 3):
        stacked = stack(rows, axis)
        assert np.array_equal(stacked.numpy(), np.stack([row.numpy() for row in rows], axis))
    with pytest.raises(ValueError) as error:
        stack([zeros(2, 3), zeros(2, 4)])
    assert "(2, 3)" in str(error.value)
    assert "(2, 4)" in str(error.value)


@pytest.mark.parametrize("join", [concatenate, stack])
def test_what_cannot_be_joined(join):
    with pytest.raises(ValueError, match="at least one"):
        join([])
    with pytest.raises(TypeError, match="float"):
        join([zeros(1), 1.0])


def test_pieces_that_do_not_fit_are_named():
    expect_error(ValueError, [(2, 3), (2, 4)], concatenate, [zeros(2, 3), zeros(5, 3), zeros(2, 4)])
    with pytest.raises(IndexError, match="axis 2"):
        concatenate([zeros(2, 3)], 2)


# what Python and others do with a Tensor


def test_conversions():
    one = Tensor([[2.5]])
    assert (one.item(), float(one), int(one), bool(one)) == (2.5, 2.5, 2, True)
    assert f"{Tensor(2.5):.2f} {Tensor(2.5)}" == "2.50 2.5"
    assert [5, 6, 7][Tensor(1)] == 6
    assert np.array(one, dtype=float).dtype == np.float64
    assert np.asarray(one) is one.numpy() is one.data
    assert [row.tolist() for row in Tensor([[1], [2]])] == [[1], [2]]
    assert Tensor([1, 2]).float().dtype == Tensor([1.9]).astype(np.float32).dtype == np.float32
    assert Tensor([1.9]).long().tolist() == [1]
    for bad in (lambda: float(zeros(2)), lambda: zeros(2).item(), lambda: len(Tensor(1.0)), lambda: list(Tensor(1.0))):
        with pytest.raises((ValueError, TypeError), match=r"\(2,\)|\(\)"):
            bad()


def test_what_it_says_of_itself():
    x = zeros(2, 3)
    assert (x.shape, x.size(), x.size(-1), x.ndim, x.dim(), x.numel(), len(x)) == ((2, 3), (2, 3), 3, 2, 2, 6, 2)
    assert x.nbytes == 24
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor([1.5], requires_grad=True)) == "Tensor([1.5], requires_grad=True)"
    assert repr(double([1])) == "Tensor([1.], dtype=float64)"
    assert repr(zeros(0, 3)) == "Tensor([], shape=(0, 3))"


def test_tensors_are_keys_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2
    assert {a: "a"}.get(b) is None


def test_deep_copies_and_pickles():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == [1, 2]
        assert twin.requires_grad
        assert not np.shares_memory(twin.data, x.data)
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(x * 2)
    assert copy.deepcopy((x * 2).detach()).tolist() == [2, 4]


def test_matplotlib_takes_tensors():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    x = Tensor([0.0, 1.0], requires_grad=True)
    (line,) = axes.plot(x, x * 2)
    assert line.get_ydata().tolist() == [0, 2]
    axes.imshow(zeros(2, 2))
    axes.hist(x)
    figure.canvas.draw()


# recording


def test_operations_remember_what_they_were_applied_to():
    x, constant = Tensor([1.0], requires_grad=True), Tensor([2.0])
    y = add(x, constant)
    assert y.requires_grad
    assert not y.is_leaf
    assert y.node.op is add
    assert y.node.inputs[0] is x
    assert y.node.inputs[1] is None
    assert x.is_leaf
    assert not (constant + constant).requires_grad
    assert not (x > 0).requires_grad
    assert not y.detach().requires_grad


def test_every_method_records(generator):
    x = Tensor(generator.uniform(1, 2, (2, 3)), requires_grad=True)
    results = [
        -x, x - 1, 1 - x, x * x, x / 2, 2 / x, x**2, x @ x.T, x.exp(), x.log(), x.sqrt(), abs(x), x.clip(0, 1), x.sum(),
        x.mean(0), x.max(1), x.min(), x.var(), x.std(0), x.reshape(6), x.T, x.transpose(0, 1), x.squeeze(), x[0],
        x[[0, 1], 1], x[x > 1], x.unsqueeze(0), x.flatten(), concatenate([x, x]), stack([x, x]), where(x > 1, x, 0),
        maximum(x, 1), minimum(x, 1), x.astype(np.float64),
    ]  # fmt: skip
    for result in results:
        assert result.requires_grad
        assert result.node is not None


def test_a_tensor_is_no_setting():
    with pytest.raises(TypeError, match="axis"):
        ones(2).sum(axis=Tensor(0))


def test_none_passes_through_to_an_operation_that_takes_it():
    affine = Op(lambda x, bias=None: x * 2 if bias is None else x * 2 + bias)
    assert affine(Tensor([1.0]), None).tolist() == [2]
    assert affine(Tensor([1.0]), Tensor([3.0])).tolist() == [5]


def test_a_network_in_float32(generator):
    """Two layers against the same in float64 with NumPy alone."""
    x, w, v = (generator.standard_normal(shape) for shape in [(8, 5), (5, 16), (16, 3)])
    got = maximum(Tensor(x) @ Tensor(w) + 0.5, 0) @ Tensor(v)
    expected = np.maximum(x @ w + 0.5, 0) @ v
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_an_operation_is_copied_and_pickled_like_a_function():
    assert copy.deepcopy([add]) == [add]
    assert copy.copy(add) is add
    assert pickle.loads(pickle.dumps(add)) is add
