"""Benchmarking: Is it really faster? Intervals, comparisons in pairs, MLPerf's scenarios on a simulated clock, and
rankings whose rules are written down.

Exported from module 19_benchmarking by tito export. Edit the notebook of that module, not this file.
"""

import math
from typing import NamedTuple

import numpy as np

from ..measuring import SimulatedMachine, t_critical, z_critical
from .profiling import measure

__all__ = [
    "Interval", "mean_interval", "percentile", "Ratio", "compare", "false_alarms", "first_warm", "offline",
    "single_stream", "Served", "server", "pareto", "ALLOWED", "REFUSED", "Candidate", "Placed", "rank",
]


class Interval(NamedTuple):
    """A mean, and how far its interval reaches to both sides: by Student's t, and what z would have said."""

    mean: float
    half: float
    z_half: float

    @property
    def lower(self):
        return self.mean - self.half

    @property
    def upper(self):
        return self.mean + self.half


def mean_interval(samples, confidence=0.95):
    """The Interval of the mean of `samples`, independent measurements of one quantity.

    Raises ValueError for fewer than two samples and for a confidence that is not between 0 and 1.
    """
    x = np.asarray(samples, dtype=float)
    if len(x) < 2:
        raise ValueError(f"mean_interval: {len(x)} samples have no spread; at least 2 are needed")
    error = float(x.std(ddof=1)) / math.sqrt(len(x))
    t, z = t_critical(confidence, len(x) - 1), z_critical(confidence)
    return Interval(float(x.mean()), t * error, z * error)


def percentile(samples, percent):
    """The smallest of `samples` that at least `percent` percent of them do not exceed: nearest rank.

    Raises ValueError for no samples, and for a percent that is not above 0 and at most 100.
    """
    if len(samples) == 0:
        raise ValueError("percentile: 0 samples have no percentile")
    if not 0 < percent <= 100:
        raise ValueError(f"percentile: percent is above 0 and at most 100, not {percent}")
    return float(sorted(samples)[math.ceil(percent * len(samples) / 100) - 1])


class Ratio(NamedTuple):
    """How many times as long `a` takes as `b`: a median of pairs, the ends of its 95 % interval, a verdict.

    verdict: a is "faster" (the interval lies below 1), "slower" (above), or it is "not decided". ratios: of
    all pairs, in order.
    """

    median: float
    lower: float
    upper: float
    verdict: str
    ratios: tuple

    def __str__(self):
        return f"{self.verdict}, {self.median:.3g} times as long ({self.lower:.3g} to {self.upper:.3g})"


def compare(a, b, clock, pairs, generator):
    """The Ratio of the seconds of `a()` to those of `b()`, from `pairs` of calls in the order A B B A.

    One call of each comes first, to warm up. clock: gives seconds. generator: for the bootstrap. Raises
    ValueError for fewer than 2 pairs, and where the clock stands still.
    """
    if pairs < 2:
        raise ValueError(f"compare: {pairs} pairs give no interval; at least 2 are needed")
    a(), b()
    seconds = np.empty((pairs, 2))
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 == 0 else (1, 0):
            seconds[pair, which] = measure((a, b)[which], clock, 0, 1).median
    ratios = seconds[:, 0] / seconds[:, 1]
    medians = np.median(ratios[generator.integers(pairs, size=(1000, pairs))], axis=1)
    lower, upper = np.quantile(medians, [0.025, 0.975]).tolist()
    verdict = "faster" if upper < 1 else "slower" if lower > 1 else "not decided"
    return Ratio(float(np.median(ratios)), lower, upper, verdict, tuple(ratios.tolist()))


def false_alarms(compare, trials=400, pairs=30):
    """The share of `trials` in which `compare` finds a difference between equal programs.

    They run on a SimulatedMachine; trial i draws everything from np.random.default_rng(i). Raises ValueError
    for fewer than 1 trial or 30 pairs.
    """
    if trials < 1 or pairs < 30:
        raise ValueError(f"false_alarms: at least 1 trial and 30 pairs are needed, not {trials} and {pairs}")
    alarms = 0
    for trial in range(trials):
        generator = np.random.default_rng(trial)
        machine = SimulatedMachine(generator)
        found = compare(machine.program(1.0), machine.program(1.0), machine.clock, pairs, generator)
        alarms += found.verdict != "not decided"
    return alarms / trials


def first_warm(samples, window=5):
    """The first place from which `window` samples have a median within 5 % of that of the last window.

    None without one; only windows that end before the last one begins count. Raises ValueError for a window
    below 1 and for fewer samples than two windows.
    """
    if window < 1:
        raise ValueError(f"first_warm: a window holds at least 1 sample, not {window}")
    if len(samples) < 2 * window:
        raise ValueError(f"first_warm: {len(samples)} samples are fewer than two windows of {window}")
    last = np.median(samples[-window:])
    for place in range(len(samples) - 2 * window + 1):
        if abs(np.median(samples[place : place + window]) - last) <= 0.05 * last:
            return place
    return None


def offline(run, samples, clock):
    """Samples a second, all in one call of `run(samples)`.

    Raises ValueError without samples and for a clock that stands still.
    """
    if len(samples) == 0:
        raise ValueError("offline: there are no samples")
    return len(samples) / measure(lambda: run(samples), clock, 0, 1).median


def single_stream(run, samples, clock):
    """The 90th percentile of the seconds that `run(samples[i : i + 1])` takes, one after the other.

    Raises ValueError without samples and for a clock that stands still.
    """
    ones = [samples[i : i + 1] for i in range(len(samples))]
    return percentile([measure(lambda one=one: run(one), clock, 0, 1).median for one in ones], 90)


class Served(NamedTuple):
    """The 99th percentile of the latencies (seconds), whether it keeps the bound, and all, in order."""

    p99: float
    valid: bool
    latencies: tuple


def server(run, samples, clock, rate, bound, generator):
    """The Served of one query for each of `samples`, which arrive at random, `rate` a second, and queue.

    Arrivals and queue are simulated; `run(samples[i : i + 1])` is timed by `clock`. bound: seconds, for the
    99th percentile of the latencies. Raises ValueError for a rate or bound that is not above 0, without
    samples, and for a clock that stands still.
    """
    if not rate > 0 or not bound > 0:
        raise ValueError(f"server: rate and bound are above 0, not {rate} and {bound}")
    free, latencies = 0.0, []
    for i, arrival in enumerate(np.cumsum(generator.exponential(1 / rate, len(samples))).tolist()):
        free = max(free, arrival) + measure(lambda i=i: run(samples[i : i + 1]), clock, 0, 1).median
        latencies.append(free - arrival)
    p99 = percentile(latencies, 99)
    return Served(p99, p99 <= bound, tuple(latencies))


def pareto(points, directions):
    """The ascending places of the points that no other dominates: as good in every column, better in one.

    points: (n, k). directions: k times "min" or "max". Raises ValueError without points, for another
    direction, for rows of another length and for nan.
    """
    points = np.asarray(points, dtype=float)
    if points.size == 0:
        raise ValueError("pareto: there are no points, so there is no front")
    for direction in directions:
        if direction not in ("min", "max"):
            raise ValueError(f"pareto: a direction is 'min' or 'max', not {direction!r}")
    if points.shape[1:] != (len(directions),):
        raise ValueError(f"pareto: rows of {points.shape[1:]} numbers for {len(directions)} directions")
    if np.isnan(points).any():
        raise ValueError("pareto: nan compares with nothing")
    less = points * [1 if direction == "min" else -1 for direction in directions]
    return [
        place
        for place, one in enumerate(less)
        if not ((less <= one).all(axis=1) & (less < one).any(axis=1)).any()
    ]


ALLOWED = ("quantization", "kernels", "batching", "key-value cache")  # the same model, as it was trained
REFUSED = ("retraining", "pruning", "another architecture", "cached responses")  # in closed; open says them


class Candidate(NamedTuple):
    """A model as measured: accuracy from 0 to 1, seconds a sample, and what was done to the reference."""

    name: str
    accuracy: float
    seconds: float
    changes: tuple = ()


class Placed(NamedTuple):
    """A place in a ranking, from 1 on, and what was changed; or None, and the reason."""

    place: int | None
    name: str
    said: str


def rank(candidates, reference, division):
    """The ranking of `candidates` by seconds: a list of Placed.

    Those below 99 % of the reference's accuracy come last and have no place, in the division "closed" also
    those with changes outside of ALLOWED. Raises ValueError for a division other than that and "open",
    without reference or candidates, and for seconds that are not above 0.
    """
    if division not in ("closed", "open"):
        raise ValueError(f"rank: the divisions are closed and open, not {division!r}")
    if reference is None:
        raise ValueError("rank: the reference is missing")
    if len(candidates) == 0:
        raise ValueError("rank: there are no candidates")
    floor, taking_part, refused = 0.99 * reference.accuracy, [], []
    for one in candidates:
        if not one.seconds > 0:
            raise ValueError(f"rank: {one.name} took {one.seconds} s; did its clock stand still?")
        forbidden = [change for change in one.changes if division == "closed" and change not in ALLOWED]
        if not one.accuracy >= floor:
            refused.append(Placed(None, one.name, f"accuracy {one.accuracy:.4f}, {floor:.4f} is wanted"))
        elif forbidden:
            refused.append(Placed(None, one.name, f"not in closed: {', '.join(forbidden)}"))
        else:
            taking_part.append(one)
    placed = []
    for one in sorted(taking_part, key=lambda one: one.seconds):
        faster = sum(other.seconds < one.seconds for other in taking_part)
        placed.append(Placed(1 + faster, one.name, ", ".join(one.changes)))
    return placed + refused
