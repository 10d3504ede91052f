"""The record of submissions, which this file alone reads and writes, and the files that count as one.

`tito grade collect` and `tito grade due` record under a module and a student what came in: every attempt, the name
under which it came, the one that counts, and how late it is.
"""

from tito.services.grading.roster.class_list import find_student, read_roster

RECORD = "submissions.json"


def read_submissions(course):
    """{module: {student: entry}} of all that was collected."""
    return course.read_record(RECORD)


def write_submissions(course, entries):
    course.write_record(RECORD, entries)


def submitted_notebook(course, module, student):
    """The file that counts as the submission of `student`, or None."""
    folder = course.submitted / student / module.name
    expected = folder / module.notebook.name
    if expected.is_file():
        return expected
    others = sorted(folder.glob("*.ipynb")) if folder.is_dir() else []
    return others[0] if len(others) == 1 and others[0].is_file() else None


def students_with_submissions(course, module):
    """The ids of those whose folder holds something for `module`."""
    folders = course.submitted.glob(f"*/{module.name}") if course.submitted.is_dir() else []
    return {folder.parent.name for folder in folders if not folder.parent.name.startswith(".")}


class Received:
    """The submissions of a module, as they were recorded.

    roster: the ids of the class list, empty where none was imported.
    """

    def __init__(self, course, module):
        self.course, self.module = course, module
        self.roster = sorted(read_roster(course).students)
        self._entries = read_submissions(course).get(module.name, {})

    def late(self, student):
        """Seconds after the due date, 0 in time; None where nothing is known."""
        return self._entries.get(student, {}).get("late")

    def name(self, student):
        """The name under which the submission came in, with folders; None where nothing is known."""
        return self._entries.get(student, {}).get("name")

    def students(self, wanted=()):
        """The ids of all who handed something in and of the class list, or of those of them that `wanted` names."""
        everyone = students_with_submissions(self.course, self.module) | set(self.roster)
        return sorted({find_student(self.course, text, also=everyone) for text in wanted} or everyone)
