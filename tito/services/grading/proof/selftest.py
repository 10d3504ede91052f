"""Runs the hostile corpus on this machine, with this machine's sandbox, and says which attacks were held."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from tito.errors import TitoError, UsageError
from tito.services.grading.proof import attacks
from tito.services.grading.sandbox.find import MIB, Limits, find
from tito.services.grading.scoring.executors import Threads
from tito.services.grading.scoring.scorer import Task

CELL_SECONDS = 20
SECONDS = 90
MEMORY = 1024 * MIB


@dataclass(frozen=True)
class Held:
    """What became of one attack. problems: what is not as it should be, in words."""

    name: str
    about: str
    status: str
    problems: tuple
    seconds: float

    @property
    def held(self):
        return not self.problems


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

    Raises ProjectError (code "not-isolated") where there is no sandbox, UsageError for a name that is none.
    """
    start = time.monotonic()
    executor = executor or Threads()
    isolation = sandbox or find(project)
    corpus = _chosen(attacks.read_corpus(project), names)
    with ExitStack() as stack:
        kits = {
            name: stack.enter_context(executor.kit(project, catalog, catalog.find(name), sandbox=isolation))
            for name in sorted({attack.module for attack in corpus})
        }
        done, lock, cancel = [], threading.Lock(), threading.Event()

        def run(attack):
            held = run_attack(project, attack, kits[attack.module], executor.score, cancel)
            with lock:
                done.append(held)
                if on_done:
                    on_done(len(done), len(corpus))
            return held

        with ThreadPoolExecutor(jobs) as pool:
            try:
                results = tuple(pool.map(run, corpus))
            except BaseException:
                cancel.set()
                pool.shutdown(cancel_futures=True)
                raise
    return Selftest(isolation.kind, isolation.detail, results, round(time.monotonic() - start, 2))


def _chosen(corpus, names):
    unknown = sorted(set(names) - {attack.name for attack in corpus})
    if unknown:
        raise UsageError(f"no attack is called {unknown[0]}", "tito grade selftest   (all of them, with their names)")
    return [attack for attack in corpus if not names or attack.name in names]


def run_attack(project, attack, kit, score, cancel=None):
    """Hand in one attack, grade it, and look what came of it."""
    start, token = time.monotonic(), uuid.uuid4().hex
    limits = Limits(
        seconds=attack.limits.get("seconds", SECONDS),
        memory=attack.limits.get("memory", MEMORY),
        processes=attack.limits.get("processes", Limits.processes),
    )
    with attacks.Trap() as trap:
        data = attacks.submission(attack, kit.source, trap.values(project, token))
        task = Task(attack.name, data, limits, attack.limits.get("cell_seconds", CELL_SECONDS))
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
