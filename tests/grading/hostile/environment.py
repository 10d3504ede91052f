"""The environment of every process that can be seen."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os, pathlib
for path in pathlib.Path("/proc").glob("*/environ"):
    try:
        print(path, path.read_bytes())
    except OSError as error:
        print(path, error)
print(dict(os.environ))
