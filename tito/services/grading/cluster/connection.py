"""The conversation with a Dask scheduler: who may be asked, who is there, and which workers are as this machine."""

import contextlib
import ipaddress
import logging
import socket
from dataclasses import dataclass

from tito.errors import ProjectError, UsageError
from tito.services.grading.cluster import worker
from tito.services.grading.scoring import executors

SECONDS = 10  # for a scheduler to answer
LOOK_SECONDS = 120  # for a worker to start its sandbox once


@dataclass(frozen=True)
class Worker:
    """A worker of a scheduler. reason: why it is refused, "" where it is as this machine."""

    name: str
    address: str
    threads: int
    sandbox: str = "none"
    reason: str = ""


class Connection:
    """A scheduler that answers. Made by `connect`."""

    def __init__(self, client, address):
        self.client, self.address = client, address

    def threads(self):
        """{address of a worker: its threads} of those that are there now. Raises ProjectError where nobody answers."""
        with self.answering():
            if self.client.status != "running":
                raise ConnectionError(self.client.status)
            return self.client.nthreads()

    def names(self):
        with self.answering():
            known = self.client.scheduler_info(n_workers=-1)["workers"]
        return {address: str(one["name"]) for address, one in known.items()}

    def submit(self, function, *arguments, on):
        """The future of a call on the worker with the address `on`, and on no other."""
        return self.client.submit(function, *arguments, workers=[on], allow_other_workers=False, pure=False)

    @contextlib.contextmanager
    def answering(self):
        """What a scheduler that went away raises becomes a ProjectError."""
        try:
            yield
        except (OSError, TimeoutError, RuntimeError) as error:
            raise ProjectError(
                f"the scheduler at {self.address} does not answer any more ({type(error).__name__})",
                "run the command again when it does: what was scored until now is kept",
                code="scheduler",
            ) from error

    def workers(self, identity):
        """A Worker for each that is there, compared with the `identity` of this machine."""
        threads, names = self.threads(), self.names()
        futures = {address: self.submit(worker.look, on=address) for address in threads}
        found = []
        for address, future in futures.items():
            name = names.get(address, address)
            try:
                said = future.result(timeout=LOOK_SECONDS)
            except Exception as error:  # whatever another machine, another course or Dask may say
                reason = f"it cannot say what it is: {type(error).__name__}: {error}"[: executors.REASON]
                found.append(Worker(name, address, threads[address], reason=reason))
            else:
                found.append(Worker(name, address, threads[address], said["sandbox"], why_not(said, identity)))
        return sorted(found, key=lambda one: one.name)


def why_not(said, identity):
    """Why a worker that said this of itself may score nothing; "" where it may."""
    if said["error"]:
        return said["error"]
    other = [f"{what} {said['identity'].get(what)}, here {mine}" for what, mine in identity.items()
             if said["identity"].get(what) != mine]  # fmt: skip
    if other:
        return "; ".join(other)
    if said["sandbox"] == "none":
        return f"no sandbox: {said['detail']}"
    return ""


@contextlib.contextmanager
def connect(address, *, open_scheduler=False):
    """Yield a Connection to the scheduler at `address`.

    Whoever reaches a scheduler can run programs on its workers: one that is neither on this machine alone nor behind
    TLS is refused, unless open_scheduler. Raises UsageError for what is no address, ProjectError where nobody answers.
    """
    try:
        from distributed import Client
        from distributed.comm import parse_address
    except ImportError as error:
        raise ProjectError(
            "--scheduler needs Dask, which is not installed", "pip install -e '.[cluster]'", code="cluster"
        ) from error
    if "://" not in address:
        raise UsageError(f"{address} is no address of a scheduler", f"--scheduler tcp://{address}, or tls://…")
    kind, _ = parse_address(address)
    if kind not in ("tcp", "tls"):
        raise UsageError(f"{address} is no address of a scheduler", "write tcp://host:port, or tls://host:port")
    if not open_scheduler:
        _require_closed(address, address)
    # What matters of it is said here. asyncio would print the traceback of every conversation that breaks, in Dask's
    # thread, for which Python 3.11 parses source lines: while this thread parses, that is a SystemError.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except Exception as error:  # no such host, nobody there, no scheduler, another protocol, no certificate
        raise ProjectError(
            f"no scheduler answers at {address}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            "start one: dask scheduler --host 127.0.0.1; if it runs, it may speak another version: pip list on both",
            code="scheduler",
        ) from error
    try:
        found = Connection(client, address)
        _require_same_dask(client)
        if not open_scheduler:
            info = client.scheduler_info(n_workers=-1)
            for other in (info["address"], *info["workers"]):
                _require_closed(other, address)
        yield found
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone
            client.close(timeout=SECONDS)


def _require_same_dask(client):
    """Raises ProjectError where the scheduler is of another Dask, which might not understand what it is sent."""
    import distributed

    versions = client.get_versions()
    theirs = versions["scheduler"]["packages"].get("distributed")
    if theirs != distributed.__version__:
        raise ProjectError(
            f"the scheduler has Dask {theirs}, this machine {distributed.__version__}",
            f"on one of them: pip install 'distributed=={theirs}'",
            code="scheduler",
        )


def _require_closed(address, named):
    if address.startswith("tls://") or _is_loopback(address):
        return
    raise ProjectError(
        f"{named} is an open scheduler: whoever reaches {address} can run programs as its user",
        "start it with TLS (docs/cluster.md) or with --host 127.0.0.1; on a network that is yours alone: "
        "--open-scheduler",
        code="open-scheduler",
    )


def _is_loopback(address):
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)
