"""What surrounds tito on a machine, and the commands that put it in order.

With the standard library alone, and in words that an old Python understands too: `python3 -m tito doctor` answers from
here where nothing is installed yet, or where the Python is too old for the rest of tito.
"""

import codecs
import json
import locale
import os
import re
import shlex
import sys
from collections import namedtuple
from importlib.util import find_spec
from pathlib import Path
from shutil import which

OLDEST_PYTHON = (3, 11)
NEWER = [f"python3.{minor}" for minor in (14, 13, 12, 11)]
OLDEST_PIP = (21, 3)  # installs an editable package without a setup.py
WINDOWS = os.name == "nt"
LONGEST_BELOW = 160  # characters of the longest path that an installation makes below the project's folder
WINDOWS_PATH = 259
ROOT = Path(__file__).resolve().parents[1]

# ok: whether it is in order; detail: what was found; fix: the command that puts it in order, "" where it is
Found = namedtuple("Found", "name ok detail fix")

# programs that keep a folder the same on several machines: how their folders are called, and what marks them
SYNCHRONISED = {
    "OneDrive": r"onedrive( - .+)?$",
    "Dropbox": r"dropbox( \(.+\))?$",
    "Google Drive": r"(google ?drive(-.+)?|my drive)$",
    "iCloud": r"(com~apple~clouddocs|icloud ?drive)$",
    "Nextcloud": r"(nextcloud|owncloud)$",
    "Box": r"box sync$",
    "a cloud's folder": r"cloudstorage$",  # of macOS
}
MARKS = {  # ".dropbox" is a file in a synchronised folder, and a folder in a person's own
    ".dropbox": "Dropbox", ".dropbox.cache": "Dropbox", ".stfolder": "Syncthing", ".nextcloudsync.log": "Nextcloud",
    ".owncloudsync.log": "ownCloud", ".tmp.drivedownload": "Google Drive", ".SynologyWorkingDirectory": "Synology",
}  # fmt: skip
ONEDRIVE = ("OneDrive", "OneDriveCommercial", "OneDriveConsumer")  # which Windows sets to its folders
LIBRARIES = {
    "numpy", "matplotlib", "sklearn", "scipy", "IPython", "ipykernel", "jupyter", "nbformat", "nbgrader", "nbdev",
    "pytest", "traitlets", "zmq", "tornado", "typer", "rich", "packaging", "tinytorch", "tito",
}  # fmt: skip


# Commands, as they are typed on this system.


def quoted(path):
    """`path` as one word of a command: also where it holds spaces."""
    text = str(path)
    if WINDOWS:  # cmd and PowerShell
        return f'"{text}"' if re.search(r"[^\w.:\\/-]", text) else text
    return shlex.quote(text)


def in_turn(*commands):
    """Commands, each after the one before; on lines of their own where the shell, PowerShell 5, knows no `&&`."""
    return ("\n" if WINDOWS else " && ").join(commands)


def activate():
    return r".venv\Scripts\activate" if WINDOWS else ". .venv/bin/activate"


def new_environment(root, clear=False, python=None):
    """Make the environment of the project at `root`; clear: in place of the one that is there."""
    make = f"{python or ('py' if WINDOWS else 'python3')} -m venv {'--clear ' if clear else ''}.venv"
    return in_turn(f"cd {quoted(root)}", make, activate(), "pip install -e .")


def own_environment(root):
    """Go over to the environment of the project at `root`: the one that is there, else a new one."""
    if (Path(root) / ".venv" / "pyvenv.cfg").is_file():
        return in_turn(f"cd {quoted(root)}", activate())
    return new_environment(root)


def rename(path, target):
    return f"{'move' if WINDOWS else 'mv'} {quoted(path)} {quoted(target)}"


# What is looked at.


def surroundings(root, is_course):
    """Every Found of this machine, for the project at `root`."""
    return [environment(root), pip(), venv(root, is_course), encoding(), folder(root), names(root)]


def environment(root):
    """The environment that runs this is the one that is active, and where it was made."""
    active, here = os.environ.get("VIRTUAL_ENV"), sys.prefix
    if active and not _same(active, here):
        detail = f"{active} is active, but this is the Python of {here}"
        return Found("environment", False, detail, own_environment(root))
    made = re.search(r'^command = .* -m venv (?:--(?:prompt=".*"|\S+) )*(.+)$', _configuration(), re.MULTILINE)
    if made and not _same(made.group(1).strip(), here):
        detail = f"{here} was made as {made.group(1)} and moved or copied: its commands start what was there"
        return Found("environment", False, detail, new_environment(root, clear=True))
    kind = "" if sys.prefix != sys.base_prefix else "not a virtual one: "
    return Found("environment", True, kind + here, "")


def _configuration():
    try:
        return Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _same(one, other):
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def pip():
    if find_spec("pip") is None:
        if re.search(r"^uv = ", _configuration(), re.MULTILINE):
            return Found("pip", True, "none, as uv makes environments: type uv pip for pip", "")
        return Found("pip", False, "not installed in this environment", "python -m ensurepip --upgrade")
    from importlib.metadata import version

    found = version("pip")
    if tuple(int(number) for number in re.findall(r"\d+", found)[:2]) < OLDEST_PIP:
        detail = f"{found} cannot install this course (needs >={'.'.join(map(str, OLDEST_PIP))})"
        return Found("pip", False, detail, "python -m pip install --upgrade pip")
    return Found("pip", True, found, "")


def venv(root, is_course):
    """Whether `python3 -m venv` works. Debian and Ubuntu take what it needs out of their Python."""
    if find_spec("ensurepip") is not None and find_spec("venv") is not None:
        return Found("venv", True, "environments can be made", "")
    if not is_course and Path(root) in Path(sys.prefix).parents:
        return Found("venv", True, "not there, and not needed: this environment is the workspace's", "")
    fix = f"sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if sys.platform != "linux":
        fix = "install Python from https://www.python.org/downloads/"
    return Found("venv", False, "this Python makes no environments: ensurepip is not there", fix)


def encoding():
    """What programs print and read in: UTF-8, or what cannot hold all that is in a notebook."""
    printed = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    if printed and not _is_utf8(printed):
        fix = "set PYTHONIOENCODING=    (PowerShell: Remove-Item Env:PYTHONIOENCODING)"
        detail = f"PYTHONIOENCODING is {printed}: a program that prints another character stops"
        return Found("encoding", False, detail, fix if WINDOWS else "unset PYTHONIOENCODING")
    read = locale.getpreferredencoding(False)
    if not _is_utf8(read):
        detail = f"{read}: programs take text files for that, which are UTF-8"
        fix = "setx PYTHONUTF8 1\nthen open a new terminal" if WINDOWS else "export PYTHONUTF8=1"
        return Found("encoding", False, detail, fix)
    return Found("encoding", True, "UTF-8", "")


def _is_utf8(name):
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError:
        return False


def folder(root):
    """Whether anything but the student's programs writes into the project's folder, and whether Windows can name what
    is below it.
    """
    root = Path(root)
    program = synchronised(root)
    if program:
        detail = f"{root} is synchronised by {program}, which locks and replaces files while tito and pip write them"
        return Found("folder", False, detail, _moved(root))
    if WINDOWS and len(str(root)) + LONGEST_BELOW > WINDOWS_PATH and not _long_paths():
        detail = f"{root} is so long that files below it pass the {WINDOWS_PATH} characters that Windows allows"
        return Found("folder", False, detail, _moved(root))
    return Found("folder", True, str(root), "")


def synchronised(root):
    """The name of the program that synchronises `root`, "" where none is recognised."""
    for path in (root, *root.parents):
        for program, name in SYNCHRONISED.items():
            if re.match(name, path.name, re.IGNORECASE):
                return program
        for mark, program in MARKS.items():
            if (path / mark).exists() and not (mark == ".dropbox" and (path / mark).is_dir()):
                return program
    known = filter(None, map(os.environ.get, ONEDRIVE))
    return "OneDrive" if any(_same(one, path) for one in known for path in (root, *root.parents)) else ""


def _moved(root):
    """The commands that move a project to the person's own folder; its environment has to be made again there."""
    target = Path.home() / root.name
    if target.exists() or root in (target, *target.parents):
        target = Path.home() / "my-tinytorch"
    return in_turn(f"cd {quoted(Path.home())}", rename(root, target), new_environment(target, clear=True))


def _long_paths():
    try:
        import winreg

        place = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False


def names(root):
    """No file of the student's is called like a library: beside a notebook it would be imported in its place."""
    known = LIBRARIES | set(getattr(sys, "stdlib_module_names", ()))
    modules = Path(root) / "modules"
    for place in (modules, *sorted(path for path in modules.glob("*") if path.is_dir())):
        for path in sorted(place.glob("*.py")):
            if path.stem in known:
                detail = f"{path} hides the library of that name from the notebooks beside it"
                return Found("names", False, detail, rename(path, path.with_name(f"my_{path.name}")))
    return Found("names", True, "no file beside a notebook hides a library", "")


# Where tito cannot start.


def obstacle():
    """Why the rest of tito cannot run on this Python, as a Found; None where it can."""
    if sys.version_info < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        detail = f"{sys.executable} is Python {sys.version.split()[0]}, and this course needs {needed} or newer"
        newer = next(filter(which, NEWER), None)
        install = "install one: https://www.python.org/downloads/"
        return Found("Python", False, detail, new_environment(ROOT, python=newer) if newer else install)
    if find_spec("typer") is None:
        detail = f"the course is not installed for {sys.executable}"
        return Found("installation", False, detail, own_environment(ROOT))
    return None


def answer(problem, arguments):
    """Print what is wrong in place of what was asked for; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    checks = [problem] if "doctor" in arguments else []
    if checks and sys.version_info >= OLDEST_PYTHON:
        checks += surroundings(ROOT, is_course=True)
    if "--json" in arguments:
        error = {"code": "not-installed", "message": problem.detail, "hint": problem.fix}
        data = {"checks": [check._asdict() for check in checks]} if checks else None
        print(json.dumps({"schema": 1, "ok": False, "data": data, "error": error}, indent=2))
        return 3
    for check in checks:
        print(f"{'ok' if check.ok else 'wrong':5}  {check.name:12}  {check.detail}")
        if not check.ok:
            print(f"    fix: {check.fix}")
    print(f"error: {problem.detail}", file=sys.stderr)
    print(f"  next: {problem.fix}", file=sys.stderr)
    return 3
