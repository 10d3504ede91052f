"""What module 16 promises of its CNN: a fifteenth of the bytes, at most four of 360 images more wrong on average."""

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, no_grad, optim
from tinytorch.compression import (
    MaskedOptimizer,
    bytes_on_disk,
    compression_ratio,
    cubic_sparsity,
    factorize,
    magnitude_mask,
    rank_for,
    remove_channels,
    strongest_channels,
    weights_of,
)
from tinytorch.core.training import training_step
from tinytorch.quantization import quantize_model


def digits():
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (images[order].reshape(-1, 1, 8, 8) / 16).astype(np.float32), labels[order]


def train(model, images, labels, steps, rate, sparsity=0.0):
    weights, draw = list(weights_of(model).values()), np.random.default_rng(0)
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    held = MaskedOptimizer(optimizer, weights)
    for step in range(steps):
        if sparsity and step % 10 == 0:
            now = cubic_sparsity(step, steps * 2 // 3, sparsity)
            held.set_masks(magnitude_mask([weight.data for weight in weights], now))
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        picked = draw.integers(1437, size=32)
        training_step(model, nn.CrossEntropyLoss(), held, Tensor(images[picked]), labels[picked])


@no_grad()
def wrong(model, images, labels):
    return int((model(Tensor(images[1437:])).numpy().argmax(axis=1) != labels[1437:]).sum())


def test_a_cnn_of_the_digits_gets_fifteen_times_smaller_with_at_most_four_images_more_wrong():
    images, labels = digits()
    ratios, more = [], []
    for seed in range(3):
        manual_seed(seed)
        eyes = nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()
        model = nn.Sequential(*eyes, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
        train(model, images, labels, 540, 0.05)
        start, before = model.state_dict(), wrong(model, images, labels)
        assert before <= 12, "it has learned to read"
        train(model, images, labels, 360, 0.03, sparsity=0.8)
        assert bytes_on_disk(model.state_dict()) == bytes_on_disk(start), "zeros alone save nothing"
        model = remove_channels(model, strongest_channels(model, {0: 16, 3: 24, 7: 40}))
        train(model, images, labels, 360, 0.03)
        model[7] = factorize(model[7], rank_for(model[7].weight.numpy(), 0.9))
        train(model, images, labels, 180, 0.01)
        model = quantize_model(model, [Tensor(images[:256])])
        ratios.append(compression_ratio(start, model.state_dict()))
        more.append(wrong(model, images, labels) - before)
    assert np.mean(ratios) >= 15, ratios
    assert np.mean(more) <= 4, more
