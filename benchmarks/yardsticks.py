"""Makes the arrays of the two models beside which `tito benchmark` measures; run from the root of the course.

LeNet-5 of module 09 is trained here, on distorted digits (a minute or two); the GPT is the one that milestone 05 keeps:
`tito milestone run 5 --data characters`. Prints how well both do on what they were not trained on.

    python benchmarks/yardsticks.py .tito/models/characters_gpt-*.npz
"""

import sys
from pathlib import Path

import numpy as np

import tinytorch as tt
from tinytorch.datasets import load_digits, load_shakespeare
from tinytorch.nn import Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tinytorch.optim import SGD
from tinytorch.submissions import WINDOW, distort
from tinytorch.transformers import GPT

TARGET = Path("tito/services/grading/olympics/yardsticks")
EPOCHS, BATCH, RATE = 40, 32, 0.05


def lenet():
    tt.manual_seed(0)
    eyes = Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))


def enlarged(images):
    """(n, 1, 8, 8) threefold, with a margin of two pixels: (n, 1, 28, 28)."""
    return tt.Tensor(np.pad(images.repeat(3, axis=2).repeat(3, axis=3), [(0, 0), (0, 0), (2, 2), (2, 2)]))


def train_lenet():
    train, test = load_digits()
    model, generator = lenet(), np.random.default_rng(0)
    optimizer, loss_of = SGD(model.parameters(), lr=RATE, momentum=0.9), CrossEntropyLoss()
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - epoch / EPOCHS)
        order = generator.permutation(len(train))
        for picked in np.array_split(order, len(order) // BATCH):
            optimizer.zero_grad()
            loss_of(model(enlarged(distort(train.images[picked], generator))), train.labels[picked]).backward()
            optimizer.step()
    with tt.no_grad():
        answers = model(enlarged(distort(test.images, generator))).numpy().argmax(axis=1)
    print(f"LeNet-5: {(answers == test.labels).mean():.1%} of {len(test)} distorted test digits")
    return model.state_dict()


def kept_gpt(path):
    model = GPT(65, WINDOW, 4, 4, 128)
    with np.load(path, allow_pickle=False) as file:
        model.load_state_dict({name.removeprefix("state."): file[name] for name in file.files})
    model.eval()
    text = load_shakespeare()
    ids = np.searchsorted(sorted(set(text)), list(text[len(text) * 9 // 10 :]))
    windows = ids[: len(ids) // (WINDOW + 1) * (WINDOW + 1)].reshape(-1, WINDOW + 1)[::8]
    with tt.no_grad():
        loss = tt.nn.functional.cross_entropy(model(windows[:, :-1]).reshape(-1, 65), windows[:, 1:].reshape(-1))
    print(f"GPT: {loss.item():.3f} nats a character of {windows[:, 1:].size:,} held out")
    return model.state_dict()


def as_codes(state):
    """int8 codes of each matrix, with the scale of each row, and float16 of the rest: module 15's way."""
    kept = {}
    for name, array in state.items():
        if array.ndim < 2:
            kept[name] = array.astype(np.float16)
        else:
            scale = np.abs(array).max(axis=1, keepdims=True) / 127
            kept[name], kept[f"{name}.scale"] = np.round(array / scale).astype(np.int8), scale.astype(np.float32)
    return kept


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    state = {name: array.astype(np.float16) for name, array in train_lenet().items()}
    np.savez_compressed(TARGET / "lenet5.npz", **state)
    np.savez_compressed(TARGET / "gpt.npz", **as_codes(kept_gpt(sys.argv[1])))
    for file in sorted(TARGET.iterdir()):
        print(f"{file}: {file.stat().st_size:,} bytes")
