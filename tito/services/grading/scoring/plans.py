"""What a test cell needs, decided before any submission is looked at: read from the course's own notebook."""

import ast
import builtins

from tito.services import notebooks, syntax

# what a test may have from here: without a state that the notebook shares, and without files
TRUSTED = {"numpy", "math", "cmath", "itertools", "functools", "operator", "collections", "json", "gzip", "zlib"}
TRUSTED |= {"struct", "re", "string", "random", "statistics", "fractions", "decimal", "numbers", "types", "contextlib"}
TRUSTED |= {"bisect", "heapq", "typing", "dataclasses", "textwrap", "time"}


def read(cells):
    """({grade_id of a test: names that it takes from the notebook}, lines that import the rest).

    cells: the code cells of the course's notebook, in order. A name comes from the cell that bound it last: a test
    (those share their names), an import of NumPy, the standard library or tinytorch.notebook, or the notebook.
    """
    plans, imports = {}, {}
    origin = {}  # name -> "import", or what the test that bound it needs, or None for the notebook
    for cell in cells:
        if notebooks.is_measure(cell):
            continue
        bound, needed = syntax.bound_and_needed(cell.source)
        if notebooks.is_test(cell):
            plans[notebooks.grade_id(cell)] = tuple(sorted(_fetched(needed - bound, origin)))
            origin |= dict.fromkeys(bound, needed)
        else:
            found = _imports(cell.source)
            imports |= found
            origin |= {name: "import" if name in found else None for name in bound}
    return plans, tuple(dict.fromkeys(imports.values()))


def _fetched(names, origin):
    """The names of the notebook among `names`, and those that earlier tests among them need."""
    fetched, waiting, seen = set(), list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        home = origin.get(name)
        if isinstance(home, set):
            waiting += home
        elif home is None and (name in origin or not hasattr(builtins, name)) and not name.startswith("__"):
            fetched.add(name)
    return fetched


def classes(cells):
    """Names of the classes that the course's notebook defines, and all that it imports, sorted."""
    found = set()
    for cell in cells:
        tree = None if notebooks.is_test(cell) or notebooks.is_measure(cell) else syntax.parsed(cell.source)
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.name for alias in node.names}
    return tuple(sorted(found))


def _is_trusted(module):
    return module.split(".")[0] in TRUSTED or module == "tinytorch.notebook"


def _imports(source):
    """{name: line} of the imports at the top of a cell that a test may have from here."""
    found = {}
    tree = syntax.parsed(source)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in TRUSTED:
                    found[(alias.asname or alias.name).split(".")[0]] = ast.unparse(ast.Import([alias]))
        elif isinstance(node, ast.ImportFrom) and not node.level and _is_trusted(node.module):
            for alias in node.names:
                found[alias.asname or alias.name] = ast.unparse(ast.ImportFrom(node.module, [alias], 0))
    return found
