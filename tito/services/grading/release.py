"""From the percent source to nbgrader's release folder, through nbgrader's own generate_assignment.

Everything is built in a temporary folder first and searched for answers; then the gradebook learns of the assignment,
and the folders are moved into place. What students may already have is never replaced without being asked.
"""

import fnmatch
import shutil
import warnings
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tito.errors import ProjectError, TitoError, changing
from tito.services import leaks, notebooks, rules
from tito.services.files import atomic_write, backup, digest
from tito.services.grading.book import history, records
from tito.services.grading.book.course import require_course
from tito.services.grading.book.nbgrader_log import NbgraderLog
from tito.services.grading.book.versions import Versions, as_released, course_now
from tito.services.strip import solution_clearer, strip

RECORD = "releases.json"
# what an assignment may hold besides its notebook, as paths in its folder
KEPT = ("README*", "LICENSE*", "data/*", "images/*", "figures/*")
NEVER_KEPT = ("*.py", "*.ipynb", "*.pyc")
LEFT_OUT = (".ipynb_checkpoints/*", "__pycache__/*", "*.pyc", ".DS_Store")  # what nbgrader leaves out as well


@dataclass(frozen=True)
class ChangedCell:
    """A cell that differs from the one that was released. what: added, removed or changed; where: as a person finds
    it in the release.
    """

    what: str
    name: str
    where: str


@dataclass(frozen=True)
class Release:
    """status: released, unchanged, or replaced, where another release was there. kept: where that one is now.

    version: of what was released; graded_with: the version that grades, another one where scores of it stand.
    """

    module: str
    status: str
    folder: Path
    points: float
    withheld: float
    written: float
    files: tuple
    changes: tuple = ()
    kept: Path | None = None
    warnings: tuple = ()
    version: str = ""
    graded_with: str = ""


def release(project, catalog, modules, *, force=False):
    """Release `modules`; returns a Release for each. force: also where students may have another version already.

    Nothing is changed where any of them is refused. Raises ProjectError with the file, the cell and the line for
    metadata or markers that are not in order, an answer that would be handed out, a file that does not belong there,
    and a release that would change.
    """
    course = require_course(project)
    course.prepare()
    with course.locked("tito grade release"), course.drafts("release") as draft:
        sources = [_checked_source(project, catalog, module) for module in modules]
        for module, source in zip(modules, sources, strict=True):
            _require_known_files(course, module)
            _build(course, draft, module, source)
        _require_no_leaks(project, catalog, draft / "release")
        plans = [_plan(course, draft, module, force) for module in modules]
        with changing("run it again: a release may be in place that the gradebook does not know"):
            return tuple(
                _put(course, catalog, draft, module, plan, force) for module, plan in zip(modules, plans, strict=True)
            )


# Building.


def _checked_source(project, catalog, module):
    source = notebooks.load(project, module.percent)
    problems = rules.check(source, module, catalog)
    if problems:
        places = "\n".join(f"{problem.where}: {problem.message}" for problem in problems[:10])
        more = f"\nand {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ProjectError(
            f"{module.name} was not released: its source is not in order\n{places}{more}",
            f"fix it, then: tito grade release {module.name}",
            code="source",
        )
    as_released(project, source.node)
    strip(source.node, source)  # for its messages: they name cell and line
    return source


def _own_files(course, module):
    """What an instructor put beside the notebook, as paths in the folder."""
    folder = course.source / module.name
    paths = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    ours = module.notebook.name
    return [path for path in paths if path != ours and not _matches(path, LEFT_OUT)]


def _matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, one) or fnmatch.fnmatchcase(path, f"*/{one}") for one in patterns)


def _require_known_files(course, module):
    """nbgrader hands out every file of the folder: only what is meant for students may lie in it."""
    folder = course.source / module.name
    for path in _own_files(course, module):
        known = any(fnmatch.fnmatchcase(path, one) for one in KEPT) and not _matches(path, NEVER_KEPT)
        if not known or (folder / path).is_symlink():
            raise ProjectError(
                f"{module.name} was not released: {course.label(folder / path)} would be handed out with it",
                f"move it elsewhere; {', '.join(KEPT)} are handed out, but no programs and no other notebooks",
                code="stray-file",
            )


def _build(course, draft, module, source):
    """Put source/<module> and, through nbgrader, release/<module> into the folder `draft`."""
    target = draft / "source" / module.name
    notebooks.write(source.node, target / module.notebook.name)
    for path in _own_files(course, module):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(course.source / module.name / path, target / path)
    _generate(course, draft, module, f"sqlite:///{draft / 'draft.db'}", save=False)
    notebook = draft / "release" / module.name / module.notebook.name
    notebooks.write(notebooks.load(course.project, notebook).node, notebook)


def _generate(course, root, module, database, *, save):
    """Run nbgrader's generate_assignment in `root`, with the stub that names its cell. save: tell the database."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import ClearSolutions, SaveCells

    config = course.config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = database
    config.CourseDirectory.assignment_id = module.name
    steps = [
        solution_clearer() if step is ClearSolutions else step for step in GenerateAssignment.preprocessors.default()
    ]
    config.GenerateAssignment.preprocessors = [step for step in steps if save or step is not SaveCells]
    config.GenerateAssignment.no_database = not save
    log = NbgraderLog()
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config, log=log), config=config, log=log)
    converter.force = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy's about nbgrader's way of using it
            converter.start()
    except NbGraderException as error:
        message = f"nbgrader does not release {module.name}: {log.reason() or error}"
        raise ProjectError(message, "tito doctor", code="nbgrader") from error


def _require_no_leaks(project, catalog, folder):
    found = leaks.scan(folder, leaks.secrets(project, catalog))
    if found:
        places = "\n".join(
            f"release/{leak.path}:{leak.line}: {leak.statement}   (from {leak.origin})" for leak in found[:5]
        )
        more = f"\nand {len(found) - 5} more" if len(found) > 5 else ""
        raise ProjectError(
            f"nothing was released: it would hand out answers\n{places}{more}",
            "take the answer out of the file, or out of the provided cell",
            code="leak",
        )


# Against what is there.


def _plan(course, draft, module, force):
    """What is to be done about `module`, as a Release. Raises ProjectError where it must not, or not yet, be done."""
    built = draft / "release" / module.name
    node = notebooks.load(course.project, built / module.notebook.name).node
    source = notebooks.load(course.project, draft / "source" / module.name / module.notebook.name).node
    tests = [cell for cell in source.cells if notebooks.is_test(cell)]
    withheld = [cell for cell in node.cells if notebooks.is_withheld(cell)]
    plan = Release(
        module=module.name,
        status="released",
        folder=course.release / module.name,
        points=sum(map(notebooks.points, tests)),
        withheld=sum(map(notebooks.points, withheld)),
        written=sum(notebooks.points(cell) for cell in source.cells if notebooks.is_written(cell)),
        files=tuple(_files(built)),
    )
    require_same_cells(course, module, source, "was not released")
    Versions(course, module).require_settled()
    if not plan.folder.exists():
        return plan
    changes = _changes(course, plan.folder, built, module)
    if not changes:
        return replace(plan, status="unchanged")
    if not force:
        lines = "\n".join(f"{change.where}: {change.what}" for change in changes[:20])
        more = f"\nand {len(changes) - 20} more" if len(changes) > 20 else ""
        raise ProjectError(
            f"{module.name} is released already, and students may have it; it would change\n{lines}{more}",
            f"tito grade release {module.name} --force   (keeps a backup of the old one)",
            code="released",
            data={"changes": changes},
        )
    return replace(plan, status="replaced", changes=tuple(changes))


def _files(folder):
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir()]


def require_same_cells(course, module, source, refused):
    """nbgrader can neither add nor remove cells once a submission is recorded, so it is not even tried.

    source: the notebook that is to come; refused: what is not done then, in words.
    """
    from nbgrader.api import MissingEntry

    if not course.database.exists():
        return
    with course.open_gradebook() as book:
        try:
            notebook = book.find_notebook(module.notebook.stem, module.name)
        except MissingEntry:
            return
        count = len(notebook.submissions)
        old = {cell.name for cell in notebook.source_cells}
    new = {notebooks.grade_id(cell) for cell in source.cells if notebooks.grade_id(cell)}
    if count and old != new:
        both = (("adds", new - old), ("removes", old - new))
        parts = [f"{word} {', '.join(sorted(names))}" for word, names in both if names]
        raise ProjectError(
            f"{module.name} {refused}: it {' and '.join(parts)}, and the gradebook holds {count} "
            f"submission{'s' if count > 1 else ''} of it, after which nbgrader can neither add nor remove graded cells",
            "keep the cells as they were; or give what is new a module of its own",
            code="has-submissions",
        )


def _changes(course, old, new, module):
    """What differs between two release folders: cells of the notebook, and files."""
    before, after = ({name: (folder / name).read_bytes() for name in _files(folder)} for folder in (old, new))
    found = []
    for name in sorted({*before, *after}):
        if before.get(name) == after.get(name):
            continue
        place = course.label(old / name)
        if name == module.notebook.name and name in before:
            found += _cell_changes(course, old / name, new / name)
            continue
        what = "removed" if name not in after else "added" if name not in before else "changed"
        found.append(ChangedCell(what, name, place))
    return found


def _cell_changes(course, old, new):
    """The cells that differ. A notebook that differs in nothing but its layout counts as one change."""
    label = course.label(old)
    try:
        before = notebooks.load(course.project, old).node.cells
    except TitoError as error:
        return [ChangedCell("changed", old.name, error.message)]
    after = notebooks.load(course.project, new).node.cells
    old_cells, new_cells = ({cell.id: cell for cell in cells} for cells in (before, after))
    found = [
        ChangedCell("changed" if cell.id in old_cells else "added", cell.id, f"{label}, cell {number} ({_name(cell)})")
        for number, cell in enumerate(after, 1)
        if cell != old_cells.get(cell.id)
    ]
    found += [
        ChangedCell("removed", cell.id, f"{label}, cell {number} ({_name(cell)})")
        for number, cell in enumerate(before, 1)
        if cell.id not in new_cells
    ]
    return found or [ChangedCell("changed", old.name, f"{label} (its layout or metadata)")]


def _name(cell):
    return notebooks.grade_id(cell) or cell.source.strip().partition("\n")[0][:40] or cell.cell_type


# Putting it in place.


def _put(course, catalog, draft, module, plan, force):
    record = course.read_record(RECORD)
    with course.open_gradebook():
        pass
    built = draft / "source" / module.name / module.notebook.name
    pinned = _pin(course, catalog, draft, module, built.read_bytes(), force)
    edited = _keep_edited_source(course, module, built, record.get(module.name, {}))
    plan = replace(plan, warnings=edited + pinned.warnings, version=pinned.released, graded_with=pinned.grades)
    target = course.source / module.name / module.notebook.name
    target.parent.mkdir(parents=True, exist_ok=True)
    built.replace(target)
    if plan.status != "unchanged":
        if plan.folder.exists():
            plan = replace(plan, kept=_keep(course, plan.folder))
        course.release.mkdir(exist_ok=True)
        (draft / "release" / module.name).replace(plan.folder)
    known = record.get(module.name, {})
    record[module.name] = {
        "source": digest(target.read_bytes()),
        "released_at": known["released_at"] if plan.status == "unchanged" and known else _now(),
        "course_version": course.project.version,
    }
    course.write_record(RECORD, record)
    return plan


@dataclass(frozen=True)
class _Pinned:
    """Names of the version that was released and of the one that grades."""

    released: str
    grades: str
    warnings: tuple = ()


def _pin(course, catalog, draft, module, source, force):
    """Keep what was released, and let the class be graded with it, unless scores of another version stand."""
    versions = Versions(course, module)
    contents = course_now(course.project, catalog, module, source)
    version, before = versions.named(contents), versions.pinned
    published = bool(history.published(course, module))
    scored = any(records.records_folder(course, module).glob("*.json"))
    stays = before is not None and before.fingerprint != version.fingerprint and (published or (scored and not force))
    if stays:
        versions.keep(version, contents)
        return _Pinned(version.name, before.name, (_stays(module, before, version, published),))
    # a second time, for the gradebook: into a folder of its own, so that what was searched is what is put in place
    record_cells(course, draft / "recording", module, source)
    versions.keep(version, contents)
    versions.pin(version)
    if before is None or before.fingerprint != version.fingerprint:
        history.add(course, module, "released", version.name)
    return _Pinned(version.name, version.name)


def _stays(module, before, version, published):
    """Why the version `before` goes on grading, and what to do about it."""
    what = "published" if published else "recorded"
    if published:
        more = f"what another version would change: tito grade regrade {module.name} --to {version.name}"
    else:
        more = f"to score them with {version.name}: tito grade release {module.name} --force"
    one, other = before.name, version.name
    return f"{module.name} is graded with {one} and not with {other}: scores of {one} are {what}; {more}"


def record_cells(course, folder, module, source):
    """Tell the gradebook the graded cells and points of a notebook in bytes. folder: a new one, to do it in."""
    atomic_write(folder / "source" / module.name / module.notebook.name, source)
    _generate(course, folder, module, course.database.url, save=True)


def _keep_edited_source(course, module, built, record):
    """The percent source is the authority; a notebook in source/ that somebody edited is kept. Returns warnings."""
    path = course.source / module.name / module.notebook.name
    if not path.is_file() or digest(path.read_bytes()) in (record.get("source"), digest(built.read_bytes())):
        return ()
    kept = backup(path, course.state / "backups")
    return (
        f"{course.label(path)} was edited by hand, but it is made from {course.label(module.percent)}; "
        f"the edited one is {course.label(kept)}",
    )


def _keep(course, folder):
    """Move a release away, under the time."""
    kept = course.state / "backups" / f"{_now().replace(':', '-')}_release_{folder.name}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    while kept.exists():
        kept = kept.with_name(f"{kept.name}_")
    folder.replace(kept)
    return kept


def _now():
    return datetime.now().astimezone().isoformat(timespec="seconds")
