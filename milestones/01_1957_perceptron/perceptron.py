"""Rosenblatt's perceptron: a machine that learns a line from its mistakes, with additions alone."""

import copy

import matplotlib.pyplot as plt
import numpy as np

from milestones.report import COLORS, INK
from milestones.run import start
from tinytorch import Tensor, nn, where

MARGIN = 0.05  # no point lies nearer than this to the line that separates them


class Perceptron(nn.Module):
    """A layer with one output, whose sign says on which side of a line a point (x, y) lies."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, points):
        """points (N, 2) or (2,): how far each is on the side of +1, (N, 1) or (1,)."""
        return self.layer(points)

    def learn_from(self, point, target):
        """Rosenblatt's rule. Returns whether `point` was on the wrong side, or on the line, so that it was needed."""
        if (self(point) * target).item() > 0:
            return False
        self.layer.weight.data += (target * point).data
        self.layer.bias.data += target.data
        return True


def separable_points(count, line, draw):
    """points (count, 2) with x and y from -1 to 1; targets (count, 1): -1 or 1, the side of `line`."""
    inputs = np.ones((0, 3))
    while len(inputs) < count:
        more = np.column_stack([np.ones(count), draw.uniform(-1, 1, (count, 2))])
        inputs = np.concatenate([inputs, more[np.abs(more @ line) > MARGIN]])[:count]
    return Tensor(inputs[:, 1:]), Tensor(np.sign(inputs @ line)[:, None])


def accuracy(model, points, targets):
    return (model(points) * targets > 0).float().mean().item()


def learn(points, targets, epochs, on_epoch):
    """Returns the perceptron as it was at the beginning and after every mistake, and the mistakes by epoch."""
    model = Perceptron()
    path, mistakes = [copy.deepcopy(model)], []
    for epoch in range(epochs):
        before = len(path)
        for point, target in zip(points, targets, strict=True):
            if model.learn_from(point, target):
                path.append(copy.deepcopy(model))
        mistakes.append(len(path) - before)
        on_epoch(epoch + 1, mistakes[-1], model)
        if mistakes[-1] == 0:
            break
    return path, mistakes


def descend(points, targets, steps, rate=1.0):
    """What module 05 adds: gradient descent on how wrong each answer is."""
    model, loss_of, wanted = Perceptron(), nn.BCEWithLogitsLoss(), where(targets > 0, 1.0, 0.0)
    for _ in range(steps):
        loss_of(model(points), wanted).backward()
        for parameter in model.parameters():
            parameter.data -= rate * parameter.grad
        model.zero_grad()
    return model


def draw_points(axes, points, targets, **style):
    for sign, marker, fill, color in ((1, "o", "none", COLORS[0]), (-1, "^", "full", COLORS[1])):
        x, y = points.numpy()[targets.numpy()[:, 0] == sign].T
        axes.plot(x, y, marker, markersize=3, fillstyle=fill, color=color, linestyle="none", **style)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=(-1, 0, 1), yticks=(-1, 0, 1), aspect="equal", xlabel="x", ylabel="y")


def weights_of(model):
    """(b, w1, w2)"""
    return np.concatenate([model.layer.bias.data, model.layer.weight.data[0]])


def draw_line(axes, weights, **style):
    """Where b + w1 * x + w2 * y = 0; nothing as long as there is no such line."""
    b, normal = weights[0], weights[1:]
    if normal.any():
        nearest, along = -b * normal / (normal @ normal), 3 * np.array([-normal[1], normal[0]]) / np.hypot(*normal)
        axes.plot(*np.transpose([nearest - along, nearest + along]), **style)


def draw_path(path, points, targets):
    """Six moments of the line, each with the line of the panel before and the one that separates the points."""
    figure, all_axes = plt.subplots(2, 3, figsize=(8, 5.6), sharex=True, sharey=True)
    moments = np.unique(np.geomspace(1, len(path) - 1, 6).round().astype(int))
    for axes, moment, last in zip(all_axes.flat, moments, [0, *moments], strict=False):
        draw_points(axes, points, targets)
        draw_line(axes, line, color=COLORS[2], linestyle="--", linewidth=2, label="true line")
        draw_line(axes, weights_of(path[last]), color=INK, linestyle=":", linewidth=1, label="in the panel before")
        draw_line(axes, weights_of(path[moment]), color=INK, linestyle="-", linewidth=2, label="perceptron's line")
        axes.set_title(f"after mistake {moment}: {accuracy(path[moment], points, targets):.1%} right")
        axes.label_outer()
    for axes in all_axes.flat[len(moments) :]:
        axes.set_axis_off()
    figure.legend(*all_axes.flat[len(moments) - 1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_last_lines(lines, points, targets):
    """The lines, {name: weights}, among the points that they were found by and those that they are tested on."""
    figure, all_axes = plt.subplots(1, 2, figsize=(8, 4.6), sharey=True)
    for axes, title, sample in (
        (all_axes[0], f"{len(points)} training points", (points, targets)),
        (all_axes[1], f"{len(test_points):,} test points", (test_points, test_targets)),
    ):
        draw_points(axes, *sample, alpha=1 if sample[0] is points else 0.35)
        draw_line(axes, line, color=COLORS[2], linestyle="--", linewidth=2, label="true line")
        for (name, weights), style in zip(lines.items(), ("-", ":"), strict=False):
            draw_line(axes, weights, color=INK, linestyle=style, linewidth=2, label=name)
        axes.set_title(title)
        axes.label_outer()
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


run = start(__file__)
draw = np.random.default_rng(run.seed)
angle, offset = draw.uniform(0, 2 * np.pi), draw.uniform(-0.3, 0.3)
line = np.array([offset, np.cos(angle), np.sin(angle)])
points, targets = separable_points(200, line, draw)
test_points, test_targets = separable_points(2000, line, draw)

path, mistakes = learn(
    points,
    targets,
    run.epochs,
    lambda epoch, count, model: run.progress(
        epoch, run.epochs, mistakes=count, training_accuracy=accuracy(model, points, targets)
    ),
)
count = len(path) - 1
run.result("test accuracy", accuracy(path[-1], test_points, test_targets))

# Novikoff (1962): if some line separates the points with a margin, the rule makes at most (radius / margin)² mistakes
inputs = np.column_stack([np.ones(len(points)), points.numpy()])
radius = np.linalg.norm(inputs, axis=1).max()
margin = np.abs(inputs @ line).min() / np.linalg.norm(line)
bound = (radius / margin) ** 2
run.result("mistakes", count)
run.result("Novikoff's upper bound of the mistakes", bound)
run.result("training accuracy", accuracy(path[-1], points, targets))
end = (
    f"It made no mistake in epoch {len(mistakes)}, and ended there"
    if mistakes[-1] == 0
    else f"It still made mistakes in epoch {len(mistakes)}, the last one allowed"
)
run.ended_after(len(mistakes))
run.about(
    f"A Linear layer with two inputs and one output, your module 03, learned on which side of a line {len(points)} "
    f"training points lie, by Rosenblatt's rule: after a mistake the point is added to the weights or subtracted. "
    f"{end}; it made {count} mistakes in all, and Novikoff's proof allows at most {bound:,.0f}. "
    f"Then it was tested on {len(test_points):,} other points."
)
run.figure(
    "The line moves",
    draw_path(path, points, targets),
    "The training points, circles for the target +1 and triangles for −1, at up to six moments from the first mistake "
    f"to the last, number {count}. Every mistake turns or shifts the solid line; the dotted one is that of the panel "
    "before. The dashed line is the one by which the points were given their targets: the perceptron never sees it. "
    "The percentages count training points.",
)
run.table("Mistakes by epoch", [["epoch", "mistakes"], *enumerate(mistakes, 1)])

lines = {"Rosenblatt's rule": weights_of(path[-1])}
words = "A point between the solid line and the dashed one is put on the wrong side."
if run.built("05_autograd"):
    smooth = descend(points, targets, steps=100)
    lines["gradient descent"] = weights_of(smooth)
    run.result("test accuracy by gradient descent", accuracy(smooth, test_points, test_targets))
    words += (
        " The dotted line is what 100 steps of gradient descent find with the gradients of your module 05: "
        "Rosenblatt's rule stops at the first line without a mistake, gradient descent goes on to move it away from "
        "the points."
    )
run.figure(
    "Training points and test points",
    draw_last_lines(lines, points, targets),
    f"Left the {len(points)} points that it learned from, right the {len(test_points):,} that it had not seen. {words}",
)
run.finish()
