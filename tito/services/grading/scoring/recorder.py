"""Puts scores into nbgrader's database by nbgrader's own autograder, in which nothing is executed.

For each submission nbgrader sees the notebook as it was graded, every test cell as the course has it, and finds in
place of an execution the outputs that stand for our verdicts: an error for no points, nothing for all of them, a
number for a part. What a student's code printed is never an output that nbgrader could take for a number of points.
"""

import copy
import glob
import math
import warnings
from contextlib import chdir, contextmanager

from tito.errors import ProjectError
from tito.services import notebooks
from tito.services.files import atomic_write, remove_tree
from tito.services.grading.book.gradebook import require_assignment
from tito.services.grading.book.nbgrader_log import NbgraderLog
from tito.services.grading.book.one_book import one_book
from tito.services.grading.book.results import counted

STAGE = ".tito/stage"  # where nbgrader finds what it is to grade, as a path from the course folder
SECOND_TRY = "counted by the second try, in which earlier wrong answers were replaced by the course's"


class Recorder:
    """Writes the scores of one module, a submission at a time. Made by `recording`."""

    def __init__(self, course, module, book):
        self.course = course
        self.book = book
        self.module = module
        self.config = course.config()
        self.config.CourseDirectory.submitted_directory = STAGE
        self.config.CourseDirectory.assignment_id = module.name
        self.log = NbgraderLog()
        self.outputs, self.same_file = {}, False
        self.config.Autograde.sanitize_preprocessors, self.config.Autograde.autograde_preprocessors = self._steps()

    def _steps(self):
        """nbgrader's own steps, ours in place of the execution. Metadata are not checked: they are the course's own."""
        from nbgrader.converters import Autograde
        from nbgrader.preprocessors import CheckCellMetadata, Execute, NbGraderPreprocessor, SaveAutoGrades

        recorder = self

        class PutVerdicts(NbGraderPreprocessor):
            def preprocess(self, nb, resources):
                for index, cell in enumerate(nb.cells):
                    if cell.cell_type == "code":
                        cell.outputs = recorder.outputs.get(index, [])
                return nb, resources

        class SaveAtOnce(SaveAutoGrades):
            def preprocess(self, nb, resources):
                with recorder.book.one_transaction():
                    settled = recorder._settled(resources["nbgrader"]["student"]) if recorder.same_file else []
                    saved = super().preprocess(nb, resources)
                    for grade in settled:
                        grade.needs_manual_grade = False
                    return saved

        ours = {Execute: PutVerdicts, SaveAutoGrades: SaveAtOnce}
        grading = [ours.get(step, step) for step in Autograde.autograde_preprocessors.default()]
        steps = Autograde.sanitize_preprocessors.default(), grading
        return tuple([step for step in some if step is not CheckCellMetadata] for some in steps)

    def _settled(self, student):
        """The grades to which a person gave points and that wait for nobody."""
        notebook = self.book.find_submission_notebook(self.module.notebook.stem, self.module.name, student)
        return [one for one in notebook.grades if one.manual_score is not None and not one.needs_manual_grade]

    def record(self, student, node, result, *, second_try, same_file=False):
        """Record the `result` of `student`, whose notebook was graded as `node`.

        same_file: the gradebook holds scores of the same file, so that what a person gave points to, which nbgrader
        marks as open again, is not looked at a second time.
        Raises ProjectError where nbgrader refuses, with what it said; the gradebook then holds the scores of before.
        """
        from nbgrader.converters import Autograde
        from nbgrader.coursedir import CourseDirectory

        self.outputs, self.same_file = _outputs(node, result, second_try), same_file
        self._stage(student, node)
        config = copy.deepcopy(self.config)
        config.CourseDirectory.student_id = _literal(student)
        self.log.lines.clear()
        folder = CourseDirectory(config=config, log=self.log)
        converter = Autograde(coursedir=folder, config=config, log=self.log)
        converter.force = True
        try:
            with self.book.submission(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SQLAlchemy's about nbgrader's way of using it
                converter.start()
        except Exception as error:  # nbgrader's, SQLAlchemy's, or of the file system
            reason = self.log.reason() or error
            hint = f"tito grade autograde {self.module.name} --student {student} -v   (the score itself is kept)"
            raise ProjectError(f"nbgrader cannot record {student}: {reason}", hint) from error
        finally:
            remove_tree(self.course.root / STAGE)

    def _stage(self, student, node):
        stage = self.course.root / STAGE
        remove_tree(stage)
        notebooks.write(_plain(node), stage / student / self.module.name / self.module.notebook.name)
        stamp = self.course.submitted / student / self.module.name / "timestamp.txt"
        if stamp.is_file():
            atomic_write(stage / student / self.module.name / stamp.name, stamp.read_bytes())


def _plain(node):
    """A copy of a notebook without a student's own metadata: nothing needs them, and pages are made from them."""
    plain = copy.deepcopy(node)
    plain.metadata = {}
    for cell in plain.cells:
        cell.metadata = {"nbgrader": notebooks.grading(cell)} if notebooks.grading(cell) else {}
    return plain


@contextmanager
def recording(course, module):
    """Yield a Recorder. Raises ProjectError where the assignment is not in the gradebook."""
    require_assignment(course, module)
    # nbgrader changes into the course folder and back for each submission, under the feet of our threads
    with one_book(course) as book, chdir(course.root):
        try:
            yield Recorder(course, module, book)
        finally:
            remove_tree(course.root / STAGE)


def _literal(student):
    """nbgrader looks for the folder of a student by a pattern."""
    return glob.escape(student)


# Verdicts as outputs.


def _outputs(node, result, second_try):
    """{index of a code cell of `node`: its outputs}. Raises ProjectError where a score is missing or impossible."""
    from nbformat import v4

    scores = {score.grade_id: score for score in result.cells}
    outputs = {}
    for index, cell in notebooks.code_cells(node):
        if notebooks.is_test(cell):
            name, worth = notebooks.grade_id(cell), notebooks.points(cell)
            if name not in scores:
                raise ProjectError(f"the scorer gave no score for {name}", "report this: it is a bug in tito")
            outputs[index] = _verdict(scores[name], worth, second_try)
        elif text := result.outputs.get(index):
            outputs[index] = [v4.new_output("stream", name="stdout", text=text)]
    return outputs


def _verdict(score, worth, second_try):
    """The outputs from which nbgrader reads the points of a test cell that is worth `worth`."""
    from nbformat import v4

    points = counted(score, second_try)
    if not (math.isfinite(points) and 0 <= points <= worth):
        reason = f"the scorer gave {points} of {worth} points for {score.grade_id}"
        raise ProjectError(reason, "report this: it is a bug in tito")
    note = SECOND_TRY if points > score.points else ""
    words = "\n".join(text for text in (score.message, score.where, note) if text)
    if points == worth:
        return [v4.new_output("stream", name="stdout", text=words + "\n")] if words else []
    if points == 0:
        return [v4.new_output("error", ename=score.status, evalue=words, traceback=[f"{score.status}: {words}"])]
    partial = v4.new_output("execute_result", data={"text/plain": repr(float(points))}, execution_count=None)
    return [partial, v4.new_output("stream", name="stdout", text=words + "\n")]
