"""The second user: what a submission could try where namespaces are forbidden, tried in a container without them.

All programs run in one container, started by the program below; what each printed comes back as one document.
"""

import ast
import json
import os
import shutil
from pathlib import Path

import container
import pytest

from tito.catalog import read_catalog
from tito.errors import ProjectError
from tito.project import read_project
from tito.services.grading.sandbox import find, proc, second_user
from tito.services.grading.sandbox.find import MIB
from tito.services.grading.scoring import kits

ROOT = Path(__file__).resolve().parents[2]
# run as root in the container; each program gets a sandbox of its own, unless it says otherwise
HOST = """
import json, os, subprocess, sys, threading, time
from pathlib import Path
from tito.services.grading.sandbox import find, proc
from tito.services.grading.sandbox.find import MIB, Limits
found = find.in_container()
os.chmod("/autograder", 0o700)
secret = subprocess.Popen(["sleep", "600"], env={"SECRET": "of-the-grader"}, cwd="/autograder")
def start(code, **limits):
    limits = Limits(**{"seconds": 15, "memory": 1024 * MIB, **limits})
    return found.start([sys.executable, "-P", "-s", "-c", code], limits=limits)
def run(code, **limits):
    start_at = time.monotonic()
    with start(code, **limits) as process:
        user = process.prepared.user
        out = process.stdout.read().decode()
        process.wait(60)
        said = {"out": out, "errors": process.errors(), "reason": process.reason(), "user": user}
    said["seconds"] = time.monotonic() - start_at
    end = time.monotonic() + 5  # what was killed takes a moment to go
    while proc.of_user(user) and time.monotonic() < end:
        time.sleep(0.05)
    said["left"] = len(proc.of_user(user))
    return said
programs = json.loads(Path("/autograder/programs.json").read_text())
outcomes = {name: run(code, **limits) for name, (code, limits) in programs.items()}
with start("import time; open('mine', 'w').write('secret'); time.sleep(9)") as one:
    time.sleep(0.5)
    folder = one.prepared.cwd
    code = f'''
import os, json
found = {{}}
for name, text in {{"signal": "os.kill({one.pid}, 9)", "memory": "open('/proc/{one.pid}/mem', 'rb+')",
                    "file": "open('{{folder}}/mine')", "folder": "os.listdir('{{folder}}')"}}.items():
    try:
        found[name] = repr(eval(text.replace("{{folder}}", "{folder}")))
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps(found))
'''
    outcomes["neighbour"] = run(code)
    outcomes["neighbour"]["alive"] = one.poll() is None
base = Path(folder).parents[1]
outcomes["after"] = {"folders": sorted(path.name for path in base.iterdir())}
outcomes["kind"], outcomes["detail"] = found.kind, found.detail
outcomes["grader"] = secret.pid
secret.kill()
print(json.dumps(outcomes))
"""
TRY = """
import ctypes, glob, json, os, pathlib, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def closed(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
        return False
    except OSError:
        return True
found = {}
for name, text in PROGRAMS.items():
    try:
        found[name] = eval(text)
    except BaseException as error:
        found[name] = type(error).__name__
print(json.dumps(found, default=repr))
"""


def attempts(**programs):
    return TRY.replace("PROGRAMS", repr(programs)), {}


FORK_BOMB = """
import os
for _ in range(500):
    try:
        os.fork()
    except OSError:
        pass
"""
FORKS = """
import os, time
started = 0
for _ in range(300):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        started += 1
    except OSError:
        break
print(started)
"""
# in a session of its own, its parent has ended, and /proc says that it is root's
DAEMON = """
import ctypes, os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        time.sleep(60)
    os._exit(0)
time.sleep(0.5)
"""
MEMORY_IN_CHILDREN = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        kept = b"x" * (400 << 20)
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
MANY_FILES = """
import time
for number in range(40):
    with open(f"file{number}", "wb") as file:
        file.write(b"x" * (1 << 20))
    time.sleep(0.03)
time.sleep(5)
"""
DEEP_FOLDERS = """
import os, time
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
time.sleep(9)
"""
PROGRAMS = {
    "self": attempts(
        user="os.getresuid()",
        group="os.getresgid()",
        groups="os.getgroups()",
        status="dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines())",
        names="sorted(os.environ)",
        here="os.getcwd()",
        home="os.environ['HOME']",
        shown="open(sys.argv[0]).read() if os.path.isfile(sys.argv[0]) else ''",
    ),
    "doors": attempts(
        root="os.setuid(0)",
        group="os.setgroups([0])",
        user_namespace="libc.unshare(0x10000000)",
        mount="libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        trace="libc.ptrace(16, os.getppid(), 0, 0)",
        node="os.mknod('disk', 0o60600, os.makedev(254, 0))",
        chroot="os.chroot('.')",
        limits="__import__('resource').setrlimit(__import__('resource').RLIMIT_NPROC, (9999, 9999))",
        su="subprocess.run(['su', '-c', 'true'], stdin=subprocess.DEVNULL, capture_output=True).check_returncode()",
    ),
    "network": attempts(
        tcp="socket.socket()",
        unix="socket.socket(socket.AF_UNIX)",
        netlink="socket.socket(16, socket.SOCK_RAW)",
        pair="[one.close() for one in socket.socketpair()]",
    ),
    "private": attempts(
        folder="closed('/autograder')",
        source="closed('/autograder/source/tito/__init__.py')",
        programs="closed('/autograder/programs.json')",
        environ="[p for p in glob.glob('/proc/[0-9]*/environ') if not closed(p) and b'of-the-grader' in "
        "open(p, 'rb').read()]",
        proc="[p for p in glob.glob('/proc/[0-9]*') if p != f'/proc/{os.getpid()}' and not all("
        "closed(p + part) for part in ('/environ', '/mem', '/fd', '/cwd/', '/root/', '/maps'))]",
        signal="[os.kill(int(p[6:]), 0) for p in glob.glob('/proc/[0-9]*') if int(p[6:]) not in (os.getpid(),)]",
    ),
    "fork bomb": (FORK_BOMB, {"processes": 20}),
    "forks": (FORKS, {"processes": 20}),
    "daemon": (DAEMON, {}),
    "memory": ("x = bytearray(8 << 30)", {}),
    "memory in children": (MEMORY_IN_CHILDREN, {}),
    "disk": (MANY_FILES, {"disk": 16 * MIB}),
    "one file": ("open('x', 'wb').truncate(1 << 40)", {"disk": 16 * MIB}),
    "deep folders": (DEEP_FOLDERS, {}),
    "time": ("import time; time.sleep(60)", {"seconds": 1}),
    "killed": ("import os; os.kill(-1, 9); os.abort()", {}),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    home = tmp_path_factory.mktemp("autograder")
    shutil.copytree(ROOT / "tito", home / "source" / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "shown").mkdir()
    (home / "programs.json").write_text(json.dumps(PROGRAMS), encoding="utf-8")
    (home / "host.py").write_text(HOST, encoding="utf-8")
    path = "PYTHONPATH=/autograder/source"
    done = container.run(home, "/usr/bin/env", path, f"{container.HOME}/bin/python", "-P", "-s", "/autograder/host.py")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def said(outcomes, name):
    found = outcomes[name]
    assert found["reason"] == "", f"{found['reason']}: {found['errors']}"
    return json.loads(found["out"])


@container.possible
def test_it_is_found_where_bubblewrap_may_not_and_says_what_it_is(outcomes):
    assert outcomes["kind"] == "second user"
    assert outcomes["detail"].startswith("bubblewrap: does not run here") and second_user.LACKS in outcomes["detail"]


@container.possible
def test_a_program_is_an_unprivileged_user_of_its_own_with_an_empty_environment(outcomes):
    found = said(outcomes, "self")
    (user,) = {*found["user"], *found["group"]}
    assert user in second_user.USERS and found["groups"] == []
    status = {name: value.strip() for name, value in found["status"].items()}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2") and int(status["Seccomp_filters"]) == 2
    assert {status[name] for name in ("CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert not {"PYTHONPATH", "SECRET"} & {*found["names"]}
    assert found["here"].endswith("/work") and found["home"].endswith("/home")
    users = [one["user"] for one in outcomes.values() if isinstance(one, dict) and "user" in one]
    assert len(users) == len({*users}), "no two programs share a user"


@container.possible
def test_doors_of_the_kernel_are_closed(outcomes):
    found = said(outcomes, "doors")
    refused = (-1, "PermissionError", "ValueError", "OSError", "CalledProcessError", "FileNotFoundError")
    assert {name: what for name, what in found.items() if what not in refused} == {}


@container.possible
def test_no_socket_is_made_but_a_pair(outcomes):
    refused = dict.fromkeys(("tcp", "unix", "netlink"), "PermissionError")
    assert said(outcomes, "network") == refused | {"pair": [None, None]}


@container.possible
def test_what_root_closed_is_closed_and_the_graders_processes_are(outcomes):
    found = said(outcomes, "private")
    assert found == {
        "folder": True,
        "source": True,
        "programs": True,
        "environ": [],
        "proc": [],
        "signal": "PermissionError",
    }


@container.possible
@pytest.mark.parametrize("name", [*PROGRAMS, "neighbour"])
def test_nothing_of_a_program_stays(outcomes, name):
    assert outcomes[name]["left"] == 0 and outcomes[name]["seconds"] < 14


@container.possible
def test_its_folders_are_removed(outcomes):
    assert [name for name in outcomes["after"]["folders"] if not name.startswith("shown-")] == []


@container.possible
def test_processes_memory_disk_and_time_are_limited(outcomes):
    reasons = {name: outcomes[name]["reason"] for name in PROGRAMS}
    assert int(outcomes["forks"]["out"]) < 20 and reasons["daemon"] == ""
    assert reasons["fork bomb"] in ("", "processes")
    assert "MemoryError" in outcomes["memory"]["errors"]
    assert reasons["memory in children"] == "memory"
    assert (reasons["disk"], reasons["deep folders"], reasons["time"]) == ("disk", "disk", "time")
    assert "File too large" in outcomes["one file"]["errors"]
    assert reasons["killed"] == "signal SIGABRT", "its own signal does not reach itself, nor anybody else"


@container.possible
def test_another_submission_is_out_of_reach(outcomes):
    found = outcomes["neighbour"]
    assert json.loads(found["out"]) == dict.fromkeys(("signal", "memory", "file", "folder"), "PermissionError")
    assert found["alive"]


# what of the corpus has to do with where a submission runs; and three for which nothing has to be held
ATTACKS = (
    *("home_folder", "source_folder", "gradebook_read", "gradebook_write", "environment", "host_described", "network"),
    *("doors_to_the_host", "fork_bomb", "memory_8_gb", "memory_in_children", "memory_searched", "disk", "open_files"),
    *("process_left_behind", "kill_everybody", "forged_results", "forged_results_in_an_answer", "interpreter_removed"),
    *("import_of_the_reference", "closed_descriptors", "exit_of_the_process", "output_100_mb"),
    *("honest_reference", "honest_wrong", "honest_prints"),
)


@container.possible
def test_the_hostile_submissions_are_held_there_too(tmp_path):
    project = read_project(ROOT)
    catalog = read_catalog(project)
    shutil.copytree(ROOT / "tito", tmp_path / "source" / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/grading/hostile", tmp_path / "corpus/tests/grading/hostile")
    shutil.copy(ROOT / "tests/grading/corpus_in_container.py", tmp_path)
    with kits.make(project, catalog, catalog.find("02"), sandbox=find.Sandbox("none")) as kit:
        shutil.copytree(kit.folder, tmp_path / "source" / "kit")
    python = ("/usr/bin/env", "PYTHONPATH=/autograder/source", f"{container.HOME}/bin/python", "-P", "-s")
    done = container.run(tmp_path, *python, "/autograder/corpus_in_container.py", *ATTACKS, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["isolation"] == second_user.KIND
    assert found["problems"] == {name: [] for name in ATTACKS}


def test_only_root_has_one(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(find, "_makers", lambda root, build: [])
    with pytest.raises(ProjectError, match="only root can become another user") as raised:
        find.in_container()
    assert raised.value.code == "not-isolated"


def test_a_class_is_never_graded_with_it():
    """On a machine of the instructor's own it would let a submission read what everybody may."""
    kinds = {kind for kind, _ in find._makers(None, build=False)}
    assert second_user.KIND not in kinds


def test_what_fills_a_folder_is_counted(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert second_user._is_full(tmp_path, 50_000) and not second_user._is_full(tmp_path, 200_000)
    deep = tmp_path
    for _ in range(second_user.DEEPEST + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    assert second_user._is_full(tmp_path, 200_000_000)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="seen in /proc")
def test_processes_of_a_user_are_found_by_their_own_word():
    mine = proc.of_user(os.getuid())
    assert os.getpid() in mine and 1_000_000_000 not in mine
    assert proc.of_user(4_000_000_000) == {}


def test_the_program_that_confines_needs_nothing_of_tito():
    tree = ast.parse((Path(second_user.__file__).with_name("confine.py")).read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not any(name.startswith("tito") for name in names)
