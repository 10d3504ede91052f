"""What came in, file by file: folders, zip archives, zip archives in either. Nothing is ever extracted to a name that
an archive gives, and an archive may not cost more than its limits.

A file that cannot be taken is yielded with the reason, so that it can be reported; the others go on.
"""

import contextlib
import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

MIB = 1024 * 1024
# what operating systems, Jupyter and tito leave behind; and what is installed, not written
LITTER = {
    "__MACOSX", ".ipynb_checkpoints", "__pycache__", ".git", ".tito", ".venv", "venv", "node_modules",
    "site-packages", ".DS_Store", "Thumbs.db", "desktop.ini",
}  # fmt: skip
OTHER_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
TIMESTAMP = 0x5455  # the extra field of a zip entry that holds its time in UTC
NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class UnpackLimits:
    """file: bytes of a single file; depth: of archives in archives. total and count: of all files together; ratio: what
    they may be larger than what was packed, once they are larger than `harmless`.
    """

    total: int
    count: int
    file: int = 100 * MIB
    ratio: float = 200
    harmless: int = 200 * MIB
    depth: int = 3


WHOLE = UnpackLimits(total=16 * 1024 * MIB, count=50_000, harmless=1024 * MIB)
# what one student sent, with all archives in it
ENTRY = UnpackLimits(total=500 * MIB, count=5_000, harmless=50 * MIB)


class Budget:
    """What may still be unpacked. size: of what was packed, None on a disk; above: the budget that it is a part of."""

    def __init__(self, limits, size, above=None):
        self.limits, self.size, self.above = limits, size, above
        self.files = self.bytes = 0

    def part(self, size):
        """The budget of one entry, whose packed size is `size`."""
        return Budget(ENTRY, size, self)

    def spend(self, files, size):
        """Take so much, or say why not."""
        reason = self._refusal(self.files + files, self.bytes + size)
        reason = reason or (self.above.spend(files, size) if self.above else "")
        if not reason:
            self.files, self.bytes = self.files + files, self.bytes + size
        return reason

    def _refusal(self, files, size):
        limits, together = self.limits, "together with what came before it, " if self.files else ""
        if files > limits.count:
            return f"{together}holds {files} files; {limits.count} are the most"
        if size > limits.total:
            return f"{together}would unpack to {_size(size)}; {_size(limits.total)} are the most"
        if self.size is not None and size > limits.harmless and size > limits.ratio * max(1, self.size):
            return f"{together}would unpack to {_size(size)}, {size // max(1, self.size)} times its own size"
        return ""


@dataclass(frozen=True)
class ArchivedFile:
    """A file that came in. path: with the folders and archives that it came through, in NFC, with forward slashes.

    time: in UTC, None where nothing usable says so: of the file in the folder, or of the entry in the archive that was
    walked; an archive inside of these is a student's, and the times in it are hearsay. archive_time: of the archive
    that was walked. data: its content; None where it was not read, and then `refused` says why.
    """

    path: str
    time: datetime | None
    data: bytes | None
    refused: str = ""
    archive_time: datetime | None = None


def walk(path, *, zone=None):
    """Every ArchivedFile at or below `path`, a folder, a zip archive or a single file, in a stable order.

    zone: of times without one, this machine's where it is None. Litter of operating systems is left out.
    """
    path = Path(path)
    if path.is_dir():
        yield from _walk_folder(path, zone)
    elif _is_zip(path.name):
        whole = Budget(WHOLE, _bytes(path))
        for file in _walk_file(path, path.name, zone, whole):
            yield replace(file, archive_time=_changed(path))
    else:
        yield from _walk_file(path, path.name, zone, Budget(WHOLE, None))


def first_names(path):
    """The names right below `path`: of what lies in a folder, or of an archive's entries; none of what is neither."""
    path = Path(path)
    try:
        if path.is_dir():
            return sorted({_normal(one.name) for one in path.iterdir()})
        if _is_zip(path.name):
            with zipfile.ZipFile(path) as archive:
                return sorted({_name(info).partition("/")[0] for info in archive.infolist()})
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError, OSError):
        return []  # walk() says why
    return []


def is_litter(path):
    parts = PurePosixPath(path).parts
    return any(part in LITTER or part.startswith("._") for part in parts)


def _walk_folder(root, zone):
    whole, unread = Budget(WHOLE, None), []
    for folder, folders, files in os.walk(root, followlinks=False, onerror=unread.append):
        folders.sort()
        for name in sorted([*files, *(one for one in folders if _is_link(Path(folder, one)))]):
            path = Path(folder) / name
            label = _label(root, path)
            if not is_litter(label.partition("/")[2]):
                yield from _walk_in_folder(path, label, zone, whole)
        folders[:] = [name for name in folders if name not in LITTER]
    for error in unread:  # on a hub a student's folders have whatever rights the student gives them
        yield ArchivedFile(_label(root, Path(error.filename)), None, None, f"cannot be read: {error.strerror}")


def _walk_in_folder(path, label, zone, whole):
    """A file on the disk, or the files in it where it is an archive."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        yield ArchivedFile(label, None, None, f"cannot be read: {error.strerror}")
        return
    if stat.S_ISLNK(mode):
        yield ArchivedFile(label, None, None, "is a symbolic link")
    elif not stat.S_ISREG(mode):
        yield ArchivedFile(label, None, None, "is no ordinary file")
    else:
        changed = _changed(path)
        inside = _walk_file(path, label, zone, whole.part(_bytes(path)))
        yield from (replace(file, time=changed) for file in inside)


def _label(root, path):
    return _normal(f"{root.resolve().name}/{path.relative_to(root).as_posix()}")


def _is_link(path):
    try:
        return path.is_symlink()
    except OSError:
        return False


def _walk_file(path, label, zone, budget):
    label = _normal(label)
    try:
        size, time = path.stat().st_size, _changed(path)
        if _is_zip(label):
            with path.open("rb") as file:
                yield from _walk_zip(file, label, zone, budget)
            return
        reason = _too_large(size, ENTRY.file) if size > ENTRY.file else budget.spend(1, size)
        yield ArchivedFile(label, time, None if reason else path.read_bytes(), reason)
    except OSError as error:
        yield ArchivedFile(label, None, None, f"cannot be read: {error.strerror or error}")


def _is_zip(name):
    return name.lower().endswith(".zip")


def _bytes(path):
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(path):
    """When a file on the disk was changed; None where that cannot be read, or is no time."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _walk_zip(file, label, zone, budget, depth=1):
    """The files of the archive `file`; one that is out of bounds or broken is refused whole."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir() and not is_litter(_name(info))]
            reason = budget.spend(len(entries), sum(info.file_size for info in entries))
            if reason:
                yield ArchivedFile(label, None, None, reason)
                return
            for info in entries:
                part = budget if budget.above else budget.part(info.compress_size)
                yield from _walk_entry(archive, info, label, zone, part, depth)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError) as error:
        yield ArchivedFile(label, None, None, f"is not a zip archive that can be read: {error or type(error).__name__}")


def _walk_entry(archive, info, label, zone, budget, depth):
    name = _name(info)
    path, time = f"{label}/{name}", _time(info, zone)
    reason = _bad_name(info, name) or _bad_kind(info)
    nested = _is_zip(name)
    if not reason and nested and depth >= ENTRY.depth:
        reason = f"is an archive in an archive in an archive; {ENTRY.depth} deep is the most"
    if not reason and info.file_size > ENTRY.file:
        reason = _too_large(info.file_size, ENTRY.file)
    if reason:
        yield ArchivedFile(path if not _bad_name(info, name) else f"{label}: {name}", time, None, reason)
        return
    try:
        data = _read(archive, info, ENTRY.file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        yield ArchivedFile(path, time, None, f"cannot be unpacked: {error or type(error).__name__}")
        return
    if nested:
        inside = _walk_zip(io.BytesIO(data), path, zone, budget, depth + 1)
        yield from (replace(file, time=time) for file in inside)
    else:
        yield ArchivedFile(path, time, data)


def _read(archive, info, most):
    """The content of an entry, whatever size its header claims."""
    with archive.open(info) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(_too_large(len(data), most))
    return data


# What an entry says about itself.


def _name(info):
    """The name as it was meant: UTF-8 without its flag is read as such, backslashes are folders, in NFC."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return _normal(name.replace("\\", "/"))


def _normal(name):
    return unicodedata.normalize("NFC", name)


def _bad_name(info, name):
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in name.split("/"):
        return "points outside its archive"
    if any(ord(char) < 32 for char in name):
        return "has control characters in its name"
    return ""


def _bad_kind(info):
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
        return "is a symbolic link" if stat.S_ISLNK(mode) else "is no ordinary file"
    return "is encrypted" if info.flag_bits & 0x1 else ""


def _time(info, zone):
    """When the file was changed, in UTC: from the field that says it in UTC, else local time to two seconds."""
    extra, position = info.extra, 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == TIMESTAMP and length >= 5 and extra[position + 4] & 1 and position + 9 <= len(extra):
            return datetime.fromtimestamp(struct.unpack_from("<i", extra, position + 5)[0], UTC)
        position += 4 + length
    if info.date_time == NO_TIME:
        return None
    try:
        return datetime(*info.date_time, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _too_large(size, most):
    return f"is {_size(size)}; {_size(most)} are the most"


def _size(count):
    return f"{count / MIB:.1f} MB"
