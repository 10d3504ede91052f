"""The worked solution of a module to read: as a notebook and as a page, without the withheld tests."""

import copy
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tito.errors import WorkError
from tito.services import clone, executed, modules, notebooks, syntax
from tito.services.files import atomic_write
from tito.services.help_used import HelpUsed, read_help, write_help
from tito.services.module_text import without_scaffolding
from tito.services.strip import KERNEL, LANGUAGE


@dataclass(frozen=True)
class Solution:
    """A worked solution on disk. missing: what the page lacks, "" for nothing. gave_up: whether it was asked for before
    the module was complete.
    """

    module: str
    notebook: Path
    page: Path
    missing: str = ""
    gave_up: bool = False


def write(course, module, folder):
    """Write the solution of `module` of the repository `course` into `folder`. Returns a Solution.

    It was not run: what a cell prints is for the reader to see. No cell of it is graded.
    """
    from nbformat import v4

    node = v4.new_notebook(metadata={"kernelspec": dict(KERNEL), "language_info": dict(LANGUAGE)})
    for cell in notebooks.load(course, module.percent).node.cells:
        if not (notebooks.is_test(cell) and syntax.HIDDEN_TESTS in cell.source):
            node.cells.append(_worked(cell))
    notebook = Path(folder) / f"{module.name}_solution.ipynb"
    page = notebook.with_suffix(".html")
    notebooks.write(node, notebook)
    made, missing = executed.page(node, f"{module.name}, worked solution")
    atomic_write(page, made)
    return Solution(module.name, notebook, page, missing)


def _worked(cell):
    """The cell as a reader wants it: without markers, and without metadata that would make it an answer."""
    shown = copy.deepcopy(cell)
    shown.metadata = {}
    if cell.cell_type == "code":
        shown.source = without_scaffolding(cell.source)
    else:
        lines = cell.source.split("\n")
        shown.source = "\n".join(line for line in lines if not syntax.MARKER_LINE.fullmatch(line.strip()))
    return shown


def solution(project, catalog, module, folder, *, give_up=False):
    """The Solution of `module` for the student of the workspace `project`, from the clone of the course at `folder`.

    Raises WorkError where the module is not complete, unless give_up: which is recorded then.
    """
    course, theirs = clone.open_course(project, folder)
    is_done = modules.standing(project, catalog, module).completion is not None
    if not is_done and not give_up:
        raise WorkError(
            f"{module.name} is not complete; its solution would take the exercise away",
            f"tito module test {module.name}; to see the solution all the same, which is recorded: --give-up",
            code="not-complete",
        )
    if not is_done:
        used = read_help(project)
        before = used.get(module.name, HelpUsed())
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        used[module.name] = replace(before, gave_up=before.gave_up or now)
        write_help(project, used)
    written = write(course, theirs.find(module.name), project.state / "solutions")
    return replace(written, gave_up=not is_done)
