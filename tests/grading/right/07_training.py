# %% RunningMean
class RunningMean:
    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        if weight == 0:
            return
        number = float(np.asarray(value))
        self.weight = self.weight + weight
        self.total = self.total + weight * number

    def compute(self):
        if self.weight == 0:
            return float("nan")
        return float(self.total / self.weight)

# %% confusion_matrix
def confusion_matrix(logits, targets):
    scores = Tensor(logits).numpy()
    truth = Tensor(targets).numpy()
    if scores.ndim != 2 or truth.ndim != 1 or len(truth) != len(scores):
        raise ValueError("shapes do not fit: " + str(scores.shape) + " and " + str(truth.shape))
    n = scores.shape[1]
    table = np.zeros(n * n, dtype=np.int64)
    for row, right in zip(scores, truth.tolist()):
        if right not in range(n):
            raise IndexError("no such class: " + str(right))
        table[right * n + int(np.argmax(row))] += 1
    return table.reshape(n, n)

# %% training_step
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    for p in model.parameters():
        p.grad = None
    prediction = model(inputs)
    error = loss(prediction, targets)
    error.backward()
    check_finite(model, error)
    if clip_norm:
        clip_grad_norm_(list(model.parameters()), max_norm=clip_norm)
    optimizer.step()
    return (float(error), Tensor.wrap(prediction.data))

# %% evaluate
def evaluate(model, loss, loader, metrics=None):
    functions = {"loss": loss}
    functions.update(metrics or {})
    sums = {key: RunningMean() for key in functions}
    were_training = {id(m) for m in model.modules() if m.training}
    try:
        model.eval()
        for x, y in batches(loader):
            with no_grad():
                prediction = model(x)
                for key, f in functions.items():
                    sums[key].update(f(prediction, y), x.shape[0])
    finally:
        for m in model.modules():
            m.training = id(m) in were_training
    return {key: sums[key].compute() for key in sums}

# %% collect_state
def collect_state(trainer):
    found = {}
    for part in ("model", "optimizer", "schedule"):
        thing = getattr(trainer, part)
        found[part] = thing if thing is None else copy.deepcopy(thing.state_dict())
    found["random"] = dict(Random.generator.bit_generator.state)
    for plain in ("position", "history"):
        found[plain] = copy.deepcopy(getattr(trainer, plain))
    return found

# %% restore_state
def restore_state(trainer, state):
    if (state["schedule"] is not None) is not (trainer.schedule is not None):
        raise ValueError("one side has a schedule and the other has none")
    for part in ("model", "optimizer", "schedule"):
        if state[part] is not None:
            getattr(trainer, part).load_state_dict(copy.deepcopy(state[part]))
    setattr(Random.generator.bit_generator, "state", state["random"])
    for plain in ("position", "history"):
        setattr(trainer, plain, copy.deepcopy(state[plain]))

# %% RunningMean: the mean itself is kept up to date
class RunningMean:
    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        if not weight > 0:
            return
        share = np.float64(value).item() * float(weight)
        self.total, self.weight = self.total + share, self.weight + weight

    def compute(self):
        try:
            return self.total / self.weight
        except ZeroDivisionError:
            return math.nan

# %% RunningMean: a helper that makes floats
def plain(value):
    return value.item() if hasattr(value, "item") else float(value)

class RunningMean:
    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        self.total += plain(value) * weight if weight != 0 else 0.0
        self.weight += weight

    def compute(self):
        return math.nan if self.weight == 0 else plain(self.total) / self.weight

# %% confusion_matrix: bincount in int64
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != (len(logits),):
        raise ValueError(f"logits {logits.shape}, targets {targets.shape}")
    count = logits.shape[1]
    truth = targets.astype(np.int64)
    strange = truth[(truth < 0) | (truth > count - 1)]
    if len(strange):
        raise IndexError(f"{strange[0]} is not among the {count} classes")
    cells = truth * count + np.argmax(logits, 1)
    return np.bincount(cells, minlength=count * count).reshape(count, count).astype(np.int64)

# %% confusion_matrix: a product of two one-hot tables
def one_hot(labels, classes):
    return (np.asarray(labels)[:, None] == np.arange(classes)).astype(np.int64)

def confusion_matrix(logits, targets):
    scores, labels = np.array(logits), np.array(targets)
    if np.ndim(scores) != 2 or np.ndim(labels) != 1 or scores.shape[0] != labels.size:
        raise ValueError(f"cannot count {list(scores.shape)} against {list(labels.shape)}")
    classes = scores.shape[-1]
    for label in labels.tolist():
        if not 0 <= label < classes:
            raise IndexError(f"class {label}? there are {classes}")
    return one_hot(labels, classes).T @ one_hot(scores.argmax(-1), classes)

# %% training_step: a helper for the gradients
def gradients_of(model, loss, inputs, targets):
    model.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    return value, outputs

def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    value, outputs = gradients_of(model, loss, inputs, targets)
    check_finite(model, value)
    if clip_norm is None:
        optimizer.step()
    else:
        clip_grad_norm_(model.parameters(), clip_norm, error_if_nonfinite=True)
        optimizer.step()
    return float(value.item()), outputs.detach()

# %% training_step: reads the loss before it goes on
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    for module in model.modules():
        for parameter in module.parameters():
            parameter.grad = None
    outputs = model(inputs)
    error = loss(outputs, targets)
    before, kept = error.item(), Tensor.wrap(outputs.numpy().copy())
    error.backward()
    check_finite(model, error)
    limit = math.inf if clip_norm is None else clip_norm
    if limit < math.inf:
        clip_grad_norm_([parameter for parameter in model.parameters()], limit)
    optimizer.step()
    return before, kept

# %% evaluate: a context manager keeps the modes
@contextlib.contextmanager
def in_use(model):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode

def evaluate(model, loss, loader, metrics=None):
    names = {"loss": loss} | (metrics or {})
    means = [RunningMean() for _ in names]
    with in_use(model), no_grad():
        for inputs, targets in batches(loader):
            outputs = model(inputs)
            for mean, function in zip(means, names.values()):
                mean.update(function(outputs, targets), len(inputs))
    return {name: mean.compute() for name, mean in zip(names, means)}

# %% evaluate: own sums instead of running means
def evaluate(model, loss, loader, metrics=None):
    functions = dict(metrics or {})
    functions = {"loss": loss, **functions}
    sums, rows = dict.fromkeys(functions, 0.0), 0
    flags = [module.training for module in model.modules()]
    try:
        model.eval()
        with no_grad():
            for inputs, targets in batches(loader):
                if len(inputs) == 0:
                    continue
                outputs = model(inputs)
                rows += len(inputs)
                for name in functions:
                    sums[name] += float(functions[name](outputs, targets)) * len(inputs)
    finally:
        for module, flag in zip(model.modules(), flags):
            module.training = flag
    return {name: total / rows if rows else math.nan for name, total in sums.items()}

# %% collect_state: each part by itself
def collect_state(trainer):
    schedule = trainer.schedule
    return dict(
        model=copy.deepcopy(trainer.model.state_dict()),
        optimizer=copy.deepcopy(trainer.optimizer.state_dict()),
        schedule=copy.deepcopy(schedule.state_dict()) if schedule is not None else None,
        random=copy.deepcopy(Random.generator.bit_generator.state),
        position=copy.deepcopy(trainer.position),
        history={name: list(values) for name, values in trainer.history.items()},
    )

# %% collect_state: a list of questions
def collect_state(trainer):
    def state_of(part):
        return part.state_dict() if part is not None else None

    names = ["model", "optimizer", "schedule"]
    state = {name: state_of(getattr(trainer, name)) for name in names}
    state["random"] = Random.generator.bit_generator.state
    state["position"], state["history"] = trainer.position, trainer.history
    return {name: copy.deepcopy(part) for name, part in state.items()}

# %% restore_state: copies each part when it is needed
def restore_state(trainer, state):
    has, had = trainer.schedule is not None, state["schedule"] is not None
    if has != had:
        raise ValueError(f"schedule: {'here' if has else 'not here'}, {'saved' if had else 'not saved'}")
    trainer.model.load_state_dict(copy.deepcopy(state["model"]))
    trainer.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
    if has:
        trainer.schedule.load_state_dict(copy.deepcopy(state["schedule"]))
    Random.generator.bit_generator.state = copy.deepcopy(state["random"])
    trainer.position = copy.deepcopy(state["position"])
    trainer.history = copy.deepcopy(state["history"])

# %% restore_state: clears and fills the dictionaries that are there
def refill(target, source):
    target.clear()
    target.update(copy.deepcopy(source))

def restore_state(trainer, state):
    saved = copy.deepcopy(state)
    both = [trainer.schedule, saved["schedule"]]
    if sum(one is None for one in both) == 1:
        raise ValueError("only one side has a schedule")
    trainer.model.load_state_dict(saved["model"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(saved["schedule"])
    trainer.optimizer.load_state_dict(saved["optimizer"])
    refill(trainer.history, saved["history"])
    refill(trainer.position, saved["position"])
    Random.generator.bit_generator.state = saved["random"]
