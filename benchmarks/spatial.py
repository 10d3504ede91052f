"""Speed and memory of convolution and pooling, TinyTorch beside PyTorch: python benchmarks/spatial.py

Both run in one process on the same number of threads, in turns: some untimed and timed runs of the one, then of the
other. Ratios below 1 mean that TinyTorch is faster. Everything is measured twice, with glibc's malloc told to keep
memory instead of giving it back to the system ("kept"), and without any setting ("default"): on either side, handing
out fresh pages can cost more than the arithmetic.

With one thread (TINYTORCH_THREADS=1), --cpu counts processor time, which other programs on the machine hardly disturb.
"""

import argparse
import contextlib
import functools
import json
import os
import statistics
import sys
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

from beside_pytorch import (
    SETTINGS,
    child,
    compared,
    head,
    in_turns,
    line_of_memory,
    lines_of_machine,
    lines_of_rows,
    machine,
    resident,
)

# --- The two frameworks, under the same names ---------------------------------------------------------------------


def tinytorch_names():
    import tinytorch
    from tinytorch import nn, optim
    from tinytorch.core import spatial
    from tinytorch.residual import ResNet, fuse

    return SimpleNamespace(
        name="TinyTorch",
        nn=nn,
        resnet20=lambda: fuse(ResNet(3)),
        Conv2d=spatial.Conv2d,
        MaxPool2d=spatial.MaxPool2d,
        Flatten=spatial.Flatten,
        SGD=optim.SGD,
        tensor=lambda array, wants=False: tinytorch.Tensor(array, requires_grad=wants),
        gradient=lambda array: array,
        array=lambda tensor: tensor.numpy(),
    )


def pytorch_names(threads):
    import torch

    torch.set_num_threads(threads)
    return SimpleNamespace(
        name="PyTorch",
        nn=torch.nn,
        resnet20=pytorch_resnet20,
        Conv2d=torch.nn.Conv2d,
        MaxPool2d=torch.nn.MaxPool2d,
        Flatten=torch.nn.Flatten,
        SGD=torch.optim.SGD,
        tensor=lambda array, wants=False: torch.tensor(array, requires_grad=wants),
        gradient=torch.tensor,
        array=lambda tensor: tensor.detach().numpy(),
    )


def pytorch_resnet20():
    """What ResNet(3) of module 21 is, made of PyTorch's layers."""
    from torch import nn

    def conv(many_in, many_out, size, stride=1):
        return nn.Conv2d(many_in, many_out, size, stride, padding=size // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, many_in, many_out, stride):
            super().__init__()
            self.conv1, self.bn1 = conv(many_in, many_out, 3, stride), nn.BatchNorm2d(many_out)
            self.conv2, self.bn2 = conv(many_out, many_out, 3), nn.BatchNorm2d(many_out)
            parts = [] if stride == 1 else [conv(many_in, many_out, 1, stride), nn.BatchNorm2d(many_out)]
            self.shortcut = nn.Sequential(*parts)

        def forward(self, x):
            branch = self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(x)))))
            return nn.functional.relu(branch + self.shortcut(x))

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    sizes = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Block(a, b, b // a) for a, b in zip(sizes, sizes[1:], strict=False)]
    return nn.Sequential(conv(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), *blocks, Mean(), nn.Linear(64, 10))


# --- What is measured: functions (framework) -> a function to time ---------------------------------------------------


def numbers(*shape):
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def forward_and_backward(f, make_layers, *shapes):
    """Each layer forward and backward on its own NCHW-contiguous input, all gradients wanted."""
    layers = make_layers(f)
    inputs = [f.tensor(numbers(*shape), True) for shape in shapes]
    grads = [f.gradient(numbers(*layer(x).shape)) for layer, x in zip(layers, inputs, strict=True)]

    def run():
        for layer, x, grad in zip(layers, inputs, grads, strict=True):
            x.grad = None
            for parameter in getattr(layer, "parameters", list)():
                parameter.grad = None
            layer(x).backward(grad)

    return run


def single(make_layer, *shape):
    return lambda f: forward_and_backward(f, lambda f: [make_layer(f)], shape)


def convolution(c, o, *size):
    """A 3×3 convolution with padding 1 from c to o channels, on images of shape (n, c, h, w) in `size`."""
    return single(lambda f: f.Conv2d(c, o, 3, padding=1), *size)


def lenet_convolutions(f):
    return forward_and_backward(f, lambda f: [f.Conv2d(1, 6, 5), f.Conv2d(6, 16, 5)], (64, 1, 28, 28), (64, 6, 14, 14))


def one_step(f, model, lr, prepare=lambda images: images):
    """One step of SGD on 128 images of ten classes; the images want no gradient. prepare: what is done to them once."""
    import numpy as np

    optimizer, loss = f.SGD(model.parameters(), lr=lr, momentum=0.9), f.nn.CrossEntropyLoss()
    images, labels = prepare(f.tensor(numbers(128, 3, 32, 32))), f.tensor(np.arange(128) % 10)

    def run():
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    return run


def cnn(f):
    """The two-layer CNN."""
    nn = f.nn
    return nn.Sequential(
        f.Conv2d(3, 32, 3, padding=1), nn.ReLU(), f.MaxPool2d(2),
        f.Conv2d(32, 64, 3, padding=1), nn.ReLU(), f.MaxPool2d(2),
        f.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def training_step(f):
    """The CNN at batch 128."""
    return one_step(f, cnn(f), lr=0.01)


def fused_step(f):
    """The same, in TinyTorch on the kernels that a student writes in module 18."""
    if f.name == "PyTorch":
        return training_step(f)
    from tinytorch.kernels import use_kernels

    return one_step(f, use_kernels(cnn(f), "yours"), lr=0.01)


def channels_last_step(f):
    """The same, against PyTorch with images and weights in channels-last memory."""
    if f.name != "PyTorch":
        return fused_step(f)
    import torch

    how = {"memory_format": torch.channels_last}
    return one_step(f, cnn(f).to(**how), 0.01, lambda images: images.contiguous(**how))


def resnet_step(f):
    """ResNet-20 of 272,474 parameters at batch 128: module 21's, fused, beside PyTorch's layers."""
    return one_step(f, f.resnet20(), lr=0.1)


def recorded_add(f):
    """1000 times a + b of (4, 4) Tensors, forward and backward."""
    a, b, grad = f.tensor(numbers(4, 4), True), f.tensor(numbers(4, 4), True), f.gradient(numbers(4, 4))

    def run():
        for _ in range(1000):
            (a + b).backward(grad)

    return run


def chain_of_adds(f):
    """2000 additions of (4, 4) Tensors, each to the sum before, and one backward through all of them."""
    a, b, grad = f.tensor(numbers(4, 4), True), f.tensor(numbers(4, 4), True), f.gradient(numbers(4, 4))

    def run():
        total = a
        for _ in range(2000):
            total = total + b
        total.backward(grad)

    return run


ROWS = {  # name: (what to run, rounds, at most, aim)
    "conv 3→32 3×3 pad 1, (128, 3, 32, 32)": (convolution(3, 32, 128, 3, 32, 32), 9, 1.6, 1.2),
    "conv 32→64 3×3 pad 1, (128, 32, 16, 16)": (convolution(32, 64, 128, 32, 16, 16), 9, 1.6, 1.3),
    "conv 64→64 3×3 pad 1, (32, 64, 56, 56)": (convolution(64, 64, 32, 64, 56, 56), 5, 1.6, 1.3),
    "LeNet-5's two convolutions, batch 64": (lenet_convolutions, 15, 3.0, 1.5),
    "max pool 2×2, (128, 32, 32, 32)": (single(lambda f: f.MaxPool2d(2), 128, 32, 32, 32), 9, 1.0, 0.5),
    "batch norm, (128, 16, 32, 32)": (single(lambda f: f.nn.BatchNorm2d(16), 128, 16, 32, 32), 9, 2.5, 1.5),
    "training step, CNN of 545,098, batch 128": (training_step, 9, 1.3, 1.0),
    "student's kernels, same step": (fused_step, 9, 0.92, 0.75),
    "student's kernels, PyTorch channels-last": (channels_last_step, 9, 1.25, 1.0),
    "training step, ResNet-20, batch 128": (resnet_step, 3, 1.8, 1.3),
    "1,000 recorded adds of (4, 4)": (recorded_add, 15, 1.3, 1.0),
    "a chain of 2,000 adds (4, 4), one backward": (chain_of_adds, 15, 1.4, 1.0),
}
MEMORY_ROW, MEMORY_LIMITS = "peak extra memory, conv 64→64", (1.0, 0.5)
LOOPS_ROW, TIMES_FASTER = "fast convolution against loops, (8, 3, 32, 32)→16", 500


# --- Measuring ---------------------------------------------------------------------------------------------------


def measure_rows(chosen, clock):
    from tinytorch.threads import one_blas_thread, thread_count

    with contextlib.ExitStack() as stack:
        if thread_count() == 1:
            stack.enter_context(one_blas_thread())  # Linear's products too
        return timed_rows(chosen, (tinytorch_names(), pytorch_names(thread_count())), getattr(time, clock))


def timed_rows(chosen, frameworks, clock):
    results = {}
    for name, (make, rounds, at_most, aim) in ROWS.items():
        if chosen and chosen not in name:
            continue
        results[name] = compared(*(make(f) for f in frameworks), rounds, at_most, aim, clock)
    return results


def measure_loops():
    """How many times faster the layer's convolution is than the loops, forward, and whether they agree."""
    import numpy as np

    from tinytorch.core import spatial

    layer = spatial.Conv2d(3, 16, 3, padding=1)
    x = tinytorch_names().tensor(numbers(8, 3, 32, 32))
    arrays = x.numpy(), layer.weight.numpy(), layer.bias.numpy()
    start = time.perf_counter()
    expected = spatial.conv2d_naive(*arrays, stride=(1, 1), padding=(1, 1))
    loops = 1e3 * (time.perf_counter() - start)
    expected = np.asarray(getattr(expected, "data", expected))
    fast, _ = in_turns(lambda: layer(x), lambda: None, 15)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return {"loops_ms": loops, "fast_ms": statistics.median(fast), "times": loops / statistics.median(fast)}


def measure_memory(framework):
    """The bytes that forward and backward of conv 64→64 need beyond input, layer and incoming gradient, in a process of
    its own.

    Measured from outside, as the growth of the process's largest resident set, and for TinyTorch also from inside:
    tracemalloc sees what NumPy asks for.
    """
    f = tinytorch_names() if framework == "TinyTorch" else pytorch_names(os.cpu_count() or 1)
    make = lambda size: convolution(64, 64, *size)(f)
    make((2, 64, 8, 8))()  # libraries load, threads start
    run = make((32, 64, 56, 56))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # start VmHWM again from here
    before = resident("VmRSS")
    run()
    grown = resident("VmHWM") - before
    traced = None
    if framework == "TinyTorch":
        run = make((32, 64, 56, 56))
        tracemalloc.start()
        run()
        traced = tracemalloc.get_traced_memory()[1]
    return {"resident_bytes": grown, "traced_bytes": traced}


# --- Showing -----------------------------------------------------------------------------------------------------


def table(data):
    """The lines of the printed table."""
    yield from head("forward + backward: ", data["clock"])
    yield from lines_of_rows(data["rows"])
    if "memory" in data:
        ours, theirs = (data["memory"][name] for name in ("TinyTorch", "PyTorch"))
        yield line_of_memory(MEMORY_ROW, ours["resident_bytes"], theirs["resident_bytes"], *MEMORY_LIMITS)
        traced = ours["traced_bytes"] / 1e6
        yield f"    (growth of the resident set, each in a fresh process; NumPy asked for {traced:.1f} MB)"
    if "loops" in data:
        loops = data["loops"]
        yield (
            f"{LOOPS_ROW}: {loops['times']:,.0f} times faster ({loops['loops_ms']:,.0f} ms, {loops['fast_ms']:.2f} ms; "
            f"at least {TIMES_FASTER})"
        )
    yield from lines_of_machine(data["machine"])


def plot(data, path):
    """Ratios as bars, with the limits as marks."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    height = 0.8 / len(data["rows"])
    for k, (setting, hatch) in enumerate(zip(data["rows"], ("", "///"), strict=False)):
        rows = data["rows"][setting]
        places = [i + k * height for i in range(len(rows))]
        ratios = [row["ratio"] for row in rows.values()]
        style = {"color": ("0.45", "0.85")[k], "hatch": hatch, "edgecolor": "black", "label": f"malloc {setting}"}
        bars = axes.barh(places, ratios, height, **style)
        axes.bar_label(bars, fmt="%.2f", padding=3)
    middles = [i + 0.4 - height / 2 for i in range(len(rows))]
    axes.scatter([row["at_most"] for row in rows.values()], middles, marker="|", s=500, color="black", label="at most")
    axes.scatter([row["aim"] for row in rows.values()], middles, marker="D", s=25, color="black", label="aim")
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_yticks(middles, list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("time of TinyTorch / time of PyTorch, forward + backward (median; less is better)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--plot", metavar="PATH", type=Path, help="save a plot of the ratios")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the rows whose name contains TEXT")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of time; needs TINYTORCH_THREADS=1")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, *rest = arguments.child
        measure = {"rows": measure_rows, "memory": measure_memory, "loops": measure_loops, "machine": machine}[kind]
        print(json.dumps(measure(*rest)))
        return 0
    if arguments.cpu and os.environ.get("TINYTORCH_THREADS") != "1":
        parser.error("--cpu needs TINYTORCH_THREADS=1: a thread that waits for another one uses processor time too")
    clock = "thread_time" if arguments.cpu else "perf_counter"
    run = functools.partial(child, program=__file__)
    data = {"schema": 1, "clock": clock, "machine": run("default", "machine")}
    data["rows"] = {setting: run(setting, "rows", arguments.only, clock) for setting in SETTINGS}
    if arguments.only in MEMORY_ROW and Path("/proc/self/clear_refs").exists():
        ours, theirs = (run("default", "memory", name) for name in ("TinyTorch", "PyTorch"))
        ratio = ours["resident_bytes"] / theirs["resident_bytes"]
        data["memory"] = {"TinyTorch": ours, "PyTorch": theirs, "ratio": ratio, "at_most": MEMORY_LIMITS[0]}
    if not arguments.only:
        data["loops"] = run("default", "loops")
    if arguments.plot:
        plot(data, arguments.plot)
    print(json.dumps(data, ensure_ascii=False) if arguments.json else "\n".join(table(data)))
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
