"""Two cores instead of one: `map_blocks` runs a function over the blocks of a large array, in several threads.

Python runs one thread at a time, but NumPy lets go of the interpreter while it computes, so threads that call NumPy on
large blocks do run at once. NumPy's own library for matrix products (BLAS) starts threads too. Both at the same time
would be two threads per core, taking turns; so BLAS is held to one thread while the pool works, and gets its threads
back afterwards. Where BLAS cannot be held (no OpenBLAS), the blocks run one after another and BLAS keeps its threads.

The environment variable TINYTORCH_THREADS is an upper bound for the number of threads.
"""

import contextvars
import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["map_blocks", "one_blas_thread", "thread_count"]


def thread_count():
    """The threads that `map_blocks` uses: one per core that this process may run on, at most TINYTORCH_THREADS.

    Raises ValueError where that variable is not a positive integer.
    """
    limit = os.environ.get("TINYTORCH_THREADS")
    if limit is not None and not (limit.isdecimal() and int(limit) > 0):
        raise ValueError(f"TINYTORCH_THREADS is {limit!r}; it has to be a positive integer")
    cores = _cores() if blas.found else 1
    return cores if limit is None else min(cores, int(limit))


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Blas:
    """The thread setting of the OpenBLAS that NumPy was built with. `found` is False where there is none."""

    NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_",
             "openblas_{}_num_threads")  # fmt: skip

    def __init__(self):
        self.lock = threading.Lock()
        self.holders = 0
        self.before = 1
        self.get, self.set = self._functions()
        self.found = self.set is not None

    def _functions(self):
        """OpenBLAS's getter and setter: seen through NumPy's extension, or in a library that its wheel brings along."""
        numpy = Path(np.__file__).parent
        folders = (numpy.parent / "numpy.libs", numpy / ".dylibs", numpy / ".libs")
        bundled = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*openblas*"))]
        for path in [Path(np._core._multiarray_umath.__file__), *bundled]:
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for name in self.NAMES:
                if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
                    setter = library[name.format("set")]
                    setter.argtypes, setter.restype = [ctypes.c_int], None
                    return library[name.format("get")], setter
        return None, None

    def hold(self):
        """One thread until `release`. Holders are counted: the first one in and the last one out change something."""
        with self.lock:
            self.holders += 1
            if self.found and self.holders == 1:
                self.before = self.get()
                self.set(1)

    def release(self):
        with self.lock:
            self.holders -= 1
            if self.found and self.holders == 0:
                self.set(self.before)

    def forget_holders(self):
        """In a forked child: whoever held BLAS in the parent is not there to release it."""
        self.lock = threading.Lock()
        if self.found and self.holders:
            self.set(self.before)
        self.holders = 0


class Pool:
    """The helper threads, started when they are first needed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.executor = None
        self.inside = threading.local()

    def submit(self, work):
        """Have a helper run `work`. Returns its future, or None where no thread can be started any more (at exit)."""
        with self.lock:
            if self.executor is None:
                self.executor = ThreadPoolExecutor(max(_cores() - 1, 1), thread_name_prefix="tinytorch")
        try:
            # the copied context carries np.errstate into the helper
            return self.executor.submit(contextvars.copy_context().run, work)
        except RuntimeError:
            return None


blas, pool = Blas(), Pool()


def _after_fork():
    """A forked child has none of its parent's threads, and locks may have been taken when it was made."""
    global pool
    pool = Pool()
    blas.forget_holders()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_blas_thread():
    """Inside `with one_blas_thread():`, BLAS uses one thread, in every thread of the process."""
    blas.hold()
    try:
        yield
    finally:
        blas.release()


class _Round:
    """One call of `map_blocks`: its threads take the next item until none is left, or until one of them failed."""

    def __init__(self, function, items):
        self.function = function
        self.items = items
        self.results = [None] * len(items)
        self.lock = threading.Lock()
        self.next = 0
        self.error = None

    def take(self):
        with self.lock:
            place, self.next = self.next, self.next + 1
        return place

    def work(self):
        pool.inside.round = self
        try:
            while self.error is None and (place := self.take()) < len(self.items):
                self.results[place] = self.function(self.items[place])
        except BaseException as error:  # carried to the caller, who is the one to be interrupted
            self.error = self.error or error
        finally:
            pool.inside.round = None


def map_blocks(function, items):
    """[function(item) for item in items], with the items shared among threads; BLAS runs on one thread inside.

    Which thread takes which item is left to chance, so items must not write to the same memory, and sums over items
    are for the caller to make, in order. The first error stops the others and is raised here. Called from inside
    `function`, it runs in that same thread.
    """
    items = list(items)
    if getattr(pool.inside, "round", None) is not None:
        return [function(item) for item in items]
    round_ = _Round(function, items)
    with one_blas_thread():
        futures = [pool.submit(round_.work) for _ in range(min(thread_count(), len(items)) - 1)]
        round_.work()  # the caller works too, so a busy pool delays but never blocks
        for future in futures:
            if future is not None and not future.cancel():
                future.result()
    if round_.error is not None:
        try:
            raise round_.error
        finally:
            del round_  # the error knows this frame, and the frame must not know the error
    return round_.results
