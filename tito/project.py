"""Which folder tito works on, in which role, and where things are in it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tito import first_aid
from tito.errors import ProjectError

ROLES = ("course", "workspace")


@dataclass(frozen=True)
class Project:
    """A course repository (percent sources with solutions) or a student's workspace (notebooks without)."""

    root: Path
    role: str
    version: str
    stretch: bool = False  # whether answers that are a stretch earn points: [tool.tito] stretch

    @property
    def is_course(self):
        return self.role == "course"

    @property
    def modules(self):
        return self.root / "modules"

    @property
    def package(self):
        return self.root / "tinytorch"

    @property
    def core(self):
        return self.package / "core"

    @property
    def state(self):
        """What tito keeps for itself: stubs, progress, backups, stages. Not committed in the course repository."""
        return self.root / ".tito"

    @property
    def stubs(self):
        return self.state / "stubs"

    def relative(self, path):
        """`path` as a person types it from the root, with forward slashes."""
        try:
            return Path(path).relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    def restoring(self, folder):
        """The command that brings `folder` back, which is part of the project and is gone."""
        if self.is_course:
            return f"git restore {self.relative(folder)}"
        if folder == self.modules:  # without it tito update does not know what the workspace holds
            return "copy modules from a new workspace (tito init DEST, in the course repository)"
        return "tito update SOURCE   (the folder or zip of the course that this workspace was made from)"


def read_project(root):
    """The project at `root`, or None where no `[tool.tito]` says that there is one."""
    try:
        text = (Path(root) / "pyproject.toml").read_bytes()
    except OSError:
        return None
    try:
        settings = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if b"[tool.tito]" not in text:
            return None
        raise ProjectError(f"{Path(root) / 'pyproject.toml'} cannot be read: {error}", "fix the file") from error
    own = settings.get("tool", {}).get("tito", {})
    role, stretch = own.get("role"), own.get("stretch", False)
    if role is None:
        return None
    if role not in ROLES:
        raise ProjectError(
            f"{Path(root) / 'pyproject.toml'}: [tool.tito] role is {role!r}",
            'set it to "course" or "workspace"',
        )
    if not isinstance(stretch, bool):
        raise ProjectError(
            f"{Path(root) / 'pyproject.toml'}: [tool.tito] stretch is {stretch!r}", "set it to true or false"
        )
    return Project(Path(root), role, settings.get("project", {}).get("version", "0"), stretch)


def enclosing_project(start=None):
    """The nearest project at or above `start` (the working folder unless given), or None."""
    start = Path(start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        project = read_project(folder)
        if project is not None:
            return project
    return None


def find_project(start=None):
    """The project that a command works on. Raises ProjectError where there is none, or where another one's tito runs.

    A workspace opened from the clone's environment would import the clone's reference without a word, so tito
    refuses to work on a project that its own files do not belong to.
    """
    project = enclosing_project(start)
    if project is None:
        raise ProjectError(
            f"no TinyTorch project here: neither {Path(start or Path.cwd())} nor a folder above it has a "
            "pyproject.toml with [tool.tito]",
            "cd into your workspace, or make one: tito init DEST",
            code="no-project",
        )
    require_own_tito(project)
    return project


def require_own_tito(project):
    """Raise ProjectError where the running tito is not the one inside `project`."""
    own = Path(__file__).resolve().parents[1]
    if own != project.root:
        raise ProjectError(
            f"this is the tito of {own}, but you are in the {project.role} {project.root}: "
            "its notebooks would import the wrong tinytorch",
            first_aid.own_environment(project.root),
            code="wrong-environment",
        )
