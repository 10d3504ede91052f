"""Scores all submissions of a module, in parallel and isolated, and records them one after the other.

An executor scores; this thread alone writes: the record that tito keeps,
then nbgrader's gradebook. Only what changed since the last run is scored again. A fault of the system's own makes a
submission "ungraded": it stays out of the gradebook and is scored again by the next run.

A class is graded with the version of the module that was released to it, whatever the course is now, and a score that
was published stays as long as the file does: only a regrade goes over to another version, or scores such a file again.
"""

import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from tito.errors import Interrupted, ProjectError, TitoError
from tito.services import views
from tito.services.files import digest
from tito.services.grading.book import gradebook, history, records, versions
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.received import Received, submitted_notebook
from tito.services.grading.sandbox.find import installation
from tito.services.grading.scoring import executors, keys, recorder
from tito.services.grading.scoring.scorer import Task


@dataclass(frozen=True)
class GradedRow:
    """What became of one student's submission.

    points: of the first try; second_points: with the second try; None for a submission without a score.
    late: seconds, None where nothing is known. fresh: it was scored in this run. changes: what was not as it was handed
    out, and warnings: the same in words. waiting: the cells that a person has to look at.
    """

    student: str
    status: str
    detail: str = ""
    points: float | None = None
    second_points: float | None = None
    max_points: float | None = None
    seconds: float = 0.0
    late: float | None = None
    fresh: bool = False
    isolation: str = ""
    changes: tuple = ()
    warnings: tuple = ()
    waiting: tuple = ()


@dataclass(frozen=True)
class ClassRun:
    """A whole run. counts: which score counts, "first" or "second"; seconds: of the run.

    version: the one that grades, "" where none is kept; course_now: the name of the course's own where that is another
    one, and changed: what differs in it, in words; stayed: students whose published score stays, although their file
    would be scored again.
    """

    module: str
    rows: tuple
    isolation: str
    counts: str
    seconds: float
    version: str = ""
    course_now: str = ""
    changed: tuple = ()
    stayed: tuple = ()

    @property
    def ungraded(self):
        return tuple(row for row in self.rows if row.status == "ungraded")


@dataclass(frozen=True)
class Options:
    """students: those to grade, all where empty. jobs: submissions at once, None for one a core. force: also what did
    not change. second_try: whether the better of both scores counts.
    """

    students: tuple = ()
    jobs: int | None = None
    no_sandbox: bool = False
    force: bool = False
    second_try: bool = True
    cell_seconds: float = 30


def autograde(project, catalog, module, options=None, *, on_done=None, on_cell=None, executor=None):
    """Score and record the submissions of `module`; returns a ClassRun with a row for every student.

    on_done(done, total): called first and after each submission. on_cell(student, done, total): before each cell of one
    that runs, from any thread, and when it is recorded, with all of them done. executor: where submissions run, threads
    here unless given.
    Raises ProjectError where the course is not in order, another tito is at work, or nothing isolates a whole class;
    Interrupted after Ctrl-C, with what was scored until then kept.
    """
    course = require_course(project)
    options = options or Options()
    start = datetime.now()
    source = course.source / module.name / module.notebook.name
    if not source.is_file():
        reason = f"{project.relative(source)} does not exist: {module.name} was not released from this course folder"
        raise ProjectError(reason, f"tito grade release {module.name}", code="not-released")
    with course.locked(f"tito grade autograde {module.name}"):
        run = _Run(project, catalog, module, options, course, source, executor or executors.Threads())
        rows = run.rows(on_done, on_cell)
        version, current, changed = run.told_of_the_version()
    return ClassRun(
        module=module.name,
        rows=rows,
        isolation=run.isolation,
        counts=run.counts,
        seconds=(datetime.now() - start).total_seconds(),
        version=version,
        course_now=current,
        changed=changed,
        stayed=tuple(run.stayed),
    )


class _Run:
    """One run over the submissions of a module."""

    def __init__(self, project, catalog, module, options, course, source, executor):
        self.project, self.catalog, self.module, self.options = project, catalog, module, options
        self.course, self.source = course, source
        self.executor = executor
        self.counts = "second" if options.second_try else "first"
        self.isolation = ""
        self.refused = []  # (student, why the file was not taken)
        self.cancel = threading.Event()
        self.versions = versions.Versions(course, module)
        self.versions.require_settled()
        self.pinned = self.versions.pinned
        # read before anything runs: a damaged version scores nobody
        self.contents = self.versions.contents(self.pinned) if self.pinned else None
        self.class_key = (
            keys.version_key(self.pinned) if self.pinned else keys.class_key(project, catalog, module, source)
        )
        self.published = history.published(course, module)
        self.stayed = {}  # students whose published score is of another version or run
        self.received = Received(course, module)
        self.recorded = gradebook.recorded_students(course, module)

    def rows(self, on_done, on_cell=None):
        students = self.received.students(self.options.students)
        paths = {student: submitted_notebook(self.course, self.module, student) for student in students}
        digests = {student: records.file_digest(path) for student, path in paths.items() if path}
        rows = {student: GradedRow(student, "missing") for student in students}
        waiting, unrecorded = [], []
        for student, submitted in digests.items():
            record = self._kept(student, submitted)
            if record is None:
                waiting.append((student, paths[student]))
                continue
            rows[student] = _row(record.result)  # the record itself is not kept: a class has many
            if not self._is_recorded(student, record):
                unrecorded.append((student, paths[student]))
        if waiting or unrecorded:
            total = len(waiting) + len(unrecorded)
            on_done and on_done(0, total)
            for done, row in enumerate(self._graded(waiting, unrecorded, on_cell), 1):
                rows[row.student] = row
                on_cell and on_cell(row.student, 1, 1)
                on_done and on_done(done, total)
        waiting = self._waiting(rows)
        return tuple(replace(self._with_lateness(rows[one]), waiting=waiting.get(one, ())) for one in students)

    def _waiting(self, rows):
        """{student: cells for a person}; empty where the gradebook went away, as the ungraded rows then say."""
        try:
            return gradebook.waiting(self.course, self.module)
        except ProjectError:
            if not any(row.status == "ungraded" for row in rows.values()):
                raise
            return {}

    def _key(self, submitted):
        return keys.key(submitted, self.class_key)

    def _kept(self, student, submitted):
        """The record of an earlier run, where it still holds."""
        record = records.read_record(self.course, self.module, student)
        if record is None or record.result.status == "ungraded":
            return None
        holds = record.key == self._key(submitted) and not self.options.force
        told = self.published.get(student)
        if told is None or not told.submitted == record.submitted == submitted:
            return record if holds else None
        if not holds or record.recorded not in (self.counts, ""):
            self.stayed[student] = record.recorded
        return record

    def _is_recorded(self, student, record):
        graded = self.course.autograded / student / self.module.name / self.module.notebook.name
        as_asked = record.recorded == self.counts or (student in self.stayed and record.recorded)
        return as_asked and student in self.recorded and graded.is_file()

    @contextmanager
    def _kit(self, sandbox):
        with ExitStack() as stack:
            made = {"source": self.source}
            if self.pinned:
                made = versions.put(
                    self.contents,
                    stack.enter_context(views.folder(self.project)),
                    self.versions.earlier(self.contents),
                )
            make = self.executor.kit
            yield stack.enter_context(make(self.project, self.catalog, self.module, sandbox=sandbox, **made))

    def told_of_the_version(self):
        """(name of the version that grades, name of the course's own where it is another, what differs, in words)."""
        if self.pinned is None:
            return "", "", ()
        try:
            contents = versions.course_now(self.project, self.catalog, self.module)
        except TitoError as error:
            return self.pinned.name, self.project.version, (error.message,)
        current = self.versions.named(contents)
        if current.fingerprint == self.pinned.fingerprint:
            return self.pinned.name, "", ()
        return self.pinned.name, current.name, versions.changes(self.contents, contents).words

    def _graded(self, waiting, unrecorded, on_cell):
        """Yield a row for each submission as it is scored and recorded."""
        sandbox = self._sandbox(len(waiting))
        with recorder.recording(self.course, self.module) as writer, self._kit(sandbox) as kit:
            for student, path in unrecorded:
                record = records.read_record(self.course, self.module, student)
                notebook = self.executor.place(kit, path.read_bytes())
                yield self._record(writer, student, record, notebook, fresh=False, same_file=bool(record.recorded))
            taken, done = {}, 0
            with interruptible(self.cancel):
                tasks = self._tasks(waiting, taken)
                for scored in self.executor.run(kit, tasks, jobs=self._jobs(), cancel=self.cancel, on_cell=on_cell):
                    yield self._keep(writer, scored, taken.pop(scored.result.student))
                    done += 1
                if self.cancel.is_set() and done + len(self.refused) < len(waiting):
                    raise Interrupted(
                        f"{done} of {len(waiting)} submissions are graded and kept; run it again to go on with the "
                        "others"
                    )
            for student, reason in self.refused:
                yield self._keep(writer, executors.ungraded(kit, student, reason), "")

    def _tasks(self, waiting, taken):
        """Yield a Task for each submission and note its digest in `taken`.

        A file is read when it is needed, and once: what is recorded is what was scored.
        """
        for student, path in waiting:
            try:
                if path.is_symlink():  # to the solution, for example
                    raise ProjectError(f"{self.course.label(path)} is a link; put the file itself there")
                data = path.read_bytes()
            except (ProjectError, OSError) as error:
                self.refused.append((student, str(error)))
                continue
            taken[student] = digest(data)
            yield Task(student, data, cell_seconds=self.options.cell_seconds)

    def _keep(self, writer, scored, submitted):
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        record = records.ScoreRecord(self._key(submitted), submitted, now, scored.result)
        student = scored.result.student
        before = records.read_record(self.course, self.module, student)
        same_file = before is not None and bool(before.recorded) and before.submitted == submitted
        return self._record(writer, student, record, scored.notebook, fresh=True, same_file=same_file)

    def _jobs(self):
        return max(1, self.options.jobs or os.cpu_count() or 1)

    def _sandbox(self, count):
        found = require_sandbox(self.executor, self.project, count, self.options.no_sandbox)
        self.isolation = found.kind if count else ""
        return found

    def _record(self, writer, student, record, notebook, *, fresh, same_file):
        """Keep a record and put it into the gradebook; the row of the student. same_file: see Recorder.record."""
        result = record.result
        records.write_record(self.course, self.module, student, record)
        if result.status != "ungraded":
            try:
                writer.record(student, notebook, result, second_try=self.options.second_try, same_file=same_file)
            except TitoError as error:
                result = replace(result, status="ungraded", detail=error.message)
                records.write_record(self.course, self.module, student, replace(record, result=result))
            else:
                records.write_record(self.course, self.module, student, replace(record, recorded=self.counts))
        return _row(result, fresh=fresh)

    def _with_lateness(self, row):
        return replace(row, late=self.received.late(row.student)) if row.status != "missing" else row


def require_sandbox(executor, project, count, no_sandbox=False):
    """What isolates. Raises ProjectError where nothing does and more than one submission is to run."""
    found = executor.sandbox(project)
    if found.kind == "none" and count > 1 and not no_sandbox:
        raise ProjectError(
            f"not isolated: {found.detail or 'there is no sandbox on this machine'}. A submission is a program of "
            f"somebody else's, and {count} of them would run with your rights",
            f"{installation()}; or take the risk: --no-sandbox",
            code="not-isolated",
        )
    return found


def _row(result, *, fresh=False):
    scored = result.status != "ungraded"
    return GradedRow(
        student=result.student,
        status=result.status,
        detail=result.detail,
        points=result.points if scored else None,
        second_points=result.second_points if scored else None,
        max_points=result.max_points if scored else None,
        seconds=result.seconds,
        fresh=fresh,
        isolation=result.isolation,
        changes=result.changes,
        warnings=result.warnings,
    )


@contextmanager
def interruptible(cancel):
    """The first Ctrl-C sets `cancel`, so that what is being written is written to its end; the second interrupts."""

    def on_interrupt(number, frame):
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    except BaseException:
        cancel.set()  # the threads that still score end at once
        raise
    finally:
        signal.signal(signal.SIGINT, before)
