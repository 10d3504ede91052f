"""Submissions dealt to graders: evenly, from a seed, and for good. Who comes later is added, and nobody else moves."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tito.errors import UsageError
from tito.services.files import atomic_write, remove_tree
from tito.services.grading.book import gradebook, records
from tito.services.grading.book.course import require_course
from tito.services.grading.graders.cells import csv_bytes
from tito.services.grading.graders.codes import codes
from tito.services.grading.intake.received import students_with_submissions
from tito.services.grading.roster.class_list import read_roster
from tito.services.grading.roster.people import safe_id

RECORD = "graders.json"
FORMGRADER = "http://127.0.0.1:8888"  # where `tito grade formgrade` is, unless that port is taken
BY = ("section",)


@dataclass(frozen=True)
class Assigned:
    """A submission on a grader's list. who: the student's id, or the code; waiting: how many of its answers wait for a
    person; address: of its page in the formgrader; new: whether it came onto the list now.
    """

    who: str
    name: str
    section: str
    waiting: int
    address: str
    new: bool


@dataclass(frozen=True)
class GraderList:
    grader: str
    rows: tuple
    path: Path


@dataclass(frozen=True)
class Dealt:
    """All lists of a module. anonymous: whether they hold codes for names; ungraded: who handed something in and is on
    no list, since it is not autograded yet.
    """

    module: str
    lists: tuple
    seed: int
    by: str
    anonymous: bool
    ungraded: tuple


def assign(project, module, graders=(), *, by=None, seed=None, again=False, anonymous=None, url=FORMGRADER):
    """Deal the graded submissions of `module` to `graders` and write a list for each; returns Dealt.

    Without graders those of before. by: "section" leaves all of a section to one grader, until it is dealt anew; seed:
    of the draw, the one of before or 0 where None; again: deal everything anew; anonymous: codes for names, as before
    where None; url: where the formgrader is.
    """
    course = require_course(project)
    gradebook.require_assignment(course, module)
    with course.locked(f"tito grade assign {module.name}"):
        record = course.read_record(RECORD)
        before = record.get(module.name, {})
        graders = _checked(graders) or before.get("graders", [])
        if not graders:
            raise UsageError("nobody grades yet", f"tito grade assign {module.name} --to ta1,ta2")
        by = by or ("" if again else before.get("by", ""))
        seed = before.get("seed", 0) if seed is None else seed
        anonymous = before.get("anonymous", False) if anonymous is None else anonymous
        kept = {} if again else before.get("students", {})
        graded, listed = _graded(course, module), read_roster(course).students
        groups = {student: listed[student].section for student in graded & set(listed)} if by else {}
        dealt = deal(graded, graders, kept, draw=f"{seed}\0{module.name}", groups=groups)
        students = {student: grader for grader, own in dealt.items() for student in own}
        # who was on a list and is not graded at the moment stays on it
        students = {name: grader for name, grader in kept.items() if grader in graders} | students
        told = {"graders": graders, "by": by, "seed": seed, "anonymous": anonymous}
        record[module.name] = {**told, "students": students}
        course.write_record(RECORD, record)
        rows = _rows(course, module, graded, listed, kept, students, anonymous=anonymous, url=url)
        lists = _write(course, module, dealt, rows, anonymous)
    ungraded = sorted(students_with_submissions(course, module) - graded)
    return Dealt(module.name, lists, seed, by, anonymous, tuple(ungraded))


def deal(students, graders, kept, *, draw, groups):
    """{grader: students}. kept: {student: grader} of before; draw: what the draw depends on; groups: {student: group}
    of those who go to one grader together, "" for one who goes alone.
    """
    lists = {grader: [] for grader in sorted(graders, key=lambda one: _drawn(draw, one))}
    for student in sorted(students):
        if kept.get(student) in lists:
            lists[kept[student]].append(student)
    holders = {}
    for grader, own in lists.items():
        for student in own:
            holders.setdefault(groups.get(student, ""), Counter())[grader] += 1
    together = {}
    for student in sorted(students, key=lambda one: _drawn(draw, one)):
        if kept.get(student) not in lists:
            group = groups.get(student, "")
            together.setdefault(("group", group) if group else ("student", student), []).append(student)
    for (kind, group), own in sorted(together.items(), key=lambda pair: -len(pair[1])):
        has_some = holders.get(group) if kind == "group" else None
        grader = has_some.most_common(1)[0][0] if has_some else min(lists, key=lambda one: len(lists[one]))
        lists[grader] += own
    return {grader: sorted(lists[grader]) for grader in graders}


def _drawn(draw, text):
    return hashlib.sha256(f"{draw}\0{text}".encode()).digest()


def list_of(course, module, grader):
    """The students on a grader's list. Raises UsageError where there is no such grader."""
    record = course.read_record(RECORD).get(module.name, {})
    if grader not in record.get("graders", []):
        known = ", ".join(record.get("graders", [])) or "nobody"
        raise UsageError(f"{grader} grades nothing of {module.name}; who does: {known}", "tito grade assign --help")
    return {student for student, other in record["students"].items() if other == grader}


def _checked(graders):
    for one in graders:
        if safe_id(one) != one:
            raise UsageError(f"{one!r} is no name for a list", f"for example --to {safe_id(one) or 'ta1'}")
    if len({one.casefold() for one in graders}) < len(graders):
        raise UsageError("a grader is named twice", "name each once: --to ta1,ta2")
    return list(graders)


def _graded(course, module):
    """Whose submissions are in the gradebook, with an answer of the formgrader to look at."""
    students = gradebook.recorded_students(course, module) & students_with_submissions(course, module)
    return {one for one in students if (found := records.read_record(course, module, one)) and found.recorded}


def _rows(course, module, graded, listed, kept, students, *, anonymous, url):
    """{student: Assigned}"""
    pages = gradebook.submission_pages(course, module)
    waiting, names = gradebook.waiting(course, module), gradebook.students(course)
    hidden = codes(course, module, graded) if anonymous else {}
    return {
        one: Assigned(
            who=hidden.get(one, one),
            name="" if anonymous else (one in listed and listed[one].full_name) or names[one].name,
            section=listed[one].section if one in listed and not anonymous else "",
            waiting=len(waiting.get(one, ())),
            address=f"{url.rstrip('/')}/formgrader/submissions/{pages[one]}/",
            new=kept.get(one) != students[one],
        )
        for one in graded
    }


def _write(course, module, dealt, rows, anonymous):
    folder = course.root / "graders" / module.name
    remove_tree(folder)  # lists of graders who no longer grade, and with names where there are codes now
    lists = []
    for grader, students in dealt.items():
        # by the code, or the order would be that of the names
        own = tuple(sorted((rows[one] for one in students), key=lambda row: row.who))
        path = folder / f"{grader}.csv"
        if anonymous:
            table = [["code", "waiting", "address"], *([row.who, row.waiting, row.address] for row in own)]
        else:
            table = [["student", "name", "section", "waiting", "address"]]
            table += [[row.who, row.name, row.section, row.waiting, row.address] for row in own]
        atomic_write(path, csv_bytes(table))
        lists.append(GraderList(grader, own, path))
    return tuple(lists)
