"""What a submission could try, tried: each program runs in this machine's sandbox, and the host looks what came of it.

Every attempt is bounded, so that a sandbox that does not hold does not take the machine along.
"""

import functools
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tito.errors import ProjectError
from tito.project import read_project
from tito.services.files import remove_tree
from tito.services.grading.sandbox import bubblewrap, containers, fonts, interpreter
from tito.services.grading.sandbox import find as sandbox
from tito.services.grading.sandbox.find import MIB, Limits, Sandbox
from tito.services.grading.sandbox.plain import Plain, base_environment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
AS_NOBODY = "TITO_TEST_AS_NOBODY"
SHORT = Limits(seconds=15, memory=1024 * MIB)


@functools.cache
def the_sandbox():
    return sandbox.find(PROJECT, allow_none=True, build=False)


isolated = pytest.mark.skipif(
    sys.platform != "linux" or the_sandbox().kind != "bubblewrap", reason="bubblewrap does not run here"
)


class Outcome:
    def __init__(self, process, out, seconds):
        self.out, self.seconds = out.decode("utf-8", "replace"), seconds
        self.errors, self.reason = process.errors(), process.reason()

    @property
    def answer(self):
        assert self.reason == "", f"{self.reason}: {self.errors}"
        return json.loads(self.out)


def run(code, *, limits=SHORT, where=None, **options):
    """Run `code` in a sandbox until it ends."""
    token, start = uuid.uuid4().hex, time.monotonic()
    program = [sys.executable, "-P", "-s", "-c", code, token]
    with (where or the_sandbox()).start(program, limits=limits, **options) as process:
        out = process.stdout.read()
        process.wait(60)
        outcome = Outcome(process, out, time.monotonic() - start)
    assert running_with(token) == []
    return outcome


def running_with(token):
    """Processes of this machine that have `token` among their arguments."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if token.encode() in bytes_of(path)]


def bytes_of(path):
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


def attempts(**programs):
    """A program that tries each of `programs` (expressions) and prints what came of it."""
    return f"""
import ctypes, json, mmap, os, pathlib, signal, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    done = libc.syscall(*arguments)
    return done if done >= 0 else os.strerror(ctypes.get_errno())
found = {{}}
for name, text in {programs!r}.items():
    try:
        found[name] = repr(eval(text))
    except BaseException as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


# What it can see.


@isolated
def test_it_is_an_unprivileged_user_with_an_empty_environment(monkeypatch):
    monkeypatch.setenv("TITO_SECRET", "of the instructor")
    code = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
seen = "".join(path.read_text(errors="replace") for path in pathlib.Path("/proc").glob("[0-9]*/environ"))
first = pathlib.Path("/proc/1/environ").read_text()
print(json.dumps({"user": os.getuid(), "group": os.getgid(), "groups": os.getgroups(), "cwd": os.getcwd(),
    "capabilities": {status[n].strip() for n in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16},
    "no new privileges": status["NoNewPrivs"].strip(), "filter": status["Seccomp"].strip(),
    "first": first, "secret": "instructor" in seen, "names": sorted(os.environ), "home": os.environ["HOME"]}))
"""
    found = run(code).answer
    assert (found["user"], found["group"]) == (65534, 65534) and 0 not in found["groups"]
    assert found["capabilities"] and found["no new privileges"] == "1" and found["filter"] == "2"
    assert found["first"] == "" and not found["secret"]
    assert found["cwd"] == "/work" and found["home"] == "/home/student"
    assert set(found["names"]) <= {*base_environment(), "PWD", "LC_CTYPE"}


@isolated
def test_it_is_an_unprivileged_user_of_the_host_too():
    token = uuid.uuid4().hex
    with the_sandbox().start([sys.executable, "-c", "import time; time.sleep(30)", token], limits=SHORT):
        wait_for(lambda: len(running_with(token)) >= 3)
        for pid in running_with(token):
            lines = Path("/proc", pid, "status").read_text(encoding="utf-8").splitlines()
            status = dict(line.split(":", 1) for line in lines)
            assert set(status["Uid"].split()) == {"65534" if os.getuid() == 0 else str(os.getuid())}
            assert os.getuid() != 0 or status["Groups"].strip() == ""


@isolated
def test_there_is_no_network():
    name = f"tito-{uuid.uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        server.settimeout(0.2)
        abstract.bind("\0" + name)
        abstract.listen()
        port = server.getsockname()[1]
        code = attempts(
            local=f"socket.create_connection(('127.0.0.1', {port}), 3)",
            far="socket.create_connection(('192.0.2.1', 80), 3)",
            abstract=f"socket.socket(socket.AF_UNIX).connect('\\0{name}')",
            name="socket.getaddrinfo('example.org', 80)",
            cards="[line.split(':')[0].strip() for line in list(open('/proc/net/dev'))[2:]]",
        )
        found = run(code).answer
        with pytest.raises(TimeoutError):
            server.accept()
    assert found.pop("cards") == "['lo']"
    assert found == {
        "local": "ConnectionRefusedError",
        "far": "OSError",
        "abstract": "ConnectionRefusedError",
        "name": "gaierror",
    }


def test_a_list_of_fonts_that_takes_too_long_is_none_and_no_half_of_it_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "SECONDS", 0.01)
    assert fonts.prepare(SimpleNamespace(state=tmp_path)) is None
    assert not list((tmp_path / "matplotlib").iterdir())


@isolated
def test_nothing_of_the_host_is_there(tmp_path):
    (tmp_path / "secret.txt").write_text("of the instructor", encoding="utf-8")
    paths = [tmp_path / "secret.txt", Path(__file__), ROOT, ROOT / "tinytorch", ROOT / "assignments", Path.home() / "."]
    paths += [Path(p) for p in ("/etc/passwd", "/etc/shadow", "/var", "/run", "/opt", "/srv", "/sys", "/boot", "/mnt")]
    code = f"""
import json, os
seen = [path for path in {[str(path) for path in paths]!r} if os.path.exists(path)]
print(json.dumps({{"seen": seen, "roots": os.listdir("/"), "etc": os.listdir("/etc"),
    "home": os.listdir({str(Path.home())!r}) if os.path.exists({str(Path.home())!r}) else [],
    "project": os.listdir({str(ROOT)!r}) if os.path.exists({str(ROOT)!r}) else []}}))
"""
    found = run(code).answer
    visible = {Path(path).parts[1] for path in (sys.prefix, sys.base_prefix)}
    assert set(found["roots"]) <= {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", *visible} | {
        *("etc", "proc", "dev", "tmp", "home", "work", "nix", "gnu")
    }
    assert set(found["etc"]) <= {"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime"}
    # of the home folder no more than the way to the interpreter
    ways = {
        Path(path).relative_to(Path.home()).parts[0]
        for path in (sys.prefix, sys.base_prefix)
        if Path(path).is_relative_to(Path.home())
    }
    assert set(found["home"]) <= ways
    # nor of the project, where the environment lies inside it
    inside = Path(sys.prefix).is_relative_to(ROOT)
    assert found["project"] == ([Path(sys.prefix).relative_to(ROOT).parts[0]] if inside else [])
    assert set(found["seen"]) <= {str(Path.home()), *([str(ROOT)] if inside else [])}


def open_up(path):
    """Let everybody reach `path`: as root, bubblewrap runs as somebody else."""
    for folder in (path, *path.parents):
        if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)


COURSE = """
import json, sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from tito.project import read_project
from tito.services.grading.sandbox import find as sandbox
found = sandbox.find(read_project(Path({course!r})))
code = '''
import importlib, json, os
def have(name):
    try:
        return importlib.import_module(name).__file__
    except ImportError:
        return None
print(json.dumps(dict(seen=[have(name) for name in ("tinytorch", "tinytorch.core.answer", "tito", "tito.secret")],
    other=have("other"), files=sorted(os.listdir({course!r})))))
'''
with found.start([sys.executable, "-P", "-s", "-c", code]) as process:
    print(process.stdout.read().decode(), process.errors(), file=sys.stdout)
"""


@isolated
@pytest.mark.parametrize("place", [".venv", "."])
def test_a_course_that_is_installed_in_its_own_environment_gives_no_answer(tmp_path, place):
    """Both ways of installing it: a copy in site-packages, and a .pth file that names the project."""
    course = tmp_path / "course"
    (course / "tinytorch" / "core").mkdir(parents=True)
    (course / "tinytorch" / "core" / "answer.py").write_text("", encoding="utf-8")
    (course / "pyproject.toml").write_text('[tool.tito]\nrole = "course"\n', encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course / place], check=True)
    packages = next((course / place / "lib").glob("python*/site-packages"))
    for name in ("tinytorch/core", "tito", "numpy", "other"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
    for name in ("tinytorch/__init__.py", "tinytorch/core/answer.py", "tito/secret.py"):
        (packages / name).touch()
    (packages / "_tinytorch.pth").write_text(f"{course}\n", encoding="utf-8")
    python = course / place / "bin" / "python"
    program = COURSE.format(repository=str(ROOT), course=str(course))
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["other"] is not None, "the environment itself has to be there"
    assert found["seen"] == [None] * 4
    assert set(found["files"]) <= {".venv", "bin", "lib", "lib64", "include", "pyvenv.cfg"}


@isolated
def test_only_its_own_folders_can_be_written_to():
    token = uuid.uuid4().hex
    import numpy

    folders = ["/", "/usr", "/etc", "/dev", "/proc", sys.prefix, sys.base_prefix, str(Path(numpy.__file__).parent)]
    folders += ["/work", "/tmp", "/home/student", "/dev/shm"]
    code = f"""
import json, os
found = []
for folder in {folders!r}:
    try:
        open(os.path.join(folder, "{token}"), "w").close()
        found.append(folder)
    except OSError:
        pass
for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/1/mem"):
    try:
        with open(path, "r+") as file:
            file.write("-1000" if "oom" in path else "x")
        found.append(path)
    except (OSError, ValueError):
        pass
print(json.dumps(found))
"""
    assert run(code).answer == ["/work", "/tmp", "/home/student", "/dev/shm"]
    assert not any((Path(folder) / token).exists() for folder in folders)


@isolated
def test_what_it_is_shown_can_be_read_and_not_written(tmp_path):
    shown = tmp_path / "shown"
    shown.mkdir(mode=0o700)
    (shown / "a.txt").write_text("first", encoding="utf-8")
    (shown / "a.txt").chmod(0o600)
    code = attempts(text="open('/grading/shown/a.txt').read()", write="open('/grading/shown/a.txt', 'w')")
    found = run(code, readable={shown: "/grading/shown"}, environment={"MINE": "1"}).answer
    assert found["text"] == "'first'" and found["write"] in ("OSError", "PermissionError")
    assert (shown / "a.txt").read_text(encoding="utf-8") == "first"


# What it can do.


@isolated
def test_doors_of_the_kernel_are_closed():
    found = run(
        attempts(
            root="os.setuid(0)",
            user_namespace="call(272, 0x10000000)" if os.uname().machine == "x86_64" else "call(97, 0x10000000)",
            unshare="libc.unshare(0x10000000)",
            mount="libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
            attach="libc.ptrace(16, 1, 0, 0)",
            traceme="libc.ptrace(0, 0, 0, 0)",
            memory_of_parent="open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
            parent="open('/proc/1/root/etc/shadow').read()",
            chroot="os.chroot('/tmp')",
            node="os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))",
            limits="__import__('resource').setrlimit(__import__('resource').RLIMIT_NOFILE, (9999, 9999))",
            memfd="os.memfd_create('x')",
            segment="libc.shmget(0, 4096, 0o600)",
            semaphores="libc.semget(0, 32000, 0o1600)",
            queue="libc.msgget(0, 0o1600)",
            anonymous="mmap.mmap(-1, 4096)",
            huge="mmap.mmap(-1, 2**21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)",
            host_of_a_virtual_machine="socket.socket(40, socket.SOCK_STREAM)",
            netlink="socket.socket(16, socket.SOCK_RAW)",
            packets="socket.socket(17, socket.SOCK_RAW)",
            kernel_cryptography="socket.socket(38, socket.SOCK_SEQPACKET)",
            inotify="libc.inotify_init()",
            others_descriptors="libc.syscall(438, 0, 0, 0)",
            zero="open('/dev/zero', 'rb')",
            core="__import__('resource').getrlimit(__import__('resource').RLIMIT_CORE)",
        )
    ).answer
    assert found.pop("core") == "(0, 0)"
    assert found.pop("user_namespace") == repr(os.strerror(1))
    refused = {"-1", "PermissionError", "FileNotFoundError", "ValueError", "OSError"}
    assert {name: what for name, what in found.items() if what not in refused} == {}


NEEDED = """
import asyncio, json, multiprocessing, os, shutil, signal, socket, sqlite3, subprocess, tempfile, threading, time
import numpy as np

def product():
    os.environ["OPENBLAS_NUM_THREADS"] = "2"
    a = np.random.default_rng(0).normal(size=(400, 400))
    return np.allclose(np.linalg.inv(a) @ a, np.eye(400))

def figure():
    import matplotlib
    matplotlib.use("agg")
    from matplotlib import pyplot
    pyplot.plot([1, 2])
    pyplot.savefig("figure.png")
    return os.path.getsize("figure.png") > 1000

def shell():
    return subprocess.run("echo a | cat | sort && ls /usr | head -1", shell=True, capture_output=True).returncode == 0

async def waits():
    process = await asyncio.create_subprocess_exec("true")
    await asyncio.gather(asyncio.sleep(0.01), process.wait())
    return True

def pool():
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return workers.map(abs, [-1, 2]) == [1, 2]

def files():
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(folder + "/a.npz", x=np.zeros(9))
        shutil.copytree(folder, folder + "/copy")
        os.chmod(folder + "/copy/a.npz", 0o600)
        os.utime(folder + "/copy/a.npz")
        mapped = np.memmap(folder + "/m", dtype="f4", mode="w+", shape=(9,))
        mapped[:] = 1
        with sqlite3.connect(folder + "/db") as book:
            book.execute("create table t (x)")
        return np.load(folder + "/copy/a.npz")["x"].size == 9

def server():
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_connection(here.getsockname()) as there:
        there.sendall(b"x")
        return here.accept()[0].recv(1) == b"x"

def clock():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    return len(os.sched_getaffinity(0)) > 0 and time.perf_counter() > 0

def ipython():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell.instance(config=config).run_cell("%cd -q /tmp").success

found = {}
for part in (product, figure, shell, lambda: asyncio.run(waits()), pool, files, server, clock, ipython):
    try:
        found[part.__name__] = part()
    except BaseException as error:
        found[part.__name__] = repr(error)
print(json.dumps({name: str(what) for name, what in found.items()}))
"""


@isolated
def test_what_notebooks_use_is_there():
    assert set(run(NEEDED).answer.values()) == {"True"}


@isolated
def test_its_processes_name_no_folder_of_the_host():
    """What bubblewrap was told, and what an installation of the course leaves beside the packages."""
    code = """
import glob, json, pathlib, site
said = [pathlib.Path(f"/proc/{one}/cmdline").read_bytes().decode() for one in (1, "self")]
folders = site.getsitepackages()
said += [pathlib.Path(path).read_text() for folder in folders for path in glob.glob(f"{folder}/**/direct_url.json")]
for path in [path for folder in folders for path in glob.glob(f"{folder}/*.pth")]:
    try:
        said.append(open(path).read())
    except OSError:
        pass
print(json.dumps(said))
"""
    said = run(code).answer
    assert "bwrap" in said[0] and "--args" in said[0] and "--ro-bind" not in said[0]
    assert not any(str(ROOT) in text.replace(str(sys.prefix), "") for text in said)


@isolated
def test_setuid_programs_gain_nothing():
    code = """
import json, os, pathlib, stat, subprocess
tried = []
for path in pathlib.Path("/usr/bin").iterdir():
    try:
        if path.stat().st_mode & stat.S_ISUID and path.name in ("su", "mount", "newgrp", "passwd", "sudo", "chsh"):
            done = subprocess.run([path, *(["-c", "id"] if path.name == "su" else [])], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=5)
            tried.append((path.name, "uid=0" in done.stdout))
    except (OSError, subprocess.TimeoutExpired):
        pass
print(json.dumps(tried))
"""
    assert not any(gained for _, gained in run(code).answer)


@isolated
@pytest.mark.parametrize("target", ["os.kill(-1, 9)", "os.kill(os.getppid(), 9)", "os.killpg(0, 9)", "os.kill(1, 9)"])
def test_signals_do_not_leave_it(target):
    witness = subprocess.Popen(["sleep", "60"])
    try:
        run(f"import os\nfor attempt in range(3):\n    {target}")
        assert witness.poll() is None
    finally:
        witness.kill()
        witness.wait()


# How much it can use.


@isolated
def test_a_fork_bomb_ends():
    token = uuid.uuid4().hex
    code = f"""
import os
token = "{token}"
for _ in range(500):
    try:
        os.fork()
    except OSError:
        pass
"""
    outcome = run(code)
    # where the kernel counts, the forks are refused; else the sandbox is ended
    assert outcome.reason in ("", "processes") and outcome.seconds < 10
    assert running_with(token) == []


@isolated
def test_more_processes_than_the_limit_are_never_there():
    code = """
import os, sys, time
started = 0
for _ in range(300):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        started += 1
    except OSError:
        break
print(started, flush=True)
"""
    outcome = run(code, limits=Limits(seconds=15, processes=20))
    if the_sandbox().detail:  # the kernel does not count them
        assert outcome.reason == "processes"
    else:
        assert 0 < int(outcome.out) < 20


@isolated
def test_eight_gigabytes_are_refused():
    outcome = run("x = bytearray(8 << 30)\nfor i in range(0, len(x), 4096):\n    x[i] = 1")
    assert "MemoryError" in outcome.errors and outcome.reason == "exit code 1"


@isolated
def test_memory_in_many_processes_counts_together():
    code = """
import os, time
for _ in range(12):
    if os.fork() == 0:
        kept = b"x" * (400 << 20)
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
    outcome = run(code)
    assert outcome.reason == "memory" and outcome.seconds < 12


@isolated
def test_memory_that_children_share_counts_once():
    code = """
import os, time
kept = b"x" * (300 << 20)
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        os._exit(0)
    children.append(child)
print(sum(os.waitpid(child, 0)[1] for child in children))
"""
    assert run(code).answer == 0


@isolated
def test_numpy_has_room_for_its_threads():
    code = "import numpy as np; a = np.ones((600, 600)); print((a @ a)[0, 0])"
    assert run(code, environment={"OPENBLAS_NUM_THREADS": "8"}).answer == 600


@isolated
def test_the_disk_cannot_be_filled(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    code = """
import json, os
sizes = {}
for folder in ("/work", "/tmp", "/home/student", "/dev/shm", "/dev", "/", "/var", "/run"):
    written = 0
    try:
        for number in range(20):
            with open(f"{folder}/file{number}", "wb", buffering=0) as file:
                for _ in range(25):
                    written += file.write(b"x" * (1 << 20))
    except OSError:
        pass
    sizes[folder] = written >> 20
print(json.dumps(sizes))
"""
    sizes = run(code, limits=Limits(seconds=15, disk=32 * MIB)).answer
    assert sizes["/work"] == 32
    assert sum(sizes.values()) <= 4 * 32
    assert free - shutil.disk_usage(tmp_path).free < 200 * MIB


@isolated
def test_a_single_file_has_a_limit():
    outcome = run("import os\nwith open('/work/x', 'wb') as f:\n    f.truncate(1 << 40)", limits=Limits(disk=16 * MIB))
    assert "File too large" in outcome.errors


@isolated
def test_millions_of_empty_files_end_it():
    code = "for number in range(2_000_000):\n    open(f'/tmp/{number}', 'w').close()"
    assert run(code, limits=Limits(seconds=25)).reason == "disk"


@isolated
def test_a_flood_of_messages_ends_it():
    outcome = run("import os\nfor _ in range(1000):\n    os.write(2, b'x' * 100_000)\nprint('all written')")
    assert outcome.reason == "output" and outcome.out == ""
    assert len(outcome.errors) <= 64 * 1024


@isolated
def test_open_files_are_limited():
    code = """
files = []
try:
    while len(files) < 5000:
        files.append(open("/dev/null"))
except OSError:
    print(len(files))
"""
    assert run(code).answer < 256


@isolated
def test_time_by_the_clock_is_limited():
    outcome = run("import time\ntime.sleep(60)", limits=Limits(seconds=0.5))
    assert outcome.reason == "time" and 0.5 <= outcome.seconds < 3


@isolated
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", ""),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os._exit(5)", "exit code 5"),
        ("import ctypes; ctypes.string_at(0)", "signal SIGSEGV"),
        ("import os; os.abort()", "signal SIGABRT"),
        ("raise ValueError", "exit code 1"),
    ],
)
def test_the_reason_of_an_end(code, reason):
    assert run(code).reason == reason


# Nothing stays.

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3):
            os.close(descriptor)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", "{token}"])
    os._exit(0)
time.sleep({seconds})
"""


@isolated
def test_a_process_left_behind_ends_with_the_program():
    token = uuid.uuid4().hex
    assert run(DAEMON.format(token=token, seconds=0.3)).reason == ""
    assert running_with(token) == []


@isolated
def test_kill_ends_everything_before_it_returns():
    token = uuid.uuid4().hex
    process = the_sandbox().start([sys.executable, "-c", DAEMON.format(token=token, seconds=60)], limits=SHORT)
    wait_for(lambda: len(running_with(token)) >= 3)
    process.kill()
    assert running_with(token) == []
    assert process.reason() == "killed" and process.stdout.closed
    process.kill()


OWNER = """
import sys, threading, time
from pathlib import Path
from tito.project import read_project
from tito.services.grading.sandbox import find as sandbox
found = sandbox.find(read_project(Path({root!r})))
program = "import os, time; os.fork(); os.fork(); time.sleep(60)"
held = []
def ask():
    held.append(found.start([sys.executable, "-c", program, {token!r}]))
    time.sleep(0.5)  # until the sandbox has asked the kernel to end with its parent
thread = threading.Thread(target=ask)
thread.start()
thread.join()
time.sleep(1)
print(held[0].poll(), flush=True)
time.sleep(60)
"""


@isolated
def test_it_lives_longer_than_the_thread_that_asked_for_it_and_no_longer_than_tito():
    token = uuid.uuid4().hex
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(root=str(ROOT), token=token)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout.readline().strip() == "None", "it ended with the thread that asked for it"
    assert len(running_with(token)) >= 5
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    wait_for(lambda: running_with(token) == [])


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@isolated
def test_sandboxes_do_not_disturb_each_other():
    """They share a user, whose processes the kernel counts."""
    bomb = "import os, time\nfor _ in range(500):\n    try: os.fork()\n    except OSError: pass\ntime.sleep(5)"
    calm = "import subprocess, sys, time\ntime.sleep(0.3)\nsubprocess.run([sys.executable, '-c', 'pass'], check=True)"
    with ThreadPoolExecutor(4) as pool:
        reasons = list(pool.map(lambda code: run(code).reason, [bomb, calm, bomb, calm]))
    assert reasons[1::2] == ["", ""] and set(reasons[::2]) <= {"", "processes"}


@isolated
def test_a_start_costs_little():
    times = sorted(run("pass").seconds for _ in range(9))
    assert times[4] < 0.3, times


@isolated
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_all_of_this_holds_for_an_unprivileged_user(tmp_path):
    """This file once more, as "nobody", with an interpreter that nobody can reach put where it can."""
    needed = list(dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT))))
    script = ['stage="$1"; shift; cover="$1"; shift']
    script += [f'mkdir "$stage/{i}" && mount --rbind "{path}" "$stage/{i}"' for i, path in enumerate(needed)]
    script += ['if [ -n "$cover" ]; then mount -t tmpfs -o mode=755 x "$cover"; fi']
    for i, path in enumerate(needed):
        script.append(f'if [ ! -d "{path}" ]; then mkdir -p "{path}" && mount --rbind "$stage/{i}" "{path}"; fi')
    script.append('exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"')
    closed = {
        folder
        for path in needed
        for folder in (Path(path), *Path(path).parents)
        if not folder.stat().st_mode & stat.S_IXOTH
    }
    cover = min(closed, key=lambda folder: len(folder.parts), default=None)
    folder = tmp_path / "stage"
    folder.mkdir()
    command = [
        *("unshare", "--mount", "--propagation", "private", "sh", "-e", "-c", "\n".join(script), "sh"),
        *(str(folder), str(cover or ""), sys.executable, "-m", "pytest", str(Path(__file__)), "-q", "-x"),
        *("-p", "no:cacheprovider", "-k", "not unprivileged_user and not its_own_environment and not empty_files"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", AS_NOBODY: "1"}
    environment |= {"HOME": "/nonexistent", "TMPDIR": "/tmp", "PYTEST_DEBUG_TEMPROOT": "/tmp"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=300,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout.splitlines()[-1], done.stdout[-2000:]


# Where there is no bubblewrap.

STAND_IN = """#!{python}
import json, os, subprocess, sys, tempfile
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([arguments, "" if sys.stdin is None or arguments[0] != "build" else sys.stdin.read()]) + "\\n")
if arguments[0] == "image":
    sys.exit(not os.path.exists({image!r}))
if arguments[0] == "build":
    open({image!r}, "w").close()
if arguments[0] == "run":
    program = arguments[arguments.index("python3"):]
    if "probe" in program[-1]:
        print(json.dumps(dict(numpy=True, user=65534)))
        sys.exit()
    sys.exit(subprocess.run([sys.executable, *program[1:]], cwd=tempfile.gettempdir()).returncode)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A `docker` that writes down what it is asked and runs the program itself; the list of what it was asked."""
    log, path = tmp_path / "log", tmp_path / "bin" / "docker"
    path.parent.mkdir()
    text = STAND_IN.format(python=sys.executable, log=str(log), image=str(tmp_path / "image"))
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr(sandbox, "_found", {})
    return lambda: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


needs_posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a script")


@needs_posix
def test_an_engine_is_used_where_bubblewrap_is_not(stand_in, tmp_path):
    found = sandbox.find(PROJECT)
    assert found.kind == "docker" and "only its command line is tested" in found.detail
    shown = tmp_path / "a,b"
    shown.mkdir()
    limits = Limits(seconds=20, memory=512 * MIB, processes=10, disk=32 * MIB)
    program = [sys.executable, "-c", "print(input()[::-1])"]
    with found.start(program, readable={shown: "/grading/view"}, limits=limits, environment={"A": "1"}) as process:
        process.stdin.write(b"abc\n")
        process.stdin.flush()
        assert process.stdout.read().strip() == b"cba"
    calls = stand_in()
    assert [call[0][0] for call in calls[:4]] == ["info", "image", "build", "image"]
    assert "numpy==" in calls[2][1] and f"python:{sys.version_info.major}.{sys.version_info.minor}-slim" in calls[2][1]
    command = [call[0] for call in calls if call[0][0] == "run"][-1]
    assert pairs(command) >= {
        ("--network", "none"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--memory", str(512 * MIB)),
        ("--memory-swap", str(512 * MIB)),
        ("--pids-limit", "18"),
        ("--pull", "never"),
        ("--workdir", "/work"),
        ("--env", "A=1"),
        ("--tmpfs", f"/work:rw,nosuid,nodev,mode=1777,size={32 * MIB}"),
        ("--mount", f'type=bind,"source={shown}",target=/grading/view,readonly'),
        ("--entrypoint", "timeout"),
        ("--signal=KILL", "25"),
    }
    assert "--read-only" in command and "--interactive" in command and "--rm" in command
    assert dict(pairs(command))["--user"] != "0:0" and sys.executable not in command
    name = command[command.index("--name") + 1]
    assert ["rm", "--force", name] in [call[0] for call in stand_in()]


def pairs(command):
    return set(zip(command, command[1:], strict=False))


@needs_posix
def test_an_image_is_not_built_only_to_be_looked_at(stand_in):
    assert sandbox.find(PROJECT, build=False).kind == "docker"
    assert "build" not in [call[0][0] for call in stand_in()]


@needs_posix
def test_an_engine_that_does_not_answer_is_no_sandbox(tmp_path, monkeypatch):
    path = tmp_path / "podman"
    path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "_found", {})
    with pytest.raises(ProjectError, match="podman: it is installed, but does not answer") as raised:
        sandbox.find(PROJECT)
    assert raised.value.code == "not-isolated" and raised.value.hint
    assert sandbox.find(PROJECT, allow_none=True).kind == "none"


def test_a_bubblewrap_that_does_not_run_is_no_sandbox(tmp_path, monkeypatch):
    """Found out by running it: it is installed, and the system forbids it."""
    path = tmp_path / "bwrap"
    path.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    open_up(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "_found", {})
    found = sandbox.find(PROJECT, allow_none=True)
    if sys.platform == "linux":
        assert found.kind == "none" and "No permissions to create new namespace" in found.detail


def test_without_isolation_paths_and_limits_hold_as_far_as_they_can(tmp_path):
    plain = Sandbox("none", "", Plain())
    (tmp_path / "inside.py").write_text(
        "import os, sys\nprint(os.getcwd(), sys.argv[1], os.environ['PYTHONPATH'], 'TITO_SECRET' in os.environ)",
        encoding="utf-8",
    )
    os.environ["TITO_SECRET"] = "1"
    try:
        with plain.start(
            [sys.executable, "/grading/inside.py", "/work/x"],
            readable={tmp_path: "/grading"},
            environment={"PYTHONPATH": "/grading:/grading/view"},
        ) as process:
            cwd, argument, path, secret = process.stdout.read().decode().split()
            process.wait()
            assert process.reason() == "", process.errors()
    finally:
        del os.environ["TITO_SECRET"]
    assert secret == "False" and argument == f"{cwd}{os.sep}x"
    assert path == os.pathsep.join([str(tmp_path), str(tmp_path / "view")])
    assert not Path(cwd).exists(), "its folder is removed"


@needs_posix
def test_without_isolation_kill_ends_what_was_started():
    plain, token = Sandbox("none", "", Plain()), uuid.uuid4().hex
    child = f"[sys.executable, '-c', 'import time; time.sleep(60)', '{token}']"
    code = f"import subprocess, sys, time\nsubprocess.Popen({child})"
    process = plain.start([sys.executable, "-c", code + "\ntime.sleep(60)"], limits=Limits(seconds=1))
    process.stdout.read()
    process.kill()
    assert process.reason() == "time" and running_with(token) == []


def test_a_path_that_is_not_there_is_named(tmp_path):
    plain = Sandbox("none", "", Plain())
    with pytest.raises(ProjectError, match="nowhere"):
        plain.start([sys.executable], readable={tmp_path / "nowhere": "/x"})


@pytest.mark.parametrize("folder", ["/tmp", "/work", "/home/student"])
def test_a_course_below_a_folder_that_the_sandbox_makes_new_is_seen_in_it(folder, monkeypatch):
    course = f"{folder}/course"
    monkeypatch.setattr(bubblewrap, "interpreter", lambda root: ([(course, course)], [], [f"{course}/hidden"]))
    arguments = bubblewrap.Bubblewrap("bwrap", None, False)._arguments([(course, course)], [], Limits(), {})
    new = arguments.index(folder, arguments.index("--tmpfs"))
    shown = max(place for place, argument in enumerate(arguments) if argument == course)
    hidden = max(place for place, argument in enumerate(arguments) if argument == f"{course}/hidden")
    assert new < shown < hidden


@needs_posix
def test_without_isolation_a_python_below_work_is_that_of_the_machine():
    prepared = Plain().prepare(["/work/course/.venv/bin/python", "/work/x"], {}, Limits(), {})
    try:
        assert prepared.command[-2] == "/work/course/.venv/bin/python" and prepared.command[-1] != "/work/x"
    finally:
        remove_tree(Path(*prepared.clean))


def test_the_way_to_a_python_behind_links_is_kept(tmp_path):
    (tmp_path / "real" / "bin").mkdir(parents=True)
    (tmp_path / "real" / "bin" / "python").touch()
    (tmp_path / "current").symlink_to("real")
    (tmp_path / "python").symlink_to(tmp_path / "current" / "bin" / "python")
    links = interpreter._links(tmp_path / "python", [(None, str(tmp_path / "real"))])
    assert links[-2:] == [
        (str(tmp_path / "current" / "bin" / "python"), str(tmp_path / "python")),
        ("real", str(tmp_path / "current")),
    ]


@pytest.mark.skipif(not Path("/usr/share").is_dir(), reason="a folder that every sandbox would show")
def test_a_project_in_a_folder_that_is_shown_is_hidden():
    assert "/usr/share" in interpreter.interpreter(Path("/usr/share"))[2]


def test_the_engine_is_told_the_versions_that_are_installed():
    from importlib import metadata

    text = containers.dockerfile()
    assert f"numpy=={metadata.version('numpy')}" in text and f"matplotlib=={metadata.version('matplotlib')}" in text
    assert text.startswith("FROM docker.io/library/python:")


def test_threads_that_serve_sandboxes_end_with_tito():
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("tito-sandbox"))
