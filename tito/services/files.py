"""Writing, keeping and removing files so that nobody's work is lost half-way."""

import errno
import hashlib
import os
import shutil
import stat
import sys
import uuid
from datetime import datetime
from pathlib import Path


def atomic_write(path, content):
    """Put `content` (text or bytes) at `path`: a reader sees the old file or the new one, never a part of either.

    Text is written as UTF-8, its line ends as they are. A symbolic link stays one; what it points to is replaced. What
    is there and no file, such as a pipe or a device, is written to and stays. Raises IsADirectoryError for a folder.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    # before links are followed: /dev/stdout leads to a name that no file has
    if _is_special(path):
        Path(path).write_bytes(data)
        return
    path = Path(path).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
    # not tempfile: its files are readable by their owner only, and would stay so after the replacement
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:  # that of a write names no file, and nobody knows the draft
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def _is_special(path):
    """Whether `path` is there and no regular file."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)


def backup(path, folder):
    """Copy the file `path` into `folder` under its name and the time, and return where the copy is.

    An older backup is never overwritten.
    """
    data = Path(path).read_bytes()
    Path(folder).mkdir(parents=True, exist_ok=True)
    while True:
        stamp = datetime.now().isoformat(timespec="microseconds").replace(":", "-")
        copy = Path(folder) / f"{stamp}_{Path(path).name}"
        try:
            with copy.open("xb") as file:
                file.write(data)
            return copy
        except FileExistsError:
            continue


def digest(data):
    """The SHA-256 of `data` (bytes), as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def remove_tree(path):
    """Remove the folder `path` and all in it, read-only files too. No error where there is none."""
    if not os.path.lexists(path):
        return
    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=_remove_read_only)
    else:
        shutil.rmtree(path, onerror=_remove_read_only)


def _remove_read_only(function, path, _error):
    """Windows refuses to delete a read-only file: make it writable and try once more."""
    Path(path).chmod(stat.S_IRWXU)
    function(path)
