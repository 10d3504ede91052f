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
