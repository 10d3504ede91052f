"""A real Dask scheduler on this machine, and real workers, each a process of its own with this course's tito."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from waiting import until

TESTS = Path(__file__).resolve().parents[1]


class Scheduler:
    """A scheduler with workers. A context manager that ends all of them."""

    def __init__(self, folder, root, host="127.0.0.1"):
        self.folder, self.root, self.workers = folder, root, {}
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.process = self._run("scheduler", "--host", host, "--port", self.port, "--no-dashboard")
        until(self._answers, f"the scheduler: see {self.folder}")

    def start_worker(self, name, *options, root=None, threads=1, nanny=False, environment=None):
        """Start a worker whose tito is the one of the course at `root`, and wait until it is there."""
        more = () if nanny else ("--no-nanny",)
        log = self.folder / f"{name}.log"
        self.workers[name] = self._run(
            "worker", self.address, "--name", name, "--nthreads", threads, "--no-dashboard", "--host", "127.0.0.1",
            "--local-directory", self.folder / name, "--death-timeout", 60, *more, *options,
            root=root, log=log, environment=environment,
        )  # fmt: skip
        until(lambda: "Registered to" in log.read_text(encoding="utf-8", errors="replace"), f"{name}: see {log}")
        return self.workers[name]

    def kill(self, name):
        process = self.workers.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (*self.workers.values(), self.process):
            process.kill()
            process.wait()

    def _run(self, kind, *arguments, root=None, log=None, environment=None):
        root = root or self.root
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, [root, TESTS / "support", TESTS / "grading"])),
            "OPENBLAS_NUM_THREADS": "1",
            **(environment or {}),
        }
        with (log or self.folder / f"{kind}.log").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *map(str, arguments)],
                cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
