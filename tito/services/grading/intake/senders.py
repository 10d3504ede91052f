"""Whose is it? Only the outermost part of a path, which the LMS or the instructor made, names the student.

That part is an archive's entry as an LMS names it, a folder by student, nbgrader's <student>/<module>, or the name of a
file that lies beside others. What is inside a student's own archive, folder or file name is the student's to choose and
names nobody. Where two answers are possible, neither is taken.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from tito.services.grading.roster.people import safe_id

# Neither LMS leaves an underscore in a name, so that no original file name can look like another student's
CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<submission>\d+)_(?P<original>.+)")
MOODLE = re.compile(r"(?P<name>[^_]+)_(?P<user>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<original>.*)")
RESUBMISSION = re.compile(r"-(\d+)$")
# folders that say nothing about a student
COMMON = ("submitted", "modules", "assignments", "autograded", "release", "source", "submissions")
BY_HAND = "by hand"
WAYS = {
    "canvas": "from Canvas",
    "moodle": "from Moodle",
    "exchange": "through nbgrader's exchange",
    "folder": "in a folder or an archive of the student's",
    "file": "as a file beside others",
    BY_HAND: "by hand, with --student",
}
SHORTEST_NUMBER = 5  # a shorter one inside a name is a version, a week or part of a date, and not an id


@dataclass(frozen=True)
class Whose:
    """student: an id, "" where `reason` says why there is none; ambiguous: whether it could be several.

    way: how it came: canvas, moodle, exchange (nbgrader's), folder (or archive) of a student, file beside others, "by
    hand" with --student.
    lms: "late" where the LMS says so; order: (number of the submission, number of the resubmission) where the LMS
    numbers them. guessed: the id is made of a folder or file name. whole: what was collected is this student's whole.
    """

    student: str = ""
    reason: str = ""
    ambiguous: bool = False
    way: str = ""
    lms: str = ""
    lms_id: str = ""
    order: tuple = (0, 0)
    guessed: bool = False
    whole: bool = False


class Senders:
    """Recognises students. known: {(way, LMS id): student} of what was collected before; names: of all that lies at the
    top of what is collected, since an LMS names it all alike.
    """

    def __init__(self, roster, catalog, known, names=()):
        self.roster = roster
        self.catalog = catalog
        self.modules = {module.name for module in catalog}
        self.known = dict(known)
        self.numbers = {}
        # Moodle's entries: who has which numbers
        self.participants = {}
        for match in filter(None, map(MOODLE.fullmatch, names)):
            self.participants.setdefault(match["name"], set()).add(match["user"])

    def whose(self, path):
        """Whose the file `path` is, a path as it came in."""
        root, *below = PurePosixPath(path).parts
        while len(below) > 1 and self._says_nothing(below[0], root):
            below.pop(0)
        if not below:
            return self._of_part(root, "file", in_archive=False)
        found = self._of_part(
            below[0], "folder" if len(below) > 1 or _is_archive(below[0]) else "file", in_archive=_is_archive(root)
        )
        if not self.roster:
            return self._beside_root(found, PurePosixPath(path).parts, below)
        whole = self._of_root(root)
        if not whole.student:
            return found
        if found.student != whole.student and (found.student or found.ambiguous or found.lms_id):
            other = found.student or found.reason
            return _ambiguous(f"is in {root}, which names {whole.student}, and may be of {other}", found)
        return replace(whole, whole=True)

    def is_nbgraders(self, path):
        """Whether the file lies where nbgrader's exchange puts one: <student>/<module>, and not in what one sent."""
        root, *below = PurePosixPath(path).parts
        while len(below) > 3 and self._says_nothing(below[0], root):
            below.pop(0)
        student, module = [root, *below][-3:-1] if len(below) in (2, 3) else ("", "")
        is_folder = not (_is_archive(student) or _match(student) or self._says_nothing(student, root))
        return module in self.modules and is_folder

    def _says_nothing(self, folder, root):
        """Whether a folder holds several students' work: nbgrader's own, a module's, or a zip's copy of its name."""
        return folder.lower() in COMMON or folder in self.modules or (_is_archive(root) and folder == _stem(root))

    def _of_root(self, root):
        """The student whose everything in `root` is: a class list has that very name. Elsewhere `root` is a week's."""
        match = _match(root)
        if match:
            return self._of_lms(match, in_archive=False)
        people = self.roster.by_text(_stem(root)) or self.roster.by_text(self._without_module(_stem(root)))
        return Whose(people[0].id, way="folder") if len(people) == 1 else Whose()

    def _beside_root(self, found, parts, below):
        """Without a class list: what is named by the folder below the root, or by nbgrader's folders elsewhere."""
        root, folders = _stem(parts[0]), [_stem(parts[0]), *parts[1:-1]]
        named = [
            student
            for student, module in zip(folders, folders[1:], strict=False)
            if module in self.modules and student not in self.modules and student.lower() not in COMMON
        ]
        if found.lms_id or any(map(_is_archive, folders[1:])):
            return found
        if not found.student and not found.ambiguous:
            match = _match(parts[0])
            if match:
                return replace(self._of_lms(match, in_archive=False), whole=True)
            return Whose(safe_id(root), way="folder", whole=True) if named[:1] == [root] and safe_id(root) else found
        if named[:1] == [below[0]]:
            return replace(found, guessed=False)
        other = next((name for name in named if safe_id(name) != found.student), "")
        if other:
            return _ambiguous(f"may be of {found.student} or of {other}; collect its folder by itself", found)
        return found

    # One part of a path.

    def _of_part(self, part, way, *, in_archive):
        match = _match(part)
        if match:
            return self._of_lms(match, in_archive)
        text = _stem(part)
        shorter = self._without_module(text)
        if self.roster:
            return self._on_roster([text, shorter], way)
        student = safe_id(shorter if way == "file" else text)
        if not student:
            return Whose(reason="nothing in its name or folder says whose it is; give --student")
        return Whose(student, way=way, guessed=True)

    def _on_roster(self, texts, way):
        """By a whole name or id, else by the words in it."""
        for text in texts:
            is_sure = text == texts[0] or not _may_be_a_date(text)
            people = {one.id for one in self.roster.by_text(text)} if is_sure else set()
            words = [] if people else re.split(r"[\s_()-]+", text)
            people |= {one.id for word in words for one in self.roster.by_text(word) if not _may_be_a_date(word)}
            if len(people) == 1:
                return Whose(*people, way=way)
            if people:
                return Whose(reason=f"may be of {', '.join(sorted(people))}", ambiguous=True)
            dates = {one.id for word in words for one in self.roster.by_text(word)}
            if dates:
                reason = f"may be of {', '.join(sorted(dates))}, or the number is part of a date; give --student"
                return Whose(reason=reason, ambiguous=True)
        named = next((text for text in reversed(texts) if text), "")
        if not named:
            return Whose(reason="nothing in its name or folder says whose it is; give --student")
        several = "; if it holds the work of several, collect it by itself" if way == "folder" else ""
        return Whose(reason=f"{named!r} is nobody on the class list{several}")

    def _without_module(self, stem):
        """A file name without what names its module: "alpha_dev ana (1)" says ana."""
        for module in self.catalog:
            for name in (module.notebook.stem, module.name, module.short):
                stem = re.sub(rf"(?i)(?<![^\W_]){re.escape(name)}(?![^\W_])", " ", stem)
        return re.sub(r"\(\d+\)|[\s_-]+", " ", stem).strip()

    # What an LMS says.

    def _of_lms(self, match, in_archive):
        parts = match.groupdict()
        way = "canvas" if match.re is CANVAS else "moodle"
        number = RESUBMISSION.search(PurePosixPath(parts["original"]).stem)
        about = {
            "way": way,
            "lms": "late" if parts.get("late") else "",
            "lms_id": parts["user"],
            "order": (int(parts.get("submission") or 0), int(number[1]) if number else 0),
        }
        if not self.roster:
            return Whose(self._invented(parts["name"], way, parts["user"]), **about)
        return self._listed(parts["name"], parts["user"], about, in_archive)

    def _listed(self, name, user, about, in_archive):
        """Name and number have to agree, where the class list knows both.

        Canvas's number alone counts in an archive only, whose names nobody but Canvas made; Moodle's is one of the
        assignment, and alone may be another student's id.
        """
        canvas = about["way"] == "canvas"
        canvas = about["way"] == "canvas"
        by_id = [one for one in self.roster.by_lms_id(user) if not canvas or one.lms_id == user]
        by_name = self.roster.by_text(name) or ([] if canvas else self._in_group(name))
        both = [one for one in by_id if one in by_name]
        named = both or by_name or (by_id if canvas and in_archive else [])
        contradicts = canvas and not both and by_name and (by_id or any(one.lms_id for one in by_name))
        if len(named) == 1 and not contradicts:
            return Whose(named[0].id, **about)
        if named or by_id and canvas:
            people = ", ".join(sorted({one.id for one in [*by_id, *by_name]}))
            return Whose(reason=f"may be of {people}: name {name}, LMS id {user}", ambiguous=True, **about)
        return Whose(reason=f"is of {name} (LMS id {user}), who is not on the class list", **about)

    def _in_group(self, name):
        """The students whom a name behind that of a group may mean: "Team 3-Ana Lovelace", as Moodle writes all of them
        where groups hand in. A group that others are in as well ends where theirs does, so that a name cannot hold one.
        """
        others = [other for other in self.participants if other != name]
        if not others or not all("-" in one and not self.roster.by_text(one) for one in self.participants):
            return []
        groups = [name[: dash.start()] for dash in re.finditer("-", name)]
        shared = [group for group in groups if any(other.startswith(f"{group}-") for other in others)]
        found = {}
        for group in shared[:1] or groups:
            found.update({one.id: one for one in self.roster.by_text(name[len(group) + 1 :])})
        return list(found.values())

    def _invented(self, name, way, user):
        """An id for a student of whom only the LMS's name and number are known; the same one in every archive.

        Moodle gives a student a new number for every assignment: there the name says who it is, if it says one.
        """
        if (way, user) not in self.known:
            student = safe_id(name)
            is_new = student not in self.known.values() or way == "moodle" and len(self.participants.get(name, ())) == 1
            if not student or self.numbers.get(student, user) != user or not is_new:
                student = f"{student or 'student'}-{user}"
            self.numbers[student] = user
            self.known[way, user] = student
        return self.known[way, user]


def _ambiguous(reason, about):
    return replace(about, student="", reason=f"{reason}; give --student", ambiguous=True)


def _match(part):
    """The match where an LMS gave the name."""
    return MOODLE.fullmatch(part) or CANVAS.fullmatch(part)


def _is_archive(part):
    return part.lower().endswith(".zip")


def _stem(name):
    return name[:-4] if _is_archive(name) else re.sub(r"(?i)\.ipynb.*$", "", name)


def _may_be_a_date(word):
    """Whether a number inside a name is too short for an id, or is a day: 20261126, 261126."""
    if not word.isdecimal():
        return False
    if len(word) < SHORTEST_NUMBER:
        return True
    for form, length in (("%Y%m%d", 8), ("%d%m%Y", 8), ("%y%m%d", 6), ("%d%m%y", 6)):
        try:
            if len(word) == length and abs(datetime.strptime(word, form).year - 2030) < 15:
                return True
        except ValueError:
            continue
    return False


# Several files for one student and module.


def doubts(files, kept, *, listed):
    """[(file, reason)] of those of `files` that may be another student's.

    files: what came in now for one student and module, each with a digest, a name and a Whose; kept: the attempts that
    are there already; listed: whether there is a class list. What --student says is not doubted.
    """
    known = {one["digest"] for one in kept}
    new = {one.digest: one for one in files if one.digest not in known and one.whose.way != BY_HAND}
    reasons = [(one, _doubt(one, [*new.values()], kept, listed)) for one in files if one.digest in new]
    return [(one, reason) for one, reason in reasons if reason]


def _doubt(one, new, kept, listed):
    own = one.whose
    ways = {other.get("way", "") for other in kept} or {other.whose.way for other in new}
    if "" not in ways and (own.way not in ways or not kept and len(ways) > 1):
        others = " and ".join(sorted(WAYS[way] for way in ways - {own.way}))
        return f"came {WAYS[own.way]}, and {own.student}'s other submission {others}"
    numbers = {other.whose.lms_id for other in new}
    if own.way == "canvas" or not listed:
        numbers |= {other["lms_id"] for other in kept if other.get("way") == own.way}
    if len(numbers) > 1:
        return f"{len(numbers)} LMS ids for one student: {', '.join(sorted(numbers))}"
    if own.way == "canvas" and [other.whose.order[0] for other in new].count(own.order[0]) > 1:
        return f"{own.order[0]}, which Canvas gives to one file only, is in the names of several"
    if own.guessed and (len(new) > 1 or kept and one.name not in {other["name"] for other in kept}):
        return f"several notebooks of one module for {own.student}, a name that is a guess; give a class list"
    return ""
