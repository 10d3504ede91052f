"""Whose file is it, and of which module? Names of an LMS, nbgrader's folders, the class list, and what is inside.

A module is recognised by the grade_ids in the notebook, whatever the file is called; a student by what the LMS or the
folder says. Where two answers are possible, neither is taken.
"""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tito.services import notebooks, strip
from tito.services.grading.roster.people import safe_id

CANVAS = re.compile(r"(?P<name>.+?)_(?P<late>LATE_)?(?P<user>\d+)_(?P<submission>\d+)_(?P<original>.+)")
MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_(?P<kind>file|onlinetext)_?(?P<original>.*)")
RESUBMISSION = re.compile(r"-(\d+)$")
GRADE_ID = re.compile(r'"grade_id"\s*:\s*"([^"\\]+)"')
# folders that say nothing about a student
COMMON = ("submitted", "modules", "assignments", "autograded", "release", "source", "submissions")
AS_TEXT = ("", ".json", ".txt")


@dataclass(frozen=True)
class Whose:
    """student: an id, "" where `reason` says why there is none; ambiguous: whether it could be several.

    lms: "late" where the LMS says so; order: (number of the submission, number of the resubmission) where the LMS
    numbers them. guessed: the id is made of a folder or file name.
    """

    student: str = ""
    reason: str = ""
    ambiguous: bool = False
    lms: str = ""
    lms_id: str = ""
    order: tuple = (0, 0)
    guessed: bool = False
    canvas: bool = False


class People:
    """Recognises students. known: {LMS id: student} of what was collected before."""

    def __init__(self, roster, catalog, known):
        self.roster = roster
        self.catalog = catalog
        self.known = dict(known)
        self.names = {}

    def whose(self, path):
        """Whose the file `path` is, a path as it came in."""
        parts = PurePosixPath(path).parts
        for part in [*parts[1:], parts[0]]:
            for pattern in (MOODLE, CANVAS):
                match = pattern.fullmatch(part)
                if match:
                    return self._of_lms(match, pattern is CANVAS)
        return self._of_folders(parts)

    def _of_lms(self, match, canvas):
        found = match.groupdict()
        number = RESUBMISSION.search(PurePosixPath(found["original"]).stem)
        about = {
            "lms": "late" if found.get("late") else "",
            "lms_id": found["user"],
            "order": (int(found.get("submission") or 0), int(number[1]) if number else 0),
            "canvas": canvas,
        }
        if self.roster:
            return self._on_roster(found["name"], found["user"], canvas, about)
        if found["user"] in self.known:
            return Whose(self.known[found["user"]], **about)
        student = safe_id(found["name"])
        if not student or self.names.get(student, found["user"]) != found["user"] or student in self.known.values():
            student = f"{student or 'student'}-{found['user']}"
        self.names[student] = found["user"]
        self.known[found["user"]] = student
        return Whose(student, **about)

    def _on_roster(self, name, user, canvas, about):
        by_id, by_name = self.roster.by_lms_id(user), self.roster.by_text(name)
        both = [one for one in by_id if one in by_name]
        # Moodle's number is one of the assignment: alone it may be another student's id
        found = both or ([] if by_id and by_name else by_name or (by_id if canvas else []))
        if len(found) == 1:
            return Whose(found[0].id, **about)
        if by_id and by_name or len(found) > 1:
            names = ", ".join(sorted({one.id for one in [*by_id, *by_name]}))
            return Whose(reason=f"may be of {names}", ambiguous=True, **about)
        return Whose(reason=f"is of {name} (LMS id {user}), who is not on the class list", **about)

    def _of_folders(self, parts):
        """By nbgrader's folders <student>/<module>, by the class list, else by the outermost folder or the name."""
        modules = {module.name for module in self.catalog}
        for student, module in zip(parts, parts[1:], strict=False):
            if module in modules and student not in COMMON:
                return self._named(student)
        folders = [part for part in parts[1:-1] if part not in modules and part.lower() not in COMMON]
        texts = [*map(_stem, folders), self._without_module(_stem(parts[-1]))]
        if self.roster:
            return self._by_roster([*texts, _stem(parts[0])])
        text = next((text for text in texts if safe_id(text)), "")
        if not text:
            return Whose(reason="nothing in its name or folder says whose it is")
        return Whose(safe_id(text), guessed=True)

    def _named(self, text):
        if not self.roster:
            return Whose(safe_id(text)) if safe_id(text) else Whose(reason=f"{text!r} is no id")
        return self._by_roster([text])

    def _by_roster(self, texts):
        for text in texts:
            found = {one.id for one in self.roster.by_text(text)} or {
                one.id for word in re.split(r"[\s_()-]+", text) for one in self.roster.by_text(word)
            }
            if len(found) == 1:
                return Whose(*found)
            if found:
                return Whose(reason=f"may be of {', '.join(sorted(found))}", ambiguous=True)
        named = next((text for text in texts if text), "")
        return Whose(reason=f"{named!r} is nobody on the class list")

    def _without_module(self, stem):
        """A file name without what names its module: "alpha_dev ana (1)" says ana."""
        for module in self.catalog:
            for name in (module.notebook.stem, module.name, module.short):
                stem = re.sub(rf"(?i)(?<![^\W_]){re.escape(name)}(?![^\W_])", " ", stem)
        return re.sub(r"\(\d+\)|[\s_-]+", " ", stem).strip()


def _stem(name):
    return name[:-4] if name.lower().endswith(".zip") else re.sub(r"(?i)\.ipynb.*$", "", name)


class Modules:
    """Recognises modules, by the grade_ids that only one of them has."""

    def __init__(self, course, catalog):
        self.course = course
        self.catalog = catalog
        self._stubs = {}
        ids = {module.name: self._grade_ids(module) for module in catalog}
        shared = [name for own in ids.values() for name in own]
        self.own = {name: {one for one in own if shared.count(one) == 1} for name, own in ids.items()}

    def _grade_ids(self, module):
        released = self.course.release / module.name / module.notebook.name
        if released.is_file():
            return grade_ids(released.read_bytes())
        node = notebooks.load(self.course.project, module.percent).node
        return {notebooks.grade_id(cell) for cell in node.cells} - {None}

    def by_content(self, data):
        """The module whose grade_ids the notebook holds, a broken one as well; None where that says nothing."""
        found = grade_ids(data)
        counts = {name: len(found & own) for name, own in self.own.items()}
        best = max(counts, key=counts.get)
        if counts[best] == 0 or list(counts.values()).count(counts[best]) > 1:
            return None
        return self.catalog[best]

    def by_name(self, path):
        """The module that the file name, else a folder, names; None where none or several do."""
        for part in reversed(PurePosixPath(path).parts):
            words = f" {re.sub(r'[^0-9a-z]+', ' ', part.lower())} "
            found = [module for module in self.catalog if f" {module.short.replace('_', ' ')} " in words]
            if len(found) == 1:
                return found[0]
        return None

    def is_untouched(self, data, module):
        """Whether no answer was written into the notebook."""
        if module.name not in self._stubs:
            source = notebooks.load(self.course.project, module.percent)
            self._stubs[module.name] = _answers(strip.strip(source.node, source).cells)
        try:
            cells = json.loads(data)["cells"]
            return _answers(cells) == self._stubs[module.name]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False


def _answers(cells):
    """{grade_id: source without white space} of the cells that students write."""
    return {
        notebooks.grade_id(cell): "".join("".join(cell["source"]).split())
        for cell in cells
        if notebooks.is_solution(cell) or notebooks.is_written(cell)
    }


def grade_ids(data):
    """The grade_ids in the bytes of a notebook; of a broken one those that can still be found."""
    text = data.decode("utf-8", "replace")
    try:
        cells = json.loads(text)["cells"]
        return {notebooks.grade_id(cell) for cell in cells if isinstance(cell, dict)} - {None}
    except (ValueError, KeyError, TypeError, RecursionError):
        return set(GRADE_ID.findall(text))


def is_notebook(path, data):
    """Whether a file is meant to be a notebook: by its name, or by its content where browsers renamed it."""
    name = PurePosixPath(path).name.lower()
    if ".ipynb" in name:
        return True
    if PurePosixPath(name).suffix not in AS_TEXT:
        return False
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("cells"), list) and "nbformat" in document
