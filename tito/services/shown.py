"""What the course's reference shows, made once and kept: the outputs of a module's cells, the report of a milestone.

Both are kept with hashes of what they come from, so that nothing is shown that a change has made untrue. Whoever runs a
module's notebook with its measurements, or a milestone, leaves them here: a person, CI, or the site, which reads them.
"""

import json
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from tito.services import documents, notebooks
from tito.services.files import atomic_write, digest

SCHEMA = 1
PACKAGES = ("numpy", "matplotlib", "scikit-learn")  # whose versions outputs depend on
METRICS = "metrics.json"  # of a report, see milestones/report.py


@dataclass(frozen=True)
class Outputs:
    """What the cells of a module print and draw. cells: {index of the cell: outputs}; seconds: what the run took."""

    cells: dict
    seconds: float


def outputs(project, catalog, module):
    """The Outputs of `module` where the code and the package are those that ran, else None."""
    from nbformat import from_dict

    found = _read(project, module)
    if found is None or found["key"] != key(project, catalog, module):
        return None
    cells = {int(index): [from_dict(one) for one in cell] for index, cell in found["cells"].items()}
    return Outputs(cells, found["seconds"])


def last_seconds(project, module):
    """What the last run of `module` took, whatever has changed since; None where there was none."""
    found = _read(project, module)
    return found and found["seconds"]


def keep(project, module, key, outputs):
    """Keep the Outputs of a run in which no cell stopped. key: that of the module when the run began."""
    cells = {index: shown for index, shown in outputs.cells.items() if shown}
    atomic_write(_path(project, module), documents.text(SCHEMA, key=key, seconds=outputs.seconds, cells=cells))


def key(project, catalog, module):
    """Changes with the code of the notebook and with all of the package that it can import; prose is no part of it."""
    source = notebooks.load(project, module.source(project))
    parts = [_versions(), *(cell.source for _, cell in notebooks.code_cells(source.node))]
    cores = {one.core_file for one in catalog.prerequisites(module)}
    for path in sorted(project.package.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and (path.parent != project.core or path.name in cores):
            parts += [project.relative(path), digest(path.read_bytes())]
    return digest("\0".join(parts).encode("utf-8"))


@cache
def _versions():
    found = (f"{name} {metadata.version(name)}" for name in PACKAGES)
    return " ".join([f"{sys.version_info[:2]}", *found])


def _read(project, module):
    def parse(document):
        return {"key": document["key"], "seconds": document["seconds"] + 0, "cells": dict(document["cells"])}

    return documents.read(_path(project, module), SCHEMA, parse, project.state / "backups")[0]


def _path(project, module):
    return project.state / "shown" / f"{module.name}.json"


# Milestones.


def dataset(milestone):
    """Its dataset that needs no download: the first one where none of them does, else the last."""
    return milestone.datasets[0] if milestone.has_parts else milestone.datasets[-1]


def report(project, milestone):
    """(folder, metrics) of the report that `tito milestone run` wrote on dataset(milestone), seed 0, as long as what
    ran is what is there; the best run rather than the last one. None where there is none.
    """
    home = project.state / "milestones" / milestone.name
    found = [_report(project, home / f"{dataset(milestone)}-seed0{best}") for best in ("-best", "")]
    found = [one for one in found if one is not None]
    return max(found, key=lambda one: one[1]["reached"], default=None)


def _report(project, folder):
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        sources, versions = metrics["sources"], [metrics["setting"][name] for name in ("Python", "NumPy")]
        is_current = bool(sources) and versions == [platform.python_version(), metadata.version("numpy")]
        is_current &= all(digest((project.root / path).read_bytes()) == was for path, was in sources.items())
        pictures = [folder / figure[theme] for figure in metrics["figures"] for theme in ("file", "dark")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or one that an older program wrote
        return None
    return (folder, metrics) if is_current and all(path.is_file() for path in pictures) else None
