"""The executor whose tasks run on the workers of a Dask scheduler: the same tasks, the same results, more machines.

Every submission is sent to one worker by name, so that it is known whose it was when that worker dies: its submissions
go to others. One that was there each time when a worker died runs once more with nothing beside it; if that worker
dies too, the submission is what kills them, and its status says so.
"""

import queue
import time
import uuid
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services.grading.cluster import worker
from tito.services.grading.cluster.connection import LOOK_SECONDS, why_not
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.scoring import executors, kits, scorer

IN_COMPANY, ALONE = 2, 2  # workers that may die under a submission beside others, and under it alone
LOOK_EVERY = 1.0  # seconds between two looks at who is there
RESULT_SECONDS = 30  # for what is there to come here
NOBODY_SECONDS = 60  # how long a class waits for a worker when all have died


class Cluster:
    """Runs tasks on the workers that are as this machine. refused: {name of a worker: why it scores nothing}."""

    score = staticmethod(scorer.score)
    place = staticmethod(scorer.place)

    def __init__(self, connection):
        self.connection, self.refused = connection, {}

    def sandbox(self, project):
        """What isolates on the workers. Raises ProjectError where none of them may score."""
        self.identity = worker.identity(project)
        workers = self.connection.workers(self.identity)
        self.refused = {one.name: one.reason for one in workers if one.reason}
        kinds = sorted({one.sandbox for one in workers if not one.reason})
        if not kinds:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.refused.items()) or "it has none"
            raise ProjectError(
                f"no worker of {self.connection.address} can score: {reasons}",
                f"tito grade worker-check --scheduler {self.connection.address}",
                code="workers",
            )
        return Sandbox(" and ".join(kinds))

    @contextmanager
    def kit(self, project, catalog, module, *, sandbox, source=None, view=None):
        """The Kit, here and, as soon as they are asked for the first task, on the workers."""
        with kits.make(project, catalog, module, sandbox=sandbox, source=source, view=view) as made:
            yield made

    def run(self, kit, tasks, *, jobs=1, cancel=None, on_cell=None):
        """Yield the Scored of each task, in any order. All threads of all workers are used, whatever `jobs` says.

        Raises ProjectError where the scheduler goes away, or all workers.
        """
        run = _Run(self, kit, iter(tasks), cancel)
        try:
            yield from run.results()
        finally:
            run.close()


@dataclass
class _Sent:
    """A submission on its way. deaths: of the workers that it was with."""

    task: object
    deaths: int = 0


class _Run:
    def __init__(self, cluster, kit, tasks, cancel):
        self.cluster, self.connection, self.kit = cluster, cluster.connection, kit
        self.tasks, self.cancel = tasks, cancel
        self.name, self.packed = uuid.uuid4().hex, worker.pack(kit)
        self.threads = {}  # {address: threads} of the workers that have the kit
        self.known = set()  # addresses of those that were asked to take it
        self.taking, self.running = {}, {}  # {future: address}, {future: (Sent, address)}
        self.again, self.suspects, self.given_up = deque(), deque(), deque()
        self.ended, self.looked, self.seen = queue.SimpleQueue(), 0.0, time.monotonic()
        self.more = True

    def results(self):
        while not self._is_cancelled():
            self._look()
            self._send()
            while self.given_up:
                yield self.given_up.popleft()
            if not (self.running or self.more or self.again or self.suspects):
                return
            try:
                future = self.ended.get(timeout=executors.WAIT_SECONDS)
            except queue.Empty:
                continue
            if future in self.taking:
                self._took(self.taking.pop(future), future)
            elif future in self.running:
                scored = self._scored(*self.running.pop(future), future)
                # Ctrl-C may have reached a worker on this terminal as well
                if scored is not None and not self._is_cancelled():
                    yield scored

    def _is_cancelled(self):
        return self.cancel is not None and self.cancel.is_set()

    def close(self):
        with suppress(Exception):  # the scheduler may be gone
            self.connection.client.cancel([*self.taking, *self.running], force=True)
            for address in self.threads:
                self.connection.submit(worker.forget, self.name, on=address).result(timeout=5)

    # Who is there.

    def _look(self):
        """Ask new workers to take the kit, and send elsewhere what was with workers that are gone."""
        if time.monotonic() - self.looked < LOOK_EVERY:
            return
        present = self.connection.threads()
        self.looked = time.monotonic()
        for address in self.known - set(present):
            self._gone(address)
        for address in set(present) - self.known:
            self.known.add(address)
            self._add(self.taking, address, worker.take, self.name, self.packed, on=address)
        if self.threads or self.taking:
            self.seen = self.looked
        elif self.looked - self.seen > NOBODY_SECONDS:
            raise ProjectError(
                f"no worker of {self.connection.address} is left",
                "start one, and run the command again: what was scored until now is kept",
                code="workers",
            )

    def _gone(self, address):
        self.known.discard(address)
        self.threads.pop(address, None)
        self.taking = {future: one for future, one in self.taking.items() if one != address}
        for future, (sent, where) in list(self.running.items()):
            if where == address:
                del self.running[future]
                future.cancel(force=True)
                self._died(sent)

    def _took(self, address, future):
        name = self.connection.names().get(address, address)
        try:
            said = future.result(timeout=LOOK_SECONDS)
        except Exception as error:
            self.cluster.refused[name] = f"{type(error).__name__}: {error}"[: executors.REASON]
            return
        if reason := why_not(said, self.cluster.identity):
            self.cluster.refused[name] = reason
        elif threads := self.connection.threads().get(address):
            self.threads[address] = threads

    # Submissions.

    def _send(self):
        for address, threads in self.threads.items():
            busy = sum(where == address for _, where in self.running.values())
            # one more than run, so that no thread waits while a result is written
            while busy < threads + 1 and (sent := self._next()):
                self._submit(sent, address)
                busy += 1
        if self.suspects and not self.running and self.threads and not self.more and not self.again:
            self._submit(self.suspects.popleft(), next(iter(self.threads)))

    def _next(self):
        if self.again:
            return self.again.popleft()
        task = next(self.tasks, None) if self.more else None
        self.more = task is not None
        return _Sent(task) if self.more else None

    def _submit(self, sent, address):
        self._add(self.running, (sent, address), worker.score, self.name, self.cluster.score, sent.task, on=address)

    def _add(self, table, value, *call, on):
        with self.connection.answering():
            future = self.connection.submit(*call, on=on)
        table[future] = value
        future.add_done_callback(self.ended.put)

    def _scored(self, sent, address, future):
        """The Scored of an ended future; None where the submission has to go elsewhere."""
        from distributed import KilledWorker

        try:
            scored = future.result(timeout=RESULT_SECONDS)
        except KilledWorker:
            self._died(sent)
            return None
        except Exception as error:
            lost = future.cancelled() or isinstance(error, (OSError, TimeoutError))
            if lost or self.connection.client.status != "running":
                self._died(sent)  # its worker went away, or the scheduler, which the next look says
                return None
            reason = f"its worker cannot run it: {type(error).__name__}: {error}"[: executors.REASON]
            return executors.ungraded(self.kit, sent.task.student, reason)
        if scored is None:  # another process has the address of the one that took the kit
            self.known.discard(address)
            self.threads.pop(address, None)
            self.again.append(sent)
        return scored

    def _died(self, sent):
        """A worker died with `sent` on it."""
        sent.deaths += 1
        if sent.deaths < IN_COMPANY:
            self.again.append(sent)
        elif sent.deaths < IN_COMPANY + ALONE:
            self.suspects.append(sent)
        else:
            reason = f"{sent.deaths} workers ended while they scored it, {ALONE} of them with nothing else to do"
            self.given_up.append(scorer.unreadable(self.kit, sent.task.student, f"{reason}: look at it by hand"))
