"""From the notebook with solutions to the one that students get, through nbgrader's own preprocessors.

Two things differ from `nbgrader generate_assignment`: the stub that replaces a solution names its cell, so that a
test that fails on it can say which answer is missing; and the hints in a cell's metadata stay with the course.
"""

import copy

from tito.errors import WorkError
from tito.services import syntax
from tito.services.notebooks import grade_id, guide, where

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
    steps = [step() for step in (LockCells, solution_clearer(), ClearOutput, ClearHiddenTests, ClearMarkScheme)]
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
    """nbgrader's ClearSolutions as a class whose stub names the cell, and which clears its hints as well."""
    from nbgrader.preprocessors import ClearSolutions

    class ClearSolutionsByName(ClearSolutions):
        def preprocess_cell(self, cell, resources, cell_index):
            self.code_stub = {"python": STUB.format(grade_id(cell))}
            guide(cell).pop("hints", None)
            return super().preprocess_cell(cell, resources, cell_index)

    return ClearSolutionsByName


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
    return WorkError(f"{place}: {reason}", "mend the cell", code="markers")
