# %% magnitude_mask: argpartition, and ranks
def magnitude_mask(arrays, sparsity):
    if sparsity < 0 or sparsity > 1 or sparsity != sparsity:
        raise ValueError(f"{sparsity} is no sparsity")
    row = np.concatenate([np.abs(np.asarray(array)).reshape(-1) for array in arrays])
    removed = round(sparsity * row.size)
    stays = np.full(row.size, True)
    if removed:
        stays[np.argpartition(row, removed - 1)[:removed]] = False
    masks, start = [], 0
    for array in arrays:
        end = start + np.size(array)
        masks.append(stays[start:end].reshape(np.shape(array)))
        start = end
    return masks

# %% magnitude_mask: sorted in Python, the last of equal ones goes first
def magnitude_mask(arrays, sparsity):
    if not (sparsity >= 0 and sparsity <= 1):
        raise ValueError(f"a sparsity of {sparsity}: between 0 and 1, please")
    masks = [np.ones(np.shape(array), dtype=bool) for array in arrays]
    places = [(abs(value), -which, -i) for which, array in enumerate(arrays) for i, value in enumerate(np.ravel(array))]
    places.sort()
    for _, which, i in places[: round(sparsity * len(places))]:
        masks[-which].flat[-i] = False
    return masks

# %% magnitude_mask: a limit, and as many of the equal ones as are wanted
def magnitude_mask(arrays, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(f"magnitude_mask got sparsity={sparsity}")
    everything = np.sort(np.concatenate([np.abs(array).flatten() for array in arrays]))
    count = round(sparsity * everything.size)
    if count == 0:
        return [np.ones(np.shape(array), bool) for array in arrays]
    limit = everything[count - 1]
    equal = count - int((everything < limit).sum())
    masks = []
    for array in arrays:
        size = np.abs(array)
        mask = np.asarray(size > limit)
        for place in np.argwhere(size == limit):
            if equal == 0:
                mask[tuple(place)] = True
            else:
                equal -= 1
        masks.append(mask)
    return masks

# %% sensitivity: a loop over names and a whole state
def sensitivity(model, sparsities, evaluate):
    kept, result = model.state_dict(), {}
    try:
        for name, parameter in weights_of(model).items():
            result[name] = []
            for sparsity in sparsities:
                model.load_state_dict(kept)
                mask = magnitude_mask([parameter.numpy()], sparsity)[0]
                parameter.data *= mask
                result[name].append(evaluate(model))
            model.load_state_dict(kept)
    finally:
        model.load_state_dict(kept)
    return result

# %% sensitivity: a context manager
from contextlib import contextmanager


@contextmanager
def pruned_to(weight, sparsity):
    full = weight.numpy().copy()
    try:
        weight.data[~magnitude_mask([full], sparsity)[0]] = 0
        yield
    finally:
        weight.data[...] = full


def score_of(model, weight, sparsity, evaluate):
    with pruned_to(weight, sparsity):
        return evaluate(model)


def sensitivity(model, sparsities, evaluate):
    return {
        name: [score_of(model, weight, sparsity, evaluate) for sparsity in sparsities]
        for name, weight in weights_of(model).items()
    }

# %% sensitivity: swaps the arrays of the Parameters
def sensitivity(model, sparsities, evaluate):
    table = {}
    for name, weight in weights_of(model).items():
        own = weight.data
        table[name] = []
        for sparsity in sparsities:
            weight.data = own * magnitude_mask([own], sparsity)[0]
            try:
                score = evaluate(model)
            finally:
                weight.data = own
            table[name].append(score)
    return table

# %% MaskedOptimizer: helpers, products
class MaskedOptimizer:
    def __init__(self, optimizer, parameters):
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.masks = [np.ones(parameter.shape, dtype=bool) for parameter in self.parameters]

    def set_masks(self, masks):
        masks = list(masks)
        if [np.shape(mask) for mask in masks] != [parameter.shape for parameter in self.parameters]:
            raise ValueError(
                f"shapes {[np.shape(mask) for mask in masks]}, but {[one.shape for one in self.parameters]} are wanted"
            )
        self.masks = [mask.copy() for mask in masks]
        self.clear()

    def clear(self):
        for i, parameter in enumerate(self.parameters):
            parameter.data *= self.masks[i]

    def step(self):
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                parameter.grad = parameter.grad * self.masks[i]
        self.optimizer.step()
        self.clear()

# %% MaskedOptimizer: where
class MaskedOptimizer:
    def __init__(self, optimizer, parameters):
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.masks = [np.ones(parameter.shape, dtype=bool) for parameter in self.parameters]

    def set_masks(self, masks):
        shapes = [tuple(mask.shape) for mask in masks]
        own = [tuple(parameter.shape) for parameter in self.parameters]
        if len(shapes) != len(own) or any(a != b for a, b in zip(shapes, own)):
            raise ValueError(f"{shapes} instead of {own}")
        self.masks = [np.copy(mask) for mask in masks]
        for parameter, mask in zip(self.parameters, self.masks):
            parameter.data[...] = np.where(mask, parameter.data, 0)

    def step(self):
        pairs = list(zip(self.parameters, self.masks))
        for parameter, mask in pairs:
            if parameter.grad is None:
                continue
            parameter.grad[np.logical_not(mask)] = 0.0
        self.optimizer.step()
        for parameter, mask in pairs:
            parameter.data[...] = np.where(mask, parameter.data, 0)

# %% MaskedOptimizer: sets its masks again
class MaskedOptimizer:
    def __init__(self, optimizer, parameters):
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.masks = [np.ones(parameter.shape, dtype=bool) for parameter in self.parameters]

    def set_masks(self, masks):
        copies = [np.array(mask) != 0 for mask in masks]
        found, own = [mask.shape for mask in copies], [parameter.shape for parameter in self.parameters]
        for i in range(max(len(found), len(own))):
            if found[i : i + 1] != own[i : i + 1]:
                raise ValueError(f"mask {i} of {found} does not fit into {own}")
        self.masks = copies
        for parameter, mask in zip(self.parameters, copies):
            np.copyto(parameter.data, 0, where=~mask)

    def step(self):
        for parameter, mask in zip(self.parameters, self.masks):
            if parameter.grad is not None:
                np.copyto(parameter.grad, 0, where=~mask)
        self.optimizer.step()
        self.set_masks(self.masks)

# %% remove_channels: one kind of layer after the other
def remove_channels(model, keep):
    check_keep(model, keep)
    small, inputs, old = [], None, None
    for place, layer in enumerate(model):
        if isinstance(layer, Conv2d) or isinstance(layer, Linear):
            outputs = list(keep.get(place, range(layer.weight.shape[0])))
            weight = layer.weight.numpy()[outputs]
            bias = layer.bias.numpy()[outputs] if layer.bias is not None else None
            if inputs is not None:
                if isinstance(layer, Conv2d):
                    weight = weight[:, inputs]
                else:
                    parts = weight.reshape(len(outputs), old, -1)
                    weight = parts[:, inputs].reshape(len(outputs), -1)
            small.append(rebuilt(layer, weight, bias))
            inputs, old = outputs, layer.weight.shape[0]
        else:
            small.append(copy.copy(layer))
    return Sequential(*small)

# %% remove_channels: np.repeat of a boolean row
def columns_left(stays, inputs):
    return np.repeat(stays, inputs // len(stays))


def remove_channels(model, keep):
    check_keep(model, keep)
    layers, stays = [], None
    for i in range(len(model)):
        layer = model[i]
        if not hasattr(layer, "weight"):
            layers.append(copy.copy(layer))
            continue
        weight = layer.weight.data
        if stays is not None:
            weight = np.compress(columns_left(stays, weight.shape[1]), weight, axis=1)
        stays = np.zeros(len(weight), dtype=bool)
        stays[list(keep[i]) if i in keep else slice(None)] = True
        layers.append(rebuilt(layer, weight[stays], None if layer.bias is None else layer.bias.data[stays]))
    return Sequential(*layers)

# %% remove_channels: deletes what goes
def remove_channels(model, keep):
    check_keep(model, keep)
    rows = [layer for layer in model]
    gone, many = np.array([], dtype=int), 1
    for place, layer in enumerate(rows):
        if isinstance(layer, (Conv2d, Linear)):
            size = layer.weight.shape[1] // many
            columns = [int(g) * size + j for g in gone for j in range(size)]
            weight = np.delete(layer.weight.numpy(), columns, axis=1)
            many = len(weight)
            gone = np.setdiff1d(np.arange(many), keep.get(place, np.arange(many)))
            bias = None if layer.bias is None else np.delete(layer.bias.numpy(), gone)
            rows[place] = rebuilt(layer, np.delete(weight, gone, axis=0), bias)
        else:
            rows[place] = copy.copy(layer)
    return Sequential(*rows)

# %% rank_for: a loop
def rank_for(weight, energy):
    if energy < 0 or energy > 1 or energy != energy:
        raise ValueError(f"no such energy: {energy}")
    values = np.linalg.svd(np.array(weight, float))[1] ** 2
    kept, rank = 0.0, 0
    wanted = energy * np.cumsum(values)[-1]
    for value in values:
        kept += value
        rank += 1
        if kept >= wanted:
            break
    return rank

# %% rank_for: searchsorted
def rank_for(weight, energy):
    if not (0 <= energy and energy <= 1):
        raise ValueError(f"energy={energy}")
    values = np.linalg.svd(np.asarray(weight, np.float64), full_matrices=False, compute_uv=False)
    sums = np.add.accumulate(values * values)
    return int(np.searchsorted(sums, energy * sums[-1], side="left") + 1)

# %% rank_for: argmax
def rank_for(weight, energy):
    if not 0 <= energy <= 1:
        raise ValueError(f"an energy of {energy} is not between 0 and 1")
    squares = np.square(np.linalg.svd(np.asarray(weight).astype(float), compute_uv=False))
    sums = squares.cumsum()
    return int(np.argmax(sums >= energy * sums[-1])) + 1

# %% factorize: the values in the first factor
def factorize(linear, rank):
    check_rank("factorize", linear, rank)
    u, s, vt = np.linalg.svd(linear.weight.numpy(), full_matrices=False)
    first = Linear(linear.in_features, rank, bias=False, dtype=linear.weight.dtype)
    second = Linear(rank, linear.out_features, bias=linear.bias is not None, dtype=linear.weight.dtype)
    first.weight.data[:] = np.diag(s[:rank]) @ vt[:rank]
    second.weight.data[:] = u[:, :rank]
    if second.bias is not None:
        second.bias.data[:] = linear.bias.numpy()
    return Sequential(first, second)

# %% factorize: rebuilt layers
def factorize(linear, rank):
    check_rank("factorize", linear, rank)
    u, s, vt = np.linalg.svd(linear.weight.data)
    bias = None if linear.bias is None else linear.bias.data
    return Sequential(rebuilt(linear, vt[:rank], None), rebuilt(linear, u[:, :rank] * s[:rank], bias))

# %% factorize: by the eigenvectors of a product
def factorize(linear, rank):
    check_rank("factorize", linear, rank)
    weight = linear.weight.numpy().astype(np.float64)
    _, vectors = np.linalg.eigh(weight.T @ weight)
    best = vectors[:, ::-1][:, :rank]
    dtype = linear.weight.dtype
    down = rebuilt(linear, best.T.astype(dtype), None)
    up = rebuilt(linear, (weight @ best).astype(dtype), None if linear.bias is None else linear.bias.numpy())
    return Sequential(down, up)

# %% low_rank_adapter: a parameter at a time
def low_rank_adapter(linear, rank):
    check_rank("low_rank_adapter", linear, rank)
    for parameter in linear.parameters():
        parameter.requires_grad_(False)
    a = Linear(linear.in_features, rank, bias=False, dtype=linear.weight.dtype)
    b = Linear(rank, linear.out_features, bias=False, dtype=linear.weight.dtype)
    b.weight.data[...] = 0
    return Parallel(linear, Sequential(a, b))

# %% low_rank_adapter: a new Parameter of zeros
def low_rank_adapter(linear, rank):
    check_rank("low_rank_adapter", linear, rank)
    outputs, inputs = linear.weight.shape
    kind = linear.weight.dtype
    beside = Sequential(Linear(inputs, rank, False, dtype=kind), Linear(rank, outputs, False, dtype=kind))
    beside[1].weight = Parameter(Tensor(np.zeros((outputs, rank)), dtype=kind))
    return Parallel(linear.requires_grad_(False), beside)

# %% low_rank_adapter: flags by hand
def low_rank_adapter(linear, rank):
    check_rank("low_rank_adapter", linear, rank)
    linear.weight.requires_grad = False
    if linear.bias is not None:
        linear.bias.requires_grad = False
    settings = {"bias": False, "dtype": linear.weight.dtype}
    first = Linear(linear.weight.shape[1], rank, **settings)
    last = Linear(rank, linear.weight.shape[0], **settings)
    last.weight.data.fill(0)
    both = Sequential(first, last)
    return Parallel(linear, both)

# %% distillation_loss: softmax, and the teacher's entropy apart
def distillation_loss(student, teacher, targets, temperature, alpha):
    if np.isnan(temperature) or temperature <= 0:
        raise ValueError(f"temperature {temperature}")
    if np.isnan(alpha) or alpha < 0 or alpha > 1:
        raise ValueError(f"alpha {alpha}")
    if tuple(student.shape) != tuple(teacher.shape):
        raise ValueError(f"{student.shape} is not {teacher.shape}")
    fixed = Tensor(teacher.numpy(), dtype=teacher.dtype) * (1 / temperature)
    log_p = log_softmax(fixed)
    p = log_p.exp()
    entropy = (p * log_p).sum()
    crossed = (p * log_softmax(student * (1 / temperature))).sum()
    soft = (entropy - crossed) / student.shape[0]
    return (1 - alpha) * cross_entropy(student, targets) + (alpha * temperature * temperature) * soft

# %% distillation_loss: the teacher as an array
def log_shares(logits, temperature):
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


def distillation_loss(student, teacher, targets, temperature, alpha):
    if not temperature > 0:
        raise ValueError(f"a temperature is positive, not {temperature}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a share, not {alpha}")
    if student.shape != teacher.shape:
        raise ValueError(f"logits {student.shape} and {teacher.shape}")
    known = log_shares(teacher.numpy(), temperature)
    gaps = Tensor(known, dtype=known.dtype) - log_softmax(student / temperature)
    divergence = (Tensor(np.exp(known), dtype=known.dtype) * gaps).sum(axis=1).mean()
    return cross_entropy(student, targets) * (1 - alpha) + divergence * (alpha * temperature**2)

# %% distillation_loss: means of sums by the number of rows
def distillation_loss(student, teacher, targets, temperature, alpha):
    if not (temperature > 0 and 0 <= alpha <= 1):
        raise ValueError(f"not possible: temperature={temperature}, alpha={alpha}")
    if student.shape != teacher.shape:
        raise ValueError(f"not possible: {student.shape} beside {teacher.shape}")
    quiet = teacher.detach() / temperature
    ours = log_softmax(student / temperature)
    theirs = log_softmax(quiet)
    divergence = (theirs.exp() * theirs - theirs.exp() * ours).sum() / len(targets)
    hard = cross_entropy(student, targets)
    return alpha * divergence * temperature * temperature + (1 - alpha) * hard

# %% CompressedRows: np.add.at
class CompressedRows:
    def __init__(self, dense):
        dense = np.asarray(dense)
        if len(dense.shape) != 2:
            raise ValueError(f"shape {dense.shape}")
        self.shape = dense.shape
        where = dense != 0
        self.values = dense[where]
        self.columns = np.nonzero(where)[1].astype(np.int32)
        self.starts = np.concatenate([[0], np.cumsum(where.sum(axis=1))]).astype(np.int32)

    def matmul(self, x):
        if self.shape[1] != x.shape[0]:
            raise ValueError(f"{self.shape} @ {x.shape}")
        out = np.zeros((self.shape[0], x.shape[1]), dtype=self.values.dtype)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.starts))
        np.add.at(out, rows, self.values[:, None] * x[self.columns])
        return out

# %% CompressedRows: a product for each row
class CompressedRows:
    def __init__(self, dense):
        dense = np.array(dense)
        if dense.ndim != 2:
            raise ValueError(f"two axes, not {dense.shape}")
        places = np.argwhere(dense)
        self.shape = dense.shape
        self.columns = places[:, 1].astype(np.int32)
        self.values = dense[places[:, 0], places[:, 1]]
        self.starts = np.zeros(dense.shape[0] + 1, np.int32)
        self.starts[1:] = np.cumsum(np.bincount(places[:, 0], minlength=dense.shape[0]))

    def matmul(self, x):
        if x.shape[0] != self.shape[1]:
            raise ValueError(f"a matrix {self.shape} and x {x.shape}")
        out = np.zeros((self.shape[0], x.shape[1]), self.values.dtype)
        for i in range(self.shape[0]):
            part = slice(self.starts[i], self.starts[i + 1])
            out[i] = self.values[part] @ x[self.columns[part]]
        return out

# %% CompressedRows: differences of running sums
class CompressedRows:
    def __init__(self, dense):
        dense = np.asarray(dense)
        if dense.ndim != 2:
            raise ValueError(f"{dense.shape} has not two axes")
        flat = np.flatnonzero(dense)
        rows, columns = np.divmod(flat, max(dense.shape[1], 1))
        self.shape, self.values, self.columns = dense.shape, dense.ravel()[flat], columns.astype(np.int32)
        self.starts = np.array([(rows < i).sum() for i in range(dense.shape[0] + 1)], dtype=np.int32)

    def matmul(self, x):
        if len(x) != self.shape[1]:
            raise ValueError(f"inner sizes of {self.shape} and {x.shape}")
        sums = np.zeros((len(self.values) + 1, x.shape[1]))
        np.cumsum(self.values[:, None].astype(float) * x[self.columns], axis=0, out=sums[1:])
        return (sums[self.starts[1:]] - sums[self.starts[:-1]]).astype(self.values.dtype)
