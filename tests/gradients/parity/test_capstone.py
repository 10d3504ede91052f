"""A model that is built from a file against PyTorch, which computes with the same codes or with the same state."""

import numpy as np
import pytest
import torch
from close import agree

from tinytorch import Tensor
from tinytorch.core.autograd import no_grad
from tinytorch.core.capstone import build, choose_epoch, pack
from tinytorch.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tinytorch.submissions import Submission

F = torch.nn.functional


def network():
    eyes = Conv2d(1, 5, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(5, 6, 3, stride=2, padding=1), ReLU()
    return Sequential(*eyes, Flatten(), Linear(24, 4), Linear(4, 10))


def quantized(weight, bits):
    """PyTorch's own codes and back, with a scale for each output."""
    most = 2 ** (bits - 1) - 1
    weight = torch.tensor(weight.numpy())
    scale = weight.abs().amax(dim=tuple(range(1, weight.ndim))) / most
    return torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros(len(scale)).int(), 0, -most, most)


@pytest.mark.parametrize("bits", [8, 4])
def test_codes_compute_what_fake_quantized_weights_compute_in_pytorch(bits):
    model, x = network(), np.random.default_rng(bits).random((3, 1, 8, 8)).astype(np.float32)
    arrays, layers = pack(model, bits)
    with no_grad():
        got = build(Submission(arrays, {"layers": layers}))(Tensor(x))
    first, second, down, up = (model[i] for i in (0, 3, 6, 7))
    weights = [quantized(layer.weight, bits) for layer in (first, second, down, up)]
    biases = [torch.tensor(layer.bias.numpy()) for layer in (first, second, down, up)]
    out = F.max_pool2d(F.relu(F.conv2d(torch.tensor(x), weights[0], biases[0], padding=1)), 2)
    out = F.relu(F.conv2d(out, weights[1], biases[1], stride=2, padding=1)).flatten(1)
    wanted = F.linear(F.linear(out, weights[2], biases[2]), weights[3], biases[3])
    agree(got, wanted, rtol=1e-4)


@pytest.mark.parametrize("seeds", [2, 5, 9])
def test_the_chosen_epoch_follows_from_pytorchs_mean_and_deviation(seeds):
    curves = 2 / np.arange(1, 31) + np.random.default_rng(seeds).normal(0, 0.2, size=(seeds, 30))
    deviation, mean = torch.std_mean(torch.tensor(curves), dim=0)
    limit = mean.min() + deviation[mean.argmin()] / seeds**0.5
    assert choose_epoch(curves) == int((mean <= limit).int().argmax())
