"""The errors that a user of tito is meant to read."""

import errno
import re
from contextlib import contextmanager

EXIT_OK = 0
EXIT_WORK = 1
EXIT_USAGE = 2
EXIT_PROJECT = 3
EXIT_UNDECIDED = 4
EXIT_BUG = 70


FULL = ("the disk is full: {} could not be written", "free some space, then run it again")
# what goes wrong on a machine and not in tito: what happened, with {} for the file, and what to do
MACHINE_PROBLEMS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: ("your share of the disk is full: {} could not be written", FULL[1]),
    errno.EROFS: ("{} is on a file system that is read-only", "copy the folder to where you can write, and work there"),
    errno.EACCES: ("{}: you may not do this here", "look at who owns it, and at its rights"),
    errno.EPERM: ("{}: you may not do this here", "look at who owns it, and at its rights"),
    errno.EIO: ("{}: the disk answers with an error", "save your work on another disk"),
    errno.ENOLCK: ("{} is on a file system without locks", "move the folder to a disk of this machine"),
    errno.EISDIR: ("{} is a folder", "name a file"),
    errno.ENOTDIR: ("{}: a file stands where a folder is needed", "name another place"),
    errno.ENAMETOOLONG: ("{}: this name is too long", "name a shorter one"),
}
NUMBER = re.compile(r"\[(?:Errno|WinError) (\d+)\]")


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


class Warned(UserWarning):
    """What a user of tito is meant to read although all goes on; the command line prints it."""


class Undecided(TitoError):
    """A measurement was made, and it decides neither way: the machine was too busy, or the difference is too small."""

    exit_code = EXIT_UNDECIDED
    code = "not-decided"


class Interrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C after something may have been changed; the text says what to look at."""


@contextmanager
def changing(consequence):
    """Around what changes files: an interruption in here says that `consequence` may be left behind."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(consequence) from None


def machine_problem(error):
    """(what happened, what to do) where `error` says that something is wrong with the machine, else None.

    An OSError; shutil's, which holds the texts of those that it met; SQLite's.
    """
    path = getattr(error, "filename", None)
    if "database or disk is full" in str(error):
        number = errno.ENOSPC
    elif getattr(error, "errno", None) is None and isinstance(error, OSError):  # shutil.Error
        numbers = [int(found) for found in NUMBER.findall(str(error))]
        number = numbers[0] if numbers else None
    else:
        number = getattr(error, "errno", None)
    if number == errno.ENOENT and "No usable temporary directory" in str(error):
        return "no folder for temporary files can be written to: the disk is full or read-only", FULL[1]
    if not isinstance(number, int) or number not in MACHINE_PROBLEMS:
        return None
    message, hint = MACHINE_PROBLEMS[number]
    return message.replace("{}", str(path or "a file")), hint
