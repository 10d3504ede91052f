"""The errors that a user of tito is meant to read."""

from contextlib import contextmanager

EXIT_OK = 0
EXIT_WORK = 1
EXIT_USAGE = 2
EXIT_PROJECT = 3
EXIT_BUG = 70


class TitoError(Exception):
    """What happened (`message`), what to type next (`hint`), and how the process ends (`exit_code`).

    `code` is the stable word that `--json` reports. `data` is what is still worth showing beside the error.
    """

    exit_code = EXIT_BUG
    code = "bug"

    def __init__(self, message, hint="", *, code=None, data=None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.code
        self.data = data


class WorkError(TitoError):
    """The student's work, or a test, failed."""

    exit_code = EXIT_WORK
    code = "work"


class UsageError(TitoError):
    """The command line asks for something that does not exist or make sense."""

    exit_code = EXIT_USAGE
    code = "usage"


class ProjectError(TitoError):
    """The project folder or the environment is not in order."""

    exit_code = EXIT_PROJECT
    code = "project"


class Interrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C after something may have been changed; the text says what to look at."""


@contextmanager
def changing(consequence):
    """Around what changes files: an interruption in here says that `consequence` may be left behind."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(consequence) from None
