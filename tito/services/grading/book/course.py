"""nbgrader's course folder, `assignments/` at the root of the course repository, and nbgrader's database in it.

It stays nbgrader's: `nbgrader` typed by hand in that folder finds its configuration, its folders and its gradebook.
What tito keeps beside them lies in `assignments/.tito/`.
"""

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.project import Project
from tito.services import lock
from tito.services.files import atomic_write, remove_tree
from tito.services.grading.book.database import DRIVER, find_database

COURSE_ID = "tinytorch"
SCHEMA = 1
SETTINGS = f'''\
# nbgrader's settings for this folder. tito wrote this file once and reads it at every run: add your own, for example
# the penalty for late submissions (c.AssignLatePenalties.plugin_class).
import tomllib
from pathlib import Path

c = get_config()  # noqa: F821

here = Path(__file__).resolve().parent
c.CourseDirectory.root = str(here)
c.CourseDirectory.course_id = "{COURSE_ID}"
# Where nbgrader's own release and collect exchange files. On a JupyterHub that has an exchange, delete this line.
c.Exchange.root = str(here / "exchange")
# nbgrader's gradebook.db in this folder, or the server that tito uses.
tito = tomllib.loads((here.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["tito"]
if "database" in tito.get("grading", {{}}):
    c.CourseDirectory.db_url = tito["grading"]["database"].replace("postgresql://", "{DRIVER}://")
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
        config.CourseDirectory.db_url = self.database.url
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
    def database(self):
        """Where nbgrader's gradebook is kept. Raises ProjectError for settings that name no such place."""
        return find_database(self)

    @contextmanager
    def open_gradebook(self):
        """Yield the nbgrader.api.Gradebook of this course, made where there is none. Raises ProjectError."""
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import SQLAlchemyError

        database = self.database
        course_id = self.config().CourseDirectory.get("course_id", COURSE_ID)
        database.require(course_id)
        try:
            book = Gradebook(database.url, course_id)
        except SQLAlchemyError as error:
            raise database.unusable(error) from error
        with book:
            yield book

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
