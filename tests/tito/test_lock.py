"""The lock that keeps a second tito out, also where there is none to be had."""

import errno
import subprocess
import sys
import threading
import warnings

import pytest

from tito import app
from tito.errors import ProjectError, Warned
from tito.services import lock

HOLD = (
    "import sys; from pathlib import Path; from tito.services import lock\n"
    "with lock.hold(Path(sys.argv[1]), 'tito grade collect'):\n"
    "    print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "course" / ".tito" / "lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def refuse(number):
    def without_locks(file):
        raise OSError(number, "refused")

    return without_locks


def test_a_second_process_is_told_who_holds_the_lock(path, holder):
    with (
        pytest.raises(ProjectError, match=f"tito grade collect .process {holder.pid} on ") as refused,
        lock.hold(path, "x"),
    ):
        raise AssertionError("held twice")
    assert refused.value.code == "locked"


def test_a_second_process_that_waits_says_so_once_and_goes_on_when_the_first_has_ended(path, holder):
    said = []
    timer = threading.Timer(0.5, holder.stdin.close)
    timer.start()
    with lock.hold(path, "x", waiting=lambda: said.append(holder.poll())):
        assert holder.wait(10) == 0
    assert said == [None]


def test_a_lock_that_a_killed_process_held_is_free(path, holder):
    holder.kill()
    holder.wait()
    with lock.hold(path, "x"):
        pass


def test_a_lock_that_was_let_go_names_nobody(path):
    with lock.hold(path, "x"):
        assert b'"doing": "x"' in path.read_bytes()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_on_a_file_system_without_locks_the_work_goes_on_with_a_warning(path, monkeypatch, number):
    monkeypatch.setattr(lock, "_lock", refuse(number))
    with pytest.warns(Warned, match="cannot be locked"), lock.hold(path, "x"):
        path.with_name("work").touch()
    assert path.with_name("work").exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_a_lock_that_is_held_is_no_file_system_without_locks(path, monkeypatch, number):
    monkeypatch.setattr(lock, "_lock", refuse(number))
    with pytest.raises(ProjectError, match="another tito is at work"), lock.hold(path, "x"):
        raise AssertionError("held")


def test_the_command_line_prints_such_a_warning_as_its_own(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert app.main(["--version"]) == 0
        warnings.warn(Warned("a cannot be locked"), stacklevel=1)
    assert capsys.readouterr().err == "warning: a cannot be locked\n"
