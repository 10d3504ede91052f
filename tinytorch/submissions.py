"""The rules of the course's olympics: the divisions, their distorted digits, and what a `submission.npz` may hold.

Reading trusts nothing. What the entries declare is read before anything is allocated: a few kilobytes of zip can
declare gigabytes, and an entry with Python objects would run code. What is refused is a ValueError that names file and
entry.

`tito benchmark` loads this file by its path, without the rest of the package: so it needs nothing of it when it is
loaded, and both sides go by the same rules.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FILE_NAME = "submission.npz"
MOST_FILE_BYTES = 4_000_000
MOST_ARRAY_BYTES = 64_000_000  # of all arrays together, once they are unpacked
MOST_MANIFEST_BYTES = 64_000
MOST_ENTRIES = 2_000
MOST_HEADER_BYTES = 4_096
MANIFEST = "manifest"  # the entry that holds it, as JSON in bytes
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
KINDS = "biuf"  # booleans, integers with and without sign, floating point
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Submission:
    """What a model is made from. Nothing in it is believed: whoever measures looks at the file and at the outputs.

    arrays: {name: ndarray}. manifest: a dictionary of what JSON can hold, such as the description of the architecture.
    """

    arrays: dict
    manifest: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Division:
    """A competition of the olympics.

    counts: what is ranked, the least first. quality: "accuracy" (at least `floor` counts) or "loss", the mean
    cross-entropy of a token in nats (at most `floor` counts). batch: how many images or tokens a call gets.
    """

    name: str
    title: str
    counts: str
    quality: str
    floor: float
    batch: int
    data: str
    ranks_by_time: bool = False

    def reaches(self, quality):
        """Whether a measured accuracy or loss reaches the floor; NaN never does."""
        return quality >= self.floor if self.quality == "accuracy" else quality <= self.floor


DIGITS = "distorted digits of the test set, none of which was seen before: distort"
WINDOW = 64  # tokens that a model is given before it starts anew
TEXT = f"text that was not seen before, a character a token, in windows of {WINDOW}"
DIVISIONS = {
    "small": Division("small", "the smallest file", "size of the file", "accuracy", 0.9, 64, DIGITS),
    "fast": Division(
        "fast", "the fastest reader", "time of 64 images beside the reference's", "accuracy", 0.9, 64, DIGITS, True
    ),
    "tokens": Division(
        "tokens", "the fastest writer", "time of a token beside the reference's", "loss", 2.2, 1, TEXT, True
    ),
    "open": Division("open", "an idea of one's own", "images read wrong", "accuracy", 0.5, 64, DIGITS),
}


def find_division(name):
    """The division of this name. Raises ValueError that lists them for another one."""
    if name not in DIVISIONS:
        raise ValueError(f"there is no division {name!r}; there are {', '.join(DIVISIONS)}")
    return DIVISIONS[name]


def distort(images, generator):
    """Each of `images` (n, 1, height, width) seen from another side, from 0 to 1, float32: what a division is fed with.

    By up to: 20 degrees turned, a fifth longer or shorter along each axis, a fifth sheared, one pixel shifted, all
    uniform and read between pixels (bilinear, 0 outside); then a fifth brighter or darker, and noise of standard
    deviation 0.05. The original of an image is seldom its nearest neighbour afterwards.
    """
    count, _, height, width = images.shape
    angle = np.deg2rad(generator.uniform(-20, 20, count))
    shear, light = generator.uniform(-0.2, 0.2, (2, count))
    scale, shift = np.exp(generator.uniform(-0.2, 0.2, (count, 2))), generator.uniform(-1, 1, (count, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, shear - sin], [sin, cos]]).transpose(2, 0, 1) * scale[:, None]
    middle = (np.array([height, width]) - 1) / 2
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2)
    places = (grid - middle) @ matrix.transpose(0, 2, 1) + middle + shift[:, None]  # (n, pixels, 2): where to read
    corner = np.floor(places).astype(int)
    part, margin = places - corner, height + width
    padded = np.pad(images[:, 0], [(0, 0), (margin, margin), (margin, margin)])
    seen = 0.0
    for row in (0, 1):
        for column in (0, 1):
            weight = np.abs(1 - row - part[..., 0]) * np.abs(1 - column - part[..., 1])
            y, x = corner[..., 0] + row + margin, corner[..., 1] + column + margin
            seen = seen + weight * padded[np.arange(count)[:, None], y, x]
    seen = seen.reshape(images.shape) * np.exp(light)[:, None, None, None]
    return np.clip(seen + generator.normal(0, 0.05, seen.shape), 0, 1).astype(np.float32)


def write_submission(path, arrays, manifest):
    """Write `arrays` ({name: array}) and `manifest` (a dictionary, as JSON) to `path`, whole or not at all.

    Returns the number of bytes on the disk. Raises ValueError, and writes nothing, for what read_submission would
    refuse: names, dtypes, sizes.
    """
    from tinytorch.checkpoints import write_atomically

    data = pack_submission(arrays, manifest, path)
    write_atomically(path, data)
    return len(data)


def pack_submission(arrays, manifest, path=FILE_NAME):
    """The bytes of the file that write_submission writes; `path` is what errors call it."""
    file = io.BytesIO()
    try:
        document = json.dumps(manifest, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: the manifest is not JSON: {error}") from error
    if MANIFEST in arrays:
        raise ValueError(f"{path}, entry {MANIFEST!r}: this name belongs to the manifest")
    entries = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in entries.items():  # before np.savez, which pickles objects
        _check_entry(path, name, array.dtype, array.shape)
    np.savez_compressed(file, **{MANIFEST: np.frombuffer(document, np.uint8)}, **entries)
    parse_submission(file.getvalue(), path)
    return file.getvalue()


def read_submission(path):
    """The Submission in the file `path`. Raises ValueError that names the file, and the entry, for a bad one."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return parse_submission(data, path)


def parse_submission(data, path=FILE_NAME):
    """The Submission in the bytes `data` of a file; `path` is what errors call it."""
    if len(data) > MOST_FILE_BYTES:
        raise ValueError(f"{path}: more than {MOST_FILE_BYTES:,} bytes, which is what a submission may have")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:  # zipfile raises several kinds
        raise ValueError(f"{path} ({len(data):,} bytes) is damaged or no .npz file: {error}") from error
    with archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            raise ValueError(f"{path}: {len(entries):,} entries; {MOST_ENTRIES:,} are allowed")
        _check_declared(path, archive, entries)
        arrays = {entry.filename.removesuffix(".npy"): _read_entry(path, archive, entry) for entry in entries}
    if MANIFEST not in arrays:
        raise ValueError(f"{path}: there is no entry {MANIFEST!r}; write_submission makes one")
    return Submission(arrays, _read_manifest(path, arrays.pop(MANIFEST)))


def _check_declared(path, archive, entries):
    """Go through names, headers and sizes alone, so that nothing large is unpacked."""
    seen, total = set(), 0
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or name in seen:
            raise ValueError(f"{path}, entry {entry.filename!r}: {'twice' if name in seen else 'no .npy array'}")
        seen.add(name)
        shape, dtype, header = _read_header(path, archive, entry)
        total += _check_entry(path, name, dtype, shape)
        if total > MOST_ARRAY_BYTES:
            raise ValueError(
                f"{path}, entry {name!r}: up to here the arrays declare {total:,} bytes; "
                f"{MOST_ARRAY_BYTES:,} are allowed"
            )
        if entry.file_size != header + _bytes_of(dtype, shape):
            raise ValueError(f"{path}, entry {name!r}: its size is not what shape {shape} of {dtype} has")


def _read_header(path, archive, entry):
    """(shape, dtype, bytes before the data) that an entry declares."""
    name = entry.filename.removesuffix(".npy")
    try:
        with archive.open(entry) as file:
            start = io.BytesIO(file.read(MOST_HEADER_BYTES))
        version = np.lib.format.read_magic(start)
        shape, _, dtype = HEADERS[version](start, max_header_size=MOST_HEADER_BYTES)
    except Exception as error:  # zipfile, zlib and NumPy raise what they like on a file that was made up
        raise ValueError(f"{path}, entry {name!r} is damaged or no array: {type(error).__name__}: {error}") from error
    return shape, dtype, start.tell()


def _check_entry(path, name, dtype, shape):
    """The bytes that an array has. Raises ValueError where its name, dtype or shape is not allowed."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{path}, entry {name!r}: a name is letters, digits, dots, dashes and underscores")
    if dtype.kind not in KINDS or dtype.itemsize > 8:
        what = "Python objects, which are refused" if dtype.hasobject else f"dtype {dtype}"
        raise ValueError(f"{path}, entry {name!r} holds {what}; numbers and booleans are allowed")
    if len(shape) > 16 or min(shape, default=0) < 0:
        raise ValueError(f"{path}, entry {name!r}: shape {shape}")
    return _bytes_of(dtype, shape)


def _bytes_of(dtype, shape):
    total = dtype.itemsize
    for size in shape:  # Python's integers: NumPy's would overflow
        total *= int(size)
    return total


def _read_entry(path, archive, entry):
    name = entry.filename.removesuffix(".npy")
    try:
        with archive.open(entry) as file:
            return np.lib.format.read_array(file, allow_pickle=False, max_header_size=MOST_HEADER_BYTES)
    except Exception as error:
        raise ValueError(f"{path}, entry {name!r} is damaged: {type(error).__name__}: {error}") from error


def _read_manifest(path, array):
    if array.dtype != np.uint8 or array.ndim != 1 or len(array) > MOST_MANIFEST_BYTES:
        raise ValueError(
            f"{path}, entry {MANIFEST!r}: expected JSON in at most {MOST_MANIFEST_BYTES:,} uint8 numbers, "
            f"got shape {array.shape} of {array.dtype}"
        )
    try:
        manifest = json.loads(array.tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, entry {MANIFEST!r} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{path}, entry {MANIFEST!r}: expected a dictionary, got {type(manifest).__name__}")
    return manifest
