"""What was released, published and regraded when, with the version of the course: a record a module, only added to.

A score is *published* when `tito grade feedback` wrote the student's page or `tito grade export` wrote it into a file.
"""

from dataclasses import dataclass

from tito.services import lock
from tito.services.grading.book import versions


@dataclass(frozen=True)
class Published:
    """A score as a student was told it. submitted: the digest of the file that earned it; total: all that counted, a
    penalty taken off; points: {name of a graded cell: points}; version: what it was graded with, "" where not known.
    """

    at: str
    version: str
    submitted: str
    total: float
    points: dict


def events(course, module):
    """All that happened to `module`, the oldest first: {"at", "what", "version", …}, see add and publish."""
    return course.read_record(_record(module)).get("events", [])


def add(course, module, what, version, **more):
    """Add an event. what: released, published or regraded; version: the name of the one that grades from then on."""
    with lock.hold(course.state / "history-lock", f"the history of {module.name}", waiting=lambda: None):
        _append(course, module, {"at": versions.now(), "what": what, "version": version, **more})


def publish(course, module, way, scores):
    """Note that `scores`, {student: (digest of the file, total, {cell: points})}, were published by `way`.

    Of those that were published just so before, no more is kept than that there were some.
    """
    if not scores:
        return
    pinned = versions.Versions(course, module).pinned
    version = pinned.name if pinned else ""
    with lock.hold(course.state / "history-lock", f"the history of {module.name}", waiting=lambda: None):
        before = published(course, module)
        fresh = {}
        for student, (submitted, total, points) in sorted(scores.items()):
            known = before.get(student)
            if known is None or (known.submitted, known.total, known.points) != (submitted, total, points):
                fresh[student] = {"submitted": submitted, "total": total, "points": points}
        event = {"at": versions.now(), "what": "published", "version": version, "way": way, "students": len(scores)}
        _append(course, module, {**event, "scores": fresh})


def published(course, module):
    """{student: Published} of what each was told last."""
    return {student: told[-1] for student, told in all_published(course, module).items()}


def all_published(course, module):
    """{student: [Published]} of all that each was told, in order."""
    found = {}
    for event in events(course, module):
        for student, score in event.get("scores", {}).items():
            found.setdefault(student, []).append(Published(event["at"], event["version"], **score))
    return found


def _record(module):
    return f"history/{module.name}.json"


def _append(course, module, event):
    course.write_record(_record(module), {"events": [*events(course, module), event]})
