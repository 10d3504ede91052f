# %% broadcast_shape: lines the shapes up from the left
def broadcast_shape(a, b):
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    shorter = tuple(shorter) + (1,) * (len(longer) - len(shorter))
    for m, n in zip(longer, shorter):
        if m != n and m != 1 and n != 1:
            raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast")
    return tuple(n if m == 1 else m for m, n in zip(longer, shorter))

# %% broadcast_shape: takes the larger size, which is wrong for 1 against 0
def broadcast_shape(a, b):
    ndim = max(len(a), len(b))
    left, right = (1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b)
    if any(m != n and 1 not in (m, n) for m, n in zip(left, right)):
        raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast")
    return tuple(max(m, n) for m, n in zip(left, right))

# %% broadcast_shape: no error where the sizes do not fit
def broadcast_shape(a, b):
    ndim = max(len(a), len(b))
    left, right = (1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b)
    return tuple(n if m == 1 else m for m, n in zip(left, right))

# %% broadcast_shape: loses the axes that only one of the shapes has
def broadcast_shape(a, b):
    result = []
    for m, n in zip(reversed(a), reversed(b)):
        if m != n and 1 not in (m, n):
            raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast")
        result.append(n if m == 1 else m)
    return tuple(reversed(result))

# %% broadcast_shape: the error names the sizes that clash, not the shapes
- for m, n in zip((1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b), strict=True):
-     if m != n and 1 not in (m, n):
-         raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast: {m} meets {n}")
+ for m, n in zip((1,) * (ndim - len(a)) + tuple(a), (1,) * (ndim - len(b)) + tuple(b)):
+     if m != n and m != 1 and n != 1:
+         raise ValueError(f"sizes {m} and {n} do not fit")

# %% broadcast_shape: asks NumPy, which cannot answer for very large shapes
def broadcast_shape(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(f"{tuple(a)} and {tuple(b)} do not fit")

# %% broadcast_shape: the result is padded, but never turned back into reading order
def broadcast_shape(a, b):
    a, b = tuple(a), tuple(b)
    result = []
    for i in range(1, max(len(a), len(b)) + 1):
        m = a[-i] if i <= len(a) else 1
        n = b[-i] if i <= len(b) else 1
        if m != n and m != 1 and n != 1:
            raise ValueError(f"shapes {a} and {b} do not broadcast")
        result.append(n if m == 1 else m)
    return tuple(result)

# %% result_dtype: NumPy's own rule, under which int64 with float32 is float64
def result_dtype(*operands, floating=False):
    dtype = np.result_type(*operands)
    return np.dtype(np.float32) if floating and dtype.kind != "f" else dtype

# %% result_dtype: float32 wherever anything is floating, so that float64 is lost
def result_dtype(*operands, floating=False):
    kinds = [x.dtype.kind for x in operands if isinstance(x, np.ndarray)]
    if floating or "f" in kinds or any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    return np.result_type(*operands)

# %% result_dtype: the first floating array decides, not the widest
def result_dtype(*operands, floating=False):
    for x in operands:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            return x.dtype
    if floating or any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    return np.result_type(*operands)

# %% result_dtype: the last floating array decides, not the widest
def result_dtype(*operands, floating=False):
    found = None
    for x in operands:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            found = x.dtype
    if found is not None:
        return found
    if floating or any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    return np.result_type(*operands)

# %% result_dtype: a Python float beside integers is left to NumPy, which says float64
def result_dtype(*operands, floating=False):
    floats = [x.dtype for x in operands if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if floats:
        return max(floats)
    return np.dtype(np.float32) if floating else np.result_type(*operands)

# %% result_dtype: a Python float decides even beside a float64 array
def result_dtype(*operands, floating=False):
    if any(isinstance(x, float) for x in operands):
        return np.dtype(np.float32)
    floats = [x.dtype for x in operands if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if floats:
        return max(floats)
    return np.dtype(np.float32) if floating else np.result_type(*operands)

# %% result_dtype: all integers become int64
- return np.result_type(*operands)
+ return np.dtype(np.int64)

# %% add: NumPy's message, which does not write shapes as Python does
@Op
@np.errstate(all="ignore")
def add(a, b):
    return np.add(a, b, dtype=result_dtype(a, b))

# %% add: always float32
@Op
@np.errstate(all="ignore")
def add(a, b):
    broadcast_shape(np.shape(a), np.shape(b))
    return np.add(np.asarray(a, np.float32), np.asarray(b, np.float32))

# %% add: adds in place, and so changes its input
@Op
@np.errstate(all="ignore")
def add(a, b):
    shape = broadcast_shape(np.shape(a), np.shape(b))
    dtype = result_dtype(a, b)
    if np.shape(a) == shape and np.asarray(a).dtype == dtype:
        a += b
        return a
    return np.add(a, b, dtype=dtype)

# %% add: refuses everything but equal shapes
@Op
@np.errstate(all="ignore")
def add(a, b):
    if np.shape(a) != np.shape(b) and np.ndim(a) and np.ndim(b):
        raise ValueError(f"shapes {np.shape(a)} and {np.shape(b)} differ")
    return np.add(a, b, dtype=result_dtype(a, b))

# %% add: hands back the shape instead of the error
- broadcast_shape(np.shape(a), np.shape(b))
- raise
+ return np.asarray(np.shape(a) + np.shape(b))

# %% add: zeros of the right shape and dtype
@Op
@np.errstate(all="ignore")
def add(a, b):
    return np.zeros(broadcast_shape(np.shape(a), np.shape(b)), result_dtype(a, b))

# %% elementwise: forgets that a division of integers gives fractions
- return function(*operands, dtype=result_dtype(*operands, floating=floating))
+ return function(*operands).astype(result_dtype(*operands))

# %% elementwise: NumPy's own message for shapes that do not fit
def elementwise(name, function, floating=False):
    @np.errstate(all="ignore")
    def forward(*operands):
        return function(*operands, dtype=result_dtype(*operands, floating=floating))

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)

# %% elementwise: swallows errors that have nothing to do with shapes
  def forward(*operands):
+     dtype = result_dtype(*operands, floating=floating)

- return function(*operands, dtype=result_dtype(*operands, floating=floating))
+ return function(*operands, dtype=dtype)

- if len(operands) == 2:
-     broadcast_shape(*map(np.shape, operands))
- raise
+ return np.zeros(broadcast_shape(*map(np.shape, operands)), dtype)

# %% elementwise: every result is floating
- return function(*operands, dtype=result_dtype(*operands, floating=floating))
+ return function(*operands, dtype=result_dtype(*operands, floating=True))

# %% elementwise: the operands in the wrong order
- return function(*operands, dtype=result_dtype(*operands, floating=floating))
+ return function(*operands[::-1], dtype=result_dtype(*operands, floating=floating))

# %% matmul: NumPy's dtype, so that int64 @ float32 is float64
-     return np.matmul(a, b, dtype=result_dtype(a, b))
- except ValueError as error:
-     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together") from error
+     return np.matmul(a, b)
+ except ValueError:
+     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")

# %% matmul: NumPy's own error
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    return np.matmul(a, b, dtype=result_dtype(a, b))

# %% matmul: checks the inner sizes, but lets batches that do not fit through to NumPy
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    return np.matmul(a, b, dtype=result_dtype(a, b))

# %% matmul: for batches, names the batch axes only
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    broadcast_shape(a.shape[:-2], b.shape[:-2])
    return np.matmul(a, b, dtype=result_dtype(a, b))

# %% matmul: np.dot, which pairs every matrix of one batch with every matrix of the other
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    try:
        return np.dot(a.astype(result_dtype(a, b)), b.astype(result_dtype(a, b)))
    except ValueError:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")

# %% matmul: multiplies entry by entry
@Op
@np.errstate(all="ignore")
def matmul(a, b):
    broadcast_shape(np.shape(a), np.shape(b))
    return np.multiply(a, b, dtype=result_dtype(a, b))

# %% matmul: refuses vectors
  a, b = np.asarray(a), np.asarray(b)
+ if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
+     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")

- except ValueError as error:
-     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together") from error
+ except ValueError:
+     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")

# %% matmul: names only the first shape
- except ValueError as error:
-     raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together") from error
+ except ValueError:
+     raise ValueError(f"matmul: nothing fits to shape {a.shape}")

# %% reduce_mean: divides by all entries, whatever the axis
- count = math.prod(x.shape[a] for a in axes)

- return total / count
+ return total / np.asarray(x.size, total.dtype)

# %% reduce_mean: a sum
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    return np.sum(x, axis=axes, keepdims=keepdims, dtype=result_dtype(x, floating=True))

# %% reduce_mean: forgets keepdims
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    total = np.sum(x, axis=axes, dtype=result_dtype(x, floating=True))
    return total / math.prod(x.shape[a] for a in axes)

# %% reduce_mean: counts the entries of the first axis only
- count = math.prod(x.shape[a] for a in axes)

- return total / count
+ return total / x.shape[axes[0]] if axes else total

# %% reduce_mean: the mean of integers is float64
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    return np.sum(x, axis=axes, keepdims=keepdims) / math.prod(x.shape[a] for a in axes)

# %% reduce_mean: the mean of integers is rounded down
- total = np.sum(x, axis=axes, keepdims=keepdims, dtype=result_dtype(x, floating=True))
- return total / count
+ return (np.sum(x, axis=axes, keepdims=keepdims) // count).astype(result_dtype(x, floating=True))

# %% reduce_mean: 0 instead of nan over no entries
@Op
@np.errstate(all="ignore")
def reduce_mean(x, *, axis=None, keepdims=False):
    axes = normalize_axes(axis, x.ndim)
    count = max(math.prod(x.shape[a] for a in axes), 1)
    return np.sum(x, axis=axes, keepdims=keepdims, dtype=result_dtype(x, floating=True)) / count

# %% resolve_shape: divides without asking whether the division comes out even
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or min(shape, default=0) < -1 or (-1 in shape and known == 0):
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: fills in the -1, and checks nothing where there is none
def resolve_shape(shape, count):
    if -1 not in shape:
        return tuple(shape)
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or min(shape) < -1 or known == 0 or count % known:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: leaves the -1 where it is
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or min(shape, default=0) < -1 or known == 0 and -1 in shape:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    if count % known if -1 in shape else count != known:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(shape)

# %% resolve_shape: an open size beside a 0 is an error of arithmetic
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or min(shape, default=0) < -1 or (count % known if -1 in shape else count != known):
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: takes two sizes below zero for a fit, because their product is the count
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    fits = known != 0 and count % known == 0 if -1 in shape else count == known
    if shape.count(-1) > 1 or not fits:
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: the same size for every -1
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    if min(shape, default=0) < -1 or (not known or count % known if -1 in shape else count != known):
        raise ValueError(f"{count} entries cannot take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: the message leaves the count out
def resolve_shape(shape, count):
    known = math.prod(size for size in shape if size != -1)
    fits = known > 0 and count % known == 0 if -1 in shape else count == known
    if shape.count(-1) > 1 or min(shape, default=0) < -1 or not fits:
        raise ValueError(f"nothing can take the shape {shape}")
    return tuple(count // known if size == -1 else size for size in shape)

# %% resolve_shape: lets an array of that many entries find out
def resolve_shape(shape, count):
    try:
        return np.empty(count, np.int8).reshape(shape).shape
    except ValueError:
        raise ValueError(f"{count} entries cannot take the shape {shape}")

# %% row_major_strides: the first axis densest, as in Fortran
- for size in reversed(shape):
+ for size in shape:

- return tuple(reversed(strides))
+ return tuple(strides)

# %% row_major_strides: in bytes of float32
- strides, step = [], 1
+ strides, step = [], 4

# %% row_major_strides: the neighbour's size, without its stride
def row_major_strides(shape):
    return tuple(shape[1:]) + (1,) if shape else ()

# %% row_major_strides: its own size instead of its right neighbour's
  for size in reversed(shape):
+     step *= size

- step *= size

# %% row_major_strides: an axis of size 1 gets a stride of 0
- strides.append(step)
+ strides.append(0 if size == 1 else step)

# %% row_major_strides: read off an array of that shape
def row_major_strides(shape):
    return np.empty(shape, np.int8).strides

# %% concat: NumPy's dtype, so that int64 beside float32 is float64
@Op
def concat(*arrays, axis):
    try:
        return np.concatenate(arrays, axis)
    except ValueError:
        first = arrays[0].shape
        other = next(array.shape for array in arrays if array.ndim != len(first) or array.shape != first)
        raise ValueError(f"concatenate along axis {axis}: shapes {first} and {other} do not fit")

# %% concat: NumPy's own error
@Op
def concat(*arrays, axis):
    return np.concatenate(arrays, axis, dtype=result_dtype(*arrays))

# %% concat: names the second shape, whichever does not fit
@Op
def concat(*arrays, axis):
    try:
        return np.concatenate(arrays, axis, dtype=result_dtype(*arrays))
    except ValueError:
        raise ValueError(f"concatenate along axis {axis}: shapes {arrays[0].shape} and {arrays[1].shape} do not fit")

# %% concat: always float32
@Op
def concat(*arrays, axis):
    first = arrays[0].shape
    (axis,) = normalize_axes(axis, len(first))
    for other in arrays:
        if len(other.shape) != len(first) or other.shape[:axis] + other.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"concatenate along axis {axis}: shapes {first} and {other.shape} do not fit")
    return np.concatenate([array.astype(np.float32) for array in arrays], axis)

# %% concat: every piece is copied to the start
- same_around = other.shape[:axis] == first[:axis] and other.shape[axis + 1 :] == first[axis + 1 :]
- if not same_around or other.ndim != len(first):
+ if len(other.shape) != len(first) or other.shape[:axis] + other.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:

- result = np.empty(first[:axis] + (total,) + first[axis + 1 :], result_dtype(*arrays))
- lines, start = np.moveaxis(result, axis, 0), 0
+ result = np.zeros(first[:axis] + (total,) + first[axis + 1 :], result_dtype(*arrays))
+ lines = np.moveaxis(result, axis, 0)

- lines[start : start + array.shape[axis]] = np.moveaxis(array, axis, 0)
- start += array.shape[axis]
+ lines[: array.shape[axis]] = np.moveaxis(array, axis, 0)

# %% concat: a negative axis is not counted from the end
- (axis,) = normalize_axes(axis, len(first))

- same_around = other.shape[:axis] == first[:axis] and other.shape[axis + 1 :] == first[axis + 1 :]
- if not same_around or other.ndim != len(first):
+ if len(other.shape) != len(first) or other.shape[:axis] + other.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:

# %% concat: each piece is taken to be as long as the first
@Op
def concat(*arrays, axis):
    first = arrays[0].shape
    (axis,) = normalize_axes(axis, len(first))
    for other in arrays:
        if len(other.shape) != len(first) or other.shape[:axis] + other.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"concatenate along axis {axis}: shapes {first} and {other.shape} do not fit")
    length = first[axis]
    result = np.zeros(first[:axis] + (length * len(arrays),) + first[axis + 1 :], result_dtype(*arrays))
    lines = np.moveaxis(result, axis, 0)
    for i, array in enumerate(arrays):
        piece = np.moveaxis(array, axis, 0)[:length]
        lines[i * length : i * length + len(piece)] = piece
    return result

# %% concat: joined along a new axis, as stack does
@Op
def concat(*arrays, axis):
    first = arrays[0].shape
    for other in arrays:
        if other.shape != first:
            raise ValueError(f"shapes {first} and {other.shape} do not fit")
    return np.stack(arrays, axis).astype(result_dtype(*arrays))

# %% matmul: compares with the first axis of b, whatever b is
def matmul_checked(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0 or np.shape(a)[-1] != np.shape(b)[0]:
        raise ValueError(f"{np.shape(a)} and {np.shape(b)} do not fit")

@Op
@np.errstate(all="ignore")
def matmul(a, b):
    matmul_checked(a, b)
    return np.matmul(a, b, dtype=result_dtype(a, b))

# %% elementwise: one operand, or two that do not fit; another error of NumPy's is lost
def elementwise(name, function, floating=False):
    @np.errstate(all="ignore")
    def forward(*operands):
        try:
            return function(*operands, dtype=result_dtype(*operands, floating=floating))
        except ValueError:
            if len(operands) == 2:
                broadcast_shape(*map(np.shape, operands))
            else:
                raise

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{function.__name__}, entry by entry, with broadcasting."
    return Op(forward)
