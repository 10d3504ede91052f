"""The one registry of modules, read from the folders below `modules/` and the `module.toml` in each.

A module says for itself what it is called and what it needs, so that a class can leave one out or add one.
The metadata lives beside the notebook and not in it: the registry must answer when a notebook does not even parse.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError, UsageError

FOLDER = re.compile(r"(?P<number>\d\d)_(?P<short>[a-z][a-z0-9_]*)")
REQUIRED = {"title": str, "summary": str, "prerequisites": list, "hours": (int, float), "difficulty": int}


@dataclass(frozen=True)
class Module:
    """One module of the course. `hours` is an estimate for a student; `difficulty` runs from 1 to 5."""

    number: int
    short: str
    folder: Path
    title: str
    summary: str
    prerequisites: tuple[str, ...]
    hours: float
    difficulty: int

    @property
    def name(self):
        return self.folder.name

    @property
    def percent(self):
        """The source with solutions: in the course repository."""
        return self.folder / f"{self.short}_dev.py"

    @property
    def notebook(self):
        """What a student edits: in a workspace."""
        return self.folder / f"{self.short}_dev.ipynb"

    @property
    def tests(self):
        return self.folder / f"test_{self.short}.py"

    @property
    def core_file(self):
        return f"{self.short}.py"

    def source(self, project):
        """The file that is edited, tested and exported in this role."""
        return self.percent if project.is_course else self.notebook


class Catalog:
    """The modules in the order of the course."""

    def __init__(self, modules):
        self.modules = tuple(sorted(modules, key=lambda module: module.number))
        self._by_name = {module.name: module for module in self.modules}

    def __iter__(self):
        return iter(self.modules)

    def __len__(self):
        return len(self.modules)

    def __getitem__(self, name):
        return self._by_name[name]

    def find(self, text):
        """The module that a person means by `9`, `09`, `spatial` or `09_spatial`."""
        wanted = str(text).strip().strip("/").lower()
        for module in self.modules:
            if wanted in (module.name, module.short) or (wanted.isdecimal() and int(wanted) == module.number):
                return module
        names = ", ".join(module.name for module in self.modules) or "none"
        raise UsageError(f"there is no module {str(text)!r}; the modules are: {names}", "tito module list")

    def below(self, module):
        """The modules of lower number: what the notebook of `module` may import."""
        return tuple(other for other in self.modules if other.number < module.number)

    def prerequisites(self, module):
        """All that `module` needs, directly or not, in order."""
        needed, waiting = set(), list(module.prerequisites)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self._by_name[name].prerequisites)
        return tuple(other for other in self.modules if other.name in needed)

    def dependants(self, module):
        """All that needs `module`, directly or not, in order."""
        return tuple(other for other in self.modules if module in self.prerequisites(other))


def read_catalog(project):
    """Read the registry of `project`. Raises ProjectError for a folder or a `module.toml` that is not in order."""
    modules = []
    for folder in sorted(project.modules.glob("[0-9]*")) if project.modules.is_dir() else []:
        if folder.is_dir():
            modules.append(_read_module(project, folder))
    if not modules:
        hint = "restore the folder, or make a new workspace: tito init DEST"
        raise ProjectError(f"no modules in {project.modules}", hint)
    catalog = Catalog(modules)
    numbers = [module.number for module in catalog]
    if len(set(numbers)) != len(numbers):
        raise ProjectError(f"two folders in {project.modules} have the same number", "rename one of them")
    for module in catalog:
        for name in module.prerequisites:
            if name not in {other.name for other in catalog.below(module)}:
                raise ProjectError(
                    f"{module.name} needs {name!r}, which is not a module of lower number",
                    f"mend prerequisites in {project.relative(module.folder / 'module.toml')}",
                )
    return catalog


def _read_module(project, folder):
    match = FOLDER.fullmatch(folder.name)
    if match is None:
        raise ProjectError(
            f"{project.relative(folder)} is not named like a module (two digits, an underscore, a name)",
            "rename or remove the folder",
        )
    path = folder / "module.toml"
    hint = f"mend {project.relative(path)}"
    try:
        metadata = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{project.relative(path)} cannot be read: {error.strerror}", hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{project.relative(path)} is not valid TOML: {error}", hint) from error
    for key, kind in REQUIRED.items():
        if not isinstance(metadata.get(key), kind):
            raise ProjectError(f"{project.relative(path)}: {key} is missing or of the wrong type", hint)
    return Module(
        number=int(match["number"]),
        short=match["short"],
        folder=folder,
        title=metadata["title"],
        summary=metadata["summary"],
        prerequisites=tuple(metadata["prerequisites"]),
        hours=metadata["hours"],
        difficulty=metadata["difficulty"],
    )
