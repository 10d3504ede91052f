"""The real datasets: where they come from, how they are checked, and where they lie.

MNIST is checked by the SHA-256 of each decompressed file, because compressing the same bytes again gives another
file. Of CIFAR-10's archive its publisher gives the MD5; that, the sizes, and the labels and their numbers are checked.
Files of CIFAR-10 that somebody unpacked before (--from) have no published hash: their structure alone is checked.
"""

import gzip
import hashlib
import importlib.util
import os
import shutil
import sys
import tarfile
import uuid
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tito.errors import ProjectError, UsageError
from tito.services import lock
from tito.services.download import DownloadError, discard, download, size_of
from tito.services.files import atomic_write, remove_tree

RECORD = 3073  # bytes of a labelled image in CIFAR-10's files
SLACK = 1 << 20  # a compressed file may be a little larger than its content
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class File:
    """A file of a dataset. size and sha256 are those of its decompressed content.

    sha256 is None for a file of CIFAR-10, whose records are checked instead.
    """

    name: str
    size: int
    sha256: str | None

    @property
    def names(self):
        """What the file may be called on the disk: compressed or not."""
        return (self.name, self.name.removesuffix(".gz")) if self.name.endswith(".gz") else (self.name,)


@dataclass(frozen=True)
class Archive:
    """A tar archive that holds the files in `folder`."""

    name: str
    size: int
    md5: str
    folder: str


@dataclass(frozen=True)
class Dataset:
    name: str
    title: str
    files: tuple[File, ...]
    mirrors: tuple[str, ...] = ()  # what stands before the name of a file
    archive: Archive | None = None
    per_class: int | None = None  # images of each class over all files of records
    build: Callable | None = None  # makes {name: bytes} without a network


@dataclass(frozen=True)
class DatasetState:
    """What the cache holds of a dataset: state is ready, incomplete or absent."""

    dataset: Dataset
    state: str
    folder: Path
    bytes: int


@dataclass(frozen=True)
class Fetched:
    """state: "present" (it was there), "downloaded", "copied" or "built"; source: from where."""

    name: str
    state: str
    bytes: int
    source: str
    checked: str


@dataclass(frozen=True)
class FetchResult:
    dataset: str
    folder: Path
    files: tuple[Fetched, ...]


def build_digits():
    """scikit-learn's digits, out of the table it brings along, as two files in MNIST's format (values 0 to 16)."""
    spec = importlib.util.find_spec("sklearn")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ProjectError("scikit-learn, which brings the digits along, is not installed", "pip install scikit-learn")
    with gzip.open(path, "rt", encoding="ascii") as table:
        rows = [[int(float(number)) for number in line.split(",")] for line in table]
    count = len(rows).to_bytes(4, "big")
    side = (8).to_bytes(4, "big")
    return {
        "digits-images-idx3-ubyte": b"\0\0\x08\x03" + count + 2 * side + b"".join(bytes(row[:64]) for row in rows),
        "digits-labels-idx1-ubyte": b"\0\0\x08\x01" + count + bytes(row[64] for row in rows),
    }


DATASETS = {
    "mnist": Dataset(
        "mnist",
        "70,000 handwritten digits, 28 x 28",
        (
            File(
                "train-images-idx3-ubyte.gz",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            File(
                "t10k-images-idx3-ubyte.gz",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                "t10k-labels-idx1-ubyte.gz",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "cifar10": Dataset(
        "cifar10",
        "60,000 colour photographs of ten things, 32 x 32",
        tuple(
            File(f"{name}.bin", 10_000 * RECORD, None)
            for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        archive=Archive(
            "cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-batches-bin"
        ),
        per_class=6000,
    ),
    "digits": Dataset(
        "digits",
        "1,797 handwritten digits, 8 x 8, which scikit-learn brings along",
        (
            File(
                "digits-images-idx3-ubyte",
                115_024,
                "359cd13f0f514122884198b78a131df597421cbf5e93a76678fa96fc548f0d96",
            ),
            File(
                "digits-labels-idx1-ubyte",
                1805,
                "ce71631c1f31ce56fa54f31d1d498fafacff59b001e6c30c4a5e29508aa277ad",
            ),
        ),
        build=build_digits,
    ),
}


def data_folder():
    """Where datasets are kept: TINYTORCH_DATA, or the platform's cache. Module 08 looks in the same place."""
    if os.environ.get("TINYTORCH_DATA"):
        return Path(os.environ["TINYTORCH_DATA"]).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tinytorch" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinytorch"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinytorch"


def standings():
    """What the cache holds, by names and sizes; `fetch` looks at the content."""
    return [_standing(dataset) for dataset in DATASETS.values()]


def _standing(dataset):
    folder = data_folder() / dataset.name
    there = [path for path in (_path(folder, file) for file in dataset.files) if path]
    parts = _parts(dataset).glob("*.part")
    state = "ready" if len(there) == len(dataset.files) else "incomplete" if there or any(parts) else "absent"
    return DatasetState(dataset, state, folder, sum(path.stat().st_size for path in there))


def _path(folder, file):
    """Where a file of the right size is, under one of its names; None where it is not."""
    for name in file.names:
        if (folder / name).is_file() and _content_size(folder / name) == file.size:
            return folder / name
    return None


def _near_miss(folders, file):
    """What to do with something in `folders` that seems to be `file` under another name; "" where there is none.

    7-Zip calls train-images-idx3-ubyte train-images.idx3-ubyte.
    """
    wanted = {_letters(name): name for name in file.names}
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        if path.is_file() and path.name not in file.names and _letters(path.name) in wanted:
            return f"rename {path} to {wanted[_letters(path.name)]}"
    return ""


def _letters(name):
    """A name without what programs change in it."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _content_size(path):
    """The size that a file has when decompressed, for files below 4 GB; gzip notes it in its last four bytes."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path.stat().st_size
        file.seek(max(0, path.stat().st_size - 4))
        return int.from_bytes(file.read(4), "little")


def _parts(dataset):
    """The folder of unfinished things; on the disk of the cache, so that finishing is a renaming."""
    return data_folder() / ".parts" / dataset.name


def fetch(name, *, origin=None, timeout=30, say=lambda text: None, advance=lambda done, total: None):
    """Put the dataset into the cache, unless it is there and intact. Returns a FetchResult.

    origin: a file or folder to take it from instead of the network. say and advance are told what goes on. Raises
    UsageError for an unknown name or a missing origin, ProjectError where the dataset cannot be had.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no dataset {name!r}; the datasets are: {', '.join(DATASETS)}", "tito data list")
    dataset, folder = DATASETS[name], data_folder() / name
    if origin is not None and not Path(origin).exists():
        raise UsageError(f"{origin} does not exist", f"tito data fetch {name} --from PATH")
    try:
        _parts(dataset).mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ProjectError(
            f"{error.filename} is not a folder, so nothing can be kept there",
            "remove it, or set TINYTORCH_DATA to another folder",
            code="data-folder",
        ) from error
    waiting = lambda: say(f"another tito is fetching {name}; waiting for it")
    with lock.hold(_parts(dataset).with_suffix(".lock"), f"tito data fetch {name}", waiting=waiting):
        files = _Fetch(dataset, folder, timeout, say, advance).run(Path(origin) if origin is not None else None)
        remove_tree(_parts(dataset))
    return FetchResult(name, folder, tuple(files))


class _Fetch:
    """One fetch: the same few things, known to every step."""

    def __init__(self, dataset, folder, timeout, say, advance):
        self.dataset = dataset
        self.folder = folder
        self.parts = _parts(dataset)
        self.timeout = timeout
        self.say = say
        self.advance = advance

    def run(self, origin):
        present = self.present()
        if len(present) == len(self.dataset.files):
            return list(present.values())
        if origin is not None:
            return self.take(origin, present)
        if self.dataset.build:
            return self.build()
        if self.dataset.archive:
            return self.download_archive()
        return [present.get(file.name) or self.download_file(file) for file in self.dataset.files]

    def present(self):
        """{name: Fetched} of the files that are in the cache and intact."""
        sums, found = _read_sums(self.folder), {}
        for file in self.dataset.files:
            path = _path(self.folder, file)
            wrong = None if path is None else _mistake(path, file, sums.get(file.name))
            if wrong:
                self.say(f"{path} is damaged ({wrong}) and is fetched again")
            elif path is None and (near := _near_miss([self.folder], file)):
                self.say(f"{self.folder} does not hold {' or '.join(file.names)}; {near}")
            elif path:
                found[file.name] = Fetched(path.name, "present", size_of(path), str(path), _check_word(file))
        if found and self.dataset.per_class and len(found) == len(self.dataset.files):
            wrong = _count_mistake([self.folder / file.name for file in self.dataset.files], self.dataset.per_class)
            return {} if wrong else found
        return found

    # from the network

    def addresses(self, name):
        mirror = os.environ.get("TINYTORCH_MIRROR")
        if mirror:
            return [f"{mirror.rstrip('/')}/{self.dataset.name}/{name}"]
        return [base + name for base in self.dataset.mirrors]

    def download(self, name, limit, mistake):
        """(the part with all of `name`, its address). mistake(path): what is wrong with it, or None."""
        part, failures, wrong_content = self.parts / f"{name}.part", [], False
        for url in self.addresses(name):
            self.say(f"{name} from {url}")
            for _ in range(2):  # a second time from the beginning, if a continued part turns out wrong
                try:
                    resumed = download(
                        url, part, limit=limit, timeout=self.timeout, say=self.say, advance=self.advance
                    )
                except DownloadError as error:
                    failures.append(f"{url}: {error}")
                    break
                wrong = mistake(part)
                if wrong is None:
                    return part, url
                discard(part)
                if not resumed:
                    failures.append(f"{url}: {wrong}; what came was removed")
                    wrong_content = True
                    break
                self.say(f"{name}: {wrong}; what came is removed, and fetched from the beginning")
        kept = size_of(part)
        note = f"\n{kept} bytes are kept, and the next try goes on from there" if kept else ""
        raise ProjectError(
            f"{name} could not be fetched:\n" + "\n".join(failures) + note,
            f"tito data fetch {self.dataset.name}, later; or with files that you have: "
            f"tito data fetch {self.dataset.name} --from PATH",
            code="hash" if wrong_content else "network",
        )

    def download_file(self, file):
        part, url = self.download(file.name, file.size + SLACK, lambda path: _mistake(path, file))
        return self.place(part, file, "downloaded", url)

    def download_archive(self):
        archive = self.dataset.archive
        part, url = self.download(archive.name, archive.size, lambda path: _archive_mistake(path, archive))
        files = self.unpack(part, "downloaded", url)
        discard(part)
        return files

    # from the disk

    def take(self, origin, present):
        archive = self.dataset.archive
        if archive:
            path = origin if origin.is_file() else origin / archive.name
            if path.is_file():
                wrong = _archive_mistake(path, archive)
                if wrong:
                    raise self.wrong_content(path, wrong)
                return self.unpack(path, "copied", str(path))
        return self.take_files(origin, present)

    def take_files(self, origin, present):
        inner = origin / self.dataset.archive.folder if self.dataset.archive else origin
        folders = [folder for folder in (origin, inner) if folder.is_dir()]
        if not folders:
            raise UsageError(f"{origin} is not a folder", f"tito data fetch {self.dataset.name} --from FOLDER")
        found = {}
        for file in self.dataset.files:
            places = [folder / name for folder in folders for name in file.names]
            places += [place / place.name for place in places]  # Kaggle puts each file into a folder of its name
            places = [place for place in places if place.is_file()]
            if places:
                found[file] = places[0]
            elif file.name not in present:
                near = _near_miss(folders, file)
                raise UsageError(
                    f"{origin} does not hold {' or '.join(file.names)}" + (f"; {near}" if near else ""),
                    f"tito data fetch {self.dataset.name} --from PATH",
                )
        copies = {}
        for file, path in found.items():
            copies[file] = self.parts / f"{path.name}.{uuid.uuid4().hex}.copy"
            shutil.copyfile(path, copies[file])
            wrong = _mistake(copies[file], file)
            if wrong:
                remove_tree(self.parts)
                raise self.wrong_content(path, wrong)
        self.check_counts(list(copies.values()), origin)
        if self.dataset.archive:
            self.write_sums(copies)
        taken = {
            file.name: self.place(copy, file, "copied", str(found[file]), found[file].name)
            for file, copy in copies.items()
        }
        return [taken.get(file.name) or present[file.name] for file in self.dataset.files]

    def wrong_content(self, source, wrong):
        return ProjectError(
            f"{source} is not what it should be: {wrong}",
            f"tito data fetch {self.dataset.name} --from PATH, with another PATH or without it",
            code="hash",
        )

    def build(self):
        built = []
        for file in self.dataset.files:
            content = self.dataset.build()[file.name]
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise ProjectError(
                    f"{file.name}: the digits of this scikit-learn are not those that are known "
                    f"(expected sha256 {file.sha256}, found {hashlib.sha256(content).hexdigest()})",
                    "pip install --upgrade scikit-learn",
                    code="hash",
                )
            atomic_write(self.folder / file.name, content)
            built.append(Fetched(file.name, "built", len(content), "scikit-learn", _check_word(file)))
        return built

    # into the cache

    def unpack(self, archive, state, source):
        """Unpack, check, place."""
        target = self.parts / f"unpacked-{uuid.uuid4().hex}"
        self.say(f"unpacking {self.dataset.archive.name}")
        try:
            extract(archive, self.dataset.archive.folder, {file.name: file.size for file in self.dataset.files}, target)
            for file in self.dataset.files:
                wrong = _mistake(target / file.name, file)
                if wrong:
                    raise self.wrong_content(f"{file.name} in {source}", wrong)
            self.check_counts([target / file.name for file in self.dataset.files], source)
            self.write_sums({file: target / file.name for file in self.dataset.files})
            check = "md5 of the archive, records and labels"
            return [self.place(target / file.name, file, state, source, check=check) for file in self.dataset.files]
        finally:
            remove_tree(target)

    def check_counts(self, paths, source):
        if self.dataset.per_class:
            wrong = _count_mistake(paths, self.dataset.per_class)
            if wrong:
                remove_tree(self.parts)
                raise self.wrong_content(source, wrong)

    def write_sums(self, paths):
        lines = [f"{_sha256(path)}  {file.name}\n" for file, path in paths.items()]
        atomic_write(self.folder / SUMS, "".join(lines))

    def place(self, path, file, state, source, name=None, check=None):
        """Rename a checked file to where it belongs: it is there as a whole or not at all."""
        target = self.folder / (name or file.name)
        size = size_of(path)
        path.replace(target)
        discard(path)  # the note of a part
        for other in {*file.names} - {target.name}:  # whoever reads would not know which of the two is intact
            (self.folder / other).unlink(missing_ok=True)
        return Fetched(target.name, state, size, source, check or _check_word(file))


def extract(archive, folder, sizes, target):
    """Unpack the files `sizes` ({name: bytes}) of `folder` in a tar archive into the new folder `target`.

    Raises ProjectError, before anything of it is written, for an archive that holds an absolute path, a path with
    "..", a link or a device anywhere; and for one that is broken, or lacks a file or has it in another size.
    """
    hint = "remove the file and fetch it again"
    try:
        with tarfile.open(archive, "r:*") as tar:
            members = tar.getmembers()
            for member in members:
                parts = PurePosixPath(member.name.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts or ":" in member.name:
                    raise ProjectError(f"{archive}: the path {member.name!r} leads out of it", hint, code="archive")
                if not (member.isfile() or member.isdir()):
                    raise ProjectError(f"{archive}: {member.name!r} is a link or a device", hint, code="archive")
            wanted = {PurePosixPath(member.name).as_posix(): member for member in members if member.isfile()}
            target.mkdir(parents=True)
            for name, size in sizes.items():
                member = wanted.get(f"{folder}/{name}")
                if member is None or member.size != size:
                    found = "it is not there" if member is None else f"it has {member.size} bytes"
                    wrong = f"expected {folder}/{name} of {size} bytes; {found}"
                    raise ProjectError(f"{archive}: {wrong}", hint, code="archive")
                with tar.extractfile(member) as source, (target / name).open("xb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProjectError(f"{archive} is not an intact tar archive: {error}", hint, code="archive") from error


def _mistake(path, file, sha256=None):
    """What is wrong with the content of a file, or None. sha256: a known one in place of the file's own."""
    expected = sha256 or file.sha256
    try:
        size, found, labels = _examine(path, file.size)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return f"expected intact gzip, found a broken one ({error})"
    if size != file.size:
        more = "more than " if size > file.size else ""
        records = "" if file.sha256 else f", {file.size // RECORD} records of {RECORD} bytes"
        return f"expected {file.size} bytes when decompressed{records}, found {more}{min(size, file.size)}"
    if expected and found != expected:
        return f"expected sha256 {expected} of the decompressed content, found {found}"
    if file.sha256 is None and max(labels) > 9:
        record = next(number for number, label in enumerate(labels) if label > 9)
        return f"expected a label from 0 to 9 at byte {record * RECORD}, found {labels[record]}"
    return None


def _check_word(file):
    return "sha256" if file.sha256 else "records and labels"


def _examine(path, limit):
    """(size, sha256, every 3073rd byte) of the decompressed content; stops where it is larger than `limit`."""
    digest, size, labels = hashlib.sha256(), 0, bytearray()
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if packed else raw as stream:
            while size <= limit and (block := stream.read(1 << 20)):
                labels += block[-size % RECORD :: RECORD]
                digest.update(block)
                size += len(block)
    return size, digest.hexdigest(), labels


def _count_mistake(paths, per_class):
    counts = Counter()
    for path in paths:
        counts.update(path.read_bytes()[::RECORD])
    wrong = {label: counts[label] for label in range(10) if counts[label] != per_class}
    return f"expected {per_class} images of each class, found {wrong}" if wrong else None


def _archive_mistake(path, archive):
    found = _sha256(path, hashlib.md5(usedforsecurity=False))
    return None if found == archive.md5 else f"expected md5 {archive.md5} of {archive.name}, found {found}"


def _sha256(path, digest=None):
    digest = digest or hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_sums(folder):
    """{name: sha256}, noted when an archive had been checked."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: found for found, _, name in (line.partition("  ") for line in lines)}
