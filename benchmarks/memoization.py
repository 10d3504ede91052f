"""Speed and memory of what is remembered: python benchmarks/memoization.py

Generating: tokens a second of a GPT of 4 layers × 128 with a block of 256, built from a seed, for 128 tokens after a
prompt of 128: from the whole window each time (generate of module 13) and from a cache (module 17), in turns, with the
same generator. That the texts are the same is checked on the way; nothing is extrapolated. Checkpoints: what the
forward pass of the same model keeps, the most that a step has, and its time, with plain blocks and with checkpoints,
for 12 windows of 64 tokens.

The threads of matrix products are those of OPENBLAS_NUM_THREADS, the same for both. --cpu counts processor time, which
other programs on the machine hardly disturb; without it, seconds are those of a clock. Memory is tracemalloc's count.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TIMES_FASTER = {1: (5, 8), 8: (15, 30)}  # batch: at least, aim
LAYERS, HEADS, WIDTH, VOCABULARY = 4, 4, 128, 65


def seconds(function, clock):
    start = clock()
    result = function()
    return clock() - start, result


def gpt(block_size):
    from tinytorch.transformers import GPT, initialize

    return initialize(GPT(VOCABULARY, block_size, LAYERS, HEADS, WIDTH), LAYERS, np.random.default_rng(0))


def measure_generation(batch, rounds, clock, prompt=128, new=128):
    """Medians of both ways, in tokens a second, and their ratio."""
    from tinytorch.transformers import generate, generate_cached

    model, ways = gpt(prompt + new), {"window": generate, "cache": generate_cached}
    ids, times = np.random.default_rng(batch).integers(VOCABULARY, size=(batch, prompt)), {"window": [], "cache": []}
    for write in ways.values():
        write(model, ids, 4)
    for number in range(rounds):
        texts = []
        for name, write in ways.items():
            spent, text = seconds(lambda: write(model, ids, new, generator=np.random.default_rng(number)), clock)  # noqa: B023 - called at once
            times[name].append(spent)
            texts.append(text)
        if not np.array_equal(*texts):
            raise SystemExit(f"batch {batch}: the texts are not the same")
    rates = {name: batch * new / statistics.median(kept) for name, kept in times.items()}
    at_least, aim = TIMES_FASTER[batch]
    return {**rates, "times": rates["cache"] / rates["window"], "at_least": at_least, "aim": aim}


def measure_checkpoints(rounds, clock, batch=12, length=64):
    """{"plain" and "checkpoints": bytes kept and at most, seconds of forward and backward}, the times in turns."""
    from tinytorch.nn import Module, Sequential
    from tinytorch.transformers import next_token_loss
    from tinytorch.utils.checkpoint import checkpoint

    class Checkpointed(Module):
        def __init__(self, part):
            super().__init__()
            self.part = part

        def forward(self, x):
            return checkpoint(self.part, x)

    ids = np.random.default_rng(0).integers(VOCABULARY, size=(2, batch, length))
    models = {"plain": gpt(length), "checkpoints": gpt(length)}
    models["checkpoints"].blocks = Sequential(*map(Checkpointed, models["checkpoints"].blocks))
    found = {}
    for name, model in models.items():
        tracemalloc.start()
        loss = next_token_loss(model(ids[0]), ids[1])
        kept, _ = tracemalloc.get_traced_memory()
        loss.backward()
        found[name] = {"kept": kept, "peak": tracemalloc.get_traced_memory()[1], "seconds": []}
        tracemalloc.stop()
    for _ in range(rounds):
        for name, model in models.items():
            spent, _ = seconds(lambda: next_token_loss(model(ids[0]), ids[1]).backward(), clock)  # noqa: B023
            found[name]["seconds"].append(spent)
    return {name: {**row, "seconds": statistics.median(row["seconds"])} for name, row in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="count processor time")
    parser.add_argument("--rounds", type=int, default=3, help="of generating; the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    clock, kind = (time.process_time, "processor") if options.cpu else (time.perf_counter, "clock")
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    print(f"Python {platform.python_version()}, {platform.machine()}; threads: {threads}; seconds of the {kind}")
    generation = {batch: measure_generation(batch, options.rounds, clock) for batch in TIMES_FASTER}
    for batch, row in generation.items():
        missed = ", MISSED" if row["times"] < row["at_least"] else ""
        print(f"batch {batch}: {row['window']:,.0f} tokens a second from the window, {row['cache']:,.0f} cached, "
              f"{row['times']:.1f} times as many (at least {row['at_least']}{missed}; aim {row['aim']})")  # fmt: skip
    rows = measure_checkpoints(3 * options.rounds, clock)
    for name, row in rows.items():
        print(f"{name}: {row['kept'] / 1e6:.1f} MB kept for backward, at most {row['peak'] / 1e6:.1f} MB, "
              f"{row['seconds'] * 1e3:.0f} ms a step")  # fmt: skip
    kept, peak, spent = (rows["checkpoints"][key] / rows["plain"][key] for key in ("kept", "peak", "seconds"))
    print(f"checkpoints: {kept:.2f} of what is kept, {peak:.2f} of the peak, {spent:.2f} times as long")
    if options.json:
        found = {"generation": generation, "checkpoints": rows}
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
