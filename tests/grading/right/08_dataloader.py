# %% TensorDataset
class TensorDataset(Dataset):
    def __init__(self, *tensors):
        collected = []
        for part in tensors:
            collected.append(Tensor.wrap(np.asarray(part)) if not isinstance(part, Tensor) else part)
        sizes = [part.shape[0] for part in collected]
        if not sizes:
            raise ValueError("without Tensors there is no length")
        if min(sizes) != max(sizes):
            raise ValueError("the Tensors disagree: " + ", ".join(map(str, sizes)))
        self.tensors = tuple(collected)

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        picked = []
        for part in self.tensors:
            picked.append(part[index])
        return tuple(picked)

    def get_batch(self, indices):
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return super().get_batch(indices)
        return self[indices]

# %% batch_indices
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    numbers = np.arange(length)
    if shuffle:
        generator.shuffle(numbers)
    groups = []
    while len(numbers):
        groups.append(numbers[:batch_size])
        numbers = numbers[batch_size:]
    if drop_last and groups and len(groups[-1]) < batch_size:
        groups.pop()
    return groups

# %% default_collate
def default_collate(samples):
    kind = samples[0]
    if isinstance(kind, (list, tuple)):
        for other in samples:
            if len(other) != len(kind):
                raise ValueError(f"an example has {len(kind)} parts and another one {len(other)}")
        return tuple([default_collate([other[k] for other in samples]) for k in range(len(kind))])
    if isinstance(kind, dict):
        result = {}
        for word in kind:
            result[word] = default_collate([other[word] for other in samples])
        return result
    if isinstance(kind, (np.ndarray, np.generic, Tensor)):
        for other in samples:
            if np.shape(other) != kind.shape:
                raise ValueError(f"{kind.shape} and {np.shape(other)} cannot be stacked")
        whole = np.empty((len(samples), *kind.shape), kind.dtype)
        for k, other in enumerate(samples):
            whole[k] = np.asarray(other)
        return Tensor.wrap(whole)
    return Tensor(samples)

# %% normalize
def normalize(images, mean, std):
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(f"these are {images.dtype}; floats are needed")
    channels = images.shape[-3]
    answer = np.array(images)
    for word, given in (("means", mean), ("deviations", std)):
        values = np.atleast_1d(given)
        if values.size != 1 and values.size != channels:
            raise ValueError(f"{values.size} {word} for {channels} channels")
        column = np.broadcast_to(values, channels).astype(images.dtype)[:, None, None]
        if word == "means":
            answer -= column
        elif np.any(column == 0):
            raise ValueError("a deviation of 0")
        else:
            answer /= column
    return answer

# %% horizontal_flip
def horizontal_flip(images, p, generator):
    answer = np.empty(images.shape, images.dtype)
    lots = [generator.random() for _ in range(images.shape[0])]
    for k, lot in enumerate(lots):
        answer[k] = np.flip(images[k], axis=2) if lot < p else images[k]
    return answer

# %% random_crop
def random_crop(images, size, padding, padding_mode, generator):
    count, channels, height, width = images.shape
    tall, wide = height + 2 * padding, width + 2 * padding
    if size[0] > tall or size[1] > wide:
        raise ValueError(f"{(size[0], size[1])} is more than there is: {(tall, wide)}")
    border = [(0, 0), (0, 0)] + 2 * [(padding, padding)]
    big = np.pad(images, border, padding_mode)
    answer = np.zeros((count, channels, size[0], size[1]), images.dtype)
    for k in range(count):
        y = generator.integers(0, tall - size[0], endpoint=True)
        x = generator.integers(0, wide - size[1], endpoint=True)
        answer[k] = big[k, :, y : y + size[0], x : x + size[1]]
    return answer

# %% idx_header
def idx_header(path, data):
    available = len(data)
    if available <= 3:
        raise damaged(path, available, "four bytes of magic", "nothing more")
    zero, second, code, axes = data[:4]
    if zero or second:
        raise damaged(path, 0, "0 and 0", f"{zero} and {second}")
    try:
        kind = np.dtype(IDX_DTYPES[code])
    except KeyError:
        raise damaged(path, 2, "a known code", code) from None
    if axes > 64:
        raise damaged(path, 3, "64 axes at the most", f"{axes}")
    sizes = []
    for axis in range(axes):
        begin = 4 * (axis + 1)
        if begin + 4 > available:
            raise damaged(path, available, f"the size of axis {axis}", "nothing more")
        sizes.append(int(np.frombuffer(data, ">u4", 1, begin)[0]))
    return kind, tuple(sizes), 4 * (axes + 1)

# %% read_idx
def read_idx(path):
    content = read_bytes(path)
    kind, sizes, begin = idx_header(path, content)
    wanted, there = kind.itemsize * math.prod(sizes), len(content) - begin
    if there != wanted:
        raise damaged(path, begin + min(there, wanted), f"{begin + wanted} bytes in all", f"{len(content)} bytes")
    answer = np.empty(sizes, kind.newbyteorder("="))
    answer[...] = np.ndarray(sizes, kind, content, begin) if wanted else 0
    return answer

# %% read_cifar10_batch
def read_cifar10_batch(path):
    content = read_bytes(path)
    left_over = len(content) % 3073
    if left_over:
        raise damaged(path, len(content) - left_over, "3073 bytes for a record", f"only {left_over}")
    table = np.array(list(memoryview(content).cast("B")) if len(content) < 3073 else bytearray(content), np.uint8)
    table = table.reshape(-1, 3073)
    names = table[:, 0].astype(np.int64)
    if names.max() > 9:
        bad = int(np.argmax(names > 9))
        raise damaged(path, 3073 * bad, "0 to 9", int(names[bad]))
    return np.ascontiguousarray(table[:, 1:]).reshape(-1, 3, 32, 32), names

# %% TensorDataset: a helper that checks, and map
def same_length(parts):
    first, *others = parts
    for other in others:
        if len(other) != len(first):
            raise ValueError(f"lengths {[len(part) for part in parts]} do not agree")

class TensorDataset(Dataset):
    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("give at least one Tensor")
        self.tensors = tuple(map(self.as_tensor, tensors))
        same_length(self.tensors)

    @staticmethod
    def as_tensor(part):
        return part if isinstance(part, Tensor) else Tensor.wrap(np.asarray(part))

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        return tuple(map(lambda part: part[index], self.tensors))

    def get_batch(self, indices):
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return super().get_batch(indices)
        return self[indices]

# %% TensorDataset: counts the lengths in a dictionary
class TensorDataset(Dataset):
    def __init__(self, *tensors):
        self.tensors = ()
        counts = {}
        for number, part in enumerate(tensors):
            tensor = part
            if not isinstance(part, Tensor):
                tensor = Tensor.wrap(np.asarray(part))
            counts[number] = len(tensor)
            self.tensors += (tensor,)
        if len(set(counts.values())) == 0:
            raise ValueError("no Tensors, no examples")
        if len(set(counts.values())) > 1:
            raise ValueError(f"Tensor number: length = {counts}")

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        return tuple([part.__getitem__(index) for part in self.tensors])

    def get_batch(self, indices):
        if type(self).__getitem__ is not TensorDataset.__getitem__:
            return super().get_batch(indices)
        return self[indices]

# %% batch_indices: np.split
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    order = generator.permutation(length) if shuffle else np.arange(length)
    parts = np.split(order, range(batch_size, length, batch_size))
    return [part for part in parts if len(part) == batch_size or (len(part) and not drop_last)]

# %% batch_indices: a loop that takes from the front
def batch_indices(length, batch_size, shuffle, drop_last, generator):
    left = np.array(generator.permutation(length) if shuffle else list(range(length)), np.int64)
    found = []
    while len(left) >= (batch_size if drop_last else 1):
        found.append(left[:batch_size])
        left = left[batch_size:]
    return found

# %% default_collate: match on the first sample
def default_collate(samples):
    first = samples[0]
    match first:
        case dict():
            return dict((key, default_collate([one[key] for one in samples])) for key in first)
        case tuple() | list():
            counts = [len(one) for one in samples]
            if min(counts) < max(counts):
                raise ValueError(f"one example has {min(counts)} parts, another one {max(counts)}")
            return tuple(default_collate([one[i] for one in samples]) for i in range(len(first)))
    for one in samples:
        if not hasattr(one, "dtype") and type(one) not in (int, float, bool):
            raise TypeError(f"what is a batch of {type(one).__name__}?")
    if all(type(one) in (int, float, bool) for one in samples):
        return Tensor(samples)
    arrays = [np.array(one) for one in samples]
    for array in arrays:
        if array.shape != arrays[0].shape:
            raise ValueError(f"shape {list(arrays[0].shape)} beside {list(array.shape)}")
    return Tensor.wrap(np.array(arrays, arrays[0].dtype))

# %% default_collate: a helper for each kind
def collate_parts(samples):
    if len({len(sample) for sample in samples}) != 1:
        raise ValueError("parts: " + " or ".join(str(len(sample)) for sample in samples))
    return tuple(map(default_collate, map(list, zip(*samples))))

def collate_arrays(samples):
    shapes = {np.shape(sample) for sample in samples}
    if len(shapes) != 1:
        raise ValueError("shapes: " + " and ".join(map(str, shapes)))
    first = np.asarray(samples[0])
    batch = np.empty((len(samples), *first.shape), first.dtype)
    for place, sample in enumerate(samples):
        batch[place] = np.asarray(sample)
    return Tensor.wrap(batch)

def default_collate(samples):
    if isinstance(samples[0], dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in samples[0].keys()}
    if isinstance(samples[0], (list, tuple)):
        return collate_parts(samples)
    if all(isinstance(sample, (bool, int, float)) and not hasattr(sample, "dtype") for sample in samples):
        return Tensor(samples)
    unknown = [sample for sample in samples if not hasattr(sample, "dtype")]
    if unknown:
        raise TypeError(f"cannot collate a {type(unknown[0]).__name__}: {unknown[0]!r}")
    return collate_arrays(samples)

# %% normalize: a loop over the channels
def normalize(images, mean, std):
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(f"images of dtype {images.dtype} are no floats")
    channels = images.shape[-3]
    means, stds = np.ravel(mean), np.ravel(std)
    for numbers in (means, stds):
        if numbers.size != 1 and numbers.size != channels:
            raise ValueError(f"{numbers.size} numbers for {channels} channels")
    if (stds == 0).any():
        raise ValueError("a standard deviation of 0")
    out = np.empty(images.shape, images.dtype)
    for c in range(channels):
        out[..., c, :, :] = (images[..., c, :, :] - means[c % means.size]) / stds[c % stds.size]
    return out

# %% normalize: moves the channels to the end
def normalize(images, mean, std):
    kind = images.dtype
    if kind.kind in "iub":
        raise TypeError("got whole numbers: " + kind.name)
    mean, std = np.atleast_1d(np.array(mean, kind)), np.atleast_1d(np.array(std, kind))
    count = images.shape[images.ndim - 3]
    if {len(mean), len(std)} - {1, count}:
        raise ValueError(f"mean: {len(mean)}, std: {len(std)}, channels: {count}")
    if np.count_nonzero(std) < len(std):
        raise ValueError(f"std contains 0: {std.tolist()}")
    last = np.moveaxis(images, -3, -1)
    return np.moveaxis((last - mean) / std, -1, -3)

# %% horizontal_flip: np.where over both versions
def horizontal_flip(images, p, generator):
    chosen = generator.random(len(images)) < p
    return np.where(chosen[:, None, None, None], np.flip(images, axis=3), images)

# %% horizontal_flip: a loop over the images
def horizontal_flip(images, p, generator):
    out = np.array(images)
    draws = generator.random(images.shape[0])
    for number in range(images.shape[0]):
        if draws[number] < p:
            out[number] = images[number, :, :, ::-1]
    return out

# %% random_crop: a loop over the images
def random_crop(images, size, padding, padding_mode, generator):
    border = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    padded = np.pad(images, border, mode=padding_mode)
    n, c, height, width = padded.shape
    if size[0] > height or size[1] > width:
        raise ValueError(f"({size[0]}, {size[1]}) is larger than ({height}, {width})")
    out = np.empty((n, c, *size), images.dtype)
    for number in range(n):
        top = generator.integers(height - size[0] + 1)
        left = generator.integers(width - size[1] + 1)
        out[number] = padded[number, :, top : top + size[0], left : left + size[1]]
    return out

# %% random_crop: rows and columns by index arrays
def random_crop(images, size, padding, padding_mode, generator):
    (h, w), n = size, len(images)
    padded = np.pad(images, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), mode=padding_mode)
    free = np.array(padded.shape[2:]) - (h, w)
    if free.min() < 0:
        raise ValueError(f"wanted {(h, w)}, there are {padded.shape[2:]}")
    corners = generator.integers(free + 1, size=(n, 2))
    rows = corners[:, 0, None] + np.arange(h)
    columns = corners[:, 1, None] + np.arange(w)
    numbers = np.arange(n)[:, None, None]
    return np.moveaxis(padded[numbers, :, rows[:, :, None], columns[:, None, :]], -1, 1)

# %% idx_header: one check after the other, with slices
def idx_header(path, data):
    size = len(data)
    if size < 4:
        raise damaged(path, size, "four bytes at least", f"{size}")
    if int.from_bytes(data[:2], "big") != 0:
        raise damaged(path, 0, "0000", data[:2].hex())
    if data[2] not in IDX_DTYPES:
        raise damaged(path, 2, "a known dtype", data[2])
    if data[3] > 64:
        raise damaged(path, 3, "fewer axes", data[3])
    sizes = [data[place : place + 4] for place in range(4, 4 + 4 * data[3], 4)]
    if any(len(one) < 4 for one in sizes):
        raise damaged(path, size, "more sizes", "nothing more")
    return np.dtype(IDX_DTYPES[data[2]]), tuple(int.from_bytes(one, "big") for one in sizes), 4 * (1 + data[3])

# %% idx_header: NumPy reads the sizes
def idx_header(path, data):
    if len(data) < 4:
        raise damaged(path, len(data), "a header", "too little")
    zero, code, axes = data[:2], data[2], data[3]
    if zero != bytes(2):
        raise damaged(path, 0, "zeros", zero)
    kind = IDX_DTYPES.get(code)
    if kind is None:
        raise damaged(path, 2, "a code of the table", hex(code))
    if axes >= 65:
        raise damaged(path, 3, "64 axes or fewer", f"{axes} axes")
    if len(data) - 4 < 4 * axes:
        raise damaged(path, len(data), f"{axes} sizes", f"{(len(data) - 4) // 4}")
    sizes = np.frombuffer(data, ">u4", count=axes, offset=4) if axes else []
    return np.dtype(kind), tuple(int(size) for size in sizes), 4 + 4 * axes

# %% read_idx: counts what is there
def read_idx(path):
    content = read_bytes(path)
    kind, shape, start = idx_header(path, content)
    wanted, there = math.prod(shape) * kind.itemsize, len(content) - start
    if there != wanted:
        raise damaged(path, start + min(wanted, there), f"{wanted} bytes of entries", f"{there}")
    flat = np.frombuffer(content[start:], kind)
    array = np.empty(shape, kind.newbyteorder("="))
    array.reshape(-1)[...] = flat
    return array

# %% read_idx: swaps the bytes where the machine needs it
def read_idx(path):
    data = read_bytes(path)
    dtype, shape, start = idx_header(path, data)
    end = start
    end += dtype.itemsize * math.prod(shape)
    if end > len(data):
        raise damaged(path, len(data), f"{end - len(data)} bytes more", "no more")
    if end < len(data):
        raise damaged(path, end, "nothing", f"{data[end:end + 4].hex()}")
    array = np.array(np.ndarray(shape, dtype, data, start))
    return array.astype(dtype.newbyteorder("="))

# %% read_cifar10_batch: record by record
def read_cifar10_batch(path):
    data = read_bytes(path)
    images, labels = [], []
    for start in range(0, len(data), CIFAR10_RECORD):
        record = data[start : start + CIFAR10_RECORD]
        if len(record) < CIFAR10_RECORD:
            raise damaged(path, start, "a whole record", f"{len(record)} bytes")
        labels.append(record[0])
        images.append(np.frombuffer(record[1:], np.uint8).reshape(3, 32, 32))
    for number, label in enumerate(labels):
        if label > 9:
            raise damaged(path, number * CIFAR10_RECORD, "one of ten classes", f"{label}")
    return np.stack(images), np.array(labels, np.int64)

# %% read_cifar10_batch: a structured dtype
def read_cifar10_batch(path):
    data = read_bytes(path)
    left_over = len(data) % CIFAR10_RECORD
    if left_over:
        raise damaged(path, len(data) - left_over, f"a multiple of {CIFAR10_RECORD}", len(data))
    table = np.frombuffer(data, np.dtype([("label", "u1"), ("image", "u1", (3, 32, 32))]))
    labels = table["label"].astype(np.int64)
    if labels.max() > 9:
        place = int(np.argmax(labels > 9))
        raise damaged(path, CIFAR10_RECORD * place, "0 to 9", labels[place])
    return table["image"].copy(), labels
