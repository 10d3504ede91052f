"""What training steps cost by the kernels that ran, and by the product of module 09, which the student wrote."""

import copy
import statistics
import time

from tinytorch import nn, optim
from tinytorch.training import training_step


def kernel_times(model, loader, steps, count=3):
    """(rows of a table, a note on them): the time of a training step of `model` by both, and of `steps` of them."""
    (ran,) = {layer.kernels for layer in model.modules() if isinstance(layer, nn.Conv2d)}
    batch = next(iter(loader))
    rows = [["kernels", "milliseconds a step", f"minutes for {steps:,} steps"]]
    for name in dict.fromkeys((ran, "product")):
        seconds = step_seconds(model, batch, name, count)
        rows.append([f"{name}, which ran" if name == ran else name, round(1000 * seconds, 1), seconds * steps / 60])
    return rows, (
        f"product is your own matrix product of module 09. {count} steps of each kind were timed after the training; "
        "the minutes are computed from them, without loading the images and without the tests after each epoch."
    )


def step_seconds(model, batch, kernels, count):
    """The median time of a training step with a batch (inputs, targets), taken with a copy of the model."""
    twin, times = copy.deepcopy(model), []
    for layer in twin.modules():
        if hasattr(layer, "kernels"):
            layer.kernels = kernels
    optimizer = optim.SGD(twin.parameters(), lr=0.001, momentum=0.9)
    for _ in range(1 + count):  # the first one, which finds the memory that it needs, is not counted
        began = time.perf_counter()
        training_step(twin, nn.CrossEntropyLoss(), optimizer, *batch)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])
