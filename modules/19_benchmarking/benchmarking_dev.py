# %% [markdown]
r"""
# 19 Benchmarking

Your models became faster, said one run. Would another say so? Here you write what decides: intervals, pairs, MLPerf's scenarios and rules.

## Three questions first

**1.** (14) Why the median of runs, not their mean?
<details><summary>Answer</summary> One disturbed run moves a mean. </details>

**2.** (16) Seeds read 4, 6 and 9 images wrong, pruned 5, 8 and 9. What did pruning cost?
<details><summary>Answer</summary> Three differences, 1, 2, 0, decide nothing. </details>

**3.** (17) Why does a cache leave the text as it is?
<details><summary>Answer</summary> It keeps what would be computed again. </details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.benchmarking

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from typing import NamedTuple

import numpy as np

from tinytorch.core.profiling import measure
from tinytorch.measuring import SimulatedMachine, t_critical, z_critical

# %% [markdown]
r"""
## How sure is a mean?

Five runs took 10, 12, 11, 15 and 12 ms, on average 12. From n samples of standard deviation s (divided by n − 1), the true mean lies, in 95 % of cases, within

$$\bar x \pm t \cdot s / \sqrt n$$

    s = 1.871, s/√5 = 0.837
    normal distribution   z = 1.960     12 ± 1.64
    Student's t, n − 1    t = 2.776     12 ± 2.32

z would be right if s were known; t makes up for few samples (Gosset, "Student", 1908). `t_critical(confidence, n - 1)` and `z_critical(confidence)` are provided.

For the slowest requests there are *percentiles*. By *nearest rank*, that is number ⌈p·n/100⌉ in order:

    50, 15, 40, 20, 35     p = 30: ⌈1.5⌉ = 2, so 20     p = 100: 50

**Write `mean_interval(samples, confidence=0.95)`**, an `Interval` of floats: the mean, half the width by t, half the width by z. **And `percentile(samples, percent)`**, a float: multiply p·n before you divide, for 0.07 · 100 is
above 7. A `ValueError` holds the number: of samples, where an interval gets fewer than 2 or a percentile none; a confidence not between 0 and 1; a percent not above 0 and at most 100.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Interval", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
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

# %% nbgrader={"grade": false, "grade_id": "mean_interval", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["NumPy's standard deviation divides by n unless you tell it how many degrees of freedom are gone.", "Both half widths are the same error of the mean, times one of the two critical values.", "Ranks count from 1, places in a sorted list from 0. The ceiling is taken of the product divided by 100, once."], "minutes": 30, "objective": "intervals"}
#| export
def mean_interval(samples, confidence=0.95):
    """The Interval of the mean of `samples`, independent measurements of one quantity.

    Raises ValueError for fewer than two samples and for a confidence that is not between 0 and 1.
    """
    ### BEGIN SOLUTION
    x = np.asarray(samples, dtype=float)
    if len(x) < 2:
        raise ValueError(f"mean_interval: {len(x)} samples have no spread; at least 2 are needed")
    error = float(x.std(ddof=1)) / math.sqrt(len(x))
    t, z = t_critical(confidence, len(x) - 1), z_critical(confidence)
    return Interval(float(x.mean()), t * error, z * error)
    ### END SOLUTION


def percentile(samples, percent):
    """The smallest of `samples` that at least `percent` percent of them do not exceed: nearest rank.

    Raises ValueError for no samples, and for a percent that is not above 0 and at most 100.
    """
    ### BEGIN SOLUTION
    if len(samples) == 0:
        raise ValueError("percentile: 0 samples have no percentile")
    if not 0 < percent <= 100:
        raise ValueError(f"percentile: percent is above 0 and at most 100, not {percent}")
    return float(sorted(samples)[math.ceil(percent * len(samples) / 100) - 1])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-mean_interval", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_mean_interval():
    found = mean_interval([10, 12, 11, 15, 12])
    expect(tuple(found), (12, 2.322941, 1.639824), "the worked example, by SciPy 1.17", atol=1e-5)
    expect([type(part) for part in tuple(found)], [float] * 3, "floats of Python")
    expect([found.lower, found.upper], [9.677059, 14.322941], "both ends", atol=1e-5)
    found = mean_interval(np.array([1.0, 2.0]), 0.9)
    expect(tuple(found), (1.5, 3.156876, 0.822427), "two samples, 90 %", atol=1e-5)
    expect(tuple(mean_interval([3, 3, 3])), (3, 0, 0), "no spread")
    found = mean_interval(np.arange(100) % 7, confidence=0.99)
    expect(tuple(found), (2.95, 0.531053, 0.520826), "a hundred, 99 %: t is nearly z", atol=1e-5)
    for samples in ([], [5.0]):
        expect_error(ValueError, len(samples), mean_interval, samples)
    for confidence in (0, 1, 95, -0.5):
        expect_error(ValueError, confidence, mean_interval, [1, 2], confidence)
    print("🔬 mean_interval: passed")

test_unit_mean_interval()

# %% nbgrader={"grade": true, "grade_id": "test-mean_interval-percentile", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_percentile():
    samples = [50, 15, 40, 20, 35]
    for percent, value in [(30, 20), (40, 20), (40.1, 35), (50, 35), (100, 50), (0.001, 15)]:
        expect(percentile(samples, percent), value, f"{percent} percent of five")
    expect(samples, [50, 15, 40, 20, 35], "the samples stay as they are")
    expect(percentile(np.arange(1, 101), 7), 7, "7 percent of 1 … 100 is the seventh")
    expect(percentile(np.arange(1.0, 1001.0), 99), 990, "99 percent of a thousand")
    expect(percentile([2.5], 1), 2.5, "one sample")
    expect(type(percentile(np.array([1, 2]), 50)), float, "an array of integers: a float of Python")
    expect_error(ValueError, 0, percentile, [], 50)
    for percent in (0, -1, 101):
        expect_error(ValueError, percent, percentile, samples, percent)
    print("🔬 percentile: passed")

test_unit_percentile()

# %% nbgrader={"grade": true, "grade_id": "test-mean_interval-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: other samples, confidences and ranks, beside SciPy's.
### BEGIN HIDDEN TESTS
x = np.cos(np.arange(12.0)) * 3 + 8
halves = {0.5: (0.445506, 0.430843), 0.95: (1.405920, 1.251964), 0.999: (2.834204, 2.101885)}
for confidence, both in halves.items():
    expect(tuple(mean_interval(x, confidence))[1:], both, f"twelve samples, {confidence}", atol=1e-5)
expect(mean_interval(x).mean, float(x.mean()), "their mean", atol=1e-12)
for percent in (1, 14, 28, 29, 55, 56, 58, 90, 99):
    expect(percentile(np.arange(100, 0, -1), percent), percent, f"{percent} percent of 100 … 1")
expect_error(ValueError, 100.5, percentile, [1, 2], 100.5)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: how many of 1,000 such intervals, each from 5 samples of a known normal distribution, hold its mean, by t and by z?
"""

# %%
drawn = np.random.default_rng(0).normal(10, 2, size=(1000, 5))
intervals = [mean_interval(samples) for samples in drawn]
for name, place in (("t", 1), ("z", 2)):
    print(f"by {name}: {sum(abs(one.mean - 10) <= one[place] for one in intervals)} of 1,000 hold the mean")

# %% [markdown]
r"""
## Is it faster?

On a machine that others use too, a time depends on the minute. Two measured in turns share it, so that their *ratio* is nearly free of it. Whoever always goes second may find a warmer
cache or a busier neighbour; so the order changes from pair to pair, A B B A:

    pair      order   seconds of a   of b   ratio
    0         a, b         3           4     0.75
    1         b, a         9          10     0.9       a busy minute: both
    2         a, b         3           3     1
    3         b, a         2           4     0.5       median of the ratios: 0.825

How sure is it? *Bootstrap* (Efron, 1979): draw as many ratios as there are, *with* repetition, take the median of these, and do so 1,000 times. The middle 95 % of those medians are the interval. Below 1 all of it:
a is **faster**. Above 1: **slower**. Otherwise **not decided**, which is no "equal".

**Write `compare(a, b, clock, pairs, generator)`**, a `Ratio`. First one call of each, a and then b, not timed; then the pairs, each call timed by itself: `measure(function, clock, 0, 1).median` is the seconds of one call. The median is that of the
pairs' ratios. To bootstrap, `generator.integers(pairs, size=(1000, pairs))` says which ratios are drawn, one row for each median; the ends are `np.quantile(medians, [0.025, 0.975])`. Fewer than 2 pairs
are a `ValueError` holding the number, raised before anything runs; any timed call for which the clock stands still is a `ValueError` that says *clock*.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Ratio", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
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

# %% nbgrader={"grade": false, "grade_id": "compare", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Whether the number of a pair is odd or even says who goes first. Note each time under whose it is, not under who came first.", "The drawn integers are places of ratios: index with the whole table at once, and take medians along its rows.", "The verdict looks at the ends of the interval, never at the median."], "minutes": 50, "objective": "pairs"}
#| export
def compare(a, b, clock, pairs, generator):
    """The Ratio of the seconds of `a()` to those of `b()`, from `pairs` of calls in the order A B B A.

    One call of each comes first, to warm up. clock: gives seconds. generator: for the bootstrap. Raises
    ValueError for fewer than 2 pairs, and where the clock stands still.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-compare", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def compared(a, b, pairs, seed=0, start=100.0):
    """(Ratio, order of the calls, readings) where the calls of a and b take these seconds, warm-up first."""
    now, order, readings, left = [start], [], [], {"A": list(a), "B": list(b)}

    def program(name):
        def run():
            order.append(name)
            now[0] += left[name].pop(0)

        return run

    def clock():
        readings.append(now[0])
        return now[0]

    found = compare(program("A"), program("B"), clock, pairs, np.random.default_rng(seed))
    return found, "".join(order), len(readings)

def test_unit_compare():
    found, order, readings = compared([50, 3, 9, 3, 2], [70, 4, 10, 3, 4], 4)
    expect(order, "AB" + "ABBAABBA", "one call of each to warm up, then A B B A")
    expect(readings, 16, "readings of the clock: two for each call that counts")
    expect(found.ratios, (0.75, 0.9, 1.0, 0.5), "the ratios of the worked example", atol=1e-12)
    expect(found.median, 0.825, "their median", atol=1e-12)
    expect([type(found.median), type(found.lower), type(found.ratios[0])], [float] * 3, "floats of Python")
    found, order, _ = compared([1, 2, 4, 6], [1, 1, 1, 1], 3)
    expect([order, found.median], ["ABABBAAB", 4], "three pairs: the middle one")
    print("🔬 compare: passed")

test_unit_compare()

# %% nbgrader={"grade": true, "grade_id": "test-compare-verdicts", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_compare_verdicts():
    for a, b, verdict in [(3, 4, "faster"), (4, 3, "slower"), (5, 5, "not decided")]:
        found = compared([a] * 5, [b] * 5, 4)[0]
        expect([found.lower, found.upper], [a / b] * 2, f"always {a} s against {b} s: the ends", atol=1e-12)
        expect(found.verdict, verdict, f"always {a} s against {b} s")
    busy = [1, 1, 3, 2, 9, 5, 1, 4, 2]
    found = compared(busy, [2 * one for one in busy], 8)[0]
    expect(found.verdict, "faster", "a busy machine, but half the time in every pair")
    times = [1, 0.81, 0.93, 0.74, 1.27, 0.62, 0.88, 1.05, 1.13]
    found = compared(times, [1] * 9, 8, seed=3)[0]
    expect([found.median, found.lower, found.upper], [0.905, 0.75, 1.13], "a drawn bootstrap", atol=1e-9)
    expect(found.verdict, "not decided", "a median below 1, but an interval that holds 1")
    found = compared(times, [1] * 9, 8, seed=0)[0]
    expect([found.lower, found.upper], [0.74, 1.10075], "another generator draws others", atol=1e-9)
    for pairs in (1, 0, -4):
        expect_error(ValueError, pairs, compared, [], [], pairs)
    expect_error(ValueError, "clock", compared, [1, 1, 1], [1, 1, 0], 2)
    still = lambda: 7.0
    expect_error(ValueError, "clock", compare, still, still, still, 2, np.random.default_rng(0))
    print("🔬 compare, verdicts: passed")

test_unit_compare_verdicts()

# %% nbgrader={"grade": true, "grade_id": "test-compare-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: other times, more pairs, and an odd number of them.
### BEGIN HIDDEN TESTS
times = np.exp(0.2 * np.sin(np.arange(42.0))).reshape(2, 21)
found, order, readings = compared(times[0], times[1] * 1.1, 20, seed=11)
expect([order[2:10], readings], ["ABBAABBA", 80], "twenty pairs: their order and the readings")
expect([found.lower, found.upper], [0.756186778, 1.123579467], "twenty ratios: the ends", atol=1e-9)
expect(found.median, 0.932804522, "twenty ratios: the median", atol=1e-9)
expect(found.ratios, tuple((times[0] / times[1] / 1.1)[1:].tolist()), "all of them", atol=1e-9)
found = compared([1, 2.0, 3, 2.5, 4, 1.1], [1, 1, 2, 1, 1, 1], 5, seed=2)[0]
expect([found.median, found.lower, found.upper], [2, 1.1, 4], "five pairs", atol=1e-9)
expect(found.verdict, "slower", "five pairs: the verdict")
expect_error(ValueError, 1, compared, [1, 1], [1, 1], 1)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Does it cry wolf?

A method that finds differences must be tried where there are none. At 95 % about one in twenty comparisons of *equal* programs may say faster or slower; if it is many more, its interval is too
narrow, and if it is none, it may miss real differences, too.

For 400 comparisons nobody wants to wait, and real machines are not to be had twice. `SimulatedMachine(generator)` has a clock, `machine.clock`, which only its programs move: each call of `machine.program(seconds)` takes about so long, with
noise, a slow drift and now and then a disturbance, all drawn from the generator.

    machine = SimulatedMachine(np.random.default_rng(7))
    machine.program(1.0)()     machine.clock() now says 0.871 s

**Write `false_alarms(compare, trials=400, pairs=30)`**: the share of trials, a float from 0 to 1, whose verdict is another than "not decided". Trial i (0, 1, …) has one generator, `np.random.default_rng(i)`: for a machine, and then
for `compare`, called as `compare(a, b, machine.clock, pairs, generator)` with two programs, not one twice, of 1.0 second each. Fewer than 1 trial, and fewer than 30 pairs, are a `ValueError` holding the number.
"""

# %% nbgrader={"grade": false, "grade_id": "false_alarms", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Each trial makes a new machine from a new generator, or the trials would not be independent and could not be repeated.", "The programs must be two calls of the machine's own method with the same number: equal, but not the same object.", "What counts is the verdict of the result; a Boolean counts as 0 or 1."], "minutes": 20, "objective": "pairs"}
#| export
def false_alarms(compare, trials=400, pairs=30):
    """The share of `trials` in which `compare` finds a difference between equal programs.

    They run on a SimulatedMachine; trial i draws everything from np.random.default_rng(i). Raises ValueError
    for fewer than 1 trial or 30 pairs.
    """
    ### BEGIN SOLUTION
    if trials < 1 or pairs < 30:
        raise ValueError(f"false_alarms: at least 1 trial and 30 pairs are needed, not {trials} and {pairs}")
    alarms = 0
    for trial in range(trials):
        generator = np.random.default_rng(trial)
        machine = SimulatedMachine(generator)
        found = compare(machine.program(1.0), machine.program(1.0), machine.clock, pairs, generator)
        alarms += found.verdict != "not decided"
    return alarms / trials
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-false_alarms", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def said(verdicts, seen):
    """A method that says one of these verdicts after the other, and notes what it was given."""
    left = iter(verdicts)

    def method(a, b, clock, pairs, generator):
        a(), b()
        seen.append((float(clock()), int(pairs), float(generator.random()), a is b))
        return Ratio(1.0, 0.9, 1.1, next(left), (1.0,))

    return method

def test_unit_false_alarms():
    seen, wanted, verdicts = [], [], ["faster", "not decided", "slower", "not decided", "faster"]
    expect(false_alarms(said(verdicts, seen), 5), 0.6, "faster and slower are alarms, here 3 of 5")
    for trial in range(5):
        generator = np.random.default_rng(trial)
        machine = SimulatedMachine(generator)
        machine.program(1.0)(), machine.program(1.0)()
        wanted.append((machine.clock(), 30, generator.random(), False))
    expect(seen, wanted, "(clock after both, pairs, what the generator draws then, a is b) of each trial")
    expect([false_alarms(said(["not decided"], seen), 1, pairs=50), seen[-1][1]], [0, 50], "no alarm; pairs")
    expect(type(false_alarms(said(["slower"], seen), 1)), float, "the type")
    for wrong in ({"trials": 0}, {"pairs": 29}):
        expect_error(ValueError, next(iter(wrong.values())), false_alarms, said([], seen), **wrong)
    share = float(false_alarms(compare))
    expect(0.02 <= share <= 0.09, True, f"400 trials of your compare, {share:.1%} are alarms: 2 to 9 %")
    print("🔬 false_alarms: passed")

test_unit_false_alarms()

# %% nbgrader={"grade": true, "grade_id": "test-false_alarms-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a method that finds differences everywhere, and others.
### BEGIN HIDDEN TESTS
seen = []
expect(false_alarms(said(["faster"] * 7, seen), 7, 31), 1, "everywhere")
expect([one[1] for one in seen], [31] * 7, "pairs")
lots = ["slower", *["not decided"] * 2, "faster", *["not decided"] * 3, "slower"]
expect(false_alarms(said(lots, []), 8, 40), 0.375, "three of eight")
expect_error(ValueError, -2, false_alarms, said([], []), -2)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Five ways to fool oneself

Each runs once, and finds a winner where there is none: a cold start; the best of 100 beside the best of 3; 60 calls of one and then 60 of the other; the same input again; one seed of training. **Predict** for each what it will claim, and by how much.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
from sklearn.datasets import load_digits

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.core.training import training_step

def seconds_of(program, machine, calls):
    """What each of some calls takes, as an array."""
    return np.array([measure(program, machine.clock, 0, 1).median for _ in range(calls)])

def wrong_of_seed(seed):
    """A small network for digits, trained for a moment: its wrong answers among 797."""
    manual_seed(seed)
    model, (images, labels) = Sequential(Linear(64, 16), ReLU(), Linear(16, 10)), load_digits(return_X_y=True)
    optimizer, images = SGD(model.parameters(), lr=0.3), (images / 16).astype(np.float32)
    for picked in np.random.default_rng(seed).integers(1000, size=(300, 32)):
        training_step(model, cross_entropy, optimizer, Tensor(images[picked]), labels[picked])
    return int((model(Tensor(images[1000:])).numpy().argmax(axis=1) != labels[1000:]).sum())

def analyze_foolery():
    """Five measurements that say one is better where none is, and what a fair one of equal programs says."""
    machine = SimulatedMachine(np.random.default_rng(1), cold=6)
    a, b, fresh = (machine.program(1.0) for _ in range(3))
    cold = measure(fresh, machine.clock, 0, 1).median / seconds_of(a, machine, 20)[-1]
    print(f"📊 cold start: the first call of one takes {cold:.2f} times as long as the 20th of the other")
    seconds_of(b, machine, 20)
    best = seconds_of(a, machine, 100).min() / seconds_of(b, machine, 3).min()
    print(f"📊 best of n: the best of 100 takes {best:.2f} times as long as the best of 3")
    busy = np.median(seconds_of(a, machine, 60)) / np.median(seconds_of(b, machine, 60))
    print(f"📊 a busy machine: 60 calls of one, then 60 of the other: {busy:.2f} times as long")
    answers, look = {}, machine.program(0.001)
    remembers = lambda x: look() if x in answers else answers.update({x: a()})
    inputs = iter([5] * 21 + list(range(20, 40)))
    same, new = (np.median(seconds_of(lambda: remembers(next(inputs)), machine, n)) for n in (21, 20))
    print(f"📊 the same input: {same:.3f} s, new ones: {new:.3f} s, of a program that keeps its answers")
    counts = [wrong_of_seed(seed) for seed in range(10)]
    found = mean_interval(counts)
    print(f"📊 one seed: seed 0 has {counts[0]} wrong, seed 1 {counts[1]}; "
          f"ten seeds {min(counts)} to {max(counts)}, mean {found.mean:.1f} ± {found.half:.1f}")
    print(f"📊 in pairs: {compare(a, b, machine.clock, 40, np.random.default_rng(0))}")

analyze_foolery()

# %% [markdown]
r"""
Each of the first five would make a headline. Take as many runs of both, in turns, after both are warm, on inputs not seen before, and several seeds where chance trained.

## When is it warm?

The first calls of a program fill caches and make arrays. How many are they? Look for the first place whose *window*, the next 5 samples, has a median as in the end:

    40 20 12 11 10 13 10 10 11 10 10 10 12 10 10      windows of 5: the last has the median 10
    at 0: median of 40 20 12 11 10 = 12     at 1: 12     at 2: 11     at 3: 10     answer 3

A median, since one disturbed sample says nothing; and windows that overlap the last one do not count, for they would resemble it in any case.

**Write `first_warm(samples, window=5)`**: the first place (an int, from 0) from which the next `window` samples have a median that differs from the median of the last `window` samples by at most 5 % of the
latter. The windows that count begin at 0 … n − 2·window; the last of them ends right before the last window. `None` where none of them is so near: then it was still getting warm. A window below 1, and fewer samples than two windows, are a `ValueError` holding the number.
"""

# %% nbgrader={"grade": false, "grade_id": "first_warm", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["At how many places can a window begin that does not reach into the last one?", "Compare a difference with 5 percent of the last median, in both directions: too fast is not warm either."], "minutes": 20, "objective": "pairs"}
#| export
def first_warm(samples, window=5):
    """The first place from which `window` samples have a median within 5 % of that of the last window.

    None without one; only windows that end before the last one begins count. Raises ValueError for a window
    below 1 and for fewer samples than two windows.
    """
    ### BEGIN SOLUTION
    if window < 1:
        raise ValueError(f"first_warm: a window holds at least 1 sample, not {window}")
    if len(samples) < 2 * window:
        raise ValueError(f"first_warm: {len(samples)} samples are fewer than two windows of {window}")
    last = np.median(samples[-window:])
    for place in range(len(samples) - 2 * window + 1):
        if abs(np.median(samples[place : place + window]) - last) <= 0.05 * last:
            return place
    return None
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-first_warm", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_first_warm():
    samples = [40, 20, 12, 11, 10, 13, 10, 10, 11, 10, 10, 10, 12, 10, 10]
    expect(first_warm(samples), 3, "the worked example")
    expect(type(first_warm(np.array(samples))), int, "an array: the type of a place")
    expect(first_warm([7.0] * 10), 0, "warm from the beginning")
    expect(first_warm([9] + [7.0] * 10), 0, "one cold sample does not move the median of five")
    expect(first_warm([9, 8, 7, 7.0], window=1), 2, "windows of one sample")
    expect(first_warm([9, 7.0], window=1), None, "the last window itself does not count")
    expect(first_warm([1, 2, 3, 10, 10, 10, 10, 10, 10], window=3), 2, "what begins too fast is not warm")
    expect(first_warm([21, 22, 20, 20], window=1), 0, "5 % above: just within")
    expect(first_warm([18.9, 22, 19, 20], window=1), 2, "5 % below: just within")
    expect(first_warm([30, 29, 28, 27, 26, 25, 20, 18, 16, 14]), None, "still getting faster")
    expect(first_warm([10, 10, 99, 10, 10, 10, 98, 10], window=4), 0, "single disturbances")
    for samples, window, number in [([1] * 9, 5, 9), ([], 5, 0), ([1, 2], 0, 0), ([1, 2], -3, -3)]:
        expect_error(ValueError, number, first_warm, samples, window)
    print("🔬 first_warm: passed")

test_unit_first_warm()

# %% nbgrader={"grade": true, "grade_id": "test-first_warm-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: longer runs and other windows.
### BEGIN HIDDEN TESTS
falling = 1 + 3 * 0.5 ** np.arange(30.0)
expect([first_warm(falling), first_warm(falling, 2), first_warm(falling, 1)], [4, 6, 6], "1 + 3/2ⁿ")
expect(first_warm(np.arange(60.0, 0, -1)), None, "a straight line down")
expect(first_warm([100, 95, 94, 105, 106, 100], window=1), 0, "at once")
expect_error(ValueError, 7, first_warm, [1] * 7, 4)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Scenarios

"A thousand images a second" and "an answer in 2 ms" are two questions. MLPerf (Reddi and others, 2020) asks them as *scenarios*:

- **offline**: all samples are there, in one call. The number is samples a second.
- **single stream**: one after the other, the next when the last has its answer, as on a phone. The number is the 90th percentile of the latencies.
- **server**: many users, who do not wait for each other. That is the next section. (**Multi stream**, several samples at a time, is left out here.)

Batches share what a call costs, so one does not follow from the other:

    8 samples in one call: 4 s                               offline: 2 samples a second
    one by one: 1, 1, 3, 1, 1, 1, 2, 1 s                     single stream: rank ⌈7.2⌉ = 8, so 3 s

**Write `offline(run, samples, clock)`**, samples a second, **and `single_stream(run, samples, clock)`**, seconds by nearest rank; both are floats. `run` takes an array or list of samples; a
single one is `samples[i : i + 1]`. It is called once, or once for each sample, in order, and timed each time; nothing else runs. No samples are a `ValueError` that says so (*samples*); a clock that
stands still during a call is one that says *clock*.
"""

# %% nbgrader={"grade": false, "grade_id": "offline", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The timer of module 14 takes a function without arguments; with no warm-up and one repeat it calls it once, and it refuses a clock that stands still.", "For the second, collect a latency for every sample, and take the percentile you have.", "An array of several samples has no truth value: ask len(samples)."], "minutes": 25, "objective": "scenarios"}
#| export
def offline(run, samples, clock):
    """Samples a second, all in one call of `run(samples)`.

    Raises ValueError without samples and for a clock that stands still.
    """
    ### BEGIN SOLUTION
    if len(samples) == 0:
        raise ValueError("offline: there are no samples")
    return len(samples) / measure(lambda: run(samples), clock, 0, 1).median
    ### END SOLUTION


def single_stream(run, samples, clock):
    """The 90th percentile of the seconds that `run(samples[i : i + 1])` takes, one after the other.

    Raises ValueError without samples and for a clock that stands still.
    """
    ### BEGIN SOLUTION
    ones = [samples[i : i + 1] for i in range(len(samples))]
    return percentile([measure(lambda one=one: run(one), clock, 0, 1).median for one in ones], 90)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-offline", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def service(seconds):
    """(run, clock, got): the calls of `run` take these seconds on the clock, and what they got is noted."""
    now, got, left = [50.0], [], list(seconds)

    def run(samples):
        got.append(np.asarray(samples).tolist())
        now[0] += left.pop(0)

    return run, lambda: now[0], got

def of(seconds, samples):
    """What the scenarios take, for a service that takes these seconds."""
    run, clock, _ = service(seconds)
    return run, samples, clock

def test_unit_scenarios():
    run, clock, got = service([4])
    expect([offline(run, np.arange(8), clock), got], [2, [list(range(8))]], "eight samples, one call of 4 s")
    expect(offline(*of([2], [3, 3, 3])), 1.5, "three samples, 2 s")
    run, clock, got = service([1, 1, 3, 1, 1, 1, 2, 1])
    expect([single_stream(run, np.arange(8), clock), got], [3, [[i] for i in range(8)]], "one by one")
    expect(single_stream(*of([5, 4, 3, 9, 2, 8, 1, 7, 6, 10], list("abcdefghij"))), 9, "the 9th of ten")
    expect(single_stream(*of([0.25], [[1, 2]])), 0.25, "one sample")
    for scenario in (offline, single_stream):
        expect(type(scenario(*of([2], [1]))), float, "a float of Python")
        expect_error(ValueError, "samples", scenario, *of([], []))
        expect_error(ValueError, "clock", scenario, *of([0, 0], [1, 2]))
    print("🔬 offline and single_stream: passed")

test_unit_scenarios()

# %% nbgrader={"grade": true, "grade_id": "test-offline-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: more samples, and images.
### BEGIN HIDDEN TESTS
times = (np.arange(37) * 11 % 37 + 1) / 8
run, clock, got = service(times.tolist())
wanted = np.percentile(times, 90, method="inverted_cdf")
expect(single_stream(run, np.zeros((37, 1, 2, 2)), clock), wanted, "37 images")
expect(got, [[[[[0, 0], [0, 0]]]]] * 37, "batches of one image")
run, clock, got = service([10])
expect([offline(run, np.zeros((25, 3)), clock), len(got)], [2.5, 1], "25 samples in 10 s")
expect_error(ValueError, "clock", single_stream, *of([1, 2, 0], [1, 2, 3]))
### END HIDDEN TESTS

# %% [markdown]
r"""
## A server

Users come when they like. If each second brings `rate` of them on average, independently of each other, the times between two arrivals are exponentially distributed with mean 1/rate (a *Poisson process*), and
sometimes several come at once. Then they queue: a query begins when it has arrived *and* the one before it is done. Its *latency* is counted from its arrival, waiting included. With 2 s for each query, and arrivals as `np.random.default_rng(3)` draws them at a rate of 0.5:

    arrives    0.22    1.00    3.80
    begins     0.22    2.22    4.22
    done       2.22    4.22    6.22
    latency    2       3.22    2.42

MLPerf's number is the largest rate at which the 99th percentile of the latencies keeps a bound. By its mean time alone this server could take 1/2 query a second; no bound survives there, for the queue grows without end.

Nothing has to wait in earnest. Arrivals and the queue are arithmetic on a *simulated clock*; only the time of `run` for each query is measured, by whatever clock is handed in.

**Write `server(run, samples, clock, rate, bound, generator)`**, a `Served`. Arrivals are the running sum of `generator.exponential(1 / rate, len(samples))`; query i is `run(samples[i : i + 1])`, timed alone, in order; one at a time. `valid` says, as a `bool`, whether the 99th
percentile by nearest rank is at most `bound`. A rate or a bound that is not above 0 is a `ValueError` holding it; no samples, and a clock that stands still, as before.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Served", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Served(NamedTuple):
    """The 99th percentile of the latencies (seconds), whether it keeps the bound, and all, in order."""

    p99: float
    valid: bool
    latencies: tuple

# %% nbgrader={"grade": false, "grade_id": "server", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["One number is enough to describe the queue: the moment at which the server will be free.", "A query begins at the later of two moments. When it is done, that moment is the new one.", "The measured clock tells how long the work took, never when a query arrived."], "minutes": 45, "objective": "scenarios"}
#| export
def server(run, samples, clock, rate, bound, generator):
    """The Served of one query for each of `samples`, which arrive at random, `rate` a second, and queue.

    Arrivals and queue are simulated; `run(samples[i : i + 1])` is timed by `clock`. bound: seconds, for the
    99th percentile of the latencies. Raises ValueError for a rate or bound that is not above 0, without
    samples, and for a clock that stands still.
    """
    ### BEGIN SOLUTION
    if not rate > 0 or not bound > 0:
        raise ValueError(f"server: rate and bound are above 0, not {rate} and {bound}")
    free, latencies = 0.0, []
    for i, arrival in enumerate(np.cumsum(generator.exponential(1 / rate, len(samples))).tolist()):
        free = max(free, arrival) + measure(lambda i=i: run(samples[i : i + 1]), clock, 0, 1).median
        latencies.append(free - arrival)
    p99 = percentile(latencies, 99)
    return Served(p99, p99 <= bound, tuple(latencies))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-server", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def served(seconds, rate=1.0, bound=10.0, seed=0):
    """(Served, samples that ran, what the generator draws next) of queries that take these seconds."""
    (run, clock, got), generator = service(seconds), np.random.default_rng(seed)
    found = server(run, np.arange(len(seconds)), clock, rate, bound, generator)
    return found, got, float(generator.random())

def test_unit_server():
    found, got, after = served([2, 2, 2], 0.5, 3.3, seed=3)
    expect(found.latencies, (2.0, 3.220686, 2.421604), "the worked example", atol=1e-5)
    expect(found.p99, 3.220686, "its 99th percentile", atol=1e-5)
    expect(found.valid, True, "which keeps a bound of 3.3")
    types = [type(found.p99), type(found.valid), type(found.latencies[0])]
    expect(types, [float, bool, float], "types of Python")
    drawn = np.random.default_rng(3)
    drawn.exponential(2, 3)
    expect(after, drawn.random(), "three times between arrivals are drawn, and nothing else")
    expect(got, [[0], [1], [2]], "one query after the other, in order")
    expect(served([2, 2, 2], 0.5, 3.21, seed=3)[0].valid, False, "a bound of 3.21")
    reached = served([2, 2, 2], 0.5, float(found.p99), seed=3)[0]
    expect(reached.valid, True, "a bound that is just reached")
    found, wanted = served([1, 9, 1, 1, 1], 0.2, seed=2)[0], (1.0, 9.0, 7.432605, 4.895166, 1.0)
    expect(found.latencies, wanted, "one slow query makes those behind it wait", atol=1e-5)
    print("🔬 server: passed")

test_unit_server()

# %% nbgrader={"grade": true, "grade_id": "test-server-drawn", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_server_drawn():
    found = served([0.5, 0.25, 1, 0.5, 0.125], rate=2, bound=1, seed=1)[0]
    wanted = 0.5, 0.595773428, 1, 1.316786444, 1.384105424
    expect(found.latencies, wanted, "five queries, two a second, seed 1", atol=1e-9)
    expect([found.p99, found.valid], [1.384105424, False], "its percentile, and a bound of 1", atol=1e-9)
    idle = served([0.001] * 60, rate=0.1, bound=0.01, seed=2)[0]
    expect([idle.p99, idle.valid], [0.001, True], "hardly any users: nobody waits", atol=1e-9)
    full = served([1.0] * 60, rate=1.5, bound=5, seed=2)[0]
    expect([full.p99, full.valid], [23.799089424, False], "more than it can take: the queue grows", atol=1e-9)
    for number in (0, -2):
        expect_error(ValueError, number, served, [1], rate=number)
        expect_error(ValueError, number, served, [1], bound=number)
    expect_error(ValueError, "samples", served, [])
    expect_error(ValueError, "clock", served, [1, 0])
    print("🔬 server, drawn arrivals and errors: passed")

test_unit_server_drawn()

# %% nbgrader={"grade": true, "grade_id": "test-server-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: other rates, bounds and times.
### BEGIN HIDDEN TESTS
found = served([0.5, 2, 0.25, 0.25, 4, 1], 1.5, seed=6)[0]
wanted = 0.5, 2.3777, 2.225891, 2.118635, 5.628815, 5.699965
expect(found.latencies, wanted, "six queries", atol=1e-5)
expect([found.p99, found.valid], [max(wanted), True], "their p99", atol=1e-5)
times = 0.2 + 0.1 * np.cos(np.arange(120.0))
gaps = np.random.default_rng(9).exponential(1 / 4, 120)
arrived, done = np.cumsum(gaps), []
for i, arrival in enumerate(arrived):
    done.append(max([arrival, *done[-1:]]) + times[i])
found = served(times.tolist(), rate=4, bound=1.0, seed=9)[0]
expect(found.latencies, tuple((np.array(done) - arrived).tolist()), "120 queries", atol=1e-9)
expect(found.p99, np.percentile(np.array(done) - arrived, 99, method="inverted_cdf"), "p99 of 120", atol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: a server takes 10 ms for each query. Which rate keeps a p99 of 50 ms: 95, 80, 50 a second? And if every 200th query takes 100 ms?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def largest_rate(seconds, bound=0.05):
    """The largest of 1, 2, 3 … queries a second that keeps the bound, for 2,000 queries; 0 without one."""
    rates = []
    for rate in range(1, 100):
        machine = SimulatedMachine(np.random.default_rng(0), noise=0, drift=0, disturbed=0)
        run = {one: machine.program(one) for one in set(seconds)}
        work = lambda i, run=run: run[seconds[int(i[0]) % len(seconds)]]()
        if server(work, np.arange(2000), machine.clock, rate, bound, np.random.default_rng(1)).valid:
            rates.append(rate)
    return max(rates, default=0)

print(f"📊 10 ms each: at most {largest_rate([0.01])} queries a second")
print(f"📊 every 200th takes 100 ms: at most {largest_rate([0.01] * 199 + [0.1])}")

# %% [markdown]
r"""
The 10 slow ones of 2,000 break no p99, which leaves out 20; with those queueing behind, 21 are late at 9 a second.

### Find the fault

A new reader returns the old one's answers, in order. Run it: which line claims too much?
"""

# %%
machine = SimulatedMachine(np.random.default_rng(0))
start, work = machine.program(0.001), machine.program(0.02)
def read(image):
    work()
    return image % 10
def old(images=range(8)):
    start()
    return [read(image) for image in images]
def new(images=range(8)):
    start()
    return (read(image) for image in images)
print(compare(new, old, machine.clock, 30, np.random.default_rng(0)))
print("the same answers:", list(new()) == list(old()))

# %% [markdown]
r"""
<details><summary>Answer</summary>

The first `print`. `new` returns a generator that has read nothing yet: what was timed is a promise. A timed call has to end with its results there, as in the
second line: `compare(lambda: list(new()), …)`. A GPU that only queues its work fools a clock likewise.

</details>
"""

# %% [markdown]
r"""
## Which are worth having?

A reader may be small, fast or right; rarely all at once. One *dominates* another if it is at least as good in everything and better in something. What nobody dominates is the *Pareto front* (after V. Pareto): from
it one chooses.

    place    bytes   seconds   accuracy     directions min, min, max
    0        100     2         0.98
    1         30     3         0.97
    2         30     4         0.97         1 is as good in bytes and accuracy, and faster
    3        100     2         0.98         equals 0: neither dominates, both stay
    4         50     1         0.90                                            front: 0, 1, 3, 4

**Write `pareto(points, directions)`**: the places of the front, an ascending list of ints. `points`: one row of numbers for each candidate; `directions`: for each column "min", less is better, or "max". Without points it is a `ValueError` that says
so (*points*): a front of nothing would be one that everybody passes. So are a direction that is neither (named), rows of another length than `directions` (both numbers), and `nan` (named): it
compares with nothing, and would stand in every front.
"""

# %% nbgrader={"grade": false, "grade_id": "pareto", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["If more is better in a column, its negative is better when it is less: then there is one direction.", "For one candidate, ask of all others: nowhere worse, and somewhere better? Equal ones fail the second question."], "minutes": 30, "objective": "ranking"}
#| export
def pareto(points, directions):
    """The ascending places of the points that no other dominates: as good in every column, better in one.

    points: (n, k). directions: k times "min" or "max". Raises ValueError without points, for another
    direction, for rows of another length and for nan.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-pareto", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_pareto():
    points = [(100, 2, 0.98), (30, 3, 0.97), (30, 4, 0.97), (100, 2, 0.98), (50, 1, 0.9)]
    found = pareto(points, ("min", "min", "max"))
    expect(found, [0, 1, 3, 4], "the worked example")
    expect([type(place) for place in found], [int] * 4, "places are ints")
    expect(pareto(points, ("min", "min", "min")), [1, 4], "less is better in every column")
    expect(pareto(points, ("max", "max", "max")), [0, 2, 3], "more is better in every column")
    expect(pareto([row[:2] for row in points], ["min", "max"]), [2], "two columns")
    expect(pareto([[3], [1], [2], [1]], ["min"]), [1, 3], "one column: all that are best")
    expect(pareto([[3], [1], [2], [1]], ["max"]), [0], "one column, the other way")
    expect(pareto(np.array([[5.0, 7.0]]), ("max", "min")), [0], "one point")
    expect(pareto([(1, 1)] * 3, ("min", "min")), [0, 1, 2], "equal ones all stay")
    expect(pareto([(1, 5), (2, 5), (1, 6)], ("min", "min")), [0], "as good in one and worse in the other")
    expect(pareto([(0.0, math.inf), (1.0, 2.0)], ("min", "min")), [0, 1], "inf is a number")
    for empty in ([], np.zeros((0, 2))):
        expect_error(ValueError, "points", pareto, empty, ("min", "min"))
    for directions in (("upwards", "min"), ("min", "upwards")):
        expect_error(ValueError, "upwards", pareto, [(1, 2)], directions)
    expect_error(ValueError, [1, 2], pareto, [(5,), (6,)], ("min", "max"))
    expect_error(ValueError, "nan", pareto, [(1, 2), (math.nan, 3)], ("min", "min"))
    print("🔬 pareto: passed")

test_unit_pareto()

# %% nbgrader={"grade": true, "grade_id": "test-pareto-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: many points, drawn, in up to four columns.
### BEGIN HIDDEN TESTS
for columns in (1, 2, 3, 4):
    drawn = np.random.default_rng(columns).integers(4, size=(40, columns))
    directions = ("min", "max", "max", "min")[:columns]
    less = (drawn * np.array([1.0, -1, -1, 1])[:columns]).tolist()
    better = [[all(map(float.__le__, other, one)) and other != one for other in less] for one in less]
    front = [place for place, those in enumerate(better) if not any(those)]
    expect(pareto(drawn, directions), front, f"{columns} columns")
expect_error(ValueError, "Min", pareto, [(1, 3)], ("max", "Min"))
expect_error(ValueError, [3, 2], pareto, [(7, 8, 9)], ("min", "max"))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Rules for a ranking

A ranking without rules is won by the best trick. MLPerf has two *divisions*. In **closed**, everybody runs the same model, so that machines and code compare: numbers in fewer bits, other kernels and another order of the
same arithmetic are fine; retraining, pruning, another architecture and cached responses are not. In **open** all of that is allowed, and has to be said. In both, quality comes first here: whoever loses more than 1 % of
the reference's accuracy does not take part (MLPerf asks that of closed).

A `Candidate` carries measured numbers and declares what was changed. Its name decides nothing.

    reference  accuracy 0.98    floor 0.99 · 0.98 = 0.9702
    "tiny"     0.975    2 ms    pruning, retraining      closed: refused     open: place 1
    "int8"     0.972    4 ms    quantization                     place 1            place 2
    "best"     0.96     1 ms                                     refused            refused

**Write `rank(candidates, reference, division)`**: a list of `Placed`. First those that take part, the fewest seconds first, equal ones in the order given: `place` is 1 more than the number of those
that are faster (equal ones share a place), and `said` holds every declared change. Then the refused, in the order given: `place` is None, and `said` the reason. Below 0.99 · the reference's accuracy, or nan,
it holds *accuracy*; else, in closed, each change that is not in `ALLOWED`, known or not.

A `ValueError` for: a division that is neither "closed" nor "open" (named); `None` in place of the reference (*reference*); no candidates (*candidates*); seconds that are not above 0, as from a clock that stands still
(the candidate's name).
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Candidate", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
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

# %% nbgrader={"grade": false, "grade_id": "rank", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Two lists: those that take part, and the refused. Decide on accuracy before you look at what was changed.", "Python's sort keeps equal ones in the order given. A place follows from counting who is faster, not from the place in the list.", "Ask whether the accuracy reaches the floor, not whether it is below: nan reaches nothing."], "minutes": 35, "objective": "ranking"}
#| export
def rank(candidates, reference, division):
    """The ranking of `candidates` by seconds: a list of Placed.

    Those below 99 % of the reference's accuracy come last and have no place, in the division "closed" also
    those with changes outside of ALLOWED. Raises ValueError for a division other than that and "open",
    without reference or candidates, and for seconds that are not above 0.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rank", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def ranked(rows, division, accuracy=0.98):
    """(places and names, what was said) of candidates (name, accuracy, seconds, changes …)."""
    reference = Candidate("reference", accuracy, 0.01)
    found = rank([Candidate(*row[:3], row[3:]) for row in rows], reference, division)
    return [(one.place, one.name) for one in found], [str(one.said) for one in found]

FIELD = [
    ("tiny", 0.975, 0.002, "pruning", "retraining"), ("int8", 0.972, 0.004, "quantization"),
    ("best", 0.96, 0.001), ("as it was", 0.98, 0.010),
]  # fmt: skip

def test_unit_rank():
    found, said = ranked(FIELD, "closed")
    expect(found, [(1, "int8"), (2, "as it was"), (None, "tiny"), (None, "best")], "closed")
    expect(["quantization" in said[0], "accuracy" in said[3].lower()], [True, True], "closed: what was said")
    expect([change in said[2] for change in FIELD[0][3:]], [True, True], "closed: why not tiny")
    found, said = ranked(FIELD, "open")
    expect(found, [(1, "tiny"), (2, "int8"), (3, "as it was"), (None, "best")], "open")
    expect([change in said[0] for change in FIELD[0][3:]], [True, True], "open says what changed")
    for change in REFUSED:
        found = ranked([("efficient", 1.0, 0.001, "kernels", change), ("slow", 1.0, 9.0)], "closed")[0]
        expect(found, [(1, "slow"), (None, "efficient")], f"closed: {change}, whatever the name")
    for change in ALLOWED:
        found = ranked([("pruning", 1.0, 0.5, change), ("retraining", 1.0, 0.6)], "closed")[0]
        expect(found, [(1, "pruning"), (2, "retraining")], f"closed: {change}, whatever the names")
    print("🔬 rank: passed")

test_unit_rank()

# %% nbgrader={"grade": true, "grade_id": "test-rank-edges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_rank_edges():
    rows = [("d", 1, 4.0), ("b", 1, 2.0), ("a", 1, 1.0), ("c", 1, 2.0)]
    expect(ranked(rows, "open")[0], [(1, "a"), (2, "b"), (2, "c"), (4, "d")], "equal seconds share a place")
    rows = [("just", 0.99, 2.0), ("nan", math.nan, 1.0), ("below", 0.9899, 1.0, "pruning")]
    found, said = ranked(rows, "closed", accuracy=1.0)
    expect(found, [(1, "just"), (None, "nan"), (None, "below")], "99 % is enough, less is not, nor is nan")
    expect(["accuracy" in one.lower() for one in said[1:]], [True, True], "accuracy is asked for first")
    found, said = ranked([("new", 1, 1.0, "a flux compensator")], "closed")
    expect([found, "flux" in said[0]], [[(None, "new")], True], "closed: a change that nobody knows")
    expect(ranked([("new", 1, 1.0, "a flux compensator")], "open")[0], [(1, "new")], "and open")
    found = ranked([("x", 0.492, 1.0)], "open", accuracy=0.5)[0]
    expect(found, [(None, "x")], "1 % of the reference's accuracy, not 0.01; nobody reaches it")
    for division in ("Closed", "", "small"):
        expect_error(ValueError, division, ranked, FIELD, division)
    expect_error(ValueError, "reference", rank, [Candidate("x", 1.0, 1.0)], None, "open")
    expect_error(ValueError, "candidates", ranked, [], "open")
    for seconds in (0, -1.0, math.nan):
        expect_error(ValueError, "frozen", ranked, [("fine", 1, 1.0), ("frozen", 1, seconds)], "open")
    print("🔬 rank, ties, floors and errors: passed")

test_unit_rank_edges()

# %% nbgrader={"grade": true, "grade_id": "test-rank-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: a larger field in both divisions.
### BEGIN HIDDEN TESTS
rows = [
    ("a", 0.9, 3.0, "kernels"), ("b", 0.95, 1.0, "kernels", "pruning"),
    ("c", 0.9, 3.0, "batching", "quantization"), ("d", 0.8, 0.5),
    ("e", 0.91, 2.5, "key-value cache"), ("f", 0.9, 0.1, "cached responses"),
]  # fmt: skip
found, said = ranked(rows, "closed", accuracy=0.905)
expect(found, [(1, "e"), (2, "a"), (2, "c"), (None, "b"), (None, "d"), (None, "f")], "closed")
expect(["pruning" in said[3], "cached responses" in said[5]], [True, True], "closed: the reasons")
found, said = ranked(rows, "open", accuracy=0.905)
expect(found, [(1, "f"), (2, "b"), (3, "e"), (4, "a"), (4, "c"), (None, "d")], "open")
expect(["cached responses" in said[0], "quantization" in said[4]], [True, True], "open: what was changed")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    machine = SimulatedMachine(np.random.default_rng(0), cold=4)
    speeds = {"as it was": 0.010, "int8": 0.020, "small": 0.004}
    run = {name: machine.program(seconds) for name, seconds in speeds.items()}
    first = [measure(run["as it was"], machine.clock, 0, 1).median for _ in range(30)]
    expect(first_warm(first), 7, "a program that starts four times as slow")
    verdicts, points, field = [], [], []
    models = {"as it was": (0.98, ()), "int8": (0.975, ("quantization",)), "small": (0.972, ("pruning",))}
    for name, (accuracy, changes) in models.items():
        found = compare(run[name], run["as it was"], machine.clock, 40, np.random.default_rng(1))
        verdicts.append(found.verdict)
        seconds = single_stream(run[name], np.arange(50), machine.clock)
        points.append((float(seconds), accuracy))
        field.append(Candidate(name, accuracy, seconds, changes))
    expect(verdicts, ["not decided", "slower", "faster"], "compared with itself, a slower and a faster one")
    expect(pareto(points, ("min", "max")), [0, 2], "int8 is slower and less accurate than what it was")
    closed = [(one.place, one.name) for one in rank(field, field[0], "closed")]
    expect(closed, [(1, "as it was"), (2, "int8"), (None, "small")], "closed")
    expect([one.name for one in rank(field, field[0], "open")], ["small", "as it was", "int8"], "open")
    for rate, valid in [(50, True), (300, False)]:
        found = server(run["small"], np.arange(300), machine.clock, rate, 0.05, np.random.default_rng(2))
        expect(found.valid, valid, f"{rate} queries a second in at most 50 ms")
    print("🧪 module 19, three candidates from the first call to both rankings: passed")

test_module()

# %% [markdown]
r"""
## One run of everything

LeNet-5 and the GPT, as modules 15 to 18 change them: each beside the model it came from, in pairs, on one machine, in one run. The reader is trained once and kept, and so is the GPT (slow). **Predict**
for each: bytes, verdict, and whether it stays on the front.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import copy
import time
from pathlib import Path

from tinytorch.core.autograd import no_grad
from tinytorch.core.compression import factorize, rank_for, remove_channels, strongest_channels
from tinytorch.core.memoization import generate_cached
from tinytorch.core.optimizers import LambdaLR
from tinytorch.core.quantization import file_bytes, quantize_model
from tinytorch.core.spatial import Conv2d, Flatten, MaxPool2d
from tinytorch.core.tokenization import CharTokenizer
from tinytorch.core.transformers import GPT, generate, initialize, train_language_model
from tinytorch.datasets import load_shakespeare
from tinytorch.kernels import use_kernels
from tinytorch.measuring import machine_record, write_results
from tinytorch.notebook import trained

def lenet(seed=0):
    manual_seed(seed)
    eyes = Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))

def large_digits():
    digits, order = load_digits(), np.random.default_rng(0).permutation(1797)
    images = np.pad(np.kron(digits.images[order], np.ones((1, 3, 3))) / 16, [(0, 0), (2, 2), (2, 2)])
    images, labels = images[:, None].astype(np.float32), digits.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])

def train_lenet(model, epochs=12, batch=32):
    (images, labels), _ = large_digits()
    optimizer, draw = SGD(model.parameters(), lr=0.05, momentum=0.9), np.random.default_rng(0)
    schedule = LambdaLR(optimizer, lambda i: 1 - i / (epochs * 45))
    for _ in range(epochs):
        for picked in np.array_split(draw.permutation(1437), 45):
            training_step(model, cross_entropy, optimizer, Tensor(images[picked]), labels[picked])
            schedule.step()

def small_gpt():
    return initialize(GPT(65, 64, 4, 4, 128), 4, np.random.default_rng(0))

def train_gpt(model, steps=600):
    text = load_shakespeare()
    ids = np.array(CharTokenizer(text).encode(text))[: len(text) * 9 // 10]
    train_language_model(model, ids, steps, generator=np.random.default_rng(0))

(seen, _), (unseen, answers) = large_digits()
text = load_shakespeare()
ids = np.array(CharTokenizer(text).encode(text))[len(text) * 9 // 10 :]
windows = ids[np.arange(0, len(ids) - 64, 2048)[:, None] + np.arange(65)]

def fewer_channels(model):
    """Two thirds of LeNet-5's channels and half of its hidden units, trained on for three epochs."""
    model = remove_channels(model, strongest_channels(model, {0: 4, 3: 10, 7: 60, 9: 42}))
    train_lenet(model, 3)
    return model

def two_factors(model):
    model[7] = factorize(model[7], rank_for(model[7].weight.numpy(), 0.9))
    return model

READERS = {
    "eight bits": (lambda model: quantize_model(model, [seen[:100]]), ("quantization",)),
    "own kernels": (lambda model: use_kernels(model, "yours"), ("kernels",)),
    "fewer channels": (fewer_channels, ("pruning", "retraining")),
    "two factors": (two_factors, ("another architecture",)),
}
WRITERS = {
    "cache": (lambda model: model, generate_cached, ("key-value cache",)),
    "eight bits": (quantize_model, generate, ("quantization",)),
    "both": (quantize_model, generate_cached, ("quantization", "key-value cache")),
}

@no_grad()
def right(model, inputs, wanted):
    """The share of right answers."""
    return float((model(inputs).numpy().argmax(axis=-1) == wanted).mean())

def row_of(task, name, seed, model, accuracy, changes=(), pair=None):
    """A row of the results file; pair: the two programs, of candidate and reference."""
    found, size = Ratio(1.0, 1.0, 1.0, "reference", ()), file_bytes(model)
    if pair:
        found = compare(*pair, time.perf_counter, 30, np.random.default_rng(0))
    print(f"📊 {task}, {name:14}: {size:9,} bytes, accuracy {accuracy:.4f}, {found}")
    return {"task": task, "name": name, "changes": list(changes), "seed": seed, "accuracy": accuracy,
            "bytes": size, "ratio": {part: getattr(found, part) for part in ("median", "lower", "upper")},
            "verdict": found.verdict}

def measure_readers(seed):
    """Rows of LeNet-5 and what it became: 64 images that differ from call to call."""
    model, draw = trained(f"15_lenet_{seed}", lambda: lenet(seed), train_lenet), np.random.default_rng(seed)
    runs = lambda one: lambda: one(Tensor(unseen[draw.integers(360, size=64)]))
    rows = [row_of("LeNet-5", "as trained", seed, model, right(model, Tensor(unseen), answers))]
    for name, (change, changes) in READERS.items():
        one = change(copy.deepcopy(model)).eval()
        with no_grad():
            rows.append(row_of("LeNet-5", name, seed, one, right(one, Tensor(unseen), answers), changes,
                               (runs(one), runs(model))))
    return rows

def measure_writers(new=32):
    """Rows of the GPT and what it became: `new` characters after prompts that differ from call to call."""
    model, draw = trained("gpt", small_gpt, train_gpt), np.random.default_rng(0)
    prompt = lambda: windows[draw.integers(len(windows)), :16][None]
    runs = lambda one, write: lambda: write(one, prompt(), new, generator=draw)
    rows = [row_of("GPT", "as trained", 0, model, right(model, windows[:, :-1], windows[:, 1:]))]
    for name, (change, write, changes) in WRITERS.items():
        one = change(model)
        rows.append(row_of("GPT", name, 0, one, right(one, windows[:, :-1], windows[:, 1:]), changes,
                           (runs(one, write), runs(model, generate))))
    return rows

rows = measure_readers(0) + measure_writers()
record = machine_record()
print(f"📊 {record['processor']}, {record['blas']}, load {record['load']}; "
      f"map_blocks uses {record['threads']} threads")
folder = next((one for one in Path.cwd().parents if (one / ".tito").is_dir()), Path.cwd())
write_results(folder / ".tito" / "results.json", rows)

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt

def analyze_front():
    """Bytes and seconds beside the model it came from, each task's front filled; then both rankings."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, task in zip(panels, ("LeNet-5", "GPT"), strict=True):
        field = [row for row in rows if row["task"] == task]
        points = [(row["bytes"], row["ratio"]["median"], row["accuracy"]) for row in field]
        front = pareto(points, ("min", "min", "max"))
        for i, (row, mark) in enumerate(zip(field, "osD^v", strict=False)):
            time_of, size = row["ratio"], row["bytes"] / 1e3
            error = [[time_of["median"] - time_of["lower"]], [time_of["upper"] - time_of["median"]]]
            label = f"{row['name']}: {row['accuracy']:.3f} right"
            axes.errorbar(size, time_of["median"], error, fmt=mark, markersize=8, capsize=3, label=label,
                          fillstyle="full" if i in front else "none")
        axes.axhline(1, linestyle=":", color="0.5")
        axes.set(title=f"{task}: the front is filled", xlabel="kilobytes", xlim=(0, None), ylim=(0, None),
                 ylabel="time, the original's is 1")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small")
        print(f"📊 {task}, front: {', '.join(field[i]['name'] for i in front)}")
        candidates = [Candidate(row["name"], row["accuracy"], row["ratio"]["median"], tuple(row["changes"]))
                      for row in field]
        for division in ("closed", "open"):
            print(f"   {division}:")
            for one in rank(candidates, candidates[0], division):
                print(f"      {one.place or 'refused'!s:8}{one.name} ({one.said or 'unchanged'})")
    plt.show()

analyze_front()

# %% [markdown]
r"""
Smaller is not faster by itself, and a front has no winner: it says what the choice costs. It and both rankings go by medians: two places whose intervals overlap, or a verdict *not decided*, say nothing of who is
faster. All this is one run on one machine; `.tito/results.json` holds it with the machine's record, by a schema (`SCHEMA` in `tinytorch/measuring.py`), so that another run can be laid beside it.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-claims", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which of your candidates were *not decided*, and what would you do, and not do, to decide it? (b) Which candidates of LeNet-5 stand on the front and are refused in closed? Say of one which rule it breaks, and why that rule exists. (c) Somebody
writes: "our reader is 1.3 times as fast, best of ten runs on seed 3". Name three measurements that you would ask for, with the function of this module that makes each.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-claims", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) those of the student's print (or none); more pairs, planned before looking, on a quieter machine; not repeating until it comes out right, and not calling it "equal", 1 point. (b) One with pruning, retraining or another
architecture, as printed; closed compares machines and code on the same model, and whoever may change the model compares models, 1 point. (c) Three of: pairs in turns with an interval (`compare`), a start that is left out
(`first_warm`), several seeds (`mean_interval`), the slow requests (`percentile`, `single_stream`, `server`), the accuracy beside the reference's (`rank`), 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

Module 20 is yours: a model of your own, and somebody else who measures it. Next: `tito module complete 19_benchmarking`.
"""
