"""Checkpoints on the disk, whole or not at all, and without pickle: provided, for module 07's Trainer.

The arrays of a state go into an .npz file; its structure, numbers and texts become one JSON document in it.
"""

import io
import json
import os
from pathlib import Path

import numpy as np

FORMAT, VERSION = "tinytorch checkpoint", 1


def pack(value, arrays):
    """`value` in JSON's terms; its arrays go into the dictionary `arrays`. Raises TypeError for other objects."""
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        name = f"array{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    if isinstance(value, dict):
        return {"dict": [[pack(key, arrays), pack(part, arrays)] for key, part in value.items()]}
    if type(value) in (list, tuple):
        return {type(value).__name__: [pack(part, arrays) for part in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    kind = f"{type(value).__name__} of dtype {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
    raise TypeError(f"a checkpoint holds numbers, texts, arrays of them, lists, tuples and dictionaries, and no {kind}")


def unpack(packed, arrays):
    """What `pack` took apart."""
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind in ("array", "scalar"):
        return arrays[content] if kind == "array" else arrays[content][()]
    if kind == "dict":
        return {unpack(key, arrays): unpack(part, arrays) for key, part in content}
    parts = [unpack(part, arrays) for part in content]
    return {"list": list, "tuple": tuple}[kind](parts)


def write_atomically(path, data):
    """Put the bytes `data` in place of the file `path`, which holds the old or the new content at every moment.

    Raises ValueError for what is there and no regular file, such as a folder or a device: it would be replaced.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no regular file; a checkpoint would take its place. Choose another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # Ctrl-C too
        beside.unlink(missing_ok=True)
        raise


def save_checkpoint(path, state):
    """Write a state (numbers, texts, arrays, and lists, tuples and dictionaries of them) to `path`, all or nothing."""
    arrays, file = {}, io.BytesIO()
    document = json.dumps({"format": FORMAT, "version": VERSION, "state": pack(state, arrays)})
    np.savez(file, document=np.frombuffer(document.encode(), np.uint8), **arrays)
    write_atomically(path, file.getvalue())


def load_checkpoint(path):
    """The state that `save_checkpoint` wrote. Raises ValueError naming the file for a damaged or a foreign one."""
    data = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        document = json.loads(arrays.pop("document").tobytes())
        if document["format"] != FORMAT or document["version"] > VERSION:
            raise ValueError(f"it says {document['format']!r}, version {document['version']}")
        return unpack(document["state"], arrays)
    except Exception as error:
        raise ValueError(
            f"{path} ({len(data):,} bytes): expected a {FORMAT}, version {VERSION}, as save_checkpoint writes it. "
            f"The file is damaged, cut off or something else ({type(error).__name__}: {error})"
        ) from error
