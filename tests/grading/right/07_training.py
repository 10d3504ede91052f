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
