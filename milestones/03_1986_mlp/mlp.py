"""A network with one hidden layer learns to read digits by back-propagation (Rumelhart, Hinton and Williams 1986)."""

from milestones.pictures import confusion, training_curve, worst_mistakes
from milestones.run import start
from tinytorch import Tensor, accuracy, nn, no_grad, optim
from tinytorch.notebook import keep_trained
from tinytorch.training import Trainer, confusion_matrix
from tinytorch.transforms import ToFloat
from tinytorch.utils.data import DataLoader


def in_a_row(images):
    """(N, 1, H, W) → (N, H·W): which pixels are neighbours, the network is not told."""
    return images.reshape(len(images), -1)


run = start(__file__)
train, test = run.load(transform=ToFloat())
pixels = train.images[0].size
hidden, batch = (300, 128) if run.data == "mnist" else (128, 32)

model = nn.Sequential(in_a_row, nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 10))
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=run.epochs)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=schedule, metrics=[accuracy])
history = run.fit(trainer, DataLoader(train, batch, shuffle=True), test=DataLoader(test, 500))
run.about(
    f"A network of one hidden layer, {pixels} pixels, {hidden} hidden units and 10 outputs, learned to read digits "
    f"from {len(train):,} training images in {run.epochs} epochs, by back-propagation with the gradients of your "
    f"module 05. After every epoch it read {len(test):,} test images, from which it does not learn. Nothing was chosen "
    "by them: the result is that of the last epoch."
)
if run.data == "mnist":
    run.about("LeCun and his colleagues report 4.7 % mistakes, 95.3 % right, for 300 hidden units on MNIST in 1998.")

images, labels = ToFloat()(test.images), test.labels
with no_grad():
    logits = model(Tensor(images)).numpy()
run.result("test accuracy", accuracy(logits, labels))

names, expected = "0123456789", run.asserts[0]["at_least"]
run.figure("Training", *training_curve(history, [(run.epochs, expected)]))
run.figure("Which digit is taken for which", *confusion(confusion_matrix(logits, labels), names))
run.figure("The worst mistakes", *worst_mistakes(images, labels, logits, names))
keep_trained(f"{run.data}_mlp", model)
run.finish()
