"""Profiling as it is used: counts of what ran, memory of graphs of many forms, timers on clocks of the tests' own."""

import json
import math

import numpy as np
import pytest

from tinytorch.core.activations import ReLU, relu
from tinytorch.core.attention import attention
from tinytorch.core.layers import Linear, Sequential, linear
from tinytorch.core.losses import mse_loss
from tinytorch.core.profiling import (
    COSTS,
    PRODUCTS,
    Machine,
    Profile,
    Timing,
    bytes_of,
    calls_of,
    flops_of,
    growth,
    held_bytes,
    measure,
    product_flops,
    speedup,
)
from tinytorch.core.spatial import conv2d, max_pool2d
from tinytorch.core.tensor import Op, Tensor, manual_seed


def numbers(*shape, grad=False):
    return Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=grad)


def counted(a, b):
    """The FLOPs of a product by loops, one at a time."""
    count = 0
    for _ in range(a[0]):
        for _ in range(b[1]):
            for _ in range(a[1]):
                count += 2
    return count


@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (3, 4, 5), (7, 1, 2), (0, 3, 2), (2, 0, 3)])
def test_a_product_counts_what_its_loops_do(n, k, m):
    (call,) = calls_of(lambda: numbers(n, k) @ numbers(k, m))
    assert product_flops(*call) == counted((n, k), (k, m))
    (call,) = calls_of(lambda: linear(numbers(n, k), numbers(m, k)))
    assert product_flops(*call) == counted((n, k), (k, m))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((1, 2), (2, 0))])
def test_a_convolution_counts_every_window(stride, padding):
    (call,) = calls_of(lambda: conv2d(numbers(2, 3, 7, 6), numbers(4, 3, 3, 2), None, stride, padding))
    assert product_flops(*call) == 2 * call[2].size * 18


def test_attention_is_two_products():
    query, key, value = numbers(2, 3, 4), numbers(2, 5, 4), numbers(2, 5, 6)
    (call,) = calls_of(lambda: attention(query, key, value, scale=0.5))
    assert product_flops(*call) == 2 * (counted((3, 4), (4, 5)) + counted((3, 5), (5, 6)))


def test_what_nobody_has_counted_is_named():
    x = np.ones((2, 2))
    for count in (product_flops, flops_of):
        with pytest.raises(ValueError, match="teleport"):
            count("teleport", (x, x), x, {})

    @Op
    def teleport(x):
        return x + 1

    with pytest.raises(ValueError, match="teleport"), Profile():
        teleport(numbers(3))
    assert Op.observer is None


def test_a_new_operation_adds_its_row(monkeypatch):
    @Op
    def doubled(x):
        return x + x

    monkeypatch.setitem(COSTS, "doubled", ("out", 1, 0))
    with Profile() as profile:
        doubled(numbers(3, 4))
    assert profile.total("doubled").flops == 12


def test_an_operation_states_its_own_cost():
    @Op
    def tripled(x, *, times):
        return x * 3

    @tripled.gradient
    def rule(grad, out, x, *, times):
        return grad * 3

    def cost(arrays, out, settings, backward):
        assert (arrays[0].shape, out.shape) == ((3, 4), (3, 4))
        return settings["times"] * (7 if backward else 5)

    with pytest.raises(ValueError, match="tripled"), Profile():
        tripled(numbers(3, 4), times=2)
    tripled.flops = cost
    with Profile() as profile:
        tripled(Tensor(np.ones((3, 4)), requires_grad=True), times=2).sum().backward()
    assert [profile.total("tripled", way).flops for way in ("forward", "backward")] == [10, 14]


def test_what_an_operation_saves_is_written_and_held(monkeypatch):
    @Op(saves=True)
    def rooted(x):
        root = np.sqrt(x)
        return root + 1, root

    @rooted.gradient
    def rule(grad, out, x, *, saved):
        return grad / (2 * saved)

    monkeypatch.setitem(COSTS, "rooted", ("out", 2, 2))
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    assert [(call[0], call[2].shape) for call in calls_of(lambda: rooted(x))] == [("rooted", (3, 4))]
    with Profile() as profile:
        out = rooted(x)
        assert held_bytes(out) == 3 * 48
        out.sum().backward()
    assert profile.total("rooted", "forward").bytes == 3 * 48
    assert [profile.total("rooted", way).flops for way in ("forward", "backward")] == [24, 24]


def test_pooling_counts_windows_and_reductions_their_input():
    (call,) = calls_of(lambda: max_pool2d(numbers(2, 3, 6, 6), 3))
    assert flops_of(*call) == 2 * 3 * 36
    (call,) = calls_of(lambda: numbers(4, 5).sum(axis=0))
    assert flops_of(*call) == 20


def test_counts_are_integers_and_leave_arrays_alone():
    x = np.ones((3, 3), np.float32)
    for name in (*PRODUCTS[:2], "add", "reduce_sum"):
        assert type(flops_of(name, (x, x), x, {})) is int
    assert type(bytes_of((x,), (x + 1,))) is int
    assert type(held_bytes(Tensor(x))) is int
    np.testing.assert_array_equal(x, np.ones((3, 3)))


def test_views_move_nothing_and_copies_do():
    x = numbers(4, 6)
    cases = [(lambda: x.T, 0), (lambda: x.reshape(24), 0), (lambda: x[1:3], 0), (lambda: x.T.reshape(24), 192)]
    for function, moved in cases:
        *_, (_, arrays, out, _) = calls_of(function)
        assert bytes_of(arrays, [out]) == moved
    assert bytes_of((x.data, x.data, None, 3), (x.data + 1,)) == 192
    assert bytes_of((), ()) == 0


@pytest.mark.parametrize("length", [1, 10, 2000])
def test_a_chain_holds_every_result_once(length):
    x = numbers(5, grad=True)
    out = x
    for _ in range(length):
        out = out * 0.5
    assert held_bytes(out) == 20 * (length + 1)
    out.sum().backward()


def test_a_graph_that_doubles_is_walked_once():
    x = numbers(5, grad=True)
    out = x
    for _ in range(60):
        out = out + out
    assert held_bytes(out) == 20 * 61


def test_what_is_released_is_not_held():
    model = Sequential(Linear(6, 4), ReLU(), Linear(4, 2))
    loss = mse_loss(model(numbers(3, 6)), np.zeros((3, 2), np.float32))
    parameters = sum(p.nbytes for p in model.parameters())
    assert held_bytes(loss) > parameters + 72 + 48 + 24
    loss.backward()
    assert held_bytes(loss) == 4


def test_memory_of_a_file_ends_at_the_last_array():
    array = np.frombuffer(b"\0" * 40, np.float32)
    assert held_bytes(Tensor.wrap(array[:2])) == 40


def ticking(step=1.0):
    """A clock that goes on by `step` with every reading."""
    now = [0.0]

    def clock():
        now[0] += step
        return now[0]

    return clock


def test_a_timer_runs_and_reads_as_often_as_it_says():
    calls = []
    timing = measure(lambda: calls.append(1), ticking(0.5), warmup=2, repeats=4)
    assert len(calls) == 6
    assert timing == Timing(0.5, 0.5, 0.5, (0.5,) * 4)


@pytest.mark.parametrize("repeats", [1, 2, 5, 8])
def test_quartiles_are_numpys(repeats):
    durations = np.random.default_rng(repeats).uniform(1, 9, repeats)
    now, left = [0.0], iter(durations)

    def work():
        now[0] += next(left)

    timing = measure(work, lambda: now[0], warmup=0, repeats=repeats)
    np.testing.assert_allclose(timing.runs, durations)
    np.testing.assert_allclose(timing[:3], np.quantile(durations, [0.5, 0.25, 0.75]))


def test_what_a_timer_refuses():
    for settings in ({"repeats": 0}, {"warmup": -1}):
        with pytest.raises(ValueError, match=str(next(iter(settings.values())))):
            measure(lambda: None, ticking(), **settings)
    for step in (0.0, -1.0):
        with pytest.raises(ValueError, match=r"(?i)clock"):
            measure(lambda: None, ticking(step))


def test_a_timing_reads_as_one_line():
    assert str(Timing(0.0031, 0.0029, 0.0034, (0.0031,))) == "3.1 ms (2.9 to 3.4)"
    assert str(Timing(2.5, 2, 3, (2.5,))) == "2.5 s (2 to 3)"


@pytest.mark.parametrize("exponent", [-1, 0, 0.5, 2, 3])
def test_an_exponent_comes_back(exponent):
    sizes = np.array([64, 2, 8, 900])
    assert growth(sizes, 1e-6 * sizes.astype(float) ** exponent) == pytest.approx(exponent, abs=1e-9)


def test_what_growth_refuses():
    cases = [([1, 2], [1], "2.*1|1.*2"), ([1, 1], [2, 3], None), ([0, 1], [1, 1], "0"), ([], [], None)]
    for sizes, seconds, said in cases:
        with pytest.raises(ValueError, match=said):
            growth(sizes, seconds)


def test_a_speedup_is_the_median_of_pairs():
    order = []
    timing = speedup(lambda: order.append("slow"), lambda: order.append("fast"), pairs=3, clock=ticking())
    assert order == ["slow", "fast"] * 4
    assert timing.runs == (1.0, 1.0, 1.0)


def test_a_roof_has_a_slope_and_a_ridge():
    machine = Machine(flops=100e9, bandwidth=20e9)
    assert machine.ridge == 5
    assert machine.roof(1) == 20e9
    assert machine.roof(50) == 100e9


def step():
    manual_seed(0)
    x, weight = numbers(6, 5), numbers(4, 5, grad=True)
    relu(linear(x, weight)).sum().backward()


def test_a_profile_sees_both_ways():
    with Profile() as profile:
        step()
    rows = [(row.name, row.way, row.flops) for row in profile.rows]
    assert rows == [
        ("linear", "forward", 240), ("relu", "forward", 24), ("reduce_sum", "forward", 24),
        ("reduce_sum", "backward", 0), ("relu", "backward", 48), ("linear", "backward", 240),
    ]  # fmt: skip
    assert profile.total("linear", "forward").bytes == 4 * (30 + 20 + 24)
    assert profile.total().flops == 576
    assert 0 < profile.total().seconds <= profile.seconds
    assert Op.observer is None


def test_a_way_back_that_never_ran_has_no_row():
    with Profile() as profile:
        relu(linear(numbers(6, 5), numbers(4, 5, grad=True)))
    back = profile.total(way="backward")
    assert (back.calls, back.seconds, back.flops, back.bytes) == (0, 0, 0, 0)
    assert {row.way for row in profile.by_operation()} == {"forward"}


def test_counting_is_left_out_of_the_time():
    with Profile(ticking()) as profile:
        numbers(3) + 1.0
        numbers(3) * 2.0
    assert [row.seconds for row in profile.rows] == [1.0, 1.0]
    assert [row.start for row in profile.rows] == [1.0, 3.0]
    assert profile.seconds == 5.0


def test_an_operation_that_runs_others_has_only_its_own_time(monkeypatch):
    @Op
    def outer(x):
        return (Tensor(x) * 2.0 + 1.0).numpy()

    monkeypatch.setitem(COSTS, "outer", ("out", 0, 0))
    with Profile(ticking()) as profile:
        outer(numbers(3))
        numbers(3) * 2.0
    assert [(row.name, row.seconds) for row in profile.rows] == [("mul", 1), ("add", 1), ("outer", 3), ("mul", 1)]
    assert profile.seconds == 9
    assert profile.total().seconds <= profile.seconds


def test_a_table_says_what_the_operations_do_not_explain():
    with Profile(ticking()) as profile:
        numbers(3) + 1.0
    assert "only 33%" in profile.table()
    profile.seconds = 1.05
    assert "operations take 95% of" in profile.table()


def test_a_table_of_a_block_that_has_not_ended_is_refused():
    profile = Profile(ticking())
    for _ in range(2):  # the time of the first block is not that of the second
        with profile:
            numbers(3) + 1.0
            with pytest.raises(RuntimeError, match="Profile.table: .* below the `with`"):
                profile.table()
        assert "add" in profile.table()


def test_a_profile_without_operations_is_an_error():
    with pytest.raises(RuntimeError, match="no operation"), Profile():
        pass
    with pytest.raises(RuntimeError, match="stands still"), Profile(lambda: 1.0):
        numbers(2) + 1
    assert Op.observer is None


def test_an_error_of_the_block_stays_what_it_is():
    with pytest.raises(KeyError), Profile():
        raise KeyError("own")
    assert Op.observer is None


def test_one_profile_at_a_time():
    with Profile() as profile:
        with pytest.raises(RuntimeError, match="already"):
            Profile().__enter__()
        numbers(2) + 1
    assert len(profile.rows) == 1


def test_a_lookup_reads_what_it_hands_over():
    table = numbers(1000, 8)
    with Profile() as profile:
        table[np.array([1, 2])]
    assert profile.total("index").bytes == 2 * 64


def test_a_trace_holds_every_row(tmp_path):
    with Profile() as profile:
        step()
    profile.save_trace(tmp_path / "step.json")
    events = json.loads((tmp_path / "step.json").read_text(encoding="utf-8"))["traceEvents"]
    assert [event["name"] for event in events] == [row.name for row in profile.rows]
    assert all(math.isclose(e["dur"], r.seconds * 1e6) for e, r in zip(events, profile.rows, strict=True))
    starts = [event["ts"] for event in events]
    assert starts == sorted(starts)
