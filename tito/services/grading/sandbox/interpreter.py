"""Which folders of this machine a sandbox needs to run this Python, and what in them it must not see."""

import os
import site
import sys
from pathlib import Path

MASKED = ("tinytorch", "tito")  # an installed course would be the reference
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts")
# of an environment that has the project inside it, or is the project's own folder
PARTS = ("bin", "lib", "lib64", "include", "share", "conda-meta", "pyvenv.cfg")
MOST_LINKS = 200


def interpreter(root):
    """([(source, target)] to bind, [(target, link)] of symbolic links, [folder] to hide), all as text.

    root: the project, of which nothing is to be seen but an environment inside it; or None.
    """
    binds, links = _system()
    masks = []
    folders = (Path(sys.base_prefix).resolve(), Path(sys.base_prefix), Path(sys.prefix))
    for folder in dict.fromkeys(folders):
        if folder == Path("/") or (_visible(folder, binds) and not _inside(folder, masks)):
            continue
        if root and root.is_relative_to(folder):
            parts = [folder / name for name in PARTS if (folder / name).exists()]
            binds += [(str(part), str(part)) for part in parts if not root.is_relative_to(part)]
        else:
            binds.append((str(folder), str(folder)))
        if root and _visible(root, binds) and str(root) not in masks:
            masks.append(str(root))
    links += _links(sys.executable, binds)
    for folder in _site_packages():
        masks += [str(folder / name) for name in MASKED if (folder / name).is_dir()]
        masks += [str(path) for name in MASKED for path in folder.glob(f"{name}-*.dist-info")]
        binds += [("/dev/null", str(path)) for path in folder.glob("*.pth") if root and _names(path, root)]
    if (settings := Path(sys.prefix) / "etc" / "jupyter").is_dir():  # nbgrader's, which name the course's folders
        masks.append(str(settings))
    return binds, links, [mask for mask in dict.fromkeys(masks) if _visible(mask, binds)]


def _names(path, root):
    """Whether a file that Python reads at its start leads to the project: that of an editable installation."""
    try:
        return str(root) in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _system():
    binds, links = [], []
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            links.append((str(path.readlink()), str(path)))
        elif path.exists():
            binds.append((str(path), str(path)))
    binds += [(path, path) for path in SETTINGS if Path(path).exists()]
    if (clock := Path("/etc/localtime")).exists():
        binds.append((str(clock.resolve()), str(clock)))
    return binds, links


def _visible(path, binds):
    return _inside(path, [target for _, target in binds])


def _inside(path, folders):
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _site_packages():
    found = {*site.getsitepackages(), *(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))}
    return sorted(path for path in map(Path, found) if path.is_dir())


def _links(path, binds):
    """The symbolic links on the way to `path` that lie in no bound folder: [(target, link)]."""
    found, waiting, here = [], list(Path(path).parts[1:]), Path("/")
    for _ in range(MOST_LINKS):
        if not waiting:
            break
        here /= waiting.pop(0)
        if not here.is_symlink():
            continue
        target = here.readlink()
        if not _visible(here, binds) and str(here) not in SYSTEM:
            found.append((str(target), str(here)))
        waiting = [*Path(os.path.normpath(here.parent / target)).parts[1:], *waiting]
        here = Path("/")
    return found
