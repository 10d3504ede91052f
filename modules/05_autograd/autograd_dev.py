# %% [markdown]
r"""
# 05 Autograd

A loss says how wrong a network is. Its gradient says what to do about it: for each of the network's numbers, how much the
loss changes when that number grows a little. For a network of 100,000 numbers you could nudge one after the other and
run the network 100,000 times. *Backpropagation* (Rumelhart, Hinton and Williams, 1986) finds all of them in about the time of two runs.

Since module 01 every operation has had an empty slot for its gradient rule, and every Tensor with `requires_grad=True` has been
remembering what it was used for. In this module you fill the slots and write the walk that chains them. Nothing in
modules 01 to 04 is edited: at the end, everything you have built there is differentiable.

The fourteen cells come in three parts. After each part, something works that did not work before:

1. numeric gradients, two rules, the order of the walk, `backward` itself → a line is fitted;
2. the rules for broadcasting, arithmetic, reductions, matrix products and shapes → a two-layer network learns XOR;
3. activations, switching recording off, checking any gradient → a network reads handwritten digits.
"""

# %%
from tinytorch.notebook import check_home, expect_error

check_home()

# %%
#| default_exp core.autograd

# %% nbgrader={"grade": false, "grade_id": "provided-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextlib
import math

import numpy as np

from tinytorch.core.activations import erf, gelu, relu, sigmoid, softmax_along, tanh
from tinytorch.core.layers import linear
from tinytorch.core.losses import bce_terms, log_softmax, softplus
from tinytorch.core.tensor import (
    Node, Op, Tensor, absolute, add, cast, clip, concat, div, exp, fill_key, index, log, matmul, maximum, minimum, mul,
    neg, normalize_axes, permute, power, reduce_max, reduce_mean, reduce_min, reduce_sum, reshape, sqrt, sub, where,
)
from tinytorch.kernels.precision import to_float32

# %% [markdown]
r"""
`tensor.backward()` has looked for its engine in one place since module 01: `Op.engine`. This cell puts the engine there. It refuses what
cannot work and then calls `backward`, the function of *this* notebook that you will write.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-engine", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def start(tensor, grad):
    """What `tensor.backward(grad)` calls: checks the request, then runs `backward`."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "backward() on a Tensor without a history: nothing that it was computed from has requires_grad=True, "
            "or it was computed inside no_grad"
        )
    if grad is not None:
        grad = np.asarray(grad.data if isinstance(grad, Tensor) else grad, dtype=tensor.dtype)
        if grad.shape != tensor.shape:
            raise ValueError(f"backward(grad): the Tensor has shape {tensor.shape}, grad has shape {grad.shape}")
    with np.errstate(all="ignore"):  # the slope of a logarithm at 0 is inf: an answer, not an accident
        backward(tensor, grad)


Op.engine = start

# %% [markdown]
r"""
## A gradient by trying

The derivative of x³ at 2 is 3·2² = 12. You can find it without calculus: go a little to the right, a little to the left, and
divide the rise by the run:

    f(2.000001) = 8.000012000006
    f(1.999999) = 7.999988000006
    rise / run  = 0.000024 / 0.000002 = 12

The same for an array: nudge one entry, leave the others. This is slow and exact to about 9 digits, which makes it the judge of every
rule in this module. (One-sided differences, `(f(x + eps) - f(x)) / eps`, give only half as many digits.)

**Write `numeric_gradient(function, x, eps)`**: for a `function` from an array to a number, the float64 array of its central
differences at `x`, one per entry. The caller's `x` must not change, not even for a moment: nudge a float64 copy.
"""

# %% nbgrader={"grade": false, "grade_id": "numeric_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
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
    got = numeric_gradient(lambda x: float(x**3), np.array(2.0))
    assert np.allclose(got, 12, rtol=1e-7), f"x³ at 2: expected 12, got {got}"

    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    got = numeric_gradient(lambda x: float((x**2).sum() + x[0, 0] * x[1, 1]), x)
    assert got.shape == (2, 2), f"one derivative per entry: expected shape (2, 2), got {got.shape}"
    assert np.allclose(got, [[-2, 4], [6, -7]], rtol=1e-7), f"sum of squares plus a·d: expected [[-2, 4], [6, -7]], got {got.tolist()}"
    got = numeric_gradient(lambda nudged: float((nudged * x).sum()), x)
    assert np.allclose(got, [[1, 2], [3, -4]]), f"the caller's x must stay as it is while the function runs: expected {x.tolist()}, got {got.tolist()}"
    assert x.tolist() == [[1.0, 2.0], [3.0, -4.0]], "the caller's array must be as it was"

    got = numeric_gradient(lambda x: float((x**3).sum() + x[0] * x[1]), np.array([1.0, 2.0]), eps=0.5)
    assert np.allclose(got, [5.25, 13.25]), f"x³ + y³ + x·y at (1, 2) with eps = 0.5: expected [5.25, 13.25], got {got.tolist()}"

    got = numeric_gradient(lambda x: float(np.exp(x).sum()), np.array([1.0], dtype=np.float32))
    assert got.dtype == np.float64 and abs(got[0] - math.e) < 1e-7, f"exp at 1, from a float32 array: expected 2.7182818 in float64, got {got[0]!r}"
    print("🔬 numeric_gradient")

test_unit_numeric_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-numeric_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: another eps, integers, a function whose one-sided differences are not good enough.
### BEGIN HIDDEN TESTS
assert np.allclose(numeric_gradient(lambda x: float((1000 * x**2).sum()), np.array([0.0, 0.5]), eps=1e-3), [0, 1000], atol=1e-8)
assert np.allclose(numeric_gradient(lambda x: float(x[0] * x[1]), np.array([3, 5])), [5, 3])
assert numeric_gradient(lambda x: 1.0, np.zeros((2, 0))).shape == (2, 0)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Rules

A rule knows one operation. It is given `grad`, how much the loss changes for each entry of the operation's *output*, and answers how much it
changes for each *input*: one array per input. For a product:

    out = a · b            a = [1, 2]      b = [3, 4]      out = [3, 8]
    grad = [10, 100]       the loss grows by 10 when out[0] grows by 1

If a[0] grows by 1, out[0] grows by b[0] = 3, and the loss by 10 · 3 = 30. So the gradient for `a` is `grad` times `b`: [30, 400]. For `b` it is [10, 200].

That is the chain rule, and all of it. A rule is registered with the operation's own decorator, and gets `grad`, the output `out`, and the arrays
that the operation got: `rule(grad, out, a, b)`. Shapes that broadcasting changed are put right elsewhere, later.

**Write the rules of `add` and `mul`**: each returns a tuple with the gradient for `a` and the gradient for `b`.
"""

# %% nbgrader={"grade": false, "grade_id": "add_mul_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    assert for_a.tolist() == [30, 400], f"mul, for a: expected [30, 400], got {for_a.tolist()}"
    assert for_b.tolist() == [10, 200], f"mul, for b: expected [10, 200], got {for_b.tolist()}"
    for_a, for_b = add_gradient(grad, a + b, a, b)
    assert for_a.tolist() == [10, 100], f"add, for a: a change of a is the same change of out, expected [10, 100], got {for_a.tolist()}"
    assert for_b.tolist() == [10, 100], f"add, for b: expected [10, 100], got {for_b.tolist()}"
    print("🔬 add and mul")

test_unit_add_mul_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-add_mul_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other numbers, and that the arrays that came in are left alone.
### BEGIN HIDDEN TESTS
upstream, first, second = np.array([[2.0, -1.0]]), np.array([[0.5, 3.0]]), np.array([[-4.0, 0.25]])
assert [g.tolist() for g in mul_gradient(upstream, first * second, first, second)] == [[[-8.0, -0.25]], [[1.0, -3.0]]]
assert [g.tolist() for g in add_gradient(upstream, first + second, first, second)] == [[[2.0, -1.0]]] * 2
assert upstream.tolist() == [[2.0, -1.0]] and first.tolist() == [[0.5, 3.0]] and second.tolist() == [[-4.0, 0.25]]
### END HIDDEN TESTS

# %% [markdown]
r"""
## In which order?

In `y = a·b + b`, the number `b` is used twice, so its gradient has two parts, and it is complete only when both users have been visited. The order that
guarantees this is a *topological order*: every Tensor comes after all that it was computed from. Walk it from the end, and each Tensor is
reached when its gradient is complete.

    a ──┐
        ├─ a·b ──┐             order:  a, b, a·b, y     (or b, a, a·b, y)
    b ──┤        ├─ y          walked: y, a·b, then a and b
        └────────┘

What a Tensor was computed from stands in `tensor.node.inputs`: Tensors, or None where no gradient is wanted. A leaf, such as a parameter, has `tensor.node` None.

The textbook's version calls itself for each input. That breaks twice: Python allows about 1,000 nested calls, and a chain of 10,000 operations is ordinary; and
without a memory of what was seen, `x + x` repeated 60 times has 2⁶⁰ paths. So keep a stack of your own and a set of ids. A depth-first walk pushes
a Tensor twice: once to look at its inputs, and once more, *below* them, to be appended when they are done.

**Write `topological_order(tensor)`**: the list of all Tensors that `tensor` depends on, itself last, each exactly once.
"""

# %% nbgrader={"grade": false, "grade_id": "topological_order", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
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
                stack.extend((x, False) for x in current.node.inputs if x is not None)
    return order
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-topological_order", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_topological_order():
    a, b = Tensor([2.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    product = a * b
    y = product + b
    places = {id(tensor): place for place, tensor in enumerate(topological_order(y))}
    assert len(places) == 4, f"y = a·b + b involves 4 Tensors (a and b hold equal numbers, and are two), the order holds {len(places)} different ones"
    assert places[id(y)] == 3, "the Tensor itself comes last"
    assert places[id(product)] == 2, "a·b comes after a and b, and before y"
    assert len(topological_order(y)) == 4, "each Tensor once: b has two users and was listed twice"

    square = product * product
    places = {id(tensor): place for place, tensor in enumerate(topological_order(product + square))}
    assert places[id(product)] < places[id(square)], "in t + t·t with t = a·b: t comes before t·t, also where t is met first as an input of the sum"

    constant = Tensor([1.0])
    order = topological_order(a * constant)
    assert not any(tensor is constant for tensor in order), "a Tensor that wants no gradient is not part of the walk"
    print("🔬 topological_order")

test_unit_topological_order()

# %% nbgrader={"grade": true, "grade_id": "test-topological_order-large", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_topological_order_large():
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y + 1.0
    assert len(topological_order(y)) == 10_001, "a chain of 10,000 operations"

    y = x
    for _ in range(60):
        y = y + y
    order = topological_order(y)
    assert len(order) == 61, f"60 doublings of one Tensor make 61 Tensors, got {len(order)}"
    print("🔬 topological_order: long and wide")

test_unit_topological_order_large()

# %% nbgrader={"grade": true, "grade_id": "test-topological_order-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: on random graphs, every Tensor stands behind its inputs.
### BEGIN HIDDEN TESTS
for seed in range(20):
    choice = np.random.default_rng(seed)
    made = [Tensor([float(i)], requires_grad=True) for i in range(3)]
    for _ in range(30):
        left, right = (made[i] for i in choice.integers(len(made), size=2))
        made.append(left * right if choice.random() < 0.5 else left + right)
    order = topological_order(made[-1])
    places = {id(tensor): place for place, tensor in enumerate(order)}
    assert order[-1] is made[-1] and len(places) == len(order), f"graph {seed}"
    for tensor in order:
        inputs = tensor.node.inputs if tensor.node is not None else ()
        assert all(places[id(x)] < places[id(tensor)] for x in inputs), f"graph {seed}: a Tensor stands before its input"
### END HIDDEN TESTS

# %% [markdown]
r"""
## The walk

`backward` keeps a dictionary of gradients on their way, starts it with the gradient of the last Tensor, and walks the order from the end. At each Tensor it
takes that Tensor's gradient out of the dictionary. Then:

- a **leaf** (`node` is None) keeps it: *added* to what `tensor.grad` holds already, or as an array of its own (`np.array` copies) where that is None. (Two losses may share a parameter; PyTorch
  accumulates, too, and that is why training loops clear gradients.)
- any other Tensor asks its rule and adds each answer to what has been collected for that input. Its node is then replaced by `RELEASED`, which lets go of the arrays;
  a second `backward` over the same graph will say so.

The call of the rule is given. `input_gradients(node, grad, out)` finds the rule, raises an error that names the operation where there is none, and makes sure
that each answer has the shape and dtype of its input. It returns one array per input, or None where no gradient is wanted.

Where does it start? The gradient of a loss with respect to itself is 1. For a Tensor with several entries there is no such natural choice.

**Write `backward(tensor, grad=None)`.** If `grad` is None and the Tensor does not have exactly one entry, raise a `RuntimeError` that names the shape and says what to
do: pass `grad`, or call `.sum()` or `.mean()` first. Never add in place (`+=`) to an array that a rule returned: the rule of `add` returns the same array twice.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-input_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
@Op
def released():
    """Stands in for an operation whose arrays `backward` has let go of."""


@released.gradient
def released_gradient(grad, out):
    raise RuntimeError("backward() ran through this graph before and released it; compute the output again")


RELEASED = Node(released, (), (), {})


def input_gradients(node, grad, out):
    """Ask the rule of `node`: one array per input that wants a gradient, with that input's shape and dtype, else None.

    Raises RuntimeError naming the operation where it has no rule, or where the rule's answer cannot be right.
    """
    op, settings = node.op, node.settings
    if op.rule is None:
        name = op.__name__
        raise RuntimeError(f"{name} has no gradient rule; give it one with @{name}.gradient, or detach() its input")
    if op.rule_takes_needs:
        settings = {**settings, "needs": tuple([x is not None for x in node.inputs])}
    arrays = (grad, out, *node.arrays)
    if grad.itemsize == 2:  # float16, in which a rule could not sum
        arrays = to_float32(arrays)
    answers = op.rule(*arrays, **settings) if Op.observer is None else Op.observer(op, op.rule, arrays, settings)
    answers = answers if isinstance(answers, (tuple, list)) else (answers,)
    if len(answers) != len(node.inputs):
        raise RuntimeError(f"the rule of {op.__name__} returned {len(answers)} gradients for {len(node.inputs)} inputs")
    return [None if x is None else fitted(op, i, answers[i], node.arrays[i]) for i, x in enumerate(node.inputs)]


def fitted(op, i, answer, array):
    """The gradient `answer` for input `i` of `op`, in the shape and dtype of that input's `array`."""
    if answer is None:
        raise RuntimeError(f"the rule of {op.__name__} returned no gradient for input {i}, which wants one")
    answer = np.asarray(answer)
    if answer.shape != array.shape and answer.ndim >= array.ndim:
        answer = unbroadcast(answer, array.shape)
    if answer.shape != array.shape:
        shapes = f"shape {answer.shape} for input {i} of shape {array.shape}"
        raise RuntimeError(f"the rule of {op.__name__} returned {shapes}")
    return answer if answer.dtype == array.dtype else answer.astype(array.dtype)

# %% nbgrader={"grade": false, "grade_id": "backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    ### BEGIN SOLUTION
    if grad is None:
        if tensor.data.size != 1:
            shape = tensor.shape
            raise RuntimeError(f"backward() on a Tensor of shape {shape}: pass grad, or call .sum() or .mean() first")
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
        current.node = RELEASED
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-backward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward():
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    y = a * b + b
    y.backward()
    assert a.grad is not None and a.grad == 3, f"y = a·b + b at a=2, b=3: expected a.grad = b = 3, got {a.grad}"
    assert b.grad == 3, f"b is used twice: expected b.grad = a + 1 = 3, got {b.grad}"
    assert isinstance(a.grad, np.ndarray) and a.grad.shape == (), f"grad is an array of the Tensor's shape, got {a.grad!r}"
    assert a.grad.dtype == np.float32, f"the gradient of a float32 Tensor is float32, got {a.grad.dtype}"
    assert y.grad is None, "only leaves keep a gradient, and y is none"

    (a * a * a).backward()
    assert a.grad == 15, f"a second loss adds up: expected 3 + 3·2² = 15, got {a.grad}"

    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * x).backward(np.array([10.0, 100.0]))
    assert x.grad.tolist() == [20, 400], f"backward([10, 100]) of x²: expected [20, 400], got {x.grad.tolist()}"

    for what, function in [("p + q", lambda p, q: p + q), ("(p + q) + p·q", lambda p, q: (p + q) + p * q), ("p·q + (p + q)", lambda p, q: p * q + (p + q))]:
        p, q = Tensor([2.0], requires_grad=True), Tensor([5.0], requires_grad=True)
        function(p, q).backward()
        expected = ([1], [1]) if what == "p + q" else ([6], [3])
        got = p.grad.tolist(), q.grad.tolist()
        assert got == expected, f"{what} at p = 2, q = 5: expected the gradients {expected}, got {got}"
        assert not np.shares_memory(p.grad, q.grad), f"{what}: p.grad and q.grad are one and the same array, so clearing or scaling one changes the other"

    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60, f"60 doublings: expected 2⁶⁰, got {x.grad}"
    print("🔬 backward")

test_unit_backward()

# %% nbgrader={"grade": true, "grade_id": "test-backward-errors", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward_errors():
    x = Tensor([1.0, 2.0], requires_grad=True)
    expect_error(RuntimeError, ["(2,)", "grad"], (x * x).backward)
    y = x * x
    y.backward(np.ones(2))
    expect_error(RuntimeError, "released", y.backward, np.ones(2))
    expect_error(RuntimeError, "requires_grad", Tensor([1.0]).backward)
    nothing = Op(lambda a: a)
    nothing.__name__ = "nothing"
    expect_error(RuntimeError, "nothing has no gradient rule", nothing(x).backward, np.ones(2))
    print("🔬 backward: errors")

test_unit_backward_errors()

# %% nbgrader={"grade": true, "grade_id": "test-backward-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: gradients are arrays of their own, and a long chain costs nothing special.
### BEGIN HIDDEN TESTS
p, q = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
seed = np.array([1.0, 1.0], dtype=np.float32)
(p + q).backward(seed)
p.grad[0] = 50
assert q.grad.tolist() == [1, 1] and seed.tolist() == [1, 1], "two Tensors must not share one gradient array"
first = p.grad
(p * 3.0).backward(seed)
assert p.grad.tolist() == [53, 4] and p.grad.flags.writeable
chain = Tensor(1.0, requires_grad=True, dtype=np.float64)
end = chain
for _ in range(5000):
    end = end * 1.0001 + 0.0
end.backward()
assert abs(chain.grad - 1.0001**5000) < 1e-9 and chain.grad.dtype == np.float64 and end.node is RELEASED
expect_error(RuntimeError, "(0,)", Tensor([], requires_grad=True).__mul__(2.0).backward)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Checkpoint: fit a line

Twenty points near y = 2x − 1, two Tensors, and a loss made of nothing but additions and products. Predict what `w` and `b` will be, then run. (The
update changes `data` directly: it is no part of the computation that is to be differentiated.)
"""

# %%
points = np.random.default_rng(0).uniform(-1, 1, 20)
w, b = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
for _ in range(60):
    for x in points:
        error = w * x + b + (1 - 2 * x)
        (error * error).backward()
        for parameter in (w, b):
            parameter.data -= 0.05 * parameter.grad
            parameter.grad = None
print(f"fitted: y = {w:.3f} x + {b:.3f}")

# %% [markdown]
r"""
## Undoing a broadcast

In `y = x + b` with `x` of shape (3, 4) and `b` of shape (4,), NumPy uses every entry of `b` three times, once per row. So a change of `b[0]` changes three
outputs, and its gradient is the **sum** of three:

    grad = [[1,  2,  3,  4],
            [5,  6,  7,  8],       for b:  [15, 18, 21, 24]
            [9, 10, 11, 12]]

What broadcasting repeated, the gradient sums. Two things can have been repeated: axes that were put in front (`b` has one axis, `y` has two) and axes of
size 1 that were stretched. The first vanish in the sum; the second stay, with size 1.

**Write `unbroadcast(grad, shape)`**: `grad` summed down to `shape`. `input_gradients` calls it wherever a rule's answer is larger than its input, so no rule
ever has to think of broadcasting.
"""

# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

    got = unbroadcast(grad, (4,))
    assert np.array_equal(got, [15, 18, 21, 24]), f"(3, 4) to (4,): expected the column sums [15, 18, 21, 24], got {got.tolist()}"

    got = unbroadcast(grad, (3, 1))
    assert got.shape == (3, 1), f"(3, 4) to (3, 1): a stretched axis stays, with size 1; got shape {got.shape}"
    assert np.array_equal(got.ravel(), [10, 26, 42]), f"(3, 4) to (3, 1): expected the row sums [10, 26, 42], got {got.ravel().tolist()}"

    got = unbroadcast(grad, (3, 4))
    assert np.array_equal(got, grad), "nothing was repeated, so nothing may be summed"

    for shape, expected in [((3, 1), [[60], [92], [124]]), ((), 276)]:
        got = unbroadcast(np.arange(24.0).reshape(2, 3, 4), shape)
        assert got.tolist() == expected, f"0 to 23 in shape (2, 3, 4), to {shape}: expected {expected}, got {got.tolist()}"

    bias = Tensor([0.0, 0.0], requires_grad=True)
    (Tensor(np.ones((3, 2))) * (bias + 1.0)).backward(np.ones((3, 2)))
    assert bias.grad.tolist() == [3, 3], f"a bias used in three rows: expected [3, 3], got {bias.grad.tolist()}"
    print("🔬 unbroadcast")

test_unit_unbroadcast()

# %% nbgrader={"grade": true, "grade_id": "test-unbroadcast-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other shapes, and that every entry counts exactly once.
### BEGIN HIDDEN TESTS
for large, small in [((2, 3, 5), (2, 1, 5)), ((2, 3, 5), ()), ((2, 3, 5), (1, 1)), ((2, 3, 5), (1, 3, 1)), ((4, 1), (1,)), ((0, 3), (3,)), ((3, 0), (3, 1))]:
    values = np.arange(math.prod(large), dtype=np.float64).reshape(large)
    got = unbroadcast(values, small)
    assert got.shape == small and got.sum() == values.sum(), f"{large} to {small}: got shape {got.shape}"
assert unbroadcast(np.arange(6.0).reshape(2, 3, 1), (3, 1)).ravel().tolist() == [3, 5, 7]
### END HIDDEN TESTS

# %% [markdown]
r"""
## Arithmetic

With broadcasting out of the way, a rule is one line: `grad` times a derivative. Two of these reuse `out`, which has been computed already.

| operation | for a | for b |
|---|---|---|
| `sub` a − b | 1 | −1 |
| `div` a / b | 1 / b | −a / b² |
| `power` aᵇ | b · aᵇ⁻¹ | out · ln a |
| `exp` eᵃ | out | |
| `log` ln a | 1 / a | |

    a = 6, b = 3, grad = 10:   div gives 10 · 1/3 and 10 · (−6/9)

In `power`, the exponent is usually a plain number that wants no gradient, so the second column is worth skipping: a rule with a parameter `needs` is told, in one bool per
input, what is wanted. The exponent's part is given. For the base, take care of b = 0: the derivative of a⁰ is 0 everywhere, but 0 · a⁻¹ is `nan` at a = 0. (An exponent of
`b - (b != 0)` is one way: for b = 0 it computes 0 · a⁰.)

**Write the five rules.** A rule with one input returns one array, without a tuple.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-exponent_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def exponent_gradient(grad, out, a, b):
    """The gradient of a ** b for b. At a = 0 it is 0, as the limit from the right, where b is not negative."""
    a = np.asarray(a, out.dtype)
    return grad * np.where((a == 0) & (np.asarray(b) >= 0), 0, out * np.log(a))

# %% nbgrader={"grade": false, "grade_id": "arithmetic_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    ### BEGIN SOLUTION
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b
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
    def gradients(function, *numbers):
        inputs = [Tensor(number, requires_grad=True, dtype=np.float64) for number in numbers]
        function(*inputs).backward(10.0)
        return [float(x.grad) for x in inputs]

    cases = [
        ("6 / 3", lambda a, b: a / b, (6.0, 3.0), (10 / 3, -60 / 9)),
        ("6 - 3", lambda a, b: a - b, (6.0, 3.0), (10, -10)),
        ("2 ** 3", lambda a, b: a**b, (2.0, 3.0), (120, 80 * math.log(2))),
        ("3 ** 2 with a plain exponent", lambda a: a**2, (3.0,), (60,)),
        ("2 ** 3 with a plain base", lambda b: 2**b, (3.0,), (80 * math.log(2),)),
        ("exp(2)", lambda a: a.exp(), (2.0,), (10 * math.e**2,)),
        ("log(4)", lambda a: a.log(), (4.0,), (2.5,)),
    ]
    for what, function, numbers, expected in cases:
        got = gradients(function, *numbers)
        assert np.allclose(got, expected, rtol=1e-12), f"{what}, grad 10: expected {list(map(float, expected))}, got {got}"
    print("🔬 sub, div, power, exp, log")

test_unit_arithmetic_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic_gradients-edges", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def test_unit_arithmetic_gradients_edges():
    x = Tensor([0.0, 0.0], requires_grad=True)
    (x ** Tensor([0.0, 1.0])).backward(np.ones(2))
    assert x.grad.tolist() == [0, 1], f"x⁰ and x¹ at x = 0: expected [0, 1], got {x.grad.tolist()}"
    x = Tensor([[8.0], [2.0]], requires_grad=True)
    (1 / x).backward(np.ones((2, 1)))
    assert np.allclose(x.grad.ravel(), [-1 / 64, -1 / 4]), f"1/x at 8 and 2: expected [-1/64, -1/4], got {x.grad.ravel().tolist()}"
    print("🔬 sub, div, power, exp, log: edges")

test_unit_arithmetic_gradients_edges()

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic_gradients-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Withheld: arrays that broadcast, against differences.
### BEGIN HIDDEN TESTS
drawn, step = np.random.default_rng(5), 1e-6
for operation, function in [(sub, np.subtract), (div, np.divide), (power, np.power)]:
    left, right, weights = drawn.uniform(0.5, 2, (3, 1)), drawn.uniform(0.5, 2, (2, 3, 4)), drawn.standard_normal((2, 3, 4))
    u, v = Tensor(left, requires_grad=True, dtype=np.float64), Tensor(right, requires_grad=True, dtype=np.float64)
    operation(u, v).backward(weights)
    slopes = (function(left + step, right) - function(left - step, right)) * weights / (2 * step)
    assert np.allclose(u.grad, slopes.sum(axis=(0, 2))[:, None], rtol=1e-6), f"{operation}: for a"
    slopes = (function(left, right + step) - function(left, right - step)) * weights / (2 * step)
    assert np.allclose(v.grad, slopes, rtol=1e-6), f"{operation}: for b"
zero = Tensor(np.zeros(3), requires_grad=True)
(zero**0 + zero**2).backward(np.ones(3))
assert zero.grad.tolist() == [0, 0, 0]
### END HIDDEN TESTS

# %% [markdown]
r"""
The remaining elementwise rules follow the same pattern and are given. Where two inputs of `maximum` are equal, each gets half, and the slope of |x| at 0 is 0: choices, which PyTorch makes
in the same way. Rules that stop a gradient at some entries use `gated`. Choosing with `np.where` is
right and slow: with no pattern in the choices, the processor guesses each of them and is wrong half of the time. Multiplying by 0 or 1 guesses nothing and is several times faster, but wrong for an infinite gradient: 0 · inf is `nan`. So `gated` multiplies, looks
whether anything went wrong, and only then chooses.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-elementwise_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def gated(grad, passes):
    """`grad` where the boolean array `passes` holds, else 0."""
    product = grad * passes
    return product if np.isfinite(product.sum()) else np.where(passes, grad, 0)


@neg.gradient
def neg_gradient(grad, out, a):
    return -grad


@absolute.gradient
def absolute_gradient(grad, out, a):
    return gated(np.copysign(1, a) * grad, a != 0)


@sqrt.gradient
def sqrt_gradient(grad, out, a):
    return grad / (2 * out)


@maximum.gradient
def maximum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return gated(share, ~np.less(a, b)), gated(share, ~np.less(b, a))


@minimum.gradient
def minimum_gradient(grad, out, a, b):
    share = np.where(np.equal(a, b), grad / 2, grad)
    return gated(share, ~np.greater(a, b)), gated(share, ~np.greater(b, a))


@where.gradient
def where_gradient(grad, out, condition, a, b):
    condition = np.asarray(condition, bool)
    return None, gated(grad, condition), gated(grad, ~condition)


@clip.gradient
def clip_gradient(grad, out, x, *, low, high):
    return gated(grad, (low is None or x >= low) & (high is None or x <= high))


@cast.gradient
def cast_gradient(grad, out, x, *, dtype):
    return grad

# %% [markdown]
r"""
## Sums and means

A sum adds every entry once, so each entry's gradient is that of the sum it went into: `grad` is handed back to all of them.

    x = [[1, 2, 3],      x.sum(axis=1) = [6, 15]      grad = [10, 100]       for x: [[ 10,  10,  10],
         [4, 5, 6]]                                                                  [100, 100, 100]]

To be handed back, `grad` needs the reduced axes again, with size 1. The given `with_axes` puts them there; `np.broadcast_to(array, shape)` stretches without copying. A mean
is a sum divided by a count, and so is its gradient; the count is `x.size / out.size`. (Multiply by its reciprocal, with `max(x.size, 1)` for the sake of an empty batch: there any share will do, but 0 / 0 will not.)

**Write the rules of `reduce_sum` and `reduce_mean`.** Mind the dtype: dividing a float32 array by a NumPy integer gives float64; a Python number does not.
"""

# %% nbgrader={"grade": false, "grade_id": "provided-with_axes", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
def with_axes(reduced, x, axis, keepdims):
    """The result of reducing `x` over `axis`, with the reduced axes put back in size 1; it broadcasts against `x`."""
    return reduced if keepdims else np.expand_dims(reduced, normalize_axes(axis, x.ndim))

# %% nbgrader={"grade": false, "grade_id": "sum_mean_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)
    ### END SOLUTION


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sum_mean_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_sum_mean_gradient():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    cases = [
        ("sum over axis 1", sum_gradient, {"axis": 1}, [10.0, 100.0], [[10] * 3, [100] * 3]),
        ("sum over axis 0, keepdims", sum_gradient, {"axis": 0, "keepdims": True}, [[1.0, 2.0, 3.0]], [[1, 2, 3]] * 2),
        ("sum of all", sum_gradient, {}, 5.0, [[5] * 3] * 2),
        ("mean over axis 1", mean_gradient, {"axis": 1}, [30.0, 300.0], [[10] * 3, [100] * 3]),
        ("mean over axis -2", mean_gradient, {"axis": -2}, [2.0, 4.0, 6.0], [[1, 2, 3]] * 2),
        ("mean of all", mean_gradient, {}, 12.0, [[2] * 3] * 2),
        ("mean over axes (1, 0)", mean_gradient, {"axis": (1, 0)}, 12.0, [[2] * 3] * 2),
    ]
    for what, rule, settings, grad, expected in cases:
        reduced = (x.sum if rule is sum_gradient else x.mean)(**settings)
        got = rule(np.array(grad), np.asarray(reduced), x, **settings)
        assert np.allclose(got, expected), f"{what}, grad {grad}: expected {expected}, got {np.asarray(got).tolist()}"

    for rule in (sum_gradient, mean_gradient):
        ones = np.ones((4, 3), np.float32)
        got = rule(ones[0], ones[0], ones, axis=0)
        assert got.dtype == np.float32, f"{rule.__name__} of float32 arrays: expected float32, got {got.dtype}"
        got = rule(np.array(5.0), np.array(7.0), np.array([7.0]))
        assert got.tolist() == [5], f"{rule.__name__} of a single entry, grad 5: expected [5], got {got.tolist()}"
        for empty, axis in [((0, 3), 0), ((0, 3), 1), ((2, 0), 1)]:
            reduced = np.ones(tuple(size for i, size in enumerate(empty) if i != axis))
            got = rule(reduced, reduced, np.ones(empty), axis=axis)
            assert got.shape == empty, f"{rule.__name__}, x of shape {empty}, axis {axis}: got shape {got.shape}"
    print("🔬 sum and mean")

test_unit_sum_mean_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-sum_mean_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: several axes at once, float32, and gradients that can be written to.
### BEGIN HIDDEN TESTS
cube = Tensor(np.ones((2, 3, 4)), requires_grad=True)
(cube.mean(axis=(0, -1)) * Tensor([8.0, 16.0, 24.0])).sum().backward()
assert np.allclose(cube.grad, np.array([1, 2, 3])[None, :, None] * np.ones((2, 3, 4))) and cube.grad.dtype == np.float32
cube.grad *= 2
assert mean_gradient(np.ones(3, np.float32), np.ones(3, np.float32), np.ones((4, 3), np.float32), axis=0).dtype == np.float32
### END HIDDEN TESTS

# %% [markdown]
r"""
## The largest entry

Only the largest entry decides a maximum, so only it gets a gradient. With several equal ones there is no derivative, only a choice: share equally, so that the parts still add up to `grad`.

    x = [3, 7, 7, 1]      max = 7       grad = 10       for x: [0, 5, 5, 0]

**Write the rule of `reduce_max`.** `out`, with its axes put back, tells where the largest entries are.
"""

# %% nbgrader={"grade": false, "grade_id": "max_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    ### BEGIN SOLUTION
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return with_axes(grad, x, axis, keepdims) * is_largest / ties
    ### END SOLUTION


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% nbgrader={"grade": true, "grade_id": "test-max_gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_gradient():
    x = Tensor([3.0, 7.0, 7.0, 1.0], requires_grad=True)
    x.max().backward(10.0)
    assert x.grad.tolist() == [0, 5, 5, 0], f"two equal largest entries: expected [0, 5, 5, 0], got {x.grad.tolist()}"

    x = Tensor([[1.0, 9.0, 2.0], [8.0, 8.0, 8.0]], requires_grad=True)
    x.max(axis=1).backward([6.0, 12.0])
    assert x.grad.tolist() == [[0, 6, 0], [4, 4, 4]], f"ties count within their own row: expected [[0, 6, 0], [4, 4, 4]], got {x.grad.tolist()}"

    x = Tensor([[1.0, 9.0], [8.0, 2.0]], requires_grad=True)
    x.max(axis=0, keepdims=True).backward([[3.0, 5.0]])
    assert x.grad.tolist() == [[0, 5], [3, 0]], f"along axis 0 with keepdims: expected [[0, 5], [3, 0]], got {x.grad.tolist()}"

    ones = np.ones(3, np.float32)
    got = max_gradient(ones[0], ones[0], ones)
    assert got.dtype == np.float32, f"float32 arrays: expected a float32 gradient, got {got.dtype}"
    print("🔬 max")

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
        assert np.allclose(values.grad.sum(axis=axis, keepdims=keepdims), 6) and not values.grad[coarse != coarse.max(axis=axis, keepdims=True)].any(), f"axis {axis}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Matrix products

The rule behind all of deep learning, and the shapes alone nearly give it away. With `out = a @ b` and shapes (n, k) @ (k, m) → (n, m), the gradient for `a` must have shape (n, k), and is made of
`grad` (n, m) and `b` (k, m):

    for a:  grad @ bᵀ      (n, m) @ (m, k)
    for b:  aᵀ @ grad      (k, n) @ (n, m)

Why: out[i, j] = Σ a[i, p] · b[p, j]. So a[i, p] acts on the row out[i, :], through b[p, :], and its gradient is Σⱼ grad[i, j] · b[p, j].

    a = [[1, 2]]    b = [[3, 4],    grad = [[1, 10]]      for a: [[3·1 + 4·10, 5·1 + 6·10]] = [[43, 65]]
                         [5, 6]]                          for b: [[1·1, 1·10], [2·1, 2·10]] = [[1, 10], [2, 20]]

**Write `matrix_gradients(grad, a, b)`** for operands with two axes: both gradients. Write it with `np.swapaxes(x, -1, -2)` rather than `.T`: then it works for batches of matrices as it stands.
"""

# %% nbgrader={"grade": false, "grade_id": "matrix_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    ### BEGIN SOLUTION
    return grad @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ grad
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-matrix_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_matrix_gradients():
    a, b, grad = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 10.0]])
    for_a, for_b = matrix_gradients(grad, a, b)
    assert for_a.tolist() == [[43, 65]], f"for a: expected [[43, 65]], got {for_a.tolist()}"
    assert for_b.tolist() == [[1, 10], [2, 20]], f"for b: expected [[1, 10], [2, 20]], got {for_b.tolist()}"

    drawn = np.random.default_rng(0)
    a, b, grad = drawn.standard_normal((3, 4)), drawn.standard_normal((4, 2)), drawn.standard_normal((3, 2))
    for_a, for_b = matrix_gradients(grad, a, b)
    assert for_a.shape == (3, 4) and for_b.shape == (4, 2), f"each gradient has its operand's shape: got {for_a.shape}, {for_b.shape}"
    nudge = np.zeros((3, 4))
    nudge[1, 2] = 1e-6
    slope = (((a + nudge) @ b - a @ b) * grad).sum() / 1e-6
    assert np.isclose(for_a[1, 2], slope, rtol=1e-4), f"nudging a[1, 2]: the loss changes by {slope:.6f}, the rule says {for_a[1, 2]:.6f}"
    print("🔬 matrix_gradients")

test_unit_matrix_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-matrix_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches of matrices.
### BEGIN HIDDEN TESTS
lots, many, back = (np.random.default_rng(2).standard_normal(shape) for shape in [(5, 2, 3), (5, 3, 4), (5, 2, 4)])
for_lots, for_many = matrix_gradients(back, lots, many)
assert np.allclose(for_lots, np.einsum("bij,bkj->bik", back, many)) and np.allclose(for_many, np.einsum("bik,bij->bkj", lots, back))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Rows, columns and batches

`matmul` also takes 1-D operands: `a` of shape (k,) as a row (1, k), `b` of shape (k,) as a column (k, 1), and the extra axis is missing from the result. The rule puts those axes in, lets
`matrix_gradients` work, and takes them out again:

    a (k,) → (1, k)        b (k,) → (k, 1)        grad: one axis more, last but one for a, last for b

    (3,) @ (3, 2)    grad (2,) → (1, 2)    for a: (1, 3) → (3,)    for b: (3, 2)
    (2, 3) @ (3,)    grad (2,) → (2, 1)    for a: (2, 3)           for b: (3, 1) → (3,)

Batches that broadcast, such as (8, 2, 3) @ (3, 5), give `b` a gradient of shape (8, 3, 5); `unbroadcast` sums it later.

**Write the rule of `matmul`.** It may compute both gradients; `needs` is used for you in the last line, where the unwanted one is dropped. `x[None, :]`, `x[:, None]` and `np.expand_dims(x, axis)` put axes in;
`x[..., 0, :]` and `x[..., 0]` take them out.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "test-matmul_gradient", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_gradient():
    drawn = np.random.default_rng(3)
    for shape_a, shape_b in [((2, 3), (3, 2)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((1,), (1, 1)), ((4, 2, 3), (4, 3, 2))]:
        a, b = drawn.standard_normal(shape_a), drawn.standard_normal(shape_b)
        out = np.asarray(a @ b)
        grad = drawn.standard_normal(out.shape)
        for_a, for_b = matmul_gradient(grad, out, a, b)
        what = f"{shape_a} @ {shape_b}"
        assert for_a.shape == shape_a and for_b.shape == shape_b, f"{what}: the gradients have shapes {for_a.shape} and {for_b.shape}"
        for name, got, slope in [
            ("a", for_a, lambda nudge, a=a, b=b: (a + nudge) @ b - (a - nudge) @ b),
            ("b", for_b, lambda nudge, a=a, b=b: a @ (b + nudge) - a @ (b - nudge)),
        ]:
            nudge = drawn.standard_normal(got.shape)
            expected = (slope(nudge) * grad).sum() / 2
            assert np.isclose((got * nudge).sum(), expected), f"{what}: for {name}, along a random direction: expected {expected:.6f}, got {(got * nudge).sum():.6f}"

    row, batch = Tensor([1.0, 2.0, 3.0], requires_grad=True), Tensor(np.arange(12.0).reshape(2, 3, 2), requires_grad=True)
    (row @ batch).backward(np.ones((2, 2)))
    assert row.grad.tolist() == [14, 22, 30], f"(3,) @ (2, 3, 2), where the row meets both matrices: expected [14, 22, 30], got {row.grad.tolist()}"
    assert batch.grad.tolist() == [[[1, 1], [2, 2], [3, 3]]] * 2, f"(3,) @ (2, 3, 2), for the batch: got {batch.grad.tolist()}"
    print("🔬 matmul: rows, columns, batches")

test_unit_matmul_gradient()

# %% nbgrader={"grade": true, "grade_id": "test-matmul_gradient-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: batches that broadcast, through backward.
### BEGIN HIDDEN TESTS
for shape_a, shape_b in [((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((4, 1, 2, 3), (6, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,))]:
    one, other = np.random.default_rng(4).standard_normal(shape_a), np.random.default_rng(6).standard_normal(shape_b)
    u, v = (Tensor(array, requires_grad=True, dtype=np.float64) for array in (one, other))
    (u @ v).backward(np.ones((one @ other).shape))
    assert u.grad.shape == shape_a and v.grad.shape == shape_b, f"{shape_a} @ {shape_b}"
    total = float((one @ other).sum())
    assert np.isclose((u.grad * one).sum(), total) and np.isclose((v.grad * other).sum(), total), f"{shape_a} @ {shape_b}"
### END HIDDEN TESTS

# %% [markdown]
r"""
What `unbroadcast` sums later has to be made first. In a language model, 12 texts of 64 words of 128 numbers each meet one matrix (128, 512): its gradient, by your rule, is twelve matrices,
3 MB in float32, of which the sum is a quarter of one. But a batch of rows on the left of *one* matrix is only more rows, (12, 64, 128) = (768, 128), and then the product
aᵀ @ grad does the sum itself. The next cell puts that around your rule, and gives `linear` from module 03 its rule in the same way: rows first, and by `needs` no gradient for images or
texts that want none.
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
def linear_gradient(grad, out, x, weight, bias=None, *, needs):
    grad = grad.reshape(math.prod(x.shape[:-1]), len(weight))
    for_x = (grad @ weight).reshape(x.shape) if needs[0] else None
    for_weight = grad.T @ x.reshape(len(grad), x.shape[-1]) if needs[1] else None
    for_bias = [grad.sum(axis=0) if wanted else None for wanted in needs[2:]]  # the bias may be left out
    return for_x, for_weight, *for_bias

# %% [markdown]
r"""
## Operations that only rearrange

They move numbers, so their rules move gradients back. `reshape`: into the old shape. `permute`: by the inverse order; if axis 0 went to place 2, what is at place 2 goes back to 0, and
`np.argsort` of the order is its inverse (make negative axes positive first). Indexing: into an array of zeros, at the places that were read. Places read **twice** receive twice:

    x = [5, 6, 7]      x[[0, 2, 2]] = [5, 7, 7]      grad = [1, 10, 100]      for x: [1, 0, 110]

`zeros[places] = grad` would keep only the last of the two, and `zeros[places] += grad` too. `np.add.at(zeros, places, grad)` adds every one. (It takes about 50 times as long. A key of slices and
integers alone reads no place twice; for it, if you like, assign.)

**Write the three rules.** The rule of `index` returns a tuple: the gradient for `x`, and None for each of the index arrays. `fill_key(key, arrays)` gives the places.
"""

# %% nbgrader={"grade": false, "grade_id": "shape_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "test-shape_gradients", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_shape_gradients():
    x = Tensor([5.0, 6.0, 7.0], requires_grad=True)
    x[np.array([0, 2, 2])].backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [1, 0, 110], f"a place read twice receives twice: expected [1, 0, 110], got {x.grad.tolist()}"

    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x[1, :2].backward([4.0, 5.0])
    assert x.grad.tolist() == [[0, 0, 0], [4, 5, 0]], f"x[1, :2]: expected [[0, 0, 0], [4, 5, 0]], got {x.grad.tolist()}"

    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x[:, np.array([1, 1])].backward([[1.0, 2.0], [3.0, 4.0]])
    assert x.grad.tolist() == [[0, 3, 0], [0, 7, 0]], f"x[:, [1, 1]]: expected [[0, 3, 0], [0, 7, 0]], got {x.grad.tolist()}"

    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x.reshape(3, 2).backward([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert x.grad.tolist() == [[1, 2, 3], [4, 5, 6]], f"reshape: expected [[1, 2, 3], [4, 5, 6]], got {x.grad.tolist()}"

    x = Tensor(np.zeros((2, 3, 4)), requires_grad=True)
    x.permute(1, 2, 0).backward(np.arange(24.0).reshape(3, 4, 2))
    assert x.grad.shape == (2, 3, 4), f"permute: expected a gradient of shape (2, 3, 4), got {x.grad.shape}"
    assert x.grad[1, 2, 3] == 23 and x.grad[1, 0, 2] == 5, f"permute: out[i, j, k] was x[k, i, j]; expected x.grad[1, 0, 2] = 5, got {x.grad[1, 0, 2]}"
    x.grad = None
    x.permute(-1, 0, 1).backward(np.arange(24.0).reshape(4, 2, 3))
    assert x.grad[1, 2, 3] == 23 and x.grad[0, 2, 1] == 8, f"permute(-1, 0, 1): out[i, j, k] was x[j, k, i]; expected x.grad[0, 2, 1] = 8, got {x.grad[0, 2, 1]}"
    print("🔬 reshape, permute, index")

test_unit_shape_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-shape_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: negative axes, masks, several index arrays, None and ... as indices.
### BEGIN HIDDEN TESTS
entries = np.arange(24.0).reshape(2, 3, 4)
source = Tensor(entries, requires_grad=True)
for axes in [(-1, 0, 1), (2, -2, -3), (0, 1, 2)]:
    source.permute(axes).backward(entries.transpose(axes))
    assert np.array_equal(source.grad, entries), f"permute {axes}"
    source.grad = None
rows, columns = np.array([0, 1, 1]), np.array([2, 0, 0])
table = Tensor(np.zeros((2, 3)), requires_grad=True)
table[Tensor(rows), columns].backward([1.0, 2.0, 3.0])
assert table.grad.tolist() == [[0, 0, 1], [5, 0, 0]]
table[..., None, 1][np.array([True, False])].backward(np.full((1, 1), 7.0))
assert table.grad.tolist() == [[0, 7, 1], [5, 0, 0]]
exact = Tensor(np.zeros(2), requires_grad=True, dtype=np.float64)
exact[1:].backward(np.array([1 / 3]))
assert exact.grad[1] == 1 / 3
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

In 1969 Minsky and Papert showed that one layer cannot learn XOR. Two can, if somebody finds the weights of the first one. You have just built what finds them. The activation is
x² here, because tanh has no rule yet; predict whether the loss goes down before you run.
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
        print(f"step {step:2d}: loss {loss:.4f}")

# %% [markdown]
r"""
## Activations

Each of these rules can be written with `out` alone or `x` alone; take what is cheaper.

- `relu`: the gradient passes where x > 0 and stops where x ≤ 0; an infinite one, too, stops there, and `gated` sees to it.
- `tanh`: its derivative is 1 − tanh². At out = 0.8 that is 0.36.
- `log_softmax` along an axis: out = x − log Σ eˣ. A change of x[i] raises out[i] by one, and lowers *every* out[j] of its row by softmax[i]. So the gradient is
  `grad` minus softmax times the row's sum of `grad`; and softmax is e to the power of `out`.

      x = [0, 0]     softmax = [½, ½]     grad = [1, 0]     for x: [1, 0] − [½, ½] · 1 = [½, −½]

**Write the three rules.**
"""

# %% nbgrader={"grade": false, "grade_id": "activation_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@relu.gradient
def relu_gradient(grad, out, x):
    ### BEGIN SOLUTION
    return gated(grad, ~(x <= 0))
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
def test_unit_activation_gradients():
    x, grad = np.array([-2.0, 0.0, 3.0]), np.array([10.0, 20.0, 30.0])
    got = relu_gradient(grad, np.maximum(x, 0), x)
    assert got.tolist() == [0, 0, 30], f"relu at [-2, 0, 3]: expected [0, 0, 30], got {got.tolist()}"
    got = relu_gradient(np.array([math.inf, math.inf]), np.array([0.0, 3.0]), np.array([-2.0, 3.0]))
    assert got.tolist() == [0, math.inf], f"relu at [-2, 3], grad [inf, inf]: expected [0, inf], got {got.tolist()}"
    got = tanh_gradient(np.array([10.0]), np.array([0.8]), np.array([math.atanh(0.8)]))
    assert np.allclose(got, 3.6), f"tanh where out is 0.8, grad 10: expected 3.6, got {got}"
    got = log_softmax_gradient(np.array([1.0, 0.0]), np.log([0.5, 0.5]), np.zeros(2), axis=-1)
    assert np.allclose(got, [0.5, -0.5]), f"log_softmax of [0, 0], grad [1, 0]: expected [0.5, -0.5], got {got.tolist()}"
    got = log_softmax_gradient(np.array([[1.0], [0.0]]), np.log([[0.5], [0.5]]), np.zeros((2, 1)), axis=0)
    assert np.allclose(got, [[0.5], [-0.5]]), f"log_softmax of a column of zeros along axis 0, grad [[1], [0]]: expected [[0.5], [-0.5]], got {got.tolist()}"

    logits = Tensor([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]], requires_grad=True)
    log_softmax(logits, axis=1).backward([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    expected = [[-0.09003057, -0.24472848, 0.33475906], [0, 0, 0]]
    assert np.allclose(logits.grad, expected, atol=1e-6), f"log_softmax along axis 1: expected {expected}, got {logits.grad.tolist()}"
    print("🔬 relu, tanh, log_softmax")

test_unit_activation_gradients()

# %% nbgrader={"grade": true, "grade_id": "test-activation_gradients-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: other axes, and that a gradient of log_softmax sums to zero along its axis.
### BEGIN HIDDEN TESTS
spread = np.random.default_rng(7).standard_normal((3, 4, 2)) * 5
for axis in (0, 1, -1):
    scores = Tensor(spread, requires_grad=True, dtype=np.float64)
    weights = np.random.default_rng(8).standard_normal(spread.shape)
    log_softmax(scores, axis=axis).backward(weights)
    assert np.allclose(scores.grad.sum(axis=axis), 0) and np.abs(scores.grad).max() > 0.1, f"axis {axis}"
    shares = np.exp(spread) / np.exp(spread).sum(axis=axis, keepdims=True)
    assert np.allclose(scores.grad, weights - shares * weights.sum(axis=axis, keepdims=True)), f"axis {axis}"
for function, at, slope in [(relu, 1e-3, 1), (relu, -1e-3, 0), (tanh, -0.3, 0.91513696)]:
    point = Tensor(at, requires_grad=True, dtype=np.float64)
    function(point).backward()
    assert abs(point.grad - slope) < 1e-7, f"{function} at {at}"
### END HIDDEN TESTS

# %% [markdown]
r"""
The other activations and losses in the same manner, given: sigmoid's slope is out · (1 − out), that of softplus is the sigmoid; softmax, like `log_softmax`, spreads a change over its whole row; GELU's slope is found by the
product rule; and `bce_terms` has its denominator bounded, as module 04 promised, so that a probability of exactly 0 or 1 gives a large slope and not `nan`.
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


@gelu.gradient
def gelu_gradient(grad, out, x, *, approximate="none"):
    if approximate == "tanh":
        scale, cubic = math.sqrt(2 / math.pi), 0.044715
        t = np.tanh(scale * (x + cubic * x * x * x))
        return grad * 0.5 * (1 + t + x * (1 - t * t) * scale * (1 + 3 * cubic * x * x))
    share = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    return grad * (share + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


@bce_terms.gradient
def bce_terms_gradient(grad, out, p, y, *, needs):
    for_y = grad * (np.maximum(np.log1p(-p), -100) - np.maximum(np.log(p), -100)) if needs[1] else None
    return grad * np.subtract(p, y, dtype=out.dtype) / np.maximum(p * (1 - p), 1e-12), for_y

# %% [markdown]
r"""
## Not recording

When a network is only used, its history is a burden: every intermediate array stays in memory, waiting for a `backward` that never comes. `with no_grad():` switches recording off for a
block of code. The switch is one attribute, `Op.recording`, so the class has three duties: turn it off, restore **what was there before** (blocks can be nested: leaving the inner
one must not switch recording on inside the outer one), and restore it also when the block raises an exception.

A context manager is a class with `__enter__` and `__exit__`. Python calls `__exit__(kind, error, traceback)` in both cases; an error goes on upwards unless `__exit__` returns something true.
Because of its base class `no_grad` is also a decorator, and then *one* object serves nested calls, so one remembered value is not enough: keep a stack.

**Write `__enter__` and `__exit__`.** The list `self.before` is there.
"""

# %% nbgrader={"grade": false, "grade_id": "no_grad", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "test-no_grad", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_no_grad():
    x = Tensor([1.0], requires_grad=True)
    try:
        with no_grad():
            assert not (x * 2).requires_grad, "inside no_grad nothing is recorded"
            with no_grad():
                pass
            assert not (x * 2).requires_grad, "after an inner block, still inside the outer one"
        assert (x * 2).requires_grad, "after the block, recording is on again"

        passed_on = False
        try:
            with no_grad():
                raise KeyError("from the block")
        except KeyError:
            passed_on = True
        assert passed_on, "an exception goes on upwards"
        assert (x * 2).requires_grad, "recording is on again after an exception"

        @no_grad()
        def predict(depth):
            return (x * 2).requires_grad or (depth > 0 and predict(depth - 1))

        assert not predict(2) and (x * 2).requires_grad, "as a decorator, also of a function that calls itself"
    finally:
        Op.recording = True
    print("🔬 no_grad")

test_unit_no_grad()

# %% nbgrader={"grade": true, "grade_id": "test-no_grad-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: deeper nesting, and recording that was off before.
### BEGIN HIDDEN TESTS
same = no_grad()
try:
    with same, same:
        assert not Op.recording, "inside, with one object entered twice"
    assert Op.recording, "one object entered twice"
    Op.recording = False
    with no_grad():
        assert not Op.recording, "inside, where it was off before"
    assert not Op.recording, "what was off before stays off"
finally:
    Op.recording = True
### END HIDDEN TESTS

# %% [markdown]
r"""
## Checking any gradient

Now the judge from the first beat returns. `gradcheck(function, inputs)` compares what `backward` says about a function of Tensors with what nudging says. A function with many outputs needs a
`grad` to start from; random numbers do, and they must not all be equal, or a rule that confuses the outputs would pass.

    loss(array) = Σ weights · function(array)         numeric: numeric_gradient of that loss
                                                       ours:    function(Tensor).backward(weights)

The inputs are float64 Tensors (in float32 the nudges drown in rounding). For each one that requires a gradient, compute the numeric gradient while the others keep their values. Where the two differ by more than
`atol + rtol · |numeric|` anywhere, the error must help: which operation, which input, where the difference is largest, what was expected and what came.

**Write `gradcheck(function, inputs, eps, atol, rtol)`**: return True, or raise an `AssertionError` whose message holds `name` and `input i` (counted from 0). A missing gradient (`grad` is None) counts as zeros. Clear the inputs' old gradients first.
`name` and `weights` are there. A nudged array becomes a Tensor again with `Tensor(array, dtype=np.float64)`.
"""

# %% nbgrader={"grade": false, "grade_id": "gradcheck", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
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
            nudged = [Tensor(array, dtype=np.float64) if j == i else other.detach() for j, other in enumerate(inputs)]
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

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def planted(name, forward, rule):
    """An operation with a rule of our choice."""
    op = Op(forward)
    op.__name__ = name
    op.gradient(rule)
    return op


def drawn_input(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), requires_grad=True, dtype=np.float64)


def test_unit_gradcheck():
    a, b = drawn_input(2, 3), drawn_input(3, seed=1)
    assert gradcheck(lambda a, b: (a * b + a / b).exp(), (a, b)) is True, "a function with right gradients passes"
    assert gradcheck(lambda a, b: 2 * a, (a, b)) is True, "an input that is not used has no gradient, and needs none"

    wrong = [
        ("half_product", lambda a, b: a * b, lambda grad, out, a, b: (grad * b, 0.5 * grad * a), 1),
        ("swapped", lambda a, b: a * b, lambda grad, out, a, b: (grad * a, grad * b), 0),
        ("forgotten_grad", lambda a, b: np.exp(a) + b, lambda grad, out, a, b: (np.exp(a), grad), 0),
        ("wrong_sign", lambda a, b: a - b, lambda grad, out, a, b: (grad, grad), 1),
        ("transposed", lambda a, b: (a * b).T, lambda grad, out, a, b: (grad.reshape(2, 3) * b, (grad.T * a)), 0),
        ("turned_round", lambda a, b: 2 * a + b, lambda grad, out, a, b: (2 * grad[::-1], grad), 0),
    ]
    for name, forward, rule, i in wrong:
        caught = None
        try:
            gradcheck(planted(name, forward, rule), (a, b))
        except AssertionError as error:
            caught = str(error)
        assert caught is not None, f"the wrong rule of {name!r} was not caught"
        assert name in caught and f"input {i}" in caught, f"the message should name {name!r} and 'input {i}'; it is: {caught}"

    steep = planted("steep", lambda a: 100 * a, lambda grad, out, a: 101 * grad)
    for atol, rtol in [(2, 0), (0, 0.02)]:
        assert gradcheck(steep, (a,), atol=atol, rtol=rtol) is True, f"101 instead of 100 is near enough for atol={atol}, rtol={rtol}"
    expect_error(AssertionError, "steep", gradcheck, steep, (a,), atol=0.1, rtol=0.001)
    print("🔬 gradcheck")

test_unit_gradcheck()

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Withheld: more wrong rules, inputs without a gradient, old gradients lying around.
### BEGIN HIDDEN TESTS
left, right = drawn_input(3, 1), drawn_input(2, seed=3)
left.grad, frozen = np.full((3, 1), 99.0), drawn_input(2, seed=4).detach()
assert gradcheck(lambda x, y: x * y, (left, right)) is True and gradcheck(lambda x, y: x * y, (left, frozen)) is True
one_entry_off = 1e-3 * (np.arange(3) == 1)[:, None]
for rule in [lambda grad, out, x: grad * 2 + one_entry_off, lambda grad, out, x: grad * math.nan, lambda grad, out, x: 0 * grad]:
    expect_error(AssertionError, ["flawed", "input 0"], gradcheck, planted("flawed", lambda x: 2 * x, rule), (left,))
half_right = planted("half_right", lambda x, y: x * y, lambda grad, out, x, y: (grad * y, 0 * grad))
expect_error(AssertionError, ["half_right", "input 1"], gradcheck, half_right, (frozen, right))
expect_error(AssertionError, "input 0", gradcheck, lambda x: x * x * x, (left,), eps=0.5)
assert gradcheck(lambda x: 0 * x, (left,), atol=0, rtol=0) is True, "no difference is never too much"
### END HIDDEN TESTS

# %% [markdown]
r"""
## An operation of your own

The engine is open: a forward function, a rule, a check. Here is *softsign*, x / (1 + |x|). Replace it by a function that you like better (x · sin x? a smooth absolute value, √(x² + 1)?),
derive its rule on paper, and let `gradcheck` be the judge.
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

A Linear layer, a ReLU, another Linear layer and cross-entropy, all from the modules before this one and none of them edited. PyTorch 2.13 gives the loss and the gradients that stand in the test.
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
    assert np.isclose(loss.item(), 1.6236832, rtol=1e-6), f"loss: expected 1.6236832, got {loss.item()}"
    expected = {
        "bias of the first layer": (first.bias, [0.36327156, 0.83928633, 0.57059216, 0.00713989]),
        "weight of the second layer, row 0": (second.weight, [0.05185748, 0.22678833, 0.67593473, -0.02151945]),
        "bias of the second layer": (second.bias, [0.46616778, -0.46616781]),
    }
    for what, (parameter, values) in expected.items():
        got = parameter.grad[0] if parameter.ndim == 2 else parameter.grad
        assert np.allclose(got, values, atol=1e-6), f"{what}: expected the gradient {values}, got {got.tolist()}"
    assert first.weight.grad.shape == (4, 3) and np.isclose(first.weight.grad[1, 2], 0.86918855), f"weight of the first layer: got {first.weight.grad}"
    assert all(p.grad.dtype == np.float32 for p in model.parameters()), "float32 throughout, gradients too"
    print("🔬 module 05: backward through layers and losses")

test_module()

# %% [markdown]
r"""
## Look: the graph of a small expression

What the walk walks over, for y = tanh(a·b + b). Squares are leaves, circles are operations, and each arrow points from an input to what was computed from it. `backward` goes
against the arrows.
"""

# %% tags=["measure"]
import matplotlib.pyplot as plt

from tinytorch.notebook import best_seconds


def draw_graph(tensor, names):
    """Draw what `tensor` was computed from, inputs at the left. names: {id(leaf): its name}."""
    depth, rows = {}, {}
    order = topological_order(tensor)
    for t in order:
        inputs = [x for x in t.node.inputs if x is not None] if t.node else []
        depth[id(t)] = 1 + max((depth[id(x)] for x in inputs), default=-1)
        rows.setdefault(depth[id(t)], []).append(t)
    place = {id(t): (d, i - (len(column) - 1) / 2) for d, column in rows.items() for i, t in enumerate(column)}
    figure, axes = plt.subplots(figsize=(6, 2.4), layout="constrained")
    for t in order:
        label = names.get(id(t), t.node.op.__name__ if t.node else "leaf")
        frame = {"boxstyle": f"{'circle' if t.node else 'square'},pad=0.4", "ec": "0.2", "fc": "white", "lw": 1.5}
        axes.text(*place[id(t)], f"{label}\n{t.item():.3g}", ha="center", va="center", color="black", bbox=frame)
        for x in t.node.inputs if t.node else ():
            if x is not None:
                arrow = {"arrowstyle": "-|>", "shrinkA": 20, "shrinkB": 20, "color": "0.5"}
                axes.annotate("", place[id(t)], place[id(x)], arrowprops=arrow)
    axes.set(xlim=(-0.5, max(rows) + 0.5), ylim=(-1.1, 1.1))
    axes.axis("off")
    plt.show()
    print("📊 order of the walk:", ", ".join(names.get(id(t), t.node.op.__name__ if t.node else "leaf") for t in reversed(order)))


a, b = Tensor(0.5, requires_grad=True), Tensor(2.0, requires_grad=True)
draw_graph(tanh(a * b + b), {id(a): "a", id(b): "b"})

# %% [markdown]
r"""
## Measure: what remembering costs

Every recorded operation keeps its input arrays until `backward` has passed. **Predict:** a 64-128-10 network has 9,610 parameters, 38 kB in float32. How many bytes does
the graph of one batch of 32 hold? And of 1,024? Count the arrays that lie between the layers.
"""

# %% tags=["measure"]
def graph_size(tensor):
    """The recorded operations that `tensor` came from, and the bytes of the distinct arrays that they keep."""
    nodes = [t.node for t in topological_order(tensor) if t.node]
    arrays = {id(array): array for node in nodes for array in node.arrays if isinstance(array, np.ndarray)}
    owners = {id(array if array.base is None else array.base): array for array in arrays.values()}
    return len(nodes), sum(array.nbytes for array in owners.values())


def analyze_graph_memory():
    """Bytes held by the graph of one loss over the batch size, beside the bytes of the parameters."""
    model = Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
    parameters = sum(p.nbytes for p in model.parameters())
    batches, held = [1, 32, 128, 512, 2048], []
    for batch in batches:
        loss = CrossEntropyLoss()(model(Tensor(np.ones((batch, 64)))), np.zeros(batch, np.int64))
        operations, size = graph_size(loss)
        held.append(size)
    with no_grad():
        nothing = graph_size(CrossEntropyLoss()(model(Tensor(np.ones((2048, 64)))), np.zeros(2048, np.int64)))
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.loglog(batches, np.array(held) / 1e3, "o-", label="held by the graph")
    axes.axhline(parameters / 1e3, ls="--", color="0.4", label="parameters")
    axes.set(xlabel="images in the batch", ylabel="kilobytes", xticks=batches, xticklabels=batches, title="Memory until backward")
    axes.legend()
    plt.show()
    print(f"📊 {operations} operations; parameters {parameters:,} bytes; graph at batch 32: {held[1]:,} bytes, at 2,048: {held[-1]:,}; in no_grad: {nothing}")


analyze_graph_memory()

# %% [markdown]
r"""
The graph of a single image holds little more than the weights, which are inputs of its products. Beyond some dozens of images the activations between the layers outweigh them, and they grow with every image. Inside `no_grad` nothing
is held.

**Predict:** an addition of two small arrays takes NumPy a fraction of a microsecond. How much more is it when recorded, and when `backward` follows? For which size does it no longer matter?
"""

# %% tags=["measure"]
def analyze_time_per_operation():
    """Microseconds per operation of a chain of 40 additions: bare NumPy, recorded, and with backward; over the size."""
    sizes, curves = [1, 100, 10_000, 1_000_000], {"NumPy": [], "recorded": [], "forward and backward": []}
    for n in sizes:
        x, one = Tensor(np.ones(n), requires_grad=True), np.ones(n, np.float32)

        def bare(one=one):
            y = one
            for _ in range(40):
                y = y + one

        def recorded(x=x, one=one):
            y, one = x, Tensor(one)
            for _ in range(40):
                y = y + one
            return y

        def both(recorded=recorded, seed=one):
            recorded().backward(seed)

        for curve, run in zip(curves.values(), [bare, recorded, both], strict=True):
            curve.append(best_seconds(run) / 40 * 1e6)
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for (name, times), marker in zip(curves.items(), ["o-", "s--", "^:"], strict=True):
        axes.loglog(sizes, times, marker, label=name)
    axes.set(xlabel="entries per Tensor", ylabel="microseconds per operation", title="The price of an operation")
    axes.legend()
    plt.show()
    first = {name: times[0] for name, times in curves.items()}
    print("📊 one entry:", ", ".join(f"{name} {time:.2f} µs" for name, time in first.items()))


analyze_time_per_operation()

# %% [markdown]
r"""
A fixed price per operation, paid in Python. It dwarfs the arithmetic on small arrays and vanishes behind it on large ones, which is why frameworks like few large operations, and why module 09 will make
convolution one operation and not a thousand. At a million entries a second price shows: NumPy's chain uses the same two pieces of memory over and over, while the recorded chain keeps all
40 results, and fresh memory from the operating system costs more than the additions.

## A network that reads

1,797 handwritten digits of 8 × 8 pixels (scikit-learn ships them; E. Alpaydin and C. Kaynak, 1998). 1,437 to learn from, 360 that it never sees. An update is one line per parameter, by hand: module 06 makes optimizers of it.
**Predict** the accuracy on the unseen digits, and after how many passes it stops rising.
"""

# %% tags=["measure"]
import time

from sklearn.datasets import load_digits


def train_on_digits(epochs=30, batch=32, rate=0.1, seed=0):
    """Train a 64-128-10 network by gradient descent; returns the test accuracy after each epoch and the mistakes."""
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
        for start in range(0, len(order), batch):
            picked = order[start : start + batch]
            loss_of(model(Tensor(train_x[picked])), train_y[picked]).backward()
            for parameter in parameters:
                parameter.data -= rate * parameter.grad
                parameter.grad = None
        with no_grad():
            guesses = model(Tensor(test_x)).argmax(axis=1).numpy()
        history.append(float((guesses == test_y).mean()))
    wrong = np.flatnonzero(guesses != test_y)
    return history, [(test_x[i].reshape(8, 8), test_y[i], guesses[i]) for i in wrong]


started = time.perf_counter()
history, mistakes = train_on_digits()
took = time.perf_counter() - started

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(range(1, len(history) + 1), np.array(history) * 100, "o-", markersize=4)
axes.axhline(95, ls="--", color="0.4", label="95 %")
axes.set(xlabel="epoch", ylabel="accuracy on unseen digits in %", title="A 64-128-10 network on 8 × 8 digits")
axes.legend(loc="lower right")
plt.show()
print(f"📊 {history[-1]:.1%} of 360 unseen digits right after {len(history)} epochs, in {took:.1f} s; {len(mistakes)} mistakes")

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

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-memory", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
Two questions. (a) A training loop collects `losses.append(loss)` to plot them later, and runs out of memory after a while, although each batch is small. Would it, with this engine, if `backward` was called on every loss? And for the
validation losses, on which it was not? (b) Why does `backward` need the graph in topological order, when depth-first order visits every Tensor too? Give the smallest expression for which a plain depth-first walk gives a wrong gradient.

### BEGIN SOLUTION
For graders: (a) after `backward` only the small loss Tensors are left, their nodes are released; the validation losses keep their graphs, hence `no_grad` or `.item()`: 2 points. (b) A Tensor with two users
of different depth, such as t = a·b in t + t·t or y = a·b + b: its incomplete gradient would be passed on: 2 points.
### END SOLUTION
"""

# %% [markdown]
r"""
## What comes next

The update loop above is the simplest optimizer there is. Module 06 writes better ones: with momentum, and with a rate of its own for every parameter. Next: `tito module complete 05_autograd`.
"""
