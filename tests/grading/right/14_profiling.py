# %% product_flops: the number of sums and their length
def product_flops(name, arrays, out, settings):
    lengths = {
        "matmul": lambda a, b, *_: out.size * a.shape[-1],
        "linear": lambda x, weight, *_: out.size * weight.shape[1],
        "convolve": lambda x, weight, *_: out.size * (weight.size // weight.shape[0]),
        "attention": lambda q, k, v, *_: q.size * k.shape[-2] + out.size * v.shape[-2],
    }
    if name not in lengths:
        raise ValueError(f"no product: {name!r}")
    return 2 * int(lengths[name](*arrays))

# %% product_flops: shapes only
def product_flops(name, arrays, out, settings):
    if name == "matmul" or name == "linear":
        length = arrays[0].shape[-1]
    elif name == "convolve":
        _, channels, height, width = arrays[1].shape
        length = channels * height * width
    elif name == "attention":
        *front, n, d = arrays[0].shape
        m, v = arrays[1].shape[-2], arrays[2].shape[-1]
        return int(np.prod(front, dtype=int)) * n * m * (d + v) * 2
    else:
        raise ValueError("unknown operation " + name)
    return 2 * math.prod(out.shape) * length

# %% product_flops: a helper that multiplies
def sums(count, length):
    return count * length + count * length


def product_flops(name, arrays, out, settings):
    match name:
        case "matmul" | "linear":
            return sums(out.size, np.shape(arrays[0])[-1])
        case "convolve":
            return sums(out.size, math.prod(arrays[1].shape[-3:]))
        case "attention":
            scores = out.shape[:-1] + (arrays[1].shape[-2],)
            return sums(math.prod(scores), arrays[0].shape[-1]) + sums(out.size, scores[-1])
    raise ValueError(f"{name} multiplies no matrices")

# %% flops_of: looks units up
def flops_of(name, arrays, out, settings, backward=False):
    if name in PRODUCTS and backward:
        return product_gradient_flops(name, arrays, out, settings)
    if name in PRODUCTS:
        return product_flops(name, arrays, out, settings)
    try:
        unit, *each = COSTS[name]
    except KeyError:
        raise ValueError(f"{name} has no row in the table") from None
    units = {"in": lambda: arrays[0].size, "out": lambda: out.size}
    units["window"] = lambda: out.size * settings["kernel_size"][0] * settings["kernel_size"][1]
    return int(units[unit]()) * each[int(backward)]

# %% flops_of: branch by branch
def flops_of(name, arrays, out, settings, backward=False):
    if name in PRODUCTS:
        if backward:
            return product_gradient_flops(name, arrays, out, settings)
        return product_flops(name, arrays, out, settings)
    if name in COSTS:
        unit, there, back = COSTS[name]
        each = there if not backward else back
        if unit == "in":
            return each * math.prod(arrays[0].shape)
        if unit == "out":
            return each * math.prod(out.shape)
        height, width = settings["kernel_size"]
        return each * height * width * out.size
    raise ValueError(f"who is {name}?")

# %% flops_of: one product at the end
def flops_of(name, arrays, out, settings, backward=False):
    if name not in PRODUCTS and name not in COSTS:
        raise ValueError(name)
    if name in PRODUCTS:
        count = product_gradient_flops if backward else product_flops
        return count(name, arrays, out, settings)
    unit = COSTS[name][0]
    window = settings["kernel_size"] if unit == "window" else ()
    array = arrays[0] if unit == "in" else out
    return math.prod([COSTS[name][1 + backward], *array.shape, *window])

# %% bytes_of: loops
def bytes_of(inputs, outputs):
    read, written, new = [], [], 0
    for x in inputs:
        if isinstance(x, np.ndarray) and all(x is not other for other in read):
            read.append(x)
    for out in outputs:
        if isinstance(out, np.ndarray) and all(out is not other for other in written):
            written.append(out)
            if not any(np.shares_memory(out, x) for x in read):
                new += 1
    if written and not new:
        return 0
    fresh = [out for out in written if not any(np.shares_memory(out, x) for x in read)]
    return sum([x.nbytes for x in read + fresh])

# %% bytes_of: a set of ids
def bytes_of(inputs, outputs):
    arrays, ids = [x for x in inputs if hasattr(x, "nbytes") and hasattr(x, "base")], set()
    total = 0
    for x in arrays:
        if id(x) not in ids:
            ids.add(id(x))
            total += x.size * x.itemsize
    outputs = [x for i, x in enumerate(outputs) if hasattr(x, "nbytes") and id(x) not in map(id, outputs[:i])]
    fresh = [out for out in outputs if all(not np.may_share_memory(out, x) for x in arrays)]
    if len(outputs) > 0 and len(fresh) == 0:
        return 0
    return total + sum(out.size * out.itemsize for out in fresh)

# %% bytes_of: returns early
def bytes_of(inputs, outputs):
    inputs, outputs = ([x for x in some if type(x) is np.ndarray] for some in (inputs, outputs))
    is_view = [any(np.may_share_memory(out, x) for x in inputs) for out in outputs]
    if is_view and all(is_view):
        return 0
    moved = list({id(out): out.nbytes for out, view in zip(outputs, is_view, strict=True) if not view}.values())
    moved += [x.nbytes for i, x in enumerate(inputs) if not any(x is other for other in inputs[:i])]
    return sum(moved)

# %% held_bytes: a helper for the owner
def owner(array):
    while array.base is not None and isinstance(array.base, np.ndarray):
        array = array.base
    return array


def held_bytes(tensor):
    found = {}
    for one in topological_order(tensor):
        arrays = [one.data]
        if one.node:
            arrays.extend(one.node.arrays)
            arrays.extend(one.node.settings.values())
        for array in arrays:
            if isinstance(array, np.ndarray):
                found.setdefault(id(owner(array)), owner(array).nbytes)
    return sum(found.values())

# %% held_bytes: walks by itself
def held_bytes(tensor):
    stack, seen, owners, total = [tensor], {id(tensor)}, set(), 0
    while stack:
        current = stack.pop()
        arrays = [current.data]
        if current.node is not None:
            arrays += list(current.node.arrays) + list(current.node.settings.values())
            for x in current.node.inputs:
                if x is not None and id(x) not in seen:
                    seen.add(id(x))
                    stack.append(x)
        for array in filter(lambda x: isinstance(x, np.ndarray), arrays):
            while isinstance(array.base, np.ndarray):
                array = array.base
            if id(array) not in owners:
                owners.add(id(array))
                total += array.nbytes
    return total

# %% held_bytes: a list without repetitions
def held_bytes(tensor):
    owners = []
    for one in topological_order(tensor):
        held = [one.data] if one.node is None else [one.data, *one.node.arrays, *one.node.settings.values()]
        for array in held:
            if not isinstance(array, np.ndarray):
                continue
            while isinstance(array.base, np.ndarray):
                array = array.base
            owners.append((id(array), array.nbytes))
    return sum(size for _, size in set(owners))

# %% measure: readings in two lists
def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}")
    if warmup < 0:
        raise ValueError(f"warmup is {warmup}")
    for _ in range(warmup):
        function()
    starts, ends = [], []
    for _ in range(repeats):
        starts.append(clock())
        function()
        ends.append(clock())
    runs = np.array(ends, float) - np.array(starts, float)
    if (runs < 0).any() or not runs.any():
        raise ValueError("this clock does not go")
    return Timing(float(np.median(runs)), float(np.quantile(runs, 0.25)), float(np.quantile(runs, 0.75)), tuple(runs.tolist()))

# %% measure: percentiles by hand
def at(ordered, share):
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    for number, least in ((repeats, 1), (warmup, 0)):
        if number < least:
            raise ValueError(f"{number} is below {least}")
    [function() for _ in range(warmup)]

    def once():
        before = clock()
        function()
        return float(clock() - before)

    runs = [once() for _ in range(repeats)]
    if any(run < 0 for run in runs) or sum(runs) == 0:
        raise ValueError("Clock: no time passes, or it passes backward")
    ordered = sorted(runs)
    return Timing(at(ordered, 0.5), at(ordered, 0.25), at(ordered, 0.75), tuple(runs))

# %% measure: percentiles of NumPy
def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    if min(repeats - 1, warmup) < 0:
        raise ValueError(f"warmup {warmup}, repeats {repeats}")
    runs = ()
    for i in range(warmup + repeats):
        if i < warmup:
            function()
        else:
            begin = clock()
            function()
            end = clock()
            if end < begin:
                raise ValueError(f"the clock went from {begin} to {end}")
            runs += (float(end - begin),)
    if set(runs) == {0.0}:
        raise ValueError("the clock stands")
    return Timing(*(float(np.percentile(runs, p)) for p in (50, 25, 75)), runs)

# %% growth: polyfit
def growth(sizes, seconds):
    if len(sizes) != len(seconds):
        raise ValueError(f"{len(sizes)} is not {len(seconds)}")
    wrong = [x for x in [*sizes, *seconds] if np.isnan(x) or x <= 0]
    if wrong:
        raise ValueError(f"no logarithm of {wrong[0]}")
    if len(np.unique(sizes)) < 2:
        raise ValueError("only one size")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])

# %% growth: lstsq
def growth(sizes, seconds):
    n, m = len(sizes), len(seconds)
    if n != m:
        raise ValueError(f"lengths {n} and {m}")
    for x in list(sizes) + list(seconds):
        if x <= 0 or x != x:
            raise ValueError(f"{x}")
    if n < 2 or min(sizes) == max(sizes):
        raise ValueError("two different sizes, please")
    lines = np.stack([np.log(np.asarray(sizes, float)), np.ones(n)], axis=1)
    return float(np.linalg.lstsq(lines, np.log(np.asarray(seconds, float)), rcond=None)[0][0])

# %% growth: sums
def growth(sizes, seconds):
    if len(sizes) - len(seconds):
        raise ValueError(f"{len(sizes)} against {len(seconds)}")
    if not all(x > 0 for x in sizes):
        raise ValueError(f"sizes {list(map(float, sizes))}")
    if not all(x > 0 for x in seconds):
        raise ValueError(f"seconds {list(map(float, seconds))}")
    if len({float(x) for x in sizes}) < 2:
        raise ValueError("no slope")
    u, v = [math.log(x) for x in sizes], [math.log(x) for x in seconds]
    n = len(u)
    top = n * sum(a * b for a, b in zip(u, v, strict=True)) - sum(u) * sum(v)
    return top / (n * sum(a * a for a in u) - sum(u) ** 2)
