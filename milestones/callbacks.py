"""What several milestones have a Trainer call on its way."""

import milestones.run  # noqa: F401, first: it words what is not built yet
from tinytorch.training import Callback


class RateByStep(Callback):
    """Sets the learning rate before every step; a Trainer's own schedule does so once an epoch."""

    def __init__(self, schedule):
        self.schedule = schedule

    def on_epoch_start(self, trainer):
        # computed from where the trainer stands, so that an interrupted run goes on with the rate it had
        self.schedule.last_epoch = trainer.epoch * trainer.batch_count + trainer.position["step"] - 1
        self.schedule.step()

    on_batch_end = on_epoch_start


class LossByStep(Callback):
    """Keeps the loss of every step in `losses`; a Trainer's history has the mean of each epoch."""

    def __init__(self):
        self.losses, self.before = [], (0.0, 0)

    def on_epoch_start(self, trainer):
        if trainer.position["step"] == 0:
            self.before = 0.0, 0
        elif tuple(trainer.position["sums"]["loss"]) != self.before:
            self.on_batch_end(trainer)  # Ctrl-C came within a step: it was made, and nobody was told of its end

    def on_batch_end(self, trainer):
        (total, count), (old_total, old_count) = trainer.position["sums"]["loss"], self.before
        self.losses.append((total - old_total) / (count - old_count))
        self.before = total, count

    def state_dict(self):
        return {"losses": self.losses, "before": self.before}

    def load_state_dict(self, state):
        self.losses, self.before = list(state["losses"]), tuple(state["before"])
