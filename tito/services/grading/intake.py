"""What is known about how submissions came in: who should have sent one, under which name, and how late."""


def on_roster(course):
    """The ids of the class list, in the order of the ids; empty where none was imported."""
    return sorted(course.read_record("roster.json").get("students", {}))


def lateness(course, module, student):
    """Seconds after the due date, 0 in time; None where nothing is known."""
    return _entry(course, module, student).get("late")


def incoming_name(course, module, student):
    """The name under which the submission came in, with folders; None where nothing is known."""
    return _entry(course, module, student).get("name")


def _entry(course, module, student):
    return course.read_record("submissions.json").get(module.name, {}).get(student, {})
