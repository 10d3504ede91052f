"""The files of `tinytorch/core`: one a module, with names fit for a star import. `tito check exports` compares them."""

import ast
import builtins


def test_there_is_a_core_file_for_every_module_and_no_other(project, catalog):
    found = {path.name for path in project.core.glob("*.py")}
    assert found == {"__init__.py", *(module.core_file for module in catalog)}


def test_no_exported_name_shadows_a_builtin(project, catalog):
    for module in catalog:
        tree = ast.parse((project.core / module.core_file).read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        (listed,) = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        assert not [name for name in {*names, *listed} if hasattr(builtins, name)], module.name


def test_no_exported_file_holds_a_trace_of_the_notebook(project, catalog):
    traces = ("# %%", "#|", "BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "nbgrader", "_dev", str(project.root))
    for module in catalog:
        text = (project.core / module.core_file).read_text(encoding="utf-8")
        assert [trace for trace in traces if trace in text] == [], module.name
