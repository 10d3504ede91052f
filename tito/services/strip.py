"""From the notebook with solutions to the one that students get, through nbgrader's own preprocessors.

Three things differ from `nbgrader generate_assignment`: the stub that replaces a solution names its cell, so that a
test that fails on it can say which answer is missing; a cell that is the student's to write says so in its first
comment, with what it is worth, because no editor shows the metadata that decides it; and the hints in a cell's metadata
stay with the course.
"""

import copy

from tito.errors import WorkError
from tito.services import syntax
from tito.services.module_text import YOURS
from tito.services.notebooks import grade_id, guide, is_exported, is_solution, is_stretch, is_test, points, where

STUB = '# YOUR CODE HERE\nraise NotImplementedError("{}: write this cell")'
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}


def strip(node, source=None):
    """A copy of `node` without solutions, hints, hidden tests and outputs; test cells are locked against editing.

    source: where the notebook came from, for messages. Raises WorkError naming cell and line where markers or
    metadata are not in order.
    """
    from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearOutput, LockCells

    stripped = copy.deepcopy(node)
    clearer = solution_clearer()()
    clearer.worths = _worths(stripped)
    steps = [LockCells(), clearer, ClearOutput(), ClearHiddenTests(), ClearMarkScheme()]
    for index, cell in enumerate(stripped.cells):
        _require_balance(cell, index, source)
        for step in steps:
            try:
                step.preprocess_cell(cell, {"language": "python"}, index)
            except RuntimeError as error:
                raise _refusal(str(error).strip(), index, None, source) from error
    _validate(stripped, source)
    stripped.metadata = {"kernelspec": dict(KERNEL), "language_info": dict(LANGUAGE)}
    return stripped


def solution_clearer():
    """nbgrader's ClearSolutions as a class whose stub names the cell and says whose it is; hints go too."""
    from nbgrader.preprocessors import ClearSolutions

    class ClearSolutionsByName(ClearSolutions):
        def preprocess(self, nb, resources):
            self.worths = _worths(nb)
            return super().preprocess(nb, resources)

        def preprocess_cell(self, cell, resources, cell_index):
            self.code_stub = {"python": STUB.format(grade_id(cell))}
            guide(cell).pop("hints", None)
            cell, resources = super().preprocess_cell(cell, resources, cell_index)
            if cell.cell_type == "code" and is_solution(cell):
                _say_whose(cell, self.worths[grade_id(cell)])
            return cell, resources

    return ClearSolutionsByName


def _say_whose(cell, worth):
    """Begin an answer with a comment that says that it is one; `#| export` stays the first line."""
    lines = cell.source.split("\n")
    lines.insert(1 if is_exported(cell) else 0, f"{YOURS}: {worth}" if worth else YOURS)
    cell.source = "\n".join(lines)


def _worths(node):
    """{grade_id of an answer: "about 15 minutes, 7 points, 2 of them withheld"}, by the tests named after it."""
    return {grade_id(cell): ", ".join(_worth(cell, node)) for cell in node.cells if is_solution(cell)}


def _worth(answer, node):
    tests = [cell for cell in node.cells if is_test(cell)]
    own = [cell for cell in tests if f"{grade_id(cell)}-".startswith(f"test-{grade_id(answer)}-")]
    total = sum(points(cell) for cell in own)
    withheld = sum(points(cell) for cell in own if syntax.HIDDEN_TESTS in cell.source)
    if minutes := guide(answer).get("minutes"):
        yield f"about {minutes} minutes"
    if is_stretch(answer):
        yield "a stretch" if total else "a stretch that earns no points"
    if total:
        yield f"{total:g} point" + ("" if total == 1 else "s")
    if withheld:
        yield f"{withheld:g} of them withheld"


def _require_balance(cell, index, source):
    """nbgrader reports neither the line of a region without an end nor an END without a BEGIN."""
    for kind in syntax.REGION_KINDS:
        try:
            syntax.regions(cell.source, kind)
        except syntax.MarkerError as error:
            raise _refusal(str(error), index, error.line, source) from error


def _validate(node, source):
    from nbgrader.nbgraderformat import MetadataValidator, SchemaTooNewError, SchemaTooOldError, ValidationError

    validator = MetadataValidator()
    for index, cell in enumerate(node.cells):
        try:
            validator.validate_cell(cell)
        except (ValidationError, SchemaTooOldError, SchemaTooNewError) as error:
            reason = f"nbgrader refuses its metadata: {str(error).splitlines()[0]}"
            raise _refusal(reason, index, None, source) from error


def _refusal(reason, index, line, source):
    place = where(source, index, line) if source else f"cell {index + 1}" + (f", line {line}" if line else "")
    return WorkError(f"{place}: {reason}", "fix the cell", code="markers")
