"""A trained LeNet-5 in eight bits, weights and inputs, answers as before; in two bits it does not."""

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, no_grad, optim
from tinytorch.core.training import training_step
from tinytorch.quantization import quantize_model


def enlarged_digits():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = np.pad(np.kron(digits.images[order], np.ones((1, 3, 3))) / 16, [(0, 0), (2, 2), (2, 2)])
    return images[:, None].astype(np.float32), digits.target[order]


def trained_reader(images, labels, seed, epochs=6):
    manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer, draw = optim.SGD(model.parameters(), lr=0.05, momentum=0.9), np.random.default_rng(seed)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - epoch / epochs)
        for picked in np.array_split(draw.permutation(len(labels)), 45):
            training_step(model, nn.CrossEntropyLoss(), optimizer, Tensor(images[picked]), labels[picked])
    return model.eval()


@no_grad()
def wrong(model, images, labels):
    return int((model(Tensor(images)).numpy().argmax(axis=1) != labels).sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_eight_bits_cost_at_most_two_of_360_images(seed):
    images, labels = enlarged_digits()
    model = trained_reader(images[:1437], labels[:1437], seed)
    unseen = images[1437:], labels[1437:]
    before = wrong(model, *unseen)
    assert before <= 20, "it has learned to read"
    for samples in (None, [images[:100]]):
        assert wrong(quantize_model(model, samples), *unseen) <= before + 2
    assert wrong(quantize_model(model, bits=2), *unseen) > before + 5, "the measure can tell"
