"""What help a student has taken, module by module: `.tito/help.json`, one versioned document, always written whole."""

from dataclasses import asdict, dataclass, field

from tito.services import documents
from tito.services.files import atomic_write

SCHEMA = 1


@dataclass(frozen=True)
class HelpUsed:
    """gave_up: when the solution was asked for before the module was complete, ISO 8601, "" for never. hints: {grade_id
    of an answer: how many of its hints were shown}.
    """

    gave_up: str = ""
    hints: dict = field(default_factory=dict)


def help_path(project):
    return project.state / "help.json"


def read_help(project):
    """{module name: HelpUsed}. A file that cannot be read is kept aside in the backups, and the record starts anew."""
    found, _ = documents.read(help_path(project), SCHEMA, _parse, project.state / "backups")
    return found or {}


def _parse(document):
    return {name: _used(entry) for name, entry in document["modules"].items()}


def _used(entry):
    used = HelpUsed(**entry)
    if not isinstance(used.gave_up, str) or not all(type(count) is int for count in used.hints.values()):
        raise TypeError(f"{entry}")
    return used


def write_help(project, used):
    """used: {module name: HelpUsed}."""
    modules = {name: asdict(used[name]) for name in sorted(used)}
    atomic_write(help_path(project), documents.text(SCHEMA, modules=modules))
