"""The program in which the reference runs: module 09's LeNet-5, or module 13's GPT without a cache, in NumPy alone.

The same on every machine, and no student's package can make it slower. Argument: the file of its arrays.
"""

import importlib
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # as a script: the folder above is the package's home
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    importlib.import_module("stadium.yardstick").main(*sys.argv[1:])
    os._exit(0)

from .serving import Line, serve


def main(path):
    import numpy as np

    line = Line()
    try:
        arrays = load(np, path)
        if "tokens.weight" in arrays:
            serving = {"read": None, **gpt(np, arrays), "vocabulary": len(arrays["tokens.weight"])}
        else:
            serving = {"read": lenet(np, arrays)}
    except Exception as error:
        line.fail(error)
        return
    line.send(b"R")
    serve(line, **serving)


def load(np, path):
    """{name: float32 array}: kept as they are, or as int8 codes with a scale for each row under `name.scale`."""
    with np.load(path, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files}
    scales = {name: kept.pop(f"{name}.scale") for name in list(kept) if f"{name}.scale" in kept}
    return {
        name: array.astype(np.float32) * (scales[name].astype(np.float32) if name in scales else np.float32(1))
        for name, array in kept.items()
    }


def lenet(np, arrays):
    """read(images (n, 1, 8, 8)) -> logits (n, 10): enlarged threefold with a margin of two, as in module 09."""
    weight = lambda layer: arrays[f"{layer}.weight"]
    bias = lambda layer: arrays[f"{layer}.bias"]

    def conv(x, layer):
        size = weight(layer).shape[-1]
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        n, height, width = windows.shape[:3]
        out = windows.reshape(n * height * width, -1) @ weight(layer).reshape(len(weight(layer)), -1).T + bias(layer)
        return np.maximum(out, 0).reshape(n, height, width, -1).transpose(0, 3, 1, 2)

    def pool(x):
        n, channels, height, width = x.shape
        return x.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))

    def read(images):
        x = np.pad(images.repeat(3, axis=2).repeat(3, axis=3), [(0, 0), (0, 0), (4, 4), (4, 4)])  # 2 of them padding=2
        x = pool(conv(pool(conv(x, 0)), 3))
        x = x.reshape(len(x), -1)
        for layer in (7, 9):
            x = np.maximum(x @ weight(layer).T + bias(layer), 0)
        return x @ weight(11).T + bias(11)

    return read


def gpt(np, arrays):
    """start() and step(id) -> logits (vocabulary,) of the next token, everything computed anew for each."""
    heads, layers = 4, sum(name.endswith("norm1.weight") for name in arrays)
    ids = []

    def linear(x, name, part=""):
        return x @ arrays[f"{name}{part}weight"].T + arrays[f"{name}{part}bias"]

    def norm(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(1e-5))
        return x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def attend(x, name):
        count, width = x.shape
        packed = linear(x, f"{name}.in_proj_").reshape(count, 3, heads, width // heads).transpose(1, 2, 0, 3)
        query, key, value = packed
        scores = query @ key.transpose(0, 2, 1) / np.float32((width // heads) ** 0.5)
        scores += np.triu(np.full((count, count), -np.inf, np.float32), 1)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return linear((weights @ value).transpose(1, 0, 2).reshape(count, width), f"{name}.out_proj", ".")

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)))

    def step(token):
        ids.append(token)
        x = arrays["tokens.weight"][ids] + arrays["positions.weight"][: len(ids)]
        for layer in range(layers):
            name = f"blocks.{layer}"
            x = x + attend(norm(x, f"{name}.norm1"), f"{name}.attention")
            x = x + linear(gelu(linear(norm(x, f"{name}.norm2"), f"{name}.up", ".")), f"{name}.down", ".")
        return arrays["tokens.weight"] @ norm(x, "norm")[-1]

    return {"start": ids.clear, "step": step}
