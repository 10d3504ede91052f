# %% [markdown]
r"""
# 06 Optimizers

`backward` answers a question about one point: which way is down, and how steep is it here? It says nothing about how
far to go. The loop at the end of module 05 went a fixed fraction of the slope, the same for every parameter and in every
step. That works, and it is slow where the landscape is a long narrow valley, which is what the loss of a network mostly is.

In this module you write what has replaced it: momentum, which remembers where it was going; Adam, which gives each number a
step of its own size; weight decay, in the two forms that are so often confused; schedules that change the learning rate over
time; and the clip that saves a run from one bad batch. You write the arithmetic, eight functions of 1 to 10 lines on arrays.
The classes that call them are provided: `SGD`, `Adam`, `AdamW`, and the schedulers. They have PyTorch's arguments, follow its
numbers step by step, and change every parameter where it lies in memory.

Three things hold for every function that changes an array here. The array may have any shape, also `()`: work on it as a
whole, without indices and without a loop over its entries (a Python loop takes a hundred times as long, and a step would be
spent in it). Its dtype stays. And arrays that a sentence does not name as changed stay as they are.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error, in_place

check_home()

# %%
#| default_exp core.optimizers

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from collections import defaultdict
from copy import deepcopy

import numpy as np

from tinytorch.core.layers import Parameter
from tinytorch.core.tensor import Tensor, result_dtype

# %%
import tinytorch.core.autograd  # noqa: F401 - gives every Tensor its backward
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss

# %% [markdown]
r"""
## Part 1 of 2 · about 3 hours: a step downhill

The gradient points to where the loss grows fastest. Go the other way, by a distance that the *learning rate* sets (Cauchy, 1847; on one batch at a time it is called
*stochastic* gradient descent, Robbins and Monro, 1951):

    param   [1, 2]     grad   [10, −20]     lr   0.01
    new     [1 − 0.1,  2 + 0.2]  =  [0.9, 2.2]

One thing matters as much as the formula. The model and the optimizer hold the *same array*, and so will everything that is
built on them. A new array with the right numbers changes none of them, and nothing complains: the loss just stays where it
is. So an update writes into the array that it was given.

**Write `sgd_update(param, grad, lr)`**, which moves `param` in place and leaves `grad` alone. It returns nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "sgd_update", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The model holds the array as well: which of Python's assignments change an array, and which only give a name to a new one?", "An operator that works in place needs no indices, so it also works on an array without axes."], "minutes": 10, "objective": "descent"}
#| export
def sgd_update(param, grad, lr):
    """Move the array `param` in place against `grad`, `lr` times as far."""
    ### BEGIN SOLUTION
    param -= lr * grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sgd_update", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_sgd_update():
    param, grad = in_place(np.array([1.0, 2.0])), np.array([10.0, -20.0])
    sgd_update(param, grad, 0.01)
    expect(param, [0.9, 2.2], "[1, 2] with gradient [10, -20] and lr 0.01, in the same array", rtol=1e-12)
    expect(grad, [10, -20], "the gradient stays as it is")

    number = in_place(np.array(3.0))
    sgd_update(number, np.array(2.0), 0.5)
    expect(number, 2, "an array of shape (): 3 - 0.5 · 2")
    weights = np.ones((2, 3), np.float32)
    sgd_update(in_place(weights[:, 1]), np.array([1.0, -1.0], np.float32), 0.5)
    expect(weights, [[1, 0.5, 1], [1, 1.5, 1]], "a column of a table is updated where it lies")
    sgd_update(weights, np.zeros((2, 3), np.float32), 0.5)
    expect(weights, [[1, 0.5, 1], [1, 1.5, 1]], "where the slope is 0, nothing moves", dtype=np.float32)
    print("🔬 sgd_update: passed")

test_unit_sgd_update()

# %% nbgrader={"grade": true, "grade_id": "test-sgd_update-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: another rate, and the largest gradient next to the smallest.
### BEGIN HIDDEN TESTS
scalar = in_place(np.array(3.0))
sgd_update(scalar, np.array(-0.5), 2.0)
expect(scalar, 4, "3 with gradient -0.5 and lr 2")
far = in_place(np.zeros(3))
sgd_update(far, np.array([1e12, -1e-12, 3.0]), 0.25)
expect(far, [-2.5e11, 2.5e-13, -0.75], "gradients of 1e12 and 1e-12", rtol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
Now the question of how far. The parabola 12.5·x² has the slope 25·x. Predict for which of these rates 20 steps from x = 1 get close to 0, before you run:
"""

# %%
for lr in (0.001, 0.02, 0.04, 0.079, 0.081):
    x = np.array([1.0])
    for _ in range(20):
        sgd_update(x, 25 * x, lr)
    print(f"lr {lr:5}: x = {x[0]: .1e}")

# %% [markdown]
r"""
Each step multiplies x by 1 − 25·lr. Rate 0.04 lands at once; at 0.08 = 2/25 the factor is −1, and beyond it every step
overshoots by more than the one before. The *steepest* direction of a landscape sets this limit for all the others.

## Momentum

In a valley, gradients point mostly across and only a little along. Momentum adds the gradients up: across, they alternate and
cancel; along, they agree and grow (Polyak, 1964). The sum is kept in a *buffer*. Before each addition the buffer is multiplied
by the factor `momentum`, usually 0.9, so that old gradients fade:

    gradients            10,   10,    −6        momentum 0.9, dampening 0
    buffer               10,   19,    11.1      9 + 10 = 19,  17.1 − 6 = 11.1

A gradient that stays the same ends up ten times its size, 1 / (1 − 0.9). `dampening` shrinks each gradient that is added, to
the share 1 − dampening of it. The very first step is an exception, as in PyTorch: the whole gradient is copied into the buffer.

**Write `momentum_update(buffer, grad, momentum, dampening, first)`**, which changes `buffer` in place, also one of shape
`()`. In the first step its content means nothing: it may even hold `nan`, which survives a multiplication by 0. The buffer is
an array of its own: when `grad` changes later, it stays.
"""

# %% nbgrader={"grade": false, "grade_id": "momentum_update", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What has to be left of the buffer's old content in the first step, and what in all others?", "Multiplying what is nan by 0 leaves nan, so the first step overwrites instead of scaling. An assignment to all entries that works for any number of axes uses an ellipsis as its index.", "In all other steps: scale the buffer in place, then add the share of the gradient in place."], "minutes": 15, "objective": "descent"}
#| export
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    """Shrink the running sum `buffer` by `momentum` and add (1 - dampening) of `grad`, in place.

    first: whatever `buffer` holds is overwritten with the whole of `grad`.
    """
    ### BEGIN SOLUTION
    if first:
        buffer[...] = grad
    else:
        buffer *= momentum
        buffer += (1 - dampening) * grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-momentum_update", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_momentum_update():
    buffer = in_place(np.array([np.nan, np.nan]))
    steps = [([10.0, 1.0], [10, 1]), ([10.0, -1.0], [19, -0.1]), ([-6.0, 1.0], [11.1, 0.91])]
    for step, (values, expected) in enumerate(steps):
        grad = np.array(values)
        momentum_update(buffer, grad, 0.9, 0.0, step == 0)
        expect(buffer, expected, f"the buffer after step {step + 1}, momentum 0.9", rtol=1e-12)
        expect(grad, values, "the gradient stays as it is")

    copied, grad = in_place(np.empty(1)), np.array([4.0])
    momentum_update(copied, grad, 0.9, 0.0, True)
    grad += 1
    expect(copied, [4], "the buffer after the first step, when the gradient's array has got another content")
    number = in_place(np.array(np.nan))
    momentum_update(number, np.array(4.0), 0.5, 0.0, True)
    momentum_update(number, np.array(1.0), 0.5, 0.0, False)
    expect(number, 3, "a buffer of shape (): 4, then 0.5 · 4 + 1")
    print("🔬 momentum_update: passed")

test_unit_momentum_update()

# %% nbgrader={"grade": true, "grade_id": "test-momentum_update-dampening", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_momentum_update_dampening():
    buffer = in_place(np.array([7.0]))
    momentum_update(buffer, np.array([10.0]), 0.5, 0.4, True)
    expect(buffer, [10], "first step with dampening 0.4: the whole gradient")
    momentum_update(buffer, np.array([10.0]), 0.5, 0.4, False)
    expect(buffer, [11], "second step: 0.5 · 10 + 0.6 · 10", rtol=1e-12)
    print("🔬 momentum_update, dampening: passed")

test_unit_momentum_update_dampening()

# %% nbgrader={"grade": true, "grade_id": "test-momentum_update-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: a long run of one gradient, float32, a part of a table.
### BEGIN HIDDEN TESTS
table = np.zeros((3, 2), np.float32)
for number in range(200):
    momentum_update(in_place(table[1:]), np.full((2, 2), 3, np.float32), 0.75, 0.5, number == 0)
expect(table, [[0, 0], [6, 6], [6, 6]], "200 gradients of 3, momentum 0.75, dampening 0.5", rtol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
See the valley lose its walls. Across, the slope is 10 and changes its sign every time; along, it is always 1. Where will the
two numbers settle?
"""

# %%
buffer = np.zeros(2)
for step in range(64):
    momentum_update(buffer, np.array([(-1.0) ** step * 10, 1.0]), 0.9, 0.0, step == 0)
    if step + 1 in (1, 2, 4, 8, 16, 32, 63, 64):
        print(f"step {step + 1:2}: across {buffer[0]:6.2f}   along {buffer[1]:5.2f}")

# %% [markdown]
r"""
Across, it settles at 10 / (1 + 0.9) = 5.26 with changing sign, about half of a single slope; along, at 1 / (1 − 0.9) = 10
slopes. Before, the walls pulled ten times as hard as the way down; now they pull half as hard.

## Weight decay

Large weights make a function that swings between the examples it has seen. *Weight decay* pulls all of them towards 0, each in
proportion to its size: it adds to the gradient the slope of ½ · weight_decay · param², as if this penalty stood in the loss
(which is why it is also called an L2 penalty).

    grad  [1, 0]    param  [10, −10]    weight_decay 0.1    →    [1 + 1, 0 − 1] = [2, −1]

**Write `coupled_decay(grad, param, weight_decay)`**, which *returns* the sum as a new array and changes neither argument:
whoever looks at `parameter.grad` after the step should find there what `backward` wrote.
"""

# %% nbgrader={"grade": false, "grade_id": "coupled_decay", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What is the derivative of half a constant times the square of a number?", "Build the sum with an operator that makes a new array, so that neither argument changes."], "minutes": 5, "objective": "decay"}
#| export
def coupled_decay(grad, param, weight_decay):
    """A new array: `grad` with the slope of the penalty ½ · weight_decay · param² added to it."""
    ### BEGIN SOLUTION
    return grad + weight_decay * param
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-coupled_decay", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_coupled_decay():
    grad, param = np.array([1.0, 0.0]), np.array([10.0, -10.0])
    expect(coupled_decay(grad, param, 0.1), [2, -1], "grad [1, 0], param [10, -10], weight_decay 0.1")
    expect(grad, [1, 0], "the gradient stays as backward wrote it")
    expect(param, [10, -10], "the parameter is not moved here")
    ones = np.ones(2, np.float32)
    expect(coupled_decay(ones, ones, 0.5), [1.5, 1.5], "float32 stays float32", dtype=np.float32)
    print("🔬 coupled_decay: passed")

test_unit_coupled_decay()

# %% nbgrader={"grade": true, "grade_id": "test-coupled_decay-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: it is the derivative of the penalty, at other numbers.
### BEGIN HIDDEN TESTS
place, strength, eps = np.array([[3.0, -0.25], [0.0, 8.0]]), 0.3, 1e-6
penalty = lambda at: 0.5 * strength * at**2
slope = (penalty(place + eps) - penalty(place - eps)) / (2 * eps)
got = coupled_decay(np.full((2, 2), -1.0), place, strength)
expect(got, slope - 1, "the slope of the penalty, less 1", rtol=1e-7)
### END HIDDEN TESTS

# %% [markdown]
r"""
A parameter that no example needs has gradient 0. How many steps halve it if lr · weight_decay is 0.01? Guess, then read:
"""

# %%
unused, steps = np.array([1.0]), 0
while unused[0] > 0.5:
    sgd_update(unused, coupled_decay(np.zeros(1), unused, 0.1), 0.1)
    steps += 1
print(f"after {steps} steps: {unused[0]:.3f}")

# %% [markdown]
r"""
## From functions to an optimizer

What is left is bookkeeping, and it is provided. Four ideas are in it:

- **State belongs to a parameter.** `optimizer.state` is a dictionary from each parameter to its arrays, made at the first step,
  float32 for float32 parameters. In `state_dict()` parameters are numbers (their places in the list), so that a file can hold it.
- **Groups.** Instead of Tensors an optimizer takes dictionaries as well,
  `[{"params": weights}, {"params": biases, "weight_decay": 0}]`. What a group does not say comes from the constructor. A schedule
  later changes `group["lr"]`.
- **No gradient, no step.** A parameter whose `grad` is None was not used; it is left out, with its state. That is different from
  a gradient of 0, with which momentum still moves it.
- **Blocks.** Your functions make temporary arrays, as large as what they are given. `blocks` gives them 32,768 entries at a time
  (views, so that writing into one writes into the parameter): temporaries stay small and in the cache, whatever the size of the
  parameter. Measured below.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-optimizer", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
BLOCK = 2**15  # entries


def blocks(*arrays):
    """Cut arrays of one shape into the same pieces of at most BLOCK entries, all views.

    Arrays that do not lie in memory row by row stay in one piece, and the caller's temporaries are then of
    that size.
    """
    if arrays[0].size <= BLOCK or not all(array.flags.c_contiguous for array in arrays):
        yield arrays
    else:
        flat = [array.reshape(-1) for array in arrays]
        for start in range(0, arrays[0].size, BLOCK):
            yield [array[start : start + BLOCK] for array in flat]


class Optimizer:
    """Parameters in groups, each with settings, and what has to be remembered about every parameter.

    params: Tensors, or dictionaries with "params" and settings of their own. A subclass says in `update` what
    a step does to one parameter. Raises ValueError for a setting out of range, for a parameter given twice,
    and for a Tensor that cannot get a gradient (a frozen Parameter may be there: it is skipped), TypeError
    for what is no Tensor.
    """

    def __init__(self, params, defaults):
        self.defaults, self.param_groups, self.state = defaults, [], defaultdict(dict)
        if isinstance(params, (Tensor, dict)):
            kind = type(params).__name__
            self._refuse(TypeError, f"params is a list of Tensors or of dictionaries, not a single {kind}")
        groups = list(params)
        if not groups:
            self._refuse(
                ValueError, "no parameters (a generator such as model.parameters() can be used only once)"
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _refuse(self, kind, message):
        raise kind(f"{type(self).__name__}: {message}")

    def add_param_group(self, param_group):
        """Add a dictionary with "params", a Tensor or several, and settings other than the constructor's."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            self._refuse(
                TypeError, 'a group is a dictionary with an entry "params"; do not mix groups with Tensors'
            )
        params = param_group["params"]
        if isinstance(params, set):
            self._refuse(TypeError, "the order of parameters matters, and a set has none: pass a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        seen = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        for i, parameter in enumerate(params):
            place = f"parameter {i} of group {len(self.param_groups)}"
            if not isinstance(parameter, Tensor):
                self._refuse(TypeError, f"{place} is a {type(parameter).__name__}, not a Tensor")
            if not parameter.is_leaf:
                self._refuse(
                    ValueError, f"{place} was computed from other Tensors; pass those that it came from"
                )
            if not (parameter.requires_grad or isinstance(parameter, Parameter)):
                self._refuse(ValueError, f"{place} does not have requires_grad=True, so it would never move")
            if id(parameter) in seen:
                self._refuse(ValueError, f"{place} is in the list twice, and would be moved twice in a step")
            seen.add(id(parameter))
        group = {**self.defaults, **param_group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group):
        """Raise ValueError where a setting of a group is out of its range."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if name in group and not group[name] >= 0:
                self._refuse(ValueError, f"{name} is {group[name]}, and must not be negative")
        for beta in group.get("betas", ()):
            if not 0 <= beta < 1:
                self._refuse(ValueError, f"betas are at least 0 and less than 1, not {group['betas']}")

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, or, with set_to_none=False, fill them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad[...] = 0

    def step(self, closure=None):
        """Move every parameter that has a gradient, in place. closure: computes the loss and returns it."""
        loss = None if closure is None else closure()
        with np.errstate(all="ignore"):  # inf and nan go through the arithmetic without a word, as in PyTorch
            for group in self.param_groups:
                for i, parameter in enumerate(group["params"]):
                    if parameter.grad is not None:
                        if np.shape(parameter.grad) != parameter.shape:
                            shapes = f"shape {parameter.shape}, its gradient {np.shape(parameter.grad)}"
                            self._refuse(ValueError, f"parameter {i} of its group has {shapes}")
                        self.update(parameter, np.asarray(parameter.grad), group)
        return loss

    def update(self, parameter, grad, group):
        raise NotImplementedError(f"{type(self).__name__} has no update method")

    def state_dict(self):
        """A copy: {"state": {number of a parameter: arrays}, "param_groups": [settings, with numbers]}."""
        places = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                places[parameter] = len(places)
        state = {place: deepcopy(self.state[p]) for p, place in places.items() if self.state.get(p)}
        groups = [
            {
                name: [places[p] for p in value] if name == "params" else deepcopy(value)
                for name, value in group.items()
            }
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Continue where `state_dict` (copied, also PyTorch's) was made, over the same list of parameters.

        Raises ValueError where groups, their sizes or the shapes of the state do not fit, and then has loaded
        nothing.
        """
        saved, sizes = state_dict["param_groups"], [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in saved] != sizes:
            found = [len(group["params"]) for group in saved]
            self._refuse(
                ValueError, f"groups of {sizes} parameters here, of {found} in the state; nothing was loaded"
            )
        loaded = defaultdict(dict)
        for group, other in zip(self.param_groups, saved, strict=True):
            self.check({**group, **other})
            for parameter, place in zip(group["params"], other["params"], strict=True):
                for name, value in state_dict["state"].get(place, {}).items():
                    if name == "step":
                        loaded[parameter][name] = int(value)
                    elif value is not None:
                        loaded[parameter][name] = array = np.asarray(value, parameter.dtype).copy()
                        if array.shape != parameter.shape:
                            shapes = f"{name} has shape {array.shape}, and the parameter {parameter.shape}"
                            self._refuse(ValueError, f"parameter {place}: {shapes}; nothing was loaded")
        self.state = loaded
        for group, other in zip(self.param_groups, saved, strict=True):
            group.update({name: deepcopy(value) for name, value in other.items() if name != "params"})

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

# %% [markdown]
r"""
Your three functions make `SGD`. **Nesterov's** form (Nesterov, 1983; in this formula Sutskever and others, 2013) is provided
with it: where the buffer is going anyway is known before the step, so go by gradient plus momentum · buffer instead of the
buffer alone, one step ahead.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-SGD", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class SGD(Optimizer):
    """Gradient descent with momentum (Polyak, 1964), also in Nesterov's form, and an L2 weight decay."""

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False):
        settings = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, {"lr": lr, **settings})

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            self._refuse(ValueError, "nesterov=True needs a momentum greater than 0, and no dampening")

    def update(self, parameter, grad, group):
        arrays, momentum, first = [parameter.data, grad], group["momentum"], False
        if momentum != 0:
            state = self.state[parameter]
            first = "momentum_buffer" not in state
            if first:
                state["momentum_buffer"] = np.empty_like(parameter.data)
            arrays.append(state["momentum_buffer"])
        for param, direction, *buffer in blocks(*arrays):
            if group["weight_decay"] != 0:
                direction = coupled_decay(direction, param, group["weight_decay"])
            if buffer:
                momentum_update(buffer[0], direction, momentum, group["dampening"], first)
                direction = direction + momentum * buffer[0] if group["nesterov"] else buffer[0]
            sgd_update(param, direction, group["lr"])

# %% [markdown]
r"""
It works as in PyTorch. The three lines of every training loop, `zero_grad`, `backward` and `step`, and what a group is good for:
"""

# %%
weight, bias = Parameter([[3.0, 4.0]]), Parameter([3.0])
optimizer = SGD([{"params": weight, "weight_decay": 0.5}, {"params": bias}], lr=0.1, momentum=0.5)
for _ in range(20):
    optimizer.zero_grad()
    ((weight * 0.0).sum() + bias * bias).sum().backward()
    optimizer.step()
print(optimizer)
print("weight, which no loss needs, decays:", weight.numpy())
print("bias, on its way to the minimum of b²:", bias.numpy())

# %% [markdown]
r"""
## Adam

One learning rate for all numbers of a network is a compromise: the gradient of one may be a thousand times that of another.
*Adam* (Kingma and Ba, 2015) measures each number's gradient by its own history. It keeps two running averages per number: the
`mean` m of the gradients, and the mean `square` v of the gradients,

$$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$

and goes by their ratio m / √v. Where all gradients have been alike, it is 1 or −1, whatever their size; where the sign changes,
it is small.

Both averages start at 0, so in the beginning they are far too small. After t steps they have seen only a share 1 − βᵗ of a full
average, and are divided by it:

$$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad \theta \leftarrow \theta - \text{lr} \cdot \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$

In the first step (lr 0.1, betas 0.9 and 0.999), with gradients that differ by a factor of 100:

    grad     [10, −0.1]
    mean     [1, −0.01]     over 1 − 0.9    →  [10, −0.1]
    square   [0.1, 10⁻⁵]    over 1 − 0.999  →  [100, 0.01],  root [10, 0.1]
    ratio    [1, −1]        param [1, 2]    →  [0.9, 2.1]

**Write `adam_update(param, grad, mean, square, *, step, lr, betas, eps)`**: it changes `mean`, `square` and `param` in place.
`step` counts from 1. ε is added to the root of the corrected square, not under it. `sgd_update` can make the last move.
"""

# %% nbgrader={"grade": false, "grade_id": "adam_update", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which four arrays are changed or read, and which three of them in place?", "First the two averages, in place, each from its own old value; then two corrected copies of them, which are only for this step; then the move.", "The power of beta in the correction is the number of the step. Take the root of the corrected square first and add eps to that root."], "minutes": 35, "objective": "adam"}
#| export
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    """One step of Adam (Kingma and Ba, 2015), in place: moves `param`, `mean` and `square`, arrays of one
    shape.

    mean, square: the running averages of the gradient and of its square. step: the number of this step, from
    1.
    """
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    mean *= beta1
    mean += (1 - beta1) * grad
    square *= beta2
    square += (1 - beta2) * np.square(grad)
    full_mean = mean / (1 - beta1**step)
    full_square = square / (1 - beta2**step)
    sgd_update(param, full_mean / (np.sqrt(full_square) + eps), lr)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-adam_update-moments", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_adam_update_moments():
    param, mean, square = in_place(np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    steps = [
        ([10.0, -0.1], [1, -0.01], [0.1, 1e-5]),
        ([0.0, -0.1], [0.9, -0.019], [0.0999, 1.999e-5]),
        ([-5.0, 0.2], [0.31, 0.0029], [0.1248001, 5.997001e-5]),
    ]
    for step, (values, first, second) in enumerate(steps, start=1):
        grad = np.array(values)
        adam_update(param, grad, mean, square, step=step, lr=0.1)
        expect(mean, first, f"the mean after step {step}, without its correction", rtol=1e-9)
        expect(square, second, f"the mean square after step {step}, without its correction", rtol=1e-9)
        expect(grad, values, "the gradient stays as it is")
    print("🔬 adam_update, averages: passed")

test_unit_adam_update_moments()

# %% nbgrader={"grade": true, "grade_id": "test-adam_update-steps", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_adam_update_steps():
    param, mean, square = in_place(np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    steps = [([10.0, -0.1], [0.9, 2.1]), ([0.0, -0.1], [0.832994, 2.2]), ([-5.0, 0.2], [0.815267, 2.192435])]
    for step, (grad, expected) in enumerate(steps, start=1):
        adam_update(param, np.array(grad), mean, square, step=step, lr=0.1)
        expect(param, expected, f"param after step {step}, both averages corrected", atol=1e-6)

    param, *states = in_place(np.array(0.0), np.zeros(()), np.zeros(()))
    adam_update(param, np.array(3e-8), *states, step=1, lr=1.0, eps=1e-8)
    expect(param, -0.75, "gradient 3e-8 and eps 1e-8, shape (): eps beside the root, 3/(3 + 1)", rtol=1e-6)

    table, states = in_place(np.ones((2, 2), np.float32), np.zeros((2, 2, 2), np.float32))
    grad = np.array([1.0, -1.0], np.float32)
    adam_update(table[0], grad, states[0, 0], states[1, 0], step=1, lr=0.5, betas=(0.5, 0.5))
    expect(table, [[0.5, 1.5], [1, 1]], "a row of a table is updated where it lies", rtol=1e-6)
    halves = [[[0.5, -0.5], [0, 0]], [[0.5, 0.5], [0, 0]]]
    expect(states, halves, "betas 0.5: half of the gradient and half of its square are remembered")
    print("🔬 adam_update, steps: passed")

test_unit_adam_update_steps()

# %% nbgrader={"grade": true, "grade_id": "test-adam_update-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: 60 random steps of one number, against the formulas written out for it.
### BEGIN HIDDEN TESTS
drawn = np.random.default_rng(6).normal(0, 2, 60)
place, mean, square = in_place(np.array([[0.5]]), np.zeros((1, 1)), np.zeros((1, 1)))
at = 0.5
for number in range(1, 61):
    grad = drawn[number - 1 : number].reshape(1, 1)
    adam_update(place, grad, mean, square, step=number, lr=0.03, betas=(0.8, 0.95), eps=1e-3)
    m = sum(0.2 * 0.8 ** (number - k) * drawn[k - 1] for k in range(1, number + 1)) / (1 - 0.8**number)
    v = sum(0.05 * 0.95 ** (number - k) * drawn[k - 1] ** 2 for k in range(1, number + 1)) / (
        1 - 0.95**number
    )
    at -= 0.03 * m / (math.sqrt(v) + 1e-3)
    expect(place, [[at]], f"step {number} of 60", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
How large is a step of Adam? Three parameters, whose gradients are random around a mean: a hundred, a tenth, and 0. Predict how
far each gets in 100 steps with lr 0.01:
"""

# %%
param, mean, square = np.zeros(3), np.zeros(3), np.zeros(3)
draws = np.random.default_rng(0)
for step in range(1, 101):
    grad = np.array([100.0, 0.1, 0.0]) * draws.normal(1, 0.2, 3) + [0, 0, draws.normal()]
    adam_update(param, grad, mean, square, step=step, lr=0.01)
print("after 100 steps:", param.round(3))

# %% [markdown]
r"""
The first two went nearly 100 · 0.01 = 1, though their gradients differ by a factor of 1,000: where the sign does not change, a step
of Adam is about lr long. The third, whose gradients have both signs, stayed near its place.

## AdamW

Put weight decay into the gradient, and Adam divides it by √v with the rest: a parameter with large gradients hardly decays, one
with small gradients decays far too fast. That is not what was meant. *AdamW* (Loshchilov and Hutter, 2019) takes the decay out of
the gradient. First every parameter shrinks by the factor 1 − lr · weight_decay; then follows a step of Adam that knows nothing
of it:

    param [1, 2]   lr 0.1   weight_decay 0.5    →  times 0.95:  [0.95, 1.9]
    grad  [10, −0.1], the first step            →               [0.85, 2.0]

**Write `adamw_update(param, grad, mean, square, *, step, lr, betas, eps, weight_decay)`** with `adam_update`, which gets every
setting that it knows.
"""

# %% nbgrader={"grade": false, "grade_id": "adamw_update", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the two, the shrinking or the step of Adam, should see the parameter first?", "Shrink in place by a factor near 1, then let your Adam do all the rest, with every setting that you were given."], "minutes": 10, "objective": "decay"}
#| export
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    """One step of AdamW (Loshchilov and Hutter, 2019), in place: shrinks `param`, then moves it as Adam
    does."""
    ### BEGIN SOLUTION
    param *= 1 - lr * weight_decay
    adam_update(param, grad, mean, square, step=step, lr=lr, betas=betas, eps=eps)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-adamw_update", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_adamw_update():
    param, mean, square = in_place(np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    adamw_update(param, np.array([10.0, -0.1]), mean, square, step=1, lr=0.1, weight_decay=0.5)
    expect(param, [0.85, 2.0], "param after the first step", atol=1e-6)
    expect(mean, [1, -0.01], "the mean, which knows nothing of the decay", rtol=1e-12)
    expect(square, [0.1, 1e-5], "the mean square, which knows nothing of the decay", rtol=1e-9)
    adamw_update(param, np.array([0.0, -0.1]), mean, square, step=2, lr=0.1, weight_decay=0.5)
    expect(param, [0.740494, 2.0], "param after the second step", atol=1e-6)

    still, *states = in_place(np.array(8.0), np.zeros(()), np.zeros(()))
    adamw_update(still, np.zeros(()), *states, step=1, lr=0.5, weight_decay=0.25)
    expect(still, 7, "gradient 0, lr 0.5, weight_decay 0.25: 8 shrinks by an eighth")

    param, mean, square = in_place(np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    settings = {"lr": 0.1, "betas": (0.5, 0.5), "eps": 0.1, "weight_decay": 0.5}
    adamw_update(param, np.array([1.0, -2.0]), mean, square, step=1, **settings)
    expect(param, [0.8590909, 1.9952381], "betas 0.5 and eps 0.1 reach Adam: step 1", atol=1e-6)
    adamw_update(param, np.array([3.0, -2.0]), mean, square, step=2, **settings)
    expect(param, [0.7269625, 1.9907143], "betas 0.5 and eps 0.1 reach Adam: step 2", atol=1e-6)
    print("🔬 adamw_update: passed")

test_unit_adamw_update()

# %% nbgrader={"grade": true, "grade_id": "test-adamw_update-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: without decay it is Adam, with all of its settings.
### BEGIN HIDDEN TESTS
mine, plain = (in_place(np.array([3.0, -1.0]), np.zeros(2), np.zeros(2)) for _ in range(2))
for number in range(1, 6):
    slope = np.cos([number, 2.0 * number])
    adamw_update(mine[0], slope, *mine[1:], step=number, lr=0.2, betas=(0.7, 0.8), eps=0.5, weight_decay=0.0)
    adam_update(plain[0], slope, *plain[1:], step=number, lr=0.2, betas=(0.7, 0.8), eps=0.5)
    expect(mine, plain, f"weight_decay 0, step {number}: param, mean and square are Adam's")
### END HIDDEN TESTS

# %% [markdown]
r"""
The classes, with PyTorch's names in the state: `step`, `exp_avg`, `exp_avg_sq`. `Adam` has the coupled form of decay, as it has there.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-Adam", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
class Adam(Optimizer):
    """A step size for each single number (Kingma and Ba, 2015); weight_decay is added to the gradient."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, parameter, grad, group):
        state, data = self.state[parameter], parameter.data
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(data), exp_avg_sq=np.zeros_like(data))
        state["step"] += 1
        settings = {"step": state["step"], "lr": group["lr"], "betas": group["betas"], "eps": group["eps"]}
        for piece in blocks(data, grad, state["exp_avg"], state["exp_avg_sq"]):
            self.update_piece(*piece, settings, group["weight_decay"])

    def update_piece(self, param, grad, mean, square, settings, weight_decay):
        if weight_decay != 0:
            grad = coupled_decay(grad, param, weight_decay)
        adam_update(param, grad, mean, square, **settings)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update_piece(self, param, grad, mean, square, settings, weight_decay):
        adamw_update(param, grad, mean, square, **settings, weight_decay=weight_decay)

# %% [markdown]
r"""
Two kinds of weights, all useless, all at 1: 500 with noisy gradients of size 10, and 500 with the same noise of size 0.1. Which
optimizer treats them alike? Predict what is left of each kind on average:
"""

# %%
for kind in (Adam, AdamW):
    weights, draws = Parameter(np.ones((2, 500))), np.random.default_rng(0)
    optimizer = kind([weights], lr=0.01, weight_decay=0.1)
    for _ in range(500):
        weights.grad = (np.array([[10], [0.1]]) * draws.normal(size=500)).astype(np.float32)
        optimizer.step()
    large, small = weights.numpy().mean(axis=1)
    print(f"{kind.__name__:6} after 500 steps: large gradients {large:.2f}, small gradients {small:.2f}")

# %% [markdown]
r"""
AdamW leaves (1 − 0.001)⁵⁰⁰ = 0.61 of both. Adam decays the first kind ten times too slowly and the second ten times too fast: its
decay, too, is divided by the size of the gradient.

## Part 2 of 2 · about 2 hours: schedules

Large steps to get there, small ones to settle: the best rate at the end is not the best one at the beginning. A *schedule* is a
function from the number of steps taken to the learning rate. Half a wave of a cosine is popular (Loshchilov and Hutter, 2017),
level at both ends:

    base 0.8, lowest 0, total 4:     step   0      1        2      3        4
                                     rate   0.8    0.6828   0.4    0.1172   0

It starts at `base`, is at `lowest` after `total` steps, and is half-way between them, at their mean, in the middle. After `total`
the wave goes on: at 2 · total the rate is back at `base`.

**Write `cosine_rate(step, total, base, lowest)`**, which returns a Python float (with `math`, not NumPy). Multiply π by step/total.
"""

# %% nbgrader={"grade": false, "grade_id": "cosine_rate", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Where does half a wave of a cosine start, and where does it end? Which line maps these two values to base and lowest?", "The cosine goes from 1 to minus 1: add one and halve, and you have the share of the way that is still above the lowest rate."], "minutes": 15, "objective": "schedules"}
#| export
def cosine_rate(step, total, base, lowest=0.0):
    """The rate after `step` steps, on a cosine from `base` to `lowest` at `total` (Loshchilov and Hutter)."""
    ### BEGIN SOLUTION
    share = (1 + math.cos(math.pi * step / total)) / 2
    return lowest + (base - lowest) * share
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-cosine_rate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_cosine_rate():
    for step, expected in enumerate([0.8, 0.6828427, 0.4, 0.1171573, 0.0]):
        expect(cosine_rate(step, 4, 0.8), expected, f"base 0.8, lowest 0, step {step} of 4", atol=1e-7)
    for step, expected in [(0, 5), (5, 3), (10, 1), (20, 5), (15, 3)]:
        expect(cosine_rate(step, 10, 5.0, 1.0), expected, f"base 5, lowest 1, step {step} of 10", atol=1e-12)
    expect(type(cosine_rate(1, 4, 0.8)), float, "the type of a rate")
    print("🔬 cosine_rate: passed")

test_unit_cosine_rate()

# %% nbgrader={"grade": true, "grade_id": "test-cosine_rate-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other numbers, and symmetry about the middle.
### BEGIN HIDDEN TESTS
for number in range(8):
    high, low = (float(cosine_rate(step, 7, 0.3, 0.02)) for step in (number, 7 - number))
    expect(high + low, 0.32, f"base 0.3, lowest 0.02: steps {number} and {7 - number} of 7", atol=1e-12)
    assert 0.02 - 1e-12 <= low <= 0.3 + 1e-12, f"step {7 - number} of 7 is between 0.02 and 0.3, not {low}"
expect(cosine_rate(1, 3, 2.0, 1.0), 1.75, "base 2, lowest 1, step 1 of 3", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
Adam's averages are poor estimates in the first steps, when few gradients have been seen, and a network's first gradients are
large. So most large models are trained with a *warm-up*: the rate grows in a straight line, and from its top falls in a straight
line to 0. As a factor, with warmup 3 and total 11:

    step      0     1     2     3     4     5          10    11    12
    factor    1/4   2/4   3/4   1     7/8   6/8   …    1/8   0     0

No step is wasted on a rate of 0: the line up starts one step before the first, so that the factor is 1 at step `warmup`. From
there on it falls, and it stays at 0 from `total` on. Without a warm-up (`warmup` 0) it starts at 1.

**Write `warmup_decay_factor(step, warmup, total)`**, with warmup < total.
"""

# %% nbgrader={"grade": false, "grade_id": "warmup_decay_factor", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write the two lines down as functions of the step; at which step do they meet?", "Before warmup the factor counts from one, not from zero, so that no step has rate 0. After total it must not become negative."], "minutes": 15, "objective": "schedules"}
#| export
def warmup_decay_factor(step, warmup, total):
    """The share of the full rate after `step` steps: in a line to 1 at `warmup`, then to 0 at `total`."""
    ### BEGIN SOLUTION
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(0.0, (total - step) / (total - warmup))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-warmup_decay_factor", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_warmup_decay_factor():
    table = {0: 0.25, 1: 0.5, 2: 0.75, 3: 1, 4: 0.875, 5: 0.75, 10: 0.125, 11: 0, 12: 0, 50: 0}
    for step, expected in table.items():
        expect(warmup_decay_factor(step, 3, 11), expected, f"warmup 3, total 11, step {step}", atol=1e-12)
    for step, expected in {0: 1, 1: 0.75, 3: 0.25, 4: 0}.items():
        expect(warmup_decay_factor(step, 0, 4), expected, f"no warm-up, total 4, step {step}", atol=1e-12)
    print("🔬 warmup_decay_factor: passed")

test_unit_warmup_decay_factor()

# %% nbgrader={"grade": true, "grade_id": "test-warmup_decay_factor-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other lengths; the longest warm-up there can be.
### BEGIN HIDDEN TESTS
factors = [warmup_decay_factor(number, 9, 10) for number in range(12)]
expect(factors, [*(np.arange(1, 11) / 10), 0, 0], "warmup 9, total 10, steps 0 to 11", atol=1e-12)
slopes = np.diff([float(warmup_decay_factor(number, 20, 60)) for number in range(61)])
expect(slopes, [1 / 21] * 20 + [-1 / 40] * 40, "warmup 20, total 60: the slopes of the two lines", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
A scheduler writes these rates into the groups. It keeps each group's first rate as `initial_lr`, and its `step()` comes after the
optimizer's, once for each batch or once for each epoch, as you count:
"""

# %% nbgrader={"grade": false, "grade_id": "provided-schedulers", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
class LRScheduler:
    """Sets the learning rate of every group as a function of the steps taken; one scheduler to an optimizer.

    A subclass says in `rate` what follows from a group's first rate. last_epoch: the steps already taken,
    less one; -1 starts afresh. Each rate is computed from the first one (PyTorch changes the rate before), so
    a rate that you set in between lasts until the next step.
    """

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            found = type(optimizer).__name__
            raise TypeError(f"{type(self).__name__}: the first argument is an optimizer, not a {found}")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                kind = type(self).__name__
                raise KeyError(
                    f"{kind}: group {i} has no initial_lr to go on from; load the optimizer's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rate(self, base, step):
        raise NotImplementedError(f"{type(self).__name__} has no rate method")

    def get_lr(self):
        """The rate of each group now."""
        return [float(self.rate(base, self.last_epoch)) for base in self.base_lrs]

    def get_last_lr(self):
        """The rates that the last step has set."""
        return self._last_lr

    def step(self):
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates):
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"] = rate
        self._last_lr = rates

    def state_dict(self):
        """Everything but the optimizer and functions."""
        return {
            name: deepcopy(value)
            for name, value in vars(self).items()
            if name not in ("optimizer", "lr_lambdas")
        }

    def load_state_dict(self, state_dict):
        """Continue where `state_dict` was made; the optimizer gets the rates of then."""
        vars(self).update(deepcopy(state_dict))
        self._set(list(self._last_lr))


def at_least_one(scheduler, **count):
    """Raise ValueError where a number of steps is less than 1."""
    for name, value in count.items():
        if value < 1:
            raise ValueError(
                f"{type(scheduler).__name__}: {name} is a number of steps, at least 1, not {value}"
            )


class StepLR(LRScheduler):
    """The rate times `gamma` after every `step_size` steps."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        at_least_one(self, step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return base * self.gamma ** (step // self.step_size)


class LambdaLR(LRScheduler):
    """The first rate times a function of the step; lr_lambda: one function, or a list with one a group."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} groups of parameters")
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [float(base * factor(self.last_epoch)) for base, factor in pairs]


class LinearLR(LRScheduler):
    """The rate times a factor, in a line from `start_factor` to `end_factor` in `total_iters` steps."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        at_least_one(self, total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        share = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the first rate to `eta_min` in `T_max` steps, and back up if training goes on."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        at_least_one(self, T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return cosine_rate(step, self.T_max, base, self.eta_min)


class WarmupDecayLR(LRScheduler):
    """In a line up for `warmup_steps`, then down to 0 at `total_steps`; PyTorch has it as a LambdaLR."""

    def __init__(self, optimizer, warmup_steps, total_steps, last_epoch=-1):
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"WarmupDecayLR: {warmup_steps} steps of warm-up do not fit into {total_steps} steps"
            )
        self.warmup_steps, self.total_steps = warmup_steps, total_steps
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return base * warmup_decay_factor(step, self.warmup_steps, self.total_steps)

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def analyze_schedules():
    """Draw the rates of four schedules over 100 steps."""
    schedules = [
        ("StepLR(30, 0.5)", lambda optimizer: StepLR(optimizer, 30, 0.5), "k-"),
        ("CosineAnnealingLR(100)", lambda optimizer: CosineAnnealingLR(optimizer, 100), "C0--"),
        ("WarmupDecayLR(10, 100)", lambda optimizer: WarmupDecayLR(optimizer, 10, 100), "C1:"),
        ("LambdaLR(0.95 ** step)", lambda optimizer: LambdaLR(optimizer, lambda step: 0.95**step), "C2-."),
    ]
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, make, style in schedules:
        optimizer, rates = SGD([Parameter([0.0])], lr=0.1), []
        scheduler = make(optimizer)
        for _ in range(101):
            rates += scheduler.get_last_lr()
            scheduler.step()
        axes.plot(rates, style, lw=2, label=name)
        print(f"📊 {name}: starts at {rates[0]:.3f}, highest {max(rates):.3f}", end=", ")
        print(f"{rates[50]:.4f} after 50 steps, {rates[100]:.4f} after 100")
    axes.set(xlabel="step", ylabel="learning rate", title="Four schedules")
    axes.legend(fontsize="small")
    plt.show()


analyze_schedules()

# %% [markdown]
r"""
## Clipping

One batch with a gradient a thousand times the usual one throws the parameters far away. *Clipping* limits the length of the gradient,
taken over **all** parameters together as one long vector, so that its direction stays (Pascanu, Mikolov and Bengio, 2013):

    grads   [3, 0], [[4]]        their norm: √(9 + 0 + 16) = 5
    max_norm 1                   all times 1/5:  [0.6, 0], [[0.8]]
    max_norm 10                  as they are

The norm of the whole is the norm of the single norms: √(3² + 4²), or for `norm_type` p the p-th root of the sum of p-th powers; for
`math.inf` it is the largest entry without its sign. `np.linalg.norm(array.ravel(), norm_type)` knows all of them, but an array without
entries has no largest one: it adds nothing, and if there is no other, the norm is 0. To divide by 0 without harm, PyTorch takes
max_norm / (norm + 10⁻⁶) as the factor, and never more than 1.

A norm of inf gives the factor 0: infinite entries become inf · 0 = nan, all others 0. A norm of nan gives nan everywhere; Python's
`min(1.0, nan)` is 1.0, `np.minimum` keeps the nan.

**Complete `clip_grad_norm_`**: from the list `grads` compute the norm; if `error_if_nonfinite` and it is inf or nan, raise a
`RuntimeError` that contains it, and change nothing; otherwise scale every gradient in place. Return the norm *before* the scaling, as
a Tensor of shape () with the dtype `result_dtype(*grads)`.
"""

# %% nbgrader={"grade": false, "grade_id": "clip_grad_norm_", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["The norm of a long vector follows from the norms of its pieces: which norm of those numbers is it?", "Compute one norm a gradient, then the norm of those norms. A gradient without entries adds nothing and has no largest entry, so leave it out, and think of the case that none is left.", "Compare with infinity and nan before anything is changed. The factor is the smaller one of two numbers, and a nan among them must come through: Python's own minimum may drop it, NumPy's does not."], "minutes": 40, "objective": "clipping"}
#| export
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale all gradients in place by one factor, so that their common norm is at most `max_norm`.

    parameters: a Tensor or several; those without a gradient do not count. norm_type: p of the p-norm, or
    math.inf. Returns the norm before, a Tensor of shape (). With a norm of inf the factor is 0, so that
    finite gradients become 0 and infinite ones nan; with nan all become nan. error_if_nonfinite=True raises
    RuntimeError instead.
    """
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(
            f"clip_grad_norm_: max_norm {max_norm} is negative, or norm_type {norm_type} not positive"
        )
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return Tensor(0.0)
    ### BEGIN SOLUTION
    norms = [np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {total}, and cannot be made {max_norm}"
        )
    factor = np.minimum(max_norm / (total + 1e-6), 1.0)
    for grad in grads:
        grad *= factor
    return Tensor(total, dtype=result_dtype(*grads))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-clip_grad_norm_", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_clip_grad_norm_():
    def parameters(*grads):
        made = [Parameter(np.zeros(np.shape(grad))) for grad in grads]
        for parameter, grad in zip(made, grads, strict=True):
            parameter.grad = np.array(grad, np.float32)
        return made

    a, b = parameters([3.0, 0.0], [[4.0]])
    arrays = a.grad, b.grad
    norm = clip_grad_norm_([a, Parameter([1.0]), b], 1.0)
    assert isinstance(norm, Tensor), f"the norm is a Tensor, got {norm!r}"
    expect(norm, 5, "the norm of [3, 0] and [[4]], as it was before", rtol=1e-6, dtype=np.float32)
    expect(arrays[0], [0.6, 0], "max_norm 1: the first gradient, scaled in its array", atol=1e-6)
    expect(arrays[1], [[0.8]], "max_norm 1: the second gradient, scaled in its array", atol=1e-6)
    assert a.grad is arrays[0] and b.grad is arrays[1], "gradients are scaled in the arrays that they lie in"

    a, b = parameters([3.0, 0.0], [[4.0]])
    expect(clip_grad_norm_(iter([a, b]), 10), 5, "max_norm 10: the norm", rtol=1e-6)
    expect(a.grad, [3, 0], "a norm below max_norm: the gradient stays")
    (zero,) = parameters([0.0, 0.0])
    expect(clip_grad_norm_(zero, 1.0), 0, "the norm of gradients of 0")
    expect(zero.grad, [0, 0], "gradients of 0 stay 0")
    print("🔬 clip_grad_norm_: passed")

test_unit_clip_grad_norm_()

# %% nbgrader={"grade": true, "grade_id": "test-clip_grad_norm_-orders", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_clip_grad_norm_orders():
    def gradients(*values):
        made = [Parameter(np.zeros(np.shape(value))) for value in values]
        for parameter, value in zip(made, values, strict=True):
            parameter.grad = np.array(value)
        return made

    for order, expected in [(1.0, 10.0), (math.inf, 4.0), (3.0, 100 ** (1 / 3))]:
        a, b = gradients([1.0, -2.0], [[3.0, -4.0]])
        norm = clip_grad_norm_([a, b], 2.0, norm_type=order)
        expect(norm, expected, f"norm {order} of 1, -2, 3, -4", rtol=1e-9)
        expect(a.grad, [2 / expected, -4 / expected], f"norm {order}, max_norm 2: 1 and -2 scaled", atol=1e-5)
    expect(clip_grad_norm_(gradients(np.zeros(0)), 1.0, math.inf), 0, "no entry at all: the norm inf")

    for bad, after in [(math.inf, [0, math.nan]), (math.nan, [math.nan, math.nan])]:
        (a,) = given = gradients([1.0, bad])
        expect_error(RuntimeError, str(bad), clip_grad_norm_, given, 1.0, error_if_nonfinite=True)
        expect(a.grad, [1, bad], "after the error the gradient is as it was")
        expect(clip_grad_norm_(given, 1.0), bad, f"gradient [1, {bad}]: the norm")
        expect(a.grad, after, f"gradient [1, {bad}], clipped without error_if_nonfinite")
    expect(clip_grad_norm_(gradients([3.0]), 1.0, error_if_nonfinite=True), 3, "a finite norm is no error")
    print("🔬 clip_grad_norm_, orders and errors: passed")


test_unit_clip_grad_norm_orders()

# %% nbgrader={"grade": true, "grade_id": "test-clip_grad_norm_-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes together, one of them without entries, in float64.
### BEGIN HIDDEN TESTS
many = [Parameter(Tensor(np.zeros(shape), dtype=np.float64)) for shape in [(3, 4), (), (2, 0), (5,)]]
values = np.random.default_rng(1).normal(size=18)
for parameter, part in zip(many, (values[:12], values[12:13], values[:0], values[13:]), strict=True):
    parameter.grad = part.reshape(parameter.shape).copy()
length = math.sqrt(sum(v * v for v in values))
norm = clip_grad_norm_(many, 0.5)
expect(norm, length, "the norm of 18 numbers in four arrays", atol=1e-12, dtype=np.float64)
scaled = np.concatenate([np.asarray(p.grad).ravel() for p in many])
expect(scaled, values * 0.5 / (length + 1e-6), "all 18 numbers, max_norm 0.5", rtol=1e-12)
many[0].grad[0, 0] = np.inf
expect(clip_grad_norm_(many, 1.0), math.inf, "the norm with one infinite entry")
expect(np.asarray(many[0].grad)[0, 0], math.nan, "the infinite entry after clipping")
expect(many[3].grad, [0] * 5, "the finite entries beside an infinite one")
expect(clip_grad_norm_(many[2], 1.0), 0, "without any entry the norm is 0")
### END HIDDEN TESTS

# %% [markdown]
r"""
What would be wrong with clipping every parameter by itself? Look at the direction of these two gradients before and after:
"""

# %%
a, b = Parameter([0.0]), Parameter([0.0])
for way in ("together", "one by one"):
    a.grad, b.grad = np.array([100.0], np.float32), np.array([1.0], np.float32)
    for part in [[a, b]] if way == "together" else [[a], [b]]:
        clip_grad_norm_(part, 1.0)
    print(f"{way:10}: [{a.grad[0]:.4f}, {b.grad[0]:.4f}], slope {b.grad[0] / a.grad[0]:.2f}")

# %% [markdown]
r"""
## Put together: 20 steps beside PyTorch

A small network in float64, its weights in two groups, gradients clipped, the rate on a schedule: every part of this module at
once. The loss in step 2 shows the first update; step 3 needs the state that the first step left; step 20 needs everything. The
numbers in the test are PyTorch 2.13's.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-twenty", "locked": true, "schema_version": 3, "solution": false, "task": false}
def twenty_steps(kind, **settings):
    """The loss before each of 20 steps, whether the parameters stayed in their arrays, and the last rates."""
    x, labels = Tensor(np.sin(np.arange(24.0)).reshape(8, 3), dtype=np.float64), np.arange(8) % 3
    model = Sequential(Linear(3, 5, dtype=np.float64), ReLU(), Linear(5, 3, dtype=np.float64))
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.data[...] = np.cos(np.arange(parameter.numel())).reshape(parameter.shape) / 2
    arrays = [parameter.data for parameter in parameters]
    matrices, vectors = [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim == 1]
    optimizer = kind([{"params": matrices}, {"params": vectors, "weight_decay": 0, "lr": 0.1}], **settings)
    schedule, losses = CosineAnnealingLR(optimizer, 20, eta_min=0.01), []
    for _ in range(20):
        optimizer.zero_grad()
        loss = CrossEntropyLoss()(model(x), labels)
        loss.backward()
        losses.append(loss.item())
        clip_grad_norm_(parameters, 0.3)
        optimizer.step()
        schedule.step()
    stayed = all(p.data is array for p, array in zip(parameters, arrays, strict=True))
    return losses, stayed, schedule.get_last_lr()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    nesterov = {"lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    runs = [
        ("SGD, Nesterov", SGD, nesterov, [1.150668480943, 1.125337044866, 1.099231084619, 1.015847445790]),
        ("SGD, dampening", SGD, {"lr": 0.2, "momentum": 0.8, "dampening": 0.1},
         [1.150668480943, 1.137065977722, 1.116824920101, 1.029659438973]),
        ("Adam", Adam, {"lr": 0.05, "weight_decay": 0.01},
         [1.150668480943, 1.092480026042, 1.064945403467, 0.958335879788]),
        ("AdamW", AdamW, {"lr": 0.05, "weight_decay": 0.1},
         [1.150668480943, 1.090731073375, 1.063004555694, 0.955286888949]),
    ]
    for name, kind, settings, expected in runs:
        losses, stayed, rates = twenty_steps(kind, **settings)
        for step, wanted in zip((1, 2, 3, 20), expected, strict=True):
            expect(losses[step - 1], wanted, f"{name}: the loss in step {step}", atol=1e-9)
        expect(stayed, True, f"{name}: the parameters stay in their arrays")
        expect(rates, [0.01, 0.01], f"{name}: both rates after 20 steps", atol=1e-12)
    print("🧪 module 06, 20 steps beside PyTorch with four optimizers: passed")

test_module()

# %% [markdown]
r"""
## Measure: a ravine

The valley ½·(x² + 25·y²) is 25 times steeper across than along. The way from (−8, 1.5) to (0, 0) is long and shallow, its walls
are near and steep. **Predict:** which path crosses the bottom of the valley in every step, which one runs past the end, and which
one has left most of its way behind after 40 steps?
"""

# %% tags=["measure"]
def descend(kind, steps=40, start=(-8.0, 1.5), **settings):
    """The points and the losses of a descent into the ravine."""
    point, curvature = Parameter(list(start)), Tensor([1.0, 25.0])
    optimizer, path, losses = kind([point], **settings), [point.numpy().copy()], []
    with np.errstate(over="ignore"):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (curvature * point * point).sum() * 0.5
            loss.backward()
            optimizer.step()
            path.append(point.numpy().copy())
            losses.append(loss.item())
    return np.array(path), losses

# %% tags=["measure"]
def analyze_ravine():
    """Contours of the ravine, and the paths of four optimizers."""
    runs = [
        ("SGD, lr 0.07", "o-", {"kind": SGD, "lr": 0.07}),
        ("momentum 0.8, lr 0.02", "s--", {"kind": SGD, "lr": 0.02, "momentum": 0.8}),
        ("Nesterov 0.8, lr 0.02", "^:", {"kind": SGD, "lr": 0.02, "momentum": 0.8, "nesterov": True}),
        ("Adam, lr 0.5", "d-.", {"kind": Adam, "lr": 0.5}),
    ]
    xs, ys = np.meshgrid(np.linspace(-9, 4.5, 200), np.linspace(-2.2, 2.2, 100))
    figure, panels = plt.subplots(2, 2, figsize=(8, 4.6), layout="constrained", sharex=True, sharey=True)
    for axes, (name, style, run) in zip(panels.flat, runs, strict=True):
        path, losses = descend(**run)
        levels = [0.5, 2, 8, 18, 32, 60]
        axes.contour(xs, ys, (xs**2 + 25 * ys**2) / 2, levels=levels, colors="0.75", linewidths=0.8)
        axes.plot(*path.T, style, color="C0", markersize=3, lw=1)
        axes.plot(0, 0, "k+", markersize=9)
        axes.set(title=name)
        crossings = int((np.diff(np.sign(path[:, 1])) != 0).sum())
        end = f"({path[-1][0]:.2f}, {path[-1][1]:.2f}), loss {losses[-1]:.2g}"
        print(f"📊 {name}: after 40 steps at {end}", end="; ")
        print(f"crossed the bottom {crossings} times, furthest right x = {path[:, 0].max():.2f}")
    for axes in panels[1]:
        axes.set(xlabel="x, along")
    for axes in panels[:, 0]:
        axes.set(ylabel="y, across")
    figure.suptitle("40 steps down a ravine; the cross is the minimum")
    plt.show()


analyze_ravine()

# %% [markdown]
r"""
Plain descent at nearly the largest rate that the walls allow jumps from one wall to the other in every step, 40 times, and has not
arrived. Momentum takes the long way faster, and its speed carries it past the end. Nesterov's form looks one step ahead and swings
less, both across and past the end. Adam measures both directions by their own gradients and sets out diagonally, as if the valley
were round; but its steps do not shrink with the slope, so it runs furthest past the end and circles before it settles.

**Predict:** for plain SGD, which of the rates 0.005, 0.02, 0.0769, 0.079 and 0.081 is lowest after 60 steps? Which one is not even
below its start? And how many steps to a tenth of the distance does momentum save?
"""

# %% tags=["measure"]
def analyze_learning_rates():
    """The loss in the ravine over the steps, for five learning rates."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for lr, style in [(0.005, ":"), (0.02, "--"), (2 / 26, "-"), (0.079, "-."), (0.081, "x-")]:
        _, losses = descend(SGD, steps=60, lr=lr)
        axes.semilogy(losses, style, label=f"lr {lr:.3g}", markersize=4)
        print(f"📊 lr {lr:.4f}: loss {losses[0]:.1f} at the start, {losses[-1]:.2g} after 60 steps")
    axes.set(xlabel="step", ylabel="loss", title="Plain SGD in the ravine")
    figure.legend(fontsize="small", ncols=5, loc="outside lower center")
    plt.show()
    for name, settings in [("plain", {"lr": 2 / 26}), ("momentum", {"lr": 1 / 9, "momentum": 4 / 9})]:
        path, _ = descend(SGD, steps=60, start=(1.0, 1.0), **settings)
        distance = np.linalg.norm(path, axis=1) / np.linalg.norm(path[0])
        steps = np.argmax(distance <= 0.1)
        print(f"📊 {name}, at its best settings: a tenth of the distance after {steps} steps")


analyze_learning_rates()

# %% [markdown]
r"""
The best rate is 2 / (1 + 25), where the shallow and the steep direction shrink equally fast, by 1 − 2/26 in each step. Above 2 / 25
the steep one grows. Between the best rate and the first that explodes lie four percent: the price of one rate for all directions.
The best settings of momentum, rate 1/9 and momentum 4/9, shrink both by 2/3 in each step in the long run (Polyak, 1964): the root
of 25 has taken the place of 25.

## Measure: what an optimizer remembers

**Predict**, for the 9,610 parameters of a 64-128-10 network in float32, 38,440 bytes: how many bytes of state do SGD, SGD with
momentum and Adam keep?
"""

# %% tags=["measure"]
import tracemalloc


def state_bytes(optimizer):
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return sum(value.nbytes for value in kept if isinstance(value, np.ndarray))


def analyze_state():
    """Bytes of parameters, gradients and state for three optimizers, drawn as multiples of the parameters."""
    kinds = [("SGD", SGD, {}), ("momentum", SGD, {"momentum": 0.9}), ("Adam", Adam, {})]
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for row, (name, kind, settings) in enumerate(kinds):
        model = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
        parameters = list(model.parameters())
        for parameter in parameters:
            parameter.grad = np.ones_like(parameter.data)
        optimizer = kind(parameters, **settings)
        optimizer.step()
        size, state = sum(p.nbytes for p in parameters), state_bytes(optimizer)
        left = 0
        bars = [("parameters", size, ""), ("gradients", size, "//"), ("state", state, "xx")]
        for label, part, hatch in bars:
            bar = {"left": left / 1e3, "hatch": hatch, "color": "0.85", "edgecolor": "0.3"}
            axes.barh(row, part / 1e3, label=label if row == 0 else None, **bar)
            left += part
        print(f"📊 {name}: parameters {size:,} bytes, gradients {size:,}, state {state:,}", end=", ")
        print(f"{state / size:.0f} times the parameters")
    names = [name for name, *_ in kinds]
    axes.set(yticks=range(3), yticklabels=names, xlabel="kilobytes", title="Held between steps, 64-128-10")
    figure.legend(fontsize="small", ncols=3, loc="outside lower center")
    plt.show()


analyze_state()

# %% [markdown]
r"""
Nothing, one copy, two copies: what each remembers of every number.

A step needs more for a moment, for its temporary arrays. **Predict**, for Adam on four million numbers in one array: how many times
the parameter do the temporaries take if the functions get all of it at once, and how many in blocks of 32,768? Which is faster?
"""

# %% tags=["measure"]
def analyze_blocks():
    """Time and temporary memory of one Adam step on four million numbers, over the size of the blocks."""
    global BLOCK
    kept, sizes, times, peaks = BLOCK, [2**k for k in (8, 10, 12, 14, 15, 16, 18, 20, 22)], [], []
    parameter = Parameter(np.ones(2**22))
    parameter.grad = np.full(2**22, 0.5, np.float32)
    optimizer = Adam([parameter])
    optimizer.step()
    try:
        for size in sizes:
            BLOCK = size
            times.append(best_seconds(optimizer.step, repeats=4) * 1e3)
            tracemalloc.start()
            optimizer.step()
            peaks.append(tracemalloc.get_traced_memory()[1] / parameter.nbytes)
            tracemalloc.stop()
    finally:
        BLOCK = kept
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.semilogx(sizes, times, "o-", base=2)
    title = "Adam on 4 million float32 numbers"
    axes.set(xlabel="entries in a block", ylabel="milliseconds for a step", title=title, ylim=(0, None))
    plt.show()
    for size, milliseconds, peak in zip(sizes, times, peaks, strict=True):
        print(f"📊 blocks of {size:9,}: {milliseconds:6.1f} ms, temporaries {peak:.3f} times the parameter")
    for name, place in (("the smallest blocks", 0), ("one piece", -1)):
        print(f"📊 {name}: {times[place] / times[sizes.index(kept)]:.1f} times the time of blocks of {kept:,}")


analyze_blocks()

# %% [markdown]
r"""
In one piece the temporaries take several times the parameter, and every pass over them goes through memory; in blocks that fit into
the cache they hardly count. The smallest blocks drown in calls of Python. The last two lines say what both cost on your machine.
The functions are the same in all cases, only what they are given differs.

## Measure: digits

The 64-128-10 network of module 05 and its digits, with three optimizers from the same start. **Predict** which has the lowest
training loss after one epoch, which after fifteen, and how many of the 360 unseen digits lie between the best and the worst.
"""

# %% tags=["measure"]
from sklearn.datasets import load_digits

from tinytorch.core.autograd import no_grad
from tinytorch.core.losses import accuracy
from tinytorch.core.tensor import manual_seed


def train_on_digits(make, epochs=15, batch=32, seed=0):
    """Train on 1,437 digits; the mean training loss and the accuracy on 360 others after each epoch."""
    manual_seed(seed)
    draws = np.random.default_rng(seed)
    digits = load_digits()
    order = draws.permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    model, loss_of = Sequential(Linear(64, 128), ReLU(), Linear(128, 10)), CrossEntropyLoss()
    optimizer, losses, scores = make(model.parameters()), [], []
    for _ in range(epochs):
        total, order = 0.0, draws.permutation(1437)
        for picked in np.array_split(order, len(order) // batch):
            optimizer.zero_grad()
            loss = loss_of(model(Tensor(images[picked])), labels[picked])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(picked)
        losses.append(total / 1437)
        with no_grad():
            scores.append(accuracy(model(Tensor(images[1437:])), labels[1437:]))
    return losses, scores

# %% tags=["measure"]
def analyze_digits():
    """Training loss and test accuracy of three optimizers over the epochs."""
    runs = [
        ("SGD, lr 0.1", "o-", lambda p: SGD(p, lr=0.1)),
        ("momentum 0.9, lr 0.1", "s--", lambda p: SGD(p, lr=0.1, momentum=0.9)),
        ("Adam, lr 0.003", "^:", lambda p: Adam(p, lr=0.003)),
    ]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
    ends = {}
    for name, style, make in runs:
        losses, scores = train_on_digits(make)
        epochs = range(1, len(losses) + 1)
        left.semilogy(epochs, losses, style, markersize=4, label=name)
        right.plot(epochs, np.array(scores) * 100, style, markersize=4, label=name)
        ends.setdefault("loss", losses[-1])  # plain SGD comes first
        reached = next(epoch for epoch, loss in zip(epochs, losses, strict=True) if loss <= ends["loss"])
        print(f"📊 {name}: training loss {losses[0]:.3f}, at the end {losses[-1]:.4f}", end="; ")
        correct = round(scores[-1] * 360)
        print(f"plain SGD's last loss in epoch {reached}; {correct} of 360 unseen digits right")
    left.set(xlabel="epoch", ylabel="training loss", title="What the optimizer sees")
    right.set(xlabel="epoch", ylabel="accuracy on unseen digits in %", title="What we want")
    for axes in (left, right):
        axes.set(xticks=range(1, 16, 2))
    figure.legend(*left.get_legend_handles_labels(), fontsize="small", ncols=3, loc="outside lower center")
    plt.show()


analyze_digits()

# %% [markdown]
r"""
Momentum and Adam arrive epochs earlier at the loss with which plain SGD ends. With momentum 0.9 a steady gradient moves ten times as
far, so part of the lead is simply a larger rate: try `SGD(p, lr=0.5)`. And the right panel does not repeat the left one: training
losses that lie far apart read the unseen digits almost equally well, within what another seed would change.

Two traps remain that no test of this module can catch. Without `zero_grad` gradients add up over all batches. And an optimizer
keeps the Tensors that it was given: build the model first, and do not replace its parameters afterwards.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-memory", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

A model with 7 billion parameters is to be trained in float32 on one machine with 100 GB of memory. Activations take 10 GB whatever
you do. (a) How many times the parameters did your run print as the state of SGD, of momentum and of Adam? Count with these numbers
the bytes between two steps for each of the three. Which of them fit? (b) A colleague proposes to keep Adam's two averages in 16 bits
each. Does it fit then, and which of the two averages would worry you more, knowing that the largest float16 is 65,504 and the
smallest positive one 6 · 10⁻⁸? (c) Another one says: "Adam with weight_decay=0.01 and AdamW with weight_decay=0.01 regularise
equally." For which weights is that most wrong? Give the numbers that your run printed for the useless weights.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-memory", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) state 0, 1 and 2 times the parameters; parameters 28 GB and gradients 28 GB; with 10 GB of activations SGD needs
66 GB, momentum 94 GB, Adam 122 GB: the first two fit, 1 point. (b) 28 + 28 + 28 + 10 = 94 GB fits; the mean square, since squares of
gradients below about 2 · 10⁻⁴ become 0 and the division by its root explodes, 1 point. (c) For weights with large gradients (Adam
leaves almost all of them, AdamW 0.61 of every weight; those with small gradients decay too fast), with the printed numbers, 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The loop of `train_on_digits` has been written twice now, by hand, and it forgets everything when it is interrupted. Module 07 makes a
trainer of it: history, evaluation, checkpoints that resume bit for bit, for which the `state_dict` of an optimizer is half of what
is needed. Next: `tito module complete 06_optimizers`.
"""
