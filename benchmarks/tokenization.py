"""Speed of byte-pair encoding: python benchmarks/tokenization.py

Training: the provided trainer, which changes counts, beside the student's, which counts anew for every merge, on all of
Shakespeare. Nothing is extrapolated: the student's 3,840 merges really run (a minute or two; --quick leaves them out).
Encoding: BPETokenizer beside tiktoken with the same merges, on the same text, in turns. "Cold" begins with an empty
cache of words, "warm" with all words of the text in it; tiktoken keeps nothing. That ids and merges are the same is
checked on the way.

Everything runs in one process on one thread. --cpu counts processor time, which other programs on the machine hardly
disturb; without it, seconds are those of a clock.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TIMES_FASTER = {512: None, 4096: 20}  # vocabulary: at least
TIMES_TIKTOKEN = {"cold": 8, "warm": None}  # at most


def seconds(function, clock):
    start = clock()
    result = function()
    return clock() - start, result


def measure_training(sizes, text, clock):
    """{vocabulary: seconds of both, the ratio}. The provided trainer runs before and after the student's."""
    from tinytorch.core.tokenization import train_bpe, word_counts
    from tinytorch.kernels import tokenization as kernels

    counts, found = word_counts(text), {}
    for size in sizes:
        before, _ = seconds(lambda: kernels.train_bpe(counts, size), clock)  # noqa: B023 - called at once
        plain, merges = seconds(lambda: train_bpe(counts, size), clock)  # noqa: B023
        after, same = seconds(lambda: kernels.train_bpe(counts, size), clock)  # noqa: B023
        if merges != same:
            raise SystemExit(f"vocabulary {size}: the trainers disagree")
        fast = statistics.mean((before, after))
        found[size] = {"student_s": plain, "provided_s": fast, "times": plain / fast, "at_least": TIMES_FASTER[size]}
    return found


def measure_encoding(size, text, clock, rounds):
    """{"cold" and "warm": medians of both, the ratio} for all of `text` with a vocabulary of `size`."""
    import tiktoken

    from tinytorch.kernels import tokenization as kernels
    from tinytorch.text import BPETokenizer

    ours = BPETokenizer.train(text, size, trainer=kernels.train_bpe)
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    ranks = {part: i for i, part in enumerate(ours.vocab)}
    theirs = tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    if ours.encode(text) != theirs.encode_ordinary(text):
        raise SystemExit(f"vocabulary {size}: the ids are not tiktoken's")
    times = {"cold": [], "warm": [], "tiktoken": []}
    for _ in range(rounds):
        ours.cache.clear()
        times["cold"].append(seconds(lambda: ours.encode(text), clock)[0])
        times["warm"].append(seconds(lambda: ours.encode(text), clock)[0])
        times["tiktoken"].append(seconds(lambda: theirs.encode_ordinary(text), clock)[0])
    middle = {name: statistics.median(kept) for name, kept in times.items()}
    return {
        name: {"tinytorch_s": middle[name], "tiktoken_s": middle["tiktoken"],
               "ratio": middle[name] / middle["tiktoken"], "at_most": at_most}
        for name, at_most in TIMES_TIKTOKEN.items()
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="train with 512 only")
    parser.add_argument("--cpu", action="store_true", help="count processor time")
    parser.add_argument("--rounds", type=int, default=9, help="of encoding; the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    from tinytorch.datasets import load_shakespeare

    text, clock = load_shakespeare(), time.process_time if options.cpu else time.perf_counter
    sizes = [512] if options.quick else [512, 4096]
    kind = "processor" if options.cpu else "clock"
    print(f"Python {platform.python_version()}, {platform.machine()}; {len(text):,} bytes; seconds of the {kind}")
    training = measure_training(sizes, text, clock)
    for size, row in training.items():
        missed = row["at_least"] and row["times"] < row["at_least"]
        print(f"training to {size:,}: {row['student_s']:.2f} s, provided {row['provided_s']:.2f} s: "
              f"{row['times']:.0f} times faster{aim('at least', row['at_least'], missed)}")  # fmt: skip
    encoding = {size: measure_encoding(size, text, clock, options.rounds) for size in (512, 4096)}
    for size, rows in encoding.items():
        for name, row in rows.items():
            missed = row["at_most"] and row["ratio"] > row["at_most"]
            print(f"encoding with {size:,}, {name}: {row['tinytorch_s']:.3f} s, tiktoken {row['tiktoken_s']:.3f} s: "
                  f"{row['ratio']:.1f} times its time{aim('at most', row['at_most'], missed)}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"training": training, "encoding": encoding}, indent=1), encoding="utf-8")


def aim(word, bound, missed):
    return f" ({word} {bound}{', MISSED' if missed else ''})" if bound else ""


if __name__ == "__main__":
    main()
