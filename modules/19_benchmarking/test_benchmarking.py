"""Benchmarking as it is used: intervals, pairs on simulated machines, queues, fronts, rankings, a results file."""

import itertools
import json
import math
import statistics

import numpy as np
import pytest

from tinytorch.core.benchmarking import (
    ALLOWED,
    REFUSED,
    Candidate,
    Placed,
    Ratio,
    compare,
    false_alarms,
    first_warm,
    mean_interval,
    offline,
    pareto,
    percentile,
    rank,
    server,
    single_stream,
)
from tinytorch.measuring import (
    SimulatedMachine,
    check_results,
    machine_record,
    read_results,
    t_critical,
    write_results,
    z_critical,
)


def machine(seed=0, **settings):
    return SimulatedMachine(np.random.default_rng(seed), **settings)


QUIET = {"noise": 0, "drift": 0, "disturbed": 0}


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("count", [2, 3, 30])
def test_an_interval_reaches_as_far_as_its_critical_values(count, confidence):
    samples = np.random.default_rng(count).normal(3, 2, count).tolist()
    found = mean_interval(samples, confidence)
    error = statistics.stdev(samples) / math.sqrt(count)
    assert found.mean == pytest.approx(statistics.mean(samples))
    assert found.half == pytest.approx(t_critical(confidence, count - 1) * error)
    assert found.z_half == pytest.approx(z_critical(confidence) * error)
    assert (found.lower, found.upper) == pytest.approx((found.mean - found.half, found.mean + found.half))
    assert found.z_half < found.half


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    drawn = np.random.default_rng(5).normal(10, 2, size=(1000, 4))
    held = [abs(one.mean - 10) <= one.half for one in map(mean_interval, drawn)]
    assert 0.93 < np.mean(held) < 0.97
    assert np.mean([abs(one.mean - 10) <= one.z_half for one in map(mean_interval, drawn)]) < 0.9


def test_what_intervals_and_percentiles_refuse():
    with pytest.raises(ValueError, match="1"):
        mean_interval([3.0])
    with pytest.raises(ValueError, match="95"):
        mean_interval([3.0, 4.0], 95)
    with pytest.raises(ValueError):
        percentile([], 50)
    with pytest.raises(ValueError, match="0"):
        percentile([1, 2], 0)


@pytest.mark.parametrize("count", [1, 2, 7, 100, 1000])
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(count):
    samples = np.random.default_rng(count).permutation(count).tolist()
    for percent in (1, 7, 29, 50, 90, 99, 100):
        found = percentile(samples, percent)
        enough = [one for one in samples if 100 * sum(other <= one for other in samples) >= percent * count]
        assert found == min(enough)


def test_pairs_are_in_turns_and_warmed():
    order, now = [], itertools.count(1.0)
    compare(lambda: order.append("a"), lambda: order.append("b"), lambda: next(now), 4, np.random.default_rng(0))
    assert "".join(order) == "ab" + "abbaabba"


@pytest.mark.parametrize(("seconds", "verdict"), [(0.5, "faster"), (1.0, "not decided"), (2.0, "slower")])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_differences_are_found_on_a_noisy_machine(seconds, verdict, seed):
    noisy = machine(seed)
    found = compare(noisy.program(seconds), noisy.program(1.0), noisy.clock, 40, np.random.default_rng(seed))
    assert found.verdict == verdict
    assert found.lower <= found.median <= found.upper
    assert found.median == pytest.approx(seconds, rel=0.1)
    assert found.median == pytest.approx(np.median(found.ratios))


def test_the_same_generator_gives_the_same_interval():
    results = []
    for seed in (3, 3, 4):
        noisy = machine(1)
        results.append(compare(noisy.program(1.0), noisy.program(1.1), noisy.clock, 35, np.random.default_rng(seed)))
    assert results[0] == results[1]
    assert results[0].ratios == results[2].ratios and results[0] != results[2]


def test_what_a_comparison_refuses():
    with pytest.raises(ValueError, match="1"):
        compare(lambda: None, lambda: None, lambda: 0.0, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"(?i)clock"):
        compare(lambda: None, lambda: None, lambda: 0.0, 5, np.random.default_rng(0))


def test_a_ratio_reads_as_one_line():
    assert str(Ratio(0.5, 0.45, 0.55, "faster", ())) == "faster, 0.5 times as long (0.45 to 0.55)"


def test_false_alarms_are_as_many_as_an_interval_allows():
    assert 0.02 <= false_alarms(compare) <= 0.09


def test_the_best_of_ten_runs_cries_wolf_every_time():
    def hasty(a, b, clock, pairs, generator):
        best = []
        for program in (a, b):
            times = []
            for _ in range(10):
                begin = clock()
                program()
                times.append(clock() - begin)
            best.append(min(times))
        verdict = "not decided" if best[0] == best[1] else "faster" if best[0] < best[1] else "slower"
        return Ratio(1.0, 1.0, 1.0, verdict, ())

    assert false_alarms(hasty, 20) == 1
    with pytest.raises(ValueError, match="29"):
        false_alarms(hasty, 20, 29)


def test_warm_is_where_a_cold_start_has_worn_off():
    cold = machine(**QUIET, cold=9)
    run, samples = cold.program(1.0), []
    for _ in range(40):
        begin = cold.clock()
        run()
        samples.append(cold.clock() - begin)
    place = first_warm(samples)
    assert np.median(samples[place : place + 5]) <= 1.05 * samples[-1] < np.median(samples[place - 1 : place + 4])
    assert first_warm(samples[30:]) == 0
    assert first_warm([30, 28, 26, 24, 22, 20, 18, 16, 14, 12]) is None
    with pytest.raises(ValueError, match="3"):
        first_warm([1, 1, 1])


def test_scenarios_ask_for_different_numbers():
    quiet = machine(**QUIET)
    each, once = quiet.program(0.01), quiet.program(0.05)

    def run(samples):
        once()
        for _ in samples:
            each()

    samples = np.arange(100)
    assert offline(run, samples, quiet.clock) == pytest.approx(100 / 1.05)
    assert single_stream(run, samples, quiet.clock) == pytest.approx(0.06)
    for scenario in (offline, single_stream):
        with pytest.raises(ValueError, match=r"(?i)samples"):
            scenario(run, samples[:0], quiet.clock)
        with pytest.raises(ValueError, match=r"(?i)clock"):
            scenario(run, samples, lambda: 3.0)


def queue(arrivals, seconds):
    """Latencies of a queue by events, one second's thousandth after the other being of no account."""
    waiting, done, now = list(zip(arrivals, seconds, strict=True)), [], 0.0
    while waiting:
        arrival, work = waiting.pop(0)
        now = arrival if arrival > now else now
        now += work
        done.append(now - arrival)
    return done


@pytest.mark.parametrize("rate", [5, 60, 200])
def test_a_server_queues_what_comes_at_once(rate):
    quiet = machine(**QUIET)
    work = [0.01, 0.03, 0.005]
    programs = [quiet.program(seconds) for seconds in work]
    found = server(
        lambda ids: programs[ids[0] % 3](), np.arange(90), quiet.clock, rate, 0.1, np.random.default_rng(7)
    )
    arrivals = np.cumsum(np.random.default_rng(7).exponential(1 / rate, 90))
    wanted = queue(arrivals, work * 30)
    np.testing.assert_allclose(found.latencies, wanted, atol=1e-9)
    assert found.p99 == pytest.approx(percentile(wanted, 99))
    assert found.valid is (percentile(wanted, 99) <= 0.1)


def test_what_a_server_refuses():
    for rate, bound in [(0, 1), (1, 0), (-3, 1)]:
        with pytest.raises(ValueError, match=str(min(rate, bound))):
            server(print, [1], lambda: 0.0, rate, bound, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"(?i)samples"):
        server(print, [], lambda: 0.0, 1, 1, np.random.default_rng(0))


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_nobody_on_a_front_is_dominated_and_everybody_else_is(columns):
    points = np.random.default_rng(columns).integers(6, size=(60, columns)).astype(float)
    front = pareto(points, ["max"] * columns)
    for place, one in enumerate(points):
        dominated = any((other >= one).all() and (other > one).any() for other in points)
        assert dominated == (place not in front)
    assert front == pareto(-points, ["min"] * columns)


def test_what_a_front_refuses():
    cases = [([], ["min"], "points"), ([[1]], ["low"], "low"), ([[1, 2]], ["min"], "2"), ([[math.nan]], ["max"], "nan")]
    for points, directions, said in cases:
        with pytest.raises(ValueError, match=f"(?i){said}"):
            pareto(points, directions)


REFERENCE = Candidate("reference", 0.9, 1.0)


@pytest.mark.parametrize("change", [*REFUSED, "something new"])
def test_closed_refuses_what_open_says(change):
    candidate = Candidate("kernels", 0.95, 0.1, ("kernels", change))
    (closed,), (opened,) = (rank([candidate], REFERENCE, division) for division in ("closed", "open"))
    assert closed.place is None and change in closed.said
    assert opened.place == 1 and change in opened.said


@pytest.mark.parametrize("change", ALLOWED)
def test_closed_allows_the_same_model(change):
    assert rank([Candidate("pruning", 0.9, 0.1, (change,))], REFERENCE, "closed")[0].place == 1


def test_accuracy_comes_first_and_ties_share_a_place():
    field = [Candidate("a", 0.9, 2.0), Candidate("b", 0.88, 0.1), Candidate("c", 0.9, 2.0), Candidate("d", 0.9, 1.0)]
    found = rank([*field, Candidate("e", 0.9, 3.0)], REFERENCE, "closed")
    assert [(one.place, one.name) for one in found] == [(1, "d"), (2, "a"), (2, "c"), (4, "e"), (None, "b")]
    assert "accuracy" in found[-1].said.lower()
    assert isinstance(found[0], Placed)


def test_what_a_ranking_refuses():
    one = Candidate("frozen", 0.9, 0.0)
    cases = [([one], REFERENCE, "fast", "fast"), ([one], None, "open", "reference")]
    cases += [([], REFERENCE, "open", "candidates"), ([one], REFERENCE, "open", "frozen")]
    for candidates, reference, division, said in cases:
        with pytest.raises(ValueError, match=f"(?i){said}"):
            rank(candidates, reference, division)


def test_a_simulated_machine_is_noisy_and_repeats_itself():
    times = []
    for _ in range(2):
        noisy = machine(3)
        run, stamps = noisy.program(0.5), [noisy.clock()]
        for _ in range(200):
            assert run("anything") is None
            stamps.append(noisy.clock())
        times.append(np.diff(stamps))
    np.testing.assert_array_equal(times[0], times[1])
    assert 0.45 < np.median(times[0]) < 0.55 and times[0].std() > 0.02
    quiet = machine(**QUIET)
    quiet.program(0.25)()
    assert quiet.clock() == 0.25


def row(**changes):
    ratio = {"median": 0.5, "lower": 0.4, "upper": 0.6}
    whole = {"task": "LeNet-5", "name": "int8", "changes": ["quantization"], "seed": 0, "accuracy": 0.97}
    return {**whole, "bytes": 64000, "ratio": ratio, "verdict": "faster", **changes}


def test_results_say_on_which_machine_they_were_measured(tmp_path):
    write_results(tmp_path / "results.json", [row(), row(verdict="reference")])
    found = read_results(tmp_path / "results.json")
    assert [one["verdict"] for one in found["rows"]] == ["faster", "reference"]
    assert found["machine"].keys() == machine_record().keys()
    assert found["machine"]["numpy"] == np.__version__ and found["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"accuracy": 1.2}, r"rows\[1\]\.accuracy"),
        ({"accuracy": math.nan}, "accuracy"),
        ({"bytes": -1}, "bytes"),
        ({"bytes": "64 kB"}, "bytes"),
        ({"seed": True}, "seed"),
        ({"verdict": "much faster"}, "verdict"),
        ({"ratio": {"median": 1.0, "lower": 0.0, "upper": 2.0}}, r"ratio\.lower"),
        ({"ratio": {"median": 1.0}}, "lower.*missing"),
        ({"changes": "pruning"}, "changes"),
        ({"efficient": True}, "efficient.*unknown"),
    ],
)
def test_a_row_that_does_not_follow_the_schema_is_named_and_nothing_is_written(tmp_path, changes, place):
    with pytest.raises(ValueError, match=place):
        write_results(tmp_path / "results.json", [row(), row(**changes)])
    assert list(tmp_path.iterdir()) == []


def test_a_results_file_that_is_broken_is_named(tmp_path):
    path = tmp_path / "results.json"
    for text in ("{", json.dumps({"format": 2, "machine": machine_record(), "rows": []}), "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"results\.json"):
            read_results(path)
    with pytest.raises(ValueError, match="rows"):
        check_results({"format": 1, "machine": machine_record()})
