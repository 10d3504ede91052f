"""Hints: the course writes them into the metadata of its answers; a workspace keeps them in a file of their own.

.tito/hints.json        {module: {answer: [hints]}}, as `tito init` wrote it; no notebook has them
.tito/last-tests.json   {module: [what did not pass in the last `tito module test`, in the notebook's order]}

How many were shown stands with the other help that was taken: see help_used.
"""

import json
from dataclasses import dataclass, replace

from tito.errors import ProjectError, UsageError, WorkError
from tito.services import notebooks, pristine
from tito.services.files import atomic_write
from tito.services.help_used import HelpUsed, read_help, write_help

FILE = "hints.json"
LAST = "last-tests.json"
# what a student can do something about; a blocked test waits for an answer that has one of these itself
OPEN = ("failed", "crashed", "timeout", "todo")


@dataclass(frozen=True)
class Hinted:
    """What was asked for. hints: all that were shown of the answer `cell` so far; total: how many it has; new: whether
    the last one of them was not shown before.
    """

    module: str
    cell: str
    hints: tuple
    total: int
    new: bool


def path(project):
    return project.state / FILE


def write(workspace, module_nodes):
    """Keep the hints of a new workspace. module_nodes: {name of a module: its notebook with all metadata}."""
    found = {name: _of(node) for name, node in module_nodes.items()}
    atomic_write(path(workspace), json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _of(node):
    return {notebooks.grade_id(cell): found for cell in node.cells if (found := notebooks.hints(cell))}


def ask(project, module, cell=None):
    """One more hint for the answer `cell` of `module`, which may be named by a test of it as well.

    Without a cell it is the first one that did not pass in the last run of `tito module test`. Raises UsageError for a
    cell that the module does not have, WorkError where nothing is known to fail, ProjectError without hints.
    """
    known = _known(project, module)
    name = _asked(project, module, cell, known) if cell else _failing(project, module, known)
    helped = read_help(project)
    used = helped.get(module.name, HelpUsed())
    before = min(max(0, used.hints.get(name, 0)), len(known[name]))
    count = min(before + 1, len(known[name]))
    if count != before:
        write_help(project, helped | {module.name: replace(used, hints=used.hints | {name: count})})
    return Hinted(module.name, name, tuple(known[name][:count]), len(known[name]), count != before)


def remember(project, module, report):
    """Note which answers did not pass, for `ask` without a cell."""
    questions = notebooks.questions(_notebook(project, module))
    found = [questions.get(cell.grade_id) for cell in report.cells if cell.status in OPEN]
    last = _read_last(project) | {module.name: list(dict.fromkeys(name for name in found if name))}
    atomic_write(project.state / LAST, json.dumps(last, indent=1, ensure_ascii=False) + "\n")


def _known(project, module):
    """{answer: hints} of a module: of the course itself from its source."""
    if project.is_course:
        found = _of(notebooks.load(project, module.percent).node)
    else:
        file = path(project)
        hint = "make a new workspace in the course (tito init DEST) and copy its .tito/hints.json to here"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))[module.name]
            found = {name: [str(one) for one in texts] for name, texts in found.items() if isinstance(texts, list)}
        except FileNotFoundError:
            raise ProjectError("this workspace has no hints: .tito/hints.json is missing", hint, code="hints") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProjectError(f".tito/hints.json holds no hints for {module.name}", hint, code="hints") from None
    if not found:
        raise WorkError(f"{module.name} has no hints", f"read modules/{module.name}/README.md", code="no-hints")
    return found


def _asked(project, module, cell, known):
    if cell in known:
        return cell
    node, names = _notebook(project, module), ", ".join(known)
    found = notebooks.questions(node).get(cell)
    if found in known:
        return found
    if any(notebooks.grade_id(one) == cell for one in node.cells):
        raise UsageError(f"{cell} has no hints; these have: {names}", f"tito hint {module.name}")
    raise UsageError(f"{module.name} has no answer {cell!r} with hints; it has: {names}", f"tito hint {module.name}")


def _failing(project, module, known):
    last = _read_last(project).get(module.name)
    run = f"tito module test {module.name}"
    if not isinstance(last, list):
        raise WorkError(f"{module.name} was not tested yet, so nobody knows which answer fails", run, code="not-tested")
    found = next((name for name in last if name in known), None)
    if found is None:
        hint = f"tito hint {module.name} CELL; for what you changed since: {run}"
        raise WorkError(f"no answer of {module.name} failed when it was last tested", hint, code="nothing-failed")
    return found


def _notebook(project, module):
    handed_out, _ = pristine.read_pristine(project, module)
    return handed_out or notebooks.load(project, module.source(project)).node


def _read_last(project):
    """{module: what did not pass}; {} where nobody can read it: the next `tito module test` writes it anew."""
    try:
        found = json.loads((project.state / LAST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
