"""Views: copies of the package that hold the exports of some modules only, for child processes to import.

The notebook of module N is tested against the exports of its prerequisites, direct and through others. Yesterday's
export of N, or of any other module, is not in the view, and neither are the provided kernels of N, so nothing but the
notebook itself can make its tests pass.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tito.errors import ProjectError
from tito.services.files import atomic_write, remove_tree

START_SECONDS = 60
LEFT_OVER_SECONDS = 86_400  # a view this old belongs to a process that was killed


@contextmanager
def view(project, modules, extra=None, without_kernels_of=None):
    """Yield a folder with a copy of `tinytorch`, see fill; it is gone afterwards."""
    with folder(project) as made:
        fill(made, project, modules, extra, without_kernels_of)
        yield made


@contextmanager
def folder(project):
    """Yield a new folder, which is gone afterwards.

    It is below `project.state`, on the file system of the package, so that a file can be moved from one to the other
    in one step.
    """
    parent = project.state / "views"
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    made = Path(tempfile.mkdtemp(prefix="view-", dir=parent))
    try:
        yield made
    finally:
        remove_tree(made)


def fill(target, project, modules, extra=None, without_kernels_of=None):
    """Put into `target` a copy of `tinytorch` whose core holds the exports of `modules`, as far as built.

    extra: {file name: text} put into core besides. without_kernels_of: the module whose provided kernels, which could
    stand in for its answers, are left out; whoever imports them is told why.
    """
    _copy_package(project, modules, target / "tinytorch")
    if without_kernels_of is not None:
        _leave_out_kernels(target / "tinytorch" / "kernels" / without_kernels_of.short, without_kernels_of)
    for name, text in (extra or {}).items():
        atomic_write(target / "tinytorch" / "core" / name, text)


def _sweep(parent):
    """Remove the views of processes that were killed before they could do it themselves."""
    oldest = time.time() - LEFT_OVER_SECONDS
    for folder in parent.glob("view-*"):
        try:
            if folder.stat().st_mtime < oldest:
                remove_tree(folder)
        except FileNotFoundError:  # another tito was quicker
            continue


def _copy_package(project, modules, target):
    if not (project.package / "__init__.py").is_file():
        missing = f"{project.relative(project.package)}/__init__.py is missing"
        raise ProjectError(missing, project.restoring(project.package))
    shutil.copytree(project.package, target, ignore=shutil.ignore_patterns("__pycache__"))
    wanted = {"__init__.py", *(module.core_file for module in modules)}
    for file in (target / "core").glob("*.py"):
        if file.name not in wanted:
            file.unlink()


def _leave_out_kernels(kernels, module):
    if kernels.is_dir():
        remove_tree(kernels)
        kernels.mkdir()
        text = f'from tinytorch.kernels import withheld\n\n__getattr__ = withheld("{module.name}")\n'
        atomic_write(kernels / "__init__.py", text)


def child_environment(folder, *, is_view):
    """The environment of a child process that is to import `tinytorch` from `folder` and from nowhere else."""
    environment = {name: value for name, value in os.environ.items() if name != "TINYTORCH_VIEW"}
    environment.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1", PYTHONUTF8="1")
    if is_view:
        environment["TINYTORCH_VIEW"] = str(folder)
    return environment


def asked(folder, program, *arguments, is_view=True, seconds=START_SECONDS):
    """What a child process prints, as JSON in its last line, that runs `program`, which imports the `tinytorch` of
    `folder`. Raises ProjectError where that fails, or takes more than so many seconds.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=folder,
            env=child_environment(folder, is_view=is_view),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ProjectError(f"importing tinytorch took more than {seconds} seconds", "tito doctor") from error
    if child.returncode != 0:
        reason = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise ProjectError(f"tinytorch cannot be imported: {reason}", "tito doctor")
    return json.loads(child.stdout.splitlines()[-1])


def check_child(folder):
    """Raise ProjectError where a child process for `folder` would import another `tinytorch` than the one in it."""
    for path in asked(folder, "import json, tinytorch; print(json.dumps(list(tinytorch.__path__)))"):
        if not Path(path).resolve().is_relative_to(Path(folder).resolve()):
            raise ProjectError(
                f"a new process imports tinytorch from {path}, not from {folder}",
                "tito doctor",
                code="wrong-environment",
            )
