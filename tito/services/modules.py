"""A student's way through the modules: where they stand, start, complete, reset.

Where a module stands is derived from the files each time it is asked, never from memory of earlier commands.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from tito.errors import ProjectError, TitoError, UsageError, WorkError, changing
from tito.services import export, notebooks, pristine, runner, testing, words
from tito.services.files import atomic_write, backup, digest
from tito.services.help_used import HelpUsed, read_help
from tito.services.progress import Record, read_progress, write_progress


@dataclass(frozen=True)
class ModuleState:
    """Where one module stands.

    state: complete; stale, where its notebook changed after it was completed; broken, where its tests fail since
    something below it was replaced; adopted, where the course's own file stands in for it; edited, where its file in
    the package is not the one that was put there; started; ready; or locked, where `missing` names the modules to
    complete first. detail: the reason, for a person. empty: the answers in words that say nothing yet, of a module
    that was started. helped: the help that was taken.
    usable: whether other modules can build on what is in the package; a stale module's tested export still is.
    """

    module: str
    title: str
    state: str
    detail: str = ""
    missing: tuple = ()
    record: Record | None = None
    usable: bool = False
    empty: tuple = ()
    helped: HelpUsed = HelpUsed()

    @property
    def completion(self):
        """The record of the student's own completion, None where there is none; an adopted module is not completed."""
        return None if self.record is None or self.record.adopted else self.record


@dataclass(frozen=True)
class Status:
    standings: tuple
    next: str | None
    warnings: tuple

    @property
    def done(self):
        return sum(standing.state == "complete" for standing in self.standings)


@dataclass(frozen=True)
class Started:
    """A notebook to work on. untouched: byte for byte what was handed out, so that nobody has saved it yet."""

    module: str
    path: Path
    created: bool
    untouched: bool = True


@dataclass(frozen=True)
class Reset:
    module: str
    path: Path
    backup: Path | None
    answer: str | None = None  # the only cell that was put back


@dataclass(frozen=True)
class BrokenModule:
    module: str
    message: str


@dataclass(frozen=True)
class Completion:
    """A completed module. replaced: the files of the package that changed; kept: copies of what they were before;
    rechecked: the completed modules that depend on it; broken: those whose tests now fail.
    """

    report: runner.Report
    tests: testing.TestRun
    replaced: tuple
    kept: tuple
    rechecked: tuple
    broken: tuple
    next: str | None
    warnings: tuple


def status(project, catalog):
    records, warning = read_progress(project)
    standings = _standings(project, catalog, catalog, records)
    helped = read_help(project)
    shown = tuple(
        replace(one, empty=_empty(project, catalog[one.module], one), helped=helped.get(one.module, HelpUsed()))
        for one in standings.values()
    )
    return Status(shown, _next(standings), (warning,) if warning else ())


def _empty(project, module, standing):
    """The answers in words that say nothing yet, of a module that somebody has worked on."""
    handed_out, _ = pristine.read_pristine(project, module)
    if handed_out is None or standing.state == "ready" or not module.notebook.exists():
        return ()
    try:
        node = pristine.load_source(project, module).node
    except WorkError:
        return ()
    return () if _texts(node) == _texts(handed_out) else notebooks.empty_answers(node, handed_out)


def _next(standings):
    """The first module of the path that can and should be worked on, one's own before an adopted one; or None."""
    left = [one for one in standings.values() if one.state not in ("complete", "locked")]
    left.sort(key=lambda one: one.state == "adopted")
    return left[0].module if left else None


def standing(project, catalog, module):
    """The ModuleState of `module`."""
    records, _ = read_progress(project)
    return _standings(project, catalog, [module], records)[module.name]


def _standings(project, catalog, wanted, records):
    """{name: ModuleState} of the modules `wanted` and all that they need, in the order of the course."""
    needed = {module.name for module in wanted}
    needed.update(below.name for module in wanted for below in catalog.prerequisites(module))
    modules = [module for module in catalog if module.name in needed]
    examine = _examine_reference if project.is_course else _examine_work
    found = {module.name: examine(project, catalog, module, records.get(module.name)) for module in modules}
    return {module.name: _locked(catalog, module, found) or found[module.name] for module in modules}


def _locked(catalog, module, found):
    """`module` as locked where it was never completed and something that it needs is not there, else None."""
    standing = found[module.name]
    missing = tuple(below.name for below in catalog.prerequisites(module) if not found[below.name].usable)
    if standing.state not in ("ready", "started") or not missing:
        return None
    return replace(standing, state="locked", detail=f"needs {words.modules(missing)}", missing=missing)


def _examine_reference(project, catalog, module, record):
    """In the course repository what counts is whether the committed file is what the source exports."""
    standing = partial(ModuleState, module.name, module.title, record=record)
    try:
        differences = [one for one in export.check(project, catalog, [module]) if one.module == module]
    except WorkError as error:
        return standing("stale", error.message)
    if record and record.broken:
        return standing("broken", record.broken)
    if differences:
        return standing("ready" if differences[0].kind == "missing" else "stale", differences[0].message)
    return standing("complete", usable=True)


def _examine_work(project, catalog, module, record):
    """In a workspace what counts is what was recorded when the module was completed, as far as it is still true."""
    standing = partial(ModuleState, module.name, module.title, record=record)
    if record is None:
        return standing(*_unrecorded(project, module))
    core = project.core / module.core_file
    if not core.is_file():
        return standing("edited", f"{project.relative(core)} was deleted")
    if _file_digest(core) != record.export_digest:
        return standing("edited", f"{project.relative(core)} is not the file that was completed")
    if record.broken:
        return standing("broken", record.broken)
    if record.adopted:
        return standing("adopted", f"the course's own, of version {record.adopted}", usable=True)
    change = _change(project, module, record) or record.outdated
    return standing("stale" if change else "complete", change, usable=True)


def _change(project, module, record):
    """How the notebook differs from the one that was completed, "" where what it exports is the same."""
    try:
        source = pristine.load_source(project, module)
    except WorkError as error:
        return error.message
    return "" if _source_digest(source) == record.source_digest else "the notebook changed since it was completed"


def _unrecorded(project, module):
    """(state, detail) of a module that was never completed: started where its notebook differs from its stub."""
    if not module.notebook.exists():
        return "ready", "not started"
    try:
        source = notebooks.load(project, module.notebook)
    except WorkError as error:
        return "started", error.message
    stub, warning = pristine.read_pristine(project, module)
    if stub is not None and _texts(stub) == _texts(source.node):
        return "ready", "not started"
    return "started", warning


def _texts(node):
    return [(cell.cell_type, cell.source) for cell in node.cells]


def _source_digest(source):
    """Changes exactly when what is exported changes: running cells and editing notes leave it as it is."""
    exported = [cell.source.rstrip() for cell in source.node.cells if notebooks.is_exported(cell)]
    return digest("\0".join(exported).encode("utf-8"))


def require_prerequisites(project, catalog, module):
    """Raise WorkError naming what `module` needs and is not complete. Returns warnings about what changed since."""
    below = catalog.prerequisites(module)
    records, warning = read_progress(project)
    standings = _standings(project, catalog, below, records)
    missing = [standing for standing in standings.values() if not standing.usable]
    if missing:
        first, verb = missing[0], "are" if len(missing) > 1 else "is"
        names = ", ".join(_with_reason(standing) for standing in missing)
        raise WorkError(
            f"{module.name} needs {names}, which {verb} not complete",
            f"tito module complete {first.module}{_or_adopt(catalog, missing)}",
            code="prerequisites",
        )
    stale = [one.module for one in standings.values() if one.state == "stale"]
    warnings = [f"{name} changed since it was completed; {module.name} uses the completed version" for name in stale]
    adopted = [one.module for one in standings.values() if one.state == "adopted"]
    if adopted:
        are = "are" if len(adopted) > 1 else "is"
        warnings.append(f"{', '.join(adopted)} {are} the course's own, adopted; {module.name} builds on that")
    return ([warning] if warning else []) + warnings


def _or_adopt(catalog, missing):
    """How to go on without the modules in `missing`, for a hint: those are adopted that no other one adopts."""
    found = [catalog.find(one.module) for one in missing]
    last = [one for one in found if not any(one in catalog.prerequisites(other) for other in found)]
    commands = ", ".join(f"tito module adopt {one.name} --course FOLDER --with-needs" for one in last)
    return f"   (or, to begin here with the course's own from a clone: {commands})"


def _with_reason(standing):
    surprising = standing.state in ("stale", "broken", "edited")
    return f"{standing.module} ({standing.state}: {standing.detail})" if surprising else standing.module


def require_built(project, catalog, module):
    """Raise WorkError where the package lacks a module that the notebook of `module` imports from."""
    missing = [one.name for one in catalog.prerequisites(module) if not (project.core / one.core_file).is_file()]
    if missing:
        raise WorkError(
            f"{module.name} needs {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not in the package",
            f"tito module complete {missing[0]}",
            code="prerequisites",
        )


def start(project, catalog, module):
    """Make sure that what `module` needs is complete and that its notebook is there; an existing one stays as it is."""
    require_prerequisites(project, catalog, module)
    path = module.source(project)
    if path.exists():
        return Started(module.name, path, created=False, untouched=_is_untouched(project, module))
    if project.is_course:
        raise ProjectError(f"{project.relative(path)} is missing", "git restore " + project.relative(path))
    with changing(f"{project.relative(path)} may have been made"):
        atomic_write(path, pristine.stub_bytes(project, module))
    return Started(module.name, path, created=True)


def _is_untouched(project, module):
    if project.is_course:
        return False
    stub = pristine.stub_path(project, module)
    return stub.is_file() and stub.read_bytes() == module.notebook.read_bytes()


def reset(project, catalog, module, answer=None):
    """Put the stub of `module` in place of its notebook, of which a dated copy is kept; of the cell `answer` alone
    where that is given. Raises UsageError in the course repository and for a cell that is no answer.
    """
    if project.is_course:
        path = project.relative(module.percent)
        raise UsageError(f"in the course repository git keeps the versions of {path}", f"git restore {path}")
    stub = pristine.stub_bytes(project, module)
    if answer is not None:
        stub = _with_stub_of(project, module, stub, answer)
    kept = None
    with changing(f"see {project.relative(module.notebook)} and {project.relative(_backups(project))}"):
        if module.notebook.exists():
            kept = backup(module.notebook, _backups(project))
        atomic_write(module.notebook, stub)
    return Reset(module.name, module.notebook, kept, answer)


def _with_stub_of(project, module, stub, answer):
    """The notebook as it is, as bytes, but for the cell `answer`, which is as in `stub`; where it is gone it is put
    before the cell that followed it.
    """
    from nbformat import from_dict

    handed_out = from_dict(json.loads(stub)).cells
    answers = [notebooks.grade_id(cell) for cell in handed_out if notebooks.is_solution(cell)]
    if answer not in answers:
        hint = f"name one of: {', '.join(answers)}"
        raise UsageError(f"{answer!r} is no answer of {module.name}", hint, code="no-answer")
    notebooks.load(project, module.notebook)  # which says what is wrong with a file that is no notebook
    document = from_dict(json.loads(module.notebook.read_bytes()))
    cells = document.cells
    place = next(number for number, cell in enumerate(handed_out) if notebooks.grade_id(cell) == answer)
    own = [number for number, cell in enumerate(cells) if notebooks.grade_id(cell) == answer]
    if own:
        cells[own[0]] = {**handed_out[place], "id": cells[own[0]].get("id", handed_out[place]["id"])}
    else:
        below = {_key(cell) for cell in handed_out[place + 1 :]}
        at = next((number for number, cell in enumerate(cells) if _key(cell) in below), len(cells))
        cells.insert(at, handed_out[place])
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _key(cell):
    return notebooks.grade_id(cell) or cell.get("id")


def _backups(project):
    return project.state / "backups"


def complete(project, catalog, module, *, on_cell=None, on_report=None, cell_seconds=20, total_seconds=600):
    """Test the notebook of `module`, put what it exports into the package, and recheck what depends on it.

    on_cell(done, total, title): called before each cell, and before each of the steps after them. on_report(report):
    called once the notebook has run. Whatever fails before the file is in place raises and leaves package and progress
    as they were.
    """
    warnings = require_prerequisites(project, catalog, module)
    before = _file_digest(module.source(project))
    report = runner.run(
        project, catalog, module, on_cell=on_cell, cell_seconds=cell_seconds, total_seconds=total_seconds
    )
    if on_report:
        on_report(report)
    require_passed(report)
    say = on_cell or (lambda done, total, title: None)
    say(0, None, f"importing what {module.name} exports")
    with export.stage(project, catalog, [module]) as stage:
        say(0, None, f"running {module.tests.name}")
        tests = testing.run_tests(project, catalog, [module], folder=stage.folder)
        _require_tests(project, module, tests)
        source_digest = _source_digest(pristine.load_source(project, module))
        if _file_digest(module.source(project)) != before:
            raise WorkError(
                f"{report.source} was saved again while it was being tested",
                f"tito module complete {module.name}",
                code="changed",
            )
        with changing(f"{project.relative(project.core / module.core_file)} may have been replaced"):
            older = set(_backups(project).glob("*"))
            replaced = stage.commit()
            kept = set(_backups(project).glob("*")) - older
            records, warning = read_progress(project)
            records[module.name] = _record(project, module, report, source_digest)
            write_progress(project, records)
    with changing(f"{module.name} is complete, but what depends on it was not rechecked"):
        rechecked, broken = recheck(project, catalog, module, records, say)
    return Completion(
        report=report,
        tests=tests,
        replaced=tuple(replaced),
        kept=tuple(sorted(kept)),
        rechecked=tuple(rechecked),
        broken=tuple(broken),
        next=status(project, catalog).next,
        warnings=tuple(warnings + ([warning] if warning else [])),
    )


def require_passed(report):
    """Raise WorkError where not every graded cell of `report` that is worth points passed."""
    failed = [cell for cell in report.cells if cell.stands_in_the_way]
    if failed:
        failed.sort(key=lambda cell: cell.status == "blocked")  # what can be fixed now comes first
        names = ", ".join(cell.grade_id for cell in failed[:3]) + (", …" if len(failed) > 3 else "")
        raise WorkError(
            f"{len(failed)} of {len(report.cells)} graded cells of {report.module} did not pass: {names}",
            f"fix the notebook, save it, then: tito module test {report.module}",
            code="failed",
        )
    if not report.passed:
        raise WorkError(f"cells without points stopped: {report.stopped[0]}", "fix them", code="stopped")


def _require_tests(project, module, tests):
    if tests.ok:
        return
    path, hint = project.relative(module.tests), f"tito module complete {module.name}"
    if not tests.failures:
        raise WorkError(f"{path} could not be run: {tests.problem}", hint, code="tests-failed")
    first = tests.failures[0]
    raise WorkError(
        f"{tests.failed} of {tests.failed + tests.passed} tests in {path} fail with what {module.name} exports.\n"
        f"{first.in_words()}\n"
        f"You may read {path}: {first.name} says what it tests.",
        f"fix the notebook, save it, and try this one test: tito test {module.number:02} --notebook -k {first.name}",
        code="tests-failed",
    )


def _record(project, module, report, source_digest):
    return Record(
        completed_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        points=report.points,
        max_points=report.max_points,
        source_digest=source_digest,
        export_digest=_file_digest(project.core / module.core_file),
    )


def recheck(project, catalog, module, records, say):
    """Run the tests of the completed modules that depend on `module`, one after the other, and record what broke.

    Returns their names and a Broken for each that fails. say(done, total, title): called before each. In the course
    repository a module that is built counts as completed; only a recorded one can be marked.
    """
    rechecked, broken = [], []
    for dependant in catalog.dependants(module):
        record = records.get(dependant.name)
        built = (project.core / dependant.core_file).is_file()
        if not built or not (record or project.is_course):
            continue
        rechecked.append(dependant.name)
        say(0, None, f"testing {dependant.name} again")
        message = _first_failure(project, catalog, dependant)
        if message:
            broken.append(BrokenModule(dependant.name, message))
        if record and record.broken != message:
            records[dependant.name] = replace(record, broken=message)
            write_progress(project, records)
    return rechecked, broken


def test_again(project, catalog, module):
    """Run the tests of the completed `module`, record the first failure and return it, "" for none."""
    message = _first_failure(project, catalog, module)
    records, _ = read_progress(project)
    records[module.name] = replace(records[module.name], broken=message)
    write_progress(project, records)
    return message


def _first_failure(project, catalog, module):
    """What is wrong with `module` in the package, "" for nothing. That it could not be tested is wrong as well."""
    try:
        return testing.run_tests(project, catalog, [module]).first_failure
    except TitoError as error:
        return error.message


def _file_digest(path):
    return digest(path.read_bytes()) if path.is_file() else ""
