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
            t.grad = np.array(total if t.grad is None else t.grad + total)
        else:
            node = t.node
            t.node = _RELEASED if node is not _RELEASED else t.node
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
    for_b = _exponent_gradient(grad, out, a, b) if needs[1] else None
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
    spread += _with_axes(grad, x, axis, keepdims)
    return spread


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    count = math.prod([x.shape[place] for place in normalize_axes(axis, x.ndim)])
    return sum_gradient(grad, out, x, axis=axis, keepdims=keepdims) / (count or 1)

# %% max_gradient
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    top, share = _with_axes(out, x, axis, keepdims), _with_axes(grad, x, axis, keepdims)
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

# %% numeric_gradient: one entry of a flat view after the other
def numeric_gradient(function, x, eps=1e-6):
    copy = np.array(x, dtype=float, order="C")
    flat, slopes = copy.reshape(-1), []
    for place, middle in enumerate(flat.tolist()):
        ends = []
        for side in (-1, 1):
            flat[place] = middle + side * eps
            ends.append(function(copy))
        flat[place] = middle
        slopes.append((ends[1] - ends[0]) / (2 * eps))
    return np.array(slopes, dtype=float).reshape(copy.shape)

# %% numeric_gradient: unit vectors, and no array that changes
def numeric_gradient(function, x, eps=1e-6):
    point = np.asarray(x, np.float64)
    units = np.eye(point.size).reshape(point.size, *point.shape)
    rises = [function(point + eps * unit) - function(point - eps * unit) for unit in units]
    return np.divide(rises, 2 * eps, dtype=np.float64).reshape(point.shape)

# %% add_mul_gradient: copies, in a list
@add.gradient
def add_gradient(grad, out, a, b):
    return [np.copy(grad), np.copy(grad)]


@mul.gradient
def mul_gradient(grad, out, a, b):
    return [b * grad, np.asarray(a) * grad]

# %% add_mul_gradient: a helper for each side
def scaled(grad, factor):
    return np.multiply(grad, factor)


@add.gradient
def add_gradient(grad, out, a, b):
    return tuple(scaled(grad, 1) for _ in "ab")


@mul.gradient
def mul_gradient(grad, out, a, b):
    return tuple(scaled(grad, other) for other in (b, a))

# %% topological_order: iterators that wait on the stack
def sources(tensor):
    return iter(() if tensor.node is None else tensor.node.inputs)


def topological_order(tensor):
    order, seen, stack = [], {id(tensor)}, [(tensor, sources(tensor))]
    while stack:
        current, rest = stack[-1]
        for x in rest:
            if x is not None and id(x) not in seen:
                seen.add(id(x))
                stack.append((x, sources(x)))
                break
        else:
            order.append(current)
            stack.pop()
    return order

# %% topological_order: a path that looks for an input that is not done
def topological_order(tensor):
    done, path = {}, [tensor]
    while path:
        current = path[-1]
        inputs = current.node.inputs if current.node is not None else ()
        waiting = next((x for x in inputs if x is not None and id(x) not in done), None)
        if waiting is not None:
            path.append(waiting)
        else:
            done[id(current)] = path.pop()
    return list(done.values())

# %% backward: a helper that collects, and nodes released before their rule is asked
def backward(tensor, grad=None):
    if grad is None:
        if math.prod(tensor.shape) != 1:
            raise RuntimeError(f"which gradient? The Tensor has shape {tensor.shape}, so call backward with grad")
        grad = np.full(tensor.shape, 1, tensor.dtype)
    totals = {}

    def collect(x, part):
        totals[id(x)] = np.add(totals[id(x)], part) if id(x) in totals else np.array(part)

    collect(tensor, grad)
    for t in topological_order(tensor)[::-1]:
        total = totals.pop(id(t))
        if t.node is None:
            t.grad = np.array(total if t.grad is None else t.grad + total)
            continue
        node, t.node = t.node, _RELEASED
        for x, part in zip(node.inputs, input_gradients(node, total, t.data)):
            if part is not None:
                collect(x, part)

# %% backward: sums that start from zeros of their own
def backward(tensor, grad=None):
    if grad is None and tensor.numel() != 1:
        raise RuntimeError(f"grad is missing: {tensor.shape} is not the shape of a single number")
    order = topological_order(tensor)
    sums = {id(t): np.zeros(t.shape, t.dtype) for t in order}
    sums[id(tensor)] += 1 if grad is None else grad
    while order:
        t = order.pop()
        total, node = sums.pop(id(t)), t.node
        if node is not None:
            answers = input_gradients(node, total, t.numpy())
            t.node = _RELEASED
            for x, answer in zip(node.inputs, answers):
                if x is not None:
                    sums[id(x)] += answer
        elif t.grad is None:
            t.grad = total
        else:
            t.grad += total

# %% unbroadcast: all axes at once, then a reshape
def unbroadcast(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, pair in enumerate(zip(grad.shape, padded)) if pair[0] != pair[1])
    return np.sum(grad, axis=axes, keepdims=True).reshape(shape)

# %% unbroadcast: by the letters of einsum
def unbroadcast(grad, shape):
    letters, extra = "abcdefghij"[: grad.ndim], grad.ndim - len(shape)
    pairs = zip(letters[extra:], grad.shape[extra:], shape)
    kept = "".join(letter for letter, have, want in pairs if have == want)
    return np.reshape(np.einsum(f"{letters}->{kept}", grad), shape)

# %% arithmetic_gradients: NumPy chooses the exponent
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, np.negative(grad)


@div.gradient
def div_gradient(grad, out, a, b):
    for_a = grad * (1 / b)
    return for_a, -(for_a / b) * a


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = _exponent_gradient(grad, out, a, b) if needs[1] else None
    exponent = np.asarray(b, out.dtype)
    lowered = np.where(exponent == 0, exponent, exponent - 1)
    return grad * exponent * np.power(a, lowered), for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return np.exp(a) * grad


@log.gradient
def log_gradient(grad, out, a):
    return grad * np.reciprocal(a)

# %% arithmetic_gradients: zeros where the exponent is 0, after the formula
@sub.gradient
def sub_gradient(grad, out, a, b):
    return [grad, 0 - grad]


@div.gradient
def div_gradient(grad, out, a, b):
    return [grad / b, -1 * grad * a / b**2]


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = _exponent_gradient(grad, out, a, b) if needs[1] else None
    for_a = None
    if needs[0]:
        with np.errstate(all="ignore"):
            for_a = np.array(grad * b * a ** (b - 1.0))
        for_a[np.broadcast_to(np.asarray(b) == 0, for_a.shape)] = 0
    return for_a, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return out * grad


@log.gradient
def log_gradient(grad, out, a):
    return a**-1.0 * grad

# %% sum_mean_gradient: ones of the dtype of grad, times grad
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.ones(x.shape, grad.dtype) * _with_axes(grad, x, axis, keepdims)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    count = float(x.size // (out.size or 1))
    return np.ones(x.shape, grad.dtype) * _with_axes(grad, x, axis, keepdims) / max(count, 1.0)

# %% sum_mean_gradient: a reshape of its own in place of _with_axes
def reduced_axes(x, axis):
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return [place % x.ndim for place in axes]


def handed_back(grad, x, axis):
    axes = reduced_axes(x, axis)
    return np.broadcast_to(np.reshape(grad, [1 if i in axes else n for i, n in enumerate(x.shape)]), x.shape)


@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return handed_back(grad, x, axis)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    count = 1
    for place in reduced_axes(x, axis):
        count *= x.shape[place]
    return handed_back(grad, x, axis) * (1 / max(1, count))

# %% max_gradient: chooses between a share and 0
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    hit = np.equal(x, _with_axes(out, x, axis, keepdims))
    count = np.count_nonzero(hit, axis=normalize_axes(axis, x.ndim), keepdims=True)
    share = _with_axes(grad, x, axis, keepdims) / np.asarray(count, grad.dtype)
    return np.where(hit, share, 0).astype(grad.dtype)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: the mean of the hits is their share
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    one = (x == _with_axes(out, x, axis, keepdims)).astype(np.float64)
    one = one / np.add.reduce(one, axis=axes, keepdims=True)
    return (one * _with_axes(grad, x, axis, keepdims)).astype(grad.dtype)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% matrix_gradients: sums over indices
def matrix_gradients(grad, a, b):
    for_a = np.einsum("...ij,...pj->...ip", grad, b)
    for_b = np.einsum("...ip,...ij->...pj", a, grad)
    return for_a, for_b

# %% matrix_gradients: products that come out transposed
def turned(matrices):
    order = [*range(matrices.ndim - 2), matrices.ndim - 1, matrices.ndim - 2]
    return matrices.transpose(order)


def matrix_gradients(grad, a, b):
    return [turned(b @ turned(grad)), turned(turned(grad) @ a)]

# %% matmul_gradient: four cases
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    if a.ndim == 1 and b.ndim == 1:
        return grad * b, grad * a
    if a.ndim == 1:
        return (b @ grad[..., None])[..., 0], a[:, None] * grad[..., None, :]
    if b.ndim == 1:
        return grad[..., None] * b, (np.swapaxes(a, -1, -2) @ grad[..., None])[..., 0]
    return matrix_gradients(grad, a, b)

# %% matmul_gradient: the shape of the product with all its axes
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    left = np.atleast_2d(a)
    right = b if b.ndim > 1 else np.expand_dims(b, 1)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    whole = np.reshape(grad, (*batch, left.shape[-2], right.shape[-1]))
    for_a, for_b = matrix_gradients(whole, left, right)
    for_a = for_a if a.ndim > 1 else np.take(for_a, 0, axis=-2)
    for_b = for_b if b.ndim > 1 else np.take(for_b, 0, axis=-1)
    return for_a, for_b

# %% shape_gradients: moveaxis, and counts with weights
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return np.ravel(grad).reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return np.moveaxis(grad, range(grad.ndim), axes)


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    places = np.arange(x.size).reshape(x.shape)[fill_key(key, arrays)]
    sums = np.bincount(np.ravel(places), weights=np.ravel(grad), minlength=x.size)
    return (sums.reshape(x.shape).astype(grad.dtype), *(None for _ in arrays))

# %% shape_gradients: a sorted order, and a subtraction
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return np.array(grad).reshape(*x.shape) if x.shape else np.reshape(grad, ())


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    n = x.ndim
    return np.transpose(grad, sorted(range(n), key=lambda place: axes[place] % n))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros(x.shape, grad.dtype)
    np.subtract.at(back, fill_key(key, arrays), -grad)
    return [back] + [None] * len(arrays)

# %% activation_gradients: where, and softmax from x
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x > 0, grad, 0).astype(grad.dtype)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out) * (1 + out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    shares = np.exp(x - np.max(x, axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    return grad - shares * np.sum(grad, axis=axis, keepdims=True)

# %% activation_gradients: a masked product, a square, a subtraction in place
@relu.gradient
def relu_gradient(grad, out, x):
    return np.multiply(grad, 1, out=np.zeros_like(grad), where=out > 0)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad - np.square(np.tanh(x)) * grad


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    back = np.array(grad)
    back -= np.e**out * np.add.reduce(grad, axis=axis, keepdims=True)
    return back

# %% no_grad: the newest in front
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.insert(0, Op.recording)
        setattr(Op, "recording", False)
        return None

    def __exit__(self, kind, error, traceback):
        Op.recording, *self.before = self.before
        return False

# %% no_grad: remembers how to restore
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    def __init__(self):
        self.before = []

    def __enter__(self):
        was = Op.recording
        self.before += [lambda: setattr(Op, "recording", was)]
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        restore = self.before.pop(-1)
        restore()

# %% gradcheck: allclose, and a list of inputs that is changed
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs):
        if x.requires_grad:
            others = list(inputs)

            def loss(array):
                others[i] = Tensor(array, dtype=np.float64)
                return np.sum(function(*others).numpy() * weights)

            numeric = numeric_gradient(loss, x.numpy(), eps)
            got = np.zeros(x.shape) if x.grad is None else x.grad
            if not np.allclose(got, numeric, rtol=rtol, atol=atol):
                worst = int(np.argmax(np.nan_to_num(np.abs(got - numeric), nan=np.inf)))
                values = f"numeric {numeric.flat[worst]}, analytic {got.flat[worst]}"
                raise AssertionError(f"{name}: gradient number {i} is wrong at entry {worst}: {values}")
    return True

# %% gradcheck: entry by entry
def all_places(array):
    return list(np.ndindex(array.shape))


def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    (function(*inputs) * weights).sum().backward()
    found = []
    for number, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            continue

        def value(array, number=number):
            mixed = [Tensor(array if j == number else t.data, dtype=np.float64) for j, t in enumerate(inputs)]
            return (function(*mixed) * weights).sum().item()

        wanted = numeric_gradient(value, tensor.data, eps)
        for place in all_places(wanted):
            came = 0.0 if tensor.grad is None else float(tensor.grad[place])
            distance = abs(came - wanted[place])
            if not distance <= atol + rtol * abs(wanted[place]):
                found.append((math.inf if math.isnan(distance) else distance, number, place, wanted[place], came))
        if found:
            _, number, place, expected, came = max(found)
            raise AssertionError(f"the rule of {name}, input {number}, place {place}: {expected} wanted, {came} came")
    return True
