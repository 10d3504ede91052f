"""DataLoader: From files on the disk to shuffled, augmented batches, with a thread that works ahead.

Exported from module 08_dataloader by tito export. Edit the notebook of that module, not this file.
"""

import contextvars
import gzip
import math
import os
import queue
import sys
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .tensor import Random, Tensor, random_generator

__all__ = [
    "Dataset", "TensorDataset", "Subset", "take_batch", "random_split", "batch_indices", "default_collate",
    "drawing_from", "DataLoader", "fetch_ahead", "next_result", "normalize", "horizontal_flip", "random_crop",
    "Transform", "ToFloat", "Normalize", "RandomHorizontalFlip", "RandomCrop", "Compose", "ImageDataset", "damaged",
    "read_bytes", "IDX_DTYPES", "idx_header", "read_idx", "CIFAR10_RECORD", "read_cifar10_batch", "data_folder",
    "find_file", "load_idx_pair", "load_mnist", "load_cifar10", "load_digits",
]


class Dataset:
    """What a DataLoader reads from. A subclass defines `__len__` and `__getitem__(index)`, one example."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} has to define __getitem__(self, index)")

    def get_batch(self, indices):
        """The examples of an array of indices, as a batch; overridden where all come at once."""
        return default_collate([self[i] for i in indices.tolist()])


class TensorDataset(Dataset):
    """Example i is the tuple of the i-th entries of all `tensors` (Tensors or arrays, which share their
    memory).

    Raises ValueError naming the lengths where they differ, and where there is no Tensor.
    """

    def __init__(self, *tensors):
        self.tensors = tuple(x if isinstance(x, Tensor) else Tensor.wrap(np.asarray(x)) for x in tensors)
        lengths = [len(tensor) for tensor in self.tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def get_batch(self, indices):
        # a subclass that treats examples one by one
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return super().get_batch(indices)
        return self[indices]


class Subset(Dataset):
    """The examples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = np.asarray(indices, np.int64)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[int(self.indices[index])]

    def get_batch(self, indices):
        return take_batch(self.dataset, self.indices[indices])


def take_batch(dataset, indices):
    """The examples of an array of indices as a batch: at once where the dataset can, else one by one."""
    if hasattr(dataset, "get_batch"):
        return dataset.get_batch(indices)
    return default_collate([dataset[i] for i in indices.tolist()])


def random_split(dataset, lengths, generator=None):
    """Disjoint random Subsets of `dataset`: lengths are numbers of examples, or shares that sum to 1.

    What the rounding of shares leaves over goes to the first ones. generator: a numpy.random.Generator or a
    seed. Raises ValueError where the lengths do not sum to the length of the dataset.
    """
    total, counts = len(dataset), list(lengths)
    if math.isclose(sum(counts), 1) and all(0 <= share <= 1 for share in counts):
        counts = [math.floor(total * share) for share in counts]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != total:
        raise ValueError(
            f"the lengths {list(lengths)} sum to {sum(counts)}, and the dataset has {total} examples"
        )
    order = (random_generator() if generator is None else np.random.default_rng(generator)).permutation(total)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def batch_indices(length, batch_size, shuffle, drop_last, generator):
    """Which examples go together: the numbers 0 to length - 1, each once, as a list of int64 arrays.

    All have `batch_size` entries but the last, which may be shorter, or is left out with `drop_last`.
    """
    order = generator.permutation(length) if shuffle else np.arange(length)
    end = length - length % batch_size if drop_last else length
    return [order[start : start + batch_size] for start in range(0, end, batch_size)]


def default_collate(samples):
    """A batch from a list of examples of one structure: numbers, arrays, Tensors, or tuples, lists, dicts of
    such.

    Arrays keep their dtype; Python's numbers become float32, int64 or bool. Tuples and lists become a tuple.
    Raises ValueError where shapes, or lengths of tuples, differ, TypeError for samples of another kind.
    """
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = sorted({len(sample) for sample in samples})
        if len(lengths) > 1:
            raise ValueError(f"examples of one batch have different numbers of parts: {lengths}")
        return tuple(default_collate(parts) for parts in zip(*samples, strict=True))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    shapes = sorted({np.shape(sample) for sample in samples})
    if len(shapes) > 1:
        raise ValueError(
            f"examples of one batch have different shapes: {shapes}; crop them, or pass a collate_fn"
        )
    return Tensor.wrap(np.stack([np.asarray(sample) for sample in samples]))


@contextmanager
def drawing_from(generator):
    """Inside `with`, in this thread, whatever the package draws comes from `generator`."""
    token = Random.own.set(generator)
    try:
        yield
    finally:
        Random.own.reset(token)


class DataLoader:
    """Batches of `dataset`, anew in every `for` loop. `len(loader)` is the number of batches.

    batch_size: examples in a batch. shuffle: another order in every epoch. drop_last: leave a shorter last
    batch out. collate_fn: makes a batch of a list of examples; without one, `dataset.get_batch` does, or
    `default_collate`. generator: a numpy.random.Generator or a seed; without one, the one that `manual_seed`
    sets. It decides the order and what dataset, transforms and collate_fn draw through the package (`rand`,
    `randn`, `random_generator`), whatever `prefetch` is. prefetch: how many batches a background thread may
    be ahead; 0 fetches each batch when it is asked for. Raises ValueError for a batch_size or prefetch that
    is no number of batches.
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        *,
        drop_last=False,
        collate_fn=None,
        generator=None,
        prefetch=0,
    ):
        for name, value, least in (("batch_size", batch_size, 1), ("prefetch", prefetch, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} is an integer of at least {least}, not {value!r}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = bool(shuffle)
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.generator = None if generator is None else np.random.default_rng(generator)
        self.prefetch = prefetch

    def __len__(self):
        examples = len(self.dataset)
        return examples // self.batch_size if self.drop_last else math.ceil(examples / self.batch_size)

    def __iter__(self):
        seed = int((random_generator() if self.generator is None else self.generator).integers(2**63))
        order = np.random.default_rng((seed, 0))
        batches = batch_indices(len(self.dataset), self.batch_size, self.shuffle, self.drop_last, order)
        jobs = [(indices, (seed, number)) for number, indices in enumerate(batches, 1)]
        return (
            fetch_ahead(self.fetch, jobs, self.prefetch)
            if self.prefetch
            else (self.fetch(*job) for job in jobs)
        )

    def fetch(self, indices, seed):
        """One batch. Whatever is drawn on the way comes from `seed`."""
        with drawing_from(np.random.default_rng(seed)):
            if self.collate_fn is None:
                return take_batch(self.dataset, indices)
            return self.collate_fn([self.dataset[i] for i in indices.tolist()])


def fetch_ahead(fetch, jobs, places):
    """Yield fetch(*job) for each of the list `jobs`, fetched by a thread that is at most `places` results
    ahead.

    What `fetch` raises is raised here, at the place in the order where the result would have come. The thread
    ends when this generator is closed; it finishes the one job that it is at.
    """
    results, free, stopped = queue.SimpleQueue(), threading.Semaphore(places), threading.Event()

    def work():
        try:
            for job in jobs:
                free.acquire()
                if stopped.is_set():
                    return
                results.put((fetch(*job), None))
        except BaseException as error:  # the loop is the one to be interrupted
            results.put((None, error))

    # the copied context carries np.errstate into the thread; a daemon does not keep the program from ending
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name="DataLoader", daemon=True
    )
    thread.start()
    try:
        for _ in jobs:
            result, error = next_result(results, thread)
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # it holds this frame, which would hold it
            free.release()
            yield result
            del result  # it would otherwise live on while the next one is awaited
    finally:
        stopped.set()
        free.release()


def next_result(results, thread):
    """What the thread put into the queue. Raises RuntimeError where it died, as threads do in a fork."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty:
            if not thread.is_alive() and results.empty():
                raise RuntimeError("the loader's thread is gone; start a new loop over the loader") from None


def normalize(images, mean, std):
    """(images - mean) / std for floats of shape (…, C, H, W), with numbers or one entry per channel.

    Raises TypeError for integers, ValueError for a number of entries that does not fit, and where `std` is 0.
    """
    if images.dtype.kind != "f":
        raise TypeError(f"normalize needs floats, not {images.dtype}; divide bytes by 255 first (ToFloat)")
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for name, part in (("mean", mean), ("std", std)):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(
                f"{name} has {len(part)} entries, and the images have {images.shape[-3]} channels"
            )
    if not std.all():
        raise ValueError("std is 0: a channel without any spread cannot be scaled to 1")
    return (images - mean) / std


def horizontal_flip(images, p, generator):
    """A copy of the batch (N, C, H, W), each image mirrored left to right with probability `p`."""
    images = images.copy()
    chosen = generator.random(len(images)) < p
    images[chosen] = images[chosen, :, :, ::-1]
    return images


def random_crop(images, size, padding, padding_mode, generator):
    """A window of `size` (h, w) from a random place of each image of (N, C, H, W), with a border of `padding`
    pixels.

    padding_mode: "constant" (zeros) or "reflect". Raises ValueError naming both sizes where the window does
    not fit.
    """
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(
            f"a window of {tuple(size)} does not fit into images of {padded.shape[2:]}, border included"
        )
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    count = len(images)
    tops, lefts = generator.integers(down, size=count), generator.integers(across, size=count)
    return windows[np.arange(count), :, tops, lefts]


class Transform:
    """Takes (C, H, W) or (N, C, H, W), as an array or a Tensor, and gives a changed array."""

    def __call__(self, images):
        images = np.asarray(images)
        if images.ndim not in (3, 4):
            raise ValueError(
                f"{self} takes an image (C, H, W) or a batch (N, C, H, W), not the shape {images.shape}"
            )
        return self.apply(images) if images.ndim == 4 else self.apply(images[None])[0]

    def __repr__(self):
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )


class ToFloat(Transform):
    """Bytes as float32 from 0 to 1; floats stay as they are. Raises TypeError for other integers."""

    def apply(self, images):
        if images.dtype.kind != "f" and images.dtype != np.uint8:
            raise TypeError(f"ToFloat takes bytes (uint8) or floats, not {images.dtype}")
        return (
            images if images.dtype.kind == "f" else np.multiply(images, np.float32(1 / 255), dtype=np.float32)
        )


class Normalize(Transform):
    """(images - mean) / std, with numbers or one entry per channel."""

    def __init__(self, mean, std):
        self.mean = mean
        self.std = std

    def apply(self, images):
        return normalize(images, self.mean, self.std)


class RandomHorizontalFlip(Transform):
    """Mirror each image left to right with probability `p`."""

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, from 0 to 1, not {p!r}")
        self.p = p

    def apply(self, images):
        return horizontal_flip(images, self.p, random_generator())


class RandomCrop(Transform):
    """A window of `size` (h, w), or a number for both, from a random place of each image after adding a
    border.

    padding: pixels on each side. padding_mode: "constant" for black, "reflect" for the image mirrored at its
    edge.
    """

    def __init__(self, size, padding=0, padding_mode="constant"):
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.padding = padding
        self.padding_mode = padding_mode
        if len(self.size) != 2 or min(self.size) < 1 or padding < 0:
            raise ValueError(
                f"size is one or two positive integers, padding at least 0, not {size!r} and {padding!r}"
            )
        if padding_mode not in ("constant", "reflect"):
            raise ValueError(f'padding_mode is "constant" or "reflect", not {padding_mode!r}')

    def apply(self, images):
        if self.padding_mode == "reflect" and self.padding >= min(images.shape[2:]):
            raise ValueError(f"images of {images.shape[2:]} cannot be reflected by {self.padding} pixels")
        return random_crop(images, self.size, self.padding, self.padding_mode, random_generator())


class Compose:
    """Transforms one after another."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, images):
        for transform in self.transforms:
            images = transform(images)
        return images

    def __repr__(self):
        return f"Compose({self.transforms!r})"


class ImageDataset(Dataset):
    """Images (N, C, H, W) and their labels (N,), as arrays. Example i is (transformed image as a Tensor,
    label).

    A batch is transformed at once. Raises ValueError where images and labels differ in number.
    """

    def __init__(self, images, labels, transform=None):
        if len(images) != len(labels):
            raise ValueError(f"there are {len(images)} images and {len(labels)} labels")
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = np.array(self.images[index])
        return Tensor.wrap(self.transform(image) if self.transform else image), int(self.labels[index])

    def get_batch(self, indices):
        # a subclass that treats examples one by one
        if type(self).__getitem__ is not ImageDataset.__getitem__:
            return super().get_batch(indices)
        images = self.images[indices]
        return Tensor.wrap(self.transform(images) if self.transform else images), Tensor.wrap(
            self.labels[indices]
        )


def damaged(path, offset, expected, found):
    """The ValueError for a broken file. offset: the byte at which that shows, from 0."""
    return ValueError(f"{path}, byte {offset}: expected {expected}, found {found}")


def read_bytes(path):
    """The content of a file, unpacked if it is gzip. Raises ValueError for a folder, nothing, broken gzip."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, found a folder")
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        content = _decompress(path, file) if start == b"\x1f\x8b" else file.read()
    if not content:
        raise damaged(path, 0, "some content", "none: the file is empty")
    return content


def _decompress(path, file):
    parts = []
    with gzip.open(file) as stream:
        try:
            while part := stream.read(1 << 22):
                parts.append(part)
        except (OSError, EOFError, zlib.error) as error:
            size = path.stat().st_size
            raise damaged(
                path, min(file.tell(), size), "intact gzip", f"{error} ({size} bytes in the file)"
            ) from error
    return b"".join(parts)


IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx_header(path, data):
    """(dtype, shape, byte at which the entries start) of an IDX file with the content `data`.

    Raises ValueError that names the file `path`, the offset and what was expected there.
    """
    if len(data) < 4:
        raise damaged(path, len(data), "a magic number of 4 bytes", "the end of the file")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "the two zero bytes of an IDX file", data[:2].hex(" "))
    code, axes = data[2], data[3]
    if code not in IDX_DTYPES:
        known = ", ".join(f"{number:02x}" for number in IDX_DTYPES)
        raise damaged(path, 2, f"the code of a dtype ({known})", f"{code:02x}")
    if axes > 64:
        raise damaged(path, 3, "at most 64 axes", axes)
    start = 4 + 4 * axes
    if len(data) < start:
        raise damaged(path, len(data), f"{axes} sizes of 4 bytes, up to byte {start}", "the end of the file")
    shape = tuple(int.from_bytes(data[place : place + 4], "big") for place in range(4, start, 4))
    return np.dtype(IDX_DTYPES[code]), shape, start


def read_idx(path):
    """The array in an IDX file, gzip or not: writable, in native byte order.

    Raises FileNotFoundError, or ValueError naming the file, the offset and what was expected there.
    """
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) < end:
        raise damaged(path, len(data), f"entries of shape {shape} up to byte {end}", "the end of the file")
    if len(data) > end:
        raise damaged(
            path, end, f"the end of the file after entries of shape {shape}", f"{len(data) - end} bytes more"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


CIFAR10_RECORD = 1 + 3 * 32 * 32


def read_cifar10_batch(path):
    """(images (N, 3, 32, 32) uint8, labels (N,) int64) of one of CIFAR-10's binary files.

    Raises FileNotFoundError, or ValueError naming the file, the offset and what was expected there.
    """
    data = read_bytes(path)
    count, rest = divmod(len(data), CIFAR10_RECORD)
    if rest:
        offset = count * CIFAR10_RECORD
        raise damaged(
            path, offset, f"a record of {CIFAR10_RECORD} bytes or the end of the file", f"{rest} bytes"
        )
    records = np.frombuffer(data, np.uint8).reshape(count, CIFAR10_RECORD)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * CIFAR10_RECORD, "a label from 0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)


def data_folder():
    """Where `tito data fetch` puts its files: TINYTORCH_DATA in the environment, or the user's cache."""
    if os.environ.get("TINYTORCH_DATA"):
        return Path(os.environ["TINYTORCH_DATA"]).expanduser()
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tinytorch" / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinytorch"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinytorch"


def find_file(folder, name, dataset):
    """`name` in `folder`, or else `name`.gz. Raises FileNotFoundError with the command that fetches it."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    near = [
        path.name
        for path in sorted(folder.glob("*"))
        if _letters(path.name) in (_letters(name), _letters(name + "gz"))
    ]
    found = f"; rename {near[0]}, which is there" if near else ""
    raise FileNotFoundError(
        f"{folder}: there is neither {name} nor {name}.gz{found}. Next: tito data fetch {dataset}"
    )


def _letters(name):
    """A name without what programs change in it: train-images.idx3-ubyte is train-images-idx3-ubyte."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def load_idx_pair(folder, part, dataset, classes=10):
    """(images, labels) from `<part>-images-idx3-ubyte` and `<part>-labels-idx1-ubyte`, which have to fit."""
    image_path = find_file(folder, f"{part}-images-idx3-ubyte", dataset)
    label_path = find_file(folder, f"{part}-labels-idx1-ubyte", dataset)
    images, labels = read_idx(image_path), read_idx(label_path)
    for path, array, ndim in ((image_path, images, 3), (label_path, labels, 1)):
        if array.ndim != ndim or array.dtype != np.uint8:
            raise damaged(
                path, 2, f"bytes with {ndim} axes (08 {ndim:02x})", f"{array.dtype} with {array.ndim}"
            )
    if len(images) != len(labels):
        raise damaged(
            label_path, 4, f"{len(images)} labels, one for each image in {image_path.name}", len(labels)
        )
    wrong = np.flatnonzero(labels >= classes)
    if len(wrong):
        raise damaged(label_path, 8 + wrong[0], f"a label from 0 to {classes - 1}", labels[wrong[0]])
    return images[:, None], labels.astype(np.int64)


def load_mnist(folder=None, transform=None):
    """(train, test): 60,000 and 10,000 handwritten digits (1, 28, 28) as ImageDatasets (LeCun et al. 1998).

    folder: where the four IDX files are, gzip or not. transform: for the images of both, `dataset.transform`
    is free to be changed. Raises FileNotFoundError with the next command, ValueError for a damaged file.
    """
    folder = data_folder() / "mnist" if folder is None else Path(folder)
    return tuple(ImageDataset(*load_idx_pair(folder, part, "mnist"), transform) for part in ("train", "t10k"))


def load_cifar10(folder=None, transform=None):
    """(train, test): 50,000 and 10,000 colour photographs (3, 32, 32) as ImageDatasets (Krizhevsky 2009).

    folder: where the six .bin files are, or the folder cifar-10-batches-bin that holds them. transform,
    errors: as in load_mnist.
    """
    folder = data_folder() / "cifar10" if folder is None else Path(folder)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    parts = [read_cifar10_batch(find_file(folder, name, "cifar10")) for name in names]
    sizes = [len(labels) for _, labels in parts]
    whole = max(sizes[:-1])  # a file that was cut at the end of a record is read without complaint
    for name, size in zip(names, sizes, strict=True):
        if size < whole and (name != names[-1] or whole == 10_000):
            raise damaged(folder / name, size * CIFAR10_RECORD, f"{whole} records", size)
    images, labels = (np.concatenate(kind) for kind in zip(*parts[:-1], strict=True))
    return ImageDataset(images, labels, transform), ImageDataset(*parts[-1], transform)


def load_digits(folder=None, transform=None):
    """(train, test): 1,437 and 360 handwritten digits (1, 8, 8), float32 from 0 to 1, as ImageDatasets.

    They are the ones that scikit-learn brings along (Alpaydin & Kaynak 1998), in two IDX files with values
    from 0 to 16; which of them are for testing is drawn once and for all. folder, transform, errors: as in
    load_mnist.
    """
    folder = data_folder() / "digits" if folder is None else Path(folder)
    images, labels = load_idx_pair(folder, "digits", "digits")
    images = np.divide(images, 16, dtype=np.float32)
    test, train = np.split(np.random.default_rng(0).permutation(len(labels)), [len(labels) // 5 + 1])
    return tuple(ImageDataset(images[part], labels[part], transform) for part in (train, test))
