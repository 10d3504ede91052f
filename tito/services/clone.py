"""A clone of the course that a student has beside the workspace: what `--course FOLDER` names."""

from pathlib import Path

from tito.catalog import read_catalog
from tito.errors import UsageError
from tito.project import read_project


def open_course(project, folder):
    """(project, catalog) of the course repository at `folder`, from whose version the workspace `project` was made."""
    course = read_project(Path(folder).resolve())
    if course is None or not course.is_course:
        raise UsageError(
            f"{folder} is not a clone of the course", "name the folder with its pyproject.toml", code="no-course"
        )
    if course.version != project.version:
        raise UsageError(
            f"{folder} is version {course.version} of the course, this workspace is of version {project.version}",
            f"check out version {project.version} there",
            code="other-version",
        )
    return course, read_catalog(course)
