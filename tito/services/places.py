"""Names the places of a notebook for the person who wrote it: the function and the text of its line, then the cell."""

from tito.services import notebooks, syntax

TEXT_LENGTH = 160


class Places:
    """placed: the cells that were to run; source: the student's file."""

    def __init__(self, placed, source):
        self.placed = placed
        self.source = source

    def cell(self, position, line=None):
        """The cell, or a line of it, as an editor counts: "cell 33, line 10"."""
        one = self.placed[position]
        if one.index is None:
            return f"the restored cell {notebooks.grade_id(one.cell)}" + (f", line {line}" if line else "")
        if self.source.starts is not None:
            return f"{self.source.label}:{self.source.starts[one.index] + (line or 1) - 1}"
        line = line and line + one.line
        return f"cell {one.index + 1}" + (f", line {line}" if line else "")

    def name(self, position):
        """The cell's own name, or its number where it has none."""
        return notebooks.grade_id(self.placed[position].cell) or self.cell(position)

    def named(self, position):
        """The cell by its own name and its number: "the cell double (cell 6)"."""
        grade_id = notebooks.grade_id(self.placed[position].cell)
        return f"the cell {grade_id} ({self.cell(position)})" if grade_id else self.cell(position)

    def answer(self, position):
        """What the answer in a cell defines: "`matmul` (cell 33)"."""
        names = [name for name, _, _ in self._definitions(position) if not name.startswith("_")]
        grade_id = notebooks.grade_id(self.placed[position].cell)
        name = names[0] if len(names) == 1 or not grade_id else grade_id
        return f"`{name}` ({self.cell(position)})"

    def frame(self, position, line):
        """A line of code that ran: "in `matmul`: `return a @ b` (cell 33, line 10)"."""
        source = self.placed[position].cell.source
        function = syntax.function_at(source, line)
        name = f"`{function}`: " if function else ""
        return f"in {name}`{self.statement(position, line)}` ({self.cell(position, line)})"

    def statement(self, position, line):
        """The statement at a line, on one line, shortened."""
        text = " ".join(syntax.statement_at(self.placed[position].cell.source, line).split())
        return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 2] + " …"

    def own_way(self, frames):
        """The innermost of `frames` in code of the student's own and, where another answer called that, its line."""
        own = [one for one in frames if self.is_own(one)]
        if not own:
            return ""
        innermost = own[-1]
        caller = next((one for one in reversed(own) if one[0] != innermost[0]), None)
        return self.frame(*innermost) + (f", called {self.frame(*caller)}" if caller else "")

    def is_own(self, frame):
        return frame is not None and not notebooks.is_locked(self.placed[frame[0]].cell)

    def test_frame(self, frames):
        """The innermost of `frames` that is in a test, or None."""
        return next((one for one in reversed(frames) if notebooks.is_test(self.placed[one[0]].cell)), None)

    def _definitions(self, position):
        tree = syntax.parsed(self.placed[position].cell.source)
        return syntax.definitions(tree) if tree else []
