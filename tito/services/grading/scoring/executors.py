"""Executors: where tasks run. What they are given and what they give back are values, so all give the same results.

An executor says what isolates where it runs, makes the kit there, and runs tasks. Another one (Dask, for more machines)
needs these three methods, and a folder for its kits that its machines share.
"""

import json
import threading
from concurrent import futures
from dataclasses import replace

from tito.errors import TitoError
from tito.services.grading.book.results import SubmissionResult
from tito.services.grading.sandbox.find import find
from tito.services.grading.scoring import kits, scorer

REASON = 300  # characters
WAIT_SECONDS = 0.2  # how long Ctrl-C may go unnoticed


def attempt(score, kit, task, cancel=None, on_cell=None):
    """The Scored of a task, whatever happens: what is the machine's fault or tito's is "ungraded", with the reason.

    A fault of tito's that comes again with the same file, and not with the course's own notebook, is that file's: it is
    "unreadable" then, for a person to look at, and not ungraded for ever.
    """
    if cancel is not None and cancel.is_set():
        return ungraded(kit, task.student, "interrupted")
    more = {"on_cell": lambda done, total: on_cell(task.student, done, total)} if on_cell else {}
    try:
        scored = score(kit, task, cancel, **more)
    except TitoError as error:
        return ungraded(kit, task.student, error.message)
    except (Exception, KeyboardInterrupt) as error:
        reason = f"a fault in tito: {type(error).__name__}: {error}"[:REASON]
        if isinstance(error, KeyboardInterrupt) or not _is_the_files(score, kit, task, cancel):
            return ungraded(kit, task.student, reason)
        return scorer.unreadable(kit, task.student, f"{reason}, every time with this file: look at it by hand")
    faults = [cell for cell in scored.result.cells if cell.status == "ungraded"]
    if faults and scored.result.status != "ungraded":
        detail = f"{faults[0].grade_id}: {faults[0].message}"
        return replace(scored, result=replace(scored.result, status="ungraded", detail=detail))
    return scored


def _is_the_files(score, kit, task, cancel):
    """Whether scoring fails with the file of `task` again, and not with the course's own notebook."""

    def fails(notebook):
        try:
            score(kit, replace(task, notebook=notebook), cancel)
        except Exception:
            return True
        return cancel is not None and cancel.is_set()

    return fails(task.notebook) and not fails(json.dumps(kit.source.node).encode())


def ungraded(kit, student, detail):
    return scorer.Scored(SubmissionResult(student, kit.module, "ungraded", detail), None)


class Inline:
    """One task after the other, in this thread."""

    score = staticmethod(scorer.score)
    place = staticmethod(scorer.place)

    def sandbox(self, project):
        """What isolates where tasks run."""
        return find(project, allow_none=True)

    def kit(self, project, catalog, module, *, sandbox, source=None, view=None):
        """A context: the Kit with which tasks run. source, view: see kits.make."""
        return kits.make(project, catalog, module, sandbox=sandbox, source=source, view=view)

    def run(self, kit, tasks, *, jobs=1, cancel=None, on_cell=None):
        """Yield the Scored of each task, in any order. tasks: taken as they are needed; jobs: how many run at once.

        cancel: an Event that ends what runs; what had not ended before it gives nothing. on_cell(student, done,
        total): called before each cell, from any thread, where that can be known.
        """
        for task in tasks:
            scored = attempt(self.score, kit, task, cancel, on_cell)
            if cancel is not None and cancel.is_set():
                return
            yield scored


class _Pool(Inline):
    """Several tasks at once. As many again as run wait their turn, so that none is idle while a result is written; no
    more, so that memory does not grow with the class.
    """

    def run(self, kit, tasks, *, jobs=1, cancel=None, on_cell=None):
        cancel = cancel or threading.Event()
        tasks, running, more = iter(tasks), set(), True
        with self.pool(jobs) as pool:
            while running or more:
                while more and len(running) < 2 * jobs and not cancel.is_set():
                    task = next(tasks, None)
                    more = task is not None
                    if more:
                        running.add(self.submit(pool, kit, task, cancel, on_cell))
                if not running:
                    return
                done, running = futures.wait(running, WAIT_SECONDS, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    # Ctrl-C on a terminal reaches what runs as well: what came after it says nothing of a submission
                    if not cancel.is_set():
                        yield future.result()


class Threads(_Pool):
    """Threads of this process, each of which drives a sandbox and a trusted process of its own."""

    def pool(self, jobs):
        return futures.ThreadPoolExecutor(jobs)

    def submit(self, pool, kit, task, cancel, on_cell):
        return pool.submit(attempt, self.score, kit, task, cancel, on_cell)


class Processes(_Pool):
    """Processes of this machine. They know nothing of a cancellation, what runs runs to its end, and say nothing of
    single cells.
    """

    def pool(self, jobs):
        import multiprocessing

        return futures.ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, pool, kit, task, cancel, on_cell):
        return pool.submit(attempt, self.score, kit, task)
