"""The testing gate: how the graded tests are written, and how strong they are."""

import ast
import importlib.util
import sys

from tito.services import notebooks, rules
from tito.services.check.gates import Breach, NotHere


def patterns(checked):
    for module in checked.catalog:
        source = notebooks.load(checked.project, module.percent)
        file = checked.label(module.percent)
        for problem in rules.check(source, module, checked.catalog):
            if "hidden" in problem.message or "visible test" in problem.message:
                yield Breach(file, None, f"{problem.where}: {problem.message}", "see modules/README.md")
        functions = set()
        for index, cell in notebooks.code_cells(source.node):
            tree = _parsed(cell.source)
            if tree is None or not notebooks.is_test(cell):
                continue
            functions |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            if not notebooks.grade_id(cell).endswith("-hidden"):
                for line in _silent_asserts(tree):
                    place = f"cell {index + 1} ({notebooks.grade_id(cell)}), line {line}"
                    yield Breach(
                        file, None, f"{place}: an assert without a message",
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
    for case, message in _failed_cases(checked, proofs):
        yield Breach(checked.label(proofs), None, f"{case}: {message}", "tests/grading/README or the file's docstring")


def _failed_cases(checked, path):
    """(name, first line) of each test that fails in `path`."""
    import subprocess

    command = [sys.executable, "-m", "pytest", str(path), "-q", "--tb=line", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=checked.project.root, capture_output=True, encoding="utf-8", check=False)
    if done.returncode == 0:
        return
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    for line in failed or [done.stdout.strip().rpartition("\n")[2]]:
        name, _, message = line.partition(" - ")
        yield name.removeprefix("FAILED ").removeprefix("ERROR "), message or "it fails"
