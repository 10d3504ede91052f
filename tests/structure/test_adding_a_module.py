"""docs/adding_a_module.md shows a whole module: put into a course as it stands there, it passes every rule; with a
piece left out, it does not, and what is missing is named.

The course is the modules that the new one needs.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
import written_module
from part_of_course import ROOT, WITHOUT, checked, copy_part
from tiny_course import run_tito

from tito.errors import TitoError
from tito.services import leaks
from tito.services.check import gates, package

NAME = "22_leaky"
FOLDER = f"modules/{NAME}"
NEEDED = ("01_tensor", "02_activations", "03_layers", "04_losses", "05_autograd")
TESTS = ("support", "structure", "gradients", "grading")
PIECES = written_module.pieces()


def found_by(root, work, *names, only=(NAME,)):
    """What the validators `names` say of the new module, [(file, what)]; of the whole course where `only` is ()."""
    looked_at = checked(root, work, only)
    return [(one.file, one.what) for validator in gates.chosen(names) for one in validator.run(looked_at)]


def pytest_says(root, *arguments):
    """(exit code, what is printed) of pytest over tests of the copy."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "MPLBACKEND": "agg"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The course with the module of the page, completed."""
    root = copy_part(tmp_path_factory.mktemp("adding") / "course", NEEDED, ("01_1957_perceptron",))
    for name in TESTS:
        shutil.copytree(ROOT / "tests" / name, root / "tests" / name, ignore=WITHOUT)
    written_module.write(root, PIECES)
    done = run_tito(root, "module", "complete", "22")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "14 of 14 points" in done.stdout
    return root


@contextmanager
def changed(root, path, text):
    """The course with another text in a file, or without the file where it is None."""
    path = root / path
    before = path.read_text(encoding="utf-8")
    path.unlink() if text is None else path.write_text(text, encoding="utf-8", newline="\n")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8", newline="\n")


# As it stands there.


def test_the_gates_find_nothing(course, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_built", lambda checked: gates.Breach("-", None, "no wheel is built here", "-"))
    assert found_by(course, tmp_path, "educational", "sources", "patterns", "strength") == []
    found = found_by(course, tmp_path, "exports", "answers", "links", only=())
    assert found == [("-", "no wheel is built here")]
    workspace = tmp_path / "workspace"  # which `answers` made
    assert (workspace / FOLDER / "leaky_dev.ipynb").is_file()
    listed = run_tito(workspace, "module", "list", "--json").data
    assert NAME in str(listed)


def test_it_is_released_without_its_answers(course, tmp_path):
    done = run_tito(course, "grade", "release", "22")
    assert done.exit_code == 0, done.stdout + done.stderr
    text = (course / "assignments" / "release" / NAME / "leaky_dev.ipynb").read_text(encoding="utf-8")
    assert "def leaky_relu(x, *, slope):" in text and "np.maximum(values" not in text and "numbers.astype" not in text
    looked_at = checked(course, tmp_path)
    assert leaks.scan(course / "assignments" / "release", leaks.secrets(looked_at.project, looked_at.catalog)) == []


def test_the_rules_of_the_house_and_the_proofs_hold(course):
    structure = [f"tests/structure/test_{name}.py" for name in ("sources", "exports", "budgets", "imports")]
    code, said = pytest_says(course, *structure, "-k", f"{NAME} or not (five_hundred or is_listed_is_there)")
    assert code == 0, said
    code, said = pytest_says(
        course, "tests/grading/test_proofs.py", "tests/gradients/test_operations.py", "-k", f"{NAME} or leaky_relu"
    )
    assert code == 0, said


def test_the_name_of_pytorch_is_there(course):
    code = "import tinytorch as t; print(t.nn.LeakyReLU(0.5)(t.Tensor([-2.0, 3.0])).tolist())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": str(course)}, cwd=course,
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.stdout.strip() == "[-1.0, 3.0]", done.stderr


def test_what_the_page_says_to_type_is_what_is_tried_here():
    page = written_module.PAGE.read_text(encoding="utf-8")
    commands = re.search(r"^## What has to pass\n\n```bash\n(.+?)^```", page, re.MULTILINE | re.DOTALL)[1]
    typed = [line.partition("#")[0].strip() for line in commands.splitlines()]
    assert typed[0] == "tito module complete 22"
    assert typed[1] == "tito check educational implementation patterns answers links"
    assert typed[2] == "tito grade audit 22"


# With a piece missing.

MISSING = [
    (f"{FOLDER}/README.md", "sources", "README.md is missing"),
    (f"{FOLDER}/README.md", "times", "22_leaky: no hours, module.toml says 2"),
    (f"{FOLDER}/test_leaky.py", "sources", "test_leaky.py is missing"),
    (f"{FOLDER}/leaky_dev.py", "sources", "leaky_dev.py is missing"),
    ("tests/grading/audit/22_leaky.toml", "strength", "leaky_relu_gradient: this change loses no points"),
]


@pytest.mark.parametrize(("path", "validator", "what"), MISSING, ids=[f"{one[1]}: {one[0]}" for one in MISSING])
def test_a_file_that_is_missing_is_named(course, tmp_path, path, validator, what):
    assert path in {part.path for part in PIECES}
    with changed(course, path, None):
        said = found_by(course, tmp_path, validator)
    assert any(what in one for _, one in said), said


def test_without_a_module_toml_no_command_knows_it(course, tmp_path):
    with changed(course, f"{FOLDER}/module.toml", None), pytest.raises(TitoError, match="22_leaky/module.toml"):
        found_by(course, tmp_path, "times")


def test_without_its_row_on_the_path_it_has_neither_hours_nor_difficulty(course, tmp_path):
    path = (course / "modules" / "README.md").read_text(encoding="utf-8")
    with changed(course, "modules/README.md", re.sub(rf"^\| \[{NAME}\].*\n", "", path, flags=re.MULTILINE)):
        said = found_by(course, tmp_path, "times", "difficulty")
    assert [what for _, what in said] == [
        "22_leaky: no hours, module.toml says 2",
        "22_leaky: no difficulty, module.toml says 2",
    ]


DAMAGED = [  # what of the notebook is changed, and who says what
    (r'"hints": \[.+?\], ', "", "objectives", "leaky_relu lacks hints"),
    (r'"objective": "dead"', '"objective": "x"', "objectives", "no graded cell meets the objective 'dead'"),
    (r"^# %% [^\n]+test-leaky_relu-hidden.+?(?=^# %%)", "", "sources", "leaky_relu has no hidden test"),
    (r"^    ### BEGIN SOLUTION\n", "", "sources", "END SOLUTION"),
    (r"^check_home\(\)\n", "", "sources", "the first code cell has to import check_home"),
    (r"^import numpy as np\n", "import tinytorch.core.leaky\n", "sources", "imports its own export"),
    (r"def test_module\(\)", "def test_all()", "patterns", "there is no test_module()"),
    (r", \"the input afterwards\"\)", ")\n    assert len(x)", "patterns", "an assert without a message"),
]


@pytest.mark.parametrize(("old", "new", "validator", "what"), DAMAGED, ids=[one[3] for one in DAMAGED])
def test_what_is_wrong_in_the_notebook_is_named_with_its_file(course, tmp_path, old, new, validator, what):
    path = f"{FOLDER}/leaky_dev.py"
    before = (course / path).read_text(encoding="utf-8")
    count = 0 if 'objective"' in old else 1  # every cell that names the objective
    after = re.sub(old, new, before, count=count, flags=re.MULTILINE | re.DOTALL)
    assert after != before
    with changed(course, path, after):
        said = found_by(course, tmp_path, validator)
    assert any(what in one for _, one in said), said
    assert {file for file, _ in said} <= {path, f"{FOLDER}/module.toml"}


def test_without_proofs_and_sample_the_tests_name_the_answers_and_the_operation(course):
    samples = (ROOT / "tests" / "gradients" / "samples.py").read_text(encoding="utf-8")
    with (
        changed(course, "tests/grading/right/22_leaky.py", None),
        changed(course, "tests/grading/wrong/22_leaky.py", None),
        changed(course, "tests/gradients/samples.py", samples),
    ):
        code, said = pytest_says(
            course, "tests/grading/test_proofs.py", "tests/gradients/test_operations.py",
            "-k", f"({NAME} and (several or lose)) or has_a_sample",
        )  # fmt: skip
    assert code == 1
    for what in ("leaky_relu: write more wrong versions", "assert [] == ['leaky_relu'", "samples.py for ['leaky_relu'"):
        assert what in said, said


# What is done to files that are there.


def test_an_addition_whose_place_is_gone_is_an_error_that_names_the_file():
    part = written_module.Piece("a.md", "+more\n after\n", True)
    assert written_module.added("before\nafter\n", part) == "before\nmore\nafter\n"
    for text in ("before\n", "after\nafter\n"):
        with pytest.raises(written_module.PlaceError, match="a.md: this stands there [02] times"):
            written_module.added(text, part)


def test_every_block_of_the_page_is_a_piece():
    page = written_module.PAGE.read_text(encoding="utf-8")
    assert len(PIECES) == len(re.findall(r"^`[\w./]+`:$", page, re.MULTILINE)) > 9
    assert {part.path for part in PIECES if part.is_addition} == {
        "modules/README.md", "tests/gradients/samples.py", "tinytorch/nn/__init__.py",
    }  # fmt: skip
