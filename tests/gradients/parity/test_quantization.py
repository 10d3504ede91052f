"""Quantization against PyTorch: ranges, codes, layers of codes as fake quantization, and a whole network."""

import numpy as np
import pytest
import torch

from tinytorch import Tensor, manual_seed, nn
from tinytorch.core import quantization as q

F = torch.nn.functional


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fake(x, scale, zero_point, bits=8):
    top = 2 ** (bits - 1) - 1
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -top, top)


def fake_channels(weight, bits=8):
    top = 2 ** (bits - 1) - 1
    scales = weight.abs().flatten(1).amax(dim=1) / top
    return torch.fake_quantize_per_channel_affine(
        weight, scales, torch.zeros(len(weight), dtype=torch.int32), 0, -top, top
    )


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("ends", [(-1.3, 2.1), (0.2, 3.0), (-4.0, -0.5), (-2.0, 2.0)])
def test_ranges_are_those_of_its_observer(symmetric, ends):
    observers = pytest.importorskip("torch.ao.quantization")
    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    observer = observers.MinMaxObserver(dtype=torch.qint8, qscheme=scheme, quant_min=-127, quant_max=127)
    observer(torch.tensor(ends))
    scale, zero_point = observer.calculate_qparams()
    ours = q.quantization_range(*ends, symmetric=symmetric)
    assert ours[0] == pytest.approx(scale.item(), rel=1e-6)
    assert ours[1] == zero_point.item()


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("zero_point", [0, 1, -1])
def test_codes_and_back(bits, zero_point):
    x, scale = drawn(40, 7), 1.7 / (2 ** (bits - 1) - 1)
    ours = q.dequantize(q.quantize(x, scale, zero_point, bits), scale, zero_point)
    np.testing.assert_allclose(ours, fake(torch.tensor(x), scale, zero_point, bits).numpy(), atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("shape", [(5, 9), (4, 3, 5, 5)])
def test_channels(bits, shape):
    weight = drawn(*shape) * np.logspace(-2, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1)).astype(np.float32)
    ours = q.dequantize(*q.quantize_channels(weight, bits=bits))
    np.testing.assert_allclose(ours, fake_channels(torch.tensor(weight), bits).numpy(), rtol=1e-5)


def test_products_of_codes():
    draw = np.random.default_rng(0)
    a, b = (draw.integers(-128, 128, size, dtype=np.int8) for size in [(3, 2500), (2500, 4)])
    expected = torch.tensor(a).int() @ torch.tensor(b).int()
    np.testing.assert_array_equal(q.int8_matmul(a, b), expected.numpy())


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("inputs", [None, (0.025, -12)])
def test_layers_of_codes_are_fake_quantization(bits, inputs):
    weight, bias, x = drawn(6, 40), drawn(6, seed=1), drawn(3, 5, 40, seed=2)
    theirs = torch.tensor(x) if inputs is None else fake(torch.tensor(x), *inputs)
    expected = F.linear(
        theirs.double(), fake_channels(torch.tensor(weight), bits).double(), torch.tensor(bias).double()
    )
    got = q.QuantizedLinear(weight, bias, inputs, bits)(Tensor(x)).numpy()
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("inputs", [None, (0.025, -12)])
@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"padding": (0, 2)}])
def test_convolutions_of_codes_are_fake_quantization(inputs, settings):
    manual_seed(0)
    layer, x = nn.Conv2d(3, 5, 3, **settings), drawn(2, 3, 8, 9)
    theirs = torch.tensor(x) if inputs is None else fake(torch.tensor(x), *inputs)
    weight, bias = (torch.tensor(part.numpy()) for part in (layer.weight, layer.bias))
    expected = F.conv2d(theirs.double(), fake_channels(weight).double(), bias.double(), **settings)
    got = q.QuantizedConv2d(layer, inputs)(Tensor(x)).numpy()
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zero_point", [0, 3])
def test_fake_quantization_and_its_straight_through_gradient(bits, zero_point):
    scale, grad = 1.5 / (2 ** (bits - 1) - 1), drawn(30, 5, seed=1)
    ours = Tensor(drawn(30, 5), requires_grad=True)
    theirs = torch.tensor(ours.numpy(), requires_grad=True)
    out, expected = (
        q.fake_quantize(ours, scale=scale, zero_point=zero_point, bits=bits),
        fake(theirs, scale, zero_point, bits),
    )
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), atol=1e-6)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    np.testing.assert_array_equal(ours.grad, theirs.grad.numpy())


def test_a_whole_network():
    manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
    images = drawn(6, 1, 8, 8)
    weight, bias, last, shift = (torch.tensor(parameter.numpy()) for parameter in model.parameters())

    def run(see, of):
        hidden = F.max_pool2d(F.relu(F.conv2d(see(0, torch.tensor(images)), of(weight), bias)), 2).flatten(1)
        return F.linear(see(1, hidden), of(last), shift)

    seen = {}
    run(lambda i, x: seen.setdefault(i, x), lambda x: x)
    ranges = {i: q.quantization_range(x.min().item(), x.max().item(), symmetric=False) for i, x in seen.items()}
    expected = run(lambda i, x: fake(x, *ranges[i]), fake_channels)
    got = q.quantize_model(model, [images])(Tensor(images)).numpy()
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-3)
