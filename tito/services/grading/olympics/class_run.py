"""A class's submissions, measured one after the other in sandboxes, with the instructor's secret seed.

What was measured is kept under a key of all that it depends on, so only what changed is measured again.
"""

from dataclasses import dataclass

from tito.errors import ProjectError, changing
from tito.services import views
from tito.services.files import digest
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.received import Received, submitted_notebook
from tito.services.grading.olympics import hidden, results
from tito.services.grading.olympics.measure import HandedIn, Measured, division_named, measure, no_division
from tito.services.grading.olympics.rules import FILE, read_rules
from tito.services.grading.sandbox.find import find

VERSION = 1  # of how it is measured: another one measures everybody anew


@dataclass(frozen=True)
class MeasuredRow:
    """A student's result, None where the file is missing. fresh: it was measured in this run."""

    student: str
    result: results.KeptResult | None
    fresh: bool = False


@dataclass(frozen=True)
class ClassOlympics:
    """artifact: the name of the file that each student hands in."""

    module: str
    artifact: str
    rows: tuple
    isolation: str

    @property
    def missing(self):
        return tuple(row.student for row in self.rows if row.result is None)


def measure_class(project, catalog, module, *, students=(), force=False, on_done=None):
    """Measure what was submitted for `module` beside its notebooks; a ClassOlympics with a row for each notebook.

    on_done(done, total): called first and after each. Raises ProjectError where nothing can be measured.
    """
    course = require_course(project)
    rules, settings = read_rules(project), hidden.class_settings(course)
    with course.locked(f"tito grade autograde {module.name}"), views.folder(project) as folder:
        views.fill(folder / "package", project, catalog.prerequisites(module))
        run = _ClassRun(project, module, course, rules, settings, folder / "package", force)
        wanted = Received(course, module).students(students)
        handed = [student for student in wanted if submitted_notebook(course, module, student)]
        rows = []
        on_done and on_done(0, len(handed))
        with changing("what was measured is kept; run it again to go on with the others"):
            for student in handed:
                rows.append(run.row(student))
                on_done and on_done(len(rows), len(handed))
    return ClassOlympics(module.name, module.artifact, tuple(rows), run.sandbox.kind)


def results_folder(course, module):
    return course.state / "olympics" / module.name


def seal_key(course):
    return results.seal_key(course.state / "olympics.key")


class _ClassRun:
    def __init__(self, project, module, course, rules, settings, package, force):
        self.project, self.module, self.course = project, module, course
        self.rules, self.settings, self.package, self.force = rules, settings, package, force
        self.sandbox = find(project, allow_none=True)
        self.seal_key = seal_key(course)
        self.package_key = _digest_of(package)

    def row(self, student):
        notebook = submitted_notebook(self.course, self.module, student)
        path = self.course.submission(student, self.module) / self.module.artifact
        kept = results_folder(self.course, self.module) / f"{student}.json"
        if not path.is_file() or path.is_symlink() or notebook.is_symlink():
            kept.unlink(missing_ok=True)  # of a file that does not count any more
            return MeasuredRow(student, None)
        with path.open("rb") as file:
            data = file.read(self.rules.MOST_FILE_BYTES + 1)
        code = notebook.read_bytes()
        key = self._key(data, code)
        if not self.force and (known := self._known(kept, key)):
            return MeasuredRow(student, known)
        result = results.new_result(student, self._measured(data, code), key)
        results.write(kept, result, self.seal_key)
        return MeasuredRow(student, result, fresh=True)

    def _key(self, data, code):
        parts = (digest(data), digest(code), self.settings.key, self.package_key, self.sandbox.kind, VERSION)
        return digest("\n".join(map(str, parts)).encode())

    def _known(self, path, key):
        try:
            found = results.read(path, self.seal_key)
        except ValueError:
            return None
        return found if found.key == key and found.measured.status != "not measured" else None

    def _measured(self, data, code):
        rules = self.rules
        known = {"bytes": len(data), "submission": digest(data)}
        known |= {"official": self.sandbox.kind != "none", "isolation": self.sandbox.kind}
        try:
            submission = rules.parse_submission(data, self.module.artifact)
        except ValueError as error:
            return Measured("", "disqualified", str(error), **known)
        name = division_named(rules, submission)
        if not name:
            return Measured("", "disqualified", f"its manifest {no_division(rules, submission)}", **known)
        division = rules.DIVISIONS[name]
        try:
            track = hidden.open_track(self.project, rules, division, self.settings, in_class=True)
        except ProjectError as error:
            if error.code != "no-text":
                raise
            return Measured(name, "not measured", f"{error.message}: {error.hint}", **known)
        handed = HandedIn(data, self.package, self.module.short, code)
        return measure(rules, division, handed, track, self.sandbox, official=True)


def _digest_of(package):
    """Of all that a submission is measured with and imports, the rules among it."""
    files = sorted(path for path in package.rglob("*.py"))
    assert any(path.name == FILE for path in files)
    return digest("\n".join(f"{path.relative_to(package)} {digest(path.read_bytes())}" for path in files).encode())
