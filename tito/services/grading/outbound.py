"""A release into nbgrader's exchange, from which the students of a JupyterHub fetch it: by nbgrader itself."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError
from tito.services.grading.book.course import require_course
from tito.services.grading.book.exchange import find_exchange


@dataclass(frozen=True)
class PutOut:
    """status: released, unchanged or replaced; folder: in the exchange, None where it has none."""

    module: str
    status: str
    folder: Path | None


def put_out(project, modules, *, force=False):
    """Put the releases of `modules` into the exchange; a PutOut for each. force: also where another one is there.

    Raises ProjectError where another one is there, and where nbgrader refuses.
    """
    course = require_course(project)
    exchange = find_exchange(course)
    with course.locked("tito grade release --exchange"):
        plans = [_plan(course, exchange, module, force) for module in modules]
        for plan in plans:
            if plan.status != "unchanged":
                _release(course, plan, force)
    return tuple(plans)


def _plan(course, exchange, module, force):
    if exchange.folder is None:
        return PutOut(module.name, "released", None)
    folder = exchange.outbound / module.name
    if not folder.exists():
        return PutOut(module.name, "released", folder)
    if _files(folder) == _files(course.release / module.name):
        return PutOut(module.name, "unchanged", folder)
    if not force:
        raise ProjectError(
            f"another release of {module.name} is in the exchange, and students may have fetched it: {folder}",
            f"tito grade release {module.name} --exchange --force",
            code="released",
        )
    return PutOut(module.name, "replaced", folder)


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _release(course, plan, force):
    command = [sys.executable, "-m", "nbgrader", "release_assignment", plan.module, *(["--force"] if force else [])]
    done = subprocess.run(
        command, cwd=course.root, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if "ERROR" in line or "Error" in line]
        reason = (lines or done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise ProjectError(
            f"nbgrader does not put {plan.module} into the exchange: {reason}",
            f"cd {course.label(course.root)} && nbgrader release_assignment {plan.module} --debug",
            code="exchange",
        )
