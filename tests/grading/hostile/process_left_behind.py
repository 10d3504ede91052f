"""A daemon of its own session that outlives the notebook."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 256)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(120)", "@TOKEN@"])
    os._exit(0)
