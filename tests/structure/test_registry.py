"""The folders below `modules/` are the one registry: no file of tito lists the modules."""

import ast

import pytest


def strings_outside_docstrings(tree):
    """(line, text) of every string constant that is no docstring, joined parts of f-strings included."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def listed_modules(tree, catalog):
    """Lines of `tree` that name a module's folder, and collections that name two modules in any spelling."""
    folders, shorts = {module.name for module in catalog}, {module.short for module in catalog}
    lines = {line for line, text in strings_outside_docstrings(tree) if text in folders}
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
            items = node.keys if isinstance(node, ast.Dict) else node.elts
            named = [item.value for item in items if isinstance(item, ast.Constant)]
            if len({*named} & (folders | shorts)) > 1:
                lines.add(node.lineno)
    return sorted(lines)


def test_no_file_of_tito_lists_the_modules(project, catalog):
    for path in sorted((project.root / "tito").rglob("*.py")):
        assert listed_modules(ast.parse(path.read_text(encoding="utf-8")), catalog) == [], path


@pytest.mark.parametrize("template", ["{0}", "[{0}, {1}]", "({2}, {3})", "{{{2}: 1, {3}: 2}}", "x = {{{2}, {1}}}"])
def test_a_list_would_be_noticed(catalog, template):
    one, two = list(catalog)[:2]
    code = template.format(*map(repr, (one.name, two.name, one.short, two.short)))
    assert listed_modules(ast.parse(f"def f():\n    x = 1\n\n{code}"), catalog) == [4]


def test_a_docstring_may_give_an_example(catalog):
    name = next(iter(catalog)).name
    assert listed_modules(ast.parse(f'"""{name}"""\ndef f():\n    "{name}"\n'), catalog) == []
