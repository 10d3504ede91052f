"""nbgrader's gradebook, opened once for a whole class.

nbgrader's autograder opens the database nine times for each submission, asks for each cell on its own, and waits for
the disk after each score. Here all its steps share one connection, what is the same for a class is read once, and a
submission's scores are written in one transaction: all of them or none.
"""

import importlib
from contextlib import contextmanager
from types import SimpleNamespace

USERS = (
    "nbgrader.converters.autograde",
    "nbgrader.preprocessors.latesubmissions",
    "nbgrader.preprocessors.overwritecells",
    "nbgrader.preprocessors.overwritekernelspec",
    "nbgrader.preprocessors.saveautogrades",
)


@contextmanager
def one_book(course):
    """Yield the gradebook of `course` that all of nbgrader's autograder uses meanwhile."""
    with course.open_gradebook() as book:  # makes it, or says what is wrong with it
        course_id = book.course_id
    shared = _shared_class()(course.database.url, course_id)
    modules = [importlib.import_module(name) for name in USERS]
    theirs = [module.Gradebook for module in modules]
    try:
        for module in modules:
            module.Gradebook = lambda *_: shared
        yield shared
    finally:
        for module, name in zip(modules, theirs, strict=True):
            module.Gradebook = name
        shared.close()


def _shared_class():
    from nbgrader.api import BaseCell, Comment, Grade, Gradebook, MissingEntry

    class SharedGradebook(Gradebook):
        """What nbgrader's steps ask for, remembered: cells for the class, grades and comments for a submission."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._cells, self._rows = {}, {}

        def __exit__(self, *_):
            """Stays open: the next step goes on with it."""

        @contextmanager
        def submission(self):
            """Around one submission: the rows of the one before are forgotten, and nothing is left half-written."""
            self._rows.clear()
            try:
                yield
            except BaseException:
                self.db.rollback()
                raise

        @contextmanager
        def one_transaction(self):
            whole = self.db.commit
            self.db.commit = self.db.flush
            try:
                yield
            finally:
                self.db.commit = whole
            whole()

        def find_source_cell(self, name, notebook, assignment):
            return self._cell(("source", name, notebook, assignment), super().find_source_cell)

        def find_graded_cell(self, name, notebook, assignment):
            return self._cell(("graded", name, notebook, assignment), super().find_graded_cell)

        def _cell(self, key, find):
            if key not in self._cells:
                found = find(*key[1:])
                names = [column.key for column in type(found).__mapper__.column_attrs]
                self._cells[key] = SimpleNamespace(**{one: getattr(found, one) for one in names})
            return self._cells[key]

        def find_grade(self, name, notebook, assignment, student):
            return self._row(Grade, name, notebook, assignment, student)

        def find_comment(self, name, notebook, assignment, student):
            return self._row(Comment, name, notebook, assignment, student)

        def _row(self, kind, name, notebook, assignment, student):
            key = (kind, notebook, assignment, student)
            if key not in self._rows:
                own = self.find_submission_notebook(notebook, assignment, student).id
                cells = self.db.query(kind, BaseCell.name).join(BaseCell, BaseCell.id == kind.cell_id)
                self._rows[key] = {cell: row for row, cell in cells.filter(kind.notebook_id == own)}
            if name not in self._rows[key]:
                raise MissingEntry(f"nothing about {name} in {notebook} of {student}")
            return self._rows[key][name]

    return SharedGradebook
