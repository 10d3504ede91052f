"""Rosenblatt's perceptron: a machine that learns a line from its mistakes, with additions alone."""

import matplotlib.pyplot as plt
import numpy as np

from milestones.report import INK
from milestones.run import start
from tinytorch import Tensor, where, zeros

MARGIN = 0.05  # no point lies nearer than this to the line that separates them


def separable_points(count, line, draw):
    """inputs (count, 3): 1, x and y with x and y from -1 to 1; targets (count,): -1 or 1, the side of `line`."""
    inputs = np.ones((0, 3))
    while len(inputs) < count:
        more = np.column_stack([np.ones(count), draw.uniform(-1, 1, (count, 2))])
        inputs = np.concatenate([inputs, more[np.abs(more @ line) > MARGIN]])[:count]
    return Tensor(inputs), Tensor(np.sign(inputs @ line))


def accuracy(weights, inputs, targets):
    return ((inputs @ weights) * targets > 0).float().mean().item()


def learn(inputs, targets, epochs, on_epoch):
    """Rosenblatt's rule. Returns the weights at the beginning and after every mistake, and the mistakes by epoch."""
    weights = zeros(3)
    path, mistakes = [weights], []
    for epoch in range(epochs):
        before = len(path)
        for x, target in zip(inputs, targets, strict=True):
            if (x @ weights * target).item() <= 0:  # on the wrong side, or on the line
                weights = weights + target * x
                path.append(weights)
        mistakes.append(len(path) - before)
        on_epoch(epoch + 1, mistakes[-1], weights)
        if mistakes[-1] == 0:
            break
    return path, mistakes


def descend(inputs, targets, epochs, rate=1.0):
    """What module 05 adds: gradient descent on how wrong each answer is. Returns the weights after every step."""
    from tinytorch.nn.functional import binary_cross_entropy_with_logits

    weights, path = zeros(3, requires_grad=True), []
    for _ in range(epochs):
        binary_cross_entropy_with_logits(inputs @ weights, where(targets > 0, 1.0, 0.0)).backward()
        weights = Tensor(weights.data - rate * weights.grad, requires_grad=True)
        path.append(weights.detach())
    return path


def draw_points(axes, inputs, targets):
    for sign, marker, fill in ((1, "o", "none"), (-1, "^", "full")):
        x, y = inputs.numpy()[targets.numpy() == sign, 1:].T
        axes.plot(x, y, marker, markersize=3, fillstyle=fill, label=f"target {sign:+}")
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=(-1, 0, 1), yticks=(-1, 0, 1), aspect="equal", xlabel="x", ylabel="y")


def draw_line(axes, weights, **style):
    """Where 1 * b + x * w1 + y * w2 = 0; nothing as long as there is no such line."""
    b, normal = weights.numpy()[0], weights.numpy()[1:]
    if normal.any():
        nearest, along = -b * normal / (normal @ normal), 3 * np.array([-normal[1], normal[0]]) / np.hypot(*normal)
        axes.plot(*np.transpose([nearest - along, nearest + along]), **style)


def draw_path(path, inputs, targets):
    """Six moments of the line, each with the line of the moment before."""
    figure, all_axes = plt.subplots(2, 3, figsize=(8, 5.6), sharex=True, sharey=True)
    moments = np.unique(np.geomspace(1, len(path) - 1, 6).round().astype(int))
    for axes, moment, last in zip(all_axes.flat, moments, [0, *moments], strict=False):
        draw_points(axes, inputs, targets)
        draw_line(axes, path[last], color=INK, linestyle=":", linewidth=1, label="before")
        draw_line(axes, path[moment], color=INK, linestyle="-", linewidth=2, label="the line")
        right = accuracy(path[moment], inputs, targets)
        axes.set_title(f"after mistake {moment}: {right:.0%} right")
        axes.label_outer()
    for axes in all_axes.flat[len(moments) :]:
        axes.set_axis_off()
    figure.legend(*all_axes.flat[len(moments) - 1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


run = start(__file__)
draw = np.random.default_rng(run.seed)
angle, offset = draw.uniform(0, 2 * np.pi), draw.uniform(-0.3, 0.3)
line = np.array([offset, np.cos(angle), np.sin(angle)])
inputs, targets = separable_points(200, line, draw)
test_inputs, test_targets = separable_points(2000, line, draw)

path, mistakes = learn(
    inputs,
    targets,
    run.epochs,
    lambda epoch, count, weights: run.progress(
        epoch, run.epochs, mistakes=count, accuracy=accuracy(weights, inputs, targets)
    ),
)
run.result("test accuracy", accuracy(path[-1], test_inputs, test_targets))
run.figure(
    "The boundary moves",
    draw_path(path, inputs, targets),
    f"Two kinds of points and a line at up to six moments, from the first mistake to the last, number {len(path) - 1}: "
    "every mistake turns or shifts it, and in the end it separates them.",
)

# Novikoff (1962): if some line separates the points with a margin, the rule makes at most (radius / margin)² mistakes
radius = np.linalg.norm(inputs.numpy(), axis=1).max()
margin = np.abs(inputs.numpy() @ line).min() / np.linalg.norm(line)
run.result("mistakes", len(path) - 1)
run.result("mistakes at most, by Novikoff's bound", (radius / margin) ** 2)
run.result("epochs until there was no mistake", len(mistakes))
run.table("Mistakes by epoch", [["epoch", "mistakes"], *enumerate(mistakes, 1)])

if run.built("05_autograd"):
    smooth = descend(inputs, targets, run.epochs)
    run.result("test accuracy by gradient descent", accuracy(smooth[-1], test_inputs, test_targets))
    figure, axes = plt.subplots(figsize=(4.8, 4.8))
    draw_points(axes, inputs, targets)
    draw_line(axes, path[-1], color=INK, linestyle="-", linewidth=2, label="Rosenblatt's rule")
    draw_line(axes, smooth[-1], color=INK, linestyle="--", label="gradient descent")
    figure.legend(loc="outside lower center", ncols=2)
    run.figure(
        "Beside it, gradient descent",
        figure,
        "The same points with two lines: Rosenblatt's stops at the first line without a mistake, "
        "gradient descent goes on to move it away from the points.",
    )
run.finish()
