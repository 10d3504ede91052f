"""Runs the hostile corpus on this machine, with this machine's sandbox, and says which attacks were held.

What was not held beside others is tried again alone, with more time: then it was slow, and not loose.
"""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tito.errors import TitoError, UsageError
from tito.services.grading.proof import attacks
from tito.services.grading.rehearsal import whole_way
from tito.services.grading.sandbox.find import MIB, Limits, find
from tito.services.grading.scoring.scorer import Task

CELL_SECONDS = 20
SECONDS = 90
MEMORY = 1024 * MIB
PATIENCE = 4  # times as long are the limits of what is tried again


@dataclass(frozen=True)
class Held:
    """What became of one attack. problems: what is not as it should be, in words; of one that was slow, what was not
    before it was tried again.
    """

    name: str
    about: str
    status: str
    problems: tuple
    seconds: float
    slow: bool = False

    @property
    def held(self):
        return self.slow or not self.problems


@dataclass(frozen=True)
class Selftest:
    isolation: str
    detail: str
    attacks: tuple
    seconds: float

    @property
    def passed(self):
        return bool(self.attacks) and all(one.held for one in self.attacks)


def selftest(project, catalog, *, names=(), jobs=2, on_done=None, executor=None, sandbox=None):
    """Grade the corpus, or the attacks `names` of it. on_done(done, total): called after each.

    It goes the way of a class, through collect, autograde, feedback and export; with an executor, through that alone.
    Raises ProjectError (code "not-isolated") where there is no sandbox, UsageError for a name that is none.
    """
    start = time.monotonic()
    isolation = sandbox or find(project)
    corpus = _chosen(attacks.read_corpus(project), names)
    run = _Alone(project, catalog, executor, isolation) if executor else _WholeWay(project, catalog, isolation)
    found = run(corpus, jobs, 1, on_done)
    for attack in corpus:
        first = found[attack.name]
        if not first.held:
            again = run([attack], 1, PATIENCE, None)[attack.name]
            found[attack.name] = replace(again, slow=True, problems=first.problems) if again.held else again
    results = tuple(found[attack.name] for attack in corpus)
    return Selftest(isolation.kind, isolation.detail, results, round(time.monotonic() - start, 2))


class _WholeWay:
    def __init__(self, project, catalog, isolation):
        self.project, self.catalog, self.isolation = project, catalog, isolation

    def __call__(self, corpus, jobs, patience, on_done):
        found, total = {}, len(corpus)
        for name in sorted({attack.module for attack in corpus}):
            part, before = [attack for attack in corpus if attack.module == name], len(found)
            came = whole_way.go(
                self.project,
                self.catalog,
                self.catalog.find(name),
                part,
                self.isolation,
                lambda attack, data: task_of(attack, data, patience),
                jobs=jobs,
                on_done=on_done and (lambda done, _, before=before: on_done(before + done, total)),
            )
            for attack in part:
                one = came[attack.name]
                found[attack.name] = Held(attack.name, attack.about, one.status, one.problems, round(one.seconds, 2))
        return found


class _Alone:
    def __init__(self, project, catalog, executor, isolation):
        self.project, self.catalog, self.executor, self.isolation = project, catalog, executor, isolation

    def __call__(self, corpus, jobs, patience, on_done):
        with ExitStack() as stack:
            kits = {
                name: stack.enter_context(
                    self.executor.kit(self.project, self.catalog, self.catalog.find(name), sandbox=self.isolation)
                )
                for name in sorted({attack.module for attack in corpus})
            }
            done, lock, cancel = [], threading.Lock(), threading.Event()

            def run(attack):
                kit = kits[attack.module]
                held = run_attack(self.project, attack, kit, self.executor.score, cancel, patience=patience)
                with lock:
                    done.append(held)
                    if on_done:
                        on_done(len(done), len(corpus))
                return held

            with ThreadPoolExecutor(jobs) as pool:
                try:
                    return {held.name: held for held in pool.map(run, corpus)}
                except BaseException:
                    cancel.set()
                    pool.shutdown(cancel_futures=True)
                    raise


def _chosen(corpus, names):
    unknown = sorted(set(names) - {attack.name for attack in corpus})
    if unknown:
        raise UsageError(f"no attack is called {unknown[0]}", "tito grade selftest   (all of them, with their names)")
    return [attack for attack in corpus if not names or attack.name in names]


def task_of(attack, data, patience=1):
    """The Task of an attack. patience: how many times its limits of time it gets."""
    limits = Limits(
        seconds=patience * attack.limits.get("seconds", SECONDS),
        memory=attack.limits.get("memory", MEMORY),
        processes=attack.limits.get("processes", Limits.processes),
    )
    return Task(attack.name, data, limits, patience * attack.limits.get("cell_seconds", CELL_SECONDS))


def run_attack(project, attack, kit, score, cancel=None, patience=1):
    """Hand in one attack, grade it, and look what came of it."""
    start, token = time.monotonic(), uuid.uuid4().hex
    with attacks.Trap() as trap:
        data = attacks.submission(attack, kit.source, trap.values(project, token))
        task = task_of(attack, data, patience)
        try:
            result = score(kit, task, cancel).result
        except TitoError as error:
            problems, status = [f"it was not graded: {error.message}"], "ungraded"
        except Exception as error:  # whatever an attack does to the grader is an answer to the question
            problems, status = [f"the grader failed: {type(error).__name__}: {error}"], "ungraded"
        else:
            problems, status = attacks.judge(attack, result, kit.source), result.status
            problems += trap.sprung(attacks.everything_said(result), "")
        problems += trap.sprung("", token)
    return Held(attack.name, attack.about, status, tuple(problems), round(time.monotonic() - start, 2))
