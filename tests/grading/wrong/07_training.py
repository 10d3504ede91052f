# %% RunningMean: the mean of the means, weights ignored
- self.total += float(value) * weight
- self.weight += weight
+ self.total += float(value)
+ self.weight += 1

# %% RunningMean: an empty batch's nan spoils everything
- if weight:
-     self.total += float(value) * weight
-     self.weight += weight
+ self.total += float(value) * weight
+ self.weight += weight

# %% RunningMean: 0 where nothing has come
- """The mean as a float; nan as long as nothing has come."""
- return self.total / self.weight if self.weight else math.nan
+ return self.total / max(self.weight, 1)

# %% RunningMean: keeps Tensors and NumPy scalars, with their rounding
- self.total += float(value) * weight
+ self.total = self.total + value * weight

# %% RunningMean: every nan is left out, so that a broken loss looks healthy
- if weight:
-     self.total += float(value) * weight
+ value = float(value)
+ if value == value:
+     self.total += value * weight

# %% confusion_matrix: a place that occurs twice counts once
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"{logits.shape} and {targets.shape}")
    for target in targets:
        if not 0 <= target < logits.shape[1]:
            raise IndexError(f"target {target}")
    matrix = np.zeros((logits.shape[1], logits.shape[1]), np.int64)
    matrix[targets, logits.argmax(axis=1)] += 1
    return matrix

# %% confusion_matrix: rows and columns exchanged
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"{logits.shape} and {targets.shape}")
    for target in targets:
        if not 0 <= target < logits.shape[1]:
            raise IndexError(f"target {target}")
    matrix = np.zeros((logits.shape[1], logits.shape[1]), np.int64)
    np.add.at(matrix, (logits.argmax(axis=1), targets), 1)
    return matrix

# %% confusion_matrix: -1 counts as the last class
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"{logits.shape} and {targets.shape}")
    for target in targets:
        if target >= logits.shape[1]:
            raise IndexError(f"target {target}")
    matrix = np.zeros((logits.shape[1], logits.shape[1]), np.int64)
    np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
    return matrix

# %% confusion_matrix: as many classes as the targets show
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"{logits.shape} and {targets.shape}")
    for target in targets:
        if not 0 <= target < logits.shape[1]:
            raise IndexError(f"target {target}")
    guesses = logits.argmax(axis=1)
    classes = 1 + int(max([*targets, *guesses], default=0))
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (targets, guesses), 1)
    return matrix

# %% confusion_matrix: shares instead of counts
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"{logits.shape} and {targets.shape}")
    for target in targets:
        if not 0 <= target < logits.shape[1]:
            raise IndexError(f"target {target}")
    matrix = np.zeros((logits.shape[1], logits.shape[1]))
    np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
    return matrix / max(len(targets), 1)

# %% confusion_matrix: shapes that do not fit are not noticed
def confusion_matrix(logits, targets):
    logits, targets = np.asarray(logits), np.asarray(targets)
    for target in targets.ravel():
        if not 0 <= target < logits.shape[-1]:
            raise IndexError(f"target {target}")
    matrix = np.zeros((logits.shape[-1], logits.shape[-1]), np.int64)
    for target, guess in zip(targets.ravel(), np.atleast_1d(logits.argmax(axis=-1))):
        matrix[target, guess] += 1
    return matrix

# %% training_step: gradients are never cleared
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return value.item(), outputs.detach()

# %% training_step: cleared at the end, so that an old gradient counts once and the new one cannot be looked at
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    model.zero_grad()
    return value.item(), outputs.detach()

# %% training_step: cleared between backward and update, so that nothing is learned
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    model.zero_grad()
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return value.item(), outputs.detach()

# %% training_step: clipped after the update
  check_finite(model, value)
+ optimizer.step()

- optimizer.step()

# %% training_step: checked after the update, when it is too late
- check_finite(model, value)

  optimizer.step()
+ check_finite(model, value)

# %% training_step: not checked at all
- check_finite(model, value)

# %% training_step: every gradient clipped on its own
- clip_grad_norm_(model.parameters(), clip_norm)
+ for parameter in model.parameters():
+     clip_grad_norm_(parameter, clip_norm)

# %% training_step: only the gradients that the optimizer knows are cleared
def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    optimizer.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return value.item(), outputs.detach()

# %% training_step: the loss after the update
- return value.item(), outputs.detach()
+ return loss(model(inputs), targets).item(), outputs.detach()

# %% training_step: hands out Tensors with their history
- return value.item(), outputs.detach()
+ return value, outputs

# %% training_step: always clipped, to a norm of 1
def training_step(model, loss, optimizer, inputs, targets, clip_norm=1.0):
    model.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    clip_grad_norm_(model.parameters(), clip_norm or 1.0)
    optimizer.step()
    return value.item(), outputs.detach()

# %% evaluate: the plain mean of the batches
- means["loss"].update(loss(outputs, targets), len(inputs))
+ means["loss"].update(loss(outputs, targets))

- means[name].update(metric(outputs, targets), len(inputs))
+ means[name].update(metric(outputs, targets))

# %% evaluate: in training mode, dropout and all
def evaluate(model, loss, loader, metrics=None):
    metrics = metrics or {}
    means = {name: RunningMean() for name in ("loss", *metrics)}
    with no_grad():
        for inputs, targets in batches(loader):
            outputs = model(inputs)
            means["loss"].update(loss(outputs, targets), len(inputs))
            for name, metric in metrics.items():
                means[name].update(metric(outputs, targets), len(inputs))
    return {name: mean.compute() for name, mean in means.items()}

# %% evaluate: everything is recorded
- with no_grad():
-     for inputs, targets in batches(loader):
-         outputs = model(inputs)
-         means["loss"].update(loss(outputs, targets), len(inputs))
-         for name, metric in metrics.items():
-             means[name].update(metric(outputs, targets), len(inputs))
+ for inputs, targets in batches(loader):
+     outputs = model(inputs)
+     means["loss"].update(loss(outputs, targets), len(inputs))
+     for name, metric in metrics.items():
+         means[name].update(metric(outputs, targets), len(inputs))

# %% evaluate: everything thawed at the end
- modes = [(module, module.training) for module in model.modules()]

- for module, mode in modes:
-     module.training = mode
+ model.train()

# %% evaluate: the whole model gets the mode of its outermost module
- modes = [(module, module.training) for module in model.modules()]
+ mode = model.training

- for module, mode in modes:
-     module.training = mode
+ model.train(mode)

# %% evaluate: the modes are lost when the loader fails
def evaluate(model, loss, loader, metrics=None):
    metrics = metrics or {}
    means = {name: RunningMean() for name in ("loss", *metrics)}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with no_grad():
        for inputs, targets in batches(loader):
            outputs = model(inputs)
            means["loss"].update(loss(outputs, targets), len(inputs))
            for name, metric in metrics.items():
                means[name].update(metric(outputs, targets), len(inputs))
    for module, mode in modes:
        module.training = mode
    return {name: mean.compute() for name, mean in means.items()}

# %% evaluate: only the last batch
- means = {name: RunningMean() for name in ("loss", *metrics)}

  model.eval()
+ found = {name: math.nan for name in ("loss", *metrics)}

- means["loss"].update(loss(outputs, targets), len(inputs))
+ found["loss"] = loss(outputs, targets).item()

- means[name].update(metric(outputs, targets), len(inputs))
+ found[name] = float(metric(outputs, targets))

- return {name: mean.compute() for name, mean in means.items()}
+ return found

# %% evaluate: only the outermost module is switched over
- modes = [(module, module.training) for module in model.modules()]
- model.eval()
+ mode, model.training = model.training, False

- for module, mode in modes:
-     module.training = mode
+ model.training = mode

# %% collect_state: the history is the trainer's own dictionary
def collect_state(trainer):
    return {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule and trainer.schedule.state_dict(),
        "random": Random.generator.bit_generator.state,
        "position": copy.deepcopy(trainer.position),
        "history": trainer.history,
    }

# %% collect_state: history and position copied at the surface only
def collect_state(trainer):
    return {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule and trainer.schedule.state_dict(),
        "random": Random.generator.bit_generator.state,
        "position": dict(trainer.position),
        "history": dict(trainer.history),
    }

# %% collect_state: the weights themselves instead of a copy
def collect_state(trainer):
    return {
        "model": {name: parameter.data for name, parameter in trainer.model.named_parameters()},
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule and trainer.schedule.state_dict(),
        "random": Random.generator.bit_generator.state,
        "position": copy.deepcopy(trainer.position),
        "history": copy.deepcopy(trainer.history),
    }

# %% collect_state: no random numbers
- "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
- "random": Random.generator.bit_generator.state,
+ "schedule": trainer.schedule and trainer.schedule.state_dict(),

# %% collect_state: the state of a new generator
- "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
- "random": Random.generator.bit_generator.state,
+ "schedule": trainer.schedule and trainer.schedule.state_dict(),
+ "random": np.random.default_rng(0).bit_generator.state,

# %% collect_state: the optimizer's settings without its memory
- "optimizer": trainer.optimizer.state_dict(),
- "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
+ "optimizer": {"state": {}, "param_groups": trainer.optimizer.state_dict()["param_groups"]},
+ "schedule": None,

# %% collect_state: fails without a schedule
- "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
+ "schedule": trainer.schedule.state_dict(),

# %% restore_state: the weights only
def restore_state(trainer, state):
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError("schedule")
    trainer.model.load_state_dict(state["model"])

# %% restore_state: the optimizer's memory is forgotten
def restore_state(trainer, state):
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError("schedule")
    trainer.model.load_state_dict(state["model"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = copy.deepcopy((state["position"], state["history"]))

# %% restore_state: the schedule is forgotten
def restore_state(trainer, state):
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError("schedule")
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = copy.deepcopy((state["position"], state["history"]))

# %% restore_state: the random numbers are forgotten
def restore_state(trainer, state):
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError("schedule")
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    trainer.position, trainer.history = copy.deepcopy((state["position"], state["history"]))

# %% restore_state: a new generator, while others hold the old one
-     raise ValueError(f"the trainer's schedule is {trainer.schedule}, the state's is {state['schedule']}")
- state = copy.deepcopy(state)
+     raise ValueError("schedule")

- Random.generator.bit_generator.state = state["random"]
- trainer.position, trainer.history = state["position"], state["history"]
+ manual_seed(0).bit_generator.state = state["random"]
+ trainer.position, trainer.history = copy.deepcopy((state["position"], state["history"]))

# %% restore_state: the state's own dictionaries end up in the trainer
-     raise ValueError(f"the trainer's schedule is {trainer.schedule}, the state's is {state['schedule']}")
- state = copy.deepcopy(state)
+     raise ValueError("schedule")

# %% restore_state: a schedule on one side only is not noticed
def restore_state(trainer, state):
    state = copy.deepcopy(state)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.schedule is not None and state["schedule"] is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = state["position"], state["history"]

# %% restore_state: the schedule is looked at when half is restored
def restore_state(trainer, state):
    state = copy.deepcopy(state)
    trainer.model.load_state_dict(state["model"])
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError("schedule")
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = state["position"], state["history"]

# %% RunningMean: drops every value that is not a number, and hides a loss that has diverged
class RunningMean:
    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        if not math.isnan(float(value)):
            self.total += float(value) * weight
            self.weight += weight

    def compute(self):
        return self.total / self.weight if self.weight else math.nan

# %% confusion_matrix: bincount in the targets' own dtype, which overflows
- matrix = np.zeros((classes, classes), np.int64)
- np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
- return matrix
+ cells = targets * targets.dtype.type(classes) + logits.argmax(axis=1).astype(targets.dtype)
+ return np.bincount(cells, minlength=classes**2)[: classes**2].reshape(classes, classes).astype(np.int64)
