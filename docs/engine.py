"""Write engine.md beside this file: the cells of the engine as they stand in the notebooks (python docs/engine.py)."""

from pathlib import Path

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks, syntax

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "engine.md"

BEGINNING = """\
# The engine on one page

Every gradient in TinyTorch comes out of these {count} lines, five cells of modules 01 and 05. They stand here as they
stand in the notebooks, without the comments that mark an answer; `python docs/engine.py` writes this page, and a test
compares it. `topological_order` and `backward` are answers of module 05, so this page is for readers of the repository
and is handed to no student.
"""
CELLS = [  # (core file, grade_id, heading, what is said above the cell)
    (
        "tensor",
        "provided-op",
        "Recording",
        """\
An operation is a NumPy function in an `Op`. Called with Tensors, it runs the function on their arrays; if a gradient
will be wanted, the result remembers the call in a `Node`. `rule` is empty until a later cell fills it.""",
    ),
    (
        "autograd",
        "provided-engine",
        "The request",
        """\
`tensor.backward()` calls what stands in `Op.engine`. Module 05 puts `_start` there; before it there is nothing to
call.""",
    ),
    (
        "autograd",
        "topological_order",
        "The order",
        """\
Inputs before outputs, each Tensor once, with a stack of its own: ten thousand operations in a row exceed no recursion
limit.""",
    ),
    (
        "autograd",
        "provided-input_gradients",
        "One step",
        """\
The rule of one operation is asked, and its answers are checked: their number, shape and dtype. Broadcasting is undone
here, for every rule. An operation without a rule is an error that names it.""",
    ),
    (
        "autograd",
        "backward",
        "The walk",
        """\
Backwards through the order. The gradients of a Tensor that was used several times are summed before they are passed
on; a leaf adds its own to `grad`; a node that was passed is released.""",
    ),
]
END = """\
## What holds it

`tests/gradients/` checks every operation with finite differences in float64 and against PyTorch; the locked tests of
module 05 and `modules/05_autograd/test_autograd.py` check the walk.
"""


def page(project):
    """The text of the page."""
    catalog = read_catalog(project)
    parts, count = [], 0
    for short, name, title, said in CELLS:
        module = catalog.find(short)
        node = notebooks.load(project, module.percent).node
        (source,) = (cell.source for cell in node.cells if notebooks.grade_id(cell) == name)
        code = _as_library_code(source)
        count += sum(bool(line.strip()) for line in code.splitlines())
        parts.append(f"## {title}\n\nIn `modules/{module.name}`. {said}\n\n```python\n{code}\n```\n")
    return "\n".join([BEGINNING.format(count=count), *parts, END])


def _as_library_code(source):
    """A cell without its export directive and the markers of an answer."""
    kept = [line for line in source.split("\n") if not line.startswith("#|") and not syntax.MARKER_LINE.fullmatch(line)]
    return "\n".join(kept).strip()


if __name__ == "__main__":
    PAGE.write_text(page(read_project(ROOT)), encoding="utf-8", newline="\n")
