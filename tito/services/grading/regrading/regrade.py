"""`tito grade regrade`: scores what was submitted once more, shows what that would change, and writes it when told to.

What is scored lies in .tito/regrade/ of the project until it is written, so that an interrupted run goes on, and what
is written is what was shown. The course folder changes with `apply` only: first it is noted what is to be written,
then each student's score is, then the version is pinned; whoever comes before the end is told to go on with it.
"""

import os
import threading
from dataclasses import asdict, dataclass, replace

from tito.errors import Interrupted, ProjectError, TitoError, UsageError, WorkError
from tito.services import notebooks, views
from tito.services.files import digest, remove_tree
from tito.services.grading.book import gradebook, history, records, versions
from tito.services.grading.book.course import require_course
from tito.services.grading.book.results import counted
from tito.services.grading.intake.received import submitted_notebook
from tito.services.grading.regrading.beside import ScoreDifference, lay
from tito.services.grading.release import record_cells, require_same_cells
from tito.services.grading.scoring import executors, keys, recorder
from tito.services.grading.scoring.autograde import interruptible, require_sandbox
from tito.services.grading.scoring.scorer import Task


@dataclass(frozen=True)
class RegradeOptions:
    """to: the name of a version, the course as it is now where empty. apply: write; also_lower: also where published
    points become fewer. force: also score again what an earlier call did. jobs, no_sandbox, cell_seconds: as of an
    autograde.
    """

    to: str = ""
    apply: bool = False
    also_lower: bool = False
    force: bool = False
    jobs: int | None = None
    no_sandbox: bool = False
    cell_seconds: float = 30


@dataclass(frozen=True)
class Regraded:
    """What a regrade shows. before, after: names of the versions; changed: what differs between them, in words.

    students: how many have a second score; published: to how many something was published; differences:
    beside.ScoreDifference, by student; by_person: {student: tests in which a person's points stay}; skipped: students
    whose present file has no score yet. applied: whether it was written; kept: where the gradebook of before is then,
    None where it is a server's. ran: how many were scored now; isolation: by what.
    """

    module: str
    before: str
    after: str
    changed: tuple
    students: int
    published: int
    differences: tuple
    by_person: dict
    skipped: tuple
    applied: bool = False
    kept: str | None = None
    ran: int = 0
    isolation: str = ""


def regrade(project, catalog, module, options=None, *, on_done=None, executor=None):
    """Score the submissions of `module` that have a score again, and return Regraded; nothing of the course folder
    changes unless options.apply. on_done(done, total): after each submission. executor: where they run.

    Raises ProjectError where nothing was published or kept, UsageError for a version that is not known and for one that
    is gone over to without being named, WorkError where a submission could not be scored or published points cannot be
    kept; Interrupted after Ctrl-C, with what is done kept.
    """
    course, options = require_course(project), options or RegradeOptions()
    gradebook.require_assignment(course, module)
    with course.locked(f"tito grade regrade {module.name}"):
        run = _Regrade(project, catalog, module, options, course, executor or executors.Threads(), on_done)
        return run.go_on() if run.versions.unfinished else run.begin()


class _Regrade:
    """One call. before, after: the versions; changed: what differs between them; contents: of the second.

    class_key: of the second, made before threads run: Python 3.11 cannot parse in two at once.
    """

    def __init__(self, project, catalog, module, options, course, executor, on_done):
        self.project, self.catalog, self.module, self.options = project, catalog, module, options
        self.course, self.executor, self.on_done = course, executor, on_done
        self.versions = versions.Versions(course, module)
        self.before = self.versions.pinned
        self.told = history.published(course, module)
        self.also_lower = options.also_lower
        self.cancel = threading.Event()
        self.ran, self.isolation = 0, ""

    def begin(self):
        name = self.module.name
        if not self.told:
            raise ProjectError(
                f"nothing of {name} was published, so that nothing is regraded",
                f"the course as it is now grades after tito grade release {name} --force; then: tito grade autograde",
                code="not-published",
            )
        if self.before is None:
            hint = f"tito grade release {name}"
            raise ProjectError(f"no version is kept of what {name} is graded with", hint, code="not-pinned")
        self._find_version()
        self.class_key = keys.version_key(self.after)
        scored, skipped = self._scored_now()
        with views.folder(self.project) as folder:
            made = self._put(folder)
            self._score(list(scored), made)
            grades = self._grades()
            laid = {who: self._beside(who, record, record.recorded, grades) for who, record in scored.items()}
            found = self._regraded(laid, skipped)
            if not self.options.apply:
                return found
            self._require_possible(laid)
            self._note(found, scored)
            return self._write(made)

    def go_on(self):
        """Go on with what was interrupted while it was written."""
        self.after = self.versions.kept[self.versions.unfinished["to"]]
        asked = self.versions.find(self.options.to) if self.options.to else self.after
        if not self.options.apply or asked != self.after:
            self.versions.require_settled()
        self.contents, self.also_lower = self.versions.contents(self.after), self.versions.unfinished["also_lower"]
        self.changed, self.class_key = self._changes(), keys.version_key(self.after)
        with views.folder(self.project) as folder:
            made = self._put(folder)
            self._score(list(self.versions.unfinished["students"]), made)
            return self._write(made)

    # The versions.

    def _find_version(self):
        name, text, before = self.module.name, self.options.to, self.before
        try:
            now = versions.course_now(self.project, self.catalog, self.module)
        except TitoError:
            if not text:
                raise
            now = None  # the course cannot be read, but a version that is kept can
        current = self.versions.named(now) if now else None
        self.after = self.versions.find(text, current) if text else current
        if self.options.apply and not text and self.after != before:
            raise UsageError(
                f"{name} was released as {before.name}, and the course is {self.after.name} now: say which one grades",
                f"tito grade regrade {name} --to {self.after.name} --apply; or --to {before.name} --apply",
                code="version",
            )
        self.contents = now if self.after == current else self.versions.contents(self.after)
        self.changed = self._changes()
        refused = f"does not go over from {before.name} to {self.after.name}"
        require_same_cells(self.course, self.module, self._source(), refused)

    def _put(self, folder):
        """How a kit of the second version is made, with its files in `folder`.

        What was handed out until now is known to it, so that nobody is said to have edited what the course changed.
        """
        return versions.put(self.contents, folder, self.versions.earlier(self.contents))

    def _source(self):
        return notebooks.parse(self.contents[versions.SOURCE], versions.SOURCE).node

    def _changes(self):
        """What differs. A version that is damaged is left for another one, where that is asked for by name."""
        try:
            return versions.changes(self.versions.contents(self.before), self.contents)
        except ProjectError:
            if not self.options.to or self.after.fingerprint == self.before.fingerprint:
                raise
            return versions.Changes({}, provided=(f"not known: {self.before.name} is damaged",))

    # What is scored.

    def _scored_now(self):
        """({student: ScoreRecord} of those whose present file has a score, ids of those with a file that has none)."""
        found, skipped = {}, []
        folder = records.records_folder(self.course, self.module)
        for student in sorted(path.stem for path in folder.glob("*.json")):
            record = records.read_record(self.course, self.module, student)
            path = submitted_notebook(self.course, self.module, student)
            if path is None:
                continue
            if record is not None and record.recorded and record.submitted == records.file_digest(path):
                found[student] = record
            else:
                skipped.append(student)
        return found, tuple(skipped)

    @property
    def _folder(self):
        return self.project.state / "regrade" / self.module.name / self.after.fingerprint[:16]

    def _key(self, submitted):
        return keys.key(submitted, self.class_key)

    def _again(self, student, submitted):
        """The record of the second run; None where there is none that holds."""
        record = records.read_record_at(self._folder / f"{student}.json")
        return record if record is not None and record.key == self._key(submitted) else None

    def _score(self, students, made):
        """Score those of `students` for whom no earlier call did. made: how a kit is made."""
        waiting = []
        for student in students:
            path = submitted_notebook(self.course, self.module, student)
            if path and (self.options.force or self._again(student, records.file_digest(path)) is None):
                waiting.append((student, path))
        if not waiting:
            return
        failed, taken = {}, {}
        with self._kit(made, len(waiting)) as kit, interruptible(self.cancel):
            self.on_done and self.on_done(0, len(waiting))
            jobs = max(1, self.options.jobs or os.cpu_count() or 1)
            tasks = self._tasks(waiting, taken)
            for done, scored in enumerate(self.executor.run(kit, tasks, jobs=jobs, cancel=self.cancel), 1):
                result = scored.result
                submitted = taken.pop(result.student)
                if result.status == "ungraded":
                    failed[result.student] = result.detail
                else:
                    record = records.ScoreRecord(self._key(submitted), submitted, versions.now(), result)
                    records.write_record_at(self._folder / f"{result.student}.json", record)
                    self.ran += 1
                self.on_done and self.on_done(done, len(waiting))
        if self.cancel.is_set() and self.ran + len(failed) < len(waiting):
            done = f"{self.ran} of {len(waiting)} submissions are scored again"
            raise Interrupted(f"{done}, and no score was changed; run it again to go on with the others")
        if failed:
            shown = ", ".join(f"{student} ({reason})" for student, reason in sorted(failed.items())[:20])
            raise WorkError(
                f"{len(failed)} could not be scored again by a fault that is not the students', and no score was "
                f"changed: {shown}",
                f"tito doctor; then again: tito grade regrade {self.module.name}",
                code="ungraded",
            )

    def _kit(self, made, count):
        sandbox = require_sandbox(self.executor, self.project, count, self.options.no_sandbox)
        self.isolation = sandbox.kind if count else self.isolation
        return self.executor.kit(self.project, self.catalog, self.module, sandbox=sandbox, **made)

    def _tasks(self, waiting, taken):
        for student, path in waiting:
            data = path.read_bytes()
            taken[student] = digest(data)
            yield Task(student, data, cell_seconds=self.options.cell_seconds)

    # What differs.

    def _grades(self):
        """{student: {cell: gradebook.Grade}}"""
        return {one.student: one.grades for one in gradebook.submissions(self.course, self.module)}

    def _beside(self, student, record, counts, grades):
        told = self.told.get(student)
        return lay(
            record.result,
            self._again(student, record.submitted).result,
            grades.get(student, {}),
            told.points if told and told.submitted == record.submitted else {},
            self.changed,
            second_try=counts == "second",
            also_lower=self.also_lower,
            after=self.after.name,
        )

    def _regraded(self, laid, skipped):
        return Regraded(
            module=self.module.name,
            before=self.before.name,
            after=self.after.name,
            changed=self.changed.words,
            students=len(laid),
            published=len(self.told),
            differences=tuple(one for beside in laid.values() for one in beside.differences),
            by_person={student: list(one.by_person) for student, one in laid.items() if one.by_person},
            skipped=skipped,
            ran=self.ran,
            isolation=self.isolation,
        )

    def _require_possible(self, laid):
        """Raise WorkError where points were published that a test is not worth any more."""
        worth = {notebooks.grade_id(cell): notebooks.points(cell) for cell in self._source().cells}
        cells = (cell for beside in laid.values() for cell in beside.result.cells)
        over = sorted({cell.grade_id for cell in cells if counted(cell, True) > worth[cell.grade_id]})
        if over:
            raise WorkError(
                f"points that were published cannot be kept: {self.after.name} gives fewer for {', '.join(over)}",
                f"tito grade regrade {self.module.name} --to {self.after.name} --apply --also-lower",
                code="fewer-points",
            )

    # Writing.

    def _note(self, found, scored):
        """Note what is to be written, with the gradebook of before in a safe place."""
        self.versions.keep(self.after, self.contents)
        copy = self.course.database.copy(self.course.state / "backups")
        kept = self.course.label(copy) if copy else None
        self.versions.note(
            {
                "to": self.after.fingerprint,
                "also_lower": self.also_lower,
                "students": {student: record.recorded for student, record in scored.items()},
                "found": asdict(replace(found, applied=True, kept=kept)),
            }
        )

    def _write(self, made):
        """Write what was noted, the first of it too where an earlier call began: that changes nothing."""
        noted, grades = self.versions.unfinished, self._grades()
        if self.after.fingerprint != self.before.fingerprint:
            with self.course.drafts("regrade") as draft:
                record_cells(self.course, draft, self.module, self.contents[versions.SOURCE])
        with (
            recorder.recording(self.course, self.module) as writer,
            self._kit(made, 0) as kit,
            interruptible(self.cancel),
        ):
            for done, (student, counts) in enumerate(noted["students"].items()):
                if self.cancel.is_set():
                    more = f"nothing else is done with {self.module.name} until all are; go on"
                    raise Interrupted(
                        f"{done} of {len(noted['students'])} scores are written; {more}: {self._again_hint}"
                    )
                self._write_one(writer, kit, student, counts, grades)
        self.versions.pin(self.after)
        found = _read(noted["found"])
        counting = [one for one in found.differences if one.counts != one.old]
        history.add(
            self.course,
            self.module,
            "regraded",
            self.after.name,
            before=self.before.name,
            also_lower=self.also_lower,
            students=found.students,
            changed=len({one.student for one in counting}),
            differences=[[one.student, one.question, one.old, one.counts] for one in counting],
        )
        remove_tree(self._folder)
        return replace(found, ran=self.ran, isolation=self.isolation)

    @property
    def _again_hint(self):
        return f"tito grade regrade {self.module.name} --to {self.after.name} --apply"

    def _write_one(self, writer, kit, student, counts, grades):
        record = records.read_record(self.course, self.module, student)
        path = submitted_notebook(self.course, self.module, student)
        data = path.read_bytes() if path else b""
        if record is None or digest(data) != record.submitted:
            return  # collected meanwhile: autograde scores it
        result = self._beside(student, record, counts, grades).result
        fresh = records.ScoreRecord(self._key(record.submitted), record.submitted, versions.now(), result)
        records.write_record(self.course, self.module, student, fresh)
        try:
            notebook = self.executor.place(kit, data)
            writer.record(student, notebook, result, second_try=counts == "second", same_file=True)
        except TitoError as error:
            reason = f"{error.message}; the regrade is half written"
            raise ProjectError(reason, f"then go on: {self._again_hint}", code="gradebook") from error
        records.write_record(self.course, self.module, student, replace(fresh, recorded=counts))


def _read(noted):
    """The Regraded that was noted as JSON."""
    texts = ("tests", "reference", "outcomes")
    differences = (
        ScoreDifference(**{**one, **{name: tuple(one[name]) for name in texts}}) for one in noted["differences"]
    )
    lists = {name: tuple(noted[name]) for name in ("changed", "skipped")}
    return Regraded(**{**noted, **lists, "differences": tuple(differences)})
