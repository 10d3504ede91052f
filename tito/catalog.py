"""The one registry of modules and milestones, read from the `module.toml` or `milestone.toml` in their folders.

A module says for itself what it is called and what it needs, so that a class can leave one out or add one.
The metadata lives beside the notebook and not in it: the registry must answer when a notebook does not even parse.
"""

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from tito.errors import ProjectError, UsageError

FOLDER = re.compile(r"(?P<number>\d\d)_(?P<short>[a-z][a-z0-9_]*)")
REQUIRED = {"title": str, "summary": str, "prerequisites": list, "hours": (int, float), "difficulty": int}
OPTIONAL = {"parts": list, "objectives": list, "elective": bool, "artifact": str}
FILE_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9]+")

MILESTONE = re.compile(r"(?P<number>\d\d)_(?P<year>\d{4})_(?P<short>[a-z][a-z0-9_]*)")
NAMED = {
    "module": "two digits, an underscore, a name",
    "milestone": "two digits, a year and a name, with underscores between",
}
REQUIRED_OF_MILESTONE = {"title": str, "year": int, "paper": str, "summary": str, "program": str, "needs": list}


@dataclass(frozen=True)
class Part:
    """What one can do at a stretch. `works` says what works at its end."""

    title: str
    hours: float
    works: str


@dataclass(frozen=True)
class Objective:
    """Something that a student can do after the module; a cell names it by its `id`."""

    id: str
    text: str


@dataclass(frozen=True)
class Module:
    """One module of the course. `hours` is an estimate for a student; `difficulty` runs from 1 to 5.

    elective: the way through the course may leave it out. artifact: the name of the file that is handed in with the
    notebook, "" where that is all.
    """

    number: int
    short: str
    folder: Path
    title: str
    summary: str
    prerequisites: tuple[str, ...]
    hours: float
    difficulty: int
    parts: tuple[Part, ...] = ()
    objectives: tuple[Objective, ...] = ()
    elective: bool = False
    artifact: str = ""

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

    def prerequisites(self, module):
        """All that `module` needs, directly or not, in order: what its notebook may import."""
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
        raise ProjectError(f"no modules in {project.modules}", project.restoring(project.modules))
    catalog = Catalog(modules)
    numbers = [module.number for module in catalog]
    if len(set(numbers)) != len(numbers):
        raise ProjectError(f"two folders in {project.modules} have the same number", "rename one of them")
    for module in catalog:
        for name in module.prerequisites:
            if name not in {other.name for other in catalog if other.number < module.number}:
                raise ProjectError(
                    f"{module.name} needs {name!r}, which is not a module of lower number",
                    f"fix prerequisites in {project.relative(module.folder / 'module.toml')}",
                )
    return catalog


def _read_module(project, folder):
    match, metadata, path = _read_folder(project, folder, FOLDER, "module", REQUIRED)
    for key, value in metadata.items():
        if key not in REQUIRED and not isinstance(value, OPTIONAL.get(key, ())):
            reason = "is of the wrong type" if key in OPTIONAL else "is no key of a module"
            raise ProjectError(f"{path}: {key} {reason}", f"fix {path}")
    artifact = metadata.get("artifact", "")
    if artifact and not FILE_NAME.fullmatch(artifact):
        raise ProjectError(f"{path}: artifact = {artifact!r} is no plain name of a file", f"fix {path}")
    objectives = _read_tables(path, metadata, "objectives", Objective)
    ids = [objective.id for objective in objectives]
    if len(set(ids)) != len(ids):
        raise ProjectError(f"{path}: objectives: two of them have the same id", f"fix {path}")
    return Module(
        number=int(match["number"]),
        short=match["short"],
        folder=folder,
        title=metadata["title"],
        summary=metadata["summary"],
        prerequisites=tuple(metadata["prerequisites"]),
        hours=metadata["hours"],
        difficulty=metadata["difficulty"],
        parts=_read_tables(path, metadata, "parts", Part),
        objectives=objectives,
        elective=metadata.get("elective", False),
        artifact=artifact,
    )


def _read_tables(path, metadata, key, kind):
    """The tables [[key]] as instances of the dataclass `kind`, whose fields are texts that say something, or hours."""
    wanted = {field.name: field.type for field in fields(kind)}
    for number, table in enumerate(metadata.get(key, []), 1):
        if not isinstance(table, dict):
            raise ProjectError(f"{path}: {key} has to be tables, [[{key}]]", f"fix {path}")
        for name in {**wanted, **table}:
            value = table.get(name)
            fits = isinstance(value, str) and value.strip() if wanted.get(name) is str else type(value) in (int, float)
            if not fits or name not in wanted:
                reason = "is missing or of the wrong type" if name in wanted else f"is no key of [[{key}]]"
                raise ProjectError(f"{path}: {name} of [[{key}]] number {number} {reason}", f"fix {path}")
    return tuple(kind(**table) for table in metadata.get(key, []))


@dataclass(frozen=True)
class Result:
    """What a milestone asserts on one dataset after so many epochs, in words."""

    data: str
    epochs: int
    asserts: tuple[str, ...]
    images: str = ""  # the dataset that a part uses, where it is not `data` itself


@dataclass(frozen=True)
class Milestone:
    """A historical result to reproduce. needs: names of modules. results: one for each dataset that it knows.

    The first dataset is the one that it is about; the last one needs no download. default: the one that is used where
    none is asked for; "": the first one where it is fetched, else the last one.
    """

    number: int
    short: str
    folder: Path
    title: str
    year: int
    paper: str
    summary: str
    program: Path
    needs: tuple[str, ...]
    results: tuple[Result, ...]
    unit: str = "epochs"  # of how long it trains
    default: str = ""

    @property
    def name(self):
        return self.folder.name

    @property
    def has_parts(self):
        """Whether its datasets are parts, which it makes itself; they train by steps, and need no download."""
        return self.unit == "steps"

    @property
    def datasets(self):
        return tuple(result.data for result in self.results)

    @property
    def bundled(self):
        """The results that need no download: of the last dataset, and of parts that learn from it."""
        return tuple(one for one in self.results if (one.images or one.data) == self.datasets[-1])


class Milestones:
    """The milestones in the order of the course."""

    def __init__(self, milestones):
        self.milestones = tuple(sorted(milestones, key=lambda milestone: milestone.number))

    def __iter__(self):
        return iter(self.milestones)

    def __len__(self):
        return len(self.milestones)

    def find(self, text):
        """The milestone that a person means by `1`, `01`, `perceptron`, `1957` or `01_1957_perceptron`."""
        wanted = str(text).strip().strip("/").lower()
        for milestone in self.milestones:
            numbers = (milestone.number, milestone.year)
            if wanted in (milestone.name, milestone.short) or (wanted.isdecimal() and int(wanted) in numbers):
                return milestone
        names = ", ".join(milestone.name for milestone in self.milestones) or "none"
        raise UsageError(f"there is no milestone {str(text)!r}; the milestones are: {names}", "tito milestone list")


def read_milestones(project):
    """The milestones of `project`. Raises ProjectError for a folder or a `milestone.toml` that is not in order."""
    home = project.root / "milestones"
    folders = sorted(folder for folder in home.glob("[0-9]*") if folder.is_dir()) if home.is_dir() else []
    milestones = Milestones(_read_milestone(project, folder) for folder in folders)
    if not milestones:
        raise ProjectError(f"no milestones in {home}", project.restoring(home))
    if len({milestone.number for milestone in milestones}) != len(milestones):
        raise ProjectError(f"two folders in {home} have the same number", "rename one of them")
    return milestones


def _read_milestone(project, folder):
    match, metadata, path = _read_folder(project, folder, MILESTONE, "milestone", REQUIRED_OF_MILESTONE)
    if metadata["year"] != int(match["year"]):
        raise ProjectError(f"{path}: year and the folder's name say different years", f"fix {path}")
    if not (folder / metadata["program"]).is_file():
        raise ProjectError(f"{path}: there is no program {metadata['program']}", f"fix {path}")
    if missing := [name for name in metadata["needs"] if not (project.modules / name).is_dir()]:
        raise ProjectError(
            f"{path} needs {missing[0]}, which is no module of this course",
            f"fix the name, or leave the milestone out as well: remove {project.relative(folder)}",
        )
    try:
        results = tuple(
            Result(name, facts["epochs"], tuple(claim["words"] for claim in facts["asserts"]), facts.get("images", ""))
            for name, facts in metadata["datasets"].items()
        )
    except (KeyError, TypeError, AttributeError):
        results = ()
    if not results:
        wanted = "datasets needs a table for each dataset, with epochs and asserts, each with words"
        raise ProjectError(f"{path}: {wanted}", f"fix {path}")
    return Milestone(
        number=int(match["number"]),
        short=match["short"],
        folder=folder,
        title=metadata["title"],
        year=metadata["year"],
        paper=metadata["paper"],
        summary=metadata["summary"],
        program=folder / metadata["program"],
        needs=tuple(metadata["needs"]),
        results=results,
        unit=metadata.get("unit", "epochs"),
        default=metadata.get("default", ""),
    )


def _read_folder(project, folder, pattern, kind, required):
    """(match of the folder's name, metadata, path of the metadata as a person types it) of a module or a milestone."""
    match = pattern.fullmatch(folder.name)
    if match is None:
        raise ProjectError(
            f"{project.relative(folder)} is not named like a {kind} ({NAMED[kind]})", "rename or remove the folder"
        )
    path = folder / f"{kind}.toml"
    hint = f"fix {project.relative(path)}"
    try:
        metadata = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{project.relative(path)} cannot be read: {error.strerror}", hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{project.relative(path)} is not valid TOML: {error}", hint) from error
    for key, type_ in required.items():
        if not isinstance(metadata.get(key), type_):
            raise ProjectError(f"{project.relative(path)}: {key} is missing or of the wrong type", hint)
    return match, metadata, project.relative(path)
