"""A tiny complete course, and tito run on it as a person would run it.

A folder with a copy of the real tito and three modules that show every kind of cell; and a student's workspace of it.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from said import Said

REPOSITORY = Path(__file__).resolve().parents[2]

PYPROJECT = """\
[project]
name = "tinytorch"
version = "1.2.3"

[tool.tito]
role = "course"
"""


HINTS = (
    "What do you get when the number is added to itself?",
    "A text can be added to itself as well, so look at the type of the number before you add.",
)


def cell(kind, body, grade_id=None, points=None, **more):
    """One cell of a percent source; `kind` is a row of the conventions' table, `more` is further metadata."""
    if kind == "markdown":
        return f'# %% [markdown]\nr"""\n{body.strip()}\n"""\n'
    if kind == "free":
        return f"# %%\n{body.strip()}\n"
    if kind == "measure":
        return f'# %% tags=["measure"]\n{body.strip()}\n'
    metadata = {
        "grade": kind in ("test", "written"),
        "grade_id": grade_id,
        "locked": kind in ("test", "provided", "question"),
        "schema_version": 3,
        "solution": kind in ("solution", "written"),
        "task": False,
    }
    if points is not None:
        metadata["points"] = points
    more = {"nbgrader": metadata, **more}
    marker = " ".join(f"{key}={json.dumps(value, sort_keys=True)}" for key, value in more.items())
    if kind in ("question", "written"):
        return f'# %% [markdown] {marker}\nr"""\n{body.strip()}\n"""\n'
    return f"# %% {marker}\n{body.strip()}\n"


def opening(title, short):
    return [
        cell("markdown", f"# {title}"),
        cell(
            "free",
            f"""
#| default_exp core.{short}
from tinytorch.notebook import check_home, expect_error

check_home()
""",
        ),
    ]


ALPHA = [
    *opening("Alpha", "alpha"),
    cell(
        "provided",
        """
#| export
import math
""",
        "provided-imports",
    ),
    cell(
        "markdown",
        r"""
Write `double(x)`: twice `x`, as in $2 \sum x$.
""",
    ),
    cell(
        "solution",
        """
#| export
def double(number):
    \"\"\"Twice `number`. Raises TypeError for text.\"\"\"
    ### BEGIN SOLUTION
    if isinstance(number, str):
        raise TypeError(f"double needs a number, not the text {number!r}")
    twofold_of_the_number = number + number
    return twofold_of_the_number
    ### END SOLUTION
""",
        "double",
        tinytorch={"hints": HINTS, "minutes": 5, "objective": "doubling"},
    ),
    cell(
        "test",
        """
def test_unit_double():
    assert double(4) == 8, f"double(4): expected 8, got {double(4)}"
    print("double")

test_unit_double()
""",
        "test-double",
        4,
    ),
    cell(
        "test",
        """
expect_error(TypeError, "number", double, "a")
""",
        "test-double-errors",
        3,
    ),
    cell(
        "test",
        """
# Withheld: double of other numbers.
### BEGIN HIDDEN TESTS
for withheld_number in (0, -1, 2.5):
    assert double(withheld_number) == 2 * withheld_number, "a number that was withheld"
### END HIDDEN TESTS
""",
        "test-double-hidden",
        2,
    ),
    cell(
        "solution",
        """
#| export
class Box:
    \"\"\"Holds a size.\"\"\"

    def __init__(self, size):
        ### BEGIN SOLUTION
        self.size = math.floor(size)
        ### END SOLUTION

    def grown(self):
        \"\"\"A box of double the size.\"\"\"
        ### BEGIN SOLUTION
        return Box(double(self.size))
        ### END SOLUTION
""",
        "Box",
    ),
    cell(
        "test",
        """
assert Box(3.7).size == 3, "sizes are whole"
assert Box(3).grown().size == 6
""",
        "test-Box",
        7,
    ),
    cell(
        "test",
        """
# Withheld: a box of no size.
### BEGIN HIDDEN TESTS
assert Box(0).grown().grown().grown().size == 0
### END HIDDEN TESTS
""",
        "test-Box-hidden",
        3,
    ),
    cell(
        "provided",
        """
#| export
UNIT = 1
_HIDDEN_AWAY = 2

def unit_box():
    return Box(UNIT)
""",
        "provided-unit-box",
        jupyter={"source_hidden": True},
    ),
    cell(
        "free",
        """
seen = [double(number) for number in range(3)]
print(seen)
""",
    ),
    cell(
        "measure",
        """
def analyze_double():
    print("measured", double(10) )

analyze_double()
""",
    ),
    cell("question", "Why is doubling linear, and why is tripling as well?", "question-linear"),
    cell(
        "written",
        """
### BEGIN SOLUTION
Twice a sum is the sum of the doubles (1 point), and so on (1 point).
### END SOLUTION
""",
        "written-linear",
        2,
    ),
]

BETA = [
    *opening("Beta", "beta"),
    cell(
        "provided",
        """
#| export
from tinytorch.core.alpha import Box, double
""",
        "provided-imports",
    ),
    cell(
        "solution",
        """
#| export
def quadruple(number):
    \"\"\"Four times `number`.\"\"\"
    ### BEGIN SOLUTION
    return double(double(number))
    ### END SOLUTION
""",
        "quadruple",
    ),
    cell("test", 'assert quadruple(2) == 8, f"quadruple(2): expected 8, got {quadruple(2)}"', "test-quadruple", 7),
    cell(
        "test",
        """
# Withheld: a negative number.
### BEGIN HIDDEN TESTS
assert quadruple(-1) == -4
### END HIDDEN TESTS
""",
        "test-quadruple-hidden",
        3,
    ),
    cell(
        "provided",
        """
#| export
def crate():
    return Box(quadruple(2))
""",
        "provided-crate",
    ),
]

GAMMA = [
    *opening("Gamma", "gamma"),
    cell(
        "provided",
        """
#| export
from tinytorch.core.beta import crate, quadruple
""",
        "provided-imports",
    ),
    cell(
        "solution",
        """
#| export
def weight():
    \"\"\"The weight of a crate.\"\"\"
    ### BEGIN SOLUTION
    return quadruple(crate().size)
    ### END SOLUTION
""",
        "weight",
    ),
    cell("test", "assert weight() == 32", "test-weight", 7),
    cell(
        "test",
        """
# Withheld: the kind of number.
### BEGIN HIDDEN TESTS
assert isinstance(weight(), int)
### END HIDDEN TESTS
""",
        "test-weight-hidden",
        3,
    ),
]

# no part of the tiny course: the end of a module that has a stretch
STRETCH = "\n" + "\n".join(
    [
        cell(
            "solution",
            """
#| export
def half(number):
    \"\"\"Half of `number`.\"\"\"
    ### BEGIN SOLUTION
    half_of_the_number = number / 2
    return half_of_the_number
    ### END SOLUTION
""",
            "half",
            tinytorch={"stretch": True},
        ),
        cell("test", 'assert half(4) == 2, "half of 4"', "test-half", 7),
        cell(
            "test",
            "# Withheld: another number.\n### BEGIN HIDDEN TESTS\nassert half(5) == 2.5\n### END HIDDEN TESTS",
            "test-half-hidden",
            3,
        ),
    ]
)

TESTS = {
    "alpha": "from tinytorch.core.alpha import Box, double\n\n\ndef test_double():\n    assert double(5) == 10\n"
    "\n\ndef test_box():\n    assert Box(2).grown().size == 4\n",
    "beta": "from tinytorch.core.beta import quadruple\n\n\ndef test_quadruple():\n    assert quadruple(5) == 20\n",
    "gamma": "from tinytorch.core.gamma import weight\n\n\ndef test_weight():\n    assert weight() == 32\n",
}

MORE = {"alpha": '[[objectives]]\nid = "doubling"\ntext = "double a number"\n'}
MODULES = {"01_alpha": (ALPHA, []), "02_beta": (BETA, ["01_alpha"]), "03_gamma": (GAMMA, ["02_beta"])}


def write_course(root):
    """Write the tiny course into the empty folder `root`."""
    shutil.copytree(REPOSITORY / "tito", root / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    put(root / "pyproject.toml", PYPROJECT)
    put(root / "tinytorch" / "__init__.py", '"""The tiny package of a tiny course."""\n')
    put(root / "tinytorch" / "core" / "__init__.py", '"""Exported modules."""\n')
    for path in (REPOSITORY / "tinytorch").glob("*.py"):  # what notebooks import, and what that imports
        if path.name == "notebook.py" or (path.name.startswith("_") and path.name != "__init__.py"):
            shutil.copy(path, root / "tinytorch" / path.name)
    put(root / "modules" / "README.md", "# The path\n")
    for name, (cells, prerequisites) in MODULES.items():
        short = name.split("_")[1]
        folder = root / "modules" / name
        put(
            folder / "module.toml",
            f'title = "{short.title()}"\nsummary = "What {short} is for"\n'
            f"prerequisites = {json.dumps(prerequisites)}\nhours = 1.5\ndifficulty = 2\n{MORE.get(short, '')}",
        )
        put(folder / "README.md", f"# {short.title()}\n")
        put(folder / f"{short}_dev.py", "\n".join(cells))
        put(folder / f"test_{short}.py", TESTS[short])
    return root


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def run_tito(root, *args, cwd=None):
    """Run the tito of the project `root` in a process of its own, without a terminal."""
    process = subprocess.run(
        [sys.executable, "-m", "tito", *map(str, args)],
        cwd=cwd or root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    return Said(process.returncode, process.stdout, process.stderr)


# What a student writes, in other words than the course.
ANSWERS = {
    "01_alpha": {
        "double": """\
#| export
def double(number):
    if isinstance(number, str):
        raise TypeError("a number, please")
    return 2 * number
""",
        "Box": """\
#| export
class Box:
    def __init__(self, size):
        self.size = int(size)

    def grown(self):
        return Box(double(self.size))
""",
    },
    "02_beta": {"quadruple": "#| export\ndef quadruple(number):\n    return 4 * number\n"},
    "03_gamma": {"weight": "#| export\ndef weight():\n    return 4 * crate().size\n"},
}


@dataclass(frozen=True)
class Workspace:
    """A student's workspace, and the student in it."""

    root: Path

    def tito(self, *args, cwd=None):
        return run_tito(self.root, *args, cwd=cwd)

    def path(self, name):
        return self.root / "modules" / name / f"{name.split('_')[1]}_dev.ipynb"

    def read(self, name):
        return json.loads(self.path(name).read_text(encoding="utf-8"))

    def write(self, name, notebook):
        put(self.path(name), json.dumps(notebook, indent=1))

    def edit(self, name, grade_id, source):
        """Put `source` into the cell `grade_id`; None deletes it."""
        notebook = self.read(name)
        index = position(notebook, grade_id)
        if source is None:
            del notebook["cells"][index]
        else:
            notebook["cells"][index]["source"] = source
        self.write(name, notebook)

    def solve(self, name):
        for grade_id, source in ANSWERS[name].items():
            self.edit(name, grade_id, source)

    def contents(self, *folders):
        """{path: bytes} of every file below `folders`, or of the whole workspace."""
        files = [file for folder in folders or ("",) for file in (self.root / folder).rglob("*") if file.is_file()]
        return {file.relative_to(self.root).as_posix(): file.read_bytes() for file in files}


def position(notebook, grade_id):
    """The index of the cell `grade_id` in the notebook of a file."""
    names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in notebook["cells"]]
    return names.index(grade_id)
