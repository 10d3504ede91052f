"""What training steps cost by the kernels that ran, and by the product of module 09, which the student wrote.

TINYTORCH_KERNELS in the environment chooses what runs: "yours" are the fused kernels of module 18.
"""

import copy
import statistics
import time

# tinytorch is imported where it is used: a program imports this file before the one that words what is not built yet


def kernel_times(model, loader, steps, count=5):
    """(rows of a table, a note on them): the time of a training step of `model` by both, and of `steps` of them."""
    from tinytorch import nn
    from tinytorch.training import training_step

    (ran,) = {layer.kernels for layer in model.modules() if hasattr(layer, "kernels") and hasattr(layer, "weight")}
    batch = next(iter(loader))
    times = {name: [] for name in (ran, "product")}
    twins = {name: twin_with(model, name) for name in times}
    for _ in range(1 + count):
        for name, (twin, optimizer) in twins.items():
            began = time.perf_counter()
            training_step(twin, nn.CrossEntropyLoss(), optimizer, *batch)
            times[name].append(time.perf_counter() - began)
    rows = [["kernels", "milliseconds a step", f"minutes for {steps:,} steps"]]
    for name, taken in times.items():
        seconds = statistics.median(taken[1:])  # the first one finds the memory that it needs
        label = f"{name}, which ran" if name == ran else name
        rows.append([label, round(1000 * seconds, 1), round(seconds * steps / 60, 2)])
    return rows, (
        f"product is your own matrix product of module 09. {count} steps of each kind were timed in turns after the "
        "training; the minutes are computed from them, without loading the images and without the tests."
    )


def twin_with(model, kernels):
    """A copy of the model that computes by such kernels, and an optimizer for it."""
    from tinytorch import optim

    twin = copy.deepcopy(model)
    for layer in twin.modules():
        if hasattr(layer, "kernels"):
            layer.kernels = kernels
    return twin, optim.SGD(twin.parameters(), lr=0.001, momentum=0.9)
