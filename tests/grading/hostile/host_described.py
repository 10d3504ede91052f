"""Command lines, mounts and installed packages are read for what they say of the course's folders."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% last
import pathlib
import sys

for pattern in ("/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ", "/proc/[0-9]*/cwd", "/etc/*"):
    for path in sorted(pathlib.Path("/").glob(pattern[1:])):
        try:
            print(path, path.read_bytes()[:2000])
        except OSError as error:
            print(path, error)
for folder in sys.path:
    for pattern in ("*.pth", "*/direct_url.json"):
        for path in sorted(pathlib.Path(folder).glob(pattern)):
            try:
                print(path, path.read_text()[:2000])
            except OSError as error:
                print(path, error)
print("the course is at @PROJECT@, the gradebook at @GRADEBOOK@")
