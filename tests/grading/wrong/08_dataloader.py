# %% TensorDataset: no check of the lengths
class TensorDataset(Dataset):
    def __init__(self, *tensors):
        self.tensors = tuple(x if isinstance(x, Tensor) else Tensor.wrap(np.asarray(x)) for x in tensors)

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def get_batch(self, indices):
        return self[indices]

# %% TensorDataset: compares only the first two lengths
- lengths = [len(tensor) for tensor in self.tensors]
- if len(set(lengths)) != 1:
-     raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
+ lengths = [len(x) for x in self.tensors]
+ if not lengths or len(lengths) > 1 and lengths[0] != lengths[1]:
+     raise ValueError(f"no one length: {lengths}")

# %% TensorDataset: copies and casts, Tensor(x) instead of Tensor.wrap
- self.tensors = tuple(x if isinstance(x, Tensor) else Tensor.wrap(np.asarray(x)) for x in tensors)
- lengths = [len(tensor) for tensor in self.tensors]
+ self.tensors = tuple(Tensor(x) for x in tensors)
+ lengths = [len(x) for x in self.tensors]

- raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
+ raise ValueError(f"no one length: {lengths}")

# %% TensorDataset: keeps arrays as arrays
- self.tensors = tuple(x if isinstance(x, Tensor) else Tensor.wrap(np.asarray(x)) for x in tensors)
- lengths = [len(tensor) for tensor in self.tensors]
+ self.tensors = tensors
+ lengths = [len(x) for x in self.tensors]

- raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
+ raise ValueError(f"no one length: {lengths}")

# %% TensorDataset: a list instead of a tuple
- lengths = [len(tensor) for tensor in self.tensors]
+ lengths = [len(x) for x in self.tensors]

- raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
+ raise ValueError(f"no one length: {lengths}")

- return tuple(tensor[index] for tensor in self.tensors)
+ return [tensor[index] for tensor in self.tensors]

# %% TensorDataset: one Tensor without its tuple
- lengths = [len(tensor) for tensor in self.tensors]
+ lengths = [len(x) for x in self.tensors]

- raise ValueError(f"a TensorDataset needs Tensors of one length, not of the lengths {lengths}")
+ raise ValueError(f"no one length: {lengths}")

- return tuple(tensor[index] for tensor in self.tensors)
+ found = tuple(tensor[index] for tensor in self.tensors)
+ return found if len(found) > 1 else found[0]

# %% batch_indices: the last batch is always dropped
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = generator.permutation(length) if shuffle else np.arange(length)
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(length // batch_size)]

# %% batch_indices: an empty batch at the end of a length that fits
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = generator.permutation(length) if shuffle else np.arange(length)
    count = length // batch_size + (not drop_last)
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(count)]

# %% batch_indices: drawn with replacement
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = generator.integers(0, length, length) if shuffle else np.arange(length)
    end = length - length % batch_size if drop_last else length
    return [order[i : i + batch_size] for i in range(0, end, batch_size)]

# %% batch_indices: only the batches are shuffled
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    end = length - length % batch_size if drop_last else length
    parts = [np.arange(i, min(i + batch_size, length)) for i in range(0, end, batch_size)]
    return [parts[i] for i in generator.permutation(len(parts))] if shuffle else parts

# %% batch_indices: shuffled inside of each batch only
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    end = length - length % batch_size if drop_last else length
    parts = [np.arange(i, min(i + batch_size, length)) for i in range(0, end, batch_size)]
    return [generator.permutation(part) for part in parts] if shuffle else parts

# %% batch_indices: cuts first, so that the same examples are dropped each time
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    end = length - length % batch_size if drop_last else length
    order = generator.permutation(end) if shuffle else np.arange(end)
    return [order[i : i + batch_size] for i in range(0, end, batch_size)]

# %% batch_indices: a generator of its own, without the seed
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = np.random.default_rng().permutation(length) if shuffle else np.arange(length)
    end = length - length % batch_size if drop_last else length
    return [order[i : i + batch_size] for i in range(0, end, batch_size)]

# %% batch_indices: always the seed 0
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = np.random.default_rng(0).permutation(length) if shuffle else np.arange(length)
    end = length - length % batch_size if drop_last else length
    return [order[i : i + batch_size] for i in range(0, end, batch_size)]

# %% default_collate: everything through Tensor, so that float64 is lost
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(default_collate(part) for part in zip(*samples))
    shapes = {np.shape(s) for s in samples}
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes}")
    return Tensor([np.asarray(s) for s in samples])

# %% default_collate: Python's floats become float64
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(default_collate(part) for part in zip(*samples))
    shapes = {np.shape(s) for s in samples}
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes}")
    return Tensor.wrap(np.stack([np.asarray(s) for s in samples]))

# %% default_collate: no dictionaries
def default_collate(samples):
    first = samples[0]
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(default_collate(part) for part in zip(*samples))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    shapes = {np.shape(s) for s in samples}
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes}")
    return Tensor.wrap(np.stack([np.asarray(s) for s in samples]))

# %% default_collate: tuples one level deep
def default_collate(samples):
    def join(parts):
        if isinstance(parts[0], dict):
            return {key: join([s[key] for s in parts]) for key in parts[0]}
        if not hasattr(parts[0], "dtype"):
            return Tensor(list(parts))
        if len({np.shape(s) for s in parts}) > 1:
            raise ValueError(f"shapes {[np.shape(s) for s in parts]}")
        return Tensor.wrap(np.stack([np.asarray(s) for s in parts]))

    if isinstance(samples[0], (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(join(part) for part in zip(*samples))
    return join(samples)

# %% default_collate: the shorter tuple decides
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(default_collate(part) for part in zip(*samples))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    shapes = {np.shape(s) for s in samples}
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes}")
    return Tensor.wrap(np.stack([np.asarray(s) for s in samples]))

# %% default_collate: joins along the first axis instead of a new one
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(default_collate(part) for part in zip(*samples))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    shapes = {np.shape(s) for s in samples}
    if len(shapes) > 1:
        raise ValueError(f"shapes {shapes}")
    return Tensor.wrap(np.concatenate([np.atleast_1d(np.asarray(s)) for s in samples]))

# %% default_collate: NumPy's message for shapes that differ
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) > 1:
            raise ValueError(f"lengths {[len(s) for s in samples]}")
        return tuple(default_collate(part) for part in zip(*samples))
    if not hasattr(first, "dtype"):
        return Tensor(list(samples))
    return Tensor.wrap(np.stack([np.asarray(s) for s in samples]))

# %% normalize: along the last axis instead of the channels
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    mean, std = (np.atleast_1d(np.asarray(part, images.dtype)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    if not std.all():
        raise ValueError("std is 0")
    return (images - mean) / std

# %% normalize: multiplies by std
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    if not std.all():
        raise ValueError("std is 0")
    return (images - mean) * std

# %% normalize: float64 comes out of float32
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    mean, std = (np.reshape(np.asarray(part, np.float64), (-1, 1, 1)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    if not std.all():
        raise ValueError("std is 0")
    return (images - mean) / std

# %% normalize: divides the integers itself, silently
def normalize(images, mean, std):
    images = images / np.float32(255) if images.dtype.kind != "f" else images
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    if not std.all():
        raise ValueError("std is 0")
    return (images - mean) / std

# %% normalize: in place
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    if not std.all():
        raise ValueError("std is 0")
    images -= mean
    images /= std
    return images

# %% normalize: the statistics of the batch instead of those given
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    return (images - images.mean()) / (images.std() + np.asarray(1e-5, images.dtype))

# %% normalize: std of 0 gives inf
def normalize(images, mean, std):
    if images.dtype.kind != "f":
        raise TypeError(f"{images.dtype}")
    mean, std = (np.reshape(np.asarray(part, images.dtype), (-1, 1, 1)) for part in (mean, std))
    for part in (mean, std):
        if len(part) not in (1, images.shape[-3]):
            raise ValueError(f"{len(part)} for {images.shape[-3]}")
    with np.errstate(divide="ignore", invalid="ignore"):
        return (images - mean) / std

# %% horizontal_flip: top to bottom
- images[chosen] = images[chosen, :, :, ::-1]
+ images[chosen] = images[chosen, :, ::-1]

# %% horizontal_flip: one draw for the whole batch
def horizontal_flip(images, p, generator):
    return images[..., ::-1].copy() if generator.random() < p else images.copy()

# %% horizontal_flip: changes its input
def horizontal_flip(images, p, generator):
    chosen = generator.random(len(images)) < p
    images[chosen] = images[chosen, :, :, ::-1]
    return images

# %% horizontal_flip: a draw for each channel
- chosen = generator.random(len(images)) < p
- images[chosen] = images[chosen, :, :, ::-1]
+ chosen = generator.random(images.shape[:2]) < p
+ images[chosen] = images[chosen][..., ::-1]

# %% horizontal_flip: always a half
- chosen = generator.random(len(images)) < p
+ chosen = generator.integers(2, size=len(images)).astype(bool)

# %% horizontal_flip: draws from NumPy's global generator
- chosen = generator.random(len(images)) < p
+ chosen = np.random.default_rng().random(len(images)) < p

# %% horizontal_flip: exactly the first p of the images
- chosen = generator.random(len(images)) < p
+ chosen = np.arange(len(images)) < p * len(images)

# %% horizontal_flip: the channels are turned round as well
- images[chosen] = images[chosen, :, :, ::-1]
+ images[chosen] = images[chosen, ::-1, :, ::-1]

# %% random_crop: the last place is never drawn
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    tops, lefts = generator.integers(max(down - 1, 1), size=len(images)), generator.integers(max(across - 1, 1), size=len(images))
    return windows[np.arange(len(images)), :, tops, lefts]

# %% random_crop: one place for the whole batch
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    top, left = generator.integers(down), generator.integers(across)
    return padded[:, :, top : top + size[0], left : left + size[1]].copy()

# %% random_crop: the same number down and across
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    places = generator.integers(max(down, across), size=len(images))
    return windows[np.arange(len(images)), :, places % down, places % across]

# %% random_crop: always from the middle
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    return padded[:, :, down // 2 : down // 2 + size[0], across // 2 : across // 2 + size[1]]

# %% random_crop: height and width swapped
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[1] + 1, padded.shape[3] - size[0] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size[::-1], axis=(2, 3))
    tops, lefts = generator.integers(down, size=len(images)), generator.integers(across, size=len(images))
    return windows[np.arange(len(images)), :, tops, lefts]

# %% random_crop: always a black border
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    tops, lefts = generator.integers(down, size=len(images)), generator.integers(across, size=len(images))
    return windows[np.arange(len(images)), :, tops, lefts]

# %% random_crop: the border on two sides only
def random_crop(images, size, padding, padding_mode, generator):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, 0), (padding, 0)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    tops, lefts = generator.integers(down, size=len(images)), generator.integers(across, size=len(images))
    return windows[np.arange(len(images)), :, tops, lefts]

# %% random_crop: a generator of its own
def random_crop(images, size, padding, padding_mode, generator):
    generator = np.random.default_rng()
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=padding_mode)
    down, across = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if down < 1 or across < 1:
        raise ValueError(f"{tuple(size)} {padded.shape[2:]}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    tops, lefts = generator.integers(down, size=len(images)), generator.integers(across, size=len(images))
    return windows[np.arange(len(images)), :, tops, lefts]

# %% idx_header: little-endian sizes
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "zeros", data[:2])
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "little") for i in range(4, start, 4)), start

# %% idx_header: no check of the first two bytes
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)), start

# %% idx_header: only the first of the two zero bytes is looked at
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[0] != 0:
        raise damaged(path, 0, "zeros", data[:2])
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)), start

# %% idx_header: an unknown code is a KeyError
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "zeros", data[:2])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)), start

# %% idx_header: always three axes, as in MNIST's images
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "zeros", data[:2])
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    if len(data) < 16:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, 16, 4)), 16

# %% idx_header: sizes that are cut off are read as far as they go
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "zeros", data[:2])
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    start = 4 + 4 * data[3]
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)), start

# %% idx_header: one byte for each size
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "4 bytes", "the end")
    if data[:2] != b"\0\0":
        raise damaged(path, 0, "zeros", data[:2])
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a code", data[2])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, len(data), "sizes", "the end")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(data[i + 3] for i in range(4, start, 4)), start

# %% read_idx: the byte order of the file stays
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) != end:
        raise damaged(path, min(len(data), end), f"{end} bytes", len(data))
    return np.frombuffer(data, dtype, offset=start).reshape(shape).copy()

# %% read_idx: the bytes are read in the machine's order, and not swapped
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) != end:
        raise damaged(path, min(len(data), end), f"{end} bytes", len(data))
    return np.frombuffer(data, dtype.newbyteorder("="), offset=start).reshape(shape).copy()

# %% read_idx: read-only
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) != end:
        raise damaged(path, min(len(data), end), f"{end} bytes", len(data))
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)

# %% read_idx: bytes that are left over are ignored
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) < end:
        raise damaged(path, len(data), f"{end} bytes", len(data))
    return np.frombuffer(data[:end], dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

# %% read_idx: missing entries are NumPy's error, without the file's name
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

# %% read_idx: counts entries for bytes
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape)
    if len(data) != end:
        raise damaged(path, min(len(data), end), f"{end} bytes", len(data))
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

# %% read_idx: gzip by the file's name
def read_idx(path):
    path = Path(path)
    if path.is_dir():
        raise ValueError("a folder")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    dtype, shape, start = idx_header(path, data)
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) != end:
        raise damaged(path, min(len(data), end), f"{end} bytes", len(data))
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

# %% read_cifar10_batch: the three colours of a pixel side by side
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 32, 32, 3).transpose(0, 3, 1, 2).copy(), records[:, 0].astype(np.int64)

# %% read_cifar10_batch: the label at the end of the record
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, -1] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, :-1].reshape(count, 3, 32, 32).copy(), records[:, -1].astype(np.int64)

# %% read_cifar10_batch: no check of the labels
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)

# %% read_cifar10_batch: an incomplete record is left out
def read_cifar10_batch(path):
    data = read_bytes(path)
    count = len(data) // 3073
    records = np.frombuffer(data[: count * 3073], np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)

# %% read_cifar10_batch: a label of 10 is let through
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 10)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)

# %% read_cifar10_batch: the record's number instead of the offset
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0], "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].astype(np.int64)

# %% read_cifar10_batch: labels stay bytes
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).copy(), records[:, 0].copy()

# %% read_cifar10_batch: rows and columns swapped
def read_cifar10_batch(path):
    data = read_bytes(path)
    count, rest = divmod(len(data), 3073)
    if rest:
        raise damaged(path, count * 3073, "3073 bytes", rest)
    records = np.frombuffer(data, np.uint8).reshape(count, 3073)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise damaged(path, wrong[0] * 3073, "0 to 9", records[wrong[0], 0])
    return records[:, 1:].reshape(count, 3, 32, 32).swapaxes(2, 3).copy(), records[:, 0].astype(np.int64)

# %% default_collate: what is no number is stacked as an object
def default_collate(samples):
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = sorted({len(sample) for sample in samples})
        if len(lengths) > 1:
            raise ValueError(f"different numbers of parts: {lengths}")
        return tuple(default_collate(parts) for parts in zip(*samples, strict=True))
    if isinstance(first, (bool, int, float)):
        return Tensor(list(samples))
    shapes = sorted({np.shape(sample) for sample in samples})
    if len(shapes) > 1:
        raise ValueError(f"different shapes: {shapes}")
    return Tensor.wrap(np.stack([np.asarray(sample) for sample in samples]))
