# %% mean_interval: the standard library, and ranks by counting
import statistics


def mean_interval(samples, confidence=0.95):
    values = [float(one) for one in samples]
    if len(values) < 2:
        raise ValueError(f"only {len(values)} of them")
    if confidence <= 0 or confidence >= 1:
        raise ValueError(f"not a share: {confidence}")
    mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    t, z = t_critical(confidence, len(values) - 1), z_critical(confidence)
    return Interval(mean, t * error, z * error)


def percentile(samples, percent):
    count = len(samples)
    if count < 1 or not (0 < percent <= 100):
        raise ValueError(f"{count} samples, {percent} percent")
    for place, value in enumerate(sorted(samples), 1):
        if place * 100 >= percent * count:
            return float(value)

# %% mean_interval: sums of squares, and a partition
def mean_interval(samples, confidence=0.95):
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence}")
    n = len(samples)
    if n <= 1:
        raise ValueError(f"n = {n}")
    x = np.array(samples, dtype=np.float64)
    mean = x.sum() / n
    error = math.sqrt(((x - mean) ** 2).sum() / (n - 1) / n)
    return Interval(mean=float(mean), half=error * t_critical(confidence, n - 1), z_half=error * z_critical(confidence))


def percentile(samples, percent):
    if percent <= 0 or percent > 100:
        raise ValueError(f"percent = {percent}")
    if not len(samples):
        raise ValueError("0 samples")
    rank = -int(-(percent * len(samples)) // 100)
    return float(np.partition(np.asarray(samples), rank - 1)[rank - 1])

# %% mean_interval: a helper for the error, and fractions for the rank
from fractions import Fraction


def error_of(x):
    return float(np.sqrt(np.var(x, ddof=1) / x.size))


def mean_interval(samples, confidence=0.95):
    x = np.asarray(list(samples), float)
    if x.size in (0, 1):
        raise ValueError(f"an interval of {x.size} samples?")
    if not (confidence > 0 and confidence < 1):
        raise ValueError(f"confidence: {confidence}")
    return Interval(float(np.mean(x)), *(f * error_of(x) for f in (t_critical(confidence, x.size - 1), z_critical(confidence))))


def percentile(samples, percent):
    if len(samples) == 0:
        raise ValueError("of 0 samples")
    if not 0 < percent <= 100:
        raise ValueError(f"{percent} percent")
    rank = math.ceil(Fraction(percent) * len(samples) / 100)
    return float(np.sort(samples)[rank - 1])

# %% compare: two lists
def compare(a, b, clock, pairs, generator):
    if pairs <= 1:
        raise ValueError(f"{pairs}: too few")
    a()
    b()
    ratios = []
    for pair in range(pairs):
        if pair % 2:
            below = timed(b, clock)
            above = timed(a, clock)
        else:
            above = timed(a, clock)
            below = timed(b, clock)
        ratios.append(above / below)
    drawn = generator.integers(pairs, size=(1000, pairs))
    medians = [float(np.median([ratios[place] for place in row])) for row in drawn]
    lower, upper = (float(end) for end in np.quantile(medians, [0.025, 0.975]))
    verdict = "not decided"
    if lower > 1:
        verdict = "slower"
    if upper < 1:
        verdict = "faster"
    return Ratio(float(np.median(ratios)), lower, upper, verdict, tuple(ratios))


def timed(function, clock):
    begin = clock()
    function()
    seconds = float(clock() - begin)
    if seconds <= 0:
        raise ValueError("the clock has stopped")
    return seconds

# %% compare: the order written out
def compare(a, b, clock, pairs, generator):
    if not pairs >= 2:
        raise ValueError(f"pairs: {pairs}")
    once = {"clock": clock, "warmup": 0, "repeats": 1}
    for program in (a, b):
        program()
    order = "ab" + "abba" * pairs
    seconds = {"a": [], "b": []}
    for name in order[2 : 2 + 2 * pairs]:
        seconds[name].append(measure({"a": a, "b": b}[name], **once).runs[0])
    ratios = np.divide(seconds["a"], seconds["b"])
    medians = np.median(np.take(ratios, generator.integers(0, pairs, (1000, pairs))), axis=-1)
    ends = np.percentile(medians, [2.5, 97.5])
    place = int(ends[0] > 1) - int(ends[1] < 1)
    verdict = {-1: "faster", 0: "not decided", 1: "slower"}[place]
    return Ratio(float(np.median(ratios)), float(ends[0]), float(ends[1]), verdict, tuple(map(float, ratios)))

# %% compare: pairs two by two
def compare(a, b, clock, pairs, generator):
    if pairs < 2:
        raise ValueError("pairs is " + str(pairs))

    def seconds(function):
        start = clock()
        function()
        return clock() - start

    warm = a(), b()
    found = []
    while len(found) < pairs:
        first = seconds(a)
        found.append((first, seconds(b)))
        if len(found) < pairs:
            second = seconds(b)
            found.append((seconds(a), second))
    times = np.array(found, dtype=float)
    if times.min() <= 0:
        raise ValueError("Clock: nothing passes")
    ratios = times[:, 0] / times[:, 1]
    picks = generator.integers(pairs, size=(1000, pairs))
    medians = np.median(ratios[picks], 1)
    lower, upper = np.quantile(medians, 0.025), np.quantile(medians, 0.975)
    return Ratio(
        float(np.median(ratios)),
        float(lower),
        float(upper),
        ("faster", "slower", "not decided")[0 if upper < 1 else 1 if lower > 1 else 2],
        tuple(float(one) for one in ratios),
    )

# %% false_alarms: a list of verdicts
def false_alarms(compare, trials=400, pairs=30):
    if trials <= 0:
        raise ValueError(f"trials: {trials}")
    if pairs < 30:
        raise ValueError(f"pairs: {pairs}")
    verdicts = []
    for i in range(trials):
        rng = np.random.default_rng(i)
        machine = SimulatedMachine(rng)
        a, b = machine.program(1.0), machine.program(1.0)
        verdicts.append(compare(a, b, machine.clock, pairs, rng).verdict)
    return float(np.mean([verdict in ("faster", "slower") for verdict in verdicts]))

# %% false_alarms: a helper for a trial
def one_trial(compare, seed, pairs):
    generator = np.random.default_rng(seed)
    machine = SimulatedMachine(generator)
    programs = [machine.program(1.0) for _ in range(2)]
    return compare(*programs, machine.clock, pairs, generator).verdict == "not decided"


def false_alarms(compare, trials=400, pairs=30):
    for number, least in ((trials, 1), (pairs, 30)):
        if number < least:
            raise ValueError(f"{number} is less than {least}")
    quiet = sum(one_trial(compare, seed, pairs) for seed in range(trials))
    return (trials - quiet) / trials

# %% false_alarms: counts down
def false_alarms(compare, trials=400, pairs=30):
    if trials < 1:
        raise ValueError(f"{trials} trials")
    if not pairs >= 30:
        raise ValueError(f"{pairs} pairs")
    alarms = 0.0
    for generator in map(np.random.default_rng, range(trials)):
        simulated = SimulatedMachine(generator)
        a = simulated.program(1.0)
        b = simulated.program(1.0)
        ratio = compare(a, b, simulated.clock, pairs, generator)
        if str(ratio.verdict) == "not decided":
            continue
        alarms += 1 / trials
    return round(alarms, 12)

# %% first_warm: sliding windows
def first_warm(samples, window=5):
    if window <= 0:
        raise ValueError(f"window = {window}")
    if len(samples) - 2 * window < 0:
        raise ValueError(f"{len(samples)} samples for windows of {window}")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(np.asarray(samples, float), window), axis=1)
    near = np.abs(medians - medians[-1]) <= 0.05 * medians[-1]
    places = np.flatnonzero(near[: len(samples) - 2 * window + 1])
    return int(places[0]) if len(places) else None

# %% first_warm: the middle of sorted windows
import statistics


def first_warm(samples, window=5):
    n = len(samples)
    if window < 1 or n < 2 * window:
        raise ValueError(f"{n} samples, window {window}")
    values = [float(one) for one in samples]
    last = statistics.median(values[n - window :])
    place = 0
    while place + 2 * window <= n:
        here = statistics.median(values[place : place + window])
        if max(here - last, last - here) <= last * 0.05:
            return place
        place += 1

# %% first_warm: next of a generator
def first_warm(samples, window=5):
    if window < 1:
        raise ValueError(f"a window of {window}")
    if len(samples) < window * 2:
        raise ValueError(f"too few: {len(samples)}")
    goal = float(np.median(samples[-window:]))
    median = lambda place: float(np.median(samples[place : place + window]))
    last_place = len(samples) - 2 * window
    return next((i for i in range(last_place + 1) if abs(median(i) - goal) <= goal * 0.05), None)

# %% offline: reads the clock by itself
def offline(run, samples, clock):
    if not len(samples):
        raise ValueError("No samples")
    begin = clock()
    run(samples)
    seconds = clock() - begin
    if seconds <= 0:
        raise ValueError("this clock stands still")
    return float(len(samples) / seconds)


def single_stream(run, samples, clock):
    if not len(samples):
        raise ValueError("No samples")
    latencies = []
    for i in range(len(samples)):
        one = samples[i : i + 1]
        begin = clock()
        run(one)
        latencies.append(clock() - begin)
        if latencies[-1] <= 0:
            raise ValueError("this clock stands still")
    return float(percentile(latencies, 90))

# %% offline: one helper
def seconds_for(run, samples, clock):
    if len(samples) == 0:
        raise ValueError("samples: none")
    return measure(lambda: run(samples), clock=clock, warmup=0, repeats=1).runs[0]


def offline(run, samples, clock):
    seconds = seconds_for(run, samples, clock)
    return len(samples) / seconds


def single_stream(run, samples, clock):
    count = len(samples)
    if count == 0:
        raise ValueError("samples: none")
    ordered = sorted(seconds_for(run, samples[i : i + 1], clock) for i in range(count))
    return ordered[-(-90 * count // 100) - 1]

# %% offline: functools
import functools


def offline(run, samples, clock):
    if len(samples) < 1:
        raise ValueError("samples are wanted")
    timing = measure(functools.partial(run, samples), clock, 0, 1)
    return float(np.divide(len(samples), timing.median))


def single_stream(run, samples, clock):
    if len(samples) < 1:
        raise ValueError("samples are wanted")
    latencies = np.zeros(len(samples))
    for i, _ in enumerate(samples):
        latencies[i] = measure(functools.partial(run, samples[i : i + 1]), clock, 0, 1).median
    return percentile(latencies, 90)

# %% server: arrivals one after the other
def server(run, samples, clock, rate, bound, generator):
    for number in (rate, bound):
        if not number > 0:
            raise ValueError(f"{number} is not above 0")
    if len(samples) == 0:
        raise ValueError("samples: there are none")
    gaps = generator.exponential(1 / rate, len(samples))
    arrival, done, latencies = 0.0, 0.0, []
    for i, gap in enumerate(gaps):
        arrival += float(gap)
        begin = clock()
        run(samples[i : i + 1])
        work = clock() - begin
        if work <= 0:
            raise ValueError("clock: it does not move")
        done = arrival + work if arrival >= done else done + work
        latencies.append(done - arrival)
    p99 = percentile(latencies, 99)
    return Served(p99, bool(p99 <= bound), tuple(latencies))

# %% server: waiting by Lindley's recursion
def server(run, samples, clock, rate, bound, generator):
    if rate <= 0 or bound <= 0:
        raise ValueError(f"rate {rate}, bound {bound}")
    count = len(samples)
    if count < 1:
        raise ValueError("0 samples")
    gaps = generator.exponential(scale=1 / rate, size=count)
    work = [measure(lambda i=i: run(samples[i : i + 1]), clock, 0, 1).median for i in range(count)]
    wait, latencies = 0.0, []
    for i in range(count):
        if i:
            wait = max(0.0, wait + work[i - 1] - float(gaps[i]))
        latencies.append(wait + work[i])
    p99 = percentile(latencies, 99)
    return Served(p99=p99, valid=not p99 > bound, latencies=tuple(latencies))

# %% server: vectorised
def server(run, samples, clock, rate, bound, generator):
    if not (rate > 0 and bound > 0):
        raise ValueError(f"above 0, please: {rate}, {bound}")
    if not len(samples):
        raise ValueError("where are the samples?")
    arrivals = np.cumsum(generator.exponential(1 / rate, len(samples)))
    work = np.array([measure(lambda i=i: run(samples[i : i + 1]), clock, 0, 1).median for i in range(len(samples))])
    before = np.cumsum(work) - work
    done = np.maximum.accumulate(arrivals - before) + before + work
    latencies = (done - arrivals).tolist()
    p99 = percentile(latencies, 99)
    return Served(p99, bool(p99 <= bound), tuple(latencies))

# %% pareto: loops
def pareto(points, directions):
    if len(points) == 0:
        raise ValueError("points: none")
    wrong = [direction for direction in directions if direction not in {"min", "max"}]
    if wrong:
        raise ValueError(f"what is {wrong[0]}?")
    rows = []
    for row in points:
        if len(row) != len(directions):
            raise ValueError(f"{len(row)} numbers, {len(directions)} directions")
        if any(math.isnan(value) for value in row):
            raise ValueError("a nan")
        rows.append([value if how == "min" else -value for value, how in zip(row, directions, strict=True)])

    def beats(one, other):
        pairs = list(zip(one, other, strict=True))
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return [i for i, row in enumerate(rows) if not any(beats(other, row) for other in rows)]

# %% pareto: a table of all pairs
def pareto(points, directions):
    for direction in directions:
        if direction != "min" and direction != "max":
            raise ValueError(f"direction {direction}")
    points = np.array(points, float)
    if not points.size:
        raise ValueError("no points")
    count, width = points.shape
    if width != len(directions):
        raise ValueError(f"{width} columns but {len(directions)} directions")
    if not (points == points).all():
        raise ValueError("nan among the points")
    flipped = np.where(np.array(directions) == "max", -points, points)
    worse_nowhere = (flipped[:, None, :] <= flipped[None]).all(axis=-1)
    equal = (flipped[:, None, :] == flipped[None]).all(axis=-1)
    dominated = (worse_nowhere & ~equal).any(axis=0)
    return [int(place) for place in np.nonzero(~dominated)[0]]

# %% pareto: sorted first
def pareto(points, directions):
    if not len(points):
        raise ValueError("Points?")
    signs = {"min": 1.0, "max": -1.0}
    if set(directions) - set(signs):
        raise ValueError(f"one of these is neither: {directions}")
    rows = [tuple(map(float, row)) for row in np.asarray(points, float)]
    if {len(row) for row in rows} != {len(directions)}:
        raise ValueError(f"lengths {len(rows[0])} and {len(directions)}")
    if np.isnan(np.array(rows)).any():
        raise ValueError("nan")
    rows = [tuple(signs[how] * value for how, value in zip(directions, row, strict=True)) for row in rows]
    front = []  # of different rows: whoever dominates another comes before it in this order
    for row in sorted(set(rows)):
        if not any(all(x <= y for x, y in zip(kept, row, strict=True)) for kept in front):
            front.append(row)
    return [place for place, row in enumerate(rows) if row in front]

# %% rank: one sort for all
def rank(candidates, reference, division):
    if division != "closed" and division != "open":
        raise ValueError(f"division {division}")
    if reference is None:
        raise ValueError("Reference?")
    if not candidates:
        raise ValueError("no candidates")
    judged = []
    for one in candidates:
        if not one.seconds > 0:
            raise ValueError(f"seconds of {one.name}: {one.seconds}")
        reason = None
        if not one.accuracy >= reference.accuracy * 0.99:
            reason = "its accuracy is too low"
        elif division == "closed" and set(one.changes) - set(ALLOWED):
            reason = "changed: " + ", ".join(sorted(set(one.changes) - set(ALLOWED)))
        judged.append((one, reason))
    judged.sort(key=lambda pair: (1, 0) if pair[1] else (0, pair[0].seconds))
    fine = [one.seconds for one, reason in judged if not reason]
    return [
        Placed(None, one.name, reason) if reason else Placed(fine.index(one.seconds) + 1, one.name, "; ".join(one.changes))
        for one, reason in judged
    ]

# %% rank: three passes
def why_not(one, floor, closed):
    if one.accuracy != one.accuracy or one.accuracy < floor:
        return f"ACCURACY {one.accuracy}"
    if closed:
        wrong = tuple(change for change in one.changes if change not in ALLOWED)
        return f"closed does not take {wrong}" if wrong else ""
    return ""


def rank(candidates, reference, division):
    closed = {"closed": True, "open": False}.get(division)
    if closed is None:
        raise ValueError(f"who knows {division!r}")
    if len(candidates) < 1:
        raise ValueError("candidates: 0")
    if reference is None:
        raise ValueError("there is no reference")
    for one in candidates:
        if one.seconds <= 0 or math.isnan(one.seconds):
            raise ValueError(f"{one.name}: {one.seconds} seconds")
    reasons = [why_not(one, 0.99 * reference.accuracy, closed) for one in candidates]
    taking_part = [one for one, reason in zip(candidates, reasons, strict=True) if reason == ""]
    out, place, before = [], 0, None
    for number, one in enumerate(sorted(taking_part, key=lambda one: one.seconds), 1):
        place = place if one.seconds == before else number
        before = one.seconds
        out.append(Placed(place, one.name, f"{one.changes}"))
    return out + [Placed(None, one.name, reason) for one, reason in zip(candidates, reasons, strict=True) if reason]

# %% rank: NumPy's stable sort
def rank(candidates, reference, division):
    if division not in {"closed", "open"}:
        raise ValueError(f"neither closed nor open: {division}")
    if reference is None or len(candidates) == 0:
        raise ValueError("rank needs a reference and candidates")
    seconds = np.array([float(one.seconds) for one in candidates])
    if not (seconds > 0).all():
        raise ValueError(f"seconds of {candidates[int(np.argmin(seconds > 0))].name}")
    enough = [bool(one.accuracy >= 0.99 * reference.accuracy) for one in candidates]
    wrong = [[change for change in one.changes if change not in ALLOWED] for one in candidates]
    if division == "open":
        wrong = [[] for _ in candidates]
    takes_part = np.array([good and not changes for good, changes in zip(enough, wrong, strict=True)])
    placed = []
    for i in np.argsort(seconds, kind="stable"):
        if takes_part[i]:
            faster = int((seconds[takes_part] < seconds[i]).sum())
            placed.append(Placed(faster + 1, candidates[i].name, " and ".join(candidates[i].changes)))
    for i, one in enumerate(candidates):
        if not takes_part[i]:
            placed.append(Placed(None, one.name, " and ".join(wrong[i]) if enough[i] else "accuracy"))
    return placed
