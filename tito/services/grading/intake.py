"""What is known about how submissions came in: who should have sent one, under which name, and how late."""

from tito.services.grading.roster.class_list import read_roster


class Intake:
    """The submissions of a module, as `tito grade collect` and `tito grade roster` recorded them.

    roster: the ids of the class list, empty where none was imported.
    """

    def __init__(self, course, module):
        self.roster = sorted(read_roster(course).students)
        self._entries = course.read_record("submissions.json").get(module.name, {})

    def late(self, student):
        """Seconds after the due date, 0 in time; None where nothing is known."""
        return self._entries.get(student, {}).get("late")

    def name(self, student):
        """The name under which the submission came in, with folders; None where nothing is known."""
        return self._entries.get(student, {}).get("name")
