"""Every prefix of the course works: with only modules 01 to N exported, `tinytorch` imports and 01 to N run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import testing, views

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
NAMES = [module.name for module in CATALOG]


def python(folder, code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=views.child_environment(folder, is_view=True),
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("count", range(len(NAMES) + 1))
def test_the_package_imports_and_lists_its_names(count):
    code = """
import sys, tinytorch
from tinytorch import nn
import tinytorch.nn.functional, tinytorch.nn.init
assert dir(tinytorch) and dir(nn)
assert not [name for name in sys.modules if name.startswith("tinytorch.core.")], "imported before it is asked for"
"""
    with views.view(PROJECT, CATALOG.modules[:count]) as folder:
        done = python(folder, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_module_runs_on_those_below_it_alone(name):
    module = CATALOG[name]
    with views.view(PROJECT, (*CATALOG.below(module), module)) as folder:
        result = testing.run_tests(PROJECT, CATALOG, [module], folder=folder)
    assert result.ok, result.output


def test_the_tests_of_a_module_meet_the_view_and_not_the_package_in_place():
    module = CATALOG.modules[0]
    with views.view(PROJECT, [], extra={module.core_file: "raise ImportError('the file of the view')\n"}) as folder:
        result = testing.run_tests(PROJECT, CATALOG, [module], folder=folder)
    assert not result.ok
    assert "the file of the view" in result.output


def test_a_name_that_is_not_built_yet_names_its_module_and_the_command():
    with views.view(PROJECT, CATALOG.modules[:1]) as folder:
        done = python(folder, "import tinytorch; tinytorch.no_grad")
    assert done.returncode != 0
    assert "tinytorch.no_grad is in tinytorch.core.autograd, which is not built yet" in done.stderr
    assert "tito module start autograd" in done.stderr


def test_backward_before_module_05_says_when_it_arrives():
    with views.view(PROJECT, CATALOG.modules[:1]) as folder:
        done = python(folder, "import tinytorch as t; (t.ones(1, requires_grad=True) * 2).backward()")
    assert "backward() arrives with module 05" in done.stderr
    assert "tito module start 05_autograd" in done.stderr


@pytest.mark.parametrize(
    ("text", "error"), [("import nothing_here\n", "No module named 'nothing_here'"), ("def broken(:\n", "SyntaxError")]
)
def test_a_broken_module_fails_with_its_own_error(text, error):
    """Absence is tolerated; a file that is there and broken is not mistaken for one that is not built."""
    with views.view(PROJECT, CATALOG.modules[:1], extra={"autograd.py": text}) as folder:
        asked = python(folder, "import tinytorch; tinytorch.no_grad")
        called = python(folder, "import tinytorch as t; (t.ones(1, requires_grad=True) * 2).backward()")
    for done in (asked, called):
        assert error in done.stderr
        assert "not built yet" not in done.stderr
        assert "arrives with" not in done.stderr
