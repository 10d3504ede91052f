"""Transformers: LayerNorm, the transformer block, a GPT trained on Shakespeare, and how it is made to talk.

Exported from module 13_transformers by tito export. Edit the notebook of that module, not this file.
"""

import math

import numpy as np

from .activations import gelu
from .attention import MultiheadAttention, Projection
from .autograd import no_grad, unbroadcast
from .embeddings import Embedding, PositionalEmbedding, token_windows
from .layers import Dropout, Linear, Module, Parameter, Sequential, linear, normal_  # noqa
from .losses import cross_entropy
from .optimizers import AdamW, LambdaLR, cosine_rate
from .tensor import Op, ones, random_generator, zeros
from .training import training_step

__all__ = [
    "layer_norm", "layer_norm_gradient", "LayerNorm", "TransformerBlock", "initialize", "GPT", "next_token_loss",
    "overfit_batch", "check_sampling", "sample", "generate", "train_language_model", "attention_maps", "NANOGPT_NAMES",
    "from_nanogpt",
]


@Op
def layer_norm(x, weight, bias=None, *, eps=1e-5):
    """Bring `x` to mean 0 and variance 1 over its last axes, those of `weight`; times weight, plus bias.

    x: (…, *weight.shape), floating. bias: of weight's shape, or None. Raises ValueError naming both shapes
    where they do not fit (Ba, Kiros and Hinton, 2016).
    """
    if x.shape[x.ndim - weight.ndim :] != weight.shape:
        raise ValueError(f"layer_norm: a weight of shape {weight.shape} is not the end of shape {x.shape}")
    axes = tuple(range(-weight.ndim, 0))
    out = x - x.mean(axis=axes, keepdims=True)
    out *= 1 / np.sqrt(np.square(out).mean(axis=axes, keepdims=True) + eps)
    out *= weight
    if bias is not None:
        out += bias
    return out


@layer_norm.gradient
def layer_norm_gradient(grad, out, x, weight, *bias, eps=1e-5):
    """For x, weight and bias: what reaches x has no share along a shift of x nor along a stretch of it."""
    axes = tuple(range(-weight.ndim, 0))
    h = x - x.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(np.square(h).mean(axis=axes, keepdims=True) + eps)
    h *= scale
    product = grad * h
    for_weight, for_bias = unbroadcast(product, weight.shape), unbroadcast(grad, weight.shape)
    product *= weight
    for_x = grad * weight
    for_x -= for_x.mean(axis=axes, keepdims=True)
    h *= product.mean(axis=axes, keepdims=True)
    for_x -= h
    for_x *= scale
    return for_x, for_weight, *[for_bias] * len(bias)


class LayerNorm(Module):
    """`layer_norm` over axes of `normalized_shape`, an integer or several, with learned weight and bias."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        super().__init__()
        several = isinstance(normalized_shape, (tuple, list))
        self.normalized_shape = tuple(normalized_shape) if several else (normalized_shape,)
        self.eps = eps
        self.weight = Parameter(ones(*self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(*self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x):
        weight = np.ones(self.normalized_shape, x.dtype) if self.weight is None else self.weight
        return layer_norm(x, weight, self.bias, eps=self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class TransformerBlock(Module):
    """x (B, T, n_embd) plus causal attention, plus a feed-forward network, each behind a LayerNorm.

    approximate: the form of GELU. Raises ValueError where n_head does not divide n_embd.
    """

    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, approximate="tanh"):
        super().__init__()
        self.approximate = approximate
        self.norm1 = LayerNorm(n_embd, bias=bias)
        self.attention = MultiheadAttention(n_embd, n_head, dropout=dropout, bias=bias, batch_first=True)
        self.norm2 = LayerNorm(n_embd, bias=bias)
        self.up = Projection(n_embd, 4 * n_embd, bias=bias)
        self.down = Projection(4 * n_embd, n_embd, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x):
        h = self.norm1(x)
        gathered, _ = self.attention(h, h, h, need_weights=False, is_causal=True)
        x = x + self.dropout(gathered)
        hidden = gelu(self.up(self.norm2(x)), approximate=self.approximate)
        return x + self.dropout(self.down(hidden))


def initialize(model, n_layer, generator=None):
    """GPT-2's start, in place: matrices normal with 0.02, those that end a branch with 0.02 / √(2 n_layer).

    Biases become 0, weights of norms 1. Returns the model (Radford and others, 2019).
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            ends_a_branch = name.endswith(("out_proj.weight", "down.weight"))
            normal_(parameter, 0.0, 0.02 / math.sqrt(2 * n_layer) if ends_a_branch else 0.02, generator)
        else:
            parameter.data[...] = 0 if name.endswith("bias") else 1
    return model


class GPT(Module):
    """Logits (B, T, V) for the token after each of ids (B, T): a decoder-only transformer with tied tables.

    `forward` raises ValueError for more than block_size ids in a row (Radford and others, 2019).
    """

    def __init__(
        self, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0, bias=True, approximate="tanh"
    ):
        super().__init__()
        self.vocab_size, self.block_size = vocab_size, block_size
        self.tokens = Embedding(vocab_size, n_embd)
        self.positions = PositionalEmbedding(block_size, n_embd)
        self.dropout = Dropout(dropout)
        settings = n_embd, n_head, dropout, bias, approximate
        self.blocks = Sequential(*[TransformerBlock(*settings) for _ in range(n_layer)])
        self.norm = LayerNorm(n_embd, bias=bias)
        initialize(self, n_layer)

    def forward(self, ids):
        ids = np.asarray(ids)
        if ids.shape[-1] > self.block_size:
            raise ValueError(f"GPT: {ids.shape[-1]} ids in a row, and the block has {self.block_size} places")
        x = self.dropout(self.positions(self.tokens(ids)))
        return linear(self.norm(self.blocks(x)), self.tokens.weight)


def next_token_loss(logits, targets):
    """The mean cross-entropy of logits (…, V) for integer targets (…,): a Tensor of shape (), in nats.

    Raises ValueError naming both shapes where they do not fit.
    """
    targets = np.asarray(targets)
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits of shape {logits.shape} do not go with targets of shape {targets.shape}")
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def overfit_batch(model, inputs, targets, optimizer, steps, goal=0.1):
    """Train on one batch until its loss is below `goal`, at most `steps` steps; the loss before each."""
    model.train()
    losses = []
    for _ in range(steps):
        loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
        losses.append(loss)
        if loss < goal:
            break
    return losses


def check_sampling(temperature, top_k, top_p):
    """Raise ValueError naming the first setting of `sample` that is out of its range."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is 0 (the most probable token) or larger, not {temperature}")
    if top_k is not None and not top_k >= 1:
        raise ValueError(f"top_k keeps at least 1 token, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is a probability above 0 and up to 1, not {top_p}")


def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    """Draw an id for each row of `logits` (B, V): an integer array (B,), with one random() for each row.

    temperature: 0 for the most probable token. top_k: how many stay, and what ties with the last of them.
    top_p: the probability of the nucleus that stays (Holtzman and others, 2020). Raises ValueError for a
    setting out of range, and for a row without a largest finite logit.
    """
    check_sampling(temperature, top_k, top_p)
    logits = np.array(logits, np.float64)
    peak = logits.max(axis=1, keepdims=True)
    lost = np.flatnonzero(~np.isfinite(peak))
    if lost.size:
        raise ValueError(f"sample: the largest logit of row {lost[0]} is {peak[lost[0], 0]}")
    if temperature == 0:
        return logits.argmax(axis=1)
    if top_k is not None and top_k < logits.shape[1]:
        logits[logits < np.sort(logits, axis=1)[:, [-top_k]]] = -np.inf
    with np.errstate(over="ignore"):
        weights = np.exp((logits - peak) / temperature)
    if top_p is not None:
        order = np.argsort(-weights, axis=1, kind="stable")
        ranked = np.take_along_axis(weights, order, axis=1)
        before = ranked.cumsum(axis=1) - ranked
        ranked[before >= top_p * weights.sum(axis=1, keepdims=True)] = 0
        np.put_along_axis(weights, order, ranked, axis=1)
    cumulative = weights.cumsum(axis=1)
    draws = (generator or random_generator()).random(len(weights)) * cumulative[:, -1]
    return (cumulative > draws[:, None]).argmax(axis=1)


def generate(
    model, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None, stop=None
):
    """ids (B, T) and up to max_new_tokens after them, drawn one after the other: an integer array.

    The window is cut to its last block_size // 2 tokens where it outgrows block_size. stop: the id that ends
    a row, and fills the rest of it. The other settings are those of `sample`.
    """
    ids, start, mode = np.asarray(ids), 0, model.training
    ended = np.zeros(len(ids), bool)
    model.eval()
    try:
        with no_grad():
            for _ in range(max_new_tokens):
                if ids.shape[1] - start > model.block_size:
                    start = ids.shape[1] - max(model.block_size // 2, 1)
                new = sample(model(ids[:, start:])[:, -1], temperature, top_k, top_p, generator)
                if stop is not None:
                    new[ended] = stop
                    ended |= new == stop
                ids = np.concatenate([ids, new[:, None]], axis=1)
                if ended.all():
                    break
    finally:
        model.train(mode)
    return ids


def train_language_model(
    model, ids, steps, batch=12, lr=1e-3, warmup=100, weight_decay=0.1, generator=None, after=None
):
    """Train on windows of `ids`, drawn with `generator`; the losses. after(step, loss) follows each step.

    The rate rises to `lr` in `warmup` steps and falls on a cosine to a tenth; gradients are clipped to 1.
    """
    generator = generator or random_generator()
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW([group for group in groups if group["params"]], lr=lr, betas=(0.9, 0.99))
    falling = max(steps - warmup, 1)
    schedule = LambdaLR(
        optimizer,
        lambda i: (i + 1) / (warmup + 1) if i < warmup else cosine_rate(i - warmup, falling, 1.0, 0.1),
    )
    losses = []
    model.train()
    for step in range(steps):
        inputs, targets = token_windows(ids, model.block_size, batch, generator)
        loss, _ = training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)
        schedule.step()
        losses.append(loss)
        if after is not None:
            after(step, loss)
    return losses


@no_grad()
def attention_maps(model, ids):
    """The weights with which a GPT's heads attend for ids (B, T), an array (n_layer, B, n_head, T, T)."""
    maps, x = [], model.positions(model.tokens(np.asarray(ids)))
    for block in model.blocks:
        h = block.norm1(x)
        settings = {"need_weights": True, "is_causal": True, "average_attn_weights": False}
        maps.append(block.attention(h, h, h, **settings)[1].numpy())
        x = block(x)
    return np.stack(maps)


NANOGPT_NAMES = {
    "transformer.wte.": "tokens.", "transformer.wpe.": "positions.", "transformer.ln_f.": "norm.",
    "transformer.h.": "blocks.", ".ln_1.": ".norm1.", ".ln_2.": ".norm2.", ".mlp.c_fc.": ".up.",
    ".mlp.c_proj.": ".down.", ".attn.c_attn.": ".attention.in_proj_", ".attn.c_proj.": ".attention.out_proj.",
}  # fmt: skip


def from_nanogpt(state):
    """The state_dict of a GPT from that of nanoGPT's model, {name: array or PyTorch tensor}.

    Raises ValueError for an lm_head that is not tied, for matrices (in, out) as in GPT-2's own files, and for
    names that nanoGPT does not have.
    """
    own = {}
    for name, value in state.items():
        name, array = name.removeprefix("_orig_mod."), np.asarray(value)
        if name.endswith("c_attn.weight") and array.shape[1] == 3 * array.shape[0]:
            raise ValueError(f"{name} {array.shape} is (in, out): GPT-2's own file; nanoGPT's are (out, in)")
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # a mask, which is no parameter
        own[name] = array
    head, table = own.pop("lm_head.weight", None), own.get("transformer.wte.weight")
    if head is not None and not np.array_equal(head, table):
        raise ValueError("lm_head.weight is not transformer.wte.weight, and this GPT ties the two")
    renamed = {}
    for name, array in own.items():
        new = name
        for theirs, ours in NANOGPT_NAMES.items():
            new = new.replace(theirs, ours)
        if new == name:
            raise ValueError(f"{name} is no parameter of nanoGPT's model")
        renamed[new] = array
    return renamed
