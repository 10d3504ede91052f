"""nbgrader's course folder, `assignments/` at the root of the course repository, and nbgrader's database in it.

It stays nbgrader's: `nbgrader` typed by hand in that folder finds its configuration, its folders and its gradebook.
What tito keeps beside them lies in `assignments/.tito/`.
"""

import json
import os
import sqlite3
import sys
import sysconfig
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tito.errors import ProjectError
from tito.project import Project
from tito.services import lock
from tito.services.files import atomic_write, backup, remove_tree

COURSE_ID = "tinytorch"
SCHEMA = 1
SETTINGS = f'''\
# nbgrader's settings for this folder. tito wrote this file once and reads it at every run: add your own, for example
# the penalty for late submissions (c.AssignLatePenalties.plugin_class).
from pathlib import Path

c = get_config()  # noqa: F821

here = Path(__file__).resolve().parent
c.CourseDirectory.root = str(here)
c.CourseDirectory.course_id = "{COURSE_ID}"
# Where nbgrader's own release and collect exchange files. On a JupyterHub that has an exchange, delete this line.
c.Exchange.root = str(here / "exchange")
'''


@dataclass(frozen=True)
class Course:
    """The course folder of `project`; nothing in it has to exist yet."""

    project: Project

    @property
    def root(self):
        return self.project.root / "assignments"

    @property
    def source(self):
        return self.root / "source"

    @property
    def release(self):
        return self.root / "release"

    @property
    def submitted(self):
        return self.root / "submitted"

    @property
    def autograded(self):
        return self.root / "autograded"

    @property
    def feedback(self):
        return self.root / "feedback"

    @property
    def gradebook(self):
        """nbgrader's SQLite database."""
        return self.root / "gradebook.db"

    @property
    def state(self):
        """What tito keeps for itself."""
        return self.root / ".tito"

    @property
    def settings(self):
        return self.root / "nbgrader_config.py"

    def submission(self, student, module):
        """The folder of what `student` submitted for `module`."""
        return self.submitted / student / module.name

    def locked(self, doing):
        """Hold the course against another tito while a block runs. doing: the command, as it was typed."""
        return lock.hold(self.state / "lock", doing)

    @contextmanager
    def drafts(self, name):
        """Yield a new folder for what is not finished yet; it is gone afterwards."""
        folder = self.state / f"{name}-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_tree(folder)

    def label(self, path):
        return self.project.relative(path)

    def prepare(self):
        """Make the folder with nbgrader's settings, where they are not there yet."""
        self.root.mkdir(exist_ok=True)
        if not self.settings.exists():
            (self.root / "exchange").mkdir(exist_ok=True)
            atomic_write(self.settings, SETTINGS)

    def config(self):
        """nbgrader's configuration of this folder as a traitlets Config: the instructor's settings, in our folder."""
        from traitlets.config import Config

        self.prepare()
        config = Config(self._settings())
        config.CourseDirectory.root = str(self.root)
        config.CourseDirectory.db_url = self.database_url
        # nbgrader takes these for what to work on, not for settings of a course
        for name in ("assignment_id", "student_id", "notebook_id"):
            config.CourseDirectory.pop(name, None)
        config.setdefault("Application", Config()).log_level = 40
        return config

    def _settings(self):
        from traitlets.config import PyFileConfigLoader

        try:
            return PyFileConfigLoader(self.settings.name, path=str(self.root)).load_config()
        except Exception as error:  # whatever an instructor may have written
            message = f"{self.label(self.settings)} cannot be read: {type(error).__name__}: {error}"
            raise ProjectError(message, "fix it, or delete it: tito writes it new", code="settings") from error

    @property
    def database_url(self):
        return f"sqlite:///{self.gradebook}"

    @contextmanager
    def open_gradebook(self):
        """Yield the nbgrader.api.Gradebook of this course, made where there is none. Raises ProjectError."""
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import SQLAlchemyError

        course_id = self.config().CourseDirectory.get("course_id", COURSE_ID)
        self._require_database(course_id)
        try:
            book = Gradebook(self.database_url, course_id)
        except SQLAlchemyError as error:
            raise self._unusable(error) from error
        with book:
            yield book

    def _require_database(self, course_id):
        """Make the database where there is none, or where a first run of nbgrader that failed left half of one."""
        if self.gradebook.exists():
            try:
                if not _is_half_made(self.gradebook):
                    self._require_same_nbgrader()
                    return
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from error
            backup(self.gradebook, self.state / "backups")
            self.gradebook.unlink()
        self.state.mkdir(parents=True, exist_ok=True)
        draft = self.state / f"gradebook-{uuid.uuid4().hex}.db"
        try:
            _make_database(draft, course_id)
            _put(draft, self.gradebook)
        finally:
            draft.unlink(missing_ok=True)

    def _require_same_nbgrader(self):
        """Raise ProjectError where the gradebook is not as this nbgrader makes it, which would write into it anyway."""
        version, tables = _made_with(self.gradebook)
        label, own = self.label(self.gradebook), _revisions()
        if version and version != own[0]:
            upgrade = f"copy the file to a safe place, then: cd {self.label(self.root)} && nbgrader db upgrade"
            raise ProjectError(
                f"{label} was made by another nbgrader: its tables have version {version}, this one's {own[0]}",
                upgrade if version in own else "install the nbgrader that made it: pip install --upgrade nbgrader",
                code="gradebook",
            )
        missing = sorted(_own_tables() - tables)
        if missing:
            raise ProjectError(
                f"{label} lacks nbgrader's table{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
                f"put a backup in its place ({self.label(self.state)}/backups)",
                code="gradebook",
            )

    def _unusable(self, error):
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        return ProjectError(
            f"{self.label(self.gradebook)} cannot be used: {reason}",
            f"close what uses it; if it is broken, put a backup in its place ({self.label(self.state)}/backups)",
            code="gradebook",
        )

    # tito's own records.

    def read_record(self, name):
        """The record `name` as it was written, {} where there is none. Raises ProjectError where it is unreadable."""
        path = self.state / name
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["schema"] != SCHEMA:
                raise ValueError(f"schema {document['schema']!r}; this tito knows {SCHEMA}")
            return document["data"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ProjectError(
                f"{self.label(path)} cannot be read: {reason}", "restore it from a backup, or fix it", code="record"
            ) from error

    def write_record(self, name, data):
        text = json.dumps({"schema": SCHEMA, "data": data}, indent=1, ensure_ascii=False)
        atomic_write(self.state / name, text + "\n")


def require_course(project):
    """The Course of `project`. Raises ProjectError in a student's workspace, where nothing is graded."""
    if not project.is_course:
        raise ProjectError(
            f"{project.root} is a student's workspace: releases and grades are made in the course repository",
            "cd into the course repository, then run the command again",
            code="not-a-course",
        )
    return Course(project)


# Knowing and making a database.


def _made_with(path):
    """(version of the tables, "" where none is noted; names of the tables) of the database at `path`."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        noted = "alembic_version" in tables and connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return noted[0] if noted else "", tables
    finally:
        connection.close()


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


def _make_database(path, course_id):
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
