# %% broadcast_shape
def broadcast_shape(a, b):
    first, second = list(a), list(b)
    while len(first) < len(second):
        first.insert(0, 1)
    while len(second) < len(first):
        second.insert(0, 1)
    out = ()
    for left, right in zip(first, second):
        if left == right or right == 1:
            out += (left,)
        elif left == 1:
            out += (right,)
        else:
            raise ValueError("cannot broadcast " + str(tuple(a)) + " against " + str(tuple(b)))
    return out

# %% result_dtype
def result_dtype(*operands, floating=False):
    widest = None
    for operand in operands:
        kind = getattr(operand, "dtype", None)
        if kind is not None and kind.kind == "f" and (widest is None or kind.itemsize > widest.itemsize):
            widest = kind
    if widest is not None:
        return widest
    has_float = any(type(operand) is float for operand in operands)
    return np.dtype("float32") if has_float or floating else np.result_type(*operands)

# %% add
@Op
@np.errstate(all="ignore")
def add(a, b):
    target = result_dtype(a, b)
    shape = broadcast_shape(np.shape(a), np.shape(b))
    total = np.empty(shape, dtype=target)
    total[...] = np.asarray(a, dtype=target)
    total += np.asarray(b, dtype=target)
    return total

# %% elementwise
def elementwise(name, function, floating=False):
    """Make an operation of `function`, a NumPy function of one or two arrays that works entry by entry."""

    @np.errstate(all="ignore")
    def forward(*operands):
        wanted = result_dtype(*operands, floating=floating)
        if len(operands) > 1:
            broadcast_shape(np.shape(operands[0]), np.shape(operands[1]))
        return function(*(np.asarray(operand, wanted) for operand in operands))

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)

# %% matmul
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    left, right = np.array(a), np.array(b)
    complaint = f"cannot multiply {left.shape} by {right.shape}"
    if not left.ndim or not right.ndim:
        raise ValueError(complaint)
    inner = right.shape[0] if right.ndim == 1 else right.shape[-2]
    if inner != left.shape[-1]:
        raise ValueError(complaint)
    try:
        broadcast_shape(left.shape[:-2], right.shape[:-2])
    except ValueError as problem:
        raise ValueError(complaint) from problem
    kind = result_dtype(left, right)
    return left.astype(kind) @ right.astype(kind)

# %% reduce_mean
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    where = normalize_axes(axis, x.ndim)
    entries = 1
    for place in where:
        entries *= x.shape[place]
    kind = result_dtype(x, floating=True)
    added = np.asarray(x, kind).sum(where, keepdims=keepdims)
    return np.asarray(added / np.array(entries, kind), kind)

# %% resolve_shape
def resolve_shape(shape, count):
    def refuse():
        raise ValueError(f"no way to see {count} entries as {shape}")

    rest, gap = 1, None
    for position, size in enumerate(shape):
        if size < -1 or (size == -1 and gap is not None):
            refuse()
        if size == -1:
            gap = position
        else:
            rest *= size
    answer = list(shape)
    if gap is not None:
        if not rest or count % rest:
            refuse()
        answer[gap] = count // rest
    elif rest != count:
        refuse()
    return tuple(answer)

# %% row_major_strides
def row_major_strides(shape):
    return tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))

# %% concat
@Op
def concat(*arrays, axis):
    model = arrays[0]
    place = normalize_axes(axis, model.ndim)[0]
    for array in arrays[1:]:
        alike = array.ndim == model.ndim and all(
            here == there for i, (here, there) in enumerate(zip(array.shape, model.shape)) if i != place
        )
        if not alike:
            raise ValueError(f"cannot join {array.shape} to {model.shape}")
    turned = [np.swapaxes(array, 0, place) for array in arrays]
    rows = [row for block in turned for row in block]
    shape = list(model.shape)
    shape[place] = len(rows)
    shape[0], shape[place] = shape[place], shape[0]
    joined = np.zeros(shape, dtype=result_dtype(*arrays))
    for number, row in enumerate(rows):
        joined[number] = row
    return np.swapaxes(joined, 0, place)
