"""The record of what was completed: `.tito/progress.json`, one versioned document, always written whole."""

from dataclasses import asdict, dataclass, fields

from tito.services import documents
from tito.services.files import atomic_write

SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """One completed or adopted module.

    completed_at: local time with its offset, ISO 8601. source_digest: of the exported cells of the notebook;
    export_digest: of the file that was put into the package. broken: the first failure of the module's tests after
    something that it depends on was replaced, "" where there is none. adopted: the version of the course whose own file
    stands in the package instead of the student's, "" for the student's own. outdated: why the module has to be
    completed again although the student changed nothing, "" where it has not.
    """

    completed_at: str
    points: float
    max_points: float
    source_digest: str
    export_digest: str
    broken: str = ""
    adopted: str = ""
    outdated: str = ""


def progress_path(project):
    return project.state / "progress.json"


def read_progress(project):
    """{module name: Record} and a warning, "" where all is well.

    A file that cannot be read is kept aside in the backups, and the record starts anew.
    """
    path = progress_path(project)
    records, kept = documents.read(path, SCHEMA, _parse, project.state / "backups")
    warning = kept and (
        f"{project.relative(path)} could not be read and was moved to {project.relative(kept)}; "
        "complete your modules again, nothing else is lost"
    )
    return records or {}, warning or ""


def write_progress(project, records):
    atomic_write(progress_path(project), written(records))


def written(records):
    """The text of the document that holds `records`."""
    return documents.text(SCHEMA, modules={name: asdict(records[name]) for name in sorted(records)})


def _parse(document):
    return {name: _record(entry) for name, entry in document["modules"].items()}


def _record(entry):
    record = Record(**entry)
    for field in fields(Record):
        value = getattr(record, field.name)
        wanted = (int, float) if field.type is float else str
        if not isinstance(value, wanted):
            raise TypeError(f"{field.name} is {value!r}")
    return record
