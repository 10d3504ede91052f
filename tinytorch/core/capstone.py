"""Capstone: An entry for the course's olympics: a plan, a search that keeps its evidence, data that do not leak, and a
file from which somebody else builds the model.

Exported from module 20_capstone by tito export. Edit the notebook of that module, not this file.
"""

__all__ = [
    "DTYPES", "Step", "order_steps", "split", "check", "Writer", "filled", "make_conv2d", "make_linear", "make_gpt",
    "MAKERS", "KINDS", "make_layer", "layers_of", "pack", "build", "Trial", "search", "chosen", "choose_epoch",
    "manifest_of",
]

import itertools
import math
import operator
from typing import NamedTuple

import numpy as np

from .activations import ReLU
from .layers import Linear, Module, Sequential
from .memoization import cache_for, forward_cached
from .quantization import dequantize, quantize_channels
from .spatial import Conv2d, Flatten, MaxPool2d, pair
from .transformers import GPT
from ..submissions import MOST_ARRAY_BYTES, find_division

DTYPES = np.float32, np.float16, np.int8, np.uint8, np.int32  # of what a submission may hold


class Step(NamedTuple):
    """What may be done to a network. after: names of steps that come before it, where they come at all."""

    name: str
    seconds: float  # on the network as it is at first
    factor: float  # the size afterwards, of the size before
    wrong: int = 0  # images more that are read wrong
    after: tuple = ()


def order_steps(steps, seconds, wrong):
    """Names of those `steps`, in that order, that leave the smallest size within both budgets.

    Ties: the least time, the fewest steps, then the order of `steps`. Raises ValueError naming a budget below
    0, the name that two steps have, and a name in `after` that no step has.
    """
    names = [step.name for step in steps]
    for name in names + [name for step in steps for name in step.after]:
        if names.count(name) != 1:
            raise ValueError(f"order_steps: {names.count(name)} steps are called {name!r}")
    if min(seconds, wrong) < 0:
        raise ValueError(f"order_steps: a budget of {min(seconds, wrong)} is below 0")
    best, plan = (math.inf,), []
    for count in range(len(steps) + 1):
        for order in itertools.permutations(steps, count):
            size, time, closed, fits = 1, 0, set(), sum(step.wrong for step in order) <= wrong
            for step in order:
                fits = fits and step.name not in closed
                closed.update(step.after)
                time, size = time + step.seconds * size, size * step.factor
            if fits and time <= seconds and (size, time) < best:
                best, plan = (size, time), [step.name for step in order]
    return plan


def split(x, y, parts, origin=None):
    """{name: (rows of x, rows of y)} for `parts`, {name: indices}, none of which holds what another holds.

    origin: n integers; rows of one origin have to be in one part, as identical rows have. Raises ValueError
    for leaks, for x and y of different lengths, for a part without rows and for indices outside of 0 … n − 1.
    """
    if len(x) != len(y):
        raise ValueError(f"split: {len(x)} rows of x, and {len(y)} of y")
    first, leaks = {}, {}
    for name, indices in parts.items():
        if len(indices) == 0:
            raise ValueError(f"split: part {name!r} has no rows")
        for place, i in enumerate(indices):
            if not 0 <= i < len(x):
                raise ValueError(f"split: part {name!r} has index {i}, of {len(x)} rows")
            keys = i if origin is None else origin[i], x[i].tobytes()
            for holder in {first.setdefault(key, name) for key in keys} - {name}:
                leaks[name, place] = f"row {i} of {name!r} is in {holder!r}"
    if leaks:
        raise ValueError(f"split: {len(leaks)} rows leak; first of all {next(iter(leaks.values()))}")
    return {name: (x[list(indices)], y[list(indices)]) for name, indices in parts.items()}


def check(submission, most=MOST_ARRAY_BYTES):
    """The bytes of all arrays of a Submission. Raises ValueError for what a stranger should not load.

    That is no array of float32, float16, int8, uint8 or int32, more than `most` bytes, nan and infinity.
    """
    for name, array in submission.arrays.items():
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        if kind not in DTYPES:
            raise ValueError(f"check: entry {name!r} is of {kind}")
    total = sum(array.nbytes for array in submission.arrays.values())
    if total > most:
        raise ValueError(f"check: {total} bytes of arrays; {most} are allowed")
    for name, array in submission.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"check: entry {name!r} holds what is not finite")
    return total


class Writer(Module):
    """A GPT that is given one token at a time: `start()`, then `step(token)`, the logits of the next one.

    Keys and values are kept until the block is full; then its second half is read again, as in `generate`.
    """

    def __init__(self, gpt):
        super().__init__()
        self.gpt = gpt
        self.start()

    def start(self):
        self.read, self.cache = [], cache_for(self.gpt, 1)

    def step(self, token):
        self.read, new = [*self.read, int(token)], [int(token)]
        if self.cache.length == self.gpt.block_size:
            self.cache = cache_for(self.gpt, 1)
            self.read = new = self.read[-max(self.gpt.block_size // 2, 1) :]
        return forward_cached(self.gpt, [new], self.cache).numpy()[0, -1]


def filled(layer, state):
    if isinstance(layer, Module):
        layer.load_state_dict(state)
    elif state:
        raise RuntimeError(f"{type(layer).__name__} has no arrays; unexpected: {', '.join(state)}")
    return layer


def make_conv2d(state, said):
    """A Conv2d whose sizes are those of its weight (O, C, kh, kw)."""
    outputs, inputs, *kernel = state["weight"].shape
    places = pair(said["stride"]), pair(said["padding"])
    return filled(Conv2d(inputs, outputs, tuple(kernel), *places, bias="bias" in state), state)


def make_linear(state, said):
    outputs, inputs = state["weight"].shape
    return filled(Linear(inputs, outputs, bias="bias" in state), state)


def make_gpt(state, said):
    """A Writer with a GPT whose sizes are those of its state."""
    vocabulary, width = state["tokens.weight"].shape
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    block_size, n_head, approximate = (said[path] for path in KINDS["GPT"][1])
    sizes, bias = (vocabulary, block_size, depth, n_head, width), "norm.bias" in state
    return Writer(filled(GPT(*sizes, bias=bias, approximate=approximate), state))


# kind: a function (state, description) -> layer. A kind of your own is one entry more, in an exported cell
MAKERS = {
    "conv2d": make_conv2d, "linear": make_linear, "gpt": make_gpt,
    "relu": lambda state, _: filled(ReLU(), state), "flatten": lambda state, _: filled(Flatten(), state),
    "max_pool2d": lambda state, said: filled(MaxPool2d(*map(said.__getitem__, KINDS["MaxPool2d"][1])), state),
}  # fmt: skip
# a class's name: (kind, the settings that shapes do not tell, as paths from the layer)
KINDS = {
    "Linear": ("linear", ()), "ReLU": ("relu", ()), "Flatten": ("flatten", ()),
    "Conv2d": ("conv2d", ("stride", "padding")),
    "MaxPool2d": ("max_pool2d", ("kernel_size", "stride", "padding")),
    "GPT": ("gpt", ("block_size", "blocks.0.attention.num_heads", "blocks.0.approximate")),
}  # fmt: skip


def make_layer(said, state):
    """The layer that `said`, {"kind": …, "name": …, …}, describes, with the arrays of `state`.

    Raises ValueError for a kind that is not in MAKERS, and where settings or arrays are missing or left over.
    """
    kind, name = said.get("kind"), said.get("name")
    if kind not in MAKERS:
        raise ValueError(f"layer {name!r} is of kind {kind!r}; known are {', '.join(MAKERS)}")
    try:
        return MAKERS[kind](state, said)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"layer {name!r}, a {kind}, does not fit its entries: {error}") from error


def layers_of(model):
    """The layers of Sequentials in Sequentials, in a row."""
    return [one for part in model for one in layers_of(part)] if isinstance(model, Sequential) else [model]


def pack(model, bits=8):
    """(arrays, layers) for a Submission, from a Sequential or a GPT. bits: of the codes; None: all float32.

    Raises ValueError for a layer that KINDS does not know, or that would not come back with all its settings.
    """
    arrays, layers = {}, []
    for number, layer in enumerate(layers_of(model)):
        name, state = type(layer).__name__, getattr(layer, "state_dict", dict)()
        if name not in KINDS:
            raise ValueError(f"pack: layer {number} is a {name}, which KINDS does not know")
        kind, paths = KINDS[name]
        settings = {path: operator.attrgetter(path)(layer) for path in paths}
        layers.append({"kind": kind, "name": str(number), **settings})
        again = make_layer(layers[-1], state)
        if repr(getattr(again, "gpt", again)) != repr(layer):
            raise ValueError(f"pack: layer {number} is {layer}, and would come back as {again}")
        for entry, array in state.items():
            entry = f"{number}.{entry}"
            arrays[entry] = array.astype(np.float32)
            if bits and array.ndim > 1:
                arrays[entry], arrays[f"{entry}.scale"] = quantize_channels(array, bits=bits)
    return arrays, layers


def build(submission):
    """The model that a Submission describes, in evaluation mode and without gradients; nothing is trained.

    int8 arrays are codes, whose scales are the entry with `.scale` behind; shapes are read off the arrays.
    Raises ValueError as `check` and `make_layer` do, for codes without scales, for entries that no layer
    reads, and for a manifest without layers.
    """
    check(submission)
    arrays, layers, read = submission.arrays, [], set()
    described = submission.manifest.get("layers")
    if not described:
        raise ValueError("build: the manifest describes no layers")
    for said in described:
        prefix, state = f"{said.get('name')}.", {}
        own = [entry for entry in arrays if entry.startswith(prefix)]
        scales = {f"{entry}.scale" for entry in own if arrays[entry].dtype == np.int8}
        for entry in own:
            array, scale = arrays[entry], f"{entry}.scale"
            if array.dtype == np.int8 and scale not in arrays:
                raise ValueError(f"build: entry {entry!r} is codes, and there is no {scale!r}")
            if entry not in scales:
                numbers = dequantize(array, arrays[scale]) if array.dtype == np.int8 else array
                state[entry.removeprefix(prefix)] = numbers.astype(np.float32)
        layers.append(make_layer(said, state))
        read.update(own)
    for entry in arrays.keys() - read:
        raise ValueError(f"build: no layer reads the entry {entry!r}")
    model = layers[0] if len(layers) == 1 else Sequential(*layers)
    return model.eval().requires_grad_(False)


class Trial(NamedTuple):
    """One run of a search. scores: {} where it failed, and error says how; else error is empty."""

    number: int
    configuration: dict
    seed: int
    scores: dict
    error: str = ""


def search(evaluate, space, draws, seeds, generator):
    """Yield the Trials of `draws` configurations of `space`, {name: values}, each with the same seeds.

    evaluate(configuration, seed): a dictionary of scores; what it raises is kept as the trial's error.
    Raises ValueError, when the first Trial is asked for, naming seeds below 1, and draws that are not from 1
    to the number of configurations, which is 0 for a space without names.
    """
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
    """The configuration of the smallest mean cost whose mean accuracy over its trials is at least `floor`.

    Ties: the larger accuracy, then the earlier one. Raises ValueError naming the floor where there is none.
    """
    configurations = []
    for trial in record:
        if trial.configuration not in configurations:
            configurations.append(trial.configuration)
    best, choice = (math.inf, math.inf), None
    for configuration in configurations:
        own = [trial for trial in record if trial.configuration == configuration]
        if any(trial.error for trial in own):
            continue
        accuracy, cost = (sum(one.scores[name] for one in own) / len(own) for name in ("accuracy", "cost"))
        if math.isfinite(accuracy + cost) and accuracy >= floor and (cost, -accuracy) < best:
            best, choice = (cost, -accuracy), configuration
    if choice is None:
        raise ValueError(f"chosen: none of {len(configurations)} configurations reaches {floor}")
    return choice


def choose_epoch(curves):
    """The earliest epoch whose mean error is within one standard error of the lowest mean: an int.

    curves: (seeds, epochs), lower is better; epochs that are not finite for all seeds do not count (Breiman
    and others, 1984). Raises ValueError for fewer than two seeds, for no epochs, and where none is finite.
    """
    curves = np.asarray(curves, float)
    if curves.ndim != 2 or len(curves) < 2 or curves.shape[1] == 0:
        raise ValueError(f"choose_epoch: curves are (at least 2 seeds, epochs), not of shape {curves.shape}")
    finite = np.isfinite(curves).all(axis=0)
    if not finite.any():
        raise ValueError("choose_epoch: no epoch is finite for all seeds")
    mean = np.where(finite, curves, np.inf).mean(axis=0)
    best = mean.argmin()
    error = curves[:, best].std(ddof=1) / math.sqrt(len(curves))
    return int(np.flatnonzero(mean <= mean[best] + error)[0])


def manifest_of(division, layers, changed=""):
    """The manifest. changed: your idea, in words. ValueError for "open" without it, and for other names."""
    if find_division(division).name == "open" and not changed:
        raise ValueError('an idea of your own is explained: manifest_of("open", layers, changed="…")')
    return {"division": division, "changed": changed, "layers": layers}
