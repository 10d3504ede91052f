"""Submissions from a folder, an LMS's archive or nbgrader's layout into nbgrader's folder, one by one, all reported.

Nothing is overwritten and nothing is lost: every attempt is kept (attempts.py), and what cannot be placed is named
with the reason. Collecting the same files again changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

from tito.errors import UsageError, changing
from tito.services.files import digest
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.archives import OTHER_ARCHIVES, first_names, walk
from tito.services.grading.intake.attempts import POLICIES, Attempts, read_stamp
from tito.services.grading.intake.dates import Dates, grant
from tito.services.grading.intake.received import read_submissions, write_submissions
from tito.services.grading.intake.recognise import ModuleFinder, is_notebook
from tito.services.grading.intake.senders import BY_HAND, Senders, Whose, doubts
from tito.services.grading.roster.class_list import find_student, read_roster
from tito.services.grading.roster.people import safe_id

# an LMS that writes its archive in one go gives all files the time of the download
DOWNLOAD = timedelta(minutes=10)
DOWNLOADED = 3  # so many files within that time


@dataclass(frozen=True)
class FileRow:
    """What became of one file.

    status: collected; unchanged; replaced-older-attempt; kept, an attempt that does not count; untouched, a notebook
    without an answer beside others; ambiguous; refused. late: seconds, None where not known.
    """

    status: str
    file: str
    student: str = ""
    module: str = ""
    reason: str = ""
    late: float | None = None


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


@dataclass(frozen=True)
class _Incoming:
    """A notebook that came in: where it was put for now, whose it is, and of which module."""

    path: str
    draft: Path
    digest: str
    time: object
    whose: Whose
    module: object
    archive: str
    in_own: bool

    @property
    def name(self):
        """The name under which it came in, without what was collected as a whole."""
        return self.path.partition("/")[2] or self.path


def collect(project, catalog, path, *, module=None, student=None, attempt=None):
    """Collect what is at `path`. Returns Collected.

    module: the only one to collect; also the one of a file that does not say. student: whose a file is that does not
    say. attempt: which of several attempts counts, one of POLICIES; kept for the modules that are collected.
    Raises UsageError where `path` cannot be submissions.
    """
    course = require_course(project)
    _require_submissions(course, path)
    course.prepare()
    with course.locked(f"tito grade collect {path}"), course.drafts("collect") as drafts:
        run = _Run(course, catalog, module, student, attempt, first_names(path))
        run.take_in(path, drafts)
        with changing("run it again: what was collected stays, and the rest follows"):
            return run.place()


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


class _Run:
    def __init__(self, course, catalog, module, student, policy, names):
        self.course = course
        self.catalog = catalog
        self.only = module
        self.policy = policy
        self.dates = Dates(course)
        self.roster = read_roster(course)
        self.records = read_submissions(course)
        self.student = self._named_student(student)
        entries = [pair for entries in self.records.values() for pair in entries.items()]
        known = {(entry.get("way"), entry["lms_id"]): name for name, entry in entries if entry.get("lms_id")}
        self.senders = Senders(self.roster, catalog, known, names)
        self.modules = ModuleFinder(course, catalog)
        self.spelled = {folder.name.casefold(): folder.name for folder in course.submitted.glob("*")}
        self.rows, self.incoming, self.others, self.stamps, self.warnings = [], [], [], {}, []

    def _named_student(self, text):
        if not text:
            return None
        if not self.roster:
            if safe_id(text) != text:
                raise UsageError(f"{text!r} is no id", f"for example {safe_id(text) or 'ana'}")
            return text
        return find_student(self.course, text)

    # Taking in: every file is recognised, and put aside under a name of ours.

    def take_in(self, path, drafts):
        for number, file in enumerate(walk(path, zone=self.dates.zone)):
            if PurePosixPath(file.path).name == "timestamp.txt" and file.data is not None:
                if self.senders.is_nbgraders(file.path):
                    self.stamps[str(PurePosixPath(file.path).parent)] = read_stamp(file.data.decode("utf-8", "replace"))
            elif file.refused:
                self._report("refused", file.path, reason=file.refused)
            elif is_notebook(file.path, file.data):
                self._recognise(file, drafts / str(number))
            else:
                self.others.append(file.path)
        self.incoming = [one for one in self.incoming if not self._is_beside(one)]
        self._doubt_senders()
        self._doubt_times()

    def _recognise(self, file, draft):
        whose = Whose(self.student, way=BY_HAND) if self.student else self.senders.whose(file.path)
        by_content = self.modules.by_content(file.data)
        found = by_content or self.modules.by_name(file.path) or self.only
        reason, ambiguous = whose.reason, whose.ambiguous
        if not reason and found is None:
            reason = "neither its cells nor its name say which module it is; give --module"
        if not reason and self.only and found.name != self.only.name:
            reason = f"is {'a notebook of' if by_content else 'named for'} {found.name}, not of {self.only.name}"
        spelled = self.spelled.setdefault(whose.student.casefold(), whose.student)
        if not reason and spelled != whose.student:
            reason, ambiguous = f"{whose.student} and {spelled} differ in capital letters only", True
        if reason:
            status = "ambiguous" if ambiguous else "refused"
            self._report(status, file.path, whose.student, found.name if found else "", reason)
            return
        draft.write_bytes(file.data)
        archive = next((part for part in _prefixes(file.path) if part.lower().endswith(".zip")), "")
        # what a student packed says nothing about when it was handed in
        in_own = file.archive_time is not None and (whose.whole or whose.way == BY_HAND)
        time = file.archive_time if in_own else file.time
        self.incoming.append(_Incoming(file.path, draft, digest(file.data), time, whose, found, archive, in_own))

    def _report(self, status, file, student="", module="", reason="", late=None):
        self.rows.append(FileRow(status, file, student, module, reason, late))

    def _is_beside(self, one):
        """Whether it is a notebook without any answer that came with others: a student packed the whole workspace."""
        folders = PurePosixPath(one.path).parent.parts
        if self.only or not ("modules" in folders or any(part.lower().endswith(".zip") for part in folders[1:])):
            return False
        others = (other for other in self.incoming if other.module != one.module and other.whose == one.whose)
        if not any(_top(other.path) == _top(one.path) for other in others):
            return False
        if not self.modules.is_untouched(one.draft.read_bytes(), one.module):
            return False
        reason = "no answer is written in it, and it came with other notebooks; --module takes it"
        self._report("untouched", one.path, one.whose.student, one.module.name, reason)
        return True

    def _doubt_senders(self):
        """What would replace a submission that came another way, or from another sender, is nobody's for now."""
        groups = {}
        for one in self.incoming:
            groups.setdefault((one.module.name, one.whose.student), []).append(one)
        for (name, student), files in groups.items():
            kept = Attempts(self.course, self.catalog[name], student, self._entry(name, student)).before()
            for one, reason in doubts(files, kept, listed=bool(self.roster)):
                self.incoming.remove(one)
                self._report("ambiguous", one.path, student, name, f"{reason}; --student {student} takes it")

    def _entry(self, module, student):
        return self.records.get(module, {}).get(student, {})

    def _doubt_times(self):
        """What an LMS says about lateness goes before the times in its archive, which may be those of the download."""
        stamped = [replace(one, time=self._stamp(one) or one.time) for one in self.incoming]
        archives = {}
        for one in stamped:
            if one.whose.way == "canvas":
                archives.setdefault(PurePosixPath(one.path).parts[0], []).append(one)
        doubted, marking = set(), set()
        for name, files in archives.items():
            times = [one.time for one in files if one.time]
            if len(times) >= DOWNLOADED and max(times) - min(times) < DOWNLOAD:
                doubted.update(one.path for one in files)
            if any(one.whose.lms == "late" for one in files):
                marking.add(name)
                doubted.update(one.path for one in files if self._contradicts(one))
        self.incoming = [self._with_doubt(one, one.path in doubted, marking) for one in stamped]
        if doubted:
            self.warnings.append(
                f"{len(doubted)} times are those of the download, not of the submission: whether they are late is "
                "known only where the LMS says so"
            )

    def _stamp(self, one):
        return None if one.in_own else self.stamps.get(str(PurePosixPath(one.path).parent))

    def _contradicts(self, one):
        """Whether the time of a file says late where the LMS, which marks late ones, does not."""
        deadline = self.dates.deadline(one.module, one.whose.student)
        return one.whose.lms != "late" and deadline and one.time and one.time > deadline.at

    def _with_doubt(self, one, doubted, marking):
        in_time = one.whose.way == "canvas" and not one.whose.lms and PurePosixPath(one.path).parts[0] in marking
        whose = replace(one.whose, lms="in time") if in_time else one.whose
        return replace(one, whose=whose, time=None if doubted else one.time)

    # Placing: attempt by attempt, in the order in which they were handed in.

    def place(self):
        groups = {}
        order = lambda one: (one.whose.order, one.time is not None, one.time or 0, one.path)
        for one in sorted(self.incoming, key=order):
            groups.setdefault((one.module.name, one.whose.student), []).append(one)
        touched = {name for name, _ in groups} | ({self.only.name} if self.only else set())
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
            about = {
                "name": one.name,
                "archive": one.archive,
                "time": one.time.isoformat() if one.time else None,
                "way": one.whose.way,
                "lms": one.whose.lms,
                "lms_id": one.whose.lms_id,
            }
            new[one.path] = (attempts.add(data, about), data)
        self._let_count(attempts, module, student)
        order = [other["digest"] for other in attempts.ordered()]
        for one in files:
            self._report(*self._became(one, *new[one.path], attempts, before, order))

    def _let_count(self, attempts, module, student):
        policy = self.dates.attempts.get(module.name, POLICIES[0])
        is_late = lambda attempt: self.dates.is_late(module, student, attempt)
        attempts.place(attempts.choose(policy, is_late))
        attempts.entry["late"] = self.dates.late(module, student, attempts.entry)

    def _became(self, one, is_new, data, attempts, before, order):
        """The FileRow of one file, as a tuple."""
        late = attempts.entry["late"]
        own, counts = digest(data), attempts.entry["digest"]
        which = f"attempt {order.index(own) + 1} of {len(order)}" if len(order) > 1 else ""
        said = "marked late by the LMS" if one.whose.lms == "late" and not late else ""
        if not is_new:
            status, late = "unchanged", late if own == counts else None
        elif own != counts:
            counting = f"attempt {order.index(counts) + 1} counts"
            status, which, late = "kept", f"{which}; {counting}", None
        else:
            status = "collected" if before in (None, counts) else "replaced-older-attempt"
        reason = "; ".join(text for text in (which, said) if text)
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
                    self._report("replaced-older-attempt", entry["name"], student, name, reason, entry["late"])

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
        sent = {one.whose.student for one in self.incoming} - {""}
        tops = {_top(one.path) for one in self.incoming} | {_top(row.file) for row in self.rows}
        for path in self.others:
            beside = len(PurePosixPath(path).parts) > 2 and _top(path) in tops
            student = self.student or self.senders.whose(path).student
            if beside or student in sent:
                ignored += 1
            else:
                self._report("refused", path, student, reason=_no_notebook(path))
        missing = {
            name: sorted(set(self.roster.students) - set(self.records.get(name, {}))) for name in sorted(touched)
        }
        self._warn_of_unknown_lateness()
        rows = sorted(self.rows, key=lambda row: (row.module, row.student, row.file))
        return Collected(tuple(rows), ignored, missing if self.roster else {}, tuple(self.warnings))

    def _warn_of_unknown_lateness(self):
        marked = [
            one
            for one in self.incoming
            if one.whose.lms == "late" and self._entry(one.module.name, one.whose.student).get("late") is None
        ]
        if marked:
            files = "1 file is" if len(marked) == 1 else f"{len(marked)} files are"
            self.warnings.append(
                f"{files} marked late by the LMS, and by how much is not known: nbgrader takes nothing off for that"
            )


def _prefixes(path):
    parts = PurePosixPath(path).parts
    return [str(PurePosixPath(*parts[: count + 1])) for count in range(len(parts) - 1)]


def _top(path):
    """The first two parts of a path as it came in: the whole, and whose it is."""
    return PurePosixPath(path).parts[:2]


def _no_notebook(path):
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in OTHER_ARCHIVES:
        return "is an archive that tito does not read: unpack it, or pack it as zip"
    return f"is no notebook ({suffix})" if suffix else "is no notebook"
