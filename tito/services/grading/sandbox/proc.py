"""What /proc says about a process and all that it started. Where there is no /proc (macOS, Windows): nothing."""

import contextlib
import os
import signal
import time

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
STORAGE = ("work", "tmp", "home/student", "dev/shm")


def _read(path):
    """The bytes of a file in /proc, b"" where the process is gone or is not to be looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 16384)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _fields(pid):
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def children():
    """{pid of a parent: [(pid, its start)]} of the whole machine, {} where it is not known."""
    found = {}
    for pid in _numbers():
        if len(fields := _fields(pid)) > 19:
            found.setdefault(int(fields[1]), []).append((pid, fields[19]))
    return found


def _numbers():
    """The numbers of all processes."""
    try:
        with os.scandir("/proc") as entries:
            return [int(entry.name) for entry in entries if entry.name.isdigit()]
    except OSError:
        return []


def tree(pid, known=None):
    """{pid: its start} of a process and everything below it, parents first."""
    known = children() if known is None else known
    fields = _fields(pid)
    found, waiting = ({pid: fields[19]}, [pid]) if len(fields) > 19 else ({}, [])
    while waiting:
        for child, start in known.get(waiting.pop(), ()):
            if child not in found:
                found[child] = start
                waiting.append(child)
    return found


def of_user(user):
    """{pid: its start} of the processes whose real user is the number `user`.

    Not by whom /proc says that its folder belongs to: a process can make that root.
    """
    found = {}
    for pid in _numbers():
        lines = _read(f"/proc/{pid}/status").splitlines()
        users = next((line.split()[1:] for line in lines if line.startswith(b"Uid:")), ())
        if users and int(users[0]) == user and len(fields := _fields(pid)) > 19:
            found[pid] = fields[19]
    return found


def kill(pid, start):
    """SIGKILL, unless the number has become another process's."""
    fields = _fields(pid)
    if len(fields) > 19 and fields[19] == start:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def wait_until_gone(known, seconds):
    """Wait until none of the processes {pid: its start} is left; those that are, after `seconds`."""
    deadline = time.monotonic() + seconds
    left = dict(known)
    while left:
        left = {pid: start for pid, start in left.items() if _alive(pid, start)}
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return left


def _alive(pid, start):
    fields = _fields(pid)
    return len(fields) > 19 and fields[19] == start and fields[0] != b"Z"


def tasks(pids):
    """The number of threads of these processes, at least one each."""
    return sum(int(fields[17]) for pid in pids if len(fields := _fields(pid)) > 17)


def processor_seconds(pids):
    """What these processes have used of the processor, and children of theirs that have ended. Linux only."""
    total = 0.0
    for pid in pids:
        fields = _fields(pid)
        with contextlib.suppress(OSError):
            total += time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
            total += sum(map(int, fields[13:15])) / TICKS
    return total


def resident(pids):
    """Bytes of memory, pages that processes share counted for each."""
    return sum(int(fields[1]) * PAGE for pid in pids if len(fields := _read(f"/proc/{pid}/statm").split()) > 1)


def proportional(pids):
    """Bytes of memory, shared pages counted once in all."""
    total = 0
    for pid in pids:
        lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
        pss = next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:")), None)
        total += resident([pid]) if pss is None else pss
    return total


def files_inside(pid, size):
    """The number of files in the writable folders of the sandbox that `pid` runs in, 0 where it is not known.

    size: of the largest of these folders; what is larger belongs to the machine, while the sandbox is being made.
    """
    total = 0
    for folder in STORAGE:
        with contextlib.suppress(OSError, AttributeError):
            found = os.statvfs(f"/proc/{pid}/root/{folder}")
            if found.f_blocks * found.f_frsize <= size + PAGE:
                total += found.f_files - found.f_ffree
    return total
