"""An instructor's week in a tiny course: tito typed in its folder, and what students and an LMS hand over."""

import copy
import json
import zipfile
from functools import cache

import nbgrader.api
import tiny_course
from said import typed

import tito.project
from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks, strip
from tito.services.grading.book.course import Course

_alembic_version = cache(nbgrader.api.get_alembic_version)


class Week:
    """The tiny course in the folder `root`, with an instructor in it."""

    def __init__(self, root, monkeypatch):
        self.root = tiny_course.write_course(root.resolve())
        self.project = read_project(self.root)
        self.catalog = read_catalog(self.project)
        self.course = Course(self.project)
        self.alpha = self.catalog.find("alpha")
        self.beta = self.catalog.find("beta")
        # this process runs the repository's tito and not the copy in the tiny course
        monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
        # alembic itself runs once and not for every gradebook; tests/grading/test_course.py runs it
        monkeypatch.setattr(nbgrader.api, "get_alembic_version", _alembic_version)

    def tito(self, *arguments):
        """`tito grade …` typed in the course folder, in this process."""
        return typed(self.root, "grade", *arguments)

    def json(self, *arguments):
        return self.tito(*arguments, "--json")

    def file(self, name, text, encoding="utf-8"):
        path = self.root.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    def notebook(self, module="alpha", mark="", **answers):
        """The bytes of a student's notebook. mark: a remark in it, so that two attempts differ."""
        module = self.catalog.find(module)
        node = copy.deepcopy(strip.strip(notebooks.load(self.project, module.percent).node))
        for cell in node.cells:
            if notebooks.grade_id(cell) in answers:
                cell.source = answers[notebooks.grade_id(cell)]
        if mark:
            node.cells[0].source += f"\n\n{mark}"
        return json.dumps(node, indent=1).encode()

    def submitted(self, student, module="alpha"):
        module = self.catalog.find(module)
        path = self.course.submission(student, module) / module.notebook.name
        return path.read_bytes() if path.is_file() else None

    def everything(self):
        """{path: bytes} of all that grading keeps."""
        files = [path for path in self.course.root.rglob("*") if path.is_file() and path.name != "lock"]
        return {path.relative_to(self.course.root).as_posix(): path.read_bytes() for path in files}


def zipped(path, *members, time=(2026, 11, 30, 12, 0, 0)):
    """Write a zip file of (name, bytes) or (name, bytes, time) and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, *at in members:
            info = zipfile.ZipInfo(name, at[0] if at else time)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path
