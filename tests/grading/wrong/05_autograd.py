# %% numeric_gradient: one-sided differences
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle
        grad[place] = (above - function(x)) / eps
        x[place] = middle
    return grad

# %% numeric_gradient: divides by eps, but the two points are 2 eps apart
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / eps
        x[place] = middle
    return grad

# %% numeric_gradient: does not put the nudged entry back
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
    return grad

# %% numeric_gradient: nudges the caller's own array, and puts it back
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.asarray(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
        x[place] = middle
    return grad

# %% numeric_gradient: works in the dtype of x, which may be float32 or an integer
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
        x[place] = middle
    return grad

# %% numeric_gradient: nudges all entries at once
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    slope = (function(x + eps) - function(x - eps)) / (2 * eps)
    return np.full(x.shape, slope)

# %% numeric_gradient: a step of its own instead of eps
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        middle = x[place]
        x[place] = middle + 1e-6
        above = function(x)
        x[place] = middle - 1e-6
        grad[place] = (above - function(x)) / 2e-6
        x[place] = middle
    return grad

# %% numeric_gradient: zeros of the right shape
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    return np.zeros(np.shape(x))

# %% numeric_gradient: walks over the rows only, so each row is nudged as one
def numeric_gradient(function, x, eps=1e-6):
    """The gradient at the array `x` of `function` (array to number), by central differences; float64, shape of x."""
    x = np.array(x, dtype=np.float64)
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape[:1]):
        middle = np.copy(x[place])
        x[place] = middle + eps
        above = function(x)
        x[place] = middle - eps
        grad[place] = (above - function(x)) / (2 * eps)
        x[place] = middle
    return grad

# %% add_mul_gradient: each factor's gradient is multiplied by that factor itself
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * a, grad * b

# %% add_mul_gradient: the gradients of a product without the chain rule
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    return b + 0 * grad, a + 0 * grad

# %% add_mul_gradient: the gradients of a sum without the chain rule
@add.gradient
def add_gradient(grad, out, a, b):
    return np.ones_like(grad), np.ones_like(grad)


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * b, grad * a

# %% add_mul_gradient: a sum shares its gradient between the two
@add.gradient
def add_gradient(grad, out, a, b):
    return grad / 2, grad / 2


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * b, grad * a

# %% add_mul_gradient: a product hands its gradient through, as a sum does
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad, grad

# %% add_mul_gradient: zeros for the second input of a sum
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, np.zeros_like(grad)


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * b, grad * a

# %% add_mul_gradient: overwrites the gradient that it was given
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    for_a = grad * b
    grad *= a
    return for_a, grad

# %% add_mul_gradient: uses the output in place of the factors
@add.gradient
def add_gradient(grad, out, a, b):
    return grad, grad


@mul.gradient
def mul_gradient(grad, out, a, b):
    return grad * out, grad * out

# %% topological_order: calls itself, so long chains break
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen = [], set()

    def visit(current):
        if id(current) in seen:
            return
        seen.add(id(current))
        for x in current.node.inputs if current.node is not None else ():
            if x is not None:
                visit(x)
        order.append(current)

    visit(tensor)
    return order

# %% topological_order: no memory of what was seen, so shared Tensors are listed again
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        if len(stack) + len(order) > 50_000:
            raise MemoryError("the list grows without end")
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
        else:
            stack.append((current, True))
            if current.node is not None:
                stack.extend((x, False) for x in current.node.inputs if x is not None)
    return order

# %% topological_order: the Tensor first instead of last
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
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
    return order[::-1]

# %% topological_order: appends a Tensor before its inputs and turns the list round, which is wrong for shared Tensors
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], {id(tensor)}, [tensor]
    while stack:
        current = stack.pop()
        order.append(current)
        for x in current.node.inputs if current.node is not None else ():
            if x is not None and id(x) not in seen:
                seen.add(id(x))
                stack.append(x)
    return order[::-1]

# %% topological_order: breadth first, level by level
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    levels, seen = [[tensor]], {id(tensor)}
    while levels[-1]:
        below = []
        for current in levels[-1]:
            for x in current.node.inputs if current.node is not None else ():
                if x is not None and id(x) not in seen:
                    seen.add(id(x))
                    below.append(x)
        levels.append(below)
    return [x for level in reversed(levels) for x in level]

# %% topological_order: marks a Tensor as seen when it is pushed for the first time
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], {id(tensor)}, [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
            continue
        stack.append((current, True))
        for x in current.node.inputs if current.node is not None else ():
            if x is not None and id(x) not in seen:
                seen.add(id(x))
                stack.append((x, False))
    return order

# %% topological_order: remembers numbers instead of Tensors, so equal ones count as one
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
        elif current.data.tobytes() not in seen:
            seen.add(current.data.tobytes())
            stack.append((current, True))
            if current.node is not None:
                stack.extend((x, False) for x in current.node.inputs if x is not None)
    return order

# %% topological_order: leaves out the leaves
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.extend([current] if current.node is not None else [])
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            if current.node is not None:
                stack.extend((x, False) for x in current.node.inputs if x is not None)
    return order

# %% topological_order: lists None for inputs that want no gradient
def topological_order(tensor):
    """All Tensors that `tensor` came from and that want a gradient, each once and after its inputs; itself last."""
    order, seen, stack = [], set(), [(tensor, False)]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            stack.extend((x, False) for x in (current.node.inputs if current and current.node else ()))
    return order

# %% backward: forgets one of two users of a Tensor
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = part
        current.node = RELEASED

# %% backward: a second loss replaces the gradients of the first
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
            current.grad = np.array(grad)
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: adds in place to an array that a rule returned
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                if id(x) in collected:
                    collected[id(x)] += part
                else:
                    collected[id(x)] = part
        current.node = RELEASED

# %% backward: leaves share the array that a rule returned
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
            current.grad = grad if current.grad is None else current.grad + grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: does not release what it has passed
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part

# %% backward: forgets the history instead of marking it, so a second call does nothing and says nothing
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = None

# %% backward: starts from ones for every shape
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): grad}
    order = topological_order(tensor)
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current)), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: always starts from ones, whatever grad says
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        if tensor.data.size != 1:
            shape = tensor.shape
            raise RuntimeError(f"backward() on a Tensor of shape {shape}: pass grad, or call .sum() or .mean() first")
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): np.ones_like(tensor.data)}
    order = topological_order(tensor)
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current)), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: walks from the leaves up
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        if tensor.data.size != 1:
            shape = tensor.shape
            raise RuntimeError(f"backward() on a Tensor of shape {shape}: pass grad, or call .sum() or .mean() first")
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): grad}
    order = topological_order(tensor)[::-1]
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current), 0.0), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: keeps gradients in the Tensors between, too
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
        if node is not None:
            current.grad = grad
        else:
            if current.grad is None:
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: float64 gradients for float32 Tensors
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
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
                current.grad = np.zeros(current.shape)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: an error that does not name the shape
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        if tensor.data.size != 1:
            shape = tensor.shape
            raise RuntimeError("backward() needs a scalar; pass grad")
        grad = np.ones_like(tensor.data)
    collected = {id(tensor): grad}
    order = topological_order(tensor)
    while order:
        current = order.pop()
        grad, node = collected.pop(id(current)), current.node
        if node is None:
            if current.grad is None:
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: takes only Tensors without any axis for a start
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        if tensor.data.ndim != 0:
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
                current.grad = np.zeros_like(current.data)
            current.grad += grad
            continue
        for x, part in zip(node.inputs, input_gradients(node, grad, current.data), strict=True):
            if x is not None:
                collected[id(x)] = collected[id(x)] + part if id(x) in collected else part
        current.node = RELEASED

# %% backward: calls itself for each input, once a path
def backward(tensor, grad=None):
    """Add the gradient of `tensor` to `grad` of every leaf it was computed from, and release the graph.

    grad: the array that the walk starts from, of the Tensor's shape; 1 for a Tensor with one entry. Raises RuntimeError
    without it for any other, for an operation without a rule, and on a graph that was released before.
    """
    if grad is None:
        if tensor.data.size != 1:
            raise RuntimeError(f"backward() on a Tensor of shape {tensor.shape}: pass grad")
        grad = np.ones_like(tensor.data)
    waiting, released, steps = [(tensor, grad)], [], 0
    while waiting:
        steps += 1
        if steps > 20_000:
            raise RecursionError("too many paths")
        current, grad = waiting.pop()
        if current.node is None:
            current.grad = np.array(grad) if current.grad is None else current.grad + grad
            continue
        released.append(current)
        for x, part in zip(current.node.inputs, input_gradients(current.node, grad, current.data), strict=True):
            if x is not None:
                waiting.append((x, part))
    for current in released:
        current.node = RELEASED

# %% unbroadcast: the mean over what was repeated instead of the sum
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad.mean(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.mean(axis=stretched, keepdims=True)

# %% unbroadcast: does not sum the leading axes
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    extra = grad.ndim - len(shape)
    stretched = tuple(i + extra for i, size in enumerate(shape) if size == 1 and grad.shape[i + extra] != 1)
    return grad.sum(axis=stretched, keepdims=True)

# %% unbroadcast: does not sum the stretched axes
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    return grad

# %% unbroadcast: the stretched axes vanish instead of staying with size 1
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=False)

# %% unbroadcast: the first of the repetitions instead of their sum
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad[(0,) * (grad.ndim - len(shape))]
    return grad[tuple(slice(0, 1) if size == 1 else slice(None) for size in shape)]

# %% unbroadcast: takes the extra axes from the end instead of the front
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    grad = grad.sum(axis=tuple(range(len(shape), grad.ndim)))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True)

# %% unbroadcast: sums every axis that could have been stretched, counted from the front of grad
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    stretched = tuple(i for i, size in enumerate(shape) if size == 1)
    grad = grad.sum(axis=stretched, keepdims=True)
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))

# %% unbroadcast: one leading axis at most
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    if grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True)

# %% unbroadcast: zeros of the right shape
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    return grad if grad.shape == shape else np.zeros(shape, grad.dtype)

# %% unbroadcast: the sum of everything in every entry
def unbroadcast(grad, shape):
    """Sum `grad`, whose shape `shape` broadcasts to, down to `shape`."""
    return grad if grad.shape == shape else np.full(shape, grad.sum(), grad.dtype)

# %% arithmetic_gradients: sub: no minus for the second input
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: sub: the minus on the wrong input
@sub.gradient
def sub_gradient(grad, out, a, b):
    return -grad, grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: div: the denominator is not squared
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * out


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: div: no minus for the denominator
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: div: the numerator's gradient is multiplied instead of divided
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad * b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: nan where the exponent and the base are 0
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - 1) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: taken from out, which is 0/0 at 0
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * out / a if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: the exponent does not come down
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: the exponent is not lowered
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * out if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: no chain rule
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return b * a ** (b - (b != 0)) + 0 * grad if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: power: no gradient for an exponent that wants one
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, None


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: exp: no chain rule
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return out


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: exp: the input in place of the output
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * a


@log.gradient
def log_gradient(grad, out, a):
    return grad / a

# %% arithmetic_gradients: log: no chain rule
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return 1 / a

# %% arithmetic_gradients: log: divides by the output
@sub.gradient
def sub_gradient(grad, out, a, b):
    return grad, -grad


@div.gradient
def div_gradient(grad, out, a, b):
    return grad / b, -grad * (out / b)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return grad * out


@log.gradient
def log_gradient(grad, out, a):
    return grad / out

# %% arithmetic_gradients: zeros of the right shape in four of five rules
@sub.gradient
def sub_gradient(grad, out, a, b):
    return np.zeros_like(grad), np.zeros_like(grad)


@div.gradient
def div_gradient(grad, out, a, b):
    return np.zeros_like(grad), np.zeros_like(grad)


@power.gradient
def power_gradient(grad, out, a, b, *, needs):
    for_b = exponent_gradient(grad, out, a, b) if needs[1] else None
    return grad * b * a ** (b - (b != 0)) if needs[0] else None, for_b


@exp.gradient
def exp_gradient(grad, out, a):
    return np.zeros_like(grad)


@log.gradient
def log_gradient(grad, out, a):
    return np.zeros_like(grad)

# %% sum_mean_gradient: sum: forgets that the reduced axes are missing
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(grad, x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: sum: shares the gradient among the entries, as a mean does
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad * out.size / max(x.size, 1), x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: sum: ones, without the chain rule
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.ones_like(x)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: sum: puts the axes back as if all were reduced
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.full(x.shape, grad.sum(), grad.dtype)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: hands the whole gradient to every entry, as a sum does
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: divides by all entries, whatever the axis
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad / max(x.size, 1)
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: divides by the size of the wrong axis
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad / (len(x) or 1)
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: the count upside down
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (x.size / max(out.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: the count is a NumPy integer, which makes float64 of float32
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad / np.prod([x.shape[i] for i in normalize_axes(axis, x.ndim)] or [1]).clip(1)
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: 0 / 0 for an empty batch
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad / (x.size / out.size)
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: sum: float64 ones, which make float64 of float32
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.ones(x.shape) * with_axes(grad, x, axis, keepdims)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad * (out.size / max(x.size, 1))
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% sum_mean_gradient: mean: counts one axis only
@reduce_sum.gradient
def sum_gradient(grad, out, x, *, axis=None, keepdims=False):
    return np.broadcast_to(with_axes(grad, x, axis, keepdims), x.shape)


@reduce_mean.gradient
def mean_gradient(grad, out, x, *, axis=None, keepdims=False):
    share = grad / max(x.size if axis is None else x.shape[axis if isinstance(axis, int) else axis[0]], 1)
    return np.broadcast_to(with_axes(share, x, axis, keepdims), x.shape)

# %% max_gradient: each of several equal entries gets the whole gradient
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    return with_axes(grad, x, axis, keepdims) * is_largest


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: ties are counted over the whole array
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(dtype=grad.dtype)
    return with_axes(grad, x, axis, keepdims) * is_largest / ties


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: the first of several equal entries gets all
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    places = np.arange(x.size).reshape(x.shape)
    axes = normalize_axes(axis, x.ndim)
    first = np.where(is_largest, places, x.size).min(axis=axes, keepdims=True)
    return with_axes(grad, x, axis, keepdims) * (places == first)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: the largest entry of the whole array instead of each row's
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == x.max()
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return with_axes(grad, x, axis, keepdims) * is_largest / np.maximum(ties, 1)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: forgets that the reduced axes are missing from grad
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return np.broadcast_to(grad, x.shape) * is_largest / ties


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: no chain rule
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return 0 * with_axes(grad, x, axis, keepdims) + is_largest / ties


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: shared by all entries, as in a mean
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return with_axes(grad, x, axis, keepdims) * (out.size / max(x.size, 1)) * np.ones_like(x)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: zeros of the right shape
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, keepdims)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return np.zeros_like(x)


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% max_gradient: keepdims forgotten
@reduce_max.gradient
def max_gradient(grad, out, x, *, axis=None, keepdims=False):
    is_largest = x == with_axes(out, x, axis, False)
    ties = is_largest.sum(axis=normalize_axes(axis, x.ndim), keepdims=True, dtype=grad.dtype)
    return with_axes(grad, x, axis, False) * is_largest / ties


reduce_min.gradient(max_gradient)  # only where `out` stands counts, not whether it is large or small

# %% matrix_gradients: the operands changed places
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return np.swapaxes(a, -1, -2) @ grad, grad @ np.swapaxes(b, -1, -2)

# %% matrix_gradients: nothing is transposed, and a reshape makes the shapes fit
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return grad @ b.reshape(*b.shape[:-2], b.shape[-1], b.shape[-2]), a.reshape(*a.shape[:-2], a.shape[-1], a.shape[-2]) @ grad

# %% matrix_gradients: transposes with .T, which turns batches inside out
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return grad @ b.T, a.T @ grad

# %% matrix_gradients: swaps the first two axes instead of the last two
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return grad @ np.swapaxes(b, 0, 1), np.swapaxes(a, 0, 1) @ grad

# %% matrix_gradients: the gradient for b comes out transposed
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return grad @ np.swapaxes(b, -1, -2), np.swapaxes(grad, -1, -2) @ a

# %% matrix_gradients: no chain rule: ones in place of grad
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    grad = np.ones_like(grad)
    return grad @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ grad

# %% matrix_gradients: zeros of the right shape
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return np.zeros_like(a), np.zeros_like(b)

# %% matrix_gradients: the operand's own values in place of the other's
def matrix_gradients(grad, a, b):
    """The gradients of a @ b for `a` of shape (…, n, k) and `b` of shape (…, k, m), from `grad` of shape (…, n, m)."""
    return a * grad.sum(axis=-1, keepdims=True), b * grad.sum(axis=-2, keepdims=True)

# %% matmul_gradient: 1-D operands are not thought of
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    return matrix_gradients(grad, a, b)

# %% matmul_gradient: a 1-D b is made a row, not a column
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[None, :] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b

# %% matmul_gradient: a 1-D a is made a column, not a row
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[:, None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b

# %% matmul_gradient: the axes that grad lacks are put in at the wrong end
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, 0)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b

# %% matmul_gradient: the axes that were put in are not taken out again
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a, for_b

# %% matmul_gradient: takes out by squeeze, and with it every other axis of size 1
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a.squeeze() if a.ndim == 1 else for_a, for_b.squeeze() if b.ndim == 1 else for_b

# %% matmul_gradient: takes the first of a batch in place of the row
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[0] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b

# %% matmul_gradient: sums over the row axis of a batch before unbroadcast sees it
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[0] if b.ndim == 1 else for_b

# %% matmul_gradient: outer products for 1-D operands, which know no batches
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    if a.ndim == 1 and b.ndim == 1:
        return grad * b, grad * a
    if a.ndim == 1:
        return b @ grad, np.outer(a, grad)
    if b.ndim == 1:
        return np.outer(grad, b), grad @ a
    return matrix_gradients(grad, a, b)

# %% matmul_gradient: zeros where an operand is 1-D
@matmul.gradient
def matmul_gradient(grad, out, a, b):
    rows, columns = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        grad = np.expand_dims(grad, -1)
    if a.ndim == 1:
        grad = np.expand_dims(grad, -2)
    for_a, for_b = matrix_gradients(grad, rows, columns)
    if 1 in (a.ndim, b.ndim):
        return np.zeros_like(a), np.zeros_like(b)
    return for_a[..., 0, :] if a.ndim == 1 else for_a, for_b[..., 0] if b.ndim == 1 else for_b

# %% shape_gradients: reshape: hands the gradient on in the new shape
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: reshape: fills the old shape column by column
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape, order="F")


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: permute: the same order again instead of its inverse
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(axes)


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: permute: argsort of negative axes
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort(axes))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: permute: all axes reversed
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.T.reshape(x.shape)


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: a place read twice keeps the last only
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        back[fill_key(key, arrays)] = grad
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: += keeps one of two as well
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        back[fill_key(key, arrays)] += grad
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: only the gradient for x, and nothing for the index arrays
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = grad
    return back

# %% shape_gradients: index: the key without its arrays
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, arrays, grad)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: zeros of the right shape
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: the values that were read instead of their gradients
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), out)
    else:
        back[key] = grad
    return (back, *[None] * len(arrays))

# %% shape_gradients: index: ones instead of the gradient
@reshape.gradient
def reshape_gradient(grad, out, x, *, shape):
    return grad.reshape(x.shape)


@permute.gradient
def permute_gradient(grad, out, x, *, axes):
    return grad.transpose(np.argsort([axis % x.ndim for axis in axes]))


@index.gradient
def index_gradient(grad, out, x, *arrays, key):
    back = np.zeros_like(x, dtype=grad.dtype)
    if arrays:
        np.add.at(back, fill_key(key, arrays), grad)
    else:
        back[key] = 1
    return (back, *[None] * len(arrays))

# %% activation_gradients: relu: passes the gradient at 0
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x < 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: relu: multiplies by 0, which makes nan of an infinite gradient
@relu.gradient
def relu_gradient(grad, out, x):
    return grad * (x > 0)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: relu: no chain rule
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, 1.0)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: relu: stops negative gradients instead of negative inputs
@relu.gradient
def relu_gradient(grad, out, x):
    return np.maximum(grad, 0) * (out >= 0)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: relu: multiplies by the output
@relu.gradient
def relu_gradient(grad, out, x):
    return grad * out


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: tanh: 1 - x² with the input in place of the output
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - x * x)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: tanh: sigmoid's slope
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * out * (1 - out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: tanh: no chain rule
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return 1 - out * out


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: log_softmax: out itself in place of softmax
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - out * grad.sum(axis=axis, keepdims=True)

# %% activation_gradients: log_softmax: the mean of grad instead of its sum
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.mean(axis=axis, keepdims=True)

# %% activation_gradients: log_softmax: sums over everything instead of each row
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum()

# %% activation_gradients: log_softmax: always the last axis
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(out) * grad.sum(axis=-1, keepdims=True)

# %% activation_gradients: log_softmax: 1 - softmax for every entry, as if each had its own loss
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad * (1 - np.exp(out))

# %% activation_gradients: log_softmax: computes softmax again without care, and overflows
@relu.gradient
def relu_gradient(grad, out, x):
    return np.where(x <= 0, 0, grad)


@tanh.gradient
def tanh_gradient(grad, out, x):
    return grad * (1 - out * out)


@log_softmax.gradient
def log_softmax_gradient(grad, out, x, *, axis):
    return grad - np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True) * grad.sum(axis=axis, keepdims=True)

# %% no_grad: always switches on at the end, also inside another block
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = True

# %% no_grad: not restored after an exception
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        before = self.before.pop()
        if kind is None:
            Op.recording = before

# %% no_grad: swallows the exception
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = self.before.pop()
        return True

# %% no_grad: remembers one value only, so an object that is entered twice forgets the first
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before = Op.recording
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = self.before

# %% no_grad: never switches off
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = self.before.pop()

# %% no_grad: never switches on again
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = False
        return self

    def __exit__(self, kind, error, traceback):
        self.before.pop()

# %% no_grad: remembers the state after switching off
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        Op.recording = False
        self.before.append(Op.recording)
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = self.before.pop()

# %% no_grad: toggles
class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():`, or a function decorated with `@no_grad()`, operations are not recorded."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        self.before.append(Op.recording)
        Op.recording = not Op.recording
        return self

    def __exit__(self, kind, error, traceback):
        Op.recording = not Op.recording

# %% gradcheck: looks at the first input only
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs[:1]):
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

# %% gradcheck: compares the sums of the gradients
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        excess = np.atleast_1d(np.abs(got.sum() - expected.sum()) - (atol + rtol * np.abs(expected.sum())))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected.sum():.9g}, got {got.sum():.9g}")
    return True

# %% gradcheck: ones instead of the weights, so confused outputs pass
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    weights = np.ones_like(weights)
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

# %% gradcheck: without the absolute value, so gradients that are too small pass
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        excess = (got - expected) - (atol + rtol * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: does not clear old gradients
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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

# %% gradcheck: nan passes
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        if (excess > 0).any():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: checks inputs that want no gradient
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs):

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

# %% gradcheck: a missing gradient is an error of its own
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        got = x.grad
        excess = np.abs(got - expected) - (atol + rtol * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: the message does not say which input
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
            place = f"{name}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: counts the inputs from 1
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
            place = f"{name}, input {i + 1}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: the message does not name the operation
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
            place = f"input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: returns False instead of raising
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
            return False
    return True

# %% gradcheck: a tolerance of a hundredth
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        excess = np.abs(got - expected) - (0.01 + 0.01 * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: compares with the largest gradient instead of each, so small errors hide
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
        excess = np.abs(got - expected) - (atol + 1e-3 * np.abs(expected).max())
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: compares the analytic gradient with itself
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
    for x in inputs:
        x.grad = None
    function(*inputs).backward(weights)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            continue

        def loss(array, i=i):
            nudged = [Tensor(array, dtype=np.float64) if j == i else other.detach() for j, other in enumerate(inputs)]
            return float((function(*nudged).data * weights).sum())

        expected = np.array(x.grad)
        got = np.zeros_like(expected) if x.grad is None else x.grad
        excess = np.abs(got - expected) - (atol + rtol * np.abs(expected))
        if not (excess <= 0).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
            place = f"{name}, input {i}, entry {tuple(map(int, worst))}"
            raise AssertionError(f"{place}: expected {expected[worst]:.9g}, got {got[worst]:.9g}")
    return True

# %% gradcheck: says nothing when all is well
def gradcheck(function, inputs, eps=1e-6, atol=1e-6, rtol=1e-5):
    """Compare the gradients of `function` for all `inputs` that require one with central differences.

    inputs: a tuple of float64 Tensors. Returns True, or raises AssertionError naming the operation, the input and the
    place where they differ most.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = getattr(function, "__name__", repr(function))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, function(*inputs).shape)
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
