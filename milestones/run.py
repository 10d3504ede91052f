"""What the programs of all milestones share: options, data, training that can be interrupted, and the report.

    run = start(__file__)                  # reads the options, checks the package, seeds
    train, test = run.load()               # the dataset run.data
    run.fit(trainer, loader, test=loader)  # run.epochs epochs, with progress; goes on where it was interrupted
    run.follow(model, optimizer, step)     # or a loop of steps, likewise
    run.about("What is done, in sentences.")
    run.result("test accuracy", accuracy)
    run.result("gain", 1.6, (1.5, 1.8))    # or a ratio of times with its interval
    run.finish()                           # writes the report and says whether the result was reached

Beside that: run.seed, run.say for a line to whoever watches, run.progress for a loop without a Trainer, run.figure,
run.table and run.note for the report.
A milestone's `milestone.toml` says what it needs, which datasets it knows, and which results are expected on each.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from milestones import report

EXIT_NOT_REACHED, EXIT_PROJECT, EXIT_NOT_DECIDED, EXIT_INTERRUPTED = 1, 3, 4, 130
REACHED, NOT_REACHED, NOT_DECIDED = "reached", "not reached", "not decided"
EXIT_CODES = {REACHED: 0, NOT_REACHED: EXIT_NOT_REACHED, NOT_DECIDED: EXIT_NOT_DECIDED}
HOME = Path(__file__).resolve().parents[1]
LOADERS = {"mnist": "load_mnist", "cifar10": "load_cifar10", "digits": "load_digits"}
ADOPTED = "# Adopted:"  # how a file begins that `tito module adopt` put into the package
SECONDS_BETWEEN_LINES = 0.2
STEPS_BETWEEN_CHECKPOINTS = 100
SECONDS_OF_ONE_INTERRUPTION = 2  # Ctrl-C in a terminal reaches this process twice when tito passes it on


class Problem(Exception):
    """What went wrong, for a person: the message, what to type next, and how the process ends."""

    def __init__(self, message, hint="", *, code="project", exit_code=EXIT_PROJECT):
        super().__init__(message)
        self.message, self.hint, self.code, self.exit_code = message, hint, code, exit_code


class Voice:
    """Says how it goes: lines for a person, or with --events one JSON document a line, for tito."""

    def __init__(self):
        self.events = "--events" in sys.argv[1:]
        self.stream, self.width = sys.stdout, 0
        if self.events:  # nothing else may come between them
            sys.stdout = sys.stderr

    def tell(self, event, text, **more):
        """event: start, say, progress, epoch, result, done or error."""
        if self.events:
            print(json.dumps({"event": event, "text": text, **more}), file=self.stream, flush=True)
        elif event == "progress":
            self.rewrite(text)
        elif text:
            self.rewrite("")
            print(text, file=sys.stderr if event == "error" else self.stream, flush=True)

    def rewrite(self, text):
        """One line of a terminal, again and again; in a pipe there is none."""
        if self.stream.isatty() and (text or self.width):
            text = text[: os.get_terminal_size(self.stream.fileno()).columns - 1]
            print(f"\r{text:<{self.width}}", end="" if text else "\r", file=self.stream, flush=True)
            self.width = len(text)


class Run:
    """One run of one milestone. data, epochs, seed: its settings. folder: where its report goes."""

    def __init__(self, program, arguments):
        self.started, self.drawn = time.monotonic(), -math.inf
        self.home = program.parent
        self.root = program.parents[2]
        self.hashes = report.hashes(self.root)
        self.facts = read_facts(self.home)
        options = _options(self.facts, arguments)
        self.seed, self.fresh, self.wanted = options.seed, options.fresh, options.data
        self.interrupted, self.in_step = None, False
        signal.signal(signal.SIGINT, self._interrupt)
        self._check_package()
        self.data, self.loaded = self._find_data(options.data)
        expected = self.facts["datasets"][self.data]
        self.epochs, self.asserts = options.epochs or expected["epochs"], expected["asserts"]
        usual = self.epochs == expected["epochs"]
        self.kernels = os.environ.get("TINYTORCH_KERNELS", "")
        name = f"{self.data}-seed{self.seed}" + ("" if usual else f"-epochs{self.epochs}")
        name += f"-{self.kernels}" if self.kernels else ""
        self.records = self.root / ".tito" / "milestones" / self.home.name
        self.folder = Path(options.report or self.records / name).resolve()
        self.elsewhere = options.report
        self.epochs_made = self.epochs
        self.checkpoints, self.trained = [], None  # trained: when a loop without a Trainer made its last step
        self.results, self.intervals, self.history, self.setting = {}, {}, {}, {}
        self.introduction, self.parts = [], []  # of the report, in their order
        self._prepare()

    # before

    def _interrupt(self, *_):
        now = time.monotonic()
        again = self.interrupted is not None
        if not again or now - self.interrupted > SECONDS_OF_ONE_INTERRUPTION:
            self.interrupted = now
            if again or not self.in_step:
                raise KeyboardInterrupt

    def _check_package(self):
        """The student's package and no other one, with all that this milestone needs."""
        import tinytorch

        for path in map(Path, tinytorch.__path__):
            if not path.resolve().is_relative_to(self.root):
                raise Problem(
                    f"this milestone belongs to {self.root}, but Python imports tinytorch from {path}",
                    f"activate the environment of {self.root}; in a new one: pip install -e .",
                    code="wrong-environment",
                )
        missing = [name for name in self.facts["needs"] if not self.built(name)]
        if missing:
            raise Problem(
                f"{self.home.name} needs {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not built",
                f"tito module start {missing[0][:2]}",
                code="prerequisites",
                exit_code=EXIT_NOT_REACHED,
            )

    def _find_data(self, wanted):
        """(name, (train, test)) of the wanted dataset; where none is wanted, of the last one if need be."""
        names = list(self.facts["datasets"])
        name = wanted or self.facts.get("default", names[0])
        try:
            return name, self._load(name)
        except FileNotFoundError as error:
            images = self._images(name)
            if wanted and images != names[-1]:  # what was asked for is not answered by another experiment
                other = f"--data {names[-1]} needs no download, and is another experiment"
                problem = f"--data {name} learns from {images}, which is not here; {other}"
                raise Problem(problem, f"tito data fetch {images}", code="data") from error
            if images != names[-1]:
                advice = f"get it with: tito data fetch {images}. Meanwhile: {names[-1]}"
                voice.tell("say", f"{images} is not here; {advice}")
        name = wanted or names[-1]
        try:
            return name, self._load(name)
        except FileNotFoundError:
            self._fetch(names[-1])
            return name, self._load(name)

    def _images(self, name):
        """The dataset of a part that uses another one's."""
        return self.facts["datasets"][name].get("images", name)

    def _load(self, name):
        name = self._images(name)
        if name not in LOADERS:  # the milestone makes its data itself
            return None
        from tinytorch import datasets

        try:
            return getattr(datasets, LOADERS[name])()
        except ValueError as error:
            raise Problem(f"the dataset {name}: {error}", f"tito data fetch {name}", code="data") from error

    def _fetch(self, name):
        command = [sys.executable, "-m", "tito", "data", "fetch", name]
        environment = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONUTF8": "1"}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise Problem(done.stderr.strip().removeprefix("error: "), f"tito data fetch {name}", code="data")

    def _prepare(self):
        """Whatever can fail fails now, and not after the training."""
        import tinytorch

        tinytorch.manual_seed(self.seed)
        report.set_style()
        try:
            is_used = self.elsewhere and self.folder.is_dir() and any(self.folder.iterdir())
            if is_used and not report.files_of(self.folder):
                raise Problem(
                    f"{self.folder} holds something that is no report of a milestone",
                    "name an empty folder, or one that does not exist yet: --report FOLDER",
                    code="report",
                )
            for folder in (self.folder, self.records):
                report.write(folder / ".writable", "")
                (folder / ".writable").unlink()
        except OSError as error:
            raise _unwritable(folder, error) from error
        most = "at most " if self.facts["datasets"][self.data].get("may_end_early") else ""
        steps = f"{most}{self.epochs} {self.facts.get('unit', 'epochs')}, seed {self.seed}"
        text = f"{self.facts['title']} ({self.facts['year']}) on {self.data}: {steps}"
        voice.tell("start", text, data=self.data, wanted=self.wanted, epochs=self.epochs, seed=self.seed)
        if self.adopted:
            voice.tell("say", f"adopted, so the course's own and not written here: {', '.join(self.adopted)}")

    # the run

    def built(self, module):
        """Whether the package holds a module, as "05_autograd", that this milestone can do without."""
        return importlib.util.find_spec(f"tinytorch.core.{module[3:]}") is not None

    @cached_property
    def adopted(self):
        """The modules that the course wrote, and not whoever owns this package: the first line of a file says so."""
        core = self.root / "tinytorch" / "core"
        lines = {path.stem: path.open(encoding="utf-8").readline() for path in core.glob("*.py")}
        return sorted(name for name, line in lines.items() if line.startswith(ADOPTED))

    def load(self, transform=None):
        """(train, test): the dataset run.data as ImageDatasets."""
        for part in self.loaded:
            part.transform = transform
        return self.loaded

    def fit(self, trainer, loader, validation=None, test=None, name="checkpoint"):
        """Train to run.epochs epochs and return the history. Each epoch, and Ctrl-C, leaves a checkpoint to go on from.

        test: in place of validation, data by which nothing is chosen: what is measured on them after each epoch is
        called so ("test_loss"). A program that trains several models gives each another `name`.
        """
        from tinytorch.kernels import use_kernels
        from tinytorch.training import Checkpoint, ProgressBar

        if self.kernels:  # before a checkpoint is loaded: names and Parameters stay the same
            use_kernels(trainer.model, self.kernels)
        path = self.folder / f"{name}.npz"
        self.checkpoints.append(path)
        trainer.callbacks = [one for one in trainer.callbacks if not isinstance(one, ProgressBar)]
        named = _test_names if test is not None else dict
        trainer.callbacks += [Progress(self, loader, named), Checkpoint(path)]
        trainer.progress = False
        if self.fresh:
            path.unlink(missing_ok=True)
        if path.exists():
            self._go_on(trainer, path)
        self.interrupted = None
        trainer.fit(loader, max(self.epochs - trainer.epoch, 0), validation if test is None else test)
        if self.interrupted is not None:  # the Trainer has ended in good order, between two steps
            trainer.save_checkpoint(path)
            raise KeyboardInterrupt
        self.history |= named(trainer.history)
        kernels = sorted({one.kernels for one in trainer.model.modules() if hasattr(one, "kernels")})
        self.setting |= {"kernels": ", ".join(kernels)} if kernels else {}
        self.setting["parameters"] = sum(parameter.numel() for parameter in trainer.model.parameters())
        return named(trainer.history)

    def follow(self, model, optimizer, take_step, steps=None, name="checkpoint"):
        """Call take_step(step) → {name: value} for each of `steps` steps (run.epochs), and return {name: values}.

        A finished loop, each STEPS_BETWEEN_CHECKPOINTS steps, and Ctrl-C leave a checkpoint of model and optimizer to
        go on from, between two steps; so take_step draws its random numbers from the number of the step. A program
        with several loops gives each another `name`.
        """
        from tinytorch.checkpoints import load_checkpoint, save_checkpoint
        from tinytorch.kernels import use_kernels

        if self.kernels:
            use_kernels(model, self.kernels)
            use_kernels(optimizer, self.kernels)
        path, steps, done, history = self.folder / f"{name}.npz", steps or self.epochs, 0, {}
        self.checkpoints.append(path)
        if self.fresh:
            path.unlink(missing_ok=True)
        if path.exists():
            try:
                state = load_checkpoint(path)
                model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
                done, history = state["done"], state["history"]
            except (ValueError, KeyError, RuntimeError, OSError) as error:
                raise self._lost(error) from error
            voice.tell("say", f"going on after step {done} of {steps}")
        self.interrupted = None
        model.train()
        while done < steps:
            self.in_step = True
            values = take_step(done)
            done += 1
            for key, value in values.items():
                history.setdefault(key, []).append(float(value))
            if done == steps or done % STEPS_BETWEEN_CHECKPOINTS == 0 or self.interrupted is not None:
                arrays = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                save_checkpoint(path, {**arrays, "done": done, "history": history})
            self.in_step = False
            if self.interrupted is not None:
                raise KeyboardInterrupt
            self.progress(done, steps, model, **values)
        return history

    def _lost(self, error):
        again = f"start anew: {self._command(fresh=True)}"
        return Problem(f"the interrupted run cannot be continued: {error}", again)

    def _go_on(self, trainer, path):
        try:
            trainer.load_checkpoint(path)
        except (ValueError, OSError) as error:
            raise self._lost(error) from error
        voice.tell("say", f"going on after epoch {trainer.epoch}, step {trainer.position['step']}")

    def progress(self, step, steps, model=None, **values):
        """After a step of a loop that has no Trainer. Raises FloatingPointError where a value is not finite.

        model: its first parameter that is not finite is named, too.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                named = model.named_parameters() if model is not None else ()
                bad = next((path for path, one in named if not np.isfinite(one.data).all()), "none")
                raise FloatingPointError(f"step {step}: {name} is {value}; the first parameter not finite: {bad}")
        self.trained = time.monotonic()
        if step == steps or time.monotonic() - self.drawn >= SECONDS_BETWEEN_LINES:
            self.drawn = time.monotonic()
            words = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            voice.tell("progress", f"step {step}/{steps}  {words}", done=step, total=steps, values=values)

    def say(self, text):
        """A line for who is watching."""
        voice.tell("say", text)

    def ended_after(self, epochs):
        """The training needed fewer epochs than it was given."""
        self.epochs_made = epochs

    # the report

    def result(self, name, value, interval=None):
        """A measured number; those of which the milestone expects something are compared.

        interval: (low, high) of a ratio of times. What is expected is reached where all of it fulfils it, not reached
        where nothing does, and else not decided.
        """
        self.results[name] = round(float(value), 6)  # float32 holds 95 % as 0.94999999
        if interval is not None:
            self.intervals[name] = [round(float(end), 6) for end in interval]

    def about(self, text):
        """A paragraph at the head of the report: what is done, with what, and what it is compared with."""
        self.introduction.append(text)

    def figure(self, name, figure, caption):
        """A matplotlib figure. name: its heading. caption: what it shows, for those who do not see it, too."""
        self.parts.append(("figure", name, figure, caption))

    def table(self, name, rows):
        """rows: lists of cells, the titles of the columns first."""
        self.parts.append(("table", name, [list(row) for row in rows]))

    def note(self, text):
        """A paragraph."""
        self.parts.append(("note", text))

    def finish(self):
        """Write the report, remember the run, say whether the result was reached, and end the process accordingly."""
        claims = [self._compare(claim) for claim in self.asserts]
        found = {claim["outcome"] for claim in claims}
        outcome = next((one for one in (NOT_REACHED, NOT_DECIDED) if one in found), REACHED)
        reached, undecided = outcome == REACHED, outcome == NOT_DECIDED
        for claim in claims:
            voice.tell("result", claim["verdict"])
        entry = {
            "data": self.data,
            "seed": self.seed,
            "epochs": self.epochs_made,
            "reached": reached,
            "undecided": undecided,
            "metric": claims[0]["metric"],
            "value": claims[0]["value"],
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
            "report": self.folder.name if self.folder.parent == self.records else str(self.folder),
        }
        try:
            report.keep_best(self.records, entry["report"], self.data, entry)
            report.write_report(self.folder, self.facts, self._metrics(claims, reached), self.parts)
            warning = report.remember(self.records, entry)
            for checkpoint in self.checkpoints:
                checkpoint.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        if warning:
            voice.tell("say", f"warning: {warning}")
        page = self.folder / report.PAGE
        voice.tell("result", f"report: {page}")
        if undecided:
            voice.tell("result", "not decided: close other programs, and run it again")
        voice.tell("done", "", reached=reached, undecided=undecided, asserts=claims, report=str(page), entry=entry)
        raise SystemExit(EXIT_CODES[outcome])

    def _compare(self, claim):
        value, interval = self.results.get(claim["metric"]), self.intervals.get(claim["metric"])
        if value is not None and not all(map(math.isfinite, [value, *(interval or ())])):
            value = interval = None
        low, high = claim.get("at_least", -math.inf), claim.get("at_most", math.inf)
        least, most = interval or (value, value)
        if value is None or most < low or least > high:
            outcome = NOT_REACHED
        else:
            outcome = REACHED if low <= least and most <= high else NOT_DECIDED
        compared = {**claim, "value": value, "interval": interval, "outcome": outcome, "reached": outcome == REACHED}
        return {**compared, "verdict": report.verdict(compared)}

    def _metrics(self, claims, reached):
        from tinytorch.threads import thread_count

        if "training seconds" not in self.setting:  # a loop of its own
            self.setting["training seconds"] = round((self.trained or time.monotonic()) - self.started, 1)
        return {
            "schema": report.SCHEMA,
            "milestone": self.home.name,
            "data": self.data,
            "seed": self.seed,
            "epochs": self.epochs,
            "reached": reached,
            "asserts": claims,
            "about": self.introduction,
            "results": {name: value if math.isfinite(value) else None for name, value in self.results.items()},
            "history": self.history,
            "setting": {
                "dataset": self.data,
                self.facts.get("unit", "epochs"): self.epochs_made,
                "seed": self.seed,
                **self.setting,
                **({"adopted modules": ", ".join(self.adopted)} if self.adopted else {}),
                "threads": thread_count(),
                "Python": platform.python_version(),
                "NumPy": np.__version__,
                "command": self._command(report=False),
            },
            "sources": self._sources(),
            "order": [],
            "figures": [],
            "tables": [],
            "notes": [],
        }

    def _sources(self):
        """{file: its hash when the run began} of what the run came from: the code that was loaded, facts and texts."""
        files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        used = {Path(file).resolve() for file in files if file} | {self.home / "milestone.toml"}
        return {path: one for path, one in self.hashes.items() if self.root / path in used or path.endswith(".gz")}

    def _command(self, *, fresh=False, report=True):
        options = f"--data {self.data} --epochs {self.epochs} --seed {self.seed}"
        options += f' --report "{self.elsewhere}"' if self.elsewhere and report else ""
        return f"tito milestone run {self.home.name[:2]} {options}{' --fresh' if fresh else ''}"


class Progress:
    """A callback of Trainer: loss, accuracy, images a second and the time left, as the training goes on.

    Its clock is perf_counter: monotonic stands still for 15.6 ms on Windows before Python 3.13, longer than a batch.
    """

    def __init__(self, run, loader, named):
        self.run, self.loader, self.named, self.drawn = run, loader, named, -math.inf
        self.seconds, self.began = 0.0, None  # of training, before this fit; when this fit began

    def on_fit_start(self, trainer):
        self.began, self.steps = time.perf_counter(), 0

    def on_epoch_start(self, trainer):
        self.epoch_began, self.epoch_steps = time.perf_counter(), 0

    def on_batch_end(self, trainer):
        self.steps, self.epoch_steps, now = self.steps + 1, self.epoch_steps + 1, time.perf_counter()
        if now - self.drawn >= SECONDS_BETWEEN_LINES:
            self.drawn = now
            self.tell("progress", trainer, trainer.epoch + 1, trainer.position["step"], trainer.running())

    def on_epoch_end(self, trainer):
        logs = {name: values[-1] for name, values in trainer.history.items() if values[-1] is not None}
        self.tell("epoch", trainer, trainer.epoch, 0, self.named(logs))

    def on_fit_end(self, trainer):
        self.seconds, self.began = self.state_dict()["seconds"], None
        self.run.setting["training seconds"] = round(self.seconds, 1)

    def tell(self, event, trainer, epoch, step, logs):
        now, batches = time.perf_counter(), len(self.loader)
        rate = self.epoch_steps * self.loader.batch_size / (now - self.epoch_began)
        done, total = trainer.epoch * batches + step, trainer.last_epoch * batches
        left = (now - self.began) / max(self.steps, 1) * (total - done)
        words = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        within = f"  step {step}/{batches}" if step else ""
        text = f"epoch {epoch}/{trainer.last_epoch}{within}  {words}  {rate:,.0f} images/s  {clock(left)} left"
        values = {"values": logs, "images_per_second": round(rate), "seconds_left": round(left)}
        voice.tell(event, text, epoch=epoch, done=done, total=total, **values)

    def state_dict(self):
        return {"seconds": self.seconds + (0 if self.began is None else time.perf_counter() - self.began)}

    def load_state_dict(self, state):
        self.seconds = state["seconds"]


def _test_names(logs):
    """What a Trainer measured, with "test" in place of "validation"."""
    return {name.replace("validation_", "test_", 1): value for name, value in logs.items()}


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _unwritable(folder, error):
    return Problem(
        f"the report cannot be written to {folder}: {error.strerror or error}",
        "make the folder writable, or name another one: --report FOLDER",
        code="report",
    )


def _options(facts, arguments):
    """The options of a milestone's program, given by hand or by tito. arguments: None for those of this process."""
    expected = facts["datasets"]
    first, last = list(expected)[0], list(expected)[-1]
    epochs = ", ".join(f"{one['epochs']} on {name}" for name, one in expected.items())
    unit = facts.get("unit", "epochs")
    default = facts.get("default") or (first if first == last else f"{first} where it is fetched, else {last}")
    parser = argparse.ArgumentParser(description=facts["summary"], allow_abbrev=False)
    if LOADERS.keys().isdisjoint(expected) and len(expected) > 1:  # parts of one milestone, which need no download
        default = first
    parser.add_argument("--data", "--part", choices=list(expected), help=f"the dataset (default: {default})")
    parser.add_argument("--epochs", "--steps", type=_positive, help=f"how long to train, in {unit} (default: {epochs})")
    parser.add_argument("--seed", type=_natural, default=0, help="of all random numbers (default: 0)")
    parser.add_argument("--report", metavar="FOLDER", help="where the report goes")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on where it was interrupted (the default)")
    again.add_argument("--fresh", action="store_true", help="start anew, even where something was interrupted")
    parser.add_argument("--events", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of epochs")
    return int(text)


def _natural(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: 0, 1, 2 and so on")
    return int(text)


def read_facts(home):
    """What the milestone in the folder `home` says about itself."""
    return tomllib.loads((home / "milestone.toml").read_text(encoding="utf-8"))


def start(program, arguments=None):
    """The run of the milestone in whose folder the file `program` lies."""
    global current
    current = Run(Path(program).resolve(), arguments)
    return current


def describe(error):
    """(stable word, how the process ends, what happened, what to type next); (None, …) for what nobody foresaw."""
    again = current._command() if current else "the same command"
    if isinstance(error, Problem):
        return error.code, error.exit_code, error.message, error.hint
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED, "interrupted; run it again to go on", again
    if isinstance(error, FloatingPointError):
        hint = "try a lower learning rate, or look at how that parameter starts; then: "
        return "not-finite", EXIT_NOT_REACHED, f"training stopped: {error}", hint + f"{again} --fresh"
    if isinstance(error, MemoryError):
        reason = f" ({error})" if str(error) else ""
        hint = f"close other programs, and run it again to go on: {again}"
        return "memory", EXIT_PROJECT, f"there is too little memory{reason}; what was trained is kept", hint
    if isinstance(error, ImportError) and (error.name or "").startswith("tinytorch.core."):
        message, _, hint = str(error).partition(" Next: ")
        return "prerequisites", EXIT_NOT_REACHED, message, hint
    ours = [place for place in traceback.extract_tb(error.__traceback__) if Path(place.filename).is_relative_to(HOME)]
    where = f" in {Path(ours[-1].filename).relative_to(HOME).as_posix()}:{ours[-1].lineno}" if ours else ""
    return None, EXIT_NOT_REACHED, f"{type(error).__name__}{where}: {error}", "fix that line, then run it again"


def _end(kind, error, trace):
    """In place of a traceback, where it would tell a person nothing."""
    code, exit_code, message, hint = describe(error)
    if code is None and not voice.events:
        sys.__excepthook__(kind, error, trace)
    else:
        text = f"error: {message}" + (f"\n  next: {hint}" if hint else "")
        lines = "".join(traceback.format_exception(error))
        voice.tell("error", text, code=code or "program", message=message, hint=hint, traceback=lines)
    sys.stdout.flush()
    raise SystemExit(exit_code)


voice, current = Voice(), None
if (Path(getattr(sys.modules["__main__"], "__file__", None) or ".").parent / "milestone.toml").is_file():
    sys.excepthook = _end  # a milestone's program: from now on, whatever it imports
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered although modules that it imports are not written yet
        _options(read_facts(Path(sys.modules["__main__"].__file__).resolve().parent), None)
