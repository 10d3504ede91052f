"""Attention learns to copy, and a small GPT learns Shakespeare (Vaswani et al. 2017, Radford et al. 2019)."""

import math

import matplotlib.pyplot as plt
import numpy as np

from milestones.run import start
from tinytorch import causal_mask, causality_gap, focus, no_grad, optim, position_gap, token_windows
from tinytorch.datasets import load_shakespeare
from tinytorch.notebook import keep_trained
from tinytorch.text import BPETokenizer, CharTokenizer
from tinytorch.training import training_step
from tinytorch.transformers import GPT, attention_maps, generate, next_token_loss

SYMBOLS, LENGTH = 12, 12  # different symbols, and how many make a sequence
BATCH, BLOCK = 12, 64
PEAK = 1e-3


# What decides: computed here, in NumPy, from the logits of the model


def logits_of(model, ids):
    """The logits for rows of ids, 64 rows at a time: arrays of float64."""
    model.eval()
    with no_grad():
        for at in range(0, len(ids), 64):
            yield model(ids[at : at + 64]).numpy().astype(np.float64)


def loss_in_nats(model, inputs, targets, start=0):
    """The mean of -log softmax(logits)[target] over all places from `start` on, to which the targets belong."""
    total, at = 0.0, 0
    for logits in logits_of(model, inputs):
        logits = logits[:, start:]
        wanted = targets[at : at + len(logits), :, None]
        at += len(logits)
        peak = logits.max(axis=-1)
        log_sum = peak + np.log(np.exp(logits - peak[..., None]).sum(axis=-1))
        total += (log_sum - np.take_along_axis(logits, wanted, axis=-1)[..., 0]).sum()
    return total / targets.size


def all_windows(ids):
    """Inputs and targets (count, BLOCK) that follow each other: every id but the first is a target once."""
    count = (len(ids) - 1) // BLOCK
    return ids[: count * BLOCK].reshape(count, BLOCK), ids[1 : count * BLOCK + 1].reshape(count, BLOCK)


def counted_bigram(train, held_out, vocabulary):
    """The loss of counted pairs, 0.01 added to each, on other ids."""
    size = (vocabulary, vocabulary)
    counts, seen = (
        np.bincount(ids[:-1] * vocabulary + ids[1:], minlength=vocabulary**2).reshape(size) for ids in (train, held_out)
    )
    shares = (counts + 0.01) / (counts + 0.01).sum(axis=1, keepdims=True)
    return -(seen * np.log(shares)).sum() / seen.sum()


def probe(model, ids):
    """Whether the model looks into the future, at the past, at order, and whether its attention chooses."""
    model.eval()
    leak, reach = causality_gap(model, ids)
    run.result("leak from the future", leak)
    run.result("reach of the past", reach)
    run.result("position gap", position_gap(model, ids))
    run.result("focus", focus(attention_maps(model, ids), causal_mask(ids.shape[1], ids.shape[1])))


# Training


def optimizer_for(model, decay):
    matrices = [one for one in model.parameters() if one.ndim > 1]
    vectors = [one for one in model.parameters() if one.ndim < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return optim.AdamW([group for group in groups if group["params"]], lr=PEAK, betas=(0.9, 0.99))


def rate(step, steps, peak):
    """Up in a line over the first twentieth of the steps, then on a cosine down to a tenth."""
    warmup = steps // 20
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    share = (step - warmup) / (steps - warmup)
    return peak / 10 + (peak - peak / 10) * (1 + math.cos(math.pi * share)) / 2


def learn(model, batch_of, loss=next_token_loss, peak=PEAK, decay=0.1, name="checkpoint"):
    """Train for run.epochs steps on batch_of(generator); the losses."""
    optimizer = optimizer_for(model, decay)

    def take_step(step):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, run.epochs, peak)
        inputs, targets = batch_of(np.random.default_rng((run.seed, step)))
        value, _ = training_step(model, loss, optimizer, inputs, targets, clip_norm=1.0)
        return {"loss": value}

    losses = run.follow(model, optimizer, take_step, name=name)["loss"]
    run.setting["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    own = "your own operations of modules 11 to 13"
    run.setting["kernels"] = "provided, in place of " + own if run.kernels == "fast" else own
    return losses


# The report


def curve(losses, lines, unit):
    """The training losses, each the mean of 20 steps. lines: (name, height) of what they are compared with."""
    size = min(20, len(losses))
    means = np.array(losses[: len(losses) // size * size]).reshape(-1, size).mean(axis=1)
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.plot(size * np.arange(1, len(means) + 1), means, label="training, mean of 20 steps")
    for (name, height), style in zip(lines, ("--", "-.", ":"), strict=False):
        axes.axhline(height, linestyle=style, color="#8a8f98", label=name)
    axes.set(xlabel="step", ylabel=f"mean cross-entropy (nats a {unit})")
    figure.legend(loc="outside lower center", ncols=2)
    compared = "; ".join(f"{name} {height:.3f}" for name, height in lines)
    return figure, f"The loss falls from {means[0]:.3f} to {means[-1]:.3f} while the model learns. {compared}."


def heads(maps, labels, count=4):
    """Where the heads look. maps: (heads, T, T); labels: of the T places."""
    count = min(count, len(maps))
    figure, grid = plt.subplots(1, count, figsize=(8, 8 / count + 0.9), squeeze=False)
    for number, axes in enumerate(grid[0]):
        axes.imshow(maps[number], vmin=0, vmax=1)
        axes.set_title(f"head {number}", fontsize=8)
        axes.set_xticks(range(len(labels)), labels, fontsize=5)
        axes.set_yticks(range(len(labels)), labels, fontsize=5)
        axes.set_xlabel("looks at", fontsize=8)
    grid[0, 0].set_ylabel("place", fontsize=8)
    return figure


# Part (a)


def sequences(kind, count, generator):
    """(inputs (count, 2 · LENGTH), answers (count, LENGTH)): symbols, a sign for the task, the answer's beginning."""
    symbols = generator.integers(0, SYMBOLS, (count, LENGTH))
    backward = {"copying": np.zeros(count), "reversing": np.ones(count), "both mixed": generator.random(count) < 0.5}
    turned = backward[kind].astype(bool)
    answers = np.where(turned[:, None], symbols[:, ::-1], symbols)
    whole = np.concatenate([symbols, SYMBOLS + turned[:, None], answers], axis=1)
    return whole[:, :-1], answers


def loss_of_answers(logits, answers):
    return next_token_loss(logits[:, LENGTH:], answers)


def copying():
    for kind in ("copying", "reversing", "both mixed"):
        model = GPT(SYMBOLS + 2, 2 * LENGTH, n_layer=2, n_head=4, n_embd=64)
        name = kind.replace(" ", "-")
        learn(model, lambda draws, kind=kind: sequences(kind, 32, draws), loss_of_answers, 2e-3, 0.0, name)
        inputs, answers = sequences(kind, 1000, np.random.default_rng((run.seed, 2**40)))
        said = np.concatenate([logits[:, LENGTH:].argmax(axis=-1) for logits in logits_of(model, inputs)])
        run.result(f"accuracy of {kind}", (said == answers).all(axis=1).mean())
        run.result(f"held-out loss of {kind}", loss_in_nats(model, inputs, answers, LENGTH))
        maps = attention_maps(model, inputs[:1])
        labels = [*(chr(97 + i) for i in inputs[0, :LENGTH]), "?", *(chr(97 + i) for i in answers[0, :-1])]
        for layer in range(2):
            run.figure(
                f"{kind}, layer {layer}", heads(maps[layer, 0], labels),
                f"The four heads of layer {layer} for one unseen sequence ({kind}): each row says where a place looks, "
                "the brighter the more; ? is the sign of the task, and the answer follows it.",
            )  # fmt: skip
    probe(model, inputs[:2])
    run.about(
        f"GPTs of two layers of width 64 with 4 heads learned to repeat {LENGTH} random symbols of {SYMBOLS}, "
        f"forwards, backwards, and either as a sign says: three models, {run.epochs} steps each, on new sequences in "
        "every step. An answer counts where all its symbols are right, among 1,000 unseen sequences. The probes ask "
        "the last model."
    )
    return model


# Parts (b) and (c)


def shakespeare():
    text = load_shakespeare()
    cut = len(text) * 9 // 10
    if run.data == "characters":
        tokenizer = CharTokenizer(text)
    else:
        tokenizer = BPETokenizer.train(text[:cut], 512)
    train, held_out = (np.array(tokenizer.encode(part)) for part in (text[:cut], text[cut:]))
    unit = run.data.removesuffix("s")
    model = GPT(tokenizer.vocab_size, BLOCK, n_layer=4, n_head=4, n_embd=128)
    losses = learn(model, lambda draws: token_windows(train, BLOCK, BATCH, draws))

    inputs, targets = all_windows(held_out)
    loss, bigram = loss_in_nats(model, inputs, targets), counted_bigram(train, held_out, tokenizer.vocab_size)
    read = len(tokenizer.decode(targets.reshape(-1)).encode())
    run.result("held-out loss", loss)
    run.result("held-out loss of the counted bigram", bigram)
    run.result("held-out bits per byte", loss / math.log(2) * targets.size / read)
    probe(model, inputs[[0, len(inputs) // 2]])
    run.history["loss"] = losses
    run.figure("Training", *curve(losses, [("held out, at the end", loss), ("held out, counted bigram", bigram)], unit))
    begin = np.array([tokenizer.encode("\n")])
    for number, temperature in enumerate((0.5, 1.0)):
        draws = np.random.default_rng((run.seed, 2**40 + number))
        written = generate(model, begin, 300, temperature=temperature, generator=draws)[0]
        run.note(f"It writes, at temperature {temperature}: {tokenizer.decode(written).strip()}")
    maps = attention_maps(model, inputs[:1, :24])
    shown = [tokenizer.decode([i]).replace("\n", "⏎") for i in inputs[0, :24]]
    run.figure(
        "Where the last layer looks", heads(maps[-1, 0], shown),
        f"The four heads of the last layer for the first 24 {run.data} of the held-out text; each row says where a "
        "place looks, the brighter the more.",
    )  # fmt: skip
    run.about(
        f"A GPT of 4 layers of width 128 with 4 heads learned the first nine tenths of 40,000 lines of Shakespeare "
        f"by {run.data} ({tokenizer.vocab_size} different ones), in {run.epochs} steps of {BATCH} windows of {BLOCK}. "
        f"The last tenth is held out: {len(inputs):,} windows, from which nothing is learned and by which nothing is "
        "chosen. "
        f"The loss there is {loss:.3f} nats a {unit}; counted pairs reach {bigram:.3f}."
    )
    if run.data == "characters":
        run.about("nanoGPT, whose small recipe this is, reports 1.88.")
    return model


run = start(__file__)
model = copying() if run.data == "copying" else shakespeare()
keep_trained(f"{run.data}_gpt", model)
run.finish()
