# %% order_steps: a search that goes one step deeper at a time
def order_steps(steps, seconds, wrong):
    names = [step.name for step in steps]
    twice = [name for name in names if names.count(name) > 1]
    absent = [name for step in steps for name in step.after if name not in names]
    if twice or absent:
        raise ValueError(f"these names are there twice or not at all: {twice + absent}")
    for budget in (seconds, wrong):
        if budget < 0:
            raise ValueError(f"nothing can be done with {budget}")
    found = [(1, 0, 0, [])]

    def deeper(taken, size, time, bad):
        for place, step in enumerate(steps):
            barred = any(step.name in steps[other].after for other in taken)
            now = time + step.seconds * size
            if place in taken or barred or now > seconds or bad + step.wrong > wrong:
                continue
            found.append((size * step.factor, now, len(taken) + 1, taken + [place]))
            deeper(taken + [place], size * step.factor, now, bad + step.wrong)

    deeper([], 1, 0, 0)
    return [names[place] for place in min(found)[-1]]

# %% order_steps: a list of all that is allowed, and min
def order_steps(steps, seconds, wrong):
    by_name = {}
    for step in steps:
        if step.name in by_name:
            raise ValueError(f"two steps {step.name}")
        by_name[step.name] = step
    for step in steps:
        for name in step.after:
            if name not in by_name:
                raise ValueError(f"{step.name} stands after {name}, which is no step")
    if seconds < 0:
        raise ValueError(f"seconds={seconds}")
    if wrong < 0:
        raise ValueError(f"wrong={wrong}")
    allowed = []
    for count in range(len(steps) + 1):
        for order in itertools.permutations(steps, count):
            if any(one.name in other.after for other, one in itertools.combinations(order, 2)):
                continue
            sizes = [1, *itertools.accumulate((step.factor for step in order), lambda a, b: a * b)]
            time = sum(step.seconds * size for step, size in zip(order, sizes, strict=False))
            if time <= seconds and sum(step.wrong for step in order) <= wrong:
                allowed.append((sizes[-1], time, len(allowed), order))
    return [step.name for step in min(allowed)[3]]

# %% order_steps: a helper that walks along an order
def walk(order):
    size, time = 1.0, 0.0
    for step in order:
        time += size * step.seconds
        size *= step.factor
    return size, time


def order_steps(steps, seconds, wrong):
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) == 2 or names.count(name) > 2:
            raise ValueError(f"{name} is not the name of one step")
    for name in {name for step in steps for name in step.after} - set(names):
        raise ValueError(f"there is no step {name}")
    if seconds < 0 or wrong < 0:
        raise ValueError(f"budgets {seconds} and {wrong}")
    best = ()
    for count in range(1, len(steps) + 1):
        for order in itertools.permutations(steps, count):
            places = {step.name: place for place, step in enumerate(order)}
            if any(places.get(name, -1) > places[step.name] for step in order for name in step.after):
                continue
            if sum(step.wrong for step in order) > wrong or walk(order)[1] > seconds:
                continue
            if walk(order) < walk(best):
                best = order
    return [step.name for step in best]

# %% split: part by part, with sets of what is held
def split(x, y, parts, origin=None):
    if len(y) != len(x):
        raise ValueError(f"x has {len(x)} rows, y has {len(y)}")
    held, count, first = [], 0, None
    for name, indices in parts.items():
        if not len(indices):
            raise ValueError(f"nothing is in {name}")
        own = set()
        for i in map(int, indices):
            if i < 0 or i >= len(x):
                raise ValueError(f"{name} asks for row {i}")
            keys = {("row", x[i].tobytes()), ("origin", i if origin is None else int(origin[i]))}
            others = [other for other, theirs in held if keys & theirs]
            if others:
                count += 1
                first = first or f"row {i} of {name} stands in {others[0]}"
            own |= keys
        held.append((name, own))
    if count:
        raise ValueError(f"{count} leaks: {first}")
    return {name: (x[list(indices)], y[list(indices)]) for name, indices in parts.items()}

# %% split: rows get numbers first
def split(x, y, parts, origin=None):
    n = len(x)
    if n != len(y):
        raise ValueError(f"lengths {n} and {len(y)}")
    numbers, content = {}, []
    for row in x:
        content.append(numbers.setdefault(row.tobytes(), len(numbers)))
    source = np.arange(n) if origin is None else np.asarray(origin)
    rows, leaks = {}, []
    for name, indices in parts.items():
        indices = np.asarray(indices)
        if indices.size == 0:
            raise ValueError(f"{name}: no rows")
        outside = [int(i) for i in indices if i < 0 or i > n - 1]
        if outside:
            raise ValueError(f"{name}: {outside[0]} lies outside")
        for i in indices:
            for earlier, there in rows.items():
                if any(content[i] == content[j] or source[i] == source[j] for j in there):
                    leaks.append(f"{int(i)} in {name} and {earlier}")
                    break
        rows[name] = indices
    if leaks:
        raise ValueError(f"{len(leaks)} leak, first of all {leaks[0]}")
    return {name: (np.take(x, there, axis=0), np.take(y, there, axis=0)) for name, there in rows.items()}

# %% split: two dictionaries, and the last part that holds a row is named
def split(x, y, parts, origin=None):
    if len(x) != len(y):
        raise ValueError(f"{len(x)} != {len(y)}")
    origins, contents, leaks, result = {}, {}, [], {}
    for part in parts:
        indices = [int(i) for i in parts[part]]
        if indices == []:
            raise ValueError(f"an empty part: {part}")
        for i in indices:
            if i not in range(len(x)):
                raise ValueError(f"no row {i} for {part}")
            source = i if origin is None else int(origin[i])
            before = origins.get(source, []) + contents.get(x[i].tobytes(), [])
            if before:
                leaks.append((i, before[-1]))
        for i in indices:
            source = i if origin is None else int(origin[i])
            origins.setdefault(source, []).append(part)
            contents.setdefault(x[i].tobytes(), []).append(part)
        result[part] = x[indices], y[indices]
        if leaks and not isinstance(leaks[0], str):
            leaks[0] = f"row {leaks[0][0]} in {part} and in {leaks[0][1]}"
    if leaks:
        raise ValueError(f"{leaks[0]}, and {len(leaks)} in all")
    return result

# %% check: one loop after the other, with a set of texts
def check(submission, most=MOST_ARRAY_BYTES):
    allowed, total = {"<f4", "<f2", "|i1", "|u1", "<i4"}, 0
    for name, array in submission.arrays.items():
        if type(array) is not np.ndarray:
            raise ValueError(f"{name} is a {type(array).__name__}")
        if array.dtype.str not in allowed:
            raise ValueError(f"{name} has dtype {array.dtype}")
    for array in submission.arrays.values():
        total += array.size * array.itemsize
    if total > most:
        raise ValueError(f"{total} > {most}")
    for name, array in submission.arrays.items():
        if array.dtype.str.endswith(("f4", "f2")) and (np.isnan(array) | np.isinf(array)).any():
            raise ValueError(f"nan or infinity in {name}")
    return total

# %% check: sums that are not finite
def check(submission, most=MOST_ARRAY_BYTES):
    arrays = submission.arrays
    odd = {name: array for name, array in arrays.items() if not known(array)}
    for name, array in odd.items():
        raise ValueError(f"{name}: {getattr(array, 'dtype', '')} {type(array).__name__}")
    total = int(sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays.values()))
    if most < total:
        raise ValueError(f"too large: {total:,} of {most:,} bytes")
    for name, array in arrays.items():
        if not np.isfinite(np.abs(array.astype(np.float64)).sum()):
            raise ValueError(f"{name} is not finite")
    return total


def known(array):
    return isinstance(array, np.ndarray) and any(
        array.dtype == dtype for dtype in (np.float32, np.float16, np.int8, np.uint8, np.int32)
    )

# %% check: questions in a table
def check(submission, most=MOST_ARRAY_BYTES):
    dtypes = list(map(np.dtype, ["f4", "f2", "i1", "u1", "i4"]))
    for name in submission.arrays:
        array = submission.arrays[name]
        if not isinstance(array, np.ndarray):
            raise ValueError(f"the entry {name} is no array but {type(array)}")
        if array.dtype not in dtypes:
            raise ValueError(f"the entry {name} of dtype {array.dtype}")
    sizes = {name: array.nbytes for name, array in submission.arrays.items()}
    if sum(sizes.values()) > most:
        raise ValueError(f"{sum(sizes.values())} bytes, and {most} fit")
    bad = [name for name, array in submission.arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise ValueError(f"not finite: {bad}")
    return sum(sizes.values())

# %% build: all numbers first, then the layers
def build(submission):
    check(submission)
    arrays, numbers = submission.arrays, {}
    for entry, array in arrays.items():
        if array.dtype == np.int8:
            if entry + ".scale" not in arrays:
                raise ValueError(f"{entry} has no scales")
            array = dequantize(array, arrays[entry + ".scale"])
        numbers[entry] = np.asarray(array, np.float32)
    layers = []
    for said in submission.manifest.get("layers", []):
        start = said["name"] + "."
        own = {entry[len(start) :]: numbers.pop(entry) for entry in list(numbers) if entry[: len(start)] == start}
        for entry in [entry for entry in own if arrays[start + entry].dtype == np.int8]:
            del own[entry + ".scale"]
        layers.append(make_layer(said, own))
    if not layers:
        raise ValueError("no layers")
    if numbers:
        raise ValueError(f"not read: {list(numbers)}")
    model = layers[0]
    if len(layers) > 1:
        model = Sequential(*layers)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.eval()
    return model

# %% build: entries by their layer
def build(submission):
    check(submission)
    if "layers" not in submission.manifest or len(submission.manifest["layers"]) == 0:
        raise ValueError("there are no layers in the manifest")
    states = {str(said["name"]): {} for said in submission.manifest["layers"]}
    for entry in submission.arrays:
        name, _, rest = entry.partition(".")
        if name not in states:
            raise ValueError(f"{entry} belongs to no layer")
        codes = submission.arrays.get(entry.removesuffix(".scale"))
        if not (rest.endswith(".scale") and codes is not None and codes.dtype == np.int8):
            states[name][rest] = in_float(submission.arrays, entry)
    layers = [make_layer(said, states[str(said["name"])]) for said in submission.manifest["layers"]]
    model = Sequential(*layers) if len(layers) != 1 else layers[0]
    model.requires_grad_(False)
    return model.eval()


def in_float(arrays, entry):
    array = arrays[entry]
    if array.dtype != np.int8:
        return array.astype(np.float32)
    if f"{entry}.scale" in arrays:
        return array.astype(np.float32) * arrays[f"{entry}.scale"].astype(np.float32)
    raise ValueError(f"codes without scales: {entry}")

# %% build: a copy of the dictionary that gets empty
def build(submission):
    check(submission)
    left, layers = dict(submission.arrays), []
    coded = [entry for entry in left if left[entry].dtype == np.int8]
    scales = {entry: left[f"{entry}.scale"] for entry in coded if f"{entry}.scale" in left}
    for entry, array in left.items():
        if array.dtype == np.int8 and entry not in scales:
            raise ValueError(f"where are the scales of {entry}?")
    for said in submission.manifest.get("layers") or []:
        state = {}
        for entry in [entry for entry in left if entry.startswith(said["name"] + ".")]:
            array = left.pop(entry)
            if any(array is one for one in scales.values()):
                continue
            if array.dtype == np.int8:
                array = dequantize(array, scales[entry])
            state[entry[len(said["name"]) + 1 :]] = array.astype(np.float32)
        layers.append(make_layer(said, state))
    if not layers:
        raise ValueError("a manifest describes its layers")
    for entry in left:
        raise ValueError(f"nobody reads {entry}")
    if len(layers) == 1:
        return layers[0].requires_grad_(False).eval()
    return Sequential(*layers).requires_grad_(False).eval()

# %% search: two loops, and a dictionary by configuration
def search(evaluate, space, draws, seeds, generator):
    names = list(space)
    every = [dict(zip(names, values, strict=True)) for values in itertools.product(*space.values())] if names else []
    if draws < 1 or draws > len(every):
        raise ValueError(f"there are {len(every)} configurations, not {draws}")
    if seeds <= 0:
        raise ValueError(f"at least one seed, not {seeds}")
    drawn = [int(seed) for seed in generator.integers(2**31, size=seeds)]
    number = 0
    for place in generator.permutation(len(every))[:draws]:
        for seed in drawn:
            try:
                trial = Trial(number, every[place], seed, {**evaluate({**every[place]}, seed)})
            except Exception as error:
                trial = Trial(number, every[place], seed, {}, type(error).__name__ + ": " + str(error))
            yield trial
            number += 1


def chosen(record, floor):
    groups = {}
    for trial in record:
        groups.setdefault(repr(sorted(trial.configuration.items())), []).append(trial)
    best = None
    for own in groups.values():
        if "" != "".join(trial.error for trial in own):
            continue
        accuracy = np.mean([trial.scores["accuracy"] for trial in own])
        cost = np.mean([trial.scores["cost"] for trial in own])
        if not (np.isfinite(accuracy) and np.isfinite(cost) and accuracy >= floor):
            continue
        if best is None or (cost, -accuracy) < best[0]:
            best = (cost, -accuracy), own[0].configuration
    if best is None:
        raise ValueError(f"no configuration has an accuracy of {floor}")
    return best[1]

# %% search: configurations by their number, and min
def search(evaluate, space, draws, seeds, generator):
    sizes = [len(values) for values in space.values()]
    count = math.prod(sizes) if sizes else 0
    if not 0 < draws <= count:
        raise ValueError(f"{draws} draws from {count}")
    if not seeds > 0:
        raise ValueError(f"seeds: {seeds}")
    drawn = generator.integers(2**31, size=seeds)
    order, number = generator.permutation(count), 0
    for place in order[:draws].tolist():
        picked = np.unravel_index(place, sizes)
        configuration = {name: space[name][i] for name, i in zip(space, picked, strict=True)}
        for seed in map(int, drawn):
            error = ""
            try:
                scores = evaluate(configuration.copy(), seed).copy()
            except Exception as problem:
                scores, error = {}, f"{problem.__class__.__name__}: {problem!s}"
            yield Trial(number, configuration, seed, scores, error)
            number += 1


def chosen(record, floor):
    means = []
    for place, trial in enumerate(record):
        own = [other for other in record if other.configuration == trial.configuration]
        if all(other.error == "" for other in own):
            accuracy = math.fsum(other.scores["accuracy"] for other in own) / len(own)
            cost = math.fsum(other.scores["cost"] for other in own) / len(own)
            if floor <= accuracy < math.inf and -math.inf < cost < math.inf:
                means.append((cost, -accuracy, place))
    if len(means) == 0:
        raise ValueError(f"nothing with {floor} or more")
    return record[min(means)[2]].configuration

# %% search: a helper for one run
def run_once(evaluate, configuration, seed):
    try:
        return dict(evaluate(dict(configuration), seed)), ""
    except Exception as problem:
        return {}, f"{type(problem).__name__}: {problem}"


def search(evaluate, space, draws, seeds, generator):
    every = [()] if space else []
    for values in space.values():
        every = [(*one, value) for one in every for value in values]
    for given, most in ((draws, len(every)), (seeds, math.inf)):
        if not 1 <= given <= most:
            raise ValueError(f"search: {given} of {most}")
    drawn, order = generator.integers(2**31, size=seeds).tolist(), generator.permutation(len(every))
    for i, place in enumerate(order[:draws]):
        configuration = dict(zip(space, every[place], strict=True))
        for j, seed in enumerate(drawn):
            yield Trial(i * seeds + j, configuration, seed, *run_once(evaluate, configuration, seed))


def chosen(record, floor):
    waiting, best = list(record), []
    while waiting:
        own = [trial for trial in waiting if trial.configuration == waiting[0].configuration]
        waiting = [trial for trial in waiting if trial.configuration != own[0].configuration]
        table = np.array([[trial.scores.get(name, np.nan) for name in ("cost", "accuracy")] for trial in own])
        cost, accuracy = table.mean(axis=0)
        if np.isfinite(table).all() and accuracy >= floor:
            best.append((cost, -accuracy, len(best), own[0].configuration))
    if best:
        return min(best)[3]
    raise ValueError(f"the floor {floor} is too high")

# %% choose_epoch: columns in Python
def choose_epoch(curves):
    curves = np.array(curves, dtype=float)
    if curves.ndim != 2 or curves.shape[0] == 1 or curves.size == 0:
        raise ValueError(f"curves of shape {curves.shape}")
    columns = {i: column for i, column in enumerate(curves.T.tolist()) if all(map(math.isfinite, column))}
    if not columns:
        raise ValueError("nothing is finite")
    means = {i: sum(column) / len(column) for i, column in columns.items()}
    best = min(means, key=lambda i: (means[i], i))
    n = len(curves)
    variance = sum((value - means[best]) ** 2 for value in columns[best]) / (n - 1)
    return next(i for i in sorted(means) if means[i] <= means[best] + math.sqrt(variance / n))

# %% choose_epoch: argmax of a comparison
def choose_epoch(curves):
    table = np.stack([np.asarray(curve, np.float64) for curve in curves]) if np.ndim(curves) == 2 else np.asarray(curves)
    if table.ndim < 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(f"two axes, two seeds and an epoch, not {table.shape}")
    known = np.isfinite(table).all(axis=0)
    if known.sum() == 0:
        raise ValueError("no finite epoch")
    mean = np.full(table.shape[1], np.inf)
    mean[known] = table[:, known].mean(axis=0)
    lowest = int(np.argmin(mean))
    limit = mean[lowest] + np.std(table[:, lowest], ddof=1) * len(table) ** -0.5
    return int(np.argmax(mean <= limit))

# %% choose_epoch: NumPy's variance
def choose_epoch(curves):
    curves = np.asarray(curves, float)
    if len(curves.shape) != 2 or min(curves.shape[0] - 1, curves.shape[1]) < 1:
        raise ValueError(f"shape {curves.shape}")
    places = [i for i in range(curves.shape[1]) if np.isfinite(curves[:, i]).all()]
    if len(places) == 0:
        raise ValueError("every epoch holds something that is not finite")
    mean = curves[:, places].mean(axis=0)
    best = curves[:, places[mean.argmin()]]
    close = mean <= mean.min() + np.sqrt(best.var(ddof=1) / best.size)
    return places[np.nonzero(close)[0][0]]
