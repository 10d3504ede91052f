"""A tiny course that grades: released by nbgrader itself, with submissions made from its stubs, and a stand-in scorer.

The stand-in reads from a comment in an answer, or in a test, what shall become of it, so that everything around the
scorer can be tested without a process for every submission.
"""

import atexit
import json
import shutil
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import tiny_course

from tito.catalog import read_catalog
from tito.errors import TitoError
from tito.project import read_project
from tito.services import notebooks, pristine, strip
from tito.services.grading.book.course import Course
from tito.services.grading.book.results import CellScore, SubmissionResult
from tito.services.grading.intake.received import write_submissions
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.scoring import executors
from tito.services.grading.scoring.scorer import Scored

ANSWERS = tiny_course.ANSWERS["01_alpha"]
# answers to `double` that lose points; the stand-in scorer goes by their comments
WRONG = "#| export\ndef double(number):\n    return 3 * number  # wrong\n"
SECOND = "#| export\ndef double(number):\n    return 3 * number  # wrong, right at the second try\n"
FAULT = "#| export\ndef double(number):\n    return 3 * number  # fault\n"


SERVER = None  # a postgres.Server, while the gradebooks of new courses are to be kept there


@cache
def _released(server=None):
    """A course whose module 01 is released, for every test to copy."""
    from nbgrader.apps import NbGraderAPI

    folder = tempfile.TemporaryDirectory(prefix="small-course-")
    atexit.register(folder.cleanup)
    root = Path(folder.name).resolve() / "course"
    small = SmallCourse(tiny_course.write_course(root))
    if server:
        keep_gradebook(root, server.new_database())
    node = notebooks.load(small.project, small.module.percent).node
    notebooks.write(node, small.course.source / small.module.name / small.module.notebook.name)
    with small.course.open_gradebook():
        pass
    done = NbGraderAPI(config=small.course.config()).generate_assignment(small.module.name, force=True, create=True)
    assert done["success"], done
    return root


def released(root):
    """A SmallCourse of its own in the new folder `root`."""
    shutil.copytree(_released(SERVER), root)
    if SERVER:
        keep_gradebook(root, SERVER.new_database(template=_kept_gradebook(root)))
    return SmallCourse(root)


def keep_gradebook(root, url):
    """Set in which database the course at `root` keeps its gradebook."""
    path = root / "pyproject.toml"
    before = path.read_text(encoding="utf-8").partition("[tool.tito.grading]")[0]
    path.write_text(f'{before}[tool.tito.grading]\ndatabase = "{url}"\n', encoding="utf-8")


def _kept_gradebook(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["tito"]["grading"]["database"]


class SmallCourse:
    """A released module 01 of the tiny course in the folder `root`, and who handed what in."""

    def __init__(self, root):
        self.root = root
        self.project = read_project(root)
        self.catalog = read_catalog(self.project)
        self.module = self.catalog.find("alpha")
        self.course = Course(self.project)

    def stub(self):
        return strip.strip(notebooks.load(self.project, self.module.percent).node)

    def submit(self, student, *, written="Because addition is.", change=None, **answers):
        """Hand in the stub with `answers` ({grade_id: source}) in it. change(node): whatever else was done to it."""
        node = self.stub()
        for cell in node.cells:
            name = notebooks.grade_id(cell)
            if name in answers:
                cell.source = answers[name]
            elif notebooks.is_written(cell) and written:
                cell.source = written
        if change:
            change(node)
        path = self.course.submission(student, self.module) / self.module.notebook.name
        notebooks.write(node, path)
        return path

    def solved(self, student, **changed):
        """Hand in a right answer to everything, but for the answers in `changed`."""
        return self.submit(student, **{**ANSWERS, **changed})

    def edit(self, old, new, path=None):
        """Change the percent source of the module, or another file of the course."""
        path = self.root / path if path else self.module.percent
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def everything(self):
        """{path: bytes} of all that grading keeps."""
        files = [path for path in self.course.root.rglob("*") if path.is_file() and path.name != "lock"]
        return {path.relative_to(self.course.root).as_posix(): path.read_bytes() for path in files}

    def came_in(self, names, late=0):
        """Record under which names submissions came in."""
        entries = {student: {"name": name, "late": late} for student, name in names.items()}
        write_submissions(self.course, {self.module.name: entries})

    def on_roster(self, *students):
        """Record a class list."""
        self.course.write_record("roster.json", {"students": {student: {} for student in students}})

    def graded(self, student):
        path = self.course.autograded / student / self.module.name / self.module.notebook.name
        return json.loads(path.read_text(encoding="utf-8"))


@dataclass
class StandIn(executors.Threads):
    """An executor with another scorer. asked: who was scored, in order; isolation: what its sandbox is; changes:
    {student: what is said to be not as it was handed out}.
    """

    asked: list = field(default_factory=list)
    seconds: float = 0.0
    before: object = None
    isolation: str = "bubblewrap"
    changes: dict = field(default_factory=dict)

    def sandbox(self, project):
        return Sandbox(self.isolation, "" if self.isolation != "none" else "none here")

    @contextmanager
    def kit(self, project, catalog, module, *, sandbox, source=None, view=None):
        yield SimpleNamespace(module=module.name, notebook=module.notebook.name, source=notebooks.load(project, source))

    def place(self, kit, data):
        source = notebooks.parse(data, kit.notebook)
        placed, _ = pristine.restore(source, kit.source.node)
        source.node.cells = [one.cell for one in placed]
        for number, cell in enumerate(source.node.cells):
            cell.id = f"cell-{number}"
        return source.node

    def score(self, kit, task, cancel=None):
        self.asked.append(task.student)
        if self.before:
            self.before(task.student)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end and not (cancel and cancel.is_set()):
            time.sleep(0.01)
        node = self.place(kit, task.notebook)
        answers = {notebooks.grade_id(cell): cell.source for cell in node.cells if notebooks.is_solution(cell)}
        if any("fault" in answer for answer in answers.values()):
            raise TitoError("the scorer stumbled")
        questions = notebooks.questions(kit.source.node)
        cells = [
            _score_cell(cell, questions[notebooks.grade_id(cell)], answers)
            for cell in node.cells
            if notebooks.is_test(cell)
        ]
        outputs = {
            index: "[0, 2, 4]\n" for index, cell in notebooks.code_cells(node) if cell.source.startswith("seen =")
        }
        result = SubmissionResult(
            task.student,
            kit.module,
            "graded",
            cells=tuple(cells),
            outputs=outputs,
            isolation="none",
            seconds=0.5,
            changes=self.changes.get(task.student, ()),
        )
        return Scored(result, node)


def _score_cell(cell, question, answers):
    name, worth, answer = notebooks.grade_id(cell), notebooks.points(cell), answers.get(question, "")
    hidden = name.endswith("-hidden")
    if "# lenient" in cell.source:
        return CellScore(name, question, worth, worth, "passed", hidden=hidden)
    if "# strict" in cell.source:
        return CellScore(name, question, 0, worth, "failed", "stricter now", hidden=hidden)
    if "NotImplementedError" in answer:
        return CellScore(name, question, 0, worth, "todo", "not written yet", hidden=hidden)
    if "# wrong" in answer and "second" in answer:
        return CellScore(name, question, 0, worth, "failed", "expected <8>, got 9", hidden=hidden, second=worth)
    if "# half" in answer:
        return CellScore(name, question, worth / 2, worth, "failed", "half of it", hidden=hidden)
    if "# wrong" in answer:
        return CellScore(name, question, 0, worth, "failed", "expected <8>, got 9", "cell 6, line 3", hidden=hidden)
    return CellScore(name, question, worth, worth, "passed", hidden=hidden)
