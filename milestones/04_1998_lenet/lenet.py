"""Convolutions learn to see: LeNet-5 reads digits (LeCun et al. 1998), a wider network tells photographs apart."""

import numpy as np

from milestones.callbacks import RateByStep
from milestones.kernels import kernel_times
from milestones.pictures import bars, confusion, kernels, maps, training_curve, worst_mistakes
from milestones.run import start
from tinytorch import Tensor, accuracy, cat, nn, no_grad, optim
from tinytorch.notebook import keep_trained
from tinytorch.training import Trainer, confusion_matrix
from tinytorch.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToFloat
from tinytorch.utils.data import DataLoader


def lenet5():
    """61,706 parameters, for images (N, 1, 28, 28); ReLU and maxima where 1998 had tanh and averages."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def photo_network():
    """545,098 parameters, for images (N, 3, 32, 32); all layers begin as He et al. (2015) propose."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    for layer in (model[7], model[9]):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def enlarged(images):
    """8 × 8 pixels as 28 × 28: each becomes 3 × 3, and the margin is 2 wide."""
    return np.pad(np.kron(images, np.ones((1, 1, 3, 3), np.float32)), [(0, 0), (0, 0), (2, 2), (2, 2)])


run = start(__file__)
train, test = run.load()
if run.data == "cifar10":
    names = ["airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    model, batch, peak, decay = photo_network(), 64, 0.05, 1e-3
    test.transform = Compose([ToFloat(), Normalize(mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))])
    train.transform = Compose([RandomHorizontalFlip(), RandomCrop(32, 2, "reflect"), test.transform])
else:
    names = "0123456789"
    model, batch, peak, decay = lenet5(), 64 if run.data == "mnist" else 32, 0.05, 5e-4
    test.transform = ToFloat() if run.data == "mnist" else enlarged
    train.transform = ToFloat() if run.data == "mnist" else Compose([enlarged, RandomCrop(28, 2)])

loader = DataLoader(train, batch, shuffle=True, prefetch=2)
optimizer = optim.SGD(model.parameters(), lr=peak, momentum=0.9, nesterov=True, weight_decay=decay)
steps = run.epochs * len(loader)
schedule = optim.lr_scheduler.WarmupDecayLR(optimizer, steps // 5, steps)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=[accuracy], callbacks=[RateByStep(schedule)])
history = run.fit(trainer, loader, test=DataLoader(test, 500))

epoch_of = {"test accuracy after epoch 1": 1, "test accuracy after epoch 5": 5, "test accuracy": run.epochs}
expected = [(epoch_of[claim["metric"]], claim) for claim in run.asserts if epoch_of[claim["metric"]] <= run.epochs]
for epoch, claim in expected:
    run.result(claim["metric"], history["test_accuracy"][epoch - 1])

# the report

whose = "the fused kernels of your module 18" if run.kernels == "yours" else "the convolutions of your module 09"
what = "A network of two convolutions and two dense layers" if run.data == "cifar10" else "LeNet-5"
shown = {"cifar10": "photographs, mirrored and shifted at random", "digits": "digits, enlarged and shifted at random"}
run.about(
    f"{what} learned from {len(train):,} training images ({shown.get(run.data, 'digits')}) in {run.epochs} epochs, "
    f"with {whose}. After every epoch it read {len(test):,} test images, from which it does "
    "not learn. Nothing was chosen by them: the result is that of the last epoch."
)
if run.data == "mnist":
    run.about("LeCun and his colleagues report 0.95 % mistakes, 99.05 % right, for LeNet-5 on MNIST in 1998.")
with no_grad():
    logits = cat([model(images) for images, _ in DataLoader(test, 500)]).numpy()
matrix = confusion_matrix(logits, test.labels)
run.figure("Training", *training_curve(history, [(epoch, claim["at_least"]) for epoch, claim in expected]))
if run.data == "cifar10":
    run.figure("Class by class", *bars(names, np.diag(matrix) / matrix.sum(axis=1), "test accuracy (%)"))
run.figure("What is taken for what", *confusion(matrix, names))
run.figure("The worst mistakes", *worst_mistakes(ToFloat()(test.images), test.labels, logits, names))

image = test.transform(test.images[:1])
with no_grad():
    first = model[:2](Tensor(image))
    second = model[2:5](first)
run.figure("What the first convolution looks for", *kernels(model[0].weight.numpy()))
for number, found in ((1, first), (2, second)):
    run.figure(f"What convolution {number} finds", *maps(ToFloat()(test.images[0]), found.numpy()[0], number))
rows, note = kernel_times(model, loader, steps)
run.table("The kernels", rows)
run.note(note)
keep_trained(f"{run.data}_lenet", model)
run.finish()
