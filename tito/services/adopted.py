"""The course's own export of a module, for a student who is stuck: how it is written, checked and put in place.

The file is Python and goes into the package as it is. Its first lines say whose it is, of which module and version of
the course, and the hash of all below them, so that a changed byte is noticed.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tito.errors import UsageError, WorkError, changing
from tito.services import clone, export, modules, testing
from tito.services.files import atomic_write, backup, digest
from tito.services.pristine import load_source
from tito.services.progress import Record, read_progress, write_progress

WORDS = "# Adopted: this is the course's own {module}, not the work of whoever owns this folder.\n"
STAMP = "# Course version {version}; SHA-256 of all below this line: {hash}\n"
HEAD = re.compile(
    WORDS.replace("{module}", r"(?P<module>\w+)") + STAMP.format(version=r"(?P<version>\S+)", hash=r"(?P<hash>\w{64})")
)


@dataclass(frozen=True)
class Adoptable:
    """A file that can be adopted. text: as it goes into the package, its head included."""

    module: str
    version: str
    text: str


@dataclass(frozen=True)
class Adoption:
    """A module that was adopted. path: its file in the package; kept: a copy of the one that it replaced, or None;
    rechecked, broken: as after completing a module. next: the module to go on with, or None.
    """

    module: str
    version: str
    path: Path
    kept: Path | None
    rechecked: tuple
    broken: tuple
    next: str | None


def make(course, catalog, module):
    """The Adoptable of `module`, from its source in the repository `course`."""
    body = export.render(course, catalog, module, load_source(course, module))
    head = WORDS.format(module=module.name) + STAMP.format(version=course.version, hash=digest(body.encode()))
    return Adoptable(module.name, course.version, head + body)


def read(path):
    """The Adoptable in the file `path`. Raises UsageError for another file, and for one that was changed."""
    path = Path(path)
    hint = "ask whoever gave it to you for it again; it is made by: tito grade release-adopt M"
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint, code="adopt-file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no file to adopt: it is not text", hint, code="adopt-file") from error
    head = HEAD.match(text)
    if head is None:
        raise UsageError(f"{path} is no file to adopt: its first lines do not say so", hint, code="adopt-file")
    if digest(text[head.end() :].encode()) != head["hash"]:
        raise UsageError(f"{path} was changed after it was made: its hash does not fit", hint, code="adopt-file")
    return Adoptable(head["module"], head["version"], text)


def is_adopted(path):
    """Whether the file `path` of a package is an adopted one."""
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return HEAD.match(file.readline() + file.readline()) is not None
    except OSError:
        return False


def of_course(project, folder, name):
    """The Adoptable of the module `name`, from a clone of the course."""
    course, catalog = clone.open_course(project, folder)
    return make(course, catalog, catalog.find(name))


def adopt(project, catalog, module, adoptable, on_step=None):
    """Put an Adoptable in place of the student's export of `module`, and record it. Returns an Adoption.

    Raises WorkError where what it needs is not there, or where it does not work with what is there; UsageError for
    the file of another module or version, and where there is nothing to adopt for. Package and record stay as they
    were then.
    """
    _require_fit(project, module, adoptable)
    modules.require_prerequisites(project, catalog, module)
    state = modules.standing(project, catalog, module).state
    if state == "complete":
        message = f"{module.name} is complete: yours is in the package, and stays there"
        raise UsageError(message, "tito module status", code="complete")
    say = on_step or (lambda done, total, title: None)
    path, kept = project.core / module.core_file, None
    say(0, None, f"testing the course's {module.name}")
    with export.stage_texts(project, catalog, {module: adoptable.text}) as stage:
        tests = testing.run_tests(project, catalog, [module], folder=stage.folder)
        if not tests.ok:
            raise WorkError(
                f"the course's {module.name} does not pass its tests with the modules that you have: "
                f"{tests.first_failure}",
                "complete the modules that it needs again, or adopt them as well",
                code="tests-failed",
            )
        with changing(f"{project.relative(path)} may have been replaced"):
            if path.exists():
                kept = backup(path, project.state / "backups")
            atomic_write(path, adoptable.text)
            records, _ = read_progress(project)
            records[module.name] = _record(project, module, adoptable)
            write_progress(project, records)
    with changing(f"{module.name} is adopted, but what depends on it was not rechecked"):
        rechecked, broken = modules.recheck(project, catalog, module, records, say)
    following = modules.status(project, catalog).next
    return Adoption(module.name, adoptable.version, path, kept, tuple(rechecked), tuple(broken), following)


def adopt_with_needs(project, catalog, module, folder, on_step=None):
    """Adopt from the clone `folder` what `module` needs and is not there, in order, and then `module`: [Adoption].

    Raises as `adopt` does; what was adopted before that stays adopted.
    """
    below = catalog.prerequisites(module)
    missing = [one for one in below if not modules.standing(project, catalog, one).usable]
    wanted = [*missing, module]
    return [adopt(project, catalog, one, of_course(project, folder, one.name), on_step) for one in wanted]


def _require_fit(project, module, adoptable):
    if project.is_course:
        raise UsageError("in the course repository there is nothing to adopt", "cd into a workspace")
    if adoptable.module != module.name:
        raise UsageError(
            f"this file is the course's {adoptable.module}, not {module.name}",
            f"tito module adopt {adoptable.module} FILE",
            code="adopt-file",
        )
    if adoptable.version != project.version:
        raise UsageError(
            f"this file is of version {adoptable.version} of the course, your workspace of version {project.version}",
            f"ask for the file of version {project.version}",
            code="other-version",
        )


def _record(project, module, adoptable):
    """No points: what the notebook earns is counted from the notebook, adopted or not."""
    return Record(
        completed_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        points=0,
        max_points=0,
        source_digest="",
        export_digest=digest((project.core / module.core_file).read_bytes()),
        adopted=adoptable.version,
    )
