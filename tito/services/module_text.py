"""How an exported file reads: docstring, imports, `__all__`, code, as in a module written by hand.

The result depends on the cells and on the module's title and summary, on nothing else.
"""

import ast
import io
import re
import sys
import textwrap
import tokenize
from dataclasses import dataclass
from itertools import groupby

from tito.services import syntax

WIDTH = 120
PACKAGE = ("tinytorch", "core")
STUB_COMMENT = "# YOUR CODE HERE"
YOURS = "# Yours to write"  # and what it is worth: the first comment of an answer in a student's notebook
YOURS_LINE = re.compile(rf"{YOURS}(: .*)?")
ORIGIN = "Exported from module {} by tito export. Edit the notebook of that module, not this file."


def module_text(module, cells):
    """The text of the file that `module` exports. cells: the sources of its exported cells, without directives."""
    cells = [with_relative_imports(without_scaffolding(cell)) for cell in cells]
    trees = [syntax.parse(cell) for cell in cells]
    import_cells = [cell for cell, tree in zip(cells, trees, strict=True) if syntax.only_imports(tree)]
    code_cells = [cell for cell, tree in zip(cells, trees, strict=True) if not syntax.only_imports(tree)]
    names = [name for tree in trees for name, _, _ in syntax.definitions(tree)]
    parts = [docstring(module), import_block(import_cells), dunder_all(names), *code_cells]
    return spaced("\n\n".join(parts))


def without_scaffolding(code):
    """`code` without the comment lines that mark solutions and stubs. Strings that look like them stay."""
    lines = code.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        is_scaffolding = _is_scaffolding(token.string)
        if token.type == tokenize.COMMENT and is_scaffolding and token.line.strip() == token.string:
            lines[token.start[0] - 1] = None
    return "\n".join(line for line in lines if line is not None)


def _is_scaffolding(comment):
    return comment == STUB_COMMENT or YOURS_LINE.fullmatch(comment) or syntax.MARKER_LINE.fullmatch(comment)


def with_relative_imports(code):
    """`from tinytorch.core.tensor import Tensor` becomes `from .tensor import Tensor`, at any depth."""
    lines = code.split("\n")
    statements = [node for node in ast.walk(syntax.parse(code)) if isinstance(node, ast.ImportFrom)]
    for node in sorted(statements, key=lambda node: node.col_offset, reverse=True):
        if node.level or node.module.split(".")[0] != PACKAGE[0]:
            continue
        encoded = lines[node.lineno - 1].encode("utf-8")  # AST columns count bytes
        head, tail = encoded[: node.col_offset].decode("utf-8"), encoded[node.col_offset :].decode("utf-8")
        spelling = rf"(from\s+){re.escape(node.module)}\b"
        lines[node.lineno - 1] = head + re.sub(spelling, rf"\1{_relative(node.module)}", tail, count=1)
    return "\n".join(lines)


def _relative(name):
    parts = name.split(".")
    shared = 2 if tuple(parts[:2]) == PACKAGE else 1
    return "." * (len(PACKAGE) - shared + 1) + ".".join(parts[shared:])


def docstring(module):
    """What the file is and where it comes from, in the same words in the course and in a workspace."""
    summary = f"{module.title}: {module.summary.rstrip('.')}.".replace("\\", "\\\\").replace('"""', r"\"\"\"")
    paragraphs = (summary, ORIGIN.format(module.name))
    return '"""' + "\n\n".join(textwrap.fill(paragraph, WIDTH - 3) for paragraph in paragraphs) + '\n"""'


def dunder_all(names):
    """`__all__` with the public ones among `names`, in their order."""
    quoted = [f'"{name}"' for name in dict.fromkeys(names) if not name.startswith("_")]
    line = f"__all__ = [{', '.join(quoted)}]"
    if len(line) <= WIDTH:
        return line
    indent = " " * 4
    body = textwrap.fill(", ".join(quoted) + ",", WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"__all__ = [\n{body}\n]"


def import_block(cells):
    """The import statements of `cells`, each once, in the order that isort and Ruff use, comments beside them."""
    order = {text: _import_order(node) for cell in cells for text, node in _import_statements(cell)}
    sections = groupby(sorted(order, key=order.get), key=lambda text: order[text][0])
    return "\n\n".join("\n".join(statements) for _, statements in sections)


def _import_statements(cell):
    """(text, node) for each statement; the text holds the comments above it and behind it."""
    lines, start = cell.split("\n"), 0
    for node in syntax.parse(cell).body:
        text = "\n".join(line for line in lines[start : node.end_lineno] if line.strip())
        start = node.end_lineno
        if text:
            yield text, node


def _import_order(node):
    """Sections: __future__, standard library, installed packages, this package, relative imports from far to near."""
    is_from = isinstance(node, ast.ImportFrom)
    name = (node.module or "") if is_from else node.names[0].name
    root = name.split(".")[0]
    if is_from and node.level:
        section = 4
    elif root in ("__future__", *sys.stdlib_module_names):
        section = 0 if root == "__future__" else 1
    else:
        section = 3 if root == PACKAGE[0] else 2
    return section, is_from, -node.level if is_from else 0, name.lower()


# Blank lines.


@dataclass(frozen=True)
class _Block:
    """Lines that belong together: one statement, or comments without a blank line between them."""

    lines: list
    gap: int  # blank lines above, as written
    is_comment: bool = False
    is_definition: bool = False


def spaced(text):
    """`text` with two blank lines around top-level definitions, at most one elsewhere, and one newline at its end.

    A comment right above a definition belongs to it. The lines of a statement stay as they are, so that nothing
    inside a string or a body changes.
    """
    blocks = _blocks(text.split("\n"), syntax.parse(text).body)
    result = []
    for index, block in enumerate(blocks):
        if index:
            following = blocks[index + 1] if index + 1 < len(blocks) else None
            result += [""] * _gap(blocks[index - 1], block, following)
        result += block.lines
    return "\n".join(result) + "\n"


def _gap(previous, block, following):
    leads_definition = block.is_comment and following and following.is_definition and following.gap == 0
    belongs_to_previous = previous.is_comment and block.gap == 0
    if previous.is_definition or ((block.is_definition or leads_definition) and not belongs_to_previous):
        return 2
    return min(block.gap, 1)


def _blocks(lines, statements):
    blocks, end = [], 0
    for statement in statements:
        first = min([statement.lineno, *(line.lineno for line in getattr(statement, "decorator_list", []))])
        if first <= end:  # behind a semicolon
            continue
        gap = _add_comments(blocks, lines[end : first - 1])
        end = statement.end_lineno
        is_definition = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        blocks.append(_Block(lines[first - 1 : end], gap, is_definition=is_definition))
    _add_comments(blocks, lines[end:])
    return blocks


def _add_comments(blocks, lines):
    """Append the comments among `lines` as blocks; return the number of blank lines below the last one."""
    gap = 0
    for is_blank, run in groupby(lines, key=lambda line: not line.strip()):
        run = list(run)
        if is_blank:
            gap = len(run)
        else:
            blocks.append(_Block(run, gap, is_comment=True))
            gap = 0
    return gap
