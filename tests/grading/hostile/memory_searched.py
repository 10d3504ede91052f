"""Its own memory, searched for the text of tests while one runs."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import re
def search():
    for line in open("/proc/self/maps"):
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if "rw" in line and end - start < 200_000_000:
            try:
                with open("/proc/self/mem", "rb") as memory:
                    memory.seek(start)
                    for found in re.findall(rb"[^\x00]{0,200}BEGIN HIDDEN[^\x00]{0,2000}", memory.read(end - start)):
                        print(found.decode("utf-8", "replace"))
            except (OSError, ValueError, OverflowError):
                pass
search()

# %% after in_blocks
search()

# %% last
search()

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
