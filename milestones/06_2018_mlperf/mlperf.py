"""Smaller and faster, by rules: variants of a CNN in two divisions, a GPT with and without a cache (MLPerf, 2018)."""

import copy
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from milestones.run import start
from tinytorch import Tensor, manual_seed, nn, no_grad, optim
from tinytorch.benchmarking import Candidate, compare, offline, pareto, rank, single_stream
from tinytorch.compression import (
    MaskedOptimizer,
    cubic_sparsity,
    factorize,
    magnitude_mask,
    rank_for,
    remove_channels,
    strongest_channels,
    weights_of,
)
from tinytorch.datasets import load_shakespeare
from tinytorch.kernels import use_kernels
from tinytorch.measuring import machine_record
from tinytorch.quantization import dequantize, quantize_model
from tinytorch.text import CharTokenizer
from tinytorch.training import training_step
from tinytorch.transformers import GPT, cache_for, forward_cached, generate, generate_cached, initialize

SPARSITY, ENERGY, HIDDEN = 0.6, 0.9, 7  # HIDDEN: the place of the largest Linear, in both networks
LEAST_SECONDS = 0.02  # of work between two looks at the clock
PAIRS, FEW_PAIRS, PAIRS_OF_TEXTS = 30, 12, 7  # of the verdict on the open entry, of each entry, of texts
SWEEPS = 5  # of both scenarios over all entries
PROMPT, NEW, BLOCK = 128, 128, 256
PAIRED, SINGLES = 1000, 100  # test images at most in a timed call, and those that come one by one
MANY = 4000  # images whose memory is counted: so many that what each thread holds for itself hardly counts


# The networks


def digits_cnn():
    """Module 16's: 53,002 parameters, for images (N, 1, 8, 8)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def lenet5():
    """Milestone 04's: 61,706 parameters, for images (N, 1, 28, 28)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


# the network, images in a batch, and how many outputs each layer keeps
RECIPES = {
    "digits": (digits_cnn, 32, {0: 20, 3: 40, 7: 64}),
    "mnist": (lenet5, 64, {0: 4, 3: 10, 7: 60, 9: 42}),
}


def train(model, data, steps, rate, name, sparsity=0.0):
    """SGD whose rate falls in a line to 0. sparsity: of the weights, reached after two thirds of the steps."""
    images, labels, batch = data
    weights, stage = list(weights_of(model).values()), len(run.checkpoints)
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    held = MaskedOptimizer(optimizer, weights)

    def take_step(step):
        if sparsity and (step % 10 == 0 or held.masks[-1].all()):  # the latter after an interruption
            now = cubic_sparsity(step - step % 10, steps * 2 // 3, sparsity)
            held.set_masks(magnitude_mask([weight.data for weight in weights], now))
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        picked = np.random.default_rng((run.seed, stage, step)).integers(len(labels), size=batch)
        value, _ = training_step(model, nn.CrossEntropyLoss(), held, Tensor(images[picked]), labels[picked])
        return {"loss": value}

    run.say(f"{name}: {steps:,} steps")
    run.history[name] = run.follow(model, optimizer, take_step, steps, name=name.replace(" ", "-"))["loss"]
    return model.eval()


def smaller_networks(reference, data, steps, keep):
    """{name: network} after each step of module 16; each begins with what the one before it left."""
    pruned = train(copy.deepcopy(reference), data, steps * 2 // 3, 0.03, "pruned", SPARSITY)
    narrow = remove_channels(pruned, strongest_channels(pruned, keep))
    narrow = train(narrow, data, steps * 2 // 3, 0.03, "fewer channels")
    thin = copy.deepcopy(narrow)
    thin[HIDDEN] = factorize(thin[HIDDEN], rank_for(thin[HIDDEN].weight.numpy(), ENERGY))
    thin = train(thin, data, steps // 3, 0.01, "two factors")
    return {"pruned": pruned, "fewer channels": narrow, "two factors": thin}


# What takes part: a file, and a model that was made of what lies in it


@dataclass
class Entry:
    """What a model became. bytes: of its file; model: made of that file; changes: what was done to the reference.

    Measured: accuracy, the Ratio of its time to the reference's, images a second offline, seconds of a single stream.
    """

    name: str
    bytes: int
    model: object
    changes: tuple = ()
    accuracy: float = float("nan")
    ratio: object = None
    offline: float = float("nan")
    latency: float = float("nan")


def in_file(model):
    """(bytes of a file with the model's state, that state as it is read back)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        np.savez(path, **model.state_dict())
        with np.load(path) as arrays:
            return path.stat().st_size, {name: arrays[name] for name in arrays.files}


def entry(name, model, *changes, kernels=None, shapes=None):
    """The Entry of a model. shapes: a float32 network into which the codes of the file are expanded, once."""
    size, state = in_file(model)
    made = copy.deepcopy(shapes or model).eval()
    made.load_state_dict({name: np.full_like(part, np.nan if part.dtype.kind == "f" else 0) for name, part in
                          made.state_dict().items()})  # fmt: skip
    if shapes:
        state = {name: expanded(state, name, part.shape) for name, part in made.state_dict().items()}
    made.load_state_dict(state)
    return Entry(name, size, use_kernels(made, kernels) if kernels else made, changes)


def expanded(state, name, shape):
    """The float32 array `name` of a network, from a state that may hold codes in its place."""
    scale = state.get(f"{name.rpartition('.')[0]}.scale")
    is_codes = state[name].dtype == np.int8
    return (dequantize(state[name], scale) if is_codes else state[name]).reshape(shape)


def all_entries(reference, smaller, seen):
    """The reference first. seen: training images, from which the ranges of inputs come."""
    open_changes = "pruning", "retraining", "another architecture"
    thin = smaller["two factors"]
    codes = quantize_model(thin)
    return [
        entry("reference", reference),
        entry("weights in 8 bits", quantize_model(reference), "quantization"),
        entry("weights and inputs in 8 bits", quantize_model(reference, [Tensor(seen)]), "quantization"),
        entry("your kernels", reference, "kernels", kernels="yours"),
        entry("pruned", smaller["pruned"], *open_changes[:2]),
        entry("fewer channels", smaller["fewer channels"], *open_changes[:2]),
        entry("two factors", thin, *open_changes),
        entry("small, in 8 bits", codes, *open_changes, "quantization", shapes=thin),
        entry("small, on your kernels", codes, *open_changes, "quantization", "kernels", shapes=thin, kernels="yours"),
    ]


# What decides: measured here


@no_grad()
def logits_of(model, images, size=250):
    return np.concatenate([model(Tensor(images[at : at + size])).numpy() for at in range(0, len(images), size)])


class Reading:
    """A program that reads all images `rounds` times, in an order that differs each time."""

    def __init__(self, model, images, rounds):
        self.model, self.images, self.rounds, self.draws = model, images, rounds, np.random.default_rng(run.seed)

    @no_grad()
    def __call__(self):
        for _ in range(self.rounds):
            self.model(Tensor(self.images[self.draws.permutation(len(self.images))])).numpy()


def rounds_for(model, images):
    """How often a model has to read the images for LEAST_SECONDS of work."""
    program, times = Reading(model, images, 1), []
    for _ in range(4):
        began = time.perf_counter()
        program()
        times.append(time.perf_counter() - began)
    return max(1, int(np.ceil(LEAST_SECONDS / min(times[1:]))))


@no_grad()
def peak_bytes(model, images):
    """The most memory that is held at a time while the model reads the images: counted, not timed."""
    model(Tensor(images))
    tracemalloc.start()
    model(Tensor(images))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure_entries(entries, images, labels):
    """Fill in what is measured of each entry; returns how many rounds a timed call reads."""
    reference, some = entries[0], images[:PAIRED]
    rounds, readers = rounds_for(reference.model, some), {}
    for one in entries:
        run.say(f"in pairs with the reference: {one.name}")
        one.accuracy = float((logits_of(one.model, images).argmax(axis=1) == labels).mean())
        programs = [Reading(model, some, rounds) for model in (one.model, reference.model)]
        one.ratio = in_pairs(*programs, FEW_PAIRS)
        readers[one.name] = no_grad()(lambda batch, one=one: one.model(Tensor(batch)).numpy())
    sweeps = {one.name: [] for one in entries}
    for _ in range(SWEEPS):  # in turns, so that a busy minute is everybody's
        for name, read in readers.items():
            latency = single_stream(read, some[:SINGLES], time.perf_counter)
            sweeps[name].append((offline(read, some, time.perf_counter), latency))
    for one in entries:
        one.offline, one.latency = np.median(sweeps[one.name], axis=0)
    return rounds


def in_pairs(a, b, pairs):
    """The Ratio of module 19: how many times as long `a` takes as `b`."""
    return compare(a, b, time.perf_counter, pairs, np.random.default_rng(run.seed))


def speed(found):
    """(how many times as fast, its interval) of a Ratio, which says how many times as long."""
    return 1 / found.median, (1 / found.upper, 1 / found.lower)


def smallest(entries, division):
    """The entry with the smallest file of those that a division takes, or None; and the ranking."""
    candidates = [Candidate(one.name, one.accuracy, one.ratio.median, one.changes) for one in entries]
    ranking = rank(candidates, candidates[0], division)
    taken = {placed.name for placed in ranking if placed.place is not None}
    return min((one for one in entries if one.name in taken), key=lambda one: one.bytes, default=None), ranking


def known_cases():
    """The share of cases, on a clock that only the programs move, in which module 19 says what is known."""
    now = [0.0]

    def takes(*seconds):
        left = list(seconds)

        def program(*_):
            now[0] += left.pop(0)

        return program

    def pairs(a, b):
        programs = takes(a[0], *a), takes(b[0], *b)  # the first call warms
        found = compare(*programs, lambda: now[0], len(a), np.random.default_rng(0))
        return found.verdict, round(found.median, 9)

    field = [
        Candidate("whole", 0.98, 2.0), Candidate("coarse", 0.5, 0.1, ("quantization",)),
        Candidate("pruned", 0.98, 1.0, ("pruning",)), Candidate("codes", 0.975, 3.0, ("quantization",)),
    ]  # fmt: skip
    places = {division: [(one.place, one.name) for one in rank(field, field[0], division)] for division in
              ("closed", "open")}  # fmt: skip
    told = [
        pairs([3] * 8, [4] * 8) == ("faster", 0.75),
        pairs([4] * 8, [3] * 8) == ("slower", round(4 / 3, 9)),
        pairs([3] * 8, [3] * 8) == ("not decided", 1),
        pairs([1, 4] * 4, [2] * 8) == ("not decided", 1.25),
        offline(takes(4), np.arange(8), lambda: now[0]) == 2,
        single_stream(takes(1, 1, 3, 1, 1, 1, 1, 1, 2, 1), np.arange(10), lambda: now[0]) == 2,
        list(pareto([(3, 1), (1, 3), (2, 2), (3, 3)], ("min", "min"))) == [0, 1, 2],
        places["closed"] == [(1, "whole"), (2, "codes"), (None, "coarse"), (None, "pruned")],
        places["open"] == [(1, "pruned"), (2, "whole"), (3, "codes"), (None, "coarse")],
    ]
    return sum(told) / len(told)


# Part (b): a GPT that remembers


class Writing:
    """A program that writes NEW tokens, after another prompt in each call; `texts` keeps them."""

    def __init__(self, write, model, prompts):
        self.write, self.model, self.prompts, self.texts = write, model, prompts, []

    def __call__(self):
        i = len(self.texts)
        self.texts.append(self.write(self.model, self.prompts[i : i + 1], NEW, generator=np.random.default_rng(i)))


@no_grad()
def logits_both_ways(model, text):
    """Logits (len(text), V) of a text as a whole; and from a cache, the prompt at once, then token by token."""
    cache = cache_for(model, 1)
    pieces = [text[None, :PROMPT], *(text[None, i : i + 1] for i in range(PROMPT, len(text)))]
    cached = np.concatenate([forward_cached(model, piece, cache).numpy()[0] for piece in pieces])
    return model(text[None]).numpy()[0], cached


def write_texts():
    """(Ratio of the time with the cache, differences of the logits at each place)."""
    text = load_shakespeare()
    ids = np.array(CharTokenizer(text).encode(text))
    model = initialize(GPT(65, BLOCK, 4, 4, 128), 4, np.random.default_rng(run.seed)).eval()
    starts = np.random.default_rng(run.seed).integers(len(ids) - PROMPT, size=PAIRS_OF_TEXTS + 1)
    prompts = ids[starts[:, None] + np.arange(PROMPT)]
    run.say(f"writing {NEW} tokens after {PROMPT}, {PAIRS_OF_TEXTS} pairs")
    cached, whole = (Writing(write, model, prompts) for write in (generate_cached, generate))
    found = in_pairs(cached, whole, PAIRS_OF_TEXTS)
    both = list(zip(cached.texts, whole.texts, strict=False))
    alike = [np.mean(one == other) for one, other in both if np.shape(one) == np.shape(other) == (1, PROMPT + NEW)]
    run.result("tokens alike", min(alike) if both and len(alike) == len(both) else 0)
    gain, interval = speed(found)
    run.result("speed with the cache", gain, interval)
    logits = logits_both_ways(model, np.concatenate([prompts[0], ids[:NEW]]))
    apart = np.abs(logits[0] - logits[1]).max(axis=1)
    run.result("logits apart with the cache", apart.max())
    return found, apart, len(both)


# The report


def pareto_plot(entries, floor):
    """Bytes against time beside the reference; who reaches the accuracy and is on the front is filled."""
    taking = [one for one in entries if one.accuracy >= floor]
    points = [(one.bytes, one.ratio.median) for one in taking]
    front = [taking[place] for place in pareto(points, ("min", "min"))]
    figure, axes = plt.subplots(figsize=(8, 5))
    for one, mark in zip(entries, "osD^vP*Xp", strict=True):
        found, size = one.ratio, one.bytes / 1e3
        error = [[found.median - found.lower], [found.upper - found.median]]
        label = f"{one.name}, {100 * one.accuracy:.2f} %"
        style = "full" if one in front else "none"
        axes.errorbar(size, found.median, error, fmt=mark, markersize=9, capsize=3, label=label, fillstyle=style)
    steps = sorted((one.bytes / 1e3, one.ratio.median) for one in front)
    axes.step(*zip(*steps, strict=True), where="post", linestyle="-", linewidth=1, color="#8a8f98", zorder=0)
    axes.axhline(1, linestyle=":", color="#8a8f98")
    axes.set(xlabel="kilobytes of the file", ylabel="time, reference 1", xscale="log", yscale="log")
    ticks = [one for one in (0.25, 0.5, 1, 2, 4, 8) if min(axes.get_ylim()) < one < max(axes.get_ylim())]
    axes.set_yticks(ticks, [f"{one:g}" for one in ticks])
    axes.yaxis.set_minor_formatter("")
    sizes = [one for one in (10, 20, 50, 100, 200, 500) if min(axes.get_xlim()) < one < max(axes.get_xlim())]
    axes.set_xticks(sizes, [f"{one:g}" for one in sizes])
    axes.xaxis.set_minor_formatter("")
    figure.legend(loc="outside lower center", ncols=2)
    names = "; ".join(one.name for one in front)
    return figure, (
        "The file of each entry, and its time in pairs with the reference, with its 95 % interval; less is better in "
        f"both. On the front, filled: {names}. Accuracies stand in the legend; an entry below 99 % of the reference's "
        "cannot be on it."
    )


def pairs_plot(open_ratio, cache_ratio):
    """How many times as fast in each pair, in their order, beside what is asked for."""
    figure, grid = plt.subplots(1, 2, figsize=(8, 3.4))
    words = []
    for axes, found, bound, title in zip(
        grid, (open_ratio, cache_ratio), (1, 4), ("Open entry, beside the reference", "With the cache"), strict=True
    ):
        gains = 1 / np.array(found.ratios)
        axes.plot(np.arange(1, len(gains) + 1), gains, "o")
        gain, (low, high) = speed(found)
        axes.axhspan(low, high, color="#3b82c4", alpha=0.25, lw=0)
        axes.axhline(bound, linestyle="--", color="#d9822b")
        axes.set(title=title, xlabel="pair", ylabel="times as fast", ylim=(0, 1.15 * max(*gains, bound)))
        words.append(f"{title}: {gain:.2f}, from {low:.2f} to {high:.2f}; {bound} is asked for")
    return figure, (
        "How many times as fast in each pair (dots), the 95 % interval of the median (band), and what is asked for "
        f"(dashed). {'. '.join(words)}."
    )


def logits_plot(apart):
    figure, axes = plt.subplots(figsize=(8, 3))
    axes.semilogy(np.arange(len(apart)), np.maximum(apart, 1e-9))
    axes.axhline(1e-4, linestyle="--", color="#d9822b")
    axes.axvline(PROMPT, linestyle=":", color="#8a8f98")
    axes.set(xlabel="place", ylabel="largest difference of logits", ylim=(1e-9, 1e-2))
    return figure, (
        f"The largest difference of the logits at each of {len(apart)} places, from the whole text and from the cache: "
        f"at most {apart.max():.1e}; 1e-4 (dashed) is allowed. From place {PROMPT} on (dotted) tokens come one by one. "
        "Where nothing differs, the line lies at the bottom."
    )


def table_of(entries):
    titles = "entry", "bytes", "times smaller", "accuracy (%)", "time, reference 1", "verdict"
    rows = [[*titles, "images a second, offline", "ms, single stream"]]
    for one in entries:
        smaller, accuracy = round(entries[0].bytes / one.bytes, 2), round(100 * one.accuracy, 2)
        timed = round(one.ratio.median, 2), one.ratio.verdict, round(one.offline), round(1e3 * one.latency, 3)
        rows.append([one.name, one.bytes, smaller, accuracy, *timed])
    return rows


def compress(train_set, test_set):
    make, batch, keep = RECIPES[run.data]
    (seen, labels), (images, answers) = ((scaled(one.images), one.labels) for one in (train_set, test_set))
    data = seen, labels, batch
    steps = run.epochs * (len(labels) // batch + 1)
    manual_seed(run.seed)
    reference = train(make(), data, steps, 0.05, "reference")
    entries = all_entries(reference, smaller_networks(reference, data, steps, keep), seen[:256])
    rounds = measure_entries(entries, images, answers)
    whole, some = entries[0], images[:PAIRED]
    chosen, rankings = {}, [["division", "place", "entry", "said"]]
    for division in ("closed", "open"):
        chosen[division], ranking = smallest(entries, division)
        rankings += [[division, one.place or "refused", one.name, one.said or "nothing was changed"] for one in ranking]
        if chosen[division]:
            run.result(f"times smaller, {division}", whole.bytes / chosen[division].bytes)
            run.result(f"accuracy kept, {division}", chosen[division].accuracy / whole.accuracy)
    found = None
    if chosen["open"]:
        run.say(f"the verdict on {chosen['open'].name}: {PAIRS} pairs")
        programs = [Reading(one.model, some, rounds) for one in (chosen["open"], whole)]
        found = in_pairs(*programs, PAIRS)
        run.result("speed, open", *speed(found))
    yours = next(one for one in entries if one.name == "your kernels")
    many = np.resize(images, (MANY, *images.shape[1:]))
    run.result("memory on your kernels", peak_bytes(yours.model, many) / peak_bytes(whole.model, many))
    logits = [logits_of(one.model, some) for one in (yours, whole)]
    run.result("logits apart on your kernels", np.abs(logits[0] - logits[1]).max())
    run.result("test accuracy of the reference", whole.accuracy)
    run.setting["kernels"] = "the provided ones, and yours where an entry says so"
    run.setting["parameters"] = sum(parameter.numel() for parameter in whole.model.parameters())
    run.figure("Bytes and time", *pareto_plot(entries, 0.99 * whole.accuracy))
    run.table("The entries", table_of(entries))
    run.note(
        f"A call that is timed in pairs reads {len(some):,} test images {rounds} times, each time in another order; "
        f"there are {FEW_PAIRS} pairs of each entry, and {PAIRS} new ones for the verdict. The reference is compared "
        "with itself, too: what its row differs from 1 by is noise. Offline is one call with all those images; single "
        f"stream is the 90th percentile of {SINGLES} images one by one; both are medians of {SWEEPS} sweeps."
    )
    run.table("The rankings, by time", rankings)
    names = {division: one.name if one else "none" for division, one in chosen.items()}
    run.about(
        f"A network learned from {len(labels):,} training images of {run.data} and became smaller in the ways of "
        "modules 15 and 16, or ran on the kernels of module 18. Each entry was written to a file; what is measured is "
        "the model that was made of what was read back. In each division the smallest file of those that may take part "
        f"counts: {names['closed']} (closed), {names['open']} (open)."
    )
    return found


def scaled(images):
    """Float32 from 0 to 1."""
    return images / np.float32(255) if images.dtype == np.uint8 else images


run = start(__file__)
train_images, test_images = run.load()
run.result("known cases", known_cases())
open_ratio = compress(train_images, test_images)
cache_ratio, apart, texts = write_texts()
if open_ratio:
    run.figure("What decided", *pairs_plot(open_ratio, cache_ratio))
run.figure("The same logits", *logits_plot(apart))
run.about(
    f"A GPT of 4 layers of width 128 with 4 heads, block {BLOCK}, its weights as they start, wrote {NEW} tokens after "
    f"{PROMPT} of Shakespeare's, {texts} texts by each way, with the cache of module 17 and without."
)
run.setting |= {name: str(value) for name, value in machine_record().items() if name in ("processor", "blas", "load")}
run.finish()
