"""What export writes: the text of a file, the same everywhere; nothing at all where something is wrong."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tito.catalog import read_catalog
from tito.errors import WorkError
from tito.project import Project
from tito.services import export, module_text, notebooks, strip

ALPHA = '''\
"""Alpha: What alpha is for.

Exported from module 01_alpha by tito export. Edit the notebook of that module, not this file.
"""

import math

__all__ = ["double", "Box", "UNIT", "unit_box"]


def double(number):
    """Twice `number`. Raises TypeError for text."""
    if isinstance(number, str):
        raise TypeError(f"double needs a number, not the text {number!r}")
    twofold_of_the_number = number + number
    return twofold_of_the_number


class Box:
    """Holds a size."""

    def __init__(self, size):
        self.size = math.floor(size)

    def grown(self):
        """A box of double the size."""
        return Box(double(self.size))


UNIT = 1
_HIDDEN_AWAY = 2


def unit_box():
    return Box(UNIT)
'''


def render(project, module, text=None):
    if text is not None:
        module.percent.write_text(text, encoding="utf-8")
    return export.render(project, read_catalog(project), module, notebooks.load(project, module.source(project)))


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The text.


def test_an_exported_file_reads_like_a_module_written_by_hand(project, alpha):
    assert render(project, alpha) == ALPHA


def test_imports_of_the_own_package_are_relative(project, catalog):
    text = render(project, catalog.find("beta"))
    assert "\nfrom .alpha import Box, double\n\n__all__" in text
    assert "tinytorch" not in text.split('"""')[2]


def test_a_solved_workspace_notebook_gives_the_same_file(project, alpha):
    """The student solved the stub in the notebook, left its comments in place and ran a magic elsewhere."""
    solved = notebooks.load(project, alpha.percent).node
    notebook = strip.strip(solved)
    for stub, solution in zip(notebook.cells, solved.cells, strict=True):
        if notebooks.is_solution(stub):
            lines = solution.source.split("\n")
            kept = [line.replace("### BEGIN SOLUTION", "# YOUR CODE HERE") for line in lines if "END SOL" not in line]
            kept.insert(1, stub.source.split("\n")[1])
            stub.source = "\n".join(kept)
    assert any("# YOUR CODE HERE" in cell.source for cell in notebook.cells)
    assert any("# Yours to write: about" in cell.source for cell in notebook.cells)
    notebook.cells[-2].source = "%timeit double(2)"
    notebooks.write(notebook, alpha.notebook)
    workspace = Project(project.root, "workspace", project.version)
    assert render(workspace, alpha) == ALPHA


PROGRAM = """
import sys
from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import export, notebooks
project = read_project(sys.argv[1])
catalog = read_catalog(project)
for module in catalog:
    text = export.render(project, catalog, module, notebooks.load(project, module.percent))
    sys.stdout.buffer.write(text.encode("utf-8"))
"""


def test_the_text_depends_on_neither_place_nor_process(tmp_path, make_course):
    """Two folders of different depth, two working folders, two hash seeds, two locales: the same bytes."""
    outputs = []
    for number, (depth, seed, locale) in enumerate([("a", "1", "C"), ("b/with blank/é", "2", "C.UTF-8")]):
        root = make_course(tmp_path / depth)
        cwd = root if number else tmp_path
        environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "PYTHONHASHSEED": seed,
            "LC_ALL": locale,
            "PYTHONUTF8": "0",
        }
        command = [sys.executable, "-c", PROGRAM, str(root)]
        child = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=True)
        outputs.append(child.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].decode("utf-8").startswith(ALPHA)


def test_rendering_leaves_nothing_in_the_project(project, alpha):
    before = contents(project.root)
    render(project, alpha)
    assert contents(project.root) == before


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from tinytorch.core.tensor import Tensor", "from .tensor import Tensor"),
        ("from tinytorch.core import tensor", "from . import tensor"),
        ("from tinytorch.threads import pool", "from ..threads import pool"),
        ("from tinytorch import threads", "from .. import threads"),
        ("from tinytorch.core.tensor import (\n    Op,\n)", "from .tensor import (\n    Op,\n)"),
        ("def f():\n    from tinytorch.core.tensor import Op", "def f():\n    from .tensor import Op"),
        ("é = 'é'; from tinytorch.core.a import b; from tinytorch.core.c import d",
         "é = 'é'; from .a import b; from .c import d"),
        ("from tinytorchvision.core import x", "from tinytorchvision.core import x"),
        ("import tinytorch.core.tensor as t", "import tinytorch.core.tensor as t"),
        ("x = '''\nfrom tinytorch.core.tensor import Op\n'''", "x = '''\nfrom tinytorch.core.tensor import Op\n'''"),
    ],
)  # fmt: skip
def test_relative_imports(code, expected):
    assert module_text.with_relative_imports(code) == expected


def test_scaffolding_goes_and_text_that_looks_like_it_stays():
    kept = 'text = """\n### BEGIN SOLUTION\n# YOUR CODE HERE\n"""\nx = 1  # YOUR CODE HERE\n# Yours to writer'
    code = f"### BEGIN SOLUTION\n# YOUR CODE HERE\n{kept}\n    ### END SOLUTION\n### BEGIN HIDDEN TESTS"
    code = f"# Yours to write: 5 points, 1 of them withheld\n# Yours to write\n{code}"
    assert module_text.without_scaffolding(code) == kept


def test_import_cells_come_first_each_import_once_and_in_order():
    cells = [
        "import numpy as np\nfrom .tensor import Tensor  # noqa: F401\nimport tinytorch.threads",
        "# why this is needed\nimport math\n\nimport ctypes",
        "from ..threads import pool\nimport numpy as np",
        "from __future__ import annotations\nfrom collections import (\n    deque,\n)",
    ]
    assert module_text.import_block(cells) == (
        "from __future__ import annotations\n\n"
        "import ctypes\n# why this is needed\nimport math\nfrom collections import (\n    deque,\n)\n\n"
        "import numpy as np\n\n"
        "import tinytorch.threads\n\n"
        "from ..threads import pool\nfrom .tensor import Tensor  # noqa: F401"
    )


def test_imports_in_a_cell_with_other_code_stay_there(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8").replace("UNIT = 1", "import os\n\nUNIT = os.cpu_count()")
    assert "\n\nimport os\n\nUNIT = os.cpu_count()\n" in render(project, alpha, text)


def test_a_cell_of_comments_stays_in_its_place(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8").replace("UNIT = 1\n_HIDDEN_AWAY = 2\n", "# of one unit\n", 1)
    text = text.replace("\ndef unit_box():\n    return Box(UNIT)\n", "")
    assert render(project, alpha, text).endswith("        return Box(double(self.size))\n\n\n# of one unit\n")


def test_dunder_all_lists_what_is_public_in_the_order_of_definition(project, alpha):
    code = """\
def zeta(): pass
class Eta: pass
async def later(): pass
A = B = 1
(C, [_d, E]) = 2, [3, 4]
F: int = 5
G: int
if A:
    H = 1
else:
    H = 2
for loop in (): pass
with open(__file__) as handle: I = 1
_private = 1
zeta.attribute = 3
B += 1
"""
    text = alpha.percent.read_text(encoding="utf-8").replace("UNIT = 1\n_HIDDEN_AWAY = 2\n", code)
    rendered = render(project, alpha, text.replace("Box(UNIT)", "Box(1)"))
    names = ["double", "Box", "zeta", "Eta", "later", "A", "B", "C", "E", "F", "H", "I", "unit_box"]
    (value,) = [node.value for node in ast.parse(rendered).body if getattr(node, "targets", None) and
                ast.unparse(node.targets[0]) == "__all__"]  # fmt: skip
    assert ast.literal_eval(value) == names


def test_a_long_dunder_all_is_wrapped():
    names = [f"operation_{number:02d}" for number in range(30)]
    lines = module_text.dunder_all(names).split("\n")
    assert lines[0] == "__all__ = ["
    assert lines[-1] == "]"
    assert all(line.startswith('    "operation_') and line.endswith(",") and len(line) <= 120 for line in lines[1:-1])
    assert len(lines) == 2 + 5
    assert ast.literal_eval("".join(lines).split("=", 1)[1].strip()) == names


def test_the_docstring_survives_quotes_and_backslashes_and_long_summaries(alpha):
    summary = 'The "quoted" rule \\sum and """ ' + "of many words " * 12 + "indeed"
    text = module_text.docstring(replace(alpha, summary=summary))
    assert ast.literal_eval(text).split("\n\n")[0].replace("\n", " ") == f"Alpha: {summary}."
    assert max(map(len, text.split("\n"))) <= 120


UNEVEN = '''\
"""Doc."""
import os
# about a
a = 1
b = 2



c = 3
def f():


    return """

    two blank lines stay



    three too"""
# trailing remark

# about g
@property
def g(): pass
d = """


text"""; e = 1
# about h, but apart from it

class H:
    x = 1
# the end
'''

EVEN = '''\
"""Doc."""
import os
# about a
a = 1
b = 2

c = 3


def f():


    return """

    two blank lines stay



    three too"""


# trailing remark


# about g
@property
def g(): pass


d = """


text"""; e = 1
# about h, but apart from it


class H:
    x = 1


# the end
'''


def test_blank_lines_are_put_in_order_and_no_statement_changes():
    assert module_text.spaced(UNEVEN) == EVEN
    assert module_text.spaced(EVEN) == EVEN
    assert ast.dump(ast.parse(EVEN)) == ast.dump(ast.parse(UNEVEN))


def test_a_comment_stays_with_the_last_definition():
    assert module_text.spaced("x = 1\n# about f\ndef f(): pass\n") == "x = 1\n\n\n# about f\ndef f(): pass\n"


def test_ruff_agrees_with_the_order_of_imports_and_the_blank_lines(project, catalog, tmp_path):
    """Oracle: Ruff's own rules for both, on a file with imports in the wrong order and cells of every spacing."""
    ruff = pytest.importorskip("ruff").find_ruff_bin()
    module = catalog.find("gamma")
    text = module.percent.read_text(encoding="utf-8")
    text = text.replace(
        "from tinytorch.core.beta",
        "import sys\nfrom tinytorch.threads import pool\nimport numpy as np\nfrom os import path\n"
        "from tinytorch.core.beta",
    )
    text = text.replace("def weight", "\n\n# about weight\ndef weight")
    text += "\n# %%\n#| export\na = 1\ndef f():\n    return sys, pool, np, path, crate\nb = 2\n\n\n\n\nc = 3\n"
    path = tmp_path / "gamma.py"
    path.write_text(render(project, module, text), encoding="utf-8")
    command = [ruff, "check", "--isolated", "--preview", "--select=I,E3,W", "--no-cache", str(path)]
    child = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert child.returncode == 0, child.stdout + path.read_text(encoding="utf-8")


def test_a_source_that_breaks_a_rule_is_refused_with_file_cell_and_line(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8").replace("import math", "import math\n!ls")
    with pytest.raises(WorkError) as caught:
        render(project, alpha, text)
    line = text[: text.index("!ls")].count("\n") + 1
    assert caught.value.message.startswith(f"modules/01_alpha/alpha_dev.py:{line} (cell 3): syntax error")
    assert caught.value.code == "not-exportable"
    assert [problem.where for problem in caught.value.data] == [f"modules/01_alpha/alpha_dev.py:{line} (cell 3)"]


# Stage and commit.


def test_nothing_is_touched_before_the_commit_and_all_of_it_after(project, catalog):
    before = contents(project.package)
    with export.stage(project, catalog, list(catalog)) as stage:
        assert contents(project.package) == before
        staged = stage.folder / "tinytorch" / "core" / "alpha.py"
        assert staged.read_text(encoding="utf-8") == ALPHA
        assert stage.commit() == [project.core / f"{name}.py" for name in ("alpha", "beta", "gamma")]
    assert not stage.folder.exists()
    assert (project.core / "alpha.py").read_bytes() == ALPHA.encode()
    assert contents(project.package).keys() - before.keys() == {
        project.core / f"{name}.py" for name in ("alpha", "beta", "gamma")
    }
    program = "from tinytorch.core.gamma import weight; print(weight())"
    child = subprocess.run([sys.executable, "-c", program], cwd=project.root, capture_output=True, check=True)
    assert child.stdout.strip() == b"32"


def test_a_second_commit_replaces_only_what_changed(project, catalog):
    with export.stage(project, catalog, list(catalog)) as stage:
        stage.commit()
    edit(catalog.find("beta").percent, "def crate():", "def crate():\n    # of wood")
    with export.stage(project, catalog, list(catalog)) as stage:
        assert stage.commit() == [project.core / "beta.py"]
    assert not (project.state / "backups").exists(), "in the course repository git keeps the old file"


def test_a_workspace_keeps_what_is_replaced(project, catalog, alpha):
    notebooks.write(notebooks.load(project, alpha.percent).node, alpha.notebook)
    workspace = Project(project.root, "workspace", project.version)
    with export.stage(workspace, catalog, [alpha]) as stage:
        stage.commit()
    assert not (project.state / "backups").exists(), "nothing was replaced yet"
    (project.core / "alpha.py").write_text("edited = 'by hand'\n", encoding="utf-8")
    with export.stage(workspace, catalog, [alpha]) as stage:
        stage.commit()
    (kept,) = (project.state / "backups").iterdir()
    assert kept.name.endswith("_alpha.py")
    assert kept.read_text(encoding="utf-8") == "edited = 'by hand'\n"


def refused(project, catalog, modules):
    """The error of staging `modules`, which leaves the package as it was."""
    before = contents(project.package)
    with pytest.raises(WorkError) as caught, export.stage(project, catalog, modules):
        pytest.fail("the stage was opened")
    assert contents(project.package) == before
    assert not list((project.state / "views").iterdir())
    return caught.value.message


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("UNIT = missing_name", "NameError: name 'missing_name' is not defined"),
        ("UNIT = 1 / 0", "ZeroDivisionError"),
        ("UNIT = exit(3)", "SystemExit"),
        ("*UNIT, *REST = []", "SyntaxError"),
    ],
)
def test_a_module_that_does_not_import_is_refused_with_its_cell(project, catalog, alpha, broken, reason):
    edit(alpha.percent, "seen = [", f"{broken}\nseen = [")  # the same line where nothing is exported
    edit(alpha.percent, "UNIT = 1", broken)
    message = refused(project, catalog, list(catalog))
    text = alpha.percent.read_text(encoding="utf-8")
    line = text[: text.index(broken)].count("\n") + 1
    assert f"modules/01_alpha/alpha_dev.py:{line} (cell 12)" in message
    assert f"tinytorch.core.alpha fails with {reason}" in message


def test_the_place_is_the_call_in_the_notebook_not_the_library_below_it(project, catalog, alpha):
    edit(alpha.percent, "UNIT = 1", 'import json\nUNIT = json.loads("{")')
    line = alpha.percent.read_text(encoding="utf-8").split("\n").index('UNIT = json.loads("{")') + 1
    assert f"modules/01_alpha/alpha_dev.py:{line} (cell 12)" in refused(project, catalog, [alpha])


def test_a_process_that_ends_without_a_word_is_refused(project, catalog, alpha):
    edit(alpha.percent, "UNIT = 1", "import os\nprint('{}')\nUNIT = os._exit(0)")
    assert "ended the process" in refused(project, catalog, [alpha])


def test_an_endless_import_is_refused(project, catalog, alpha, monkeypatch):
    monkeypatch.setattr(export, "IMPORT_SECONDS", 1)
    edit(alpha.percent, "UNIT = 1", "while True:\n    pass")
    assert "more than 1 seconds" in refused(project, catalog, [alpha])


def test_a_built_module_that_the_new_one_breaks_is_named(project, catalog, alpha):
    with export.stage(project, catalog, list(catalog)) as stage:
        stage.commit()
    edit(alpha.percent, '"grade_id": "Box"', '"grade_id": "Crate"')
    text = alpha.percent.read_text(encoding="utf-8").replace("class Box", "class Crate")
    alpha.percent.write_text(text.replace("Box(", "Crate("), encoding="utf-8")
    message = refused(project, catalog, [alpha])
    assert "tinytorch.core.beta fails with ImportError: cannot import name 'Box'" in message
    assert "modules/02_beta/beta_dev.py" in message


def test_one_unreadable_source_stops_the_export_of_all(project, catalog):
    edit(catalog.find("gamma").percent, "# %% [markdown]", "")
    assert "gamma_dev.py:1 does not start with a cell marker" in refused_before_a_view(project, catalog)


def refused_before_a_view(project, catalog):
    (project.state / "views").mkdir(parents=True)
    return refused(project, catalog, list(catalog))


# Check.


def test_check_tells_missing_stale_and_orphaned_files(project, catalog, alpha):
    assert [(one.module, one.kind) for one in export.check(project, catalog, [alpha])] == [(alpha, "missing")]
    with export.stage(project, catalog, list(catalog)) as stage:
        stage.commit()
    assert export.check(project, catalog, list(catalog)) == []

    (project.core / "alpha.py").write_bytes(ALPHA.replace("\n", "\r\n").encode())
    (project.core / "stranger.py").write_text("", encoding="utf-8")
    stale, orphan = export.check(project, catalog, list(catalog))
    assert (stale.module, stale.kind) == (alpha, "stale")
    assert "tinytorch/core/alpha.py is not what modules/01_alpha/alpha_dev.py exports" in stale.message
    assert (orphan.module, orphan.kind) == (None, "orphan")
    assert "tinytorch/core/stranger.py" in orphan.message


def test_the_notebook_that_nbdev_reads_may_hold_its_other_directives(project, alpha):
    """What nbdev would do with them is none of our conventions, and must not reach the file."""
    text = alpha.percent.read_text(encoding="utf-8").replace("seen = [", "#| hide\n#| eval: false\nseen = [")
    assert render(project, alpha, text) == ALPHA


def test_json_of_the_import_report_is_not_the_output_of_cells(project, catalog, alpha):
    edit(alpha.percent, "UNIT = 1", f"print({json.dumps(json.dumps({'error': 'faked'}))})\nUNIT = 1")
    with export.stage(project, catalog, [alpha]) as stage:
        assert list(stage.texts) == [alpha]
