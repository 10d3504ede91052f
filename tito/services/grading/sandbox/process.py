"""A running sandbox: its pipes, its end, and the watch over its limits.

Two threads serve all sandboxes of a tito process. The starter starts them, because the kernel ends a sandbox when the
*thread* that started it ends. The watch ends those that use more than they may.
"""

import contextlib
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from tito.errors import ProjectError
from tito.services.grading.sandbox import proc

TICK = 0.05
STORAGE_TICKS = 10
END_SECONDS = 10
SPARE_TASKS = 16  # where the kernel counts, it is the first to refuse: at the call that asks for too many
MOST_FILES = 100_000  # in all folders of a sandbox: every file costs the machine memory, also an empty one
KEPT_ERRORS = 64 * 1024


@dataclass
class Prepared:
    """What to start. command, cwd, environment, descriptors: of the process that tito starts.

    information: a pipe from which the number of the sandbox's first process can be read, as bubblewrap writes it: all
    others end with that one. scaffolding: how many of its processes belong to the sandbox itself. watched: whether
    tito has to watch over memory and processes. end: called to end what killing the process does not. clean: folders
    to remove. own_group: start it as the head of a process group, which is killed. killed_is_memory: whether a kill
    that did not come from tito means that the memory was used up. user: whose processes are all of the sandbox's and no
    others, where there is such a number. storage: called twice a second, says whether the disk is used up.
    """

    command: list
    cwd: str = "/"
    environment: dict = field(default_factory=dict)
    descriptors: tuple = ()
    information: int | None = None
    scaffolding: int = 0
    watched: bool = True
    end: object = None
    clean: tuple = ()
    own_group: bool = False
    killed_is_memory: bool = False
    user: int | None = None
    storage: object = None


def start_process(prepared, limits):
    try:
        popen = _starter.run(lambda: _popen(prepared))
    except OSError as error:
        _remove(prepared.clean)
        if prepared.information is not None:
            os.close(prepared.information)
        raise ProjectError(f"the sandbox does not start: {error}", "tito doctor", code="sandbox") from error
    finally:
        for descriptor in prepared.descriptors:
            os.close(descriptor)
    process = Process(popen, prepared, limits)
    _watch.add(process)
    return process


def _popen(prepared):
    return subprocess.Popen(
        prepared.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=prepared.cwd,
        env=prepared.environment,
        pass_fds=prepared.descriptors,
        start_new_session=prepared.own_group and os.name == "posix",
    )


def file_with(data):
    """A descriptor from which `data` can be read, of a file without a name."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return os.dup(file.fileno())


def _remove(folders):
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class Process:
    """A program in a sandbox. stdin and stdout are binary pipes to it. A context manager, which kills it."""

    def __init__(self, popen, prepared, limits):
        self._popen, self._prepared, self.limits = popen, prepared, limits
        self.stdin, self.stdout = popen.stdin, popen.stdout
        self.deadline = time.monotonic() + limits.seconds
        self._why, self._errors, self._lock = "", b"", threading.RLock()
        self._gone, self._first = False, None
        self._reader = threading.Thread(target=self._read, name="tito-sandbox-errors", daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self._popen.pid

    @property
    def prepared(self):
        return self._prepared

    def poll(self):
        """None while it runs."""
        return self._popen.poll()

    def wait(self, timeout=None):
        """Wait until it and all that it started have ended, by themselves or not. Raises TimeoutError."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the sandbox did not end within {timeout:g} s") from None
        self.end("")

    def kill(self, why="killed"):
        """End everything that was started, wait for it, and close the pipes."""
        self.end(why)
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()

    def end(self, why):
        """End everything that was started and wait for it; the pipes can still be read to their end."""
        with self._lock:
            if self._gone:
                return
            if self._popen.poll() is None:
                self._why = why
            known = self._kill_all()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(END_SECONDS)
            proc.wait_until_gone(known, END_SECONDS)
            self._reader.join(END_SECONDS)
            self._end_first()
            _remove(self._prepared.clean)
            self._gone = True

    def _kill_all(self):
        """Send the signals; the processes that have to be gone afterwards, as {pid: its start}."""
        popen, prepared = self._popen, self._prepared
        if prepared.end is not None:
            prepared.end()
        known = proc.tree(popen.pid) if popen.poll() is None else {}
        if os.name != "posix":
            if popen.poll() is None:
                command = ["taskkill", "/F", "/T", "/PID", str(popen.pid)]
                subprocess.run(command, capture_output=True, check=False)
            popen.kill()
            return known
        if prepared.own_group:  # its members outlive the first process
            with contextlib.suppress(OSError):
                os.killpg(popen.pid, signal.SIGKILL)
        popen.kill()
        for pid, start in known.items():
            proc.kill(pid, start)
        return known

    def _end_first(self):
        """End the sandbox's first process and wait for it: the kernel lets it go when all others are gone."""
        if self._first is None:
            return
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._first, select.POLLIN)
        poll.poll(END_SECONDS * 1000)
        os.close(self._first)
        self._first = None

    def reason(self):
        """Why it ended: "" (by itself, without an error, or not yet), "memory", "processes", "time", "disk", "output".

        Besides: "killed" by the caller, "signal SIGSEGV", "exit code 3".
        """
        code = self._popen.poll()
        if self._why:
            return self._why
        if code in (None, 0):
            return ""
        number = -code if code < 0 else code - 128
        names = {one.value: one.name for one in signal.Signals}
        if number not in names or (number <= 0):
            return f"exit code {code}"
        if names[number] == "SIGXFSZ":
            return "disk"
        if names[number] == "SIGXCPU":
            return "time"
        if names[number] == "SIGKILL" and self._prepared.killed_is_memory:
            return "memory"
        return f"signal {names[number]}"

    def errors(self):
        """The start of what it wrote to stderr."""
        self._reader.join(1 if self._popen.poll() is not None else 0)
        return self._errors.decode("utf-8", "replace")

    def _first_number(self):
        with os.fdopen(self._prepared.information, "rb") as information:
            return json.loads(information.read())["child-pid"]

    def _read(self):
        """Find the first process, then read stderr to its end."""
        if self._prepared.information is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, KeyError):
                self._first = os.pidfd_open(self._first_number())
        total = 0
        with self._popen.stderr as stderr:
            while chunk := stderr.read1(65536):
                self._errors += chunk[: KEPT_ERRORS - len(self._errors)]
                total += len(chunk)
                if total > self.limits.output:
                    # not from this thread: ending waits for it
                    threading.Thread(target=self.end, args=("output",), daemon=True).start()
                    while stderr.read1(65536):
                        pass
                    return


class _Starter:
    """Runs functions in one thread that lives as long as tito."""

    def __init__(self):
        self._queue, self._lock, self._thread = queue.SimpleQueue(), threading.Lock(), None

    def run(self, work):
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="tito-sandbox-starter", daemon=True)
                self._thread.start()
        future = Future()
        self._queue.put((work, future))
        return future.result()

    def _serve(self):
        while True:
            work, future = self._queue.get()
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)


class _Watch:
    """Looks at all running sandboxes several times a second."""

    def __init__(self):
        self._processes, self._lock, self._thread = [], threading.Lock(), None

    def add(self, process):
        with self._lock:
            self._processes.append(process)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tito-sandbox-watch", daemon=True)
                self._thread.start()

    def _run(self):
        tick = 0
        while True:
            with self._lock:
                running = [process for process in self._processes if process.poll() is None]
                ended = [process for process in self._processes if process not in running]
                self._processes = list(running)
                self._thread = self._thread if running else None
            for process in ended:
                if process.prepared.user:  # nothing else ends what it has left behind
                    threading.Thread(target=process.end, args=("",), daemon=True).start()
            if not running:
                return
            children = proc.children() if any(process.prepared.watched for process in running) else {}
            for process in running:
                why = self._look(process, children, tick % STORAGE_TICKS == 0)
                if why:
                    threading.Thread(target=process.end, args=(why,), daemon=True).start()
                    with self._lock:
                        self._processes.remove(process)
            tick += 1
            time.sleep(TICK)

    @staticmethod
    def _look(process, children, storage):
        """Why this sandbox has to end, or ""."""
        if time.monotonic() > process.deadline:
            return "time"
        if not process.prepared.watched or not children:
            return ""
        prepared, limits = process.prepared, process.limits
        pids = list(proc.of_user(prepared.user) if prepared.user else proc.tree(process.pid, children))
        if proc.tasks(pids) - prepared.scaffolding > limits.processes + SPARE_TASKS:
            return "processes"
        if proc.resident(pids) > limits.memory and proc.proportional(pids) > limits.memory:
            return "memory"
        if not storage or not pids:
            return ""
        if prepared.storage:
            return "disk" if prepared.storage() else ""
        if not prepared.scaffolding:
            return ""
        if proc.files_inside(pids[-1], limits.disk) > MOST_FILES:
            return "disk"
        return ""


_starter, _watch = _Starter(), _Watch()
