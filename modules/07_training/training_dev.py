# %% [markdown]
r"""
# 07 Training

The loop of module 05 trained a network in ten lines. Then reality arrives. The last batch of an epoch is smaller than the others.
The validation runs with dropout on, because somebody forgot to switch it off. After three hours somebody presses Ctrl-C, or the
power fails while the checkpoint is being written, and the run that was "resumed" follows another path than the one that was
interrupted.

You have a model, a loss and an optimizer. What is missing is the code that holds them together. You write six functions: a mean over
batches of different sizes, a table of mistakes, the training step, the evaluation, and the two halves of an exact resume. Around them
stands a class `Trainer` with callbacks, to be read. At the end a run that was cut in two gives the same bits as one that was not.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.training

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextlib
import copy
import math
import signal
import threading

import numpy as np

from tinytorch.checkpoints import load_checkpoint, save_checkpoint
from tinytorch.core.autograd import no_grad
from tinytorch.core.optimizers import clip_grad_norm_
from tinytorch.core.tensor import Random, Tensor, manual_seed
from tinytorch.progress import ProgressBar

# %%
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tinytorch.core.activations import ReLU, Tanh
from tinytorch.core.layers import Dropout, Linear, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MSELoss, accuracy
from tinytorch.core.optimizers import SGD, Adam, CosineAnnealingLR

# %% [markdown]
r"""
## Part 1 of 2 · about 3 hours: a mean of means

100 images in batches of 64 and 36. The loss of each batch is already a mean. The mean over all images is not the mean of the two:

    batch       loss    images
    1           0.5     64
    2           1.0     36          (0.5 + 1.0) / 2 = 0.75     but     (0.5 · 64 + 1.0 · 36) / 100 = 0.68

A `RunningMean` needs two numbers for that, however many batches come: the weighted sum so far, in `total`, and the sum of the weights, in `weight`.

**Write `RunningMean`**, in two places:

1. In `update(value, weight=1)`: take one batch's mean in, with the batch's size as its weight. The mean of a batch without rows is
   nan, and its weight is 0: it must not spoil the rest (0 · nan is nan). A batch *with* rows whose mean is nan must spoil it: a loss
   that has diverged is to be seen. A value may be a NumPy scalar or a Tensor of shape (); keep Python floats, so that a long sum is
   not rounded to float32 and JSON can hold it.
2. In `compute()`: the mean so far; without any weight it is `math.nan`.
"""

# %% nbgrader={"grade": false, "grade_id": "RunningMean", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What do you have to remember of all batches so far so that the mean can go on?", "A weighted sum and the sum of the weights. Turn each value into a Python float before it joins.", "A product with 0 does not make 0 of nan: so an update with weight 0 has to leave both numbers alone, and no other update may."], "minutes": 12, "objective": "means"}
#| export
class RunningMean:
    """The mean of values that arrive one after another, each with a weight, such as the size of its batch."""

    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        ### BEGIN SOLUTION
        if weight:
            self.total += float(value) * weight
            self.weight += weight
        ### END SOLUTION

    def compute(self):
        """The mean as a float; nan as long as nothing has come."""
        ### BEGIN SOLUTION
        return self.total / self.weight if self.weight else math.nan
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-RunningMean", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_running_mean():
    mean = RunningMean()
    expect(mean.compute(), math.nan, "the mean of nothing")
    mean.update(0.5, 64)
    expect(mean.compute(), 0.5, "one batch: its own mean")
    mean.update(1.0, 36)
    expect(mean.compute(), 0.68, "0.5 for 64 rows and 1.0 for 36", rtol=1e-12)
    mean.update(math.nan, 0)
    expect(mean.compute(), 0.68, "after a batch without rows, whose mean is nan", rtol=1e-12)
    mean.update(math.nan, 5)
    expect(mean.compute(), math.nan, "after a batch of 5 rows whose mean is nan")

    plain, single = RunningMean(), RunningMean()
    for value in (1.0, 2.0, 6.0):
        plain.update(value)
    expect(plain.compute(), 3, "1, 2 and 6 with the same weight")
    for value in (Tensor(0.1), np.float32(0.1)):
        single.update(value, 3)
    expect(single.compute(), 0.1, "0.1 twice, as a Tensor and as a NumPy scalar", rtol=1e-6)
    expect((type(single.compute()), type(single.total)), (float, float), "the types of mean and total")
    expect(RunningMean(6.0, 4).compute(), 1.5, "a mean that goes on from the total 6 and the weight 4")
    print("🔬 RunningMean: passed")

test_unit_running_mean()

# %% nbgrader={"grade": true, "grade_id": "test-RunningMean-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: many batches of other sizes, some of them empty.
### BEGIN HIDDEN TESTS
rows = np.cos(np.arange(1000.0)) ** 2
whole, start = RunningMean(), 0
for size in [1, 0, 7, 120, 0, 300, 1, 571]:
    part = rows[start : start + size]
    whole.update(part.mean() if size else math.nan, size)
    start += size
expect(whole.compute(), rows.mean(), "1,000 rows in pieces of other sizes", rtol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
How wrong does the plain mean get? Ten batches of 100 rows with a loss of 0.1, and a last batch with a single, hard row:
"""

# %%
losses, sizes = [0.1] * 10 + [4.0], [100] * 10 + [1]
weighted = RunningMean()
for value, size in zip(losses, sizes, strict=True):
    weighted.update(value, size)
print(f"mean of the batches' means {np.mean(losses):.3f}, mean over all rows {weighted.compute():.3f}")

# %% [markdown]
r"""
## Which class is taken for which

An accuracy of 90 % hides whether the mistakes are spread over all classes or whether one class is never recognised. The **confusion
matrix** counts: the entry in row i, column j is the number of inputs *of class i* that were *read as j*. Right answers stand on the
diagonal.

    logits          read as    target              read as   0  1  2
    [2, 0, 1]          0          0        class 0           [1, 0, 1]
    [0, 1, 3]          2          0              1           [0, 0, 0]
    [0, 1, 3]          2          2              2           [0, 0, 2]
    [1, 0, 9]          2          2

**Write `confusion_matrix(logits, targets)`**: for logits (N, C) and targets (N,), Tensors or arrays of any integer dtype, an int64
array (C, C), also where N is 0 or a class never occurs. Adding 1 at an *array* of places has a trap: `m[rows, columns] += 1` counts a
place that occurs twice only once. `np.add.at` counts every time. Raise a `ValueError` with both shapes where they do not fit (also for
a single row (C,) with a target ()), and an `IndexError` that names the first target that is no class (−1 would quietly count as the
last).
"""

# %% nbgrader={"grade": false, "grade_id": "confusion_matrix", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which row and which column of the table does one input belong to?", "Check shapes before you look at a length, and targets before you count. Both may be Tensors or arrays of any integer dtype.", "The place of the largest logit in each row is the column. Counting needs an operation that adds at a place as often as it occurs."], "minutes": 20, "objective": "means"}
#| export
def confusion_matrix(logits, targets):
    """How often class i (row) was read as class j (column): logits (N, C), targets (N,) → int64 array (C, C).

    Raises ValueError naming both shapes where they do not fit, IndexError for a target that is no class.
    """
    ### BEGIN SOLUTION
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {logits.shape} with {targets.shape}")
    classes = logits.shape[1]
    for target in targets[(targets < 0) | (targets >= classes)]:
        raise IndexError(f"target {target} is none of the {classes} classes")
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
    return matrix
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-confusion_matrix", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_confusion_matrix():
    logits = Tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [0.0, 1.0, 3.0], [1.0, 0.0, 9.0]])
    targets = Tensor([0, 0, 2, 2])
    table = confusion_matrix(logits, targets)
    got = np.asarray(table)
    expect(got, [[1, 0, 1], [0, 0, 0], [0, 0, 2]], "the four rows above", dtype=np.int64)
    expect(type(table), np.ndarray, "the class of the table")
    expect(got.trace() / got.sum(), 0.75, "the diagonal's share, which is the accuracy")
    got = confusion_matrix(np.zeros((300, 2)), np.ones(300, np.uint8))
    expect(got, [[0, 0], [300, 0]], "300 times class 1, read as 0, targets in uint8")
    many = np.eye(20)[[17, 18, 19]]
    got = confusion_matrix(many, np.array([17, 18, 19], np.uint8))
    expect(got, np.diag([0] * 17 + [1] * 3), "20 classes, targets in uint8")
    expect(confusion_matrix(np.zeros((0, 3)), np.zeros(0, np.int64)), np.zeros((3, 3)), "no rows")
    expect_error(ValueError, [(4, 3), (2,)], confusion_matrix, logits, targets[:2])
    expect_error(ValueError, [(3,), ()], confusion_matrix, logits[0], targets[0])
    expect_error(ValueError, [(4, 3, 2), (4,)], confusion_matrix, np.zeros((4, 3, 2)), targets)
    expect_error(IndexError, -1, confusion_matrix, logits, Tensor([0, 0, -1, 2]))
    expect_error(IndexError, 3, confusion_matrix, logits, Tensor([0, 0, 3, 2]))
    print("🔬 confusion_matrix: passed")


test_unit_confusion_matrix()

# %% nbgrader={"grade": true, "grade_id": "test-confusion_matrix-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: many rows against counting one by one.
### BEGIN HIDDEN TESTS
crowd, truth = np.sin(np.arange(2500.0) ** 2).reshape(500, 5), np.arange(500) ** 2 % 5
slow = [[0] * 5 for _ in range(5)]
for row, target in zip(crowd.tolist(), truth.tolist(), strict=True):
    slow[target][max(range(5), key=row.__getitem__)] += 1
expect(confusion_matrix(crowd, truth), slow, "500 rows and five classes")
### END HIDDEN TESTS

# %% [markdown]
r"""
Read along a row, the table answers "what becomes of class i" (the diagonal's share of a row is the *recall*); down a column, "how far can I trust the answer j" (*precision*):
"""

# %%
counts = np.array([[50, 0, 0], [2, 40, 8], [0, 20, 30]])
print(counts)
right = np.diag(counts)
print("accuracy", right.sum() / counts.sum())
print("recall", right / counts.sum(axis=1), "precision", np.round(right / counts.sum(axis=0), 2))

# %% [markdown]
r"""
## One step

A loss that is `nan` or `inf` never recovers: after one update with such a gradient every weight is `nan`, and the rest of the night is
wasted. So each step is checked *before* it touches a weight. `check_finite(model, loss)`, given, does nothing if the loss and all
gradients are finite, and otherwise raises a `FloatingPointError` that names the culprit.

A loader is anything that can be iterated again and again and yields pairs (inputs, targets). `batches(loader)`, given too, yields them
with the inputs as a Tensor, and says so if something else comes.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-checks", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def batches(loader):
    """The pairs (inputs as a Tensor, targets) of a loader. Raises TypeError for what is no such pair."""
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else f"a {type(batch).__name__}"
            raise TypeError(f"a loader yields pairs (inputs, targets), and this one yielded {found}")
        inputs, targets = batch
        yield inputs if isinstance(inputs, Tensor) else Tensor(inputs), targets


def first_wrong(array):
    """Words for the first entry that is not finite, or None."""
    places = np.argwhere(~np.isfinite(array))
    return f"{array[tuple(places[0])]} at {tuple(map(int, places[0]))}" if len(places) else None


def check_finite(model, loss):
    """Raise FloatingPointError unless the loss and all gradients are finite.

    It names the first parameter that is not finite or, if all are, the first gradient.
    """
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if np.isfinite(loss.data).all() and all(np.isfinite(grad).all() for grad in gradients):
        return
    culprit = "all parameters and gradients are finite, so the loss itself goes wrong"
    for what in ("gradient", "parameter"):
        for name, parameter in reversed(list(model.named_parameters())):
            array = parameter.data if what == "parameter" else parameter.grad
            wrong = None if array is None else first_wrong(array)
            culprit = f"the first {what} that is not finite is {name}, {wrong}" if wrong else culprit
    raise FloatingPointError(f"the loss is {loss.data}, and {culprit}; nothing was updated")

# %% [markdown]
r"""
A step on one weight. The model is ŷ = w·x with w = 1, the loss the squared error, the rate 0.1, and the only row is x = 2, y = 5:

    forward     ŷ = 1 · 2 = 2,     loss (2 − 5)² = 9
    backward    gradient  2 · (2 − 5) · 2 = −12
    update      w = 1 − 0.1 · (−12) = 2.2                  clipped to a norm of 1:   w = 1 − 0.1 · (−1) = 1.1

**Write `training_step(model, loss, optimizer, inputs, targets, clip_norm=None)`.** It begins with *no gradients in the whole model*:
gradients left from before must have no effect, also in parameters that the optimizer does not hold (they would count when all are
clipped together). Then: forward, loss, backward, `check_finite`, clipping (`clip_grad_norm_(parameters, max_norm)`, for all parameters
together, unless `clip_norm` is None), update. It returns two things: the loss **before** the update, as a Python float, and the outputs
as they are, without their history (`detach`), from which metrics are computed. The gradients stay where they are; one may want to look at them.
"""

# %% nbgrader={"grade": false, "grade_id": "training_step", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In which order do the six things happen, and what must not happen after the check has failed?", "Begin with the model's own way of forgetting gradients: it reaches parameters that the optimizer does not hold.", "The loss is read as a number and the outputs are detached at the end; neither the update nor the clipping changes them."], "minutes": 20, "objective": "step"}
#| export
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    """One update of the model on one batch. Returns the loss before it (float) and the outputs, detached.

    clip_norm: the largest norm that all gradients together may have. Raises FloatingPointError, and updates
    nothing, where the loss or a gradient is not finite.
    """
    ### BEGIN SOLUTION
    model.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return value.item(), outputs.detach()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-training_step", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_training_step():
    x, y = Tensor([[2.0]]), Tensor([[5.0]])

    def one_weight(**settings):
        line = Linear(1, 1, bias=False)
        line.weight = Parameter([[1.0]])
        return line, SGD(line.parameters(), lr=0.1, **settings)

    line, optimizer = one_weight()
    line.weight.grad = np.array([[100.0]], np.float32)  # left from before
    value, outputs = training_step(line, MSELoss(), optimizer, x, y)
    expect(value, 9, "the loss before the update")
    expect(type(value), float, "the type of the loss")
    expect(outputs, [[2]], "the outputs before the update")
    assert not outputs.requires_grad, "the outputs come without their history"
    expect(line.weight, [[2.2]], "w = 1, gradient -12, rate 0.1, and 100 left from before", rtol=1e-6)
    expect(line.weight.grad, [[-12]], "the gradient after the step, to be looked at")
    training_step(line, MSELoss(), optimizer, x, y)
    expect(line.weight, [[2.44]], "the second step has the gradient -2.4, alone", rtol=1e-6)

    line, optimizer = one_weight(momentum=0.9)
    for expected in (1.1, 1.29):
        training_step(line, MSELoss(), optimizer, x, y, clip_norm=1.0)
        expect(line.weight, [[expected]], "gradients clipped to the norm 1, momentum 0.9", rtol=1e-5)
    print("🔬 training_step: passed")


test_unit_training_step()

# %% nbgrader={"grade": true, "grade_id": "test-training_step-whole", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_training_step_whole():
    body, head = (Linear(1, 1, bias=False, dtype=np.float64) for _ in range(2))
    body.weight.data[...] = head.weight.data[...] = 1
    optimizer = SGD(head.parameters(), lr=0.1)  # it does not hold the body
    x, y = Tensor([[1.0]], dtype=np.float64), Tensor([[2.0]], dtype=np.float64)
    for step, own in ((1, -0.707107), (2, -0.730827)):
        _, outputs = training_step(Sequential(body, head), MSELoss(), optimizer, x, y, clip_norm=1.0)
        expect(body.weight.grad, [[own]], f"step {step}: the body's gradient, clipped with all", rtol=1e-5)
        expect(body.weight, [[1]], "what the optimizer does not hold stays")
        expect(outputs.dtype, np.float64, "the dtype of the outputs of a float64 model")
    print("🔬 training_step, the whole model: passed")

test_unit_training_step_whole()

# %% nbgrader={"grade": true, "grade_id": "test-training_step-finite", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_training_step_finite():
    for inputs, clip_norm in [([[1.0, np.nan]], None), ([[1.0, np.inf]], 1.0), ([[1e30, 1.0]], None)]:
        model = Sequential(Linear(2, 2), Linear(2, 1))
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        before = model.state_dict()
        with np.errstate(all="ignore"):
            given = (model, MSELoss(), optimizer, Tensor(inputs), Tensor([[1.0]]), clip_norm)
            expect_error(FloatingPointError, "0.weight", training_step, *given)
        for name, array in model.state_dict().items():
            expect(array, before[name], f"inputs {inputs}: {name} after a step that failed")
    print("🔬 training_step, what is not finite: passed")

test_unit_training_step_finite()

# %% nbgrader={"grade": true, "grade_id": "test-training_step-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a part that the optimizer does not know, several parameters clipped together, a large norm.
### BEGIN HIDDEN TESTS
body, head = Linear(1, 2, bias=False), Linear(2, 1, bias=False)
for limit, expected in [(None, [[-0.4, 2.4]]), (1e9, [[-0.4, 2.4]]), (5.0, [[0.75, 1.25]])]:
    body.weight, head.weight = Parameter([[1.0], [-1.0]]), Parameter([[1.0, 1.0]])
    body.weight.grad = np.full((2, 1), 1e6, np.float32)
    given = (
        Sequential(body, head),
        MSELoss(),
        SGD(head.parameters(), lr=0.1),
        Tensor([[2.0]]),
        Tensor([[-3.5]]),
    )
    value, _ = training_step(*given, limit)
    expect(value, 12.25, f"clip_norm {limit}: the loss")
    expect(head.weight, expected, f"clip_norm {limit}: the weights", atol=1e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
Here is what the check is for. The same step, once with a sane rate and once with a rate of 10, until something gives way:
"""

# %%
for rate in (0.1, 10.0):
    manual_seed(0)
    model = Sequential(Linear(2, 8), Tanh(), Linear(8, 1))
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    x, y = Tensor([[1.0, 2.0], [-1.0, 0.5]]), Tensor([[1.0], [-1.0]])
    seen = []
    try:
        while len(seen) < 200:
            seen.append(training_step(model, MSELoss(), optimizer, x, y)[0])
        print(f"rate {rate}: loss {seen[-1]:.2e} after {len(seen)} steps")
    except FloatingPointError as error:
        print(f"rate {rate}: step {len(seen) + 1}: {error}")
    finite = all(np.isfinite(p.numpy()).all() for p in model.parameters())
    print(f"           all parameters finite: {finite}")

# %% [markdown]
r"""
## Evaluation

The same forward pass and the same loss, on data that the model does not learn from. Three things differ from training:

- Layers such as Dropout behave as in use: `model.eval()`. Afterwards every module has *its own* mode back, also when the loader failed
  half way. A model whose first half was frozen with `model[0].eval()` must come back with just that half frozen; `model.train()` at the
  end would thaw it.
- No graph is recorded, `with no_grad():`. Otherwise each loss drags its whole graph along.
- The results are means over all rows, so batches weigh as much as they have rows, `len(inputs)`.

**Write `evaluate(model, loss, loader, metrics=None)`**: a dictionary with the mean under `"loss"`, and under each name in `metrics` (a
dictionary from names to functions of (outputs, targets), like `accuracy`) the mean of what that function gives. Each function is called
once a batch. Without any rows the means are nan. Walk through the loader with `batches(loader)`. `model.modules()` yields all modules,
the model itself among them, and each has its flag `training`.
"""

# %% nbgrader={"grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What do you have to write down before the model goes into evaluation mode, and where do you put it back?", "Whatever happens inside, the modes come back: that is what a finally clause is for. Each module has a flag of its own.", "One running mean for the loss and one for each metric, updated once a batch with the number of its rows."], "minutes": 30, "objective": "evaluation"}
#| export
def evaluate(model, loss, loader, metrics=None):
    """{"loss": …, name of a metric: …}: means over all rows of the loader, in evaluation mode, nothing
    recorded.

    metrics: {name: function(outputs, targets) → the batch's mean}. Every module gets its mode back. nan
    without rows.
    """
    ### BEGIN SOLUTION
    metrics = metrics or {}
    means = {name: RunningMean() for name in ("loss", *metrics)}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for inputs, targets in batches(loader):
                outputs = model(inputs)
                means["loss"].update(loss(outputs, targets), len(inputs))
                for name, metric in metrics.items():
                    means[name].update(metric(outputs, targets), len(inputs))
    finally:
        for module, mode in modes:
            module.training = mode
    return {name: mean.compute() for name, mean in means.items()}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-evaluate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_evaluate():
    double = Linear(1, 1, bias=False)
    double.weight = Parameter([[2.0]])
    model = Sequential(Dropout(0.5), double)
    three = Tensor([[1.0], [2.0], [3.0]]), Tensor([[2.0], [4.0], [6.0]])
    loader = [three, (np.array([[1.0]]), np.array([[4.0]]))]
    close = lambda outputs, targets: np.mean(np.abs(np.asarray(outputs) - np.asarray(targets)) < 1)

    got = evaluate(model, MSELoss(), loader, {"close": close})
    expect(list(got), ["loss", "close"], "the names")
    expect(got["loss"], 1, "squares of 0 for three rows and 4 for one, without dropout")
    expect(got["close"], 0.75, "three of four rows are close")
    expect((type(got["loss"]), type(got["close"])), (float, float), "the types, which JSON can hold")
    expect(evaluate(model, MSELoss(), loader), {"loss": 1}, "without metrics")
    expect(evaluate(model, MSELoss(), []), {"loss": math.nan}, "no rows")
    print("🔬 evaluate: passed")

test_unit_evaluate()

# %% nbgrader={"grade": true, "grade_id": "test-evaluate-traces", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_evaluate_traces():
    model = Sequential(Sequential(Linear(1, 2), Dropout(0.5)), Dropout(0.5), Linear(2, 1))
    model.train()
    model[0].eval()
    before = [module.training for module in model.modules()]
    seen = []

    def watch(outputs, targets):
        seen.append((outputs.requires_grad, any(module.training for module in model.modules())))
        return 0.0

    row = (Tensor([[1.0]]), Tensor([[1.0]]))
    evaluate(model, MSELoss(), [row, row], {"watch": watch})
    assert not any(recorded for recorded, _ in seen), "nothing is recorded while a model is evaluated"
    assert not any(training for _, training in seen), (
        "every module is in evaluation mode while a batch is evaluated"
    )
    assert len(seen) == 2, f"a metric is called once a batch: expected 2 calls, got {len(seen)}"
    expect([module.training for module in model.modules()], before, "the mode of every module afterwards")

    def broken():
        yield row
        raise OSError("the disk is gone")

    expect_error(OSError, "disk", evaluate, model, MSELoss(), broken())
    expect([module.training for module in model.modules()], before, "the modes after a loader that failed")
    assert model(row[0]).requires_grad, "afterwards operations are recorded again"
    assert all(parameter.grad is None for parameter in model.parameters()), (
        "an evaluation leaves no gradients"
    )
    print("🔬 evaluate, what it leaves behind: passed")


test_unit_evaluate_traces()

# %% nbgrader={"grade": true, "grade_id": "test-evaluate-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: one answer, in whatever pieces the rows come; a metric per class.
### BEGIN HIDDEN TESTS
manual_seed(3)
net = Sequential(Linear(4, 5), Dropout(0.9), Linear(5, 3))
rows, classes = np.sin(np.arange(400.0)).reshape(100, 4), np.arange(100) % 3
whole = evaluate(net, CrossEntropyLoss(), [(rows, classes)], {"accuracy": accuracy})
for cuts in ([50], [1, 2, 3, 99], [0, 70], list(range(100))):
    parts = list(zip(np.split(rows, cuts), np.split(classes, cuts), strict=True))
    found = evaluate(net, CrossEntropyLoss(), parts, {"accuracy": accuracy})
    expect(found, whole, f"100 rows cut at {cuts[:4]}", rtol=1e-5)
net.eval()
evaluate(net, CrossEntropyLoss(), [(rows, classes)])
expect(net.training, False, "a model that was in evaluation mode stays in it")
### END HIDDEN TESTS

# %% [markdown]
r"""
What dropout does to an evaluation that forgets to switch it off, ten times each:
"""

# %%
manual_seed(0)
noisy = Sequential(Linear(8, 32), ReLU(), Dropout(0.5), Linear(32, 1))
x, y = Tensor(np.cos(np.arange(160.0)).reshape(20, 8)), Tensor(np.zeros((20, 1)))
print("forgotten:", *(f"{MSELoss()(noisy(x), y).item():.4f}" for _ in range(10)))
print("evaluate: ", *(f"{evaluate(noisy, MSELoss(), [(x, y)])['loss']:.4f}" for _ in range(10)))

# %% [markdown]
r"""
## The loop, and what may happen in it

With these pieces the loop itself is short. It is given, because what makes it long is everything that goes wrong:

**Callbacks.** What is to happen at the end of an epoch differs from run to run, so the trainer *calls back*: `on_fit_start`,
`on_epoch_start`, `on_batch_end`, `on_epoch_end`, `on_fit_end`, each with the trainer. `on_fit_end` comes however the run ends.
`EarlyStopping` watches a number of the history and stops when it has not improved for `patience` epochs. `Checkpoint` saves, every so
many epochs or whenever a number is the best so far. A callback with a memory hands it out in `state_dict`, or a resumed run would be
more patient than the original. The progress bar is a callback as well; it lies in `tinytorch/progress.py`.

**Ctrl-C** arrives *between any two Python instructions*, for instance when the optimizer has updated half of the parameters.
`uninterrupted()` holds it back until the step is done: for the length of the block another handler is in place, which only takes a
note. The trainer ends with a whole model and the history of the full epochs, and says where it stopped.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-uninterrupted", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@contextlib.contextmanager
def uninterrupted():
    """Inside the block Ctrl-C waits: KeyboardInterrupt is raised at its end. Only the main thread gets it at
    all."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    received = []
    signal.signal(signal.SIGINT, lambda *what: received.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received:
        handler(*received[0])

# %% nbgrader={"grade": false, "grade_id": "provided-callbacks", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class Callback:
    """Something that a Trainer calls on its way. A subclass defines the methods that it needs."""

    def on_fit_start(self, trainer):
        pass

    def on_epoch_start(self, trainer):
        pass

    def on_batch_end(self, trainer):
        pass

    def on_epoch_end(self, trainer):
        """The history has the epoch already."""

    def on_fit_end(self, trainer):
        """Comes also after Ctrl-C and after an error."""

    def state_dict(self):
        """What a resumed run has to know, in numbers, texts, lists and dictionaries."""
        return {}

    def load_state_dict(self, state):
        pass


class Monitor(Callback):
    """A callback that watches one number of the history, which gets better by falling ("min") or rising
    ("max").

    Without a `mode`, a loss falls and an accuracy rises.
    """

    def __init__(self, monitor, mode=None, min_delta=0.0):
        if mode is None:
            mode = "min" if "loss" in monitor else "max" if "accuracy" in monitor else None
        if mode not in ("min", "max"):
            raise ValueError(
                f"is {monitor!r} better when it falls or when it rises? Pass mode='min' or mode='max'"
            )
        self.monitor, self.mode, self.min_delta = monitor, mode, min_delta
        self.best = None

    def improved(self, trainer):
        """Whether the last epoch was better than the best so far, by more than min_delta; then it is the
        best."""
        if self.monitor not in trainer.history:
            wanted, there = f"{type(self).__name__} watches {self.monitor!r}", ", ".join(trainer.history)
            raise ValueError(f"{wanted}, and the history has {there}. Was validation passed to fit?")
        value = trainer.history[self.monitor][-1]
        if value is None or math.isnan(value):
            return False
        if (
            self.best is not None
            and (self.best - value if self.mode == "min" else value - self.best) <= self.min_delta
        ):
            return False
        self.best = value
        return True

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        vars(self).update(state)


class EarlyStopping(Monitor):
    """Ends the run when `monitor` has not improved for `patience` epochs."""

    def __init__(self, patience, monitor="validation_loss", *, mode=None, min_delta=0.0):
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.waited = 0

    def on_epoch_end(self, trainer):
        self.waited = 0 if self.improved(trainer) else self.waited + 1
        if self.waited >= self.patience:
            what = f"{self.monitor} has not improved for {self.waited} epochs"
            trainer.stopped = f"stopped after epoch {trainer.epoch}: {what}"

    def state_dict(self):
        return {"best": self.best, "waited": self.waited}


class Checkpoint(Monitor):
    """Saves to `path` after every so many epochs or, if `best` names a number of the history, whenever it is
    the best.

    {epoch} in the path becomes the number of the epoch; without it, each checkpoint replaces the one before.
    """

    def __init__(self, path, every=1, *, best=None, mode=None):
        if best is not None:
            super().__init__(best, mode)
        self.path, self.every, self.watches = str(path), every, best is not None
        self.best = None

    def on_epoch_end(self, trainer):
        if self.improved(trainer) if self.watches else trainer.epoch % self.every == 0:
            trainer.save_checkpoint(self.path.replace("{epoch}", str(trainer.epoch)))

# %% [markdown]
r"""
The `Trainer`. Its `position` says where the run stands: full epochs, steps of the running one, the sums of that epoch's means, and the
state that the random generator had when it began. With it, a run that was interrupted in the middle of an epoch goes on in the middle:
it lets the loader shuffle *as it did then*, passes over the batches that are done, and puts the generator forward again.

The schedule, if there is one, steps after every epoch. `seed` restarts the random numbers when training begins; the weights were drawn
before, so for a whole run that can be repeated call `manual_seed` before you build the model.

Before you unfold it: in which order would you do these three at the end of an epoch, evaluate, step the schedule, tell the callbacks?
Look for the answer in `_run_epoch`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-trainer", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class Trainer:
    """Trains a model on a loader, an iterable of pairs (inputs, targets) that can be walked through again.

    schedule: steps once an epoch. metrics: {name: function(outputs, targets)} or a list of such functions.
    clip_norm: see training_step. seed: restarts the random numbers when training begins. progress: show a
    bar. history: {"loss": [a number an epoch], …, "validation_loss": […], …, "lr": […]}, None where there was
    none.
    """

    def __init__(
        self,
        model,
        loss,
        optimizer,
        *,
        schedule=None,
        metrics=(),
        callbacks=(),
        clip_norm=None,
        seed=None,
        progress=True,
    ):
        known = {id(parameter) for parameter in model.parameters()}
        if not any(
            id(parameter) in known for group in optimizer.param_groups for parameter in group["params"]
        ):
            raise ValueError(
                "the optimizer holds no parameter of this model: make it from model.parameters()"
            )
        if getattr(schedule, "optimizer", optimizer) is not optimizer:
            raise ValueError("the schedule steers another optimizer than this one")
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.metrics = (
            dict(metrics) if isinstance(metrics, dict) else {metric.__name__: metric for metric in metrics}
        )
        if "loss" in self.metrics:
            raise ValueError("a metric needs another name than 'loss'")
        self.callbacks = sorted(
            callbacks, key=lambda one: isinstance(one, Checkpoint)
        )  # they save the others' state
        if progress:
            self.callbacks.insert(0, ProgressBar())
        self.clip_norm, self.seed, self.progress = clip_norm, seed, progress
        self.history = {}
        self.position = {"epoch": 0, "step": 0, "start": None, "sums": {}, "loader": None}
        self.stopped = None  # or the reason, in words
        self.loader = None

    @property
    def epoch(self):
        """How many epochs are complete."""
        return self.position["epoch"]

    def running(self):
        """The means of the running epoch so far."""
        return {name: RunningMean(*sums).compute() for name, sums in self.position["sums"].items()}

    def fit(self, loader, epochs, validation=None):
        """Train for so many more epochs and return the history. An epoch that was interrupted is completed
        first.

        validation: a loader to evaluate after every epoch. Ctrl-C ends it as well, with the history of the
        complete epochs. Raises FloatingPointError, with epoch and step, where the loss or a gradient is not
        finite.
        """
        if self.seed is not None and self.epoch == self.position["step"] == 0:
            manual_seed(self.seed)
        self.model.train()
        self.stopped, self.last_epoch = None, self.epoch + epochs
        self.batch_count = len(loader) if hasattr(loader, "__len__") else None
        interrupted = False
        try:
            with contextlib.ExitStack() as ends:
                for callback in self.callbacks:
                    callback.on_fit_start(self)
                    ends.callback(callback.on_fit_end, self)
                while self.epoch < self.last_epoch and not self.stopped:
                    self._run_epoch(loader, validation)
        except KeyboardInterrupt:
            interrupted = True
            place = f"epoch {self.epoch + 1} after {self.position['step']} steps"
            self.stopped = f"interrupted in {place}; the history holds {self.epoch} epochs"
        if self.stopped and (self.progress or interrupted):
            print(self.stopped)
        return self.history

    def evaluate(self, loader):
        """{"loss": …, name of a metric: …} over all rows of the loader."""
        return evaluate(self.model, self.loss, loader, self.metrics)

    # an epoch
    def _run_epoch(self, loader, validation):
        with contextlib.closing(
            self._begin_epoch(loader)
        ) as pairs:  # however it ends, the loader may tidy up
            self._tell("on_epoch_start")
            for inputs, targets in pairs:
                with uninterrupted():
                    self._step(inputs, targets)
                self._tell("on_batch_end")
        if not self.position["step"]:
            raise ValueError(
                f"epoch {self.epoch + 1}: nothing in the loader; a generator can be walked through once"
            )
        logs = self.running()
        if validation is not None:
            logs |= {f"validation_{name}": value for name, value in self.evaluate(validation).items()}
        with uninterrupted():
            logs["lr"] = float(self.optimizer.param_groups[0]["lr"])
            for name in logs:
                self.history.setdefault(name, [None] * self.epoch)
            for name, values in self.history.items():
                values.append(logs.get(name))
            if self.schedule is not None:
                self.schedule.step()
            done = {"epoch": self.epoch + 1, "step": 0, "start": None, "sums": {}}
            self.position = {**done, "loader": loader_state(loader)}
        self._tell("on_epoch_end")

    def _begin_epoch(self, loader):
        """The batches that are still to come in this epoch."""
        if self.loader is not None and self.loader is not loader:
            self.position |= {"step": 0, "start": None}  # other data: what was begun is not continued
        generator, begun = Random.generator.bit_generator, self.position["start"] is not None
        if self.position["loader"] is not None and (begun or self.loader is None):
            restore_loader(loader, copy.deepcopy(self.position["loader"]))
        self.loader = loader
        if not begun:
            self.position |= {"start": generator.state, "sums": {}, "loader": loader_state(loader)}
            return batches(loader)
        now, generator.state = generator.state, self.position["start"]
        pairs, done = batches(loader), self.position["step"]
        for _ in range(done):
            next(pairs, None)
        if done:
            generator.state = now
        return pairs

    def _step(self, inputs, targets):
        try:
            value, outputs = training_step(
                self.model, self.loss, self.optimizer, inputs, targets, self.clip_norm
            )
        except FloatingPointError as error:
            wrong = first_wrong(inputs.data) if inputs.dtype.kind == "f" else None
            hint = f"; the inputs hold {wrong}" if wrong else ""
            place = f"epoch {self.epoch + 1}, step {self.position['step'] + 1}"
            raise FloatingPointError(f"{place}: {error}{hint}") from error
        values = {"loss": value} | {name: metric(outputs, targets) for name, metric in self.metrics.items()}
        for name, value in values.items():
            mean = RunningMean(*self.position["sums"].get(name, ()))
            mean.update(value, len(inputs))
            self.position["sums"][name] = (mean.total, mean.weight)
        self.position["step"] += 1

    def _tell(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    # what a resume needs
    def state_dict(self):
        memories = [
            (type(callback).__name__, copy.deepcopy(callback.state_dict())) for callback in self.callbacks
        ]
        return {**collect_state(self), "callbacks": memories, "kinds": self._kinds()}

    def _kinds(self):
        return [type(part).__name__ for part in (self.model, self.optimizer, self.schedule)]

    def load_state_dict(self, state):
        if state["kinds"] != self._kinds():
            raise ValueError(
                f"model, optimizer and schedule here: {self._kinds()}, in the state: {state['kinds']}"
            )
        restore_state(self, state)
        self.loader = None
        waiting = list(state["callbacks"])
        for callback in self.callbacks:
            for place, (kind, memory) in enumerate(waiting):
                if kind == type(callback).__name__:
                    callback.load_state_dict(copy.deepcopy(memory))
                    del waiting[place]
                    break

    def save_checkpoint(self, path):
        save_checkpoint(path, self.state_dict())

    def load_checkpoint(self, path):
        """Go on where the run that saved this file stood. Raises ValueError, and changes nothing, if it
        fails."""
        state, before = load_checkpoint(path), self.state_dict()
        try:
            self.load_state_dict(state)
        except Exception as error:
            self.load_state_dict(before)
            raise ValueError(
                f"{path} does not fit this trainer, which is left as it was: {error!r}"
            ) from error


def loader_state(loader):
    """A copy of a loader's own state: its state_dict or, if it has one, its generator's. None where it
    shuffles with tinytorch's generator, which is saved anyway.
    """
    if hasattr(loader, "state_dict"):
        return copy.deepcopy(loader.state_dict())
    own = getattr(loader, "generator", None)
    return own.bit_generator.state if isinstance(own, np.random.Generator) else None


def restore_loader(loader, state):
    """The way back. Raises ValueError for a loader that has nothing to take the state."""
    if hasattr(loader, "load_state_dict"):
        loader.load_state_dict(state)
    elif isinstance(getattr(loader, "generator", None), np.random.Generator):
        loader.generator.bit_generator.state = state
    else:
        raise ValueError(
            "the run was saved with a loader that has random numbers of its own, and this one has none"
        )

# %% [markdown]
r"""
Two classes of points, one inside the other; no straight line divides them. The loader shuffles with TinyTorch's generator and makes the
last batch smaller; module 08 writes a better one.
"""

# %%
class Batches:
    """Batches of `size` rows, in a new order whenever they are walked through."""

    def __init__(self, inputs, targets, size, shuffle=True):
        self.inputs, self.targets, self.size, self.shuffle = inputs, targets, size, shuffle

    def __len__(self):
        return -(-len(self.targets) // self.size)

    def __iter__(self):
        count = len(self.targets)
        order = Random.generator.permutation(count) if self.shuffle else np.arange(count)
        for start in range(0, count, self.size):
            picked = order[start : start + self.size]
            yield Tensor(self.inputs[picked]), self.targets[picked]


def rings(count, seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, count)
    angles, radii = draw.uniform(0, 2 * np.pi, count), 1 + labels + 0.25 * draw.standard_normal(count)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype(np.float32), labels


manual_seed(0)
model = Sequential(Linear(2, 16), ReLU(), Linear(16, 2))
stopping = EarlyStopping(3, "validation_accuracy")
optimizer = Adam(model.parameters(), lr=0.02)
trainer = Trainer(model, CrossEntropyLoss(), optimizer, metrics=[accuracy], callbacks=[stopping])
validation = Batches(*rings(200, 1), 100, shuffle=False)
history = trainer.fit(Batches(*rings(500, 0), 32), epochs=30, validation=validation)
print(json.dumps({name: [round(value, 3) for value in values[-3:]] for name, values in history.items()}))

# %% [markdown]
r"""
## Part 2 of 2 · about 2 hours: what a resume needs

Save the weights, load them, train on: that is not the run that was interrupted. It has forgotten

- the optimizer's memory (momentum; Adam's averages and its count of steps, which says how far to trust them),
- the schedule's place, so that the rate jumps back,
- the random numbers: the next shuffle and the next dropout mask are others,
- its position and its history.

Leave out one of them and nothing crashes. The run only becomes another one, and nobody will ever be able to say why.

A trainer has all of them: `trainer.model`, `.optimizer` and `.schedule` answer to `state_dict()` and `load_state_dict(state)`, where the
schedule may be `None`; `trainer.position` and `trainer.history` are plain dictionaries. `Random.generator.bit_generator.state` is the
state of the random numbers, a dictionary of integers, and assigning it sets the generator back.

**Write `collect_state(trainer)`**: a dictionary with `"model"`, `"optimizer"`, `"schedule"` (None where there is none), `"random"`,
`"position"` and `"history"`. It is a photograph: what happens to the trainer afterwards must not show in it. Some `state_dict`s hand
out the arrays that the next step changes in place; `copy.deepcopy` copies a dictionary with everything in it.
"""

# %% nbgrader={"grade": false, "grade_id": "collect_state", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the six parts are dictionaries that somebody else goes on changing?", "Build the dictionary first, then copy all of it at once, with everything in it."], "minutes": 12, "objective": "resume"}
#| export
def collect_state(trainer):
    """Everything that the rest of a run depends on, copied: model, optimizer, schedule, random, position,
    history."""
    ### BEGIN SOLUTION
    return copy.deepcopy(
        {
            "model": trainer.model.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
            "random": Random.generator.bit_generator.state,
            "position": trainer.position,
            "history": trainer.history,
        }
    )
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-collect_state", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_collect_state():
    def update(trainer):
        MSELoss()(trainer.model(Tensor([[1.0, 2.0]])), Tensor([[3.0]])).backward()
        trainer.optimizer.step()
        trainer.schedule.step()
        Random.generator.standard_normal(3)
        trainer.history["loss"].append(0.5)
        trainer.position["sums"]["loss"] = (9.0, len(trainer.history["loss"]))

    manual_seed(5)
    model = Linear(2, 1)
    optimizer = Adam(model.parameters(), lr=0.1)
    trainer = Trainer(model, MSELoss(), optimizer, schedule=CosineAnnealingLR(optimizer, 10), progress=False)
    trainer.history, trainer.position = {"loss": [2.0]}, {"epoch": 1, "step": 1, "sums": {"loss": (4.0, 2)}}
    update(trainer)
    weight, draws = model.weight.numpy().copy(), repr(Random.generator.bit_generator.state)
    state = collect_state(trainer)
    names = ["history", "model", "optimizer", "position", "random", "schedule"]
    expect(sorted(state), names, "the names in the state")
    before = {name: repr(state[name]) for name in names}
    update(trainer)
    changed = [name for name in names if repr(state[name]) != before[name]]
    assert not changed, f"one step later these parts of the photograph have changed: {', '.join(changed)}"
    later = collect_state(trainer)
    same = [name for name in names if repr(later[name]) == before[name]]
    assert not same, f"these parts do not show that the trainer has made a step: {', '.join(same)}"
    expect(state["model"]["weight"], weight, "'model': the weights")
    assert before["random"] == draws, "'random' is the state of Random.generator's bit_generator"
    expect(state["history"], {"loss": [2.0, 0.5]}, "'history'")
    expect(state["position"]["sums"], {"loss": (9.0, 2)}, "the sums in 'position'")
    plain = collect_state(Trainer(model, MSELoss(), optimizer, progress=False))
    expect(plain["schedule"], None, "'schedule' of a trainer without one")
    print("🔬 collect_state: passed")


test_unit_collect_state()

# %% nbgrader={"grade": true, "grade_id": "test-collect_state-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: momentum, a deeper position, a trainer that has done nothing yet.
### BEGIN HIDDEN TESTS
chain = Sequential(Linear(2, 3), Linear(3, 1))
moving = Trainer(chain, MSELoss(), SGD(chain.parameters(), lr=0.1, momentum=0.9), progress=False)
first_moment = collect_state(moving)
expect((first_moment["history"], first_moment["schedule"]), ({}, None), "a trainer that has done nothing yet")
expect(first_moment["position"]["epoch"], 0, "its position")
moving.position["loader"] = {"generator": {"state": [1, 2]}}
pictures = []
for count in range(3):
    chain(Tensor([[1.0, 2.0]])).sum().backward()
    moving.optimizer.step()
    moving.position["loader"]["generator"]["state"].append(count)
    pictures.append(collect_state(moving))
lengths = [len(picture["position"]["loader"]["generator"]["state"]) for picture in pictures]
expect(lengths, [3, 4, 5], "a list deep in the position, after each step")
for part in ("model", "optimizer"):
    assert len({repr(picture[part]) for picture in (first_moment, *pictures)}) == 4, (
        f"{part}: four moments, four pictures"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
**Write `restore_state(trainer, state)`**, the way back. The state may be loaded several times, so nothing of it may end up *inside* the
trainer, where the next step would change it. If just one side has a schedule, raise a `ValueError` with the word `schedule` before
anything is changed; a model that does not fit raises by itself, so load it first. The generator object stays the same one (only its
state is set), for others may hold it.
"""

# %% nbgrader={"grade": false, "grade_id": "restore_state", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What could go wrong half way, and how do you make sure that nothing has changed by then?", "Look at the schedules first. Then copy the state, so that nothing of it becomes part of the trainer.", "The random generator stays the object that it is: only its state is assigned."], "minutes": 20, "objective": "resume"}
#| export
def restore_state(trainer, state):
    """Put a trainer where another one stood in `collect_state`. Raises ValueError if just one has a
    schedule."""
    ### BEGIN SOLUTION
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError(f"the trainer's schedule is {trainer.schedule}, the state's is {state['schedule']}")
    state = copy.deepcopy(state)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = state["position"], state["history"]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-restore_state", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_restore_state():
    def make(seed):
        manual_seed(seed)
        model = Sequential(Linear(2, 8), Dropout(0.5), Linear(8, 1))
        optimizer = Adam(model.parameters(), lr=0.1)
        return Trainer(model, MSELoss(), optimizer, schedule=CosineAnnealingLR(optimizer, 10), progress=False)

    def update(trainer):
        trainer.model.zero_grad()
        loss = MSELoss()(trainer.model(Tensor([[1.0, 2.0]])), Tensor([[3.0]]))
        loss.backward()
        trainer.optimizer.step()
        trainer.schedule.step()
        trainer.history.setdefault("loss", []).append(loss.item())
        trainer.position["step"] += 1
        trainer.position["sums"]["loss"] = (loss.item(), trainer.position["step"])

    first = make(1)
    for _ in range(3):
        update(first)
    state = collect_state(first)
    photograph = {name: repr(part) for name, part in state.items()}
    for _ in range(4):
        update(first)
    expected = {name: repr(part) for name, part in collect_state(first).items()}

    other, generator = make(2), Random.generator
    update(other)
    for attempt in ("once", "a second time"):
        restore_state(other, state)
        assert Random.generator is generator, "the generator object stays the same one"
        got = {name: repr(part) for name, part in collect_state(other).items()}
        wrong = [name for name in photograph if got[name] != photograph[name]]
        assert not wrong, f"restored {attempt}: these parts are not as they were saved: {', '.join(wrong)}"
        for _ in range(4):
            update(other)
        got = {name: repr(part) for name, part in collect_state(other).items()}
        wrong = [name for name in expected if got[name] != expected[name]]
        assert not wrong, (
            f"restored {attempt}, four more steps: other than in the first run: {', '.join(wrong)}"
        )
        changed = [name for name in photograph if repr(state[name]) != photograph[name]]
        assert not changed, (
            f"restored {attempt}: the training that followed changed the state: {', '.join(changed)}"
        )
    print("🔬 restore_state: passed")


test_unit_restore_state()

# %% nbgrader={"grade": true, "grade_id": "test-restore_state-schedule", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_restore_state_schedule():
    def make(scheduled):
        model = Linear(2, 1)
        optimizer = SGD(model.parameters(), lr=0.1)
        schedule = CosineAnnealingLR(optimizer, 10) if scheduled else None
        return Trainer(model, MSELoss(), optimizer, schedule=schedule, progress=False)

    for scheduled in (True, False):
        trainer, state = make(scheduled), collect_state(make(not scheduled))
        before = repr(collect_state(trainer))
        expect_error(ValueError, "schedule", restore_state, trainer, state)
        assert repr(collect_state(trainer)) == before, "what does not fit changes nothing"
    plain, state = make(False), collect_state(make(False))
    restore_state(plain, state)
    expect(plain.model.weight, state["model"]["weight"], "no schedule on either side: the weights")
    print("🔬 restore_state, schedules: passed")

test_unit_restore_state_schedule()

# %% nbgrader={"grade": true, "grade_id": "test-restore_state-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: momentum, a state of the first moment, a model of another shape.
### BEGIN HIDDEN TESTS
manual_seed(7)
pair = [Linear(3, 2), Linear(3, 2)]
runs = [
    Trainer(part, MSELoss(), SGD(part.parameters(), lr=0.1, momentum=0.9), progress=False) for part in pair
]
fresh = collect_state(runs[0])
ends = []
for run in (runs[0], runs[1], runs[1]):
    restore_state(run, fresh)
    noise = [Random.generator.standard_normal() for _ in range(5)]
    for _ in range(5):
        row = Tensor([[1.0, -1.0, 2.0]]), Tensor([[1.0, 0.0]])
        training_step(run.model, run.loss, run.optimizer, *row)
    run.history["loss"] = noise
    ends.append(repr(collect_state(run)))
assert ends[0] == ends[1] == ends[2], (
    "from the first moment, without a memory yet: the same five steps each time"
)
wide = Linear(4, 2)
narrow = Trainer(wide, MSELoss(), SGD(wide.parameters(), lr=0.1), progress=False)
untouched = repr(collect_state(narrow))
expect_error(RuntimeError, "weight", restore_state, narrow, fresh)
assert repr(collect_state(narrow)) == untouched, "a state of another model changes nothing"
### END HIDDEN TESTS

# %% [markdown]
r"""
What does it matter? One run of 60 steps with Adam, resumed after 30 of them from a complete state, and from the weights alone:
"""

# %%
def short_run(steps):
    """A model and its optimizer after so many steps on the rings, and the losses on the way."""
    manual_seed(4)
    model = Sequential(Linear(2, 16), ReLU(), Dropout(0.3), Linear(16, 2))
    trainer = Trainer(model, CrossEntropyLoss(), Adam(model.parameters(), lr=0.05), progress=False)
    return trainer, go_on(trainer, steps)


def go_on(trainer, steps):
    points, labels = rings(64, 0)
    parts = trainer.model, trainer.loss, trainer.optimizer, Tensor(points), labels
    return [training_step(*parts)[0] for _ in range(steps)]


_, whole = short_run(60)
half, _ = short_run(30)
state = collect_state(half)
exact, _ = short_run(0)
restore_state(exact, state)
same = go_on(exact, 30)
weights_only, _ = short_run(0)
weights_only.model.load_state_dict(state["model"])
other = go_on(weights_only, 30)
for what, losses in (("all", same), ("the weights alone", other)):
    difference = max(abs(a - b) for a, b in zip(whole[30:], losses, strict=True))
    print(f"{what} restored: the losses differ by at most {difference:.4f}")

# %% [markdown]
r"""
## Onto the disk, whole or not at all

Python's `pickle` writes any object, and on reading *runs* whatever the file says: a checkpoint from somewhere else is a program from
somewhere else. So the format of `save_checkpoint` (in `tinytorch/checkpoints.py`) holds data only: the arrays in an `.npz` file, which
is a zip file of arrays, and all the rest, the structure, the numbers, the texts, as one JSON document in it.

A crash in the middle of writing must not cost the *previous* checkpoint. So nothing is ever written over it: the new file grows beside
it under another name, `fsync` waits until the disk has it, and then `os.replace` puts it in place, which the operating system does in
one indivisible step. Whoever looks finds the old file or the new one, never half of one.
"""

# %%
with TemporaryDirectory() as folder:
    path = Path(folder, "run.npz")
    save_checkpoint(path, {"weights": np.arange(6.0).reshape(2, 3), "betas": (0.9, 0.999), "state": {0: 7}})
    print(path.name, f"{path.stat().st_size:,} bytes:", load_checkpoint(path))
    save_checkpoint(path, {"version": "old"})
    try:
        save_checkpoint(path, {"version": "new", "model": model})
    except TypeError as error:
        print(error, "| still there:", load_checkpoint(path))
    path.write_bytes(path.read_bytes()[:-40])
    try:
        load_checkpoint(path)
    except ValueError as error:
        print(str(error).replace(folder, "…"))

# %% [markdown]
r"""
## Put together: the same numbers, and the same bits

A small network, batches of 5, 5 and 2, momentum, clipping, a cosine schedule, validation: PyTorch 2.13 gives the numbers of the four
epochs. Then everything that is random joins in (shuffling, dropout), and the run is cut in two: two epochs, a checkpoint, new objects
with other weights, the checkpoint loaded, two more. They have to end in the same bits.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-assembly", "locked": true, "schema_version": 3, "solution": false, "task": false}
def four_epochs():
    """The history of four epochs with batches of 5, 5 and 2."""
    x, y = np.sin(np.arange(36)).reshape(12, 3).astype(np.float32), np.arange(12) % 3
    model = Sequential(Linear(3, 8), Tanh(), Linear(8, 3))
    for parameter, values in zip(model.parameters(), [np.cos, np.sin, np.sin, np.cos], strict=True):
        parameter.data[...] = values(np.arange(parameter.numel())).reshape(parameter.shape)
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    settings = {"metrics": [accuracy], "clip_norm": 0.5, "progress": False}
    trainer = Trainer(
        model, CrossEntropyLoss(), optimizer, schedule=CosineAnnealingLR(optimizer, 4), **settings
    )
    return trainer.fit([(x[:5], y[:5]), (x[5:10], y[5:10]), (x[10:], y[10:])], epochs=4, validation=[(x, y)])


def noisy_trainer(seed):
    """A trainer whose runs depend on random numbers everywhere."""
    manual_seed(seed)
    model = Sequential(Linear(3, 8), ReLU(), Dropout(0.5), Linear(8, 3))
    optimizer = Adam(model.parameters(), lr=0.05)
    settings = {"schedule": CosineAnnealingLR(optimizer, 4), "metrics": [accuracy], "progress": False}
    return Trainer(model, CrossEntropyLoss(), optimizer, **settings)

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    expected = {
        "loss": [2.784211, 1.988818, 1.340851, 1.16676],
        "accuracy": [1 / 3, 1 / 3, 1 / 3, 0.5],
        "validation_loss": [2.225667, 1.418511, 1.175817, 1.143985],
        "validation_accuracy": [1 / 3, 5 / 12, 0.5, 0.5],
        "lr": [0.2, 0.170711, 0.1, 0.029289],
    }
    history = four_epochs()
    expect(list(history), list(expected), "the columns of the history")
    for name, numbers in expected.items():
        expect(history[name], numbers, f"{name} of the four epochs", rtol=1e-4)

    data = Batches(np.sin(np.arange(36)).reshape(12, 3).astype(np.float32), np.arange(12) % 3, 7)
    whole, first, second = noisy_trainer(1), noisy_trainer(1), noisy_trainer(2)
    with TemporaryDirectory() as folder:
        for trainer, epochs in ((whole, 4), (first, 2)):
            manual_seed(9)
            trainer.fit(data, epochs)
        first.save_checkpoint(Path(folder, "run.npz"))
        manual_seed(1000)
        second.load_checkpoint(Path(folder, "run.npz"))
    second.fit(data, 2)
    expect(second.history, whole.history, "resumed after two epochs, the history")
    for name, array in whole.model.state_dict().items():
        expect(second.model.state_dict()[name], array, f"resumed after two epochs, {name}, bit for bit")
    print("🧪 module 07, trained, interrupted, resumed: passed")

test_module()

# %% [markdown]
r"""
## Measure: where a step's time goes

Forward computes one product for each layer, x·Wᵀ. Backward needs two, one for the gradient of the weight and one for the gradient of
the input (the first layer's input wants none). The update touches every parameter a few times, whatever the batch.

**Predict:** in a 256-w-w-10 network on a batch of 64, with Adam: which share of a step is forward, backward, update, for w = 64 and for
w = 1,024? And how does a batch of 512 change the shares at w = 1,024?
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def step_times(width, batch, repeats=15):
    """Seconds of forward, backward and update in a training step of a 256-width-width-10 network: each one's
    best."""
    manual_seed(0)
    model = Sequential(Linear(256, width), ReLU(), Linear(width, width), ReLU(), Linear(width, 10))
    optimizer, loss = Adam(model.parameters()), CrossEntropyLoss()
    x, y = Tensor(np.random.default_rng(0).standard_normal((batch, 256))), np.arange(batch) % 10
    rows = []
    for _ in range(repeats):
        model.zero_grad()
        marks = [time.perf_counter()]
        value = loss(model(x), y)
        marks.append(time.perf_counter())
        value.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        rows.append(np.diff(marks))
    return np.min(rows, axis=0)

# %% tags=["measure"]
def analyze_step():
    """Shares of forward, backward and update, over the width of the layers and over the batch size."""
    settings = [(64, 64), (256, 64), (1024, 64), (1024, 8), (1024, 512)]
    times = np.array([step_times(*setting) for setting in settings])
    shares = times / times.sum(axis=1, keepdims=True) * 100
    labels = [f"width {width}\nbatch {batch}" for width, batch in settings]
    figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
    bottom = np.zeros(len(settings))
    looks = [("forward", "0.85", ""), ("backward", "0.6", "//"), ("update", "1.0", "..")]
    for part, (name, grey, hatch) in zip(shares.T, looks, strict=True):
        bars = axes.bar(labels, part, bottom=bottom, color=grey, edgecolor="0.2", hatch=hatch, label=name)
        bottom += part
    axes.bar_label(bars, [f"{total * 1e3:.1f} ms" for total in times.sum(axis=1)], padding=2)
    axes.set(
        ylabel="% of the step", ylim=(0, 112), yticks=range(0, 101, 20), title="Where a step's time goes"
    )
    figure.legend(ncols=3, loc="outside lower center")
    plt.show()
    for (width, batch), part, total in zip(settings, shares, times.sum(axis=1), strict=True):
        said = ", ".join(f"{name} {share:.0f} %" for (name, *_), share in zip(looks, part, strict=True))
        print(f"📊 width {width}, batch {batch}: {total * 1e3:.2f} ms, of it {said}")
    more = times.sum(axis=1)[4] / times.sum(axis=1)[3]
    print(f"📊 width 1024: a batch of 512 takes {more:.0f} times as long as one of 8", end="; ")
    print(f"backward {times[4, 1] / times[4, 0]:.1f} times the forward")


analyze_step()

# %% [markdown]
r"""
Narrow layers spend their time on Python: each operation costs some microseconds, and so does each parameter's update. With wide layers
and a small batch, forward is next to nothing: a few rows go through. Backward and update are not, since they are paid *per step* and
not per row: a gradient as large as the weights has to be made, in fresh memory, and Adam reads and writes weights, gradient and two
averages. A batch of 512 has 64 times the rows of a batch of 8; the last line says how many times as long it takes. What remains there
is arithmetic: one product forward, two back.

## Measure: evaluating with and without a graph

**Predict:** a network of eight layers of 256, evaluated on 4,096 rows at once. How many MiB does it hold at its peak with the graph
recorded, how many without? And does the time differ?
"""

# %% tags=["measure"]
def analyze_no_grad():
    """Peak memory and time of a forward pass with and without recording, over the number of layers."""
    import tracemalloc

    depths, x = [1, 2, 4, 8], Tensor(np.ones((4096, 256)))
    found = {"recorded": ([], []), "no_grad": ([], [])}
    for depth in depths:
        model = Sequential(*[part for _ in range(depth) for part in (Linear(256, 256), ReLU())])
        for name, (peaks, seconds) in found.items():
            with no_grad() if name == "no_grad" else contextlib.nullcontext():
                seconds.append(best_seconds(lambda model=model: model(x)))
                tracemalloc.start()
                model(x)
                peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
                tracemalloc.stop()
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
    for (name, (peaks, seconds)), style in zip(found.items(), ["s--", "o-"], strict=True):
        panels[0].plot(depths, peaks, style, color="0.1", label=name)
        panels[1].plot(depths, np.array(seconds) * 1e3, style, color="0.1", label=name)
    panels[0].set(xlabel="layers", ylabel="peak memory in MiB", xticks=depths, title="Memory")
    panels[1].set(xlabel="layers", ylabel="milliseconds", xticks=depths, title="Time", ylim=(0, None))
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")
    plt.show()
    for name, (peaks, seconds) in found.items():
        print(f"📊 eight layers, {name}: {peaks[-1]:.0f} MiB at the peak, {seconds[-1] * 1e3:.0f} ms")


analyze_no_grad()

# %% [markdown]
r"""
Recorded, every layer's results of 4 MiB each stay until the graph dies, and the peak grows with the depth. In `no_grad` each result dies
soon after the next one is there, so the peak is flat, however deep the network. The arithmetic is the same; what time it saves is the
time for fresh memory from the operating system.

## Measure: digits, with everything switched on

A 64-128-10 network with dropout, and only 300 digits to learn from. 300 others are the validation, which decides when to stop and which
epoch was the best. It has been used for a choice then, so its numbers flatter; the remaining 1,197 digits, never looked at, give the
verdict. **Predict:** which of the two losses stops falling first? Which of the two accuracies is higher in the first epoch, when dropout
disturbs only the training?
"""

# %% tags=["measure"]
from sklearn.datasets import load_digits


def train_on_digits(seed=0):
    """Train with validation, early stopping and a checkpoint: the trainer, the whole history, the other
    digits."""
    manual_seed(seed)
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    loader = Batches(images[:300], labels[:300], 32)
    parts = slice(300, 600), slice(600, None)
    validation, rest = (Batches(images[part], labels[part], 100, shuffle=False) for part in parts)
    model = Sequential(Linear(64, 128), ReLU(), Dropout(0.3), Linear(128, 10))
    optimizer = Adam(model.parameters(), lr=0.005)
    with TemporaryDirectory() as folder:
        best = Path(folder, "best.npz")
        trainer = Trainer(
            model,
            CrossEntropyLoss(),
            optimizer,
            schedule=CosineAnnealingLR(optimizer, 100),
            metrics=[accuracy],
            callbacks=[EarlyStopping(10), Checkpoint(best, best="validation_loss")],
        )
        full = copy.deepcopy(trainer.fit(loader, epochs=100, validation=validation))
        trainer.load_checkpoint(best)
    return trainer, full, rest

# %% tags=["measure"]
started = time.perf_counter()
trainer, full, rest = train_on_digits()
took, final = time.perf_counter() - started, trainer.evaluate(rest)
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
epochs = range(1, len(full["loss"]) + 1)
for panel, name, scale in zip(panels, ["loss", "accuracy"], [1, 100], strict=True):
    panel.plot(epochs, np.array(full[name]) * scale, "--", color="0.4", label="training, with dropout")
    panel.plot(epochs, np.array(full[f"validation_{name}"]) * scale, "-", color="0.1", label="validation")
    panel.axvline(trainer.epoch, ls=":", color="0.6", label="best epoch")
    panel.set(xlabel="epoch", title=f"The {name} of each epoch")
panels[0].set(ylabel="cross-entropy (nats)", yscale="log")
panels[1].set(ylabel="accuracy in %")
figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside lower center")
plt.show()
first = full["accuracy"][0], full["validation_accuracy"][0]
print(f"📊 {len(full['loss'])} epochs in {took:.1f} s", end="; ")
print(f"first epoch: accuracy {first[0]:.1%} in training, {first[1]:.1%} in validation")
losses = trainer.history["loss"][-1], trainer.history["validation_loss"][-1]
print(f"📊 best epoch {trainer.epoch}: loss {losses[0]:.3f} in training, {losses[1]:.3f} in validation")
print(f"📊 accuracy on the 1,197 others {final['accuracy']:.1%}")

# %% [markdown]
r"""
The validation starts out *better* than the training: it runs without dropout, and after the epoch instead of during it. Then the
training loss goes on falling, the other one hardly does, and from there on the network learns its 300 digits by heart. Which digits does
it confuse?
"""

# %% tags=["measure"]
with no_grad():
    trainer.model.eval()
    matrix = sum(confusion_matrix(trainer.model(inputs), targets) for inputs, targets in rest)
figure, axes = plt.subplots(figsize=(4.2, 3.8), layout="constrained")
mistakes = matrix - np.diag(np.diag(matrix))
axes.imshow(mistakes, cmap="Greys", vmax=2 * mistakes.max())
for i, j in np.argwhere(matrix):
    axes.text(j, i, matrix[i, j], ha="center", va="center", fontsize=8, color="0.5" if i == j else "black")
axes.set(
    xticks=range(10), yticks=range(10), xlabel="read as", ylabel="is", title="1,197 digits (mistakes on grey)"
)
plt.show()
confused = sorted(((int(mistakes[i, j]), int(i), int(j)) for i, j in np.argwhere(mistakes)), reverse=True)
recall = np.diag(matrix) / matrix.sum(axis=1)
print("📊 most frequent mistakes:", ", ".join(f"{i} read as {j} ({count}×)" for count, i, j in confused[:4]))
for word, place in (("most", recall.argmax()), ("least", recall.argmin())):
    print(f"📊 {word} of the class found: {place} ({recall[place]:.0%})")

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-resume", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

A run is to be resumed exactly after a crash *in the middle* of an epoch, with a loader that shuffles. (a) Which pieces of state have to
be in the checkpoint besides model, optimizer and schedule? (b) Your own run was resumed from the weights alone: by how much did its
losses differ, as printed, and which forgotten pieces made the difference? (c) What would you give up first if exactness costs too much,
and what is lost by it?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-resume", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) the position in the epoch, the generator's state at the start of the epoch (or the order itself) and now, the sums of the
running means, the state of callbacks: 1 point. (b) The printed number (about 0.1), Adam's averages and count of steps, and the generator
behind the dropout masks: 1 point. (c) A reasoned choice, such as resuming at the last epoch's end, with what it costs (up to an epoch of
work): 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The loader is still a toy: all data in memory, one thread, no files. Module 08 reads real formats, shuffles with a seed of its own, and has
the next batch ready before you ask for it. Next: `tito module complete 07_training`.
"""
