"""The source with the solutions, by every path that nbgrader's layout would give it."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import os, pathlib
places = ["..", "../..", "../../..", "@PROJECT@", "../source", "../../source", "/work/..", "@SOURCE@"]
for place in places:
    try:
        print(place, os.listdir(place) if os.path.isdir(place) else open(place).read())
    except OSError as error:
        print(place, error)
for place in ("@PROJECT@", "/work", "/tmp", "/grading", ".."):
    for path in pathlib.Path(place).rglob("*_dev.*"):
        print(path.read_text())
    for path in pathlib.Path(place).rglob("*.ipynb"):
        print(path.read_text())

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
