"""nbgrader's exchange, through which a JupyterHub hands out and takes in: where nbgrader itself would find it.

nbgrader reads the settings of the machine first and those of the course folder after them; so does this.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError
from tito.services.grading.book.course import COURSE_ID

SETTINGS = ("nbgrader_config.py", "nbgrader_config.json")


@dataclass(frozen=True)
class Exchange:
    """folder: of this course in the exchange, None where a plug-in has taken the place of folders, for example
    ngshare; check_owner: whether whose a submission is has to be who owns its folder.
    """

    folder: Path | None
    check_owner: bool

    @property
    def outbound(self):
        return self.folder / "outbound"

    @property
    def inbound(self):
        return self.folder / "inbound"


def find_exchange(course):
    """The Exchange of `course`. Raises ProjectError for settings that cannot be read."""
    from nbgrader.exchange import ExchangeFactory
    from nbgrader.exchange.default import ExchangeCollect
    from traitlets import TraitError

    config = _config(course)
    course_id = config.CourseDirectory.get("course_id") or COURSE_ID
    try:
        collect = ExchangeCollect(config=config)
        has_folders = ExchangeFactory(config=config).collect is ExchangeCollect
    except TraitError as error:
        hint = f"fix {course.label(course.settings)}, or ask who runs the hub"
        raise ProjectError(f"nbgrader's exchange: {error}", hint, code="settings") from error
    return Exchange(Path(collect.root) / course_id if has_folders else None, collect.check_owner)


def _config(course):
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config import Config, ConfigFileNotFound, JSONFileConfigLoader, PyFileConfigLoader

    config = Config()
    for folder in reversed(jupyter_config_path()):
        for name, loader in zip(SETTINGS, (PyFileConfigLoader, JSONFileConfigLoader), strict=True):
            try:
                with suppress(ConfigFileNotFound):
                    config.merge(loader(name, path=folder).load_config())
            except Exception as error:  # whatever somebody may have written
                message = f"{Path(folder) / name} cannot be read: {type(error).__name__}: {error}"
                raise ProjectError(message, "fix it, or ask who runs the hub", code="settings") from error
    config.merge(course.config())
    return config
