"""The pool of threads behind the fast kernels: results, errors, nesting, fork, and BLAS given back."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinytorch import threads
from tinytorch.threads import map_blocks, one_blas_thread, thread_count

needs_blas = pytest.mark.skipif(not threads.blas.found, reason="NumPy's BLAS has no thread setting that is known here")


@pytest.fixture
def blas_threads():
    """BLAS on three threads, so that a change shows on any machine; put back afterwards."""
    before = threads.blas.get()
    threads.blas.set(3)
    yield 3
    assert threads.blas.holders == 0
    threads.blas.set(before)


@pytest.fixture
def two_threads(monkeypatch):
    """Two threads, also on a machine with one core or without OpenBLAS."""
    monkeypatch.setattr(threads, "thread_count", lambda: 2)


def meeting():
    """A function that returns only when two threads are inside it at once."""
    barrier = threading.Barrier(2, timeout=20)

    def meet(item):
        barrier.wait()
        return item, threading.get_ident()

    return meet


def test_results_come_in_the_order_of_the_items(two_threads):
    def slow_if_even(i):
        time.sleep(0.002 * (i % 2 == 0))
        return i * i

    assert map_blocks(slow_if_even, range(40)) == [i * i for i in range(40)]


def test_no_items_give_no_results():
    assert map_blocks(lambda item: 1 / 0, []) == []


def test_two_items_are_worked_on_at_once_by_two_threads(two_threads):
    results = map_blocks(meeting(), "ab")
    assert [item for item, _ in results] == ["a", "b"]
    assert len({thread for _, thread in results}) == 2


def test_the_caller_is_one_of_the_threads(two_threads):
    assert threading.get_ident() in {thread for _, thread in map_blocks(meeting(), "ab")}


def test_the_environment_limits_the_threads(monkeypatch):
    monkeypatch.delenv("TINYTORCH_THREADS", raising=False)
    unlimited = thread_count()
    assert unlimited >= 1
    monkeypatch.setenv("TINYTORCH_THREADS", "1000")
    assert thread_count() == unlimited
    monkeypatch.setenv("TINYTORCH_THREADS", "1")
    assert thread_count() == 1
    here = threading.get_ident()
    assert map_blocks(lambda item: threading.get_ident(), range(8)) == [here] * 8


@pytest.mark.parametrize("wrong", ["0", "-1", "two", ""])
def test_a_limit_that_is_no_positive_integer_is_an_error(monkeypatch, wrong):
    monkeypatch.setenv("TINYTORCH_THREADS", wrong)
    with pytest.raises(ValueError, match="TINYTORCH_THREADS"):
        thread_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_cores_that_this_process_may_not_use_are_not_counted():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from tinytorch import threads; "
    code += "print(threads.thread_count())"
    environment = {name: value for name, value in os.environ.items() if name != "TINYTORCH_THREADS"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.strip() == "1"


@needs_blas
def test_blas_has_one_thread_inside_and_its_own_number_after(blas_threads, two_threads):
    assert map_blocks(lambda item: threads.blas.get(), range(6)) == [1] * 6
    assert threads.blas.get() == blas_threads


@needs_blas
def test_blas_is_given_back_after_an_error(blas_threads, two_threads):
    with pytest.raises(ZeroDivisionError):
        map_blocks(lambda item: 1 / item, [1, 0, 1])
    assert threads.blas.get() == blas_threads


@needs_blas
def test_holding_blas_nests(blas_threads):
    with one_blas_thread():
        with one_blas_thread():
            assert threads.blas.get() == 1
        map_blocks(lambda item: item, range(4))
        assert threads.blas.get() == 1
    assert threads.blas.get() == blas_threads


def test_without_a_known_blas_blocks_run_one_after_another(monkeypatch):
    monkeypatch.setattr(threads.blas, "found", False)
    assert thread_count() == 1
    assert map_blocks(lambda item: item + 1, range(3)) == [1, 2, 3]


def test_an_error_is_raised_and_stops_the_other_items(two_threads):
    done = []

    def work(i):
        if i == 3:
            raise KeyError("three")
        time.sleep(0.001)
        done.append(i)

    with pytest.raises(KeyError, match="three"):
        map_blocks(work, range(1000))
    assert len(done) < 100
    assert map_blocks(lambda i: i, range(5)) == list(range(5)), "the pool still works"


def test_an_error_in_a_helper_reaches_the_caller(two_threads):
    caller, meet = threading.get_ident(), meeting()

    def work(item):
        meet(item)
        if threading.get_ident() != caller:
            raise KeyError("from the helper")

    with pytest.raises(KeyError, match="from the helper"):
        map_blocks(work, range(2))


def test_nested_calls_run_in_the_same_thread(two_threads):
    def outer(i):
        here = threading.get_ident()
        return map_blocks(lambda j: (i, j, threading.get_ident() == here), range(5))

    assert map_blocks(outer, range(6)) == [[(i, j, True) for j in range(5)] for i in range(6)]
    assert map_blocks(meeting(), "ab"), "the caller shares its work again afterwards"


def test_several_python_threads_can_call_at_once(two_threads):
    results, start = {}, threading.Barrier(6)

    def call(name):
        start.wait()
        results[name] = [map_blocks(lambda i: name * i, range(20)) for _ in range(20)]

    callers = [threading.Thread(target=call, args=(name,)) for name in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == {name: [[name * i for i in range(20)]] * 20 for name in range(6)}
    assert threads.blas.holders == 0


def test_helpers_see_the_callers_errstate(two_threads):
    meet = meeting()

    def work(item):
        meet(item)
        with pytest.raises(FloatingPointError):
            np.float32([1]) / np.float32([0])

    with np.errstate(all="raise"):
        map_blocks(work, range(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a process with threads is forked here on purpose
def test_a_forked_child_gets_a_pool_of_its_own(two_threads):
    map_blocks(meeting(), "ab")  # the parent's helper runs
    with one_blas_thread():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                square = np.ones((64, 64))
                right = map_blocks(lambda i: (square @ square)[0, 0] * i, range(4)) == [0, 64, 128, 192]
                status = 0 if right and map_blocks(meeting(), "ab") and threads.blas.holders == 0 else 2
            finally:
                os._exit(status)
    deadline = time.monotonic() + 30
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done[1] == 0, "the child hung or gave a wrong result"


def test_the_interpreter_ends_while_the_pool_is_idle():
    code = "from tinytorch import threads; threads.thread_count = lambda: 2; print(threads.map_blocks(abs, [-1, -2]))"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "[1, 2]\n", "")
