"""From the files of CIFAR-10 to photographs told apart: the network, the recipe and the loader of milestone 04."""

from pathlib import Path

import pytest

import tinytorch
from tinytorch import accuracy, nn, optim
from tinytorch.datasets import ImageDataset, load_cifar10
from tinytorch.training import Callback, Trainer
from tinytorch.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToFloat
from tinytorch.utils.data import DataLoader

SLICE = Path(__file__).resolve().parents[1] / "data" / "cifar10"


class EveryStep(Callback):
    def __init__(self, schedule):
        self.schedule = schedule

    def on_batch_end(self, trainer):
        self.schedule.step()


def network():
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    for layer in (model[7], model[9]):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    assert sum(parameter.numel() for parameter in model.parameters()) == 545_098
    return model


def train(parts, *, epochs, batch, rate, seed):
    """The history of a training like that of milestone 04, for few images. parts: (train, test) as ImageDatasets."""
    tinytorch.manual_seed(seed)
    for_training, for_tests = parts
    for_tests.transform = Compose([ToFloat(), Normalize(mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))])
    for_training.transform = Compose([RandomHorizontalFlip(), RandomCrop(32, 4, "reflect"), for_tests.transform])
    model, loader = network(), DataLoader(for_training, batch, shuffle=True, prefetch=2)
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * len(loader)
    schedule = EveryStep(optim.lr_scheduler.WarmupDecayLR(optimizer, steps // 5, steps))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=[accuracy], callbacks=[schedule], progress=False)
    return trainer.fit(loader, epochs, DataLoader(for_tests, 250))


def test_it_tells_photographs_apart():
    """750 images are learned from, 250 are new; guessing gives 10 %.

    Seeds 0 to 3 ended at 50.0, 57.2, 50.4 and 55.2 %. A linear model reaches 37 %, as does the network if its
    convolutions stay as they began.
    """
    history = train(load_cifar10(SLICE), epochs=25, batch=50, rate=0.03, seed=0)
    assert history["validation_accuracy"][-1] >= 0.43
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_it_does_so_with_the_real_files_where_they_are():
    """5,000 and 1,000 images of what `tito data fetch cifar10` brought; seeds 0 to 2 ended at 53.3, 58.8 and 58.6 %."""
    try:
        whole = load_cifar10()
    except FileNotFoundError as error:
        pytest.skip(f"the test above takes the place of this one: {error}")
    counts = zip(whole, (5000, 1000), strict=True)
    parts = [ImageDataset(part.images[:count], part.labels[:count]) for part, count in counts]
    history = train(parts, epochs=5, batch=64, rate=0.03, seed=0)
    assert history["validation_accuracy"][-1] >= 0.46
