"""The answers that are a stretch: no module's own tests may be about them, since students may leave them out."""

import numpy as np
import pytest

import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch import Tensor, manual_seed, nn
from tinytorch.checkpoints import save_checkpoint
from tinytorch.core.acceleration import winograd_1d, winograd_convolution, winograd_matrices, winograd_tile
from tinytorch.core.attention import repeat_heads
from tinytorch.core.embeddings import rotate
from tinytorch.core.quantization import decibels, fake_quantize, file_bytes, pack_groups, unpack_groups
from tinytorch.core.spatial import Conv2d, Flatten, MaxPool2d
from tinytorch.core.transformers import GPT


def test_turned_rows_meet_by_their_distance():
    x = Tensor(np.random.default_rng(9).normal(size=(2, 4, 6)), dtype=np.float64)
    near, far = rotate(x, [0, 3, 5, 6]).numpy(), rotate(x, [100, 103, 105, 106]).numpy()
    np.testing.assert_allclose(near @ near.swapaxes(1, 2), far @ far.swapaxes(1, 2), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(near, axis=-1), np.linalg.norm(x.numpy(), axis=-1))
    with pytest.raises(ValueError, match="5"):
        rotate(Tensor(np.zeros((2, 5))), [0, 1])


def test_a_group_serves_its_heads():
    x = Tensor(np.random.default_rng(0).normal(size=(2, 2, 3, 4)), True, np.float64)
    repeated = repeat_heads(x, 6)
    np.testing.assert_array_equal(repeated.numpy(), np.repeat(x.numpy(), 3, axis=1))
    repeated.backward(np.arange(repeated.numel(), dtype=float).reshape(repeated.shape))
    expected = np.arange(repeated.numel(), dtype=float).reshape(2, 2, 3, 3, 4).sum(axis=2)
    np.testing.assert_allclose(x.grad, expected)
    with pytest.raises(ValueError, match=r"(?s)(?=.*5)(?=.*2)"):
        repeat_heads(x, 5)


def test_a_straight_through_gradient_stops_where_codes_are_cut_off():
    x = Tensor(np.linspace(-2, 2, 81), True, np.float64)
    out = fake_quantize(x, scale=0.25, zero_point=2, bits=4)
    assert len(np.unique(out.numpy())) <= 15
    out.backward(np.full(81, 3.0))
    inside = (np.rint(x.numpy() / 0.25) + 2 >= -7) & (np.rint(x.numpy() / 0.25) + 2 <= 7)
    np.testing.assert_array_equal(x.grad, 3.0 * inside)
    assert 0 < inside.sum() < 81


@pytest.mark.parametrize("group", [2, 6, 32, 128])
@pytest.mark.parametrize("shape", [(1,), (7, 33), (3, 4, 5, 2)])
def test_packed_weights_come_back_within_half_a_scale(group, shape):
    weight = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    packed, scales = pack_groups(weight, group)
    assert packed.dtype == np.uint8
    assert scales.dtype == np.float16
    assert len(packed) * 2 == len(scales) * group
    back = unpack_groups(packed, scales, shape)
    each = np.repeat(scales.astype(np.float32), group)[: weight.size].reshape(shape)
    assert (np.abs(back - weight) <= 0.505 * each).all()


def test_a_file_of_four_bits_is_as_small_as_promised(tmp_path):
    manual_seed(0)
    eyes = nn.Conv2d(1, 6, 5, padding=2), MaxPool2d(2), nn.Conv2d(6, 16, 5), MaxPool2d(2), Flatten()
    reader = nn.Sequential(*eyes, nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10))
    eyes = Conv2d(3, 32, 3, padding=1), MaxPool2d(2), Conv2d(32, 64, 3, padding=1), MaxPool2d(2), Flatten()
    photos = nn.Sequential(*eyes, nn.Linear(4096, 128), nn.Linear(128, 10))
    for name, model in {"LeNet-5": reader, "GPT": GPT(65, 64, 4, 4, 128), "photos": photos}.items():
        state = model.state_dict()
        packed = {path: pack_groups(array) if array.ndim > 1 else array for path, array in state.items()}
        save_checkpoint(tmp_path / name, packed)
        share = (tmp_path / name).stat().st_size / file_bytes(model)
        assert share <= 0.17, f"{name}: {share:.3f}"
        for path, array in state.items():
            if array.ndim > 1:
                assert 15 < decibels(array, unpack_groups(*packed[path], array.shape)) < 30


def test_two_sums_take_four_multiplications_as_matrices_and_as_formulas():
    """F(2, 3) of bilinear inputs: equal for all rows and weights if it is equal for all pairs of unit vectors."""
    to_pixels, to_weights, to_sums = winograd_matrices(np.float64)
    for d in np.eye(4):
        for g in np.eye(3):
            expected = np.correlate(d, g)
            np.testing.assert_array_equal(to_sums @ ((to_weights @ g) * (to_pixels @ d)), expected)
            np.testing.assert_array_equal(winograd_1d(d, g), expected)
            np.testing.assert_array_equal(winograd_tile(np.outer(d, d), np.outer(g, g)), np.outer(expected, expected))


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2e-6), (np.float64, 4e-15)])
@pytest.mark.parametrize("shape", [(3, 5, 8, 8), (1, 16, 33, 20), (2, 1, 3, 4)])
def test_a_convolution_by_winograd_is_the_convolution_but_for_rounding(shape, dtype, bound):
    draw = np.random.default_rng(4)
    x, weight = draw.normal(size=shape).astype(dtype), draw.normal(size=(7, shape[1], 3, 3)).astype(dtype)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.longdouble), (3, 3), axis=(2, 3))
    exact = np.einsum("nchwrs,ocrs->nohw", windows, weight.astype(np.longdouble))
    got = winograd_convolution(x, weight)
    assert got.dtype == dtype
    assert np.abs(got - exact).max() <= bound * np.abs(exact).max()


def test_a_convolution_by_winograd_multiplies_2_25_times_less():
    counts = []

    def product(a, b):
        out = a @ b
        counts.append(out.size * a.shape[-1])
        return out

    n, c, o, size = 3, 4, 5, 10
    winograd_convolution(np.ones((n, c, size + 2, size + 2)), np.ones((o, c, 3, 3)), product)
    assert n * o * size**2 * c * 9 == 2.25 * sum(counts)
