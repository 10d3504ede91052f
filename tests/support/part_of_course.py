"""A course of some of this course's modules, in a folder of its own: with the package, tito and the path's rows."""

import re
import shutil
from pathlib import Path

from tito.catalog import Catalog, read_catalog, read_milestones
from tito.project import read_project
from tito.services.check.gates import Checked

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = shutil.ignore_patterns("__pycache__", "*.ipynb")
README = """# A course

Look at [the path](modules/README.md#milestones), then:

    tito module start 01
"""


def copy_part(root, names, milestones=()):
    """Make the new folder `root` a course of the modules and milestones of these names, which need no others."""
    root.mkdir(parents=True)
    for name in ("tinytorch", "tito"):
        shutil.copytree(ROOT / name, root / name, ignore=WITHOUT)
    for path in (root / "tinytorch" / "core").glob("*.py"):
        if path.stem not in {"__init__", *(name.partition("_")[2] for name in names)}:
            path.unlink()
    for name in [*(f"modules/{one}" for one in names), *(f"milestones/{one}" for one in milestones)]:
        shutil.copytree(ROOT / name, root / name, ignore=WITHOUT)
    path = (ROOT / "modules" / "README.md").read_text(encoding="utf-8")
    numbers = "|".join(name[:2] for name in names)
    kept = [line for line in path.splitlines() if not re.match(rf"\| \[(?!(?:{numbers})_[a-z])", line)]
    (root / "modules" / "README.md").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (root / "README.md").write_text(README, encoding="utf-8")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    return root


def checked(root, work, only=(), jobs=1):
    """A Checked of the course at `root`. only: the modules that validators look at, among those that are there."""
    project = read_project(root)
    catalog = read_catalog(project)

    class Few(Catalog):
        def __iter__(self):
            return iter([self[name] for name in only])

    return Checked(project, Few(catalog.modules) if only else catalog, read_milestones(project), work, jobs)
