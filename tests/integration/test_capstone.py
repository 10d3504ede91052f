"""What module 20 promises: a file of under 10,000 bytes from which a stranger builds a reader of distorted digits."""

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, nn, no_grad, optim
from tinytorch.capstone import build, check, manifest_of, pack, split
from tinytorch.core.training import training_step
from tinytorch.submissions import MOST_ARRAY_BYTES, distort, find_division, read_submission, write_submission


def digits():
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    test, train = np.split(np.random.default_rng(0).permutation(len(labels)), [360])
    images = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    return split(images, labels, {"train": train, "test": test})


def reader():
    manual_seed(0)
    eyes = nn.Conv2d(1, 20, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    eyes += nn.Conv2d(20, 40, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*eyes, nn.Flatten(), nn.Linear(160, 10))


def test_an_entry_for_the_smallest_file(tmp_path):
    data, model, draw = digits(), reader(), np.random.default_rng(0)
    (x, y), epochs = data["train"], 24
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - epoch / epochs)
        fresh = distort(x, draw)
        for picked in np.array_split(draw.permutation(len(x)), 22):
            training_step(model, nn.CrossEntropyLoss(), optimizer, Tensor(fresh[picked]), y[picked])
    arrays, layers = pack(model, 4)
    size = write_submission(tmp_path / "submission.npz", arrays, manifest_of("small", layers))
    submission = read_submission(tmp_path / "submission.npz")
    unseen, labels = distort(data["test"][0], np.random.default_rng(1)), data["test"][1]
    with no_grad():
        read = np.mean(build(submission)(Tensor(unseen)).numpy().argmax(axis=1) == labels)
    assert size < 10_000 and check(submission) < MOST_ARRAY_BYTES
    assert read >= find_division("small").floor - 0.03  # one distortion of 360 digits: what chance may take
