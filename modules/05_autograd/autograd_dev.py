# %% [markdown]
r"""
# 05 Autograd

A loss says how wrong a network is. Its gradient says what to do about it: for each of the network's numbers, how much
the loss changes when that number grows a little. *Backpropagation* (Rumelhart, Hinton and Williams, 1986) finds all
of them in the time of a few runs.

Since module 01 every operation has had an empty slot for its gradient rule, and every Tensor with
`requires_grad=True` has been remembering what it was used for. Here you fill the slots and write the walk that chains
them. No file of modules 01 to 04 is edited, and at the end everything that you have built there is differentiable.
"""

# %%
from tinytorch.notebook import check_home, expect, expect_error

check_home()

# %%
#| default_exp core.autograd

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextlib
import math

import numpy as np

from tinytorch.core.activations import BLOCK, erf, gelu, in_blocks, relu, sigmoid, softmax_along, tanh
from tinytorch.core.layers import linear
from tinytorch.core.losses import bce_terms, log_softmax, softplus
from tinytorch.core.tensor import (
    Node, Op, Tensor, absolute, add, cast, clip, concat, div, exp, fill_key, index, log, matmul, maximum,
    minimum, mul, neg, normalize_axes, permute, power, reduce_max, reduce_mean, reduce_min, reduce_sum,
    reshape, sqrt, sub, where,
)
from tinytorch.kernels.precision import to_float32

# %% [markdown]
r"""
## Part 1 of 4 · about 3 hours: the walk

`tensor.backward()` looks for its engine in `Op.engine`. This cell puts it there: it refuses what cannot work, and
then calls `backward`, which you will write.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-engine", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def _start(tensor, grad):
    """What `tensor.backward(grad)` calls: checks the request, then runs `backward`."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "backward() on a Tensor without a history: nothing that it was computed from has "
            "requires_grad=True, or it was computed inside no_grad"
        )
    if grad is not None:
        grad = np.asarray(grad.data if isinstance(grad, Tensor) else grad, dtype=tensor.dtype)
        if grad.shape != tensor.shape:
            shapes = f"the Tensor has shape {tensor.shape}, grad has shape {grad.shape}"
            raise ValueError(f"backward(grad): {shapes}")
    with np.errstate(all="ignore"):  # the slope of a logarithm at 0 is inf: an answer, not an accident
        backward(tensor, grad)


Op.engine = _start

# %% [markdown]
r"""
## A gradient by trying

The derivative of x³ at 2 is 3·2² = 12. Without calculus: go a little to the right, a little to the left, and divide
the rise by the run, a *central difference*:

    f(2.000001) = 8.000012000006
    f(1.999999) = 7.999988000006
    rise / run  = 0.000024 / 0.000002 = 12

The same for an array: nudge one entry, leave the others. This is slow, and right to about 9 digits: the judge of
every rule in this module. (One-sided differences, `(f(x + eps) - f(x)) / eps`, give only half as many digits.)

**Write `numeric_gradient(function, x, eps)`**: for a `function` from an array to a number, its central differences at
`x`, one per entry. The array `x` may have any shape, also `()`, and any dtype; the differences are float64. The
caller's `x` must not change, not even for a moment: nudge a float64 copy.
"""

# %% nbgrader={"grade": false, "grade_id": "numeric_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which two arrays does the function have to see for one entry of the answer, and in what do they differ from `x`?", "An array of shape () has no length and no rows. NumPy can list the places of an array of any shape; look for a function of NumPy with index in its name.", "For each place: remember the entry, put in a little more, ask, put in a little less, ask, and put back what was there."], "minutes": 25, "objective": "differences"}
#| export
def numeric_gradient(function, x, eps=1e-6):
    """Central differences of `function` (array to number) at the array `x`: float64, in the shape of x."""
    ### BEGIN SOLUTION
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
        x[place] = middle
    return grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-numeric_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_numeric_gradient():
    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    got = numeric_gradient(lambda x: float((x**2).sum() + x[0, 0] * x[1, 1]), x)
    expect(got, [[-2, 4], [6, -7]], "a² + b² + c² + d² + a·d at [[1, 2], [3, -4]]", rtol=1e-7)
    got = numeric_gradient(lambda nudged: float((nudged * x).sum()), x)
    expect(got, [[1, 2], [3, -4]], "Σ nudged · x, where x, the caller's array, must stay as it is", rtol=1e-7)
    expect(x, [[1, 2], [3, -4]], "the caller's array afterwards")

    got = numeric_gradient(lambda x: float(x**3), np.array(2.0))
    expect(got, 12, "x³ at 2, an array of shape ()", rtol=1e-7)
    got = numeric_gradient(lambda x: float((x**3).sum() + x[0] * x[1]), np.array([1, 2]), eps=0.5)
    expect(got, [5.25, 13.25], "x³ + y³ + x·y at (1, 2), two integers, with eps = 0.5", rtol=1e-12)
    got = numeric_gradient(lambda x: float(np.exp(x).sum()), np.array([1.0], dtype=np.float32))
    expect(got, [math.e], "exp at 1, from a float32 array", atol=1e-7, dtype=np.float64)
    print("🔬 numeric_gradient: passed")

test_unit_numeric_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-numeric_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: another eps, other integers, an array without entries.
### BEGIN HIDDEN TESTS
got = numeric_gradient(lambda x: float((1000 * x**2).sum()), np.array([0.0, 0.5]), eps=1e-3)
expect(got, [0, 1000], "1000·x² at 0 and 0.5, eps 0.001", atol=1e-8)
expect(numeric_gradient(lambda x: float(x[0] * x[1]), np.array([3, 5])), [5, 3], "x·y at (3, 5)", rtol=1e-7)
expect(numeric_gradient(lambda x: 1.0, np.zeros((2, 0))).shape, (2, 0), "no entries: the shape")
### END HIDDEN TESTS

# %% [markdown]
r"""
## Rules

A rule knows one operation. It is given `grad`, how much the loss changes for each entry of the operation's *output*,
and answers how much it changes for each *input*: one array per input. For a product:

    out = a · b            a = [1, 2]      b = [3, 4]      out = [3, 8]
    grad = [10, 100]       the loss grows by 10 when out[0] grows by 1

If a[0] grows by 1, out[0] grows by b[0] = 3, and the loss by 10 · 3 = 30. So the gradient for `a` is `grad` times
`b`: [30, 400]. For `b` it is [10, 200]. That is the chain rule, and all of it.

A rule is registered with the operation's own decorator and is called as `rule(grad, out, a, b)`: all four are arrays,
or plain numbers such as the 2 of `2 * x`. It returns a tuple with one gradient per input, and never writes into what
it was given. Shapes that broadcasting changed are put right elsewhere, later.

**Write the rules of `add` and `mul`.**
"""

# %% nbgrader={"grade": false, "grade_id": "add_mul_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["In out = a + b: by how much does out grow when a grows by 1? And the loss, if grad says 10?", "Each answer is what came in times a derivative, and the derivative of a product for one factor is the other factor."], "minutes": 10, "objective": "rules"}
#| export
@add.gradient
def add_gradient(grad, out, a, b):
    ### BEGIN SOLUTION
    return grad, grad
    ### END SOLUTION


@mul.gradient
def mul_gradient(grad, out, a, b):
    ### BEGIN SOLUTION
    return grad * b, grad * a
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-add_mul_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_add_mul_gradient():
    grad, a, b = np.array([10.0, 100.0]), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for_a, for_b = mul_gradient(grad, a * b, a, b)
    expect(for_a, [30, 400], "mul, for a")
    expect(for_b, [10, 200], "mul, for b")
    for_a, for_b = add_gradient(grad, a + b, a, b)
    expect(for_a, [10, 100], "add, for a: a change of a is the same change of out")
    expect(for_b, [10, 100], "add, for b")
    expect([grad, a, b], [[10, 100], [1, 2], [3, 4]], "grad, a and b afterwards")
    print("🔬 add and mul: passed")

test_unit_add_mul_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-add_mul_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other numbers, and that the arrays that came in are left alone.
### BEGIN HIDDEN TESTS
upstream, first, second = np.array([[2.0, -1.0]]), np.array([[0.5, 3.0]]), np.array([[-4.0, 0.25]])
got = mul_gradient(upstream, first * second, first, second)
expect(list(got), [[[-8, -0.25]], [[1, -3]]], "mul, with grad [[2, -1]]")
got = add_gradient(upstream, first + second, first, second)
expect(list(got), [[[2, -1]], [[2, -1]]], "add, with grad [[2, -1]]")
expect([upstream, first, second], [[[2, -1]], [[0.5, 3]], [[-4, 0.25]]], "the arrays afterwards")
### END HIDDEN TESTS

# %% [markdown]
r"""
## In which order?

In `y = a·b + b`, the number `b` is used twice, so its gradient has two parts, and it is complete only when both users
have been visited. The order that guarantees this is a *topological order*: every Tensor comes after all that it was
computed from. Walk it from the end, and each Tensor is reached when its gradient is complete.

    a ──┐
        ├─ a·b ──┐             order:  a, b, a·b, y     (or b, a, a·b, y)
    b ──┤        ├─ y          walked: y, a·b, then a and b
        └────────┘

The picture is the *graph* of y. What a Tensor was computed from stands in `tensor.node.inputs`: Tensors, or None
where no gradient is wanted. A *leaf*, such as a parameter, was not computed; its `node` is None.

The textbook's version calls itself for each input. That breaks twice. Python allows about 1,000 nested calls, and a
chain of 10,000 operations is ordinary. And without a memory of what was seen, `x + x` repeated 60 times has 2⁶⁰ ways
through it. So keep a stack of your own, and a set of the ids of what was seen (two Tensors may hold equal numbers). A
depth-first walk pushes a Tensor twice: once to look at its inputs, and once more, *below* them, to be appended when
they are done.

**Write `topological_order(tensor)`**: the list of all Tensors that `tensor` depends on and that want a gradient, each
exactly once, itself last. Of a leaf it is a list of one.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-graphs", "locked": true, "schema_version": 3, "solution": false, "task": false}
def chain(tensor, length):
    """tensor + 1 + 1 + …: `length` additions, one after the other."""
    for _ in range(length):
        tensor = tensor + 1.0
    return tensor


def doubled(tensor, times):
    """tensor + tensor, then this sum + itself, …: `times` additions, and 2 ** times ways through them."""
    for _ in range(times):
        tensor = tensor + tensor
    return tensor

# %% nbgrader={"grade": false, "grade_id": "topological_order", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["When may a Tensor be appended: when you first meet it, or when all that it came from stands in the list?", "Let the stack hold pairs: a Tensor, and whether its inputs have been pushed already. What do you do with each of the two kinds when it comes off the stack?", "Mark a Tensor as seen when it comes off the stack for the first time, not when it is pushed: it may be pushed early by one user and be needed first by another."], "minutes": 45, "objective": "walk"}
#| export
def topological_order(tensor):
    """The Tensors that `tensor` came from and that want a gradient, each once, inputs first; itself last."""
    ### BEGIN SOLUTION
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            if current.node is not None:
                for x in current.node.inputs:
                    if x is not None:
                        stack.append((x, False))
    return order
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-topological_order", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_topological_order():
    a, b = Tensor([2.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    t = a * b
    y = t + b
    names = {id(a): "a", id(b): "b", id(t): "a·b", id(y): "y"}
    order = [names.get(id(tensor), "something else") for tensor in topological_order(y)]
    expect(sorted(order), ["a", "a·b", "b", "y"], "y = a·b + b: the four Tensors, each once, sorted by name")
    expect(order[2:], ["a·b", "y"], "y = a·b + b: the last two")
    expect([tensor is a for tensor in topological_order(a)], [True], "the order of a leaf: is it the leaf?")

    square = t * t
    total = t + square
    names = {id(t): "t", id(square): "t·t", id(total): "t + t·t"}
    order = [names.get(id(tensor), "a leaf") for tensor in topological_order(total)]
    expect(order[2:], ["t", "t·t", "t + t·t"], "t + t·t with t = a·b: all but the leaves")

    constant = Tensor([1.0])
    order = topological_order(a * constant)
    expect(len(order), 2, "a · constant: how many Tensors want a gradient")
    expect([tensor is constant for tensor in order], [False, False], "whether the constant is in the order")
    print("🔬 topological_order: passed")

test_unit_topological_order()

# %% nbgrader={"grade": true, "grade_id": "test-topological_order-large", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_topological_order_large():
    x = Tensor([1.0], requires_grad=True)
    expect(len(topological_order(doubled(x, 16))), 17, "16 doublings of one Tensor: length of the order")
    expect(len(topological_order(chain(x, 10_000))), 10_001, "10,000 additions in a row: length of the order")
    print("🔬 topological_order, wide and long: passed")

test_unit_topological_order_large()

# %% nbgrader={"grade": true, "grade_id": "test-topological_order-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: on random graphs, every Tensor stands behind its inputs.
### BEGIN HIDDEN TESTS
for seed in range(12):
    choice = np.random.default_rng(seed)
    made = [Tensor([float(i)], requires_grad=True) for i in range(3)]
    for _ in range(30):
        left, right = (made[i] for i in choice.integers(len(made), size=2))
        made.append(left * right if choice.random() < 0.5 else left + right)
    order = topological_order(made[-1])
    places = {id(tensor): place for place, tensor in enumerate(order)}
    assert order[-1] is made[-1] and len(places) == len(order), f"graph {seed}"
    for tensor in order:
        for x in tensor.node.inputs if tensor.node is not None else ():
            assert places[id(x)] < places[id(tensor)], f"graph {seed}: a Tensor stands before its input"
### END HIDDEN TESTS

# %% [markdown]
r"""
## The walk

`backward` keeps a dictionary: for the id of each Tensor, the gradient that has been collected for it so far.

1. Start the dictionary with the last Tensor: its gradient is `grad`. Where that is None and the Tensor has exactly
   one entry, it is an array that holds 1, in the Tensor's shape and dtype: so much does a loss change when it changes
   by 1.
2. Walk the order from the end. Take each Tensor's gradient out of the dictionary; by now it is complete.
3. A **leaf** adds it to its `tensor.grad`, which an earlier loss may have left there. (PyTorch accumulates, too, and
   that is why training loops clear gradients.) Where `grad` is None it becomes an array of its own: `np.array`
   copies. It stays an array, also of shape `()`; two such arrays added with `+` make a NumPy number.
4. **Any other Tensor** asks its rule: `input_gradients(node, grad, out)` takes three things of that Tensor: its node,
   its gradient, and its array `tensor.data` (not the Tensor: rules know arrays). It returns a list, for each input an
   array of that input's shape and dtype, or None where none is wanted. Add each to what has been collected for its
   input.
5. Then replace the Tensor's node by `_RELEASED`. That lets go of its arrays, and a second `backward` over the same
   graph will say so.

In 4, never add in place (`+=`) to an array that a rule returned: the rule of `add` returns one array twice.

`input_gradients` is given, in a folded cell.

**Write `backward(tensor, grad=None)`.** If `grad` is None and the Tensor does not have exactly one entry, raise a
`RuntimeError` that names the shape and says to pass `grad` (or to call `.sum()` or `.mean()` first).
"""

# %% nbgrader={"grade": false, "grade_id": "provided-input_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
@Op
def _released():
    """Stands in for an operation whose arrays `backward` has let go of."""


@_released.gradient
def _released_gradient(grad, out):
    raise RuntimeError("backward() ran through this graph before and released it; compute the output again")


_RELEASED = Node(_released, (), (), {})


def input_gradients(node, grad, out):
    """Ask the rule of `node`: a list with an array for each input that wants a gradient, None for the others.

    grad, out: arrays of one shape, the gradient of the node's output and that output. Each answer has the
    shape and dtype of its input. Raises RuntimeError naming the operation where it has no rule, or where
    the rule's answer cannot be right.
    """
    op, settings = node.op, node.settings
    if not isinstance(out, np.ndarray) or getattr(grad, "shape", None) != out.shape:
        got = [f"{type(x).__name__} of shape {np.shape(x)}" for x in (grad, out)]
        raise TypeError(f"input_gradients takes arrays of one shape; grad is a {got[0]}, out a {got[1]}")
    if op.rule is None:
        advice = f"give it one with @{op.__name__}.gradient, or detach() its input"
        raise RuntimeError(f"{op.__name__} has no gradient rule; {advice}")
    if op.rule_takes_needs:
        settings = {**settings, "needs": tuple([x is not None for x in node.inputs])}
    arrays = (grad, out, *node.arrays)
    if grad.itemsize == 2:  # float16, in which a rule could not sum
        arrays = to_float32(arrays)
    if Op.observer is None:
        answers = op.rule(*arrays, **settings)
    else:
        answers = Op.observer(op, op.rule, arrays, settings)
    answers = answers if isinstance(answers, (tuple, list)) else (answers,)
    if len(answers) != len(node.inputs):
        counts = f"{len(answers)} gradients for {len(node.inputs)} inputs"
        raise RuntimeError(f"the rule of {op.__name__} returned {counts}")
    return [x if x is None else _fitted(op, i, answers[i], node.arrays[i]) for i, x in enumerate(node.inputs)]


def _fitted(op, i, answer, array):
    """The gradient `answer` for input `i` of `op`, in the shape and dtype of that input's `array`."""
    if type(answer) is np.ndarray and answer.shape == array.shape and answer.dtype == array.dtype:
        return answer  # as nearly always
    if answer is None:
        raise RuntimeError(f"the rule of {op.__name__} returned no gradient for input {i}, which wants one")
    answer = np.asarray(answer)
    if answer.shape != array.shape and _broadcasts(array.shape, answer.shape):
        answer = unbroadcast(answer, array.shape)
    if answer.shape != array.shape:
        shapes = f"shape {answer.shape} for input {i} of shape {array.shape}"
        raise RuntimeError(f"the rule of {op.__name__} returned {shapes}")
    return answer.astype(array.dtype, copy=False)


def _broadcasts(small, large):
    """Whether an array of shape `small` broadcasts to the shape `large`."""
    pairs = zip(small[::-1], large[::-1], strict=False)
    return len(small) <= len(large) and all(size in (1, wide) for size, wide in pairs)

# %% nbgrader={"grade": false, "grade_id": "backward", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Follow y = a·b + b by hand: what does the dictionary hold before each of the four Tensors is visited?", "The first of several parts for an input opens its place in the dictionary; each further one is added to what is there, into a new array.", "Five things happen to a Tensor that is no leaf: its gradient is taken out, the rule is asked, the answers go to the inputs that want one, and its node is replaced."], "minutes": 60, "objective": "walk"}
#| export
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises
    RuntimeError without it for any other, for an operation without a rule, and on a graph that was released.
    """
    ### BEGIN SOLUTION
    if grad is None:
        if tensor.data.size != 1:
            advice = "pass grad, or call .sum() or .mean() first"
            raise RuntimeError(f"backward() on a Tensor of shape {tensor.shape}: {advice}")
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): grad}
    order = topological_order(tensor)
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current)), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.array(grad)
            else:
                current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = _RELEASED
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-backward", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward():
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    y = a * b + b
    y.backward()
    expect(a.grad, 3, "y = a·b + b at a = 2, b = 3: a.grad is b", dtype=np.float32)
    expect(b.grad, 3, "y = a·b + b at a = 2, b = 3: b is used twice, b.grad is a + 1", dtype=np.float32)
    expect(y.grad, None, "y is no leaf: its grad")
    (a * a * a).backward()
    expect(a.grad, 15, "a second loss, a³, adds up: 3 + 3·2²")
    expect(isinstance(a.grad, np.ndarray), True, "a.grad of shape () is an array, also after a second loss")

    x, seed = Tensor([1.0, 2.0], requires_grad=True), np.array([10.0, 100.0], dtype=np.float32)
    (x * x).backward(seed)
    expect(x.grad, [20, 400], "x² at [1, 2], backward([10, 100])")
    x.grad = None
    x.backward(seed)
    expect(x.grad, [10, 100], "a leaf on its own, backward([10, 100])")
    assert not np.shares_memory(x.grad, seed), "x.grad has to be a copy of what backward was given"
    chain(x, 5_000).backward(seed)
    expect(x.grad, [20, 200], "a chain of 5,000 additions, after a first gradient of [10, 100]")
    print("🔬 backward: passed")

test_unit_backward()

# %% nbgrader={"grade": true, "grade_id": "test-backward-shared", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward_shared():
    cases = [("(p + q) + p·q", lambda p, q: (p + q) + p * q), ("p·q + (p + q)", lambda p, q: p * q + (p + q))]
    for what, function in [("p + q", lambda p, q: p + q), *cases]:
        p, q = Tensor([2.0], requires_grad=True), Tensor([5.0], requires_grad=True)
        function(p, q).backward()
        expected = [[1], [1]] if what == "p + q" else [[6], [3]]
        expect([p.grad, q.grad], expected, f"{what} at p = 2, q = 5: the gradients of p and q")
        message = f"{what}: p.grad and q.grad are one array, so clearing or scaling one changes the other"
        assert not np.shares_memory(p.grad, q.grad), message

    asked = []
    plus = Op(lambda a, b: a + b)
    plus.gradient(lambda grad, out, a, b: asked.append(grad) or (grad, grad))
    x = y = Tensor(1.0, requires_grad=True)
    for _ in range(10):
        y = plus(y, y)
    y.backward()
    expect((x.grad, len(asked)), (1024, 10), "10 doublings: the gradient, and how often the rule was asked")
    print("🔬 backward, shared Tensors: passed")

test_unit_backward_shared()

# %% nbgrader={"grade": true, "grade_id": "test-backward-errors", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward_errors():
    x = Tensor([1.0, 2.0], requires_grad=True)
    expect_error(RuntimeError, [(2,), "grad"], (x * x).backward)
    expect_error(RuntimeError, [(0,), "grad"], (Tensor([], requires_grad=True) * 2.0).backward)
    (y := x * x).backward(np.ones(2))
    expect_error(RuntimeError, "released", y.backward, np.ones(2))
    print("🔬 backward, errors: passed")

test_unit_backward_errors()

# %% nbgrader={"grade": true, "grade_id": "test-backward-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: gradients are arrays of their own, in the dtype of their Tensor, and every node is released.
### BEGIN HIDDEN TESTS
p, q = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
seed = np.array([1.0, 1.0], dtype=np.float32)
(p + q).backward(seed)
p.grad[0] = 50
expect([q.grad, seed], [[1, 1], [1, 1]], "q.grad and what backward was given, when p.grad has changed")
(p * 3.0).backward(seed)
expect(p.grad, [53, 4], "p.grad after a second loss, 3·p")
expect(p.grad.flags.writeable, True, "whether p.grad can be written to")
far = Tensor(1.0, requires_grad=True, dtype=np.float64)
middle = chain(far * 1.5, 3000)
end = middle * middle
end.backward()
expect(far.grad, 2 * 3001.5 * 1.5, "(1.5·x + 3000)² at 1, in float64", rtol=1e-12, dtype=np.float64)
for tensor in (end, middle):
    expect_error(RuntimeError, "released", tensor.backward)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Checkpoint: fit a line

Twenty points scattered about y = 2x − 1, two Tensors, and a loss made of nothing but additions and products. Predict
what `w` and `b` will be, then run. (The update changes `data` directly: it is no part of the computation that is to
be differentiated.)
"""

# %%
points = np.random.default_rng(0).uniform(-1, 1, 20)
heights = 2 * points - 1 + np.random.default_rng(1).normal(0, 0.2, 20)
w, b = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
for _ in range(60):
    for x, y in zip(points, heights, strict=True):
        error = w * x + b + (-y)
        (error * error).backward()
        for parameter in (w, b):
            parameter.data -= 0.02 * parameter.grad
            parameter.grad = None
print(f"fitted, a point at a time: y = {w.item():.3f} x + {b.item():.3f}")

# %% [markdown]
r"""
Here is a good place to stop: what gradients need is there, and the rest of the module is rules.

## Part 2 of 4 · about 2 hours: rules for arrays

### Undoing a broadcast

In `y = x + b` with `x` of shape (3, 4) and `b` of shape (4,), NumPy uses every entry of `b` three times, once per
row. So a change of `b[0]` changes three outputs, and its gradient is the **sum** of three:

    grad = [[1,  2,  3,  4],
            [5,  6,  7,  8],       for b:  [15, 18, 21, 24]
            [9, 10, 11, 12]]

What broadcasting repeated, the gradient sums. Two things can have been repeated: axes that were put in front (`b` has
one axis, `y` has two) and axes of size 1 that were stretched. The first vanish in the sum; the second stay, with size
1. A number of shape () was repeated everywhere.

**Write `unbroadcast(grad, shape)`**: `grad` summed down to `shape`, in the dtype of `grad`. Over an axis of size 0
the sum is 0. `input_gradients` calls it wherever a rule's answer is larger than its input, so no rule ever has to
think of broadcasting.
"""

# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How many axes has grad more than shape? They stand in front.", "NumPy sums over a tuple of axes at once, and can keep the summed axes in size 1.", "Two sums one after the other: first the axes in front, which vanish; then those where shape says 1 and grad does not, which stay."], "minutes": 25, "objective": "broadcasting"}
#| export
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    ### BEGIN SOLUTION
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-unbroadcast", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_unbroadcast():
    grad = np.arange(1.0, 13.0).reshape(3, 4)
    expect(unbroadcast(grad, (4,)), [15, 18, 21, 24], "(3, 4) to (4,): the axis in front is summed away")
    expect(unbroadcast(grad, (1, 4)), [[15, 18, 21, 24]], "(3, 4) to (1, 4): a stretched axis stays")
    expect(unbroadcast(grad, (3, 1)), [[10], [26], [42]], "(3, 4) to (3, 1)")
    expect(unbroadcast(grad, (3, 4)), grad, "(3, 4) to (3, 4): nothing was repeated")
    expect(unbroadcast(np.arange(4.0), (1,)), [6], "0 to 3 in shape (4,), to (1,)")
    expect(unbroadcast(grad, ()), 78, "(3, 4) to (): everything is summed")

    cube = np.arange(24.0).reshape(2, 3, 4)
    expect(unbroadcast(cube, (3, 1)), [[60], [92], [124]], "0 to 23 in shape (2, 3, 4), to (3, 1)")
    expect(unbroadcast(cube, (1, 3, 1)), [[[60], [92], [124]]], "0 to 23 in shape (2, 3, 4), to (1, 3, 1)")
    expect(unbroadcast(np.ones((0, 3)), (3,)), [0, 0, 0], "(0, 3) to (3,): the sum of no rows")
    expect(unbroadcast(np.ones((0, 3)), (1, 3)), [[0, 0, 0]], "(0, 3) to (1, 3)")
    expect(unbroadcast(np.ones((2, 3), np.float32), (3,)), [2, 2, 2], "a float32 gradient", dtype=np.float32)

    bias = Tensor([0.0, 0.0], requires_grad=True)
    (Tensor(np.ones((3, 2))) * (bias + 1.0)).backward(np.ones((3, 2)))
    expect(bias.grad, [3, 3], "bias.grad, where a bias of two entries meets three rows")
    print("🔬 unbroadcast: passed")

test_unit_unbroadcast()

# %% nbgrader={"grade": true, "grade_id": "test-unbroadcast-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes, and that every entry counts exactly once.
### BEGIN HIDDEN TESTS
cube_to = [((2, 3, 5), small) for small in [(2, 1, 5), (), (1, 1), (1, 3, 1)]]
for large, small in [*cube_to, ((4, 1), (1,)), ((3, 0), (3, 1))]:
    values = np.arange(math.prod(large), dtype=np.float64).reshape(large)
    got = unbroadcast(values, small)
    expect(got.shape, small, f"{large} to {small}: the shape")
    expect(np.asarray(got).sum(), values.sum(), f"{large} to {small}: the sum of all entries")
expect(unbroadcast(np.arange(6.0).reshape(2, 3, 1), (3, 1)), [[3], [5], [7]], "(2, 3, 1) to (3, 1)")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Arithmetic

With broadcasting out of the way, a rule is one line: `grad` times a derivative. Two of these can use `out`, which has
been computed already.

| operation | derivative for a | for b |
|---|---|---|
| `sub` a − b | 1 | −1 |
| `div` a / b | 1 / b | −a / b² |
| `power` aᵇ | b · aᵇ⁻¹ | (given) |
| `exp` eᵃ | eᵃ | |
| `log` ln a | 1 / a | |

    a = 6, b = 3, grad = 10:   div gives 10 · 1/3 and 10 · (−6/9)

As before, `a` and `b` may be arrays or plain numbers, as in `x ** 2` and `1 / x`. In `power` the exponent usually is
one and wants no gradient. A rule with a parameter `needs` is told, in one bool per input, what is wanted, so that
work can be saved; the exponent's part is given. For the base, mind the entries where b = 0. The derivative of a⁰ is 0
everywhere, also at a = 0, but there 0 · a⁻¹ is 0 · inf, which is `nan`: lower the exponent only where it is not 0.

**Write the five rules.** A rule with one input returns one array, without a tuple.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-exponent_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def _exponent_gradient(grad, out, a, b):
    """The gradient of a ** b for b; at a = 0 the limit from the right, 0, where b is not negative."""
    a = np.asarray(a, out.dtype)
    return grad * np.where((a == 0) & (np.asarray(b) >= 0), 0, out * np.log(a))

# %% nbgrader={"grade": false, "grade_id": "arithmetic_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["For each operation: by how much does out grow when a grows a little? The table says it; what turns a derivative into a gradient?", "In power, an exponent b becomes b − 1 where it is not 0, and stays 0 where it is. What is True worth in a subtraction? Or let NumPy choose between the two.", "Both inputs of a power may be plain numbers or arrays: use operators and functions that take either."], "minutes": 30, "objective": "rules"}
#| export
@sub.gradient
def sub_gradient(grad, out, a, b):
    ### BEGIN SOLUTION
    return grad, -grad
    ### END SOLUTION


@div.gradient
def div_gradient(grad, out, a, b):
    ### BEGIN SOLUTION
    return grad / b, -grad * (out / b)
    ### END SOLUTION


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = _exponent_gradient(grad, out, a, b) if needs[1] else None
    ### BEGIN SOLUTION
    lowered = b - (b != 0)  # True counts as 1
    return grad * b * a**lowered if needs[0] else None, for_b
    ### END SOLUTION


@exp.gradient
def exp_gradient(grad, out, a):
    ### BEGIN SOLUTION
    return grad * out
    ### END SOLUTION


@log.gradient
def log_gradient(grad, out, a):
    ### BEGIN SOLUTION
    return grad / a
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_arithmetic_gradients():
    cases = [
        ("6 / 3", lambda a, b: a / b, [6.0, 3.0], [10 / 3, -60 / 9]),
        ("6 - 3", lambda a, b: a - b, [6.0, 3.0], [10, -10]),
        ("2 ** 3", lambda a, b: a**b, [2.0, 3.0], [120, 80 * math.log(2)]),
        ("3 ** 2, a plain exponent", lambda a: a**2, [3.0], [60]),
        ("2 ** 3, a plain base", lambda b: 2**b, [3.0], [80 * math.log(2)]),
        ("1 / 4, a plain number above", lambda b: 1 / b, [4.0], [-10 / 16]),
        ("exp(2)", lambda a: a.exp(), [2.0], [10 * math.e**2]),
        ("log(4)", lambda a: a.log(), [4.0], [2.5]),
    ]
    for what, function, numbers, expected in cases:
        inputs = [Tensor(number, requires_grad=True, dtype=np.float64) for number in numbers]
        function(*inputs).backward(10.0)
        expect([x.grad for x in inputs], expected, f"{what}, grad 10", rtol=1e-12)
    print("🔬 sub, div, power, exp, log: passed")

test_unit_arithmetic_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic_gradients-edges", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_arithmetic_gradients_edges():
    x = Tensor([0.0, 0.0, 2.0], requires_grad=True)
    (x ** Tensor([0.0, 1.0, 0.0])).backward([1.0, 1.0, 1.0])
    expect(x.grad, [0, 1, 0], "x⁰ at 0, x¹ at 0, x⁰ at 2, exponents in a Tensor")
    x = Tensor([0.0, 3.0], requires_grad=True)
    (x**0).backward([1.0, 1.0])
    expect(x.grad, [0, 0], "x⁰ at 0 and 3, a plain exponent")
    print("🔬 power where the exponent is 0: passed")

test_unit_arithmetic_gradients_edges()

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic_gradients-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: arrays that broadcast, against differences.
### BEGIN HIDDEN TESTS
drawn, step = np.random.default_rng(5), 1e-6
for operation, function in [(sub, np.subtract), (div, np.divide), (power, np.power)]:
    left, right = drawn.uniform(0.5, 2, (3, 1)), drawn.uniform(0.5, 2, (2, 3, 4))
    weights = drawn.standard_normal((2, 3, 4))
    u, v = (Tensor(side, requires_grad=True, dtype=np.float64) for side in (left, right))
    operation(u, v).backward(weights)
    slopes = (function(left + step, right) - function(left - step, right)) * weights / (2 * step)
    slopes = slopes.sum(axis=(0, 2))[:, None]
    expect(u.grad, slopes, f"{operation}: for a of shape (3, 1)", rtol=1e-6, atol=1e-8)
    slopes = (function(left, right + step) - function(left, right - step)) * weights / (2 * step)
    expect(v.grad, slopes, f"{operation}: for b of shape (2, 3, 4)", rtol=1e-6, atol=1e-8)
zero = Tensor(np.zeros(3), requires_grad=True)
(zero**0 + zero**2).backward(np.ones(3))
expect(zero.grad, [0, 0, 0], "x⁰ + x² at 0")
### END HIDDEN TESTS

# %% [markdown]
r"""
The remaining elementwise rules follow the same pattern and are given, folded. Where two inputs of `maximum` are
equal, each gets half, and the slope of |x| at 0 is 0: choices, which PyTorch makes in the same way. Rules that stop a
gradient at some entries call `_gated(grad, passes)`: `grad` where the boolean array `passes` holds, 0 elsewhere. A
product with it is faster than `np.where`, but wrong for an infinite gradient, as 0 · inf is `nan`; so `_gated`
multiplies, looks whether anything went wrong, and only then chooses.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-elementwise_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
#| export
def _gated(grad, passes):
    """`grad` where the boolean array `passes` holds, else 0."""
    product = grad * passes
    return product if np.isfinite(product.sum()) else np.where(passes, grad, 0)


@neg.gradient
def neg_gradient(grad, out, a):
    return -grad


@absolute.gradient
def absolute_gradient(grad, out, a):
    return _gated(np.copysign(1, a) * grad, a != 0)


@sqrt.gradient
def sqrt_gradient(grad, out, a):
    return grad / (2 * out)


@maximum.gradient
def maximum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return _gated(share, ~np.less(a, b)), _gated(share, ~np.less(b, a))


@minimum.gradient
def minimum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return _gated(share, ~np.greater(a, b)), _gated(share, ~np.greater(b, a))


@where.gradient
def where_gradient(grad, out, condition, a, b):
    condition = np.asarray(condition, bool)
    return None, _gated(grad, condition), _gated(grad, ~condition)


@clip.gradient
def clip_gradient(grad, out, x, *, low, high):
    return _gated(grad, (low is None or x >= low) & (high is None or x <= high))


@cast.gradient
def cast_gradient(grad, out, x, *, dtype):
    return grad

# %% [markdown]
r"""
### Sums and means

A sum adds every entry once, so each entry's gradient is that of the sum it went into: `grad` is handed back to all of
them.

    x = [[1, 2, 3],      x.sum(axis=1) = [6, 15]      grad = [10, 100]       for x: [[ 10,  10,  10],
         [4, 5, 6]]                                                                  [100, 100, 100]]

To be handed back, `grad` needs the reduced axes again, with size 1. The given `_with_axes` puts them there;
`np.broadcast_to(array, shape)` stretches without copying. A mean is a sum divided by a count, and so is its gradient:
the count is how often `out.size` goes into `x.size`. Two things can go wrong with the count.

- It may be 0, or 0 / 0, where `x` has no entries, as in shape (0, 3). Its gradient has none either, so any share will
  do, but a division by zero will not.
- It may be a NumPy integer, and float32 arrays divided by one are float64. A Python number leaves them as they are.

**Write the rules of `reduce_sum` and `reduce_mean`**: arrays of the shape of `x` in the dtype of `grad`. `axis` is
None for all axes, an integer or a tuple, and may be negative.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-with_axes", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def _with_axes(reduced, x, axis, keepdims):
    """`reduced`, made of `x` over `axis`, with the reduced axes put back in size 1; broadcasts against x."""
    return reduced if keepdims else np.expand_dims(reduced, normalize_axes(axis, x.ndim))

# %% nbgrader={"grade": false, "grade_id": "sum_mean_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which entries of grad does an entry of x contribute to, and with what factor?", "Put the reduced axes back first; then stretch to the shape of x.", "The mean is the same with grad divided by a count. Let the count be at least 1, and a Python number."], "minutes": 25, "objective": "broadcasting"}
#| export
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    return np.broadcast_to(_with_axes(grad, x, axis, keepdims), x.shape)
    ### END SOLUTION


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(_with_axes(share, x, axis, keepdims), x.shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sum_mean_gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_sum_mean_gradient():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    cases = [
        ("sum over axis 1", sum_gradient, {"axis": 1}, [10.0, 100.0], [[10] * 3, [100] * 3]),
        ("sum, keepdims", sum_gradient, {"axis": 0, "keepdims": True}, [[1.0, 2.0, 3.0]], [[1, 2, 3]] * 2),
        ("sum of all", sum_gradient, {}, 5.0, [[5] * 3] * 2),
        ("mean over axis 1", mean_gradient, {"axis": 1}, [30.0, 300.0], [[10] * 3, [100] * 3]),
        ("mean over axis -2", mean_gradient, {"axis": -2}, [2.0, 4.0, 6.0], [[1, 2, 3]] * 2),
        ("mean of all", mean_gradient, {}, 12.0, [[2] * 3] * 2),
        ("mean over axes (1, 0)", mean_gradient, {"axis": (1, 0)}, 12.0, [[2] * 3] * 2),
    ]
    for what, rule, settings, grad, expected in cases:
        out = (x.sum if rule is sum_gradient else x.mean)(**settings)
        got = rule(np.array(grad), np.asarray(out), x, **settings)
        expect(got, expected, f"{what} of a (2, 3) array, grad {grad}", rtol=1e-12)
    print("🔬 sum and mean: passed")

test_unit_sum_mean_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-sum_mean_gradient-edges", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_sum_mean_gradient_edges():
    one, number = np.array([7.0]), np.array(5.0)
    expect(sum_gradient(number, np.array(7.0), one), [5], "sum of a single entry, grad 5")
    expect(mean_gradient(number, np.array(7.0), one), [5], "mean of a single entry, grad 5")
    got = sum_gradient(np.ones(3), np.zeros(3), np.ones((0, 3)), axis=0)
    expect(got.shape, (0, 3), "sum over axis 0 of (0, 3): the shape")
    got = mean_gradient(np.ones(3), np.ones(3), np.ones((0, 3)), axis=0)
    expect(got.shape, (0, 3), "mean over axis 0 of (0, 3): the shape")
    got = mean_gradient(np.ones(0), np.ones(0), np.ones((0, 3)), axis=1)
    expect(got.shape, (0, 3), "mean over axis 1 of (0, 3): the shape")
    got = mean_gradient(np.ones(2), np.ones(2), np.ones((2, 0)), axis=1)
    expect(got.shape, (2, 0), "mean over axis 1 of (2, 0): the shape")
    grad, x = np.ones(3, np.float32), np.ones((4, 3), np.float32)
    expect(sum_gradient(grad, grad, x, axis=0).dtype, np.float32, "sum of float32 arrays: the dtype")
    expect(mean_gradient(grad, grad, x, axis=0).dtype, np.float32, "mean of float32 arrays: the dtype")
    print("🔬 sum and mean, edges: passed")

test_unit_sum_mean_gradient_edges()

# %% nbgrader={"grade": true, "grade_id": "test-sum_mean_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: several axes at once, through backward, and gradients that can be written to.
### BEGIN HIDDEN TESTS
cube = Tensor(np.ones((2, 3, 4)), requires_grad=True)
(cube.mean(axis=(0, -1)) * Tensor([8.0, 16.0, 24.0])).sum().backward()
rows = np.array([1, 2, 3])[None, :, None] * np.ones((2, 3, 4))
expect(cube.grad, rows, "Σ [8, 16, 24] · mean over the axes (0, -1)", rtol=1e-6, dtype=np.float32)
cube.grad[...] = 2 * rows
expect(cube.grad, 2 * rows, "the gradient can be written to", rtol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
### The largest entry

Only the largest entry decides a maximum, so only it gets a gradient. With several equal ones there is no derivative,
only a choice: share equally, so that the parts still add up to `grad`.

    x = [3, 7, 7, 1]      max = 7       grad = 5        for x: [0, 2.5, 2.5, 0]

Equal entries may be infinite; `inf == inf` holds, while `inf - inf` is `nan`.

**Write the rule of `reduce_max`**, in the dtype of `grad`: a count of equal entries is an integer array, and float32
divided by it would be float64. `out`, with its axes put back, tells where the largest entries are;
`normalize_axes(axis, ndim)` from module 01 turns any `axis` into a tuple.
"""

# %% nbgrader={"grade": false, "grade_id": "max_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["How do you find out, for each entry of x, whether it is the largest of its own row?", "Count the largest entries along the same axes, with the reduced axes kept in size 1, so that the counts line up with x.", "A sum over booleans can be told in which dtype to count."], "minutes": 25, "objective": "broadcasting"}
#| export
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    is_largest = x == _with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return _with_axes(grad, x, axis, keepdims) * is_largest / ties
    ### END SOLUTION


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% nbgrader={"grade": true, "grade_id": "test-max_gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_gradient():
    x, grad, out = np.array([3.0, 7.0, 7.0, 1.0], np.float32), np.float32([5]), np.float32([7])
    got = max_gradient(grad, out, x, axis=0, keepdims=True)
    expect(got, [0, 2.5, 2.5, 0], "[3, 7, 7, 1] in float32, grad 5", dtype=np.float32)

    x = Tensor([[1.0, 9.0, 2.0], [8.0, 8.0, 8.0]], requires_grad=True)
    x.max(axis=1).backward([6.0, 12.0])
    expect(x.grad, [[0, 6, 0], [4, 4, 4]], "[[1, 9, 2], [8, 8, 8]] along axis 1, grad [6, 12]")
    x = Tensor([[1.0, 9.0], [8.0, 2.0]], requires_grad=True)
    x.max(axis=0, keepdims=True).backward([[3.0, 5.0]])
    expect(x.grad, [[0, 5], [3, 0]], "[[1, 9], [8, 2]] along axis 0 with keepdims, grad [[3, 5]]")
    x = Tensor([math.inf, 1.0, math.inf], requires_grad=True)
    x.max().backward(3.0)
    expect(x.grad, [1.5, 0, 1.5], "[inf, 1, inf] over all axes, grad 3")
    print("🔬 max: passed")

test_unit_max_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-max_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other axes, and that the parts always add up.
### BEGIN HIDDEN TESTS
coarse = np.random.default_rng(1).integers(0, 3, (4, 5, 3)).astype(np.float64)
for axis in [None, 0, -1, (0, 2)]:
    for keepdims in (False, True):
        values = Tensor(coarse, requires_grad=True, dtype=np.float64)
        top = values.max(axis=axis, keepdims=keepdims)
        top.backward(np.full(top.shape, 6.0))
        sums = np.asarray(values.grad).sum(axis=axis, keepdims=keepdims)
        expect(sums, np.full(top.shape, 6.0), f"axis {axis}: the sums of the gradients", rtol=1e-9)
        others = np.asarray(values.grad)[coarse != coarse.max(axis=axis, keepdims=True)]
        expect(others, np.zeros(others.shape), f"axis {axis}: the gradients of all that is not the largest")
### END HIDDEN TESTS

# %% [markdown]
r"""
### Checkpoint: all points at once

The same twenty points in one loss: `w` and `b` have shape () and are broadcast to all of them, and the mean of the
squares is differentiated in one walk. NumPy's `polyfit` solves the same problem without any steps. Predict how close
the two lines will be.
"""

# %%
w, b = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
for _ in range(100):
    errors = w * points + b - heights
    (errors**2).mean().backward()
    for parameter in (w, b):
        parameter.data -= 0.5 * parameter.grad
        parameter.grad = None
print(f"fitted, all at once: y = {w.item():.3f} x + {b.item():.3f}")
print("polyfit:             y = {:.3f} x + {:.3f}".format(*np.polyfit(points, heights, 1)))
print(f"largest error: {errors.abs().max().item():.3f}")

# %% [markdown]
r"""
Another good place to stop.

## Part 3 of 4 · about 2 hours: products and shapes

### Matrix products

The rule behind all of deep learning. With `out = a @ b` and shapes (n, k) @ (k, m) → (n, m), the gradient for `a`
must have shape (n, k), and is made of `grad` (n, m) and `b` (k, m). Where does a single entry of `a` act?

    out[i, j] = Σₚ a[i, p] · b[p, j]

So a[i, p] acts on the row out[i, :], through b[p, :], and its gradient is Σⱼ grad[i, j] · b[p, j]: row i of `grad`
times *row* p of `b`.

    a = [[1, 2]]    b = [[3, 4],    grad = [[1, 10]]      for a: [[1·3 + 10·4, 1·5 + 10·6]] = [[43, 65]]
                         [5, 6]]                          for b: [[1·1, 1·10], [2·1, 2·10]] = [[1, 10], [2, 20]]

Each of the two gradients is one matrix product. Which, the sum says; and the shapes leave hardly a choice: find for
`b`, in the same way, the sum for b[p, j].

**Write `matrix_gradients(grad, a, b)`** for operands with two axes or more: a tuple of both gradients. As in a
product, axes before the last two count matrices, and each matrix has its own gradient. Mind that `.T` reverses *all*
axes; `np.swapaxes(x, -1, -2)` exchanges the last two.
"""

# %% nbgrader={"grade": false, "grade_id": "matrix_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Write the sum for a[i, p] as a sum over j of two factors. In an ordinary product the inner index is the last of the first factor and the first of the second. Which factor has to be turned round for that?", "Check your guess by shapes: (n, m) with something made of (k, m) has to give (n, k); something made of (n, k) with (n, m) has to give (k, m)."], "minutes": 25, "objective": "products"}
#| export
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` (…, n, k) and for `b` (…, k, m), from `grad` (…, n, m)."""
    ### BEGIN SOLUTION
    return grad @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-matrix_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_matrix_gradients():
    a, b, grad = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 10.0]])
    for_a, for_b = matrix_gradients(grad, a, b)
    expect(for_a, [[43, 65]], "(1, 2) @ (2, 2), for a")
    expect(for_b, [[1, 10], [2, 20]], "(1, 2) @ (2, 2), for b")

    a, b, grad = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0], [10.0], [100.0]]), np.array([[2.0]])
    for_a, for_b = matrix_gradients(grad, a, b)
    expect(for_a, [[2, 20, 200]], "(1, 3) @ (3, 1), for a")
    expect(for_b, [[2], [4], [6]], "(1, 3) @ (3, 1), for b")

    a = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    b = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    for_a, for_b = matrix_gradients(np.array([[[1.0, 10.0]], [[1.0, 0.0]]]), a, b)
    expect(for_a, [[[21, 43]], [[5, 7]]], "two matrices, (2, 1, 2) @ (2, 2, 2), for a")
    expect(for_b, [[[1, 10], [2, 20]], [[3, 0], [4, 0]]], "two matrices, (2, 1, 2) @ (2, 2, 2), for b")
    print("🔬 matrix_gradients: passed")

test_unit_matrix_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-matrix_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: drawn matrices, one and several, against sums over indices.
### BEGIN HIDDEN TESTS
for shapes in [((5, 2, 3), (5, 3, 4), (5, 2, 4)), ((3, 4), (4, 2), (3, 2)), ((2, 2), (2, 2), (2, 2))]:
    lots, many, back = (np.random.default_rng(2).standard_normal(shape) for shape in shapes)
    for_lots, for_many = matrix_gradients(back, lots, many)
    what = f"{shapes[0]} @ {shapes[1]}"
    expect(for_lots, np.einsum("...ij,...kj->...ik", back, many), f"{what}, for a", atol=1e-12)
    expect(for_many, np.einsum("...ik,...ij->...kj", lots, back), f"{what}, for b", atol=1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Rows, columns and batches

`matmul` also takes operands with one axis: `a` of shape (k,) as a row (1, k), `b` of shape (k,) as a column (k, 1),
and the extra axis is missing from the result. The rule puts the axes in, in `grad` too, lets `matrix_gradients` work,
and takes them out again:

    (3,) @ (3, 2)    grad (2,) → (1, 2)    for a: (1, 3) → (3,)    for b: (3, 2)
    (2, 3) @ (3,)    grad (2,) → (2, 1)    for a: (2, 3)           for b: (3, 1) → (3,)
    (3,) @ (3,)      grad ()   → (1, 1)    for a: (1, 3) → (3,)    for b: (3, 1) → (3,)

In the first line `grad` gets its axis as the last but one, in the second as the last. In the third it gets both, the
last one first: an array without axes has no place for a last but one.

Axes before the last two may broadcast: (3,) @ (5, 3, 2) is a row that meets five matrices, and (8, 2, 3) @ (3, 5)
gives `b` a gradient of shape (8, 3, 5). The gradients may keep what was repeated; `unbroadcast` sums it later. So
take out the axis that you put in, and no other, also where others have size 1 or 0.

**Write the rule of `matmul`**: a tuple of both gradients. `x[None, :]`, `x[:, None]` and `np.expand_dims(x, axis)`
put axes in; `x[..., 0, :]` and `x[..., 0]` take them out.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which of the three arrays a, b and grad lack an axis if a has only one? And if b has only one?", "Handle b first, then a, each with its own part of grad; after that every array has at least two axes and the work is already written.", "Take the axes out by their place, the last but one for a and the last for b, not by their size."], "minutes": 45, "objective": "products"}
#| export
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    ### BEGIN SOLUTION
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-matmul_gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_gradient():
    a, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    row = np.array([1.0, 2.0, 3.0])
    for_a, for_b = matmul_gradient(np.array([1.0, 10.0]), row @ b, row, b)
    expect(for_a, [21, 43, 65], "(3,) @ (3, 2), for a")
    expect(for_b, [[1, 10], [2, 20], [3, 30]], "(3,) @ (3, 2), for b")
    for_a, for_b = matmul_gradient(np.array([1.0, 10.0]), a @ row, a, row)
    expect(for_a, [[1, 2, 3], [10, 20, 30]], "(2, 3) @ (3,), for a")
    expect(for_b, [41, 52, 63], "(2, 3) @ (3,), for b")
    for_a, for_b = matmul_gradient(np.array(10.0), np.array(32.0), row, row + 3)
    expect(for_a, [40, 50, 60], "(3,) @ (3,), for a")
    expect(for_b, [10, 20, 30], "(3,) @ (3,), for b")
    for_a, for_b = matmul_gradient(np.ones((2, 2)), a @ b, a, b)
    expect(for_a, [[3, 7, 11], [3, 7, 11]], "(2, 3) @ (3, 2), for a")
    expect(for_b, [[5, 5], [7, 7], [9, 9]], "(2, 3) @ (3, 2), for b")
    print("🔬 matmul, rows and columns: passed")

test_unit_matmul_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-matmul_gradient-batches", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_gradient_batches():
    row = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    batch = Tensor(np.arange(12.0).reshape(2, 3, 2), requires_grad=True)
    (row @ batch).backward(np.ones((2, 2)))
    expect(row.grad, [14, 22, 30], "(3,) @ (2, 3, 2), for the row, which meets both matrices")
    expect(batch.grad, [[[1, 1], [2, 2], [3, 3]]] * 2, "(3,) @ (2, 3, 2), for the batch")
    for_a, for_b = matmul_gradient(np.array([10.0]), np.array([6.0]), np.array([2.0]), np.array([[3.0]]))
    expect([for_a.shape, for_b.shape], [(1,), (1, 1)], "(1,) @ (1, 1): the shapes of the gradients")
    for_a, for_b = matmul_gradient(np.ones(2), np.zeros(2), np.ones(0), np.ones((0, 2)))
    expect([for_a.shape, for_b.shape], [(0,), (0, 2)], "(0,) @ (0, 2): the shapes of the gradients")
    print("🔬 matmul, batches: passed")

test_unit_matmul_gradient_batches()

# %% nbgrader={"grade": true, "grade_id": "test-matmul_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches that broadcast, through backward.
### BEGIN HIDDEN TESTS
shapes = [((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((4, 1, 2, 3), (6, 3, 2))]
for shape_a, shape_b in [*shapes, ((3,), (5, 3, 2)), ((5, 2, 3), (3,))]:
    what, drawn = f"{shape_a} @ {shape_b}", np.random.default_rng(4)
    one, other = drawn.standard_normal(shape_a), drawn.standard_normal(shape_b)
    u, v = (Tensor(array, requires_grad=True, dtype=np.float64) for array in (one, other))
    weights = drawn.standard_normal((one @ other).shape)
    (u @ v).backward(weights)
    expect((u.grad.shape, v.grad.shape), (shape_a, shape_b), f"{what}: the shapes")
    for_a, for_b = drawn.standard_normal(shape_a), drawn.standard_normal(shape_b)
    wanted = ((for_a @ other) * weights).sum()
    expect((np.asarray(u.grad) * for_a).sum(), wanted, f"{what}, for a, along a drawn direction", atol=1e-10)
    wanted = ((one @ for_b) * weights).sum()
    expect((np.asarray(v.grad) * for_b).sum(), wanted, f"{what}, for b, along a drawn direction", atol=1e-10)
### END HIDDEN TESTS

# %% [markdown]
r"""
What `unbroadcast` sums later has to be made first. Twelve texts of 64 words of 128 numbers each meet one matrix (128,
512): its gradient, by your rule, is twelve matrices, 3 MB in float32, whose sum takes a quarter of a megabyte. But a
batch of rows on the left of *one* matrix is only more rows: (12, 64, 128) becomes (768, 128), and then the product
makes the sum by itself. The next cell puts that around your rule, and gives `linear` from module 03 its rule in the
same way.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-flat_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@matmul.gradient
def flat_matmul_gradient(grad, out, a, b):
    """`matmul_gradient`, where batches of rows meet one matrix as if they were one batch."""
    if a.ndim < 3 or b.ndim != 2:
        return matmul_gradient(grad, out, a, b)
    rows = math.prod(a.shape[:-1])
    for_a, for_b = matmul_gradient(grad.reshape(rows, b.shape[1]), out, a.reshape(rows, b.shape[0]), b)
    return for_a.reshape(a.shape), for_b


@linear.gradient
def linear_gradient(grad, out, x, weight, *bias, needs):
    """For x, W and b of x Wᵀ + b, with all rows as one batch: grad W, gradᵀ x, the sum of grad's rows."""
    rows = math.prod(x.shape[:-1])
    grad = grad.reshape(rows, len(weight))
    for_x = (grad @ weight).reshape(x.shape) if needs[0] else None
    for_weight = grad.T @ x.reshape(rows, x.shape[-1]) if needs[1] else None
    if not bias:  # left out: only two inputs
        return for_x, for_weight
    return for_x, for_weight, grad.sum(axis=0) if needs[2] else None

# %% [markdown]
r"""
### Operations that only rearrange

They move numbers, so their rules move gradients back. `reshape`: into the old shape. `permute`: by the inverse order.
If the order says that place 2 of the output holds what was axis 0, then axis 2 of `grad` goes back to place 0;
`np.argsort` of an order without negative numbers is its inverse. Make negative axes positive one by one
(`normalize_axes` sorts them, and the order would be lost). Indexing: into an array of zeros, at the places that were
read. Places read **twice** receive twice:

    x = [5, 6, 7]      x[[0, 2, 2]] = [5, 7, 7]      grad = [1, 10, 100]      for x: [1, 0, 110]

`zeros[places] = grad` would keep only the last of the two, and `zeros[places] += grad` too. `np.add.at(zeros, places,
grad)` adds every one, and is much slower. A key of slices and integers alone reads no place twice: there you may
assign.

**Write the three rules.** The rule of `index` returns a tuple: the gradient for `x`, in the dtype of `grad`, and None
for each of the index `arrays`, of which there may be none. `fill_key(key, arrays)` gives the places.
"""

# %% nbgrader={"grade": false, "grade_id": "shape_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["For permute, take the order (1, 2, 0) and write down where each axis of x ends up. Which order brings them back?", "What does the remainder by the number of axes make of −1, and what of 2?", "For index, start from zeros like x, add at the places, and count how many inputs besides x wait for an answer."], "minutes": 35, "objective": "rearranging"}
#| export
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    ### BEGIN SOLUTION
    return grad.reshape(x.shape)
    ### END SOLUTION


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    ### BEGIN SOLUTION
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))
    ### END SOLUTION


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    ### BEGIN SOLUTION
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-shape_gradients", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_shape_gradients():
    x = Tensor([5.0, 6.0, 7.0], requires_grad=True)
    x[np.array([0, 2, 2])].backward([1.0, 10.0, 100.0])
    expect(x.grad, [1, 0, 110], "x[[0, 2, 2]]: a place read twice receives twice")
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x[1, :2].backward([4.0, 5.0])
    expect(x.grad, [[0, 0, 0], [4, 5, 0]], "x[1, :2] of a (2, 3) Tensor")
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x[:, np.array([1, 1])].backward([[1.0, 2.0], [3.0, 4.0]])
    expect(x.grad, [[0, 3, 0], [0, 7, 0]], "x[:, [1, 1]] of a (2, 3) Tensor")
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x[np.array([[True, False, True], [False, False, True]])].backward([1.0, 2.0, 3.0])
    expect(x.grad, [[1, 0, 2], [0, 0, 3]], "x[mask] of a (2, 3) Tensor")
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x.reshape(3, 2).backward([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expect(x.grad, [[1, 2, 3], [4, 5, 6]], "reshape of (2, 3) to (3, 2)")
    print("🔬 reshape, index: passed")

test_unit_shape_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-shape_gradients-permute", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_shape_gradients_permute():
    x, grad = np.zeros((2, 3, 4)), np.arange(24.0).reshape(3, 4, 2)
    got = permute_gradient(grad, grad, x, axes=(1, 2, 0))
    expect(got.shape, (2, 3, 4), "permute(1, 2, 0) of a (2, 3, 4) array: the shape of the gradient")
    expect(np.asarray(got)[:, 0, 2], [4, 5], "permute(1, 2, 0): out[0, 2, :] was x[:, 0, 2]")
    grad = grad.reshape(4, 2, 3)
    got = permute_gradient(grad, grad, x, axes=(-1, 0, 1))
    expect(got.shape, (2, 3, 4), "permute(-1, 0, 1) of a (2, 3, 4) array: the shape of the gradient")
    expect(np.asarray(got)[0, 2, :], [2, 8, 14, 20], "permute(-1, 0, 1): out[:, 0, 2] was x[0, 2, :]")
    print("🔬 permute: passed")

test_unit_shape_gradients_permute()

# %% nbgrader={"grade": true, "grade_id": "test-shape_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other orders, several index arrays, None and ... as indices, float64.
### BEGIN HIDDEN TESTS
entries = np.arange(24.0).reshape(2, 3, 4)
source = Tensor(entries, requires_grad=True)
for axes in [(-1, 0, 1), (2, -2, -3), (0, 1, 2)]:
    source.permute(axes).backward(entries.transpose(axes))
    expect(source.grad, entries, f"permute {axes}")
    source.grad = None
rows, columns = np.array([0, 1, 1]), np.array([2, 0, 0])
table = Tensor(np.zeros((2, 3)), requires_grad=True)
table[Tensor(rows), columns].backward([1.0, 2.0, 3.0])
expect(table.grad, [[0, 0, 1], [5, 0, 0]], "x[[0, 1, 1], [2, 0, 0]]")
table[..., None, 1][np.array([True, False])].backward(np.full((1, 1), 7.0))
expect(table.grad, [[0, 7, 1], [5, 0, 0]], "x[..., None, 1][[True, False]]")
exact = Tensor(np.zeros(2), requires_grad=True, dtype=np.float64)
exact[1:].backward(np.array([1 / 3]))
expect(exact.grad, [0, 1 / 3], "x[1:] in float64")
### END HIDDEN TESTS

# %% nbgrader={"grade": false, "grade_id": "provided-concat_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@concat.gradient
def concat_gradient(grad, out, *arrays, axis):
    """Each input gets back the part of `grad` that came from it."""
    ends = np.cumsum([array.shape[axis] for array in arrays])
    return tuple(np.split(grad, ends[:-1], axis))

# %% [markdown]
r"""
### Checkpoint: XOR

In 1969 Minsky and Papert showed that one layer cannot learn XOR. Two can, if somebody finds the weights of the first
one. You have just built what finds them. The activation is x² here, because tanh has no rule yet; predict whether the
loss goes down before you run.
"""

# %%
inputs = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
targets = Tensor([[0.0], [1.0], [1.0], [0.0]])
draw = np.random.default_rng(1)
w1, b1 = Tensor(draw.standard_normal((2, 4)), requires_grad=True), Tensor(np.zeros(4), requires_grad=True)
w2, b2 = Tensor(draw.standard_normal((4, 1)), requires_grad=True), Tensor(np.zeros(1), requires_grad=True)
for step in range(51):
    hidden = (inputs @ w1 + b1) ** 2
    loss = ((hidden @ w2 + b2 - targets) ** 2).mean()
    loss.backward()
    for parameter in (w1, b1, w2, b2):
        parameter.data -= 0.05 * parameter.grad
        parameter.grad = None
    if step % 10 == 0:
        print(f"step {step:2d}: loss {loss.item():.4f}")

# %% [markdown]
r"""
The third place to stop.

## Part 4 of 4 · about 3 hours: networks

### Activations

Each of these rules can be written with `out` alone or `x` alone; take what is cheaper.

- `relu`: the gradient passes where x > 0 and stops where x ≤ 0. An infinite one stops there, too, and leaves a 0;
  `_gated` from part 2 sees to it, or `np.where`.
- `tanh`: its derivative is 1 − tanh². At out = 0.8 that is 0.36.
- `log_softmax` along an axis: out = x − log Σ eˣ. A change of x[i] raises out[i] by one, and lowers *every* out[j] of
  its row by softmax[i]. So the gradient is `grad` minus softmax times the row's sum of `grad`; and softmax is e to
  the power of `out`, without a new exponential of `x`, which could overflow.

      x = [0, 0]     softmax = [½, ½]     grad = [1, 0]     for x: [1, 0] − [½, ½] · 1 = [½, −½]

**Write the three rules.** (`backward` calls all rules with NumPy's warnings switched off, and so does the test.)
"""

# %% nbgrader={"grade": false, "grade_id": "activation_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["For relu: which boolean array says where the gradient passes, and what is 0 times infinity?", "For log_softmax: the sum of grad runs along the axis and keeps it in size 1, so that it lines up with the shares.", "What has been computed on the way forward need not be computed again: out of tanh is the tanh, and out of log_softmax the logarithm of the shares."], "minutes": 30, "objective": "networks"}
#| export
@relu.gradient
def relu_gradient(grad, out, x):
    ### BEGIN SOLUTION
    return _gated(grad, ~(x <= 0))
    ### END SOLUTION


@tanh.gradient
def tanh_gradient(grad, out, x):
    ### BEGIN SOLUTION
    return grad * (1 - out * out)
    ### END SOLUTION


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    ### BEGIN SOLUTION
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-activation_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
@np.errstate(all="ignore")
def test_unit_activation_gradients():
    x, grad = np.array([-2.0, 0.0, 3.0]), np.array([10.0, 20.0, 30.0])
    expect(relu_gradient(grad, np.maximum(x, 0), x), [0, 0, 30], "relu at [-2, 0, 3], grad [10, 20, 30]")
    got = relu_gradient(np.array([math.inf, math.inf]), np.array([0.0, 3.0]), np.array([-2.0, 3.0]))
    expect(got, [0, math.inf], "relu at [-2, 3], grad [inf, inf]")
    got = tanh_gradient(np.array([10.0]), np.array([0.8]), np.array([math.atanh(0.8)]))
    expect(got, [3.6], "tanh where out is 0.8, grad 10", rtol=1e-12)
    got = log_softmax_gradient(np.array([1.0, 0.0]), np.log([0.5, 0.5]), np.zeros(2), axis=-1)
    expect(got, [0.5, -0.5], "log_softmax of [0, 0], grad [1, 0]", rtol=1e-12)
    got = log_softmax_gradient(np.array([[1.0], [0.0]]), np.log([[0.5], [0.5]]), np.zeros((2, 1)), axis=0)
    expect(got, [[0.5], [-0.5]], "log_softmax of a column of zeros along axis 0, grad [[1], [0]]", rtol=1e-12)

    logits = Tensor([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]], requires_grad=True)
    log_softmax(logits, axis=1).backward([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    expected = [[-0.09003057, -0.24472848, 0.33475906], [0, 0, 0]]
    expect(logits.grad, expected, "log_softmax of [[1, 2, 3], [1000, 0, -1000]] along axis 1", atol=1e-6)
    print("🔬 relu, tanh, log_softmax: passed")

test_unit_activation_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-activation_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other axes, and that a gradient of log_softmax sums to zero along its axis.
### BEGIN HIDDEN TESTS
spread = np.random.default_rng(7).standard_normal((3, 4, 2)) * 5
for axis in (0, 1, -1):
    scores = Tensor(spread, requires_grad=True, dtype=np.float64)
    weights = np.random.default_rng(8).standard_normal(spread.shape)
    log_softmax(scores, axis=axis).backward(weights)
    sums = np.asarray(scores.grad).sum(axis=axis)
    expect(sums, 0 * sums, f"log_softmax, axis {axis}: the sums of the gradients", atol=1e-9)
    shares = np.exp(spread) / np.exp(spread).sum(axis=axis, keepdims=True)
    wanted = weights - shares * weights.sum(axis=axis, keepdims=True)
    expect(scores.grad, wanted, f"log_softmax, axis {axis}", atol=1e-9)
for function, at, slope in [(relu, 1e-3, 1), (relu, -1e-3, 0), (tanh, -0.3, 0.91513696)]:
    point = Tensor(at, requires_grad=True, dtype=np.float64)
    function(point).backward()
    expect(point.grad, slope, f"{function} at {at}", atol=1e-7)
### END HIDDEN TESTS

# %% [markdown]
r"""
The other activations and losses in the same manner, given: sigmoid's slope is out · (1 − out), that of softplus is
the sigmoid; softmax, like `log_softmax`, spreads a change over its whole row; GELU's slope is found by the product
rule; and `bce_terms` has its denominator bounded, as module 04 promised, so that a probability of exactly 0 or 1
gives a large slope and not `nan`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-activation_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@sigmoid.gradient
def sigmoid_gradient(grad, out, x):
    return grad * out * (1 - out)


@softplus.gradient
def softplus_gradient(grad, out, x):
    return grad * sigmoid.forward(x)


@softmax_along.gradient
def softmax_gradient(grad, out, x, *, axis):
    return out * (grad - (grad * out).sum(axis=axis, keepdims=True))


def gelu_slope(x, approximate):
    if approximate == "none":
        return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    t = np.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))
    return 0.5 * (1 + t) + x * (1 - t * t) * (1 + 3 * 0.044715 * x * x) / math.sqrt(2 * math.pi)


@gelu.gradient
def gelu_gradient(grad, out, x, *, approximate="none"):
    return grad * in_blocks(lambda entries: gelu_slope(entries, approximate), x, BLOCK)


@bce_terms.gradient
def bce_terms_gradient(grad, out, p, y, *, needs):
    for_y = grad * (np.maximum(np.log1p(-p), -100) - np.maximum(np.log(p), -100)) if needs[1] else None
    return grad * np.subtract(p, y, dtype=out.dtype) / np.maximum(p * (1 - p), 1e-12), for_y

# %% [markdown]
r"""
### Not recording

When a network is only used, its history is a burden: every intermediate array stays in memory, waiting for a
`backward` that never comes. `with no_grad():` switches recording off for a block of code. The switch is one
attribute, `Op.recording`, so the class has three duties: turn it off; restore **what was there before** (blocks can
be nested: leaving the inner one must not switch recording on inside the outer one, and where it was off, it stays
off); and restore it also when the block raises an exception.

A context manager is a class with `__enter__` and `__exit__`. Python calls `__exit__(kind, error, traceback)` in both
cases; an error goes on upwards unless `__exit__` returns something true. Because of its base class `no_grad` is also
a decorator, and then *one* object serves nested calls, so one remembered value is not enough: keep a stack.

**Write `__enter__` and `__exit__`.** The list `self.before` is there.
"""

# %% nbgrader={"grade": false, "grade_id": "no_grad", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["What has to be known at the end of the block that the block itself may have changed?", "One object may be entered again before it is left: what was remembered last is restored first.", "Remember before you switch off; restore in the method that Python calls in every case."], "minutes": 15, "objective": "recording"}
#| export
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        ### BEGIN SOLUTION
        self.before.append(Op.recording)
        Op.recording = False
        return self
        ### END SOLUTION

    def __exit__(self, kind, error, traceback):
        ### BEGIN SOLUTION
        Op.recording = self.before.pop()
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-no_grad", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_no_grad():
    is_recorded = lambda: (Tensor([1.0], requires_grad=True) * 2).requires_grad
    try:
        with no_grad():
            expect(is_recorded(), False, "recording inside no_grad")
            with no_grad():
                pass
            expect(is_recorded(), False, "recording after an inner block, still inside the outer one")
        expect(is_recorded(), True, "recording after the block")
        caught = False
        try:
            with no_grad():
                raise KeyError("from the block")
        except KeyError:
            caught = True
        expect(caught, True, "an exception in the block goes on upwards")
        expect(is_recorded(), True, "recording after an exception")
    finally:
        Op.recording = True
    print("🔬 no_grad: passed")

test_unit_no_grad()

# %% nbgrader={"grade": true, "grade_id": "test-no_grad-stack", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_no_grad_stack():
    same = no_grad()
    try:
        with same:
            with same:
                expect(Op.recording, False, "Op.recording, one object entered twice, as decorators do it")
            expect(Op.recording, False, "Op.recording after the inner block of one object")
        expect(Op.recording, True, "Op.recording after both blocks of one object")
        Op.recording = False
        with no_grad():
            pass
        expect(Op.recording, False, "Op.recording after a block, where it was off before")
    finally:
        Op.recording = True
    print("🔬 no_grad, one object entered twice: passed")

test_unit_no_grad_stack()

# %% nbgrader={"grade": true, "grade_id": "test-no_grad-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: deeper nesting, and a decorated function that calls itself.
### BEGIN HIDDEN TESTS
same, x = no_grad(), Tensor([1.0], requires_grad=True)
try:
    with same, same, no_grad(), same:
        expect(Op.recording, False, "inside four blocks, of which three are one object")
    expect(Op.recording, True, "after them")

    @no_grad()
    def predict(depth):
        return (x * 2).requires_grad or (depth > 0 and predict(depth - 1))

    expect(predict(2), False, "recording in a decorated function that calls itself")
    expect(Op.recording, True, "after it")
finally:
    Op.recording = True
### END HIDDEN TESTS

# %% [markdown]
r"""
### Checking any gradient

Now the judge from the first beat returns. `gradcheck(function, inputs)` compares what `backward` says about a
function of Tensors with what nudging says. A function with many outputs needs a `grad` to start from; random numbers
do, and they must not all be equal, or a rule that confuses the outputs would pass.

    loss(array) = Σ weights · function(array)          numeric: numeric_gradient of that loss
                                                       ours:    function(Tensor).backward(weights)

The inputs are float64 Tensors (in float32 the nudges drown in rounding). For each that requires a gradient, compute
the numeric one while the others keep their values; one that requires none is not checked. Where the two are further
apart than `atol + rtol · |numeric|` anywhere, the rule is wrong. A `nan` is wrong, too, wherever it comes from: no
comparison with it is true, so ask whether all are *within* the bound, not whether one is beyond it.

**Write `gradcheck(function, inputs, eps, atol, rtol)`**: return True, or raise an `AssertionError` that helps: its
message holds `name`, the number of the input (counted from 0), where the difference is largest, what was expected and
what came. A missing gradient (`grad` is None) counts as zeros. Clear the inputs' old gradients first. `name` and
`weights` are there. A nudged array becomes a Tensor again with `Tensor(array, dtype=np.float64)`.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-planted", "locked": true, "schema_version": 3, "solution": false, "task": false}
def planted(name, forward, rule):
    """An operation with a rule of our choice."""
    op = Op(forward)
    op.__name__ = name
    op.gradient(rule)
    return op


def drawn_input(*shape, seed=0):
    """A float64 Tensor of numbers between 0.5 and 2 that wants a gradient."""
    return Tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), requires_grad=True, dtype=np.float64)

# %% nbgrader={"grade": false, "grade_id": "gradcheck", "locked": false, "schema_version": 3, "solution": true, "task": false} tinytorch={"hints": ["Which function of one array does numeric_gradient need, for input number i? It has to put the nudged array among the other inputs.", "Run backward once, before the loop, with the weights as its start; then each input holds the gradient to be judged.", "Compute for every entry by how much the difference exceeds the bound. The place of the largest excess is what the message shows."], "minutes": 50, "objective": "checking"}
#| export
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input
    and the place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    ### BEGIN SOLUTION
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            continue

        def loss(array, i=i):
            nudged = [Tensor(array, dtype=np.float64) if j == i else x.detach() for j, x in enumerate(inputs)]
            return float((function(*nudged).data * weights).sum())

        expected = numeric_gradient(loss, x.data, eps)
        got = np.zeros_like(expected) if x.grad is None else x.grad
        excess = np.abs(got - expected) - (atol + rtol * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_gradcheck():
    a, b = drawn_input(2, 3), drawn_input(3, seed=1)
    expect(gradcheck(lambda a, b: (a * b + a / b).exp(), (a, b)), True, "a function with right gradients")
    expect(gradcheck(lambda a, b: 2 * a, (a, b)), True, "b is not used: it has no gradient, and needs none")
    expect(gradcheck(lambda a, b: a * b, (a, b.detach())), True, "b requires no gradient and is not checked")
    a.grad = np.full((2, 3), 99.0)
    expect(gradcheck(lambda a, b: a * b, (a, b)), True, "an old gradient of 99 is there")
    wrong = [
        ("half_product", lambda a, b: a * b, lambda grad, out, a, b: (grad * b, 0.5 * grad * a)),
        ("thousandth_off", lambda a, b: a * b, lambda grad, out, a, b: (grad * b, 1.001 * grad * a)),
        ("not_a_number", lambda a, b: a * b, lambda grad, out, a, b: (grad * b * math.nan, grad * a)),
        ("swapped", lambda a, b: a * b, lambda grad, out, a, b: (grad * a, grad * b)),
        ("forgotten_grad", lambda a, b: np.exp(a) + b, lambda grad, out, a, b: (np.exp(a), grad)),
        ("wrong_sign", lambda a, b: a - b, lambda grad, out, a, b: (grad, grad)),
        ("transposed", lambda a, b: (a * b).T, lambda grad, out, a, b: (grad.reshape(2, 3) * b, grad.T * a)),
        ("turned_round", lambda a, b: 2 * a + b, lambda grad, out, a, b: (2 * grad[::-1], grad)),
    ]
    for name, forward, rule in wrong:
        expect_error(AssertionError, name, gradcheck, planted(name, forward, rule), (a, b))
    print("🔬 gradcheck, right and wrong rules: passed")

test_unit_gradcheck()

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck-message", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_gradcheck_message():
    numbers = [drawn_input(seed=seed) for seed in range(3)]
    for i in (0, 1, 2):
        f = [1.5 if j == i else 1 for j in range(3)]
        rule = lambda grad, out, a, b, c, f=f: (f[0] * grad * b * c, f[1] * grad * a * c, f[2] * grad * a * b)
        thrice = planted("thrice", lambda a, b, c: a * b * c, rule)
        expect_error(AssertionError, ["thrice", i], gradcheck, thrice, numbers)

    a = drawn_input(2, 3)
    steep = planted("steep", lambda a: 100 * a, lambda grad, out, a: 101 * grad)
    expect(gradcheck(steep, (a,), atol=2, rtol=0), True, "101 in place of 100, with atol 2")
    expect(gradcheck(steep, (a,), atol=0, rtol=0.02), True, "101 in place of 100, with rtol 0.02")
    expect_error(AssertionError, ["steep", 0], gradcheck, steep, (a,), atol=0.1, rtol=0.001)
    print("🔬 gradcheck, message and tolerances: passed")

test_unit_gradcheck_message()

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more wrong rules, inputs without a gradient, old gradients lying around.
### BEGIN HIDDEN TESTS
left, right = drawn_input(3, 1), drawn_input(2, seed=3)
left.grad, frozen = np.full((3, 1), 99.0), drawn_input(2, seed=4).detach()
expect(gradcheck(lambda x, y: x * y, (left, right)), True, "an old gradient of 99")
expect(gradcheck(lambda x, y: x * y, (left, frozen)), True, "an input that wants no gradient")
one_entry_off = 1e-3 * (np.arange(3) == 1)[:, None]
for rule in [
    lambda grad, out, x: grad * 2 + one_entry_off,
    lambda grad, out, x: grad * math.nan,
    lambda grad, out, x: 0 * grad,
]:
    expect_error(AssertionError, ["flawed", 0], gradcheck, planted("flawed", lambda x: 2 * x, rule), (left,))
half_right = planted("half_right", lambda x, y: x * y, lambda grad, out, x, y: (grad * y, 0 * grad))
expect_error(AssertionError, ["half_right", 1], gradcheck, half_right, (frozen, right))
expect_error(AssertionError, 0, gradcheck, lambda x: x * x * x, (left,), eps=0.5)
expect(gradcheck(lambda x: 0 * x, (left,), atol=0, rtol=0), True, "no difference is never too much")
### END HIDDEN TESTS

# %% [markdown]
r"""
### An operation of your own

The engine is open: a forward function, a rule, a check. Here is *softsign*, x / (1 + |x|). Replace it by a function
that you like better (x · sin x? a smooth absolute value, √(x² + 1)?), derive its rule on paper, and let `gradcheck`
be the judge.
"""

# %%
@Op
def softsign(x):
    return x / (1 + np.abs(x))


@softsign.gradient
def softsign_gradient(grad, out, x):
    return grad / (1 + np.abs(x)) ** 2


if gradcheck(softsign, (Tensor([-3.0, -0.5, 0.2, 4.0], requires_grad=True, dtype=np.float64),)):
    print(f"{softsign}: the rule agrees with differences")

# %%
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.tensor import manual_seed

# %% [markdown]
r"""
## Put together: every layer and loss is differentiable

A Linear layer, a ReLU, another Linear layer and cross-entropy, all from the modules before this one and none of them
edited. PyTorch 2.13 gives the loss and the gradients that stand in the test.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def test_module():
    first, second = Linear(3, 4), Linear(4, 2)
    model = Sequential(first, ReLU(), second)
    for parameter, values in zip(model.parameters(), [np.cos, np.sin, np.sin, np.cos], strict=True):
        parameter.data = values(np.arange(parameter.numel())).reshape(parameter.shape).astype(np.float32)
    x = Tensor(np.linspace(-1, 1, 6).reshape(2, 3))
    loss = CrossEntropyLoss()(model(x), np.array([0, 1]))
    loss.backward()
    expect(loss.item(), 1.6236832, "the loss", rtol=1e-6)
    expected = [0.36327156, 0.83928633, 0.57059216, 0.00713989]
    expect(first.bias.grad, expected, "bias of the first layer", atol=1e-6, dtype=np.float32)
    expect(first.weight.grad.shape, (4, 3), "weight of the first layer: the shape of its gradient")
    expect(np.asarray(first.weight.grad)[1, 2], 0.86918855, "the first layer's weight[1, 2]", atol=1e-6)
    expected = [0.05185748, 0.22678833, 0.67593473, -0.02151945]
    expect(second.weight.grad[0], expected, "weight of the second layer, row 0", atol=1e-6)
    expect(second.bias.grad, [0.46616778, -0.46616781], "bias of the second layer", atol=1e-6)
    dtypes = [parameter.grad.dtype for parameter in model.parameters()]
    expect(dtypes, [np.dtype(np.float32)] * 4, "the dtypes of the four gradients")
    print("🧪 module 05, backward through layers and losses: passed")

test_module()

# %% [markdown]
r"""
## Look: the graph of a small expression

What the walk walks over, for y = tanh(a·b + b). Squares are leaves, circles are operations, and each arrow points
from an input to what was computed from it. `backward` goes against the arrows. In which order will it visit the five
Tensors?
"""

# %% tags=["measure"]
from itertools import accumulate

import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def name_of(tensor, names):
    return names.get(id(tensor), tensor.node.op.__name__ if tensor.node else "leaf")


def draw_graph(tensor, names):
    """Draw what `tensor` was computed from, inputs at the left. names: {id(leaf): its name}."""
    depth, rows = {}, {}
    order = topological_order(tensor)
    for t in order:
        inputs = [x for x in t.node.inputs if x is not None] if t.node else []
        depth[id(t)] = 1 + max((depth[id(x)] for x in inputs), default=-1)
        rows.setdefault(depth[id(t)], []).append(t)
    place = {}
    for across, column in rows.items():
        place |= {id(t): (across, i - (len(column) - 1) / 2) for i, t in enumerate(column)}
    figure, axes = plt.subplots(figsize=(6, 2.4), layout="constrained")
    for t in order:
        shape = "circle" if t.node else "square"
        frame = {"boxstyle": f"{shape},pad=0.4", "ec": "0.2", "fc": "white", "lw": 1.5}
        label = f"{name_of(t, names)}\n{t.item():.3g}"
        axes.text(*place[id(t)], label, ha="center", va="center", color="black", bbox=frame)
        for x in t.node.inputs if t.node else ():
            if x is not None:
                arrow = {"arrowstyle": "-|>", "shrinkA": 20, "shrinkB": 20, "color": "0.5"}
                axes.annotate("", place[id(t)], place[id(x)], arrowprops=arrow)
    axes.set(xlim=(-0.5, max(rows) + 0.5), ylim=(-1.1, 1.1))
    axes.axis("off")
    plt.show()
    print("📊 order of the walk:", ", ".join(name_of(t, names) for t in reversed(order)))


a, b = Tensor(0.5, requires_grad=True), Tensor(2.0, requires_grad=True)
draw_graph(tanh(a * b + b), {id(a): "a", id(b): "b"})

# %% [markdown]
r"""
## Measure: what remembering costs

Every recorded operation keeps its input arrays until `backward` has passed. **Predict:** a 64-128-10 network has
9,610 parameters, 38 kB in float32. How many bytes does the graph of one batch of 32 images hold, and how many does
each further image add? Count the arrays that lie between the layers.
"""

# %% tags=["measure"]
def graph_size(tensor):
    """How many operations `tensor` came from, and the bytes of the distinct arrays that they keep."""
    nodes = [t.node for t in topological_order(tensor) if t.node]
    arrays = {id(array): array for node in nodes for array in node.arrays if isinstance(array, np.ndarray)}
    owners = {id(array if array.base is None else array.base): array for array in arrays.values()}
    return len(nodes), sum(array.nbytes for array in owners.values())


def analyze_graph_memory():
    """Bytes held by the graph of one loss over the batch size, beside the bytes of the parameters."""
    model = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
    parameters = sum(p.nbytes for p in model.parameters())
    loss_of = lambda batch: CrossEntropyLoss()(model(Tensor(np.ones((batch, 64)))), np.zeros(batch, np.int64))
    batches = [1, 32, 128, 512, 2048]
    held = [graph_size(loss_of(batch))[1] for batch in batches]
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.loglog(batches, np.array(held) / 1e3, "o-", label="held by the graph")
    axes.axhline(parameters / 1e3, ls="--", color="0.4", label="parameters")
    axes.set(xlabel="images in the batch", ylabel="kilobytes", title="Memory until backward")
    axes.set(xticks=batches, xticklabels=batches)
    figure.legend(ncols=2, loc="outside lower center")
    plt.show()
    for batch, size in zip(batches, held, strict=True):
        print(f"📊 {batch:5,} images: {size:9,} bytes, {size / parameters:5.1f} times the parameters")
    print(f"📊 each further image adds {(held[-1] - held[1]) / (batches[-1] - batches[1]):,.0f} bytes")
    with no_grad():
        operations, size = graph_size(loss_of(2048))
    print(f"📊 2,048 images inside no_grad: {operations} operations, {size} bytes")
    loss = loss_of(2048)
    loss.backward()
    print(f"📊 2,048 images after backward: {graph_size(loss)[1]} bytes")


analyze_graph_memory()

# %% [markdown]
r"""
The graph of a single image holds little more than the weights, which are inputs of its products. Then the arrays
between the layers outweigh them, and they grow with every image. Inside `no_grad` nothing is held, and after
`backward` nothing any more.

**Predict:** an addition of two small arrays takes NumPy less than a microsecond. How many times as long does it take
when it is recorded? And for a million entries?
"""

# %% tags=["measure"]
def analyze_time_per_operation():
    """Microseconds per addition in a chain of 40, over the size: NumPy, recorded, and with backward."""
    sizes = [1, 100, 10_000, 100_000, 1_000_000]
    curves = {"NumPy": [], "NumPy, results kept": [], "recorded": [], "forward and backward": []}
    for n in sizes:
        x, one = Tensor(np.ones(n), requires_grad=True), np.ones(n, np.float32)

        def bare(one=one):
            y = one
            for _ in range(40):
                y = y + one

        def kept(one=one):
            return list(accumulate([one] * 41))

        def recorded(x=x, one=one):
            y, one = x, Tensor.wrap(one)
            for _ in range(40):
                y = y + one
            return y

        def both(recorded=recorded, seed=one):
            recorded().backward(seed)

        for curve, run in zip(curves.values(), [bare, kept, recorded, both], strict=True):
            curve.append(best_seconds(run) / 40 * 1e6)
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for (name, times), marker in zip(curves.items(), ["o-", "d-.", "s--", "^:"], strict=True):
        axes.loglog(sizes, times, marker, label=name)
    axes.set(xlabel="entries per Tensor", ylabel="microseconds per addition", title="The price of recording")
    figure.legend(ncols=2, loc="outside lower center")
    plt.show()
    for i, n in enumerate(sizes):
        times = [curve[i] for curve in curves.values()]
        recorded_over = times[2] / times[0]
        print(f"📊 {n:9,} entries: NumPy {times[0]:7.2f} µs, recorded {recorded_over:5.1f} times that", end="")
        print(f", and {times[2] / times[1]:5.1f} times NumPy with results kept")


analyze_time_per_operation()

# %% [markdown]
r"""
Recording has a fixed price per operation, paid in Python. On one entry it is many times the addition; the last ratio
of each line says for which sizes it vanishes behind the arithmetic. That is why frameworks like few large operations,
and why module 09 will make convolution one operation and not a thousand. Where the first ratio rises again for large
arrays, a second price shows: NumPy's plain chain uses the same two pieces of memory over and over, while whoever
keeps all 40 results, with or without recording, pays for fresh memory from the operating system.

## A network that reads

1,797 handwritten digits of 8 × 8 pixels (scikit-learn ships them; E. Alpaydin and C. Kaynak, 1998). 1,437 to learn
from, 360 that it never sees. An update is one line per parameter, by hand: module 06 makes optimizers of it.
**Predict** the accuracy on the unseen digits, and in which of 30 passes it first comes within one image of the best.
"""

# %% tags=["measure"]
import time

from sklearn.datasets import load_digits


def train_on_digits(epochs=30, batch=32, rate=0.1, seed=0):
    """Train a 64-128-10 network by gradient descent: the test accuracy after each epoch, and the mistakes."""
    manual_seed(seed)
    shuffle = np.random.default_rng(seed)
    digits = load_digits()
    order = shuffle.permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    train_x, train_y, test_x, test_y = images[:1437], labels[:1437], images[1437:], labels[1437:]

    model, loss_of = Sequential(Linear(64, 128), ReLU(), Linear(128, 10)), CrossEntropyLoss()
    parameters, history = list(model.parameters()), []
    for _ in range(epochs):
        order = shuffle.permutation(len(train_y))
        for first in range(0, len(order), batch):
            picked = order[first : first + batch]
            loss_of(model(Tensor(train_x[picked])), train_y[picked]).backward()
            for parameter in parameters:
                parameter.data -= rate * parameter.grad
                parameter.grad = None
        with no_grad():
            guesses = model(Tensor(test_x)).argmax(axis=1).numpy()
        history.append(float((guesses == test_y).mean()))
    wrong = np.flatnonzero(guesses != test_y)
    return history, [(test_x[i].reshape(8, 8), test_y[i], guesses[i]) for i in wrong]

# %% tags=["measure"]
started = time.perf_counter()
history, mistakes = train_on_digits()
took = time.perf_counter() - started

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(range(1, len(history) + 1), np.array(history) * 100, "o-", markersize=4)
axes.axhline(95, ls="--", color="0.4")
axes.text(len(history), 94.8, "95 %", ha="right", va="top", color="0.4")
axes.set(xlabel="epoch", ylabel="accuracy on unseen digits in %", title="A 64-128-10 network on 8 × 8 digits")
plt.show()
near = next(epoch for epoch, score in enumerate(history, 1) if score >= max(history) - 1.01 / 360)
print(f"📊 {360 - len(mistakes)} of 360 unseen digits right after {len(history)} epochs", end="; ")
print(f"within one image of the best in epoch {near}; {history[-1]:.1%}, in {took:.1f} s")

# %% [markdown]
r"""
Which ones does it get wrong? Judge for yourself how many you would have read.
"""

# %% tags=["measure"]
figure, axes = plt.subplots(1, 6, figsize=(7, 1.8), layout="constrained")
for axis in axes:
    axis.axis("off")
for axis, (image, label, guess) in zip(axes, mistakes, strict=False):
    axis.imshow(image, cmap="gray_r")
    axis.set_title(f"{label}, read as {guess}", fontsize=9)
plt.show()
print("📊 mistakes (is, read as):", ", ".join(f"({label}, {guess})" for _, label, guess in mistakes))

# %% [markdown] nbgrader={"grade": false, "grade_id": "question-memory", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## A question

(a) How many bytes does each further image add to the graph, by your run? Account for them: which arrays of the
64-128-10 network are they, with how many numbers each, and why does their operation keep them? (b) A training loop
calls `backward` on every loss and collects `losses.append(loss)`, to plot them later. It also collects the losses of
the validation batches, on which it never calls `backward`. Which of the two lists fills the memory, and what are two
ways to prevent it? (c) A depth-first walk visits every Tensor, too. Give the smallest expression for which it finds a
wrong gradient if it passes on what it has at the first visit, and say what goes wrong.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-memory", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
### BEGIN SOLUTION
For graders: (a) 1,936 bytes by the counting cell: in float32 the image (64 numbers, kept by the first product), 128
numbers three times (product, sum with the bias, relu: each kept as the input of the next operation), 10 numbers three
times (product, sum, log_softmax), and of the loss two float32 numbers and two int64 indices: 1 point. Kept because
every operation keeps what its rule may need, which is its inputs (the rule of matmul needs the other factor; that of
add would not): 1 point. (b) after `backward` the nodes are released and only the small loss Tensors are left; the
validation losses keep their graphs, hence `no_grad` around them or `.item()`: 1 point. (c) A Tensor with two users of
different depth, such as t = a·b in t + t·t, or y = a·b + b with a computed b: its incomplete gradient would be passed
on, or the second part would be lost: 1 point.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The update loop above is the simplest optimizer there is. Module 06 writes better ones: with momentum, and with a rate
of its own for every parameter. With modules 01 to 05 complete, the milestone of 1969 is unlocked: `tito milestone run 02`.
Next: `tito module complete 05_autograd`.
"""
