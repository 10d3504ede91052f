"""Whole networks, through the public API: they learn, and they follow PyTorch step by step."""

import copy

import numpy as np
import pytest
from sklearn.datasets import load_digits

import tinytorch
from tinytorch import accuracy, nn, optim
from tinytorch.training import Trainer
from tinytorch.utils.data import DataLoader, TensorDataset


def digits(seed):
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    images, labels = (data.data[order] / 16).astype(np.float32), data.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def descend(model, rate):
    for parameter in model.parameters():
        parameter.data -= rate * parameter.grad
        parameter.grad = None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_mlp_reads_digits(seed):
    """64-128-10 with ReLU and plain gradient descent: at least 95 % of unseen digits, whatever the seed."""
    (images, labels), (test_images, test_labels) = digits(seed)
    tinytorch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loss_of, shuffle = nn.CrossEntropyLoss(), np.random.default_rng(seed)
    for _ in range(25):
        for picked in np.array_split(shuffle.permutation(len(labels)), 45):
            loss_of(model(tinytorch.Tensor(images[picked])), labels[picked]).backward()
            descend(model, rate=0.1)
    with tinytorch.no_grad():
        guesses = model(tinytorch.Tensor(test_images)).argmax(axis=1).numpy()
    assert (guesses == test_labels).mean() >= 0.95
    assert all(parameter.dtype == np.float32 for parameter in model.parameters())


LOSSES = {
    "CrossEntropyLoss": lambda draw: draw.integers(0, 3, 16),
    "MSELoss": lambda draw: draw.standard_normal((16, 3)),
    "BCEWithLogitsLoss": lambda draw: draw.integers(0, 2, (16, 3)).astype(np.float64),
}


@pytest.mark.parity
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "GELU", "Sigmoid"])
def test_fifty_steps_follow_pytorch(loss, activation):
    """In float64 every parameter agrees with PyTorch's to rtol 1e-9 after 50 steps of gradient descent."""
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(0)
    inputs, targets = draw.standard_normal((16, 5)), LOSSES[loss](draw)

    ours = nn.Sequential(nn.Linear(5, 8), getattr(nn, activation)(), nn.Linear(8, 3))
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 8), getattr(torch.nn, activation)(), torch.nn.Linear(8, 3)).double()
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        parameter.data = other.detach().numpy().copy()
    x, y = tinytorch.Tensor(inputs, dtype=np.float64), torch.tensor(inputs)
    for _ in range(50):
        getattr(nn, loss)()(ours(x), targets).backward()
        descend(ours, rate=0.1)
        theirs.zero_grad()
        getattr(torch.nn, loss)()(theirs(y), torch.tensor(targets)).backward()
        with torch.no_grad():
            for other in theirs.parameters():
                other -= 0.1 * other.grad
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(parameter.numpy(), other.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_lenet_reads_digits_with_the_whole_framework():
    """LeNet-5 on enlarged digits by DataLoader, SGD, a schedule and Trainer: at least 97 % of unseen digits."""
    (images, labels), (test_images, test_labels) = digits(seed=0)

    def enlarged(rows):
        pixels = np.kron(rows.reshape(-1, 1, 8, 8), np.ones((1, 1, 3, 3)))
        return np.pad(pixels, [(0, 0), (0, 0), (2, 2), (2, 2)]).astype(np.float32)

    tinytorch.manual_seed(0)
    eyes = nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
    head = nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
    model, epochs = nn.Sequential(*eyes, *head), 10
    assert sum(parameter.numel() for parameter in model.parameters()) == 61_706
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=schedule, metrics=[accuracy], progress=False)
    loader = DataLoader(TensorDataset(enlarged(images), labels), batch_size=32, shuffle=True, generator=0, prefetch=2)
    trainer.fit(loader, epochs)
    unseen = DataLoader(TensorDataset(enlarged(test_images), test_labels), batch_size=120)
    assert trainer.evaluate(unseen)["accuracy"] >= 0.97


def test_a_copied_and_a_reloaded_model_compute_the_same():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    x = tinytorch.randn(5, 4)
    expected = model(x).numpy()
    twin = copy.deepcopy(model)
    fresh = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    fresh.load_state_dict(model.state_dict())
    for parameter in model.parameters():
        parameter.data *= 0
    np.testing.assert_array_equal(twin(x).numpy(), expected)
    np.testing.assert_array_equal(fresh(x).numpy(), expected)
