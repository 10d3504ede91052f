"""Training: The loop that trains any model: measured, stopped in time, saved whole and resumed bit for bit.

Exported from module 07_training by tito export. Edit the notebook of that module, not this file.
"""

import contextlib
import copy
import math
import signal
import threading

import numpy as np

from ..checkpoints import load_checkpoint, save_checkpoint
from ..progress import ProgressBar
from .autograd import no_grad
from .optimizers import clip_grad_norm_
from .tensor import Random, Tensor, manual_seed

__all__ = [
    "RunningMean", "confusion_matrix", "batches", "first_wrong", "check_finite", "training_step", "evaluate",
    "uninterrupted", "Callback", "Monitor", "EarlyStopping", "Checkpoint", "Trainer", "loader_state", "restore_loader",
    "collect_state", "restore_state",
]


class RunningMean:
    """The mean of values that arrive one after another, each with a weight, such as the size of its batch."""

    def __init__(self, total=0.0, weight=0):
        self.total = total
        self.weight = weight

    def update(self, value, weight=1):
        if weight:
            self.total += float(value) * weight
            self.weight += weight

    def compute(self):
        """The mean as a float; nan as long as nothing has come."""
        return self.total / self.weight if self.weight else math.nan


def confusion_matrix(logits, targets):
    """How often class i (row) was read as class j (column): logits (N, C), targets (N,) → int64 array (C, C).

    Raises ValueError naming both shapes where they do not fit, IndexError for a target that is no class.
    """
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(f"logits (N, C) go with targets (N,), not {logits.shape} with {targets.shape}")
    classes = logits.shape[1]
    for target in targets[(targets < 0) | (targets >= classes)]:
        raise IndexError(f"target {target} is none of the {classes} classes")
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
    return matrix


def batches(loader):
    """The pairs (inputs as a Tensor, targets) of a loader. Raises TypeError for what is no such pair."""
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else f"a {type(batch).__name__}"
            raise TypeError(f"a loader yields pairs (inputs, targets), and this one yielded {found}")
        inputs, targets = batch
        yield inputs if isinstance(inputs, Tensor) else Tensor(inputs), targets


def first_wrong(array):
    """Words for the first entry that is not finite, or None."""
    places = np.argwhere(~np.isfinite(array))
    return f"{array[tuple(places[0])]} at {tuple(map(int, places[0]))}" if len(places) else None


def check_finite(model, loss):
    """Raise FloatingPointError unless the loss and all gradients are finite.

    It names the first parameter that is not finite or, if all are, the first gradient.
    """
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if np.isfinite(loss.data).all() and all(np.isfinite(grad).all() for grad in gradients):
        return
    culprit = "all parameters and gradients are finite, so the loss itself goes wrong"
    for what in ("gradient", "parameter"):
        for name, parameter in reversed(list(model.named_parameters())):
            array = parameter.data if what == "parameter" else parameter.grad
            wrong = None if array is None else first_wrong(array)
            culprit = f"the first {what} that is not finite is {name}, {wrong}" if wrong else culprit
    raise FloatingPointError(f"the loss is {loss.data}, and {culprit}; nothing was updated")


def training_step(model, loss, optimizer, inputs, targets, clip_norm=None):
    """One update of the model on one batch. Returns the loss before it (float) and the outputs, detached.

    clip_norm: the largest norm that all gradients together may have. Raises FloatingPointError, and updates
    nothing, where the loss or a gradient is not finite.
    """
    model.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    check_finite(model, value)
    if clip_norm is not None:
        clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return value.item(), outputs.detach()


def evaluate(model, loss, loader, metrics=None):
    """{"loss": …, name of a metric: …}: means over all rows of the loader, in evaluation mode, nothing
    recorded.

    metrics: {name: function(outputs, targets) → the batch's mean}. Every module gets its mode back. nan
    without rows.
    """
    metrics = metrics or {}
    means = {name: RunningMean() for name in ("loss", *metrics)}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for inputs, targets in batches(loader):
                outputs = model(inputs)
                means["loss"].update(loss(outputs, targets), len(inputs))
                for name, metric in metrics.items():
                    means[name].update(metric(outputs, targets), len(inputs))
    finally:
        for module, mode in modes:
            module.training = mode
    return {name: mean.compute() for name, mean in means.items()}


@contextlib.contextmanager
def uninterrupted():
    """Inside the block Ctrl-C waits: KeyboardInterrupt is raised at its end. Only the main thread gets it at
    all."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    received = []
    signal.signal(signal.SIGINT, lambda *what: received.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received:
        handler(*received[0])


class Callback:
    """Something that a Trainer calls on its way. A subclass defines the methods that it needs."""

    def on_fit_start(self, trainer):
        pass

    def on_epoch_start(self, trainer):
        pass

    def on_batch_end(self, trainer):
        pass

    def on_epoch_end(self, trainer):
        """The history has the epoch already."""

    def on_fit_end(self, trainer):
        """Comes also after Ctrl-C and after an error."""

    def state_dict(self):
        """What a resumed run has to know, in numbers, texts, lists and dictionaries."""
        return {}

    def load_state_dict(self, state):
        pass


class Monitor(Callback):
    """A callback that watches one number of the history, which gets better by falling ("min") or rising
    ("max").

    Without a `mode`, a loss falls and an accuracy rises.
    """

    def __init__(self, monitor, mode=None, min_delta=0.0):
        if mode is None:
            mode = "min" if "loss" in monitor else "max" if "accuracy" in monitor else None
        if mode not in ("min", "max"):
            raise ValueError(
                f"is {monitor!r} better when it falls or when it rises? Pass mode='min' or mode='max'"
            )
        self.monitor, self.mode, self.min_delta = monitor, mode, min_delta
        self.best = None

    def improved(self, trainer):
        """Whether the last epoch was better than the best so far, by more than min_delta; then it is the
        best."""
        if self.monitor not in trainer.history:
            wanted, there = f"{type(self).__name__} watches {self.monitor!r}", ", ".join(trainer.history)
            raise ValueError(f"{wanted}, and the history has {there}. Was validation passed to fit?")
        value = trainer.history[self.monitor][-1]
        if value is None or math.isnan(value):
            return False
        if (
            self.best is not None
            and (self.best - value if self.mode == "min" else value - self.best) <= self.min_delta
        ):
            return False
        self.best = value
        return True

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        vars(self).update(state)


class EarlyStopping(Monitor):
    """Ends the run when `monitor` has not improved for `patience` epochs."""

    def __init__(self, patience, monitor="validation_loss", *, mode=None, min_delta=0.0):
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.waited = 0

    def on_epoch_end(self, trainer):
        self.waited = 0 if self.improved(trainer) else self.waited + 1
        if self.waited >= self.patience:
            what = f"{self.monitor} has not improved for {self.waited} epochs"
            trainer.stopped = f"stopped after epoch {trainer.epoch}: {what}"

    def state_dict(self):
        return {"best": self.best, "waited": self.waited}


class Checkpoint(Monitor):
    """Saves to `path` after every so many epochs or, if `best` names a number of the history, whenever it is
    the best.

    {epoch} in the path becomes the number of the epoch; without it, each checkpoint replaces the one before.
    """

    def __init__(self, path, every=1, *, best=None, mode=None):
        if best is not None:
            super().__init__(best, mode)
        self.path, self.every, self.watches = str(path), every, best is not None
        self.best = None

    def on_epoch_end(self, trainer):
        if self.improved(trainer) if self.watches else trainer.epoch % self.every == 0:
            trainer.save_checkpoint(self.path.replace("{epoch}", str(trainer.epoch)))


class Trainer:
    """Trains a model on a loader, an iterable of pairs (inputs, targets) that can be walked through again.

    schedule: steps once an epoch. metrics: {name: function(outputs, targets)} or a list of such functions.
    clip_norm: see training_step. seed: restarts the random numbers when training begins. progress: show a
    bar. history: {"loss": [a number an epoch], …, "validation_loss": […], …, "lr": […]}, None where there was
    none.
    """

    def __init__(
        self,
        model,
        loss,
        optimizer,
        *,
        schedule=None,
        metrics=(),
        callbacks=(),
        clip_norm=None,
        seed=None,
        progress=True,
    ):
        known = {id(parameter) for parameter in model.parameters()}
        if not any(
            id(parameter) in known for group in optimizer.param_groups for parameter in group["params"]
        ):
            raise ValueError(
                "the optimizer holds no parameter of this model: make it from model.parameters()"
            )
        if getattr(schedule, "optimizer", optimizer) is not optimizer:
            raise ValueError("the schedule steers another optimizer than this one")
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.metrics = (
            dict(metrics) if isinstance(metrics, dict) else {metric.__name__: metric for metric in metrics}
        )
        if "loss" in self.metrics:
            raise ValueError("a metric needs another name than 'loss'")
        self.callbacks = sorted(
            callbacks, key=lambda one: isinstance(one, Checkpoint)
        )  # they save the others' state
        if progress:
            self.callbacks.insert(0, ProgressBar())
        self.clip_norm, self.seed, self.progress = clip_norm, seed, progress
        self.history = {}
        self.position = {"epoch": 0, "step": 0, "start": None, "sums": {}, "loader": None}
        self.stopped = None  # or the reason, in words
        self.loader = None

    @property
    def epoch(self):
        """How many epochs are complete."""
        return self.position["epoch"]

    def running(self):
        """The means of the running epoch so far."""
        return {name: RunningMean(*sums).compute() for name, sums in self.position["sums"].items()}

    def fit(self, loader, epochs, validation=None):
        """Train for so many more epochs and return the history. An epoch that was interrupted is completed
        first.

        validation: a loader to evaluate after every epoch. Ctrl-C ends it as well, with the history of the
        complete epochs. Raises FloatingPointError, with epoch and step, where the loss or a gradient is not
        finite.
        """
        if self.seed is not None and self.epoch == self.position["step"] == 0:
            manual_seed(self.seed)
        self.model.train()
        self.stopped, self.last_epoch = None, self.epoch + epochs
        self.batch_count = len(loader) if hasattr(loader, "__len__") else None
        interrupted = False
        try:
            with contextlib.ExitStack() as ends:
                for callback in self.callbacks:
                    callback.on_fit_start(self)
                    ends.callback(callback.on_fit_end, self)
                while self.epoch < self.last_epoch and not self.stopped:
                    self._run_epoch(loader, validation)
        except KeyboardInterrupt:
            interrupted = True
            place = f"epoch {self.epoch + 1} after {self.position['step']} steps"
            self.stopped = f"interrupted in {place}; the history holds {self.epoch} epochs"
        if self.stopped and (self.progress or interrupted):
            print(self.stopped)
        return self.history

    def evaluate(self, loader):
        """{"loss": …, name of a metric: …} over all rows of the loader."""
        return evaluate(self.model, self.loss, loader, self.metrics)

    # an epoch
    def _run_epoch(self, loader, validation):
        with contextlib.closing(
            self._begin_epoch(loader)
        ) as pairs:  # however it ends, the loader may tidy up
            self._tell("on_epoch_start")
            for inputs, targets in pairs:
                with uninterrupted():
                    self._step(inputs, targets)
                self._tell("on_batch_end")
        if not self.position["step"]:
            raise ValueError(
                f"epoch {self.epoch + 1}: nothing in the loader; a generator can be walked through once"
            )
        logs = self.running()
        if validation is not None:
            logs |= {f"validation_{name}": value for name, value in self.evaluate(validation).items()}
        with uninterrupted():
            logs["lr"] = float(self.optimizer.param_groups[0]["lr"])
            for name in logs:
                self.history.setdefault(name, [None] * self.epoch)
            for name, values in self.history.items():
                values.append(logs.get(name))
            if self.schedule is not None:
                self.schedule.step()
            done = {"epoch": self.epoch + 1, "step": 0, "start": None, "sums": {}}
            self.position = {**done, "loader": loader_state(loader)}
        self._tell("on_epoch_end")

    def _begin_epoch(self, loader):
        """The batches that are still to come in this epoch."""
        if self.loader is not None and self.loader is not loader:
            self.position |= {"step": 0, "start": None}  # other data: what was begun is not continued
        generator, begun = Random.generator.bit_generator, self.position["start"] is not None
        if self.position["loader"] is not None and (begun or self.loader is None):
            restore_loader(loader, copy.deepcopy(self.position["loader"]))
        self.loader = loader
        if not begun:
            self.position |= {"start": generator.state, "sums": {}, "loader": loader_state(loader)}
            return batches(loader)
        now, generator.state = generator.state, self.position["start"]
        pairs, done = batches(loader), self.position["step"]
        for _ in range(done):
            next(pairs, None)
        if done:
            generator.state = now
        return pairs

    def _step(self, inputs, targets):
        try:
            value, outputs = training_step(
                self.model, self.loss, self.optimizer, inputs, targets, self.clip_norm
            )
        except FloatingPointError as error:
            wrong = first_wrong(inputs.data) if inputs.dtype.kind == "f" else None
            hint = f"; the inputs hold {wrong}" if wrong else ""
            place = f"epoch {self.epoch + 1}, step {self.position['step'] + 1}"
            raise FloatingPointError(f"{place}: {error}{hint}") from error
        values = {"loss": value} | {name: metric(outputs, targets) for name, metric in self.metrics.items()}
        for name, value in values.items():
            mean = RunningMean(*self.position["sums"].get(name, ()))
            mean.update(value, len(inputs))
            self.position["sums"][name] = (mean.total, mean.weight)
        self.position["step"] += 1

    def _tell(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    # what a resume needs
    def state_dict(self):
        memories = [
            (type(callback).__name__, copy.deepcopy(callback.state_dict())) for callback in self.callbacks
        ]
        return {**collect_state(self), "callbacks": memories, "kinds": self._kinds()}

    def _kinds(self):
        return [type(part).__name__ for part in (self.model, self.optimizer, self.schedule)]

    def load_state_dict(self, state):
        if state["kinds"] != self._kinds():
            raise ValueError(
                f"model, optimizer and schedule here: {self._kinds()}, in the state: {state['kinds']}"
            )
        restore_state(self, state)
        self.loader = None
        waiting = list(state["callbacks"])
        for callback in self.callbacks:
            for place, (kind, memory) in enumerate(waiting):
                if kind == type(callback).__name__:
                    callback.load_state_dict(copy.deepcopy(memory))
                    del waiting[place]
                    break

    def save_checkpoint(self, path):
        save_checkpoint(path, self.state_dict())

    def load_checkpoint(self, path):
        """Go on where the run that saved this file stood. Raises ValueError, and changes nothing, if it
        fails."""
        state, before = load_checkpoint(path), self.state_dict()
        try:
            self.load_state_dict(state)
        except Exception as error:
            self.load_state_dict(before)
            raise ValueError(
                f"{path} does not fit this trainer, which is left as it was: {error!r}"
            ) from error


def loader_state(loader):
    """A copy of a loader's own state: its state_dict or, if it has one, its generator's. None where it
    shuffles with tinytorch's generator, which is saved anyway.
    """
    if hasattr(loader, "state_dict"):
        return copy.deepcopy(loader.state_dict())
    own = getattr(loader, "generator", None)
    return own.bit_generator.state if isinstance(own, np.random.Generator) else None


def restore_loader(loader, state):
    """The way back. Raises ValueError for a loader that has nothing to take the state."""
    if hasattr(loader, "load_state_dict"):
        loader.load_state_dict(state)
    elif isinstance(getattr(loader, "generator", None), np.random.Generator):
        loader.generator.bit_generator.state = state
    else:
        raise ValueError(
            "the run was saved with a loader that has random numbers of its own, and this one has none"
        )


def collect_state(trainer):
    """Everything that the rest of a run depends on, copied: model, optimizer, schedule, random, position,
    history."""
    return copy.deepcopy(
        {
            "model": trainer.model.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
            "random": Random.generator.bit_generator.state,
            "position": trainer.position,
            "history": trainer.history,
        }
    )


def restore_state(trainer, state):
    """Put a trainer where another one stood in `collect_state`. Raises ValueError if just one has a
    schedule."""
    if (trainer.schedule is None) != (state["schedule"] is None):
        raise ValueError(f"the trainer's schedule is {trainer.schedule}, the state's is {state['schedule']}")
    state = copy.deepcopy(state)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    Random.generator.bit_generator.state = state["random"]
    trainer.position, trainer.history = state["position"], state["history"]
