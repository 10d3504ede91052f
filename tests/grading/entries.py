"""Entries for the olympics, honest ones and others: the code of a capstone, with arrays that were trained.

The arrays are those of the references, so nothing has to be trained here. Each text is what the exported cell of a
student's notebook could say.
"""

import json

import numpy as np

from tito.services.grading.olympics.racer import YARDSTICKS

LENET = """
import numpy as np
from tinytorch.core.tensor import Tensor
from tinytorch.nn.functional import conv2d, linear, max_pool2d, relu


class Model:
    def __init__(self, arrays):
        self.arrays = {name: Tensor(array.astype(np.float32)) for name, array in arrays.items()}

    def layer(self, operation, x, number, **settings):
        return operation(x, self.arrays[f"{number}.weight"], self.arrays[f"{number}.bias"], **settings)

    def __call__(self, images):
        x = images.numpy().repeat(3, axis=2).repeat(3, axis=3)
        x = Tensor(np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)]))
        x = max_pool2d(relu(self.layer(conv2d, x, 0, padding=2)), 2)
        x = max_pool2d(relu(self.layer(conv2d, x, 3)), 2).reshape(len(images), -1)
        x = relu(self.layer(linear, x, 7))
        x = relu(self.layer(linear, x, 9))
        return self.layer(linear, x, 11)


def build(submission):
    return Model(submission.arrays)
"""

GPT = """
import numpy as np
from tinytorch.core.tensor import Tensor
from tinytorch.core.transformers import GPT


class Writer:
    def __init__(self, arrays):
        self.model = GPT(65, 64, 4, 4, 128).eval()
        whole = {}
        for name, array in arrays.items():
            if not name.endswith(".scale"):
                whole[name] = array.astype(np.float32) * arrays.get(f"{name}.scale", np.float32(1))
        self.model.load_state_dict(whole)

    def start(self):
        self.ids = []

    def step(self, token):
        self.ids.append(token)
        return self.model(np.array([self.ids])).numpy()[0, -1]


def build(submission):
    return Writer(submission.arrays)
"""


def arrays(name="lenet5"):
    with np.load(YARDSTICKS / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def notebook(code, **more):
    """The bytes of a notebook whose exported cell is `code`."""
    cells = ["#| default_exp core.capstone\nprint('not exported')", f"#| export\n{code.strip()}\n"]
    cells = [
        {"cell_type": "code", "source": source.splitlines(True), "metadata": {}, "outputs": []} for source in cells
    ]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **more}).encode()
