"""What the Python code of a cell says, read without running it."""

import ast
import re
import symtable
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

SOLUTION, HIDDEN_TESTS, MARK_SCHEME = REGION_KINDS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
MARKER_LINE = re.compile(rf"\s*### (BEGIN|END) ({'|'.join(REGION_KINDS)})")


class MarkerError(ValueError):
    """A region that does not end, or ends without a beginning, on `line` (from 1)."""

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Import:
    """One imported module. `from a import b` may mean the module a.b, so that it gives both `a` and `a.b`."""

    name: str
    line: int
    is_star: bool = False


def parse(code):
    """The syntax tree of `code`. Raises SyntaxError for whatever cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a student's string is none of our business
        with _unparsable():
            return ast.parse(code)


@contextmanager
def _unparsable():
    """What else a parser may raise is a SyntaxError: it runs out of memory on a line of 20,000 signs."""
    try:
        yield
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or type(error).__name__) from error


def parsed(code):
    """The syntax tree of `code`, or None where it cannot be parsed (a cell with a magic, or a mistake)."""
    try:
        return parse(code)
    except SyntaxError:
        return None


def mistake(code):
    """(line, message) where `code` cannot be parsed, else None."""
    try:
        parse(code)
        return None
    except SyntaxError as error:
        lines = code.split("\n")
        text = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else ""
        if text.startswith(("%", "!")):
            return error.lineno, f"syntax error: magics and shell commands have no place in exported code: {text}"
        return error.lineno, f"syntax error: {error.msg}" + (f": {text}" if text else "")


def definitions(tree):
    """(name, line, statement) for every function, class and variable that the top level of `tree` defines, in order.

    Definitions inside `if`, `try` and `with` count. Variables of loops and imported names do not.
    """
    return [(name, node.lineno, top) for top in tree.body for node in _same_scope(top) for name in _defined_names(node)]


def _same_scope(statement):
    yield statement
    if isinstance(statement, (ast.If, ast.Try, ast.With)):
        handlers = [line for handler in getattr(statement, "handlers", []) for line in handler.body]
        orelse, final = getattr(statement, "orelse", []), getattr(statement, "finalbody", [])
        for inner in [*statement.body, *handlers, *orelse, *final]:
            yield from _same_scope(inner)


def _defined_names(node):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    else:
        return []
    names = (name for target in targets for name in ast.walk(target))
    return [name.id for name in names if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)]


def only_imports(tree):
    return bool(tree.body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body)


def imports(tree, package="tinytorch.core"):
    """Every module that `tree` imports, at any depth; relative imports are resolved from inside `package`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            found.append(Import(name, node.lineno, is_star=node.names[0].name == "*"))
            found += [Import(f"{name}.{alias.name}", node.lineno) for alias in node.names]
    return found


def function_at(code, line):
    """The function, "Class.method" for a method, that holds `line` of `code`; "" for the top level."""
    names, node = [], parsed(code)
    while node is not None:
        inner = [one for one in ast.iter_child_nodes(node) if getattr(one, "lineno", line + 1) <= line]
        node = next((one for one in inner if line <= one.end_lineno), None)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
    return ".".join(names)


def statement_at(code, line):
    """The text of the statement that holds `line` of `code`; of one with a body the line alone.

    What an assertion says when it fails is left out.
    """
    lines = code.split("\n")
    own = lines[line - 1].strip() if 1 <= line <= len(lines) else ""
    tree = parsed(code)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno and not hasattr(node, "body"):
            if isinstance(node, ast.Assert):
                return f"assert {ast.get_source_segment(code, node.test)}"
            return "\n".join(lines[node.lineno - 1 : node.end_lineno]).strip()
    return own


def bound_and_needed(code):
    """The global names that running `code` binds, and those that it or its functions read.

    Raises SyntaxError for whatever cannot be parsed.
    """
    with _unparsable():
        top = symtable.symtable(code, "cell", "exec")
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    needed = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        needed |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return bound, needed


def regions(text, kind):
    """(line of BEGIN, line of END), from 1, for every region of `kind` in a cell. Raises MarkerError.

    A marker is found as nbgrader finds it: anywhere in a line.
    """
    found, begin = [], None
    for number, line in enumerate(text.split("\n"), 1):
        if f"BEGIN {kind}" in line:
            if begin is not None:
                raise MarkerError(number, f"BEGIN {kind} inside the region that begins on line {begin} of the cell")
            begin = number
        elif f"END {kind}" in line:
            if begin is None:
                raise MarkerError(number, f"END {kind} without a BEGIN {kind} above it")
            found.append((begin, number))
            begin = None
    if begin is not None:
        raise MarkerError(begin, f"BEGIN {kind} without an END {kind} below it")
    return found


def lines_outside(text, found):
    """The lines of `text` that no region of `found` holds, markers excluded."""
    lines = enumerate(text.split("\n"), 1)
    return [line for number, line in lines if not any(begin <= number <= end for begin, end in found)]


def lines_inside(text, found):
    """The lines of `text` between the markers of the regions `found`."""
    lines = enumerate(text.split("\n"), 1)
    return [line for number, line in lines if any(begin < number < end for begin, end in found)]
