"""The testing gate: how the graded tests are written, and how strong they are."""

import ast

from tito.errors import TitoError
from tito.services import notebooks
from tito.services.check.gates import Breach, place_of


def patterns(checked):
    for module in checked.catalog:
        source = checked.source(module)
        file = checked.label(module.percent)
        for problem in checked.problems(module):
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
    """The audit of every module: the reference earns everything, a stub nothing, mutants what their file says."""
    from tito.services.grading.proof import audit

    for module in checked.catalog:
        file = checked.label(audit.explanations_path(checked.project, module))
        command = f"tito grade audit {module.name}"
        try:
            found = audit.audit(checked.project, checked.catalog, module, jobs=checked.jobs)
        except TitoError as error:  # the reference itself fails; the other modules are looked at all the same
            yield Breach(checked.label(module.percent), None, error.message, error.hint or command)
            continue
        for one in found.unexplained:
            place, line, _ = place_of(one.where)
            change = f"{one.mutant.before} -> {one.mutant.after}"
            yield Breach(place, line, f"{one.mutant.grade_id}: this change loses no points: {change}", command)
        for grade_id in found.unearned:
            yield Breach(checked.label(module.percent), None, f"an untouched stub passes {grade_id}", command)
        for one in found.surprises:
            place, line, _ = place_of(one.where)
            yield Breach(place, line, f"complete refuses an answer with every visible point: {one.refusal}", command)
        for text in found.stale:
            yield Breach(file, None, text, command)
        if found.rate < audit.REQUIRED:
            what = f"{found.rate:.1%} of the mutants lose points, {audit.REQUIRED:.0%} have to"
            yield Breach(file, None, what, command)
