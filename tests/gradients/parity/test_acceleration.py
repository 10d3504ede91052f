"""Fused layers and chains in blocks against PyTorch."""

import close
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinytorch import nn  # noqa: E402
from tinytorch.core import acceleration  # noqa: E402
from tinytorch.core.tensor import Tensor, manual_seed  # noqa: E402
from tinytorch.kernels import spatial, use_kernels  # noqa: E402

pytestmark = pytest.mark.parity


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("channels", [(1, 6), (3, 32), (32, 64), (6, 16)])
@pytest.mark.parametrize("n", [1, 5, 17])
def test_a_fused_layer_computes_what_pytorch_computes_and_its_gradients(channels, n):
    (c, o), x = channels, draw(n, channels[0], 16, 16)
    manual_seed(0)
    ours = use_kernels(nn.Sequential(nn.Conv2d(c, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), "yours")
    theirs = torch.nn.Sequential(torch.nn.Conv2d(c, o, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data = torch.tensor(mine.numpy().copy())
    images, others = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = ours(images), theirs(others)
    grad = draw(*out.shape, seed=1)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    close.agree(out.numpy(), expected, rtol=1e-4)
    close.agree(images.grad, others.grad, rtol=1e-4)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        close.agree(mine.grad, other.grad, rtol=1e-4)


@pytest.mark.parametrize("channels", [(1, 4), (6, 16), (32, 64)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_of_some_images_is_the_convolution_of_all(channels, stride):
    (c, o), how = channels, {"stride": (stride, stride), "padding": (1, 1)}
    x, weight = draw(9, c, 16, 16), draw(o, c, 3, 3)
    some, expected = spatial.ConvolutionOfSome(weight, **how), spatial.convolve(x, weight, **how)
    for start in (0, 4, 8):
        got = some(x[start : start + 4]).transpose(0, 3, 1, 2)
        close.agree(got, torch.tensor(expected[start : start + 4]), rtol=1e-4)


@pytest.mark.parametrize("channels", [(1, 4), (6, 8), (16, 16)])
def test_a_convolution_of_some_images_has_their_dtype(channels):
    c, o = channels
    x, weight = draw(4, c, 16, 16), draw(o, c, 3, 3)
    some = spatial.ConvolutionOfSome(weight, stride=(1, 1), padding=(0, 0))
    for dtype in (np.float32, np.float64, np.float32):
        expected = torch.nn.functional.conv2d(*(torch.tensor(array.astype(dtype)) for array in (x, weight)))
        close.agree(some(x.astype(dtype)).transpose(0, 3, 1, 2), expected, rtol=1e-4)


def test_gelu_in_blocks_is_pytorchs():
    x = draw(33, 7) * 4
    expected = torch.nn.functional.gelu(torch.tensor(x), approximate="tanh")
    close.agree(acceleration.chain_in_blocks(acceleration.gelu_block, x, 50), expected, rtol=1e-5)


def test_cross_entropy_in_chunks_is_pytorchs():
    hidden, weight, targets = draw(20, 8), draw(101, 8, seed=1), np.arange(20) * 5
    mine = [Tensor(hidden, requires_grad=True), Tensor(weight, requires_grad=True)]
    theirs = [torch.tensor(hidden, requires_grad=True), torch.tensor(weight, requires_grad=True)]
    loss = acceleration.linear_cross_entropy(*mine, targets=targets, chunk=16)
    expected = torch.nn.functional.cross_entropy(theirs[0] @ theirs[1].T, torch.tensor(targets))
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for tensor, other in zip(mine, theirs, strict=True):
        close.agree(tensor.grad, other.grad, rtol=1e-4)
