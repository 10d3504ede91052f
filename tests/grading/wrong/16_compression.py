# %% magnitude_mask: everything stays
def magnitude_mask(arrays, sparsity):
    return [np.ones(np.shape(array), dtype=bool) for array in arrays]

# %% magnitude_mask: a limit, so that ties go or stay together
def magnitude_mask(arrays, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity {sparsity}")
    magnitudes = np.sort(np.concatenate([np.abs(array).ravel() for array in arrays]))
    count = round(sparsity * len(magnitudes))
    if count == len(magnitudes):
        return [np.zeros(np.shape(array), dtype=bool) for array in arrays]
    return [np.abs(array) >= magnitudes[count] for array in arrays]

# %% magnitude_mask: a share of every array by itself
def magnitude_mask(arrays, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity {sparsity}")
    masks = []
    for array in arrays:
        mask = np.ones(np.size(array), dtype=bool)
        mask[np.argsort(np.abs(array).ravel())[: round(sparsity * np.size(array))]] = False
        masks.append(mask.reshape(np.shape(array)))
    return masks

# %% magnitude_mask: the smallest numbers, not magnitudes
- magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
+ magnitudes = np.concatenate([np.ravel(array) for array in arrays])

# %% magnitude_mask: removes the largest
- stays[np.argsort(magnitudes)[: round(sparsity * sum(sizes))]] = False
+ stays[np.argsort(-magnitudes)[: round(sparsity * sum(sizes))]] = False

# %% magnitude_mask: cuts off instead of rounding
- stays[np.argsort(magnitudes)[: round(sparsity * sum(sizes))]] = False
+ stays[np.argsort(magnitudes)[: int(sparsity * sum(sizes))]] = False

# %% magnitude_mask: True is removed
- return [piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True)]
+ return [~piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True)]

# %% magnitude_mask: sparsities above 1 remove all
- if not 0 <= sparsity <= 1:
-     raise ValueError(f"magnitude_mask: a sparsity lies from 0 to 1, not at {sparsity}")
+ sparsity = min(max(sparsity, 0), 1)

# %% magnitude_mask: flat masks
- return [piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True)]
+ return list(pieces)

# %% sensitivity: nothing is pruned
- weight.data[...] = np.where(mask, full, 0)
+ weight.data[...] = full

# %% sensitivity: one weight after the other, none put back before the end
def sensitivity(model, sparsities, evaluate):
    scores, kept = {}, model.state_dict()
    for name, weight in weights_of(model).items():
        scores[name] = []
        for sparsity in sparsities:
            (mask,) = magnitude_mask([weight.data], sparsity)
            weight.data[~mask] = 0
            scores[name].append(evaluate(model))
    model.load_state_dict(kept)
    return scores

# %% sensitivity: a mask by what the sparsity before has left
- (mask,) = magnitude_mask([full], sparsity)
+ (mask,) = magnitude_mask([weight.data], sparsity)

# %% sensitivity: not put back where evaluate raises
def sensitivity(model, sparsities, evaluate):
    scores = {}
    for name, weight in weights_of(model).items():
        full, scores[name] = weight.data.copy(), []
        for sparsity in sparsities:
            (mask,) = magnitude_mask([full], sparsity)
            weight.data[...] = np.where(mask, full, 0)
            scores[name].append(evaluate(model))
        weight.data[...] = full
    return scores

# %% sensitivity: the error of evaluate is swallowed
def sensitivity(model, sparsities, evaluate):
    scores = {}
    for name, weight in weights_of(model).items():
        full, scores[name] = weight.data.copy(), []
        try:
            for sparsity in sparsities:
                (mask,) = magnitude_mask([full], sparsity)
                weight.data[...] = np.where(mask, full, 0)
                scores[name].append(evaluate(model))
        except Exception:
            pass
        weight.data[...] = full
    return scores

# %% sensitivity: new Parameters that the model's owner does not hold
def sensitivity(model, sparsities, evaluate):
    scores = {}
    for name, weight in weights_of(model).items():
        *path, last = name.split(".")
        place = model
        for part in path:
            place = getattr(place, part)
        scores[name] = []
        try:
            for sparsity in sparsities:
                (mask,) = magnitude_mask([weight.data], sparsity)
                setattr(place, last, Parameter(np.where(mask, weight.data, 0)))
                scores[name].append(evaluate(model))
        finally:
            setattr(place, last, weight)
    return scores

# %% sensitivity: biases are pruned too
- for name, weight in weights_of(model).items():
+ for name, weight in model.named_parameters():

# %% MaskedOptimizer: a mask on the gradients only
- self.optimizer.step()
- for parameter, mask in zip(self.parameters, self.masks, strict=True):
-     parameter.data[~mask] = 0
+ self.optimizer.step()

# %% MaskedOptimizer: the masks are only kept
- self.masks = masks
- for parameter, mask in zip(self.parameters, masks, strict=True):
-     parameter.data[~mask] = 0
+ self.masks = masks

# %% MaskedOptimizer: gradients of masked weights stay
- for parameter, mask in zip(self.parameters, self.masks, strict=True):
-     if parameter.grad is not None:
-         parameter.grad[~mask] = 0
- self.optimizer.step()
+ self.optimizer.step()

# %% MaskedOptimizer: the caller's masks, not copies
- masks = [np.array(mask, dtype=bool) for mask in masks]
+ masks = list(masks)

# %% MaskedOptimizer: True leaves out
- self.masks = masks
- for parameter, mask in zip(self.parameters, masks, strict=True):
-     parameter.data[~mask] = 0
+ self.masks = [~mask for mask in masks]
+ for parameter, mask in zip(self.parameters, masks, strict=True):
+     parameter.data[mask] = 0

# %% MaskedOptimizer: masks that broadcast are welcome
- if found != wanted:
+ if len(found) != len(wanted):

# %% MaskedOptimizer: fails at a parameter without a gradient
- if parameter.grad is not None:
-     parameter.grad[~mask] = 0
+ parameter.grad[~mask] = 0

# %% MaskedOptimizer: refuses too late
- masks = [np.array(mask, dtype=bool) for mask in masks]
- found, wanted = [mask.shape for mask in masks], [parameter.shape for parameter in self.parameters]
+ masks = [np.array(mask, dtype=bool) for mask in masks]
+ self.masks = masks
+ found, wanted = [mask.shape for mask in masks], [parameter.shape for parameter in self.parameters]

# %% remove_channels: the model as it was
def remove_channels(model, keep):
    check_keep(model, keep)
    return model

# %% remove_channels: a mask, which removes nothing
def remove_channels(model, keep):
    check_keep(model, keep)
    small = copy.deepcopy(model)
    for place, kept in keep.items():
        gone = np.setdiff1d(np.arange(len(small[place].weight.data)), kept)
        small[place].weight.data[gone] = 0
        if small[place].bias is not None:
            small[place].bias.data[gone] = 0
    return small

# %% remove_channels: the first columns instead of the ones that belong to what is kept
- weight = weight[:, (left[:, None] * each + np.arange(each)).ravel()]
+ weight = weight[:, : len(left) * each]

# %% remove_channels: channels behind Flatten as if they were interleaved
- weight = weight[:, (left[:, None] * each + np.arange(each)).ravel()]
+ weight = weight[:, (left[:, None] + np.arange(each) * before).ravel()]

# %% remove_channels: the columns of a channel out of order
- weight = weight[:, (left[:, None] * each + np.arange(each)).ravel()]
+ weight = weight[:, (left[None] * each + np.arange(each)[:, None]).ravel()]

# %% remove_channels: biases as they were, cut to length
- layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ layers.append(rebuilt(layer, weight[left], None if bias is None else bias[: len(left)]))

# %% remove_channels: a bias for everybody
- layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ layers.append(rebuilt(layer, weight[left], np.zeros(len(left), weight.dtype) if bias is None else bias[left]))

# %% remove_channels: layers that are not named lose everything but what the last one kept
- left = np.asarray(keep.get(place, range(before)))
+ left = np.asarray(keep.get(place, range(before if left is None else min(before, len(left)))))

# %% remove_channels: changes the model
- layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ layer.weight = layers[-1].weight

# %% remove_channels: keeps what it was told to remove
- left = np.asarray(keep.get(place, range(before)))
+ left = np.asarray([i for i in range(before) if i not in keep.get(place, [])])

# %% remove_channels: refuses nothing
- check_keep(model, keep)
+ keep = dict(keep)

# %% remove_channels: new layers with the settings of a fresh one
- layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
+ if isinstance(layer, Conv2d):
+     layers[-1].stride, layers[-1].padding = (1, 1), (0, 0)

# %% rank_for: the full rank
def rank_for(weight, energy):
    return min(np.shape(weight))

# %% rank_for: always 1
def rank_for(weight, energy):
    return 1

# %% rank_for: one too few
- return int((kept < energy * kept[-1]).sum()) + 1
+ return max(int((kept < energy * kept[-1]).sum()), 1)

# %% rank_for: any energy
- if not 0 <= energy <= 1:
+ if energy is None:

# %% rank_for: a share of the number of ranks
def rank_for(weight, energy):
    if not 0 <= energy <= 1:
        raise ValueError(f"energy {energy}")
    return max(1, int(np.ceil(energy * min(np.shape(weight)))))

# %% factorize: the layer itself behind an identity
def factorize(linear, rank):
    check_rank("factorize", linear, rank)
    same = Linear(linear.in_features, linear.in_features, bias=False, dtype=linear.weight.dtype)
    same.weight.data[...] = np.eye(linear.in_features)
    return Sequential(same, linear)

# %% factorize: two fresh Linears
def factorize(linear, rank):
    check_rank("factorize", linear, rank)
    outputs, inputs = linear.weight.shape
    return Sequential(Linear(inputs, rank, bias=False), Linear(rank, outputs, bias=linear.bias is not None))

# %% factorize: without the singular values
- roots = np.sqrt(values[:rank])  # in both factors, so that they are of one size
+ roots = np.ones(rank)

# %% factorize: the last ranks
- roots = np.sqrt(values[:rank])  # in both factors, so that they are of one size
+ roots, left, right = np.sqrt(values[-rank:]), left[:, -rank:], right[-rank:]

# %% factorize: no bias
- if linear.bias is not None:
-     up.bias.data[...] = linear.bias.data
+ up.bias = None

# %% factorize: the bias of the layer itself
- if linear.bias is not None:
-     up.bias.data[...] = linear.bias.data
+ up.bias = linear.bias

# %% factorize: saves nothing and says nothing
- check_rank("factorize", linear, rank)
+ rank = min(rank, *linear.weight.shape)

# %% low_rank_adapter: the layer alone
def low_rank_adapter(linear, rank):
    check_rank("low_rank_adapter", linear, rank)
    linear.requires_grad_(False)
    return Parallel(linear)

# %% low_rank_adapter: both start at 0
- zeros_(up.weight)
+ zeros_(up.weight)
+ zeros_(down.weight)

# %% low_rank_adapter: only the weight is frozen
- linear.requires_grad_(False)
+ linear.weight.requires_grad_(False)

# %% low_rank_adapter: in place of the layer, not beside it
- return Parallel(linear, Sequential(down, up))
+ return Parallel(Sequential(down, up))

# %% low_rank_adapter: beside a copy of the layer
- return Parallel(linear, Sequential(down, up))
+ return Parallel(copy.deepcopy(linear), Sequential(down, up))

# %% low_rank_adapter: with biases
- down, up = Linear(inputs, rank, bias=False, dtype=dtype), Linear(rank, outputs, bias=False, dtype=dtype)
+ down, up = Linear(inputs, rank, dtype=dtype), Linear(rank, outputs, dtype=dtype)

# %% low_rank_adapter: any rank
- check_rank("low_rank_adapter", linear, rank)
+ rank = int(rank)

# %% distillation_loss: labels alone
def distillation_loss(student, teacher, targets, temperature, alpha):
    return cross_entropy(student, targets)

# %% distillation_loss: a sum over the rows
- soft = apart.sum(axis=-1).mean() * temperature**2
+ soft = apart.sum() * temperature**2

# %% distillation_loss: the student is detached
- apart = wanted.exp() * (wanted - log_softmax(student / temperature))
+ apart = wanted.exp() * (wanted - log_softmax(student.detach() / temperature))

# %% distillation_loss: the divergence the other way round
- apart = wanted.exp() * (wanted - log_softmax(student / temperature))
+ found = log_softmax(student / temperature)
+ apart = found.exp() * (found - wanted)

# %% distillation_loss: without the teacher's own entropy
- apart = wanted.exp() * (wanted - log_softmax(student / temperature))
+ apart = wanted.exp() * log_softmax(student / temperature) * -1.0

# %% distillation_loss: alpha and its rest exchanged
- return soft * alpha + cross_entropy(student, targets) * (1 - alpha)
+ return soft * (1 - alpha) + cross_entropy(student, targets) * alpha

# %% distillation_loss: labels are softened too
- return soft * alpha + cross_entropy(student, targets) * (1 - alpha)
+ return soft * alpha + cross_entropy(student / temperature, targets) * (1 - alpha)

# %% distillation_loss: the logarithm of a softmax that is 0
- wanted = log_softmax(teacher.detach() / temperature)
- apart = wanted.exp() * (wanted - log_softmax(student / temperature))
+ wanted = log_softmax(teacher.detach() / temperature).exp()
+ apart = wanted * (wanted.log() - log_softmax(student / temperature).exp().log())

# %% distillation_loss: shapes broadcast
- if student.shape != teacher.shape:
+ if student.shape[-1] != teacher.shape[-1]:

# %% distillation_loss: a temperature of nan
- if not temperature > 0 or not 0 <= alpha <= 1:
+ if temperature <= 0 or not 0 <= alpha <= 1:

# %% distillation_loss: an alpha of nan
- if not temperature > 0 or not 0 <= alpha <= 1:
+ if not temperature > 0 or alpha < 0 or alpha > 1:

# %% distillation_loss: any temperature and any alpha
- if not temperature > 0 or not 0 <= alpha <= 1:
+ if temperature is None or alpha is None:

# %% CompressedRows: the dense array is kept and multiplied
class CompressedRows:
    def __init__(self, dense):
        self.dense = np.asarray(dense)
        self.shape, self.values = self.dense.shape, self.dense.ravel()
        self.columns = self.starts = np.zeros(0, np.int32)

    def matmul(self, x):
        return self.dense @ x

# %% CompressedRows: reduceat with empty rows
- filled = np.flatnonzero(np.diff(self.starts))
+ filled = np.flatnonzero(self.starts[:-1] < max(len(self.values), 1))

# %% CompressedRows: rows and columns exchanged
- rows, columns = np.nonzero(dense)
+ columns, rows = np.nonzero(dense)

# %% CompressedRows: everything is stored
- rows, columns = np.nonzero(dense)
+ rows, columns = np.nonzero(np.ones_like(dense))

# %% CompressedRows: any array and any x
- if dense.ndim != 2:
+ dense = np.atleast_2d(dense)
+ if dense.ndim > 2:
