"""What runs on a worker: it says what it is, takes a kit, scores with it.

A worker has its own clone of the course, and its own sandbox. Nothing of it decides about a score that is not compared
with the machine that asks: a worker that differs is refused.
"""

import contextlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
import threading
from importlib import metadata
from pathlib import Path

import tito
from tito.catalog import read_catalog
from tito.errors import ProjectError, TitoError
from tito.project import read_project
from tito.services.files import digest
from tito.services.grading.sandbox.find import find
from tito.services.grading.scoring import executors, keys, kits

PACKAGES = ("numpy", "nbformat", "jupytext", "matplotlib")  # what reads and runs a submission
SHORT = 12  # digits of a hash that a person compares

_kits = {}  # {name: Kit} of those that this worker took
_lock = threading.Lock()


def here():
    """The project that this process's tito belongs to. Raises ProjectError where it lies in none."""
    root = Path(tito.__file__).resolve().parents[1]
    found = read_project(root)
    if found is None or not found.is_course:
        raise ProjectError(f"the tito of this worker lies in {root}, which is no clone of the course")
    return found


def identity(project):
    """{what: version or hash} of all that decides about a score on this machine."""
    course = [
        path
        for folder, pattern in (
            (project.modules, "*/*_dev.py"),
            (project.modules, "*/*.toml"),
            (project.package, "**/*.py"),
        )
        for path in sorted(folder.glob(pattern))
    ]
    return {
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "tito": _digest_of(keys.scoring_files()),
        "course": _digest_of(course),
    }


def _version(package):
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return "not installed"


def _digest_of(paths):
    return digest("".join(digest(path.read_bytes()) for path in paths).encode())[:SHORT]


def look():
    """{"identity", "sandbox", "detail", "error"} of this worker; error: why it can say nothing, "" else."""
    try:
        project = here()
        sandbox = find(project, allow_none=True)
        return {"identity": identity(project), "sandbox": sandbox.kind, "detail": sandbox.detail, "error": ""}
    except TitoError as error:
        return {"identity": {}, "sandbox": "none", "detail": "", "error": error.message}


def pack(kit):
    """The folder of `kit` as bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(kit.folder, arcname=".")
    return packed.getvalue()


def take(name, packed):
    """Keep the kit `packed` under `name`, and say as `look` what this worker is."""
    found = look()
    if found["error"] or found["sandbox"] == "none":
        return found
    with _lock:
        if name not in _kits:
            folder = Path(tempfile.mkdtemp(prefix="kit-", dir=_folder()))
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
            about = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
            about["project"] = str(here().root)
            (folder / "kit.json").write_text(json.dumps(about), encoding="utf-8")
            _kits[name] = kits.load(folder, find(here()))
    return found


def _folder():
    """Where Dask keeps what is this worker's, and clears up after one that was killed."""
    from distributed import get_worker

    return get_worker().local_directory


def score(name, scorer, task):
    """The Scored of a task; None where this worker has no such kit, because it was started again meanwhile."""
    kit = _kits.get(name)
    return None if kit is None else executors.attempt(scorer, kit, task)


def forget(name):
    """End what belongs to the kit `name`."""
    with _lock:
        kit = _kits.pop(name, None)
    if kit is not None:
        kit.readers.close()
        kit.testing.close()
        shutil.rmtree(kit.folder, ignore_errors=True)


def prove(names):
    """What became of the hostile corpus (of the attacks `names` of it, all where empty) in this worker's sandbox."""
    from tito.services.grading.rehearsal.selftest import selftest

    project = here()
    return selftest(project, read_catalog(project), names=names, jobs=1, executor=executors.Inline())
