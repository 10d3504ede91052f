# %% numeric_gradient
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    point = np.asarray(x).astype(float).copy()
    slopes = np.empty(point.size)
    for i in range(point.size):
        nudge = np.zeros(point.size)
        nudge[i] = eps
        nudge = nudge.reshape(point.shape)
        rise = function(point + nudge) - function(point - nudge)
        slopes[i] = rise / eps / 2
    return slopes.reshape(point.shape)

# %% add_mul_gradient
@add.gradient
def add_gradient(grad, out, a, b):
    for_a = for_b = grad
    return for_a, for_b


@mul.gradient
def mul_gradient(grad, out, a, b):
    for_a = np.multiply(b, grad)
    for_b = np.multiply(a, grad)
    return for_a, for_b

# %% topological_order
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""

    def wanted_inputs(t):
        return [] if t.node is None else [i for i in t.node.inputs if i is not None]

    # count the users of each Tensor, then take off those that have no user left, the last one first
    users, to_visit = {id(tensor): 0}, [tensor]
    while to_visit:
        for source in wanted_inputs(to_visit.pop()):
            if id(source) not in users:
                users[id(source)] = 0
                to_visit.append(source)
            users[id(source)] += 1
    backwards, free = [], [tensor]
    while free:
        backwards.append(free.pop())
        for source in wanted_inputs(backwards[-1]):
            users[id(source)] -= 1
            if not users[id(source)]:
                free.append(source)
    backwards.reverse()
    return backwards

# %% backward
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None and tensor.numel() != 1:
        raise RuntimeError(
            f"a gradient of shape {tensor.shape} has to be given: backward(grad). For one number, take the .sum() or the .mean()"
        )
    parts = {id(tensor): [np.ones(tensor.shape, tensor.dtype) if grad is None else grad]}
    for t in reversed(topological_order(tensor)):
        first, *others = parts.pop(id(t))
        total = first
        for other in others:
            total = total + other
        if t.node is None:
            t.grad = np.array(total) if t.grad is None else t.grad + total
        else:
            node = t.node
            t.node = RELEASED if node is not RELEASED else t.node
            for source, answer in zip(node.inputs, input_gradients(node, total, t.data)):
                if source is not None:
                    parts.setdefault(id(source), []).append(answer)

# %% unbroadcast
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    while len(grad.shape) > len(shape):
        grad = np.add.reduce(grad, axis=0)
    for place, (have, want) in enumerate(zip(grad.shape, shape)):
        if have != want:
            grad = np.add.reduce(grad, axis=place, keepdims=True)
    return np.asarray(grad)

# %% arithmetic_gradients
@sub.gradient
def sub_gradient(grad, out, a, b):
    return (1 * grad, -1 * grad)


@div.gradient
def div_gradient(grad, out, a, b):
    share = np.divide(grad, b, dtype=out.dtype)
    return share, np.negative(share * out)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    for_a = None
    if needs[0]:
        lowered = np.where(np.equal(b, 0), 1, np.subtract(b, 1, dtype=out.dtype)).astype(out.dtype)
        slope = np.asarray(b, out.dtype) * np.power(a, lowered)
        for_a = slope * grad
    return for_a, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return np.multiply(out, grad)


@log.gradient
def log_gradient(grad, out, a):
    return np.divide(grad, a)

# %% sum_mean_gradient
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    spread = np.zeros(x.shape, dtype=grad.dtype)
    spread += with_axes(grad, x, axis, keepdims)
    return spread


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    count = math.prod([x.shape[place] for place in normalize_axes(axis, x.ndim)])
    return sum_gradient(grad, out, x, axis=axis, keepdims=keepdims) / (count or 1)

# %% max_gradient
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    top, share = with_axes(out, x, axis, keepdims), with_axes(grad, x, axis, keepdims)
    winners = (x == top).astype(grad.dtype)
    winners /= np.add.reduce(winners, axis=normalize_axes(axis, x.ndim), keepdims=True)
    winners *= share
    return winners


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% matrix_gradients
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    def flip(matrices):
        return np.moveaxis(matrices, -1, -2)

    for_a = np.matmul(grad, flip(b))
    for_b = np.matmul(flip(a), grad)
    return for_a, for_b

# %% matmul_gradient
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    row, column = a.ndim == 1, b.ndim == 1
    left = a.reshape(1, -1) if row else a
    right = b.reshape(-1, 1) if column else b
    if row and column:
        grad = np.reshape(grad, (1, 1))
    elif row:
        grad = grad[..., np.newaxis, :]
    elif column:
        grad = grad[..., np.newaxis]
    for_left, for_right = matrix_gradients(grad, left, right)
    if row:
        for_left = np.squeeze(for_left, axis=-2)
    if column:
        for_right = np.squeeze(for_right, axis=-1)
    return for_left, for_right

# %% shape_gradients
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return np.reshape(grad, np.shape(x))


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    inverse = [0] * len(axes)
    for place, axis in enumerate(axes):
        inverse[axis] = place
    return np.transpose(grad, inverse)


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    empty = np.zeros(x.shape, out.dtype)
    np.add.at(empty, tuple(fill_key(key, arrays)), grad)
    return tuple([empty] + [None for _ in arrays])

# %% activation_gradients
@relu.gradient
def relu_gradient(grad, out, x):
    passed = np.array(grad)
    passed[x <= 0] = 0
    return passed


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad - grad * out**2


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    shares = np.exp(out)
    rows = np.sum(grad, axis, keepdims=True)
    return grad - rows * shares

# %% no_grad
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before, Op.recording = [*self.before, Op.recording], False

    def __exit__(self, kind, error, traceback):
        *self.before, Op.recording = self.before

# %% gradcheck
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for tensor in inputs:
        tensor.grad = None
    outputs = function(*inputs)
    outputs.backward(weights)
    values = [tensor.numpy() for tensor in inputs]
    for number, tensor in enumerate(inputs):
        if tensor.requires_grad:

            def total(array, number=number):
                arguments = [*values[:number], array, *values[number + 1 :]]
                with no_grad():
                    answer = function(*[Tensor(v, dtype=np.float64) for v in arguments])
                return np.vdot(answer.numpy(), weights)

            numeric = numeric_gradient(total, tensor.numpy(), eps)
            analytic = tensor.grad if tensor.grad is not None else 0 * numeric
            far = np.abs(analytic - numeric)
            bad = ~(far <= atol + rtol * np.abs(numeric))
            if bad.any():
                place = tuple(np.argwhere(bad)[np.argmax(np.nan_to_num(far[bad], nan=np.inf))].tolist())
                raise AssertionError(
                    f"wrong gradient in {name} for input {number} at {place}: differences say {numeric[place]}, the rule says {analytic[place]}"
                )
    return True
