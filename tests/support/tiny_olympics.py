"""A module of the tiny course with which a file is handed in, and a capstone in NumPy alone that reads digits."""

import inspect
import shutil

import numpy as np
import tiny_course

from tito.services.grading.olympics.racer import YARDSTICKS
from tito.services.grading.olympics.stadium import yardstick
from tito.services.grading.olympics.stadium.yardstick import load

RULES = ("submissions.py", "checkpoints.py")
BUILD = f"""\
import numpy as np


{inspect.getsource(yardstick.lenet)}

def build(submission):
    return lenet(np, {{name: array.astype(np.float32) for name, array in submission.arrays.items()}})
"""
TOML = """\
title = "Delta"
summary = "What delta is for"
prerequisites = ["03_gamma"]
hours = 1
difficulty = 1
artifact = "submission.npz"
"""


def add_rules(root):
    """What the olympics need of the package: the rules, what those import, the text."""
    for name in RULES:
        shutil.copy(tiny_course.REPOSITORY / "tinytorch" / name, root / "tinytorch" / name)
    shutil.copytree(tiny_course.REPOSITORY / "tinytorch" / "data", root / "tinytorch" / "data")


def add_module(root):
    """A module 04_delta, exported, whose `build` is BUILD."""
    add_rules(root)
    tiny_course.put(root / "modules" / "04_delta" / "module.toml", TOML)
    tiny_course.put(root / "tinytorch" / "core" / "delta.py", BUILD)


def arrays():
    return load(np, YARDSTICKS / "lenet5.npz")
