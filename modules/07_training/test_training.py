"""The public behaviour of tinytorch.core.training."""

import io
import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch.core import training
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MSELoss, accuracy
from tinytorch.core.optimizers import SGD, Adam, CosineAnnealingLR
from tinytorch.core.tensor import Random, Tensor, manual_seed
from tinytorch.core.training import (
    Callback,
    Checkpoint,
    EarlyStopping,
    ProgressBar,
    RunningMean,
    Trainer,
    collect_state,
    confusion_matrix,
    evaluate,
    load_checkpoint,
    save_checkpoint,
    training_step,
    uninterrupted,
)

POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child and no such terminals")
POINTS = np.sin(np.arange(90.0)).reshape(30, 3).astype(np.float32)
CLASSES = np.arange(30) % 3


class Shuffled:
    """30 rows in batches of 7, the last one of 2, in an order of the common generator or of a generator of its own."""

    def __init__(self, seed=None):
        self.own = None if seed is None else np.random.default_rng(seed)

    def __len__(self):
        return 5

    def __iter__(self):
        order = (self.own or Random.generator).permutation(30)
        for picked in np.split(order, range(7, 30, 7)):
            yield POINTS[picked], CLASSES[picked]


class Seeded(Shuffled):
    """One whose own generator can be found."""

    def __init__(self):
        super().__init__(3)
        self.generator = self.own


class Remembering(Shuffled):
    """One whose own generator is saved with the checkpoint."""

    def state_dict(self):
        return {"generator": self.own.bit_generator.state}

    def load_state_dict(self, state):
        self.own.bit_generator.state = state["generator"]


WHOLE = [(POINTS, CLASSES)]


def make(seed=0, optimizer="Adam", **settings):
    """A trainer with everything random and everything that remembers."""
    manual_seed(seed)
    model = Sequential(Linear(3, 6), Dropout(0.4), Linear(6, 3))
    parameters = model.parameters()
    chosen = Adam(parameters, lr=0.05) if optimizer == "Adam" else SGD(parameters, lr=0.2, momentum=0.9)
    schedule = CosineAnnealingLR(chosen, 6)
    settings = {"metrics": [accuracy], "progress": False, "clip_norm": 1.0, **settings}
    return Trainer(model, CrossEntropyLoss(), chosen, schedule=schedule, **settings)


def bits(trainer):
    """All that a trainer is, in text."""
    with np.printoptions(floatmode="unique", threshold=10**6):
        return repr(trainer.state_dict())


def child(code, **settings):
    """Start Python on `code` with this very package."""
    home = str(Path(tinytorch.__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": home, "PYTHONUTF8": "1"}
    arguments = [sys.executable, "-P", "-c", textwrap.dedent(code)]
    return subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **settings
    )


def finish(process):
    out, problems = process.communicate(timeout=60)
    assert process.returncode == 0, problems
    return out


# Means and metrics.


@pytest.mark.parametrize("seed", range(5))
def test_a_running_mean_does_not_depend_on_the_pieces(seed):
    draw = np.random.default_rng(seed)
    rows, cuts = draw.standard_normal(200), np.sort(draw.integers(0, 200, 6))
    mean = RunningMean()
    for part in np.split(rows, cuts):
        mean.update(part.sum() / max(len(part), 1), len(part))
    assert mean.weight == 200
    assert math.isclose(mean.compute(), math.fsum(rows) / 200, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize(("rows", "classes"), [(0, 1), (1, 1), (1, 5), (300, 2), (300, 7)])
def test_confusion_matrix_counts(rows, classes):
    draw = np.random.default_rng(rows + classes)
    logits, truth = draw.standard_normal((classes, rows)).T, draw.integers(0, classes, rows)
    expected = [[int(np.sum((truth == i) & (logits.argmax(1) == j))) for j in range(classes)] for i in range(classes)]
    for kind in (np.int64, np.uint8, np.int32):
        assert confusion_matrix(Tensor(logits), Tensor(truth.astype(kind))).tolist() == expected


def test_evaluation_leaves_generator_gradients_and_modes_alone():
    trainer = make()
    trainer.model[1].eval()
    before = bits(trainer), [module.training for module in trainer.model.modules()]
    first, second = trainer.evaluate(WHOLE), evaluate(trainer.model, trainer.loss, WHOLE, trainer.metrics)
    assert first == second
    assert (bits(trainer), [module.training for module in trainer.model.modules()]) == before
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


# A step.


def test_a_step_follows_the_formula_in_float64():
    model = Linear(3, 2, dtype=np.float64)
    weight, bias = model.weight.numpy().copy(), model.bias.numpy().copy()
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((4, 3)), draw.standard_normal((4, 2))
    error = x @ weight.T + bias - y
    value, outputs = training_step(
        model, MSELoss(), SGD(model.parameters(), lr=0.5), Tensor(x, dtype=np.float64), Tensor(y, dtype=np.float64)
    )
    assert math.isclose(value, (error**2).mean(), rel_tol=1e-12)
    np.testing.assert_allclose(outputs.numpy() - y, error, rtol=1e-12)
    np.testing.assert_allclose(model.weight.numpy(), weight - 0.5 * error.T @ x / 4, rtol=1e-12)
    np.testing.assert_allclose(model.bias.numpy(), bias - 0.5 * error.sum(axis=0) / 4, rtol=1e-12)


# Training.


def test_a_run_fills_the_history():
    trainer = make()
    history = trainer.fit(Shuffled(), epochs=2)
    assert history is trainer.history
    assert list(history) == ["loss", "accuracy", "lr"]
    trainer.fit(Shuffled(), 1, validation=WHOLE)
    trainer.fit(Shuffled(), 1)
    assert {len(column) for column in history.values()} == {4}
    assert [value is None for value in history["validation_loss"]] == [True, True, False, True]
    assert json.loads(json.dumps(history)) == history
    np.testing.assert_allclose(history["lr"], [0.025 + 0.025 * math.cos(math.pi * epoch / 6) for epoch in range(4)])
    assert trainer.epoch == 4


def test_the_same_seed_gives_the_same_run_whatever_happened_before():
    ends = []
    for disturbance in (1, 2):
        trainer = make(seed=3)
        trainer.seed = 7
        Random.generator.standard_normal(disturbance)
        trainer.fit(Shuffled(), 2)
        ends.append(bits(trainer))
    assert ends[0] == ends[1]


def test_fit_trains_in_training_mode_and_learns():
    trainer = make(clip_norm=None)
    trainer.model.eval()
    history = trainer.fit([(CLASSES[:, None] == np.arange(3), CLASSES)], 60, validation=[(np.eye(3), np.arange(3))])
    assert trainer.model[1].training
    assert history["validation_accuracy"][-1] == 1.0
    assert history["validation_loss"][-1] < history["validation_loss"][0]


def test_what_cannot_work_is_refused():
    model, other = Linear(3, 3), Linear(3, 3)
    good, foreign = SGD(model.parameters(), lr=0.1), SGD(other.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=re.escape("model.parameters()")):
        Trainer(model, MSELoss(), foreign)
    with pytest.raises(ValueError, match="schedule"):
        Trainer(model, MSELoss(), good, schedule=CosineAnnealingLR(foreign, 3))
    with pytest.raises(ValueError, match="another name"):
        Trainer(model, MSELoss(), good, metrics={"loss": accuracy})
    with pytest.raises(ValueError, match="mode="):
        EarlyStopping(3, "error_rate")
    for loader, words in [([POINTS], "Tensor|ndarray"), ([(POINTS, CLASSES, 1)], "3 parts"), ([1], "int")]:
        with pytest.raises(TypeError, match=words):
            make().fit(loader, 1)
    once = iter(WHOLE)
    trainer = make()
    with pytest.raises(ValueError, match="epoch 2: .* once"):
        trainer.fit(once, 2)
    assert len(trainer.history["loss"]) == 1
    with pytest.raises(ValueError, match="'validation_loss'.*loss, accuracy, lr"):
        make(callbacks=[EarlyStopping(2)]).fit(Shuffled(), 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stops_the_run_with_its_place(bad):
    rows, events = POINTS.copy(), Events()
    rows[8, 1] = bad
    trainer = make(callbacks=[events])
    trainer.fit(WHOLE, 1)
    before = {}
    trainer.callbacks.append(
        type("Keep", (Callback,), {"on_batch_end": lambda self, trainer: before.update(trainer.model.state_dict())})()
    )
    loader = [(POINTS[:7], CLASSES[:7]), (rows[7:9], CLASSES[7:9])]
    words = r"epoch 2, step 2: the loss is nan, and the first gradient .* 0\.weight, .*"
    words += rf"the inputs hold {bad} at \(1, 1\)"
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=words):
        trainer.fit(loader, 1)
    assert events.seen[-1] == "end"
    assert before
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_gradient_that_overflows_under_a_finite_loss_stops_the_run():
    trainer = make(clip_norm=None)
    trainer.loss = lambda outputs, targets: (outputs * 1e20).sum() * 1e-30 * Tensor(1e20) * 1e20
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"epoch 1, step 1: .*0\.weight"):
        trainer.fit([(POINTS * 1e25, CLASSES)], 1)


def test_a_broken_parameter_is_named_before_any_gradient():
    trainer = make()
    trainer.model[2].bias.data[1] = np.inf
    words = r"epoch 1, step 1: .*parameter .* 2\.bias, inf at \(1,\)"
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=words):
        trainer.fit(Shuffled(), 1)


# Callbacks.


class Events(Callback):
    def __init__(self):
        self.seen = []

    def on_fit_start(self, trainer):
        self.seen.append("fit")

    def on_epoch_start(self, trainer):
        self.seen.append("epoch")

    def on_batch_end(self, trainer):
        self.seen.append(trainer.position["step"])

    def on_epoch_end(self, trainer):
        self.seen.append(len(trainer.history["loss"]))

    def on_fit_end(self, trainer):
        self.seen.append("end")


def test_callbacks_are_called_in_order():
    events = Events()
    make(callbacks=[events]).fit(WHOLE * 2, 2)
    assert events.seen == ["fit", "epoch", 1, 2, 1, "epoch", 1, 2, 2, "end"]


@pytest.mark.parametrize("event", ["on_epoch_start", "on_batch_end", "on_epoch_end", "on_fit_end"])
def test_every_callback_is_closed_though_another_one_fails(event):
    def fail(self, trainer):
        raise OSError("no space")

    events, late = Events(), Events()
    with pytest.raises(OSError, match="no space"):
        make(callbacks=[events, type("Failing", (Callback,), {event: fail})(), late]).fit(WHOLE, 1)
    assert events.seen[-1] == late.seen[-1] == "end"


@pytest.mark.parametrize(
    ("mode", "numbers", "stops"),
    [
        ("min", [5, 4, 4, 4, 1], 4),
        ("min", [5, 6, 4, 5, 3.95, 1, 2, 3], 5),
        ("max", [1, 2, 1, 1.5, 9], 4),
        ("min", [3, math.nan, math.nan, 1], 3),
        ("min", [5, 4, 3, 2], None),
    ],
)
def test_early_stopping(mode, numbers, stops):
    trainer = types.SimpleNamespace(history={"x": []}, epoch=0, stopped=None)
    stopping = EarlyStopping(2, "x", mode=mode, min_delta=0.1)
    for number in numbers:
        trainer.history["x"].append(number)
        trainer.epoch += 1
        stopping.on_epoch_end(trainer)
        if trainer.stopped:
            break
    assert (trainer.epoch if trainer.stopped else None) == stops


def test_checkpoints_of_some_epochs_and_of_the_best(tmp_path):
    numbers = iter([0.5, 0.9, 0.7, 0.95, 0.1])
    every = Checkpoint(tmp_path / "e{epoch}.npz", every=2)
    best = Checkpoint(tmp_path / "best.npz", best="validation_accuracy")
    trainer = make(callbacks=[every, best], metrics={"accuracy": lambda outputs, targets: 0.0})
    trainer.evaluate = lambda loader: {"accuracy": next(numbers)}
    trainer.fit(WHOLE, 5, validation=WHOLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.npz", "e2.npz", "e4.npz"]
    twin = make(seed=1)
    twin.load_checkpoint(tmp_path / "best.npz")
    assert twin.history["validation_accuracy"] == [0.5, 0.9, 0.7, 0.95]


# Resuming.


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_two_and_two_epochs_are_four_in_a_new_process(optimizer, tmp_path):
    whole, half = make(1, optimizer), make(1, optimizer)
    manual_seed(5)
    whole.fit(Shuffled(), 4, validation=WHOLE)
    expected = bits(whole)
    manual_seed(5)
    half.fit(Shuffled(), 2, validation=WHOLE)
    half.save_checkpoint(tmp_path / "half.npz")
    code = f"""
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("helpers", {str(Path(__file__).resolve())!r})
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    trainer = helpers.make(99, {optimizer!r})
    trainer.load_checkpoint({str(tmp_path / "half.npz")!r})
    trainer.fit(helpers.Shuffled(), 2, validation=helpers.WHOLE)
    trainer.save_checkpoint({str(tmp_path / "whole.npz")!r})
    print(helpers.bits(trainer))
    """
    assert finish(child(code)).strip() == expected
    twin = make(4, optimizer)
    twin.load_checkpoint(tmp_path / "whole.npz")
    assert bits(twin) == expected


class InterruptAt(Callback):
    """Ctrl-C after a step."""

    def __init__(self, epoch, step):
        self.place = epoch, step

    def on_batch_end(self, trainer):
        if (trainer.epoch + 1, trainer.position["step"]) == self.place:
            self.place = None
            raise KeyboardInterrupt


@pytest.mark.parametrize("loader", [Shuffled, Seeded, lambda: Remembering(3)])
@pytest.mark.parametrize("step", [1, 3, 5])
def test_an_epoch_that_was_interrupted_goes_on_where_it_stopped(loader, step, tmp_path, capsys):
    whole = make(1)
    manual_seed(5)
    whole.fit(loader(), 3, validation=WHOLE)
    expected = bits(whole)

    cut = make(1, callbacks=[InterruptAt(2, step)])
    cut_loader = loader()
    manual_seed(5)
    history = cut.fit(cut_loader, 3, validation=WHOLE)
    assert {len(column) for column in history.values()} == {1}
    said = capsys.readouterr().out
    assert said.count("interrupted") == 1
    assert f"epoch 2 after {step} steps" in said
    cut.save_checkpoint(tmp_path / "cut.npz")
    state_then = Random.generator.bit_generator.state

    resumed = make(77)
    resumed.load_checkpoint(tmp_path / "cut.npz")
    resumed.fit(loader(), 2, validation=WHOLE)
    resumed.callbacks = whole.callbacks
    assert bits(resumed) == expected, "new objects"

    Random.generator.bit_generator.state = state_then
    cut.fit(cut_loader, 2, validation=WHOLE)
    cut.callbacks = whole.callbacks
    assert bits(cut) == expected, "the same objects"


@pytest.mark.parametrize("loader", [Shuffled, Seeded, lambda: Remembering(3)])
def test_a_new_loader_goes_on_where_the_saved_one_stood(loader, tmp_path):
    whole, half, resumed, expected = make(1), make(1), make(2), None
    for trainer, epochs in ((whole, 4), (half, 2)):
        manual_seed(5)
        trainer.fit(loader(), epochs)
        trainer.save_checkpoint(tmp_path / "half.npz")
        expected = expected or bits(trainer)
    resumed.load_checkpoint(tmp_path / "half.npz")
    resumed.fit(loader(), 2)
    assert bits(resumed) == expected


def test_a_loader_without_the_saved_random_numbers_is_refused():
    first, second = make(1), make(1)
    first.fit(Seeded(), 1)
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="random numbers of its own"):
        second.fit(Shuffled(), 1)


def test_the_loader_is_closed_when_the_run_is_interrupted():
    closed = []

    class Loader:
        def __iter__(self):
            try:
                yield from WHOLE * 5
            finally:
                closed.append(True)

    make(callbacks=[InterruptAt(1, 2)]).fit(Loader(), 1)
    assert closed == [True]


def test_an_interrupted_epoch_is_not_continued_on_other_data():
    trainer = make(callbacks=[InterruptAt(1, 3)])
    trainer.fit(Shuffled(), 1)
    trainer.fit(WHOLE, 1)
    assert trainer.epoch == 1
    assert len(trainer.history["loss"]) == 1


def test_the_memory_of_callbacks_is_resumed(tmp_path):
    def run(callbacks):
        return make(1, callbacks=callbacks)

    path = tmp_path / "run.npz"
    first = run([Checkpoint(path), EarlyStopping(3, "loss", mode="max")])
    first.fit(WHOLE, 2)
    second = run([EarlyStopping(3, "loss", mode="max"), Checkpoint(path)])
    second.load_checkpoint(path)
    assert [type(one).__name__ for one in first.callbacks] == ["EarlyStopping", "Checkpoint"], "checkpoints come last"
    assert second.callbacks[0].state_dict() == first.callbacks[0].state_dict()
    assert first.callbacks[0].best is not None
    run([]).load_checkpoint(path)


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path):
    trainer = make()
    trainer.fit(WHOLE, 1)
    state, wide = trainer.state_dict(), Sequential(Linear(4, 6), Linear(6, 3))
    save_checkpoint(tmp_path / "wide.npz", {**state, "model": wide.state_dict()})
    save_checkpoint(tmp_path / "list.npz", [1, 2])
    save_checkpoint(tmp_path / "late.npz", {**state, "random": {"bit_generator": "MT19937"}})
    save_checkpoint(tmp_path / "few.npz", {**state, "optimizer": Adam(wide[0].parameters()).state_dict()})
    make(optimizer="SGD").save_checkpoint(tmp_path / "sgd.npz")
    manual_seed(6)
    trainer.fit(WHOLE, 1)
    before = bits(trainer)
    for name in ("wide.npz", "list.npz", "late.npz", "few.npz", "sgd.npz"):
        with pytest.raises(ValueError, match=rf"{name} does not fit"):
            trainer.load_checkpoint(tmp_path / name)
        assert bits(trainer) == before


# Files.


def same(a, b):
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


def drawn(draw, depth=3):
    kind = draw.integers(0, 10 if depth else 7)
    if kind >= 7:
        parts = [drawn(draw, depth - 1) for _ in range(draw.integers(0, 4))]
        named = {(i if i % 2 else f"k{i}"): part for i, part in enumerate(parts)}
        return parts if kind == 7 else tuple(parts) if kind == 8 else named
    if kind >= 4:
        dtype = [np.float32, np.float64, np.int64, bool, np.uint8][draw.integers(0, 5)]
        shape = tuple(draw.integers(0, 4, draw.integers(0, 4)))
        return (100 * draw.standard_normal(shape[::-1])).T.astype(dtype, order="C")
    plain = [None, True, -(2**127), 0.1 + float(draw.random()), "ä\n\0", math.inf, -0.0, np.float32(1.5)]
    return plain[draw.integers(0, len(plain))]


@pytest.mark.parametrize("seed", range(30))
def test_a_state_comes_back_as_it_was(seed, tmp_path):
    state = [drawn(np.random.default_rng(seed)) for _ in range(3)]
    save_checkpoint(tmp_path / "x.npz", state)
    assert same(state, load_checkpoint(tmp_path / "x.npz"))


def test_nan_comes_back(tmp_path):
    save_checkpoint(tmp_path / "x.npz", {"loss": [math.nan]})
    assert math.isnan(load_checkpoint(tmp_path / "x.npz")["loss"][0])


@pytest.mark.parametrize("value", [object(), Tensor([1.0]), {1, 2}, np.array([None]), lambda: None, 1j])
def test_what_is_no_data_is_refused_before_anything_is_written(value, tmp_path):
    path = tmp_path / "x.npz"
    save_checkpoint(path, "old")
    with pytest.raises(TypeError, match=type(value).__name__):
        save_checkpoint(path, {"a": [value]})
    assert load_checkpoint(path) == "old"


def test_an_array_of_objects_is_refused_by_its_dtype(tmp_path):
    for value in (np.array([None]), np.zeros(1, [("name", object)])[0]):
        with pytest.raises(TypeError, match="arrays of them.*no .* of dtype .*(object|'O')"):
            save_checkpoint(tmp_path / "x.npz", value)


@pytest.mark.parametrize("failing", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_crash_in_the_middle_of_writing_costs_nothing(failing, error, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    save_checkpoint(path, {"epoch": 1})

    def crash(*arguments, **settings):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, crash)
        with pytest.raises(type(error)):
            save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"], "nothing is left over"
    save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path) == {"epoch": 2}


@POSIX_ONLY
def test_a_process_that_is_killed_while_writing_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    save_checkpoint(path, {"epoch": 1})
    code = f"""
    import os, signal
    from tinytorch.core.training import save_checkpoint
    os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
    save_checkpoint({str(path)!r}, {{"epoch": 2}})
    """
    process = child(code)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert load_checkpoint(path) == {"epoch": 1}


@POSIX_ONLY
def test_what_is_no_regular_file_is_never_replaced(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(ValueError, match="no regular file"):
            save_checkpoint(path, {"epoch": 1})
    assert pipe.is_fifo() and folder.is_dir()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "pipe"]


def test_folders_are_made_and_a_link_stays_one(tmp_path):
    save_checkpoint(tmp_path / "a" / "b" / "x.npz", 1)
    link = tmp_path / "latest.npz"
    try:
        link.symlink_to(tmp_path / "a" / "b" / "x.npz")
    except OSError:
        return  # Windows without the right to make links
    save_checkpoint(link, 2)
    assert link.is_symlink()
    assert load_checkpoint(tmp_path / "a" / "b" / "x.npz") == 2


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def document(**entries):
    return npz(document=np.frombuffer(json.dumps(entries).encode(), np.uint8))


FOREIGN = {
    "empty": b"",
    "text": b"epoch,loss\n1,0.5\n",
    "pickle": pickle.dumps({"model": [1]}),
    "one array": npy(np.ones(3)),
    "arrays only": npz(weight=np.ones(3)),
    "another format": document(format="other", version=1, state=1),
    "a later version": document(format="tinytorch checkpoint", version=2, state=1),
    "no state": document(format="tinytorch checkpoint", version=1),
    "an array that is missing": document(format="tinytorch checkpoint", version=1, state={"array": "array7"}),
    "an unknown kind": document(format="tinytorch checkpoint", version=1, state={"set": [1]}),
    "objects": npz(document=np.array([{"a": 1}], dtype=object)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_named(kind, tmp_path):
    path = tmp_path / "foreign.npz"
    path.write_bytes(FOREIGN[kind])
    trainer = make()
    before = bits(trainer)
    with pytest.raises(ValueError, match=r"foreign\.npz \([\d,]+ bytes\): expected a tinytorch checkpoint, version 1"):
        trainer.load_checkpoint(path)
    assert bits(trainer) == before
    assert path.read_bytes() == FOREIGN[kind]


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere.npz")


def test_nothing_in_a_file_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "x.npz").write_bytes(npz(document=np.array([Trap()], dtype=object)))
    with pytest.raises(ValueError, match=r"x\.npz"):
        load_checkpoint(tmp_path / "x.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_file_gives_an_error_or_the_truth(tmp_path):
    """Cut off anywhere, or with one byte changed anywhere."""
    path, state = tmp_path / "x.npz", {"weights": np.arange(5.0), "history": [0.5, 0.25]}
    save_checkpoint(path, state)
    data = path.read_bytes()
    damaged = [data[:length] for length in range(0, len(data), 23)] + [data[:-1]]
    damaged += [data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :] for place in range(len(data))]
    wrong = 0
    for version in damaged:
        path.write_bytes(version)
        try:
            assert same(load_checkpoint(path), state)
        except ValueError as error:
            assert "x.npz" in str(error)
            wrong += 1
    assert wrong > len(damaged) / 2


# Ctrl-C.


# a shell starts what it puts into the background deaf to it
signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(1)
        done.append(2)
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_block_comes_through_and_a_thread_may_use_it():
    with pytest.raises(OSError, match="disk"), uninterrupted():
        raise OSError("disk")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ends = []

    def work():
        with uninterrupted():
            ends.append(make().fit(WHOLE, 1)["lr"])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ends == [[0.05]]


def test_whoever_ignores_ctrl_c_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_step_is_finished_before_the_run_stops():
    trainer = make()
    update = trainer.optimizer.step

    def interrupted_step():
        signal.raise_signal(signal.SIGINT)
        update()

    twin = make()
    manual_seed(2)
    twin.fit(WHOLE, 1)
    trainer.optimizer.step = interrupted_step
    manual_seed(2)
    assert trainer.fit(WHOLE, 5) == {}
    assert trainer.position["step"] == 1
    for name, array in twin.model.state_dict().items():
        np.testing.assert_array_equal(trainer.model.state_dict()[name], array)


@POSIX_ONLY
def test_a_real_ctrl_c(tmp_path):
    """A run of its own, interrupted in its third epoch, keeps history and checkpoint and goes on to the next line."""
    code = f"""
    import json, sys, time
    import numpy as np
    from tinytorch.core.layers import Linear
    from tinytorch.core.losses import MSELoss
    from tinytorch.core.optimizers import Adam
    from tinytorch.core.tensor import manual_seed
    from tinytorch.core.training import Callback, Checkpoint, Trainer

    class Slow:
        def __iter__(self):
            for i in range(50):
                if trainer.epoch == 2 and i == 3:
                    print("waiting", flush=True)
                    time.sleep(60)
                yield np.ones((2, 3)), np.ones((2, 1))

    class Ends(Callback):
        def on_fit_end(self, trainer):
            print("closed", flush=True)

    manual_seed(0)
    model = Linear(3, 1)
    checkpoint = Checkpoint({str(tmp_path / "run.npz")!r})
    trainer = Trainer(model, MSELoss(), Adam(model.parameters()), callbacks=[checkpoint, Ends()])
    history = trainer.fit(Slow(), 10)
    assert all(np.isfinite(p.numpy()).all() for p in model.parameters())
    print(json.dumps(history))
    """
    process = child(code)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("waiting"):
            process.send_signal(signal.SIGINT)
            break
    started = time.monotonic()
    out, problems = process.communicate(timeout=60)
    assert process.returncode == 0, problems
    assert time.monotonic() - started < 30, "it did not wait for the loader"
    rest = out.strip().splitlines()
    assert rest[0] == "closed"
    assert rest[1] == "interrupted in epoch 3 after 3 steps; the history holds 2 epochs"
    history = json.loads(rest[2])
    assert len(rest) == 3
    assert len(history["loss"]) == 2
    saved = load_checkpoint(tmp_path / "run.npz")
    assert saved["history"] == history
    assert saved["position"]["epoch"] == 2
    assert not problems


# The bar.

SHOW = """
import time
import numpy as np
from tinytorch.core.layers import Linear
from tinytorch.core.losses import MSELoss
from tinytorch.core.optimizers import SGD
from tinytorch.core.training import Trainer

class Loader(list):
    def __iter__(self):
        for pair in super().__iter__():
            time.sleep(0.004)
            yield pair

model = Linear(3, 1)
trainer = Trainer(model, MSELoss(), SGD(model.parameters(), lr=0.01))
trainer.fit(Loader([(np.ones((2, 3)), np.ones((2, 1)))] * 40), 3)
print("after")
"""


def test_a_pipe_gets_a_line_for_each_epoch():
    out = finish(child(SHOW))
    lines = out.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3", "after"]
    assert all(re.fullmatch(r"epoch ./3  loss \S+  lr 0\.01  \d\.\d s", line) for line in lines[:3])
    assert "\r" not in out
    assert "\x1b" not in out
    assert out.isascii()


@POSIX_ONLY
def test_a_terminal_gets_one_line_that_is_rewritten():
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    home = str(Path(tinytorch.__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SHOW],
        env={**os.environ, "PYTHONPATH": home}, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so where the other side is closed
            break
        if not piece:
            break
        data += piece
    os.close(ours)
    _, problems = process.communicate(timeout=60)
    assert process.returncode == 0, problems
    text = data.decode("ascii")
    assert "\x1b" not in text
    lines = text.split("\r\n")
    assert [line.rsplit("\r", 1)[-1][:9] for line in lines[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert lines[3:] == ["after", ""]
    frames = [frame for line in lines[:3] for frame in line.split("\r") if frame]
    assert 4 < len(frames) < 3 * 40
    assert any("#" in frame and "/40" in frame for frame in frames)
    assert all(len(frame) < 50 for frame in frames), "no line is as wide as the terminal"
    last = [line.rsplit("\r", 1)[-1] for line in lines[:3]]
    assert all("loss" in frame and "#" not in frame for frame in last)
    assert all(len(frame) >= len(line.split("\r")[-2]) for frame, line in zip(last, lines, strict=False)), "bar covered"


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch):
    shown, updates = [], []

    class Handle:
        def update(self, data, raw):
            updates.append(data["text/plain"])

    def display(data, raw, display_id):
        shown.append(data["text/plain"])
        return Handle()

    fake = types.ModuleType("IPython")
    fake.display = types.SimpleNamespace(display=display)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    trainer = make(callbacks=[ProgressBar(stream, seconds=0)])
    trainer.fit(Shuffled(), 3)
    assert len(shown) == 1
    assert len(updates) == 3 * 6 - 1
    assert updates[-1].startswith("epoch 3/3")
    assert stream.getvalue() == ""


def test_the_bar_is_not_drawn_more_often_than_asked(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    trainer = make(callbacks=[ProgressBar(stream, seconds=1000)])
    trainer.fit(WHOLE * 50, 2)
    assert stream.getvalue().count("\r") == 3, "one at the start, one at the end of each epoch"
    unknown = io.StringIO()
    unknown.isatty = lambda: True
    loader = type("Unmeasured", (), {"__iter__": lambda self: iter(WHOLE * 3)})()
    make(callbacks=[ProgressBar(unknown, seconds=0)]).fit(loader, 1)
    assert "step 2" in unknown.getvalue()


def test_an_interrupted_line_is_ended_before_anything_else_is_said(capsys):
    stream = io.StringIO()
    stream.isatty = lambda: True
    make(callbacks=[ProgressBar(stream, seconds=0), InterruptAt(1, 2)]).fit(Shuffled(), 1)
    assert stream.getvalue().endswith("\n")
    assert capsys.readouterr().out.startswith("interrupted in epoch 1 after 2 steps")


def test_exported_names_are_those_of_the_course():
    assert {"Trainer", "EarlyStopping", "Checkpoint", "evaluate", "collect_state"} <= set(training.__all__)
    assert collect_state(make())["history"] == {}
