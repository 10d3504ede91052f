# %% order_steps: takes what shrinks most, as long as it fits
def order_steps(steps, seconds, wrong):
    names = [step.name for step in steps]
    for name in names + [name for step in steps for name in step.after]:
        if names.count(name) != 1:
            raise ValueError(name)
    if min(seconds, wrong) < 0:
        raise ValueError(f"{min(seconds, wrong)}")
    plan, size = [], 1
    for step in sorted(steps, key=lambda step: step.factor):
        if step.factor < 1 and step.seconds * size <= seconds and step.wrong <= wrong:
            seconds, wrong, size = seconds - step.seconds * size, wrong - step.wrong, size * step.factor
            plan.append(step.name)
    return plan

# %% order_steps: the size is changed before the time is counted
- time, size = time + step.seconds * size, size * step.factor
+ size = size * step.factor
+ time = time + step.seconds * size

# %% order_steps: what stands in after does not matter
- closed.update(step.after)

# %% order_steps: a step wants those of its after to be there
def order_steps(steps, seconds, wrong):
    names = [step.name for step in steps]
    for name in names + [name for step in steps for name in step.after]:
        if names.count(name) != 1:
            raise ValueError(name)
    if min(seconds, wrong) < 0:
        raise ValueError(f"{min(seconds, wrong)}")
    best, plan = (math.inf,), []
    for count in range(len(steps) + 1):
        for order in itertools.permutations(steps, count):
            size, time, seen, fits = 1, 0, set(), sum(step.wrong for step in order) <= wrong
            for step in order:
                fits = fits and seen >= set(step.after)
                seen.add(step.name)
                time, size = time + step.seconds * size, size * step.factor
            if fits and time <= seconds and (size, time) < best:
                best, plan = (size, time), [step.name for step in order]
    return plan

# %% order_steps: wrong images are no budget
- size, time, closed, fits = 1, 0, set(), sum(step.wrong for step in order) <= wrong
+ size, time, closed, fits = 1, 0, set(), True

# %% order_steps: all steps are taken, or none
- for count in range(len(steps) + 1):
+ for count in (0, len(steps)):

# %% order_steps: the fewest seconds count first
- best, plan = (math.inf,), []
+ best, plan = (math.inf, math.inf, math.inf), []

- if fits and time <= seconds and (size, time) < best:
-     best, plan = (size, time), [step.name for step in order]
+ if fits and time <= seconds and (-len(order), time, size) < best:
+     best, plan = (-len(order), time, size), [step.name for step in order]

# %% order_steps: the size alone decides
- if fits and time <= seconds and (size, time) < best:
-     best, plan = (size, time), [step.name for step in order]
+ if fits and time <= seconds and (size,) < best:
+     best, plan = (size,), [step.name for step in order]

# %% order_steps: gives the steps and not their names
- best, plan = (size, time), [step.name for step in order]
+ best, plan = (size, time), list(order)

# %% order_steps: nothing
def order_steps(steps, seconds, wrong):
    return []

# %% split: no look at leaks
def split(x, y, parts, origin=None):
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)}")
    for name, indices in parts.items():
        if len(indices) == 0:
            raise ValueError(f"{name} is empty")
        for i in indices:
            if not 0 <= i < len(x):
                raise ValueError(f"{i} in {name}")
    return {name: (x[np.asarray(indices)], y[np.asarray(indices)]) for name, indices in parts.items()}

# %% split: indices alone
- for holder in {first.setdefault(key, name) for key in keys} - {name}:
+ for holder in {first.setdefault(int(i), name)} - {name}:

# %% split: indices and identical rows, not origins
- keys = i if origin is None else origin[i], x[i].tobytes()
+ keys = i, x[i].tobytes()

# %% split: origins, but not identical rows
- for holder in {first.setdefault(key, name) for key in keys} - {name}:
+ for holder in {first.setdefault(keys[0], name)} - {name}:

# %% split: every reason counts
- for holder in {first.setdefault(key, name) for key in keys} - {name}:
-     leaks[name, place] = f"row {i} of {name!r} is in {holder!r}"
+ for key in keys:
+     if first.setdefault(key, name) != name:
+         leaks[name, place, key] = f"row {i} of {name!r} is in {first[key]!r}"

# %% split: a row that comes twice in one part leaks
- for holder in {first.setdefault(key, name) for key in keys} - {name}:
-     leaks[name, place] = f"row {i} of {name!r} is in {holder!r}"
+ for key in keys:
+     if key in first:
+         leaks[name, place] = f"row {i} of {name!r} is in {first[key]!r}"
+     first[key] = name

# %% split: the leaking rows are dropped
- if leaks:
-     raise ValueError(f"split: {len(leaks)} rows leak; first of all {next(iter(leaks.values()))}")
- return {name: (x[list(indices)], y[list(indices)]) for name, indices in parts.items()}
+ kept = {name: [i for k, i in enumerate(indices) if (name, k) not in leaks] for name, indices in parts.items()}
+ return {name: (x[np.asarray(indices)], y[np.asarray(indices)]) for name, indices in kept.items()}

# %% split: stops at the first leak and counts one
- leaks[name, place] = f"row {i} of {name!r} is in {holder!r}"
+ leaks.setdefault("first", f"row {i} of {name!r} is in {holder!r}")

# %% split: looks into the first part only
- for holder in {first.setdefault(key, name) for key in keys} - {name}:
+ start = next(iter(parts))
+ first.update({key: name for key in keys if name == start})
+ for holder in {first.get(key, name) for key in keys} - {name}:

# %% split: an index counts from the end
- if not 0 <= i < len(x):
+ if not -len(x) <= i < len(x):

# %% split: rows in ascending order
- return {name: (x[list(indices)], y[list(indices)]) for name, indices in parts.items()}
+ return {name: (x[np.sort(indices)], y[np.sort(indices)]) for name, indices in parts.items()}

# %% split: a part may be empty
- if len(indices) == 0:
-     raise ValueError(f"split: part {name!r} has no rows")
+ if len(indices) == 0:
+     continue

# %% check: everything is fine
def check(submission, most=MOST_ARRAY_BYTES):
    return sum(np.asarray(array).nbytes for array in submission.arrays.values())

# %% check: returns the number of entries
- return total
+ return len(submission.arrays)

# %% check: counts numbers and not bytes
- total = sum(array.nbytes for array in submission.arrays.values())
+ total = sum(array.size for array in submission.arrays.values())

# %% check: each array for itself may have so many bytes
- if total > most:
+ if max((array.nbytes for array in submission.arrays.values()), default=0) > most:

# %% check: refuses objects alone
- if kind not in DTYPES:
+ if not isinstance(kind, np.dtype) or kind.hasobject:

# %% check: takes every float
- if kind not in DTYPES:
+ if not isinstance(kind, np.dtype) or kind.kind != "f" and kind not in DTYPES:

# %% check: the byte order does not matter
- if kind not in DTYPES:
+ if getattr(kind, "name", kind) not in [known.__name__ for known in DTYPES]:

# %% check: looks for nan alone
- if array.dtype.kind == "f" and not np.isfinite(array).all():
+ if array.dtype.kind == "f" and np.isnan(array).any():

# %% check: looks at the entries before it knows the sizes
def check(submission, most=MOST_ARRAY_BYTES):
    total = 0
    for name, array in submission.arrays.items():
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        if kind not in DTYPES:
            raise ValueError(f"check: entry {name!r} is of {kind}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"check: entry {name!r} holds what is not finite")
        total += array.nbytes
    if total > most:
        raise ValueError(f"check: {total} bytes of arrays; {most} are allowed")
    return total

# %% build: codes are taken for numbers
- numbers = dequantize(array, arrays[scale]) if array.dtype == np.int8 else array
+ numbers = array

# %% build: codes lose their scale at the way to float
- numbers = dequantize(array, arrays[scale]) if array.dtype == np.int8 else array
+ numbers = array / 127 if array.dtype == np.int8 else array

# %% build: one scale for all rows
- numbers = dequantize(array, arrays[scale]) if array.dtype == np.int8 else array
+ numbers = dequantize(array, arrays[scale].ravel()[0]) if array.dtype == np.int8 else array

# %% build: layer 1 takes the arrays of layer 10, too
- prefix, state = f"{said.get('name')}.", {}
+ prefix, state = f"{said.get('name')}", {}

- state[entry.removeprefix(prefix)] = numbers.astype(np.float32)
+ state[entry.rpartition(".")[2]] = numbers.astype(np.float32)

# %% build: what nobody reads is passed over
- for entry in arrays.keys() - read:
-     raise ValueError(f"build: no layer reads the entry {entry!r}")
+ read.update(arrays)

# %% build: all that is called a scale is passed over
- if entry not in scales:
+ if not entry.endswith(".scale"):

# %% build: without a check
- check(submission)

# %% build: a model in training mode
- return model.eval().requires_grad_(False)
+ return model.requires_grad_(False)

# %% build: parameters that want gradients
- return model.eval().requires_grad_(False)
+ return model.eval()

# %% build: one layer alone is wrapped
- model = layers[0] if len(layers) == 1 else Sequential(*layers)
+ model = Sequential(*layers)

# %% build: codes without scales count as 1
- if array.dtype == np.int8 and scale not in arrays:
-     raise ValueError(f"build: entry {entry!r} is codes, and there is no {scale!r}")
- if entry not in scales:
-     numbers = dequantize(array, arrays[scale]) if array.dtype == np.int8 else array
+ if entry not in scales:
+     numbers = dequantize(array, arrays.get(scale, 1)) if array.dtype == np.int8 else array

# %% build: no layers make an empty model
- if not described:
-     raise ValueError("build: the manifest describes no layers")
+ if not described:
+     return Sequential()

# %% build: layers in the order of their names
- for said in described:
+ for said in sorted(described, key=lambda said: said["name"]):

# %% search: stops at the first failure
- try:
-     scores, error = dict(evaluate(dict(every[place]), seed)), ""
- except Exception as problem:
-     scores, error = {}, f"{type(problem).__name__}: {problem}"
+ scores, error = dict(evaluate(dict(every[place]), seed)), ""

# %% search: failures are left out
- scores, error = {}, f"{type(problem).__name__}: {problem}"
+ continue

# %% search: an error without its kind
- scores, error = {}, f"{type(problem).__name__}: {problem}"
+ scores, error = {}, str(problem)

# %% search: a seed of its own for each run
- try:
-     scores, error = dict(evaluate(dict(every[place]), seed)), ""
+ seed = int(generator.integers(2**31))
+ try:
+     scores, error = dict(evaluate(dict(every[place]), seed)), ""

# %% search: runs everything before it hands out the first
def search(evaluate, space, draws, seeds, generator):
    combined = itertools.product(*space.values()) if space else []
    every = [dict(zip(space, values, strict=True)) for values in combined]
    if not 1 <= draws <= len(every):
        raise ValueError(f"search: {draws} draws, of {len(every)} configurations")
    if seeds < 1:
        raise ValueError(f"search: {seeds} seeds")
    drawn = generator.integers(2**31, size=seeds).tolist()
    record = []
    for place in generator.permutation(len(every))[:draws]:
        for seed in drawn:
            try:
                scores, error = dict(evaluate(dict(every[place]), seed)), ""
            except Exception as problem:
                scores, error = {}, f"{type(problem).__name__}: {problem}"
            record.append(Trial(len(record), every[place], seed, scores, error))
    return iter(record)

# %% search: the first configurations of the space, not drawn
- runs = itertools.product(generator.permutation(len(every))[:draws], drawn)
+ runs = itertools.product(range(draws), drawn)

# %% search: keeps the best trial alone
- yield Trial(number, every[place], seed, scores, error)
+ if scores and scores.get("accuracy", 1) == 1:
+     yield Trial(number, every[place], seed, scores, error)

# %% search: chooses a single trial
def search(evaluate, space, draws, seeds, generator):
    combined = itertools.product(*space.values()) if space else []
    every = [dict(zip(space, values, strict=True)) for values in combined]
    if not 1 <= draws <= len(every):
        raise ValueError(f"search: {draws} draws, of {len(every)} configurations")
    if seeds < 1:
        raise ValueError(f"search: {seeds} seeds")
    drawn = generator.integers(2**31, size=seeds).tolist()
    runs = itertools.product(generator.permutation(len(every))[:draws], drawn)
    for number, (place, seed) in enumerate(runs):
        try:
            scores, error = dict(evaluate(dict(every[place]), seed)), ""
        except Exception as problem:
            scores, error = {}, f"{type(problem).__name__}: {problem}"
        yield Trial(number, every[place], seed, scores, error)


def chosen(record, floor):
    fine = [trial for trial in record if trial.scores and trial.scores["accuracy"] >= floor]
    if not fine:
        raise ValueError(f"nothing reaches {floor}")
    return min(fine, key=lambda trial: (trial.scores["cost"], -trial.scores["accuracy"])).configuration

# %% search: chooses by accuracy
- if math.isfinite(accuracy + cost) and accuracy >= floor and (cost, -accuracy) < best:
-     best, choice = (cost, -accuracy), configuration
+ if math.isfinite(accuracy + cost) and accuracy >= floor and (-accuracy, cost) < best:
+     best, choice = (-accuracy, cost), configuration

# %% search: a failure among good trials does not count
- own = [trial for trial in record if trial.configuration == configuration]
- if any(trial.error for trial in own):
-     continue
+ own = [trial for trial in record if trial.configuration == configuration and not trial.error]
+ if not own:
+     continue

# %% search: chooses None where nothing reaches the floor
- if choice is None:
-     raise ValueError(f"chosen: none of {len(configurations)} configurations reaches {floor}")
+ configurations.clear()

# %% choose_epoch: the lowest mean
- return int(np.flatnonzero(mean <= mean[best] + error)[0])
+ return int(best)

# %% choose_epoch: the last epoch
- return int(np.flatnonzero(mean <= mean[best] + error)[0])
+ return curves.shape[1] - 1

# %% choose_epoch: the seeds' own lowest epochs, averaged
- return int(np.flatnonzero(mean <= mean[best] + error)[0])
+ return int(np.where(finite, curves, np.inf).argmin(axis=1).mean())

# %% choose_epoch: higher is better
- best = mean.argmin()
+ best = np.where(finite, mean, -1).argmax()

- return int(np.flatnonzero(mean <= mean[best] + error)[0])
+ return int(np.flatnonzero(finite & (mean >= mean[best] - error))[0])

# %% choose_epoch: epochs that are not finite are cut out, and the others counted anew
- curves = np.asarray(curves, float)
- if curves.ndim != 2 or len(curves) < 2 or curves.shape[1] == 0:
-     raise ValueError(f"choose_epoch: curves are (at least 2 seeds, epochs), not of shape {curves.shape}")
+ curves = np.asarray(curves, float)
+ if curves.ndim != 2 or len(curves) < 2 or curves.shape[1] == 0:
+     raise ValueError(f"choose_epoch: curves are (at least 2 seeds, epochs), not of shape {curves.shape}")
+ curves = curves[:, np.isfinite(curves).all(axis=0)]
+ if curves.shape[1] == 0:
+     raise ValueError("no epoch is finite")

# %% choose_epoch: the mean of the seeds that are finite
- mean = np.where(finite, curves, np.inf).mean(axis=0)
+ mean = np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.inf for column in curves.T])

# %% choose_epoch: an array of the place
- return int(np.flatnonzero(mean <= mean[best] + error)[0])
+ return np.flatnonzero(mean <= mean[best] + error)[:1]

# %% search: the dictionary of scores is not copied
def search(evaluate, space, draws, seeds, generator):
    combined = itertools.product(*space.values()) if space else []
    every = [dict(zip(space, values, strict=True)) for values in combined]
    if not 1 <= draws <= len(every):
        raise ValueError(f"{draws} of {len(every)}")
    if seeds < 1:
        raise ValueError(f"{seeds} seeds")
    drawn, number = generator.integers(2**31, size=seeds).tolist(), 0
    for place in generator.permutation(len(every))[:draws]:
        for seed in drawn:
            try:
                trial = Trial(number, every[place], seed, evaluate(dict(every[place]), seed))
            except Exception as problem:
                trial = Trial(number, every[place], seed, {}, f"{type(problem).__name__}: {problem}")
            yield trial
            number += 1
