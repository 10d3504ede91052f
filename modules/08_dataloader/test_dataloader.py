"""The public behaviour of the exported module 08."""

import gc
import gzip
import threading
import time
import traceback

import numpy as np
import pytest

from tinytorch import transforms
from tinytorch.core.dataloader import (
    ImageDataset,
    data_folder,
    drawing_from,
    horizontal_flip,
    load_cifar10,
    load_digits,
    load_mnist,
    random_crop,
    read_bytes,
    read_cifar10_batch,
    read_idx,
)
from tinytorch.core.tensor import Tensor, manual_seed, rand, randn
from tinytorch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array):
    """The IDX file of an array, made by hand."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    code = CODES[array.dtype.str[1:]]
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "DataLoader"]


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    yield
    gc.collect()
    assert wait_for(lambda: not loader_threads()), "a loader's thread lives on"


class Numbers(Dataset):
    """Example i is i, unless `work(i)` objects."""

    def __init__(self, count, work=lambda i: None):
        self.count = count
        self.work = work
        self.asked = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        self.work(index)
        return index


def epoch(loader):
    return [batch.tolist() for batch in loader]


# order and length


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_every_length_size_and_way(prefetch):
    draw = np.random.default_rng(1)
    for _ in range(40):
        count, size = int(draw.integers(0, 30)), int(draw.integers(1, 12))
        shuffle, drop_last = draw.integers(2, size=2).astype(bool).tolist()
        loader = DataLoader(
            Numbers(count), size, shuffle, drop_last=drop_last, generator=5, prefetch=prefetch
        )
        batches = epoch(loader)
        assert len(batches) == len(loader)
        assert all(len(batch) == size for batch in batches[:-1])
        seen = sum(batches, [])
        expected = count - count % size if drop_last else count
        assert len(seen) == len(set(seen)) == expected
        assert set(seen) <= set(range(count))
        if not shuffle:
            assert seen == list(range(expected))


def test_shuffling_differs_by_epoch_and_repeats_by_seed():
    first, second = (DataLoader(Numbers(50), 8, True, generator=7) for _ in range(2))
    orders = [epoch(first) for _ in range(3)]
    assert orders == [epoch(second) for _ in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert epoch(DataLoader(Numbers(50), 8, True, generator=8)) != orders[0]
    assert epoch(DataLoader(Numbers(50), 8, True, generator=np.random.default_rng(7))) == orders[0]


def test_without_a_generator_manual_seed_decides():
    orders = []
    for seed in (1, 1, 2):
        manual_seed(seed)
        orders.append(epoch(DataLoader(Numbers(50), 50, True)))
    assert orders[0] == orders[1] != orders[2]


def test_an_epoch_that_stops_early_does_not_change_the_next():
    whole, stopped = (DataLoader(Numbers(40), 4, True, generator=3, prefetch=2) for _ in range(2))
    epoch(whole)
    for _ in stopped:
        break
    assert epoch(whole) == epoch(stopped)


def test_two_loops_over_one_loader_do_not_disturb_each_other():
    loader = DataLoader(Numbers(10), 3, prefetch=2)
    assert [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)] == [(x, x) for x in epoch(loader)]


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"batch_size": 2.5}, {"batch_size": True}, {"prefetch": -1}])
def test_settings_that_make_no_sense(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"{name} .* {value}"):
        DataLoader(Numbers(3), **settings)


# where batches come from


def test_a_list_is_a_dataset():
    assert epoch(DataLoader([5, 6, 7], batch_size=2)) == [[5, 6], [7]]


def test_collate_fn_gets_the_examples():
    received = []
    list(DataLoader(Numbers(5), 2, collate_fn=received.append))
    assert received == [[0, 1], [2, 3], [4]]


def test_whole_batches_equal_single_examples():
    images = np.random.default_rng(0).normal(size=(23, 2, 3, 3)).astype(np.float32)
    data = TensorDataset(images, np.arange(23))
    for (x, y), (other_x, other_y) in zip(
        DataLoader(data, 4, True, generator=1),
        DataLoader(data, 4, True, generator=1, collate_fn=default_collate),
        strict=True,
    ):
        assert np.array_equal(x.numpy(), other_x.numpy()) and y.tolist() == other_y.tolist()
        assert (x.dtype, y.dtype) == (other_x.dtype, other_y.dtype) == (np.float32, np.int64)


def test_a_subclass_that_changes_examples_is_heard():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            assert x.shape == (), "one example at a time"
            return x * 2

    assert epoch(DataLoader(Doubled(np.arange(3)), 2)) == [[0, 2], [4]]


def test_a_batch_owns_its_memory():
    source = np.zeros((4, 1, 2, 2), np.float32)
    for data in (TensorDataset(source, np.arange(4)), ImageDataset(source, np.arange(4))):
        for x, _ in DataLoader(data, 4):
            x.numpy()[...] = 1
        data_image = ImageDataset(source, np.arange(4), transforms.ToFloat())[0][0]
        data_image.numpy()[...] = 1
    assert not source.any()


def test_subsets_and_splits():
    data = TensorDataset(np.arange(10) * 10)
    part = Subset(data, [7, 2, 2])
    assert len(part) == 3 and part[0][0].item() == 70
    assert epoch(x for (x,) in DataLoader(Subset(part, [2, 0]), 5)) == [[20, 70]]

    first, second = random_split(data, [7, 3], generator=1)
    assert sorted([*first.indices, *second.indices]) == list(range(10))
    again, _ = random_split(data, [7, 3], generator=1)
    assert again.indices.tolist() == first.indices.tolist()
    assert [len(part) for part in random_split(Numbers(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.raises(ValueError, match="9.*10"):
        random_split(data, [7, 2])


# the thread


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_of_the_dataset_arrives_in_its_turn_with_its_traceback(prefetch):
    def object_to_five(i):
        if i == 5:
            raise KeyError("five")

    seen = []
    with pytest.raises(KeyError, match="five") as caught:
        for batch in DataLoader(Numbers(9, object_to_five), 2, prefetch=prefetch):
            seen.append(batch.tolist())
    assert seen == [[0, 1], [2, 3]]
    assert "object_to_five" in {frame.name for frame in traceback.extract_tb(caught.value.__traceback__)}


def test_an_end_inside_of_the_dataset_does_not_end_the_loop_quietly():
    def stop(i):
        raise StopIteration

    for prefetch in (0, 2):
        with pytest.raises(RuntimeError):
            list(DataLoader(Numbers(3, stop), prefetch=prefetch))


def test_the_thread_is_no_further_ahead_than_it_may_be():
    data = Numbers(100)
    loop = iter(DataLoader(data, 1, prefetch=3))
    next(loop)
    assert wait_for(lambda: len(data.asked) == 4)
    time.sleep(0.05)
    assert len(data.asked) == 4
    next(loop)
    assert wait_for(lambda: len(data.asked) == 5)
    loop.close()


def test_loading_goes_on_while_the_loop_works():
    data = Numbers(10, lambda i: time.sleep(0.02))
    begin = time.perf_counter()
    for _ in DataLoader(data, 1, prefetch=2):
        time.sleep(0.02)
    assert time.perf_counter() - begin < 0.34, "ten times 20 ms of loading and 20 ms of work, partly at once"


def test_break_error_and_garbage_end_the_thread():
    def live():
        return len(loader_threads())

    loader = DataLoader(Numbers(1000), 1, prefetch=2)
    for _ in loader:
        assert live() == 1
        break
    assert wait_for(lambda: live() == 0)

    with pytest.raises(ZeroDivisionError):
        for batch in loader:
            1 / (batch.item() - 1)
    assert wait_for(lambda: live() == 0)

    loop = iter(loader)
    next(loop)
    assert live() == 1
    del loop
    gc.collect()
    assert wait_for(lambda: live() == 0)

    unused = iter(loader)
    assert live() == 0
    del unused


def test_the_thread_waits_for_nobody_when_the_loop_ends_in_the_middle_of_a_batch():
    started, go_on = threading.Event(), threading.Event()

    def stuck(i):
        if i == 1:
            started.set()
            go_on.wait(5)

    loop = iter(DataLoader(Numbers(5, stuck), 1, prefetch=2))
    next(loop)
    assert started.wait(5)
    begin = time.perf_counter()
    loop.close()
    assert time.perf_counter() - begin < 1
    go_on.set()


def test_settings_of_numpy_reach_the_thread():
    data = Numbers(2, lambda i: np.float64(1) / np.zeros(1))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        list(DataLoader(data, prefetch=1))


# transforms


def test_transforms_take_images_and_batches():
    batch = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 6), np.uint8)
    chain = transforms.Compose(
        [transforms.RandomCrop((8, 6), padding=2, padding_mode="reflect"), transforms.RandomHorizontalFlip(),
         transforms.ToFloat(), transforms.Normalize([0.5, 0.4, 0.3], [0.2, 0.2, 0.1])]
    )  # fmt: skip
    assert chain(batch).shape == batch.shape and chain(batch[0]).shape == batch[0].shape
    assert chain(batch).dtype == np.float32
    fixed = transforms.Compose([transforms.ToFloat(), transforms.Normalize(0.5, [0.2, 0.2, 0.1])])
    assert np.array_equal(fixed(batch)[2], fixed(Tensor.wrap(batch[2])))
    assert repr(transforms.RandomCrop(4, 1)) == "RandomCrop(size=(4, 4), padding=1, padding_mode='constant')"
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        fixed(np.zeros((3, 3)))


def test_what_transforms_draw_comes_from_the_generator():
    batch = np.random.default_rng(0).integers(0, 256, (50, 1, 6, 6), np.uint8)
    move = transforms.Compose([transforms.RandomCrop(6, padding=3), transforms.RandomHorizontalFlip(0.3)])
    manual_seed(4)
    first = move(batch)
    assert not np.array_equal(first, move(batch))
    manual_seed(4)
    assert np.array_equal(first, move(batch))
    with drawing_from(np.random.default_rng(4)):
        assert np.array_equal(first, move(batch))


@pytest.mark.parametrize("collate_fn", [None, default_collate])
def test_augmentation_does_not_depend_on_the_thread(collate_fn):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 1, 6, 6), np.uint8)
    data = ImageDataset(pixels, np.arange(30), transforms.RandomCrop(6, padding=2))

    def epochs(prefetch):
        loader = DataLoader(data, 8, True, generator=2, prefetch=prefetch, collate_fn=collate_fn)
        return [[x.numpy() for x, _ in loader] for _ in range(2)]

    alone = epochs(0)
    manual_seed(99)
    for one, other in zip(alone, epochs(3), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
    assert not np.array_equal(alone[0][0], alone[1][0])


def test_crops_and_flips_are_windows_and_mirrors():
    draw = np.random.default_rng(3)
    for _ in range(30):
        n, c, h, w = draw.integers(1, 7, 4).tolist()
        padding = int(draw.integers(0, 3))
        size = (int(draw.integers(1, h + 2 * padding + 1)), int(draw.integers(1, w + 2 * padding + 1)))
        images = draw.permutation(n * c * h * w).reshape(w, h, c, n).T + 1
        border = np.zeros((n, c, h + 2 * padding, w + 2 * padding), images.dtype)
        border[:, :, padding : padding + h, padding : padding + w] = images
        crops = random_crop(images, size, padding, "constant", draw)
        for crop, image in zip(crops, border, strict=True):
            places = [(y, x) for y in range(image.shape[1] - size[0] + 1) for x in range(image.shape[2] - size[1] + 1)]
            assert any(np.array_equal(crop, image[:, y : y + size[0], x : x + size[1]]) for y, x in places)
        for side, image in zip(horizontal_flip(images, 0.5, draw), images, strict=True):
            assert np.array_equal(side, image) or np.array_equal(side[:, :, ::-1], image)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: transforms.RandomHorizontalFlip(1.5), "1.5"),
        (lambda: transforms.RandomCrop(0), "0"),
        (lambda: transforms.RandomCrop(4, padding=-1), "-1"),
        (lambda: transforms.RandomCrop(4, padding_mode="edge"), "edge"),
        (lambda: transforms.RandomCrop(4, padding=4, padding_mode="reflect")(np.zeros((1, 4, 4))), r"\(4, 4\).*4"),
        (lambda: ImageDataset(np.zeros((3, 1, 2, 2)), np.zeros(2)), "3 images and 2 labels"),
    ],
)
def test_what_cannot_be_done_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_to_float_refuses_other_integers():
    with pytest.raises(TypeError, match="int64"):
        transforms.ToFloat()(np.zeros((1, 2, 2), np.int64))


# files


@pytest.mark.parametrize("kind", CODES)
def test_idx_files_of_every_dtype_and_shape(kind, tmp_path):
    draw = np.random.default_rng(0)
    for shape in ((), (1,), (0, 3), (4, 3, 2), (2, 1, 3, 2)):
        array = np.asarray(draw.random(shape) * 100).astype(kind)
        for content in (idx_bytes(array), gzip.compress(idx_bytes(array))):
            (tmp_path / "file").write_bytes(content)
            got = read_idx(tmp_path / "file")
            assert got.dtype == array.dtype and got.dtype.isnative and got.shape == shape
            assert np.array_equal(got, array) and got.flags.writeable and got.flags.owndata


def test_every_damaged_byte_count_of_an_idx_file(tmp_path):
    whole = idx_bytes(np.arange(6, dtype="i4").reshape(2, 3))
    path = tmp_path / "some-file"
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=f"some-file, byte {end}: expected .*found"):
            read_idx(path)
        path.write_bytes(gzip.compress(whole)[:-end])
        with pytest.raises(ValueError, match="some-file, byte"):
            read_idx(path)
    path.write_bytes(whole + b"!")
    with pytest.raises(ValueError, match=f"some-file, byte {len(whole)}: expected "):
        read_idx(path)


def test_gzip_that_is_damaged_in_the_middle_or_followed_by_something(tmp_path):
    content = gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, 100_000).astype("u1")))
    bad = bytearray(content)
    bad[5000] ^= 0xFF
    for damage in (bytes(bad), content + b"something else", content[:3]):
        (tmp_path / "file.gz").write_bytes(damage)
        with pytest.raises(ValueError, match=r"file\.gz, byte \d+: expected intact gzip"):
            read_bytes(tmp_path / "file.gz")


def write_mnist(folder, count=12, change=lambda images, labels: (images, labels)):
    images = np.random.default_rng(1).integers(0, 256, (count, 28, 28)).astype("u1")
    for part in ("train", "t10k"):
        pixels, labels = change(images, (np.arange(count) % 10).astype("u1"))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pixels)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return images


def test_mnist_from_a_folder(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    images = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    train, test = load_mnist(transform=transforms.ToFloat())
    assert len(train) == len(test) == 12
    x, y = train[3]
    assert x.shape == (1, 28, 28) and x.dtype == np.float32 and y == 3
    assert np.array_equal(test.images[:, 0], images) and test.labels.dtype == np.int64
    with pytest.raises(FileNotFoundError, match="digits-images.*tito data fetch digits"):
        load_digits()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:5], y), r"labels-idx1-ubyte, byte 4: expected 5 labels.* found 12"),
        (lambda x, y: (x, np.where(np.arange(12) == 7, 10, y).astype("u1")), r"labels-idx1-ubyte, byte 15: .* 0 to 9"),
        (lambda x, y: (y, y), r"images-idx3-ubyte\.gz, byte 2: expected bytes with 3 axes"),
        (lambda x, y: (x, x), r"labels-idx1-ubyte, byte 2: expected bytes with 1 axes"),
    ],
)
def test_mnist_files_that_do_not_fit(change, message, tmp_path):
    write_mnist(tmp_path, change=change)
    with pytest.raises(ValueError, match=message):
        load_mnist(tmp_path)


def test_cifar10_from_a_folder(tmp_path):
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    draw = np.random.default_rng(2)
    pixels, labels = draw.integers(0, 256, (12, 3072)).astype("u1"), draw.integers(0, 10, 12).astype("u1")
    records = np.concatenate([labels[:, None], pixels], axis=1)
    for i in range(5):
        (inner / f"data_batch_{i + 1}.bin").write_bytes(records[2 * i : 2 * i + 2].tobytes())
    (inner / "test_batch.bin").write_bytes(records[10:].tobytes())
    for folder in (tmp_path, inner):
        train, test = load_cifar10(folder)
        assert (len(train), len(test)) == (10, 2)
        assert np.array_equal(train.images.reshape(10, 3072), pixels[:10])
        assert train.labels.tolist() == labels[:10].tolist()
    (inner / "data_batch_4.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(ValueError, match=rf"data_batch_4\.bin, byte {11 * 3073}"):
        load_cifar10(tmp_path)
    (inner / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_4\.bin.*tito data fetch cifar10"):
        load_cifar10(tmp_path)


def test_digits_are_split_the_same_way_every_time(tmp_path):
    images = np.random.default_rng(3).integers(0, 17, (1797, 8, 8)).astype("u1")
    (tmp_path / "digits-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (tmp_path / "digits-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(1797) % 10).astype("u1")))
    train, test = load_digits(tmp_path)
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.dtype == np.float32 and train.images.max() == 1
    assert sorted(np.concatenate([train.labels, test.labels]).tolist()) == sorted((np.arange(1797) % 10).tolist())
    again = load_digits(tmp_path)[1]
    assert np.array_equal(again.images, test.images)


def test_a_cifar10_file_is_checked_record_by_record(tmp_path):
    path = tmp_path / "file.bin"
    for size in (1, 3072, 3074, 9218):
        path.write_bytes(bytes(size))
        with pytest.raises(ValueError, match=rf"file\.bin, byte {size // 3073 * 3073}: "):
            read_cifar10_batch(path)


class Noisy(Dataset):
    """Draws through the package while an example is fetched."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return rand(3).numpy() + index, index


def epochs(prefetch, **settings):
    """Two epochs with seed 3, while the training loop draws as well, at its own pace."""
    manual_seed(3)
    batches, dataset = [], settings.get("dataset", Noisy())
    for _ in range(2):
        for x, _ in DataLoader(dataset, 8, prefetch=prefetch, collate_fn=settings.get("collate")):
            batches.append(x.numpy().copy())
            randn(5)
    return batches


def test_a_seed_fixes_what_dataset_collate_and_transform_draw_however_far_the_thread_is_ahead():
    def collate(samples):
        x, y = default_collate(samples)
        return Tensor(x.numpy() * randn(1).item()), y

    images = ImageDataset(np.ones((24, 1, 2, 2)), np.arange(24), lambda x: x + randn(1).item())
    for settings in ({}, {"collate": collate}, {"dataset": images}):
        expected = epochs(0, **settings)
        assert not np.array_equal(expected[0], expected[3]), "each epoch draws anew"
        for prefetch in (1, 2, 3):
            for _ in range(3):
                np.testing.assert_array_equal(epochs(prefetch, **settings), expected)


def test_a_file_that_an_unpacker_renamed_is_named(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(b"\0")
    with pytest.raises(FileNotFoundError, match=r"rename train-images\.idx3-ubyte"):
        load_mnist(tmp_path)


def test_a_cifar_file_that_was_cut_between_two_records_is_named(tmp_path):
    record = bytes([3]) + bytes(3072)
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        (tmp_path / name).write_bytes(record * (2 if name == "data_batch_4.bin" else 4))
    with pytest.raises(ValueError, match=r"data_batch_4\.bin, byte 6146: expected 4 records, found 2"):
        load_cifar10(tmp_path)
