"""The database that nbgrader's gradebook is kept in: the file gradebook.db, or a PostgreSQL server.

Both are made whole or not at all, and neither is written into by an nbgrader that has other tables.
"""

import os
import sqlite3
import sys
import sysconfig
import uuid
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tito.errors import ProjectError
from tito.services.files import backup
from tito.services.grading.book.settings import grading_settings, wrong_setting

DRIVER = "postgresql+psycopg"
GRADEBOOK = "TITO_GRADEBOOK"  # the variable in which the formgrader's server finds the address
WAIT = 10  # seconds for a server to answer
# any number, the same in every tito: who makes the tables holds this lock of the server meanwhile
MAKING = 7_012_026


def find_database(course):
    """The database of `course`: what `[tool.tito.grading] database` names, else gradebook.db in its folder."""
    url = grading_settings(course.project).get("database")
    return SqliteFile(course) if url is None else PostgresServer(course, url)


class _Database:
    """What the two kinds share. label: as messages name it; url: as SQLAlchemy takes it."""

    def require(self, course_id):
        """Make the gradebook where there is none; raise ProjectError where it is not as this nbgrader makes it."""
        raise NotImplementedError

    def copy(self, folder):
        """Copy the gradebook into `folder`, and return where it is; None where that is its server's business."""

    def unusable(self, error):
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return ProjectError(f"{self.label} cannot be used: {reason}", self._repair(reason), code="gradebook")

    def _require_same_nbgrader(self, version, tables):
        own = _revisions()
        if version and version != own[0]:
            raise ProjectError(
                f"{self.label} was made by another nbgrader: its tables have version {version}, this one's {own[0]}",
                f"{self._safe_copy}, then: cd {self.course.label(self.course.root)} && nbgrader db upgrade"
                if version in own
                else "install the nbgrader that made it: pip install --upgrade nbgrader",
                code="gradebook",
            )
        missing = sorted(_own_tables() - tables)
        if missing:
            raise ProjectError(
                f"{self.label} lacks nbgrader's table{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
                self._restore,
                code="gradebook",
            )


class SqliteFile(_Database):
    _safe_copy = "copy the file to a safe place"

    def __init__(self, course):
        self.course = course
        self.path = course.root / "gradebook.db"
        self.label = course.label(self.path)
        self.url = f"sqlite:///{self.path}"
        self._restore = f"put a backup in its place ({course.label(course.state)}/backups)"

    def exists(self):
        return self.path.is_file()

    def require(self, course_id):
        """Make the file where there is none, or where a first run of nbgrader that failed left half of one."""
        if self.path.exists():
            try:
                if not _is_half_made(self.path):
                    self._require_same_nbgrader(*_made_with(self.path))
                    return
            except sqlite3.DatabaseError as error:
                raise self.unusable(error) from error
            backup(self.path, self.course.state / "backups")
            self.path.unlink()
        self.course.state.mkdir(parents=True, exist_ok=True)
        draft = self.course.state / f"gradebook-{uuid.uuid4().hex}.db"
        try:
            _make_file(draft, course_id)
            _put(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)

    def copy(self, folder):
        return backup(self.path, folder)

    def _repair(self, reason):
        return f"close what uses it; if it is broken, {self._restore}"


class PostgresServer(_Database):
    """A database of a PostgreSQL server. Who may use it with which password is libpq's business (~/.pgpass)."""

    _safe_copy = "save it first (pg_dump)"
    _restore = "restore it from a backup (pg_restore)"

    def __init__(self, course, url):
        from sqlalchemy.engine import URL, make_url
        from sqlalchemy.exc import ArgumentError

        self.course = course
        try:
            parsed = make_url(url) if isinstance(url, str) else None
        except (ArgumentError, ValueError):
            parsed = None
        if parsed is None or parsed.drivername not in ("postgresql", DRIVER) or not parsed.database:
            raise wrong_setting(
                course.project,
                "[tool.tito.grading] database is not the address of a PostgreSQL database",
                'write "postgresql://user@host/name", and its password into ~/.pgpass; '
                "or leave the setting out, for gradebook.db",
            )
        parsed = parsed.set(drivername=DRIVER)
        if "connect_timeout" not in parsed.query:
            parsed = parsed.update_query_dict({"connect_timeout": str(WAIT)})
        self.name = parsed.database
        self.url = parsed.render_as_string(hide_password=False)
        shown = URL.create(
            "postgresql", parsed.username, host=parsed.host, port=parsed.port, database=parsed.database
        )  # without the password
        self.label = f"the gradebook {shown}"

    def exists(self):
        return bool(self._made_with()[1] & {"assignment"})

    def require(self, course_id):
        version, tables = self._made_with()
        if not tables & {*_own_tables(), "alembic_version"}:
            self._make(course_id)
        else:
            self._require_same_nbgrader(version, tables)

    def _make(self, course_id):
        """All tables in one transaction, under a lock of the server: two titos that start at once make one set."""
        from nbgrader.api import Base
        from sqlalchemy import text

        with self._engine() as engine, engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MAKING})
            if "alembic_version" in _tables(connection):
                return  # the other one was first
            Base.metadata.create_all(bind=connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": _revisions()[0]})
            connection.execute(text("INSERT INTO course (id) VALUES (:id)"), {"id": course_id})

    def _made_with(self):
        """(version of the tables, "" where none is noted; names of the tables)."""
        from sqlalchemy import text

        with self._engine() as engine, engine.connect() as connection:
            tables = _tables(connection)
            noted = (
                connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
                if "alembic_version" in tables
                else ""
            )
            return noted or "", tables

    @contextmanager
    def _engine(self):
        """An engine for a few statements. Raises ProjectError where the server, the driver or the database fails."""
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = create_engine(self.url)
        except ImportError as error:
            raise ProjectError(
                f"{self.label} needs the driver psycopg, which is not installed",
                "pip install -e '.[postgres]'",
                code="gradebook",
            ) from error
        try:
            yield engine
        except SQLAlchemyError as error:
            raise self.unusable(error) from error
        finally:
            engine.dispose()

    def _repair(self, reason):
        if "does not exist" in reason and "database" in reason:
            return f"make it: createdb {self.name}   (as a user who may)"
        if "password" in reason or "authentication" in reason:
            return "put the password into ~/.pgpass (host:port:database:user:password), or set PGPASSWORD"
        return "see that the server runs and can be reached (pg_isready), then run the command again"


def _tables(connection):
    from sqlalchemy import inspect

    return set(inspect(connection).get_table_names())


@cache
def _revisions():
    """All versions that nbgrader's tables have had, its present one first."""
    import nbgrader
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic"))
    return tuple(one.revision for one in script.walk_revisions())


def _own_tables():
    from nbgrader.api import Base

    return set(Base.metadata.tables)


# The file.


def _made_with(path):
    """(version of the tables, "" where none is noted; names of the tables) of the database at `path`."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        noted = "alembic_version" in tables and connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return noted[0] if noted else "", tables
    finally:
        connection.close()


def _is_half_made(path):
    """Whether nbgrader made the tables, failed to run alembic, and nobody has put anything into them since."""
    _, tables = _made_with(path)
    if "alembic_version" in tables:
        return False
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return not any(
            connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
            for table in tables & {"assignment", "student"}
        )
    finally:
        connection.close()


def _make_file(path, course_id):
    import subprocess

    from nbgrader.api import Gradebook

    try:
        with _scripts_on_path():
            Gradebook(f"sqlite:///{path}", course_id).close()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise ProjectError(
            f"nbgrader cannot make a gradebook: alembic does not run ({error})",
            "pip install --force-reinstall alembic",
            code="gradebook",
        ) from error


@contextmanager
def _scripts_on_path():
    """nbgrader runs `alembic` by name; in an environment that is not activated no PATH leads to it."""
    before = os.environ.get("PATH")
    folders = [str(Path(sys.executable).parent), sysconfig.get_path("scripts")]
    os.environ["PATH"] = os.pathsep.join([*folders, before] if before else folders)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before


def _put(draft, path):
    """Move `draft` to `path`; where another process has just made `path`, that one stays."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)
