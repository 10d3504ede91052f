"""What benchmarks beside PyTorch share: turns, settings of malloc, rows, and the table that shows them.

TinyTorch and PyTorch run in one process on the same number of threads, in turns: some untimed and timed runs of the
one, then of the other. Each setting of malloc has a process of its own.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

KEPT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
SETTINGS = ("kept", "default")


def in_turns(first, second, rounds, runs=3, clock=time.perf_counter):
    """Milliseconds of all timed runs of both. Each turn starts with an untimed run, so that nothing of the other's is
    left: neither its data in the cache nor its threads, which keep a core busy for a while after their work."""
    times = [], []
    for _ in range(rounds):
        for function, kept in zip((first, second), times, strict=True):
            function()
            for _ in range(runs):
                start = clock()
                function()
                kept.append(1e3 * (clock() - start))
    return times


def compared(ours, theirs, rounds, at_most, aim, clock):
    """A row: two functions run in turns. at_most, aim: of the ratio of their medians, None where there is none."""
    ours, theirs = in_turns(ours, theirs, rounds, clock=clock)
    return {
        "tinytorch_ms": statistics.median(ours), "pytorch_ms": statistics.median(theirs),
        "tinytorch_best_ms": min(ours), "pytorch_best_ms": min(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs), "ratio_of_best": min(ours) / min(theirs),
        "at_most": at_most, "aim": aim,
    }  # fmt: skip


def resident(kind):
    """VmRSS (now) or VmHWM (the most so far) of this process, in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(kind)).split()[1])


def child(setting, *arguments, program):
    """Run `program`, a benchmark, with --child, in a process with that malloc setting; what it printed, from JSON.

    Its last words are on stderr: where it stops, this process ends with its exit code and adds none.
    """
    environment = {name: value for name, value in os.environ.items() if name not in KEPT}
    environment |= KEPT if setting == "kept" else {}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    command = [sys.executable, str(Path(program).resolve()), "--child", *arguments]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    if run.returncode:
        sys.exit(run.returncode if run.returncode > 0 else f"{program} was ended by signal {-run.returncode}")
    return json.loads(run.stdout.splitlines()[-1])


def machine():
    """What ran, as far as the numbers depend on it."""
    import numpy as np
    import torch

    from tinytorch.threads import thread_count

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
        "threads": thread_count(), "blas": f"{blas['name']} {blas['version']}",
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(), "load": os.getloadavg()[0],
    }  # fmt: skip


# The table, line by line.


def head(what, clock):
    word = {"perf_counter": "time", "thread_time": "processor time"}[clock]
    yield f"{what}median {word}, and TinyTorch's as a multiple of PyTorch's"
    names = ("malloc", 9), ("TinyTorch", 12), ("PyTorch", 12), ("ratio", 8), ("of best", 9), ("at most", 9), ("aim", 6)
    yield " " * 44 + "".join(f"{name:>{width}}" for name, width in names)


def limits(at_most, aim):
    return "".join(f"{'–' if one is None else f'{one:.4g}':>{width}}" for one, width in ((at_most, 9), (aim, 6)))


def lines_of_rows(rows):
    """rows: {setting of malloc: {name: row}}."""
    for setting, found in rows.items():
        for name, row in found.items():
            times = f"{row['tinytorch_ms']:9.2f} ms{row['pytorch_ms']:9.2f} ms"
            ratios = f"{row['ratio']:8.2f}{row['ratio_of_best']:9.2f}{limits(row['at_most'], row['aim'])}"
            yield f"{name:44}{setting:>9}{times}{ratios}"


def line_of_memory(name, ours, theirs, at_most, aim):
    """ours, theirs: bytes, with the default malloc."""
    bytes_ = f"{ours / 1e6:9.1f} MB{theirs / 1e6:9.1f} MB"
    return f"{name:44}{'default':>9}{bytes_}{ours / theirs:8.2f}{'':9}{limits(at_most, aim)}"


def lines_of_machine(here):
    yield (
        f"Python {here['python']}, NumPy {here['numpy']} ({here['blas']}), PyTorch {here['torch']} "
        f"({here['torch_instructions']}), {here['threads']} threads, load {here['load']:.1f}"
    )
    if here["openblas_coretype"]:
        yield (
            f"OPENBLAS_CORETYPE={here['openblas_coretype']} is set: NumPy's products use that processor's "
            "instructions, PyTorch chooses its own."
        )
