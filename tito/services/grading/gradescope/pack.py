"""Writes the zip that Gradescope makes an autograder of: all that a submission is scored with, and nothing else.

setup.sh, run_autograder    what Gradescope starts: once for the image, once for each submission
requirements.txt            the packages of this environment, each at its version
settings.json, failed.json  what was asked for; results.json of a run that comes to nothing
modules.json                by which grade_ids a notebook is recognised
kit/                        the module's kit, see scoring/kits.py
tito/                       the tool, which scores there as here
"""

import io
import json
import re
import sys
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

from tito.errors import ProjectError, UsageError
from tito.services import notebooks, views
from tito.services.files import atomic_write
from tito.services.grading.book import versions
from tito.services.grading.book.course import require_course
from tito.services.grading.gradescope import inbox, results
from tito.services.grading.intake.recognise import ModuleFinder
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.scoring import kits

TITO = Path(__file__).resolve().parents[3]
TEMPLATES = TITO / "templates" / "gradescope"
PROGRAMS = ("setup.sh", "run_autograder")
SPARE_SECONDS = 5
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
ENDED = "it was ended before it could say anything, by a limit of time or of memory"


@dataclass(frozen=True)
class Settings:
    """visibility: of the withheld tests, one of results.VISIBILITIES. minutes: Gradescope's time limit;
    cell_seconds: of each cell. second_try: whether the better of both scores counts.
    """

    visibility: str = "after_due_date"
    minutes: float = 10
    cell_seconds: float = 30
    second_try: bool = True


@dataclass(frozen=True)
class Packed:
    """version: the one that grades, None where none was kept. points: of the visible tests; withheld: of the others;
    written: of the answers that a person grades, on Gradescope in a rubric of its own.
    """

    module: str
    version: str | None
    path: Path
    size: int
    points: float
    withheld: float
    written: float
    packages: int


def pack(project, catalog, module, path=None, settings=None):
    """Write the autograder of `module`, in the version that its class is graded with.

    path: the zip, below assignments/gradescope/ where None. Returns Packed. Raises ProjectError where the module was
    not released, UsageError where something else is at `path`.
    """
    settings, course = settings or Settings(), require_course(project)
    path = Path(path) if path else course.root / "gradescope" / f"{module.name}.zip"
    source = course.source / module.name / module.notebook.name
    if not source.is_file():
        reason = f"{project.relative(source)} does not exist: {module.name} was not released from this course folder"
        raise ProjectError(reason, f"tito grade release {module.name}", code="not-released")
    _require_replaceable(path)
    packages = pinned()
    with course.locked(f"tito grade gradescope {module.name}"), ExitStack() as stack:
        made, version = {"source": source}, versions.Versions(course, module)
        version.require_settled()
        if version.pinned:
            contents = version.contents(version.pinned)
            made = versions.put(contents, stack.enter_context(views.folder(project)), version.earlier(contents))
        kit = stack.enter_context(kits.make(project, catalog, module, sandbox=Sandbox("none"), **made))
        asked = {"module": module.name, "version": version.pinned and version.pinned.name, **vars(settings)}
        files = _files(kit, asked, ModuleFinder(course, catalog), packages)
        atomic_write(path, _zipped(files))
        cells = [cell for cell in kit.handed.cells if notebooks.is_test(cell)]
        withheld = sum(notebooks.points(cell) for cell in cells if notebooks.is_withheld(cell))
        return Packed(
            module=module.name,
            version=asked["version"],
            path=path,
            size=path.stat().st_size,
            points=sum(map(notebooks.points, cells)) - withheld,
            withheld=withheld,
            written=sum(notebooks.points(cell) for cell in kit.handed.cells if notebooks.is_written(cell)),
            packages=len(packages),
        )


def pinned(distribution="tinytorch"):
    """["name==version"] of all that `distribution` needs on Linux, at the versions that are installed here.

    What is not installed here, because this system does not need it, is left out: pip finds it.
    """
    found, waiting, seen = {}, [(distribution, frozenset())], set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name == distribution:
                raise ProjectError(f"{name} is not installed here", "pip install -e .", code="not-installed") from None
            continue
        for requirement in map(Requirement, metadata.requires(name) or ()):
            environments = [{**default_environment(), **LINUX, "extra": extra} for extra in extras or {""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                waiting.append((_normal(requirement.name), frozenset(requirement.extras)))
    del found[distribution]
    # a version of this machine only (2.1+cpu) is not the registry's
    return [f"{name}=={version.partition('+')[0]}" for name, version in sorted(found.items())]


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _require_replaceable(path):
    """Refuse to replace what is no autograder's zip."""
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            ours = {*PROGRAMS} <= {*archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        ours = False
    if not ours:
        raise UsageError(f"{path} is there and is no autograder", "name another file with --out")


def _files(kit, settings, finder, packages):
    """{name in the zip: its bytes}. settings: of settings.json."""
    values = {
        "@PYTHON@": f"{sys.version_info.major}.{sys.version_info.minor}",
        "@SECONDS@": str(int(60 * settings["minutes"]) - SPARE_SECONDS),
    }
    files = {}
    for name in PROGRAMS:
        text = (TEMPLATES / name).read_text(encoding="utf-8")
        for word, value in values.items():
            text = text.replace(word, value)
        files[name] = text
    files["requirements.txt"] = "\n".join(packages) + "\n"
    files["settings.json"] = json.dumps(settings, indent=1)
    files["failed.json"] = json.dumps(results.failure(settings["module"], ENDED), indent=1)
    files["modules.json"] = inbox.remembered(finder)
    about = json.loads((kit.folder / "kit.json").read_text(encoding="utf-8"))
    files["kit/kit.json"] = json.dumps({**about, "project": "/autograder/source"})
    for name in ("source.ipynb", "handed.ipynb"):
        files[f"kit/{name}"] = (kit.folder / name).read_bytes()
    for name in ("view", "bridge"):
        files |= _tree(kit.shown / name, f"kit/shown/{name}")
    return files | _tree(TITO, "tito")


def _tree(folder, name):
    """{name in the zip: bytes} of what lies in `folder`, but for what was compiled."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}


def _zipped(files):
    """A zip archive with the same bytes for the same files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if name in PROGRAMS else 0o644) << 16
            archive.writestr(info, content)
    return data.getvalue()
