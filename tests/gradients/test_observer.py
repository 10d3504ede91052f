"""The observer of operations: what it is told is enough to count and to time, and an empty slot changes nothing."""

import sys
import time

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, nn
from tinytorch.core import autograd
from tinytorch.core.tensor import Op


class Profile:
    """One row for each call: operation, direction, shapes of the arguments, of the results, settings, seconds."""

    def __init__(self):
        self.rows = []

    def __call__(self, op, function, arguments, settings):
        start = time.perf_counter()
        results = function(*arguments, **settings)
        seconds = time.perf_counter() - start
        direction = "backward" if function is op.rule else "forward"
        several = results if isinstance(results, (tuple, list)) else (results,)
        rows = ([np.shape(x) for x in arguments if x is not None], [np.shape(x) for x in several if x is not None])
        self.rows.append((op.__name__, direction, *rows, settings, seconds))
        return results


@pytest.fixture
def profile(monkeypatch):
    watching = Profile()
    monkeypatch.setattr(Op, "observer", watching)
    return watching


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def step():
    """The outputs and all gradients of one step of a small network."""
    x, weight = Tensor(numbers(2, 3, 4)), Tensor(numbers(5, 4), requires_grad=True)
    bias = Tensor(numbers(5), requires_grad=True)
    out = tinytorch.tanh(nn.functional.linear(x, weight, bias)).sum(axis=-1)
    out.backward(np.ones((2, 3), np.float32))
    return out.numpy(), weight.grad, bias.grad


def test_every_operation_and_every_rule_is_seen_with_its_arguments_and_settings(profile):
    step()
    assert [row[:5] for row in profile.rows] == [
        ("linear", "forward", [(2, 3, 4), (5, 4), (5,)], [(2, 3, 5)], {}),
        ("tanh", "forward", [(2, 3, 5)], [(2, 3, 5)], {}),
        ("reduce_sum", "forward", [(2, 3, 5)], [(2, 3)], {"axis": -1, "keepdims": False}),
        ("reduce_sum", "backward", [(2, 3), (2, 3), (2, 3, 5)], [(2, 3, 5)], {"axis": -1, "keepdims": False}),
        ("tanh", "backward", [(2, 3, 5)] * 3, [(2, 3, 5)], {}),
        (
            "linear", "backward", [(2, 3, 5), (2, 3, 5), (2, 3, 4), (5, 4), (5,)], [(5, 4), (5,)],
            {"needs": (False, True, True)},
        ),
    ]  # fmt: skip


def test_the_time_around_a_call_is_that_of_the_operation(profile):
    @Op
    def slow(x):
        time.sleep(0.02)
        return x + 1

    @slow.gradient
    def slow_gradient(grad, out, x):
        time.sleep(0.03)
        return grad

    slow(Tensor(1.0, requires_grad=True)).backward()
    forward, backward = [row for row in profile.rows if row[0] == "slow"]
    assert forward[1] == "forward"
    assert forward[-1] >= 0.02
    assert backward[1] == "backward"
    assert backward[-1] >= 0.03


def test_operations_that_no_gradient_wants_are_seen_too(profile):
    with autograd.no_grad():
        Tensor([1.0], requires_grad=True) + 1
    assert [row[:2] for row in profile.rows] == [("add", "forward")]


def test_what_an_observer_returns_is_what_counts(monkeypatch):
    monkeypatch.setattr(Op, "observer", lambda op, function, arguments, settings: 2 * function(*arguments, **settings))
    assert (Tensor([1.0]) + Tensor([2.0])).tolist() == [6.0]


def test_a_full_slot_and_an_empty_one_give_the_same_numbers(monkeypatch):
    assert Op.observer is None
    empty = step()
    monkeypatch.setattr(Op, "observer", Profile())
    for without, watched in zip(empty, step(), strict=True):
        np.testing.assert_array_equal(without, watched)


def test_with_an_empty_slot_nothing_stands_between_an_operation_and_its_function():
    callers = []

    @Op
    def watched(x):
        callers.append(sys._getframe(1).f_code.co_name)
        return x + 1

    @watched.gradient
    def watched_gradient(grad, out, x):
        callers.append(sys._getframe(1).f_code.co_name)
        return grad

    watched(Tensor(1.0, requires_grad=True)).backward()
    assert callers == ["__call__", "input_gradients"]
