"""Submissions from a folder, an LMS's archive or nbgrader's layout into nbgrader's folder, one by one, all reported.

Nothing is overwritten and nothing is lost: every attempt is kept (attempts.py), and what cannot be placed is named
with the reason. Collecting the same files again changes nothing.
"""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

from tito.errors import ProjectError, UsageError, changing
from tito.services.grading.book.course import require_course
from tito.services.grading.book.exchange import find_exchange
from tito.services.grading.intake.archives import OTHER_ARCHIVES, first_names
from tito.services.grading.intake.attempts import POLICIES, Attempts, attempt_digest
from tito.services.grading.intake.dates import grant
from tito.services.grading.intake.inbound import Inbound, holds_entries
from tito.services.grading.intake.received import write_submissions
from tito.services.grading.intake.sorting import Sorting, top


@dataclass(frozen=True)
class Collected:
    """ignored: how many files that are no notebooks lay beside one. missing: {module: students of the class list who
    have sent nothing}.
    """

    rows: tuple
    ignored: int
    missing: dict
    warnings: tuple

    def count(self, *statuses):
        return sum(row.status in statuses for row in self.rows)


def collect(project, catalog, path, *, module=None, student=None, attempt=None):
    """Collect what is at `path`, in nbgrader's exchange where it is None. Returns Collected.

    module: the only one to collect; also the one of a file that does not say. student: whose a file is that does not
    say. attempt: which of several attempts counts, one of POLICIES; kept for the modules that are collected.
    Raises UsageError where `path` cannot be submissions.
    """
    course = require_course(project)
    course.prepare()
    path, inbound = _inbound(course, path)
    _require_submissions(course, path)
    with course.locked(f"tito grade collect {path}"), course.drafts("collect") as drafts:
        files = Sorting(course, catalog, module, student, first_names(path), inbound)
        files.take_in(path, drafts)
        with changing("run it again: what was collected stays, and the rest follows"):
            return _Placing(course, catalog, files, attempt).place()


def _inbound(course, path):
    """(path, what of it lies in nbgrader's exchange); path: what was named, None for the exchange itself."""
    if path is not None and not holds_entries(path):
        return path, Inbound(path, check_owner=True)
    exchange = find_exchange(course)
    if path is None:
        path = _exchange_folder(course, exchange)
    return path, Inbound(path, check_owner=exchange.check_owner and os.name == "posix")


def _exchange_folder(course, exchange):
    if exchange.folder is None:
        root, submitted = course.label(course.root), course.label(course.submitted)
        raise ProjectError(
            "the exchange of this hub is no folder: nbgrader itself has to collect",
            f"cd {root} && nbgrader collect M; then, back here: tito grade collect {submitted}",
            code="exchange",
        )
    if not exchange.inbound.is_dir():
        raise ProjectError(
            f"{exchange.inbound} does not exist: nothing was released to the exchange",
            "tito grade release M --exchange",
            code="exchange",
        )
    return exchange.inbound


def _require_submissions(course, path):
    if not path.exists():
        raise UsageError(f"{path} does not exist", "name a folder, a zip archive or a notebook")
    own = path.resolve()
    others = (course.source, course.release, course.autograded, course.feedback, course.state)
    if course.root.is_relative_to(own) or any(own.is_relative_to(folder) for folder in others):
        raise UsageError(
            f"{path} holds the course itself, not only what students sent",
            f"name the folder of the submissions, for example {course.label(course.submitted)}",
        )


class _Placing:
    """Puts what was sorted into nbgrader's folder, attempt by attempt, in the order in which they were handed in."""

    def __init__(self, course, catalog, files, policy):
        self.course, self.catalog, self.files, self.policy = course, catalog, files, policy
        self.dates, self.records = files.dates, files.records

    def place(self):
        groups = {}
        order = lambda one: (one.whose.order, one.time is not None, one.time or 0, one.path)
        for one in sorted(self.files.incoming, key=order):
            groups.setdefault((one.module.name, one.whose.student), []).append(one)
        touched = {name for name, _ in groups} | ({self.files.only.name} if self.files.only else set())
        for name in touched if self.policy else ():
            self.dates.attempts[name] = self.policy
        try:
            for (name, student), files in groups.items():
                self._place(self.catalog[name], student, files)
            self._recount(touched, groups)
        finally:
            if touched:
                write_submissions(self.course, self.records)
                if self.policy:
                    self.dates.write()
        self._grant(groups)
        return self._result(touched)

    def _place(self, module, student, files):
        entry = self.records.setdefault(module.name, {}).setdefault(student, {})
        attempts = Attempts(self.course, module, student, entry)
        attempts.adopt()
        before = entry.get("digest")
        files = sorted(files, key=lambda one: one.time) if all(one.time for one in files) else files
        new = {}
        for one in files:
            data = one.draft.read_bytes()
            artifact = one.artifact.read_bytes() if one.artifact else None
            about = {
                "name": one.name,
                "archive": one.archive,
                "time": one.time.isoformat() if one.time else None,
                "way": one.whose.way,
                "lms": one.whose.lms,
                "lms_id": one.whose.lms_id,
                "secret": one.entry.secret if one.entry else "",
            }
            new[one.path] = (attempts.add(data, about, artifact), attempt_digest(data, artifact))
        self._let_count(attempts, module, student)
        order = [other["digest"] for other in attempts.ordered()]
        for one in files:
            self.files.report(*self._became(one, *new[one.path], attempts, before, order))

    def _let_count(self, attempts, module, student):
        policy = self.dates.attempts.get(module.name, POLICIES[0])
        is_late = lambda attempt: self.dates.is_late(module, student, attempt)
        attempts.place(attempts.choose(policy, is_late))
        attempts.entry["late"] = self.dates.late(module, student, attempts.entry)

    def _became(self, one, is_new, own, attempts, before, order):
        """The FileRow of one file, as a tuple. own: the digest of the attempt that it is."""
        late, counts = attempts.entry["late"], attempts.entry["digest"]
        which = f"attempt {order.index(own) + 1} of {len(order)}" if len(order) > 1 else ""
        said = "marked late by the LMS" if one.whose.lms == "late" and not late else ""
        if not is_new:
            status, late = "unchanged", late if own == counts else None
        elif own != counts:
            counting = f"attempt {order.index(counts) + 1} counts"
            status, which, late = "kept", f"{which}; {counting}", None
        else:
            status = "collected" if before in (None, counts) else "replaced-older-attempt"
        reason = "; ".join(text for text in (which, said, _of_artifact(one)) if text)
        return status, one.path, one.whose.student, one.module.name, reason, late

    def _recount(self, touched, groups):
        """Under another policy or due date other attempts may count, also of students who sent nothing now."""
        for name in touched & set(self.records):
            for student, entry in self.records[name].items():
                if (name, student) in groups or not entry.get("attempts"):
                    continue
                attempts, before = Attempts(self.course, self.catalog[name], student, entry), entry["digest"]
                attempts.adopt()
                self._let_count(attempts, self.catalog[name], student)
                if entry["digest"] != before:
                    reason = "another attempt counts now"
                    self.files.report("replaced-older-attempt", entry["name"], student, name, reason, entry["late"])

    def _grant(self, groups):
        extended = [(name, student) for name, student in groups if student in self.dates.extensions.get(name, {})]
        if extended:
            from nbgrader.api import MissingEntry

            with self.course.open_gradebook() as book:
                for name, student in extended:
                    try:
                        book.find_assignment(name)
                    except MissingEntry:
                        continue
                    grant(book, self.dates, self.catalog[name], student)

    def _result(self, touched):
        ignored = 0
        sent = {one.whose.student for one in self.files.incoming} - {""}
        tops = {top(one.path) for one in self.files.incoming} | {top(row.file) for row in self.files.rows}
        for path in self.files.others:
            beside = len(PurePosixPath(path).parts) > 2 and top(path) in tops
            student = self.files.student or self.files.senders.whose(path).student
            if beside or student in sent:
                ignored += 1
            else:
                self.files.report("refused", path, student, reason=_no_notebook(path))
        missing = {
            name: sorted(set(self.files.roster.students) - set(self.records.get(name, {}))) for name in sorted(touched)
        }
        self._warn_of_unknown_lateness()
        self._warn_of_missing_artifacts(sorted(touched))
        rows = sorted(self.files.rows, key=lambda row: (row.module, row.student, row.file))
        return Collected(tuple(rows), ignored, missing if self.files.roster else {}, tuple(self.files.warnings))

    def _warn_of_missing_artifacts(self, names):
        for module in (self.catalog[name] for name in names):
            lacking = [
                student
                for student, entry in sorted(self.records.get(module.name, {}).items())
                if module.artifact and not (self.course.submission(student, module) / module.artifact).is_file()
            ]
            if lacking:
                self.files.warnings.append(
                    f"{module.name}: {len(lacking)} without {module.artifact}, which is handed in with the notebook: "
                    f"{', '.join(lacking)}"
                )

    def _warn_of_unknown_lateness(self):
        marked = [
            one
            for one in self.files.incoming
            if one.whose.lms == "late" and self.files.entry(one.module.name, one.whose.student).get("late") is None
        ]
        if marked:
            files = "1 file is" if len(marked) == 1 else f"{len(marked)} files are"
            self.files.warnings.append(
                f"{files} marked late by the LMS, and by how much is not known: nbgrader takes nothing off for that"
            )


def _of_artifact(one):
    """What is said of the file that is handed in with a notebook."""
    return one.module.artifact and f"{'with' if one.artifact else 'without'} {one.module.artifact}"


def _no_notebook(path):
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in OTHER_ARCHIVES:
        return "is an archive that tito does not read: unpack it, or pack it as zip"
    return f"is no notebook ({suffix})" if suffix else "is no notebook"
