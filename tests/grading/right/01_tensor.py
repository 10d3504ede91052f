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

# %% broadcast_shape: by negative positions
def broadcast_shape(a, b):
    sizes = []
    for place in range(-max(len(a), len(b)), 0):
        column = {shape[place] for shape in (a, b) if len(shape) >= -place} - {1}
        if len(column) > 1:
            raise ValueError(f"{tuple(a)} and {tuple(b)} do not fit, column {place}")
        sizes.append(column.pop() if column else 1)
    return tuple(sizes)

# %% broadcast_shape: from the right, with zip_longest
def broadcast_shape(a, b):
    from itertools import zip_longest

    backwards = []
    for m, n in zip_longest(reversed(a), reversed(b), fillvalue=1):
        fits = m == n or m == 1 or n == 1
        if not fits:
            raise ValueError(f"shape {tuple(a)} meets shape {tuple(b)}")
        backwards.append(m if n == 1 else n)
    return tuple(backwards[::-1])

# %% result_dtype: sorts the floating dtypes
def result_dtype(*operands, floating=False):
    arrays = [operand for operand in operands if hasattr(operand, "dtype")]
    by_width = sorted((array.dtype for array in arrays if array.dtype.kind == "f"), key=lambda kind: kind.itemsize)
    if by_width:
        return by_width[-1]
    if floating:
        return np.dtype("f4")
    for operand in operands:
        if isinstance(operand, float) and not hasattr(operand, "dtype"):
            return np.dtype("f4")
    return np.result_type(*operands)

# %% result_dtype: NumPy promotes the floating ones among themselves
def result_dtype(*operands, floating=False):
    kinds = {operand.dtype for operand in operands if isinstance(operand, np.ndarray)}
    real = [kind for kind in kinds if np.issubdtype(kind, np.floating)]
    numbers = [operand for operand in operands if not isinstance(operand, np.ndarray)]
    match real, floating or any(isinstance(number, float) for number in numbers):
        case [], False:
            return np.result_type(*operands)
        case [], True:
            return np.dtype(np.float32)
    return np.result_type(*real)

# %% add: casts first, and checks the shapes when NumPy complains
def cast_both(a, b):
    kind = result_dtype(a, b)
    return np.asarray(a).astype(kind), np.asarray(b).astype(kind)

@Op
@np.errstate(all="ignore")
def add(a, b):
    left, right = cast_both(a, b)
    try:
        return left + right
    except ValueError as error:
        broadcast_shape(left.shape, right.shape)
        raise error

# %% add: into an array of the right shape
@Op
@np.errstate(all="ignore")
def add(a, b):
    out = np.zeros(broadcast_shape(np.shape(a), np.shape(b)), result_dtype(a, b))
    out += np.asarray(a, out.dtype)
    np.add(out, np.asarray(b, out.dtype), out=out)
    return out

# %% elementwise: one or two operands, written out
def elementwise(name, function, floating=False):
    """Make an operation of `function`, a NumPy function of one or two arrays that works entry by entry."""

    @np.errstate(all="ignore")
    def forward(*operands):
        kind = result_dtype(*operands, floating=floating)
        if len(operands) == 1:
            return function(operands[0], dtype=kind)
        a, b = operands
        try:
            return function(a, b, dtype=kind)
        except ValueError as error:
            shapes = np.shape(a), np.shape(b)
            broadcast_shape(*shapes)
            raise error

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)

# %% elementwise: arrays of the wanted dtype, checked before
def elementwise(name, function, floating=False):
    """Make an operation of `function`, a NumPy function of one or two arrays that works entry by entry."""

    @np.errstate(all="ignore")
    def forward(*operands):
        wanted = result_dtype(*operands, floating=floating)
        arrays = [np.array(operand, dtype=wanted) for operand in operands]
        shapes = [array.shape for array in arrays]
        while len(shapes) > 1:
            shapes = [broadcast_shape(shapes[0], shapes[1]), *shapes[2:]]
        return np.asarray(function(*arrays), wanted)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)

# %% matmul: checks everything itself
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    shapes = f"{np.shape(a)} @ {np.shape(b)}"
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        raise ValueError(f"{shapes}: a number has no rows")
    if a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ValueError(f"{shapes}: the inner sizes differ")
    try:
        broadcast_shape(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"{shapes}: the batches differ") from None
    return np.matmul(a, b, dtype=result_dtype(a, b))

# %% matmul: a helper for the words
def complain(a, b, why):
    raise ValueError(f"shapes {np.shape(a)} and {np.shape(b)}: {why}")

@Op
@np.errstate(all="ignore")
def matmul(a, b):
    kind = result_dtype(a, b)
    left, right = np.asarray(a, kind), np.asarray(b, kind)
    if 0 in (left.ndim, right.ndim):
        complain(a, b, "one of them has no axis")
    try:
        return left @ right
    except ValueError as error:
        complain(a, b, str(error))

# %% reduce_mean: keeps the axes first, and drops them afterwards
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    kind, axes = result_dtype(x, floating=True), normalize_axes(axis, x.ndim)
    sums = x.astype(kind).sum(axis=axes, keepdims=True)
    means = np.divide(sums, float(math.prod([x.shape[a] for a in axes])), dtype=kind)
    return means if keepdims else means.reshape([n for a, n in enumerate(x.shape) if a not in axes])

# %% reduce_mean: the count is what the result is smaller by
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    kind = result_dtype(x, floating=True)
    places = normalize_axes(axis, x.ndim)
    total = np.add.reduce(x, axis=places, dtype=kind, keepdims=keepdims)
    count = 1
    for place, size in enumerate(x.shape):
        count = count * size if place in places else count
    return np.true_divide(total, kind.type(count))

# %% resolve_shape: NumPy's product of Python numbers, in two cases
def resolve_shape(shape, count):
    gaps = [place for place, size in enumerate(shape) if size == -1]
    sizes = [size for size in shape if size != -1]
    product = functools.reduce(operator.mul, sizes, 1)
    fits = all(size >= 0 for size in sizes)
    if len(gaps) == 0:
        fits = fits and product == count
    elif len(gaps) == 1:
        fits = fits and product > 0 and divmod(count, product)[1] == 0
    else:
        fits = False
    if not fits:
        raise ValueError(f"shape {list(shape)}, count {count}")
    return tuple(count // product if place in gaps else size for place, size in enumerate(shape))

# %% resolve_shape: a helper that fills the gap
def fill(shape, count):
    known = 1
    for size in shape:
        known *= abs(size)  # -1 counts as 1
    return tuple(count // known if size < 0 else size for size in shape) if known else tuple(shape)

def resolve_shape(shape, count):
    filled = fill(shape, count)
    ambiguous = shape.count(-1) == 1 and 0 in shape
    if any(size < -1 for size in shape) or shape.count(-1) > 1 or ambiguous or math.prod(filled) != count:
        raise ValueError(f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)}) does not hold {count} entries")
    return filled

# %% row_major_strides: each from its right neighbour
def row_major_strides(shape):
    steps = [1] * len(shape)
    for place in range(len(shape) - 2, -1, -1):
        steps[place] = steps[place + 1] * shape[place + 1]
    return tuple(steps)

# %% row_major_strides: by accumulate
def row_major_strides(shape):
    from itertools import accumulate

    if not shape:
        return ()
    return tuple(accumulate(shape[:0:-1], operator.mul, initial=1))[::-1]

# %% concat: np.concatenate after a check
@Op
def concat(*arrays, axis):
    lead = arrays[0]
    (place,) = normalize_axes(axis, lead.ndim)
    for array in arrays[1:]:
        if array.ndim != lead.ndim or any(
            m != n for i, (m, n) in enumerate(zip(lead.shape, array.shape)) if i != place
        ):
            raise ValueError(f"{list(lead.shape)} and {list(array.shape)} cannot be joined")
    kind = result_dtype(*arrays)
    return np.concatenate([array.astype(kind) for array in arrays], axis=place)

# %% concat: slices with a tuple of keys
def around(shape, place):
    return shape[:place], shape[place + 1 :]

@Op
def concat(*arrays, axis):
    shapes = [array.shape for array in arrays]
    place = normalize_axes(axis, len(shapes[0]))[0]
    wrong = [shape for shape in shapes if len(shape) != len(shapes[0]) or around(shape, place) != around(shapes[0], place)]
    if wrong:
        raise ValueError(f"first {shapes[0]}, then {wrong[0]}")
    before, behind = around(shapes[0], place)
    out = np.zeros((*before, sum(shape[place] for shape in shapes), *behind), dtype=result_dtype(*arrays))
    stop = 0
    for array in arrays:
        start, stop = stop, stop + array.shape[place]
        out[(slice(None),) * place + (slice(start, stop),)] = array
    return out
