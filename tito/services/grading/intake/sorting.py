"""What came in, sorted: each notebook with its student, its module and its time, or with the reason why it has none.

Who sent it is senders.py's to say, and of which module it is recognise.py's; here doubts are settled that only all
files together raise.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

from tito.errors import UsageError
from tito.services.files import digest
from tito.services.grading.intake.archives import walk
from tito.services.grading.intake.attempts import Attempts, read_stamp
from tito.services.grading.intake.dates import Dates
from tito.services.grading.intake.inbound import LATER
from tito.services.grading.intake.received import read_submissions
from tito.services.grading.intake.recognise import ModuleFinder, is_artifact, is_notebook
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
class Incoming:
    """A notebook that came in: where it was put for now, whose it is, and of which module. in_own: in an archive that
    the student packed; archive: the first one on its path; artifact: where the file that came with it was put; entry:
    of nbgrader's exchange, None elsewhere.
    """

    path: str
    draft: Path
    digest: str
    time: object
    whose: Whose
    module: object
    archive: str
    in_own: bool
    artifact: Path | None = None
    entry: object = None

    @property
    def name(self):
        """The name under which it came in, without what was collected as a whole."""
        if self.entry:  # whose folder has a time and random letters in its name
            return f"{self.entry.user}/{self.module.name}/{PurePosixPath(self.path).name}"
        return self.path.partition("/")[2] or self.path


class Sorting:
    """The files of one collect: `incoming` are those that have a student and a module, `rows` say what became of the
    others, `others` are no notebooks. only: the module to collect, or None; names: see Senders; inbound: what of it
    lies in nbgrader's exchange.
    """

    def __init__(self, course, catalog, only, student, names, inbound):
        self.course = course
        self.catalog = catalog
        self.only = only
        self.inbound = inbound
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
        self.artifacts = []  # (path, draft, student, module)

    def _named_student(self, text):
        if not text:
            return None
        if not self.roster:
            if safe_id(text) != text:
                raise UsageError(f"{text!r} is no id", f"for example {safe_id(text) or 'ana'}")
            return text
        return find_student(self.course, text)

    def take_in(self, path, drafts):
        """Recognise every file at `path`, and put it aside in the folder `drafts` under a name of ours."""
        for number, file in enumerate(walk(path, zone=self.dates.zone)):
            if PurePosixPath(file.path).name == "timestamp.txt" and file.data is not None:
                if self.senders.is_nbgraders(file.path):
                    self.stamps[str(PurePosixPath(file.path).parent)] = read_stamp(file.data.decode("utf-8", "replace"))
            elif file.refused:
                self.report("refused", file.path, reason=file.refused)
            elif is_notebook(file.path, file.data) and not self._is_beside_in_exchange(file.path):
                self._recognise(file, drafts / str(number))
            elif module := self._module_of_artifact(file.path):
                self._recognise_artifact(file, module, drafts / str(number))
            else:
                self.others.append(file.path)
        self.incoming = [one for one in self.incoming if not self._is_beside(one)]
        self._doubt_senders()
        self._doubt_times()
        self._doubt_exchange()
        self._join_artifacts()

    def _recognise(self, file, draft):
        entry = self.inbound.entry(file.path)
        whose = self._whose(file.path, entry)
        by_content = self.modules.by_content(file.data)
        found = by_content or (self._module(entry) if entry else self.modules.by_name(file.path)) or self.only
        reason, ambiguous = whose.reason, whose.ambiguous
        if not reason and entry and found is not self._module(entry):
            reason = f"was submitted as {entry.module}" + (f" and is a notebook of {found.name}" if found else "")
        if not reason and found is None:
            reason = "neither its cells nor its name say which module it is; give --module"
        if not reason and self.only and found.name != self.only.name:
            reason = f"is {'a notebook of' if by_content else 'named for'} {found.name}, not of {self.only.name}"
        spelled = self.spelled.setdefault(whose.student.casefold(), whose.student)
        if not reason and spelled != whose.student:
            reason, ambiguous = f"{whose.student} and {spelled} differ in capital letters only", True
        if reason:
            status = "ambiguous" if ambiguous else "refused"
            self.report(status, file.path, whose.student, found.name if found else "", reason)
            return
        draft.write_bytes(file.data)
        archive = next((part for part in _prefixes(file.path) if part.lower().endswith(".zip")), "")
        # what a student packed says nothing about when it was handed in
        in_own = file.archive_time is not None and (whose.whole or whose.way == BY_HAND)
        time = entry.time if entry else file.archive_time if in_own else file.time
        about = (draft, digest(file.data), time, whose, found, archive, in_own)
        self.incoming.append(Incoming(file.path, *about, entry=entry))

    def _whose(self, path, entry):
        if self.student:
            return Whose(self.student, way=BY_HAND)
        return self.inbound.whose(entry, self.roster) if entry else self.senders.whose(path)

    def _module(self, entry):
        return next((module for module in self.catalog if module.name == entry.module), None)

    def _is_beside_in_exchange(self, path):
        """Whether a notebook lies beside the one that was to be submitted through the exchange."""
        entry = self.inbound.entry(path)
        module = self._module(entry) if entry else None
        return module is not None and not entry.wants(path, module)

    def _module_of_artifact(self, path):
        """The module with whose notebook a file is handed in; None for what is handed in with none."""
        found = [module for module in self.catalog if is_artifact(path, module)]
        if len(found) > 1:
            found = [module for module in found if module == (self.modules.by_name(path) or self.only)]
        return found[0] if len(found) == 1 and self.only in (None, found[0]) else None

    def _recognise_artifact(self, file, module, draft):
        whose = self._whose(file.path, self.inbound.entry(file.path))
        if whose.reason:
            self.report("ambiguous" if whose.ambiguous else "refused", file.path, "", module.name, whose.reason)
            return
        draft.write_bytes(file.data)
        self.artifacts.append((file.path, draft, whose.student, module))

    def _join_artifacts(self):
        """Each notebook with the file that came with it: the only one in its folder, else the only one of its student.

        Canvas puts all files of a class into one folder, so both are looked for among the student's own.
        """
        unused = [artifact for artifact, *_ in self.artifacts]
        for place, one in enumerate(self.incoming):
            of_student = (one.whose.student, one.module)
            files = [path for path, _, *owner in self.artifacts if tuple(owner) == of_student]
            notebooks = [other.path for other in self.incoming if (other.whose.student, other.module) == of_student]
            for path in _only_pair(one.path, files, notebooks):
                drafts = {path: draft for path, draft, *_ in self.artifacts}
                self.incoming[place] = replace(one, artifact=drafts[path])
                unused.remove(path)
        owners = {(one.whose.student, one.module) for one in self.incoming}
        for path, _, *owner in self.artifacts:
            if path in unused:
                student, module = owner
                doubt = tuple(owner) in owners
                reason = (
                    "to which notebook it belongs is not clear" if doubt else f"came without {module.notebook.name}"
                )
                self.report("ambiguous" if doubt else "refused", path, student, module.name, reason)

    def report(self, status, file, student="", module="", reason="", late=None):
        self.rows.append(FileRow(status, file, student, module, reason, late))

    def _is_beside(self, one):
        """Whether it is a notebook without any answer that came with others: a student packed the whole workspace."""
        folders = PurePosixPath(one.path).parent.parts
        if self.only or not ("modules" in folders or any(part.lower().endswith(".zip") for part in folders[1:])):
            return False
        others = (other for other in self.incoming if other.module != one.module and other.whose == one.whose)
        if not any(top(other.path) == top(one.path) for other in others):
            return False
        if not self.modules.is_untouched(one.draft.read_bytes(), one.module):
            return False
        reason = "no answer is written in it, and it came with other notebooks; --module takes it"
        self.report("untouched", one.path, one.whose.student, one.module.name, reason)
        return True

    def _doubt_senders(self):
        """What would replace a submission that came another way, or from another sender, is nobody's for now."""
        groups = {}
        for one in self.incoming:
            groups.setdefault((one.module.name, one.whose.student), []).append(one)
        for (name, student), files in groups.items():
            kept = Attempts(self.course, self.catalog[name], student, self.entry(name, student)).before()
            for one, reason in doubts(files, kept, listed=bool(self.roster)):
                self.incoming.remove(one)
                self.report("ambiguous", one.path, student, name, f"{reason}; --student {student} takes it")

    def entry(self, module, student):
        """What is recorded of a submission."""
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

    def _doubt_exchange(self):
        """The time of an entry of the exchange is written by the student's own process."""
        late = []
        for one in self.incoming:
            deadline = self.dates.deadline(one.module, one.whose.student) if one.entry else None
            if deadline and one.time <= deadline.at < one.entry.changed - LATER:
                late.append(one.whose.student)
        if late:
            self.warnings.append(
                "the time stamp says in time, and the folder in the exchange was changed after the due date: "
                f"{', '.join(sorted({*late}))}; look at it, unless the exchange was copied since"
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


def _only_pair(notebook, files, notebooks):
    """The one of `files` that belongs to `notebook`, of the `notebooks` of one student; [] where that is not clear."""
    folder = PurePosixPath(notebook).parent
    beside = [path for path in files if PurePosixPath(path).parent == folder]
    if len(beside) == 1 and sum(PurePosixPath(path).parent == folder for path in notebooks) == 1:
        return beside
    return files if len(files) == len(notebooks) == 1 else []


def _prefixes(path):
    parts = PurePosixPath(path).parts
    return [str(PurePosixPath(*parts[: count + 1])) for count in range(len(parts) - 1)]


def top(path):
    """The first two parts of a path as it came in: the whole, and whose it is."""
    return PurePosixPath(path).parts[:2]
