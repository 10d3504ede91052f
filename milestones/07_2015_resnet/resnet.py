"""Depth that trains: ResNet-20 tells photographs apart, and 44 layers learn with skips (He, Zhang, Ren, Sun 2015)."""

import copy

import matplotlib.pyplot as plt
import numpy as np

from milestones.callbacks import LossByStep, RateByStep
from milestones.kernels import kernel_times
from milestones.pictures import bars, confusion, kernels, training_curve, worst_mistakes
from milestones.run import start
from tinytorch import Tensor, accuracy, cat, manual_seed, nn, no_grad, optim
from tinytorch.datasets import ImageDataset
from tinytorch.notebook import keep_trained
from tinytorch.residual import FusedBlock, ResidualBlock, ResNet, fuse, norm_relu
from tinytorch.training import Trainer, confusion_matrix
from tinytorch.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToFloat
from tinytorch.utils.data import DataLoader

RATE, BATCH, DECAY, SHIFT = 0.1, 64, 5e-4, 2
# ResNet-20 on photographs: in ten epochs more and smaller steps count, smaller shifts, and blocks that work at once
PHOTO_RATE, PHOTO_BATCH, PHOTO_SHIFT = 0.05, 32, 1
LABEL_SMOOTHING = 0.0  # the share of the target that all classes get alike
SEEDS = 3  # of the comparison of depths
NETWORKS = {"plain, 20": (3, False), "plain, 44": (7, False), "with skips, 20": (3, True), "with skips, 44": (7, True)}
PHOTOGRAPHS = ["airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


# The networks


class PlainBlock(ResidualBlock):
    """The two convolutions of a ResidualBlock, one after the other: nothing goes around them."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__(in_channels, out_channels, stride)
        self.shortcut = nn.Sequential()

    def forward(self, x):
        return norm_relu(self.bn2, self.conv2(norm_relu(self.bn1, self.conv1(x))))


def network(blocks_per_stage, has_skips, *, zero_init=True, **sizes):
    """Depth 6 · blocks_per_stage + 2. zero_init: each block with a skip starts as its shortcut."""
    model = ResNet(blocks_per_stage, zero_init=has_skips and zero_init, **sizes)
    if not has_skips:
        convolutions = [block.conv1 for block in model.blocks]
        plain = [PlainBlock(conv.in_channels, conv.out_channels, conv.stride[0]) for conv in convolutions]
        model.blocks = nn.Sequential(*plain)
    return fuse(model)


def trainer_for(model, steps, rate):
    """SGD with Nesterov's momentum; what is no weight (of the norms, and biases) does not decay."""
    weights = [one for one in model.parameters() if one.ndim > 1]
    others = [one for one in model.parameters() if one.ndim < 2]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    schedule = RateByStep(optim.lr_scheduler.WarmupDecayLR(optimizer, steps // 5, steps))
    loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    return Trainer(model, loss, optimizer, metrics=[accuracy], callbacks=[schedule])


def without_branches(model, places):
    """A copy in which the blocks at these places give their shortcut alone."""
    model = copy.deepcopy(model)
    for place in places:
        norm = model.blocks[place].bn2
        norm.weight.data[...] = norm.bias.data[...] = 0
    return model


def how_blocks_ran(model):
    is_fused = all(isinstance(block, FusedBlock) for block in model.blocks)
    return "fused, by the provided kernels" if is_fused else "as you wrote them"


# What is measured: in NumPy, from the logits


def logits_of(model, images, size=250):
    with no_grad():
        return cat([model(Tensor(images[at : at + size])) for at in range(0, len(images), size)]).numpy()


def right(model, images, labels):
    """The share of images that are read right, in evaluation."""
    return float((logits_of(model.eval(), images).argmax(axis=1) == labels).mean())


def training_loss(model, images, labels):
    """The mean cross-entropy of a copy that normalizes each 250 images by themselves, as in training."""
    logits = logits_of(copy.deepcopy(model).train(), images).astype(np.float64)
    peak = logits.max(axis=1)
    log_sum = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return float((log_sum - logits[np.arange(len(labels)), labels]).mean())


# One network reads images


def read_images(train, test):
    photos = run.data == "cifar10"
    sizes = {} if photos else {"in_channels": 1, "width": 8}
    names = PHOTOGRAPHS if photos else "0123456789"
    test.transform, train.transform = transforms_for(photos, PHOTO_SHIFT)
    model = network(3, True, zero_init=not photos, **sizes)
    loader = DataLoader(train, PHOTO_BATCH if photos else 32, shuffle=True, prefetch=2)
    steps = run.epochs * len(loader)
    trainer = trainer_for(model, steps, PHOTO_RATE if photos else RATE)
    history = run.fit(trainer, loader, test=DataLoader(test, 500))
    images, labels = test.transform(test.images), test.labels
    logits = logits_of(model.eval(), images)
    run.result("test accuracy", (logits.argmax(axis=1) == labels).mean())
    if photos:
        both = logits + logits_of(model, images[..., ::-1])
        run.result("test accuracy, asked twice", (both.argmax(axis=1) == labels).mean())

    matrix = confusion_matrix(logits, labels)
    expected = [(run.epochs, claim["at_least"]) for claim in run.asserts if claim["metric"] == "test accuracy"]
    run.figure("Training", *training_curve(history, expected))
    if photos:
        run.figure("Class by class", *bars(names, np.diag(matrix) / matrix.sum(axis=1), "test accuracy (%)"))
    run.figure("What is taken for what", *confusion(matrix, names))
    pixels = ToFloat()(test.images) if photos else test.images
    run.figure("The worst mistakes", *worst_mistakes(pixels, labels, logits, names))
    run.figure("What the first convolution looks for", *kernels(model.conv1.weight.numpy()))
    run.figure("What flows through the blocks", *stream(model, images[:250]))
    rows = [["blocks without their branch", "test accuracy (%)"]]
    for places in ([], *([place] for place in range(9)), range(9)):
        name = "none" if places == [] else "all nine" if len(places) > 1 else str(places[0] + 1)
        rows.append([name, round(100 * right(without_branches(model, places), images[:1000], labels[:1000]), 1)])
    run.table("What a block contributes", rows)
    run.note(f"The accuracies of the table are those on the first {min(len(labels), 1000):,} test images.")
    rows, note = kernel_times(model, loader, steps)
    run.table("The kernels", rows)
    run.setting["blocks"] = how_blocks_ran(model)
    run.note(f"{note} In both, the blocks ran {run.setting['blocks']}.")
    shown = "photographs, mirrored and shifted at random" if photos else "digits, shifted at random"
    run.about(
        f"ResNet-20 learned from {len(train):,} training images ({shown}) in {run.epochs} epochs, with the blocks of "
        f"your module 21. After every epoch it read {len(test):,} test images, from which it does not learn. Nothing "
        "was chosen by them: the result is that of the last epoch."
    )
    if photos:
        run.about(
            "Asked twice, the network reads a photograph and its mirror image, and the mean of both outputs counts; "
            "Krizhevsky, Sutskever and Hinton (2012) average ten views of each."
        )
        run.about(
            "He and his colleagues report 8.75 % mistakes, 91.25 % right, for ResNet-20 after 64,000 steps of 128 "
            "photographs; ten epochs are about 4,000 such steps."
        )
    keep_trained(f"{run.data}_resnet", model)


def transforms_for(photos, shift=SHIFT):
    """(of test images, of training images). shift: of photographs, in pixels at most."""
    if not photos:
        scale = Normalize(mean=(0.3,), std=(0.37,))
        return scale, Compose([RandomCrop(8, 1), scale])
    scale = Compose([ToFloat(), Normalize(mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))])
    return scale, Compose([RandomHorizontalFlip(), RandomCrop(32, shift, "reflect"), scale])


def stream(model, images):
    """The sizes of the values behind the last block of each stage, and how long each branch is beside its shortcut."""
    figure, (left, beside) = plt.subplots(1, 2, figsize=(8, 3.4))
    shares, bins = [], np.linspace(0, 6, 61)
    with no_grad():
        x = nn.functional.relu(model.bn1(model.conv1(Tensor(images))))
        for place, block in enumerate(model.blocks):
            around = block.shortcut(x).numpy()
            branch = block.bn2(block.conv2(nn.functional.relu(block.bn1(block.conv1(x))))).numpy()
            shares.append(np.linalg.norm(branch) / np.linalg.norm(around))
            x = block(x)
            if place % 3 == 2:
                counts = np.histogram(x.numpy(), bins)[0] / x.numel()
                left.semilogy(bins[:-1], np.where(counts > 0, counts, np.nan), label=f"behind block {place + 1}")
    left.set(xlabel="value", ylabel="share of all values")
    left.legend()
    beside.bar(range(1, len(shares) + 1), shares)
    beside.set(xlabel="block", ylabel="length of branch / of shortcut", xticks=range(1, len(shares) + 1))
    words = ", ".join(f"{share:.2f}" for share in shares)
    return figure, (
        "Left: how often which values stand behind the last block of each stage, for 250 test images. Right: how long "
        f"what each branch adds is, beside what comes along the shortcut: {words}."
    )


# Four networks, of two depths, with skips and without


def compare_depths(train):
    """20 and 44 layers, plain and with skips, by one recipe, from three seeds."""
    train, see, batch, sizes = images_for_depth(train)
    images, labels = see(train.images[:2000]), train.labels[:2000]
    curves, losses, back = ({name: [] for name in NETWORKS} for _ in range(3))
    shares, seconds = [], 0.0
    for seed in range(run.seed, run.seed + SEEDS):
        for name, (blocks, has_skips) in NETWORKS.items():
            run.say(f"{name} layers, seed {seed}")
            manual_seed(seed)
            model, loader, seen = (
                network(blocks, has_skips, **sizes),
                DataLoader(train, batch, shuffle=True),
                LossByStep(),
            )
            trainer = trainer_for(model, run.epochs * len(loader), RATE)
            trainer.callbacks.append(seen)
            run.fit(trainer, loader, name=f"{name.replace(', ', '-').replace(' ', '-')}-seed{seed}")
            seconds += run.setting["training seconds"]
            curves[name].append(seen.losses)
            losses[name].append(training_loss(model, images, labels))
            back[name].append(gradients_of(model, images[:batch], labels[:batch]))
            if has_skips:
                run.setting["blocks"] = how_blocks_ran(model)
                silent = without_branches(model, range(len(model.blocks)))
                shares.append(training_loss(silent, images, labels) - losses[name][-1])
    plain, residual = (np.subtract(losses[f"{kind}, 44"], losses[f"{kind}, 20"]) for kind in ("plain", "with skips"))
    run.result("plain gap", plain.min())
    run.result("residual gap", residual.max())
    run.result("gain by skips", np.subtract(losses["plain, 44"], losses["with skips, 44"]).min())
    run.result("share of the blocks", min(shares))
    for name, found in losses.items():
        run.result(f"training loss, {name} layers", np.mean(found))
    run.setting["training seconds"] = round(seconds, 1)
    run.history = {f"loss, {name} layers": list(np.mean(made, axis=0)) for name, made in curves.items()}

    run.figure("Training", *depth_curves(curves))
    run.figure("What comes back", *gradients({name: found[0] for name, found in back.items()}))
    seeds = [f"seed {seed}" for seed in range(run.seed, run.seed + SEEDS)]
    rows = [[f"{name} layers", *(round(one, 3) for one in found)] for name, found in losses.items()]
    run.table("Training loss at the end", [["network", *seeds], *rows])
    run.note(
        f"The losses are those of {len(labels):,} training images as they are, from the logits, each 250 of them "
        "normalized by themselves. A gap is the loss of 44 layers minus that of 20, the gain by skips what they lower "
        "that of 44 by; the share of the blocks is what the loss of a network with skips rises by where all its "
        "branches give 0. Each is that of the seed that speaks most against the claim."
    )
    pixels, shown = train.images.shape[-1], "digits" if run.data == "digits-depth" else "photographs"
    run.about(
        f"Networks of 20 and of 44 layers, plain and with skips, learned from {len(train):,} {shown} of {pixels} × "
        f"{pixels} pixels, by one recipe in {run.epochs} epochs, each from {SEEDS} seeds. A plain network has the same "
        "convolutions, normalized in the same way, and no sums. What is compared is the loss on training images: it "
        "says whether a network can be trained, not how well it reads images that it has not seen."
    )


def images_for_depth(train):
    """(training images, what a network sees of images, size of a batch, sizes of a network)."""
    if run.data == "digits-depth":
        see, train.transform = transforms_for(False)
        return train, see, BATCH, {"in_channels": 1, "width": 8}
    see, train.transform = transforms_for(True)
    if run.data == "depth":
        return train, see, BATCH, {}
    halves = train.images[:750].reshape(-1, 3, 16, 2, 16, 2).mean(axis=(3, 5)).astype(np.uint8)
    return ImageDataset(halves, train.labels[:750], Compose([RandomHorizontalFlip(), see])), see, 50, {"width": 8}


def gradients_of(model, images, labels):
    """The gradients of all 3 × 3 convolutions of a copy, the first one's first."""
    model = copy.deepcopy(model).train()
    for parameter in model.parameters():
        parameter.grad = None
    nn.CrossEntropyLoss()(model(Tensor(images)), Tensor(labels)).backward()
    inner = [conv for block in model.blocks for conv in (block.conv1, block.conv2)]
    weights = [conv.weight for conv in (model.conv1, *inner)]
    return [np.zeros(weight.shape) if weight.grad is None else np.array(weight.grad) for weight in weights]


def depth_curves(curves):
    """The training losses, smoothed; each line is the mean of the seeds, and its band reaches from least to largest."""
    figure, axes = plt.subplots(figsize=(8, 3.8))
    words = []
    for name, made in curves.items():
        width = max(len(made[0]) // 20, 1)
        count = len(made[0]) // width
        means = np.array(made)[:, : count * width].reshape(len(made), count, width).mean(axis=2)
        steps = width * np.arange(1, count + 1)
        (line,) = axes.plot(steps, means.mean(axis=0), label=f"{name} layers")
        axes.fill_between(steps, means.min(axis=0), means.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
        words.append(f"{name} layers from {means[:, 0].mean():.2f} to {means[:, -1].mean():.2f}")
    axes.set(xlabel="step", ylabel="mean cross-entropy (nats)")
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=4)
    return figure, (
        f"The training loss of the four networks, mean of {width} steps and of {SEEDS} seeds; the band reaches from "
        f"the least to the largest of the seeds. {'; '.join(words)}."
    )


def gradients(found):
    """How long the gradient of each convolution is after the training, and how large its entries are in the first."""
    figure, (left, beside) = plt.subplots(1, 2, figsize=(8, 3.6))
    bins, words = np.linspace(-9, 1, 51), []
    for name, grads in found.items():
        lengths = [np.linalg.norm(grad) for grad in grads]
        left.semilogy(np.linspace(0, 1, len(lengths)), lengths, label=f"{name} layers")
        sizes = np.log10(np.abs(grads[0][grads[0] != 0]))
        beside.plot((bins[1:] + bins[:-1]) / 2, np.histogram(sizes, bins)[0] / max(sizes.size, 1))
        words.append(f"{name} layers {lengths[0]:.1e} and {lengths[-1]:.1e}")
    left.set(xlabel="place (0: first convolution, 1: last)", ylabel="length of the gradient")
    beside.set(xlabel="log₁₀ of an entry's size, first convolution", ylabel="share of the entries")
    figure.legend(loc="outside lower center", ncols=4)
    return figure, (
        "The gradients of the convolutions after the training, for one batch: their lengths from the first to the last "
        f"(left), and the sizes of the entries in the first (right). Lengths of the first and of the last: "
        f"{'; '.join(words)}."
    )


run = start(__file__)
images_to_learn, images_to_test = run.load()
if run.data in ("depth", "small", "digits-depth"):
    compare_depths(images_to_learn)
else:
    read_images(images_to_learn, images_to_test)
run.finish()
