"""Fixtures of the tiny course: `mini_course` is its folder, `tito(*args)` runs `python -m tito` there, `workspace` is a
student's workspace of it."""

import shutil

import pytest
from tiny_course import Workspace, run_tito, write_course

from tito.catalog import read_catalog
from tito.project import read_project


@pytest.fixture
def mini_course(tmp_path):
    """The root of a tiny course of its own for every test; nothing in it is exported yet."""
    return write_course((tmp_path / "course").resolve())


@pytest.fixture
def make_course():
    """make_course(folder): another tiny course, in a new folder."""
    return write_course


@pytest.fixture
def tito(mini_course):
    """tito(*args, cwd=…, root=…): run tito in the tiny course, or in another project `root`."""

    def run(*args, cwd=None, root=mini_course):
        return run_tito(root, *args, cwd=cwd)

    return run


@pytest.fixture
def project(mini_course):
    """The tiny course as services see it."""
    return read_project(mini_course)


@pytest.fixture
def catalog(project):
    return read_catalog(project)


@pytest.fixture
def alpha(catalog):
    """The tiny module that shows every kind of cell."""
    return catalog.find("alpha")


@pytest.fixture(scope="session")
def untouched(tmp_path_factory):
    """One workspace of the tiny course, made by `tito init`, for all tests to copy."""
    folder = tmp_path_factory.mktemp("untouched").resolve()
    course = write_course(folder / "course")
    made = run_tito(course, "init", folder / "workspace")
    assert made.exit_code == 0, made.stderr
    return folder / "workspace"


@pytest.fixture
def workspace(untouched, tmp_path):
    """A workspace of its own for every test; nothing in it is solved yet."""
    shutil.copytree(untouched, tmp_path / "workspace", ignore=shutil.ignore_patterns("__pycache__"))
    return Workspace((tmp_path / "workspace").resolve())


@pytest.fixture(scope="session")
def alpha_completed(untouched, tmp_path_factory):
    """A workspace in which module 01 was solved and completed, for all tests to copy; and what tito said."""
    root = tmp_path_factory.mktemp("completed").resolve() / "workspace"
    shutil.copytree(untouched, root, ignore=shutil.ignore_patterns("__pycache__"))
    student = Workspace(root)
    student.solve("01_alpha")
    done = student.tito("module", "complete", "01", "--json")
    assert done.exit_code == 0, done.stdout
    return student, done.document


@pytest.fixture
def completed(alpha_completed, tmp_path):
    """A workspace of its own in which module 01 is complete."""
    shutil.copytree(alpha_completed[0].root, tmp_path / "completed", ignore=shutil.ignore_patterns("__pycache__"))
    return Workspace((tmp_path / "completed").resolve())
