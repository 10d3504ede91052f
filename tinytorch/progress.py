"""The line that shows how a training run is going on: provided, for module 07's Trainer."""

import math
import os
import sys
import time


class ProgressBar:
    """One line for the running epoch: rewritten in a terminal, updated in a notebook, one per epoch anywhere else.

    stream: where to write (sys.stdout). seconds: the shortest time between two updates.
    """

    def __init__(self, stream=None, seconds=0.1):
        self.stream, self.seconds = stream, seconds

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass

    def on_fit_start(self, trainer):
        self.out = self.stream or sys.stdout
        if type(self.out).__module__ == "ipykernel.iostream":
            self.place = "notebook"
        else:
            self.place = "terminal" if self.out.isatty() else "file"
        self.display, self.width, self.drawn = None, 0, -math.inf

    def on_epoch_start(self, trainer):
        self.started = time.monotonic()

    def on_batch_end(self, trainer):
        now = time.monotonic()
        if self.place == "file" or now - self.drawn < self.seconds:
            return
        self.drawn = now
        done, total = trainer.position["step"], trainer.batch_count
        share = f"[{'#' * (20 * min(done, total) // total):.<20}] {done}/{total}" if total else f"step {done}"
        self.write(trainer, trainer.epoch + 1, f"{share}  {self.words(trainer.running())}")

    def on_epoch_end(self, trainer):
        logs = {name: values[-1] for name, values in trainer.history.items()}
        self.write(trainer, trainer.epoch, f"{self.words(logs)}  {time.monotonic() - self.started:.1f} s")
        self.end_line()

    def on_fit_end(self, trainer):
        if self.width:
            self.end_line()

    @staticmethod
    def words(logs):
        return "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if value is not None)

    def write(self, trainer, epoch, text):
        text = f"epoch {epoch:{len(str(trainer.last_epoch))}}/{trainer.last_epoch}  {text}"
        if self.place == "notebook":
            data = {"text/plain": text}
            if self.display is None:  # a kernel has imported IPython; nothing else of TinyTorch needs it
                self.display = sys.modules["IPython"].display.display(data, raw=True, display_id=True)
            else:
                self.display.update(data, raw=True)
            return
        if self.place == "terminal":
            text = text[: self.columns() - 1]  # a line that wraps could not be rewritten
            text, self.width = f"\r{text:<{self.width}}", len(text)
        self.out.write(text)
        self.out.flush()

    def columns(self):
        try:
            return os.get_terminal_size(self.out.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            return 80

    def end_line(self):
        if self.place != "notebook":
            self.out.write("\n")
            self.out.flush()
        self.width = 0
