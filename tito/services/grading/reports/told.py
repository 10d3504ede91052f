"""The history of a module, for people: what was released, published and regraded when."""

from dataclasses import asdict, dataclass

from tito.services.grading.book import history as book
from tito.services.grading.book.course import require_course
from tito.services.grading.book.versions import Versions
from tito.services.grading.roster.class_list import find_student


@dataclass(frozen=True)
class Event:
    """Something that happened to a module. students: whom it was about; changed: for how many of them it was something
    new; None where it was about nobody.
    """

    at: str
    what: str
    version: str
    students: int | None = None
    changed: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class History:
    """graded_with: the name of the version that grades, "" for none; versions: {name of each kept one: since when}."""

    graded_with: str
    versions: dict
    events: tuple


def history(project, module):
    """The History of `module`, the oldest event first."""
    course = require_course(project)
    kept = Versions(course, module)
    events = tuple(_event(one) for one in book.events(course, module))
    names = {one.name: one.kept_at for one in kept.kept.values()}
    return History(kept.pinned.name if kept.pinned else "", names, events)


def _event(one):
    students = changed = None
    detail = one.get("way", "")
    if one["what"] == "published":
        students, changed = one["students"], len(one["scores"])
    elif one["what"] == "regraded":
        students, changed = one["students"], one["changed"]
        detail = f"from {one['before']}" + (", points were lowered too" if one["also_lower"] else "")
    return Event(one["at"], one["what"], one["version"], students, changed, detail)


def of_student(project, module, text):
    """(id, what was published to the student, the oldest first). Raises UsageError for somebody who is not known."""
    course = require_course(project)
    told = book.all_published(course, module)
    student = find_student(course, text, also=set(told))
    return student, [asdict(one) for one in told.get(student, [])]
