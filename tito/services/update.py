"""Merges a new version of the course into a student's workspace.

All of it is made ready beside the workspace first. Then one file, the journal, decides: before it is there the
workspace is the old one, and after it tito, at its next start at the latest, makes it the new one: see tito/recover.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tito import recover
from tito.catalog import read_catalog
from tito.errors import ProjectError, UsageError, WorkError, changing
from tito.project import read_project
from tito.services import hints, lock, merging, modules, notebooks, pristine
from tito.services.files import atomic_write, digest, remove_tree
from tito.services.progress import read_progress, written

INIT_SECONDS = 300
TREES = ("modules", "tinytorch", "tito", "milestones")
FILES = ("README.md", ".gitignore", "LICENSE", "pyproject.toml")
LEFT_ALONE = ("__pycache__", ".ipynb_checkpoints")
# what the backup of a workspace leaves out: it can be made again, or is a backup itself
NOT_KEPT = (".venv", "venv", ".git", *LEFT_ALONE)
NOT_KEPT_OF_STATE = ("backups", "views", recover.FOLDER.name)


@dataclass(frozen=True)
class ModuleUpdate:
    """What becomes of one notebook. status: same, untouched (replaced whole: nobody had worked on it), merged, new,
    absent (there is none yet), gone (the course has dropped the module) or unreadable. changes: merging.CellChange.
    """

    module: str
    status: str
    changes: tuple = ()


@dataclass(frozen=True)
class Update:
    """An update that was planned or made. files: how many are put in place, removed: how many go. outdated: completed
    modules whose tests changed; failed: {module: the first failure} of those. backup: of the whole, None before.
    reinstall: whether pyproject.toml, and so what has to be installed, may have changed.
    """

    before: str
    version: str
    modules: tuple
    files: int
    removed: int
    outdated: tuple
    failed: dict = field(default_factory=dict)
    backup: Path | None = None
    warnings: tuple = ()
    reinstall: bool = False

    @property
    def changes_nothing(self):
        return not self.files and not self.removed


def update(project, catalog, source, *, dry_run=False, say=lambda done, total, title: None):
    """Merge the course at `source` into the workspace `project`; returns an Update.

    source: a clone or a folder of the course, a workspace that an instructor made, or a zip of either. say(done, total,
    title): called before each step. Raises UsageError for a source that is no newer course; the workspace is as it was
    then.
    """
    if project.is_course:
        raise UsageError("a workspace is updated, and this is the course repository", "here: git pull")
    say(0, None, "reading the new version")
    with _opened(source) as new, lock.hold(project.state / "lock", "tito update"):
        if _version(new.version) < _version(project.version):
            raise UsageError(
                f"{source} is version {new.version} of the course, older than this workspace's {project.version}",
                "name a newer one; backups are in .tito/backups",
                code="older",
            )
        plan = _Plan(project, catalog, new)
        found = plan.found()
        if dry_run or found.changes_nothing:
            return found
        say(0, None, "keeping a backup")
        kept = _back_up(project)
        with changing(f"see the backup, {project.relative(kept)}"):
            plan.put_ready()
            plan.require_unchanged()
            _decide(project, plan)
            recover.finish(project.root)
        failed = _test_again(project, found.outdated, say)
    return replace(found, backup=kept, failed=failed)


def _version(text):
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        raise ProjectError(f"{text!r} is no version", "fix version in pyproject.toml") from None


# The new version, as a workspace that nobody has touched.


@contextmanager
def _opened(source):
    """Yield the project of a workspace of the new version, in which nobody has worked or whose stubs are used."""
    source = Path(source).resolve()
    with tempfile.TemporaryDirectory(prefix="tito-update-") as folder:
        folder = Path(folder).resolve()
        if source.is_file():
            source = _unpacked(source, folder / "unpacked")
        found = read_project(source)
        if found is None:
            raise UsageError(
                f"{source} is no TinyTorch course: no pyproject.toml in it has [tool.tito]",
                "name a clone of the course, a workspace, or a zip of one",
                code="no-course",
            )
        yield _workspace_of(found, folder / "workspace") if found.is_course else found


def _unpacked(archive, folder):
    """The folder of the project in a zip: its top, or its only folder."""
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UsageError(f"{archive} cannot be unpacked: {error}", "get it again", code="unreadable") from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _workspace_of(course, folder):
    """A new workspace, made by the tito of the new version itself."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "tito", "init", str(folder), "--json"],
            cwd=course.root,
            env={**os.environ, "PYTHONPATH": str(course.root), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        message = f"making a workspace from {course.root} took more than {INIT_SECONDS} seconds"
        raise ProjectError(message, "close other programs, then run it again") from error
    if child.returncode != 0:
        try:
            reason = json.loads(child.stdout)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            reason = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise ProjectError(f"no workspace could be made from {course.root}: {reason}", "ask your instructor")
    return read_project(folder)


# What is to be done.


class _Plan:
    """put: {path from the root: bytes}; remove: paths from the root."""

    def __init__(self, project, catalog, new):
        self.project, self.catalog, self.new = project, catalog, new
        self.new_catalog = read_catalog(new)
        self.put, self.remove, self.seen, self.warnings = {}, [], {}, []
        self.stubs = {module.name: (self._stub(module), self._new_stub(module)) for module in self.new_catalog}
        self.modules = [self._module(module) for module in self.new_catalog]
        names = {module.name for module in self.new_catalog}
        self.modules += [ModuleUpdate(module.name, "gone") for module in catalog if module.name not in names]
        self._copy_files()
        self.outdated = self._outdated()
        self._hand_out()

    def found(self):
        return Update(
            before=self.project.version,
            version=self.new.version,
            modules=tuple(self.modules),
            files=len(self.put),
            removed=len(self.remove),
            outdated=tuple(self.outdated),
            warnings=tuple(dict.fromkeys(self.warnings)),
            reinstall="pyproject.toml" in self.put,
        )

    def _put(self, path, data):
        """path: from the root. What is there already, byte for byte, is left alone."""
        target = self.project.root / path
        if not target.is_file() or target.read_bytes() != data:
            self.put[Path(path).as_posix()] = data

    def _old(self, module):
        return next((one for one in self.catalog if one.name == module.name), None)

    def _stub(self, module):
        """The notebook as it was handed out before, None where it is not known."""
        old = self._old(module)
        node, warning = pristine.read_pristine(self.project, old) if old else (None, "")
        self.warnings += [warning] if warning else []
        return node

    def _new_stub(self, module):
        return notebooks.load(self.new, pristine.stub_path(self.new, module)).node

    def _module(self, module):
        path = self.project.modules / module.name / module.notebook.name
        name, stub = self.project.relative(path), pristine.stub_bytes(self.new, module)
        if self._old(module) is None:
            self._put(name, stub)
            return ModuleUpdate(module.name, "new")
        if not path.is_file():
            return ModuleUpdate(module.name, "absent")
        data, (base, new) = path.read_bytes(), self.stubs[module.name]
        self.seen[path] = digest(data)
        if base is None:
            return ModuleUpdate(module.name, "unreadable")
        if data == pristine.stub_bytes(self.project, self._old(module)):
            self._put(name, stub)
            return ModuleUpdate(module.name, "untouched" if stub != data else "same")
        try:
            source = notebooks.parse(data, name, path)
        except WorkError as error:
            self.warnings.append(f"{error.message}; it stays as it is")
            return ModuleUpdate(module.name, "unreadable")
        node, changes = merging.merge(source, base, new, self.new.version)
        if not changes and not _metadata_differs(base, new):
            return ModuleUpdate(module.name, "same")
        self._put(name, notebooks.as_bytes(node))
        return ModuleUpdate(module.name, "merged", tuple(changes))

    def _copy_files(self):
        """Everything but notebooks, what the student exported, and what tito keeps."""
        for path in _files(self.new.root):
            name = path.relative_to(self.new.root)
            if path.name == "pyproject.toml" and len(name.parts) == 1:
                self._put(name, self._settings(path))
            elif not _is_theirs(name):
                self._put(name, path.read_bytes())
        known = {path.relative_to(self.new.root) for path in _files(self.new.root)}
        for path in _files(self.project.root):  # the tool is the course's alone
            name = path.relative_to(self.project.root)
            if name.parts[0] == "tito" and name not in known:
                self.remove.append(name.as_posix())

    def _settings(self, path):
        """The new pyproject.toml, with the one setting that is a class's own."""
        text = path.read_text(encoding="utf-8")
        before = (self.project.root / "pyproject.toml").read_text(encoding="utf-8")
        if "stretch" in tomllib.loads(before)["tool"]["tito"] and "stretch" not in tomllib.loads(text)["tool"]["tito"]:
            line = f"stretch = {str(self.project.stretch).lower()}"
            text = text.replace('role = "workspace"\n', f'role = "workspace"\n{line}\n')
        return text.encode("utf-8")

    def _outdated(self):
        """The completed modules whose tests are others now; in the record they are marked."""
        records, _ = read_progress(self.project)
        found = [module.name for module in self.new_catalog if module.name in records and self._tests_differ(module)]
        for name in found:
            records[name] = replace(records[name], outdated=f"its tests changed with version {self.new.version}")
        if found:
            self._put(".tito/progress.json", written(records).encode("utf-8"))
        return found

    def _tests_differ(self, module):
        old, (base, new) = self._old(module), self.stubs[module.name]
        before = old.tests.read_bytes() if old.tests.is_file() else b""
        return before != module.tests.read_bytes() or _tests(base) != _tests(new)

    def _hand_out(self):
        """The stubs, their hashes and the hints of the new version."""
        for module in self.new_catalog:
            path = pristine.stub_path(self.new, module)
            self._put(path.relative_to(self.new.root), pristine.stub_bytes(self.new, module))
        # a module that the course dropped can stay
        hashes = pristine.recorded_hashes(self.project) | pristine.recorded_hashes(self.new)
        path = pristine.manifest_path(self.new).relative_to(self.new.root)
        self._put(path, pristine.manifest_text(self.new, hashes).encode())
        if (path := hints.path(self.new)).is_file():
            self._put(path.relative_to(self.new.root), path.read_bytes())

    def put_ready(self):
        ready = self.project.root / recover.READY
        remove_tree(ready.parent)
        for name, data in self.put.items():
            atomic_write(ready / name, data)

    def require_unchanged(self):
        for path, before in self.seen.items():
            if not path.is_file() or digest(path.read_bytes()) != before:
                remove_tree(self.project.root / recover.FOLDER)
                raise WorkError(
                    f"{self.project.relative(path)} was saved while the update was made ready; nothing was changed",
                    "close the notebooks, then run it again",
                    code="changed",
                )


def _files(root):
    """The files of a workspace that come from the course."""
    for name in FILES:
        if (root / name).is_file():
            yield root / name
    for tree in TREES:
        for path in sorted((root / tree).rglob("*")):
            if path.is_file() and not set(LEFT_ALONE) & set(path.relative_to(root).parts) and path.suffix != ".pyc":
                yield path


def _is_theirs(name):
    """Whether the file `name` is the student's: a notebook, or an export."""
    is_export = name.parts[:2] == ("tinytorch", "core") and name.name != "__init__.py"
    return is_export or (name.parts[0] == "modules" and name.suffix == ".ipynb")


def _metadata_differs(base, new):
    """Whether points, minutes or grading changed although no text did."""

    def metadata(node):
        return {cell.id: {key: cell.metadata.get(key) for key in ("nbgrader", "tinytorch")} for cell in node.cells}

    return metadata(base) != metadata(new)


def _tests(node):
    tests = [cell for cell in (node.cells if node else []) if notebooks.is_test(cell)]
    return {notebooks.grade_id(cell): (cell.source, notebooks.points(cell)) for cell in tests}


# Doing it.


def _back_up(project):
    """A zip of the workspace but for environments, caches and other backups."""
    stamp = datetime.now().isoformat(timespec="seconds").replace(":", "-")
    path = project.state / "backups" / f"{stamp}_before-update.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for folder, names, files in os.walk(project.root):
            left_out = (*NOT_KEPT, *NOT_KEPT_OF_STATE) if Path(folder) == project.state else NOT_KEPT
            names[:] = [name for name in names if name not in left_out]
            for name in files:
                one = Path(folder, name)
                if one.is_file() and one != draft:
                    file.write(one, one.relative_to(project.root))
    draft.replace(path)
    return path


def _decide(project, plan):
    journal = {"version": plan.new.version, "put": list(plan.put), "remove": plan.remove}
    atomic_write(project.root / recover.JOURNAL, json.dumps(journal))


def _test_again(project, names, say):
    """{module: the first failure} of completed modules whose tests changed; recorded, so that status says it."""
    new = read_project(project.root)
    catalog, failed = read_catalog(new), {}
    for name in names:
        say(0, None, f"testing {name} again")
        if message := modules.test_again(new, catalog, catalog[name]):
            failed[name] = message
    return failed
