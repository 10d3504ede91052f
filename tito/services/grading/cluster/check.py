"""`tito grade worker-check`: is every worker of a scheduler as this machine, and does its sandbox hold?"""

from dataclasses import asdict, dataclass, replace

from tito.errors import ProjectError, UsageError
from tito.services.grading.cluster import worker
from tito.services.grading.cluster.connection import Worker
from tito.services.grading.proof import attacks
from tito.services.grading.scoring import executors

PROOF_SECONDS = 1800  # for all attacks, one after the other


@dataclass(frozen=True)
class CheckedWorker(Worker):
    """A Worker, and how many of the `attacks` that ran in its sandbox were held."""

    held: int = 0
    attacks: int = 0
    seconds: float = 0.0


def check(connection, project, *, names=(), on_done=None):
    """A CheckedWorker for each worker. names: the attacks to run there, all where empty.

    Raises ProjectError where there is no worker, UsageError for a name that is no attack.
    """
    unknown = sorted(set(names) - {attack.name for attack in attacks.read_corpus(project)})
    if unknown:
        raise UsageError(f"no attack is called {unknown[0]}", "tito grade selftest   (all of them, with their names)")
    workers = connection.workers(worker.identity(project))
    if not workers:
        raise ProjectError(
            f"the scheduler at {connection.address} has no workers",
            f"on each machine, in its clone of the course: dask worker {connection.address}",
            code="workers",
        )
    found = [CheckedWorker(**asdict(one)) for one in workers]
    proving = {
        one.address: connection.submit(worker.prove, tuple(names), on=one.address) for one in found if not one.reason
    }
    if on_done:
        on_done(0, len(proving))
    for place, one in enumerate(found):
        if one.address in proving:
            found[place] = _proven(one, proving[one.address])
            if on_done:
                on_done(sum(other.attacks > 0 or bool(other.reason) for other in found), len(found))
    return tuple(found)


def _proven(one, future):
    try:
        said = future.result(timeout=PROOF_SECONDS)
    except Exception as error:  # the worker died, or cannot run the corpus
        return replace(one, reason=f"the attacks did not run: {type(error).__name__}: {error}"[: executors.REASON])
    loose = [attack.name for attack in said.attacks if not attack.held]
    reason = f"not held: {', '.join(loose)}" if loose else ""
    held = len(said.attacks) - len(loose)
    return replace(one, reason=reason, held=held, attacks=len(said.attacks), seconds=said.seconds)
