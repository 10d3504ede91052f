"""A real PostgreSQL server for tests: started once for a test process, gone with it, in folders of its own.

Without PostgreSQL's programs or the driver a test that needs them is skipped; in CI, which installs them, it fails.
"""

import atexit
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from functools import cache
from pathlib import Path

import pytest

USER = "tito"


class Server:
    """A running server, whose databases anybody on this machine may use without a password."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")
        self.start()

    def start(self):
        # safe after a crash of the machine is what no test needs; everything else is as it comes
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, how="fast"):
        """how: "fast" ends all conversations in order, "immediate" as if the power had failed."""
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", how, "stop")

    def url(self, name, user=USER):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def new_database(self, template=None):
        """The address of a new database: empty, or a copy of the one at `template`."""
        name = f"grades_{uuid.uuid4().hex}"
        copy = f' TEMPLATE "{template.rpartition("/")[2]}"' if template else ""
        self.sql(f'CREATE DATABASE "{name}"{copy}')
        return self.url(name)

    def sql(self, statement, url=None):
        """What `statement` gives, rows of tuples."""
        import psycopg

        with psycopg.connect(url or self.url("postgres"), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def _run(self, program, *arguments):
        command = [self.programs / program, *map(str, arguments)]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # the server refuses to be root
            command = ["runuser", "-u", "postgres", "--", *command]
        # into a file: what is started here would hold a pipe open for as long as it runs
        with (self.folder / "said").open("wb") as said:
            done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        if done.returncode:
            raise RuntimeError(f"{program}: {(self.folder / 'said').read_text(encoding='utf-8', errors='replace')}")


def server():
    """The server of this test process."""
    programs = _programs()
    if programs is None:
        _missing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if importlib.util.find_spec("psycopg") is None:
        _missing("its driver is not installed (pip install -e '.[postgres]')")
    return _started(programs)


def _missing(what):
    pytest.fail(what) if os.environ.get("CI") else pytest.skip(what)


@cache
def _started(programs):
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    running = Server(programs, folder)

    def end():
        running.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return running


@cache
def _programs():
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH; None where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "pg_ctl").exists() else None
