"""Exclusive or: one layer cannot separate the four cases, two layers can."""

import matplotlib.pyplot as plt
import numpy as np

from milestones.report import INK
from milestones.run import start
from tinytorch import Tensor, nn, no_grad, sigmoid

CASES = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = Tensor([[0.0], [1.0], [1.0], [0.0]])


def accuracy(outputs):
    return ((outputs > 0) == (TARGETS > 0.5)).float().mean().item()


def search_one_layer(count, draw):
    """Tries `count` lines. Returns how many cases each gets right, and the best line as a layer.

    Of several that get as many right, the best one is that which stays farthest from all cases.
    """
    weights, offsets = Tensor(draw.standard_normal((2, count))), Tensor(draw.standard_normal((1, count)))
    outputs = CASES @ weights + offsets
    right = ((outputs > 0) == (TARGETS > 0.5)).sum(axis=0).numpy()
    distances = np.abs(outputs.numpy()).min(axis=0) / np.linalg.norm(weights.numpy(), axis=0)
    best, layer = np.where(right == right.max(), distances, -1).argmax(), nn.Linear(2, 1)
    layer.weight.data[:], layer.bias.data[:] = 3 * weights.data[:, best], 3 * offsets.data[:, best]
    return right, layer


def train(model, epochs, name, rate=0.5):
    """Gradient descent by hand on all four cases at once. Returns the loss by epoch."""
    loss_of, losses = nn.BCEWithLogitsLoss(), []
    for epoch in range(1, epochs + 1):
        outputs = model(CASES)
        loss = loss_of(outputs, TARGETS)
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= rate * parameter.grad
        model.zero_grad()
        losses.append(loss.item())
        run.progress(epoch, epochs, model, **{f"loss of {name}": losses[-1], "accuracy": accuracy(outputs)})
    return losses


def draw_surface(axes, model, title):
    """What the model says about every point, from 0 to 1, and where it changes its mind."""
    grid = np.linspace(-0.5, 1.5, 101)
    x, y = np.meshgrid(grid, grid)
    with no_grad():
        says = sigmoid(model(Tensor(np.column_stack([x.ravel(), y.ravel()])))).numpy().reshape(x.shape)
        right = ((model(CASES) > 0) == (TARGETS > 0.5)).numpy().ravel()
    image = axes.imshow(says, extent=(-0.5, 1.5, -0.5, 1.5), origin="lower", vmin=0, vmax=1, cmap="cividis")
    if np.ptp(says) > 0.01:  # otherwise rounding decides where it would be
        axes.contour(x, y, says, levels=[0.5], colors="white", linewidths=2)
    for (a, b), target, is_right in zip(CASES.tolist(), TARGETS.numpy().ravel(), right, strict=True):
        axes.annotate(
            f"{target:.0f}",
            (a, b),
            ha="center",
            va="center",
            color="black",
            bbox={"boxstyle": "circle" if is_right else "square", "facecolor": "white", "edgecolor": "black"},
        )
    axes.set(title=title, xticks=(0, 1), yticks=(0, 1), xlabel="first input", aspect="equal")
    return image


run = start(__file__)
lines, best = search_one_layer(200_000, np.random.default_rng(run.seed))
one = nn.Linear(2, 1)
two = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
losses = {"one layer": train(one, run.epochs, "one layer"), "two layers": train(two, run.epochs, "two layers")}
with no_grad():
    run.result("accuracy of two layers", accuracy(two(CASES)))
    run.result("accuracy of the best line tried", lines.max() / 4)
    run.result("accuracy of one layer, trained", accuracy(one(CASES)))
    away = (sigmoid(one(CASES)) - 0.5).abs().max().item()  # from one half, the largest of the four

run.about(
    "Exclusive or has four cases: the answer is 1 where exactly one of two inputs is 1. Two layers with four hidden "
    f"units in between, and one layer alone, learned them in {run.epochs:,} steps of gradient descent with the "
    f"gradients of your module 05. Beside that, {len(lines):,} random lines were tried, as one layer is a line."
)
run.about(
    "No line gets more than three cases right: for all four it would need an offset b and weights v and w with "
    "b < 0, b + v > 0, b + w > 0 and b + v + w < 0. The two in the middle add up to 2b + v + w > 0, "
    "the other two to 2b + v + w < 0."
)
shares = [["cases right of four", f"lines of {len(lines):,}"]]
right = round(4 * run.results["accuracy of one layer, trained"])
ending = (
    "because one half to everything makes its loss least. On which side of one half such an answer falls is a matter "
    f"of rounding, so its {right} of 4 right say nothing about lines; the best line gets {lines.max()} right."
    if away < 1e-5
    else f"with {right} of 4 right. With more epochs it ends at one half to everything, which makes its loss least."
)
run.note(f"The one layer that was trained gives answers that differ from one half by {away:.1g} at most, {ending}")
run.table("All lines that were tried", shares + [[n, int((lines == n).sum())] for n in range(5)])

figure, all_axes = plt.subplots(1, 3, figsize=(8, 3.2), sharey=True)
models = {"the best line tried": best, "one layer, trained": one, "two layers, trained": two}
for axes, (name, model) in zip(all_axes, models.items(), strict=True):
    with no_grad():
        image = draw_surface(axes, model, f"{name}:\n{4 * accuracy(model(CASES)):.0f} of 4 right")
all_axes[0].set_ylabel("second input")
figure.colorbar(image, ax=all_axes, label="what the model says, from 0 to 1", shrink=0.8)
run.figure(
    "The decision surfaces",
    figure,
    "What each says about every point, from 0, dark, to 1, bright; white lines are where it changes its mind. The four "
    "cases bear their targets, in a circle where the answer is right and in a square where it is wrong. Left, of the "
    "best lines that were tried, the one farthest from all cases. Middle, one layer after training: about one half "
    "everywhere. Right, two layers: the boundary bends, so that both ones can be on one side of it and both zeros on "
    "the other.",
)

figure, axes = plt.subplots(figsize=(6.4, 3.6))
for name, values in losses.items():
    axes.plot(range(1, len(values) + 1), values, label=name)
axes.axhline(np.log(2), color=INK, linewidth=1, linestyle=":", label="always one half: log 2")
axes.set(xlabel="epoch", ylabel="mean cross-entropy (nats)", xlim=(0, run.epochs), ylim=(0, None))
axes.grid(True)
figure.legend(loc="outside lower center", ncols=3)
run.figure(
    "The loss",
    figure,
    f"The mean loss of the four cases in every epoch. Two layers bring it to {losses['two layers'][-1]:.3f}; "
    f"one layer ends at {losses['one layer'][-1]:.3f}, "
    "the loss of always saying one half.",
)
run.finish()
