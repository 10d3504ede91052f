"""The figures that several milestones share. Each function returns a matplotlib figure and what it shows, in words."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator

from milestones.report import COLORS

QUIET = "#8a8f98"
WIDTH = 8  # inches, a whole page


def training_curve(history, expected=()):
    """Loss and accuracy over the epochs. expected: pairs (epoch, the least test accuracy after it)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    epochs = range(1, len(history["loss"]) + 1)
    for axes, name, scale in ((left, "loss", 1), (right, "accuracy", 100)):
        axes.plot(epochs, scale * np.array(history[name]), "--o", label="training images, during the epoch", ms=4)
        axes.plot(epochs, scale * np.array(history[f"test_{name}"]), "-s", label="test images, after it", ms=4)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    for epoch, least in expected:
        right.plot(epoch, 100 * least, "^", ms=9, color=QUIET, label="test accuracy expected", clip_on=False)
    left.set(ylabel="mean cross-entropy (nats)", ylim=(0, None))
    right.set_ylabel("accuracy (%)")
    handles, labels = right.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3)
    reached = history["test_accuracy"]
    return figure, (
        "Loss (left) and accuracy (right) for training images, while the network learns from them, and for test images "
        "after each epoch. A triangle marks the test accuracy that is expected at least, in its epoch. "
        "The loss on training images falls from "
        f"{history['loss'][0]:.3f} to {history['loss'][-1]:.3f}; the accuracy on test images goes from "
        f"{100 * reached[0]:.1f} % after the first epoch to {100 * reached[-1]:.1f} % after the last."
    )


def confusion(matrix, names):
    """How often each class (row) was taken for each (column); the more mistakes, the deeper the blue behind them."""
    mistakes = np.array(matrix, float)
    np.fill_diagonal(mistakes, np.nan)
    most = max(np.nanmax(mistakes), 1)
    is_long = max(map(len, names)) > 2
    figure, axes = plt.subplots(figsize=(7.4, 6) if is_long else (6.2, 5))
    shades = np.zeros((*matrix.shape, 4)) + to_rgba(COLORS[0])  # its opacity counts, over light and dark pages alike
    shades[..., 3] = 0.6 * np.nan_to_num(mistakes) / most
    axes.imshow(shades)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        weight = "bold" if row == column else "normal"
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=8, weight=weight)
    axes.set_xticks(range(len(names)), names, **({"rotation": 45, "ha": "right"} if is_long else {}))
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="what the network said", ylabel="what it is")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor")
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    counts = np.nan_to_num(mistakes)
    places = np.argsort(-counts, axis=None, kind="stable")[: min(3, np.count_nonzero(counts))]
    most_often = "; ".join(
        f"{names[row]} for {names[column]}, {times(matrix[row, column])}"
        for row, column in zip(*np.unravel_index(places, matrix.shape), strict=True)
    )
    right = f"{np.trace(matrix):,} of {matrix.sum():,} images are read right"
    return figure, (
        "How many test images of each class (row) the network took for each class (column): right answers in bold "
        f"on the diagonal; the more mistakes, the deeper the blue. {right}."
        + (f" Most frequent mistakes: {most_often}." if most_often else "")
    )


def times(count):
    return "once" if count == 1 else f"{count} times"


def worst_mistakes(images, labels, logits, names, count=12):
    """The wrong answers of which the network was surest. images: (N, C, H, W) from 0 to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = powers / powers.sum(axis=1, keepdims=True)
    said, sure = chances.argmax(axis=1), chances.max(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    titles = [f"{names[labels[i]]}, said {names[said[i]]}\n{100 * sure[i]:.2f} % sure" for i in worst]
    words = "; ".join(title.replace("\n", ", ") for title in titles)
    return pictures(images[worst], titles), (
        f"{len(worst)} of {len(wrong)} mistakes on test images, the surest first: what it is, what the network said, "
        f"and how sure it was. {words}."
    )


def kernels(weights):
    """The kernels (O, C, h, w) of a first convolution, on one scale: grey is 0, white positive, black negative."""
    count, channels, height, width = weights.shape
    scaled = (weights / np.abs(weights).max() + 1) / 2
    colored = " of three channels, shown as red, green and blue," if channels == 3 else ""
    figure = pictures(scaled, [str(i) for i in range(count)], columns=min(count, 8), high=1)
    return figure, f"{count} kernels{colored} of {height} × {width} weights: grey is 0, white positive, black negative."


def maps(image, found, number):
    """What convolution `number` found in an image (C, H, W): the maps (O, h, w), each on a scale of its own."""
    titles = ["the image", *(str(i) for i in range(len(found)))]
    columns = 7 if len(found) < 7 else 9 if len(found) < 18 else 11
    figure = pictures([image, *found[:, None]], titles, columns)
    size = f"{found.shape[1]} × {found.shape[2]}"
    return figure, f"An image, and the {len(found)} maps of {size} that convolution {number} and ReLU make of it."


def pictures(images, titles, columns=6, high=None):
    """A figure of images (C, H, W) in a grid, coloured from 0 to 1 or grey: black is 0, white `high` or the largest."""
    rows, width = max(math.ceil(len(images) / columns), 1), WIDTH / columns
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    figure, grid = plt.subplots(rows, columns, figsize=(WIDTH, rows * (width + 0.16 * lines)), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, title in zip(grid.flat, images, titles, strict=False):
        axes.imshow(image.transpose(1, 2, 0) if len(image) == 3 else image[0], cmap="gray", vmin=0, vmax=high)
        axes.set_title(title, fontsize=8)
    return figure


def bars(names, shares, label):
    """A bar for each class with its share in percent, the largest at the top."""
    order = np.argsort(shares, kind="stable")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.34 * len(names) + 0.9))
    drawn = axes.barh([names[i] for i in order], [100 * shares[i] for i in order], height=0.7)
    axes.bar_label(drawn, fmt="%.1f", label_type="center", color="white", weight="bold")
    mean = 100 * np.mean(shares)
    axes.axvline(mean, color=QUIET, ls="--")
    axes.annotate(f"mean {mean:.1f}", (mean, 1), xycoords=axes.get_xaxis_transform(), ha="center", va="bottom")
    axes.set(xlabel=label, xlim=(0, 100))
    words = ", ".join(f"{names[i]} {100 * shares[i]:.1f} %" for i in reversed(order))
    return figure, f"A bar for each class, the highest first: {words}."
