"""Speed of a GPT's training step and of its parts, TinyTorch beside PyTorch: python benchmarks/transformer.py

A step is what milestone 05_2017_transformer takes: gradients to None, forward, cross-entropy, backward, gradients
clipped to a norm of 1, AdamW. PyTorch's model is the same one, with its own layers and its fused attention, eager. Both
run in one process on the same number of threads, in turns, and with the same setting of malloc; benchmarks/spatial.py
says how and why. Ratios below 1 mean that TinyTorch is faster.

Rows named "student's" run on the operations of modules 05, 06 and 11 to 13, as milestones do; all others on the
provided kernels (`use_kernels(model, "fast")`).

With one thread (TINYTORCH_THREADS=1), --cpu counts processor time, which other programs on the machine hardly disturb.
"""

import argparse
import contextlib
import functools
import json
import os
import sys
import time
from pathlib import Path

from beside_pytorch import (
    SETTINGS,
    child,
    compared,
    head,
    line_of_memory,
    lines_of_machine,
    lines_of_rows,
    machine,
    resident,
)

OPTIMIZER = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.1}


# --- The same model in both frameworks ----------------------------------------------------------------------------


def on_kernels(function):
    """The function with the provided operations."""
    from tinytorch.kernels.operations import provided_operations

    def run(*arguments):
        with provided_operations():
            return function(*arguments)

    return run


def tinytorch_step(model, inputs, targets, provided):
    """A function that takes one training step. provided: on the provided kernels."""
    from tinytorch import optim
    from tinytorch.kernels import use_kernels
    from tinytorch.training import training_step
    from tinytorch.transformers import next_token_loss

    optimizer = optim.AdamW(model.parameters(), **OPTIMIZER)
    if provided:
        use_kernels(model, "fast")
        use_kernels(optimizer, "fast")
    return lambda: training_step(model, next_token_loss, optimizer, inputs, targets, clip_norm=1.0)


def pytorch_gpt(vocab_size, block_size, n_layer, n_head, n_embd):
    """tinytorch.transformers.GPT in PyTorch's layers; its tensors by the same names."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj, self.out_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)

        def forward(self, x):
            batch, length, _ = x.shape
            heads = (part.view(batch, length, n_head, -1).transpose(1, 2) for part in self.in_proj(x).chunk(3, dim=-1))
            out = functional.scaled_dot_product_attention(*heads, is_causal=True)
            return self.out_proj(out.transpose(1, 2).reshape(batch, length, n_embd))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.attention, self.norm2 = nn.LayerNorm(n_embd), Attention(), nn.LayerNorm(n_embd)
            self.up, self.down = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
            self.blocks = nn.Sequential(*[Block() for _ in range(n_layer)])
            self.norm = nn.LayerNorm(n_embd)

        def forward(self, ids):
            x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
            return functional.linear(self.norm(self.blocks(x)), self.tokens.weight)

    return GPT(), torch


def pytorch_step(model, torch, inputs, targets):
    optimizer = torch.optim.AdamW(model.parameters(), **OPTIMIZER)
    inputs, targets = torch.tensor(inputs), torch.tensor(targets)

    def run():
        optimizer.zero_grad()
        logits = model(inputs)
        loss = torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item(), logits.detach()

    return run


def gpt_step(*, batch, provided=False, **sizes):
    """Both steps, from the same parameters on the same random ids; checked to have the same first loss."""

    def make():
        import numpy as np

        from tinytorch.transformers import GPT

        ours = GPT(**sizes)
        theirs, torch = pytorch_gpt(**sizes)
        renamed = {name.replace("in_proj_", "in_proj."): array for name, array in ours.state_dict().items()}
        theirs.load_state_dict({name: torch.from_numpy(array) for name, array in renamed.items()})
        ids = np.random.default_rng(0).integers(0, sizes["vocab_size"], (batch, sizes["block_size"] + 1))
        inputs, targets = ids[:, :-1].copy(), ids[:, 1:].copy()
        first = tinytorch_step(ours, inputs, targets, provided)
        second = pytorch_step(theirs, torch, inputs, targets)
        for _ in range(2):
            losses = first()[0], second()[0]
            if abs(losses[0] - losses[1]) > 1e-4:
                raise SystemExit(f"the two models disagree: losses {losses}")
        return first, second

    return make


# --- Parts of it: forward and backward of one operation, all gradients wanted --------------------------------------


def numbers(*shape, seed=0):
    import numpy as np

    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def both_ways(mine, its, *shapes, lay_out=lambda array: array):
    """mine, its: functions (of Tensors, of PyTorch's tensors) to run forward and backward on the same numbers."""

    def make():
        import torch

        from tinytorch import Tensor

        def passes(function, inputs, wrap):
            grad = wrap(numbers(*shapes[0], seed=9))

            def run():
                for x in inputs:
                    x.grad = None
                function(*inputs).backward(grad)

            return run

        arrays = [lay_out(numbers(*shape, seed=i)) for i, shape in enumerate(shapes)]
        tensors = [Tensor(array, requires_grad=True) for array in arrays]
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.data = array  # as it lies in memory
        peers = [torch.from_numpy(array).requires_grad_() for array in arrays]
        return on_kernels(passes(mine, tensors, lambda array: array)), passes(its, peers, torch.from_numpy)

    return make


def layer_norm_here(x, weight, bias):
    from tinytorch.core.transformers import layer_norm

    return layer_norm(x, weight, bias)


def layer_norm_there(x, weight, bias):
    import torch

    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def gelu_here(x):
    from tinytorch.nn.functional import gelu

    return gelu(x, approximate="tanh")


def gelu_there(x):
    import torch

    return torch.nn.functional.gelu(x, approximate="tanh")


def attention_here(query, key, value):
    from tinytorch.core.attention import attention_and_weights

    return attention_and_weights(query, key, value, is_causal=True)[0]


def attention_there(query, key, value):
    import torch

    return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def embedding_backward():
    """The gradient of looking 16,384 ids up in a table (4096, 384), random ones, which on average come four times."""
    import numpy as np
    import torch

    from tinytorch.kernels.embeddings import embedding_gradient

    ids = np.random.default_rng(0).integers(0, 4096, 16384)
    table, grad = numbers(4096, 384), numbers(16384, 384, seed=1)
    weight, their_ids, their_grad = (torch.from_numpy(array) for array in (table, ids, grad))
    mine = lambda: embedding_gradient(grad, None, table, ids=ids)
    its = lambda: torch.ops.aten.embedding_dense_backward(their_grad, their_ids, len(weight), -1, False)
    return mine, its


def adamw():
    import torch

    from tinytorch import Tensor, optim
    from tinytorch.kernels import use_kernels

    values, grad = numbers(10_000_000), numbers(10_000_000, seed=1)
    mine, its = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    mine.grad, its.grad = grad, torch.tensor(grad)
    return use_kernels(optim.AdamW([mine], **OPTIMIZER), "fast").step, torch.optim.AdamW([its], **OPTIMIZER).step


layer_norm_passes = both_ways(layer_norm_here, layer_norm_there, (3072, 384), (384,), (384,))
gelu_passes = both_ways(gelu_here, gelu_there, (3072, 1536))
HEADS = (8, 6, 512, 64)
attention_passes = both_ways(
    attention_here, attention_there, HEADS, HEADS, HEADS,
    lay_out=lambda array: array.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3),  # as split_heads gives it
)  # fmt: skip

SMALL = {"vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "batch": 12}
MIDDLE = {"vocab_size": 4096, "block_size": 128, "n_layer": 4, "n_head": 8, "n_embd": 256, "batch": 8}
LARGE = {"vocab_size": 65, "block_size": 256, "n_layer": 6, "n_head": 6, "n_embd": 384, "batch": 4}

ROWS = {  # name: (what makes both functions, rounds, at most, aim)
    "student's GPT 4 × 128, block 64, batch 12": (gpt_step(**SMALL), 15, 1.0, None),
    "student's GPT 4 × 256, block 128, V 4,096": (gpt_step(**MIDDLE), 3, None, None),
    "student's GPT 6 × 384, block 256, batch 4": (gpt_step(**LARGE), 3, None, None),
    "GPT 4 × 128, block 64, batch 12": (gpt_step(provided=True, **SMALL), 15, 0.8, 0.65),
    "GPT 6 × 384, block 256, batch 4": (gpt_step(provided=True, **LARGE), 3, 1.2, 0.9),
    "layer_norm, (3072, 384)": (layer_norm_passes, 15, 4.0, 2.5),
    "GELU by tanh, (3072, 1536)": (gelu_passes, 9, 1.1, 0.85),
    "embedding, backward, 16,384 of (4096, 384)": (embedding_backward, 9, 3.0, 2.0),
    "attention, (8, 6, 512, 64), causal": (attention_passes, 5, 1.6, 1.0),
    "AdamW, 10,000,000 parameters": (adamw, 9, 1.3, 0.8),
}
MEMORY_ROW, MEMORY_LIMITS = "peak extra memory, attention", (1.0, 0.5)


# --- Measuring and showing ----------------------------------------------------------------------------------------


def measure_rows(chosen, clock):
    import torch

    from tinytorch.threads import one_blas_thread, thread_count

    torch.set_num_threads(thread_count())
    results = {}
    with one_blas_thread() if thread_count() == 1 else contextlib.nullcontext():
        for name, (make, rounds, at_most, aim) in ROWS.items():
            if chosen in name:
                results[name] = compared(*make(), rounds, at_most, aim, getattr(time, clock))
    return results


def measure_memory(framework):
    """The bytes by which forward and backward of attention make the process grow, beyond what is given."""
    import torch

    from tinytorch.threads import thread_count

    torch.set_num_threads(thread_count())
    warm_up = both_ways(attention_here, attention_there, *[(1, 2, 512, 8)] * 3)
    which = 0 if framework == "TinyTorch" else 1
    warm_up()[which]()  # libraries load, threads start
    run = attention_passes()[which]
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # start VmHWM again from here
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def table(data):
    """The lines of the printed table."""
    yield from head("", data["clock"])
    yield from lines_of_rows(data["rows"])
    if "memory" in data:
        yield line_of_memory(MEMORY_ROW, data["memory"]["TinyTorch"], data["memory"]["PyTorch"], *MEMORY_LIMITS)
    yield from lines_of_machine(data["machine"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print everything that was measured")
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows whose name contains TEXT")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of time; needs TINYTORCH_THREADS=1")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, *rest = arguments.child
        print(json.dumps({"rows": measure_rows, "memory": measure_memory, "machine": machine}[kind](*rest)))
        return 0
    if arguments.cpu and os.environ.get("TINYTORCH_THREADS") != "1":
        parser.error("--cpu needs TINYTORCH_THREADS=1: a thread that waits for another one uses processor time too")
    clock = "thread_time" if arguments.cpu else "perf_counter"
    run = functools.partial(child, program=__file__)
    data = {"schema": 1, "clock": clock, "machine": run("default", "machine")}
    data["rows"] = {kind: run(kind, "rows", arguments.only, clock) for kind in SETTINGS}
    if arguments.only in MEMORY_ROW and Path("/proc/self/clear_refs").exists():
        ours, theirs = (run("default", "memory", side) for side in ("TinyTorch", "PyTorch"))
        data["memory"] = {"TinyTorch": ours, "PyTorch": theirs, "ratio": ours / theirs, "at_most": MEMORY_LIMITS[0]}
    print(json.dumps(data, ensure_ascii=False) if arguments.json else "\n".join(table(data)))
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
