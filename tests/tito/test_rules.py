"""Each rule, broken once in the tiny course: the breach is reported, at its place, and nothing else is."""

import json
import re
from dataclasses import replace

import pytest

from tito.catalog import Part, read_catalog
from tito.services import notebooks, rules


def problems(project, module, text=None, check=rules.check):
    if text is not None:
        module.percent.write_text(text, encoding="utf-8")
    return check(notebooks.load(project, module.percent), module, read_catalog(project))


def line_of(text, fragment):
    return text[: text.index(fragment)].count("\n") + 1


def test_the_tiny_course_follows_every_rule(project, catalog):
    assert [problems(project, module) for module in catalog] == [[], [], []]


# (what is replaced in 01_alpha, by what, a fragment of the line that is reported, a fragment of the message)
REFUSED_BY_EXPORT = {
    "syntax error": ("return twofold_of_the_number", "return return", "return return", "syntax error"),
    "magic": ("import math", "import math\n%timeit 1", "%timeit", "magics and shell commands"),
    "shell": ("import math", "!pip install x\nimport math", "!pip", "magics and shell commands"),
    "no default_exp": (
        "#| default_exp core.alpha\n",
        "",
        "# Alpha",
        "no cell holds the line: #| default_exp core.alpha",
    ),
    "wrong default_exp": ("core.alpha\nfrom", "core.beta\nfrom", "#| default_exp", "exports core.alpha"),
    "second default_exp": ("seen = [", "#| default_exp core.alpha\nseen = [", "core.alpha\nseen", "second time"),
    "late export": ("import math", "import math\n#| export", "#| export\n\n", "first line of its cell"),
    "another export": ("#| export\nimport", "#| exporti\nimport", "#| exporti", "only a plain #| export"),
    "export elsewhere": ("#| export\nimport", "#| export nn\nimport", "#| export nn", "only a plain #| export"),
    "own export": ("import math", "from tinytorch.core.alpha import Box", "from tinytorch.core.alpha", "own export"),
    "own export, as module": ("import math", "import tinytorch.core.alpha as a", "import tinytorch.core", "own export"),
    "own export, from core": (
        "import math",
        "from tinytorch.core import alpha",
        "from tinytorch.core import alpha",
        "own export",
    ),
    "own export, relative": ("import math", "from .alpha import Box", "from .alpha", "own export"),
    "own export, relative module": ("import math", "from . import alpha", "from . ", "own export"),
    "own export, inside": ("return Box(UNIT)", "import tinytorch.core.alpha", "import tinytorch", "own export"),
    "own export, free cell": ("seen = [", "import tinytorch.core.alpha\nseen = [", "import tinytorch", "own export"),
    "later module": (
        "import math",
        "from tinytorch.core.gamma import weight",
        "from tinytorch.core.gamma",
        "03_gamma is no prerequisite of 01_alpha",
    ),
    "a future that cannot be exported": (
        "def unit_box",
        "from __future__ import annotations\ndef unit_box",
        "from __future__",
        "from __future__ import annotations stands with other code in a cell that is exported",
    ),
    "star": ("import math", "from math import *", "from math", "star import"),
    "tito": ("import math", "import tito.catalog", "import tito", "imports tito"),
    "tests": ("import math", "from tests import x", "from tests", "imports tests"),
    "milestones": ("import math", "import milestones", "import milestones", "imports milestones"),
    "function twice": (
        "def unit_box",
        "def double",
        "def double():",
        "double is defined a second time; first in modules",
    ),
    "variable twice": ("_HIDDEN_AWAY = 2", "UNIT = 2", "UNIT = 2", "UNIT is defined a second time"),
    "variable over class": ("UNIT = 1", "Box = UNIT = 1", "Box = UNIT", "Box is defined a second time"),
    "no end": ("    ### END SOLUTION\n", "", "    ### BEGIN SOLUTION", "without an END SOLUTION"),
    "no begin": ("### BEGIN HIDDEN TESTS\n", "", "### END HIDDEN", "without a BEGIN HIDDEN TESTS"),
    "duplicate id": (
        '"test-double-errors"',
        '"test-double"',
        "expect_error(TypeError",
        "'test-double' is taken by modules",
    ),
}


@pytest.mark.parametrize("name", REFUSED_BY_EXPORT)
def test_what_export_refuses(project, alpha, name):
    old, new, place, message = REFUSED_BY_EXPORT[name]
    text = alpha.percent.read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    (problem,) = problems(project, alpha, text, rules.export_problems)
    assert message in problem.message
    label = rf"modules/01_alpha/alpha_dev\.py:{line_of(text, place)} \(cell \d+\)"
    assert re.fullmatch(label, problem.where), (problem, line_of(text, place))
    assert problem in problems(project, alpha)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "import math\nimport tinytorch.threads"),
        ("seen = [", "%timeit 1\nseen = ["),
        ("seen = [", "!ls\nseen = ["),
        ("import math", "import math\nimport tinytorch.core"),
        ("import math", "import math\nfrom xml.dom import alpha"),
        ("UNIT = 1", "def _():\n    pass\ndef _():\n    pass\nUNIT = 1"),
        ("UNIT = 1", "try:\n    UNIT = 1\nexcept ValueError:\n    UNIT = 2"),
        ("UNIT = 1", "for _ in range(2):\n    pass\nUNIT = 1\nUNIT += 0"),
        ("seen = [", "double = double\nseen = ["),
        ('print("double")', 'print("# tinytorch.core.alpha")'),
    ],
)
def test_what_export_accepts(project, alpha, old, new):
    text = alpha.percent.read_text(encoding="utf-8")
    assert problems(project, alpha, text.replace(old, new, 1), rules.export_problems) == []


def test_what_a_module_needs_may_be_imported_be_it_through_others(project, catalog):
    gamma = catalog.find("gamma")
    text = gamma.percent.read_text(encoding="utf-8")
    through = text.replace("from tinytorch.core.beta", "from tinytorch.core import alpha\nfrom tinytorch.core.beta")
    assert problems(project, gamma, through) == []


def test_a_lower_number_makes_no_prerequisite(project, catalog):
    gamma = catalog.find("gamma")
    metadata = gamma.folder / "module.toml"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("02_beta", "01_alpha"), encoding="utf-8")
    (problem,) = problems(project, read_catalog(project).find("gamma"))
    assert problem.message == "imports tinytorch.core.beta, but 02_beta is no prerequisite of 03_gamma"


def test_nothing_to_export_is_a_problem(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8").replace("#| export\n", "")
    assert any("nothing to export" in problem.message for problem in problems(project, alpha, text))


def test_a_student_notebook_is_held_to_the_export_rules_only(project, catalog, alpha):
    """In a notebook without markers and metadata, places are cells and lines."""
    from nbformat import v4

    cells = ["#| default_exp core.alpha", "#| export\ndef double(x):\n    return x +", "%matplotlib inline"]
    notebooks.write(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells]), alpha.notebook)
    (problem,) = rules.export_problems(notebooks.load(project, alpha.notebook), alpha, catalog)
    assert problem.where == "modules/01_alpha/alpha_dev.ipynb, cell 2, line 3"
    assert "return x +" in problem.message


HINTS = (
    "What do you get when the number is added to itself?",
    "A text can be added to itself as well, so look at the type of the number before you add.",
)
MODULE_TEST = (
    '# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 5, "schema_version": 3, '
    '"solution": false, "task": false}'
)
TEST_MARKER = (
    '# %% nbgrader={"grade": true, "grade_id": "test-double-errors", "locked": true, "points": 3, '
    '"schema_version": 3, "solution": false, "task": false}'
)
GUIDE = f'tinytorch={{"hints": {json.dumps(HINTS)}, "minutes": 5, "objective": "doubling"}}'
ASKED = "Why is doubling linear, and why is tripling as well?"
QUESTION = (
    '# %% [markdown] nbgrader={"grade": false, "grade_id": "question-linear", "locked": true, "schema_version": 3, '
    f'"solution": false, "task": false}}\nr"""\n{ASKED}\n"""\n'
)
BREACHES_OF_CONVENTIONS = {
    "code first": ('# %% [markdown]\nr"""\n# Alpha\n"""\n', "# %%\nimport sys\n", "first cell has to be markdown"),
    "no check_home": ("\ncheck_home()\n", "", "call check_home()"),
    "plain string": ('r"""\nWrite `double', '"""\nWrite `double', "raw string"),
    "comments": ('r"""\nWrite `double(x)`: twice `x`, as in $2 \\sum x$.\n"""', "# Write it.", "raw string"),
    "magic": ("seen = [", "%timeit 1\nseen = [", "syntax error"),
    "no import of check_home": ("import check_home, expect_error", "import expect_error", "has to import check_home"),
    "no metadata": (
        '# %% nbgrader={"grade": false, "grade_id": "provided-unit-box", "locked": true, "schema_version": 3, '
        '"solution": false, "task": false}',
        "# %%",
        "an exported cell needs nbgrader metadata",
    ),
    "schema": ('"points": 4, "schema_version": 3', '"points": 4, "schema_version": 2', "schema_version 3"),
    "kind": ('"grade_id": "double", "locked": false', '"grade_id": "double", "locked": true', "fit no kind of cell"),
    "prefix of provided": ('"provided-unit-box"', '"unit-box"', "starts with 'provided-'"),
    "prefix of written": ('"written-linear"', '"linear"', "starts with 'written-'"),
    "prefix of test": ('"test-Box"', '"check-Box"', "starts with 'test-'"),
    "letters": ('"test-double-errors"', '"test-double errors"', "letters, digits"),
    "no grade_id": ('"test-double-errors"', '""', "letters, digits"),
    "no points": ('"points": 4', '"points": 0', "points above 0"),
    "points of provided": ('"grade_id": "double", ', '"grade_id": "double", "points": 1, ', "not graded"),
    "exported test": ("def test_unit_double():", "#| export\ndef test_unit_double():", "test cell cannot be exported"),
    "marker spelt": ("### BEGIN SOLUTION", "# BEGIN SOLUTION", "a line of its own"),
    "end spelt": ("### END SOLUTION", "#### END SOLUTION #", "a line of its own"),
    "solution in test": (
        "    assert double(4)",
        "    ### BEGIN SOLUTION\n    assert double(4)\n    ### END SOLUTION\n    assert double(4)",
        "SOLUTION markers have no place",
    ),
    "hidden in solution": (
        "    twofold",
        "    ### BEGIN HIDDEN TESTS\n    ### END HIDDEN TESTS\n    twofold",
        "HIDDEN TESTS markers have no place",
    ),
    "mark scheme": (
        "Why is",
        "### BEGIN MARK SCHEME\n### END MARK SCHEME\nWhy is",
        "MARK SCHEME markers have no place",
    ),
    "grade_id of a function": ('"grade_id": "double"', '"grade_id": "twice"', "its grade_id is 'double'"),
    "two regions": (
        "    return twofold_of_the_number",
        "    ### END SOLUTION\n    ### BEGIN SOLUTION\n    return twofold_of_the_number",
        "functions with one region each",
    ),
    "no region": (
        "        ### BEGIN SOLUTION\n        self.size = math.floor(size)\n        ### END SOLUTION\n\n"
        '    def grown(self):\n        """A box of double the size."""\n'
        "        ### BEGIN SOLUTION\n        return Box(double(self.size))\n        ### END SOLUTION\n",
        "        self.size = 1\n",
        "a class with one or two",
    ),
    "empty region": (
        "        self.size = math.floor(size)\n        ### END SOLUTION",
        "        # nothing\n\n        ### END SOLUTION\n        self.size = math.floor(size)",
        "holds no code",
    ),
    "signature inside": (
        '    def grown(self):\n        """A box of double the size."""\n        ### BEGIN SOLUTION\n',
        '    ### BEGIN SOLUTION\n    def grown(self):\n        """A box of double the size."""\n',
        "signatures and decorators belong outside",
    ),
    "test of another": ('"test-Box"', '"test-double-more"', "the closest solution above is 'Box'"),
    "hidden test that is not": (
        "### BEGIN HIDDEN TESTS\nassert Box(0)",
        "assert Box(1)\n### BEGIN HIDDEN TESTS\nassert Box(0)",
        "stands one line",
    ),
    "hidden without comment": ("# Withheld: a box of no size.\n", "", "stands one line"),
    "hidden without code": (
        "assert Box(0).grown().grown().grown().size == 0\n### END HIDDEN TESTS",
        "# nothing\n### END HIDDEN TESTS\nassert 1",
        "has one region",
    ),
    "two hidden regions": (
        "### BEGIN HIDDEN TESTS\nassert Box(0)",
        "### BEGIN HIDDEN TESTS\nassert 1\n### END HIDDEN TESTS\n### BEGIN HIDDEN TESTS\nassert Box(0)",
        "has one region",
    ),
    "code instead of the comment": ("# Withheld: a box of no size.", "print('withheld')", "stands one line"),
    "hidden in visible": (
        'assert Box(3.7).size == 3, "sizes are whole"',
        "### BEGIN HIDDEN TESTS\nassert 1\n### END HIDDEN TESTS\nassert Box(3.7).size == 3",
        "a cell of their own",
    ),
    "test without code": ('expect_error(TypeError, "number", double, "a")', "# later", "holds no code"),
    "too much hidden": ('"points": 7', '"points": 6', "3 of 9 points of Box are hidden; 30% may be"),
    "no visible": (
        '"test-Box", "locked": true, "points": 7',
        '"test-module", "locked": true, "points": 7',
        "no visible",
    ),
    "no hidden": ('"test-Box-hidden"', '"test-module"', "Box has no hidden test"),
    "question lost": (
        "### BEGIN SOLUTION\nTwice a sum is the sum of the doubles (1 point), and so on (1 point).\n### END SOLUTION",
        "Twice a sum.",
        "a written cell is one region",
    ),
    "no question": (QUESTION, "", "its question stands in the cell above"),
    "prefix of a question": ('"question-linear"', '"linear"', "starts with 'question-'"),
    "question of nothing": ('# %% tags=["measure"]', f'{QUESTION}# %% tags=["measure"]', "the cell of its answer"),
    "guide of a test": (TEST_MARKER, f'{TEST_MARKER} tinytorch={{"minutes": 5}}', "belongs to a solution cell"),
    "guide of another kind": (GUIDE, "tinytorch=[1]", "tinytorch metadata is {"),
    "unknown key": ('"minutes": 5', '"minute": 5', "knows hints, minutes, objective, stretch, not 'minute'"),
    "no minutes": ('"minutes": 5', '"minutes": 0', "minutes is a whole number above 0, not 0"),
    "half minutes": ('"minutes": 5', '"minutes": 2.5', "above 0, not 2.5"),
    "true minutes": ('"minutes": 5', '"minutes": true', "above 0, not True"),
    "unknown objective": ('"objective": "doubling"', '"objective": "x"', "module.toml (doubling), not 'x'"),
    "one hint": (f"{json.dumps(HINTS[0])}, ", "", "two or three texts"),
    "four hints": (f"{json.dumps(HINTS[0])}, ", f"{json.dumps(HINTS[0])}, " * 3, "two or three texts"),
    "hint of another kind": (json.dumps(HINTS[0]), "1", "two or three texts"),
    "short hint": (HINTS[0], "Add it.", "hint 1 is shorter than a sentence of 25 letters"),
    "hint with a fence": (HINTS[1], "Write this in the cell: ```x```, then run it.", "hint 2 holds code"),
    "hint with a line": (HINTS[1], "Write this as the last line:\\n    return number + number", "hint 2 holds code"),
    "hint with a statement": (HINTS[1], "Write `return number + number` in the cell.", "hint 2 holds code"),
    "folded test": (TEST_MARKER, f'{TEST_MARKER} jupyter={{"source_hidden": true}}', "only provided code is folded"),
    "other folding": ('"source_hidden": true', '"outputs_hidden": true', 'jupyter metadata is {"source_hidden": true}'),
    "measure exported": ("def analyze_double", "#| export\ndef analyze_double", "a measure cell is code"),
    "measure in words": ('# %% [markdown]\nr"""\nWrite', '# %% [markdown] tags=["measure"]\nr"""\nWrite', "is code"),
    "measure graded": ('# %% tags=["measure"]', f'{MODULE_TEST} tags=["measure"]', "no nbgrader metadata"),
    "measure needed": ("seen = [double(number)", "#| export\nseen = [analyze_double()", "needs analyze_double"),
    "measure needed in a test": ('    print("double")', "    analyze_double()", "needs analyze_double"),
    "half a stretch": ('"minutes": 5', '"minutes": 5, "stretch": 1', "stretch is true or not there, not 1"),
    "needed stretch": ('"minutes": 5', '"minutes": 5, "stretch": true', "needs double, a stretch"),
    "builtin": ("def unit_box", "def sum", "sum shadows Python's builtin"),
    "builtin variable": ("UNIT = 1", "UNIT = 1\nmax = 3", "max shadows Python's builtin"),
}


@pytest.mark.parametrize("name", BREACHES_OF_CONVENTIONS)
def test_breaches_of_the_conventions(project, alpha, name):
    old, new, message = BREACHES_OF_CONVENTIONS[name]
    text = alpha.percent.read_text(encoding="utf-8")
    assert old in text
    messages = [problem.message for problem in problems(project, alpha, text.replace(old, new, 1))]
    assert any(message in text for text in messages), messages


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # a free cell may use what a measure cell made, and a test may have a local variable of the same name
        ("seen = [double(number)", "seen = [analyze_double()"),
        ('    print("double")', "    analyze_double = 1\n    print(analyze_double)"),
        ("def analyze_double():", "math = math\ndef analyze_double():"),
        # a helper inside an answer, another statement beside it, a blank line in a hidden test
        ("    twofold_of_the", "    def helper(a):\n        return a\n\n    twofold_of_the"),
        ("def double(number):", "LIMIT = 3\n\ndef double(number):"),
        ("# Withheld: a box of no size.\n", "# Withheld: a box of no size.\n\n"),
        # hints that name an argument or a function
        (HINTS[1], "Is `isinstance` enough, or does `np.sum(…)` need `axis=0`? For i and j, x = 2 is one case."),
        # the test of the whole module names no answer
        (QUESTION, f"{MODULE_TEST}\nassert double(Box(2).size) == 4\n\n{QUESTION}"),
    ],
)
def test_what_the_conventions_allow(project, alpha, old, new):
    text = alpha.percent.read_text(encoding="utf-8")
    assert old in text
    assert problems(project, alpha, text.replace(old, new, 1)) == []


# What a module of this course lacks, although its source is in order.


def lacking(project, module, text):
    module.percent.write_text(text, encoding="utf-8")
    return [problem.message for problem in rules.unfinished(notebooks.load(project, module.percent), module)]


def test_what_a_module_of_the_course_lacks(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8")
    box = "Box lacks hints, minutes, objective in its tinytorch metadata"
    assert lacking(project, alpha, text) == [box]
    assert "Box lacks hints, minutes in" in lacking(project, alpha, with_guide(text, {"objective": "doubling"}))[0]
    elsewhere = "the question of a written answer stands in a locked cell of its own above, question-linear"
    inside = text.replace(QUESTION, "").replace("### BEGIN SOLUTION\nTwice", f"{ASKED}\n\n### BEGIN SOLUTION\nTwice")
    assert problems(project, alpha, inside) == []
    assert lacking(project, alpha, inside) == [box, elsewhere]
    assert lacking(project, alpha, text.replace('"question-linear"', '"question-sums"')) == [box, elsewhere]
    twice = text.replace("### BEGIN SOLUTION\nTwice", f"{ASKED}\n\n### BEGIN SOLUTION\nTwice")
    reason = "a written cell holds its rubric and nothing else; the question has its own cell above"
    assert lacking(project, alpha, twice) == [box, reason]


def with_guide(text, guide):
    """`text` with the guide of Box."""
    end = text.index("}", text.index('"grade_id": "Box"')) + 1
    return f"{text[:end]} tinytorch={json.dumps(guide)}{text[end:]}"


def test_wide_lines_and_long_cells_of_provided_code_are_reported(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8")
    wide = f"import math{' ' * 82}# to column 110"
    assert len(wide) == 108

    def said(old, new):
        return " ".join(lacking(project, alpha, text.replace(old, new)))

    assert "columns" not in said("import math", f"{wide}!!")
    assert "this line has 111 columns; 110 fit" in said("import math", f"{wide}!!!")
    assert "folded" not in said("import math", "import math\n" * 39)
    assert "41 lines of provided code are folded: jupyter=" in said("import math", "import math\n" * 40)
    assert "folded" not in said("UNIT = 1", "UNIT = 1" + "\n" * 50), "this cell is folded"


@pytest.mark.parametrize(
    ("hours", "parts", "message"),
    [
        (1.5, [], None),
        (7.5, [], None),
        (8, [], "a module of 8 hours or more has at least two [[parts]]"),
        (8, [8], "a module of 8 hours or more has at least two [[parts]]"),
        (8, [3.5, 4.5], None),
        (8, [3.5, 4], "the hours of its parts sum to 7.5, hours says 8"),
        (1.5, [2], "the hours of its parts sum to 2, hours says 1.5"),
    ],
)
def test_the_hours_of_the_parts(project, alpha, hours, parts, message):
    parts = tuple(Part("A part", length, "It works.") for length in parts)
    module = replace(alpha, hours=hours, parts=parts)
    said = [problem.message for problem in rules.unfinished(notebooks.load(project, alpha.percent), module)]
    assert [one for one in said if "module.toml" in one] == ([f"module.toml: {message}"] if message else [])
    module = replace(module, objectives=())
    said = [problem.message for problem in rules.unfinished(notebooks.load(project, alpha.percent), module)]
    assert "module.toml: there are no [[objectives]]" in said


ONE_REGION = "    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n"


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        (f"def one():\n{ONE_REGION}\n\ndef two():\n{ONE_REGION}", True),
        (f"def one():\n{ONE_REGION}\n\ndef two():\n    pass\n", False),
        (f"def one():\n{ONE_REGION}{ONE_REGION}\n\ndef two():\n    pass\n", False),
        (f"class One:\n{ONE_REGION}\n\ndef two():\n    pass\n", False),
        (f"def one():\n    pass\n\n\ndef two():\n    pass\n{ONE_REGION.replace('    ', '')}", False),
        (f"def one():\n    pass\n{ONE_REGION.replace('    ', '')}", False),
        (ONE_REGION.replace("    ", ""), False),
        ("x = 1\n", False),
        (f"class one:\n{ONE_REGION * 3}", False),
        (f"class one:\n    pass\n{ONE_REGION.replace('    ', '')}", False),
    ],
)
def test_the_regions_of_a_solution_cell(project, alpha, body, is_fine):
    text = alpha.percent.read_text(encoding="utf-8")
    start = text.index("def double(number):")
    end = text.index("### END SOLUTION\n", start) + len("### END SOLUTION\n")
    text = text[:start] + body + text[end:].replace('"test-double', '"test-one')
    text = text.replace('"grade_id": "double"', '"grade_id": "one"')
    messages = [problem.message for problem in problems(project, alpha, text)]
    expected = "a solution cell holds functions with one region each, or a class with one or two"
    assert (expected not in messages) == is_fine, messages


def test_problems_come_in_the_order_of_the_file(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8")
    text = text.replace("UNIT = 1", "sum = 1\nmax = 1").replace('"provided-unit-box"', '"unit-box"')
    found = problems(project, alpha, text.replace("import math", "import tito"))
    lines = [int(re.search(r":(\d+) ", problem.where)[1]) for problem in found]
    words = [problem.message.split(" ")[0] for problem in found]
    assert words == ["imports", "the", "sum", "max"]
    assert lines == sorted(lines)


def test_names_that_a_measure_cell_only_reads_may_be_read_anywhere(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8").replace('    print("double")', "    abs(1)")
    assert problems(project, alpha, text.replace("def analyze_double", "abs(1)\ndef analyze_double")) == []


@pytest.mark.parametrize("code", ["x = '\0'", "x = " + "(" * 5000, "x = " + "-" * 200_000 + "1"])
def test_code_that_python_cannot_even_read_is_a_syntax_error(project, catalog, alpha, code):
    from nbformat import v4

    cells = ["#| default_exp core.alpha", f"#| export\n{code}"]
    notebooks.write(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells]), alpha.notebook)
    (problem,) = rules.export_problems(notebooks.load(project, alpha.notebook), alpha, catalog)
    assert problem.where.startswith("modules/01_alpha/alpha_dev.ipynb, cell 2")
    assert re.match("syntax error: .+", problem.message)


def test_a_future_in_a_cell_of_imports_and_in_one_that_is_not_exported_is_in_place(project, alpha):
    text = alpha.percent.read_text(encoding="utf-8")
    text = text.replace("import math", "from __future__ import annotations\nimport math", 1)
    text = text.replace("seen = [", "from __future__ import annotations\nseen = [", 1)
    assert problems(project, alpha, text) == []
