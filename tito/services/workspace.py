"""Makes a student's workspace from the course repository: the same layout without answers."""

import os
import re
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tito import first_aid
from tito.catalog import read_catalog
from tito.errors import ProjectError, UsageError, changing
from tito.project import Project, enclosing_project, read_project, require_own_tito
from tito.services import hints, leaks, notebooks, pristine
from tito.services.files import atomic_write, remove_tree
from tito.services.strip import strip

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".ipynb_checkpoints", ".DS_Store", "*.egg-info")
ROLE = re.compile(r'^role = "course"$', re.MULTILINE)
TEST_PATHS = re.compile(r"^testpaths = .*$", re.MULTILINE)


@dataclass(frozen=True)
class InitResult:
    folder: Path
    version: str
    modules: tuple
    next: tuple


def find_course(start=None):
    """The course repository to make a workspace from: the one around `start`, else the one that tito belongs to."""
    project = enclosing_project(start)
    if project is not None and project.is_course:
        require_own_tito(project)
        return project
    own = read_project(Path(__file__).resolve().parents[2])
    if own is None or not own.is_course:
        raise ProjectError(
            "a workspace is made from the course repository, and this tito does not belong to one",
            "cd into a clone of the course, install it there (pip install -e .), then: tito init DEST",
            code="no-course",
        )
    return own


def init(project, dest):
    """Make a workspace at `dest` from the course repository `project`.

    It is built beside `dest`, searched for answers, and moved into place as the last step. Raises UsageError for a
    `dest` that cannot be used, ProjectError where the course is not in order or an answer would be handed out.
    """
    dest = Path(dest).resolve()
    _require_free(dest)
    catalog = read_catalog(project)
    with _draft_beside(dest) as draft:
        workspace = Project(draft, "workspace", project.version)
        _copy_common(project, draft)
        hints.write(workspace, {module.name: _copy_module(project, module, draft) for module in catalog})
        _write_stubs(workspace)
        _require_no_leaks(project, catalog, draft)
        with changing(f"look into {dest}"):
            _move(draft, dest)
    return InitResult(dest, project.version, tuple(module.name for module in catalog), _next_commands(dest, catalog))


def _require_free(dest):
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"{dest} is a file", "name a folder that does not exist yet")
    if dest.is_dir() and any(dest.iterdir()):
        raise UsageError(f"{dest} is not empty", "name a folder that does not exist yet")
    outer = enclosing_project(dest)
    if outer is not None:
        raise UsageError(
            f"{dest} lies inside the {outer.role} {outer.root}",
            f"name a folder outside it, for example {outer.root.parent / 'my-tinytorch'}",
        )


@contextmanager
def _draft_beside(dest):
    """A temporary folder beside `dest`, gone afterwards unless it was moved."""
    existing = next(folder for folder in dest.parents if folder.is_dir())
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        # not tempfile: its folders are open to their owner only, and this one becomes the workspace
        draft = dest.parent / f".{dest.name}-{uuid.uuid4().hex}"
        draft.mkdir()
    except OSError as error:
        raise UsageError(f"{dest.parent} cannot be written to: {error.strerror}", "name another folder") from error
    try:
        yield draft
    finally:
        remove_tree(draft)
        _remove_empty(dest.parent, existing)


def _remove_empty(folder, existing):
    """Remove the folders that were made below `existing` and stayed empty."""
    while folder != existing and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _copy_common(project, draft):
    """Everything but the modules."""
    atomic_write(draft / "pyproject.toml", _pyproject(project))
    shutil.copyfile(TEMPLATES / "README.md", draft / "README.md")
    shutil.copyfile(TEMPLATES / "gitignore", draft / ".gitignore")
    (draft / "modules").mkdir()
    for name in ("LICENSE", "modules/README.md"):
        if (project.root / name).is_file():
            shutil.copyfile(project.root / name, draft / name)
    for name in ("tinytorch", "tito", "milestones"):
        if (project.root / name).is_dir():
            shutil.copytree(project.root / name, draft / name, ignore=LEFT_OUT)
    for file in (draft / "tinytorch" / "core").glob("*.py"):
        if file.name != "__init__.py":
            file.unlink()


def _pyproject(project):
    text = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    text, changed = ROLE.subn('role = "workspace"', text)
    if changed != 1:
        raise ProjectError(
            f'{project.root / "pyproject.toml"} needs exactly one line role = "course" below [tool.tito]', "fix it"
        )
    return TEST_PATHS.sub('testpaths = ["modules"]', text)


def _copy_module(project, module, draft):
    """Hand out a module; its notebook as the course has it, with answers and hints."""
    target = draft / "modules" / module.name
    target.mkdir()
    for name in ("README.md", "module.toml", module.tests.name):
        if not (module.folder / name).is_file():
            raise ProjectError(f"{project.relative(module.folder / name)} is missing", "write it, then: tito init DEST")
        shutil.copyfile(module.folder / name, target / name)
    source = notebooks.load_handed_out(project, module)
    notebooks.write(strip(source.node, source), target / module.notebook.name)
    return source.node


def _write_stubs(workspace):
    """Keep the notebooks as they are now, before anybody edits them."""
    catalog = read_catalog(workspace)
    for module in catalog:
        atomic_write(pristine.stub_path(workspace, module), module.notebook.read_bytes())
    pristine.write_manifest(workspace, catalog)


def _require_no_leaks(project, catalog, draft):
    found = leaks.scan(draft, leaks.secrets(project, catalog))
    if found:
        places = "\n".join(f"{leak.path}:{leak.line}: {leak.statement}   (from {leak.origin})" for leak in found[:5])
        more = f"\nand {len(found) - 5} more" if len(found) > 5 else ""
        raise ProjectError(
            f"no workspace was made: it would hand out answers\n{places}{more}",
            "take the answer out of the file, or out of the provided cell",
            code="leak",
        )


def _move(draft, dest):
    """Put the finished folder in place. An existing empty folder is filled: somebody's shell may be in it."""
    if not dest.exists():
        draft.replace(dest)
        return
    # pyproject.toml last: until then the folder is no project
    for entry in sorted(draft.iterdir(), key=lambda entry: entry.name == "pyproject.toml"):
        entry.replace(dest / entry.name)


def _next_commands(dest, catalog):
    return (
        f"cd {first_aid.quoted(dest)}",
        "py -m venv .venv" if os.name == "nt" else "python3 -m venv .venv",
        first_aid.activate(),
        "pip install -e .",
        f"tito module start {next(iter(catalog)).number:02}",
    )
