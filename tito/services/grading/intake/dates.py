"""When work is due: due dates with a time zone, extensions, and how late a submission is.

A date is kept as it was said, local time and zone, and in nbgrader's gradebook as nbgrader keeps it, in UTC without
a zone. "+2d" is two days on the calendar: the same time of day after the clocks were changed.
"""

import contextlib
import os
import re
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tito.errors import UsageError
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.received import read_submissions, write_submissions

RECORD = "dates.json"
SPAN = re.compile(r"\+(?:(?P<weeks>\d+)w)?(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?")
END_OF_DAY = time(23, 59)
WEEK = re.compile(r"\d{4}-?W\d\d")  # which Python takes for its Monday
EXAMPLE = "write it like 2026-12-01T23:59"
FAR = timedelta(days=3653)  # nobody sets a date ten years away


@dataclass(frozen=True)
class Deadline:
    """A time in UTC, and in words with its zone."""

    at: datetime
    words: str


@dataclass(frozen=True)
class Changed:
    """What a new date did. late: {student: seconds} of all submissions of the module that are late now."""

    module: str
    student: str
    deadline: Deadline | None
    before: Deadline | None
    late: dict


class Dates:
    """The due dates and extensions of a course, as they are recorded."""

    def __init__(self, course):
        self.course = course
        data = course.read_record(RECORD)
        self.timezone = data.get("timezone")
        self.due = data.get("due", {})
        self.extensions = data.get("extensions", {})
        self.attempts = data.get("attempts", {})

    def write(self):
        self.course.write_record(
            RECORD,
            {
                "timezone": self.timezone,
                "due": self.due,
                "extensions": self.extensions,
                "attempts": self.attempts,
            },
        )

    @property
    def zone(self):
        """The zone of the course: the last that was given, else this machine's; None where its name is not known."""
        return _zone(self.timezone) if self.timezone else _machine_zone()

    def deadline(self, module, student=None):
        """The Deadline of `module`, for `student` with the extension; None where there is no due date."""
        due = self.due.get(module.name)
        if due is None:
            return None
        at, zone = datetime.fromisoformat(due["utc"]), due["zone"] and _zone(due["zone"])
        extension = self.extensions.get(module.name, {}).get(student)
        if extension is not None:
            at = max(at, _extended(at, zone, extension))
        return Deadline(at, _words(at, zone))

    def late(self, module, student, entry):
        """Seconds after the deadline of what the record `entry` says of a submission, 0 in time.

        None where the due date is not known, or the time and whether it was in time; and where the time is in time,
        but the LMS says late and no extension explains it.
        """
        deadline, time, lms = self.deadline(module, student), read_time(entry.get("time")), entry.get("lms")
        if deadline is None:
            return None
        if time is None:
            return 0.0 if lms == "in time" else None
        if lms == "late" and time <= self.deadline(module).at:
            return None
        return max(0.0, (time - deadline.at).total_seconds())

    def is_late(self, module, student, entry):
        """Whether a submission is late as far as anything is known of it; where there is no due date, none is."""
        late = self.late(module, student, entry)
        return late > 0 if late is not None else entry.get("lms") == "late" and self.deadline(module) is not None


def set_due(project, module, text, timezone=None):
    """Set the due date of `module`: "2026-12-01T23:59" in `timezone`, or "none". Returns Changed."""
    course = require_course(project)
    course.prepare()
    with _changing(course, f"tito grade due {module.name}") as dates:
        before = dates.deadline(module)
        if timezone:
            _zone(timezone)
            dates.timezone = timezone
        if text.lower() == "none":
            dates.due.pop(module.name, None)
        else:
            zone = dates.zone
            at = parse_time(text, zone)
            dates.due[module.name] = {"utc": at.isoformat(), "zone": zone.key if zone else None, "said": text}
        late = _apply(course, dates, module)
        return Changed(module.name, "", dates.deadline(module), before, late)


def extend(project, module, student, text):
    """Give `student` (an id) until "+2d" after the due date, until a local time, or "none". Returns Changed."""
    course = require_course(project)
    with _changing(course, f"tito grade extend {student} {module.name}") as dates:
        due = dates.deadline(module)
        if due is None:
            hint = f"tito grade due {module.name} 2026-12-01T23:59 --tz Europe/Berlin"
            raise UsageError(f"{module.name} has no due date that could be extended", hint)
        before = dates.deadline(module, student)
        granted = dates.extensions.setdefault(module.name, {})
        if text.lower() == "none":
            granted.pop(student, None)
        else:
            granted[student] = _parse_extension(text, dates, due)
        late = _apply(course, dates, module)
        return Changed(module.name, student, dates.deadline(module, student), before, late)


@contextlib.contextmanager
def _changing(course, doing):
    with course.locked(doing):
        dates = Dates(course)
        yield dates
        dates.write()


def _parse_extension(text, dates, due):
    span = SPAN.fullmatch(text.strip().lower())
    if span and any(span.groupdict().values()):
        extension = {key: int(value) for key, value in span.groupdict().items() if value}
        with contextlib.suppress(OverflowError):
            if _extended(due.at, dates.zone, extension) - due.at < FAR:
                return extension
        raise UsageError(f"{text} is more than ten years", "for example +2d, +1w, +36h or +1d12h")
    if text.strip().startswith("+"):
        raise UsageError(f"{text!r} is no span of time", "for example +2d, +1w, +36h or +1d12h")
    at = parse_time(text, dates.zone)
    if at < due.at:
        raise UsageError(f"{text} is before the due date, {due.words}", "an extension ends after the due date")
    return {"until": at.isoformat()}


def _extended(at, zone, extension):
    if "until" in extension:
        return datetime.fromisoformat(extension["until"])
    days = timedelta(weeks=extension.get("weeks", 0), days=extension.get("days", 0))
    hours = timedelta(hours=extension.get("hours", 0), minutes=extension.get("minutes", 0))
    local = at.astimezone(zone)
    moved = (local.replace(tzinfo=None) + days).replace(tzinfo=zone, fold=local.fold)
    return moved.astimezone(UTC) + hours


# In the records and in the gradebook.


def _apply(course, dates, module):
    """Bring the gradebook and the lateness of what was collected up to date. Returns {student: seconds late}."""
    deadline = dates.deadline(module)
    records = read_submissions(course)
    entries = records.get(module.name, {})
    for student, entry in entries.items():
        entry["late"] = dates.late(module, student, entry)
    if entries:
        write_submissions(course, records)
    with course.open_gradebook() as book:
        book.update_or_create_assignment(module.name, duedate=deadline and deadline.at.replace(tzinfo=None))
        recorded = {one.student.id for one in book.assignment_submissions(module.name)}
        for student in recorded | set(entries) & set(dates.extensions.get(module.name, {})):
            grant(book, dates, module, student)
    return {student: entry["late"] for student, entry in sorted(entries.items()) if entry["late"]}


def grant(book, dates, module, student):
    """Write the extension of `student` into the gradebook, so that nbgrader's penalty counts from the deadline.

    nbgrader keeps it with the submission, which is made where there is none yet and an extension was given.
    """
    from nbgrader.api import MissingEntry

    due, deadline = dates.deadline(module), dates.deadline(module, student)
    more = deadline.at - due.at if due else timedelta()
    try:
        submission = book.find_submission(module.name, student)
    except MissingEntry:
        if not more:
            return
        book.update_or_create_student(student)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy's about nbgrader's way of using it
            submission = book.add_submission(module.name, student)
    submission.extension = more or None
    book.db.commit()


def read_time(text):
    """The time in UTC that a record holds, or None."""
    return datetime.fromisoformat(text) if text else None


# Reading times.


def parse_time(text, zone):
    """The time in UTC that a person means by `text`; local times are of `zone`, of this machine where it is None.

    A date alone, however it is written, is its last minute. Raises UsageError for what is no time, for one that is far
    away, and for a local time that the change of the clocks skips or repeats.
    """
    local = _local_time(text)
    if abs(local.replace(tzinfo=None) - datetime.now()) > FAR:
        raise UsageError(f"{text} is more than ten years away", f"check the year; {EXAMPLE}")
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    stated = local.isoformat(timespec="minutes")
    either = {fold: local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    if either[0] == either[1]:
        return either[0]
    name = zone.key if zone else "the time zone of this machine"
    offsets = [local.replace(tzinfo=zone, fold=fold).astimezone(zone).isoformat()[-6:] for fold in (0, 1)]
    if either[0].astimezone(zone).replace(tzinfo=None) != local:
        later = (local + timedelta(hours=1)).isoformat("T", "minutes")
        raise UsageError(
            f"{stated} does not exist in {name}: the clocks are put forward over it", f"take a time such as {later}"
        )
    raise UsageError(
        f"{stated} happens twice in {name}: the clocks are put back",
        f"write {stated}{offsets[0]} or {stated}{offsets[1]}",
    )


def _local_time(text):
    """The time that `text` says, with a time zone where it says one."""
    stated = text.strip()
    if not WEEK.fullmatch(stated):
        with contextlib.suppress(ValueError):
            return datetime.combine(date.fromisoformat(stated), END_OF_DAY)
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(stated)
    raise UsageError(f"{text!r} is no date and time", EXAMPLE)


def _zone(name):
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "name it like Europe/Berlin" + ("; if no name works: pip install tzdata" if os.name == "nt" else "")
        raise UsageError(f"there is no time zone {name!r}", hint) from None


def _machine_zone():
    """The zone of this machine by its name, or None."""
    linked = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2] if os.name == "posix" else ""
    for name in (os.environ.get("TZ", "").lstrip(":"), linked):
        try:
            return ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


def _words(at, zone):
    local = at.astimezone(zone)
    place = zone.key if zone else local.tzname()
    return f"{local:%Y-%m-%d %H:%M} {place} ({at:%Y-%m-%d %H:%M} UTC)"
