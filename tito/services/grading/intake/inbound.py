"""What students submitted through nbgrader's exchange: folders <user>+<module>+<time>+<random letters>.

The name of such a folder is written by the student's own process, and so is the time in it. Whose it is, its owner
says, whom the operating system knows; where nbgrader's settings do not ask for that (a hub whose users are all one user
of the system), the name is believed.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from tito.services.grading.intake.attempts import SECRET, read_stamp
from tito.services.grading.intake.senders import Whose
from tito.services.grading.roster.people import safe_id

ENTRY = re.compile(r"(?P<user>.+)\+(?P<module>[^+]+)\+(?P<time>[^+]*\d{4}[^+]*?)(?:\+[^+]*)?")
LONGEST = 1000  # letters of a time or a secret
LATER = timedelta(minutes=10)  # after its time stamp a folder is not changed any more


@dataclass(frozen=True)
class ExchangeEntry:
    """One submission. time: in UTC, the later of the two that the entry says; changed: when the file system last saw a
    change; owner: "" where it does not matter; secret: of which nbgrader makes the name of the feedback.
    """

    folder: Path
    user: str
    module: str
    time: datetime
    changed: datetime
    owner: str
    secret: str

    def wants(self, path, module):
        """Whether `path`, a file of this entry, is the notebook that was handed out, or there is no such one."""
        inside = PurePosixPath(*PurePosixPath(path).parts[2:]).as_posix()
        return inside == module.notebook.name or not _is_file(self.folder / module.notebook.name)


class Inbound:
    """The entries of the folder `path`; none where it is no folder of an exchange. check_owner: see Exchange."""

    def __init__(self, path, *, check_owner):
        folders = Path(path).iterdir() if holds_entries(path) else ()
        found = (_entry(one, check_owner) for one in folders if one.is_dir() and not one.is_symlink())
        self.entries = {unicodedata.normalize("NFC", one.folder.name): one for one in found if one}

    def entry(self, path):
        """The entry in which the file `path` lies, a path as it came in; or None."""
        parts = PurePosixPath(path).parts
        return self.entries.get(parts[1]) if len(parts) > 2 else None

    def whose(self, entry, roster):
        if entry.owner and entry.owner != entry.user:
            reason = (
                f"says that it is of {entry.user}, and belongs to {entry.owner}; --student decides, or, where all "
                "users of a hub are one user, c.ExchangeCollect.check_owner = False in assignments/nbgrader_config.py"
            )
            return Whose(reason=reason, ambiguous=True, way="exchange")
        if not roster:
            return Whose(safe_id(entry.user), way="exchange")
        people = roster.by_identity(entry.user)
        if len(people) != 1:
            names = " or ".join(sorted(one.id for one in people))
            reason = f"may be of {names}" if people else f"is of {entry.user}, who is not on the class list"
            return Whose(reason=reason, ambiguous=bool(people), way="exchange")
        return Whose(people[0].id, way="exchange")


def holds_entries(path):
    """Whether `path` is the inbound folder of an exchange."""
    return Path(path).is_dir() and any(ENTRY.fullmatch(one.name) for one in Path(path).iterdir())


def _entry(folder, check_owner):
    match = ENTRY.fullmatch(folder.name)
    time = read_stamp(match["time"]) if match else None
    if time is None:
        return None
    inside = read_stamp(_text(folder / "timestamp.txt"))
    return ExchangeEntry(
        folder=folder,
        user=match["user"],
        module=match["module"],
        time=max(time, inside) if inside else time,
        changed=datetime.fromtimestamp(folder.stat().st_ctime, UTC),
        owner=_owner(folder) if check_owner else "",
        secret=_text(folder / SECRET).strip(),
    )


def _text(path):
    """The beginning of a student's file; "" for what is none."""
    try:
        if path.is_symlink() or not _is_file(path):
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError:
        return ""


def _is_file(path):
    """Whether `path` is a file; a folder of a student's may let nobody look."""
    try:
        return path.is_file()
    except OSError:
        return False


def _owner(folder):
    """Who owns the folder and all that is in it; more than one name where they are several's."""
    import pwd

    names = set()
    for path in [folder, *folder.rglob("*")]:
        try:
            number = path.lstat().st_uid
        except OSError:  # which is reported when it is to be read
            continue
        try:
            names.add(pwd.getpwuid(number).pw_name)
        except KeyError:
            names.add(f"user {number}")
    return " and ".join(sorted(names))
