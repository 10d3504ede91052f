"""The testing gate: how the graded tests are written, and how strong they are."""

import ast
import importlib.util

from tito.services import notebooks, rules
from tito.services.check.gates import Breach, NotHere, failed_tests, place_of


def patterns(checked):
    for module in checked.catalog:
        source = notebooks.load(checked.project, module.percent)
        file = checked.label(module.percent)
        for problem in rules.check(source, module, checked.catalog):
            if "hidden" in problem.message or "visible test" in problem.message:
                place, line, cell = place_of(problem.where)
                yield Breach(place, line, f"{cell}: {problem.message}", "modules/README.md says the convention")
        functions = set()
        for index, cell in notebooks.code_cells(source.node):
            tree = _parsed(cell.source)
            if tree is None or not notebooks.is_test(cell):
                continue
            functions |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            if not notebooks.grade_id(cell).endswith("-hidden"):
                for number in _silent_asserts(tree):
                    place, line, _ = place_of(notebooks.where(source, index, number))
                    yield Breach(
                        place, line, f"{notebooks.grade_id(cell)}: an assert without a message",
                        "say the case, what is expected and what came: expect(…), or assert …, f\"…\"",
                    )  # fmt: skip
        if "test_module" not in functions:
            yield Breach(file, None, "there is no test_module()", "test the module as a whole at its end")
        if not any(name.startswith("test_unit_") for name in functions):
            yield Breach(
                file, None, "there is no test_unit_…()", "put each visible test into a function test_unit_<thing>"
            )


def _parsed(source):
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def _silent_asserts(tree):
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert) and node.msg is None]


def strength(checked):
    """The audit of every module, and the answers of tests/grading: the reference, the stub, right and wrong ones."""
    from tito.services.grading.proof import audit

    for module in checked.catalog:
        found = audit.audit(checked.project, checked.catalog, module, jobs=checked.jobs)
        if not found.passed:
            yield Breach(
                checked.label(audit.explanations_path(checked.project, module)), None,
                f"{found.rate:.1%} of the mutants lose points; {len(found.unexplained)} survivors are not explained",
                f"tito grade audit {module.name}",
            )  # fmt: skip
    proofs = checked.project.root / "tests" / "grading" / "test_proofs.py"
    if not proofs.is_file():
        return
    if importlib.util.find_spec("pytest") is None:
        raise NotHere("pytest is not installed")
    failed, _ = failed_tests(checked, proofs)
    for line in failed:
        yield Breach(checked.label(proofs), None, line, f"python -m pytest {checked.label(proofs)}")
