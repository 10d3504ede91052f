"""What a score depends on: the submission, and for a whole class the source, the package that it imports, and what
of tito scores it.

What scores is not listed by hand: it is what makes a kit and runs tasks, the programs that this starts, and all
of tito's services that these import, directly or through others. So a change of a report, a date or an export scores
nobody again.
"""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

from tito.services.files import digest

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[2]
SERVICES = "tito.services"
# what makes a kit and scores with it, and the programs that this starts
STARTS = ("scoring/executors.py", "scoring/reading_server.py", "bridge/inside.py", "bridge/trusted.py")


@cache
def scoring_files():
    """The files of tito that decide about a score."""
    waiting, reached = [HERE / name for name in STARTS], set()
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imported_services(path)
    return tuple(sorted(reached))


def _imported_services(path):
    """The files of tito's services that the file `path` imports, also inside functions."""
    home = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith(f"{SERVICES}.") and file.is_file():
                yield file


def version_key(version):
    """class_key for a class that is graded with `version`, see book/versions.py."""
    hashed = hashlib.sha256(f"{sys.version_info[:2]} {version.fingerprint}".encode())
    for path in scoring_files():
        hashed.update(digest(path.read_bytes()).encode())
    return hashed.hexdigest()


def class_key(project, catalog, module, source):
    """The part of a key that is the same for a whole class, where no version is kept of what it is graded with."""
    hashed = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    unseen = {project.core / other.core_file for other in {*catalog} - {*catalog.prerequisites(module)}}
    package = [path for path in sorted(project.package.rglob("*.py")) if path not in unseen]
    for path in [source, *scoring_files(), *package]:
        hashed.update(digest(path.read_bytes() if path.is_file() else b"").encode())
    return hashed.hexdigest()


def key(submitted, of_class):
    """The key of a submission with the digest `submitted`."""
    return digest(f"{submitted} {of_class}".encode())
