"""Statistics and queues against SciPy and theory; the results file's schema against jsonschema."""

import numpy as np
import pytest
from scipy import stats

from tinytorch.benchmarking import mean_interval, percentile, server
from tinytorch.measuring import SCHEMA, SimulatedMachine, check_results, machine_record, t_critical, z_critical

jsonschema = pytest.importorskip("jsonschema")

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 0.99999])
def test_critical_values_are_scipys(confidence):
    for freedom in (*range(1, 40), 100, 101, 999, 5000):
        wanted = stats.t.ppf((1 + confidence) / 2, freedom)
        assert t_critical(confidence, freedom) == pytest.approx(wanted, rel=1e-8)
    assert z_critical(confidence) == pytest.approx(stats.norm.ppf((1 + confidence) / 2), rel=1e-12)


def test_what_critical_values_refuse():
    for confidence, freedom, said in [(1.0, 3, "1.0"), (0.0, 3, "0.0"), (0.9, 0, "0"), (0.9, 2.5, "2.5")]:
        with pytest.raises(ValueError, match=said):
            t_critical(confidence, freedom)


@pytest.mark.parametrize("count", [2, 5, 6, 50])
def test_intervals_of_means_are_scipys(count):
    samples = np.random.default_rng(count).lognormal(size=count)
    found = mean_interval(samples, 0.95)
    error = stats.sem(samples)
    ours = (found.lower, found.upper, found.mean - found.z_half, found.mean + found.z_half)
    by_t = stats.t.interval(0.95, count - 1, samples.mean(), error)
    by_z = stats.norm.interval(0.95, samples.mean(), error)
    assert ours == pytest.approx((*by_t, *by_z), rel=1e-8)


def test_percentiles_are_numpys_inverted_distribution():
    samples = np.random.default_rng(0).normal(size=128)  # 128 divides what binary fractions of percents can hold
    for percent in (12.5, 25, 50, 75, 93.75, 100):
        assert percentile(samples, percent) == np.percentile(samples, percent, method="inverted_cdf")


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_mean_wait_is_that_of_theory(load):
    """Poisson arrivals, work of one length: the mean wait is load / (2 (1 - load)) of it (Pollaczek and Khinchine)."""
    machine = SimulatedMachine(np.random.default_rng(0), noise=0, drift=0, disturbed=0)
    served = server(machine.program(1.0), np.arange(20_000), machine.clock, load, 1.0, np.random.default_rng(1))
    assert np.mean(served.latencies) - 1 == pytest.approx(load / (2 * (1 - load)), rel=0.08)


def results(**changes):
    ratio = {"median": 1.1, "lower": 0.9, "upper": 1.2}
    row = {"task": "GPT", "name": "cache", "changes": [], "seed": 0, "accuracy": 0.5, "bytes": 1, "ratio": ratio}
    return {"format": 1, "machine": machine_record(), "rows": [{**row, "verdict": "not decided", **changes}]}


def test_the_schema_is_one_and_has_good_examples():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(results(), SCHEMA)
    check_results(results())


@pytest.mark.parametrize(
    "wrong",
    [
        {**results(), "format": 2}, {**results(), "rows": {}}, {"format": 1, "rows": []}, {**results(), "more": 1},
        results(accuracy=-0.1), results(accuracy="high"), results(bytes=1.5), results(bytes=-2), results(seed=None),
        results(verdict="best"), results(ratio={"median": 0, "lower": 1, "upper": 1}), results(ratio=1.0),
        results(changes=[1]), results(note="x"), {**results(), "machine": {**machine_record(), "load": "low"}},
    ],
)  # fmt: skip
def test_our_check_refuses_what_jsonschema_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)
    with pytest.raises(ValueError):
        check_results(wrong)
