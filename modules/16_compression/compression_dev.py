# %% [markdown]
r"""
# 16 Compression

Module 15 stored numbers in fewer bits. Here there are fewer numbers: weights, channels and ranks that a network can spare, and small networks that learn
from large ones. At the end a network for digits takes a fifteenth of its bytes and reads about as well as before.

## Three questions first

**1.** (03) How many numbers does Linear(256, 128) hold?
<details><summary>Answer</summary> 128 · 256 weights and 128 biases: 32,896. </details>

**2.** (06) SGD with momentum: does a weight stay where it is once its gradient is 0?
<details><summary>Answer</summary> No. The buffer still moves it. </details>

**3.** (15) Which part of float32's bytes do 8-bit codes take?
<details><summary>Answer</summary> A quarter, and scales, zero points, names and headers on top. </details>
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, no_warnings, trained

check_home()

# %%
#| default_exp core.compression

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import tempfile
from pathlib import Path

import numpy as np

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Parameter, Sequential, zeros_
from tinytorch.core.losses import cross_entropy, log_softmax
from tinytorch.core.spatial import AvgPool2d, Conv2d, Flatten, MaxPool2d
from tinytorch.core.tensor import Tensor

# %%
import math

from tinytorch.core.autograd import no_grad
from tinytorch.core.losses import CrossEntropyLoss, MSELoss
from tinytorch.core.optimizers import SGD, AdamW
from tinytorch.core.tensor import manual_seed, randn
from tinytorch.core.training import training_step

# %% [markdown]
r"""
## Part 1 of 3 · about 3 hours: fewer weights

Two functions judge everything: the bytes of a file that was really written, and their ratio, an error where nothing got smaller.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-bytes_on_disk", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% [markdown]
r"""
### The weights that count least

A weight near 0 moves the output little, so the smallest magnitudes go first. One limit for *all* arrays lets each layer lose what it can spare. For half of
these six numbers, those are 0.05, 0.1 and 0.2:

    [[0.5, −0.1], [0.2, −0.9]]  and  [0.05, −0.3]
    [[True, False], [False, True]]  and  [False, True]

A limit alone is not exact: of ten equal numbers it removes all or none. Which of them go is your choice.

**Write `magnitude_mask(arrays, sparsity)`**: boolean arrays of the shapes of `arrays`, False for exactly `round(sparsity * n)` of all n numbers, none of
them larger in magnitude than one that stays. Arrays may have any shape, () and (0, 3) too, and do not change. Sparsity 0 keeps all and 1 none; outside of
0…1, and for nan, a `ValueError` names it.
"""

# %% nbgrader={"grade": false, "grade_id": "magnitude_mask", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["If all the numbers lay in one long row, which NumPy function would give you the places of the smallest ones, instead of their values?", "Fill the places in one long boolean row first. Then cut it where each array ends, and give every piece its shape.", "A comparison with nan is never true: ask whether the sparsity lies inside, not whether it lies outside."], "minutes": 30, "objective": "masks"}
#| export
def magnitude_mask(arrays, sparsity):
    """Boolean arrays, False for the `round(sparsity * n)` numbers of the smallest magnitude among all n.

    arrays: a list of at least one. Raises ValueError for a sparsity outside of 0…1.
    """
    ### BEGIN SOLUTION
    if not 0 <= sparsity <= 1:
        raise ValueError(f"magnitude_mask: a sparsity lies from 0 to 1, not at {sparsity}")
    sizes = [np.size(array) for array in arrays]
    magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
    stays = np.ones(sum(sizes), dtype=bool)
    stays[np.argsort(magnitudes)[: round(sparsity * sum(sizes))]] = False
    pieces = np.split(stays, np.cumsum(sizes)[:-1])
    return [piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True)]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-magnitude_mask-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_magnitude_mask():
    arrays = [np.array([[0.5, -0.1], [0.2, -0.9]], np.float32), np.array([0.05, -0.3])]
    first, second = magnitude_mask(arrays, 0.5)
    expect(first, [[True, False], [False, True]], "half of six, the first array", dtype=bool)
    expect(second, [False, True], "half of six, the second array", dtype=bool)
    expect(arrays[1], [0.05, -0.3], "the arrays stay")
    first, second = magnitude_mask(arrays, 0.9)
    expect(first, [[False, False], [False, True]], "round(0.9 · 6) = 5 of six: only -0.9 stays")
    expect(second, [False, False], "and nothing of the second array")
    for sparsity in (0, 1):
        masks = magnitude_mask(arrays, sparsity)
        expect([bool(np.asarray(mask).all()) for mask in masks], [sparsity == 0] * 2, f"sparsity {sparsity}")
        expect([bool(np.asarray(mask).any()) for mask in masks], [sparsity == 0] * 2, f"sparsity {sparsity}")
    print("🔬 magnitude_mask: passed")

test_unit_magnitude_mask()

# %% nbgrader={"grade": true, "grade_id": "test-magnitude_mask-edges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_magnitude_mask_edges():
    for arrays in ([np.ones(10)], [np.ones((2, 3)), -np.ones(4)], [np.zeros(10)]):
        for sparsity, zeros in [(0.3, 3), (0.04, 0), (0.96, 10), (0.7, 7)]:
            masks = [np.asarray(mask) for mask in magnitude_mask(arrays, sparsity)]
            expect([mask.shape for mask in masks], [array.shape for array in arrays], "the shapes")
            found = sum(int((~mask).sum()) for mask in masks)
            expect(found, zeros, f"ten equal numbers to {sparsity}: zeros")
    scalar, empty, row = magnitude_mask([np.array(-4.0), np.zeros((0, 3)), np.array([3.0, 5.0])], 2 / 3)
    expect(scalar, False, "a number of shape (), beside 3 and 5")
    expect(np.asarray(empty).shape, (0, 3), "an empty array")
    expect(row, [False, True], "3 and 5, beside -4")
    for sparsity in (-0.1, 1.5, math.nan):
        expect_error(ValueError, str(sparsity), magnitude_mask, [np.ones(3)], sparsity)
    print("🔬 magnitude_mask, ties and edges: passed")

test_unit_magnitude_mask_edges()

# %% nbgrader={"grade": true, "grade_id": "test-magnitude_mask-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn numbers with many ties, in arrays of several shapes.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(1601)
arrays = [draw.integers(-4, 5, size=size) / 4 for size in [(3, 4), (7,), (2, 2, 5), ()]]
for sparsity in (0.1, 0.43, 0.8, 0.99):
    masks = [np.asarray(mask) for mask in magnitude_mask(arrays, sparsity)]
    stays = np.concatenate([mask.ravel() for mask in masks])
    magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
    expect(int((~stays).sum()), round(sparsity * 40), f"40 numbers to {sparsity}: zeros")
    assert magnitudes[~stays].max() <= magnitudes[stays].min(initial=9), f"{sparsity}: a larger one went"
### END HIDDEN TESTS

# %% [markdown]
r"""
### Which layer is sensitive

Layers do not suffer alike. Prune one weight alone, look at the score, put it back, go on to the next: that is its *sensitivity*. Biases and
other vectors are few and stay; `weights_of` finds the rest. A network of two layers without biases, for the input [1, 1]:

    [[1, 2], [3, 4]]  then  [[10, 1]]         output 10 · 3 + 1 · 7 = 37
    half of the first   [[0, 0], [3, 4]]      output  7
    half of the second  [[10, 0]]             output 30

**Write `sensitivity(model, sparsities, evaluate)`**: {name: [`evaluate(model)` for each sparsity]}, where that weight alone is pruned by its own
magnitudes. Evaluate once for each, in the order of `weights_of` and of `sparsities`, and prune inside the model's own Parameters. At the end the model is as
before, also where `evaluate` raises (its error goes on to the caller). For a model without weights `weights_of` raises a `ValueError`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-weights_of", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def weights_of(model):
    """{name: Parameter} of the weights of at least two axes. Raises ValueError where there is none."""
    found = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    if not found:
        raise ValueError(f"{type(model).__name__}: there are no weights of two or more axes to compress")
    return found

# %% nbgrader={"grade": false, "grade_id": "sensitivity", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What do you have to keep of a weight before you prune it, and is the array itself enough when you write into it?", "Every sparsity starts from the full weight, not from what the sparsity before has left.", "Which statement of Python runs its last block whatever happens in the first one, an error included?"], "minutes": 30, "objective": "masks"}
#| export
def sensitivity(model, sparsities, evaluate):
    """{name of a weight: [score for each sparsity]}, where this weight alone is pruned by magnitude.

    evaluate: function(model) → a number. The model is afterwards as it was. Raises ValueError where it has
    no weights.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": false, "grade_id": "provided-two_layers", "locked": true, "schema_version": 3, "solution": false, "task": false}
def two_layers():
    """The network of the worked example: [[1, 2], [3, 4]], then [[10, 1]], without biases."""
    model = Sequential(Linear(2, 2, bias=False), Linear(2, 1, bias=False))
    model[0].weight.data[...], model[1].weight.data[...] = [[1, 2], [3, 4]], [[10, 1]]
    return model

# %% nbgrader={"grade": true, "grade_id": "test-sensitivity-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sensitivity():
    model, calls = two_layers(), []

    def output(net):
        calls.append(len(calls))
        return net(Tensor([1.0, 1.0])).item()

    found = sensitivity(model, [0.0, 1.0, 0.5], output)
    expect(found, {"0.weight": [37, 0, 7], "1.weight": [37, 0, 30]}, "the worked example, at 0, 1 and 0.5")
    expect(len(calls), 6, "calls of evaluate")
    after = [weight.tolist() for weight in model.parameters()]
    expect(after, [[[1, 2], [3, 4]], [[10, 1]]], "the model after it")
    held = model[0].weight
    found = sensitivity(model, [0.75], lambda net: float(np.count_nonzero(held.numpy())))
    expect(found, {"0.weight": [1], "1.weight": [4]}, "what the model's own Parameter holds meanwhile")
    print("🔬 sensitivity: passed")

test_unit_sensitivity()

# %% nbgrader={"grade": true, "grade_id": "test-sensitivity-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_sensitivity_errors():
    model = two_layers()

    def breaks(net):
        raise ArithmeticError("score 13 was too much")

    expect_error(ArithmeticError, 13, sensitivity, model, [0.5], breaks)
    expect(model[0].weight, [[1, 2], [3, 4]], "the model where evaluate has raised")
    expect_error(ValueError, "Sequential", sensitivity, Sequential(ReLU()), [0.5], lambda net: 0.0)
    expect(sensitivity(model, [], lambda net: 0.0), {"0.weight": [], "1.weight": []}, "no sparsity")
    print("🔬 sensitivity, errors: passed")

test_unit_sensitivity_errors()

# %% nbgrader={"grade": true, "grade_id": "test-sensitivity-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a convolution, biases that stay, and an error in the second weight.
### BEGIN HIDDEN TESTS
model = Sequential(Conv2d(1, 2, 2), Flatten(), Linear(2, 2))
before = model.state_dict()
left = lambda net: [int(np.count_nonzero(one.numpy())) for one in net.parameters() if one.ndim > 1]
found = sensitivity(model, [0.25, 0.75], left)
expect(found, {"0.weight": [[6, 4], [2, 4]], "2.weight": [[8, 3], [8, 1]]}, "what is left in both weights")
scores = iter([1.0])
expect_error(StopIteration, [], sensitivity, model, [0.5], lambda net: next(scores))
for name, array in model.state_dict().items():
    expect(array, before[name], f"{name} at the end")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Masks that hold

Who prunes a trained network at once loses much. Who prunes a little, trains on, and prunes again loses less, for other weights take over. But training moves
weights, and a gradient of 0 does not stop them. With momentum 0.9, rate 0.1 and 2 in its buffer, a weight is masked:

    buffer 0.9 · 2 + 0 = 1.8        weight 0 − 0.1 · 1.8 = −0.18        no longer 0

So masked weights are set to 0 *after* every step. Before it their gradients become 0 too, or they would fill buffers.

**Write two methods of `MaskedOptimizer`**. `set_masks(masks)`: one boolean array for each of `self.parameters`, True stays. Copies are kept in `self.masks`,
and masked weights become 0. Another number or other shapes are a `ValueError` with the shapes of both, and then nothing changes. `step()`: gradients of masked weights become 0 (a parameter
may have none), `self.optimizer` takes its step, masked weights become 0 again.
"""

# %% nbgrader={"grade": false, "grade_id": "MaskedOptimizer", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Compare all shapes before the first weight changes; a mask that broadcasts has the wrong shape all the same.", "A boolean array can choose the places that are assigned to; its opposite chooses the ones that are masked.", "Which three things happen in a step, and which of them needs a look at whether there is a gradient at all?"], "minutes": 30, "objective": "masks"}
#| export
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
        ### BEGIN SOLUTION
        masks = [np.array(mask, dtype=bool) for mask in masks]
        found, wanted = [mask.shape for mask in masks], [parameter.shape for parameter in self.parameters]
        if found != wanted:
            raise ValueError(f"set_masks: masks of shapes {found} do not fit parameters of shapes {wanted}")
        self.masks = masks
        for parameter, mask in zip(self.parameters, masks, strict=True):
            parameter.data[~mask] = 0
        ### END SOLUTION

    def step(self):
        """One step of the optimizer, in which masked weights have the gradient 0 and end at 0."""
        ### BEGIN SOLUTION
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            if parameter.grad is not None:
                parameter.grad[~mask] = 0
        self.optimizer.step()
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            parameter.data[~mask] = 0
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-MaskedOptimizer-masks", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_set_masks():
    weight, row = Parameter([[1.0, 2.0], [3.0, 4.0]]), Parameter([5.0, 6.0])
    held = MaskedOptimizer(SGD([weight, row], lr=0.1), [weight, row])
    masks = [np.array([[True, False], [False, True]]), np.array([True, False])]
    held.set_masks(masks)
    expect(weight, [[1, 0], [0, 4]], "masked weights, in the Parameter that the model has", dtype=np.float32)
    expect(row, [5, 0], "the second one")
    expect(held.masks, masks, "the masks that are kept")
    masks[1][0] = False
    expect(held.masks[1], [True, False], "a mask of the caller's that changes later: copies are kept")
    lying = [np.zeros((1, 2), bool), np.ones(2, bool)]
    expect_error(ValueError, [(2, 2), (1, 2), (2,)], held.set_masks, lying)
    expect_error(ValueError, [(2, 2), (2,)], held.set_masks, [np.zeros((2, 2), bool)])
    expect([weight.tolist(), row.tolist()], [[[1, 0], [0, 4]], [5, 0]], "after what was refused")
    expect(held.masks[0], [[True, False], [False, True]], "the masks after what was refused")
    print("🔬 MaskedOptimizer.set_masks: passed")

test_unit_set_masks()

# %% nbgrader={"grade": true, "grade_id": "test-MaskedOptimizer-step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_masked_step():
    weight, free = Parameter([1.0, 1.0]), Parameter([1.0])
    held = MaskedOptimizer(SGD([weight, free], lr=0.1, momentum=0.9), [weight, free])
    weight.grad = np.array([2.0, 2.0], np.float32)
    held.step()
    expect(weight, [0.8, 0.8], "a step before there are masks", rtol=1e-6)
    expect(free, [1], "a parameter without a gradient")
    held.set_masks([np.array([False, True]), np.array([False])])
    for grad, expected in [(0.0, 0.62), (0.38, 0.42)]:
        weight.grad, free.grad = np.array([50.0, grad], np.float32), np.array([60.0], np.float32)
        held.step()
        expect(weight.grad, [0, grad], "the gradients after the step", rtol=1e-6)
        expect([free.grad.tolist(), free.tolist()], [[0], [0]], "gradient and weight of the second parameter")
        expect(weight, [0, expected], "masked in spite of momentum, and beside it as ever", rtol=1e-5)
    print("🔬 MaskedOptimizer.step: passed")

test_unit_masked_step()

# %% nbgrader={"grade": true, "grade_id": "test-MaskedOptimizer-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: AdamW, masks that grow, and a weight that comes back.
### BEGIN HIDDEN TESTS
weight = Parameter(np.linspace(1.0, 2.0, 4))
held = MaskedOptimizer(AdamW([weight], lr=0.1), [weight])
for mask in ([True, True, True, False], [True, False, True, False], [True, False, True, True]):
    held.set_masks([np.array(mask)])
    for _ in range(2):
        weight.grad = np.ones(4, np.float32)
        held.step()
        expect(np.asarray(weight)[~np.array(mask)], [0] * mask.count(False), f"AdamW, mask {mask}")
assert np.asarray(weight)[3] < -0.1, "a weight that is no longer masked moves again"
### END HIDDEN TESTS

# %% [markdown]
r"""
How the sparsity grows is provided:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-cubic_sparsity", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def cubic_sparsity(step, total, final, initial=0.0):
    """The sparsity at `step`, from `initial` to `final` at step `total` (Zhu and Gupta, 2017)."""
    left = 1 - min(step / total, 1)
    return final + (initial - final) * left**3

# %% [markdown]
r"""
The network of this module reads scikit-learn's digits with 53,002 parameters, from each of three seeds. **Predict**: which of its four weights suffers most
from losing nine tenths?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from tinytorch.core.profiling import measure
from tinytorch.core.quantization import quantize_model

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
images, labels = (images[order].reshape(-1, 1, 8, 8) / 16).astype(np.float32), labels[order]


def digits_cnn(seed):
    """32 and 64 channels, 128 hidden: 53,002 parameters, for images (N, 1, 8, 8) and ten classes."""
    manual_seed(seed)
    first = Conv2d(1, 32, 3, padding=1), ReLU(), MaxPool2d(2)
    second = Conv2d(32, 64, 3, padding=1), ReLU(), MaxPool2d(2)
    return Sequential(*first, *second, Flatten(), Linear(256, 128), ReLU(), Linear(128, 10))


def train_digits(model, steps=540, rate=0.05, masks=None, sparsity=0.0, loss=None, many=1437):
    """SGD on the first `many` digits. masks stay; sparsity: reached after two thirds of the steps."""
    weights, draw = list(weights_of(model).values()), np.random.default_rng(0)
    loss = loss or (lambda out, i: cross_entropy(out, labels[i]))
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    held = MaskedOptimizer(optimizer, weights)
    held.set_masks(masks or held.masks)
    for step in range(steps):
        if sparsity and step % 10 == 0:
            now = cubic_sparsity(step, steps * 2 // 3, sparsity)
            held.set_masks(magnitude_mask([weight.data for weight in weights], now))
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        picked = draw.integers(many, size=32)
        training_step(model, loss, held, Tensor(images[picked]), picked)
    return held.masks


def wrong(model):
    """How many of the 360 unseen digits `model` reads wrong."""
    with no_grad():
        return int((model(Tensor(images[1437:])).argmax(axis=1).numpy() != labels[1437:]).sum())


def analyze_sensitivity(sparsities=(0.5, 0.8, 0.9, 0.95)):
    """Wrong digits of 360 where one weight alone is pruned, and nothing is trained after it."""
    found, weights = sensitivity(readers[0], sparsities, wrong), weights_of(readers[0])
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for (name, scores), style in zip(found.items(), ("o-", "s--", "^:", "d-."), strict=True):
        axes.plot(sparsities, scores, style, label=f"{name}, {weights[name].numel():,} numbers")
    axes.set(xlabel="sparsity of this weight", ylabel="wrong of 360", title="One weight pruned at a time")
    figure.legend(*axes.get_legend_handles_labels(), ncols=2, loc="outside lower center", fontsize=8)
    plt.show()
    at = {name: scores[sparsities.index(0.9)] for name, scores in found.items()}
    print(f"📊 wrong of 360 at sparsity 0.9: {at}; {wrong(readers[0])} with all weights")


readers = [trained(f"digits{seed}", lambda seed=seed: digits_cnn(seed), train_digits) for seed in range(3)]
analyze_sensitivity()

# %% [markdown]
r"""
Everything passes through the first layer's 288 numbers. The largest weight has most to spare.

A control: the same masks on *fresh* weights, in as many steps, drawn for the fan-in that is left (divided by √d at density d) or not. **Predict**
for 0.99: how many are wrong, pruned at once, pruned while training, from either start? (Slow.)
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_control(sparsity):
    """Wrong of 360, three seeds: pruned at once, while training; fresh weights with the latter's masks."""
    names, counts = ("pruned at once", "while training", "fresh, fair", "fresh, undivided"), []
    for seed, reader in enumerate(readers):
        nets = [copy_of(reader), copy_of(reader), digits_cnn(7 + seed), digits_cnn(7 + seed)]
        weights = [list(weights_of(net).values()) for net in nets]
        smallest = magnitude_mask([weight.data for weight in weights[0]], sparsity)
        MaskedOptimizer(None, weights[0]).set_masks(smallest)
        masks = train_digits(nets[1], 180, sparsity=sparsity)
        for weight, mask in zip(weights[2], masks, strict=True):
            weight.data /= np.sqrt(mask.mean())
        for net in nets[2:]:
            train_digits(net, 720, masks=masks)
        counts.append([wrong(net) for net in nets])
    for name, row in zip(names, zip(*counts, strict=True), strict=True):
        print(f"📊 sparsity {sparsity}, {name:<16} {row} wrong of 360")


def copy_of(model):
    """A network of the same shape with the same weights."""
    fresh = digits_cnn(0)
    fresh.load_state_dict(model.state_dict())
    return fresh


for sparsity in (0.9, 0.99):
    analyze_control(sparsity)
print(f"📊 file: {bytes_on_disk(readers[0].state_dict()):,} bytes, whatever the sparsity")

# %% [markdown]
r"""
Training on makes pruning work; masks alone, from a fair start, do about as well. The undivided start would credit the old weights. The file loses no byte.

**Here you can stop.** A network works with a tenth of its weights.

## Part 2 of 3 · about 3 hours: fewer channels, lower ranks

### Channels that are really gone

Without a channel its layer has one row less, and *what reads it* shrinks too. For 3 channels of 2 × 2 pixels, `keep = {0: [0, 2]}`:

    Conv2d(1, 3)     weight (3, 1, 3, 3)      rows 0 and 2 stay, of the bias too
    ReLU, pool, Flatten                       12 numbers, 4 a channel
    Linear(12, 5)    weight (5, 12)           columns 0 1 2 3 and 8 9 10 11 stay

A masked channel stays 0 behind ReLU and pooling: both networks compute the same.

**Write `remove_channels(model, keep)`**: a new Sequential in which Conv2d and Linear have the outputs in `keep`, {place: ascending list} (all of them at other places), and the
inputs that are left. Begin with `check_keep(model, keep)`, which refuses other layers and keeping all. `rebuilt` makes a layer of arrays that it copies; of the others take a `copy.copy`. The model stays. A bias may be None.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-rebuilt", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
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

# %% nbgrader={"grade": false, "grade_id": "remove_channels", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Walk through the layers with two things in hand: which outputs of the last layer with weights are left, and how many it had.", "How many inputs of a Linear belong to one channel, if you know its inputs and the channels before? Between two Linears that number is 1.", "For every channel that is left, its first column and the ones after it: an outer sum of two ranges, laid flat."], "minutes": 60, "objective": "channels"}
#| export
def remove_channels(model, keep):
    """A smaller Sequential: layers keep the outputs in `keep`, and what follows the inputs that are left.

    model: a Sequential of Conv2d, ReLU, pooling, Flatten and Linear. keep: {place: ascending list of
    outputs}. It computes what `model` does with the other outputs at 0. Raises what `check_keep` raises.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-remove_channels-linear", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_remove_channels():
    model = Sequential(Linear(2, 3), ReLU(), Linear(3, 2, bias=False))
    model[0].weight.data[...], model[0].bias.data[...] = [[1, 2], [3, 4], [5, 6]], [7, 8, 9]
    model[2].weight.data[...] = [[10, 20, 30], [40, 50, 60]]
    small = remove_channels(model, {0: [0, 2]})
    expect(small[0].weight, [[1, 2], [5, 6]], "rows 0 and 2 of the first weight", dtype=np.float32)
    expect(small[0].bias, [7, 9], "its bias")
    expect(small[2].weight, [[10, 30], [40, 60]], "columns 0 and 2 of the second weight")
    expect(small[2].bias, None, "no bias, as before")
    expect([small[0].out_features, small[2].in_features, len(small)], [2, 2, 3], "sizes, and layers")
    expect(small(Tensor([1.0, 1.0])), [700, 1600], "10·10 + 30·20 and 40·10 + 60·20")
    expect(remove_channels(model, {0: [1]})(Tensor([1.0, 1.0])), [300, 750], "one output of three")
    expect(model[0].weight, [[1, 2], [3, 4], [5, 6]], "the model stays")
    small[2].weight.data[...] = 0
    expect(model[2].weight, [[10, 20, 30], [40, 50, 60]], "nor does it share arrays with the small one")
    print("🔬 remove_channels, Linear: passed")

test_unit_remove_channels()

# %% nbgrader={"grade": false, "grade_id": "provided-mask_channels", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
def mask_channels(model, keep):
    """Set weights and biases of all outputs that are not in `keep` to 0, in place; returns the model."""
    for place, kept in keep.items():
        gone = np.setdiff1d(np.arange(len(model[place].weight.data)), kept)
        for parameter in (model[place].weight, model[place].bias):
            if parameter is not None:
                parameter.data[gone] = 0
    return model


def small_cnn(bias=True):
    """Two convolutions with other settings and two Linears: images (N, 1, 8, 8), three classes."""
    manual_seed(3)
    eyes = Conv2d(1, 4, 3, padding=1, bias=bias), ReLU(), MaxPool2d(2), Conv2d(4, 6, 2, 2, bias=bias), ReLU()
    return Sequential(*eyes, Flatten(), Linear(24, 5, bias=bias), ReLU(), Linear(5, 3, bias=bias))

# %% nbgrader={"grade": true, "grade_id": "test-remove_channels-conv", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_remove_channels_conv():
    x = Tensor(np.cos(np.arange(128.0)).reshape(2, 1, 8, 8))
    choices = {0: [1, 3], 3: [0, 2, 5], 6: [0, 1, 4]}
    wanted = {0: ((2, 1, 3, 3), (6, 2, 2, 2), (5, 24)), 3: ((4, 1, 3, 3), (3, 4, 2, 2), (5, 12))}
    for place, shapes in wanted.items():
        model, keep = small_cnn(), {place: choices[place]}
        small = remove_channels(model, keep)
        expect(tuple(small[i].weight.shape for i in (0, 3, 6)), shapes, f"keep {keep}: weights")
        expect(small(x), mask_channels(model, keep)(x), f"keep {keep}: as the masked network", atol=1e-6)
    for bias in (True, False):
        model = small_cnn(bias)
        model[0].weight.data[0] += 1  # a channel that is missed
        small = remove_channels(model, choices)
        expect(small[6].weight.shape, (3, 12), f"keep {choices}: the first Linear")
        expect(small(x), mask_channels(model, choices)(x), f"keep {choices}, bias {bias}", atol=1e-6)
    expect([small[3].stride, small[0].padding, small[0].out_channels], [(2, 2), (1, 1), 2], "settings")
    small.eval()
    expect([model[2].training, model[5].training], [True, True], "the model's mode after small.eval()")
    print("🔬 remove_channels, as the masked network: passed")

test_unit_remove_channels_conv()

# %% nbgrader={"grade": true, "grade_id": "test-remove_channels-errors", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_remove_channels_errors():
    for keep, facts in [({8: [0]}, [8, 6]), ({0: []}, [0, 3]), ({0: [2, 1]}, [2, 1]), ({0: [4]}, 4)]:
        expect_error(ValueError, facts, remove_channels, small_cnn(), keep)
    for keep in ({}, {0: [0, 1, 2, 3]}):
        expect_error(ValueError, "nothing", remove_channels, small_cnn(), keep)
    model = Sequential(Linear(2, 3), small_cnn(), Linear(3, 2))
    expect_error(TypeError, [1, "Sequential"], remove_channels, model, {0: [1]})
    double = Sequential(Linear(2, 3, dtype=np.float64), Linear(3, 2, dtype=np.float64))
    small = remove_channels(double, {0: [1]})
    expect([one.dtype for one in small.parameters()], [np.dtype(float)] * 4, "float64")
    expect(small[1].bias, double[1].bias, "the bias of the last layer stays")
    print("🔬 remove_channels, what is refused, and dtypes: passed")

test_unit_remove_channels_errors()

# %% nbgrader={"grade": true, "grade_id": "test-remove_channels-hidden", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# Withheld: images that are not square, averages, convolutions in a row, and all layers at once.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(1604)
for shape, pool, inputs in [((2, 2, 6, 10), AvgPool2d(2), 75), ((3, 2, 4, 6), MaxPool2d((1, 2)), 60)]:
    for keep in ({0: [2, 3]}, {1: [0, 4]}, {0: [0, 1], 1: [1, 2, 3], 5: [6], 6: [1, 2, 3]}):
        manual_seed(5)
        eyes = Conv2d(2, 4, 3, padding=1), Conv2d(4, 5, 1), ReLU(), pool, Flatten()
        model = Sequential(*eyes, Linear(inputs, 7), Linear(7, 4), ReLU(), Linear(4, 2))
        model[0].bias.data[...], model[1].bias.data[...] = draw.normal(size=4), draw.normal(size=5)
        x, small = Tensor(draw.normal(size=shape)), remove_channels(model, keep)
        expect(small(x), mask_channels(model, keep)(x), f"images {shape}, keep {keep}", atol=1e-5)
        numbers = sum(one.numel() for one in small.parameters())
        assert numbers < sum(one.numel() for one in model.parameters()), f"keep {keep}: nothing was removed"
### END HIDDEN TESTS

# %% [markdown]
r"""
Which channels? `strongest_channels` keeps those with the largest absolute sums of weights. **Predict**: with half of all channels and hidden units, by
what factor do bytes fall, and the time for 360 images?
"""

# %% nbgrader={"grade": false, "grade_id": "provided-strongest_channels", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def strongest_channels(model, counts):
    """{place: ascending list} of the outputs with the largest absolute sums of weights (Li and others, 2017).

    counts: {place: how many}.
    """
    keep = {}
    for place, count in counts.items():
        weight = np.abs(model[place].weight.data)
        keep[place] = sorted(np.argsort(-weight.reshape(len(weight), -1).sum(axis=1))[:count].tolist())
    return keep

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_channels():
    """Bytes and time of a network in which half of the channels are masked, and of one without them."""
    keep = strongest_channels(readers[0], {0: 16, 3: 32, 7: 64})
    small, masked = remove_channels(readers[0], keep), mask_channels(copy_of(readers[0]), keep)
    x = Tensor(images[1437:])
    with no_grad():
        apart = float(np.abs(masked(x).numpy() - small(x).numpy()).max())
        each = lambda: [measure(lambda one=one: one(x), repeats=1).median for one in (masked, small)]
        turns = [each() for _ in range(15)]
    ratio = compression_ratio(masked.state_dict(), small.state_dict())
    falls = float(np.median([before / after for before, after in turns]))
    print(f"📊 outputs apart by {apart:.1e}; bytes fall by {ratio:.2f}, time by {falls:.2f}")


analyze_channels()

# %% [markdown]
r"""
Half of the inputs and half of the outputs make a quarter of the weights, but names and headers stay. Time (both networks in turns) falls less: ReLU and
pooling are only halved, and small products use a processor less well.

### Find the fault

Half of the hidden units are removed, and then the small network is to be trained. Its loss does not move. **Which line is it?**
"""

# %%
manual_seed(0)
big = Sequential(Linear(8, 16), ReLU(), Linear(16, 4))
x, y = randn(32, 8), np.arange(32) % 4
optimizer = SGD(big.parameters(), lr=0.5)
small = remove_channels(big, {0: range(8)})
for step in range(31):
    loss, _ = training_step(small, CrossEntropyLoss(), optimizer, x, y)
    if step % 10 == 0:
        print(f"step {step}: loss {loss:.4f}")

# %% [markdown]
r"""
<details><summary>Answer</summary>

`SGD(big.parameters(), …)`. The small network has Parameters of its own; the optimizer steps through those of the large one, which get no gradients. Make it
after the change, from `small.parameters()`. (Module 07's `Trainer` would have refused it.)

</details>

### Two thin matrices

Any weight is a sum of matrices of rank 1, U · diag(σ) · Vᵀ, with the singular values σ in descending order. The first r make the best matrix of rank r, and the squared
error is what was left out, σ²ᵣ₊₁ + … (Eckart and Young, 1936). The share of Σσ² that stays is the *energy*:

    σ = 4, 2, 1      σ² = 16, 4, 1 of 21      energy 0.76, 0.95, 1      0.9 needs rank 2

**Write `rank_for(weight, energy)`**: the smallest rank, at least 1, whose energy is at least `energy`, as an `int`. weight: an array of two axes, taken in float64. An energy outside
of 0…1, or nan, is a `ValueError` that names it.
"""

# %% nbgrader={"grade": false, "grade_id": "rank_for", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The singular values come sorted; NumPy can compute them alone, without the two matrices.", "Running sums of squares, compared with a share of the last one: how many of them are still too small?"], "minutes": 15, "objective": "ranks"}
#| export
def rank_for(weight, energy):
    """The smallest rank, at least 1, that keeps this share of the sum of squared singular values of `weight`.

    Raises ValueError for an energy outside of 0…1.
    """
    ### BEGIN SOLUTION
    if not 0 <= energy <= 1:
        raise ValueError(f"rank_for: an energy lies from 0 to 1, not at {energy}")
    kept = np.cumsum(np.linalg.svd(np.asarray(weight, dtype=np.float64), compute_uv=False) ** 2)
    return int((kept < energy * kept[-1]).sum()) + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rank_for", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_rank_for():
    weight = np.array([[0, 4.0, 0], [1, 0, 0], [0, 0, -2], [0, 0, 0]], np.float32)
    for energy, rank in [(0.75, 1), (0.9, 2), (16 / 21 + 1e-9, 2), (0.96, 3), (1, 3), (0, 1)]:
        expect(rank_for(weight, energy), rank, f"singular values 4, 2, 1: energy {energy}")
    expect(rank_for(weight.T, 0.9), 2, "the same, lying")
    expect(type(rank_for(weight, 0.9)), int, "its type")
    expect(rank_for(np.outer([1.0, 2], [3, 4, 5]), 0.9999), 1, "a product of two vectors")
    for energy in (-0.1, 1.1, math.nan):
        expect_error(ValueError, str(energy), rank_for, weight, energy)
    print("🔬 rank_for: passed")

test_unit_rank_for()

# %% nbgrader={"grade": true, "grade_id": "test-rank_for-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other singular values.
### BEGIN HIDDEN TESTS
turned = np.linalg.qr(np.random.default_rng(1605).normal(size=(6, 4)))[0]
for values, energy, rank in [([3, 3, 1, 1], 0.89, 2), ([3, 3, 1, 1], 0.91, 3), ([5, 1, 1, 1], 0.892, 1)]:
    expect(rank_for(turned * values, energy), rank, f"singular values {values}: energy {energy}")
### END HIDDEN TESTS

# %% [markdown]
r"""
Two factors of rank r hold r · (in + out) numbers in place of in · out: `Linear(in, r)` without a bias, then `Linear(r, out)` with the old one. For 256
inputs and 128 outputs that is less up to r = 85. Above, nothing is saved, and `check_rank` refuses it.

**Write `factorize(linear, rank)`**: a Sequential of these two, in the dtype of `linear`; the product of their weights is the best approximation of that rank. Begin
with `check_rank`, which wants your function's name first. `linear` stays, also when the two are trained; its bias may be None.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-check_rank", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def check_rank(what, linear, rank):
    """Raise ValueError where a Linear has no such rank, or where two factors hold no fewer numbers."""
    outputs, inputs = linear.weight.shape
    if not 1 <= rank <= min(inputs, outputs):
        raise ValueError(f"{what}: a rank of {linear} lies from 1 to {min(inputs, outputs)}, not at {rank}")
    if rank * (inputs + outputs) >= inputs * outputs:
        numbers = f"{rank * (inputs + outputs):,} numbers are no fewer than {inputs * outputs:,}"
        raise ValueError(f"{what}: at rank {rank}, {numbers}")

# %% nbgrader={"grade": false, "grade_id": "factorize", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the three parts of the decomposition belongs to the layer that sees the input, and which axis of each counts ranks?", "The singular values have to go into one of the two factors, or their roots into both.", "The bias is added once, at the end; the first layer has none."], "minutes": 30, "objective": "ranks"}
#| export
def factorize(linear, rank):
    """Two Linears, in → rank → out, whose product is the best approximation of `linear` (Eckart and Young,
    1936).

    Raises ValueError for a rank that does not exist or saves nothing.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-factorize", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_factorize():
    linear = Linear(4, 4, dtype=np.float64)
    linear.weight.data[...] = [[0, 4, 0, 0], [1, 0, 0, 0], [0, 0, -3, 0], [0, 0, 0, 0.5]]
    linear.bias.data[...] = [1, 2, 3, 4]
    thin = factorize(linear, 1)
    expect([thin[0].weight.shape, thin[1].weight.shape], [(1, 4), (4, 1)], "the shapes at rank 1")
    product = thin[1].weight.numpy() @ thin[0].weight.numpy()
    expect(product, [[0, 4, 0, 0]] + [[0] * 4] * 3, "rank 1: only the largest", atol=1e-12, dtype=np.float64)
    expect([thin[0].bias, thin[1].bias.tolist()], [None, [1, 2, 3, 4]], "the bias, once")
    expect(thin(Tensor([1.0, 2, 3, 4])), [9, 2, 3, 4], "an output", atol=1e-6)
    for one in thin.parameters():
        one.data[...] = 9
    expect(linear.weight.numpy()[1:3, :3], [[1, 0, 0], [0, 0, -3]], "the layer stays, its weight")
    expect(linear.bias, [1, 2, 3, 4], "and its bias, when the two factors change")
    expect([one.dtype for one in thin.parameters()], [np.dtype(np.float64)] * 3, "the dtypes")
    narrow = factorize(Linear(9, 3, bias=False), 2)
    expect([one.weight.shape for one in narrow], [(2, 9), (3, 2)], "9 inputs, 3 outputs, rank 2")
    expect([narrow[1].bias, narrow[1].weight.dtype], [None, np.dtype(np.float32)], "no bias, float32")
    for rank, facts in [(0, [0, 3]), (4, [4, 3]), (3, [3, 36, 27])]:
        expect_error(ValueError, facts, factorize, Linear(9, 3), rank)
    print("🔬 factorize: passed")

test_unit_factorize()

# %% nbgrader={"grade": true, "grade_id": "test-factorize-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn weights, whose error is what was left out.
### BEGIN HIDDEN TESTS
for inputs, outputs in [(12, 7), (7, 12)]:
    linear = Linear(inputs, outputs, dtype=np.float64)
    linear.weight.data[...] = np.random.default_rng(1606).normal(size=(outputs, inputs))
    values = np.linalg.svd(linear.weight.numpy(), compute_uv=False)
    for rank in (1, 4):
        thin = factorize(linear, rank)
        error = linear.weight.numpy() - thin[1].weight.numpy() @ thin[0].weight.numpy()
        left = (values[rank:] ** 2).sum()
        expect((error**2).sum(), left, f"{inputs} to {outputs} at rank {rank}: squared error", rtol=1e-9)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: which rank keeps 0.9 of the energy of the trained 256 × 128 weight, and which before its training?
"""

# %% tags=["measure"]
for name, model in [("before training", digits_cnn(0)), ("trained", readers[0])]:
    weight = model[7].weight.numpy()
    ranks = [f"{energy} in rank {rank_for(weight, energy)}" for energy in (0.5, 0.9, 0.99)]
    print(f"📊 {name}: {', '.join(ranks)}")

# %% [markdown]
r"""
Random numbers spread their energy over nearly all ranks. Training puts a few directions in front; half of the energy may be in a handful of ranks, while the random rest is still below them.

**Here you can stop.** A network is smaller in the file and faster, and you can say by how much.

## Part 3 of 3 · about 3 hours: pupils, and all of it

### An adapter of low rank

Two thin matrices can also be *added*. A large network is frozen, and beside a weight W of it a small difference B·A is trained (LoRA; Hu and others, 2021):

    y = W x + bias + B (A x)         W (out, in) frozen        A (rank, in), B (out, rank) trained

B starts at 0, so that nothing changes at first. A must not: with both at 0 neither would ever get a gradient.

`Parallel` adds what its layers make of one input. **Write `low_rank_adapter(linear, rank)`**: freeze the parameters of `linear` and return `Parallel(linear, Sequential(A, B))`, with `linear`
itself and two Linears without biases in its dtype. A starts as every Linear does. Begin with `check_rank`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Parallel", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Parallel(Sequential):
    """Layers side by side: the sum of what each makes of the same input."""

    def forward(self, x):
        first, *others = [layer(x) for layer in self]
        for other in others:
            first = first + other
        return first

# %% nbgrader={"grade": false, "grade_id": "low_rank_adapter", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["A module has a method that freezes all its parameters; module 03's function sets a Tensor to 0 in place.", "Which Linear reads the input, and what are its inputs and outputs? Which one ends where the old layer ends?"], "minutes": 20, "objective": "ranks"}
#| export
def low_rank_adapter(linear, rank):
    """`linear`, frozen, plus two Linears, in → rank → out, the second 0 at first (Hu and others, 2021).

    Raises ValueError for a rank that does not exist or trains no fewer numbers.
    """
    ### BEGIN SOLUTION
    check_rank("low_rank_adapter", linear, rank)
    linear.requires_grad_(False)
    dtype, (outputs, inputs) = linear.weight.dtype, linear.weight.shape
    down, up = Linear(inputs, rank, bias=False, dtype=dtype), Linear(rank, outputs, bias=False, dtype=dtype)
    zeros_(up.weight)
    return Parallel(linear, Sequential(down, up))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-low_rank_adapter", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_low_rank_adapter():
    manual_seed(1)
    linear, x = Linear(6, 8), randn(4, 6)
    before, target = linear(x), randn(4, 8)
    adapted = low_rank_adapter(linear, 2)
    expect(adapted(x), before, "nothing has changed at first")
    expect(adapted[0] is linear, True, "linear itself stands beside the adapter")
    names = [name for name, one in adapted.named_parameters() if one.requires_grad]
    expect(names, ["1.0.weight", "1.1.weight"], "what is trained")
    expect([one.weight.shape for one in adapted[1]], [(2, 6), (8, 2)], "the shapes of A and B")
    optimizer, losses = SGD(adapted.parameters(), lr=0.5), []
    for step in range(60):
        losses.append(training_step(adapted, MSELoss(), optimizer, x, target)[0])
        if step == 0:
            expect(adapted[1][0].weight.grad, np.zeros((2, 6)), "the first gradient of A, behind B = 0")
    assert losses[-1] < 0.7 * losses[0], f"60 steps: the loss fell from {losses[0]} to {losses[-1]} only"
    expect(adapted[0](x), before, "the frozen layer stays")
    for dtype in (np.float32, np.float64):
        pair = low_rank_adapter(Linear(3, 9, dtype=dtype), 1)[1]
        expect([one.weight.dtype for one in pair], [np.dtype(dtype)] * 2, "the dtypes of A and B")
    for rank, facts in [(0, [0, 3]), (4, [4, 3]), (3, [3, 36, 27])]:
        expect_error(ValueError, facts, low_rank_adapter, Linear(9, 3, bias=False), rank)
    print("🔬 low_rank_adapter: passed")

test_unit_low_rank_adapter()

# %% nbgrader={"grade": true, "grade_id": "test-low_rank_adapter-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: how A starts, and a difference that is put in by hand.
### BEGIN HIDDEN TESTS
manual_seed(1607)
linear = Linear(16, 10)
adapted = low_rank_adapter(linear, 3)
start = np.abs(adapted[1][0].weight.numpy())
assert 0.15 < start.max() <= 0.25, f"A starts as Linear(16, 3), over ±1/4; its largest is {start.max()}"
adapted[1][1].weight.data[...] = np.arange(30.0).reshape(10, 3) / 10
whole = linear.weight.numpy() + adapted[1][1].weight.numpy() @ adapted[1][0].weight.numpy()
expect(adapted(Tensor(np.eye(16))), whole.T + linear.bias.numpy(), "W + B A", atol=1e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
Module 13's GPT knows Shakespeare. The other text is Python's own reference, without characters that Shakespeare lacks. Each block's `up` and `down` get adapters of rank 4. **Predict**: which part of the model's file are
the adapters, and which part of the way do they go that training everything goes in as many steps? (Slow: a line as each is done.)
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
from pydoc_data.topics import topics

from tinytorch.core.tokenization import CharTokenizer
from tinytorch.core.training import evaluate
from tinytorch.core.transformers import GPT, initialize, next_token_loss, train_language_model
from tinytorch.datasets import load_shakespeare


def small_gpt():
    return initialize(GPT(65, 64, 4, 4, 128), 4, np.random.default_rng(0))


def train_gpt(model, steps=600):
    text = load_shakespeare()
    ids = np.array(CharTokenizer(text).encode(text))[: len(text) * 9 // 10]
    train_language_model(model, ids, steps, generator=np.random.default_rng(0))


def analyze_adapter(steps=60, rank=4):
    """Held-out loss on another text and bytes of a file: as it was, with adapters, with all trained."""
    characters = CharTokenizer(load_shakespeare())
    known, reference = set(load_shakespeare()), "".join(topics.values())
    ids = np.array(characters.encode("".join(one for one in reference if one in known)))
    seen, unseen = ids[:-8320], ids[-8320:].reshape(128, 65)
    pairs = [(unseen[i : i + 32, :-1], unseen[i : i + 32, 1:]) for i in range(0, 128, 32)]
    for name in ("as it was", "adapters", "all parameters"):
        model = trained("gpt", small_gpt, train_gpt)
        if name == "adapters":
            model.requires_grad_(False)
            for block in model.blocks:
                block.up, block.down = low_rank_adapter(block.up, rank), low_rank_adapter(block.down, rank)
        if name != "as it was":
            rate = 5e-3 if name == "adapters" else 1e-3
            train_language_model(model, seen, steps, lr=rate, warmup=10, generator=np.random.default_rng(1))
        state = {path: one.data for path, one in model.named_parameters() if one.requires_grad}
        loss = evaluate(model, next_token_loss, pairs)["loss"]
        many = sum(one.size for one in state.values())
        print(f"📊 {name:<15} loss {loss:.2f}, {many:>7,} numbers, {bytes_on_disk(state):>9,} bytes")


analyze_adapter()

# %% [markdown]
r"""
About a fortieth of the file, and most of the way. That a change of style *is* of low rank does not follow: one rank was tried, at a rate of its own. Without its adapters the model still serves Shakespeare.

### A teacher

A label says "4". A trained teacher says "4, a little like 9, not at all like 1". Soften both with a temperature T and compare:

    p = softmax(teacher / T)     q = softmax(student / T)      KL = Σ p · (log p − log q), mean over rows
    loss = α · T² · KL + (1 − α) · cross-entropy of the student with the targets

The gradient of KL falls about as 1/T², so T² keeps both terms in balance (Hinton and others, 2015). For teacher [ln 9, 0], student [0, 0], target 0, T = 2, α = ½:

    p = [3/4, 1/4]    q = [1/2, 1/2]    KL = 0.1308      ½ · 4 · 0.1308 + ½ · ln 2 = 0.6082

**Write `distillation_loss(student, teacher, targets, temperature, alpha)`** for Tensors of logits (N, C) and N targets: a Tensor of shape (). No gradient reaches the teacher (`detach` keeps its dtype), and large
logits do not overflow. A temperature not above 0, an α outside of 0…1, nan for either, and logits of different shapes are a `ValueError` with what is wrong.
"""

# %% nbgrader={"grade": false, "grade_id": "distillation_loss", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Module 04 has a stable logarithm of softmax, and the cross-entropy with targets; both are Tensors with gradients.", "Cut the teacher off from its graph first. Then its logarithm of softmax gives both p and log p.", "The sum goes over classes, the mean over rows; a mean over all entries would be too small by the number of classes."], "minutes": 30, "objective": "teacher"}
#| export
def distillation_loss(student, teacher, targets, temperature, alpha):
    """alpha · T² · KL(teacher ‖ student), both softened by T, plus (1 - alpha) · cross-entropy: a Tensor.

    student, teacher: logits (N, C). targets: (N,) class numbers. The teacher gets no gradient. Raises
    ValueError for a temperature, an alpha or shapes that make no sense (Hinton and others, 2015).
    """
    ### BEGIN SOLUTION
    if not temperature > 0 or not 0 <= alpha <= 1:
        raise ValueError(f"distillation_loss: temperature {temperature} or alpha {alpha} makes no sense")
    if student.shape != teacher.shape:
        raise ValueError(f"distillation_loss: student {student.shape} and teacher {teacher.shape} differ")
    wanted = log_softmax(teacher.detach() / temperature)
    apart = wanted.exp() * (wanted - log_softmax(student / temperature))
    soft = apart.sum(axis=-1).mean() * temperature**2
    return soft * alpha + cross_entropy(student, targets) * (1 - alpha)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-distillation_loss-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_distillation_loss():
    teacher = Tensor([[math.log(9), 0.0]], requires_grad=True)
    cases = (2, 0.5, 0.608201, -0.5), (2, 1, 0.523249, -0.5), (1, 0, 0.693147, -0.5), (1, 1, 0.368064, -0.4)
    for temperature, alpha, loss, slope in cases:
        student, case = Tensor([[0.0, 0.0]], requires_grad=True), f"T {temperature}, α {alpha}"
        found = distillation_loss(student, teacher, np.array([0]), temperature, alpha)
        expect(found, loss, f"{case}: the loss", rtol=1e-5)
        found.backward()
        expect(student.grad, [[slope, -slope]], f"{case}: the gradient", rtol=1e-5)
        expect(teacher.grad, None, f"{case}: the teacher's gradient")
    rows = Tensor([[1.0, 2, 3], [0, 5, 0]])
    expect(distillation_loss(rows, rows, np.array([0, 1]), 3.0, 1.0), 0, "both agree", atol=1e-6)
    with no_warnings("logits of 900 and -900"):
        found = distillation_loss(Tensor([[900.0, -900]]), Tensor([[-900.0, 900]]), np.array([0]), 1.0, 1.0)
        expect(found, 1800, "logits of 900 and -900", rtol=1e-6)
    print("🔬 distillation_loss: passed")

test_unit_distillation_loss()

# %% nbgrader={"grade": true, "grade_id": "test-distillation_loss-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_distillation_loss_errors():
    row, target = Tensor([[1.0, 2, 3]]), np.array([2])
    for temperature, alpha in [(0, 0.5), (-2.0, 0.5), (1, 1.5), (1, -0.25), (math.nan, 0.5), (1, math.nan)]:
        fact = str(temperature if 0 <= alpha <= 1 else alpha)
        expect_error(ValueError, fact, distillation_loss, row, row, target, temperature, alpha)
    rows = Tensor([[1.0, 2, 3]] * 2)
    expect_error(ValueError, [(1, 3), (2, 3)], distillation_loss, row, rows, target, 1.0, 0.5)
    # PyTorch 2.13: kl_div(log_softmax(s/3), log_softmax(t/3), reduction="batchmean", log_target=True)
    logits = np.cos(np.arange(30.0)).reshape(2, 5, 3) * 4
    student, teacher = (Tensor(one, requires_grad=True, dtype=np.float64) for one in logits)
    found = distillation_loss(student, teacher, np.array([2, 0, 1, 1, 0]), 3.0, 0.7)
    expect(found, 3.125007353650828, "five rows of three classes", rtol=1e-9, dtype=np.float64)
    found.backward()
    first = [0.185422916, 0.054850155, -0.240273071]
    expect(np.asarray(student.grad)[0], first, "the first row's gradient", rtol=1e-7)
    print("🔬 distillation_loss, errors, and PyTorch's numbers: passed")

test_unit_distillation_loss_errors()

# %% nbgrader={"grade": true, "grade_id": "test-distillation_loss-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: the gradient against finite differences, in float64, at several temperatures.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(1608)
logits, taught, targets = draw.normal(size=(3, 4)), draw.normal(size=(3, 4)) * 3, np.array([1, 3, 0])
double = lambda array: Tensor(array, requires_grad=True, dtype=np.float64)
for temperature, alpha in [(0.5, 0.9), (5.0, 0.3)]:
    student = double(logits)
    distillation_loss(student, double(taught), targets, temperature, alpha).backward()
    for place in [(0, 0), (1, 3), (2, 1)]:
        moved = np.zeros((3, 4))
        moved[place] = 1e-5
        ends = [distillation_loss(double(one), double(taught), targets, temperature, alpha).item()
                for one in (logits + moved, logits - moved)]
        slope = (ends[0] - ends[1]) / 2e-5
        expect(np.asarray(student.grad)[place], slope, f"T {temperature}: the slope at {place}", atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
r"""
Pupils of 4 and 8 channels learn from labels, with the large reader and without. **Predict**: how many images of 360 does it save them, when they see 144 digits, and all?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def pupil(seed):
    """4 and 8 channels, no hidden layer: 666 parameters."""
    manual_seed(seed)
    eyes = Conv2d(1, 4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 8, 3, padding=1), ReLU(), MaxPool2d(2)
    return Sequential(*eyes, Flatten(), Linear(32, 10))


def analyze_distillation(temperature=4.0, alpha=0.9, steps=360):
    """Wrong digits of 360, for pupils with a teacher and without, who see few images or all: three each."""
    with no_grad():
        said = readers[0](Tensor(images[:1437])).numpy()
    taught = lambda out, i: distillation_loss(out, Tensor(said[i]), labels[i], temperature, alpha)
    for many in (144, 1437):
        counts = {"labels alone": [], "with a teacher": []}
        for seed in range(3):
            for name, loss in zip(counts, (None, taught), strict=True):
                train_digits(small := pupil(seed), steps, loss=loss, many=many)
                counts[name].append(wrong(small))
        saved = np.mean(counts["labels alone"]) - np.mean(counts["with a teacher"])
        print(f"📊 {many} images seen, wrong of 360: {counts}")
        does = "saves" if saved > 0 else "costs"
        print(f"   the teacher {does} its pupils {abs(saved):.1f} images on average")


analyze_distillation()

# %% [markdown]
r"""
Where the three pairs do not all point one way, no difference was seen.

## All of it

On one small network:
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    model, x = small_cnn(), Tensor(np.cos(np.arange(256.0)).reshape(4, 1, 8, 8))
    targets, start = np.array([0, 1, 2, 1]), model.state_dict()
    weights = list(weights_of(model).values())
    held = MaskedOptimizer(SGD(model.parameters(), lr=0.05, momentum=0.9), weights)
    for step in range(6):
        held.set_masks(magnitude_mask([weight.data for weight in weights], cubic_sparsity(step, 4, 0.5)))
        training_step(model, CrossEntropyLoss(), held, x, targets)
    zeros = sum(int(np.count_nonzero(weight.numpy() == 0)) for weight in weights)
    expect(zeros, 134, "half of 267 weights are 0 after six steps")
    scores = sensitivity(model, [1.0], lambda net: net(x).numpy().tolist())
    expect(scores["8.weight"], [[model[8].bias.tolist()] * 4], "the last layer without its weight", atol=1e-6)
    keep = {0: [0, 2, 3], 3: [1, 2, 4, 5]}
    small = remove_channels(model, keep)
    expect(small(x), mask_channels(model, keep)(x), "removed as masked", atol=1e-6)
    small[6] = factorize(small[6], int(rank_for(np.asarray(small[6].weight), 0.5)))
    assert compression_ratio(start, small.state_dict()) > 1, "the file is smaller"
    small[8] = low_rank_adapter(small[8], 1)
    distillation_loss(small(x), model(x), targets, 2.0, 0.5).backward()
    names = [name for name, one in small.named_parameters() if one.grad is not None]
    expect(names[-2:], ["8.1.0.weight", "8.1.1.weight"], "what learns in the last layer")
    print("🧪 module 16, masks, channels, ranks, an adapter and a teacher: passed")

test_module()

# %% [markdown]
r"""
## Measure: a fifteenth

Three readers are pruned to a fifth, lose channels, get their large Linear in two factors, and eight bits (weights and inputs of each layer). They train on in each step but the last. **Predict** for each: bytes, time, wrong images.
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def pruned(model):
    train_digits(model, 360, 0.03, sparsity=0.8)
    return model


def without_channels(model):
    model = remove_channels(model, strongest_channels(model, {0: 16, 3: 24, 7: 40}))
    train_digits(model, 360, 0.03)
    return model


def in_two_factors(model):
    model[7] = factorize(model[7], rank_for(model[7].weight.numpy(), 0.9))
    train_digits(model, 180, 0.01)
    return model


def in_eight_bits(model):
    return quantize_model(model, [Tensor(images[:256])])


STEPS = {"pruned": pruned, "fewer channels": without_channels, "two factors": in_two_factors}
STEPS |= {"eight bits": in_eight_bits}


def state_of(model):
    """Bytes on disk, wrong images of 360 and milliseconds for all of them."""
    x = Tensor(images[1437:])
    with no_grad():
        return bytes_on_disk(model.state_dict()), wrong(model), measure(lambda: model(x)).median * 1e3


def analyze_pipeline():
    """A table of bytes, wrong images and milliseconds after each step: means over three seeds."""
    rows = {name: [] for name in ("as trained", *STEPS)}
    for reader in readers:
        model = copy_of(reader)
        rows["as trained"].append(state_of(model))
        for name, step in STEPS.items():
            model = step(model)
            rows[name].append(state_of(model))
    first = np.mean(rows["as trained"], axis=0)
    print("📊                   bytes   times   wrong of 360              ms")
    for name, row in rows.items():
        size, count, ms = np.mean(row, axis=0)
        each = ", ".join(str(one[1]) for one in row)
        print(f"   {name:<14} {size:>9,.0f} {first[0] / size:>7.1f}   {count:>4.1f} ({each:<8}) {ms:>12.2f}")
    more, kind = abs(count - first[1]), "more" if count > first[1] else "fewer"
    print(f"   {first[0] / size:.1f} times smaller, {more:.1f} images {kind} wrong on average")


analyze_pipeline()

# %% [markdown]
r"""
Pruning alone saves nothing. Channels save bytes and, undisturbed, time; factors and eight bits bytes. Ratios multiply, until headers dominate. The recipe was chosen on these images.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-steps", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) Which step saved most bytes, as a factor, and most time? Why does pruning save neither, and which mask would? (b) How many were wrong at sparsity 0.99, in the four
rows of your control? What would you say without the fair start? (c) How sure is the last line of your table?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-steps", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) fewer channels, bytes by a factor of 5 to 7, and time as well (the student's numbers); a zero takes four bytes and is multiplied like any number, and a mask saves where it empties
whole rows or channels, 1 point. (b) The numbers of the four rows; from the undivided start alone one would credit the old weights with what only the scale does, and from no fresh start at all one could say nothing of them, 1 point. (c) Less than the spread between seeds, which is several
images: no difference was seen, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## A stretch: zeros that are not stored

*Compressed rows* (CSR) hold the other values row by row, the column of each, and where each row starts:

    [[0, 5, 0], [0, 0, 0], [7, 0, 8]]      values [5, 7, 8]    columns [1, 0, 2]    starts [0, 1, 1, 3]

**Write two methods of `CompressedRows`**: `__init__(dense)` for an array of two axes (else a `ValueError` with its shape) sets `shape`, `values` in its dtype, `columns` and `starts` in int32. `matmul(x)`
with an array (columns, n), from what is stored, gives (rows, n) in the dtype of values, also for empty rows and for none. Inner sizes that differ are a `ValueError` with both shapes.
"""

# %% nbgrader={"grade": false, "grade_id": "CompressedRows", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["NumPy gives the rows and columns of everything that is not 0, in the order of rows; counting per row and a running sum give the starts.", "Every value meets the row of x that its column names. What remains is to add up neighbours that belong to one row.", "Rows without values can be left out of the adding and filled with zeros."], "minutes": 60, "objective": "masks", "stretch": true}
#| export
class CompressedRows:
    """A matrix of which only what is not 0 is stored, row by row (CSR).

    dense: an array of two axes. Raises ValueError for another one.
    """

    def __init__(self, dense):
        ### BEGIN SOLUTION
        if dense.ndim != 2:
            raise ValueError(
                f"CompressedRows: an array of two axes is wanted, not one of shape {dense.shape}"
            )
        rows, columns = np.nonzero(dense)
        self.shape, self.values, self.columns = dense.shape, dense[rows, columns], columns.astype(np.int32)
        self.starts = np.searchsorted(rows, np.arange(len(dense) + 1)).astype(np.int32)
        ### END SOLUTION

    def matmul(self, x):
        """The product with an array (columns, n): (rows, n). Raises ValueError where the shapes do not
        fit."""
        ### BEGIN SOLUTION
        if len(x) != self.shape[1]:
            raise ValueError(f"CompressedRows: shapes {self.shape} and {x.shape} do not fit")
        out = np.zeros((self.shape[0], x.shape[1]), self.values.dtype)
        filled = np.flatnonzero(np.diff(self.starts))
        products = self.values[:, None] * x[self.columns]
        out[filled] = np.add.reduceat(products, self.starts[filled])
        return out
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-CompressedRows-build", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_compressed_rows():
    rows = CompressedRows(np.array([[0, 5, 0], [0, 0, 0], [7, 0, 8]], np.float32))
    expect(rows.shape, (3, 3), "the shape")
    expect(rows.values, [5, 7, 8], "the values", dtype=np.float32)
    expect(rows.columns, [1, 0, 2], "the columns", dtype=np.int32)
    expect(rows.starts, [0, 1, 1, 3], "the starts, and the end of the last row", dtype=np.int32)
    empty = CompressedRows(np.zeros((2, 5)))
    expect([empty.values.shape, empty.starts.tolist()], [(0,), [0, 0, 0]], "nothing but zeros")
    expect(CompressedRows(np.zeros((0, 5))).starts, [0], "no rows")
    expect_error(ValueError, (4,), CompressedRows, np.ones(4))
    print("🔬 CompressedRows: passed")

test_unit_compressed_rows()

# %% nbgrader={"grade": true, "grade_id": "test-CompressedRows-product", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_unit_compressed_product():
    x = np.array([[1.0, 2], [3, 4], [5, 6]])
    cases = [[0, 5, 0], [0, 0, 0], [7, 0, 8]], [[0, 0, 0], [0, 2, 0]], [[0, 2, 1], [0, 0, 0]], [[0, 0, 0]]
    for dense in cases:
        rows = CompressedRows(np.array(dense, np.float64))
        expect(rows.matmul(x), np.array(dense) @ x, f"{dense} times 3 rows of 2", dtype=np.float64)
    expect(CompressedRows(np.zeros((0, 3), np.float32)).matmul(x).shape, (0, 2), "no rows")
    expect(CompressedRows(np.eye(3)).matmul(x[:, :0]).shape, (3, 0), "no columns of x")
    expect_error(ValueError, [(2, 3), (2, 4)], CompressedRows(np.ones((2, 3))).matmul, np.ones((2, 4)))
    print("🔬 CompressedRows, products: passed")

test_unit_compressed_product()

# %% nbgrader={"grade": true, "grade_id": "test-CompressedRows-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn matrices of several densities, float32, and rows that are used as they are stored.
### BEGIN HIDDEN TESTS
draw = np.random.default_rng(1609)
for density in (0.02, 0.3, 1.0):
    dense = (draw.normal(size=(40, 30)) * (draw.random((40, 30)) < density)).astype(np.float32)
    x, rows = draw.normal(size=(30, 7)).astype(np.float32), CompressedRows(dense)
    expect(rows.matmul(x), dense @ x, f"density {density}", atol=1e-5, dtype=np.float32)
    expect(len(rows.values), int(np.count_nonzero(dense)), f"density {density}: the values")
rows = CompressedRows(np.eye(3))
rows.values = np.asarray(rows.values) * 2
expect(rows.matmul(np.eye(3)), 2 * np.eye(3), "after the stored values were doubled")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Predict**: below which density is such a product faster than NumPy's dense one?
"""

# %% tags=["measure"] jupyter={"source_hidden": true}
def analyze_density(size=512, batch=64):
    """Time and bytes of compressed rows over those of the dense matrix, at several densities."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(size, batch)).astype(np.float32)
    for density in (0.5, 0.1, 0.02, 0.005):
        dense = np.where(draw.random((size, size)) < density, 1.0, 0.0).astype(np.float32)
        rows = CompressedRows(dense)
        times = [measure(lambda left=left: left(x)).median for left in (rows.matmul, dense.__matmul__)]
        held = rows.values.nbytes + rows.columns.nbytes + rows.starts.nbytes
        bytes_left = held / dense.nbytes
        print(f"📊 density {density}: {bytes_left:.3f} of bytes, {times[0] / times[1]:.2f} of the time")


analyze_density()

# %% [markdown]
r"""
A column takes four bytes like a value, so bytes are saved below one half; time only at a percent or so, and only where rows are summed in one pass, as by `np.add.reduceat` (`np.add.at` takes
many times as long): each value fetches a row of x from anywhere, and a dense product streams.

## What comes next

You can make a network smaller and say what it costs. Is it *really* faster, and how sure is that? Module 19 answers with models from here. Before it, module 17 saves work instead of
numbers. Next: `tito module complete 16_compression`.
"""
