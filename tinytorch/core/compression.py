"""Compression: Fewer numbers for the same answers: masks, channels, ranks, adapters and a teacher's pupil, each checked
by the bytes of a file.

Exported from module 16_compression by tito export. Edit the notebook of that module, not this file.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np

from .activations import ReLU
from .layers import Linear, Parameter, Sequential, zeros_
from .losses import cross_entropy, log_softmax
from .spatial import AvgPool2d, Conv2d, Flatten, MaxPool2d
from .tensor import Tensor

__all__ = [
    "bytes_on_disk", "compression_ratio", "magnitude_mask", "weights_of", "sensitivity", "MaskedOptimizer",
    "cubic_sparsity", "rebuilt", "check_keep", "remove_channels", "strongest_channels", "rank_for", "check_rank",
    "factorize", "Parallel", "low_rank_adapter", "distillation_loss", "CompressedRows",
]


def bytes_on_disk(arrays):
    """The size of a file with the arrays of a dictionary, such as a `state_dict`; it is deleted again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **{f"state.{name}": array for name, array in arrays.items()})
        return path.stat().st_size


def compression_ratio(before, after):
    """How many times smaller the file of `after` is than that of `before`, two dictionaries of arrays.

    Raises ValueError with both sizes where it is not smaller.
    """
    large, small = bytes_on_disk(before), bytes_on_disk(after)
    if small >= large:
        raise ValueError(f"compression_ratio: nothing was saved, {large:,} bytes before and {small:,} after")
    return large / small


def magnitude_mask(arrays, sparsity):
    """Boolean arrays, False for the `round(sparsity * n)` numbers of the smallest magnitude among all n.

    arrays: a list of at least one. Raises ValueError for a sparsity outside of 0…1.
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"magnitude_mask: a sparsity lies from 0 to 1, not at {sparsity}")
    sizes = [np.size(array) for array in arrays]
    magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
    stays = np.ones(sum(sizes), dtype=bool)
    stays[np.argsort(magnitudes)[: round(sparsity * sum(sizes))]] = False
    pieces = np.split(stays, np.cumsum(sizes)[:-1])
    return [piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True)]


def weights_of(model):
    """{name: Parameter} of the weights of at least two axes. Raises ValueError where there is none."""
    found = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    if not found:
        raise ValueError(f"{type(model).__name__}: there are no weights of two or more axes to compress")
    return found


def sensitivity(model, sparsities, evaluate):
    """{name of a weight: [score for each sparsity]}, where this weight alone is pruned by magnitude.

    evaluate: function(model) → a number. The model is afterwards as it was. Raises ValueError where it has
    no weights.
    """
    scores = {}
    for name, weight in weights_of(model).items():
        full, scores[name] = weight.data.copy(), []
        try:
            for sparsity in sparsities:
                (mask,) = magnitude_mask([full], sparsity)
                weight.data[...] = np.where(mask, full, 0)
                scores[name].append(evaluate(model))
        finally:
            weight.data[...] = full
    return scores


class MaskedOptimizer:
    """An optimizer whose steps leave masked weights at 0, whatever its momentum says.

    optimizer: has `step`. parameters: those that have masks, all True until `set_masks` says otherwise.
    """

    def __init__(self, optimizer, parameters):
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.masks = [np.ones(parameter.shape, dtype=bool) for parameter in self.parameters]

    def set_masks(self, masks):
        """Keep copies of one boolean array for each parameter, and set to 0 what is False in it.

        Raises ValueError with the shapes, and changes nothing, where they do not fit.
        """
        masks = [np.array(mask, dtype=bool) for mask in masks]
        found, wanted = [mask.shape for mask in masks], [parameter.shape for parameter in self.parameters]
        if found != wanted:
            raise ValueError(f"set_masks: masks of shapes {found} do not fit parameters of shapes {wanted}")
        self.masks = masks
        for parameter, mask in zip(self.parameters, masks, strict=True):
            parameter.data[~mask] = 0

    def step(self):
        """One step of the optimizer, in which masked weights have the gradient 0 and end at 0."""
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            if parameter.grad is not None:
                parameter.grad[~mask] = 0
        self.optimizer.step()
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            parameter.data[~mask] = 0


def cubic_sparsity(step, total, final, initial=0.0):
    """The sparsity at `step`, from `initial` to `final` at step `total` (Zhu and Gupta, 2017)."""
    left = 1 - min(step / total, 1)
    return final + (initial - final) * left**3


def rebuilt(layer, weight, bias):
    """A Conv2d or Linear with the settings of `layer` and copies of the arrays weight and bias (or None)."""
    new = copy.copy(layer)
    new.weight = Parameter(Tensor(weight, dtype=weight.dtype))
    new.bias = None if bias is None else Parameter(Tensor(bias, dtype=bias.dtype))
    if isinstance(layer, Linear):
        new.out_features, new.in_features = weight.shape
    else:
        new.out_channels, new.in_channels = weight.shape[:2]
    return new


def check_keep(model, keep):
    """Raise TypeError for a layer that remove_channels does not know, ValueError for an impossible choice."""
    known, places, before = (Conv2d, ReLU, MaxPool2d, AvgPool2d, Flatten, Linear), [], None
    for place, layer in enumerate(model):
        if not isinstance(layer, known):
            names = ", ".join(kind.__name__ for kind in known)
            raise TypeError(f"remove_channels knows {names}; layer {place} is a {type(layer).__name__}")
        if isinstance(layer, Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
            raise ValueError(f"remove_channels: layer {place} has to be Flatten(), not {layer}")
        if isinstance(before, Conv2d) and isinstance(layer, Linear):
            raise ValueError(f"remove_channels: between a Conv2d and the Linear {place} there is no Flatten")
        if isinstance(layer, (Conv2d, Linear)):
            places.append(place)
        before = layer if isinstance(layer, (Conv2d, Linear, Flatten)) else before
    removed = 0
    for place, kept in keep.items():
        if place not in places[:-1]:
            raise ValueError(f"remove_channels: layer {place} cannot lose outputs, only {places[:-1]} can")
        many = len(model[place].weight.data)
        if not len(kept) or list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= many:
            raise ValueError(f"remove_channels: layer {place} has 0 to {many - 1}, not {list(kept)}")
        removed += many - len(kept)
    if not removed:
        raise ValueError(f"remove_channels: nothing is removed by {keep}")


def remove_channels(model, keep):
    """A smaller Sequential: layers keep the outputs in `keep`, and what follows the inputs that are left.

    model: a Sequential of Conv2d, ReLU, pooling, Flatten and Linear. keep: {place: ascending list of
    outputs}. It computes what `model` does with the other outputs at 0. Raises what `check_keep` raises.
    """
    check_keep(model, keep)
    layers, left, before = [], None, 0
    for place, layer in enumerate(model):
        if not isinstance(layer, (Conv2d, Linear)):
            layers.append(copy.copy(layer))
            continue
        weight, bias = layer.weight.data, None if layer.bias is None else layer.bias.data
        if left is not None:
            each = weight.shape[1] // before  # inputs that read one output of the layer before
            weight = weight[:, (left[:, None] * each + np.arange(each)).ravel()]
        before = len(weight)
        left = np.asarray(keep.get(place, range(before)))
        layers.append(rebuilt(layer, weight[left], None if bias is None else bias[left]))
    return Sequential(*layers)


def strongest_channels(model, counts):
    """{place: ascending list} of the outputs with the largest absolute sums of weights (Li and others, 2017).

    counts: {place: how many}.
    """
    keep = {}
    for place, count in counts.items():
        weight = np.abs(model[place].weight.data)
        keep[place] = sorted(np.argsort(-weight.reshape(len(weight), -1).sum(axis=1))[:count].tolist())
    return keep


def rank_for(weight, energy):
    """The smallest rank, at least 1, that keeps this share of the sum of squared singular values of `weight`.

    Raises ValueError for an energy outside of 0…1.
    """
    if not 0 <= energy <= 1:
        raise ValueError(f"rank_for: an energy lies from 0 to 1, not at {energy}")
    kept = np.cumsum(np.linalg.svd(np.asarray(weight, dtype=np.float64), compute_uv=False) ** 2)
    return int((kept < energy * kept[-1]).sum()) + 1


def check_rank(what, linear, rank):
    """Raise ValueError where a Linear has no such rank, or where two factors hold no fewer numbers."""
    outputs, inputs = linear.weight.shape
    if not 1 <= rank <= min(inputs, outputs):
        raise ValueError(f"{what}: a rank of {linear} lies from 1 to {min(inputs, outputs)}, not at {rank}")
    if rank * (inputs + outputs) >= inputs * outputs:
        numbers = f"{rank * (inputs + outputs):,} numbers are no fewer than {inputs * outputs:,}"
        raise ValueError(f"{what}: at rank {rank}, {numbers}")


def factorize(linear, rank):
    """Two Linears, in → rank → out, whose product is the best approximation of `linear` (Eckart and Young,
    1936).

    Raises ValueError for a rank that does not exist or saves nothing.
    """
    check_rank("factorize", linear, rank)
    dtype, (outputs, inputs) = linear.weight.dtype, linear.weight.shape
    left, values, right = np.linalg.svd(linear.weight.data, full_matrices=False)
    roots = np.sqrt(values[:rank])  # in both factors, so that they are of one size
    down = Linear(inputs, rank, bias=False, dtype=dtype)
    up = Linear(rank, outputs, bias=linear.bias is not None, dtype=dtype)
    down.weight.data[...] = roots[:, None] * right[:rank]
    up.weight.data[...] = left[:, :rank] * roots
    if linear.bias is not None:
        up.bias.data[...] = linear.bias.data
    return Sequential(down, up)


class Parallel(Sequential):
    """Layers side by side: the sum of what each makes of the same input."""

    def forward(self, x):
        first, *others = [layer(x) for layer in self]
        for other in others:
            first = first + other
        return first


def low_rank_adapter(linear, rank):
    """`linear`, frozen, plus two Linears, in → rank → out, the second 0 at first (Hu and others, 2021).

    Raises ValueError for a rank that does not exist or trains no fewer numbers.
    """
    check_rank("low_rank_adapter", linear, rank)
    linear.requires_grad_(False)
    dtype, (outputs, inputs) = linear.weight.dtype, linear.weight.shape
    down, up = Linear(inputs, rank, bias=False, dtype=dtype), Linear(rank, outputs, bias=False, dtype=dtype)
    zeros_(up.weight)
    return Parallel(linear, Sequential(down, up))


def distillation_loss(student, teacher, targets, temperature, alpha):
    """alpha · T² · KL(teacher ‖ student), both softened by T, plus (1 - alpha) · cross-entropy: a Tensor.

    student, teacher: logits (N, C). targets: (N,) class numbers. The teacher gets no gradient. Raises
    ValueError for a temperature, an alpha or shapes that make no sense (Hinton and others, 2015).
    """
    if not temperature > 0 or not 0 <= alpha <= 1:
        raise ValueError(f"distillation_loss: temperature {temperature} or alpha {alpha} makes no sense")
    if student.shape != teacher.shape:
        raise ValueError(f"distillation_loss: student {student.shape} and teacher {teacher.shape} differ")
    wanted = log_softmax(teacher.detach() / temperature)
    apart = wanted.exp() * (wanted - log_softmax(student / temperature))
    soft = apart.sum(axis=-1).mean() * temperature**2
    return soft * alpha + cross_entropy(student, targets) * (1 - alpha)


class CompressedRows:
    """A matrix of which only what is not 0 is stored, row by row (CSR).

    dense: an array of two axes. Raises ValueError for another one.
    """

    def __init__(self, dense):
        if dense.ndim != 2:
            raise ValueError(
                f"CompressedRows: an array of two axes is wanted, not one of shape {dense.shape}"
            )
        rows, columns = np.nonzero(dense)
        self.shape, self.values, self.columns = dense.shape, dense[rows, columns], columns.astype(np.int32)
        self.starts = np.searchsorted(rows, np.arange(len(dense) + 1)).astype(np.int32)

    def matmul(self, x):
        """The product with an array (columns, n): (rows, n). Raises ValueError where the shapes do not
        fit."""
        if len(x) != self.shape[1]:
            raise ValueError(f"CompressedRows: shapes {self.shape} and {x.shape} do not fit")
        out = np.zeros((self.shape[0], x.shape[1]), self.values.dtype)
        filled = np.flatnonzero(np.diff(self.starts))
        products = self.values[:, None] * x[self.columns]
        out[filled] = np.add.reduceat(products, self.starts[filled])
        return out
