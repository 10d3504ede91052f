"""Of which module is a notebook? Its grade_ids say so, whatever the file is called; else its name does.

Where two answers are possible, neither is taken.
"""

import json
import re
from pathlib import PurePosixPath

from tito.services import notebooks, strip

GRADE_ID = re.compile(r'"grade_id"\s*:\s*"([^"\\]+)"')
AS_TEXT = ("", ".json", ".txt")
# larger files are only searched: what a parser makes of them may be thirty times their size
PARSED = 20 * 2**20


def is_artifact(path, module):
    """Whether a file is what is handed in with the notebook of `module`, under its name or as an LMS changes it."""
    own, name = PurePosixPath(module.artifact), PurePosixPath(path).name.lower()
    return bool(module.artifact) and name.endswith(own.suffix) and own.stem in name


class Finder:
    """Recognises modules, each with a `name` and a `short`, by the grade_ids that only one of them has.

    own: {name of a module: these grade_ids}.
    """

    def __init__(self, modules, own):
        self.modules, self.own = {module.name: module for module in modules}, own

    def by_content(self, data):
        """The module whose grade_ids the notebook holds, a broken one as well; None where that says nothing."""
        found = grade_ids(data)
        counts = {name: len(found & own) for name, own in self.own.items()}
        best = max(counts, key=counts.get)
        if counts[best] == 0 or list(counts.values()).count(counts[best]) > 1:
            return None
        return self.modules[best]

    def by_name(self, path):
        """The module that the file name, else a folder, names; None where none or several do."""
        for part in reversed(PurePosixPath(path).parts):
            words = f" {re.sub(r'[^0-9a-z]+', ' ', part.lower())} "
            found = [module for module in self.modules.values() if f" {module.short.replace('_', ' ')} " in words]
            if len(found) == 1:
                return found[0]
        return None


class ModuleFinder(Finder):
    """Recognises the modules of a course."""

    def __init__(self, course, catalog):
        self.course = course
        self._stubs = {}
        ids = {module.name: self._grade_ids(module) for module in catalog}
        shared = [name for own in ids.values() for name in own]
        own = {name: {one for one in own if shared.count(one) == 1} for name, own in ids.items()}
        super().__init__(catalog, own)

    def _grade_ids(self, module):
        released = self.course.release / module.name / module.notebook.name
        if released.is_file():
            return grade_ids(released.read_bytes())
        node = notebooks.load(self.course.project, module.percent).node
        return {notebooks.grade_id(cell) for cell in node.cells} - {None}

    def is_untouched(self, data, module):
        """Whether no answer was written into the notebook."""
        if module.name not in self._stubs:
            source = notebooks.load(self.course.project, module.percent)
            self._stubs[module.name] = strip.strip(source.node, source)
        return has_answers_of(data, self._stubs[module.name])


def has_answers_of(data, node):
    """Whether the answers in the bytes of a notebook are those of `node`, white space aside."""
    try:
        return _answers(_parsed(data)["cells"]) == _answers(node.cells)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError):
        return False


def _answers(cells):
    """{grade_id: source without white space} of the cells that students write."""
    return {
        notebooks.grade_id(cell): "".join("".join(cell["source"]).split())
        for cell in cells
        if notebooks.is_solution(cell) or notebooks.is_written(cell)
    }


def grade_ids(data):
    """The grade_ids in the bytes of a notebook; of a broken one those that can still be found."""
    text = data.decode(notebooks.encoding(data), "replace")
    try:
        cells = _parsed(text)["cells"]
        return {notebooks.grade_id(cell) for cell in cells if isinstance(cell, dict)} - {None}
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return {match[1] for match in GRADE_ID.finditer(text)}


def _parsed(text):
    """The document in `text`. Raises ValueError where it is none, or too large to look at it that closely."""
    if len(text) > PARSED:
        raise ValueError(f"{len(text)} characters")
    return json.loads(text)


def is_notebook(path, data):
    """Whether a file is meant to be a notebook: by its name, or by its content where browsers renamed it."""
    name = PurePosixPath(path).name.lower()
    if ".ipynb" in name:
        return True
    if PurePosixPath(name).suffix not in AS_TEXT:
        return False
    try:
        document = _parsed(data)
    except (ValueError, RecursionError, MemoryError):
        return False
    return isinstance(document, dict) and isinstance(document.get("cells"), list) and "nbformat" in document
